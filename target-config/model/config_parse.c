// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * JSON to model: one table of keys per object. The order of sections in document_keys[] is the order of reading, so that a
 * reference (a group's nodes, a mapping's volume) is resolved at once and a wrong one is refused with its own path.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "target-config/model/config_internal.h"
#include "target-config/model/config_json.h"

DEFINE_CLEANUP(struct config *, config_free);

#define OPTIONS_MAX 64
#define PORTALS_MAX 256
#define INITIATORS_MAX 64
#define FENCE_TIMEOUT_DEFAULT_S 60

#define KEY(text, fn, type, field, ...) { .name = text, .read = fn, .offset = offsetof(type, field), ##__VA_ARGS__ }
#define KEYS(table) table, ARRAY_SIZE(table)

static const char *const role_words[] = { "storage", "witness", NULL };
static const char *const backend_words[] = { "drbd", "shared", "local", NULL };
static const char *const placement_words[] = { "auto", "pacemaker", NULL };
static const char *const profile_words[] = { "linux", "esxi", "windows", NULL };

const char *config_role_name(enum config_role role)
{
	return role_words[role];
}

const char *config_backend_name(enum config_backend backend)
{
	return backend_words[backend];
}

const char *config_placement_name(enum config_placement placement)
{
	return placement_words[placement];
}

const char *config_profile_name(enum config_profile profile)
{
	return profile_words[profile];
}

/* --- sections: objects keyed by name ---*/

struct section {
	size_t item_size;      /* items start with a char * for the name */
	size_t array, count;   /* offsets in struct config */
	size_t max;
	config_text_fn *check_name;
	void (*set_defaults)(void *item);
	const struct reader_key *keys;
	size_t n_keys;
	int (*finish)(struct reader *r, void *item); /* what must hold within the item; may be NULL */
};

static int read_item(struct reader *r, const struct section *section, const char *name, json_t *value, void *item)
{
	const char *wrong = section->check_name(name);
	int rc;

	if (wrong)
		return reader_refuse(r, -EINVAL, "%s", wrong);
	*(char **)item = xstrdup(name);
	if (section->set_defaults)
		section->set_defaults(item);
	rc = reader_object(r, value, section->keys, section->n_keys, item);
	if (rc == 0 && section->finish)
		rc = section->finish(r, item);
	return rc;
}

static int read_section(struct reader *r, const struct section *section, json_t *value)
{
	char **array = (char **)((char *)r->config + section->array);
	size_t *count = (size_t *)((char *)r->config + section->count);
	int rc = reader_expect_object(r, value, section->max);
	const char *name;
	json_t *member;

	if (rc < 0)
		return rc;
	*array = xcalloc(json_object_size(value) + 1, section->item_size);
	json_object_foreach(value, name, member) {
		size_t mark = reader_enter_key(r, name);

		rc = read_item(r, section, name, member, *array + (*count)++ * section->item_size);
		if (rc < 0)
			return rc;
		reader_leave(r, mark);
	}
	qsort(*array, *count, section->item_size, config_compare_names);
	return 0;
}

