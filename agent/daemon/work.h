/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work that may block (configfs, device-mapper, DRBD, programs, fsync): each piece runs on a thread of its own, so that one
 * that hangs in the kernel holds up nobody else. Its end, and the passing of its deadline, are told in the loop's thread.
 */
#ifndef AGENT_DAEMON_WORK_H
#define AGENT_DAEMON_WORK_H

#include "agent/daemon/loop.h"
#include "base/err.h"

/* Runs in the worker thread; owns what ctx points to until `done`. */
typedef int work_fn(void *ctx, struct err *err);
/* In the loop, exactly once, when the work has ended; frees ctx. */
typedef void work_done_fn(void *owner, void *ctx, int result, const struct err *err);
/* In the loop, at most once, before `done`: the deadline has passed and the work is still running. It cannot be
 * stopped (a thread in the kernel cannot); the owner must not start another of its kind. `what` says also where in the kernel, if any
 * thread of this process hangs there: "target (in iscsit_cause_connection_reinstatement)". */
typedef void work_late_fn(void *owner, const char *what);

/* `what` names the work in messages; copied. late may be NULL. */
void work_start(struct loop *loop, const char *what, int64_t deadline_ms, work_fn *fn, void *ctx, work_done_fn *done,
		work_late_fn *late, void *owner);

#endif
