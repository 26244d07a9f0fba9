// SPDX-License-Identifier: GPL-2.0
/* Tables for the tests of the index, and what stands in them. */
#include "index_table.h"

struct uksm_range range(u32 span)
{
	size_t size = span * sizeof(struct uksm_bucket);
	struct uksm_range range = { .span = span };

	range.bucket = aligned_alloc(sizeof(struct uksm_bucket), size);
	CHECK(range.bucket);
	memset(range.bucket, 0, size);
	return range;
}

struct uksm_index table(u32 nr)
{
	struct uksm_index idx = { .round = 100 };
	unsigned int r;

	idx.range_bits = uksm_index_cut(nr);
	for (r = 0; r < 1U << idx.range_bits; r++)
		idx.range[r] = range(nr >> idx.range_bits);
	return idx;
}

void drop(struct uksm_index *idx)
{
	unsigned int r;

	for (r = 0; r < 1U << idx->range_bits; r++)
		free(idx->range[r].bucket);
}

/* Bucket @n of a table whose ranges are all of a length. */
struct uksm_bucket *bucket(const struct uksm_index *idx, u32 n)
{
	u32 span = idx->range[0].span;

	return &idx->range[n / span].bucket[n % span];
}

/* All buckets, one range after the other. */
struct uksm_bucket *copy_of(const struct uksm_index *idx)
{
	size_t size = sizeof(struct uksm_bucket);
	struct uksm_bucket *copy = xalloc(uksm_index_length(idx) * size);
	struct uksm_bucket *at = copy;
	unsigned int r;

	for (r = 0; r < 1U << idx->range_bits; r++) {
		memcpy(at, idx->range[r].bucket, idx->range[r].span * size);
		at += idx->range[r].span;
	}
	return copy;
}

/* How often an entry is found. */
int count(const struct uksm_index *idx, u64 key, u64 val)
{
	u64 *slot = NULL;
	int n = 0, all = 0;

	while ((slot = uksm_index_next(idx, key, slot))) {
		n += *slot == val;
		CHECK_OP(++all, <=, 2 * UKSM_BUCKET_SLOTS);
	}
	return n;
}

int count_all(const struct uksm_index *idx, u64 key)
{
	u64 *slot = NULL;
	int n = 0;

	while ((slot = uksm_index_next(idx, key, slot)))
		CHECK_OP(++n, <=, 2 * UKSM_BUCKET_SLOTS);
	return n;
}

u64 slots_used(const struct uksm_index *idx)
{
	unsigned int r;
	u64 n = 0;
	u32 b;
	int i;

	for (r = 0; r < 1U << idx->range_bits; r++)
		for (b = 0; b < idx->range[r].span; b++)
			for (i = 0; i < UKSM_BUCKET_SLOTS; i++)
				n += !!idx->range[r].bucket[b].val[i];
	return n;
}

u64 place(u64 i)
{
	return uksm_val_place(1 + (i >> 20), (i & 0xfffff) * PAGE_SIZE, i);
}

u64 frame(u64 i)
{
	return uksm_val_frame((void *)(0xffff888000000000UL + i * 64));
}

/* What the header of index.c says of a key, again. */
u32 home(u32 nr, u64 key)
{
	return (key >> 32) * nr >> 32;
}

u16 tag(u64 key)
{
	return key >> 32;
}
