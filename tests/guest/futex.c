// SPDX-License-Identifier: GPL-2.0
/*
 * Futexes in merged pages. Whoever waits on a word of a page that is merged
 * meanwhile, or was before, is woken by the one who wakes that word, and by no
 * one else; what the kernel itself writes into a futex (owner of a PI futex,
 * FUTEX_WAKE_OP) goes to a copy.
 */
#include "lib.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>

#define N 8
#define SEED 610

static struct trio t;

/**
 * struct waiter - a thread that sleeps on a futex
 * @word: where
 * @op: FUTEX_WAIT, with or without FUTEX_PRIVATE_FLAG
 * @result: of the system call, once @done is set
 */
struct waiter {
	pthread_t thread;
	uint32_t *word;
	int op;
	int tid;
	int result;
	bool done;
};

static long futex(uint32_t *word, int op, uint32_t val, long val2,
		  uint32_t *word2, uint32_t val3)
{
	long r = syscall(SYS_futex, word, op, val, val2, word2, val3);

	return r < 0 ? -errno : r;
}

static void *waiter_run(void *arg)
{
	struct waiter *w = arg;
	uint32_t val = *w->word;

	__atomic_store_n(&w->tid, gettid(), __ATOMIC_RELEASE);
	w->result = futex(w->word, w->op, val, 0, NULL, 0);
	__atomic_store_n(&w->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static bool waiter_done(struct waiter *w)
{
	return __atomic_load_n(&w->done, __ATOMIC_ACQUIRE);
}

static char thread_state(int tid)
{
	char path[64], text[512], *end;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	if (file_read(path, text, sizeof(text)) <= 0)
		return '?';
	end = strrchr(text, ')');
	return end ? end[2] : '?';
}

/* The thread is asleep on the futex when this returns. */
static void waiter_start(struct waiter *w, uint32_t *word, int op)
{
	int tid;

	memset(w, 0, sizeof(*w));
	w->word = word;
	w->op = op;
	CHECK_EQ(pthread_create(&w->thread, NULL, waiter_run, w), 0);
	CHECK_SOON((tid = __atomic_load_n(&w->tid, __ATOMIC_ACQUIRE)), LONG);
	CHECK_SOON(thread_state(tid) == 'S', LONG);
	msleep(20);
	CHECK(!waiter_done(w));
}

static void waiter_end(struct waiter *w)
{
	CHECK_SOON(waiter_done(w), 20);
	pthread_join(w->thread, NULL);
	CHECK_EQ(w->result, 0);
}

static uint32_t *word_of(size_t page)
{
	return (uint32_t *)(t.mine + page * PAGE + page * 64);
}

/* @op's waiters sleep on pages of mine before those are merged. */
static void asleep_then_merged(int op)
{
	int flag = op & FUTEX_PRIVATE_FLAG;
	struct waiter w[N];
	size_t i;

	trio_make(&t, N, SEED);
	for (i = 0; i < N; i++)
		waiter_start(&w[i], word_of(i), op);
	trio_merge(&t);
	for (i = 0; i < N; i++)
		CHECK(!waiter_done(&w[i]));
	for (i = 0; i < N; i++) {
		/* half of them with the usual store before the wake */
		if (i % 2)
			__atomic_add_fetch(word_of(i), 1, __ATOMIC_SEQ_CST);
		CHECK_EQ(futex(word_of(i), FUTEX_WAKE | flag, 100, 0, NULL, 0),
			 1);
		waiter_end(&w[i]);
		if (i % 2)
			--*word_of(i);
	}
	trio_check(&t, SEED);
}

static void private_asleep(void)
{
	asleep_then_merged(FUTEX_WAIT_PRIVATE);
}

static void shared_asleep(void)
{
	asleep_then_merged(FUTEX_WAIT);
}

/* They go to sleep on what is merged already. */
static void merged_then_asleep(void)
{
	struct waiter w[N], again;
	size_t i;

	trio_make(&t, N, SEED);
	trio_merge(&t);
	for (i = 0; i < N; i++)
		waiter_start(&w[i], word_of(i),
			     i % 2 ? FUTEX_WAIT : FUTEX_WAIT_PRIVATE);
	settle(3);
	/* the same word in another process is another futex */
	for (i = 0; i < N; i++)
		CHECK(!waiter_done(&w[i]));
	/* sleepers of one merged page are moved to another and woken there */
	CHECK_EQ(futex(word_of(0), FUTEX_CMP_REQUEUE_PRIVATE, 0, 1, word_of(2),
		       *word_of(0)),
		 1);
	waiter_start(&again, word_of(0), FUTEX_WAIT_PRIVATE);
	CHECK_EQ(futex(word_of(2), FUTEX_WAKE_PRIVATE, 100, 0, NULL, 0), 2);
	waiter_end(&w[0]);
	waiter_end(&w[2]);
	CHECK_EQ(futex(word_of(0), FUTEX_WAKE_PRIVATE, 100, 0, NULL, 0), 1);
	waiter_end(&again);
	for (i = 0; i < N; i++) {
		if (i == 0 || i == 2)
			continue;
		CHECK_EQ(futex(word_of(i),
			       i % 2 ? FUTEX_WAKE : FUTEX_WAKE_PRIVATE, 100, 0,
			       NULL, 0),
			 1);
		waiter_end(&w[i]);
	}
	trio_check(&t, SEED);
}

/* The worker wakes all words of its own pages: the frames are ours, too. */
static long w_wake(long at, long pages, long c, long d)
{
	long i, j, woken = 0;

	(void)c, (void)d;
	for (i = 0; i < pages; i++)
		for (j = 0; j < (long)PAGE; j += 4) {
			uint32_t *word = (uint32_t *)(at + i * PAGE + j);

			woken += futex(word, FUTEX_WAKE_PRIVATE, 100, 0, NULL,
				       0);
			woken += futex(word, FUTEX_WAKE, 100, 0, NULL, 0);
		}
	return woken;
}

static void not_by_others(void)
{
	struct waiter w[2];

	trio_make(&t, 2, SEED);
	trio_merge(&t);
	waiter_start(&w[0], word_of(0), FUTEX_WAIT_PRIVATE);
	waiter_start(&w[1], word_of(1), FUTEX_WAIT);
	CHECK_EQ(worker_call(&t.w, w_wake, t.theirs, t.n), 0);
	CHECK(!waiter_done(&w[0]) && !waiter_done(&w[1]));
	CHECK_EQ(futex(word_of(0), FUTEX_WAKE_PRIVATE, 1, 0, NULL, 0), 1);
	CHECK_EQ(futex(word_of(1), FUTEX_WAKE, 1, 0, NULL, 0), 1);
	waiter_end(&w[0]);
	waiter_end(&w[1]);
	trio_check(&t, SEED);
}

static long w_set_word(long at, long value, long c, long d)
{
	(void)c, (void)d;
	*(uint32_t *)at = value;
	return 0;
}

static long w_get_word(long at, long b, long c, long d)
{
	(void)b, (void)c, (void)d;
	return *(uint32_t *)at;
}

/* The kernel writes the futex: as owner's number, as result of an operation. */
static void kernel_writes(void)
{
	uint32_t *lock, *op, was;

	trio_make(&t, N, SEED);
	lock = word_of(1);
	op = word_of(3);
	was = *lock;
	*lock = 0;
	worker_call(&t.w, w_set_word, t.theirs + ((u8 *)lock - t.mine), 0);
	worker_call(&t.w, w_set_word, t.witness + ((u8 *)lock - t.mine), 0);
	trio_merge(&t);
	CHECK_EQ(futex(lock, FUTEX_LOCK_PI_PRIVATE, 0, 0, NULL, 0), 0);
	CHECK_EQ(*lock & FUTEX_TID_MASK, gettid());
	CHECK_EQ(worker_call(&t.w, w_get_word,
			     t.theirs + ((u8 *)lock - t.mine)),
		 0);
	CHECK_EQ(futex(lock, FUTEX_UNLOCK_PI_PRIVATE, 0, 0, NULL, 0), 0);
	CHECK_EQ(*lock, 0);
	/* *op += 5 */
	CHECK_EQ(futex(word_of(4), FUTEX_WAKE_OP_PRIVATE, 1, 1, op,
		       FUTEX_OP(FUTEX_OP_ADD, 5, FUTEX_OP_CMP_EQ, 0)),
		 0);
	*op -= 5;
	*lock = was;
	worker_call(&t.w, w_set_word, t.theirs + ((u8 *)lock - t.mine), was);
	worker_call(&t.w, w_set_word, t.witness + ((u8 *)lock - t.mine), was);
	trio_check(&t, SEED);
}

static long w_wait(long at, long b, long c, long d)
{
	(void)b, (void)c, (void)d;
	return futex((uint32_t *)at, FUTEX_WAIT, *(uint32_t *)at, 0, NULL, 0);
}

/* Shared anonymous memory is nobody's own: it is left alone, and wakes across. */
static void shared_memory(void)
{
	struct worker sleeper;
	uint32_t *word;

	trio_start(&t, N, SEED);
	t.mine = mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(t.mine != MAP_FAILED);
	fill(t.mine, N, SEED, 0);
	worker_start(&sleeper);
	word = word_of(5);
	worker_send(&sleeper, w_wait, (long)word, 0, 0, 0);
	trio_scan(&t);
	CHECK_EQ(trio_merged(&t), 0);
	CHECK_SOON(futex(word, FUTEX_WAKE, 1, 0, NULL, 0) == 1, LONG);
	CHECK_EQ(worker_wait(&sleeper), 0);
	trio_check(&t, SEED);
	worker_call(&sleeper, w_fill, t.mine, N, SEED + 1, 0);
	trio_check(&t, SEED + 1);
}

static const struct test_case cases[] = {
	{ "waiters on pages that are merged then", private_asleep, 90 },
	{ "the same with futexes that may be shared", shared_asleep, 90 },
	{ "waiters on merged pages", merged_then_asleep, 90 },
	{ "others' wakes are not ours", not_by_others, 90 },
	{ "the kernel writes a futex in a merged page", kernel_writes, 90 },
	{ "a futex in shared anonymous memory", shared_memory, 90 },
};

TEST_MAIN(0)
