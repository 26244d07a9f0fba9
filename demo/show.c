// SPDX-License-Identifier: GPL-2.0
/*
 * show.c - the demo, as it runs in the guest
 *
 * Starts the programs of the disk image, asks them questions, loads uksm, shows on one screen what happens, and ends
 * with a table. Exits with 0 if memory was saved and every answer was right.
 *
 *	show live|plain
 *
 * The right answers come from two further programs, one of each kind, which give them before uksm is loaded, and end.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KINDS 2
#define EACH 12
#define PROGRAMS (KINDS * EACH)
#define ROOT "/mnt"
#define SYSFS "/sys/kernel/mm/uksm/"
#define UID 1000
#define WRITES 4 /* ways of writing to the data */
#define QUESTIONS 4 /* asked in turn while memory is being merged, and before and after */
#define MERGE_MAX 100 /* seconds */

static const struct {
	const char *what;
	char *const argv[4];
} kinds[KINDS] = {
	{ "Python interpreters", { "/usr/bin/python3", "/worker/worker.py" } },
	{ "shells", { "/bin/bash", "/worker/worker.sh" } },
};

struct program {
	int kind, nr, to, from;
	pid_t pid;
	const char *want; /* the right answer to the question asked; NULL if there is none */
	bool ever_wrong;
	size_t len;
	char line[512];
};

static struct program program[PROGRAMS + KINDS];
static struct program *const reference = program + PROGRAMS; /* one of each kind */
static char answers[KINDS][QUESTIONS][80]; /* the right ones */
static char answers_written[KINDS][WRITES][80]; /* and after writing */

static bool live;
static double t0;
static unsigned int nr_right, nr_asked;

/* ---- small things ------------------------------------------------------ */

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("\nThe demo failed: ");
	vprintf(fmt, ap);
	printf("\n");
	fflush(stdout);
	va_end(ap);
	exit(1);
}

static void note(const char *fmt, ...)
{
	va_list ap;

	if (live)
		return;
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
}

static bool read_text(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (fd >= 0)
		close(fd);
	buf[n > 0 ? n : 0] = 0;
	return n > 0;
}

static long long uksm(const char *file)
{
	char path[100], buf[100];

	snprintf(path, sizeof(path), SYSFS "%s", file);
	return read_text(path, buf, sizeof(buf)) ? atoll(buf) : 0;
}

