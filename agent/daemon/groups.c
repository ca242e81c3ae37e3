// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Groups: what the core wants of this node (duty), what hosts must see (ALUA), and the jobs that make it so. One job per
 * group at a time; what to do next is decided when the last one has ended.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/daemon/agent.h"
#include "agent/daemon/group_job.h"
#include "agent/daemon/own_copy.h"
#include "agent/daemon/reservations.h"
#include "agent/daemon/work.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"

#define RETRY_MS 2000

static void kick(struct agroup *group);

static bool same_states(const enum lio_alua_state *a, const enum lio_alua_state *b, size_t n)
{
	return memcmp(a, b, n * sizeof(*a)) == 0;
}

static size_t count_nodes(const struct ha_group_view *view)
{
	size_t n = 0;

	while (n < HA_COPIES_MAX && view->nodes[n])
		n++;
	return n;
}

/* Ports this node answers for now or will after the tree job that is due: both count, so that no window opens. */
static size_t served_nodes(const struct agent *agent, uint32_t *ret)
{
	size_t n = agent->tree.n_scope;

	memcpy(ret, agent->tree.scope, n * sizeof(*ret));
	for (size_t i = 0; i < agent->tree.n_want; i++) {
		bool known = false;

		for (size_t k = 0; k < agent->tree.n_scope; k++)
			known = known || agent->tree.scope[k] == agent->tree.want[i];
		if (!known)
			ret[n++] = agent->tree.want[i];
	}
	return n;
}

static struct roles_input input_for(const struct agroup *group, const struct ha_group_view *view, bool serving, bool holding)
{
	struct ha_core_view core;

	ha_core_view(group->agent->core, &core);
	return (struct roles_input){ .me = agent_me(group->agent), .quorate = core.quorate, .phase = view->phase, .owner = view->owner,
				     .owner_lost = view->owner_lost, .leaving = group->agent->leave_by_ms != 0, .serving = serving, .holding = holding };
}

/* Standby lets reservation commands through. The ports that hosts can reach here, and no others. */
static void refuse_commands(const struct roles_input *in, const struct ha_group_view *view, enum lio_alua_state *states)
{
	for (size_t i = 0; i < HA_COPIES_MAX; i++) {
		bool here = view->nodes[i] == in->me;

		for (size_t k = 0; k < in->n_served; k++)
			here |= view->nodes[i] == in->served[k];
		if (here && view->nodes[i])
			states[i] = roles_refusing_state(in);
	}
}

static void states_for(const struct agroup *group, const struct ha_group_view *view, bool serving, bool holding,
		       enum lio_alua_state *ret)
{
	struct roles_input in = input_for(group, view, serving, holding);
	uint32_t served[2 * HA_NODES_MAX];

	in.served = served;
	in.n_served = served_nodes(group->agent, served);
	for (size_t i = 0; i < HA_COPIES_MAX; i++)
		ret[i] = view->nodes[i] ? roles_port_state(&in, view->nodes[i]) : LIO_ALUA_STANDBY;
	if (reservations_refuse(group))
		refuse_commands(&in, view, ret);
}

static void tell_serving(struct agroup *group)
{
	agent_step(group->agent, &(struct ha_event){ .type = HA_EV_LOCAL, .local = HA_LOCAL_SERVING,
						     .group = group->name, .yes = group->serving });
}

static void append_timeline(struct agroup *group, const struct timeline *steps)
{
	for (size_t i = 0; i < steps->n; i++)
		timeline_add(&group->timeline, steps->steps[i].name, steps->epoch, steps->steps[i].at_ms,
			     steps->steps[i].took_ms);
	info_touch(group->agent);
}

static void log_job_result(const struct agroup *group, const struct group_job *job, int result, const struct err *err)
{
	if (job->kind == GROUP_JOB_ALUA || job->kind == GROUP_JOB_INSPECT || job->kind == GROUP_JOB_REFRESH) {
		if (result < 0 && result != -EAGAIN)
			log_warning("group %s: %s: %s", group->name, group_job_name(job->kind), err->text);
		return;
	}
	if (result < 0)
		log_err("group %s epoch %llu: %s failed: %s", group->name, (unsigned long long)job->epoch,
			group_job_name(job->kind), err->text);
	else
		log_notice("group %s epoch %llu: %s done", group->name, (unsigned long long)job->epoch,
			   group_job_name(job->kind));
}

