// SPDX-License-Identifier: GPL-2.0
/* vm: mem=1024 timeout=300 */
/*
 * What merging costs: the module's own memory stays within 16 bytes for each
 * scanned page and 64 for each merged mapping, does not grow with time or with
 * processes that come and go, and general_profit is what was saved less that.
 */
#include "lib.h"

#define SEED 250
#define FIXED (384 * 1024LL) /* what it may hold with nothing to do */

static long long anon_pages(void)
{
	return meminfo_kb("AnonPages") / 4;
}

static void within_budget(const char *what)
{
	long long mappings, budget;
	struct counters c;

	counters_get(&c);
	mappings = c.shared + c.sharing;
	/* AnonPages counts a frame once; its other mappings were scanned as well */
	budget = 16 * (anon_pages() + c.sharing) + 64 * mappings + FIXED;
	note("%s: metadata_bytes %lld, budget %lld (%lld anonymous pages, %lld merged mappings)",
	     what, c.metadata, budget, anon_pages(), mappings);
	CHECK_OP(c.metadata, >, 0);
	CHECK_OP(c.metadata, <=, budget);
}

static void no_ksmd(void)
{
	if (on_ksmd())
		skip("ksmd has no metadata_bytes");
}

/* Cheap unique pages: the number in one word, the rest all the same. */
static void unique(u64 *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		p[i * (PAGE / 8)] = i + 1;
		p[i * (PAGE / 8) + 511] = ~i * 0x9e3779b97f4a7c15ULL;
	}
}

static void nothing_merged(void)
{
	size_t n = 200 * MIB / PAGE;
	u64 *p;

	no_ksmd();
	marked_only();
	p = map_marked(n);
	unique(p, n);
	CHECK_SOON(sysfs_num("pages_unshared") >= (long long)n * 98 / 100,
		   2 * LONG);
	settle(3);
	within_budget("200 MiB, all different");
	CHECK_EQ(sysfs_num("pages_sharing"), 0);
	CHECK_OP(sysfs_num("pages_unshared"), <=, n);
	CHECK_OP(sysfs_num("general_profit"), <=, 0);
}

static void all_merged(void)
{
	size_t n = 32 * MIB / PAGE;
	long long sharing, profit;
	struct worker w;
	void *p;

	no_ksmd();
	marked_only();
	worker_start(&w);
	p = worker_map_filled(&w, n, SEED, 0);
	map_filled(n, SEED, 0);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), n, 2 * LONG);
	settle(2);
	within_budget("2 x 32 MiB, all merged");
	sharing = sysfs_num("pages_sharing");
	profit = sysfs_num("general_profit");
	CHECK_OP(profit, <=, sharing * (long long)PAGE);
	CHECK_OP(profit, >=, sharing * (long long)PAGE * 9 / 10);
	CHECK_EQ(worker_bad(&w, p, n, SEED, 0), 0);
}

static void profit_adds_up(void)
{
	struct counters c;
	long long want;
	u8 *p;

	marked_only();
	p = map_marked(1024);
	memset(p, 1, 512 * PAGE);
	memset(p, 0, 256 * PAGE);
	fill(p + 256 * PAGE, 128, SEED + 1, 0);
	fill(p + 384 * PAGE, 128, SEED + 1, 0);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), 128, LONG);
	CHECK_SOON_EQ(sysfs_num("ksm_zero_pages"), 256, LONG);
	settle(2);
	counters_get(&c);
	want = (c.sharing + c.zero) * (long long)PAGE;
	note("profit %lld, saved %lld, metadata %lld", c.profit, want,
	     c.metadata);
	/* ksmd counts 64 bytes for each page it knows, where we know our own */
	if (!on_ksmd())
		want -= c.metadata;
	CHECK_OP(llabs(c.profit - want), <=, 128 * 1024);
}

static void comes_and_goes(void)
{
	long long first = 0, last;
	int i;

	no_ksmd();
	marked_only();
	for (i = 0; i < 40; i++) {
		struct worker w[2];
		int k;

		for (k = 0; k < 2; k++) {
			worker_start(&w[k]);
			worker_map_filled(&w[k], 256, SEED + i, 0);
		}
		CHECK_SOON(sysfs_num("pages_sharing") >= 200, LONG);
		for (k = 0; k < 2; k++)
			worker_exit(&w[k]);
		CHECK_SOON_EQ(sysfs_num("pages_sharing"), 0, LONG);
		if (i == 9) {
			settle(4);
			first = sysfs_num("metadata_bytes");
		}
	}
	settle(4);
	last = sysfs_num("metadata_bytes");
	note("metadata_bytes after 10 rounds %lld, after 40 %lld", first, last);
	CHECK_OP(last, <=, first + 32 * 1024);
}

/* A sparse giant costs what is in it, not what it spans. */
static void sparse(void)
{
	const size_t span = 1UL << 40, step = 1UL << 34;
	long long before;
	size_t at;
	u8 *p;

	no_ksmd();
	p = mmap(NULL, span, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		skip("no room for a sparse mapping");
	no_huge_pages(p, span / PAGE);
	marked_only();
	settle(1);
	before = sysfs_num("metadata_bytes");
	CHECK_EQ(madvise(p, span, MADV_MERGEABLE), 0);
	for (at = 0; at < span; at += step)
		page_fill(p + at, SEED, at / step % 4);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), span / step - 4, LONG);
	settle(3);
	note("64 pages over 1 TiB: metadata_bytes %lld before, %lld after",
	     before, sysfs_num("metadata_bytes"));
	CHECK_OP(sysfs_num("metadata_bytes") - before, <=, 64 * 1024);
}

static const struct test_case cases[] = {
	{ "200 MiB of different pages", nothing_merged, 180 },
	{ "64 MiB of equal pages", all_merged, 180 },
	{ "general_profit adds up", profit_adds_up, 90 },
	{ "processes that come and go", comes_and_goes, 180 },
	{ "a sparse mapping of 1 TiB", sparse, 120 },
};

TEST_MAIN(0)
