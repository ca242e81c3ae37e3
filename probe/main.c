// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lunward-probe: what a host sees of a failover. Reads and writes a scratch area and keeps a log elsewhere; afterwards nothing that was
 * acknowledged may be missing. Runs on hosts: of Lunward it needs nothing, of the system libc.
 */
#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "probe/probe.h"

enum kind {
	KIND_FLAG,
	KIND_TEXT,
	KIND_NUMBER,
	KIND_SIZE, /* bytes, or with KiB, MiB, GiB, TiB */
	KIND_FORMAT
};
enum verb {
	VERB_RUN = 1,
	VERB_VERIFY = 2
};

static const struct option_row {
	const char *name, *arg;
	enum kind kind;
	int verbs; /* bits of enum verb */
	size_t at; /* in struct options */
	uint64_t min, max;
	const char *help;
} rows[] = {
	{ "log", "LOG", KIND_TEXT, VERB_RUN, offsetof(struct options, log), 0, 0,
	  "keep the log there: a new file, tcp:HOST:PORT or unix:PATH; elsewhere than what is tested" },
	{ "offset", "SIZE", KIND_SIZE, VERB_RUN, offsetof(struct options, area.offset), 0, INT64_MAX, "the area begins there (0)" },
	{ "length", "SIZE", KIND_SIZE, VERB_RUN, offsetof(struct options, area.length), PROBE_BLOCK_SIZE, AREA_LENGTH_MAX,
	  "the area's length (8MiB, or what there is)" },
	{ "create", NULL, KIND_FLAG, VERB_RUN, offsetof(struct options, area.create), 0, 0, "the area is a new file; with --length" },
	{ "force-scratch-of", "SIZE", KIND_SIZE, VERB_RUN, offsetof(struct options, area.force_size), 1, INT64_MAX,
	  "overwrite what is there; SIZE is that of the whole device or file" },
	{ "seconds", "N", KIND_NUMBER, VERB_RUN, offsetof(struct options, seconds), 1, 31536000, "end after that long (else: on a signal)" },
	{ "depth", "N", KIND_NUMBER, VERB_RUN, offsetof(struct options, depth), 1, STATS_STREAMS_MAX, "streams, one operation each (4)" },
	{ "rate", "N", KIND_NUMBER, VERB_RUN, offsetof(struct options, rate), 0, 1000000, "operations per second and stream (100); 0: all it can" },
	{ "read-percent", "N", KIND_NUMBER, VERB_RUN, offsetof(struct options, read_percent), 0, 99, "that many of them reads (25)" },
	{ "sync", NULL, KIND_FLAG, VERB_RUN, offsetof(struct options, area.sync), 0, 0, "each write durable on its own (O_DSYNC)" },
	{ "min-pause", "MS", KIND_NUMBER, VERB_RUN, offsetof(struct options, min_pause_ms), 1, 3600000, "list pauses from that long on (100)" },
	{ "max-pause", "MS", KIND_NUMBER, VERB_RUN, offsetof(struct options, max_pause_ms), 1, 86400000, "a longer pause is a fault" },
	{ "patience", "N", KIND_NUMBER, VERB_RUN, offsetof(struct options, patience), 1, 86400,
	  "seconds to wait in the end for what has not come back (60)" },
	{ "status", "FILE", KIND_TEXT, VERB_RUN, offsetof(struct options, status), 0, 0, "the result so far as JSON, each second" },
	{ "area", "AREA", KIND_TEXT, VERB_VERIFY, offsetof(struct options, area.path), 0, 0, "look there instead of where the log says" },
	{ "format", "text|json", KIND_FORMAT, VERB_RUN | VERB_VERIFY, offsetof(struct options, json), 0, 0, "for people or for programs (text)" },
	{ "help", NULL, KIND_FLAG, 0, 0, 0, 0, "say how it is used" },
	{ "version", NULL, KIND_FLAG, 0, 0, 0, 0, "say the version" },
};

static void print_help(void)
{
	char left[64];

	puts("Usage: lunward-probe run AREA --log LOG [OPTION...]\n"
	     "       lunward-probe verify LOG [OPTION...]\n\n"
	     "Verbs:\n"
	     "  run AREA                  read and write a scratch area: a block device or a file\n"
	     "  verify LOG                look whether all that LOG says was acknowledged is there; -: standard input\n\n"
	     "Options:");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(left, sizeof(left), "--%s%s%s", rows[i].name, rows[i].arg ? " " : "", rows[i].arg ? rows[i].arg : "");
		printf("  %-25s %s\n", left, rows[i].help);
	}
	puts("\nExit status: 0 clean, 1 faults, 2 usage, 3 undecided. lunward-probe(8) says all.");
}

static int take_number(const struct option_row *row, const char *text, uint64_t *ret, struct err *err)
{
	static const char *const units[] = { "", "KiB", "MiB", "GiB", "TiB" };
	unsigned long long value;
	unsigned int shift = 0;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || errno)
		return err_set(err, -EINVAL, "--%s: \"%s\" is no number", row->name, text);
	if (row->kind == KIND_SIZE)
		while (shift < ARRAY_SIZE(units) && strcmp(end, units[shift]) != 0)
			shift++;
	else if (*end)
		shift = ARRAY_SIZE(units);
	if (shift == ARRAY_SIZE(units))
		return err_set(err, -EINVAL, "--%s: \"%s\": %s", row->name, text,
			      row->kind == KIND_SIZE ? "write bytes, or a number with KiB, MiB, GiB or TiB" : "a number is wanted");
	shift *= 10;
	if (value > UINT64_MAX >> shift || value << shift < row->min || value << shift > row->max)
		return err_set(err, -EINVAL, "--%s: \"%s\": from %llu to %llu", row->name, text, (unsigned long long)row->min,
			      (unsigned long long)row->max);
	*ret = value << shift;
	return 0;
}

