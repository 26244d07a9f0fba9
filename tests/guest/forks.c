// SPDX-License-Identifier: GPL-2.0
/*
 * A child that is forked after a merge inherits the frames; whoever writes -
 * child, parent, another mapper - gets a copy of its own; exits in any order
 * leave the others whole; and the counters count what is mapped.
 *
 * The case's own process is the parent; a worker is the unrelated mapper.
 */
#include "lib.h"

#include <sys/wait.h>

#define N 64
#define OLD 60
#define NEW 61

static struct worker other, child;
static u8 *mine, *theirs;

static void merge(void)
{
	marked_only();
	worker_start(&other);
	theirs = worker_map_filled(&other, N, OLD, 0);
	mine = map_filled(N, OLD, 0);
	CHECK_SOON_EQ(count_same(getpid(), mine, other.pid, theirs, N), N,
		      LONG);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), N, LONG);
}

/* Every process has the content it must have; -1: it is gone */
static void contents(long in_me, long in_child, long in_other)
{
	if (in_me >= 0)
		CHECK_EQ(bad_pages(mine, N, in_me, 0), 0);
	if (in_child >= 0)
		CHECK_EQ(worker_bad(&child, mine, N, in_child, 0), 0);
	if (in_other >= 0)
		CHECK_EQ(worker_bad(&other, theirs, N, in_other, 0), 0);
}

static void inherits(void)
{
	merge();
	worker_start(&child);
	CHECK_EQ(count_same(child.pid, mine, other.pid, theirs, N), N);
	contents(OLD, OLD, OLD);
	/* the child's mappings are found by a scan at the latest */
	settle(2);
	CHECK_EQ(count_same(child.pid, mine, other.pid, theirs, N), N);
	CHECK_EQ(sysfs_num("pages_shared"), N);
	/* three mappings a frame, two of them beyond the first */
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), 2 * N, LONG);
	contents(OLD, OLD, OLD);
}

static void child_writes(void)
{
	merge();
	worker_start(&child);
	worker_fill(&child, mine, N, NEW, 0);
	contents(OLD, NEW, OLD);
	CHECK_EQ(count_same(getpid(), mine, other.pid, theirs, N), N);
	CHECK_EQ(count_same_pfn(child.pid, mine, other.pid, theirs, N), 0);
	settle(2);
	contents(OLD, NEW, OLD);
}

static void parent_writes(void)
{
	merge();
	worker_start(&child);
	fill(mine, N, NEW, 0);
	contents(NEW, OLD, OLD);
	CHECK_EQ(count_same(child.pid, mine, other.pid, theirs, N), N);
	settle(2);
	contents(NEW, OLD, OLD);
}

static void other_writes(void)
{
	merge();
	worker_start(&child);
	worker_fill(&other, theirs, N, NEW, 0);
	contents(OLD, OLD, NEW);
	CHECK_EQ(count_same(child.pid, mine, getpid(), mine, N), N);
	settle(2);
	contents(OLD, OLD, NEW);
}

static void all_write(void)
{
	merge();
	worker_start(&child);
	fill(mine, N, NEW, 0);
	worker_fill(&child, mine, N, NEW + 1, 0);
	worker_fill(&other, theirs, N, NEW + 2, 0);
	contents(NEW, NEW + 1, NEW + 2);
	CHECK_SOON_EQ(sysfs_num("pages_shared"), 0, LONG);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), 0, LONG);
}

static void child_exits(void)
{
	merge();
	worker_start(&child);
	worker_exit(&child);
	contents(OLD, -1, OLD);
	CHECK_EQ(count_same(getpid(), mine, other.pid, theirs, N), N);
	settle(2);
	CHECK_SOON_EQ(sysfs_num("pages_shared"), N, LONG);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), N, LONG);
	contents(OLD, -1, OLD);
}

