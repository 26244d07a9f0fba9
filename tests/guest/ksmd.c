// SPDX-License-Identifier: GPL-2.0
/* vm: mem=1024 numa=2 swap=256 timeout=400 */
/*
 * The kernel's own KSM beside the module, at full speed: each merges its areas,
 * ksmd meets frames and leaves them what they are, areas go from one to the
 * other by madvise, by prctl and by ksm/run, and no byte changes.
 *
 * ksmd meets a frame in an area that is marked when it starts: it reads it,
 * compares it and has it in its tree of candidates (ksm/pages_unshared). It can
 * neither share it nor replace it, for page_address_in_vma() does not know the
 * address of a KSM page.
 */
#include "lib.h"
#include "lib_move.h"
#include "lib_swap.h"

#include <sys/prctl.h>

#define KSM "/sys/kernel/mm/ksm/"
#define N 64
#define ROUNDS 8 /* of moves */

static void ksm_set(const char *file, const char *value)
{
	char path[100];
	int err;

	snprintf(path, sizeof(path), KSM "%s", file);
	err = file_write(path, value);
	/* not all kernels have all of them */
	if (err && err != -ENOENT)
		FAIL("writing %s to %s: %s", value, path, strerror(-err));
}

static long long ksm(const char *file)
{
	char path[100];

	snprintf(path, sizeof(path), KSM "%s", file);
	return file_num(path);
}

/* Nothing of an earlier case is left; ksmd stands still, its settings are fast. */
static void ksmd_fresh(void)
{
	ksm_set("run", "2");
	ksm_set("run", "0");
	ksm_set("sleep_millisecs", "0");
	ksm_set("pages_to_scan", "2000");
	ksm_set("smart_scan", "0");
	ksm_set("use_zero_pages", "0");
	CHECK_EQ(ksm("pages_shared"), 0);
}

static void ksmd_passes(int n)
{
	long long want = ksm("full_scans") + n + 1;

	if (!WAIT_FOR(ksm("full_scans") >= want, 2 * LONG))
		FAIL("ksmd does not get on: full_scans %lld of %lld",
		     ksm("full_scans"), want);
}

static void ksmd_counts(const char *when)
{
	note("%s: ksmd has %lld shared, %lld sharing, %lld unshared; uksm %lld shared, %lld sharing",
	     when, ksm("pages_shared"), ksm("pages_sharing"),
	     ksm("pages_unshared"), sysfs_num("pages_shared"),
	     sysfs_num("pages_sharing"));
}

/*
 * Merged by uksm in marked areas, then ksmd comes upon it all: the frames are
 * among its candidates, and nothing is shared by it.
 */
static void ksmd_meets_all(void)
{
	ksm_set("run", "1");
	CHECK_SOON_EQ(ksm("pages_unshared"), N, LONG);
	ksmd_passes(3);
	ksmd_counts("met");
	CHECK_EQ(ksm("pages_shared"), 0);
	all_same();
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), (PROCS - 1) * N, LONG);
}

static void merge_then_ksmd(void)
{
	merge(N);
	ksmd_meets_all();
}

/* Frames that ksmd has met are copied, broken and unmerged like others. */
static void met(void)
{
	ksmd_fresh();
	merge_then_ksmd();
	whole(OLD, OLD);
	worker_fill(&w[0], p[0], N, NEW, 0);
	whole(NEW, OLD);
	CHECK_EQ(worker_call(&w[1], w_madvise, p[1], N, MADV_UNMERGEABLE), 0);
	CHECK_EQ(count_merged(w[1].pid, p[1], N), 0);
	CHECK_EQ(count_merged(w[2].pid, p[2], N), N);
	whole(NEW, OLD);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), 0, LONG);
	CHECK_EQ(sysfs_num("pages_shared"), N);
	worker_exit(&w[2]);
	CHECK_SOON_EQ(sysfs_num("pages_shared"), 0, LONG);
	CHECK_EQ(worker_bad(&w[0], p[0], N, NEW, 0), 0);
	CHECK_EQ(worker_bad(&w[1], p[1], N, OLD, 0), 0);
}

