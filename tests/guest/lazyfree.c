// SPDX-License-Identifier: GPL-2.0
/* vm: swap=256 */
/*
 * MADV_FREE around merging. Pages given up are not merged. A frame that one of
 * its owners gives up must not be lost to the others, nor to those who are
 * merged into it later: without the dirty mark that each mapping leaves, reclaim
 * discards it and they read zeros.
 */
#include "lib.h"

#include <signal.h>
#include <sys/prctl.h>

#define N 128

/* Have the other owner gone and the frames reclaimed: MADV_PAGEOUT leaves shared ones. */
static void reclaim(struct worker *gone, struct worker *left, void *p)
{
	worker_exit(gone);
	CHECK_SOON(worker_pageout(left, p, N), 10);
	CHECK_EQ(worker_bad(left, p, N, 310, 0), 0);
}

static void given_up_then_merged(void)
{
	struct worker a, b, c;
	void *pa, *pb, *pc;

	worker_start(&a);
	worker_start(&b);
	worker_start(&c);
	pa = worker_map_filled(&a, N, 310, 0);
	pb = worker_map_filled(&b, N, 310, 0);
	CHECK_SOON_EQ(count_same(a.pid, pa, b.pid, pb, N), N, LONG);
	worker_exit(&b);
	/* Each frame has one owner now, and the owner gives it up. */
	CHECK_EQ(worker_call(&a, w_madvise, pa, N, MADV_FREE), 0);
	pc = worker_map_filled(&c, N, 310, 0);
	settle(4);
	reclaim(&a, &c, pc);
}

/*
 * What MADV_FREE gives up is lazily freed when a CPU's batch is drained, which
 * 14 pages do not fill: merged before that, they are not to be known by it.
 */
static void given_up_while_merged(void)
{
	const size_t few = 14;
	struct worker a, b;
	int try, late = 0;
	void *pa, *pb;

	worker_start(&a);
	worker_start(&b);
	for (try = 0; try < 24; try++) {
		u64 seed = 320 + try;

		/* two areas of one process, of which one is left */
		pa = worker_map_filled(&a, few, seed, 0);
		pb = worker_map_filled(&a, few, seed, 0);
		CHECK_SOON_EQ(count_same(a.pid, pa, a.pid, pb, few), few, LONG);
		worker_call(&a, w_munmap, pb, few);
		pb = worker_map_filled(&b, few, seed, 0);
		msleep(try % 6 * 8);
		CHECK_EQ(worker_call(&a, w_madvise, pa, few, MADV_FREE), 0);
		if (!WAIT_FOR(count_same(a.pid, pa, b.pid, pb, few) == few, 1))
			late++; /* no frames for others any more */
		worker_call(&a, w_munmap, pa, few);
		worker_pageout(&b, pb, few);
		CHECK_EQ(worker_bad(&b, pb, few, seed, 0), 0);
		worker_call(&b, w_munmap, pb, few);
	}
	note("%d of %d times it was too late", late, try);
	CHECK_OP(late, <, try);
}

static void shared_and_given_up(void)
{
	struct worker a, b;
	void *pa, *pb;

	worker_start(&a);
	worker_start(&b);
	pa = worker_map_filled(&a, N, 310, 0);
	pb = worker_map_filled(&b, N, 310, 0);
	CHECK_SOON_EQ(count_same(a.pid, pa, b.pid, pb, N), N, LONG);
	CHECK_EQ(worker_call(&a, w_madvise, pa, N, MADV_FREE), 0);
	reclaim(&a, &b, pb);
}

/* What waits in a CPU's batch is not given up yet: have it drained. */
static bool given_up(struct worker *w, u8 *p)
{
	size_t i;

	file_write("/proc/sys/vm/compact_memory", "1");
	CHECK_EQ(worker_call(w, w_madvise, p, N, MADV_FREE), 0);
	file_write("/proc/sys/vm/compact_memory", "1");
	for (i = 0; i < N; i++)
		if (kpageflags(pfn_of(w->pid, p + i * PAGE)) >>
			    KPF_SWAPBACKED_BIT &
		    1)
			return false;
	return true;
}

static void not_merged(void)
{
	struct worker a, b;
	void *pa, *pb;

	/* What compaction puts back waits on this CPU: MADV_FREE drains no other. */
	run_on(0, 0);
	sysfs_set("run", "0");
	worker_start(&a);
	worker_start(&b);
	pa = worker_map_filled(&a, N, 312, 0);
	pb = worker_map_filled(&b, N, 312, 0);
	CHECK_SOON(given_up(&a, pa), 10);
	sysfs_set("run", "1");
	settle(6);
	CHECK_EQ(count_merged(a.pid, pa, N), 0);
	worker_fill(&a, pa, N, 312, 0); /* taken back by writing */
	CHECK_SOON_EQ(count_same(a.pid, pa, b.pid, pb, N), N, LONG);
	worker_call(&a, w_madvise, pa, N, MADV_PAGEOUT);
	CHECK_EQ(worker_bad(&a, pa, N, 312, 0), 0);
	CHECK_EQ(worker_bad(&b, pb, N, 312, 0), 0);
}

#define GROUP "lazyfree"

/* The child gives up all and stays. */
static long w_child_gives_up(long p, long pages, long c, long d)
{
	int fd[2], err = EPIPE;

	(void)c, (void)d;
	if (pipe(fd))
		return -errno;
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		err = madvise((void *)p, pages * PAGE, MADV_FREE) ? errno : 0;
		if (write(fd[1], &err, sizeof(err)) != sizeof(err))
			_exit(1);
		for (;;)
			pause();
	}
	if (read(fd[0], &err, sizeof(err)) < 0)
		err = errno;
	close(fd[0]);
	close(fd[1]);
	return -err;
}

static void unmerged_and_given_up(void)
{
	struct worker a, b;
	void *pa, *pb;
	int i;

	worker_start(&a);
	worker_start(&b);
	cgroup_make(GROUP);
	cgroup_enter(GROUP, a.pid);
	pa = worker_map_filled(&a, N, 313, 0);
	pb = worker_map_filled(&b, N, 313, 0);
	CHECK_SOON_EQ(count_same(a.pid, pa, b.pid, pb, N), N, LONG);
	unmerge_all();
	CHECK_EQ(count_merged(a.pid, pa, N), 0);
	CHECK_EQ(worker_call(&a, w_child_gives_up, pa, N), 0);
	for (i = 0; i < 20; i++)
		cgroup_try(GROUP, "memory.reclaim", "4M");
	CHECK_EQ(worker_bad(&a, pa, N, 313, 0), 0);
	worker_exit(&a);
	cgroup_remove(GROUP);
}

static const struct test_case cases[] = {
	{ "a frame its owner gave up serves others", given_up_then_merged, 90 },
	{ "a frame is given up while another is merged", given_up_while_merged,
	  90 },
	{ "one of two owners gives up", shared_and_given_up, 90 },
	{ "pages given up and taken back", not_merged, 90 },
	{ "unmerged, and given up by a child", unmerged_and_given_up, 90 },
};

TEST_MAIN(0)
