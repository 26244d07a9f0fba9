// SPDX-License-Identifier: GPL-2.0
/*
 * The module's files: reading, writing, counters, waiting for scans.
 */
#include "lib.h"

bool on_ksmd(void)
{
	const char *e = getenv("TEST_KSMD");

	return e && *e && *e != '0';
}

const char *sysfs_dir(void)
{
	return on_ksmd() ? "/sys/kernel/mm/ksm" : "/sys/kernel/mm/uksm";
}

static void path_of(const char *file, char *buf, size_t size)
{
	snprintf(buf, size, "%s/%s", sysfs_dir(), file);
}

bool sysfs_has(const char *file)
{
	char path[200];

	path_of(file, path, sizeof(path));
	return access(path, F_OK) == 0;
}

/* Returns 0 or a negative errno. One write(2), exactly the bytes of @value. */
int sysfs_write(const char *file, const char *value)
{
	char path[200];

	path_of(file, path, sizeof(path));
	return file_write(path, value);
}

/* Returns the length or a negative errno; the text is ended by a NUL. */
int sysfs_read(const char *file, char *buf, size_t size)
{
	char path[200];

	path_of(file, path, sizeof(path));
	return file_read(path, buf, size);
}

/* A file that cannot be read counts as -1. */
long long sysfs_num(const char *file)
{
	char path[200];

	path_of(file, path, sizeof(path));
	return file_num(path);
}

/* A setting that must be taken. ksmd does not have all of them. */
void sysfs_set(const char *file, const char *value)
{
	int err;

	if (on_ksmd() && !sysfs_has(file))
		return;
	err = sysfs_write(file, value);
	if (err)
		FAIL("writing %s to %s: %s", value, file, strerror(-err));
}

void sysfs_set_num(const char *file, long long value)
{
	char buf[32];

	snprintf(buf, sizeof(buf), "%lld", value);
	sysfs_set(file, buf);
}

/* The chosen word of a file like "[all] madvise". */
int sysfs_choice(const char *file, char *buf, size_t size)
{
	char text[300], *from, *to;
	int len = sysfs_read(file, text, sizeof(text));

	if (len < 0)
		return len;
	from = strchr(text, '[');
	to = from ? strchr(from, ']') : NULL;
	if (!to)
		return -EPROTO;
	*to = '\0';
	snprintf(buf, size, "%s", from + 1);
	return 0;
}

void counters_get(struct counters *c)
{
	c->full_scans = sysfs_num("full_scans");
	c->pages_scanned = sysfs_num("pages_scanned");
	c->shared = sysfs_num("pages_shared");
	c->sharing = sysfs_num("pages_sharing");
	c->unshared = sysfs_num("pages_unshared");
	c->vol = sysfs_num("pages_volatile");
	c->skipped = sysfs_num("pages_skipped");
	c->zero = sysfs_num("ksm_zero_pages");
	c->profit = sysfs_num("general_profit");
	c->metadata = sysfs_num("metadata_bytes");
}

void counters_print(const char *when)
{
	struct counters c;

	counters_get(&c);
	note("%s: run %lld scans %lld scanned %lld shared %lld sharing %lld "
	     "unshared %lld volatile %lld skipped %lld zero %lld profit %lld "
	     "metadata %lld",
	     when, sysfs_num("run"), c.full_scans, c.pages_scanned, c.shared,
	     c.sharing, c.unshared, c.vol, c.skipped, c.zero, c.profit,
	     c.metadata);
}

void unmerge_all(void)
{
	sysfs_set("run", "2");
}

/* What every case starts with: nothing merged, everything scanned at full speed. */
void fast_settings(void)
{
	unmerge_all();
	sysfs_set("cpu_governor", "full");
	sysfs_set("max_cpu_percentage", "95");
	sysfs_set("pages_to_scan", on_ksmd() ? "100000" : "0");
	sysfs_set("sleep_millisecs", "1");
	sysfs_set("min_age_millisecs", "0");
	sysfs_set("use_zero_pages", "1");
	sysfs_set("max_page_sharing", "256");
	sysfs_set("scope", "all");
	sysfs_set("merge_domain", "user");
	sysfs_set("merge_across_nodes", "1");
	if (!on_ksmd())
		sysfs_set("min_headroom_percent", "0");
	if (on_ksmd() && sysfs_has("smart_scan"))
		sysfs_set("smart_scan", "0");
	sysfs_set("run", "1");
}

static bool only_marked;

bool is_marked_only(void)
{
	return only_marked;
}

/*
 * From here on only marked memory is merged, and map_filled() marks what it maps:
 * the counters are then those of the case alone.
 */
void marked_only(void)
{
	only_marked = true;
	unmerge_all();
	sysfs_set("scope", "madvise");
	sysfs_set("run", "1");
}

/*
 * Waits until @scans whole rounds that began after this call have ended: a
 * round under way at the call does not count.
 */
void settle(int scans)
{
	long long want = sysfs_num("full_scans") + scans + 1;

	if (!WAIT_FOR(sysfs_num("full_scans") >= want, 2 * LONG))
		FAIL("no %d rounds in %d s: full_scans %lld, wanted %lld",
		     scans, 2 * LONG, sysfs_num("full_scans"), want);
}
