/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The watchdog of this node: opened and petted as the core's lease allows. In the loop's thread, so that a loop that hangs is reset too. */
#ifndef AGENT_DAEMON_NODE_WATCHDOG_H
#define AGENT_DAEMON_NODE_WATCHDOG_H

#include "agent/daemon/agent.h"

void node_watchdog_start(struct agent *agent); /* tells the core what there is */
void node_watchdog_lease(struct agent *agent, int64_t deadline_ms);
/* The agent ends: disarmed if this node serves nothing; else it ticks on, until the next agent has it. */
void node_watchdog_stop(struct agent *agent);

#endif
