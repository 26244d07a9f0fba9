// SPDX-License-Identifier: GPL-2.0
/*
 * lookup.c - the index in use: its size, and what its entries stand for
 *
 * An entry is a place where a page was seen, a frame, or the mark of a sample
 * that pages have which differ. A frame is found by its sample; or by the
 * fingerprint of all of its content, once a page was met that has the same
 * sample and is not equal.
 *
 * Owns the index. What is in a range of it is under the range's lock, from the
 * look for an entry until it was made use of. A frame that an entry leads to is
 * there for as long as its range is locked; and if nobody is making it, until the
 * step is over.
 */
#include <linux/cache.h>
#include <linux/vmalloc.h>

#include "digest.h"
#include "frame.h"
#include "index.h"
#include "lookup.h"
#include "space.h"
#include "sweep.h"
#include "work.h"

struct uksm_index uksm_index;
static struct {
	struct mutex mutex;
} ____cacheline_aligned_in_smp uksm_range_lock[UKSM_INDEX_RANGES];

/* As many buckets as are set up at once; what is beyond comes range by range. */
#define UKSM_LOOKUP_ONCE (UKSM_INDEX_RANGES * UKSM_RANGE_MIN_BUCKETS)

/* Pages that the index is to fit, and the next range that does not. */
static u64 uksm_fit_pages;
static unsigned int uksm_fit_next;
#define UKSM_FIT_NONE UKSM_INDEX_RANGES

static bool uksm_range_alloc(struct uksm_range *range, u32 span)
{
	size_t size = (size_t)span * sizeof(*range->bucket);

	range->bucket = __vmalloc(size, UKSM_GFP | __GFP_ZERO);
	if (!range->bucket)
		return false;
	range->span = span;
	uksm_metadata_add(size);
	return true;
}

static void uksm_range_free(const struct uksm_range *range)
{
	if (!range->bucket)
		return;
	vfree(range->bucket);
	uksm_metadata_add(-(long)(range->span * sizeof(*range->bucket)));
}

static void uksm_index_free(const struct uksm_index *idx)
{
	unsigned int r;

	for (r = 0; r < UKSM_INDEX_RANGES; r++)
		uksm_range_free(&idx->range[r]);
}

static struct uksm_index *uksm_index_alloc(u32 buckets)
{
	struct uksm_index *idx = kzalloc(sizeof(*idx), UKSM_GFP);
	unsigned int r;

	if (!idx)
		return NULL;
	idx->range_bits = uksm_index_cut(buckets);
	for (r = 0; r < 1U << idx->range_bits; r++) {
		if (uksm_range_alloc(&idx->range[r],
				     buckets >> idx->range_bits))
			continue;
		uksm_index_free(idx);
		kfree(idx);
		return NULL;
	}
	return idx;
}

/* ---- the index as a whole: uksm_sem held for writing ------------------ */

static bool uksm_lookup_setup(u32 buckets, bool keep)
{
	struct uksm_index *idx = uksm_index_alloc(buckets);
	bool first = !uksm_index.range[0].bucket;

	if (!idx)
		return false;
	idx->round = uksm_index.round;
	idx->was_short = uksm_index.is_short;
	if (keep && !uksm_index_move(idx, &uksm_index))
		uksm_spaces_forget();
	uksm_index_free(&uksm_index);
	uksm_index = *idx;
	kfree(idx);
	WRITE_ONCE(uksm_fit_next, UKSM_FIT_NONE);
	if (!first)
		uksm_frames_reindex();
	return true;
}

int __init uksm_lookup_init(void)
{
	unsigned int i;

	for (i = 0; i < UKSM_INDEX_RANGES; i++)
		mutex_init(&uksm_range_lock[i].mutex);
	uksm_index.round = 1;
	return uksm_lookup_setup(UKSM_INDEX_MIN_BUCKETS, false) ? 0 : -ENOMEM;
}

void uksm_lookup_exit(void)
{
	uksm_index_free(&uksm_index);
}

/* The length that a range of length @span is to have. */
static u32 uksm_lookup_span(u32 span)
{
	unsigned int bits = uksm_index.range_bits;
	u32 want = uksm_index_want(uksm_fit_pages);

	if (uksm_index_fits(span << bits, uksm_fit_pages))
		return span;
	/* Fewer ranges: there was no memory for more. */
	if (bits < UKSM_INDEX_RANGE_BITS)
		want = min_t(u32, want, UKSM_LOOKUP_ONCE);
	return max(want >> bits, UKSM_RANGE_MIN_BUCKETS);
}

