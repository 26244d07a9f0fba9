// SPDX-License-Identifier: GPL-2.0
/* vm: mem=384 modules="hwpoison_inject" timeout=240 */
/*
 * Memory that goes bad: whoever touches a poisoned frame gets SIGBUS at that page
 * and nowhere else, nobody is mapped to it any more, and its content is merged
 * elsewhere. Soft-offlined frames move, and nobody notices. Pages that go bad
 * under the scanner's eyes harm nobody. Unpoisoned, they are all free again.
 *
 * Without the walk to its mappers a poisoned frame stays where it is, and is read.
 */
#include "lib.h"
#include "lib_move.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/wait.h>

#define N 16
#define POISON_PFN "/sys/kernel/debug/hwpoison/corrupt-pfn"
#define UNPOISON_PFN "/sys/kernel/debug/hwpoison/unpoison-pfn"
#define SOFT_OFFLINE "/sys/devices/system/memory/soft_offline_page"

/* every page that was made bad, to be unpoisoned at the end */
static u64 bad[4096];
static size_t nr_bad;

static sigjmp_buf back;
static volatile long bus_code;
static void *volatile bus_addr;

static void on_bus(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	bus_code = info->si_code;
	bus_addr = info->si_addr;
	siglongjmp(back, 1);
}

static void catch_bus(void)
{
	struct sigaction sa = { .sa_sigaction = on_bus,
				.sa_flags = SA_SIGINFO | SA_NODEFER };

	sigaction(SIGBUS, &sa, NULL);
}

/*
 * Reads or writes a page, or with a @seed compares it. Returns 0, or the code of
 * the SIGBUS it got for it; an error if the page is wrong or another one was hit.
 */
static long w_touch(long at, long write, long seed, long index)
{
	catch_bus();
	if (sigsetjmp(back, 1)) {
		if ((u8 *)bus_addr < (u8 *)at ||
		    (u8 *)bus_addr >= (u8 *)at + PAGE)
			return -EFAULT;
		return bus_code;
	}
	if (seed)
		return page_is((void *)at, seed, index) ? 0 : -EILSEQ;
	if (write)
		*(volatile u8 *)at = *(volatile u8 *)at;
	else
		*(volatile u8 *)at;
	return 0;
}

/* A SIGBUS may come at once, for the advice itself. */
static long w_advise(long at, long advice, long c, long d)
{
	(void)c, (void)d;
	catch_bus();
	if (sigsetjmp(back, 1))
		return 0;
	return madvise((void *)at, PAGE, advice) ? -errno : 0;
}

static void remember(u64 pfn)
{
	if (pfn && nr_bad < ARRAY_SIZE(bad))
		bad[nr_bad++] = pfn;
}

static int poison_pfn(u64 pfn)
{
	char text[32];

	remember(pfn);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)pfn);
	return file_write(POISON_PFN, text);
}

static void needs_poison(void)
{
	if (access(POISON_PFN, W_OK) || access(UNPOISON_PFN, W_OK))
		skip("no " POISON_PFN " here");
}

/* All that was made bad is given back; nothing stays. */
static void unpoison_all(void)
{
	size_t i, left = 0;
	char text[32];
	int err;

	for (i = 0; i < nr_bad; i++) {
		if (!(kpageflags(bad[i]) >> 19 & 1))
			continue;
		snprintf(text, sizeof(text), "%llu", (unsigned long long)bad[i]);
		WAIT_FOR(!(err = file_write(UNPOISON_PFN, text)), 2);
		if (err)
			note("pfn %llx, flags %llx stays poisoned: %s",
			     (unsigned long long)bad[i],
			     (unsigned long long)kpageflags(bad[i]),
			     strerror(-err));
		left += !!err;
	}
	CHECK_EQ(left, 0);
}

