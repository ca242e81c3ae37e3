/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a drill has shown: judged by what is promised, as a line of the history, and many of them as a distribution. Pure. */
#ifndef AGENT_CLI_DRILL_H
#define AGENT_CLI_DRILL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/strbuf.h"

/* Promised for emulated machines, and held to in the system tests: the pause that hosts see of a planned move; of a crash, what is the
 * agent's part, from the evidence that the old owner is off until hosts are served. Detection and fencing are the site's own settings. */
#define DRILL_MOVE_LIMIT_MS 2000
#define DRILL_CRASH_LIMIT_MS 1500

struct drill {
	const char *group, *from, *to;
	bool crash;
	int64_t at_ms;      /* when it began, by the wall clock */
	int64_t command_ms; /* until the new owner served */
	int64_t agent_ms;   /* move: from its first to its last step; crash: see above; -1: not told */
	int64_t pause_ms;   /* that a probe saw; -1: no probe */
	uint64_t failed;    /* writes of the probe */
	const char *error;  /* the move itself failed; NULL: no */
	json_t *steps;      /* last_change.steps of the status, may be NULL */
};

/* agent_ms of last_change.steps. */
int64_t drill_agent_ms(const json_t *steps, bool crash);
/* What the limit is for: the pause of a move if a probe saw it, else the agent's part. */
int64_t drill_measured_ms(const struct drill *d);
int64_t drill_limit_ms(const struct drill *d);
/* NULL: as promised; else why not, to be freed. */
char *drill_complaint(const struct drill *d) must_check;

json_t *drill_json(const struct drill *d);
/* Lines of drill_json() of one group ("": all), oldest first. A last line without end (the node lost its power) is left out. */
int drill_parse_history(const char *text, const char *group, json_t **ret_list, struct err *err) must_check;
/* {"move": {...}, "crash": {...}}: n, bad, and of those that came about min, median, p95, max in ms, and a histogram. */
json_t *drill_summary(const json_t *list);
void drill_render_history(const json_t *list, struct strbuf *out);

#endif
