// SPDX-License-Identifier: GPL-2.0
/* Fingerprints: what they see, what keeps them apart. */
#include "unit.h"

#include "digest.h"

#define LINE 64
#define QUARTER (PAGE_SIZE / 4)

static u8 *random_page(void)
{
	u64 *page = xalloc(PAGE_SIZE);
	size_t i;

	for (i = 0; i < PAGE_SIZE / sizeof(*page); i++)
		page[i] = rnd();
	return (u8 *)page;
}

static int compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static void check_all_differ(u64 *v, size_t n)
{
	size_t i;

	qsort(v, n, sizeof(*v), compare);
	for (i = 1; i < n; i++)
		CHECK(v[i - 1] != v[i]);
}

/* Every bit of the page is in the full fingerprint. */
TEST(digest_full_sees_every_bit)
{
	u8 *page = random_page();
	u64 seed = rnd(), was = uksm_digest_full(page, seed);
	size_t bit;

	for (bit = 0; bit < PAGE_SIZE * 8; bit++) {
		page[bit / 8] ^= 1 << bit % 8;
		CHECK(uksm_digest_full(page, seed) != was);
		page[bit / 8] ^= 1 << bit % 8;
	}
	CHECK_EQ(uksm_digest_full(page, seed), was);
	free(page);
}

/*
 * The sample sees four lines of 64 bytes, one in each quarter, all of their
 * bytes and no other.
 */
TEST(digest_sample_sees_a_line_of_each_quarter)
{
	u8 *page = random_page();
	int round;

	for (round = 0; round < 40; round++) {
		u64 seed = rnd(), was = uksm_digest_sample(page, seed);
		u64 lines = 0;
		size_t i;

		for (i = 0; i < PAGE_SIZE; i++) {
			u8 flip = 1 << rnd_below(8);
			bool seen;

			page[i] ^= flip;
			seen = uksm_digest_sample(page, seed) != was;
			page[i] ^= flip;
			if (i % LINE == 0)
				lines |= (u64)seen << i / LINE;
			else /* all of a line or nothing of it */
				CHECK_EQ(seen, lines >> i / LINE & 1);
		}
		for (i = 0; i < 4; i++)
			CHECK_EQ(__builtin_popcountll(
					 lines >> i * (QUARTER / LINE) &
					 0xffff),
				 1);
	}
	free(page);
}

/* Which line it is comes from the seed: all of them are drawn. */
TEST(digest_sample_lines_come_from_the_seed)
{
	u8 *page = xalloc(PAGE_SIZE);
	u64 seen = 0;
	int round;
	size_t i;

	for (round = 0; round < 200; round++) {
		u64 seed = rnd(), was = uksm_digest_sample(page, seed);

		for (i = 0; i < PAGE_SIZE; i += LINE) {
			page[i] = 1;
			if (uksm_digest_sample(page, seed) != was)
				seen |= 1ULL << i / LINE;
			page[i] = 0;
		}
	}
	CHECK_EQ(seen, ~0ULL);
	free(page);
}

/* Two quarters with their content exchanged are another page. */
TEST(digest_order_matters)
{
	u8 *a = random_page(), *b = xalloc(PAGE_SIZE);
	u64 seed = rnd() & ~0xffffffffULL; /* the first line of each */

	memcpy(b, a, PAGE_SIZE);
	memcpy(b, a + QUARTER, QUARTER);
	memcpy(b + QUARTER, a, QUARTER);
	CHECK(uksm_digest_sample(a, seed) != uksm_digest_sample(b, seed));
	CHECK(uksm_digest_full(a, seed) != uksm_digest_full(b, seed));
	free(a);
	free(b);
}

TEST(digest_equal_pages_are_equal)
{
	u8 *a = random_page(), *b = xalloc(PAGE_SIZE);
	int i;

	memcpy(b, a, PAGE_SIZE);
	for (i = 0; i < 100; i++) {
		u64 seed = rnd();

		uksm_digest_prefetch(a, seed);
		CHECK_EQ(uksm_digest_sample(a, seed),
			 uksm_digest_sample(b, seed));
		CHECK_EQ(uksm_digest_full(a, seed), uksm_digest_full(b, seed));
	}
	CHECK(!memcmp(a, b, PAGE_SIZE));
	free(a);
	free(b);
}

TEST(digest_seeds_of_domains_and_secrets_differ)
{
	const size_t n = 20000;
	u64 *v = xalloc(n * sizeof(*v)), secret = rnd();
	size_t i;

	for (i = 0; i < n; i++)
		v[i] = uksm_digest_seed(secret, i);
	check_all_differ(v, n);
	for (i = 0; i < n; i++)
		v[i] = uksm_digest_seed(secret + i, 1000);
	check_all_differ(v, n);
	for (i = 0; i < n; i++) /* all 64 bits of it count */
		v[i] = uksm_digest_seed(secret, (u64)i << 44 | 5);
	check_all_differ(v, n);
	for (i = 0; i < n; i++) /* uids are small, and ~0 is none */
		v[i] = uksm_digest_seed(secret, i & 1 ? ~i : i);
	check_all_differ(v, n);
	free(v);
}

/* Under another seed the same page has other fingerprints. */
TEST(digest_depends_on_the_seed)
{
	const size_t n = 4096;
	u64 *v = xalloc(3 * n * sizeof(*v)), secret = rnd();
	u8 *page = random_page();
	size_t i;

	for (i = 0; i < n; i++) {
		u64 seed = uksm_digest_seed(secret, i);

		v[3 * i] = uksm_digest_sample(page, seed);
		v[3 * i + 1] = uksm_digest_full(page, seed);
		v[3 * i + 2] = uksm_digest_zero_sample(seed);
	}
	check_all_differ(v, 3 * n); /* and full is never the sample */
	for (i = 0; i < 64; i++) { /* each bit of the seed counts */
		v[2 * i] = uksm_digest_sample(page, secret ^ 1ULL << i);
		v[2 * i + 1] = uksm_digest_full(page, secret ^ 1ULL << i);
	}
	check_all_differ(v, 128);
	free(v);
	free(page);
}

TEST(digest_zero_sample)
{
	u8 *zero = xalloc(PAGE_SIZE), *page = random_page();
	int i;

	for (i = 0; i < 1000; i++) {
		u64 seed = i ? rnd() : 0;

		CHECK_EQ(uksm_digest_zero_sample(seed),
			 uksm_digest_sample(zero, seed));
		CHECK(uksm_digest_zero_sample(seed) !=
		      uksm_digest_sample(page, seed));
	}
	free(zero);
	free(page);
}

/* Fingerprints of pages that hardly differ are spread over all 64 bits. */
TEST(digest_is_spread)
{
	u8 *page = xalloc(PAGE_SIZE);
	const int n = 4096;
	int ones[64] = { 0 };
	u64 seed = rnd();
	int i, bit;

	for (i = 0; i < n; i++) {
		u64 h;

		memcpy(page, &i, sizeof(i));
		h = uksm_digest_full(page, seed);
		for (bit = 0; bit < 64; bit++)
			ones[bit] += h >> bit & 1;
	}
	for (bit = 0; bit < 64; bit++) { /* 6 sigma */
		CHECK_OP(ones[bit], >, n / 2 - 192);
		CHECK_OP(ones[bit], <, n / 2 + 192);
	}
	free(page);
}
