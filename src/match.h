/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_MATCH_H
#define UKSM_MATCH_H

#include "uksm.h"

struct folio;
struct uksm_visit;

void uksm_match_visit(struct uksm_visit *v, struct vm_area_struct *vma);
unsigned int uksm_match_huge(struct uksm_visit *v, struct vm_area_struct *vma,
			     struct folio *folio);

#endif /* UKSM_MATCH_H */
