// SPDX-License-Identifier: GPL-2.0
/* vm: noload */
/*
 * Kprobes switched off: the load fails cleanly with one line that says so, and
 * works when they are on again. Switched off while frames exist: nothing is
 * lost, frames just stay where they are until they are on again.
 *
 * Without the self-check the module would load with hooks that never fire.
 */
#include "lib.h"

#define ENABLED "/sys/kernel/debug/kprobes/enabled"
#define N 128
#define SEED 240

static void probes(const char *on)
{
	int err = file_write(ENABLED, on);

	if (err == -ENOENT)
		skip("no " ENABLED);
	CHECK_EQ(err, 0);
}

static void unload(void)
{
	int err = 0;

	sysfs_set("run", "2");
	if (!WAIT_FOR((err = module_unload()) == 0, 20))
		FAIL("unload: %s", strerror(-err));
}

static void refused(void)
{
	static const char *const words[] = { "uksm: ", NULL };
	static const char *const why[] = { "enable kprobes", NULL };
	int log = log_open(), log2 = log_open();
	int lines, explained, err;
	char line[300] = "";

	probes("0");
	err = module_load("");
	probes("1");
	lines = log_find(log, words, line, sizeof(line));
	explained = log_find(log2, why, line, sizeof(line));
	note("load without kprobes: %s; %d lines: %s",
	     err ? strerror(-err) : "success", lines, line);
	if (!err)
		unload();
	CHECK(err);
	CHECK_EQ(explained, 1);
	CHECK_OP(lines, <=, 4); /* two are the kernel's own on the taint */
	CHECK(!module_loaded());
	CHECK(access("/sys/kernel/mm/uksm", F_OK) != 0);
	CHECK_SOON_EQ(threads_named("uksm"), 0, LONG);
	close(log);
	close(log2);
}

static void works_again(void)
{
	int err = module_load("min_age_millisecs=0");
	void *p, *q;

	if (err)
		FAIL("load: %s", strerror(-err));
	p = map_filled(N, SEED, 0);
	q = map_filled(N, SEED, 0);
	CHECK_SOON_EQ(count_same(getpid(), p, getpid(), q, N), N, LONG);
	unload();
	CHECK_EQ(bad_pages(p, N, SEED, 0), 0);
}

static void switched_off_later(void)
{
	struct worker w;
	void *p, *q;
	int i;

	CHECK_EQ(module_load("min_age_millisecs=0"), 0);
	worker_start(&w);
	p = worker_map_filled(&w, N, SEED, 0);
	q = map_filled(N, SEED, 0);
	CHECK_SOON_EQ(count_same(w.pid, p, getpid(), q, N), N, LONG);
	probes("0");
	for (i = 0; i < 5; i++) {
		file_write("/proc/sys/vm/compact_memory", "1");
		CHECK_EQ(bad_pages(q, N, SEED, 0), 0);
		CHECK_EQ(worker_bad(&w, p, N, SEED, 0), 0);
	}
	worker_fill(&w, p, N / 2, SEED + 1, 0);
	CHECK_EQ(bad_pages(q, N, SEED, 0), 0);
	probes("1");
	file_write("/proc/sys/vm/compact_memory", "1");
	CHECK_EQ(bad_pages(q, N, SEED, 0), 0);
	CHECK_EQ(worker_bad(&w, p, N / 2, SEED + 1, 0), 0);
	unload();
	CHECK_EQ(bad_pages(q, N, SEED, 0), 0);
}

static const struct test_case cases[] = {
	{ "the load is refused and says why", refused, 60 },
	{ "it works when they are on again", works_again, 90 },
	{ "switched off while memory is merged", switched_off_later, 90 },
};

TEST_MAIN(TEST_NOLOAD)
