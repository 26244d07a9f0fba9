// SPDX-License-Identifier: GPL-2.0
/*
 * ksyms.c - binding what the kernel does not export
 *
 * A kprobe on kallsyms_lookup_name() gives its address, and it gives all the
 * others. Everything is looked up before anything is bound: a kernel that
 * lacks something is told in one line all that it lacks, and nothing changes.
 * So is one whose functions are others than those of the headers that uksm was
 * built with, as its type information has them (CONFIG_DEBUG_INFO_BTF).
 *
 * kprobe.addr may lie behind the ENDBR of the function. That is right for the
 * direct calls made here; such an address is never kept or passed on.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/printk.h>

#define UKSM_KSYMS_CHECK
#include <uksm/ksyms.h>

#include "btf.h"

#define UKSM_KSYM_DEFINE(type, fn, args, why) \
	DEFINE_STATIC_CALL_NULL(uksm_##fn, fn);
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
	const char *proto; /* of a function */
} uksm_ksyms[] = {
#define UKSM_KSYM_NAME(type, fn, args, why) { #fn, why, #type #args },
	UKSM_KSYM_FUNCTIONS(UKSM_KSYM_NAME)
#undef UKSM_KSYM_NAME
#define UKSM_KSYM_NAME(sym, type, why) { #sym, why },
	UKSM_KSYM_DATA(UKSM_KSYM_NAME)
#undef UKSM_KSYM_NAME
};

/* clang-format on */

#define UKSM_KSYMS_REFUSED "this kernel is not supported, it "
#define UKSM_KSYMS_ADVICE \
	"Use a distribution kernel from 6.1 to 7.3, or a newer uksm\n"

/* What is wrong, in one line of the log. */
static char uksm_ksyms_wrong[900] __initdata;
static int uksm_ksyms_wrong_len __initdata;

#define uksm_ksyms_add(fmt, ...)                                             \
	(uksm_ksyms_wrong_len +=                                             \
	 scnprintf(uksm_ksyms_wrong + uksm_ksyms_wrong_len,                  \
		   sizeof(uksm_ksyms_wrong) - uksm_ksyms_wrong_len, " " fmt, \
		   __VA_ARGS__))

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
	if (err == -ENOENT) {
		pr_err(UKSM_KSYMS_REFUSED
		       "lacks: kallsyms_lookup_name (to find all others). " UKSM_KSYMS_ADVICE);
		return -EOPNOTSUPP;
	}
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

static void __init uksm_ksyms_compare(const struct uksm_btf *b, u32 id)
{
	static char proto[UKSM_BTF_PROTO_MAX] __initdata;
	const char *name = uksm_btf_func(b, id);
	int i;

	for (i = 0; name && i < ARRAY_SIZE(uksm_ksyms); i++) {
		if (!uksm_ksyms[i].proto || strcmp(name, uksm_ksyms[i].name))
			continue;
		if (!uksm_btf_proto(b, id, proto, sizeof(proto)))
			strscpy(proto, "?", sizeof(proto));
		if (!uksm_btf_same(uksm_ksyms[i].proto, proto))
			uksm_ksyms_add("%s() as %s, not %s;", name, proto,
				       uksm_ksyms[i].proto);
	}
}

/* Compare all prototypes with those of the kernel that runs. May sleep. */
static int __init uksm_ksyms_compare_all(void)
{
	const u8 *start = (void *)static_call(uksm_lookup)("__start_BTF");
	const u8 *stop = (void *)static_call(uksm_lookup)("__stop_BTF");
	struct uksm_btf b;
	u32 id, *at;

	/* The headers have been compared. Nothing else can be. */
	if (!start || stop <= start || !uksm_btf_open(&b, start, stop - start))
		return 0;
	at = kvmalloc_array(b.count + 1, sizeof(*at), GFP_KERNEL);
	if (!at)
		return -ENOMEM;
	uksm_btf_index(&b, at);
	for (id = 1; id <= b.count; id++)
		uksm_ksyms_compare(&b, id);
	kvfree(at);
	return 0;
}

/**
 * uksm_ksyms_init() - bind every symbol of ksyms.h
 *
 * Context: module load; may sleep. There is nothing to undo.
 * Return: 0, -ENOMEM, or -EOPNOTSUPP after a line that names all that is
 * missing or other than it was.
 */
int __init uksm_ksyms_init(void)
{
	unsigned long addr[ARRAY_SIZE(uksm_ksyms)];
	int i, err;

	err = uksm_ksyms_bind_lookup();
	if (err)
		return err;

	for (i = 0; i < ARRAY_SIZE(uksm_ksyms); i++) {
		addr[i] = static_call(uksm_lookup)(uksm_ksyms[i].name);
		if (!addr[i])
			uksm_ksyms_add("%s (to %s)", uksm_ksyms[i].name,
				       uksm_ksyms[i].why);
	}
	if (uksm_ksyms_wrong_len) {
		pr_err(UKSM_KSYMS_REFUSED "lacks:%s. " UKSM_KSYMS_ADVICE,
		       uksm_ksyms_wrong);
		return -EOPNOTSUPP;
	}

	err = uksm_ksyms_compare_all();
	if (err)
		return err;
	if (uksm_ksyms_wrong_len) {
		pr_err("this kernel is not the one uksm was built for, it has%s build uksm for it, or use a newer uksm\n",
		       uksm_ksyms_wrong);
		return -EOPNOTSUPP;
	}

	i = 0;
#define UKSM_KSYM_BIND(type, fn, args, why) \
	static_call_update(uksm_##fn, (typeof(fn) *)addr[i++]);
	UKSM_KSYM_FUNCTIONS(UKSM_KSYM_BIND)
#undef UKSM_KSYM_BIND
#define UKSM_KSYM_BIND(sym, type, why) \
	uksm_ksym_##sym = (typeof(type) *)addr[i++];
	UKSM_KSYM_DATA(UKSM_KSYM_BIND)
#undef UKSM_KSYM_BIND
	return 0;
}
