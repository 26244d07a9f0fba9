// SPDX-License-Identifier: GPL-2.0
/*
 * scanner.c - what one scan thread does in a round
 *
 * It takes the spaces that nobody is at, and every region of them that has a
 * page table; then it helps where others are. A look at a region takes the dirty
 * bits off the pages that were written since the last one. What is still clean
 * at a second look, a little later in the same round, has come to rest: it is
 * fingerprinted and goes to match.c. Pages that were clean all along are known.
 * In a space that somebody else writes to (KVM guests) a sum of each page does
 * what the dirty bit cannot.
 *
 * It holds uksm_sem for reading for one step (a region) at a time. Whoever takes
 * it for writing may take spaces and work away; the epoch then says so, and the
 * round ends for all scan threads.
 */
#include <linux/delay.h>
#include <linux/freezer.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include "huge.h"
#include "lookup.h"
#include "scanner.h"
#include "space.h"
#include "table.h"
#include "visit.h"
#include "walk.h"
#include "work.h"

/* Time in which another scan thread will be through with a region. */
#define UKSM_STEP_NS (50 * NSEC_PER_USEC)
/* Times that a space which is busy is tried in a round. */
#define UKSM_PASSES 3

static DECLARE_WAIT_QUEUE_HEAD(uksm_wait);
static unsigned long uksm_epoch;

/**
 * uksm_scanner_create() - scratch for a scan thread
 *
 * Return: it, or NULL: no memory.
 */
struct uksm_scanner *uksm_scanner_create(void)
{
	struct uksm_scanner *s = kzalloc(sizeof(*s), GFP_KERNEL);

	if (!s)
		return NULL;
	s->visit = uksm_visit_create();
	if (!s->visit) {
		kfree(s);
		return NULL;
	}
	return s;
}

/**
 * uksm_scanner_free() - give it back
 * @s: the scratch
 */
void uksm_scanner_free(struct uksm_scanner *s)
{
	uksm_visit_free(s->visit);
	kfree(s);
}

/* ---- the epoch -------------------------------------------------------- */

/**
 * uksm_scanners_epoch() - a number that changes when a round is to end
 *
 * Context: any.
 * Return: the number.
 */
unsigned long uksm_scanners_epoch(void)
{
	return READ_ONCE(uksm_epoch);
}

/**
 * uksm_scanners_wake() - a setting has changed: the round under way is over, and
 * nobody sleeps on
 *
 * Context: uksm_sem held for writing.
 */
void uksm_scanners_wake(void)
{
	WRITE_ONCE(uksm_epoch, uksm_epoch + 1);
	wake_up_all(&uksm_wait);
}

/**
 * uksm_scanner_should_run() - is there to be merged, by this thread?
 *
 * Context: a scan thread.
 * Return: whether.
 */
bool uksm_scanner_should_run(void)
{
	return READ_ONCE(uksm_settings.run) == UKSM_RUN_MERGE &&
	       !kthread_should_stop();
}

/**
 * uksm_scanner_goes_on() - is the round of that epoch not over for this thread?
 * @epoch: from uksm_scanners_epoch()
 *
 * Context: a scan thread.
 * Return: whether it is not.
 */
bool uksm_scanner_goes_on(unsigned long epoch)
{
	return uksm_scanner_should_run() && epoch == uksm_scanners_epoch();
}

/**
 * uksm_scanners_wait() - wait until there is to be merged
 * @timeout: jiffies; no longer than that
 *
 * Context: a scan thread; uksm_sem not held.
 */
void uksm_scanners_wait(long timeout)
{
	wait_event_freezable_timeout(
		uksm_wait, uksm_scanner_should_run() || kthread_should_stop(),
		timeout);
}

/* ---- pacing ----------------------------------------------------------- */

/**
 * uksm_scanner_nap() - sleep, shorter if something changes
 * @s: the scan thread
 * @us: microseconds
 * @epoch: as of the decision to sleep
 *
 * Context: uksm_sem not held.
 */
void uksm_scanner_nap(struct uksm_scanner *s, u64 us, unsigned long epoch)
{
	u64 start = ktime_get_ns();

	if (us < 20 * USEC_PER_MSEC)
		usleep_range_state(us, us + us / 8 + 1, TASK_IDLE);
	else
		wait_event_freezable_timeout(
			uksm_wait, !uksm_scanner_goes_on(epoch),
			msecs_to_jiffies(
				min_t(u64, us / USEC_PER_MSEC, INT_MAX)));
	s->slept_ns += ktime_get_ns() - start;
}

static bool uksm_slice_over(struct uksm_scanner *s)
{
	unsigned int pages = READ_ONCE(uksm_settings.pages_to_scan);
	u64 ran = ktime_get_ns() - s->start_ns;
	unsigned int max = uksm_max_cpu();

	if (pages)
		return s->visit->scanned - s->pages >= pages;
	return ran >=
	       NSEC_PER_USEC * (u64)uksm_pace_slice_us(
				       max, READ_ONCE(uksm_settings.sleep_ms));
}

/**
 * uksm_scanner_renice() - compete for the CPU as memory wants it
 * @s: the scan thread, which is current
 *
 * Context: the scan thread, with no spinlock held; does not sleep.
 */
void uksm_scanner_renice(struct uksm_scanner *s)
{
	int nice =
		uksm_pace_nice(max(si_mem_available(), 0L), totalram_pages());

	/* Whoever set another one meanwhile has it until memory changes. */
	if (nice == s->nice)
		return;
	s->nice = nice;
	set_user_nice(current, nice);
}

/**
 * uksm_scanner_sleep() - sleep as the limits want it, and start a new slice
 * @s: the scan thread, which is current
 * @epoch: as of the decision to sleep
 *
 * Context: uksm_sem not held.
 */