#define SECTION_OF(list)                                                                                               \
	.item_size = sizeof(*((struct config *)NULL)->list), .array = offsetof(struct config, list),                   \
	.count = offsetof(struct config, n_##list)

/* --- texts that need more than a check ---*/

static int read_address(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	const char *text = reader_expect_text(r, value), *wrong;
	char address[INET6_ADDRSTRLEN];

	(void)key;
	if (!text)
		return -EINVAL;
	wrong = config_text_address(text, address, NULL);
	if (wrong)
		return reader_refuse(r, -EINVAL, "%s", wrong);
	*(char **)where = xstrdup(address);
	return 0;
}

/* --- options of fence agents ---*/

static int compare_options(const void *a, const void *b)
{
	return strcmp(((const struct config_option *)a)->key, ((const struct config_option *)b)->key);
}

static int read_option(struct reader *r, const char *name, json_t *value, struct config_option *option)
{
	const struct reader_key text = { .check = config_text_option_value };
	const char *wrong = config_text_option_key(name);

	if (wrong)
		return reader_refuse(r, -EINVAL, "%s", wrong);
	option->key = xstrdup(name);
	return reader_text(r, &text, value, &option->value);
}

static int read_options(struct reader *r, json_t *value, struct config_option **options, size_t *n_options)
{
	int rc = reader_expect_object(r, value, OPTIONS_MAX);
	const char *name;
	json_t *member;

	if (rc < 0)
		return rc;
	*options = xcalloc(json_object_size(value) + 1, sizeof(**options));
	json_object_foreach(value, name, member) {
		size_t mark = reader_enter_key(r, name);

		rc = read_option(r, name, member, &(*options)[(*n_options)++]);
		if (rc < 0)
			return rc;
		reader_leave(r, mark);
	}
	qsort(*options, *n_options, sizeof(**options), compare_options);
	return 0;
}

static int read_fencing_options(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	(void)key, (void)where;
	return read_options(r, value, &r->config->fencing.options, &r->config->fencing.n_options);
}

static int read_node_fence(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	struct config_node *node = where; /* offset 0 */

	(void)key;
	return read_options(r, value, &node->fence, &node->n_fence);
}

static const struct reader_key fencing_keys[] = {
	KEY("agent", reader_text, struct config_fencing, agent, .required = true, .check = config_text_fence_agent),
	KEY("timeout_s", reader_int, struct config_fencing, timeout_s, .min = 1, .max = 3600),
	{ .name = "options", .read = read_fencing_options },
};

static int read_fencing(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	(void)key;
	return reader_object(r, value, KEYS(fencing_keys), where);
}

/* --- nodes ---*/

static const struct reader_key node_keys[] = {
	KEY("id", reader_u32, struct config_node, nodeid, .required = true, .min = 1, .max = CONFIG_NODEID_MAX),
	KEY("role", reader_word, struct config_node, role, .words = role_words),
	KEY("replication_address", read_address, struct config_node, replication_address),
	{ .name = "fence", .read = read_node_fence },
};

static int finish_node(struct reader *r, void *item)
{
	const struct config_node *node = item;

	if (node->role == CONFIG_ROLE_WITNESS && node->replication_address)
		return reader_refuse_key(r, "replication_address", "a witness holds no data; remove it or make the role storage");
	if (node->n_fence && !r->config->fencing.agent)
		return reader_refuse_key(r, "fence", "there is no fence agent for these options; add fencing.agent");
	return 0;
}

static int compare_nodeids(const void *a, const void *b)
{
	uint32_t x = ((const struct config_node *)a)->nodeid, y = ((const struct config_node *)b)->nodeid;

	return x < y ? -1 : x > y;
}

static int read_nodes(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	static const struct section section = {
		SECTION_OF(nodes), .max = CONFIG_NODES_MAX, .check_name = config_text_name, .keys = node_keys,
		.n_keys = ARRAY_SIZE(node_keys), .finish = finish_node,
	};
	struct config *config = r->config;
	int rc = read_section(r, &section, value);

	(void)key, (void)where;
	if (rc < 0)
		return rc;
	if (config->n_nodes == 0)
		return reader_refuse(r, -EINVAL, "no nodes; name those of Corosync's nodelist");
	qsort(config->nodes, config->n_nodes, sizeof(*config->nodes), compare_nodeids);
	for (size_t i = 1; i < config->n_nodes; i++)
		if (config->nodes[i].nodeid == config->nodes[i - 1].nodeid)
			return config_refuse(r->err, "nodes", config->nodes[i].name, "id",
					     "%u is the id of node %s too; give each node its id of corosync.conf",
					     config->nodes[i].nodeid, config->nodes[i - 1].name);
	return 0;
}

static const struct config_node *expect_node(struct reader *r, json_t *value)
{
	const char *name = reader_expect_text(r, value);
	char quoted[CONFIG_QUOTE_SIZE];
	const struct config_node *node;

	if (!name)
		return NULL;
	node = config_node_by_name(r->config, name);
	if (!node)
		(void)!reader_refuse(r, -EINVAL, "no node %s in nodes", config_quote(name, quoted));
	return node;
}

static int read_node_reference(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	const struct config_node *node = expect_node(r, value);

	(void)key;
	if (!node)
		return -EINVAL;
	if (node->role != CONFIG_ROLE_STORAGE)
		return reader_refuse(r, -EINVAL, "node %s is a witness; name a storage node", node->name);
	*(uint32_t *)where = node->nodeid;
	return 0;
}

/* --- pools ---*/

static const struct reader_key pool_keys[] = {
	KEY("vg", reader_text, struct config_pool, vg, .required = true, .check = config_text_vg),
};

static int read_pools(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	static const struct section section = {
		SECTION_OF(pools), .max = 1024, .check_name = config_text_name, .keys = pool_keys, .n_keys = ARRAY_SIZE(pool_keys),
	};

	(void)key, (void)where;
	return read_section(r, &section, value);
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

		rc = read_node_reference(r, key, member, &nodes[i]);
		if (rc < 0)
			return rc;
		for (size_t j = 0; j < i; j++)
			if (nodes[j] == nodes[i])
				return reader_refuse(r, -EINVAL, "node %s is named twice", config_node_name(r->config, nodes[i]));
		reader_leave(r, mark);
	}
	return 0;
}

