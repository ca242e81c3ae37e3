// SPDX-License-Identifier: GPL-2.0-or-later
/* host show: what a host has to be told, printed or written below a folder. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/cli/document.h"
#include "agent/cli/suggest.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "target-config/exchange/host.h"

DEFINE_CLEANUP(struct config *, config_free);

static int find_host(const struct config *config, const char *name, const struct config_host **ret, struct err *err)
{
	struct suggest suggest = { .word = name };

	*ret = config_host_by_name(config, name);
	if (*ret)
		return 0;
	for (size_t i = 0; i < config->n_hosts; i++)
		suggest_consider(&suggest, config->hosts[i].name);
	return err_set(err, -ENOENT, "hosts: there is no host \"%.64s\"%s%s%s", name, suggest.best ? "; did you mean " : "",
		       suggest.best ? suggest.best : "", suggest.best ? "?" : "");
}

static int write_file(const char *dir, const struct host_file *file, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, file->path + strspn(file->path, "/"));
	_cleanup_free_ char *folder = xstrdup(path);
	int rc;

	*strrchr(folder, '/') = '\0';
	rc = file_make_dirs(folder, 0755);
	rc = rc ? rc : file_replace(path, file->text, strlen(file->text), file->mode);
	return rc < 0 ? err_errno(err, rc, "%s", path) : 0;
}

static void print_json(const struct config_host *host, const struct host_settings *settings)
{
	json_auto_t *root = json_pack("{s:s, s:s, s:s, s:[]}", "host", host->name, "profile", settings->profile, "bounds",
				      settings->bounds, "files");

	for (size_t i = 0; i < settings->n_files; i++) {
		char mode[8];

		snprintf(mode, sizeof(mode), "%04o", settings->files[i].mode);
		json_array_append_new(json_object_get(root, "files"),
				      json_pack("{s:s, s:s, s:s}", "path", settings->files[i].path, "mode", mode, "text",
						settings->files[i].text));
	}
	cli_print_json(root);
}

static int put(const struct cli *cli, const struct config_host *host, const struct host_settings *settings, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && cli->files && i < settings->n_files; i++)
		rc = write_file(cli->files, &settings->files[i], err);
	if (rc < 0)
		return rc;
	if (cli->json)
		print_json(host, settings);
	for (size_t i = 0; !cli->json && i < settings->n_files; i++) {
		if (cli->files)
			printf("%s/%s\n", cli->files, settings->files[i].path + strspn(settings->files[i].path, "/"));
		else
			printf("%s--- %s\n%s", i ? "\n" : "", settings->files[i].path, settings->files[i].text);
	}
	return 0;
}

enum cli_exit cmd_host_show(struct cli *cli)
{
	_cleanup_(config_freep) struct config *config = NULL;
	const struct config_host *host = NULL;
	struct host_settings settings;
	struct err err = ERR_INIT;
	bool secrets = cli_has(cli, CLI_OPTION_SECRETS);
	int rc = document_load(cli, secrets, &config, &err);

	rc = rc ? rc : find_host(config, cli->args[0], &host, &err);
	if (rc == 0) {
		host_settings_make(config, host, secrets, &settings);
		rc = put(cli, host, &settings, &err);
		host_settings_done(&settings);
	}
	return rc < 0 ? cli_fail(cli, &err) : CLI_EXIT_OK;
}