/* Have range @r, or the next that does not fit, be the next to be made to. */
static void uksm_lookup_fit_from(unsigned int r)
{
	unsigned int nr = uksm_lookup_ranges();
	u32 span, good = 0; /* most are of one length */

	for (; r < nr; r++) {
		span = uksm_index.range[r].span;
		if (span != good && uksm_lookup_span(span) != span)
			break;
		good = span;
	}
	WRITE_ONCE(uksm_fit_next, r < nr ? r : UKSM_FIT_NONE);
}

/**
 * uksm_lookup_resize() - make the index fit
 * @pages: pages that may come
 *
 * An index that is to have another number of ranges, or whose keys are not known,
 * is small, and is set up anew. The ranges of another are each given another
 * length, by uksm_lookup_fit(). Without memory the index stays as it is, and old
 * entries make room for new ones.
 *
 * Context: may sleep.
 */
void uksm_lookup_resize(u64 pages)
{
	u32 want = min_t(u32, uksm_index_want(pages), UKSM_LOOKUP_ONCE);
	u64 nr = uksm_index_length(&uksm_index);

	if (nr <= UKSM_LOOKUP_ONCE && !uksm_index_fits(nr, pages) &&
	    (uksm_index_cut(want) != uksm_index.range_bits ||
	     !uksm_index_known(&uksm_index)))
		uksm_lookup_setup(want, true);
	uksm_fit_pages = pages;
	if (uksm_index_known(&uksm_index))
		uksm_lookup_fit_from(0);
}

/* Return: false if there is no memory. */
static bool uksm_lookup_fit_range(unsigned int r)
{
	struct uksm_range old = uksm_index.range[r], range;
	struct uksm_frame *frame;
	u64 lost, at = 0;

	if (!uksm_range_alloc(&range, uksm_lookup_span(old.span)))
		return false;
	range.evicted = old.evicted;
	uksm_index.range[r] = range;
	while ((lost = uksm_index_move_range(&uksm_index, r, &old, &at))) {
		if (uksm_val_type(lost) != UKSM_VAL_FRAME)
			continue;
		frame = uksm_val_to_frame(lost);
		frame->indexed = false; /* the sweep will try again */
	}
	uksm_range_free(&old);
	return true;
}

/**
 * uksm_lookup_fit() - give one more range the length that it is to have
 *
 * No step is under way meanwhile: so nobody who has an mmap_lock waits for it.
 * Without memory it is left to the next round.
 *
 * Context: takes uksm_sem for writing, if there is something to do; may sleep.
 * Return: whether there is more to do.
 */
bool uksm_lookup_fit(void)
{
	unsigned int r;

	if (READ_ONCE(uksm_fit_next) == UKSM_FIT_NONE)
		return false;
	down_write(&uksm_sem);
	r = uksm_fit_next;
	if (r != UKSM_FIT_NONE) {
		if (uksm_lookup_fit_range(r))
			uksm_lookup_fit_from(r + 1);
		else
			WRITE_ONCE(uksm_fit_next, UKSM_FIT_NONE);
	}
	up_write(&uksm_sem);
	return READ_ONCE(uksm_fit_next) != UKSM_FIT_NONE;
}

/**
 * uksm_lookup_drop() - back to an empty, small index
 *
 * Context: may sleep.
 */
void uksm_lookup_drop(void)
{
	unsigned int r;

	if (uksm_lookup_setup(UKSM_INDEX_MIN_BUCKETS, false))
		return;
	WRITE_ONCE(uksm_fit_next, UKSM_FIT_NONE);
	for (r = 0; r < uksm_lookup_ranges(); r++)
		memset(uksm_index.range[r].bucket, 0,
		       uksm_index.range[r].span * sizeof(struct uksm_bucket));
	uksm_frames_reindex();
}

/**
 * uksm_lookup_new_round() - marks get older
 */
void uksm_lookup_new_round(void)
{
	uksm_index_new_round(&uksm_index);
}

/**
 * uksm_lookup_calm_max() - how long may what is in the index be left alone?
 *
 * Context: uksm_sem held.
 * Return: for uksm_region_due().
 */