static void note_job_outcome(struct agroup *group, const struct group_job *job, int result)
{
	switch (job->kind) {
	case GROUP_JOB_ACQUIRE:
		group->serving = result == 0;
		group->holding = group->holding && result < 0;
		group->alua_valid = result == 0;
		memcpy(group->alua, job->after, sizeof(group->alua));
		break;
	case GROUP_JOB_REFRESH:
		group->alua_valid = false;
		group->refresh = result < 0 || job->live != group->live;
		break;
	case GROUP_JOB_RELEASE:
	case GROUP_JOB_STAND_DOWN:
		/* A failed release leaves some gates open: that counts as serving until it is put right. */
		if (result == 0)
			group->serving = false;
		group->holding = job->holding;
		group->alua_valid = job->holding;
		memcpy(group->alua, job->after, sizeof(group->alua));
		break;
	case GROUP_JOB_LET_GO:
		group->holding = result < 0;
		group->let_go_retry_ms = result < 0 ? clock_now_ms() + RETRY_MS : 0;
		group->alua_valid = result == 0;
		memcpy(group->alua, job->after, sizeof(group->alua));
		break;
	case GROUP_JOB_ALUA:
		group->alua_valid = result == 0;
		memcpy(group->alua, job->after, sizeof(group->alua));
		group->alua_retry_ms = result < 0 ? clock_now_ms() + RETRY_MS : 0;
		break;
	case GROUP_JOB_INSPECT:
		group->inspected = result == 0;
		group->inspect_retry_ms = result < 0 ? clock_now_ms() + RETRY_MS : 0;
		group->serving = job->found_any;
		group->holding = job->holding;
		break;
	}
}

static enum ha_action_type action_of(enum group_job_kind kind)
{
	switch ((int)kind) {
	case GROUP_JOB_ACQUIRE:
		return HA_ACT_ACQUIRE;
	case GROUP_JOB_RELEASE:
		return HA_ACT_RELEASE;
	default:
		return HA_ACT_STAND_DOWN;
	}
}

static void job_done(void *owner, void *ctx, int result, const struct err *err)
{
	struct agroup *group = owner;
	struct group_job *job = ctx;
	bool is_duty = job->kind == GROUP_JOB_ACQUIRE || job->kind == GROUP_JOB_RELEASE ||
		       job->kind == GROUP_JOB_STAND_DOWN;

	group->job = NULL;
	group->late[0] = '\0';
	snprintf(group->error, sizeof(group->error), "%s", result < 0 && result != -EAGAIN ? err->text : "");
	log_job_result(group, job, result, err);
	note_job_outcome(group, job, result);
	if (is_duty) {
		append_timeline(group, &job->timeline);
		/* What DRBD said about the lost peer's copy before the promotion must not be said again after it. */
		if (job->kind == GROUP_JOB_ACQUIRE && job->peer_lost)
			storage_restart_events(group->agent);
		agent_step(group->agent, &(struct ha_event){ .type = HA_EV_DONE, .action = action_of(job->kind),
							     .group = group->name, .epoch = job->epoch,
							     .result = result, .text = result < 0 ? err->text : "" });
	} else if (job->kind == GROUP_JOB_LET_GO) {
		append_timeline(group, &job->timeline);
	} else if (job->kind == GROUP_JOB_INSPECT && result == 0) {
		tell_serving(group);
	}
	config_ref_put(job->live);
	free(job);
	info_touch(group->agent);
	kick(group);
}

static void job_late(void *owner, const char *what)
{
	struct agroup *group = owner;

	snprintf(group->late, sizeof(group->late), "%s", what);
	log_err("%s: still running after %lld ms; it cannot be stopped and holds up this group", what,
		(long long)group->agent->settings.job_deadline_ms);
	info_touch(group->agent);
}

static void start_job(struct agroup *group, const struct ha_group_view *view, enum group_job_kind kind, uint64_t epoch,
		      bool peer_lost)
{
	struct agent *agent = group->agent;
	struct group_job *job = xcalloc(1, sizeof(*job));
	_cleanup_free_ char *what = xasprintf("group %s: %s", group->name, group_job_name(kind));

	*job = (struct group_job){ .kind = kind, .epoch = epoch, .peer_lost = peer_lost,
				   .live = config_ref_get(group->live ? group->live : agent->config), .threads = agent->settings.threads,
				   .me = agent_me(agent), .n_nodes = count_nodes(view) };
	snprintf(job->group, sizeof(job->group), "%s", group->name);
	snprintf(job->template_path, sizeof(job->template_path), "%s", agent->tree.template_path);
	job->roots.configfs = agent->settings.configfs;
	memcpy(job->nodes, view->nodes, sizeof(job->nodes));
	states_for(group, view, false, false, job->before);
	if (kind == GROUP_JOB_STAND_DOWN || kind == GROUP_JOB_RELEASE) {
		for (size_t i = 0; i < HA_COPIES_MAX; i++)
			job->before[i] = LIO_ALUA_TRANSITIONING;
	}
	states_for(group, view, kind == GROUP_JOB_ALUA ? group->serving : kind != GROUP_JOB_LET_GO,
		   kind == GROUP_JOB_ALUA && group->holding, job->after);
	group->job = job;
	work_start(agent->loop, what, clock_now_ms() + agent->settings.job_deadline_ms, group_job_run, job, job_done,
		   job_late, group);
}

