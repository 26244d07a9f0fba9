// SPDX-License-Identifier: GPL-2.0
/*
 * digest.c - fingerprints of pages
 *
 * A fingerprint is 64 bits under a seed that nobody outside knows and that
 * differs between merge domains: pages of two domains never meet, and what a
 * program can compute from a page's content says nothing about the index.
 * It is a hint, never a proof: see merge.c.
 *
 * The sample reads one cache line in each quarter of the page, which one is
 * drawn from the seed, and multiplies its way through them as wyhash does: a
 * quarter of the instructions of xxh64() on so little. Pages whose samples agree
 * are told apart by the full fingerprint (see match.c for when).
 *
 * Pure: no locks, any context. All of the sample is in one function, for each page
 * that is looked at goes through it.
 */
#include "digest.h"

#define UKSM_LINE 64
#define UKSM_SAMPLES 4
#define UKSM_QUARTER (PAGE_SIZE / UKSM_SAMPLES)
#define UKSM_LINE_WORDS (UKSM_LINE / sizeof(u64))

/* Keeps the keys of full fingerprints apart from those of samples. */
#define UKSM_FULL_SALT 0x9e3779b97f4a7c15ULL

/* The line of a quarter that is in the sample. */
static __always_inline const void *uksm_sample_line(const void *page, u64 seed,
						    unsigned int quarter)
{
	size_t line = seed >> 8 * quarter & (UKSM_QUARTER / UKSM_LINE - 1);

	return page + quarter * UKSM_QUARTER + line * UKSM_LINE;
}

/* Both halves of a product: every bit of it depends on all lower ones of both. */
static __always_inline u64 uksm_mum(u64 a, u64 b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (u64)product ^ (u64)(product >> 64);
}

/*
 * Add a line to @h. What a word is multiplied with depends on the seed, so that
 * nobody knows which ones would make a product of zero.
 */
static __always_inline u64 uksm_digest_line(u64 h, const void *line, u64 seed)
{
	const u64 *w = line;

	seed = seed << 32 | seed >> 32;
	h = uksm_mum(w[0] ^ seed, w[1] ^ h);
	h = uksm_mum(w[2] ^ seed, w[3] ^ h);
	h = uksm_mum(w[4] ^ seed, w[5] ^ h);
	return uksm_mum(w[6] ^ seed, w[7] ^ h);
}

/**
 * uksm_digest_seed() - the seed of one merge domain
 * @secret: drawn at load
 * @domain: who may share with whom (a uid, say)
 *
 * Return: a seed that cannot be told from another domain's.
 */
u64 uksm_digest_seed(u64 secret, u64 domain)
{
	return xxh64(&domain, sizeof(domain), secret);
}

/**
 * uksm_digest_sample() - fingerprint of four lines of a page
 * @page: PAGE_SIZE bytes; they may change meanwhile
 * @seed: of the page's domain
 *
 * Return: the fingerprint.
 */
u64 uksm_digest_sample(const void *page, u64 seed)
{
	u64 h = seed;

	h = uksm_digest_line(h, uksm_sample_line(page, seed, 0), seed);
	h = uksm_digest_line(h, uksm_sample_line(page, seed, 1), seed);
	h = uksm_digest_line(h, uksm_sample_line(page, seed, 2), seed);
	return uksm_digest_line(h, uksm_sample_line(page, seed, 3), seed);
}

/**
 * uksm_digest_full() - fingerprint of a whole page
 * @page: PAGE_SIZE bytes; they may change meanwhile
 * @seed: of the page's domain
 *
 * Return: the fingerprint; never equal to a sample but by chance.
 */
u64 uksm_digest_full(const void *page, u64 seed)
{
	return xxh64(page, PAGE_SIZE, seed ^ UKSM_FULL_SALT);
}

/**
 * uksm_digest_zero_sample() - the sample of a page of zeros
 * @seed: of the domain
 *
 * Return: the fingerprint.
 */
u64 uksm_digest_zero_sample(u64 seed)
{
	static const u64 zero[UKSM_LINE_WORDS];
	u64 h = seed;
	int i;

	for (i = 0; i < UKSM_SAMPLES; i++)
		h = uksm_digest_line(h, zero, seed);
	return h;
}

/**
 * uksm_digest_prefetch() - fetch what uksm_digest_sample() will read
 * @page: PAGE_SIZE bytes
 * @seed: of the page's domain
 */
void uksm_digest_prefetch(const void *page, u64 seed)
{
	__builtin_prefetch(uksm_sample_line(page, seed, 0));
	__builtin_prefetch(uksm_sample_line(page, seed, 1));
	__builtin_prefetch(uksm_sample_line(page, seed, 2));
	__builtin_prefetch(uksm_sample_line(page, seed, 3));
}
