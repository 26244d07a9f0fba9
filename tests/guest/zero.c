// SPDX-License-Identifier: GPL-2.0
/*
 * Pages full of zeroes become the kernel's shared zero page (use_zero_pages=1)
 * or are merged as any other (0); resident memory falls; writing gives a page
 * of one's own; the counter follows; the process exits with its counts right
 * (the kernel log is watched for a bad rss-counter).
 */
#include "lib.h"

#define N 256

static void zero_filled(void *p, size_t n)
{
	memset(p, 1, n * PAGE);
	memset(p, 0, n * PAGE);
}

static long w_zero(long at, long n, long b, long c)
{
	(void)b, (void)c;
	zero_filled((void *)at, n);
	return 0;
}

static void to_zero_page(void)
{
	long long rss;
	void *p;

	marked_only();
	sysfs_set("run", "0");
	p = map_marked(N);
	zero_filled(p, N);
	rss = status_kb(getpid(), "RssAnon");
	CHECK_EQ(count_zero(getpid(), p, N), 0);
	sysfs_set("run", "1");
	CHECK_SOON_EQ(count_zero(getpid(), p, N), N, LONG);
	CHECK_EQ(bad_zero(p, N), 0);
	note("RssAnon %lld kB before, %lld after", rss,
	     status_kb(getpid(), "RssAnon"));
	CHECK_SOON(status_kb(getpid(), "RssAnon") <=
			   rss - (long long)(N * PAGE / 1024 / 2),
		   10);
	if (sysfs_has("ksm_zero_pages"))
		CHECK_SOON_EQ(sysfs_num("ksm_zero_pages"), N, LONG);
	CHECK_SOON_EQ(sysfs_num("pages_shared"), 0, LONG);
}

static void written_again(void)
{
	struct worker w;
	u8 *p;

	marked_only();
	worker_start(&w);
	p = (u8 *)worker_call(&w, w_map_marked, N);
	worker_call(&w, w_zero, p, N);
	CHECK_SOON_EQ(count_zero(w.pid, p, N), N, LONG);
	worker_fill(&w, p, N / 2, 110, 0);
	CHECK_EQ(worker_bad(&w, p, N / 2, 110, 0), 0);
	CHECK_EQ(worker_call(&w, w_bad_zero, p + N / 2 * PAGE, N / 2), 0);
	if (sysfs_has("ksm_zero_pages"))
		CHECK_SOON_EQ(sysfs_num("ksm_zero_pages"), N / 2, LONG);
	/* zeroed again it comes back */
	worker_call(&w, w_zero, p, N / 2);
	CHECK_SOON_EQ(count_zero(w.pid, p, N), N, LONG);
	worker_exit(&w);
	if (sysfs_has("ksm_zero_pages"))
		CHECK_SOON_EQ(sysfs_num("ksm_zero_pages"), 0, LONG);
}

static void forked(void)
{
	struct worker w;
	u8 *p;

	marked_only();
	p = map_marked(N);
	zero_filled(p, N);
	CHECK_SOON_EQ(count_zero(getpid(), p, N), N, LONG);
	worker_start(&w);
	worker_fill(&w, p, N, 111, 0);
	CHECK_EQ(bad_zero(p, N), 0);
	CHECK_EQ(worker_bad(&w, p, N, 111, 0), 0);
	fill(p, N / 2, 112, 0);
	CHECK_EQ(worker_bad(&w, p, N, 111, 0), 0);
	CHECK_EQ(bad_zero(p + N / 2 * PAGE, N / 2), 0);
	worker_exit(&w);
	settle(2);
	if (sysfs_has("ksm_zero_pages"))
		CHECK_SOON_EQ(sysfs_num("ksm_zero_pages"), N / 2, LONG);
}

