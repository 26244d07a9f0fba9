/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the guest tests share.
 *
 *   lib_ktap.c   cases: a fork and a time limit each, KTAP output, kernel log watched
 *   lib_hung.c   what a case that takes too long was doing
 *   lib_sysfs.c  the module's files: read, write, counters, waiting for scans
 *   lib_mem.c    memory of known content, page frame numbers, page flags
 *   lib_proc.c   worker processes that do what the test tells them
 *   lib_trio.c   an area, and two of a worker that are equal to it
 *   lib_sys.c    the machine: meminfo, control groups, swap, loading modules
 *
 * A test is a program with a table of cases and TEST_MAIN(). A case runs in a
 * process of its own and returns (pass), or ends in fail() or skip(). Before
 * each case the module is told to unmerge everything and its files are set to
 * fast_settings().
 *
 * With TEST_KSMD=1 in the environment the programs drive the kernel's own KSM
 * in place of the module. That checks the tests, not the module: what it can
 * do at all (scope=madvise, merge_domain=global) must pass with it.
 */
#ifndef UKSM_TEST_LIB_H
#define UKSM_TEST_LIB_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

typedef uint64_t u64;
typedef unsigned char u8;

#define PAGE 4096UL
#define MIB (1024UL * 1024)
#define HPAGE (2 * MIB) /* a huge page; what one page table maps */
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* what the C library may not know yet */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif
#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#endif
#ifndef PR_GET_MEMORY_MERGE
#define PR_GET_MEMORY_MERGE 68
#endif

/* ---- cases (lib_ktap.c) ---- */

/**
 * struct test_case - one thing that is proved
 * @name: what is proved, as printed
 * @fn: runs in a process of its own; returning means it passed
 * @limit: seconds after which the case is killed and counts as failed
 */
struct test_case {
	const char *name;
	void (*fn)(void);
	unsigned int limit;
};

/* test_run() flags */
#define TEST_NOLOAD 1 /* the program loads the module itself */

int test_run(int argc, char **argv, const struct test_case *cases, size_t n,
	     unsigned int flags);

/* the program of a file that has a table named cases[] */
#define TEST_MAIN(flags)                                                       \
	int main(int argc, char **argv)                                        \
	{                                                                      \
		return test_run(argc, argv, cases, ARRAY_SIZE(cases), flags);  \
	}

