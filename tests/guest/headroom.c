// SPDX-License-Identifier: GPL-2.0
/* vm: mem=512 timeout=300 */
/*
 * Merged memory is a debt. headroom_bytes says how large it is,
 * min_headroom_percent keeps it within a share of what is free, and run=2 that
 * cannot pay it says ENOMEM, harms nobody, and can be repeated.
 */
#include "lib.h"

#define GROUP "headroomtest"
#define PROCS 8
#define N 8192
#define SEED 300

static struct worker w[PROCS];
static void *p[PROCS];

/* @n processes with the same @pages, merged as they come. */
static void merge(int n, size_t pages)
{
	int i;

	marked_only();
	for (i = 0; i < n; i++) {
		worker_start(&w[i]);
		p[i] = worker_map_filled(&w[i], pages, SEED, 0);
		if (i)
			CHECK_SOON_EQ(sysfs_num("pages_sharing"), i * pages,
				      2 * LONG);
	}
}

static void contents(int n, size_t pages)
{
	int i;

	for (i = 0; i < n; i++)
		CHECK_EQ(worker_bad(&w[i], p[i], pages, SEED, 0), 0);
}

static void no_ksmd(void)
{
	if (on_ksmd())
		skip("these are the module's files");
}

/* Pages that were merged, zero pages and what is broken count exactly. */
static void debt(void)
{
	void *z;

	no_ksmd();
	marked_only(); /* or it might owe for init's pages already */
	CHECK_EQ(sysfs_num("headroom_bytes"), 0);
	merge(3, 512);
	CHECK_EQ(sysfs_num("headroom_bytes"), 2 * 512 * PAGE);
	z = map_pages(64);
	mark_mergeable(z, 64);
	memset(z, 0, 64 * PAGE);
	CHECK_SOON_EQ(sysfs_num("headroom_bytes"), (2 * 512 + 64) * PAGE, LONG);
	worker_fill(&w[0], p[0], 512, SEED + 1, 0);
	CHECK_SOON_EQ(sysfs_num("headroom_bytes"), (512 + 64) * PAGE, LONG);
	unmerge_all();
	CHECK_EQ(sysfs_num("headroom_bytes"), 0);
}

static long long limit(long long percent)
{
	return (meminfo_kb("MemAvailable") + meminfo_kb("SwapFree")) * 1024 *
	       percent / 100;
}

/* The debt stays below the share; rounds go on; without a limit all is merged. */
static void guarded(void)
{
	long long most = 0, owed;
	int i;

	no_ksmd();
	marked_only();
	sysfs_set("min_headroom_percent", "5");
	for (i = 0; i < 3; i++) {
		worker_start(&w[i]);
		p[i] = worker_map_filled(&w[i], N / 2, SEED, 0);
	}
	for (i = 0; i < 6; i++) {
		settle(1);
		owed = sysfs_num("headroom_bytes");
		if (owed > most)
			most = owed;
		CHECK_OP(owed, <=, limit(5) + (long long)MIB);
	}
	note("5 %% of what is free is %lld KiB, owed are at most %lld KiB",
	     limit(5) / 1024, most / 1024);
	CHECK_OP(most, >, limit(5) / 2);
	CHECK_OP(sysfs_num("pages_sharing"), <, N);

	sysfs_set("min_headroom_percent", "0");
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), N, LONG);
	contents(3, N / 2);
}

/* All of what is free but @left bytes goes into one process. */
static void hog_start(struct worker *hog, long long left, void **mem,
		      size_t *pages)
{
	long long size = meminfo_kb("MemAvailable") * 1024 - left;

	CHECK_OP(size, >, 0);
	*pages = size / PAGE;
	worker_start(hog);
	*mem = (void *)worker_call(hog, w_map, *pages);
	worker_fill(hog, *mem, *pages, SEED + 7, 0);
}

/* 224 MiB are owed, and 40 are there. */
static void no_memory(void)
{
	const char *said[] = { "uksm", "unmerging stopped", NULL };
	long long kills = vmstat("oom_kill");
	char line[256];
	struct worker hog;
	size_t hog_pages;
	void *hog_mem;
	int log, i, try;

	no_ksmd();
	merge(PROCS, N);
	hog_start(&hog, 40 * MIB, &hog_mem, &hog_pages);
	log = log_open();
	for (try = 0; try < 2; try++) {
		CHECK_EQ(sysfs_write("run", "2"), -ENOMEM);
		CHECK_EQ(sysfs_num("run"), 0);
		CHECK_OP(sysfs_num("pages_sharing"), >, 0);
		contents(PROCS, N);
		CHECK_EQ(vmstat("oom_kill"), kills);
	}
	if (!log_find(log, said, line, sizeof(line)))
		FAIL("the log does not say that unmerging stopped");
	note("%s", line);
	CHECK_EQ(worker_bad(&hog, hog_mem, hog_pages, SEED + 7, 0), 0);

	worker_exit(&hog);
	unmerge_all();
	CHECK_EQ(sysfs_num("pages_shared"), 0);
	for (i = 0; i < PROCS; i++)
		CHECK_EQ(count_merged(w[i].pid, p[i], N), 0);
	contents(PROCS, N);
	CHECK_EQ(vmstat("oom_kill"), kills);
}

/*
 * What could be had a moment ago is not there: when memory of one kind is used up
 * and that of another is taken, the kernel raises its watermarks, here by a lot.
 */
static void boosted(void)
{
	static const char *const boost = "/proc/sys/vm/watermark_boost_factor";
	char usual[32];

	snprintf(usual, sizeof(usual), "%lld", file_num(boost));
	CHECK_EQ(file_write(boost, "150000"), 0);
	no_memory();
	CHECK_EQ(file_write(boost, usual), 0);
}

/* A group that is full: nobody in it is killed for the sake of unmerging. */
static void full_group(void)
{
	long long kills = vmstat("oom_kill");

	no_ksmd();
	cgroup_make(GROUP);
	marked_only();
	/* the frames are of no group */
	worker_start(&w[0]);
	p[0] = worker_map_filled(&w[0], 2048, SEED, 0);
	worker_map_filled(&w[0], 2048, SEED, 0);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), 2048, LONG);
	worker_start(&w[1]);
	cgroup_enter(GROUP, w[1].pid);
	p[1] = worker_map_filled(&w[1], 2048, SEED, 0);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), 4096, LONG);
	sysfs_set("run", "0");
	cgroup_set(GROUP, "memory.max", "5M");

	CHECK_EQ(sysfs_write("run", "2"), -ENOMEM);
	CHECK_EQ(sysfs_num("run"), 0);
	CHECK_OP(sysfs_num("pages_shared"), >, 0);
	CHECK_EQ(vmstat("oom_kill"), kills);
	contents(2, 2048);
	cgroup_set(GROUP, "memory.max", "max");
	unmerge_all();
	contents(2, 2048);
	worker_exit(&w[1]);
	cgroup_remove(GROUP);
}

static const struct test_case cases[] = {
	{ "headroom_bytes is what undoing would need", debt, 120 },
	{ "min_headroom_percent limits it", guarded, 180 },
	{ "run=2 without the memory: ENOMEM, nobody harmed, repeatable",
	  no_memory, 200 },
	{ "the same while watermarks are raised", boosted, 200 },
	{ "run=2 with a full group: nobody killed", full_group, 120 },
};

TEST_MAIN(0)
