// SPDX-License-Identifier: GPL-2.0-or-later
/* What the readers of the sections share: sections, references, addresses. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "target-config/model/config_read.h"

/* --- sections ---*/

static int read_item(struct reader *r, const struct config_section *section, const char *name, json_t *value,
		     void *item)
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

int config_read_section(struct reader *r, const struct config_section *section, json_t *value)
{
	size_t *count = (size_t *)((char *)r->config + section->count);
	int rc = reader_expect_object(r, value, section->max);
	const char *name;
	json_t *member;
	char *array;

	if (rc < 0)
		return rc;
	array = xcalloc(json_object_size(value) + 1, section->item_size);
	memcpy((char *)r->config + section->array, &array, sizeof(array));
	json_object_foreach(value, name, member) {
		size_t mark = reader_enter_key(r, name);

		rc = read_item(r, section, name, member, array + (*count)++ * section->item_size);
		if (rc < 0)
			return rc;
		reader_leave(r, mark);
	}
	qsort(array, *count, section->item_size, config_compare_names);
	return 0;
}

/* --- references to what was read before ---*/

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

int config_read_node_reference(struct reader *r, const struct reader_key *key, json_t *value, void *where)
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

/* One of the named objects read before, e.g. "group" in `groups`. */
static int read_named(struct reader *r, json_t *value, const void *array, size_t n, size_t item_size, const char *kind,
		      void *where)
{
	const char *name = reader_expect_text(r, value);
	char quoted[CONFIG_QUOTE_SIZE];
	const void *item;

	if (!name)
		return -EINVAL;
	item = config_find_named(array, n, item_size, name);
	if (!item)
		return reader_refuse(r, -EINVAL, "no %s %s in %ss", kind, config_quote(name, quoted), kind);
	memcpy(where, &item, sizeof(item));
	return 0;
}

#define DEFINE_REFERENCE_READER(kind)                                                                                  \
	int config_read_##kind##_reference(struct reader *r, const struct reader_key *key, json_t *value, void *where) \
	{                                                                                                              \
		(void)key;                                                                                             \
		return read_named(r, value, r->config->kind##s, r->config->n_##kind##s, sizeof(*r->config->kind##s),   \
				  #kind, where);                                                                       \
	}

DEFINE_REFERENCE_READER(pool)
DEFINE_REFERENCE_READER(group)
DEFINE_REFERENCE_READER(volume)
DEFINE_REFERENCE_READER(target)
DEFINE_REFERENCE_READER(host)
DEFINE_REFERENCE_READER(host_group)

/* --- texts that need more than a check ---*/

int config_read_address(struct reader *r, const struct reader_key *key, json_t *value, void *where)
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
