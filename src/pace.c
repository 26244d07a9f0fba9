// SPDX-License-Identifier: GPL-2.0
/*
 * pace.c - how long to work and how long to sleep
 *
 * The scanner may use max_cpu_percentage of one CPU. What counts is the time
 * it really ran, as the scheduler says; what it ran too long it sleeps off.
 *
 * Within that it competes with others for the CPU. Where many run that fill memory
 * it would come too late with what is usual for it, so that it gets a larger share
 * as memory runs short.
 *
 * Pure; the caller serialises.
 */
#include "pace.h"

/* Two years. What is longer is a clock gone mad, and would overflow. */
#define UKSM_PACE_MAX_NS BIT_ULL(56)

/**
 * uksm_pace_percentage() - what a governor allows by default
 * @governor: the governor
 *
 * Return: percent of one CPU.
 */
unsigned int uksm_pace_percentage(enum uksm_governor governor)
{
	static const u8 percentage[UKSM_GOVERNORS] = {
		[UKSM_GOVERNOR_FULL] = 95,
		[UKSM_GOVERNOR_MEDIUM] = 50,
		[UKSM_GOVERNOR_LOW] = 20,
		[UKSM_GOVERNOR_QUIET] = 1,
	};

	return percentage[governor];
}

/**
 * uksm_pace_slice_us() - how long to work before the next sleep
 * @percentage: of one CPU, 1 to 100
 * @sleep_ms: the sleep that is wanted between two slices
 *
 * Return: microseconds.
 */
u32 uksm_pace_slice_us(unsigned int percentage, unsigned int sleep_ms)
{
	u64 us;

	if (percentage >= 100)
		return UKSM_SLICE_MAX_US;
	us = (u64)sleep_ms * 1000 * percentage / (100 - percentage);
	return clamp_t(u64, us, UKSM_SLICE_MIN_US, UKSM_SLICE_MAX_US);
}

/**
 * uksm_pace_sleep_us() - how long to sleep after a slice
 * @pace: the account
 * @used_ns: CPU time since the last call
 * @slept_ns: time slept since the last call
 * @percentage: of one CPU, 1 to 100
 * @sleep_ms: sleep at least that long
 *
 * Return: microseconds. No more than UKSM_SLEEP_MAX_US is slept off at once;
 * the rest stays owed.
 */
u64 uksm_pace_sleep_us(struct uksm_pace *pace, u64 used_ns, u64 slept_ns,
		       unsigned int percentage, unsigned int sleep_ms)
{
	u64 us = 0;

	if (percentage >= 100) {
		pace->owed_ns = 0;
	} else {
		/* In CPU time: what p percent allow while asleep. */
		used_ns = min_t(u64, used_ns, UKSM_PACE_MAX_NS);
		slept_ns = min_t(u64, slept_ns, UKSM_PACE_MAX_NS);
		pace->owed_ns += used_ns;
		pace->owed_ns -= slept_ns * percentage / (100 - percentage);
		pace->owed_ns =
			clamp_t(s64, pace->owed_ns, 0, UKSM_PACE_MAX_NS);
		us = (u64)pace->owed_ns * (100 - percentage) / percentage /
		     1000;
		us = min_t(u64, us, UKSM_SLEEP_MAX_US);
	}
	return max_t(u64, us, (u64)sleep_ms * 1000);
}

/**
 * uksm_pace_settle_ms() - how long a page has to be still to have come to rest
 * @governor: the governor
 *
 * What is drawn or streamed 25 times a second has not; where nothing but speed
 * counts, less will do.
 *
 * Return: milliseconds between the two looks at it.
 */
u32 uksm_pace_settle_ms(enum uksm_governor governor)
{
	return governor == UKSM_GOVERNOR_FULL ? UKSM_SETTLE_FULL_MS :
						UKSM_SETTLE_MS;
}

/**
 * uksm_pace_nice() - how a scan thread competes for the CPU
 * @available: memory that can be had without swapping
 * @total: memory there is, in the same unit
 *
 * Return: its nice value.
 */
int uksm_pace_nice(u64 available, u64 total)
{
	if (available < total / 8)
		return UKSM_NICE_URGENT;
	return available < total / 4 ? UKSM_NICE_SHORT : UKSM_NICE;
}

/**
 * uksm_pace_idle_ms() - how long to wait before the next round
 * @governor: the governor
 * @quiet_rounds: rounds in a row that merged nothing
 *
 * Return: milliseconds.
 */
u32 uksm_pace_idle_ms(enum uksm_governor governor, unsigned int quiet_rounds)
{
	if (governor == UKSM_GOVERNOR_FULL || !quiet_rounds)
		return 0;
	return UKSM_IDLE_BASE_MS << min_t(u32, quiet_rounds, UKSM_IDLE_MAX);
}
