/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of lunward-probe share: the parsed command line, and the two things it does. */
#ifndef PROBE_PROBE_H
#define PROBE_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "probe/area.h"
#include "probe/report.h"

struct options {
	struct area_wish area; /* path NULL: for `verify`, what the log says */
	const char *log, *status;
	uint64_t depth, rate, read_percent, seconds, min_pause_ms, max_pause_ms, patience;
	bool json;
};

/* Each prints its report; without one the result is VERDICT_UNDECIDED or VERDICT_USAGE, with the reason in *err. */
enum verdict probe_run(const struct options *opt, struct err *err);
enum verdict probe_verify(const struct options *opt, struct err *err);

#endif
