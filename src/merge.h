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
	UKSM_REQ_WAITING,
	UKSM_REQ_LOCKED,
	UKSM_REQ_CLEARED,
	UKSM_REQ_PROTECTED,
	UKSM_REQ_READY, /* compared and equal */
	UKSM_REQ_MERGED,
};

/**
 * struct uksm_req - "merge the page at this place into this frame"
 * @folio: the page; referenced by the caller
 * @addr: where it is mapped
 * @frame: the frame; NULL for the zero page
 * @kfolio: the frame's folio with a reference, or NULL if the frame is new
 * @item: for the frame's new mapper, until it is used
 * @pte: what the PTE was or is
 * @state: how far it got
 * @locked: this one locked @kfolio
 */
struct uksm_req {
	struct folio *folio;
	unsigned long addr;
	struct uksm_frame *frame;
	struct folio *kfolio;
	struct uksm_rmap_item *item;
	pte_t pte;
	u8 state;
	bool locked;
};

/**
 * struct uksm_batch - requests for one area in one region, by address
 * @seed: of the fingerprints of its space
 * @nr: length of @req
 * @req: the requests
 */
struct uksm_batch {
	u64 seed;
	unsigned int nr;
	struct uksm_req req[UKSM_REGION_PAGES];
};

void uksm_merge_batch(struct vm_area_struct *vma, struct uksm_batch *batch);

#endif /* UKSM_MERGE_H */
