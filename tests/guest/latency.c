// SPDX-License-Identifier: GPL-2.0
/* vm: mem=768 timeout=400 */
/*
 * The scanner never delays anybody by more than the work of one region. A
 * process with a large area, half of it merged, half of it not, and all of it
 * being written and scanned at full speed, is killed, execs, or unmaps: when has
 * it gone, and how many pages does the scanner look at in the meantime? And when
 * it has gone its memory is free.
 *
 * The time is only reported, beside the time it takes with the scanner stopped:
 * an emulated processor may stand still at any moment. What is judged is the
 * scanner's work. One that held on to the process for a pass over its memory
 * would look at most of the area.
 */
#include "lib.h"

#include <signal.h>
#include <sys/wait.h>

#define AREA (48 * MIB / PAGE)
#define REGION 512
#define KINDS 64
#define TRIALS 7
#define CALLS 11

/**
 * struct shared - what the process and the test both see
 * @ready: the area is filled, and is being written
 * @exec_at: when it called execve()
 * @took: the longest calls that take mmap_lock
 * @done: all calls are made
 */
struct shared {
	volatile int ready, done;
	volatile double exec_at;
	double took[CALLS];
};

static struct shared *shared;
static volatile sig_atomic_t told;

static void tell(int sig)
{
	told = sig;
}

/* Equal to others in its first half, like no other in the second. */
static void touch(u8 *area, size_t i, u64 salt)
{
	u64 *word = (u64 *)(area + i * PAGE);

	word[0] = i < AREA / 2 ? 1 + (i + salt) % KINDS : i;
	word[100] = i < AREA / 2 ? 1 : salt;
}

static u8 *area_made(void)
{
	u8 *area = map_marked(AREA);
	size_t i;

	for (i = 0; i < AREA; i++)
		touch(area, i, i);
	return area;
}

/* A few pages of each region at a time, so that all of them go on being looked at. */
static void write_some(u8 *area, u64 *salt)
{
	size_t i;

	for (i = *salt * 7 % 61; i < AREA; i += 61)
		touch(area, i, *salt);
	++*salt;
}

static void exec_true(void)
{
	shared->exec_at = now();
	execl("/proc/self/exe", "worker", "--worker", "0", "1", NULL);
}

/* Fills, writes until it is told, and execs a program that ends at once. */
static void busy_child(void)
{
	int null = open("/dev/null", O_RDWR);
	u64 salt = 1;
	u8 *area;

	signal(SIGUSR1, tell);
	dup2(null, 0);
	area = area_made();
	shared->ready = 1;
	while (!told) {
		write_some(area, &salt);
		msleep(5);
	}
	exec_true();
	_exit(1);
}

struct figures {
	double wait[TRIALS], pages[TRIALS];
	unsigned int late;
};

static int cmp_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double sorted_median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), cmp_double);
	return v[n / 2];
}

static pid_t child_start(void (*fn)(void))
{
	pid_t pid;

	memset(shared, 0, sizeof(*shared));
	pid = fork();
	if (pid == 0) {
		fn();
		_exit(0);
	}
	CHECK_SOON(shared->ready, 2 * LONG);
	return pid;
}

static void until_changed(const char *count)
{
	long long last = sysfs_num(count);
	double end = now() + LONG;

	while (sysfs_num(count) == last)
		if (now() > end)
			FAIL("%s stays %lld", count, last);
}

/* Waits until the scanner has just begun a pass over the area. */
static void until_scanned(void)
{
	until_changed("full_scans");
	until_changed("full_scans");
	until_changed("pages_scanned");
}

/* Once: the scanner is at work in it when it goes. */
static void trial(int sig, bool scanning, unsigned int nth, struct figures *f)
{
	long long before = free_kb(), scanned;
	pid_t pid = child_start(busy_child);
	double start;
	int status;

	CHECK_OP(free_kb(), <, before - (long long)(AREA * 4 / 3));
	if (scanning)
		until_scanned();
	else
		msleep(100);
	scanned = sysfs_num("pages_scanned");
	start = now();
	kill(pid, sig);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	f->wait[nth] = now() - (shared->exec_at ? shared->exec_at : start);
	/* not some time later, by the scanner: the OOM killer counts on it */
	if (free_kb() < before - 8 * 1024) {
		note("it has gone, and of %lld kB only %lld are free", before,
		     free_kb());
		f->late++;
	}
	f->pages[nth] = sysfs_num("pages_scanned") - scanned;
}

static void report(const char *what, double *v, size_t n, double unit)
{
	double median = sorted_median(v, n);

	note("%s: median %.1f, most %.1f", what, median * unit,
	     v[n - 1] * unit);
}

