// SPDX-License-Identifier: GPL-2.0
/*
 * Buffers registered with io_uring are pinned for long: they are not merged while
 * they are, what the kernel writes to them arrives, and merged pages that get
 * registered become the process's own first. Let go, they merge.
 *
 * Without the check of the reference count the kernel would go on writing to a
 * page that the process no longer has.
 */
#include "lib.h"

#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define N 16
#define SEED 290

static struct trio t;
static int ring;
static uint32_t *sq_tail, *sq_array, *cq_head;
static struct io_uring_cqe *cqes;
static struct io_uring_sqe *sqes;

static void ring_open(void)
{
	struct io_uring_params params = {};
	u8 *rings;

	ring = syscall(SYS_io_uring_setup, 4, &params);
	if (ring < 0)
		skip("io_uring: %s", strerror(errno));
	CHECK(params.features & IORING_FEAT_SINGLE_MMAP);
	rings = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ring,
		     IORING_OFF_SQ_RING);
	sqes = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ring,
		    IORING_OFF_SQES);
	CHECK(rings != MAP_FAILED && sqes != MAP_FAILED);
	sq_tail = (uint32_t *)(rings + params.sq_off.tail);
	sq_array = (uint32_t *)(rings + params.sq_off.array);
	cq_head = (uint32_t *)(rings + params.cq_off.head);
	cqes = (struct io_uring_cqe *)(rings + params.cq_off.cqes);
}

static void ring_register(void)
{
	struct iovec iov = { t.mine, N * PAGE };

	if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &iov,
		    1))
		FAIL("IORING_REGISTER_BUFFERS: %s", strerror(errno));
}

/* The kernel reads @fd into my page @i, which it has registered. */
static int ring_read(int fd, size_t i)
{
	struct io_uring_sqe *sqe = &sqes[0];

	*sqe = (struct io_uring_sqe){
		.opcode = IORING_OP_READ_FIXED,
		.fd = fd,
		.off = i * PAGE,
		.addr = (uintptr_t)t.mine + i * PAGE,
		.len = PAGE,
	};
	sq_array[*sq_tail & 3] = 0;
	__atomic_store_n(sq_tail, *sq_tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS,
		    NULL, 0) != 1)
		return -errno;
	__atomic_store_n(cq_head, *cq_head + 1, __ATOMIC_RELEASE);
	return cqes[(*cq_head - 1) & 7].res;
}

static int file_of(u64 seed)
{
	int fd = memfd_create("content", 0);
	static u8 page[PAGE];
	size_t i;

	CHECK(fd >= 0);
	for (i = 0; i < N; i++) {
		page_fill(page, seed, i);
		CHECK_EQ(write(fd, page, PAGE), PAGE);
	}
	return fd;
}

static void kernel_writes(void)
{
	int fd = file_of(SEED + 1);
	size_t i;

	for (i = 0; i < N; i++)
		CHECK_EQ(ring_read(fd, i), PAGE);
	trio_check(&t, SEED + 1);
	close(fd);
}

static void registered(void)
{
	ring_open();
	trio_make(&t, N, SEED);
	ring_register();
	trio_scan(&t);
	settle(5);
	CHECK_EQ(trio_merged(&t), 0);
	trio_check(&t, SEED);
	kernel_writes();
	fill(t.mine, N, SEED, 0);
	CHECK_EQ(syscall(SYS_io_uring_register, ring,
			 IORING_UNREGISTER_BUFFERS, NULL, 0),
		 0);
	trio_merge(&t);
	trio_check(&t, SEED);
}

static void registered_when_merged(void)
{
	ring_open();
	trio_make(&t, N, SEED);
	trio_merge(&t);
	ring_register();
	CHECK_EQ(trio_merged(&t), 0);
	settle(10);
	CHECK_EQ(trio_merged(&t), 0);
	kernel_writes();
	close(ring);
}

static const struct test_case cases[] = {
	{ "registered buffers are not merged", registered, 120 },
	{ "merged pages are registered", registered_when_merged, 120 },
};

TEST_MAIN(0)
