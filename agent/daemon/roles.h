/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the port groups of a group's LUNs must say on this node, from what is known. Pure. */
#ifndef AGENT_DAEMON_ROLES_H
#define AGENT_DAEMON_ROLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ha/core/core.h"
#include "target-config/lio/lio.h"

struct roles_input {
	uint32_t me;
	bool quorate;
	enum ha_phase phase;
	uint32_t owner;
	bool owner_lost; /* the owner is gone from Corosync's membership, whatever the phase says yet */
	bool serving;    /* this node has promoted and opened the gates for the epoch in force */
	const uint32_t *served; /* nodes whose portals this node serves, or is about to */
	size_t n_served;
};

/* The state of the ports of `node`:
 *  - the owner that serves: its own ports active/optimized; ports it adopted active/non-optimized, so that never two
 *    groups are optimized;
 *  - another node: standby, the owner's own ports shown as active/optimized as long as no adopted listener answers for them here;
 *  - no quorum, owner lost, or ownership on the move: transitioning everywhere, so that hosts hold their I/O (SPC-4 5.15.2.5);
 *  - free: standby. */
enum lio_alua_state roles_port_state(const struct roles_input *in, uint32_t node);

#endif