/* ksmd holds a page for a moment now and then: some stay where they are. */
static void met_and_moved(void)
{
	size_t all = 0;
	u64 *old;
	int i;

	ksmd_fresh();
	merge_then_ksmd();
	for (i = 0; i < ROUNDS; i++) {
		old = pfns();
		move_to(i % 2);
		all += moved_since(old);
		whole(OLD, OLD);
		free(old);
	}
	note("%zu of %d moves went through", all, ROUNDS * N);
	CHECK_OP(all, >=, ROUNDS * N / 2);
	all_same();
	worker_fill(&w[1], p[1], N, NEW, 0);
	CHECK_EQ(worker_bad(&w[0], p[0], N, OLD, 0), 0);
	CHECK_EQ(worker_bad(&w[2], p[2], N, OLD, 0), 0);
	unmerge_all();
	CHECK_EQ(sysfs_num("pages_shared"), 0);
	CHECK_EQ(worker_bad(&w[0], p[0], N, OLD, 0), 0);
	CHECK_EQ(worker_bad(&w[2], p[2], N, OLD, 0), 0);
}

static void met_and_swapped(void)
{
	ksmd_fresh();
	merge_to_swap(GROUP, N);
	ksmd_meets_all();
	push_out(PROCS * N * 9 / 10);
	CHECK_OP(in_swap(), >=, PROCS * N / 2);
	whole(OLD, OLD);
	worker_fill(&w[0], p[0], N, NEW, 0);
	ksmd_passes(2);
	whole(NEW, OLD);
	finish();
}

/*
 * Pages that equal frames come to be in an area of ksmd's. It tries them with
 * the frames, in vain, again and again; what is equal among them it merges.
 */
static void equal_to_frames(void)
{
	struct worker later[2];
	u8 *at[2];
	int i;

	ksmd_fresh();
	merge_then_ksmd();
	for (i = 0; i < 2; i++) {
		worker_start(&later[i]);
		at[i] = worker_map_filled(&later[i], N, OLD, 0);
	}
	for (i = 0; i < 5; i++) {
		ksmd_passes(2);
		whole(OLD, OLD);
		CHECK_EQ(worker_bad(&later[0], at[0], N, OLD, 0), 0);
		CHECK_EQ(worker_bad(&later[1], at[1], N, OLD, 0), 0);
	}
	note("%zu share with frames, %zu with each other",
	     count_same(later[0].pid, at[0], w[0].pid, p[0], N),
	     count_same(later[0].pid, at[0], later[1].pid, at[1], N));
	ksmd_counts("equal");
}

/* Marked areas are ksmd's, others uksm's; unmarked again they are uksm's. */
static void side_by_side(void)
{
	u8 *q[PROCS];
	int i;

	ksmd_fresh();
	ksm_set("run", "1");
	pages = N;
	for (i = 0; i < PROCS; i++) {
		worker_start(&w[i]);
		p[i] = (u8 *)worker_call(&w[i], w_map_marked, N);
		worker_fill(&w[i], p[i], N, OLD, 0);
		q[i] = worker_map_filled(&w[i], N, OLD, 0);
	}
	CHECK_SOON_EQ(ksm("pages_sharing"), (PROCS - 1) * N, LONG);
	CHECK_EQ(ksm("pages_shared"), N);
	all_same_soon();
	for (i = 1; i < PROCS; i++)
		CHECK_SOON_EQ(count_same(w[0].pid, q[0], w[i].pid, q[i], N), N,
			      LONG);
	ksmd_counts("side by side");
	CHECK_EQ(count_same(w[0].pid, p[0], w[0].pid, q[0], N), 0);
	for (i = 0; i < PROCS; i++) {
		worker_fill(&w[i], i & 1 ? p[i] : q[i], N, NEW + i, 0);
		CHECK_EQ(worker_bad(&w[i], i & 1 ? q[i] : p[i], N, OLD, 0), 0);
		CHECK_EQ(worker_bad(&w[i], i & 1 ? p[i] : q[i], N, NEW + i, 0),
			 0);
		worker_fill(&w[i], i & 1 ? p[i] : q[i], N, OLD, 0);
	}
	for (i = 0; i < PROCS; i++)
		CHECK_EQ(worker_call(&w[i], w_madvise, p[i], N,
				     MADV_UNMERGEABLE),
			 0);
	for (i = 0; i < PROCS; i++)
		CHECK_SOON_EQ(count_same(w[i].pid, p[i], w[0].pid, q[0], N), N,
			      LONG);
	CHECK_SOON_EQ(ksm("pages_shared"), 0, LONG);
	whole(OLD, OLD);
}

