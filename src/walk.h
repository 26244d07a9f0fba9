/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_WALK_H
#define UKSM_WALK_H

#include "space.h"

/* How to visit a region; see enum uksm_region_due and visit.c. */
#define UKSM_VISIT_AGE BIT(0) /* take dirty bits off */
#define UKSM_VISIT_ALL BIT(1) /* take every clean page, adopt frames */
#define UKSM_VISIT_WANT BIT(2) /* take the clean ones of @want */
#define UKSM_VISIT_SETTLED BIT(3) /* take dirty ones as well, and age them */

/**
 * struct uksm_page - a page that was taken for a closer look
 * @folio: small, anonymous; with a reference
 * @addr: where it is mapped
 * @sample: fingerprint of a part of it, once it is known
 * @full: fingerprint of all of it, if that was needed
 */
struct uksm_page {
	struct folio *folio;
	unsigned long addr;
	u64 sample;
	u64 full;
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
 * @pages: pages that could be merged
 * @clean: those that were not written of late
 * @dirty: those that were
 * @skipped: pages left alone
 * @merged: merges done
 * @busy: merges that failed for now
 * @full: there was no memory for a frame, or the group is at its limit
 * @nr: length of @page
 * @page: what was taken
 * @pte: scratch of uksm_walk_collect()
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
	bool full;
	unsigned int nr;
	struct uksm_page page[UKSM_REGION_PAGES];
	pte_t pte[UKSM_REGION_PAGES];
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
void uksm_walk_collect(struct uksm_visit *v, struct vm_area_struct *vma,
		       unsigned long start, unsigned long end);

#endif /* UKSM_WALK_H */
