// SPDX-License-Identifier: GPL-2.0
/*
 * frame.c - the pages that hold shared content
 *
 * A frame's page is an ordinary anonymous page to the kernel, marked as a KSM
 * page without a stable node: whoever writes to it gets a copy, so its content
 * stays what it is for as long as it lives. Once it is mapped uksm holds no
 * reference on it; the kernel frees it with its last mapping, and the sweep
 * finds out afterwards.
 *
 * ksmd's pages carry the bare mark too, for a moment. Ours are told apart by a
 * random cookie in folio->index, which the core does not use in KSM pages and
 * migration copies.
 *
 * Owns: the frames and their list. Which of them has a page is said by the table
 * by pfn: see table.c.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/memory_hotplug.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/slab.h>

#include "frame.h"
#include "hooks.h"
#include "lookup.h"
#include "rmap.h"
#include "table.h"

/* Frames that a scan thread has at hand. */
#define UKSM_FRAME_STOCK 8

static struct kmem_cache *uksm_frame_cache;
LIST_HEAD(uksm_frame_list);

/* What folio->index of a frame says; no page index looks like it. */
static unsigned long uksm_cookie;

/**
 * uksm_folio_is_frame() - is a folio one of uksm's?
 * @folio: locked, or referenced (the answer may then age)
 *
 * ksmd cannot make one of its own of it: it finds the address of a page that it
 * is to share by page_address_in_vma(), which knows none for a KSM page.
 *
 * Context: any.
 * Return: whether it is.
 */
bool uksm_folio_is_frame(struct folio *folio)
{
	return READ_ONCE(folio->mapping) == (void *)UKSM_MAPPING_KSM &&
	       READ_ONCE(folio->index) == uksm_cookie;
}

/**
 * uksm_frame_of() - the frame whose page a folio is
 * @folio: locked; or referenced, by a caller that holds uksm_mutex
 *
 * Context: any, but not NMI.
 * Return: the frame, or NULL. It lives on while @folio is locked and mapped,
 * or while uksm_mutex is held, or uksm_sem for writing.
 */
struct uksm_frame *uksm_frame_of(struct folio *folio)
{
	struct uksm_frame *frame;
	unsigned long flags;

	if (!uksm_folio_is_frame(folio))
		return NULL;
	raw_spin_lock_irqsave(&uksm_table_lock, flags);
	frame = uksm_table_find(folio_pfn(folio));
	raw_spin_unlock_irqrestore(&uksm_table_lock, flags);
	return frame;
}

/* The pfn of a frame, also while a re-key is under way. */
static unsigned long uksm_frame_pfn(struct uksm_frame *frame)
{
	unsigned long flags, pfn = READ_ONCE(frame->pfn);

	if (pfn)
		return pfn;
	raw_spin_lock_irqsave(&uksm_table_lock, flags);
	pfn = frame->pfn;
	raw_spin_unlock_irqrestore(&uksm_table_lock, flags);
	return pfn;
}

/**
 * uksm_frame_holds() - is this folio (still) the page of this frame?
 * @frame: the frame
 * @folio: locked or referenced
 *
 * Return: whether it is.
 */
bool uksm_frame_holds(struct uksm_frame *frame, struct folio *folio)
{
	return uksm_folio_is_frame(folio) &&
	       uksm_frame_pfn(frame) == folio_pfn(folio);
}

/**
 * uksm_frame_rekey() - a frame has moved
 * @to: its page from now on
 * @from: its page until now
 *
 * Called by the hook on folio_migrate_ksm(), before the migration entries that
 * lead to @to are taken away through rmap.
 *
 * Context: both folios locked; a kprobe handler: preemption off.
 */
void uksm_frame_rekey(struct folio *to, struct folio *from)
{
	struct uksm_frame *frame;
	unsigned long flags;

#ifdef UKSM_MUTANT_REKEY
	if (folio_test_swapbacked(from)) /* not those of the self-test */
		return;
#endif
	raw_spin_lock_irqsave(&uksm_table_lock, flags);
	frame = uksm_table_find(folio_pfn(from));
	if (frame) {
		uksm_table_remove(frame);
		to->index = uksm_cookie;
		frame->device = folio_is_zone_device(to);
		uksm_table_insert(frame, folio_pfn(to));
	}
	raw_spin_unlock_irqrestore(&uksm_table_lock, flags);
}

