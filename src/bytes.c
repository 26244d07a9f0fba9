// SPDX-License-Identifier: GPL-2.0
/*
 * bytes.c - all bytes of a page
 *
 * What memcmp() and memchr_inv() would say of whole pages, for which these cost a
 * third of the instructions, or, without vector registers, half as many: nobody
 * asks which byte differs, so that two cache lines are looked at before the next
 * branch.
 *
 * x86-64: with SSE2, which every one has. Scan threads are kernel threads, so that
 * there are no registers of a process to be saved for it.
 *
 * Pure: no locks, any context where vector registers may be used.
 */
#include "bytes.h"

/* Bytes looked at before it is asked whether to go on: two cache lines. */
#define UKSM_STEP 128

#if defined(__x86_64__) && !defined(UKSM_BYTES_PORTABLE)

#ifdef __KERNEL__ /* the compiler does not use them itself */
#define UKSM_VECTORS
#else
#define UKSM_VECTORS \
	, "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7"
#endif

/* Do UKSM_STEP bytes agree? Both are aligned to 16. */
static __always_inline bool uksm_step_equal(const void *a, const void *b)
{
	unsigned int equal;

	instrument_read(a, UKSM_STEP);
	instrument_read(b, UKSM_STEP);
	asm volatile("movdqa (%[a]), %%xmm0\n\t"
		     "movdqa 16(%[a]), %%xmm1\n\t"
		     "movdqa 32(%[a]), %%xmm2\n\t"
		     "movdqa 48(%[a]), %%xmm3\n\t"
		     "movdqa 64(%[a]), %%xmm4\n\t"
		     "movdqa 80(%[a]), %%xmm5\n\t"
		     "movdqa 96(%[a]), %%xmm6\n\t"
		     "movdqa 112(%[a]), %%xmm7\n\t"
		     "pcmpeqb (%[b]), %%xmm0\n\t"
		     "pcmpeqb 16(%[b]), %%xmm1\n\t"
		     "pcmpeqb 32(%[b]), %%xmm2\n\t"
		     "pcmpeqb 48(%[b]), %%xmm3\n\t"
		     "pcmpeqb 64(%[b]), %%xmm4\n\t"
		     "pcmpeqb 80(%[b]), %%xmm5\n\t"
		     "pcmpeqb 96(%[b]), %%xmm6\n\t"
		     "pcmpeqb 112(%[b]), %%xmm7\n\t"
		     "pand %%xmm1, %%xmm0\n\t"
		     "pand %%xmm3, %%xmm2\n\t"
		     "pand %%xmm5, %%xmm4\n\t"
		     "pand %%xmm7, %%xmm6\n\t"
		     "pand %%xmm2, %%xmm0\n\t"
		     "pand %%xmm6, %%xmm4\n\t"
		     "pand %%xmm4, %%xmm0\n\t"
		     "pmovmskb %%xmm0, %[equal]"
		     : [equal] "=r"(equal)
		     : [a] "r"(a), [b] "r"(b)
		     : "memory" UKSM_VECTORS);
	return equal == 0xffff;
}

/* Are UKSM_STEP bytes zeros? They are aligned to 16. */
static __always_inline bool uksm_step_zero(const void *a)
{
	unsigned int equal;

	instrument_read(a, UKSM_STEP);
	asm volatile("movdqa (%[a]), %%xmm0\n\t"
		     "movdqa 16(%[a]), %%xmm1\n\t"
		     "por 32(%[a]), %%xmm0\n\t"
		     "por 48(%[a]), %%xmm1\n\t"
		     "por 64(%[a]), %%xmm0\n\t"
		     "por 80(%[a]), %%xmm1\n\t"
		     "por 96(%[a]), %%xmm0\n\t"
		     "por 112(%[a]), %%xmm1\n\t"
		     "pxor %%xmm2, %%xmm2\n\t"
		     "por %%xmm1, %%xmm0\n\t"
		     "pcmpeqb %%xmm2, %%xmm0\n\t"
		     "pmovmskb %%xmm0, %[equal]"
		     : [equal] "=r"(equal)
		     : [a] "r"(a)
		     : "memory" UKSM_VECTORS);
	return equal == 0xffff;
}

#else

static __always_inline bool uksm_step_equal(const void *a, const void *b)
{
	const u64 *p = a, *q = b;

	return !((p[0] ^ q[0]) | (p[1] ^ q[1]) | (p[2] ^ q[2]) | (p[3] ^ q[3]) |
		 (p[4] ^ q[4]) | (p[5] ^ q[5]) | (p[6] ^ q[6]) | (p[7] ^ q[7]) |
		 (p[8] ^ q[8]) | (p[9] ^ q[9]) | (p[10] ^ q[10]) |
		 (p[11] ^ q[11]) | (p[12] ^ q[12]) | (p[13] ^ q[13]) |
		 (p[14] ^ q[14]) | (p[15] ^ q[15]));
}

static __always_inline bool uksm_step_zero(const void *a)
{
	const u64 *p = a;

	return !(p[0] | p[1] | p[2] | p[3] | p[4] | p[5] | p[6] | p[7] | p[8] |
		 p[9] | p[10] | p[11] | p[12] | p[13] | p[14] | p[15]);
}

#endif

/**
 * uksm_bytes_equal() - do two pages have the same content?
 * @a: PAGE_SIZE bytes, aligned to 16
 * @b: PAGE_SIZE bytes, aligned to 16
 *
 * Return: whether all bytes are equal.
 */
bool uksm_bytes_equal(const void *a, const void *b)
{
	unsigned int i = 0;

	uksm_vector_begin();
	while (i < PAGE_SIZE && uksm_step_equal(a + i, b + i))
		i += UKSM_STEP;
	uksm_vector_end();
	return i == PAGE_SIZE;
}

/**
 * uksm_bytes_zero() - is a page all zeros?
 * @a: PAGE_SIZE bytes, aligned to 16
 *
 * Return: whether it is.
 */
bool uksm_bytes_zero(const void *a)
{
	unsigned int i = 0;

	uksm_vector_begin();
	while (i < PAGE_SIZE && uksm_step_zero(a + i))
		i += UKSM_STEP;
	uksm_vector_end();
	return i == PAGE_SIZE;
}
