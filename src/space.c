// SPDX-License-Identifier: GPL-2.0
/*
 * space.c - the address spaces under observation, and who may share with whom
 *
 * At the start of a round the process list is walked under RCU: new spaces are
 * added, those no process uses any more are dropped. There is no hook on fork
 * or exit: a space whose mm has no users left is found out and dropped.
 *
 * Policy is decided here: which processes, which of their areas, which domain.
 *
 * Owns: spaces, their regions. Spaces come and go under uksm_sem (write). Regions
 * are added by a scan thread at work in their space; who has one to itself marks
 * it as busy, and nobody waits for it.
 */
#include <linux/cred.h>
#include <linux/hashtable.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "digest.h"
#include "index.h"
#include "space.h"

#define UKSM_SPACE_HASH_BITS 10
#define UKSM_KSM_RUN_MERGE 1 /* mm/ksm.c: KSM_RUN_MERGE */

LIST_HEAD(uksm_spaces);
static DEFINE_HASHTABLE(uksm_space_hash, UKSM_SPACE_HASH_BITS);
static DEFINE_XARRAY_ALLOC1(uksm_space_ids);
static struct kmem_cache *uksm_space_cache;
static struct kmem_cache *uksm_region_cache;
static u64 uksm_space_round;

int __init uksm_spaces_init(void)
{
	uksm_space_cache = KMEM_CACHE(uksm_space, 0);
	uksm_region_cache = KMEM_CACHE(uksm_region, 0);
	if (uksm_space_cache && uksm_region_cache)
		return 0;
	kmem_cache_destroy(uksm_space_cache);
	kmem_cache_destroy(uksm_region_cache);
	return -ENOMEM;
}

void uksm_spaces_exit(void)
{
	uksm_spaces_drop();
	kmem_cache_destroy(uksm_region_cache);
	kmem_cache_destroy(uksm_space_cache);
}

/* ---- regions ---------------------------------------------------------- */

/**
 * uksm_region_count() - set what a region holds
 * @r: the region
 * @unshared: pages in the index
 * @restless: pages that keep changing
 * @skipped: pages left alone
 *
 * Context: uksm_mutex held, or uksm_sem for writing.
 */
void uksm_region_count(struct uksm_region *r, int unshared, int restless,
		       int skipped)
{
	unshared = clamp_t(int, unshared, 0, UKSM_REGION_PAGES);
	uksm_stats.unshared += unshared - r->unshared;
	uksm_stats.restless += restless - r->restless;
	uksm_stats.skipped += skipped - r->skipped;
	r->unshared = unshared;
	r->restless = restless;
	r->skipped = skipped;
}

/**
 * uksm_region_zero_init() - make a region ready for uksm_region_zero_set()
 * @r: the region
 *
 * Context: may sleep.
 * Return: false without memory.
 */
bool uksm_region_zero_init(struct uksm_region *r)
{
	if (r->zero)
		return true;
	r->zero = bitmap_zalloc(UKSM_REGION_PAGES, UKSM_GFP);
	if (!r->zero)
		return false;
	uksm_metadata_add(UKSM_REGION_PAGES / 8);
	return true;
}

/**
 * uksm_region_sum_init() - make room for the sums of a region's pages
 * @r: the region
 *
 * Context: may sleep.
 * Return: false without memory.
 */
bool uksm_region_sum_init(struct uksm_region *r)
{
	if (r->sum)
		return true;
	r->sum = kcalloc(UKSM_REGION_PAGES, sizeof(*r->sum), UKSM_GFP);
	if (!r->sum)
		return false;
	uksm_metadata_add(UKSM_REGION_PAGES * sizeof(*r->sum));
	return true;
}

/**
 * uksm_region_zero_set() - uksm placed a zero page
 * @r: the region
 * @i: which page of it
 *
 * Context: uksm_mutex held.
 */
