/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_MERGE_H
#define UKSM_MERGE_H

#include "region.h"
#include "uksm.h"

struct uksm_frame;
struct uksm_rmap_item;

enum uksm_req_state {
	UKSM_REQ_DROPPED, /* not as it was thought to be */
	UKSM_REQ_BUSY, /* in use; worth another try */
	UKSM_REQ_AGAIN, /* wrongly guessed; to be looked up again */
	UKSM_REQ_LATER, /* another scan thread has the frame */
	UKSM_REQ_WAITING,
	UKSM_REQ_LOCKED,
	UKSM_REQ_CLEARED,
	UKSM_REQ_PROTECTED,
	UKSM_REQ_READY, /* compared and equal */
	UKSM_REQ_MERGED,
	UKSM_REQ_ADOPTED, /* the page has become the frame's */
};

/**
 * struct uksm_req - "merge the page at this place into this frame"
 * @folio: the page; referenced by the caller
 * @addr: where it is mapped
 * @frame: the frame; NULL for the zero page
 * @kfolio: the frame's folio with a reference, or NULL if the frame is new
 * @other: what went by the page's key, as an entry of the index; its page is to
 *	be visited when the frame is there
 * @full: key of the frame by all of its content, if it was found not to be equal
 *	and goes by its sample; else 0
 * @item: for the frame's new mapper, until it is used
 * @pte: what the PTE was or is
 * @state: how far it got
 * @sole: the page is mapped here and nowhere else
 * @guess: the page and the frame are known to agree in their samples only
 * @locked: this one locked @kfolio
 */
struct uksm_req {
	struct folio *folio;
	unsigned long addr;
	struct uksm_frame *frame;
	struct folio *kfolio;
	u64 other;
	u64 full;
	struct uksm_rmap_item *item;
	pte_t pte;
	u8 state;
	bool sole;
	bool guess;
	bool locked;
};

/**
 * struct uksm_batch - requests for one area in one region
 * @seed: of the fingerprints of its space
 * @full: there was no memory for a frame's page, or the group is at its limit
 * @nr: length of @req
 * @req: the requests
 * @page: scratch, to let go of all their pages at once
 */
struct uksm_batch {
	u64 seed;
	bool full;
	unsigned int nr;
	struct uksm_req req[UKSM_REGION_PAGES];
	struct page *page[UKSM_REGION_PAGES];
};

void uksm_merge_batch(struct vm_area_struct *vma, struct uksm_batch *batch);
void uksm_merge_release(struct uksm_batch *batch);

#endif /* UKSM_MERGE_H */
