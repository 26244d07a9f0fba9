// SPDX-License-Identifier: GPL-2.0
/*
 * A KVM guest that does one thing at a time: read or write one byte of its
 * memory, through page tables of its own.
 */
#include "lib_kvm.h"

#include <linux/kvm.h>
#include <sys/ioctl.h>

/* mov al,[bx]; hlt - and mov [bx],al; hlt - and inc dword [bx]; hlt */
static const u8 code_read[] = { 0x8a, 0x07, 0xf4 };
static const u8 code_write[] = { 0x88, 0x07, 0xf4 };
static const u8 code_inc[] = { 0x66, 0xff, 0x07, 0xf4 };

#define CODE_AT(vm) ((vm)->pages * PAGE) /* behind its memory */

/* Have @pages at @mem be what the guest sees at @to; 0 pages: nothing any more. */
int vm_slot(struct vm *vm, int slot, unsigned long to, void *mem, size_t pages,
	    unsigned int flags)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = to,
		.memory_size = pages * PAGE,
		.userspace_addr = (unsigned long)mem,
	};

	return ioctl(vm->vm, KVM_SET_USER_MEMORY_REGION, &region);
}

void vm_needed(void)
{
#ifndef __x86_64__
	skip("its KVM guest is an x86 one");
#endif
	if (access("/dev/kvm", F_OK))
		skip("no /dev/kvm");
}

/*
 * A guest with @pages at @mem, and behind them the @more at @behind, that are
 * ours; one processor.
 */
void vm_create(struct vm *vm, void *mem, size_t pages, void *behind,
	       size_t more)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), size;

	if (kvm < 0)
		FAIL("/dev/kvm: %s", strerror(errno));
	vm->mem = mem;
	vm->pages = pages;
	vm->vm = ioctl(kvm, KVM_CREATE_VM, 0);
	CHECK_OP(vm->vm, >=, 0);
	CHECK_EQ(vm_slot(vm, 0, 0, mem, pages, 0), 0);
	CHECK_EQ(vm_slot(vm, 1, pages * PAGE, behind, more, 0), 0);
	vm->vcpu = ioctl(vm->vm, KVM_CREATE_VCPU, 0);
	CHECK_OP(vm->vcpu, >=, 0);
	size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	vm->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu,
		       0);
	CHECK(vm->run != MAP_FAILED);
	close(kvm);
}

void vm_start(struct vm *vm, size_t pages)
{
	u8 *code = map_pages(1);

	memcpy(code + VM_READ, code_read, sizeof(code_read));
	memcpy(code + VM_WRITE, code_write, sizeof(code_write));
	memcpy(code + VM_INC, code_inc, sizeof(code_inc));
	vm_create(vm, map_pages(pages), pages, code, 1);
}

/* Returns the guest's al: what it read. */
u8 vm_do(struct vm *vm, enum vm_does what, unsigned long addr, u8 al)
{
#ifdef __x86_64__
	struct kvm_sregs s;
	struct kvm_regs r = { 0 };

	CHECK_EQ(ioctl(vm->vcpu, KVM_GET_SREGS, &s), 0);
	s.cs.base = CODE_AT(vm);
	s.cs.selector = 0;
	s.ds.base = addr;
	s.ds.selector = 0;
	CHECK_EQ(ioctl(vm->vcpu, KVM_SET_SREGS, &s), 0);
	r.rip = what;
	r.rax = al;
	r.rflags = 2;
	CHECK_EQ(ioctl(vm->vcpu, KVM_SET_REGS, &r), 0);
	CHECK_EQ(ioctl(vm->vcpu, KVM_RUN, 0), 0);
	CHECK_EQ(ioctl(vm->vcpu, KVM_GET_REGS, &r), 0);
	if (vm->run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
		note("KVM: internal error %u at %llx, %u data: %llx %llx %llx",
		     vm->run->internal.suberror, (unsigned long long)r.rip,
		     vm->run->internal.ndata,
		     (unsigned long long)vm->run->internal.data[0],
		     (unsigned long long)vm->run->internal.data[1],
		     (unsigned long long)vm->run->internal.data[2]);
	CHECK_EQ(vm->run->exit_reason, KVM_EXIT_HLT);
	return r.rax;
#else
	(void)vm, (void)what, (void)addr; /* see vm_needed() */
	return al;
#endif
}