void uksm_region_zero_set(struct uksm_region *r, unsigned int i)
{
	if (__test_and_set_bit(i, r->zero))
		return;
	r->nr_zero++;
	uksm_stats.zero++;
}

/**
 * uksm_region_zero_keep() - forget zero pages that are not there any more
 * @r: the region
 * @found: where zero pages are now, whoever placed them
 *
 * Context: uksm_mutex held.
 */
void uksm_region_zero_keep(struct uksm_region *r, const unsigned long *found)
{
	unsigned int nr;

	if (!r->nr_zero)
		return;
	bitmap_and(r->zero, r->zero, found, UKSM_REGION_PAGES);
	nr = bitmap_weight(r->zero, UKSM_REGION_PAGES);
	uksm_stats.zero -= r->nr_zero - nr;
	r->nr_zero = nr;
}

static void uksm_region_release(struct uksm_region *r)
{
	uksm_region_count(r, 0, 0, 0);
	uksm_stats.zero -= r->nr_zero;
	if (r->zero)
		uksm_metadata_add(-(long)(UKSM_REGION_PAGES / 8));
	if (r->sum)
		uksm_metadata_add(-(long)(UKSM_REGION_PAGES * sizeof(*r->sum)));
	bitmap_free(r->zero);
	kfree(r->sum);
	kmem_cache_free(uksm_region_cache, r);
	uksm_metadata_add(-(long)sizeof(*r));
}

/* Its place in the array, or -1 - the place where it would go. */
static long uksm_space_search(struct uksm_space *space, unsigned long addr)
{
	return uksm_region_search(space->region, space->nr_regions,
				  addr >> UKSM_REGION_SHIFT);
}

/**
 * uksm_space_region() - what is known of a region
 * @space: the space
 * @addr: any address in the region
 *
 * Context: uksm_sem held for writing.
 * Return: the region, or NULL; good until the round begins.
 */
struct uksm_region *uksm_space_region(struct uksm_space *space,
				      unsigned long addr)
{
	long i = uksm_space_search(space, addr);

	uksm_assert_exclusive();
	return i < 0 ? NULL : space->region[i];
}

/**
 * uksm_space_region_take() - have a region to oneself
 * @space: the space
 * @addr: any address in the region
 * @res: the region; for uksm_space_region_put()
 *
 * Context: uksm_sem held; any locks.
 * Return: 0; -EBUSY: another scan thread has it; -ENOENT: nothing is known of it.
 */
int uksm_space_region_take(struct uksm_space *space, unsigned long addr,
			   struct uksm_region **res)
{
	int err = 0;
	long i;

	spin_lock(&space->lock);
	i = uksm_space_search(space, addr);
	if (i < 0) {
		err = -ENOENT;
	} else if (space->region[i]->busy) {
		err = -EBUSY;
	} else {
		*res = space->region[i];
		(*res)->busy = true;
	}
	spin_unlock(&space->lock);
	return err;
}

/**
 * uksm_space_region_put() - let go of a region
 * @space: the space
 * @r: from uksm_space_region_take() or uksm_space_region_get()
 */
void uksm_space_region_put(struct uksm_space *space, struct uksm_region *r)
{
	spin_lock(&space->lock);
	r->busy = false;
	spin_unlock(&space->lock);
}

/* Room for one more. space->step held. */
static bool uksm_space_grow(struct uksm_space *space)
{
	u32 max = space->max_regions ? space->max_regions * 3 / 2 + 1 : 8;
	struct uksm_region **region, **old = space->region;

	if (space->nr_regions < space->max_regions)
		return true;
	region = kvmalloc_array(max, sizeof(*region), UKSM_GFP);
	if (!region)
		return false;
	if (old)
		memcpy(region, old, space->nr_regions * sizeof(*region));
	spin_lock(&space->lock);
	space->region = region;
	spin_unlock(&space->lock);
	kvfree(old);
	uksm_metadata_add((max - space->max_regions) * sizeof(*region));
	space->max_regions = max;
	return true;
}

