// SPDX-License-Identifier: GPL-2.0
/* vm: mem=512 timeout=240 */
/*
 * What is written between being looked up and being merged must not lead a frame
 * astray: a frame that is known under a content it does not have is not found by
 * pages that have it, and is tried in vain by others. So after any rush of writes
 * equal pages end up in one frame, all of them.
 */
#include "lib.h"

#define PROCS 3
#define N 1024
#define SEED 320
#define TURNS 8

static struct worker w[PROCS];
static u8 *p[PROCS];

/* In small steps, so that some of it comes while a page is being merged. */
static long w_fill_slowly(long at, long pages, long seed, long d)
{
	long i;

	(void)d;
	for (i = 0; i < pages; i++) {
		page_fill((u8 *)at + i * PAGE, seed, i);
		if (i % 4 == 3)
			usleep(200);
	}
	return 0;
}

static void fill_all(worker_fn how, u64 seed)
{
	int i;

	for (i = 0; i < PROCS; i++)
		worker_send(&w[i], how, (long)p[i], N, seed, 0);
	for (i = 0; i < PROCS; i++)
		worker_wait(&w[i]);
}

/* All three have the same frames, which hold what they say. */
static void all_in_one(u64 seed)
{
	int i;

	for (i = 1; i < PROCS; i++)
		CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[i].pid, p[i], N), N,
			      LONG);
	if (!on_ksmd())
		CHECK_SOON_EQ(sysfs_num("pages_shared"), N, LONG);
	for (i = 0; i < PROCS; i++)
		CHECK_EQ(worker_bad(&w[i], p[i], N, seed, 0), 0);
}

static void one_frame_each(void)
{
	int i, turn;

	marked_only();
	sysfs_set("cpu_governor", "medium");
	sysfs_set("max_cpu_percentage", "95");
	for (i = 0; i < PROCS; i++) {
		worker_start(&w[i]);
		p[i] = worker_map_filled(&w[i], N, SEED, 0);
	}
	for (turn = 1; turn < TURNS; turn++) {
		/* the second look, and the merge, come 50 ms after the first */
		fill_all(w_fill, SEED - turn);
		msleep(7 * turn % 60);
		fill_all(w_fill_slowly, SEED + turn);
		all_in_one(SEED + turn);
	}
}

static const struct test_case cases[] = {
	{ "after a rush of writes all that is equal is in one frame",
	  one_frame_each, 200 },
};

TEST_MAIN(0)
