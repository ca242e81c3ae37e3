// SPDX-License-Identifier: GPL-2.0-or-later
/* Life of the machine and the way of an event through it. After each event that is news all duties are looked at again (level-triggered). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "ha/core/internal.h"

bool ids_has(const struct ha_ids *ids, uint32_t id)
{
	for (size_t i = 0; i < ids->n; i++) {
		if (ids->ids[i] == id)
			return true;
	}
	return false;
}

void ids_add(struct ha_ids *ids, uint32_t id)
{
	if (!ids_has(ids, id) && ids->n < HA_NODES_MAX)
		ids->ids[ids->n++] = id;
}

uint32_t core_me(const struct ha_core *core)
{
	return core->settings.nodeid;
}

bool core_is_majority(const struct ha_ids *electorate, const struct ha_ids *nodes)
{
	size_t n = 0;

	for (size_t i = 0; i < electorate->n; i++)
		n += ids_has(nodes, electorate->ids[i]);
	return n > electorate->n / 2;
}

bool core_is_active(const struct ha_core *core)
{
	return core->round.installed && core->quorum == YES && core->committed >= core->round.install_version;
}

/* What was read from the disk at the start is settled only when a view has confirmed it. */
bool core_is_settled(const struct ha_core *core, uint64_t changed)
{
	return core->committed > 0 && changed <= core->committed;
}

const char *core_passive_reason(const struct ha_core *core, bool *ret_passive)
{
	struct ha_ids electorate = settings_electorate(core);

	*ret_passive = true;
	if (!core->connected)
		return "no connection to Corosync on this node: start corosync";
	if (core->quorum != YES)
		return "too few nodes are in the Corosync membership (votequorum)";
	if (!core_is_majority(&electorate, &core->members))
		return "the agents of too few nodes are in the membership: start lunwardd on the others";
	if (core->blocked[0] && !core->round.installed)
		return core->blocked;
	*ret_passive = false;
	return core_is_active(core) ? "" : "the nodes are agreeing on who takes part";
}

struct ha_core *ha_core_new(const struct ha_settings *settings)
{
	struct ha_core *core = xcalloc(1, sizeof(*core));

	core->settings = *settings;
	if (!core->settings.install_wait_ms)
		core->settings.install_wait_ms = 2000;
	if (!core->settings.away_limit_ms)
		core->settings.away_limit_ms = 30000;
	if (!core->settings.fence_retry_ms)
		core->settings.fence_retry_ms = 10000;
	if (!core->settings.calm_ms)
		core->settings.calm_ms = 600000;
	if (!core->settings.lease_interval_ms)
		core->settings.lease_interval_ms = 1000;
	if (!core->settings.lease_max_ms)
		core->settings.lease_max_ms = 2000;
	core->replica.settings = &core->settings;
	core->timer_ms = INT64_MAX;
	core->begin_at_ms = INT64_MAX;
	core->orders_tail = &core->orders;
	core->requests_tail = &core->requests;
	core->dirty_tail = &core->dirty;
	core->groups_due_ms = INT64_MAX;
	core->save_anew = true;
	return core;
}

void ha_core_free(struct ha_core *core)
{
	if (!core)
		return;
	actions_forget(core);
	free(core->actions);
	round_reset(core);
	requests_free(core);
	bytes_out_done(&core->unsaved);
	replica_done(&core->replica);
	locals_free(core);
	free(core);
}

static void note_told(struct ha_core *core, const char *group, uint64_t epoch, enum ha_phase phase, uint32_t owner)
{
	struct local_group *local = local_group(core, group);

	local->told.epoch = epoch;
	local->told.phase = phase;
	local->told.owner = owner;
}

static void on_start(struct ha_core *core, const struct ha_event *event)
{
	const struct ha_state *state = &core->replica.state;
	int rc;

	core->started = true;
	core->started_ms = core->now_ms;
	core->tell_changed = true;
	if (!event->size)
		return;
	rc = save_restore(core, event->data, event->size);
	if (rc < 0) {
		core->unreadable = true;
		action_note(core, true, "this node's state cannot be read (%s): it takes the state from the others, but does not "
			    "count until then",
			    rc == -EPROTONOSUPPORT ? "written by another version of lunward" : "damaged");
		return;
	}
	for (size_t i = 0; i < state->n_groups; i++)
		note_told(core, state->groups[i].spec.name, state->groups[i].epoch, state->groups[i].phase, state->groups[i].owner);
}

static void on_view(struct ha_core *core, const struct ha_event *event)
{
	core->connected = true;
	core->members.n = core->ring.n = 0;
	for (size_t i = 0; i < event->n_nodes; i++) {
		ids_add(&core->members, event->nodes[i]);
		ids_add(&core->seen, event->nodes[i]);
	}
	for (size_t i = 0; i < event->n_ring; i++) {
		ids_add(&core->ring, event->ring[i]);
		ids_add(&core->seen, event->ring[i]);
	}
	round_on_view(core);
	core->tell_changed = true;
}

