/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ownership state machine of one node (docs/PROTOCOL.md). Pure: no I/O, no clock, no logging above debug.
 *
 * The caller feeds one event at a time with ha_core_step() and then performs the actions it took out of the machine with
 * ha_core_next_action(), in order. Events and actions own no memory of the caller: bytes in an event are borrowed during the
 * call, bytes in an action are valid until the next ha_core_step().
 * Not thread-safe: one thread owns the machine.
 */
#ifndef HA_CORE_H
#define HA_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "ha/wire/types.h"

struct ha_core;

struct ha_member {
	uint32_t nodeid;
	char name[HA_NAME_SIZE];
};

struct ha_settings {
	uint32_t nodeid;                            /* this node */
	struct ha_member electorate[HA_NODES_MAX]; /* Corosync's nodelist, ascending by id */
	size_t n_electorate;
	uint64_t incarnation;   /* differs in each life of this process, on all nodes: makes rounds and requests unique */
	int64_t install_wait_ms; /* see PROTOCOL.md; default 2000 */
	int64_t away_limit_ms;   /* default 30000 */
	int64_t fence_retry_ms;  /* default 10000 */
	int64_t start_wait_ms;   /* so long after its own start this node waits for nodes that it has not seen yet before it has them
				  * fenced: after a power cut of all they may be booting; default 0 */
	int64_t calm_ms;         /* an owner that has served so long forgives the losses before it; default 600000 */
	int64_t lease_interval_ms; /* how often a node with a watchdog asks for its lease; default 1000 */
	int64_t lease_max_ms;    /* how long a lease lasts; the same on all lives of a node; default 2000 */
};

/* --- events ---------------------------------------------------------------------------------------------------------*/

enum ha_event_type {
	HA_EV_START,     /* first event: all that was persisted (data, size; size 0: nothing, a new node) */
	HA_EV_VIEW,      /* membership of the CPG group or of Corosync changed: nodes[] = members with an agent, ring[] = Corosync
			  * members. Say it also if only the ring is another one */
	HA_EV_LEFT,      /* the connection to Corosync is lost: no view, not quorate */
	HA_EV_QUORUM,    /* votequorum: yes = quorate */
	HA_EV_MESSAGE,   /* delivered by CPG, own messages too: nodeid = sender, data, size */
	HA_EV_TIMER,     /* the deadline of the last HA_ACT_TIMER has come (early or late is harmless) */
	HA_EV_PERSISTED, /* answer to HA_ACT_PERSIST: result, version. -EFBIG: cannot be appended, is to come whole */
	HA_EV_DONE,      /* answer to `action` ACQUIRE, RELEASE, STAND_DOWN (group, epoch) or FENCE (nodeid, epoch = down_seq):
			  * result, text. For FENCE also `evidence`, its kind (0: FENCE_AGENT) */
	HA_EV_REQUEST,   /* an operator's or handler's wish: see enum ha_request */
	HA_EV_LOCAL,     /* what this node knows of a copy: see enum ha_local; level, not edge: repeat at will */
	HA_EV_WATCHDOG,  /* version: so many ms after it was petted last this node's watchdog resets it, 0: it has none, or none that
			  * works. yes: this life has opened it, and the lease lasted still when it was open. Level, not edge */
};

enum ha_request {
	HA_REQ_CONFIG,       /* data/size = document, groups/n_groups, base_version: of a document that was settled when it was
			      * read (of one that was not another may get the same number) */
	HA_REQ_MOVE,         /* group, nodeid (0: release and stay free) */
	HA_REQ_MAINTENANCE,  /* nodeid, maintenance. Answered when it is noted; the groups leave one after the other, then portals */
	HA_REQ_CONFIRM_DOWN, /* nodeid; the operator vouches that the node is off. `evidence`: its kind (0: OPERATOR) */
	HA_REQ_RECORD,       /* group, text = key, data/size (0: remove), base_version: `committed` of the state it was decided on.
			      * Refused with -ESTALE if the record, or who owns the group, has changed since; answered 0 once it is
			      * durable on a majority: whoever is told to acquire the group after that has it */
	HA_REQ_OUTDATE,      /* group, nodeid: answered 0 once that copy is out of `current` on a majority. Waits through a
			      * change of view; refused without quorum. Look at DRBD afresh before: see HA_LOCAL_CURRENT */
};

