// SPDX-License-Identifier: GPL-2.0
/* vm: timeout=240 modules="kvm_amd" */
/*
 * Memory of KVM guests: a processor of a guest reads and writes through page
 * tables of its own, which the module reaches by mmu notifiers only. Without
 * them a guest goes on writing to the old page, and its writes are lost; dirty
 * bits of the host's page table do not show what it writes.
 */
#include "lib.h"

#include <linux/kvm.h>
#include <pthread.h>
#include <sys/ioctl.h>

#define N 128UL /* pages of a guest; its code is in one of its own */
#define CODE (N * PAGE)

/**
 * struct guest - a KVM guest with one processor in real mode
 * @mem: its memory, N pages and the code
 * @vcpu: its processor
 * @run: what the processor has to say
 */
struct guest {
	u8 *mem;
	int vm, vcpu;
	struct kvm_run *run;
};

/* mov al,[bx]; hlt - and at 16: mov [bx],al; hlt - and at 32: inc dword [bx] */
static const u8 code_read[] = { 0x8a, 0x07, 0xf4 };
static const u8 code_write[] = { 0x88, 0x07, 0xf4 };
static const u8 code_inc[] = { 0x66, 0xff, 0x07, 0xf4 };

static void guest_start(struct guest *g)
{
	struct kvm_userspace_memory_region region = { 0 };
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int size;

	if (kvm < 0)
		skip("no /dev/kvm: %s", strerror(errno));
	g->mem = map_pages(N + 1);
	g->vm = ioctl(kvm, KVM_CREATE_VM, 0);
	CHECK_OP(g->vm, >=, 0);
	memcpy(g->mem + CODE, code_read, sizeof(code_read));
	memcpy(g->mem + CODE + 16, code_write, sizeof(code_write));
	memcpy(g->mem + CODE + 32, code_inc, sizeof(code_inc));
	region.memory_size = (N + 1) * PAGE;
	region.userspace_addr = (unsigned long)g->mem;
	CHECK_EQ(ioctl(g->vm, KVM_SET_USER_MEMORY_REGION, &region), 0);
	g->vcpu = ioctl(g->vm, KVM_CREATE_VCPU, 0);
	CHECK_OP(g->vcpu, >=, 0);
	size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	g->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, g->vcpu, 0);
	CHECK(g->run != MAP_FAILED);
	close(kvm);
}

/* Have the guest run the code at @ip on the byte at @addr. Returns its al. */
static u8 guest_do(struct guest *g, unsigned int ip, unsigned long addr, u8 al)
{
	struct kvm_sregs s;
	struct kvm_regs r = { 0 };

	CHECK_EQ(ioctl(g->vcpu, KVM_GET_SREGS, &s), 0);
	s.cs.base = CODE;
	s.cs.selector = 0;
	s.ds.base = addr;
	s.ds.selector = 0;
	CHECK_EQ(ioctl(g->vcpu, KVM_SET_SREGS, &s), 0);
	r.rip = ip;
	r.rax = al;
	r.rflags = 2;
	CHECK_EQ(ioctl(g->vcpu, KVM_SET_REGS, &r), 0);
	CHECK_EQ(ioctl(g->vcpu, KVM_RUN, 0), 0);
	CHECK_EQ(g->run->exit_reason, KVM_EXIT_HLT);
	CHECK_EQ(ioctl(g->vcpu, KVM_GET_REGS, &r), 0);
	return r.rax;
}

static void two_guests(struct guest *a, struct guest *b, u64 seed)
{
	guest_start(a);
	guest_start(b);
	fill(a->mem, N, seed, 0);
	fill(b->mem, N, seed, 0);
}

static void written_by_guest(void)
{
	struct guest a, b;
	u8 copy[PAGE];
	size_t i;

	two_guests(&a, &b, 400);
	/* Both processors have mapped it all, for writing. */
	for (i = 0; i < N; i++) {
		u8 v = guest_do(&a, 0, i * PAGE + 9, 0);

		CHECK_EQ(v, a.mem[i * PAGE + 9]);
		guest_do(&a, 16, i * PAGE + 9, v);
		guest_do(&b, 16, i * PAGE + 9, v);
	}
	CHECK_SOON_EQ(count_same(getpid(), a.mem, getpid(), b.mem, N), N, LONG);
	for (i = 0; i < N; i++) {
		memcpy(copy, b.mem + i * PAGE, PAGE);
		guest_do(&a, 16, i * PAGE + 9, (u8)~copy[9]);
		CHECK_EQ(a.mem[i * PAGE + 9], (u8)~copy[9]);
		CHECK_EQ(memcmp(b.mem + i * PAGE, copy, PAGE), 0);
		CHECK_EQ(guest_do(&b, 0, i * PAGE + 9, 0), copy[9]);
		CHECK_EQ(guest_do(&a, 0, i * PAGE + 9, 0), (u8)~copy[9]);
	}
	CHECK_EQ(bad_pages(b.mem, N, 400, 0), 0);
}

/* What a guest made equal by itself is found: no dirty bit tells of it. */
static void made_equal_by_guest(void)
{
	struct guest a, b;
	size_t i;

	two_guests(&a, &b, 401);
	for (i = 0; i < N; i++)
		a.mem[i * PAGE + 100] ^= 0xff;
	for (i = 0; i < N; i++)
		guest_do(&a, 0, i * PAGE, 0);
	settle(4);
	CHECK_EQ(count_same(getpid(), a.mem, getpid(), b.mem, N), 0);
	for (i = 0; i < N; i++)
		guest_do(&a, 16, i * PAGE + 100, b.mem[i * PAGE + 100]);
	CHECK_SOON_EQ(count_same(getpid(), a.mem, getpid(), b.mem, N), N, LONG);
	CHECK_EQ(bad_pages(a.mem, N, 401, 0), 0);
}

static struct guest racing[2];
static volatile bool stop;

/* A processor counts in every page; nothing else writes there. */
static void *race(void *arg)
{
	struct guest *g = arg;
	uintptr_t rounds = 0;
	size_t i;

	while (!stop) {
		for (i = 0; i < N; i++)
			guest_do(g, 32, i * PAGE + 64, 0);
		rounds++;
		if (!(rounds % 8))
			msleep(150); /* time to be merged in */
	}
	return (void *)rounds;
}

static void raced(void)
{
	pthread_t t[2];
	void *rounds;
	size_t i, k;

	for (k = 0; k < 2; k++) {
		guest_start(&racing[k]);
		memset(racing[k].mem, 0, N * PAGE);
		for (i = 0; i < N; i++)
			*(u64 *)(racing[k].mem + i * PAGE) = i;
	}
	sysfs_set("use_zero_pages", "0");
	for (k = 0; k < 2; k++)
		CHECK_EQ(pthread_create(&t[k], NULL, race, &racing[k]), 0);
	msleep(15000);
	stop = true;
	for (k = 0; k < 2; k++) {
		pthread_join(t[k], &rounds);
		note("guest %zu: %lu rounds", k, (unsigned long)rounds);
		for (i = 0; i < N; i++) {
			CHECK_EQ(*(uint32_t *)(racing[k].mem + i * PAGE + 64),
				 (uint32_t)(uintptr_t)rounds);
			CHECK_EQ(*(u64 *)(racing[k].mem + i * PAGE), i);
		}
	}
}

static const struct test_case cases[] = {
	{ "a guest writes to what was merged", written_by_guest, 90 },
	{ "a guest makes pages equal", made_equal_by_guest, 90 },
	{ "guests write while their memory is merged", raced, 90 },
};

TEST_MAIN(0)