static const struct reader_key group_keys[] = {
	KEY("backend", reader_word, struct config_group, backend, .required = true, .words = backend_words),
	KEY("nodes", read_group_nodes, struct config_group, nodes, .required = true),
	KEY("prefer", read_node_reference, struct config_group, prefer),
	KEY("placement", reader_word, struct config_group, placement, .words = placement_words),
	KEY("port", reader_u16, struct config_group, port, .min = 1, .max = 65535),
	KEY("lu_gp_id", reader_u16, struct config_group, lu_gp_id, .min = 1, .max = 65535),
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
		return reader_refuse_key(r, "nodes", "backend drbd keeps exactly 2 copies; name 2 storage nodes, not %zu",
					 count_copies(group));
	for (size_t i = 0; i < 2; i++) {
		const struct config_node *node = config_node_by_id(r->config, group->nodes[i]);

		if (!node->replication_address)
			return reader_refuse_key(r, "nodes", "node %s has no replication address for DRBD; add nodes.%s.replication_address",
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
	if (group->backend == CONFIG_BACKEND_DRBD)
		return finish_drbd_group(r, group);
	if (group->port)
		return reader_refuse_key(r, "port", "only backend drbd has a port; remove it");
	if (group->backend == CONFIG_BACKEND_LOCAL && count_copies(group) != 1)
		return reader_refuse_key(r, "nodes", "backend local is on exactly 1 node, not %zu; use drbd or shared for more",
					 count_copies(group));
	if (count_copies(group) == 0)
		return reader_refuse_key(r, "nodes", "no nodes; name those that see the devices");
	return 0;
}

static int read_groups(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	static const struct section section = {
		SECTION_OF(groups), .max = CONFIG_GROUPS_MAX, .check_name = config_text_name, .keys = group_keys,
		.n_keys = ARRAY_SIZE(group_keys), .finish = finish_group,
	};

	(void)key, (void)where;
	return read_section(r, &section, value);
}

/* --- volumes ---*/

/* One of the named objects read before, e.g. "group" in `groups`. */
static int read_reference(struct reader *r, json_t *value, const void *array, size_t n, size_t item_size, const char *kind, void *where)
{
	const char *name = reader_expect_text(r, value);
	char quoted[CONFIG_QUOTE_SIZE];
	const void *item;

	if (!name)
		return -EINVAL;
	item = config_find_named(array, n, item_size, name);
	if (!item)
		return reader_refuse(r, -EINVAL, "no %s %s in %ss", kind, config_quote(name, quoted), kind);
	*(const void **)where = item;
	return 0;
}

#define DEFINE_REFERENCE_READER(kind)                                                                                  \
	static int read_##kind##_reference(struct reader *r, const struct reader_key *key, json_t *value, void *where) \
	{                                                                                                              \
		(void)key;                                                                                             \
		return read_reference(r, value, r->config->kind##s, r->config->n_##kind##s,                            \
				      sizeof(*r->config->kind##s), #kind, where);                                      \
	}

DEFINE_REFERENCE_READER(pool)
DEFINE_REFERENCE_READER(group)
DEFINE_REFERENCE_READER(volume)
DEFINE_REFERENCE_READER(target)
DEFINE_REFERENCE_READER(host)

static const struct reader_key volume_keys[] = {
	KEY("group", read_group_reference, struct config_volume, group, .required = true),
	KEY("pool", read_pool_reference, struct config_volume, pool),
	KEY("device", reader_text, struct config_volume, device, .check = config_text_device),
	KEY("size", reader_size, struct config_volume, size_bytes, .required = true),
	KEY("serial", reader_text, struct config_volume, serial, .check = config_text_serial),
	KEY("block_size", reader_u32, struct config_volume, block_size, .min = 512, .max = 4096),
	KEY("drbd_minor", reader_u32, struct config_volume, drbd_minor, .min = 0, .max = (1 << 20) - 1),
	KEY("drbd_volume", reader_u16, struct config_volume, drbd_volume, .min = 0, .max = UINT16_MAX - 1),
};

static void set_volume_defaults(void *item)
{
	struct config_volume *volume = item;

	volume->block_size = 512;
	volume->drbd_minor = CONFIG_MINOR_UNSET;
	volume->drbd_volume = CONFIG_DRBD_VOLUME_UNSET;
}

static int finish_shared_volume(struct reader *r, const struct config_volume *volume)
{
	if (!volume->device)
		return reader_refuse_key(r, "device", "missing; group %s has backend shared, name the block device that all its nodes see",
					 volume->group->name);
	if (volume->pool)
		return reader_refuse_key(r, "pool", "group %s has backend shared, its volumes are devices; remove it", volume->group->name);
	if (volume->size_bytes % volume->block_size)
		return reader_refuse_key(r, "size", "must be a multiple of block_size (%u bytes)", volume->block_size);
	return 0;
}

static int finish_pool_volume(struct reader *r, const struct config_volume *volume)
{
	const char *backend = config_backend_name(volume->group->backend);

	if (!volume->pool)
		return reader_refuse_key(r, "pool", "missing; group %s has backend %s, name the pool for its logical volumes",
					 volume->group->name, backend);
	if (volume->device)
		return reader_refuse_key(r, "device", "group %s has backend %s, its volumes are made in a pool; remove it",
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
	if (!drbd) {
		volume->drbd_minor = 0;
		volume->drbd_volume = 0;
	}
	return volume->group->backend == CONFIG_BACKEND_SHARED ? finish_shared_volume(r, volume) : finish_pool_volume(r, volume);
}

static int read_volumes(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	static const struct section section = {
		SECTION_OF(volumes), .max = CONFIG_VOLUMES_MAX, .check_name = config_text_volume,
		.set_defaults = set_volume_defaults, .keys = volume_keys, .n_keys = ARRAY_SIZE(volume_keys), .finish = finish_volume,
	};

	(void)key, (void)where;
	return read_section(r, &section, value);
}

/* --- targets ---*/

static int read_portal_address(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	struct config_portal *portal = where; /* offset 0 */
	const char *text = reader_expect_text(r, value), *wrong;
	char address[INET6_ADDRSTRLEN];

	(void)key;
	if (!text)
		return -EINVAL;
	wrong = config_text_address(text, address, &portal->prefix_len);
	if (wrong)
		return reader_refuse(r, -EINVAL, "%s", wrong);
	portal->address = xstrdup(address);
	return 0;
}

static int read_transports(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	static const char *const words[] = { "tcp", "iser", NULL };
	const struct reader_key word_key = { .words = words };
	int rc = reader_expect_array(r, value, 2);
	unsigned int mask = 0, word;
	json_t *member;
	size_t i;

	(void)key;
	if (rc < 0)
		return rc;
	json_array_foreach(value, i, member) {
		size_t mark = reader_enter_index(r, i);

		rc = reader_word(r, &word_key, member, &word);
		if (rc < 0)
			return rc;
		if (mask & 1u << word)
			return reader_refuse(r, -EINVAL, "%s is named twice", words[word]);
		mask |= 1u << word;
		reader_leave(r, mark);
	}
	if (!mask)
		return reader_refuse(r, -EINVAL, "no transports; name tcp, iser or both, or leave the key out for tcp");
	/* LIO makes an iSER portal by a switch on the TCP one (iscsi_target_configfs.c, lio_target_np_iser_store). */
	if (mask & CONFIG_TRANSPORT_ISER)
		mask |= CONFIG_TRANSPORT_TCP;
	*(unsigned int *)where = mask;
	return 0;
}

static const struct reader_key portal_keys[] = {
	KEY("node", read_node_reference, struct config_portal, nodeid, .required = true),
	{ .name = "address", .read = read_portal_address, .required = true },
	KEY("interface", reader_text, struct config_portal, interface, .check = config_text_interface),
	KEY("port", reader_u16, struct config_portal, port, .min = 1, .max = 65535),
	KEY("transports", read_transports, struct config_portal, transports),
};

static int read_portal(struct reader *r, json_t *value, struct config_portal *portal)
{
	int rc;

	portal->port = 3260;
	portal->transports = CONFIG_TRANSPORT_TCP;
	rc = reader_object(r, value, KEYS(portal_keys), portal);
	if (rc < 0)
		return rc;
	if (portal->prefix_len && !portal->interface)
		return reader_refuse_key(r, "interface", "missing; it says where the address belongs, or leave out \"/%u\" of the address if Lunward shall not manage it",
					 portal->prefix_len);
	return 0;
}

static int compare_portals(const void *a, const void *b)
{
	const struct config_portal *x = a, *y = b;
	int rc = x->nodeid < y->nodeid ? -1 : x->nodeid > y->nodeid;

	if (!rc)
		rc = strcmp(x->address, y->address);
	return rc ? rc : (int)x->port - (int)y->port;
}

static int read_portals(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	struct config_target *target = where; /* offset 0 */
	int rc = reader_expect_array(r, value, PORTALS_MAX);
	json_t *member;
	size_t i;

	(void)key;
	if (rc < 0)
		return rc;
	target->portals = xcalloc(json_array_size(value) + 1, sizeof(*target->portals));
	json_array_foreach(value, i, member) {
		struct config_portal *portal = &target->portals[target->n_portals++];
		size_t mark = reader_enter_index(r, i);

		rc = read_portal(r, member, portal);
		if (rc < 0)
			return rc;
		for (size_t j = 0; j < i; j++)
			if (portal->port == target->portals[j].port && strcmp(portal->address, target->portals[j].address) == 0)
				return reader_refuse(r, -EINVAL, "address %s port %u is portals[%zu] already; remove one of them",
						     portal->address, portal->port, j);
		reader_leave(r, mark);
	}
	qsort(target->portals, target->n_portals, sizeof(*target->portals), compare_portals);
	return 0;
}

static const struct reader_key target_keys[] = {
	{ .name = "portals", .read = read_portals, .required = true },
};

static int read_targets(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	static const struct section section = {
		SECTION_OF(targets), .max = 4096, .check_name = config_text_target, .keys = target_keys,
		.n_keys = ARRAY_SIZE(target_keys),
	};

	(void)key, (void)where;
	return read_section(r, &section, value);
}

/* --- hosts ---*/

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_initiators(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	const struct reader_key text = { .check = config_text_initiator };
	struct config_host *host = where; /* offset 0 */
	int rc = reader_expect_array(r, value, INITIATORS_MAX);
	json_t *member;
	size_t i;

	(void)key;
	if (rc < 0)
		return rc;
	if (json_array_size(value) == 0)
		return reader_refuse(r, -EINVAL, "no initiators; name the host's IQN");
	host->initiators = xcalloc(json_array_size(value) + 1, sizeof(*host->initiators));
	json_array_foreach(value, i, member) {
		size_t mark = reader_enter_index(r, i);

		rc = reader_text(r, &text, member, &host->initiators[host->n_initiators++]);
		if (rc < 0)
			return rc;
		for (size_t j = 0; j < i; j++)
			if (strcmp(host->initiators[i], host->initiators[j]) == 0)
				return reader_refuse(r, -EINVAL, "this initiator is named twice");
		reader_leave(r, mark);
	}
	qsort(host->initiators, host->n_initiators, sizeof(*host->initiators), compare_texts);
	return 0;
}

static const struct reader_key chap_keys[] = {
	KEY("user", reader_text, struct config_chap, user, .required = true, .check = config_text_chap_user),
	KEY("password", reader_text, struct config_chap, password, .required = true, .check = config_text_chap_password),
};

static int read_chap(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	(void)key;
	return reader_object(r, value, KEYS(chap_keys), where);
}

static const struct reader_key host_keys[] = {
	KEY("profile", reader_word, struct config_host, profile, .words = profile_words),
	{ .name = "initiators", .read = read_initiators, .required = true },
	KEY("chap", read_chap, struct config_host, chap),
	KEY("mutual_chap", read_chap, struct config_host, mutual_chap),
};

static int finish_host(struct reader *r, void *item)
{
	const struct config_host *host = item;

	if (host->mutual_chap.user && !host->chap.user)
		return reader_refuse_key(r, "mutual_chap", "the target proves itself only to a host that proves itself; add chap");
	/* RFC 7143 9.2.1: a reused secret lets an attacker have the other side answer for it. */
	if (host->mutual_chap.user && strcmp(host->chap.password, host->mutual_chap.password) == 0)
		return reader_refuse_key(r, "mutual_chap", "has the same password as chap; choose another");
	/* Microsoft's initiator takes secrets of 12 to 16 bytes. */
	if (host->profile == CONFIG_PROFILE_WINDOWS && host->chap.user &&
	    (strlen(host->chap.password) > 16 || (host->mutual_chap.user && strlen(host->mutual_chap.password) > 16)))
		return reader_refuse_key(r, strlen(host->chap.password) > 16 ? "chap" : "mutual_chap",
					 "Windows takes passwords of 12 to 16 characters; choose a shorter one");
	return 0;
}

static int read_hosts(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	static const struct section section = {
		SECTION_OF(hosts), .max = 65536, .check_name = config_text_name, .keys = host_keys,
		.n_keys = ARRAY_SIZE(host_keys), .finish = finish_host,
	};

	(void)key, (void)where;
	return read_section(r, &section, value);
}

/* --- mappings ---*/

static const struct reader_key mapping_keys[] = {
	KEY("host", read_host_reference, struct config_mapping, host, .required = true),
	KEY("volume", read_volume_reference, struct config_mapping, volume, .required = true),
	KEY("target", read_target_reference, struct config_mapping, target, .required = true),
	KEY("lun", reader_u32, struct config_mapping, lun, .required = true, .min = 0, .max = CONFIG_LUN_MAX),
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
			return reader_refuse_key(r, "target",
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
		return reader_refuse_key(r, "volume", "host %s has volume %s at this target by mappings[%zu] already; remove one of them",
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
		return reader_refuse_key(r, "lun", "host %s has LUN %u at this target by mappings[%zu] already; choose another",
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
		int rc = reader_object(r, member, KEYS(mapping_keys), &list[i].mapping);

		if (rc == 0)
			rc = check_portals_of_mapping(r, &list[i].mapping);
		if (rc < 0)
			return rc;
		list[i].index = i;
		reader_leave(r, mark);
	}
	return 0;
}

static int read_mappings(struct reader *r, const struct reader_key *key, json_t *value, void *where)
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

/* --- the document ---*/

static int read_version(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	(void)key, (void)where;
	if (!json_is_integer(value) || json_integer_value(value) != 1)
		return reader_refuse(r, -EINVAL, "the format of this document must be 1, the one this release knows");
	return 0;
}

static const struct reader_key document_keys[] = {
	{ .name = "lunward", .read = read_version, .required = true },
	KEY("cluster", reader_text, struct config, cluster, .required = true, .check = config_text_name),
	KEY("fencing", read_fencing, struct config, fencing),
	{ .name = "nodes", .read = read_nodes, .required = true },
	{ .name = "pools", .read = read_pools },
	{ .name = "groups", .read = read_groups },
	{ .name = "volumes", .read = read_volumes },
	{ .name = "targets", .read = read_targets },
	{ .name = "hosts", .read = read_hosts },
	{ .name = "mappings", .read = read_mappings },
};

/* Whoever gets the printed form must be able to parse it: the assigned values count. */
static int check_printed_size(const struct config *config, size_t size, struct err *err)
{
	_cleanup_free_ char *text = NULL;

	if (size < CONFIG_SIZE_MAX / 16) /* no object grows sixteenfold by its defaults */
		return 0;
	text = config_print(config, true);
	if (strlen(text) > CONFIG_SIZE_MAX)
		return err_set(err, -E2BIG, "document: %zu bytes with all defaults and assigned values, at most %u are supported",
			       strlen(text), CONFIG_SIZE_MAX);
	return 0;
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
	config->fencing.timeout_s = FENCE_TIMEOUT_DEFAULT_S;
	rc = reader_object(&r, root, KEYS(document_keys), config);
	strbuf_done(&r.path);
	if (rc == 0)
		rc = config_check(config, err);
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
