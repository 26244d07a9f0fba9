// SPDX-License-Identifier: GPL-2.0
/* vm: manual mem=512 swap=256 numa=2 modules="loop" timeout=500 */
/*
 * make stress T=seconds: everything at once, every byte checked all the time. The
 * numbers are those of the whole run; STRESS_SEED=n in the environment begins
 * with the same random numbers again.
 */
#include "lib_stress.h"

static void everything(void)
{
	const char *e = getenv("STRESS_SECONDS");

	stress_run(e ? atof(e) : 60);
}

static const struct test_case cases[] = {
	{ "every byte is right while everything happens", everything, 100000 },
};

TEST_MAIN(0)
