/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_SCAN_H
#define UKSM_SCAN_H

#include "uksm.h"

/* Scan threads, at most. */
#define UKSM_THREADS_MAX 32U

int uksm_scan_start(void);
void uksm_scan_stop(void);

int uksm_scan_set_run(unsigned int run);
int uksm_scan_set_threads(unsigned int nr);
int uksm_scan_set_across_nodes(unsigned int across);
void uksm_scan_freshen(void);

#endif /* UKSM_SCAN_H */
