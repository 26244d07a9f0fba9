// SPDX-License-Identifier: GPL-2.0
/*
 * merge.c - from "this page looks like that frame" to sharing it
 *
 * The order of the steps is what keeps every byte right. For all the requests
 * of a batch (one area, one region) together:
 *
 *	lock	try the lock of each page; anonymous, small, not merged, not
 *		poisoned, not lazily freed, or it is dropped
 *	protect	clear the PTEs, flush once, then look at each page: a reference
 *		that is not accounted for is a pin (O_DIRECT, vmsplice, GUP),
 *		and the PTE goes back as it was. The exclusive mark comes off,
 *		the PTE is set again, read-only and clean. Whoever writes from
 *		here on gets a copy
 *	compare	every byte, with no page table lock held. The first page of a new
 *		frame becomes the frame, where it is
 *	map	where the PTE is still the same: clear, flush once, map the frame
 *	release	only now, after the flush, are the old pages put
 *
 * mirrors write_protect_page() and replace_page() of mm/ksm.c.
 *
 * Locks: uksm_sem (read), mmap_lock (read); folio locks by trylock only, those of
 * pages before those of frames; the PTE lock inside. The secondary MMUs are told
 * around both changes of the page table.
 *
 * Several batches may be under way, each in a region of its own. They meet in
 * frames and in pages that several processes map, and there by trylock.
 */
#include "bytes.h"
#include "frame.h"
#include "lookup.h"
#include "merge.h"
#include "rmap.h"
#include "share.h"
#include "walk.h"

/* The first request from @req on that has come as far as @state, or NULL. */
static struct uksm_req *uksm_req_next(struct uksm_batch *batch,
				      struct uksm_req *req,
				      enum uksm_req_state state)
{
	for (; req < batch->req + batch->nr; req++)
		if (req->state == state)
			return req;
	return NULL;
}

#define uksm_for_each_req(req, batch, state)                         \
	for ((req) = uksm_req_next(batch, (batch)->req, state); req; \
	     (req) = uksm_req_next(batch, (req) + 1, state))

/* Lock what can be locked. */
static bool uksm_merge_lock(struct uksm_batch *batch)
{
	struct uksm_req *req;
	bool any = false;

	uksm_for_each_req(req, batch, UKSM_REQ_WAITING) {
		struct folio *folio = req->folio;

		if (!folio_trylock(folio)) {
			req->state = UKSM_REQ_BUSY;
			continue;
		}
		if (!folio_test_anon(folio) || folio_test_ksm(folio) ||
		    folio_test_large(folio) || folio_test_hwpoison(folio) ||
		    (!folio_test_swapbacked(folio) &&
		     !folio_test_dirty(folio))) {
			folio_unlock(folio);
			req->state = UKSM_REQ_DROPPED;
			continue;
		}
		if (req->frame)
			req->item = uksm_rmap_item_alloc(GFP_KERNEL);
		if (req->frame && !req->item) {
			folio_unlock(folio);
			req->state = UKSM_REQ_BUSY;
			continue;
		}
		req->state = UKSM_REQ_LOCKED;
		any = true;
	}
	return any;
}

static void uksm_req_drop(struct uksm_req *req, enum uksm_req_state state)
{
	folio_unlock(req->folio);
	req->state = state;
}

/**
 * struct uksm_change - a change of the page table for a batch
 * @vma: the area
 * @range: what the secondary MMUs are told
 * @start: first address
 * @ptep: the PTE of @start, mapped and locked
 * @ptl: its lock
 */
struct uksm_change {
	struct vm_area_struct *vma;
	struct mmu_notifier_range range;
	unsigned long start;
	pte_t *ptep;
	spinlock_t *ptl;
};

/* Begin a change of the requests in @state. Return: false if there is none. */
static bool uksm_change_begin(struct uksm_change *c, struct vm_area_struct *vma,
			      struct uksm_batch *batch,
			      enum uksm_req_state state)
{
	unsigned long start = ULONG_MAX, end = 0;
	struct uksm_req *req;
	pmd_t *pmd;

	uksm_for_each_req(req, batch, state) {
		start = min(start, req->addr);
		end = max(end, req->addr + PAGE_SIZE);
	}
	if (!end)
		return false;
	c->vma = vma;
	c->start = start;
	uksm_notifier_range_init(&c->range, vma, start, end);
#ifndef UKSM_MUTANT_NOTIFIER
	uksm_notifier_start(&c->range);
#endif
	pmd = uksm_walk_pmd(vma->vm_mm, start);
	c->ptep = pmd ? uksm_pte_map_lock(vma->vm_mm, pmd, start, &c->ptl) :
			NULL;
	if (c->ptep)
		return true;
#ifndef UKSM_MUTANT_NOTIFIER
	uksm_notifier_end(&c->range);
#endif
	return false;
}

