// SPDX-License-Identifier: GPL-2.0
/* Regions: when they are due, and finding them. */
#include "unit.h"

#include "region.h"

#define PAGES ((unsigned int)UKSM_REGION_PAGES)

static void look(struct uksm_region *r, enum uksm_region_due want)
{
	CHECK_EQ(uksm_region_due(r, UKSM_REGION_CALM), want);
}

TEST(region_sizes)
{
	CHECK_EQ(UKSM_REGION_PAGES, 512);
	CHECK_EQ(UKSM_REGION_MASK, ~0x1fffffULL);
	CHECK_OP(sizeof(struct uksm_region), <=, 48);
	/* each field holds what it has to */
	CHECK_OP(UKSM_REGION_MAX_SKIP, <, 1 << 3);
	CHECK_OP(UKSM_REGION_CALM, <, 1 << 3);
	CHECK_OP(UKSM_REGION_DEEP << UKSM_REGION_CALM, <, 1 << 16);
	CHECK_OP(UKSM_REGION_CALM_FULL, <, UKSM_REGION_CALM);
}

TEST(region_init)
{
	static const unsigned long addrs[] = {
		0, 0x1fffff, 0x200000, 0x7fffffffffff, 0xffffffffffffff,
	};
	struct uksm_region r;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(addrs); i++) {
		memset(&r, 0xff, sizeof(r));
		uksm_region_init(&r, addrs[i]);
		CHECK_EQ(r.nr, addrs[i] >> 21);
		CHECK_EQ(r.fresh, 1);
		CHECK_EQ(r.level | r.skip | r.look | r.seen | r.retried, 0);
		CHECK_EQ(r.calm | r.print | r.pages, 0);
		CHECK_EQ(r.unshared | r.restless | r.skipped | r.nr_zero, 0);
		CHECK(!r.zero && !r.sum);
	}
}

/* Each region is looked at in every round while it is quiet, each 8th deeply. */
TEST(region_due_when_quiet)
{
	struct uksm_region r;
	int round, i;

	uksm_region_init(&r, 0);
	look(&r, UKSM_REGION_ALL);
	for (round = 0; round < 10; round++) {
		r.retried = 1;
		for (i = 1; i < UKSM_REGION_DEEP; i++) {
			look(&r, UKSM_REGION_LOOK);
			CHECK_EQ(r.retried, 1);
			uksm_region_account(&r, PAGES, 0);
		}
		look(&r, UKSM_REGION_ALL);
		CHECK_EQ(r.retried, 0);
		uksm_region_account(&r, PAGES, 0);
	}
}

/* Return: looks until a deep one. */
static int looks_until_deep(struct uksm_region *r, unsigned int calm_max)
{
	int n = 1;

	while (uksm_region_due(r, calm_max) == UKSM_REGION_LOOK)
		n++;
	return n;
}

/* Unchanged at each deep look: they become rare, but not rarer than that. */
TEST(region_due_when_calm)
{
	struct uksm_region r;
	int i, want = UKSM_REGION_DEEP;

	uksm_region_init(&r, 0);
	look(&r, UKSM_REGION_ALL);
	for (i = 0; i < 12; i++) {
		CHECK_EQ(looks_until_deep(&r, UKSM_REGION_CALM), want);
		uksm_region_calm(&r, true);
		if (i < UKSM_REGION_CALM)
			want *= 2;
	}
	/* the index is short of room */
	CHECK_EQ(looks_until_deep(&r, UKSM_REGION_CALM_FULL),
		 UKSM_REGION_DEEP << UKSM_REGION_CALM_FULL);
	CHECK_EQ(looks_until_deep(&r, 0), UKSM_REGION_DEEP);
	CHECK_EQ(looks_until_deep(&r, UKSM_REGION_CALM), want);
	/* a change, and it starts from the beginning */
	uksm_region_calm(&r, false);
	CHECK_EQ(looks_until_deep(&r, UKSM_REGION_CALM), UKSM_REGION_DEEP);
	uksm_region_calm(&r, true);
	r.fresh = 1;
	look(&r, UKSM_REGION_ALL);
	CHECK_EQ(looks_until_deep(&r, UKSM_REGION_CALM), UKSM_REGION_DEEP);
}

