/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who may vote: the nodelist of corosync.conf as the running Corosync knows it (cmap.c). */
#ifndef HA_ELECTORATE_H
#define HA_ELECTORATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

#define ELECTORATE_MAX 32
#define ELECTORATE_NAME_SIZE 64

struct electorate_node {
	uint32_t nodeid;
	char name[ELECTORATE_NAME_SIZE]; /* nodelist.node.N.name, else ring0_addr */
};

struct electorate {
	uint32_t nodeid; /* this node */
	struct electorate_node nodes[ELECTORATE_MAX]; /* ascending by id, ids and names unique, this node among them */
	size_t n_nodes;
	char cluster[ELECTORATE_NAME_SIZE]; /* totem.cluster_name, "" if unset */
	uint32_t token_ms; /* how long Corosync waits before it calls a node lost, for information; 0: unknown */
};

/* May block while Corosync is starting or stopped: from a worker, or at start. -ENOTCONN, -EAGAIN: no Corosync (yet).
 * -EINVAL: the nodelist does not do (no nodeid, doubles, too many): the text says what to change in corosync.conf. */
int electorate_read(struct electorate *ret, struct err *err) must_check;

#endif
