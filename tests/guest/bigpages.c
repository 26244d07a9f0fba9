// SPDX-License-Identifier: GPL-2.0
/* vm: mem=2560 swap=128 timeout=240 */
/* vm: append="transparent_hugepage=madvise default_hugepagesz=2M hugepagesz=2M hugepages=4 hugepagesz=1G hugepages=1" */
/*
 * Pages of other sizes beside merging: those of hugetlbfs, large folios mapped
 * by single entries, huge pages of which a part is gone or copied. They are
 * split where that brings something, or left alone, and never wrong.
 */
#include "lib.h"

#include <linux/mman.h>
#include <sys/wait.h>

#define PER 512UL
#define N (2 * PER)
#define SEED 530
#define NEW 531
#define MTHP "/sys/kernel/mm/transparent_hugepage/hugepages-64kB/"

static struct worker w[2];
static u8 *p[2];

static void start(worker_fn map, long arg)
{
	int i;

	sysfs_set("run", "0");
	for (i = 0; i < 2; i++) {
		worker_start(&w[i]);
		p[i] = (u8 *)worker_call(&w[i], map, arg);
		if (!p[i])
			skip("no such pages to be had");
		worker_fill(&w[i], p[i], N, SEED, 0);
	}
}

static void right(u64 first, u64 second)
{
	CHECK_EQ(worker_bad(&w[0], p[0], N, first, 0), 0);
	CHECK_EQ(worker_bad(&w[1], p[1], N, second, 0), 0);
}

/* ---- hugetlbfs ---- */

static long w_map_hugetlb(long flag, long b, long c, long d)
{
	size_t size = flag == MAP_HUGE_1GB ? 1024 * MIB : N * PAGE;
	u8 *m = mmap(NULL, size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | flag, -1, 0);

	(void)b, (void)c, (void)d;
	return m == MAP_FAILED ? 0 : (long)m;
}

static void hugetlb_2m(void)
{
	u8 *q;

	start(w_map_hugetlb, MAP_HUGE_2MB);
	sysfs_set("run", "1");
	/* ordinary pages of the same content beside them */
	q = worker_map_filled(&w[0], 2 * N, SEED, 0);
	worker_fill(&w[0], q + N * PAGE, N, SEED, 0);
	CHECK_SOON_EQ(count_merged(w[0].pid, q, 2 * N), 2 * N, LONG);
	settle(10);
	CHECK_EQ(count_merged(w[0].pid, p[0], N), 0);
	CHECK_EQ(count_merged(w[1].pid, p[1], N), 0);
	worker_fill(&w[1], p[1], N, NEW, 0);
	right(SEED, NEW);
	CHECK_EQ(worker_bad(&w[0], q, N, SEED, 0), 0);
}

static void hugetlb_1g(void)
{
	u8 *q, *g;

	sysfs_set("run", "0");
	worker_start(&w[0]);
	g = (u8 *)worker_call(&w[0], w_map_hugetlb, MAP_HUGE_1GB);
	if (!g)
		skip("no page of 1 GiB");
	worker_fill(&w[0], g, N, SEED, 0); /* and zeros behind */
	q = worker_map_filled(&w[0], N, SEED, 0);
	worker_start(&w[1]);
	p[1] = worker_map_filled(&w[1], N, SEED, 0);
	sysfs_set("run", "1");
	CHECK_SOON_EQ(count_same(w[0].pid, q, w[1].pid, p[1], N), N, LONG);
	settle(10);
	CHECK_EQ(count_merged(w[0].pid, g, 2 * N), 0);
	CHECK_EQ(count_zero(w[0].pid, g, 2 * N), 0);
	CHECK_EQ(worker_bad(&w[0], g, N, SEED, 0), 0);
	CHECK_EQ(worker_call(&w[0], w_bad_zero, g + N * PAGE, N), 0);
}

/* ---- huge pages of which a part is gone, copied, or made anew ---- */

static long w_map_huge(long a, long b, long c, long d)
{
	u8 *m = map_aligned(N);

	(void)a, (void)b, (void)c, (void)d;
	madvise(m, N * PAGE, MADV_HUGEPAGE);
	return (long)m;
}

#define GONE 16 /* pages out of every 64 */

/* Of the first huge page parts are unmapped, of the second they are moved. */
static long w_take_parts(long at, long b, long c, long d)
{
	u8 *m = (u8 *)at;
	size_t i;

	(void)b, (void)c, (void)d;
	for (i = 0; i < PER; i += 64)
		if (munmap(m + i * PAGE, GONE * PAGE))
			return 0;
	for (i = PER; i < N; i += 64) {
		u8 *to = map_pages(GONE);

		if (mremap(m + i * PAGE, GONE * PAGE, GONE * PAGE,
			   MREMAP_MAYMOVE | MREMAP_FIXED, to) != to ||
		    bad_pages(to, GONE, SEED, i))
			return 0;
	}
	return 1;
}