TEST(region_due_when_made_fresh_again)
{
	struct uksm_region r;
	int i;

	uksm_region_init(&r, 0);
	look(&r, UKSM_REGION_ALL);
	for (i = 0; i < 5; i++)
		uksm_region_account(&r, PAGES, PAGES);
	CHECK_EQ(r.skip, UKSM_REGION_MAX_SKIP);
	r.fresh = 1; /* passed over no longer, and all of it */
	look(&r, UKSM_REGION_ALL);
	CHECK_EQ(r.fresh, 0);
}

/* A restless region is passed over once, then twice, then no more often. */
TEST(region_backs_off)
{
	struct uksm_region r;
	int round, i, skips;

	uksm_region_init(&r, 0);
	look(&r, UKSM_REGION_ALL);
	for (round = 0; round < 20; round++) {
		uksm_region_account(&r, PAGES, PAGES);
		skips = round < UKSM_REGION_MAX_SKIP ? round + 1 :
						       UKSM_REGION_MAX_SKIP;
		for (i = 0; i < skips; i++)
			look(&r, UKSM_REGION_SKIP);
		CHECK(uksm_region_due(&r, UKSM_REGION_CALM) !=
		      UKSM_REGION_SKIP);
	}
	/* one quiet look, and it is in every round again */
	uksm_region_account(&r, PAGES, 0);
	CHECK(uksm_region_due(&r, UKSM_REGION_CALM) != UKSM_REGION_SKIP);
	uksm_region_account(&r, PAGES, PAGES);
	look(&r, UKSM_REGION_SKIP); /* and starts from one */
	CHECK(uksm_region_due(&r, UKSM_REGION_CALM) != UKSM_REGION_SKIP);
}

/*
 * So is one that is written from look to look, though it comes to rest in
 * between: from the second such look on.
 */
TEST(region_backs_off_from_what_is_rewritten)
{
	struct uksm_region r;
	int i, skips;

	uksm_region_init(&r, 0);
	look(&r, UKSM_REGION_ALL);
	for (i = 0; i < 6; i++) {
		uksm_region_written(&r, PAGES, PAGES / 2);
		uksm_region_account(&r, PAGES, 0);
		skips = i < UKSM_REGION_MAX_SKIP ? i : UKSM_REGION_MAX_SKIP;
		while (skips--)
			look(&r, UKSM_REGION_SKIP);
		CHECK(uksm_region_due(&r, UKSM_REGION_CALM) !=
		      UKSM_REGION_SKIP);
	}
	/* less than half of it, or nothing there: it is in every round again */
	for (i = 0; i < 4; i++) {
		uksm_region_written(&r, i % 2 ? PAGES : 0,
				    i % 2 ? PAGES / 2 - 1 : 0);
		uksm_region_account(&r, PAGES, 0);
		CHECK(uksm_region_due(&r, UKSM_REGION_CALM) !=
		      UKSM_REGION_SKIP);
	}
	/* once is not from look to look */
	uksm_region_written(&r, PAGES, PAGES);
	uksm_region_account(&r, PAGES, 0);
	CHECK(uksm_region_due(&r, UKSM_REGION_CALM) != UKSM_REGION_SKIP);
}

/*
 * One whose pages have to be read is passed over once more each time that it was
 * for nothing; any change, or somebody who wants it looked at, ends that.
 */
TEST(region_backs_off_from_what_is_still)
{
	struct uksm_region r;
	int i, k, skips;

	uksm_region_init(&r, 0);
	look(&r, UKSM_REGION_ALL);
	for (k = 0; k < 3; k++) {
		for (i = 1; i < 20; i++) {
			uksm_region_account(&r, PAGES, 0);
			uksm_region_still(&r, true);
			skips = i < UKSM_REGION_MAX_STILL ?
					i :
					UKSM_REGION_MAX_STILL;
			while (skips--)
				look(&r, UKSM_REGION_SKIP);
			CHECK(uksm_region_due(&r, UKSM_REGION_CALM) !=
			      UKSM_REGION_SKIP);
		}
		uksm_region_account(&r, PAGES, 0);
		uksm_region_still(&r, k);
		if (k) {
			r.fresh = 1;
			look(&r, UKSM_REGION_ALL);
		}
	}
	/* what is restless is passed over as ever */
	uksm_region_still(&r, false);
	uksm_region_account(&r, PAGES, PAGES);
	look(&r, UKSM_REGION_SKIP);
	CHECK(uksm_region_due(&r, UKSM_REGION_CALM) != UKSM_REGION_SKIP);
}

