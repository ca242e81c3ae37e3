// SPDX-License-Identifier: GPL-2.0-or-later
/* move, release, node maintenance, node confirm-down: who serves. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "agent/cli/suggest.h"
#include "base/cleanup.h"
#include "base/strbuf.h"

#define LOOK_TIMEOUT_S 5

static json_t *look(const struct cli *cli)
{
	struct cli quick = *cli;
	json_t *status = NULL;

	quick.timeout_s = LOOK_TIMEOUT_S;
	return cli_call(&quick, "status", NULL, &status, NULL) < 0 ? NULL : status;
}

/* Says nothing if the name exists. */
static void suggest_name(const json_t *status, const char *list, const char *word)
{
	const json_t *item;
	struct suggest suggest = { .word = word };
	size_t i;

	json_array_foreach (json_object_get(status, list), i, item) {
		const char *name = json_string_value(json_object_get(item, "name"));

		if (name)
			suggest_consider(&suggest, name);
	}
	if (suggest.best && suggest.distance > 0)
		fprintf(stderr, "lunward: did you mean %s?\n", suggest.best);
}

static enum cli_exit finish(const struct cli *cli, int rc, const json_t *result, const struct err *err, const char *group,
			    const char *node)
{
	enum cli_exit code;

	if (rc == 0) {
		if (cli->json)
			cli_print_json(result);
		return CLI_EXIT_OK;
	}
	code = cli_fail(cli, err);
	if (rc == -ENOENT) {
		json_auto_t *status = look(cli);

		if (group)
			suggest_name(status, "groups", group);
		if (node)
			suggest_name(status, "nodes", node);
	}
	return code;
}

enum cli_exit cmd_move(struct cli *cli)
{
	json_auto_t *result = NULL;
	struct err err = ERR_INIT;
	int rc = cli_call(cli, "move", json_pack("{s:s, s:s}", "group", cli->args[0], "node", cli->args[1]), &result, &err);

	if (rc == 0 && !cli->json)
		printf("%s is served by %s\n", cli->args[0], cli->args[1]);
	return finish(cli, rc, result, &err, cli->args[0], cli->args[1]);
}

enum cli_exit cmd_release(struct cli *cli)
{
	json_auto_t *result = NULL;
	struct err err = ERR_INIT;
	int rc = cli_call(cli, "release", json_pack("{s:s}", "group", cli->args[0]), &result, &err);

	if (rc == 0 && !cli->json)
		printf("%s is served by nobody; `lunward move %s NODE` ends that\n", cli->args[0], cli->args[0]);
	return finish(cli, rc, result, &err, cli->args[0], NULL);
}

enum cli_exit cmd_maintenance(struct cli *cli)
{
	json_auto_t *result = NULL;
	struct err err = ERR_INIT;
	const char *node = cli->args[0], *state = cli->args[1];
	int rc = cli_call(cli, "maintenance", json_pack("{s:s, s:s}", "node", node, "state", state), &result, &err);

	if (rc == 0 && !cli->json)
		printf(strcmp(state, "off") == 0 ? "%s may serve again; `lunward move` brings groups back\n" :
						   "%s serves nothing and gets nothing\n", node);
	return finish(cli, rc, result, &err, NULL, node);
}

/* --- node confirm-down ------------------------------------------------------------------------------------------------*/

static void explain(const struct cli *cli, const char *node)
{
	json_auto_t *status = look(cli);
	_cleanup_strbuf_ struct strbuf owned = { 0 };
	const json_t *item;
	size_t i;

	json_array_foreach (json_object_get(status, "groups"), i, item) {
		const char *owner = json_string_value(json_object_get(item, "owner"));
		const char *name = json_string_value(json_object_get(item, "name"));

		if (owner && name && strcmp(owner, node) == 0)
			strbuf_addf(&owned, "%s%s", owned.len ? ", " : "", name);
	}
	fprintf(stderr,
		"You are about to vouch that %s is off: that it can neither write to its disks nor\n"
		"answer hosts. Another node will then serve what it served (%s).\n\n"
		"If %s is in truth running, two nodes serve the same volumes and DATA IS LOST.\n"
		"That it does not answer on the network proves nothing. Look at the machine, its\n"
		"power supply or its management controller, and keep it off until it is repaired.\n\n"
		"Type the name of the node to vouch for it: ",
		node, owned.len ? strbuf_str(&owned) : "no group at the moment", node);
}

enum cli_exit cli_confirm(const struct cli *cli, const char *instead, const char *name, void (*ask)(const struct cli *cli, const char *name))
{
	char line[256];

	if (cli_has(cli, CLI_OPTION_YES))
		return CLI_EXIT_OK;
	if (!isatty(STDIN_FILENO)) {
		fprintf(stderr, "lunward: %s: nobody to ask: without a terminal %s\n", cli->verb->name, instead);
		return CLI_EXIT_USAGE;
	}
	ask(cli, name);
	if (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (strcmp(line, name) == 0)
			return CLI_EXIT_OK;
	}
	fprintf(stderr, "lunward: %s: that is not the name: nothing was done\n", cli->verb->name);
	return CLI_EXIT_FAILED;
}

enum cli_exit cmd_confirm_down(struct cli *cli)
{
	json_auto_t *result = NULL;
	struct err err = ERR_INIT;
	const char *node = cli->args[0];
	enum cli_exit confirmed = cli_confirm(cli, "--yes is needed", node, explain);
	int rc;

	if (confirmed != CLI_EXIT_OK)
		return confirmed;
	rc = cli_call(cli, "confirm-down", json_pack("{s:s}", "node", node), &result, &err);
	if (rc == 0 && !cli->json)
		printf("%s counts as off; see `lunward status` for what is taken over\n", node);
	return finish(cli, rc, result, &err, NULL, node);
}
