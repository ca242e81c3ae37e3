/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What happened to a group in its last change of ownership, step by step: for status, drills and the demo. */
#ifndef AGENT_DAEMON_TIMELINE_H
#define AGENT_DAEMON_TIMELINE_H

#include <jansson.h>
#include <stdint.h>

#define TIMELINE_STEPS_MAX 32

struct timeline_step {
	const char *name; /* static string */
	int64_t at_ms;    /* end of the step; clock_wall_ms(), so that nodes can be compared */
	int64_t took_ms;  /* 0: a moment */
};

struct timeline {
	uint64_t epoch; /* in force at the last step */
	struct timeline_step steps[TIMELINE_STEPS_MAX];
	size_t n;
};

void timeline_start(struct timeline *t); /* forgets the change before */
void timeline_add(struct timeline *t, const char *name, uint64_t epoch, int64_t at_ms, int64_t took_ms);
json_t *timeline_json(const struct timeline *t); /* array of {"step","at_ms","took_ms"}; caller's reference */

#endif
