// SPDX-License-Identifier: GPL-2.0
/*
 * The host of a boot storm. Each guest is a process that talks over a pipe (see
 * lib_storm_guest.c). The kernel's memory is measured as it goes; a guest that is
 * killed, or that finds a page which is not its own any more, ends it.
 *
 * Without the module the same happens with nothing merged, and with TEST_KSMD=1
 * ksmd is given the chance.
 */
#include "lib_storm.h"
#include "lib_kvm.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define MAX 256

/**
 * struct guest - one of them
 * @pid: its process
 * @to: what it receives
 * @from: what it sends
 * @line: what it has sent of a line
 * @len: how much that is
 * @answered: its last word, as it was sent
 * @rounds: how often it had checked everything by then
 */
static struct guest {
	pid_t pid;
	int to, from;
	char line[200];
	size_t len;
	char answered[20];
	unsigned long long rounds;
} guest[MAX];

static struct {
	const struct storm *s;
	int started;
	double since;
	long long kills;
	long long least_kb; /* memory available, at its least */
} host;

/* ---- guests ------------------------------------------------------------- */

static void guest_start(int k)
{
	struct guest *g = &guest[k];
	int down[2], up[2];

	CHECK_EQ(pipe2(down, O_CLOEXEC), 0);
	CHECK_EQ(pipe2(up, O_CLOEXEC), 0);
	g->pid = fork();
	CHECK_OP(g->pid, >=, 0);
	if (!g->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(0);
		file_write("/proc/self/oom_score_adj", "0");
		dup2(down[0], STDIN_FILENO);
		dup2(up[1], STDOUT_FILENO);
		host.s->run(host.s, k);
	}
	close(down[0]);
	close(up[1]);
	g->to = down[1];
	g->from = up[0];
	host.started = k + 1;
}

static void tell(int k, const char *what)
{
	char line[32];
	int n = snprintf(line, sizeof(line), "%s\n", what);

	guest[k].answered[0] = '\0';
	CHECK_EQ(write(guest[k].to, line, n), n);
}

static void hear_line(int k)
{
	struct guest *g = &guest[k];
	unsigned long long wrong;
	char word[20];

	if (sscanf(g->line, "@%19s %llu %llu", word, &g->rounds, &wrong) != 3) {
		if (g->line[0])
			note("guest %d: %s", k, g->line); /* its kernel */
		return;
	}
	if (wrong)
		FAIL("guest %d of %d found %llu wrong pages after %llu rounds",
		     k + 1, host.started, wrong, g->rounds);
	strcpy(g->answered, word);
	if (!strcmp(word, "off")) {
		close(g->from); /* that was its last word */
		g->from = -1;
	}
}

static void ended(int k)
{
	int status = 0;

	waitpid(guest[k].pid, &status, 0);
	if (vmstat("oom_kill") > host.kills)
		FAIL("out of memory: the OOM killer took guest %d with %d of %d started, after %.0f s",
		     k + 1, host.started, host.s->guests, now() - host.since);
	FAIL("guest %d of %d ended, status %#x", k + 1, host.started, status);
}

static void hear(int k)
{
	struct guest *g = &guest[k];
	char text[200];
	ssize_t i, n = read(g->from, text, sizeof(text));

	if (n <= 0)
		ended(k);
	for (i = 0; i < n && g->from >= 0; i++) {
		if (text[i] == '\n') {
			g->line[g->len] = '\0';
			hear_line(k);
			g->len = 0;
		} else if (text[i] != '\r' && g->len < sizeof(g->line) - 1) {
			g->line[g->len++] = text[i];
		}
	}
}

static void measure(void)
{
	long long kb = meminfo_kb("MemAvailable");

	if (kb < host.least_kb)
		host.least_kb = kb;
}

/* Listens to all of them for that long. */
static void listen(double secs)
{
	struct pollfd p[MAX];
	double end = now() + secs;
	int k;

	do {
		for (k = 0; k < host.started; k++)
			p[k] = (struct pollfd){ guest[k].from, POLLIN, 0 };
		poll(p, host.started, 200);
		for (k = 0; k < host.started; k++)
			if (p[k].revents)
				hear(k);
		measure();
	} while (now() < end);
}

static void await(int k, const char *word, double secs)
{
	double end = now() + secs;

	while (strcmp(guest[k].answered, word)) {
		if (now() > end)
			FAIL("guest %d of %d: no \"%s\" in %.0f s", k + 1,
			     host.started, word, secs);
		listen(0.2);
	}
}

/* ---- figures ------------------------------------------------------------ */

static double scanner_cpu(void)
{
	int threads;

	return thread_cpu_ns(on_ksmd() ? "ksmd" : "uksmd", &threads) / 1e9;
}

