/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_INDEX_H
#define UKSM_INDEX_H

#include "pure.h"

#define UKSM_BUCKET_SLOTS 6
#define UKSM_INDEX_MIN_BUCKETS 1024U
/*
 * The index is cut into so many ranges at most, and into ranges of so many
 * buckets at least: keys do not spread more evenly than that.
 */
#define UKSM_INDEX_RANGE_BITS 6
#define UKSM_INDEX_RANGES BIT(UKSM_INDEX_RANGE_BITS)
#define UKSM_RANGE_MIN_BUCKETS 4096U
/* Buckets in a page of memory. */
#define UKSM_RANGE_STEP ((u32)(PAGE_SIZE / sizeof(struct uksm_bucket)))
/* From here on a slot's key can be told from its place: see index.c. */
#define UKSM_INDEX_KEEP_BUCKETS 65536U

/* Rounds after which a mark that nobody came across may go. */
#define UKSM_MARK_ROUNDS 128

/*
 * A place that nobody came across in the last one to two times so many rounds
 * is the first to go. All regions have had a look that trusts nothing by then:
 * see UKSM_REGION_CALM_FULL.
 */
#define UKSM_PLACE_ROUNDS 64
#define UKSM_EPOCHS 32

/*
 * An entry that had to go is back after the next look that trusts nothing. With
 * fewer than so many in an epoch, and such looks as rare as they get, one in a
 * hundred is missing at a time.
 */
#define UKSM_SHORT 1024

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
 * struct uksm_range - the entries of the keys that begin with the same bits
 * @bucket: its table, aligned to the size of a bucket
 * @span: the length of it
 * @evicted: entries that went to make room in this epoch
 */
struct uksm_range {
	struct uksm_bucket *bucket;
	u32 span;
	u32 evicted;
};

/**
 * struct uksm_index - fingerprint to what has it
 * @range: the ranges; each may have a length of its own
 * @range_bits: there are 2^@range_bits of them
 * @round: now, as the age of marks is counted; from 1
 * @is_short: of room: more than one entry in UKSM_SHORT had to go in this epoch,
 *	as of the beginning of the round, or in the one before
 * @was_short: in the one before
 */
struct uksm_index {
	struct uksm_range range[UKSM_INDEX_RANGES];
	unsigned int range_bits;
	u64 round;
	bool is_short;
	bool was_short;
};

/*
 * A value is one of
 *	a place: space id, virtual page number - where a page with it was seen;
 *	and 8 bits of the key's low half, where the address leaves room for them
 *	(below 2^48 bytes): bucket and tag alone are the same for one pair of pages in
 *	some 2^26, in a small table, and a page that takes another for its equal
 *	becomes a frame that nobody shares
 *	a frame: an 8-byte aligned pointer
 *	a mark: pages that differ have this sample, look at the whole page; with
 *	the round in which it was last of use
 */
enum uksm_val_type {
	UKSM_VAL_NONE,
	UKSM_VAL_PLACE = 1, /* with the next bit set: and a high address */
	UKSM_VAL_FRAME = 2,
	UKSM_VAL_MARK = 4,
};

#define UKSM_VAL_BITS 3 /* for the type, but in a place */
#define UKSM_VAL_HIGH 2ULL
#define UKSM_VPN_SHIFT 2
#define UKSM_VPN_BITS 44 /* the user half of 57 bits */
#define UKSM_VPN_LOW_BITS 36 /* 48 bits */
#define UKSM_SPACE_ID_SHIFT (UKSM_VPN_SHIFT + UKSM_VPN_BITS)
#define UKSM_SPACE_ID_BITS 18
#define UKSM_SPACE_ID_MAX ((1U << UKSM_SPACE_ID_BITS) - 1)

static inline enum uksm_val_type uksm_val_type(u64 val)
{
	return val & UKSM_VAL_PLACE ? UKSM_VAL_PLACE :
				      val & (UKSM_VAL_FRAME | UKSM_VAL_MARK);
}

