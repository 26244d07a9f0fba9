// SPDX-License-Identifier: GPL-2.0
/*
 * What is measured of a load and a system, and how.
 */
#include "lib_bench.h"

#define SECOND 1000000000LL
#define SAMPLES 200000
#define REQUESTS 1000000
#define SAMPLE_MS 2
#define SAMPLE_MS_MOST 20 /* with a larger load */
#define LIMIT_S 120 /* of guest time, for one system to settle */

static struct sample *samples;
static size_t nr_samples;

int bench_scale(void)
{
	return env_number("BENCH_SCALE", 1);
}

static void figure(const struct load *l, int round, const char *name,
		   double value)
{
	note("figure %s %s %d %s %.3f", l->name, system_name[on_ksmd()], round,
	     name, value);
}

/* All of it is there before a load's memory is counted. */
static void samples_make(void)
{
	if (!samples)
		samples = malloc(SAMPLES * sizeof(*samples));
	CHECK(samples);
	memset(samples, 1, SAMPLES * sizeof(*samples));
}

static struct sample *take(void)
{
	struct sample *s = &samples[nr_samples];

	if (nr_samples + 1 < SAMPLES)
		nr_samples++;
	system_sample(s);
	profile_drain();
	return s;
}

/* Rounds without any change after which a system has found what it will find. */
static int rounds_to_settle(void)
{
	return on_ksmd() ? 6 : 17;
}

/* Samples until nothing has changed for some rounds, or until there is nothing left to find. */
static void settle_load(const struct load *l, const struct ideal *ideal,
			bool only_find)
{
	long long saved = -1, scans = 0;
	int sample_ms = SAMPLE_MS * bench_scale();
	struct sample first, *s;

	if (sample_ms > SAMPLE_MS_MOST)
		sample_ms = SAMPLE_MS_MOST;
	nr_samples = 0;
	s = take();
	first = *s;
	system_run();
	do {
		msleep(sample_ms);
		s = take();
		if (s->saved != saved) {
			saved = s->saved;
			scans = s->scans;
		}
		if (s->at - first.at > LIMIT_S * bench_scale() * SECOND)
			FAIL("%s has not settled on %s in %d s",
			     system_name[on_ksmd()], l->name,
			     LIMIT_S * bench_scale());
		if (only_find && s->saved + s->unshared > 0 &&
		    s->saved >= ideal->saved * 0.995 &&
		    (ideal->saved || s->unshared >= ideal->pages * 0.995))
			break;
	} while (s->scans < scans + rounds_to_settle() ||
		 s->at - first.at < SECOND / 5);
}

/*
 * From the end of a round to the end of a round: @rounds of them, and more for
 * as long as they are short.
 */
static void rounds(int rounds, struct sample *a, struct sample *b)
{
	int most = rounds < 10 ? rounds : 8 * rounds;

	system_sample(b);
	do {
		msleep(1);
		system_sample(a);
	} while (a->scans == b->scans);
	do {
		msleep(1);
		system_sample(b);
		profile_drain();
	} while (b->scans < a->scans + rounds ||
		 (b->scans < a->scans + most && b->at < a->at + SECOND));
}

/* What of a sample is asked for. */
#define SAVED offsetof(struct sample, saved)
#define UNSHARED offsetof(struct sample, unshared)

/* The first sample in which it was so many @pages. */
static const struct sample *when(size_t what, double pages)
{
	const struct sample *s;

	for (s = samples; s < samples + nr_samples; s++) {
		if (*(const long long *)((const char *)s + what) >= pages)
			return s;
	}
	return NULL;
}

static void print_samples(const struct load *l, int round)
{
	const struct sample *s, *first = &samples[0];
	long long saved = -1, unshared = -1;
	size_t i;

	for (i = 0; i < nr_samples; i++) {
		s = &samples[i];
		/* what says nothing new is left out, but for the last */
		if (i + 1 < nr_samples && s->saved == saved &&
		    s->unshared == unshared)
			continue;
		saved = s->saved;
		unshared = s->unshared;
		note("sample %s %s %d %.3f %.3f %lld %lld %lld", l->name,
		     system_name[on_ksmd()], round, (s->at - first->at) / 1e6,
		     (s->cpu - first->cpu) / 1e3, s->saved,
		     s->scans - first->scans, s->unshared);
	}
}

/* What it cost to come to @part of the ideal. */
static void figures_at(const struct load *l, int round, int percent,
		       double pages)
{
	const struct sample *first = &samples[0], *s = when(SAVED, pages);
	char name[40];

	if (!s || pages <= 0)
		return;
	snprintf(name, sizeof(name), "cpu_per_saved_%d", percent);
	figure(l, round, name, (double)(s->cpu - first->cpu) / s->saved);
	snprintf(name, sizeof(name), "ms_to_%d", percent);
	figure(l, round, name, (s->at - first->at) / 1e6);
}

