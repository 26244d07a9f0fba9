// SPDX-License-Identifier: GPL-2.0
/* vm: timeout=200 */
/*
 * Pages that are pinned for reading while they are being merged. Whoever pins
 * the page of a private mapping is to see what its owner writes later, so a page
 * that is about to be shared must lose its exclusive mark first: then the pin
 * takes a copy that is the owner's own. With the mark left on the pin is on the
 * old page, a frame takes its place under the owner, and the reader gets what
 * was there before.
 *
 * process_vm_readv() pins a megabyte before it copies the first byte; a
 * destination that userfaultfd watches holds it there for as long as we like.
 */
#include "lib.h"

#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define REGION 512UL
#define REGIONS 6
#define N (REGION * REGIONS)
#define PINNED 256UL
#define OLD 510
#define NEW 511

static struct worker w, other;
static u8 *p, *q, *dst;
static int uffd, delay_us;

/* Regions are aligned as the module's are. */
static long w_map_aligned(long pages, long b, long c, long d)
{
	(void)b, (void)c, (void)d;
	return (long)map_aligned(pages);
}

static void watch(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg;

	dst = map_pages(PINNED);
	uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (uffd < 0)
		skip("no userfaultfd: %s", strerror(errno));
	CHECK_EQ(ioctl(uffd, UFFDIO_API, &api), 0);
	reg = (struct uffdio_register){
		.range = { (unsigned long)dst, PINNED * PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	CHECK_EQ(ioctl(uffd, UFFDIO_REGISTER, &reg), 0);
}

/* It wakes up where the scanner is at work, and finds it in the midst of it. */
static void *reader(void *at)
{
	struct iovec to = { dst, PINNED * PAGE }, from = { at, PINNED * PAGE };
	struct sched_param param = { .sched_priority = 1 };

	run_on(0, 1);
	sched_setscheduler(0, SCHED_FIFO, &param);
	usleep(delay_us);
	return (void *)process_vm_readv(w.pid, &to, 1, &from, 1, 0);
}

static void pin(pthread_t *thread, u8 *at)
{
	struct pollfd fd = { .fd = uffd, .events = POLLIN };
	struct uffd_msg msg;

	CHECK_EQ(madvise(dst, PINNED * PAGE, MADV_DONTNEED), 0);
	CHECK_EQ(pthread_create(thread, NULL, reader, at), 0);
	CHECK_EQ(poll(&fd, 1, 10000 * slowness()), 1);
	CHECK_EQ(read(uffd, &msg, sizeof(msg)), sizeof(msg));
	CHECK_EQ(msg.event, UFFD_EVENT_PAGEFAULT);
}

static void unpin(pthread_t thread)
{
	struct uffdio_zeropage zero = {
		.range = { (unsigned long)dst, PINNED * PAGE },
	};
	void *res;

	CHECK_EQ(ioctl(uffd, UFFDIO_ZEROPAGE, &zero), 0);
	CHECK_EQ(pthread_join(thread, &res), 0);
	CHECK_EQ((long)res, PINNED * PAGE);
}

/* Pin pages of a region whose turn is near. */
static void one_try(int round)
{
	size_t region = 2 + round % (REGIONS - 2);
	size_t first = region * REGION + round / 4 % 2 * PINNED;
	u8 *at = p + first * PAGE;
	pthread_t thread;
	size_t merged;
	double end;

	worker_fill(&w, p, N, OLD, 0);
	end = now() + LONG;
	while (!count_merged(w.pid, p + (region - 2) * REGION * PAGE, 1))
		if (now() > end)
			FAIL("nothing is merged");
	delay_us = round * 711 % 8000;
	pin(&thread, at);
	msleep(20);
	merged = count_merged(w.pid, at, PINNED);
	if (merged)
		FAIL("try %d: %zu pinned pages were merged", round, merged);
	worker_fill(&w, at, PINNED, NEW, first);
	unpin(thread);
	CHECK_EQ(bad_pages(dst, PINNED, NEW, first), 0);
	CHECK_EQ(worker_bad(&w, at, PINNED, NEW, first), 0);
}

static void pinned_for_reading(void)
{
	int round;

	watch();
	run_on(0, 0); /* the workers as well */
	run_on(thread_pid(on_ksmd() ? "ksmd" : "uksmd"), 1);
	worker_start(&w);
	worker_start(&other);
	p = (u8 *)worker_call(&w, w_map_aligned, N);
	q = (u8 *)worker_call(&other, w_map_aligned, N);
	worker_fill(&w, p, N, OLD, 0);
	worker_fill(&other, q, N, OLD, 0);
	CHECK_SOON_EQ(count_same(w.pid, p, other.pid, q, N), N, LONG);
	for (round = 0; round < 60; round++)
		one_try(round);
	CHECK_EQ(worker_bad(&other, q, N, OLD, 0), 0);
}

static const struct test_case cases[] = {
	{ "pages pinned while they are merged", pinned_for_reading, 120 },
};

TEST_MAIN(0)
