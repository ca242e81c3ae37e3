/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words and bounds that the messages, the state machine and its users share. */
#ifndef HA_WIRE_TYPES_H
#define HA_WIRE_TYPES_H

#include <stdint.h>

#define HA_NAME_SIZE 64
#define HA_TEXT_SIZE 256
#define HA_NODES_MAX 32 /* node ids are any non-zero uint32; at most this many nodes */
#define HA_COPIES_MAX 4 /* nodes of one group */
#define HA_GROUPS_MAX 4096
#define HA_CONFIG_SIZE_MAX (16u << 20)
#define HA_INFO_SIZE_MAX (256u << 10)
#define HA_RECORD_SIZE_MAX (384u << 10) /* one record; all of them below leave room in HA_STATE_SIZE_MAX */
#define HA_RECORDS_SIZE_MAX (4u << 20)
#define HA_RECORDS_MAX 65536

enum ha_placement { HA_PLACEMENT_AUTO, HA_PLACEMENT_PACEMAKER };

/* What the machine must know of a group; travels in CONFIG beside the document it was taken from. */
struct ha_group_spec {
	char name[HA_NAME_SIZE];
	uint32_t nodes[HA_COPIES_MAX]; /* 0-terminated if shorter */
	uint32_t prefer;               /* 0: no preference */
	enum ha_placement placement;
	uint16_t weight;               /* of its load, against other groups; 0 counts as 1 */
	uint32_t failback_s;           /* goes back to `prefer` once that could have it for so long; 0: only when told */
	uint8_t losses_max;            /* so many owners lost one after the other, and it stays where it is; 0: no limit */
};

#define HA_PHASES(X) X(FREE, "free") X(ACQUIRING, "acquiring") X(OWNED, "owned") X(RELEASING, "releasing") X(ORPHANED, "orphaned")
enum ha_phase {
#define X(id, name) HA_PHASE_##id,
	HA_PHASES(X)
#undef X
};

#define HA_NODE_STATES(X) X(DOWN, "down") X(AWAY, "away") X(UP, "up")
enum ha_node_state {
#define X(id, name) HA_NODE_##id,
	HA_NODE_STATES(X)
#undef X
};

#define HA_EVIDENCES(X) X(NONE, "none") X(FENCE_AGENT, "fence agent") X(OPERATOR, "operator") X(WATCHDOG, "watchdog") X(PACEMAKER, "pacemaker")
enum ha_evidence {
#define X(id, name) HA_EVIDENCE_##id,
	HA_EVIDENCES(X)
#undef X
};

#define HA_MAINTENANCES(X) X(OFF, "off") X(ON, "on") X(UNTIL_RESTART, "until-restart")
enum ha_maintenance {
#define X(id, name) HA_MAINTENANCE_##id,
	HA_MAINTENANCES(X)
#undef X
};

#define HA_MAINTENANCE_COUNT (HA_MAINTENANCE_UNTIL_RESTART + 1)
#define HA_PHASE_COUNT (HA_PHASE_ORPHANED + 1)
#define HA_NODE_STATE_COUNT (HA_NODE_UP + 1)
#define HA_EVIDENCE_COUNT (HA_EVIDENCE_PACEMAKER + 1)

const char *ha_phase_name(enum ha_phase phase);
const char *ha_node_state_name(enum ha_node_state state);
const char *ha_evidence_name(enum ha_evidence evidence);
const char *ha_maintenance_name(enum ha_maintenance maintenance);

#endif
