// SPDX-License-Identifier: GPL-2.0
/*
 * usage: doctor IMAGE OUT [CHANGE...]
 * Unpack a kernel image and change what it says of itself, for tests:
 *	hide=NAME	no symbol is called NAME any more
 *	move=NAME,TO	the symbol NAME has the address of the symbol TO
 *	proto=NAME,TO	the function NAME has the prototype of the function TO
 * "move" knows where the addresses are in kernels since 6.4.
 */
#include "kimage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/btf.h>

#include "btf.h"

static uint8_t *copy;
static struct kimage image;
static struct ksymbols syms;

static void die(const char *what, const char *name)
{
	fprintf(stderr, "doctor: %s%s\n", what, name);
	exit(1);
}

/* The number of a symbol; *last is the last byte of its name. */
static uint32_t symbol(const char *name, const uint8_t **last)
{
	const uint8_t *pos = NULL;
	char found[1024];
	uint32_t i;

	for (i = 0; ksymbols_next(&syms, &pos, found, sizeof(found)); i++) {
		*last = pos - 1;
		if (!strcmp(found + 1, name))
			return i;
	}
	die("no symbol ", name);
	return 0;
}

static uint32_t function(const struct uksm_btf *b, const char *name)
{
	const char *found;
	uint32_t id;

	for (id = 1; id <= b->count; id++) {
		found = uksm_btf_func(b, id);
		if (found && !strcmp(found, name))
			return id;
	}
	die("BTF has no function ", name);
	return 0;
}

static void hide(const char *name)
{
	const uint8_t *last;

	symbol(name, &last);
	copy[last - image.data] ^= 1;
}

static void move(const char *name, const char *to)
{
	size_t offsets = syms.token_index - image.data + 512;
	const uint8_t *last;

	offsets = (offsets + 3) / 4 * 4;
	memcpy(copy + offsets + symbol(name, &last) * 4ul,
	       copy + offsets + symbol(to, &last) * 4ul, 4);
}

static void proto(const char *name, const char *to)
{
	struct uksm_btf b;
	size_t types;

	if (!image.btf || !uksm_btf_open(&b, image.btf, image.btf_len))
		die("the image has no BTF", "");
	uksm_btf_index(&b, calloc(b.count + 1, sizeof(uint32_t)));
	types = b.types - image.data;
	/* a function's record: name, kind, and the number of its prototype */
	memcpy(copy + types + b.at[function(&b, name)] + 8,
	       copy + types + b.at[function(&b, to)] + 8, 4);
}

int main(int argc, char **argv)
{
	const char *err;
	FILE *f;
	int i;

	if (argc < 3)
		die("usage: doctor IMAGE OUT [CHANGE...]", "");
	err = kimage_read(&image, argv[1]);
	if (err)
		die(err, "");
	if (!ksymbols_find(&syms, image.data, image.len))
		die("found no symbols", "");
	copy = malloc(image.len);
	if (!copy)
		die("no memory", "");
	memcpy(copy, image.data, image.len);
	for (i = 3; i < argc; i++) {
		char *kind = strtok(argv[i], "="), *name = strtok(NULL, ","),
		     *to = strtok(NULL, ",");

		if (name && !to && !strcmp(kind, "hide"))
			hide(name);
		else if (to && !strcmp(kind, "move"))
			move(name, to);
		else if (to && !strcmp(kind, "proto"))
			proto(name, to);
		else
			die("no such change: ", kind);
	}
	f = fopen(argv[2], "w");
	if (!f || fwrite(copy, image.len, 1, f) != 1 || fclose(f))
		die("cannot write ", argv[2]);
	return 0;
}
