/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Cases of the unit tests: TEST(name) { ... CHECK(...) ... }. Each runs in a
 * process of its own with a time limit, so what a sanitizer ends, or what
 * never ends, is one case that failed.
 */
#ifndef UKSM_UNIT_H
#define UKSM_UNIT_H

#include <stdio.h>
#include <stdlib.h>

#include "pure.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

struct unit_test {
	const char *name;
	void (*fn)(void);
	struct unit_test *next;
};

void unit_register(struct unit_test *t);

#define TEST(id)                                                \
	static void id(void);                                   \
	__attribute__((constructor)) static void id##_reg(void) \
	{                                                       \
		static struct unit_test t = { #id, id, NULL };  \
		unit_register(&t);                              \
	}                                                       \
	static void id(void)

#define CHECK(cond)                                                         \
	do {                                                                \
		if (!(cond)) {                                              \
			printf("# %s:%d: not so: %s\n", __FILE__, __LINE__, \
			       #cond);                                      \
			exit(1);                                            \
		}                                                           \
	} while (0)

/* Both sides as unsigned numbers, printed where they differ. */
#define CHECK_OP(a, op, b)                                                     \
	do {                                                                   \
		u64 a_ = (a), b_ = (b);                                        \
		if (!(a_ op b_)) {                                             \
			printf("# %s:%d: not so: %s (%llu) " #op               \
			       " %s (%llu)\n",                                 \
			       __FILE__, __LINE__, #a, (unsigned long long)a_, \
			       #b, (unsigned long long)b_);                    \
			exit(1);                                               \
		}                                                              \
	} while (0)

#define CHECK_EQ(a, b) CHECK_OP(a, ==, b)

/* The same numbers in every run: each case starts from the same seed. */
u64 rnd(void);

static inline u64 rnd_below(u64 n)
{
	return rnd() % n;
}

void *xalloc(size_t size);

#endif /* UKSM_UNIT_H */
