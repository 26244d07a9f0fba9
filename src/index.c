// SPDX-License-Identifier: GPL-2.0
/*
 * index.c - from a fingerprint to a frame or to the place of a candidate
 *
 * Tables of buckets, each one cache line of six slots. The highest bits of a key
 * pick the table: a range of keys. What follows of its upper half H picks the
 * bucket by multiplication (so that a table may have any length), and the low 16
 * bits of H are the tag. Bucket and tag give a second bucket; an
 * entry goes where there is more room, so that the table can be filled well.
 * A table never grows by itself: where there is no room at all, a mark of no more
 * use or a place goes for the new entry; frames stay. In the long run most of
 * the room is taken by places that nobody comes back to, so a bit for each says
 * whether somebody has of late; one without counts as room. An entry is a hint:
 * nothing in it is trusted by its users.
 *
 * 64 bytes for 6 slots, filled to 100/107, are 11.4 bytes a page: the budget is 12.
 *
 * An entry's second bucket is in the range of its first one. Nothing that is done
 * to an entry touches another range, and one range can be given another length
 * while the others are in use.
 *
 * Pure; the caller serialises what is done in a range.
 */
#include "index.h"

/**
 * uksm_index_want() - how many buckets serve so many pages
 * @pages: pages to be indexed
 *
 * Return: a length for an index; one that is cut into ranges has whole pages of
 * memory for each.
 */
u32 uksm_index_want(u64 pages)
{
	u64 nr =
		(pages * 107 / 100 + UKSM_BUCKET_SLOTS - 1) / UKSM_BUCKET_SLOTS;
	unsigned int bits = 0;
	u32 step;

	nr = clamp_t(u64, nr, UKSM_INDEX_MIN_BUCKETS,
		     U32_MAX - UKSM_INDEX_RANGES * UKSM_RANGE_STEP);
	if (nr < 2 * UKSM_RANGE_MIN_BUCKETS)
		return nr;
	while (bits < UKSM_INDEX_RANGE_BITS &&
	       nr >> bits >= 2 * UKSM_RANGE_MIN_BUCKETS)
		bits++;
	step = UKSM_RANGE_STEP << bits;
	return (nr + step - 1) / step * step;
}

/**
 * uksm_index_fits() - is an index of so many buckets good for so many pages?
 * @nr: its length
 * @pages: pages to be indexed
 *
 * Return: false if it is fuller than 24 in 25, or an eighth too large.
 */
bool uksm_index_fits(u32 nr, u64 pages)
{
	u32 want = uksm_index_want(pages);

	return nr == want || (pages * 25 / 24 <= (u64)nr * UKSM_BUCKET_SLOTS &&
			      want >= nr - nr / 8);
}

/**
 * uksm_index_cut() - into how many ranges so many buckets are cut
 * @nr: at least 1
 *
 * Return: range_bits of an index whose ranges have @nr >> range_bits each.
 */
unsigned int uksm_index_cut(u32 nr)
{
	unsigned int bits = 0;

	while (bits < UKSM_INDEX_RANGE_BITS && !(nr % 2) &&
	       nr / 2 >= UKSM_RANGE_MIN_BUCKETS) {
		nr /= 2;
		bits++;
	}
	return bits;
}

/**
 * uksm_index_length() - buckets of all ranges
 * @idx: the index
 *
 * Return: how many.
 */
u64 uksm_index_length(const struct uksm_index *idx)
{
	unsigned int r;
	u64 nr = 0;

	for (r = 0; r < 1U << idx->range_bits; r++)
		nr += idx->range[r].span;
	return nr;
}

/**
 * uksm_index_evicted() - entries that went to make room in this epoch
 * @idx: the index
 *
 * Return: how many.
 */
u64 uksm_index_evicted(const struct uksm_index *idx)
{
	unsigned int r;
	u64 nr = 0;

	for (r = 0; r < 1U << idx->range_bits; r++)
		nr += idx->range[r].evicted;
	return nr;
}

/**
 * uksm_index_new_round() - marks get older, and want of room is judged
 * @idx: the index
 */
