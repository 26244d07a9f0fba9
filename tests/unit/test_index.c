// SPDX-License-Identifier: GPL-2.0
/*
 * The index: by example, by measurement, against a model that forgets
 * nothing, and on tables full of rubbish.
 */
#include "unit.h"

#include "index.h"

static struct uksm_index table(u32 nr)
{
	struct uksm_index idx = { .round = 100 };

	uksm_index_setup(&idx, xalloc((size_t)nr * sizeof(*idx.bucket)), nr);
	return idx;
}

static void drop(struct uksm_index *idx)
{
	free(idx->bucket);
}

/* How often an entry is found. */
static int count(const struct uksm_index *idx, u64 key, u64 val)
{
	u64 *slot = NULL;
	int n = 0, all = 0;

	while ((slot = uksm_index_next(idx, key, slot))) {
		n += *slot == val;
		CHECK_OP(++all, <=, 2 * UKSM_BUCKET_SLOTS);
	}
	return n;
}

static int count_all(const struct uksm_index *idx, u64 key)
{
	u64 *slot = NULL;
	int n = 0;

	while ((slot = uksm_index_next(idx, key, slot)))
		CHECK_OP(++n, <=, 2 * UKSM_BUCKET_SLOTS);
	return n;
}

static u64 slots_used(const struct uksm_index *idx)
{
	u64 n = 0;
	u32 b;
	int i;

	for (b = 0; b < idx->nr; b++)
		for (i = 0; i < UKSM_BUCKET_SLOTS; i++)
			n += !!idx->bucket[b].val[i];
	return n;
}

static u64 place(u64 i)
{
	return uksm_val_place(1 + (i >> 20), (i & 0xfffff) * PAGE_SIZE);
}

static u64 frame(u64 i)
{
	return uksm_val_frame((void *)(0xffff888000000000UL + i * 64));
}

/* What the header of index.c says of a key, again. */
static u32 home(u32 nr, u64 key)
{
	return (key >> 32) * nr >> 32;
}

static u16 tag(u64 key)
{
	return key >> 32;
}

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
		0xfffffffffff000,
	};
	struct uksm_index idx = { 0 };
	size_t i, j;
	u64 val;

	CHECK_EQ(sizeof(struct uksm_bucket), 64);
	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		for (j = 0; j < ARRAY_SIZE(addrs); j++) {
			val = uksm_val_place(ids[i], addrs[j] + 5);
			CHECK_EQ(uksm_val_type(val), UKSM_VAL_PLACE);
			CHECK_EQ(uksm_val_space(val), ids[i]);
			CHECK_EQ(uksm_val_addr(val), addrs[j]);
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
	CHECK_EQ(idx.used, 0);
	drop(&idx);
}

