// SPDX-License-Identifier: GPL-2.0-or-later
/* Which volume is which LUN of which host. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "target-config/model/config_read.h"

static const struct reader_key mapping_keys[] = {
	CONFIG_KEY("host", config_read_host_reference, struct config_mapping, host),
	CONFIG_KEY("host_group", config_read_host_group_reference, struct config_mapping, host_group),
	CONFIG_KEY("volume", config_read_volume_reference, struct config_mapping, volume, .example = "\"v1\""),
	CONFIG_KEY("target", config_read_target_reference, struct config_mapping, target, .example = "\"iqn.2026-11.org.example:disks\""),
	CONFIG_KEY("lun", reader_u32, struct config_mapping, lun, .example = "0", .min = 0, .max = CONFIG_LUN_MAX),
};

/* A host that logs in to a target sees its volumes through the owner's port: each node that may own must have one. */
static int check_portals_of_mapping(struct reader *r, const struct config_mapping *mapping)
{
	const struct config_group *group = mapping->volume->group;

	for (size_t i = 0; i < CONFIG_COPIES_MAX && group->nodes[i]; i++) {
		bool found = false;

		for (size_t j = 0; j < mapping->target->n_portals && !found; j++)
			found = mapping->target->portals[j].nodeid == group->nodes[i];
		if (!found)
			return reader_refuse_key(
				r, "target",
				"it has no portal on node %s, where the host would lose volume %s when group %s moves there; add a portal",
				config_node_name(r->config, group->nodes[i]), mapping->volume->name, group->name);
	}
	return 0;
}

static const char *login_word(const struct config_target *target)
{
	static const char *const words[CONFIG_FABRICS] = { "a name of iSCSI", "an SRP port id", "a WWPN", "a WWPN" };

	return target->login_by == CONFIG_LOGIN_BY_ADDRESS ? "its address" : words[config_target_fabric(target)];
}

static int check_fabric_of_host(struct reader *r, const struct config_host *host, const struct config_target *target)
{
	if (config_host_fits(host, target))
		return 0;
	return reader_refuse_key(r, "target", "host %s has no initiator that can log in there, by %s; add one to its initiators",
				 host->name, login_word(target));
}

static int check_fabric_of_mapping(struct reader *r, const struct config_mapping *mapping)
{
	int rc = mapping->host ? check_fabric_of_host(r, mapping->host, mapping->target) : 0;

	for (size_t i = 0; rc == 0 && mapping->host_group && i < mapping->host_group->n_hosts; i++)
		rc = check_fabric_of_host(r, mapping->host_group->hosts[i], mapping->target);
	return rc;
}

struct numbered_mapping {
	struct config_mapping mapping;
	size_t index; /* in the document */
};

static int compare_nexus(const struct config_mapping *a, const struct config_mapping *b)
{
	int rc = strcmp(a->host->name, b->host->name);

	return rc ? rc : strcmp(a->target->name, b->target->name);
}

static int compare_by_index(const struct numbered_mapping *a, const struct numbered_mapping *b)
{
	return a->index < b->index ? -1 : a->index > b->index;
}

static int compare_by_volume(const void *a, const void *b)
{
	const struct numbered_mapping *x = a, *y = b;
	int rc = compare_nexus(&x->mapping, &y->mapping);

	if (!rc)
		rc = strcmp(x->mapping.volume->name, y->mapping.volume->name);
	return rc ? rc : compare_by_index(x, y);
}

static int compare_by_lun(const void *a, const void *b)
{
	const struct numbered_mapping *x = a, *y = b;
	int rc = compare_nexus(&x->mapping, &y->mapping);

	if (!rc)
		rc = x->mapping.lun < y->mapping.lun ? -1 : x->mapping.lun > y->mapping.lun;
	return rc ? rc : compare_by_index(x, y);
}

