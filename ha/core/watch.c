// SPDX-License-Identifier: GPL-2.0-or-later
/* Duties of the lowest UP node: fencing, giving up on a node that owes an answer. Of all: noticing silence. Of owners: what takes time. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ha/core/internal.h"

static bool am_lowest_up(const struct ha_core *core)
{
	const struct ha_state *state = &core->replica.state;

	for (size_t i = 0; i < state->n_nodes; i++) {
		if (state->nodes[i].state == HA_NODE_UP)
			return state->nodes[i].nodeid == core_me(core);
	}
	return false;
}

/* --- fencing --------------------------------------------------------------------------------------------------------------*/

static bool holds_something(const struct replica *replica, uint32_t id)
{
	const struct ha_state *state = &replica->state;

	if (replica_tally(replica, id)->orphaned)
		return true;
	for (size_t i = 0; i < state->n_nodes; i++) {
		if (state->nodes[i].portal_holder == id && replica_tally(replica, state->nodes[i].nodeid)->copies)
			return true;
	}
	return false;
}

void watch_on_fenced(struct ha_core *core, const struct ha_event *event)
{
	struct local_node *local = local_node(core, event->nodeid);

	if (!local || !local->fence_runs || local->fence_seq != event->epoch)
		return;
	local->fence_runs = false;
	local->fence_answered = true;
	local->fence_result = event->result;
	local->fence_kind = event->evidence ? event->evidence : HA_EVIDENCE_FENCE_AGENT;
	local->fence_retry_ms = core->now_ms + core->settings.fence_retry_ms;
	snprintf(local->fence_text, sizeof(local->fence_text), "%.*s", HA_TEXT_SIZE - 1,
		 event->result < 0 && event->text ? event->text : "");
}

static void want_evidence(struct ha_core *core, struct local_node *local, const struct ha_state_node *node)
{
	struct ha_command command = { .type = HA_CMD_EVIDENCE, .nodeid = node->nodeid, .number = local->fence_seq,
				      .result = local->fence_result, .evidence = local->fence_kind };

	snprintf(command.text, sizeof(command.text), "%s", local->fence_text);
	if (local->fence_answered && replica_check(&core->replica, core_me(core), &command, NULL) == 0)
		core_want(core, &local->want_evidence, local->fence_seq * 2 + (local->fence_result < 0), &command);
	else
		want_drop(core, &local->want_evidence);
}

/* A member that took no part in the install may be slow and asks to come in. One that stays silent has been stopped, and
 * CPG keeps it: without this limit a node that was given up would never be fenced. */
static bool may_still_come(struct ha_core *core, uint32_t nodeid)
{
	int64_t limit_ms = core->round.installed_ms + core->settings.away_limit_ms;

	if (!ids_has(&core->members, nodeid) || core->now_ms >= limit_ms)
		return false;
	core_wake(core, limit_ms);
	return true;
}

/* After a power cut of all, nodes come back one after the other: fencing the slow ones would put out what is just coming. */
static bool may_be_booting(struct ha_core *core, struct local_node *local, const struct ha_state_node *node)
{
	int64_t limit_ms = core->started_ms + core->settings.start_wait_ms;

	if (ids_has(&core->seen, node->nodeid) || core->now_ms >= limit_ms)
		return false;
	if (!local->awaited)
		action_note(core, true, "node %s: not seen since this node has started: it is fenced if it does not come within %lld s",
			    node_name(&core->settings, node->nodeid), (long long)((limit_ms - core->now_ms + 999) / 1000));
	local->awaited = true;
	core_wake(core, limit_ms);
	return true;
}

static void fence(struct ha_core *core, struct local_node *local, const struct ha_state_node *node)
{
	struct action *action;

	if (!core_is_active(core) || !am_lowest_up(core) || !core_is_settled(core, node->changed) || local->fence_runs)
		return;
	if (node->state != HA_NODE_DOWN || node->evidence != HA_EVIDENCE_NONE || !holds_something(&core->replica, node->nodeid) ||
	    may_still_come(core, node->nodeid) || may_be_booting(core, local, node))
		return;
	if (local->fence_answered && local->fence_seq == node->down_seq) {
		if (local->fence_result == 0)
			return; /* the evidence is on its way */
		if (core->now_ms < local->fence_retry_ms) {
			core_wake(core, local->fence_retry_ms);
			return;
		}
	}
	local->fence_runs = true;
	local->fence_answered = false;
	local->fence_seq = node->down_seq;
	action = action_add(core, HA_ACT_FENCE);
	action->a.nodeid = node->nodeid;
	action->a.epoch = node->down_seq;
}

/* --- silence ----------------------------------------------------------------------------------------------------------------*/

