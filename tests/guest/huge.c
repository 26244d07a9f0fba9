// SPDX-License-Identifier: GPL-2.0
/* vm: timeout=240 append="transparent_hugepage=always" */
/*
 * Huge pages: split when enough of one would merge, and left whole otherwise.
 *
 * Without the judgement the second case finds its huge page split; without the
 * split the first finds nothing merged.
 */
#include "lib.h"

#define HPAGES 4UL
#define N (HPAGES * HPAGE / PAGE)
#define KPF_THP 22

/* Huge pages, the first @same pages of each filled alike in all workers. */
static long w_map_huge(long seed, long same, long b, long c)
{
	u8 *p = map_aligned(N);
	size_t i;

	(void)b, (void)c;
	madvise(p, HPAGES * HPAGE, MADV_HUGEPAGE);
	for (i = 0; i < N; i++) {
		u64 *w = (u64 *)(p + i * PAGE);
		size_t k;

		for (k = 0; k < PAGE / 8; k++)
			w[k] = (i % 512 < (size_t)same ? 7 : (u64)seed) << 32 |
			       i << 12 | k;
	}
	return (long)p;
}

/* How many pages are not what w_map_huge() made them. */
static long w_check_huge(long addr, long seed, long same, long c)
{
	u8 *p = (u8 *)addr;
	long bad = 0;
	size_t i, k;

	(void)c;
	for (i = 0; i < N; i++) {
		u64 *w = (u64 *)(p + i * PAGE);

		for (k = 0; k < PAGE / 8; k++) {
			if (w[k] != ((i % 512 < (size_t)same ? 7 : (u64)seed)
				     << 32 | i << 12 | k)) {
				bad++;
				break;
			}
		}
	}
	return bad;
}

static size_t huge_pages(pid_t pid, u8 *p)
{
	size_t i, n = 0;

	for (i = 0; i < HPAGES; i++) {
		u64 pfn = pfn_of(pid, p + i * HPAGE);

		n += pfn && (kpageflags(pfn) >> KPF_THP & 1);
	}
	return n;
}

static void both(long same, struct worker *a, struct worker *b, u8 **pa, u8 **pb)
{
	/* What it collapsed again might not be split any more. */
	file_write("/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs",
		   "3600000");
	worker_start(a);
	worker_start(b);
	*pa = (u8 *)worker_call(a, w_map_huge, 1, same);
	*pb = (u8 *)worker_call(b, w_map_huge, 2, same);
	if (huge_pages(a->pid, *pa) != HPAGES ||
	    huge_pages(b->pid, *pb) != HPAGES)
		skip("no huge pages to be had");
}

static void split(void)
{
	struct worker a, b;
	u8 *pa, *pb;

	sysfs_set("run", "0");
	both(512, &a, &b, &pa, &pb);
	sysfs_set("run", "1");
	CHECK_SOON_EQ(count_same(a.pid, pa, b.pid, pb, N), N, LONG);
	CHECK_EQ(worker_call(&a, w_check_huge, (long)pa, 1, 512), 0);
	CHECK_EQ(worker_call(&b, w_check_huge, (long)pb, 2, 512), 0);
}

static void whole(void)
{
	struct worker a, b;
	u8 *pa, *pb;

	sysfs_set("run", "0");
	both(50, &a, &b, &pa, &pb);
	sysfs_set("thp_split_percent", "25");
	sysfs_set("run", "1");
	settle(20);
	CHECK_EQ(huge_pages(a.pid, pa), HPAGES);
	CHECK_EQ(huge_pages(b.pid, pb), HPAGES);
	CHECK_EQ(worker_call(&a, w_check_huge, (long)pa, 1, 50), 0);
}

static void at_a_lower_limit(void)
{
	struct worker a, b;
	u8 *pa, *pb;

	sysfs_set("run", "0");
	both(50, &a, &b, &pa, &pb);
	sysfs_set("thp_split_percent", "5");
	sysfs_set("run", "1");
	CHECK_SOON_EQ(count_same(a.pid, pa, b.pid, pb, 50), 50, LONG);
	CHECK_EQ(worker_call(&a, w_check_huge, (long)pa, 1, 50), 0);
	CHECK_EQ(worker_call(&b, w_check_huge, (long)pb, 2, 50), 0);
	sysfs_set("thp_split_percent", "25");
}

static const struct test_case cases[] = {
	{ "huge pages that are alike are split and merged", split, 90 },
	{ "those with too little in common stay whole", whole, 90 },
	{ "unless thp_split_percent says so", at_a_lower_limit, 90 },
};

TEST_MAIN(0)
