// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The operator's commands (docs/CONTROL.md). Those that change something become a request to the core; the answer to the
 * operator waits until the cluster has done it, or given up.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "agent/daemon/agent.h"
#include "agent/daemon/fence_job.h"
#include "agent/daemon/reservations.h"
#include "agent/daemon/sessions.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/xalloc.h"

#define APPLY_PATIENCE_MS 600000 /* zeroing large volumes takes time; progress is shown meanwhile */
#define MOVE_PATIENCE_MS 120000
#define EVACUATION_PATIENCE_MS 1800000 /* a planned move for each group, one after the other; progress is shown meanwhile */

enum waiter_kind { WAIT_REPLY, WAIT_MOVE, WAIT_EVACUATED, WAIT_APPLY, WATCH };

/* An operator's command that is not answered yet. */
struct waiter {
	struct waiter *next;
	enum waiter_kind kind;
	struct ctl_request *request;
	uint64_t request_id; /* the core's answer is outstanding; 0: it came */
	char group[HA_NAME_SIZE];
	uint32_t to;
	uint64_t from_epoch;
	json_t *changes; /* apply */
	bool no_wait;    /* apply: answer as soon as it is agreed */
	uint64_t config_version;
	int64_t deadline_ms;
	char said[256]; /* last progress line, so that each is said once */
	char *last_status;
};

static struct waiter *add_waiter(struct agent *agent, enum waiter_kind kind, struct ctl_request *request, int64_t patience_ms)
{
	struct waiter *waiter = xcalloc(1, sizeof(*waiter));

	waiter->kind = kind;
	waiter->request = request;
	waiter->request_id = kind == WATCH ? 0 : ++agent->next_request_id;
	waiter->deadline_ms = clock_now_ms() + patience_ms;
	waiter->next = agent->waiters;
	agent->waiters = waiter;
	return waiter;
}

static void remove_waiter(struct agent *agent, struct waiter *waiter)
{
	struct waiter **link = &agent->waiters;

	while (*link != waiter)
		link = &(*link)->next;
	*link = waiter->next;
	json_decref(waiter->changes);
	free(waiter->last_status);
	free(waiter);
}

static void say(struct waiter *waiter, const char *text)
{
	if (strcmp(waiter->said, text) == 0)
		return;
	snprintf(waiter->said, sizeof(waiter->said), "%s", text);
	ctl_request_progress(waiter->request, text);
}

static void fail(struct ctl_request *request, int code, const char *text)
{
	ctl_request_fail(request, code, text);
}

static void fail_unknown_node(struct ctl_request *request, const char *name)
{
	char text[128];

	snprintf(text, sizeof(text), "no node \"%s\"; see `lunward status`", name ? name : "");
	fail(request, -ENOENT, text);
}

static const char *string_arg(const json_t *args, const char *key)
{
	return json_string_value(json_object_get(args, key));
}

static uint32_t node_by_name(const struct agent *agent, const char *name)
{
	struct ha_core_view view;

	ha_core_view(agent->core, &view);
	for (size_t i = 0; name && i < view.n_nodes; i++) {
		struct ha_node_view node;

		ha_core_node(agent->core, i, &node);
		if (strcmp(node.name, name) == 0)
			return node.nodeid;
	}
	return 0;
}

/* --- reading ----------------------------------------------------------------------------------------------------------*/

static void cmd_status(void *ctx, struct ctl_request *request, const json_t *args)
{
	(void)args;
	ctl_request_ok(request, status_json(ctx));
}

static void cmd_version(void *ctx, struct ctl_request *request, const json_t *args)
{
	(void)ctx;
	(void)args;
	ctl_request_ok(request, json_pack("{s:s}", "version", LUNWARD_VERSION));
}

static void cmd_watch(void *ctx, struct ctl_request *request, const json_t *args)
{
	(void)args;
	add_waiter(ctx, WATCH, request, INT64_MAX / 2);
}

