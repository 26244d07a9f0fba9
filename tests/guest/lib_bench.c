// SPDX-License-Identifier: GPL-2.0
/*
 * The two systems under measurement, each with its best settings, and samples
 * of them. The one that is not chosen stands still with nothing merged.
 */
#include "lib_bench.h"

#include <time.h>

const char *const system_name[2] = { "uksm", "ksmd" };

/* Files that are read often stay open. */
enum { CPU, SCANS, SHARING, ZERO, UNSHARED, SCANNED, FILES };
static int fds[FILES];
static pid_t thread;
static long long anon_kb;

long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

pid_t system_thread(void)
{
	return thread;
}

static int open_file(const char *name)
{
	char path[100];

	snprintf(path, sizeof(path), "%s/%s", sysfs_dir(), name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static void open_files(void)
{
	char path[100];
	int i;

	for (i = 0; i < FILES; i++) {
		if (fds[i] > 0)
			close(fds[i]);
	}
	thread = thread_pid(on_ksmd() ? "ksmd" : "uksmd");
	if (!thread)
		FAIL("there is no thread of %s", system_name[on_ksmd()]);
	snprintf(path, sizeof(path), "/proc/%d/schedstat", thread);
	fds[CPU] = open(path, O_RDONLY | O_CLOEXEC);
	fds[SCANS] = open_file("full_scans");
	fds[SHARING] = open_file("pages_sharing");
	fds[ZERO] = open_file("ksm_zero_pages");
	fds[UNSHARED] = open_file("pages_unshared");
	fds[SCANNED] = open_file("pages_scanned");
}

static long long read_num(int file)
{
	char text[64];
	ssize_t n;

	if (fds[file] < 0)
		return 0;
	n = pread(fds[file], text, sizeof(text) - 1, 0);
	if (n <= 0)
		FAIL("cannot read file %d of %s", file, system_name[on_ksmd()]);
	text[n] = '\0';
	return strtoll(text, NULL, 10);
}

/*
 * From now on what is saved is the memory that processes have less of. When a huge
 * page is split, 6.12 and later give back its pages of zeros themselves: no
 * counter of either system shows them.
 */
void system_count_by_memory(void)
{
	anon_kb = meminfo_kb("AnonPages");
}

void system_sample(struct sample *s)
{
	s->cpu = read_num(CPU);
	s->at = now_ns();
	s->scans = read_num(SCANS);
	if (anon_kb)
		s->saved = (anon_kb - meminfo_kb("AnonPages")) / 4;
	else
		s->saved = read_num(SHARING) + read_num(ZERO);
	s->unshared = read_num(UNSHARED);
	s->scanned = read_num(SCANNED);
}

/* It stands still, nothing is merged. */
void system_clear(void)
{
	sysfs_set("run", "2");
	sysfs_set("run", "0");
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), 0, 60);
}

/* Both stand still, nothing is merged; what is called from now on is of the chosen one. */
void system_choose(bool ksmd)
{
	setenv("TEST_KSMD", "1", 1);
	system_clear();
	unsetenv("TEST_KSMD");
	system_clear();
	if (ksmd)
		setenv("TEST_KSMD", "1", 1);
}

static void best_ksmd(void)
{
	sysfs_set("sleep_millisecs", "0");
	sysfs_set("pages_to_scan", "100000");
	sysfs_set("smart_scan", "1");
	sysfs_set("advisor_mode", "none");
	/* a kernel that does not count them could not be given credit for them */
	sysfs_set("use_zero_pages", sysfs_has("ksm_zero_pages") ? "1" : "0");
}

static void best_uksm(void)
{
	sysfs_set("cpu_governor", "full");
	sysfs_set("max_cpu_percentage", "100");
	sysfs_set("pages_to_scan", "0");
	sysfs_set("sleep_millisecs", "0");
	sysfs_set("min_age_millisecs", "0");
	sysfs_set("use_zero_pages", "1");
	sysfs_set("scope",
		  "madvise"); /* the load and nothing else, as for ksmd */
	sysfs_set("merge_domain", "user");
}

/* The chosen one has its settings, and is about to start. */
void system_fresh(void)
{
	if (on_ksmd())
		best_ksmd();
	else
		best_uksm();
	anon_kb = 0;
	open_files();
}

void system_run(void)
{
	sysfs_set("run", "1");
}

/* Bytes of a slab cache, with what is not in use of its pages; -1 when there is none. */
static long long slab_bytes(const char *name)
{
	static char text[262144];
	long long objs, size, per_slab, pages, slabs;
	char find[64], *line;

	if (file_read("/proc/slabinfo", text, sizeof(text)) <= 0)
		return -1;
	snprintf(find, sizeof(find), "\n%s ", name);
	line = strstr(text, find);
	if (!line ||
	    sscanf(line + strlen(find),
		   "%*d %lld %lld %lld %lld : tunables %*d %*d %*d : slabdata %*d %lld",
		   &objs, &size, &per_slab, &pages, &slabs) != 5)
		return -1;
	return slabs * pages * (long long)PAGE;
}

/* What the chosen one needs itself, in bytes; -1 when this kernel does not say. */
long long system_metadata(void)
{
	long long item, node, slot;

	if (!on_ksmd())
		return sysfs_num("metadata_bytes");
	item = slab_bytes("ksm_rmap_item");
	node = slab_bytes("ksm_stable_node");
	slot = slab_bytes("ksm_mm_slot");
	return item < 0 ? -1 :
			  item + (node > 0 ? node : 0) + (slot > 0 ? slot : 0);
}
