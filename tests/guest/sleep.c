// SPDX-License-Identifier: GPL-2.0
/* vm: mem=512 timeout=240 */
/*
 * The machine changes under the scanner: a CPU goes and comes while it scans;
 * processes are frozen, merged and unmerged all the same; the machine is
 * suspended to idle with the scanner at full speed, and nothing of it is lost.
 *
 * A scan thread that never looks whether it is to freeze keeps the machine from
 * being suspended.
 */
#include "lib.h"

#define N 512
#define OLD 630
#define CPU1 "/sys/devices/system/cpu/cpu1/online"
#define GROUP "frozen"
#define PM_TEST "/sys/power/pm_test"

static struct worker w[2];
static u8 *p[2];

static void start(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		worker_start(&w[i]);
		p[i] = worker_map_filled(&w[i], N, OLD, 0);
	}
}

static void filled(u64 seed)
{
	int i;

	for (i = 0; i < 2; i++)
		worker_fill(&w[i], p[i], N, seed, 0);
}

static void merged(u64 seed)
{
	int i;

	CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N, LONG);
	for (i = 0; i < 2; i++)
		CHECK_EQ(worker_bad(&w[i], p[i], N, seed, 0), 0);
}

static void end(void)
{
	worker_exit(&w[0]);
	worker_exit(&w[1]);
	CHECK_SOON_EQ(sysfs_num("pages_shared"), 0, LONG);
}

/* The CPU that goes is the one that the scanner is on. */
static void cpu_goes(void)
{
	pid_t pid = thread_pid("uksmd");
	int round;

	if (access(CPU1, W_OK))
		skip("no " CPU1);
	CHECK(pid);
	marked_only();
	start();
	for (round = 0; round < 6; round++) {
		CHECK(run_on(pid, 1));
		filled(OLD + round);
		CHECK_EQ(file_write(CPU1, "0"), 0);
		if (round % 2)
			filled(OLD + round);
		merged(OLD + round);
		CHECK_EQ(file_write(CPU1, "1"), 0);
	}
	filled(OLD);
	merged(OLD);
	end();
}

static void frozen_group(bool frozen)
{
	cgroup_set(GROUP, "cgroup.freeze", frozen ? "1" : "0");
	CHECK_SOON_EQ(cgroup_keyed(GROUP, "cgroup.events", "frozen"), frozen,
		      LONG);
}

static void frozen_processes(void)
{
	int i;

	marked_only();
	sysfs_set("run", "0");
	cgroup_make(GROUP);
	start();
	for (i = 0; i < 2; i++)
		cgroup_enter(GROUP, w[i].pid);
	frozen_group(true);
	sysfs_set("run", "1");
	CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N, LONG);
	unmerge_all();
	CHECK_EQ(count_merged(w[0].pid, p[0], N), 0);
	sysfs_set("run", "1");
	CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N, LONG);
	frozen_group(false);
	merged(OLD);
	filled(OLD + 1);
	merged(OLD + 1);
	end();
	cgroup_remove(GROUP);
}

/*
 * As far as the kernel's own test of it goes: to the point where only processors
 * are left to be stopped. Nothing would wake the emulated machine from there.
 */
static int suspend(void)
{
	file_write("/sys/power/pm_freeze_timeout", "10000");
	file_write("/sys/module/suspend/parameters/pm_test_delay", "1");
	CHECK_EQ(file_write(PM_TEST, "devices"), 0);
	return file_write("/sys/power/state", "freeze");
}

static void suspended_at(const char *percent, const char *ms)
{
	double busy;
	int round;

	if (access(PM_TEST, W_OK))
		skip("no " PM_TEST ": this kernel is not built to try it");
	sysfs_set("max_cpu_percentage", percent);
	sysfs_set("sleep_millisecs", ms);
	marked_only();
	start();
	for (round = 0; round < 2; round++) {
		/* while there is something to merge, and while nothing changes */
		if (!round)
			filled(OLD + 1);
		else
			settle(5);
		busy = now();
		CHECK_EQ(suspend(), 0);
		note("suspended, and back after %.1f s awake", now() - busy);
		merged(OLD + 1);
	}
	filled(OLD + 2);
	merged(OLD + 2);
	end();
}

static void suspended(void)
{
	suspended_at("95", "1");
}

static void suspended_restless(void)
{
	suspended_at("100", "0");
}

static const struct test_case cases[] = {
	{ "the scanner's CPU goes and comes", cpu_goes, 90 },
	{ "frozen processes", frozen_processes, 60 },
	{ "suspended to idle while scanning", suspended, 60 },
	{ "suspended while scanning without a pause", suspended_restless, 60 },
};

TEST_MAIN(0)
