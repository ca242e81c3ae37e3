// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The status document (docs/CONTROL.md), put together from the core's state, this node's own knowledge and what the other
 * nodes said last. It names problems and, for each, what to do.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/daemon/agent.h"
#include "agent/daemon/pools.h"
#include "base/cleanup.h"
#include "base/strbuf.h"
#include "base/xalloc.h"

struct report {
	const struct agent *agent;
	struct ha_core_view view;
	json_t *problems;
};

static void problem(struct report *report, const char *severity, const char *object, const char *text, const char *remedy)
{
	json_array_append_new(report->problems, json_pack("{s:s, s:s, s:s, s:s}", "severity", severity, "object", object,
							  "text", text, "remedy", remedy));
}

static json_t *name_or_null(const struct agent *agent, uint32_t nodeid)
{
	return nodeid ? json_string(agent_node_name(agent, nodeid)) : json_null();
}

static json_t *names(const struct agent *agent, const uint32_t *nodeids)
{
	json_t *array = json_array();

	for (size_t i = 0; i < HA_COPIES_MAX && nodeids[i]; i++)
		json_array_append_new(array, json_string(agent_node_name(agent, nodeids[i])));
	return array;
}

static const char *info_string(const json_t *info, const char *key)
{
	const char *s = json_string_value(json_object_get(info, key));

	return s ? s : "";
}

static json_t *group_info_of(const struct agent *agent, uint32_t nodeid, const char *group)
{
	return json_object_get(json_object_get(info_of(agent, nodeid), "groups"), group);
}

static const char *role_name(const struct agent *agent, uint32_t nodeid)
{
	const struct config_node *node =
		agent->config ? config_node_by_id(agent->config->config, nodeid) : NULL;

	if (!node)
		return "unknown";
	return node->role == CONFIG_ROLE_STORAGE ? "storage" : "witness";
}

/* What lasts of what the node's own looks at its portals have found (health.h). */
static void health_problem(struct report *report, const struct ha_node_view *node, const json_t *fault)
{
	static const struct {
		const char *result, *what, *remedy;
	} kinds[] = {
		{ "look", "cannot look at its own portals", "see the journal of lunwardd there; `--health off` if it shall not" },
		{ "login", "no login at", "no host gets in there either: see the kernel's log there, and `lunward check` on that node" },
		{ "silent", "commands hang at", "see DRBD and the disks of that node; hosts wait as well" },
		{ "unready", "not ready at", "`lunward check` on that node; see the kernel's log there" },
		{ "state", "another ALUA state than it should be at",
		  "`lunward check` on that node: another hand may have changed the target" },
		{ "identity", "another disk at", "`lunward check` on that node: another hand may have changed the target" },
		{ "read", "reads fail at",
		  "look at the disks of that node; the group goes to another node by itself if that can have it, once in an hour" },
	};
	const char *group = info_string(fault, "group"), *portal = info_string(fault, "portal");
	char *object = group[0] ? xasprintf("group %s", group) : xasprintf("node %s", node->name), *text;
	const char *what = "fails at", *remedy = "see the journal of lunwardd there";

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(info_string(fault, "result"), kinds[i].result) == 0) {
			what = kinds[i].what;
			remedy = kinds[i].remedy;
		}
	}
	if (portal[0])
		text = xasprintf("%s portal %s of %s on %s, as hosts see it: %s", what, portal, info_string(fault, "target"), node->name,
				 info_string(fault, "text"));
	else
		text = xasprintf("%s: %s", what, info_string(fault, "text"));
	problem(report, "error", object, text, remedy);
	free(object);
	free(text);
}

/* An array; null: the node does not look, or does not say. */
static json_t *health_of(struct report *report, const struct ha_node_view *node)
{
	json_t *faults = node->state == HA_NODE_UP ? json_object_get(info_of(report->agent, node->nodeid), "health") : NULL, *fault;
	size_t i;

	json_array_foreach (faults, i, fault)
		health_problem(report, node, fault);
	return json_is_array(faults) ? json_incref(faults) : json_null();
}

struct pool_part {
	const char *key, *what, *option, *when_full;
};

