// SPDX-License-Identifier: GPL-2.0
/* vm: mem=3072 timeout=400 params="scan_threads=2" */
/*
 * An index of 1.5 GiB of pages and more is given another length range by range,
 * while it is in use: nothing in it is lost, and it is never there twice.
 *
 * Where it is lost, pages that are equal to older ones are merged only when those
 * are looked at again, many rounds later.
 */
#include "lib.h"

#include <pthread.h>
#include <sys/resource.h>

#define SEED 270
#define N (1792 * MIB / PAGE)
#define MORE (N / 12)
#define EVERY 64 /* a page in so many has an equal later */
#define ROUNDS 6

static struct worker w;
static u8 *all;

/* Copies of one in EVERY of the first @n pages are merged within ROUNDS. */
static void *copies(size_t n, size_t first)
{
	size_t i, k = n / EVERY;
	long long last, sharing = sysfs_num("pages_sharing");
	double end = now() + LONG;
	u8 *p = map_pages(k);

	for (i = 0; i < k; i++)
		page_fill(p + i * PAGE, SEED, first + i * EVERY);
	last = sysfs_num("full_scans") + ROUNDS;
	while (sysfs_num("full_scans") < last && now() < end)
		msleep(1);
	sharing = sysfs_num("pages_sharing") - sharing;
	note("%zu copies of older pages: %lld merged in %d rounds", k, sharing,
	     ROUNDS);
	CHECK_OP(sharing, >=, k * 99 / 100);
	return p;
}

/* The most kB that the kernel held in one piece of its addresses, as the index is. */
static volatile long long most;

static void *watch(void *arg)
{
	setpriority(PRIO_PROCESS, 0, -10);
	for (;;) {
		long long kb = meminfo_kb("VmallocUsed");

		if (kb > most)
			most = kb;
		msleep(1);
	}
	return arg;
}

/* Waits until uksm knows @pages, and finds nothing new in them for long. */
static void known(size_t pages)
{
	CHECK_SOON(sysfs_num("pages_unshared") >= (long long)pages * 99 / 100,
		   3 * LONG);
	settle(30);
}

static void grows_and_shrinks(void)
{
	long long first, then, twice;
	void *more, *c[3];
	pthread_t t;
	size_t i;

	if (on_ksmd())
		skip("ksmd has no index");
	worker_start(&w);
	all = worker_map_filled(&w, N, SEED, 0);
	known(N);
	first = sysfs_num("metadata_bytes");
	c[0] = copies(N, 1);

	CHECK_EQ(pthread_create(&t, NULL, watch, NULL), 0);
	more = map_filled(MORE, SEED + 1, 0);
	known(N - N / EVERY + MORE);
	then = sysfs_num("metadata_bytes");
	twice = most - meminfo_kb("VmallocUsed");
	note("metadata_bytes %lld, then %lld; and %lld kB more in between",
	     first, then, twice);
	CHECK_OP(then, >=, first + first / 24);
	CHECK_OP(twice, <=, first / 1024 / 4);
	c[1] = copies(N, 2);
	settle(3);
	then = sysfs_num("metadata_bytes");

	CHECK_EQ(worker_call(&w, w_munmap, all + N / 4 * 3 * PAGE, N / 4), 0);
	settle(1); /* not until they are looked at again anyway */
	note("less: metadata_bytes %lld, then %lld", then,
	     sysfs_num("metadata_bytes"));
	CHECK_OP(sysfs_num("metadata_bytes"), <=, then - then / 16);
	c[2] = copies(N / 4 * 3, 3);

	CHECK_EQ(worker_bad(&w, all, N / 4 * 3, SEED, 0), 0);
	CHECK_EQ(bad_pages(more, MORE, SEED + 1, 0), 0);
	for (i = 0; i < 3; i++) {
		size_t k, n = (i < 2 ? N : N / 4 * 3) / EVERY;

		for (k = 0; k < n; k++)
			CHECK(page_is((u8 *)c[i] + k * PAGE, SEED,
				      i + 1 + k * EVERY));
	}
}

static const struct test_case cases[] = {
	{ "the index grows and shrinks while in use", grows_and_shrinks, 300 },
};

TEST_MAIN(0)
