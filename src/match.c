// SPDX-License-Identifier: GPL-2.0
/*
 * match.c - what to do with a page: ask the index
 *
 * A page is looked up by its sample. If that belongs to a frame, it asks to be
 * merged into it. One that meets another page gets a frame made from its
 * content (share.c), and the other's place is visited at once and meets the frame.
 * There is one way to merge.
 *
 * Most pages with the same sample are equal. Where the comparison before the
 * merge finds that they are not, the sample is marked as crowded, and from then
 * on pages with it are told apart by the fingerprint of the whole page, and so
 * is the frame. So a page that is merged is mostly read once, and one that has
 * no equal is not read but for four of its cache lines.
 *
 * The pages of a visit are read first, and then looked up together: one range of
 * the index after the other, so that scan threads seldom want the same one. What
 * meets nothing is in the index then, and done with. What meets another page, or a
 * frame that is not ready, is looked up once more, under uksm_mutex. A frame that another scan
 * thread is making is not waited for: the page is visited again a little later.
 */
#include <linux/string.h>

#include "bytes.h"
#include "digest.h"
#include "frame.h"
#include "index.h"
#include "lookup.h"
#include "match.h"
#include "merge.h"
#include "rmap.h"
#include "share.h"
#include "walk.h"
#include "work.h"

/* Instead of a key: a KSM page. */
#define UKSM_KEY_FRAME U64_MAX

/* Pages that are fetched ahead. */
#define UKSM_AHEAD 8U

/* Does an entry name a place that is not there any more? */
static bool uksm_val_stale(u64 val)
{
	struct uksm_space *space;

	if (uksm_val_type(val) != UKSM_VAL_PLACE)
		return false;
	space = uksm_space_find(uksm_val_space(val));
	return !space || !atomic_read(&space->mm->mm_users);
}

/*
 * What another goes by the page's key: its slot. NULL if nothing does, which the
 * page then does. The range of the key is locked.
 */
static u64 *uksm_match_by_key(struct uksm_visit *v, struct uksm_page *page,
			      bool marks)
{
	u64 self = uksm_val_place(v->space->id, page->addr, page->key);
	u64 *slot = uksm_lookup_find(page->key, marks);

	if (!slot) {
		uksm_index_insert(&uksm_index, page->key, self);
		v->learnt++;
		return NULL;
	}
	if (*slot == self || uksm_val_stale(*slot)) {
		uksm_lookup_here(slot, self);
		return NULL;
	}
	return slot;
}

/* To read a page, which may be of a huge one. For kunmap_local(). */
static const void *uksm_match_map(const struct uksm_page *page)
{
	size_t at = folio_test_large(page->folio) ?
			    page->addr & ~UKSM_REGION_MASK :
			    0;

	return kmap_local_folio(page->folio, at);
}

/*
 * Is a frame that is found by a page's sample equal to it, as things stand? It
 * is no proof, for the page may change. If it is not, the frame does not go by
 * the sample any more. Return: 1, 0, or -1: the frame cannot be had.
 */
static int uksm_match_looks_equal(struct uksm_visit *v,
				  struct uksm_frame *frame,
				  struct uksm_page *page)
{
	struct folio *kfolio = NULL;
	const void *addr, *kaddr;
	unsigned long dead;
	int equal = -1;

	if (!frame->making)
		kfolio = uksm_frame_get(frame, &dead);
	if (!kfolio)
		return -1;
	/* What is poisoned must not even be read. */
	if (!folio_test_hwpoison(kfolio)) {
		addr = uksm_match_map(page);
		kaddr = kmap_local_folio(kfolio, 0);
		equal = uksm_bytes_equal(addr, kaddr);
		kunmap_local((void *)kaddr);
		kunmap_local((void *)addr);
		if (!equal)
			uksm_lookup_differs(
				frame, uksm_lookup_key_of(
					       kfolio, v->space->seed, true));
	}
	folio_put(kfolio);
	return equal;
}

/* Have a page go by all of its content. */
static void uksm_match_full_key(struct uksm_visit *v, struct uksm_page *page)
{
	const void *addr = uksm_match_map(page);

	page->key = uksm_lookup_key(uksm_digest_full(addr, v->space->seed),
				    page->folio);
	kunmap_local((void *)addr);
}

