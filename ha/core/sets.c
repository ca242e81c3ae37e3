// SPDX-License-Identifier: GPL-2.0-or-later
/* Small sets of node ids and look-ups in the replicated state. */
#include <string.h>

#include "ha/core/replica.h"

bool ha_set_has(const uint32_t set[HA_COPIES_MAX], uint32_t id)
{
	for (size_t i = 0; i < HA_COPIES_MAX; i++) {
		if (id && set[i] == id)
			return true;
	}
	return false;
}

void set_add(uint32_t set[HA_COPIES_MAX], uint32_t id)
{
	size_t at = 0;

	if (!id || ha_set_has(set, id) || set[HA_COPIES_MAX - 1])
		return;
	while (set[at] && set[at] < id)
		at++;
	memmove(&set[at + 1], &set[at], (HA_COPIES_MAX - 1 - at) * sizeof(*set));
	set[at] = id;
}

void set_del(uint32_t set[HA_COPIES_MAX], uint32_t id)
{
	size_t kept = 0;

	for (size_t i = 0; i < HA_COPIES_MAX; i++) {
		if (set[i] != id)
			set[kept++] = set[i];
	}
	while (kept < HA_COPIES_MAX)
		set[kept++] = 0;
}

void set_clear(uint32_t set[HA_COPIES_MAX])
{
	memset(set, 0, HA_COPIES_MAX * sizeof(*set));
}

size_t set_count(const uint32_t set[HA_COPIES_MAX])
{
	size_t n = 0;

	while (n < HA_COPIES_MAX && set[n])
		n++;
	return n;
}

struct ha_state_node *state_node(const struct ha_state *state, uint32_t id)
{
	for (size_t i = 0; i < state->n_nodes; i++) {
		if (state->nodes[i].nodeid == id)
			return (struct ha_state_node *)(uintptr_t)&state->nodes[i];
	}
	return NULL;
}

struct ha_state_group *state_group(const struct ha_state *state, const char *name)
{
	size_t low = 0, high = state->n_groups;

	while (low < high) {
		size_t mid = (low + high) / 2;
		int order = strcmp(name, state->groups[mid].spec.name);

		if (order == 0)
			return &state->groups[mid];
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

bool state_node_is(const struct ha_state *state, uint32_t id, enum ha_node_state what)
{
	const struct ha_state_node *node = state_node(state, id);

	return node && node->state == what;
}

bool state_has_evidence(const struct ha_state *state, uint32_t id)
{
	const struct ha_state_node *node = state_node(state, id);

	return node && node->state == HA_NODE_DOWN && node->evidence != HA_EVIDENCE_NONE;
}

bool group_is_at(const struct ha_state_group *group, uint32_t id)
{
	return group->owner == id && (group->phase == HA_PHASE_ACQUIRING || group->phase == HA_PHASE_OWNED ||
				      group->phase == HA_PHASE_RELEASING);
}

const char *node_name(const struct ha_settings *settings, uint32_t id)
{
	if (!id)
		return "nobody";
	for (size_t i = 0; i < settings->n_electorate; i++) {
		if (settings->electorate[i].nodeid == id)
			return settings->electorate[i].name;
	}
	return "an unknown node";
}
