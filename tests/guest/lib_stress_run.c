// SPDX-License-Identifier: GPL-2.0
/*
 * The stress run as a whole: starts the processes, ends some and starts others in
 * their place, disturbs them from outside, sees to a clean end and gives an
 * account.
 *
 * COW breaks are counted by the kernel (cow_ksm in /proc/vmstat: write faults that
 * copied a KSM page), and apart from that by the writers, who look at their page
 * table before and after they write. Merges are counted by the module
 * (pages_merged); there must be one for each break that a writer saw, since its
 * pages are shared with nobody by fork.
 */
#include "lib_stress.h"

#include <linux/loop.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define PROCS (WRITERS + MIXERS)
#define WRITER_GROUP "writers"
#define MIXER_GROUP "mixers"
#define TICK_MS 50

static pid_t proc[PROCS];
static struct slot self; /* random numbers of the run itself */
static u64 seed;

/* ---- processes -------------------------------------------------------- */

static bool is_writer(int nr)
{
	return nr < WRITERS;
}

static struct slot *slot_of(int nr)
{
	return is_writer(nr) ? stress->slot[nr] :
			       stress->slot[WRITERS +
					    (nr - WRITERS) * MIXER_THREADS];
}

/* In a process group of its own, to find its children when it was killed. */
static void start(int nr)
{
	static u64 starts;
	int i, threads = is_writer(nr) ? 1 : MIXER_THREADS;
	struct slot *s = slot_of(nr);

	for (i = 0; i < threads * DEPTH; i++) {
		memset(&s[i], 0, sizeof(s[i]));
		s[i].rnd = stress_mix(seed + (++starts << 20));
	}
	stress->quit[nr] = 0;
	proc[nr] = fork();
	if (proc[nr] < 0)
		FAIL("fork: %s", strerror(errno));
	if (proc[nr]) {
		setpgid(proc[nr], proc[nr]);
		return;
	}
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(0);
	cgroup_enter(is_writer(nr) ? WRITER_GROUP : MIXER_GROUP, getpid());
	if (is_writer(nr))
		stress_writer(s, nr);
	else
		stress_mixer(s, nr);
	_exit(0);
}

/*
 * Waits for a process and all that it has forked, which become ours when it dies.
 * All of them have to end well, or by SIGKILL where that was sent.
 */
static void wait_for(int nr)
{
	int status;

	for (;;) {
		pid_t pid = waitpid(-proc[nr], &status, 0);

		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			break;
		if (status &&
		    !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)) {
			note("process %d ended with status %#x", pid, status);
			stress_failed("a process", ECHILD);
		}
		if (pid == proc[nr])
			kill(-proc[nr], SIGKILL); /* its children */
	}
	proc[nr] = 0;
}

/* Has one ended by itself? Only by the OOM killer of its group. */
static void look_for_dead(void)
{
	siginfo_t info;
	int i;

	for (i = 0; i < PROCS; i++) {
		info.si_pid = 0;
		if (waitid(P_PID, proc[i], &info,
			   WEXITED | WNOHANG | WNOWAIT) ||
		    !info.si_pid)
			continue;
		wait_for(i);
		start(i);
	}
}

static void kill_one(void)
{
	int nr = stress_rnd(&self, PROCS);

	kill(-proc[nr], SIGKILL);
	wait_for(nr);
	start(nr);
	stress_count(OP_KILL, 1);
}

/* It ends when it gets to it, and is replaced when it has. */
static void quit_one(void)
{
	stress->quit[stress_rnd(&self, PROCS)] = 1;
	stress_count(OP_EXIT, 1);
}

/* ---- disturbances ----------------------------------------------------- */

static void change_setting(void)
{
	static const char *const sharing[] = { "2", "16", "64", "256" };
	static const char *const split[] = { "0", "25", "100" };

	stress_count(OP_SETTING, 1);
	switch (stress_rnd(&self, 4)) {
	case 0:
		sysfs_set("max_page_sharing", sharing[stress_rnd(&self, 4)]);
		break;
	case 1:
		sysfs_set("use_zero_pages", stress_rnd(&self, 3) ? "1" : "0");
		break;
	case 2:
		sysfs_set("thp_split_percent", split[stress_rnd(&self, 3)]);
		break;
	default:
		sysfs_set("merge_domain",
			  stress_rnd(&self, 2) ? "user" : "global");
	}
}

