// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who gets a group without being named by an operator: maintenance, weights, failback and the brake, as docs/PROTOCOL.md has it.
 * Each change of the state is looked at, on each node, beside the state before it; what is right is computed anew here.
 */
#include <stdio.h>
#include <string.h>

#include "tests/sim/sim.h"

struct change {
	const struct machine *m;
	const struct ha_state *state;
	const struct ha_state_group *old, *now;
	const char *name;
	bool first; /* no node has shown this version before: for coverage */
};

static bool in_maintenance(const struct ha_state *state, uint32_t id)
{
	const struct ha_state_node *node = state_node(state, id);

	return node && node->maintenance != HA_MAINTENANCE_OFF;
}

/* May be given the group by the agents. */
static bool may_own(const struct ha_state *state, const struct ha_state_group *group, uint32_t id)
{
	return state_node_is(state, id, HA_NODE_UP) && !in_maintenance(state, id) && ha_set_has(group->spec.nodes, id) &&
	       ha_set_has(group->current, id) && ha_set_has(group->ready, id) && !ha_set_has(group->failed, id);
}

static bool is_held_by(const struct ha_state_group *group, uint32_t id)
{
	return group->owner == id && group->phase != HA_PHASE_FREE && group->phase != HA_PHASE_ORPHANED;
}

static bool is_past_limit(const struct ha_state_group *group)
{
	return group->spec.losses_max && group->losses >= group->spec.losses_max;
}

/* It was given to a node that did not have it. */
static bool is_given(const struct ha_state_group *old, const struct ha_state_group *now)
{
	return now->phase == HA_PHASE_ACQUIRING && now->epoch != old->epoch && now->owner != old->owner;
}

static void check_maintenance(struct sim *sim, const struct change *c)
{
	const struct ha_state_group *old = c->old, *now = c->now;

	if (is_given(old, now) && now->spec.placement != HA_PLACEMENT_AUTO && c->m->cause.type != HA_CMD_MOVE && old->phase != HA_PHASE_RELEASING)
		sim_fail(sim, "%s: is given to %u, though somebody else places it", c->name, now->owner);
	if (is_given(old, now) && in_maintenance(c->state, now->owner) && now->owner != old->from)
		sim_fail(sim, "%s: is given to %u, which is in maintenance", c->name, now->owner);
	if (now->phase == HA_PHASE_RELEASING && now->to && now->to != old->to && in_maintenance(c->state, now->to))
		sim_fail(sim, "%s: is to move to %u, which is in maintenance", c->name, now->to);
	/* Nobody moves what is served, but operators, failbacks, and who empties a node. */
	if (old->phase != HA_PHASE_OWNED || now->phase != HA_PHASE_RELEASING || c->m->cause.type == HA_CMD_MOVE)
		return;
	if (!in_maintenance(c->state, now->owner))
		sim_fail(sim, "%s: leaves %u without anybody asking for it", c->name, now->owner);
	if (c->first)
		sim->coverage[COVER_EVACUATE]++;
}

static void check_brake(struct sim *sim, const struct change *c)
{
	const struct ha_state_group *old = c->old, *now = c->now;
	bool lost = is_held_by(old, old->owner) && now->phase == HA_PHASE_ORPHANED, moved = c->m->cause.type == HA_CMD_MOVE && !c->m->cause.yes;
	bool brakes = now->phase == HA_PHASE_FREE && is_past_limit(now);
	struct ha_group_view view;

	/* An install may lose it and take it back in one. */
	if (lost && now->losses != MIN(old->losses + 1, UINT8_MAX))
		sim_fail(sim, "%s: has lost an owner, and counts %u losses after %u", c->name, now->losses, old->losses);
	if (now->losses < old->losses && !moved && c->m->cause.type != HA_CMD_CALM)
		sim_fail(sim, "%s: forgets %u losses", c->name, old->losses);
	if (is_given(old, now) && !moved && old->phase != HA_PHASE_RELEASING && is_past_limit(now))
		sim_fail(sim, "%s: is given to %u after %u losses, %u are the limit", c->name, now->owner, now->losses, now->spec.losses_max);
	if (brakes && !now->held)
		sim_fail(sim, "%s: waits after %u losses without being held", c->name, now->losses);
	if (brakes && !old->held) {
		if (ha_core_find_group(c->m->core, c->name, &view) < 0 || !view.held || !strstr(view.reason, "were lost"))
			sim_fail(sim, "%s: is held after %u losses, and nobody can see why", c->name, now->losses);
		sim->coverage[COVER_BRAKE] += c->first;
	}
	if (moved && old->epoch != now->epoch && now->phase == HA_PHASE_ACQUIRING && (now->losses || now->held))
		sim_fail(sim, "%s: an operator has moved it, and the brake is still on", c->name);
	if (moved && c->first && is_past_limit(old) && old->held && now->phase == HA_PHASE_ACQUIRING)
		sim->coverage[COVER_UNBRAKE]++;
}