void uksm_index_new_round(struct uksm_index *idx)
{
	u64 slots = uksm_index_length(idx) * UKSM_BUCKET_SLOTS;
	bool now = uksm_index_evicted(idx) > slots / UKSM_SHORT;
	unsigned int r;

	idx->is_short = now || idx->was_short;
	if (++idx->round % UKSM_PLACE_ROUNDS)
		return;
	idx->was_short = now;
	for (r = 0; r < 1U << idx->range_bits; r++)
		idx->range[r].evicted = 0;
}

/* The other bucket of an entry in bucket @n; the same both ways. */
static u32 uksm_range_other(const struct uksm_range *range, u32 n, u16 tag)
{
	u32 sum = (u64)(tag * 0x9e3779b1U) * range->span >> 32;

	return sum >= n ? sum - n : sum + (range->span - n);
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
	const struct uksm_range *range = uksm_index_range_of(idx, key);
	u32 h = key >> 32;
	u32 n = uksm_range_slot(range, idx->range_bits, h);
	struct uksm_bucket *first = &range->bucket[n];
	struct uksm_bucket *second =
		&range->bucket[uksm_range_other(range, n, h)];
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
	       uksm_val_round(val) + UKSM_MARK_ROUNDS < idx->round;
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
		return false;
	if (uksm_val_type(val) != UKSM_VAL_PLACE)
		return room == UKSM_ROOM_STALE && uksm_mark_old(idx, val);
	return room == UKSM_ROOM_PLACE ||
	       (room == UKSM_ROOM_STALE && !((b->young | b->kept) >> i & 1));
}

static int uksm_bucket_empty(const struct uksm_bucket *b)
{
	int i, n = 0;

	for (i = 0; i < UKSM_BUCKET_SLOTS; i++)
		n += !b->val[i];
	return n;
}

static int uksm_bucket_room(const struct uksm_index *idx, struct uksm_bucket *b,
			    enum uksm_room room)
{
	int i, n = 0;