TEST(index_insert_find_erase)
{
	struct uksm_index idx = table(1024);
	u64 key = rnd(), vals[3] = { place(7), frame(7), uksm_val_mark(&idx) };
	int i;

	for (i = 0; i < 3; i++) {
		CHECK(uksm_index_insert(&idx, key, vals[i]));
		CHECK_EQ(idx.used, 1);
		CHECK_EQ(*uksm_index_next(&idx, key, NULL), vals[i]);
		CHECK_EQ(count_all(&idx, key), 1);
		/* the lower half of the key is not used, nor another value */
		CHECK_EQ(count(&idx, key ^ 0xffffffff, vals[i]), 1);
		CHECK(!uksm_index_erase(&idx, key, vals[i] + 8));
		CHECK(uksm_index_erase(&idx, key, vals[i]));
		CHECK(!uksm_index_erase(&idx, key, vals[i]));
		CHECK_EQ(idx.used, 0);
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
			memset(idx.bucket, 0, sizes[s] * sizeof(*idx.bucket));
			key = rnd();
			for (i = 0; i < 7; i++)
				n = uksm_index_insert(&idx, key, frame(i));
		} while (!n);
		idx.used = 7;
		for (i = 7; i < 12; i++)
			CHECK(uksm_index_insert(&idx, key, frame(i)));
		CHECK_EQ(count_all(&idx, key), 12);
		CHECK_EQ(idx.used, 12);
		for (i = 0; i < 12; i++)
			CHECK_EQ(count(&idx, key, frame(i)), 1);
		CHECK(!uksm_index_insert(&idx, key, frame(12)));
		CHECK(!uksm_index_insert(&idx, key, place(12)));
		CHECK_EQ(count_all(&idx, key), 12);
		for (i = 11; i >= 0; i--) {
			CHECK(uksm_index_erase(&idx, key, frame(i)));
			CHECK_EQ(count_all(&idx, key), i);
		}
		CHECK_EQ(idx.used, 0);
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
	CHECK_EQ(idx.used, 0);
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
	CHECK_EQ(idx.evicted, 0);
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
	CHECK_EQ(idx.used, 1);
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
				seen += idx.bucket[other].val[i] != 0;
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
		CHECK_EQ(idx.used, 6);
		CHECK_EQ(idx.evicted, round + 1);
	}
	CHECK(uksm_index_insert(&idx, key, frame(5)));
	CHECK(!uksm_index_insert(&idx, key, frame(6)));
	CHECK(!uksm_index_insert(&idx, key, place(6)));
	for (i = 0; i < 6; i++)
		CHECK_EQ(count(&idx, key, frame(i)), 1);
	CHECK_EQ(idx.used, 6);
	CHECK_EQ(idx.evicted, 101);
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
	CHECK_EQ(idx.evicted, 0);
	for (i = 0; i < 12; i++)
		CHECK_EQ(count(&idx, key, place(i)), 1);
	/* now something goes, and frames push out all places of both */
	for (i = 0; i < 12; i++)
		CHECK(uksm_index_insert(&idx, key, frame(i)));
	CHECK_EQ(idx.evicted, 12);
	CHECK_EQ(idx.used, 12);
	for (i = 0; i < 12; i++)
		CHECK_EQ(count(&idx, key, frame(i)), 1);
	CHECK(!uksm_index_insert(&idx, key, frame(12)));
	drop(&idx);
}

/* ---- by measurement --------------------------------------------------- */

struct entry {
	u64 key;
	u64 val;
};

/* Fill a table with a mix: some frames, some marks, mostly places. */
static struct entry *fill(struct uksm_index *idx, size_t n)
{
	struct entry *e = xalloc(n * sizeof(*e));
	size_t i;

	for (i = 0; i < n; i++) {
		int kind = rnd_below(100);

		e[i].key = rnd();
		/* marks are all of this round: they get their number */
		e[i].val = kind < 8  ? frame(i) :
			   kind < 12 ? (u64)i << 34 | uksm_val_mark(idx) :
				       place(i);
		uksm_index_insert(idx, e[i].key, e[i].val);
	}
	return e;
}

static size_t found(const struct uksm_index *idx, const struct entry *e,
		    size_t n)
{
	size_t i, ok = 0;

	for (i = 0; i < n; i++)
		ok += count(idx, e[i].key, e[i].val) == 1;
	return ok;
}

/* Return: thousandths of a percent of @n entries that are found. */
static u64 fill_and_find(u32 nr, size_t n)
{
	struct uksm_index idx = table(nr);
	struct entry *e = fill(&idx, n);
	size_t ok = found(&idx, e, n);

	CHECK_EQ(idx.used, slots_used(&idx));
	CHECK_EQ(idx.used + idx.evicted, n);
	free(e);
	drop(&idx);
	return (u64)ok * 100000 / n;
}

/*
 * As many pages as an index is meant for are all found, but for one in a
 * thousand. An eighth more is what uksm_match_resize() lets pass.
 */
TEST(index_fills_well)
{
	static const u64 pages[] = { 5000,   5001,   20011,  50021,
				     302000, 303001, 461000, 2000003 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		u32 nr = uksm_index_want(pages[i]);
		u64 ok = fill_and_find(nr, pages[i]);
		u64 more = fill_and_find(nr, pages[i] * 9 / 8);

		printf("# %u buckets, %llu entries: %.3f%% found; an eighth more: %.3f%%\n",
		       nr, (unsigned long long)pages[i], (double)ok / 1000,
		       (double)more / 1000);
		CHECK_OP(ok, >=, 99900);
		CHECK_OP(more, >=, 99000);
	}
}

