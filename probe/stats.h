/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What happened to the operations of a run: counts, durations, pauses. Pure: the caller has the clock and the lock. */
#ifndef PROBE_STATS_H
#define PROBE_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATS_STREAMS_MAX 64
#define STATS_PAUSES_MAX 1000
#define STATS_BUCKETS 17

enum op {
	OP_READ,
	OP_WRITE,
	N_OPS
};

/* A time in which operations were under way or failed, and none came back well. */
struct pause {
	int64_t from_us, took_us;
};

struct bucket {
	uint64_t operations, pauses;
};

struct stats {
	int64_t min_pause_us;               /* shorter ones are counted nowhere */
	int64_t begun_us[STATS_STREAMS_MAX]; /* of the operation that a stream has under way; 0: none */
	int64_t last_success_us, trouble_us; /* trouble: the first failure since; 0: none */
	uint64_t done[N_OPS], failed[N_OPS];
	int64_t longest_op_us;
	struct pause longest_pause; /* of all, also those that are too short for the list */
	struct pause pauses[STATS_PAUSES_MAX];
	size_t n_pauses;
	uint64_t pauses_left_out;
	struct bucket histogram[STATS_BUCKETS];
};

/* The upper end of a bucket in ms, INT64_MAX for the last. */
int64_t stats_bucket_ms(size_t bucket);

void stats_begin(struct stats *s, unsigned int stream, int64_t now_us);
void stats_success(struct stats *s, unsigned int stream, enum op op, int64_t now_us);
void stats_failure(struct stats *s, unsigned int stream, enum op op, int64_t now_us);
/* The run is over: a pause that is not over counts as long as it lasted. Returns how many operations have not come back. */
unsigned int stats_end(struct stats *s, int64_t now_us);

#endif
