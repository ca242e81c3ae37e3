// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/connections.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/daemon/work.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "target-config/portal/tickle.h"

#define LOOK_MS 5000
#define LIMIT_MS 10000
#define TOLD_MAX 1024       /* connections; info has room for 256 KiB */
#define TICKLES 3           /* a segment may be lost, and so may the news where the address is now */
#define TICKLE_PAUSE_MS 600 /* an answer is given once in 500 ms (tcp_invalid_ratelimit) */

/* --- which there are here ----------------------------------------------------------------------------------------------*/

struct look {
	struct config_ref *ref;
	uint32_t scope[HA_NODES_MAX];
	size_t n_scope;
	struct portal_connection *found;
	size_t n, cap;
};

static int by_ends(const void *a, const void *b)
{
	const struct portal_connection *x = a, *y = b;
	int order = strcmp(x->address, y->address) ?: strcmp(x->peer, y->peer);

	return order ?: x->port != y->port ? x->port - y->port : x->peer_port - y->peer_port;
}

static int run_look(void *ctx, struct err *err)
{
	struct look *look = ctx;
	const struct config *config = look->ref->config;
	int rc = 0;

	for (size_t t = 0; t < config->n_targets; t++) {
		for (size_t p = 0; p < config->targets[t].n_portals; p++) {
			const struct config_portal *portal = &config->targets[t].portals[p];

			for (size_t i = 0; rc == 0 && i < look->n_scope; i++) {
				if (look->scope[i] == portal->nodeid && portal->prefix_len)
					rc = portal_connections(portal->address, portal->port, &look->found, &look->n, &look->cap, err);
			}
		}
	}
	if (look->n > 1)
		qsort(look->found, look->n, sizeof(*look->found), by_ends);
	return rc;
}

static json_t *connection_json(const struct portal_connection *c)
{
	return json_pack("[s, i, s, i]", c->address, c->port, c->peer, c->peer_port);
}

static void looked(void *owner, void *ctx, int result, const struct err *err)
{
	struct agent *agent = owner;
	struct look *look = ctx;
	json_t *list = json_array();

	for (size_t i = 0; i < look->n && i < TOLD_MAX; i++) {
		if (strcmp(look->found[i].address, look->found[i].peer) == 0) /* this node's own (health.h): who adopts its portals cannot reach it */
			continue;
		if (i == 0 || by_ends(&look->found[i], &look->found[i - 1]) != 0) /* targets may share a portal */
			json_array_append_new(list, connection_json(&look->found[i]));
	}
	agent->connections.looking = false;
	agent->connections.next_ms = clock_now_ms() + LOOK_MS;
	if (result < 0) {
		log_warning("connections of hosts: %s", err->text);
		json_decref(list);
	} else if (json_equal(list, agent->connections.list)) {
		json_decref(list);
	} else {
		json_decref(agent->connections.list);
		agent->connections.list = list;
		info_touch(agent);
	}
	config_ref_put(look->ref);
	free(look->found);
	free(look);
}

void connections_kick(struct agent *agent)
{
	int64_t now_ms = clock_now_ms();
	struct look *look;

	if (agent->connections.looking || !agent->config || (!agent->tree.n_scope && !json_array_size(agent->connections.list)))
		return;
	if (now_ms < agent->connections.next_ms) {
		agent_turn_by(agent, agent->connections.next_ms);
		return;
	}
	look = xcalloc(1, sizeof(*look));
	look->ref = config_ref_get(agent->config);
	memcpy(look->scope, agent->tree.scope, sizeof(look->scope));
	look->n_scope = agent->tree.n_scope;
	agent->connections.looking = true;
	work_start(agent->loop, "connections of hosts", now_ms + LIMIT_MS, run_look, look, looked, NULL, agent);
}

json_t *connections_json(const struct agent *agent)
{
	return agent->connections.list ? json_incref(agent->connections.list) : json_array();
}

/* --- those of a node that is gone --------------------------------------------------------------------------------------*/

struct tickling {
	struct portal_connection *list;
	size_t n, cap;
};

static int run_tickling(void *ctx, struct err *err)
{
	const struct timespec pause = { .tv_nsec = TICKLE_PAUSE_MS * 1000000L };
	struct tickling *tickling = ctx;
	int rc = 0;

	for (int k = 0; k < TICKLES; k++) {
		if (k > 0)
			nanosleep(&pause, NULL);
		for (size_t i = 0; i < tickling->n; i++) { /* one that cannot be reached does not spare the others */
			struct err own = ERR_INIT;

			if (portal_tickle(&tickling->list[i], &own) < 0 && rc == 0) {
				rc = own.code;
				*err = own;
			}
		}
	}
	return rc;
}

static void tickled(void *owner, void *ctx, int result, const struct err *err)
{
	struct tickling *tickling = ctx;

	(void)owner;
	if (result < 0)
		log_warning("hosts of adopted portals: %s", err->text);
	free(tickling->list);
	free(tickling);
}

static bool parse(json_t *item, struct portal_connection *ret)
{
	const char *address, *peer;
	int port, peer_port;

	if (json_unpack(item, "[s, i, s, i!]", &address, &port, &peer, &peer_port) < 0)
		return false;
	*ret = (struct portal_connection){ .port = (uint16_t)port, .peer_port = (uint16_t)peer_port };
	snprintf(ret->address, sizeof(ret->address), "%s", address);
	snprintf(ret->peer, sizeof(ret->peer), "%s", peer);
	return true;
}

static void add_connections_of(struct agent *agent, uint32_t nodeid, struct tickling *tickling)
{
	json_t *list = json_object_get(info_of(agent, nodeid), "connections"), *item;
	size_t i;

	json_array_foreach(list, i, item) {
		struct portal_connection connection;

		if (i < TOLD_MAX && parse(item, &connection))
			*array_push(tickling->list, tickling->n, tickling->cap) = connection;
	}
}

void connections_adopted(struct agent *agent, const uint32_t *nodes, size_t n)
{
	struct tickling *tickling = xcalloc(1, sizeof(*tickling));

	for (size_t i = 0; i < n; i++)
		add_connections_of(agent, nodes[i], tickling);
	if (!tickling->n) {
		free(tickling);
		return;
	}
	log_info("%zu connections of hosts to adopted portals are reset", tickling->n);
	work_start(agent->loop, "resetting connections", clock_now_ms() + LIMIT_MS, run_tickling, tickling, tickled, NULL, agent);
}
