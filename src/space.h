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
 * @lock: the array of regions, and which of them are busy; innermost
 * @region: what is remembered, by address
 * @nr_regions: length of @region
 * @max_regions: room in @region
 * @step: @cursor, and the regions that are added
 * @cursor: address that this round has come to, or goes on from
 * @scanners: scan threads that are at it
 * @seen: round in which a process was last found to use it
 * @young: below the minimum age: only marked areas are looked at
 * @opaque: somebody else writes to it (KVM, a device): dirty bits say nothing
 * @done: the current round is through with it, or its processes are gone
 *
 * Under uksm_sem, but for what has a lock of its own and for @done, which in a
 * round is only set.
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
	spinlock_t lock;
	struct uksm_region **region;
	u32 nr_regions;
	u32 max_regions;
	struct mutex step;
	unsigned long cursor;
	atomic_t scanners;
	u64 seen;
};

extern struct list_head uksm_spaces;

int uksm_spaces_init(void);
void uksm_spaces_exit(void);
u64 uksm_spaces_refresh(void);
void uksm_spaces_forget(void);
void uksm_spaces_drop(void);
void uksm_spaces_reap(void);
void uksm_spaces_end_round(bool whole);

struct uksm_space *uksm_space_find(u32 id);
bool uksm_space_takes(struct uksm_space *space, struct vm_area_struct *vma);
struct uksm_region *uksm_space_region(struct uksm_space *space,
				      unsigned long addr);
int uksm_space_region_take(struct uksm_space *space, unsigned long addr,
			   struct uksm_region **res);
int uksm_space_region_get(struct uksm_space *space, unsigned long addr,
			  struct uksm_region **res);
void uksm_space_region_put(struct uksm_space *space, struct uksm_region *r);
void uksm_space_region_freshen(struct uksm_space *space, unsigned long addr);
bool uksm_space_region_huge(struct uksm_space *space, unsigned long addr);

void uksm_region_count(struct uksm_region *r, int unshared, int restless,
		       int skipped);
void uksm_region_zero_set(struct uksm_region *r, unsigned int i);
void uksm_region_zero_keep(struct uksm_region *r, const unsigned long *found);
bool uksm_region_zero_init(struct uksm_region *r);
bool uksm_region_sum_init(struct uksm_region *r);

#endif /* UKSM_SPACE_H */
