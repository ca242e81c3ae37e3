// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/parallel.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/thread.h"
#include "base/xalloc.h"

struct shared_loop {
	atomic_size_t next;
	size_t n;
	int (*fn)(void *ctx, size_t index, struct err *err);
	void *ctx;
	pthread_mutex_t lock; /* guards the three below */
	size_t failed_index;
	int result;
	struct err err;
};

static void *run_items(void *arg)
{
	struct shared_loop *loop = arg;
	size_t i;

	while ((i = atomic_fetch_add(&loop->next, 1)) < loop->n) {
		struct err err = ERR_INIT;
		int rc = loop->fn(loop->ctx, i, &err);

		if (rc == 0)
			continue;
		pthread_mutex_lock(&loop->lock);
		if (loop->result == 0 || i < loop->failed_index) {
			loop->failed_index = i;
			loop->result = rc;
			loop->err = err;
		}
		pthread_mutex_unlock(&loop->lock);
	}
	return NULL;
}

int parallel_for(size_t n, unsigned int threads, int (*fn)(void *ctx, size_t index, struct err *err), void *ctx,
		 struct err *err)
{
	struct shared_loop loop = { .n = n, .fn = fn, .ctx = ctx, .lock = PTHREAD_MUTEX_INITIALIZER };
	size_t extra = MIN((size_t)MAX(threads, 1u), n);
	_cleanup_free_ pthread_t *tids = NULL;
	size_t started = 0;

	extra = extra > 0 ? extra - 1 : 0; /* the caller works too */
	if (extra > 0)
		tids = xcalloc(extra, sizeof(*tids));
	while (started < extra && thread_start(&tids[started], run_items, &loop) == 0)
		started++;
	run_items(&loop);
	for (size_t i = 0; i < started; i++)
		pthread_join(tids[i], NULL);
	if (loop.result < 0 && err)
		*err = loop.err;
	return loop.result;
}

struct runs { /* run i: the items [starts[i], starts[i + 1]) */
	size_t *starts, n, cap;
	int (*fn)(void *ctx, size_t start, size_t end, struct err *err);
	void *ctx;
};

static int do_run(void *ctx, size_t index, struct err *err)
{
	struct runs *runs = ctx;

	return runs->fn(runs->ctx, runs->starts[index], runs->starts[index + 1], err);
}

int parallel_runs(size_t n, unsigned int threads, bool (*follows)(const void *ctx, size_t index),
		  int (*fn)(void *ctx, size_t start, size_t end, struct err *err), void *ctx, struct err *err)
{
	struct runs runs = { .fn = fn, .ctx = ctx };
	int rc;

	for (size_t i = 0; i < n; i++) {
		if (i == 0 || !follows(ctx, i))
			*array_push(runs.starts, runs.n, runs.cap) = i;
	}
	*array_push(runs.starts, runs.n, runs.cap) = n;
	rc = parallel_for(runs.n - 1, threads, do_run, &runs, err);
	free(runs.starts);
	return rc;
}
