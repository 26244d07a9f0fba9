// SPDX-License-Identifier: GPL-2.0
/*
 * rmap.c - from a frame to its mappings
 *
 * The kernel finds the mappers of an anonymous page through the one anon_vma
 * the page knows. A frame is mapped by areas that have nothing to do with each
 * other, so each merge leaves an item: the area's anon_vma and the index of
 * the page in it. Children forked later are in the same anon_vma; an area that
 * is split, merged or moved keeps the index. An item whose mapping is gone
 * does no harm: the walk asks the page table.
 *
 * The items of a frame are protected by its folio's lock.
 */
#include <linux/slab.h>

#include "frame.h"
#include "hooks.h"
#include "rmap.h"
#include "walk.h"

static struct kmem_cache *uksm_rmap_item_cache;

int __init uksm_rmap_init(void)
{
	uksm_rmap_item_cache = KMEM_CACHE(uksm_rmap_item, 0);
	return uksm_rmap_item_cache ? 0 : -ENOMEM;
}

void uksm_rmap_exit(void)
{
	kmem_cache_destroy(uksm_rmap_item_cache);
}

/**
 * uksm_rmap_item_alloc() - an item to be added later
 * @gfp: GFP_KERNEL or GFP_NOWAIT
 *
 * Context: as @gfp says.
 * Return: the item, or NULL.
 */
struct uksm_rmap_item *uksm_rmap_item_alloc(gfp_t gfp)
{
	return kmem_cache_alloc(uksm_rmap_item_cache,
				gfp | __GFP_NORETRY | __GFP_NOWARN);
}

/**
 * uksm_rmap_item_free() - free an item that was not added
 * @item: the item, or NULL
 */
void uksm_rmap_item_free(struct uksm_rmap_item *item)
{
	if (item)
		kmem_cache_free(uksm_rmap_item_cache, item);
}

static void uksm_rmap_item_drop(struct uksm_rmap_item *item)
{
	uksm_anon_vma_put(item->anon_vma);
	kmem_cache_free(uksm_rmap_item_cache, item);
	uksm_metadata_add(-(long)sizeof(*item));
}

static pgoff_t uksm_vma_pgoff(struct vm_area_struct *vma, unsigned long addr)
{
	return uksm_vma_anon_start(vma) +
	       ((addr - vma->vm_start) >> PAGE_SHIFT);
}

/* Is @item found by a walk of an anon_vma that @vma belongs to? */
static bool uksm_rmap_item_covers(struct uksm_rmap_item *item,
				  struct vm_area_struct *vma, pgoff_t pgoff)
{
	struct anon_vma_chain *avc;

	if (item->pgoff != pgoff)
		return false;
	list_for_each_entry(avc, &vma->anon_vma_chain, same_vma)
		if (avc->anon_vma == item->anon_vma)
			return true;
	return false;
}

/**
 * uksm_rmap_item_known() - has a frame an item that covers a place?
 * @frame: its folio is locked
 * @vma: the area; mmap_lock held
 * @addr: the address
 *
 * Context: does not sleep.
 * Return: whether it has.
 */
bool uksm_rmap_item_known(struct uksm_frame *frame, struct vm_area_struct *vma,
			  unsigned long addr)
{
	pgoff_t pgoff = uksm_vma_pgoff(vma, addr);
	struct uksm_rmap_item *i;

	for (i = frame->items; i; i = i->next)
		if (uksm_rmap_item_covers(i, vma, pgoff))
			return true;
	return false;
}

/**
 * uksm_rmap_item_add() - a frame is, or is about to be, mapped at a place
 * @frame: its folio is locked
 * @item: takes the place's data
 * @vma: the area; mmap_lock held
 * @addr: the address
 *
 * Context: does not sleep.
 * Return: false if the frame has an item that covers the place: @item is then
 * still the caller's.
 */
bool uksm_rmap_item_add(struct uksm_frame *frame, struct uksm_rmap_item *item,
			struct vm_area_struct *vma, unsigned long addr)
{
	if (uksm_rmap_item_known(frame, vma, addr))
		return false;

	item->anon_vma = vma->anon_vma;
	uksm_anon_vma_get(item->anon_vma);
	item->pgoff = uksm_vma_pgoff(vma, addr);
	item->next = frame->items;
	frame->items = item;
	frame->nr_items++;
	uksm_metadata_add(sizeof(*item));
	return true;
}

