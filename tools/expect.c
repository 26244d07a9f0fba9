// SPDX-License-Identifier: GPL-2.0
/*
 * What uksm binds of the kernel whose headers this is preprocessed with. Never
 * compiled: scripts/check-symbols reads what the preprocessor leaves.
 */
#include <uksm/ksyms.h>

#define UKSM_EXPECT(type, fn, args, why) @@ "F" #fn #type #args why
UKSM_KSYM_LOOKUP(UKSM_EXPECT)
UKSM_KSYM_FUNCTIONS(UKSM_EXPECT)
#undef UKSM_EXPECT
#define UKSM_EXPECT(sym, type, why) @@ "D" #sym #type "-" why
UKSM_KSYM_DATA(UKSM_EXPECT)
