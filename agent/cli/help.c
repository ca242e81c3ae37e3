// SPDX-License-Identifier: GPL-2.0-or-later
/* Help texts, made from the tables of verbs.c. */
#include <stdio.h>
#include <string.h>

#include "agent/cli/cli.h"

static void print_option(enum cli_option_id i)
{
	char left[64];

	snprintf(left, sizeof(left), "--%s%s%s", cli_options[i].name, cli_options[i].arg ? " " : "",
		 cli_options[i].arg ? cli_options[i].arg : "");
	printf("  %-22s %s\n", left, cli_options[i].help);
}

static const char *usage_of(const struct cli_verb *verb, char *buffer, size_t size)
{
	snprintf(buffer, size, "%s%s%s", verb->name, verb->args[0] ? " " : "", verb->args);
	return buffer;
}

void help_print(void)
{
	char left[64];

	puts("Usage: lunward [OPTION...] VERB [ARGUMENT...]\n\nVerbs:");
	for (size_t i = 0; i < cli_n_verbs; i++)
		printf("  %-22s %s\n", usage_of(&cli_verbs[i], left, sizeof(left)), cli_verbs[i].summary);
	puts("\nOptions:");
	for (int i = 0; i < CLI_N_OPTIONS; i++)
		print_option((enum cli_option_id)i);
	puts("\n`lunward help VERB` says more; lunward(8) says all.");
}

void help_print_verb(const struct cli_verb *verb)
{
	char left[64];

	printf("Usage: lunward %s [OPTION...]\n\n%s\n", usage_of(verb, left, sizeof(left)), verb->summary);
	if (verb->text)
		printf("\n%s\n", verb->text);
	puts("\nOptions:");
	for (int i = 0; i < CLI_N_OPTIONS; i++) {
		if (i == CLI_OPTION_FORMAT || i == CLI_OPTION_SOCKET || (verb->options & (1u << i)))
			print_option((enum cli_option_id)i);
	}
}

/* The tables as JSON: what man page and completion are checked against. */
static void print_tables(void)
{
	json_t *verbs = json_array(), *options = json_object(), *exits = json_object(), *root;

	for (size_t i = 0; i < cli_n_verbs; i++) {
		json_t *own = json_array();

		for (int k = 0; k < CLI_N_OPTIONS; k++) {
			if (cli_verbs[i].options & (1u << k))
				json_array_append_new(own, json_string(cli_options[k].name));
		}
		json_array_append_new(verbs, json_pack("{s:s, s:s, s:s, s:o}", "name", cli_verbs[i].name, "args",
						       cli_verbs[i].args, "summary", cli_verbs[i].summary, "options", own));
	}
	for (int k = 0; k < CLI_N_OPTIONS; k++)
		json_object_set_new(options, cli_options[k].name, json_pack("{s:s?, s:s}", "arg", cli_options[k].arg, "help",
									     cli_options[k].help));
#define X(id, number, text) json_object_set_new(exits, #number, json_string(text));
	CLI_EXITS(X)
#undef X
	root = json_pack("{s:o, s:o, s:o}", "verbs", verbs, "options", options, "exits", exits);
	cli_print_json(root);
	json_decref(root);
}

enum cli_exit cmd_help(struct cli *cli)
{
	const struct cli_verb *verb;
	int n_words;

	if (cli->json) {
		print_tables();
		return CLI_EXIT_OK;
	}
	if (cli->n_args == 0) {
		help_print();
		return CLI_EXIT_OK;
	}
	verb = cli_find_verb(cli->args[0], cli->n_args > 1 ? cli->args[1] : NULL, &n_words);
	if (!verb || n_words != cli->n_args) {
		fprintf(stderr, "lunward: help: there is no verb \"%s%s%s\"\n", cli->args[0], cli->n_args > 1 ? " " : "",
			cli->n_args > 1 ? cli->args[1] : "");
		cli_suggest_verb(cli->args[0], cli->args[1]);
		return CLI_EXIT_USAGE;
	}
	help_print_verb(verb);
	return CLI_EXIT_OK;
}
