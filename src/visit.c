// SPDX-License-Identifier: GPL-2.0
/*
 * visit.c - one visit of a region
 *
 * Reads its page table (walk.c), asks the index about what has come to rest
 * (match.c), has merged what is equal (merge.c), and takes note of it. A visit
 * is the first look of a round, or a later one at some of its pages that
 * work.c has kept.
 *
 * Under uksm_mutex, which is held for one visit at a time.
 */
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "headroom.h"
#include "huge.h"
#include "match.h"
#include "merge.h"
#include "space.h"
#include "visit.h"
#include "walk.h"
#include "work.h"

/* Areas and regions passed over under one hold of mmap_lock, at most. */
#define UKSM_PASS_MAX 64
/* Addresses searched for a page table in one go. */
#define UKSM_PASS_SIZE (64UL << 30)

/* Scratch of the visit under way. */
static struct uksm_visit *uksm_visit;
static struct uksm_batch *uksm_batch;

/* Take note of what became of a request. */
static void uksm_visit_settle(struct uksm_visit *v, struct uksm_req *req)
{
	unsigned int i = uksm_page_nr(req->addr);

	if (req->state == UKSM_REQ_BUSY)
		v->busy++;
	if (req->state != UKSM_REQ_MERGED)
		return;
	v->merged++;
	if (req->frame) {
		uksm_stats.mappings++;
	} else {
		__set_bit(i, v->zero);
		uksm_region_zero_set(v->region, i);
	}
}

static void uksm_visit_area(struct uksm_visit *v, struct vm_area_struct *vma)
{
	unsigned long start = max(v->base, vma->vm_start);
	unsigned long end = min(v->base + UKSM_REGION_SIZE, vma->vm_end);
	struct uksm_batch *batch = uksm_batch;
	unsigned int i;

	uksm_walk_collect(v, vma, start, end);
	if (!v->nr)
		return;
	batch->seed = v->space->seed;
	batch->nr = 0;
	uksm_match_visit(v, vma, batch);
	if (!batch->nr)
		return;
	for (i = 0; i < batch->nr; i++) {
		if (!batch->req[i].frame && !uksm_region_zero_init(v->region))
			batch->req[i].state = UKSM_REQ_BUSY;
	}
	uksm_merge_batch(vma, batch);
	for (i = 0; i < batch->nr; i++) {
		uksm_visit_settle(v, &batch->req[i]);
		folio_put(batch->req[i].folio);
	}
}

/* Nothing more may be merged for now: take no pages, but another time. */
static void uksm_visit_defer(struct uksm_visit *v)
{
	if (v->flags & (UKSM_VISIT_ALL | UKSM_VISIT_WANT))
		v->region->fresh = 1;
	v->flags &= ~(UKSM_VISIT_ALL | UKSM_VISIT_WANT);
	bitmap_zero(v->want, UKSM_REGION_PAGES);
}

/* Visit the areas of a region. mmap_lock held for reading. */
static void uksm_visit_region(struct uksm_visit *v)
{
	struct vm_area_struct *vma;
	unsigned long addr = v->base;

	v->pages = 0;
	v->clean = 0;
	v->dirty = 0;
	v->skipped = 0;
	v->merged = 0;
	v->busy = 0;
	v->full = false;
	v->nr = 0;
	bitmap_zero(v->aged, UKSM_REGION_PAGES);
	bitmap_zero(v->zero, UKSM_REGION_PAGES);
	v->region->huge = 0;
	if (uksm_headroom_short())
		uksm_visit_defer(v);
	while (addr < v->base + UKSM_REGION_SIZE) {
		vma = find_vma(v->mm, addr);
		if (!vma || vma->vm_start >= v->base + UKSM_REGION_SIZE)
			break;
		if (uksm_space_takes(v->space, vma) && uksm_huge_visit(v, vma))
			uksm_visit_area(v, vma);
		addr = vma->vm_end;
	}
	uksm_region_zero_keep(v->region, v->zero);
	if (!bitmap_empty(v->aged, UKSM_REGION_PAGES))
		uksm_work_add_second(v->space->id, v->base, v->aged);
	uksm_stats.merged += v->merged;
	/* Busy pages get a few more tries, in the next rounds. */
	if (!v->busy) {
		v->region->retried = 0;
	} else if (v->region->retried < 3) {
		v->region->retried++;
		v->region->fresh = 1;
	}
}

/* The first visit of a region in a round. */
static void uksm_look_region(struct uksm_visit *v, enum uksm_region_due due)
{
	v->flags = UKSM_VISIT_AGE;
	if (due == UKSM_REGION_ALL)
		v->flags |= UKSM_VISIT_ALL;
	bitmap_zero(v->want, UKSM_REGION_PAGES);
	uksm_visit_region(v);
	uksm_stats.pages_scanned += v->pages;
	uksm_region_count(v->region, v->clean - v->merged, v->dirty,
			  v->skipped);
	if (bitmap_empty(v->aged, UKSM_REGION_PAGES))
		uksm_region_account(v->region, v->pages, 0);
}

