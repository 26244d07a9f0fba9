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
 * Owns: the frames, their list (uksm_mutex) and the table by pfn (a raw lock,
 * irq-safe, because the migration hook re-keys from a kprobe handler). The
 * table is sized once for the machine; entries are linked in place, so neither
 * a look-up nor a re-key can fail or allocate.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/log2.h>
#include <linux/hash.h>
#include <linux/memory_hotplug.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "frame.h"
#include "hooks.h"
#include "match.h"
#include "rmap.h"

/* Pages of RAM for each bucket of the table, and the fewest buckets. */
#define UKSM_TABLE_PAGES 64
#define UKSM_TABLE_MIN 1024

static struct kmem_cache *uksm_frame_cache;
static LIST_HEAD(uksm_frame_list);

static DEFINE_RAW_SPINLOCK(uksm_table_lock);
static struct uksm_frame **uksm_table;
static unsigned int uksm_table_bits;

/* What folio->index of a frame says; no page index looks like it. */
static unsigned long uksm_cookie;

static struct uksm_frame **uksm_table_bucket(unsigned long pfn)
{
	return &uksm_table[hash_long(pfn, uksm_table_bits)];
}

/* Table lock held. */
static struct uksm_frame *uksm_table_find(unsigned long pfn)
{
	struct uksm_frame *frame;

	lockdep_assert_held(&uksm_table_lock);
	for (frame = *uksm_table_bucket(pfn); frame; frame = frame->next)
		if (frame->pfn == pfn)
			return frame;
	return NULL;
}

/* Table lock held. */
static void uksm_table_remove(struct uksm_frame *frame)
{
	struct uksm_frame **p;

	lockdep_assert_held(&uksm_table_lock);
	if (!frame->pfn)
		return;
	for (p = uksm_table_bucket(frame->pfn); *p; p = &(*p)->next) {
		if (*p == frame) {
			*p = frame->next;
			break;
		}
	}
	WRITE_ONCE(frame->pfn, 0);
	WRITE_ONCE(frame->device, false);
}

/*
 * Table lock held. Whoever is there under @pfn is a frame whose page was freed
 * and found a new use: it loses its key, and the sweep will find it dead.
 */
static void uksm_table_insert(struct uksm_frame *frame, unsigned long pfn)
{
	struct uksm_frame *stale = uksm_table_find(pfn);
	struct uksm_frame **p = uksm_table_bucket(pfn);

	if (stale)
		uksm_table_remove(stale);
	frame->next = *p;
	*p = frame;
	WRITE_ONCE(frame->pfn, pfn);
}

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
 * @folio: locked, or referenced by a caller that holds uksm_mutex
 *
 * Context: any, but not NMI.
 * Return: the frame, or NULL. It lives on while @folio is locked and mapped,
 * or while uksm_mutex is held.
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
	unsigned long flags, pfn;

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
 * Context: uksm_mutex held.
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
 * uksm_frame_create() - a frame with a page, for content to come
 * @mm: whose memory group is charged
 * @nid: node to allocate from
 *
 * The folio is locked and known to nobody. uksm_frame_publish() or
 * uksm_frame_abandon() is next.
 *
 * A group at its limit is left alone: the charge does not reclaim. To make room
 * for a page that is to save memory, others would go to swap, with mmap_lock
 * held, and where there is nothing to reclaim the kernel would try it in vain
 * for each page.
 *
 * Context: uksm_mutex held; may sleep and reclaim.
 * Return: the frame, or NULL: no memory, or the group is at its limit.
 */
struct uksm_frame *uksm_frame_create(struct mm_struct *mm, int nid)
{
	gfp_t gfp = GFP_HIGHUSER_MOVABLE | __GFP_NORETRY | __GFP_NOWARN;
	struct uksm_frame *frame;
	struct folio *folio;

	if (!READ_ONCE(uksm_settings.across_nodes))
		gfp |= __GFP_THISNODE;

	frame = kmem_cache_zalloc(uksm_frame_cache,
				  GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN);
	if (!frame)
		return NULL;
	folio = __folio_alloc(gfp, 0, nid, NULL);
	if (!folio)
		goto err_free;
#ifndef UKSM_MUTANT_CHARGE
	if (uksm_charge(folio, mm, GFP_NOWAIT | __GFP_NOWARN))
		goto err_put;
#endif
#ifndef UKSM_MUTANT_UNLOAD
	if (!uksm_stats.frames && !try_module_get(THIS_MODULE))
		goto err_put;
#endif

	__folio_set_locked(folio);
	frame->folio = folio;
	list_add_tail(&frame->list, &uksm_frame_list);
	uksm_stats.frames++;
	uksm_metadata_add(sizeof(*frame));
	return frame;

err_put:
	folio_put(folio);
err_free:
	kmem_cache_free(uksm_frame_cache, frame);
	return NULL;
}

/* The last of a frame: nobody knows it any more. uksm_mutex held. */
static void uksm_frame_free(struct uksm_frame *frame)
{
	uksm_match_forget(frame);
	list_del(&frame->list);
	kmem_cache_free(uksm_frame_cache, frame);
	uksm_metadata_add(-(long)sizeof(*frame));
	uksm_stats.frames--;
#ifndef UKSM_MUTANT_UNLOAD
	if (!uksm_stats.frames)
		module_put(THIS_MODULE);
#endif
}

/**
 * uksm_frame_abandon() - undo uksm_frame_create()
 * @frame: not published
 *
 * Context: uksm_mutex held.
 */
void uksm_frame_abandon(struct uksm_frame *frame)
{
	folio_unlock(frame->folio);
	folio_put(frame->folio);
	uksm_frame_free(frame);
}

