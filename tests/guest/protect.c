// SPDX-License-Identifier: GPL-2.0
/*
 * Protection and merging: read-only memory merges; memory that is merged and
 * then made writable again is copied on the next write, also when no fault of
 * mprotect's own would do it; PROT_NONE and back keeps everything.
 *
 * A frame mapped with the wrong protection shows here as a write that is not
 * refused (no SIGSEGV) or that reaches the other side.
 */
#include "lib.h"

#include <signal.h>
#include <setjmp.h>

#define N 64
#define OLD 90
#define NEW 91

static struct worker w[2];
static u8 *p[2];

static void merge_with(int prot)
{
	int i;

	marked_only();
	sysfs_set("run", "0");
	for (i = 0; i < 2; i++) {
		worker_start(&w[i]);
		p[i] = worker_map_filled(&w[i], N, OLD, 0);
		CHECK_EQ(worker_call(&w[i], w_mprotect, p[i], N, prot), 0);
	}
	sysfs_set("run", "1");
	CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N, LONG);
}

static void protect(int i, int prot)
{
	CHECK_EQ(worker_call(&w[i], w_mprotect, p[i], N, prot), 0);
}

static void contents(u64 first, u64 second)
{
	CHECK_EQ(worker_bad(&w[0], p[0], N, first, 0), 0);
	CHECK_EQ(worker_bad(&w[1], p[1], N, second, 0), 0);
}

static sigjmp_buf after;

static void on_segv(int sig)
{
	siglongjmp(after, sig);
}

/* How many of the pages can be written (want_write) or read without a SIGSEGV. */
static long w_allowed(long at, long n, long want_write, long d)
{
	static volatile long i, allowed;
	u8 *page = (u8 *)at;

	(void)d;
	signal(SIGSEGV, on_segv);
	allowed = 0;
	for (i = 0; i < n; i++) {
		if (sigsetjmp(after, 1))
			continue;
		if (want_write)
			*(volatile u8 *)(page + i * PAGE) = 1;
		else
			(void)*(volatile u8 *)(page + i * PAGE);
		allowed++;
	}
	signal(SIGSEGV, SIG_DFL);
	return allowed;
}

static void read_only(void)
{
	merge_with(PROT_READ);
	contents(OLD, OLD);
	CHECK_EQ(worker_call(&w[0], w_allowed, p[0], N, 1), 0);
	CHECK_EQ(worker_call(&w[0], w_allowed, p[0], N, 0), N);
	contents(OLD, OLD);
	CHECK_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N);
}

static void read_only_to_writable(void)
{
	merge_with(PROT_READ);
	protect(0, PROT_READ | PROT_WRITE);
	CHECK_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N);
	worker_fill(&w[0], p[0], N, NEW, 0);
	contents(NEW, OLD);
	protect(1, PROT_READ | PROT_WRITE);
	worker_fill(&w[1], p[1], N, NEW + 1, 0);
	contents(NEW, NEW + 1);
}

/* mprotect must not hand a frame out writable, whatever it was before. */
static void to_and_fro(void)
{
	int i;

	merge_with(PROT_READ | PROT_WRITE);
	for (i = 0; i < 5; i++) {
		protect(0, PROT_READ);
		protect(1, PROT_NONE);
		protect(0, PROT_READ | PROT_WRITE);
		protect(1, PROT_READ | PROT_WRITE);
	}
	contents(OLD, OLD);
	CHECK_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N);
	worker_fill(&w[0], p[0], N, NEW, 0);
	contents(NEW, OLD);
}

static void none_and_back(void)
{
	merge_with(PROT_READ | PROT_WRITE);
	protect(0, PROT_NONE);
	CHECK_EQ(worker_call(&w[0], w_allowed, p[0], N, 0), 0);
	settle(2);
	/* the other side writes while this one cannot even look */
	worker_fill(&w[1], p[1], N, NEW, 0);
	protect(0, PROT_READ | PROT_WRITE);
	contents(OLD, NEW);
	worker_fill(&w[0], p[0], N, NEW + 1, 0);
	contents(NEW + 1, NEW);
}

/* PROT_NONE before merging: merged or not, it must come back whole. */
static void none_first(void)
{
	marked_only();
	sysfs_set("run", "0");
	worker_start(&w[0]);
	worker_start(&w[1]);
	p[0] = worker_map_filled(&w[0], N, OLD, 0);
	p[1] = worker_map_filled(&w[1], N, OLD, 0);
	protect(0, PROT_NONE);
	sysfs_set("run", "1");
	settle(3);
	CHECK_EQ(worker_call(&w[0], w_allowed, p[0], N, 0), 0);
	protect(0, PROT_READ | PROT_WRITE);
	contents(OLD, OLD);
	worker_fill(&w[0], p[0], N, NEW, 0);
	contents(NEW, OLD);
}

/* One area in three: only the middle is made read-only; the edges are written. */
static void split_area(void)
{
	merge_with(PROT_READ | PROT_WRITE);
	CHECK_EQ(worker_call(&w[0], w_mprotect, p[0] + 16 * PAGE, 32,
			     PROT_READ),
		 0);
	worker_fill(&w[0], p[0], 16, NEW, 0);
	worker_fill(&w[0], p[0] + 48 * PAGE, 16, NEW, 48);
	CHECK_EQ(worker_call(&w[0], w_allowed, p[0] + 16 * PAGE, 32, 1), 0);
	settle(2);
	CHECK_EQ(worker_bad(&w[0], p[0], 16, NEW, 0), 0);
	CHECK_EQ(worker_bad(&w[0], p[0] + 16 * PAGE, 32, OLD, 16), 0);
	CHECK_EQ(worker_bad(&w[0], p[0] + 48 * PAGE, 16, NEW, 48), 0);
	CHECK_EQ(worker_bad(&w[1], p[1], N, OLD, 0), 0);
	CHECK_EQ(count_same(w[0].pid, p[0] + 16 * PAGE, w[1].pid,
			    p[1] + 16 * PAGE, 32),
		 32);
}

/* Read-only and writable memory merge with each other. */
static void mixed(void)
{
	marked_only();
	sysfs_set("run", "0");
	worker_start(&w[0]);
	worker_start(&w[1]);
	p[0] = worker_map_filled(&w[0], N, OLD, 0);
	p[1] = worker_map_filled(&w[1], N, OLD, 0);
	protect(0, PROT_READ);
	sysfs_set("run", "1");
	CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N, LONG);
	CHECK_EQ(worker_call(&w[0], w_allowed, p[0], N, 1), 0);
	worker_fill(&w[1], p[1], N, NEW, 0);
	contents(OLD, NEW);
}

static const struct test_case cases[] = {
	{ "read-only memory merges and stays read-only", read_only, 90 },
	{ "made writable, it is copied on write", read_only_to_writable, 90 },
	{ "mprotect to and fro", to_and_fro, 90 },
	{ "PROT_NONE and back", none_and_back, 90 },
	{ "PROT_NONE before merging", none_first, 90 },
	{ "a part of the area made read-only", split_area, 90 },
	{ "read-only with writable", mixed, 90 },
};

TEST_MAIN(0)