static void check_calm(struct sim *sim, const struct group *group, const struct change *c)
{
	/* Who hears it late may do so when the group has been lost and served again. */
	if (!c->first || c->m->cause.type != HA_CMD_CALM || c->old->losses <= c->now->losses)
		return;
	sim->coverage[COVER_CALM]++;
	if (group->owned_epoch != c->now->epoch || sim->now_ms < group->owned_ms + sim->calm_ms)
		sim_fail(sim, "%s: its losses are forgiven before it was served for %lld ms", c->name, (long long)sim->calm_ms);
}

/* Only the owner can say since when it has seen that it may go back: looked at where it hears its own order. */
static void check_failback(struct sim *sim, int i, const struct change *c)
{
	__typeof__(&c->m->failback[0]) f = &c->m->failback[i];
	int64_t waited_ms;

	if (c->m->cause.type != HA_CMD_MOVE || !c->m->cause.yes || c->old->phase != HA_PHASE_OWNED || c->now->phase != HA_PHASE_RELEASING)
		return;
	if (c->m->cause.origin == c->m->id && f->epoch == c->old->epoch && f->had_no_disk) {
		sim->coverage[COVER_LEFT_DISK]++;
		return;
	}
	sim->coverage[COVER_FAILBACK] += c->first;
	if (c->now->to != c->now->spec.prefer && c->m->cause.origin == c->m->id && f->least_s)
		sim_log(sim, "%s: goes back to who was preferred before", c->name);
	if (c->m->cause.origin != c->m->id)
		return;
	waited_ms = MAX(f->longest_ms, f->since_ms >= 0 ? sim->now_ms - f->since_ms : 0);
	if (f->epoch != c->old->epoch || !f->least_s || waited_ms < f->least_s * 1000ll)
		sim_fail(sim, "%s: goes back to %u after %lld ms, %u s are asked for", c->name, c->now->to, (long long)waited_ms, f->least_s);
}

/* What `id` carried when group `i` was placed: those before it as they are now, those after it as they were left by the command. */
static size_t load_of(const struct change *c, const struct sim *sim, int i, uint32_t id)
{
	size_t load = 0;

	for (int k = 0; k < sim->n_groups; k++) {
		const struct ha_state_group *group = state_group(c->state, sim->groups[k].name);

		if (k == i || !group || !is_held_by(group, id))
			continue;
		if (k > i && group->changed == c->state->version && c->m->before[k].known && !is_held_by(&c->m->before[k].group, id))
			continue; /* placed later, in the same step */
		load += MAX(group->spec.weight, 1u);
	}
	return load;
}

static void check_weight(struct sim *sim, int i, const struct change *c)
{
	const struct ha_state_group *old = c->old, *now = c->now;
	size_t load;

	if (!is_given(old, now) || c->m->cause.type == HA_CMD_MOVE || now->owner == old->from || now->owner == old->to)
		return;
	if (may_own(c->state, now, now->spec.prefer)) {
		if (now->owner != now->spec.prefer)
			sim_fail(sim, "%s: is given to %u, though %u is preferred", c->name, now->owner, now->spec.prefer);
		return;
	}
	load = load_of(c, sim, i, now->owner);
	for (size_t k = 0; k < HA_COPIES_MAX; k++) {
		uint32_t id = now->spec.nodes[k];

		if (id == now->owner || !may_own(c->state, now, id))
			continue;
		if (load_of(c, sim, i, id) < load)
			sim_fail(sim, "%s: is given to %u, though %u has less to do", c->name, now->owner, id);
		sim->coverage[COVER_WEIGHED] += c->first && load_of(c, sim, i, id) > load;
	}
}

static void check_nodes(struct sim *sim, const struct machine *m, const struct ha_state *state, bool first)
{
	for (size_t i = 0; i < m->n_nodes_before; i++) {
		const struct ha_state_node *old = &m->nodes_before[i], *now = state_node(state, old->nodeid);
		bool restarted = now && old->state == HA_NODE_DOWN && now->state == HA_NODE_UP;
		bool ends = restarted && old->maintenance == HA_MAINTENANCE_UNTIL_RESTART;

		if (!now)
			continue;
		if (ends ? now->maintenance != HA_MAINTENANCE_OFF : now->maintenance != old->maintenance && m->cause.type != HA_CMD_MAINTENANCE)
			sim_fail(sim, "node %u: maintenance was %s and is %s", old->nodeid, ha_maintenance_name(old->maintenance),
				 ha_maintenance_name(now->maintenance));
		if (first) {
			sim->coverage[COVER_RESTARTED] += ends;
			sim->coverage[COVER_MAINTENANCE] += now->maintenance != HA_MAINTENANCE_OFF && now->maintenance != old->maintenance;
		}
	}
}

