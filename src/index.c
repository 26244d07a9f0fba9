// SPDX-License-Identifier: GPL-2.0
/*
 * index.c - from a fingerprint to a frame or to the place of a candidate
 *
 * A table of buckets, each one cache line of six slots. The upper half H of a
 * key picks the bucket by multiplication (so that the table may have any
 * length), its low 16 bits are the tag. Bucket and tag give a second bucket; an
 * entry goes where there is more room, so that the table can be filled well.
 * It never grows by itself: where there is no room at all, a mark of no more
 * use or a place goes for the new entry; frames stay. An entry is a hint:
 * nothing in it is trusted by its users.
 *
 * 64 bytes for 6 slots, filled to 10/13, are 13.9 bytes a page: the budget is 16.
 *
 * Pure; the caller serialises.
 */
#include "index.h"

static u32 uksm_index_slot(const struct uksm_index *idx, u32 h)
{
	return (u64)h * idx->nr >> 32;
}

/**
 * uksm_index_want() - how many buckets serve so many pages
 * @pages: pages to be indexed
 *
 * Return: a length for uksm_index_setup().
 */
u32 uksm_index_want(u64 pages)
{
	u64 nr = (pages * 13 / 10 + UKSM_BUCKET_SLOTS - 1) / UKSM_BUCKET_SLOTS;

	return clamp_t(u64, nr, UKSM_INDEX_MIN_BUCKETS, U32_MAX);
}

/**
 * uksm_index_setup() - start with an empty table
 * @idx: the index
 * @bucket: @nr zeroed buckets; the caller's to free
 * @nr: at least 1
 */
void uksm_index_setup(struct uksm_index *idx, struct uksm_bucket *bucket,
		      u32 nr)
{
	idx->bucket = bucket;
	idx->nr = nr;
	idx->used = 0;
}

/* The other bucket of an entry in bucket @n; the same both ways. */
static u32 uksm_index_other(const struct uksm_index *idx, u32 n, u16 tag)
{
	u32 sum = (u64)(tag * 0x9e3779b1U) * idx->nr >> 32;

	return sum >= n ? sum - n : sum + (idx->nr - n);
}

/* The first entry of @tag at or behind slot @i, or NULL. */
static u64 *uksm_bucket_find(struct uksm_bucket *b, int i, u16 tag,
			     unsigned int spilled)
{
	for (; i < UKSM_BUCKET_SLOTS; i++)
		if (b->tag[i] == tag && b->val[i] &&
		    (b->spilled >> i & 1) == spilled)
			return &b->val[i];
	return NULL;
}

static bool uksm_bucket_has(const struct uksm_bucket *b, const u64 *val)
{
	return val >= b->val && val < b->val + UKSM_BUCKET_SLOTS;
}

static bool uksm_bucket_spilled(const struct uksm_bucket *b, const u64 *val)
{
	return b->spilled >> (val - b->val) & 1;
}

static int uksm_bucket_room(const struct uksm_bucket *b)
{
	int i, room = 0;

	for (i = 0; i < UKSM_BUCKET_SLOTS; i++)
		room += !b->val[i];
	return room;
}

/**
 * uksm_index_next() - the entries under a key
 * @idx: the index
 * @key: a fingerprint
 * @prev: the last one found, or NULL for the first
 *
 * Keys that differ may share an entry's tag.
 *
 * Return: the value in its slot, good until the next insert; or NULL.
 */
u64 *uksm_index_next(const struct uksm_index *idx, u64 key, u64 *prev)
{
	u32 h = key >> 32;
	u32 n = uksm_index_slot(idx, h);
	struct uksm_bucket *first = &idx->bucket[n];
	struct uksm_bucket *second = &idx->bucket[uksm_index_other(idx, n, h)];
	u64 *val = NULL;
	int i = 0;

	if (!prev) {
		val = uksm_bucket_find(first, 0, h, 0);
	} else if (uksm_bucket_has(first, prev) &&
		   !uksm_bucket_spilled(first, prev)) {
		val = uksm_bucket_find(first, prev - first->val + 1, h, 0);
	} else {
		i = prev - second->val + 1;
	}
	return val ?: uksm_bucket_find(second, i, h, 1);
}

static bool uksm_mark_old(const struct uksm_index *idx, u64 val)
{
	return uksm_val_type(val) == UKSM_VAL_MARK &&
	       (val >> 2) + UKSM_MARK_ROUNDS < idx->round;
}

static bool uksm_val_loose(const struct uksm_index *idx, u64 val)
{
	return uksm_val_type(val) == UKSM_VAL_PLACE || uksm_mark_old(idx, val);
}

/* How many entries may go. */
static int uksm_bucket_loose(const struct uksm_index *idx,
			     const struct uksm_bucket *b)
{
	int i, loose = 0;

	for (i = 0; i < UKSM_BUCKET_SLOTS; i++)
		loose += uksm_val_loose(idx, b->val[i]);
	return loose;
}

/* A slot to use again, or -1. */
static int uksm_bucket_victim(struct uksm_index *idx, struct uksm_bucket *b)
{
	int i, n;

	for (i = 0; i < UKSM_BUCKET_SLOTS; i++)
		if (uksm_mark_old(idx, b->val[i]))
			return i;
	for (n = 0; n < UKSM_BUCKET_SLOTS; n++) {
		i = b->hand++ % UKSM_BUCKET_SLOTS;
		if (uksm_val_type(b->val[i]) == UKSM_VAL_PLACE)
			return i;
	}
	return -1;
}

