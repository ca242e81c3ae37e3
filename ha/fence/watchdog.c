// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The watchdog of the node itself, as evidence: docs/decisions/0009-watchdog-lease.md. All that is to be done is to wait, and not too
 * short: the time counts from when the node was cut off at the latest, by this node's clock, whatever other levels took of it.
 */
#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "ha/fence/fence.h"

static void wait_until(int64_t at_ms)
{
	const struct timespec at = { .tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000 };

	while (clock_now_ms() < at_ms)
		(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

int fence_watchdog(const char *node, int64_t since_ms, int64_t bound_ms, int timeout_ms, struct err *err)
{
	if (bound_ms <= 0)
		return err_set(err, -ENODEV, "%s has no armed watchdog", node);
	if (bound_ms > timeout_ms)
		return err_set(err, -ETIME, "the watchdog of %s needs %.1f s, more than the timeout_s of this level", node,
			       (double)bound_ms / 1000);
	wait_until(since_ms + bound_ms);
	return 0;
}
