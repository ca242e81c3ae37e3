// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Portal groups are disabled in threads of their own. Where an iSER connection hangs in the kernel (quiet.c), by our doing or by its host's, the write
 * to `enable` never returns, and it keeps the group's lock (iscsit_get_tpg()): whoever wants to change the group afterwards hangs as well. So the
 * run goes on without it, and keeps off that group from then on. The same for ports of Fibre Channel that are to log in again: tcm_fc never ends a
 * command that was under way when the link went down (ft_queue_status() keeps the reference), ft_prlo() waits for it, and fcoe_reset() for that.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/thread.h"
#include "base/xalloc.h"
#include "target-config/lio/cfs.h"
#include "target-config/lio/reconcile.h"

#define RELOGIN_LIMIT_MS 3000 /* a link goes down at once */
#define LOOK_MS 20

struct closing {
	struct closing *next;
	struct cfs *cfs, *via; /* whose tree it is in; to write by */
	char *tpg;  /* absolute; of Fibre Channel the target */
	char *path; /* its `enable`, or `issue_lip` */
	const char *value;
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

static void *write_it(void *ctx)
{
	struct closing *closing = ctx;
	int rc = closing->via->ops->write(closing->via, closing->path, closing->value);
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
	rc = thread_start(NULL, write_it, closing);
	if (rc == 0) {
		closing->next = first;
		first = closing;
	}
	pthread_mutex_unlock(&lock);
	if (rc < 0)
		free_closing(closing);
	return rc;
}

/* Nothing is sent any more, and all exchanges are reset: fc_get_host_port_state() and __fc_linkdown() have the port's lock. */
static bool is_link_down(const char *fc_host)
{
	_cleanup_free_ char *path = xasprintf("%s/port_state", fc_host), *text = NULL;
	size_t size;

	return file_read(path, 4096, &text, &size) == 0 && strcmp(text, "Linkdown\n") == 0;
}

/* false: the kernel is still at it, and the list keeps it. fc_host: NULL, or whose link that goes down is waited for, too. */
static bool wait_for(struct closing *closing, int64_t limit_ms, const char *fc_host, bool *ret_is_down)
{
	int64_t until_ms = clock_now_ms() + limit_ms;
	bool has_ended;

	*ret_is_down = false;
	pthread_mutex_lock(&lock);
	while (!closing->has_ended && !*ret_is_down && clock_now_ms() < until_ms) {
		int64_t look_ms = fc_host ? clock_now_ms() + LOOK_MS : until_ms;
		struct timespec until = { .tv_sec = look_ms / 1000, .tv_nsec = look_ms % 1000 * 1000000 };

		if (pthread_cond_clockwait(&one_has_ended, &lock, CLOCK_MONOTONIC, &until) != 0 && fc_host) {
			pthread_mutex_unlock(&lock);
			*ret_is_down = is_link_down(fc_host);
			pthread_mutex_lock(&lock);
		}
	}
	has_ended = closing->has_ended;
	closing->is_left = !has_ended;
	if (has_ended)
		unlist(closing);
	pthread_mutex_unlock(&lock);
	return has_ended;
}

/* `closing` has ended, and goes. */
static int end(struct closing *closing, struct err *err)
{
	int rc = closing->rc;

	if (rc < 0)
		err_errno(err, rc, "cannot write %s to %s", closing->value, closing->path);
	free_closing(closing);
	return rc;
}

int lio_disable(struct lio_run *run, const char *tpg, struct err *err)
{
	_cleanup_free_ char *enable = xasprintf("%s/enable", tpg);
	const struct lio_tree *tree = run->tree;
	struct closing *closing;
	bool is_down;

	if (run->plan_only || !tree->close_limit_ms)
		return lio_do_write(run, enable, "0", "0", err);
	closing = xcalloc(1, sizeof(*closing));
	*closing = (struct closing){ .cfs = tree->cfs, .via = tree->cfs, .tpg = lio_path(tree->root, tpg), .path = lio_path(tree->root, enable),
				     .value = "0" };
	if (start(closing) < 0)
		return lio_do_write(run, enable, "0", "0", err);
	lio_note_write(run, enable, "0");
	return wait_for(closing, tree->close_limit_ms, NULL, &is_down) ? end(closing, err) : 0;
}

int lio_fc_relogin(struct cfs *cfs, const char *root, const char *sysfs, const char *wwpn, struct err *err)
{
	_cleanup_free_ char *fc_host = lio_fc_host(sysfs, wwpn);
	struct closing *closing;
	bool is_down;
	int rc;

	if (!fc_host)
		return 0;
	closing = xcalloc(1, sizeof(*closing));
	*closing = (struct closing){ .cfs = cfs, .via = cfs_kernel(), .tpg = xasprintf("%s/fc/%s", root, wwpn),
				     .path = xasprintf("%s/issue_lip", fc_host), .value = "1" };
	rc = start(closing);
	if (rc < 0)
		return err_errno(err, rc, "port %s cannot log in again", wwpn);
	if (wait_for(closing, RELOGIN_LIMIT_MS, fc_host, &is_down))
		return end(closing, err);
	return is_down ? 0 : err_set(err, -ETIMEDOUT, "port %s was told to log in again, and its link has not gone down", wwpn);
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
