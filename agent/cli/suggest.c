// SPDX-License-Identifier: GPL-2.0-or-later
/* Distance of words: optimal string alignment (Levenshtein with swaps of neighbours). */
#include <string.h>

#include "agent/cli/suggest.h"
#include "base/compiler.h"

#define WORD_MAX 63
#define FAR 99

unsigned int suggest_distance(const char *a, const char *b)
{
	unsigned int d[3][WORD_MAX + 1];
	size_t n = strlen(a), m = strlen(b);

	if (n > WORD_MAX || m > WORD_MAX)
		return FAR;
	for (size_t k = 0; k <= m; k++)
		d[0][k] = (unsigned int)k;
	for (size_t i = 1; i <= n; i++) {
		unsigned int *row = d[i % 3], *above = d[(i + 2) % 3], *above2 = d[(i + 1) % 3];

		row[0] = (unsigned int)i;
		for (size_t k = 1; k <= m; k++) {
			row[k] = above[k - 1] + (a[i - 1] != b[k - 1]);
			row[k] = MIN(row[k], MIN(above[k], row[k - 1]) + 1);
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
				row[k] = MIN(row[k], above2[k - 2] + 1);
		}
	}
	return d[n % 3][m];
}

void suggest_consider(struct suggest *suggest, const char *candidate)
{
	unsigned int limit = (unsigned int)MAX(MAX(strlen(suggest->word), strlen(candidate)) / 3, (size_t)1);
	unsigned int distance = suggest_distance(suggest->word, candidate);

	if (distance > limit || (suggest->best && distance >= suggest->distance))
		return;
	suggest->best = candidate;
	suggest->distance = distance;
}