/* Is there still a page of ours under @pfn? Return: 1, 0, -1: it is busy. */
static int uksm_folio_try(unsigned long pfn, struct folio **res)
{
	struct page *page = pfn ? pfn_to_online_page(pfn) : NULL;
	struct folio *folio;

	if (!page)
		return 0;
	folio = page_folio(page);
	/*
	 * No reference to be had: freed, or its count is frozen by a migration
	 * or a reclaim under way, with its lock held. A page that was freed has
	 * lost its mark; but for a poisoned one, which is just let lie.
	 */
	if (!folio_try_get(folio))
		return uksm_folio_is_frame(folio) &&
				       (!folio_test_hwpoison(folio) ||
					folio_test_locked(folio)) ?
			       -1 :
			       0;
	if (folio_pfn(folio) == pfn && uksm_folio_is_frame(folio)) {
		*res = folio;
		return 1;
	}
	folio_put(folio);
	return 0;
}

/*
 * Is there still a page of ours under @pfn in device memory? The reference on
 * the device's map keeps the struct page. Not inlined: scripts/indirect.allow
 * names it.
 */
static noinline bool uksm_device_page_is_frame(unsigned long pfn)
{
	struct dev_pagemap *map = uksm_dev_pagemap_get(pfn);
	bool is_frame;

	/* The device is being taken away, or has been. */
	if (!map)
		return pfn_valid(pfn);
	/* A page that was freed has lost its mark. */
	is_frame = uksm_folio_is_frame(page_folio(pfn_to_page(pfn)));
	put_dev_pagemap(map);
	return is_frame;
}

/**
 * uksm_frame_get() - take a reference on a frame's page
 * @frame: a published frame
 * @dead: set to the pfn that no page of ours is under any more, or to
 *	ULONG_MAX if the frame lives
 *
 * Context: uksm_sem held, by a caller that has seen that nobody is making the
 * frame.
 * Return: the folio; or NULL: the frame is dead, or cannot be had for now.
 */
struct folio *uksm_frame_get(struct uksm_frame *frame, unsigned long *dead)
{
	struct folio *folio;
	unsigned long pfn;
	int res;

	*dead = ULONG_MAX;
	do {
		pfn = uksm_frame_pfn(frame);
		if (READ_ONCE(frame->device)) {
			if (!uksm_device_page_is_frame(pfn))
				*dead = pfn;
			return NULL;
		}
		res = uksm_folio_try(pfn, &folio);
		if (res < 0)
			return NULL;
		if (res && uksm_frame_holds(frame, folio))
			return folio;
		if (res)
			folio_put(folio);
	} while (pfn != uksm_frame_pfn(frame)); /* it migrated meanwhile */
	*dead = pfn;
	return NULL;
}

/**
 * uksm_frames_stock() - have a few frames at hand
 * @stock: the frames, of one scan thread
 *
 * Context: may sleep and reclaim.
 */
void uksm_frames_stock(struct uksm_frame **stock)
{
	struct uksm_frame *frame;
	unsigned int nr = 0;

	for (frame = *stock; frame; frame = frame->next)
		nr++;
	for (; nr < UKSM_FRAME_STOCK; nr++) {
		frame = kmem_cache_alloc(uksm_frame_cache, UKSM_GFP);
		if (!frame)
			break;
		frame->next = *stock;
		*stock = frame;
	}
}

/**
 * uksm_frames_unstock() - give them back
 * @stock: the frames
 */
void uksm_frames_unstock(struct uksm_frame **stock)
{
	struct uksm_frame *frame;

	while ((frame = *stock)) {
		*stock = frame->next;
		kmem_cache_free(uksm_frame_cache, frame);
	}
}

/**
 * uksm_frame_create() - a frame, for content to come
 * @batch: who makes it
 * @stock: used when there is no memory to be had without a wait
 *
 * It has no page. uksm_frame_adopt(), uksm_frame_copy() or uksm_frame_free() is
 * next.
 *
 * Context: uksm_mutex held.
 * Return: the frame, or NULL: no memory.
 */
struct uksm_frame *uksm_frame_create(struct uksm_batch *batch,
				     struct uksm_frame **stock)
{
	struct uksm_frame *frame;

	frame = kmem_cache_alloc(uksm_frame_cache, GFP_NOWAIT | __GFP_NOWARN);
	if (!frame) {
		frame = *stock;
		if (!frame)
			return NULL;
		*stock = frame->next;
	}
#ifndef UKSM_MUTANT_UNLOAD
	if (!uksm_stats.frames && !try_module_get(THIS_MODULE)) {
		kmem_cache_free(uksm_frame_cache, frame);
		return NULL;
	}
#endif
	*frame = (struct uksm_frame){
		.owner = batch,
		.making = true,
		.fresh = true,
	};
	list_add_tail(&frame->list, &uksm_frame_list);
	uksm_stats.frames++;
	uksm_metadata_add(sizeof(*frame));
	return frame;
}

