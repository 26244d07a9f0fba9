// SPDX-License-Identifier: GPL-2.0
/*
 * index.c - from a fingerprint to a frame or to the place of a candidate
 *
 * A table of buckets, each one cache line of six slots. The upper half H of a
 * key picks the bucket by multiplication (so that the table may have any
 * length), its low 16 bits are the tag. Bucket and tag give a second bucket; an
 * entry goes where there is more room, so that the table can be filled well.
 * It never grows by itself: where there is no room at all, a mark of no more
 * use or a place goes for the new entry; frames stay. In the long run most of
 * the room is taken by places that nobody comes back to, so a bit for each says
 * whether somebody has of late; one without counts as room. An entry is a hint:
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

/* What an entry may take the place of, the better first. */
enum uksm_room {
	UKSM_ROOM_EMPTY,
	UKSM_ROOM_STALE, /* a mark, or a place, that was of no use for long */
	UKSM_ROOM_PLACE, /* any place */
};

static bool uksm_mark_old(const struct uksm_index *idx, u64 val)
{
	return uksm_val_type(val) == UKSM_VAL_MARK &&
	       (val >> 2) + UKSM_MARK_ROUNDS < idx->round;
}

/* Have the bits for use say what they are to say in this round. */
static void uksm_bucket_age(const struct uksm_index *idx, struct uksm_bucket *b)
{
	u8 epoch = idx->round / UKSM_PLACE_ROUNDS % UKSM_EPOCHS;

	if (b->epoch == epoch)
		return;
	b->kept = (b->epoch + 1) % UKSM_EPOCHS == epoch ? b->young : 0;
	b->young = 0;
	b->epoch = epoch;
}

static bool uksm_slot_is(const struct uksm_index *idx,
			 const struct uksm_bucket *b, int i,
			 enum uksm_room room)
{
	u64 val = b->val[i];

	if (!val)
		return room == UKSM_ROOM_EMPTY;
	if (uksm_val_type(val) != UKSM_VAL_PLACE)
		return room == UKSM_ROOM_STALE && uksm_mark_old(idx, val);
	return room == UKSM_ROOM_PLACE ||
	       (room == UKSM_ROOM_STALE && !((b->young | b->kept) >> i & 1));
}

static int uksm_bucket_room(const struct uksm_index *idx, struct uksm_bucket *b,
			    enum uksm_room room)
{
	int i, n = 0;

	uksm_bucket_age(idx, b);
	for (i = 0; i < UKSM_BUCKET_SLOTS; i++)
		n += uksm_slot_is(idx, b, i, room);
	return n;
}

/* The slot to be used, or -1. Marks go first, places in turn. */
static int uksm_bucket_pick(const struct uksm_index *idx, struct uksm_bucket *b,
			    enum uksm_room room)
{
	int i, n;

	uksm_bucket_age(idx, b);
	for (i = 0; i < UKSM_BUCKET_SLOTS; i++)
		if (uksm_val_type(b->val[i]) != UKSM_VAL_PLACE &&
		    uksm_slot_is(idx, b, i, room))
			return i;
	for (n = 0; n < UKSM_BUCKET_SLOTS; n++) {
		i = b->hand % UKSM_BUCKET_SLOTS;
		b->hand = i + 1;
		if (uksm_slot_is(idx, b, i, room))
			return i;
	}
	return -1;
}

/* Put an entry into @b. Return: false if there is no such room. */
static bool uksm_bucket_put(struct uksm_index *idx, struct uksm_bucket *b,
			    enum uksm_room room, u16 tag, u64 val,
			    unsigned int spilled)
{
	int i = uksm_bucket_pick(idx, b, room);

	if (i < 0)
		return false;
	if (b->val[i])
		idx->evicted++;
	else
		idx->used++;
	b->tag[i] = tag;
	b->val[i] = val;
	b->spilled = (b->spilled & ~(1U << i)) | spilled << i;
	b->young |= 1U << i;
	return true;
}

/*
 * Empty a slot of bucket @n by sending one of its entries to its other bucket.
 * Return: false if none has room there.
 */
static bool uksm_bucket_shift(struct uksm_index *idx, u32 n,
			      enum uksm_room room)
{
	struct uksm_bucket *b = &idx->bucket[n];
	int i;

	for (i = 0; i < UKSM_BUCKET_SLOTS; i++) {
		u32 other = uksm_index_other(idx, n, b->tag[i]);

		if (other == n ||
		    !uksm_bucket_put(idx, &idx->bucket[other], room, b->tag[i],
				     b->val[i], !(b->spilled >> i & 1)))
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
 * Return: false if there is only what may not go.
 */
bool uksm_index_insert(struct uksm_index *idx, u64 key, u64 val)
{
	u32 h = key >> 32;
	u32 first = uksm_index_slot(idx, h);
	const u32 n[2] = { first, uksm_index_other(idx, first, h) };
	struct uksm_bucket *b[2] = { &idx->bucket[n[0]], &idx->bucket[n[1]] };
	enum uksm_room room;
	int k;

	for (room = UKSM_ROOM_EMPTY; room <= UKSM_ROOM_PLACE; room++) {
		k = uksm_bucket_room(idx, b[1], room) >
		    uksm_bucket_room(idx, b[0], room);
		if (uksm_bucket_put(idx, b[k], room, h, val, k))
			return true;
		for (k = 0; k < 2; k++)
			if (uksm_bucket_shift(idx, n[k], room))
				return uksm_bucket_put(
					idx, b[k], UKSM_ROOM_EMPTY, h, val, k);
	}
	return false;
}

/**
 * uksm_index_touch() - an entry is of use
 * @idx: the index
 * @slot: its value, as found
 *
 * It will not be the first to go.
 */
void uksm_index_touch(struct uksm_index *idx, const u64 *slot)
{
	size_t n = ((const char *)slot - (const char *)idx->bucket) /
		   sizeof(*idx->bucket);
	struct uksm_bucket *b = &idx->bucket[n];

	uksm_bucket_age(idx, b);
	b->young |= 1U << (slot - b->val);
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
 * Whether they are of use has to be seen again: of those that came when the
 * table was larger most may belong to processes that are gone.
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
	for (n = 0; n < to->nr; n++)
		to->bucket[n].young = 0;
	return true;
}
