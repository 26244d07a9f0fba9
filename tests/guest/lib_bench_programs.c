// SPDX-License-Identifier: GPL-2.0
/*
 * The load "interpreters": Python and Node.js, half and half, that have imported
 * libraries, from the disk that scripts/bench.sh gives to the guest. Their memory
 * is that of real programs, so what is alike in it is alike by chance.
 *
 * They are stopped once they are ready, so that what is in memory stays as it
 * was counted, and both systems have the same processes one after the other;
 * huge pages that the first has split are made huge again.
 * ksmd looks at what programs have not marked only where
 * prctl(PR_SET_MEMORY_MERGE) was called, here by who became the program.
 */
#include "lib_bench.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define WORLD "/tmp/world"

static const char python[] =
	"import argparse, array, asyncio, collections, concurrent.futures, csv,"
	" ctypes, datetime, decimal, difflib, email.parser, fractions, hashlib,"
	" html.parser, http.client, http.server, inspect, json, logging.config,"
	" multiprocessing, pickle, random, requests, socketserver, sqlite3, ssl,"
	" statistics, tarfile, tempfile, typing, unittest.mock, urllib.request,"
	" uuid, xml.dom.minidom, xml.etree.ElementTree, zipfile\n"
	"print('ready', flush=True)\n"
	"input()\n";

static const char node[] =
	"for (const name of ['assert', 'crypto', 'dns', 'fs', 'http', 'http2',"
	" 'https', 'net', 'os', 'path', 'readline', 'stream', 'tls', 'url',"
	" 'util', 'worker_threads', 'zlib', 'acorn', 'lodash', 'typescript',"
	" 'undici']) globalThis[name] = require(name);\n"
	"console.log('ready');\n"
	"process.stdin.resume();\n";

static char *const kinds[2][4] = {
	{ "/usr/bin/python3", "-c", (char *)python, NULL },
	{ "/usr/bin/node", "-e", (char *)node, NULL },
};
static char *const environment[] = { "PATH=/usr/bin:/bin", "HOME=/tmp",
				     "LANG=C.UTF-8", NULL };

static pid_t pids[BENCH_PROCS];

/**
 * struct huge - where a huge page was before anything was merged
 * @pid: whose
 * @at: where
 */
static struct huge {
	pid_t pid;
	void *at;
} huge[4096];
static size_t nr_huge;

static void mount_world(void)
{
	CHECK(!mkdir(WORLD, 0755) || errno == EEXIST);
	if (mount("/dev/vda", WORLD, "ext4", MS_RDONLY, NULL) &&
	    errno != EBUSY)
		skip("no disk with interpreters (scripts/bench.sh has one made): %s",
		     strerror(errno));
	CHECK(!mount("proc", WORLD "/proc", "proc", 0, NULL));
	CHECK(!mount("/dev", WORLD "/dev", NULL, MS_BIND, NULL));
	CHECK(!mount("tmp", WORLD "/tmp", "tmpfs", 0, "mode=1777"));
}

/* One that waits for its standard input, which never comes to an end. */
static pid_t start(char *const *argv)
{
	int in[2], out[2];
	char text[64] = "";
	pid_t pid;

	CHECK(!pipe2(in, O_CLOEXEC) && !pipe2(out, O_CLOEXEC));
	pid = fork();
	CHECK_OP(pid, >=, 0);
	if (!pid) {
		alarm(0);
		dup2(in[0], 0);
		dup2(out[1], 1);
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) || chroot(WORLD) ||
		    chdir("/tmp") || prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0))
			_exit(126);
		execve(argv[0], argv, environment);
		_exit(127);
	}
	close(out[1]);
	if (read(out[0], text, sizeof(text) - 1) <= 0 ||
	    strcmp(text, "ready\n"))
		FAIL("%s said \"%s\", not that it is ready", argv[0], text);
	return pid;
}

static void add_huge(pid_t pid, unsigned long at, u64 pfn)
{
	if (at % HPAGE || pfn % (HPAGE / PAGE) ||
	    !(kpageflags(pfn) >> KPF_THP_BIT & 1))
		return;
	CHECK_OP(nr_huge, <, ARRAY_SIZE(huge));
	huge[nr_huge++] = (struct huge){ pid, (void *)at };
}

/* The kernel makes nothing huge of which no page is writable: one is written, as it is. */
static bool make_huge(const struct huge *h)
{
	struct iovec where = { h->at, HPAGE };
	int mem, fd = syscall(SYS_pidfd_open, h->pid, 0);
	char path[64];
	bool done;
	u8 byte;

	snprintf(path, sizeof(path), "/proc/%d/mem", h->pid);
	mem = open(path, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0 && mem >= 0);
	CHECK_EQ(pread(mem, &byte, 1, (off_t)h->at), 1);
	CHECK_EQ(pwrite(mem, &byte, 1, (off_t)h->at), 1);
	done = syscall(SYS_process_madvise, fd, &where, 1, MADV_COLLAPSE, 0) >= 0;
	close(mem);
	close(fd);
	return done;
}

/* Its pages that are there and its own, in areas of as many as follow each other. */
static void add_areas(pid_t pid, unsigned long from, unsigned long to, u64 zero)
{
	static u64 entry[1024];
	unsigned long at, n, i, first = 0, run = 0;

	for (at = from; at < to; at += n * PAGE) {
		n = (to - at) / PAGE;
		n = n < ARRAY_SIZE(entry) ? n : ARRAY_SIZE(entry);
		pagemap_read(pid, (void *)at, n, entry);
		for (i = 0; i < n; i++) {
			/* present, and not of a file or shared */
			if (entry[i] >> 63 && !(entry[i] >> 61 & 1) &&
			    (entry[i] & ((1ULL << 55) - 1)) != zero) {
				if (!run++)
					first = at + i * PAGE;
				add_huge(pid, at + i * PAGE,
					 entry[i] & ((1ULL << 55) - 1));
			} else if (run) {
				area_add(pid, (void *)first, run);
				run = 0;
			}
		}
	}
	if (run)
		area_add(pid, (void *)first, run);
}

/* All of a process's areas that may be merged. */
static void add_process(pid_t pid, u64 zero)
{
	unsigned long from = 0, to = 0, a, b;
	char path[64], line[4096];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	f = fopen(path, "re");
	CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &a, &b) == 2) {
			from = a;
			to = b;
		} else if (!strncmp(line, "VmFlags:", 8) &&
			   strstr(line, " mg")) {
			add_areas(pid, from, to, zero);
		}
	}
	fclose(f);
}

static void programs_new(const struct load *l)
{
	volatile u64 *nothing = map_pages(1);
	u64 zero;
	int k;

	if (prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0) < 0)
		skip("this kernel cannot be told to merge all of a process (PR_SET_MEMORY_MERGE)");
	mount_world();
	for (k = 0; k < l->procs; k++)
		pids[k] = start(kinds[k % 2]);
	msleep(2000); /* what they do of themselves once they are idle */
	for (k = 0; k < l->procs; k++)
		CHECK(!kill(pids[k], SIGSTOP));
	msleep(100);
	(void)nothing[0]; /* which maps the zero page */
	zero = pfn_of(getpid(), (void *)nothing);
	for (k = 0; k < l->procs; k++)
		add_process(pids[k], zero);
}

void programs_start(const struct load *l)
{
	size_t i, done = 0;

	if (!pids[0])
		programs_new(l);
	for (i = 0; i < nr_huge; i++)
		done += make_huge(&huge[i]);
	note("%s: %zu of %zu huge pages are there", l->name, done, nr_huge);
}
