// SPDX-License-Identifier: GPL-2.0
/*
 * Twenty processes with the same content share one set of frames, a process
 * that comes later joins them, and all but one set of the memory is free.
 *
 * Without merging into a frame that already has mappers (as against pairing
 * pages) the number of frames stays above one set.
 */
#include "lib.h"

#define PROCS 20
#define N 256

static struct worker w[PROCS + 1];
static void *p[PROCS + 1];

static size_t on_first(int procs)
{
	size_t same = 0;
	int i;

	for (i = 1; i < procs; i++)
		same += count_same(w[0].pid, p[0], w[i].pid, p[i], N);
	return same;
}

static void start(int procs, bool exec, u64 seed)
{
	int i;

	for (i = 0; i < procs; i++) {
		if (exec)
			worker_start_exec(&w[i]);
		else
			worker_start(&w[i]);
		p[i] = worker_map_filled(&w[i], N, seed, 0);
	}
}

static void check(int procs, u64 seed)
{
	int i;

	for (i = 0; i < procs; i++)
		CHECK_EQ(worker_bad(&w[i], p[i], N, seed, 0), 0);
}

static void one_set(void)
{
	start(PROCS, false, 20);
	CHECK_SOON_EQ(on_first(PROCS), (PROCS - 1) * N, LONG);
	check(PROCS, 20);
}

static void one_set_execd(void)
{
	start(PROCS, true, 21);
	CHECK_SOON_EQ(on_first(PROCS), (PROCS - 1) * N, LONG);
	check(PROCS, 21);
}

static void exact_counters(void)
{
	long long mem_free;

	marked_only();
	sysfs_set("run", "0");
	start(PROCS, false, 22);
	mem_free = free_kb();
	sysfs_set("run", "1");
	CHECK_SOON_EQ(on_first(PROCS), (PROCS - 1) * N, LONG);
	CHECK_SOON_EQ(sysfs_num("pages_shared"), N, LONG);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), (PROCS - 1) * N, LONG);
	settle(2);
	CHECK_EQ(sysfs_num("pages_shared"), N);
	CHECK_EQ(sysfs_num("pages_sharing"), (PROCS - 1) * N);
	/* 19 MiB were duplicates */
	CHECK_SOON(free_kb() >= mem_free + 16 * 1024, 10);
	check(PROCS, 22);
}

static void latecomer(void)
{
	marked_only();
	start(PROCS, false, 23);
	CHECK_SOON_EQ(on_first(PROCS), (PROCS - 1) * N, LONG);
	settle(2);
	worker_start(&w[PROCS]);
	p[PROCS] = worker_map_filled(&w[PROCS], N, 23, 0);
	CHECK_SOON_EQ(on_first(PROCS + 1), PROCS * N, LONG);
	CHECK_SOON_EQ(sysfs_num("pages_shared"), N, LONG);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), PROCS * N, LONG);
	check(PROCS + 1, 23);
}

/* All write all their pages at once: each gets its own back, nobody another's. */
static void all_write(void)
{
	int i;

	marked_only();
	start(PROCS, false, 24);
	CHECK_SOON_EQ(on_first(PROCS), (PROCS - 1) * N, LONG);
	for (i = 0; i < PROCS; i++)
		worker_send(&w[i], w_fill, (long)p[i], N, 100 + i, 0);
	for (i = 0; i < PROCS; i++)
		worker_wait(&w[i]);
	for (i = 0; i < PROCS; i++)
		CHECK_EQ(worker_bad(&w[i], p[i], N, 100 + i, 0), 0);
	CHECK_SOON_EQ(sysfs_num("pages_shared"), 0, LONG);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), 0, LONG);
}

/*
 * What the index keeps of a key is the same for some pairs of pages that differ:
 * few enough that hardly ever a page is made a frame for nobody. Without the bits that
 * a place keeps of its key it was 38 of 307,200.
 */
static void differ(void)
{
	long long frames = 0;
	int i, k;

	if (on_ksmd())
		skip("it makes frames of pairs only");
	marked_only();
	start(PROCS, false, 25);
	for (k = 0; k < 40; k++) {
		for (i = 0; i < PROCS; i++)
			worker_fill(&w[i], p[i], N, 1000 + PROCS * k + i, 0);
		settle(3);
		CHECK_EQ(sysfs_num("pages_sharing"), 0);
		frames += sysfs_num("pages_shared");
	}
	note("%d pages, %lld frames of one page", 40 * PROCS * (int)N, frames);
	CHECK_OP(frames, <=, 4);
}

static const struct test_case cases[] = {
	{ "20 processes share one set of frames", one_set, 120 },
	{ "20 exec'd processes share one set of frames", one_set_execd, 120 },
	{ "counters are exact and memory is freed", exact_counters, 120 },
	{ "a latecomer joins the frames", latecomer, 120 },
	{ "all write at once", all_write, 120 },
	{ "pages that differ are not taken for equal", differ, 200 },
};

TEST_MAIN(0)
