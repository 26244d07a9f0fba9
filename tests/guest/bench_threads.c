// SPDX-License-Identifier: GPL-2.0
/* vm: manual smp=2 mem=2048 timeout=1800 */
/*
 * make bench LOADS="threads threads_work": what a second scan thread gains on two
 * processors. Time is that of a clock here, so it depends on what else this
 * machine does: one and two threads take turns, the best of each is compared, and
 * the median; and what two processes gain that have nothing in common says how
 * much there was to be had. CPU time is that of all scan threads together: work
 * that is divided costs no more of it, work that is done twice does. That is
 * exact only where CPU time is a count of instructions, so with one processor.
 *
 *   BENCH_ROUNDS   how often each; default 5
 *   BENCH_SCALE    times the pages of each process; default 1
 *   BENCH_COUNT    1: CPU time is a count of instructions; only that is compared
 */
#include "lib_bench.h"

#define RUNS_MOST 100
#define LIMIT_S (300 * slowness())

/* Wall-clock and CPU time of each run, in microseconds; with one thread, with two. */
static u64 took[2][RUNS_MOST], used[2][RUNS_MOST];

/* What a loop took, and what two took at once, in microseconds. */
static u64 alone[RUNS_MOST], at_once[RUNS_MOST];

static void figure(const struct load *l, int round, const char *name,
		   double value)
{
	note("figure %s uksm %d %s %.3f", l->name, round, name, value);
}

/* Time that the emulated machine's processors were kept from running, in 1/100 s. */
static long long stolen(void)
{
	char text[4096];
	long long steal = 0;

	if (file_read("/proc/stat", text, sizeof(text)) > 0)
		sscanf(text, "cpu %*d %*d %*d %*d %*d %*d %*d %lld", &steal);
	return steal;
}

static bool found(const struct sample *s, const struct ideal *ideal)
{
	if (!ideal->saved)
		return s->unshared >= ideal->pages * 0.995;
	return s->saved >= ideal->saved * 0.95;
}

/* Until all pages are known, or until 95 % of what can be saved are. */
static void once(const struct load *l, int threads, int round)
{
	long long start, cpu, second, steal;
	struct ideal ideal;
	struct sample s;
	int n;

	system_choose(false);
	system_fresh();
	sysfs_set_num("scan_threads", threads);
	load_start(l);
	load_count(l, &ideal);
	CHECK_EQ(sysfs_num("pages_unshared"), 0);
	steal = stolen();
	second = thread_cpu_ns("uksmd/1", &n);
	cpu = thread_cpu_ns("uksmd", &n);
	start = now_ns();
	system_run();
	do {
		msleep(2);
		system_sample(&s);
		if (s.at - start > LIMIT_S * 1000000000LL)
			FAIL("%d threads: %s is not known after %d s", threads,
			     l->name, LIMIT_S);
	} while (!found(&s, &ideal));
	second = thread_cpu_ns("uksmd/1", &n) - second;
	cpu = thread_cpu_ns("uksmd", &n) - cpu;
	if (n < threads)
		FAIL("%d threads are named uksmd..., not %d", n, threads);
	took[threads - 1][round] = (s.at - start) / 1000;
	used[threads - 1][round] = cpu / 1000;
	figure(l, round, threads == 1 ? "ms_one" : "ms_two",
	       (s.at - start) / 1e6);
	figure(l, round, threads == 1 ? "cpu_ms_one" : "cpu_ms_two", cpu / 1e6);
	if (threads > 1)
		figure(l, round, "second_percent", 100.0 * second / cpu);
	if (stolen() > steal)
		note("%d threads, %s: %lld ms were stolen", threads, l->name,
		     (stolen() - steal) * 10);
	load_end(l);
	system_clear();
}

static long w_spin(long loops, long b, long c, long d)
{
	volatile long n = loops;

	(void)b, (void)c, (void)d;
	while (n)
		n--;
	return 0;
}

static void processors(int round)
{
	const long loops = 10000000;
	struct worker w[2];
	long long start;
	int i;

	for (i = 0; i < 2; i++)
		worker_start(&w[i]);
	start = now_ns();
	worker_call(&w[0], w_spin, loops);
	alone[round] = (now_ns() - start) / 1000;
	start = now_ns();
	for (i = 0; i < 2; i++)
		worker_send(&w[i], w_spin, loops, 0, 0, 0);
	for (i = 0; i < 2; i++)
		worker_wait(&w[i]);
	at_once[round] = (now_ns() - start) / 1000;
	for (i = 0; i < 2; i++)
		worker_kill(&w[i]);
}

static void speed_figures(const struct load *l, int n)
{
	int k;

	for (k = 0; k < 2; k++)
		sort_numbers(took[k], n);
	sort_numbers(alone, n);
	sort_numbers(at_once, n);
	figure(l, 0, "two_threads_best", (double)took[0][0] / took[1][0]);
	figure(l, 0, "two_threads_median",
	       (double)took[0][n / 2] / took[1][n / 2]);
	figure(l, 0, "two_processors_best", 2.0 * alone[0] / at_once[0]);
	figure(l, 0, "two_processors_median",
	       2.0 * alone[n / 2] / at_once[n / 2]);
}

static void compare(const struct load *load)
{
	int n = env_number("BENCH_ROUNDS", 5), i, k;
	bool count = env_number("BENCH_COUNT", 0);
	struct load l = *load;

	if (!sysfs_has("scan_threads"))
		skip("this uksm has one scan thread: there is no file scan_threads");
	CHECK_OP(n, <=, RUNS_MOST);
	l.pages *= bench_scale();
	for (i = 0; i < 2 * n; i++) {
		k = (i + i / 2) % 2;
		once(&l, k + 1, i / 2);
		if (!k && !count)
			processors(i / 2);
	}
	sysfs_set("scan_threads", "1");
	for (k = 0; k < 2; k++)
		sort_numbers(used[k], n);
	figure(&l, 0, count ? "two_threads_work" : "two_threads_cpu",
	       (double)used[1][n / 2] / used[0][n / 2]);
	if (!count)
		speed_figures(&l, n);
}

/* So that there is a case when there is but one thread to be had. */
static void machine(void)
{
	note("%ld processors", sysconf(_SC_NPROCESSORS_ONLN));
	CHECK_EQ(sysconf(_SC_NPROCESSORS_ONLN),
		 env_number("BENCH_COUNT", 0) ? 1 : 2);
}

static void unique(void)
{
	static const struct load l = { "unique", 8, 100 * MIB / PAGE,
				       KIND_UNIQUE, 0 };

	compare(&l);
}

static void mixed(void)
{
	static const struct load l = { "mixed", 8, 100 * MIB / PAGE, KIND_MIXED,
				       0 };

	compare(&l);
}

static const struct test_case cases[] = {
	{ "the machine", machine, 10 },
	{ "two threads on unique pages", unique, 1800 },
	{ "two threads on a mixed load", mixed, 1800 },
};

TEST_MAIN(0)
