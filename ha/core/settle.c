// SPDX-License-Identifier: GPL-2.0-or-later
/* What follows by itself after each command and install: who gets a group that nobody serves, who answers on whose portals. */
#include <stdio.h>
#include <string.h>

#include "base/xalloc.h"
#include "ha/core/replica.h"

bool is_able(const struct ha_state *state, const struct ha_state_group *group, uint32_t id)
{
	return state_node_is(state, id, HA_NODE_UP) && ha_set_has(group->spec.nodes, id) && ha_set_has(group->current, id) &&
	       ha_set_has(group->ready, id) && !ha_set_has(group->failed, id);
}

bool is_candidate(const struct ha_state *state, const struct ha_state_group *group, uint32_t id)
{
	return is_able(state, group, id) && !state_node(state, id)->maintenance;
}

uint32_t best_candidate(const struct replica *replica, const struct ha_state_group *group)
{
	const struct ha_state *state = &replica->state;
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
		load = replica_tally(replica, id)->load;
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
	best = best_candidate(replica, group);
	if (best)
		replica_acquire(replica, group, best);
}

static bool is_ready_everywhere(const struct replica *replica, uint32_t id)
{
	const struct tally *tally = replica_tally(replica, id);

	return tally->ready == tally->copies;
}

/* Not one in maintenance, if there is another. */
static uint32_t lowest_up_with_copies(const struct replica *replica)
{
	const struct ha_state *state = &replica->state;
	uint32_t last_resort = 0;

	for (size_t i = 0; i < state->n_nodes; i++) {
		const struct ha_state_node *node = &state->nodes[i];

		if (node->state != HA_NODE_UP || !replica_tally(replica, node->nodeid)->copies)
			continue;
		if (!node->maintenance)
			return node->nodeid;
		last_resort = last_resort ? last_resort : node->nodeid;
	}
	return last_resort;
}

/* It has given its groups away and is to be free of portals too: then it can leave, and nobody need prove that it is gone. */
static bool gives_portals_away(const struct replica *replica, const struct ha_state_node *holder)
{
	return holder->state == HA_NODE_UP && holder->maintenance && !replica_tally(replica, holder->nodeid)->at;
}

/* Who is to have them next; 0: they stay with the holder. */
static uint32_t next_holder(const struct replica *replica, const struct ha_state_node *node, uint32_t holder)
{
	const struct ha_state_node *at = state_node(&replica->state, holder);
	uint32_t other;

	if (at && gives_portals_away(replica, at)) {
		other = lowest_up_with_copies(replica);
		return !other || state_node(&replica->state, other)->maintenance ? 0 : other;
	}
	if (holder && holder != node->nodeid && node->state == HA_NODE_UP && !node->maintenance &&
	    is_ready_everywhere(replica, node->nodeid))
		return node->nodeid;
	return 0;
}

static uint32_t right_holder(const struct replica *replica, const struct ha_state_node *node)
{
	const struct ha_state *state = &replica->state;
	bool is_held = node->portal_holder && !state_has_evidence(state, node->portal_holder);

	if (is_held)
		return node->portal_holder;
	if (node->state == HA_NODE_UP)
		return node->nodeid;
	if (node->portal_holder || state_has_evidence(state, node->nodeid))
		return lowest_up_with_copies(replica);
	return 0;
}

static void settle_portals(struct replica *replica, struct ha_state_node *node)
{
	uint32_t holder = right_holder(replica, node), next = next_holder(replica, node, holder);

	if (node->portal_holder == holder && node->portal_next == next)
		return;
	node->portal_holder = holder;
	node->portal_next = next;
	node->changed = replica->state.version;
}

static void settle_counted(struct replica *replica, struct ha_state_group *group)
{
	replica_tally_group(replica, group, false);
	settle_group(replica, group);
	replica_tally_group(replica, group, true);
}

static void settle_all_portals(struct replica *replica)
{
	struct ha_state *state = &replica->state;

	for (size_t i = 0; i < state->n_nodes; i++) {
		if (replica_tally(replica, state->nodes[i].nodeid)->copies)
			settle_portals(replica, &state->nodes[i]);
	}
}

