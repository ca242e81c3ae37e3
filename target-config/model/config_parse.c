// SPDX-License-Identifier: GPL-2.0-or-later
/* The document as a whole: read, check, assign, check again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "target-config/model/config_read.h"

DEFINE_CLEANUP(struct config *, config_free);

static int read_version(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	(void)key, (void)where;
	if (!json_is_integer(value) || json_integer_value(value) != 1)
		return reader_refuse(r, -EINVAL, "the format of this document must be 1, the one this release knows");
	return 0;
}

static const struct reader_key document_keys[] = {
	{ .name = "lunward", .read = read_version, .example = "1" },
	CONFIG_KEY("cluster", reader_text, struct config, cluster, .example = "\"demo\"", .check = config_text_name),
	CONFIG_KEY("fencing", config_read_fencing, struct config, fencing),
	CONFIG_KEY("discovery", config_read_discovery, struct config, discovery),
	{ .name = "srp", .read = config_read_srp },
	{ .name = "nodes", .read = config_read_nodes, .example = "{\"n1\": {\"id\": 1}}" },
	{ .name = "pools", .read = config_read_pools },
	{ .name = "groups", .read = config_read_groups },
	{ .name = "volumes", .read = config_read_volumes },
	{ .name = "targets", .read = config_read_targets },
	{ .name = "hosts", .read = config_read_hosts },
	{ .name = "host_groups", .read = config_read_host_groups },
	{ .name = "mappings", .read = config_read_mappings },
};

/* Whoever gets the printed form must be able to parse it: the assigned values count. */
static int check_printed_size(const struct config *config, size_t size, struct err *err)
{
	_cleanup_free_ char *text = NULL;

	if (size < CONFIG_SIZE_MAX / 16) /* no object grows sixteenfold by its defaults */
		return 0;
	text = config_print(config, true);
	if (strlen(text) > CONFIG_SIZE_MAX)
		return err_set(err, -E2BIG,
			       "document: %zu bytes with all defaults and assigned values, at most %u are supported",
			       strlen(text), CONFIG_SIZE_MAX);
	return 0;
}

/* Whoever asks for a group's volumes is asked for all groups. */
static void link_volumes(struct config *config)
{
	for (size_t i = config->n_volumes; i > 0; i--) {
		struct config_volume *volume = &config->volumes[i - 1];
		struct config_group *group = &config->groups[volume->group - config->groups];

		volume->next = group->volumes;
		group->volumes = volume;
	}
}

int config_parse(const char *text, size_t size, const struct config *old, void (*random_bytes)(void *, size_t),
		 struct config **ret_config, struct err *err)
{
	_cleanup_(json_decrefp) json_t *root = NULL;
	_cleanup_(config_freep) struct config *config = NULL;
	struct reader r = { .err = err };
	int rc;

	if (size > CONFIG_SIZE_MAX)
		return err_set(err, -E2BIG, "document: %zu bytes, at most %u are supported", size, CONFIG_SIZE_MAX);
	root = reader_load(text, size, err);
	if (!root)
		return -EINVAL;
	r.config = config = xcalloc(1, sizeof(*config));
	rc = reader_object(&r, root, CONFIG_KEYS(document_keys), config);
	strbuf_done(&r.path);
	if (rc == 0)
		link_volumes(config);
	if (rc == 0)
		rc = config_check_rules(config, err);
	if (rc == 0)
		rc = config_assign(config, old, random_bytes, err);
	if (rc == 0)
		rc = config_check_assigned(config, err);
	if (rc == 0 && old)
		rc = config_check_change(old, config, err);
	if (rc == 0)
		rc = check_printed_size(config, size, err);
	if (rc == 0)
		*ret_config = steal_ptr(config);
	return rc;
}
