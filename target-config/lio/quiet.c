// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A portal group with iSER is taken down when nobody talks to it or can. iscsit_close_connection() runs in the connection's transmit thread
 * and waits there (isert_wait_conn(), target_wait_for_cmds()) for commands under way, but a status that is not GOOD is given to that
 * same thread to send (lio_queue_status()): such a command never ends, and the write to `enable` never returns.
 * The kernel does not say what is under way; LUNs count the commands that come in. And nothing comes in by an address that is not there:
 * soft-RoCE's packets pass through IP. An adapter keeps what it has, so there the time between the last look and the end of its connections
 * is all that protects. See docs/decisions/0007, and closing.c for when it has happened.
 */
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/xalloc.h"
#include "target-config/lio/reconcile.h"

#define QUIET_MS 60    /* no command for so long: those that came before have failed at their gates or are done */
#define LIMIT_MS 3000  /* hosts that go on talking have no better path than this one */
#define LOOK_MS 5

/* Sum of the commands that came for the LUNs of a portal group; 0 where nobody counts. */
static uint64_t commands_of(const struct lio_run *run, const char *tpg)
{
	struct cfs *cfs = run->tree->cfs;
	_cleanup_free_ char *dir = xasprintf("%s/%s/lun", run->tree->root, tpg);
	char **luns = NULL;
	uint64_t sum = 0;
	size_t n = 0;

	if (cfs->ops->list(cfs, dir, CFS_DIR, &luns, &n) < 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s/statistics/scsi_tgt_port/in_cmds", dir, luns[i]);
		_cleanup_free_ char *text = NULL;

		if (cfs->ops->read(cfs, path, &text) == 0)
			sum += strtoull(text, NULL, 10);
	}
	cfs_names_free(luns, n);
	return sum;
}

bool lio_has_iser(const struct lio_run *run, const char *tpg)
{
	struct cfs *cfs = run->tree->cfs;
	_cleanup_free_ char *dir = xasprintf("%s/%s/np", run->tree->root, tpg);
	char **nps = NULL;
	bool found = false;
	size_t n = 0;

	if (cfs->ops->list(cfs, dir, CFS_DIR, &nps, &n) < 0)
		return false;
	for (size_t i = 0; i < n && !found; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s/iser", dir, nps[i]), *text = NULL;

		found = cfs->ops->read(cfs, path, &text) == 0 && text[0] == '1';
	}
	cfs_names_free(nps, n);
	return found;
}

bool lio_wait_quiet(const struct lio_run *run, const char *tpg)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };
	int64_t began_ms = clock_now_ms(), since_ms = began_ms, now_ms = began_ms;
	uint64_t before = commands_of(run, tpg), after;

	while (now_ms - since_ms < QUIET_MS && now_ms - began_ms < LIMIT_MS) {
		nanosleep(&pause, NULL);
		after = commands_of(run, tpg);
		now_ms = clock_now_ms();
		if (after != before)
			since_ms = now_ms;
		before = after;
	}
	return now_ms - since_ms >= QUIET_MS;
}
