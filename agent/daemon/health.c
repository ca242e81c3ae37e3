// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/health.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "agent/daemon/health_rules.h"
#include "agent/daemon/work.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/run_cmd.h"
#include "base/xalloc.h"
#include "target-config/lio/sessions.h"

#define EVERY_MS 10000
#define LIMIT_MS 8000 /* for the looks of a round */
#define GRACE_MS 2000 /* for the program to say so */
#define LATE_MS 30000
#define PASSWORD_BYTES 16
#define TOLD_MAX 64 /* faults: a node with thousands of groups has them all at once */

struct health {
	struct health_rules *rules;
	bool running;
	bool looks; /* there was a round since there are portals here */
	int64_t next_ms;
	char password[2 * PASSWORD_BYTES + 1];
	json_t *faults; /* as info has them */
};

struct look_lun {
	char group[HA_NAME_SIZE];
	uint64_t epoch;
};

struct look {
	const struct config_target *target; /* of the round's document */
	uint32_t tpgt;
	char *portal;
	json_t *task;
	struct look_lun *luns; /* in the task's order */
	size_t n_luns, cap_luns;
	bool lingers; /* the session of the last look is still there */
};

struct round {
	struct config_ref *ref;
	struct lio_roots roots;
	const char *program;
	json_t *task;   /* without its looks */
	json_t *answer; /* NULL: none */
	struct look *looks;
	size_t n, cap;
};

/* --- what there is to look at ------------------------------------------------------------------------------------------*/

/* Nothing is under way and nothing due: what is seen now is what is meant. */
static bool is_settled(const struct agroup *group, const struct ha_group_view *view)
{
	return group->has_copy && group->inspected && !group->job && group->duty == DUTY_NONE && !group->holding && !group->refresh &&
	       !group->provisioning && group->alua_valid && group->live && group->live->version == group->agent->config->version &&
	       view->settled && view->phase == HA_PHASE_OWNED && !view->owner_lost &&
	       group->serving == (view->owner == agent_me(group->agent));
}

/* -1: no state that a host may rely on. */
static int state_at(const struct agroup *group, const struct ha_group_view *view, uint32_t nodeid)
{
	for (size_t i = 0; i < HA_COPIES_MAX && view->nodes[i]; i++) {
		if (view->nodes[i] == nodeid && group->alua[i] <= LIO_ALUA_STANDBY)
			return group->alua[i];
	}
	return -1;
}

/* Another one each time: a cache has not got them all, and one bad sector is not a dead disk. */
static json_int_t some_block(const struct config_volume *volume)
{
	uint64_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
		random = (uint64_t)clock_now_us();
	return (json_int_t)(random % (volume->size_bytes / volume->block_size));
}

static void add_lun(struct look *look, const struct agroup *group, const struct config_volume *volume)
{
	struct ha_group_view view;
	char naa[33];
	json_t *lun;
	struct look_lun *of;
	int state;

	if (ha_core_find_group(group->agent->core, group->name, &view) < 0 || !is_settled(group, &view))
		return;
	state = state_at(group, &view, look->tpgt);
	if (state < 0)
		return;
	config_naa(volume->serial, naa);
	lun = json_pack("{s:i, s:s, s:i, s:i}", "lun", (int)volume->group->lu_gp_id, "naa", naa, "port_group", (int)look->tpgt, "state",
			state);
	if (group->serving && state != LIO_ALUA_STANDBY) {
		json_object_set_new(lun, "block", json_integer(some_block(volume)));
		json_object_set_new(lun, "block_size", json_integer(volume->block_size));
	}
	json_array_append_new(json_object_get(look->task, "luns"), lun);
	of = array_push(look->luns, look->n_luns, look->cap_luns);
	snprintf(of->group, sizeof(of->group), "%s", group->name);
	of->epoch = view.epoch;
}

