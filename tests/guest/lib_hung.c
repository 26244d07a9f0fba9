// SPDX-License-Identifier: GPL-2.0
/*
 * What a case that is not done in time was doing: each thread of its processes
 * and of uksm with its stack, as notes, and on the console what the CPUs ran.
 */
#include "lib.h"

#include <dirent.h>

/* One file of a thread, its lines joined by blanks. */
static void thread_file(int pid, int tid, const char *file, char *buf,
			size_t size)
{
	char path[80];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", pid, tid, file);
	if (file_read(path, buf, size) < 0)
		*buf = 0;
	for (char *c = buf; *c; c++)
		if (*c == '\n')
			*c = ' ';
}

/* The next number a directory has a name for; 0 at its end. */
static int next_number(DIR *d)
{
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (atoi(e->d_name) > 0)
			return atoi(e->d_name);
	return 0;
}

static void threads_print(int pid)
{
	char path[64], stat[300], call[120], stack[2000];
	int tid;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	while ((tid = next_number(d))) {
		thread_file(pid, tid, "stat", stat, sizeof(stat));
		thread_file(pid, tid, "syscall", call, sizeof(call));
		thread_file(pid, tid, "stack", stack, sizeof(stack));
		note("%.120s| %s", stat, call);
		for (char *at = strtok(stack, " "); at; at = strtok(NULL, " "))
			if (*at != '[')
				note("  %s", at);
	}
	if (d)
		closedir(d);
}

static void tell(const char *file, const char *value)
{
	int err = file_write(file, value);

	if (err)
		note("%s: %s", file, strerror(-err));
}

/* Twice, with a second between: what goes round in circles can be told from what waits. */
void hung_print(pid_t group)
{
	int times, pid, pgrp;
	char stat[300], *at;
	DIR *d;

	tell("/proc/sys/kernel/printk", "8");
	tell("/proc/sysrq-trigger", "l");
	for (times = 0; times < 2; times++) {
		if (sysfs_has("run"))
			counters_print(times ? "a second later" : "hung");
		d = opendir("/proc");
		while ((pid = next_number(d))) {
			thread_file(pid, pid, "stat", stat, sizeof(stat));
			at = strrchr(stat, ')');
			if (!at || sscanf(at, ") %*c %*d %d", &pgrp) != 1)
				continue;
			if (pgrp == group || strstr(stat, "(uksm"))
				threads_print(pid);
		}
		if (d)
			closedir(d);
		msleep(1000);
	}
}