/*
 * Somebody else writes to this space, so the dirty bit says nothing: has the
 * page changed since the last look? Return: whether to go on with it.
 */
static bool uksm_match_settled(struct uksm_visit *v, unsigned int i, u64 sample)
{
	u16 sum = sample ^ sample >> 16 ^ sample >> 32 ^ sample >> 48;

	sum = sum ?: 1; /* 0: never looked at */
	if (v->region->sum[i] != sum) {
		v->region->sum[i] = sum;
		v->dirty++;
		if (v->flags & UKSM_VISIT_AGE)
			__set_bit(i, v->aged);
		return false;
	}
	v->clean++;
	return (v->flags & UKSM_VISIT_ALL) || test_bit(i, v->want);
}

/*
 * May a page of zeros become the zero page? Where a file lies behind, a hole
 * punched into the file or a write around the cache unmaps what is no anonymous
 * page, and the file's bytes would come in place of the zeros.
 */
static bool uksm_match_zero(struct uksm_visit *v, struct uksm_page *page,
			    struct vm_area_struct *vma, const void *addr)
{
	return page->sample == v->space->zero_sample && vma_is_anonymous(vma) &&
	       READ_ONCE(uksm_settings.use_zero_pages) && uksm_bytes_zero(addr);
}

/*
 * Read a page, as much of it as is needed to look it up. Return: whether it is
 * to be.
 */
static bool uksm_match_read(struct uksm_visit *v, struct uksm_page *page,
			    struct vm_area_struct *vma)
{
	struct uksm_space *space = v->space;
	const void *addr = kmap_local_folio(page->folio, 0);
	bool look = true, zero;

	page->sample = uksm_digest_sample(addr, space->seed);
	if (space->opaque)
		look = uksm_match_settled(v, uksm_page_nr(page->addr),
					  page->sample);
	zero = look && uksm_match_zero(v, page, vma, addr);
	kunmap_local((void *)addr);
	page->sample = uksm_lookup_key(page->sample, page->folio);
	page->key = zero ? 0 : page->sample;
	uksm_lookup_prefetch(page->key);
	return look;
}

/*
 * A page that met another one. That the samples agree is enough, unless they are
 * known not to tell. uksm_mutex held.
 */
static void uksm_match_page(struct uksm_visit *v, struct uksm_page *page)
{
	u64 *slot;

	uksm_lookup_lock(page->sample);
	slot = uksm_match_by_key(v, page, true);
	if (slot && uksm_val_type(*slot) == UKSM_VAL_MARK) {
		uksm_lookup_mark(page->sample, slot);
		uksm_lookup_unlock(page->sample);
		uksm_match_full_key(v, page);
		uksm_lookup_lock(page->key);
		slot = uksm_match_by_key(v, page, false);
	}
	if (slot)
		uksm_share(v, page, slot);
	uksm_lookup_unlock(page->key);
}

/* With uksm_mutex: see uksm_match_known(). */
static bool uksm_match_known_of_many(struct uksm_visit *v,
				     struct uksm_page *page)
{
	struct uksm_frame *frame = NULL;
	u64 *slot;
	int equal;

	uksm_lookup_lock(page->key);
	slot = uksm_match_by_key(v, page, true);
	if (slot && uksm_val_type(*slot) == UKSM_VAL_FRAME)
		frame = uksm_val_to_frame(*slot);
	else if (slot)
		uksm_lookup_mark(page->sample, slot);
	uksm_lookup_unlock(page->key);
	if (!slot)
		return false;
	if (frame) {
		equal = uksm_match_looks_equal(v, frame, page);
		if (equal)
			return equal > 0;
	}
	uksm_match_full_key(v, page);
	uksm_lookup_lock(page->key);
	slot = uksm_match_by_key(v, page, false);
	uksm_lookup_unlock(page->key);
	return slot;
}

