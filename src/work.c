// SPDX-License-Identifier: GPL-2.0
/*
 * work.c - regions that are to be visited again in the same round
 *
 * Two short queues, as long as there are scan threads to fill them: pages wait for
 * their second look for some time, however many regions have their first one
 * meanwhile. What does not fit is not lost: its region is looked at in full in the
 * next round.
 *
 * All scan threads share them, under uksm_mutex.
 */
#include <linux/ktime.h>
#include <linux/slab.h>

#include "space.h"
#include "work.h"

/* Time in which another scan thread will be through with a region. */
#define UKSM_LATER_NS (200 * NSEC_PER_USEC)
/* How far back a queue is searched for a region that waits already. */
#define UKSM_WORK_NEAR 8

static struct {
	unsigned int first;
	unsigned int nr;
	struct uksm_work *work;
} uksm_queue[UKSM_WORK_QUEUES];

/* Length of each. Changes only with uksm_sem held for writing. */
static unsigned int uksm_work_max;

static struct uksm_work *uksm_work_at(enum uksm_work_queue q, unsigned int i)
{
	i += uksm_queue[q].first;
	return &uksm_queue[q].work[i < uksm_work_max ? i : i - uksm_work_max];
}

/**
 * uksm_work_full() - is there no room for more?
 * @q: the queue
 *
 * Context: uksm_sem held; the answer may age.
 * Return: whether there is none.
 */
bool uksm_work_full(enum uksm_work_queue q)
{
	return READ_ONCE(uksm_queue[q].nr) == uksm_work_max;
}

/**
 * uksm_work_none() - is a queue empty?
 * @q: the queue
 *
 * Context: any; the answer may age.
 * Return: whether it is.
 */
bool uksm_work_none(enum uksm_work_queue q)
{
	return !READ_ONCE(uksm_queue[q].nr);
}

static void uksm_work_pop(enum uksm_work_queue q)
{
	if (++uksm_queue[q].first == uksm_work_max)
		uksm_queue[q].first = 0;
	WRITE_ONCE(uksm_queue[q].nr, uksm_queue[q].nr - 1);
}

/**
 * uksm_work_take() - take what waits longest, if it is due
 * @q: the queue
 * @work: the work
 * @due: when it will be due, if it is not
 *
 * Context: takes uksm_mutex.
 * Return: 0; -EAGAIN: not due yet; -ENOENT: there is none.
 */
int uksm_work_take(enum uksm_work_queue q, struct uksm_work *work, u64 *due)
{
	int err = -ENOENT;

	if (uksm_work_none(q))
		return err;
	mutex_lock(&uksm_mutex);
	if (uksm_queue[q].nr) {
		*due = uksm_work_at(q, 0)->due;
		err = *due && *due > ktime_get_ns() ? -EAGAIN : 0;
		if (!err) {
			*work = *uksm_work_at(q, 0);
			uksm_work_pop(q);
		}
	}
	mutex_unlock(&uksm_mutex);
	return err;
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
	work = uksm_work_at(q, n);
	WRITE_ONCE(uksm_queue[q].nr, n + 1);
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

	if (space)
		uksm_space_region_freshen(space, addr);
}

static struct uksm_work *uksm_work_add(u32 space, unsigned long addr)
{
	struct uksm_work *work = uksm_work_get(UKSM_WORK_URGENT, space,
					       addr >> UKSM_REGION_SHIFT);

	if (work)
		__set_bit((addr & ~UKSM_REGION_MASK) >> PAGE_SHIFT, work->want);
	else
		uksm_work_defer(space, addr);
	return work;
}

/**
 * uksm_work_add_page() - visit a page at once
 * @space: id of its space
 * @addr: its address
 *
 * Context: uksm_mutex held.
 */
void uksm_work_add_page(u32 space, unsigned long addr)
{
	uksm_work_add(space, addr);
}

/**
 * uksm_work_add_later() - visit a page when another scan thread had time
 * @space: id of its space
 * @addr: its address
 *
 * Context: uksm_mutex held.
 */
void uksm_work_add_later(u32 space, unsigned long addr)
{
	struct uksm_work *work = uksm_work_add(space, addr);

	if (work)
		work->due = ktime_get_ns() + UKSM_LATER_NS;
}

/**
 * uksm_work_put_back() - another scan thread is at that region
 * @q: the queue
 * @work: what was taken
 *
 * Context: takes uksm_mutex.
 */
void uksm_work_put_back(enum uksm_work_queue q, const struct uksm_work *work)
{
	struct uksm_work *same;

	mutex_lock(&uksm_mutex);
	same = uksm_work_get(q, work->space, work->nr);
	if (same) {
		same->due = max(same->due, ktime_get_ns() + UKSM_LATER_NS);
		bitmap_or(same->want, same->want, work->want,
			  UKSM_REGION_PAGES);
	} else {
		uksm_work_defer(work->space, work->nr << UKSM_REGION_SHIFT);
	}
	mutex_unlock(&uksm_mutex);
}

/**
 * uksm_work_add_second() - have a second look at pages when they had time
 * @space: id of their space
 * @base: their region
 * @want: which
 *
 * Context: uksm_mutex held.
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
	work->due = ktime_get_ns() +
		    NSEC_PER_MSEC * uksm_pace_settle_ms(
					    READ_ONCE(uksm_settings.governor));
	bitmap_or(work->want, work->want, want, UKSM_REGION_PAGES);
}

/**
 * uksm_work_drop() - leave all that waits for the next round
 *
 * Context: uksm_sem held for writing.
 */
void uksm_work_drop(void)
{
	int q;

	uksm_assert_exclusive();
	for (q = 0; q < UKSM_WORK_QUEUES; q++) {
		while (uksm_queue[q].nr) {
			struct uksm_work *work = uksm_work_at(q, 0);

			uksm_work_defer(work->space,
					work->nr << UKSM_REGION_SHIFT);
			uksm_work_pop(q);
		}
	}
}

/**
 * uksm_work_resize() - have the queues fit
 * @threads: scan threads that use them; 0: free them, there is none any more
 *
 * What waits is left for the next round.
 *
 * Context: uksm_sem held for writing; may sleep.
 * Return: 0, or -ENOMEM: then all is as it was.
 */
int uksm_work_resize(unsigned int threads)
{
	size_t max = threads * UKSM_WORK_PER_THREAD;
	struct uksm_work *work = NULL;
	int q;

	uksm_assert_exclusive();
	if (max == uksm_work_max)
		return 0;
	if (max) {
		work = kvmalloc_array(max, UKSM_WORK_QUEUES * sizeof(*work),
				      GFP_KERNEL);
		if (!work)
			return -ENOMEM;
	}
	uksm_work_drop();
	kvfree(uksm_queue[0].work);
	uksm_metadata_add(((long)max - (long)uksm_work_max) *
			  (long)(UKSM_WORK_QUEUES * sizeof(*work)));
	for (q = 0; q < UKSM_WORK_QUEUES; q++) {
		uksm_queue[q].first = 0;
		uksm_queue[q].work = work ? work + q * max : NULL;
	}
	uksm_work_max = max;
	return 0;
}
