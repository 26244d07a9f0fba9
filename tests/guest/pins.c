// SPDX-License-Identifier: GPL-2.0
/* vm: timeout=200 */
/*
 * Pages that somebody else has a reference on: what vmsplice() gave to a pipe
 * is the page itself, so what its owner writes later is what the reader gets.
 * Without the look at the references the page is merged, the owner's write goes
 * to a copy, and the reader gets what was there before.
 */
#include "lib.h"

#include <sys/uio.h>

#define N 8UL /* less than a pipe holds */

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
	CHECK_EQ(pipe(fd), 0);
	for (i = 0; i < N; i++) {
		struct iovec v = { p + i * PAGE, PAGE };

		CHECK_EQ(vmsplice(fd[1], &v, 1, 0), PAGE);
	}
	sysfs_set("run", "1");
	/* All around is merged, several rounds long. */
	CHECK_SOON_EQ(count_same(getpid(), p + N * PAGE, w.pid, q + N * PAGE, 64),
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
	struct worker w;
	u8 buf[PAGE], *p;
	void *q;
	size_t i;
	int fd[2];

	worker_start(&w);
	p = map_filled(N, 501, 0);
	q = worker_map_filled(&w, N, 501, 0);
	CHECK_SOON_EQ(count_same(getpid(), p, w.pid, q, N), N, LONG);
	CHECK_EQ(pipe(fd), 0);
	for (i = 0; i < N; i++) {
		struct iovec v = { p + i * PAGE, PAGE };

		CHECK_EQ(vmsplice(fd[1], &v, 1, 0), PAGE);
	}
	CHECK_EQ(worker_call(&w, w_munmap, q, N), 0);
	munmap(p, N * PAGE);
	settle(4);
	for (i = 0; i < N; i++) {
		CHECK_EQ(read(fd[0], buf, PAGE), PAGE);
		CHECK(page_is(buf, 501, i));
	}
}

static const struct test_case cases[] = {
	{ "pages in a pipe are not merged", spliced, 90 },
	{ "frames in a pipe outlive their mappings", merged_then_spliced, 90 },
};

TEST_MAIN(0)