/* A new region, which is the caller's. space->step held. */
static struct uksm_region *uksm_space_add(struct uksm_space *space,
					  unsigned long addr)
{
	struct uksm_region *r;
	long i;

	if (!uksm_space_grow(space))
		return NULL;
	r = kmem_cache_alloc(uksm_region_cache, UKSM_GFP);
	if (!r)
		return NULL;
	uksm_metadata_add(sizeof(*r));
	uksm_region_init(r, addr);
	r->busy = true;
	spin_lock(&space->lock);
	i = -1 - uksm_space_search(space, addr);
	memmove(&space->region[i + 1], &space->region[i],
		(space->nr_regions - i) * sizeof(*space->region));
	space->region[i] = r;
	space->nr_regions++;
	spin_unlock(&space->lock);
	return r;
}

/**
 * uksm_space_region_get() - the same, and begin to remember it if need be
 * @space: the space
 * @addr: any address in the region
 * @res: the region
 *
 * Context: space->step held; may sleep.
 * Return: 0; -EBUSY: another scan thread has it; -ENOMEM.
 */
int uksm_space_region_get(struct uksm_space *space, unsigned long addr,
			  struct uksm_region **res)
{
	int err = uksm_space_region_take(space, addr, res);

	if (err == -ENOENT) {
		*res = uksm_space_add(space, addr);
		err = *res ? 0 : -ENOMEM;
	}
	if (!err && space->opaque && !uksm_region_sum_init(*res)) {
		uksm_space_region_put(space, *res);
		err = -ENOMEM;
	}
	return err;
}

/**
 * uksm_space_region_freshen() - a region is to be looked at in full
 * @space: the space
 * @addr: any address in the region
 *
 * Context: uksm_sem held; any locks.
 */
void uksm_space_region_freshen(struct uksm_space *space, unsigned long addr)
{
	long i;

	spin_lock(&space->lock);
	i = uksm_space_search(space, addr);
	if (i >= 0)
		WRITE_ONCE(space->region[i]->fresh, true);
	spin_unlock(&space->lock);
}

/**
 * uksm_space_region_huge() - was it a huge page when it was last looked at?
 * @space: the space
 * @addr: any address in the region
 *
 * Context: uksm_sem held; any locks.
 * Return: whether it was.
 */
bool uksm_space_region_huge(struct uksm_space *space, unsigned long addr)
{
	bool huge;
	long i;

	spin_lock(&space->lock);
	i = uksm_space_search(space, addr);
	huge = i >= 0 && READ_ONCE(space->region[i]->huge);
	spin_unlock(&space->lock);
	return huge;
}

/* Drop the regions that the round did not come across. */
static void uksm_space_end_round(struct uksm_space *space)
{
	u32 from, to = 0;

	for (from = 0; from < space->nr_regions; from++) {
		struct uksm_region *r = space->region[from];

		if (!r->seen) {
			uksm_region_release(r);
			continue;
		}
		r->seen = 0;
		space->region[to++] = r;
	}
	space->nr_regions = to;
}

/* Nothing in it is known any more. */
static void uksm_space_refresh_regions(struct uksm_space *space)
{
	u32 i;

	for (i = 0; i < space->nr_regions; i++)
		space->region[i]->fresh = true;
}

/* ---- spaces ----------------------------------------------------------- */

/**
 * uksm_space_find() - the space with an id
 * @id: from the index
 *
 * Context: uksm_sem held.
 * Return: the space, or NULL if it is gone.
 */
struct uksm_space *uksm_space_find(u32 id)
{
	return xa_load(&uksm_space_ids, id);
}

static struct uksm_space *uksm_space_of(struct mm_struct *mm)
{
	struct uksm_space *space;

	hash_for_each_possible(uksm_space_hash, space, hash, (unsigned long)mm)
		if (space->mm == mm)
			return space;
	return NULL;
}

