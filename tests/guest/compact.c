// SPDX-License-Identifier: GPL-2.0
/* vm: mem=512 timeout=300 */
/*
 * Compaction moves frames: merged pages get other page frame numbers while they
 * stay KSM pages with the right content for all their mappers, the counters stay,
 * and a write after the move still copies.
 *
 * Without the hook on rmap_walk_ksm() no frame ever moves; without the re-key on
 * folio_migrate_ksm() the mappers keep migration entries and die.
 */
#include "lib.h"
#include "lib_move.h"

/*
 * Memory in shreds: a worker fills much of what is free and gives every other
 * stretch back. Frames made then lie between its pages; when it goes altogether
 * there is room for compaction to move them to.
 */
static struct worker shredder;
static u8 *shreds;
static size_t shred_pages;

static void shred(void)
{
	size_t i;

	shred_pages = (size_t)meminfo_kb("MemFree") / 4 * 3 / 4;
	worker_start(&shredder);
	shreds = (u8 *)worker_call(&shredder, w_map, shred_pages);
	worker_call(&shredder, w_madvise, shreds, shred_pages,
		    MADV_POPULATE_WRITE);
	for (i = 0; i + 64 <= shred_pages; i += 64)
		worker_call(&shredder, w_madvise, shreds + i * PAGE, 32,
			    MADV_DONTNEED);
}

static void compact(void)
{
	if (file_write("/proc/sys/vm/compact_memory", "1"))
		skip("no /proc/sys/vm/compact_memory");
}

/* One try: frames made among shreds, and compacted when these have gone. */
static size_t try_to_move(void)
{
	size_t moved = 0;
	u64 *old;
	int i;

	shred();
	sysfs_set("run", "1");
	all_same_soon();
	sysfs_set("run", "0");
	old = pfns();
	for (i = 0; i < 8 && moved < pages / 4; i++) {
		if (i == 2)
			worker_exit(&shredder);
		compact();
		moved = moved_since(old);
	}
	if (i <= 2)
		worker_exit(&shredder);
	note("%zu of %zu frames moved after %d rounds", moved, pages, i);
	free(old);
	return moved;
}

/*
 * Compaction moves what lies low to where it is free further up. Frames that
 * happened to lie high stay: then they are made anew, elsewhere.
 */
static void by_compaction(void)
{
	size_t moved;
	int i;

	merge(512);
	for (i = 0; i < 5; i++) {
		unmerge_all();
		moved = try_to_move();
		if (moved >= pages / 4)
			break;
	}
	CHECK_OP(moved, >=, pages / 4);
	after_the_move();
}

/* While everybody writes and merges. */
static void compaction_all_the_while(void)
{
	int i;

	shred();
	merge(256);
	for (i = 1; i <= 10; i++) {
		all_write(OLD + i);
		compact();
		all_wait();
		compact();
		whole(OLD + i, OLD + i);
	}
	all_same_soon();
	whole(OLD + 10, OLD + 10);
}

static const struct test_case cases[] = {
	{ "compaction moves frames", by_compaction, 150 },
	{ "compaction while all write", compaction_all_the_while, 150 },
};

TEST_MAIN(0)
