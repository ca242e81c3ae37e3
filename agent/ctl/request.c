// SPDX-License-Identifier: GPL-2.0-or-later
/* What a client asks. */
#include <errno.h>
#include <string.h>

#include "agent/ctl/frame.h"
#include "agent/ctl/request.h"

static int check(json_t *root, struct err *err)
{
	json_t *value;
	const char *key;

	json_object_foreach (root, key, value) {
		if (strcmp(key, "command") != 0 && strcmp(key, "args") != 0)
			return err_set(err, -EINVAL, "request: unknown member \"%.40s\"", key);
	}
	if (!json_is_string(json_object_get(root, "command")))
		return err_set(err, -EINVAL, "request: \"command\" must be a string");
	value = json_object_get(root, "args");
	if (!value)
		json_object_set_new(root, "args", json_object());
	else if (!json_is_object(value))
		return err_set(err, -EINVAL, "request: \"args\" must be an object");
	return 0;
}

int request_parse(const char *body, size_t size, json_t **ret_root, const char **ret_command, json_t **ret_args,
		  struct err *err)
{
	json_t *root = NULL;
	int rc = frame_parse(body, size, &root, err);

	if (rc < 0)
		return rc;
	rc = check(root, err);
	if (rc < 0) {
		json_decref(root);
		return rc;
	}
	*ret_root = root;
	*ret_command = json_string_value(json_object_get(root, "command"));
	*ret_args = json_object_get(root, "args");
	return 0;
}
