// SPDX-License-Identifier: GPL-2.0
/* vm: timeout=240 */
/*
 * The files of /sys/kernel/mm/uksm: good values are taken and read back, bad ones
 * are refused with EINVAL or ERANGE and change nothing, what is read-only cannot
 * be written, and every file holds one value and a newline.
 */
#include "lib.h"

#include <ctype.h>
#include <dirent.h>
#include <pthread.h>
#include <sys/stat.h>

/**
 * struct rw_file - a file that can be written
 * @name: of the file
 * @good: values that must be taken, ended by NULL
 * @bad: values out of its own range, ended by NULL
 * @words: it is a choice of words
 */
struct rw_file {
	const char *name;
	const char *good[6];
	const char *bad[6];
	bool words;
};

static const struct rw_file rw_files[] = {
	{ "run", { "0", "1", "2", "1" }, { "3", "100" }, false },
	{ "scope",
	  { "madvise", "all" },
	  { "any", "al", "allx", "all madvise", "[all]" },
	  true },
	{ "merge_domain",
	  { "global", "user" },
	  { "uid", "users", "user global", "[user]" },
	  true },
	{ "cpu_governor",
	  { "full", "low", "quiet", "medium" },
	  { "fast", "fulll", "0", "low quiet" },
	  true },
	{ "max_cpu_percentage", { "1", "100", "50" }, { "0", "101" }, false },
	{ "scan_threads", { "4", "2", "32", "1" }, { "0", "33" }, false },
	{ "pages_to_scan", { "1", "20000", "0" }, { NULL }, false },
	{ "sleep_millisecs", { "0", "200", "20" }, { NULL }, false },
	{ "min_age_millisecs", { "0", "60000", "1000" }, { NULL }, false },
	{ "use_zero_pages", { "0", "1" }, { "2", "10" }, false },
	{ "max_page_sharing", { "2", "1000", "256" }, { "0", "1" }, false },
	{ "merge_across_nodes", { "0", "1" }, { "2" }, false },
	{ "thp_split_percent", { "0", "100", "25" }, { "101" }, false },
	{ "min_headroom_percent", { "100", "1", "0" }, { "101" }, false },
};

static const char *const ro_files[] = {
	"full_scans",	  "pages_scanned",  "pages_shared",   "pages_sharing",
	"pages_unshared", "pages_volatile", "ksm_zero_pages", "general_profit",
	"metadata_bytes", "pages_merged",   "headroom_bytes",
};

/* What no file takes, whatever it is for. */
static const char *const garbage[] = {
	"\n",  " ",    "abc",  "-1",  "-0x1", "1x",
	"1 2", "1,2",  "1.5",  "--1", "0x",   "1\n2\n",
	"%s",  "1e3",  "NULL", "on",  "99999999999999999999999999",
	"18446744073709551616", "\xff\xfe", "9223372036854775808",
};

static void no_ksmd(void)
{
	if (on_ksmd())
		skip("these are the module's files");
}

/* The value as it would be written: the chosen word of a choice. */
static void value_of(const struct rw_file *f, char *buf, size_t size)
{
	int err = f->words ? sysfs_choice(f->name, buf, size) :
			     sysfs_read(f->name, buf, size);

	if (err < 0)
		FAIL("%s: %s", f->name, strerror(-err));
	buf[strcspn(buf, "\n")] = '\0';
}

static void must_refuse(const struct rw_file *f, const char *bad)
{
	char before[64], after[64];
	int err;

	value_of(f, before, sizeof(before));
	err = sysfs_write(f->name, bad);
	value_of(f, after, sizeof(after));
	if (err != -EINVAL && err != -ERANGE)
		FAIL("%s: writing \"%.40s\" gave %s", f->name, bad,
		     err ? strerror(-err) : "success");
	if (strcmp(before, after))
		FAIL("%s: writing \"%.40s\" was refused but changed %s to %s",
		     f->name, bad, before, after);
}

static void all_there(void)
{
	size_t i;

	no_ksmd();
	for (i = 0; i < ARRAY_SIZE(rw_files); i++)
		if (!sysfs_has(rw_files[i].name))
			FAIL("no file %s", rw_files[i].name);
	for (i = 0; i < ARRAY_SIZE(ro_files); i++)
		if (!sysfs_has(ro_files[i]))
			FAIL("no file %s", ro_files[i]);
}

