// SPDX-License-Identifier: GPL-2.0
/*
 * Linux guests under QEMU: see lib_qemu.h.
 */
#include "lib_qemu.h"

#include <termios.h>

#define QEMU "/usr/bin/qemu-system-x86_64"
#define IN "/tmp/in"

/* This program, and those of busybox that are named, if any. */
void qemu_make_initramfs(const char *applets)
{
	char command[400];

	snprintf(command, sizeof(command),
		 "mkdir -p " IN "/dev " IN "/bin && cd " IN
		 " && cp /proc/$PPID/exe init && for p in %s; do"
		 " cp -u /bin/busybox bin && ln -sf busybox bin/$p; done"
		 " && find . | cpio -o -H newc >" IN ".cpio 2>/dev/null",
		 applets);
	CHECK_EQ(system(command), 0);
}

/*
 * Become a guest with that many MiB, whose serial port is standard input and
 * output. Its memory is marked as mergeable for ksmd only.
 *
 * An emulator that counts instructions (-icount) gives a KVM guest an interrupt
 * a second time, be they off or not, if its own timer is due before the guest
 * has left for KVM again. With each end of an interrupt being such an exit, that
 * is over before the guest's kernel takes a lock; but for those of the clock, if
 * it was idle.
 */
void qemu_run(unsigned long mib, const char *append)
{
	char memory[20], machine[64], line[300];

	snprintf(memory, sizeof(memory), "%lu", mib);
	snprintf(machine, sizeof(machine), "pc,accel=kvm,mem-merge=%s",
		 on_ksmd() ? "on" : "off");
	snprintf(line, sizeof(line),
		 "console=ttyS0 quiet edd=off panic=-1 oops=panic %s", append);
	execl(QEMU, QEMU, "-nodefaults", "-no-user-config", "-display", "none",
	      "-no-reboot", "-machine", machine, "-cpu", "host,kvm-pv-eoi=off",
	      "-m", memory, "-kernel", "/vmlinuz", "-initrd", IN ".cpio",
	      "-append", line, "-serial", "stdio", NULL);
	FAIL(QEMU ": %s", strerror(errno));
}

/* In the guest, first of all: what is said is sent as it is. */
void qemu_guest_init(void)
{
	struct termios t;

	if (tcgetattr(STDIN_FILENO, &t))
		return;
	cfmakeraw(&t);
	tcsetattr(STDIN_FILENO, TCSANOW, &t);
}
