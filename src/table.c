// SPDX-License-Identifier: GPL-2.0
/*
 * table.c - from a page frame number to the frame whose page it is
 *
 * Hooks ask in any context, and re-key a frame that moves: so frames are chained
 * in the table by a link of their own, and nothing that they do allocates.
 *
 * The table is as long as there are frames, within a factor of a few. When it no
 * longer fits, scan threads set up another, and move buckets over, some in each
 * step of theirs. Buckets of the old table below uksm_moved are no longer used.
 */
#include <linux/hash.h>
#include <linux/jiffies.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mutex.h>

#include "frame.h"
#include "table.h"
#include "uksm.h"

/* The fewest buckets, and the most: what kvmalloc() can do. */
#define UKSM_TABLE_BITS_MIN 8
#define UKSM_TABLE_BITS_MAX 27
/* Frames for a bucket, on average, beyond which there are to be more buckets. */
#define UKSM_TABLE_FULL 2
/*
 * Buckets for a frame beyond which there are to be fewer, by so many bits at a
 * time: while they move there may be many more frames again.
 */
#define UKSM_TABLE_EMPTY 8
#define UKSM_TABLE_SHRINK_BITS 2

/* Buckets, or frames, moved with interrupts off; and how often in a step. */
#define UKSM_TABLE_PIECE 32
#define UKSM_TABLE_PIECE_FRAMES 128
#define UKSM_TABLE_PIECES 64

#ifdef UKSM_MUTANT_MOVE /* to be seen at it */
#undef UKSM_TABLE_BITS_MIN
#define UKSM_TABLE_BITS_MIN 4
#undef UKSM_TABLE_PIECES
#define UKSM_TABLE_PIECES 0
#endif

struct uksm_table {
	struct uksm_frame **bucket;
	unsigned int bits;
};

DEFINE_RAW_SPINLOCK(uksm_table_lock);
static struct uksm_table uksm_table;
/* While a move is under way, where from, and how many buckets have moved. */
static struct uksm_table uksm_table_old;
static unsigned long uksm_moved;

/* For who changes the length. Without memory it is tried again after a second. */
static DEFINE_MUTEX(uksm_table_mutex);
static unsigned long uksm_table_next;

/* ---- frames: table lock held ------------------------------------------ */

static struct uksm_frame **uksm_table_bucket(unsigned long pfn)
{
#ifndef UKSM_MUTANT_MOVE
	unsigned long n;

	if (uksm_table_old.bucket) {
		n = hash_long(pfn, uksm_table_old.bits);
		if (n >= uksm_moved)
			return &uksm_table_old.bucket[n];
	}
#endif
	return &uksm_table.bucket[hash_long(pfn, uksm_table.bits)];
}

/**
 * uksm_table_find() - whose page is it?
 * @pfn: of the page
 *
 * Context: uksm_table_lock held.
 * Return: the frame, or NULL.
 */
struct uksm_frame *uksm_table_find(unsigned long pfn)
{
	struct uksm_frame *frame;

	lockdep_assert_held(&uksm_table_lock);
	for (frame = *uksm_table_bucket(pfn); frame; frame = frame->next)
		if (frame->pfn == pfn)
			return frame;
	return NULL;
}

/**
 * uksm_table_remove() - a frame has no page any more
 * @frame: the frame; it may be out of the table already
 *
 * Context: uksm_table_lock held.
 */
void uksm_table_remove(struct uksm_frame *frame)
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

static void uksm_table_link(struct uksm_frame *frame, unsigned long pfn)
{
	struct uksm_frame **p = uksm_table_bucket(pfn);

	frame->next = *p;
	*p = frame;
}

/**
 * uksm_table_insert() - a frame has a page
 * @frame: the frame, out of the table
 * @pfn: of the page
 *
 * Whoever is there under @pfn is a frame whose page was freed and found a new
 * use: it loses its key, and the sweep will find it dead.
 *
 * Context: uksm_table_lock held.
 */
void uksm_table_insert(struct uksm_frame *frame, unsigned long pfn)
{
	struct uksm_frame *stale = uksm_table_find(pfn);

	if (stale)
		uksm_table_remove(stale);
	uksm_table_link(frame, pfn);
	WRITE_ONCE(frame->pfn, pfn);
}

/* ---- the table -------------------------------------------------------- */

static size_t uksm_table_size(const struct uksm_table *table)
{
	return sizeof(*table->bucket) << table->bits;
}

static bool uksm_table_alloc(struct uksm_table *table, unsigned int bits)
{
	table->bits = bits;
	table->bucket = kvzalloc(uksm_table_size(table), UKSM_GFP);
	if (!table->bucket)
		return false;
	uksm_metadata_add(uksm_table_size(table));
	return true;
}

