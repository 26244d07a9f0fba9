// SPDX-License-Identifier: GPL-2.0
/*
 * Where a kernel thread spends its time: the kernel's own sampling by a clock,
 * with the chain of callers, summed by place. A place is the innermost address
 * inside of the module (for ksmd: the innermost function of ksm.c), so that
 * what the kernel's functions cost counts for who called them.
 */
#include "lib_bench.h"

#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#define PERIOD_NS 50000
#define DATA_PAGES 4096UL
#define BINS 65536
#define NAME 48

static struct symbol {
	u64 at;
	char name[NAME];
} * symbols;
static size_t nr_symbols;

/**
 * struct bin - samples of one place
 * @place: offset in the module's code; for ksmd the function's address
 * @leaf: the function that was running
 * @samples: how many
 */
static struct bin {
	u64 place;
	const struct symbol *leaf;
	long samples;
} * bins;

static u64 text, text_end;
static struct perf_event_mmap_page *ring;
static int event = -1;
static long lost, elsewhere;

static const char *const ksm_functions[] = {
	"ksm_scan_thread",
	"ksm_do_scan",
	"scan_get_next_rmap_item",
	"cmp_and_merge_page",
	"stable_tree_search",
	"unstable_tree_search_insert",
	"try_to_merge_one_page",
	"try_to_merge_with_ksm_page",
	"write_protect_page",
	"replace_page",
	"calc_checksum",
	"memcmp_pages",
	"get_mergeable_page",
	"remove_rmap_item_from_tree",
	"ksm_get_folio",
	"get_ksm_page",
	"chain_prune",
	"__stable_node_chain",
	"stable_tree_append",
	"stable_tree_insert",
	"remove_node_from_stable_tree",
	"should_skip_rmap_item",
	"ksm_next_page_pmd_entry",
	"__ksm_enter",
	"stable_node_dup",
	"try_to_merge_two_pages",
	"alloc_stable_node",
	"break_cow",
};

static int by_address(const void *a, const void *b)
{
	u64 x = ((const struct symbol *)a)->at,
	    y = ((const struct symbol *)b)->at;

	return x < y ? -1 : x > y;
}

static void read_symbols(void)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	char line[512], type;
	size_t room = 0;

	CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long long at;
		char name[400];

		if (sscanf(line, "%llx %c %399s", &at, &type, name) != 3 ||
		    !strchr("tTwW", type) || !strncmp(name, "__pfx_", 6))
			continue;
		if (nr_symbols == room) {
			room = room ? 2 * room : 1 << 16;
			symbols = realloc(symbols, room * sizeof(*symbols));
			CHECK(symbols);
		}
		symbols[nr_symbols].at = at;
		snprintf(symbols[nr_symbols++].name, NAME, "%.*s", NAME - 1,
			 name);
	}
	fclose(f);
	qsort(symbols, nr_symbols, sizeof(*symbols), by_address);
}

static const struct symbol *symbol_of(u64 ip)
{
	size_t lo = 0, hi = nr_symbols;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (symbols[mid].at <= ip)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? &symbols[lo - 1] : NULL;
}

/* Where the module's code is. */
static void find_module(void)
{
	char buf[64];
	size_t i;

	text = text_end = 0;
	if (file_read("/sys/module/uksm/sections/.text", buf, sizeof(buf)) > 0)
		text = strtoull(buf, NULL, 16);
	for (i = 0; i < nr_symbols; i++) {
		/* its last function ends where the page does */
		if (symbols[i].at >= text && symbols[i].at < text + MIB &&
		    !strncmp(symbols[i].name, "uksm_", 5))
			text_end = symbols[i].at + PAGE;
	}
}

static bool is_ksm_function(const char *name)
{
	size_t i, len;

	for (i = 0; i < ARRAY_SIZE(ksm_functions); i++) {
		len = strlen(ksm_functions[i]);
		if (!strncmp(name, ksm_functions[i], len) &&
		    (!name[len] || name[len] == '.'))
			return true;
	}
	return false;
}

/* What in the chain of callers the sample counts for; 0: nothing there. */
static u64 place_of(const u64 *ips, u64 n)
{
	const struct symbol *s;
	u64 i;

	for (i = 0; i < n; i++) {
		if (!on_ksmd()) {
			if (ips[i] >= text && ips[i] < text_end)
				/* a return address is behind its call */
				return ips[i] - text - (i > 0);
			continue;
		}
		s = ips[i] < PERF_CONTEXT_MAX ? symbol_of(ips[i]) : NULL;
		if (s && is_ksm_function(s->name))
			return s->at;
	}
	return 0;
}

