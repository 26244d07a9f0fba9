// SPDX-License-Identifier: GPL-2.0
/*
 * What a guest of a storm does: it fills its memory, says so, and checks it
 * over and over, a chunk at a time. It speaks in lines "@word rounds wrong":
 * "ready" when all is filled, and an answer to each line that it is sent:
 * "check" has it check everything at once, "off" is answered and ends it.
 */
#include "lib_storm.h"

#include <poll.h>

#define CHUNK 256UL

static struct {
	const struct storm_memory *m;
	u64 rounds, wrong;
	bool off;
} in;

static void check(u64 from, u64 n)
{
	in.wrong += in.m->check(in.m->id, from, n);
}

static void say(const char *word)
{
	dprintf(STDOUT_FILENO, "@%s %llu %llu\n", word,
		(unsigned long long)in.rounds, (unsigned long long)in.wrong);
}

static void answer(const char *line)
{
	if (!strcmp(line, "check"))
		check(0, in.m->n);
	else
		in.off = true;
	say(line);
}

/* Waits a little, and answers when something has come meanwhile. */
static void listen(void)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	char line[32];
	size_t len = 0;

	while (!in.off && poll(&p, 1, in.m->nap) > 0) {
		if (read(STDIN_FILENO, &line[len], 1) != 1)
			_exit(1); /* the host has gone */
		if (line[len] != '\n') {
			len = (len + 1) % sizeof(line);
			continue;
		}
		line[len] = '\0';
		len = 0;
		answer(line);
	}
}

static void work(void)
{
	u64 i, n;

	for (;;) {
		for (i = 0; i < in.m->n; i += n) {
			n = in.m->n - i < CHUNK ? in.m->n - i : CHUNK;
			check(i, n);
			listen();
			if (in.off)
				return;
		}
		in.rounds++;
	}
}

/* Returns when the guest is sent off. */
void storm_guest(const struct storm_memory *m)
{
	in.m = m;
	m->fill(m->id, 0, m->n);
	say("ready");
	work();
}
