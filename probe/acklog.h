/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log of writes: what was begun, and what was acknowledged. It lies where no failover of the storage under test can touch it. Lines
 * of text:
 *
 *	H lunward-probe/1 RUN OFFSET BLOCKS WALL_MS CLOCK_US PATH	a run begins; both clocks at that time
 *	I STREAM BLOCK SEQ CLOCK_US					a write begins
 *	A STREAM BLOCK SEQ CLOCK_US					it was acknowledged
 *	E STREAM BLOCK SEQ CLOCK_US					it failed: may or may not be on the device
 *	Z CLOCK_US							the run has ended in order
 */
#ifndef PROBE_ACKLOG_H
#define PROBE_ACKLOG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/compiler.h"
#include "base/err.h"
#include "probe/block.h"

/* Whose writes a log tells. */
struct acklog_head {
	uint64_t run, offset, blocks;
	int64_t wall_ms, clock_us;
	char *path; /* of the area; the struct's own when it was read */
};

/* Opens a log to write: a path, "tcp:HOST:PORT" or "unix:PATH". A file that has something in it is refused: it is the evidence of an
 * earlier run. *ret_file_system: of a file; 0 else. */
int acklog_open(const char *where, int *ret_fd, dev_t *ret_file_system, struct err *err) must_check;
int acklog_head(int fd, const struct acklog_head *head) must_check;
/* Each call is one write(2): lines of several streams do not mix, and nothing stays behind in a buffer. */
int acklog_event(int fd, char what, unsigned int stream, uint64_t block, uint64_t seq, int64_t now_us) must_check;
int acklog_end(int fd, int64_t now_us) must_check;

/* The writes of the last run in a log. */
struct acklog {
	struct acklog_head head;
	struct block_known *known; /* head.blocks of them */
	uint64_t writes, failed;   /* acknowledged, failed */
	unsigned int runs;
	bool ended;
};

/* A last line without end is left out (the host has lost its power); any other strange line is -EINVAL. */
int acklog_read(FILE *in, const char *name, struct acklog *ret, struct err *err) must_check;
void acklog_done(struct acklog *log);

/* What hosts saw around a time, by a log that may still grow. Times are of the wall clock of the probe's machine. */
struct acklog_pause {
	int64_t longest_ms;    /* between two acknowledgements, or since the last one, that overlaps the time asked for */
	int64_t last_ack_ms;   /* of the whole log; 0: none */
	uint64_t failed;       /* writes, in that time */
};
int acklog_pause(FILE *in, const char *name, int64_t from_ms, int64_t until_ms, struct acklog_pause *ret, struct err *err) must_check;

#endif
