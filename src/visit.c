// SPDX-License-Identifier: GPL-2.0
/*
 * visit.c - one visit of a region
 *
 * Reads its page table (walk.c), asks the index about what has come to rest
 * (match.c), has merged what is equal (merge.c), and takes note of it. A visit
 * is the first look of a round, or a later one at some of its pages that
 * work.c has kept.
 *
 * With uksm_sem held for reading, for one visit at a time. A region is visited by
 * one scan thread at a time; a space, by as many as there are.
 */
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "frame.h"
#include "headroom.h"
#include "huge.h"
#include "index.h"
#include "lookup.h"
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

/* Visits under way. */
static atomic_t uksm_visits = ATOMIC_INIT(0);

/* Take note of what became of a request. uksm_mutex held. */
static void uksm_visit_settle(struct uksm_visit *v, struct uksm_req *req)
{
	unsigned int i = uksm_page_nr(req->addr);

	if (uksm_val_type(req->other) == UKSM_VAL_PLACE)
		uksm_work_add_page(uksm_val_space(req->other),
				   uksm_val_addr(req->other));
	if (req->state == UKSM_REQ_BUSY)
		v->busy++;
	if (req->state == UKSM_REQ_LATER)
		uksm_work_add_later(v->space->id, req->addr);
	if (req->state == UKSM_REQ_AGAIN) {
		uksm_work_add_page(v->space->id, req->addr);
		v->learnt++;
	}
	if (req->state < UKSM_REQ_MERGED)
		return;
	v->merged++;
	if (req->frame) {
		uksm_stats.mappings++;
		req->frame->mapped++;
	} else {
		__set_bit(i, v->zero);
		uksm_region_zero_set(v->region, i);
	}
}

static void uksm_visit_area(struct uksm_visit *v, struct vm_area_struct *vma)
{
	unsigned long start = max(v->base, vma->vm_start);
	unsigned long end = min(v->base + UKSM_REGION_SIZE, vma->vm_end);
	struct uksm_batch *batch = v->batch;
	unsigned int i;

	uksm_walk_collect(v, vma, start, end);
	if (!v->nr)
		return;
	batch->seed = v->space->seed;
	batch->nr = 0;
	batch->full = false;
	uksm_match_visit(v, vma);
	if (!batch->nr)
		return;
	for (i = 0; i < batch->nr; i++) {
		if (!batch->req[i].frame && !uksm_region_zero_init(v->region))
			batch->req[i].state = UKSM_REQ_BUSY;
	}
	uksm_merge_batch(vma, batch);

	mutex_lock(&uksm_mutex);
	uksm_merge_release(batch);
	for (i = 0; i < batch->nr; i++)
		uksm_visit_settle(v, &batch->req[i]);
	mutex_unlock(&uksm_mutex);

	for (i = 0; i < batch->nr; i++)
		batch->page[i] = &batch->req[i].folio->page;
	release_pages(batch->page, batch->nr);
	v->full |= batch->full;
}

/* Nothing more may be merged for now: take no pages, but another time. */
static void uksm_visit_defer(struct uksm_visit *v)
{
	if (v->flags & (UKSM_VISIT_ALL | UKSM_VISIT_WANT))
		WRITE_ONCE(v->region->fresh, true);
	v->flags &= ~(UKSM_VISIT_ALL | UKSM_VISIT_WANT);
	bitmap_zero(v->want, UKSM_REGION_PAGES);
}

/* The next area of the region from @addr on that the space takes, or NULL. */
static struct vm_area_struct *uksm_visit_next_area(struct uksm_visit *v,
						   unsigned long addr)
{
	unsigned long end = v->base + UKSM_REGION_SIZE;
	struct vm_area_struct *vma;

	for (; addr < end; addr = vma->vm_end) {
		vma = find_vma(v->mm, addr);
		if (!vma || vma->vm_start >= end)
			break;
		if (uksm_space_takes(v->space, vma))
			return vma;
	}
	return NULL;
}

