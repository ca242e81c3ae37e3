// SPDX-License-Identifier: GPL-2.0-or-later
/* Where bytes are: pools, groups, volumes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "target-config/model/config_read.h"

static const char *const backend_words[] = { "drbd", "shared", "local", NULL };
static const char *const failback_words[] = { "manual", "auto", NULL };
static const char *const placement_words[] = { "auto", "pacemaker", NULL };

const char *config_backend_name(enum config_backend backend)
{
	return backend_words[backend];
}

const char *config_placement_name(enum config_placement placement)
{
	return placement_words[placement];
}

const char *config_failback_name(enum config_failback failback)
{
	return failback_words[failback];
}

/* --- pools ---*/

static const struct reader_key pool_keys[] = {
	CONFIG_KEY("vg", reader_text, struct config_pool, vg, .example = "\"vg0\"", .check = config_text_vg),
	CONFIG_KEY("thin_pool", reader_text, struct config_pool, thin_pool, .check = config_text_thin_pool),
	CONFIG_KEY("warn_percent", reader_u16, struct config_pool, warn_percent, .min = 1, .max = 99),
	CONFIG_KEY("error_percent", reader_u16, struct config_pool, error_percent, .min = 2, .max = 100),
};

static int finish_pool(struct reader *r, void *item)
{
	struct config_pool *pool = item;
	bool says_error = pool->error_percent != 0;

	if (!pool->thin_pool && (pool->warn_percent || says_error))
		return reader_refuse_key(r, pool->warn_percent ? "warn_percent" : "error_percent", "only with thin_pool; remove it");
	if (!pool->thin_pool)
		return 0;
	pool->warn_percent = pool->warn_percent ?: CONFIG_POOL_WARN_DEFAULT_PERCENT;
	pool->error_percent = pool->error_percent ?: CONFIG_POOL_ERROR_DEFAULT_PERCENT;
	if (pool->warn_percent < pool->error_percent)
		return 0;
	if (says_error)
		return reader_refuse_key(r, "error_percent", "must be more than warn_percent (%u), not %u", pool->warn_percent,
					 pool->error_percent);
	return reader_refuse_key(r, "warn_percent", "must be less than error_percent (%u), not %u", pool->error_percent,
				 pool->warn_percent);
}

int config_read_pools(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	static const struct config_section section = {
		CONFIG_SECTION_OF(pools), .max = 1024, .check_name = config_text_name, .keys = pool_keys,
		.n_keys = ARRAY_SIZE(pool_keys), .finish = finish_pool,
	};

	(void)key, (void)where;
	return config_read_section(r, &section, value);
}

/* --- groups ---*/

static int read_group_nodes(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	uint32_t *nodes = where;
	int rc = reader_expect_array(r, value, CONFIG_COPIES_MAX);
	json_t *member;
	size_t i;

	if (rc < 0)
		return rc;
	json_array_foreach(value, i, member) {
		size_t mark = reader_enter_index(r, i);

		rc = config_read_node_reference(r, key, member, &nodes[i]);
		if (rc < 0)
			return rc;
		for (size_t j = 0; j < i; j++)
			if (nodes[j] == nodes[i])
				return reader_refuse(r, -EINVAL, "node %s is named twice",
						     config_node_name(r->config, nodes[i]));
		reader_leave(r, mark);
	}
	return 0;
}

