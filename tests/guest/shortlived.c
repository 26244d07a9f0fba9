// SPDX-License-Identifier: GPL-2.0
/* vm: mem=512 timeout=400 append="slab_nomerge" */
/*
 * Ten thousand processes that live for a moment, with merging at full speed: they
 * inherit merged pages, write to some, have new ones merged, and exit, are
 * killed or exec. Each finds its memory right, and nothing of them is left
 * behind: no space, frame, anon_vma or mm, and no memory.
 */
#include "lib.h"

#include <signal.h>
#include <sys/wait.h>

#define ALL 10000
#define PARENTS 2
#define AT_ONCE 64
#define INHERITED 16
#define OWN 8
#define SEED 220

/* Returns the objects that are in use, -1 where the kernel does not say. */
static long long slab_objects(const char *cache)
{
	char path[100];

	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", cache);
	file_write(path, "1");
	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/objects", cache);
	return file_num(path);
}

static const char *const caches[] = { "uksm_space",	"uksm_region",
				      "uksm_frame",	"uksm_rmap_item",
				      "anon_vma",	"mm_struct" };

/**
 * struct left - what could be left behind
 * @objects: of each of caches[]
 * @metadata: bytes the module says it uses
 * @free: kB
 */
struct left {
	long long objects[ARRAY_SIZE(caches)];
	long long metadata, free;
};

static void left_get(struct left *l)
{
	size_t i;

	settle(2);
	for (i = 0; i < ARRAY_SIZE(caches); i++)
		l->objects[i] = slab_objects(caches[i]);
	l->metadata = sysfs_num("metadata_bytes");
	l->free = free_kb() + meminfo_kb("Cached") + meminfo_kb("SReclaimable");
}

/* A thing lost for each process would be some thousands. */
static bool left_is(const struct left *first, struct left *last)
{
	/* KASAN, on the debug kernel, holds what was freed back for a while */
	const bool held = slowness() > 2;
	size_t i;

	left_get(last);
	for (i = 0; i < ARRAY_SIZE(caches) && !held; i++)
		if (last->objects[i] > first->objects[i] + 200)
			return false;
	return last->metadata <= first->metadata + 64 * 1024 &&
	       last->free >= first->free - (held ? 20 : 4) * 1024;
}

/* What one of them does. */
static void live(u8 *inherited, unsigned int nth)
{
	u8 *own = map_pages(OWN);

	fill(own, OWN, SEED + 1, nth % 4);
	page_fill(inherited + nth % INHERITED * PAGE, SEED + 2, nth);
	/* two looks of the scanner are 20 ms apart */
	msleep(nth % 3 ? 10 : 300);
	if (bad_pages(own, OWN, SEED + 1, nth % 4) ||
	    !page_is(inherited + nth % INHERITED * PAGE, SEED + 2, nth))
		_exit(1);
	page_fill(inherited + nth % INHERITED * PAGE, SEED,
		  nth % INHERITED);
	if (bad_pages(inherited, INHERITED, SEED, 0))
		_exit(1);
	if (nth % 4 == 1)
		kill(getpid(), SIGKILL);
	if (nth % 100 == 2)
		execl("/proc/self/exe", "worker", "--worker", "-1", "-1", NULL);
	_exit(0);
}

static bool reaped_well(int status)
{
	return (WIFEXITED(status) && !WEXITSTATUS(status)) ||
	       (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static long w_parent(long at, long n, long b, long c)
{
	unsigned int i, alive = 0;
	long bad = 0;
	int status;

	(void)b, (void)c;
	for (i = 0; i < n || alive;) {
		if (i < n && alive < AT_ONCE) {
			pid_t pid = fork();

			if (pid == 0)
				live((u8 *)at, i);
			if (pid < 0)
				return -errno;
			alive++, i++;
			continue;
		}
		if (wait(&status) > 0) {
			alive--;
			bad += !reaped_well(status);
		}
	}
	return bad;
}

static struct worker w[PARENTS];
static u8 *p[PARENTS];

static void many(int n)
{
	int i;

	for (i = 0; i < PARENTS; i++)
		worker_send(&w[i], w_parent, (long)p[i], n / PARENTS, 0, 0);
	for (i = 0; i < PARENTS; i++)
		CHECK_EQ(worker_wait(&w[i]), 0);
}

static void ten_thousand(void)
{
	/* the debug kernel would take ten minutes */
	const int all = ALL / slowness();
	long long scanned, merged, rounds;
	struct left first, last;
	double start;
	bool ok;
	size_t i;

	for (i = 0; i < PARENTS; i++) {
		worker_start(&w[i]);
		p[i] = worker_map_filled(&w[i], INHERITED, SEED, 0);
	}
	CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], INHERITED),
		      INHERITED, LONG);
	many(all / 20); /* fills the kernel's caches */
	left_get(&first);
	scanned = sysfs_num("pages_scanned");
	merged = sysfs_num("pages_merged");
	rounds = sysfs_num("full_scans");
	start = now();
	many(all);
	note("%d processes in %.1f s: %lld rounds, %lld pages scanned, %lld merged",
	     all, now() - start, sysfs_num("full_scans") - rounds,
	     sysfs_num("pages_scanned") - scanned,
	     sysfs_num("pages_merged") - merged);
	CHECK_OP(sysfs_num("pages_merged"), >=, merged + all / 10);
	/* what ended last is freed after a grace period or two */
	ok = WAIT_FOR(left_is(&first, &last), 30);
	note("metadata %lld, then %lld; free kB %lld, then %lld",
	     first.metadata, last.metadata, first.free, last.free);
	for (i = 0; i < ARRAY_SIZE(caches); i++)
		note("%s: %lld, then %lld", caches[i], first.objects[i],
		     last.objects[i]);
	CHECK_OP(first.objects[0], >, 0);
	if (!ok)
		FAIL("something is left of those that are gone");
	for (i = 0; i < PARENTS; i++)
		CHECK_EQ(worker_bad(&w[i], p[i], INHERITED, SEED, 0), 0);
}

static const struct test_case cases[] = {
	{ "ten thousand processes", ten_thousand, 200 },
};

TEST_MAIN(0)
