// SPDX-License-Identifier: GPL-2.0
/*
 * walk.c - reading page tables
 *
 * Under mmap_lock (or the lock of an anon_vma the area is in) the upper levels
 * stay; a table of PTEs may be taken away at any time by khugepaged or by
 * madvise, so it is mapped and locked with the pmd checked again.
 *
 * Dirty bits are how uksm knows what was written. Taking one off is only safe
 * when the page itself is marked dirty (or reclaim would throw it away) and
 * the TLB is flushed before the PTE lock is let go (or reclaim, seeing a clean
 * PTE, would not flush before it writes the page out).
 */
#include "frame.h"
#include "walk.h"

/* The pmd that leads to a table of PTEs, or that maps a huge page; or NULL. */
static pmd_t *uksm_walk_find(struct mm_struct *mm, unsigned long addr,
			     bool huge)
{
	unsigned long next = addr;
	p4d_t *p4d;
	pmd_t *pmd;

	if (!uksm_walk_next(mm, &next, addr + 1))
		return NULL;
	p4d = p4d_offset(pgd_offset(mm, addr), addr);
	pmd = pmd_offset(pud_offset(p4d, addr), addr);
	return !!pmd_trans_huge(uksm_pmd_read(pmd)) == huge ? pmd : NULL;
}

/**
 * uksm_walk_pmd() - the pmd that leads to a table of PTEs
 * @mm: the address space; mmap_lock held, or an anon_vma lock
 * @addr: the address
 *
 * Return: the pmd, or NULL: nothing there, or a huge page.
 */
pmd_t *uksm_walk_pmd(struct mm_struct *mm, unsigned long addr)
{
	return uksm_walk_find(mm, addr, false);
}

/**
 * uksm_walk_huge() - the pmd that maps a huge page
 * @mm: the address space; mmap_lock held
 * @addr: the address
 *
 * Return: the pmd, or NULL; to be checked again under its lock.
 */
pmd_t *uksm_walk_huge(struct mm_struct *mm, unsigned long addr)
{
	return uksm_walk_find(mm, addr, true);
}

/**
 * uksm_walk_next() - the next address that a table of PTEs, or a huge page, maps
 * @mm: the address space; mmap_lock held, or an anon_vma lock
 * @addr: where to start; moved to the address found
 * @end: where to stop
 *
 * Steps over holes by the size of the level they are in, so that huge
 * reservations cost little.
 *
 * Return: false if there is none; @addr is then at least @end.
 */
bool uksm_walk_next(struct mm_struct *mm, unsigned long *addr,
		    unsigned long end)
{
	unsigned long a = *addr;

	while (a < end) {
		pgd_t *pgd = pgd_offset(mm, a);
		p4d_t *p4d;
		pud_t *pud;
		pmd_t pmd;

		if (pgd_none(*pgd) || pgd_bad(*pgd)) {
			a = (a | ~PGDIR_MASK) + 1;
			goto next;
		}
		p4d = p4d_offset(pgd, a);
		if (p4d_none(*p4d) || p4d_bad(*p4d)) {
			a = (a | ~P4D_MASK) + 1;
			goto next;
		}
		pud = pud_offset(p4d, a);
		if (!pud_present(*pud) || pud_leaf(*pud) || pud_bad(*pud)) {
			a = (a | ~PUD_MASK) + 1;
			goto next;
		}
		pmd = uksm_pmd_read(pmd_offset(pud, a));
		if (pmd_present(pmd) &&
		    (pmd_trans_huge(pmd) || !pmd_bad(pmd))) {
			*addr = a;
			return true;
		}
		a = (a | ~PMD_MASK) + 1;
next:
		if (!a) /* the very end of the address space */
			break;
	}
	*addr = max(a, end);
	return false;
}

/**
 * uksm_walk_maps() - does an area map a frame at an address?
 * @vma: the area; its anon_vma's lock or mmap_lock held
 * @addr: an address in it
 * @pfn: of the page
 *
 * Return: whether a present PTE says so.
 */
