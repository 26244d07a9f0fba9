// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that are rewritten faster than they are scanned are left alone - also
 * when at every moment another page has the same content - while their still
 * neighbours in the same region merge and stay merged.
 *
 * Merging at first sight every time would show as KSM pages among them again
 * and again, each of them a copy on write for the writer.
 */
#include "lib.h"

#define N 64 /* of each kind, alternating: 0 still, 1 changing, 2 still ... */
#define SEED 130

static struct worker w[2];
static u8 *p[2];

/**
 * struct shared - seen by the test and both writers
 * @stop: the writers end when it is set
 * @gen: what the changing pages are written with
 * @rounds: how often each writer has written them all
 * @bad: pages that were not what they had been written as
 */
static struct shared {
	volatile int stop;
	volatile u64 gen;
	volatile long rounds[2];
	volatile double at[2];
	volatile long bad;
} *sh;

static u8 *still(u8 *base, size_t i)
{
	return base + 2 * i * PAGE;
}

static u8 *changing(u8 *base, size_t i)
{
	return base + (2 * i + 1) * PAGE;
}

static long w_setup(long marked, long b, long c, long d)
{
	u8 *at = marked ? map_marked(2 * N) : map_pages(2 * N);
	size_t i;

	(void)b, (void)c, (void)d;
	for (i = 0; i < N; i++) {
		page_fill(still(at, i), SEED, i);
		page_fill(changing(at, i), SEED + 1, i);
	}
	return (long)at;
}

/* Rewrites until told to stop; both writers write the same at about the same time. */
static long w_rewrite(long at, long me, long c, long d)
{
	u64 gen = 0;
	size_t i;

	(void)c, (void)d;
	while (!sh->stop) {
		u64 next = sh->gen;

		if (me == 0)
			sh->gen = ++next;
		for (i = 0; i < N; i++) {
			u8 *page = changing((u8 *)at, i);

			if (gen && !page_is(page, SEED + 2, gen * N + i))
				sh->bad++;
			page_fill(page, SEED + 2, next * N + i);
		}
		gen = next;
		sh->rounds[me]++;
		sh->at[me] = now();
		msleep(me == 0 ? 20 : 7);
	}
	return 0;
}

static size_t merged_of(int k, u8 *(*kind)(u8 *, size_t))
{
	size_t i, found = 0;

	for (i = 0; i < N; i++)
		found += count_merged(w[k].pid, kind(p[k], i), 1);
	return found;
}

/* A writer that does not get its CPU leaves its pages be, and they may merge. */
static bool writers_in_time(void)
{
	return now() - sh->at[0] < 0.03 && now() - sh->at[1] < 0.03;
}

/* Pages of a kind that both writers have, and are one. */
static size_t same_of(u8 *(*kind)(u8 *, size_t))
{
	size_t i, found = 0;

	for (i = 0; i < N; i++)
		found += count_same(w[0].pid, kind(p[0], i), w[1].pid,
				    kind(p[1], i), 1);
	return found;
}

static void run_with(bool marked)
{
	size_t seen = 0, samples = 0, n;
	long before;
	double end;
	bool ok;
	int i;

	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(sh != MAP_FAILED);
	/*
	 * a round takes at least 200 ms, a rewrite about 20, and a page is to
	 * be still for 50
	 */
	sysfs_set("cpu_governor", "medium");
	sysfs_set("max_cpu_percentage", "95");
	sysfs_set("sleep_millisecs", "200");
	sysfs_set("pages_to_scan", "1000000");
	for (i = 0; i < 2; i++) {
		worker_start(&w[i]);
		p[i] = (u8 *)worker_call(&w[i], w_setup, marked);
	}
	for (i = 0; i < 2; i++)
		worker_send(&w[i], w_rewrite, (long)p[i], i, 0, 0);
	CHECK_SOON_EQ(same_of(still), N, LONG);
	settle(5);
	before = sh->rounds[0];
	end = now() + LONG;
	for (i = 0; i < 40 && now() < end; msleep(50)) {
		ok = writers_in_time();
		n = merged_of(0, changing) + merged_of(1, changing);
		CHECK_EQ(same_of(still), N);
		if (!ok || !writers_in_time())
			continue;
		seen += n;
		samples += 2 * N;
		i++;
	}
	note("changing pages seen merged: %zu of %zu; rewritten %ld times",
	     seen, samples, sh->rounds[0] - before);
	CHECK_OP(sh->rounds[0] - before, >=, 20);
	CHECK_OP(samples, >, 0);
	CHECK_OP(seen * 100, <=, samples);
	CHECK_EQ(sh->bad, 0);
	sh->stop = 1;
	for (i = 0; i < 2; i++)
		worker_wait(&w[i]);
}

static void marked(void)
{
	marked_only();
	run_with(true);
	CHECK_OP(sysfs_num("pages_sharing"), >=, N);
}

static void unmarked(void)
{
	run_with(false);
}

/* When the writing stops the pages merge like any others. */
static void comes_to_rest(void)
{
	size_t i;

	marked_only();
	run_with(true);
	for (i = 0; i < N; i++) {
		worker_fill(&w[0], changing(p[0], i), 1, SEED + 3, i);
		worker_fill(&w[1], changing(p[1], i), 1, SEED + 3, i);
	}
	CHECK_SOON_EQ(merged_of(0, changing), N, LONG);
	/* A frame has its first mapper a moment before the second. */
	CHECK_SOON_EQ(same_of(changing), N, LONG);
}

static const struct test_case cases[] = {
	{ "changing pages are left alone", marked, 120 },
	{ "in memory that nobody marked", unmarked, 120 },
	{ "they merge when they come to rest", comes_to_rest, 150 },
};

TEST_MAIN(0)
