// SPDX-License-Identifier: GPL-2.0
/*
 * scan.c - rounds, and the threads that make them
 *
 * uksmd begins a round: it looks who is there, and makes room for what may come.
 * Then all scan threads take part in it (scanner.c). When all are through uksmd
 * ends it, and sleeps if there is nothing to do. The files come in here to
 * change what is going on.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/freezer.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/wait.h>

#include "frame.h"
#include "huge.h"
#include "lookup.h"
#include "scan.h"
#include "scanner.h"
#include "space.h"
#include "sweep.h"
#include "table.h"
#include "unmerge.h"
#include "work.h"

/* Fresh pages are drained no more often than that: it disturbs all CPUs. */
#define UKSM_DRAIN_NS (200 * NSEC_PER_MSEC)
/*
 * Counts that a file shows are no older than that; but for one look no more than
 * so many frames that live are swept, some 30 to 80 ms of work.
 */
#define UKSM_COUNTS_NS (100 * NSEC_PER_MSEC)
#define UKSM_COUNTS_FRAMES (256 * 1024)
/*
 * While nothing is scanned, what died is looked for this often, among so many
 * that live: some hundredth of a CPU.
 */
#define UKSM_IDLE_SWEEP HZ
#define UKSM_IDLE_FRAMES (32 * 1024)

DECLARE_RWSEM(uksm_sem);
DEFINE_MUTEX(uksm_mutex);
struct uksm_stats uksm_stats;

/* When the frames were swept last, and how long it took. */
static u64 uksm_swept_ns;
static u64 uksm_sweep_ns;
static u64 uksm_drained_ns;

/* ---- the helpers of uksmd --------------------------------------------- */

/* All scan threads, uksmd first. Under uksm_threads_mutex. */
static struct uksm_thread {
	struct task_struct *task;
	struct uksm_scanner *scanner;
} uksm_thread[UKSM_THREADS_MAX];
static unsigned int uksm_threads;
static DEFINE_MUTEX(uksm_threads_mutex);

/* The round that helpers may take part in, and how many do. */
static struct {
	spinlock_t lock;
	unsigned long nr;
	unsigned long epoch;
	bool open;
	unsigned int helpers;
	wait_queue_head_t opened;
	wait_queue_head_t left;
} uksm_round = {
	.lock = __SPIN_LOCK_UNLOCKED(uksm_round.lock),
	.opened = __WAIT_QUEUE_HEAD_INITIALIZER(uksm_round.opened),
	.left = __WAIT_QUEUE_HEAD_INITIALIZER(uksm_round.left),
};

static void uksm_round_open(unsigned long epoch)
{
	spin_lock(&uksm_round.lock);
	uksm_round.epoch = epoch;
	WRITE_ONCE(uksm_round.nr, uksm_round.nr + 1);
	uksm_round.open = true;
	spin_unlock(&uksm_round.lock);
	wake_up_all(&uksm_round.opened);
}

/* Nobody joins any more; wait for those who did. */
static void uksm_round_close(struct uksm_scanner *s)
{
	u64 start = ktime_get_ns();

	spin_lock(&uksm_round.lock);
	uksm_round.open = false;
	spin_unlock(&uksm_round.lock);
	wait_event_freezable(uksm_round.left, !READ_ONCE(uksm_round.helpers));
	s->slept_ns += ktime_get_ns() - start;
}

static bool uksm_round_join(unsigned long *nr)
{
	bool open;

	spin_lock(&uksm_round.lock);
	open = uksm_round.open && uksm_round.nr != *nr;
	*nr = uksm_round.nr;
	if (open)
		WRITE_ONCE(uksm_round.helpers, uksm_round.helpers + 1);
	spin_unlock(&uksm_round.lock);
	return open;
}

static void uksm_round_leave(void)
{
	spin_lock(&uksm_round.lock);
	WRITE_ONCE(uksm_round.helpers, uksm_round.helpers - 1);
	spin_unlock(&uksm_round.lock);
	wake_up_all(&uksm_round.left);
}

static int uksm_helper_thread(void *arg)
{
	struct uksm_scanner *s = arg;
	unsigned long nr = 0;
	u64 start;

	set_freezable();
	uksm_scanner_renice(s);
	while (!kthread_should_stop()) {
		start = ktime_get_ns();
		wait_event_freezable(uksm_round.opened,
				     kthread_should_stop() ||
					     READ_ONCE(uksm_round.nr) != nr);
		s->slept_ns += ktime_get_ns() - start;
		if (!uksm_round_join(&nr))
			continue;
		down_read(&uksm_sem);
		if (uksm_scanner_goes_on(uksm_round.epoch))
			uksm_scanner_round(s);
		up_read(&uksm_sem);
		uksm_round_leave();
		uksm_scanner_sleep(s, uksm_scanners_epoch());
	}
	return 0;
}