static void add_look(struct agent *agent, struct round *round, const struct config_target *target, const struct config_portal *portal)
{
	struct look *look = array_push(round->looks, round->n, round->cap);

	*look = (struct look){ .target = target, .tpgt = portal->nodeid, .portal = lio_portal_name(portal) };
	look->task = json_pack("{s:s, s:s, s:[]}", "portal", look->portal, "target", target->name, "luns");
	for (size_t g = 0; g < agent->n_groups; g++) {
		const struct config_group *group = config_group_by_name(round->ref->config, agent->groups[g]->name);
		const struct config_volume *volume = group ? lio_health_volume(round->ref->config, target, group) : NULL;

		if (volume && config_group_has_node(group, portal->nodeid))
			add_lun(look, agent->groups[g], volume);
	}
}

/* libiscsi has no data digests, and no other fabric. */
static bool speaks_our_iscsi(const struct config_target *target)
{
	return config_target_is_iscsi(target) &&
	       strstr(config_target_parameter(target, config_parameter_by_name("DataDigest") - config_parameter(0)), "None");
}

static struct round *new_round(struct agent *agent)
{
	struct round *round = xcalloc(1, sizeof(*round));
	const struct config *config = agent->config->config;

	round->ref = config_ref_get(agent->config);
	round->roots.configfs = agent->settings.configfs;
	round->program = agent->settings.health;
	round->task = json_pack("{s:s, s:s, s:s, s:i}", "initiator", CONFIG_HEALTH_INITIATOR, "user", LIO_HEALTH_USER, "password",
				agent->health->password, "limit_ms", LIMIT_MS);
	for (size_t t = 0; t < config->n_targets; t++) {
		for (size_t p = 0; p < config->targets[t].n_portals; p++) {
			const struct config_portal *portal = &config->targets[t].portals[p];

			if (tree_serves_portals_of(agent, portal->nodeid) && (portal->prefix_len || portal->nodeid == agent_me(agent)) &&
			    speaks_our_iscsi(&config->targets[t]))
				add_look(agent, round, &config->targets[t], portal);
		}
	}
	return round;
}

static void free_round(struct round *round)
{
	for (size_t i = 0; i < round->n; i++) {
		free(round->looks[i].portal);
		free(round->looks[i].luns);
		json_decref(round->looks[i].task);
	}
	free(round->looks);
	json_decref(round->task);
	json_decref(round->answer);
	config_ref_put(round->ref);
	free(round);
}

/* --- looking, in a worker ----------------------------------------------------------------------------------------------*/

/* A command that hangs holds its session in the kernel. One is enough. */
static bool session_lingers(const struct round *round, const struct look *look)
{
	struct lio_session session;

	if (lio_session_read(&round->roots, look->target->name, look->tpgt, CONFIG_HEALTH_INITIATOR, &session) < 0)
		return false;
	lio_session_done(&session);
	return true;
}

static int run_round(void *ctx, struct err *err)
{
	struct round *round = ctx;
	const char *const argv[] = { round->program, NULL };
	json_t *looks = json_array();
	_cleanup_free_ char *input = NULL;
	_cleanup_free_ char *output = NULL;
	struct run_cmd cmd = { .argv = argv, .deadline_ms = LIMIT_MS + GRACE_MS };
	int rc, status;

	json_object_set_new(round->task, "looks", looks);
	for (size_t i = 0; i < round->n; i++) {
		round->looks[i].lingers = session_lingers(round, &round->looks[i]);
		if (!round->looks[i].lingers)
			json_array_append(looks, round->looks[i].task);
	}
	input = json_dumps(round->task, JSON_COMPACT);
	cmd.input = input;
	rc = run_cmd(&cmd, &output, &status, err);
	if (rc < 0)
		return rc;
	round->answer = json_loads(output, JSON_REJECT_DUPLICATES, NULL);
	if (json_array_size(json_object_get(round->answer, "looks")) != json_array_size(looks))
		return err_set(err, -EBADMSG, "%s gives no answer to its task", round->program);
	return 0;
}

/* --- what comes of it ---------------------------------------------------------------------------------------------------*/

static const char *text_of(json_t *item, const char *key, const char *otherwise)
{
	const char *text = json_string_value(json_object_get(item, key));

	return text ? text : otherwise;
}

