// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/json.h"

#include <string.h>

const char *json_text(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

const json_t *json_find(const json_t *list, const char *key, const char *value)
{
	const json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		if (strcmp(json_text(item, key), value) == 0)
			return item;
	}
	return NULL;
}

const json_t *json_group(const json_t *status, const char *name)
{
	return json_find(json_object_get(status, "groups"), "name", name);
}

bool json_names(const json_t *list, const char *name)
{
	const json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		if (json_is_string(item) && strcmp(json_string_value(item), name) == 0)
			return true;
	}
	return false;
}