static void good_values(void)
{
	size_t i, j;
	int newline;

	no_ksmd();
	for (i = 0; i < ARRAY_SIZE(rw_files); i++) {
		/* not while anything is merged */
		if (!strcmp(rw_files[i].name, "merge_across_nodes"))
			sysfs_set("run", "2");
		for (newline = 0; newline < 2; newline++)
			for (j = 0; rw_files[i].good[j]; j++) {
				const char *good = rw_files[i].good[j];
				char value[64];

				snprintf(value, sizeof(value), "%s%s", good,
					 newline ? "\n" : "");
				sysfs_set(rw_files[i].name, value);
				value_of(&rw_files[i], value, sizeof(value));
				if (strcmp(value, good))
					FAIL("%s: wrote %s, reads %s",
					     rw_files[i].name, good, value);
			}
	}
}

static void bad_values(void)
{
	char empty_before[64], empty_after[64];
	size_t i, j;

	no_ksmd();
	for (i = 0; i < ARRAY_SIZE(rw_files); i++) {
		const struct rw_file *f = &rw_files[i];

		for (j = 0; j < ARRAY_SIZE(garbage); j++)
			must_refuse(f, garbage[j]);
		for (j = 0; f->bad[j]; j++)
			must_refuse(f, f->bad[j]);
		/* sysfs itself swallows a write of nothing */
		value_of(f, empty_before, sizeof(empty_before));
		sysfs_write(f->name, "");
		value_of(f, empty_after, sizeof(empty_after));
		if (strcmp(empty_before, empty_after))
			FAIL("%s: an empty write changed it", f->name);
	}
}

/* A page full, and more than a page. */
static void long_values(void)
{
	static char text[9000];
	size_t i;

	no_ksmd();
	for (i = 0; i < ARRAY_SIZE(rw_files); i++) {
		char before[64], after[64];

		value_of(&rw_files[i], before, sizeof(before));
		memset(text, '1', sizeof(text) - 1);
		CHECK_OP(sysfs_write(rw_files[i].name, text), <, 0);
		text[4095] = '\0';
		must_refuse(&rw_files[i], text);
		memset(text, ' ', 4095);
		must_refuse(&rw_files[i], text);
		value_of(&rw_files[i], after, sizeof(after));
		CHECK(!strcmp(before, after));
	}
}

/* A word that is shown can be chosen; one that is not shown is refused. */
static void choices(void)
{
	static const char *const domains[] = { "user", "cgroup", "process",
					       "global" };
	char text[200];
	size_t i;

	no_ksmd();
	CHECK_OP(sysfs_read("merge_domain", text, sizeof(text)), >, 0);
	for (i = 0; i < ARRAY_SIZE(domains); i++) {
		if (strstr(text, domains[i])) {
			char now_is[64];

			sysfs_set("merge_domain", domains[i]);
			CHECK_EQ(sysfs_choice("merge_domain", now_is,
					      sizeof(now_is)),
				 0);
			CHECK(!strcmp(now_is, domains[i]));
		} else {
			CHECK_EQ(sysfs_write("merge_domain", domains[i]),
				 -EINVAL);
		}
	}
	CHECK(strstr(text, "user") && strstr(text, "global"));
}

static void read_only(void)
{
	char path[200];
	struct stat st;
	size_t i;

	no_ksmd();
	for (i = 0; i < ARRAY_SIZE(ro_files); i++) {
		snprintf(path, sizeof(path), "%s/%s", sysfs_dir(), ro_files[i]);
		CHECK_EQ(stat(path, &st), 0);
		if (st.st_mode & 0222)
			FAIL("%s can be written: mode %o", ro_files[i],
			     st.st_mode);
		CHECK_OP(sysfs_write(ro_files[i], "1"), <, 0);
	}
	for (i = 0; i < ARRAY_SIZE(rw_files); i++) {
		snprintf(path, sizeof(path), "%s/%s", sysfs_dir(),
			 rw_files[i].name);
		CHECK_EQ(stat(path, &st), 0);
		if ((st.st_mode & 0777) != 0644)
			FAIL("%s has mode %o, not 644", rw_files[i].name,
			     st.st_mode & 0777);
	}
}

static long w_write_run(long a, long b, long c, long d)
{
	(void)a, (void)b, (void)c, (void)d;
	return sysfs_write("run", "2");
}

static long w_read_run(long a, long b, long c, long d)
{
	(void)a, (void)b, (void)c, (void)d;
	return sysfs_num("run");
}

static void other_users(void)
{
	struct worker w;

	worker_start_uid(&w, 1000);
	CHECK_EQ(worker_call(&w, w_write_run), -EACCES);
	CHECK_EQ(worker_call(&w, w_read_run), 1);
}

