// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/drbd-handler/handler.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "agent/ctl/client.h"
#include "base/clock.h"
#include "base/compiler.h"

#define RESOURCE_PREFIX "lunward-"

struct call {
	const char *event;
	const char *object; /* resource, "minor-N" or NULL */
};

static struct call understand(int argc, char **argv)
{
	if (argc >= 3)
		return (struct call){ argv[1], argv[2] };
	return (struct call){ argc == 2 ? argv[1] : "fence-peer", getenv("DRBD_RESOURCE") };
}

/* Refusals that waiting does not change; a daemon that has just started does not yet know its groups, or has no quorum. */
static bool is_final(int code)
{
	return code == -EACCES || code == -EPERM || code == -ESTALE;
}

static int ask_once(const struct handler_settings *settings, const char *resource, int64_t deadline_ms, struct err *err)
{
	json_auto_t *args = json_pack("{s:s}", "resource", resource);
	struct ctl_call call = { .path = settings->socket, .command = "fence-peer", .args = args, .deadline_ms = deadline_ms };

	return args ? ctl_call(&call, NULL, err) : err_set(err, -EPERM, "the name of the resource is not text");
}

static int fence_peer(const struct handler_settings *settings, const char *resource)
{
	int64_t deadline_ms = clock_now_ms() + settings->patience_ms;
	struct err err = ERR_INIT;
	int rc;

	for (;;) {
		rc = ask_once(settings, resource, deadline_ms, &err);
		if (rc == 0)
			return HANDLER_EXIT_OUTDATED;
		if (is_final(rc) || clock_now_ms() + settings->retry_ms >= deadline_ms)
			break;
		(void)poll(NULL, 0, (int)settings->retry_ms);
	}
	syslog(LOG_DAEMON | LOG_ERR, "%s: DRBD may not go on without its peer: %s", resource, err.text);
	return HANDLER_EXIT_NO_ANSWER;
}

int handler_run(const struct handler_settings *settings, int argc, char **argv)
{
	struct call call = understand(argc, argv);
	bool fence = strcmp(call.event, "fence-peer") == 0;

	if (call.object && strncmp(call.object, RESOURCE_PREFIX, strlen(RESOURCE_PREFIX)) == 0)
		return fence ? fence_peer(settings, call.object) : HANDLER_EXIT_DONE;
	/* An administrator's own resource, or a minor, which only drbd.conf knows: as if we were not here. Run by drbdadm, that would
	 * be a circle. */
	if (argc >= 3) {
		execl(settings->drbdadm, settings->drbdadm, call.event, call.object, (char *)NULL);
		syslog(LOG_DAEMON | LOG_ERR, "%s: %m", settings->drbdadm);
	}
	return fence ? HANDLER_EXIT_NO_ANSWER : HANDLER_EXIT_DONE;
}
