// SPDX-License-Identifier: GPL-2.0
/*
 * A process that takes its mmap_lock for writing again and again, in an address
 * space of many regions: the scan comes to its end all the same, if not in one
 * round.
 *
 * A round tries a busy process three times. When each begins at the first region
 * none gets beyond the first hundred or so.
 */
#include "lib.h"

#include <pthread.h>

#define REGION (2 * MIB)
#define REGIONS 2000
#define SEED 900

/* A page in each of many regions. */
static long w_spread(long b, long c, long d, long e)
{
	u8 *at = mmap(NULL, (REGIONS + 1) * REGION, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t i;

	(void)b, (void)c, (void)d, (void)e;
	if (at == MAP_FAILED)
		return -errno;
	no_huge_pages(at, (REGIONS + 1) * REGION / PAGE);
	for (i = 0; i < REGIONS; i++)
		page_fill(at + i * REGION, SEED, i);
	return (long)at;
}

static long w_spread_bad(long at, long first, long d, long e)
{
	size_t i, bad = 0;

	(void)d, (void)e;
	for (i = first; i < REGIONS; i++)
		bad += !page_is((u8 *)at + i * REGION, SEED, i);
	return bad;
}

/* The first regions are written to all the time, too, and looked at in each round. */
static void *take_lock(void *arg)
{
	u8 *page = map_pages(1);
	size_t i;

	for (i = 0;; i++) {
		((volatile u8 *)arg)[i % (REGIONS / 4) * REGION + 8]++;
		mprotect(page, PAGE, PROT_READ);
		mprotect(page, PAGE, PROT_READ | PROT_WRITE);
		usleep(20);
	}
	return NULL;
}

static long w_take_lock(long at, long c, long d, long e)
{
	pthread_t t;

	(void)c, (void)d, (void)e;
	return pthread_create(&t, NULL, take_lock, (u8 *)at);
}

static size_t merged(struct worker *a, u8 *pa, struct worker *b, u8 *pb)
{
	size_t i, n = 0;

	for (i = REGIONS / 4; i < REGIONS; i++)
		n += count_same(a->pid, pa + i * REGION, b->pid,
				pb + i * REGION, 1);
	return n;
}

static void contended(void)
{
	struct worker a, b;
	long long rounds;
	u8 *pa, *pb;
	double t;

	sysfs_set("run", "0");
	worker_start(&a);
	worker_start(&b);
	pa = (u8 *)worker_call(&a, w_spread, 0);
	pb = (u8 *)worker_call(&b, w_spread, 0);
	CHECK_EQ(worker_call(&a, w_take_lock, (long)pa), 0);
	rounds = sysfs_num("full_scans");
	t = now();
	sysfs_set("run", "1");
	CHECK_SOON_EQ(merged(&a, pa, &b, pb), REGIONS / 4 * 3, 2 * LONG);
	rounds = sysfs_num("full_scans") - rounds;
	note("%.1f s, %lld rounds", now() - t, rounds);
	CHECK_EQ(worker_call(&a, w_spread_bad, (long)pa, REGIONS / 4), 0);
	CHECK_EQ(worker_call(&b, w_spread_bad, (long)pb), 0);
}

static const struct test_case cases[] = {
	{ "its mmap_lock is taken again and again", contended, 120 },
};

TEST_MAIN(0)
