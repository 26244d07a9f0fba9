/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_INDEX_H
#define UKSM_INDEX_H

#include "pure.h"

#define UKSM_BUCKET_SLOTS 6
#define UKSM_INDEX_MIN_BUCKETS 1024U
/* From here on a slot's key can be told from its place: see index.c. */
#define UKSM_INDEX_KEEP_BUCKETS 65536U

/* Rounds after which a mark that nobody came across may go. */
#define UKSM_MARK_ROUNDS 16

/*
 * A place that nobody came across in the last one to two times so many rounds
 * is the first to go. All regions have had a look that trusts nothing by then.
 */
#define UKSM_PLACE_ROUNDS 16
#define UKSM_EPOCHS 32

/**
 * struct uksm_bucket - one cache line of the index
 * @hand: where the next victim is looked for
 * @epoch: when @young was begun, in UKSM_PLACE_ROUNDS
 * @spilled: a bit for each slot: its entry is in its second bucket
 * @young: a bit for each slot: its entry came, or was of use, since @epoch
 * @kept: the same of the epoch before
 * @tag: the low half of the upper half of each key
 * @val: what is there; 0 for an empty slot
 */
struct uksm_bucket {
	u8 hand : 3, epoch : 5;
	u8 spilled;
	u8 young;
	u8 kept;
	u16 tag[UKSM_BUCKET_SLOTS];
	u64 val[UKSM_BUCKET_SLOTS];
};

/**
 * struct uksm_index - fingerprint to what has it
 * @bucket: the table
 * @nr: its length
 * @used: slots that are not empty
 * @evicted: entries that went to make room, ever
 * @round: now, as the age of marks is counted
 */
struct uksm_index {
	struct uksm_bucket *bucket;
	u32 nr;
	u64 used;
	u64 evicted;
	u64 round;
};

/*
 * A value is one of
 *	a place: space id, virtual page number - where a page with it was seen
 *	a frame: an 8-byte aligned pointer
 *	a mark: pages that differ have this sample, look at the whole page; with
 *	the round in which it was last of use
 */
enum uksm_val_type {
	UKSM_VAL_NONE,
	UKSM_VAL_PLACE,
	UKSM_VAL_FRAME,
	UKSM_VAL_MARK,
};

#define UKSM_VAL_TYPE_MASK 3ULL
#define UKSM_VPN_BITS 44 /* the user half of 57 bits */
#define UKSM_SPACE_ID_BITS 18
#define UKSM_SPACE_ID_MAX ((1U << UKSM_SPACE_ID_BITS) - 1)

static inline enum uksm_val_type uksm_val_type(u64 val)
{
	return val & UKSM_VAL_TYPE_MASK;
}

static inline u64 uksm_val_place(u32 space_id, unsigned long addr)
{
	return (u64)space_id << (UKSM_VPN_BITS + 2) |
	       (u64)(addr / PAGE_SIZE) << 2 | UKSM_VAL_PLACE;
}

static inline u32 uksm_val_space(u64 val)
{
	return val >> (UKSM_VPN_BITS + 2);
}

static inline unsigned long uksm_val_addr(u64 val)
{
	return (val >> 2 & ((1ULL << UKSM_VPN_BITS) - 1)) * PAGE_SIZE;
}

static inline u64 uksm_val_frame(const void *frame)
{
	return (u64)(unsigned long)frame | UKSM_VAL_FRAME;
}

static inline void *uksm_val_to_frame(u64 val)
{
	return (void *)(unsigned long)(val & ~UKSM_VAL_TYPE_MASK);
}

static inline u64 uksm_val_mark(const struct uksm_index *idx)
{
	return idx->round << 2 | UKSM_VAL_MARK;
}

u32 uksm_index_want(u64 pages);
void uksm_index_setup(struct uksm_index *idx, struct uksm_bucket *bucket,
		      u32 nr);
u64 *uksm_index_next(const struct uksm_index *idx, u64 key, u64 *prev);
bool uksm_index_insert(struct uksm_index *idx, u64 key, u64 val);
void uksm_index_touch(struct uksm_index *idx, const u64 *slot);
bool uksm_index_erase(struct uksm_index *idx, u64 key, u64 val);
bool uksm_index_move(struct uksm_index *to, const struct uksm_index *from);

#endif /* UKSM_INDEX_H */
