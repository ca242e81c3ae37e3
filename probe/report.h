/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a run or a verification has found, the verdict on it, and both as text and as JSON. */
#ifndef PROBE_REPORT_H
#define PROBE_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "probe/block.h"
#include "probe/stats.h"

#define CHECK_EXAMPLES_MAX 20

/* Exit codes; lunward-probe(8) documents them. */
enum verdict {
	VERDICT_CLEAN = 0,
	VERDICT_FAULTY = 1,
	VERDICT_USAGE = 2,
	VERDICT_UNDECIDED = 3, /* could not run, or what was seen proves nothing */
};

struct example {
	uint64_t block;
	enum finding finding;
	uint64_t newest, oldest; /* on the device */
	struct block_known known;
	int error; /* errno of what is unreadable */
};

/* Blocks that were looked at. */
struct check {
	uint64_t blocks;  /* in the end, of those that were written */
	bool complete;    /* all of them */
	uint64_t count[N_FINDINGS];
	struct example examples[CHECK_EXAMPLES_MAX];
	unsigned int n_examples;
};

/* Counts a finding; faults are kept as examples too, as long as there is room. */
void check_note(struct check *check, const struct example *what);

struct report {
	const char *path;
	uint64_t offset, n_blocks, run;
	int64_t wall_ms, clock_us; /* when the run began, by both clocks */
	uint64_t writes;           /* acknowledged */
	struct check check;

	/* Of a run (else NULL) */
	const struct stats *stats;
	unsigned int streams, stuck;
	int64_t took_us, max_pause_ms, log_longest_us; /* max_pause_ms 0: no limit */
	const char *log_problem;                       /* the log could not be kept: why; else NULL */

	/* Of a log */
	uint64_t failed; /* writes */
	bool ended;      /* the run, in order */
};

/* *ret_reasons gets what speaks against "clean", one phrase each, separated by "; ". */
enum verdict report_verdict(const struct report *r, struct strbuf *ret_reasons);

void report_text(const struct report *r, struct strbuf *out);
/* One line. `verdict` false: while the run goes on, when there is none yet. */
void report_json(const struct report *r, bool verdict, struct strbuf *out);
/* Either of them on standard output. */
void report_print(const struct report *r, bool json);

#endif
