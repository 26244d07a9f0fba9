/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_HEADROOM_H
#define UKSM_HEADROOM_H

#include "uksm.h"

u64 uksm_sharing(void);
u64 uksm_headroom_pages(void);
bool uksm_headroom_short(void);
bool uksm_headroom_try(struct vm_area_struct *vma, unsigned long addr);

#endif /* UKSM_HEADROOM_H */
