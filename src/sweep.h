/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_SWEEP_H
#define UKSM_SWEEP_H

#include <linux/types.h>

void uksm_frames_sweep(void);
void uksm_frames_sweep_first(u64 left);
void uksm_frames_sweep_some(void);
void uksm_frames_reindex(void);

#endif /* UKSM_SWEEP_H */
