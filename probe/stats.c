// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe/stats.h"

#include "base/compiler.h"

int64_t stats_bucket_ms(size_t bucket)
{
	static const int64_t up_to[STATS_BUCKETS - 1] = { 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000 };

	return bucket < ARRAY_SIZE(up_to) ? up_to[bucket] : INT64_MAX;
}

static struct bucket *bucket_of(struct stats *s, int64_t took_us)
{
	size_t i = 0;

	while (i < STATS_BUCKETS - 1 && took_us > stats_bucket_ms(i) * 1000)
		i++;
	return &s->histogram[i];
}

void stats_begin(struct stats *s, unsigned int stream, int64_t now_us)
{
	s->begun_us[stream] = now_us;
}

static void note_pause(struct stats *s, int64_t from_us, int64_t now_us)
{
	struct pause p = { .from_us = from_us, .took_us = now_us - from_us };

	if (p.took_us > s->longest_pause.took_us)
		s->longest_pause = p;
	if (p.took_us < s->min_pause_us)
		return;
	bucket_of(s, p.took_us)->pauses++;
	if (s->n_pauses < STATS_PAUSES_MAX)
		s->pauses[s->n_pauses++] = p;
	else
		s->pauses_left_out++;
}

/* Since when somebody waits for a success: the oldest operation under way or the first that failed, whichever began first; not longer
 * than the last success is ago. Time in which the probe itself had nothing under way is nobody's pause. */
static int64_t waiting_since(const struct stats *s, int64_t now_us)
{
	int64_t since = s->trouble_us ? s->trouble_us : now_us;

	for (unsigned int i = 0; i < STATS_STREAMS_MAX; i++) {
		if (s->begun_us[i] && s->begun_us[i] < since)
			since = s->begun_us[i];
	}
	return MAX(since, s->last_success_us);
}

void stats_success(struct stats *s, unsigned int stream, enum op op, int64_t now_us)
{
	int64_t took_us = now_us - s->begun_us[stream];

	s->done[op]++;
	bucket_of(s, took_us)->operations++;
	s->longest_op_us = MAX(s->longest_op_us, took_us);
	note_pause(s, waiting_since(s, now_us), now_us);
	s->last_success_us = now_us;
	s->trouble_us = 0;
	s->begun_us[stream] = 0;
}

void stats_failure(struct stats *s, unsigned int stream, enum op op, int64_t now_us)
{
	s->failed[op]++;
	s->longest_op_us = MAX(s->longest_op_us, now_us - s->begun_us[stream]);
	if (!s->trouble_us || s->begun_us[stream] < s->trouble_us)
		s->trouble_us = s->begun_us[stream];
	s->begun_us[stream] = 0;
}

unsigned int stats_end(struct stats *s, int64_t now_us)
{
	unsigned int stuck = 0;

	for (unsigned int i = 0; i < STATS_STREAMS_MAX; i++) {
		if (s->begun_us[i]) {
			stuck++;
			s->longest_op_us = MAX(s->longest_op_us, now_us - s->begun_us[i]);
		}
	}
	if (stuck || s->trouble_us)
		note_pause(s, waiting_since(s, now_us), now_us);
	return stuck;
}