static void cmd_config_show(void *ctx, struct ctl_request *request, const json_t *args)
{
	struct agent *agent = ctx;
	bool secrets = json_is_true(json_object_get(args, "secrets"));
	_cleanup_free_ char *text = NULL;
	json_t *document;

	if (secrets && !ctl_request_is_admin(request)) {
		fail(request, -EACCES, "only root may see secrets");
		return;
	}
	if (!agent->config) {
		fail(request, -ENOENT, "nothing is configured yet: `lunward apply FILE`");
		return;
	}
	text = config_print(agent->config->config, secrets);
	document = json_loads(text, 0, NULL);
	ctl_request_ok(request, json_pack("{s:I, s:o}", "config_version", (json_int_t)agent->config->version, "document",
					  document));
}

static void cmd_reservation_show(void *ctx, struct ctl_request *request, const json_t *args)
{
	const char *volume = string_arg(args, "volume");
	json_t *table = volume ? reservations_json(ctx, volume) : NULL;
	char text[256];

	if (table) {
		ctl_request_ok(request, table);
		return;
	}
	snprintf(text, sizeof(text), "no volume \"%s\" whose reservations this node keeps (lunward-pr.service, on each storage node)",
		 volume ? volume : "");
	fail(request, -ENOENT, text);
}

static void cmd_session_list(void *ctx, struct ctl_request *request, const json_t *args)
{
	sessions_list(ctx, request, string_arg(args, "host"), string_arg(args, "volume"));
}

static void cmd_counters(void *ctx, struct ctl_request *request, const json_t *args)
{
	(void)args;
	sessions_counters(ctx, request);
}

static void check_done(void *ctx, int result, const char *steps, size_t n_writes, size_t n_objects, const struct err *err)
{
	struct ctl_request *request = ctx;
	json_t *lines = json_array();

	if (result < 0) {
		json_decref(lines);
		fail(request, result, err->text);
		return;
	}
	for (const char *s = steps; *s;) {
		size_t len = strcspn(s, "\n");

		json_array_append_new(lines, json_stringn(s, len));
		s += len + (s[len] == '\n');
	}
	ctl_request_ok(request, json_pack("{s:o, s:I, s:I}", "steps", lines, "writes", (json_int_t)n_writes, "objects",
					  (json_int_t)n_objects));
}

static void cmd_check(void *ctx, struct ctl_request *request, const json_t *args)
{
	struct agent *agent = ctx;

	(void)args;
	if (!agent->config || !agent->tree.applied_version)
		fail(request, -EAGAIN, "no target is built on this node yet");
	else
		tree_check(agent, check_done, request);
}

/* --- changing ---------------------------------------------------------------------------------------------------------*/

static void random_bytes(void *buffer, size_t size)
{
	if (getrandom(buffer, size, 0) != (ssize_t)size)
		abort(); /* sizes up to 256 bytes never fail or stop short (getrandom(2)) */
}

static json_t *lines_json(const char *text)
{
	json_t *lines = json_array();

	for (const char *s = text; *s;) {
		size_t len = strcspn(s, "\n");

		json_array_append_new(lines, json_stringn(s, len));
		s += len + (s[len] == '\n');
	}
	return lines;
}

static int check_against_corosync(const struct agent *agent, const struct config *config, struct err *err)
{
	uint32_t ids[HA_NODES_MAX];
	const char *names[HA_NODES_MAX];
	struct ha_core_view view;

	ha_core_view(agent->core, &view);
	for (size_t i = 0; i < view.n_nodes; i++) {
		struct ha_node_view node;

		ha_core_node(agent->core, i, &node);
		ids[i] = node.nodeid;
		names[i] = node.name;
	}
	return config_check_electorate(config, ids, names, view.n_nodes, err);
}

