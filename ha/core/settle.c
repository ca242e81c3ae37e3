// SPDX-License-Identifier: GPL-2.0-or-later
/* What follows by itself after each command and install: who gets a group that nobody serves, who answers on whose portals. */
#include <stdio.h>
#include <string.h>

#include "ha/core/replica.h"

bool is_able(const struct ha_state *state, const struct ha_state_group *group, uint32_t id)
{
	return state_node_is(state, id, HA_NODE_UP) && set_has(group->spec.nodes, id) && set_has(group->current, id) &&
	       set_has(group->ready, id) && !set_has(group->failed, id);
}

bool is_candidate(const struct ha_state *state, const struct ha_state_group *group, uint32_t id)
{
	return is_able(state, group, id) && !state_node(state, id)->maintenance;
}

static size_t load_of(const struct ha_state *state, uint32_t id)
{
	size_t load = 0;

	for (size_t i = 0; i < state->n_groups; i++) {
		if (group_is_at(&state->groups[i], id))
			load += MAX(state->groups[i].spec.weight, 1);
	}
	return load;
}

/* 0 if nobody can. */
static uint32_t best_candidate(const struct ha_state *state, const struct ha_state_group *group)
{
	size_t least = SIZE_MAX;
	uint32_t best = 0;

	if (is_able(state, group, group->from))
		return group->from;
	if (is_candidate(state, group, group->spec.prefer))
		return group->spec.prefer;
	for (size_t i = 0; i < HA_COPIES_MAX; i++) {
		uint32_t id = group->spec.nodes[i];
		size_t load;

		if (!is_candidate(state, group, id))
			continue;
		load = load_of(state, id);
		if (load < least || (load == least && id < best)) {
			least = load;
			best = id;
		}
	}
	return best;
}

/* A command of a host may be what kills its owners, one after the other: it must not get them all. */
static bool is_braked(const struct ha_state_group *group)
{
	return group->spec.losses_max && group->losses >= group->spec.losses_max;
}

static void brake(struct replica *replica, struct ha_state_group *group)
{
	group->held = true;
	snprintf(group->reason, sizeof(group->reason), "its last %u owners were lost soon after they got it, so nobody takes it over by "
		 "itself any more: find out why, then move it", group->losses);
	replica_note(replica, group, true, "%s", group->reason);
}

static void settle_group(struct replica *replica, struct ha_state_group *group)
{
	uint32_t best;

	if (group->phase == HA_PHASE_ORPHANED && !state_has_evidence(&replica->state, group->owner))
		return;
	if (group->phase != HA_PHASE_FREE && group->phase != HA_PHASE_ORPHANED)
		return;
	if (!group->held && is_braked(group))
		brake(replica, group);
	if (group->held) {
		if (group->phase == HA_PHASE_ORPHANED)
			replica_enter(replica, group, HA_PHASE_FREE, 0);
		return;
	}
	if (group->spec.placement != HA_PLACEMENT_AUTO)
		return;
	best = best_candidate(&replica->state, group);
	if (best)
		replica_acquire(replica, group, best);
}

static bool is_ready_everywhere(const struct ha_state *state, uint32_t id)
{
	for (size_t i = 0; i < state->n_groups; i++) {
		if (set_has(state->groups[i].spec.nodes, id) && !set_has(state->groups[i].ready, id))
			return false;
	}
	return true;
}

static uint32_t lowest_up_with_copies(const struct ha_state *state)
{
	for (size_t i = 0; i < state->n_nodes; i++) {
		if (state->nodes[i].state == HA_NODE_UP && state_has_copies(state, state->nodes[i].nodeid))
			return state->nodes[i].nodeid;
	}
	return 0;
}

static uint32_t right_holder(const struct ha_state *state, const struct ha_state_node *node)
{
	bool is_held = node->portal_holder && !state_has_evidence(state, node->portal_holder);

	if (is_held)
		return node->portal_holder;
	if (node->state == HA_NODE_UP)
		return node->nodeid;
	if (node->portal_holder || state_has_evidence(state, node->nodeid))
		return lowest_up_with_copies(state);
	return 0;
}

static void settle_portals(struct ha_state *state, struct ha_state_node *node)
{
	uint32_t holder = right_holder(state, node), next = 0;

	if (holder && holder != node->nodeid && node->state == HA_NODE_UP && is_ready_everywhere(state, node->nodeid))
		next = node->nodeid;
	if (node->portal_holder == holder && node->portal_next == next)
		return;
	node->portal_holder = holder;
	node->portal_next = next;
	node->changed = state->version;
}

static bool is_leaving(const struct ha_state_group *group, uint32_t id)
{
	return (group->phase == HA_PHASE_RELEASING && group->owner == id) || (group->phase == HA_PHASE_ACQUIRING && group->from == id);
}

/* A planned move for each group of a node in maintenance, one after the other. What cannot leave stays. */
static void evacuate(struct replica *replica, uint32_t id)
{
	struct ha_state *state = &replica->state;

	for (size_t i = 0; i < state->n_groups; i++) {
		if (is_leaving(&state->groups[i], id))
			return;
	}
	for (size_t i = 0; i < state->n_groups; i++) {
		struct ha_state_group *group = &state->groups[i];

		if (group->phase != HA_PHASE_OWNED || group->owner != id || group->stays || group->spec.placement != HA_PLACEMENT_AUTO)
			continue;
		group->to = best_candidate(state, group);
		if (!group->to)
			continue;
		replica_enter(replica, group, HA_PHASE_RELEASING, id);
		return;
	}
}

void replica_settle(struct replica *replica)
{
	struct ha_state *state = &replica->state;

	for (size_t i = 0; i < state->n_groups; i++)
		settle_group(replica, &state->groups[i]);
	for (size_t i = 0; i < state->n_nodes; i++) {
		if (state->nodes[i].maintenance && state->nodes[i].state == HA_NODE_UP)
			evacuate(replica, state->nodes[i].nodeid);
	}
	for (size_t i = 0; i < state->n_nodes; i++) {
		if (state_has_copies(state, state->nodes[i].nodeid))
			settle_portals(state, &state->nodes[i]);
	}
}
