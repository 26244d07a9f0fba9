// SPDX-License-Identifier: GPL-2.0
/* vm: timeout=300 */
/*
 * Merging at full speed while the threads of the same processes write, fork,
 * unmap, protect, move and discard memory, and processes end, as fast as they
 * can. Every writer knows what each of its pages must hold and checks every byte
 * before it touches the page again; so does every child it forks.
 *
 * There are few different contents, so most pages are equal to many others at
 * any time. Whatever is lost in a race - a write that goes to a frame, a compare
 * before write protection, an entry put back that had changed - is a wrong byte.
 */
#include "lib.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#define PROCS 3
#define THREADS 3
#define AREA 64 /* pages of a thread */
#define CONTENTS 8 /* different contents at a time, 0 is the zero page */
#define SEED 170

/**
 * struct stats - sums over all processes, in memory that all of them share
 * @checked: pages of which every byte was checked
 * @bad: pages that were wrong
 * @writes: pages that were written
 * @forks: children that checked and wrote
 * @changes: unmaps, discards, moves, changes of protection
 * @ends: processes that were replaced by new ones
 * @stop: all end
 */
static struct stats {
	unsigned long checked, bad, writes, forks, changes, ends;
	volatile int stop;
} *stats;

/**
 * struct area - memory of one thread and what it must hold
 * @base: where it is
 * @content: of each page
 * @rnd: state of the thread's random numbers
 */
struct area {
	u8 *base;
	u8 content[AREA];
	u64 rnd;
};

static bool with_changes;

static void add(unsigned long *n, unsigned long by)
{
	__atomic_fetch_add(n, by, __ATOMIC_RELAXED);
}

static unsigned int rnd(struct area *a, unsigned int below)
{
	a->rnd = a->rnd * 6364136223846793005ULL + 1442695040888963407ULL;
	return (a->rnd >> 33) % below;
}

static void put(u8 *page, u8 content)
{
	if (content)
		page_fill(page, SEED, content);
	else
		memset(page, 0, PAGE);
}

static bool holds(const u8 *page, u8 content)
{
	return content ? page_is(page, SEED, content) : !bad_zero(page, 1);
}

static void check(struct area *a, size_t i, const char *who)
{
	add(&stats->checked, 1);
	if (holds(a->base + i * PAGE, a->content[i]))
		return;
	if (__atomic_fetch_add(&stats->bad, 1, __ATOMIC_RELAXED) < 10)
		note("%s %d: page %zu at %p is not content %u: %016llx", who,
		     getpid(), i, a->base + i * PAGE, a->content[i],
		     *(unsigned long long *)(a->base + i * PAGE));
}

static void check_all(struct area *a, const char *who)
{
	size_t i;

	for (i = 0; i < AREA; i++)
		check(a, i, who);
}

static void write_one(struct area *a, size_t i)
{
	a->content[i] = rnd(a, CONTENTS);
	put(a->base + i * PAGE, a->content[i]);
	add(&stats->writes, 1);
}

/* Only a word is changed and changed back: the copy must have been whole. */
static void poke_one(struct area *a, size_t i)
{
	volatile u64 *word = (u64 *)(a->base + i * PAGE) + rnd(a, 512);
	u64 was = *word;

	*word = ~was;
	sched_yield();
	if (*word != ~was)
		add(&stats->bad, 1);
	*word = was;
	add(&stats->writes, 1);
}

/* The child knows what this thread knew; of the other threads it knows nothing. */
static void fork_one(struct area *a)
{
	pid_t pid = fork();
	size_t i;

	if (pid == 0) {
		check_all(a, "child");
		for (i = 0; i < AREA; i += 3)
			write_one(a, i);
		check_all(a, "child");
		_exit(0);
	}
	if (pid < 0)
		return;
	for (i = 0; i < AREA; i += 5)
		write_one(a, i);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	add(&stats->forks, 1);
}

static void gave_up(const char *what)
{
	note("%s: %s", what, strerror(errno));
	add(&stats->bad, 1);
}

static void discard(struct area *a, size_t from, size_t n)
{
	if (madvise(a->base + from * PAGE, n * PAGE, MADV_DONTNEED))
		gave_up("MADV_DONTNEED");
	memset(a->content + from, 0, n);
}

