// SPDX-License-Identifier: GPL-2.0
/* vm: mem=512 swap=512 timeout=500 */
/*
 * Frames go to swap and come back right: by reclaim of a control group, under
 * a hard limit, under pressure of the whole machine, by MADV_PAGEOUT and back by
 * swapoff; one slot serves all mappers; nothing stays in swap at the end.
 *
 * Reclaim finds a frame's mappers through rmap_walk_ksm(). Without the module's
 * hook there the pages never leave memory and the first cases wait in vain.
 */
#include "lib.h"
#include "lib_move.h"
#include "lib_swap.h"

#define N 512

static void merge_all(void)
{
	merge_to_swap(GROUP, N);
}

static void out_and_back(void)
{
	long long used;

	merge_all();
	sysfs_set("run", "0");
	push_out(PROCS * N);
	used = swap_grown_kb();
	CHECK_OP(in_swap(), >=, PROCS * N * 9 / 10);
	/* one slot a frame, not one a mapping */
	CHECK_OP(used, <=, (long long)(N * PAGE / 1024 + 1024));
	contents(all_old);
	CHECK_EQ(in_swap(), 0);
	finish();
}

static void written_from_swap(void)
{
	static const u64 mixed[PROCS] = { NEW, OLD, NEW + 1 };

	merge_all();
	sysfs_set("run", "0");
	push_out(PROCS * N);
	CHECK_OP(in_swap(), >=, PROCS * N * 9 / 10);
	worker_fill(&w[0], p[0], N, NEW, 0);
	worker_fill(&w[2], p[2], N, NEW + 1, 0);
	contents(mixed);
	push_out(PROCS * N);
	contents(mixed);
	finish();
}

static void merged_again(void)
{
	merge_all();
	push_out(PROCS * N / 2);
	contents(all_old);
	all_same_soon();
	CHECK_SOON_EQ(sysfs_num("pages_shared"), N, LONG);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), (PROCS - 1) * N, LONG);
	contents(all_old);
	finish();
}

/*
 * Pages that were out and are back have a copy in swap still. Written then, they
 * must be written out again, though the scanner has taken the dirty bit off.
 */
static void changed_when_back(void)
{
	static const u64 apart[PROCS] = { NEW, NEW + 1, NEW + 2 };
	int i, round;

	merge_all();
	for (round = 0; round < 3; round++) {
		sysfs_set("run", "0");
		push_out(PROCS * N);
		/* read: in memory again, and in swap as well */
		for (i = 0; i < PROCS; i++)
			CHECK_EQ(worker_bad(&w[i], p[i], N,
					    round ? apart[i] : OLD, 0),
				 0);
		for (i = 0; i < PROCS; i++)
			worker_fill(&w[i], p[i], N, apart[i], 0);
		sysfs_set("run", "1");
		settle(3);
	}
	push_out(PROCS * N);
	CHECK_OP(in_swap(), >=, PROCS * N / 2);
	contents(apart);
	finish();
}

/* Scanned at full speed all the while. */
static void out_while_scanning(void)
{
	int i;

	merge_all();
	for (i = 0; i < 8; i++) {
		cgroup_try(GROUP, "memory.reclaim", "8M");
		if (i % 3 == 2)
			contents(all_old);
	}
	contents(all_old);
	finish();
}

static void child_of_swapped(void)
{
	struct worker child;

	merge_all();
	/* this process is a mapper too: it forks after the frame is out */
	sysfs_set("run", "1");
	cgroup_enter(GROUP, getpid());
	u8 *mine = map_filled(N, OLD, 0);

	CHECK_SOON_EQ(count_same(getpid(), mine, w[0].pid, p[0], N), N, LONG);
	sysfs_set("run", "0");
	worker_start(&child);
	push_out(PROCS * N);
	CHECK_OP(count_swapped(getpid(), mine, N), >=, N / 2);
	CHECK_OP(count_swapped(child.pid, mine, N), >=, N / 2);
	worker_fill(&child, mine, N, NEW, 0);
	CHECK_EQ(bad_pages(mine, N, OLD, 0), 0);
	CHECK_EQ(worker_bad(&child, mine, N, NEW, 0), 0);
	worker_exit(&child);
	contents(all_old);
	munmap(mine, N * PAGE);
	file_write("/sys/fs/cgroup/cgroup.procs", "0");
	finish();
}

static void by_swapoff(void)
{
	merge_all();
	sysfs_set("run", "0");
	push_out(PROCS * N);
	CHECK_OP(in_swap(), >=, PROCS * N * 9 / 10);
	swap_off_and_on();
	contents(all_old);
	finish();
}

static void unmerge_swapped(void)
{
	int i;

	merge_all();
	push_out(PROCS * N / 2);
	unmerge_all();
	CHECK_EQ(sysfs_num("pages_shared"), 0);
	CHECK_EQ(sysfs_num("pages_sharing"), 0);
	contents(all_old);
	for (i = 1; i < PROCS; i++)
		CHECK_EQ(count_same(w[0].pid, p[0], w[i].pid, p[i], N), 0);
	finish();
}

/* A frame with a single mapper; shared pages MADV_PAGEOUT leaves alone. */
static void by_pageout(void)
{
	static const u64 old_last[PROCS] = { NEW, NEW + 1, OLD };

	merge_all();
	sysfs_set("run", "0");
	worker_fill(&w[0], p[0], N, NEW, 0);
	worker_fill(&w[1], p[1], N, NEW + 1, 0);
	CHECK_EQ(count_merged(w[2].pid, p[2], N), N);
	CHECK_EQ(worker_call(&w[2], w_madvise, p[2], N, MADV_PAGEOUT), 0);
	CHECK_SOON(count_swapped(w[2].pid, p[2], N) >= N / 2, 10);
	contents(old_last);
	finish();
}

/* Less room than the contents need: they are always partly out. */
static void under_a_limit(void)
{
	u64 seed[PROCS] = { OLD, OLD, OLD };
	int i, k;

	merge_all();
	cgroup_set(GROUP, "memory.max", "4M");
	for (i = 0; i < 6; i++) {
		contents(seed);
		k = i % PROCS;
		seed[k] = NEW + 10 + i / 2;
		worker_fill(&w[k], p[k], N, seed[k], 0);
	}
	contents(seed);
	finish();
}

static void whole_machine(void)
{
	everybody_out(N);
	finish();
}

/* Frames are charged to a group of a mapper. */
static void charged(void)
{
	merge_all();
	CHECK_EQ(count_charged(w[0].pid, p[0], N, cgroup_inode(GROUP)), N);
	finish();
}

static const struct test_case cases[] = {
	{ "out by reclaim and back", out_and_back, 120 },
	{ "written while in swap", written_from_swap, 120 },
	{ "merged again when back", merged_again, 120 },
	{ "changed when back, and out again", changed_when_back, 120 },
	{ "out while scanning at full speed", out_while_scanning, 120 },
	{ "a forked child's mappings go out too", child_of_swapped, 120 },
	{ "back by swapoff", by_swapoff, 120 },
	{ "run=2 while in swap", unmerge_swapped, 120 },
	{ "MADV_PAGEOUT by the last mapper", by_pageout, 120 },
	{ "under a hard limit", under_a_limit, 150 },
	{ "frames are charged to a mapper's group", charged, 90 },
	{ "pressure of the whole machine", whole_machine, 240 },
};

TEST_MAIN(0)
