// SPDX-License-Identifier: GPL-2.0
/* The index by example: what is found, what takes up room, and what makes room. */
#include "index_table.h"

/* A key of the bucket @n with the tag @t. */
static u64 key_of(u32 nr, u32 n, u16 t)
{
	u64 h = ((u64)n << 32) / nr & ~0xffffULL;

	for (h |= t; home(nr, h << 32) != n; h += 0x10000)
		CHECK(h >> 32 == 0);
	return h << 32 | (u32)rnd();
}

/* ---- by example ------------------------------------------------------- */

TEST(index_values)
{
	static const u32 ids[] = { 0, 1, 12345, UKSM_SPACE_ID_MAX };
	static const unsigned long addrs[] = {
		0,
		0x1000,
		0x7ffffffff000,
		0xfffffffff000,
		0xfffffffffff000,
	};
	struct uksm_index idx = { 0 };
	u64 val, key = rnd();
	size_t i, j;

	CHECK_EQ(sizeof(struct uksm_bucket), 64);
	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		for (j = 0; j < ARRAY_SIZE(addrs); j++) {
			val = uksm_val_place(ids[i], addrs[j] + 5, key);
			CHECK_EQ(uksm_val_type(val), UKSM_VAL_PLACE);
			CHECK_EQ(uksm_val_space(val), ids[i]);
			CHECK_EQ(uksm_val_addr(val), addrs[j]);
			CHECK(uksm_val_agrees(val, key));
			CHECK_EQ(uksm_val_agrees(val, key ^ 1U << 24),
				 !!(addrs[j] >> 48));
			CHECK_EQ(uksm_val_agrees(val, key ^ 1U << 31),
				 !!(addrs[j] >> 48));
		}
	}
	val = uksm_val_frame((void *)0xffff888012345678UL);
	CHECK_EQ(uksm_val_type(val), UKSM_VAL_FRAME);
	CHECK(uksm_val_to_frame(val) == (void *)0xffff888012345678UL);
	CHECK_EQ(uksm_val_type(uksm_val_mark(&idx)), UKSM_VAL_MARK);
	CHECK_EQ(uksm_val_type(0), UKSM_VAL_NONE);
}

TEST(index_empty)
{
	struct uksm_index idx = table(100);
	int i;

	for (i = 0; i < 1000; i++) {
		u64 key = rnd();

		CHECK(!uksm_index_next(&idx, key, NULL));
		CHECK(!uksm_index_erase(&idx, key, place(i)));
	}
	CHECK_EQ(slots_used(&idx), 0);
	drop(&idx);
}

TEST(index_insert_find_erase)
{
	struct uksm_index idx = table(1024);
	u64 key = rnd(), vals[3] = { place(7), frame(7), uksm_val_mark(&idx) };
	int i;

	for (i = 0; i < 3; i++) {
		CHECK(uksm_index_insert(&idx, key, vals[i]));
		CHECK_EQ(slots_used(&idx), 1);
		CHECK_EQ(*uksm_index_next(&idx, key, NULL), vals[i]);
		CHECK_EQ(count_all(&idx, key), 1);
		/* the lower half of the key is not used, nor another value */
		CHECK_EQ(count(&idx, key ^ 0xffffffff, vals[i]), 1);
		CHECK(!uksm_index_erase(&idx, key, vals[i] + 8));
		CHECK(uksm_index_erase(&idx, key, vals[i]));
		CHECK(!uksm_index_erase(&idx, key, vals[i]));
		CHECK_EQ(slots_used(&idx), 0);
		CHECK(!uksm_index_next(&idx, key, NULL));
	}
	CHECK_EQ(slots_used(&idx), 0);
	drop(&idx);
}

/* One key has room for twelve entries, in its two buckets; each found once. */
TEST(index_two_buckets)
{
	static const u32 sizes[] = { 2, 3, 1024, 65536, 100003 };
	size_t s;
	int i, n;

	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		struct uksm_index idx = table(sizes[s]);
		u64 key;

		do { /* by chance they are the same one */
			drop(&idx);
			idx = table(sizes[s]);
			key = rnd();
			for (i = 0; i < 7; i++)
				n = uksm_index_insert(&idx, key, frame(i));
		} while (!n);
		for (i = 7; i < 12; i++)
			CHECK(uksm_index_insert(&idx, key, frame(i)));
		CHECK_EQ(count_all(&idx, key), 12);
		for (i = 0; i < 12; i++)
			CHECK_EQ(count(&idx, key, frame(i)), 1);
		CHECK(!uksm_index_insert(&idx, key, frame(12)));
		CHECK(!uksm_index_insert(&idx, key, place(12)));
		CHECK_EQ(count_all(&idx, key), 12);
		for (i = 11; i >= 0; i--) {
			CHECK(uksm_index_erase(&idx, key, frame(i)));
			CHECK_EQ(count_all(&idx, key), i);
		}
		CHECK_EQ(slots_used(&idx), 0);
		drop(&idx);
	}
}

