// SPDX-License-Identifier: GPL-2.0
/* vm: mem=512 numa=2 timeout=240 */
/*
 * Frames move because somebody wants the memory of a process on another node:
 * mbind() and migrate_pages(). All mappers follow, contents and counters stay.
 *
 * As in migrate.c: without the hook on rmap_walk_ksm() no frame ever moves.
 */
#include "lib.h"
#include "lib_move.h"

#include <linux/mempolicy.h>
#include <sys/syscall.h>

#define N 128

static long w_mbind(long at, long n, long node, long flags)
{
	unsigned long mask = 1UL << node;

	if (syscall(SYS_mbind, at, n * PAGE, MPOL_BIND, &mask, 8L, flags))
		return -errno;
	return 0;
}

/*
 * 6.1 does not find the area that a KSM page is in, so it moves the page, but to the node of the
 * CPU (new_page() in mm/mempolicy.c), and what is on the right node already stays where it is.
 */
static void bind_to(int i, int node, int flags)
{
	u64 *old = malloc(N * sizeof(*old));
	size_t k, there = on_node(i, node), moved = 0;

	for (k = 0; k < N; k++)
		old[k] = pfn_of(w[i].pid, p[i] + k * PAGE);
	CHECK_EQ(worker_call(&w[i], w_mbind, p[i], N, node, flags), 0);
	for (k = 0; k < N; k++)
		moved += pfn_of(w[i].pid, p[i] + k * PAGE) != old[k];
	free(old);
	if (on_node(i, node) != N)
		CHECK_EQ(there + moved, N);
	CHECK_EQ(count_merged(w[i].pid, p[i], N), N);
}

static void merge_on_nodes(void)
{
	need_nodes();
	merge(N);
	sysfs_set("run", "0");
}

static void by_mbind(void)
{
	bool moved = false;
	u64 *old;
	int i;

	merge_on_nodes();
	bind_to(0, 0, MPOL_MF_MOVE_ALL);
	old = pfns();
	for (i = 1; i < 6; i++) {
		bind_to(i % PROCS, i % 2, MPOL_MF_MOVE_ALL);
		if (moved_since(old) == N)
			moved = true;
		all_same();
		whole(OLD, OLD);
	}
	CHECK(moved);
	after_the_move();
}

/* MPOL_MF_MOVE is for pages that nobody else has. */
static void by_own_mbind(void)
{
	u64 *old;
	int i;

	merge_on_nodes();
	bind_to(0, 0, MPOL_MF_MOVE_ALL);
	old = pfns();
	CHECK_EQ(worker_call(&w[0], w_mbind, p[0], N, 1, MPOL_MF_MOVE), 0);
	CHECK_EQ(moved_since(old), 0);
	whole(OLD, OLD);
	for (i = 1; i < PROCS; i++)
		worker_fill(&w[i], p[i], N, NEW, 0);
	bind_to(0, 1, MPOL_MF_MOVE);
	whole(OLD, NEW);
	for (i = 1; i < PROCS; i++)
		worker_fill(&w[i], p[i], N, OLD, 0);
	sysfs_set("run", "1");
	all_same_soon();
	after_the_move();
}

static void by_migrate_pages(void)
{
	int i;

	merge_on_nodes();
	for (i = 0; i < 4; i++) {
		unsigned long from = i % 2 ? 1 : 2, to = 3 - from;
		long rest = syscall(SYS_migrate_pages, w[i % PROCS].pid, 8L,
				    &from, &to);

		if (rest < 0)
			FAIL("migrate_pages: %s", strerror(errno));
		settled_on(from == 1);
	}
	after_the_move();
}

static const struct test_case cases[] = {
	{ "mbind with MOVE_ALL", by_mbind, 90 },
	{ "mbind with MOVE, shared and alone", by_own_mbind, 90 },
	{ "migrate_pages", by_migrate_pages, 90 },
};

TEST_MAIN(0)
