// SPDX-License-Identifier: GPL-2.0
/*
 * Mappers go away by exit, by being killed and by exec, in every order: those
 * who are left keep their content, the last one's going frees the frames, and
 * the counters come back to 0 by themselves, with no run=2.
 *
 * A frame that is held by a reference too many shows as pages_shared that stays
 * up and memory that is not free again.
 */
#include "lib.h"

#define PROCS 3
#define N 256
#define SEED 70

static struct worker w[PROCS];
static void *p[PROCS];
static bool gone[PROCS];

static void merge(void)
{
	int i;

	for (i = 0; i < PROCS; i++) {
		worker_start(&w[i]);
		p[i] = worker_map_filled(&w[i], N, SEED, 0);
		gone[i] = false;
	}
	for (i = 1; i < PROCS; i++)
		CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[i].pid, p[i], N), N,
			      LONG);
}

static void others_whole(int left)
{
	int i;

	for (i = 0; i < PROCS; i++)
		if (!gone[i])
			CHECK_EQ(worker_bad(&w[i], p[i], N, SEED, 0), 0);
	CHECK_SOON_EQ(sysfs_num("pages_shared"), left ? N : 0, LONG);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), left ? (left - 1) * N : 0,
		      LONG);
}

static void go(int i, void (*how)(struct worker *))
{
	how(&w[i]);
	gone[i] = true;
}

static void orders(void (*how)(struct worker *))
{
	static const u8 order[][PROCS] = { { 0, 1, 2 }, { 0, 2, 1 },
					   { 1, 0, 2 }, { 1, 2, 0 },
					   { 2, 0, 1 }, { 2, 1, 0 } };
	size_t i, j;

	marked_only();
	for (i = 0; i < ARRAY_SIZE(order); i++) {
		merge();
		for (j = 0; j < PROCS; j++) {
			go(order[i][j], how);
			others_whole(PROCS - 1 - j);
		}
	}
}

static void by_exit(void)
{
	orders(worker_exit);
}

static void by_kill(void)
{
	orders(worker_kill);
}

static void by_exec(void)
{
	int i;

	marked_only();
	merge();
	for (i = 0; i < PROCS; i++) {
		worker_exec_away(&w[i]);
		gone[i] = true;
		others_whole(PROCS - 1 - i);
	}
	for (i = 0; i < PROCS; i++)
		worker_kill(&w[i]);
}

/* All at the same moment. */
static void at_once(void)
{
	int i, round;

	marked_only();
	for (round = 0; round < 5; round++) {
		merge();
		for (i = 0; i < PROCS; i++)
			worker_send(&w[i], w_munmap, 0, 0, 0, 0);
		for (i = 0; i < PROCS; i++)
			go(i, worker_kill);
		others_whole(0);
	}
}

/* The memory is free at once, not when a scan finds out: scanning is stopped. */
static void memory_freed(void)
{
	const size_t n = 16 * MIB / PAGE;
	long long before, merged;
	int i;

	marked_only();
	for (i = 0; i < 2; i++) {
		worker_start(&w[i]);
		p[i] = worker_map_filled(&w[i], n, SEED, 0);
	}
	CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], n), n, LONG);
	sysfs_set("run", "0");
	before = free_kb();
	worker_exit(&w[0]);
	merged = free_kb();
	worker_exit(&w[1]);
	note("free kB: %lld with both, %lld with one, %lld with none", before,
	     merged, free_kb());
	CHECK_SOON(free_kb() >= before + 15 * 1024, 5);
}

/* They go while nothing is scanned; the counters follow when it goes on. */
static void while_stopped(void)
{
	int i;

	marked_only();
	merge();
	sysfs_set("run", "0");
	for (i = 0; i < PROCS; i++)
		go(i, worker_exit);
	sysfs_set("run", "1");
	others_whole(0);
}

static const struct test_case cases[] = {
	{ "exit in every order", by_exit, 180 },
	{ "killed in every order", by_kill, 180 },
	{ "exec", by_exec, 90 },
	{ "all at once", at_once, 120 },
	{ "the last exit frees the memory at once", memory_freed, 90 },
	{ "exit while run=0", while_stopped, 90 },
};

TEST_MAIN(0)
