// SPDX-License-Identifier: GPL-2.0
/*
 * Reading the kernel's type information: prototypes as they are, and no step
 * out of what was handed in, whatever is in it.
 */
#include "unit.h"

#include <linux/btf.h>

#include "btf.h"

#define MAX 4096

/* A section under construction. */
static struct {
	u8 types[MAX];
	u32 types_len;
	char strs[MAX];
	u32 strs_len;
	u32 count;
} m;

static void put(u32 v)
{
	memcpy(m.types + m.types_len, &v, 4);
	m.types_len += 4;
}

static u32 str(const char *s)
{
	u32 at = m.strs_len;

	if (!*s)
		return 0;
	strcpy(m.strs + at, s);
	m.strs_len += strlen(s) + 1;
	return at;
}

/* Returns its number. */
static u32 type(u32 kind, const char *name, u32 vlen, u32 size)
{
	put(str(name));
	put(kind << 24 | vlen);
	put(size);
	return ++m.count;
}

static u32 integer(const char *name, u32 size, u32 encoding)
{
	u32 id = type(BTF_KIND_INT, name, 0, size);

	put(encoding << 24 | size * 8);
	return id;
}

static u32 func(const char *name, u32 ret, u32 n, const u32 *args)
{
	u32 i, proto = type(BTF_KIND_FUNC_PROTO, "", n, ret);

	for (i = 0; i < n; i++) {
		put(args[i] ? str("arg") : 0);
		put(args[i]);
	}
	return type(BTF_KIND_FUNC, name, 1, proto);
}

/* The section in a piece of memory that ends where it ends. */
static u8 *section(size_t *len)
{
	u32 header[6] = { 0x0001eb9f,  24,	    0,
			  m.types_len, m.types_len, m.strs_len };
	u8 *data = xalloc(24 + m.types_len + m.strs_len);

	memcpy(data, header, 24);
	memcpy(data + 24, m.types, m.types_len);
	memcpy(data + 24 + m.types_len, m.strs, m.strs_len);
	*len = 24 + m.types_len + m.strs_len;
	return data;
}

static void start(void)
{
	memset(&m, 0, sizeof(m));
	m.strs_len = 1;
}

/* All prototypes in it; whether it could be read. */
static bool read_all(const u8 *data, size_t len, char *buf, size_t size)
{
	struct uksm_btf b;
	u32 *at, id;

	if (!uksm_btf_open(&b, data, len))
		return false;
	at = xalloc((b.count + 1) * sizeof(*at));
	uksm_btf_index(&b, at);
	for (id = 0; id <= b.count + 1; id++)
		if (uksm_btf_func(&b, id))
			uksm_btf_proto(&b, id, buf, size);
	free(at);
	return true;
}

static bool reads_as(const char *expected)
{
	char buf[UKSM_BTF_PROTO_MAX] = "";
	size_t len;
	u8 *data = section(&len);
	bool same;

	CHECK(read_all(data, len, buf, sizeof(buf)));
	same = uksm_btf_same(expected, buf);
	printf("# %s %s %s\n", buf, same ? "is" : "is not", expected);
	free(data);
	return same;
}

/* Each of the kinds that the list in ksyms.h uses. */
static void sample(void)
{
	u32 folio, ulong, pte, args[6], page, cst;

	start();
	integer("char", 1, BTF_INT_SIGNED);
	folio = type(BTF_KIND_PTR, "", 0, type(BTF_KIND_FWD, "folio", 0, 0));
	ulong = integer("long unsigned int", 8, 0);
	pte = type(BTF_KIND_STRUCT, "", 1, 8);
	put(str("pte"));
	put(ulong);
	put(0);
	pte = type(BTF_KIND_PTR, "", 0,
		   type(BTF_KIND_TYPEDEF, "pte_t", 0, pte));
	page = type(BTF_KIND_STRUCT, "page", 0, 64);
	cst = type(BTF_KIND_CONST, "", 0, page);
	args[0] = folio;
	args[1] = type(BTF_KIND_TYPEDEF, "pgoff_t", 0, ulong);
	args[2] = pte;
	args[3] = type(BTF_KIND_PTR, "", 0, cst);
	args[4] = type(BTF_KIND_ENUM, "ttu_flags", 1, 4);
	put(str("TTU_SYNC"));
	put(1);
	args[5] = integer("_Bool", 1, BTF_INT_BOOL);
	func("f", type(BTF_KIND_PTR, "", 0, folio), 6, args);
}

static const char sample_proto[] =
	"struct folio **(struct folio *, unsigned long, pte_t *, const struct page *, enum ttu_flags, bool)";

