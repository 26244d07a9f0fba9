/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_HUGE_H
#define UKSM_HUGE_H

#include "uksm.h"

struct uksm_visit;

bool uksm_huge_visit(struct uksm_visit *v, struct vm_area_struct *vma);
void uksm_huge_unguard(bool done);

#endif /* UKSM_HUGE_H */