static void saving_figures(const struct load *l, int round,
			   const struct ideal *ideal)
{
	const struct sample *first = &samples[0];
	const struct sample *last = &samples[nr_samples - 1], *s;

	figure(l, round, "pages", ideal->pages);
	figure(l, round, "ideal", ideal->saved);
	figure(l, round, "counted", last->saved);
	figures_at(l, round, 95, ideal->saved * 0.95);
	figures_at(l, round, 99, ideal->saved * 0.99);
	s = when(SAVED, last->saved);
	if (last->saved) {
		figure(l, round, "cpu_per_saved",
		       (double)(s->cpu - first->cpu) / last->saved);
		figure(l, round, "ms_to_all", (s->at - first->at) / 1e6);
	}
	s = when(UNSHARED, ideal->pages * 0.995);
	if (s)
		figure(l, round, "cpu_per_unique",
		       (double)(s->cpu - first->cpu) / ideal->pages);
}

/*
 * A multiple of the rounds after which a system has looked once more at all
 * that changes: ksmd (smart_scan) in the end at a page in one of nine rounds,
 * uksm trusts nothing that it remembers in one of eight.
 */
static int rounds_to_measure(void)
{
	return on_ksmd() ? 18 : 32;
}

/*
 * Rounds over which a system learns that nothing changes, and then those to be
 * measured, in which it looks at everything once more. uksm's looks that trust
 * nothing become rarer meanwhile, down to one in 512 rounds.
 */
static int rounds_to_calm(void)
{
	return on_ksmd() ? 9 : 504;
}

static int rounds_when_calm(void)
{
	return on_ksmd() ? rounds_to_measure() : 512;
}

/* Rounds over memory that has settled, and over which both have learnt to skip. */
static void round_figures(const struct load *l, int round,
			  const struct ideal *ideal)
{
	struct sample a, b;

	rounds(rounds_to_calm(), &a, &b);
	rounds(rounds_when_calm(), &a, &b);
	figure(l, round, "cpu_per_round",
	       (double)(b.cpu - a.cpu) / (b.scans - a.scans));
	figure(l, round, "cpu_per_round_page",
	       (double)(b.cpu - a.cpu) / (b.scans - a.scans) / ideal->pages);
}

void bench_load(const struct load *l, bool ksmd, int round)
{
	static struct ideal ideal, after;
	long long metadata, saved;

	system_choose(ksmd);
	samples_make();
	system_fresh();
	metadata = system_metadata();
	load_start(l);
	load_count(l, &ideal);
	if (l->flags & LOAD_HUGE || l->kind == KIND_PROGRAMS)
		system_count_by_memory();
	settle_load(l, &ideal, false);
	print_samples(l, round);
	saving_figures(l, round, &ideal);
	saved = ideal.pages - load_frames();
	figure(l, round, "saved", saved);
	if (ideal.saved)
		figure(l, round, "saved_percent", 100.0 * saved / ideal.saved);
	figure(l, round, "metadata", system_metadata());
	figure(l, round, "metadata_before", metadata);
	round_figures(l, round, &ideal);
	load_count(l, &after);
	if (after.sum != ideal.sum)
		FAIL("%s: the load's memory is not what it was",
		     system_name[ksmd]);
	load_end(l);
	system_clear();
}

/* In two parts: until the load is merged, and rounds thereafter. */
void bench_profile(const struct load *l, bool ksmd)
{
	struct ideal ideal;
	struct sample a, b;

	system_choose(ksmd);
	samples_make();
	system_fresh();
	load_start(l);
	load_count(l, &ideal);
	profile_start(system_thread());
	settle_load(l, &ideal, true);
	profile_end(l->name, "merging");
	rounds(rounds_to_settle() + rounds_to_calm(), &a, &b);
	profile_start(system_thread());
	rounds(rounds_when_calm(), &a, &b);
	profile_end(l->name, "idle");
	load_end(l);
	system_clear();
}

/* Per page of the load and @times; and per page that was looked at. */
static void page_figures(const struct load *l, int round, double times,
			 const struct sample *a, const struct sample *b)
{
	double cpu = b->cpu - a->cpu;

	figure(l, round, "cpu_per_page", cpu / times / l->pages / l->procs);
	if (b->scanned > a->scanned)
		figure(l, round, "cpu_per_look",
		       cpu / (b->scanned - a->scanned));
	figure(l, round, "looks_per_page",
	       (b->scanned - a->scanned) / times / l->pages / l->procs);
}

/*
 * Rounds between which all pages are written, while the scan sleeps; @b is the
 * sample at the end of the one before, and then of the last.
 */
static void rewrite(const struct load *l, int rounds, struct sample *b)
{
	static u64 gen;
	struct sample written;

	while (rounds--) {
		load_rewrite(l, ++gen);
		system_sample(&written);
		if (written.scans != b->scans || written.cpu - b->cpu > 100000)
			FAIL("%s did not stand still while pages were written",
			     system_name[on_ksmd()]);
		do {
			msleep(1);
			system_sample(b);
			profile_drain();
		} while (b->scans == written.scans);
	}
}

/* ksmd takes 14 rounds to learn for how many to leave out a page that changes. */
#define ROUNDS_TO_LEARN 18

