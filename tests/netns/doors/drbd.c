// SPDX-License-Identifier: GPL-2.0-or-later
/* target-config/backend/drbd.h on the DRBD of the test's world, which speaks drbdsetup's own language about states. */
#include "target-config/backend/drbd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "tests/netns/doors/world.h"

static int finish(json_t *request, json_t **ret_reply, struct err *err)
{
	json_t *reply = NULL;
	int rc = world_call(WORLD, request, &reply);
	const char *text = json_string_value(json_object_get(reply, "text"));

	if (rc < 0)
		err_set(err, rc, "DRBD: %s", text ? text : strerror(-rc));
	if (ret_reply && rc == 0)
		*ret_reply = reply;
	else
		json_decref(reply);
	return rc;
}

static int on_minor(const char *op, uint32_t minor, struct err *err)
{
	json_t *request = world_request(op);

	json_object_set_new(request, "minor", json_integer((json_int_t)minor));
	return finish(request, NULL, err);
}

int drbd_snapshot(const char *resource, struct drbd_table **ret_table, struct err *err)
{
	json_t *request = world_request("drbd_snapshot"), *reply = NULL, *line;
	struct drbd_table *table;
	size_t i;
	int rc;

	json_object_set_new(request, "resource", resource ? json_string(resource) : json_null());
	rc = finish(request, &reply, err);
	if (rc < 0)
		return rc;
	table = drbd_table_new();
	json_array_foreach (json_object_get(reply, "lines"), i, line)
		if (drbd_table_line(table, json_string_value(line)) == -EINVAL)
			rc = err_set(err, -EBADMSG, "cannot read \"%s\"", json_string_value(line));
	json_decref(reply);
	if (rc < 0)
		drbd_table_free(table);
	else
		*ret_table = table;
	return rc;
}

/* There is no /proc/drbd here: nobody asks. */
int drbd_proc_line(const char *text, uint32_t minor, struct drbd_proc_state *ret)
{
	(void)text;
	(void)minor;
	(void)ret;
	return -EOPNOTSUPP;
}

int drbd_load_module(struct err *err)
{
	(void)err;
	return 0;
}

int drbd_create_metadata(uint32_t minor, const char *device, struct err *err)
{
	(void)device;
	return on_minor("drbd_create_metadata", minor, err);
}

int drbd_adjust(const char *resource, struct err *err)
{
	json_t *request = world_request("drbd_adjust");

	json_object_set_new(request, "resource", json_string(resource));
	return finish(request, NULL, err);
}

int drbd_set_role(uint32_t minor, bool primary, struct err *err)
{
	return on_minor(primary ? "drbd_primary" : "drbd_secondary", minor, err);
}

int drbd_disconnect(const struct drbd_endpoint *local, const struct drbd_endpoint *remote, struct err *err)
{
	json_t *request = world_request("drbd_disconnect");

	(void)local;
	json_object_set_new(request, "address", json_string(remote->address));
	json_object_set_new(request, "port", json_integer(remote->port));
	return finish(request, NULL, err);
}

int drbd_detach(uint32_t minor, struct err *err)
{
	return on_minor("drbd_detach", minor, err);
}

int drbd_resume_io(uint32_t minor, struct err *err)
{
	return on_minor("drbd_resume_io", minor, err);
}

int drbd_declare_equal(uint32_t minor, struct err *err)
{
	return on_minor("drbd_declare_equal", minor, err);
}

int drbd_resize(uint32_t minor, struct err *err)
{
	return on_minor("drbd_nothing", minor, err);
}

int drbd_remember_size(uint32_t minor, struct err *err)
{
	return on_minor("drbd_nothing", minor, err);
}