/* A table of one bucket: both of an entry's buckets are the same. */
TEST(index_one_bucket)
{
	struct uksm_index idx = table(1);
	u64 key = rnd();
	int i;

	for (i = 0; i < 6; i++)
		CHECK(uksm_index_insert(&idx, key, frame(i)));
	CHECK(!uksm_index_insert(&idx, key, frame(6)));
	CHECK_EQ(count_all(&idx, key), 6);
	for (i = 0; i < 6; i++)
		CHECK(uksm_index_erase(&idx, key, frame(i)));
	CHECK_EQ(slots_used(&idx), 0);
	drop(&idx);
}

/* Slots of erased entries are used again, wherever they are. */
TEST(index_holes)
{
	struct uksm_index idx = table(1024);
	u64 key = rnd();
	int i, round;

	for (i = 0; i < 12; i++)
		CHECK(uksm_index_insert(&idx, key, frame(i)));
	for (round = 0; round < 500; round++) {
		u64 a = rnd_below(12), b = (a + 1 + rnd_below(11)) % 12;

		CHECK(uksm_index_erase(&idx, key, frame(a)));
		CHECK(uksm_index_erase(&idx, key, frame(b)));
		CHECK_EQ(count_all(&idx, key), 10);
		CHECK(uksm_index_insert(&idx, key, frame(b)));
		CHECK(uksm_index_insert(&idx, key, frame(a)));
		for (i = 0; i < 12; i++)
			CHECK_EQ(count(&idx, key, frame(i)), 1);
	}
	CHECK_EQ(uksm_index_evicted(&idx), 0);
	drop(&idx);
}

/* Keys that differ but share bucket and tag are told apart by the value. */
TEST(index_tags_collide)
{
	const u32 nr = 1024;
	struct uksm_index idx = table(nr);
	u64 a = key_of(nr, 17, 0xbeef), b = a + (0x10000ULL << 32);
	u64 c = key_of(nr, 17, 0xbeee), d = key_of(nr, 18, 0xbeef);

	CHECK_EQ(home(nr, a), home(nr, b));
	CHECK_EQ(tag(a), tag(b));
	CHECK(uksm_index_insert(&idx, a, frame(1)));
	CHECK(uksm_index_insert(&idx, b, frame(2)));
	CHECK_EQ(count_all(&idx, a), 2);
	CHECK_EQ(count_all(&idx, b), 2);
	CHECK_EQ(count_all(&idx, c), 0); /* another tag */
	CHECK_EQ(count_all(&idx, d), 0); /* another bucket */
	CHECK(uksm_index_erase(&idx, b, frame(1)));
	CHECK_EQ(count(&idx, a, frame(2)), 1);
	CHECK_EQ(count_all(&idx, a), 1);
	CHECK_EQ(slots_used(&idx), 1);
	drop(&idx);
}

/*
 * An entry in its second bucket is not taken for one that is at home there,
 * though the tag is the same.
 */
TEST(index_spilled_entries_keep_their_home)
{
	const u32 nr = 1024;
	const u16 t = 0x1234;
	u32 n, other, seen = 0;
	int i;

	for (n = 0; n < nr; n++) {
		struct uksm_index idx = table(nr);
		u64 key = key_of(nr, n, t);

		for (i = 0; i < 12; i++)
			CHECK(uksm_index_insert(&idx, key, frame(i)));
		for (other = 0; other < nr; other++) {
			if (other == n)
				continue;
			CHECK_EQ(count_all(&idx, key_of(nr, other, t)), 0);
			for (i = 0; i < UKSM_BUCKET_SLOTS; i++)
				seen += bucket(&idx, other)->val[i] != 0;
		}
		CHECK_EQ(seen, 6);
		seen = 0;
		drop(&idx);
		n += rnd_below(20);
	}
}

/* ---- making room ------------------------------------------------------ */

/* The only bucket of a table, filled. */
static struct uksm_index full_table(u64 key, int frames, int marks)
{
	struct uksm_index idx = table(1);
	int i;

	for (i = 0; i < UKSM_BUCKET_SLOTS; i++)
		CHECK(uksm_index_insert(&idx, key,
					i < frames ? frame(i) :
					i < frames + marks ?
						     uksm_val_mark(&idx) :
						     place(i)));
	return idx;
}

TEST(index_frames_stay)
{
	u64 key = rnd();
	struct uksm_index idx = full_table(key, 5, 0);
	int i, round;

	for (round = 0; round < 100; round++) {
		CHECK(uksm_index_insert(&idx, key, place(100 + round)));
		CHECK_EQ(count(&idx, key, place(100 + round)), 1);
		for (i = 0; i < 5; i++)
			CHECK_EQ(count(&idx, key, frame(i)), 1);
		CHECK_EQ(slots_used(&idx), 6);
		CHECK_EQ(uksm_index_evicted(&idx), round + 1);
	}
	CHECK(uksm_index_insert(&idx, key, frame(5)));
	CHECK(!uksm_index_insert(&idx, key, frame(6)));
	CHECK(!uksm_index_insert(&idx, key, place(6)));
	for (i = 0; i < 6; i++)
		CHECK_EQ(count(&idx, key, frame(i)), 1);
	CHECK_EQ(slots_used(&idx), 6);
	drop(&idx);
}

