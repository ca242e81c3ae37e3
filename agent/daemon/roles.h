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
	bool leaving;    /* the agent is about to end: nobody here will tell hosts what comes next */
	bool serving;    /* this node has promoted and opened the gates for the epoch in force */
	bool holding;    /* it did, and has handed the group over: its gates keep what hosts send until the next owner serves */
	const uint32_t *served; /* nodes whose portals this node serves, or is about to */
	size_t n_served;
};

/* The state of the ports of `node`:
 *  - the owner that serves, until its release is done: its own ports active/optimized; ports it adopted active/non-optimized, so that never two
 *    groups are optimized;
 *  - another node: standby, the owner's own ports shown as active/optimized as long as no adopted listener answers for them here;
 *  - a planned move: the node that hands over and holds shows its own ports as active/non-optimized, so that commands reach its gates
 *    and wait there; the others stay as they are. A host that is told "transitioning" comes back after 1 or 2 s and no sooner
 *    (scsi_io_completion_action(), ALUA_RTPG_RETRY_DELAY);
 *  - no quorum, owner lost, a takeover, or a move without holding: transitioning, so that hosts keep their I/O (SPC-4 5.15.2.5);
 *  - free: standby.
 * An agent that is leaving while another node acquires says unavailable where it would say transitioning: hosts wait for the end of a transition, two
 * minutes if need be, with all paths of the volume (scsi_dh_alua, pg_init of dm-multipath). */
enum lio_alua_state roles_port_state(const struct roles_input *in, uint32_t node);

/* Of ports that are to let no command through: transitioning, or, as above, unavailable. */
enum lio_alua_state roles_refusing_state(const struct roles_input *in);

/* Whether gates that hold may go on: only while the move they hold for is under way. */
bool roles_may_hold(const struct roles_input *in);

#endif