enum ha_local {
	HA_LOCAL_SERVING,      /* group, yes: what the agent found after its own start; until it is said, nothing is
				* assumed. `no`: all gates are closed and it is not promoted. `yes` with result < 0: only in
				* part, as an agent that died half-way leaves it: it is closed, then acquired again. Afterwards HA_EV_DONE of ACQUIRE, RELEASE and STAND_DOWN imply it. OWNED by this
				* node but not serving: the machine asks for a new epoch on itself. Not owner but perhaps
				* serving: STAND_DOWN */
	HA_LOCAL_READY,        /* group, yes. Forgotten when the group leaves the document: say it again when it is back */
	HA_LOCAL_CURRENT,      /* group, nodeid, yes: DRBD here says that copy is (not) UpToDate and connected; nodeid = this
				* node: its own disk. After an OUTDATE for that copy and after each new epoch of the group a
				* `yes` that was said before does not count any more: it must be said again after a `no`. So
				* that no old `yes` counts as a new one, look at DRBD afresh before an OUTDATE is passed on and
				* before the DONE of an ACQUIRE. Where all copies are one (shared storage), say `no` and
				* then `yes` whenever a node of the group is missing in `current` */
	HA_LOCAL_PORTALS_DOWN, /* nodeid: this node does not serve the portals of nodeid (any more). Heard only while this node
				* is their holder and is asked to hand over (portal_next != 0, settled): say it then, and again */
};

enum ha_action_type {
	HA_ACT_SEND,       /* multicast data to the CPG group, agreed order; may be refused: the machine repeats what matters */
	HA_ACT_PERSIST,    /* make data durable, then HA_EV_PERSISTED with the same version (a mere number here); one at a time.
			    * yes: behind all that was persisted before; else in its place */
	HA_ACT_ACQUIRE,    /* promote and serve group at epoch; yes: the last owner was lost (do not wait for it) */
	HA_ACT_RELEASE,    /* stop serving group at epoch and demote */
	HA_ACT_STAND_DOWN, /* this node must not serve group: close at once; epoch = epoch of the state. May come while ACQUIRE or
			    * RELEASE of the group runs: close what can be closed now, and answer DONE of STAND_DOWN only when the
			    * other has ended too. One that has not begun is dropped and need not be answered */
	HA_ACT_FENCE,      /* run the fence agent against nodeid; epoch = down_seq */
	HA_ACT_REPLY,      /* request_id: result, text */
	HA_ACT_TIMER,      /* call back at deadline_ms (one timer; a new one replaces it; INT64_MAX: none) */
	HA_ACT_CHANGED,    /* committed state changed: look at the snapshot (config, roles, portals) */
	HA_ACT_NOTE,       /* a line for the log: text, group (may be NULL), epoch; yes: a warning */
	HA_ACT_INFO,       /* nodeid sent its status bytes (ha_core_send_info): data, size */
	HA_ACT_LEASE,      /* the watchdog may be opened and petted until deadline_ms: look at the clock right before */
};

struct ha_event {
	enum ha_event_type type;
	uint32_t nodeid;
	const char *group;
	uint64_t epoch;
	uint64_t version;
	enum ha_action_type action; /* of HA_EV_DONE */
	enum ha_evidence evidence;  /* 0: the usual kind */
	enum ha_maintenance maintenance;
	int result;                 /* 0 or negative errno */
	const char *text;
	bool yes;
	const void *data;
	size_t size;
	const uint32_t *nodes;
	size_t n_nodes;
	const uint32_t *ring;
	size_t n_ring;
	enum ha_request request;
	uint64_t request_id; /* chosen by the caller, comes back in HA_ACT_REPLY */
	uint64_t base_version;
	const struct ha_group_spec *groups;
	size_t n_groups;
	enum ha_local local;
};