/* Under RCU and task_lock: @mm is alive. Without memory: next round. */
static struct uksm_space *uksm_space_create(struct mm_struct *mm)
{
	static u32 next_id;
	struct uksm_space *space;

	space = kmem_cache_zalloc(uksm_space_cache, GFP_NOWAIT | __GFP_NOWARN);
	if (!space)
		return NULL;
	/* In turn: what the index says of an id that is gone is of no one. */
	if (xa_alloc_cyclic(&uksm_space_ids, &space->id, space,
			    XA_LIMIT(1, UKSM_SPACE_ID_MAX), &next_id,
			    GFP_NOWAIT | __GFP_NOWARN) < 0) {
		kmem_cache_free(uksm_space_cache, space);
		return NULL;
	}
	mmgrab(mm);
	space->mm = mm;
	space->domain = U64_MAX;
	spin_lock_init(&space->lock);
	mutex_init(&space->step);
	hash_add(uksm_space_hash, &space->hash, (unsigned long)mm);
	list_add_tail(&space->list, &uksm_spaces);
	uksm_metadata_add(sizeof(*space));
	return space;
}

/* Forget a space. Sleeps; no user of its mm may be held. */
static void uksm_space_drop(struct uksm_space *space)
{
	u32 i;

	for (i = 0; i < space->nr_regions; i++)
		uksm_region_release(space->region[i]);
	uksm_metadata_add(-(long)(space->max_regions * sizeof(*space->region)));
	uksm_metadata_add(-(long)sizeof(*space));
	kvfree(space->region);
	xa_erase(&uksm_space_ids, space->id);
	hash_del(&space->hash);
	list_del(&space->list);
	mmdrop(space->mm);
	kmem_cache_free(uksm_space_cache, space);
}

/**
 * uksm_spaces_drop() - forget all spaces
 *
 * Context: uksm_sem held for writing; may sleep.
 */
void uksm_spaces_drop(void)
{
	struct uksm_space *space, *n;

	list_for_each_entry_safe(space, n, &uksm_spaces, list)
		uksm_space_drop(space);
}

/**
 * uksm_spaces_reap() - forget the spaces whose processes are gone
 *
 * Context: uksm_sem held for writing; may sleep.
 */
void uksm_spaces_reap(void)
{
	struct uksm_space *space, *n;

	list_for_each_entry_safe(space, n, &uksm_spaces, list)
		if (!atomic_read(&space->mm->mm_users))
			uksm_space_drop(space);
}

/**
 * uksm_spaces_end_round() - forget what the round did not come across
 * @whole: nothing has ended it before its time
 *
 * The next round goes on in a space that this one did not get to the end of,
 * because others had its mmap_lock: if it began anew it might never get there.
 *
 * Context: uksm_sem held for writing; may sleep.
 */
void uksm_spaces_end_round(bool whole)
{
	struct uksm_space *space;

	uksm_assert_exclusive();
	uksm_spaces_reap();
	list_for_each_entry(space, &uksm_spaces, list) {
		if (space->done)
			uksm_space_end_round(space);
		if (space->done || !whole)
			space->cursor = 0;
		cond_resched();
	}
}

/**
 * uksm_spaces_forget() - every page is to be fingerprinted again
 */
void uksm_spaces_forget(void)
{
	struct uksm_space *space;

	list_for_each_entry(space, &uksm_spaces, list)
		uksm_space_refresh_regions(space);
}

/*
 * The number that stands for whoever @task may share with; its space is that of
 * number @id. Under RCU. What a program knows that is of two users, or that others
 * started for another group, is for neither: it shares with itself.
 */
static u64 uksm_task_domain(struct task_struct *task, u32 id)
{
	const struct cred *cred = __task_cred(task);

	if (READ_ONCE(uksm_settings.domain) == UKSM_DOMAIN_GLOBAL)
		return 0;
	if (!uid_eq(cred->uid, cred->euid) || !uid_eq(cred->suid, cred->euid) ||
	    !gid_eq(cred->gid, cred->egid) || !gid_eq(cred->sgid, cred->egid))
		return BIT_ULL(33) + id;
	return 1 + (u64)__kuid_val(cred->euid);
}