/* A process hands over all its memory to ksmd, and takes it back. */
static void by_prctl(void)
{
	size_t n;

	ksmd_fresh();
	start_all(NULL, N);
	all_same_soon();
	ksm_set("run", "1");
	if (worker_call(&w[0], w_prctl, PR_SET_MEMORY_MERGE, 1) == -EINVAL)
		skip("no PR_SET_MEMORY_MERGE here");
	CHECK_EQ(worker_call(&w[1], w_prctl, PR_SET_MEMORY_MERGE, 1), 0);
	ksmd_passes(3);
	whole(OLD, OLD);
	/* what they write from now on is ksmd's */
	worker_fill(&w[0], p[0], N, NEW, 0);
	worker_fill(&w[1], p[1], N, NEW, 0);
	CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N, LONG);
	CHECK_OP(ksm("pages_sharing"), >=, N);
	ksmd_counts("prctl");
	CHECK_EQ(worker_bad(&w[0], p[0], N, NEW, 0), 0);
	CHECK_EQ(worker_bad(&w[1], p[1], N, NEW, 0), 0);
	CHECK_EQ(worker_bad(&w[2], p[2], N, OLD, 0), 0);
	/* and back: what is broken is merged by uksm */
	CHECK_EQ(worker_call(&w[0], w_prctl, PR_SET_MEMORY_MERGE, 0), 0);
	n = count_same(w[0].pid, p[0], w[1].pid, p[1], N);
	CHECK_EQ(n, 0);
	CHECK_EQ(worker_call(&w[1], w_prctl, PR_SET_MEMORY_MERGE, 0), 0);
	CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N, LONG);
	CHECK_SOON_EQ(ksm("pages_shared"), 0, LONG);
	CHECK_EQ(worker_bad(&w[0], p[0], N, NEW, 0), 0);
	CHECK_EQ(worker_bad(&w[1], p[1], N, NEW, 0), 0);
}

/* ksm/run=2 breaks what is marked, frames too; then it is uksm's to merge. */
static void ksm_run_2(void)
{
	int i;

	ksmd_fresh();
	merge_then_ksmd();
	for (i = 0; i < 5; i++) {
		worker_fill(&w[i % PROCS], p[i % PROCS], N, OLD, 0);
		ksm_set("run", "1");
		ksmd_passes(2);
		ksm_set("run", "2");
		CHECK_EQ(ksm("pages_shared"), 0);
		whole(OLD, OLD);
	}
	all_same_soon();
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), (PROCS - 1) * N, LONG);
	whole(OLD, OLD);
}

/*
 * The module leaves while ksmd goes on: not before the frames that ksmd knows
 * are gone, and with ksmd's own pages where they are.
 */
static void module_leaves(void)
{
	struct worker theirs[2];
	u8 *at[2];
	int i, err;

	ksmd_fresh();
	merge_then_ksmd();
	for (i = 0; i < 2; i++) {
		worker_start(&theirs[i]);
		at[i] = worker_map_filled(&theirs[i], N, NEW, 0);
	}
	CHECK_SOON_EQ(ksm("pages_sharing"), N, LONG);
	CHECK_EQ(module_unload(), -EWOULDBLOCK);
	unmerge_all();
	CHECK_EQ(sysfs_num("pages_shared"), 0);
	if (!WAIT_FOR((err = module_unload()) == 0, LONG))
		FAIL("unload: %s", strerror(-err));
	CHECK_EQ(count_same(theirs[0].pid, at[0], theirs[1].pid, at[1], N), N);
	/* what uksm has left ksmd merges now */
	CHECK_SOON_EQ(ksm("pages_shared"), 2 * N, LONG);
	CHECK_SOON_EQ(ksm("pages_sharing"), PROCS * N, LONG);
	whole(OLD, OLD);
	CHECK_EQ(module_load(""), 0);
	fast_settings();
	settle(3);
	CHECK_EQ(ksm("pages_shared"), 2 * N);
	CHECK_EQ(ksm("pages_sharing"), PROCS * N);
	whole(OLD, OLD);
	CHECK_EQ(worker_bad(&theirs[0], at[0], N, NEW, 0), 0);
	CHECK_EQ(worker_bad(&theirs[1], at[1], N, NEW, 0), 0);
}

