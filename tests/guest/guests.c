// SPDX-License-Identifier: GPL-2.0
/* vm: mem=1536 smp=1 timeout=480 modules="kvm_amd" */
/* vm: files="kernel /usr/bin/qemu-system-x86_64 /usr/share/seabios/bios-256k.bin" */
/* vm: files="$files /usr/share/qemu/linuxboot_dma.bin /usr/share/qemu/kvmvapic.bin" */
/*
 * Several real small Linux guests at once, each the same stock kernel as the
 * host's, under the same QEMU as the one that runs the host (it is there, it
 * is what people use, and with the libraries it needs it is no more than 50 MiB
 * of initramfs; a virtual machine monitor of our own would prove less).
 *
 * The program is also what runs in the guests, as their init: it fills memory
 * with pages of which most are alike in all guests, checks them again and
 * again, rewrites some, and lets a pipe of programs work. The host side merges
 * all that, asks for changes, and wants every answer right.
 *
 * One CPU: emulating several with KVM inside is not reliable over minutes.
 */
#include "lib_kvm.h"
#include "lib_qemu.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/wait.h>

#define THP "/sys/kernel/mm/transparent_hugepage/enabled"
#define GUESTS 3
#define N (24 * MIB / PAGE) /* pages that a guest fills */
#define CHUNK 256UL

#define ALIKE 7 /* seeds of the pages' contents: in all guests, */
#define OWN 1000 /* rewritten all the time in each */
#define CHANGED 2000 /* and what takes the place of some of the first */

/* ---- in a guest --------------------------------------------------------- */

static struct {
	u8 *mem;
	u64 id, rounds, bad;
	u64 gen[N]; /* of the pages that are rewritten */
	bool changed;
} in;

static bool is_zeros(u64 i)
{
	return i % 8 == 7;
}

static bool is_own(u64 i)
{
	return i % 8 == 6;
}

static bool is_changed(u64 i)
{
	return in.changed && i % 16 == 0;
}

static void guest_fill(u64 i)
{
	u8 *page = in.mem + i * PAGE;

	if (is_zeros(i))
		memset(page, 0, PAGE);
	else if (is_own(i))
		page_fill(page, OWN + in.id, i + ++in.gen[i] * N);
	else
		page_fill(page, is_changed(i) ? CHANGED + in.id : ALIKE, i);
}

static bool guest_right(u64 i)
{
	const u8 *page = in.mem + i * PAGE;

	if (is_zeros(i))
		return !bad_zero(page, 1);
	if (is_own(i))
		return page_is(page, OWN + in.id, i + in.gen[i] * N);
	return page_is(page, is_changed(i) ? CHANGED + in.id : ALIKE, i);
}

static void guest_check(u64 from, u64 n)
{
	u64 i;

	for (i = from; i < from + n; i++) {
		if (!guest_right(i))
			in.bad++;
		else if (is_own(i))
			guest_fill(i);
	}
}

static void guest_command(const char *line)
{
	u64 i;

	if (!strcmp(line, "change") || !strcmp(line, "back")) {
		in.changed = line[0] == 'c';
		for (i = 0; i < N; i += 16)
			guest_fill(i);
	} else if (!strcmp(line, "off")) {
		reboot(RB_AUTOBOOT);
	}
	guest_check(0, N);
	printf("@%s %llu %llu\n", line, (unsigned long long)in.rounds,
	       (unsigned long long)in.bad);
}

static void guest_poll(void)
{
	struct pollfd p = { .fd = 0, .events = POLLIN };
	char line[32];

	while (poll(&p, 1, 0) > 0 && fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		guest_command(line);
	}
}

static void __attribute__((noreturn)) guest_main(void)
{
	u64 i;

	setvbuf(stdin, NULL, _IONBF, 0);
	setvbuf(stdout, NULL, _IOLBF, 0);
	qemu_guest_init();
	in.id = env_number("guest", 0);
	in.mem = map_pages(N);
	memset(in.mem, 0xff, N * PAGE);
	for (i = 0; i < N; i++)
		guest_fill(i);
	printf("@ready 0 0\n");
	for (;;) {
		for (i = 0; i < N; i += CHUNK) {
			guest_check(i, CHUNK);
			guest_poll();
			msleep(40); /* they share a CPU */
		}
		if (system("gzip -c /init | gunzip -c | cmp - /init"))
			in.bad++;
		in.rounds++;
	}
}

/* ---- on the host -------------------------------------------------------- */

/**
 * struct guest - a QEMU with a guest in it
 * @pid: its process
 * @to: what the guest's serial port receives
 * @from: what it sends
 * @huge: whether its memory may be in huge pages
 */
static struct guest {
	pid_t pid;
	int to;
	FILE *from;
	bool huge;
} guest[GUESTS];

