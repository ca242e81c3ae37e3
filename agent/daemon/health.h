/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The agent looks at the portals that this node serves as a host does (agent/health), all ten seconds: docs/decisions/0011. What fails and
 * lasts is told in the status; a group whose owner cannot read is given to a node that can have it, once in an hour.
 *
 * Nothing is looked at while portals are on the move, and no group that is not settled on its owner.
 */
#ifndef AGENT_DAEMON_HEALTH_H
#define AGENT_DAEMON_HEALTH_H

#include <jansson.h>

#include "agent/daemon/agent.h"

struct health;

void health_start(struct agent *agent); /* once; agent->health stays NULL if the settings do not want it */
void health_kick(struct agent *agent);
/* For the tree; NULL: nobody looks. Lives as long as the agent. */
const char *health_password(const struct agent *agent);
/* For info: the faults that last, an array; null: nobody looks, or there is nothing to look at. */
json_t *health_json(const struct agent *agent);
/* This node has given the group away within the last hour, and should not get it back for a like reason. */
bool health_gave(const struct agroup *group);

#endif
