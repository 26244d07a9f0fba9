// SPDX-License-Identifier: GPL-2.0
/*
 * What the threads of the stress run do to their pages.
 *
 * A writer does little else than to write all its pages, to look at them until
 * they are merged, and to write them again. It never forks, so that it can pin
 * pages and know what comes of it: the kernel itself may lose what a device
 * writes to a page of a process that forks.
 *
 * A mixer forks, unmaps, discards, protects and moves.
 */
#include "lib_stress.h"

#include <linux/mempolicy.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define PM_PRESENT (1ULL << 63)
#define PM_EXCLUSIVE (1ULL << 56)
#define PM_PFN ((1ULL << 55) - 1)
#define PIPED 8 /* pages given to a pipe, which takes 16 */
#define REGION (AREA * PAGE)

/* An area of its own, one region of the page table, with nothing next to it. */
u8 *stress_map_area(void)
{
	u8 *p = mmap(NULL, 3 * REGION, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		     -1, 0);

	CHECK(p != MAP_FAILED);
	p = (u8 *)(((uintptr_t)p + REGION) & ~(REGION - 1));
	if (mprotect(p, REGION, PROT_READ | PROT_WRITE))
		FAIL("mprotect: %s", strerror(errno));
	no_huge_pages(p, AREA);
	return p;
}

static void put_all(struct slot *s, size_t i, size_t n)
{
	size_t end = i + n;

	for (; i < end; i++)
		stress_put(s, i, stress_choose(s, i));
	stress_count(OP_WRITE, n);
}

static void pass(struct slot *s, const char *when)
{
	stress_op(s, OP_PASS);
	stress_check(s, 0, AREA, when);
}

/* For a while nothing is changed, all is looked at now and then. */
static void rest(struct slot *s, unsigned int ms, const char *when)
{
	double end = now() + ms / 1000.0;

	while (now() < end && !stress->stop) {
		msleep(10 + stress_rnd(s, 20));
		pass(s, when);
	}
}

static size_t range(struct slot *s, size_t *n)
{
	*n = 1 + stress_rnd(s, stress_rnd(s, 4) ? 16 : AREA / 2);
	return stress_rnd(s, AREA - *n);
}

/* ---- what both do ----------------------------------------------------- */

static void op_advise(struct slot *s, enum stress_op op, int advice)
{
	size_t n, i = range(s, &n);

	stress_op(s, op);
	if (madvise(stress_page(s, i), n * PAGE, advice) && errno != EAGAIN)
		stress_failed(stress_op_names[op], errno);
	stress_check(s, i, n, "after madvise");
}

static void op_mlock(struct slot *s)
{
	size_t n, i = range(s, &n);

	stress_op(s, OP_MLOCK);
	if (mlock(stress_page(s, i), n * PAGE) && errno != EAGAIN &&
	    errno != ENOMEM)
		stress_failed("mlock", errno);
	rest(s, stress_rnd(s, 100), "locked");
	put_all(s, i, n);
	if (munlock(stress_page(s, i), n * PAGE))
		stress_failed("munlock", errno);
	stress_check(s, i, n, "unlocked");
}

static void op_move(struct slot *s)
{
	size_t n, k, i = range(s, &n);
	void *page[AREA];
	int node[AREA], status[AREA];
	int to = stress_rnd(s, stress->nodes);

	for (k = 0; k < n; k++) {
		page[k] = stress_page(s, i + k);
		node[k] = to;
	}
	stress_op(s, OP_MOVE);
	if (syscall(SYS_move_pages, 0, n, page, node, status,
		    MPOL_MF_MOVE_ALL) < 0 &&
	    errno != ENOENT)
		stress_failed("move_pages", errno);
	stress_check(s, i, n, "after move_pages");
}

static void op_soft_dirty(struct slot *s)
{
	int err;

	stress_op(s, OP_SOFTDIRTY);
	err = file_write("/proc/self/clear_refs", "4");
	if (err && err != -EINTR)
		stress_failed("clear_refs", -err);
	pass(s, "after clear_refs");
}

/* The kernel writes to a page as to somebody else's. */
static void op_remote(struct slot *s)
{
	size_t i = stress_rnd(s, AREA);
	struct want w = stress_choose(s, i);
	u8 page[PAGE];
	struct iovec from = { page, PAGE };
	struct iovec to = { stress_page(s, i), PAGE };

	stress_make(page, w);
	stress_op(s, OP_REMOTE);
	if (process_vm_writev(getpid(), &from, 1, &to, 1, 0) != (ssize_t)PAGE)
		stress_failed("process_vm_writev", errno);
	s->want[i] = w;
	stress_check(s, i, 1, "after process_vm_writev");
}

/* ---- writers ---------------------------------------------------------- */

