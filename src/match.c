// SPDX-License-Identifier: GPL-2.0
/*
 * match.c - what to do with a page: ask the index
 *
 * A page is first looked up by its sample. Where another page with the same
 * sample turns up, the sample is marked as crowded, and from then on pages
 * with it are told apart by the fingerprint of the whole page; the other one
 * is visited at once and finds its place under that. So the whole page is read
 * only where four cache lines of it have been seen elsewhere.
 *
 * A page whose full fingerprint belongs to a frame asks to be merged into it.
 * One that meets another page gets a frame made from its content, and the
 * other's place is visited at once and meets the frame. There is one way to
 * merge.
 *
 * Owns the index. Under uksm_mutex.
 */
#include <linux/hash.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "digest.h"
#include "frame.h"
#include "index.h"
#include "match.h"
#include "merge.h"
#include "rmap.h"
#include "walk.h"
#include "work.h"

static struct uksm_index uksm_index;

/* ---- the index as a whole --------------------------------------------- */

static bool uksm_match_setup(u32 buckets)
{
	size_t size = (size_t)buckets * sizeof(struct uksm_bucket);
	struct uksm_index old = uksm_index;
	struct uksm_bucket *bucket;

	bucket = __vmalloc(size, GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN |
					 __GFP_NORETRY);
	if (!bucket)
		return false;
	uksm_metadata_add(size);
	uksm_index_setup(&uksm_index, bucket, buckets);
	if (!old.bucket)
		return true;
	if (!uksm_index_move(&uksm_index, &old))
		uksm_spaces_forget();
	uksm_frames_reindex();
	vfree(old.bucket);
	uksm_metadata_add(-(long)(old.nr * sizeof(struct uksm_bucket)));
	return true;
}

int __init uksm_match_init(void)
{
	return uksm_match_setup(UKSM_INDEX_MIN_BUCKETS) ? 0 : -ENOMEM;
}

void uksm_match_exit(void)
{
	vfree(uksm_index.bucket);
}

/**
 * uksm_match_resize() - make the index fit
 * @pages: pages that may come
 *
 * An eighth too small or too large is left as it is. Without memory the
 * index stays as it is, and old entries make room for new ones.
 *
 * Context: may sleep.
 */
void uksm_match_resize(u64 pages)
{
	u32 want = uksm_index_want(pages);

	if (want > uksm_index.nr + uksm_index.nr / 8 ||
	    want < uksm_index.nr - uksm_index.nr / 8)
		uksm_match_setup(want);
}

/**
 * uksm_match_drop() - back to an empty, small index
 *
 * Context: may sleep.
 */
void uksm_match_drop(void)
{
	size_t size = uksm_index.nr * sizeof(struct uksm_bucket);

	memset(uksm_index.bucket, 0, size);
	uksm_index.used = 0;
	uksm_frames_reindex();
	uksm_match_resize(0);
}

/**
 * uksm_match_new_round() - marks get older
 */
void uksm_match_new_round(void)
{
	uksm_index.round++;
}

static u64 *uksm_index_find_sample(u64 sample)
{
	u64 *slot = NULL;

	do {
		slot = uksm_index_next(&uksm_index, sample, slot);
	} while (slot && uksm_val_type(*slot) == UKSM_VAL_FRAME);
	return slot;
}

/* By the full fingerprint: a frame with it, or a place that may have it. */
static u64 *uksm_index_find_full(u64 key)
{
	struct uksm_frame *frame;
	u64 *slot = NULL, *place = NULL;

	while ((slot = uksm_index_next(&uksm_index, key, slot))) {
		if (uksm_val_type(*slot) == UKSM_VAL_FRAME) {
			frame = uksm_val_to_frame(*slot);
			if (frame->key == key)
				return slot;
		} else if (uksm_val_type(*slot) == UKSM_VAL_PLACE) {
			place = slot;
		}
	}
	return place;
}

/* An entry that leads nowhere, or to this place already, is its from now on. */
static void uksm_index_here(u64 *slot, u64 self)
{
	*slot = self;
	uksm_index_touch(&uksm_index, slot);
}

/*
 * Have the sample marked, so that pages with it are told apart by the whole
 * page. The page that had it for itself until now is visited again at once.
 */
