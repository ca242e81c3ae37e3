// SPDX-License-Identifier: GPL-2.0-or-later
/* The command line, by the tables of verbs.c. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/cli/suggest.h"
#include "base/cleanup.h"
#include "base/xalloc.h"

#define COMMON_OPTIONS (CLI_BIT(FORMAT) | CLI_BIT(SOCKET) | CLI_BIT(HELP) | CLI_BIT(VERSION))

static enum cli_exit usage(const char *fmt, ...) printf_like(1, 2);

static enum cli_exit usage(const char *fmt, ...)
{
	va_list ap;

	fputs("lunward: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return CLI_EXIT_USAGE;
}

const struct cli_verb *cli_find_verb(const char *first, const char *second, int *ret_n_words)
{
	_cleanup_free_ char *both = second ? xasprintf("%s %s", first, second) : NULL;

	for (size_t i = 0; i < cli_n_verbs; i++) {
		bool two = both && strcmp(cli_verbs[i].name, both) == 0;

		if (two || strcmp(cli_verbs[i].name, first) == 0) {
			*ret_n_words = two ? 2 : 1;
			return &cli_verbs[i];
		}
	}
	return NULL;
}

void cli_suggest_verb(const char *first, const char *second)
{
	_cleanup_free_ char *both = second ? xasprintf("%s %s", first, second) : xstrdup(first);
	struct suggest one = { .word = first }, two = { .word = both };

	for (size_t i = 0; i < cli_n_verbs; i++) {
		suggest_consider(&two, cli_verbs[i].name);
		if (!strchr(cli_verbs[i].name, ' ')) {
			suggest_consider(&one, cli_verbs[i].name);
			continue;
		}
		/* A word of a two-word verb alone: "config", "confirm-down". */
		if (strncmp(cli_verbs[i].name, first, strcspn(cli_verbs[i].name, " ")) == 0 ||
		    strcmp(strchr(cli_verbs[i].name, ' ') + 1, first) == 0) {
			two.best = two.best ? two.best : cli_verbs[i].name;
		}
	}
	if (two.best || one.best)
		fprintf(stderr, "lunward: did you mean `lunward %s`?\n", two.best ? two.best : one.best);
	else
		fputs("lunward: see `lunward help`\n", stderr);
}

static enum cli_exit unknown_option(const char *word)
{
	_cleanup_free_ char *name = xstrdup(word + strspn(word, "-"));
	struct suggest suggest = { .word = name };

	name[strcspn(name, "=")] = '\0';
	usage("there is no option %s", word);
	for (size_t i = 0; i < CLI_N_OPTIONS; i++)
		suggest_consider(&suggest, cli_options[i].name);
	if (suggest.best)
		fprintf(stderr, "lunward: did you mean `--%s`?\n", suggest.best);
	return CLI_EXIT_USAGE;
}

static enum cli_exit take_option(struct cli *cli, enum cli_option_id option, const char *value)
{
	char *end;
	long seconds;

	cli->options |= 1u << option;
	if (option == CLI_OPTION_SOCKET) {
		cli->socket = value;
	} else if (option == CLI_OPTION_FACTS) {
		cli->facts = value;
	} else if (option == CLI_OPTION_DOCUMENT) {
		cli->document = value;
	} else if (option == CLI_OPTION_NODE) {
		cli->node = value;
	} else if (option == CLI_OPTION_OUTPUT) {
		cli->output = value;
	} else if (option == CLI_OPTION_FILES) {
		cli->files = value;
	} else if (option == CLI_OPTION_MAP) {
		if (cli->n_maps == CLI_MAPS_MAX)
			return usage("--map: at most %d are taken", CLI_MAPS_MAX);
		cli->maps[cli->n_maps++] = value;
	} else if (option == CLI_OPTION_PORTAL) {
		if (cli->n_portals == CLI_PORTALS_MAX)
			return usage("--portal: at most %d are taken", CLI_PORTALS_MAX);
		cli->portals[cli->n_portals++] = value;
	} else if (option == CLI_OPTION_PROBE_LOG) {
		cli->probe_log = value;
	} else if (option == CLI_OPTION_HISTORY_FILE) {
		cli->history_file = value;
	} else if (option == CLI_OPTION_HOST) {
		cli->host = value;
	} else if (option == CLI_OPTION_VOLUME) {
		cli->volume = value;
	} else if (option == CLI_OPTION_TARGET) {
		cli->target = value;
	} else if (option == CLI_OPTION_FORMAT) {
		cli->format = value;
		cli->json = strcmp(value, "json") == 0;
	} else if (option == CLI_OPTION_TIMEOUT) {
		errno = 0;
		seconds = strtol(value, &end, 10);
		if (errno || end == value || *end || seconds < 1 || seconds > 86400)
			return usage("--timeout must be a number of seconds from 1 to 86400, not \"%s\"", value);
		cli->timeout_s = (int)seconds;
	}
	return CLI_EXIT_OK;
}

