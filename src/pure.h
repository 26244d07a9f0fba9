/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pure.h - lets code that touches nothing of the kernel build in user space
 *
 * bytes.c, digest.c, index.c, region.c, pace.c and btf.c include this and nothing else of
 * the kernel, and are unit-tested with sanitizers by tests/unit.
 */
#ifndef UKSM_PURE_H
#define UKSM_PURE_H

#ifdef __KERNEL__
#include <linux/bits.h>
#include <linux/bitops.h>
#include <linux/instrumented.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/types.h>
#include <linux/xxhash.h>
/* In what takes long. */
#define uksm_breathe() cond_resched()
#ifdef CONFIG_X86_64
#include <asm/fpu/api.h>
/* Task context; in between there is no preemption, or are no softirqs. */
#define uksm_vector_begin() kernel_fpu_begin()
#define uksm_vector_end() kernel_fpu_end()
#endif
#else
#include "pure_user.h"
#endif

#ifndef uksm_vector_begin
#define uksm_vector_begin() ((void)0)
#define uksm_vector_end() ((void)0)
#endif

/* A region is what one page table of 4 KiB pages maps. */
#define UKSM_REGION_SHIFT 21
#define UKSM_REGION_SIZE BIT(UKSM_REGION_SHIFT)
#define UKSM_REGION_MASK (~(UKSM_REGION_SIZE - 1))
#define UKSM_REGION_PAGES (UKSM_REGION_SIZE / PAGE_SIZE)

#endif /* UKSM_PURE_H */
