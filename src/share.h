/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_SHARE_H
#define UKSM_SHARE_H

#include "uksm.h"

struct folio;
struct uksm_frame;
struct uksm_page;
struct uksm_visit;

void uksm_share_zero(struct uksm_visit *v, struct uksm_page *page);
bool uksm_share_join(struct uksm_visit *v, struct uksm_page *page,
		     struct uksm_frame *frame);
void uksm_share(struct uksm_visit *v, struct uksm_page *page, u64 *slot);
bool uksm_share_still(const struct uksm_frame *frame, struct folio *folio,
		      u64 seed);

#endif /* UKSM_SHARE_H */
