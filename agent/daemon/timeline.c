// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/timeline.h"

void timeline_start(struct timeline *t)
{
	*t = (struct timeline){ 0 };
}

void timeline_add(struct timeline *t, const char *name, uint64_t epoch, int64_t at_ms, int64_t took_ms)
{
	t->epoch = epoch;
	if (t->n < TIMELINE_STEPS_MAX)
		t->steps[t->n++] = (struct timeline_step){ name, at_ms, took_ms };
}

json_t *timeline_json(const struct timeline *t)
{
	json_t *steps = json_array();

	for (size_t i = 0; i < t->n; i++)
		json_array_append_new(steps, json_pack("{s:s, s:I, s:I}", "step", t->steps[i].name, "at_ms",
						       (json_int_t)t->steps[i].at_ms, "took_ms",
						       (json_int_t)t->steps[i].took_ms));
	return steps;
}
