/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_WORK_H
#define UKSM_WORK_H

#include "region.h"
#include "uksm.h"

/* Regions that wait at once in a queue, at most. */
#define UKSM_WORK_PER_THREAD 256

/**
 * struct uksm_work - pages of a region to be visited again soon
 * @due: not before that (ktime_get_ns())
 * @nr: the region
 * @space: id of its space
 * @want: the pages
 */
struct uksm_work {
	u64 due;
	u64 nr;
	u32 space;
	DECLARE_BITMAP(want, UKSM_REGION_PAGES);
};

enum uksm_work_queue {
	UKSM_WORK_URGENT, /* places where an equal page was seen */
	UKSM_WORK_SECOND, /* pages whose dirty bit was taken off */
	UKSM_WORK_QUEUES,
};

int uksm_work_take(enum uksm_work_queue q, struct uksm_work *work, u64 *due);
void uksm_work_put_back(enum uksm_work_queue q, const struct uksm_work *work);
void uksm_work_add_later(u32 space, unsigned long addr);
void uksm_work_add_page(u32 space, unsigned long addr);
void uksm_work_add_second(u32 space, unsigned long base,
			  const unsigned long *want);
bool uksm_work_none(enum uksm_work_queue q);
bool uksm_work_full(enum uksm_work_queue q);
void uksm_work_drop(void);
int uksm_work_resize(unsigned int threads);

#endif /* UKSM_WORK_H */
