/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ksyms.h - what uksm uses of the kernel and the kernel does not export
 *
 * A function is a static call with the prototype of the kernel's own header,
 * which must be the one that is listed here. The call is a direct one (on
 * x86-64), so that indirect branch tracking has nothing to object to. A datum
 * is a typed pointer. Both are bound by uksm_ksyms_init(), all or none.
 */
#ifndef UKSM_KSYMS_H
#define UKSM_KSYMS_H

#include <linux/build_bug.h>
#include <linux/kallsyms.h>
#include <linux/static_call.h>

#include <uksm/compat.h>

/*
 * The lists have each function as F(type, name, parameters, what it is for): all
 * that is known of it, kept once. What is built is compared with the headers,
 * what is loaded with the kernel's type information (btf.c), and before either
 * scripts/check-symbols does both. Write types as btf.c does: without const and
 * typedefs, but for those that are all the name a type has (pte_t).
 */
/* clang-format off: Kbuild looks for a type and a name on one line */
#ifdef UKSM_HAVE_FOLIO_RMAP
#define UKSM_KSYMS_RMAP(F)                                               \
	F(void, folio_add_anon_rmap_ptes,                                \
	  (struct folio *, struct page *, int, struct vm_area_struct *,  \
	   unsigned long, int),                                          \
	  "map a frame")                                                 \
	F(void, folio_remove_rmap_ptes,                                  \
	  (struct folio *, struct page *, int, struct vm_area_struct *), \
	  "unmap the page it replaces")
#else
#define UKSM_KSYMS_RMAP(F)                                              \
	F(void, page_add_anon_rmap,                                     \
	  (struct page *, struct vm_area_struct *, unsigned long, int), \
	  "map a frame")                                                \
	F(void, page_remove_rmap,                                       \
	  (struct page *, struct vm_area_struct *, bool),               \
	  "unmap the page it replaces")
#endif

#ifdef UKSM_HAVE_ANON_RMAP_TREE
#define UKSM_KSYMS_TREE(F)                                         \
	F(struct anon_vma_chain *, anon_rmap_tree_iter_first,      \
	  (struct anon_vma *, unsigned long, unsigned long),       \
	  "find the mappers of a frame")                           \
	F(struct anon_vma_chain *, anon_rmap_tree_iter_next,       \
	  (struct anon_vma_chain *, unsigned long, unsigned long), \
	  "find the mappers of a frame")
#else
#define UKSM_KSYMS_TREE(F)                                            \
	F(struct anon_vma_chain *, anon_vma_interval_tree_iter_first, \
	  (struct rb_root_cached *, unsigned long, unsigned long),    \
	  "find the mappers of a frame")                              \
	F(struct anon_vma_chain *, anon_vma_interval_tree_iter_next,  \
	  (struct anon_vma_chain *, unsigned long, unsigned long),    \
	  "find the mappers of a frame")
#endif

#if defined(UKSM_HAVE_PTE_MAP_LOCK_FN)
#define UKSM_KSYMS_PTE(F)                                                   \
	F(pte_t *, __pte_offset_map_lock,                                   \
	  (struct mm_struct *, pmd_t *, unsigned long, struct spinlock **), \
	  "read page tables")
#elif !defined(UKSM_HAVE_PTE_MAP_LOCK_MACRO)
#define UKSM_KSYMS_PTE(F)                                                   \
	F(pte_t *, pte_offset_map_lock,                                     \
	  (struct mm_struct *, pmd_t *, unsigned long, struct spinlock **), \
	  "read page tables")
#else
#define UKSM_KSYMS_PTE(F)
#endif

#ifndef CONFIG_TRANSPARENT_HUGEPAGE
#define UKSM_KSYMS_HUGE(F)
#elif defined(UKSM_HAVE_SPLIT_ORDER_PREFIXED)
#define UKSM_KSYMS_HUGE(F)                                   \
	F(int, __split_huge_page_to_list_to_order,           \
	  (struct page *, struct list_head *, unsigned int), \
	  "split a huge page")
#elif defined(UKSM_HAVE_SPLIT_ORDER)
#define UKSM_KSYMS_HUGE(F)                                   \
	F(int, split_huge_page_to_list_to_order,             \
	  (struct page *, struct list_head *, unsigned int), \
	  "split a huge page")
#else
#define UKSM_KSYMS_HUGE(F)                                                   \
	F(int, split_huge_page_to_list, (struct page *, struct list_head *), \
	  "split a huge page")
#endif

