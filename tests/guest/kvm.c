// SPDX-License-Identifier: GPL-2.0
/* vm: timeout=240 modules="kvm_amd" turns */
/*
 * Memory of KVM guests: a processor of a guest reads and writes through page
 * tables of its own, which the module reaches by mmu notifiers only. Without
 * them a guest goes on writing to the old page, and its writes are lost; dirty
 * bits of the host's page table do not show what it writes.
 */
#include "lib_kvm.h"

#include <pthread.h>

#define N 128UL /* pages of a guest */

static void two_guests(struct vm *a, struct vm *b, u64 seed)
{
	vm_needed();
	vm_start(a, N);
	vm_start(b, N);
	fill(a->mem, N, seed, 0);
	fill(b->mem, N, seed, 0);
}

static void written_by_guest(void)
{
	struct vm a, b;
	u8 copy[PAGE];
	size_t i;

	two_guests(&a, &b, 400);
	/* Both processors have mapped it all, for writing. */
	for (i = 0; i < N; i++) {
		u8 v = vm_do(&a, VM_READ, i * PAGE + 9, 0);

		CHECK_EQ(v, a.mem[i * PAGE + 9]);
		vm_do(&a, VM_WRITE, i * PAGE + 9, v);
		vm_do(&b, VM_WRITE, i * PAGE + 9, v);
	}
	CHECK_SOON_EQ(count_same(getpid(), a.mem, getpid(), b.mem, N), N, LONG);
	for (i = 0; i < N; i++) {
		memcpy(copy, b.mem + i * PAGE, PAGE);
		vm_do(&a, VM_WRITE, i * PAGE + 9, (u8)~copy[9]);
		CHECK_EQ(a.mem[i * PAGE + 9], (u8)~copy[9]);
		CHECK_EQ(memcmp(b.mem + i * PAGE, copy, PAGE), 0);
		CHECK_EQ(vm_do(&b, VM_READ, i * PAGE + 9, 0), copy[9]);
		CHECK_EQ(vm_do(&a, VM_READ, i * PAGE + 9, 0), (u8)~copy[9]);
	}
	CHECK_EQ(bad_pages(b.mem, N, 400, 0), 0);
}

/* What a guest made equal by itself is found: no dirty bit tells of it. */
static void made_equal_by_guest(void)
{
	struct vm a, b;
	size_t i;

	two_guests(&a, &b, 401);
	for (i = 0; i < N; i++)
		a.mem[i * PAGE + 100] ^= 0xff;
	for (i = 0; i < N; i++)
		vm_do(&a, VM_READ, i * PAGE, 0);
	settle(4);
	CHECK_EQ(count_same(getpid(), a.mem, getpid(), b.mem, N), 0);
	for (i = 0; i < N; i++)
		vm_do(&a, VM_WRITE, i * PAGE + 100, b.mem[i * PAGE + 100]);
	CHECK_SOON_EQ(count_same(getpid(), a.mem, getpid(), b.mem, N), N, LONG);
	CHECK_EQ(bad_pages(a.mem, N, 401, 0), 0);
}

static struct vm racing[2];
static volatile bool stop;

/* A processor counts in every page; nothing else writes there. */
static void *race(void *arg)
{
	struct vm *g = arg;
	uintptr_t rounds = 0;
	size_t i;

	while (!stop) {
		for (i = 0; i < N; i++)
			vm_do(g, VM_INC, i * PAGE + 64, 0);
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

	vm_needed();
	for (k = 0; k < 2; k++) {
		vm_start(&racing[k], N);
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