bool uksm_walk_maps(struct vm_area_struct *vma, unsigned long addr,
		    unsigned long pfn)
{
	pmd_t *pmd = uksm_walk_pmd(vma->vm_mm, addr);
	spinlock_t *ptl;
	pte_t *ptep, pte;
	bool maps;

	if (!pmd)
		return false;
	ptep = uksm_pte_map_lock(vma->vm_mm, pmd, addr, &ptl);
	if (!ptep)
		return false;
	pte = ptep_get(ptep);
	maps = pte_present(pte) && pte_pfn(pte) == pfn;
	pte_unmap_unlock(ptep, ptl);
	return maps;
}

/* Not to be touched for what it is. PTE lock held. */
static bool uksm_folio_excluded(struct folio *folio)
{
	return folio_test_large(folio) || folio_is_zone_device(folio) ||
	       folio_test_hwpoison(folio) || !folio_test_uptodate(folio) ||
	       uksm_page_is_tagged(&folio->page);
}

/*
 * Given up by MADV_FREE, and not written since? Once it is written the folio
 * becomes dirty with the aging, and reclaim keeps it. PTE lock held.
 */
static bool uksm_folio_given_up(struct folio *folio, pte_t pte)
{
	return !folio_test_swapbacked(folio) && !folio_test_dirty(folio) &&
	       !pte_dirty(pte);
}

/* Not to be touched for how it is mapped. PTE lock held. */
static bool uksm_pte_excluded(struct vm_area_struct *vma, pte_t pte)
{
	/* A NUMA hint is somebody else's business, and soon over. */
	return uksm_pte_is_uffd(pte) ||
	       (pte_protnone(pte) && vma_is_accessible(vma));
}

static void uksm_visit_take(struct uksm_visit *v, struct folio *folio,
			    unsigned int i)
{
	folio_get(folio);
	v->page[v->nr].folio = folio;
	v->page[v->nr++].addr = v->base + i * PAGE_SIZE;
}

/*
 * What one PTE says. PTE lock held. In the loops that call it, for each page there
 * is goes through here. Return: the dirty bit is to go.
 */
static __always_inline bool uksm_visit_pte(struct uksm_visit *v,
					   struct vm_area_struct *vma,
					   unsigned int i, pte_t pte)
{
	bool wanted = (v->flags & UKSM_VISIT_ALL) || test_bit(i, v->want);
	struct folio *folio;

	if (!pte_present(pte))
		return false;
	if (pte_special(pte)) {
		if (is_zero_pfn(pte_pfn(pte)))
			__set_bit(i, v->zero);
		return false;
	}
	folio = page_folio(pfn_to_page(pte_pfn(pte)));
	if (!folio_test_anon(folio))
		return false;
	if (folio_test_ksm(folio)) {
		if ((v->flags & UKSM_VISIT_ALL) && uksm_folio_is_frame(folio))
			uksm_visit_take(v, folio, i);
		return false;
	}
	if (uksm_folio_excluded(folio) || uksm_folio_given_up(folio, pte) ||
	    uksm_pte_excluded(vma, pte)) {
		v->skipped++;
		return false;
	}
	v->pages++;
	if (v->space->opaque) {
		if (wanted || (v->flags & UKSM_VISIT_AGE))
			uksm_visit_take(v, folio, i);
		return false;
	}
	if (pte_dirty(pte) && !(v->flags & UKSM_VISIT_SETTLED)) {
		v->dirty++;
		return v->flags & UKSM_VISIT_AGE;
	}
	v->clean++;
	if (wanted)
		uksm_visit_take(v, folio, i);
	return pte_dirty(pte);
}

/* Take the dirty bits off the pages of v->aged in the range. PTE lock held. */
static void uksm_visit_age(struct uksm_visit *v, struct vm_area_struct *vma,
			   pte_t *ptep, unsigned long start, unsigned long end)
{
	unsigned int first = uksm_page_nr(start);
	unsigned int nr = (end - start) >> PAGE_SHIFT;
	unsigned long from = 0, to = 0;
	unsigned int i;

	for (i = first; i < first + nr; i++) {
		unsigned long addr = v->base + i * PAGE_SIZE;
		struct folio *folio;

		if (!test_bit(i, v->aged))
			continue;
		v->pte[i] = ptep_get_and_clear(v->mm, addr, ptep + i - first);
		folio = page_folio(pfn_to_page(pte_pfn(v->pte[i])));
#ifndef UKSM_MUTANT_AGE
		if (!folio_test_dirty(folio))
			folio_mark_dirty(folio);
#endif
		if (!to)
			from = addr;
		to = addr + PAGE_SIZE;
	}
	if (!to)
		return;
	uksm_flush_range(v->mm, from, to);
	for (i = first; i < first + nr; i++)
		if (test_bit(i, v->aged))
			uksm_set_pte(vma, v->base + i * PAGE_SIZE,
				     ptep + i - first, pte_mkclean(v->pte[i]));
}