static void rewrite_start(const struct load *l, bool ksmd, struct sample *b)
{
	struct sample a;

	system_choose(ksmd);
	system_fresh();
	sysfs_set("sleep_millisecs", "100");
	load_start(l);
	system_run();
	rounds(2, &a, b);
	rewrite(l, ROUNDS_TO_LEARN, b);
}

/* Rewritten between any two rounds, and left alone in them. */
void bench_rewritten(const struct load *l, bool ksmd, int round)
{
	struct sample a, b;

	rewrite_start(l, ksmd, &b);
	a = b;
	rewrite(l, rounds_to_measure(), &b);
	figure(l, round, "pages", l->pages * l->procs);
	page_figures(l, round, rounds_to_measure(), &a, &b);
	load_end(l);
	system_clear();
}

void bench_profile_rewritten(const struct load *l, bool ksmd)
{
	struct sample a, b;

	rewrite_start(l, ksmd, &b);
	profile_start(system_thread());
	rounds(1, &a, &b); /* that took longer than the scan sleeps */
	rewrite(l, rounds_to_measure(), &b);
	profile_end(l->name, "rewritten");
	load_end(l);
	system_clear();
}

/* Rewritten all the time, many times between two looks. */
void bench_volatile(const struct load *l, bool ksmd, int round)
{
	struct sample a, b;

	system_choose(ksmd);
	system_fresh();
	load_start(l);
	system_run();
	rounds(2, &a, &b);
	load_keep_rewriting(l);
	rounds(10, &a, &b);
	rounds(rounds_to_measure(), &a, &b);
	page_figures(l, round, b.scans - a.scans, &a, &b);
	load_end(l);
	system_clear();
}

/* How long a round takes over next to nothing in a huge area. */
void bench_sparse(const struct load *l, bool ksmd, int round)
{
	struct sample a, b, start;

	system_choose(ksmd);
	system_fresh();
	load_start(l);
	system_sample(&start);
	system_run();
	do {
		msleep(10);
		system_sample(&a);
	} while (a.scans < start.scans + 3 && a.at - start.at < 5 * SECOND);
	if (a.scans < start.scans + 3) {
		/* it does not let go of the area but when its process ends */
		figure(l, round, "ms_per_round_at_least",
		       (a.at - start.at) / 1e6 / (a.scans - start.scans + 1));
	} else {
		rounds(rounds_to_measure(), &a, &b);
		figure(l, round, "ms_per_round",
		       (b.at - a.at) / 1e6 / (b.scans - a.scans));
		figure(l, round, "cpu_per_round",
		       (double)(b.cpu - a.cpu) / (b.scans - a.scans));
	}
	load_end(l);
	system_clear();
}

/* Calls of functions while a load is merged. The probes cost time, which counts for nothing here. */
void bench_calls(const struct load *l, bool ksmd, int round)
{
	struct ideal ideal;
	long long merged;

	system_choose(ksmd);
	samples_make();
	system_fresh();
	load_start(l);
	load_count(l, &ideal);
	probes_start();
	settle_load(l, &ideal, true);
	merged = samples[nr_samples - 1].saved;
	probes_end();
	figure(l, round, "saved", merged);
	figure(l, round, "unshared", samples[nr_samples - 1].unshared);
	figure(l, round, "flushes", probe_hits("flush_tlb_mm_range"));
	figure(l, round, "notifications",
	       probe_hits("__mmu_notifier_invalidate_range_start"));
	if (!ksmd) {
		figure(l, round, "samples", probe_hits("uksm_digest_sample"));
		figure(l, round, "full", probe_hits("uksm_digest_full"));
	}
	load_end(l);
	system_clear();
}

/* What a program's requests cost it, in its own CPU time. */
static void requests(const struct load *l, double *mean, double *p99)
{
	u64 sum = 0, *ns = malloc(REQUESTS * sizeof(*ns));
	size_t i;

	CHECK(ns);
	load_requests(l, ns, REQUESTS);
	for (i = 0; i < REQUESTS; i++)
		sum += ns[i];
	*mean = (double)sum / REQUESTS;
	sort_numbers(ns, REQUESTS);
	*p99 = ns[REQUESTS * 99 / 100];
	free(ns);
}

/*
 * What a program beside the scan notices of it: faults and copies, but neither
 * what the scan does to its caches, which are not emulated, nor that there is
 * but one CPU, for only its own time counts.
 */
void bench_beside(const struct load *l, bool ksmd, int round)
{
	double before, before99, beside, beside99;

	system_choose(ksmd);
	system_fresh();
	if (ksmd) {
		sysfs_set("pages_to_scan", "1000");
		sysfs_set("sleep_millisecs", "20");
	} else {
		sysfs_set("cpu_governor", "medium");
		sysfs_set("sleep_millisecs", "20");
	}
	load_start(l);
	requests(l, &before, &before99);
	system_run();
	requests(l, &beside, &beside99);
	figure(l, round, "request", before);
	figure(l, round, "request_beside", beside);
	figure(l, round, "slow_down_percent", 100 * (beside / before - 1));
	figure(l, round, "p99", before99);
	figure(l, round, "p99_times", beside99 / before99);
	figure(l, round, "saved", sysfs_num("pages_sharing"));
	load_end(l);
	system_clear();
}
