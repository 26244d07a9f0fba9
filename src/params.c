// SPDX-License-Identifier: GPL-2.0
/*
 * params.c - the settings: their limits, how they are read and written
 *
 * One setting is one file of sysfs.c and one module parameter of the same
 * name. A bad value is refused with -EINVAL, one out of range with -ERANGE,
 * and changes nothing.
 */
#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "params.h"
#include "scan.h"
#include "scanner.h"

struct uksm_settings uksm_settings = {
	.run = UKSM_RUN_MERGE,
	.governor = UKSM_GOVERNOR_MEDIUM,
	.threads = 1,
	.sleep_ms = 20,
	.min_age_ms = 1000,
	.use_zero_pages = 1,
	.max_page_sharing = 256,
	.across_nodes = 1,
	.thp_split_percent = 25,
};

/* The module is up: a change takes effect at once. */
static bool uksm_live;

void uksm_params_live(void)
{
	uksm_live = true;
}

static void uksm_setting_store(unsigned int *field, unsigned int value)
{
	if (!uksm_live) {
		*field = value;
		return;
	}
	down_write(&uksm_sem);
	if (*field != value) { /* or the round would begin anew for nothing */
		WRITE_ONCE(*field, value);
		uksm_scanners_wake();
	}
	up_write(&uksm_sem);
}

static int uksm_parse_number(const char *val, unsigned int min,
			     unsigned int max, unsigned int *value)
{
	int err = kstrtouint(val, 10, value);

	if (err)
		return err;
	return *value < min || *value > max ? -ERANGE : 0;
}

static int uksm_show_choice(char *buf, const char *const *names, int nr,
			    unsigned int value)
{
	int i, len = 0;

	for (i = 0; i < nr; i++)
		len += sysfs_emit_at(buf, len, i == value ? "%s[%s]" : "%s%s",
				     i ? " " : "", names[i]);
	return len + sysfs_emit_at(buf, len, "\n");
}

#define UKSM_SHOW_NUMBER(name, field)                              \
	int uksm_show_##name(char *buf)                            \
	{                                                          \
		return sysfs_emit(buf, "%u\n",                     \
				  READ_ONCE(uksm_settings.field)); \
	}

#define UKSM_NUMBER(name, field, min, max)                               \
	int uksm_set_##name(const char *val)                             \
	{                                                                \
		unsigned int value;                                      \
		int err = uksm_parse_number(val, min, max, &value);      \
                                                                         \
		if (!err)                                                \
			uksm_setting_store(&uksm_settings.field, value); \
		return err;                                              \
	}                                                                \
	UKSM_SHOW_NUMBER(name, field)

/* A change is the scanner's to make: it may refuse, or has things to do. */
#define UKSM_NUMBER_ASK(name, field, min, max, ask)                 \
	int uksm_set_##name(const char *val)                        \
	{                                                           \
		unsigned int value;                                 \
		int err = uksm_parse_number(val, min, max, &value); \
                                                                    \
		if (err)                                            \
			return err;                                 \
		if (uksm_live)                                      \
			return ask(value);                          \
		uksm_settings.field = value;                        \
		return 0;                                           \
	}                                                           \
	UKSM_SHOW_NUMBER(name, field)

#define UKSM_SHOW_CHOICE(name, field, names)                             \
	int uksm_show_##name(char *buf)                                  \
	{                                                                \
		return uksm_show_choice(buf, names, ARRAY_SIZE(names),   \
					READ_ONCE(uksm_settings.field)); \
	}

#define UKSM_CHOICE(name, field, names)                          \
	int uksm_set_##name(const char *val)                     \
	{                                                        \
		int value = sysfs_match_string(names, val);      \
                                                                 \
		if (value < 0)                                   \
			return -EINVAL;                          \
		uksm_setting_store(&uksm_settings.field, value); \
		return 0;                                        \
	}                                                        \
	UKSM_SHOW_CHOICE(name, field, names)

static const char *const uksm_scope_names[UKSM_SCOPES] = {
	[UKSM_SCOPE_ALL] = "all",
	[UKSM_SCOPE_MADVISE] = "madvise",
};

static const char *const uksm_domain_names[UKSM_DOMAINS] = {
	[UKSM_DOMAIN_USER] = "user",
	[UKSM_DOMAIN_GLOBAL] = "global",
};

static const char *const uksm_governor_names[UKSM_GOVERNORS] = {
	[UKSM_GOVERNOR_FULL] = "full",
	[UKSM_GOVERNOR_MEDIUM] = "medium",
	[UKSM_GOVERNOR_LOW] = "low",
	[UKSM_GOVERNOR_QUIET] = "quiet",
};

UKSM_CHOICE(scope, scope, uksm_scope_names)
UKSM_CHOICE(merge_domain, domain, uksm_domain_names)
UKSM_NUMBER(pages_to_scan, pages_to_scan, 0, UINT_MAX)
UKSM_NUMBER(sleep_millisecs, sleep_ms, 0, UINT_MAX)
UKSM_NUMBER(min_age_millisecs, min_age_ms, 0, UINT_MAX)
UKSM_NUMBER(use_zero_pages, use_zero_pages, 0, 1)
UKSM_NUMBER(max_page_sharing, max_page_sharing, 2, INT_MAX)
UKSM_NUMBER(thp_split_percent, thp_split_percent, 0, 100)
UKSM_NUMBER(min_headroom_percent, min_headroom, 0, 100)

/* A governor brings its own CPU limit with it. */
int uksm_set_cpu_governor(const char *val)
{
	int value = sysfs_match_string(uksm_governor_names, val);

	if (value < 0)
		return -EINVAL;
	uksm_setting_store(&uksm_settings.max_cpu, 0);
	uksm_setting_store(&uksm_settings.governor, value);
	return 0;
}

UKSM_SHOW_CHOICE(cpu_governor, governor, uksm_governor_names)

int uksm_set_max_cpu_percentage(const char *val)
{
	unsigned int value;
	int err = uksm_parse_number(val, 1, 100, &value);

	if (!err)
		uksm_setting_store(&uksm_settings.max_cpu, value);
	return err;
}

int uksm_show_max_cpu_percentage(char *buf)
{
	return sysfs_emit(buf, "%u\n", uksm_max_cpu());
}

/* As with KSM: not while there are frames, which may serve other nodes. */
UKSM_NUMBER_ASK(merge_across_nodes, across_nodes, 0, 1,
		uksm_scan_set_across_nodes)
UKSM_NUMBER_ASK(scan_threads, threads, 1, UKSM_THREADS_MAX,
		uksm_scan_set_threads)
UKSM_NUMBER_ASK(run, run, UKSM_RUN_STOP, UKSM_RUN_UNMERGE, uksm_scan_set_run)

#define UKSM_PARAM(name)                                                \
	static int uksm_param_set_##name(const char *val,               \
					 const struct kernel_param *kp) \
	{                                                               \
		return uksm_set_##name(val);                            \
	}                                                               \
                                                                        \
	static int uksm_param_get_##name(char *buf,                     \
					 const struct kernel_param *kp) \
	{                                                               \
		return uksm_show_##name(buf);                           \
	}                                                               \
                                                                        \
	static const struct kernel_param_ops uksm_param_##name = {      \
		.set = uksm_param_set_##name,                           \
		.get = uksm_param_get_##name,                           \
	};                                                              \
	module_param_cb(name, &uksm_param_##name, NULL, 0444);          \
	MODULE_PARM_DESC(name, "initial value of /sys/kernel/mm/uksm/" #name);
UKSM_SETTINGS(UKSM_PARAM)
#undef UKSM_PARAM