static void uksm_bucket_put(struct uksm_bucket *b, int i, u16 tag, u64 val,
			    unsigned int spilled)
{
	b->tag[i] = tag;
	b->val[i] = val;
	b->spilled = (b->spilled & ~(1U << i)) | spilled << i;
}

/* Put an entry into an empty slot of @b. Return: false if there is none. */
static bool uksm_bucket_add(struct uksm_index *idx, struct uksm_bucket *b,
			    u16 tag, u64 val, unsigned int spilled)
{
	int i;

	for (i = 0; i < UKSM_BUCKET_SLOTS; i++) {
		if (!b->val[i]) {
			uksm_bucket_put(b, i, tag, val, spilled);
			idx->used++;
			return true;
		}
	}
	return false;
}

/* Put an entry in place of one of @b that may go. Return: false if none may. */
static bool uksm_bucket_replace(struct uksm_index *idx, struct uksm_bucket *b,
				u16 tag, u64 val, unsigned int spilled)
{
	int i = uksm_bucket_victim(idx, b);

	if (i < 0)
		return false;
	uksm_bucket_put(b, i, tag, val, spilled);
	idx->evicted++;
	return true;
}

/*
 * Make room in bucket @n by sending one of its entries to its other bucket,
 * @evict: where one goes for it. Return: false if none has room there.
 */
static bool uksm_bucket_shift(struct uksm_index *idx, u32 n, bool evict)
{
	struct uksm_bucket *b = &idx->bucket[n];
	int i;

	for (i = 0; i < UKSM_BUCKET_SLOTS; i++) {
		unsigned int spilled = !(b->spilled >> i & 1);
		u16 tag = b->tag[i];
		struct uksm_bucket *to;

		to = &idx->bucket[uksm_index_other(idx, n, tag)];
		if (to == b ||
		    !(evict ? uksm_bucket_replace(idx, to, tag, b->val[i],
						  spilled) :
			      uksm_bucket_add(idx, to, tag, b->val[i],
					      spilled)))
			continue;
		b->val[i] = 0;
		idx->used--;
		return true;
	}
	return false;
}

/**
 * uksm_index_insert() - add an entry
 * @idx: the index
 * @key: a fingerprint
 * @val: a value that is not 0
 *
 * A table full of places must take as much that stays as an empty one would:
 * so what stays is spread over the buckets in the same way.
 *
 * Return: false if there is only what may not go.
 */
bool uksm_index_insert(struct uksm_index *idx, u64 key, u64 val)
{
	u32 h = key >> 32;
	u32 n = uksm_index_slot(idx, h);
	u32 other = uksm_index_other(idx, n, h);
	struct uksm_bucket *b[2] = { &idx->bucket[n], &idx->bucket[other] };
	int k = uksm_bucket_room(b[1]) > uksm_bucket_room(b[0]);

	if (uksm_bucket_add(idx, b[k], h, val, k))
		return true;
	if (uksm_bucket_shift(idx, n, false))
		return uksm_bucket_add(idx, b[0], h, val, 0);
	if (uksm_bucket_shift(idx, other, false))
		return uksm_bucket_add(idx, b[1], h, val, 1);
	k = uksm_bucket_loose(idx, b[1]) > uksm_bucket_loose(idx, b[0]);
	if (uksm_bucket_replace(idx, b[k], h, val, k))
		return true;
	if (uksm_bucket_shift(idx, n, true))
		return uksm_bucket_add(idx, b[0], h, val, 0);
	if (uksm_bucket_shift(idx, other, true))
		return uksm_bucket_add(idx, b[1], h, val, 1);
	return false;
}

/**
 * uksm_index_erase() - take an entry out
 * @idx: the index
 * @key: its fingerprint
 * @val: its value
 *
 * Return: whether it was there.
 */
bool uksm_index_erase(struct uksm_index *idx, u64 key, u64 val)
{
	u64 *slot = NULL;

	while ((slot = uksm_index_next(idx, key, slot))) {
		if (*slot == val) {
			*slot = 0;
			idx->used--;
			return true;
		}
	}
	return false;
}

/*
 * H of the entry in slot @i of bucket @n: all H of a bucket lie within
 * 2^32 / nr of each other, so with 2^16 buckets and more the tag tells which.
 */
static u32 uksm_index_hash(const struct uksm_index *idx, u32 n, int i)
{
	u16 tag = idx->bucket[n].tag[i];
	u32 first, h;

	if (idx->bucket[n].spilled >> i & 1)
		n = uksm_index_other(idx, n, tag);
	first = (((u64)n << 32) + idx->nr - 1) / idx->nr;
	h = (first & ~0xffffU) | tag;

	return h < first ? h + 0x10000 : h;
}

/**
 * uksm_index_move() - take over the entries of another table
 * @to: the new table, set up and empty
 * @from: the old one; it stays as it is
 *
 * Return: false if @from is too small for its keys to be known; then @to is
 * as it was, and every page has to be fingerprinted again.
 */
bool uksm_index_move(struct uksm_index *to, const struct uksm_index *from)
{
	u32 n;
	int i;

	if (from->nr < UKSM_INDEX_KEEP_BUCKETS)
		return false;
	for (n = 0; n < from->nr; n++)
		for (i = 0; i < UKSM_BUCKET_SLOTS; i++)
			if (from->bucket[n].val[i])
				uksm_index_insert(
					to,
					(u64)uksm_index_hash(from, n, i) << 32,
					from->bucket[n].val[i]);
	return true;
}
