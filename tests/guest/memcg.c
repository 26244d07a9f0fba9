// SPDX-License-Identifier: GPL-2.0
/* vm: mem=512 timeout=300 */
/*
 * Memory control groups: a frame counts in the group of one mapper, and what it
 * replaces counts no more; a copy counts in the writer's group again. A group at
 * its limit is merged where that takes no page, and left alone else: nobody is
 * killed and nothing of it is reclaimed. One over memory.high does not hold the
 * scanner up, nor the scanner its processes. When the last mapper is gone, so is
 * a group that was removed.
 *
 * Without the charge the second case gets beyond its limit; a charge that may
 * reclaim hits the limit for each page, and waits for seconds over memory.high.
 */
#include "lib.h"
#include "lib_groups.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define A "group-a"
#define B "group-b"
#define N 1024
#define BYTES ((long long)(N * PAGE))
#define OLD 610
#define NEW 611
/* more groups than a CPU remembers */
#define OTHERS 8
/* what the per-CPU stocks may hold, and page tables */
#define SLACK ((long long)MIB)

static struct worker w[2];
static u8 *p[2];

/* A group as new, whatever became of the case before. */
static void fresh(const char *group)
{
	cgroup_remove(group);
	cgroup_make(group);
	cgroup_try(group, "memory.swap.max", "0");
}

static void start(int i, const char *group)
{
	worker_start(&w[i]);
	cgroup_enter(group, w[i].pid);
	p[i] = worker_map_filled(&w[i], N, OLD, 0);
}

/* Both workers in one group, and nothing is scanned yet. */
static void start_both(const char *group)
{
	marked_only();
	sysfs_set("run", "0");
	fresh(group);
	start(0, group);
	start(1, group);
}

static size_t same(void)
{
	return count_same(w[0].pid, p[0], w[1].pid, p[1], N);
}

static void whole(u64 first, u64 second)
{
	CHECK_EQ(worker_bad(&w[0], p[0], N, first, 0), 0);
	CHECK_EQ(worker_bad(&w[1], p[1], N, second, 0), 0);
}

static long long event(const char *group, const char *key)
{
	return cgroup_keyed(group, "memory.events", key);
}

/* Anonymous memory that counts in a group. */
static long long anon(const char *group)
{
	return cgroup_keyed(group, "memory.stat", "anon");
}

/* Pages of the first worker that count in the group. */
static size_t charged(const char *group)
{
	return count_charged(w[0].pid, p[0], N, cgroup_inode(group));
}

static void finish(int i, const char *group)
{
	worker_exit(&w[i]);
	cgroup_remove(group);
}

static void accounts(void)
{
	long long before[2];
	size_t in[2];

	marked_only();
	sysfs_set("run", "0");
	fresh(A);
	fresh(B);
	start(0, A);
	start(1, B);
	before[0] = anon(A);
	before[1] = anon(B);
	sysfs_set("run", "1");
	CHECK_SOON_EQ(same(), N, LONG);
	sysfs_set("run", "0");
	in[0] = charged(A);
	in[1] = charged(B);
	note("%zu frames count in one group, %zu in the other", in[0], in[1]);
	CHECK_EQ(in[0] + in[1], N);
	/* of the page of its own that was given up nothing is left */
	CHECK_SOON(anon(A) <= before[0] - BYTES + (long long)(in[0] * PAGE) +
				      SLACK / 4,
		   LONG);
	CHECK_SOON(anon(B) <= before[1] - BYTES + (long long)(in[1] * PAGE) +
				      SLACK / 4,
		   LONG);
	CHECK_OP(cgroup_num(A, "memory.current"), >=, in[0] * PAGE);
	CHECK_OP(cgroup_num(B, "memory.current"), >=, in[1] * PAGE);

	/* copies count where they are written */
	worker_fill(&w[1], p[1], N, NEW, 0);
	CHECK_OP(cgroup_num(B, "memory.current"), >=, BYTES);
	CHECK_SOON(anon(B) >= BYTES, LONG);
	whole(OLD, NEW);
	CHECK_EQ(charged(A) + charged(B), N);
	finish(0, A);
	finish(1, B);
}

/* Who has duplicates only cannot get beyond the limit by having them merged. */
static void no_way_round(void)
{
	fresh(A);
	cgroup_set(A, "memory.max", "16M");
	hoard_in("/sys/fs/cgroup/" A, 16 * MIB / PAGE);
	CHECK_EQ(event(A, "oom_kill"), 1);
	cgroup_remove(A);
}

/*
 * Have the limit below what is used: nobody in the group may be killed, so the
 * kernel gives up trying to get there. There is no room for a single page.
 */
