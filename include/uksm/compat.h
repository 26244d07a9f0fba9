/* SPDX-License-Identifier: GPL-2.0 */
/*
 * compat.h - all that differs between the kernels uksm builds for
 *
 * Kbuild looks into the headers of the target and defines UKSM_HAVE_*. The
 * rest of the project calls what is here and never asks for a version.
 */
#ifndef UKSM_COMPAT_H
#define UKSM_COMPAT_H

#include <linux/anon_inodes.h>
#include <linux/highmem.h>
#include <linux/kprobes.h>
#include <linux/ksm.h>
#include <linux/memcontrol.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mmu_notifier.h>
#include <linux/pagemap.h>
#include <linux/percpu_counter.h>
#include <linux/pgtable.h>
#include <linux/rmap.h>
#include <linux/sched/mm.h>
#include <linux/swap.h>
#ifdef UKSM_HAVE_SOFTLEAF
#include <linux/leafops.h>
#else
#include <linux/swapops.h>
#endif
#include <linux/userfaultfd_k.h>
#include <linux/version.h>

#include <asm/tlbflush.h>
#ifdef CONFIG_ARM64
#include <asm/mte.h>
#include <asm/tlb.h>
#include <asm/virt.h>
#endif

#if !defined(CONFIG_X86_64) && !defined(CONFIG_ARM64)
#error "uksm runs on x86-64 and arm64 only"
#endif
#if KERNEL_VERSION(6, 1, 0) > LINUX_VERSION_CODE
#error "uksm needs Linux 6.1 or newer"
#endif
#ifndef CONFIG_KSM
#error "uksm needs CONFIG_KSM: without it the kernel does not know merged pages"
#endif
#ifndef CONFIG_KPROBES
#error "uksm needs CONFIG_KPROBES"
#endif
#ifndef CONFIG_KALLSYMS_ALL
#error "uksm needs CONFIG_KALLSYMS_ALL"
#endif
#ifndef CONFIG_MMU_NOTIFIER
#error "uksm needs CONFIG_MMU_NOTIFIER"
#endif
/*
 * x86: with indirect branch tracking only a direct call may go to a looked-up
 * address, which may have no ENDBR. arm64 has no static calls, or only since
 * 7.x and with CFI; there the generic ones are calls through a pointer, to the
 * entry of a function that others call as well.
 */
#if defined(CONFIG_X86_64) && !defined(CONFIG_HAVE_STATIC_CALL)
#error "uksm needs CONFIG_HAVE_STATIC_CALL: direct calls of what is bound"
#endif
#if defined(CONFIG_ARM64) && !defined(CONFIG_ARM64_4K_PAGES)
#error "uksm needs pages of 4 KiB: on arm64 a kernel with CONFIG_ARM64_4K_PAGES"
#endif
#ifdef CONFIG_CPU_BIG_ENDIAN
#error "uksm does not know big-endian kernels"
#endif

/* Not shown to modules by asm/tlbflush.h; Kbuild has compared the two. */
#ifndef CONFIG_X86_64
#elif defined(UKSM_HAVE_FLUSH_RANGE)
void flush_tlb_mm_range(struct mm_struct *mm, unsigned long start,
			unsigned long end, unsigned int stride_shift,
			bool freed_tables);
#else
#error "uksm is too old: flush_tlb_mm_range() is another here; see docs/check-symbols.md"
#endif

/* 6.17 renamed the flag with the rest of the mapping flags. */
#ifdef FOLIO_MAPPING_KSM
#define UKSM_MAPPING_KSM FOLIO_MAPPING_KSM
#else
#define UKSM_MAPPING_KSM PAGE_MAPPING_KSM
#endif

/* ---- page tables ------------------------------------------------------ */

/* Before 6.5 (dab6e717429e) a pmd was read with pmd_read_atomic(). */
static inline pmd_t uksm_pmd_read(pmd_t *pmd)
{
#ifdef pmd_read_atomic
	return pmd_read_atomic(pmd);
#else
	return READ_ONCE(*pmd);
#endif
}

/* What a PTE says, but for the accessed bit, as a number to compare. */
static inline u64 uksm_pte_print(pte_t *ptep)
{
#ifdef CONFIG_X86_64
	/* As it lies there: what Xen would make of it does not matter. */
	return native_pte_val(ptep_get(ptep)) & ~(u64)_PAGE_ACCESSED;
#else
	return pte_val(pte_mkold(ptep_get(ptep)));
#endif
}

static inline bool uksm_pte_is_uffd(pte_t pte)
{
#ifdef UKSM_HAVE_PTE_UFFD
	return pte_uffd(pte);
#else
	return pte_uffd_wp(pte);
#endif
}

/*
 * The page in device memory that an entry which is not present leads to, or
 * NULL. PTE lock held. 6.19 has a type for such entries.
 */
static inline struct folio *uksm_pte_device_folio(pte_t pte)
{
#ifdef UKSM_HAVE_SOFTLEAF
	softleaf_t entry = softleaf_from_pte(pte);

	return softleaf_is_device_private(entry) ?
		       page_folio(softleaf_to_page(entry)) :
		       NULL;
#else
	swp_entry_t entry;

	if (pte_none(pte))
		return NULL;
	entry = pte_to_swp_entry(pte);
	return is_device_private_entry(entry) ?
		       page_folio(pfn_swap_entry_to_page(entry)) :
		       NULL;
#endif
}

