// SPDX-License-Identifier: GPL-2.0
/*
 * Fault injection: which allocations fail, picked by who asks and what is on the
 * stack.
 */
#include "lib_faults.h"

#define DEBUG "/sys/kernel/debug/"

static char *symbols;

static void symbols_read(void)
{
	size_t size = 16 * MIB;

	symbols = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(symbols != MAP_FAILED);
	CHECK_OP(file_read("/proc/kallsyms", symbols, size), >, 0);
}

/* Skips the case on a kernel without. */
void faults_need(void)
{
	if (access(DEBUG "failslab/require-start", F_OK) ||
	    access(DEBUG "fail_page_alloc/times", F_OK))
		skip("no fault injection: this takes the debug kernel");
	if (!symbols)
		symbols_read();
}

/* Where a function begins; 0 when there is none. What a compiler made of it counts. */
static u64 symbol_of(const char *name)
{
	size_t len = strlen(name);
	char *at = symbols;

	while ((at = strstr(at, name))) {
		char *line = at;

		at += len;
		if (line[-1] != ' ' || !strchr("\n\t.", *at))
			continue;
		while (line > symbols && line[-1] != '\n')
			line--;
		return strtoull(line, NULL, 16);
	}
	return 0;
}

/* The next thing in memory. */
static u64 symbol_after(u64 addr)
{
	u64 next = ~0ULL;
	char *line = symbols;

	while (line && *line) {
		u64 a = strtoull(line, NULL, 16);

		if (a > addr && a < next)
			next = a;
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return next;
}

static void attr_set(const char *attr, const char *file, u64 value)
{
	char path[128], text[32];
	int err;

	snprintf(path, sizeof(path), DEBUG "%s/%s", attr, file);
	snprintf(text, sizeof(text), "%#llx", (unsigned long long)value);
	err = file_write(path, text);
	if (err)
		FAIL("%s: %s", path, strerror(-err));
}

/* How many are still to fail. */
long long faults_left(const struct fault_site *s)
{
	char path[128];

	snprintf(path, sizeof(path), DEBUG "%s/times", s->attr);
	return file_num(path);
}

/* The filter @start, @end is that function. */
void faults_range(const char *attr, const char *start, const char *end,
		  const char *name)
{
	u64 addr = symbol_of(name);

	if (!addr)
		FAIL("no function %s in this kernel", name);
	attr_set(attr, start, addr);
	attr_set(attr, end, symbol_after(addr));
}

/* Any allocation may fail, but none does for now. */
void faults_common(const char *attr)
{
	attr_set(attr, "probability", 0);
	attr_set(attr, "interval", 1);
	attr_set(attr, "space", 0);
	attr_set(attr, "verbose", 0);
	attr_set(attr, "stacktrace-depth", 32);
	attr_set(attr, "reject-start", 0);
	attr_set(attr, "reject-end", 0);
	file_write(DEBUG "failslab/ignore-gfp-wait", "0");
	file_write(DEBUG "fail_page_alloc/ignore-gfp-wait", "0");
	file_write(DEBUG "fail_page_alloc/ignore-gfp-highmem", "0");
	file_write(DEBUG "fail_page_alloc/min-order", "0");
}

/* From now on the site fails, in tasks that were made to fail. */
void faults_arm(const struct fault_site *s)
{
	size_t i = 0;

	while (s->in[i + 1] && !symbol_of(s->in[i]))
		i++;
	faults_common(s->attr);
	faults_range(s->attr, "require-start", "require-end", s->in[i]);
	if (s->not_in)
		faults_range(s->attr, "reject-start", "reject-end", s->not_in);
	attr_set(s->attr, "times", FAULT_TIMES);
	attr_set(s->attr, "task-filter", 1);
	attr_set(s->attr, "probability", 100);
}

void faults_disarm(const struct fault_site *s)
{
	attr_set(s->attr, "probability", 0);
}