static void on_left(struct ha_core *core)
{
	core->members.n = core->ring.n = 0;
	round_on_view(core);
	core->connected = false;
	core->quorum = NO;
	core->tell_changed = true;
}

static void on_message(struct ha_core *core, const struct ha_event *event)
{
	struct ha_msg msg;

	/* A member's message may come before its join is reported, or after it has left: what matters is sent again. */
	if (!ids_has(&core->members, event->nodeid) || ha_msg_decode(event->data, event->size, &msg) < 0)
		return;
	switch (msg.type) {
	case HA_MSG_BEGIN:
		round_on_begin(core, event->nodeid, &msg);
		break;
	case HA_MSG_DIGEST:
		round_on_digest(core, event->nodeid, &msg);
		break;
	case HA_MSG_INSTALL:
		round_on_install(core, event->nodeid, &msg);
		break;
	case HA_MSG_SNAPSHOT:
		round_on_snapshot(core, event->nodeid, &msg);
		break;
	case HA_MSG_ACK:
		order_on_ack(core, event->nodeid, &msg);
		break;
	case HA_MSG_JOIN:
		round_on_join(core, event->nodeid);
		break;
	case HA_MSG_COMMAND:
		order_on_command(core, event->nodeid, &msg);
		break;
	case HA_MSG_ORDER:
		order_on_order(core, event->nodeid, &msg);
		break;
	case HA_MSG_LEASE:
		lease_on_lease(core, event->nodeid, &msg);
		break;
	case HA_MSG_INFO: {
		struct action *action = action_add(core, HA_ACT_INFO);

		action->a.nodeid = event->nodeid;
		action->data = (struct bytes_out){ .data = xmemdup(msg.data, msg.size), .size = msg.size };
		break;
	}
	}
	ha_msg_done(&msg);
}

/* false: nothing has changed that any duty depends on. */
static bool dispatch(struct ha_core *core, const struct ha_event *event)
{
	switch (event->type) {
	case HA_EV_START:
		on_start(core, event);
		break;
	case HA_EV_VIEW:
		on_view(core, event);
		break;
	case HA_EV_LEFT:
		on_left(core);
		break;
	case HA_EV_QUORUM:
		core->tell_changed = core->tell_changed || core->quorum != (event->yes ? YES : NO);
		core->quorum = event->yes ? YES : NO;
		break;
	case HA_EV_MESSAGE:
		on_message(core, event);
		break;
	case HA_EV_TIMER:
		core->timer_ms = INT64_MAX;
		break;
	case HA_EV_PERSISTED:
		save_on_persisted(core, event->version, event->result);
		break;
	case HA_EV_DONE:
		if (event->action == HA_ACT_FENCE)
			watch_on_fenced(core, event);
		else
			local_on_done(core, event);
		break;
	case HA_EV_REQUEST:
		request_on_request(core, event);
		break;
	case HA_EV_LOCAL:
		return local_on_local(core, event);
	case HA_EV_WATCHDOG:
		lease_on_watchdog(core, event);
		break;
	}
	return true;
}

static void tell_notes(struct ha_core *core)
{
	struct notes *notes = &core->replica.notes;
	size_t told = 0;

	while (told < notes->n && notes->items[told].version <= core->committed) {
		const struct note *note = &notes->items[told++];
		struct action *action = action_add(core, HA_ACT_NOTE);

		action->a.epoch = note->epoch;
		action->a.yes = note->warning;
		memcpy(action->group, note->group, sizeof(action->group));
		snprintf(action->text, sizeof(action->text), "%s", note->text);
		if (note->transition)
			note_told(core, note->group, note->epoch, note->phase, note->owner);
	}
	if (!told)
		return;
	notes->n -= told;
	memmove(notes->items, notes->items + told, notes->n * sizeof(*notes->items));
}

static void tell_changed(struct ha_core *core)
{
	bool active = core_is_active(core);

	if (active != core->was_active)
		core->tell_changed = true;
	core->was_active = active;
	if (core->tell_changed)
		action_add(core, HA_ACT_CHANGED);
	core->tell_changed = false;
}

static void tell_timer(struct ha_core *core)
{
	if (core->wake_ms == core->timer_ms)
		return;
	core->timer_ms = core->wake_ms;
	action_add(core, HA_ACT_TIMER)->a.deadline_ms = core->wake_ms;
}

void ha_core_step(struct ha_core *core, const struct ha_event *event, int64_t now_ms)
{
	actions_forget(core);
	core->now_ms = now_ms;
	core->wake_ms = INT64_MAX;
	if (!dispatch(core, event) || !core->started)
		return;
	round_pump(core);
	order_commit(core);
	tell_notes(core);
	lease_pump(core);
	local_pump(core);
	watch_pump(core);
	request_pump(core);
	order_pump(core);
	round_pump_join(core);
	tell_changed(core);
	tell_timer(core);
}
