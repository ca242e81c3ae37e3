// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/document.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strbuf.h"
#include "target-config/model/config_text.h"

static int read_stdin(char **ret, size_t *ret_size, struct err *err)
{
	_cleanup_strbuf_ struct strbuf sb = { 0 };
	char buffer[65536];
	ssize_t n;

	while ((n = read(STDIN_FILENO, buffer, sizeof(buffer))) > 0) {
		strbuf_add_bytes(&sb, buffer, (size_t)n);
		if (sb.len > DOCUMENT_SIZE_MAX)
			return err_set(err, -EFBIG, "standard input: more than %u MiB", DOCUMENT_SIZE_MAX >> 20);
	}
	if (n < 0)
		return err_errno(err, -errno, "standard input");
	*ret_size = sb.len;
	*ret = strbuf_steal(&sb);
	return 0;
}

int document_read(const char *path, char **ret, size_t *ret_size, struct err *err)
{
	int rc;

	if (strcmp(path, "-") == 0)
		return read_stdin(ret, ret_size, err);
	rc = file_read(path, DOCUMENT_SIZE_MAX, ret, ret_size);
	if (rc < 0)
		err_errno(err, rc, "%s", path);
	return rc;
}

void document_random(void *p, size_t size)
{
	while (getrandom(p, size, 0) != (ssize_t)size)
		continue; /* a few bytes: never short but for a signal */
}

/* Stars are no password to the model: something that is never shown stands for each. */
static void replace_hidden(json_t *document)
{
	static const struct {
		const char *key, *password;
	} secrets[] = { { "chap", "hidden-secret-1" }, { "mutual_chap", "hidden-secret-2" } };
	json_t *host, *node;
	const char *name;

	json_object_del(document, "fencing");
	json_object_foreach(json_object_get(document, "nodes"), name, node)
		json_object_del(node, "fence");
	json_object_foreach(json_object_get(document, "hosts"), name, host) {
		for (size_t i = 0; i < ARRAY_SIZE(secrets); i++) {
			json_t *chap = json_object_get(host, secrets[i].key);

			if (json_is_object(chap))
				json_object_set_new(chap, "password", json_string(secrets[i].password));
		}
	}
}

static int load_file(const struct cli *cli, char **ret, size_t *ret_size, struct err *err)
{
	int rc = document_read(cli->document, ret, ret_size, err);
	json_t *document;

	if (rc != 0 || !*ret || cli_has(cli, CLI_OPTION_SECRETS) || !(cli->verb->options & CLI_BIT(SECRETS)))
		return rc;
	/* Also what `config show` printed without secrets will do; what is no JSON is told by config_parse(). */
	document = json_loadb(*ret, *ret_size, JSON_REJECT_DUPLICATES, NULL);
	if (!document)
		return 0;
	explicit_bzero(*ret, *ret_size);
	free(*ret);
	replace_hidden(document);
	*ret = json_dumps(document, 0);
	*ret_size = strlen(*ret);
	json_decref(document);
	return 0;
}

static int load_in_force(const struct cli *cli, bool secrets, char **ret, size_t *ret_size, struct err *err)
{
	json_auto_t *result = NULL;
	json_t *document;
	int rc = cli_call(cli, "config-show", json_pack("{s:b}", "secrets", secrets), &result, err);

	if (rc < 0)
		return rc;
	document = json_object_get(result, "document");
	if (!json_is_object(document))
		return err_set(err, -ENOENT, "the cluster has no document yet; say --document FILE");
	if (!secrets)
		replace_hidden(document);
	*ret = json_dumps(document, 0);
	*ret_size = strlen(*ret);
	return 0;
}

int document_load(const struct cli *cli, bool secrets, struct config **ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int rc = cli->document ? load_file(cli, &text, &size, err) : load_in_force(cli, secrets, &text, &size, err);

	if (rc == 0)
		rc = config_parse(text, size, NULL, document_random, ret, err);
	if (text)
		explicit_bzero(text, size);
	return rc;
}

void document_print_notes(const struct cli *cli, const struct exchange_notes *notes)
{
	for (size_t i = 0; i < notes->n; i++)
		fprintf(stderr, "lunward: %s: %s: %s%s\n", cli->verb->name, notes->list[i].object,
			notes->list[i].is_left_out ? "left out: " : "", notes->list[i].text);
}

json_t *document_notes_json(const struct exchange_notes *notes)
{
	json_t *list = json_array();

	for (size_t i = 0; i < notes->n; i++)
		json_array_append_new(list, json_pack("{s:s, s:b, s:s}", "object", notes->list[i].object, "left_out",
						      notes->list[i].is_left_out, "text", notes->list[i].text));
	return list;
}