/* Over twice as many entries as slots: full, and none of the frames gone. */
TEST(index_overfilled)
{
	const u32 nr = 5000;
	struct uksm_index idx = table(nr);
	size_t i, n = nr * UKSM_BUCKET_SLOTS * 2, frames = 0, kept = 0;
	struct entry *e = fill(&idx, n);

	for (i = 0; i < n; i++) {
		if (uksm_val_type(e[i].val) != UKSM_VAL_FRAME)
			continue;
		frames++;
		kept += count(&idx, e[i].key, e[i].val) == 1;
	}
	printf("# %zu of %zu frames kept\n", kept, frames);
	CHECK_OP(kept * 1000, >=, frames * 999);
	CHECK_EQ(idx.used, slots_used(&idx));
	CHECK_OP(idx.used, >=, nr * UKSM_BUCKET_SLOTS * 99 / 100);
	free(e);
	drop(&idx);
}

TEST(index_bytes_per_page)
{
	u64 pages, worst = 0;
	u32 before = 0, nr;
	int i;

	CHECK_EQ(uksm_index_want(0), UKSM_INDEX_MIN_BUCKETS);
	CHECK_EQ(uksm_index_want(1), UKSM_INDEX_MIN_BUCKETS);
	for (i = 0; i < 100000; i++) {
		pages = 4096 + rnd_below(1ULL << (12 + i % 20));
		nr = uksm_index_want(pages);
		CHECK_OP((u64)nr * sizeof(struct uksm_bucket), <=,
			 16 * max_t(u64, pages, UKSM_INDEX_MIN_BUCKETS * 4));
		CHECK_OP((u64)nr * UKSM_BUCKET_SLOTS, >, pages);
		if (pages >= 100000 && nr * 64ULL * 1000 / pages > worst)
			worst = nr * 64ULL * 1000 / pages;
	}
	printf("# at most %.3f bytes a page\n", (double)worst / 1000);
	for (pages = 1; pages < 1ULL << 60; pages += pages / 3 + 1) {
		nr = uksm_index_want(pages);
		CHECK_OP(nr, >=, before);
		before = nr;
	}
	CHECK_EQ(before, U32_MAX);
}

/* ---- another length --------------------------------------------------- */

static void check_move(u32 from_nr, u32 to_nr, size_t n)
{
	struct uksm_index from = table(from_nr), to = table(to_nr);
	struct entry *e = fill(&from, n);
	struct uksm_bucket *copy = xalloc(from_nr * sizeof(*copy));
	size_t i, was = found(&from, e, n), ok = 0;

	memcpy(copy, from.bucket, from_nr * sizeof(*copy));
	CHECK(uksm_index_move(&to, &from));
	CHECK(!memcmp(copy, from.bucket, from_nr * sizeof(*copy)));
	for (i = 0; i < n; i++)
		if (count(&from, e[i].key, e[i].val))
			ok += count(&to, e[i].key, e[i].val) == 1;
	printf("# %u to %u buckets: %zu of %zu entries still found\n", from_nr,
	       to_nr, ok, was);
	CHECK_EQ(to.used, slots_used(&to));
	CHECK_EQ(to.used + to.evicted, from.used);
	if (to_nr >= from_nr)
		CHECK_EQ(ok, was);
	else
		CHECK_OP(ok * 1000, >=, was * 999);
	free(copy);
	free(e);
	drop(&from);
	drop(&to);
}

TEST(index_move_grows)
{
	check_move(65536, 65537, 65536 * 4);
	check_move(65536, 80000, 65536 * 4);
	check_move(65537, 131072, 65537 * 4);
	check_move(100003, 400000, 100003 * 4);
	check_move(131072, 131073, 131072 * 4);
}

TEST(index_move_shrinks)
{
	check_move(65537, 65536, 65536 * 4);
	check_move(100003, 80000, 80000 * 4);
	check_move(400000, 100003, 100003 * 4);
	check_move(131072, 1024, 1024 * 4);
	check_move(65536, 1, 3);
}

/* A table that was moved can be moved again: keys do not wear off. */
TEST(index_move_again_and_again)
{
	static const u32 sizes[] = { 70000,  200001, 65536, 99991, 65537,
				     131072, 300007, 65536, 80000, 1024 };
	struct uksm_index idx = table(65536), next;
	const size_t n = 4000;
	struct entry *e = fill(&idx, n);
	size_t s;

	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		next = table(sizes[s]);
		CHECK(uksm_index_move(&next, &idx));
		drop(&idx);
		idx = next;
		CHECK_EQ(found(&idx, e, n), n);
		CHECK_EQ(idx.used, n);
	}
	free(e);
	drop(&idx);
}

