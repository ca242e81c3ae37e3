/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How full the thin pools are that volumes of this node are in. Looked at once a minute, and when there is a new document; a node without
 * thin pools does nothing. The others are told states, not figures: a pool that is written to has new ones each minute.
 */
#ifndef AGENT_DAEMON_POOLS_H
#define AGENT_DAEMON_POOLS_H

#include <jansson.h>

#include "agent/daemon/agent.h"

void pools_kick(struct agent *agent);
/* For info: an array of those that were looked at. */
json_t *pools_json(const struct agent *agent);
/* The same with the last figures: for this node's own status. */
json_t *pools_figures_json(const struct agent *agent);

#endif