/* All places get their turn to go. */
TEST(index_places_go_in_turn)
{
	u64 key = rnd();
	struct uksm_index idx = full_table(key, 0, 0);
	int i, round;

	for (round = 1; round < 50; round++) {
		for (i = 0; i < 6; i++)
			CHECK(uksm_index_insert(&idx, key,
						place(10 * round + i)));
		for (i = 0; i < 6; i++)
			CHECK_EQ(count(&idx, key, place(10 * round + i)), 1);
	}
	drop(&idx);
}

TEST(index_young_marks_stay_and_old_ones_go)
{
	u64 key = rnd();
	struct uksm_index idx = full_table(key, 3, 3);
	u64 mark = uksm_val_mark(&idx);

	CHECK_EQ(count(&idx, key, mark), 3);
	CHECK(!uksm_index_insert(&idx, key, place(1)));
	idx.round += UKSM_MARK_ROUNDS;
	CHECK(!uksm_index_insert(&idx, key, place(1)));
	idx.round++;
	CHECK(uksm_index_insert(&idx, key, frame(3)));
	CHECK_EQ(count(&idx, key, mark), 2);
	/* a mark that is of use again is young again */
	*uksm_index_next(&idx, key, uksm_index_next(&idx, key, NULL)) =
		frame(1);
	CHECK(uksm_index_insert(&idx, key, uksm_val_mark(&idx)));
	CHECK(uksm_index_insert(&idx, key, uksm_val_mark(&idx)));
	CHECK_EQ(count(&idx, key, mark), 0);
	CHECK(!uksm_index_insert(&idx, key, place(1)));
	CHECK_EQ(count(&idx, key, uksm_val_mark(&idx)), 2);
	CHECK_EQ(count_all(&idx, key), 6);
	drop(&idx);
}

/* A mark of no more use goes before a place does. */
TEST(index_old_marks_go_before_places)
{
	u64 key = rnd();
	struct uksm_index idx = full_table(key, 2, 1);
	int i;

	idx.round += UKSM_MARK_ROUNDS + 1;
	CHECK(uksm_index_insert(&idx, key, place(9)));
	for (i = 3; i < 6; i++)
		CHECK_EQ(count(&idx, key, place(i)), 1);
	CHECK_EQ(count(&idx, key, place(9)), 1);
	drop(&idx);
}

/* In two buckets: what has room is not made room in. */
TEST(index_second_bucket_before_eviction)
{
	struct uksm_index idx = table(1024);
	u64 key = rnd();
	int i;

	for (i = 0; i < 12; i++)
		CHECK(uksm_index_insert(&idx, key, place(i)));
	CHECK_EQ(uksm_index_evicted(&idx), 0);
	for (i = 0; i < 12; i++)
		CHECK_EQ(count(&idx, key, place(i)), 1);
	/* now something goes, and frames push out all places of both */
	for (i = 0; i < 12; i++)
		CHECK(uksm_index_insert(&idx, key, frame(i)));
	CHECK_EQ(uksm_index_evicted(&idx), 12);
	CHECK_EQ(slots_used(&idx), 12);
	for (i = 0; i < 12; i++)
		CHECK_EQ(count(&idx, key, frame(i)), 1);
	CHECK(!uksm_index_insert(&idx, key, frame(12)));
	drop(&idx);
}

/* So many rounds, with an insert in one of @each; is there a want of room? */
static bool rounds(struct uksm_index *idx, int n, int each)
{
	static u64 unique = 1 << 20;

	while (n--) {
		if (each && !(n % each))
			CHECK(uksm_index_insert(idx, rnd(), place(unique++)));
		uksm_index_new_round(idx);
	}
	return idx->is_short;
}

/* That an entry had to go now and then is none; that many had to is, for a while. */
TEST(index_is_short_of_room)
{
	const int epoch = UKSM_PLACE_ROUNDS, nr = 1024;
	struct uksm_index idx = table(nr);
	const int few = nr * UKSM_BUCKET_SLOTS / UKSM_SHORT;
	u64 i;

	CHECK(!rounds(&idx, 3 * epoch, 1));
	for (i = 0; slots_used(&idx) < (u64)nr * UKSM_BUCKET_SLOTS; i++)
		CHECK(uksm_index_insert(&idx, rnd(), place(i)));
	CHECK_OP(uksm_index_evicted(&idx), >, few);
	CHECK(rounds(&idx, 1, 0));
	CHECK(rounds(&idx, epoch, 0));
	CHECK(!rounds(&idx, epoch, 0));

	CHECK(!rounds(&idx, 3 * epoch, epoch / few + 1));
	CHECK(!rounds(&idx, 1, 0));
	CHECK(rounds(&idx, 3 * epoch, epoch / few / 2));
	CHECK(rounds(&idx, epoch, 0));
	CHECK(!rounds(&idx, 2 * epoch, 0));
	drop(&idx);
}
