// SPDX-License-Identifier: GPL-2.0-or-later
/* One level after the other until one gives evidence: see fence.h. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/strbuf.h"
#include "ha/fence/fence.h"

static int run_level(const struct fence_level *level, struct err *err)
{
	switch (level->by) {
	case FENCE_BY_PACEMAKER:
		return fence_pacemaker(level->request.dir, level->node, level->request.deadline_ms / 1000, err);
	case FENCE_BY_WATCHDOG:
		return fence_watchdog(level->node, level->since_ms, level->watchdog_ms, level->request.deadline_ms, err);
	case FENCE_BY_AGENT:
		break;
	}
	return fence_run(&level->request, err);
}

/* Each gets its share of the room, so that the last one's reason is not cut off by the first one's words. */
static void add_reason(struct strbuf *reasons, const struct fence_level *level, size_t room, const char *text)
{
	size_t label = strlen(level->label) + strlen("; : ");

	strbuf_addf(reasons, "%s%s: %.*s", reasons->len ? "; " : "", level->label, (int)(room > label ? room - label : 0), text);
}

int fence_levels(const struct fence_level *levels, size_t n, fence_report_fn *report, void *ctx, size_t *ret_level,
		 struct err *err)
{
	_cleanup_strbuf_ struct strbuf reasons = { 0 };
	int rc = -ENOSYS;

	for (size_t i = 0; i < n; i++) {
		int64_t started_ms = clock_now_ms();
		struct err own = ERR_INIT;

		rc = run_level(&levels[i], &own);
		report(ctx, &levels[i], clock_now_ms() - started_ms, rc, own.text);
		if (rc == 0) {
			*ret_level = i;
			return 0;
		}
		if (n == 1)
			return err_set(err, rc, "%s", own.text);
		add_reason(&reasons, &levels[i], FENCE_TEXT_MAX / n, own.text);
	}
	return err_set(err, rc, "%s", n ? strbuf_str(&reasons) : "no fence agent is configured");
}