static const struct reader_key group_keys[] = {
	CONFIG_KEY("backend", reader_word, struct config_group, backend, .example = "\"drbd\"", .words = backend_words),
	CONFIG_KEY("nodes", read_group_nodes, struct config_group, nodes, .example = "[\"n1\", \"n2\"]"),
	CONFIG_KEY("prefer", config_read_node_reference, struct config_group, prefer),
	CONFIG_KEY("placement", reader_word, struct config_group, placement, .words = placement_words),
	CONFIG_KEY("weight", reader_u16, struct config_group, weight, .min = 1, .max = 1000),
	CONFIG_KEY("failback", reader_word, struct config_group, failback, .words = failback_words),
	CONFIG_KEY("failback_delay_s", reader_u32, struct config_group, failback_delay_s, .min = 1, .max = 604800),
	CONFIG_KEY("takeover_limit", reader_u32, struct config_group, takeover_limit, .min = 0, .max = 255),
	CONFIG_KEY("port", reader_u16, struct config_group, port, .min = 1, .max = 65535),
	CONFIG_KEY("lu_gp_id", reader_u16, struct config_group, lu_gp_id, .min = 1, .max = 65535),
};

static size_t count_copies(const struct config_group *group)
{
	size_t n = 0;

	while (n < CONFIG_COPIES_MAX && group->nodes[n])
		n++;
	return n;
}

static int finish_drbd_group(struct reader *r, const struct config_group *group)
{
	if (count_copies(group) != 2)
		return reader_refuse_key(r, "nodes",
					 "backend drbd keeps exactly 2 copies; name 2 storage nodes, not %zu",
					 count_copies(group));
	for (size_t i = 0; i < 2; i++) {
		const struct config_node *node = config_node_by_id(r->config, group->nodes[i]);

		if (!node->replication_address)
			return reader_refuse_key(
				r, "nodes",
				"node %s has no replication address for DRBD; add nodes.%s.replication_address",
				node->name, node->name);
	}
	return 0;
}

static int finish_group(struct reader *r, void *item)
{
	const struct config_group *group = item;

	if (group->prefer && !config_group_has_node(group, group->prefer))
		return reader_refuse_key(r, "prefer", "node %s has no copy of this group; name one of its nodes",
					 config_node_name(r->config, group->prefer));
	if (group->failback == CONFIG_FAILBACK_AUTO && !group->prefer)
		return reader_refuse_key(r, "failback", "there is no node to go back to; add prefer");
	if (group->failback == CONFIG_FAILBACK_AUTO && group->placement != CONFIG_PLACEMENT_AUTO)
		return reader_refuse_key(r, "failback", "Pacemaker places this group; use its resource-stickiness");
	if (group->backend == CONFIG_BACKEND_DRBD)
		return finish_drbd_group(r, group);
	if (group->port)
		return reader_refuse_key(r, "port", "only backend drbd has a port; remove it");
	if (group->backend == CONFIG_BACKEND_LOCAL && count_copies(group) != 1)
		return reader_refuse_key(r, "nodes",
					 "backend local is on exactly 1 node, not %zu; use drbd or shared for more",
					 count_copies(group));
	if (count_copies(group) == 0)
		return reader_refuse_key(r, "nodes", "no nodes; name those that see the devices");
	return 0;
}

static void set_group_defaults(void *item)
{
	struct config_group *group = item;

	group->weight = CONFIG_WEIGHT_DEFAULT;
	group->failback_delay_s = CONFIG_FAILBACK_DELAY_DEFAULT_S;
	group->takeover_limit = CONFIG_TAKEOVER_LIMIT_DEFAULT;
}

int config_read_groups(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	static const struct config_section section = {
		CONFIG_SECTION_OF(groups), .max = CONFIG_GROUPS_MAX,         .check_name = config_text_name,
		.keys = group_keys,        .n_keys = ARRAY_SIZE(group_keys), .finish = finish_group,
		.set_defaults = set_group_defaults,
	};

	(void)key, (void)where;
	return config_read_section(r, &section, value);
}

/* --- volumes ---*/

