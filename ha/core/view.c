// SPDX-License-Identifier: GPL-2.0-or-later
/* Looking at the state from outside. */
#include <errno.h>
#include <string.h>

#include "ha/core/internal.h"

void ha_core_view(const struct ha_core *core, struct ha_core_view *ret)
{
	const struct ha_state *state = &core->replica.state;
	bool passive;

	*ret = (struct ha_core_view){
		.quorate = core->quorum == YES,
		.active = core_is_active(core),
		.passive_reason = core_passive_reason(core, &passive),
		.term = state->term,
		.version = state->version,
		.committed = core->committed,
		.config_version = state->config_version,
		.config_settled = core_is_settled(core, state->config_changed),
		.config = state->config,
		.config_size = state->config_size,
		.n_nodes = state->n_nodes,
		.n_groups = state->n_groups,
		.guarded = lease_guards(core),
	};
}

static void fill_node(const struct ha_core *core, const struct ha_state_node *node, struct ha_node_view *ret)
{
	*ret = (struct ha_node_view){
		.nodeid = node->nodeid,
		.name = node_name(&core->settings, node->nodeid),
		.state = node->state,
		.down_seq = node->down_seq,
		.evidence = node->evidence,
		.reason = node->reason,
		.portal_holder = node->portal_holder,
		.portal_next = node->portal_next,
		.maintenance = node->maintenance,
		.watchdog_ms = node->watchdog_ms,
		.in_ring = ids_has(&core->ring, node->nodeid),
		.settled = core_is_settled(core, node->changed),
	};
}

void ha_core_node(const struct ha_core *core, size_t index, struct ha_node_view *ret)
{
	fill_node(core, &core->replica.state.nodes[index], ret);
}

int ha_core_find_node(const struct ha_core *core, uint32_t nodeid, struct ha_node_view *ret)
{
	const struct ha_state_node *node = state_node(&core->replica.state, nodeid);

	if (!node)
		return -ENOENT;
	fill_node(core, node, ret);
	return 0;
}

static void fill_group(const struct ha_core *core, const struct ha_state_group *group, struct ha_group_view *ret)
{
	*ret = (struct ha_group_view){
		.name = group->spec.name,
		.phase = group->phase,
		.owner = group->owner,
		.to = group->to,
		.held = group->held,
		.stays = group->stays,
		.epoch = group->epoch,
		.reason = group->reason,
		.owner_lost = group->owner && core->connected && !ids_has(&core->ring, group->owner),
		.settled = core_is_settled(core, group->changed),
	};
	memcpy(ret->nodes, group->spec.nodes, sizeof(ret->nodes));
	memcpy(ret->current, group->current, sizeof(ret->current));
	memcpy(ret->ready, group->ready, sizeof(ret->ready));
	memcpy(ret->failed, group->failed, sizeof(ret->failed));
}

void ha_core_group(const struct ha_core *core, size_t index, struct ha_group_view *ret)
{
	fill_group(core, &core->replica.state.groups[index], ret);
}

int ha_core_find_group(const struct ha_core *core, const char *name, struct ha_group_view *ret)
{
	const struct ha_state_group *group = state_group(&core->replica.state, name);

	if (!group)
		return -ENOENT;
	fill_group(core, group, ret);
	return 0;
}