static void migrate_one(void)
{
	unsigned long from = 1, to = 2, swap;

	if (stress->nodes < 2)
		return;
	if (stress_rnd(&self, 2)) {
		swap = from;
		from = to;
		to = swap;
	}
	if (syscall(SYS_migrate_pages, proc[stress_rnd(&self, PROCS)], 3, &from,
		    &to) < 0)
		note("migrate_pages: %s", strerror(errno));
	stress_count(OP_MIGRATE, 1);
}

static void unmerge_once(void)
{
	int err = sysfs_write("run", "2");

	/* without memory for all: what it did so far stays valid */
	if (err && err != -ENOMEM)
		stress_failed("run=2", -err);
	stress_count(OP_UNMERGE, 1);
	sysfs_set("run", "1");
}

static void stop_once(void)
{
	sysfs_set("run", "0");
	stress_count(OP_STOP, 1);
	msleep(100);
	sysfs_set("run", "1");
}

static void drift(void)
{
	stress->epoch++;
}

static void reclaim(void)
{
	/* as much as it finds */
	cgroup_try(WRITER_GROUP, "memory.reclaim", "1M");
	stress_count(OP_RECLAIM, 1);
}

static void change_limit(void)
{
	static const char *const max[] = { "8M", "10M", "12M", "max" };

	cgroup_set(MIXER_GROUP, "memory.max",
		   max[stress_rnd(&self, ARRAY_SIZE(max))]);
	stress_count(OP_LIMIT, 1);
}

static void compact(void)
{
	file_write("/proc/sys/vm/compact_memory", "1");
	stress_count(OP_COMPACT, 1);
}

/**
 * struct disturbance - what happens again and again
 * @every: so many seconds
 * @fn: what
 * @next: when it is due
 */
static struct disturbance {
	double every;
	void (*fn)(void);
	double next;
} disturbances[] = {
	{ .every = 1.5, .fn = drift },	       { .every = 2, .fn = kill_one },
	{ .every = 1, .fn = quit_one },	       { .every = 2, .fn = reclaim },
	{ .every = 1, .fn = change_limit },    { .every = 5, .fn = compact },
	{ .every = 2, .fn = migrate_one },     { .every = 3, .fn = change_setting },
	{ .every = 7, .fn = stop_once },       { .every = 12, .fn = unmerge_once },
};

static void disturb(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(disturbances); i++) {
		struct disturbance *d = &disturbances[i];

		if (now() < d->next)
			continue;
		if (d->next)
			d->fn();
		d->next = now() + d->every;
	}
	look_for_dead();
}

/* ---- the run ---------------------------------------------------------- */

/*
 * A disk for O_DIRECT: a loop device on a file in memory, whose worker reads and
 * writes the pages that are pinned for it.
 */
static int open_disk(void)
{
	int ctl = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	struct loop_config config = { .block_size = PAGE };
	char path[32];
	int nr, fd;

	if (ctl < 0)
		FAIL("no loop devices: %s", strerror(errno));
	nr = ioctl(ctl, LOOP_CTL_GET_FREE);
	CHECK_OP(nr, >=, 0);
	close(ctl);
	snprintf(path, sizeof(path), "/dev/loop%d", nr);
	fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	config.fd = memfd_create("disk", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(config.fd, WRITERS * DIRECT * PAGE) ||
	    ioctl(fd, LOOP_CONFIGURE, &config))
		FAIL("%s: %s", path, strerror(errno));
	close(config.fd);
	return fd;
}

static void learn_zero_pfn(void)
{
	volatile u8 *p = map_pages(1);

	(void)*p;
	stress->zero_pfn = pfn_of(getpid(), (u8 *)p);
}

