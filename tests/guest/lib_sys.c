// SPDX-License-Identifier: GPL-2.0
/*
 * The machine the test runs on: small files, meminfo, the kernel log, control
 * groups, loading and unloading the module; and what it was told from outside.
 */
#include "lib.h"

#include <ctype.h>
#include <dirent.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define CGROUP "/sys/fs/cgroup"

/* One write(2) of exactly @value. Returns 0 or a negative errno. */
int file_write(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, value, strlen(value));
	if (n < 0)
		err = -errno;
	else if ((size_t)n != strlen(value))
		err = -EIO;
	close(fd);
	return err;
}

/* Returns the length or a negative errno; the text is ended by a NUL. */
int file_read(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t done = 0;
	ssize_t n = 0;

	if (fd < 0)
		return -errno;
	while (done < size - 1) {
		n = read(fd, buf + done, size - 1 - done);
		if (n <= 0)
			break;
		done += n;
	}
	if (n < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	close(fd);
	buf[done] = '\0';
	return done;
}

long long file_num(const char *path)
{
	char buf[64];

	if (file_read(path, buf, sizeof(buf)) <= 0)
		return -1;
	return strtoll(buf, NULL, 10);
}

/* The number that follows @key at the start of a line; -1 when there is none. */
long long file_keyed(const char *path, const char *key)
{
	static char text[65536];
	size_t len = strlen(key);
	char *line;

	if (file_read(path, text, sizeof(text)) < 0)
		return -1;
	for (line = text; line; line = strchr(line, '\n')) {
		if (*line == '\n')
			line++;
		if (!strncmp(line, key, len) &&
		    (line[len] == ':' || isspace((unsigned char)line[len])))
			return strtoll(line + len + 1, NULL, 10);
	}
	return -1;
}

long long meminfo_kb(const char *key)
{
	return file_keyed("/proc/meminfo", key);
}

/*
 * Free memory with what the per-CPU lists hold: pages that were just freed sit
 * there for a while and MemFree does not count them.
 */
long long free_kb(void)
{
	static char text[65536];
	long long pages = 0;
	char *at = text;

	if (file_read("/proc/zoneinfo", text, sizeof(text)) < 0)
		FAIL("cannot read /proc/zoneinfo");
	while ((at = strstr(at, " count:"))) {
		at += strlen(" count:");
		pages += strtoll(at, NULL, 10);
	}
	return meminfo_kb("MemFree") + pages * (long long)(PAGE / 1024);
}

long long vmstat(const char *key)
{
	return file_keyed("/proc/vmstat", key);
}

long long status_kb(pid_t pid, const char *key)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	return file_keyed(path, key);
}

bool module_loaded(void)
{
	return file_keyed("/proc/modules", "uksm") >= 0;
}

const char *module_path(void)
{
	const char *e = getenv("UKSM_KO");

	return e && *e ? e : "/uksm.ko";
}

