// SPDX-License-Identifier: GPL-2.0
/* vm: mem=768 smp=2 numa=2 timeout=300 */
/*
 * Two nodes. With merge_across_nodes=0 a frame serves the node it is on and no
 * other, also after it was moved; with 1 one frame serves all. NUMA balancing goes
 * on moving what is not merged.
 */
#include "lib.h"

#include <linux/mempolicy.h>
#include <sys/syscall.h>

#define PROCS 4 /* the even ones are on node 0, the odd ones on node 1 */
#define N 256
#define SEED 310

static struct worker w[PROCS];
static u8 *p[PROCS];

static long w_bind(long node, long b, long c, long d)
{
	unsigned long mask = 1UL << node;

	(void)b, (void)c, (void)d;
	return syscall(SYS_set_mempolicy, MPOL_BIND, &mask, 8 * sizeof(mask)) ?
		       -errno :
		       0;
}

/* Pages of @at that are on @node; with @to >= 0 they are moved there first. */
static size_t on_node(pid_t pid, u8 *at, size_t n, int node, int to)
{
	size_t i, found = 0;

	for (i = 0; i < n; i++) {
		void *page = at + i * PAGE;
		int status = -1;

		if (syscall(SYS_move_pages, pid, 1UL, &page,
			    to >= 0 ? &to : NULL, &status,
			    to >= 0 ? MPOL_MF_MOVE_ALL : 0) < 0)
			FAIL("move_pages: %s", strerror(errno));
		found += status == node;
	}
	return found;
}

static void two_nodes(void)
{
	if (on_ksmd())
		skip("it is about the module's frames");
	if (access("/sys/devices/system/node/node1", F_OK))
		FAIL("no second node: the harness has to give this test one");
}

/* With the scan at a stand: it would make frames of the program's own pages. */
static void across(const char *value)
{
	sysfs_set("run", "2");
	sysfs_set("merge_across_nodes", value);
	sysfs_set("run", "1");
}

static void start(int n)
{
	int i;

	marked_only();
	sysfs_set("run", "0"); /* until it is known that all is where it is to be */
	for (i = 0; i < n; i++) {
		worker_start(&w[i]);
		CHECK_EQ(worker_call(&w[i], w_bind, i % 2), 0);
		p[i] = worker_map_filled(&w[i], N, SEED, 0);
		CHECK_EQ(on_node(w[i].pid, p[i], N, i % 2, -1), N);
	}
	sysfs_set("run", "1");
}

static void contents(int n)
{
	int i;

	for (i = 0; i < n; i++)
		CHECK_EQ(worker_bad(&w[i], p[i], N, SEED, 0), 0);
}

static void shared_across(void)
{
	int i;

	two_nodes();
	start(PROCS);
	for (i = 1; i < PROCS; i++)
		CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[i].pid, p[i], N), N,
			      LONG);
	CHECK_EQ(sysfs_num("pages_shared"), N);
	contents(PROCS);
	/* which frames serve whom is settled: not to be changed now */
	CHECK_EQ(sysfs_write("merge_across_nodes", "0"), -EBUSY);
	CHECK_EQ(sysfs_num("merge_across_nodes"), 1);
	contents(PROCS);
}

static void kept_local(void)
{
	int i;

	two_nodes();
	across("0");
	start(PROCS);
	CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[2].pid, p[2], N), N, LONG);
	CHECK_SOON_EQ(count_same(w[1].pid, p[1], w[3].pid, p[3], N), N, LONG);
	settle(9); /* one of them trusts nothing remembered */
	CHECK_EQ(sysfs_num("pages_shared"), 2 * N);
	CHECK_EQ(sysfs_num("pages_sharing"), 2 * N);
	for (i = 0; i < PROCS; i++)
		CHECK_EQ(on_node(w[i].pid, p[i], N, i % 2, -1), N);
	contents(PROCS);
	across("1");
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), 3 * N, LONG);
	contents(PROCS);
}

