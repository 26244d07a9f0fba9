// SPDX-License-Identifier: GPL-2.0
/* vm: mem=512 swap=256 numa=2 modules="loop" timeout=250 */
/* The short form of stress.c, for each run of the tests. */
#include "lib_stress.h"

static void everything(void)
{
	stress_run(20);
}

static const struct test_case cases[] = {
	{ "every byte is right while everything happens", everything, 200 },
};

TEST_MAIN(0)