static void uksm_index_mark(u64 sample, u64 *slot)
{
	u64 other = slot ? *slot : 0;

	if (!slot) {
		uksm_index_insert(&uksm_index, sample,
				  uksm_val_mark(&uksm_index));
		return;
	}
	*slot = uksm_val_mark(&uksm_index);
	if (uksm_val_type(other) == UKSM_VAL_PLACE)
		uksm_work_add_page(uksm_val_space(other), uksm_val_addr(other));
}

/**
 * uksm_match_refresh() - see to it that a frame can be found
 * @frame: a frame that lives
 * @mapcount: how often it is mapped
 */
void uksm_match_refresh(struct uksm_frame *frame, unsigned int mapcount)
{
	u64 *slot;

	if (mapcount >= READ_ONCE(uksm_settings.max_page_sharing))
		return;
	if (!frame->indexed) {
		slot = uksm_index_find_full(frame->key);
		if (slot && *slot == uksm_val_frame(frame)) {
			frame->indexed = true;
		} else if (slot && uksm_val_type(*slot) == UKSM_VAL_PLACE) {
			*slot = uksm_val_frame(frame);
			frame->indexed = true;
		} else if (!slot) {
			frame->indexed = uksm_index_insert(
				&uksm_index, frame->key, uksm_val_frame(frame));
		}
	}
	uksm_index_mark(frame->sample, uksm_index_find_sample(frame->sample));
}

/**
 * uksm_match_forget() - take a frame out of the index
 * @frame: the frame
 */
void uksm_match_forget(struct uksm_frame *frame)
{
	/* Whatever @indexed says: after a change of size it is not known. */
	uksm_index_erase(&uksm_index, frame->key, uksm_val_frame(frame));
	frame->indexed = false;
}

/* ---- one page --------------------------------------------------------- */

/* Does an entry name a place that is not there any more? */
static bool uksm_val_stale(u64 val)
{
	return uksm_val_type(val) == UKSM_VAL_PLACE &&
	       !uksm_space_find(uksm_val_space(val));
}

/* Is a place in what was a huge page when it was last looked at? */
static bool uksm_val_huge(u64 val)
{
	struct uksm_space *space = uksm_space_find(uksm_val_space(val));
	struct uksm_region *r;

	r = space ? uksm_space_region(space, uksm_val_addr(val)) : NULL;
	return r && r->huge;
}

static void uksm_batch_add(struct uksm_batch *batch, struct uksm_page *page,
			   struct uksm_frame *frame, struct folio *kfolio)
{
	batch->req[batch->nr++] = (struct uksm_req){
		.folio = page->folio,
		.addr = page->addr,
		.frame = frame,
		.kfolio = kfolio,
		.state = UKSM_REQ_WAITING,
	};
	if (frame)
		frame->pending++;
}

/* A frame for this page's content takes over @slot. */
static bool uksm_match_new_frame(struct uksm_visit *v, struct uksm_page *page,
				 u64 *slot, struct uksm_batch *batch)
{
	struct uksm_frame *frame;

	if (v->full)
		return false;
	frame = uksm_frame_create(v->mm, folio_nid(page->folio));
	if (!frame) {
		v->full = true;
		return false;
	}
	frame->key = page->full;
	frame->sample = page->sample;
	*slot = uksm_val_frame(frame);
	frame->indexed = true;
	uksm_batch_add(batch, page, frame, NULL);
	return true;
}

/*
 * May the page be merged into a frame that lives? Not if it was lazily freed by
 * its only owner, or is poisoned, or has moved to a node it is not to serve.
 */
static bool uksm_match_fits(struct uksm_page *page, struct folio *kfolio)
{
	return folio_test_swapbacked(kfolio) && !folio_test_hwpoison(kfolio) &&
	       (READ_ONCE(uksm_settings.across_nodes) ||
		folio_nid(kfolio) == folio_nid(page->folio));
}

/* The index has a frame for this content. */
static void uksm_match_frame(struct uksm_visit *v, struct uksm_page *page,
			     u64 *slot, struct uksm_batch *batch)
{
	struct uksm_frame *frame = uksm_val_to_frame(*slot);
	unsigned int max = READ_ONCE(uksm_settings.max_page_sharing);
	struct folio *kfolio = NULL;
	unsigned int mapped = 0;
	unsigned long dead;

	if (!frame->folio) {
		kfolio = uksm_frame_get(frame, &dead);
		if (!kfolio && dead == ULONG_MAX)
			return; /* on the move */
		if (!kfolio) { /* dead, and not yet swept */
			frame->indexed = false;
			uksm_index_here(slot, uksm_val_place(v->space->id,
							     page->addr));
			return;
		}
		mapped = uksm_match_fits(page, kfolio) ?
				 uksm_folio_mapcount(kfolio) :
				 max;
	}
	if (mapped + frame->pending < max) {
		uksm_batch_add(batch, page, frame, kfolio);
		return;
	}
	if (kfolio)
		folio_put(kfolio);
	if (uksm_match_new_frame(v, page, slot, batch))
		frame->indexed = false;
}