static int take_option(struct options *opt, const struct option_row *row, const char *value, struct err *err)
{
	char *at = (char *)opt + row->at;

	switch (row->kind) {
	case KIND_FLAG:
		*(bool *)(void *)at = true;
		return 0;
	case KIND_TEXT:
		*(const char **)(void *)at = value;
		return 0;
	case KIND_FORMAT:
		if (strcmp(value, "json") != 0 && strcmp(value, "text") != 0)
			return err_set(err, -EINVAL, "--format must be text or json, not \"%s\"", value);
		*(bool *)(void *)at = strcmp(value, "json") == 0;
		return 0;
	case KIND_NUMBER:
	case KIND_SIZE:
		break;
	}
	return take_number(row, value, (uint64_t *)(void *)at, err);
}

static const struct option_row *find_option(const char *word, int verb)
{
	size_t len = strcspn(word, "=");

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (strlen(rows[i].name) == len && strncmp(rows[i].name, word, len) == 0 && rows[i].verbs & verb)
			return &rows[i];
	}
	return NULL;
}

/* Names of options cannot be shortened: what a script shortens breaks when an option is added. */
static int parse(struct options *opt, int verb, char **words, const char **ret_argument, struct err *err)
{
	*ret_argument = NULL;
	for (; *words; words++) {
		const struct option_row *row;
		const char *value;
		bool wants;
		int rc;

		if (strncmp(*words, "--", 2) != 0) {
			if (*ret_argument)
				return err_set(err, -EINVAL, "one argument too many: %s", *words);
			*ret_argument = *words;
			continue;
		}
		row = find_option(*words + 2, verb);
		if (!row)
			return err_set(err, -EINVAL, "there is no option %s for this", *words);
		value = strchr(*words, '=');
		wants = row->kind != KIND_FLAG;
		if (value && !wants)
			return err_set(err, -EINVAL, "--%s takes no value", row->name);
		if (wants && !value && !words[1])
			return err_set(err, -EINVAL, "--%s needs a value", row->name);
		value = value ? value + 1 : wants ? *++words : "";
		rc = take_option(opt, row, value, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int check_run(const struct options *opt, struct err *err)
{
	if (!opt->area.path)
		return err_set(err, -EINVAL, "which AREA?");
	if (strchr(opt->area.path, '\n'))
		return err_set(err, -EINVAL, "AREA: a path in one line");
	if (!opt->log)
		return err_set(err, -EINVAL, "--log is needed: elsewhere than on what is tested");
	if (opt->area.offset % PROBE_BLOCK_SIZE || opt->area.length % PROBE_BLOCK_SIZE)
		return err_set(err, -EINVAL, "--offset and --length must be multiples of %d", PROBE_BLOCK_SIZE);
	if (opt->area.create && (!opt->area.length || opt->area.force_size))
		return err_set(err, -EINVAL, "--create needs --length, and has nothing to force");
	return 0;
}

static enum verdict usage(const char *verb, const struct err *err)
{
	fprintf(stderr, "lunward-probe: %s%s%s\n", verb, *verb ? ": " : "", err->text);
	fputs("lunward-probe: see `lunward-probe --help`\n", stderr);
	return VERDICT_USAGE;
}

static enum verdict work(int verb, const char *name, char **words)
{
	struct options opt = { .depth = 4, .rate = 100, .read_percent = 25, .min_pause_ms = 100, .patience = 60 };
	struct err err = ERR_INIT;
	const char *argument;
	enum verdict v;

	if (parse(&opt, verb, words, &argument, &err) < 0)
		return usage(name, &err);
	if (verb == VERB_RUN)
		opt.area.path = argument;
	else
		opt.log = argument;
	if (verb == VERB_RUN ? check_run(&opt, &err) < 0 : !opt.log && err_set(&err, -EINVAL, "which LOG?") < 0)
		return usage(name, &err);
	v = verb == VERB_RUN ? probe_run(&opt, &err) : probe_verify(&opt, &err);
	if (err.code)
		fprintf(stderr, "lunward-probe: %s: %s\n", name, err.text);
	return v;
}

int main(int argc, char **argv)
{
	const char *first = argc > 1 ? argv[1] : "";
	struct err err = ERR_INIT;
	enum verdict v = VERDICT_CLEAN;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			first = "--help";
	}
	if (strcmp(first, "--help") == 0 || strcmp(first, "help") == 0)
		print_help();
	else if (strcmp(first, "--version") == 0)
		printf("lunward-probe %s\n", LUNWARD_VERSION);
	else if (strcmp(first, "run") == 0)
		v = work(VERB_RUN, first, argv + 2);
	else if (strcmp(first, "verify") == 0)
		v = work(VERB_VERIFY, first, argv + 2);
	else
		ignore_result(err_set(&err, -EINVAL, *first ? "there is no verb \"%s\"" : "run or verify?%s", first));
	if (err.code)
		return usage("", &err);
	if (fflush(stdout) != 0 && v == VERDICT_CLEAN)
		v = VERDICT_UNDECIDED;
	return (int)v;
}