	if (room == UKSM_ROOM_EMPTY)
		return uksm_bucket_empty(b);

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
	if (room == UKSM_ROOM_EMPTY) {
		for (i = 0; i < UKSM_BUCKET_SLOTS; i++)
			if (!b->val[i])
				return i;
		return -1;
	}
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

/* Put an entry into @b, of @range. Return: false if there is no such room. */
static bool uksm_bucket_put(const struct uksm_index *idx,
			    struct uksm_range *range, struct uksm_bucket *b,
			    enum uksm_room room, u16 tag, u64 val,
			    unsigned int spilled)
{
	int i = uksm_bucket_pick(idx, b, room);

	if (i < 0)
		return false;
	if (b->val[i])
		range->evicted++;
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
static bool uksm_bucket_shift(const struct uksm_index *idx,
			      struct uksm_range *range, u32 n,
			      enum uksm_room room)
{
	struct uksm_bucket *b = &range->bucket[n];
	int i;

	for (i = 0; i < UKSM_BUCKET_SLOTS; i++) {
		u32 other = uksm_range_other(range, n, b->tag[i]);

		if (other == n ||
		    !uksm_bucket_put(idx, range, &range->bucket[other], room,
				     b->tag[i], b->val[i],
				     !(b->spilled >> i & 1)))
			continue;
		b->val[i] = 0;
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
	struct uksm_range *range = &idx->range[uksm_index_range(idx, key)];
	u32 h = key >> 32;
	u32 first = uksm_range_slot(range, idx->range_bits, h);
	const u32 n[2] = { first, uksm_range_other(range, first, h) };
	struct uksm_bucket *b[2] = { &range->bucket[n[0]],
				     &range->bucket[n[1]] };
	enum uksm_room room;
	int k;

	for (room = UKSM_ROOM_EMPTY; room <= UKSM_ROOM_PLACE; room++) {
		k = uksm_bucket_room(idx, b[1], room) >
		    uksm_bucket_room(idx, b[0], room);
		if (uksm_bucket_put(idx, range, b[k], room, h, val, k))
			return true;
		for (k = 0; k < 2; k++)
			if (uksm_bucket_shift(idx, range, n[k], room))
				return uksm_bucket_put(idx, range, b[k],
						       UKSM_ROOM_EMPTY, h, val,
						       k);
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
void uksm_index_touch(struct uksm_index *idx, u64 *slot)
{
	struct uksm_bucket *b =
		(void *)((unsigned long)slot & ~(sizeof(*b) - 1));

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
			return true;
		}
	}
	return false;
}

/**
 * uksm_index_known() - can the keys be told from where the entries are?
 * @idx: the index
 *
 * Return: whether its entries can be moved.
 */
bool uksm_index_known(const struct uksm_index *idx)
{
	unsigned int r;

	for (r = 0; r < 1U << idx->range_bits; r++)
		if ((u64)idx->range[r].span << idx->range_bits <
		    UKSM_INDEX_KEEP_BUCKETS)
			return false;
	return true;
}

/*
 * H of the entry in slot @i of bucket @n in range @r of 2^@bits: all H of a bucket
 * lie within 2^32 / (2^@bits spans) of each other, so with 2^16 buckets and more
 * the tag tells which.
 */
static u32 uksm_range_hash(const struct uksm_range *range, unsigned int bits,
			   unsigned int r, u32 n, int i)
{
	u64 nr = (u64)range->span << bits;
	u16 tag = range->bucket[n].tag[i];
	u32 first, h;

	if (range->bucket[n].spilled >> i & 1)
		n = uksm_range_other(range, n, tag);
	first = ((u64)r << 32 >> bits) + (((u64)n << 32) + nr - 1) / nr;
	h = (first & ~0xffffU) | tag;

	return h < first ? h + 0x10000 : h;
}

/*
 * Have all entries of range @r of 2^@bits be in @to, too; of which @at have been
 * looked at. Return: a value that there was no room for, and there may be more; or
 * 0 at the end.
 */
static u64 uksm_range_move(struct uksm_index *to, const struct uksm_range *from,
			   unsigned int bits, unsigned int r, u64 *at)
{
	while (*at < (u64)from->span * UKSM_BUCKET_SLOTS) {
		u32 n = *at / UKSM_BUCKET_SLOTS;
		int i = *at % UKSM_BUCKET_SLOTS;
		u64 val = from->bucket[n].val[i];

		++*at;
		if (val &&
		    !uksm_index_insert(
			    to, (u64)uksm_range_hash(from, bits, r, n, i) << 32,
			    val))
			return val;
		if (!(*at % 4096))
			uksm_breathe();
	}
	return 0;
}

/* Whether its entries are of use has to be seen again. */
static void uksm_range_unuse(const struct uksm_range *range)
{
	u32 n;

	for (n = 0; n < range->span; n++) {
		range->bucket[n].young = 0;
		if (!(n % 1024))
			uksm_breathe();
	}
}

/**
 * uksm_index_move() - take over the entries of another index
 * @to: the new index, empty
 * @from: the old one; it stays as it is
 *
 * Whether they are of use has to be seen again: of those that came when the
 * index was larger most may belong to processes that are gone.
 *
 * Return: false if @from is too small for its keys to be known; then @to is
 * as it was, and every page has to be fingerprinted again.
 */
bool uksm_index_move(struct uksm_index *to, const struct uksm_index *from)
{
	unsigned int r;
	u64 at;

	if (!uksm_index_known(from))
		return false;
	for (r = 0; r < 1U << from->range_bits; r++)
		for (at = 0; uksm_range_move(to, &from->range[r],
					     from->range_bits, r, &at);)
			;
	for (r = 0; r < 1U << to->range_bits; r++)
		uksm_range_unuse(&to->range[r]);
	return true;
}

/**
 * uksm_index_move_range() - the same for one range of an index
 * @idx: the index; the range has another table already, which is empty at first
 * @r: the range
 * @from: what it was before, when uksm_index_known() was true
 * @at: 0 at first; kept from call to call
 *
 * Return: a value that there is no room for, then the call is to be repeated; or
 * 0 when all is done.
 */
u64 uksm_index_move_range(struct uksm_index *idx, unsigned int r,
			  const struct uksm_range *from, u64 *at)
{
	u64 lost = uksm_range_move(idx, from, idx->range_bits, r, at);

	if (!lost)
		uksm_range_unuse(&idx->range[r]);
	return lost;
}
