/* SPDX-License-Identifier: GPL-2.0 */
/* What groups.c and groups_v1.c share. */
#ifndef UKSM_TEST_LIB_GROUPS_H
#define UKSM_TEST_LIB_GROUPS_H

#include "lib.h"

void put(const char *dir, const char *file, const char *value);
void move_by_cpuset(const char *group);
void move_between(const char *a, const char *b, bool charges);
void hoard_in(const char *dir, size_t limit);

#endif
