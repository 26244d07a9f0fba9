// SPDX-License-Identifier: GPL-2.0
/*
 * Equal pages of one process merge with each other, within an area and across
 * areas, and come apart again when written; no frame ever has more mappings
 * than max_page_sharing, and what is over goes to another frame of the same
 * content.
 *
 * Without it the pages keep page frames of their own; without the limit one
 * frame takes all.
 */
#include "lib.h"

#define N 128

static void same_content(void *p, size_t n, u64 seed)
{
	size_t i;

	for (i = 0; i < n; i++)
		fill((u8 *)p + i * PAGE, 1, seed, 7);
}

static size_t bad_same(void *p, size_t n, u64 seed)
{
	size_t i, bad = 0;

	for (i = 0; i < n; i++)
		bad += bad_pages((u8 *)p + i * PAGE, 1, seed, 7);
	return bad;
}

static size_t frames_of(void *p, size_t n)
{
	size_t most;

	return count_frames(getpid(), p, n, &most);
}

static void one_area(void)
{
	void *p;

	marked_only();
	p = map_marked(N);
	same_content(p, N, 40);
	CHECK_SOON_EQ(frames_of(p, N), 1, LONG);
	CHECK_EQ(count_merged(getpid(), p, N), N);
	CHECK_SOON_EQ(sysfs_num("pages_shared"), 1, LONG);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), N - 1, LONG);
	CHECK_EQ(bad_same(p, N, 40), 0);
}

/* Not marked, as a program that knows nothing of merging. */
static void unmarked(void)
{
	void *p = map_pages(N);

	same_content(p, N, 41);
	CHECK_SOON_EQ(frames_of(p, N), 1, LONG);
	CHECK_EQ(count_merged(getpid(), p, N), N);
	CHECK_EQ(bad_same(p, N, 41), 0);
}

static void two_areas(void)
{
	void *p, *q;

	marked_only();
	p = map_filled(N, 42, 0);
	q = map_filled(N, 42, 0);
	CHECK_SOON_EQ(count_same(getpid(), p, getpid(), q, N), N, LONG);
	CHECK_SOON_EQ(sysfs_num("pages_shared"), N, LONG);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), N, LONG);
	CHECK_EQ(bad_pages(p, N, 42, 0), 0);
	CHECK_EQ(bad_pages(q, N, 42, 0), 0);
}

/* Every other page is written: the rest keeps the frame and the content. */
static void half_written(void)
{
	size_t i;
	u8 *p;

	marked_only();
	p = map_marked(N);
	same_content(p, N, 43);
	CHECK_SOON_EQ(frames_of(p, N), 1, LONG);
	for (i = 0; i < N; i += 2)
		fill(p + i * PAGE, 1, 44, i);
	for (i = 0; i < N; i++) {
		if (i % 2)
			CHECK_EQ(bad_pages(p + i * PAGE, 1, 43, 7), 0);
		else
			CHECK_EQ(bad_pages(p + i * PAGE, 1, 44, i), 0);
	}
	CHECK_EQ(frames_of(p, N), N / 2 + 1);
	CHECK_SOON_EQ(sysfs_num("pages_shared"), 1, LONG);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), N / 2 - 1, LONG);
}

/* Heap and stack are memory as any other. */
static void heap_and_stack(void)
{
	u8 stack[34 * PAGE], *heap = malloc(34 * PAGE);
	u8 *s = (u8 *)(((uintptr_t)stack + PAGE) & ~(PAGE - 1));
	u8 *h = (u8 *)(((uintptr_t)heap + PAGE) & ~(PAGE - 1));

	if (on_ksmd())
		skip("ksmd takes marked areas only");
	fill(s, 32, 45, 0);
	fill(h, 32, 45, 0);
	CHECK_SOON_EQ(count_same(getpid(), s, getpid(), h, 32), 32, LONG);
	CHECK_EQ(bad_pages(s, 32, 45, 0), 0);
	CHECK_EQ(bad_pages(h, 32, 45, 0), 0);
	free(heap);
}

static void limit_kept(void)
{
	size_t most = 0, frames;
	int i;
	void *p;

	marked_only();
	unmerge_all();
	sysfs_set("max_page_sharing", "8");
	sysfs_set("run", "1");
	p = map_marked(N);
	same_content(p, N, 46);
	CHECK_SOON_EQ(count_merged(getpid(), p, N), N, LONG);
	for (i = 0; i < 5; i++) {
		settle(1);
		frames = count_frames(getpid(), p, N, &most);
		CHECK_OP(most, <=, 8);
		CHECK_OP(frames, >=, N / 8);
		CHECK_OP(frames, <=, N / 2);
	}
	note("%zu mappings, limit 8: %zu frames", (size_t)N, frames);
	CHECK_SOON_EQ(sysfs_num("pages_shared"), frames, LONG);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), N - frames, LONG);
	CHECK_EQ(bad_same(p, N, 46), 0);
}

static void limit_of_two(void)
{
	size_t most, frames;
	void *p;

	marked_only();
	unmerge_all();
	sysfs_set("max_page_sharing", "2");
	sysfs_set("run", "1");
	p = map_marked(N);
	same_content(p, N, 47);
	CHECK_SOON_EQ(count_merged(getpid(), p, N), N, LONG);
	settle(2);
	frames = count_frames(getpid(), p, N, &most);
	CHECK_OP(most, <=, 2);
	/* a page that was busy may have left a frame with one mapping */
	CHECK_OP(frames, >=, N / 2);
	CHECK_OP(frames, <=, N / 2 + 2);
	CHECK_EQ(bad_same(p, N, 47), 0);
}

/* The default of 256 holds too. */
static void limit_default(void)
{
	const size_t n = 600;
	size_t most, frames;
	void *p;

	marked_only();
	p = map_marked(n);
	same_content(p, n, 48);
	CHECK_SOON_EQ(count_merged(getpid(), p, n), n, LONG);
	settle(2);
	frames = count_frames(getpid(), p, n, &most);
	note("600 mappings, limit 256: %zu frames, at most %zu each", frames,
	     most);
	CHECK_OP(most, <=, 256);
	CHECK_OP(frames, >=, 3);
	CHECK_OP(frames, <=, 12);
	CHECK_EQ(bad_same(p, n, 48), 0);
}

static const struct test_case cases[] = {
	{ "equal pages of one area become one frame", one_area, 90 },
	{ "in memory that nobody marked", unmarked, 90 },
	{ "equal pages of two areas", two_areas, 90 },
	{ "half of the mappings are written", half_written, 90 },
	{ "heap and stack", heap_and_stack, 90 },
	{ "max_page_sharing of 8 is kept", limit_kept, 90 },
	{ "max_page_sharing of 2 is kept", limit_of_two, 90 },
	{ "the default max_page_sharing is kept", limit_default, 90 },
};

TEST_MAIN(0)