/**
 * uksm_frame_publish() - fill a frame and make it a page the kernel knows
 * @frame: fresh from uksm_frame_create()
 * @from: the page whose content it takes; write-protected and unpinned
 *
 * The caller goes on holding lock and reference of frame->folio.
 *
 * Context: uksm_mutex held.
 */
void uksm_frame_publish(struct uksm_frame *frame, struct page *from)
{
	struct folio *folio = frame->folio;
	unsigned long flags;

	copy_highpage(&folio->page, from);
	flush_dcache_page(&folio->page);
	__folio_mark_uptodate(folio);
	__folio_set_swapbacked(folio);
#ifndef UKSM_MUTANT_DIRTY
	/* Reclaim throws a clean anonymous page away. */
	folio_set_dirty(folio);
#endif
	folio->index = uksm_cookie;
	WRITE_ONCE(folio->mapping, (void *)UKSM_MAPPING_KSM);

	raw_spin_lock_irqsave(&uksm_table_lock, flags);
	uksm_table_insert(frame, folio_pfn(folio));
	raw_spin_unlock_irqrestore(&uksm_table_lock, flags);

	folio_add_lru(folio);
}

/*
 * A frame whose page has no mappings (the folio is locked) or is gone, as
 * judged by @pfn: nobody walks its items. uksm_mutex held. Return: false if it
 * has moved since it was judged.
 */
static bool uksm_frame_kill(struct uksm_frame *frame, unsigned long pfn)
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

/*
 * More places than mappings. With the folio locked none of them can be a
 * migration entry, and no new mapping comes from nowhere. Or it is poisoned:
 * before 6.4 the kernel leaves KSM pages mapped then. Return: as below.
 */
static int uksm_frame_tidy(struct uksm_frame *frame, struct folio *folio)
{
	int mapcount = uksm_folio_mapcount(folio);

	if (!uksm_frame_holds(frame, folio))
		return 1; /* it moved: next time */
	if (mapcount && folio_test_hwpoison(folio) &&
	    !folio_test_writeback(folio)) {
		uksm_unmap_poisoned(folio);
		mapcount = uksm_folio_mapcount(folio);
	}
	if (!mapcount)
		return uksm_frame_kill(frame, folio_pfn(folio)) ? 0 : 1;
	uksm_rmap_items_prune(frame, folio);
	return mapcount;
}

/* The number of mappings of a frame, or 0 if it is dead and was freed. */
static int uksm_frame_sweep(struct uksm_frame *frame)
{
	struct folio *folio;
	unsigned long dead;
	int mapcount;

	if (frame->folio) /* not mapped yet */
		return 1;
	folio = uksm_frame_get(frame, &dead);
	if (!folio)
		return dead != ULONG_MAX && uksm_frame_kill(frame, dead) ? 0 :
									   1;
	mapcount = uksm_folio_mapcount(folio);
	if (!mapcount || mapcount < (int)frame->nr_items ||
	    folio_test_hwpoison(folio)) {
		if (folio_trylock(folio)) {
			mapcount = uksm_frame_tidy(frame, folio);
			folio_unlock(folio);
		} else {
			mapcount = max(mapcount, 1);
		}
	}
	if (mapcount)
		uksm_match_refresh(frame, mapcount);
	folio_put(folio);
	return mapcount;
}

/**
 * uksm_frames_sweep() - bring frames and their counts up to date
 *
 * Context: uksm_mutex held; may sleep.
 */
void uksm_frames_sweep(void)
{
	struct uksm_frame *frame, *n;
	u64 mappings = 0;
	unsigned int i = 0;

	lockdep_assert_held(&uksm_mutex);
	list_for_each_entry_safe(frame, n, &uksm_frame_list, list) {
		mappings += uksm_frame_sweep(frame);
		if (!(++i % 256))
			cond_resched();
	}
	uksm_stats.mappings = mappings;
}

/**
 * uksm_frames_reindex() - the index was emptied: put the frames back
 *
 * Context: uksm_mutex held; may sleep.
 */
void uksm_frames_reindex(void)
{
	struct uksm_frame *frame;

	list_for_each_entry(frame, &uksm_frame_list, list)
		frame->indexed = false;
	uksm_frames_sweep();
}

/**
 * uksm_frames_selftest() - does the kernel call us for a frame?
 *
 * Walks the mappers of a frame that nobody maps, and moves it: both hooks have
 * to notice. kprobes can be switched off at any time, so this is asked at load
 * and at the start of each round.
 *
 * Context: uksm_mutex held; may sleep.
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
		folio[i] = __folio_alloc(GFP_KERNEL, 0, numa_mem_id(), NULL);
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
	size_t nr = max(totalram_pages() / UKSM_TABLE_PAGES,
			(unsigned long)UKSM_TABLE_MIN);

	uksm_table_bits = order_base_2(nr);
	uksm_table = vzalloc(sizeof(*uksm_table) << uksm_table_bits);
	if (!uksm_table)
		return -ENOMEM;
	uksm_frame_cache = KMEM_CACHE(uksm_frame, 0);
	if (!uksm_frame_cache) {
		vfree(uksm_table);
		return -ENOMEM;
	}
	uksm_cookie = get_random_long() | BIT(BITS_PER_LONG - 1) |
		      BIT(BITS_PER_LONG - 2);
	uksm_metadata_add(sizeof(*uksm_table) << uksm_table_bits);
	return 0;
}

void uksm_frames_exit(void)
{
	WARN_ON_ONCE(uksm_stats.frames);
	kmem_cache_destroy(uksm_frame_cache);
	vfree(uksm_table);
}