/* Everybody has the frames, the first one is bad: so they see it. */
static void all_see_it(void)
{
	int i;

	for (i = 0; i < PROCS; i++) {
		CHECK_SOON_EQ(worker_call(&w[i], w_touch, p[i], i == 1),
			      BUS_MCEERR_AR, LONG);
		CHECK_EQ(worker_call(&w[i], w_touch, p[i], i != 1),
			 BUS_MCEERR_AR);
		CHECK_EQ(pfn_of(w[i].pid, p[i]), 0);
		CHECK_EQ(worker_bad(&w[i], p[i] + PAGE, N - 1, OLD, 1), 0);
		CHECK_EQ(count_merged(w[i].pid, p[i] + PAGE, N - 1), N - 1);
	}
}

/* Whoever comes now is mapped to another frame. */
static void newcomers(u64 pfn)
{
	struct worker n[2];
	u8 *at[2];
	int i;

	sysfs_set("run", "1");
	for (i = 0; i < 2; i++) {
		worker_start(&n[i]);
		at[i] = worker_map_filled(&n[i], N, OLD, 0);
	}
	CHECK_SOON_EQ(count_same(n[0].pid, at[0], n[1].pid, at[1], N), N, LONG);
	CHECK(pfn_of(n[0].pid, at[0]) != pfn);
	CHECK_EQ(count_same(w[0].pid, p[0] + PAGE, n[0].pid, at[0] + PAGE,
			    N - 1),
		 N - 1);
	for (i = 0; i < 2; i++) {
		CHECK_EQ(worker_bad(&n[i], at[i], N, OLD, 0), 0);
		worker_exit(&n[i]);
	}
}

/* What is bad does not keep the rest from being unmerged, or from ending. */
static void end(bool unmerge)
{
	int i;

	if (unmerge) {
		unmerge_all();
		for (i = 0; i < PROCS; i++) {
			CHECK_EQ(count_merged(w[i].pid, p[i], N), 0);
			CHECK_EQ(worker_bad(&w[i], p[i] + PAGE, N - 1, OLD, 1),
				 0);
			CHECK_EQ(worker_call(&w[i], w_touch, p[i]),
				 BUS_MCEERR_AR);
		}
	}
	exit_all();
	CHECK_SOON_EQ(sysfs_num("pages_shared"), 0, LONG);
	unpoison_all();
}

static void by_madvise(void)
{
	long err;
	u64 pfn;

	needs_poison();
	merge(N);
	pfn = pfn_of(w[1].pid, p[1]);
	remember(pfn);
	err = worker_call(&w[1], w_advise, p[1], MADV_HWPOISON);
	note("MADV_HWPOISON of a frame: %s", strerror(-err));
	all_see_it();
	newcomers(pfn);
	end(true);
}

static void by_pfn(void)
{
	u64 pfn;
	int err;

	needs_poison();
	merge(N);
	pfn = pfn_of(w[0].pid, p[0]);
	err = poison_pfn(pfn);
	note("corrupt-pfn of a frame: %s", strerror(-err));
	all_see_it();
	newcomers(pfn);
	end(false);
}

static void by_pfn_with_child(void)
{
	struct worker child;
	u8 *mine;

	needs_poison();
	merge(N);
	mine = map_filled(N, OLD, 0);
	CHECK_SOON_EQ(count_same(getpid(), mine, w[0].pid, p[0], N), N, LONG);
	sysfs_set("run", "0");
	worker_start(&child);
	poison_pfn(pfn_of(w[0].pid, p[0]));
	sysfs_set("run", "1");
	all_see_it();
	CHECK_EQ(worker_call(&child, w_touch, mine), BUS_MCEERR_AR);
	CHECK_EQ(w_touch((long)mine, 1, 0, 0), BUS_MCEERR_AR);
	CHECK_EQ(worker_bad(&child, mine + PAGE, N - 1, OLD, 1), 0);
	worker_exit(&child);
	munmap(mine, N * PAGE);
	end(true);
}

