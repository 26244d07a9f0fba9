// SPDX-License-Identifier: GPL-2.0
/*
 * Processes that share frames are moved by control groups, of either version.
 */
#include "lib.h"
#include "lib_groups.h"
#include "lib_move.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define N 128

void put(const char *dir, const char *file, const char *value)
{
	char path[256];
	int err;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	err = file_write(path, value);
	if (err)
		FAIL("%s to %s: %s", value, path, strerror(-err));
}

static void put_pid(const char *dir, pid_t pid)
{
	char text[32];

	snprintf(text, sizeof(text), "%d", pid);
	put(dir, "cgroup.procs", text);
}

/* A group whose node changes: the frames of its processes go with it. */
void move_by_cpuset(const char *group)
{
	int i, k;

	merge(N);
	sysfs_set("run", "0");
	put(group, "cpuset.mems", "0-1");
	for (k = 0; k < PROCS; k++)
		put_pid(group, w[k].pid);
	for (i = 0; i < 4; i++) {
		put(group, "cpuset.mems", i % 2 ? "1" : "0");
		settled_on(i % 2);
	}
	sysfs_set("run", "1"); /* and while it is scanned */
	for (i = 0; i < 4; i++) {
		put(group, "cpuset.mems", i % 2 ? "1" : "0");
		worker_fill(&w[0], p[0], N / 2, OLD, 0);
		whole(OLD, OLD);
	}
	all_same_soon();
	after_the_move();
	exit_all();
	CHECK_SOON(rmdir(group) == 0, 10);
}

static size_t charged_to(const char *dir)
{
	struct stat st;

	if (stat(dir, &st))
		FAIL("%s: %s", dir, strerror(errno));
	return count_charged(w[0].pid, p[0], N, st.st_ino);
}

static void enter_all(const char *dir)
{
	int i;

	for (i = 0; i < PROCS; i++)
		put_pid(dir, w[i].pid);
}

/* The processes start in one group, are merged, go to another; the first is removed. */
void move_between(const char *a, const char *b, bool charges)
{
	int i;

	mkdir(a, 0755);
	mkdir(b, 0755);
	if (charges) {
		put(a, "memory.move_charge_at_immigrate", "3");
		put(b, "memory.move_charge_at_immigrate", "3");
	}
	pages = N;
	marked_only();
	for (i = 0; i < PROCS; i++)
		worker_start(&w[i]);
	enter_all(a);
	for (i = 0; i < PROCS; i++)
		p[i] = worker_map_filled(&w[i], N, OLD, 0);
	all_same_soon();
	CHECK_EQ(charged_to(a), N);
	for (i = 0; i < 4; i++) {
		enter_all(i % 2 ? a : b);
		whole(OLD, OLD);
		if (charges)
			CHECK_EQ(charged_to(i % 2 ? a : b), N);
	}
	enter_all(b);
	CHECK_SOON(rmdir(a) == 0, 10);
	all_same();
	after_the_move();
	/* made anew, they belong to where their mappers are now */
	sysfs_set("run", "1");
	all_same_soon();
	CHECK_EQ(charged_to(b), N);
	exit_all();
	CHECK_SOON_EQ(sysfs_num("pages_shared"), 0, LONG);
	CHECK_SOON(rmdir(b) == 0, 10);
}

/*
 * A process that fills two areas with the same, as far as the area goes. The
 * number of pages that are merged is at @done.
 */
static void hoard(size_t *done, size_t pages, size_t step)
{
	u8 *a = map_pages(pages), *b = map_pages(pages);
	size_t i;

	for (i = 0; i < pages; i += step) {
		fill(a + i * PAGE, step, OLD, i);
		fill(b + i * PAGE, step, OLD, i);
		if (!WAIT_FOR(count_same(getpid(), a + i * PAGE, getpid(),
					 b + i * PAGE, step) == step,
			      3 * slowness()))
			note("not all is merged after %zu pages", i);
		*done = i + step;
	}
	_exit(0);
}

/*
 * A process in a group whose limit is @limit pages, and that has no swap, has
 * everything twice. Half the limit is what it would get without merging, and all
 * of it what it may get at most; then it is killed.
 */
void hoard_in(const char *dir, size_t limit)
{
	size_t *done = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		put_pid(dir, getpid());
		hoard(done, 2 * limit, limit / 8);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	note("%zu different pages under a limit of %zu", *done, limit);
	CHECK_OP(*done, >, limit / 2);
	CHECK_OP(*done, <, limit);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