static void uksm_set(const char *file, const char *value)
{
	char path[100];
	int fd;

	snprintf(path, sizeof(path), SYSFS "%s", file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		fail("%s: %s", path, strerror(errno));
	close(fd);
}

/* What the kernel says, in KiB. */
struct memory {
	long long used, anon, huge;
};

static struct memory memory(void)
{
	char buf[8192];
	long long total, available;
	struct memory m;

	read_text("/proc/meminfo", buf, sizeof(buf));
	total = atoll(strstr(buf, "MemTotal:") + 9);
	available = atoll(strstr(buf, "MemAvailable:") + 13);
	m.used = total - available;
	m.anon = atoll(strstr(buf, "AnonPages:") + 10);
	m.huge = atoll(strstr(buf, "AnonHugePages:") + 14);
	return m;
}

/* Seconds of CPU time that uksmd used. */
static double uksmd_seconds(void)
{
	static pid_t pid;
	char path[300], buf[1024], *p;
	long long user, sys;
	struct dirent *d;
	DIR *dir;

	for (dir = pid ? NULL : opendir("/proc"); dir && !pid && (d = readdir(dir));) {
		snprintf(path, sizeof(path), "/proc/%s/comm", d->d_name);
		if (atoi(d->d_name) && read_text(path, buf, sizeof(buf)) && !strcmp(buf, "uksmd\n"))
			pid = atoi(d->d_name);
	}
	if (dir)
		closedir(dir);
	if (!pid)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	read_text(path, buf, sizeof(buf));
	p = strrchr(buf, ')');
	if (!p || sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld", &user, &sys) != 2)
		return 0;
	return (double)(user + sys) / sysconf(_SC_CLK_TCK);
}

/* ---- the screen -------------------------------------------------------- */

static struct {
	const char *stage;
	int started;
	struct memory first, now;
	double since;
} screen;

#define BAR 28

static void bar(const char *name, double share, const char *fmt, ...)
{
	int i, full = share * BAR + 0.5;
	va_list ap;

	printf("  %-20s", name);
	for (i = 0; i < BAR; i++)
		fputs(i < full ? "#" : ".", stdout);
	printf("  ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\033[K\n");
}

/* Draw all of it again, over what is there. */
static void draw(void)
{
	static int lines;
	struct utsname u;
	double cpu, saved;

	if (!live)
		return;
	uname(&u);
	screen.now = memory();
	cpu = screen.since ? uksmd_seconds() : 0;
	saved = (uksm("pages_sharing") + uksm("ksm_zero_pages")) / 256.0;
	if (lines)
		printf("\033[%dA", lines);
	printf("\033[K\n  uksm on Linux %s, in QEMU: %s\033[K\n\033[K\n", u.release, screen.stage);
	bar("programs ready", (double)screen.started / PROGRAMS, "%d of %d", screen.started, PROGRAMS);
	bar("their memory", screen.first.anon ? (double)screen.now.anon / screen.first.anon :
						  (double)screen.started / PROGRAMS,
	    "%.1f MiB", screen.now.anon / 1024.0);
	bar("saved", screen.first.anon ? saved * 1024 / screen.first.anon : 0, "%.1f MiB", saved);
	bar("CPU time of uksmd", screen.since ? cpu / (now() - screen.since) : 0, "%.1f s, scan %lld", cpu,
	    uksm("full_scans"));
	bar("answers right", nr_asked ? (double)nr_right / nr_asked : 0, "%u of %u", nr_right, nr_asked);
	printf("\033[K\n");
	fflush(stdout);
	lines = 9;
}

static void stage(const char *what)
{
	screen.stage = what;
	note("%5.1f s  %s", now() - t0, what);
	draw();
}

/* ---- the programs ------------------------------------------------------ */

static void program_start(struct program *p, int kind, int nr)
{
	char *const env[] = { "PATH=/usr/bin:/bin", "HOME=/tmp", "LANG=C.UTF-8", "TERM=linux", NULL };
	int in[2], out[2];

	p->kind = kind;
	p->nr = nr;
	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		fail("pipe: %s", strerror(errno));
	p->pid = fork();
	if (p->pid < 0)
		fail("fork: %s", strerror(errno));
	if (!p->pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(open("/dev/console", O_WRONLY), 2);
		if (chroot(ROOT) || chdir("/tmp") || setgid(UID) || setuid(UID))
			_exit(126);
		execve(kinds[kind].argv[0], kinds[kind].argv, env);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	p->to = in[1];
	p->from = out[0];
}

static void program_end(struct program *p)
{
	close(p->to);
	close(p->from);
	waitpid(p->pid, NULL, 0);
}

/* Tell a program something; its next line is to be @want, or any if that is NULL. */
static void tell(struct program *p, const char *want, const char *fmt, ...)
{
	char line[200];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	p->want = want;
	p->len = 0;
	if (n && write(p->to, line, n) != n)
		fail("one of the %s is gone", kinds[p->kind].what);
}

/* Read what a program has to say. Return: whether its line is complete. */
static bool hear(struct program *p)
{
	ssize_t n = read(p->from, p->line + p->len, sizeof(p->line) - p->len - 1);

	if (n <= 0)
		fail("one of the %s ended", kinds[p->kind].what);
	p->len += n;
	if (p->line[p->len - 1] != '\n') {
		if (p->len == sizeof(p->line) - 1)
			fail("one of the %s says more than a line", kinds[p->kind].what);
		return false;
	}
	p->line[p->len - 1] = 0;
	return true;
}

/* Wait until each of the programs has said its line, and call @said for it. */
static void hear_all(struct program *p, int nr, void (*said)(struct program *))
{
	double start = now();
	bool done[PROGRAMS + KINDS] = {};
	int i, left = nr;

	while (left) {
		struct pollfd fd[PROGRAMS + KINDS];

		for (i = 0; i < nr; i++)
			fd[i] = (struct pollfd){ .fd = done[i] ? -1 : p[i].from, .events = POLLIN };
		poll(fd, nr, 250);
		for (i = 0; i < nr; i++) {
			if (fd[i].revents && hear(&p[i])) {
				said(&p[i]);
				done[i] = true;
				left--;
			}
		}
		draw();
		if (now() - start > 200)
			fail("%d programs do not answer", left);
	}
}

static void is_ready(struct program *p)
{
	screen.started += p < reference;
}

static void is_answer(struct program *p)
{
	nr_asked++;
	if (!strcmp(p->line, p->want))
		nr_right++;
	else
		p->ever_wrong = true;
}

static void is_said(struct program *p)
{
	(void)p;
}

/* Ask all programs question @q. */
static void ask_all(int q)
{
	int i;

	for (i = 0; i < PROGRAMS; i++)
		tell(&program[i], answers[program[i].kind][q], "ask question-%d\n", q);
	hear_all(program, PROGRAMS, is_answer);
}

static void start_all(void)
{
	int i;

	for (i = 0; i < PROGRAMS + KINDS; i++)
		program_start(&program[i], i % KINDS, i / KINDS);
	hear_all(program, PROGRAMS + KINDS, is_ready);
}

/* Learn the right answers; with that the two extra programs have done their part. */
static void learn(void)
{
	int k, i;

	for (i = 0; i < QUESTIONS + WRITES; i++) {
		for (k = 0; k < KINDS; k++) {
			if (i < QUESTIONS)
				tell(&reference[k], NULL, "ask question-%d\n", i);
			else
				tell(&reference[k], NULL, "expect written %d\n", i - QUESTIONS);
		}
		hear_all(reference, KINDS, is_said);
		for (k = 0; k < KINDS; k++) {
			char *a = i < QUESTIONS ? answers[k][i] : answers_written[k][i - QUESTIONS];

			if (strlen(reference[k].line) != 64)
				fail("no answer from one of the %s", kinds[k].what);
			strcpy(a, reference[k].line);
		}
	}
	for (k = 0; k < KINDS; k++)
		program_end(&reference[k]);
}

static void write_all(void)
{
	int i;

	for (i = 0; i < PROGRAMS; i++)
		tell(&program[i], NULL, "write %d\n", program[i].nr % WRITES);
	hear_all(program, PROGRAMS, is_said);
	for (i = 0; i < PROGRAMS; i++)
		tell(&program[i], answers_written[program[i].kind][program[i].nr % WRITES], "ask written\n");
	hear_all(program, PROGRAMS, is_answer);
}

/* ---- what happens ------------------------------------------------------ */

static void prepare_root(void)
{
	double start = now();

	mkdir(ROOT, 0755);
	while (mount("/dev/vda", ROOT, "ext4", MS_RDONLY, NULL)) {
		if (now() - start > 10)
			fail("no disk with the programs: %s", strerror(errno));
		usleep(50000);
	}
	if (mount("proc", ROOT "/proc", "proc", 0, NULL) || mount("/dev", ROOT "/dev", NULL, MS_BIND, NULL) ||
	    mount("/worker", ROOT "/worker", NULL, MS_BIND, NULL) ||
	    mount("tmp", ROOT "/tmp", "tmpfs", 0, "mode=1777"))
		fail("mounting: %s", strerror(errno));
}

static void load_uksm(void)
{
	int fd = open("/uksm.ko", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || syscall(SYS_finit_module, fd, "run=0", 0))
		fail("loading uksm: %s", strerror(errno));
	close(fd);
}

/* Sleep, with the screen alive. */
static void pass(double seconds)
{
	double end = now() + seconds;

	while (now() < end) {
		usleep(250000);
		draw();
	}
}

/* Until three scans in a row found nothing more to speak of. Return: seconds it took until then; @cpu: of uksmd. */
static double merge(double *cpu)
{
	double start = now(), last = 0, asked = start;
	long long merged = 0, scan = 0;
	int q = 1;

	for (;;) {
		long long m = uksm("pages_sharing") + uksm("ksm_zero_pages"), s = uksm("full_scans");

		if (m > merged + 50) {
			merged = m;
			scan = s;
			last = now() - start;
			*cpu = uksmd_seconds();
		}
		if (now() - start > MERGE_MAX || (s >= scan + 3 && q == QUESTIONS - 1 && m))
			return last;
		pass(0.5);
		if (q < QUESTIONS - 1 && now() - asked > 0.5) {
			ask_all(q++);
			asked = now();
		}
	}
}

static void row(const char *what, double before, double after)
{
	printf("  %-34s %9.1f %9.1f %9.1f MiB %5.1f %%\n", what, before / 1024, after / 1024, (before - after) / 1024,
	       100 * (before - after) / before);
}

static void count(const char *what, long long pages)
{
	printf("  %-34s %9lld pages %13.1f MiB\n", what, pages, pages / 256.0);
}

int main(int argc, char **argv)
{
	struct memory before, after;
	long long frames, sharing, zero, own;
	double took, cpu = 0;
	int i, right = 0;

	live = argc > 1 && !strcmp(argv[1], "live");
	t0 = now();
	signal(SIGPIPE, SIG_IGN);
	prepare_root();

	stage("starting the programs");
	start_all();
	stage("asking for their answers");
	learn();
	ask_all(0);
	stage("measuring");
	pass(2);
	before = screen.first = memory();

	load_uksm();
	pass(1);
	screen.since = now();
	uksm_set("run", "1");
	stage("merging");
	took = merge(&cpu);
	stage("measuring");
	ask_all(QUESTIONS - 1);
	pass(3);
	after = memory();
	frames = uksm("pages_shared");
	sharing = uksm("pages_sharing");
	zero = uksm("ksm_zero_pages");
	own = uksm("metadata_bytes");
	stage("writing to merged memory");
	write_all();
	stage("done");

	for (i = 0; i < PROGRAMS; i++)
		right += !program[i].ever_wrong;
	printf("\n  %d %s and %d %s\n\n", EACH, kinds[0].what, EACH, kinds[1].what);
	printf("  %-34s %9s %9s %9s\n", "", "before", "after", "saved");
	row("all memory in use", before.used, after.used);
	row("anonymous memory of processes", before.anon, after.anon);
	printf("\n");
	count("equal pages, shared", sharing + frames);
	count("  what they take now", frames);
	count("pages of zeros, given back", zero);
	count("in huge pages, kept whole", after.huge / 4);
	printf("  %-34s %29.1f MiB\n", "uksm's own memory", own / 1048576.0);
	printf("  %-34s %29.1f s, in %.0f s\n", "CPU time of uksmd", cpu, took);
	printf("\n  %d of %d programs answered right: %u of %u answers, before uksm was loaded, while it\n"
	       "  merged, afterwards, and after all had written to their memory\n", right, PROGRAMS, nr_right, nr_asked);
	fflush(stdout);
	for (i = 0; i < PROGRAMS; i++)
		program_end(&program[i]);
	if (right != PROGRAMS)
		fail("wrong answers");
	if (before.anon - after.anon < 1024 || before.used <= after.used)
		fail("nothing was saved");
	return 0;
}
