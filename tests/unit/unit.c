// SPDX-License-Identifier: GPL-2.0
/*
 * usage: unit [PART OF A NAME]
 * Run the cases; KTAP, and a last line "N passed, N failed".
 */
#include "unit.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT_SECONDS 120

static struct unit_test *tests, **last = &tests;

void unit_register(struct unit_test *t)
{
	*last = t;
	last = &t->next;
}

/* splitmix64 */
static u64 rnd_state = 0x756b736d;

u64 rnd(void)
{
	u64 z = rnd_state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/* Zeroed, with what lies behind it watched by the sanitizer. */
void *xalloc(size_t size)
{
	void *p = calloc(1, size);

	if (!p) {
		printf("# no memory\n");
		exit(1);
	}
	return p;
}

static bool run(const struct unit_test *t)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		alarm(LIMIT_SECONDS);
		t->fn();
		exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return false;
	if (WIFSIGNALED(status))
		printf("# ended by signal %d (%s)\n", WTERMSIG(status),
		       strsignal(WTERMSIG(status)));
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv)
{
	int n = 0, total = 0, failed = 0;
	struct unit_test *t;

	for (t = tests; t; t = t->next)
		total += argc < 2 || strstr(t->name, argv[1]);
	if (!total) {
		fprintf(stderr, "no such test: %s\n", argv[1]);
		return 1;
	}
	printf("KTAP version 1\n1..%d\n", total);
	for (t = tests; t; t = t->next) {
		bool ok;

		if (argc > 1 && !strstr(t->name, argv[1]))
			continue;
		ok = run(t);
		printf("%s %d %s\n", ok ? "ok" : "not ok", ++n, t->name);
		failed += !ok;
	}
	printf("%d passed, %d failed\n", total - failed, failed);
	return failed > 0;
}
