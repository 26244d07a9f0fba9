// SPDX-License-Identifier: GPL-2.0
/*
 * Finding the symbol table and the type information in a kernel image: in
 * either layout, and no step out of the file, whatever is in it.
 */
#include "unit.h"

#include "kimage.h"

#define SYMBOLS 1000
#define SPACE 65536

static u8 *out;
static size_t out_len;

static void put(const void *p, size_t n)
{
	CHECK_OP(out_len + n, <=, SPACE);
	memcpy(out + out_len, p, n);
	out_len += n;
}

static void align(size_t to)
{
	while (out_len % to)
		put("", 1);
}

static void put32(u32 v)
{
	put(&v, 4);
}

/* Token 255 stands for "long_"; all others for themselves or for "?". */
static void put_tokens(size_t to)
{
	u16 index[256];
	u32 i, at = 0;
	char s[8];

	align(to);
	for (i = 0; i < 256; i++) {
		s[0] = i > ' ' && i < 127 ? i : '?';
		s[1] = 0;
		if (i == 255)
			strcpy(s, "long_");
		index[i] = at;
		put(s, strlen(s) + 1);
		at += strlen(s) + 1;
	}
	align(to);
	put(index, sizeof(index));
}

/*
 * What the kernel's scripts/kallsyms writes, between things that are not it.
 * Symbol n is "Tlong_sym<n>", and number 500 has a name of 200 bytes.
 */
static u8 *tables(size_t to, size_t *len)
{
	u32 markers[SYMBOLS / 256 + 1], i, n;
	size_t names;
	char s[256];

	out = xalloc(SPACE);
	out_len = 0;
	for (i = 0; i < 1000; i++)
		put32(rnd());
	align(8);
	put32(SYMBOLS);
	align(to);
	names = out_len;
	for (i = 0; i < SYMBOLS; i++) {
		u8 head[2];

		if (i % 256 == 0)
			markers[i / 256] = out_len - names;
		n = snprintf(s, sizeof(s), "T\xffsym%u", i);
		if (i == 500) {
			memset(s + n, 'x', 200 - n);
			n = 200;
		}
		head[0] = n >= 128 ? (n & 0x7f) | 0x80 : n;
		head[1] = n >> 7;
		put(head, n >= 128 ? 2 : 1);
		put(s, n);
	}
	align(to);
	put(markers, sizeof(markers));
	put_tokens(to);
	for (i = 0; i < 100; i++)
		put32(rnd());
	*len = out_len;
	return realloc(out, out_len);
}

static u32 walk(const struct ksymbols *syms, char *name, size_t size)
{
	const u8 *pos = NULL;
	u32 n = 0;

	while (ksymbols_next(syms, &pos, name, size))
		n++;
	return n;
}

TEST(kallsyms_found)
{
	static const size_t layouts[] = { 4, 8 };
	struct ksymbols syms;
	const u8 *pos;
	char name[512], expected[32];
	size_t len, l;
	u32 i;
	u8 *data;

	for (l = 0; l < 2; l++) {
		data = tables(layouts[l], &len);
		CHECK(ksymbols_find(&syms, data, len));
		CHECK_EQ(syms.count, SYMBOLS);
		pos = NULL;
		for (i = 0; i < SYMBOLS; i++) {
			CHECK(ksymbols_next(&syms, &pos, name, sizeof(name)));
			snprintf(expected, sizeof(expected), "Tlong_sym%u", i);
			if (i == 500)
				CHECK_EQ(strlen(name), 204);
			else
				CHECK(!strcmp(name, expected));
		}
		CHECK(!ksymbols_next(&syms, &pos, name, sizeof(name)));
		/* a name that does not fit is cut */
		CHECK_EQ(walk(&syms, name, 5), SYMBOLS);
		CHECK_EQ(strlen(name), 4);
		free(data);
	}
}

TEST(kallsyms_truncated)
{
	struct ksymbols syms;
	size_t len, cut, found = 0;
	char name[64];
	u8 *data, *part;

	data = tables(8, &len);
	for (cut = 1; cut < len; cut += 1 + rnd_below(60)) {
		part = xalloc(cut);
		memcpy(part, data, cut);
		if (ksymbols_find(&syms, part, cut)) {
			found++;
			CHECK_EQ(walk(&syms, name, sizeof(name)), SYMBOLS);
		}
		free(part);
	}
	/* and from the front */
	for (cut = 4; cut < len; cut += 4) {
		part = xalloc(len - cut);
		memcpy(part, data + cut, len - cut);
		if (ksymbols_find(&syms, part, len - cut))
			CHECK_OP(cut, <=, 4000);
		free(part);
	}
	CHECK_OP(found, >, 0); /* those where only what follows is lost */
	CHECK_OP(found, <, 50);
	free(data);
}

/* The tables say wrong things: they are not taken, or are safe to walk. */
TEST(kallsyms_hostile)
{
	struct ksymbols syms;
	u32 i, n, found = 0;
	char name[64];
	size_t len;
	u8 *data;

	for (i = 0; i < 2000; i++) {
		data = tables(4, &len);
		for (n = 1 + rnd_below(3); n; n--)
			data[4000 + rnd_below(len - 4000)] = rnd();
		if (ksymbols_find(&syms, data, len)) {
			found++;
			CHECK_EQ(walk(&syms, name, sizeof(name)), syms.count);
		}
		free(data);
	}
	CHECK_OP(found, >, 100);
	CHECK_OP(found, <, 1900);
}

/* A vmlinuz whose header says that its payload is somewhere else. */
TEST(kimage_hostile)
{
	struct kimage image;
	size_t len = 4096;
	u32 i, v;
	u8 *data;

	for (i = 0; i < 20000; i++) {
		data = xalloc(len);
		memcpy(data + 0x202, "HdrS", 4);
		data[0x1f1] = rnd_below(8);
		v = rnd_below(3) ? rnd_below(5000) : rnd();
		memcpy(data + 0x248, &v, 4);
		v = rnd_below(3) ? rnd_below(5000) : rnd();
		memcpy(data + 0x24c, &v, 4);
		CHECK(kimage_open(&image, data, len));
		free(data);
	}
	for (i = 0; i < 64; i++) {
		data = xalloc(i + 1);
		memcpy(data, "MZ\0\0zimg", i < 8 ? i : 8);
		CHECK(kimage_open(&image, data, i + 1));
		free(data);
	}
}

/* An ELF file with a banner and BTF cut off at its end, and a whole one. */
TEST(kimage_contents)
{
	static const u8 btf[] = { 0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0,
				  0,	0,    0, 0, 0,	0, 0, 2, 0, 0, 0, 0, 0 };
	struct kimage image;
	size_t cut;
	u8 *data;

	for (cut = 0; cut <= sizeof(btf); cut++) {
		data = xalloc(64 + cut);
		memcpy(data, "\177ELF", 4);
		memcpy(data + 8, "Linux version 6.99-x (a@b)", 26);
		memcpy(data + 64, btf, cut);
		CHECK(!kimage_open(&image, data, 64 + cut));
		CHECK(!strcmp(image.release, "6.99-x"));
		CHECK_EQ(image.btf != NULL, cut == sizeof(btf));
		free(data);
	}
	data = xalloc(32);
	memcpy(data, "\177ELF    Linux version 6.99-xxxxx", 32);
	CHECK(!kimage_open(&image, data, 32));
	CHECK(!*image.release);
	free(data);
}
