// SPDX-License-Identifier: GPL-2.0
/*
 * Merged memory that is unmapped, discarded or mapped over: the one who did it
 * sees what it must see (zeroes, the new mapping), the other side keeps its
 * content, the counters follow.
 */
#include "lib.h"

#define N 64
#define SEED 80

static struct worker w[2];
static u8 *p[2];

static void merge(void)
{
	int i;

	marked_only();
	for (i = 0; i < 2; i++) {
		worker_start(&w[i]);
		p[i] = worker_map_filled(&w[i], N, SEED, 0);
	}
	CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N, LONG);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), N, LONG);
}

static void counters_are(long long shared, long long sharing)
{
	CHECK_SOON_EQ(sysfs_num("pages_shared"), shared, LONG);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), sharing, LONG);
}

static void one_side(void)
{
	merge();
	CHECK_EQ(worker_call(&w[0], w_munmap, p[0], N), 0);
	CHECK_EQ(worker_bad(&w[1], p[1], N, SEED, 0), 0);
	counters_are(N, 0);
	CHECK_EQ(worker_call(&w[1], w_munmap, p[1], N), 0);
	counters_are(0, 0);
}

static void hole(void)
{
	merge();
	CHECK_EQ(worker_call(&w[0], w_munmap, p[0] + 16 * PAGE, 32), 0);
	CHECK_EQ(worker_bad(&w[0], p[0], 16, SEED, 0), 0);
	CHECK_EQ(worker_bad(&w[0], p[0] + 48 * PAGE, 16, SEED, 48), 0);
	CHECK_EQ(worker_bad(&w[1], p[1], N, SEED, 0), 0);
	counters_are(N, N - 32);
	settle(2);
	/* what is left still is merged, and still copies */
	CHECK_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], 16), 16);
	worker_fill(&w[0], p[0], 16, SEED + 1, 0);
	CHECK_EQ(worker_bad(&w[1], p[1], N, SEED, 0), 0);
	CHECK_EQ(worker_bad(&w[0], p[0], 16, SEED + 1, 0), 0);
}

static void discard(void)
{
	merge();
	CHECK_EQ(worker_call(&w[0], w_madvise, p[0], N, MADV_DONTNEED), 0);
	CHECK_EQ(worker_call(&w[0], w_bad_zero, p[0], N), 0);
	CHECK_EQ(worker_bad(&w[1], p[1], N, SEED, 0), 0);
	counters_are(N, 0);
	/* filled with the same again it merges again */
	worker_fill(&w[0], p[0], N, SEED, 0);
	CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N, LONG);
	counters_are(N, N);
	CHECK_EQ(worker_bad(&w[0], p[0], N, SEED, 0), 0);
}

static void discard_both_in_a_loop(void)
{
	int i;

	merge();
	for (i = 1; i <= 10; i++) {
		CHECK_EQ(worker_call(&w[0], w_madvise, p[0], N, MADV_DONTNEED),
			 0);
		CHECK_EQ(worker_call(&w[1], w_madvise, p[1], N, MADV_DONTNEED),
			 0);
		worker_fill(&w[0], p[0], N, SEED + i, 0);
		worker_fill(&w[1], p[1], N, SEED + i, 0);
		CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N,
			      LONG);
		CHECK_EQ(worker_bad(&w[0], p[0], N, SEED + i, 0), 0);
		CHECK_EQ(worker_bad(&w[1], p[1], N, SEED + i, 0), 0);
	}
	counters_are(N, N);
}

/* Lazily freed: reads give the old content or zeroes, never anything else. */
static long w_bad_lazy(long at, long n, long b, long c)
{
	long i, bad = 0;

	(void)b, (void)c;
	for (i = 0; i < n; i++) {
		u8 *page = (u8 *)at + i * PAGE;

		bad += !page_is(page, SEED, i) && bad_zero(page, 1);
	}
	return bad;
}

static void lazy_free(void)
{
	merge();
	CHECK_EQ(worker_call(&w[0], w_madvise, p[0], N, MADV_FREE), 0);
	settle(2);
	CHECK_EQ(worker_call(&w[0], w_bad_lazy, p[0], N), 0);
	CHECK_EQ(worker_bad(&w[1], p[1], N, SEED, 0), 0);
	worker_fill(&w[0], p[0], N, SEED + 1, 0);
	CHECK_EQ(worker_bad(&w[0], p[0], N, SEED + 1, 0), 0);
	CHECK_EQ(worker_bad(&w[1], p[1], N, SEED, 0), 0);
}

/* Freed lazily before any merge: whoever filled it later must see that. */
static void lazy_free_first(void)
{
	marked_only();
	worker_start(&w[0]);
	worker_start(&w[1]);
	sysfs_set("run", "0");
	p[0] = worker_map_filled(&w[0], N, SEED, 0);
	p[1] = worker_map_filled(&w[1], N, SEED, 0);
	CHECK_EQ(worker_call(&w[0], w_madvise, p[0], N, MADV_FREE), 0);
	sysfs_set("run", "1");
	settle(3);
	CHECK_EQ(worker_call(&w[0], w_bad_lazy, p[0], N), 0);
	CHECK_EQ(worker_bad(&w[1], p[1], N, SEED, 0), 0);
	worker_fill(&w[0], p[0], N, SEED + 1, 0);
	settle(1);
	CHECK_EQ(worker_bad(&w[0], p[0], N, SEED + 1, 0), 0);
	CHECK_EQ(worker_bad(&w[1], p[1], N, SEED, 0), 0);
}

static long w_map_over(long at, long n, long b, long c)
{
	(void)b, (void)c;
	return mmap((void *)at, n * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		    0) != (void *)at;
}

static void mapped_over(void)
{
	merge();
	CHECK_EQ(worker_call(&w[0], w_map_over, p[0], N), 0);
	CHECK_EQ(worker_call(&w[0], w_bad_zero, p[0], N), 0);
	worker_fill(&w[0], p[0], N, SEED + 1, 0);
	CHECK_EQ(worker_bad(&w[0], p[0], N, SEED + 1, 0), 0);
	CHECK_EQ(worker_bad(&w[1], p[1], N, SEED, 0), 0);
	counters_are(N, 0);
}

static const struct test_case cases[] = {
	{ "munmap of one side, then of the other", one_side, 90 },
	{ "a hole in the middle", hole, 90 },
	{ "MADV_DONTNEED gives zeroes, then merges again", discard, 90 },
	{ "MADV_DONTNEED and merge, ten times", discard_both_in_a_loop, 120 },
	{ "MADV_FREE of merged memory", lazy_free, 90 },
	{ "MADV_FREE before merging", lazy_free_first, 90 },
	{ "mapped over", mapped_over, 90 },
};

TEST_MAIN(0)
