// SPDX-License-Identifier: GPL-2.0-or-later
/* status, status --watch, version. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "agent/cli/render.h"
#include "agent/ctl/client.h"
#include "base/cleanup.h"

#define RECONNECT_MS 1000

/* The NO_COLOR convention: set and not empty means none. */
static bool wants_colour(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no_color && no_color[0]) && term && strcmp(term, "dumb") != 0;
}

static void show(const struct cli *cli, const json_t *status)
{
	_cleanup_free_ char *text = NULL;

	if (cli->json && !cli_has(cli, CLI_OPTION_WATCH)) {
		cli_print_json(status);
		return;
	}
	if (cli->json)
		text = json_dumps(status, JSON_COMPACT); /* one line each, for programs that read along */
	else
		text = render_status(status, wants_colour());
	printf("%s%s", text ? text : "", cli->json ? "\n" : "");
	(void)fflush(stdout); /* who cares asks ferror() */
}

static bool on_update(void *ctx, const json_t *status)
{
	const struct cli *cli = ctx;

	if (!cli->json && isatty(STDOUT_FILENO))
		fputs("\033[H\033[2J", stdout);
	show(cli, status);
	if (!cli->json && !isatty(STDOUT_FILENO))
		puts("");
	return !ferror(stdout);
}

/* On a terminal it outlives restarts of the daemon: somebody is looking on. */
static enum cli_exit watch(struct cli *cli)
{
	struct ctl_call call = { .path = cli->socket, .command = "watch", .deadline_ms = INT64_MAX, .update = on_update,
				 .ctx = cli };
	struct err err = ERR_INIT;
	int rc;

	for (;;) {
		rc = ctl_call(&call, NULL, &err);
		if (rc == 0)
			return CLI_EXIT_OK;
		if ((rc != -ECONNREFUSED && rc != -ECONNRESET) || !isatty(STDOUT_FILENO))
			return cli_fail(cli, &err);
		fprintf(stderr, "\nlunward: status: %s (trying again)\n", err.text);
		(void)poll(NULL, 0, RECONNECT_MS);
	}
}

enum cli_exit cmd_status(struct cli *cli)
{
	json_auto_t *status = NULL;
	struct err err = ERR_INIT;

	if (cli_has(cli, CLI_OPTION_WATCH))
		return watch(cli);
	if (cli_call(cli, "status", NULL, &status, &err) < 0)
		return cli_fail(cli, &err);
	show(cli, status);
	return CLI_EXIT_OK;
}

enum cli_exit cmd_version(struct cli *cli)
{
	json_auto_t *result = NULL;
	json_auto_t *both = NULL;
	struct err err = ERR_INIT;
	int rc = cli_call(cli, "version", NULL, &result, &err);
	const char *daemon = json_string_value(json_object_get(result, "version"));

	if (cli->json) {
		both = json_pack("{s:s, s:s?}", "lunward", LUNWARD_VERSION, "lunwardd", daemon);
		cli_print_json(both);
		return CLI_EXIT_OK;
	}
	printf("lunward %s\n", LUNWARD_VERSION);
	if (rc == 0)
		printf("lunwardd %s (running here)\n", daemon ? daemon : "of unknown version");
	else
		printf("lunwardd: %s\n", err.text);
	return CLI_EXIT_OK; /* the question about this program was answered */
}