/* The first and the last key of a bucket, in the first and second bucket. */
TEST(index_move_at_the_edges)
{
	static const u32 sizes[] = { 65536, 65537, 98765, 131071, 131072 };
	size_t s, i;

	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		const u32 nr = sizes[s];
		struct uksm_index from = table(nr), to = table(2 * nr + 1);
		struct entry *e = xalloc(2 * nr * sizeof(*e));
		size_t n = 0;
		u32 b;

		for (b = 0; b < nr; b += b < 3 || b > nr - 100 ? 7 : 61) {
			u64 first = (((u64)b << 32) + nr - 1) / nr;
			u64 last = ((((u64)b + 1) << 32) + nr - 1) / nr - 1;

			CHECK_EQ(home(nr, first << 32), b);
			CHECK_EQ(home(nr, last << 32), b);
			for (i = 0; i < 4; i++) { /* half of them spill */
				e[n].key = first << 32;
				e[n].val = frame(2 * n);
				n++;
				e[n].key = last << 32;
				e[n].val = frame(2 * n);
				n++;
			}
		}
		for (i = 0; i < n; i++)
			CHECK(uksm_index_insert(&from, e[i].key, e[i].val));
		CHECK_EQ(found(&from, e, n), n);
		CHECK(uksm_index_move(&to, &from));
		CHECK_EQ(found(&to, e, n), n);
		free(e);
		drop(&from);
		drop(&to);
	}
}

TEST(index_move_refuses_small_tables)
{
	static const u32 sizes[] = { 1, 1024, 65535 };
	size_t s;

	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		struct uksm_index from = table(sizes[s]), to = table(70000);

		CHECK(uksm_index_insert(&from, rnd(), frame(1)));
		CHECK(!uksm_index_move(&to, &from));
		CHECK_EQ(to.used, 0);
		CHECK_EQ(slots_used(&to), 0);
		CHECK_EQ(from.used, 1);
		drop(&from);
		drop(&to);
	}
}

/* Old marks make room in the new table too, as its round says. */
TEST(index_move_keeps_frames_and_young_marks)
{
	struct uksm_index from = table(65536), to = table(1);
	u64 young, val = 0;
	u64 *slot;
	int i, n = 0;

	for (i = 0; i < 3; i++)
		CHECK(uksm_index_insert(&from, rnd(), uksm_val_mark(&from)));
	from.round += UKSM_MARK_ROUNDS + 1;
	to.round = from.round;
	young = uksm_val_mark(&from);
	CHECK(uksm_index_insert(&from, rnd(), young));
	for (i = 0; i < 4; i++)
		CHECK(uksm_index_insert(&from, rnd(), frame(i)));
	for (i = 0; i < 50; i++)
		CHECK(uksm_index_insert(&from, rnd(), place(i)));
	CHECK(uksm_index_move(&to, &from));
	CHECK_EQ(to.used, 6);
	for (slot = to.bucket[0].val; slot < to.bucket[0].val + 6; slot++) {
		if (uksm_val_type(*slot) == UKSM_VAL_FRAME)
			n++;
		else if (uksm_val_type(*slot) == UKSM_VAL_MARK)
			val = *slot == young ? young : val;
	}
	CHECK_EQ(n, 4);
	CHECK_EQ(val, young);
	drop(&from);
	drop(&to);
}

/* ---- against a model -------------------------------------------------- */

#define MODEL_MAX 4096

/* What must be in the index: everything that was put in and has not gone. */
struct model {
	struct entry e[MODEL_MAX];
	size_t n;
};

static bool mark_old(const struct uksm_index *idx, u64 val)
{
	return uksm_val_type(val) == UKSM_VAL_MARK &&
	       (val >> 2) + UKSM_MARK_ROUNDS < idx->round;
}

static bool may_go(const struct uksm_index *idx, u64 val)
{
	return uksm_val_type(val) == UKSM_VAL_PLACE || mark_old(idx, val);
}

/*
 * What is found under a key is what was put in under it or under a key with the
 * same bucket and tag, each as often as it was put in, and nothing else.
 */
static void model_check_key(const struct model *m, const struct uksm_index *idx,
			    u64 key)
{
	u64 sum = 0, want = 0;
	u64 *slot = NULL;
	size_t i, n = 0;

	while ((slot = uksm_index_next(idx, key, slot))) {
		CHECK_OP(++n, <=, 2 * UKSM_BUCKET_SLOTS);
		sum += *slot * 0x9e3779b97f4a7c15ULL ^ *slot >> 31;
	}
	for (i = 0; i < m->n; i++) {
		u64 k = m->e[i].key, val = m->e[i].val;

		if (home(idx->nr, k) == home(idx->nr, key) &&
		    tag(k) == tag(key)) {
			n--;
			want += val * 0x9e3779b97f4a7c15ULL ^ val >> 31;
		}
	}
	CHECK_EQ(n, 0);
	CHECK_EQ(sum, want);
}

