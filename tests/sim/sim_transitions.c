// SPDX-License-Identifier: GPL-2.0-or-later
/* Which ways from phase to phase were gone, and by what: seeds that never get somewhere prove nothing about it. */
#include <stdio.h>
#include <string.h>

#include "tests/sim/sim.h"

/* What is about to be handled: an order has its command, an install none. */
void transitions_before(struct sim *sim, int node, const struct ha_event *event)
{
	struct machine *m = &sim->machines[node];
	struct ha_msg msg;

	memset(&m->cause, 0, sizeof(m->cause));
	if (event->type != HA_EV_MESSAGE || ((const uint8_t *)event->data)[4] != HA_MSG_ORDER ||
	    ha_msg_decode(event->data, event->size, &msg) < 0)
		return;
	m->cause.type = msg.command.type;
	m->cause.origin = msg.origin;
	m->cause.yes = msg.command.yes;
	ha_msg_done(&msg);
}

/* One step further on what this node had; one that takes over another's state did not see how it came about. */
static bool is_next(const struct machine *m)
{
	const struct ha_state *state = &m->core->replica.state;
	const struct ha_install *install = &m->core->round.install;

	return state->version == m->looked_version + 1 &&
	       (state->term == m->looked_term ||
		(install->source_term == m->looked_term && install->source_version == m->looked_version));
}

void transitions_after(struct sim *sim, int node)
{
	struct machine *m = &sim->machines[node];
	const struct ha_state *state = &m->core->replica.state;
	bool next = is_next(m);

	if (state->version == m->looked_version && state->term == m->looked_term)
		return;
	for (int i = 0; i < sim->n_groups; i++) {
		const struct ha_state_group *group = state_group(state, sim->groups[i].name);

		if (group && next && m->before[i].known && group->changed == state->version)
			sim->transitions[m->cause.type][m->before[i].group.phase][group->phase]++;
	}
	if (next)
		placement_changed(sim, node);
	placement_state(sim, node);
	m->looked_version = state->version;
	m->looked_term = state->term;
	for (int i = 0; i < sim->n_groups; i++) {
		const struct ha_state_group *group = state_group(state, sim->groups[i].name);

		m->before[i].known = group;
		if (group)
			m->before[i].group = *group;
	}
	m->n_nodes_before = MIN(state->n_nodes, (size_t)MAX_NODES);
	memcpy(m->nodes_before, state->nodes, m->n_nodes_before * sizeof(state->nodes[0]));
}

/* Those that 20,000 seeds show a hundred times and more: many seeds without one of them mean that a story is no longer told. */
static const struct {
	enum ha_command_type command;
	enum ha_phase from, to;
} usual[] = {
	{ HA_CMD_NONE, HA_PHASE_FREE, HA_PHASE_ACQUIRING },       { HA_CMD_NONE, HA_PHASE_ACQUIRING, HA_PHASE_ORPHANED },
	{ HA_CMD_NONE, HA_PHASE_OWNED, HA_PHASE_ORPHANED },       { HA_CMD_NONE, HA_PHASE_RELEASING, HA_PHASE_ORPHANED },
	{ HA_CMD_NONE, HA_PHASE_ORPHANED, HA_PHASE_ACQUIRING },   { HA_CMD_NONE, HA_PHASE_ORPHANED, HA_PHASE_RELEASING },
	{ HA_CMD_MOVE, HA_PHASE_FREE, HA_PHASE_FREE },            { HA_CMD_MOVE, HA_PHASE_FREE, HA_PHASE_ACQUIRING },
	{ HA_CMD_MOVE, HA_PHASE_OWNED, HA_PHASE_RELEASING },      { HA_CMD_MOVE, HA_PHASE_ORPHANED, HA_PHASE_FREE },
	{ HA_CMD_RELEASED, HA_PHASE_RELEASING, HA_PHASE_FREE },   { HA_CMD_RELEASED, HA_PHASE_RELEASING, HA_PHASE_ACQUIRING },
	{ HA_CMD_ACQUIRED, HA_PHASE_ACQUIRING, HA_PHASE_FREE },   { HA_CMD_ACQUIRED, HA_PHASE_ACQUIRING, HA_PHASE_ACQUIRING },
	{ HA_CMD_ACQUIRED, HA_PHASE_ACQUIRING, HA_PHASE_OWNED },  { HA_CMD_LOST, HA_PHASE_ACQUIRING, HA_PHASE_ACQUIRING },
	{ HA_CMD_LOST, HA_PHASE_OWNED, HA_PHASE_ACQUIRING },      { HA_CMD_EVIDENCE, HA_PHASE_ORPHANED, HA_PHASE_FREE },
	{ HA_CMD_EVIDENCE, HA_PHASE_ORPHANED, HA_PHASE_ACQUIRING }, { HA_CMD_CURRENT, HA_PHASE_FREE, HA_PHASE_ACQUIRING },
	{ HA_CMD_READY, HA_PHASE_FREE, HA_PHASE_ACQUIRING },      { HA_CMD_READY, HA_PHASE_ORPHANED, HA_PHASE_ACQUIRING },
};

size_t transitions_print(const uint64_t seen[HA_CMD_COUNT][HA_PHASE_COUNT][HA_PHASE_COUNT], size_t *ret_missing)
{
	size_t n = 0;

	*ret_missing = 0;
	for (size_t i = 0; i < ARRAY_SIZE(usual); i++)
		*ret_missing += !seen[usual[i].command][usual[i].from][usual[i].to];
	for (int command = 0; command < HA_CMD_COUNT; command++) {
		for (int from = 0; from < HA_PHASE_COUNT; from++) {
			for (int to = 0; to < HA_PHASE_COUNT; to++) {
				if (!seen[command][from][to])
					continue;
				n++;
				printf("    %-9s %-9s -> %-9s %llu\n",
				       command ? ha_command_name((enum ha_command_type)command) : "install",
				       ha_phase_name((enum ha_phase)from), ha_phase_name((enum ha_phase)to),
				       (unsigned long long)seen[command][from][to]);
			}
		}
	}
	return n;
}
