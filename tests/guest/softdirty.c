// SPDX-License-Identifier: GPL-2.0
/*
 * What a checkpoint tool sees: it clears the soft-dirty bits (4 to
 * /proc/PID/clear_refs) and asks /proc/PID/pagemap later which pages were
 * written since. A page that was written must be reported, merged since or not; that a page was
 * merged alone is no write.
 *
 * A bit lost on the way into a frame or the zero page is a page missing in the
 * checkpoint.
 */
#include "lib.h"

#define N 64
#define SEED 640
#define PM_SOFT_DIRTY (1ULL << 55)

static struct trio t;

static void clear_soft_dirty(void)
{
	CHECK_EQ(file_write("/proc/self/clear_refs", "4"), 0);
}

static bool soft_dirty(const u8 *page)
{
	u64 e;

	pagemap_read(getpid(), page, 1, &e);
	return e & PM_SOFT_DIRTY;
}

static size_t count_soft_dirty(const u8 *p, size_t n)
{
	size_t i, found = 0;

	for (i = 0; i < n; i++)
		found += soft_dirty(p + i * PAGE);
	return found;
}

static void need_soft_dirty(void)
{
	u8 *p = map_filled(1, 1, 1);

	clear_soft_dirty();
	if (soft_dirty(p))
		skip("no soft-dirty bits in this kernel");
	*p ^= 1;
	if (!soft_dirty(p))
		skip("no soft-dirty bits in this kernel");
}

/* Every third page of mine is written; only those are reported. */
static void write_some(u64 seed)
{
	size_t i;

	for (i = 0; i < N; i += 3)
		page_fill(t.mine + i * PAGE, seed, i);
}

static void check_some(void)
{
	size_t i;

	for (i = 0; i < N; i++)
		if (soft_dirty(t.mine + i * PAGE) != (i % 3 == 0))
			FAIL("page %zu is %ssoft-dirty", i,
			     i % 3 ? "" : "not ");
}

static void check_some_content(u64 seed)
{
	size_t i;

	for (i = 0; i < N; i++)
		CHECK(page_is(t.mine + i * PAGE, i % 3 ? SEED : seed, i));
}

static void merged_then_cleared(void)
{
	need_soft_dirty();
	trio_make(&t, N, SEED);
	trio_merge(&t);
	CHECK_EQ(count_soft_dirty(t.mine, N), N);
	clear_soft_dirty();
	CHECK_EQ(count_soft_dirty(t.mine, N), 0);
	settle(10);
	CHECK_EQ(count_soft_dirty(t.mine, N), 0);
	CHECK_EQ(trio_merged(&t), N);
	write_some(SEED + 1);
	check_some();
	settle(3);
	check_some();
	check_some_content(SEED + 1);
}

/* Cleared when it is nobody's but mine; being merged is no write. */
static void cleared_then_merged(void)
{
	need_soft_dirty();
	trio_make(&t, N, SEED);
	clear_soft_dirty();
	trio_merge(&t);
	CHECK_EQ(count_soft_dirty(t.mine, N), 0);
	write_some(SEED + 1);
	check_some();
	check_some_content(SEED + 1);
}

static void written_then_merged(void)
{
	need_soft_dirty();
	trio_make(&t, N, SEED);
	clear_soft_dirty();
	write_some(SEED); /* with what is there already */
	check_some();
	trio_merge(&t);
	check_some();
	trio_check(&t, SEED);
}

/* Zeros as well: the zero page tells that zeros were written. */
static void zeros(void)
{
	u8 *p;
	size_t i;

	need_soft_dirty();
	sysfs_set("run", "0");
	p = map_filled(N, SEED, 0);
	clear_soft_dirty();
	for (i = 0; i < N; i += 2)
		memset(p + i * PAGE, 0, PAGE);
	sysfs_set("run", "1");
	CHECK_SOON_EQ(count_zero(getpid(), p, N), N / 2, LONG);
	for (i = 0; i < N; i++)
		CHECK_EQ(soft_dirty(p + i * PAGE), i % 2 == 0);
	clear_soft_dirty();
	settle(5);
	CHECK_EQ(count_soft_dirty(p, N), 0);
	for (i = 0; i < N; i += 4)
		p[i * PAGE] = 1;
	for (i = 0; i < N; i++)
		CHECK_EQ(soft_dirty(p + i * PAGE), i % 4 == 0);
}

/* Back by run=2: written pages stay reported, the others need not be. */
static void unmerged(void)
{
	need_soft_dirty();
	trio_make(&t, N, SEED);
	clear_soft_dirty();
	write_some(SEED);
	trio_merge(&t);
	unmerge_all();
	CHECK_EQ(trio_merged(&t), 0);
	check_some();
	trio_check(&t, SEED);
}

/*
 * Rounds of a checkpoint tool while everything is merged, written and equal
 * again: the pages reported make up, over what was saved before, exactly what
 * is there.
 */
static void checkpoints(void)
{
	static u8 saved[N * PAGE];
	size_t i, reported = 0;
	int round;

	need_soft_dirty();
	trio_make(&t, N, SEED);
	sysfs_set("run", "1");
	for (round = 0; round < 12; round++) {
		for (i = round % 5; i < N; i += 5)
			page_fill(t.mine + i * PAGE, SEED + (round & 1), i);
		for (i = round % 7; i < N; i += 7)
			memset(t.mine + i * PAGE, 0, PAGE);
		settle(round % 3);
		for (i = 0; i < N; i++) {
			if (!soft_dirty(t.mine + i * PAGE))
				continue;
			reported++;
			memcpy(saved + i * PAGE, t.mine + i * PAGE, PAGE);
		}
		clear_soft_dirty();
		CHECK_EQ(memcmp(saved, t.mine, sizeof(saved)), 0);
	}
	note("%zu pages reported in %d rounds", reported, round);
	CHECK_OP(reported, <, (size_t)round * N);
}

static const struct test_case cases[] = {
	{ "merged, cleared, written", merged_then_cleared, 90 },
	{ "cleared, then merged: not written", cleared_then_merged, 90 },
	{ "written, then merged: reported", written_then_merged, 90 },
	{ "zero pages", zeros, 90 },
	{ "after run=2", unmerged, 90 },
	{ "rounds of checkpoints", checkpoints, 90 },
};

TEST_MAIN(0)
