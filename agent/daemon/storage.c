// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Storage of the groups on this node: provisioning after each new document, what DRBD says about the copies, and what
 * of it the cluster must know (ready, current).
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "agent/daemon/agent.h"
#include "agent/daemon/own_copy.h"
#include "agent/daemon/work.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/run_cmd.h"
#include "base/xalloc.h"

#define PROVISION_RETRY_MS 10000
#define INITIALISE_RETRY_MS 2000
#define EVENTS_RESTART_MS 1000
#define ASK_AGAIN_MS 4000
#define MEND_RETRY_MS 10000
#define NEGOTIATING_MS 5000

enum storage_task {
	TASK_PROVISION,  /* make what is missing */
	TASK_INITIALISE, /* declare brand-new copies equal */
	TASK_CONNECT,    /* after a takeover: the peer is back */
	TASK_ATTACH,     /* a disk that waits for what its peer has said already */
	TASK_RESUME,     /* the handler's time had run out; the cluster has agreed since */
};

struct storage_job {
	char group[HA_NAME_SIZE];
	uint32_t me;
	struct config_ref *ref;
	enum storage_task task;
};

static const char *const task_names[] = {
	[TASK_PROVISION] = "provisioning",
	[TASK_INITIALISE] = "initialising",
	[TASK_CONNECT] = "connecting DRBD",
	[TASK_ATTACH] = "attaching DRBD's disks anew",
	[TASK_RESUME] = "resuming DRBD",
};

static bool is_drbd(const struct config_group *group)
{
	return group->backend == CONFIG_BACKEND_DRBD;
}

static int run_job(void *ctx, struct err *err)
{
	struct storage_job *job = ctx;
	const struct config_group *group = config_group_by_name(job->ref->config, job->group);
	struct err ignored = ERR_INIT;
	int rc;

	switch (job->task) {
	case TASK_PROVISION:
		rc = backend_provision(job->ref->config, group, job->me, err);
		/* The module is loaded now; without the short way DRBD asks through drbdadm, slower but as well. */
		if (rc == 0 && is_drbd(group) && backend_install_helper(&ignored) < 0)
			log_debug("%s", ignored.text);
		return rc;
	case TASK_INITIALISE:
		return backend_initialise(job->ref->config, group, job->me, err);
	case TASK_CONNECT:
		return backend_connect(job->ref->config, group, err);
	case TASK_ATTACH:
		return backend_attach_anew(job->ref->config, group, err);
	case TASK_RESUME:
		return backend_resume(job->ref->config, group, err);
	}
	return -EINVAL;
}

static void job_done(void *owner, void *ctx, int result, const struct err *err)
{
	struct agroup *group = owner;
	struct storage_job *job = ctx;

	group->provisioning = false;
	snprintf(group->storage_error, sizeof(group->storage_error), "%s", result < 0 ? err->text : "");
	if (job->task == TASK_ATTACH) {
		group->detached = result < 0;
		if (result == 0) /* that it was off the disk for a moment may still be on its way: no failure */
			storage_restart_events(group->agent);
	}
	if (result < 0) {
		log_err("group %s: %s: %s", group->name, task_names[job->task], err->text);
		if (job->task == TASK_PROVISION) {
			group->provision_failed_version = job->ref->version;
			group->provision_retry_ms = clock_now_ms() + PROVISION_RETRY_MS;
		}
	} else if (job->task == TASK_PROVISION) {
		log_info("group %s: storage in place for document version %llu", group->name,
			 (unsigned long long)job->ref->version);
		group->refresh = group->live != NULL;
		config_ref_put(group->live);
		group->live = config_ref_get(job->ref);
	}
	config_ref_put(job->ref);
	free(job);
	info_touch(group->agent);
}

static void job_late(void *owner, const char *what)
{
	struct agroup *group = owner;

	snprintf(group->storage_error, sizeof(group->storage_error), "%s: takes unusually long", what);
	log_warning("%s", group->storage_error);
	info_touch(group->agent);
}

static void start_job(struct agroup *group, enum storage_task task)
{
	struct agent *agent = group->agent;
	struct storage_job *job = xcalloc(1, sizeof(*job));
	_cleanup_free_ char *what = xasprintf("group %s: %s", group->name, task_names[task]);

	snprintf(job->group, sizeof(job->group), "%s", group->name);
	job->me = agent_me(agent);
	job->ref = config_ref_get(task == TASK_PROVISION ? agent->config : group->live);
	job->task = task;
	group->provisioning = true;
	work_start(agent->loop, what, clock_now_ms() + agent->settings.provision_deadline_ms, run_job, job, job_done,
		   job_late, group);
}

