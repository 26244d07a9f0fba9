// SPDX-License-Identifier: GPL-2.0
/*
 * scan.c - the scan thread
 *
 * A round takes every space in turn and every region of it that has a page
 * table. A look at a region takes the dirty bits off the pages that were
 * written since the last one. What is still clean at a second look, a little
 * later in the same round, has come to rest: it is fingerprinted and goes to
 * match.c. Pages that were clean all along are known. In a space that somebody
 * else writes to (KVM guests) a sum of each page does what the dirty bit
 * cannot.
 *
 * The thread holds uksm_mutex for one step (a region) at a time. Whoever else
 * takes it may take spaces and work away; uksm_epoch then says so, and the
 * round ends.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/freezer.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/wait.h>

#include "frame.h"
#include "huge.h"
#include "match.h"
#include "pace.h"
#include "scan.h"
#include "space.h"
#include "unmerge.h"
#include "visit.h"
#include "work.h"

/* Fresh pages are drained no more often than that: it disturbs all CPUs. */
#define UKSM_DRAIN_NS (200 * NSEC_PER_MSEC)
/* Counts that a file shows are no older than that. */
#define UKSM_COUNTS_NS (100 * NSEC_PER_MSEC)
/* While nothing is scanned, what died is looked for this often. */
#define UKSM_IDLE_SWEEP HZ

DEFINE_MUTEX(uksm_mutex);
struct uksm_stats uksm_stats;

static struct task_struct *uksm_thread;
static DECLARE_WAIT_QUEUE_HEAD(uksm_wait);
static unsigned long uksm_epoch;

/* When the frames were swept last, and how long it took. */
static u64 uksm_swept_ns;
static u64 uksm_sweep_ns;
static u64 uksm_drained_ns;

/**
 * struct uksm_slice - work between two sleeps
 * @pace: what is owed
 * @start_ns: when it began
 * @slept_ns: time slept since the CPU time was last read
 * @cpu_ns: CPU time of the thread when it was last read
 * @pages: pages scanned at its start
 */
static struct uksm_slice {
	struct uksm_pace pace;
	u64 start_ns;
	u64 slept_ns;
	u64 cpu_ns;
	u64 pages;
} uksm_slice;

/* ---- pacing ----------------------------------------------------------- */

static bool uksm_should_run(void)
{
	return READ_ONCE(uksm_settings.run) == UKSM_RUN_MERGE &&
	       !kthread_should_stop();
}

/* Sleep without uksm_mutex, shorter if something changes. */
static void uksm_nap(u64 us, unsigned long epoch)
{
	u64 start = ktime_get_ns();

	if (us < 20 * USEC_PER_MSEC)
		usleep_range(us, us + us / 8 + 1);
	else
		wait_event_freezable_timeout(
			uksm_wait,
			!uksm_should_run() || READ_ONCE(uksm_epoch) != epoch,
			msecs_to_jiffies(
				min_t(u64, us / USEC_PER_MSEC, INT_MAX)));
	uksm_slice.slept_ns += ktime_get_ns() - start;
}

static bool uksm_slice_over(void)
{
	unsigned int pages = READ_ONCE(uksm_settings.pages_to_scan);
	u64 ran = ktime_get_ns() - uksm_slice.start_ns;
	unsigned int max = uksm_max_cpu();

	if (pages)
		return uksm_stats.pages_scanned - uksm_slice.pages >= pages;
	return ran >=
	       NSEC_PER_USEC * (u64)uksm_pace_slice_us(
				       max, READ_ONCE(uksm_settings.sleep_ms));
}

/* Sleep as the limits want it, and start a new slice. uksm_mutex not held. */
static void uksm_slice_sleep(unsigned long epoch)
{
	u64 cpu = READ_ONCE(current->se.sum_exec_runtime);
	u64 us;

	us = uksm_pace_sleep_us(&uksm_slice.pace, cpu - uksm_slice.cpu_ns,
				uksm_slice.slept_ns, uksm_max_cpu(),
				READ_ONCE(uksm_settings.sleep_ms));
	uksm_slice.cpu_ns = cpu;
	uksm_slice.slept_ns = 0;
	if (us)
		uksm_nap(us, epoch);
	try_to_freeze();
	uksm_slice.start_ns = ktime_get_ns();
	uksm_slice.pages = uksm_stats.pages_scanned;
}

