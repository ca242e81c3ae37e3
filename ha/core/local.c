// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * This node's duties for each group, looked at again after every event: stop what it may not serve, acquire and release what
 * it is told, report what is not in the state yet. An answer is given only for what is surely so: a failed ACQUIRE is
 * reported after the group was closed again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "ha/core/internal.h"

struct local_group *local_group(struct ha_core *core, const char *name)
{
	size_t low = 0, high = core->n_groups;
	struct local_group *local;

	while (low < high) {
		size_t mid = (low + high) / 2;
		int order = strcmp(name, core->groups[mid]->name);

		if (order == 0)
			return core->groups[mid];
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	local = xcalloc(1, sizeof(*local));
	local->wake_ms = INT64_MAX;
	snprintf(local->name, sizeof(local->name), "%s", name);
	(void)array_push(core->groups, core->n_groups, core->cap_groups);
	memmove(&core->groups[low + 1], &core->groups[low], (core->n_groups - 1 - low) * sizeof(*core->groups));
	core->groups[low] = local;
	return local;
}

void locals_free(struct ha_core *core)
{
	for (size_t i = 0; i < core->n_groups; i++)
		free(core->groups[i]);
	free(core->groups);
	free(core->waiting);
}

void local_dirty(struct ha_core *core, struct local_group *local)
{
	if (local->dirty)
		return;
	local->dirty = true;
	local->next_dirty = NULL;
	*core->dirty_tail = local;
	core->dirty_tail = &local->next_dirty;
}

struct local_node *local_node(struct ha_core *core, uint32_t nodeid)
{
	for (size_t i = 0; i < core->n_nodes; i++) {
		if (core->nodes[i].nodeid == nodeid)
			return &core->nodes[i];
	}
	if (core->n_nodes == HA_NODES_MAX)
		return NULL;
	core->nodes[core->n_nodes].nodeid = nodeid;
	return &core->nodes[core->n_nodes++];
}

static bool is_duty(const struct duty *duty, enum ha_action_type type, uint64_t epoch)
{
	return duty->type == type && duty->epoch == epoch;
}

/* --- copies ---------------------------------------------------------------------------------------------------------------*/

static struct local_copy *find_copy(struct local_group *local, uint32_t nodeid)
{
	for (size_t i = 0; i < HA_COPIES_MAX; i++) {
		if (local->copies[i].nodeid == nodeid)
			return &local->copies[i];
	}
	return NULL;
}

static void forget_copy(struct ha_core *core, struct local_copy *copy)
{
	want_drop(core, &copy->want);
	memset(copy, 0, sizeof(*copy));
}

static void sync_copies(struct ha_core *core, struct local_group *local, const struct ha_state_group *group)
{
	for (size_t i = 0; i < HA_COPIES_MAX; i++) {
		struct local_copy *copy = &local->copies[i];

		if (copy->nodeid && !ha_set_has(group->spec.nodes, copy->nodeid))
			forget_copy(core, copy);
	}
	for (size_t i = 0; i < HA_COPIES_MAX; i++) {
		if (group->spec.nodes[i] && !find_copy(local, group->spec.nodes[i]))
			find_copy(local, 0)->nodeid = group->spec.nodes[i];
	}
}

/* What was said before does not speak for what comes: see HA_LOCAL_CURRENT. */
static void make_stale(struct local_copy *copy)
{
	copy->level = COPY_STALE;
}

void local_on_outdate(struct ha_core *core, const char *group, uint32_t nodeid)
{
	struct local_group *local = local_group(core, group);
	struct local_copy *copy = find_copy(local, nodeid);

	if (copy && nodeid)
		make_stale(copy);
	local_dirty(core, local);
}

static void see_epoch(struct local_group *local, const struct ha_state_group *group)
{
	if (local->seen_epoch == group->epoch)
		return;
	if (local->seen_epoch) {
		for (size_t i = 0; i < HA_COPIES_MAX; i++)
			make_stale(&local->copies[i]);
	}
	local->seen_epoch = group->epoch;
}

static void want_copy(struct ha_core *core, struct local_copy *copy, const struct ha_state_group *group)
{
	struct ha_command command = { .type = HA_CMD_CURRENT, .nodeid = copy->nodeid, .number = group->epoch,
				      .yes = copy->level == COPY_YES, .result = copy->level == COPY_YES ? (int32_t)group->outdates : 0 };
	bool is_no = copy->level == COPY_NO && (group->phase == HA_PHASE_OWNED || copy->nodeid == core_me(core));

	memcpy(command.group, group->spec.name, sizeof(command.group));
	if ((command.yes || is_no) && replica_check(&core->replica, core_me(core), &command, NULL) == 0)
		core_want(core, &copy->want, (uint64_t)group->outdates << 40 ^ (group->epoch * 2 + command.yes), &command);
	else
		want_drop(core, &copy->want);
}

/* --- events -----------------------------------------------------------------------------------------------------------------*/

static void on_stood_down(struct ha_core *core, struct local_group *local, const struct ha_event *event)
{
	local->stand_down_runs = false;
	local->running.type = 0;
	if (event->result < 0) {
		local->serving = SERVING_MAYBE;
		local->stand_down_retry_ms = core->now_ms + RETRY_MS;
		action_note(core, true, "group %s: cannot be closed on this node, trying again: %s", local->name,
			    event->text ? event->text : "");
		return;
	}
	local->closing = false;
	local->serving = SERVING_NO;
}

void local_on_done(struct ha_core *core, const struct ha_event *event)
{
	struct local_group *local;

	if (!event->group)
		return;
	local = local_group(core, event->group);
	local_dirty(core, local);
	if (event->action == HA_ACT_STAND_DOWN) {
		if (local->stand_down_runs)
			on_stood_down(core, local, event);
		return;
	}
	if (!local->running.type || !is_duty(&local->running, event->action, event->epoch))
		return;
	local->answered = local->running;
	local->running.type = 0;
	local->result = event->result;
	snprintf(local->text, sizeof(local->text), "%.*s", HA_TEXT_SIZE - 1, event->text ? event->text : "");
	if (event->action == HA_ACT_ACQUIRE)
		local->serving = event->result < 0 ? SERVING_MAYBE : SERVING_YES;
	else
		local->serving = event->result < 0 ? SERVING_MAYBE : SERVING_NO;
	/* A success that comes while the group must close is none. */
	if (local->closing)
		local->answered.type = 0;
	if (event->result < 0)
		local->retry_ms = core->now_ms + RETRY_MS;
}

static bool on_local_serving(struct local_group *local, bool yes, bool in_part)
{
	enum serving serving = !yes ? SERVING_NO : in_part ? SERVING_MAYBE : SERVING_YES;

	if (local->running.type || local->stand_down_runs || local->closing)
		return false; /* their answers tell */
	if (local->serving == serving)
		return false;
	local->serving = serving;
	return true;
}

static bool on_local_ready(struct local_group *local, enum answer ready)
{
	if (local->ready == ready)
		return false;
	local->ready = ready;
	return true;
}

static bool on_local_current(struct local_group *local, uint32_t nodeid, bool yes)
{
	struct local_copy *copy = nodeid ? find_copy(local, nodeid) : NULL;
	enum copy_level level = yes ? COPY_YES : COPY_NO;

	if (!copy || copy->level == level || (yes && copy->level == COPY_STALE))
		return false;
	copy->level = level;
	return true;
}

static bool on_local_portals_down(struct ha_core *core, uint32_t nodeid)
{
	const struct ha_state_node *node = state_node(&core->replica.state, nodeid);
	struct local_node *local = local_node(core, nodeid);

	if (!local || local->portals_down || !node || node->portal_holder != core_me(core) || !node->portal_next ||
	    !core_is_settled(core, node->changed))
		return false;
	local->portals_down = true;
	return true;
}

static bool on_local_of_group(struct ha_core *core, struct local_group *local, const struct ha_event *event)
{
	const struct ha_state_group *group;

	switch (event->local) {
	case HA_LOCAL_SERVING:
		return on_local_serving(local, event->yes, event->result < 0);
	case HA_LOCAL_READY:
		return on_local_ready(local, event->yes ? YES : NO);
	case HA_LOCAL_CURRENT:
		group = state_group(&core->replica.state, event->group);
		if (group)
			sync_copies(core, local, group);
		return on_local_current(local, event->nodeid, event->yes);
	case HA_LOCAL_PORTALS_DOWN:
		break;
	}
	return false;
}

bool local_on_local(struct ha_core *core, const struct ha_event *event)
{
	struct local_group *local;

	if (event->local == HA_LOCAL_PORTALS_DOWN)
		return on_local_portals_down(core, event->nodeid);
	if (!event->group)
		return false;
	local = local_group(core, event->group);
	if (!on_local_of_group(core, local, event))
		return false;
	local_dirty(core, local);
	return true;
}

/* --- closing -----------------------------------------------------------------------------------------------------------------*/

static bool must_close(const struct ha_core *core, const struct local_group *local, const struct ha_state_group *group)
{
	if (core->quorum == NO || local->closing)
		return true;
	if (!group)
		return core_is_settled(core, core->replica.state.config_changed);
	if (!core_is_settled(core, group->changed))
		return false;
	if (!group_is_at(group, core_me(core)))
		return true;
	/* Neither open nor closed: an agent that died half-way. */
	if (group->phase == HA_PHASE_OWNED)
		return local->serving == SERVING_MAYBE && !local->running.type;
	return group->phase == HA_PHASE_ACQUIRING && is_duty(&local->answered, HA_ACT_ACQUIRE, group->epoch) &&
	       local->result < 0;
}

static void close_group(struct ha_core *core, struct local_group *local, const struct ha_state_group *group)
{
	if (local->stand_down_runs)
		return;
	if (core->now_ms < local->stand_down_retry_ms) {
		core_wake(core, local->stand_down_retry_ms);
		return;
	}
	local->closing = true;
	local->stand_down_runs = true;
	local->stand_down_retry_ms = 0;
	if (local->answered.type && local->result == 0)
		local->answered.type = 0;
	action_group(core, HA_ACT_STAND_DOWN, local->name, group ? group->epoch : 0, false);
}

/* --- what an owner does ------------------------------------------------------------------------------------------------------*/

static void start(struct ha_core *core, struct local_group *local, const struct ha_state_group *group,
		  enum ha_action_type type)
{
	if (!core_is_active(core) || local->serving == SERVING_UNSAID)
		return;
	if (core->now_ms < local->retry_ms) {
		core_wake(core, local->retry_ms);
		return;
	}
	local->running = (struct duty){ .type = type, .epoch = group->epoch };
	local->started = local->running;
	if (type == HA_ACT_ACQUIRE)
		local->serving = SERVING_MAYBE;
	action_group(core, type, local->name, group->epoch, type == HA_ACT_ACQUIRE && group->lost);
}

static void answer(struct ha_core *core, struct local_group *local, const struct ha_state_group *group,
		   enum ha_command_type type, int result, const char *text)
{
	struct ha_command command = { .type = type, .number = group->epoch, .result = result };