/* Returns 0 or a negative errno, as the kernel's loader gave it. */
int module_load(const char *params)
{
	int fd = open(module_path(), O_RDONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		FAIL("%s: %s", module_path(), strerror(errno));
	if (syscall(SYS_finit_module, fd, params, 0))
		err = -errno;
	close(fd);
	return err;
}

int module_unload(void)
{
	return syscall(SYS_delete_module, "uksm", O_NONBLOCK) ? -errno : 0;
}

/* The kernel log from here on; -1 when it cannot be read. */
int log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

/* How many new lines hold one of @words; the first of them goes to @line. */
int log_find(int fd, const char *const *words, char *line, size_t size)
{
	char rec[8192];
	int found = 0;

	for (;;) {
		ssize_t n = read(fd, rec, sizeof(rec) - 1);
		const char *const *w;
		char *text, *end;

		if (n < 0 && errno == EPIPE)
			continue; /* overwritten before we read it */
		if (n <= 0)
			return found;
		rec[n] = '\0';
		text = strchr(rec, ';');
		text = text ? text + 1 : rec;
		end = strchr(text, '\n');
		if (end)
			*end = '\0';
		for (w = words; *w; w++)
			if (strstr(text, *w))
				break;
		if (*w && !found++)
			snprintf(line, size, "%s", text);
	}
}

static void cgroup_path(const char *name, const char *file, char *buf,
			size_t size)
{
	snprintf(buf, size, CGROUP "/%s/%s", name, file);
}

int cgroup_try(const char *name, const char *file, const char *value)
{
	char path[256];

	cgroup_path(name, file, path, sizeof(path));
	return file_write(path, value);
}

void cgroup_set(const char *name, const char *file, const char *value)
{
	int err = cgroup_try(name, file, value);

	if (err)
		FAIL("cgroup %s: %s to %s: %s", name, value, file,
		     strerror(-err));
}

/* A fresh group with the memory controller. No cgroup2 here: the case is skipped. */
void cgroup_make(const char *name)
{
	char path[256];

	if (file_write(CGROUP "/cgroup.subtree_control", "+memory"))
		skip("no cgroup2 memory controller at " CGROUP);
	cgroup_path(name, "", path, sizeof(path));
	if (mkdir(path, 0755) && errno != EEXIST)
		FAIL("mkdir %s: %s", path, strerror(errno));
}

void cgroup_enter(const char *name, pid_t pid)
{
	char buf[32];

	snprintf(buf, sizeof(buf), "%d", pid);
	cgroup_set(name, "cgroup.procs", buf);
}

void cgroup_remove(const char *name)
{
	char path[256];

	cgroup_path(name, "", path, sizeof(path));
	if (!WAIT_FOR(rmdir(path) == 0 || errno == ENOENT, 10))
		FAIL("rmdir %s: %s", path, strerror(errno));
}

long long cgroup_num(const char *name, const char *file)
{
	char path[256];

	cgroup_path(name, file, path, sizeof(path));
	return file_num(path);
}

/* A line "key number" of a group's file; "" is the root. */
long long cgroup_keyed(const char *name, const char *file, const char *key)
{
	char path[256];

	cgroup_path(name, file, path, sizeof(path));
	return file_keyed(path, key);
}

u64 cgroup_inode(const char *name)
{
	char path[256];
	struct stat st;

	cgroup_path(name, "", path, sizeof(path));
	if (stat(path, &st))
		FAIL("stat %s: %s", path, strerror(errno));
	return st.st_ino;
}

/*
 * CPU time in nanoseconds that kernel threads whose name begins with @comm have
 * used, and how many there are.
 */
long long thread_cpu_ns(const char *comm, int *threads)
{
	struct dirent *d;
	long long sum = 0;
	DIR *proc = opendir("/proc");

	*threads = 0;
	while (proc && (d = readdir(proc))) {
		char path[300], text[64];

		if (!isdigit((unsigned char)d->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/cmdline", d->d_name);
		if (file_read(path, text, sizeof(text)) != 0)
			continue; /* a user process has a command line */
		snprintf(path, sizeof(path), "/proc/%s/comm", d->d_name);
		if (file_read(path, text, sizeof(text)) <= 0 ||
		    strncmp(text, comm, strlen(comm)))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/schedstat", d->d_name);
		sum += file_num(path);
		++*threads;
	}
	if (proc)
		closedir(proc);
	return sum;
}

/* Kernel threads so named. One that was stopped can be seen for a moment more. */
int threads_named(const char *comm)
{
	int threads;

	thread_cpu_ns(comm, &threads);
	return threads;
}

/* For a case that takes two nodes. */
void need_nodes(void)
{
	if (access("/sys/devices/system/node/node1", F_OK))
		skip("one NUMA node");
}

/* The kernel thread of that name; 0 when there is none. */
pid_t thread_pid(const char *comm)
{
	struct dirent *d;
	DIR *proc = opendir("/proc");
	pid_t pid = 0;

	while (proc && !pid && (d = readdir(proc))) {
		char path[300], text[64];

		snprintf(path, sizeof(path), "/proc/%s/comm", d->d_name);
		if (!isdigit((unsigned char)d->d_name[0]) ||
		    file_read(path, text, sizeof(text)) <= 0)
			continue;
		text[strcspn(text, "\n")] = '\0';
		if (!strcmp(text, comm))
			pid = atoi(d->d_name);
	}
	if (proc)
		closedir(proc);
	return pid;
}

/* A number of the environment. */
long env_number(const char *name, long fallback)
{
	const char *e = getenv(name);

	return e && *e ? atol(e) : fallback;
}

/* False, with a note, when it cannot be. */
bool run_on(pid_t pid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (!sched_setaffinity(pid, sizeof(set), &set))
		return true;
	note("pid %d will not run on CPU %d: %s", pid, cpu, strerror(errno));
	return false;
}