unsigned int uksm_lookup_calm_max(void)
{
	return uksm_index.is_short ? UKSM_REGION_CALM_FULL : UKSM_REGION_CALM;
}

/* ---- ranges ----------------------------------------------------------- */

/**
 * uksm_lookup_ranges() - how many there are
 *
 * Context: uksm_sem held.
 * Return: up to UKSM_INDEX_RANGES.
 */
unsigned int uksm_lookup_ranges(void)
{
	return 1U << uksm_index.range_bits;
}

/**
 * uksm_lookup_range() - where a key belongs
 * @key: the key
 *
 * Context: uksm_sem held.
 * Return: the number of its range.
 */
unsigned int uksm_lookup_range(u64 key)
{
	return uksm_index_range(&uksm_index, key);
}

/**
 * uksm_lookup_lock_range() - have a range
 * @range: its number
 * @wait: if somebody else has it
 *
 * Context: uksm_sem held, no other range locked; inside uksm_mutex, if that is
 * held; may sleep.
 * Return: whether it is locked.
 */
bool uksm_lookup_lock_range(unsigned int range, bool wait)
{
	if (!wait)
		return mutex_trylock(&uksm_range_lock[range].mutex);
	mutex_lock(&uksm_range_lock[range].mutex);
	return true;
}

void uksm_lookup_unlock_range(unsigned int range)
{
	mutex_unlock(&uksm_range_lock[range].mutex);
}

/* The same by a key. */
void uksm_lookup_lock(u64 key)
{
	uksm_lookup_lock_range(uksm_lookup_range(key), true);
}

void uksm_lookup_unlock(u64 key)
{
	uksm_lookup_unlock_range(uksm_lookup_range(key));
}

static void uksm_lookup_assert_locked(u64 key)
{
	lockdep_assert_held(&uksm_range_lock[uksm_lookup_range(key)].mutex);
}

/* ---- entries: their range locked -------------------------------------- */

/**
 * uksm_lookup_find() - what goes by a key
 * @key: the key
 * @marks: marks of samples count
 *
 * Return: the slot of a frame; or else, of what is not known to be of that very
 * key, of a mark or a place; or NULL.
 */
u64 *uksm_lookup_find(u64 key, bool marks)
{
	struct uksm_frame *frame;
	u64 *slot = NULL, *best = NULL;

	uksm_lookup_assert_locked(key);
	while ((slot = uksm_index_next(&uksm_index, key, slot))) {
		switch (uksm_val_type(*slot)) {
		case UKSM_VAL_FRAME:
			frame = uksm_val_to_frame(*slot);
			if (frame->key == key)
				return slot;
			break;
		case UKSM_VAL_MARK:
			if (marks)
				best = slot;
			break;
		case UKSM_VAL_PLACE:
			if (!best && uksm_val_agrees(*slot, key))
				best = slot;
			break;
		case UKSM_VAL_NONE:
			break;
		}
	}
	return best;
}

/**
 * uksm_lookup_here() - have an entry that leads nowhere, or here, lead here
 * @slot: the entry
 * @self: the place
 */
void uksm_lookup_here(u64 *slot, u64 self)
{
	*slot = self;
	uksm_index_touch(&uksm_index, slot);
}

/*
 * A slot is another's from now on. The page that had it is visited again at
 * once. uksm_mutex held.
 */
static void uksm_lookup_replace(u64 *slot, u64 val)
{
	u64 other = *slot;

	*slot = val;
	if (uksm_val_type(other) == UKSM_VAL_PLACE)
		uksm_work_add_page(uksm_val_space(other), uksm_val_addr(other));
}

/**
 * uksm_lookup_mark() - have pages with a sample told apart by all of the page
 * @sample: the sample
 * @slot: what goes by it, or NULL
 *
 * The page that had it for itself until now is visited again at once. A frame
 * that has it keeps it: who finds it will tell.
 *
 * Context: uksm_mutex held.
 */
void uksm_lookup_mark(u64 sample, u64 *slot)
{
	u64 mark = uksm_val_mark(&uksm_index);

	if (!slot)
		uksm_index_insert(&uksm_index, sample, mark);
	else if (uksm_val_type(*slot) != UKSM_VAL_FRAME)
		uksm_lookup_replace(slot, mark);
}

