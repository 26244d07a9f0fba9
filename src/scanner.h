/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_SCANNER_H
#define UKSM_SCANNER_H

#include "uksm.h"

struct uksm_visit;

/**
 * struct uksm_scanner - what a scan thread has for itself
 * @visit: scratch, and what it has scanned
 * @pace: CPU time owed
 * @start_ns: when the slice of work under way began
 * @slept_ns: time slept since the CPU time was last read
 * @cpu_ns: CPU time of the thread when it was last read
 * @pages: pages it had scanned when the slice began
 * @nice: what its nice value was set to
 */
struct uksm_scanner {
	struct uksm_visit *visit;
	struct uksm_pace pace;
	u64 start_ns;
	u64 slept_ns;
	u64 cpu_ns;
	u64 pages;
	int nice;
};

struct uksm_scanner *uksm_scanner_create(void);
void uksm_scanner_free(struct uksm_scanner *s);
bool uksm_scanner_round(struct uksm_scanner *s);
void uksm_scanner_renice(struct uksm_scanner *s);
void uksm_scanner_sleep(struct uksm_scanner *s, unsigned long epoch);
void uksm_scanner_pause(struct uksm_scanner *s, unsigned long epoch);
void uksm_scanner_nap(struct uksm_scanner *s, u64 us, unsigned long epoch);
bool uksm_scanner_should_run(void);
bool uksm_scanner_goes_on(unsigned long epoch);

unsigned long uksm_scanners_epoch(void);
void uksm_scanners_wake(void);
void uksm_scanners_wait(long timeout);

#endif /* UKSM_SCANNER_H */
