// SPDX-License-Identifier: GPL-2.0
/*
 * The module for a kernel that uksm does not build for (see dkms/build.mk):
 * it only says why. modinfo shows the reason, too.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>

#include "reason.h"

static int __init uksm_init(void)
{
	pr_err("not built for this kernel: %s\n", UKSM_REASON);
	return -EOPNOTSUPP;
}
module_init(uksm_init);

MODULE_DESCRIPTION("Stands in for uksm, which does not build for this kernel");
MODULE_AUTHOR("The uksm developers");
MODULE_LICENSE("GPL");
MODULE_INFO(notbuilt, UKSM_REASON);
