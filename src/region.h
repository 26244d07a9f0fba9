/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_REGION_H
#define UKSM_REGION_H

#include "pure.h"

/* Looks between two that trust nothing remembered. */
#define UKSM_REGION_DEEP 8
/* Rounds a restless region is passed over, at most. */
#define UKSM_REGION_MAX_SKIP 2
/* Rounds with a split that are counted, and splits in a round. */
#define UKSM_SPLIT_MAX 7
#define UKSM_SPLITS_MAX 3

/**
 * struct uksm_region - what is remembered of 2 MiB of an address space
 * @nr: address >> UKSM_REGION_SHIFT
 * @level: how restless it was of late
 * @skip: rounds to pass it over still
 * @look: looks since the last deep one
 * @fresh: nothing in it has been fingerprinted yet
 * @seen: looked at or passed over in the current round
 * @retried: tries in a row that its busy pages have had
 * @huge: it is one huge page, as of the last look
 * @split: rounds in which uksm has split a huge page here, UKSM_SPLIT_MAX at most
 * @splits: how often it has in the current round, UKSM_SPLITS_MAX at most
 * @unshared: pages in the index, with no equal found
 * @restless: pages that were written between two looks
 * @skipped: pages that are left alone (huge, pinned at will, watched)
 * @nr_zero: bits set in @zero
 * @zero: which pages are zero pages that uksm placed; NULL for none
 * @sum: a sum of each page, where dirty bits do not tell what was written
 */
struct uksm_region {
	u64 nr : 40, level : 3, skip : 3, look : 4, fresh : 1, seen : 1,
		retried : 2, huge : 1, split : 3, splits : 2;
	u16 unshared;
	u16 restless;
	u16 skipped;
	u16 nr_zero;
	unsigned long *zero;
	u16 *sum;
};

enum uksm_region_due {
	UKSM_REGION_SKIP, /* not this round */
	UKSM_REGION_LOOK, /* trust what is known of clean pages */
	UKSM_REGION_ALL, /* fingerprint whatever is clean */
};

void uksm_region_init(struct uksm_region *r, unsigned long addr);
enum uksm_region_due uksm_region_due(struct uksm_region *r);
void uksm_region_account(struct uksm_region *r, unsigned int pages,
			 unsigned int restless);
long uksm_region_search(const struct uksm_region *r, size_t n, u64 nr);

#endif /* UKSM_REGION_H */