#ifdef UKSM_HAVE_NOTIFIER_ONLY_END
#define UKSM_KSYMS_NOTIFIER_END(F)                   \
	F(void, __mmu_notifier_invalidate_range_end, \
	  (struct mmu_notifier_range *, bool), "tell KVM and IOMMUs")
#else
#define UKSM_KSYMS_NOTIFIER_END(F)                   \
	F(void, __mmu_notifier_invalidate_range_end, \
	  (struct mmu_notifier_range *), "tell KVM and IOMMUs")
#endif

#ifdef CONFIG_MEMCG
#define UKSM_KSYMS_MEMCG(F)                                   \
	F(int, __mem_cgroup_charge,                           \
	  (struct folio *, struct mm_struct *, unsigned int), \
	  "charge a frame to its group")
#else
#define UKSM_KSYMS_MEMCG(F)
#endif

#ifdef CONFIG_MEMORY_FAILURE
#define UKSM_KSYMS_POISON(F)                                    \
	F(void, try_to_unmap, (struct folio *, enum ttu_flags), \
	  "take a poisoned frame away")
#else
#define UKSM_KSYMS_POISON(F)
#endif

/*
 * arm64 flushes by inline functions, which use what is not exported. So do the
 * gathering of an unmap, and set_pte_at().
 */
#ifdef CONFIG_ARM64
#define UKSM_KSYMS_FLUSH(F)                                                \
	F(void, tlb_gather_mmu, (struct mmu_gather *, struct mm_struct *), \
	  "flush after a change")                                          \
	F(void, tlb_finish_mmu, (struct mmu_gather *), "flush after a change")
#ifdef ptep_modify_prot_commit
#define UKSM_KSYMS_SET(F)                                                  \
	F(void, ptep_modify_prot_commit,                                   \
	  (struct vm_area_struct *, unsigned long, pte_t *, pte_t, pte_t), \
	  "change page tables")
#else
#define UKSM_KSYMS_SET(F)
#endif
#else
#define UKSM_KSYMS_FLUSH(F)                                                \
	F(void, flush_tlb_mm_range,                                        \
	  (struct mm_struct *, unsigned long, unsigned long, unsigned int, \
	   bool),                                                          \
	  "flush after a change")
#define UKSM_KSYMS_SET(F)
#endif

/* What finds all others. */
#define UKSM_KSYM_LOOKUP(F)                                    \
	F(unsigned long, kallsyms_lookup_name, (const char *), \
	  "find all others")

/* Every function. All are required. */
#define UKSM_KSYM_FUNCTIONS(F)                                               \
	F(void, rmap_walk_ksm, (struct folio *, struct rmap_walk_control *), \
	  "let the kernel find mappers")                                     \
	F(void, folio_migrate_ksm, (struct folio *, struct folio *),         \
	  "follow a frame that moves")                                       \
	F(int, __mmu_notifier_invalidate_range_start,                        \
	  (struct mmu_notifier_range *), "tell KVM and IOMMUs")              \
	F(bool, folio_free_swap, (struct folio *),                           \
	  "free the slot of a merged page")                                  \
	F(void, lru_add_drain_all, (void), "see fresh pages")                \
	F(void, __put_anon_vma, (struct anon_vma *), "forget a mapper")      \
	UKSM_KSYMS_NOTIFIER_END(F)                                           \
	UKSM_KSYMS_FLUSH(F)                                                  \
	UKSM_KSYMS_SET(F)                                                    \
	UKSM_KSYMS_RMAP(F)                                                   \
	UKSM_KSYMS_TREE(F)                                                   \
	UKSM_KSYMS_PTE(F)                                                    \
	UKSM_KSYMS_HUGE(F)                                                   \
	UKSM_KSYMS_POISON(F)                                                 \
	UKSM_KSYMS_MEMCG(F)
/* clang-format on */

/* Every datum: D(name, type, what it is for). All are required. */
#define UKSM_KSYM_DATA(D)                                          \
	D(mm_kobj, struct kobject *, "create /sys/kernel/mm/uksm") \
	D(ksm_run, unsigned long, "see whether ksmd runs")

/*
 * ksyms.c is compiled first, so that this is what a build for a kernel that is
 * too new ends with. sparse tells apart what is the same to a compiler.
 */