static void give_up(struct ha_core *core, struct local_node *local, const struct ha_state_node *node)
{
	struct ha_command command = { .type = HA_CMD_GIVE_UP, .nodeid = node->nodeid };

	if (!core_is_active(core) || replica_check(&core->replica, core_me(core), &command, NULL) < 0) {
		local->away_since_ms = 0;
		want_drop(core, &local->want_give_up);
		return;
	}
	if (!local->away_since_ms)
		local->away_since_ms = core->now_ms;
	if (core->now_ms < local->away_since_ms + core->settings.away_limit_ms)
		core_wake(core, local->away_since_ms + core->settings.away_limit_ms);
	else if (am_lowest_up(core))
		core_want(core, &local->want_give_up, node->changed, &command);
}

/* An owner that is UP and owes an answer for long may have fallen silent since the last install: a new round tells. */
void watch_owner(struct ha_core *core, struct local_group *local, const struct ha_state_group *group)
{
	bool owes = group && core_is_active(core) && state_node_is(&core->replica.state, group->owner, HA_NODE_UP) &&
		    (group->phase == HA_PHASE_ACQUIRING || group->phase == HA_PHASE_RELEASING);

	if (!owes || group->owner == core_me(core)) {
		local->owed_since_ms = 0;
		return;
	}
	if (!local->owed_since_ms || local->owed_epoch != group->epoch)
		local->owed_since_ms = MAX(core->now_ms, 1); /* 0 means never; the clock may begin at 0 */
	local->owed_epoch = group->epoch;
	if (core->now_ms < local->owed_since_ms + core->settings.away_limit_ms) {
		core_wake(core, local->owed_since_ms + core->settings.away_limit_ms);
		return;
	}
	local->owed_since_ms = core->now_ms;
	core_wake(core, core->now_ms + core->settings.away_limit_ms);
	core->join_wanted = true;
}

/* --- an owner's own clock -------------------------------------------------------------------------------------------------------*/

/* Since when, by *since_ms, has it been so? Wakes the machine when it will have been for `for_ms`. */
static bool has_lasted(struct ha_core *core, bool is_so, int64_t *since_ms, int64_t for_ms)
{
	if (!is_so) {
		*since_ms = 0;
		return false;
	}
	if (!*since_ms)
		*since_ms = core->now_ms;
	if (core->now_ms >= *since_ms + for_ms)
		return true;
	core_wake(core, *since_ms + for_ms);
	return false;
}

static void want_own(struct ha_core *core, struct want *want, bool due, const struct ha_command *command)
{
	if (due && replica_check(&core->replica, core_me(core), command, NULL) == 0)
		core_want(core, want, command->number, command);
	else
		want_drop(core, want);
}

/* Where this node's group is to go by itself, and how long that has to be so; 0: nowhere. */
static uint32_t better_owner(const struct ha_core *core, const struct ha_state_group *group, int64_t *ret_for_ms)
{
	uint32_t prefer = group->spec.prefer;

	*ret_for_ms = 0;
	if (group->stays || group->spec.placement != HA_PLACEMENT_AUTO)
		return 0;
	if (!ha_set_has(group->current, group->owner)) /* its own disk has failed: it serves what the other's has */
		return best_candidate(&core->replica, group);
	*ret_for_ms = group->spec.failback_s * 1000ll;
	return *ret_for_ms && prefer != group->owner && is_candidate(&core->replica.state, group, prefer) ? prefer : 0;
}

/* Leaves a node that another serves it better than, and forgives losses when it has been served long enough. */
void watch_own_group(struct ha_core *core, struct local_group *local, const struct ha_state_group *group)
{
	bool mine = group && core_is_active(core) && group->phase == HA_PHASE_OWNED && group->owner == core_me(core);
	struct ha_command calm = { .type = HA_CMD_CALM }, leave = { .type = HA_CMD_MOVE, .yes = true };
	int64_t for_ms = 0;

	if (mine && local->owned_epoch != group->epoch) {
		local->owned_epoch = group->epoch;
		local->owned_since_ms = local->leave_since_ms = 0;
	}
	calm.number = leave.number = local->owned_epoch;
	memcpy(calm.group, local->name, sizeof(calm.group));
	memcpy(leave.group, local->name, sizeof(leave.group));
	want_own(core, &local->want_calm, has_lasted(core, mine && group->losses, &local->owned_since_ms, core->settings.calm_ms), &calm);

	leave.nodeid = mine ? better_owner(core, group, &for_ms) : 0;
	want_own(core, &local->want_leave, has_lasted(core, leave.nodeid, &local->leave_since_ms, for_ms), &leave);
}

void watch_pump(struct ha_core *core)
{
	const struct ha_state *state = &core->replica.state;

	for (size_t i = 0; i < state->n_nodes; i++) {
		const struct ha_state_node *node = &state->nodes[i];
		struct local_node *local = local_node(core, node->nodeid);

		if (!local)
			continue;
		want_evidence(core, local, node);
		fence(core, local, node);
		give_up(core, local, node);
	}
}