/* The last mappers go while the frames go bad. */
static void gone_meanwhile(void)
{
	size_t i, round;

	needs_poison();
	for (round = 0; round < 4; round++) {
		u64 *pfn;

		merge(N * 8);
		pfn = pfns();
		worker_exit(&w[1]);
		worker_exit(&w[2]);
		for (i = 0; i < N * 8; i++) {
			if (i == N * 2)
				worker_send(&w[0], w_munmap, (long)p[0], N * 8,
					    0, 0);
			poison_pfn(pfn[i]);
		}
		worker_wait(&w[0]);
		worker_exit(&w[0]);
		free(pfn);
		CHECK_SOON_EQ(sysfs_num("pages_shared"), 0, LONG);
		unpoison_all();
		nr_bad = 0;
	}
}

static int soft_offline(u64 pfn)
{
	char text[32];

	remember(pfn);
	snprintf(text, sizeof(text), "%#llx", (unsigned long long)pfn * PAGE);
	return file_write(SOFT_OFFLINE, text);
}

static void soft_offlined(void)
{
	u64 *old;
	int i;

	needs_poison();
	if (access(SOFT_OFFLINE, W_OK))
		skip("no " SOFT_OFFLINE);
	merge(N);
	sysfs_set("run", "0");
	old = pfns();
	for (i = 0; i < N; i++)
		CHECK_EQ(soft_offline(old[i]), 0);
	CHECK_EQ(moved_since(old), N);
	free(old);
	after_the_move();
	exit_all();
	CHECK_SOON_EQ(sysfs_num("pages_shared"), 0, LONG);
	unpoison_all();
}

/*
 * Two processes write the same again and again, and now and then a page of theirs
 * is poisoned or soft-offlined, whatever the scanner is doing with it: it is
 * right or it is gone, and all others are right.
 */
static void under_the_scanner(void)
{
	size_t round, gone = 0, moved = 0, i;

	needs_poison();
	marked_only();
	for (i = 0; i < 2; i++) {
		worker_start(&w[i]);
		p[i] = worker_map_filled(&w[i], N, OLD, 0);
	}
	for (round = 0; round < 60; round++) {
		size_t k = round % N, of = round / 2 % 2;
		u8 *at = p[of] + k * PAGE;
		long err;

		for (i = 0; i < 2; i++) {
			worker_call(&w[i], w_munmap, p[i], N);
			p[i] = worker_map_filled(&w[i], N, OLD + round, 0);
		}
		at = p[of] + k * PAGE;
		msleep(20 * (round % 8));
		remember(pfn_of(w[of].pid, at));
		if (round % 2) {
			err = worker_call(&w[of], w_advise, at,
					  MADV_SOFT_OFFLINE);
			moved += !err;
			for (i = 0; i < 2; i++)
				CHECK_EQ(worker_bad(&w[i], p[i], N, OLD + round,
						    0),
					 0);
			continue;
		}
		worker_call(&w[of], w_advise, at, MADV_HWPOISON);
		for (i = 0; i < 2; i++) {
			long bus = worker_call(&w[i], w_touch,
					       p[i] + k * PAGE, 0, OLD + round,
					       k);

			CHECK(!bus || bus == BUS_MCEERR_AR);
			gone += !!bus;
			CHECK_EQ(worker_bad(&w[i], p[i], k, OLD + round, 0), 0);
			CHECK_EQ(worker_bad(&w[i], p[i] + (k + 1) * PAGE,
					    N - k - 1, OLD + round, k + 1),
				 0);
		}
	}
	note("%zu mappings were poisoned, %zu pages soft-offlined", gone, moved);
	CHECK_OP(gone, >, 0);
	CHECK_OP(moved, >, 0);
	for (i = 0; i < 2; i++)
		worker_exit(&w[i]);
	CHECK_SOON_EQ(sysfs_num("pages_shared"), 0, LONG);
	unpoison_all();
}

static const struct test_case cases[] = {
	{ "a frame poisoned by one of its users", by_madvise, 60 },
	{ "a frame poisoned by its number", by_pfn, 60 },
	{ "a poisoned frame with forked users", by_pfn_with_child, 60 },
	{ "frames poisoned while the last user goes", gone_meanwhile, 90 },
	{ "soft-offlined frames move", soft_offlined, 60 },
	{ "pages go bad under the scanner", under_the_scanner, 120 },
};

TEST_MAIN(0)
