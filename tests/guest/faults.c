// SPDX-License-Identifier: GPL-2.0
/* vm: timeout=240 */
/*
 * Allocations that fail, on a kernel with fault injection (the debug kernel).
 *
 * Each allocation site of the scanner in turn fails a few times in a
 * row. The kernel's filters pick the site: the scan thread alone, and only calls
 * from within a function of the module. That it really failed is read off the
 * kernel's count of what it has still to inject. Whatever fails, no byte
 * changes, and when memory is there again everything merges.
 */
#include "lib_faults.h"

#include <signal.h>

#define N 64
#define SEED 600
#define HUGE (2 * MIB)
#define BIG 16 /* huge pages; more than the smallest index is for */

#define SLAB(name_, ...) \
	.name = name_, .attr = "failslab", .in = { __VA_ARGS__ }
#define PAGES(name_, ...) \
	.name = name_, .attr = "fail_page_alloc", .in = { __VA_ARGS__ }

static const struct fault_site sites[] = {
	{ SLAB("frame", "uksm_frame_create") },
	{ PAGES("page of a frame", "uksm_frame_copy", "uksm_merge_batch"),
	  .not_in = "kmem_cache_alloc_noprof", .shared = true },
	{ SLAB("item of a merge", "uksm_merge_lock", "uksm_merge_batch") },
	{ SLAB("index", "uksm_lookup_setup", "uksm_lookup_resize"), .big = true },
	{ PAGES("pages of the index", "uksm_lookup_setup", "uksm_lookup_resize"),
	  .big = true },
	{ SLAB("zero pages of a region", "uksm_region_zero_init") },
	{ SLAB("sums of a region", "uksm_region_sum_init"), .big = true },
	{ SLAB("regions of a space", "uksm_space_grow", "uksm_space_add",
	       "uksm_space_region_get"),
	  .not_in = "uksm_region_sum_init" },
	{ SLAB("space", "uksm_space_create", "uksm_space_note",
	       "uksm_process_note", "uksm_spaces_refresh"),
	  .not_in = "__xa_alloc_cyclic" },
	{ SLAB("id of a space", "__xa_alloc_cyclic") },
	{ PAGES("pages of the self-test", "uksm_frames_selftest") },
};

/* ---- while merging ---------------------------------------------------- */

static struct worker w[2];
static u8 *p[2];
static u8 *big;

static void fail_in(pid_t pid)
{
	char path[64];
	int err;

	snprintf(path, sizeof(path), "/proc/%d/make-it-fail", pid);
	err = file_write(path, "1");
	if (err)
		FAIL("%s: %s", path, strerror(-err));
}

/* Equal pages and zero pages in two processes. */
static void fill_all(u64 seed)
{
	int i;

	for (i = 0; i < 2; i++) {
		worker_fill(&w[i], p[i], N, seed, 0);
		worker_call(&w[i], w_madvise, p[i] + N * PAGE, N,
			    MADV_POPULATE_WRITE);
	}
}

static size_t merged(void)
{
	return count_same(w[0].pid, p[0], w[1].pid, p[1], N) +
	       count_zero(w[0].pid, p[0] + N * PAGE, N) +
	       count_zero(w[1].pid, p[1] + N * PAGE, N);
}

static void all_right(u64 seed)
{
	int i;

	for (i = 0; i < 2; i++) {
		CHECK_EQ(worker_bad(&w[i], p[i], N, seed, 0), 0);
		CHECK_EQ(worker_call(&w[i], w_bad_zero, p[i] + N * PAGE, N), 0);
	}
}

/* Huge pages, which count as many, are looked at one by one, and are not split. */
static void big_map(void)
{
	size_t i;

	big = mmap(NULL, (BIG + 1) * HUGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(big != MAP_FAILED);
	madvise(big, (BIG + 1) * HUGE, MADV_HUGEPAGE);
	for (i = 0; i < BIG + 1; i++)
		memset(big + i * HUGE, 1 + i, PAGE);
}

/* A child shares all pages: none of them can become a frame as it is. */
static long w_share(long a, long b, long c, long d)
{
	(void)a, (void)b, (void)c, (void)d;
	return fork() ?: pause();
}

static void try_site(const struct fault_site *s, u64 seed)
{
	double start = now();
	pid_t sharer[2];
	long long left;
	int i;

	unmerge_all();
	fill_all(seed);
	for (i = 0; s->shared && i < 2; i++) {
		sharer[i] = worker_call(&w[i], w_share);
		CHECK_OP(sharer[i], >, 0);
	}
	if (s->big)
		big_map();
	faults_arm(s);
	sysfs_set("run", "1");
	if (!WAIT_FOR((left = faults_left(s)) == 0, 30 * slowness()))
		FAIL("%s: %lld of %d allocations failed", s->name,
		     FAULT_TIMES - left, FAULT_TIMES);
	faults_disarm(s);
	CHECK_SOON_EQ(merged(), 3 * N, LONG);
	all_right(seed);
	if (s->big)
		munmap(big, (BIG + 1) * HUGE);
	for (i = 0; s->shared && i < 2; i++)
		kill(sharer[i], SIGKILL);
	note("%s: failed %d times, %.1f s", s->name, FAULT_TIMES,
	     now() - start);
}

/* For run=2 the pages are allocated by whoever writes it. */
static void try_unmerge(u64 seed)
{
	static const struct fault_site copies = { PAGES("copies of frames",
							"uksm_unmerge_all") };

	fail_in(getpid());
	faults_arm(&copies);
	CHECK_EQ(sysfs_write("run", "2"), -ENOMEM);
	faults_disarm(&copies);
	CHECK_OP(faults_left(&copies), <, FAULT_TIMES);
	all_right(seed);
	CHECK_EQ(sysfs_write("run", "2"), 0);
	CHECK_EQ(sysfs_num("pages_shared"), 0);
	CHECK_EQ(merged(), 0);
	all_right(seed);
}

static void while_merging(void)
{
	size_t i;

	faults_need();
	sysfs_set("thp_split_percent", "100");
	for (i = 0; i < 2; i++) {
		worker_start(&w[i]);
		p[i] = (u8 *)worker_call(&w[i], w_map, 2 * N);
	}
	fail_in(thread_pid("uksmd"));
	for (i = 0; i < ARRAY_SIZE(sites); i++)
		try_site(&sites[i], SEED + i);
	try_unmerge(SEED + i - 1);
}

static const struct test_case cases[] = {
	{ "each allocation of the scanner fails", while_merging, 60 },
};

TEST_MAIN(0)