/*
 * Between two steps: let others have the lock, sleep when it is time.
 * uksm_mutex held, before and after. Return: false if the round is over.
 */
static bool uksm_between(void)
{
	unsigned long epoch = uksm_epoch;
	bool over = uksm_slice_over();

	uksm_huge_unguard(false);
	mutex_unlock(&uksm_mutex);
	cond_resched();
	try_to_freeze();
	if (over)
		uksm_slice_sleep(epoch);
	mutex_lock(&uksm_mutex);
	return uksm_should_run() && epoch == uksm_epoch;
}

/* Wait until @due with the lock free. Return: as uksm_between(). */
static bool uksm_wait_until(u64 due)
{
	unsigned long epoch = uksm_epoch;
	u64 now = ktime_get_ns();

	mutex_unlock(&uksm_mutex);
	if (due > now)
		uksm_nap(div_u64(due - now, NSEC_PER_USEC) + 1, epoch);
	mutex_lock(&uksm_mutex);
	return uksm_should_run() && epoch == uksm_epoch;
}

/* ---- a round ---------------------------------------------------------- */

/* Do the works that are due; with @all, those that are not yet as well. */
static bool uksm_scan_work(bool all)
{
	struct uksm_work *work;

	for (;;) {
		work = uksm_work_first(UKSM_WORK_URGENT);
		if (!work && uksm_huge_unguard(true))
			continue;
		if (work) {
			uksm_visit_again(UKSM_WORK_URGENT);
		} else {
			work = uksm_work_first(UKSM_WORK_SECOND);
			if (!work)
				return true;
			if (work->due > ktime_get_ns()) {
				if (!all && !uksm_work_full(UKSM_WORK_SECOND))
					return true;
				if (!uksm_wait_until(work->due))
					return false;
				continue;
			}
			uksm_visit_again(UKSM_WORK_SECOND);
		}
		if (!uksm_between())
			return false;
	}
}

/* Return: false if the round is over. */
static bool uksm_scan_space(struct uksm_space *space)
{
	int res;

	for (;;) {
		res = uksm_visit_next(space);
		if (res)
			break;
		if (!uksm_between() || !uksm_scan_work(false))
			return false;
	}
	if (res == -EAGAIN) /* busy: come back to it */
		return true;
	space->done = true;
	if (res == 1)
		uksm_space_end_round(space);
	else
		uksm_space_drop(space);
	return uksm_between();
}

/* Is anything left that was busy? Go over the spaces a few times. */
static bool uksm_scan_spaces(void)
{
	struct uksm_space *space, *n;
	int pass;

	for (pass = 0; pass < 3; pass++) {
		list_for_each_entry_safe(space, n, &uksm_spaces, list) {
			if (!space->done && !uksm_scan_space(space))
				return false;
		}
		if (!uksm_scan_work(true))
			return false;
	}
	return true;
}

static void uksm_sweep(void)
{
	u64 start = ktime_get_ns();

	uksm_frames_sweep();
	uksm_swept_ns = ktime_get_ns();
	uksm_sweep_ns = uksm_swept_ns - start;
}

static bool uksm_round_begin(void)
{
	if (uksm_frames_selftest() == -EOPNOTSUPP) {
		pr_err("the kernel no longer calls the hooks; merging stops. Enable kprobes (debugfs kprobes/enabled, kernel.ftrace_enabled), then write 1 to run\n");
		WRITE_ONCE(uksm_settings.run, UKSM_RUN_STOP);
		return false;
	}
	uksm_match_new_round();
	uksm_match_resize(uksm_spaces_refresh());
	uksm_sweep();
	return true;
}

/* One round. Return: whether it was completed. */
static bool uksm_scan_round(void)
{
	bool done = false;

	/* Pages fresh from a fault carry a reference until they are drained. */
	if (ktime_get_ns() - uksm_drained_ns > UKSM_DRAIN_NS) {
		uksm_kcall(lru_add_drain_all)();
		uksm_drained_ns = ktime_get_ns();
	}

	mutex_lock(&uksm_mutex);
	if (uksm_should_run() && uksm_round_begin() && uksm_scan_spaces()) {
		uksm_stats.full_scans++;
		done = true;
	}
	uksm_huge_unguard(true);
	uksm_work_drop();
	mutex_unlock(&uksm_mutex);
	return done;
}

