// SPDX-License-Identifier: GPL-2.0
/* vm: disk=64,throttling.bps-total=65536 modules="virtio_pci virtio_blk" mem=512 */
/*
 * O_DIRECT reads and writes that are under way while the scanner is at the very
 * pages: the disk moves 64 KiB a second, so a request waits for those before
 * it, and the device has the addresses of the pages all the while.
 *
 * Without the look at the references a page is merged under a read: the disk
 * writes to a page that is no longer the reader's, who goes on seeing what was
 * there before.
 */
#include "lib.h"

#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include <time.h>

#define DISK "/dev/vda"
#define N 8
#define SEED 620
#define ON_DISK 621
#define RATE 65536

static struct trio t;
static int disk;
static aio_context_t aio;
static u8 *ballast;
static size_t ballast_size = 4 * RATE;

static void disk_open(void)
{
	if (!WAIT_FOR((disk = open(DISK, O_RDWR | O_DIRECT)) >= 0, 5))
		FAIL("%s: %s", DISK, strerror(errno));
	CHECK_EQ(syscall(SYS_io_setup, 4, &aio), 0);
	ballast = map_pages(64 * RATE / PAGE);
}

static void submit(int op, void *buf, size_t size, off_t at)
{
	struct iocb cb = {
		.aio_lio_opcode = op,
		.aio_fildes = disk,
		.aio_buf = (uintptr_t)buf,
		.aio_nbytes = size,
		.aio_offset = at,
		.aio_data = size,
	}, *list = &cb;

	CHECK_EQ(syscall(SYS_io_submit, aio, 1, &list), 1);
}

/* How many requests have ended, of those that are asked for within the time. */
static int ended(int wanted, time_t secs)
{
	struct timespec ts = { secs, 0 };
	struct io_event ev[4];
	int i, n = syscall(SYS_io_getevents, aio, wanted, 4, ev, &ts);

	CHECK_OP(n, >=, 0);
	for (i = 0; i < n; i++)
		CHECK_EQ(ev[i].res, ev[i].data);
	return n;
}

/* What comes after this waits until the disk has moved so much. */
static void keep_busy(void)
{
	submit(IOCB_CMD_PREAD, ballast, ballast_size, 32 * MIB);
}

/* Content that was not there before; ends when it is on the disk. */
static void put_on_disk(u64 seed)
{
	fill(ballast, N, seed, 0);
	submit(IOCB_CMD_PWRITE, ballast, N * PAGE, 0);
	CHECK_EQ(ended(1, LONG), 1);
}

static void check_on_disk(u64 seed)
{
	memset(ballast, 0, N * PAGE);
	submit(IOCB_CMD_PREAD, ballast, N * PAGE, 0);
	CHECK_EQ(ended(1, LONG), 1);
	CHECK_EQ(bad_pages(ballast, N, seed, 0), 0);
}

/*
 * Scans until the request on mine is through, which comes after the ballast;
 * mine is not merged as long as it is not. True if the scanner has had its
 * chance: it merged the worker's pages and went round several times.
 */
static bool scan_until_ended(void)
{
	long long scans = sysfs_num("full_scans");
	bool merged, others = false;
	int n = 0;

	while (n < 2) {
		if (!others &&
		    count_same(t.w.pid, t.theirs, t.w.pid, t.witness, N) == N) {
			others = true;
			scans = sysfs_num("full_scans");
		}
		merged = trio_merged(&t);
		n += ended(0, 0);
		/* It was looked at first, then the request was not through. */
		if (n < 2)
			CHECK(!merged);
		if (n < 2 && others && sysfs_num("full_scans") >= scans + 4)
			break;
		msleep(20);
	}
	note("%lld rounds with the request under way, %s",
	     sysfs_num("full_scans") - scans,
	     others ? "others merged" : "others not merged");
	if (n == 2)
		return false;
	CHECK_EQ(ended(2 - n, 3 * LONG), 2 - n);
	return true;
}

/* Once more with a slower disk if the scanner has not had its chance. */
static void repeat(void (*begin)(void), void (*end)(void))
{
	disk_open();
	for (;;) {
		trio_make(&t, N, SEED);
		begin();
		sysfs_set("run", "1");
		if (scan_until_ended())
			break;
		CHECK_OP(ballast_size, <, 32 * RATE);
		ballast_size *= 2;
		worker_exit(&t.w);
		munmap(t.mine, N * PAGE);
	}
	end();
}

static void read_begin(void)
{
	put_on_disk(ON_DISK);
	keep_busy();
	submit(IOCB_CMD_PREAD, t.mine, N * PAGE, 0);
}

static void read_end(void)
{
	trio_check(&t, ON_DISK);
	/* The pages are free again. */
	fill(t.mine, N, SEED, 0);
	trio_merge(&t);
	trio_check(&t, SEED);
}

static void reading(void)
{
	repeat(read_begin, read_end);
}

static void write_begin(void)
{
	put_on_disk(ON_DISK);
	keep_busy();
	submit(IOCB_CMD_PWRITE, t.mine, N * PAGE, 0);
}

static void write_end(void)
{
	trio_check(&t, SEED);
	trio_merge(&t);
	check_on_disk(SEED);
	trio_check(&t, SEED);
}

static void writing(void)
{
	repeat(write_begin, write_end);
}

static void read_merged_begin(void)
{
	put_on_disk(ON_DISK);
	trio_merge(&t);
	keep_busy();
	submit(IOCB_CMD_PREAD, t.mine, N * PAGE, 0);
	CHECK_EQ(trio_merged(&t), 0);
	trio_check(&t, SEED);
}

static void reading_merged(void)
{
	repeat(read_merged_begin, read_end);
}

/*
 * A write of merged pages that all their owners give up while it waits. What
 * was freed is used by others at once.
 */
static void writing_merged(void)
{
	size_t pages = 96 * MIB / PAGE;
	void *others;

	disk_open();
	trio_make(&t, N, SEED);
	put_on_disk(ON_DISK);
	trio_merge(&t);
	keep_busy();
	submit(IOCB_CMD_PWRITE, t.mine, N * PAGE, 0);
	munmap(t.mine, N * PAGE);
	worker_exit(&t.w);
	sysfs_num("pages_shared"); /* dead frames are swept */
	others = map_pages(pages);
	memset(others, 0x5a, pages * PAGE);
	settle(3);
	CHECK_EQ(ended(2, 3 * LONG), 2);
	munmap(others, pages * PAGE);
	check_on_disk(SEED);
	unmerge_all();
	CHECK_EQ(sysfs_num("pages_shared"), 0);
}

static const struct test_case cases[] = {
	{ "a read under way", reading, 150 },
	{ "a write under way", writing, 150 },
	{ "a read into merged pages", reading_merged, 150 },
	{ "a write of merged pages nobody has any more", writing_merged, 150 },
};

TEST_MAIN(0)
