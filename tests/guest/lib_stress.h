/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The stress run: stress.c and stress_short.c differ in length only.
 *
 *   lib_stress.c        the oracle: what every page must hold, and the look at it
 *   lib_stress_ops.c    what all threads do to their pages: write, advise, move
 *   lib_stress_writer.c what writers do besides: pins and transfers
 *   lib_stress_mixer.c  what mixers do besides: VMA calls, huge pages, forks
 *   lib_stress_run.c    processes, disturbances from outside, the account
 *
 * The oracle lives in shared memory, which is never merged: a merge that goes
 * wrong cannot make a wrong page look right.
 */
#ifndef UKSM_TEST_LIB_STRESS_H
#define UKSM_TEST_LIB_STRESS_H

#include "lib.h"

#define AREA 512UL /* pages of a thread: one region of the page table */
#define CONTENTS 16U /* templates; the first is all zeros */
#define DEPTH 3 /* a process, its child, and the child's child */
#define WRITERS 6 /* processes that write, pin and never fork */
#define MIXERS 3 /* processes that do everything else */
#define MIXER_THREADS 2
#define THREADS (WRITERS + MIXERS * MIXER_THREADS)
#define LAST_OPS 6
#define DIRECT 32 /* pages of an O_DIRECT transfer, at most */

/* What is done, to be counted and to be named in a report. */
#define STRESS_OPS(OP)                                                         \
	OP(WRITE, "pages written")                                             \
	OP(PASS, "passes over an area")                                        \
	OP(VMSPLICE, "pages given to a pipe and written again")                \
	OP(DIRECT, "O_DIRECT writes and reads")                                \
	OP(REMOTE, "process_vm_writev")                                        \
	OP(MLOCK, "mlock")                                                     \
	OP(PAGEOUT, "MADV_PAGEOUT")                                            \
	OP(COLD, "MADV_COLD")                                                  \
	OP(MOVE, "move_pages")                                                 \
	OP(SOFTDIRTY, "clear_refs")                                            \
	OP(FORK, "fork")                                                       \
	OP(CHILD, "checked in a child")                                        \
	OP(DISCARD, "MADV_DONTNEED")                                           \
	OP(FREE, "MADV_FREE")                                                  \
	OP(REMAP, "unmap and map")                                             \
	OP(RENEW, "whole area mapped anew")                                    \
	OP(PROTECT, "mprotect")                                                \
	OP(SWAP_PLACES, "mremap")                                              \
	OP(HUGE, "huge page")                                                  \
	OP(COLLAPSE, "MADV_COLLAPSE")                                          \
	OP(KILL, "processes killed")                                           \
	OP(EXIT, "processes exited")                                           \
	OP(RECLAIM, "memory.reclaim")                                          \
	OP(LIMIT, "memory.max changed")                                        \
	OP(COMPACT, "compact_memory")                                          \
	OP(MIGRATE, "migrate_pages")                                           \
	OP(STOP, "run=0")                                                      \
	OP(UNMERGE, "run=2")                                                   \
	OP(SETTING, "settings changed")

enum stress_op {
#define STRESS_OP_ENUM(name, text) OP_##name,
	STRESS_OPS(STRESS_OP_ENUM)
#undef STRESS_OP_ENUM
		OPS
};

extern const char *const stress_op_names[OPS];

/**
 * struct want - what a page must hold: a template with one word of its own
 * @val: the word
 * @pos: where
 * @content: the template
 * @lazy: MADV_FREE was called for it: zeros are right as well
 */
struct want {
	u64 val;
	uint16_t pos;
	uint8_t content;
	uint8_t lazy;
};

/**
 * struct slot - one thread's area, as the oracle knows it
 * @base: where it is
 * @rnd: state of the thread's random numbers
 * @depth: of the process, 0 is one that the run has started
 * @child: a child that has not been waited for
 * @nr_ops: operations so far
 * @op: the last of them
 * @want: what its pages must hold
 */
struct slot {
	u8 *base;
	u64 rnd;
	int depth;
	pid_t child;
	unsigned int nr_ops;
	uint8_t op[LAST_OPS];
	struct want want[AREA];
};

/**
 * struct stress - what all processes share
 * @stop: all end, after a last look
 * @quit: the process of that number ends
 * @epoch: contents drift with it
 * @bytes: checked
 * @corrupt: of them, wrong
 * @failed: whatever else went wrong
 * @breaks: merged pages that the writers saw become their own by a write
 * @zero_breaks: the same of zero pages
 * @ops: how often what was done
 * @reports: corrupt pages that were described
 * @disk: device for O_DIRECT
 * @zero_pfn: the kernel's zero page
 * @nodes: NUMA nodes
 * @content: the templates
 * @slot: of each thread, and of its children
 */
struct stress {
	volatile int stop;
	volatile int quit[WRITERS + MIXERS];
	volatile u64 epoch;
	u64 bytes, corrupt, failed, breaks, zero_breaks;
	u64 ops[OPS];
	int reports;
	int disk;
	u64 zero_pfn;
	int nodes;
	u8 content[CONTENTS][PAGE] __attribute__((aligned(4096)));
	struct slot slot[THREADS][DEPTH];
};

extern struct stress *stress;

/* the oracle */
void stress_init(void);
u64 stress_mix(u64 x);
u64 stress_rnd64(struct slot *s);
unsigned int stress_rnd(struct slot *s, unsigned int below);
void stress_count(enum stress_op op, u64 by);
void stress_op(struct slot *s, enum stress_op op);
void stress_failed(const char *what, int err);
u8 *stress_page(struct slot *s, size_t i);
struct want stress_choose(struct slot *s, size_t i);
void stress_make(u8 *page, struct want w);
bool stress_holds(const u8 *page, struct want w);
void stress_put(struct slot *s, size_t i, struct want w);
void stress_forget(struct slot *s, size_t i, size_t n);
void stress_check(struct slot *s, size_t i, size_t n, const char *when);

/* what all do */
void stress_begin(struct slot *s);
void stress_put_all(struct slot *s, size_t i, size_t n);
void stress_pass(struct slot *s, const char *when);
void stress_rest(struct slot *s, unsigned int ms, const char *when);
size_t stress_range(struct slot *s, size_t *n);
void stress_advise(struct slot *s, enum stress_op op, int advice);
void stress_mlock(struct slot *s);
void stress_move(struct slot *s);
void stress_soft_dirty(struct slot *s);
void stress_remote(struct slot *s);
bool stress_over(int nr);

/* the two kinds */
void stress_writer(struct slot *s, int nr);
void stress_mixer(struct slot *s, int nr);

/* the run */
void stress_run(double secs);

#endif
