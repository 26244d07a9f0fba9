/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_DIGEST_H
#define UKSM_DIGEST_H

#include "pure.h"

u64 uksm_digest_seed(u64 secret, u64 domain);
u64 uksm_digest_sample(const void *page, u64 seed);
u64 uksm_digest_full(const void *page, u64 seed);
u64 uksm_digest_zero_sample(u64 seed);
void uksm_digest_prefetch(const void *page, u64 seed);

#endif /* UKSM_DIGEST_H */