/* What of a thin pool is fuller than the document wants it. */
static void pool_part_problem(struct report *report, const char *object, const char *place, const struct config_pool *spec, const json_t *pool,
			      const struct pool_part *part)
{
	const char *severity = info_string(pool, part->key), *lv = info_string(pool, "thin_pool");
	bool is_error = strcmp(severity, "error") == 0;
	_cleanup_free_ char *text = NULL, *remedy = NULL;

	if (!is_error && strcmp(severity, "warning") != 0)
		return;
	text = xasprintf("%s: its %s are more than %u %% full", place, part->what, is_error ? spec->error_percent : spec->warn_percent);
	remedy = xasprintf("`lvextend %s +SIZE %s` on that node: when they are full, %s", part->option, lv, part->when_full);
	problem(report, is_error ? "error" : "warning", object, text, remedy);
}

static void pool_problems(struct report *report, const struct ha_node_view *node, const json_t *pool)
{
	static const struct pool_part parts[] = {
		{ "data", "data", "-L", "writes fail and the node loses its copies in it" },
		{ "metadata", "metadata", "--poolmetadatasize", "it becomes read-only and has to be repaired" },
	};
	const struct config *config = report->agent->config ? report->agent->config->config : NULL;
	const struct config_pool *spec = config ? config_pool_by_name(config, info_string(pool, "pool")) : NULL;
	_cleanup_free_ char *object = xasprintf("pool %s", info_string(pool, "pool"));
	_cleanup_free_ char *place = xasprintf("thin pool %s on %s", info_string(pool, "thin_pool"), node->name), *text = NULL;

	if (info_string(pool, "health")[0]) {
		text = xasprintf("%s: LVM says %s", place, info_string(pool, "health"));
		problem(report, "error", object, text, "extend it with lvextend if it is full, see the kernel's log on that node and lvmthin(7) if not");
	} else if (info_string(pool, "error")[0]) {
		text = xasprintf("how full it is on %s is not known: %s", node->name, info_string(pool, "error"));
		problem(report, "warning", object, text, "look at `lvs` on that node; the agent looks again within a minute");
	}
	for (size_t i = 0; spec && spec->thin_pool && i < ARRAY_SIZE(parts); i++)
		pool_part_problem(report, object, place, spec, pool, &parts[i]);
}

/* An array. Figures only of this node: the others tell what they add up to. */
static json_t *pools_of(struct report *report, const struct ha_node_view *node)
{
	json_t *told = node->state == HA_NODE_UP ? json_object_get(info_of(report->agent, node->nodeid), "pools") : NULL;
	json_t *pools = node->nodeid == agent_me(report->agent) ? pools_figures_json(report->agent) : json_incref(told), *pool;
	size_t i;

	json_array_foreach (pools, i, pool)
		pool_problems(report, node, pool);
	return pools ? pools : json_array();
}

static void node_problems(struct report *report, const struct ha_node_view *node, const json_t *errors)
{
	char *object = xasprintf("node %s", node->name), *text, *remedy;
	size_t i;
	json_t *error;

	if (node->state == HA_NODE_AWAY)
		problem(report, "warning", object,
			"its lunwardd does not answer; what it serves goes on, but cannot be moved",
			"look at `systemctl status lunwardd` there");
	if (node->state == HA_NODE_DOWN) {
		if (node->evidence == HA_EVIDENCE_NONE && node->reason[0]) {
			text = xasprintf("down, and not proven off: %s", node->reason);
			remedy = xasprintf("mend fencing, or switch %s off by hand, make sure, and run `lunward node confirm-down %s`",
					   node->name, node->name);
			problem(report, "error", object, text, remedy);
			free(text);
			free(remedy);
		} else {
			text = xasprintf("down (evidence: %s)", ha_evidence_name(node->evidence));
			problem(report, "warning", object, text, "bring it back: there is no spare until then");
			free(text);
		}
	}
	if (node->maintenance) {
		remedy = xasprintf("`lunward node maintenance %s off` when it may serve again", node->name);
		problem(report, "warning", object, node->maintenance == HA_MAINTENANCE_ON ? "in maintenance: it takes nothing over" :
			"in maintenance until it has been restarted: it takes nothing over", remedy);
		free(remedy);
	}
	json_array_foreach (errors, i, error)
		problem(report, "error", object, json_string_value(error), "see the journal of lunwardd there; it tries again by itself");
	free(object);
}

