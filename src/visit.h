/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_VISIT_H
#define UKSM_VISIT_H

#include "work.h"

struct uksm_space;
struct uksm_visit;

bool uksm_visits_idle(void);
struct uksm_visit *uksm_visit_create(void);
void uksm_visit_free(struct uksm_visit *v);
int uksm_visit_next(struct uksm_visit *v, struct uksm_space *space);
int uksm_visit_again(struct uksm_visit *v, enum uksm_work_queue q,
		     const struct uksm_work *work);

#endif /* UKSM_VISIT_H */
