// SPDX-License-Identifier: GPL-2.0
/*
 * btf.c - prototypes of the kernel's functions, from its type information
 *
 * ksyms.h says with which prototype a function is called. The headers that the
 * module was built with have been compared with that; this is for the kernel
 * that runs, which may be another one of the same name.
 *
 * A prototype is written without names of parameters, const and typedefs, so
 * that what makes no difference to a caller makes none here:
 *	"void(struct folio*,unsigned long)"
 * Only a type that has no name but its typedef (pte_t) goes by that.
 *
 * Pure, and shared with scripts/check-symbols. Trusts no number it reads.
 */
#include "btf.h"

#include <linux/btf.h>

/* A type that is made of more than that many is a circle. */
#define UKSM_BTF_DEPTH 32

struct uksm_btf_type {
	u32 id;
	u32 kind;
	u32 vlen;
	bool kflag;
	u32 name;
	u32 size; /* or the number of the type it is made of */
	const u8 *extra;
};

struct uksm_btf_text {
	char *buf;
	size_t size;
	size_t len;
};

static u32 uksm_btf_u32(const u8 *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* How long the record at @p is; 0 if it is of no kind that is known. */
static u32 uksm_btf_record(const u8 *p)
{
	u32 info = uksm_btf_u32(p + 4), vlen = BTF_INFO_VLEN(info);

	switch (BTF_INFO_KIND(info)) {
	case BTF_KIND_PTR:
	case BTF_KIND_FWD:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_FUNC:
	case BTF_KIND_FLOAT:
	case BTF_KIND_TYPE_TAG:
		return 12;
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:
		return 12 + 4;
	case BTF_KIND_ARRAY:
		return 12 + 12;
	case BTF_KIND_ENUM:
	case BTF_KIND_FUNC_PROTO:
		return 12 + vlen * 8;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
	case BTF_KIND_DATASEC:
	case BTF_KIND_ENUM64:
		return 12 + vlen * 12;
	default:
		return 0;
	}
}

/**
 * uksm_btf_open() - find the parts of a BTF section and count its types
 * @b: is filled in
 * @data: the section; has to stay
 * @len: its bytes
 *
 * Return: whether it is one that can be read.
 */
bool uksm_btf_open(struct uksm_btf *b, const void *data, size_t len)
{
	const u8 *p = data;
	u64 types, strs;
	u32 hdr_len, pos = 0, size;
	u16 magic;

	memset(b, 0, sizeof(*b));
	if (len < 24)
		return false;
	memcpy(&magic, p, sizeof(magic));
	hdr_len = uksm_btf_u32(p + 4);
	if (magic != BTF_MAGIC || p[2] != BTF_VERSION || hdr_len < 24)
		return false;
	types = (u64)hdr_len + uksm_btf_u32(p + 8);
	b->types_len = uksm_btf_u32(p + 12);
	strs = (u64)hdr_len + uksm_btf_u32(p + 16);
	b->strs_len = uksm_btf_u32(p + 20);
	if (types + b->types_len > len || strs + b->strs_len > len ||
	    !b->strs_len || p[strs + b->strs_len - 1])
		return false;
	b->types = p + types;
	b->strs = (const char *)p + strs;

	for (; pos < b->types_len; pos += size) {
		if (b->types_len - pos < 12)
			return false;
		size = uksm_btf_record(b->types + pos);
		if (!size || size > b->types_len - pos)
			return false;
		b->count++;
	}
	return true;
}

/**
 * uksm_btf_index() - note where each type is
 * @b: was opened
 * @at: room for b->count + 1 numbers, has to stay
 */
void uksm_btf_index(struct uksm_btf *b, u32 *at)
{
	u32 id, pos = 0;

	b->at = at;
	at[0] = 0;
	for (id = 1; id <= b->count; id++) {
		at[id] = pos;
		pos += uksm_btf_record(b->types + pos);
	}
}

static bool uksm_btf_type(const struct uksm_btf *b, u32 id,
			  struct uksm_btf_type *t)
{
	const u8 *p;
	u32 info;

	if (!id || id > b->count)
		return false;
	p = b->types + b->at[id];
	info = uksm_btf_u32(p + 4);
	t->id = id;
	t->kind = BTF_INFO_KIND(info);
	t->vlen = BTF_INFO_VLEN(info);
	t->kflag = BTF_INFO_KFLAG(info);
	t->name = uksm_btf_u32(p);
	t->size = uksm_btf_u32(p + 8);
	t->extra = p + 12;
	return true;
}

static const char *uksm_btf_name(const struct uksm_btf *b, u32 off)
{
	return off < b->strs_len ? b->strs + off : "";
}

/**
 * uksm_btf_func() - the name of a function
 * @b: was indexed
 * @id: number of any type
 *
 * Return: NULL if it is none.
 */
const char *uksm_btf_func(const struct uksm_btf *b, u32 id)
{
	struct uksm_btf_type t;

	if (!uksm_btf_type(b, id, &t) || t.kind != BTF_KIND_FUNC)
		return NULL;
	return uksm_btf_name(b, t.name);
}

static bool uksm_btf_put(struct uksm_btf_text *out, const char *s)
{
	size_t len = strlen(s);

	if (len >= out->size - out->len)
		return false;
	memcpy(out->buf + out->len, s, len + 1);
	out->len += len;
	return true;
}

/* By what it is, not by what the compiler calls it. */
static const char *uksm_btf_int(const struct uksm_btf *b,
				const struct uksm_btf_type *t)
{
	u32 encoding = BTF_INT_ENCODING(uksm_btf_u32(t->extra));
	bool sign = encoding & BTF_INT_SIGNED;

	if (encoding & BTF_INT_BOOL)
		return "bool";
	if (!strcmp(uksm_btf_name(b, t->name), "char"))
		return "char";
	switch (t->size) {
	case 1:
		return sign ? "signed char" : "unsigned char";
	case 2:
		return sign ? "short" : "unsigned short";
	case 4:
		return sign ? "int" : "unsigned int";
	case 8:
		return sign ? "long" : "unsigned long";
	default:
		return uksm_btf_name(b, t->name);
	}
}

static const char *uksm_btf_keyword(const struct uksm_btf_type *t)
{
	switch (t->kind) {
	case BTF_KIND_UNION:
		return "union ";
	case BTF_KIND_FWD:
		return t->kflag ? "union " : "struct ";
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		return "enum ";
	default:
		return "struct ";
	}
}

static bool uksm_btf_put_proto(const struct uksm_btf *b,
			       struct uksm_btf_text *out,
			       const struct uksm_btf_type *t, int depth);

/* Write type @id. Each step, down or aside, is one off @depth. */
static bool uksm_btf_put_type(const struct uksm_btf *b,
			      struct uksm_btf_text *out, u32 id, int depth)
{
	const char *name, *alias = "";
	struct uksm_btf_type t;

	for (; id; id = t.size) {
		if (depth-- <= 0 || !uksm_btf_type(b, id, &t))
			return false;
		if (t.kind == BTF_KIND_TYPEDEF)
			alias = uksm_btf_name(b, t.name);
		else if (t.kind != BTF_KIND_CONST &&
			 t.kind != BTF_KIND_VOLATILE &&
			 t.kind != BTF_KIND_RESTRICT &&
			 t.kind != BTF_KIND_TYPE_TAG)
			break;
	}
	if (!id)
		return uksm_btf_put(out, "void");

	name = uksm_btf_name(b, t.name);
	switch (t.kind) {
	case BTF_KIND_PTR:
		return uksm_btf_put_type(b, out, t.size, depth) &&
		       uksm_btf_put(out, "*");
	case BTF_KIND_INT:
		return uksm_btf_put(out, uksm_btf_int(b, &t));
	case BTF_KIND_FLOAT:
		return uksm_btf_put(out, name);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
	case BTF_KIND_FWD:
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		if (!*name)
			return uksm_btf_put(out, *alias ? alias : "?");
		return uksm_btf_put(out, uksm_btf_keyword(&t)) &&
		       uksm_btf_put(out, name);
	case BTF_KIND_FUNC_PROTO:
		return uksm_btf_put_proto(b, out, &t, depth);
	default:
		return uksm_btf_put(out, "?");
	}
}

static bool uksm_btf_put_proto(const struct uksm_btf *b,
			       struct uksm_btf_text *out,
			       const struct uksm_btf_type *t, int depth)
{
	u32 i, type;

	if (!uksm_btf_put_type(b, out, t->size, depth) ||
	    !uksm_btf_put(out, "("))
		return false;
	if (!t->vlen && !uksm_btf_put(out, "void"))
		return false;
	for (i = 0; i < t->vlen; i++) {
		type = uksm_btf_u32(t->extra + i * 8 + 4);
		if (i && !uksm_btf_put(out, ","))
			return false;
		/* no name and no type: any number of them */
		if (!type && !uksm_btf_u32(t->extra + i * 8)) {
			if (!uksm_btf_put(out, "..."))
				return false;
		} else if (!uksm_btf_put_type(b, out, type, depth)) {
			return false;
		}
	}
	return uksm_btf_put(out, ")");
}

/**
 * uksm_btf_proto() - write the prototype of a function
 * @b: was indexed
 * @id: number of the function
 * @buf: where to
 * @size: its bytes; UKSM_BTF_PROTO_MAX does for any that could be right
 *
 * Return: false if it does not fit, or is none.
 */
bool uksm_btf_proto(const struct uksm_btf *b, u32 id, char *buf, size_t size)
{
	struct uksm_btf_text out = { buf, size, 0 };
	struct uksm_btf_type func, proto;

	buf[0] = 0;
	if (!uksm_btf_type(b, id, &func) || func.kind != BTF_KIND_FUNC ||
	    !uksm_btf_type(b, func.size, &proto) ||
	    proto.kind != BTF_KIND_FUNC_PROTO)
		return false;
	return uksm_btf_put_proto(b, &out, &proto, UKSM_BTF_DEPTH);
}

/**
 * uksm_btf_same() - compare what ksyms.h says with what uksm_btf_proto() wrote
 * @expected: as written in C, with spaces and const
 * @found: as in BTF
 *
 * Return: whether a caller sees no difference.
 */
bool uksm_btf_same(const char *expected, const char *found)
{
	for (;; expected++, found++) {
		for (;;) {
			if (*expected == ' ')
				expected++;
			else if (!strncmp(expected, "const ", 6))
				expected += 6;
			else
				break;
		}
		while (*found == ' ')
			found++;
		if (*expected != *found)
			return false;
		if (!*expected)
			return true;
	}
}
