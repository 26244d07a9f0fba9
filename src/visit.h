/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_VISIT_H
#define UKSM_VISIT_H

#include "work.h"

struct uksm_space;

int uksm_visits_init(void);
void uksm_visits_exit(void);
int uksm_visit_next(struct uksm_space *space);
void uksm_visit_again(enum uksm_work_queue q);

#endif /* UKSM_VISIT_H */
