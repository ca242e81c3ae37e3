// SPDX-License-Identifier: GPL-2.0-or-later
/* resource role, promote, demote: what the resource agent of Pacemaker asks and has done, always about the node it runs on. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/cli/flow.h"
#include "agent/cli/json.h"
#include "agent/ctl/client.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/xalloc.h"

#define RETRY_MS 250

/* Through the gates, as the kernel target goes. */
static int check_flow(const struct cli *cli, const json_t *group, struct err *err)
{
	const json_t *volumes = json_object_get(group, "volumes");
	size_t n = json_array_size(volumes);
	_cleanup_free_ char **paths = xcalloc(n ? n : 1, sizeof(*paths));
	int64_t deadline_ms = clock_now_ms() + cli->timeout_s * INT64_C(1000);
	int rc;

	for (size_t i = 0; i < n; i++)
		paths[i] = xasprintf("/dev/mapper/lunward-%s", json_text(json_array_get(volumes, i), "name"));
	rc = flow_check((const char *const *)paths, n, deadline_ms, err);
	for (size_t i = 0; i < n; i++)
		free(paths[i]);
	return rc;
}

/* What an owner's hosts see on its ports, and whether they get answers. */
static const char *owner_role(const struct cli *cli, const char *me, const json_t *group, char *reason, size_t size)
{
	struct err err = ERR_INIT;
	const char *alua = json_text(json_object_get(group, "alua"), me);

	if (strcmp(json_text(group, "phase"), "owned") != 0)
		return "changing";
	if (strcmp(alua, "active/optimized") != 0) {
		snprintf(reason, size, "hosts see %s on the ports of this node", alua[0] ? alua : "nothing");
		return "broken";
	}
	if (check_flow(cli, group, &err) < 0) {
		snprintf(reason, size, "%s", err.text);
		return "broken";
	}
	if (!json_names(json_object_get(group, "current"), me)) {
		snprintf(reason, size, "its disk has failed: hosts are served over the peer's copy");
		return "diskless";
	}
	return "owner";
}

static const char *role_of(const struct cli *cli, const json_t *status, const json_t *group, char *reason, size_t size)
{
	const char *me = json_text(status, "node");

	if (!json_names(json_object_get(group, "nodes"), me))
		return "none";
	if (strcmp(json_text(group, "owner"), me) == 0 && strcmp(json_text(group, "phase"), "orphaned") != 0) {
		if (json_is_true(json_object_get(status, "quorate")))
			return owner_role(cli, me, group, reason, size);
		snprintf(reason, size, "no quorum: nothing is served here");
		return "stale";
	}
	if (json_names(json_object_get(group, "current"), me) && json_names(json_object_get(group, "ready"), me))
		return "spare";
	snprintf(reason, size, "%s", json_names(json_object_get(group, "current"), me) ? "its storage or target is not ready" :
										 "its copy lacks writes");
	return "stale";
}

/* What passes by itself: another change of the group, a lost owner being fenced, nodes that are just agreeing, an agent that is
 * being restarted. */
static bool may_pass(int rc)
{
	return rc == -EBUSY || rc == -EHOSTUNREACH || rc == -EAGAIN || rc == -ENOTCONN || rc == -ECONNREFUSED || rc == -ECONNRESET;
}

/* One look; "" with err set if it could not be had. */
static const char *look(const struct cli *cli, json_t **ret_status, char *reason, size_t size, struct err *err)
{
	const json_t *group;

	if (cli_call(cli, "status", NULL, ret_status, err) < 0)
		return "";
	group = json_group(*ret_status, cli->args[0]);
	if (group)
		return role_of(cli, *ret_status, group, reason, size);
	err_set(err, -ENOENT, "no group \"%s\"; see `lunward status`", cli->args[0]);
	return "";
}

/* A change of the group, an agent that is being restarted: worth some patience, since the answer decides about a recovery. */
static bool is_worth_another_look(const char *role, const struct err *err)
{
	return role[0] ? strcmp(role, "changing") == 0 : may_pass(err->code);
}

enum cli_exit cmd_resource_role(struct cli *cli)
{
	int64_t deadline_ms = clock_now_ms() + cli->timeout_s * INT64_C(1000);
	json_auto_t *answer = NULL;
	json_t *status = NULL;
	struct err err = ERR_INIT;
	char reason[ERR_TEXT_SIZE] = "";
	const char *role, *placement;

	while (role = look(cli, &status, reason, sizeof(reason), &err),
	       is_worth_another_look(role, &err) && clock_now_ms() + RETRY_MS < deadline_ms) {
		json_decref(status);
		status = NULL;
		(void)poll(NULL, 0, RETRY_MS);
	}
	if (!role[0]) {
		json_decref(status);
		return cli_fail(cli, &err);
	}
	placement = json_text(json_group(status, cli->args[0]), "placement");
	if (cli->json) {
		answer = json_pack("{s:s, s:s, s:s}", "role", role, "placement", placement, "reason", reason);
		cli_print_json(answer);
	} else {
		printf("%s %s\n", role, placement);
		if (reason[0])
			fprintf(stderr, "lunward: %s: %s: %s: %s\n", cli->verb->name, cli->args[0], role, reason);
	}
	json_decref(status);
	return CLI_EXIT_OK;
}

static enum cli_exit insist(struct cli *cli, const char *command)
{
	int64_t deadline_ms = clock_now_ms() + cli->timeout_s * INT64_C(1000);
	struct ctl_call call = { .path = cli->socket, .command = command, .deadline_ms = deadline_ms };
	struct err err = ERR_INIT, last = ERR_INIT;
	int rc;

	call.args = json_pack("{s:s}", "group", cli->args[0]);
	while ((rc = ctl_call(&call, NULL, &err)) < 0 && may_pass(rc) && clock_now_ms() + RETRY_MS < deadline_ms) {
		if (strcmp(err.text, last.text) != 0)
			fprintf(stderr, "%s: %s\n", cli->verb->name, err.text);
		last = err;
		(void)poll(NULL, 0, RETRY_MS);
	}
	json_decref(call.args);
	/* Why it did not come about says more than that the time was up. */
	if (rc == -ETIMEDOUT && last.code)
		err = last;
	return rc < 0 ? cli_fail(cli, &err) : CLI_EXIT_OK;
}

enum cli_exit cmd_resource_promote(struct cli *cli)
{
	return insist(cli, "promote");
}

enum cli_exit cmd_resource_demote(struct cli *cli)
{
	return insist(cli, "demote");
}