static void going(int sig, double regions)
{
	struct figures quiet = {}, busy = {};
	unsigned int i;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	marked_only();
	for (i = 0; i < TRIALS; i++) {
		sysfs_set("run", "0");
		trial(sig, false, i, &quiet);
		sysfs_set("run", "1");
		trial(sig, true, i, &busy);
	}
	report("not scanned, ms until it has gone", quiet.wait, TRIALS, 1e3);
	report("scanned, ms until it has gone", busy.wait, TRIALS, 1e3);
	report("regions scanned meanwhile", busy.pages, TRIALS, 1.0 / REGION);
	/* of the 24 that it would look at otherwise, in each round */
	CHECK_OP(busy.pages[TRIALS / 2], <=, regions * REGION);
	/* others may have had some of it for a moment */
	CHECK_OP(quiet.late + busy.late, <=, 2);
}

static void killed(void)
{
	going(SIGKILL, 8);
}

/*
 * execve() has some work to do before it lets go of the old memory. On a busy
 * machine the scanner gets through half of the area in that time.
 */
static void execed(void)
{
	going(SIGUSR1, 18);
}

/* All of the area is merged, and nobody writes. */
static void merged_child(void)
{
	u8 *area = map_marked(AREA);
	size_t i;

	for (i = 0; i < AREA; i++)
		*(u64 *)(area + i * PAGE) = 1 + i % KINDS;
	shared->ready = 1;
	for (;;)
		pause();
}

/*
 * Killed while run=2 gives it its own pages back: for a process that is dead no
 * more pages are copied. Each costs a fault, which the kernel counts.
 */
static void killed_while_unmerging(void)
{
	long long faults, at_kill;
	pid_t pid, writer;
	int status;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	marked_only();
	pid = child_start(merged_child);
	CHECK_SOON_EQ(sysfs_num("pages_sharing") + sysfs_num("pages_shared"),
		      AREA, LONG);
	faults = vmstat("pgfault");
	writer = fork();
	if (writer == 0)
		_exit(sysfs_write("run", "2") ? 1 : 0);
	while (vmstat("pgfault") < faults + 2 * REGION)
		;
	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	at_kill = vmstat("pgfault");
	CHECK_EQ(waitpid(writer, &status, 0), writer);
	CHECK_EQ(status, 0);
	note("%lld faults before it was dead, %lld after", at_kill - faults,
	     vmstat("pgfault") - at_kill);
	CHECK_OP(at_kill, <, faults + (long long)AREA / 2);
	CHECK_OP(vmstat("pgfault"), <=, at_kill + 4 * REGION);
}

/*
 * mmap_lock is taken for writing, again and again, from the beginning of a pass
 * on: how long does the longest wait take?
 */
static void locking_child(void)
{
	bool scanning = sysfs_num("run") == 1;
	u8 *area = area_made();
	u64 salt = 1;
	unsigned int i;

	shared->ready = 1;
	for (i = 0; i < CALLS; i++) {
		double end, start, most = 0;
		void *p;

		write_some(area, &salt);
		if (scanning)
			until_changed("full_scans");
		end = now() + 0.05;
		while ((start = now()) < end) {
			p = mmap(NULL, PAGE, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			munmap(p, PAGE);
			most = now() - start > most ? now() - start : most;
		}
		shared->took[i] = most;
	}
	shared->done = 1;
	for (;;)
		pause();
}

static void one_locking(const char *run, double *took)
{
	pid_t pid;

	sysfs_set("run", run);
	pid = child_start(locking_child);
	CHECK_SOON(shared->done, 2 * LONG);
	memcpy(took, shared->took, sizeof(shared->took));
	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

static void locked(void)
{
	double quiet[CALLS], busy[CALLS], each;
	long long cpu, pages;
	int threads;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	marked_only();
	one_locking("0", quiet);
	cpu = thread_cpu_ns("uksmd", &threads);
	pages = sysfs_num("pages_scanned");
	one_locking("1", busy);
	pages = sysfs_num("pages_scanned") - pages;
	each = (thread_cpu_ns("uksmd", &threads) - cpu) / 1e9 /
	       (pages / REGION);
	report("not scanned, ms for mmap and munmap, the longest in 50 ms",
	       quiet, CALLS, 1e3);
	report("scanned, ms for mmap and munmap, the longest in 50 ms", busy,
	       CALLS, 1e3);
	note("%lld regions looked at, %.2f ms of processor time each",
	     pages / REGION, each * 1e3);
	CHECK_OP(pages, >=, (long long)AREA);
	/* in whole us: CHECK_OP() takes integers */
	CHECK_OP(busy[CALLS / 2] * 1e6, <=,
		 (2 * each + 2 * quiet[CALLS / 2]) * 1e6);
}

static const struct test_case cases[] = {
	{ "killed", killed, 150 },
	{ "execve", execed, 150 },
	{ "killed while run=2 is at it", killed_while_unmerging, 90 },
	{ "mmap and munmap", locked, 120 },
};

TEST_MAIN(0)