/* getopt_long() would take abbreviations: those in a script break when an option is added. */
static enum cli_exit refuse_abbreviations(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		size_t len = strcspn(argv[i], "=");
		bool known = strncmp(argv[i], "--", 2) != 0;

		for (int k = 0; k < CLI_N_OPTIONS; k++)
			known = known || (strlen(cli_options[k].name) == len - 2 &&
					  strncmp(argv[i] + 2, cli_options[k].name, len - 2) == 0);
		if (!known)
			return unknown_option(argv[i]);
	}
	return CLI_EXIT_OK;
}

static enum cli_exit parse_options(struct cli *cli, int argc, char **argv)
{
	struct option options[CLI_N_OPTIONS + 1] = { 0 };
	enum cli_exit rc = refuse_abbreviations(argc, argv);
	int c;

	for (int i = 0; i < CLI_N_OPTIONS; i++) {
		options[i].name = cli_options[i].name;
		options[i].has_arg = cli_options[i].arg ? required_argument : no_argument;
		options[i].val = UCHAR_MAX + 1 + i;
	}
	opterr = 0;
	while (rc == CLI_EXIT_OK && (c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		const char *word = optind > 0 ? argv[optind - 1] : "";

		if (c == 'h')
			rc = take_option(cli, CLI_OPTION_HELP, NULL);
		else if (c == ':')
			rc = usage("%s needs a value", word);
		else if (c == '?')
			rc = optopt > UCHAR_MAX ? usage("%s: this option takes no value", word) : unknown_option(word);
		else
			rc = take_option(cli, (enum cli_option_id)(c - UCHAR_MAX - 1), optarg);
	}
	return rc;
}

static enum cli_exit check_format(const struct cli *cli)
{
	const char *own = cli->verb ? cli->verb->format : NULL;

	if (!cli->format || cli->json || strcmp(cli->format, "text") == 0 || (own && strcmp(cli->format, own) == 0))
		return CLI_EXIT_OK;
	return usage("--format must be %s%stext or json, not \"%s\"", own ? own : "", own ? ", " : "", cli->format);
}

static enum cli_exit check_verb(struct cli *cli)
{
	unsigned int strange = cli->options & ~(cli->verb->options | COMMON_OPTIONS);

	if (cli_has(cli, CLI_OPTION_HELP))
		return CLI_EXIT_OK;
	for (int i = 0; i < CLI_N_OPTIONS; i++) {
		if (strange & (1u << i))
			return usage("%s: --%s does not go with this verb; see `lunward help %s`", cli->verb->name,
				     cli_options[i].name, cli->verb->name);
	}
	if (cli->n_args < cli->verb->n_args_min || cli->n_args > cli->verb->n_args_max)
		return usage("%s: %s arguments; usage: lunward %s %s", cli->verb->name,
			     cli->n_args < cli->verb->n_args_min ? "too few" : "too many", cli->verb->name, cli->verb->args);
	return CLI_EXIT_OK;
}

enum cli_exit cli_parse(struct cli *ret, int argc, char **argv)
{
	struct cli cli = { .n_args = 0 };
	enum cli_exit rc = parse_options(&cli, argc, argv);
	int n_words = 0;
	const char *first, *second;

	if (rc != CLI_EXIT_OK)
		return rc;
	first = optind < argc ? argv[optind] : NULL;
	second = optind + 1 < argc ? argv[optind + 1] : NULL;
	if (first) {
		cli.verb = cli_find_verb(first, second, &n_words);
		if (!cli.verb) {
			usage("there is no verb \"%s\"", first);
			cli_suggest_verb(first, second);
			return CLI_EXIT_USAGE;
		}
		for (int i = optind + n_words; i < argc; i++, cli.n_args++) {
			if (cli.n_args < CLI_ARGS_MAX)
				cli.args[cli.n_args] = argv[i];
		}
		rc = check_verb(&cli);
		if (rc != CLI_EXIT_OK)
			return rc;
		if (!cli.timeout_s)
			cli.timeout_s = cli.verb->timeout_s;
	}
	rc = check_format(&cli);
	if (rc != CLI_EXIT_OK)
		return rc;
	*ret = cli;
	return CLI_EXIT_OK;
}
