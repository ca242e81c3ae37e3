// SPDX-License-Identifier: GPL-2.0-or-later
/* What may not change from one document to the next, because bytes on disk or hosts depend on it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "target-config/model/config_internal.h"
#include "target-config/model/config_text.h"

#define COPY_HINT "make a new volume and copy the data instead"

static int check_nodes(const struct config *old, const struct config *config, struct err *err)
{
	for (size_t i = 0; i < config->n_nodes; i++) {
		const struct config_node *node = &config->nodes[i];
		const struct config_node *before = config_node_by_name(old, node->name);

		if (before && before->nodeid != node->nodeid)
			return config_refuse(
				err, "nodes", node->name, "id",
				"is %u in the document in force and cannot become %u; remove the node first, then add it with the new id",
				before->nodeid, node->nodeid);
	}
	return 0;
}

static int check_groups(const struct config *old, const struct config *config, struct err *err)
{
	for (size_t i = 0; i < config->n_groups; i++) {
		const struct config_group *group = &config->groups[i];
		const struct config_group *before = config_group_by_name(old, group->name);

		if (before && before->lu_gp_id != group->lu_gp_id)
			return config_refuse(err, "groups", group->name, "lu_gp_id",
					     "is %u in the document in force and cannot become %u; leave it out",
					     before->lu_gp_id, group->lu_gp_id);
	}
	return 0;
}

static bool has_common_node(const struct config_group *a, const struct config_group *b)
{
	for (size_t i = 0; i < CONFIG_COPIES_MAX && a->nodes[i]; i++)
		if (config_group_has_node(b, a->nodes[i]))
			return true;
	return false;
}

/* Where the data are: the group's backend and nodes, the pool's volume group and thin pool. */
static int check_place(const struct config_volume *old, const struct config_volume *volume, struct err *err)
{
	const struct config_group *group = volume->group;

	if (strcmp(old->group->name, group->name) != 0)
		return config_refuse(err, "volumes", volume->name, "group",
				     "is %s in the document in force and cannot become %s; " COPY_HINT,
				     old->group->name, group->name);
	if (old->group->backend != group->backend)
		return config_refuse(
			err, "groups", group->name, "backend",
			"is %s in the document in force and cannot become %s while volume %s stays; " COPY_HINT,
			config_backend_name(old->group->backend), config_backend_name(group->backend), volume->name);
	if (group->backend == CONFIG_BACKEND_SHARED)
		return 0;
	if (strcmp(old->pool->name, volume->pool->name) != 0)
		return config_refuse(err, "volumes", volume->name, "pool",
				     "is %s in the document in force and cannot become %s; " COPY_HINT, old->pool->name,
				     volume->pool->name);
	if (strcmp(old->pool->vg, volume->pool->vg) != 0)
		return config_refuse(
			err, "pools", volume->pool->name, "vg",
			"is %s in the document in force and cannot become %s while volume %s stays; add another pool",
			old->pool->vg, volume->pool->vg, volume->name);
	if (strcmp(old->pool->thin_pool ?: "", volume->pool->thin_pool ?: "") != 0)
		return config_refuse(
			err, "pools", volume->pool->name, "thin_pool",
			"is %s in the document in force and cannot become %s while volume %s stays; add another pool",
			old->pool->thin_pool ?: "none", volume->pool->thin_pool ?: "none", volume->name);
	if (!has_common_node(old->group, group))
		return config_refuse(
			err, "groups", group->name, "nodes",
			"no node keeps its copy of volume %s; replace one node at a time and wait for the resync",
			volume->name);
	return 0;
}

static int check_volume(const struct config_volume *old, const struct config_volume *volume, struct err *err)
{
	char before[32], after[32];
	int rc = check_place(old, volume, err);

	if (rc < 0)
		return rc;
	if (volume->size_bytes < old->size_bytes) {
		config_size_print(old->size_bytes, "", before);
		config_size_print(volume->size_bytes, "", after);
		return config_refuse(err, "volumes", volume->name, "size",
				     "is %s in the document in force and cannot shrink to %s; " COPY_HINT, before,
				     after);
	}
	if (strcmp(old->serial, volume->serial) != 0)
		return config_refuse(err, "volumes", volume->name, "serial",
				     "is %s in the document in force and cannot change; leave it out", old->serial);
	if (old->block_size != volume->block_size)
		return config_refuse(err, "volumes", volume->name, "block_size",
				     "is %u in the document in force and cannot become %u; write %u", old->block_size,
				     volume->block_size, old->block_size);
	if (old->drbd_minor != volume->drbd_minor)
		return config_refuse(err, "volumes", volume->name, "drbd_minor",
				     "is %u in the document in force and cannot become %u; leave it out",
				     old->drbd_minor, volume->drbd_minor);
	if (old->target_lun != volume->target_lun)
		return config_refuse(err, "volumes", volume->name, "target_lun",
				     "is %u in the document in force and cannot become %u; leave it out",
				     old->target_lun, volume->target_lun);
	if (old->drbd_volume != volume->drbd_volume)
		return config_refuse(err, "volumes", volume->name, "drbd_volume",
				     "is %u in the document in force and cannot become %u; leave it out",
				     old->drbd_volume, volume->drbd_volume);
	return 0;
}

struct known_naa {
	char naa[33];
	const char *volume;
};

static int compare_naa(const void *a, const void *b)
{
	return strcmp(a, b); /* naa is first */
}

/* A host that still holds paths of the one would see the bytes of the other under the same id. */
static int check_moved_serials(const struct config *old, const struct config *config, struct err *err)
{
	_cleanup_free_ struct known_naa *known = xcalloc(old->n_volumes + 1, sizeof(*known));

	for (size_t i = 0; i < old->n_volumes; i++) {
		config_naa(old->volumes[i].serial, known[i].naa);
		known[i].volume = old->volumes[i].name;
	}
	qsort(known, old->n_volumes, sizeof(*known), compare_naa);
	for (size_t i = 0; i < config->n_volumes; i++) {
		const struct known_naa *other;
		char naa[33];

		config_naa(config->volumes[i].serial, naa);
		other = bsearch(naa, known, old->n_volumes, sizeof(*known), compare_naa);
		if (other && strcmp(other->volume, config->volumes[i].name) != 0)
			return config_refuse(
				err, "volumes", config->volumes[i].name, "serial",
				"is that of volume %s in the document in force; leave it out, or remove %s first",
				other->volume, other->volume);
	}
	return 0;
}

int config_check_change(const struct config *old, const struct config *config, struct err *err)
{
	int rc = check_nodes(old, config, err);

	/* Volumes before groups: their texts say more. */
	for (size_t i = 0; rc == 0 && i < config->n_volumes; i++) {
		const struct config_volume *before = config_volume_by_name(old, config->volumes[i].name);

		if (before)
			rc = check_volume(before, &config->volumes[i], err);
	}
	if (rc == 0)
		rc = check_groups(old, config, err);
	if (rc == 0)
		rc = check_moved_serials(old, config, err);
	return rc;
}
