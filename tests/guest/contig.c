// SPDX-License-Identifier: GPL-2.0
/* vm: mem=3136 timeout=240 append='hugetlb_cma=1G memmap=1536M$0x10000000' */
/*
 * A contiguous stretch of memory is wanted and frames lie in it: they move away.
 * Here it is the third GiB of the machine, which is a CMA area that pages of 1 GiB
 * are made of; it has to be a kernel with CMA. (Memory that goes offline, for which
 * any kernel does, is isolated in the same way.) The first two hold the kernel and
 * its initramfs; most of them is kept out of use (memmap=), for what can move
 * comes from a CMA area when that has more than half of what is free.
 *
 * Without the hook on rmap_walk_ksm() the frames stay, and there is no such page.
 */
#include "lib.h"
#include "lib_move.h"

#define N 512
#define GIB_FIRST (2UL << 18) /* pfns of the third GiB */
#define GIB_LAST (3UL << 18)
#define NR "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages"
#define CMA "/sys/kernel/debug/cma/hugetlb0/"

static struct worker ballast;

static size_t frames_in_gib(void)
{
	size_t i, found = 0;
	u64 *pfn = pfns();

	for (i = 0; i < pages; i++)
		found += pfn[i] >= GIB_FIRST && pfn[i] < GIB_LAST;
	free(pfn);
	return found;
}

static long w_ballast(long mib, long b, long c, long d)
{
	u8 *at = mmap(NULL, mib * MIB, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)b, (void)c, (void)d;
	if (at == MAP_FAILED)
		return -errno;
	madvise(at, mib * MIB, MADV_HUGEPAGE);
	return madvise(at, mib * MIB, MADV_POPULATE_WRITE) ? -errno : 0;
}

static void merge_in_gib(void)
{
	size_t in;
	int i;

	if (meminfo_kb("CmaTotal") < (long long)(GIB_LAST - GIB_FIRST) * 4)
		skip("no CMA");
	CHECK_EQ(file_num(NR), 0);
	merge(N);
	worker_start(&ballast);
	for (i = 0; (in = frames_in_gib()) < N / 2 && i < 7; i++) {
		CHECK_EQ(worker_call(&ballast, w_ballast, 200), 0);
		unmerge_all();
		sysfs_set("run", "1");
		all_same_soon();
	}
	note("%zu of %d frames in the third GiB, after %d MiB", in, N,
	     i * 200);
	worker_exit(&ballast);
	CHECK_OP(in, >=, N / 2);
}

static void take_gib(void)
{
	double start = now();

	if (!WAIT_FOR(!file_write(NR, "1") && file_num(NR) == 1,
		      20 * slowness()))
		FAIL("no page of 1 GiB is to be had, %zu frames in the way",
		     frames_in_gib());
	note("a page of 1 GiB after %.1f s", now() - start);
	CHECK_EQ(frames_in_gib(), 0);
}

static void while_stopped(void)
{
	size_t in;
	u64 *old;

	merge_in_gib();
	sysfs_set("run", "0");
	in = frames_in_gib();
	old = pfns();
	take_gib();
	CHECK_OP(moved_since(old), >=, in);
	CHECK_EQ(file_write(NR, "0"), 0);
	after_the_move();
}

static void while_scanning(void)
{
	int i;

	merge_in_gib();
	for (i = 1; i <= 2; i++) {
		all_write(OLD + i % 2);
		take_gib();
		all_wait();
		whole(OLD + i % 2, OLD + i % 2);
		CHECK_EQ(file_write(NR, "0"), 0);
	}
	after_the_move();
}

/* All of a CMA area at once. */
static void cma(void)
{
	char count[32];
	u64 *old;

	if (file_read(CMA "count", count, sizeof(count)) <= 0)
		skip("no CMA area to be had through debugfs");
	CHECK_EQ(file_num(CMA "base_pfn"), GIB_FIRST);
	merge_in_gib();
	sysfs_set("run", "0");
	old = pfns();
	if (!WAIT_FOR(!file_write(CMA "alloc", count), 20 * slowness()))
		FAIL("CMA cannot be had, %zu frames in the way",
		     frames_in_gib());
	CHECK_EQ(frames_in_gib(), 0);
	CHECK_OP(moved_since(old), >=, N / 2);
	whole(OLD, OLD);
	CHECK_EQ(file_write(CMA "free", count), 0);
	after_the_move();
}

static const struct test_case cases[] = {
	{ "a page of 1 GiB where frames are", while_stopped, 120 },
	{ "a page of 1 GiB while scanning and writing", while_scanning, 120 },
	{ "a CMA area", cma, 120 },
};

TEST_MAIN(0)
