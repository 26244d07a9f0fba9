// SPDX-License-Identifier: GPL-2.0
/* vm: mem=512 swap=256 timeout=240 */
/*
 * What processes say of their memory, before and after it is merged: MADV_COLD,
 * MADV_PAGEOUT, MADV_FREE. Merging gives back the swap slots of the pages it
 * replaces, and after many times out and back all slots are free again.
 *
 * MADV_PAGEOUT leaves pages that several processes have alone; they are pushed
 * out by reclaim of a control group.
 */
#include "lib.h"
#include "lib_move.h"
#include "lib_swap.h"

#define N 512

static void advise(int i, int advice)
{
	CHECK_EQ(worker_call(&w[i], w_madvise, p[i], pages, advice), 0);
}

/* Cold for all who have them: they stay merged, and are the first to go. */
static void cold(void)
{
	int i;

	merge_to_swap(GROUP, N);
	for (i = 0; i < PROCS; i++)
		advise(i, MADV_COLD);
	settle(2);
	all_same_soon();
	sysfs_set("run", "0");
	contents(all_old);
	worker_call(&w[1], w_munmap, p[1], N);
	worker_call(&w[2], w_munmap, p[2], N);
	advise(0, MADV_COLD);
	push_out(N);
	CHECK_OP(count_swapped(w[0].pid, p[0], N), >=, N * 9 / 10);
	CHECK_EQ(worker_bad(&w[0], p[0], N, OLD, 0), 0);
	finish();
}

/* One has its pages in swap while the others are merged. */
static void out_before(void)
{
	int i;

	merge_to_swap(GROUP, N);
	sysfs_set("run", "0");
	worker_fill(&w[0], p[0], N, OLD, 0);
	CHECK_EQ(count_merged(w[0].pid, p[0], N), 0);
	for (i = 0; i < 5 && count_swapped(w[0].pid, p[0], N) < N; i++)
		advise(0, MADV_PAGEOUT);
	CHECK_OP(count_swapped(w[0].pid, p[0], N), >=, N * 9 / 10);
	sysfs_set("run", "1");
	settle(3);
	CHECK_OP(count_swapped(w[0].pid, p[0], N), >=, N * 9 / 10);
	contents(all_old);
	all_same_soon();
	/* its pages are gone, and so are their slots */
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), (PROCS - 1) * N, LONG);
	note("%lld kB of swap in use", swap_grown_kb());
	CHECK_OP(swap_grown_kb(), <=, (long long)(N * PAGE / 1024 / 2));
	contents(all_old);
	finish();
}

/* Advised all the while the scanner is at work. */
static void advised_while_scanning(void)
{
	static const int advice[] = { MADV_COLD, MADV_PAGEOUT };
	u64 seed[PROCS] = { OLD, OLD, OLD };
	int i, k;

	merge_to_swap(GROUP, N);
	for (i = 0; i < 12; i++) {
		k = i % PROCS;
		seed[k] = OLD + i / 4;
		worker_fill(&w[k], p[k], N, seed[k], 0);
		advise((i + 1) % PROCS, advice[i % 2]);
		advise(k, advice[1 - i % 2]);
		if (i % 4 == 3)
			contents(seed);
	}
	for (k = 0; k < PROCS; k++)
		worker_fill(&w[k], p[k], N, OLD, 0);
	all_same_soon();
	contents(all_old);
	finish();
}

/* A page that was given up is what it was, or zeros. */
static long w_neither(long at, long n, long seed, long d)
{
	long i, bad = 0;

	(void)d;
	for (i = 0; i < n; i++) {
		u8 *page = (u8 *)at + i * PAGE;

		bad += !page_is(page, seed, i) && bad_zero(page, 1);
	}
	return bad;
}

/* Two of three give up what they share; reclaim must leave the third its pages. */
static void given_up(void)
{
	int i;

	merge_to_swap(GROUP, N);
	advise(0, MADV_FREE);
	advise(1, MADV_FREE);
	push_out(PROCS * N);
	CHECK_EQ(worker_bad(&w[2], p[2], N, OLD, 0), 0);
	CHECK_EQ(worker_call(&w[0], w_neither, p[0], N, OLD), 0);
	CHECK_EQ(worker_call(&w[1], w_neither, p[1], N, OLD), 0);
	/* given up before the merge: not merged, or nobody's loss */
	for (i = 0; i < PROCS; i++)
		worker_fill(&w[i], p[i], N, OLD, 0);
	advise(0, MADV_FREE);
	settle(3);
	push_out(PROCS * N);
	CHECK_EQ(worker_bad(&w[1], p[1], N, OLD, 0), 0);
	CHECK_EQ(worker_bad(&w[2], p[2], N, OLD, 0), 0);
	CHECK_EQ(worker_call(&w[0], w_neither, p[0], N, OLD), 0);
	finish();
}

/* Again and again: a slot lost each time would be seen in the end. */
static void slots_come_back(void)
{
	int i;

	merge_to_swap(GROUP, N);
	for (i = 0; i < 6; i++) {
		push_out(PROCS * N * 3 / 4);
		contents(all_old);
		all_same_soon();
		if (i == 3)
			unmerge_all();
		sysfs_set("run", "1");
	}
	finish();
}

static const struct test_case cases[] = {
	{ "MADV_COLD on frames", cold, 60 },
	{ "MADV_PAGEOUT before the merge", out_before, 60 },
	{ "MADV_COLD and PAGEOUT while scanning", advised_while_scanning, 60 },
	{ "MADV_FREE by some of the mappers", given_up, 60 },
	{ "the swap slots balance", slots_come_back, 90 },
};

TEST_MAIN(0)