/* Whether fn says so of each volume of the group; `unknown`: what counts for one that DRBD does not have. */
static bool each_volume_or(const struct agent *agent, const struct config_group *group,
			   bool (*fn)(const struct drbd_volume_state *state), bool unknown)
{
	for (const struct config_volume *volume = group->volumes; volume; volume = volume->next) {
		const struct drbd_volume_state *state = drbd_table_get(agent->drbd, volume->drbd_minor);

		if (!(state ? fn(state) : unknown))
			return false;
	}
	return true;
}

static bool each_volume(const struct agent *agent, const struct config_group *group, bool (*fn)(const struct drbd_volume_state *state))
{
	return each_volume_or(agent, group, fn, false);
}

/* "Consistent" is what DRBD says after a start without its peer: it would be up to date if nobody went on without it. Whether
 * somebody did is in the group's `current` set, which the core checks. */
static bool disk_is_usable(const struct drbd_volume_state *state)
{
	return strcmp(state->disk, "UpToDate") == 0 || strcmp(state->disk, "Consistent") == 0;
}

static bool disk_is_up_to_date(const struct drbd_volume_state *state)
{
	return strcmp(state->disk, "UpToDate") == 0;
}

static bool both_up_to_date(const struct drbd_volume_state *state)
{
	return strcmp(state->connection, "Connected") == 0 && disk_is_up_to_date(state) &&
	       strcmp(state->peer_disk, "UpToDate") == 0;
}

static bool is_attached(const struct drbd_volume_state *state)
{
	return strcmp(state->disk, "Failed") != 0 && strcmp(state->disk, "Diskless") != 0;
}

/* A primary that has lost it goes on, and what is written then the peer alone has, whether or not it is there now. A secondary has not
 * attached it yet. */
static bool own_disk_is_kept(const struct drbd_volume_state *state)
{
	return strcmp(state->role, "Primary") != 0 || is_attached(state);
}

/* Known not to have everything, as opposed to not seen. */
static bool peer_is_behind(const struct drbd_volume_state *state)
{
	return strcmp(state->peer_disk, "Outdated") == 0 || strcmp(state->peer_disk, "Inconsistent") == 0 ||
	       strcmp(state->peer_disk, "Failed") == 0 || strcmp(state->peer_disk, "Diskless") == 0;
}

static bool peer_is_not_behind(const struct drbd_volume_state *state)
{
	return !peer_is_behind(state);
}

static bool is_brand_new(const struct drbd_volume_state *state)
{
	return strcmp(state->disk, "Inconsistent") == 0 && strcmp(state->peer_disk, "Inconsistent") == 0;
}

static bool is_not_brand_new(const struct drbd_volume_state *state)
{
	return !is_brand_new(state);
}

static bool is_not_alone(const struct drbd_volume_state *state)
{
	return strcmp(state->connection, "StandAlone") != 0;
}

static bool is_not_negotiating(const struct drbd_volume_state *state)
{
	return strcmp(state->disk, "Negotiating") != 0 || strcmp(state->connection, "Connected") != 0;
}

static bool is_not_held(const struct drbd_volume_state *state)
{
	return strstr(state->suspended, "fencing") == NULL;
}

bool storage_disks_usable(const struct agent *agent, const struct config_group *group)
{
	if (!is_drbd(group))
		return true;
	return agent->drbd_fresh && each_volume(agent, group, disk_is_usable);
}

static uint32_t peer_of(const struct config_group *group, uint32_t me)
{
	return group->nodes[0] == me ? group->nodes[1] : group->nodes[0];
}

/* A lost owner leaves `current`. On storage that all share it lacks nothing once it is back: there is one copy. */
static void tell_others_current(struct agroup *group, const struct config_group *spec, const struct ha_group_view *view)
{
	for (size_t i = 0; i < HA_COPIES_MAX && view->nodes[i]; i++) {
		struct ha_event event = { .type = HA_EV_LOCAL, .local = HA_LOCAL_CURRENT, .group = group->name,
					  .nodeid = view->nodes[i] };

		if (spec->backend != CONFIG_BACKEND_SHARED || ha_set_has(view->current, event.nodeid) ||
		    !agent_node_is_up(group->agent, event.nodeid))
			continue;
		agent_step(group->agent, &event); /* a yes counts after a no */
		event.yes = true;
		agent_step(group->agent, &event);
	}
}

