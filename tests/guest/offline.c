// SPDX-License-Identifier: GPL-2.0
/*
 * vm: mem=512 timeout=240 append="memhp_default_state=online_movable"
 * vm: qemu="-m slots=2,maxmem=2G -object memory-backend-ram,id=more,size=256M -device pc-dimm,id=dimm,memdev=more"
 */
/*
 * Memory with frames on it is taken offline, block by block, while it is scanned:
 * the frames move away, offlining comes to an end, nothing is lost; online again
 * it is used again. At last the whole module is ejected, with what is known of
 * frames that had died there.
 *
 * Frames are made in movable memory first, which is what the extra module is.
 * Without the hook on rmap_walk_ksm() offlining tries the frames for ever.
 */
#include "lib.h"
#include "lib_move.h"

#include <dirent.h>
#include <signal.h>

#define N 1024
#define DIR_ "/sys/devices/system/memory"
#define BLOCKS 64

struct block {
	long nr;
	bool movable; /* nothing but movable pages: it must go */
	bool off;
};

static struct block block[BLOCKS];
static int blocks;
static u64 block_pages;

static int block_put(int i, const char *state)
{
	char path[128];

	snprintf(path, sizeof(path), DIR_ "/memory%ld/state", block[i].nr);
	return file_write(path, state);
}

static bool block_is(int i, const char *file, const char *text)
{
	char path[128], is[64];

	snprintf(path, sizeof(path), DIR_ "/memory%ld/%s", block[i].nr, file);
	return file_read(path, is, sizeof(is)) > 0 &&
	       !strncmp(is, text, strlen(text));
}

static void find_blocks(void)
{
	char text[64];
	struct dirent *d;
	DIR *dir = opendir(DIR_);

	if (!dir || file_read(DIR_ "/block_size_bytes", text, 64) <= 0)
		skip("this kernel has no memory hot-remove");
	block_pages = strtoull(text, NULL, 16) / PAGE;
	while ((d = readdir(dir)) && blocks < BLOCKS) {
		if (sscanf(d->d_name, "memory%ld", &block[blocks].nr) != 1 ||
		    !block_is(blocks, "state", "online"))
			continue;
		block[blocks].movable =
			block_is(blocks, "valid_zones", "Movable");
		blocks++;
	}
	closedir(dir);
}

static struct block *block_of(u64 pfn)
{
	int i;

	for (i = 0; i < blocks; i++)
		if (pfn / block_pages == (u64)block[i].nr)
			return &block[i];
	FAIL("pfn %llu is in no block", (unsigned long long)pfn);
}

/* How many of the frames lie in memory that must go, or that is gone. */
static size_t frames_in(bool gone)
{
	size_t i, found = 0;
	u64 *pfn = pfns();

	for (i = 0; i < pages; i++) {
		struct block *b = pfn[i] ? block_of(pfn[i]) : NULL;

		found += b && (gone ? b->off : b->movable);
	}
	free(pfn);
	return found;
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* Movable blocks must go, in time; others are tried as well. */
static int take_off(bool all)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	int i, off = 0;

	sigaction(SIGALRM, &sa, NULL);
	for (i = 0; i < blocks; i++) {
		double start = now();
		int err;

		if (!all && !block[i].movable)
			continue;
		/* the kernel goes on until it has it all, or a signal comes */
		alarm(block[i].movable ? LONG : 3);
		err = block_put(i, "offline");
		alarm(0);
		block[i].off = !err;
		off += !err;
		if (err && block[i].movable)
			FAIL("block %ld does not go: %s, %.1f s", block[i].nr,
			     strerror(-err), now() - start);
	}
	return off;
}

static void bring_back(void)
{
	int i;

	for (i = 0; i < blocks; i++) {
		if (!block[i].off)
			continue;
		CHECK_EQ(block_put(i, block[i].movable ? "online_movable" :
							 "online"),
			 0);
		block[i].off = false;
	}
}

static void merge_on_blocks(void)
{
	size_t in;

	find_blocks();
	merge(N);
	in = frames_in(false);
	note("%d blocks of %llu MiB, %zu of %d frames in movable ones", blocks,
	     (unsigned long long)block_pages * PAGE / MIB, in, N);
	if (!in)
		skip("no frame is in movable memory");
	CHECK_OP(in, >=, N / 2);
}

static void all_still_merged(void)
{
	all_same_soon();
	whole(OLD, OLD);
}

static void while_stopped(void)
{
	size_t in;
	u64 *old;
	int off;

	merge_on_blocks();
	in = frames_in(false);
	sysfs_set("run", "0");
	old = pfns();
	off = take_off(true);
	note("%d of %d blocks are off, %zu frames moved", off, blocks,
	     moved_since(old));
	CHECK_OP(off, >, 0);
	CHECK_OP(moved_since(old), >=, in);
	CHECK_EQ(frames_in(true), 0);
	all_still_merged();
	bring_back();
	after_the_move();
}

static void while_scanning(void)
{
	int i;

	merge_on_blocks();
	for (i = 0; i < 3; i++) {
		CHECK_OP(take_off(false), >, 0);
		CHECK_EQ(frames_in(true), 0);
		whole(OLD, OLD);
		bring_back();
		/* made anew, where there is room now */
		unmerge_all();
		sysfs_set("run", "1");
		all_still_merged();
		CHECK_OP(frames_in(false), >, 0);
	}
	after_the_move();
}

/* Everybody writes, and is merged again, all the while. */
static void while_written(void)
{
	int i;

	merge_on_blocks();
	for (i = 1; i <= 3; i++) {
		all_write(OLD + i);
		CHECK_OP(take_off(false), >, 0);
		all_wait();
		whole(OLD + i, OLD + i);
		bring_back();
	}
	all_write(OLD);
	all_wait();
	all_still_merged();
	after_the_move();
}

/* Frames that died on it are still known while nothing is scanned. */
static void ejected(void)
{
	static const char eject[] = "/sys/bus/acpi/devices/PNP0C80:00/eject";
	int i;

	merge_on_blocks();
	sysfs_set("run", "0");
	exit_all();
	CHECK_OP(take_off(false), >, 0);
	if (file_write(eject, "1"))
		skip("cannot be ejected");
	for (i = 0; i < blocks; i++) {
		char path[128];

		snprintf(path, sizeof(path), DIR_ "/memory%ld", block[i].nr);
		if (block[i].movable)
			CHECK_SOON(access(path, F_OK), 10);
	}
	sysfs_set("run", "1");
	settle(2);
	CHECK_EQ(sysfs_num("pages_shared"), 0);
	CHECK_EQ(sysfs_num("pages_sharing"), 0);
	/* and with what is left all goes on */
	merge(N);
	whole(OLD, OLD);
}

static const struct test_case cases[] = {
	{ "offline and online again", while_stopped, 120 },
	{ "offline while scanning", while_scanning, 120 },
	{ "offline while all write", while_written, 120 },
	{ "dead frames on ejected memory", ejected, 120 },
};

TEST_MAIN(0)
