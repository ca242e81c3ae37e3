/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hosts' TCP connections to the portals served here, told to the other nodes, so that the one that takes a dead node's portals can tell
 * its hosts at once that their connections are gone (target-config/portal/tickle.h). Only that depends on it: what is not known, or not
 * known any more, costs a host the wait for its own retransmission.
 */
#ifndef AGENT_DAEMON_CONNECTIONS_H
#define AGENT_DAEMON_CONNECTIONS_H

#include "agent/daemon/agent.h"

void connections_kick(struct agent *agent); /* looks, in a worker, every few seconds while portals are served */
/* For info.c: [address, port, peer's address, peer's port] each; a new reference. */
json_t *connections_json(const struct agent *agent);
/* The portals of these nodes are served here now. */
void connections_adopted(struct agent *agent, const uint32_t *nodes, size_t n);

#endif
