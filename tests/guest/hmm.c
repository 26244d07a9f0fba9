// SPDX-License-Identifier: GPL-2.0
/* vm: mem=768 timeout=240 modules="test_hmm" */
/*
 * Frames move to the memory of a device that the CPU cannot read, and back: all
 * mappers follow, contents and counters are right, and nobody is merged with a
 * page that is there. The device is the kernel's test_hmm.
 *
 * migrate_vma_*() installs migration entries and takes them away through the
 * walk of the mappers: without the hook on rmap_walk_ksm() nothing goes to the
 * device, and a frame that is forgotten while it is there (for no page of
 * system memory has its number) leaves its mappers with entries that lead
 * nowhere.
 */
#include "lib.h"
#include "lib_move.h"

#include <sys/ioctl.h>

#define N 64
#define DEVICE "/dev/hmm_dmirror0"

/* as in the kernel's lib/test_hmm_uapi.h */
struct hmm_dmirror_cmd {
	u64 addr, ptr, npages, cpages, faults;
};
#define HMM_DMIRROR_MIGRATE_TO_DEV _IOWR('H', 0x02, struct hmm_dmirror_cmd)
#define HMM_DMIRROR_MIGRATE_TO_SYS _IOWR('H', 0x03, struct hmm_dmirror_cmd)

static int device = -1;

/* How many pages went; the device hands back what it holds, and it is right. */
static long w_to_device(long at, long n, long seed, long d)
{
	struct hmm_dmirror_cmd cmd = { .addr = at, .npages = n };
	void *copy = map_pages(n);
	double end = now() + LONG;

	(void)d;
	if (device < 0)
		device = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (device < 0)
		return -errno;
	cmd.ptr = (u64)copy;
	/* a page that somebody holds at this moment stays (ENOENT) */
	while (ioctl(device, HMM_DMIRROR_MIGRATE_TO_DEV, &cmd)) {
		if (errno != ENOENT || now() > end)
			return -errno;
		/* those that went do not go again before they are back */
		ioctl(device, HMM_DMIRROR_MIGRATE_TO_SYS, &cmd);
		msleep(5);
	}
	if (bad_pages(copy, cmd.cpages, seed, 0))
		return -EBADMSG;
	munmap(copy, n * PAGE);
	return cmd.cpages;
}

static long w_to_system(long at, long n, long c, long d)
{
	struct hmm_dmirror_cmd cmd = { .addr = at, .npages = n };

	(void)c, (void)d;
	if (ioctl(device, HMM_DMIRROR_MIGRATE_TO_SYS, &cmd))
		return -errno;
	return cmd.cpages;
}

static long w_close(long a, long b, long c, long d)
{
	(void)a, (void)b, (void)c, (void)d;
	close(device);
	device = -1;
	return 0;
}

static void need_device(void)
{
	if (access(DEVICE, F_OK))
		skip("this kernel has no test_hmm");
}

/* Entries for device memory are not present; pagemap shows them as swapped. */
static size_t on_device(int i)
{
	return count_swapped(w[i].pid, p[i], pages);
}

/* Merged, and then in the device for all three of them. */
static void merge_and_send(void)
{
	int i;

	need_device();
	merge(N);
	CHECK_EQ(worker_call(&w[0], w_to_device, p[0], N, OLD), N);
	for (i = 0; i < PROCS; i++)
		CHECK_EQ(on_device(i), N);
}

static void to_and_fro(void)
{
	int i;

	need_device();
	merge(N);
	for (i = 0; i < 3; i++) {
		CHECK_EQ(worker_call(&w[i], w_to_device, p[i], N, OLD), N);
		CHECK_EQ(on_device(i), N);
		CHECK_EQ(on_device((i + 1) % PROCS), N);
		settle(2);
		CHECK_EQ(sysfs_num("pages_shared"), N);
		/* one of the three reads, and all have their pages again */
		CHECK_EQ(worker_bad(&w[2 - i], p[2 - i], N, OLD, 0), 0);
		CHECK_EQ(on_device(i), 0);
		all_same();
		whole(OLD, OLD);
	}
	after_the_move();
}