#if defined(UKSM_KSYMS_CHECK) && !defined(__CHECKER__)
#define UKSM_KSYM_CHECK(type, fn, args, why)                                   \
	static_assert(IS_ENABLED(UKSM_SEEN_##fn),                              \
		      "uksm is too old for this kernel, whose headers do "     \
		      "not have " #fn "() (to " why "): get a newer uksm, "    \
		      "or see docs/check-symbols.md");                         \
	static_assert(__builtin_types_compatible_p(typeof(fn), type args),     \
		      "uksm is too old for this kernel, in whose headers " #fn \
		      "() is not " #type #args ": get a newer uksm, "          \
		      "or see docs/check-symbols.md");
UKSM_KSYM_LOOKUP(UKSM_KSYM_CHECK)
UKSM_KSYM_FUNCTIONS(UKSM_KSYM_CHECK)
#undef UKSM_KSYM_CHECK
#endif

#define UKSM_KSYM_DECLARE(type, fn, args, why) \
	DECLARE_STATIC_CALL(uksm_##fn, fn);
UKSM_KSYM_FUNCTIONS(UKSM_KSYM_DECLARE)
#undef UKSM_KSYM_DECLARE

#define UKSM_KSYM_DECLARE(sym, type, why) extern typeof(type) *uksm_ksym_##sym;
UKSM_KSYM_DATA(UKSM_KSYM_DECLARE)
#undef UKSM_KSYM_DECLARE

/* uksm_kcall(fn)(...) calls the kernel's fn; uksm_kdata(sym) is its lvalue. */
#define uksm_kcall(fn) static_call(uksm_##fn)
#define uksm_kdata(sym) (*uksm_ksym_##sym)

int uksm_ksyms_init(void);

/* ---- the bound functions under one name each -------------------------- */

static inline void uksm_notifier_start(struct mmu_notifier_range *range)
{
	might_sleep();
	if (!mm_has_notifiers(range->mm))
		return;
	range->flags |= MMU_NOTIFIER_RANGE_BLOCKABLE;
	uksm_kcall(__mmu_notifier_invalidate_range_start)(range);
}

static inline void uksm_notifier_end(struct mmu_notifier_range *range)
{
	if (!mm_has_notifiers(range->mm))
		return;
#ifdef UKSM_HAVE_NOTIFIER_ONLY_END
	uksm_kcall(__mmu_notifier_invalidate_range_end)(range, false);
#else
	uksm_kcall(__mmu_notifier_invalidate_range_end)(range);
#endif
}

/* Map and lock a page table; NULL if it went away. Unlock: pte_unmap_unlock. */
static inline pte_t *uksm_pte_map_lock(struct mm_struct *mm, pmd_t *pmd,
				       unsigned long addr, spinlock_t **ptl)
{
#if defined(UKSM_HAVE_PTE_MAP_LOCK_FN)
	return uksm_kcall(__pte_offset_map_lock)(mm, pmd, addr, ptl);
#elif defined(UKSM_HAVE_PTE_MAP_LOCK_MACRO)
	return pte_offset_map_lock(mm, pmd, addr, ptl);
#else
	return uksm_kcall(pte_offset_map_lock)(mm, pmd, addr, ptl);
#endif
}

/* Map @folio, one of uksm's frames, at @addr. PTE lock and folio lock held. */
static inline void uksm_rmap_add(struct folio *folio,
				 struct vm_area_struct *vma, unsigned long addr)
{
#ifdef UKSM_HAVE_FOLIO_RMAP
	uksm_kcall(folio_add_anon_rmap_ptes)(folio, &folio->page, 1, vma, addr,
					     RMAP_NONE);
#else
	uksm_kcall(page_add_anon_rmap)(&folio->page, vma, addr, RMAP_NONE);
#endif
}

/* Take away one mapping of the small @folio. PTE lock held. */
static inline void uksm_rmap_remove(struct folio *folio,
				    struct vm_area_struct *vma)
{
#ifdef UKSM_HAVE_FOLIO_RMAP
	uksm_kcall(folio_remove_rmap_ptes)(folio, &folio->page, 1, vma);
#else
	uksm_kcall(page_remove_rmap)(&folio->page, vma, false);
#endif
}

/*
 * Take the exclusive mark off a page whose PTE is cleared and flushed.
 * Non-zero if the page may be pinned: it then keeps the mark.
 */
static inline int uksm_rmap_try_share(struct folio *folio)
{
#ifdef UKSM_HAVE_FOLIO_RMAP
	return folio_try_share_anon_rmap_pte(folio, &folio->page);
#else
	return page_try_share_anon_rmap(&folio->page);
#endif
}

static inline struct anon_vma_chain *
uksm_anon_vma_first(struct anon_vma *anon_vma, pgoff_t pgoff)
{
#ifdef UKSM_HAVE_ANON_RMAP_TREE
	return uksm_kcall(anon_rmap_tree_iter_first)(anon_vma, pgoff, pgoff);
#else
	return uksm_kcall(anon_vma_interval_tree_iter_first)(&anon_vma->rb_root,
							     pgoff, pgoff);
#endif
}

static inline struct anon_vma_chain *
uksm_anon_vma_next(struct anon_vma_chain *avc, pgoff_t pgoff)
{
#ifdef UKSM_HAVE_ANON_RMAP_TREE
	return uksm_kcall(anon_rmap_tree_iter_next)(avc, pgoff, pgoff);
#else
	return uksm_kcall(anon_vma_interval_tree_iter_next)(avc, pgoff, pgoff);
#endif
}

static inline void uksm_anon_vma_put(struct anon_vma *anon_vma)
{
	if (atomic_dec_and_test(&anon_vma->refcount))
		uksm_kcall(__put_anon_vma)(anon_vma);
}

/* Charge a new frame to @mm's group; never OOM-kills for it. */
static inline int uksm_charge(struct folio *folio, struct mm_struct *mm,
			      gfp_t gfp)
{
#ifdef CONFIG_MEMCG
	if (!mem_cgroup_disabled())
		return uksm_kcall(__mem_cgroup_charge)(folio, mm, gfp);
#endif
	return 0;
}

/*
 * Take a poisoned frame from those who map it: who touches it then gets SIGBUS.
 * Where it is in swap as well, the kernel keeps it there, and finds it poisoned
 * when it is touched. Locked, not under writeback. May sleep. mirrors
 * unmap_poisoned_folio().
 */
static inline void uksm_unmap_poisoned(struct folio *folio)
{
#ifdef CONFIG_MEMORY_FAILURE
	unsigned int ttu = TTU_SYNC | TTU_IGNORE_MLOCK;

#ifdef UKSM_HAVE_TTU_HWPOISON
	if (!folio_test_swapcache(folio))
		ttu |= TTU_HWPOISON;
#else
	if (folio_test_swapcache(folio))
		ttu |= TTU_IGNORE_HWPOISON;
#endif
	uksm_kcall(try_to_unmap)(folio, (enum ttu_flags)ttu);
#endif
}

/*
 * Split a huge folio into small ones. Locked, with one reference of the
 * caller's; its first page stays locked and referenced. May sleep.
 */
static inline int uksm_split_folio(struct folio *folio)
{
#ifndef CONFIG_TRANSPARENT_HUGEPAGE
	return -EINVAL;
#elif defined(UKSM_HAVE_SPLIT_ORDER_PREFIXED)
	return uksm_kcall(__split_huge_page_to_list_to_order)(&folio->page,
							      NULL, 0);
#elif defined(UKSM_HAVE_SPLIT_ORDER)
	return uksm_kcall(split_huge_page_to_list_to_order)(&folio->page, NULL,
							    0);
#else
	return uksm_kcall(split_huge_page_to_list)(&folio->page, NULL);
#endif
}

/*
 * Flush a range of PTEs that were cleared, on all CPUs, before this returns.
 * PTE lock held. On arm64 as an unmap does it: it knows what the kernel's own
 * flush does beside (IOMMUs that share the page table, errata). A gathering
 * that is for the flush alone has no pages to free.
 */
static inline void uksm_flush_range(struct mm_struct *mm, unsigned long start,
				    unsigned long end)
{
#ifdef CONFIG_ARM64
	struct mmu_gather tlb;

	uksm_kcall(tlb_gather_mmu)(&tlb, mm);
	tlb_flush_pte_range(&tlb, start, end - start);
	uksm_kcall(tlb_finish_mmu)(&tlb);
#else
	uksm_kcall(flush_tlb_mm_range)(mm, start, end, PAGE_SHIFT, false);
#endif
}

/*
 * Set a PTE that was cleared and flushed. PTE lock held. The set_pte_at() of
 * arm64 takes care of tags by a function that is not exported; so the one that
 * ends an mprotect() is called, which is nothing else. It came with 6.2
 * (5db568e748f6). Before, what is left of set_pte_at() for memory without tags
 * is done here.
 */
static inline void uksm_set_pte(struct vm_area_struct *vma, unsigned long addr,
				pte_t *ptep, pte_t pte)
{
#ifndef CONFIG_ARM64
	set_pte_at(vma->vm_mm, addr, ptep, pte);
#elif defined(ptep_modify_prot_commit)
	uksm_kcall(ptep_modify_prot_commit)(vma, addr, ptep, __pte(0), pte);
#else
	page_table_check_pte_set(vma->vm_mm, addr, ptep, pte);
	if (pte_present(pte) && pte_user_exec(pte) && !pte_special(pte))
		__sync_icache_dcache(pte);
	set_pte(ptep, pte);
#endif
}

#endif /* UKSM_KSYMS_H */