static void count(u64 place, const struct symbol *leaf)
{
	size_t i =
		(place * 31 + (leaf ? leaf->at : 0)) * 0x9e3779b97f4a7c15ULL >>
		48;

	while (bins[i].samples &&
	       (bins[i].place != place || bins[i].leaf != leaf))
		i = (i + 1) % BINS;
	bins[i].place = place;
	bins[i].leaf = leaf;
	bins[i].samples++;
}

/* A sample is its header, the address, and the length and the chain of callers. */
static void one(const struct perf_event_header *h)
{
	const u64 *w = (const u64 *)(h + 1);
	u64 ips[PERF_MAX_STACK_DEPTH + 8], n = 0, i, place;

	if (h->type == PERF_RECORD_LOST) {
		lost += w[1];
		return;
	}
	if (h->type != PERF_RECORD_SAMPLE)
		return;
	for (i = 0; i < w[1] && n < ARRAY_SIZE(ips); i++) {
		if (w[2 + i] < PERF_CONTEXT_MAX)
			ips[n++] = w[2 + i];
	}
	place = place_of(ips, n);
	if (place)
		count(place, symbol_of(w[0]));
	else
		elsewhere++;
}

void profile_drain(void)
{
	static u64 buf[65536 / 8];
	u64 size = DATA_PAGES * PAGE, tail, head;
	const u8 *data = (const u8 *)ring + PAGE;

	if (event < 0)
		return;
	head = __atomic_load_n(&ring->data_head, __ATOMIC_ACQUIRE);
	for (tail = ring->data_tail; tail < head;) {
		struct perf_event_header *h = (void *)buf;
		size_t i;

		/* it may begin at the end of the ring and go on at its start */
		for (i = 0; i < sizeof(*h); i++)
			((u8 *)buf)[i] = data[(tail + i) % size];
		for (; i < h->size; i++)
			((u8 *)buf)[i] = data[(tail + i) % size];
		one(h);
		tail += h->size;
	}
	__atomic_store_n(&ring->data_tail, tail, __ATOMIC_RELEASE);
}

void profile_start(pid_t thread)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = PERIOD_NS,
		.sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_CALLCHAIN,
		.exclude_user = 1,
		.exclude_callchain_user = 1,
	};

	if (!nr_symbols)
		read_symbols();
	find_module();
	free(bins);
	bins = calloc(BINS, sizeof(*bins));
	CHECK(bins);
	lost = elsewhere = 0;
	file_write("/proc/sys/kernel/perf_cpu_time_max_percent", "0");
	file_write("/proc/sys/kernel/perf_event_max_sample_rate", "100000");
	event = syscall(SYS_perf_event_open, &attr, thread, -1, -1,
			PERF_FLAG_FD_CLOEXEC);
	if (event < 0)
		FAIL("perf_event_open: %s", strerror(errno));
	ring = mmap(NULL, (1 + DATA_PAGES) * PAGE, PROT_READ | PROT_WRITE,
		    MAP_SHARED, event, 0);
	if (ring == MAP_FAILED)
		FAIL("the ring of perf: %s", strerror(errno));
}

void profile_end(const char *load, const char *phase)
{
	size_t i;

	ioctl(event, PERF_EVENT_IOC_DISABLE, 0);
	profile_drain();
	munmap(ring, (1 + DATA_PAGES) * PAGE);
	close(event);
	event = -1;
	for (i = 0; i < BINS; i++) {
		const struct bin *b = &bins[i];
		const struct symbol *s;

		if (!b->samples)
			continue;
		s = symbol_of(on_ksmd() ? b->place : b->place + text);
		note("profile %s %s %s %ld %llx %s %s", load,
		     system_name[on_ksmd()], phase, b->samples,
		     on_ksmd() ? 0 : (unsigned long long)b->place,
		     s ? s->name : "-", b->leaf ? b->leaf->name : "-");
	}
	note("profile %s %s %s %ld 0 - elsewhere", load, system_name[on_ksmd()],
	     phase, elsewhere);
	if (lost)
		note("profile: %ld samples lost", lost);
}