static json_t *node_errors(const struct agent *agent, const struct ha_node_view *node)
{
	const json_t *info = info_of(agent, node->nodeid);
	json_t *errors = json_array();
	const char *name;
	json_t *group;

	if (node->state != HA_NODE_UP)
		return errors;
	if (info_string(info, "tree_error")[0])
		json_array_append_new(errors, json_sprintf("target: %s", info_string(info, "tree_error")));
	if (info_string(info, "tree_closing")[0])
		json_array_append_new(errors, json_sprintf("target: %s is closing for good, a connection by iSER or a command by FCoE hangs in the kernel: "
							   "it cannot be served again until the node is restarted", info_string(info, "tree_closing")));
	if (info_string(info, "tree_lacks")[0])
		json_array_append_new(errors, json_string(info_string(info, "tree_lacks")));
	if (info_string(info, "watchdog_error")[0])
		json_array_append_new(errors, json_sprintf("watchdog: %s", info_string(info, "watchdog_error")));
	json_object_foreach (json_object_get(info, "groups"), name, group) {
		static const char *const keys[] = { "late", "error", "storage_error", "disk_error", "keeper_error" };

		for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
			if (info_string(group, keys[i])[0])
				json_array_append_new(errors, json_sprintf("group %s: %s%s", name, i == 0 ? "hangs: " : "",
									   info_string(group, keys[i])));
		}
	}
	return errors;
}

static json_t *node_json(struct report *report, size_t index)
{
	const struct agent *agent = report->agent;
	struct ha_node_view node;
	json_t *errors;

	ha_core_node(agent->core, index, &node);
	errors = node_errors(agent, &node);
	node_problems(report, &node, errors);
	return json_pack("{s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:I, s:o, s:o, s:o}", "name", node.name, "id", (json_int_t)node.nodeid,
			 "role", role_name(agent, node.nodeid), "state", ha_node_state_name(node.state), "evidence",
			 ha_evidence_name(node.evidence), "reason", node.reason, "maintenance", ha_maintenance_name(node.maintenance), "watchdog_ms",
			 (json_int_t)node.watchdog_ms, "portals_at",
			 name_or_null(agent, node.portal_holder), "config_applied",
			 (json_int_t)json_integer_value(json_object_get(info_of(agent, node.nodeid), "config_applied")),
			 "errors", errors, "health", health_of(report, &node), "pools", pools_of(report, &node));
}

static json_t *copies_json(struct report *report, const struct ha_group_view *group)
{
	json_t *copies = json_array();

	for (size_t i = 0; i < HA_COPIES_MAX && group->nodes[i]; i++) {
		json_t *copy = json_object_get(group_info_of(report->agent, group->nodes[i], group->name), "copy");
		json_t *item = json_is_object(copy) ? json_copy(copy) : json_object();

		json_object_set_new(item, "node", name_or_null(report->agent, group->nodes[i]));
		json_array_append_new(copies, item);
	}
	return copies;
}

static json_t *alua_json(const struct agent *agent, const struct ha_group_view *group)
{
	static const struct {
		enum lio_alua_state state;
		const char *name;
	} state_names[] = { { LIO_ALUA_ACTIVE_OPTIMIZED, "active/optimized" },
			    { LIO_ALUA_ACTIVE_NONOPTIMIZED, "active/non-optimized" },
			    { LIO_ALUA_STANDBY, "standby" },
			    { LIO_ALUA_UNAVAILABLE, "unavailable" },
			    { LIO_ALUA_TRANSITIONING, "transitioning" } };
	json_t *alua = json_object();

	/* What each node says about its own ports: that is what its hosts see. */
	for (size_t i = 0; i < HA_COPIES_MAX && group->nodes[i]; i++) {
		const char *name = agent_node_name(agent, group->nodes[i]);
		const json_t *value =
			json_object_get(json_object_get(group_info_of(agent, group->nodes[i], group->name), "alua"), name);

		for (size_t k = 0; json_is_integer(value) && k < ARRAY_SIZE(state_names); k++) {
			if (json_integer_value(value) == (json_int_t)state_names[k].state)
				json_object_set_new(alua, name, json_string(state_names[k].name));
		}
	}
	return alua;
}

