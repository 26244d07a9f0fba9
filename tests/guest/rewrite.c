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

static void fill_all(u64 seed)
{
	int i;

	for (i = 0; i < PROCS; i++)
		worker_send(&w[i], w_fill, (long)p[i], N, seed, 0);
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
	for (i = 0; i < PROCS; i++) {
		worker_start(&w[i]);
		p[i] = worker_map_filled(&w[i], N, SEED, 0);
	}
	for (turn = 1; turn < TURNS; turn++) {
		/* the second look, and the merge, come 50 ms after the first */
		fill_all(SEED - turn);
		msleep(40 + 7 * turn % 60);
		fill_all(SEED + turn);
		all_in_one(SEED + turn);
	}
}

static const struct test_case cases[] = {
	{ "after a rush of writes all that is equal is in one frame",
	  one_frame_each, 200 },
};

TEST_MAIN(0)
