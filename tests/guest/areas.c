// SPDX-License-Identifier: GPL-2.0
/* vm: append="secretmem.enable=1" */
/*
 * Areas of a special kind: stacks and heaps are merged and grow, shrink and are
 * written as ever; what a fork is to leave out or to wipe is left out or wiped,
 * merged or not; a sealed area stays as it is; secret memory is left alone.
 */
#include "lib.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define NR_MSEAL 462

#define N 64
#define SEED 670

static struct trio t;

/* Deeper and deeper: each call has two pages of known content on the stack. */
static size_t deeper(int depth)
{
	u8 page[2 * PAGE] __attribute__((aligned(4096)));
	size_t bad;

	fill(page, 2, SEED + 9, depth * 2);
	if (depth % 16 == 0)
		settle(0);
	bad = depth ? deeper(depth - 1) : 0;
	return bad + bad_pages(page, 2, SEED + 9, depth * 2);
}

static void on_this_stack(void)
{
	u8 room[N * PAGE] __attribute__((aligned(4096)));

	t.mine = room;
	fill(t.mine, N, SEED, 0);
	trio_merge(&t);
	trio_check(&t, SEED);
	CHECK_EQ(deeper(128), 0);
	trio_check(&t, SEED);
	fill(t.mine, N / 2, SEED + 1, 0);
	CHECK_EQ(bad_pages(t.mine, N / 2, SEED + 1, 0), 0);
	CHECK_EQ(bad_pages(t.mine + N / 2 * PAGE, N / 2, SEED, N / 2), 0);
	fill(t.mine, N / 2, SEED, 0);
	unmerge_all();
	CHECK_EQ(trio_merged(&t), 0);
	trio_check(&t, SEED);
	/* what was given back is merged once more, and given back deep below */
	trio_merge(&t);
	CHECK_EQ(deeper(160), 0);
	unmerge_all();
	trio_check(&t, SEED);
}

static void main_stack(void)
{
	trio_start(&t, N, SEED);
	on_this_stack();
}

static void *thread_main(void *arg)
{
	(void)arg;
	on_this_stack();
	return NULL;
}

static void thread_stack(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	trio_start(&t, N, SEED);
	CHECK_EQ(pthread_attr_init(&attr), 0);
	CHECK_EQ(pthread_attr_setstacksize(&attr, 4 * MIB), 0);
	CHECK_EQ(pthread_create(&thread, &attr, thread_main, NULL), 0);
	pthread_join(thread, NULL);
}

/* brk(2) itself: the library's malloc() must not come between. */
static u8 *brk_at(u8 *end)
{
	return (u8 *)syscall(SYS_brk, end);
}

static void heap(void)
{
	u8 *old;

	trio_start(&t, N, SEED);
	old = brk_at(NULL);
	t.mine = (u8 *)(((uintptr_t)old + 2 * PAGE - 1) & ~(PAGE - 1));
	CHECK(brk_at(t.mine + N * PAGE) == t.mine + N * PAGE);
	fill(t.mine, N, SEED, 0);
	trio_merge(&t);
	trio_check(&t, SEED);
	/* half of it goes, comes back empty, and is filled again */
	CHECK(brk_at(t.mine + N / 2 * PAGE) == t.mine + N / 2 * PAGE);
	settle(2);
	CHECK(brk_at(t.mine + 2 * N * PAGE) == t.mine + 2 * N * PAGE);
	CHECK_EQ(bad_pages(t.mine, N / 2, SEED, 0), 0);
	CHECK_EQ(bad_zero(t.mine + N / 2 * PAGE, 3 * N / 2), 0);
	fill(t.mine + N / 2 * PAGE, N / 2, SEED, N / 2);
	trio_merge(&t);
	trio_check(&t, SEED);
	fill(t.mine, N, SEED + 1, 0);
	trio_check(&t, SEED + 1);
	CHECK(brk_at(old) == old);
}

