/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Did you mean ...? Pure. */
#ifndef AGENT_CLI_SUGGEST_H
#define AGENT_CLI_SUGGEST_H

#include <stddef.h>

/* How many letters to insert, remove, replace or swap with their neighbour; words longer than 63 letters: 99. */
unsigned int suggest_distance(const char *a, const char *b);

/* A search for the nearest of several words: start with { .word = what was typed }. */
struct suggest {
	const char *word;
	const char *best; /* NULL: nothing is near enough (a third of the letters may differ, and one in any case) */
	unsigned int distance;
};
void suggest_consider(struct suggest *suggest, const char *candidate);

#endif
