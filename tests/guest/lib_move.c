// SPDX-License-Identifier: GPL-2.0
/*
 * Frames with three mappers that are to be moved, and what must hold after a move.
 */
#include "lib.h"
#include "lib_move.h"

#include <linux/mempolicy.h>
#include <sys/syscall.h>

struct worker w[PROCS];
u8 *p[PROCS];
size_t pages;

void merge(size_t n)
{
	merge_in(NULL, n);
}

/* Each has its pages, in a control group or not. */
void start_all(const char *group, size_t n)
{
	int i;

	pages = n;
	for (i = 0; i < PROCS; i++) {
		worker_start(&w[i]);
		if (group)
			cgroup_enter(group, w[i].pid);
		p[i] = worker_map_filled(&w[i], n, OLD, 0);
	}
}

void exit_all(void)
{
	int i;

	for (i = 0; i < PROCS; i++)
		worker_exit(&w[i]);
}

/* All begin to write all their pages; all_wait() is for the end of it. */
void all_write(u64 seed)
{
	int i;

	for (i = 0; i < PROCS; i++)
		worker_send(&w[i], w_fill, (long)p[i], pages, seed, 0);
}

void all_wait(void)
{
	int i;

	for (i = 0; i < PROCS; i++)
		worker_wait(&w[i]);
}

/* The processes are in a control group. */
void merge_in(const char *group, size_t n)
{
	marked_only();
	start_all(group, n);
	all_same_soon();
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), (PROCS - 1) * n, LONG);
}

static size_t same_as_first(int i)
{
	return count_same(w[0].pid, p[0], w[i].pid, p[i], pages);
}

/* All have the same frames. */
void all_same(void)
{
	int i;

	for (i = 1; i < PROCS; i++)
		CHECK_EQ(same_as_first(i), pages);
}

void all_same_soon(void)
{
	int i;

	for (i = 1; i < PROCS; i++)
		CHECK_SOON_EQ(same_as_first(i), pages, LONG);
}

u64 *pfns(void)
{
	u64 *pfn = calloc(pages, sizeof(*pfn));
	size_t i;

	for (i = 0; i < pages; i++)
		pfn[i] = pfn_of(w[0].pid, p[0] + i * PAGE);
	return pfn;
}

/* Frames that are elsewhere now and are still KSM pages of all three. */
size_t moved_since(const u64 *old)
{
	size_t i, moved = 0;

	for (i = 0; i < pages; i++) {
		u8 *at = p[0] + i * PAGE;
		u64 pfn = pfn_of(w[0].pid, at);

		moved += pfn && pfn != old[i] &&
			 count_same(w[0].pid, at, w[1].pid, p[1] + i * PAGE,
				    1) &&
			 count_same(w[0].pid, at, w[2].pid, p[2] + i * PAGE, 1);
	}
	return moved;
}

void whole(u64 first, u64 others)
{
	CHECK_EQ(worker_bad(&w[0], p[0], pages, first, 0), 0);
	CHECK_EQ(worker_bad(&w[1], p[1], pages, others, 0), 0);
	CHECK_EQ(worker_bad(&w[2], p[2], pages, others, 0), 0);
}

/* What must hold after any move: contents, counters, copy on write, unmerging. */
void after_the_move(void)
{
	whole(OLD, OLD);
	sysfs_set("run", "1");
	CHECK_SOON_EQ(sysfs_num("pages_shared"), pages, LONG);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), (PROCS - 1) * pages, LONG);
	worker_fill(&w[0], p[0], pages, NEW, 0);
	whole(NEW, OLD);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), (PROCS - 2) * pages, LONG);
	/* the frame at its new place still serves those who come later */
	worker_fill(&w[0], p[0], pages, OLD, 0);
	all_same_soon();
	whole(OLD, OLD);
	unmerge_all();
	CHECK_EQ(count_merged(w[1].pid, p[1], pages), 0);
	whole(OLD, OLD);
}

/* One frame after the other goes to a node; how many got there. */
size_t move_to(int node)
{
	size_t i, moved = 0;

	for (i = 0; i < pages; i++) {
		void *page = p[0] + i * PAGE;
		int status = -1;

		if (syscall(SYS_move_pages, w[0].pid, 1UL, &page, &node,
			    &status, MPOL_MF_MOVE_ALL) < 0)
			FAIL("move_pages: %s", strerror(errno));
		moved += status == node;
	}
	return moved;
}

/* How many of the frames, as w[i] has them, are on a node. */
size_t on_node(int i, int node)
{
	size_t k, found = 0;
	void *at[pages];
	int status[pages];

	for (k = 0; k < pages; k++)
		at[k] = p[i] + k * PAGE;
	if (syscall(SYS_move_pages, w[i].pid, pages, at, NULL, status, 0))
		FAIL("move_pages: %s", strerror(errno));
	for (k = 0; k < pages; k++)
		found += status[k] == node;
	return found;
}

/* All frames are on a node, the same ones for all. */
void settled_on(int node)
{
	CHECK_SOON_EQ(on_node(0, node), pages, LONG);
	all_same();
	whole(OLD, OLD);
}
