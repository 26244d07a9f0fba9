// SPDX-License-Identifier: GPL-2.0
/* vm: mem=320 timeout=400 */
/*
 * Killed for want of memory, in a group and in the whole machine, while the
 * scanner is at work on the victim at full speed: the memory comes back, nobody
 * else is killed, those who share frames with the victim keep their content,
 * and it is never the scanner that asks for a victim.
 */
#include "lib.h"

#include <signal.h>
#include <sys/wait.h>

#define GROUP "oomtest"
#define N 512 /* pages shared with the one who survives */
#define SEED 210
#define ROUNDS 6

static void oom_score(const char *score)
{
	CHECK_EQ(file_write("/proc/self/oom_score_adj", score), 0);
}

static long w_victim(long a, long b, long c, long d)
{
	(void)a, (void)b, (void)c, (void)d;
	oom_score("1000");
	return 0;
}

/* Area after area, until there is no more: equal, unequal and empty pages. */
static long w_devour(long mib, long b, long c, long d)
{
	const size_t n = 8 * MIB / PAGE;
	size_t i, k;
	u8 *at;

	(void)b, (void)c, (void)d;
	for (k = 0; k < (size_t)mib / 8; k++) {
		at = map_marked(n);
		for (i = 0; i < n; i++) {
			if (i % 8 == 0)
				page_fill(at + i * PAGE, SEED, i % N);
			else
				*(u64 *)(at + i * PAGE) =
					i % 16 == 1 ? 0 : k * n + i;
		}
	}
	return 0;
}

static struct worker survivor;
static u8 *kept;

static void survivor_start(void)
{
	survivor.pid = 0;
	worker_start(&survivor);
	kept = worker_map_filled(&survivor, N, SEED, 0);
}

/* Has died of SIGKILL, which nobody here has sent. */
static void must_be_killed(struct worker *w)
{
	double end = now() + 2 * LONG;
	int status;
	pid_t got;

	while (!(got = waitpid(w->pid, &status, WNOHANG)) && now() < end)
		msleep(1);
	CHECK_EQ(got, w->pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	close(w->to);
	close(w->from);
}

/* The first has mapped the frames that both share, or the second. */
static void one_round(const char *group, bool first, size_t mib)
{
	long long kills = vmstat("oom_kill"), before;
	struct worker victim;
	u8 *shared;

	if (first)
		survivor_start();
	before = free_kb();
	worker_start(&victim);
	CHECK_EQ(worker_call(&victim, w_victim), 0);
	if (group)
		cgroup_enter(group, victim.pid);
	shared = worker_map_filled(&victim, N, SEED, 0);
	if (!first)
		survivor_start();
	CHECK_SOON_EQ(count_same(victim.pid, shared, survivor.pid, kept, N), N,
		      LONG);
	worker_send(&victim, w_devour, mib, 0, 0, 0);
	must_be_killed(&victim);
	CHECK_EQ(vmstat("oom_kill"), kills + 1);
	CHECK_SOON(free_kb() >= before - 8 * 1024, LONG);
	CHECK_EQ(worker_bad(&survivor, kept, N, SEED, 0), 0);
	worker_fill(&survivor, kept, N, SEED + 1, 0);
	CHECK_EQ(worker_bad(&survivor, kept, N, SEED + 1, 0), 0);
	worker_exit(&survivor);
	CHECK_SOON_EQ(sysfs_num("pages_shared"), 0, LONG);
}

static void rounds(const char *group, size_t mib)
{
	static const char *const words[] = { "uksmd invoked oom-killer",
					     "unable to reap", NULL };
	long long scanned, merged;
	int i, log = log_open();
	char line[300];

	oom_score("-1000");
	marked_only();
	scanned = sysfs_num("pages_scanned");
	merged = sysfs_num("pages_merged");
	for (i = 0; i < ROUNDS; i++)
		one_round(group, i & 1, mib);
	note("%d killed; %lld pages scanned, %lld merged meanwhile", ROUNDS,
	     sysfs_num("pages_scanned") - scanned,
	     sysfs_num("pages_merged") - merged);
	CHECK_OP(sysfs_num("pages_merged"), >=, merged + ROUNDS * N);
	if (log_find(log, words, line, sizeof(line)))
		FAIL("kernel log: %s", line);
}

static void in_a_group(void)
{
	cgroup_make(GROUP);
	cgroup_set(GROUP, "memory.max", "24M");
	rounds(GROUP, 48);
	CHECK_EQ(cgroup_keyed(GROUP, "memory.events", "oom_kill"), ROUNDS);
	cgroup_remove(GROUP);
}

static void in_the_machine(void)
{
	rounds(NULL, 2 * meminfo_kb("MemTotal") / 1024);
}

static const struct test_case cases[] = {
	{ "in a group", in_a_group, 120 },
	{ "in the machine", in_the_machine, 180 },
};

TEST_MAIN(0)
