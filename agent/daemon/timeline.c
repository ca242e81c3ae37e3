// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/timeline.h"

#include <stdio.h>
#include <time.h>

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

int64_t timeline_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void timeline_iso(int64_t at_ms, char *text, size_t size)
{
	time_t s = (time_t)(at_ms / 1000);
	struct tm tm;
	size_t len = gmtime_r(&s, &tm) ? strftime(text, size, "%Y-%m-%dT%H:%M:%S", &tm) : 0;

	snprintf(text + len, size - len, ".%03dZ", (int)(at_ms % 1000));
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
