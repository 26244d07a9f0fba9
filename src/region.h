/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_REGION_H
#define UKSM_REGION_H

#include "pure.h"

/*
 * Looks between two that trust nothing remembered: so many, and twice as many
 * for each that has found all as it was remembered, UKSM_REGION_CALM times;
 * but no more than UKSM_REGION_CALM_FULL times while the index is short of room,
 * which gives away what was of no use for long.
 */
#define UKSM_REGION_DEEP 8
#define UKSM_REGION_CALM 6
#define UKSM_REGION_CALM_FULL 3
/* Rounds a restless region is passed over, at most. */
#define UKSM_REGION_MAX_SKIP 2
/* Rounds that one is passed over whose pages have to be read, at most. */
#define UKSM_REGION_MAX_STILL 7
/* Rounds with a split that are counted, and splits in a round. */
#define UKSM_SPLIT_MAX 7
#define UKSM_SPLITS_MAX 3

/**
 * struct uksm_region - what is remembered of 2 MiB of an address space
 * @nr: address >> UKSM_REGION_SHIFT
 * @level: how restless it was of late
 * @skip: rounds to pass it over still
 * @seen: looked at or passed over in the current round
 * @retried: tries in a row that its busy pages have had
 * @split: rounds in which uksm has split a huge page here, UKSM_SPLIT_MAX at most
 * @splits: how often it has in the current round, UKSM_SPLITS_MAX at most
 * @written: most of it had been written when it was last looked at
 * @again: and the time before as well
 * @calm: deep looks in a row, and all between them, that found it unchanged
 * @still: looks in a row that read its pages, and found it unchanged
 * @unshared: pages in the index, with no equal found
 * @restless: pages that were written between two looks
 * @skipped: pages that are left alone (huge, pinned at will, watched)
 * @nr_zero: bits set in @zero
 * @zero: which pages are zero pages that uksm placed; NULL for none
 * @sum: a sum of each page, where dirty bits do not tell what was written
 * @print: of its page table, when nothing in it was new; 0: not known
 * @look: looks since the last deep one
 * @pages: pages that could be merged, as of the last look
 * @busy: a scan thread has it; under the lock of its space
 * @fresh: nothing in it has been fingerprinted yet. Set by anybody, taken by who
 *	has the region
 * @huge: it is one huge page, as of the last look. Read by anybody
 *
 * All but the last three are of the scan thread that has it.
 */
struct uksm_region {
	u64 nr;
	u32 level : 3, skip : 3, seen : 1, retried : 2, split : 3, splits : 2,
		written : 1, again : 1, calm : 3, still : 3;
	u16 unshared;
	u16 restless;
	u16 skipped;
	u16 nr_zero;
	u32 print;
	unsigned long *zero;
	u16 *sum;
	u16 look;
	u16 pages;
	bool busy;
	bool fresh;
	bool huge;
};

enum uksm_region_due {
	UKSM_REGION_SKIP, /* not this round */
	UKSM_REGION_LOOK, /* trust what is known of clean pages */
	UKSM_REGION_ALL, /* fingerprint whatever is clean */
};

void uksm_region_init(struct uksm_region *r, unsigned long addr);
enum uksm_region_due uksm_region_due(struct uksm_region *r,
				     unsigned int calm_max);
void uksm_region_calm(struct uksm_region *r, bool unchanged);
void uksm_region_still(struct uksm_region *r, bool unchanged);
void uksm_region_written(struct uksm_region *r, unsigned int pages,
			 unsigned int written);
void uksm_region_account(struct uksm_region *r, unsigned int pages,
			 unsigned int restless);
long uksm_region_search(struct uksm_region *const *r, size_t n, u64 nr);

#endif /* UKSM_REGION_H */
