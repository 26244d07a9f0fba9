// SPDX-License-Identifier: GPL-2.0
/* vm: swap=512 */
/*
 * mremap of merged memory: the moved pages keep content and frame, are copied
 * on write, can be paged out and migrated from their new place, and merge again.
 *
 * mremap moves page-table entries behind the module's back: what it knows of
 * the old address is stale. Relying on it shows as pages that cannot be
 * reclaimed, or wrong content. Of marked areas the kernel itself unmerges what
 * it moves, so most cases use memory that nobody marked.
 */
#include "lib.h"

#define N 64
#define OLD 100
#define NEW 101

static struct worker w[2];
static u8 *p[2];

static void merge(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		worker_start(&w[i]);
		p[i] = worker_map_filled(&w[i], N, OLD, 0);
	}
	CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N, LONG);
}

/* To a place of the kernel's choosing well away from the old one. */
static long w_move(long at, long n, long flags, long d)
{
	u8 *to = mmap(NULL, (n + 1024) * PAGE, PROT_NONE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *got;

	(void)d;
	if (to == MAP_FAILED)
		return 0;
	got = mremap((void *)at, n * PAGE, n * PAGE,
		     MREMAP_MAYMOVE | MREMAP_FIXED | flags, to + 512 * PAGE);
	return got == MAP_FAILED ? 0 : (long)got;
}

static void move(int i)
{
	p[i] = (u8 *)worker_call(&w[i], w_move, p[i], N, 0);
	CHECK(p[i]);
}

static void contents(u64 first, u64 second)
{
	CHECK_EQ(worker_bad(&w[0], p[0], N, first, 0), 0);
	CHECK_EQ(worker_bad(&w[1], p[1], N, second, 0), 0);
}

static void moved(void)
{
	merge();
	move(0);
	if (!on_ksmd())
		CHECK_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N);
	contents(OLD, OLD);
	settle(2);
	contents(OLD, OLD);
	CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N, LONG);
}

/* The kernel unmerges while it moves; then they merge again. */
static void marked_moved(void)
{
	marked_only();
	merge();
	move(0);
	contents(OLD, OLD);
	CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N, LONG);
	CHECK_SOON_EQ(sysfs_num("pages_shared"), N, LONG);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), N, LONG);
	worker_fill(&w[1], p[1], N, NEW, 0);
	contents(OLD, NEW);
}

static void moved_and_written(void)
{
	merge();
	move(0);
	move(1);
	worker_fill(&w[0], p[0], N, NEW, 0);
	contents(NEW, OLD);
	worker_fill(&w[1], p[1], N, NEW, 0);
	CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N, LONG);
	contents(NEW, NEW);
}

static void moved_many_times(void)
{
	int i;

	merge();
	for (i = 0; i < 20; i++) {
		move(i % 2);
		if (i % 5 == 4)
			settle(1);
		contents(OLD, OLD);
	}
	worker_fill(&w[1], p[1], N, NEW, 0);
	contents(OLD, NEW);
}

static long w_shrink(long at, long n, long to, long d)
{
	(void)d;
	return mremap((void *)at, n * PAGE, to * PAGE, 0) != (void *)at;
}

static void shrunk(void)
{
	marked_only();
	merge();
	CHECK_EQ(worker_call(&w[0], w_shrink, p[0], N, N / 2), 0);
	CHECK_EQ(worker_bad(&w[0], p[0], N / 2, OLD, 0), 0);
	CHECK_EQ(worker_bad(&w[1], p[1], N, OLD, 0), 0);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), N / 2, LONG);
	CHECK_SOON_EQ(sysfs_num("pages_shared"), N, LONG);
}

