// SPDX-License-Identifier: GPL-2.0
/*
 * Frames of three processes that are to go to swap, and the swap device.
 */
#include "lib.h"
#include "lib_move.h"
#include "lib_swap.h"

#include <sys/swap.h>

const u64 all_old[PROCS] = { OLD, OLD, OLD };

static long long used_before;
static bool grouped;

static long long swap_used_kb(void)
{
	return meminfo_kb("SwapTotal") - meminfo_kb("SwapFree");
}

/* How much more of the swap space is in use than before the merge, in kB. */
long long swap_grown_kb(void)
{
	return swap_used_kb() - used_before;
}

/* @n frames with three mappers each, in a control group or not. */
void merge_to_swap(const char *group, size_t n)
{
	if (meminfo_kb("SwapTotal") <= 0)
		FAIL("no swap: the harness has to give this test some");
	grouped = group;
	if (group)
		cgroup_make(group);
	used_before = swap_used_kb();
	merge_in(group, n);
}

size_t in_swap(void)
{
	size_t sum = 0;
	int i;

	for (i = 0; i < PROCS; i++)
		if (w[i].pid)
			sum += count_swapped(w[i].pid, p[i], pages);
	return sum;
}

/* Asks for more than there is, again and again: EAGAIN says it got less. */
void push_out(size_t enough)
{
	long long out = vmstat("pswpout");
	int i;

	for (i = 0; i < 60 && in_swap() < enough; i++) {
		cgroup_try(GROUP, "memory.reclaim", "16M");
		msleep(50);
	}
	note("%zu of %zu mappings in swap, %lld pages written, %lld kB used",
	     in_swap(), PROCS * pages, vmstat("pswpout") - out,
	     swap_grown_kb());
}

void contents(const u64 *seed)
{
	int i;

	for (i = 0; i < PROCS; i++)
		CHECK_EQ(worker_bad(&w[i], p[i], pages, seed[i], 0), 0);
}

static long swap_device(char *name, size_t size)
{
	char text[512], *line;

	if (file_read("/proc/swaps", text, sizeof(text)) <= 0)
		return -1;
	line = strchr(text, '\n');
	if (!line || !line[1])
		return -1;
	snprintf(name, size, "%s", line + 1);
	name[strcspn(name, " \t")] = '\0';
	return 0;
}

/* swapoff does not come to an end while a slot is counted that nobody has. */
void swap_off_and_on(void)
{
	char dev[128];

	CHECK_EQ(swap_device(dev, sizeof(dev)), 0);
	if (swapoff(dev))
		FAIL("swapoff %s: %s", dev, strerror(errno));
	CHECK_EQ(in_swap(), 0);
	if (swapon(dev, 0))
		FAIL("swapon %s: %s", dev, strerror(errno));
}

/*
 * The slots are free again, but for what each CPU keeps in reserve. A frame that
 * was read back from swap stays in the swap cache until it is reclaimed.
 */
static void slots_balance(void)
{
	long long reserve = 2 * 2 * 64 * PAGE / 1024;

	/* EAGAIN says that the group has no more */
	if (!WAIT_FOR(swap_grown_kb() <= reserve ||
			      (cgroup_try(GROUP, "memory.reclaim", "16M"),
			       swap_grown_kb() <= reserve),
		      20))
		FAIL("%lld kB of swap are still in use", swap_grown_kb());
}

/* Everybody exits; no slot is left behind. */
void finish(void)
{
	exit_all();
	sysfs_set("run", "1");
	note("swap in use after the last exit: %lld kB more than before",
	     swap_grown_kb());
	if (grouped)
		slots_balance();
	swap_off_and_on();
	CHECK_SOON_EQ(sysfs_num("pages_shared"), 0, LONG);
	if (grouped)
		cgroup_remove(GROUP);
}

static u64 *ballast_at;

static long w_ballast(long n, long b, long c, long d)
{
	long i;

	(void)b, (void)c, (void)d;
	ballast_at = map_pages(n);
	for (i = 0; i < n; i++)
		ballast_at[i * (PAGE / 8)] = i + 1;
	return 0;
}

static long w_ballast_bad(long n, long b, long c, long d)
{
	long i, bad = 0;

	(void)b, (void)c, (void)d;
	for (i = 0; i < n; i++)
		bad += ballast_at[i * (PAGE / 8)] != (u64)i + 1;
	return bad;
}

/* A ballast larger than what is free pushes everybody out, no control group. */
void everybody_out(size_t n)
{
	size_t ballast_pages =
		meminfo_kb("MemAvailable") / 4 + 128 * MIB / PAGE;
	struct worker ballast;
	int pass;

	/* reclaim would go easy on a small group beside a big one */
	merge_to_swap(NULL, n);
	sysfs_set("run", "0");
	worker_start(&ballast);
	worker_call(&ballast, w_ballast, ballast_pages);
	/* the ballast is younger: it may go first, but not for ever */
	for (pass = 0; pass < 5 && in_swap() < PROCS * n / 4; pass++)
		CHECK_EQ(worker_call(&ballast, w_ballast_bad, ballast_pages),
			 0);
	note("ballast of %zu MiB, %d passes: %zu of %zu mappings in swap",
	     ballast_pages * PAGE / MIB, pass, in_swap(), PROCS * n);
	CHECK_OP(in_swap(), >=, PROCS * n / 4);
	contents(all_old);
	worker_exit(&ballast);
	contents(all_old);
}
