// SPDX-License-Identifier: GPL-2.0
/*
 * unmerge.c - give every process its own pages back
 *
 * Walks the page tables of all processes, not the frames: what is mapped is
 * what has to go, however it came there. Each mapping is broken by the fault
 * that a write to it would cause. A frame under migration is not seen; so the
 * walk is repeated until no frame is left.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/oom.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "frame.h"
#include "headroom.h"
#include "space.h"
#include "sweep.h"
#include "unmerge.h"
#include "walk.h"

/* Walks before we say that something cannot be unmerged, and ms between. */
#define UKSM_UNMERGE_TRIES 50
#define UKSM_UNMERGE_PAUSE_MS 20

/* Did uksm place a zero page here? */
static bool uksm_zero_placed(struct uksm_space *space, unsigned long addr)
{
	struct uksm_region *r = uksm_space_region(space, addr);

	return r && r->zero && test_bit(uksm_page_nr(addr), r->zero);
}

/* Is a page to be broken? PTE lock held. */
static bool uksm_pte_merged(struct uksm_space *space, unsigned long addr,
			    pte_t pte)
{
	struct folio *folio;

	/* In device memory: a fault fetches it, and it is found again. */
	if (!pte_present(pte))
		folio = uksm_pte_device_folio(pte);
	else if (pte_special(pte))
		/* One that userfaultfd watches: the write would be an event. */
		return is_zero_pfn(pte_pfn(pte)) && !uksm_pte_is_uffd(pte) &&
		       uksm_zero_placed(space, addr);
	else
		folio = page_folio(pfn_to_page(pte_pfn(pte)));
	return folio && uksm_folio_is_frame(folio);
}

/*
 * The next page to be broken at or after *@addr in the page table there;
 * mmap_lock held. *@addr is moved behind what was read.
 */
static bool uksm_unmerge_next(struct uksm_space *space, unsigned long *addr,
			      unsigned long end)
{
	struct mm_struct *mm = space->mm;
	pmd_t *pmd = uksm_walk_pmd(mm, *addr);
	spinlock_t *ptl;
	pte_t *ptep, *p;
	bool found = false;

	ptep = pmd ? uksm_pte_map_lock(mm, pmd, *addr, &ptl) : NULL;
	if (!ptep) {
		*addr = end;
		return false;
	}
	for (p = ptep; *addr < end && !found; p++, *addr += PAGE_SIZE)
		found = uksm_pte_merged(space, *addr, ptep_get(p));
	pte_unmap_unlock(ptep, ptl);
	return found;
}

/*
 * A page that a fault has unshared is clean, and so is its PTE: nobody has
 * written to it. Once a fork has shared it, a child's MADV_FREE would take it
 * for given up by all, for the kernel trusts that a mapping with content worth
 * keeping is dirty if the page is not. There is no fork before mmap_lock is
 * let go.
 */
static void uksm_unmerge_dirty(struct mm_struct *mm, unsigned long addr)
{
	pmd_t *pmd = uksm_walk_pmd(mm, addr);
	struct folio *folio;
	spinlock_t *ptl;
	pte_t *ptep, pte;

	ptep = pmd ? uksm_pte_map_lock(mm, pmd, addr, &ptl) : NULL;
	if (!ptep)
		return;
	pte = ptep_get(ptep);
	if (pte_present(pte) && !pte_special(pte)) {
		folio = page_folio(pfn_to_page(pte_pfn(pte)));
		if (folio_test_anon(folio))
			folio_mark_dirty(folio);
	}
	pte_unmap_unlock(ptep, ptl);
}

/*
 * Have the page at @addr copied for @vma. handle_mm_fault() may give up for
 * reasons that pass; then the page is found again. mmap_lock held.
 *
 * A page that could be had is not kept for the fault, which would have somebody
 * killed if others took it, or if watermarks were raised meanwhile. It may take
 * one of the reserves then; the next page is only copied when one more can be had
 * in the ordinary way.
 */
