// SPDX-License-Identifier: GPL-2.0
/*
 * hooks.c - where the kernel calls us
 *
 *	rmap_walk_ksm()		finds nobody for a KSM page without a stable
 *				node; for a frame the call goes to
 *				uksm_rmap_walk() instead
 *	folio_migrate_ksm()	a frame's page was replaced by another
 *
 * If a hook misses an event (kprobes can be switched off): a missed walk before
 * an unmapping means that the page stays where it is; a missed re-key, or a
 * missed walk after it, would leave migration entries in page tables for good.
 * So the hooks are tried at load and in each round (uksm_frames_selftest()),
 * and nothing more is merged once they fail.
 *
 * Life: the hooks are there before the first frame and after the last one, for
 * frames hold the module. A walk may sleep, and nobody waits for a task that is
 * on its first or last instructions but synchronize_rcu_tasks(), which takes for
 * ever while some task never sleeps (ksmd, with sleep_millisecs at 0). So a walk
 * enters and leaves the module through a chain of notifiers, which is code of
 * the kernel's and waits for its callers: srcu_notifier_call_chain().
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/kprobes.h>
#include <linux/notifier.h>

#include "frame.h"
#include "hooks.h"
#include "rmap.h"

static struct srcu_notifier_head uksm_walk_chain;
/* Walks that are on their way into the chain. */
static atomic_t uksm_walks_coming = ATOMIC_INIT(0);
static atomic_long_t uksm_walks = ATOMIC_LONG_INIT(0);

/* In place of rmap_walk_ksm(); what it returns is of no use to anybody. */
static int uksm_walk_notified(struct notifier_block *nb, unsigned long folio,
			      void *rwc)
{
	/* The chain knows of this walk from here on. */
	atomic_dec(&uksm_walks_coming);
	uksm_rmap_walk((struct folio *)folio, rwc);
	atomic_long_inc(&uksm_walks);
	return NOTIFY_DONE;
}

static struct notifier_block uksm_walk_nb = {
	.notifier_call = uksm_walk_notified,
};

/* Runs with preemption off; the folio is locked by the caller. */
static int uksm_hook_rmap_walk(struct kprobe *kp, struct pt_regs *regs)
{
	struct folio *folio = (void *)regs_get_kernel_argument(regs, 0);

	if (!uksm_folio_is_frame(folio))
		return 0;
	atomic_inc(&uksm_walks_coming);
	uksm_regs_call(regs, (unsigned long)srcu_notifier_call_chain,
		       (unsigned long)&uksm_walk_chain, (unsigned long)folio,
		       regs_get_kernel_argument(regs, 1));
	return 1;
}

/* Runs with preemption off; both folios are locked by the caller. */
static int uksm_hook_migrate(struct kprobe *kp, struct pt_regs *regs)
{
	struct folio *to = (void *)regs_get_kernel_argument(regs, 0);
	struct folio *from = (void *)regs_get_kernel_argument(regs, 1);

	if (uksm_folio_is_frame(from))
		uksm_frame_rekey(to, from);
	return 0;
}

/*
 * A kprobe with a post-handler is never turned into a jump, which would ignore
 * the changed instruction pointer, and ftrace knows that it changes it, so that
 * a live patch of the same function is refused instead of being bypassed.
 */
static void uksm_hook_post(struct kprobe *kp, struct pt_regs *regs,
			   unsigned long flags)
{
}

static struct kprobe uksm_kp_rmap_walk = {
	.symbol_name = "rmap_walk_ksm",
	.pre_handler = uksm_hook_rmap_walk,
	.post_handler = uksm_hook_post,
};

static struct kprobe uksm_kp_migrate = {
	.symbol_name = "folio_migrate_ksm",
	.pre_handler = uksm_hook_migrate,
	.post_handler = uksm_hook_post,
};

/**
 * uksm_hooks_walks() - walks that came to us so far
 *
 * Return: their number.
 */
unsigned long uksm_hooks_walks(void)
{
	return atomic_long_read(&uksm_walks);
}

static int __init uksm_hook_register(struct kprobe *kp)
{
	int err = register_kprobe(kp);

	if (err)
		pr_err("cannot hook %s (error %d): is a live patch or another tool on it?\n",
		       kp->symbol_name, err);
	return err;
}

/* No new walks come: wait for those under way, and take the chain down. */
static void uksm_walks_wait(void)
{
#ifndef UKSM_MUTANT_UNLOAD
	while (atomic_read(&uksm_walks_coming))
		msleep(20);
	/* Waits for all that are in the chain. */
	srcu_notifier_chain_unregister(&uksm_walk_chain, &uksm_walk_nb);
	srcu_cleanup_notifier_head(&uksm_walk_chain);
#endif
}

/**
 * uksm_hooks_init() - put both hooks in place
 *
 * Context: module load; uksm_frames_init() was called.
 * Return: 0, or an error after a line that says what.
 */
int __init uksm_hooks_init(void)
{
	int err;

	/* srcu_init_notifier_head() takes the machine down without memory. */
	mutex_init(&uksm_walk_chain.mutex);
	err = init_srcu_struct(&uksm_walk_chain.srcu);
	if (err)
		return err;
	srcu_notifier_chain_register(&uksm_walk_chain, &uksm_walk_nb);
	err = uksm_hook_register(&uksm_kp_rmap_walk);
	if (err)
		goto err_chain;
	err = uksm_hook_register(&uksm_kp_migrate);
	if (err)
		goto err_rmap_walk;
	return 0;

err_rmap_walk:
	unregister_kprobe(&uksm_kp_rmap_walk);
err_chain:
	uksm_walks_wait();
	return err;
}

/**
 * uksm_hooks_exit() - take the hooks away and wait until nobody is in them
 *
 * Context: there are no frames; may sleep.
 */
void uksm_hooks_exit(void)
{
	unregister_kprobe(&uksm_kp_rmap_walk);
	unregister_kprobe(&uksm_kp_migrate);
	uksm_walks_wait();
}