/* "-" digits, or words of which one is in brackets. */
static bool one_value(const char *text)
{
	size_t len = strlen(text), digits;
	const char *at = text + (*text == '-');

	if (!len || text[len - 1] != '\n' || strchr(text, '\n') != text + len - 1)
		return false;
	digits = strspn(at, "0123456789");
	if (digits && at + digits == text + len - 1)
		return true;
	return strchr(text, '[') && strchr(text, ']') &&
	       strchr(text, '[') == strrchr(text, '[') &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz_[] \n") == len;
}

static void format(void)
{
	DIR *dir = opendir(sysfs_dir());
	struct dirent *d;
	int files = 0;

	no_ksmd();
	CHECK(dir);
	while ((d = readdir(dir))) {
		char text[4097];

		if (d->d_name[0] == '.' || d->d_type == DT_DIR)
			continue;
		CHECK_OP(sysfs_read(d->d_name, text, sizeof(text)), >, 0);
		if (!one_value(text))
			FAIL("%s: not one value and a newline: \"%s\"",
			     d->d_name, text);
		files++;
	}
	closedir(dir);
	CHECK_OP(files, >=, ARRAY_SIZE(rw_files) + ARRAY_SIZE(ro_files));
}

/* What every how-to for KSM shows, with the path changed. */
static void boot_script(void)
{
	map_filled(16, 201, 0);
	sysfs_set("run", "1\n");
	sysfs_set("pages_to_scan", "20000\n");
	sysfs_set("sleep_millisecs", "200\n");
	CHECK_EQ(sysfs_num("run"), 1);
	CHECK_EQ(sysfs_num("pages_to_scan"), 20000);
	CHECK_EQ(sysfs_num("sleep_millisecs"), 200);
	settle(1);
}

/* A governor brings its percentage along; a percentage set by hand stays till then. */
static void governor(void)
{
	static const struct {
		const char *name;
		int percent;
	} g[] = { { "full", 95 }, { "medium", 50 }, { "low", 20 }, { "quiet", 1 } };
	size_t i;

	no_ksmd();
	for (i = 0; i < ARRAY_SIZE(g); i++) {
		sysfs_set("cpu_governor", g[i].name);
		CHECK_EQ(sysfs_num("max_cpu_percentage"), g[i].percent);
	}
	sysfs_set("max_cpu_percentage", "33");
	CHECK_EQ(sysfs_num("max_cpu_percentage"), 33);
}

static volatile bool stop;

static void *scribble(void *arg)
{
	unsigned int x = (uintptr_t)arg * 7919 + 1;
	char value[64];

	while (!stop) {
		const struct rw_file *f;

		x = x * 1103515245 + 12345;
		f = &rw_files[(x >> 16) % ARRAY_SIZE(rw_files)];
		if (x >> 30)
			snprintf(value, sizeof(value), "%u", (x >> 8) % 300);
		else
			snprintf(value, sizeof(value), "%s", f->good[x >> 28 & 1]);
		if (strcmp(f->name, "sleep_millisecs") || atoi(value) < 50)
			sysfs_write(f->name, value);
		sysfs_num(ro_files[(x >> 12) % ARRAY_SIZE(ro_files)]);
	}
	return NULL;
}

/* Four writers of everything at once while there is memory to merge. */
static void all_at_once(void)
{
	pthread_t t[4];
	struct worker w;
	void *p, *q;
	size_t i;

	no_ksmd();
	worker_start(&w);
	p = worker_map_filled(&w, 512, 200, 0);
	q = map_filled(512, 200, 0);
	for (i = 0; i < ARRAY_SIZE(t); i++)
		CHECK_EQ(pthread_create(&t[i], NULL, scribble, (void *)i), 0);
	for (i = 0; i < 10; i++) {
		msleep(500);
		CHECK_EQ(bad_pages(q, 512, 200, 0), 0);
	}
	stop = true;
	for (i = 0; i < ARRAY_SIZE(t); i++)
		pthread_join(t[i], NULL);
	CHECK_EQ(worker_bad(&w, p, 512, 200, 0), 0);
	fast_settings();
	CHECK_SOON_EQ(count_same(getpid(), q, w.pid, p, 512), 512, LONG);
}

static const struct test_case cases[] = {
	{ "all files are there", all_there, 30 },
	{ "good values are taken and read back", good_values, 60 },
	{ "bad values are refused and change nothing", bad_values, 60 },
	{ "overlong values are refused", long_values, 60 },
	{ "words that are shown can be chosen", choices, 30 },
	{ "read-only files and modes", read_only, 30 },
	{ "others than root read and cannot write", other_users, 30 },
	{ "one value and a newline", format, 30 },
	{ "the how-to's boot script", boot_script, 60 },
	{ "governors bring their percentage", governor, 30 },
	{ "all files written at once while merging", all_at_once, 120 },
};

TEST_MAIN(0)