static void group_specs(const struct config *config, struct ha_group_spec *ret)
{
	for (size_t i = 0; i < config->n_groups; i++) {
		const struct config_group *group = &config->groups[i];

		ret[i] = (struct ha_group_spec){ .prefer = group->prefer, .weight = group->weight,
						 .failback_s = group->failback == CONFIG_FAILBACK_AUTO ? group->failback_delay_s : 0,
						 .losses_max = (uint8_t)group->takeover_limit,
						 .placement = group->placement == CONFIG_PLACEMENT_AUTO ?
								      HA_PLACEMENT_AUTO :
								      HA_PLACEMENT_PACEMAKER };
		snprintf(ret[i].name, sizeof(ret[i].name), "%s", group->name);
		memcpy(ret[i].nodes, group->nodes, sizeof(ret[i].nodes));
	}
}

static void propose(struct agent *agent, struct waiter *waiter, const struct config *config, uint64_t base_version)
{
	_cleanup_free_ char *text = config_print(config, true);
	_cleanup_free_ struct ha_group_spec *specs = xcalloc(config->n_groups, sizeof(*specs));

	group_specs(config, specs);
	agent_step(agent, &(struct ha_event){ .type = HA_EV_REQUEST, .request = HA_REQ_CONFIG,
					      .request_id = waiter->request_id, .base_version = base_version,
					      .data = text, .size = strlen(text), .groups = specs,
					      .n_groups = config->n_groups });
	explicit_bzero(text, strlen(text));
}

static void cmd_apply(void *ctx, struct ctl_request *request, const json_t *args)
{
	struct agent *agent = ctx;
	const json_t *document = json_object_get(args, "document");
	_cleanup_strbuf_ struct strbuf changes = { 0 };
	struct config *config = NULL;
	struct err err = ERR_INIT;
	struct waiter *waiter;
	uint64_t version;

	if (!json_is_string(document)) {
		fail(request, -EINVAL, "apply: no document");
		return;
	}
	if (config_parse(json_string_value(document), json_string_length(document),
			 agent->config ? agent->config->config : NULL, random_bytes, &config, &err) < 0 ||
	    check_against_corosync(agent, config, &err) < 0) {
		config_free(config);
		fail(request, err.code, err.text);
		return;
	}
	version = agent->config ? agent->config->version : 0;
	config_diff(agent->config ? agent->config->config : NULL, config, &changes);
	if (json_is_true(json_object_get(args, "dry_run")) || changes.len == 0) {
		ctl_request_ok(request, json_pack("{s:o, s:I, s:b}", "changes", lines_json(strbuf_str(&changes)),
						  "config_version", (json_int_t)version, "applied",
						  !json_is_true(json_object_get(args, "dry_run"))));
	} else {
		waiter = add_waiter(agent, WAIT_APPLY, request, APPLY_PATIENCE_MS);
		waiter->changes = lines_json(strbuf_str(&changes));
		waiter->no_wait = json_is_false(json_object_get(args, "wait"));
		propose(agent, waiter, config, version);
	}
	config_free(config);
}

/* Two that move one group undo each other's work: each group has one master, the agents with the operator, or Pacemaker. */
static int check_master(const struct agent *agent, const char *name, bool pacemaker, struct ha_group_view *ret_group, struct err *err)
{
	if (!name || ha_core_find_group(agent->core, name, ret_group) < 0)
		return err_set(err, -ENOENT, "no group \"%s\"; see `lunward status`", name ? name : "");
	if (pacemaker && !agent_pacemaker_places(agent, name))
		return err_set(err, -EINVAL, "group %s: its placement is auto: not for Pacemaker to move; give it \"placement\": "
			       "\"pacemaker\" in the document", name);
	if (!pacemaker && agent_pacemaker_places(agent, name))
		return err_set(err, -EBUSY, "group %s: Pacemaker places it: move its resource, with crm or pcs", name);
	return 0;
}