/* Told apart by the sample. Return: false if that is not enough. */
static bool uksm_match_sample(struct uksm_visit *v, struct uksm_page *page)
{
	u64 self = uksm_val_place(v->space->id, page->addr);
	u64 *slot = uksm_index_find_sample(page->sample);

	if (!slot) {
		uksm_index_insert(&uksm_index, page->sample, self);
		return true;
	}
	if (*slot == self || uksm_val_stale(*slot)) {
		uksm_index_here(slot, self);
		return true;
	}
	uksm_index_mark(page->sample, slot);
	return false;
}

/*
 * The fingerprint of a page with the node it is on, unless a frame may serve
 * all nodes.
 */
static u64 uksm_match_key(u64 fingerprint, struct folio *folio)
{
	if (READ_ONCE(uksm_settings.across_nodes))
		return fingerprint;
	return fingerprint ^ hash_64(folio_nid(folio) + 1, 64);
}

/**
 * uksm_match_still() - has a page still the content it was looked up with?
 * @frame: a new frame, made for that content
 * @folio: the page; it cannot change any more
 * @seed: of its space
 *
 * A frame that took another content would not be found by pages that have it,
 * and would be tried in vain by those that have the old one.
 *
 * Return: whether it has.
 */
bool uksm_match_still(const struct uksm_frame *frame, struct folio *folio,
		      u64 seed)
{
	const void *addr = kmap_local_folio(folio, 0);
	u64 key = uksm_match_key(uksm_digest_full(addr, seed), folio);

	kunmap_local((void *)addr);
	return key == frame->key;
}

/*
 * What else has this content: a frame or another place. NULL if nothing has;
 * then the page is in the index.
 */
static u64 *uksm_match_other(struct uksm_visit *v, struct uksm_page *page,
			     const void *addr)
{
	u64 self = uksm_val_place(v->space->id, page->addr);
	u64 *slot;

	page->sample = uksm_match_key(page->sample, page->folio);
	if (uksm_match_sample(v, page))
		return NULL;
	page->full = uksm_match_key(uksm_digest_full(addr, v->space->seed),
				    page->folio);
	slot = uksm_index_find_full(page->full);
	if (!slot) {
		uksm_index_insert(&uksm_index, page->full, self);
		return NULL;
	}
	if (*slot == self || uksm_val_stale(*slot)) {
		uksm_index_here(slot, self);
		return NULL;
	}
	return slot;
}

/* Another has this content: share it. */
static void uksm_match_share(struct uksm_visit *v, struct uksm_page *page,
			     u64 *slot, struct uksm_batch *batch)
{
	u64 other = *slot;

	if (uksm_val_type(other) == UKSM_VAL_FRAME) {
		uksm_match_frame(v, page, slot, batch);
	} else if (uksm_val_huge(other)) {
		/* It is for the huge page to say whether it can be merged. */
		uksm_index_here(slot, uksm_val_place(v->space->id, page->addr));
		uksm_work_add_page(uksm_val_space(other), uksm_val_addr(other));
	} else if (uksm_match_new_frame(v, page, slot, batch)) {
		uksm_work_add_page(uksm_val_space(other), uksm_val_addr(other));
	}
}

/*
 * Somebody else writes to this space, so the dirty bit says nothing: has the
 * page changed since the last look? Return: whether to go on with it.
 */
static bool uksm_match_settled(struct uksm_visit *v, unsigned int i, u64 sample)
{
	u16 sum = sample ^ sample >> 16 ^ sample >> 32 ^ sample >> 48;

	sum = sum ?: 1; /* 0: never looked at */
	if (v->region->sum[i] != sum) {
		v->region->sum[i] = sum;
		v->dirty++;
		if (v->flags & UKSM_VISIT_AGE)
			__set_bit(i, v->aged);
		return false;
	}
	v->clean++;
	return (v->flags & UKSM_VISIT_ALL) || test_bit(i, v->want);
}

/*
 * May a page of zeros become the zero page? Where a file lies behind, a hole
 * punched into the file or a write around the cache unmaps what is no anonymous
 * page, and the file's bytes would come in place of the zeros.
 */