static void run_duty(struct agroup *group, const struct ha_group_view *view)
{
	static const enum group_job_kind kinds[] = {
		[DUTY_ACQUIRE] = GROUP_JOB_ACQUIRE,
		[DUTY_RELEASE] = GROUP_JOB_RELEASE,
		[DUTY_STAND_DOWN] = GROUP_JOB_STAND_DOWN,
	};
	enum duty duty = group->duty;

	group->duty = DUTY_NONE;
	start_job(group, view, kinds[duty], group->duty_epoch, group->duty_peer_lost);
}

/* An acquire that is due is answered without having begun. */
static void refuse_acquire(struct agroup *group, int rc)
{
	group->duty = DUTY_NONE;
	agent_step(group->agent, &(struct ha_event){ .type = HA_EV_DONE, .action = HA_ACT_ACQUIRE, .group = group->name,
						     .epoch = group->duty_epoch, .result = rc, .text = group->error });
}

/* Whether an acquire that is due has to wait, or was given up. Who serves over the peer's copy goes on with that. */
static bool acquire_waits(struct agroup *group)
{
	if (group->duty != DUTY_ACQUIRE)
		return false;
	if (group->behind && !group->serving) {
		snprintf(group->error, sizeof(group->error), "this node's copy lacks writes since its disk failed, until DRBD has resynchronised it");
		refuse_acquire(group, -ESTALE);
		return true;
	}
	if (!reservations_hold_acquire(group))
		return false;
	if (reservations_load_failed(group)) { /* without them a host that was shut out could write */
		snprintf(group->error, sizeof(group->error), "the reservations could not be loaded into this node's kernel: %.400s",
			 group->agent->tree.error);
		refuse_acquire(group, -EIO);
	}
	return true;
}

/* As after a death half-way: the machine closes the group, and acquires it at a new epoch. */
static void begin_anew(struct agroup *group, const struct ha_group_view *view)
{
	if (group->anew_epoch != view->epoch)
		log_warning("group %s epoch %llu: which reservations this node's kernel has is not known: the group is closed, and acquired again with "
			    "those of the cluster", group->name, (unsigned long long)view->epoch);
	group->anew_epoch = view->epoch;
	agent_step(group->agent, &(struct ha_event){ .type = HA_EV_LOCAL, .local = HA_LOCAL_SERVING, .group = group->name, .yes = true,
						     .result = -EUCLEAN });
}

static void kick(struct agroup *group)
{
	struct agent *agent = group->agent;
	enum lio_alua_state want[HA_COPIES_MAX];
	struct ha_group_view view;
	int64_t now_ms = clock_now_ms();
	bool serves;

	if (group->job || !group->has_copy || !agent->config ||
	    ha_core_find_group(agent->core, group->name, &view) < 0)
		return;
	if (!group->inspected) {
		if (now_ms >= group->inspect_retry_ms)
			start_job(group, &view, GROUP_JOB_INSPECT, view.epoch, false);
		else
			agent_turn_by(agent, group->inspect_retry_ms);
		return;
	}
	if (acquire_waits(group))
		return;
	if (group->duty == DUTY_ACQUIRE && agent->leave_by_ms) /* the next agent's */
		return;
	if (group->duty != DUTY_NONE && (group->duty != DUTY_ACQUIRE || (group->live && agent->tree.applied_version && !group->foreign))) {
		run_duty(group, &view);
		return;
	}
	if (!agent->tree.applied_version) /* nothing of ours in the kernel is to be touched before the tree is known */
		return;
	serves = group->serving && view.phase == HA_PHASE_OWNED && view.owner == agent_me(agent);
	if (serves && reservations_unsure(group)) {
		begin_anew(group, &view);
		return;
	}
	if (serves && group->refresh && now_ms >= group->refresh_at_ms) {
		group->refresh_at_ms = now_ms + RETRY_MS;
		agent_turn_by(agent, group->refresh_at_ms);
		start_job(group, &view, GROUP_JOB_REFRESH, view.epoch, false);
		return;
	}
	if (group->holding && !group->serving) {
		const struct roles_input in = input_for(group, &view, false, true);

		if (!roles_may_hold(&in)) {
			if (now_ms >= group->let_go_retry_ms)
				start_job(group, &view, GROUP_JOB_LET_GO, view.epoch, false);
			else
				agent_turn_by(agent, group->let_go_retry_ms);
			return;
		}
	}
	/* The acquire that is due sets them; a state in between would only send hosts to sleep. But what is taken over first has to begin somewhere. */
	if (group->alua_valid && !group->foreign && view.phase == HA_PHASE_ACQUIRING && view.owner == agent_me(agent) && !group->serving)
		return;
	states_for(group, &view, group->serving, group->holding, want);
	if (group->alua_valid && same_states(want, group->alua, count_nodes(&view)))
		return;
	if (now_ms < group->alua_retry_ms) {
		agent_turn_by(agent, group->alua_retry_ms);
		return;
	}
	start_job(group, &view, GROUP_JOB_ALUA, view.epoch, false);
}

