// SPDX-License-Identifier: GPL-2.0
/*
 * Pacing, over simulated time: the scanner works in steps that it cannot cut
 * short, its sleeps take longer than asked for, and it must stay within its
 * share of the CPU all the same - and get that share where nothing forbids it.
 */
#include "unit.h"

#include "pace.h"

#define NS_PER_US 1000ULL
#define NS_PER_MS 1000000ULL
#define NS_PER_SEC 1000000000ULL

struct sim {
	struct uksm_pace pace;
	u64 ran;
	u64 slept;
	u64 last_sleep;
	u64 longest_sleep;
};

/* One slice of work and the sleep after it, as scan.c has it. */
static void sim_slice(struct sim *sim, unsigned int percentage,
		      unsigned int sleep_ms, u64 step_ns, u64 late_ns)
{
	u64 want = uksm_pace_slice_us(percentage, sleep_ms) * NS_PER_US;
	u64 used = 0, us;

	while (used < want)
		used += step_ns / 2 + rnd_below(step_ns + 1);
	us = uksm_pace_sleep_us(&sim->pace, used, sim->last_sleep, percentage,
				sleep_ms);
	CHECK(sim->pace.owed_ns >= 0);
	CHECK_OP(us, >=, (u64)sleep_ms * 1000);
	sim->last_sleep = us * NS_PER_US + (us ? rnd_below(late_ns + 1) : 0);
	if (us > sim->longest_sleep)
		sim->longest_sleep = us;
	sim->ran += used;
	sim->slept += sim->last_sleep;
}

static void sim_run(struct sim *sim, unsigned int percentage,
		    unsigned int sleep_ms, u64 step_ns, u64 late_ns, u64 ns)
{
	u64 end = sim->ran + sim->slept + ns;

	while (sim->ran + sim->slept < end)
		sim_slice(sim, percentage, sleep_ms, step_ns, late_ns);
}

/* In thousandths of a percent. */
static u64 sim_share(const struct sim *sim)
{
	return sim->ran / NS_PER_US * 100000 /
	       ((sim->ran + sim->slept) / NS_PER_US);
}

TEST(pace_governors)
{
	CHECK_EQ(uksm_pace_percentage(UKSM_GOVERNOR_FULL), 95);
	CHECK_EQ(uksm_pace_percentage(UKSM_GOVERNOR_MEDIUM), 50);
	CHECK_EQ(uksm_pace_percentage(UKSM_GOVERNOR_LOW), 20);
	CHECK_EQ(uksm_pace_percentage(UKSM_GOVERNOR_QUIET), 1);
}

/*
 * Never more than the percentage, and with the default sleep between two
 * slices not much less: every governor gets what it promises.
 */
TEST(pace_keeps_the_percentage_of_each_governor)
{
	static const char *const names[] = { "full", "medium", "low", "quiet" };
	static const u64 steps[] = { 20 * NS_PER_US, 300 * NS_PER_US,
				     2 * NS_PER_MS, 15 * NS_PER_MS };
	unsigned int g, i, p;

	for (g = 0; g < UKSM_GOVERNORS; g++) {
		p = uksm_pace_percentage(g);
		for (i = 0; i < ARRAY_SIZE(steps); i++) {
			struct sim sim = { 0 };

			sim_run(&sim, p, 20, steps[i], 0, 3600 * NS_PER_SEC);
			CHECK_OP(sim_share(&sim), <=, p * 1000);
			CHECK_OP(sim_share(&sim), >=, p * 990);
			if (i == 1)
				printf("# %s: %d%% allowed, %.2f%% used\n",
				       names[g], p,
				       (double)sim_share(&sim) / 1000);
		}
	}
}

TEST(pace_keeps_every_percentage)
{
	static const unsigned int sleeps[] = { 0, 1, 20, 200, 1000 };
	unsigned int p, i;

	for (p = 1; p < 100; p++) {
		for (i = 0; i < ARRAY_SIZE(sleeps); i++) {
			struct sim sim = { 0 };

			sim_run(&sim, p, sleeps[i], 500 * NS_PER_US,
				NS_PER_MS / 10, 300 * NS_PER_SEC);
			CHECK_OP(sim_share(&sim), <=, p * 1000);
			if (sleeps[i] == 20)
				CHECK_OP(sim_share(&sim), >=, p * 960 - 200);
		}
	}
}

