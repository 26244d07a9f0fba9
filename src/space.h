/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_SPACE_H
#define UKSM_SPACE_H

#include "region.h"
#include "uksm.h"

/**
 * struct uksm_space - an address space under observation
 * @mm: held by mmgrab(); page tables are touched as uksm_visit_begin() says
 * @hash: by @mm
 * @list: all spaces, in the order they are scanned
 * @id: stands for the space in the index
 * @domain: who it may share with, as a number
 * @seed: of its fingerprints; follows from @domain
 * @zero_sample: fingerprint of a page of zeros under @seed
 * @region: what is remembered, by address
 * @nr_regions: length of @region
 * @max_regions: room in @region
 * @cursor: address the current round has come to
 * @seen: round in which a process was last found to use it
 * @young: below the minimum age: only marked areas are looked at
 * @opaque: somebody else writes to it (KVM, a device): dirty bits say nothing
 * @done: the current round is through with it
 *
 * All under uksm_mutex.
 */
struct uksm_space {
	struct mm_struct *mm;
	struct hlist_node hash;
	struct list_head list;
	u32 id;
	bool young;
	bool opaque;
	bool done;
	u64 domain;
	u64 seed;
	u64 zero_sample;
	struct uksm_region *region;
	u32 nr_regions;
	u32 max_regions;
	unsigned long cursor;
	u64 seen;
};

extern struct list_head uksm_spaces;

int uksm_spaces_init(void);
void uksm_spaces_exit(void);
u64 uksm_spaces_refresh(void);
void uksm_spaces_forget(void);
void uksm_spaces_drop(void);
void uksm_spaces_reap(void);

struct uksm_space *uksm_space_find(u32 id);
void uksm_space_drop(struct uksm_space *space);
bool uksm_space_takes(struct uksm_space *space, struct vm_area_struct *vma);
struct uksm_region *uksm_space_region(struct uksm_space *space,
				      unsigned long addr);
struct uksm_region *uksm_space_region_get(struct uksm_space *space,
					  unsigned long addr);
void uksm_space_end_round(struct uksm_space *space);

void uksm_region_count(struct uksm_region *r, int unshared, int restless,
		       int skipped);
void uksm_region_zero_set(struct uksm_region *r, unsigned int i);
void uksm_region_zero_keep(struct uksm_region *r, const unsigned long *found);
bool uksm_region_zero_init(struct uksm_region *r);
bool uksm_region_sum_init(struct uksm_region *r);

#endif /* UKSM_SPACE_H */