static inline u64 uksm_val_check(u64 key)
{
	return (u64)((u32)key >> 24) << (UKSM_VPN_SHIFT + UKSM_VPN_LOW_BITS);
}

/* The place of a page that goes by @key. */
static inline u64 uksm_val_place(u32 space_id, unsigned long addr, u64 key)
{
	u64 vpn = addr / PAGE_SIZE;
	u64 val = (u64)space_id << UKSM_SPACE_ID_SHIFT | vpn << UKSM_VPN_SHIFT |
		  UKSM_VAL_PLACE;

	return val |
	       (vpn >> UKSM_VPN_LOW_BITS ? UKSM_VAL_HIGH : uksm_val_check(key));
}

/* May a place that was found under @key be of that very key? */
static inline bool uksm_val_agrees(u64 val, u64 key)
{
	return val & UKSM_VAL_HIGH ||
	       !((val ^ uksm_val_check(key)) & uksm_val_check(U32_MAX));
}

static inline u32 uksm_val_space(u64 val)
{
	return val >> UKSM_SPACE_ID_SHIFT;
}

static inline unsigned long uksm_val_addr(u64 val)
{
	unsigned int bits = val & UKSM_VAL_HIGH ? UKSM_VPN_BITS :
						  UKSM_VPN_LOW_BITS;

	return (val >> UKSM_VPN_SHIFT & ((1ULL << bits) - 1)) * PAGE_SIZE;
}

static inline u64 uksm_val_frame(const void *frame)
{
	return (u64)(unsigned long)frame | UKSM_VAL_FRAME;
}

static inline void *uksm_val_to_frame(u64 val)
{
	return (void *)(unsigned long)(val & ~(u64)UKSM_VAL_FRAME);
}

static inline u64 uksm_val_mark(const struct uksm_index *idx)
{
	return idx->round << UKSM_VAL_BITS | UKSM_VAL_MARK;
}

/* The round in which a mark was last of use. */
static inline u64 uksm_val_round(u64 val)
{
	return val >> UKSM_VAL_BITS;
}

/* The number of the range of all entries under @key. */
static inline unsigned int uksm_index_range(const struct uksm_index *idx,
					    u64 key)
{
	return key >> 32 >> (32 - idx->range_bits);
}

static inline const struct uksm_range *
uksm_index_range_of(const struct uksm_index *idx, u64 key)
{
	return &idx->range[uksm_index_range(idx, key)];
}

/* The first bucket for a key with the upper half @h, as a number in its range. */
static inline u32 uksm_range_slot(const struct uksm_range *range,
				  unsigned int range_bits, u32 h)
{
	return (u64)(h << range_bits) * range->span >> 32;
}

/* Where a look for @key begins: what may be prefetched. */
static inline const void *uksm_index_first(const struct uksm_index *idx,
					   u64 key)
{
	const struct uksm_range *range = uksm_index_range_of(idx, key);

	return &range->bucket[uksm_range_slot(range, idx->range_bits,
					      key >> 32)];
}

u32 uksm_index_want(u64 pages);
bool uksm_index_fits(u32 nr, u64 pages);
unsigned int uksm_index_cut(u32 nr);
u64 uksm_index_length(const struct uksm_index *idx);
u64 uksm_index_evicted(const struct uksm_index *idx);
void uksm_index_new_round(struct uksm_index *idx);
u64 *uksm_index_next(const struct uksm_index *idx, u64 key, u64 *prev);
bool uksm_index_insert(struct uksm_index *idx, u64 key, u64 val);
void uksm_index_touch(struct uksm_index *idx, u64 *slot);
bool uksm_index_erase(struct uksm_index *idx, u64 key, u64 val);
bool uksm_index_known(const struct uksm_index *idx);
bool uksm_index_move(struct uksm_index *to, const struct uksm_index *from);
u64 uksm_index_move_range(struct uksm_index *idx, unsigned int r,
			  const struct uksm_range *from, u64 *at);

#endif /* UKSM_INDEX_H */