/* Being passed over is no look. */
TEST(region_skips_do_not_count_as_looks)
{
	struct uksm_region r;
	int looks = 0, due;

	uksm_region_init(&r, 0);
	look(&r, UKSM_REGION_ALL);
	do {
		uksm_region_account(&r, PAGES, PAGES);
		while ((due = uksm_region_due(&r, UKSM_REGION_CALM)) ==
		       UKSM_REGION_SKIP)
			;
		looks++;
	} while (due != UKSM_REGION_ALL);
	CHECK_EQ(looks, UKSM_REGION_DEEP);
}

/* Half of the pages makes it restless. */
TEST(region_restless_threshold)
{
	struct uksm_region r;
	unsigned int pages, n;

	for (pages = 0; pages <= PAGES; pages++) {
		for (n = 0; n <= pages; n++) {
			uksm_region_init(&r, 0);
			uksm_region_account(&r, pages, n);
			CHECK_EQ(r.skip, pages && 2 * n >= pages);
			CHECK_EQ(r.restless, n);
		}
	}
}

/* Whatever it did before: still for three rounds, and all of it is known. */
TEST(region_is_seen_within_three_rounds)
{
	struct uksm_region r;
	int i, n, passed = 0;

	uksm_region_init(&r, 0);
	for (i = 0; i < 1000000; i++) {
		if (uksm_region_due(&r, UKSM_REGION_CALM) == UKSM_REGION_SKIP) {
			passed++;
			CHECK_OP(passed, <=, UKSM_REGION_MAX_SKIP);
			continue;
		}
		passed = 0;
		CHECK_OP(r.look, <, UKSM_REGION_DEEP);
		CHECK_OP(r.level, <=, UKSM_REGION_MAX_SKIP);
		if (rnd_below(4)) {
			n = rnd_below(PAGES + 1);
			uksm_region_account(&r, n, rnd_below(n + 1));
		}
	}
	CHECK_OP(UKSM_REGION_MAX_SKIP, <, 3);
}

/* ---- the sorted array ------------------------------------------------- */

static long linear_search(struct uksm_region *const *r, size_t n, u64 nr)
{
	size_t i;

	for (i = 0; i < n && r[i]->nr < nr; i++)
		;
	return i < n && r[i]->nr == nr ? (long)i : -1 - (long)i;
}

TEST(region_search)
{
	const u64 top = (1ULL << (57 - UKSM_REGION_SHIFT)) - 1;
	size_t n, i;

	CHECK_EQ(uksm_region_search(NULL, 0, 5), -1L);
	for (n = 0; n < 200; n++) {
		/* exactly as long: what is read behind it is found */
		struct uksm_region **r = xalloc(n * sizeof(*r) + !n);
		struct uksm_region *all = xalloc(n * sizeof(*all) + !n);
		u64 nr = rnd_below(3);

		for (i = 0; i < n; i++) {
			r[i] = &all[i];
			uksm_region_init(r[i], nr << UKSM_REGION_SHIFT);
			nr += 1 + (rnd_below(8) ? rnd_below(3) :
						  rnd_below(1 << 20));
		}
		if (n && n % 5 == 0)
			uksm_region_init(r[n - 1], top << UKSM_REGION_SHIFT);
		for (i = 0; i < n; i++) {
			u64 at = r[i]->nr;

			CHECK_EQ(uksm_region_search(r, n, at), i);
			CHECK_EQ(uksm_region_search(r, n, at + 1),
				 linear_search(r, n, at + 1));
			if (at)
				CHECK_EQ(uksm_region_search(r, n, at - 1),
					 linear_search(r, n, at - 1));
		}
		for (i = 0; i < 200; i++) {
			u64 want = rnd_below(nr + 3);

			CHECK_EQ(uksm_region_search(r, n, want),
				 linear_search(r, n, want));
		}
		CHECK_EQ(uksm_region_search(r, n, 0), linear_search(r, n, 0));
		CHECK_EQ(uksm_region_search(r, n, top),
			 linear_search(r, n, top));
		free(all);
		free(r);
	}
}