static int uksm_unmerge_page(struct vm_area_struct *vma, unsigned long addr,
			     bool zero)
{
	unsigned int flags = FAULT_FLAG_UNSHARE | FAULT_FLAG_REMOTE;
	unsigned int memalloc;
	vm_fault_t ret;

	if (!uksm_headroom_try(vma, addr))
		return -ENOMEM;
	/* 6.1 does not unshare a zero page. */
	if (zero && (vma->vm_flags & VM_WRITE))
		flags = FAULT_FLAG_WRITE | FAULT_FLAG_REMOTE;
	memalloc = memalloc_noreclaim_save();
	ret = handle_mm_fault(vma, addr, flags, NULL);
	memalloc_noreclaim_restore(memalloc);
	uksm_unmerge_dirty(vma->vm_mm, addr);
	return ret & VM_FAULT_OOM ? -ENOMEM : 0;
}

/* Break all there is in one page table. mmap_lock held. */
static int uksm_unmerge_table(struct uksm_space *space,
			      struct vm_area_struct *vma, unsigned long addr,
			      unsigned long end)
{
	unsigned int tries = 0;
	int err;

	while (addr < end && uksm_unmerge_next(space, &addr, end)) {
		err = uksm_unmerge_page(vma, addr - PAGE_SIZE,
					uksm_zero_placed(space,
							 addr - PAGE_SIZE));
		if (err)
			return err;
		if (signal_pending(current))
			return -EINTR;
		/* Look at it again, but not for ever. */
		if (++tries % 8)
			addr -= PAGE_SIZE;
		cond_resched();
	}
	return 0;
}

/*
 * Break all there is in one space, with mmap_lock held for one page table at a
 * time.
 */
static int uksm_unmerge_space(struct uksm_space *space)
{
	struct mm_struct *mm = space->mm;
	struct vm_area_struct *vma;
	unsigned long addr = 0, start, end;
	int err = 0;

	if (!mmget_not_zero(mm))
		return 0;
	while (!err) {
		if (mmap_read_lock_killable(mm)) {
			err = -EINTR;
			break;
		}
		vma = find_vma(mm, addr);
		if (!vma) {
			mmap_read_unlock(mm);
			break;
		}
		start = max(addr, vma->vm_start);
		addr = vma->vm_end;
		if (vma->anon_vma && uksm_walk_next(mm, &start, addr)) {
			end = min(vma->vm_end, (start & UKSM_REGION_MASK) +
						       UKSM_REGION_SIZE);
			err = uksm_unmerge_table(space, vma, start, end);
			addr = end;
		}
		mmap_read_unlock(mm);
		cond_resched();
		/* It has exited: its memory is free when we let go of it. */
		if (atomic_read(&mm->mm_users) == 1)
			break;
	}
	mmput_async(mm);
	return err;
}

static int uksm_unmerge_spaces(void)
{
	struct uksm_space *space;
	int err, try;

	for (try = 0; try < UKSM_UNMERGE_TRIES; try++) {
		uksm_spaces_refresh();
		list_for_each_entry(space, &uksm_spaces, list) {
			err = uksm_unmerge_space(space);
			if (err) {
				uksm_frames_sweep();
				pr_warn("unmerging stopped (error %d), %llu pages are still to be copied: %s, then write 2 to run again\n",
					err, uksm_headroom_pages(),
					err == -ENOMEM ?
						"free memory, or raise a group's memory.max" :
						"wait");
				return err;
			}
		}
		uksm_frames_sweep();
		if (!uksm_stats.frames)
			return 0;
		msleep(UKSM_UNMERGE_PAUSE_MS);
	}
	pr_warn("%llu frames are still in use: write 2 to run again\n",
		uksm_stats.frames);
	return -EBUSY;
}

/**
 * uksm_unmerge_all() - break every mapping of every frame
 *
 * Context: uksm_sem held for writing; may sleep, for as long as it takes. On an error
 * what is merged stays merged and valid, and the call can be repeated.
 * Return: 0, -ENOMEM, -EINTR, or -EBUSY: some frames could not be found.
 */
int uksm_unmerge_all(void)
{
	int err;

	/* If it is us who use up the memory, nobody else is to be killed. */
	set_current_oom_origin();
	err = uksm_unmerge_spaces();
	clear_current_oom_origin();
	return err;
}
