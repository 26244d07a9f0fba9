// SPDX-License-Identifier: GPL-2.0
/* vm: manual mem=16384 smp=1 timeout=14400 modules="kvm_amd" */
/* vm: files="kernel /usr/bin/qemu-system-x86_64 /usr/share/seabios/bios-256k.bin" */
/* vm: files="$files /usr/share/qemu/linuxboot_dma.bin /usr/share/qemu/kvmvapic.bin" */
/*
 * make storm: real small Linux guests under QEMU, each the same stock kernel as
 * the host's, one started after the other. The program is also what runs in
 * them, as their init.
 *
 * One CPU: emulating several with KVM inside is not reliable over minutes.
 */
#include "lib_qemu.h"
#include "lib_storm.h"

#include <sys/reboot.h>

/* ---- in a guest --------------------------------------------------------- */

#define ALIKE 7 /* seeds of the pages' contents: in all guests, */
#define OWN 1000 /* and in one */

static u8 *memory;

static u64 seed_of(u64 id, u64 i)
{
	return STORM_OWN(i) ? OWN + id : ALIKE;
}

static void guest_fill(u64 id, u64 from, u64 n)
{
	u64 i;

	for (i = from; i < from + n; i++)
		page_fill(memory + i * PAGE, seed_of(id, i), i);
}

static u64 guest_check(u64 id, u64 from, u64 n)
{
	u64 i, wrong = 0;

	for (i = from; i < from + n; i++)
		wrong += !page_is(memory + i * PAGE, seed_of(id, i), i);
	return wrong;
}

static void __attribute__((noreturn)) guest_main(void)
{
	struct storm_memory m = { .n = env_number("fill", 0) * MIB / PAGE,
				  .id = env_number("guest", 0),
				  .nap = 500,
				  .fill = guest_fill,
				  .check = guest_check };

	qemu_guest_init();
	memory = map_aligned(m.n);
	/* As a program has it that does not say anything. */
	madvise(memory, m.n * PAGE, MADV_HUGEPAGE);
	storm_guest(&m);
	for (;;)
		reboot(RB_AUTOBOOT);
}

/* ---- on the host -------------------------------------------------------- */

static void guest_run(const struct storm *s, int id)
{
	char append[60];

	snprintf(append, sizeof(append), "guest=%d fill=%lu", id, s->fill);
	qemu_run(s->mib, append);
}

static void linux_guests(void)
{
	qemu_make_initramfs("");
	storm(&(struct storm){ .guests = 52,
			       .mib = 1024,
			       .fill = 700,
			       .pause = 10,
			       .patience = 3600,
			       .run = guest_run });
}

static const struct test_case cases[] = {
	{ "more guests than there is memory for", linux_guests, 100000 },
};

QEMU_TEST_MAIN(storm_flags(), guest_main)