	memcpy(command.group, group->spec.name, sizeof(command.group));
	snprintf(command.text, sizeof(command.text), "%s", text);
	core_want(core, &local->want_answer, group->epoch * HA_CMD_COUNT + type, &command);
}

/* The others would take it for reset while it serves. It gets its watchdog with the first lease, or says that it does not: what waits for
 * an owner that never answers waits for ever. */
static bool is_unguarded(struct ha_core *core, struct local_group *local, const struct ha_state_group *group)
{
	bool guarded = lease_guards(core);

	if (guarded || !core_is_active(core) || local->serving == SERVING_UNSAID) {
		local->unguarded_epoch = 0;
		return !guarded;
	}
	if (local->unguarded_epoch != group->epoch) {
		local->unguarded_epoch = group->epoch;
		local->unguarded_since_ms = core->now_ms;
	}
	core_wake(core, core->now_ms + RESEND_MS);
	if (core->now_ms < local->unguarded_since_ms + core->settings.away_limit_ms / 2)
		return true;
	/* Answered in the next step, after it was closed if need be. */
	local->answered = (struct duty){ .type = HA_ACT_ACQUIRE, .epoch = group->epoch };
	local->result = -ENOTCONN;
	snprintf(local->text, sizeof(local->text), "the watchdog of this node, on which the others rely, is not armed");
	return true;
}

/* What follows is true if it has an answer: then that is wanted until the state shows it, and else nothing is. */
static bool acquiring(struct ha_core *core, struct local_group *local, const struct ha_state_group *group)
{
	if (local->running.type)
		return false;
	if (is_duty(&local->answered, HA_ACT_ACQUIRE, group->epoch)) {
		answer(core, local, group, HA_CMD_ACQUIRED, local->result, local->result ? local->text : "");
		return true;
	}
	if (is_duty(&local->started, HA_ACT_ACQUIRE, group->epoch) && local->serving == SERVING_NO) {
		answer(core, local, group, HA_CMD_LOST, 0, "it had to be closed while it was being acquired");
		return true;
	}
	if (!is_duty(&local->started, HA_ACT_ACQUIRE, group->epoch) && !is_unguarded(core, local, group))
		start(core, local, group, HA_ACT_ACQUIRE);
	return false;
}

static bool owned(struct ha_core *core, struct local_group *local, const struct ha_state_group *group)
{
	if (local->running.type || local->serving != SERVING_NO)
		return false;
	answer(core, local, group, HA_CMD_LOST, 0, "its owner was not serving it any more");
	return true;
}

static bool releasing(struct ha_core *core, struct local_group *local, const struct ha_state_group *group)
{
	if (local->running.type)
		return false;
	if (is_duty(&local->answered, HA_ACT_RELEASE, group->epoch)) {
		answer(core, local, group, HA_CMD_RELEASED, local->result, local->result ? local->text : "");
		return true;
	}
	start(core, local, group, HA_ACT_RELEASE);
	return false;
}

static void serve(struct ha_core *core, struct local_group *local, const struct ha_state_group *group)
{
	bool answers = false;

	if (group_is_at(group, core_me(core)) && core_is_settled(core, group->changed)) {
		if (group->phase == HA_PHASE_ACQUIRING)
			answers = acquiring(core, local, group);
		else if (group->phase == HA_PHASE_OWNED)
			answers = owned(core, local, group);
		else
			answers = releasing(core, local, group);
	}
	/* One that is left over counts as unheard for ever, and asks for round after round. */
	if (!answers)
		want_drop(core, &local->want_answer);
}

/* --- every step ----------------------------------------------------------------------------------------------------------------*/

static void want_ready(struct ha_core *core, struct local_group *local, const struct ha_state_group *group)
{
	struct ha_command command = { .type = HA_CMD_READY, .yes = local->ready == YES && !lease_is_missing(core) };

	memcpy(command.group, group->spec.name, sizeof(command.group));
	if (local->ready != UNKNOWN && replica_check(&core->replica, core_me(core), &command, NULL) == 0)
		core_want(core, &local->want_ready, command.yes, &command);
	else
		want_drop(core, &local->want_ready);
}

static void forget_group(struct ha_core *core, struct local_group *local)
{
	local->ready = UNKNOWN;
	local->seen_epoch = 0;
	for (size_t i = 0; i < HA_COPIES_MAX; i++)
		forget_copy(core, &local->copies[i]);
	want_drop(core, &local->want_ready);
	want_drop(core, &local->want_answer);
	want_drop(core, &local->want_leave);
	want_drop(core, &local->want_calm);
}

static void pump_group(struct ha_core *core, struct local_group *local, const struct ha_state_group *group)
{
	if (group) {
		sync_copies(core, local, group);
		see_epoch(local, group);
	} else {
		forget_group(core, local);
	}
	if ((local->serving == SERVING_YES || local->serving == SERVING_MAYBE) && must_close(core, local, group))
		close_group(core, local, group);
	if (!group)
		return;
	if (!local->closing)
		serve(core, local, group);
	else
		want_drop(core, &local->want_answer);
	want_ready(core, local, group);
	for (size_t i = 0; i < HA_COPIES_MAX; i++) {
		if (local->copies[i].nodeid)
			want_copy(core, &local->copies[i], group);
	}
}

static void pump_portals(struct ha_core *core, const struct ha_state_node *node)
{
	struct ha_command command = { .type = HA_CMD_PORTALS, .nodeid = node->nodeid };
	struct local_node *local = local_node(core, node->nodeid);

	if (!local)
		return;
	if (node->portal_holder != core_me(core) || !node->portal_next)
		local->portals_down = false;
	if (local->portals_down)
		core_want(core, &local->want_portals, node->changed, &command);
	else
		want_drop(core, &local->want_portals);
}

/* --- which groups ----------------------------------------------------------------------------------------------------------*/

static void look_at(struct ha_core *core, struct local_group *local)
{
	const struct ha_state *state = &core->replica.state;
	const struct ha_state_group *group = state_group(state, local->name);
	int64_t wake_ms = core->wake_ms;

	core->n_pumped++;
	core->wake_ms = INT64_MAX;
	pump_group(core, local, group);
	watch_owner(core, local, group);
	watch_own_group(core, local, group);
	local->wake_ms = core->wake_ms;
	core->wake_ms = wake_ms;
	if (!core_is_settled(core, group ? group->changed : state->config_changed) && !local->unsettled) {
		local->unsettled = true;
		local->next_unsettled = core->unsettled;
		core->unsettled = local;
	}
	if (local->wake_ms == INT64_MAX)
		return;
	core->groups_due_ms = MIN(core->groups_due_ms, local->wake_ms);
	if (!local->waiting)
		*array_push(core->waiting, core->n_waiting, core->cap_waiting) = local;
	local->waiting = true;
}

static void find_touched(struct ha_core *core)
{
	struct replica *replica = &core->replica;

	for (size_t i = 0; i < replica->n_touched && !replica->touched_all; i++)
		local_dirty(core, local_group(core, replica->state.groups[replica->touched[i]].spec.name));
	core->all_dirty = core->all_dirty || replica->touched_all;
	replica->touched_all = false;
	replica->n_touched = 0;
}

static void find_settled(struct ha_core *core)
{
	struct local_group *local = core->unsettled;

	if (core->pumped.committed == core->committed)
		return;
	core->pumped.committed = core->committed;
	core->unsettled = NULL;
	for (; local; local = local->next_unsettled) {
		local->unsettled = false;
		local_dirty(core, local);
	}
}

/* Whoever is due; of the others, when the next one is. */
static void find_due(struct ha_core *core)
{
	size_t kept = 0;

	if (core->now_ms < core->groups_due_ms)
		return;
	core->groups_due_ms = INT64_MAX;
	for (size_t i = 0; i < core->n_waiting; i++) {
		struct local_group *local = core->waiting[i];

		local->waiting = local->wake_ms != INT64_MAX && local->wake_ms > core->now_ms;
		if (local->waiting) {
			core->waiting[kept++] = local;
			core->groups_due_ms = MIN(core->groups_due_ms, local->wake_ms);
		} else if (local->wake_ms != INT64_MAX) {
			local_dirty(core, local);
		}
	}
	core->n_waiting = kept;
}

static void find_all(struct ha_core *core)
{
	const struct ha_state *state = &core->replica.state;
	bool active = core_is_active(core), unguarded = lease_is_missing(core);

	if (core->pumped.active == active && core->pumped.unguarded == unguarded && core->pumped.quorum == core->quorum &&
	    !core->all_dirty)
		return;
	core->pumped.active = active;
	core->pumped.unguarded = unguarded;
	core->pumped.quorum = core->quorum;
	core->all_dirty = false;
	for (size_t i = 0; i < state->n_groups; i++)
		(void)local_group(core, state->groups[i].spec.name);
	for (size_t i = 0; i < core->n_groups; i++)
		local_dirty(core, core->groups[i]);
}

void local_pump(struct ha_core *core)
{
	const struct ha_state *state = &core->replica.state;
	struct local_group *local;

	find_touched(core);
	find_all(core);
	find_settled(core);
	find_due(core);
	local = core->dirty;
	core->dirty = NULL;
	core->dirty_tail = &core->dirty;
	for (; local; local = local->next_dirty) {
		local->dirty = false;
		look_at(core, local);
	}
	core_wake(core, core->groups_due_ms);
	for (size_t i = 0; i < state->n_nodes; i++)
		pump_portals(core, &state->nodes[i]);
}