static void guest_start(int k)
{
	struct guest *g = &guest[k];
	int down[2], up[2];
	char append[20];

	CHECK_EQ(pipe2(down, O_CLOEXEC), 0);
	CHECK_EQ(pipe2(up, O_CLOEXEC), 0);
	snprintf(append, sizeof(append), "guest=%d", k);
	g->huge = k % 2;
	g->pid = fork();
	CHECK_OP(g->pid, >=, 0);
	if (!g->pid) {
		dup2(down[0], 0);
		dup2(up[1], 1);
		/* As QEMU asks for huge pages, say no for all of it. */
		if (!g->huge)
			CHECK_EQ(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0);
		qemu_run(128, append);
	}
	close(down[0]);
	close(up[1]);
	g->to = down[1];
	g->from = fdopen(up[0], "re");
	CHECK(g->from);
}

static void tell(int k, const char *what)
{
	char line[32];
	int n = snprintf(line, sizeof(line), "%s\n", what);

	CHECK_EQ(write(guest[k].to, line, n), n);
}

/* Wait for the answer to @what. Returns the rounds of work so far. */
static u64 answer(int k, const char *what)
{
	unsigned long long rounds, bad;
	char line[300], word[20];

	while (fgets(line, sizeof(line), guest[k].from)) {
		line[strcspn(line, "\r\n")] = '\0';
		if (sscanf(line, "@%19s %llu %llu", word, &rounds, &bad) != 3) {
			note("guest %d: %s", k, line); /* its kernel */
			continue;
		}
		if (bad)
			FAIL("guest %d found %llu errors in %llu rounds", k,
			     bad, rounds);
		if (strcmp(word, what))
			FAIL("guest %d: %s instead of %s", k, word, what);
		return rounds;
	}
	FAIL("guest %d ended before its answer to %s", k, what);
}

/* Have each guest check all its pages, until it has done that many rounds. */
static void all_right(u64 least)
{
	double end = now() + 3 * LONG;
	u64 rounds;
	int k;

	for (k = 0; k < GUESTS; k++) {
		do {
			tell(k, "check");
			rounds = answer(k, "check");
			if (rounds < least)
				msleep(1000); /* a check is in its way */
		} while (rounds < least && now() < end);
		CHECK_OP(rounds, >=, least);
	}
}

static long long saved(void)
{
	return sysfs_num("pages_sharing") + sysfs_num("ksm_zero_pages");
}

static long long huge_kb(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	return file_keyed(path, "AnonHugePages");
}

static void report(const char *when)
{
	long long kb = 0;
	int k;

	for (k = 0; k < GUESTS; k++)
		kb += status_kb(guest[k].pid, "RssAnon");
	note("%s: %d guests, %lld MiB mapped, %lld MiB saved, %.1f s", when,
	     GUESTS, kb / 1024, saved() / (long long)(MIB / PAGE), now());
}

/* Wait until merging comes to rest; what we know to be alike is merged then. */
static void wait_merged(void)
{
	long long before;

	do {
		before = saved();
		settle(2);
	} while (saved() > before + before / 100);
	CHECK_OP(sysfs_num("pages_sharing"), >=, (GUESTS - 1) * N * 6 / 8);
}

static void linux_guests(void)
{
	bool huge = !file_write(THP, "always");
	long long cow;
	int k, status;

	vm_needed();
	if (slowness() > 2)
		skip("too slow: on the debug kernel the guests end while they boot, with no module as well");
	qemu_make_initramfs("sh gzip gunzip cmp");
	/* They are to boot beside it, not after it. */
	sysfs_set("max_cpu_percentage", "15");
	for (k = 0; k < GUESTS; k++)
		guest_start(k);
	for (k = 0; k < GUESTS; k++) {
		answer(k, "ready");
		note("guest %d is up, %lld kB in huge pages, %.1f s", k,
		     huge_kb(guest[k].pid), now());
		CHECK_EQ(!!huge_kb(guest[k].pid), huge && guest[k].huge);
	}
	report("up");
	sysfs_set("max_cpu_percentage", "95");
	wait_merged();
	report("merged");

	/* Two of them write to what is merged; all must find what is theirs. */
	cow = vmstat("cow_ksm");
	for (k = 0; k < 2; k++)
		tell(k, "change");
	for (k = 0; k < 2; k++)
		answer(k, "change");
	CHECK_OP(vmstat("cow_ksm") - cow, >=, 2 * N / 16);
	all_right(1);
	report("changed");
	for (k = 0; k < 2; k++)
		tell(k, "back");
	for (k = 0; k < 2; k++)
		answer(k, "back");
	wait_merged();
	report("merged again");

	unmerge_all();
	all_right(2);
	report("unmerged");
	for (k = 0; k < GUESTS; k++) {
		tell(k, "off");
		CHECK_EQ(waitpid(guest[k].pid, &status, 0), guest[k].pid);
		CHECK_EQ(status, 0);
	}
}

static const struct test_case cases[] = {
	{ "Linux guests boot, work, and share their memory", linux_guests,
	  400 },
};

QEMU_TEST_MAIN(0, guest_main)