/* Has a page of a huge page an equal? That the samples agree is not enough. */
static bool uksm_match_known(struct uksm_visit *v, struct uksm_page *page)
{
	bool known;

	page->sample = uksm_lookup_key(page->sample, page->folio);
	page->key = page->sample;
	uksm_lookup_lock(page->key);
	known = uksm_match_by_key(v, page, true);
	uksm_lookup_unlock(page->key);
	if (known) {
		mutex_lock(&uksm_mutex);
		known = uksm_match_known_of_many(v, page);
		mutex_unlock(&uksm_mutex);
	}
	return known;
}

/**
 * uksm_match_huge() - how much of a huge page would merge?
 * @v: the visit of its region, which has sums
 * @vma: the area it is in
 * @folio: the huge page, referenced
 *
 * Context: takes uksm_mutex; may sleep.
 * Return: pages that have an equal.
 */
unsigned int uksm_match_huge(struct uksm_visit *v, struct vm_area_struct *vma,
			     struct folio *folio)
{
	bool all = (v->flags & UKSM_VISIT_ALL) ||
		   !bitmap_empty(v->want, UKSM_REGION_PAGES);
	unsigned int i, equal = 0;

	for (i = 0; i < UKSM_REGION_PAGES; i++) {
		struct uksm_page page = {
			.folio = folio,
			.addr = v->base + i * PAGE_SIZE,
		};
		void *addr = kmap_local_folio(folio, i * PAGE_SIZE);
		unsigned int clean = v->clean;

		page.sample = uksm_digest_sample(addr, v->space->seed);
		uksm_match_settled(v, i, page.sample);
		if (all && v->clean != clean &&
		    !uksm_page_is_tagged(folio_page(folio, i)) &&
		    (uksm_match_zero(v, &page, vma, addr) ||
		     uksm_match_known(v, &page)))
			equal++;
		kunmap_local(addr);
		if (!(i % 64))
			cond_resched();
	}
	return equal;
}

/*
 * A frame that nobody else maps goes by what its mapper's domain is now: the
 * process may have become another user's. Not while a page of its old domain is on
 * its way to it. The folio is locked.
 */
static void uksm_match_follow(struct uksm_frame *frame, struct folio *folio,
			      u64 seed)
{
	u64 sample = uksm_lookup_key_of(folio, seed, false);

	if (sample == frame->sample)
		return;
#ifdef UKSM_MUTANT_KEY
	return;
#endif
	if (!uksm_lookup_forget_idle(frame))
		return;
	frame->sample = sample;
	frame->key = sample;
	uksm_lookup_add_frame(frame);
}

/* A mapping of a frame that may have come by other ways than a merge. */
static void uksm_match_adopt(struct uksm_visit *v, struct uksm_page *page,
			     struct vm_area_struct *vma)
{
	struct uksm_rmap_item *item;
	struct uksm_frame *frame;

	if (!folio_trylock(page->folio)) {
		v->busy++;
		return;
	}
	frame = uksm_frame_of(page->folio);
	if (frame && !uksm_rmap_item_known(frame, vma, page->addr)) {
		item = uksm_rmap_item_alloc(GFP_NOWAIT);
		if (item && !uksm_rmap_item_add(frame, item, vma, page->addr))
			uksm_rmap_item_free(item);
	}
	/* in this order: it may have been written to meanwhile, and be another's */
	if (frame && uksm_folio_mapcount(page->folio) == 1 &&
	    uksm_walk_maps(vma, page->addr, folio_pfn(page->folio)))
		uksm_match_follow(frame, page->folio, v->space->seed);
	folio_unlock(page->folio);
}

/* Read the pages that were taken, and keep those that are to be looked up. */
static void uksm_match_read_all(struct uksm_visit *v,
				struct vm_area_struct *vma)
{
	unsigned int i, nr = 0;