void placement_changed(struct sim *sim, int node)
{
	struct change c = { .m = &sim->machines[node], .state = &sim->machines[node].core->replica.state };

	c.first = c.state->term > sim->counted_term ||
		  (c.state->term == sim->counted_term && c.state->version > sim->counted_version);
	if (c.first) {
		sim->counted_term = c.state->term;
		sim->counted_version = c.state->version;
	}
	check_nodes(sim, c.m, c.state, c.first);
	for (int i = 0; i < sim->n_groups; i++) {
		c.name = sim->groups[i].name;
		c.now = state_group(c.state, c.name);
		c.old = &c.m->before[i].group;
		if (!c.now || !c.m->before[i].known)
			continue;
		check_maintenance(sim, &c);
		check_brake(sim, &c);
		check_calm(sim, &sim->groups[i], &c);
		check_failback(sim, i, &c);
		check_weight(sim, i, &c);
	}
}

/* --- the state as such ---*/

static bool is_leaving(const struct ha_state_group *group, uint32_t id)
{
	return (group->phase == HA_PHASE_RELEASING && group->owner == id) || (group->phase == HA_PHASE_ACQUIRING && group->from == id);
}

/* A node in maintenance keeps only what nobody else can take; then it has no portals either. */
static void check_emptied(struct sim *sim, const struct ha_state *state, const struct ha_state_node *node)
{
	size_t n = 0;

	for (size_t i = 0; i < state->n_groups; i++) {
		if (is_leaving(&state->groups[i], node->nodeid))
			return;
	}
	for (size_t i = 0; i < state->n_groups; i++) {
		const struct ha_state_group *group = &state->groups[i];

		n += is_held_by(group, node->nodeid);
		for (size_t k = 0; k < HA_COPIES_MAX; k++) {
			if (group->phase == HA_PHASE_OWNED && group->owner == node->nodeid && !group->stays &&
			    group->spec.placement == HA_PLACEMENT_AUTO &&
			    may_own(state, group, group->spec.nodes[k]))
				sim_fail(sim, "%s: stays on %u, which is in maintenance, though %u could take it", group->spec.name, node->nodeid,
					 group->spec.nodes[k]);
		}
	}
	for (size_t i = 0; i < state->n_nodes && !n; i++) {
		const struct ha_state_node *of = &state->nodes[i];

		if (of->portal_holder != node->nodeid || of->portal_next)
			continue;
		for (size_t k = 0; k < state->n_groups; k++) {
			for (size_t j = 0; j < HA_COPIES_MAX; j++) {
				uint32_t id = state->groups[k].spec.nodes[j];

				if (state_node_is(state, id, HA_NODE_UP) && !in_maintenance(state, id) && ha_set_has(state->groups[k].spec.nodes, of->nodeid))
					sim_fail(sim, "node %u: is empty and keeps the portals of %u, which %u could have", node->nodeid, of->nodeid, id);
			}
		}
	}
}

/* What the owner can know of how long it could have gone back. */
static void watch_failback(struct sim *sim, struct machine *m, int i, const struct ha_state_group *group)
{
	__typeof__(&m->failback[0]) f = &m->failback[i];
	bool may_go = group->phase == HA_PHASE_OWNED && group->owner == m->id && group->spec.failback_s && group->spec.placement == HA_PLACEMENT_AUTO &&
		      group->spec.prefer != group->owner && may_own(&m->core->replica.state, group, group->spec.prefer);

	if (f->epoch != group->epoch) {
		memset(f, 0, sizeof(*f));
		f->epoch = group->epoch;
		f->since_ms = -1;
	}
	f->had_no_disk |= group->owner == m->id && !ha_set_has(group->current, m->id);
	if (may_go && f->since_ms < 0)
		f->since_ms = sim->now_ms;
	if (!may_go && f->since_ms >= 0) {
		f->longest_ms = MAX(f->longest_ms, sim->now_ms - f->since_ms);
		f->since_ms = -1;
	}
	if (may_go && (!f->least_s || group->spec.failback_s < f->least_s))
		f->least_s = group->spec.failback_s;
}

void placement_state(struct sim *sim, int node)
{
	struct machine *m = &sim->machines[node];
	const struct ha_state *state = &m->core->replica.state;

	for (size_t i = 0; i < state->n_nodes; i++) {
		if (state->nodes[i].state == HA_NODE_UP && state->nodes[i].maintenance)
			check_emptied(sim, state, &state->nodes[i]);
	}
	for (int i = 0; i < sim->n_groups; i++) {
		struct group *group = &sim->groups[i];
		const struct ha_state_group *g = state_group(state, group->name);

		if (!g)
			continue;
		watch_failback(sim, m, i, g);
		if (g->phase == HA_PHASE_OWNED && g->epoch > group->owned_epoch) {
			group->owned_epoch = g->epoch;
			group->owned_ms = sim->now_ms;
		}
	}
}