static void request_move(struct agent *agent, struct ctl_request *request, const char *name, uint32_t to, bool pacemaker)
{
	struct ha_group_view group;
	struct err err = ERR_INIT;
	struct waiter *waiter;

	if (check_master(agent, name, pacemaker, &group, &err) < 0) {
		fail(request, err.code, err.text);
		return;
	}
	waiter = add_waiter(agent, WAIT_MOVE, request, MOVE_PATIENCE_MS);
	snprintf(waiter->group, sizeof(waiter->group), "%s", name);
	waiter->to = to;
	waiter->from_epoch = group.epoch;
	agent_step(agent, &(struct ha_event){ .type = HA_EV_REQUEST, .request = HA_REQ_MOVE, .group = name, .nodeid = to,
					      .request_id = waiter->request_id });
}

static void cmd_move(void *ctx, struct ctl_request *request, const json_t *args)
{
	const char *node = string_arg(args, "node");
	uint32_t to = node_by_name(ctx, node);

	if (!to) {
		fail_unknown_node(request, node);
		return;
	}
	request_move(ctx, request, string_arg(args, "group"), to, false);
}

static void cmd_reservation_clear(void *ctx, struct ctl_request *request, const json_t *args)
{
	struct agent *agent = ctx;
	const char *volume = string_arg(args, "volume");
	struct waiter *waiter = add_waiter(agent, WAIT_REPLY, request, MOVE_PATIENCE_MS);
	struct err err = ERR_INIT;
	int rc = reservations_clear(agent, volume ? volume : "", waiter->request_id, &err);

	if (rc == 0)
		return;
	remove_waiter(agent, waiter);
	if (rc == -EALREADY)
		ctl_request_ok(request, json_object());
	else
		fail(request, rc, err.text);
}

static void cmd_session_drop(void *ctx, struct ctl_request *request, const json_t *args)
{
	sessions_drop(ctx, request, string_arg(args, "host"), string_arg(args, "target"));
}

static void cmd_release(void *ctx, struct ctl_request *request, const json_t *args)
{
	request_move(ctx, request, string_arg(args, "group"), 0, false);
}

/* For the resource agent: this node, whoever asks. */
static void cmd_promote(void *ctx, struct ctl_request *request, const json_t *args)
{
	request_move(ctx, request, string_arg(args, "group"), agent_me(ctx), true);
}

/* Nothing of the group is open here, nothing is about to be, and without quorum nothing will. */
static bool is_shut(const struct agent *agent, const struct agroup *group)
{
	struct ha_core_view view;

	ha_core_view(agent->core, &view);
	return !view.quorate && group && group->inspected && !group->serving && !group->job && group->duty == DUTY_NONE;
}

static void cmd_demote(void *ctx, struct ctl_request *request, const json_t *args)
{
	struct agent *agent = ctx;
	const char *name = string_arg(args, "group");
	struct ha_group_view group;
	struct ha_core_view view;
	struct err err = ERR_INIT;

	ha_core_view(agent->core, &view);
	if (check_master(agent, name, true, &group, &err) < 0)
		fail(request, err.code, err.text);
	else if (is_shut(agent, agent_group(agent, name)) ||
		 (view.active && group.settled && group.owner != agent_me(agent)))
		ctl_request_ok(request, json_object());
	else
		request_move(agent, request, name, 0, true);
}

static void cmd_confirm_down(void *ctx, struct ctl_request *request, const json_t *args)
{
	struct agent *agent = ctx;
	const char *node = string_arg(args, "node");
	uint32_t nodeid = node_by_name(agent, node);
	struct waiter *waiter;

	if (!nodeid) {
		fail_unknown_node(request, node);
		return;
	}
	log_warning("an operator vouches that %s is off", node);
	waiter = add_waiter(agent, WAIT_REPLY, request, MOVE_PATIENCE_MS);
	agent_step(agent, &(struct ha_event){ .type = HA_EV_REQUEST, .request = HA_REQ_CONFIRM_DOWN, .nodeid = nodeid,
					      .request_id = waiter->request_id });
}

static bool has_spare(const struct agent *agent, const struct ha_group_view *group)
{
	for (size_t i = 0; i < HA_COPIES_MAX && group->nodes[i]; i++) {
		uint32_t node = group->nodes[i];

		if (node != group->owner && ha_set_has(group->current, node) && ha_set_has(group->ready, node) && agent_node_is_up(agent, node))
			return true;
	}
	return false;
}

