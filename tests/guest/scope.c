// SPDX-License-Identifier: GPL-2.0
/*
 * scope=madvise merges what is marked - by MADV_MERGEABLE or by prctl - and
 * nothing else; scope=all merges what nobody marked; MADV_UNMERGEABLE ends it
 * for an area; changing the scope takes effect.
 */
#include "lib.h"

#include <sys/prctl.h>

#define N 64
#define SEED 210

static struct worker w[2];
static void *marked[2], *plain[2];

static void start(void)
{
	int i;

	if (on_ksmd())
		skip("ksmd has no scope");
	for (i = 0; i < 2; i++) {
		worker_start(&w[i]);
		marked[i] = (void *)worker_call(&w[i], w_map_marked, N);
		plain[i] = (void *)worker_call(&w[i], w_map, N);
		worker_fill(&w[i], marked[i], N, SEED, 0);
		worker_fill(&w[i], plain[i], N, SEED + 1, 0);
	}
}

static size_t same(void *const *p)
{
	return count_same(w[0].pid, p[0], w[1].pid, p[1], N);
}

static void only_marked(void)
{
	marked_only();
	start();
	CHECK_SOON_EQ(same(marked), N, LONG);
	settle(4);
	CHECK_EQ(count_merged(w[0].pid, plain[0], N), 0);
	CHECK_EQ(count_merged(w[1].pid, plain[1], N), 0);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), N, LONG);
	CHECK_EQ(sysfs_num("pages_shared"), N);
}

/* The same content in marked and unmarked memory: the unmarked stays out of it. */
static void unmarked_equal_to_marked(void)
{
	marked_only();
	start();
	worker_fill(&w[0], plain[0], N, SEED, 0);
	CHECK_SOON_EQ(same(marked), N, LONG);
	settle(4);
	CHECK_EQ(count_merged(w[0].pid, plain[0], N), 0);
	CHECK_EQ(sysfs_num("pages_sharing"), N);
}

static void both(void)
{
	start();
	CHECK_SOON_EQ(same(marked), N, LONG);
	CHECK_SOON_EQ(same(plain), N, LONG);
}

/* Unmarked again: what was merged is private, and stays so in scope=madvise. */
static void unmergeable(void)
{
	marked_only();
	start();
	CHECK_SOON_EQ(same(marked), N, LONG);
	CHECK_EQ(worker_call(&w[0], w_madvise, marked[0], N, MADV_UNMERGEABLE),
		 0);
	CHECK_EQ(count_merged(w[0].pid, marked[0], N), 0);
	settle(4);
	CHECK_EQ(count_merged(w[0].pid, marked[0], N), 0);
	CHECK_EQ(worker_bad(&w[0], marked[0], N, SEED, 0), 0);
	CHECK_EQ(worker_bad(&w[1], marked[1], N, SEED, 0), 0);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), 0, LONG);
	CHECK_EQ(worker_call(&w[0], w_madvise, marked[0], N, MADV_MERGEABLE),
		 0);
	CHECK_SOON_EQ(same(marked), N, LONG);
}

static void marked_later(void)
{
	marked_only();
	start();
	CHECK_SOON_EQ(same(marked), N, LONG);
	CHECK_EQ(worker_call(&w[0], w_madvise, plain[0], N, MADV_MERGEABLE), 0);
	CHECK_EQ(worker_call(&w[1], w_madvise, plain[1], N, MADV_MERGEABLE), 0);
	CHECK_SOON_EQ(same(plain), N, LONG);
	CHECK_EQ(worker_bad(&w[0], plain[0], N, SEED + 1, 0), 0);
}

static void by_prctl(void)
{
	long err;

	marked_only();
	start();
	err = worker_call(&w[0], w_prctl, PR_SET_MEMORY_MERGE, 1);
	if (err == -EINVAL)
		skip("no PR_SET_MEMORY_MERGE before 6.4");
	CHECK_EQ(err, 0);
	CHECK_EQ(worker_call(&w[1], w_prctl, PR_SET_MEMORY_MERGE, 1), 0);
	CHECK_SOON_EQ(same(plain), N, LONG);
	CHECK_EQ(worker_bad(&w[0], plain[0], N, SEED + 1, 0), 0);
	CHECK_EQ(worker_bad(&w[1], plain[1], N, SEED + 1, 0), 0);
	/* taken back, the kernel itself makes it private */
	CHECK_EQ(worker_call(&w[0], w_prctl, PR_SET_MEMORY_MERGE, 0), 0);
	CHECK_EQ(count_merged(w[0].pid, plain[0], N), 0);
	CHECK_EQ(worker_bad(&w[0], plain[0], N, SEED + 1, 0), 0);
}

