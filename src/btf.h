/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UKSM_BTF_H
#define UKSM_BTF_H

#include "pure.h"

/* Longer than any prototype in ksyms.h as the kernel's BTF may have it. */
#define UKSM_BTF_PROTO_MAX 256

/**
 * struct uksm_btf - type information (BTF) of a kernel
 * @types: records of the types, one behind the other
 * @types_len: their bytes
 * @strs: names, one behind the other; ends in a zero byte
 * @strs_len: their bytes
 * @count: types there are; they have the numbers 1 to @count
 * @at: where in @types each is, by its number; the caller's
 */
struct uksm_btf {
	const u8 *types;
	u32 types_len;
	const char *strs;
	u32 strs_len;
	u32 count;
	u32 *at;
};

bool uksm_btf_open(struct uksm_btf *b, const void *data, size_t len);
void uksm_btf_index(struct uksm_btf *b, u32 *at);
const char *uksm_btf_func(const struct uksm_btf *b, u32 id);
bool uksm_btf_proto(const struct uksm_btf *b, u32 id, char *buf, size_t size);
bool uksm_btf_same(const char *expected, const char *found);

#endif /* UKSM_BTF_H */
