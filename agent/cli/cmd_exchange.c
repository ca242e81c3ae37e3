// SPDX-License-Identifier: GPL-2.0-or-later
/* import, export: other tools' configurations. Nothing is applied and nothing is changed but the file of --output. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "agent/cli/document.h"
#include "agent/cli/json.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "target-config/model/config_text.h"

DEFINE_CLEANUP(struct config *, config_free);

/* The options of an import, and the copies of the command line's words that they point into. */
struct import_args {
	struct import_options options;
	struct import_map maps[CLI_MAPS_MAX];
	struct import_portal portals[CLI_PORTALS_MAX];
	char *words[CLI_MAPS_MAX + CLI_PORTALS_MAX + 2];
	size_t n_words;
};

static void import_args_done(struct import_args *args)
{
	for (size_t i = 0; i < args->n_words; i++)
		free(args->words[i]);
}

static char *keep(struct import_args *args, char *word)
{
	args->words[args->n_words++] = word;
	return word;
}

static int size_of_device(const char *device, uint64_t *ret_bytes)
{
	_cleanup_close_ int fd = open(device, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	off_t end;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISBLK(st.st_mode))
		return -ENOTBLK;
	end = lseek(fd, 0, SEEK_END);
	if (end < 0)
		return -errno;
	*ret_bytes = (uint64_t)end;
	return 0;
}

/* "BACKSTORE=GROUP[/VOLUME][@POOL][,SIZE]" */
static int parse_map(struct import_args *args, const char *word, struct err *err)
{
	struct import_map *map = &args->maps[args->options.n_maps++];
	char *text = keep(args, xstrdup(word)), *equals = strchr(text, '='), *slash, *at, *comma;
	const char *wrong = NULL;

	if (!equals || equals == text)
		return err_set(err, -EINVAL, "--map %s: must be BACKSTORE=GROUP[/VOLUME][@POOL][,SIZE]", word);
	*equals = '\0';
	comma = strchr(equals + 1, ',');
	if (comma) {
		*comma = '\0';
		wrong = config_text_size(comma + 1, &map->size_bytes);
	}
	at = strchr(equals + 1, '@');
	if (at)
		*at = '\0';
	slash = strchr(equals + 1, '/');
	if (slash)
		*slash = '\0';
	map->backstore = text;
	map->group = equals + 1;
	map->pool = at ? at + 1 : NULL;
	map->volume = slash ? slash + 1 : NULL;
	return wrong ? err_set(err, -EINVAL, "--map %s: the size: %s", word, wrong) : 0;
}

/* "ADDRESS" or "ADDRESS/LENGTH@INTERFACE" */
static int parse_portal(struct import_args *args, const char *word, struct err *err)
{
	struct import_portal *portal = &args->portals[args->options.n_portals++];
	char *text = keep(args, xstrdup(word)), *at = strchr(text, '@'), address[INET6_ADDRSTRLEN];
	const char *wrong;
	uint8_t prefix_len = 0;

	if (at)
		*at = '\0';
	portal->address = text;
	portal->interface = at ? at + 1 : NULL;
	wrong = config_text_address(text, address, &prefix_len);
	if (!wrong && at)
		wrong = config_text_interface(at + 1);
	if (!wrong && prefix_len && !at)
		wrong = "an address with a length needs @INTERFACE, where Lunward shall put it";
	return wrong ? err_set(err, -EINVAL, "--portal %s: %s", word, wrong) : 0;
}

/* The name of this machine, without its domain, if it is good for a node. */
static const char *own_name(struct import_args *args)
{
	char *name = keep(args, xcalloc(256, 1));

	if (gethostname(name, 255) < 0)
		return NULL;
	name[strcspn(name, ".")] = '\0';
	return config_text_name(name) ? NULL : name;
}

static int parse_args(const struct cli *cli, struct import_args *args, struct err *err)
{
	int rc = 0;

	args->options = (struct import_options){
		.node = cli->node, .maps = args->maps, .portals = args->portals, .size_of = size_of_device, .random_bytes = document_random,
	};
	for (size_t i = 0; rc == 0 && i < cli->n_maps; i++)
		rc = parse_map(args, cli->maps[i], err);
	for (size_t i = 0; rc == 0 && i < cli->n_portals; i++)
		rc = parse_portal(args, cli->portals[i], err);
	if (rc == 0 && cli->document) {
		char *text = NULL;

		rc = document_read(cli->document, &text, &args->options.document_size, err);
		args->options.document = rc < 0 ? NULL : keep(args, text);
	} else if (rc == 0 && !args->options.node) {
		args->options.node = own_name(args);
	}
	return rc;
}