/* Is a page shared with somebody? Of a writer that can only be a merged one. */
static bool is_shared(u64 entry)
{
	return (entry & PM_PRESENT) && !(entry & PM_EXCLUSIVE);
}

static size_t count_shared(struct slot *s, u64 *entry)
{
	size_t i, shared = 0;

	pagemap_read(getpid(), s->base, AREA, entry);
	for (i = 0; i < AREA; i++)
		shared += is_shared(entry[i]);
	return shared;
}

/* Look at a page and write it, page after page, and count what that has unshared. */
static void burst(struct slot *s, size_t i, size_t n)
{
	u64 before[AREA], after[AREA];
	size_t k, end = i + n, breaks = 0, zero = 0;

	stress_op(s, OP_PASS);
	pagemap_read(getpid(), s->base, AREA, before);
	for (k = i; k < end; k++) {
		stress_check(s, k, 1, "before a write");
		stress_put(s, k, stress_choose(s, k));
	}
	stress_count(OP_WRITE, n);
	pagemap_read(getpid(), s->base, AREA, after);
	for (k = i; k < end; k++) {
		if (!is_shared(before[k]) || !(after[k] & PM_PRESENT) ||
		    !((before[k] ^ after[k]) & PM_PFN))
			continue;
		if ((before[k] & PM_PFN) == stress->zero_pfn)
			zero++;
		else
			breaks++;
	}
	__atomic_fetch_add(&stress->breaks, breaks, __ATOMIC_RELAXED);
	__atomic_fetch_add(&stress->zero_breaks, zero, __ATOMIC_RELAXED);
}

/*
 * Until nearly all is merged, but no longer than it should take. Now and then
 * without a pause: only a reader that is never off its CPU has an old
 * translation of a page that is freed.
 */
static void watch(struct slot *s, unsigned int ms)
{
	bool spin = stress_rnd(s, 8) == 0;
	double end = now() + ms / 1000.0;
	u64 entry[AREA];

	while (!stress->stop && now() < end) {
		pass(s, "while it merges");
		if (count_shared(s, entry) >= AREA * 7 / 8)
			break;
		if (!spin)
			msleep(10);
	}
}

/*
 * What a pipe got is the page itself as long as nobody else has it: what is written
 * later is what comes out. That is known only of a page that is private when
 * the pipe has it.
 */
static void op_vmsplice(struct slot *s)
{
	size_t i = stress_rnd(s, AREA - PIPED), k;
	bool merged[PIPED];
	u8 page[PAGE];
	int fd[2];

	if (pipe(fd)) {
		stress_failed("pipe", errno);
		return;
	}
	stress_op(s, OP_VMSPLICE);
	put_all(s, i, PIPED);
	for (k = 0; k < PIPED; k++) {
		struct iovec v = { stress_page(s, i + k), PAGE };

		if (vmsplice(fd[1], &v, 1, 0) != (ssize_t)PAGE)
			stress_failed("vmsplice", errno);
		merged[k] = count_merged(getpid(), v.iov_base, 1) ||
			    count_zero(getpid(), v.iov_base, 1);
	}
	rest(s, 100 + stress_rnd(s, 200), "in a pipe");
	for (k = 0; k < PIPED && !stress->stop; k++) {
		struct want w[2] = { s->want[i + k],
				     stress_choose(s, i + k) };

		stress_put(s, i + k, w[1]);
		if (read(fd[0], page, PAGE) != (ssize_t)PAGE)
			stress_failed("read from a pipe", errno);
		if (!stress_holds(page, w[1]) &&
		    !(merged[k] && stress_holds(page, w[0]))) {
			note("page %zu is not what came out of the pipe: %016llx, not %016llx",
			     i + k, *(unsigned long long *)(page + w[1].pos * 8),
			     (unsigned long long)w[1].val);
			stress_failed("a pinned page was replaced", EIO);
			__atomic_fetch_add(&stress->corrupt, 1,
					   __ATOMIC_RELAXED);
		}
	}
	close(fd[0]);
	close(fd[1]);
	stress_check(s, i, PIPED, "after a pipe");
}

/* Out to the device from some pages, and in again to others. */
static void op_direct(struct slot *s, int nr)
{
	size_t n = 1 + stress_rnd(s, DIRECT);
	size_t from = stress_rnd(s, AREA / 2 - n);
	size_t to = AREA / 2 + stress_rnd(s, AREA / 2 - n);
	off_t at = nr * DIRECT * PAGE;

	stress_op(s, OP_DIRECT);
	stress_check(s, from, n, "before O_DIRECT");
	if (pwrite(stress->disk, stress_page(s, from), n * PAGE, at) !=
	    (ssize_t)(n * PAGE))
		stress_failed("O_DIRECT write", errno);
	if (pread(stress->disk, stress_page(s, to), n * PAGE, at) !=
	    (ssize_t)(n * PAGE))
		stress_failed("O_DIRECT read", errno);
	memcpy(&s->want[to], &s->want[from], n * sizeof(s->want[0]));
	stress_check(s, from, n, "after an O_DIRECT write");
	stress_check(s, to, n, "after an O_DIRECT read");
}

