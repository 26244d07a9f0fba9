// SPDX-License-Identifier: GPL-2.0
/* vm: mem=2400 timeout=300 */
/*
 * A process of more than a GiB goes, and the index gets smaller in the round that
 * finds its frames dead. None of them may be found in it any more: their like comes
 * again at once. (KASAN sees it if one is.)
 */
#include "lib.h"

#define BIG 330000
#define PAIRS 2500
#define SEED 330

static void index_shrinks(void)
{
	struct worker big, small;
	long long metadata;
	u8 *p;

	marked_only();
	worker_start(&big);
	p = worker_map_filled(&big, BIG, SEED, 0);
	worker_fill(&big, p + (BIG - PAIRS) * PAGE, PAIRS, SEED, 0);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), PAIRS, 4 * LONG);
	metadata = sysfs_num("metadata_bytes");
	note("%lld bytes for %d pages", metadata, BIG);
	worker_exit(&big);
	settle(2);
	CHECK_OP(sysfs_num("metadata_bytes"), <, metadata / 2);
	worker_start(&small);
	p = worker_map_filled(&small, 2 * PAIRS, SEED, 0);
	worker_fill(&small, p + PAIRS * PAGE, PAIRS, SEED, 0);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), PAIRS, LONG);
	CHECK_EQ(sysfs_num("pages_shared"), PAIRS);
	CHECK_EQ(worker_bad(&small, p, PAIRS, SEED, 0), 0);
	CHECK_EQ(worker_bad(&small, p + PAIRS * PAGE, PAIRS, SEED, 0), 0);
}

static const struct test_case cases[] = {
	{ "frames that died with a large index are in no smaller one",
	  index_shrinks, 280 },
};

TEST_MAIN(0)
