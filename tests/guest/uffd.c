// SPDX-License-Identifier: GPL-2.0
/* vm: timeout=240 */
/*
 * Memory that userfaultfd watches. For each page that is missing, or that is
 * written though it is write-protected, there is one event, merged or not; and
 * none for a page that is there.
 *
 * A watched PTE that is replaced by a frame's loses its mark, and with it the
 * event of the next write.
 */
#include "lib.h"

#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED (1 << 13)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif

/* include/uapi/linux/fs.h since 6.7 */
struct scan_region {
	u64 start, end, categories;
};

struct scan_arg {
	u64 size, flags, start, end, walk_end, vec, vec_len, max_pages;
	u64 category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define SCAN_IOCTL _IOWR('f', 16, struct scan_arg)
#define SCAN_WP_MATCHING 1
#define SCAN_IS_WRITTEN 2

#define N 64
#define SEED 650

static struct trio t;

/**
 * struct watcher - a thread that answers the events of an area
 * @fd: the userfaultfd
 * @base: the area, of N pages
 * @shared: the same pages, where they are not watched (minor faults)
 * @zeros: what is missing is filled with zeros, not with the trio's content
 * @events: how many there were, of each page
 * @stop: the thread is to end
 */
struct watcher {
	pthread_t thread;
	int fd;
	u8 *base;
	u8 *shared;
	bool zeros;
	unsigned int events[N];
	bool stop;
};

static struct watcher wt;

static void uffd_ioctl(unsigned long cmd, void *arg, const char *what)
{
	if (ioctl(wt.fd, cmd, arg))
		FAIL("%s: %s", what, strerror(errno));
}

static void uffd_open(u64 features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };

	wt.fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (wt.fd < 0)
		skip("userfaultfd: %s", strerror(errno));
	if (ioctl(wt.fd, UFFDIO_API, &api))
		skip("userfaultfd features %#llx: %s",
		     (unsigned long long)features, strerror(errno));
}

static void uffd_register(void *p, u64 mode)
{
	struct uffdio_register r = {
		.range = { (uintptr_t)p, N * PAGE },
		.mode = mode,
	};

	uffd_ioctl(UFFDIO_REGISTER, &r, "UFFDIO_REGISTER");
	wt.base = p;
}

static void protect(void *p, size_t n, bool on)
{
	struct uffdio_writeprotect wp = {
		.range = { (uintptr_t)p, n * PAGE },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	uffd_ioctl(UFFDIO_WRITEPROTECT, &wp, "UFFDIO_WRITEPROTECT");
}

static void give_page(u8 *page, size_t i)
{
	static u8 content[PAGE] __attribute__((aligned(4096)));
	struct uffdio_copy copy = {
		.dst = (uintptr_t)page,
		.src = (uintptr_t)content,
		.len = PAGE,
	};

	if (wt.zeros)
		memset(content, 0, PAGE);
	else
		page_fill(content, SEED, i);
	uffd_ioctl(UFFDIO_COPY, &copy, "UFFDIO_COPY");
}

static void answer(const struct uffd_msg *msg)
{
	u8 *page = (u8 *)(msg->arg.pagefault.address & ~(PAGE - 1));
	u64 flags = msg->arg.pagefault.flags;
	size_t i = (page - wt.base) / PAGE;

	CHECK_EQ(msg->event, UFFD_EVENT_PAGEFAULT);
	CHECK_OP(i, <, N);
	__atomic_add_fetch(&wt.events[i], 1, __ATOMIC_SEQ_CST);
	if (flags & UFFD_PAGEFAULT_FLAG_WP) {
		protect(page, 1, false);
	} else if (flags & UFFD_PAGEFAULT_FLAG_MINOR) {
		struct uffdio_continue cont = {
			.range = { (uintptr_t)page, PAGE },
		};

		/* the owner of the pages brings them up to date first */
		page_fill(wt.shared + i * PAGE, SEED + 1, i);
		uffd_ioctl(UFFDIO_CONTINUE, &cont, "UFFDIO_CONTINUE");
	} else {
		give_page(page, i);
	}
}

static void *watch(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&wt.stop, __ATOMIC_ACQUIRE)) {
		struct pollfd pfd = { wt.fd, POLLIN, 0 };
		struct uffd_msg msg;

		if (poll(&pfd, 1, 50) > 0 &&
		    read(wt.fd, &msg, sizeof(msg)) == sizeof(msg))
			answer(&msg);
	}
	return NULL;
}

