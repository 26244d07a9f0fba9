// SPDX-License-Identifier: GPL-2.0
/*
 * The three values of run: 2 gives everybody private pages again before the
 * write returns, with the counters at 0 and the contents right; 0 stops the
 * scanning and keeps what is merged; 1 goes on from either.
 */
#include "lib.h"

#define PROCS 4
#define N 256
#define SEED 120

static struct worker w[PROCS];
static void *p[PROCS];

static void start(void)
{
	int i;

	for (i = 0; i < PROCS; i++) {
		worker_start(&w[i]);
		p[i] = worker_map_filled(&w[i], N, SEED, 0);
	}
}

static size_t on_first(void)
{
	size_t same = 0;
	int i;

	for (i = 1; i < PROCS; i++)
		same += count_same(w[0].pid, p[0], w[i].pid, p[i], N);
	return same;
}

static void contents(void)
{
	int i;

	for (i = 0; i < PROCS; i++)
		CHECK_EQ(worker_bad(&w[i], p[i], N, SEED, 0), 0);
}

static void all_private(void)
{
	int i, j;

	for (i = 0; i < PROCS; i++) {
		CHECK_EQ(count_merged(w[i].pid, p[i], N), 0);
		CHECK_EQ(count_present(w[i].pid, p[i], N), N);
		for (j = 0; j < i; j++)
			CHECK_EQ(count_same_pfn(w[i].pid, p[i], w[j].pid, p[j],
						N),
				 0);
	}
}

static void counters_zero(void)
{
	CHECK_EQ(sysfs_num("pages_shared"), 0);
	CHECK_EQ(sysfs_num("pages_sharing"), 0);
	if (sysfs_has("ksm_zero_pages"))
		CHECK_EQ(sysfs_num("ksm_zero_pages"), 0);
	CHECK_EQ(sysfs_num("run"), 2);
}

static void all_again(void)
{
	start();
	CHECK_SOON_EQ(on_first(), (PROCS - 1) * N, LONG);
	unmerge_all();
	all_private();
	counters_zero();
	contents();
}

static void and_stays_so(void)
{
	long long scanned;

	start();
	CHECK_SOON_EQ(on_first(), (PROCS - 1) * N, LONG);
	unmerge_all();
	scanned = sysfs_num("pages_scanned");
	msleep(2000);
	CHECK_EQ(sysfs_num("pages_scanned"), scanned);
	all_private();
	counters_zero();
}

static void back_and_forth(void)
{
	int i;

	start();
	for (i = 0; i < 4; i++) {
		sysfs_set("run", "1");
		CHECK_SOON_EQ(on_first(), (PROCS - 1) * N, LONG);
		contents();
		unmerge_all();
		all_private();
		counters_zero();
		contents();
	}
}

/* 2 from 0: it was stopped before. */
static void from_stopped(void)
{
	start();
	CHECK_SOON_EQ(on_first(), (PROCS - 1) * N, LONG);
	sysfs_set("run", "0");
	CHECK_EQ(on_first(), (PROCS - 1) * N);
	unmerge_all();
	all_private();
	counters_zero();
	contents();
}

static void stopped(void)
{
	long long scans, scanned;
	struct worker late;
	void *q;

	marked_only();
	start();
	CHECK_SOON_EQ(on_first(), (PROCS - 1) * N, LONG);
	sysfs_set("run", "0");
	scans = sysfs_num("full_scans");
	scanned = sysfs_num("pages_scanned");
	worker_start(&late);
	q = worker_map_filled(&late, N, SEED, 0);
	msleep(3000);
	CHECK_EQ(sysfs_num("full_scans"), scans);
	CHECK_EQ(sysfs_num("pages_scanned"), scanned);
	CHECK_EQ(count_merged(late.pid, q, N), 0);
	CHECK_EQ(on_first(), (PROCS - 1) * N);
	CHECK_EQ(sysfs_num("pages_shared"), N);
	CHECK_EQ(sysfs_num("pages_sharing"), (PROCS - 1) * N);
	contents();
	sysfs_set("run", "1");
	CHECK_SOON_EQ(count_same(w[0].pid, p[0], late.pid, q, N), N, LONG);
	CHECK_EQ(worker_bad(&late, q, N, SEED, 0), 0);
}

/* Memory that is read-only or cannot be accessed at all is unmerged too. */
static void protected(void)
{
	start();
	CHECK_SOON_EQ(on_first(), (PROCS - 1) * N, LONG);
	CHECK_EQ(worker_call(&w[0], w_mprotect, p[0], N, PROT_READ), 0);
	CHECK_EQ(worker_call(&w[1], w_mprotect, p[1], N, PROT_NONE), 0);
	unmerge_all();
	CHECK_EQ(count_merged(w[0].pid, p[0], N), 0);
	CHECK_EQ(count_merged(w[1].pid, p[1], N), 0);
	counters_zero();
	CHECK_EQ(worker_call(&w[1], w_mprotect, p[1], N,
			     PROT_READ | PROT_WRITE),
		 0);
	all_private();
	contents();
}

/* While the mappers exit. */
static void while_exiting(void)
{
	int round, i;

	for (round = 0; round < 5; round++) {
		sysfs_set("run", "1");
		start();
		CHECK_SOON_EQ(on_first(), (PROCS - 1) * N, LONG);
		for (i = 1; i < PROCS; i++)
			close(w[i].to);
		unmerge_all();
		CHECK_EQ(count_merged(w[0].pid, p[0], N), 0);
		CHECK_EQ(worker_bad(&w[0], p[0], N, SEED, 0), 0);
		counters_zero();
		for (i = 0; i < PROCS; i++)
			worker_kill(&w[i]);
	}
}

static const struct test_case cases[] = {
	{ "run=2 gives private pages", all_again, 120 },
	{ "and nothing is scanned after it", and_stays_so, 120 },
	{ "merged and unmerged four times", back_and_forth, 180 },
	{ "run=2 after run=0", from_stopped, 120 },
	{ "run=0 stops and keeps what is merged", stopped, 120 },
	{ "run=2 and protected memory", protected, 120 },
	{ "run=2 while mappers exit", while_exiting, 180 },
};

TEST_MAIN(0)
