// SPDX-License-Identifier: GPL-2.0-or-later
/* ha/watchdog/watchdog.h on a watchdog of the test's world, which takes the power from a node that does not pet it. */
#include "ha/watchdog/watchdog.h"

#include <errno.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "tests/netns/doors/world.h"

struct watchdog {
	char *path;
};

static json_t *request_of(const char *op, const char *path)
{
	json_t *request = world_request(op);

	json_object_set_new(request, "name", json_string(path));
	return request;
}

int watchdog_open(const char *path, int timeout_s, bool may_disarm, struct watchdog **ret, struct err *err)
{
	json_t *request = request_of("watchdog_open", path), *reply = NULL;
	int rc;

	json_object_set_new(request, "timeout_s", json_integer(timeout_s));
	json_object_set_new(request, "may_disarm", json_boolean(may_disarm));
	json_object_set_new(request, "pid", json_integer(getpid()));
	rc = world_call(WORLD, request, &reply);
	json_decref(reply);
	if (rc < 0)
		return err_errno(err, rc, "%s: a timeout of %d s", path, timeout_s);
	*ret = xcalloc(1, sizeof(**ret));
	(*ret)->path = xstrdup(path);
	return 0;
}

int watchdog_pet(struct watchdog *watchdog)
{
	return world_call(WORLD, request_of("watchdog_pet", watchdog->path), NULL) < 0 ? -EIO : 0;
}

void watchdog_close(struct watchdog *watchdog, bool disarm)
{
	json_t *request;

	if (!watchdog)
		return;
	request = request_of("watchdog_close", watchdog->path);
	json_object_set_new(request, "disarm", json_boolean(disarm));
	ignore_result(world_call(WORLD, request, NULL));
	free(watchdog->path);
	free(watchdog);
}
