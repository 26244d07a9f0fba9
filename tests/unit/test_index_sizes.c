// SPDX-License-Identifier: GPL-2.0
/* The index by measurement: how well it fills, and how it goes to another length. */
#include "index_table.h"

/* ---- by measurement --------------------------------------------------- */

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

	CHECK_EQ(slots_used(&idx) == n, !uksm_index_evicted(&idx));
	free(e);
	drop(&idx);
	return (u64)ok * 100000 / n;
}

/*
 * As many pages as an index is meant for are all found, but for one in a
 * thousand; and but for one in a hundred of as many as fit.
 */
TEST(index_fills_well)
{
	static const u64 pages[] = { 5000,   5001,   20011,  50021,
				     302000, 303001, 461000, 2000003 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		u32 nr = uksm_index_want(pages[i]);
		u64 ok = fill_and_find(nr, pages[i]);
		u64 most = (u64)nr * UKSM_BUCKET_SLOTS * 24 / 25;
		u64 more = fill_and_find(nr, most);

		printf("# %u buckets, %llu entries: %.3f%% found; %llu: %.3f%%\n",
		       nr, (unsigned long long)pages[i], (double)ok / 1000,
		       (unsigned long long)most, (double)more / 1000);
		CHECK(uksm_index_fits(nr, most));
		CHECK(!uksm_index_fits(nr, most + 7));
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
	CHECK_OP(slots_used(&idx), >=, nr * UKSM_BUCKET_SLOTS * 99 / 100);
	free(e);
	drop(&idx);
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
		size_t n = sizes[s] * UKSM_BUCKET_SLOTS;
		struct entry *e = xalloc(n * sizeof(*e));

		for (i = 0; i < 2 * n; i++)
			uksm_index_insert(&idx, rnd(), place(i));
		CHECK_EQ(slots_used(&idx), n);
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

/*
 * Pages come in pairs, and one half of them is looked at some time after the
 * other: each pair needs the place of its first half to be there when the second
 * comes, and a mark and a frame from then on. In a table as large as it is for
 * so many pages, and full of places that nobody comes back to, all meet.
 */
TEST(index_full_of_places_lets_pairs_meet)
{
	struct uksm_index idx = table(1024);
	const size_t n = 2500;
	u64 *key = xalloc(n * sizeof(*key));
	bool *met = xalloc(n * sizeof(*met));
	size_t i, left = n;
	int round;

	for (i = 0; i < 4 * n; i++)
		uksm_index_insert(&idx, rnd(), place(1 << 20 | i));
	idx.round += 2 * UKSM_PLACE_ROUNDS;
	for (i = 0; i < n; i++) {
		key[i] = rnd();
		met[i] = false;
		/* what a mark is to this: something that stays */
		uksm_index_insert(&idx, rnd(), frame(n + i));
	}
	for (round = 0; round < 100 && left; round++) {
		idx.round++;
		for (i = 0; i < 2 * n; i++) {
			size_t pair = i % n, half = i / n;
			u64 *slot = NULL;

			if (met[pair])
				continue;
			while ((slot = uksm_index_next(&idx, key[pair], slot)))
				if (*slot == place(2 * pair + !half))
					break;
			if (slot) {
				*slot = frame(pair);
				met[pair] = true;
				left--;
			} else if (!count(&idx, key[pair],
					  place(2 * pair + half))) {
				uksm_index_insert(&idx, key[pair],
						  place(2 * pair + half));
			}
		}
	}
	printf("# %d rounds, %zu pairs have not met\n", round, left);
	CHECK_EQ(left, 0);
	free(key);
	free(met);
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
			 12 * max_t(u64, pages, UKSM_INDEX_MIN_BUCKETS * 6));
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
	CHECK_EQ(before, U32_MAX - U32_MAX % (UKSM_INDEX_RANGES * 64));
}

/* ---- ranges ----------------------------------------------------------- */

static bool empty(const struct uksm_range *range)
{
	const u8 *p = (const u8 *)range->bucket;
	const u8 *end = (const u8 *)(range->bucket + range->span);

	while (p < end && !*p)
		p++;
	return p == end;
}

/*
 * Whatever is done with keys of one range, and however full it is, nothing of
 * another is touched, and all is found.
 */
TEST(index_ranges_leave_each_other_alone)
{
	static const u32 sizes[] = { 8192, 36864, 65536, 65600, 262144 };
	size_t s, i;

	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		struct uksm_index idx = table(sizes[s]);
		u32 ranges = 1U << idx.range_bits, r = rnd_below(ranges), o;
		size_t n = idx.range[r].span * UKSM_BUCKET_SLOTS;
		struct entry *e = xalloc(2 * n * sizeof(*e));

		CHECK_OP(ranges, >=, 2);
		CHECK_EQ(uksm_index_length(&idx), sizes[s]);
		for (i = 0; i < 2 * n; i++) {
			e[i].key = rnd() >> idx.range_bits |
				   (u64)r << (64 - idx.range_bits);
			e[i].val = i % 16 ? place(i) : frame(i);
			CHECK_EQ(uksm_index_range(&idx, e[i].key), r);
			uksm_index_insert(&idx, e[i].key, e[i].val);
			if (i == n * 100 / 107)
				CHECK_OP(found(&idx, e, i + 1) * 1000, >=,
					 i * 999);
			if (!(i % 7)) {
				u64 *slot = uksm_index_next(
					&idx, e[i / 2].key, NULL);

				if (slot)
					uksm_index_touch(&idx, slot);
			}
		}
		for (i = 0; i < 2 * n; i += 16) /* the frames are all there */
			CHECK_EQ(count(&idx, e[i].key, e[i].val), 1);
		CHECK_OP(slots_used(&idx), >=, n * 99 / 100);
		for (o = 0; o < ranges; o++)
			CHECK_EQ(empty(&idx.range[o]), o != r);
		for (i = 0; i < 2 * n; i++)
			uksm_index_erase(&idx, e[i].key, e[i].val);
		CHECK_EQ(slots_used(&idx), 0);
		free(e);
		drop(&idx);
	}
}

