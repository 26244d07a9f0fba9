/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_HOOKS_H
#define UKSM_HOOKS_H

#include "uksm.h"

int uksm_hooks_init(void);
void uksm_hooks_exit(void);
unsigned long uksm_hooks_walks(void);

#endif /* UKSM_HOOKS_H */
