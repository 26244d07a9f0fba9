// SPDX-License-Identifier: GPL-2.0
/*
 * Two processes that filled their memory independently with the same content
 * end up on the same page frames, marked as KSM pages; what differs stays
 * apart; the counters say so and the memory is really free again.
 *
 * Without merging the page frame numbers stay different and every case runs
 * into its wait.
 */
#include "lib.h"

#define N 512

static void all_pages(void)
{
	struct worker a, b;
	void *pa, *pb;

	worker_start(&a);
	worker_start(&b);
	pa = worker_map_filled(&a, N, 1, 0);
	pb = worker_map_filled(&b, N, 1, 0);
	CHECK_SOON_EQ(count_same(a.pid, pa, b.pid, pb, N), N, LONG);
	CHECK_EQ(worker_bad(&a, pa, N, 1, 0), 0);
	CHECK_EQ(worker_bad(&b, pb, N, 1, 0), 0);
	/* reading must not have undone it */
	CHECK_EQ(count_same(a.pid, pa, b.pid, pb, N), N);
}

static void exact_counters(void)
{
	struct worker a, b;
	struct counters c;
	void *pa, *pb;

	marked_only();
	worker_start(&a);
	worker_start(&b);
	pa = worker_map_filled(&a, N, 2, 0);
	pb = worker_map_filled(&b, N, 2, 0);
	CHECK_SOON_EQ(count_same(a.pid, pa, b.pid, pb, N), N, LONG);
	CHECK_SOON_EQ(sysfs_num("pages_shared"), N, LONG);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), N, LONG);
	settle(2);
	counters_get(&c);
	CHECK_EQ(c.shared, N);
	CHECK_EQ(c.sharing, N);
	CHECK_OP(c.pages_scanned, >=, on_ksmd() ? 0 : 2 * N);
	CHECK_EQ(count_same(a.pid, pa, b.pid, pb, N), N);
}

/* Only the second half of A is the first half of B. */
static void partly(void)
{
	struct worker a, b;
	u8 *pa, *pb;

	marked_only();
	worker_start(&a);
	worker_start(&b);
	pa = worker_map_filled(&a, N, 3, 0);
	pb = worker_map_filled(&b, N, 3, N / 2);
	CHECK_SOON_EQ(count_same(a.pid, pa + N / 2 * PAGE, b.pid, pb, N / 2),
		      N / 2, LONG);
	settle(3);
	CHECK_EQ(count_mapped_twice(a.pid, pa, N / 2), 0);
	CHECK_EQ(count_mapped_twice(b.pid, pb + N / 2 * PAGE, N / 2), 0);
	CHECK_SOON_EQ(sysfs_num("pages_shared"), N / 2, LONG);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), N / 2, LONG);
	CHECK_SOON_EQ(sysfs_num("pages_unshared"), N, LONG);
	CHECK_EQ(worker_bad(&a, pa, N, 3, 0), 0);
	CHECK_EQ(worker_bad(&b, pb, N, 3, N / 2), 0);
}

/* Same content at other offsets, in another order: place must not matter. */
static void shuffled(void)
{
	struct worker a, b;
	size_t i, found = 0;
	u8 *pa, *pb;

	marked_only();
	worker_start(&a);
	worker_start(&b);
	pa = worker_map_filled(&a, 64, 4, 0);
	pb = (u8 *)worker_call(&b, w_map_marked, 64);
	for (i = 0; i < 64; i++)
		worker_fill(&b, pb + (63 - i) * PAGE, 1, 4, i);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), 64, LONG);
	for (i = 0; i < 64; i++)
		found += count_same(a.pid, pa + i * PAGE, b.pid,
				    pb + (63 - i) * PAGE, 1);
	CHECK_EQ(found, 64);
}

