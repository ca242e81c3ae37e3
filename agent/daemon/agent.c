// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The middle of the daemon: events go into the core, the core's actions come out and are handed to the part that
 * performs them.
 */
#include "agent/daemon/agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/daemon/connections.h"
#include "agent/daemon/fence_job.h"
#include "agent/daemon/health.h"
#include "agent/daemon/node_watchdog.h"
#include "agent/daemon/pools.h"
#include "agent/daemon/reservations.h"
#include "agent/daemon/store.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"

uint32_t agent_me(const struct agent *agent)
{
	return agent->nodeid;
}

const char *agent_node_name(const struct agent *agent, uint32_t nodeid)
{
	struct ha_node_view node;

	return ha_core_find_node(agent->core, nodeid, &node) == 0 ? node.name : "nobody";
}

bool agent_node_is_up(const struct agent *agent, uint32_t nodeid)
{
	struct ha_node_view node;

	return ha_core_find_node(agent->core, nodeid, &node) == 0 && node.state == HA_NODE_UP;
}

void agent_turn_by(struct agent *agent, int64_t deadline_ms)
{
	if (agent->turn_by_ms && agent->turn_by_ms <= deadline_ms)
		return;
	agent->turn_by_ms = deadline_ms;
}

static void core_timer_fired(void *ctx)
{
	agent_step(ctx, &(struct ha_event){ .type = HA_EV_TIMER });
}

static enum duty duty_of(enum ha_action_type type)
{
	switch ((int)type) {
	case HA_ACT_ACQUIRE:
		return DUTY_ACQUIRE;
	case HA_ACT_RELEASE:
		return DUTY_RELEASE;
	default:
		return DUTY_STAND_DOWN;
	}
}

static void perform_duty(struct agent *agent, const struct ha_action *action)
{
	struct agroup *group = agent_group(agent, action->group);

	if (!group && agent->changed) { /* a document has just brought it */
		agent_take_config(agent);
		group = agent_group(agent, action->group);
	}
	if (group)
		groups_duty(group, duty_of(action->type), action->epoch, action->yes);
	else
		log_err("group %s: asked to act on a group that is not in the document", action->group);
}

static void log_note(const struct ha_action *action)
{
	enum log_level level = action->yes ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE;

	if (action->group)
		log_write(level, "group %s epoch %llu: %s", action->group, (unsigned long long)action->epoch, action->text);
	else
		log_write(level, "%s", action->text);
}

static void perform(struct agent *agent, const struct ha_action *action)
{
	switch (action->type) {
	case HA_ACT_SEND:
		cluster_send(agent->cluster, action->data, action->size);
		break;
	case HA_ACT_PERSIST:
		store_persist(agent, action->version, action->yes, action->data, action->size);
		break;
	case HA_ACT_ACQUIRE:
	case HA_ACT_RELEASE:
	case HA_ACT_STAND_DOWN:
		perform_duty(agent, action);
		break;
	case HA_ACT_FENCE:
		agent_take_config(agent); /* the commit that settles the document after a start is the one that fencing has waited for */
		fence_job_start(agent, action->nodeid, action->epoch);
		break;
	case HA_ACT_REPLY:
		if (!reservations_reply(agent, action->request_id, action->result, action->text))
			commands_core_reply(agent, action->request_id, action->result, action->text);
		break;
	case HA_ACT_TIMER:
		if (action->deadline_ms == INT64_MAX)
			loop_timer_clear(&agent->core_timer);
		else
			loop_timer_set(agent->loop, &agent->core_timer, action->deadline_ms, core_timer_fired, agent);
		break;
	case HA_ACT_CHANGED:
		agent->changed = true;
		break;
	case HA_ACT_NOTE:
		log_note(action);
		break;
	case HA_ACT_INFO:
		info_received(agent, action->nodeid, action->data, action->size);
		break;
	case HA_ACT_LEASE:
		node_watchdog_lease(agent, action->deadline_ms);
		break;
	}
}