static void prepare(void)
{
	const char *e = getenv("STRESS_SEED");

	seed = e ? strtoull(e, NULL, 0) : (u64)time(NULL) * 1000 + getpid();
	note("STRESS_SEED=%llu", (unsigned long long)seed);
	self.rnd = stress_mix(seed);
	stress_init();
	stress->nodes = access("/sys/devices/system/node/node1", F_OK) ? 1 : 2;
	learn_zero_pfn();
	if (meminfo_kb("SwapTotal") <= 0)
		FAIL("no swap: the harness has to give this test some");
	stress->disk = open_disk();
	cgroup_make(WRITER_GROUP);
	cgroup_make(MIXER_GROUP);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	sysfs_set("max_cpu_percentage", "100");
	sysfs_set("sleep_millisecs", "0");
	/* full speed: before all that the processes do */
	if (setpriority(PRIO_PROCESS, thread_pid("uksmd"), -15))
		FAIL("nice of uksmd: %s", strerror(errno));
}

static void account(double secs, long long merges, long long breaks)
{
	char line[2000] = "";
	int op;

	note("%.0f s: %lld merges, %lld COW breaks; %llu of the breaks seen by writers, and %llu of zero pages",
	     secs, merges, breaks, (unsigned long long)stress->breaks,
	     (unsigned long long)stress->zero_breaks);
	note("%llu bytes checked (%llu MiB), %llu corrupt bytes",
	     (unsigned long long)stress->bytes,
	     (unsigned long long)(stress->bytes / MIB),
	     (unsigned long long)stress->corrupt);
	for (op = 0; op < OPS; op++) {
		snprintf(line + strlen(line), sizeof(line) - strlen(line),
			 "%s%s %llu", *line ? ", " : "", stress_op_names[op],
			 (unsigned long long)stress->ops[op]);
		if (strlen(line) > 300 || op == OPS - 1) {
			note("%s", line);
			line[0] = '\0';
		}
	}
	note("swap: %lld pages out, %lld in", vmstat("pswpout"),
	     vmstat("pswpin"));
}

/* What is left when all processes are gone and everything is unmerged: nothing. */
static void clean_end(void)
{
	cgroup_set(MIXER_GROUP, "memory.max", "max");
	CHECK_SOON(sysfs_write("run", "2") == 0, LONG);
	CHECK_SOON_EQ(sysfs_num("pages_shared"), 0, LONG);
	CHECK_EQ(sysfs_num("pages_sharing"), 0);
	CHECK_SOON_EQ(sysfs_num("ksm_zero_pages"), 0, LONG);
	CHECK_SOON(meminfo_kb("SwapTotal") - meminfo_kb("SwapFree") < 4096,
		   LONG);
	cgroup_remove(WRITER_GROUP);
	cgroup_remove(MIXER_GROUP);
}

/* Everything at once, for @secs. */
void stress_run(double secs)
{
	long long merges, breaks;
	double began, said, end;
	int i;

	alarm(secs * 2 + 120 * slowness());
	prepare();
	merges = sysfs_num("pages_merged");
	breaks = vmstat("cow_ksm");
	began = now();
	for (i = 0; i < PROCS; i++)
		start(i);
	end = began + secs;
	said = began;
	while (now() < end && !stress->stop) {
		msleep(TICK_MS);
		disturb();
		if (now() < said + 30)
			continue;
		said = now();
		note("%.0f s: %lld merges, %lld breaks, %llu MiB checked",
		     said - began, sysfs_num("pages_merged") - merges,
		     vmstat("cow_ksm") - breaks,
		     (unsigned long long)(stress->bytes / MIB));
	}
	stress->stop = 1;
	/* the module's share of what happened, before it is all undone */
	secs = now() - began;
	merges = sysfs_num("pages_merged") - merges;
	breaks = vmstat("cow_ksm") - breaks;
	for (i = 0; i < PROCS; i++)
		wait_for(i);
	account(secs, merges, breaks);
	CHECK_EQ(stress->corrupt, 0);
	CHECK_EQ(stress->failed, 0);
	clean_end();
	CHECK_OP(merges, >=, 50 * secs / slowness());
	CHECK_OP(breaks, >=, 50 * secs / slowness());
	CHECK_OP(merges, >=, stress->breaks);
}