static int check_repeated_volumes(struct reader *r, struct numbered_mapping *list, size_t n)
{
	qsort(list, n, sizeof(*list), compare_by_volume);
	for (size_t i = 1; i < n; i++) {
		const struct config_mapping *a = &list[i - 1].mapping, *b = &list[i].mapping;

		if (a->volume != b->volume || compare_nexus(a, b) != 0)
			continue;
		reader_enter_index(r, list[i].index);
		return reader_refuse_key(
			r, "volume",
			"host %s has volume %s at this target by mappings[%zu] already; remove one of them",
			b->host->name, b->volume->name, list[i - 1].index);
	}
	return 0;
}

static int check_repeated_luns(struct reader *r, struct numbered_mapping *list, size_t n)
{
	qsort(list, n, sizeof(*list), compare_by_lun);
	for (size_t i = 1; i < n; i++) {
		const struct config_mapping *a = &list[i - 1].mapping, *b = &list[i].mapping;

		if (a->lun != b->lun || compare_nexus(a, b) != 0)
			continue;
		reader_enter_index(r, list[i].index);
		return reader_refuse_key(r, "lun",
					 "host %s has LUN %u at this target by mappings[%zu] already; choose another",
					 b->host->name, b->lun, list[i - 1].index);
	}
	return 0;
}

struct mapping_list {
	struct numbered_mapping *list;
	size_t n, cap;
};

static void mapping_list_done(struct mapping_list *mappings)
{
	free(mappings->list);
}

/* One for each host that it is for. */
static int add_mapping(struct reader *r, struct mapping_list *mappings, const struct config_mapping *mapping, size_t index)
{
	size_t n_hosts = mapping->host_group ? mapping->host_group->n_hosts : 1;

	if (!mapping->host && !mapping->host_group)
		return reader_refuse_key(r, "host", "missing; add it, e.g. \"host\": \"h1\", or a host_group");
	if (mapping->host && mapping->host_group)
		return reader_refuse_key(r, "host_group", "a mapping is for a host or for a host group; remove one of the two");
	if (n_hosts > CONFIG_MAPPINGS_MAX - MIN(mappings->n, (size_t)CONFIG_MAPPINGS_MAX))
		return reader_refuse(r, -E2BIG, "at most %d mappings are supported, those of a host group counted for each host",
				     CONFIG_MAPPINGS_MAX);
	for (size_t i = 0; i < n_hosts; i++) {
		struct numbered_mapping *item = array_push(mappings->list, mappings->n, mappings->cap);

		*item = (struct numbered_mapping){ .mapping = *mapping, .index = index };
		if (mapping->host_group)
			item->mapping.host = mapping->host_group->hosts[i];
	}
	return 0;
}

static int read_mapping_list(struct reader *r, json_t *value, struct mapping_list *mappings)
{
	json_t *member;
	size_t i;

	json_array_foreach(value, i, member) {
		size_t mark = reader_enter_index(r, i);
		struct config_mapping mapping = { 0 };
		int rc = reader_object(r, member, CONFIG_KEYS(mapping_keys), &mapping);

		if (rc == 0)
			rc = check_portals_of_mapping(r, &mapping);
		if (rc == 0)
			rc = check_fabric_of_mapping(r, &mapping);
		if (rc == 0)
			rc = add_mapping(r, mappings, &mapping, i);
		if (rc < 0)
			return rc;
		reader_leave(r, mark);
	}
	return 0;
}

int config_read_mappings(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	_cleanup_(mapping_list_done) struct mapping_list mappings = { 0 };
	struct config *config = r->config;
	int rc = reader_expect_array(r, value, SIZE_MAX);

	(void)key, (void)where;
	if (rc < 0)
		return rc;
	rc = read_mapping_list(r, value, &mappings);
	if (rc == 0 && mappings.n)
		rc = check_repeated_volumes(r, mappings.list, mappings.n);
	if (rc == 0 && mappings.n)
		rc = check_repeated_luns(r, mappings.list, mappings.n);
	if (rc < 0)
		return rc;
	config->mappings = xcalloc(mappings.n + 1, sizeof(*config->mappings));
	for (size_t i = 0; i < mappings.n; i++)
		config->mappings[i] = mappings.list[i].mapping;
	config->n_mappings = mappings.n;
	return 0;
}
