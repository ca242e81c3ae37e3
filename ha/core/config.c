// SPDX-License-Identifier: GPL-2.0-or-later
/* CONFIG: a new cluster document and the groups that were taken from it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "ha/core/replica.h"

static bool is_ascending(const struct ha_group_spec *groups, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		if (strcmp(groups[i - 1].name, groups[i].name) >= 0)
			return false;
	}
	return true;
}

static const struct ha_group_spec *find_spec(const struct ha_command *command, const char *name)
{
	size_t low = 0, high = command->n_groups;

	while (low < high) {
		size_t mid = (low + high) / 2;
		int order = strcmp(name, command->groups[mid].name);

		if (order == 0)
			return &command->groups[mid];
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

static int check_spec(const struct replica *replica, const struct ha_group_spec *spec, struct err *err)
{
	if (!spec->nodes[0])
		return err_set(err, -EINVAL, "group %s: has no nodes", spec->name);
	for (size_t i = 0; i < HA_COPIES_MAX && spec->nodes[i]; i++) {
		if (!state_node(&replica->state, spec->nodes[i]))
			return err_set(err, -EINVAL, "group %s: node %u is not in Corosync's node list", spec->name,
				       spec->nodes[i]);
	}
	if (spec->prefer && !ha_set_has(spec->nodes, spec->prefer))
		return err_set(err, -EINVAL, "group %s: the preferred node has no copy of it", spec->name);
	return 0;
}

/* What a document must not take away under a group. spec NULL: the group itself. */
static int check_change(const struct replica *replica, const struct ha_state_group *group, const struct ha_group_spec *spec,
			struct err *err)
{
	const char *name = group->spec.name;
	size_t left = 0;

	if (!spec && group->phase != HA_PHASE_FREE)
		return err_set(err, -EBUSY, "group %s: cannot be removed, it is %s at %s: release it first", name,
			       ha_phase_name(group->phase), node_name(replica->settings, group->owner));
	if (!spec)
		return 0;
	if (group->owner && !ha_set_has(spec->nodes, group->owner))
		return err_set(err, -EBUSY, "group %s: cannot take the copy from %s, which is its owner: move it first", name,
			       node_name(replica->settings, group->owner));
	if (group->to && !ha_set_has(spec->nodes, group->to))
		return err_set(err, -EBUSY, "group %s: cannot take the copy from %s, to which it is moving: wait", name,
			       node_name(replica->settings, group->to));
	for (size_t i = 0; i < HA_COPIES_MAX; i++)
		left += ha_set_has(group->current, spec->nodes[i]);
	if (!left)
		return err_set(err, -EBUSY, "group %s: none of the remaining nodes has a current copy: wait until one is "
			       "resynchronised", name);
	return 0;
}

int config_check(const struct replica *replica, const struct ha_command *command, struct err *err)
{
	const struct ha_state *state = &replica->state;
	int rc;

	if (command->number != state->config_version)
		return err_set(err, -ESTALE, "the document has changed meanwhile: version %llu is in force, yours is made from "
			       "version %llu: read it again", (unsigned long long)state->config_version,
			       (unsigned long long)command->number);
	if (command->document_size > HA_CONFIG_SIZE_MAX)
		return err_set(err, -E2BIG, "the document has %zu bytes, the limit is %u: split it into fewer objects",
			       command->document_size, HA_CONFIG_SIZE_MAX);
	if (command->n_groups > HA_GROUPS_MAX)
		return err_set(err, -E2BIG, "the document has %zu groups, the limit is %u", command->n_groups, HA_GROUPS_MAX);
	if (!is_ascending(command->groups, command->n_groups))
		return err_set(err, -EINVAL, "the document's groups are not in order of their names or not unique");
	for (size_t i = 0; i < command->n_groups; i++) {
		rc = check_spec(replica, &command->groups[i], err);
		if (rc < 0)
			return rc;
	}
	for (size_t i = 0; i < state->n_groups; i++) {
		rc = check_change(replica, &state->groups[i], find_spec(command, state->groups[i].spec.name), err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static void keep_nodes(uint32_t set[HA_COPIES_MAX], const uint32_t nodes[HA_COPIES_MAX])
{
	uint32_t kept[HA_COPIES_MAX] = { 0 };

	for (size_t i = 0; i < HA_COPIES_MAX; i++) {
		if (ha_set_has(nodes, set[i]))
			set_add(kept, set[i]);
	}
	memcpy(set, kept, sizeof(kept));
}

static void init_group(struct replica *replica, struct ha_state_group *group, const struct ha_group_spec *spec)
{
	group->epoch = replica->state.epoch_floor;
	group->changed = replica->state.version;
	/* Nothing was acknowledged yet, so no copy misses anything; `ready` waits until there is one at all. */
	for (size_t i = 0; i < HA_COPIES_MAX; i++)
		set_add(group->current, spec->nodes[i]);
}

void config_apply(struct replica *replica, const struct ha_command *command)
{
	struct ha_state *state = &replica->state;
	struct ha_state_group *groups = xcalloc(command->n_groups, sizeof(*groups));

	/* A name that comes back must not meet answers for its old epochs. */
	for (size_t i = 0; i < state->n_groups; i++) {
		if (!find_spec(command, state->groups[i].spec.name))
			state->epoch_floor = MAX(state->epoch_floor, state->groups[i].epoch);
	}
	for (size_t i = 0; i < command->n_groups; i++) {
		const struct ha_group_spec *spec = &command->groups[i];
		const struct ha_state_group *old = state_group(state, spec->name);

		if (old)
			groups[i] = *old;
		else
			init_group(replica, &groups[i], spec);
		groups[i].spec = *spec;
		keep_nodes(groups[i].current, spec->nodes);
		keep_nodes(groups[i].ready, spec->nodes);
		keep_nodes(groups[i].failed, spec->nodes);
	}
	free(state->groups);
	state->groups = groups;
	state->n_groups = command->n_groups;
	records_drop(state);
	free(state->config);
	state->config = xmemdup(command->document, command->document_size);
	state->config_size = command->document_size;
	state->config_version++;
	state->config_changed = state->version;
	replica_note(replica, NULL, false, "document version %llu is agreed", (unsigned long long)state->config_version);
}
