// SPDX-License-Identifier: GPL-2.0
/* vm: mem=512 */
/*
 * What is committed is what was promised, not what is used: merging neither
 * makes room for more promises nor takes any, in none of the modes of
 * vm.overcommit_memory, and a promised page can be written after the merge.
 */
#include "lib.h"

#define MODE "/proc/sys/vm/overcommit_memory"
#define RATIO "/proc/sys/vm/overcommit_ratio"
#define N 2048
#define SEED 680

static struct trio t;

/* Of others' small change we know nothing. */
static bool committed_is(long long kb)
{
	long long off = meminfo_kb("Committed_AS") - kb;

	return off < 1024 && off > -1024;
}

static void mode(const char *value)
{
	if (file_write(MODE, value) || file_write(RATIO, "95"))
		FAIL("vm.overcommit_memory=%s", value);
}

static void merge_and_write(void)
{
	long long committed;
	size_t limit;
	void *p;

	trio_make(&t, N, SEED);
	committed = meminfo_kb("Committed_AS");
	trio_merge(&t);
	CHECK(committed_is(committed));
	/* more than is left is not promised, however much was merged */
	limit = (meminfo_kb("CommitLimit") - meminfo_kb("Committed_AS")) * 1024;
	if (file_num(MODE) == 2) {
		p = mmap(NULL, limit + 2 * MIB, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(p == MAP_FAILED && errno == ENOMEM);
	}
	fill(t.mine, N, SEED + 1, 0);
	trio_check(&t, SEED + 1);
	CHECK(committed_is(committed));
	fill(t.mine, N, SEED, 0);
	trio_merge(&t);
	unmerge_all();
	CHECK(committed_is(committed));
	trio_check(&t, SEED);
	worker_exit(&t.w);
	munmap(t.mine, N * PAGE);
	CHECK(committed_is(committed - 3 * N * (long long)PAGE / 1024));
}

/* Everything that can be promised is, and then written, merged or not. */
static void all_promised(void)
{
	size_t room, pages;
	u8 *rest;

	mode("2");
	trio_make(&t, N, SEED);
	trio_merge(&t);
	room = (meminfo_kb("CommitLimit") - meminfo_kb("Committed_AS")) / 4;
	CHECK_OP(room, >, 1024);
	pages = room - 512;
	rest = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(rest != MAP_FAILED);
	fill(t.mine, N, SEED + 1, 0);
	trio_check(&t, SEED + 1);
	worker_fill(&t.w, t.theirs, N, SEED + 2, 0);
	CHECK_EQ(worker_bad(&t.w, t.theirs, N, SEED + 2, 0), 0);
	CHECK_EQ(worker_bad(&t.w, t.witness, N, SEED, 0), 0);
}

static void heuristic(void)
{
	mode("0");
	merge_and_write();
}

static void always(void)
{
	mode("1");
	merge_and_write();
}

static void never(void)
{
	mode("2");
	merge_and_write();
}

static const struct test_case cases[] = {
	{ "vm.overcommit_memory=0", heuristic, 120 },
	{ "vm.overcommit_memory=1", always, 120 },
	{ "vm.overcommit_memory=2", never, 120 },
	{ "all that can be promised is", all_promised, 120 },
};

TEST_MAIN(0)
