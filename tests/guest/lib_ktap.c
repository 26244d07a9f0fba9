// SPDX-License-Identifier: GPL-2.0
/*
 * Cases: a fork, a process group and a time limit each; KTAP on standard output.
 *
 * The kernel log is read along: a warning, a bad page or a bad rss counter that
 * appears while a case runs fails the case, whatever the case itself found.
 *
 * What a case and the module were doing when its time was over is printed, and
 * what the CPUs were doing is on the console: see lib_hung.c.
 */
#include "lib.h"

#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#define EXIT_FAIL 1
#define EXIT_SKIP 4

static const char *const log_words[] = {
	"BUG:",	       "WARNING:",   "Bad page",	   "Bad rss-counter",
	"Oops",	       "bad pmd",    "general protection", "bad page map",
	"Bad pagetable", "inconsistent", "refcount_t:",	   NULL,
};

double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* How many times slower than usual this guest is, as the harness says. */
int slowness(void)
{
	const char *e = getenv("UKSM_SLOW");
	int slow = e ? atoi(e) : 1;

	return slow > 1 ? slow : 1;
}

void msleep(unsigned int ms)
{
	struct timespec ts = { ms / 1000, (ms % 1000) * 1000000L };

	nanosleep(&ts, NULL);
}

void note(const char *fmt, ...)
{
	char line[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	dprintf(STDOUT_FILENO, "# %s\n", line);
}

void fail(const char *file, int line, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	note("%s:%d: %s", strrchr(file, '/') ? strrchr(file, '/') + 1 : file,
	     line, text);
	if (sysfs_has("run"))
		counters_print("then");
	_exit(EXIT_FAIL);
}

void skip(const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	note("skipped: %s", text);
	_exit(EXIT_SKIP);
}

static void run_child(const struct test_case *tc, unsigned int flags)
{
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	alarm(tc->limit * slowness() + 10); /* run_case() comes first */
	if (!(flags & TEST_NOLOAD))
		fast_settings();
	tc->fn();
	_exit(0);
}

/* Everything the case started is ended and its exit waited for. */
static void reap_group(pid_t pid)
{
	double end = now() + 30;

	kill(-pid, SIGKILL);
	while (now() < end) {
		pid_t got = waitpid(-1, NULL, WNOHANG);

		if (got < 0 && errno == ECHILD)
			return;
		if (got == 0)
			msleep(5);
	}
	note("processes of the case would not end");
}

/* Returns an EXIT_ value. The limit is ours, then the child's own alarm. */
static int run_case(const struct test_case *tc, unsigned int flags)
{
	unsigned int limit = tc->limit * slowness();
	double start = now(), end = start + limit;
	int status = 0, code;
	bool told = false;
	pid_t pid = fork();

	if (pid == 0)
		run_child(tc, flags);
	if (pid < 0) {
		note("fork: %s", strerror(errno));
		return EXIT_FAIL;
	}
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (now() > end + 20) {
			note("case would not die of its alarm");
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			break;
		}
		if (now() > end && !told) {
			told = true;
			hung_print(pid);
			kill(pid, SIGALRM);
		}
		msleep(10);
	}
	reap_group(pid);
	if (WIFEXITED(status)) {
		code = WEXITSTATUS(status);
	} else {
		note(WTERMSIG(status) == SIGALRM ?
			     "time limit of %u s reached (signal %d)" :
			     "killed (limit %u s) by signal %d",
		     limit, WTERMSIG(status));
		code = EXIT_FAIL;
	}
	note("%.1f s", now() - start);
	return code;
}

int test_run(int argc, char **argv, const struct test_case *cases, size_t n,
	     unsigned int flags)
{
	int failed = 0, skipped = 0, log;
	const char *only = NULL;
	char line[300];
	size_t i;

	if (argc > 1 && !strncmp(argv[1], "--worker", 8))
		return worker_child(argc, argv);
	if (argc > 1)
		only = argv[1];
	setvbuf(stdout, NULL, _IOLBF, 0);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	printf("KTAP version 1\n1..%zu\n", n);
	if (!(flags & TEST_NOLOAD) && access(sysfs_dir(), F_OK)) {
		printf("Bail out! no %s: the module is not loaded\n",
		       sysfs_dir());
		return 1;
	}
	for (i = 0; i < n; i++) {
		int code;

		if (only && !strstr(cases[i].name, only))
			continue;
		log = log_open();
		code = run_case(&cases[i], flags);
		if (log >= 0 &&
		    log_find(log, log_words, line, sizeof(line)) > 0) {
			note("kernel log: %s", line);
			code = EXIT_FAIL;
		}
		if (log >= 0)
			close(log);
		if (code == EXIT_SKIP) {
			skipped++;
			printf("ok %zu %s # SKIP\n", i + 1, cases[i].name);
		} else if (code) {
			failed++;
			printf("not ok %zu %s\n", i + 1, cases[i].name);
		} else {
			printf("ok %zu %s\n", i + 1, cases[i].name);
		}
	}
	printf("# %zu cases, %d failed, %d skipped\n", n, failed, skipped);
	return failed ? 1 : 0;
}
