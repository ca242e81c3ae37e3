/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON to model, a file per kind of object (config_read_*.c): tables of keys, and what must hold within one object.
 * Sections are read in the order of config_parse.c, not of the document, so that a reference is resolved at once and a
 * wrong one is refused with its own path.
 */
#ifndef TARGET_CONFIG_CONFIG_READ_H
#define TARGET_CONFIG_CONFIG_READ_H

#include "target-config/model/config_internal.h"
#include "target-config/model/config_json.h"

#define CONFIG_KEY(text, fn, type, field, ...)                                                                         \
	{                                                                                                              \
		.name = text, .read = fn, .offset = offsetof(type, field), ##__VA_ARGS__                               \
	}
#define CONFIG_KEYS(table) table, ARRAY_SIZE(table)

/* A member of the document that is an object of objects keyed by name. */
struct config_section {
	size_t item_size;      /* items start with a char * for the name */
	size_t array, count;   /* offsets in struct config */
	size_t max;
	config_text_fn *check_name;
	void (*set_defaults)(void *item);
	const struct reader_key *keys;
	size_t n_keys;
	int (*finish)(struct reader *r, void *item); /* what must hold within the item; may be NULL */
};

#define CONFIG_SECTION_OF(list)                                                                                        \
	.item_size = sizeof(*((struct config *)NULL)->list), .array = offsetof(struct config, list),                   \
	.count = offsetof(struct config, n_##list)

int config_read_section(struct reader *r, const struct config_section *section, json_t *value) must_check;

/* Members of the document. */
reader_fn config_read_fencing, config_read_discovery, config_read_nodes, config_read_pools, config_read_groups, config_read_volumes;
reader_fn config_read_srp, config_read_targets, config_read_hosts, config_read_host_groups, config_read_mappings;

reader_fn config_read_parameters;     /* char *[CONFIG_PARAMETERS] */
int config_check_parameters(struct reader *r, const struct config_target *target) must_check;

reader_fn config_read_address;        /* char *, numeric, canonical */
reader_fn config_read_node_reference; /* uint32_t, the id of a storage node */
/* const struct config_<kind> *, an object read before. */
reader_fn config_read_pool_reference, config_read_group_reference, config_read_volume_reference;
reader_fn config_read_target_reference, config_read_host_reference, config_read_host_group_reference;

#endif