/* Only the forked child is left of all who knew the frame. */
static void only_child_left(void)
{
	merge();
	worker_start(&child);
	CHECK_EQ(munmap(mine, N * PAGE), 0);
	worker_exit(&other);
	contents(-1, OLD, -1);
	settle(2);
	contents(-1, OLD, -1);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), 0, LONG);
	worker_fill(&child, mine, N, NEW, 0);
	contents(-1, NEW, -1);
	worker_exit(&child);
	CHECK_SOON_EQ(sysfs_num("pages_shared"), 0, LONG);
}

/* run=2 must also reach a child that no scan has seen. */
static void unmerge_after_fork(void)
{
	merge();
	sysfs_set("run", "0");
	worker_start(&child);
	unmerge_all();
	CHECK_EQ(count_merged(getpid(), mine, N), 0);
	CHECK_EQ(count_merged(other.pid, theirs, N), 0);
	CHECK_EQ(count_merged(child.pid, mine, N), 0);
	CHECK_EQ(sysfs_num("pages_shared"), 0);
	contents(OLD, OLD, OLD);
}

/* The worker forks a child that checks, writes, checks; 0: it found all well. */
static long w_grandchild(long a, long b, long c, long d)
{
	pid_t pid = fork();
	int status;

	(void)a, (void)b, (void)c, (void)d;
	if (pid == 0) {
		size_t bad = bad_pages(mine, N, OLD, 0);

		fill(mine, N, NEW + 5, 0);
		bad += bad_pages(mine, N, NEW + 5, 0);
		_exit(bad ? 1 : 0);
	}
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return status;
}

static void grandchildren(void)
{
	int i;

	merge();
	worker_start(&child);
	for (i = 0; i < 10; i++) {
		CHECK_EQ(worker_call(&child, w_grandchild), 0);
		contents(OLD, OLD, OLD);
	}
	settle(2);
	contents(OLD, OLD, OLD);
}

/* Pages that parent and child still share by fork, not by merging, merge too. */
static void born_shared(void)
{
	marked_only();
	sysfs_set("run", "0");
	mine = map_filled(N, OLD, 0);
	worker_start(&child);
	worker_start(&other);
	theirs = worker_map_filled(&other, N, OLD, 0);
	CHECK_EQ(count_same_pfn(getpid(), mine, child.pid, mine, N), N);
	sysfs_set("run", "1");
	settle(4);
	contents(OLD, OLD, OLD);
	worker_fill(&child, mine, N, NEW, 0);
	contents(OLD, NEW, OLD);
	fill(mine, N, NEW + 1, 0);
	contents(NEW + 1, NEW, OLD);
	worker_fill(&other, theirs, N, NEW + 2, 0);
	contents(NEW + 1, NEW, NEW + 2);
}

/*
 * A child's memory is marked, its parent's is not: what they share by fork stays
 * the parent's ordinary page, and does not become a frame where it is.
 */
static void only_the_child_is_marked(void)
{
	if (on_ksmd())
		skip("ksmd merges both");
	marked_only();
	mine = map_pages(N);
	no_huge_pages(mine, N);
	fill(mine, N, OLD, 0);
	worker_start(&other);
	theirs = worker_map_filled(&other, N, OLD, 0);
	worker_start(&child);
	settle(3);
	CHECK_EQ(worker_call(&child, w_madvise, mine, N, MADV_MERGEABLE), 0);
	CHECK_SOON_EQ(count_same(child.pid, mine, other.pid, theirs, N), N,
		      LONG);
	settle(2);
	CHECK_EQ(count_same_pfn(getpid(), mine, child.pid, mine, N), 0);
	contents(OLD, OLD, OLD);
}

static const struct test_case cases[] = {
	{ "a child inherits the frames", inherits, 90 },
	{ "the child writes", child_writes, 90 },
	{ "the parent writes", parent_writes, 90 },
	{ "another mapper writes", other_writes, 90 },
	{ "all three write", all_write, 90 },
	{ "the child exits", child_exits, 90 },
	{ "only the child is left", only_child_left, 90 },
	{ "run=2 reaches a child no scan has seen", unmerge_after_fork, 90 },
	{ "grandchildren", grandchildren, 90 },
	{ "pages shared by fork", born_shared, 90 },
	{ "only the child is marked", only_the_child_is_marked, 90 },
};

TEST_MAIN(0)
