/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_FRAME_H
#define UKSM_FRAME_H

#include "uksm.h"

struct uksm_batch;
struct uksm_rmap_item;

/**
 * struct uksm_frame - a page of shared content
 * @next: in its bucket of the table by pfn; under the table lock
 * @pfn: of its page; under the table lock (the page may migrate). 0 while it
 *	has no page that others know
 * @list: all frames, oldest first; under uksm_mutex
 * @key: the full fingerprint of its content
 * @sample: the sample of its content
 * @items: where it was mapped; under its folio's lock
 * @folio: its page while it is not mapped yet, with a reference; else NULL
 * @owner: the batch that holds its folio's lock, or NULL; under that lock
 * @nr_items: length of @items
 * @pending: mappings the current batch may add
 * @indexed: it is in the index
 * @device: its page is in device memory; it is kept, and let alone
 */
struct uksm_frame {
	struct uksm_frame *next;
	unsigned long pfn;
	struct list_head list;
	u64 key;
	u64 sample;
	struct uksm_rmap_item *items;
	struct folio *folio;
	struct uksm_batch *owner;
	u32 nr_items;
	u16 pending;
	bool indexed;
	bool device;
};

int uksm_frames_init(void);
void uksm_frames_exit(void);

struct uksm_frame *uksm_frame_create(struct mm_struct *mm, int nid);
void uksm_frame_abandon(struct uksm_frame *frame);
void uksm_frame_publish(struct uksm_frame *frame, struct page *from);
struct folio *uksm_frame_get(struct uksm_frame *frame, unsigned long *dead);
struct uksm_frame *uksm_frame_of(struct folio *folio);
bool uksm_frame_holds(struct uksm_frame *frame, struct folio *folio);
bool uksm_folio_is_frame(struct folio *folio);
void uksm_frame_rekey(struct folio *to, struct folio *from);
void uksm_frames_sweep(void);
void uksm_frames_reindex(void);
int uksm_frames_selftest(void);

#endif /* UKSM_FRAME_H */
