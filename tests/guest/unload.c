// SPDX-License-Identifier: GPL-2.0
/* vm: timeout=240 */
/*
 * The module does not go while a frame exists, and goes when none does: rmmod
 * is refused with EBUSY while memory is merged, whoever holds it and whatever
 * run is, and works after run=2 or after the last mapper has gone.
 *
 * A frame that outlives the module's hooks is a process killed at its next
 * migration, so an rmmod that succeeds early is the failure here.
 */
#include "lib.h"

#define N 64
#define SEED 180

static struct worker w[2];
static void *p[2];

static void merge(void)
{
	int i;

	if (on_ksmd())
		skip("ksmd cannot be unloaded");
	for (i = 0; i < 2; i++) {
		worker_start(&w[i]);
		p[i] = worker_map_filled(&w[i], N, SEED, 0);
	}
	CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N, LONG);
}

static void still_there(void)
{
	CHECK(module_loaded());
	CHECK(sysfs_has("run"));
	CHECK_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N);
	CHECK_EQ(worker_bad(&w[0], p[0], N, SEED, 0), 0);
}

static void all_gone(void)
{
	CHECK(!module_loaded());
	CHECK(access(sysfs_dir(), F_OK) != 0);
	CHECK_SOON_EQ(threads_named("uksm"), 0, LONG);
}

/* A walk may still be in flight: EBUSY for a moment is fine, for long it is not. */
static int unload_soon(void)
{
	int err = 0;

	(void)WAIT_FOR((err = module_unload()) != -EBUSY &&
			       err != -EAGAIN && err != -EWOULDBLOCK,
		       20);
	return err;
}

static void load_again(void)
{
	CHECK_EQ(module_load(""), 0);
	fast_settings();
}

static bool busy(void)
{
	int err = module_unload();

	return err == -EBUSY || err == -EWOULDBLOCK;
}

static void refused(void)
{
	merge();
	CHECK(busy());
	still_there();
	sysfs_set("run", "0");
	CHECK(busy());
	still_there();
	sysfs_set("run", "1");
	CHECK(busy());
	still_there();
}

static void after_unmerge(void)
{
	merge();
	CHECK(busy());
	unmerge_all();
	CHECK_EQ(unload_soon(), 0);
	all_gone();
	CHECK_EQ(worker_bad(&w[0], p[0], N, SEED, 0), 0);
	CHECK_EQ(worker_bad(&w[1], p[1], N, SEED, 0), 0);
	worker_fill(&w[0], p[0], N, SEED + 1, 0);
	CHECK_EQ(worker_bad(&w[1], p[1], N, SEED, 0), 0);
	CHECK_EQ(count_same_pfn(w[0].pid, p[0], w[1].pid, p[1], N), 0);
	load_again();
	worker_fill(&w[0], p[0], N, SEED, 0);
	CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N, LONG);
}

/* A frame that is in swap or has one mapper left is a frame as well. */
static void one_mapper_left(void)
{
	marked_only();
	merge();
	worker_exit(&w[1]);
	settle(2);
	CHECK_EQ(count_merged(w[0].pid, p[0], N), N);
	CHECK(busy());
	CHECK_EQ(worker_bad(&w[0], p[0], N, SEED, 0), 0);
	unmerge_all();
	CHECK_EQ(unload_soon(), 0);
	CHECK_EQ(worker_bad(&w[0], p[0], N, SEED, 0), 0);
	load_again();
}

/* The mappers are gone, nobody wrote run=2: only marked memory was merged. */
static void after_exit(void)
{
	marked_only();
	merge();
	worker_exit(&w[0]);
	worker_exit(&w[1]);
	CHECK_SOON_EQ(sysfs_num("pages_shared"), 0, LONG);
	CHECK_EQ(unload_soon(), 0);
	all_gone();
	load_again();
}

/* Nothing was ever merged, the scanner is at work. */
static void while_scanning(void)
{
	int i;

	if (on_ksmd())
		skip("ksmd cannot be unloaded");
	for (i = 0; i < 5; i++) {
		marked_only();
		/*
		 * something to look at, nothing to merge; not so much that one
		 * may share the place and tag of another in the index, become a
		 * frame and wait for a second mapper
		 */
		worker_start(&w[0]);
		p[0] = worker_map_filled(&w[0], 2 * N, SEED + i, 0);
		msleep(100 * i);
		CHECK_EQ(unload_soon(), 0);
		all_gone();
		CHECK_EQ(worker_bad(&w[0], p[0], 2 * N, SEED + i, 0), 0);
		worker_exit(&w[0]);
		load_again();
	}
}

/* An open file of the module's is no harm. */
static void open_file(void)
{
	char path[100], buf[32];
	int fd;

	if (on_ksmd())
		skip("ksmd cannot be unloaded");
	snprintf(path, sizeof(path), "%s/pages_shared", sysfs_dir());
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	unmerge_all();
	CHECK_EQ(unload_soon(), 0);
	CHECK_OP(read(fd, buf, sizeof(buf)), <, 0);
	close(fd);
	load_again();
}

static void loaded_twice(void)
{
	if (on_ksmd())
		skip("ksmd is not a module");
	CHECK_EQ(module_load(""), -EEXIST);
	CHECK(sysfs_has("run"));
}

static const struct test_case cases[] = {
	{ "refused while memory is merged", refused, 90 },
	{ "works after run=2, and loads again", after_unmerge, 120 },
	{ "refused while one mapper is left", one_mapper_left, 90 },
	{ "works after the last mapper's exit", after_exit, 90 },
	{ "works while scanning", while_scanning, 150 },
	{ "works with one of its files open", open_file, 60 },
	{ "a second load is refused", loaded_twice, 30 },
};

TEST_MAIN(0)
