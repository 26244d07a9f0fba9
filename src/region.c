// SPDX-License-Identifier: GPL-2.0
/*
 * region.c - when to look at a region again
 *
 * A look at a region whose pages were not written costs a read of its page
 * table, so a quiet one is looked at in every round. What costs is a restless
 * one (dirty bits are taken off, a TLB flush), for nothing: it is passed over
 * for up to UKSM_REGION_MAX_SKIP rounds. No more than that, so that the
 * counters are exact once memory has been still for three rounds.
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
	r->fresh = 1;
}

/**
 * uksm_region_due() - what the current round has to do with a region
 * @r: the region; its turn is taken
 *
 * Return: how to look, if at all.
 */
enum uksm_region_due uksm_region_due(struct uksm_region *r)
{
	if (r->fresh) {
		r->fresh = 0;
		r->look = 0;
		return UKSM_REGION_ALL;
	}
	if (r->skip) {
		r->skip--;
		return UKSM_REGION_SKIP;
	}
	if (++r->look >= UKSM_REGION_DEEP) {
		r->look = 0;
		r->retried = 0;
		return UKSM_REGION_ALL;
	}
	return UKSM_REGION_LOOK;
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
	if (pages && restless * 2 >= pages) {
		if (r->level < UKSM_REGION_MAX_SKIP)
			r->level++;
	} else {
		r->level = 0;
	}
	r->skip = r->level;
}

/**
 * uksm_region_search() - find a region in a sorted array
 * @r: the array
 * @n: its length
 * @nr: the number wanted
 *
 * Return: its place, or -1 - the place where it would go.
 */
long uksm_region_search(const struct uksm_region *r, size_t n, u64 nr)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (r[mid].nr < nr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n && r[lo].nr == nr ? (long)lo : -1 - (long)lo;
}
