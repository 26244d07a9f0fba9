// SPDX-License-Identifier: GPL-2.0
/*
 * merge_domain=user: processes of one user share, processes of two users never
 * do, not by way of a third either; global: all share. The content is the same
 * all the time, so only the domain keeps them apart.
 */
#include "lib.h"

#define N 64
#define SEED 220
#define PROCS 4

static const uid_t uid[PROCS] = { 1000, 1000, 1001, 1001 };
static struct worker w[PROCS];
static void *p[PROCS];

static void start(const char *domain)
{
	int i;

	if (on_ksmd())
		skip("ksmd has no merge_domain");
	unmerge_all();
	sysfs_set("merge_domain", domain);
	sysfs_set("run", "1");
	for (i = 0; i < PROCS; i++) {
		worker_start_uid(&w[i], uid[i]);
		p[i] = worker_map_filled(&w[i], N, SEED, 0);
	}
}

static long w_setuid(long to, long b, long c, long d)
{
	(void)b, (void)c, (void)d;
	return setuid(to);
}

static size_t same(int a, int b)
{
	return count_same_pfn(w[a].pid, p[a], w[b].pid, p[b], N);
}

static void contents(void)
{
	int i;

	for (i = 0; i < PROCS; i++)
		CHECK_EQ(worker_bad(&w[i], p[i], N, SEED, 0), 0);
}

static void apart(void)
{
	int a, b;

	for (a = 0; a < PROCS; a++)
		for (b = 0; b < a; b++)
			if (uid[a] != uid[b])
				CHECK_EQ(same(a, b), 0);
}

static void by_user(void)
{
	start("user");
	CHECK_SOON_EQ(same(0, 1), N, LONG);
	CHECK_SOON_EQ(same(2, 3), N, LONG);
	settle(3);
	apart();
	CHECK_EQ(same(0, 1), N);
	CHECK_EQ(same(2, 3), N);
	contents();
}

/* root's memory is not for others either */
static void root_too(void)
{
	void *mine, *again;

	start("user");
	mine = map_filled(N, SEED, 0);
	again = map_filled(N, SEED, 0);
	CHECK_SOON_EQ(count_same(getpid(), mine, getpid(), again, N), N, LONG);
	CHECK_SOON_EQ(same(0, 1), N, LONG);
	settle(3);
	CHECK_EQ(count_same_pfn(getpid(), mine, w[0].pid, p[0], N), 0);
	CHECK_EQ(count_same_pfn(getpid(), mine, w[2].pid, p[2], N), 0);
}

static void all_together(void)
{
	int i;

	start("global");
	for (i = 1; i < PROCS; i++)
		CHECK_SOON_EQ(same(0, i), N, LONG);
	contents();
	worker_fill(&w[2], p[2], N, SEED + 1, 0);
	CHECK_EQ(worker_bad(&w[0], p[0], N, SEED, 0), 0);
	CHECK_EQ(worker_bad(&w[3], p[3], N, SEED, 0), 0);
}

/* From global to user: nothing new may join across users. */
static void changed(void)
{
	start("global");
	CHECK_SOON_EQ(same(0, 2), N, LONG);
	unmerge_all();
	sysfs_set("merge_domain", "user");
	sysfs_set("run", "1");
	CHECK_SOON_EQ(same(0, 1), N, LONG);
	CHECK_SOON_EQ(same(2, 3), N, LONG);
	settle(3);
	apart();
	contents();
}

/* Changed while merged, without run=2: newcomers obey the new rule. */
static void changed_live(void)
{
	struct worker late;
	void *q;

	start("user");
	CHECK_SOON_EQ(same(0, 1), N, LONG);
	sysfs_set("merge_domain", "global");
	worker_start_uid(&late, 1002);
	q = worker_map_filled(&late, N, SEED + 2, 0);
	worker_fill(&w[0], p[0], N, SEED + 2, 0);
	CHECK_SOON_EQ(count_same(w[0].pid, p[0], late.pid, q, N), N, LONG);
	CHECK_EQ(worker_bad(&w[1], p[1], N, SEED, 0), 0);
	CHECK_EQ(worker_bad(&late, q, N, SEED + 2, 0), 0);
}