/* ---- another length --------------------------------------------------- */

static void check_move(u32 from_nr, u32 to_nr, size_t n)
{
	struct uksm_index from = table(from_nr), to = table(to_nr);
	struct entry *e = fill(&from, n);
	struct uksm_bucket *before = copy_of(&from), *after;
	size_t i, was = found(&from, e, n), ok = 0;

	CHECK(uksm_index_move(&to, &from));
	after = copy_of(&from);
	CHECK(!memcmp(before, after, from_nr * sizeof(*before)));
	for (i = 0; i < n; i++)
		if (count(&from, e[i].key, e[i].val))
			ok += count(&to, e[i].key, e[i].val) == 1;
	printf("# %u to %u buckets: %zu of %zu entries still found\n", from_nr,
	       to_nr, ok, was);
	CHECK_EQ(slots_used(&to) == slots_used(&from), !uksm_index_evicted(&to));
	if (to_nr >= from_nr)
		CHECK_EQ(ok, was);
	else
		CHECK_OP(ok * 1000, >=, was * 999);
	free(before);
	free(after);
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
		CHECK_EQ(slots_used(&idx), n);
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
		CHECK_EQ(slots_used(&to), 0);
		CHECK_EQ(slots_used(&from), 1);
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
	CHECK_EQ(slots_used(&to), 6);
	for (i = 0; i < 6; i++) {
		slot = &bucket(&to, 0)->val[i];
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

/* ---- a range of another length ---------------------------------------- */

static size_t frames_lost;

static void range_move(struct uksm_index *idx, unsigned int r, u32 span)
{
	struct uksm_range old = idx->range[r];
	u64 lost, at = 0;

	idx->range[r] = range(span);
	while ((lost = uksm_index_move_range(idx, r, &old, &at)))
		frames_lost += uksm_val_type(lost) == UKSM_VAL_FRAME;
	free(old.bucket);
}

/*
 * Ranges go to other lengths one by one, some often, and all entries are found
 * all the time; then the index, whose ranges are all of lengths of their own,
 * moves as a whole.
 */
TEST(index_ranges_of_their_own_lengths)
{
	static const u32 sizes[] = { 65536, 131072, 262144, 1U << 20 };
	size_t s, i;

	frames_lost = 0;
	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		struct uksm_index idx = table(sizes[s]), to = table(70001);
		u32 span = sizes[s] >> idx.range_bits;
		const size_t n = 50000;
		struct entry *e = fill(&idx, n);

		CHECK_OP(idx.range_bits, >=, 4);
		CHECK_EQ(found(&idx, e, n), n);
		for (i = 0; i < 200; i++) {
			range_move(&idx, rnd_below(1 << idx.range_bits),
				   span + rnd_below(span));
			if (!(i % 20)) {
				CHECK_EQ(found(&idx, e, n), n);
				CHECK_EQ(slots_used(&idx), n);
			}
		}
		for (i = 0; i < n; i += 2) {
			u64 *slot = uksm_index_next(&idx, e[i].key, NULL);

			CHECK(slot);
			uksm_index_touch(&idx, slot);
			CHECK(uksm_index_erase(&idx, e[i].key, e[i].val));
			CHECK(uksm_index_insert(&idx, e[i].key, e[i].val));
		}
		CHECK_EQ(found(&idx, e, n), n);
		CHECK(uksm_index_move(&to, &idx));
		CHECK_EQ(found(&to, e, n), n);
		free(e);
		drop(&idx);
		drop(&to);
	}
	CHECK_EQ(frames_lost, 0);
}

/* In a range that is too short for its frames, those that are lost are named. */
TEST(index_range_names_what_it_loses)
{
	struct uksm_index idx = table(65536);
	const size_t n = 60000;
	struct entry *e = xalloc(n * sizeof(*e));
	size_t i, left;

	for (i = 0; i < n; i++) {
		e[i].key = rnd();
		e[i].val = frame(i);
		CHECK(uksm_index_insert(&idx, e[i].key, e[i].val));
	}
	frames_lost = 0;
	range_move(&idx, 3, 100);
	left = found(&idx, e, n);
	printf("# %zu frames lost of %zu\n", frames_lost, n);
	CHECK_OP(frames_lost, >, n / 16 - n / 100 - 600);
	CHECK_EQ(left + frames_lost, n);
	free(e);
	drop(&idx);
}

/* Where keys are not known by every range, none is. */
TEST(index_short_ranges_are_not_known)
{
	struct uksm_index idx = table(65536), to = table(70000);

	CHECK(uksm_index_known(&idx));
	range_move(&idx, 5, 4095);
	CHECK(!uksm_index_known(&idx));
	CHECK(!uksm_index_move(&to, &idx));
	drop(&idx);
	drop(&to);
}
