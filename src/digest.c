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
 * drawn from the seed. Pages whose samples agree are told apart by the full
 * fingerprint (see match.c for when).
 *
 * Pure: no locks, any context.
 */
#include "digest.h"

#define UKSM_LINE 64
#define UKSM_SAMPLES 4
#define UKSM_QUARTER (PAGE_SIZE / UKSM_SAMPLES)

/* Keeps the keys of full fingerprints apart from those of samples. */
#define UKSM_FULL_SALT 0x9e3779b97f4a7c15ULL

static size_t uksm_sample_offset(u64 seed, int quarter)
{
	size_t line = (seed >> (8 * quarter)) % (UKSM_QUARTER / UKSM_LINE);

	return quarter * UKSM_QUARTER + line * UKSM_LINE;
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
	int i;

	for (i = 0; i < UKSM_SAMPLES; i++)
		h = xxh64(page + uksm_sample_offset(seed, i), UKSM_LINE, h);
	return h;
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
	static const u8 zero[UKSM_LINE];
	u64 h = seed;
	int i;

	for (i = 0; i < UKSM_SAMPLES; i++)
		h = xxh64(zero, UKSM_LINE, h);
	return h;
}

/**
 * uksm_digest_prefetch() - fetch what uksm_digest_sample() will read
 * @page: PAGE_SIZE bytes
 * @seed: of the page's domain
 */
void uksm_digest_prefetch(const void *page, u64 seed)
{
	int i;

	for (i = 0; i < UKSM_SAMPLES; i++)
		__builtin_prefetch(page + uksm_sample_offset(seed, i));
}