/**
 * uksm_rmap_items_drop() - forget all places of a frame
 * @frame: its folio is locked, or not a frame any more
 *
 * Context: may sleep.
 */
void uksm_rmap_items_drop(struct uksm_frame *frame)
{
	struct uksm_rmap_item *item;

	while ((item = frame->items)) {
		frame->items = item->next;
		frame->nr_items--;
		uksm_rmap_item_drop(item);
	}
}

/* Where the page with index @pgoff is in @vma; @vma has it. */
static unsigned long uksm_vma_address(struct vm_area_struct *vma, pgoff_t pgoff)
{
	return vma->vm_start +
	       ((pgoff - uksm_vma_anon_start(vma)) << PAGE_SHIFT);
}

/* Does any area of the item map @folio? The folio is locked. */
static bool uksm_rmap_item_alive(struct uksm_rmap_item *item,
				 struct folio *folio)
{
	struct anon_vma_chain *avc;
	bool alive = false;

	if (!uksm_anon_vma_trylock(item->anon_vma))
		return true;
	for (avc = uksm_anon_vma_first(item->anon_vma, item->pgoff);
	     avc && !alive; avc = uksm_anon_vma_next(avc, item->pgoff))
		alive = uksm_walk_maps(avc->vma,
				       uksm_vma_address(avc->vma, item->pgoff),
				       folio_pfn(folio));
	uksm_anon_vma_unlock(item->anon_vma);
	return alive;
}

/**
 * uksm_rmap_items_prune() - forget the places where a frame is not any more
 * @frame: the frame
 * @folio: its folio, locked: no mapping is a migration entry now
 *
 * Context: may sleep.
 */
void uksm_rmap_items_prune(struct uksm_frame *frame, struct folio *folio)
{
	struct uksm_rmap_item **p = &frame->items;
	struct uksm_rmap_item *item;

	while ((item = *p)) {
		if (uksm_rmap_item_alive(item, folio)) {
			p = &item->next;
			continue;
		}
		*p = item->next;
		frame->nr_items--;
		uksm_rmap_item_drop(item);
	}
}

/*
 * Visit the mappings one item leads to. Return: false when told to stop.
 * Not inlined: scripts/indirect.allow names it.
 */
static noinline bool uksm_rmap_walk_item(struct uksm_rmap_item *item,
					 struct folio *folio,
					 struct rmap_walk_control *rwc)
{
	struct anon_vma *anon_vma = item->anon_vma;
	struct anon_vma_chain *avc;
	bool more = true;

	cond_resched();
	if (!uksm_anon_vma_trylock(anon_vma)) {
		if (rwc->try_lock) {
			rwc->contended = true;
			return false;
		}
		uksm_anon_vma_lock(anon_vma);
	}
	for (avc = uksm_anon_vma_first(anon_vma, item->pgoff); avc && more;
	     avc = uksm_anon_vma_next(avc, item->pgoff)) {
		struct vm_area_struct *vma = avc->vma;

		cond_resched();
		if (rwc->invalid_vma && rwc->invalid_vma(vma, rwc->arg))
			continue;
		if (!rwc->rmap_one(folio, vma,
				   uksm_vma_address(vma, item->pgoff),
				   rwc->arg))
			more = false;
		else if (rwc->done && rwc->done(folio))
			more = false;
	}
	uksm_anon_vma_unlock(anon_vma);
	return more;
}

/**
 * uksm_rmap_walk() - what rmap_walk_ksm() is for a frame
 * @folio: the frame's folio, locked
 * @rwc: as for rmap_walk()
 *
 * Called in place of rmap_walk_ksm() by its kprobe; see hooks.c.
 * Unlike rmap_walk_ksm() it makes one pass: an item and its area's children
 * are visited together. An area that two items lead to is visited twice, which
 * is harmless: what rmap_one does to a mapping it does once.
 *
 * Context: may sleep on the anon_vma lock, unless @rwc->try_lock.
 */
void uksm_rmap_walk(struct folio *folio, struct rmap_walk_control *rwc)
{
	struct uksm_frame *frame = uksm_frame_of(folio);
	struct uksm_rmap_item *item;
	bool more = true;

	for (item = frame ? frame->items : NULL; item && more;
	     item = item->next)
		more = uksm_rmap_walk_item(item, folio, rwc);
}
