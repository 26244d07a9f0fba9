// SPDX-License-Identifier: GPL-2.0
/* vm: swap=64 timeout=240 modules="kvm_amd" turns */
/*
 * What the host does to the merged memory of KVM guests: their processors'
 * page tables must follow. Two guests in two processes have all pages alike.
 *
 * And what merging them costs: calls of the mmu notifiers, which are as few as
 * the regions, not as many as the pages.
 */
#include "lib_kvm.h"

#include <linux/kvm.h>
#include <sys/ioctl.h>

#define N 128UL /* pages of a guest */
#define AT 9UL /* the byte of each page that a guest looks at */
#define TRACING "/sys/kernel/tracing/"
#define EVENT TRACING "events/uksm_test/notify/"

/* ---- in a worker: one guest ---------------------------------------------- */

static struct vm vm;

static long w_start(long pages, long b, long c, long d)
{
	(void)b, (void)c, (void)d;
	vm_start(&vm, pages);
	return (long)vm.mem;
}

static u8 content(u64 seed, size_t i)
{
	static u8 page[PAGE];

	page_fill(page, seed, i);
	return page[AT];
}

/* In how many pages does the processor not see what is to be there? */
static long w_sees_bad(long at, long seed, long c, long d)
{
	long bad = 0;
	size_t i;

	(void)c, (void)d;
	for (i = 0; i < vm.pages; i++)
		bad += vm_do(&vm, VM_READ, at + i * PAGE + AT, 0) !=
		       content(seed, i);
	return bad;
}

/* The processor writes what @seed says to every @step-th page from @first. */
static long w_writes(long at, long seed, long first, long step)
{
	size_t i;

	for (i = first; i < vm.pages; i += step)
		vm_do(&vm, VM_WRITE, at + i * PAGE + AT, content(seed, i));
	return 0;
}

static long w_slot(long slot, long at, long pages, long flags)
{
	return vm_slot(&vm, slot, at, vm.mem, pages, flags);
}

/* Pages from @first on, each @step-th, that the guest wrote since the last time. */
static long w_dirty(long first, long step, long c, long d)
{
	u64 bits[(N + 63) / 64] = { 0 };
	struct kvm_dirty_log log = { .slot = 0, .dirty_bitmap = bits };
	long n = 0;
	size_t i;

	(void)c, (void)d;
	CHECK_EQ(ioctl(vm.vm, KVM_GET_DIRTY_LOG, &log), 0);
	for (i = first; i < vm.pages; i += step)
		n += bits[i / 64] >> i % 64 & 1;
	return n;
}

/* ---- two of them ---------------------------------------------------------- */

static struct worker w[2];
static u8 *mem[2];

static void start_two(size_t pages)
{
	int k;

	vm_needed();
	for (k = 0; k < 2; k++) {
		worker_start(&w[k]);
		mem[k] = (u8 *)worker_call(&w[k], w_start, pages);
	}
}

static void merge_two(size_t pages)
{
	CHECK_SOON_EQ(count_same(w[0].pid, mem[0], w[1].pid, mem[1], pages),
		      pages, LONG);
}

/* Alike, known to both processors for writing, and merged. */
static void make_alike(u64 seed)
{
	int k;

	for (k = 0; k < 2; k++) {
		worker_fill(&w[k], mem[k], N, seed, 0);
		worker_call(&w[k], w_writes, 0, seed, 0, 1);
	}
	merge_two(N);
	for (k = 0; k < 2; k++)
		CHECK_EQ(worker_call(&w[k], w_sees_bad, 0, seed), 0);
}

/* The second guest's memory is what it was, for its processor and in full. */
static void other_whole(u64 seed)
{
	CHECK_EQ(worker_call(&w[1], w_sees_bad, 0, seed), 0);
	CHECK_EQ(worker_bad(&w[1], mem[1], N, seed, 0), 0);
}

static void merged_two(u64 seed)
{
	start_two(N);
	make_alike(seed);
}

static void written_by_host(void)
{
	merged_two(410);
	worker_fill(&w[0], mem[0], N, 411, 0);
	CHECK_EQ(worker_call(&w[0], w_sees_bad, 0, 411), 0);
	other_whole(410);
	worker_call(&w[0], w_writes, 0, 410, 0, 1);
	CHECK_EQ(worker_call(&w[0], w_sees_bad, 0, 410), 0);
	other_whole(410);
}

static void unmerged(void)
{
	merged_two(412);
	unmerge_all();
	CHECK_EQ(count_same(w[0].pid, mem[0], w[1].pid, mem[1], N), 0);
	CHECK_EQ(worker_call(&w[0], w_sees_bad, 0, 412), 0);
	CHECK_EQ(worker_bad(&w[0], mem[0], N, 412, 0), 0);
	worker_call(&w[0], w_writes, 0, 413, 0, 1);
	CHECK_EQ(worker_call(&w[0], w_sees_bad, 0, 413), 0);
	other_whole(412);
}

static size_t swapped_after_reclaim(void)
{
	cgroup_try("vms", "memory.reclaim", "1M"); /* takes what it can get */
	return count_swapped(w[0].pid, mem[0], N);
}