/* A frame that was moved to the other node is not used for new mappers there. */
static void moved_away(void)
{
	two_nodes();
	across("0");
	start(3);
	CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[2].pid, p[2], N), N, LONG);
	sysfs_set("run", "0");
	CHECK_EQ(on_node(w[0].pid, p[0], N, 1, 1), N);
	sysfs_set("run", "1");

	worker_start(&w[3]);
	CHECK_EQ(worker_call(&w[3], w_bind, 0), 0);
	p[3] = worker_map_filled(&w[3], N, SEED, 0);
	settle(9);
	CHECK_EQ(on_node(w[3].pid, p[3], N, 0, -1), N);
	CHECK_EQ(count_same_pfn(w[3].pid, p[3], w[0].pid, p[0], N), 0);
	contents(4);
}

static long w_default_policy(long cpu, long b, long c, long d)
{
	(void)b, (void)c, (void)d;
	if (!run_on(0, cpu))
		return -EINVAL;
	return syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0) ? -errno : 0;
}

/* Reads and writes all pages for a while; returns what is wrong. */
static long w_use(long at, long n, long ms, long seed)
{
	double end = now() + ms / 1000.0;
	size_t bad = 0;

	while (now() < end)
		bad += bad_pages((void *)at, n, seed, 0);
	return bad;
}

static int cpu_of_node(int node)
{
	char path[64], buf[64];
	int err;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/cpulist",
		 node);
	err = file_read(path, buf, sizeof(buf));
	if (err < 0 || buf[0] < '0' || buf[0] > '9')
		FAIL("%s: %s", path, err < 0 ? strerror(-err) : "no CPU");
	return atoi(buf);
}

static void tune(const char *file, const char *value)
{
	char path[96];

	snprintf(path, sizeof(path),
		 "/sys/kernel/debug/sched/numa_balancing/%s", file);
	if (file_write(path, value))
		note("no %s", path);
}

static void balancing(void)
{
	long long migrated, hints;
	u8 *mine;
	int i;

	two_nodes();
	if (file_write("/proc/sys/kernel/numa_balancing", "1"))
		skip("no NUMA balancing in this kernel");
	tune("scan_delay_ms", "100");
	tune("scan_period_min_ms", "100");
	start(2); /* merged on node 0 or 1, with a mapper on each */
	CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N, LONG);
	/* its own pages are on node 0, and it runs on node 1 from now on */
	mine = worker_map_filled(&w[0], 4 * N, SEED + 1, 0);
	CHECK_EQ(on_node(w[0].pid, mine, 4 * N, 0, -1), 4 * N);
	migrated = vmstat("numa_pages_migrated");
	hints = vmstat("numa_hint_faults");
	CHECK_EQ(worker_call(&w[0], w_default_policy, cpu_of_node(1)), 0);
	for (i = 0; i < 4 * LONG; i++) {
		CHECK_EQ(worker_call(&w[0], w_use, mine, 4 * N, 250, SEED + 1),
			 0);
		CHECK_EQ(worker_bad(&w[0], p[0], N, SEED, 0), 0);
		if (vmstat("numa_pages_migrated") - migrated >= N)
			break;
	}
	note("%lld hint faults, %lld pages migrated in %d quarters of a second",
	     vmstat("numa_hint_faults") - hints,
	     vmstat("numa_pages_migrated") - migrated, i + 1);
	CHECK_OP(vmstat("numa_pages_migrated") - migrated, >=, N);
	CHECK_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N);
	contents(2);
}

/* A change forgets what was learnt of pages, but not which zero pages are uksm's. */
static void zero_pages(void)
{
	u8 *z;

	two_nodes();
	marked_only();
	z = map_marked(N);
	memset(z, 0, N * PAGE);
	CHECK_SOON_EQ(sysfs_num("ksm_zero_pages"), N, LONG);
	sysfs_set("run", "0");
	sysfs_set("merge_across_nodes", "0");
	CHECK_EQ(sysfs_num("ksm_zero_pages"), N);
	unmerge_all();
	CHECK_EQ(count_zero(getpid(), z, N), 0);
	CHECK_EQ(bad_zero(z, N), 0);
}

static const struct test_case cases[] = {
	{ "merge_across_nodes=1: one frame for both nodes", shared_across,
	  120 },
	{ "merge_across_nodes=0: a frame serves its own node", kept_local,
	  180 },
	{ "merge_across_nodes=0: nor does one that was moved", moved_away,
	  120 },
	{ "merge_across_nodes changes, and zero pages are known", zero_pages, 60 },
	{ "NUMA balancing goes on", balancing, 200 },
};

TEST_MAIN(0)
