// SPDX-License-Identifier: GPL-2.0
/*
 * The loads: processes whose memory is marked as mergeable (so that both systems
 * take it, and nothing else), filled page by page.
 */
#include "lib_bench.h"
#include "lib_kvm.h"
#include "lib_storm.h"

#include <time.h>

/* Seeds of contents. */
#define IN_ALL 1
#define IN_ONE 1000 /* and the number of the process */

static struct worker workers[BENCH_PROCS];

/* Where the load is; of workers each has one, in their order. */
static struct area *areas;
static size_t nr_areas, nr_pages;

/* For all processes to see: a hash of each page, or the cost of each request. */
#define ROOM (1UL << 24)
static u64 *hashes;

static void fill_one(u8 *page, int kind, long proc, size_t i)
{
	switch (kind) {
	case KIND_MIXED: /* a half in all processes, a tenth zeros */
		if (i % 10 == 5)
			memset(page, 0, PAGE);
		else if (i % 10 < 5)
			page_fill(page, IN_ALL, i);
		else
			page_fill(page, IN_ONE + proc, i);
		break;
	case KIND_UNIQUE:
		page_fill(page, IN_ONE + proc, i);
		break;
	case KIND_DUPLICATE:
		page_fill(page, IN_ALL, i);
		break;
	case KIND_ZERO:
		memset(page, 0, PAGE);
		break;
	}
}

/* The addresses of a sparse load's pages lie that far apart. */
#define TIB (1UL << 40)

static size_t stride(const struct load *l)
{
	return l->flags & LOAD_SPARSE ? TIB : PAGE;
}

