// SPDX-License-Identifier: GPL-2.0
/*
 * ksyms.c - binding what the kernel does not export
 *
 * A kprobe on kallsyms_lookup_name() gives its address, and it gives all the
 * others. Everything is looked up before anything is bound: a kernel that
 * lacks something is told in one line all that it lacks, and nothing changes.
 *
 * kprobe.addr may lie behind the ENDBR of the function. That is right for the
 * direct calls made here; such an address is never kept or passed on.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/printk.h>

#include <uksm/ksyms.h>

#define UKSM_KSYM_DEFINE(fn, why) DEFINE_STATIC_CALL_NULL(uksm_##fn, fn);
UKSM_KSYM_FUNCTIONS(UKSM_KSYM_DEFINE)
#undef UKSM_KSYM_DEFINE

#define UKSM_KSYM_DEFINE(sym, type, why) typeof(type) *uksm_ksym_##sym;
UKSM_KSYM_DATA(UKSM_KSYM_DEFINE)
#undef UKSM_KSYM_DEFINE

DEFINE_STATIC_CALL_NULL(uksm_lookup, kallsyms_lookup_name);

/* clang-format off */
static const struct {
	const char *name;
	const char *why;
} uksm_ksyms[] = {
#define UKSM_KSYM_NAME(fn, why) { #fn, why },
	UKSM_KSYM_FUNCTIONS(UKSM_KSYM_NAME)
#undef UKSM_KSYM_NAME
#define UKSM_KSYM_NAME(sym, type, why) { #sym, why },
	UKSM_KSYM_DATA(UKSM_KSYM_NAME)
#undef UKSM_KSYM_NAME
};

/* clang-format on */

/* Bind kallsyms_lookup_name(). May sleep. */
static int uksm_ksyms_bind_lookup(void)
{
	/*
	 * For its address only: armed, it would change code, and disarming
	 * needs memory; without, a probe on our stack would stay registered.
	 */
	struct kprobe kp = { .symbol_name = "kallsyms_lookup_name",
			     .flags = KPROBE_FLAG_DISABLED };
	int err = register_kprobe(&kp);

	if (err == -ENOMEM)
		return err;
	if (err) {
		pr_err("this kernel refuses kprobes (error %d): boot one with CONFIG_KPROBES and without lockdown\n",
		       err);
		return -EOPNOTSUPP;
	}
	static_call_update(uksm_lookup,
			   (typeof(kallsyms_lookup_name) *)kp.addr);
	unregister_kprobe(&kp);
	return 0;
}

/**
 * uksm_ksyms_init() - bind every symbol of ksyms.h
 *
 * Context: module load; may sleep. There is nothing to undo.
 * Return: 0, -ENOMEM, or -EOPNOTSUPP after a line that names all that is
 * missing.
 */
int __init uksm_ksyms_init(void)
{
	static char lacks[960] __initdata; /* one line of the log */
	unsigned long addr[ARRAY_SIZE(uksm_ksyms)];
	int i, err, len = 0;

	err = uksm_ksyms_bind_lookup();
	if (err)
		return err;

	for (i = 0; i < ARRAY_SIZE(uksm_ksyms); i++) {
		addr[i] = static_call(uksm_lookup)(uksm_ksyms[i].name);
		if (!addr[i])
			len += scnprintf(lacks + len, sizeof(lacks) - len,
					 " %s (to %s)", uksm_ksyms[i].name,
					 uksm_ksyms[i].why);
	}
	if (len) {
		pr_err("this kernel is not supported, it lacks:%s. Use a distribution kernel from 6.1 to 7.3, or a newer uksm\n",
		       lacks);
		return -EOPNOTSUPP;
	}

	i = 0;
#define UKSM_KSYM_BIND(fn, why) \
	static_call_update(uksm_##fn, (typeof(fn) *)addr[i++]);
	UKSM_KSYM_FUNCTIONS(UKSM_KSYM_BIND)
#undef UKSM_KSYM_BIND
#define UKSM_KSYM_BIND(sym, type, why) \
	uksm_ksym_##sym = (typeof(type) *)addr[i++];
	UKSM_KSYM_DATA(UKSM_KSYM_BIND)
#undef UKSM_KSYM_BIND
	return 0;
}