/*
 * Performing an action may bring the next event at once (a job that cannot even start). The core's actions are valid until
 * its next step, so such events wait in line until the actions of this one are done.
 */
struct queued_event {
	struct queued_event *next;
	struct ha_event event;
	char group[HA_NAME_SIZE];
	char text[HA_TEXT_SIZE];
};

static void enqueue(struct agent *agent, const struct ha_event *event)
{
	struct queued_event *q = xcalloc(1, sizeof(*q));

	/* Only events without borrowed arrays come from inside: LOCAL, DONE, PERSISTED, TIMER, WATCHDOG. */
	q->event = *event;
	if (event->group) {
		snprintf(q->group, sizeof(q->group), "%s", event->group);
		q->event.group = q->group;
	}
	if (event->text) {
		snprintf(q->text, sizeof(q->text), "%.*s", (int)sizeof(q->text) - 1, event->text);
		q->event.text = q->text;
	}
	*agent->queue_tail = q;
	agent->queue_tail = &q->next;
}

static void drain_actions(struct agent *agent)
{
	struct ha_action action;

	while (ha_core_next_action(agent->core, &action)) {
		trace_action(agent->trace, &action);
		perform(agent, &action);
	}
	trace_flush(agent->trace);
}

static void step_core(struct agent *agent, const struct ha_event *event)
{
	int64_t now_ms = clock_now_ms();

	trace_event(agent->trace, event, now_ms);
	ha_core_step(agent->core, event, now_ms);
}

void agent_step(struct agent *agent, const struct ha_event *event)
{
	if (agent->stepping) {
		if (event)
			enqueue(agent, event);
		return;
	}
	agent->stepping = true;
	if (event)
		step_core(agent, event);
	drain_actions(agent);
	while (agent->queue) {
		struct queued_event *q = agent->queue;

		agent->queue = q->next;
		if (!agent->queue)
			agent->queue_tail = &agent->queue;
		step_core(agent, &q->event);
		free(q);
		drain_actions(agent);
	}
	agent->stepping = false;
}

void agent_take_config(struct agent *agent)
{
	struct ha_core_view view;
	struct config *config;
	struct err err = ERR_INIT;

	ha_core_view(agent->core, &view);
	if (!view.config_version || !view.config_settled || (agent->config && agent->config->version == view.config_version))
		return;
	/* It was checked before it was proposed; `old` gives no assignments any more, since they are all written out. */
	if (config_parse(view.config, view.config_size, NULL, NULL, &config, &err) < 0) {
		log_err("the cluster's document version %llu cannot be used here (a newer lunward?): %s",
			(unsigned long long)view.config_version, err.text);
		return;
	}
	config_ref_put(agent->config);
	agent->config = config_ref_new(config, view.config_version);
	log_info("document version %llu in force", (unsigned long long)view.config_version);
	groups_sync_list(agent);
	info_touch(agent);
}

static void turn_timer_fired(void *ctx)
{
	(void)ctx; /* a turn follows every timer */
}

void agent_turn(void *ctx)
{
	struct agent *agent = ctx;
	bool changed = agent->changed;

	agent->turn_by_ms = 0;
	if (agent->changed) {
		agent->changed = false;
		agent_take_config(agent);
		info_touch(agent);
	}
	reservations_turn(agent, changed);
	groups_kick(agent);
	storage_kick(agent);
	tree_kick(agent);
	connections_kick(agent);
	health_kick(agent);
	pools_kick(agent);
	commands_turn(agent);
	if (agent->leave_by_ms && (groups_rest(agent) || clock_now_ms() >= agent->leave_by_ms))
		loop_stop(agent->loop);
	if (agent->leave_by_ms)
		agent_turn_by(agent, agent->leave_by_ms);
	if (agent->turn_by_ms)
		loop_timer_set(agent->loop, &agent->turn_timer, agent->turn_by_ms, turn_timer_fired, agent);
}
