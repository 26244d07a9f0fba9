// SPDX-License-Identifier: GPL-2.0
/*
 * main.c - loading and unloading, in order
 *
 * docs/design.md says how it all hangs together.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/random.h>

#include "frame.h"
#include "hooks.h"
#include "lookup.h"
#include "params.h"
#include "rmap.h"
#include "scan.h"
#include "space.h"
#include "sysfs.h"

u64 uksm_secret;

static int __init uksm_selftest(void)
{
	int err;

	down_write(&uksm_sem);
	err = uksm_frames_selftest();
	up_write(&uksm_sem);
	if (err == -EOPNOTSUPP)
		pr_err("the hooks do not fire: enable kprobes (debugfs kprobes/enabled, kernel.ftrace_enabled) and load again\n");
	return err;
}

static int __init uksm_init(void)
{
	int err;

	uksm_secret = get_random_u64();

	err = uksm_ksyms_init();
	if (err)
		return err;
	err = uksm_sysfs_check();
	if (err)
		return err;
	err = uksm_frames_init();
	if (err)
		return err;
	err = uksm_rmap_init();
	if (err)
		goto err_frames;
	err = uksm_spaces_init();
	if (err)
		goto err_rmap;
	err = uksm_lookup_init();
	if (err)
		goto err_spaces;
	err = uksm_hooks_init();
	if (err)
		goto err_lookup;
	err = uksm_selftest();
	if (err)
		goto err_hooks;
	uksm_params_live();
	err = uksm_sysfs_init();
	if (err)
		goto err_hooks;
	err = uksm_scan_start();
	if (err)
		goto err_scan;

	pr_info("version " UKSM_VERSION ", see /sys/kernel/mm/uksm\n");
	return 0;

err_scan:
	uksm_sysfs_exit();
	uksm_scan_stop();
err_hooks:
	uksm_hooks_exit();
err_lookup:
	uksm_lookup_exit();
err_spaces:
	uksm_spaces_exit();
err_rmap:
	uksm_rmap_exit();
err_frames:
	uksm_frames_exit();
	return err;
}

/* While there are frames they hold the module: this is not reached. */
static void __exit uksm_exit(void)
{
	uksm_sysfs_exit();
	uksm_scan_stop();
	uksm_hooks_exit();
	uksm_lookup_exit();
	uksm_spaces_exit();
	uksm_rmap_exit();
	uksm_frames_exit();
}

module_init(uksm_init);
module_exit(uksm_exit);

MODULE_DESCRIPTION("Merge identical anonymous pages of all processes");
MODULE_AUTHOR("The uksm developers");
MODULE_LICENSE("GPL");
MODULE_VERSION(UKSM_VERSION);
