/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a host has to be told, by its profile: files and commands, with the bounds that they keep. The files of the Linux profile are those
 * of the Ansible role `host`; a test holds the two together. Pure.
 */
#ifndef TARGET_CONFIG_EXCHANGE_HOST_H
#define TARGET_CONFIG_EXCHANGE_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "target-config/model/config.h"

#define HOST_FILES_MAX 4

struct host_file {
	const char *path; /* on the host; "commands": not a file but what to run there */
	mode_t mode;
	char *text;
};

struct host_settings {
	const char *profile;
	char *bounds; /* lines of text: what hosts see, and what the settings have to outlast */
	struct host_file files[HOST_FILES_MAX];
	size_t n_files;
};

/* secrets: CHAP passwords where a file has them; they never go into commands. */
void host_settings_make(const struct config *config, const struct config_host *host, bool secrets, struct host_settings *ret);
void host_settings_done(struct host_settings *settings);

#endif
