// SPDX-License-Identifier: GPL-2.0
/*
 * A writer of the stress run does little else than to write all its pages, to look
 * at them until they are merged, and to write them again. It never forks, so that
 * it can pin pages and know what comes of it: the kernel itself may lose what a
 * device writes to a page of a process that forks.
 */
#include "lib_stress.h"

#include <sys/uio.h>

#define PM_PRESENT (1ULL << 63)
#define PM_EXCLUSIVE (1ULL << 56)
#define PM_PFN ((1ULL << 55) - 1)
#define PIPED 8 /* pages given to a pipe, which takes 16 */

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
		stress_pass(s, "while it merges");
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
	stress_put_all(s, i, PIPED);
	for (k = 0; k < PIPED; k++) {
		struct iovec v = { stress_page(s, i + k), PAGE };

		if (vmsplice(fd[1], &v, 1, 0) != (ssize_t)PAGE)
			stress_failed("vmsplice", errno);
		merged[k] = count_merged(getpid(), v.iov_base, 1) ||
			    count_zero(getpid(), v.iov_base, 1);
	}
	stress_rest(s, 100 + stress_rnd(s, 200), "in a pipe");
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
		stress_remote(s);
		break;
	case 7:
		stress_mlock(s);
		break;
	case 8:
		stress_advise(s, OP_PAGEOUT, MADV_PAGEOUT);
		break;
	case 9:
		stress_advise(s, OP_COLD, MADV_COLD);
		break;
	case 10:
		stress_move(s);
		break;
	default:
		stress_soft_dirty(s);
	}
}

/* A writer's process. */
void stress_writer(struct slot *s, int nr)
{
	stress_begin(s);
	while (!stress_over(nr)) {
		size_t n = AREA, i = 0;

		if (stress_rnd(s, 4) == 0)
			i = stress_range(s, &n);
		burst(s, i, n);
		watch(s, 500);
		if (stress_rnd(s, 3) == 0)
			writer_op(s, nr);
	}
	stress_pass(s, "at the end");
}
