// SPDX-License-Identifier: GPL-2.0
/*
 * Private mappings of files: the copies a process made of a file's pages merge
 * like other anonymous memory, and stay what they are whatever becomes of the
 * file. Copies full of zeros must not become the zero page: when the file is
 * punched the kernel spares anonymous pages in private mappings and nothing
 * else, and the file's bytes would show.
 */
#include "lib.h"

#define N 64

/* A file of ones, mapped privately; the writer's copies are still to come. */
static u8 *map_file(int *fd)
{
	u8 buf[PAGE], *p;
	size_t i;

	memset(buf, 1, sizeof(buf));
	*fd = memfd_create("uksm", 0);
	CHECK_OP(*fd, >=, 0);
	for (i = 0; i < N; i++)
		CHECK_EQ(write(*fd, buf, PAGE), PAGE);
	p = mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, *fd, 0);
	CHECK(p != MAP_FAILED);
	return p;
}

static void punch(int fd)
{
	CHECK_EQ(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			   N * PAGE),
		 0);
	CHECK_EQ(fallocate(fd, 0, 0, N * PAGE), 0);
	CHECK_EQ(pwrite(fd, "file", 4, 0), 4);
}

static void merged(void)
{
	int fd;
	u8 *p = map_file(&fd);
	u8 *q = map_filled(N, 300, 0);

	if (on_ksmd())
		skip("ksmd is not told of it");
	fill(p, N, 300, 0);
	CHECK_SOON_EQ(count_same(getpid(), p, getpid(), q, N), N, LONG);
	punch(fd);
	CHECK_EQ(bad_pages(p, N, 300, 0), 0);
	p[5] ^= 1;
	p[5] ^= 1;
	CHECK_EQ(bad_pages(p, N, 300, 0), 0);
	CHECK_EQ(bad_pages(q, N, 300, 0), 0);
}

static void zeros(void)
{
	int fd;
	u8 *p = map_file(&fd);

	if (on_ksmd())
		skip("ksmd is not told of it");
	memset(p, 0, N * PAGE);
	CHECK_SOON_EQ(count_merged(getpid(), p, N), N, LONG);
	CHECK_EQ(count_zero(getpid(), p, N), 0);
	punch(fd);
	CHECK_EQ(bad_zero(p, N), 0);
}

static const struct test_case cases[] = {
	{ "copies of file pages merge and keep", merged, 90 },
	{ "zeros in front of a file stay zeros", zeros, 90 },
};

TEST_MAIN(0)
