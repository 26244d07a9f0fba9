// SPDX-License-Identifier: GPL-2.0
/* Tables for the tests of the index, and what stands in them. */
#include "index_table.h"

struct uksm_index table(u32 nr)
{
	struct uksm_index idx = { .round = 100 };

	uksm_index_setup(&idx, xalloc((size_t)nr * sizeof(*idx.bucket)), nr);
	return idx;
}

void drop(struct uksm_index *idx)
{
	free(idx->bucket);
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
	u64 n = 0;
	u32 b;
	int i;

	for (b = 0; b < idx->nr; b++)
		for (i = 0; i < UKSM_BUCKET_SLOTS; i++)
			n += !!idx->bucket[b].val[i];
	return n;
}

u64 place(u64 i)
{
	return uksm_val_place(1 + (i >> 20), (i & 0xfffff) * PAGE_SIZE);
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