static bool is_still_so(struct agent *agent, const struct look_lun *lun)
{
	const struct agroup *group = agent_group(agent, lun->group);
	struct ha_group_view view;

	return group && ha_core_find_group(agent->core, lun->group, &view) == 0 && view.epoch == lun->epoch && is_settled(group, &view);
}

static void note_look(struct agent *agent, const struct look *look, json_t *answer, int64_t now_ms)
{
	struct health_rules *rules = agent->health->rules;
	struct health_view view = { .portal = look->portal, .target = look->target->name, .group = "" };

	view.result = text_of(answer, "result", "unknown");
	view.text = text_of(answer, "text", "");
	health_rules_saw(rules, &view, now_ms);
	for (size_t i = 0; i < look->n_luns; i++) {
		json_t *lun = json_array_get(json_object_get(answer, "luns"), i);

		if (!is_still_so(agent, &look->luns[i]))
			continue;
		view.group = look->luns[i].group;
		view.epoch = look->luns[i].epoch;
		view.result = text_of(lun, "result", "unknown");
		view.text = text_of(lun, "text", "");
		health_rules_saw(rules, &view, now_ms);
	}
}

static void note_looking(struct agent *agent, int result, const char *text, int64_t now_ms)
{
	const struct health_view view = { "", "", "", 0, result < 0 ? "look" : "good", text };

	health_rules_saw(agent->health->rules, &view, now_ms);
}

static void note_round(struct agent *agent, const struct round *round, int64_t now_ms)
{
	json_t *answers = json_object_get(round->answer, "looks");
	size_t n = 0;

	health_rules_begin(agent->health->rules);
	note_looking(agent, 0, "", now_ms);
	for (size_t i = 0; i < round->n; i++) {
		const struct look *look = &round->looks[i];

		if (look->lingers)
			health_rules_still(agent->health->rules, look->portal, look->target->name, now_ms);
		else
			note_look(agent, look, json_array_get(answers, n++), now_ms);
	}
	health_rules_end(agent->health->rules);
}

static void add_fault(void *ctx, const struct health_view *fault)
{
	json_t *text;

	if (json_array_size(ctx) >= TOLD_MAX)
		return;
	text = json_string(fault->text);
	json_array_append_new(ctx, json_pack("{s:s, s:s, s:s, s:s, s:o}", "portal", fault->portal, "target", fault->target, "group",
					     fault->group, "result", fault->result, "text", text ? text : json_string("?")));
}

static bool has_fault(const json_t *faults, const json_t *fault)
{
	const json_t *other;
	size_t i;

	json_array_foreach (faults, i, other) {
		if (json_equal(other, fault))
			return true;
	}
	return false;
}

static void log_fault(json_t *fault, enum log_level level, const char *prefix)
{
	const char *group = text_of(fault, "group", ""), *portal = text_of(fault, "portal", "");

	log_write(level, "health: %s%s%s%s%s%s%s%s", prefix, portal, *portal ? " of " : "", text_of(fault, "target", ""),
		  *group ? ", group " : "", group, *portal ? ": " : "", text_of(fault, "text", ""));
}

static void tell(struct agent *agent, bool looks)
{
	struct health *health = agent->health;
	json_t *faults = json_array(), *before = health->faults;
	json_t *fault;
	size_t i;

	health_rules_faults(health->rules, add_fault, faults);
	if (json_equal(faults, before) && looks == health->looks) {
		json_decref(faults);
		return;
	}
	json_array_foreach (faults, i, fault) {
		if (!has_fault(before, fault))
			log_fault(fault, LOG_LEVEL_WARNING, "");
	}
	json_array_foreach (before, i, fault) {
		if (!has_fault(faults, fault))
			log_fault(fault, LOG_LEVEL_NOTICE, "no more: ");
	}
	health->faults = faults;
	health->looks = looks;
	json_decref(before);
	info_touch(agent);
}

/* --- giving a group away ------------------------------------------------------------------------------------------------*/

static struct health_peer peer_of(const struct agent *agent, const struct ha_group_view *view, uint32_t nodeid)
{
	const json_t *info = json_object_get(json_object_get(info_of(agent, nodeid), "groups"), view->name);
	struct ha_node_view node;

