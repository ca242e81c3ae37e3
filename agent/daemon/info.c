// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What each node says about itself to the others, for status and to spare hosts a wait (connections.h): nothing is decided by it.
 * Sent a moment after the last change, as compact JSON, outside of the replicated state; not again if it came through and everybody
 * has heard it.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/daemon/agent.h"
#include "agent/daemon/connections.h"
#include "agent/daemon/health.h"
#include "agent/daemon/pools.h"
#include "agent/daemon/reservations.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/xalloc.h"
#include "target-config/lio/lio.h"

#define DEBOUNCE_MS 100

static json_t *group_info(const struct agent *agent, const struct agroup *group)
{
	struct ha_group_view view;
	json_t *alua = json_object();

	if (group->alua_valid && ha_core_find_group(agent->core, group->name, &view) == 0) {
		for (size_t i = 0; i < HA_COPIES_MAX && view.nodes[i]; i++)
			json_object_set_new(alua, agent_node_name(agent, view.nodes[i]), json_integer(group->alua[i]));
	}
	return json_pack("{s:b, s:b, s:o, s:o, s:I, s:o, s:s, s:s, s:s, s:s, s:s}", "serving", group->serving, "health_gave",
			 health_gave(group), "copy",
			 storage_copies_json(agent, group), "alua", alua, "epoch", (json_int_t)group->timeline.epoch,
			 "timeline", timeline_json(&group->timeline), "late", group->late, "error", group->error,
			 "storage_error", group->storage_error, "disk_error", storage_disk_error(agent, group), "keeper_error",
			 reservations_missing(group) ? "hosts have reservations, and lunward-pr.service does not run: start it" : "");
}

static json_t *own_info(const struct agent *agent)
{
	json_t *groups = json_object();

	for (size_t i = 0; i < agent->n_groups; i++) {
		if (agent->groups[i]->has_copy)
			json_object_set_new(groups, agent->groups[i]->name, group_info(agent, agent->groups[i]));
	}
	return json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "config_applied", (json_int_t)agent->tree.applied_version, "tree_error",
			 agent->tree.error, "tree_closing", agent->tree.closing, "tree_lacks", agent->tree.lacks, "watchdog_error",
			 agent->watchdog_error, "fence_note", agent->fence_note, "groups", groups, "connections", connections_json(agent), "health",
			 health_json(agent), "pools", pools_json(agent));
}

static void store(struct agent *agent, uint32_t nodeid, json_t *info)
{
	for (size_t i = 0; i < agent->n_infos; i++) {
		if (agent->infos[i].nodeid == nodeid) {
			json_decref(agent->infos[i].info);
			agent->infos[i].info = info;
			return;
		}
	}
	if (agent->n_infos < ARRAY_SIZE(agent->infos))
		agent->infos[agent->n_infos++] = (struct node_info){ nodeid, info };
	else
		json_decref(info);
}

static uint64_t term_of(const struct agent *agent)
{
	struct ha_core_view view;

	ha_core_view(agent->core, &view);
	return view.term;
}

/* Who has come since has begun a new term. */
static bool is_known_to_all(const struct agent *agent, const char *text)
{
	const struct own_info *heard = &agent->own_info_heard;

	return heard->data && heard->term == term_of(agent) && heard->size == strlen(text) && memcmp(heard->data, text, heard->size) == 0;
}

static void publish(void *ctx)
{
	struct agent *agent = ctx;
	json_t *info = own_info(agent);
	_cleanup_free_ char *text = json_dumps(info, JSON_COMPACT);

	agent->info_dirty = false;
	store(agent, agent_me(agent), info);
	if (text && !is_known_to_all(agent, text)) {
		trace_info(agent->trace, text, strlen(text));
		ha_core_send_info(agent->core, text, strlen(text));
	}
	agent_step(agent, NULL);
}

void info_touch(struct agent *agent)
{
	if (agent->info_dirty)
		return;
	agent->info_dirty = true;
	loop_timer_set(agent->loop, &agent->info_timer, clock_now_ms() + DEBOUNCE_MS, publish, agent);
}

void info_received(struct agent *agent, uint32_t nodeid, const void *data, size_t size)
{
	json_t *info;

	if (nodeid == agent_me(agent)) {
		free(agent->own_info_heard.data);
		agent->own_info_heard = (struct own_info){ xmemdup(data, size), size, term_of(agent) };
		return;
	}
	info = json_loadb(data, size, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(info))
		store(agent, nodeid, info);
	else
		json_decref(info);
}

json_t *info_of(const struct agent *agent, uint32_t nodeid)
{
	for (size_t i = 0; i < agent->n_infos; i++) {
		if (agent->infos[i].nodeid == nodeid)
			return agent->infos[i].info;
	}
	return NULL;
}