/* --- actions --------------------------------------------------------------------------------------------------------*/

struct ha_action {
	enum ha_action_type type;
	const char *group;
	uint32_t nodeid;
	uint64_t epoch;
	uint64_t version;
	bool yes;
	int result;
	const char *text;
	const void *data;
	size_t size;
	uint64_t request_id;
	int64_t deadline_ms;
};

struct ha_core *ha_core_new(const struct ha_settings *settings) must_check;
void ha_core_free(struct ha_core *core);

void ha_core_step(struct ha_core *core, const struct ha_event *event, int64_t now_ms);
/* Takes the next action; false when there is none. Call until false before the next step. */
bool ha_core_next_action(struct ha_core *core, struct ha_action *ret_action);
/* Queues a SEND with this node's status bytes: not part of the replicated state, only passed on as HA_ACT_INFO. */
void ha_core_send_info(struct ha_core *core, const void *data, size_t size);

/* --- looking at the state (head state; `settled` tells whether it is committed) ------------------------------------------*/

struct ha_core_view {
	bool quorate;     /* votequorum */
	bool active;      /* an installed view with a majority: commands are possible */
	const char *passive_reason; /* why not active, "" if it is */
	uint64_t term, version, committed;
	uint64_t config_version;
	bool config_settled;
	const void *config; /* borrowed until the next step */
	size_t config_size;
	size_t n_nodes, n_groups;
	bool guarded; /* nobody relies on this node's watchdog, or it is armed: else nothing new may be served here */
};

struct ha_node_view {
	uint32_t nodeid;
	const char *name;
	enum ha_node_state state;
	uint64_t down_seq;
	enum ha_evidence evidence;
	const char *reason;       /* last fencing trouble, "" if none */
	uint32_t portal_holder, portal_next;
	enum ha_maintenance maintenance;
	uint32_t watchdog_ms; /* so long after it was cut off its watchdog has reset it; 0: it has none */
	bool in_ring; /* in Corosync's membership as this node sees it right now, before any install */
	bool settled;
};

struct ha_group_view {
	const char *name;
	enum ha_phase phase;
	uint32_t owner, to;
	bool held; /* released on request: stays free until it is moved */
	uint64_t epoch;
	uint32_t nodes[HA_COPIES_MAX];
	uint32_t current[HA_COPIES_MAX], ready[HA_COPIES_MAX], failed[HA_COPIES_MAX]; /* 0-terminated if shorter */
	bool stays;  /* the last try to give it away by itself has failed, see reason */
	const char *reason;
	bool owner_lost; /* the owner is not in Corosync's membership as seen right now: hosts should be held */
	bool settled;
};

/* How long after it was fenced from outside a node is provably reset, by a watchdog that fires timeout_ms after it was petted last. */
int64_t ha_watchdog_bound_ms(int64_t lease_max_ms, int64_t timeout_ms);

/* Whether `id`, which is not 0, is one of the nodes of a group view's list. */
bool ha_set_has(const uint32_t set[HA_COPIES_MAX], uint32_t id);

void ha_core_view(const struct ha_core *core, struct ha_core_view *ret);
void ha_core_node(const struct ha_core *core, size_t index, struct ha_node_view *ret);
void ha_core_group(const struct ha_core *core, size_t index, struct ha_group_view *ret);
struct ha_record_view {
	const char *key;
	const void *data; /* borrowed until the next step */
	size_t size;
	uint64_t changed; /* version of its last change */
	bool settled;
};

/* -ENOENT if there is no such record. */
int ha_core_record(const struct ha_core *core, const char *group, const char *key, struct ha_record_view *ret) must_check;
/* -ENOENT if there is no such node. */
int ha_core_find_node(const struct ha_core *core, uint32_t nodeid, struct ha_node_view *ret) must_check;
/* -ENOENT if there is no such group. */
int ha_core_find_group(const struct ha_core *core, const char *name, struct ha_group_view *ret) must_check;

#endif
