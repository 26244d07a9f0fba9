// SPDX-License-Identifier: GPL-2.0
/*
 * headroom.c - the memory that undoing all merges would need
 *
 * Merged memory is overcommitted: when its processes write to it, it comes
 * back. The guard keeps that debt within a share of what is free, and
 * unmerging asks here before it copies, so that it fails before somebody is
 * killed.
 */
#include <linux/mm.h>
#include <linux/swap.h>

#include "headroom.h"
#include "region.h"

/* Unmerging leaves this share of the memory to others: one in... */
#define UKSM_RESERVE 128

/*
 * Pages that zones keep for a while on top of their watermarks, since memory of
 * one kind had to be taken for another (vm.watermark_boost_factor).
 */
static u64 uksm_watermarks_boost(void)
{
	u64 pages = 0;
	int nid, i;

	for_each_online_node(nid)
		for (i = 0; i < MAX_NR_ZONES; i++)
			pages += READ_ONCE(
				NODE_DATA(nid)->node_zones[i].watermark_boost);
	return pages;
}

/*
 * Pages that could be had without taking them from anybody: MemAvailable but for
 * the slabs, of which the kernel gets back much less when it matters, and for what
 * zones keep beyond what it knows of.
 */
static u64 uksm_headroom_free(void)
{
	s64 pages = si_mem_available();

	pages -= uksm_watermarks_boost();
	pages -= global_node_page_state_pages(NR_SLAB_RECLAIMABLE_B) +
		 global_node_page_state(NR_KERNEL_MISC_RECLAIMABLE);
	return max_t(s64, pages, 0) + max(get_nr_swap_pages(), 0L);
}

/**
 * uksm_sharing() - mappings that do without a page of their own
 *
 * Context: any; the answer may age, unless uksm_sem is held for writing.
 * Return: their number, as KSM counts pages_sharing.
 */
u64 uksm_sharing(void)
{
	u64 mappings = READ_ONCE(uksm_stats.mappings);
	u64 frames = READ_ONCE(uksm_stats.frames);

	return mappings > frames ? mappings - frames : 0;
}

/**
 * uksm_headroom_pages() - what undoing all merges would need
 *
 * Context: any; the answer may age, unless uksm_sem is held for writing.
 * Return: pages.
 */
u64 uksm_headroom_pages(void)
{
	return uksm_sharing() + max_t(s64, READ_ONCE(uksm_stats.zero), 0);
}

/**
 * uksm_headroom_short() - does min_headroom_percent forbid to merge a region?
 *
 * Context: any; the answer may age, unless uksm_sem is held for writing.
 * Return: whether undoing all there is and all that a region can add would
 * need more than the share of free memory and swap that is set.
 */
bool uksm_headroom_short(void)
{
	unsigned int percent = READ_ONCE(uksm_settings.min_headroom);
	unsigned int threads = READ_ONCE(uksm_settings.threads);

	/* Others may be at their regions, and count what they add afterwards. */
	return percent &&
	       (uksm_headroom_pages() + threads * UKSM_REGION_PAGES) * 100 >
		       uksm_headroom_free() * percent;
}

/**
 * uksm_headroom_try() - could an area have one more page?
 * @vma: the area, of an address space with users; mmap_lock held
 * @addr: where
 *
 * Allocates and charges a page as a fault there would, on the nodes that are
 * allowed there, but in a way that fails where a fault would have somebody
 * killed; and gives it back. A little memory is left for others, who would not
 * ask first.
 *
 * Context: sleeps and reclaims.
 * Return: whether.
 */
bool uksm_headroom_try(struct vm_area_struct *vma, unsigned long addr)
{
	gfp_t gfp = GFP_HIGHUSER_MOVABLE | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	struct folio *folio;
	bool ok;

	if (uksm_headroom_free() < totalram_pages() / UKSM_RESERVE)
		return false;
	folio = uksm_vma_alloc(gfp, vma, addr);
	if (!folio)
		return false;
	ok = !uksm_charge(folio, vma->vm_mm, gfp);
	folio_put(folio);
	return ok;
}
