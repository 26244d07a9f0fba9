/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A kernel image as a file: unpacked, its table of symbols (kallsyms) and its
 * type information (BTF). Trusts nothing in it.
 */
#ifndef UKSM_KIMAGE_H
#define UKSM_KIMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/**
 * struct kimage - an image in memory
 * @data: unpacked
 * @len: its bytes
 * @release: as uname -r has it, or ""
 * @btf: the BTF section, or NULL
 * @btf_len: its bytes
 */
struct kimage {
	uint8_t *data;
	size_t len;
	char release[128];
	const uint8_t *btf;
	size_t btf_len;
};

/**
 * struct ksymbols - the symbols of an image, as its kallsyms tables have them
 * @count: symbols there are
 * @names: their names, compressed, one behind the other
 * @end: where the names end
 * @tokens: what a byte of a name stands for
 * @token_index: where in @tokens each byte's is
 */
struct ksymbols {
	uint32_t count;
	const uint8_t *names;
	const uint8_t *end;
	const uint8_t *tokens;
	const uint8_t *token_index;
};

/* At any address, in this machine's order of bytes. */
static inline uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Both return NULL, or what is wrong. */
const char *kimage_read(struct kimage *image, const char *path);
const char *kimage_open(struct kimage *image, uint8_t *data, size_t len);

bool ksymbols_find(struct ksymbols *syms, const uint8_t *data, size_t len);

/*
 * Step to the next symbol: its type and name are written to @name. @pos starts
 * as NULL and is then where the compressed name is, its length before it.
 */
bool ksymbols_next(const struct ksymbols *syms, const uint8_t **pos, char *name,
		   size_t size);

#endif /* UKSM_KIMAGE_H */
