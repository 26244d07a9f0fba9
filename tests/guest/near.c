// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that are nearly alike are not alike: pages that differ in one bit,
 * anywhere, never share a frame, whatever a fingerprint that reads only parts
 * of a page says of them.
 *
 * Without the comparison of all bytes a page loses its odd bit.
 */
#include "lib.h"

#define N 512
#define SEED 140

/* Page i: all alike but for one bit at a place of its own; odd places over the page. */
static size_t place(size_t i)
{
	return (i * (PAGE / N) + i % (PAGE / N)) % PAGE;
}

static void nearly(u8 *p, int bit)
{
	size_t i;

	for (i = 0; i < N; i++) {
		page_fill(p + i * PAGE, SEED, 0);
		p[i * PAGE + place(i)] ^= 1 << bit;
	}
}

static size_t bad_nearly(const u8 *p, int bit)
{
	static u8 want[PAGE];
	size_t i, bad = 0;

	for (i = 0; i < N; i++) {
		page_fill(want, SEED, 0);
		want[place(i)] ^= 1 << bit;
		bad += !!memcmp(want, p + i * PAGE, PAGE);
	}
	return bad;
}

static void one_bit(void)
{
	size_t most;
	u8 *p, *q;

	marked_only();
	p = map_marked(N);
	q = map_filled(2, SEED + 1, 0);
	fill(q + PAGE, 1, SEED + 1, 0);
	nearly(p, 3);
	/* the two that are alike show that there was a scan */
	CHECK_SOON_EQ(count_merged(getpid(), q, 2), 2, LONG);
	settle(4);
	CHECK_EQ(count_frames(getpid(), p, N, &most), N);
	CHECK_EQ(bad_nearly(p, 3), 0);
}

/* Two sets: each page has one equal partner and hundreds of near ones. */
static void one_partner(void)
{
	u8 *p, *q;

	marked_only();
	p = map_marked(N);
	q = map_marked(N);
	nearly(p, 5);
	nearly(q, 5);
	CHECK_SOON_EQ(count_same(getpid(), p, getpid(), q, N), N, 2 * LONG);
	CHECK_EQ(bad_nearly(p, 5), 0);
	CHECK_EQ(bad_nearly(q, 5), 0);
	CHECK_SOON_EQ(sysfs_num("pages_shared"), N, LONG);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), N, LONG);
}

/* Mostly zero, as real pages often are: one 8-byte word each. */
static void sparse(void)
{
	size_t i, bad = 0;
	u8 *p, *q;

	marked_only();
	p = map_marked(N);
	q = map_marked(N);
	for (i = 0; i < N; i++) {
		*(u64 *)(p + i * PAGE + i * 8) = i + 1;
		*(u64 *)(q + i * PAGE + i * 8) = i + 1;
	}
	CHECK_SOON_EQ(count_same(getpid(), p, getpid(), q, N), N, 2 * LONG);
	for (i = 0; i < N; i++) {
		bad += *(u64 *)(p + i * PAGE + i * 8) != i + 1;
		*(u64 *)(p + i * PAGE + i * 8) = 0;
		bad += *(u64 *)(q + i * PAGE + i * 8) != i + 1;
		*(u64 *)(q + i * PAGE + i * 8) = 0;
	}
	CHECK_EQ(bad, 0);
	CHECK_EQ(bad_zero(p, N), 0);
	CHECK_EQ(bad_zero(q, N), 0);
}

/* Words that repeat: bytes swapped between two places, same sum. */
static void transposed(void)
{
	size_t i, most, bad = 0;
	u8 *p;

	marked_only();
	p = map_marked(N);
	memset(p, 0x55, N * PAGE);
	for (i = 0; i < N; i++) {
		u64 *word = (u64 *)(p + i * PAGE);

		word[i] = 1;
		word[(i + 1) % N] = 2;
	}
	settle(5);
	CHECK_EQ(count_frames(getpid(), p, N, &most), N);
	for (i = 0; i < N; i++) {
		u64 *word = (u64 *)(p + i * PAGE);

		bad += word[i] != 1 || word[(i + 1) % N] != 2;
	}
	CHECK_EQ(bad, 0);
}

static const struct test_case cases[] = {
	{ "pages that differ in one bit stay apart", one_bit, 120 },
	{ "the equal partner is found among near ones", one_partner, 120 },
	{ "mostly zero pages", sparse, 120 },
	{ "the same words in another order stay apart", transposed, 120 },
};

TEST_MAIN(0)