TEST(btf_prototypes)
{
	u32 dots[2] = { 0, 0 };

	sample();
	CHECK(reads_as(sample_proto));
	CHECK(!reads_as(
		"struct folio **(struct folio *, unsigned long, pte_t *, const struct page *, enum ttu_flags, int)"));
	CHECK(!reads_as("struct folio **(struct folio *)"));

	start();
	func("f", 0, 0, NULL);
	CHECK(reads_as("void(void)"));
	CHECK(!reads_as("void()"));

	start();
	dots[0] = integer("unsigned int", 4, 0);
	func("f", dots[0], 2, dots);
	CHECK(reads_as("unsigned int(unsigned int, ...)"));
}

TEST(btf_same)
{
	CHECK(uksm_btf_same("void(struct a *, int)", "void(struct a*,int)"));
	CHECK(uksm_btf_same("int(const char *)", "int(char*)"));
	CHECK(!uksm_btf_same("void(struct a *)", "void(struct a*,int)"));
	CHECK(!uksm_btf_same("void(struct a *, int)", "void(struct a*)"));
	CHECK(!uksm_btf_same("void(struct a *)", "void(struct b*)"));
	CHECK(!uksm_btf_same("", "v"));
	CHECK(uksm_btf_same("", ""));
}

/* However little of it is there. */
TEST(btf_truncated)
{
	char buf[UKSM_BTF_PROTO_MAX];
	size_t len, cut;
	u8 *data, *part;

	sample();
	data = section(&len);
	for (cut = 0; cut < len; cut++) {
		part = xalloc(cut + 1);
		memcpy(part, data, cut);
		part = realloc(part, cut ? cut : 1);
		CHECK(!read_all(part, cut, buf, sizeof(buf)));
		free(part);
	}
	CHECK(read_all(data, len, buf, sizeof(buf)));
	free(data);
}

/* However little room there is for the text. */
TEST(btf_no_room)
{
	size_t len, size, need = 0;
	struct uksm_btf b;
	char *buf;
	u8 *data;
	u32 *at;

	sample();
	data = section(&len);
	CHECK(uksm_btf_open(&b, data, len));
	at = xalloc((b.count + 1) * sizeof(*at));
	uksm_btf_index(&b, at);
	for (size = 1; size < UKSM_BTF_PROTO_MAX; size++) {
		buf = xalloc(size);
		if (uksm_btf_proto(&b, b.count, buf, size)) {
			CHECK_EQ(strlen(buf) + 1, need ? need : size);
			need = strlen(buf) + 1;
		} else {
			CHECK(!need);
		}
		CHECK(strlen(buf) < size);
		free(buf);
	}
	CHECK_OP(need, >, 10);
	free(at);
	free(data);
}

/* Types made of themselves, and of what is not there. */
TEST(btf_cyclic)
{
	static const u32 kinds[] = { BTF_KIND_PTR,   BTF_KIND_TYPEDEF,
				     BTF_KIND_CONST, BTF_KIND_VOLATILE,
				     BTF_KIND_FUNC,  BTF_KIND_TYPE_TAG };
	char buf[UKSM_BTF_PROTO_MAX];
	struct uksm_btf b;
	u32 at[64], i, id, args[2];
	size_t len;
	u8 *data;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		start();
		args[0] = type(kinds[i], "a", 0, 2);
		args[1] = type(kinds[i], "b", 0, 1);
		func("f", 0, 2, args);
		data = section(&len);
		CHECK(uksm_btf_open(&b, data, len));
		uksm_btf_index(&b, at);
		if (kinds[i] == BTF_KIND_FUNC)
			uksm_btf_proto(&b, b.count, buf, sizeof(buf));
		else
			CHECK(!uksm_btf_proto(&b, b.count, buf, sizeof(buf)));
		free(data);
	}

	/* a prototype that takes and returns itself */
	start();
	args[0] = args[1] = 1;
	id = func("f", 1, 2, args);
	func("g", 1000000, 2, args);
	data = section(&len);
	CHECK(uksm_btf_open(&b, data, len));
	uksm_btf_index(&b, at);
	CHECK(!uksm_btf_proto(&b, id, buf, sizeof(buf)));
	CHECK(!uksm_btf_proto(&b, id + 2, buf, sizeof(buf)));
	CHECK(!uksm_btf_proto(&b, 0, buf, sizeof(buf)));
	CHECK(!uksm_btf_proto(&b, 1, buf, sizeof(buf)));
	free(data);
}

/* Any bytes changed: it may be refused or read as something else. */
TEST(btf_hostile)
{
	char buf[UKSM_BTF_PROTO_MAX];
	u32 i, n, read = 0;
	size_t len;
	u8 *data;

	sample();
	for (i = 0; i < 200000; i++) {
		data = section(&len);
		for (n = 1 + rnd_below(4); n; n--)
			data[rnd_below(len)] = rnd();
		read += read_all(data, len, buf, sizeof(buf));
		free(data);
	}
	CHECK_OP(read, >, 1000);
	CHECK_OP(read, <, 199000);
}