/* Sleeps that last longer than asked for are credited, but not saved up. */
TEST(pace_late_wakeups)
{
	struct sim sim = { 0 };

	sim_run(&sim, 20, 0, 500 * NS_PER_US, 5 * NS_PER_MS, 600 * NS_PER_SEC);
	CHECK_OP(sim_share(&sim), <=, 20000);
	/* asleep for an hour: the next hour is no different */
	sim.last_sleep += 3600 * NS_PER_SEC;
	sim.ran = sim.slept = 0;
	sim_run(&sim, 20, 0, 500 * NS_PER_US, 0, 60 * NS_PER_SEC);
	CHECK_OP(sim_share(&sim), <=, 20000);
	CHECK_OP(sim_share(&sim), >=, 19500);
}

TEST(pace_full_speed)
{
	struct sim sim = { 0 };

	sim_run(&sim, 100, 0, NS_PER_MS, 0, 60 * NS_PER_SEC);
	CHECK_EQ(sim.slept, 0);
	CHECK_EQ(sim.pace.owed_ns, 0);
	/* nothing of it is held against a lower limit set later */
	sim = (struct sim){ .pace = sim.pace };
	sim_run(&sim, 1, 20, 100 * NS_PER_US, 0, 3600 * NS_PER_SEC);
	CHECK_OP(sim_share(&sim), <=, 1000);
	CHECK_OP(sim_share(&sim), >=, 990);
	/* and debts are forgiven with the limit */
	uksm_pace_sleep_us(&sim.pace, 100 * NS_PER_SEC, 0, 1, 0);
	CHECK_EQ(uksm_pace_sleep_us(&sim.pace, 0, 0, 100, 0), 0);
	CHECK_EQ(sim.pace.owed_ns, 0);
}

/* A limit that is changed all the time holds on average. */
TEST(pace_changing_limits)
{
	struct sim sim = { 0 };
	u64 allowed = 0, before;
	unsigned int p;
	int i;

	for (i = 0; i < 2000; i++) {
		p = 1 + rnd_below(60);
		before = sim.ran + sim.slept;
		sim_run(&sim, p, rnd_below(30), 500 * NS_PER_US, 0, NS_PER_SEC);
		allowed += (sim.ran + sim.slept - before) * p / 100;
	}
	CHECK_OP(sim.ran, <=, allowed + allowed / 20);
}

/* What ran far too long is slept off, in sleeps one can wake up from. */
TEST(pace_sleeps_off_a_stall)
{
	struct sim sim = { 0 };

	sim.ran = 5 * NS_PER_SEC;
	uksm_pace_sleep_us(&sim.pace, sim.ran, 0, 1, 20);
	sim_run(&sim, 1, 20, 100 * NS_PER_US, 0, 7200 * NS_PER_SEC);
	CHECK_OP(sim_share(&sim), <=, 1000);
	CHECK_EQ(sim.longest_sleep, UKSM_SLEEP_MAX_US);
}

TEST(pace_slices_are_within_bounds)
{
	static const unsigned int sleeps[] = {
		0, 1, 7, 20, 1000, 60000, 4294967, 4294968, U32_MAX,
	};
	unsigned int p, i;

	for (i = 0; i < ARRAY_SIZE(sleeps); i++) {
		u32 before = 0;

		for (p = 1; p <= 100; p++) {
			u32 us = uksm_pace_slice_us(p, sleeps[i]);

			CHECK_OP(us, >=, UKSM_SLICE_MIN_US);
			CHECK_OP(us, <=, UKSM_SLICE_MAX_US);
			CHECK_OP(us, >=, before);
			if (sleeps[i] >= 60000) /* more than that at 1% */
				CHECK_EQ(us, UKSM_SLICE_MAX_US);
			before = us;
		}
		CHECK_EQ(before, UKSM_SLICE_MAX_US);
	}
}

TEST(pace_huge_sleep)
{
	struct uksm_pace pace = { 0 };
	unsigned int p;

	for (p = 1; p <= 100; p++)
		CHECK_EQ(uksm_pace_sleep_us(&pace, NS_PER_MS, 0, p, U32_MAX),
			 U32_MAX * 1000ULL);
}