/**
 * uksm_lookup_key_of() - the key of a page that cannot change
 * @folio: the page
 * @seed: of the space
 * @full: by all of it, not by its sample
 *
 * Context: any.
 * Return: the key.
 */
u64 uksm_lookup_key_of(struct folio *folio, u64 seed, bool full)
{
	const void *addr = kmap_local_folio(folio, 0);
	u64 digest = full ? uksm_digest_full(addr, seed) :
			    uksm_digest_sample(addr, seed);

	kunmap_local((void *)addr);
	return uksm_lookup_key(digest, folio);
}

/* ---- frames: uksm_mutex held, no range locked ------------------------- */

/* Unless another frame with room is found by its key. The range is locked. */
static void uksm_lookup_insert_frame(struct uksm_frame *frame)
{
	u64 *slot = uksm_lookup_find(frame->key, frame->key == frame->sample);
	struct uksm_frame *full;

	if (!slot) {
		frame->indexed = uksm_index_insert(&uksm_index, frame->key,
						   uksm_val_frame(frame));
		return;
	}
	if (uksm_val_type(*slot) == UKSM_VAL_FRAME) {
		full = uksm_val_to_frame(*slot);
		if (full != frame &&
		    full->mapped < READ_ONCE(uksm_settings.max_page_sharing))
			return;
		full->indexed = false;
	}
	uksm_lookup_replace(slot, uksm_val_frame(frame));
	frame->indexed = true;
}

/**
 * uksm_lookup_add_frame() - have a frame found by its key
 * @frame: the frame
 *
 * Unless another frame with room is.
 */
void uksm_lookup_add_frame(struct uksm_frame *frame)
{
	uksm_lookup_lock(frame->key);
	uksm_lookup_insert_frame(frame);
	uksm_lookup_unlock(frame->key);
}

/**
 * uksm_lookup_refresh() - see to it that a frame can be found
 * @frame: a frame that lives
 * @mapcount: how often it is mapped
 */
void uksm_lookup_refresh(struct uksm_frame *frame, unsigned int mapcount)
{
	if (mapcount >= READ_ONCE(uksm_settings.max_page_sharing))
		return;
	if (!frame->indexed)
		uksm_lookup_add_frame(frame);
	if (frame->key == frame->sample)
		return;
	uksm_lookup_lock(frame->sample);
	uksm_lookup_mark(frame->sample, uksm_lookup_find(frame->sample, true));
	uksm_lookup_unlock(frame->sample);
}

/**
 * uksm_lookup_differs() - a page was not what a frame was thought to be
 * @frame: the frame
 * @full: its key by all of its content
 *
 * If all that was known of both is that their samples agree, the sample is
 * marked, and the frame goes by all of its content.
 */
void uksm_lookup_differs(struct uksm_frame *frame, u64 full)
{
	u64 *slot;

	if (frame->key != frame->sample)
		return;
	uksm_lookup_lock(frame->sample);
	slot = uksm_lookup_find(frame->sample, true);
	if (slot && *slot == uksm_val_frame(frame))
		*slot = uksm_val_mark(&uksm_index);
	else
		uksm_lookup_mark(frame->sample, slot);
	WRITE_ONCE(frame->key, full);
	frame->indexed = false;
	uksm_lookup_unlock(frame->sample);
	uksm_lookup_add_frame(frame);
}

/* The range is locked. */
static void uksm_lookup_erase_frame(struct uksm_frame *frame)
{
	/* Whatever @indexed says: after a change of size it is not known. */
	uksm_index_erase(&uksm_index, frame->key, uksm_val_frame(frame));
	frame->indexed = false;
}

/**
 * uksm_lookup_forget() - take a frame out of the index
 * @frame: the frame
 */
void uksm_lookup_forget(struct uksm_frame *frame)
{
	uksm_lookup_lock(frame->key);
	uksm_lookup_erase_frame(frame);
	uksm_lookup_unlock(frame->key);
}

/**
 * uksm_lookup_forget_idle() - the same, unless it is in use
 * @frame: the frame
 *
 * Return: false if something is to be merged into it; then it stays.
 */
bool uksm_lookup_forget_idle(struct uksm_frame *frame)
{
	bool idle;

	uksm_lookup_lock(frame->key);
	idle = !atomic_read(&frame->pending);
	if (idle)
		uksm_lookup_erase_frame(frame);
	uksm_lookup_unlock(frame->key);
	return idle;
}
