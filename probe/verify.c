// SPDX-License-Identifier: GPL-2.0-or-later
/* lunward-probe verify: is on the device what the log says was acknowledged? */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "probe/acklog.h"
#include "probe/area.h"
#include "probe/probe.h"

static void look_at(const struct area *area, const struct acklog *log, uint64_t i, struct block *b, struct check *check)
{
	struct example e = { .block = i, .known = log->known[i] };
	int rc = area_read(area, i, b);

	if (rc < 0) {
		e.finding = FINDING_UNREADABLE;
		e.error = -rc;
	} else {
		e.finding = block_judge(b, log->head.run, area_address(area, i), &e.known, &e.newest, &e.oldest);
	}
	/* Of a run that was cut off, the last lines may be lost with the machine that wrote them. */
	if (e.finding == FINDING_UNKNOWN && !log->ended)
		e.finding = FINDING_UNFINISHED;
	check->blocks++;
	check_note(check, &e);
}

static int look(const struct area *area, const struct acklog *log, struct check *check, struct err *err)
{
	_cleanup_free_ struct block *b = aligned_alloc(PROBE_BLOCK_SIZE, sizeof(*b));

	if (!b)
		return err_set(err, -ENOMEM, "out of memory");
	for (uint64_t i = 0; i < log->head.blocks; i++) {
		if (log->known[i].issued)
			look_at(area, log, i, b, check);
	}
	check->complete = true;
	return 0;
}

static int read_log(const char *name, struct acklog *ret, struct err *err)
{
	_cleanup_fclose_ FILE *in = strcmp(name, "-") == 0 ? fdopen(STDIN_FILENO, "r") : fopen(name, "re");

	if (!in)
		return err_errno(err, -errno, "%s", name);
	return acklog_read(in, name, ret, err);
}

enum verdict probe_verify(const struct options *opt, struct err *err)
{
	struct acklog log = { 0 };
	struct area area = { .fd = -1 };
	struct report r = { 0 };
	enum verdict v = VERDICT_UNDECIDED;

	if (read_log(opt->log, &log, err) < 0)
		return v;
	r = (struct report){ .path = opt->area.path ? opt->area.path : log.head.path, .offset = log.head.offset, .n_blocks = log.head.blocks,
			     .run = log.head.run, .wall_ms = log.head.wall_ms, .clock_us = log.head.clock_us, .writes = log.writes,
			     .failed = log.failed, .ended = log.ended };
	if (area_open_to_look(&area, r.path, r.offset, r.n_blocks, err) == 0 && look(&area, &log, &r.check, err) == 0) {
		_cleanup_strbuf_ struct strbuf reasons = { 0 };

		v = report_verdict(&r, &reasons);
		report_print(&r, opt->json);
	}
	area_close(&area);
	acklog_done(&log);
	return v;
}
