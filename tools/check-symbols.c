// SPDX-License-Identifier: GPL-2.0
/*
 * usage: check-symbols -r IMAGE        print the release of a kernel image
 *        check-symbols EXPECTED IMAGE  compare it with a list of symbols
 * What scripts/check-symbols runs. EXPECTED is what the compiler makes of
 * expect.c. A line a problem; the last one is the answer, and so is the exit
 * code: 0 uksm would bind, 1 it would not, 2 it cannot be told.
 */
#include "kimage.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "btf.h"

enum { BINDS, REFUSES, UNKNOWN };

struct expected {
	char kind; /* F or D */
	char name[128];
	char proto[UKSM_BTF_PROTO_MAX];
	char why[128];
	/* what the kernel has */
	unsigned int symbols;
	char type;
	unsigned int prototypes;
	char found[UKSM_BTF_PROTO_MAX];
};

static struct expected list[128];
static size_t listed;

static void read_list(const char *path)
{
	FILE *f = fopen(path, "r");
	char line[1024], type[128], args[256];
	struct expected *e;

	while (f && fgets(line, sizeof(line), f)) {
		e = &list[listed];
		if (sscanf(line,
			   "@@ \"%c\" \"%127[^\"]\" \"%127[^\"]\" \"%255[^\"]\" \"%127[^\"]\"",
			   &e->kind, e->name, type, args, e->why) != 5)
			continue;
		snprintf(e->proto, sizeof(e->proto), "%.100s%.150s", type,
			 args);
		if (++listed == sizeof(list) / sizeof(list[0]))
			break;
	}
	if (f)
		fclose(f);
}

static struct expected *find(const char *name)
{
	size_t i;

	for (i = 0; i < listed; i++)
		if (!strcmp(list[i].name, name))
			return &list[i];
	return NULL;
}

static uint32_t read_symbols(const struct kimage *image)
{
	const uint8_t *pos = NULL;
	struct ksymbols syms;
	struct expected *e;
	char name[1024];

	if (!ksymbols_find(&syms, image->data, image->len))
		return 0;
	while (ksymbols_next(&syms, &pos, name, sizeof(name))) {
		e = *name ? find(name + 1) : NULL;
		if (e) {
			e->symbols++;
			e->type = name[0];
		}
	}
	return syms.count;
}

static uint32_t read_prototypes(const struct kimage *image)
{
	struct expected *e;
	struct uksm_btf b;
	uint32_t id, seen = 0;
	const char *name;
	uint32_t *at;

	if (!image->btf || !uksm_btf_open(&b, image->btf, image->btf_len))
		return 0;
	at = calloc(b.count + 1, sizeof(*at));
	if (!at)
		return 0;
	uksm_btf_index(&b, at);
	for (id = 1; id <= b.count; id++) {
		name = uksm_btf_func(&b, id);
		e = name ? find(name) : NULL;
		seen += !!name;
		if (!e)
			continue;
		if (e->prototypes++ && !uksm_btf_same(e->proto, e->found))
			continue;
		if (!uksm_btf_proto(&b, id, e->found, sizeof(e->found)))
			strcpy(e->found, "?");
	}
	free(at);
	return seen;
}

/* Print what is wrong, or not known. */
static int judge(const struct expected *e, bool symbols, bool prototypes)
{
	bool code = memchr("TtWw", e->type, 4);

	if (symbols && !e->symbols) {
		printf("%s: the kernel lacks it; needed to %s\n", e->name,
		       e->why);
		return REFUSES;
	}
	if (symbols && code != (e->kind == 'F')) {
		printf("%s: is %s in this kernel; needed to %s\n", e->name,
		       code ? "a function" : "not a function", e->why);
		return REFUSES;
	}
	if (e->symbols > 1) {
		printf("%s: the kernel has %u of that name, and one cannot tell which would be bound\n",
		       e->name, e->symbols);
		return REFUSES;
	}
	if (e->prototypes && !uksm_btf_same(e->proto, e->found)) {
		printf("%s: the kernel has %s, uksm calls %s\n", e->name,
		       e->found, e->proto);
		return REFUSES;
	}
	if (!symbols && !e->prototypes) {
		printf("%s: not checked, for the image has no symbol table (kallsyms) that could be read\n",
		       e->name);
		return UNKNOWN;
	}
	if (e->kind == 'F' && prototypes && !e->prototypes)
		printf("%s: is there; its prototype was not checked, for the kernel's BTF does not have it\n",
		       e->name);
	return BINDS;
}

static int answer(bool symbols, bool prototypes)
{
	char names[2][2048] = { "", "" };
	size_t i, len;
	int verdict;

	for (i = 0; i < listed; i++) {
		verdict = judge(&list[i], symbols, prototypes);
		if (verdict == BINDS)
			continue;
		len = strlen(names[verdict - 1]);
		snprintf(names[verdict - 1] + len, sizeof(names[0]) - len,
			 " %s", list[i].name);
	}
	if (*names[0]) {
		printf("uksm would not bind:%s\n", names[0]);
		return REFUSES;
	}
	if (*names[1]) {
		printf("cannot tell whether uksm would bind; not checked:%s\n",
		       names[1]);
		return UNKNOWN;
	}
	printf("uksm would bind\n");
	return BINDS;
}

int main(int argc, char **argv)
{
	uint32_t symbols, prototypes;
	struct kimage image;
	const char *err;

	if (argc != 3) {
		fprintf(stderr, "usage: check-symbols {-r | EXPECTED} IMAGE\n");
		return UNKNOWN;
	}
	err = kimage_read(&image, argv[2]);
	if (err) {
		printf("cannot tell whether uksm would bind: %s: %s\n", argv[2],
		       err);
		return UNKNOWN;
	}
	if (!strcmp(argv[1], "-r")) {
		printf("%s\n", image.release);
		return *image.release ? 0 : UNKNOWN;
	}
	read_list(argv[1]);
	if (!listed) {
		printf("cannot tell whether uksm would bind: %s is no list of symbols\n",
		       argv[1]);
		return UNKNOWN;
	}
	symbols = read_symbols(&image);
	prototypes = read_prototypes(&image);
	printf("Linux %s: %u symbols, BTF of %u functions; uksm needs %zu\n",
	       *image.release ? image.release : "of unknown release", symbols,
	       prototypes, listed);
	if (!prototypes)
		printf("no prototype was compared with the kernel's, for the image has no BTF\n");
	return answer(symbols, prototypes);
}
