/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_LOOKUP_H
#define UKSM_LOOKUP_H

#include <linux/hash.h>
#include <linux/mm.h>
#include <linux/prefetch.h>

#include "index.h"
#include "uksm.h"

struct folio;
struct uksm_frame;

int uksm_lookup_init(void);
void uksm_lookup_exit(void);
void uksm_lookup_resize(u64 pages);
bool uksm_lookup_fit(void);
void uksm_lookup_drop(void);
void uksm_lookup_new_round(void);
unsigned int uksm_lookup_calm_max(void);

extern struct uksm_index uksm_index;

/**
 * uksm_lookup_prefetch() - a key will be looked up soon
 * @key: the key
 *
 * Context: uksm_sem held.
 */
static inline void uksm_lookup_prefetch(u64 key)
{
	prefetch(uksm_index_first(&uksm_index, key));
}

unsigned int uksm_lookup_ranges(void);
unsigned int uksm_lookup_range(u64 key);
bool uksm_lookup_lock_range(unsigned int range, bool wait);
void uksm_lookup_unlock_range(unsigned int range);
void uksm_lookup_lock(u64 key);
void uksm_lookup_unlock(u64 key);

u64 *uksm_lookup_find(u64 key, bool marks);
void uksm_lookup_here(u64 *slot, u64 self);
void uksm_lookup_mark(u64 sample, u64 *slot);

/**
 * uksm_lookup_key() - what a page goes by
 * @fingerprint: of the page
 * @folio: the page
 *
 * Context: any.
 * Return: the fingerprint, and the node it is on, unless a frame may serve all.
 */
static inline u64 uksm_lookup_key(u64 fingerprint, struct folio *folio)
{
	if (READ_ONCE(uksm_settings.across_nodes))
		return fingerprint;
	return fingerprint ^ hash_64(folio_nid(folio) + 1, 64);
}

u64 uksm_lookup_key_of(struct folio *folio, u64 seed, bool full);

void uksm_lookup_add_frame(struct uksm_frame *frame);
void uksm_lookup_refresh(struct uksm_frame *frame, unsigned int mapcount);
void uksm_lookup_differs(struct uksm_frame *frame, u64 full);
bool uksm_lookup_forget_idle(struct uksm_frame *frame);
void uksm_lookup_forget(struct uksm_frame *frame);

#endif /* UKSM_LOOKUP_H */
