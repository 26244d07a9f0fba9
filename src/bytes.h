/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_BYTES_H
#define UKSM_BYTES_H

#include "pure.h"

bool uksm_bytes_equal(const void *a, const void *b);
bool uksm_bytes_zero(const void *a);

#endif /* UKSM_BYTES_H */
