// SPDX-License-Identifier: GPL-2.0
/* vm: timeout=200 */
/*
 * Pages that somebody else has a reference on: what vmsplice() gave to a pipe
 * is the page itself, so what its owner writes later is what the reader gets.
 * Without the look at the references the page is merged, the owner's write goes
 * to a copy, and the reader gets what was there before.
 *
 * What drivers pin for long (RDMA, VFIO) is pinned here by the kernel's own
 * gup_test, which the debug kernel has: it shows what the pinned pages hold.
 */
#include "lib.h"

#include <sys/ioctl.h>
#include <sys/uio.h>

/* mm/gup_test.h */
struct pin_longterm_test {
	u64 addr, size;
	uint32_t flags;
};

#define PIN_START _IOW('g', 7, struct pin_longterm_test)
#define PIN_STOP _IO('g', 8)
#define PIN_READ _IOW('g', 9, u64)
#define PIN_WRITE 1
#define PIN_FAST 2

#define N 8UL /* less than a pipe holds */

static struct trio t;

/* N pages, one by one, to a new pipe. */
static void give_to_pipe(u8 *p, int *fd)
{
	size_t i;

	CHECK_EQ(pipe(fd), 0);
	for (i = 0; i < N; i++) {
		struct iovec v = { p + i * PAGE, PAGE };

		CHECK_EQ(vmsplice(fd[1], &v, 1, 0), PAGE);
	}
}

static void spliced(void)
{
	struct worker w;
	u8 buf[PAGE], *p;
	void *q;
	size_t i;
	int fd[2];

	worker_start(&w);
	sysfs_set("run", "0");
	p = map_filled(N + 64, 500, 0);
	q = worker_map_filled(&w, N + 64, 500, 0);
	give_to_pipe(p, fd);
	sysfs_set("run", "1");
	/* All around is merged, several rounds long. */
	CHECK_SOON_EQ(count_same(getpid(), p + N * PAGE, w.pid, q + N * PAGE,
				 64),
		      64, LONG);
	settle(20);
	CHECK_EQ(count_merged(getpid(), p, N), 0);
	for (i = 0; i < N; i++)
		p[i * PAGE + 11] ^= 0x55;
	for (i = 0; i < N; i++) {
		CHECK_EQ(read(fd[0], buf, PAGE), PAGE);
		CHECK_EQ(buf[11], p[i * PAGE + 11]);
		CHECK_EQ(memcmp(buf, p + i * PAGE, PAGE), 0);
	}
	CHECK_EQ(worker_bad(&w, q, N + 64, 500, 0), 0);
}

/* What was merged before it is given away is read right all the same. */
static void merged_then_spliced(void)
{
	u8 buf[PAGE];
	size_t i;
	int fd[2];

	trio_make(&t, N, 501);
	trio_merge(&t);
	give_to_pipe(t.mine, fd);
	CHECK_EQ(worker_call(&t.w, w_munmap, t.theirs, N), 0);
	CHECK_EQ(worker_call(&t.w, w_munmap, t.witness, N), 0);
	munmap(t.mine, N * PAGE);
	settle(4);
	for (i = 0; i < N; i++) {
		CHECK_EQ(read(fd[0], buf, PAGE), PAGE);
		CHECK(page_is(buf, 501, i));
	}
}

#define PINNED 256UL

static int gup = -1;

static void gup_open(void)
{
	gup = open("/sys/kernel/debug/gup_test", O_RDWR | O_CLOEXEC);
	if (gup < 0)
		skip("gup_test: %s", strerror(errno));
}

static void pin(void *p, size_t n, uint32_t flags)
{
	struct pin_longterm_test arg = { (uintptr_t)p, n * PAGE, flags };

	if (ioctl(gup, PIN_START, &arg))
		FAIL("PIN_LONGTERM_TEST_START: %s", strerror(errno));
}

/* The pinned pages are those that their owner has: they hold @seed. */
static void check_pinned(u64 seed)
{
	static u8 seen[PINNED * PAGE];
	u64 at = (uintptr_t)seen;

	if (ioctl(gup, PIN_READ, &at))
		FAIL("PIN_LONGTERM_TEST_READ: %s", strerror(errno));
	CHECK_EQ(bad_pages(seen, PINNED, seed, 0), 0);
}

static void unpin(void)
{
	CHECK_EQ(ioctl(gup, PIN_STOP), 0);
}

static void pinned(void)
{
	uint32_t flags;

	gup_open();
	trio_make(&t, PINNED, 510);
	for (flags = 0; flags < 4; flags++) {
		sysfs_set("run", "0");
		fill(t.mine, PINNED, 510, 0);
		pin(t.mine, PINNED, flags);
		trio_scan(&t);
		CHECK_EQ(trio_merged(&t), 0);
		check_pinned(510);
		fill(t.mine, PINNED, 511, 0);
		check_pinned(511);
		unpin();
		trio_check(&t, 511);
	}
	fill(t.mine, PINNED, 510, 0);
	trio_merge(&t);
}

static void merged_then_pinned(void)
{
	uint32_t flags;

	gup_open();
	trio_make(&t, PINNED, 512);
	for (flags = 0; flags < 4; flags++) {
		trio_merge(&t);
		pin(t.mine, PINNED, flags);
		CHECK_EQ(trio_merged(&t), 0);
		check_pinned(512);
		fill(t.mine, PINNED, 513, 0);
		check_pinned(513);
		trio_check(&t, 513);
		unpin();
		fill(t.mine, PINNED, 512, 0);
	}
}

/*
 * Pinned for reading at whatever point of a merge: what is pinned stays the
 * page that the owner has. With the exclusive mark left on a page under a merge
 * the pin would be granted and the page replaced.
 */
static void pinned_while_merged(void)
{
	size_t both = 0, merged;
	int i;

	gup_open();
	trio_make(&t, PINNED, 514);
	trio_scan(&t);
	for (i = 0; i < 100; i++) {
		fill(t.mine, PINNED, 514, 0);
		msleep(i * 37 % 250);
		merged = trio_merged(&t);
		both += merged && merged < PINNED;
		pin(t.mine, PINNED, PIN_FAST);
		fill(t.mine, PINNED, 515, 0);
		check_pinned(515);
		unpin();
	}
	note("%zu times a part was merged", both);
	trio_check(&t, 515);
}

static const struct test_case cases[] = {
	{ "pages in a pipe are not merged", spliced, 90 },
	{ "frames in a pipe outlive their mappings", merged_then_spliced, 90 },
	{ "pages pinned for long are not merged", pinned, 90 },
	{ "merged pages are pinned for long", merged_then_pinned, 90 },
	{ "pages pinned while they are merged", pinned_while_merged, 90 },
};

TEST_MAIN(0)
