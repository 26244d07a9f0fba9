// SPDX-License-Identifier: GPL-2.0
/*
 * After a merge whoever writes gets a copy of its own and nobody else notices,
 * whichever way the write comes, in whatever order, also when only one mapper
 * is left; the counters follow.
 *
 * A frame that is written in place (exclusive mark left on, write-protection
 * forgotten) shows as wrong content on the other side.
 */
#include "lib.h"

#include <sys/ptrace.h>
#include <sys/uio.h>

#define N 64
#define OLD 30
#define NEW 31

static struct worker w[3];
static u8 *p[3];

static void merge(int procs)
{
	int i;

	marked_only();
	for (i = 0; i < procs; i++) {
		worker_start(&w[i]);
		p[i] = worker_map_filled(&w[i], N, OLD, 0);
	}
	for (i = 1; i < procs; i++)
		CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[i].pid, p[i], N), N,
			      LONG);
}

static void counters_are(long long shared, long long sharing)
{
	CHECK_SOON_EQ(sysfs_num("pages_shared"), shared, LONG);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), sharing, LONG);
}

/* One side writes all, then the other, which by then is the only mapper. */
static void in_turn(int first)
{
	int second = 1 - first;

	merge(2);
	counters_are(N, N);
	worker_fill(&w[first], p[first], N, NEW, 0);
	CHECK_EQ(worker_bad(&w[first], p[first], N, NEW, 0), 0);
	CHECK_EQ(worker_bad(&w[second], p[second], N, OLD, 0), 0);
	CHECK_EQ(count_merged(w[first].pid, p[first], N), 0);
	CHECK_EQ(count_same_pfn(w[0].pid, p[0], w[1].pid, p[1], N), 0);
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), 0, LONG);
	worker_fill(&w[second], p[second], N, NEW + 1, 0);
	CHECK_EQ(worker_bad(&w[second], p[second], N, NEW + 1, 0), 0);
	CHECK_EQ(worker_bad(&w[first], p[first], N, NEW, 0), 0);
	CHECK_EQ(count_merged(w[second].pid, p[second], N), 0);
	counters_are(0, 0);
}

static void first_then_second(void)
{
	in_turn(0);
}

static void second_then_first(void)
{
	in_turn(1);
}

static long w_poke(long at, long value, long b, long c)
{
	(void)b, (void)c;
	*(volatile u8 *)at = value;
	return 0;
}

static long w_peek(long at, long a, long b, long c)
{
	(void)a, (void)b, (void)c;
	return *(volatile u8 *)at;
}

/* One byte of every page: the rest of the copy must be the old content. */
static void one_byte(void)
{
	size_t i;

	merge(2);
	for (i = 0; i < N; i++) {
		u8 *at = p[0] + i * PAGE + i * 61 % PAGE;
		long old = worker_call(&w[0], w_peek, at);

		worker_call(&w[0], w_poke, at, old ^ 0xff);
		CHECK_EQ(worker_call(&w[0], w_peek, at), old ^ 0xff);
		worker_call(&w[0], w_poke, at, old);
	}
	CHECK_EQ(worker_bad(&w[0], p[0], N, OLD, 0), 0);
	CHECK_EQ(worker_bad(&w[1], p[1], N, OLD, 0), 0);
}

/* Written pages that become equal again are merged again, many times over. */
static void again_and_again(void)
{
	int i;

	merge(2);
	for (i = 1; i <= 5; i++) {
		worker_fill(&w[0], p[0], N, OLD + 10 * i, 0);
		CHECK_EQ(worker_bad(&w[1], p[1], N, OLD + 10 * (i - 1), 0), 0);
		worker_fill(&w[1], p[1], N, OLD + 10 * i, 0);
		CHECK_SOON_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N,
			      LONG);
		CHECK_EQ(worker_bad(&w[0], p[0], N, OLD + 10 * i, 0), 0);
		CHECK_EQ(worker_bad(&w[1], p[1], N, OLD + 10 * i, 0), 0);
	}
	counters_are(N, N);
}

/* Three mappers; each page is written by another subset of them. */
static void subsets(void)
{
	size_t i;
	int k;

	merge(3);
	counters_are(N, 2 * N);
	for (i = 0; i < N; i++)
		for (k = 0; k < 3; k++)
			if (i >> k & 1)
				worker_fill(&w[k], p[k] + i * PAGE, 1, 50 + k,
					    i);
	for (i = 0; i < N; i++)
		for (k = 0; k < 3; k++)
			CHECK_EQ(worker_bad(&w[k], p[k] + i * PAGE, 1,
					    i >> k & 1 ? 50 + k : OLD, i),
				 0);
	/* of 8 subsets: 7 leave a mapper, one leaves three, three leave two */
	CHECK_SOON_EQ(sysfs_num("pages_sharing"), N / 8 * (2 + 3), LONG);
}

static u8 wanted[N * PAGE];

