// SPDX-License-Identifier: GPL-2.0
/* vm: mem=512 swap=256 timeout=200 */
/*
 * Locked memory. It is merged as other memory is; a frame stays in memory as
 * long as one of its mappings is locked, and may go to swap when none is; what
 * the kernel counts as locked is back to what it was when all is over.
 *
 * A frame that is mapped without taking note of the lock goes to swap under the
 * one who locked it; one whose lock is not given back can never go.
 */
#include "lib.h"

#include <sys/resource.h>
#include <sys/syscall.h>

#define GROUP "mlocktest"
#define N 128
#define SEED 630

static struct worker locker, other;
static u8 *pl, *po;
static long long mlocked_before, unevictable_before;

static long w_mlock(long p, long pages, long c, long d)
{
	(void)c, (void)d;
	return mlock((void *)p, pages * PAGE) ? -errno : 0;
}

static long w_mlock_onfault(long p, long pages, long c, long d)
{
	(void)c, (void)d;
	return syscall(SYS_mlock2, p, pages * PAGE, MLOCK_ONFAULT) ? -errno : 0;
}

static long w_munlock(long p, long pages, long c, long d)
{
	(void)c, (void)d;
	return munlock((void *)p, pages * PAGE) ? -errno : 0;
}

/* Pages on their way to a list count when they are there: have them sent there. */
static long long drained(long long (*count)(const char *), const char *key)
{
	file_write("/proc/sys/vm/compact_memory", "1");
	file_write("/proc/sys/vm/stat_refresh", "1"); /* the CPUs' shares */
	return count(key);
}

static long long mlocked(void)
{
	return drained(meminfo_kb, "Mlocked") * 1024 / (long long)PAGE;
}

static long long unevictable(void)
{
	return drained(meminfo_kb, "Unevictable") * 1024 / (long long)PAGE;
}

static void start(void)
{
	cgroup_make(GROUP);
	mlocked_before = mlocked();
	unevictable_before = unevictable();
	sysfs_set("run", "0");
	worker_start(&locker);
	worker_start(&other);
	cgroup_enter(GROUP, locker.pid);
	cgroup_enter(GROUP, other.pid);
	pl = worker_map_filled(&locker, N, SEED, 0);
	po = worker_map_filled(&other, N, SEED, 0);
}

static void merge(void)
{
	sysfs_set("run", "1");
	CHECK_SOON_EQ(count_same(locker.pid, pl, other.pid, po, N), N, LONG);
	sysfs_set("run", "0");
}

static void push_out(int times)
{
	int i;

	for (i = 0; i < times; i++) {
		cgroup_try(GROUP, "memory.reclaim", "4M");
		msleep(20);
	}
}

static size_t swapped(void)
{
	return count_swapped(other.pid, po, N);
}

/* Nobody has locked it any more: it goes to swap, and comes back right. */
static void can_go(void)
{
	int i;

	for (i = 0; i < 60 && swapped() < N * 3 / 4; i++)
		push_out(1);
	CHECK_OP(swapped(), >=, N * 3 / 4);
	CHECK_EQ(worker_bad(&other, po, N, SEED, 0), 0);
}

static void stays(void)
{
	push_out(15);
	CHECK_EQ(count_present(locker.pid, pl, N), N);
}

static void finish(void)
{
	if (locker.pid)
		worker_exit(&locker);
	worker_exit(&other);
	CHECK_SOON_EQ(mlocked(), mlocked_before, LONG);
	CHECK_SOON_EQ(unevictable(), unevictable_before, LONG);
	cgroup_remove(GROUP);
}

static void locked_then_merged(void)
{
	start();
	CHECK_EQ(worker_call(&locker, w_mlock, pl, N), 0);
	CHECK_EQ(status_kb(locker.pid, "VmLck"), N * PAGE / 1024);
	CHECK_SOON_EQ(mlocked(), mlocked_before + N, LONG);
	merge();
	CHECK_EQ(status_kb(locker.pid, "VmLck"), N * PAGE / 1024);
	CHECK_SOON_EQ(mlocked(), mlocked_before + N, LONG);
	stays();
	CHECK_EQ(count_same(locker.pid, pl, other.pid, po, N), N);
	CHECK_EQ(worker_bad(&locker, pl, N, SEED, 0), 0);
	CHECK_EQ(worker_call(&locker, w_munlock, pl, N), 0);
	CHECK_SOON_EQ(mlocked(), mlocked_before, LONG);
	can_go();
	finish();
}

