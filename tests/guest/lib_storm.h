/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A boot storm: KVM guests that fill most of their memory, nearly all of it
 * alike, are started one after the other on a host that has far less. For
 * storm.c and storm_short.c.
 *
 *   lib_storm.c          the host: starts them, watches, asks, judges
 *   lib_storm_guest.c    what each guest does with its memory
 *   lib_storm_machine.c  guests that are a KVM machine made here, without QEMU
 */
#ifndef UKSM_TEST_LIB_STORM_H
#define UKSM_TEST_LIB_STORM_H

#include "lib.h"

/**
 * struct storm - what is to happen, unless STORM_GUESTS, STORM_MIB, STORM_FILL,
 * STORM_PAUSE, STORM_PATIENCE and STORM_GOVERNOR in the environment say otherwise
 * @guests: how many there shall be
 * @mib: memory of each
 * @fill: how much of it, in MiB, each fills and checks
 * @pause: seconds from one start to the next, at least; no guest is started
 *	before the one before it has filled its memory
 * @patience: seconds that all may take for one check of everything
 * @governor: cpu_governor of the module; medium if it is not set
 * @run: a process that becomes the guest of a number; does not return
 */
struct storm {
	int guests;
	unsigned long mib, fill;
	int pause, patience;
	const char *governor;
	void (*run)(const struct storm *s, int id);
};

/**
 * struct storm_memory - what a guest fills
 * @n: pages
 * @id: the guest's number
 * @nap: milliseconds between two chunks that are checked
 * @fill: write pages, as @id has them
 * @check: how many pages are not as @id has them?
 */
struct storm_memory {
	u64 n, id;
	unsigned int nap;
	void (*fill)(u64 id, u64 from, u64 n);
	u64 (*check)(u64 id, u64 from, u64 n);
};

/* Nine of ten pages are alike in all guests. */
#define STORM_OWN(i) ((i) % 10 == 9)

void storm(const struct storm *by_default);
int storm_flags(void);
void storm_guest(const struct storm_memory *m);
void storm_machine(const struct storm *s, int id) __attribute__((noreturn));
void *machine_start(u64 pages, bool huge);
void machine_fill(u64 id, u64 from, u64 n);

#endif