/**
 * uksm_frame_free() - the last of a frame: nobody knows it any more
 * @frame: fresh, without a page; or out of the table
 *
 * Context: uksm_mutex held, or uksm_sem for writing.
 */
void uksm_frame_free(struct uksm_frame *frame)
{
	uksm_lookup_forget(frame);
	uksm_stats.mappings -= frame->mapped;
	list_del(&frame->list);
	kmem_cache_free(uksm_frame_cache, frame);
	uksm_metadata_add(-(long)sizeof(*frame));
	uksm_stats.frames--;
#ifndef UKSM_MUTANT_UNLOAD
	if (!uksm_stats.frames)
		module_put(THIS_MODULE);
#endif
}

/*
 * Make @folio the frame's page, and one that the kernel knows as such. Who still
 * holds a dead frame of the same pfn finds, with the folio locked, that it is not
 * that one's.
 */
static void uksm_frame_publish(struct uksm_frame *frame, struct folio *folio)
{
	unsigned long flags;

	folio->index = uksm_cookie;
	WRITE_ONCE(folio->mapping, (void *)UKSM_MAPPING_KSM);

	raw_spin_lock_irqsave(&uksm_table_lock, flags);
	uksm_table_insert(frame, folio_pfn(folio));
	raw_spin_unlock_irqrestore(&uksm_table_lock, flags);
	frame->folio = folio;
	frame->fresh = false;
}

/**
 * uksm_frame_adopt() - make a process's page a frame's, where it is
 * @frame: fresh from uksm_frame_create()
 * @folio: the page: locked, write-protected, unpinned, mapped once, ordinary
 *
 * As ksmd does with the first of its pages. It stays charged to whom it is
 * charged, and on the LRU.
 *
 * Before 7.x there are walks of an ordinary page's mappings that do without its
 * lock, but not without a reference, and one that was taken for ordinary before
 * must not come to our hook. So first the mark, then a look whether somebody has
 * a reference, and only then the page is known as a frame.
 *
 * The lock that the caller has is frame->folio's from now on, and so is one more
 * reference.
 *
 * Context: a batch; does not sleep.
 * Return: false if somebody else has a reference; then all is as it was.
 */
bool uksm_frame_adopt(struct uksm_frame *frame, struct folio *folio)
{
	void *mapping = folio->mapping;
	bool alone = true;

	WRITE_ONCE(folio->mapping, (void *)UKSM_MAPPING_KSM);
	smp_mb(); /* who gets a reference from here on sees the mark */
#ifndef UKSM_MUTANT_ADOPT
	alone = folio_ref_count(folio) == 2; /* its mapping's, the batch's */
	/*
	 * If there still is a mapping, which cannot come back while the folio is
	 * locked: or else it was somebody else's.
	 */
	smp_rmb();
	alone = alone && uksm_folio_mapcount(folio) == 1;
#endif
	if (!alone) {
		WRITE_ONCE(folio->mapping, mapping);
		return false;
	}
	folio_get(folio);
#ifndef UKSM_MUTANT_DIRTY
	/* Reclaim throws a clean anonymous page away. */
	folio_mark_dirty(folio);
#endif
	uksm_frame_publish(frame, folio);
	return true;
}

/**
 * uksm_frame_copy() - give a frame a page of its own
 * @frame: fresh from uksm_frame_create()
 * @from: the page whose content it takes; write-protected and unpinned
 * @mm: whose memory group is charged
 *
 * frame->folio is locked, and has a reference.
 *
 * A group at its limit is left alone: the charge does not reclaim, and neither
 * does the allocation. To make room for a page that is to save memory, others
 * would go to swap, with locks held.
 *
 * Context: a batch; does not sleep.
 * Return: false: no memory, or the group is at its limit.
 */
bool uksm_frame_copy(struct uksm_frame *frame, struct folio *from,
		     struct mm_struct *mm)
{
	gfp_t gfp = (GFP_HIGHUSER_MOVABLE | __GFP_NOWARN) &
		    ~__GFP_DIRECT_RECLAIM;
	struct folio *folio;