static void swapped(void)
{
	int k;

	cgroup_make("vms");
	start_two(N);
	for (k = 0; k < 2; k++)
		cgroup_enter("vms", w[k].pid);
	make_alike(415);
	CHECK_SOON(swapped_after_reclaim() >= N / 2, LONG);
	CHECK_EQ(worker_call(&w[0], w_sees_bad, 0, 415), 0);
	worker_call(&w[0], w_writes, 0, 414, 0, 1);
	CHECK_EQ(worker_call(&w[0], w_sees_bad, 0, 414), 0);
	other_whole(415);
}

/* What a migration of the guest to another host is told. */
static void dirty_log(void)
{
	start_two(N);
	worker_fill(&w[0], mem[0], N, 416, 0);
	worker_fill(&w[1], mem[1], N, 416, 0);
	CHECK_EQ(worker_call(&w[0], w_slot, 0, 0, N, KVM_MEM_LOG_DIRTY_PAGES),
		 0);
	/* Written before they are merged, and told of afterwards. */
	worker_call(&w[0], w_writes, 0, 416, 0, 2);
	merge_two(N);
	CHECK_EQ(worker_call(&w[0], w_dirty, 0, 2), N / 2);
	CHECK_EQ(worker_call(&w[0], w_sees_bad, 0, 416), 0);
	CHECK_EQ(worker_call(&w[0], w_dirty, 0, 1), 0);
	/* Merged, and then written. */
	worker_call(&w[0], w_writes, 0, 417, 1, 2);
	CHECK_EQ(worker_call(&w[0], w_dirty, 1, 2), N / 2);
	CHECK_EQ(worker_call(&w[0], w_dirty, 0, 1), 0);
	CHECK_EQ(count_same(w[0].pid, mem[0], w[1].pid, mem[1], N), N / 2);
	other_whole(416);
}

/* Memory that goes, comes elsewhere, and is there twice. */
static void slots(void)
{
	const unsigned long high = 16 * MIB, twice = 32 * MIB;

	merged_two(418);
	CHECK_EQ(worker_call(&w[0], w_slot, 0, 0, 0, 0), 0);
	CHECK_EQ(worker_call(&w[0], w_slot, 0, high, N, 0), 0);
	CHECK_EQ(worker_call(&w[0], w_slot, 2, twice, N, 0), 0);
	merge_two(N);
	CHECK_EQ(worker_call(&w[0], w_sees_bad, high, 418), 0);
	CHECK_EQ(worker_call(&w[0], w_sees_bad, twice, 418), 0);
	worker_call(&w[0], w_writes, high, 419, 0, 1);
	CHECK_EQ(worker_call(&w[0], w_sees_bad, high, 419), 0);
	CHECK_EQ(worker_call(&w[0], w_sees_bad, twice, 419), 0);
	other_whole(418);
	worker_call(&w[0], w_writes, twice, 418, 0, 1);
	merge_two(N);
	CHECK_EQ(worker_call(&w[0], w_slot, 2, 0, 0, 0), 0);
	CHECK_EQ(worker_call(&w[0], w_sees_bad, high, 418), 0);
	worker_call(&w[0], w_writes, high, 419, 0, 1);
	CHECK_EQ(worker_call(&w[0], w_sees_bad, high, 419), 0);
	other_whole(418);
}

/* ---- notifiers ------------------------------------------------------------ */

/* Count the scan thread's calls from here on. */
static void trace_start(void)
{
	char filter[64];

	snprintf(filter, sizeof(filter), "common_pid == %d",
		 thread_pid("uksmd"));
	if (file_write(TRACING "kprobe_events",
		       "p:uksm_test/notify __mmu_notifier_invalidate_range_start"))
		skip("no kprobe events");
	CHECK_EQ(file_write(EVENT "filter", filter), 0);
	CHECK_EQ(file_write(TRACING "trace", ""), 0);
	CHECK_EQ(file_write(EVENT "enable", "1"), 0);
}

static long trace_end(void)
{
	FILE *f;
	char line[300];
	long calls = 0;

	CHECK_EQ(file_write(EVENT "enable", "0"), 0);
	f = fopen(TRACING "trace", "re");
	CHECK(f);
	while (fgets(line, sizeof(line), f))
		calls += !!strstr(line, " notify: ");
	fclose(f);
	CHECK_EQ(file_write(TRACING "kprobe_events", "-:uksm_test/notify"), 0);
	return calls;
}

static void batched(void)
{
	const size_t pages = 1024;
	long calls;
	int k;

	settle(2); /* what else there is */
	sysfs_set("run", "0");
	start_two(pages);
	for (k = 0; k < 2; k++)
		worker_fill(&w[k], mem[k], pages, 420, 0);
	trace_start();
	sysfs_set("run", "1");
	merge_two(pages);
	calls = trace_end();
	note("%ld notifier calls for %zu merged pages: %.4f a page", calls,
	     2 * pages, (double)calls / (2 * pages));
	CHECK_OP(calls, >, 0);
	CHECK_OP(calls * 20, <=, 2 * pages);
	for (k = 0; k < 2; k++)
		CHECK_EQ(worker_call(&w[k], w_sees_bad, 0, 420), 0);
}

static const struct test_case cases[] = {
	{ "the host writes to what a guest has mapped", written_by_host, 90 },
	{ "it is unmerged", unmerged, 90 },
	{ "it is swapped out", swapped, 120 },
	{ "dirty logging sees all that is written", dirty_log, 90 },
	{ "memory slots go, move, and overlap", slots, 90 },
	{ "few notifier calls for many pages", batched, 90 },
};

TEST_MAIN(0)