/* A number for what its page table says now; 0 if that does not say enough. */
static u32 uksm_visit_print(struct uksm_visit *v)
{
	unsigned long end = v->base + UKSM_REGION_SIZE;
	struct vm_area_struct *vma;
	unsigned long addr = v->base;
	u64 print = 0;

	if (v->space->opaque)
		return 0;
	while ((vma = uksm_visit_next_area(v, addr))) {
		if (!uksm_walk_print(v, vma, max(v->base, vma->vm_start),
				     min(end, vma->vm_end), &print))
			return 0;
		addr = vma->vm_end;
	}
	return print >> 32;
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
	v->learnt = 0;
	v->full = false;
	v->nr = 0;
	bitmap_zero(v->aged, UKSM_REGION_PAGES);
	bitmap_zero(v->zero, UKSM_REGION_PAGES);
	v->huge = false;
	if (uksm_headroom_short())
		uksm_visit_defer(v);
	while ((vma = uksm_visit_next_area(v, addr))) {
		if (uksm_huge_visit(v, vma))
			uksm_visit_area(v, vma);
		addr = vma->vm_end;
	}
	WRITE_ONCE(v->region->huge, v->huge);
	mutex_lock(&uksm_mutex);
	if (v->flags & UKSM_VISIT_WHOLE)
		uksm_region_zero_keep(v->region, v->zero);
	if (!bitmap_empty(v->aged, UKSM_REGION_PAGES))
		uksm_work_add_second(v->space->id, v->base, v->aged);
	uksm_stats.merged += v->merged;
	mutex_unlock(&uksm_mutex);
	/* Busy pages get a few more tries, in the next rounds. */
	if (!v->busy) {
		v->region->retried = 0;
	} else if (v->region->retried < 3) {
		v->region->retried++;
		WRITE_ONCE(v->region->fresh, true);
	}
}

/* Was nothing found that is new, and nothing left to be done? */
static bool uksm_visit_found_nothing(struct uksm_visit *v)
{
	return bitmap_empty(v->aged, UKSM_REGION_PAGES) && !v->dirty &&
	       !v->skipped && !v->merged && !v->busy && !v->learnt && !v->full;
}

static void uksm_visit_scanned(struct uksm_visit *v, unsigned int pages)
{
	v->scanned += pages;
	atomic64_add(pages, &uksm_stats.pages_scanned);
}

static void uksm_visit_count(struct uksm_region *r, int unshared, int restless,
			     int skipped)
{
	mutex_lock(&uksm_mutex);
	uksm_region_count(r, unshared, restless, skipped);
	mutex_unlock(&uksm_mutex);
}

/* The first visit of a region in a round. */
static void uksm_look_region(struct uksm_visit *v, enum uksm_region_due due)
{
	struct uksm_region *r = v->region;
	u32 print = r->print || due == UKSM_REGION_LOOK ? uksm_visit_print(v) :
							  0;
	bool same = print && print == r->print, nothing;

	if (same && due == UKSM_REGION_LOOK) {
		uksm_visit_scanned(v, r->pages);
		return;
	}
	v->flags = UKSM_VISIT_AGE;
	if (due == UKSM_REGION_ALL)
		v->flags |= UKSM_VISIT_ALL;
	bitmap_zero(v->want, UKSM_REGION_PAGES);
	uksm_visit_region(v);
	uksm_visit_scanned(v, v->pages);
	uksm_visit_count(r, v->clean - v->merged, v->dirty, v->skipped);
	uksm_region_written(r, v->pages, v->dirty);
	if (bitmap_empty(v->aged, UKSM_REGION_PAGES))
		uksm_region_account(v->region, v->pages, 0);
	nothing = uksm_visit_found_nothing(v);
	r->print = nothing ? print : 0;
	r->pages = v->pages;
	uksm_region_calm(r, same && r->print);
	if (v->space->opaque)
		uksm_region_still(r, nothing);
}

/*
 * Find the next region that is due, and have it to oneself. mmap_lock and
 * space->step held. Return: what to do there; or UKSM_REGION_SKIP, with
 * *@err: 0, 1 or -EBUSY as uksm_visit_next().
 */
static enum uksm_region_due uksm_visit_find(struct uksm_visit *v, int *err)
{
	struct uksm_space *space = v->space;
	enum uksm_region_due due;
	struct vm_area_struct *vma;
	unsigned long addr, end;
	int passed;

	*err = 0;
	for (passed = 0; passed < UKSM_PASS_MAX;) {
		vma = find_vma(v->mm, space->cursor);
		if (!vma) {
			*err = 1;
			break;
		}
		addr = max(space->cursor, vma->vm_start);
		end = vma->vm_end;
		if (end - addr > UKSM_PASS_SIZE)
			end = addr + UKSM_PASS_SIZE;
		if (!uksm_space_takes(space, vma)) {
			space->cursor = vma->vm_end;
			passed++;
			continue;
		}
		if (!uksm_walk_next(v->mm, &addr, end)) {
			space->cursor = end;
			break;
		}
		*err = uksm_space_region_get(space, addr, &v->region);
		if (*err == -EBUSY)
			break;
		v->base = addr & UKSM_REGION_MASK;
		space->cursor = v->base + UKSM_REGION_SIZE;
		if (*err) { /* no memory: next time */
			*err = 0;
			break;
		}
		v->region->seen = 1;
		v->region->splits = 0;
		due = uksm_region_due(v->region, uksm_lookup_calm_max());
		if (due != UKSM_REGION_SKIP)
			return due;
		uksm_space_region_put(space, v->region);
		passed++;
	}
	return UKSM_REGION_SKIP;
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
	atomic_inc(&uksm_visits);
	return 0;
}

