// SPDX-License-Identifier: GPL-2.0-or-later
/* Which volume is which LUN of which host. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "target-config/model/config_read.h"

static const struct reader_key mapping_keys[] = {
	CONFIG_KEY("host", config_read_host_reference, struct config_mapping, host, .example = "\"h1\""),
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

struct numbered_mapping {
	struct config_mapping mapping;
	size_t index; /* in the document */
};

static int compare_nexus(const struct config_mapping *a, const struct config_mapping *b)
{
	int rc = strcmp(a->host->name, b->host->name);

	return rc ? rc : strcmp(a->target->iqn, b->target->iqn);
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

static int read_mapping_list(struct reader *r, json_t *value, struct numbered_mapping *list)
{
	json_t *member;
	size_t i;

	json_array_foreach(value, i, member) {
		size_t mark = reader_enter_index(r, i);
		int rc = reader_object(r, member, CONFIG_KEYS(mapping_keys), &list[i].mapping);

		if (rc == 0)
			rc = check_portals_of_mapping(r, &list[i].mapping);
		if (rc < 0)
			return rc;
		list[i].index = i;
		reader_leave(r, mark);
	}
	return 0;
}

int config_read_mappings(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	_cleanup_free_ struct numbered_mapping *list = NULL;
	struct config *config = r->config;
	int rc = reader_expect_array(r, value, SIZE_MAX);
	size_t n;

	(void)key, (void)where;
	if (rc < 0)
		return rc;
	n = json_array_size(value);
	list = xcalloc(n + 1, sizeof(*list));
	rc = read_mapping_list(r, value, list);
	if (rc == 0)
		rc = check_repeated_volumes(r, list, n);
	if (rc == 0)
		rc = check_repeated_luns(r, list, n);
	if (rc < 0)
		return rc;
	config->mappings = xcalloc(n + 1, sizeof(*config->mappings));
	for (size_t i = 0; i < n; i++)
		config->mappings[i] = list[i].mapping;
	config->n_mappings = n;
	return 0;
}