/* Nothing is scanned, but frames die and processes exit. */
static void uksm_scan_tidy(void)
{
	mutex_lock(&uksm_mutex);
	uksm_spaces_reap();
	uksm_sweep();
	mutex_unlock(&uksm_mutex);
}

static int uksm_scan_thread(void *unused)
{
	unsigned int quiet = 0;

	set_freezable();
	set_user_nice(current, 5);
	while (!kthread_should_stop()) {
		u64 merged = uksm_stats.merged;
		u32 ms = 0;

		if (uksm_should_run()) {
			if (uksm_scan_round())
				quiet = uksm_stats.merged == merged ?
						min(quiet + 1, UKSM_IDLE_MAX) :
						0;
			if (!READ_ONCE(uksm_settings.pages_to_scan))
				ms = uksm_pace_idle_ms(
					READ_ONCE(uksm_settings.governor),
					quiet);
			uksm_slice_sleep(READ_ONCE(uksm_epoch));
			if (ms)
				uksm_nap(ms * USEC_PER_MSEC,
					 READ_ONCE(uksm_epoch));
			continue;
		}
		uksm_scan_tidy();
		wait_event_freezable_timeout(
			uksm_wait, uksm_should_run() || kthread_should_stop(),
			list_empty(&uksm_spaces) &&
					!READ_ONCE(uksm_stats.frames) ?
				MAX_SCHEDULE_TIMEOUT :
				UKSM_IDLE_SWEEP);
	}
	return 0;
}

/* ---- what others call ------------------------------------------------- */

/**
 * uksm_scan_wake() - a setting has changed
 */
void uksm_scan_wake(void)
{
	WRITE_ONCE(uksm_epoch, uksm_epoch + 1);
	wake_up_all(&uksm_wait);
}

/**
 * uksm_scan_freshen() - bring the counts up to date, if they are old
 *
 * Context: uksm_mutex not held; may sleep.
 */
void uksm_scan_freshen(void)
{
	mutex_lock(&uksm_mutex);
	if (ktime_get_ns() - uksm_swept_ns >
	    max_t(u64, UKSM_COUNTS_NS, 10 * uksm_sweep_ns))
		uksm_sweep();
	mutex_unlock(&uksm_mutex);
}

/**
 * uksm_scan_set_run() - what is written to the file run
 * @run: enum uksm_run
 *
 * Context: may sleep, long for UKSM_RUN_UNMERGE.
 * Return: 0, -ENOMEM or -EINTR when not everything could be unmerged.
 */
int uksm_scan_set_run(unsigned int run)
{
	int err = 0;

	mutex_lock(&uksm_mutex);
	WRITE_ONCE(uksm_settings.run, run);
	if (run == UKSM_RUN_UNMERGE) {
		err = uksm_unmerge_all();
		if (err)
			WRITE_ONCE(uksm_settings.run, UKSM_RUN_STOP);
		else
			uksm_scan_forget();
	}
	uksm_scan_wake();
	mutex_unlock(&uksm_mutex);
	return err;
}

/**
 * uksm_scan_set_across_nodes() - what is written to the file merge_across_nodes
 * @across: 0 or 1
 *
 * Context: may sleep.
 * Return: 0, or -EBUSY: there are frames.
 */
int uksm_scan_set_across_nodes(unsigned int across)
{
	int err = 0;

	mutex_lock(&uksm_mutex);
	if (across != uksm_settings.across_nodes) {
		uksm_sweep();
		if (uksm_stats.frames) {
			err = -EBUSY;
		} else {
			WRITE_ONCE(uksm_settings.across_nodes, across);
			uksm_scan_forget();
			uksm_scan_wake();
		}
	}
	mutex_unlock(&uksm_mutex);
	return err;
}

/**
 * uksm_scan_forget() - forget all that was learnt of pages
 *
 * Context: uksm_mutex held; may sleep.
 */
void uksm_scan_forget(void)
{
	lockdep_assert_held(&uksm_mutex);
	uksm_work_drop();
	uksm_spaces_drop();
	uksm_match_drop();
	WRITE_ONCE(uksm_epoch, uksm_epoch + 1);
}

/**
 * uksm_scan_start() - start the thread
 *
 * Return: 0 or an error.
 */
int __init uksm_scan_start(void)
{
	uksm_thread = kthread_run(uksm_scan_thread, NULL, "uksmd");
	return PTR_ERR_OR_ZERO(uksm_thread);
}

void uksm_scan_stop(void)
{
	kthread_stop(uksm_thread);
}
