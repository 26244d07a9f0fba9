// SPDX-License-Identifier: GPL-2.0
/*
 * Worker processes: forked from the test, they wait for calls over a pipe, run
 * the named function of the test program and send its result back.
 *
 * A function travels as its distance from worker_loop(), so that a worker which
 * was exec'd afresh (worker_start_exec()) understands it too.
 */
#include "lib.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

/**
 * struct call - what goes down the pipe
 * @fn: distance of the function from worker_loop()
 * @arg: its arguments
 */
struct call {
	intptr_t fn;
	long arg[4];
};

static void worker_loop(int in, int out) __attribute__((noreturn));

static intptr_t fn_pack(worker_fn fn)
{
	return (intptr_t)fn - (intptr_t)worker_loop;
}

static worker_fn fn_unpack(intptr_t at)
{
	return (worker_fn)(at + (intptr_t)worker_loop);
}

/* A closed pipe is the order to exit. */
static void worker_loop(int in, int out)
{
	struct call c;

	while (read(in, &c, sizeof(c)) == sizeof(c)) {
		long r = fn_unpack(c.fn)(c.arg[0], c.arg[1], c.arg[2],
					 c.arg[3]);

		if (write(out, &r, sizeof(r)) != sizeof(r))
			break;
	}
	_exit(0);
}

/* main() of an exec'd program: "--worker in out", or "--worker-sleep". */
int worker_child(int argc, char **argv)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (argc == 4)
		worker_loop(atoi(argv[2]), atoi(argv[3]));
	for (;;)
		pause();
}

static void start(struct worker *w, uid_t uid, bool exec)
{
	int down[2], up[2];

	if (pipe(down) || pipe(up))
		FAIL("pipe: %s", strerror(errno));
	w->pid = fork();
	if (w->pid < 0)
		FAIL("fork: %s", strerror(errno));
	if (w->pid == 0) {
		char in[16], out[16];

		close(down[1]);
		close(up[0]);
		alarm(0);
		if (uid && setresuid(uid, uid, uid))
			FAIL("setresuid: %s", strerror(errno));
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!exec)
			worker_loop(down[0], up[1]);
		snprintf(in, sizeof(in), "%d", down[0]);
		snprintf(out, sizeof(out), "%d", up[1]);
		execl("/proc/self/exe", "worker", "--worker", in, out, NULL);
		FAIL("exec: %s", strerror(errno));
	}
	close(down[0]);
	close(up[1]);
	/* a later worker must not hold this one's pipe open */
	fcntl(down[1], F_SETFD, FD_CLOEXEC);
	fcntl(up[0], F_SETFD, FD_CLOEXEC);
	w->to = down[1];
	w->from = up[0];
}

void worker_start(struct worker *w)
{
	start(w, 0, false);
}

void worker_start_uid(struct worker *w, uid_t uid)
{
	start(w, uid, false);
}

/* A process that shares nothing with the test by fork. */
void worker_start_exec(struct worker *w)
{
	start(w, 0, true);
}

void worker_send(struct worker *w, worker_fn fn, long a, long b, long c, long d)
{
	struct call call = { fn_pack(fn), { a, b, c, d } };

	if (write(w->to, &call, sizeof(call)) != sizeof(call))
		FAIL("worker %d is gone: %s", w->pid, strerror(errno));
}

long worker_wait(struct worker *w)
{
	int status = 0;
	long r;

	if (read(w->from, &r, sizeof(r)) == sizeof(r))
		return r;
	waitpid(w->pid, &status, 0);
	FAIL("worker %d died, status %#x", w->pid, status);
}

long worker_call4(struct worker *w, worker_fn fn, long a, long b, long c, long d)
{
	worker_send(w, fn, a, b, c, d);
	return worker_wait(w);
}

static void finish(struct worker *w, const char *how)
{
	int status;

	close(w->to);
	close(w->from);
	if (waitpid(w->pid, &status, 0) != w->pid)
		FAIL("wait for worker %d (%s): %s", w->pid, how,
		     strerror(errno));
	w->pid = 0;
}

/*
 * The worker exits by itself. Workers that were forked later hold a copy of
 * the pipe's end, so it is told, not only hung up on.
 */