/* Runs in a child: what it has instead of its parent's pages. */
static void child_is(void (*look)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		look();
		_exit(0);
	}
	CHECK_OP(pid, >, 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

static void look_nothing(void)
{
	unsigned char vec[N];

	CHECK(mincore(t.mine, N * PAGE, vec) == -1 && errno == ENOMEM);
}

static void look_same(void)
{
	trio_check(&t, SEED);
	fill(t.mine, N, SEED + 2, 0);
	trio_check(&t, SEED + 2);
}

static void look_zeros(void)
{
	CHECK_EQ(bad_zero(t.mine, N), 0);
	fill(t.mine, N / 2, SEED + 2, 0);
	settle(3);
	CHECK_EQ(bad_pages(t.mine, N / 2, SEED + 2, 0), 0);
	CHECK_EQ(bad_zero(t.mine + N / 2 * PAGE, N / 2), 0);
	/* the child's own pages merge like any */
	fill(t.mine, N, SEED, 0);
	trio_merge(&t);
	trio_check(&t, SEED);
}

static void dont_fork(void)
{
	trio_make(&t, N, SEED);
	CHECK_EQ(madvise(t.mine, N * PAGE, MADV_DONTFORK), 0);
	trio_merge(&t);
	child_is(look_nothing);
	trio_check(&t, SEED);
	CHECK_EQ(trio_merged(&t), N);
	CHECK_EQ(madvise(t.mine, N * PAGE, MADV_DOFORK), 0);
	child_is(look_same);
	trio_check(&t, SEED);
	CHECK_EQ(madvise(t.mine, N * PAGE, MADV_DONTFORK), 0);
	fill(t.mine, N, SEED + 1, 0);
	child_is(look_nothing);
	trio_check(&t, SEED + 1);
}

static void wipe_on_fork(void)
{
	trio_make(&t, N, SEED);
	CHECK_EQ(madvise(t.mine, N * PAGE, MADV_WIPEONFORK), 0);
	trio_merge(&t);
	child_is(look_zeros);
	trio_check(&t, SEED);
	unmerge_all();
	sysfs_set("run", "1");
	child_is(look_zeros);
	trio_check(&t, SEED);
	CHECK_EQ(madvise(t.mine, N * PAGE, MADV_KEEPONFORK), 0);
	trio_merge(&t);
	child_is(look_same);
	trio_check(&t, SEED);
}

static bool seal(void *p, size_t n)
{
	return syscall(NR_MSEAL, p, n * PAGE, 0) == 0;
}

static void sealed(void)
{
	trio_make(&t, N, SEED);
	/* a part before the merge, the rest after it */
	if (!seal(t.mine, N / 2))
		skip("mseal: %s", strerror(errno));
	trio_merge(&t);
	CHECK(seal(t.mine, N));
	CHECK(munmap(t.mine, N * PAGE) && errno == EPERM);
	CHECK(mprotect(t.mine, N * PAGE, PROT_READ) && errno == EPERM);
	settle(3);
	trio_check(&t, SEED);
	fill(t.mine, N, SEED + 1, 0);
	trio_check(&t, SEED + 1);
	fill(t.mine, N, SEED, 0);
	trio_merge(&t);
	unmerge_all();
	CHECK_EQ(trio_merged(&t), 0);
	trio_check(&t, SEED);
	/* discarded by its owner, which a sealed area that is writable allows */
	trio_merge(&t);
	CHECK_EQ(madvise(t.mine, N * PAGE, MADV_DONTNEED), 0);
	CHECK_EQ(bad_zero(t.mine, N), 0);
	CHECK_EQ(worker_bad(&t.w, t.theirs, N, SEED, 0), 0);
}

static void sealed_read_only(void)
{
	trio_make(&t, N, SEED);
	CHECK_EQ(mprotect(t.mine, N * PAGE, PROT_READ), 0);
	if (!seal(t.mine, N))
		skip("mseal: %s", strerror(errno));
	trio_merge(&t);
	CHECK(madvise(t.mine, N * PAGE, MADV_DONTNEED) && errno == EPERM);
	settle(3);
	worker_fill(&t.w, t.theirs, N, SEED + 1, 0);
	worker_fill(&t.w, t.witness, N, SEED + 1, 0);
	CHECK_EQ(bad_pages(t.mine, N, SEED, 0), 0);
	unmerge_all();
	CHECK_EQ(bad_pages(t.mine, N, SEED, 0), 0);
}

/* Its pages are not in the kernel's own mapping: a look at one is a fault. */
static void secret(void)
{
	int fd = syscall(SYS_memfd_secret, 0);
	u8 *copy;

	if (fd < 0)
		skip("memfd_secret: %s", strerror(errno));
	trio_start(&t, N, SEED);
	CHECK_EQ(ftruncate(fd, N * PAGE), 0);
	t.mine =
		mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (t.mine == MAP_FAILED)
		FAIL("mmap of secret memory: %s", strerror(errno));
	copy = map_filled(N, SEED, 0);
	fill(t.mine, N, SEED, 0);
	trio_scan(&t);
	CHECK_SOON_EQ(count_same(getpid(), copy, t.w.pid, t.theirs, N), N,
		      LONG);
	CHECK_EQ(count_same_pfn(getpid(), t.mine, t.w.pid, t.theirs, N), 0);
	trio_check(&t, SEED);
	memset(t.mine, 0, N * PAGE);
	settle(5);
	CHECK_EQ(count_zero(getpid(), t.mine, N), 0);
	fill(t.mine, N, SEED + 1, 0);
	unmerge_all();
	trio_check(&t, SEED + 1);
}

static const struct test_case cases[] = {
	{ "the main stack", main_stack, 90 },
	{ "a thread's stack", thread_stack, 90 },
	{ "a heap", heap, 90 },
	{ "MADV_DONTFORK", dont_fork, 90 },
	{ "MADV_WIPEONFORK", wipe_on_fork, 90 },
	{ "a sealed area", sealed, 90 },
	{ "a sealed read-only area", sealed_read_only, 90 },
	{ "secret memory", secret, 90 },
};

TEST_MAIN(0)
