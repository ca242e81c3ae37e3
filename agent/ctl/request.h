/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a client asks, out of the body of a frame. Pure. */
#ifndef AGENT_CTL_REQUEST_H
#define AGENT_CTL_REQUEST_H

#include <jansson.h>

#include "base/compiler.h"
#include "base/err.h"

/* {"command": "...", "args": {...}}, args may be absent, nothing else may be there. *ret_command is borrowed from, and
 * *ret_args part of, *ret_root, which the caller releases; *ret_args is never NULL. */
int request_parse(const char *body, size_t size, json_t **ret_root, const char **ret_command, json_t **ret_args,
		  struct err *err) must_check;

#endif