static long w_exit(long a, long b, long c, long d)
{
	(void)a, (void)b, (void)c, (void)d;
	_exit(0);
}

void worker_exit(struct worker *w)
{
	worker_send(w, w_exit, 0, 0, 0, 0);
	finish(w, "exit");
}

void worker_kill(struct worker *w)
{
	kill(w->pid, SIGKILL);
	finish(w, "kill");
}

static long w_exec(long a, long b, long c, long d)
{
	(void)a, (void)b, (void)c, (void)d;
	execl("/proc/self/exe", "worker", "--worker-sleep", NULL);
	return -errno;
}

/* The worker execs; its process stays, all its memory goes. worker_kill() ends it. */
void worker_exec_away(struct worker *w)
{
	char path[64], name[64] = "";

	worker_send(w, w_exec, 0, 0, 0, 0);
	snprintf(path, sizeof(path), "/proc/%d/cmdline", w->pid);
	if (!WAIT_FOR(file_read(path, name, sizeof(name)) > 0 &&
			      !strcmp(name, "worker") &&
			      !strcmp(name + strlen(name) + 1,
				      "--worker-sleep"),
		      LONG))
		FAIL("worker %d did not exec: %s", w->pid, name);
}

/* The worker stands still, traced by this process. */
void worker_trace(struct worker *w)
{
	int status;

	if (ptrace(PTRACE_ATTACH, w->pid, NULL, NULL))
		FAIL("PTRACE_ATTACH: %s", strerror(errno));
	if (waitpid(w->pid, &status, __WALL) != w->pid || !WIFSTOPPED(status))
		FAIL("worker %d did not stop", w->pid);
}

void worker_untrace(struct worker *w)
{
	if (ptrace(PTRACE_DETACH, w->pid, NULL, NULL))
		FAIL("PTRACE_DETACH: %s", strerror(errno));
}

long w_map(long pages, long b, long c, long d)
{
	(void)b, (void)c, (void)d;
	return (long)map_pages(pages);
}

long w_map_marked(long pages, long b, long c, long d)
{
	(void)b, (void)c, (void)d;
	return (long)map_marked(pages);
}

long w_fill(long p, long pages, long seed, long first)
{
	fill((void *)p, pages, seed, first);
	return 0;
}

long w_bad(long p, long pages, long seed, long first)
{
	return bad_pages((void *)p, pages, seed, first);
}

long w_bad_zero(long p, long pages, long c, long d)
{
	(void)c, (void)d;
	return bad_zero((void *)p, pages);
}

long w_munmap(long p, long pages, long c, long d)
{
	(void)c, (void)d;
	return munmap((void *)p, pages * PAGE) ? -errno : 0;
}

long w_madvise(long p, long pages, long advice, long d)
{
	(void)d;
	return madvise((void *)p, pages * PAGE, advice) ? -errno : 0;
}

long w_mprotect(long p, long pages, long prot, long d)
{
	(void)d;
	return mprotect((void *)p, pages * PAGE, prot) ? -errno : 0;
}

long w_prctl(long option, long arg, long c, long d)
{
	(void)c, (void)d;
	return prctl(option, arg, 0, 0, 0) ? -errno : 0;
}

/*
 * Push pages of the worker out, one try: is the most of them in swap? What waits in
 * a CPU's batch cannot be reclaimed, nor given up: that is drained first.
 */
bool worker_pageout(struct worker *w, void *p, size_t pages)
{
	file_write("/proc/sys/vm/compact_memory", "1");
	CHECK_EQ(worker_call(w, w_madvise, p, pages, MADV_PAGEOUT), 0);
	return count_swapped(w->pid, p, pages) > pages / 2;
}

/* As map_filled(), in the worker; returns where. */
void *worker_map_filled(struct worker *w, size_t pages, u64 seed, u64 first)
{
	void *p = (void *)worker_call(
		w, is_marked_only() ? w_map_marked : w_map, pages);

	worker_fill(w, p, pages, seed, first);
	return p;
}

size_t worker_bad(struct worker *w, const void *p, size_t pages, u64 seed,
		  u64 first)
{
	return worker_call(w, w_bad, p, pages, seed, first);
}

void worker_fill(struct worker *w, void *p, size_t pages, u64 seed, u64 first)
{
	worker_call(w, w_fill, p, pages, seed, first);
}