void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), noreturn));
void skip(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
double now(void);
int slowness(void);
void msleep(unsigned int ms);
void hung_print(pid_t group);

#define FAIL(...) fail(__FILE__, __LINE__, __VA_ARGS__)

#define CHECK(cond)                                                            \
	do {                                                                   \
		if (!(cond))                                                   \
			FAIL("not true: %s", #cond);                           \
	} while (0)

#define CHECK_OP(a, op, b)                                                     \
	do {                                                                   \
		long long a_ = (long long)(a);                                 \
		long long b_ = (long long)(b);                                 \
		if (!(a_ op b_))                                               \
			FAIL("not true: %s %s %s (%lld, %lld)", #a, #op, #b,   \
			     a_, b_);                                          \
	} while (0)

#define CHECK_EQ(a, b) CHECK_OP(a, ==, b)

/* true as soon as @cond is; false when it still is not after @secs */
#define WAIT_FOR(cond, secs)                                                   \
	({                                                                     \
		double end_ = now() + (secs);                                  \
		bool ok_;                                                      \
		while (!(ok_ = !!(cond)) && now() < end_)                      \
			msleep(50);                                            \
		ok_;                                                           \
	})

#define CHECK_SOON(cond, secs)                                                 \
	do {                                                                   \
		if (!WAIT_FOR(cond, secs))                                     \
			FAIL("still not true after %d s: %s", (int)(secs),     \
			     #cond);                                           \
	} while (0)

/* waits for @expr to become @want and says what it was when it does not */
#define CHECK_SOON_EQ(expr, want, secs)                                        \
	do {                                                                   \
		long long w_ = (long long)(want), g_ = 0;                      \
		if (!WAIT_FOR((g_ = (long long)(expr)) == w_, secs))           \
			FAIL("after %d s: %s is %lld, not %lld", (int)(secs),  \
			     #expr, g_, w_);                                   \
	} while (0)

/* how long a merge that has to come may take in a slow guest, in seconds */
#define LONG (40 * slowness())

/* ---- the module's files (lib_sysfs.c) ---- */

/**
 * struct counters - one reading of all the read-only files
 *
 * A file that does not exist reads as -1.
 */
struct counters {
	long long full_scans, pages_scanned, shared, sharing, unshared;
	long long vol, skipped, zero, profit, metadata;
};

bool on_ksmd(void);
const char *sysfs_dir(void);
bool sysfs_has(const char *file);
int sysfs_write(const char *file, const char *value);
int sysfs_read(const char *file, char *buf, size_t size);
long long sysfs_num(const char *file);
void sysfs_set(const char *file, const char *value);
void sysfs_set_num(const char *file, long long value);
int sysfs_choice(const char *file, char *buf, size_t size);

void counters_get(struct counters *c);
void counters_print(const char *when);
void fast_settings(void);
void unmerge_all(void);
void marked_only(void);
bool is_marked_only(void);
void settle(int scans);

/* ---- memory (lib_mem.c) ---- */

void page_fill(void *page, u64 seed, u64 index);
bool page_is(const void *page, u64 seed, u64 index);
void *map_pages(size_t n);
void *map_marked(size_t n);
void *map_aligned(size_t n);
void *map_filled(size_t n, u64 seed, u64 first);
void mark_mergeable(void *p, size_t n);
void no_huge_pages(void *p, size_t n);
void fill(void *p, size_t n, u64 seed, u64 first);
size_t bad_pages(const void *p, size_t n, u64 seed, u64 first);
size_t bad_zero(const void *p, size_t n);

#define KPF_SWAPBACKED_BIT 14
#define KPF_KSM_BIT 21
#define KPF_THP_BIT 22
#define KPF_ZERO_BIT 24
#define KPF_EXCLUSIVE_BIT 34

void pagemap_read(pid_t pid, const void *p, size_t n, u64 *out);
u64 pfn_of(pid_t pid, const void *p);
u64 kpageflags(u64 pfn);
size_t count_present(pid_t pid, const void *p, size_t n);
size_t count_swapped(pid_t pid, const void *p, size_t n);
size_t count_merged(pid_t pid, const void *p, size_t n);
size_t count_mapped_twice(pid_t pid, const void *p, size_t n);
size_t count_zero(pid_t pid, const void *p, size_t n);
size_t count_charged(pid_t pid, const void *p, size_t n, u64 group);
size_t count_same(pid_t a, const void *pa, pid_t b, const void *pb, size_t n);
size_t count_same_pfn(pid_t a, const void *pa, pid_t b, const void *pb,
		      size_t n);
long long smaps_ksm_kb(pid_t pid, const void *p, size_t n);
size_t count_frames(pid_t pid, const void *p, size_t n, size_t *most);

/* ---- workers (lib_proc.c) ---- */

typedef long (*worker_fn)(long a, long b, long c, long d);

/**
 * struct worker - a process that runs functions of the test for it
 * @pid: its process id
 * @to: where the test writes calls
 * @from: where it reads their results
 */
struct worker {
	pid_t pid;
	int to, from;
};

void worker_start(struct worker *w);
void worker_start_uid(struct worker *w, uid_t uid);
void worker_start_exec(struct worker *w);
int worker_child(int argc, char **argv);
void worker_send(struct worker *w, worker_fn fn, long a, long b, long c,
		 long d);
long worker_wait(struct worker *w);
long worker_call4(struct worker *w, worker_fn fn, long a, long b, long c,
		  long d);
void worker_exit(struct worker *w);
void worker_kill(struct worker *w);
void worker_exec_away(struct worker *w);

#define CALL_PICK_(w, fn, a, b, c, d, ...)                                     \
	worker_call4(w, fn, (long)(a), (long)(b), (long)(c), (long)(d))
#define worker_call(w, ...) CALL_PICK_(w, __VA_ARGS__, 0, 0, 0, 0)

/* what most workers are asked to do */
long w_map(long pages, long unused1, long unused2, long unused3);
long w_map_marked(long pages, long unused1, long unused2, long unused3);
long w_fill(long p, long pages, long seed, long first);
long w_bad(long p, long pages, long seed, long first);
long w_bad_zero(long p, long pages, long unused1, long unused2);
long w_munmap(long p, long pages, long unused1, long unused2);
long w_madvise(long p, long pages, long advice, long unused1);
long w_mprotect(long p, long pages, long prot, long unused1);
long w_prctl(long option, long arg, long unused1, long unused2);

void *worker_map_filled(struct worker *w, size_t pages, u64 seed, u64 first);
size_t worker_bad(struct worker *w, const void *p, size_t pages, u64 seed,
		  u64 first);
void worker_fill(struct worker *w, void *p, size_t pages, u64 seed, u64 first);
bool worker_pageout(struct worker *w, void *p, size_t pages);

void worker_trace(struct worker *w);
void worker_untrace(struct worker *w);

/* ---- three equal areas (lib_trio.c) ---- */

/**
 * struct trio - three areas of equal pages
 * @w: the owner of two of them
 * @mine: the one in question, in the process of the case
 * @theirs: the worker's
 * @witness: the worker's as well
 * @n: pages of each
 * @seed: of their contents
 */
struct trio {
	struct worker w;
	u8 *mine, *theirs, *witness;
	size_t n;
	u64 seed;
};

void trio_start(struct trio *t, size_t n, u64 seed);
void trio_make(struct trio *t, size_t n, u64 seed);
void trio_merge(struct trio *t);
void trio_scan(struct trio *t);
void trio_check(struct trio *t, u64 seed);
size_t trio_merged(struct trio *t);

/* ---- the machine (lib_sys.c) ---- */

int file_write(const char *path, const char *value);
int file_read(const char *path, char *buf, size_t size);
long long file_num(const char *path);
long long file_keyed(const char *path, const char *key);
long long meminfo_kb(const char *key);
long long free_kb(void);
long long vmstat(const char *key);
long long status_kb(pid_t pid, const char *key);
bool module_loaded(void);
const char *module_path(void);
int module_load(const char *params);
int module_unload(void);
int log_open(void);
int log_find(int fd, const char *const *words, char *line, size_t size);
void cgroup_make(const char *name);
void cgroup_set(const char *name, const char *file, const char *value);
int cgroup_try(const char *name, const char *file, const char *value);
void cgroup_enter(const char *name, pid_t pid);
void cgroup_remove(const char *name);
long long cgroup_num(const char *name, const char *file);
long long cgroup_keyed(const char *name, const char *file, const char *key);
u64 cgroup_inode(const char *name);
long long thread_cpu_ns(const char *comm, int *threads);
int threads_named(const char *comm);
void need_nodes(void);
pid_t thread_pid(const char *comm);
bool run_on(pid_t pid, int cpu);
long env_number(const char *name, long fallback);

#endif
