// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A script is the list of what goes wrong in a run: "time/kind/parameter,...". All else follows from the seed, so a failing run
 * can be told again with fewer faults, until each that is left is needed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "tests/sim/sim.h"

#define TRIES_MAX 600

static int parse_fault(const char *text, size_t len, struct fault *ret)
{
	char copy[64], *kind, *param, *end;

	if (len >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, len);
	copy[len] = '\0';
	kind = strchr(copy, '/');
	param = kind ? strchr(kind + 1, '/') : NULL;
	if (!param)
		return -EINVAL;
	*kind++ = *param++ = '\0';
	ret->at_ms = strtoll(copy, &end, 10);
	if (*end || ret->at_ms < 0)
		return -EINVAL;
	ret->param = (uint32_t)strtoul(param, &end, 16);
	if (*end)
		return -EINVAL;
	for (ret->kind = 0; ret->kind < FAULT_KINDS; ret->kind++) {
		if (strcmp(kind, fault_names[ret->kind]) == 0)
			return 0;
	}
	return -EINVAL;
}

int script_parse(const char *text, struct fault **ret, size_t *ret_n)
{
	struct fault *script = NULL;
	size_t n = 0, cap = 0;

	while (*text) {
		size_t len = strcspn(text, ",");

		if (parse_fault(text, len, array_push(script, n, cap)) < 0) {
			free(script);
			return -EINVAL;
		}
		text += len + (text[len] == ',');
	}
	*ret = script;
	*ret_n = n;
	return 0;
}

void script_print(const struct fault *script, size_t n)
{
	for (size_t i = 0; i < n; i++)
		printf("%s%lld/%s/%x", i ? "," : "", (long long)script[i].at_ms, fault_names[script[i].kind], script[i].param);
}

static bool still_fails(const struct plan *plan, const struct fault *script, size_t n, char failure[512])
{
	struct plan scripted = { .seed = plan->seed, .liar = plan->liar, .lossy = plan->lossy, .scripted = true, .script = script, .n_script = n };

	return sim_fails(&scripted, failure, NULL, NULL);
}

/* Leaves out ever smaller pieces, as long as what is left still fails, in whichever way. */
void script_shrink(const struct plan *plan, const struct fault *told, size_t n_told)
{
	struct fault *script = xmemdup(told, n_told * sizeof(*told)), *less = xcalloc(n_told + 1, sizeof(*less));
	char failure[512] = "", last[512];
	size_t n = n_told;
	int tries = 1;

	if (!still_fails(plan, script, n, failure)) {
		printf("    (as a script it does not fail: replay the seed)\n");
		n = 0;
	}
	for (size_t piece = MAX(n / 2, (size_t)1); n && tries < TRIES_MAX;) {
		bool any = false;

		for (size_t at = 0; at < n && tries < TRIES_MAX; tries++) {
			size_t gone = MIN(piece, n - at);

			memcpy(less, script, at * sizeof(*less));
			memcpy(less + at, script + at + gone, (n - at - gone) * sizeof(*less));
			if (!still_fails(plan, less, n - gone, last)) {
				at += gone;
				continue;
			}
			n -= gone;
			memcpy(script, less, n * sizeof(*less));
			memcpy(failure, last, sizeof(failure));
			any = true;
		}
		if (piece == 1 && !any)
			break;
		piece = MAX(piece / 2, (size_t)1);
	}
	if (failure[0]) {
		printf("    shrunk from %zu faults to %zu in %d runs: %s\n    replay: build/gcc/tests/sim/sim --seed %llu%s%s --script '",
		       n_told, n, tries, failure, (unsigned long long)plan->seed, plan->lossy ? " --lossy" : "",
		       plan->watchdogs ? " --watchdogs" : "");
		script_print(script, n);
		printf("' --verbose\n");
	}
	free(script);
	free(less);
}