static long w_zero(long at, long n, long b, long c)
{
	(void)b, (void)c;
	memset((void *)at, 0, n * PAGE);
	return 0;
}

static bool zero_count_sane(long long most)
{
	long long n = ksm("ksm_zero_pages");

	if (n < 0 || n > most)
		note("ksm_zero_pages of the kernel: %lld", n);
	return n >= 0 && n <= most;
}

/* Both place zero pages; each counts its own, and comes back to 0. */
static void zero_pages(void)
{
	bool counted = ksm("ksm_zero_pages") >= 0;
	struct worker child;
	u8 *mine, *marked, *q;
	int i;

	ksmd_fresh();
	ksm_set("use_zero_pages", "1");
	ksm_set("run", "1");
	for (i = 0; i < 2; i++) {
		worker_start(&w[i]);
		p[i] = (u8 *)worker_call(&w[i], w_map_marked, N);
		worker_call(&w[i], w_zero, p[i], N);
		q = (u8 *)worker_call(&w[i], w_map, N);
		worker_call(&w[i], w_zero, q, N);
		CHECK_SOON_EQ(count_zero(w[i].pid, p[i], N), N, LONG);
		CHECK_SOON_EQ(count_zero(w[i].pid, q, N), N, LONG);
	}
	if (counted)
		CHECK_EQ(ksm("ksm_zero_pages"), 2 * N);
	CHECK_OP(sysfs_num("ksm_zero_pages"), >=, 2 * N);
	/* a process that ksmd knows, and has zero pages of both, forks */
	mine = map_pages(N);
	marked = map_marked(N);
	memset(mine, 0, N * PAGE);
	memset(marked, 0, N * PAGE);
	CHECK_SOON_EQ(count_zero(getpid(), mine, N), N, LONG);
	CHECK_SOON_EQ(count_zero(getpid(), marked, N), N, LONG);
	for (i = 0; i < 5; i++) {
		worker_start(&child);
		worker_fill(&child, mine, N, NEW, 0);
		worker_fill(&child, marked, N / 2, NEW, 0);
		CHECK_EQ(worker_call(&child, w_bad_zero, marked + N / 2 * PAGE,
				     N / 2),
			 0);
		if (i & 1)
			worker_kill(&child);
		else
			worker_exit(&child);
		if (counted)
			CHECK(zero_count_sane(4 * N));
	}
	CHECK_EQ(bad_zero(mine, N), 0);
	CHECK_EQ(bad_zero(marked, N), 0);
	/* an area of uksm's zero pages becomes ksmd's, and the other way round */
	CHECK_EQ(madvise(mine, N * PAGE, MADV_MERGEABLE), 0);
	CHECK_EQ(madvise(marked, N * PAGE, MADV_UNMERGEABLE), 0);
	ksmd_passes(2);
	settle(2);
	CHECK_EQ(bad_zero(mine, N), 0);
	CHECK_EQ(bad_zero(marked, N), 0);
	ksm_set("run", "2");
	if (counted)
		CHECK_EQ(ksm("ksm_zero_pages"), 0);
	unmerge_all();
	/* ksmd could not tell its zero pages from others before it counted them */
	if (counted)
		CHECK_EQ(count_zero(w[0].pid, p[0], N), 0);
	for (i = 0; i < 2; i++)
		CHECK_EQ(worker_call(&w[i], w_bad_zero, p[i], N), 0);
	ksm_set("run", "1");
	sysfs_set("run", "1");
	CHECK_SOON_EQ(count_zero(w[0].pid, p[0], N), N, LONG);
	for (i = 0; i < 2; i++)
		worker_exit(&w[i]);
	munmap(mine, N * PAGE);
	munmap(marked, N * PAGE);
	if (counted)
		CHECK_SOON_EQ(ksm("ksm_zero_pages"), 0, LONG);
}