/* A `yes` counts only after a `no`, which is the truth about a copy that is not listed. */
static void tell_current(struct agroup *group, const struct ha_group_view *view, uint32_t nodeid, bool equal, bool behind)
{
	struct ha_event event = { .type = HA_EV_LOCAL, .local = HA_LOCAL_CURRENT, .group = group->name, .nodeid = nodeid };

	if (behind || (equal && !ha_set_has(view->current, nodeid)))
		agent_step(group->agent, &event);
	event.yes = true;
	if (equal)
		agent_step(group->agent, &event);
}

/* Not one that was taken off here, to be put on again. */
static bool lost_disk(const struct agroup *group, const struct config_group *spec)
{
	return !group->provisioning && !each_volume_or(group->agent, spec, own_disk_is_kept, true);
}

static void tell_core(struct agroup *group, const struct config_group *spec)
{
	struct agent *agent = group->agent;
	struct ha_event event = { .type = HA_EV_LOCAL, .local = HA_LOCAL_READY, .group = group->name };
	uint32_t me = agent_me(agent);
	struct ha_group_view view;
	bool equal = false;

	if (is_drbd(spec)) {
		if (!agent->drbd_fresh) /* DRBD is being asked anew: nothing is known for the moment */
			return;
		equal = each_volume(agent, spec, both_up_to_date);
		own_copy_is_behind(group, !equal && (group->behind || lost_disk(group, spec)));
	}
	event.yes = groups_ready(group);
	agent_step(agent, &event);
	if (group->job || ha_core_find_group(agent->core, group->name, &view) < 0)
		return;
	if (!is_drbd(spec)) {
		tell_others_current(group, spec, &view);
		return;
	}
	/* Neither: not connected, nothing is known; a primary that goes on alone asks through its handler. */
	tell_current(group, &view, peer_of(spec, me), equal,
		     !equal && !each_volume(agent, spec, peer_is_not_behind));
	/* Of its own copy an owner tells, and who knows that it lacks writes, until it has taken that back. */
	if (group->behind || group->told_behind || (view.owner == me && !group->provisioning)) {
		tell_current(group, &view, me, equal, group->behind);
		group->told_behind = group->behind || (group->told_behind && !equal);
	}
}

/* True if the document in force wants nothing else of this group's storage than `live` did. */
static bool same_storage(const struct agroup *group)
{
	const struct config *a = group->live->config, *b = group->agent->config->config;
	const struct config_group *ga = config_group_by_name(a, group->name), *gb = config_group_by_name(b, group->name);
	size_t n_a = 0, n_b = 0;

	if (!ga || !gb || ga->port != gb->port || memcmp(ga->nodes, gb->nodes, sizeof(ga->nodes)) != 0)
		return false;
	for (const struct config_volume *volume = ga->volumes; volume; volume = volume->next)
		n_a++;
	for (const struct config_volume *volume = gb->volumes; volume; volume = volume->next) {
		const struct config_volume *old = config_volume_by_name(a, volume->name);

		n_b++;
		if (!old || old->group != ga || old->size_bytes != volume->size_bytes)
			return false;
	}
	for (size_t i = 0; i < a->n_nodes; i++) {
		const struct config_node *now = config_node_by_id(b, a->nodes[i].nodeid);

		if (a->nodes[i].replication_address &&
		    (!now || !now->replication_address ||
		     strcmp(a->nodes[i].replication_address, now->replication_address) != 0))
			return false;
	}
	return n_a == n_b;
}

/* Starts `task` unless one runs or it was tried a moment ago. */
static void try_task(struct agroup *group, enum storage_task task, int64_t *retry_ms, int64_t now_ms)
{
	if (!group->provisioning && now_ms >= *retry_ms) {
		*retry_ms = now_ms + (task == TASK_INITIALISE ? INITIALISE_RETRY_MS : MEND_RETRY_MS);
		start_job(group, task);
	}
	agent_turn_by(group->agent, *retry_ms);
}

/*
 * Of two nodes that attach at the same moment over a connection that is there, one may miss the other's state, because it was Attaching
 * itself when that came, and negotiates for good (seen with 8.4.11, volumes added to a connected resource).
 */
static bool negotiates_for_good(struct agroup *group, const struct config_group *spec, int64_t now_ms)
{
	if (each_volume_or(group->agent, spec, is_not_negotiating, true)) {
		group->negotiating_ms = 0;
		return false;
	}
	group->negotiating_ms = group->negotiating_ms ? group->negotiating_ms : now_ms;
	agent_turn_by(group->agent, group->negotiating_ms + NEGOTIATING_MS);
	return now_ms >= group->negotiating_ms + NEGOTIATING_MS;
}

