// SPDX-License-Identifier: GPL-2.0
/*
 * A mixer of the stress run forks, unmaps, discards, protects and moves.
 */
#include "lib_stress.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static void op_discard(struct slot *s)
{
	size_t n, i = stress_range(s, &n);

	stress_op(s, OP_DISCARD);
	if (madvise(stress_page(s, i), n * PAGE, MADV_DONTNEED))
		stress_failed("MADV_DONTNEED", errno);
	stress_forget(s, i, n);
	stress_check(s, i, n, "discarded");
}

static void op_free(struct slot *s)
{
	size_t n, k, i = stress_range(s, &n);

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
	size_t n, i = stress_range(s, &n);

	stress_op(s, OP_REMAP);
	map_over(s, i, n);
	stress_check(s, i, n, "mapped");
}

/* Moves leave an area in many pieces. */
static void op_renew(struct slot *s)
{
	stress_op(s, OP_RENEW);
	map_over(s, 0, AREA);
	stress_put_all(s, 0, AREA);
	stress_pass(s, "renewed");
}

static void op_protect(struct slot *s)
{
	size_t n, i = stress_range(s, &n);

	stress_op(s, OP_PROTECT);
	if (mprotect(stress_page(s, i), n * PAGE, PROT_NONE) ||
	    mprotect(stress_page(s, i), n * PAGE, PROT_READ))
		stress_failed("mprotect", errno);
	stress_rest(s, stress_rnd(s, 60), "read-only");
	if (mprotect(stress_page(s, i), n * PAGE, PROT_READ | PROT_WRITE))
		stress_failed("mprotect", errno);
	stress_check(s, i, n, "writable again");
	stress_put_all(s, i, n);
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
	stress_put_all(s, 0, AREA);
	if (stress_rnd(s, 2)) {
		stress_rest(s, 200, "in a huge page");
		stress_put_all(s, 0, AREA / 2);
	}
	no_huge_pages(s->base, AREA);
	stress_pass(s, "in a huge page");
}

static void op_collapse(struct slot *s)
{
	stress_op(s, OP_COLLAPSE);
	madvise(s->base, AREA * PAGE, MADV_COLLAPSE); /* as far as it can */
	stress_pass(s, "after a collapse");
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
	stress_pass(s, "born");
	for (i = 0; i < turns && !stress->stop; i++) {
		size_t n, at = stress_range(s, &n);

		stress_put_all(s, at, n);
		stress_rest(s, stress_rnd(s, 150), "in a child");
		mixer_op(s, stress_rnd(s, 16));
	}
	fork_wait(s);
	stress_pass(s, "in a child, at the end");
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
		stress_mlock(s);
		break;
	case 11:
		stress_advise(s, OP_PAGEOUT, MADV_PAGEOUT);
		break;
	case 12:
		stress_move(s);
		break;
	case 13:
		op_renew(s);
		break;
	case 14:
		stress_remote(s);
		break;
	default:
		stress_soft_dirty(s);
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

	stress_begin(s);
	while (!stress_over(m->nr)) {
		size_t n, i = stress_range(s, &n);

		stress_check(s, i, n, "before a write");
		stress_put_all(s, i, n);
		stress_rest(s, stress_rnd(s, 100), "at rest");
		mixer_op(s, stress_rnd(s, 16));
		stress_pass(s, "after all");
	}
	fork_wait(s);
	stress_pass(s, "at the end");
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