static void parts_gone(void)
{
	size_t i, merged = 0;
	int k;

	start(w_map_huge, 0);
	for (k = 0; k < 2; k++)
		CHECK(worker_call(&w[k], w_take_parts, p[k]));
	sysfs_set("run", "1");
	settle(12);
	for (i = GONE; i < N; i += 64) {
		merged += count_merged(w[0].pid, p[0] + i * PAGE, 64 - GONE);
		for (k = 0; k < 2; k++)
			CHECK_EQ(worker_bad(&w[k], p[k] + i * PAGE, 64 - GONE,
					    SEED, i),
				 0);
	}
	note("%zu of %zu pages merged", merged, N / 64 * (64 - GONE));
	for (i = GONE; i < N; i += 64)
		worker_fill(&w[0], p[0] + i * PAGE, 64 - GONE, NEW, i);
	for (i = GONE; i < N; i += 64) {
		CHECK_EQ(worker_bad(&w[0], p[0] + i * PAGE, 64 - GONE, NEW, i),
			 0);
		CHECK_EQ(worker_bad(&w[1], p[1] + i * PAGE, 64 - GONE, SEED, i),
			 0);
	}
}

/* A child writes every other page; returns what it and the parent found wrong. */
static long w_fork_and_write(long at, long b, long c, long d)
{
	u8 *m = (u8 *)at;
	int status;
	size_t i;
	pid_t pid;

	(void)b, (void)c, (void)d;
	pid = fork();
	if (pid < 0)
		return -1;
	if (!pid) {
		size_t bad = 0;

		for (i = 0; i < N; i += 2)
			page_fill(m + i * PAGE, NEW, i);
		msleep(500); /* to be looked at */
		for (i = 0; i < N; i++)
			bad += !page_is(m + i * PAGE, i % 2 ? SEED : NEW, i);
		_exit(!!bad);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		return -1;
	return bad_pages(m, N, SEED, 0);
}

static void fork_and_write(void)
{
	int i;

	start(w_map_huge, 0);
	sysfs_set("run", "1");
	for (i = 0; i < 4; i++) {
		CHECK_EQ(worker_call(&w[i % 2], w_fork_and_write, p[i % 2]), 0);
		right(SEED, SEED);
	}
}

/* EAGAIN, while the scanner has a look at a page; EINVAL, once it has merged it. */
static long collapse(void)
{
	size_t k;

	/* the kernel wants a page that can be written */
	for (k = 0; k < N; k += PER)
		worker_fill(&w[0], p[0] + k * PAGE, 1, SEED, k);
	return worker_call(&w[0], w_madvise, p[0], N, MADV_COLLAPSE);
}

static void collapsed(void)
{
	int i;

	if (access("/sys/kernel/mm/transparent_hugepage", F_OK))
		skip("no huge pages in this kernel");
	start(w_map_huge, 0);
	sysfs_set("run", "1");
	for (i = 0; i < 2; i++) {
		CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N,
			      LONG);
		CHECK_SOON_EQ(collapse(), 0, LONG);
		right(SEED, SEED);
	}
	worker_fill(&w[0], p[0], N, NEW, 0);
	right(NEW, SEED);
}

/* ---- large folios mapped by single entries ---- */

/* map_pages() has no large folios. */
static long w_map_large(long a, long b, long c, long d)
{
	void *m = mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)a, (void)b, (void)c, (void)d;
	return m == MAP_FAILED ? 0 : (long)m;
}

static void large_folios(void)
{
	int i;

	if (file_write(MTHP "enabled", "always"))
		skip("no large folios of other sizes");
	start(w_map_large, 0);
	file_write(MTHP "enabled", "never");
	if (!(kpageflags(pfn_of(w[0].pid, p[0])) >> 15 & 3))
		skip("no large folio was given");
	sysfs_set("run", "1");
	settle(12);
	note("%zu of %lu pages merged", count_merged(w[0].pid, p[0], N), N);
	right(SEED, SEED);
	CHECK_EQ(worker_call(&w[0], w_fork_and_write, p[0]), 0);
	for (i = 0; i < 2; i++) {
		worker_call(&w[i], w_madvise, p[i], N, MADV_PAGEOUT);
		right(SEED, SEED);
	}
	worker_fill(&w[0], p[0], N, NEW, 0);
	settle(4);
	right(NEW, SEED);
	unmerge_all();
	right(NEW, SEED);
}

static const struct test_case cases[] = {
	{ "pages of hugetlbfs, 2 MiB", hugetlb_2m, 60 },
	{ "pages of hugetlbfs, 1 GiB", hugetlb_1g, 60 },
	{ "huge pages with parts unmapped and moved", parts_gone, 60 },
	{ "huge pages of which a child writes a part", fork_and_write, 60 },
	{ "collapsed by hand", collapsed, 60 },
	{ "large folios of 64 KiB", large_folios, 60 },
};

TEST_MAIN(0)