static void model_check(const struct model *m, const struct uksm_index *idx)
{
	size_t i;

	CHECK_EQ(idx->used, m->n);
	CHECK_EQ(slots_used(idx), m->n);
	for (i = 0; i < m->n; i++)
		model_check_key(m, idx, m->e[i].key);
}

static void model_remove(struct model *m, size_t i)
{
	m->e[i] = m->e[--m->n];
}

/* How many of an entry's equals are in the model, itself counted. */
static int model_count(const struct model *m, u32 nr, const struct entry *e)
{
	int n = 0;
	size_t i;

	for (i = 0; i < m->n; i++)
		n += m->e[i].val == e->val && tag(m->e[i].key) == tag(e->key) &&
		     home(nr, m->e[i].key) == home(nr, e->key);
	return n;
}

/* The one that went to make room: one that may, and only one. */
static void model_evict(struct model *m, const struct uksm_index *idx,
			u64 new_val, bool old_marks_first)
{
	size_t i, gone = 0, at = 0;

	for (i = 0; i < m->n; i++) {
		const struct entry *e = &m->e[i];
		int here = count(idx, e->key, e->val);

		if (here >= model_count(m, idx->nr, e))
			continue;
		CHECK(may_go(idx, e->val));
		CHECK(!old_marks_first || mark_old(idx, e->val));
		if (!gone)
			at = i;
		/* equals of it look the same */
		CHECK(!gone || (m->e[at].val == e->val &&
				tag(m->e[at].key) == tag(e->key)));
		gone++;
	}
	CHECK(gone || new_val);
	if (gone)
		model_remove(m, at);
}

static void model_insert(struct model *m, struct uksm_index *idx, u64 key,
			 u64 val)
{
	u64 used = idx->used, evicted = idx->evicted;
	bool marks_first = false, movable = false;
	size_t i;

	/* with one bucket it is known what is in the way */
	for (i = 0; idx->nr == 1 && i < m->n; i++) {
		marks_first |= mark_old(idx, m->e[i].val);
		movable |= may_go(idx, m->e[i].val);
	}
	if (!uksm_index_insert(idx, key, val)) {
		CHECK_EQ(idx->used, used);
		CHECK_EQ(idx->evicted, evicted);
		CHECK(!movable);
		return;
	}
	if (idx->evicted == evicted) {
		CHECK_EQ(idx->used, used + 1);
	} else {
		CHECK_EQ(idx->evicted, evicted + 1);
		CHECK_EQ(idx->used, used);
		model_evict(m, idx, 0, marks_first);
	}
	CHECK_OP(m->n, <, MODEL_MAX);
	m->e[m->n++] = (struct entry){ key, val };
}

static u64 random_val(const struct uksm_index *idx, u64 unique)
{
	switch (rnd_below(8)) {
	case 0:
		return frame(unique);
	case 1:
		return uksm_val_mark(idx);
	default:
		return place(unique);
	}
}

