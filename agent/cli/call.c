// SPDX-License-Identifier: GPL-2.0-or-later
/* Calls to the daemon, and what is said about those that failed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/ctl/client.h"
#include "base/clock.h"

static void show_progress(void *ctx, const char *text)
{
	const struct cli *cli = ctx;

	fprintf(stderr, "%s: %s\n", cli->verb->name, text);
}

int cli_call(const struct cli *cli, const char *command, json_t *args, json_t **ret_result, struct err *err)
{
	struct cli shown = *cli;
	struct ctl_call call = {
		.path = cli->socket,
		.command = command,
		.args = args,
		.deadline_ms = cli->timeout_s ? clock_now_ms() + cli->timeout_s * INT64_C(1000) : INT64_MAX,
		.progress = show_progress,
		.ctx = &shown,
	};
	int rc = ctl_call(&call, ret_result, err);

	json_decref(args);
	return rc;
}

enum cli_exit cli_exit_of(int code)
{
	switch (-code) {
	case 0:
		return CLI_EXIT_OK;
	case ECONNREFUSED:
	case ECONNRESET:
	case ENOTCONN:
	case EAGAIN:
		return CLI_EXIT_UNREACHABLE;
	case EINVAL:
	case ENOENT:
	case EEXIST:
	case E2BIG:
	case EFBIG:
	case EMSGSIZE:
	case EOPNOTSUPP:
		return CLI_EXIT_REFUSED;
	case EACCES:
	case EPERM:
		return CLI_EXIT_NOT_PERMITTED;
	case ETIMEDOUT:
		return CLI_EXIT_UNFINISHED;
	default:
		return CLI_EXIT_FAILED;
	}
}

enum cli_exit cli_fail(const struct cli *cli, const struct err *err)
{
	const char *name = strerrorname_np(-err->code);
	json_t *object;

	fprintf(stderr, "lunward: %s: %s\n", cli->verb->name, err->text);
	if (cli->json) {
		object = json_pack("{s:{s:i, s:s, s:s}}", "error", "errno", -err->code, "name", name ? name : "EIO", "text",
				   err->text);
		cli_print_json(object);
		json_decref(object);
	}
	return cli_exit_of(err->code);
}

void cli_print_json(const json_t *value)
{
	char *text = json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY);

	puts(text ? text : "null");
	free(text);
}