static void uksm_change_end(struct uksm_change *c)
{
	pte_unmap_unlock(c->ptep, c->ptl);
#ifndef UKSM_MUTANT_NOTIFIER
	uksm_notifier_end(&c->range);
#endif
}

static pte_t *uksm_change_pte(struct uksm_change *c, struct uksm_req *req)
{
	return c->ptep + ((req->addr - c->start) >> PAGE_SHIFT);
}

static void uksm_change_flush(struct uksm_change *c)
{
	uksm_flush_range(c->vma->vm_mm, c->range.start, c->range.end);
}

/*
 * May the page, whose PTE is cleared and flushed, be shared? No reference but
 * those of its mappings, the swap cache and ours; and no pin that the exclusive
 * mark stands for. On success the mark is off.
 */
static bool uksm_folio_try_share(struct folio *folio)
{
#ifndef UKSM_MUTANT_REFS
	if (uksm_folio_mapcount(folio) + 1 + folio_test_swapcache(folio) !=
	    folio_ref_count(folio))
		return false;
#endif
#ifndef UKSM_MUTANT_EXCLUSIVE
	if (PageAnonExclusive(&folio->page) && uksm_rmap_try_share(folio))
		return false;
#endif
	return true;
}

/* Make the pages read-only, if nobody else has them in use. */
static void uksm_merge_protect(struct vm_area_struct *vma,
			       struct uksm_batch *batch)
{
	struct mm_struct *mm = vma->vm_mm;
	struct uksm_change c;
	struct uksm_req *req;

	if (!uksm_change_begin(&c, vma, batch, UKSM_REQ_LOCKED))
		return;
	uksm_for_each_req(req, batch, UKSM_REQ_LOCKED) {
		pte_t pte = ptep_get(uksm_change_pte(&c, req));

		if (!pte_present(pte) || pte_special(pte) ||
		    pte_pfn(pte) != folio_pfn(req->folio) ||
		    uksm_pte_is_uffd(pte)) {
			uksm_req_drop(req, UKSM_REQ_DROPPED);
			continue;
		}
		req->sole = uksm_folio_mapcount(req->folio) == 1;
		req->pte = ptep_get_and_clear(mm, req->addr,
					      uksm_change_pte(&c, req));
		req->state = UKSM_REQ_CLEARED;
	}
	uksm_change_flush(&c);
	uksm_for_each_req(req, batch, UKSM_REQ_CLEARED) {
		pte_t *ptep = uksm_change_pte(&c, req);

		if (!uksm_folio_try_share(req->folio)) {
			uksm_set_pte(vma, req->addr, ptep, req->pte);
			uksm_req_drop(req, UKSM_REQ_BUSY);
			continue;
		}
#ifndef UKSM_MUTANT_AGE
		if (pte_dirty(req->pte))
			folio_mark_dirty(req->folio);
#endif
		req->pte = pte_wrprotect(pte_mkclean(req->pte));
		uksm_set_pte(vma, req->addr, ptep, req->pte);
		req->state = UKSM_REQ_PROTECTED;
	}
	uksm_change_end(&c);
}

/* Have the frame's folio locked by this batch. */
static enum uksm_req_state uksm_req_lock_frame(struct uksm_req *req,
					       struct uksm_batch *batch)
{
	struct uksm_frame *frame = req->frame;

	if (READ_ONCE(frame->owner) == batch)
		return UKSM_REQ_READY;
	if (!folio_trylock(req->kfolio))
		return READ_ONCE(frame->owner) ? UKSM_REQ_LATER : UKSM_REQ_BUSY;
	if (!uksm_frame_holds(frame, req->kfolio) ||
	    !folio_test_swapbacked(req->kfolio) ||
	    folio_test_hwpoison(req->kfolio)) {
		folio_unlock(req->kfolio);
		return UKSM_REQ_BUSY;
	}
	WRITE_ONCE(frame->owner, batch);
	req->locked = true;
	return UKSM_REQ_READY;
}

static bool uksm_pages_equal(struct page *a, struct page *b)
{
	const void *pa = kmap_local_page(a);
	const void *pb = kmap_local_page(b);
	bool equal = uksm_bytes_equal(pa, pb) && !uksm_page_is_tagged(b);

#ifdef UKSM_MUTANT_COMPARE
	equal = true;
#endif
	kunmap_local((void *)pb);
	kunmap_local((void *)pa);
	return equal;
}

static bool uksm_page_is_zero(struct page *page)
{
	const void *p = kmap_local_page(page);
	bool zero = uksm_bytes_zero(p);

	kunmap_local((void *)p);
	return zero;
}

