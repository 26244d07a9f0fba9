/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the benchmark is made of.
 *
 *   bench.c              one case for each load
 *   lib_bench.c          the two systems, uksm and ksmd, and samples of them
 *   lib_bench_loads.c    processes with memory of known content, and its ideal
 *   lib_bench_programs.c interpreters, as a load
 *   lib_bench_measure.c  what is measured of a system on a load
 *   lib_bench_profile.c  where the scan thread spends its time
 *   lib_bench_probe.c    how often functions of the kernel are called
 *
 * What it finds goes out as lines that scripts/bench.sh reads:
 *   # figure LOAD SYSTEM ROUND NAME VALUE
 *   # sample LOAD SYSTEM ROUND MILLISECONDS CPU_MICROSECONDS SAVED SCANS UNSHARED
 *   # profile LOAD SYSTEM PHASE SAMPLES PLACE FUNCTION LEAF
 */
#ifndef UKSM_TEST_LIB_BENCH_H
#define UKSM_TEST_LIB_BENCH_H

#include "lib.h"

#define BENCH_PROCS 512

/* ---- loads (lib_bench_loads.c) ---- */

/**
 * struct load - processes, and what is in their memory
 * @name: as it is named on the command line
 * @procs: how many processes
 * @pages: of each
 * @kind: of its pages, see lib_bench_loads.c
 * @flags: LOAD_*
 */
struct load {
	const char *name;
	int procs;
	size_t pages;
	int kind;
	int flags;
};

enum {
	KIND_MIXED, /* a half in all processes, a tenth zeros, the rest unique */
	KIND_UNIQUE,
	KIND_DUPLICATE, /* in all processes */
	KIND_ZERO,
	KIND_GUEST, /* as a KVM guest fills it: nine tenths in all */
	KIND_PROGRAMS, /* of interpreters; @pages is not known before */
};

#define LOAD_HUGE 1 /* in huge pages */
#define LOAD_VM 2 /* a virtual machine's memory */
#define LOAD_SPARSE 4 /* each page in a TiB of its own */

/**
 * struct ideal - what an exact count of a load's contents says
 * @pages: pages there are
 * @distinct: different contents, zeros not among them
 * @zero: pages of zeros
 * @saved: pages that can be saved: all but one of each content, all zeros
 * @sum: of all contents, in their order
 */
struct ideal {
	long long pages, distinct, zero, saved;
	u64 sum;
};

/**
 * struct area - pages of a load that follow each other
 * @pid: whose
 * @at: where
 * @pages: how many
 */
struct area {
	pid_t pid;
	u8 *at;
	size_t pages;
};

void load_start(const struct load *l);
void load_count(const struct load *l, struct ideal *ideal);
long long load_frames(void);
void area_add(pid_t pid, void *at, size_t pages);
void programs_start(const struct load *l);
void load_rewrite(const struct load *l, u64 gen);
void load_requests(const struct load *l, u64 *ns, size_t n);
void load_keep_rewriting(const struct load *l);
void load_end(const struct load *l);
void sort_numbers(u64 *numbers, size_t n);

/* ---- systems (lib_bench.c) ---- */

/**
 * struct sample - one reading
 * @at: guest time, in nanoseconds
 * @cpu: CPU time of the scan thread, in nanoseconds
 * @saved: pages
 * @scans: rounds completed
 * @scanned: pages_scanned; 0 if this kernel does not count them
 * @unshared: pages_unshared
 */
struct sample {
	long long at, cpu, saved, scans, scanned, unshared;
};

extern const char *const system_name[2];

void system_choose(bool ksmd);
void system_fresh(void);
void system_count_by_memory(void);
void system_run(void);
void system_clear(void);
long long system_metadata(void);
void system_sample(struct sample *s);
long long now_ns(void);
pid_t system_thread(void);

/* ---- measurements (lib_bench_measure.c) ---- */

typedef void (*measure_fn)(const struct load *l, bool ksmd, int round);

int bench_scale(void);
void bench_load(const struct load *l, bool ksmd, int round);
void bench_rewritten(const struct load *l, bool ksmd, int round);
void bench_volatile(const struct load *l, bool ksmd, int round);
void bench_sparse(const struct load *l, bool ksmd, int round);
void bench_calls(const struct load *l, bool ksmd, int round);
void bench_beside(const struct load *l, bool ksmd, int round);
void bench_profile(const struct load *l, bool ksmd);
void bench_profile_rewritten(const struct load *l, bool ksmd);

/* ---- profile (lib_bench_profile.c) ---- */

void profile_start(pid_t thread);
void profile_drain(void);
void profile_end(const char *load, const char *phase);

/* ---- probes (lib_bench_probe.c) ---- */

void probes_start(void);
void probes_end(void);
long long probe_hits(const char *function);

#endif