/* Clocks that go mad cost a long sleep or none, never a wrong account. */
TEST(pace_extremes)
{
	static const u64 times[] = {
		0,
		1,
		NS_PER_SEC,
		1ULL << 40,
		1ULL << 55,
		1ULL << 56,
		(1ULL << 57) + 12345,
		1ULL << 58,
		~0ULL / 100,
		~0ULL / 99 + 1,
		1ULL << 62,
		(1ULL << 63) - 1,
		1ULL << 63,
		(1ULL << 63) + 1,
		~0ULL,
	};
	static const unsigned int percentages[] = { 1, 2, 50, 98, 99, 100 };
	static const unsigned int sleeps[] = { 0, 20, 5000, U32_MAX };
	unsigned int u, s, p, i, n;

	for (u = 0; u < ARRAY_SIZE(times); u++)
		for (s = 0; s < ARRAY_SIZE(times); s++)
			for (p = 0; p < ARRAY_SIZE(percentages); p++)
				for (i = 0; i < ARRAY_SIZE(sleeps); i++) {
					struct uksm_pace pace = { 0 };
					u64 least = sleeps[i] * 1000ULL;

					for (n = 0; n < 5; n++) {
						u64 us = uksm_pace_sleep_us(
							&pace, times[u],
							times[s],
							percentages[p],
							sleeps[i]);

						CHECK(pace.owed_ns >= 0);
						CHECK_OP(us, >=, least);
						CHECK_OP(
							us, <=,
							least > UKSM_SLEEP_MAX_US ?
								least :
								UKSM_SLEEP_MAX_US);
						/* worked for ages, hardly slept: as long as may be */
						if (percentages[p] < 100 &&
						    times[u] >= 1ULL << 50 &&
						    times[s] <= NS_PER_SEC)
							CHECK_OP(
								us, >=,
								UKSM_SLEEP_MAX_US);
						/* slept for ages, hardly worked: nothing owed */
						if (times[s] >= 1ULL << 50 &&
						    times[u] <= NS_PER_SEC)
							CHECK_EQ(pace.owed_ns,
								 0);
					}
				}
}

TEST(pace_settle)
{
	unsigned int g;

	for (g = 0; g < UKSM_GOVERNORS; g++)
		CHECK_EQ(uksm_pace_settle_ms(g),
			 g == UKSM_GOVERNOR_FULL ? 20 : 50);
}

/* The less memory there is, the more of the CPU; and nothing is out of range. */
TEST(pace_nice)
{
	static const u64 totals[] = { 0, 1, 7, 1000, 1ULL << 40, -1ULL };
	size_t t;

	CHECK_EQ(uksm_pace_nice(1000, 1000), 5);
	CHECK_EQ(uksm_pace_nice(250, 1000), 5);
	CHECK_EQ(uksm_pace_nice(249, 1000), 0);
	CHECK_EQ(uksm_pace_nice(125, 1000), 0);
	CHECK_EQ(uksm_pace_nice(124, 1000), -10);
	CHECK_EQ(uksm_pace_nice(0, 1000), -10);
	for (t = 0; t < ARRAY_SIZE(totals); t++) {
		u64 available = totals[t];
		int before = 5, nice;

		for (;; available /= 2) {
			nice = uksm_pace_nice(available, totals[t]);
			CHECK(nice <= before);
			before = nice;
			if (!available)
				break;
		}
	}
}

TEST(pace_idle)
{
	unsigned int g, n;

	for (g = 0; g < UKSM_GOVERNORS; g++) {
		u32 before = 0;

		CHECK_EQ(uksm_pace_idle_ms(g, 0), 0);
		for (n = 1; n < 100; n++) {
			u32 ms = uksm_pace_idle_ms(g, n);

			CHECK_OP(ms, >=, before);
			CHECK_OP(ms, <=, 2000);
			CHECK_EQ(!ms, g == UKSM_GOVERNOR_FULL);
			before = ms;
		}
		CHECK_EQ(uksm_pace_idle_ms(g, U32_MAX), before);
	}
	CHECK_EQ(uksm_pace_idle_ms(UKSM_GOVERNOR_LOW, 1), 250);
	CHECK_EQ(uksm_pace_idle_ms(UKSM_GOVERNOR_LOW, 4), 2000);
}