/* Whether all goes on if this node is lost: what it serves has a spare, and a majority stays. */
static int check_can_be_lost(const struct agent *agent, uint32_t nodeid, struct err *err)
{
	struct ha_core_view view;
	size_t n_up = 0;

	ha_core_view(agent->core, &view);
	if (!view.active)
		return err_set(err, -ENOTCONN, "not now: %s", view.passive_reason);
	for (size_t i = 0; i < view.n_groups; i++) {
		struct ha_group_view group;

		ha_core_group(agent->core, i, &group);
		if (group.owner == nodeid && (group.phase != HA_PHASE_OWNED || !group.settled || !has_spare(agent, &group)))
			return err_set(err, -EHOSTUNREACH, "group %s, which %s serves too, has nobody to take it over", group.name,
				       agent_node_name(agent, nodeid));
	}
	for (size_t i = 0; i < view.n_nodes; i++) {
		struct ha_node_view node;

		ha_core_node(agent->core, i, &node);
		n_up += node.nodeid != nodeid && agent_node_is_up(agent, node.nodeid);
	}
	if (2 * n_up <= view.n_nodes)
		return err_set(err, -EHOSTUNREACH, "without %s there would be no majority: of %zu nodes %zu would be left",
			       agent_node_name(agent, nodeid), view.n_nodes, n_up);
	return 0;
}

static int check_fence_owner(const struct agent *agent, const char *name, struct ha_group_view *ret_group, struct err *err)
{
	if (!name || ha_core_find_group(agent->core, name, ret_group) < 0)
		return err_set(err, -ENOENT, "no group \"%s\"; see `lunward status`", name ? name : "");
	if (!agent->config || !agent->config->config->fencing.n_levels)
		return err_set(err, -EOPNOTSUPP, "no fence agent is configured");
	if (!ret_group->owner)
		return err_set(err, -EHOSTUNREACH, "group %s is served by nobody", name);
	if (ret_group->owner == agent_me(agent))
		return err_set(err, -EBUSY, "group %s is served by this node, which cannot fence itself: ask another one", name);
	return check_can_be_lost(agent, ret_group->owner, err);
}

/* For `lunward drill --crash`: begins, and answers who is fenced. */
static void cmd_fence_owner(void *ctx, struct ctl_request *request, const json_t *args)
{
	struct agent *agent = ctx;
	const char *name = string_arg(args, "group");
	struct ha_group_view group;
	struct err err = ERR_INIT;

	if (check_fence_owner(agent, name, &group, &err) < 0) {
		fail(request, err.code, err.text);
		return;
	}
	log_warning("an operator has %s fenced, as a drill of group %s", agent_node_name(agent, group.owner), name);
	fence_job_drill(agent, group.owner);
	ctl_request_ok(request, json_pack("{s:s}", "node", agent_node_name(agent, group.owner)));
}

static int maintenance_by_name(const char *name)
{
	for (int i = 0; name && i < HA_MAINTENANCE_COUNT; i++) {
		if (strcmp(name, ha_maintenance_name((enum ha_maintenance)i)) == 0)
			return i;
	}
	return -EINVAL;
}

static void cmd_maintenance(void *ctx, struct ctl_request *request, const json_t *args)
{
	struct agent *agent = ctx;
	const char *node = string_arg(args, "node"), *state = string_arg(args, "state");
	uint32_t nodeid = node && strcmp(node, "self") == 0 ? agent_me(agent) : node_by_name(agent, node);
	int maintenance = maintenance_by_name(state);
	struct waiter *waiter;
	char text[128];

	if (!nodeid) {
		fail_unknown_node(request, node);
		return;
	}
	if (maintenance < 0) {
		snprintf(text, sizeof(text), "maintenance is on, off or until-restart, not \"%.40s\"", state ? state : "");
		fail(request, -EINVAL, text);
		return;
	}
	waiter = add_waiter(agent, maintenance ? WAIT_EVACUATED : WAIT_REPLY, request,
			    maintenance ? EVACUATION_PATIENCE_MS : MOVE_PATIENCE_MS);
	waiter->to = nodeid;
	agent_step(agent, &(struct ha_event){ .type = HA_EV_REQUEST, .request = HA_REQ_MAINTENANCE, .nodeid = nodeid,
					      .maintenance = (enum ha_maintenance)maintenance, .request_id = waiter->request_id });
}