/* 6.18: no cache of the last one. */
static inline struct dev_pagemap *uksm_dev_pagemap_get(unsigned long pfn)
{
#ifdef UKSM_HAVE_PAGEMAP_BY_PFN
	return get_dev_pagemap(pfn);
#else
	return get_dev_pagemap(pfn, NULL);
#endif
}

/*
 * Shadow stacks (6.6), droppable memory (6.11): written by other means than
 * ordinary stores, or thrown away by the kernel at will.
 */
#ifndef VM_SHADOW_STACK
#define VM_SHADOW_STACK VM_NONE
#endif
#ifndef VM_DROPPABLE
#define VM_DROPPABLE VM_NONE
#endif

/*
 * What a protected guest has (arm64, pKVM) is out of the host's reach, though the
 * process that runs it still maps it. A read has the hypervisor take the page from
 * the guest, and zero it. KVM's notifier is there before the guest has memory.
 */
static inline bool uksm_mm_out_of_reach(struct mm_struct *mm)
{
#ifdef CONFIG_ARM64
	return is_protected_kvm_enabled() && mm_has_notifiers(mm);
#else
	return false;
#endif
}

/*
 * Memory with tags (arm64): two pages may be equal but for the tags. KVM tags
 * pages also where the area is not marked. As in memcmp_pages() of arm64.
 */
#ifdef UKSM_MUTANT_TAGS
#undef VM_MTE
#endif
#ifndef VM_MTE
#define VM_MTE VM_NONE
#endif

static inline bool uksm_page_is_tagged(struct page *page)
{
#if defined(CONFIG_ARM64) && !defined(UKSM_MUTANT_TAGS)
	return system_supports_mte() && page_mte_tagged(page);
#else
	return false;
#endif
}

/* A page as a fault at @addr would have it, by the policies that apply there. */
static inline struct folio *
uksm_vma_alloc(gfp_t gfp, struct vm_area_struct *vma, unsigned long addr)
{
#ifdef UKSM_HAVE_VMA_ALLOC_HUGEPAGE
	return vma_alloc_folio(gfp, 0, vma, addr, false);
#else
	return vma_alloc_folio(gfp, 0, vma, addr);
#endif
}

/* ---- mmu notifiers ---------------------------------------------------- */

static inline void uksm_notifier_range_init(struct mmu_notifier_range *range,
					    struct vm_area_struct *vma,
					    unsigned long start,
					    unsigned long end)
{
#ifdef UKSM_HAVE_NOTIFIER_VMA
	mmu_notifier_range_init(range, MMU_NOTIFY_CLEAR, 0, vma, vma->vm_mm,
				start, end);
#else
	mmu_notifier_range_init(range, MMU_NOTIFY_CLEAR, 0, vma->vm_mm, start,
				end);
#endif
}

/* ---- probes ----------------------------------------------------------- */

/* Have a function called when a probe returns, in place of the probed one. */
static inline void uksm_regs_call(struct pt_regs *regs, unsigned long fn,
				  unsigned long a, unsigned long b,
				  unsigned long c)
{
#if defined(CONFIG_X86_64)
	regs->di = a;
	regs->si = b;
	regs->dx = c;
#elif defined(CONFIG_ARM64)
	regs->regs[0] = a;
	regs->regs[1] = b;
	regs->regs[2] = c;
#else
#error "uksm does not know how this architecture passes arguments"
#endif
	instruction_pointer_set(regs, fn);
}

/* ---- counters --------------------------------------------------------- */

/*
 * The kernel's own helpers end in mm_trace_rss_stat(), which is not exported.
 * All that is lost is a trace event.
 */
static inline void uksm_mm_dec_anon(struct mm_struct *mm)
{
#ifdef UKSM_HAVE_PERCPU_RSS
	percpu_counter_dec(&mm->rss_stat[MM_ANONPAGES]);
#else
	atomic_long_dec(&mm->rss_stat.count[MM_ANONPAGES]);
#endif
}

static inline unsigned long uksm_mm_anon_pages(struct mm_struct *mm)
{
#ifdef UKSM_HAVE_PERCPU_RSS
	return percpu_counter_sum_positive(&mm->rss_stat[MM_ANONPAGES]);
#else
	return get_mm_counter(mm, MM_ANONPAGES);
#endif
}

/* Mappings of a small folio; folio_mapcount() is not exported in 6.1. */
static inline int uksm_folio_mapcount(struct folio *folio)
{
	return atomic_read(&folio->_mapcount) + 1;
}

/* ---- anon_vma --------------------------------------------------------- */

/* In mm/internal.h since 7.0, in rmap.h before; the struct stays in rmap.h. */
#ifndef UKSM_HAVE_PUT_ANON_VMA
void __put_anon_vma(struct anon_vma *anon_vma);
#endif

static inline bool uksm_anon_vma_trylock(struct anon_vma *anon_vma)
{
	return down_read_trylock(&anon_vma->root->rwsem);
}

static inline void uksm_anon_vma_lock(struct anon_vma *anon_vma)
{
	down_read(&anon_vma->root->rwsem);
}

static inline void uksm_anon_vma_unlock(struct anon_vma *anon_vma)
{
	up_read(&anon_vma->root->rwsem);
}

static inline void uksm_anon_vma_get(struct anon_vma *anon_vma)
{
	atomic_inc(&anon_vma->refcount);
}

/* The index under which an anonymous page of @vma is found in its anon_vma. */
static inline pgoff_t uksm_vma_anon_start(struct vm_area_struct *vma)
{
#ifdef UKSM_HAVE_ANON_PGOFF
	return vma_start_anon_pgoff(vma);
#else
	return vma->vm_pgoff;
#endif
}

#endif /* UKSM_COMPAT_H */