/*
 * Can the page become a frame as it is? It is mapped here and nowhere else (was,
 * when it was protected, and no mapping can have come since; its owner may have
 * left it, and then there is nothing to adopt), and nothing is special about it
 * that would be lost or left.
 */
static bool uksm_req_adoptable(struct uksm_req *req)
{
	struct folio *folio = req->folio;

#ifdef UKSM_MUTANT_CHARGE
	return false; /* the mutant is in the other way */
#endif
#ifndef UKSM_MUTANT_ADOPT
	if (!req->sole)
		return false;
#endif
	return folio_test_swapbacked(folio) && !folio_test_swapcache(folio) &&
	       !folio_test_writeback(folio) && !folio_test_mlocked(folio) &&
	       !folio_test_unevictable(folio);
}

/* Of a new frame: this page's content is what it takes. */
static enum uksm_req_state uksm_req_found(struct uksm_req *req,
					  struct vm_area_struct *vma,
					  struct uksm_batch *batch)
{
	struct uksm_frame *frame = req->frame;

#ifndef UKSM_MUTANT_KEY
	if (!uksm_share_still(frame, req->folio, batch->seed))
		return UKSM_REQ_BUSY;
#endif
	if (!uksm_folio_mapcount(req->folio))
		return UKSM_REQ_BUSY; /* written, and left */
	if (uksm_req_adoptable(req) && uksm_frame_adopt(frame, req->folio))
		return UKSM_REQ_ADOPTED;
	batch->full = batch->full ||
		      !uksm_frame_copy(frame, req->folio, vma->vm_mm);
	return batch->full ? UKSM_REQ_DROPPED : UKSM_REQ_READY;
}

/* The page cannot change any more: is it equal to the frame? */
static enum uksm_req_state uksm_req_compare(struct uksm_req *req,
					    struct vm_area_struct *vma,
					    struct uksm_batch *batch)
{
	struct uksm_frame *frame = req->frame;
	enum uksm_req_state state;
	struct folio *kfolio;

	if (uksm_page_is_tagged(&req->folio->page))
		return UKSM_REQ_DROPPED;
	if (!frame)
		return uksm_page_is_zero(&req->folio->page) ? UKSM_REQ_READY :
							      UKSM_REQ_DROPPED;
	if (frame->fresh) {
		state = uksm_req_found(req, vma, batch);
		if (state < UKSM_REQ_READY)
			return state;
	} else {
		state = uksm_req_lock_frame(req, batch);
		if (state != UKSM_REQ_READY)
			return state;
		kfolio = frame->folio ?: req->kfolio;
		if (!uksm_pages_equal(&req->folio->page, &kfolio->page)) {
			if (READ_ONCE(frame->key) == READ_ONCE(frame->sample))
				req->full = uksm_lookup_key_of(
					kfolio, batch->seed, true);
			return req->guess ? UKSM_REQ_AGAIN : UKSM_REQ_DROPPED;
		}
	}
#ifndef UKSM_MUTANT_RMAP
	if (uksm_rmap_item_add(frame, req->item, vma, req->addr))
		req->item = NULL;
#endif
	return state;
}

static void uksm_merge_compare(struct vm_area_struct *vma,
			       struct uksm_batch *batch)
{
	struct uksm_req *req;

	uksm_for_each_req(req, batch, UKSM_REQ_PROTECTED) {
		req->state = uksm_req_compare(req, vma, batch);
		if (req->state < UKSM_REQ_READY)
			folio_unlock(req->folio);
		cond_resched();
	}
}

/* The PTE that maps the frame, or the zero page. */
static pte_t uksm_req_new_pte(struct uksm_req *req, struct folio *kfolio,
			      struct vm_area_struct *vma)
{
	pte_t pte;

	if (kfolio)
		pte = pte_wrprotect(mk_pte(&kfolio->page, vma->vm_page_prot));
	else
		/*
		 * Clean: a dirty one would be counted by 6.12 and later as
		 * placed by ksmd, and that count goes wrong when a process
		 * forks that ksmd does not know (ksm_fork()).
		 */
		pte = pte_mkspecial(pfn_pte(page_to_pfn(ZERO_PAGE(req->addr)),
					    vma->vm_page_prot));
	return pte_soft_dirty(req->pte) ? pte_mksoft_dirty(pte) : pte;
}