/* DRBD has lost the peer of a resource and asks whether it may go on (docs/PROTOCOL.md, "DRBD's questions"). */
static void cmd_fence_peer(void *ctx, struct ctl_request *request, const json_t *args)
{
	static const char prefix[] = "lunward-";
	struct agent *agent = ctx;
	const char *resource = string_arg(args, "resource");
	const struct config_group *spec = NULL;
	struct waiter *waiter;
	uint32_t me = agent_me(agent);

	if (resource && agent->config && strncmp(resource, prefix, strlen(prefix)) == 0)
		spec = config_group_by_name(agent->config->config, resource + strlen(prefix));
	if (!spec || !config_group_has_node(spec, me)) {
		fail(request, -ENOENT, "not a resource of Lunward on this node");
		return;
	}
	/* What DRBD said before this moment about the peer's copy is worth nothing any more. */
	storage_restart_events(agent);
	waiter = add_waiter(agent, WAIT_REPLY, request, MOVE_PATIENCE_MS);
	agent_step(agent, &(struct ha_event){ .type = HA_EV_REQUEST, .request = HA_REQ_OUTDATE, .group = spec->name,
					      .nodeid = spec->nodes[0] == me ? spec->nodes[1] : spec->nodes[0],
					      .request_id = waiter->request_id });
}

/* --- answering ----------------------------------------------------------------------------------------------------------*/

static void answer(struct agent *agent, struct waiter *waiter, int result, const char *text)
{
	if (result < 0)
		fail(waiter->request, result, text);
	else if (waiter->kind == WAIT_APPLY)
		ctl_request_ok(waiter->request, json_pack("{s:O, s:I, s:b}", "changes", waiter->changes, "config_version",
							  (json_int_t)waiter->config_version, "applied", 1));
	else
		ctl_request_ok(waiter->request, json_object());
	remove_waiter(agent, waiter);
}

void commands_core_reply(struct agent *agent, uint64_t request_id, int result, const char *text)
{
	struct ha_core_view view;

	ha_core_view(agent->core, &view);
	for (struct waiter *w = agent->waiters; w; w = w->next) {
		if (w->request_id != request_id || w->kind == WATCH)
			continue;
		w->request_id = 0;
		w->config_version = view.config_version;
		if (result < 0 || w->kind == WAIT_REPLY || w->no_wait)
			answer(agent, w, result, text ? text : "");
		return;
	}
}

static void check_move(struct agent *agent, struct waiter *waiter)
{
	struct ha_group_view group;
	char text[HA_TEXT_SIZE + 128];

	if (ha_core_find_group(agent->core, waiter->group, &group) < 0) {
		answer(agent, waiter, -ENOENT, "the group was removed meanwhile");
		return;
	}
	if (group.phase == HA_PHASE_OWNED && group.owner == waiter->to && group.settled) {
		answer(agent, waiter, 0, "");
	} else if (group.phase == HA_PHASE_FREE && !waiter->to && group.settled) {
		answer(agent, waiter, 0, "");
	} else if (group.phase == HA_PHASE_OWNED && group.epoch > waiter->from_epoch && group.settled) {
		snprintf(text, sizeof(text), "group %s went back to %s: %s", group.name,
			 agent_node_name(agent, group.owner), group.reason);
		answer(agent, waiter, -EIO, text);
	} else if (group.phase == HA_PHASE_FREE && group.epoch > waiter->from_epoch && group.settled) {
		snprintf(text, sizeof(text), "group %s is not served: %s", group.name, group.reason);
		answer(agent, waiter, -EIO, text);
	}
}

