/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_PACE_H
#define UKSM_PACE_H

#include "pure.h"

#define UKSM_SLICE_MIN_US 200
/* Long enough for 95 percent between sleeps of 20 ms. */
#define UKSM_SLICE_MAX_US 400000
#define UKSM_SLEEP_MAX_US 2000000
/* After rounds that found nothing new, the next one waits: 2^n * 125 ms. */
#define UKSM_IDLE_MAX 4
#define UKSM_IDLE_BASE_MS 125
/* Time between the two looks that show whether a page keeps changing. */
#define UKSM_SETTLE_MS 50
#define UKSM_SETTLE_FULL_MS 20
/* As ksmd; as anybody; and as who has to keep the machine from running out. */
#define UKSM_NICE 5
#define UKSM_NICE_SHORT 0
#define UKSM_NICE_URGENT (-10)

enum uksm_governor {
	UKSM_GOVERNOR_FULL,
	UKSM_GOVERNOR_MEDIUM,
	UKSM_GOVERNOR_LOW,
	UKSM_GOVERNOR_QUIET,
	UKSM_GOVERNORS,
};

/**
 * struct uksm_pace - CPU time used against CPU time allowed
 * @owed_ns: CPU time used that has not been slept off yet
 */
struct uksm_pace {
	s64 owed_ns;
};

unsigned int uksm_pace_percentage(enum uksm_governor governor);
u32 uksm_pace_slice_us(unsigned int percentage, unsigned int sleep_ms);
u64 uksm_pace_sleep_us(struct uksm_pace *pace, u64 used_ns, u64 slept_ns,
		       unsigned int percentage, unsigned int sleep_ms);
u32 uksm_pace_settle_ms(enum uksm_governor governor);
int uksm_pace_nice(u64 available, u64 total);
u32 uksm_pace_idle_ms(enum uksm_governor governor, unsigned int quiet_rounds);

#endif /* UKSM_PACE_H */