	return (struct health_peer){ .nodeid = nodeid,
				     .able = nodeid != agent_me(agent) && ha_core_find_node(agent->core, nodeid, &node) == 0 &&
					     node.state == HA_NODE_UP && !node.maintenance && ha_set_has(view->current, nodeid) &&
					     ha_set_has(view->ready, nodeid),
				     .gave = json_is_true(json_object_get(info, "health_gave")) };
}

static void give_away(struct agroup *group, int64_t now_ms)
{
	struct agent *agent = group->agent;
	struct health_peer peers[HA_COPIES_MAX];
	struct ha_group_view view;
	uint32_t to;
	size_t n = 0;

	if (!group->serving || ha_core_find_group(agent->core, group->name, &view) < 0 || !is_settled(group, &view) ||
	    agent_pacemaker_places(agent, group->name))
		return;
	for (; n < HA_COPIES_MAX && view.nodes[n]; n++)
		peers[n] = peer_of(agent, &view, view.nodes[n]);
	to = health_rules_successor(agent->health->rules, group->name, peers, n, now_ms);
	if (!to)
		return;
	log_warning("group %s epoch %llu: reads fail here, and %s can have it", group->name, (unsigned long long)view.epoch,
		    agent_node_name(agent, to));
	health_rules_give(agent->health->rules, group->name, now_ms);
	info_touch(agent);
	/* As an operator's: refused, it is not tried again before the brake is off. */
	agent_step(agent, &(struct ha_event){ .type = HA_EV_REQUEST, .request = HA_REQ_MOVE, .group = group->name, .nodeid = to,
					      .request_id = ++agent->next_request_id });
}

/* --- round after round --------------------------------------------------------------------------------------------------*/

static void round_done(void *owner, void *ctx, int result, const struct err *err)
{
	struct agent *agent = owner;
	struct round *round = ctx;
	int64_t now_ms = clock_now_ms();

	agent->health->running = false;
	agent->health->next_ms = now_ms + EVERY_MS;
	if (result < 0)
		note_looking(agent, result, err->text, now_ms);
	else if (agent->config->version == round->ref->version)
		note_round(agent, round, now_ms);
	tell(agent, true);
	for (size_t i = 0; i < agent->n_groups; i++)
		give_away(agent->groups[i], now_ms);
	free_round(round);
}

void health_kick(struct agent *agent)
{
	struct health *health = agent->health;
	int64_t now_ms = clock_now_ms();
	struct ha_core_view view;

	if (!health || health->running || !agent->config)
		return;
	ha_core_view(agent->core, &view);
	if (!view.active || !agent->tree.n_scope) { /* what was seen before is not so any more */
		health_rules_begin(health->rules);
		health_rules_end(health->rules);
		tell(agent, false);
		return;
	}
	if (now_ms < health->next_ms) {
		agent_turn_by(agent, health->next_ms);
		return;
	}
	if (!tree_rests(agent)) /* a look must not be what keeps a portal busy that is to go (docs/decisions/0007); the end of a job is a turn */
		return;
	health->running = true;
	work_start(agent->loop, "looking at the own portals", now_ms + LATE_MS, run_round, new_round(agent), round_done, NULL, agent);
}

void health_start(struct agent *agent)
{
	unsigned char bytes[PASSWORD_BYTES];
	struct health *health;

	if (!agent->settings.health)
		return;
	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		abort(); /* sizes up to 256 bytes never fail or stop short (getrandom(2)) */
	health = xcalloc(1, sizeof(*health));
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(health->password + 2 * i, 3, "%02x", bytes[i]);
	health->rules = health_rules_new();
	health->faults = json_array();
	health->next_ms = clock_now_ms() + EVERY_MS;
	agent->health = health;
}

const char *health_password(const struct agent *agent)
{
	return agent->health ? agent->health->password : NULL;
}

json_t *health_json(const struct agent *agent)
{
	return agent->health && agent->health->looks ? json_incref(agent->health->faults) : json_null();
}

bool health_gave(const struct agroup *group)
{
	return group->agent->health && health_rules_gave(group->agent->health->rules, group->name, clock_now_ms());
}