static void model_run(u32 nr, unsigned int keys, int steps, int check_each)
{
	struct uksm_index idx = table(nr);
	struct model *m = xalloc(sizeof(*m));
	u64 *key = xalloc(keys * sizeof(*key));
	u64 key_now, rate, evicted = 0;
	unsigned int i;
	int step;

	for (i = 0; i < keys; i++) /* some with the tag of another */
		key[i] = i && !rnd_below(3) ?
				 key[rnd_below(i)] + (rnd_below(3) << 48) :
				 rnd();
	for (step = 0; step < steps; step++) {
		/* it fills up and runs empty in turn */
		rate = step / 500 % 2 ? 3 : 6;
		key_now = key[rnd_below(keys)];
		switch (rnd_below(10) < rate ? 0 : 1 + rnd_below(5)) {
		case 0:
			model_insert(m, &idx, key_now, random_val(&idx, step));
			break;
		case 1: /* something that is there */
		case 2:
			if (!m->n)
				break;
			i = rnd_below(m->n);
			CHECK(uksm_index_erase(&idx, m->e[i].key, m->e[i].val));
			model_remove(m, i);
			break;
		case 3: /* something that is not */
			CHECK(!uksm_index_erase(&idx, key_now,
						frame(steps + step)));
			break;
		case 4: { /* a place becomes a frame where it is */
			u64 *slot = uksm_index_next(&idx, key_now, NULL);

			if (!slot)
				break;
			for (i = 0; i < m->n; i++)
				if (m->e[i].val == *slot &&
				    tag(m->e[i].key) == tag(key_now) &&
				    home(nr, m->e[i].key) == home(nr, key_now))
					break;
			CHECK_OP(i, <, m->n);
			*slot = m->e[i].val = frame(step);
			break;
		}
		case 5:
			idx.round += rnd_below(4) ? 0 : rnd_below(6);
			break;
		}
		model_check_key(m, &idx, key_now);
		if (step % check_each == 0)
			model_check(m, &idx);
	}
	model_check(m, &idx);
	evicted = idx.evicted;
	while (m->n) { /* and all of it can be taken out */
		CHECK(uksm_index_erase(&idx, m->e[0].key, m->e[0].val));
		model_remove(m, 0);
	}
	CHECK_EQ(idx.used, 0);
	CHECK_EQ(slots_used(&idx), 0);
	printf("# %u buckets, %u keys, %d steps: %llu evicted\n", nr, keys,
	       steps, (unsigned long long)evicted);
	free(key);
	free(m);
	drop(&idx);
}

TEST(index_model)
{
	model_run(1, 10, 30000, 1);
	model_run(2, 10, 30000, 1);
	model_run(3, 30, 30000, 5);
	model_run(7, 200, 30000, 20);
	model_run(7, 4, 30000, 5);
	model_run(64, 500, 30000, 100);
	model_run(300, 100, 10000, 100);
	model_run(65536, 300, 5000, 1000);
}

/*
 * A table full of places takes as many frames and marks as an empty one: what
 * stays is spread over the buckets.
 */
TEST(index_full_of_places_takes_what_stays)
{
	static const u32 sizes[] = { 1024, 5003 };
	size_t s, i;

	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		struct uksm_index idx = table(sizes[s]);
		size_t n = idx.nr * UKSM_BUCKET_SLOTS;
		struct entry *e = xalloc(n * sizeof(*e));

		for (i = 0; i < 2 * n; i++)
			uksm_index_insert(&idx, rnd(), place(i));
		CHECK_EQ(idx.used, n);
		n = n * 85 / 100;
		for (i = 0; i < n; i++) {
			e[i].key = rnd();
			e[i].val = i % 2 ? frame(i) :
					   (u64)i << 34 | uksm_val_mark(&idx);
			CHECK(uksm_index_insert(&idx, e[i].key, e[i].val));
		}
		CHECK_EQ(found(&idx, e, n), n);
		free(e);
		drop(&idx);
	}
}

/* ---- rubbish ---------------------------------------------------------- */

/*
 * Nothing that stands in a table can make it read or write outside, or never
 * end. (The sanitizers watch; the counts mean nothing here.)
 */
TEST(index_full_of_rubbish)
{
	static const u32 sizes[] = { 1, 2, 5, 1000, 65536, 65599 };
	size_t s, i;

	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		const u32 nr = sizes[s];
		struct uksm_index idx = table(nr), to = table(nr / 2 + 7);
		u64 *word = (u64 *)idx.bucket;

		for (i = 0; i < nr * sizeof(*idx.bucket) / sizeof(*word); i++)
			word[i] = rnd_below(5) ? rnd() : 0;
		idx.round = rnd();
		for (i = 0; i < 300000; i++) {
			struct uksm_bucket *b = &idx.bucket[rnd_below(nr)];
			u64 key = (u64)b->tag[rnd_below(6)] << 32 | rnd() << 48;

			switch (rnd_below(5)) {
			case 0:
				uksm_index_insert(&idx, key, rnd() | 1);
				break;
			case 1:
				uksm_index_erase(&idx, key, rnd());
				break;
			case 2:
				((u8 *)b)[rnd_below(sizeof(*b))] = rnd();
				break;
			default:
				count_all(&idx, key);
			}
		}
		CHECK_EQ(uksm_index_move(&to, &idx), nr >= 65536);
		drop(&idx);
		drop(&to);
	}
}