void uksm_scanner_sleep(struct uksm_scanner *s, unsigned long epoch)
{
	u64 cpu = READ_ONCE(current->se.sum_exec_runtime);
	u64 us;

	us = uksm_pace_sleep_us(&s->pace, cpu - s->cpu_ns, s->slept_ns,
				uksm_max_cpu(),
				READ_ONCE(uksm_settings.sleep_ms));
	s->cpu_ns = cpu;
	s->slept_ns = 0;
	if (us)
		uksm_scanner_nap(s, us, epoch);
	try_to_freeze();
	uksm_scanner_renice(s);
	s->start_ns = ktime_get_ns();
	s->pages = s->visit->scanned;
}

/**
 * uksm_scanner_pause() - let others have the world, sleep when it is time
 * @s: the scan thread, which is current
 * @epoch: as of the decision to sleep
 *
 * Context: uksm_sem not held.
 */
void uksm_scanner_pause(struct uksm_scanner *s, unsigned long epoch)
{
	cond_resched();
	try_to_freeze();
	if (uksm_slice_over(s))
		uksm_scanner_sleep(s, epoch);
}

/*
 * Between two steps. uksm_sem held for reading, before and after. Return: false if
 * the round is over.
 */
static bool uksm_between(struct uksm_scanner *s)
{
	unsigned long epoch = uksm_scanners_epoch();

	uksm_huge_unguard(false);
	up_read(&uksm_sem);
	uksm_table_fit();
	uksm_lookup_fit();
	uksm_scanner_pause(s, epoch);
	down_read(&uksm_sem);
	return uksm_scanner_goes_on(epoch);
}

/* Sleep until @due. Return: as uksm_between(). */
static bool uksm_wait_until(struct uksm_scanner *s, u64 due)
{
	unsigned long epoch = uksm_scanners_epoch();
	u64 now = ktime_get_ns();

	up_read(&uksm_sem);
	if (due > now)
		uksm_scanner_nap(s, div_u64(due - now, NSEC_PER_USEC) + 1,
				 epoch);
	down_read(&uksm_sem);
	return uksm_scanner_goes_on(epoch);
}

/* ---- a round ---------------------------------------------------------- */

/*
 * Take a work that is due, urgent ones first. Return: 0; -ENOENT: there is none;
 * -EAGAIN: there will be one at *@due.
 */
static int uksm_scan_take(enum uksm_work_queue *q, struct uksm_work *work,
			  u64 *due)
{
	int err, res = -ENOENT;
	u64 when;

	*due = U64_MAX;
	for (*q = 0; *q < UKSM_WORK_QUEUES; (*q)++) {
		err = uksm_work_take(*q, work, &when);
		if (!err)
			return 0;
		if (err == -EAGAIN) {
			*due = min(*due, when);
			res = err;
		}
	}
	return res;
}

/*
 * Do the works that are due; with @all, those that are not yet as well.
 * Return: false if the round is over.
 */
static bool uksm_scan_work(struct uksm_scanner *s, bool all)
{
	enum uksm_work_queue q;
	struct uksm_work work;
	u64 due;
	int err;

	for (;;) {
		if (uksm_work_none(UKSM_WORK_URGENT) && uksm_visits_idle())
			uksm_huge_unguard(true);
		err = uksm_scan_take(&q, &work, &due);
		if (err == -ENOENT)
			return true;
		if (err == -EAGAIN) {
			if (!all && !uksm_work_full(UKSM_WORK_SECOND))
				return true;
			if (!uksm_wait_until(s, due))
				return false;
			continue;
		}
		if (uksm_visit_again(s->visit, q, &work))
			uksm_work_put_back(q, &work);
		if (!uksm_between(s))
			return false;
	}
}

/* Return: false if the round is over. */
static bool uksm_scan_steps(struct uksm_scanner *s, struct uksm_space *space)
{
	int res;

	do {
		res = uksm_visit_next(s->visit, space);
		if (res == -EAGAIN) /* come back to it */
			return true;
		if (res == -EBUSY) {
			if (!uksm_wait_until(s, ktime_get_ns() + UKSM_STEP_NS))
				return false;
			continue;
		}
		if (res) {
			WRITE_ONCE(space->done, true);
			return uksm_between(s);
		}
		if (!uksm_between(s) || !uksm_scan_work(s, false))
			return false;
	} while (!READ_ONCE(space->done));
	return true;
}

static bool uksm_scan_space(struct uksm_scanner *s, struct uksm_space *space)
{
	bool more;

	atomic_inc(&space->scanners);
	more = uksm_scan_steps(s, space);
	/* If the round is over the space may be, too. */
	if (more)
		atomic_dec(&space->scanners);
	return more;
}

/**
 * uksm_scanner_round() - take part in a round
 * @s: the scan thread, which is current
 *
 * Spaces that are busy are tried a few times.
 *
 * Context: uksm_sem held for reading, before and after, not all the time.
 * Return: false if the round was ended.
 */
bool uksm_scanner_round(struct uksm_scanner *s)
{
	bool others = READ_ONCE(uksm_settings.threads) > 1;
	struct uksm_space *space;
	int pass, help;

	for (pass = 0; pass < UKSM_PASSES; pass++) {
		for (help = 0; help <= others; help++) {
			list_for_each_entry(space, &uksm_spaces, list) {
				if (READ_ONCE(space->done) ||
				    (others && !help &&
				     atomic_read(&space->scanners)))
					continue;
				if (!uksm_scan_space(s, space))
					return false;
			}
		}
		if (!uksm_scan_work(s, true))
			return false;
	}
	return true;
}