/* Half of 32 MiB must really be free again; other processes move a little. */
static void memory_freed(void)
{
	const size_t pages = 16 * MIB / PAGE;
	long long anon, mem_free;
	struct worker a, b;
	void *pa, *pb;

	worker_start(&a);
	worker_start(&b);
	sysfs_set("run", "0");
	pa = worker_map_filled(&a, pages, 5, 0);
	pb = worker_map_filled(&b, pages, 5, 0);
	anon = meminfo_kb("AnonPages");
	mem_free = free_kb();
	sysfs_set("run", "1");
	CHECK_SOON_EQ(count_same(a.pid, pa, b.pid, pb, pages), pages, LONG);
	CHECK_SOON(meminfo_kb("AnonPages") <= anon - 15 * 1024, 10);
	CHECK_SOON(free_kb() >= mem_free + 14 * 1024, 10);
	note("kB before and after: AnonPages %lld %lld, free %lld %lld", anon,
	     meminfo_kb("AnonPages"), mem_free, free_kb());
	CHECK_EQ(worker_bad(&b, pb, pages, 5, 0), 0);
}

/* Nothing set by anyone: as after insmod. */
static void default_settings(void)
{
	struct worker a, b;
	void *pa, *pb;

	if (on_ksmd())
		skip("ksmd's defaults are off");
	sysfs_set("run", "0");
	sysfs_set("cpu_governor", "medium");
	sysfs_set("max_cpu_percentage", "50");
	sysfs_set("pages_to_scan", "0");
	sysfs_set("sleep_millisecs", "20");
	sysfs_set("min_age_millisecs", "1000");
	sysfs_set("run", "1");
	worker_start(&a);
	worker_start(&b);
	pa = worker_map_filled(&a, N, 7, 0);
	pb = worker_map_filled(&b, N, 7, 0);
	CHECK_SOON_EQ(count_same(a.pid, pa, b.pid, pb, N), N, LONG);
}

/* Processes that were exec'd share nothing by birth. */
static void execd(void)
{
	struct worker a, b;
	void *pa, *pb;

	worker_start_exec(&a);
	worker_start_exec(&b);
	pa = worker_map_filled(&a, N, 8, 0);
	pb = worker_map_filled(&b, N, 8, 0);
	CHECK_SOON_EQ(count_same(a.pid, pa, b.pid, pb, N), N, LONG);
	CHECK_EQ(worker_bad(&a, pa, N, 8, 0), 0);
	CHECK_EQ(worker_bad(&b, pb, N, 8, 0), 0);
}

/* What the kernel itself says of them, for ps, smem and the like. */
static void shown_as_ksm(void)
{
	struct worker a, b;
	void *pa, *pb;

	worker_start(&a);
	worker_start(&b);
	pa = worker_map_filled(&a, N, 10, 0);
	pb = worker_map_filled(&b, N, 10, 0);
	if (smaps_ksm_kb(a.pid, pa, N) < 0)
		skip("smaps has no KSM line on this kernel");
	CHECK_SOON_EQ(count_same(a.pid, pa, b.pid, pb, N), N, LONG);
	CHECK_EQ(smaps_ksm_kb(a.pid, pa, N), N * PAGE / 1024);
	CHECK_EQ(smaps_ksm_kb(b.pid, pb, N), N * PAGE / 1024);
}

/* A process that is younger than min_age_millisecs is left alone until it is not. */
static void young_left_alone(void)
{
	struct worker a, b;
	void *pa, *pb;

	if (on_ksmd())
		skip("ksmd has no min_age_millisecs");
	sysfs_set("min_age_millisecs", "15000");
	worker_start(&a);
	worker_start(&b);
	pa = worker_map_filled(&a, 16, 9, 0);
	pb = worker_map_filled(&b, 16, 9, 0);
	settle(3);
	CHECK_EQ(count_merged(a.pid, pa, 16), 0);
	CHECK_EQ(count_merged(b.pid, pb, 16), 0);
	CHECK_SOON_EQ(count_same(a.pid, pa, b.pid, pb, 16), 16, LONG);
}

static const struct test_case cases[] = {
	{ "two processes share every equal page", all_pages, 90 },
	{ "pages_shared and pages_sharing are exact", exact_counters, 90 },
	{ "only what is equal is merged", partly, 90 },
	{ "equal pages at other places merge", shuffled, 90 },
	{ "what was merged is free memory again", memory_freed, 120 },
	{ "exec'd processes merge", execd, 90 },
	{ "smaps shows them as KSM pages", shown_as_ksm, 90 },
	{ "default settings merge within a minute", default_settings, 90 },
	{ "young processes are left alone", young_left_alone, 120 },
};

TEST_MAIN(0)