static json_t *volumes_json(const struct agent *agent, const char *group)
{
	const struct config *config = agent->config ? agent->config->config : NULL;
	json_t *volumes = json_array();

	for (size_t i = 0; config && i < config->n_volumes; i++) {
		const struct config_volume *volume = &config->volumes[i];
		char naa[33];

		if (strcmp(volume->group->name, group) != 0)
			continue;
		config_naa(volume->serial, naa);
		json_array_append_new(volumes,
				      json_pack("{s:s, s:I, s:s, s:s}", "name", volume->name, "size_bytes",
						(json_int_t)volume->size_bytes, "serial", volume->serial, "naa", naa));
	}
	return volumes;
}

static int by_time(const void *a, const void *b)
{
	json_int_t x = json_integer_value(json_object_get(*(json_t *const *)a, "at_ms"));
	json_int_t y = json_integer_value(json_object_get(*(json_t *const *)b, "at_ms"));

	return (x > y) - (x < y);
}

static bool says(const json_t *step, const char *key, const char *value)
{
	const char *said = json_string_value(json_object_get(step, key));

	return said && strcmp(said, value) == 0;
}

/* Of steps in order of time: the first one of that name; by `node`, if one is given. */
static const json_t *find_step(const json_t *steps, const char *name, const char *node)
{
	const json_t *step;
	size_t i;

	json_array_foreach (steps, i, step) {
		if (says(step, "step", name) && (!node || says(step, "node", node)))
			return step;
	}
	return NULL;
}

static json_int_t step_ms(const json_t *step)
{
	return json_integer_value(json_object_get(step, "at_ms"));
}

/* What it was, as far as the steps tell: from the first of them until hosts were told that the owner's ports are the good ones. */
static void tell_change(json_t *change, const json_t *steps, const char *owner)
{
	const json_t *release = find_step(steps, "release", NULL), *lost = find_step(steps, "membership lost", NULL);
	const json_t *end = find_step(steps, "ALUA", owner);
	json_int_t first_ms = step_ms(json_array_get(steps, 0));
	_cleanup_strbuf_ struct strbuf started = { 0 };

	if (!end)
		return;
	strbuf_add_utc(&started, first_ms);
	json_object_set_new(change, "kind", json_string(lost ? "takeover" : release ? "move" : "start"));
	if (release && !lost)
		json_object_set(change, "from", json_object_get(release, "node"));
	json_object_set_new(change, "to", json_string(owner));
	json_object_set_new(change, "started", json_string(strbuf_str(&started)));
	json_object_set_new(change, "total_ms", json_integer(step_ms(end) - first_ms));
}

static json_t *last_change_json(const struct agent *agent, const struct ha_group_view *group)
{
	json_t *sorted[HA_COPIES_MAX * TIMELINE_STEPS_MAX], *steps = json_array();
	json_t *change = json_pack("{s:I, s:o}", "epoch", (json_int_t)group->epoch, "steps", steps);
	size_t n = 0;

	for (size_t i = 0; i < HA_COPIES_MAX && group->nodes[i]; i++) {
		const json_t *info = group_info_of(agent, group->nodes[i], group->name);
		json_int_t epoch = json_integer_value(json_object_get(info, "epoch"));
		json_t *step;
		size_t k;

		/* A node that took no part in the last change, or is no more, has an old story to tell. */
		if (epoch + 1 < (json_int_t)group->epoch || !agent_node_is_up(agent, group->nodes[i]))
			continue;
		json_array_foreach (json_object_get(info, "timeline"), k, step) {
			if (n < ARRAY_SIZE(sorted)) {
				sorted[n] = json_copy(step);
				json_object_set_new(sorted[n++], "node", name_or_null(agent, group->nodes[i]));
			}
		}
	}
	qsort(sorted, n, sizeof(sorted[0]), by_time);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(steps, sorted[i]);
	if (group->phase == HA_PHASE_OWNED)
		tell_change(change, steps, agent_node_name(agent, group->owner));
	return change;
}

