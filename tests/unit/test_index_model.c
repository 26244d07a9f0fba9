// SPDX-License-Identifier: GPL-2.0
/* The index against a model that forgets nothing, and on tables full of rubbish. */
#include "index_table.h"

/* ---- against a model -------------------------------------------------- */

#define MODEL_MAX 4096

/* What must be in the index: everything that was put in and has not gone. */
struct model {
	struct entry e[MODEL_MAX];
	size_t n;
	size_t evicted;
};

static bool mark_old(const struct uksm_index *idx, u64 val)
{
	return uksm_val_type(val) == UKSM_VAL_MARK &&
	       uksm_val_round(val) + UKSM_MARK_ROUNDS < idx->round;
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
	u32 nr = uksm_index_length(idx);
	u64 *slot = NULL;
	size_t i, n = 0;

	while ((slot = uksm_index_next(idx, key, slot))) {
		CHECK_OP(++n, <=, 2 * UKSM_BUCKET_SLOTS);
		sum += *slot * 0x9e3779b97f4a7c15ULL ^ *slot >> 31;
	}
	for (i = 0; i < m->n; i++) {
		u64 k = m->e[i].key, val = m->e[i].val;

		if (home(nr, k) == home(nr, key) &&
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

		if (here >= model_count(m, uksm_index_length(idx), e))
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
	u64 before = uksm_index_evicted(idx);
	bool marks_first = false, movable = false;
	size_t i;

	/* with one bucket it is known what is in the way */
	for (i = 0; uksm_index_length(idx) == 1 && i < m->n; i++) {
		marks_first |= mark_old(idx, m->e[i].val);
		movable |= may_go(idx, m->e[i].val);
	}
	if (!uksm_index_insert(idx, key, val)) {
		CHECK_EQ(uksm_index_evicted(idx), before);
		CHECK(!movable);
		return;
	}
	if (uksm_index_evicted(idx) != before) {
		CHECK_EQ(uksm_index_evicted(idx), before + 1);
		model_evict(m, idx, 0, marks_first);
		m->evicted++;
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
	u64 key_now, rate;
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
	while (m->n) { /* and all of it can be taken out */
		CHECK(uksm_index_erase(&idx, m->e[0].key, m->e[0].val));
		model_remove(m, 0);
	}
	CHECK_EQ(slots_used(&idx), 0);
	printf("# %u buckets, %u keys, %d steps: %zu evicted\n", nr, keys,
	       steps, m->evicted);
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
		u64 *word;

		for (i = 0; i < (size_t)nr * 8; i++) {
			word = (u64 *)bucket(&idx, i / 8);
			word[i % 8] = rnd_below(5) ? rnd() : 0;
		}
		idx.round = rnd();
		for (i = 0; i < 300000; i++) {
			struct uksm_bucket *b = bucket(&idx, rnd_below(nr));
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
