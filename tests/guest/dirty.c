// SPDX-License-Identifier: GPL-2.0
/* vm: swap=256 */
/*
 * Taking the dirty bit off a page table entry must not lose what was written.
 * A page that came back from swap and was written is dirty in its entry only,
 * and still has its old content in a swap slot. When the scanner takes the bit
 * without marking the page itself, reclaim believes the slot, and the owner
 * reads what was there before.
 */
#include "lib.h"

#define N 512
#define OLD 320
#define NEW 321

static struct worker w;
static void *p;

/* Back from swap, read only so far: the slots are still there. */
static void back_from_swap(void)
{
	sysfs_set("run", "0");
	worker_start(&w);
	p = worker_map_filled(&w, N, OLD, 0);
	CHECK_SOON(worker_pageout(&w, p, N), 10);
	CHECK_EQ(worker_bad(&w, p, N, OLD, 0), 0);
	CHECK_EQ(count_swapped(w.pid, p, N), 0);
}

static void out_and_in(u64 seed)
{
	int i;

	for (i = 0; i < 2; i++) {
		CHECK_SOON(worker_pageout(&w, p, N), 10);
		CHECK_EQ(worker_bad(&w, p, N, seed, 0), 0);
	}
}

static void aged(void)
{
	back_from_swap();
	worker_fill(&w, p, N, NEW, 0);
	sysfs_set("run", "1");
	settle(4);
	sysfs_set("run", "0");
	out_and_in(NEW);
}

/* The same with pages that are merged in between, and written again. */
static void merged(void)
{
	struct worker other;
	void *q;

	back_from_swap();
	worker_fill(&w, p, N, NEW, 0);
	worker_start(&other);
	q = worker_map_filled(&other, N, NEW, 0);
	sysfs_set("run", "1");
	CHECK_SOON_EQ(count_same(w.pid, p, other.pid, q, N), N, LONG);
	worker_fill(&w, p, N, OLD, 0);
	settle(4);
	sysfs_set("run", "0");
	out_and_in(OLD);
	CHECK_EQ(worker_bad(&other, q, N, NEW, 0), 0);
}

static const struct test_case cases[] = {
	{ "back from swap, written, looked at, out again", aged, 60 },
	{ "back from swap, written, merged, written, out again", merged, 60 },
};

TEST_MAIN(0)
