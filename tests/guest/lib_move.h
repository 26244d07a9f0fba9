/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of moving frames share: frames with three mappers that are to be
 * moved.
 */
#ifndef UKSM_TEST_LIB_MOVE_H
#define UKSM_TEST_LIB_MOVE_H

#include "lib.h"

#define PROCS 3
#define OLD 160 /* the content that is merged */
#define NEW 161

extern struct worker w[PROCS];
extern u8 *p[PROCS];
extern size_t pages;

void start_all(const char *group, size_t n);
void exit_all(void);
void merge(size_t n);
void merge_in(const char *group, size_t n);
void all_write(u64 seed);
void all_wait(void);
void all_same(void);
void all_same_soon(void);
u64 *pfns(void);
size_t moved_since(const u64 *old);
void whole(u64 first, u64 others);
void after_the_move(void);

size_t move_to(int node);
size_t on_node(int i, int node);
void settled_on(int node);

#endif
