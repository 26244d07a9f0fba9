/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of swapping share; the processes and their frames are lib_move.h's. */
#ifndef UKSM_TEST_LIB_SWAP_H
#define UKSM_TEST_LIB_SWAP_H

#include "lib.h"
#include "lib_move.h"

#define GROUP "swaptest"

extern const u64 all_old[PROCS];

long long swap_grown_kb(void);
void merge_to_swap(const char *group, size_t n);
size_t in_swap(void);
void push_out(size_t enough);
void contents(const u64 *seed);
void swap_off_and_on(void);
void finish(void);
void everybody_out(size_t n);

#endif
