/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's fault injection, which the debug kernel has: what faults.c and
 * faults_load.c share.
 */
#ifndef UKSM_TEST_LIB_FAULTS_H
#define UKSM_TEST_LIB_FAULTS_H

#include "lib.h"

#define FAULT_TIMES 4 /* failures in a row */

/**
 * struct fault_site - an allocation in the module
 * @name: what it is for
 * @attr: which kind of allocation: failslab or fail_page_alloc
 * @in: a function that is on the stack then; where the compiler has inlined it,
 *	the next of these
 * @not_in: a function that is not
 * @big: it takes many pages to get there
 * @shared: only for pages that a child shares
 */
struct fault_site {
	const char *name, *attr, *in[5], *not_in;
	bool big;
	bool shared;
};

void faults_need(void);
void faults_common(const char *attr);
void faults_range(const char *attr, const char *start, const char *end,
		  const char *name);
void faults_arm(const struct fault_site *s);
long long faults_left(const struct fault_site *s);
void faults_disarm(const struct fault_site *s);

#endif