static void fetched(void)
{
	merge_and_send();
	CHECK_EQ(worker_call(&w[0], w_to_system, p[0], N), N);
	CHECK_EQ(on_device(1), 0);
	all_same();
	after_the_move();
}

/* The device is closed, and has to give all pages back, whosever they are. */
static void evicted(void)
{
	merge_and_send();
	worker_call(&w[0], w_close, 0);
	CHECK_EQ(on_device(1), 0);
	after_the_move();
}

static void written_there(void)
{
	merge_and_send();
	worker_fill(&w[0], p[0], N, NEW, 0);
	whole(NEW, OLD);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), (PROCS - 2) * N, LONG);
	worker_fill(&w[0], p[0], N, OLD, 0);
	all_same_soon();
	after_the_move();
}

/* Pages of the same content come up while the frames are out of reach. */
static void met_there(void)
{
	u8 *mine;

	merge_and_send();
	mine = map_filled(N, OLD, 0);
	settle(4);
	CHECK_EQ(on_device(0), N);
	CHECK_EQ(bad_pages(mine, N, OLD, 0), 0);
	whole(OLD, OLD);
	CHECK_SOON_EQ(count_same(getpid(), mine, w[1].pid, p[1], N), N, LONG);
	munmap(mine, N * PAGE);
	after_the_move();
}

/* Equal pages that are there, and never were merged. */
static void private_there(void)
{
	int i;

	need_device();
	marked_only();
	sysfs_set("run", "0");
	start_all(NULL, N);
	for (i = 0; i < PROCS; i++)
		CHECK_EQ(worker_call(&w[i], w_to_device, p[i], N, OLD), N);
	sysfs_set("run", "1");
	settle(4);
	CHECK_EQ(sysfs_num("pages_shared"), 0);
	for (i = 0; i < PROCS; i++)
		CHECK_EQ(on_device(i), N);
	whole(OLD, OLD);
	after_the_move();
}

/* Nobody maps them any more: nothing of them is left, the module least of all. */
static void gone_there(void)
{
	int i;

	merge_and_send();
	for (i = PROCS - 1; i >= 0; i--)
		worker_call(&w[i], w_munmap, p[i], N);
	CHECK_SOON_EQ(sysfs_num("pages_shared"), 0, LONG);
	CHECK_EQ(sysfs_num("pages_sharing"), 0);
	exit_all();
}

static void unmerged_there(void)
{
	int i;

	merge_and_send();
	unmerge_all();
	CHECK_EQ(sysfs_num("pages_shared"), 0);
	CHECK_EQ(count_same_pfn(w[0].pid, p[0], w[1].pid, p[1], N), 0);
	for (i = 0; i < PROCS; i++)
		CHECK_EQ(on_device(i), 0);
	whole(OLD, OLD);
}

static void child_there(void)
{
	struct worker child;
	u8 *mine;

	need_device();
	merge(N);
	mine = map_filled(N, OLD, 0);
	CHECK_SOON_EQ(count_same(getpid(), mine, w[0].pid, p[0], N), N, LONG);
	CHECK_EQ(worker_call(&w[0], w_to_device, p[0], N, OLD), N);
	worker_start(&child);
	CHECK_EQ(count_swapped(child.pid, mine, N), N);
	worker_fill(&child, mine, N, NEW, 0);
	CHECK_EQ(bad_pages(mine, N, OLD, 0), 0);
	CHECK_EQ(worker_bad(&child, mine, N, NEW, 0), 0);
	worker_exit(&child);
	munmap(mine, N * PAGE);
	after_the_move();
}

static const struct test_case cases[] = {
	{ "to the device and back", to_and_fro, 60 },
	{ "fetched by the device's driver", fetched, 60 },
	{ "back when the device is closed", evicted, 60 },
	{ "written while there", written_there, 60 },
	{ "equal pages come up meanwhile", met_there, 60 },
	{ "equal pages there are not merged", private_there, 60 },
	{ "unmapped while there", gone_there, 60 },
	{ "run=2 while there", unmerged_there, 60 },
	{ "forked while there", child_there, 60 },
};

TEST_MAIN(0)