static const struct reader_key volume_keys[] = {
	CONFIG_KEY("group", config_read_group_reference, struct config_volume, group, .example = "\"g1\""),
	CONFIG_KEY("pool", config_read_pool_reference, struct config_volume, pool),
	CONFIG_KEY("device", reader_text, struct config_volume, device, .check = config_text_device),
	CONFIG_KEY("size", reader_size, struct config_volume, size_bytes, .example = "\"10GiB\""),
	CONFIG_KEY("serial", reader_text, struct config_volume, serial, .check = config_text_serial),
	CONFIG_KEY("block_size", reader_u32, struct config_volume, block_size, .min = 512, .max = 4096),
	CONFIG_KEY("drbd_minor", reader_u32, struct config_volume, drbd_minor, .min = 0, .max = (1 << 20) - 1),
	CONFIG_KEY("target_lun", reader_u32, struct config_volume, target_lun, .min = 0, .max = (1 << 20) - 1),
	CONFIG_KEY("drbd_volume", reader_u16, struct config_volume, drbd_volume, .min = 0, .max = UINT16_MAX - 1),
};

static void set_volume_defaults(void *item)
{
	struct config_volume *volume = item;

	volume->block_size = 512;
	volume->drbd_minor = CONFIG_MINOR_UNSET;
	volume->target_lun = CONFIG_MINOR_UNSET;
	volume->drbd_volume = CONFIG_DRBD_VOLUME_UNSET;
}

static int finish_shared_volume(struct reader *r, const struct config_volume *volume)
{
	if (!volume->device)
		return reader_refuse_key(
			r, "device",
			"missing; group %s has backend shared, name the block device that all its nodes see",
			volume->group->name);
	if (volume->pool)
		return reader_refuse_key(r, "pool", "group %s has backend shared, its volumes are devices; remove it",
					 volume->group->name);
	if (volume->size_bytes % volume->block_size)
		return reader_refuse_key(r, "size", "must be a multiple of block_size (%u bytes)", volume->block_size);
	return 0;
}

static int finish_pool_volume(struct reader *r, const struct config_volume *volume)
{
	const char *backend = config_backend_name(volume->group->backend);

	if (!volume->pool)
		return reader_refuse_key(r, "pool",
					 "missing; group %s has backend %s, name the pool for its logical volumes",
					 volume->group->name, backend);
	if (volume->device)
		return reader_refuse_key(r, "device",
					 "group %s has backend %s, its volumes are made in a pool; remove it",
					 volume->group->name, backend);
	if (volume->size_bytes % (4u << 20))
		return reader_refuse_key(r, "size", "must be a multiple of 4MiB, the extent of LVM");
	return 0;
}

static int finish_volume(struct reader *r, void *item)
{
	struct config_volume *volume = item;
	bool drbd = volume->group->backend == CONFIG_BACKEND_DRBD;

	if (volume->block_size != 512 && volume->block_size != 4096)
		return reader_refuse_key(r, "block_size", "must be 512 or 4096, not %u", volume->block_size);
	if (!drbd && volume->drbd_minor != CONFIG_MINOR_UNSET)
		return reader_refuse_key(r, "drbd_minor", "only for volumes of backend drbd; remove it");
	if (!drbd && volume->drbd_volume != CONFIG_DRBD_VOLUME_UNSET)
		return reader_refuse_key(r, "drbd_volume", "only for volumes of backend drbd; remove it");
	if (drbd && volume->target_lun != CONFIG_MINOR_UNSET)
		return reader_refuse_key(r, "target_lun", "not for volumes of backend drbd, whose minor it is; remove it");
	if (drbd) {
		volume->target_lun = 0;
	} else {
		volume->drbd_minor = 0;
		volume->drbd_volume = 0;
	}
	return volume->group->backend == CONFIG_BACKEND_SHARED ? finish_shared_volume(r, volume)
							       : finish_pool_volume(r, volume);
}

int config_read_volumes(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	static const struct config_section section = {
		CONFIG_SECTION_OF(volumes),
		.max = CONFIG_VOLUMES_MAX,
		.check_name = config_text_volume,
		.set_defaults = set_volume_defaults,
		.keys = volume_keys,
		.n_keys = ARRAY_SIZE(volume_keys),
		.finish = finish_volume,
	};

	(void)key, (void)where;
	return config_read_section(r, &section, value);
}
