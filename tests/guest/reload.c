// SPDX-License-Identifier: GPL-2.0
/* vm: noload timeout=600 append="kmemleak=on" */
/*
 * Load, merge, unmerge, unload, 50 times in a row: it works every time and leaves
 * nothing behind - no memory, no slab, no vmalloc area, no directory, no thread,
 * no probe.
 */
#include "lib.h"

#define N 256
#define SEED 190

/**
 * struct left - what could be left behind
 * @free: free memory in kB, what the kernel can give back at will counted in
 * @slab: unreclaimable slab in kB
 * @vmalloc: in kB
 * @percpu: in kB
 * @probes: registered kprobes, -1 when that cannot be seen
 */
struct left {
	long long free, slab, vmalloc, percpu;
	int probes;
};

static int count_probes(void)
{
	FILE *f = fopen("/sys/kernel/debug/kprobes/list", "re");
	char line[256];
	int n = 0;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		n++;
	fclose(f);
	return n;
}

static void left_get(struct left *l)
{
	file_write("/proc/sys/vm/drop_caches", "3");
	l->free = free_kb() + meminfo_kb("Cached") + meminfo_kb("Buffers") +
		  meminfo_kb("SReclaimable");
	l->slab = meminfo_kb("SUnreclaim");
	l->vmalloc = meminfo_kb("VmallocUsed");
	l->percpu = meminfo_kb("Percpu");
	l->probes = count_probes();
}

static void nothing_visible(void)
{
	CHECK(!module_loaded());
	CHECK(access("/sys/kernel/mm/uksm", F_OK) != 0);
	CHECK(access("/sys/module/uksm", F_OK) != 0);
	CHECK_SOON_EQ(threads_named("uksm"), 0, LONG);
}

static void one_round(bool merge)
{
	struct worker w[2];
	void *p[2];
	int i, err = 0;

	err = module_load("");
	if (err)
		FAIL("load: %s", strerror(-err));
	fast_settings();
	for (i = 0; i < 2; i++) {
		worker_start(&w[i]);
		p[i] = worker_map_filled(&w[i], N, SEED, 0);
	}
	if (merge)
		CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N,
			      LONG);
	unmerge_all();
	for (i = 0; i < 2; i++)
		CHECK_EQ(worker_bad(&w[i], p[i], N, SEED, 0), 0);
	if (!WAIT_FOR((err = module_unload()) == 0, 20))
		FAIL("unload: %s", strerror(-err));
	nothing_visible();
	for (i = 0; i < 2; i++) {
		CHECK_EQ(worker_bad(&w[i], p[i], N, SEED, 0), 0);
		worker_exit(&w[i]);
	}
}

/* A frame a page lost in each of 40 rounds would be 40 MiB. */
static bool left_is(const struct left *first, struct left *last)
{
	/* KASAN, on the debug kernel, holds what was freed back for a while */
	long long held = slowness() > 2 ? 8 * 1024 : 0;

	left_get(last);
	return last->percpu <= first->percpu + 64 &&
	       last->vmalloc <= first->vmalloc + 256 &&
	       last->slab <= first->slab + 256 + held &&
	       last->free >= first->free - 4 * 1024 - held;
}

static void fifty(void)
{
	struct left first, last;
	bool ok;
	int i;

	nothing_visible();
	/* the first ten fill the kernel's caches */
	for (i = 0; i < 50; i++) {
		if (i == 10)
			left_get(&first);
		one_round(true);
	}
	/* what is freed after a grace period, and counted once a second */
	ok = WAIT_FOR(left_is(&first, &last), 20);
	note("kB after 10 and after 50 rounds: free %lld %lld, slab %lld %lld",
	     first.free, last.free, first.slab, last.slab);
	note("vmalloc %lld %lld, percpu %lld %lld; probes %d %d", first.vmalloc,
	     last.vmalloc, first.percpu, last.percpu, first.probes,
	     last.probes);
	CHECK_EQ(last.probes, first.probes);
	if (!ok)
		FAIL("something is left");
}

/* Unloaded at once, whatever its threads are at. */
static void at_once(void)
{
	int i, err = 0;

	for (i = 0; i < 20; i++) {
		CHECK_EQ(module_load(i % 2 ? "run=0" : ""), 0);
		if (!WAIT_FOR((err = file_write("/sys/kernel/mm/uksm/run",
						"2")) == 0 &&
				      (err = module_unload()) == 0,
			      20))
			FAIL("unload: %s", strerror(-err));
		nothing_visible();
	}
}

static void interrupted(void)
{
	int i;

	for (i = 0; i < 5; i++)
		one_round(false);
}

/* What the kernel's own search says, where it is built in: the debug kernel. */
static void searched(void)
{
	static char found[16384];
	int i;

	if (file_write("/sys/kernel/debug/kmemleak", "clear"))
		skip("no kmemleak");
	for (i = 0; i < 5; i++)
		one_round(true);
	/* an object has to be some seconds old to be called lost */
	for (i = 0; i < 2; i++) {
		msleep(6000);
		CHECK_EQ(file_write("/sys/kernel/debug/kmemleak", "scan"), 0);
	}
	if (file_read("/sys/kernel/debug/kmemleak", found, sizeof(found)) > 0)
		FAIL("kmemleak: %.300s", found);
}

static const struct test_case cases[] = {
	{ "50 times: load, merge, unmerge, unload", fifty, 400 },
	{ "unloaded as soon as loaded, 20 times", at_once, 120 },
	{ "unmerged in the midst of merging", interrupted, 90 },
	{ "kmemleak finds nothing", searched, 200 },
};

TEST_MAIN(TEST_NOLOAD)
