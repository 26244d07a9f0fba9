// SPDX-License-Identifier: GPL-2.0
/* vm: noload */
/*
 * Every setting is a module parameter of the same name: given at load it shows in
 * the file, and a bad one refuses the load, with nothing left behind.
 */
#include "lib.h"

static const struct {
	const char *name, *value;
	bool word;
} params[] = {
	{ "run", "0", false },
	{ "scope", "madvise", true },
	{ "merge_domain", "global", true },
	{ "cpu_governor", "low", true },
	{ "max_cpu_percentage", "33", false },
	{ "scan_threads", "3", false },
	{ "pages_to_scan", "12345", false },
	{ "sleep_millisecs", "321", false },
	{ "min_age_millisecs", "4321", false },
	{ "use_zero_pages", "0", false },
	{ "max_page_sharing", "17", false },
	{ "thp_split_percent", "99", false },
};

static const char *const bad[] = {
	"run=3",
	"run=-1",
	"run=",
	"run=abc",
	"scope=any",
	"merge_domain=nobody",
	"cpu_governor=fast",
	"max_cpu_percentage=0",
	"max_cpu_percentage=101",
	"scan_threads=0",
	"scan_threads=33",
	"pages_to_scan=x",
	"sleep_millisecs=-5",
	"min_age_millisecs=99999999999999999999999",
	"use_zero_pages=2",
	"max_page_sharing=1",
	"run=1 scope=any",
};

static void unload(void)
{
	int err = 0;

	sysfs_set("run", "2");
	if (!WAIT_FOR((err = module_unload()) == 0, 20))
		FAIL("unload: %s", strerror(-err));
}

static void check_file(size_t i)
{
	char text[100];

	if (params[i].word)
		CHECK_EQ(sysfs_choice(params[i].name, text, sizeof(text)), 0);
	else
		CHECK_OP(sysfs_read(params[i].name, text, sizeof(text)), >, 0);
	text[strcspn(text, "\n")] = '\0';
	if (strcmp(text, params[i].value))
		FAIL("%s=%s at load, but the file says %s", params[i].name,
		     params[i].value, text);
}

static void one_by_one(void)
{
	char arg[100];
	size_t i;
	int err;

	for (i = 0; i < ARRAY_SIZE(params); i++) {
		snprintf(arg, sizeof(arg), "%s=%s", params[i].name,
			 params[i].value);
		err = module_load(arg);
		if (err)
			FAIL("load with %s: %s", arg, strerror(-err));
		check_file(i);
		unload();
	}
}

static void all_of_them(void)
{
	char arg[1000] = "";
	size_t i;

	for (i = 0; i < ARRAY_SIZE(params); i++)
		snprintf(arg + strlen(arg), sizeof(arg) - strlen(arg), "%s=%s ",
			 params[i].name, params[i].value);
	CHECK_EQ(module_load(arg), 0);
	for (i = 0; i < ARRAY_SIZE(params); i++)
		check_file(i);
	unload();
}

static void defaults(void)
{
	static const struct {
		const char *name;
		long long value;
	} d[] = {
		{ "run", 1 },
		{ "max_cpu_percentage", 50 },
		{ "scan_threads", 1 },
		{ "pages_to_scan", 0 },
		{ "sleep_millisecs", 20 },
		{ "min_age_millisecs", 1000 },
		{ "use_zero_pages", 1 },
		{ "max_page_sharing", 256 },
		{ "thp_split_percent", 25 },
	};
	static const char *const words[][2] = { { "scope", "all" },
						{ "merge_domain", "user" },
						{ "cpu_governor", "medium" } };
	char text[100];
	size_t i;

	CHECK_EQ(module_load(""), 0);
	for (i = 0; i < ARRAY_SIZE(d); i++)
		if (sysfs_num(d[i].name) != d[i].value)
			FAIL("%s is %lld, not %lld", d[i].name,
			     sysfs_num(d[i].name), d[i].value);
	for (i = 0; i < ARRAY_SIZE(words); i++) {
		CHECK_EQ(sysfs_choice(words[i][0], text, sizeof(text)), 0);
		if (strcmp(text, words[i][1]))
			FAIL("%s is %s, not %s", words[i][0], text,
			     words[i][1]);
	}
	unload();
}

static void bad_ones(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		int err = module_load(bad[i]);

		if (err != -EINVAL && err != -ERANGE)
			FAIL("load with %s: %s", bad[i],
			     err ? strerror(-err) : "success");
		CHECK(!module_loaded());
		CHECK(access("/sys/kernel/mm/uksm", F_OK) != 0);
	}
	/* and a good load still works */
	CHECK_EQ(module_load(""), 0);
	unload();
}

/* An unknown name is ignored by the kernel's loader with a line in its log. */
static void unknown(void)
{
	int err = module_load("no_such_parameter=1");

	if (!err)
		unload();
	CHECK(!module_loaded());
}

static void stopped_at_load(void)
{
	void *p, *q;

	CHECK_EQ(module_load("run=0 min_age_millisecs=0"), 0);
	p = map_filled(32, 230, 0);
	q = map_filled(32, 230, 0);
	msleep(2000);
	CHECK_EQ(count_merged(getpid(), p, 32), 0);
	CHECK_EQ(sysfs_num("pages_scanned"), 0);
	sysfs_set("run", "1");
	CHECK_SOON_EQ(count_same(getpid(), p, getpid(), q, 32), 32, LONG);
	unload();
}

static const struct test_case cases[] = {
	{ "defaults", defaults, 60 },
	{ "each parameter alone", one_by_one, 120 },
	{ "all parameters together", all_of_them, 60 },
	{ "bad values refuse the load", bad_ones, 60 },
	{ "an unknown parameter", unknown, 30 },
	{ "run=0 at load", stopped_at_load, 90 },
};

TEST_MAIN(TEST_NOLOAD)
