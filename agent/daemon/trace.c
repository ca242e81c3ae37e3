// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "ha/wire/bytes.h"

struct trace {
	FILE *file;
};

static void put_line(struct trace *trace, json_t *line)
{
	ignore_result(json_dumpf(line, trace->file, JSON_COMPACT));
	(void)putc('\n', trace->file);
	json_decref(line);
}

static json_t *hex(const void *data, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *bytes = data;
	_cleanup_free_ char *text = xcalloc(1, 2 * size + 1);

	for (size_t i = 0; i < size; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	return json_stringn_nocheck(text, 2 * size);
}

static void put_number(json_t *object, const char *key, int64_t value)
{
	if (value)
		json_object_set_new(object, key, json_integer(value));
}

static void put_string(json_t *object, const char *key, const char *value)
{
	if (value)
		json_object_set_new(object, key, json_stringn_nocheck(value, strlen(value)));
}

static json_t *numbers(const uint32_t *values, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(array, json_integer(values[i]));
	return array;
}

static json_t *specs(const struct ha_group_spec *groups, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(array, json_pack("{s:s, s:o, s:I, s:i, s:i, s:I, s:i}", "name", groups[i].name, "nodes",
						       numbers(groups[i].nodes, HA_COPIES_MAX), "prefer",
						       (json_int_t)groups[i].prefer, "placement", (int)groups[i].placement, "weight",
						       (int)groups[i].weight, "failback_s", (json_int_t)groups[i].failback_s,
						       "losses_max", (int)groups[i].losses_max));
	return array;
}

int trace_open(const char *path, const struct ha_settings *settings, struct trace **ret_trace, struct err *err)
{
	json_t *members = json_array();
	struct trace *trace;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0) {
		json_decref(members);
		return err_errno(err, -errno, "--trace: %s", path);
	}
	trace = xcalloc(1, sizeof(*trace));
	trace->file = fdopen(fd, "w");
	for (size_t i = 0; i < settings->n_electorate; i++)
		json_array_append_new(members, json_pack("{s:I, s:s}", "nodeid", (json_int_t)settings->electorate[i].nodeid, "name",
							 settings->electorate[i].name));
	put_line(trace, json_pack("{s:{s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}}", "settings", "nodeid", (json_int_t)settings->nodeid,
				  "electorate", members, "incarnation", (json_int_t)settings->incarnation, "install_wait_ms",
				  (json_int_t)settings->install_wait_ms, "away_limit_ms", (json_int_t)settings->away_limit_ms,
				  "fence_retry_ms", (json_int_t)settings->fence_retry_ms, "calm_ms", (json_int_t)settings->calm_ms, "start_wait_ms",
				  (json_int_t)settings->start_wait_ms, "lease_interval_ms", (json_int_t)settings->lease_interval_ms,
				  "lease_max_ms", (json_int_t)settings->lease_max_ms));
	*ret_trace = trace;
	return 0;
}

void trace_event(struct trace *trace, const struct ha_event *event, int64_t now_ms)
{
	json_t *object;

	if (!trace)
		return;
	object = json_object();
	put_number(object, "type", event->type);
	put_number(object, "nodeid", event->nodeid);
	put_string(object, "group", event->group);
	put_number(object, "epoch", (int64_t)event->epoch);
	put_number(object, "version", (int64_t)event->version);
	put_number(object, "action", event->action);
	put_number(object, "evidence", event->evidence);
	put_number(object, "maintenance", event->maintenance);
	put_number(object, "result", event->result);
	put_string(object, "text", event->text);
	put_number(object, "yes", event->yes);
	if (event->data)
		json_object_set_new(object, "data", hex(event->data, event->size));
	if (event->nodes)
		json_object_set_new(object, "nodes", numbers(event->nodes, event->n_nodes));
	if (event->ring)
		json_object_set_new(object, "ring", numbers(event->ring, event->n_ring));
	put_number(object, "request", event->request);
	put_number(object, "request_id", (int64_t)event->request_id);
	put_number(object, "base_version", (int64_t)event->base_version);
	if (event->groups)
		json_object_set_new(object, "groups", specs(event->groups, event->n_groups));
	put_number(object, "local", event->local);
	put_line(trace, json_pack("{s:I, s:o}", "now", (json_int_t)now_ms, "event", object));
}

void trace_info(struct trace *trace, const void *data, size_t size)
{
	if (trace)
		put_line(trace, json_pack("{s:o}", "info", hex(data, size)));
}

void trace_action(struct trace *trace, const struct ha_action *action)
{
	json_t *object;

	if (!trace)
		return;
	object = json_object();
	put_number(object, "type", action->type);
	put_string(object, "group", action->group);
	put_number(object, "nodeid", action->nodeid);
	put_number(object, "epoch", (int64_t)action->epoch);
	put_number(object, "version", (int64_t)action->version);
	put_number(object, "yes", action->yes);
	put_number(object, "result", action->result);
	put_string(object, "text", action->text);
	put_number(object, "size", (int64_t)action->size);
	put_number(object, "crc", action->data ? bytes_crc32(action->data, action->size) : 0);
	put_number(object, "request_id", (int64_t)action->request_id);
	put_number(object, "deadline_ms", action->deadline_ms);
	put_line(trace, json_pack("{s:o}", "action", object));
}

void trace_flush(struct trace *trace)
{
	if (trace)
		(void)fflush(trace->file);
}
