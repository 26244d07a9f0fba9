// SPDX-License-Identifier: GPL-2.0
/*
 * kallsyms.c - the kernel's table of its symbols, in an image without labels
 *
 * What scripts/kallsyms.c of the kernel writes is found by its shape:
 *	token_table	256 strings
 *	token_index	256 offsets into it, 16 bits each, right behind it
 *	markers		before it: where in the names each 256th symbol is
 *	names		before them: per symbol a length and bytes, each a token
 *	num_syms	before them
 * Each of these says something of the others, so that nothing else looks like
 * it. The tables of addresses have moved from release to release and are not
 * needed.
 */
#include "kimage.h"

#include <string.h>

#define ALIGN_UP(x, a) (((x) + (a)-1) / (a) * (a))
#define SYMBOLS_MIN 16
#define SYMBOLS_MAX (4u << 20)

static uint32_t get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Is the index at @pos one of a table before it? Then it starts at *table. */
static bool token_table(const uint8_t *data, size_t len, size_t pos,
			size_t *table)
{
	uint32_t i, off = 0, last;
	size_t pad;

	if (len - pos < 512 || get16(data + pos))
		return false;
	for (i = 1; i < 256; i++) {
		last = off;
		off = get16(data + pos + i * 2);
		if (off < last + 2)
			return false;
	}
	/* the last token ends, and then there is padding */
	if (!pos || data[pos - 1])
		return false;
	for (pad = ALIGN_UP(off + 2, 4); pad <= pos && pad < off + 80u;
	     pad += 4) {
		*table = pos - pad;
		for (i = 1; i < 256; i++)
			if (data[*table + get16(data + pos + i * 2) - 1])
				break;
		if (i == 256)
			return true;
	}
	return false;
}

/* One compressed name: its bytes are at *p, which is moved behind them. */
static bool step(const uint8_t **p, const uint8_t *end, const uint8_t **bytes,
		 uint32_t *count)
{
	if (*p >= end)
		return false;
	*count = *(*p)++;
	if (*count & 0x80) {
		if (*p >= end)
			return false;
		*count = (*count & 0x7f) | *(*p)++ << 7;
	}
	if (!*count || *count > (size_t)(end - *p))
		return false;
	*bytes = *p;
	*p += *count;
	return true;
}

/* Are there @count names at @start, and the right markers behind them? */
static bool names_at(const uint8_t *data, size_t start, size_t limit,
		     uint32_t count, size_t *end)
{
	const uint8_t *p = data + start, *stop = data + limit, *bytes;
	uint32_t i, n;
	size_t markers;

	for (i = 0; i < count; i++)
		if (!step(&p, stop, &bytes, &n))
			return false;
	*end = p - data;
	for (markers = ALIGN_UP(*end, 4); markers <= ALIGN_UP(*end, 4) + 4;
	     markers += 4) {
		p = data + start;
		for (i = 0; i < count; i++) {
			if (i % 256 == 0) {
				if (markers + i / 64 + 4 > limit ||
				    get32(data + markers + i / 64) !=
					    (size_t)(p - data) - start)
					break;
			}
			step(&p, stop, &bytes, &n);
		}
		if (i == count)
			return true;
	}
	return false;
}

static bool names_before(struct ksymbols *syms, const uint8_t *data,
			 size_t table)
{
	size_t pos, end, start;
	uint32_t count;

	for (pos = table & ~(size_t)3; pos >= 4;) {
		pos -= 4;
		count = get32(data + pos);
		if (count < SYMBOLS_MIN || count > SYMBOLS_MAX ||
		    count > (table - pos) / 2)
			continue;
		for (start = pos + 4; start <= pos + 8; start += 4) {
			if (!names_at(data, start, table, count, &end))
				continue;
			syms->count = count;
			syms->names = data + start;
			syms->end = data + end;
			return true;
		}
	}
	return false;
}

/* Find the tables; what is found is safe to walk. */
bool ksymbols_find(struct ksymbols *syms, const uint8_t *data, size_t len)
{
	size_t pos, table;

	memset(syms, 0, sizeof(*syms));
	for (pos = 0; pos + 512 <= len; pos += 4) {
		if (!token_table(data, len, pos, &table) ||
		    !names_before(syms, data, table))
			continue;
		syms->tokens = data + table;
		syms->token_index = data + pos;
		return true;
	}
	return false;
}

bool ksymbols_next(const struct ksymbols *syms, const uint8_t **pos, char *name,
		   size_t size)
{
	const uint8_t *p = *pos ? *pos : syms->names, *bytes;
	const char *token;
	size_t len = 0, n;
	uint32_t count;

	if (!step(&p, syms->end, &bytes, &count))
		return false;
	*pos = p;
	while (count--) {
		token = (const char *)syms->tokens +
			get16(syms->token_index + *bytes++ * 2);
		/* the table is closed by the index, which begins with 0 */
		n = strlen(token);
		if (n >= size - len)
			n = size - len - 1;
		memcpy(name + len, token, n);
		len += n;
	}
	name[len] = 0;
	return true;
}
