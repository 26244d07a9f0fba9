/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_SCAN_H
#define UKSM_SCAN_H

#include "uksm.h"

int uksm_scan_start(void);
void uksm_scan_stop(void);

void uksm_scan_wake(void);
void uksm_scan_forget(void);
int uksm_scan_set_run(unsigned int run);
int uksm_scan_set_across_nodes(unsigned int across);
void uksm_scan_freshen(void);

#endif /* UKSM_SCAN_H */
