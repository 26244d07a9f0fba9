// SPDX-License-Identifier: GPL-2.0
/*
 * The oracle of the stress run: what every page must hold, and the look at it.
 *
 * A page is a template but for one word. So it costs two words to give it
 * another content, a comparison with the template checks every byte, and pages
 * of all processes become equal as often as is wanted.
 */
#include "lib_stress.h"

#include <time.h>

#define WORDS (PAGE / sizeof(u64))
#define REPORTS 8

struct stress *stress;

const char *const stress_op_names[OPS] = {
#define STRESS_OP_NAME(name, text) [OP_##name] = text,
	STRESS_OPS(STRESS_OP_NAME)
#undef STRESS_OP_NAME
};

u64 stress_mix(u64 x)
{
	x += 0x9e3779b97f4a7c15ULL;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

u64 stress_rnd64(struct slot *s)
{
	s->rnd++;
	return stress_mix(s->rnd);
}

unsigned int stress_rnd(struct slot *s, unsigned int below)
{
	return (stress_rnd64(s) >> 33) % below;
}

/* The shared memory with the templates. */
void stress_init(void)
{
	unsigned int c;

	stress = mmap(NULL, sizeof(*stress), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(stress != MAP_FAILED);
	for (c = 1; c < CONTENTS; c++)
		page_fill(stress->content[c], 1234, c);
	stress->epoch = 1;
}

void stress_count(enum stress_op op, u64 by)
{
	__atomic_fetch_add(&stress->ops[op], by, __ATOMIC_RELAXED);
}

/* An operation begins. */
void stress_op(struct slot *s, enum stress_op op)
{
	s->op[s->nr_ops++ % LAST_OPS] = op;
	stress_count(op, 1);
}

/* Something else than a wrong byte: the run has failed and ends. */
void stress_failed(const char *what, int err)
{
	note("pid %d: %s: %s", getpid(), what, strerror(err));
	__atomic_fetch_add(&stress->failed, 1, __ATOMIC_RELAXED);
	stress->stop = 1;
}

u8 *stress_page(struct slot *s, size_t i)
{
	return s->base + i * PAGE;
}

/*
 * A content for a page. Most are such that pages of other threads choose the same;
 * some are zeros, some are like no other.
 */
struct want stress_choose(struct slot *s, size_t i)
{
	struct want w = { .content = i % CONTENTS };
	unsigned int kind = stress_rnd(s, 64);
	u64 x;

	if (kind == 0) {
		w.content = 0;
		return w;
	}
	if (kind < 4)
		w.content = stress_rnd(s, CONTENTS);
	x = kind < 6 ? stress_rnd64(s) :
		       stress_mix((stress->epoch - (kind & 1)) * CONTENTS +
				  w.content);
	w.pos = x % WORDS;
	w.val = stress_mix(x) | 1;
	return w;
}

void stress_make(u8 *page, struct want w)
{
	memcpy(page, stress->content[w.content], PAGE);
	((u64 *)page)[w.pos] = w.val;
}

bool stress_holds(const u8 *page, struct want w)
{
	const u8 *content = stress->content[w.content];
	size_t at = w.pos * sizeof(u64);

	return ((const volatile u64 *)page)[w.pos] == w.val &&
	       !memcmp(page, content, at) &&
	       !memcmp(page + at + 8, content + at + 8, PAGE - at - 8);
}

/*
 * Gives a page another content, with as few writes as it takes. One that was lazily
 * freed may turn into zeros until it is written, so it is written as a whole.
 */
void stress_put(struct slot *s, size_t i, struct want w)
{
	volatile u64 *page = (u64 *)stress_page(s, i);
	struct want *old = &s->want[i];

	if (old->lazy || old->content != w.content) {
		stress_make((u8 *)page, w);
	} else {
		page[old->pos] =
			((u64 *)stress->content[w.content])[old->pos];
		page[w.pos] = w.val;
	}
	*old = w;
}

/* The pages are zeros now. */
void stress_forget(struct slot *s, size_t i, size_t n)
{
	memset(&s->want[i], 0, n * sizeof(s->want[0]));
}

static size_t describe(const u8 *page, struct want w, char *buf, size_t size)
{
	static __thread u8 good[PAGE];
	size_t i, bad = 0, first = 0, last = 0;

	stress_make(good, w);
	for (i = 0; i < PAGE; i++) {
		if (page[i] == good[i])
			continue;
		if (!bad++)
			first = i & ~7UL;
		last = i;
	}
	snprintf(buf, size,
		 "%zu bytes wrong from %zu to %zu; at %zu is %016llx, not %016llx",
		 bad, first, last, first,
		 *(const unsigned long long *)(page + first),
		 *(const unsigned long long *)(good + first));
	return bad;
}

static void report(struct slot *s, size_t i, const char *when)
{
	const u8 *page = stress_page(s, i);
	struct want w = s->want[i];
	char text[160], ops[200] = "";
	size_t bad = describe(page, w, text, sizeof(text));
	unsigned int k;
	u64 pfn;

	__atomic_fetch_add(&stress->corrupt, bad ?: 1, __ATOMIC_RELAXED);
	stress->stop = 1;
	if (__atomic_fetch_add(&stress->reports, 1, __ATOMIC_RELAXED) >= REPORTS)
		return;
	for (k = s->nr_ops > LAST_OPS ? s->nr_ops - LAST_OPS : 0; k < s->nr_ops;
	     k++)
		snprintf(ops + strlen(ops), sizeof(ops) - strlen(ops), "%s%s",
			 *ops ? ", " : "", stress_op_names[s->op[k % LAST_OPS]]);
	pfn = pfn_of(getpid(), page);
	note("CORRUPT: pid %d thread %zu depth %d page %zu at %p, %s", getpid(),
	     (s - &stress->slot[0][0]) / DEPTH, s->depth, i, page, when);
	note("  content %u word %u = %016llx%s: %s", w.content, w.pos,
	     (unsigned long long)w.val, w.lazy ? " or zeros" : "", text);
	note("  pfn %llx flags %llx; done before: %s", (unsigned long long)pfn,
	     (unsigned long long)kpageflags(pfn), ops);
}

static bool is_right(struct slot *s, size_t i)
{
	const struct want zero = {};

	if (stress_holds(stress_page(s, i), s->want[i]))
		return true;
	/* let go between two looks: zeros from now on */
	return s->want[i].lazy && stress_holds(stress_page(s, i), zero);
}

/* Looks at every byte of @n pages. */
void stress_check(struct slot *s, size_t i, size_t n, const char *when)
{
	size_t end = i + n;

	__atomic_fetch_add(&stress->bytes, n * PAGE, __ATOMIC_RELAXED);
	for (; i < end; i++)
		if (!is_right(s, i))
			report(s, i, when);
}