static void changed(void)
{
	marked_only();
	start();
	CHECK_SOON_EQ(same(marked), N, LONG);
	settle(2);
	CHECK_EQ(count_merged(w[0].pid, plain[0], N), 0);
	sysfs_set("scope", "all");
	CHECK_SOON_EQ(same(plain), N, LONG);
	unmerge_all();
	sysfs_set("scope", "madvise");
	sysfs_set("run", "1");
	CHECK_SOON_EQ(same(marked), N, LONG);
	settle(3);
	CHECK_EQ(count_merged(w[0].pid, plain[0], N), 0);
}

/* Marked areas do not wait until their process is old enough. */
static void marked_at_once(void)
{
	if (on_ksmd())
		skip("ksmd has no min_age_millisecs");
	sysfs_set("min_age_millisecs", "600000");
	start();
	CHECK_SOON_EQ(same(marked), N, LONG);
	settle(2);
	CHECK_EQ(count_merged(w[0].pid, plain[0], N), 0);
}

/*
 * Memory that is shared on purpose, and memory of files, is none of the module's
 * business; a page of a file that was written privately may merge, and must be
 * copied on write then as any other.
 */
static void shared_left_alone(void)
{
	u8 *a = mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	u8 *b = mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct worker child;

	CHECK(a != MAP_FAILED && b != MAP_FAILED);
	fill(a, N, SEED, 0);
	fill(b, N, SEED, 0);
	start();
	CHECK_SOON_EQ(same(plain), N, LONG);
	settle(3);
	CHECK_EQ(count_same_pfn(getpid(), a, getpid(), b, N), 0);
	worker_start(&child);
	worker_fill(&child, a, N, SEED + 5, 0);
	CHECK_EQ(bad_pages(a, N, SEED + 5, 0), 0);
	CHECK_EQ(bad_pages(b, N, SEED, 0), 0);
}

static void private_file(void)
{
	int fd = memfd_create("test", 0);
	u8 *a, *b, *c;

	CHECK(fd >= 0 && ftruncate(fd, N * PAGE) == 0);
	c = mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	a = mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	b = mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	fill(c, N, SEED + 6, 0);
	fill(a, N / 2, SEED + 7, 0);
	fill(b, N / 2, SEED + 7, 0);
	start();
	CHECK_SOON_EQ(same(plain), N, LONG);
	settle(3);
	note("privately written file pages merged: %zu of %d",
	     count_same(getpid(), a, getpid(), b, N / 2), N / 2);
	CHECK_EQ(bad_pages(a, N / 2, SEED + 7, 0), 0);
	fill(a, N / 2, SEED + 8, 0);
	CHECK_EQ(bad_pages(b, N / 2, SEED + 7, 0), 0);
	CHECK_EQ(bad_pages(c, N, SEED + 6, 0), 0);
	CHECK_EQ(bad_pages(b + N / 2 * PAGE, N / 2, SEED + 6, N / 2), 0);
	/* the unwritten half still follows the file */
	fill(c, N, SEED + 9, 0);
	CHECK_EQ(bad_pages(a + N / 2 * PAGE, N / 2, SEED + 9, N / 2), 0);
}

static const struct test_case cases[] = {
	{ "madvise: only what is marked", only_marked, 90 },
	{ "unmarked memory of the same content", unmarked_equal_to_marked, 90 },
	{ "all: what nobody marked too", both, 90 },
	{ "MADV_UNMERGEABLE and back", unmergeable, 90 },
	{ "marked later", marked_later, 90 },
	{ "marked by prctl", by_prctl, 90 },
	{ "the scope is changed", changed, 120 },
	{ "marked areas do not wait for their age", marked_at_once, 90 },
	{ "shared memory is left alone", shared_left_alone, 90 },
	{ "private mappings of a file", private_file, 90 },
};

TEST_MAIN(0)