/* ---- a round ---------------------------------------------------------- */

/* For the counts' sake. uksm_sem held for writing. */
static void uksm_sweep(void)
{
	u64 start = ktime_get_ns();

	uksm_frames_sweep_first(UKSM_COUNTS_FRAMES);
	WRITE_ONCE(uksm_swept_ns, ktime_get_ns());
	WRITE_ONCE(uksm_sweep_ns, uksm_swept_ns - start);
}

static bool uksm_round_begin(void)
{
	if (uksm_frames_selftest() == -EOPNOTSUPP) {
		pr_err("the kernel no longer calls the hooks; merging stops. Enable kprobes (debugfs kprobes/enabled, kernel.ftrace_enabled), then write 1 to run\n");
		WRITE_ONCE(uksm_settings.run, UKSM_RUN_STOP);
		return false;
	}
	uksm_lookup_new_round();
	uksm_lookup_resize(uksm_spaces_refresh());
	if (READ_ONCE(uksm_settings.min_headroom))
		uksm_frames_sweep(); /* what forks owe is to be known */
	else
		uksm_frames_sweep_some();
	return true;
}

/* One round. Return: whether it was completed. */
static bool uksm_scan_round(struct uksm_scanner *s)
{
	unsigned long epoch;
	bool done = false;

	/* Pages fresh from a fault carry a reference until they are drained. */
	if (ktime_get_ns() - uksm_drained_ns > UKSM_DRAIN_NS) {
		uksm_kcall(lru_add_drain_all)();
		uksm_drained_ns = ktime_get_ns();
	}

	down_write(&uksm_sem);
	epoch = uksm_scanners_epoch();
	if (uksm_scanner_should_run() && uksm_round_begin()) {
		downgrade_write(&uksm_sem);
		uksm_round_open(epoch);
		done = uksm_scanner_round(s);
		up_read(&uksm_sem);
		uksm_round_close(s);
		down_write(&uksm_sem);
		done = done && epoch == uksm_scanners_epoch();
		uksm_spaces_end_round(done);
		uksm_stats.full_scans += done;
	}
	uksm_huge_unguard(true);
	uksm_work_drop();
	up_write(&uksm_sem);
	/* The round may have had fewer steps than there are ranges. */
	while (uksm_scanner_should_run() && uksm_lookup_fit())
		uksm_scanner_pause(s, epoch);
	return done;
}

/* Nothing is scanned, but frames die and processes exit. */
static void uksm_scan_tidy(void)
{
	down_write(&uksm_sem);
	uksm_spaces_reap();
	uksm_frames_sweep_first(UKSM_IDLE_FRAMES);
	up_write(&uksm_sem);
	while (!kthread_should_stop() && uksm_table_fit())
		cond_resched();
}

static int uksm_scan_thread(void *arg)
{
	struct uksm_scanner *s = arg;
	unsigned int quiet = 0;

	set_freezable();
	uksm_scanner_renice(s);
	while (!kthread_should_stop()) {
		u64 merged = READ_ONCE(uksm_stats.merged);
		u32 ms = 0;

		if (uksm_scanner_should_run()) {
			if (uksm_scan_round(s))
				quiet = READ_ONCE(uksm_stats.merged) == merged ?
						min(quiet + 1, UKSM_IDLE_MAX) :
						0;
			if (!READ_ONCE(uksm_settings.pages_to_scan))
				ms = uksm_pace_idle_ms(
					READ_ONCE(uksm_settings.governor),
					quiet);
			uksm_scanner_sleep(s, uksm_scanners_epoch());
			if (ms)
				uksm_scanner_nap(s, ms * USEC_PER_MSEC,
						 uksm_scanners_epoch());
			continue;
		}
		uksm_scan_tidy();
		uksm_scanners_wait(
			list_empty(&uksm_spaces) &&
					!READ_ONCE(uksm_stats.frames) ?
				MAX_SCHEDULE_TIMEOUT :
				UKSM_IDLE_SWEEP);
	}
	return 0;
}

/*
 * One more. Helpers do nothing until there is a round; uksmd is woken when nothing
 * can fail any more, for there may be frames from then on. uksm_threads_mutex held.
 */
