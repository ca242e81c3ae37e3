// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/loop.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <qb/qbloop.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/xalloc.h"

#define MAX_SIGNALS 4
#define MAX_FDS 4096 /* descriptors are small integers: a table by number */

struct fd_slot {
	loop_fd_fn *fn;
	void *ctx;
};

struct post {
	struct post *next;
	loop_call_fn *fn;
	void *ctx;
};

struct signal_slot {
	struct loop *loop;
	loop_call_fn *fn;
	void *ctx;
};

struct loop {
	qb_loop_t *qb;
	struct signal_slot signals[MAX_SIGNALS];
	size_t n_signals;
	struct fd_slot fds[MAX_FDS];
	int wake_fd;
	pthread_mutex_t lock; /* guards the posted list */
	struct post *posted, **posted_tail;
	loop_call_fn *turn;
	void *turn_ctx;
	int turn_queued;
	qb_loop_timer_handle turn_handle;
};

static void run_turn(void *data)
{
	struct loop *loop = data;

	loop->turn_queued = 0;
	if (loop->turn)
		loop->turn(loop->turn_ctx);
}

/*
 * libqb has no hook "after this batch": a timer that is due comes to the same. Not a job: before it runs jobs that are all there is to do,
 * qb_loop_run() waits 50 ms for descriptors, and whatever takes some turns takes that long each.
 */
static void queue_turn(struct loop *loop)
{
	if (loop->turn_queued)
		return;
	loop->turn_queued = qb_loop_timer_add(loop->qb, QB_LOOP_HIGH, 0, loop, run_turn, &loop->turn_handle) == 0;
}

static int32_t dispatch_fd(int32_t fd, int32_t revents, void *data)
{
	struct loop *loop = data;

	if (fd >= 0 && fd < MAX_FDS && loop->fds[fd].fn)
		loop->fds[fd].fn(loop->fds[fd].ctx, fd, revents);
	queue_turn(loop);
	return 0; /* a negative value would make libqb forget the descriptor */
}

int loop_fd_add(struct loop *loop, int fd, int events, loop_fd_fn *fn, void *ctx)
{
	int rc;

	if (fd < 0 || fd >= MAX_FDS)
		return -EMFILE;
	loop->fds[fd] = (struct fd_slot){ fn, ctx };
	rc = qb_loop_poll_add(loop->qb, QB_LOOP_HIGH, fd, events, loop, dispatch_fd);
	if (rc < 0)
		loop->fds[fd] = (struct fd_slot){ NULL, NULL };
	return rc < 0 ? rc : 0;
}

int loop_fd_events(struct loop *loop, int fd, int events)
{
	int rc = qb_loop_poll_mod(loop->qb, QB_LOOP_HIGH, fd, events, loop, dispatch_fd);

	return rc < 0 ? rc : 0;
}

void loop_fd_del(struct loop *loop, int fd)
{
	if (fd < 0 || fd >= MAX_FDS || !loop->fds[fd].fn)
		return;
	(void)qb_loop_poll_del(loop->qb, fd);
	loop->fds[fd] = (struct fd_slot){ NULL, NULL };
}

static void fire_timer(void *data)
{
	struct loop_timer *timer = data;

	timer->armed = 0;
	timer->fn(timer->ctx);
	queue_turn(timer->loop);
}

void loop_timer_clear(struct loop_timer *timer)
{
	if (timer->armed)
		(void)qb_loop_timer_del(timer->loop->qb, timer->handle);
	timer->armed = 0;
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, int64_t deadline_ms, loop_call_fn *fn, void *ctx)
{
	int64_t wait_ms = MAX(deadline_ms - clock_now_ms(), (int64_t)0);

	loop_timer_clear(timer);
	*timer = (struct loop_timer){ .loop = loop, .fn = fn, .ctx = ctx };
	timer->armed = qb_loop_timer_add(loop->qb, QB_LOOP_HIGH, (uint64_t)wait_ms * 1000000, timer, fire_timer,
					 &timer->handle) == 0;
}

static int32_t dispatch_signal(int32_t signo, void *data)
{
	struct signal_slot *slot = data;

	(void)signo;
	slot->fn(slot->ctx);
	queue_turn(slot->loop);
	return 0;
}

int loop_signal_add(struct loop *loop, int signo, loop_call_fn *fn, void *ctx)
{
	struct signal_slot *slot = &loop->signals[loop->n_signals];
	int rc;

	if (loop->n_signals == MAX_SIGNALS)
		return -ENOSPC;
	*slot = (struct signal_slot){ loop, fn, ctx };
	rc = qb_loop_signal_add(loop->qb, QB_LOOP_HIGH, signo, slot, dispatch_signal, NULL);
	loop->n_signals += rc == 0;
	return rc;
}

static void look_at_the_time(void *ctx)
{
	(void)ctx; /* libqb does, in each round */
}

static void run_posted(void *ctx, int fd, int revents)
{
	struct loop *loop = ctx;
	struct post *list;
	uint64_t count;

	(void)revents;
	while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
	pthread_mutex_lock(&loop->lock);
	list = loop->posted;
	loop->posted = NULL;
	loop->posted_tail = &loop->posted;
	pthread_mutex_unlock(&loop->lock);
	while (list) {
		struct post *post = list;

		list = post->next;
		post->fn(post->ctx);
		free(post);
	}
}

void loop_post(struct loop *loop, loop_call_fn *fn, void *ctx)
{
	struct post *post = xcalloc(1, sizeof(*post));
	uint64_t one = 1;

	post->fn = fn;
	post->ctx = ctx;
	pthread_mutex_lock(&loop->lock);
	*loop->posted_tail = post;
	loop->posted_tail = &post->next;
	pthread_mutex_unlock(&loop->lock);
	/* An eventfd of less than 2^64-1 wake-ups never blocks. */
	while (write(loop->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/*
 * libqb begins the whole wait anew after a signal (_poll_and_add_to_jobs_() of its loop_poll_epoll.c): as long as signals come more often
 * than timers, no timer fires. Two come to this thread that nobody handles: SIGCHLD for a child of a worker, which blocks it itself
 * (complete_signal() takes whoever does not), and SIGCONT.
 */
static void keep_signals_from_the_wait(struct loop *loop)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (loop_signal_add(loop, SIGCONT, look_at_the_time, NULL) < 0) /* makes a descriptor readable, which does end the wait */
		abort();
}

struct loop *loop_new(void)
{
	struct loop *loop = xcalloc(1, sizeof(*loop));

	loop->posted_tail = &loop->posted;
	pthread_mutex_init(&loop->lock, NULL);
	loop->qb = qb_loop_create();
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!loop->qb || loop->wake_fd < 0 || loop_fd_add(loop, loop->wake_fd, POLLIN, run_posted, loop) < 0)
		abort(); /* at start, with nothing done yet */
	keep_signals_from_the_wait(loop);
	return loop;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	loop_fd_del(loop, loop->wake_fd);
	close(loop->wake_fd);
	qb_loop_destroy(loop->qb);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

void loop_run(struct loop *loop, loop_call_fn *turn, void *ctx)
{
	loop->turn = turn;
	loop->turn_ctx = ctx;
	queue_turn(loop);
	qb_loop_run(loop->qb);
}

void loop_stop(struct loop *loop)
{
	qb_loop_stop(loop->qb);
}