static long long saved_pages(void)
{
	struct counters c;

	counters_get(&c);
	return c.sharing < 0 ? 0 : c.sharing + (c.zero < 0 ? 0 : c.zero);
}

static void figures(const char *what)
{
	struct counters c;

	counters_get(&c);
	note("%6.1f s  %-9s %3d running  %6lld MiB free  shared %8lld  sharing %8lld  zero %7lld  rounds %5lld  %s %6.1f s  OOM kills %lld",
	     now() - host.since, what, host.started,
	     meminfo_kb("MemAvailable") / 1024, c.shared, c.sharing, c.zero,
	     c.full_scans, on_ksmd() ? "ksmd" : "uksmd", scanner_cpu(),
	     vmstat("oom_kill") - host.kills);
}

/* ---- the storm ---------------------------------------------------------- */

static void settings(const struct storm *s)
{
	if (on_ksmd()) { /* its best */
		sysfs_set("pages_to_scan", "20000");
		sysfs_set("sleep_millisecs", "20");
		if (sysfs_has("smart_scan"))
			sysfs_set("smart_scan", "1");
	} else if (sysfs_has("run")) {
		sysfs_set("sleep_millisecs", "20");
		sysfs_set("min_age_millisecs", "1000");
		sysfs_set("cpu_governor", s->governor);
	}
}

static void all_start(const struct storm *s)
{
	double next;
	char what[20];
	int k;

	for (k = 0; k < s->guests; k++) {
		next = now() + s->pause;
		guest_start(k);
		await(k, "ready", s->patience);
		snprintf(what, sizeof(what), "guest %d", k + 1);
		figures(what);
		if (now() < next)
			listen(next - now());
	}
}

static void all_say(const char *word)
{
	int k;

	for (k = 0; k < host.started; k++)
		tell(k, word);
	for (k = 0; k < host.started; k++)
		await(k, word, host.s->patience);
}

static void all_end(void)
{
	int k, status;

	all_say("off");
	for (k = 0; k < host.started; k++) {
		close(guest[k].to);
		CHECK_EQ(waitpid(guest[k].pid, &status, 0), guest[k].pid);
		CHECK_EQ(status, 0);
	}
}

static struct storm asked_for(const struct storm *s)
{
	return (struct storm){
		.guests = env_number("STORM_GUESTS", s->guests),
		.mib = env_number("STORM_MIB", s->mib),
		.fill = env_number("STORM_FILL", s->fill),
		.pause = env_number("STORM_PAUSE", s->pause),
		.patience = env_number("STORM_PATIENCE", s->patience),
		.governor = getenv("STORM_GOVERNOR") ?: s->governor ?: "medium",
		.run = s->run,
	};
}

/* For test_run(). Without the module it shows what happens without. */
int storm_flags(void)
{
	return access(sysfs_dir(), F_OK) ? TEST_NOLOAD : 0;
}

void storm(const struct storm *by_default)
{
	const struct storm asked = asked_for(by_default), *s = &asked;
	long long saved;
	double cpu;

	vm_needed();
	CHECK_OP(s->guests, <=, MAX);
	CHECK_OP(s->fill, <, s->mib);
	CHECK_EQ(file_num("/proc/sys/vm/nr_hugepages"), 0);
	CHECK_EQ(meminfo_kb("SwapTotal"), 0);
	CHECK_OP(s->guests * s->fill, >, meminfo_kb("MemTotal") / 1024);
	CHECK_EQ(file_write("/proc/self/oom_score_adj", "-1000"), 0);
	settings(s);
	host.s = s;
	host.kills = vmstat("oom_kill");
	host.since = now();
	host.least_kb = meminfo_kb("MemAvailable");
	cpu = scanner_cpu();
	note("%d guests of %lu MiB that fill %lu MiB each: %lu MiB, on a host of %lld MiB; %d s from one to the next",
	     s->guests, s->mib, s->fill, s->guests * s->fill,
	     meminfo_kb("MemTotal") / 1024, s->pause);
	all_start(s);
	all_say("check");
	figures("all right");
	saved = saved_pages();
	all_end();
	CHECK_EQ(vmstat("oom_kill"), host.kills);
	note("%d guests of %lu MiB ran on %lld MiB, none was killed, all pages were right: %lld MiB saved, %lld MiB free at the least, %s used %.1f s in %.1f s",
	     s->guests, s->mib, meminfo_kb("MemTotal") / 1024,
	     saved / (long long)(MIB / PAGE), host.least_kb / 1024,
	     on_ksmd() ? "ksmd" : "uksmd", scanner_cpu() - cpu,
	     now() - host.since);
}
