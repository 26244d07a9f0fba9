// SPDX-License-Identifier: GPL-2.0
/*
 * Three areas of equal pages: the one in question, which the case maps and does
 * things to, and two of a worker. That the worker's merge with each other
 * shows that the first had its chance, too.
 */
#include "lib.h"

/* Nothing is merged yet. The worker comes first, so that it shares nothing by birth. */
void trio_start(struct trio *t, size_t n, u64 seed)
{
	sysfs_set("run", "0");
	t->n = n;
	t->seed = seed;
	worker_start(&t->w);
	t->theirs = worker_map_filled(&t->w, n, seed, 0);
	t->witness = worker_map_filled(&t->w, n, seed, 0);
	t->mine = NULL;
}

/* With an ordinary area as the one in question. */
void trio_make(struct trio *t, size_t n, u64 seed)
{
	trio_start(t, n, seed);
	t->mine = map_filled(n, seed, 0);
}

/* All three are merged. */
void trio_merge(struct trio *t)
{
	sysfs_set("run", "1");
	CHECK_SOON_EQ(count_same(t->w.pid, t->theirs, t->w.pid, t->witness,
				 t->n),
		      t->n, LONG);
	CHECK_SOON_EQ(count_same(getpid(), t->mine, t->w.pid, t->theirs, t->n),
		      t->n, LONG);
}

/* Several rounds in which the worker's areas are merged, whatever becomes of mine. */
void trio_scan(struct trio *t)
{
	sysfs_set("run", "1");
	CHECK_SOON_EQ(count_same(t->w.pid, t->theirs, t->w.pid, t->witness,
				 t->n),
		      t->n, LONG);
	settle(5);
}

/* Mine holds @seed now; the worker's areas are as they always were. */
void trio_check(struct trio *t, u64 seed)
{
	CHECK_EQ(bad_pages(t->mine, t->n, seed, 0), 0);
	CHECK_EQ(worker_bad(&t->w, t->theirs, t->n, t->seed, 0), 0);
	CHECK_EQ(worker_bad(&t->w, t->witness, t->n, t->seed, 0), 0);
}

/* How many of my pages are merged. */
size_t trio_merged(struct trio *t)
{
	return count_merged(getpid(), t->mine, t->n);
}