/* What a DRBD resource may need between two documents. */
static void mend_drbd(struct agroup *group, const struct config_group *spec, int64_t now_ms)
{
	struct agent *agent = group->agent;
	uint32_t peer = peer_of(spec, agent_me(agent));
	struct ha_group_view view;

	if (ha_core_find_group(agent->core, group->name, &view) < 0)
		return;
	if (negotiates_for_good(group, spec, now_ms) || group->detached)
		try_task(group, TASK_ATTACH, &group->attach_retry_ms, now_ms);
	else if (spec->nodes[0] == agent_me(agent) && !each_volume(agent, spec, is_not_brand_new))
		try_task(group, TASK_INITIALISE, &group->initialise_retry_ms, now_ms);
	else if (!each_volume(agent, spec, is_not_alone) && agent_node_is_up(agent, peer) && !group->job)
		try_task(group, TASK_CONNECT, &group->connect_retry_ms, now_ms);
	else if (!each_volume(agent, spec, is_not_held) && view.settled && !ha_set_has(view.current, peer) &&
		 view.owner == agent_me(agent))
		try_task(group, TASK_RESUME, &group->resume_retry_ms, now_ms);
}

static void kick(struct agroup *group)
{
	struct agent *agent = group->agent;
	int64_t now_ms = clock_now_ms();
	const struct config_group *spec;

	if (!group->has_copy || !config_group_by_name(agent->config->config, group->name))
		return;
	if (!group->provisioning && (!group->live || group->live->version != agent->config->version)) {
		if (group->live && same_storage(group)) {
			config_ref_put(group->live);
			group->live = config_ref_get(agent->config);
		} else if (group->provision_failed_version == agent->config->version &&
			   now_ms < group->provision_retry_ms) {
			agent_turn_by(agent, group->provision_retry_ms);
		} else {
			start_job(group, TASK_PROVISION);
		}
	}
	if (!group->live)
		return;
	spec = config_group_by_name(group->live->config, group->name);
	if (!spec)
		return;
	if (is_drbd(spec) && agent->drbd_fresh)
		mend_drbd(group, spec, now_ms);
	tell_core(group, spec);
}

/* --- DRBD's events ----------------------------------------------------------------------------------------------------*/

static void stop_events(struct agent *agent)
{
	if (agent->drbd_fd >= 0) {
		loop_fd_del(agent->loop, agent->drbd_fd);
		close(agent->drbd_fd);
		agent->drbd_fd = -1;
	}
	if (agent->drbd_pid > 0) {
		/* It may sleep in the kernel, waiting for a lock of DRBD's netlink: not waited for. */
		run_cmd_kill(agent->drbd_pid);
		agent->drbd_pid = -1;
	}
	agent->drbd_fresh = false;
	agent->drbd_stale = false;
	agent->drbd_line_len = 0;
}

static void handle_line(struct agent *agent, const char *line)
{
	int rc = drbd_table_line(agent->drbd, line);

	if (rc == -ESTALE)
		agent->drbd_stale = true;
	if (!agent->drbd_fresh && drbd_table_is_complete(agent->drbd)) {
		agent->drbd_fresh = true;
		rc = 1;
	}
	if (rc > 0)
		info_touch(agent);
}

static void handle_bytes(struct agent *agent, const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] == '\n') {
			agent->drbd_line[agent->drbd_line_len] = '\0';
			handle_line(agent, agent->drbd_line);
			agent->drbd_line_len = 0;
		} else if (agent->drbd_line_len < sizeof(agent->drbd_line) - 1) {
			agent->drbd_line[agent->drbd_line_len++] = bytes[i];
		}
	}
}

static void read_events(void *ctx, int fd, int revents)
{
	struct agent *agent = ctx;
	char bytes[4096];
	ssize_t got;

	(void)revents;
	while ((got = read(fd, bytes, sizeof(bytes))) > 0)
		handle_bytes(agent, bytes, (size_t)got);
	if (agent->drbd_stale) { /* the kernel has dropped events */
		storage_restart_events(agent);
		return;
	}
	if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
		log_warning("drbdsetup events2 has ended; starting it again");
		stop_events(agent);
		agent->drbd_restart_ms = clock_now_ms() + EVENTS_RESTART_MS;
		agent_turn_by(agent, agent->drbd_restart_ms);
	}
}

