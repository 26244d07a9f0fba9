// SPDX-License-Identifier: GPL-2.0
/*
 * share.c - have a page merged: into which frame?
 *
 * The one that the index has for its content, if there is room in it; or a new
 * one, which takes over the entry. What is decided is a request in the batch of
 * the visit, for merge.c.
 */
#include "frame.h"
#include "index.h"
#include "lookup.h"
#include "merge.h"
#include "share.h"
#include "walk.h"
#include "work.h"

/* Is a place in what was a huge page when it was last looked at? */
static bool uksm_val_huge(u64 val)
{
	struct uksm_space *space = uksm_space_find(uksm_val_space(val));

	return space && uksm_space_region_huge(space, uksm_val_addr(val));
}

/* Have a page merged. Its reference is the request's from now on. */
static struct uksm_req *uksm_share_request(struct uksm_batch *batch,
					   struct uksm_page *page,
					   struct uksm_frame *frame,
					   struct folio *kfolio)
{
	struct uksm_req *req = &batch->req[batch->nr++];

	*req = (struct uksm_req){
		.folio = page->folio,
		.addr = page->addr,
		.frame = frame,
		.kfolio = kfolio,
		.guess = page->key == page->sample,
		.state = UKSM_REQ_WAITING,
	};
	page->folio = NULL;
	if (frame)
		atomic_inc(&frame->pending);
	return req;
}

/*
 * A frame for this page's content takes over @slot, of a range that is locked. The
 * page that had it is visited when the frame is there.
 */
static bool uksm_share_new_frame(struct uksm_visit *v, struct uksm_page *page,
				 u64 *slot)
{
	struct uksm_batch *batch = v->batch;
	struct uksm_frame *frame;
	struct uksm_req *req;

	if (v->full)
		return false;
	frame = uksm_frame_create(batch, &v->stock);
	if (!frame) {
		v->full = true;
		return false;
	}
	frame->key = page->key;
	frame->sample = page->sample;
	frame->indexed = true;
	req = uksm_share_request(batch, page, frame, NULL);
	req->other = *slot;
	*slot = uksm_val_frame(frame);
	return true;
}

/*
 * May the page be merged into a frame that lives? Not if it was lazily freed by
 * its only owner, or is poisoned, or has moved to a node it is not to serve.
 */
static bool uksm_share_fits(struct uksm_page *page, struct folio *kfolio)
{
	return folio_test_swapbacked(kfolio) && !folio_test_hwpoison(kfolio) &&
	       (READ_ONCE(uksm_settings.across_nodes) ||
		folio_nid(kfolio) == folio_nid(page->folio));
}

/*
 * Has a frame room for one more mapper? @kfolio: its folio, or NULL if it is being
 * made. What is added meanwhile is counted once or twice.
 */
static bool uksm_share_has_room(struct uksm_frame *frame, struct folio *kfolio)
{
	int mapped = atomic_read(&frame->pending);

	smp_rmb(); /* pairs with the order in uksm_merge_release() */
	if (kfolio)
		mapped += uksm_folio_mapcount(kfolio);
	return mapped < READ_ONCE(uksm_settings.max_page_sharing);
}

/* If there is room, and nothing else to be said against it. */
static bool uksm_share_with(struct uksm_visit *v, struct uksm_page *page,
			    struct uksm_frame *frame, struct folio *kfolio)
{
	if (!uksm_share_fits(page, kfolio) ||
	    !uksm_share_has_room(frame, kfolio))
		return false;
	uksm_share_request(v->batch, page, frame, kfolio);
	return true;
}

/**
 * uksm_share_zero() - have a page of zeros become the zero page
 * @v: the visit
 * @page: the page
 *
 * Context: any.
 */
void uksm_share_zero(struct uksm_visit *v, struct uksm_page *page)
{
	uksm_share_request(v->batch, page, NULL, NULL);
}

/**
 * uksm_share_join() - have a page merged into a frame that is ready for it
 * @v: the visit
 * @page: the page
 * @frame: what the index has for its content
 *
 * Context: the range of the page's key is locked.
 * Return: whether it will be; if not, uksm_share() may find a way.
 */
bool uksm_share_join(struct uksm_visit *v, struct uksm_page *page,
		     struct uksm_frame *frame)
{
	struct folio *kfolio;
	unsigned long dead;

#ifndef UKSM_MUTANT_MAKING
	/* Pairs with uksm_merge_release(). */
	if (smp_load_acquire(&frame->making))
		return false;
#endif
	kfolio = uksm_frame_get(frame, &dead);
	if (!kfolio)
		return false;
	if (uksm_share_with(v, page, frame, kfolio))
		return true;
	folio_put(kfolio);
	return false;
}

/* The index has a frame for this content. Its range is locked. */
static void uksm_share_frame(struct uksm_visit *v, struct uksm_page *page,
			     u64 *slot)
{
	struct uksm_frame *frame = uksm_val_to_frame(*slot);
	struct folio *kfolio;
	unsigned long dead;

#ifndef UKSM_MUTANT_MAKING
	if (frame->making && frame->owner != v->batch) {
		uksm_work_add_later(v->space->id, page->addr);
		return;
	}
#endif
	if (frame->making) {
		if (uksm_share_has_room(frame, NULL)) {
			uksm_share_request(v->batch, page, frame, NULL);
			return;
		}
	} else {
		kfolio = uksm_frame_get(frame, &dead);
		if (!kfolio && dead == ULONG_MAX) { /* on the move */
			v->busy++;
			return;
		}
		if (!kfolio) { /* dead, and not yet swept */
			frame->indexed = false;
			uksm_lookup_here(slot,
					 uksm_val_place(v->space->id,
							page->addr, page->key));
			return;
		}
		if (uksm_share_with(v, page, frame, kfolio))
			return;
		folio_put(kfolio);
	}
	if (uksm_share_new_frame(v, page, slot))
		frame->indexed = false;
}

/**
 * uksm_share() - have a page share what another has
 * @v: the visit
 * @page: the page
 * @slot: the entry of the index for its content: a frame or another place
 *
 * Context: uksm_mutex held, and the range of the page's key locked.
 */
void uksm_share(struct uksm_visit *v, struct uksm_page *page, u64 *slot)
{
	u64 other = *slot;

	if (uksm_val_type(other) == UKSM_VAL_FRAME) {
		uksm_share_frame(v, page, slot);
	} else if (uksm_val_huge(other)) {
		/* It is for the huge page to say whether it can be merged. */
		uksm_lookup_here(slot, uksm_val_place(v->space->id, page->addr,
						      page->key));
		uksm_work_add_page(uksm_val_space(other), uksm_val_addr(other));
	} else {
		uksm_share_new_frame(v, page, slot);
	}
}

/**
 * uksm_share_still() - has a page still the content it was looked up with?
 * @frame: a new frame, made for that content
 * @folio: the page; it cannot change any more
 * @seed: of its space
 *
 * A frame that took another content would not be found by pages that have it,
 * and would be tried in vain by those that have the old one.
 *
 * Context: any; the frame is this batch's own.
 * Return: whether it has.
 */
bool uksm_share_still(const struct uksm_frame *frame, struct folio *folio,
		      u64 seed)
{
	return uksm_lookup_key_of(folio, seed, frame->key != frame->sample) ==
	       frame->key;
}
