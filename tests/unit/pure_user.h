/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What src/pure.h takes from the kernel, for user space. xxh64() is compiled
 * in and not linked, so that the sanitizers see what it reads.
 */
#ifndef UKSM_PURE_USER_H
#define UKSM_PURE_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;

#define PAGE_SIZE 4096UL
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#define READ_ONCE(x) (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, val) (*(volatile typeof(x) *)&(x) = (val))
#define instrument_read(at, size) ((void)0)
#define uksm_breathe() ((void)0)
#define BIT(n) (1UL << (n))
#define BIT_ULL(n) (1ULL << (n))
#define U32_MAX UINT32_MAX

#define min_t(type, a, b) ((type)(a) < (type)(b) ? (type)(a) : (type)(b))
#define max_t(type, a, b) ((type)(a) > (type)(b) ? (type)(a) : (type)(b))
#define clamp_t(type, v, lo, hi) min_t(type, max_t(type, v, lo), hi)

#ifndef UKSM_NO_XXHASH /* for programs that need none of it */
#define XXH_INLINE_ALL
#include <xxhash.h>

static inline u64 xxh64(const void *input, size_t length, u64 seed)
{
	return XXH64(input, length, seed);
}
#endif

#endif /* UKSM_PURE_USER_H */