/* Find the next region that is due and look at it. mmap_lock held. */
static bool uksm_look_next(struct uksm_visit *v)
{
	struct uksm_space *space = v->space;
	struct vm_area_struct *vma;
	unsigned long addr, end;
	enum uksm_region_due due;
	int passed = 0;

	for (;;) {
		vma = find_vma(v->mm, space->cursor);
		if (!vma)
			return false;
		addr = max(space->cursor, vma->vm_start);
		end = vma->vm_end;
		if (end - addr > UKSM_PASS_SIZE)
			end = addr + UKSM_PASS_SIZE;
		if (!uksm_space_takes(space, vma)) {
			space->cursor = vma->vm_end;
			if (++passed == UKSM_PASS_MAX)
				return true;
			continue;
		}
		if (!uksm_walk_next(v->mm, &addr, end)) {
			space->cursor = end;
			return true;
		}
		v->base = addr & UKSM_REGION_MASK;
		space->cursor = v->base + UKSM_REGION_SIZE;
		v->region = uksm_space_region_get(space, addr);
		if (!v->region)
			return true; /* no memory: next time */
		v->region->seen = 1;
		v->region->splits = 0;
		due = uksm_region_due(v->region);
		if (due != UKSM_REGION_SKIP) {
			uksm_look_region(v, due);
			return true;
		}
		if (++passed == UKSM_PASS_MAX)
			return true;
	}
}

/*
 * Get hold of an mm for a visit. Not as one of its users: then its memory would
 * be freed by us, after the process has vanished, and the OOM killer would look
 * for another victim in the meantime. exit_mmap() unmaps beside us, which
 * mmap_lock for reading allows, and takes it for writing before it frees page
 * tables and areas: so they stay for as long as we hold it, if there was a user
 * when we got it. Return: 0, -ESRCH, -EAGAIN.
 */
static int uksm_visit_begin(struct uksm_visit *v, struct uksm_space *space)
{
	if (!atomic_read(&space->mm->mm_users))
		return -ESRCH;
	if (!mmap_read_trylock(space->mm))
		return -EAGAIN;
	if (!atomic_read(&space->mm->mm_users)) {
		mmap_read_unlock(space->mm);
		return -ESRCH;
	}
	v->space = space;
	v->mm = space->mm;
	return 0;
}

static void uksm_visit_end(struct uksm_visit *v)
{
	mmap_read_unlock(v->mm);
}

/**
 * uksm_visit_next() - one step through a space: look at the next region due
 * @space: the space
 *
 * Context: uksm_mutex held; may sleep.
 * Return: 0; 1: the round is through with it; -EAGAIN: it is busy; -ESRCH: its
 * processes are gone.
 */
int uksm_visit_next(struct uksm_space *space)
{
	int err = uksm_visit_begin(uksm_visit, space);
	bool more;

	if (err)
		return err;
	more = uksm_look_next(uksm_visit);
	uksm_visit_end(uksm_visit);
	return !more;
}

/**
 * uksm_visit_again() - visit the pages of the first work of a queue
 * @q: the queue, not empty
 *
 * Context: uksm_mutex held; may sleep.
 */
void uksm_visit_again(enum uksm_work_queue q)
{
	struct uksm_work work = *uksm_work_first(q);
	unsigned long base = work.nr << UKSM_REGION_SHIFT;
	struct uksm_space *space = uksm_space_find(work.space);
	struct uksm_region *r = space ? uksm_space_region(space, base) : NULL;
	struct uksm_visit *v = uksm_visit;
	int unshared;

	/* First of all: the visit may add to the queue. */
	uksm_work_pop(q);
	if (!r || (space->opaque && !r->sum))
		return;
	if (uksm_visit_begin(v, space)) {
		r->fresh = 1;
		return;
	}
	v->base = base;
	v->region = r;
	v->flags = UKSM_VISIT_WANT;
	bitmap_copy(v->want, work.want, UKSM_REGION_PAGES);
	uksm_visit_region(v);
	uksm_visit_end(v);

	unshared = (int)r->unshared - (int)v->merged;
	if (q == UKSM_WORK_SECOND) {
		unshared += (int)r->restless - (int)v->dirty;
		uksm_region_count(r, unshared, v->dirty, r->skipped);
		uksm_region_account(r, v->pages, v->dirty);
	} else {
		uksm_region_count(r, unshared, r->restless, r->skipped);
	}
}

/**
 * uksm_visits_init() - scratch memory
 *
 * Return: 0 or -ENOMEM.
 */
int __init uksm_visits_init(void)
{
	uksm_visit = kvzalloc(sizeof(*uksm_visit), GFP_KERNEL);
	uksm_batch = kvzalloc(sizeof(*uksm_batch), GFP_KERNEL);
	if (!uksm_visit || !uksm_batch) {
		uksm_visits_exit();
		return -ENOMEM;
	}
	uksm_metadata_add(sizeof(*uksm_visit) + sizeof(*uksm_batch) +
			  uksm_work_size());
	return 0;
}

void uksm_visits_exit(void)
{
	kvfree(uksm_visit);
	kvfree(uksm_batch);
}