static bool any_drbd_live(const struct agent *agent)
{
	for (size_t i = 0; i < agent->n_groups; i++) {
		const struct agroup *group = agent->groups[i];
		const struct config_group *spec =
			group->live ? config_group_by_name(group->live->config, group->name) : NULL;

		if (spec && is_drbd(spec) && group->has_copy)
			return true;
	}
	return false;
}

static void keep_events_running(struct agent *agent)
{
	struct err err = ERR_INIT;

	if (agent->drbd_fd >= 0 || !any_drbd_live(agent))
		return;
	if (clock_now_ms() < agent->drbd_restart_ms) {
		agent_turn_by(agent, agent->drbd_restart_ms);
		return;
	}
	agent->drbd_restart_ms = clock_now_ms() + EVENTS_RESTART_MS;
	drbd_table_free(agent->drbd);
	agent->drbd = drbd_table_new();
	if (drbd_events_start(&agent->drbd_fd, &agent->drbd_pid, &err) < 0 ||
	    loop_fd_add(agent->loop, agent->drbd_fd, POLLIN, read_events, agent) < 0) {
		log_err("cannot watch DRBD: %s", err.text);
		stop_events(agent);
		agent_turn_by(agent, agent->drbd_restart_ms);
	}
}

void storage_restart_events(struct agent *agent)
{
	stop_events(agent);
	agent->drbd_restart_ms = 0;
	keep_events_running(agent);
}

static bool all_well(const struct agent *agent)
{
	for (size_t i = 0; i < agent->n_groups; i++) {
		const struct agroup *group = agent->groups[i];
		const struct config_group *spec =
			group->live ? config_group_by_name(group->live->config, group->name) : NULL;

		if (spec && group->has_copy && is_drbd(spec) &&
		    !each_volume(agent, spec, both_up_to_date))
			return false;
	}
	return true;
}

/* The kernel may drop events when memory is short (GFP_NOWAIT), 8.4 says nothing when a peer's new-current-uuid makes this disk
 * UpToDate (receive_uuids), nor how far a resync is. While something is not as it should be, all is asked anew. */
static void ask_again(struct agent *agent)
{
	int64_t now_ms = clock_now_ms();

	if (!agent->drbd_fresh || all_well(agent)) {
		agent->drbd_again_ms = now_ms + ASK_AGAIN_MS;
		return;
	}
	if (now_ms >= agent->drbd_again_ms) {
		agent->drbd_again_ms = now_ms + ASK_AGAIN_MS;
		storage_restart_events(agent);
	}
	agent_turn_by(agent, agent->drbd_again_ms);
}

void storage_kick(struct agent *agent)
{
	struct ha_core_view view;

	ha_core_view(agent->core, &view);
	/* A passive node has a document that may be old: it changes nothing. */
	if (agent->config && view.active) {
		for (size_t i = 0; i < agent->n_groups; i++)
			kick(agent->groups[i]);
	}
	keep_events_running(agent);
	ask_again(agent);
}

const char *storage_disk_error(const struct agent *agent, const struct agroup *group)
{
	const struct config_group *spec = group->live ? config_group_by_name(group->live->config, group->name) : NULL;

	if (!spec || !is_drbd(spec) || !agent->drbd_fresh || group->provisioning)
		return "";
	if (!each_volume_or(agent, spec, is_attached, true))
		return "DRBD works without a disk of it, after an I/O error: mend or replace it, then restart lunwardd";
	return group->behind ? "its copy here lacks writes since a disk failed, and serves again when DRBD has resynchronised it" : "";
}

json_t *storage_copies_json(const struct agent *agent, const struct agroup *group)
{
	const struct config *config = group->live ? group->live->config : NULL;
	const struct config_group *spec = config ? config_group_by_name(config, group->name) : NULL;
	const struct drbd_volume_state *worst = NULL;

	if (!spec || !is_drbd(spec))
		return json_null();
	/* One line per copy: that of the volume that is furthest from healthy. */
	for (const struct config_volume *volume = spec->volumes; volume; volume = volume->next) {
		const struct drbd_volume_state *state = drbd_table_get(agent->drbd, volume->drbd_minor);

		if (state && (!worst || (both_up_to_date(worst) && !both_up_to_date(state)) ||
			      state->done_percent < worst->done_percent))
			worst = state;
	}
	if (!worst)
		return json_null();
	return json_pack("{s:s, s:s, s:s, s:f}", "role", worst->role, "disk", worst->disk, "connection",
			 worst->connection, "resync_percent", worst->done_percent);
}