static bool uksm_match_zero(struct uksm_visit *v, struct uksm_page *page,
			    struct vm_area_struct *vma, const void *addr)
{
	return page->sample == v->space->zero_sample && vma_is_anonymous(vma) &&
	       READ_ONCE(uksm_settings.use_zero_pages) &&
	       !memchr_inv(addr, 0, PAGE_SIZE);
}

static void uksm_match_page(struct uksm_visit *v, struct uksm_page *page,
			    struct vm_area_struct *vma,
			    struct uksm_batch *batch)
{
	struct uksm_space *space = v->space;
	const void *addr = kmap_local_folio(page->folio, 0);
	u64 *slot;

	page->sample = uksm_digest_sample(addr, space->seed);
	if (space->opaque &&
	    !uksm_match_settled(v, uksm_page_nr(page->addr), page->sample))
		goto out;
	if (uksm_match_zero(v, page, vma, addr)) {
		uksm_batch_add(batch, page, NULL, NULL);
		goto out;
	}
	slot = uksm_match_other(v, page, addr);
	if (slot)
		uksm_match_share(v, page, slot, batch);
out:
	kunmap_local((void *)addr);
}

/**
 * uksm_match_huge() - how much of a huge page would merge?
 * @v: the visit of its region, which has sums
 * @vma: the area it is in
 * @folio: the huge page, referenced
 *
 * Return: pages that have an equal.
 */
unsigned int uksm_match_huge(struct uksm_visit *v, struct vm_area_struct *vma,
			     struct folio *folio)
{
	bool all = (v->flags & UKSM_VISIT_ALL) ||
		   !bitmap_empty(v->want, UKSM_REGION_PAGES);
	unsigned int i, equal = 0;

	for (i = 0; i < UKSM_REGION_PAGES; i++) {
		struct uksm_page page = {
			.folio = folio,
			.addr = v->base + i * PAGE_SIZE,
		};
		void *addr = kmap_local_folio(folio, i * PAGE_SIZE);
		unsigned int clean = v->clean;

		page.sample = uksm_digest_sample(addr, v->space->seed);
		uksm_match_settled(v, i, page.sample);
		if (all && v->clean != clean &&
		    !uksm_page_is_tagged(folio_page(folio, i)) &&
		    (uksm_match_zero(v, &page, vma, addr) ||
		     uksm_match_other(v, &page, addr)))
			equal++;
		kunmap_local(addr);
		if (!(i % 64))
			cond_resched();
	}
	return equal;
}

/* A mapping of a frame that came by other ways than a merge: have it found. */
static void uksm_match_adopt(struct uksm_page *page, struct vm_area_struct *vma)
{
	struct uksm_rmap_item *item;
	struct uksm_frame *frame;

	item = uksm_rmap_item_alloc();
	if (!item)
		return;
	if (folio_trylock(page->folio)) {
		frame = uksm_frame_of(page->folio);
		if (frame && uksm_rmap_item_add(frame, item, vma, page->addr))
			item = NULL;
		folio_unlock(page->folio);
	}
	uksm_rmap_item_free(item);
}

/**
 * uksm_match_visit() - decide about the pages that a visit has taken
 * @v: the visit; its @page is emptied, references included
 * @vma: the area they are in
 * @batch: what is to be merged; each request has the reference of its page
 *
 * Context: mmap_lock held for reading; may sleep.
 */
void uksm_match_visit(struct uksm_visit *v, struct vm_area_struct *vma,
		      struct uksm_batch *batch)
{
	unsigned int i, before;

	for (i = 0; i < min(v->nr, 8U); i++)
		uksm_digest_prefetch(folio_address(v->page[i].folio),
				     v->space->seed);
	for (i = 0; i < v->nr; i++) {
		struct uksm_page *page = &v->page[i];

		if (i + 8 < v->nr)
			uksm_digest_prefetch(
				folio_address(v->page[i + 8].folio),
				v->space->seed);
		if (!(i % 64))
			cond_resched();
		if (folio_test_ksm(page->folio)) {
			if (uksm_folio_is_frame(page->folio))
				uksm_match_adopt(page, vma);
			folio_put(page->folio);
			continue;
		}
		before = batch->nr;
		uksm_match_page(v, page, vma, batch);
		if (batch->nr == before)
			folio_put(page->folio);
	}
	v->nr = 0;
}
