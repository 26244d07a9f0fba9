// SPDX-License-Identifier: GPL-2.0
/*
 * Protection keys: what is merged keeps the key of its area, whether the key was
 * there before or comes later, and so does the copy that a write makes.
 *
 * A frame, or a zero page, that is mapped without the area's protection can be
 * read and written when the key forbids it.
 */
#include "lib.h"

#include <setjmp.h>
#include <signal.h>

#define N 32
#define SEED 660

static struct trio t;
static int key;
static sigjmp_buf after;
static volatile int fault_code, fault_key;

static void on_segv(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	fault_code = info->si_code;
	fault_key = info->si_pkey;
	siglongjmp(after, 1);
}

static void key_alloc(void)
{
	struct sigaction sa = {
		.sa_sigaction = on_segv,
		.sa_flags = SA_SIGINFO,
	};

	key = pkey_alloc(0, 0);
	if (key < 0)
		skip("pkey_alloc: %s", strerror(errno));
	CHECK_EQ(sigaction(SIGSEGV, &sa, NULL), 0);
}

static void key_on(void *p)
{
	CHECK_EQ(pkey_mprotect(p, N * PAGE, PROT_READ | PROT_WRITE, key), 0);
}

/* How many of the pages the key keeps from being read, or written. */
static size_t refused(u8 *p, size_t n, bool want_write)
{
	static volatile size_t i, found;

	found = 0;
	for (i = 0; i < n; i++) {
		fault_code = 0;
		if (!sigsetjmp(after, 1)) {
			if (want_write)
				*(volatile u8 *)(p + i * PAGE) = 0x77;
			else
				(void)*(volatile u8 *)(p + i * PAGE);
			continue;
		}
		CHECK_EQ(fault_code, SEGV_PKUERR);
		CHECK_EQ(fault_key, key);
		found++;
	}
	return found;
}

/* The key is in force on all of mine, and nothing else is. */
static void check_key(u8 *p)
{
	CHECK_EQ(pkey_set(key, PKEY_DISABLE_ACCESS), 0);
	CHECK_EQ(refused(p, N, false), N);
	CHECK_EQ(refused(p, N, true), N);
	CHECK_EQ(pkey_set(key, PKEY_DISABLE_WRITE), 0);
	CHECK_EQ(refused(p, N, false), 0);
	CHECK_EQ(refused(p, N, true), N);
	CHECK_EQ(pkey_set(key, 0), 0);
	CHECK_EQ(refused(p, N, false), 0);
}

static void check_all(void)
{
	check_key(t.mine);
	CHECK_EQ(trio_merged(&t), N);
	trio_check(&t, SEED);
	fill(t.mine, N, SEED + 1, 0);
	check_key(t.mine);
	trio_check(&t, SEED + 1);
	fill(t.mine, N, SEED, 0);
	trio_merge(&t);
	check_key(t.mine);
	unmerge_all();
	check_key(t.mine);
	trio_check(&t, SEED);
}

static void key_then_merged(void)
{
	key_alloc();
	trio_make(&t, N, SEED);
	key_on(t.mine);
	trio_merge(&t);
	check_all();
}

static void merged_then_key(void)
{
	key_alloc();
	trio_make(&t, N, SEED);
	trio_merge(&t);
	key_on(t.mine);
	check_all();
}

/* Scanned, merged and given back while nobody may look. */
static void forbidden(void)
{
	key_alloc();
	trio_make(&t, N, SEED);
	key_on(t.mine);
	CHECK_EQ(pkey_set(key, PKEY_DISABLE_ACCESS), 0);
	trio_merge(&t);
	unmerge_all();
	CHECK_EQ(trio_merged(&t), 0);
	trio_merge(&t);
	CHECK_EQ(refused(t.mine, N, false), N);
	CHECK_EQ(pkey_set(key, 0), 0);
	check_all();
}

static void zeros(void)
{
	key_alloc();
	sysfs_set("run", "0");
	t.mine = map_pages(N);
	memset(t.mine, 0, N * PAGE);
	key_on(t.mine);
	sysfs_set("run", "1");
	CHECK_SOON_EQ(count_zero(getpid(), t.mine, N), N, LONG);
	check_key(t.mine);
	CHECK_EQ(bad_zero(t.mine, N), 0);
	fill(t.mine, N / 2, SEED, 0);
	check_key(t.mine);
	unmerge_all();
	check_key(t.mine);
	CHECK_EQ(bad_pages(t.mine, N / 2, SEED, 0), 0);
	CHECK_EQ(bad_zero(t.mine + N / 2 * PAGE, N / 2), 0);
}

/* Memory that may only be executed is kept from being read by a key of its own. */
static void execute_only(void)
{
	key_alloc();
	trio_make(&t, N, SEED);
	CHECK_EQ(mprotect(t.mine, N * PAGE, PROT_EXEC), 0);
	trio_merge(&t);
	if (!sigsetjmp(after, 1)) {
		(void)*(volatile u8 *)t.mine;
		FAIL("memory that may only be executed was read");
	}
	CHECK_EQ(fault_code, SEGV_PKUERR);
	CHECK_EQ(mprotect(t.mine, N * PAGE, PROT_READ | PROT_WRITE), 0);
	trio_check(&t, SEED);
	fill(t.mine, N, SEED + 1, 0);
	trio_check(&t, SEED + 1);
}

static const struct test_case cases[] = {
	{ "an area with a key is merged", key_then_merged, 90 },
	{ "merged pages get a key", merged_then_key, 90 },
	{ "merged while it may not be accessed", forbidden, 90 },
	{ "zero pages", zeros, 90 },
	{ "execute-only memory", execute_only, 90 },
};

TEST_MAIN(0)
