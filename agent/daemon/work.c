// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/work.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/thread.h"
#include "base/xalloc.h"

#define WHERE_SIZE 256

struct work {
	struct loop *loop;
	char *what;
	work_fn *fn;
	void *ctx;
	work_done_fn *done;
	work_late_fn *late;
	void *owner;
	struct loop_timer timer;
	int result;
	struct err err;
};

static void finish(void *arg)
{
	struct work *work = arg;

	loop_timer_clear(&work->timer);
	work->done(work->owner, work->ctx, work->result, &work->err);
	free(work->what);
	free(work);
}

static void *run(void *arg)
{
	struct work *work = arg;

	work->result = work->fn(work->ctx, &work->err);
	if (work->result < 0 && !work->err.text[0])
		err_errno(&work->err, work->result, "%s", work->what);
	loop_post(work->loop, finish, work);
	return NULL;
}

static void past_deadline(void *arg)
{
	struct work *work = arg;
	_cleanup_free_ char *what = NULL;
	char where[WHERE_SIZE];

	if (!work->late)
		return;
	threads_in_kernel("/proc/self/task", where, sizeof(where));
	what = *where ? xasprintf("%s (in %s)", work->what, where) : xstrdup(work->what);
	work->late(work->owner, what);
}

void work_start(struct loop *loop, const char *what, int64_t deadline_ms, work_fn *fn, void *ctx, work_done_fn *done,
		work_late_fn *late, void *owner)
{
	struct work *work = xcalloc(1, sizeof(*work));

	*work = (struct work){ .loop = loop, .what = xstrdup(what), .fn = fn, .ctx = ctx, .done = done, .late = late,
			       .owner = owner };
	loop_timer_set(loop, &work->timer, deadline_ms, past_deadline, work);
	if (thread_start(NULL, run, work) < 0) {
		work->result = -EAGAIN;
		err_set(&work->err, -EAGAIN, "%s: cannot start a thread", what);
		loop_post(loop, finish, work);
	}
}
