// SPDX-License-Identifier: GPL-2.0
/* vm: timeout=240 */
/*
 * No page is freed while a CPU may still read through it: one thread of a
 * process does nothing but read its pages, on a CPU of its own so that no
 * context switch flushes its TLB, while they are merged over and over and
 * whatever is freed is filled with something else at once, on the other CPU.
 *
 * Without the flush between unmapping a page and freeing it the reader sees
 * somebody else's memory.
 */
#include "lib.h"

#include <pthread.h>
#include <sched.h>

#define N 48
#define SEED 280
#define ROUNDS 25

/**
 * struct shared - seen by all processes
 * @gen: what the pages hold; the reader waits while it is 0
 * @reads: pages the reader has checked
 * @bad: those that were wrong
 * @stop: all end
 */
static struct shared {
	volatile unsigned long gen, reads, bad;
	volatile int stop;
} *sh;

static u8 *mine;

/* A word here and there: what was freed is overwritten as a whole. */
static void *reader(void *arg)
{
	static u64 want[N][8];
	unsigned long gen = 0;
	u8 page[PAGE];
	size_t i, k;

	(void)arg;
	run_on(0, 1);
	while (!sh->stop) {
		if (gen != sh->gen) {
			gen = sh->gen;
			for (i = 0; gen && i < N; i++) {
				page_fill(page, SEED + gen, i);
				for (k = 0; k < 8; k++)
					want[i][k] = ((u64 *)page)[k * 64 + 7];
			}
		}
		if (!gen)
			continue;
		for (i = 0; i < N; i++)
			for (k = 0; k < 8; k++) {
				u64 got = ((volatile u64 *)(mine +
							    i * PAGE))[k * 64 +
								       7];

				if (got != want[i][k] && gen == sh->gen)
					sh->bad++;
			}
		sh->reads += N;
	}
	return NULL;
}

/* The process with the reader. Its own writes are done while the reader waits. */
static long w_begin(long at, long b, long c, long d)
{
	pthread_t t;

	(void)b, (void)c, (void)d;
	mine = (u8 *)at;
	run_on(0, 0);
	return pthread_create(&t, NULL, reader, NULL);
}

/* Takes what is free and writes to it, gives it back, and so on. */
static long w_reuse(long pages, long b, long c, long d)
{
	(void)b, (void)c, (void)d;
	run_on(0, 0);
	while (!sh->stop) {
		u8 *p = map_pages(pages);
		long i;

		for (i = 0; i < pages; i++)
			memset(p + i * PAGE, 0xa5 ^ i, PAGE);
		munmap(p - PAGE, (pages + 2) * PAGE);
		usleep(1000);
	}
	return 0;
}

static void never_freed_memory(void)
{
	struct worker a, b, reuse;
	unsigned long gen;
	void *pa, *pb;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip("one CPU");
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(sh != MAP_FAILED);
	marked_only();
	run_on(0, 0);
	/* The scanner goes where the pages that it frees are used again. */
	run_on(thread_pid(on_ksmd() ? "ksmd" : "uksmd"), 0);
	worker_start(&a);
	worker_start(&b);
	worker_start(&reuse);
	pa = (void *)worker_call(&a, w_map_marked, N);
	pb = (void *)worker_call(&b, w_map_marked, N);
	CHECK_EQ(worker_call(&a, w_begin, pa), 0);
	worker_send(&reuse, w_reuse, 128, 0, 0, 0);
	for (gen = 1; gen <= ROUNDS && !sh->bad; gen++) {
		worker_fill(&a, pa, N, SEED + gen, 0);
		worker_fill(&b, pb, N, SEED + gen, 0);
		sh->gen = gen;
		CHECK_SOON_EQ(count_same(a.pid, pa, b.pid, pb, N), N, LONG);
		msleep(50);
		sh->gen = 0;
		msleep(5);
	}
	sh->stop = 1;
	note("%lu pages read in %lu rounds, %lu words wrong", sh->reads,
	     gen - 1, sh->bad);
	CHECK_OP(sh->reads, >=, 1000 * N);
	CHECK_EQ(sh->bad, 0);
}

static const struct test_case cases[] = {
	{ "a reader never sees freed memory", never_freed_memory, 150 },
};

TEST_MAIN(0)
