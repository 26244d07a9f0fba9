/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_TABLE_H
#define UKSM_TABLE_H

#include <linux/spinlock.h>
#include <linux/types.h>

struct uksm_frame;

int uksm_table_init(void);
void uksm_table_exit(void);
bool uksm_table_fit(void);

/*
 * Innermost, and taken by hooks in any context but NMI. What follows is called
 * with it held.
 */
extern raw_spinlock_t uksm_table_lock;

struct uksm_frame *uksm_table_find(unsigned long pfn);
void uksm_table_insert(struct uksm_frame *frame, unsigned long pfn);
void uksm_table_remove(struct uksm_frame *frame);

#endif /* UKSM_TABLE_H */