static void uksm_visit_end(struct uksm_visit *v)
{
	atomic_dec(&uksm_visits);
	mmap_read_unlock(v->mm);
}

/**
 * uksm_visit_next() - one step through a space: look at the next region due
 * @v: scratch
 * @space: the space
 *
 * Context: uksm_sem held for reading; may sleep.
 * Return: 0; 1: the round is through with it; -EAGAIN: it is busy; -EBUSY:
 * another scan thread is at the next region; -ESRCH: its processes are gone.
 */
int uksm_visit_next(struct uksm_visit *v, struct uksm_space *space)
{
	enum uksm_region_due due;
	int err = uksm_visit_begin(v, space);

	if (err)
		return err;
	mutex_lock(&space->step);
	due = uksm_visit_find(v, &err);
	mutex_unlock(&space->step);
	if (due != UKSM_REGION_SKIP) {
		uksm_look_region(v, due);
		uksm_space_region_put(space, v->region);
	}
	uksm_visit_end(v);
	return err;
}

/* The visit of work's pages in a region that is ours. */
static void uksm_visit_work(struct uksm_visit *v, struct uksm_space *space,
			    struct uksm_region *r, enum uksm_work_queue q,
			    const struct uksm_work *work)
{
	int unshared;

	if (space->opaque && !r->sum)
		return;
	if (uksm_visit_begin(v, space)) {
		WRITE_ONCE(r->fresh, true);
		return;
	}
	v->base = work->nr << UKSM_REGION_SHIFT;
	v->region = r;
	v->flags = UKSM_VISIT_WANT;
	bitmap_copy(v->want, work->want, UKSM_REGION_PAGES);
	uksm_visit_region(v);
	uksm_visit_end(v);
	if (!uksm_visit_found_nothing(v)) {
		r->print = 0;
		r->calm = 0;
		r->still = 0;
	}

	unshared = (int)r->unshared - (int)v->merged;
	if (q == UKSM_WORK_SECOND) {
		unshared += (int)r->restless - (int)v->dirty;
		uksm_visit_count(r, unshared, v->dirty, r->skipped);
		uksm_region_account(r, r->pages, v->dirty);
	} else {
		uksm_visit_count(r, unshared, r->restless, r->skipped);
	}
}

/**
 * uksm_visit_again() - visit the pages of a work
 * @v: scratch
 * @q: the queue it is from
 * @work: the work
 *
 * Context: uksm_sem held for reading; may sleep.
 * Return: 0, or -EBUSY: another scan thread is there.
 */
int uksm_visit_again(struct uksm_visit *v, enum uksm_work_queue q,
		     const struct uksm_work *work)
{
	struct uksm_space *space = uksm_space_find(work->space);
	struct uksm_region *r;
	int err;

	if (!space)
		return 0;
	err = uksm_space_region_take(space, work->nr << UKSM_REGION_SHIFT, &r);
	if (err)
		return err == -EBUSY ? err : 0;
	uksm_visit_work(v, space, r, q, work);
	uksm_space_region_put(space, r);
	return 0;
}

/**
 * uksm_visits_idle() - is no scan thread at a region?
 *
 * Context: any; the answer may age.
 * Return: whether none is.
 */
bool uksm_visits_idle(void)
{
	return !atomic_read(&uksm_visits);
}

/**
 * uksm_visit_create() - scratch memory for a scan thread
 *
 * Return: it, or NULL.
 */
struct uksm_visit *uksm_visit_create(void)
{
	struct uksm_visit *v = kvzalloc(sizeof(*v), GFP_KERNEL);

	if (!v)
		return NULL;
	v->batch = kvzalloc(sizeof(*v->batch), GFP_KERNEL);
	if (!v->batch) {
		kvfree(v);
		return NULL;
	}
	uksm_metadata_add(sizeof(*v) + sizeof(*v->batch));
	return v;
}

/**
 * uksm_visit_free() - give it back
 * @v: from uksm_visit_create()
 */
void uksm_visit_free(struct uksm_visit *v)
{
	uksm_metadata_add(-(long)(sizeof(*v) + sizeof(*v->batch)));
	uksm_frames_unstock(&v->stock);
	kvfree(v->batch);
	kvfree(v);
}
