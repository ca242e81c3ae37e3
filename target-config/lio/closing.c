// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Portal groups are disabled in threads of their own. Where an iSER connection hangs in the kernel (quiet.c), by our doing or by its host's, the write
 * to `enable` never returns, and it keeps the group's lock (iscsit_get_tpg()): whoever wants to change the group afterwards hangs as well. So the
 * run goes on without it, and keeps off that group from then on.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/thread.h"
#include "base/xalloc.h"
#include "target-config/lio/reconcile.h"

struct closing {
	struct closing *next;
	struct cfs *cfs;
	char *tpg;  /* absolute */
	char *path; /* its `enable` */
	int rc;
	bool has_ended;
	bool is_left; /* nobody waits for it */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static pthread_cond_t one_has_ended = PTHREAD_COND_INITIALIZER;
static struct closing *first;

static void free_closing(struct closing *closing)
{
	free(closing->path);
	free(closing->tpg);
	free(closing);
}

static void unlist(struct closing *closing)
{
	struct closing **at = &first;

	while (*at != closing)
		at = &(*at)->next;
	*at = closing->next;
}

static void *disable(void *ctx)
{
	struct closing *closing = ctx;
	int rc = closing->cfs->ops->write(closing->cfs, closing->path, "0");
	bool is_left;

	pthread_mutex_lock(&lock);
	closing->rc = rc;
	closing->has_ended = true;
	pthread_cond_broadcast(&one_has_ended);
	is_left = closing->is_left;
	if (is_left)
		unlist(closing);
	pthread_mutex_unlock(&lock);
	if (is_left)
		free_closing(closing);
	return NULL;
}

/* An error: there is no thread to be had, and `closing` is gone. */
static int start(struct closing *closing)
{
	int rc;

	pthread_mutex_lock(&lock);
	rc = thread_start(NULL, disable, closing);
	if (rc == 0) {
		closing->next = first;
		first = closing;
	}
	pthread_mutex_unlock(&lock);
	if (rc < 0)
		free_closing(closing);
	return rc;
}

/* false: the kernel is still at it, and the list keeps it. */
static bool wait_for(struct closing *closing, int64_t limit_ms)
{
	int64_t until_ms = clock_now_ms() + limit_ms;
	struct timespec until = { .tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000 };
	bool has_ended;

	pthread_mutex_lock(&lock);
	while (!closing->has_ended && pthread_cond_clockwait(&one_has_ended, &lock, CLOCK_MONOTONIC, &until) == 0)
		;
	has_ended = closing->has_ended;
	closing->is_left = !has_ended;
	if (has_ended)
		unlist(closing);
	pthread_mutex_unlock(&lock);
	return has_ended;
}

int lio_disable(struct lio_run *run, const char *tpg, struct err *err)
{
	_cleanup_free_ char *enable = xasprintf("%s/enable", tpg);
	const struct lio_tree *tree = run->tree;
	struct closing *closing;
	int rc;

	if (run->plan_only || !tree->close_limit_ms)
		return lio_do_write(run, enable, "0", "0", err);
	closing = xcalloc(1, sizeof(*closing));
	*closing = (struct closing){ .cfs = tree->cfs, .tpg = lio_path(tree->root, tpg), .path = lio_path(tree->root, enable) };
	if (start(closing) < 0)
		return lio_do_write(run, enable, "0", "0", err);
	lio_note_write(run, enable, "0");
	if (!wait_for(closing, tree->close_limit_ms))
		return 0;
	rc = closing->rc;
	if (rc < 0)
		err_errno(err, rc, "cannot write 0 to %s", closing->path);
	free_closing(closing);
	return rc;
}

/* With each step of a run: it costs nothing while none is closing. */
bool lio_is_closing(const struct lio_run *run, const char *path)
{
	bool found = false;

	pthread_mutex_lock(&lock);
	for (const struct closing *closing = first; closing && !found; closing = closing->next) {
		_cleanup_free_ char *full = lio_path(run->tree->root, path);

		found = closing->is_left && closing->cfs == run->tree->cfs && lio_is_below(full, closing->tpg);
	}
	pthread_mutex_unlock(&lock);
	return found;
}

char *lio_closing(void)
{
	char *tpg = NULL;

	pthread_mutex_lock(&lock);
	for (const struct closing *closing = first; closing && !tpg; closing = closing->next) {
		if (closing->is_left)
			tpg = xstrdup(closing->tpg);
	}
	pthread_mutex_unlock(&lock);
	return tpg;
}