static bool can_leave(const struct ha_group_view *group, uint32_t from)
{
	if (group->phase == HA_PHASE_RELEASING)
		return true;
	for (size_t i = 0; i < HA_COPIES_MAX && group->nodes[i]; i++) {
		uint32_t id = group->nodes[i];

		if (id != from && ha_set_has(group->current, id) && ha_set_has(group->ready, id) && !group->stays)
			return true;
	}
	return false;
}

/* Whether its portals, or others that it holds, are still to be handed over. */
static bool holds_portals(const struct agent *agent, uint32_t nodeid)
{
	struct ha_core_view view;

	ha_core_view(agent->core, &view);
	for (size_t i = 0; i < view.n_nodes; i++) {
		struct ha_node_view node;

		ha_core_node(agent->core, i, &node);
		if (node.portal_holder == nodeid && node.portal_next && node.portal_next != nodeid)
			return true;
	}
	return false;
}

/* Until the node serves nothing, or only what nobody else can take now. */
static void check_evacuated(struct agent *agent, struct waiter *waiter)
{
	const char *node = agent_node_name(agent, waiter->to);
	char text[HA_TEXT_SIZE + 256], progress[64];
	size_t n_left = 0, n_leaving = 0;
	struct ha_group_view stuck = { 0 };
	struct ha_core_view view;

	ha_core_view(agent->core, &view);
	for (size_t i = 0; i < view.n_groups; i++) {
		struct ha_group_view group;

		ha_core_group(agent->core, i, &group);
		if (group.owner != waiter->to)
			continue;
		n_left++;
		if (can_leave(&group, waiter->to))
			n_leaving++;
		else
			stuck = group;
	}
	if (n_left == 0 && holds_portals(agent, waiter->to)) {
		say(waiter, "handing its portals over");
	} else if (n_left == 0) {
		answer(agent, waiter, 0, "");
	} else if (n_leaving == 0) {
		snprintf(text, sizeof(text), "node %s goes on serving %zu group%s, of them %s: %s; it gets no other group, and gives %s away as "
			 "soon as another node can take %s", node, n_left, n_left == 1 ? "" : "s", stuck.name,
			 stuck.stays && stuck.reason[0] ? stuck.reason : "no other node is ready with a current copy",
			 n_left == 1 ? "it" : "them", n_left == 1 ? "it" : "them");
		answer(agent, waiter, -EIO, text);
	} else {
		snprintf(progress, sizeof(progress), "%zu group%s to go", n_left, n_left == 1 ? "" : "s");
		say(waiter, progress);
	}
}

static void check_apply(struct agent *agent, struct waiter *waiter)
{
	struct ha_core_view view;
	char text[256];

	ha_core_view(agent->core, &view);
	for (size_t i = 0; i < view.n_nodes; i++) {
		struct ha_node_view node;
		const json_t *info;

		ha_core_node(agent->core, i, &node);
		info = info_of(agent, node.nodeid);
		if (node.state != HA_NODE_UP ||
		    (uint64_t)json_integer_value(json_object_get(info, "config_applied")) >= waiter->config_version)
			continue;
		snprintf(text, sizeof(text), "waiting for %s %s", node.name,
			 json_string_value(json_object_get(info, "tree_error")) ?: "");
		say(waiter, text);
		return;
	}
	for (size_t i = 0; i < view.n_groups; i++) {
		struct ha_group_view group;

		ha_core_group(agent->core, i, &group);
		if (group.phase == HA_PHASE_OWNED && group.ready[0])
			continue;
		if (group.phase == HA_PHASE_FREE && (group.epoch > 0 || agent_pacemaker_places(agent, group.name)))
			continue; /* was released: stays so; or Pacemaker's to place */
		snprintf(text, sizeof(text), "group %s: %s", group.name,
			 group.phase == HA_PHASE_FREE ? "preparing storage" : ha_phase_name(group.phase));
		say(waiter, text);
		return;
	}
	answer(agent, waiter, 0, "");
}

