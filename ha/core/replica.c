// SPDX-License-Identifier: GPL-2.0-or-later
/* Transitions of groups and nodes, the installation of a view, and taking over another node's state. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "ha/core/replica.h"

void replica_note(struct replica *replica, const struct ha_state_group *group, bool warning, const char *fmt, ...)
{
	struct note *note = array_push(replica->notes.items, replica->notes.n, replica->notes.cap);
	va_list ap;

	note->version = replica->state.version;
	note->warning = warning;
	if (group) {
		memcpy(note->group, group->spec.name, sizeof(note->group));
		note->epoch = group->epoch;
	}
	va_start(ap, fmt);
	vsnprintf(note->text, sizeof(note->text), fmt, ap);
	va_end(ap);
}

void replica_note_phase(struct replica *replica, const struct ha_state_group *group)
{
	const char *owner = node_name(replica->settings, group->owner);
	struct note *note;

	switch (group->phase) {
	case HA_PHASE_FREE:
		replica_note(replica, group, false, "is free");
		break;
	case HA_PHASE_ACQUIRING:
		replica_note(replica, group, false, "%s is to acquire it%s", owner, group->lost ? " (takeover)" : "");
		break;
	case HA_PHASE_OWNED:
		replica_note(replica, group, false, "%s serves it", owner);
		break;
	case HA_PHASE_RELEASING:
		replica_note(replica, group, false, "%s is to release it for %s", owner,
			     node_name(replica->settings, group->to));
		break;
	case HA_PHASE_ORPHANED:
		replica_note(replica, group, true, "its owner %s was lost without a release", owner);
		break;
	}
	note = &replica->notes.items[replica->notes.n - 1];
	note->transition = true;
	note->phase = group->phase;
	note->owner = group->owner;
}

void replica_enter(struct replica *replica, struct ha_state_group *group, enum ha_phase phase, uint32_t owner)
{
	group->phase = phase;
	group->owner = owner;
	if (phase != HA_PHASE_RELEASING)
		group->to = 0;
	group->changed = replica->state.version;
	replica_note_phase(replica, group);
}

void replica_acquire(struct replica *replica, struct ha_state_group *group, uint32_t owner)
{
	/* What the new owner writes alone, the lost one lacks: it is out before the first of these writes can be. */
	if (group->phase == HA_PHASE_ORPHANED && group->owner != owner) {
		group->lost = true;
		set_del(group->current, group->owner);
	}
	group->epoch++;
	replica_enter(replica, group, HA_PHASE_ACQUIRING, owner);
}

void replica_node_down(struct replica *replica, struct ha_state_node *node)
{
	struct ha_state *state = &replica->state;

	node->state = HA_NODE_DOWN;
	node->down_seq++;
	node->evidence = HA_EVIDENCE_NONE;
	node->reason[0] = '\0';
	node->changed = state->version;
	replica_note(replica, NULL, true, "node %s: is down", node_name(replica->settings, node->nodeid));
	for (size_t i = 0; i < state->n_groups; i++) {
		struct ha_state_group *group = &state->groups[i];

		set_del(group->ready, node->nodeid);
		if (!group_is_at(group, node->nodeid))
			continue;
		if (group->losses < UINT8_MAX)
			group->losses++;
		replica_enter(replica, group, HA_PHASE_ORPHANED, node->nodeid);
	}
}

static void let_go(struct replica *replica, struct ha_state_group *group)
{
	group->epoch++;
	group->to = 0;
	replica_enter(replica, group, HA_PHASE_RELEASING, group->owner);
}

void replica_resume(struct replica *replica, struct ha_state_group *group)
{
	if (!ha_set_has(group->current, group->owner)) {
		let_go(replica, group);
		return;
	}
	group->held = false;
	replica_acquire(replica, group, group->owner);
}

/*
 * Its owner is back and nobody has taken over. It may have been serving all the time, so it is asked first, even if it was
 * proven down: should the proof have been wrong, nothing is lost by asking. One that was proven down has been restarted:
 * it lets go, and the group is placed like any other.
 */
static void owner_is_back(struct replica *replica, struct ha_state_group *group, bool was_proven_down)
{
	if (was_proven_down)
		let_go(replica, group);
	else
		replica_resume(replica, group);
}