static void writer_op(struct slot *s, int nr)
{
	switch (stress_rnd(s, 12)) {
	case 0:
	case 1:
		op_vmsplice(s);
		break;
	case 2:
	case 3:
	case 4:
		op_direct(s, nr);
		break;
	case 5:
	case 6:
		op_remote(s);
		break;
	case 7:
		op_mlock(s);
		break;
	case 8:
		op_advise(s, OP_PAGEOUT, MADV_PAGEOUT);
		break;
	case 9:
		op_advise(s, OP_COLD, MADV_COLD);
		break;
	case 10:
		op_move(s);
		break;
	default:
		op_soft_dirty(s);
	}
}

static bool over(int nr)
{
	return stress->stop || stress->quit[nr];
}

/* A writer's process. */
void stress_writer(struct slot *s, int nr)
{
	s->base = stress_map_area();
	stress_forget(s, 0, AREA);
	put_all(s, 0, AREA);
	while (!over(nr)) {
		size_t n = AREA, i = 0;

		if (stress_rnd(s, 4) == 0)
			i = range(s, &n);
		burst(s, i, n);
		watch(s, 500);
		if (stress_rnd(s, 3) == 0)
			writer_op(s, nr);
	}
	pass(s, "at the end");
}

/* ---- mixers ----------------------------------------------------------- */

static void op_discard(struct slot *s)
{
	size_t n, i = range(s, &n);

	stress_op(s, OP_DISCARD);
	if (madvise(stress_page(s, i), n * PAGE, MADV_DONTNEED))
		stress_failed("MADV_DONTNEED", errno);
	stress_forget(s, i, n);
	stress_check(s, i, n, "discarded");
}

static void op_free(struct slot *s)
{
	size_t n, k, i = range(s, &n);

	stress_op(s, OP_FREE);
	for (k = i; k < i + n; k++)
		s->want[k].lazy = 1;
	if (madvise(stress_page(s, i), n * PAGE, MADV_FREE))
		stress_failed("MADV_FREE", errno);
	stress_check(s, i, n, "freed");
}

static void map_over(struct slot *s, size_t i, size_t n)
{
	u8 *at = stress_page(s, i);

	if (mmap(at, n * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != at)
		stress_failed("mmap", errno);
	no_huge_pages(at, n);
	stress_forget(s, i, n);
}

static void op_remap(struct slot *s)
{
	size_t n, i = range(s, &n);

	stress_op(s, OP_REMAP);
	map_over(s, i, n);
	stress_check(s, i, n, "mapped");
}

/* Moves leave an area in many pieces. */
static void op_renew(struct slot *s)
{
	stress_op(s, OP_RENEW);
	map_over(s, 0, AREA);
	put_all(s, 0, AREA);
	pass(s, "renewed");
}

static void op_protect(struct slot *s)
{
	size_t n, i = range(s, &n);

	stress_op(s, OP_PROTECT);
	if (mprotect(stress_page(s, i), n * PAGE, PROT_NONE) ||
	    mprotect(stress_page(s, i), n * PAGE, PROT_READ))
		stress_failed("mprotect", errno);
	rest(s, stress_rnd(s, 60), "read-only");
	if (mprotect(stress_page(s, i), n * PAGE, PROT_READ | PROT_WRITE))
		stress_failed("mprotect", errno);
	stress_check(s, i, n, "writable again");
	put_all(s, i, n);
}

static void move_page(u8 *from, u8 *to, int flags)
{
	if (mremap(from, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED | flags,
		   to) != to)
		stress_failed("mremap", errno);
}

/*
 * Two pages change places. Where one was stays mapped, or another thread's mmap()
 * might get in between.
 */
static void op_swap_places(struct slot *s)
{
	size_t i = stress_rnd(s, AREA), j = stress_rnd(s, AREA);
	u8 *spare = map_pages(1);
	struct want w = s->want[i];

	stress_op(s, OP_SWAP_PLACES);
	if (i != j) {
		move_page(stress_page(s, i), spare, MREMAP_DONTUNMAP);
		move_page(stress_page(s, j), stress_page(s, i),
			  MREMAP_DONTUNMAP);
		move_page(spare, stress_page(s, j), 0);
		s->want[i] = s->want[j];
		s->want[j] = w;
	} else {
		munmap(spare, PAGE);
	}
	munmap(spare - PAGE, PAGE);
	munmap(spare + PAGE, PAGE);
	stress_check(s, i, 1, "moved");
	stress_check(s, j, 1, "moved");
}

static void op_huge(struct slot *s)
{
	stress_op(s, OP_HUGE);
	map_over(s, 0, AREA);
	madvise(s->base, AREA * PAGE, MADV_HUGEPAGE);
	put_all(s, 0, AREA);
	if (stress_rnd(s, 2)) {
		rest(s, 200, "in a huge page");
		put_all(s, 0, AREA / 2);
	}
	no_huge_pages(s->base, AREA);
	pass(s, "in a huge page");
}

static void op_collapse(struct slot *s)
{
	stress_op(s, OP_COLLAPSE);
	madvise(s->base, AREA * PAGE, MADV_COLLAPSE); /* as far as it can */
	pass(s, "after a collapse");
}

static void mixer_op(struct slot *s, int op);

static void fork_wait(struct slot *s)
{
	int status = 0;

	if (!s->child)
		return;
	while (waitpid(s->child, &status, 0) < 0 && errno == EINTR)
		;
	s->child = 0;
	/* the OOM killer of a control group kills */
	if (status && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)) {
		note("child ended with status %#x", status);
		stress_failed("child", ECHILD);
	}
}

