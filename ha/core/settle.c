// SPDX-License-Identifier: GPL-2.0-or-later
/* What follows by itself after each command and install: who gets a group that nobody serves, who answers on whose portals. */
#include <string.h>

#include "ha/core/replica.h"

bool is_candidate(const struct ha_state *state, const struct ha_state_group *group, uint32_t id)
{
	return state_node_is(state, id, HA_NODE_UP) && set_has(group->spec.nodes, id) && set_has(group->current, id) &&
	       set_has(group->ready, id) && !set_has(group->failed, id);
}

static size_t count_groups_at(const struct ha_state *state, uint32_t id)
{
	size_t n = 0;

	for (size_t i = 0; i < state->n_groups; i++)
		n += group_is_at(&state->groups[i], id);
	return n;
}

/* 0 if nobody can. */
static uint32_t best_candidate(const struct ha_state *state, const struct ha_state_group *group)
{
	size_t fewest = SIZE_MAX;
	uint32_t best = 0;

	if (is_candidate(state, group, group->from))
		return group->from;
	if (is_candidate(state, group, group->spec.prefer))
		return group->spec.prefer;
	for (size_t i = 0; i < HA_COPIES_MAX; i++) {
		uint32_t id = group->spec.nodes[i];
		size_t n;

		if (!is_candidate(state, group, id))
			continue;
		n = count_groups_at(state, id);
		if (n < fewest || (n == fewest && id < best)) {
			fewest = n;
			best = id;
		}
	}
	return best;
}

static void settle_group(struct replica *replica, struct ha_state_group *group)
{
	uint32_t best;

	if (group->phase == HA_PHASE_ORPHANED && !state_has_evidence(&replica->state, group->owner))
		return;
	if (group->phase != HA_PHASE_FREE && group->phase != HA_PHASE_ORPHANED)
		return;
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

void replica_settle(struct replica *replica)
{
	struct ha_state *state = &replica->state;

	for (size_t i = 0; i < state->n_groups; i++)
		settle_group(replica, &state->groups[i]);
	for (size_t i = 0; i < state->n_nodes; i++) {
		if (state_has_copies(state, state->nodes[i].nodeid))
			settle_portals(state, &state->nodes[i]);
	}
}