static void fill_up(const char *group)
{
	char max[32];

	snprintf(max, sizeof(max), "%lld",
		 cgroup_num(group, "memory.current") - BYTES / 8);
	cgroup_set(group, "memory.max", max);
	CHECK_OP(cgroup_num(group, "memory.current"), >,
		 cgroup_num(group, "memory.max"));
}

static void unkillable(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	CHECK_EQ(file_write(path, "-1000"), 0);
}

/* A child shares all pages, so that none of them can become a frame as it is. */
static long w_fork_sharer(long a, long b, long c, long d)
{
	int ready[2];
	pid_t pid;
	char x;

	(void)a, (void)b, (void)c, (void)d;
	if (pipe(ready))
		return -1;
	pid = fork();
	if (pid)
		return read(ready[0], &x, 1) == 1 ? pid : -1;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (write(ready[1], "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

/* Both workers' pages are shared: their frames need pages, which are charged. */
static void share_both(void)
{
	CHECK_OP(worker_call(&w[0], w_fork_sharer), >, 0);
	CHECK_OP(worker_call(&w[1], w_fork_sharer), >, 0);
}

/* Both workers in a group that has no room for more, where nobody is killed. */
static void start_both_full(const char *group, bool shared)
{
	start_both(group);
	unkillable(w[0].pid);
	unkillable(w[1].pid);
	if (shared)
		share_both();
	fill_up(group);
}

/* Ordinary pages are merged without one more page: a group gets out of its need. */
static void helped_at_its_limit(void)
{
	long long oom;

	start_both_full(A, false);
	oom = event(A, "oom");
	sysfs_set("run", "1");
	CHECK_SOON_EQ(same(), N, LONG);
	CHECK_SOON(cgroup_num(A, "memory.current") <
			   cgroup_num(A, "memory.max"),
		   LONG);
	whole(OLD, OLD);
	CHECK_EQ(event(A, "oom"), oom);
	CHECK_EQ(event(A, "oom_kill"), 0);
	worker_exit(&w[0]);
	finish(1, A);
}

static void at_its_limit(void)
{
	long long max, oom, used, rounds;
	struct worker other;
	double secs;
	int threads;
	u8 *at;

	start_both_full(A, true);
	max = event(A, "max");
	oom = event(A, "oom");
	used = thread_cpu_ns("uksm", &threads);
	rounds = sysfs_num("full_scans");
	secs = now();

	sysfs_set("run", "1");
	settle(10);
	rounds = sysfs_num("full_scans") - rounds;
	secs = now() - secs;
	used = thread_cpu_ns("uksm", &threads) - used;
	max = event(A, "max") - max;
	note("%lld rounds in %.1f s, %.0f ms of CPU time: the limit was hit %lld times",
	     rounds, secs, used / 1e6, max);
	CHECK_EQ(same(), 0);
	CHECK_EQ(sysfs_num("pages_sharing"), 0);
	/* once a visit of a region at most, not once a page */
	CHECK_OP(max, <=, rounds * 20);
	CHECK_EQ(event(A, "oom"), oom);
	CHECK_EQ(event(A, "oom_kill"), 0);

	/*
	 * Who has room takes the frame, and the group gets rid of its page, until
	 * it has room itself.
	 */
	sysfs_set("run", "0");
	worker_start(&other);
	at = worker_map_filled(&other, N, OLD, 0);
	sysfs_set("run", "1");
	CHECK_SOON_EQ(count_same(w[0].pid, p[0], other.pid, at, N), N, LONG);
	CHECK_SOON_EQ(same(), N, LONG);
	CHECK_SOON(cgroup_num(A, "memory.current") <
			   cgroup_num(A, "memory.max"),
		   LONG);
	CHECK_EQ(worker_bad(&other, at, N, OLD, 0), 0);
	whole(OLD, OLD);
	CHECK_EQ(event(A, "oom"), oom);
	worker_exit(&other);
	worker_exit(&w[0]);
	finish(1, A);
}

/* The group gets room again: what was left alone is merged. */
static void below_it_again(void)
{
	start_both_full(A, true);
	sysfs_set("run", "1");
	settle(2);
	CHECK_EQ(same(), 0);
	cgroup_set(A, "memory.max", "max");
	CHECK_SOON_EQ(same(), N, LONG);
	whole(OLD, OLD);
	worker_exit(&w[0]);
	finish(1, A);
}

/*
 * The longest but one that an mprotect() of a whole area took, in microseconds:
 * once the emulator may have kept the CPU waiting.
 */
static long w_longest(long at, long pages, long secs, long merged)
{
	double start = now(), longest = 0, second = 0, t;

	while (now() < start + secs) {
		t = now();
		if (mprotect((void *)at, pages * PAGE, PROT_READ) ||
		    mprotect((void *)at, pages * PAGE, PROT_READ | PROT_WRITE))
			return -1;
		t = now() - t;
		if (t > longest) {
			second = longest;
			longest = t;
		} else if (t > second) {
			second = t;
		}
		msleep(5);
		if (*(volatile size_t *)merged == N)
			break;
	}
	return second * 1e6;
}

/*
 * The kernel has whoever charges to a group over memory.high wait, up to two
 * seconds at a time; the scanner holds mmap_lock of the process when it charges.
 */
static void over_high(void)
{
	size_t *merged = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double t;
	long us;
	u8 *own;

	start_both(A);
	share_both();
	own = (void *)worker_call(&w[0], w_map, 1);
	cgroup_set(A, "memory.high", "1M");
	CHECK_OP(cgroup_num(A, "memory.current"), >, 2 * BYTES - SLACK);
	t = now();
	worker_send(&w[0], w_longest, (long)own, 1, 30, (long)merged);
	sysfs_set("run", "1");
	CHECK_SOON_EQ((*merged = same()), N, LONG);
	t = now() - t;
	us = worker_wait(&w[0]);
	note("merged in %.1f s, mprotect() took up to %ld us", t, us);
	CHECK_OP(us, >=, 0);
	CHECK_OP(us, <, 900000 * slowness());
	whole(OLD, OLD);
	worker_exit(&w[0]);
	finish(1, A);
}

/*
 * Each CPU remembers the groups that charged there last, and the kernel does not
 * take that from a group that is removed. So have others charge on each CPU.
 */
static void others_charge(void)
{
	pid_t pid = fork();
	char name[32];
	int i, cpu;

	if (pid) {
		waitpid(pid, NULL, 0);
		return;
	}
	for (i = 0; i < OTHERS; i++) {
		snprintf(name, sizeof(name), "other-%d", i);
		cgroup_make(name);
		cgroup_enter(name, getpid());
		for (cpu = 0; cpu < sysconf(_SC_NPROCESSORS_ONLN); cpu++) {
			run_on(0, cpu);
			mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		}
	}
	_exit(0);
}

/* Removed groups that something still refers to. */
static long long dying(void)
{
	file_write("/proc/sys/vm/drop_caches", "3");
	others_charge();
	return cgroup_keyed("", "cgroup.stat", "nr_dying_descendants");
}

/*
 * A group is removed whose frames another goes on using: it lasts as long as
 * they do, and no longer.
 */
static void removed(bool unmerge)
{
	u8 *twin;

	marked_only();
	fresh(A);
	fresh(B);
	CHECK_SOON_EQ(dying(), 0, LONG);
	start(0, A);
	twin = worker_map_filled(&w[0], N, OLD, 0);
	CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[0].pid, twin, N), N, LONG);
	CHECK_EQ(charged(A), N);
	start(1, B);
	CHECK_SOON_EQ(same(), N, LONG);
	finish(0, A);
	CHECK_EQ(count_merged(w[1].pid, p[1], N), N);
	note("%lld removed groups last on with %d frames", dying(), N);
	if (unmerge)
		unmerge_all();
	else
		worker_fill(&w[1], p[1], N, NEW, 0);
	CHECK_SOON_EQ(dying(), 0, LONG);
	CHECK_EQ(worker_bad(&w[1], p[1], N, unmerge ? OLD : NEW, 0), 0);
	worker_exit(&w[1]);
	CHECK_SOON_EQ(anon(B), 0, LONG);
	CHECK_SOON(cgroup_num(B, "memory.current") < SLACK, LONG);
	note("%lld bytes count in the group nobody is in",
	     cgroup_num(B, "memory.current"));
	cgroup_remove(B);
	CHECK_SOON_EQ(dying(), 0, LONG);
}

static void removed_then_written(void)
{
	removed(false);
}

static void removed_then_unmerged(void)
{
	removed(true);
}

static const struct test_case cases[] = {
	{ "a frame counts once, a copy where it is written", accounts, 60 },
	{ "duplicates are no way round a limit", no_way_round, 120 },
	{ "a group at its limit is merged as it is", helped_at_its_limit, 60 },
	{ "where that takes a page it is left alone", at_its_limit, 90 },
	{ "merged when there is room again", below_it_again, 60 },
	{ "over memory.high nobody waits", over_high, 90 },
	{ "a group removed before its frames are written", removed_then_written,
	  60 },
	{ "a group removed before its frames are unmerged",
	  removed_then_unmerged, 60 },
};

TEST_MAIN(0)
