/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_UNMERGE_H
#define UKSM_UNMERGE_H

int uksm_unmerge_all(void);

#endif /* UKSM_UNMERGE_H */