/* Odd, with bits all over: the golden ratio. */
#define UKSM_PRINT_MUL 0x9e3779b97f4a7c15ULL

static inline u64 uksm_print_mix(u64 print, u64 val)
{
	return (print ^ val) * UKSM_PRINT_MUL;
}

/**
 * uksm_walk_print() - sum up the page table of (a part of) a region
 * @v: the visit
 * @vma: an area that the space takes; mmap_lock held
 * @start: first address, in @vma and in the region
 * @end: behind the last one
 * @print: added to
 *
 * All that PTEs say counts, but for the accessed bits. Two sums that are equal
 * say that in between nothing was written that was clean, and that nothing was
 * mapped or unmapped; with the certainty of a hash, which is enough to put off
 * what is looked at.
 *
 * Return: false if it cannot be read now, or is a huge page.
 */
bool uksm_walk_print(struct uksm_visit *v, struct vm_area_struct *vma,
		     unsigned long start, unsigned long end, u64 *print)
{
	pmd_t *pmd = uksm_walk_pmd(v->mm, start);
	unsigned int nr = (end - start) >> PAGE_SHIFT;
	u64 even, odd = end;
	spinlock_t *ptl;
	pte_t *ptep, *p;

	if (!pmd)
		return false;
	ptep = uksm_pte_map_lock(v->mm, pmd, start, &ptl);
	if (!ptep)
		return false;
	even = uksm_print_mix(*print, start);
	for (p = ptep; p < ptep + (nr & ~3U); p += 4) {
		even = uksm_print_mix(even, uksm_pte_print(p));
		odd = uksm_print_mix(odd, uksm_pte_print(p + 1));
		even = uksm_print_mix(even, uksm_pte_print(p + 2));
		odd = uksm_print_mix(odd, uksm_pte_print(p + 3));
	}
	for (; p < ptep + nr; p++)
		even = uksm_print_mix(even, uksm_pte_print(p));
	pte_unmap_unlock(ptep, ptl);
	*print = uksm_print_mix(even, odd >> 32 | odd << 32);
	return true;
}

/**
 * uksm_walk_collect() - read the page table of (a part of) a region
 * @v: the visit; counts, @aged and @page are added to
 * @vma: an area that the space takes; mmap_lock held
 * @start: first address, in @vma and in the region
 * @end: behind the last one
 *
 * Context: may sleep before and after.
 */
void uksm_walk_collect(struct uksm_visit *v, struct vm_area_struct *vma,
		       unsigned long start, unsigned long end)
{
	pmd_t *pmd = uksm_walk_pmd(v->mm, start);
	unsigned int first = uksm_page_nr(start), i;
	unsigned int last = first + ((end - start) >> PAGE_SHIFT);
	spinlock_t *ptl;
	pte_t *ptep, *p;
	bool age = false;

	if (!pmd)
		return;
	ptep = uksm_pte_map_lock(v->mm, pmd, start, &ptl);
	if (!ptep)
		return;
	if (v->flags & UKSM_VISIT_WHOLE) {
		for (i = first, p = ptep; i < last; i++, p++) {
			if (!uksm_visit_pte(v, vma, i, ptep_get(p)))
				continue;
			__set_bit(i, v->aged);
			age = true;
		}
	} else {
		for (i = first, p = ptep; i < last; i++, p++)
			if (test_bit(i, v->want))
				uksm_visit_pte(v, vma, i, ptep_get(p));
	}
	if (age)
		uksm_visit_age(v, vma, ptep, start, end);
	pte_unmap_unlock(ptep, ptl);
}
