/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A KVM guest that does one thing at a time, for kvm.c and kvm_host.c.
 */
#ifndef UKSM_TEST_LIB_KVM_H
#define UKSM_TEST_LIB_KVM_H

#include "lib.h"

struct kvm_run;

/**
 * struct vm - a KVM guest with one processor in real mode
 * @mem: its memory, @pages of it and then its code
 * @pages: how many, at physical address 0
 * @vm: the guest
 * @vcpu: its processor
 * @run: what the processor has to say
 */
struct vm {
	u8 *mem;
	size_t pages;
	int vm, vcpu;
	struct kvm_run *run;
};

/* What it can do, with the byte at an address. */
enum vm_does {
	VM_READ = 0, /* return it */
	VM_WRITE = 16, /* change it to @al */
	VM_INC = 32, /* count up the 32 bits there */
};

void vm_needed(void);
void vm_create(struct vm *vm, void *mem, size_t pages, void *behind,
	       size_t more);
void vm_start(struct vm *vm, size_t pages);
int vm_slot(struct vm *vm, int slot, unsigned long to, void *mem, size_t pages,
	    unsigned int flags);
u8 vm_do(struct vm *vm, enum vm_does what, unsigned long addr, u8 al);

#endif
