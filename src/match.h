/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_MATCH_H
#define UKSM_MATCH_H

#include "uksm.h"

struct folio;
struct uksm_batch;
struct uksm_frame;
struct uksm_visit;

int uksm_match_init(void);
void uksm_match_exit(void);
void uksm_match_resize(u64 pages);
void uksm_match_drop(void);
void uksm_match_new_round(void);

void uksm_match_visit(struct uksm_visit *v, struct vm_area_struct *vma,
		      struct uksm_batch *batch);
unsigned int uksm_match_huge(struct uksm_visit *v, struct vm_area_struct *vma,
			     struct folio *folio);
void uksm_match_refresh(struct uksm_frame *frame, unsigned int mapcount);
void uksm_match_forget(struct uksm_frame *frame);
bool uksm_match_still(const struct uksm_frame *frame, struct folio *folio,
		      u64 seed);

#endif /* UKSM_MATCH_H */
