/* SPDX-License-Identifier: GPL-2.0 */
/* Tables for the tests of the index, and what stands in them. */
#ifndef UKSM_INDEX_TABLE_H
#define UKSM_INDEX_TABLE_H

#include "unit.h"

#include "index.h"

struct entry {
	u64 key;
	u64 val;
};

struct uksm_range range(u32 span);
struct uksm_index table(u32 nr);
void drop(struct uksm_index *idx);
struct uksm_bucket *bucket(const struct uksm_index *idx, u32 n);
struct uksm_bucket *copy_of(const struct uksm_index *idx);
int count(const struct uksm_index *idx, u64 key, u64 val);
int count_all(const struct uksm_index *idx, u64 key);
u64 slots_used(const struct uksm_index *idx);
u64 place(u64 i);
u64 frame(u64 i);
u32 home(u32 nr, u64 key);
u16 tag(u64 key);

#endif /* UKSM_INDEX_TABLE_H */