/* The child knows what this thread knew, and nothing of the other threads. */
static void child(struct slot *s)
{
	unsigned int i, turns = 1 + stress_rnd(s, 3);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pass(s, "born");
	for (i = 0; i < turns && !stress->stop; i++) {
		size_t n, at = range(s, &n);

		put_all(s, at, n);
		rest(s, stress_rnd(s, 150), "in a child");
		mixer_op(s, stress_rnd(s, 16));
	}
	fork_wait(s);
	pass(s, "in a child, at the end");
	stress_count(OP_CHILD, 1);
	_exit(0);
}

static void op_fork(struct slot *s)
{
	struct slot *c = s + 1;
	pid_t pid;

	fork_wait(s);
	if (s->depth + 1 == DEPTH)
		return;
	stress_op(s, OP_FORK);
	memcpy(c, s, sizeof(*c));
	c->depth++;
	c->rnd = stress_mix(s->rnd);
	c->child = 0;
	pid = fork();
	if (pid == 0)
		child(c);
	if (pid > 0)
		s->child = pid;
	else if (errno != ENOMEM && errno != EAGAIN)
		stress_failed("fork", errno);
}

static void mixer_op(struct slot *s, int op)
{
	switch (op) {
	case 0:
	case 1:
		op_fork(s);
		break;
	case 2:
		op_discard(s);
		break;
	case 3:
		op_free(s);
		break;
	case 4:
		op_remap(s);
		break;
	case 5:
		op_protect(s);
		break;
	case 6:
	case 7:
		op_swap_places(s);
		break;
	case 8:
		op_huge(s);
		break;
	case 9:
		op_collapse(s);
		break;
	case 10:
		op_mlock(s);
		break;
	case 11:
		op_advise(s, OP_PAGEOUT, MADV_PAGEOUT);
		break;
	case 12:
		op_move(s);
		break;
	case 13:
		op_renew(s);
		break;
	case 14:
		op_remote(s);
		break;
	default:
		op_soft_dirty(s);
	}
}

/**
 * struct mixer - a thread of a mixer
 * @slot: what it has to itself
 * @nr: number of its process
 */
struct mixer {
	struct slot *slot;
	int nr;
};

static void *mixer_thread(void *arg)
{
	struct mixer *m = arg;
	struct slot *s = m->slot;

	s->base = stress_map_area();
	stress_forget(s, 0, AREA);
	put_all(s, 0, AREA);
	while (!over(m->nr)) {
		size_t n, i = range(s, &n);

		stress_check(s, i, n, "before a write");
		put_all(s, i, n);
		rest(s, stress_rnd(s, 100), "at rest");
		mixer_op(s, stress_rnd(s, 16));
		pass(s, "after all");
	}
	fork_wait(s);
	pass(s, "at the end");
	return NULL;
}

/* A mixer's process: @s and the next slots are its threads'. */
void stress_mixer(struct slot *s, int nr)
{
	struct mixer m[MIXER_THREADS];
	pthread_t id[MIXER_THREADS];
	int i;

	for (i = 0; i < MIXER_THREADS; i++) {
		m[i] = (struct mixer){ s + i * DEPTH, nr };
		if (pthread_create(&id[i], NULL, mixer_thread, &m[i]))
			FAIL("pthread_create");
	}
	for (i = 0; i < MIXER_THREADS; i++)
		pthread_join(id[i], NULL);
}
