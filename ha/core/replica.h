/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the replicated state changes: by an install and by commands in the leader's order. Pure functions of the state and the
 * message, so that all nodes that apply the same ones hold the same bytes. Texts may name nodes by the local settings:
 * they go to notes and errors, never into the state.
 */
#ifndef HA_CORE_REPLICA_H
#define HA_CORE_REPLICA_H

#include "base/err.h"
#include "ha/core/core.h"
#include "ha/wire/msg.h"
#include "ha/wire/state.h"

/* A transition to be told once it is committed. */
struct note {
	uint64_t version, epoch;
	char group[HA_NAME_SIZE]; /* "": of the cluster */
	char text[HA_TEXT_SIZE];
	bool warning;
	bool transition; /* of a group, to this phase and owner */
	enum ha_phase phase;
	uint32_t owner;
};

struct notes {
	struct note *items;
	size_t n, cap;
};

/* How many groups stand how with one node: kept up, so that nobody need walk all groups to know. */
struct tally {
	uint32_t nodeid;
	size_t copies, ready; /* groups with a copy here; of those, ready here */
	size_t at, owes;      /* owned here and not lost; of those, ACQUIRING or RELEASING */
	size_t load;          /* the weights of those */
	size_t orphaned;      /* lost with this owner */
};

struct replica {
	struct ha_state state;
	struct notes notes; /* since somebody took them */
	const struct ha_settings *settings;
	struct tally tallies[HA_NODES_MAX];
	size_t n_tallies;
	bool touched_all;   /* since somebody looked: any group may have changed, or there are others */
	size_t *touched;    /* else those at these indices */
	size_t n_touched, cap_touched;
};

/* --- sets of node ids, 0-filled, ascending ---*/
void set_add(uint32_t set[HA_COPIES_MAX], uint32_t id);
void set_del(uint32_t set[HA_COPIES_MAX], uint32_t id);
void set_clear(uint32_t set[HA_COPIES_MAX]);
size_t set_count(const uint32_t set[HA_COPIES_MAX]);

/* --- look-ups ---*/
struct ha_state_node *state_node(const struct ha_state *state, uint32_t id);    /* NULL: unknown */
struct ha_state_group *state_group(const struct ha_state *state, const char *name); /* NULL: unknown */
bool state_node_is(const struct ha_state *state, uint32_t id, enum ha_node_state what);
bool state_has_evidence(const struct ha_state *state, uint32_t id); /* DOWN, and proven */
bool group_is_at(const struct ha_state_group *group, uint32_t id); /* ACQUIRING, OWNED or RELEASING with this owner */
const char *node_name(const struct ha_settings *settings, uint32_t id); /* "nobody" for 0 */

/* --- tallies ---*/
/* Counts anew and counts all groups as touched: after the state was changed from outside. */
void replica_count(struct replica *replica);
const struct tally *replica_tally(const struct replica *replica, uint32_t id); /* all zero for an unknown node */

/* --- changes ---*/

/* Would this command change anything? 0: yes. -EALREADY: it asks for what is there already. Else refused, the reason in err. */
int replica_check(const struct replica *replica, uint32_t origin, const struct ha_command *command, struct err *err);
/* Applies the next command: version + 1 in any case. Returns what replica_check() says, 0 also for -EALREADY, or -EILSEQ for a
 * request that is not the sender's next one: it was ordered before, or one before it was not. */
int replica_apply(struct replica *replica, uint32_t origin, const struct ha_command *command, struct err *err);
void replica_install(struct replica *replica, uint64_t term, const struct ha_install *install);
/* Takes over another node's state. Notes that nobody took are dropped with the state they belong to. */
void replica_adopt(struct replica *replica, struct ha_state *state);

/* --- between the files of the replica ---*/
void replica_enter(struct replica *replica, struct ha_state_group *group, enum ha_phase phase, uint32_t owner);
void replica_acquire(struct replica *replica, struct ha_state_group *group, uint32_t owner);
/* The owner, which nobody has replaced, goes on at a new epoch; if its own copy misses writes it must let go. */
void replica_resume(struct replica *replica, struct ha_state_group *group);
void replica_note_phase(struct replica *replica, const struct ha_state_group *group);
void replica_note(struct replica *replica, const struct ha_state_group *group, bool warning, const char *fmt, ...)
	printf_like(4, 5);
void replica_node_down(struct replica *replica, struct ha_state_node *node);
bool is_candidate(const struct ha_state *state, const struct ha_state_group *group, uint32_t id);
uint32_t best_candidate(const struct replica *replica, const struct ha_state_group *group); /* 0 if nobody can */
/* The same, but maintenance is no hindrance: for a node that the group comes back to. */
bool is_able(const struct ha_state *state, const struct ha_state_group *group, uint32_t id);
/* The rule applied after each install and command: places groups, hands portals over. The second form suffices when of all
 * groups only that one has changed, and no node: what places a group is its own fields and the nodes. */
void replica_settle(struct replica *replica);
int record_check(const struct replica *replica, uint32_t origin, const struct ha_command *command, struct err *err);
void record_apply(struct replica *replica, uint32_t origin, const struct ha_command *command);
void records_drop(struct ha_state *state); /* those of groups that are gone */
void replica_settle_one(struct replica *replica, struct ha_state_group *group);
void replica_tally_group(struct replica *replica, const struct ha_state_group *group, bool up);
void replica_done(struct replica *replica);
int config_check(const struct replica *replica, const struct ha_command *command, struct err *err);
void config_apply(struct replica *replica, const struct ha_command *command);

#endif