/* The zero page says nothing about anybody: it serves all. */
static void zero_pages(void)
{
	int i;

	start("user");
	for (i = 0; i < PROCS; i++)
		CHECK_EQ(worker_call(&w[i], w_madvise, p[i], N, MADV_DONTNEED),
			 0);
	for (i = 0; i < PROCS; i++)
		CHECK_EQ(worker_call(&w[i], w_bad_zero, p[i], N), 0);
	settle(2);
	for (i = 0; i < PROCS; i++)
		CHECK_EQ(count_zero(w[i].pid, p[i], N), N);
}

/*
 * Who is left alone with what was merged, and becomes another user: it is for
 * that user's processes from then on.
 */
static void becomes_another(void)
{
	int i;

	if (on_ksmd())
		skip("ksmd has no merge_domain");
	unmerge_all();
	sysfs_set("merge_domain", "user");
	sysfs_set("run", "1");
	for (i = 0; i < 2; i++) {
		worker_start(&w[i]);
		p[i] = worker_map_filled(&w[i], N, SEED, 0);
	}
	CHECK_SOON_EQ(same(0, 1), N, LONG);
	worker_exit(&w[1]);
	CHECK_EQ(count_merged(w[0].pid, p[0], N), N);
	CHECK_EQ(worker_call(&w[0], w_setuid, 1002), 0);
	worker_start_uid(&w[1], 1002);
	p[1] = worker_map_filled(&w[1], N, SEED, 0);
	CHECK_SOON_EQ(same(0, 1), N, LONG);
	CHECK_EQ(worker_bad(&w[0], p[0], N, SEED, 0), 0);
	CHECK_EQ(worker_bad(&w[1], p[1], N, SEED, 0), 0);
}

static long w_seteuid(long to, long b, long c, long d)
{
	(void)b, (void)c, (void)d;
	return seteuid(to);
}

/* A program that is root and acts for a user, as file servers do. */
static void of_two_users(void)
{
	void *again;

	start("user");
	worker_exit(&w[2]);
	worker_start(&w[2]);
	CHECK_EQ(worker_call(&w[2], w_seteuid, 1000), 0);
	p[2] = worker_map_filled(&w[2], N, SEED, 0);
	again = worker_map_filled(&w[2], N, SEED, 0);
	CHECK_SOON_EQ(same(0, 1), N, LONG);
	CHECK_SOON_EQ(count_same(w[2].pid, p[2], w[2].pid, again, N), N, LONG);
	settle(9); /* one of them trusts nothing remembered */
	CHECK_EQ(same(0, 2), 0);
	CHECK_EQ(same(1, 2), 0);
	/* now it is that user's */
	CHECK_EQ(worker_call(&w[2], w_seteuid, 0), 0);
	CHECK_EQ(worker_call(&w[2], w_setuid, 1000), 0);
	worker_fill(&w[2], p[2], N, SEED, 0);
	CHECK_SOON_EQ(same(0, 2), N, LONG);
	CHECK_EQ(worker_bad(&w[2], again, N, SEED, 0), 0);
	contents();
}

static const struct test_case cases[] = {
	{ "user: two users never share", by_user, 90 },
	{ "user: root does not share with others", root_too, 90 },
	{ "global: all share", all_together, 90 },
	{ "from global to user", changed, 120 },
	{ "changed while merged", changed_live, 90 },
	{ "zero pages", zero_pages, 90 },
	{ "left alone with it, and becomes another user", becomes_another, 90 },
	{ "who is of two users shares with itself", of_two_users, 90 },
};

TEST_MAIN(0)
