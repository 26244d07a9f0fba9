// SPDX-License-Identifier: GPL-2.0
/* vm: manual noload icount mem=256 timeout=300 modules="kvm_amd" */
/*
 * Of the emulator, not of the module: is an interrupt that KVM injects taken
 * once, and with interrupts on? That of QEMU 7.2 fails when it counts
 * instructions, and passes when it does not (run.sh -w). A Linux guest may then
 * wait for a lock of its own for ever; see qemu_run() for what is done about it,
 * of which the second case shows that it helps.
 *
 * The guest is a loop in real mode, with a clock that ticks once a millisecond
 * and a handler that takes a tenth of that.
 */
#include "lib_kvm.h"

#ifdef __x86_64__
#include <linux/kvm.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/time.h>

#define VECTOR 0x20
#define LOOP_AT 0x1000
#define HANDLER_AT 0x1100
#define COUNTS_AT 0x2000 /* with interrupts off; all */
#define STACK 0x8000
#define PIT_HZ 1193182

static const u8 loop[] = {
	0xfb, /* sti */
	0x90, 0xeb, 0xfd, /* nop, for ever */
};

static const u8 leave[] = {
	0x66, 0x50, 0xb0, 0x20, 0xe6, 0x20, 0x66, 0x58, /* out 0x20,al */
};

static const u8 handler[] = {
	0x66, 0x51, 0x55, 0x89, 0xe5, /* push ecx; push bp; mov bp,sp */
	0xf7, 0x46, 0x0a, 0x00, 0x02, /* test word [bp+10],0x200: IF */
	0x75, 0x05, /* jnz */
	0x66, 0xff, 0x06, 0x00, 0x20, /* inc dword [0x2000] */
	0x66, 0xff, 0x06, 0x04, 0x20, /* inc dword [0x2004] */
	0x66, 0xb9, 0x50, 0xc3, 0x00, 0x00, /* mov ecx,50000 */
	0x66, 0x49, 0x75, 0xfc, /* dec ecx; jnz */
	0x5d, 0x66, 0x59, 0xcf, /* pop bp; pop ecx; iret */
};

/* The clock, and an interrupt controller that wants no answer. */
static void make_clock(int vm)
{
	struct kvm_pit_config none = { 0 };
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_PIC_MASTER };
	struct kvm_pit_state2 pit;

	CHECK_EQ(ioctl(vm, KVM_CREATE_IRQCHIP, 0), 0);
	CHECK_EQ(ioctl(vm, KVM_CREATE_PIT2, &none), 0);
	CHECK_EQ(ioctl(vm, KVM_GET_IRQCHIP, &chip), 0);
	chip.chip.pic.imr = 0xfe;
	chip.chip.pic.irq_base = VECTOR;
	chip.chip.pic.auto_eoi = 1;
	CHECK_EQ(ioctl(vm, KVM_SET_IRQCHIP, &chip), 0);
	CHECK_EQ(ioctl(vm, KVM_GET_PIT2, &pit), 0);
	pit.channels[0].count = PIT_HZ / 1000;
	pit.channels[0].mode = 2;
	pit.channels[0].gate = 1;
	CHECK_EQ(ioctl(vm, KVM_SET_PIT2, &pit), 0);
}

static u8 *make_memory(int vm, bool leaves)
{
	size_t size = 16 * PAGE;
	u8 *m = map_pages(size / PAGE), *at = m + HANDLER_AT;
	struct kvm_userspace_memory_region region = {
		.memory_size = size,
		.userspace_addr = (unsigned long)m,
	};

	memcpy(m + LOOP_AT, loop, sizeof(loop));
	if (leaves)
		memcpy(at, leave, sizeof(leave));
	memcpy(at + leaves * sizeof(leave), handler, sizeof(handler));
	*(uint16_t *)(m + 4 * VECTOR) = HANDLER_AT;
	CHECK_EQ(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), 0);
	return m;
}

static int make_processor(int vm)
{
	struct kvm_regs r = { .rip = LOOP_AT, .rsp = STACK, .rflags = 2 };
	int vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	struct kvm_sregs s;

	CHECK_EQ(ioctl(vcpu, KVM_GET_SREGS, &s), 0);
	s.cs.base = 0;
	s.cs.selector = 0;
	CHECK_EQ(ioctl(vcpu, KVM_SET_SREGS, &s), 0);
	CHECK_EQ(ioctl(vcpu, KVM_SET_REGS, &r), 0);
	return vcpu;
}

static void nothing(int sig)
{
	(void)sig;
}

static void ticks(bool leaves)
{
	struct itimerval ten_times = { { 0, 100000 }, { 0, 100000 } };
	double start, secs;
	unsigned int *count;
	int kvm, vm, vcpu;

	vm_needed();
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	make_clock(vm);
	count = (unsigned int *)(make_memory(vm, leaves) + COUNTS_AT);
	vcpu = make_processor(vm);
	signal(SIGALRM, nothing);
	CHECK_EQ(setitimer(ITIMER_REAL, &ten_times, NULL), 0);
	start = now();
	do {
		CHECK_EQ(ioctl(vcpu, KVM_RUN, 0), -1);
		CHECK_EQ(errno, EINTR);
		secs = now() - start;
	} while (secs < 3);
	note("%.0f ticks: %u interrupts, %u of them while interrupts were off",
	     secs * 1000, count[1], count[0]);
	CHECK_OP(count[1], >, 0);
	CHECK_EQ(count[0], 0);
	CHECK_OP(count[1], <=, secs * 1010);
}

#else

static void ticks(bool leaves)
{
	(void)leaves;
	vm_needed();
}

#endif

static void once(void)
{
	ticks(false);
}

static void once_leaving(void)
{
	ticks(true);
}

static const struct test_case cases[] = {
	{ "an interrupt is taken once", once, 60 },
	{ "so it is if its handler begins with an exit to KVM", once_leaving,
	  60 },
};

TEST_MAIN(TEST_NOLOAD)
