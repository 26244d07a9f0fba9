// SPDX-License-Identifier: GPL-2.0
/* vm: smp=4 mem=2048 */
/*
 * scan_threads: several threads share a round, in different processes and in one
 * large one; what they merge is what one would merge, whoever writes meanwhile;
 * their number can be changed at any time.
 *
 * Without the threads there is but one with CPU time; if they did not keep out of
 * each other's way, pages would be lost, or merged into the wrong frame.
 */
#include "lib.h"

#define PROCS 8
#define N 2048
#define LARGE 65536

static struct worker w[PROCS];
static u8 *p[PROCS];

static void start(u64 seed)
{
	int i;

	for (i = 0; i < PROCS; i++) {
		worker_start(&w[i]);
		/* each has half of its pages in common with the next one */
		p[i] = worker_map_filled(&w[i], N, seed, i * N / 2);
	}
}

static void right(u64 seed)
{
	int i;

	for (i = 0; i < PROCS; i++)
		CHECK_EQ(worker_bad(&w[i], p[i], N, seed, i * N / 2), 0);
}

static size_t pairs(void)
{
	size_t same = 0;
	int i;

	for (i = 1; i < PROCS; i++)
		same += count_same(w[i - 1].pid, p[i - 1] + N / 2 * PAGE,
				   w[i].pid, p[i], N / 2);
	return same;
}

static void full_speed(const char *threads)
{
	if (on_ksmd())
		skip("ksmd is one thread");
	sysfs_set("cpu_governor", "full");
	sysfs_set("sleep_millisecs", "0");
	sysfs_set("scan_threads", threads);
}

static void number(void)
{
	full_speed("1");
	CHECK_SOON_EQ(threads_named("uksmd"), 1, LONG);
	sysfs_set("scan_threads", "4");
	CHECK_EQ(threads_named("uksmd"), 4);
	CHECK(thread_pid("uksmd/3"));
	sysfs_set("scan_threads", "2");
	CHECK_SOON_EQ(threads_named("uksmd"), 2, LONG);
}

static void in_processes(void)
{
	full_speed("4");
	start(1);
	CHECK_SOON_EQ(pairs(), (PROCS - 1) * N / 2, LONG);
	settle(3);
	CHECK_EQ(pairs(), (PROCS - 1) * N / 2);
	right(1);
}

/* All of them are at it, in one process. */
static void in_one_process(void)
{
	char name[16];
	long long all;
	int i, nr;
	u8 *q;

	sysfs_set("run", "0");
	full_speed("4");
	q = map_filled(LARGE, 2, 0);
	sysfs_set("run", "1");
	CHECK_SOON(sysfs_num("pages_unshared") >= LARGE * 99LL / 100, LONG);
	all = thread_cpu_ns("uksmd", &nr);
	for (i = 1; i < 4; i++) {
		long long own;

		snprintf(name, sizeof(name), "uksmd/%d", i);
		own = thread_cpu_ns(name, &nr);
		note("%s: %lld of %lld ms", name, own / 1000000, all / 1000000);
		CHECK_OP(own, >, all / 16);
	}
	CHECK_EQ(bad_pages(q, LARGE, 2, 0), 0);
}

/* Children share all pages with their parent: the threads meet in each of them. */
static void in_families(void)
{
	struct worker child[6];
	size_t same;
	u8 *q;
	int i;

	full_speed("4");
	sysfs_set("run", "0");
	q = map_filled(N, 3, 0);
	for (i = 0; i < 6; i++)
		worker_start(&child[i]);
	worker_start(&w[0]);
	p[0] = worker_map_filled(&w[0], N, 3, 0);
	sysfs_set("run", "1");
	for (i = 0; i < 6; i++)
		CHECK_SOON_EQ(count_same(w[0].pid, p[0], child[i].pid, q, N), N,
			      LONG);
	for (i = 0; i < 6; i++) {
		worker_fill(&child[i], q, N / 2, 4 + i, 0);
		same = count_same(w[0].pid, p[0] + N / 2 * PAGE, child[i].pid,
				  q + N / 2 * PAGE, N / 2);
		CHECK_EQ(same, N / 2);
	}
	for (i = 0; i < 6; i++) {
		CHECK_EQ(worker_bad(&child[i], q, N / 2, 4 + i, 0), 0);
		CHECK_EQ(worker_bad(&child[i], q + N / 2 * PAGE, N / 2, 3,
				    N / 2),
			 0);
	}
	CHECK_EQ(bad_pages(q, N, 3, 0), 0);
	CHECK_EQ(worker_bad(&w[0], p[0], N, 3, 0), 0);
}

/* More and fewer of them, on and off, while everybody writes. */
static void changed_at_work(void)
{
	static const char *const threads[] = { "4", "1", "3", "2", "8" };
	int round, i;

	full_speed("4");
	start(10);
	for (round = 0; round < 40; round++) {
		sysfs_set("scan_threads", threads[round % 5]);
		if (round % 8 == 7)
			unmerge_all();
		sysfs_set("run", round % 8 == 3 ? "0" : "1");
		for (i = 0; i < PROCS; i++)
			worker_fill(&w[i], p[i] + (round % 4) * N / 4 * PAGE,
				    N / 4, 10, i * N / 2 + (round % 4) * N / 4);
		right(10);
	}
	sysfs_set("run", "1");
	CHECK_SOON_EQ(pairs(), (PROCS - 1) * N / 2, LONG);
	right(10);
}

static const struct test_case cases[] = {
	{ "as many threads as are asked for", number, 60 },
	{ "several processes", in_processes, 120 },
	{ "one large process", in_one_process, 120 },
	{ "pages that families share", in_families, 180 },
	{ "changed while they work", changed_at_work, 240 },
};

TEST_MAIN(0)
