// SPDX-License-Identifier: GPL-2.0
/*
 * huge.c - huge pages: split only for what it brings
 *
 * A huge page is judged as it is, before it is touched: its 512 pages are
 * fingerprinted and looked up like others, and it is split only when at least
 * thp_split_percent of them have an equal. From then on they are ordinary
 * pages. The dirty bit of a pmd says nothing about one of its pages, so a sum
 * of each shows which have come to rest.
 *
 * khugepaged may make a huge page of the region again. One that was split
 * before is only split again when most of it would merge: then it is beyond
 * what khugepaged takes by default (max_ptes_shared). Where khugepaged takes it
 * all the same (it takes zero pages, too), each round with a split makes the
 * next one four times as rare, so that the two do not go in circles.
 */
#include <linux/ktime.h>

#include "huge.h"
#include "match.h"
#include "space.h"
#include "walk.h"
#include "work.h"

/* Percent that must merge of what was split before. */
#define UKSM_SPLIT_AGAIN 51
/* Regions guarded at a time, and for how long at most. */
#define UKSM_GUARDS 16
#define UKSM_GUARD_NS NSEC_PER_SEC

/*
 * The huge page that is all of the region, with a reference; or NULL. The huge
 * zero page is not anonymous.
 */
static struct folio *uksm_huge_get(struct uksm_visit *v,
				   struct vm_area_struct *vma)
{
	struct folio *folio = NULL;
	spinlock_t *ptl;
	pmd_t *pmd;

	if (v->base < vma->vm_start || v->base + UKSM_REGION_SIZE > vma->vm_end)
		return NULL;
	pmd = uksm_walk_huge(v->mm, v->base);
	if (!pmd)
		return NULL;
	ptl = pmd_lock(v->mm, pmd);
	if (pmd_present(*pmd) && pmd_trans_huge(*pmd)) {
		folio = page_folio(pmd_page(*pmd));
		if (folio_test_anon(folio) &&
		    folio_nr_pages(folio) == UKSM_REGION_PAGES &&
		    folio_test_swapbacked(folio) &&
		    !folio_is_zone_device(folio) &&
		    !folio_test_has_hwpoisoned(folio))
			folio_get(folio);
		else
			folio = NULL;
	}
	spin_unlock(ptl);
	return folio;
}

/*
 * Is it this region's turn to be split? In one round it may be again: while its
 * equal was being split in turn, khugepaged can have been faster.
 */
static bool uksm_huge_due(const struct uksm_region *r)
{
	if (r->splits)
		return r->splits < UKSM_SPLITS_MAX;
	/* As many rounds long as there is one look that trusts nothing. */
	return !(uksm_stats.full_scans / UKSM_REGION_DEEP &
		 (BIT(2 * r->split) - 1));
}

static void uksm_huge_count(struct uksm_region *r)
{
	if (!r->splits && r->split < UKSM_SPLIT_MAX)
		r->split++;
	r->splits++;
}

static bool uksm_huge_enough(struct uksm_visit *v, unsigned int equal)
{
	unsigned int percent = READ_ONCE(uksm_settings.thp_split_percent);

	if (v->region->split)
		percent = max(percent, UKSM_SPLIT_AGAIN);
	return equal && equal * 100 >= percent * UKSM_REGION_PAGES;
}

/* Split it, unless somebody has it in use. */
static bool uksm_huge_split(struct folio *folio)
{
	bool split;

	if (!folio_trylock(folio))
		return false;
	split = folio_test_anon(folio) && folio_test_large(folio) &&
		!uksm_split_folio(folio);
	folio_unlock(folio);
	return split;
}

/*
 * The first pages of what was split, referenced: khugepaged leaves a region
 * alone in which somebody holds a page, and so does not undo the split before
 * the region and its equal, which may be a huge page as well, have been merged.
 * Under uksm_mutex.
 */
static struct {
	struct {
		struct folio *folio;
		u32 space;
		unsigned long addr;
	} page[UKSM_GUARDS];
	unsigned int nr;
	u64 since_ns;
} uksm_guard;

/* Takes over the reference on @folio, the first page of the region. */
static void uksm_huge_guard(struct uksm_visit *v, struct folio *folio)
{
	unsigned int nr;

	mutex_lock(&uksm_mutex);
	nr = uksm_guard.nr;
	if (nr < UKSM_GUARDS) {
		if (!nr)
			uksm_guard.since_ns = ktime_get_ns();
		uksm_guard.page[nr].folio = folio;
		uksm_guard.page[nr].space = v->space->id;
		uksm_guard.page[nr].addr = v->base;
		WRITE_ONCE(uksm_guard.nr, nr + 1);
	}
	mutex_unlock(&uksm_mutex);
	if (nr == UKSM_GUARDS)
		folio_put(folio);
}

/**
 * uksm_huge_unguard() - khugepaged may have the regions that were split
 * @done: there is nothing left to be done in them; else only if it takes too long
 *
 * The pages that were held can be merged from here on: there is urgent work.
 *
 * Context: takes uksm_mutex.
 */
void uksm_huge_unguard(bool done)
{
	unsigned int i, nr;

	if (!READ_ONCE(uksm_guard.nr))
		return;
	mutex_lock(&uksm_mutex);
	nr = uksm_guard.nr;
	if (!done && ktime_get_ns() - uksm_guard.since_ns < UKSM_GUARD_NS)
		nr = 0;
	for (i = 0; i < nr; i++) {
		folio_put(uksm_guard.page[i].folio);
		uksm_work_add_page(uksm_guard.page[i].space,
				   uksm_guard.page[i].addr);
	}
	if (nr)
		WRITE_ONCE(uksm_guard.nr, 0);
	mutex_unlock(&uksm_mutex);
}

/**
 * uksm_huge_visit() - visit a region that may be one huge page
 * @v: the visit
 * @vma: the area it is in; mmap_lock held for reading
 *
 * Context: may sleep.
 * Return: whether the region has PTEs to be visited: always, or since now.
 */
bool uksm_huge_visit(struct uksm_visit *v, struct vm_area_struct *vma)
{
	struct folio *folio = uksm_huge_get(v, vma);
	unsigned int equal;
	bool split = false;

	if (!folio)
		return true;
	v->pages += UKSM_REGION_PAGES;
	if (uksm_region_sum_init(v->region)) {
		v->huge = true;
		equal = uksm_match_huge(v, vma, folio);
		if (uksm_huge_enough(v, equal) && uksm_huge_due(v->region)) {
			split = uksm_huge_split(folio);
			/* Another scan thread may have had it in its hands. */
			if (!split && READ_ONCE(uksm_settings.threads) > 1)
				v->busy++;
		}
	}
	if (!split) {
		folio_put(folio);
		return false;
	}
	uksm_huge_guard(v, folio);
	v->huge = false;
	uksm_huge_count(v->region);
	v->pages = 0;
	v->clean = 0;
	v->dirty = 0;
	bitmap_zero(v->aged, UKSM_REGION_PAGES);
	/*
	 * All PTEs are as dirty as the pmd was, but the sums have told what has
	 * settled. Merge it now, while it is guarded.
	 */
	v->flags |= UKSM_VISIT_ALL | UKSM_VISIT_SETTLED;
	return true;
}
