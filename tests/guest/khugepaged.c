// SPDX-License-Identifier: GPL-2.0
/* vm: timeout=400 append="transparent_hugepage=always" */
/*
 * khugepaged at full speed over merged memory: the two do not go in circles.
 * What khugepaged leaves alone stays merged, and for the rest huge pages are
 * made and split a few times at most.
 *
 * Without the look at how often a region was split, each is split again as soon
 * as khugepaged has made a huge page of it.
 */
#include "lib.h"

#define PER 512UL /* pages of a huge page */
#define KHUGEPAGED "/sys/kernel/mm/transparent_hugepage/khugepaged/"

/* Of each huge page the first so many are alike, or are zero pages. */
static const struct {
	unsigned int alike, zero;
} kind[] = {
	{ 200, 0 }, { 200, 0 }, /* fewer than khugepaged's limit */
	{ 400, 0 }, { 400, 0 }, /* more */
	{ 0, 400 }, { 0, 400 }, /* which it takes in any case */
	{ 512, 0 }, { 512, 0 }, /* beyond any limit */
};

#define HPAGES ARRAY_SIZE(kind)
#define SAME 520
#define OWN 521 /* and what follows */

static struct worker w[2];
static u8 *p[2];

static long w_map_kinds(long own, long b, long c, long d)
{
	u8 *m = map_aligned(HPAGES * PER);
	size_t i;

	(void)b, (void)c, (void)d;
	madvise(m, HPAGES * HPAGE, MADV_HUGEPAGE);
	for (i = 0; i < HPAGES; i++) {
		u8 *at = m + i * HPAGE;
		size_t n = kind[i].alike + kind[i].zero;

		fill(at + n * PAGE, PER - n, own, i * PER + n);
		fill(at, kind[i].alike, SAME, i * PER);
	}
	return (long)m;
}

static long w_bad_kinds(long m, long own, long c, long d)
{
	size_t i, bad = 0;

	(void)c, (void)d;
	for (i = 0; i < HPAGES; i++) {
		u8 *at = (u8 *)m + i * HPAGE;
		size_t n = kind[i].alike + kind[i].zero;

		bad += bad_pages(at, kind[i].alike, SAME, i * PER);
		bad += bad_zero(at + kind[i].alike * PAGE, kind[i].zero);
		bad += bad_pages(at + n * PAGE, PER - n, own, i * PER + n);
	}
	return bad;
}

static long long made_and_split(void)
{
	return vmstat("thp_collapse_alloc") + vmstat("thp_split_page");
}

static void khugepaged_set(const char *file, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), KHUGEPAGED "%s", file);
	if (file_write(path, value))
		skip("no %s", path);
}

/* Is everything merged from that huge page on? */
static bool all_merged(size_t first)
{
	size_t k;

	for (k = first; k < HPAGES; k++)
		if (count_same(w[0].pid, p[0] + k * HPAGE, w[1].pid,
			       p[1] + k * HPAGE,
			       kind[k].alike) != kind[k].alike)
			return false;
	return true;
}

static void beside(const char *shared)
{
	long long before, made, rounds;
	size_t first;
	int i;

	khugepaged_set("max_ptes_shared", shared);
	khugepaged_set("pages_to_scan", "8192");
	khugepaged_set("alloc_sleep_millisecs", "0");
	khugepaged_set("scan_sleep_millisecs", "0");
	sysfs_set("run", "0");
	for (i = 0; i < 2; i++) {
		worker_start(&w[i]);
		p[i] = (u8 *)worker_call(&w[i], w_map_kinds, OWN + i);
	}
	made = made_and_split();
	rounds = sysfs_num("full_scans");
	sysfs_set("run", "1");
	/* what khugepaged does not take: all from the first such page on */
	first = atoi(shared) < 400 ? 2 : 6;
	CHECK_SOON(all_merged(first), 3 * LONG);
	note("merged after %lld rounds, %lld huge pages made and split",
	     sysfs_num("full_scans") - rounds, made_and_split() - made);
	msleep(4000 * slowness());
	before = made_and_split();
	note("settling: %lld huge pages made and split", before - made);
	for (i = 0; i < 8; i++) {
		msleep(500 * slowness());
		CHECK(all_merged(first));
	}
	made = made_and_split() - before;
	note("after that, in %d s: %lld", 4 * slowness(), made);
	/*
	 * Each of the two processes' huge pages made and split three times, in
	 * two rounds; in circles it is many hundreds.
	 */
	CHECK_OP(made, <=, 2 * 2 * 3 * 2 * (long long)HPAGES);
	for (i = 0; i < 2; i++)
		CHECK_EQ(worker_call(&w[i], w_bad_kinds, p[i], OWN + i), 0);
	khugepaged_set("scan_sleep_millisecs", "10000");
}

static void as_it_comes(void)
{
	beside("256");
}

static void told_to_take_shared(void)
{
	beside("511");
}

static const struct test_case cases[] = {
	{ "khugepaged with its own limits", as_it_comes, 180 },
	{ "khugepaged that takes shared pages", told_to_take_shared, 180 },
};

TEST_MAIN(0)
