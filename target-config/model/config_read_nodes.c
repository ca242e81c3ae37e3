// SPDX-License-Identifier: GPL-2.0-or-later
/* Fencing and nodes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "target-config/model/config_read.h"

#define OPTIONS_MAX 64

static const char *const role_words[] = { "storage", "witness", NULL };

const char *config_role_name(enum config_role role)
{
	return role_words[role];
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
	CONFIG_KEY("agent", reader_text, struct config_fencing, agent, .example = "\"fence_ipmilan\"",
		   .check = config_text_fence_agent),
	CONFIG_KEY("timeout_s", reader_int, struct config_fencing, timeout_s, .min = 1, .max = 3600),
	{ .name = "options", .read = read_fencing_options },
};

int config_read_fencing(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	(void)key;
	return reader_object(r, value, CONFIG_KEYS(fencing_keys), where);
}

/* --- nodes ---*/

static const struct reader_key node_keys[] = {
	CONFIG_KEY("id", reader_u32, struct config_node, nodeid, .example = "1", .min = 1, .max = CONFIG_NODEID_MAX),
	CONFIG_KEY("role", reader_word, struct config_node, role, .words = role_words),
	CONFIG_KEY("replication_address", config_read_address, struct config_node, replication_address),
	{ .name = "fence", .read = read_node_fence },
};

static int finish_node(struct reader *r, void *item)
{
	const struct config_node *node = item;

	if (node->role == CONFIG_ROLE_WITNESS && node->replication_address)
		return reader_refuse_key(r, "replication_address",
					 "a witness holds no data; remove it or make the role storage");
	if (node->n_fence && !r->config->fencing.agent)
		return reader_refuse_key(r, "fence", "there is no fence agent for these options; add fencing.agent");
	return 0;
}

static int compare_nodeids(const void *a, const void *b)
{
	uint32_t x = ((const struct config_node *)a)->nodeid, y = ((const struct config_node *)b)->nodeid;

	return x < y ? -1 : x > y;
}

int config_read_nodes(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	static const struct config_section section = {
		CONFIG_SECTION_OF(nodes), .max = CONFIG_NODES_MAX,         .check_name = config_text_name,
		.keys = node_keys,        .n_keys = ARRAY_SIZE(node_keys), .finish = finish_node,
	};
	struct config *config = r->config;
	int rc = config_read_section(r, &section, value);

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