	for (i = 0; i < min(v->nr, UKSM_AHEAD); i++)
		uksm_digest_prefetch(folio_address(v->page[i].folio),
				     v->space->seed);
	for (i = 0; i < v->nr; i++) {
		struct uksm_page *page = &v->page[i];

		if (i + UKSM_AHEAD < v->nr)
			uksm_digest_prefetch(
				folio_address(v->page[i + UKSM_AHEAD].folio),
				v->space->seed);
		if (!(i % 64))
			cond_resched();
		if (folio_test_ksm(page->folio)) {
			page->key = UKSM_KEY_FRAME;
		} else if (!uksm_match_read(v, page, vma)) {
			folio_put(page->folio);
			continue;
		}
		if (nr != i)
			v->page[nr] = *page;
		nr++;
	}
	v->nr = nr;
}

/* No page: the end of a chain. */
#define UKSM_NO_PAGE U16_MAX

/*
 * Look up the pages of a chain, whose range is locked, and do with them what can
 * be done without uksm_mutex.
 */
static void uksm_match_chain(struct uksm_visit *v, unsigned int i)
{
	unsigned int nr = 0;

	for (; i != UKSM_NO_PAGE; i = v->next[i]) {
		struct uksm_page *page = &v->page[i];
		u64 *slot;

		if (!(++nr % 64))
			cond_resched();
		slot = uksm_match_by_key(v, page, true);
		if (slot &&
		    (uksm_val_type(*slot) != UKSM_VAL_FRAME ||
		     !uksm_share_join(v, page, uksm_val_to_frame(*slot))))
			__set_bit(i, v->met);
	}
}

/*
 * Look up all pages. @met then tells which have more to be done: those that met
 * another, and mappings of frames.
 */
static void uksm_match_look_up(struct uksm_visit *v)
{
	unsigned int r, i, wait, ranges = uksm_lookup_ranges();
	u16 first[UKSM_INDEX_RANGES];

	bitmap_zero(v->met, UKSM_REGION_PAGES);
	for (r = 0; r < ranges; r++)
		first[r] = UKSM_NO_PAGE;
	for (i = v->nr; i-- > 0;) {
		struct uksm_page *page = &v->page[i];

		if (!page->key) {
			uksm_share_zero(v, page);
			continue;
		}
		if (page->key == UKSM_KEY_FRAME) {
			__set_bit(i, v->met);
			continue;
		}
		r = uksm_lookup_range(page->key);
		v->next[i] = first[r];
		first[r] = i;
	}
	for (wait = 0; wait < 2; wait++) {
		for (r = 0; r < ranges; r++) {
			if (first[r] == UKSM_NO_PAGE ||
			    !uksm_lookup_lock_range(r, wait))
				continue;
			uksm_match_chain(v, first[r]);
			uksm_lookup_unlock_range(r);
			first[r] = UKSM_NO_PAGE;
		}
	}
}

/* Go on with a page that is in @met. uksm_mutex held. */
static void uksm_match_go_on(struct uksm_visit *v, struct uksm_page *page,
			     struct vm_area_struct *vma)
{
	if (folio_test_ksm(page->folio)) {
		if (uksm_folio_is_frame(page->folio))
			uksm_match_adopt(v, page, vma);
	} else if (page->key == UKSM_KEY_FRAME) { /* not any more */
		v->busy++;
	} else {
		uksm_match_page(v, page);
	}
}

/**
 * uksm_match_visit() - decide about the pages that a visit has taken
 * @v: the visit; its @page is emptied, references included. What is to be merged
 *	is in its @batch; each request has the reference of its page
 * @vma: the area they are in
 *
 * Context: mmap_lock held for reading; takes uksm_mutex and ranges of the index;
 * may sleep.
 */
void uksm_match_visit(struct uksm_visit *v, struct vm_area_struct *vma)
{
	unsigned int i, nr = 0;

	uksm_match_read_all(v, vma);
	uksm_match_look_up(v);
	if (!bitmap_empty(v->met, UKSM_REGION_PAGES)) {
		uksm_frames_stock(&v->stock);
		mutex_lock(&uksm_mutex);
		for_each_set_bit(i, v->met, v->nr) {
			uksm_match_go_on(v, &v->page[i], vma);
			if (!(++nr % 64))
				cond_resched();
		}
		mutex_unlock(&uksm_mutex);
	}
	for (i = 0; i < v->nr; i++) {
		if (v->page[i].folio)
			folio_put(v->page[i].folio);
	}
	v->nr = 0;
}
