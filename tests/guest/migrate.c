// SPDX-License-Identifier: GPL-2.0
/* vm: mem=1024 numa=2 timeout=300 */
/*
 * Frames move: soft-offlining and move_pages give merged pages other page frame
 * numbers while they stay KSM pages with the right content, all mappers follow,
 * the counters stay, and a write after the move still copies.
 *
 * Without the hook on rmap_walk_ksm() no frame ever moves; without the re-key on
 * folio_migrate_ksm() the mappers keep migration entries and die.
 */
#include "lib.h"
#include "lib_move.h"

#define N 64

static long w_soft_offline(long at, long n, long b, long c)
{
	long i;

	(void)b, (void)c;
	for (i = 0; i < n; i++)
		if (madvise((u8 *)at + i * PAGE, PAGE, MADV_SOFT_OFFLINE))
			return -errno;
	return 0;
}

static void by_soft_offline(void)
{
	u64 *old;
	long err;

	merge(N);
	sysfs_set("run", "0");
	old = pfns();
	err = worker_call(&w[1], w_soft_offline, p[1], N);
	if (err == -EINVAL || err == -EOPNOTSUPP)
		skip("no soft-offlining here: %s", strerror(-err));
	CHECK_EQ(err, 0);
	CHECK_EQ(moved_since(old), N);
	after_the_move();
}

static void by_move_pages(void)
{
	size_t moved;
	u64 *old;

	need_nodes();
	merge(N);
	sysfs_set("run", "0");
	CHECK_EQ(move_to(0), N); /* wherever they were */
	whole(OLD, OLD);
	old = pfns();
	CHECK_EQ(move_to(1), N);
	moved = moved_since(old);
	whole(OLD, OLD);
	note("%zu of %d frames moved", moved, N);
	CHECK_EQ(moved, N);
	after_the_move();
}

/*
 * Moved as soon as they are merged, before any later visit could notice a
 * mapping that the merge itself had failed to note.
 */
static void just_merged(void)
{
	u64 *old;

	need_nodes();
	marked_only();
	sysfs_set("run", "0");
	/* one round, and a long rest before the next */
	sysfs_set("sleep_millisecs", "8000");
	sysfs_set("pages_to_scan", "1000000");
	start_all(NULL, N);
	sysfs_set("run", "1");
	all_same_soon();
	sysfs_set("run", "0");
	CHECK_EQ(move_to(0), N); /* wherever they were */
	all_same();
	old = pfns();
	CHECK_EQ(move_to(1), N);
	/* not since the merge: a frame may have come back to where it was then */
	CHECK_EQ(moved_since(old), N);
	free(old);
	sysfs_set("sleep_millisecs", "1");
	after_the_move();
}

/* To and fro twenty times, with a child that no scan has seen. */
static void many_moves_and_a_child(void)
{
	struct worker child;
	u8 *mine;
	int i;

	need_nodes();
	merge(N);
	mine = map_filled(N, OLD, 0);
	CHECK_SOON_EQ(count_same(getpid(), mine, w[0].pid, p[0], N), N, LONG);
	sysfs_set("run", "0");
	worker_start(&child);
	for (i = 0; i < 20; i++) {
		CHECK_EQ(move_to(i % 2), N);
		CHECK_EQ(count_same(child.pid, mine, w[0].pid, p[0], N), N);
	}
	CHECK_EQ(worker_bad(&child, mine, N, OLD, 0), 0);
	worker_fill(&child, mine, N, NEW, 0);
	CHECK_EQ(bad_pages(mine, N, OLD, 0), 0);
	worker_exit(&child);
	whole(OLD, OLD);
}

/* The scanner is at work at full speed while the frames move. */
static void moves_while_scanning(void)
{
	int i;

	need_nodes();
	merge(N);
	for (i = 0; i < 20; i++) {
		move_to(i % 2);
		worker_fill(&w[i % PROCS], p[i % PROCS], N / 2, OLD, 0);
		whole(OLD, OLD);
	}
	all_same_soon();
	after_the_move();
}

static const struct test_case cases[] = {
	{ "soft-offlining moves frames", by_soft_offline, 90 },
	{ "move_pages moves frames", by_move_pages, 90 },
	{ "moved as soon as they are merged", just_merged, 90 },
	{ "moved many times, with a child", many_moves_and_a_child, 90 },
	{ "moved while scanning", moves_while_scanning, 90 },
};

TEST_MAIN(0)