#define HANDS 4
#define LOT 128
#define KINDS 6

/*
 * One of several processes that write, mark, unmark and discard the same few
 * contents, and know what every page of theirs must hold.
 */
static long w_toggle(long secs, long seed, long b, long c)
{
	unsigned int r = seed * 2654435761U, i, k, steps = 0;
	u8 *at = map_pages(LOT);
	u8 has[LOT];
	double end = now() + secs;

	(void)b, (void)c;
	for (i = 0; i < LOT; i++)
		page_fill(at + i * PAGE, OLD, has[i] = i % KINDS);
	for (; now() < end; steps++) {
		r = r * 1103515245 + 12345;
		i = (r >> 8) % (LOT - 16);
		k = (r >> 20) % KINDS;
		switch ((r >> 16) % 6) {
		case 0:
			madvise(at + i * PAGE, 16 * PAGE, MADV_MERGEABLE);
			break;
		case 1:
			madvise(at + i * PAGE, 16 * PAGE, MADV_UNMERGEABLE);
			break;
		case 2:
			madvise(at, LOT * PAGE,
				steps & 1 ? MADV_MERGEABLE : MADV_UNMERGEABLE);
			break;
		default:
			page_fill(at + i * PAGE, OLD, has[i] = k);
		}
		msleep(3);
		for (i = 0; i < LOT; i++)
			if (!page_is(at + i * PAGE, OLD, has[i]))
				return -1 - i;
	}
	return steps;
}

/* Everybody at everything, both merging, both being stopped and undone. */
static void all_at_once(void)
{
	struct worker hand[HANDS];
	long long ours = 0, theirs = 0;
	double end = now() + 5;
	int i;

	ksmd_fresh();
	ksm_set("use_zero_pages", "1");
	ksm_set("run", "1");
	for (i = 0; i < HANDS; i++) {
		worker_start(&hand[i]);
		worker_send(&hand[i], w_toggle, 5, i + 1, 0, 0);
	}
	for (i = 0; now() < end; i++) {
		long long n;

		msleep(100);
		n = sysfs_num("pages_sharing");
		ours = n > ours ? n : ours;
		n = ksm("pages_sharing");
		theirs = n > theirs ? n : theirs;
		if (i % 10 == 4)
			ksm_set("run", "2");
		if (i % 10 == 5)
			ksm_set("run", "0");
		if (i % 10 == 7)
			ksm_set("run", "1");
		if (i % 10 == 9) {
			sysfs_set("run", "2");
			sysfs_set("run", "1");
		}
	}
	note("at most %lld pages saved by uksm, %lld by ksmd", ours, theirs);
	for (i = 0; i < HANDS; i++)
		CHECK_OP(worker_wait(&hand[i]), >, 0);
	CHECK_OP(ours, >, 0);
	CHECK_OP(theirs, >, 0);
	for (i = 0; i < HANDS; i++)
		worker_exit(&hand[i]);
}

static const struct test_case cases[] = {
	{ "each has its areas", side_by_side, 120 },
	{ "ksmd meets frames", met, 90 },
	{ "ksmd meets frames, and they move", met_and_moved, 90 },
	{ "ksmd meets frames, and they go to swap", met_and_swapped, 120 },
	{ "pages that equal frames, in an area of ksmd's", equal_to_frames, 90 },
	{ "by prctl, to and fro", by_prctl, 120 },
	{ "ksm/run=2, and uksm goes on", ksm_run_2, 90 },
	{ "the module leaves, ksmd stays", module_leaves, 120 },
	{ "zero pages of both", zero_pages, 120 },
	{ "all of it at once", all_at_once, 60 },
};

TEST_MAIN(0)
