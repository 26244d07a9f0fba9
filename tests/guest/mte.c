// SPDX-License-Identifier: GPL-2.0
/*
 * Memory with tags (arm64, MTE): each 16 bytes have a tag of four bits beside
 * their content. Pages that are equal but for their tags are not equal, so all
 * that has tags is left alone; and a process that gets them on merged memory has
 * its own.
 */
#include "lib.h"

#include <sys/auxv.h>

#define N 32
#define SEED 680

#ifndef PROT_MTE
#define PROT_MTE 0x20
#endif
#ifndef HWCAP2_MTE
#define HWCAP2_MTE (1UL << 18)
#endif

static struct trio t;

#ifdef __aarch64__
static void tag_set(u8 *p, unsigned int tag)
{
	u64 tagged = (u64)p | (u64)tag << 56;

	asm volatile(".arch armv8.5-a+memtag\n\tstg %0, [%1]"
		     :
		     : "r"(tagged), "r"(p)
		     : "memory");
}

static unsigned int tag_of(u8 *p)
{
	u64 tagged = (u64)p;

	asm volatile(".arch armv8.5-a+memtag\n\tldg %0, [%1]"
		     : "+r"(tagged)
		     : "r"(p)
		     : "memory");
	return tagged >> 56 & 15;
}
#else
static void tag_set(u8 *p, unsigned int tag)
{
	(void)p, (void)tag;
}

static unsigned int tag_of(u8 *p)
{
	(void)p;
	return 0;
}
#endif

static void tags_needed(void)
{
#ifndef __aarch64__
	skip("tags are an arm64 thing");
#endif
	if (!(getauxval(AT_HWCAP2) & HWCAP2_MTE))
		skip("this processor, or kernel, has no tags");
}

static void tags_allow(void)
{
	CHECK_EQ(mprotect(t.mine, N * PAGE, PROT_READ | PROT_WRITE | PROT_MTE),
		 0);
}

/* One for all of a page: QEMU 7.2 keeps no more for each than two. */
static unsigned int tag_wanted(size_t page)
{
	return page % 15 + 1;
}

static void tags_set(void)
{
	size_t i, g;

	for (i = 0; i < N; i++)
		for (g = 0; g < PAGE / 16; g++)
			tag_set(t.mine + i * PAGE + g * 16, tag_wanted(i));
}

/* Pages of mine that do not have the tags they were given, or (!@given) have some. */
static size_t tags_bad(bool given)
{
	size_t i, g, bad = 0;

	for (i = 0; i < N; i++) {
		for (g = 0; g < PAGE / 16; g++)
			if (tag_of(t.mine + i * PAGE + g * 16) !=
			    (given ? tag_wanted(i) : 0))
				break;
		bad += g < PAGE / 16;
	}
	return bad;
}

static void left_alone(void)
{
	tags_needed();
	trio_make(&t, N, SEED);
	tags_allow();
	tags_set();
	trio_scan(&t);
	CHECK_EQ(trio_merged(&t), 0);
	CHECK_EQ(tags_bad(true), 0);
	trio_check(&t, SEED);
}

static void zeros(void)
{
	tags_needed();
	trio_start(&t, N, SEED);
	t.mine = map_pages(N);
	tags_allow();
	memset(t.mine, 0, N * PAGE);
	tags_set();
	trio_scan(&t);
	CHECK_EQ(count_zero(getpid(), t.mine, N), 0);
	CHECK_EQ(tags_bad(true), 0);
	CHECK_EQ(bad_zero(t.mine, N), 0);
}

static void after_merge(void)
{
	tags_needed();
	trio_make(&t, N, SEED);
	trio_merge(&t);
	tags_allow();
	CHECK_EQ(tags_bad(false), 0);
	trio_check(&t, SEED);
	tags_set();
	CHECK_EQ(trio_merged(&t), 0);
	CHECK_EQ(tags_bad(true), 0);
	settle(3);
	CHECK_EQ(trio_merged(&t), 0);
	CHECK_EQ(tags_bad(true), 0);
	trio_check(&t, SEED);
	unmerge_all();
	CHECK_EQ(tags_bad(true), 0);
	trio_check(&t, SEED);
}

static const struct test_case cases[] = {
	{ "pages with tags are left alone", left_alone, 90 },
	{ "and so are zeros with tags", zeros, 90 },
	{ "tags on what was merged", after_merge, 90 },
};

TEST_MAIN(0)