/* mlock() copies what can be written; with MLOCK_ONFAULT frames are locked. */
static void merged_then_locked(void)
{
	start();
	merge();
	CHECK_EQ(worker_call(&locker, w_mlock_onfault, pl, N), 0);
	CHECK_SOON_EQ(mlocked(), mlocked_before + N, LONG);
	stays();
	CHECK_EQ(count_same(locker.pid, pl, other.pid, po, N), N);
	/* locked a second time, and written through */
	CHECK_EQ(worker_call(&locker, w_mlock, pl, N), 0);
	CHECK_EQ(count_merged(locker.pid, pl, N), 0);
	CHECK_SOON_EQ(mlocked(), mlocked_before + N, LONG);
	merge();
	CHECK_SOON_EQ(mlocked(), mlocked_before + N, LONG);
	stays();
	worker_fill(&locker, pl, N, SEED + 1, 0);
	CHECK_SOON_EQ(mlocked(), mlocked_before + N, LONG);
	stays();
	can_go();
	CHECK_EQ(worker_bad(&locker, pl, N, SEED + 1, 0), 0);
	finish();
}

/* Both have locked it, and one after the other lets go, the last by exiting. */
static void both_locked(void)
{
	start();
	CHECK_EQ(worker_call(&locker, w_mlock, pl, N), 0);
	CHECK_EQ(worker_call(&other, w_mlock, po, N), 0);
	CHECK_SOON_EQ(mlocked(), mlocked_before + 2 * N, LONG);
	merge();
	CHECK_SOON_EQ(mlocked(), mlocked_before + N, LONG);
	CHECK_EQ(worker_call(&other, w_munlock, po, N), 0);
	stays();
	worker_exit(&locker);
	CHECK_SOON_EQ(mlocked(), mlocked_before, LONG);
	can_go();
	finish();
}

/* run=2 gives locked pages back: they are locked, present and right. */
static void unmerged(void)
{
	start();
	CHECK_EQ(worker_call(&locker, w_mlock, pl, N), 0);
	merge();
	unmerge_all();
	CHECK_EQ(count_merged(locker.pid, pl, N), 0);
	CHECK_EQ(count_present(locker.pid, pl, N), N);
	CHECK_SOON_EQ(mlocked(), mlocked_before + N, LONG);
	stays();
	can_go();
	CHECK_EQ(worker_bad(&locker, pl, N, SEED, 0), 0);
	finish();
}

/* Everything of a process is locked, zero pages, stack and all. */
static long w_mlockall(long a, long b, long c, long d)
{
	(void)a, (void)b, (void)c, (void)d;
	return mlockall(MCL_CURRENT | MCL_FUTURE) ? -errno : 0;
}

static void all_locked(void)
{
	u8 *more, *zero;

	start();
	CHECK_EQ(worker_call(&locker, w_mlockall), 0);
	zero = (u8 *)worker_call(&locker, w_map, N);
	CHECK_EQ(count_present(locker.pid, zero, N), N);
	more = worker_map_filled(&locker, N, SEED, 0);
	merge();
	sysfs_set("run", "1");
	CHECK_SOON_EQ(count_same(locker.pid, more, other.pid, po, N), N, LONG);
	CHECK_SOON_EQ(count_zero(locker.pid, zero, N), N, LONG);
	sysfs_set("run", "0");
	stays();
	CHECK_EQ(count_present(locker.pid, more, N), N);
	CHECK_EQ(count_present(locker.pid, zero, N), N);
	CHECK_EQ(worker_call(&locker, w_bad_zero, zero, N), 0);
	worker_fill(&locker, zero, N, SEED, 0);
	CHECK_EQ(worker_bad(&locker, zero, N, SEED, 0), 0);
	CHECK_EQ(worker_bad(&locker, more, N, SEED, 0), 0);
	worker_exit(&locker);
	CHECK_SOON_EQ(mlocked(), mlocked_before, LONG);
	can_go();
	finish();
}

/*
 * The limit is on what is locked, not on what of it is merged: merging makes no
 * room, and takes none.
 */
static long w_limit(long bytes, long uid, long c, long d)
{
	struct rlimit rl = { bytes, bytes };

	(void)c, (void)d;
	if (setrlimit(RLIMIT_MEMLOCK, &rl))
		return -errno;
	return setresuid(uid, uid, uid) ? -errno : 0;
}

static void limited(void)
{
	u8 *more;

	start();
	sysfs_set("merge_domain", "global");
	CHECK_EQ(worker_call(&locker, w_limit, N * PAGE, 12345), 0);
	CHECK_EQ(worker_call(&locker, w_mlock, pl, N), 0);
	more = worker_map_filled(&locker, N, SEED, 0);
	merge();
	CHECK_EQ(worker_call(&locker, w_mlock, more, N), -ENOMEM);
	CHECK_EQ(worker_call(&locker, w_munlock, pl, N), 0);
	CHECK_EQ(status_kb(locker.pid, "VmLck"), 0);
	CHECK_EQ(worker_call(&locker, w_mlock, more, N), 0);
	CHECK_EQ(worker_bad(&locker, more, N, SEED, 0), 0);
	finish();
}

static const struct test_case cases[] = {
	{ "locked pages are merged and stay in memory", locked_then_merged,
	  90 },
	{ "merged pages are locked", merged_then_locked, 90 },
	{ "both mappers have locked, and let go", both_locked, 90 },
	{ "run=2 on locked pages", unmerged, 90 },
	{ "mlockall", all_locked, 90 },
	{ "the limit", limited, 90 },
};

TEST_MAIN(0)