static void munmapped(void)
{
	u8 *p;

	marked_only();
	p = map_marked(N);
	zero_filled(p, N);
	CHECK_SOON_EQ(count_zero(getpid(), p, N), N, LONG);
	CHECK_EQ(madvise(p, N / 2 * PAGE, MADV_DONTNEED), 0);
	CHECK_EQ(munmap(p + N / 2 * PAGE, N / 2 * PAGE), 0);
	if (sysfs_has("ksm_zero_pages"))
		CHECK_SOON_EQ(sysfs_num("ksm_zero_pages"), 0, LONG);
	CHECK_EQ(bad_zero(p, N / 2), 0);
}

/* As any other content: one frame, marked KSM, not the zero page. */
static void not_to_zero_page(void)
{
	size_t most;
	void *p;

	marked_only();
	unmerge_all();
	sysfs_set("use_zero_pages", "0");
	sysfs_set("run", "1");
	p = map_marked(N);
	zero_filled(p, N);
	CHECK_SOON_EQ(count_frames(getpid(), p, N, &most), 1, LONG);
	CHECK_EQ(count_zero(getpid(), p, N), 0);
	CHECK_EQ(count_merged(getpid(), p, N), N);
	CHECK_EQ(bad_zero(p, N), 0);
	CHECK_SOON_EQ(sysfs_num("pages_shared"), 1, LONG);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), N - 1, LONG);
	if (sysfs_has("ksm_zero_pages"))
		CHECK_EQ(sysfs_num("ksm_zero_pages"), 0);
	fill(p, N / 2, 113, 0);
	CHECK_EQ(bad_zero((u8 *)p + N / 2 * PAGE, N / 2), 0);
}

/* A page that is all zeroes but for one byte must not be lost. */
static void nearly_zero(void)
{
	size_t i, bad = 0;
	u8 *p;

	marked_only();
	p = map_marked(N);
	zero_filled(p, N);
	for (i = 0; i < N; i += 2)
		p[i * PAGE + i * 31 % PAGE] = 1 + i % 200;
	CHECK_SOON_EQ(count_zero(getpid(), p, N), N / 2, LONG);
	settle(3);
	CHECK_EQ(count_zero(getpid(), p, N), N / 2);
	for (i = 0; i < N; i += 2)
		bad += p[i * PAGE + i * 31 % PAGE] != 1 + i % 200;
	CHECK_EQ(bad, 0);
}

/* run=2 makes them private again where the kernel can tell (6.12 and later). */
static void unmerged(void)
{
	void *p;

	marked_only();
	p = map_marked(N);
	zero_filled(p, N);
	CHECK_SOON_EQ(count_zero(getpid(), p, N), N, LONG);
	unmerge_all();
	CHECK_EQ(bad_zero(p, N), 0);
	note("zero pages left after run=2: %zu of %d",
	     count_zero(getpid(), p, N), N);
	if (sysfs_has("ksm_zero_pages"))
		CHECK_EQ(sysfs_num("ksm_zero_pages"), 0);
}

/* Zero pages that were only ever read are not the module's and not counted. */
static void read_faulted(void)
{
	u8 *p;

	marked_only();
	p = map_marked(N);
	CHECK_EQ(bad_zero(p, N), 0);
	CHECK_EQ(count_zero(getpid(), p, N), N);
	settle(3);
	CHECK_OP(sysfs_num("ksm_zero_pages"), <=, 0);
	CHECK_EQ(bad_zero(p, N), 0);
}

/* Without marks, as everybody's calloc. */
static void unmarked(void)
{
	void *p = map_pages(N);

	zero_filled(p, N);
	CHECK_SOON_EQ(count_zero(getpid(), p, N), N, LONG);
	CHECK_EQ(bad_zero(p, N), 0);
}

static const struct test_case cases[] = {
	{ "zero pages become the zero page", to_zero_page, 90 },
	{ "written and zeroed again", written_again, 90 },
	{ "forked", forked, 90 },
	{ "discarded and unmapped", munmapped, 90 },
	{ "use_zero_pages=0 merges them as others", not_to_zero_page, 90 },
	{ "nearly zero pages are kept", nearly_zero, 90 },
	{ "run=2", unmerged, 90 },
	{ "read-faulted zero pages are not counted", read_faulted, 90 },
	{ "in memory that nobody marked", unmarked, 90 },
};

TEST_MAIN(0)
