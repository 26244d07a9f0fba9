// SPDX-License-Identifier: GPL-2.0
/* vm: noload append="lockdown=confidentiality" */
/*
 * Under kernel lockdown, which forbids unsigned modules and kprobes, the load
 * fails cleanly, the kernel log says why, and nothing is left behind.
 */
#include "lib.h"

#include <sys/mount.h>

#define LOCKDOWN "/sys/kernel/security/lockdown"

static void refused(void)
{
	static const char *const words[] = { "uksm", "ockdown", NULL };
	char state[100] = "", line[300] = "";
	int log, lines, err;

	mount("securityfs", "/sys/kernel/security", "securityfs", 0, NULL);
	if (file_read(LOCKDOWN, state, sizeof(state)) <= 0)
		skip("this kernel has no lockdown");
	CHECK(strstr(state, "[confidentiality]"));
	/* the kernel's line is rate-limited, and the boot has used it up */
	msleep(6000);
	log = log_open();
	err = module_load("");
	lines = log_find(log, words, line, sizeof(line));
	note("load under lockdown: %s; %d lines: %s",
	     err ? strerror(-err) : "success", lines, line);
	CHECK(err);
	CHECK_OP(lines, >=, 1);
	CHECK(!module_loaded());
	CHECK(access("/sys/kernel/mm/uksm", F_OK) != 0);
	CHECK(access("/sys/module/uksm", F_OK) != 0);
	close(log);
}

static const struct test_case cases[] = {
	{ "the load is refused and the log says why", refused, 60 },
};

TEST_MAIN(TEST_NOLOAD)
