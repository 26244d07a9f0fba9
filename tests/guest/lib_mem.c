// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of known content, and what the kernel says of its page frames.
 *
 * Page contents are a function of (seed, index), so that anyone who knows the
 * two can check every byte, and pages of different (seed, index) differ.
 */
#include "lib.h"

#include <fcntl.h>

#define PM_PRESENT (1ULL << 63)
#define PM_SWAP (1ULL << 62)
#define PM_PFN ((1ULL << 55) - 1)
#define CHUNK 512

static u64 mix(u64 x)
{
	x += 0x9e3779b97f4a7c15ULL;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

void page_fill(void *page, u64 seed, u64 index)
{
	u64 *w = page, x = mix(mix(seed) ^ index);
	size_t i;

	for (i = 0; i < PAGE / sizeof(*w); i++) {
		w[i] = x;
		x = x * 6364136223846793005ULL + 1442695040888963407ULL;
	}
}

bool page_is(const void *page, u64 seed, u64 index)
{
	const u64 *w = page;
	u64 x = mix(mix(seed) ^ index);
	size_t i;

	for (i = 0; i < PAGE / sizeof(*w); i++) {
		if (w[i] != x)
			return false;
		x = x * 6364136223846793005ULL + 1442695040888963407ULL;
	}
	return true;
}

void no_huge_pages(void *p, size_t n)
{
	if (madvise(p, n * PAGE, MADV_NOHUGEPAGE) && errno != EINVAL)
		FAIL("MADV_NOHUGEPAGE: %s", strerror(errno));
}

void mark_mergeable(void *p, size_t n)
{
	if (madvise(p, n * PAGE, MADV_MERGEABLE))
		FAIL("MADV_MERGEABLE: %s", strerror(errno));
}

/*
 * Private anonymous memory in 4 KiB pages, nothing touched yet. It is an area
 * of its own: a page that cannot be accessed lies on each side.
 */
void *map_pages(size_t n)
{
	u8 *p = mmap(NULL, (n + 2) * PAGE, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		FAIL("mmap of %zu pages: %s", n, strerror(errno));
	p += PAGE;
	if (mprotect(p, n * PAGE, PROT_READ | PROT_WRITE))
		FAIL("mprotect of %zu pages: %s", n, strerror(errno));
	no_huge_pages(p, n);
	if (on_ksmd())
		mark_mergeable(p, n);
	return p;
}

/* As map_pages(), beginning where a huge page can. */
void *map_aligned(size_t n)
{
	uintptr_t p = (uintptr_t)map_pages(n + HPAGE / PAGE);

	return (void *)((p + HPAGE - 1) & ~(HPAGE - 1));
}

void *map_marked(size_t n)
{
	void *p = map_pages(n);

	mark_mergeable(p, n);
	return p;
}

/* Marked when only marked memory is merged in this case. */
void *map_filled(size_t n, u64 seed, u64 first)
{
	void *p = is_marked_only() ? map_marked(n) : map_pages(n);

	fill(p, n, seed, first);
	return p;
}

void fill(void *p, size_t n, u64 seed, u64 first)
{
	size_t i;

	for (i = 0; i < n; i++)
		page_fill((u8 *)p + i * PAGE, seed, first + i);
}

/* How many pages are not what they must be; the first is described. */
size_t bad_pages(const void *p, size_t n, u64 seed, u64 first)
{
	size_t i, bad = 0;

	for (i = 0; i < n; i++) {
		const u8 *page = (const u8 *)p + i * PAGE;

		if (page_is(page, seed, first + i))
			continue;
		if (!bad++)
			note("pid %d page %zu of %zu at %p: wrong content, begins %016llx",
			     getpid(), i, n, page,
			     *(unsigned long long *)page);
	}
	return bad;
}

size_t bad_zero(const void *p, size_t n)
{
	static const u8 zero[PAGE];
	size_t i, bad = 0;

	for (i = 0; i < n; i++)
		bad += !!memcmp((const u8 *)p + i * PAGE, zero, PAGE);
	return bad;
}

void pagemap_read(pid_t pid, const void *p, size_t n, u64 *out)
{
	size_t len = n * sizeof(*out), done = 0;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		FAIL("%s: %s", path, strerror(errno));
	while (done < len) {
		ssize_t got = pread(fd, (u8 *)out + done, len - done,
				    (uintptr_t)p / PAGE * 8 + done);

		if (got <= 0)
			FAIL("%s at %p: %s", path, p, strerror(errno));
		done += got;
	}
	close(fd);
}

static u64 pfn_in(u64 entry)
{
	return entry & PM_PRESENT ? entry & PM_PFN : 0;
}

/* 0 when no page is there. */
u64 pfn_of(pid_t pid, const void *p)
{
	u64 entry;

	pagemap_read(pid, p, 1, &entry);
	return pfn_in(entry);
}

static u64 read_by_pfn(const char *path, int *fd, u64 pfn)
{
	u64 value = 0;

	if (*fd < 0)
		*fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*fd < 0)
		FAIL("%s: %s", path, strerror(errno));
	if (pread(*fd, &value, sizeof(value), pfn * 8) != sizeof(value))
		FAIL("%s at pfn %llu: %s", path, (unsigned long long)pfn,
		     strerror(errno));
	return value;
}

u64 kpageflags(u64 pfn)
{
	static int fd = -1;

	return pfn ? read_by_pfn("/proc/kpageflags", &fd, pfn) : 0;
}

/* The inode number of the control group a page is charged to. */
static u64 kpagecgroup(u64 pfn)
{
	static int fd = -1;

	return read_by_pfn("/proc/kpagecgroup", &fd, pfn);
}

/* How often a page is mapped. */
static u64 kpagecount(u64 pfn)
{
	static int fd = -1;

	return pfn ? read_by_pfn("/proc/kpagecount", &fd, pfn) : 0;
}

static bool pfn_has(u64 pfn, int bit)
{
	return kpageflags(pfn) >> bit & 1;
}

/*
 * From 6.10 on kpageflags sets KPF_KSM for every anonymous page (it tests the
 * two mapping bits with "and", not for equality), so the exclusive mark is
 * looked at too: a KSM page never has it, a page private to a process has.
 */
static bool pfn_is_ksm(u64 pfn)
{
	return pfn && pfn_has(pfn, KPF_KSM_BIT) &&
	       !pfn_has(pfn, KPF_EXCLUSIVE_BIT);
}

static bool is_present(u64 e)
{
	return e & PM_PRESENT;
}

static bool is_swapped(u64 e)
{
	return e & PM_SWAP;
}

static bool is_merged(u64 e)
{
	return pfn_is_ksm(pfn_in(e));
}

static bool is_mapped_twice(u64 e)
{
	return kpagecount(pfn_in(e)) > 1;
}

static bool is_zero(u64 e)
{
	return pfn_in(e) && pfn_has(pfn_in(e), KPF_ZERO_BIT);
}

static size_t count_if(pid_t pid, const void *p, size_t n, bool (*test)(u64))
{
	size_t i, j, found = 0;
	u64 e[CHUNK];

	for (i = 0; i < n; i += CHUNK) {
		size_t m = n - i < CHUNK ? n - i : CHUNK;

		pagemap_read(pid, (const u8 *)p + i * PAGE, m, e);
		for (j = 0; j < m; j++)
			found += test(e[j]);
	}
	return found;
}

size_t count_present(pid_t pid, const void *p, size_t n)
{
	return count_if(pid, p, n, is_present);
}

size_t count_swapped(pid_t pid, const void *p, size_t n)
{
	return count_if(pid, p, n, is_swapped);
}

/* Pages that are KSM pages now. */
size_t count_merged(pid_t pid, const void *p, size_t n)
{
	return count_if(pid, p, n, is_merged);
}

/*
 * Pages that are mapped elsewhere too. A page may be a frame and wait for its
 * second mapper, for it resembled one; nothing else has it then.
 */
size_t count_mapped_twice(pid_t pid, const void *p, size_t n)
{
	return count_if(pid, p, n, is_mapped_twice);
}

/* Pages that are the kernel's shared zero page now. */
size_t count_zero(pid_t pid, const void *p, size_t n)
{
	return count_if(pid, p, n, is_zero);
}

/* Pages that are charged to the control group of that inode number. */
size_t count_charged(pid_t pid, const void *p, size_t n, u64 group)
{
	size_t i, found = 0;

	for (i = 0; i < n; i++)
		found += kpagecgroup(pfn_of(pid, (const u8 *)p + i * PAGE)) ==
			 group;
	return found;
}

static size_t count_pairs(pid_t a, const void *pa, pid_t b, const void *pb,
			  size_t n, bool merged)
{
	size_t i, j, found = 0;
	u64 ea[CHUNK], eb[CHUNK];

	for (i = 0; i < n; i += CHUNK) {
		size_t m = n - i < CHUNK ? n - i : CHUNK;

		pagemap_read(a, (const u8 *)pa + i * PAGE, m, ea);
		pagemap_read(b, (const u8 *)pb + i * PAGE, m, eb);
		for (j = 0; j < m; j++)
			found += pfn_in(ea[j]) &&
				 pfn_in(ea[j]) == pfn_in(eb[j]) &&
				 (!merged || is_merged(ea[j]));
	}
	return found;
}

/* Page pairs that are one and the same KSM page. */
size_t count_same(pid_t a, const void *pa, pid_t b, const void *pb, size_t n)
{
	return count_pairs(a, pa, b, pb, n, true);
}

/* Page pairs that are one and the same page of whatever kind. */
size_t count_same_pfn(pid_t a, const void *pa, pid_t b, const void *pb, size_t n)
{
	return count_pairs(a, pa, b, pb, n, false);
}

/*
 * What /proc/PID/smaps says is KSM of the area that is exactly @n pages at @p,
 * in kB; -1 when this kernel's smaps does not say (before 6.8).
 */
long long smaps_ksm_kb(pid_t pid, const void *p, size_t n)
{
	char path[64], line[512], want[64];
	long long kb = -1, found = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	snprintf(want, sizeof(want), "%lx-%lx ", (unsigned long)p,
		 (unsigned long)p + n * PAGE);
	f = fopen(path, "re");
	if (!f)
		FAIL("%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (strchr(line, '-') && strchr(line, '-') < strchr(line, ' '))
			found = !strncmp(line, want, strlen(want));
		else if (found && sscanf(line, "KSM: %lld", &kb) == 1)
			break;
	}
	fclose(f);
	return kb;
}

static int cmp_u64(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

/* How many different pages are mapped here, and how often the commonest one. */
size_t count_frames(pid_t pid, const void *p, size_t n, size_t *most)
{
	u64 *e = malloc(n * sizeof(*e));
	size_t i, frames = 0, run = 0;

	if (!e)
		FAIL("no memory");
	pagemap_read(pid, p, n, e);
	for (i = 0; i < n; i++)
		e[i] = pfn_in(e[i]);
	qsort(e, n, sizeof(*e), cmp_u64);
	*most = 0;
	for (i = 0; i < n; i++) {
		if (!e[i])
			continue;
		run = i && e[i] == e[i - 1] ? run + 1 : 1;
		frames += run == 1;
		if (run > *most)
			*most = run;
	}
	free(e);
	return frames;
}
