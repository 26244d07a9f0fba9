/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_WALK_H
#define UKSM_WALK_H

#include "space.h"

struct uksm_batch;
struct uksm_frame;

/* How to visit a region; see enum uksm_region_due and visit.c. */
#define UKSM_VISIT_AGE BIT(0) /* take dirty bits off */
#define UKSM_VISIT_ALL BIT(1) /* take every clean page, adopt frames */
#define UKSM_VISIT_WANT BIT(2) /* take the clean ones of @want */
#define UKSM_VISIT_SETTLED BIT(3) /* take dirty ones as well, and age them */

/* With one of these every page is seen; else only those of @want. */
#define UKSM_VISIT_WHOLE (UKSM_VISIT_AGE | UKSM_VISIT_ALL)

/**
 * struct uksm_page - a page that was taken for a closer look
 * @folio: small, anonymous; with a reference
 * @addr: where it is mapped
 * @sample: fingerprint of a part of it, once it is known; then, its key
 * @key: what it goes by: the sample, or the fingerprint of all of it; 0 if it is
 *	all zeros and may become the zero page
 */
struct uksm_page {
	struct folio *folio;
	unsigned long addr;
	u64 sample;
	u64 key;
};

/**
 * struct uksm_visit - a visit of one region
 * @space: whose
 * @mm: its mm, with a user held and mmap_lock held for reading
 * @region: what is remembered of it
 * @base: its first address
 * @flags: UKSM_VISIT_*
 * @want: the pages wanted, with UKSM_VISIT_WANT
 * @aged: pages to look at a second time
 * @zero: zero pages that uksm placed and that were found again
 * @pages: pages that could be merged, of those seen; and so on
 * @clean: those that were not written of late
 * @dirty: those that were
 * @skipped: pages left alone
 * @merged: merges done
 * @busy: merges that failed for now
 * @learnt: pages that the index did not have
 * @full: there was no memory for a frame, or the group is at its limit
 * @nr: length of @page
 * @page: what was taken
 * @pte: scratch of uksm_walk_collect()
 * @next: scratch of uksm_match_visit(): the next page of the same range
 * @met: scratch of uksm_match_visit(): pages with which more is to be done
 * @batch: what is to be merged
 * @stock: frames for when there is no memory to be had without a wait
 * @huge: the region is one huge page
 * @scanned: pages looked at, in all visits
 *
 * A scan thread has one.
 */
struct uksm_visit {
	struct uksm_space *space;
	struct mm_struct *mm;
	struct uksm_region *region;
	unsigned long base;
	unsigned int flags;
	DECLARE_BITMAP(want, UKSM_REGION_PAGES);
	DECLARE_BITMAP(aged, UKSM_REGION_PAGES);
	DECLARE_BITMAP(zero, UKSM_REGION_PAGES);
	unsigned int pages;
	unsigned int clean;
	unsigned int dirty;
	unsigned int skipped;
	unsigned int merged;
	unsigned int busy;
	unsigned int learnt;
	bool full;
	unsigned int nr;
	struct uksm_page page[UKSM_REGION_PAGES];
	union {
		pte_t pte[UKSM_REGION_PAGES];
		u16 next[UKSM_REGION_PAGES];
	};
	DECLARE_BITMAP(met, UKSM_REGION_PAGES);
	struct uksm_batch *batch;
	struct uksm_frame *stock;
	bool huge;
	u64 scanned;
};

static inline unsigned int uksm_page_nr(unsigned long addr)
{
	return (addr & ~UKSM_REGION_MASK) >> PAGE_SHIFT;
}

pmd_t *uksm_walk_pmd(struct mm_struct *mm, unsigned long addr);
pmd_t *uksm_walk_huge(struct mm_struct *mm, unsigned long addr);
bool uksm_walk_next(struct mm_struct *mm, unsigned long *addr,
		    unsigned long end);
bool uksm_walk_maps(struct vm_area_struct *vma, unsigned long addr,
		    unsigned long pfn);
bool uksm_walk_print(struct uksm_visit *v, struct vm_area_struct *vma,
		     unsigned long start, unsigned long end, u64 *print);
void uksm_walk_collect(struct uksm_visit *v, struct vm_area_struct *vma,
		       unsigned long start, unsigned long end);

#endif /* UKSM_WALK_H */
