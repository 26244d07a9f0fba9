// SPDX-License-Identifier: GPL-2.0
/* vm: noload manual */
/*
 * On a kernel that lacks something (scripts/refusals.sh makes them): the load is
 * refused with one line, and nothing is left behind. UKSM_REFUSED is what the
 * line has to say; empty, the module has to load and to be silent otherwise.
 */
#include "lib.h"

/* Lines of uksm's since @log was opened; the last one is in @line. */
static int own_lines(int log, char *line, size_t size)
{
	char rec[8192], *text;
	int lines = 0;
	ssize_t n;

	while ((n = read(log, rec, sizeof(rec) - 1)) > 0) {
		rec[n] = '\0';
		rec[strcspn(rec, "\n")] = '\0';
		text = strchr(rec, ';');
		/* what the kernel says of any module from outside of it */
		if (!text || strstr(text, "taint") || !strstr(text, "uksm"))
			continue;
		snprintf(line, size, "%s", text + 1);
		lines++;
	}
	return lines;
}

static void loads_or_not(void)
{
	const char *why = getenv("UKSM_REFUSED");
	int log = log_open(), lines, err;
	char line[1024] = "";

	if (!why)
		skip("run by scripts/refusals.sh");
	err = module_load("");
	msleep(200);
	lines = own_lines(log, line, sizeof(line));
	note("load: %s; %d lines: %s", err ? strerror(-err) : "success", lines,
	     line);
	CHECK_EQ(lines, 1);
	if (!*why) {
		CHECK_EQ(err, 0);
		CHECK(module_loaded());
		return;
	}
	CHECK(err);
	CHECK(strstr(line, why));
	CHECK(!module_loaded());
	CHECK(access("/sys/kernel/mm/uksm", F_OK) != 0);
	CHECK(access("/sys/module/uksm", F_OK) != 0);
	CHECK_OP(file_read("/sys/kernel/debug/kprobes/list", line,
			   sizeof(line)), >=, 0);
	CHECK(!strstr(line, "_ksm"));
	CHECK_SOON_EQ(threads_named("uksm"), 0, LONG);
	close(log);
}

static const struct test_case cases[] = {
	{ "one line, and nothing is left", loads_or_not, 60 },
};

TEST_MAIN(TEST_NOLOAD)
