// SPDX-License-Identifier: GPL-2.0-or-later
/* apply, config show, check: the document and the node's accordance with it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/cli/document.h"
#include "base/cleanup.h"

static int read_document(const char *path, json_t **ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int rc = document_read(path, &text, &size, err);

	if (rc < 0)
		return rc;
	*ret = json_stringn(text, size);
	if (text)
		explicit_bzero(text, size);
	if (!*ret)
		return err_set(err, -EINVAL, "%s: is not UTF-8 text", path);
	return 0;
}

static void print_lines(const json_t *lines)
{
	const json_t *line;
	size_t i;

	json_array_foreach (lines, i, line)
		puts(json_is_string(line) ? json_string_value(line) : "");
}

enum cli_exit cmd_apply(struct cli *cli)
{
	json_auto_t *result = NULL;
	json_t *document = NULL;
	struct err err = ERR_INIT;
	bool dry_run = cli_has(cli, CLI_OPTION_DRY_RUN);

	if (read_document(cli->args[0], &document, &err) < 0 ||
	    cli_call(cli, "apply", json_pack("{s:o, s:b, s:b}", "document", document, "dry_run", dry_run, "wait",
					     !cli_has(cli, CLI_OPTION_NO_WAIT)), &result, &err) < 0)
		return cli_fail(cli, &err);
	if (cli->json) {
		cli_print_json(result);
		return CLI_EXIT_OK;
	}
	print_lines(json_object_get(result, "changes"));
	if (json_array_size(json_object_get(result, "changes")) == 0)
		puts("nothing to change");
	else if (dry_run)
		puts("nothing was changed (--dry-run)");
	else
		printf("configuration %" JSON_INTEGER_FORMAT " is in force\n",
		       json_integer_value(json_object_get(result, "config_version")));
	return CLI_EXIT_OK;
}

enum cli_exit cmd_config_show(struct cli *cli)
{
	json_auto_t *result = NULL;
	struct err err = ERR_INIT;

	if (cli_call(cli, "config-show", json_pack("{s:b}", "secrets", cli_has(cli, CLI_OPTION_SECRETS)), &result, &err) < 0)
		return cli_fail(cli, &err);
	/* As text just the document, so that `config show >file`, an editor and `apply file` make a round. */
	cli_print_json(cli->json ? result : json_object_get(result, "document"));
	return CLI_EXIT_OK;
}

enum cli_exit cmd_check(struct cli *cli)
{
	json_auto_t *result = NULL;
	struct err err = ERR_INIT;
	size_t n_steps;

	if (cli_call(cli, "check", NULL, &result, &err) < 0)
		return cli_fail(cli, &err);
	n_steps = json_array_size(json_object_get(result, "steps"));
	if (cli->json) {
		cli_print_json(result);
	} else {
		print_lines(json_object_get(result, "steps"));
		if (n_steps)
			printf("%zu steps would be needed; lunwardd takes them by itself, or says in `lunward status` why it "
			       "cannot\n", n_steps);
		else
			printf("%" JSON_INTEGER_FORMAT " objects, all as they should be\n",
			       json_integer_value(json_object_get(result, "objects")));
	}
	return n_steps ? CLI_EXIT_FAILED : CLI_EXIT_OK;
}