static void watch_start(void)
{
	CHECK_EQ(pthread_create(&wt.thread, NULL, watch, NULL), 0);
}

/* An area where nothing is yet, and all that comes to be missed is told. */
static void watch_missing(void)
{
	uffd_open(0);
	t.mine = map_pages(N);
	uffd_register(t.mine, UFFDIO_REGISTER_MODE_MISSING);
	watch_start();
}

/* All pages of the area are write-protected, and each write is told. */
static void watch_writes(void)
{
	uffd_open(UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	uffd_register(t.mine, UFFDIO_REGISTER_MODE_WP);
	watch_start();
	protect(t.mine, N, true);
}

static void watch_stop(void)
{
	__atomic_store_n(&wt.stop, true, __ATOMIC_RELEASE);
	pthread_join(wt.thread, NULL);
}

/* Each page of the range has had so many events, the others none beyond @others. */
static void check_events(size_t from, size_t to, unsigned int want,
			 unsigned int others)
{
	size_t i;

	for (i = 0; i < N; i++) {
		unsigned int n =
			__atomic_load_n(&wt.events[i], __ATOMIC_SEQ_CST);
		unsigned int w = i >= from && i < to ? want : others;

		if (n != w)
			FAIL("page %zu: %u events, not %u", i, n, w);
	}
}

static void missing(void)
{
	trio_start(&t, N, SEED);
	watch_missing();
	trio_scan(&t);
	/* nothing was there, and nothing is */
	check_events(0, N, 0, 0);
	CHECK_EQ(count_present(getpid(), t.mine, N), 0);
	trio_check(&t, SEED);
	check_events(0, N, 1, 1);
	trio_merge(&t);
	trio_check(&t, SEED);
	fill(t.mine, N / 2, SEED + 1, 0);
	CHECK_EQ(bad_pages(t.mine, N / 2, SEED + 1, 0), 0);
	check_events(0, N, 1, 1);
	/* thrown away, merged or not, each page is missing again */
	CHECK_EQ(madvise(t.mine + N / 4 * PAGE, N / 2 * PAGE, MADV_DONTNEED),
		 0);
	settle(3);
	CHECK_EQ(bad_pages(t.mine + N / 4 * PAGE, 3 * N / 4, SEED, N / 4), 0);
	check_events(N / 4, 3 * N / 4, 2, 1);
	watch_stop();
}

/* Zeros that were given become the zero page, which is there. */
static void missing_zeros(void)
{
	sysfs_set("run", "0");
	wt.zeros = true;
	watch_missing();
	CHECK_EQ(bad_zero(t.mine, N), 0);
	check_events(0, N, 1, 1);
	sysfs_set("run", "1");
	CHECK_SOON_EQ(count_zero(getpid(), t.mine, N), N, LONG);
	CHECK_EQ(bad_zero(t.mine, N), 0);
	fill(t.mine, N / 2, SEED, 0);
	unmerge_all();
	CHECK_EQ(bad_zero(t.mine + N / 2 * PAGE, N / 2), 0);
	CHECK_EQ(bad_pages(t.mine, N / 2, SEED, 0), 0);
	check_events(0, N, 1, 1);
	watch_stop();
}

static bool reading_ends;

static void *read_on(void *arg)
{
	size_t i = 0;

	(void)arg;
	while (!__atomic_load_n(&reading_ends, __ATOMIC_ACQUIRE))
		(void)*(volatile u8 *)(t.mine + i++ % N * PAGE);
	return NULL;
}

/*
 * Read and written while they are merged and given back all the time: a page
 * whose PTE is cleared for a moment is not missing.
 */
static void not_missing(void)
{
	pthread_t reader;
	int i;

	trio_start(&t, N, SEED);
	watch_missing();
	trio_check(&t, SEED);
	sysfs_set("run", "1");
	CHECK_EQ(pthread_create(&reader, NULL, read_on, NULL), 0);
	for (i = 0; i < 6; i++) {
		CHECK_SOON(trio_merged(&t) >= N / 2, LONG);
		fill(t.mine, N, SEED, 0);
		if (i % 3 == 2) {
			unmerge_all();
			sysfs_set("run", "1");
		}
	}
	__atomic_store_n(&reading_ends, true, __ATOMIC_RELEASE);
	pthread_join(reader, NULL);
	check_events(0, N, 1, 1);
	trio_check(&t, SEED);
	watch_stop();
}

/* Pages under watch are left alone as long as they are. */
static void protected(void)
{
	trio_make(&t, N, SEED);
	watch_writes();
	trio_scan(&t);
	trio_check(&t, SEED);
	check_events(0, N, 0, 0);
	fill(t.mine, N / 2, SEED + 1, 0);
	check_events(0, N / 2, 1, 0);
	settle(5);
	fill(t.mine + N / 2 * PAGE, N / 2, SEED + 1, N / 2);
	check_events(0, N, 1, 1);
	trio_check(&t, SEED + 1);
	/* they were let go */
	fill(t.mine, N, SEED, 0);
	trio_merge(&t);
	check_events(0, N, 1, 1);
	watch_stop();
}

/* How many of them could be merged while watched is told by their number. */
static void protected_not_merged(void)
{
	trio_make(&t, N, SEED);
	uffd_open(UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	uffd_register(t.mine, UFFDIO_REGISTER_MODE_WP);
	protect(t.mine, N / 2, true);
	sysfs_set("run", "1");
	CHECK_SOON_EQ(count_same(getpid(), t.mine + N / 2 * PAGE, t.w.pid,
				 t.theirs + N / 2 * PAGE, N / 2),
		      N / 2, LONG);
	trio_scan(&t);
	CHECK_EQ(count_merged(getpid(), t.mine, N / 2), 0);
	protect(t.mine, N / 2, false);
	trio_merge(&t);
	trio_check(&t, SEED);
}

/* Frames that come under watch: their copies are written with an event each. */
static void merged_then_protected(void)
{
	trio_make(&t, N, SEED);
	trio_merge(&t);
	watch_writes();
	settle(5);
	trio_check(&t, SEED);
	check_events(0, N, 0, 0);
	fill(t.mine, N / 2, SEED + 1, 0);
	check_events(0, N / 2, 1, 0);
	/* the other mappers write, or go */
	worker_fill(&t.w, t.theirs, N, SEED + 2, 0);
	CHECK_EQ(worker_call(&t.w, w_munmap, t.witness, N), 0);
	CHECK_EQ(bad_pages(t.mine + N / 2 * PAGE, N / 2, SEED, N / 2), 0);
	fill(t.mine + N / 2 * PAGE, N / 2, SEED + 1, N / 2);
	check_events(0, N, 1, 1);
	CHECK_EQ(bad_pages(t.mine, N, SEED + 1, 0), 0);
	CHECK_EQ(worker_bad(&t.w, t.theirs, N, SEED + 2, 0), 0);
	watch_stop();
}

/* run=2 gives back pages that are watched as before. */
static void unmerged(void)
{
	trio_make(&t, N, SEED);
	trio_merge(&t);
	watch_writes();
	unmerge_all();
	CHECK_EQ(trio_merged(&t), 0);
	check_events(0, N, 0, 0);
	trio_check(&t, SEED);
	fill(t.mine, N, SEED + 1, 0);
	check_events(0, N, 1, 1);
	trio_check(&t, SEED + 1);
	watch_stop();
}

/*
 * A zero page has nothing to give back, and a fault on a watched one is an event,
 * which nobody can wait for there. A kernel with CONFIG_DEBUG_VM tells of a try.
 */
static void unmerged_zeros(void)
{
	static const char *const tried[] = { "FAULT_FLAG_ALLOW_RETRY missing",
					     NULL };
	char line[200];
	int log = log_open();

	sysfs_set("run", "0");
	t.mine = map_pages(N);
	memset(t.mine, 0, N * PAGE);
	sysfs_set("run", "1");
	CHECK_SOON_EQ(count_zero(getpid(), t.mine, N), N, LONG);
	watch_writes();
	unmerge_all();
	CHECK_EQ(log_find(log, tried, line, sizeof(line)), 0);
	check_events(0, N, 0, 0);
	CHECK_EQ(bad_zero(t.mine, N), 0);
	fill(t.mine, N / 2, SEED, 0);
	check_events(0, N / 2, 1, 0);
	protect(t.mine, N, false);
	fill(t.mine, N, SEED, 0);
	check_events(0, N / 2, 1, 0);
	CHECK_EQ(bad_pages(t.mine, N, SEED, 0), 0);
	watch_stop();
}

/* Shared memory whose pages are there, but not mapped. */
static void minor(void)
{
	int fd = memfd_create("minor", MFD_CLOEXEC);

	trio_start(&t, N, SEED);
	uffd_open(UFFD_FEATURE_MINOR_SHMEM);
	CHECK(fd >= 0);
	CHECK_EQ(ftruncate(fd, N * PAGE), 0);
	wt.shared =
		mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	t.mine =
		mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(wt.shared != MAP_FAILED && t.mine != MAP_FAILED);
	fill(wt.shared, N, SEED, 0);
	uffd_register(t.mine, UFFDIO_REGISTER_MODE_MINOR);
	watch_start();
	trio_scan(&t);
	check_events(0, N, 0, 0);
	CHECK_EQ(bad_pages(wt.shared, N, SEED, 0), 0);
	trio_check(&t, SEED + 1);
	check_events(0, N, 1, 1);
	trio_scan(&t);
	CHECK_EQ(trio_merged(&t), 0);
	trio_check(&t, SEED + 1);
	check_events(0, N, 1, 1);
	watch_stop();
}

/* PAGEMAP_SCAN: which pages were written; they are watched again. */
static size_t written(bool *which)
{
	struct scan_region found[N];
	struct scan_arg arg = {
		.size = sizeof(arg),
		.flags = SCAN_WP_MATCHING,
		.start = (uintptr_t)t.mine,
		.end = (uintptr_t)t.mine + N * PAGE,
		.vec = (uintptr_t)found,
		.vec_len = N,
		.category_mask = SCAN_IS_WRITTEN,
		.return_mask = SCAN_IS_WRITTEN,
	};
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	size_t pages = 0;
	int i, n;

	CHECK(fd >= 0);
	n = ioctl(fd, SCAN_IOCTL, &arg);
	CHECK_OP(n, >=, 0);
	close(fd);
	memset(which, 0, N * sizeof(*which));
	for (i = 0; i < n; i++)
		for (u64 a = found[i].start; a < found[i].end; a += PAGE) {
			which[(a - (uintptr_t)t.mine) / PAGE] = true;
			pages++;
		}
	return pages;
}

static void page_scan(void)
{
	bool which[N];
	size_t i;

	trio_make(&t, N, SEED);
	uffd_open(UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED);
	trio_merge(&t);
	uffd_register(t.mine, UFFDIO_REGISTER_MODE_WP);
	CHECK_EQ(written(which), N);
	settle(3);
	CHECK_EQ(written(which), 0);
	for (i = 0; i < N; i += 3) /* the old content: to be merged again */
		page_fill(t.mine + i * PAGE, SEED, i);
	trio_merge(&t);
	written(which);
	for (i = 0; i < N; i++)
		CHECK_EQ(which[i], i % 3 == 0);
	CHECK_EQ(written(which), 0);
	unmerge_all();
	sysfs_set("run", "1");
	CHECK_EQ(written(which), 0);
	settle(3);
	CHECK_EQ(written(which), 0);
	for (i = 0; i < N; i += 5)
		page_fill(t.mine + i * PAGE, SEED + 1, i);
	settle(3);
	written(which);
	for (i = 0; i < N; i++) {
		CHECK_EQ(which[i], i % 5 == 0);
		CHECK(page_is(t.mine + i * PAGE, i % 5 ? SEED : SEED + 1, i));
	}
}

static const struct test_case cases[] = {
	{ "missing pages: one event each", missing, 90 },
	{ "zeros for missing pages", missing_zeros, 90 },
	{ "no events for pages that are there", not_missing, 90 },
	{ "write-protected pages", protected, 90 },
	{ "they are not merged", protected_not_merged, 90 },
	{ "merged, then write-protected", merged_then_protected, 90 },
	{ "run=2 on write-protected pages", unmerged, 90 },
	{ "run=2 on write-protected zero pages", unmerged_zeros, 90 },
	{ "minor faults of shared memory", minor, 90 },
	{ "PAGEMAP_SCAN", page_scan, 90 },
};

TEST_MAIN(0)