/* The kernel writes on behalf of the process: read(2) into the page. */
static long w_read_into(long at, long a, long b, long c)
{
	int fds[2];
	size_t i;

	(void)a, (void)b, (void)c;
	if (pipe(fds))
		return -errno;
	for (i = 0; i < N; i++) {
		if (write(fds[1], wanted + i * PAGE, PAGE) != PAGE)
			return -EIO;
		if (read(fds[0], (u8 *)at + i * PAGE, PAGE) != PAGE)
			return -EIO;
	}
	close(fds[0]);
	close(fds[1]);
	return 0;
}

static void by_read(void)
{
	fill(wanted, N, NEW, 0);
	merge(2);
	CHECK_EQ(worker_call(&w[0], w_read_into, p[0]), 0);
	CHECK_EQ(worker_bad(&w[0], p[0], N, NEW, 0), 0);
	CHECK_EQ(worker_bad(&w[1], p[1], N, OLD, 0), 0);
}

#define PART (N / 4 * PAGE)

/*
 * Another process writes: process_vm_writev; then, also where the owner may not
 * write, PTRACE_POKEDATA and /proc/PID/mem. The last is refused by newer kernels
 * but to a tracer.
 */
static void by_others(void)
{
	struct iovec from = { wanted, 2 * PART }, to;
	char path[64];
	size_t i;
	int fd;

	fill(wanted, N, NEW, 0);
	merge(2);
	to = (struct iovec){ p[0], 2 * PART };
	CHECK_EQ(process_vm_writev(w[0].pid, &from, 1, &to, 1, 0), 2 * PART);
	CHECK_EQ(worker_call(&w[0], w_mprotect, p[0], N, PROT_READ), 0);
	worker_trace(&w[0]);
	for (i = 2 * PART; i < 3 * PART; i += sizeof(long))
		CHECK_EQ(ptrace(PTRACE_POKEDATA, w[0].pid, p[0] + i,
				*(long *)(wanted + i)),
			 0);
	snprintf(path, sizeof(path), "/proc/%d/mem", w[0].pid);
	fd = open(path, O_RDWR);
	CHECK(fd >= 0);
	CHECK_EQ(pwrite(fd, wanted + 3 * PART, PART, (long)(p[0] + 3 * PART)),
		 PART);
	close(fd);
	worker_untrace(&w[0]);
	CHECK_EQ(worker_bad(&w[0], p[0], N, NEW, 0), 0);
	CHECK_EQ(worker_bad(&w[1], p[1], N, OLD, 0), 0);
}

/* One word of a page is poked: the rest of the copy is the old content. */
static void one_word_poked(void)
{
	size_t i;

	merge(2);
	sysfs_set("run", "0"); /* or what is equal again is merged again */
	worker_trace(&w[0]);
	for (i = 0; i < N; i++) {
		u8 *at = p[0] + i * PAGE + i * 8;
		long old;

		errno = 0;
		old = ptrace(PTRACE_PEEKDATA, w[0].pid, at, NULL);
		CHECK_EQ(errno, 0);
		CHECK_EQ(ptrace(PTRACE_POKEDATA, w[0].pid, at, ~old), 0);
		CHECK_EQ(ptrace(PTRACE_PEEKDATA, w[0].pid, at, NULL), ~old);
		CHECK_EQ(ptrace(PTRACE_POKEDATA, w[0].pid, at, old), 0);
	}
	CHECK_EQ(count_merged(w[0].pid, p[0], N), 0);
	worker_untrace(&w[0]);
	CHECK_EQ(worker_bad(&w[0], p[0], N, OLD, 0), 0);
	CHECK_EQ(worker_bad(&w[1], p[1], N, OLD, 0), 0);
}

static long w_write_out(long at, long a, long b, long c)
{
	int fd = open("/dev/null", O_WRONLY);
	ssize_t n;

	(void)a, (void)b, (void)c;
	n = write(fd, (void *)at, N * PAGE);
	close(fd);
	return n;
}

/* Reading, directly or through the kernel, leaves the merge as it is. */
static void reading_keeps(void)
{
	merge(2);
	CHECK_EQ(worker_call(&w[0], w_write_out, p[0]), N * PAGE);
	CHECK_EQ(worker_bad(&w[0], p[0], N, OLD, 0), 0);
	CHECK_EQ(worker_bad(&w[1], p[1], N, OLD, 0), 0);
	CHECK_EQ(count_same(w[0].pid, p[0], w[1].pid, p[1], N), N);
	counters_are(N, N);
}

static const struct test_case cases[] = {
	{ "the first side writes, then the second", first_then_second, 90 },
	{ "the second side writes, then the first", second_then_first, 90 },
	{ "a copy of one changed byte is whole", one_byte, 90 },
	{ "written, equal, merged again, five times", again_and_again, 120 },
	{ "three mappers, every subset writes", subsets, 90 },
	{ "a write by read(2)", by_read, 90 },
	{ "a write by another process", by_others, 90 },
	{ "a word poked by a tracer", one_word_poked, 90 },
	{ "reading changes nothing", reading_keeps, 90 },
};

TEST_MAIN(0)