static void uksm_table_free(const struct uksm_table *table)
{
	if (!table->bucket)
		return;
	uksm_metadata_add(-(long)uksm_table_size(table));
	kvfree(table->bucket);
}

/* How long a table is to be that is 2^@bits now. */
static unsigned int uksm_table_want(unsigned int bits, u64 frames)
{
	u64 nr = 1ULL << bits;
	unsigned int want = frames > 1 ? order_base_2(frames) : 0;

	if (frames <= nr * UKSM_TABLE_FULL && frames * UKSM_TABLE_EMPTY >= nr)
		return bits;
	want = max(want, bits - UKSM_TABLE_SHRINK_BITS);
	return clamp_t(unsigned int, want, UKSM_TABLE_BITS_MIN,
		       UKSM_TABLE_BITS_MAX);
}

static bool uksm_table_fits(u64 frames)
{
	unsigned int bits = READ_ONCE(uksm_table.bits);

	return uksm_table_want(bits, frames) == bits;
}

/* Set up another table, of which nothing is in use yet. */
static void uksm_table_begin(u64 frames)
{
	struct uksm_table table;
	unsigned long flags;

	if (time_before(jiffies, uksm_table_next))
		return;
	if (!uksm_table_alloc(&table,
			      uksm_table_want(uksm_table.bits, frames))) {
		uksm_table_next = jiffies + HZ;
		return;
	}
	raw_spin_lock_irqsave(&uksm_table_lock, flags);
	uksm_table_old = uksm_table;
	uksm_table = table;
	uksm_moved = 0;
	raw_spin_unlock_irqrestore(&uksm_table_lock, flags);
}

/* Move some buckets over. Return: whether all have been. */
static bool uksm_table_move(void)
{
	unsigned long nr = 1UL << uksm_table_old.bits, end, flags;
	struct uksm_frame *frame, *next;
	unsigned int frames = 0;
	bool all;

	raw_spin_lock_irqsave(&uksm_table_lock, flags);
	end = min(uksm_moved + UKSM_TABLE_PIECE, nr);
	while (uksm_moved < end && frames < UKSM_TABLE_PIECE_FRAMES) {
		frame = uksm_table_old.bucket[uksm_moved++];
		for (; frame; frame = next, frames++) {
			next = frame->next;
			uksm_table_link(frame, frame->pfn);
		}
	}
	all = uksm_moved == nr;
	raw_spin_unlock_irqrestore(&uksm_table_lock, flags);
	return all;
}

/* Nothing is in the old table any more. */
static void uksm_table_end(void)
{
	struct uksm_table old = uksm_table_old;
	unsigned long flags;

	raw_spin_lock_irqsave(&uksm_table_lock, flags);
	uksm_table_old.bucket = NULL;
	raw_spin_unlock_irqrestore(&uksm_table_lock, flags);
	uksm_table_free(&old);
}

static bool uksm_table_step(u64 frames)
{
	int i;

	if (!uksm_table_old.bucket && !uksm_table_fits(frames))
		uksm_table_begin(frames);
	if (!uksm_table_old.bucket)
		return false;
	for (i = 0; i < UKSM_TABLE_PIECES; i++) {
		if (uksm_table_move()) {
			uksm_table_end();
			return !uksm_table_fits(frames);
		}
	}
	return true;
}

/**
 * uksm_table_fit() - do a step towards a table that fits the frames there are
 *
 * As many steps as regions are visited are enough: each of them moves four times
 * as many buckets as a region may have new frames.
 *
 * Context: may sleep and reclaim.
 * Return: whether there is more to be done.
 */
bool uksm_table_fit(void)
{
	u64 frames = READ_ONCE(uksm_stats.frames);
	bool more;

	if (!READ_ONCE(uksm_table_old.bucket) && uksm_table_fits(frames))
		return false;
	if (!mutex_trylock(&uksm_table_mutex))
		return false; /* somebody is at it */
	more = uksm_table_step(frames);
	mutex_unlock(&uksm_table_mutex);
	return more;
}

/**
 * uksm_table_init() - an empty table
 *
 * Context: module load.
 * Return: 0 or -ENOMEM.
 */
int __init uksm_table_init(void)
{
	uksm_table_next = jiffies;
	return uksm_table_alloc(&uksm_table, UKSM_TABLE_BITS_MIN) ? 0 : -ENOMEM;
}

void uksm_table_exit(void)
{
	uksm_table_free(&uksm_table_old);
	uksm_table_free(&uksm_table);
}