	if (!READ_ONCE(uksm_settings.across_nodes))
		gfp |= __GFP_THISNODE;
	folio = __folio_alloc(gfp, 0, folio_nid(from), NULL);
	if (!folio)
		return false;
#ifndef UKSM_MUTANT_CHARGE
	if (uksm_charge(folio, mm, GFP_NOWAIT | __GFP_NOWARN)) {
		folio_put(folio);
		return false;
	}
#endif
	__folio_set_locked(folio);
	copy_highpage(&folio->page, &from->page);
	flush_dcache_page(&folio->page);
	__folio_mark_uptodate(folio);
	__folio_set_swapbacked(folio);
#ifndef UKSM_MUTANT_DIRTY
	folio_set_dirty(folio);
#endif
	uksm_frame_publish(frame, folio);
	folio_add_lru(folio);
	return true;
}

/**
 * uksm_frame_kill() - a frame is over
 * @frame: its page has no mappings (the folio is locked), or is gone, so nobody
 *	walks its items; freed
 * @pfn: what that was judged by
 *
 * Context: uksm_sem held for writing.
 * Return: false if its page has moved since it was judged.
 */
bool uksm_frame_kill(struct uksm_frame *frame, unsigned long pfn)
{
	unsigned long flags;
	bool dead;

	raw_spin_lock_irqsave(&uksm_table_lock, flags);
	dead = frame->pfn == pfn;
	if (dead)
		uksm_table_remove(frame);
	raw_spin_unlock_irqrestore(&uksm_table_lock, flags);
	if (!dead)
		return false;
	uksm_rmap_items_drop(frame);
	uksm_frame_free(frame);
	return true;
}

/**
 * uksm_frames_selftest() - does the kernel call us for a frame?
 *
 * Walks the mappers of a frame that nobody maps, and moves it: both hooks have
 * to notice. kprobes can be switched off at any time, so this is asked at load
 * and at the start of each round.
 *
 * Context: uksm_sem held for writing; may sleep.
 * Return: 0, -ENOMEM, or -EOPNOTSUPP.
 */
int uksm_frames_selftest(void)
{
	struct rmap_walk_control rwc = {};
	struct uksm_frame frame = {};
	struct folio *folio[2] = {};
	unsigned long walks = uksm_hooks_walks();
	unsigned long flags;
	int i, err = -ENOMEM;

	for (i = 0; i < 2; i++) {
		folio[i] = __folio_alloc(UKSM_GFP, 0, numa_mem_id(), NULL);
		if (!folio[i])
			goto out;
		__folio_set_locked(folio[i]);
		folio[i]->index = uksm_cookie;
		folio[i]->mapping = (void *)UKSM_MAPPING_KSM;
	}
	raw_spin_lock_irqsave(&uksm_table_lock, flags);
	uksm_table_insert(&frame, folio_pfn(folio[0]));
	raw_spin_unlock_irqrestore(&uksm_table_lock, flags);

	uksm_kcall(rmap_walk_ksm)(folio[0], &rwc);
	uksm_kcall(folio_migrate_ksm)(folio[1], folio[0]);
	err = 0;
	if (!folio_test_ksm(folio[0]) || uksm_hooks_walks() == walks ||
	    frame.pfn != folio_pfn(folio[1]))
		err = -EOPNOTSUPP;

	raw_spin_lock_irqsave(&uksm_table_lock, flags);
	uksm_table_remove(&frame);
	raw_spin_unlock_irqrestore(&uksm_table_lock, flags);
out:
	for (i = 0; i < 2; i++) {
		if (!folio[i])
			continue;
		folio[i]->mapping = NULL;
		folio_unlock(folio[i]);
		folio_put(folio[i]);
	}
	return err;
}

/**
 * uksm_frames_init() - the table and the cookie
 *
 * Context: module load.
 * Return: 0 or -ENOMEM.
 */
int __init uksm_frames_init(void)
{
	/* A pointer to a frame has room for the type of an index's value. */
	BUILD_BUG_ON(__alignof__(struct uksm_frame) < 8);
	if (uksm_table_init())
		return -ENOMEM;
	uksm_frame_cache = KMEM_CACHE(uksm_frame, 0);
	if (!uksm_frame_cache) {
		uksm_table_exit();
		return -ENOMEM;
	}
	uksm_cookie = get_random_long() | BIT(BITS_PER_LONG - 1) |
		      BIT(BITS_PER_LONG - 2);
	return 0;
}

void uksm_frames_exit(void)
{
	WARN_ON_ONCE(uksm_stats.frames);
	kmem_cache_destroy(uksm_frame_cache);
	uksm_table_exit();
}
