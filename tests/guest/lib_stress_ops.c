// SPDX-License-Identifier: GPL-2.0
/*
 * What all threads of the stress run do to their pages, writers and mixers.
 */
#include "lib_stress.h"

#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define REGION (AREA * PAGE)

/* An area of its own, one region of the page table, with nothing next to it. */
static u8 *map_area(void)
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

void stress_put_all(struct slot *s, size_t i, size_t n)
{
	size_t end = i + n;

	for (; i < end; i++)
		stress_put(s, i, stress_choose(s, i));
	stress_count(OP_WRITE, n);
}

void stress_pass(struct slot *s, const char *when)
{
	stress_op(s, OP_PASS);
	stress_check(s, 0, AREA, when);
}

/* The thread has its area, and all of it is written. */
void stress_begin(struct slot *s)
{
	s->base = map_area();
	stress_forget(s, 0, AREA);
	stress_put_all(s, 0, AREA);
}

/* For a while nothing is changed, all is looked at now and then. */
void stress_rest(struct slot *s, unsigned int ms, const char *when)
{
	double end = now() + ms / 1000.0;

	while (now() < end && !stress->stop) {
		msleep(10 + stress_rnd(s, 20));
		stress_pass(s, when);
	}
}

/* Some pages of the area: the first of them, and how many. */
size_t stress_range(struct slot *s, size_t *n)
{
	*n = 1 + stress_rnd(s, stress_rnd(s, 4) ? 16 : AREA / 2);
	return stress_rnd(s, AREA - *n);
}

void stress_advise(struct slot *s, enum stress_op op, int advice)
{
	size_t n, i = stress_range(s, &n);

	stress_op(s, op);
	if (madvise(stress_page(s, i), n * PAGE, advice) && errno != EAGAIN)
		stress_failed(stress_op_names[op], errno);
	stress_check(s, i, n, "after madvise");
}

void stress_mlock(struct slot *s)
{
	size_t n, i = stress_range(s, &n);

	stress_op(s, OP_MLOCK);
	if (mlock(stress_page(s, i), n * PAGE) && errno != EAGAIN &&
	    errno != ENOMEM)
		stress_failed("mlock", errno);
	stress_rest(s, stress_rnd(s, 100), "locked");
	stress_put_all(s, i, n);
	if (munlock(stress_page(s, i), n * PAGE))
		stress_failed("munlock", errno);
	stress_check(s, i, n, "unlocked");
}

void stress_move(struct slot *s)
{
	size_t n, k, i = stress_range(s, &n);
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

void stress_soft_dirty(struct slot *s)
{
	int err;

	stress_op(s, OP_SOFTDIRTY);
	err = file_write("/proc/self/clear_refs", "4");
	if (err && err != -EINTR)
		stress_failed("clear_refs", -err);
	stress_pass(s, "after clear_refs");
}

/* The kernel writes to a page as to somebody else's. */
void stress_remote(struct slot *s)
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

/* Is the process of that number to end? */
bool stress_over(int nr)
{
	return stress->stop || stress->quit[nr];
}