/* Take note of a process. Under RCU and task_lock; @mm is alive. */
static void uksm_space_note(struct task_struct *task, struct mm_struct *mm)
{
	u64 min_age = (u64)READ_ONCE(uksm_settings.min_age_ms) * NSEC_PER_MSEC;
	struct uksm_space *space = uksm_space_of(mm);
	bool opaque = mm_has_notifiers(mm);
	u64 domain;

	if (!space) {
		/*
		 * exec holds it from before the process has its new mm until it
		 * has its new credentials: next round.
		 */
		if (rwsem_is_locked(&task->signal->exec_update_lock))
			return;
		smp_rmb(); /* the credentials are read behind it */
		space = uksm_space_create(mm);
	}
	if (!space || space->seen == uksm_space_round)
		return;
	space->seen = uksm_space_round;
	space->young = ktime_get_ns() - task->start_time < min_age;
	space->done = false;
	atomic_set(&space->scanners, 0);

	domain = uksm_task_domain(task, space->id);
	if (domain != space->domain || opaque != space->opaque) {
		space->domain = domain;
		space->opaque = opaque;
		space->seed = uksm_digest_seed(uksm_secret, domain);
		space->zero_sample = uksm_digest_zero_sample(space->seed);
		uksm_space_refresh_regions(space);
	}
}

/* A thread may have left while others of its process live on. Under RCU. */
static void uksm_process_note(struct task_struct *process)
{
	struct task_struct *t;
	bool found = false;

	for_each_thread(process, t) {
		struct mm_struct *mm;

		task_lock(t);
		mm = t->mm;
		if (mm && !(t->flags & PF_KTHREAD)) {
			uksm_space_note(t, mm);
			found = true;
		}
		task_unlock(t);
		if (found)
			break;
	}
}

/**
 * uksm_spaces_refresh() - start a round: who is there?
 *
 * Context: uksm_sem held for writing; may sleep.
 * Return: anonymous pages of all spaces together.
 */
u64 uksm_spaces_refresh(void)
{
	struct uksm_space *space, *n;
	struct task_struct *process;
	u64 pages = 0;

	uksm_assert_exclusive();
	uksm_space_round++;
	rcu_read_lock();
	for_each_process(process)
		uksm_process_note(process);
	rcu_read_unlock();

	list_for_each_entry_safe(space, n, &uksm_spaces, list) {
		if (space->seen != uksm_space_round)
			uksm_space_drop(space);
		else
			pages += uksm_mm_anon_pages(space->mm);
	}
	return pages;
}

/**
 * uksm_space_takes() - is an area looked at?
 * @space: its space
 * @vma: the area; mmap_lock held
 *
 * Private anonymous memory, that of private file mappings included. Not a stack
 * that exec has still to move. While ksmd
 * runs what is marked for it is left to it.
 *
 * Return: whether it is.
 */
bool uksm_space_takes(struct uksm_space *space, struct vm_area_struct *vma)
{
	const unsigned long never = VM_SHARED | VM_MAYSHARE | VM_PFNMAP |
				    VM_IO | VM_DONTEXPAND | VM_HUGETLB |
				    VM_MIXEDMAP | VM_SHADOW_STACK |
				    VM_DROPPABLE | VM_MTE;

	if ((vma->vm_flags & never) || !vma->anon_vma || vma_is_dax(vma) ||
	    vma_is_temporary_stack(vma) || uksm_mm_out_of_reach(vma->vm_mm))
		return false;
	if (vma->vm_flags & VM_MERGEABLE)
		return !(READ_ONCE(uksm_kdata(ksm_run)) & UKSM_KSM_RUN_MERGE);
	return !space->young &&
	       READ_ONCE(uksm_settings.scope) == UKSM_SCOPE_ALL;
}
