/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's main loop: file descriptors, timers, signals and calls posted from other threads. The door to libqb's
 * qbloop. Everything runs in the thread that called loop_run(), except loop_post().
 */
#ifndef AGENT_DAEMON_LOOP_H
#define AGENT_DAEMON_LOOP_H

#include <stdint.h>

#include "base/compiler.h"

struct loop;

typedef void loop_fd_fn(void *ctx, int fd, int revents); /* poll(2) bits */
typedef void loop_call_fn(void *ctx);

struct loop *loop_new(void) must_check;
void loop_free(struct loop *loop);

/* Until loop_stop(). After each batch of events `turn` is called: the place to act on what the handlers recorded. */
void loop_run(struct loop *loop, loop_call_fn *turn, void *ctx);
void loop_stop(struct loop *loop);

/* The fd is borrowed; remove it before closing it. */
int loop_fd_add(struct loop *loop, int fd, int events, loop_fd_fn *fn, void *ctx) must_check;
int loop_fd_events(struct loop *loop, int fd, int events) must_check;
void loop_fd_del(struct loop *loop, int fd);

/* One-shot timer; embed it, zeroed. Setting an armed timer moves it. Deadlines are clock_now_ms() times. */
struct loop_timer {
	struct loop *loop;
	uint64_t handle;
	loop_call_fn *fn;
	void *ctx;
	int armed;
};
void loop_timer_set(struct loop *loop, struct loop_timer *timer, int64_t deadline_ms, loop_call_fn *fn, void *ctx);
void loop_timer_clear(struct loop_timer *timer);

int loop_signal_add(struct loop *loop, int signo, loop_call_fn *fn, void *ctx) must_check;

/* From any thread: fn(ctx) runs in the loop's thread soon. Never blocks, never fails. */
void loop_post(struct loop *loop, loop_call_fn *fn, void *ctx);

#endif
