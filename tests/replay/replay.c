// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tells the core a life that a lunwardd has written down (--trace) once more and compares what it answers, action by action:
 *
 *   replay TRACE...
 *
 * A trace may end anywhere, as with the death of its daemon. The exit status is 0 if each life came out the same.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "ha/core/core.h"
#include "ha/wire/bytes.h"

#define DIFFERENCES_SHOWN 5

struct replay {
	const char *path;
	size_t line;
	struct ha_core *core;
	size_t n_steps, n_actions, n_different;
};

static int64_t number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static const char *string(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* Caller frees; NULL if there is none. */
static void *bytes(const json_t *object, const char *key, size_t *ret_size)
{
	const char *text = string(object, key);
	unsigned char *data;

	*ret_size = 0;
	if (!text)
		return NULL;
	*ret_size = strlen(text) / 2;
	data = xcalloc(1, *ret_size + 1);
	for (size_t i = 0; i < *ret_size; i++) {
		const char digits[3] = { text[2 * i], text[2 * i + 1], '\0' };

		data[i] = (unsigned char)strtoul(digits, NULL, 16);
	}
	return data;
}

static uint32_t *numbers(const json_t *array, size_t *ret_n)
{
	size_t n = json_array_size(array);
	uint32_t *values = array ? xcalloc(n + 1, sizeof(*values)) : NULL;

	for (size_t i = 0; i < n; i++)
		values[i] = (uint32_t)json_integer_value(json_array_get(array, i));
	*ret_n = n;
	return values;
}

static struct ha_group_spec *specs(const json_t *array, size_t *ret_n)
{
	size_t n = json_array_size(array);
	struct ha_group_spec *values = array ? xcalloc(n + 1, sizeof(*values)) : NULL;

	for (size_t i = 0; i < n; i++) {
		const json_t *spec = json_array_get(array, i), *nodes = json_object_get(spec, "nodes");

		snprintf(values[i].name, sizeof(values[i].name), "%s", string(spec, "name"));
		for (size_t k = 0; k < HA_COPIES_MAX; k++)
			values[i].nodes[k] = (uint32_t)json_integer_value(json_array_get(nodes, k));
		values[i].prefer = (uint32_t)number(spec, "prefer");
		values[i].placement = (enum ha_placement)number(spec, "placement");
		values[i].weight = (uint16_t)number(spec, "weight");
		values[i].failback_s = (uint32_t)number(spec, "failback_s");
		values[i].losses_max = (uint8_t)number(spec, "losses_max");
	}
	*ret_n = n;
	return values;
}

static void begin(struct replay *replay, const json_t *object)
{
	const json_t *members = json_object_get(object, "electorate");
	struct ha_settings settings = { .nodeid = (uint32_t)number(object, "nodeid"),
					.n_electorate = MIN(json_array_size(members), (size_t)HA_NODES_MAX),
					.incarnation = (uint64_t)number(object, "incarnation"),
					.install_wait_ms = number(object, "install_wait_ms"),
					.away_limit_ms = number(object, "away_limit_ms"),
					.fence_retry_ms = number(object, "fence_retry_ms"),
					.calm_ms = number(object, "calm_ms"),
					.start_wait_ms = number(object, "start_wait_ms"),
					.lease_interval_ms = number(object, "lease_interval_ms"),
					.lease_max_ms = number(object, "lease_max_ms") };

	for (size_t i = 0; i < settings.n_electorate; i++) {
		const json_t *member = json_array_get(members, i);

		settings.electorate[i].nodeid = (uint32_t)number(member, "nodeid");
		snprintf(settings.electorate[i].name, sizeof(settings.electorate[i].name), "%s", string(member, "name"));
	}
	replay->core = ha_core_new(&settings);
}

static void step(struct replay *replay, const json_t *object, int64_t now_ms)
{
	_cleanup_free_ void *data = NULL;
	_cleanup_free_ uint32_t *nodes = NULL, *ring = NULL;
	_cleanup_free_ struct ha_group_spec *groups = NULL;
	struct ha_event event = { .type = (enum ha_event_type)number(object, "type"),
				  .nodeid = (uint32_t)number(object, "nodeid"),
				  .group = string(object, "group"),
				  .epoch = (uint64_t)number(object, "epoch"),
				  .version = (uint64_t)number(object, "version"),
				  .action = (enum ha_action_type)number(object, "action"),
				  .evidence = (enum ha_evidence)number(object, "evidence"),
				  .maintenance = (enum ha_maintenance)number(object, "maintenance"),
				  .result = (int)number(object, "result"),
				  .text = string(object, "text"),
				  .yes = number(object, "yes"),
				  .request = (enum ha_request)number(object, "request"),
				  .request_id = (uint64_t)number(object, "request_id"),
				  .base_version = (uint64_t)number(object, "base_version"),
				  .local = (enum ha_local)number(object, "local") };

	event.data = data = bytes(object, "data", &event.size);
	event.nodes = nodes = numbers(json_object_get(object, "nodes"), &event.n_nodes);
	event.ring = ring = numbers(json_object_get(object, "ring"), &event.n_ring);
	event.groups = groups = specs(json_object_get(object, "groups"), &event.n_groups);
	ha_core_step(replay->core, &event, now_ms);
	replay->n_steps++;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static void compare(struct replay *replay, const json_t *object)
{
	struct ha_action action;
	bool there = ha_core_next_action(replay->core, &action);
	bool same = there && (int64_t)action.type == number(object, "type") && same_text(action.group, string(object, "group")) &&
		    action.nodeid == number(object, "nodeid") && (int64_t)action.epoch == number(object, "epoch") &&
		    (int64_t)action.version == number(object, "version") && action.yes == (number(object, "yes") != 0) &&
		    action.result == number(object, "result") && same_text(action.text, string(object, "text")) &&
		    (int64_t)action.size == number(object, "size") &&
		    (action.data ? bytes_crc32(action.data, action.size) : 0) == number(object, "crc") &&
		    (int64_t)action.request_id == number(object, "request_id") && action.deadline_ms == number(object, "deadline_ms");

	replay->n_actions++;
	if (same)
		return;
	if (replay->n_different++ < DIFFERENCES_SHOWN) {
		_cleanup_free_ char *text = json_dumps(object, JSON_COMPACT);

		fprintf(stderr, "%s:%zu: was %s, is %s type %d group %s epoch %" PRIu64 " version %" PRIu64 " text %s\n", replay->path,
			replay->line, text, there ? "" : "nothing,", there ? (int)action.type : -1,
			there && action.group ? action.group : "-", there ? action.epoch : 0, there ? action.version : 0,
			there && action.text ? action.text : "-");
	}
}

/* Actions that were not taken when the trace says that something new began. */
static void expect_drained(struct replay *replay)
{
	struct ha_action action;

	while (replay->core && ha_core_next_action(replay->core, &action)) {
		if (replay->n_different++ < DIFFERENCES_SHOWN)
			fprintf(stderr, "%s:%zu: one action more, of type %d\n", replay->path, replay->line, (int)action.type);
	}
}

static int take_line(struct replay *replay, const json_t *line)
{
	const json_t *part;
	size_t size;

	part = json_object_get(line, "action");
	if (part && replay->core) {
		compare(replay, part);
		return 0;
	}
	part = json_object_get(line, "settings");
	if (part && !replay->core) {
		begin(replay, part);
		return 0;
	}
	part = json_object_get(line, "event");
	if (part && replay->core) {
		expect_drained(replay);
		step(replay, part, number(line, "now"));
		return 0;
	}
	if (json_object_get(line, "info") && replay->core) {
		_cleanup_free_ void *data = bytes(line, "info", &size);

		ha_core_send_info(replay->core, data, size);
		return 0;
	}
	return -EBADMSG;
}

static int replay_file(const char *path)
{
	struct replay replay = { .path = path };
	_cleanup_free_ char *text = NULL;
	size_t cap = 0;
	FILE *file = fopen(path, "r");
	int rc = 0;

	if (!file) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -errno;
	}
	while (rc == 0 && getline(&text, &cap, file) > 0) {
		json_t *line;

		replay.line++;
		if (!strchr(text, '\n'))
			break; /* its writer was killed */
		line = json_loads(text, JSON_ALLOW_NUL, NULL);
		rc = take_line(&replay, line);
		if (rc < 0)
			fprintf(stderr, "%s:%zu: not a line of a trace\n", path, replay.line);
		json_decref(line);
	}
	fclose(file);
	ha_core_free(replay.core);
	printf("%s: %zu steps, %zu actions, %zu different\n", path, replay.n_steps, replay.n_actions, replay.n_different);
	if (rc == 0 && (replay.n_different || !replay.n_steps))
		rc = -EREMOTEIO;
	return rc;
}

int main(int argc, char **argv)
{
	int failed = argc < 2;

	for (int i = 1; i < argc; i++)
		failed |= replay_file(argv[i]) < 0;
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
