// SPDX-License-Identifier: GPL-2.0
/* bytes.c as it is where there are no vector registers, under other names. */
#define UKSM_BYTES_PORTABLE
#define uksm_bytes_equal portable_bytes_equal
#define uksm_bytes_zero portable_bytes_zero
#include "../../src/bytes.c"