/* `text` to the file of --output or to standard output; with --format json an object with the notes. */
static int put(const struct cli *cli, const char *key, const char *text, const struct exchange_notes *notes, struct err *err)
{
	json_auto_t *object = NULL;
	int rc = cli->output ? file_replace(cli->output, text, strlen(text), 0600) : 0;

	if (rc < 0)
		return err_errno(err, rc, "%s", cli->output);
	if (!cli->json) {
		document_print_notes(cli, notes);
		if (!cli->output)
			fputs(text, stdout);
		return 0;
	}
	object = json_pack("{s:o}", "notes", document_notes_json(notes));
	if (!cli->output)
		json_object_set_new(object, key, json_loads(text, 0, NULL));
	cli_print_json(object);
	return 0;
}

static int import_file(const struct cli *cli, struct import_args *args, struct exchange_notes *notes, struct err *err)
{
	_cleanup_free_ char *text = NULL, *document = NULL;
	size_t size = 0;
	int rc = parse_args(cli, args, err);

	rc = rc ? rc : document_read(cli->args[0], &text, &size, err);
	if (rc != 0)
		return rc;
	rc = exchange_import(text, size, &args->options, &document, notes, err);
	explicit_bzero(text, size);
	if (rc != 0) {
		document_print_notes(cli, notes);
		err_prefix(err, "%s", cli->args[0]);
		return rc;
	}
	rc = put(cli, "document", document, notes, err);
	explicit_bzero(document, strlen(document));
	return rc;
}

enum cli_exit cmd_import(struct cli *cli)
{
	struct import_args *args = xcalloc(1, sizeof(*args));
	struct exchange_notes notes = { 0 };
	struct err err = ERR_INIT;
	int rc = import_file(cli, args, &notes, &err);
	bool lost = notes.n > 0;

	import_args_done(args);
	free(args);
	exchange_notes_done(&notes);
	if (rc < 0)
		return cli_fail(cli, &err);
	return lost ? CLI_EXIT_FAILED : CLI_EXIT_OK;
}

/* --node, or the node of the lunwardd here, or the only one that stores. */
static int find_node(const struct cli *cli, const struct config *config, char **ret, struct err *err)
{
	json_auto_t *status = NULL;
	int rc;

	if (cli->node) {
		*ret = xstrdup(cli->node);
		return 0;
	}
	if (!cli->document) {
		rc = cli_call(cli, "status", NULL, &status, err);
		if (rc == 0)
			*ret = xstrdup(json_text(status, "node"));
		return rc;
	}
	for (size_t i = 0; i < config->n_nodes; i++) {
		if (config->nodes[i].role != CONFIG_ROLE_STORAGE)
			continue;
		if (*ret)
			return err_set(err, -EINVAL, "the document has several storage nodes; say --node NAME");
		*ret = xstrdup(config->nodes[i].name);
	}
	return *ret ? 0 : err_set(err, -EINVAL, "the document has no storage node");
}

static int export_node(const struct cli *cli, struct exchange_notes *notes, struct err *err)
{
	_cleanup_(config_freep) struct config *config = NULL;
	_cleanup_free_ char *node = NULL, *text = NULL;
	int rc = document_load(cli, true, &config, err);

	rc = rc ? rc : find_node(cli, config, &node, err);
	rc = rc ? rc : exchange_export_targetcli(config, node, &text, notes, err);
	if (rc != 0)
		return rc;
	rc = put(cli, "saveconfig", text, notes, err);
	explicit_bzero(text, strlen(text));
	return rc;
}

enum cli_exit cmd_export(struct cli *cli)
{
	struct exchange_notes notes = { 0 };
	struct err err = ERR_INIT;
	int rc = export_node(cli, &notes, &err);
	bool lost = false;

	for (size_t i = 0; i < notes.n; i++)
		lost = lost || notes.list[i].is_left_out;
	exchange_notes_done(&notes);
	if (rc < 0)
		return cli_fail(cli, &err);
	return lost ? CLI_EXIT_FAILED : CLI_EXIT_OK;
}
