/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_FRAME_H
#define UKSM_FRAME_H

#include "uksm.h"

struct uksm_batch;
struct uksm_rmap_item;

/**
 * struct uksm_frame - a page of shared content
 * @next: in its bucket of the table by pfn, under the table lock; or in a stock
 * @pfn: of its page; under the table lock (the page may migrate). 0 while it
 *	has no page that others know
 * @list: all frames, in the order they are swept
 * @key: what it is found by: the sample of its content; or the full fingerprint,
 *	where other content has the same sample
 * @sample: the sample of its content
 * @items: where it was mapped; under its folio's lock
 * @folio: its page in the batch that makes it, with a reference; else NULL
 * @owner: the batch that makes it, or holds its folio's lock; or NULL. Only that
 *	batch finds itself here without a lock
 * @nr_items: length of @items
 * @mapped: its mappings, as counted in uksm_stats.mappings
 * @pending: mappings that batches under way may add; more only with the range of
 *	@key in the index locked
 * @making: a batch is making it; nobody else touches it. Once it is not set, the
 *	frame lives at least until no step is under way
 * @fresh: it has no page yet
 * @indexed: it is in the index
 * @device: its page is in device memory; it is kept, and let alone
 *
 * What nothing else is said of is under uksm_mutex, or with uksm_sem held for
 * writing; @folio and @fresh are of the batch that makes it. @key changes only
 * while the index does not lead to the frame, or with its range locked.
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
	u32 mapped;
	atomic_t pending;
	bool making;
	bool fresh;
	bool indexed;
	bool device;
};

int uksm_frames_init(void);
void uksm_frames_exit(void);

extern struct list_head uksm_frame_list;

void uksm_frames_stock(struct uksm_frame **stock);
void uksm_frames_unstock(struct uksm_frame **stock);
struct uksm_frame *uksm_frame_create(struct uksm_batch *batch,
				     struct uksm_frame **stock);
void uksm_frame_free(struct uksm_frame *frame);
bool uksm_frame_adopt(struct uksm_frame *frame, struct folio *folio);
bool uksm_frame_copy(struct uksm_frame *frame, struct folio *from,
		     struct mm_struct *mm);
struct folio *uksm_frame_get(struct uksm_frame *frame, unsigned long *dead);
struct uksm_frame *uksm_frame_of(struct folio *folio);
bool uksm_frame_holds(struct uksm_frame *frame, struct folio *folio);
bool uksm_folio_is_frame(struct folio *folio);
void uksm_frame_rekey(struct folio *to, struct folio *from);
bool uksm_frame_kill(struct uksm_frame *frame, unsigned long pfn);
int uksm_frames_selftest(void);

#endif /* UKSM_FRAME_H */
