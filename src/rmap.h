/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_RMAP_H
#define UKSM_RMAP_H

#include "uksm.h"

struct uksm_frame;

/**
 * struct uksm_rmap_item - a place where a frame was mapped
 * @next: of the same frame; under its folio's lock
 * @anon_vma: of the area, with a reference
 * @pgoff: index of the page in @anon_vma; stays true when areas split, merge,
 *	move (mremap) or fork
 */
struct uksm_rmap_item {
	struct uksm_rmap_item *next;
	struct anon_vma *anon_vma;
	pgoff_t pgoff;
};

int uksm_rmap_init(void);
void uksm_rmap_exit(void);

struct uksm_rmap_item *uksm_rmap_item_alloc(gfp_t gfp);
bool uksm_rmap_item_known(struct uksm_frame *frame, struct vm_area_struct *vma,
			  unsigned long addr);
void uksm_rmap_item_free(struct uksm_rmap_item *item);
bool uksm_rmap_item_add(struct uksm_frame *frame, struct uksm_rmap_item *item,
			struct vm_area_struct *vma, unsigned long addr);
void uksm_rmap_items_drop(struct uksm_frame *frame);
void uksm_rmap_items_prune(struct uksm_frame *frame, struct folio *folio);
void uksm_rmap_walk(struct folio *folio, struct rmap_walk_control *rwc);

#endif /* UKSM_RMAP_H */
