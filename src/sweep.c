// SPDX-License-Identifier: GPL-2.0
/*
 * sweep.c - find out what has become of the frames
 *
 * Nobody says so when a frame gains mappings by a fork, or loses them, or is
 * freed with the last of them. A sweep looks at frames, counts their mappings,
 * forgets the dead, and sees to it that those with room are found.
 *
 * With uksm_sem held for writing: no batch is under way.
 */
#include "frame.h"
#include "lookup.h"
#include "rmap.h"
#include "sweep.h"

/* Rounds in which all frames are swept. */
#define UKSM_SWEEP_PART 16

/*
 * More places than mappings. With the folio locked none of them can be a
 * migration entry, and no new mapping comes from nowhere. Or it is poisoned:
 * before 6.4 the kernel leaves KSM pages mapped then. Return: as below.
 */
static int uksm_frame_tidy(struct uksm_frame *frame, struct folio *folio)
{
	int mapcount = uksm_folio_mapcount(folio);

	if (!uksm_frame_holds(frame, folio))
		return 1; /* it moved: next time */
	if (mapcount && folio_test_hwpoison(folio) &&
	    !folio_test_writeback(folio)) {
		uksm_unmap_poisoned(folio);
		mapcount = uksm_folio_mapcount(folio);
	}
	if (!mapcount)
		return uksm_frame_kill(frame, folio_pfn(folio)) ? 0 : 1;
	uksm_rmap_items_prune(frame, folio);
	return mapcount;
}

/* Bring one frame up to date. Return: false if it is dead and was freed. */
static bool uksm_frame_sweep(struct uksm_frame *frame)
{
	struct folio *folio;
	unsigned long dead;
	int mapcount;

	folio = uksm_frame_get(frame, &dead);
	if (!folio)
		return dead == ULONG_MAX || !uksm_frame_kill(frame, dead);
	mapcount = uksm_folio_mapcount(folio);
	if (!mapcount || mapcount < (int)frame->nr_items ||
	    folio_test_hwpoison(folio)) {
		if (folio_trylock(folio)) {
			mapcount = uksm_frame_tidy(frame, folio);
			folio_unlock(folio);
		} else {
			mapcount = max(mapcount, 1);
		}
	}
	if (mapcount) {
		uksm_lookup_refresh(frame, mapcount);
		uksm_stats.mappings += mapcount - (s64)frame->mapped;
		frame->mapped = mapcount;
	}
	folio_put(folio);
	return mapcount;
}

/**
 * uksm_frames_sweep_first() - bring those up to date that wait longest
 * @left: how many frames that live; and the dead among them, however many
 *
 * Context: uksm_sem held for writing; may sleep.
 */
void uksm_frames_sweep_first(u64 left)
{
	struct uksm_frame *frame, *n;
	unsigned int i = 0;
	LIST_HEAD(swept);

	uksm_assert_exclusive();
	list_for_each_entry_safe(frame, n, &uksm_frame_list, list) {
		if (!left)
			break;
		if (uksm_frame_sweep(frame)) {
			list_move_tail(&frame->list, &swept);
			left--;
		}
		if (!(++i % 256))
			cond_resched();
	}
	list_splice_tail(&swept, &uksm_frame_list);
}

/**
 * uksm_frames_sweep() - bring frames and their counts up to date
 *
 * Context: uksm_sem held for writing; may sleep.
 */
void uksm_frames_sweep(void)
{
	uksm_frames_sweep_first(U64_MAX);
}

/**
 * uksm_frames_sweep_some() - the same for one in UKSM_SWEEP_PART, in turn
 *
 * Context: uksm_sem held for writing; may sleep.
 */
void uksm_frames_sweep_some(void)
{
	uksm_frames_sweep_first(uksm_stats.frames / UKSM_SWEEP_PART + 1);
}

/**
 * uksm_frames_reindex() - the index was emptied: put the frames back
 *
 * Context: uksm_sem held for writing; may sleep.
 */
void uksm_frames_reindex(void)
{
	struct uksm_frame *frame;

	list_for_each_entry(frame, &uksm_frame_list, list)
		frame->indexed = false;
	uksm_frames_sweep();
}
