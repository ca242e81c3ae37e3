// SPDX-License-Identifier: GPL-2.0-or-later
/* target-config/gate/dm.h on devices of the test's world. */
#include "target-config/gate/dm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/netns/doors/world.h"

static json_t *on(const char *op, const char *name)
{
	json_t *request = world_request(op);

	json_object_set_new(request, "name", json_string(name));
	return request;
}

static int simple(const char *op, const char *name)
{
	return world_call(WORLD, on(op, name), NULL);
}

int dm_ready(struct err *err)
{
	(void)err;
	return 0;
}

static void take_lines(const json_t *lines, struct dm_info *info)
{
	json_t *line;
	size_t i;

	info->n_lines = json_array_size(lines);
	json_array_foreach (lines, i, line) {
		json_int_t start, length;
		const char *type, *params;

		if (i == DM_LINES_MAX || json_unpack(line, "[I, I, s, s]", &start, &length, &type, &params) < 0)
			break;
		info->lines[i].start = (uint64_t)start;
		info->lines[i].length = (uint64_t)length;
		snprintf(info->lines[i].type, sizeof(info->lines[i].type), "%.15s", type);
		snprintf(info->lines[i].params, sizeof(info->lines[i].params), "%.63s", params);
	}
}

int dm_inspect(const char *name, struct dm_info *ret_info)
{
	struct dm_info info = { .major = 254 };
	json_t *reply = NULL;
	int rc = world_call(WORLD, on("dm_inspect", name), &reply);

	if (rc == 0) {
		info.exists = json_is_true(json_object_get(reply, "exists"));
		info.suspended = json_is_true(json_object_get(reply, "suspended"));
		info.has_inactive_table = json_is_true(json_object_get(reply, "inactive"));
		info.has_live_table = json_is_array(json_object_get(reply, "live"));
		info.minor = (uint32_t)json_integer_value(json_object_get(reply, "minor"));
		if (info.exists)
			snprintf(info.uuid, sizeof(info.uuid), "%.128s", json_string_value(json_object_get(reply, "uuid")));
		take_lines(json_object_get(reply, "live"), &info);
		*ret_info = info;
	}
	json_decref(reply);
	return rc;
}

int dm_create(const char *name, const char *uuid)
{
	json_t *request = on("dm_create", name);

	json_object_set_new(request, "uuid", json_string(uuid));
	return world_call(WORLD, request, NULL);
}

int dm_load(const char *name, const struct dm_target_line *lines, size_t n)
{
	json_t *request = on("dm_load", name), *array = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(array, json_pack("[I, I, s, s]", (json_int_t)lines[i].start, (json_int_t)lines[i].length,
						       lines[i].type, lines[i].params));
	json_object_set_new(request, "lines", array);
	return world_call(WORLD, request, NULL);
}

int dm_clear(const char *name)
{
	return simple("dm_clear", name);
}

int dm_suspend(const char *name)
{
	return simple("dm_suspend", name);
}

int dm_resume(const char *name)
{
	return simple("dm_resume", name);
}

int dm_remove(const char *name)
{
	return simple("dm_remove", name);
}

int dm_make_node(const char *name, const struct dm_info *info)
{
	(void)name;
	(void)info;
	return 0;
}

/* "name" of the request, "text" of the answer. */
static int translate(const char *op, const char *from, char *ret, size_t size)
{
	json_t *reply = NULL;
	int rc = world_call(WORLD, on(op, from), &reply);

	if (rc == 0)
		snprintf(ret, size, "%s", json_string_value(json_object_get(reply, "text")));
	json_decref(reply);
	return rc;
}

int dm_number(const char *path, char ret_number[32])
{
	return translate("dm_number", path, ret_number, 32);
}

int dm_path(const char *params, char ret_path[64])
{
	return translate("dm_path", params, ret_path, 64);
}

int dm_flush(const char *params)
{
	return simple("dm_flush", params);
}

int dm_list(void (*fn)(void *ctx, const char *name), void *ctx)
{
	json_t *reply = NULL, *name;
	int rc = world_call(WORLD, world_request("dm_list"), &reply);
	size_t i;

	json_array_foreach (json_object_get(reply, "names"), i, name)
		fn(ctx, json_string_value(name));
	json_decref(reply);
	return rc;
}
