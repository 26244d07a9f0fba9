// SPDX-License-Identifier: GPL-2.0
/*
 * region.c - when to look at a region again
 *
 * A look at a region whose pages were not written costs a read of its page
 * table, so a quiet one is looked at in every round. What costs is one that is
 * written all the time, or again from look to look (dirty bits are taken off, a
 * TLB flush, fingerprints), for nothing: it is passed over for up to
 * UKSM_REGION_MAX_SKIP rounds. No more than that, so that the
 * counters are exact once memory has been still for three rounds.
 *
 * Where dirty bits do not tell what was written, a look reads pages, and one that
 * finds nothing is for nothing as well: such a region is passed over for up to
 * UKSM_REGION_MAX_STILL rounds.
 *
 * Now and then a look trusts nothing and fingerprints every page. What it finds
 * unchanged again and again has that done less and less often.
 *
 * Pure; the caller serialises.
 */
#include "region.h"

/**
 * uksm_region_init() - a region nobody has looked at
 * @r: the region
 * @addr: any address in it
 */
void uksm_region_init(struct uksm_region *r, unsigned long addr)
{
	memset(r, 0, sizeof(*r));
	r->nr = addr >> UKSM_REGION_SHIFT;
	r->fresh = true;
}

/**
 * uksm_region_due() - what the current round has to do with a region
 * @r: the region; its turn is taken
 * @calm_max: how much of its calm counts
 *
 * Return: how to look, if at all.
 */
enum uksm_region_due uksm_region_due(struct uksm_region *r,
				     unsigned int calm_max)
{
	/* Whatever makes it fresh from here on is looked at another time. */
	if (READ_ONCE(r->fresh)) {
		WRITE_ONCE(r->fresh, false);
		r->look = 0;
		r->calm = 0;
		r->still = 0;
		return UKSM_REGION_ALL;
	}
	if (r->skip) {
		r->skip--;
		return UKSM_REGION_SKIP;
	}
	if (++r->look >= UKSM_REGION_DEEP << min_t(u32, r->calm, calm_max)) {
		r->look = 0;
		r->retried = 0;
		return UKSM_REGION_ALL;
	}
	return UKSM_REGION_LOOK;
}

/**
 * uksm_region_calm() - learn from a deep look, or from one that saw a change
 * @r: the region
 * @unchanged: it was all as it was remembered
 */
void uksm_region_calm(struct uksm_region *r, bool unchanged)
{
	if (!unchanged)
		r->calm = 0;
	else if (r->calm < UKSM_REGION_CALM)
		r->calm++;
}

/**
 * uksm_region_still() - learn from a look that had to read its pages
 * @r: the region
 * @unchanged: none of them has changed, and nothing is left to be done
 */
void uksm_region_still(struct uksm_region *r, bool unchanged)
{
	if (!unchanged) {
		r->still = 0;
		return;
	}
	if (r->still < UKSM_REGION_MAX_STILL)
		r->still++;
	r->skip = r->still;
}

/**
 * uksm_region_written() - learn from a first look
 * @r: the region
 * @pages: pages that were there
 * @written: those of them that were written since the last look
 */
void uksm_region_written(struct uksm_region *r, unsigned int pages,
			 unsigned int written)
{
	bool most = pages && written * 2 >= pages;

	r->again = most && r->written;
	r->written = most;
}

/**
 * uksm_region_account() - learn from a second look
 * @r: the region
 * @pages: pages that were there
 * @restless: those of them that were written between the two looks
 */
void uksm_region_account(struct uksm_region *r, unsigned int pages,
			 unsigned int restless)
{
	r->restless = restless;
	if (pages && (restless * 2 >= pages || r->again)) {
		if (r->level < UKSM_REGION_MAX_SKIP)
			r->level++;
	} else {
		r->level = 0;
	}
	r->skip = r->level;
}

/**
 * uksm_region_search() - find a region in a sorted array
 * @r: the array, of pointers
 * @n: its length
 * @nr: the number wanted
 *
 * Return: its place, or -1 - the place where it would go.
 */
long uksm_region_search(struct uksm_region *const *r, size_t n, u64 nr)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (r[mid]->nr < nr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n && r[lo]->nr == nr ? (long)lo : -1 - (long)lo;
}
