// SPDX-License-Identifier: GPL-2.0
/* vm: mem=384 swap=512 timeout=240 modules="zram" */
/*
 * As swap.c, with zram, which the kernel reads at once and, for a page that only
 * one process has, past the swap cache; and with zram and a disk at a time, where
 * one is taken away while frames are in both.
 */
#include "lib.h"
#include "lib_move.h"
#include "lib_swap.h"

#include <sys/swap.h>

#define N 512
#define ZRAM "/dev/zram0"
#define DISK "/dev/vda"

static void zram_on(const char *size, bool disk)
{
	if (access(ZRAM, F_OK))
		skip("no zram");
	if (file_write("/sys/block/zram0/disksize", size))
		FAIL("zram takes no size");
	if (system("mkswap " ZRAM " >/dev/null"))
		FAIL("mkswap");
	if (swapon(ZRAM, SWAP_FLAG_PREFER | 100))
		FAIL("swapon " ZRAM ": %s", strerror(errno));
	if (!disk && swapoff(DISK))
		FAIL("swapoff " DISK ": %s", strerror(errno));
}

static void zram_off(bool disk)
{
	if (!disk && swapon(DISK, 0))
		FAIL("swapon " DISK ": %s", strerror(errno));
	if (swapoff(ZRAM))
		FAIL("swapoff " ZRAM ": %s", strerror(errno));
	CHECK_EQ(file_write("/sys/block/zram0/reset", "1"), 0);
}

/* Kilobytes in use of a swap device. */
static long long used_of(const char *name)
{
	char text[1024], *line;
	long long used = -1;

	if (file_read("/proc/swaps", text, sizeof(text)) > 0 &&
	    (line = strstr(text, name)))
		sscanf(line, "%*s %*s %*s %lld", &used);
	return used;
}

static void out_and_back(void)
{
	static const u64 mixed[PROCS] = { NEW, OLD, NEW + 1 };

	zram_on("256M", false);
	merge_to_swap(GROUP, N);
	sysfs_set("run", "0");
	push_out(PROCS * N);
	CHECK_OP(in_swap(), >=, PROCS * N * 9 / 10);
	/* one slot a frame */
	CHECK_OP(swap_grown_kb(), <=, (long long)(N * PAGE / 1024 + 1024));
	contents(all_old);
	CHECK_EQ(in_swap(), 0);
	sysfs_set("run", "1");
	all_same_soon();
	push_out(PROCS * N / 2);
	worker_fill(&w[0], p[0], N, NEW, 0);
	worker_fill(&w[2], p[2], N, NEW + 1, 0);
	contents(mixed);
	push_out(PROCS * N / 2);
	contents(mixed);
	finish();
	zram_off(false);
}

/* The last who has a frame: it comes back without the swap cache. */
static void last_one(void)
{
	zram_on("256M", false);
	merge_to_swap(GROUP, N);
	sysfs_set("run", "0");
	worker_call(&w[1], w_munmap, p[1], N);
	worker_call(&w[2], w_munmap, p[2], N);
	CHECK_EQ(count_merged(w[0].pid, p[0], N), N);
	push_out(N);
	CHECK_OP(count_swapped(w[0].pid, p[0], N), >=, N * 9 / 10);
	CHECK_EQ(worker_bad(&w[0], p[0], N, OLD, 0), 0);
	CHECK_EQ(count_swapped(w[0].pid, p[0], N), 0);
	finish();
	zram_off(false);
}

static void run_2(void)
{
	zram_on("256M", false);
	merge_to_swap(GROUP, N);
	push_out(PROCS * N / 2);
	unmerge_all();
	CHECK_EQ(sysfs_num("pages_shared"), 0);
	contents(all_old);
	finish();
	zram_off(false);
}

static void two_devices(void)
{
	zram_on("1M", true);
	merge_to_swap(GROUP, N);
	sysfs_set("run", "0");
	push_out(PROCS * N);
	note("%lld kB in zram, %lld kB on the disk", used_of("zram0"),
	     used_of(DISK));
	CHECK_OP(used_of("zram0"), >, 0);
	CHECK_OP(used_of(DISK), >, 0);
	if (swapoff(ZRAM))
		FAIL("swapoff " ZRAM ": %s", strerror(errno));
	CHECK_OP(in_swap(), <, PROCS * N);
	contents(all_old);
	if (swapon(ZRAM, SWAP_FLAG_PREFER | 100))
		FAIL("swapon " ZRAM ": %s", strerror(errno));
	sysfs_set("run", "1");
	all_same_soon();
	push_out(PROCS * N);
	contents(all_old);
	finish();
	zram_off(true);
}

static void whole_machine(void)
{
	zram_on("256M", false);
	everybody_out(N);
	finish();
	zram_off(false);
}

static const struct test_case cases[] = {
	{ "out to zram and back", out_and_back, 90 },
	{ "the last mapper's pages", last_one, 60 },
	{ "run=2 while in zram", run_2, 60 },
	{ "zram and a disk", two_devices, 90 },
	{ "pressure of the whole machine", whole_machine, 120 },
};

TEST_MAIN(0)
