/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the core was told and what it answered, as lines of JSON, so that a life of this node can be told to the same core again
 * (tests/replay). Off unless --trace names a file. It holds the document with its secrets: mode 0600.
 *
 *   {"settings": {...}}                        first line
 *   {"now": ms, "event": {...}}                one ha_core_step(); members that are 0 are left out, bytes are hexadecimal
 *   {"info": "..."}                            one ha_core_send_info()
 *   {"action": {...}}                          one ha_core_next_action(); of bytes only size and CRC
 */
#ifndef AGENT_DAEMON_TRACE_H
#define AGENT_DAEMON_TRACE_H

#include <stdint.h>

#include "base/err.h"
#include "ha/core/core.h"

struct trace;

int trace_open(const char *path, const struct ha_settings *settings, struct trace **ret_trace, struct err *err) must_check;
/* All of these accept NULL. What was said before trace_flush() survives a kill. */
void trace_event(struct trace *trace, const struct ha_event *event, int64_t now_ms);
void trace_info(struct trace *trace, const void *data, size_t size);
void trace_action(struct trace *trace, const struct ha_action *action);
void trace_flush(struct trace *trace);

#endif
