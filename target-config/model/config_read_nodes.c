// SPDX-License-Identifier: GPL-2.0-or-later
/* Fencing and nodes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "target-config/model/config_read.h"

#define OPTIONS_MAX 64
#define TIMEOUT_DEFAULT_S 60

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

/* --- fencing ---*/

bool config_fence_level_is_pacemaker(const struct config_fence_level *level)
{
	return strcmp(level->agent, CONFIG_FENCE_PACEMAKER) == 0;
}

bool config_fence_level_is_watchdog(const struct config_fence_level *level)
{
	return strcmp(level->agent, CONFIG_FENCE_WATCHDOG) == 0;
}

/* Why a level takes no options; NULL: it does. */
static const char *options_refused(const struct config_fence_level *level)
{
	if (config_fence_level_is_pacemaker(level))
		return "Pacemaker has the options of its devices itself; remove them";
	if (config_fence_level_is_watchdog(level))
		return "each node's lunwardd is told of its watchdog when it is started; remove them";
	return NULL;
}

const char *config_fence_level_label(const struct config_fence_level *level)
{
	return level->name ?: level->agent;
}

static int read_level_options(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	struct config_fence_level *level = where; /* offset 0 */

	(void)key;
	return read_options(r, value, &level->options, &level->n_options);
}

#define LEVEL_KEYS                                                                                                     \
	CONFIG_KEY("agent", reader_text, struct config_fence_level, agent, .example = "\"fence_ipmilan\"",             \
		   .check = config_text_fence_agent),                                                                  \
	CONFIG_KEY("timeout_s", reader_int, struct config_fence_level, timeout_s, .min = 1, .max = 3600),              \
	{ .name = "options", .read = read_level_options }

static const struct reader_key only_level_keys[] = { LEVEL_KEYS };

static const struct reader_key level_keys[] = {
	CONFIG_KEY("name", reader_text, struct config_fence_level, name, .example = "\"bmc\"", .check = config_text_name),
	LEVEL_KEYS,
};

static int read_level(struct reader *r, const struct reader_key *keys, size_t n_keys, json_t *value)
{
	struct config_fence_level *level = &r->config->fencing.levels[r->config->fencing.n_levels++];
	int rc;

	level->timeout_s = TIMEOUT_DEFAULT_S;
	rc = reader_object(r, value, keys, n_keys, level);
	if (rc == 0 && level->n_options && options_refused(level))
		return reader_refuse_key(r, "options", "%s", options_refused(level));
	return rc;
}

static int read_levels(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	struct config_fencing *fencing = where; /* offset 0 */
	int rc = reader_expect_array(r, value, CONFIG_FENCE_LEVELS_MAX);
	json_t *item;
	size_t i;

	(void)key;
	if (rc < 0)
		return rc;
	if (json_array_size(value) == 0)
		return reader_refuse(r, -EINVAL, "no levels; add one, or remove fencing");
	fencing->levels = xcalloc(json_array_size(value), sizeof(*fencing->levels));
	json_array_foreach(value, i, item) {
		size_t mark = reader_enter_index(r, i);

		rc = read_level(r, CONFIG_KEYS(level_keys), item);
		if (rc < 0)
			return rc;
		for (size_t j = 0; j < i; j++)
			if (strcmp(fencing->levels[j].name, fencing->levels[i].name) == 0)
				return reader_refuse_key(r, "name", "%s is the name of another level too; give each its own",
							 fencing->levels[i].name);
		reader_leave(r, mark);
	}
	return 0;
}

static int refuse_beside_levels(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	(void)key, (void)value, (void)where;
	return reader_refuse(r, -EINVAL, "with levels, each has its own; move it into one of fencing.levels");
}

static const struct reader_key fencing_keys[] = {
	{ .name = "agent", .read = refuse_beside_levels },
	{ .name = "timeout_s", .read = refuse_beside_levels },
	{ .name = "options", .read = refuse_beside_levels },
	{ .name = "levels", .read = read_levels },
};

/* One agent as it is, or an ordered list of levels. */
int config_read_fencing(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	struct config_fencing *fencing = where;
	int rc = reader_expect_object(r, value, SIZE_MAX);

	(void)key;
	if (rc < 0)
		return rc;
	if (json_object_get(value, "levels"))
		return reader_object(r, value, CONFIG_KEYS(fencing_keys), where);
	fencing->levels = xcalloc(1, sizeof(*fencing->levels));
	return read_level(r, CONFIG_KEYS(only_level_keys), value);
}

/* --- what levels are told about a node ---*/

const struct config_node_fence *config_node_fence(const struct config_node *node, const struct config_fence_level *level)
{
	for (size_t i = 0; i < node->n_fence; i++)
		if (!level->name || strcmp(node->fence[i].level, level->name) == 0)
			return &node->fence[i];
	return NULL;
}

static int read_fence_of_level(struct reader *r, struct config_node *node, const struct config_fence_level *level, json_t *value)
{
	struct config_node_fence *fence = &node->fence[node->n_fence];
	int rc;

	node->n_fence++;
	rc = read_options(r, value, &fence->options, &fence->n_options);
	if (rc < 0)
		return rc;
	if (fence->n_options && options_refused(level))
		return reader_refuse(r, -EINVAL, "%s", options_refused(level));
	if (fence->n_options) {
		fence->level = level->name ? xstrdup(level->name) : NULL;
	} else { /* says nothing: not in the model */
		free(fence->options);
		*fence = (struct config_node_fence){ 0 };
		node->n_fence--;
	}
	return 0;
}

static int check_level_names(struct reader *r, const struct config_fencing *fencing, json_t *value)
{
	char quoted[CONFIG_QUOTE_SIZE];
	const char *name;
	json_t *member;

	json_object_foreach(value, name, member) {
		bool is_there = false;

		for (size_t i = 0; i < fencing->n_levels; i++)
			is_there = is_there || strcmp(fencing->levels[i].name, name) == 0;
		if (!is_there)
			return reader_refuse(r, -EINVAL, "no level %s in fencing.levels, each of which has its options of a node in an "
					     "object of its own, e.g. {\"%s\": {\"plug\": \"1\"}}",
					     config_quote(name, quoted), fencing->levels[0].name);
	}
	return 0;
}

static int read_node_fence(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	struct config_node *node = where; /* offset 0 */
	const struct config_fencing *fencing = &r->config->fencing;
	int rc = reader_expect_object(r, value, OPTIONS_MAX);

	(void)key;
	if (rc < 0 || json_object_size(value) == 0)
		return rc;
	if (!fencing->n_levels)
		return reader_refuse(r, -EINVAL, "there is no fence agent for these options; add fencing.agent");
	node->fence = xcalloc(fencing->n_levels, sizeof(*node->fence));
	if (!fencing->levels[0].name)
		return read_fence_of_level(r, node, &fencing->levels[0], value);
	rc = check_level_names(r, fencing, value);
	for (size_t i = 0; i < fencing->n_levels && rc == 0; i++) {
		json_t *options = json_object_get(value, fencing->levels[i].name);
		size_t mark = reader_enter_key(r, fencing->levels[i].name);

		if (options)
			rc = read_fence_of_level(r, node, &fencing->levels[i], options);
		if (rc == 0)
			reader_leave(r, mark);
	}
	return rc;
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