static void touch(struct replica *replica, const struct ha_state_group *group)
{
	*array_push(replica->touched, replica->n_touched, replica->cap_touched) = (size_t)(group - replica->state.groups);
}

static bool is_leaving(const struct ha_state_group *group, uint32_t id)
{
	return (group->phase == HA_PHASE_RELEASING && group->owner == id) || (group->phase == HA_PHASE_ACQUIRING && group->from == id);
}

/* The first group of the node that can leave it; NULL: none, or one is leaving already. */
static struct ha_state_group *next_to_leave(struct replica *replica, uint32_t id, uint32_t *ret_to)
{
	struct ha_state *state = &replica->state;

	for (size_t i = 0; i < state->n_groups; i++) {
		if (is_leaving(&state->groups[i], id))
			return NULL;
	}
	for (size_t i = 0; i < state->n_groups; i++) {
		struct ha_state_group *group = &state->groups[i];

		if (group->phase != HA_PHASE_OWNED || group->owner != id || group->stays || group->spec.placement != HA_PLACEMENT_AUTO)
			continue;
		*ret_to = best_candidate(replica, group);
		if (*ret_to)
			return group;
	}
	return NULL;
}

/* A planned move for each group of a node in maintenance, one after the other. What cannot leave stays. */
static void evacuate(struct replica *replica)
{
	struct ha_state *state = &replica->state;

	for (size_t i = 0; i < state->n_nodes; i++) {
		const struct ha_state_node *node = &state->nodes[i];
		struct ha_state_group *group;
		uint32_t to;

		if (!node->maintenance || node->state != HA_NODE_UP)
			continue;
		group = next_to_leave(replica, node->nodeid, &to);
		if (!group)
			continue;
		replica_tally_group(replica, group, false);
		group->to = to;
		replica_enter(replica, group, HA_PHASE_RELEASING, node->nodeid);
		replica_tally_group(replica, group, true);
		touch(replica, group);
	}
}

void replica_settle(struct replica *replica)
{
	replica_count(replica);
	for (size_t i = 0; i < replica->state.n_groups; i++)
		settle_counted(replica, &replica->state.groups[i]);
	evacuate(replica);
	settle_all_portals(replica);
}

void replica_settle_one(struct replica *replica, struct ha_state_group *group)
{
	settle_counted(replica, group);
	touch(replica, group);
	evacuate(replica);
	settle_all_portals(replica);
}

/* --- tallies --------------------------------------------------------------------------------------------------------------*/

const struct tally *replica_tally(const struct replica *replica, uint32_t id)
{
	static const struct tally none;

	for (size_t i = 0; i < replica->n_tallies; i++) {
		if (replica->tallies[i].nodeid == id)
			return &replica->tallies[i];
	}
	return &none;
}

static void add(size_t *n, bool up)
{
	*n += up ? 1 : (size_t)-1;
}

void replica_tally_group(struct replica *replica, const struct ha_state_group *group, bool up)
{
	const size_t weight = MAX(group->spec.weight, 1u); /* as wide as the sum: it is taken off by its negative */

	for (size_t i = 0; i < replica->n_tallies; i++) {
		struct tally *tally = &replica->tallies[i];

		if (ha_set_has(group->spec.nodes, tally->nodeid)) {
			add(&tally->copies, up);
			if (ha_set_has(group->ready, tally->nodeid))
				add(&tally->ready, up);
		}
		if (group_is_at(group, tally->nodeid)) {
			add(&tally->at, up);
			tally->load += up ? weight : -weight;
			if (group->phase != HA_PHASE_OWNED)
				add(&tally->owes, up);
		}
		if (group->phase == HA_PHASE_ORPHANED && group->owner == tally->nodeid)
			add(&tally->orphaned, up);
	}
}

void replica_count(struct replica *replica)
{
	replica->n_tallies = replica->state.n_nodes;
	for (size_t i = 0; i < replica->n_tallies; i++)
		replica->tallies[i] = (struct tally){ .nodeid = replica->state.nodes[i].nodeid };
	for (size_t i = 0; i < replica->state.n_groups; i++)
		replica_tally_group(replica, &replica->state.groups[i], true);
	replica->touched_all = true;
}
