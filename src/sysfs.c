// SPDX-License-Identifier: GPL-2.0
/*
 * sysfs.c - /sys/kernel/mm/uksm
 *
 * One value a file. The settings are those of params.c; the counts are read
 * under uksm_mutex, the counts of frames after they were brought up to date.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernfs.h>
#include <linux/kobject.h>
#include <linux/sysfs.h>

#include "headroom.h"
#include "params.h"
#include "scan.h"
#include "sysfs.h"

static struct kobject *uksm_kobj;

#define UKSM_FILE(name)                                                    \
	static ssize_t name##_show(struct kobject *kobj,                   \
				   struct kobj_attribute *attr, char *buf) \
	{                                                                  \
		return uksm_show_##name(buf);                              \
	}                                                                  \
                                                                           \
	static ssize_t name##_store(struct kobject *kobj,                  \
				    struct kobj_attribute *attr,           \
				    const char *buf, size_t count)         \
	{                                                                  \
		int err = uksm_set_##name(buf);                            \
                                                                           \
		return err ?: count;                                       \
	}                                                                  \
	static struct kobj_attribute uksm_file_##name = __ATTR_RW(name);
UKSM_SETTINGS(UKSM_FILE)
#undef UKSM_FILE

/* A count, read by the expression @value; it does not hold up the scan. */
#define UKSM_COUNT(name, fmt, value)                                       \
	static ssize_t name##_show(struct kobject *kobj,                   \
				   struct kobj_attribute *attr, char *buf) \
	{                                                                  \
		ssize_t len;                                               \
                                                                           \
		uksm_scan_freshen();                                       \
		mutex_lock(&uksm_mutex);                                   \
		len = sysfs_emit(buf, fmt "\n", value);                    \
		mutex_unlock(&uksm_mutex);                                 \
		return len;                                                \
	}                                                                  \
	static struct kobj_attribute uksm_file_##name = __ATTR_RO(name);

static s64 uksm_metadata(void)
{
	return atomic64_read(&uksm_stats.metadata);
}

static s64 uksm_scanned(void)
{
	return atomic64_read(&uksm_stats.pages_scanned);
}

static s64 uksm_profit(void)
{
	return (s64)(uksm_headroom_pages() * PAGE_SIZE) - uksm_metadata();
}

#define UKSM_COUNTS(C)                                               \
	C(full_scans, "%llu", uksm_stats.full_scans)                 \
	C(pages_scanned, "%lld", uksm_scanned())                     \
	C(pages_merged, "%llu", uksm_stats.merged)                   \
	C(pages_shared, "%llu", uksm_stats.frames)                   \
	C(pages_sharing, "%llu", uksm_sharing())                     \
	C(pages_unshared, "%lld", uksm_stats.unshared)               \
	C(pages_volatile, "%lld", uksm_stats.restless)               \
	C(pages_skipped, "%lld", uksm_stats.skipped)                 \
	C(ksm_zero_pages, "%lld", uksm_stats.zero)                   \
	C(headroom_bytes, "%llu", uksm_headroom_pages() * PAGE_SIZE) \
	C(general_profit, "%lld", uksm_profit())                     \
	C(metadata_bytes, "%lld", uksm_metadata())
UKSM_COUNTS(UKSM_COUNT)

#define UKSM_ATTR(name, ...) &uksm_file_##name.attr,
/* clang-format off */
static struct attribute *uksm_attrs[] = {
	UKSM_SETTINGS(UKSM_ATTR)
	UKSM_COUNTS(UKSM_ATTR)
	NULL,
};

/* clang-format on */

static const struct attribute_group uksm_attr_group = {
	.attrs = uksm_attrs,
};

/**
 * uksm_sysfs_check() - is the name free?
 *
 * Return: 0, or -EEXIST after a line that says who has it.
 */
int __init uksm_sysfs_check(void)
{
	struct kernfs_node *kn;

	kn = kernfs_find_and_get(uksm_kdata(mm_kobj)->sd, "uksm");
	if (!kn)
		return 0;
	kernfs_put(kn);
	pr_err("/sys/kernel/mm/uksm exists: this kernel has UKSM built in; use it, or boot a kernel without\n");
	return -EEXIST;
}

/**
 * uksm_sysfs_init() - create the files
 *
 * Return: 0 or -ENOMEM.
 */
int __init uksm_sysfs_init(void)
{
	int err;

	uksm_kobj = kobject_create_and_add("uksm", uksm_kdata(mm_kobj));
	if (!uksm_kobj)
		return -ENOMEM;
	err = sysfs_create_group(uksm_kobj, &uksm_attr_group);
	if (err)
		kobject_put(uksm_kobj);
	return err;
}

void uksm_sysfs_exit(void)
{
	kobject_del(uksm_kobj); /* now, and not when the object goes */
	kobject_put(uksm_kobj);
}
