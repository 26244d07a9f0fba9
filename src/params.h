/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_PARAMS_H
#define UKSM_PARAMS_H

#include "uksm.h"

/* Every setting: S(its file and module parameter). */
#define UKSM_SETTINGS(S)      \
	S(run)                \
	S(scope)              \
	S(merge_domain)       \
	S(cpu_governor)       \
	S(max_cpu_percentage) \
	S(scan_threads)       \
	S(pages_to_scan)      \
	S(sleep_millisecs)    \
	S(min_age_millisecs)  \
	S(use_zero_pages)     \
	S(max_page_sharing)   \
	S(merge_across_nodes) \
	S(thp_split_percent)  \
	S(min_headroom_percent)

#define UKSM_SETTING_DECLARE(name)            \
	int uksm_set_##name(const char *val); \
	int uksm_show_##name(char *buf);
UKSM_SETTINGS(UKSM_SETTING_DECLARE)
#undef UKSM_SETTING_DECLARE

void uksm_params_live(void);

#endif /* UKSM_PARAMS_H */
