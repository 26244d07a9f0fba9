/* SPDX-License-Identifier: GPL-2.0 */
/*
 * uksm.h - what all of the module shares: its lock, its settings, its counts
 */
#ifndef UKSM_H
#define UKSM_H

#include <linux/atomic.h>
#include <linux/gfp.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/types.h>

#include <uksm/ksyms.h>

#include "pace.h"

#define UKSM_VERSION "0.1.0"

/*
 * The world as the scan threads find it: which spaces there are, and the rounds.
 * Each of them holds it for reading for one step (a region); whoever changes the
 * world, or looks at all of it, holds it for writing, and no step is under way.
 * Outermost; sleeps.
 */
extern struct rw_semaphore uksm_sem;

/*
 * What the scan threads share within a round, but for the index, whose ranges have
 * locks of their own: frames, work and counts. Inside mmap_lock and folio locks,
 * outside the locks of ranges; sleeps. Whoever holds uksm_sem for writing does
 * without.
 */
extern struct mutex uksm_mutex;

/* For what a round allocates: may reclaim, but nobody is killed for it. */
#define UKSM_GFP (GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN)

#define uksm_assert_exclusive() lockdep_assert_held_write(&uksm_sem)

enum uksm_run {
	UKSM_RUN_STOP,
	UKSM_RUN_MERGE,
	UKSM_RUN_UNMERGE,
};

enum uksm_scope {
	UKSM_SCOPE_ALL,
	UKSM_SCOPE_MADVISE,
	UKSM_SCOPES,
};

enum uksm_domain {
	UKSM_DOMAIN_USER,
	UKSM_DOMAIN_GLOBAL,
	UKSM_DOMAINS,
};

/**
 * struct uksm_settings - what the files and module parameters set
 * @run: see enum uksm_run
 * @scope: whose memory is looked at
 * @domain: who may share with whom
 * @governor: how much CPU time by default
 * @threads: scan threads
 * @max_cpu: percent of one CPU for each of them; 0 for what the governor says
 * @pages_to_scan: pages a wake-up, each; 0 for what the CPU limit allows
 * @sleep_ms: sleep between wake-ups
 * @min_age_ms: younger processes are left alone
 * @use_zero_pages: merge pages of zeros into the zero page
 * @max_page_sharing: mappings of one frame
 * @across_nodes: a frame may serve mappers whose pages were on other nodes
 * @thp_split_percent: share of a huge page that must merge before it is split
 * @min_headroom: percent of free memory and swap that undoing all merges may
 *	need; 0 for no limit
 *
 * Each is read once where it is used; writers hold uksm_sem for writing.
 */
struct uksm_settings {
	unsigned int run;
	unsigned int scope;
	unsigned int domain;
	unsigned int governor;
	unsigned int threads;
	unsigned int max_cpu;
	unsigned int pages_to_scan;
	unsigned int sleep_ms;
	unsigned int min_age_ms;
	unsigned int use_zero_pages;
	unsigned int max_page_sharing;
	unsigned int across_nodes;
	unsigned int thp_split_percent;
	unsigned int min_headroom;
};

extern struct uksm_settings uksm_settings;

static inline unsigned int uksm_max_cpu(void)
{
	unsigned int max = READ_ONCE(uksm_settings.max_cpu);

	return max ?: uksm_pace_percentage(READ_ONCE(uksm_settings.governor));
}

/**
 * struct uksm_stats - the counts behind the read-only files
 * @full_scans: rounds that were completed
 * @pages_scanned: pages looked at, ever
 * @unshared: pages in the index with no equal, as of the last look
 * @restless: pages that keep changing, as of the last look
 * @skipped: pages left alone, as of the last look
 * @zero: zero pages placed and still there, as of the last look
 * @merged: merges done, ever
 * @frames: frames that exist
 * @mappings: mappings of frames, as of each one's last sweep, and merges since
 * @metadata: bytes of memory that are uksm's own
 *
 * Under uksm_mutex, but for those that are atomic; @full_scans changes only with
 * uksm_sem held for writing.
 */
struct uksm_stats {
	u64 full_scans;
	atomic64_t pages_scanned;
	s64 unshared;
	s64 restless;
	s64 skipped;
	s64 zero;
	u64 merged;
	u64 frames;
	u64 mappings;
	atomic64_t metadata;
};

extern struct uksm_stats uksm_stats;

static inline void uksm_metadata_add(long bytes)
{
	atomic64_add(bytes, &uksm_stats.metadata);
}

/* The secret of the fingerprints, drawn at load. */
extern u64 uksm_secret;

/*
 * Something is not as it must be: stop merging, stay alive. Frames live on.
 * Safe in any context.
 */
#define uksm_broken(cond)                                                   \
	({                                                                  \
		bool __broken = WARN_ONCE(                                  \
			cond, "uksm: inconsistent, merging stops: " #cond); \
                                                                            \
		if (unlikely(__broken))                                     \
			WRITE_ONCE(uksm_settings.run, UKSM_RUN_STOP);       \
		__broken;                                                   \
	})

#endif /* UKSM_H */