static u8 *load_map(const struct load *l)
{
	static struct vm vm;
	u8 *p;

	if (l->kind == KIND_GUEST)
		return machine_start(l->pages, false);
	if (l->flags & LOAD_VM) {
		vm_start(&vm, l->pages);
		return vm.mem;
	}
	if (l->flags & LOAD_HUGE) {
		p = map_aligned(l->pages);
		return madvise(p, l->pages * PAGE, MADV_HUGEPAGE) ? NULL : p;
	}
	if (l->flags & LOAD_SPARSE) {
		p = mmap(NULL, l->pages * TIB, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (p == MAP_FAILED)
			return NULL;
		no_huge_pages(p, l->pages * (TIB / PAGE));
		mark_mergeable(p, l->pages * (TIB / PAGE));
		return p;
	}
	return map_pages(l->pages);
}

static long w_load(long at, long proc, long c, long d)
{
	const struct load *l = (const struct load *)at;
	u8 *p = load_map(l);
	size_t i;

	(void)c, (void)d;
	if (!p)
		return 0;
	mark_mergeable(p, l->pages);
	if (l->kind == KIND_GUEST)
		machine_fill(proc, 0, l->pages);
	for (i = 0; l->kind != KIND_GUEST && i < l->pages; i++)
		fill_one(p + i * stride(l), l->kind, proc, i);
	return (long)p;
}

/* Two lanes, so that words can be told from each other's places. */
static u64 hash_page(const u8 *page)
{
	const u64 *w = (const u64 *)page;
	u64 a = 1, b = 2;
	size_t i;

	for (i = 0; i < PAGE / sizeof(*w); i += 2) {
		a = (a ^ w[i]) * 0x9e3779b97f4a7c15ULL;
		b = (b ^ w[i + 1]) * 0xbf58476d1ce4e5b9ULL;
		a ^= a >> 29;
		b ^= b >> 31;
	}
	return a ^ (b << 17 | b >> 47);
}

static long w_hash(long p, long pages, long first, long d)
{
	long i;

	(void)d;
	for (i = 0; i < pages; i++)
		hashes[first + i] = hash_page((u8 *)p + i * PAGE);
	return 0;
}

/* A word of each page, so that no two pages become equal and none stays as it was. */
static long w_rewrite(long p, long pages, long gen, long d)
{
	long i;

	(void)d;
	for (i = 0; i < pages; i++)
		((u64 *)(p + i * PAGE))[PAGE / 16] = (u64)gen << 32 | i;
	return 0;
}

static long w_keep_rewriting(long p, long pages, long c, long d)
{
	long gen;

	(void)c, (void)d;
	for (gen = 1;; gen++) {
		w_rewrite(p, pages, gen, 0);
		msleep(2);
	}
	return 0;
}

static u64 cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/*
 * A program that uses its memory: a request reads 64 words anywhere and writes
 * 16 in the hot quarter; one in a thousand writes a word anywhere. What it writes
 * is not what others have.
 */
static long w_requests(long p, long pages, long n, long d)
{
	u64 random = 1, *mem = (u64 *)p;
	volatile u64 seen = 0;
	size_t words = pages * PAGE / sizeof(*mem);
	long i;
	int j;

	(void)d;
	for (i = 0; i < n; i++) {
		u64 start = cpu_ns();

		for (j = 0; j < 80; j++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			if (j < 64)
				seen += mem[random % words];
			else
				mem[random % (words / 4)] = random;
		}
		if (i % 1000 == 0)
			mem[random % words] = random;
		hashes[i] = cpu_ns() - start;
	}
	return 0;
}

void area_add(pid_t pid, void *at, size_t pages)
{
	if (!(nr_areas & (nr_areas - 1)))
		areas = realloc(areas, (2 * nr_areas + 1) * sizeof(*areas));
	CHECK(areas);
	areas[nr_areas++] = (struct area){ pid, at, pages };
	nr_pages += pages;
	CHECK_OP(nr_pages, <=, ROOM);
}

/* Processes of their own, their memory filled. */
static void workers_start(const struct load *l)
{
	size_t total = l->procs * l->pages;
	int k;

	if (l->flags & LOAD_VM || l->kind == KIND_GUEST)
		vm_needed();
	if (!(l->flags & LOAD_SPARSE) &&
	    meminfo_kb("MemAvailable") < (long long)total * 17 / 4)
		skip("%s needs a guest with %zu MiB or more", l->name,
		     total / 240 + 128);
	nr_areas = nr_pages = 0;
	for (k = 0; k < l->procs; k++) {
		void *at;

		worker_start(&workers[k]);
		at = (void *)worker_call(&workers[k], w_load, l, k);
		CHECK(at);
		area_add(workers[k].pid, at, l->pages);
	}
}

void load_start(const struct load *l)
{
	if (!hashes)
		hashes = mmap(NULL, ROOM * sizeof(*hashes),
			      PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			      0);
	CHECK(hashes != MAP_FAILED);
	if (l->kind == KIND_PROGRAMS)
		programs_start(l);
	else
		workers_start(l);
}

static int by_value(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

void sort_numbers(u64 *numbers, size_t n)
{
	qsort(numbers, n, sizeof(*numbers), by_value);
}

/* From outside, for a process that does nothing for us. */
static void hash_area(const struct area *a, u64 *hash)
{
	static u8 page[PAGE] __attribute__((aligned(8)));
	char path[64];
	size_t i;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", a->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK_OP(fd, >=, 0);
	for (i = 0; i < a->pages; i++) {
		CHECK_EQ(pread(fd, page, PAGE, (off_t)(a->at + i * PAGE)),
			 PAGE);
		hash[i] = hash_page(page);
	}
	close(fd);
}

/* Reads every byte of the load. */
void load_count(const struct load *l, struct ideal *ideal)
{
	static const u8 zeros[PAGE] __attribute__((aligned(8)));
	u64 zero = hash_page(zeros), *h = hashes;
	size_t i, k, n = 0;

	for (k = 0; k < nr_areas; n += areas[k++].pages) {
		if (l->kind == KIND_PROGRAMS)
			hash_area(&areas[k], h + n);
		else
			worker_call(&workers[k], w_hash, areas[k].at,
				    areas[k].pages, n);
	}
	*ideal = (struct ideal){ .pages = n };
	for (i = 0; i < n; i++)
		ideal->sum = (ideal->sum ^ h[i]) * 0x9e3779b97f4a7c15ULL;
	sort_numbers(h, n);
	for (i = 0; i < n; i++) {
		if (h[i] == zero)
			ideal->zero++;
		else if (!i || h[i] != h[i - 1])
			ideal->distinct++;
	}
	ideal->saved = n - ideal->distinct;
}

/*
 * How many pages of memory the load is in, by the page tables: the zero page is
 * none. What is not there counts as a page of its own.
 */
long long load_frames(void)
{
	volatile u64 *nothing = map_pages(1);
	size_t i, k, n = 0, frames = 0;
	u64 zero, *e = hashes;

	(void)nothing[0]; /* which maps the zero page */
	zero = pfn_of(getpid(), (void *)nothing);
	for (k = 0; k < nr_areas; n += areas[k++].pages)
		pagemap_read(areas[k].pid, areas[k].at, areas[k].pages, e + n);
	for (i = 0; i < n; i++) {
		e[i] = e[i] >> 63 ? e[i] & ((1ULL << 55) - 1) : 0;
		frames += !e[i];
	}
	sort_numbers(e, n);
	for (i = 0; i < n; i++)
		frames += e[i] && e[i] != zero && (!i || e[i] != e[i - 1]);
	return frames;
}

void load_rewrite(const struct load *l, u64 gen)
{
	int k;

	for (k = 0; k < l->procs; k++)
		worker_call(&workers[k], w_rewrite, areas[k].at, l->pages, gen);
}

/* The first process answers requests; what each cost it goes to @ns. */
void load_requests(const struct load *l, u64 *ns, size_t n)
{
	CHECK_OP(n, <=, ROOM);
	worker_call(&workers[0], w_requests, areas[0].at, l->pages, n);
	memcpy(ns, hashes, n * sizeof(*ns));
}

/* From now on, without an end. */
void load_keep_rewriting(const struct load *l)
{
	int k;

	for (k = 0; k < l->procs; k++)
		worker_send(&workers[k], w_keep_rewriting, (long)areas[k].at,
			    l->pages, 0, 0);
}

/* Programs go on, for the other system to have them, too. */
void load_end(const struct load *l)
{
	int k;

	if (l->kind == KIND_PROGRAMS)
		return;
	for (k = 0; k < l->procs; k++)
		worker_kill(&workers[k]);
}
