// SPDX-License-Identifier: GPL-2.0
/* vm: manual icount smp=1 mem=1536 timeout=3600 append="slab_nomerge" */
/* vm: modules="kvm_amd virtio_pci virtio_blk ext4" */
/*
 * make bench: uksm and ksmd in turn on the same loads, in one guest. Its CPU
 * executes one instruction in each nanosecond of guest time, so the CPU time
 * of a thread is a count of instructions, however busy the machine is.
 *
 *   BENCH_LOADS    the loads to run, default all; they are the names of the cases
 *   BENCH_ROUNDS   how often each, the order alternates; default 1
 *   BENCH_SCALE    times the pages of each process; default 1
 *   BENCH_ONLY     uksm or ksmd: only that one
 *   BENCH_PROFILE  1: at last, once more with the scan threads sampled
 */
#include "lib_bench.h"

#include <time.h>

static bool wanted(bool ksmd)
{
	const char *only = getenv("BENCH_ONLY");

	return !only || !*only || !strcmp(only, system_name[ksmd]);
}

/* uksm first, then ksmd first, and so on. */
static void in_turn(measure_fn measure_one, const struct load *load)
{
	int n = env_number("BENCH_ROUNDS", 1), i, k;
	struct load l = *load;

	if (!(l.flags & LOAD_SPARSE))
		l.pages *= bench_scale();
	for (i = 0; i < 2 * n; i++) {
		k = (i + i / 2) % 2;
		if (wanted(k))
			measure_one(&l, k, i / 2);
	}
	for (k = 0; k < 2; k++) {
		if (!wanted(k) || !env_number("BENCH_PROFILE", 0))
			continue;
		if (measure_one == bench_load)
			bench_profile(&l, k);
		else if (measure_one == bench_rewritten)
			bench_profile_rewritten(&l, k);
	}
}

#define MIB_PAGES(mib) ((mib)*MIB / PAGE)

#define LOAD(fn, how, ...)                                    \
	static void fn(void)                                  \
	{                                                     \
		static const struct load l = { __VA_ARGS__ }; \
		in_turn(how, &l);                             \
	}

LOAD(mixed, bench_load, "mixed", 4, MIB_PAGES(100), KIND_MIXED, 0)
LOAD(unique, bench_load, "unique", 4, MIB_PAGES(100), KIND_UNIQUE, 0)
LOAD(duplicate, bench_load, "duplicate", 4, MIB_PAGES(100), KIND_DUPLICATE, 0)
LOAD(zero, bench_load, "zero", 4, MIB_PAGES(100), KIND_ZERO, 0)
LOAD(huge, bench_load, "huge", 4, MIB_PAGES(100), KIND_MIXED, LOAD_HUGE)
LOAD(small, bench_load, "small", 100, MIB_PAGES(4), KIND_MIXED, 0)
LOAD(small500, bench_load, "small500", 500, MIB_PAGES(4), KIND_MIXED, 0)
LOAD(large, bench_load, "large", 2, MIB_PAGES(300), KIND_MIXED, 0)
LOAD(guests, bench_load, "guests", 4, MIB_PAGES(64), KIND_GUEST, 0)
LOAD(interpreters, bench_load, "interpreters", 12, 0, KIND_PROGRAMS, 0)
LOAD(rewritten, bench_rewritten, "rewritten", 1, MIB_PAGES(50), KIND_UNIQUE, 0)
LOAD(changing, bench_volatile, "volatile", 1, MIB_PAGES(50), KIND_UNIQUE, 0)
LOAD(sparse, bench_sparse, "sparse", 1, 32, KIND_UNIQUE, LOAD_SPARSE)
LOAD(dense, bench_calls, "dense", 2, MIB_PAGES(32), KIND_DUPLICATE, 0)
LOAD(dense_vm, bench_calls, "dense_vm", 2, MIB_PAGES(32), KIND_DUPLICATE,
     LOAD_VM)
LOAD(beside, bench_beside, "beside", 2, MIB_PAGES(64), KIND_DUPLICATE, 0)
LOAD(reads, bench_calls, "reads", 1, MIB_PAGES(50), KIND_UNIQUE, 0)

/*
 * A loop of known length: does CPU time count instructions? And what an
 * instruction that repeats counts, with which the kernel clears and copies pages.
 */
#ifdef __x86_64__
static double cpu_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

static void clock_counts(void)
{
	long loops = 20000000, n = loops, i;
	static u8 page[PAGE];
	double start, per;

	sysfs_set("run", "0");
	start = cpu_now();
	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(n) : : "cc");
	per = (cpu_now() - start) / (2 * loops);
	note("%ld instructions: %.4f ns each", 2 * loops, per);
	if (per < 0.98 || per > 1.02)
		FAIL("a nanosecond is not an instruction: %.3f", per);
	start = cpu_now();
	for (i = 0; i < 1000; i++) {
		void *to = page;
		long count = PAGE;

		__asm__ volatile("rep stosb"
				 : "+D"(to), "+c"(count)
				 : "a"(0)
				 : "memory");
	}
	note("rep stosb of a page: %.0f ns", (cpu_now() - start) / 1000);
	start = cpu_now();
	for (i = 0; i < 1000; i++) {
		void *to = page, *from = page;
		long count = PAGE / 8;

		__asm__ volatile("rep movsq"
				 : "+D"(to), "+S"(from), "+c"(count)
				 :
				 : "memory");
	}
	note("rep movsq of a page: %.0f ns", (cpu_now() - start) / 1000);
}
#else
static void clock_counts(void)
{
	skip("its loop is in x86 instructions");
}
#endif

static const struct test_case all[] = {
	{ "clock", clock_counts, 60 },	{ "mixed", mixed, 1000 },
	{ "unique", unique, 1000 },	{ "duplicate", duplicate, 1000 },
	{ "zero", zero, 1000 },		{ "huge", huge, 1000 },
	{ "small", small, 1000 },	{ "large", large, 1000 },
	{ "small500", small500, 2000 }, { "guests", guests, 1000 },
	{ "interpreters", interpreters, 2000 },
	{ "rewritten", rewritten, 1000 },
	{ "volatile", changing, 1000 }, { "sparse", sparse, 1000 },
	{ "dense", dense, 1000 },	{ "dense_vm", dense_vm, 1000 },
	{ "reads", reads, 1000 },	{ "beside", beside, 1000 },
};

/* Is @name one of the words of @list? */
static bool listed(const char *list, const char *name)
{
	size_t len = strlen(name);
	const char *at;

	for (at = list; (at = strstr(at, name)); at += len) {
		if ((at == list || at[-1] == ' ') &&
		    (at[len] == ' ' || !at[len]))
			return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	const char *loads = getenv("BENCH_LOADS");
	struct test_case cases[ARRAY_SIZE(all)];
	size_t i, n = 0;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		if (!i || !loads || !*loads || listed(loads, all[i].name))
			cases[n++] = all[i];
	}
	return test_run(argc, argv, cases, n, 0);
}
