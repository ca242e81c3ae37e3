/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One command to the daemon, with a deadline. Blocks; for programs without a loop of their own. */
#ifndef AGENT_CTL_CLIENT_H
#define AGENT_CTL_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/compiler.h"
#include "base/err.h"

struct ctl_call {
	const char *path; /* of the socket; NULL: CTL_SOCKET_PATH */
	const char *command;
	json_t *args; /* borrowed; NULL: {} */
	int64_t deadline_ms; /* clock_now_ms() time; INT64_MAX: none */
	void (*progress)(void *ctx, const char *text);      /* NULL: not wanted */
	bool (*update)(void *ctx, const json_t *update);    /* false: enough, ends the call with 0 and no result */
	void *ctx;
};

/* 0 and *ret_result (caller releases; NULL allowed). -ECONNREFUSED: no daemon here. -ECONNRESET: it went away before it
 * answered: what was asked may or may not be done. -ETIMEDOUT: deadline. Otherwise the daemon's own error, its text in err.
 * The server must run as root or as the caller: somebody else's socket at that path is refused (-EPERM). */
int ctl_call(const struct ctl_call *call, json_t **ret_result, struct err *err) must_check;

#endif
