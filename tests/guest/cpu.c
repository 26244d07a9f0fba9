// SPDX-License-Identifier: GPL-2.0
/* vm: timeout=400 */
/*
 * The scanner uses no more CPU than max_cpu_percentage and the governor allow,
 * with work enough to use more; with run=0 it uses none; its threads show by
 * name.
 *
 * Without pacing the 5% case measures what the 95% case does.
 */
#include "lib.h"

#include <sys/resource.h>

#define SEED 260
#define SECS 10

/* Makes memory that merges, gives it some time, throws it away, and so on. */
static long w_churn(long pages, long b, long c, long d)
{
	u64 gen = getpid() << 20;
	long i;

	(void)b, (void)c, (void)d;
	for (;;) {
		u64 *p = map_pages(pages);

		gen++;
		for (i = 0; i < pages; i++)
			p[i * 512 + 7] = gen << 20 | i / 2;
		msleep(500);
		munmap((u8 *)p - PAGE, (pages + 2) * PAGE);
	}
	return 0;
}

/* Percent of one CPU that the module's threads used over @secs. */
static double used(int secs)
{
	double start = now();
	int threads;
	long long ns = thread_cpu_ns("uksm", &threads);

	CHECK_OP(threads, >=, 1);
	msleep(secs * 1000);
	ns = thread_cpu_ns("uksm", &threads) - ns;
	return ns / 1e7 / (now() - start);
}

/*
 * The least of three times, for the emulator may keep a CPU waiting, and that
 * counts as used. A scan that takes too much does so each time.
 */
static double used_within(int secs, double most)
{
	double got = used(secs);
	int i;

	for (i = 0; i < 2 && got > most; i++) {
		note("used %.1f%%, once more", got);
		got = used(secs);
	}
	return got;
}

static void churn(void)
{
	struct worker w[3];
	size_t i;

	if (on_ksmd())
		skip("ksmd has no limit");
	for (i = 0; i < ARRAY_SIZE(w); i++) {
		worker_start(&w[i]);
		worker_send(&w[i], w_churn, 32 * MIB / PAGE, 0, 0, 0);
	}
	settle(1);
}

static double at_percentage(int percent, int secs, double most)
{
	double got;

	sysfs_set_num("max_cpu_percentage", percent);
	msleep(1000);
	got = used_within(secs, most);
	note("max_cpu_percentage=%d: used %.1f%%", percent, got);
	return got;
}

static void percentages(void)
{
	const double most_of_30 = 30 * 1.3, most_of_5 = 5 * 1.5 + 1;
	double high, mid, low;

	churn();
	sysfs_set("sleep_millisecs", "20");
	high = at_percentage(90, SECS, 100);
	mid = at_percentage(30, SECS, most_of_30);
	low = at_percentage(5, SECS, most_of_5);
	if (mid > most_of_30 || low > most_of_5)
		FAIL("over the limit: %.1f%% of 30, %.1f%% of 5", mid, low);
	if (high < 1.5 * mid || mid < 2 * low)
		FAIL("the limit makes no difference: %.1f, %.1f, %.1f", high,
		     mid, low);
}

static void one_percent(void)
{
	double got;

	churn();
	/* one region is some percent of ten seconds in an emulated guest */
	got = at_percentage(1, 3 * SECS, 3);
	if (got > 3)
		FAIL("%.1f%% of 1", got);
}

static void governors(void)
{
	static const struct {
		const char *name;
		double most;
	} g[] = { { "medium", 50 }, { "low", 20 }, { "quiet", 1 } };
	size_t i;

	churn();
	for (i = 0; i < ARRAY_SIZE(g); i++) {
		double got, most = g[i].most * 1.3 + 2;

		sysfs_set("cpu_governor", g[i].name);
		msleep(1000);
		got = used_within(SECS / 2, most);
		note("cpu_governor=%s: used %.1f%%", g[i].name, got);
		if (got > most)
			FAIL("%s: %.1f%% of %.0f", g[i].name, got, g[i].most);
	}
}

static void stopped(void)
{
	double got;

	churn();
	sysfs_set("run", "0");
	msleep(1000);
	got = used_within(5, 2);
	note("run=0: used %.2f%%", got);
	/* dead frames and spaces are swept; a slow guest's clock counts more */
	if (got > 2)
		FAIL("%.2f%% while stopped", got);
}

/* With nothing new to see a round costs little, however fast it may go. */
static void idle(void)
{
	void *p, *q;
	double got;

	if (on_ksmd())
		skip("ksmd has no limit");
	sysfs_set("cpu_governor", "medium");
	sysfs_set("sleep_millisecs", "20");
	p = map_filled(2048, SEED, 0);
	q = map_filled(2048, SEED, 0);
	CHECK_SOON_EQ(count_same(getpid(), p, getpid(), q, 2048), 2048, LONG);
	settle(3);
	got = used(5);
	note("16 MiB, all merged, nothing changes: used %.1f%%", got);
	if (got > 50 * 1.3)
		FAIL("%.1f%%", got);
}

/* What sleeps uninterruptibly counts as load, as if it were running. */
static void asleep(void)
{
	int i, blocked = 0;
	char path[64], stat[300];

	churn();
	sysfs_set("cpu_governor", "low");
	snprintf(path, sizeof(path), "/proc/%d/stat", thread_pid("uksmd"));
	for (i = 0; i < 500; i++) {
		CHECK_OP(file_read(path, stat, sizeof(stat)), >, 0);
		blocked += !!strstr(stat, ") D ");
		msleep(10);
	}
	note("%d of %d times in state D", blocked, i);
	CHECK_OP(blocked, <=, i / 5); /* it may wait for a lock, or for memory */
}

static int nice_of(const char *comm)
{
	pid_t pid = thread_pid(comm);

	CHECK(pid);
	return getpriority(PRIO_PROCESS, pid);
}

/* Takes memory until no more than a share of all is available, in percent. */
static long w_hog(long leave, long b, long c, long d)
{
	long long most = meminfo_kb("MemTotal") * leave / 100;
	const size_t n = 4 * MIB / PAGE;
	u64 content = getpid() << 20;
	size_t i;

	(void)b, (void)c, (void)d;
	while (meminfo_kb("MemAvailable") > most) {
		u64 *p = map_pages(n);

		for (i = 0; i < n; i++)
			p[i * 512 + 7] = content++;
	}
	return 0;
}

static void hog(struct worker *w, int leave)
{
	worker_start(w);
	worker_call(w, w_hog, leave);
}

/* Where memory is short the scan gets more of the CPU than others leave it. */
static void short_of_memory(void)
{
	struct worker w;

	if (on_ksmd())
		skip("ksmd is what it is");
	settle(1);
	CHECK_EQ(nice_of("uksmd"), 5);
	hog(&w, 18);
	CHECK_SOON_EQ(nice_of("uksmd"), 0, LONG);
	worker_kill(&w);
	CHECK_SOON_EQ(nice_of("uksmd"), 5, LONG);
	hog(&w, 9);
	CHECK_SOON_EQ(nice_of("uksmd"), -10, LONG);
	worker_kill(&w);
	CHECK_SOON_EQ(nice_of("uksmd"), 5, LONG);
}

static const struct test_case cases[] = {
	{ "max_cpu_percentage is kept", percentages, 180 },
	{ "one percent", one_percent, 150 },
	{ "governors", governors, 90 },
	{ "run=0 uses none", stopped, 60 },
	{ "nothing to do", idle, 90 },
	{ "asleep it is no load", asleep, 60 },
	{ "short of memory", short_of_memory, 90 },
};

TEST_MAIN(0)
