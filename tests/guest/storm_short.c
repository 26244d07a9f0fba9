// SPDX-License-Identifier: GPL-2.0
/* vm: mem=320 icount timeout=300 modules="kvm_amd" */
/*
 * The short form of storm.c, for each run of the tests: its guests are KVM
 * machines without QEMU and without Linux.
 */
#include "lib_storm.h"

static void machines(void)
{
	if (slowness() > 2)
		skip("too slow: half of the memory is the debug kernel's own");
	storm(&(struct storm){ .guests = 12,
			       .mib = 32,
			       .fill = 28,
			       .pause = 2,
			       .patience = 60 * slowness(),
			       .run = storm_machine });
}

/* The limit is that of the full form; the short one ends with the harness's. */
static const struct test_case cases[] = {
	{ "more guests than there is memory for", machines, 3600 },
};

TEST_MAIN(storm_flags())