static void unmap(struct area *a, size_t from, size_t n)
{
	u8 *at = a->base + from * PAGE;

	/* mapped over in one step: another thread's mmap must not get in between */
	if (mmap(at, n * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != at)
		gave_up("mmap");
	no_huge_pages(at, n);
	if (on_ksmd())
		mark_mergeable(at, n);
	memset(a->content + from, 0, n);
}

static void protect(struct area *a, size_t from, size_t n)
{
	u8 *at = a->base + from * PAGE;
	size_t i;

	if (mprotect(at, n * PAGE, PROT_READ))
		gave_up("mprotect");
	for (i = from; i < from + n; i++)
		check(a, i, "reader");
	if (mprotect(at, n * PAGE, PROT_READ | PROT_WRITE))
		gave_up("mprotect");
}

/* Single pages go elsewhere and come back: an area may be in pieces by now. */
static void move(struct area *a, size_t from, size_t n)
{
	size_t i;

	for (i = from; i < from + n; i++) {
		u8 *at = a->base + i * PAGE, *to = map_pages(1);

		/* the old place stays mapped, or another thread might get it */
		if (mremap(at, PAGE, PAGE,
			   MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
			   to) != to)
			gave_up("mremap");
		add(&stats->checked, 1);
		if (!holds(to, a->content[i]))
			gave_up("moved page");
		if (mremap(to, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			   at) != at)
			gave_up("mremap back");
		munmap(to - PAGE, PAGE);
		munmap(to + PAGE, PAGE);
		check(a, i, "mover");
	}
}

static void change_one(struct area *a)
{
	size_t from = rnd(a, AREA - 8), n = 1 + rnd(a, 8);

	switch (rnd(a, 5)) {
	case 0:
		discard(a, from, n);
		break;
	case 1:
		unmap(a, from, n);
		break;
	case 2:
	case 3:
		protect(a, from, n);
		break;
	default:
		move(a, from, n);
	}
	add(&stats->changes, 1);
}

static void *thread(void *arg)
{
	struct area *a = arg;
	size_t i, n;

	for (i = 0; i < AREA; i++) {
		a->content[i] = rnd(a, CONTENTS);
		put(a->base + i * PAGE, a->content[i]);
	}
	while (!stats->stop) {
		for (n = 0; n < AREA; n++) {
			i = rnd(a, AREA);
			check(a, i, "writer");
			if (rnd(a, 2))
				write_one(a, i);
			else
				poke_one(a, i);
		}
		check_all(a, "writer");
		if (!with_changes)
			continue;
		if (rnd(a, 4) == 0)
			fork_one(a);
		change_one(a);
		/* rest, so that there is something to merge */
		msleep(rnd(a, 30));
		check_all(a, "rested");
	}
	check_all(a, "last");
	return NULL;
}

static void process(u64 seed)
{
	static struct area area[THREADS];
	pthread_t id[THREADS];
	int i;

	for (i = 0; i < THREADS; i++) {
		area[i].base = map_pages(AREA);
		area[i].rnd = seed * 1000003 + i;
		if (pthread_create(&id[i], NULL, thread, &area[i]))
			FAIL("pthread_create");
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(id[i], NULL);
	_exit(0);
}

static pid_t start(u64 seed)
{
	pid_t pid = fork();

	if (pid == 0)
		process(seed);
	if (pid < 0)
		FAIL("fork: %s", strerror(errno));
	return pid;
}

/* Runs for @secs; @disturb is called now and then by the parent. */
static void run_for(double secs, bool ends, void (*disturb)(unsigned int))
{
	double end = now() + secs;
	long long merged = 0, most = 0;
	unsigned int n = 0;
	pid_t pid[PROCS];
	u64 seed = 1;
	int i;

	stats = mmap(NULL, sizeof(*stats), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(stats != MAP_FAILED);
	for (i = 0; i < PROCS; i++)
		pid[i] = start(seed++);
	while (now() < end && !stats->bad) {
		long long sharing;

		msleep(100);
		sharing = sysfs_num("pages_sharing");
		merged += sharing;
		most = sharing > most ? sharing : most;
		n++;
		if (disturb)
			disturb(n);
		if (ends && n % 8 == 0) {
			i = n / 8 % PROCS;
			kill(pid[i], SIGKILL);
			waitpid(pid[i], NULL, 0);
			pid[i] = start(seed++);
			stats->ends++;
		}
	}
	stats->stop = 1;
	for (i = 0; i < PROCS; i++) {
		int status = -1;

		waitpid(pid[i], &status, 0);
		if (status)
			note("process ended with status %#x", status);
		stats->bad += status != 0;
	}
	note("%lu pages (%lu MiB) checked, %lu written, %lu forks, %lu changes",
	     stats->checked, stats->checked * PAGE / MIB, stats->writes,
	     stats->forks, stats->changes);
	note("%lu processes killed; pages_sharing up to %lld, %lld on average; bad: %lu",
	     stats->ends, most, n ? merged / n : 0, stats->bad);
	CHECK_EQ(stats->bad, 0);
	CHECK_OP(stats->writes, >=, 500);
	/* it must really have merged, or nothing was put to the test */
	CHECK_OP(most, >=, 16);
}

static void writers(void)
{
	run_for(15, false, NULL);
}

static void everything(void)
{
	with_changes = true;
	run_for(25, true, NULL);
	CHECK_OP(stats->forks, >=, 20);
	CHECK_OP(stats->changes, >=, 20);
	CHECK_OP(stats->ends, >=, 5);
}

/* The administrator cannot make up his mind. */
static void switch_run(unsigned int n)
{
	static const char *const run[] = { "2", "1", "0", "1" };

	if (n % 8 == 0)
		sysfs_set("run", run[n / 8 % ARRAY_SIZE(run)]);
}

static void with_unmerging(void)
{
	with_changes = true;
	run_for(20, true, switch_run);
	sysfs_set("run", "1");
}

static void compact_now_and_then(unsigned int n)
{
	if (n % 10 == 0)
		file_write("/proc/sys/vm/compact_memory", "1");
}

static void with_compaction(void)
{
	with_changes = true;
	run_for(20, true, compact_now_and_then);
}

static const struct test_case cases[] = {
	{ "threads write while their memory is merged", writers, 90 },
	{ "write, fork, exit, unmap, protect, move", everything, 120 },
	{ "with run=2 now and then", with_unmerging, 120 },
	{ "with compaction", with_compaction, 120 },
};

TEST_MAIN(0)