static void watch_owner(struct agroup *group)
{
	struct ha_group_view view;

	if (ha_core_find_group(group->agent->core, group->name, &view) < 0)
		return;
	if (view.owner_lost && !group->owner_was_lost) {
		timeline_start(&group->timeline);
		timeline_add(&group->timeline, "membership lost", view.epoch, clock_wall_ms(), 0);
	}
	group->owner_was_lost = view.owner_lost;
	if (view.epoch != group->epoch)
		group->epoch_since_ms = clock_now_ms();
	group->epoch = view.epoch;
}

void groups_kick(struct agent *agent)
{
	for (size_t i = 0; i < agent->n_groups; i++) {
		watch_owner(agent->groups[i]);
		kick(agent->groups[i]);
	}
}

bool groups_rest(const struct agent *agent)
{
	for (size_t i = 0; i < agent->n_groups; i++) {
		const struct agroup *group = agent->groups[i];

		if (group->job || (group->inspected && group->has_copy && agent->tree.applied_version && !group->alua_valid))
			return false;
	}
	return true;
}

void groups_duty(struct agroup *group, enum duty duty, uint64_t epoch, bool peer_lost)
{
	if (duty == DUTY_RELEASE || (duty == DUTY_ACQUIRE && !peer_lost))
		timeline_start(&group->timeline);
	timeline_add(&group->timeline, duty == DUTY_ACQUIRE ? "acquire" : duty == DUTY_RELEASE ? "release" : "stand down",
		     epoch, clock_wall_ms(), 0);
	if (duty == DUTY_STAND_DOWN && group->job)
		__atomic_store_n(&group->job->cancelled, true, __ATOMIC_RELEASE);
	group->duty = duty; /* one that has not begun is dropped: the core wants it so */
	group->duty_epoch = epoch;
	group->duty_peer_lost = peer_lost;
	kick(group);
}

bool groups_ready(const struct agroup *group)
{
	const struct agent *agent = group->agent;
	const struct config_group *spec;

	if (!group->has_copy || !group->live || !agent->config || group->live->version != agent->config->version ||
	    !agent->tree.applied_version || group->late[0] || group->behind || reservations_missing(group))
		return false;
	spec = config_group_by_name(group->live->config, group->name);
	return spec && storage_disks_usable(agent, spec);
}

static struct agroup *find_group(struct agent *agent, const char *name)
{
	for (size_t i = 0; i < agent->n_groups; i++) {
		if (strcmp(agent->groups[i]->name, name) == 0)
			return agent->groups[i];
	}
	return NULL;
}

struct agroup *agent_group(struct agent *agent, const char *name)
{
	return find_group(agent, name);
}

bool agent_pacemaker_places(const struct agent *agent, const char *group)
{
	const struct config_group *spec = agent->config ? config_group_by_name(agent->config->config, group) : NULL;

	return spec && spec->placement == CONFIG_PLACEMENT_PACEMAKER;
}

static void drop_gone_groups(struct agent *agent)
{
	size_t kept = 0;

	for (size_t i = 0; i < agent->n_groups; i++) {
		struct agroup *group = agent->groups[i];

		if (group->job || group->provisioning || group->noting || group->serving ||
		    config_group_by_name(agent->config->config, group->name)) {
			agent->groups[kept++] = group;
			continue;
		}
		config_ref_put(group->live);
		free(group);
	}
	agent->n_groups = kept;
}

void groups_sync_list(struct agent *agent)
{
	const struct config *config = agent->config->config;

	drop_gone_groups(agent);
	for (size_t i = 0; i < config->n_groups; i++) {
		struct agroup *group = find_group(agent, config->groups[i].name);

		if (!group) {
			group = xcalloc(1, sizeof(*group));
			group->agent = agent;
			snprintf(group->name, sizeof(group->name), "%s", config->groups[i].name);
			own_copy_load(group);
			*array_push(agent->groups, agent->n_groups, agent->cap_groups) = group;
		}
		group->has_copy = config_group_has_node(&config->groups[i], agent_me(agent));
		if (!group->has_copy) {
			/* Nothing of it can be open here; the core need not wait for an inspection. */
			if (!group->inspected)
				tell_serving(group);
			group->inspected = true;
		}
	}
}