static int uksm_thread_start(void)
{
	struct uksm_thread *t = &uksm_thread[uksm_threads];

	t->scanner = uksm_scanner_create();
	if (!t->scanner)
		return -ENOMEM;
	t->task = uksm_threads ?
			  kthread_create(uksm_helper_thread, t->scanner,
					 "uksmd/%u", uksm_threads) :
			  kthread_create(uksm_scan_thread, t->scanner, "uksmd");
	if (IS_ERR(t->task)) {
		uksm_scanner_free(t->scanner);
		return PTR_ERR(t->task);
	}
	if (uksm_threads)
		wake_up_process(t->task);
	uksm_threads++;
	return 0;
}

/* Stop the last one. uksm_threads_mutex held. */
static void uksm_thread_stop(void)
{
	struct uksm_thread *t = &uksm_thread[--uksm_threads];

	kthread_stop(t->task);
	uksm_scanner_free(t->scanner);
}

/* ---- what others call ------------------------------------------------- */

static bool uksm_counts_old(void)
{
	return ktime_get_ns() - READ_ONCE(uksm_swept_ns) >
	       max_t(u64, UKSM_COUNTS_NS, 10 * READ_ONCE(uksm_sweep_ns));
}

/**
 * uksm_scan_freshen() - bring the counts up to date, if they are old
 *
 * Context: uksm_sem not held; may sleep.
 */
void uksm_scan_freshen(void)
{
	if (!uksm_counts_old())
		return;
	down_write(&uksm_sem);
	if (uksm_counts_old())
		uksm_sweep();
	up_write(&uksm_sem);
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

	down_write(&uksm_sem);
	WRITE_ONCE(uksm_settings.run, run);
	if (run == UKSM_RUN_UNMERGE) {
		err = uksm_unmerge_all();
		if (err) {
			WRITE_ONCE(uksm_settings.run, UKSM_RUN_STOP);
		} else {
			uksm_work_drop();
			uksm_spaces_drop();
			uksm_lookup_drop();
		}
	}
	uksm_scanners_wake();
	up_write(&uksm_sem);
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

	down_write(&uksm_sem);
	if (across != uksm_settings.across_nodes) {
		uksm_frames_sweep();
		if (uksm_stats.frames) {
			err = -EBUSY;
		} else {
			WRITE_ONCE(uksm_settings.across_nodes, across);
			/* but for which zero pages are uksm's */
			uksm_work_drop();
			uksm_spaces_forget();
			uksm_lookup_drop();
			uksm_scanners_wake();
		}
	}
	up_write(&uksm_sem);
	return err;
}

/* uksm_sem not held. */
static int uksm_queues_fit(unsigned int threads)
{
	int err;

	down_write(&uksm_sem);
	err = uksm_work_resize(threads);
	up_write(&uksm_sem);
	return err;
}

/**
 * uksm_scan_set_threads() - what is written to the file scan_threads
 * @nr: 1 to UKSM_THREADS_MAX
 *
 * Context: may sleep.
 * Return: 0, or an error; then there are as many as before.
 */
int uksm_scan_set_threads(unsigned int nr)
{
	unsigned int before;
	int err = 0;

	mutex_lock(&uksm_threads_mutex);
	before = uksm_threads;
	if (nr > before)
		err = uksm_queues_fit(nr);
	while (!err && uksm_threads < nr)
		err = uksm_thread_start();
	while (uksm_threads > (err ? before : nr))
		uksm_thread_stop();
	if (uksm_threads < nr || nr < before)
		uksm_queues_fit(uksm_threads); /* or they stay too long */
	if (!err)
		WRITE_ONCE(uksm_settings.threads, nr);
	mutex_unlock(&uksm_threads_mutex);
	return err;
}

/**
 * uksm_scan_start() - start the threads
 *
 * Context: module load; the last step that can fail.
 * Return: 0; or an error: then uksm_scan_stop() is next.
 */
int __init uksm_scan_start(void)
{
	int err = uksm_scan_set_threads(READ_ONCE(uksm_settings.threads));

	if (err)
		return err;
	wake_up_process(uksm_thread[0].task);
	return 0;
}

void uksm_scan_stop(void)
{
	mutex_lock(&uksm_threads_mutex);
	while (uksm_threads)
		uksm_thread_stop();
	uksm_queues_fit(0);
	mutex_unlock(&uksm_threads_mutex);
}
