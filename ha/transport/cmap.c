// SPDX-License-Identifier: GPL-2.0-or-later
/* The door to cmap, Corosync's configuration as it runs: who may vote. */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <corosync/cmap.h>

#include "base/cleanup.h"
#include "ha/transport/cs_errno.h"
#include "ha/transport/electorate.h"

#define KEY_SIZE (CMAP_KEYNAME_MAXLEN + 1)

static int get_string(cmap_handle_t handle, const char *key, char *ret, size_t size, struct err *err)
{
	_cleanup_free_ char *value = NULL;
	cs_error_t result = cmap_get_string(handle, key, &value);

	if (result == CS_ERR_NOT_EXIST)
		return -ENOENT;
	if (result != CS_OK)
		return cs_err(err, result, key);
	if (!value[0] || strlen(value) >= size)
		return err_set(err, -EINVAL, "corosync.conf: %s must have 1 to %zu characters", key, size - 1);
	memcpy(ret, value, strlen(value) + 1);
	return 0;
}

static int read_node(cmap_handle_t handle, unsigned int position, struct electorate_node *node, struct err *err)
{
	char key[KEY_SIZE];
	cs_error_t result;
	int rc;

	snprintf(key, sizeof(key), "nodelist.node.%u.nodeid", position);
	result = cmap_get_uint32(handle, key, &node->nodeid);
	if (result == CS_ERR_NOT_EXIST)
		return err_set(err, -EINVAL, "corosync.conf: node %u of the nodelist has no nodeid: give it one", position);
	if (result != CS_OK)
		return cs_err(err, result, key);
	snprintf(key, sizeof(key), "nodelist.node.%u.name", position);
	rc = get_string(handle, key, node->name, sizeof(node->name), err);
	if (rc == -ENOENT) {
		snprintf(key, sizeof(key), "nodelist.node.%u.ring0_addr", position);
		rc = get_string(handle, key, node->name, sizeof(node->name), err);
	}
	if (rc == -ENOENT)
		rc = err_set(err, -EINVAL, "corosync.conf: node %u of the nodelist has neither name nor ring0_addr", position);
	return rc;
}

/* "nodelist.node.POSITION.ring0_addr": every node has one (corosync.conf(5)). */
static bool is_address_key(const char *key, unsigned int *ret_position)
{
	static const char prefix[] = "nodelist.node.";
	char *end;
	unsigned long position;

	if (strncmp(key, prefix, strlen(prefix)) != 0)
		return false;
	position = strtoul(key + strlen(prefix), &end, 10);
	if (end == key + strlen(prefix) || position > UINT_MAX || strcmp(end, ".ring0_addr") != 0)
		return false;
	*ret_position = (unsigned int)position;
	return true;
}

/* The positions need not be dense: reloading corosync.conf leaves holes. So walk the keys. */
static int read_nodelist(cmap_handle_t handle, struct electorate *e, struct err *err)
{
	cmap_iter_handle_t iter;
	char key[KEY_SIZE];
	unsigned int position, seen[ELECTORATE_MAX] = { 0 };
	int rc = 0;
	cs_error_t result = cmap_iter_init(handle, "nodelist.node.", &iter);

	if (result != CS_OK)
		return cs_err(err, result, "reading the nodelist");
	while (rc == 0 && cmap_iter_next(handle, iter, key, NULL, NULL) == CS_OK) {
		size_t i = 0;

		if (!is_address_key(key, &position))
			continue;
		while (i < e->n_nodes && seen[i] != position)
			i++;
		if (i < e->n_nodes)
			continue;
		if (e->n_nodes == ELECTORATE_MAX) {
			rc = err_set(err, -EINVAL, "corosync.conf: more than %d nodes", ELECTORATE_MAX);
			break;
		}
		seen[e->n_nodes] = position;
		rc = read_node(handle, position, &e->nodes[e->n_nodes++], err);
	}
	cmap_iter_finalize(handle, iter);
	return rc;
}

static int by_id(const void *a, const void *b)
{
	const struct electorate_node *x = a, *y = b;

	return (x->nodeid > y->nodeid) - (x->nodeid < y->nodeid);
}

static int check(const struct electorate *e, struct err *err)
{
	bool self = false;

	if (!e->n_nodes)
		return err_set(err, -EINVAL, "corosync.conf: no nodelist");
	for (size_t i = 0; i < e->n_nodes; i++) {
		self = self || e->nodes[i].nodeid == e->nodeid;
		if (!e->nodes[i].nodeid)
			return err_set(err, -EINVAL, "corosync.conf: node %s: nodeid must not be 0", e->nodes[i].name);
		for (size_t k = 0; k < i; k++) {
			if (e->nodes[k].nodeid == e->nodes[i].nodeid)
				return err_set(err, -EINVAL, "corosync.conf: nodes %s and %s have the same nodeid %u",
					       e->nodes[k].name, e->nodes[i].name, e->nodes[i].nodeid);
			if (strcmp(e->nodes[k].name, e->nodes[i].name) == 0)
				return err_set(err, -EINVAL, "corosync.conf: two nodes are named %s", e->nodes[i].name);
		}
	}
	if (!self)
		return err_set(err, -EINVAL, "corosync.conf: this node (nodeid %u) is not in the nodelist", e->nodeid);
	return 0;
}

static int read_all(cmap_handle_t handle, struct electorate *e, struct err *err)
{
	char key[KEY_SIZE];
	uint32_t position;
	cs_error_t result;
	int rc;

	/* Which entry is this node: found out by corosync from its own addresses (exec/totemconfig.c). */
	result = cmap_get_uint32(handle, "nodelist.local_node_pos", &position);
	if (result == CS_ERR_NOT_EXIST)
		return err_set(err, -EINVAL, "corosync.conf: no nodelist, or this node is not in it");
	if (result != CS_OK)
		return cs_err(err, result, "nodelist.local_node_pos");
	rc = read_nodelist(handle, e, err);
	if (rc < 0)
		return rc;
	snprintf(key, sizeof(key), "nodelist.node.%u.nodeid", position);
	result = cmap_get_uint32(handle, key, &e->nodeid);
	if (result != CS_OK)
		return cs_err(err, result, key);
	qsort(e->nodes, e->n_nodes, sizeof(e->nodes[0]), by_id);
	if (cmap_get_uint32(handle, "runtime.config.totem.token", &e->token_ms) != CS_OK)
		e->token_ms = 0;
	rc = get_string(handle, "totem.cluster_name", e->cluster, sizeof(e->cluster), err);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	return check(e, err);
}

int electorate_read(struct electorate *ret, struct err *err)
{
	struct electorate e = { .n_nodes = 0 };
	cmap_handle_t handle;
	cs_error_t result = cmap_initialize(&handle);
	int rc;

	if (result != CS_OK)
		return cs_err(err, result, "reading the nodelist");
	rc = read_all(handle, &e, err);
	cmap_finalize(handle);
	if (rc == 0)
		*ret = e;
	return rc;
}