static void group_problems(struct report *report, const struct ha_group_view *group)
{
	char *object = xasprintf("group %s", group->name), *text;

	switch (group->phase) {
	case HA_PHASE_ORPHANED:
		text = xasprintf("not served: %s went away without releasing it, and it is not proven off",
				 agent_node_name(report->agent, group->owner));
		problem(report, "error", object, text, "see the problem of that node: fencing or `lunward node confirm-down`");
		free(text);
		break;
	case HA_PHASE_FREE:
		problem(report, "error", object,
			group->reason[0] ? group->reason : "not served: no node is ready with a current copy",
			agent_pacemaker_places(report->agent, group->name) ?
				"Pacemaker places it: see `crm_mon`" :
				"see the nodes' problems; `lunward move GROUP NODE` once a node is ready");
		break;
	case HA_PHASE_ACQUIRING:
	case HA_PHASE_RELEASING:
		problem(report, "warning", object, "ownership is on the move; hosts wait", "");
		break;
	case HA_PHASE_OWNED:
		if (group->owner_lost)
			problem(report, "error", object, "its owner has just been lost", "takeover is under way");
		break;
	}
	for (size_t i = 0; i < HA_COPIES_MAX && group->nodes[i]; i++) {
		if (group->phase != HA_PHASE_OWNED || group->nodes[i] == group->owner)
			continue;
		if (ha_set_has(group->current, group->nodes[i]) && ha_set_has(group->ready, group->nodes[i]))
			continue;
		text = xasprintf("the copy on %s cannot take over: %s", agent_node_name(report->agent, group->nodes[i]),
				 ha_set_has(group->current, group->nodes[i]) ? "not ready" : "it lacks writes (down or resyncing)");
		problem(report, "warning", object, text, "it comes back by itself once the node is up and in sync");
		free(text);
	}
	free(object);
}

static json_t *group_json(struct report *report, size_t index)
{
	const struct agent *agent = report->agent;
	struct ha_group_view group;

	ha_core_group(agent->core, index, &group);
	group_problems(report, &group);
	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:I, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name", group.name,
			 "placement", agent_pacemaker_places(agent, group.name) ? "pacemaker" : "auto", "phase",
			 ha_phase_name(group.phase), "owner", name_or_null(agent, group.owner), "to",
			 name_or_null(agent, group.to), "epoch", (json_int_t)group.epoch, "reason", group.reason, "nodes",
			 names(agent, group.nodes), "current", names(agent, group.current), "ready",
			 names(agent, group.ready), "copies", copies_json(report, &group), "alua",
			 alua_json(agent, &group), "volumes", volumes_json(agent, group.name), "last_change",
			 last_change_json(agent, &group));
}

json_t *status_json(const struct agent *agent)
{
	struct report report = { .agent = agent, .problems = json_array() };
	json_t *nodes = json_array(), *groups = json_array();

	ha_core_view(agent->core, &report.view);
	if (!report.view.quorate)
		problem(&report, "error", "cluster", "no quorum: this node serves nothing and changes nothing",
			"mend the cluster network or start the other nodes; see `corosync-quorumtool`");
	else if (!report.view.active)
		problem(&report, "warning", "cluster", "the agents are agreeing on a new membership, or too few of them run",
			"start lunwardd on a majority of the nodes");
	if (report.view.active && !report.view.config_version)
		problem(&report, "warning", "cluster", "nothing is configured yet", "`lunward apply FILE`; see lunward.json(5)");
	for (size_t i = 0; i < report.view.n_nodes; i++)
		json_array_append_new(nodes, node_json(&report, i));
	for (size_t i = 0; i < report.view.n_groups; i++)
		json_array_append_new(groups, group_json(&report, i));
	return json_pack("{s:s, s:s, s:s, s:b, s:b, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "version", LUNWARD_VERSION, "node",
			 agent_node_name(agent, agent_me(agent)), "cluster",
			 agent->config ? agent->config->config->cluster : "", "quorate", report.view.quorate, "active",
			 report.view.active, "term", (json_int_t)report.view.term, "state_version",
			 (json_int_t)report.view.version, "committed", (json_int_t)report.view.committed, "config_version",
			 (json_int_t)report.view.config_version, "problems", report.problems, "nodes", nodes, "groups",
			 groups);
}
