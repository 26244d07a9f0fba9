// SPDX-License-Identifier: GPL-2.0
/*
 * How often functions of the kernel are called, by kprobe events.
 */
#include "lib_bench.h"

#define TRACING "/sys/kernel/tracing/"

static const char *const functions[] = {
	"flush_tlb_mm_range",
	"__mmu_notifier_invalidate_range_start",
	"uksm_digest_sample",
	"uksm_digest_full",
};

static long long hits[ARRAY_SIZE(functions)];

/* Calls since the event was made. */
static long long count(size_t i)
{
	static char text[65536];
	char find[40], *at;

	if (file_read(TRACING "kprobe_profile", text, sizeof(text)) < 0)
		FAIL("no kprobe_profile");
	snprintf(find, sizeof(find), " bench_f%zu ", i);
	at = strstr(text, find);
	return at ? strtoll(at + strlen(find), NULL, 10) : -1;
}

void probes_start(void)
{
	char line[200];
	size_t i;
	int err;

	for (i = 0; i < ARRAY_SIZE(functions); i++) {
		snprintf(line, sizeof(line), "p:bench/bench_f%zu %s\n", i,
			 functions[i]);
		err = file_write(TRACING "kprobe_events", line);
		if (err && err != -ENOENT && err != -EEXIST)
			note("no probe on %s: %s", functions[i],
			     strerror(-err));
		hits[i] = count(i);
	}
	/* they are counted, and not recorded */
	file_write(TRACING "tracing_on", "0");
	if (file_write(TRACING "events/bench/enable", "1"))
		FAIL("no kprobe events here");
}

void probes_end(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(functions); i++) {
		if (hits[i] >= 0)
			hits[i] = count(i) - hits[i];
	}
	file_write(TRACING "events/bench/enable", "0");
}

/* Between the two; -1 for what cannot be counted. */
long long probe_hits(const char *function)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(functions); i++) {
		if (!strcmp(functions[i], function))
			return hits[i];
	}
	return -1;
}
