// SPDX-License-Identifier: GPL-2.0
/*
 * work.c - regions that are to be visited again in the same round
 *
 * Two short queues of fixed size. What does not fit is not lost: its region is
 * looked at in full in the next round.
 *
 * Under uksm_mutex.
 */
#include <linux/ktime.h>

#include "space.h"
#include "work.h"

/* Time between the two looks that show whether a page keeps changing. */
#define UKSM_SETTLE_NS (50 * NSEC_PER_MSEC)
/* How far back a queue is searched for a region that waits already. */
#define UKSM_WORK_NEAR 8

static struct {
	unsigned int first;
	unsigned int nr;
	struct uksm_work work[UKSM_WORK_MAX];
} uksm_queue[UKSM_WORK_QUEUES];

static struct uksm_work *uksm_work_at(enum uksm_work_queue q, unsigned int i)
{
	return &uksm_queue[q].work[(uksm_queue[q].first + i) % UKSM_WORK_MAX];
}

bool uksm_work_full(enum uksm_work_queue q)
{
	return uksm_queue[q].nr == UKSM_WORK_MAX;
}

/**
 * uksm_work_first() - what waits longest
 * @q: the queue
 *
 * Return: the work, or NULL; good until uksm_work_pop().
 */
struct uksm_work *uksm_work_first(enum uksm_work_queue q)
{
	return uksm_queue[q].nr ? uksm_work_at(q, 0) : NULL;
}

/**
 * uksm_work_pop() - take the first one off
 * @q: the queue, not empty
 */
void uksm_work_pop(enum uksm_work_queue q)
{
	uksm_queue[q].first = (uksm_queue[q].first + 1) % UKSM_WORK_MAX;
	uksm_queue[q].nr--;
}

/* The work for a region, found among the last ones or added; NULL if full. */
static struct uksm_work *uksm_work_get(enum uksm_work_queue q, u32 space,
				       u64 nr)
{
	unsigned int n = uksm_queue[q].nr;
	struct uksm_work *work;
	unsigned int i;

	for (i = n; i > 0 && i + UKSM_WORK_NEAR > n; i--) {
		work = uksm_work_at(q, i - 1);
		if (work->space == space && work->nr == nr)
			return work;
	}
	if (uksm_work_full(q))
		return NULL;
	work = uksm_work_at(q, uksm_queue[q].nr++);
	work->due = 0;
	work->nr = nr;
	work->space = space;
	bitmap_zero(work->want, UKSM_REGION_PAGES);
	return work;
}

/* The whole region again in the next round. */
static void uksm_work_defer(u32 id, unsigned long addr)
{
	struct uksm_space *space = uksm_space_find(id);
	struct uksm_region *r = space ? uksm_space_region(space, addr) : NULL;

	if (r)
		r->fresh = 1;
}

/**
 * uksm_work_add_page() - visit a page at once
 * @space: id of its space
 * @addr: its address
 */
void uksm_work_add_page(u32 space, unsigned long addr)
{
	struct uksm_work *work = uksm_work_get(UKSM_WORK_URGENT, space,
					       addr >> UKSM_REGION_SHIFT);

	if (work)
		__set_bit((addr & ~UKSM_REGION_MASK) >> PAGE_SHIFT, work->want);
	else
		uksm_work_defer(space, addr);
}

/**
 * uksm_work_add_second() - have a second look at pages when they had time
 * @space: id of their space
 * @base: their region
 * @want: which
 */
void uksm_work_add_second(u32 space, unsigned long base,
			  const unsigned long *want)
{
	struct uksm_work *work = uksm_work_get(UKSM_WORK_SECOND, space,
					       base >> UKSM_REGION_SHIFT);

	if (!work) {
		uksm_work_defer(space, base);
		return;
	}
	work->due = ktime_get_ns() + UKSM_SETTLE_NS;
	bitmap_or(work->want, work->want, want, UKSM_REGION_PAGES);
}

/**
 * uksm_work_drop() - leave all that waits for the next round
 */
void uksm_work_drop(void)
{
	struct uksm_work *work;
	int q;

	for (q = 0; q < UKSM_WORK_QUEUES; q++) {
		while ((work = uksm_work_first(q))) {
			uksm_work_defer(work->space,
					work->nr << UKSM_REGION_SHIFT);
			uksm_work_pop(q);
		}
	}
}

/**
 * uksm_work_size() - memory the queues take
 *
 * Return: bytes.
 */
size_t uksm_work_size(void)
{
	return sizeof(uksm_queue);
}