static void update_watcher(struct agent *agent, struct waiter *waiter)
{
	json_t *status = status_json(agent);
	char *text = json_dumps(status, JSON_COMPACT | JSON_SORT_KEYS);

	if (text && (!waiter->last_status || strcmp(text, waiter->last_status) != 0)) {
		free(waiter->last_status);
		waiter->last_status = steal_ptr(text);
		ctl_request_update(waiter->request, status);
	} else {
		json_decref(status);
	}
	free(text);
}

void commands_turn(struct agent *agent)
{
	int64_t now_ms = clock_now_ms();

	for (struct waiter *w = agent->waiters, *next; w; w = next) {
		next = w->next;
		if (w->kind == WATCH)
			update_watcher(agent, w);
		else if (now_ms >= w->deadline_ms)
			answer(agent, w, -ETIMEDOUT, "the cluster has not finished yet; see `lunward status`");
		else if (w->kind == WAIT_MOVE && !w->request_id)
			check_move(agent, w);
		else if (w->kind == WAIT_EVACUATED && !w->request_id)
			check_evacuated(agent, w);
		else if (w->kind == WAIT_APPLY && !w->request_id)
			check_apply(agent, w);
	}
	for (struct waiter *w = agent->waiters; w; w = w->next) {
		if (w->kind != WATCH)
			agent_turn_by(agent, w->deadline_ms);
	}
}

/* What the client asked for goes on; nobody is told. What waits for a worker still holds its request: it is answered into the void. */
static bool request_gone(void *ctx, struct ctl_request *request)
{
	struct agent *agent = ctx;

	for (struct waiter *w = agent->waiters; w; w = w->next) {
		if (w->request == request) {
			remove_waiter(agent, w);
			return true;
		}
	}
	return false;
}

static int add_fd(void *loop, int fd, int events, ctl_fd_fn *fn, void *ctx)
{
	return loop_fd_add(loop, fd, events, fn, ctx);
}

static int mod_fd(void *loop, int fd, int events)
{
	return loop_fd_events(loop, fd, events);
}

static void del_fd(void *loop, int fd)
{
	loop_fd_del(loop, fd);
}

int commands_start(struct agent *agent, struct err *err)
{
	static const struct ctl_loop_ops ops = { add_fd, mod_fd, del_fd };
	static const struct ctl_command commands[] = {
		{ "status", true, cmd_status },
		{ "watch", true, cmd_watch },
		{ "version", true, cmd_version },
		{ "config-show", true, cmd_config_show },
		{ "check", true, cmd_check },
		{ "reservation-show", true, cmd_reservation_show },
		{ "session-list", true, cmd_session_list },
		{ "counters", true, cmd_counters },
		{ "apply", false, cmd_apply },
		{ "move", false, cmd_move },
		{ "release", false, cmd_release },
		{ "reservation-clear", false, cmd_reservation_clear },
		{ "session-drop", false, cmd_session_drop },
		{ "promote", false, cmd_promote },
		{ "demote", false, cmd_demote },
		{ "confirm-down", false, cmd_confirm_down },
		{ "maintenance", false, cmd_maintenance },
		{ "fence-peer", false, cmd_fence_peer },
		{ "fence-owner", false, cmd_fence_owner },
	};
	_cleanup_free_ char *path = xasprintf("%s/control", agent->settings.run_dir);
	struct ctl_server_settings settings = { .path = path, .group = CTL_GROUP, .commands = commands,
						.n_commands = ARRAY_SIZE(commands), .ctx = agent, .gone = request_gone,
						.ops = &ops, .loop = agent->loop };
	int rc = file_make_dirs(agent->settings.run_dir, 0755);

	if (rc < 0)
		return err_errno(err, rc, "%s", agent->settings.run_dir);
	return ctl_server_open(&agent->ctl, &settings, err);
}
