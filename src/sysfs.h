/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_SYSFS_H
#define UKSM_SYSFS_H

int uksm_sysfs_check(void);
int uksm_sysfs_init(void);
void uksm_sysfs_exit(void);

#endif /* UKSM_SYSFS_H */
