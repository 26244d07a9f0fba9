/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Linux guests under QEMU, inside the guest that the test runs in: the same
 * kernel, and an initramfs in which the test's own program is init. What such a
 * test needs in its "vm:" lines is the kernel, QEMU and its firmware.
 */
#ifndef UKSM_TEST_LIB_QEMU_H
#define UKSM_TEST_LIB_QEMU_H

#include "lib.h"

void qemu_make_initramfs(const char *applets);
void qemu_run(unsigned long mib, const char *append)
	__attribute__((noreturn));
void qemu_guest_init(void);

/* TEST_MAIN() of a program that is also what runs in its guests: @guest(). */
#define QEMU_TEST_MAIN(flags, guest)                                           \
	int main(int argc, char **argv)                                        \
	{                                                                      \
		if (getpid() == 1)                                             \
			guest();                                               \
		return test_run(argc, argv, cases, ARRAY_SIZE(cases), flags);  \
	}

#endif