/* Put the frames where the pages are. */
static void uksm_merge_map(struct vm_area_struct *vma, struct uksm_batch *batch)
{
	struct mm_struct *mm = vma->vm_mm;
	struct uksm_change c;
	struct uksm_req *req;

	if (!uksm_change_begin(&c, vma, batch, UKSM_REQ_READY))
		return;
	uksm_for_each_req(req, batch, UKSM_REQ_READY) {
		pte_t pte = ptep_get(uksm_change_pte(&c, req));

		/* Only the accessed bit may have changed. */
#ifndef UKSM_MUTANT_PTE
		if (!pte_present(pte) || pte_special(pte) ||
		    pte_pfn(pte) != folio_pfn(req->folio) || pte_write(pte) ||
		    pte_dirty(pte) || uksm_pte_is_uffd(pte))
			continue;
#else
		if (!pte_present(pte))
			continue;
#endif
		req->pte = ptep_get_and_clear(mm, req->addr,
					      uksm_change_pte(&c, req));
		req->state = UKSM_REQ_CLEARED;
	}
#ifndef UKSM_MUTANT_FLUSH
	uksm_change_flush(&c);
#endif
	uksm_for_each_req(req, batch, UKSM_REQ_CLEARED) {
		struct folio *kfolio = !req->frame	 ? NULL :
				       req->frame->folio ?:
							   req->kfolio;

		/*
		 * A frame that moved or went would be lost to its mapper, and
		 * from one that was poisoned meanwhile nothing is to be had.
		 */
		if (kfolio &&
		    (folio_test_hwpoison(kfolio) ||
		     uksm_broken(!folio_test_locked(kfolio) ||
				 !uksm_frame_holds(req->frame, kfolio)))) {
			uksm_set_pte(vma, req->addr, uksm_change_pte(&c, req),
				     req->pte);
			req->state = UKSM_REQ_READY;
			continue;
		}
		if (kfolio) {
			folio_get(kfolio);
			uksm_rmap_add(kfolio, vma, req->addr);
#ifndef UKSM_MUTANT_DIRTY
			/* Its last owner may have called MADV_FREE for it. */
			folio_mark_dirty(kfolio);
#endif
		} else {
#ifndef UKSM_MUTANT_ZERO
			uksm_mm_dec_anon(mm);
#endif
		}
		uksm_set_pte(vma, req->addr, uksm_change_pte(&c, req),
			     uksm_req_new_pte(req, kfolio, vma));
		uksm_rmap_remove(req->folio, vma);
		req->state = UKSM_REQ_MERGED;
	}
	uksm_change_end(&c);
}

/* After the last flush: let go of the pages, and of frames that were there. */
static void uksm_merge_unlock(struct uksm_batch *batch)
{
	struct uksm_req *req;

	for (req = batch->req; req < batch->req + batch->nr; req++) {
		switch (req->state) {
		case UKSM_REQ_MERGED:
			if (folio_test_swapcache(req->folio) &&
			    !uksm_folio_mapcount(req->folio))
				uksm_kcall(folio_free_swap)(req->folio);
			folio_unlock(req->folio);
			folio_put(req->folio); /* the mapping's */
			break;
		case UKSM_REQ_LOCKED:
		case UKSM_REQ_READY:
			uksm_req_drop(req, UKSM_REQ_BUSY);
			break;
		}
		uksm_rmap_item_free(req->item);
		if (req->locked) {
			WRITE_ONCE(req->frame->owner, NULL);
			folio_unlock(req->kfolio);
		}
	}
}

/**
 * uksm_merge_release() - let go of the frames of a batch
 * @batch: the batch, after uksm_merge_batch()
 *
 * Those that it made are everybody's from now on.
 *
 * Context: uksm_mutex held.
 */
void uksm_merge_release(struct uksm_batch *batch)
{
	struct uksm_req *req;

	for (req = batch->req; req < batch->req + batch->nr; req++) {
		struct uksm_frame *frame = req->frame;

		if (req->kfolio)
			folio_put(req->kfolio);
		if (!frame)
			continue;
		if (req->full)
			uksm_lookup_differs(frame, req->full);
		/* The mapping can be seen before: see uksm_share_has_room(). */
		if (atomic_dec_return(&frame->pending) || !frame->making)
			continue;
		if (frame->fresh) {
			uksm_frame_free(frame);
			req->frame = NULL;
			continue;
		}
		frame->owner = NULL;
		folio_unlock(frame->folio);
		folio_put(frame->folio);
		frame->folio = NULL;
		/* All of it can be seen before: see uksm_share_join(). */
		smp_store_release(&frame->making, false);
	}
}

/**
 * uksm_merge_batch() - merge pages of one area in one region
 * @vma: the area; mmap_lock held for reading
 * @batch: the requests; their states say what became of them. The references
 *	on their pages are still the caller's, and uksm_merge_release() is to
 *	follow
 *
 * Context: uksm_sem held for reading, uksm_mutex not; may sleep.
 */
void uksm_merge_batch(struct vm_area_struct *vma, struct uksm_batch *batch)
{
	if (uksm_merge_lock(batch)) {
		uksm_merge_protect(vma, batch);
		uksm_merge_compare(vma, batch);
		uksm_merge_map(vma, batch);
	}
	uksm_merge_unlock(batch);
}