/* The old place stays mapped and empty. */
static void dont_unmap(void)
{
	u8 *old;

	merge();
	old = p[0];
	move(0);
	p[0] = (u8 *)worker_call(&w[0], w_move, p[0], N, MREMAP_DONTUNMAP);
	CHECK(p[0]);
	contents(OLD, OLD);
	settle(2);
	contents(OLD, OLD);
	worker_fill(&w[0], p[0], N, NEW, 0);
	contents(NEW, OLD);
	CHECK(old != p[0]);
}

/* After the unrelated mapper is gone the frame's only mapping is the moved one. */
static void alone_and_unmerged(void)
{
	merge();
	move(0);
	worker_exit(&w[1]);
	unmerge_all();
	CHECK_EQ(count_merged(w[0].pid, p[0], N), 0);
	CHECK_EQ(worker_bad(&w[0], p[0], N, OLD, 0), 0);
	CHECK_EQ(sysfs_num("pages_shared"), 0);
	CHECK_EQ(sysfs_num("pages_sharing"), 0);
}

static void reclaim_group(void)
{
	int i;

	for (i = 0; i < 30; i++) {
		/* EAGAIN: less than asked for was reclaimed */
		cgroup_try("remap", "memory.reclaim", "8M");
		if (count_swapped(w[0].pid, p[0], N) == N &&
		    count_swapped(w[1].pid, p[1], N) == N)
			return;
		msleep(100);
	}
}

/* The scan after the move sees the new place, then memory gets short. */
static void paged_out(void)
{
	int i;

	cgroup_make("remap");
	if (meminfo_kb("SwapTotal") <= 0)
		skip("no swap");
	for (i = 0; i < 2; i++) {
		worker_start(&w[i]);
		cgroup_enter("remap", w[i].pid);
		p[i] = worker_map_filled(&w[i], N, OLD, 0);
	}
	CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N, LONG);
	move(0);
	settle(2);
	CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N, LONG);
	sysfs_set("run", "0");
	reclaim_group();
	note("swapped: %zu and %zu of %d", count_swapped(w[0].pid, p[0], N),
	     count_swapped(w[1].pid, p[1], N), N);
	CHECK_OP(count_swapped(w[0].pid, p[0], N), >=, N / 2);
	CHECK_OP(count_swapped(w[1].pid, p[1], N), >=, N / 2);
	contents(OLD, OLD);
	worker_fill(&w[0], p[0], N, NEW, 0);
	contents(NEW, OLD);
	worker_exit(&w[0]);
	worker_exit(&w[1]);
	cgroup_remove("remap");
}

/* No scan between the move and the shortage: slower is fine, wrong is not. */
static void paged_out_unseen(void)
{
	int i;

	cgroup_make("remap");
	if (meminfo_kb("SwapTotal") <= 0)
		skip("no swap");
	for (i = 0; i < 2; i++) {
		worker_start(&w[i]);
		cgroup_enter("remap", w[i].pid);
		p[i] = worker_map_filled(&w[i], N, OLD, 0);
	}
	CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N, LONG);
	sysfs_set("run", "0");
	move(0);
	reclaim_group();
	contents(OLD, OLD);
	worker_fill(&w[0], p[0], N, NEW, 0);
	contents(NEW, OLD);
	sysfs_set("run", "1");
	settle(2);
	contents(NEW, OLD);
	worker_exit(&w[0]);
	worker_exit(&w[1]);
	cgroup_remove("remap");
}

static const struct test_case cases[] = {
	{ "moved pages keep frame and content", moved, 90 },
	{ "a marked area is moved", marked_moved, 90 },
	{ "moved, then written, then merged again", moved_and_written, 90 },
	{ "moved twenty times", moved_many_times, 90 },
	{ "shrunk", shrunk, 90 },
	{ "MREMAP_DONTUNMAP", dont_unmap, 90 },
	{ "run=2 finds a moved page", alone_and_unmerged, 90 },
	{ "moved, scanned, paged out, back", paged_out, 120 },
	{ "moved, paged out before any scan", paged_out_unseen, 120 },
};

TEST_MAIN(0)