static void node_up(struct replica *replica, struct ha_state_node *node)
{
	struct ha_state *state = &replica->state;
	bool was_proven_down = node->evidence != HA_EVIDENCE_NONE;

	if (node->state == HA_NODE_UP)
		return;
	if (node->state == HA_NODE_DOWN && node->maintenance == HA_MAINTENANCE_UNTIL_RESTART)
		node->maintenance = HA_MAINTENANCE_OFF;
	node->state = HA_NODE_UP;
	node->evidence = HA_EVIDENCE_NONE;
	node->reason[0] = '\0';
	node->changed = state->version;
	replica_note(replica, NULL, false, "node %s: is up", node_name(replica->settings, node->nodeid));
	for (size_t i = 0; i < state->n_groups; i++) {
		struct ha_state_group *group = &state->groups[i];

		set_clear(group->failed);
		group->stays = false;
		if (group->phase == HA_PHASE_ORPHANED && group->owner == node->nodeid)
			owner_is_back(replica, group, was_proven_down);
	}
}

static void node_away(struct replica *replica, struct ha_state_node *node)
{
	if (node->state != HA_NODE_UP)
		return;
	node->state = HA_NODE_AWAY;
	node->changed = replica->state.version;
	replica_note(replica, NULL, true, "node %s: its agent is silent", node_name(replica->settings, node->nodeid));
}

static bool ids_have(const struct ha_ids *ids, uint32_t id)
{
	for (size_t i = 0; i < ids->n; i++) {
		if (ids->ids[i] == id)
			return true;
	}
	return false;
}

static bool is_referred_to(const struct replica *replica, uint32_t id)
{
	const struct ha_state *state = &replica->state;

	if (replica_tally(replica, id)->copies)
		return true;
	for (size_t i = 0; i < state->n_nodes; i++) {
		if (state->nodes[i].nodeid != id && state->nodes[i].portal_holder == id)
			return true;
	}
	return false;
}

static void add_node(struct ha_state *state, uint32_t id)
{
	size_t at = 0;

	if (state_node(state, id) || state->n_nodes == HA_NODES_MAX)
		return;
	while (at < state->n_nodes && state->nodes[at].nodeid < id)
		at++;
	memmove(&state->nodes[at + 1], &state->nodes[at], (state->n_nodes - at) * sizeof(state->nodes[0]));
	/* Never seen: it holds nothing, so nobody need fence it. */
	state->nodes[at] = (struct ha_state_node){ .nodeid = id, .state = HA_NODE_DOWN, .changed = state->version };
	state->n_nodes++;
}

static void take_electorate(struct replica *replica, const struct ha_ids *electorate)
{
	struct ha_state *state = &replica->state;
	size_t kept = 0;

	for (size_t i = 0; i < state->n_nodes; i++) {
		struct ha_state_node *node = &state->nodes[i];

		node->elects = ids_have(electorate, node->nodeid);
		if (node->elects || is_referred_to(replica, node->nodeid))
			state->nodes[kept++] = *node;
	}
	memset(&state->nodes[kept], 0, (HA_NODES_MAX - kept) * sizeof(state->nodes[0]));
	state->n_nodes = kept;
	for (size_t i = 0; i < electorate->n; i++) {
		add_node(state, electorate->ids[i]);
		if (state_node(state, electorate->ids[i]))
			state_node(state, electorate->ids[i])->elects = true;
	}
}

void replica_install(struct replica *replica, uint64_t term, const struct ha_install *install)
{
	struct ha_state *state = &replica->state;

	state->term = term;
	state->version++;
	take_electorate(replica, &install->electorate);
	/* First who is gone, then who is back: what the former leave behind is settled with all of the latter. */
	for (size_t i = 0; i < state->n_nodes; i++) {
		struct ha_state_node *node = &state->nodes[i];

		if (ids_have(&install->participants, node->nodeid))
			continue;
		if (ids_have(&install->ring, node->nodeid))
			node_away(replica, node);
		else if (node->state != HA_NODE_DOWN)
			replica_node_down(replica, node);
	}
	for (size_t i = 0; i < state->n_nodes; i++) {
		if (ids_have(&install->participants, state->nodes[i].nodeid))
			node_up(replica, &state->nodes[i]);
	}
	replica_settle(replica);
}

void replica_adopt(struct replica *replica, struct ha_state *state)
{
	ha_state_done(&replica->state);
	replica->state = *state;
	memset(state, 0, sizeof(*state));
	replica->notes.n = 0;
	replica_count(replica);
}

void replica_done(struct replica *replica)
{
	ha_state_done(&replica->state);
	free(replica->notes.items);
	free(replica->touched);
}
