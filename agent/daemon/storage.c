// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Storage of the groups on this node: provisioning after each new document, what DRBD says about the copies, and what
 * of it the cluster must know (ready, current).
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "agent/daemon/agent.h"
#include "agent/daemon/work.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"

#define PROVISION_RETRY_MS 10000
#define INITIALISE_RETRY_MS 2000
#define EVENTS_RESTART_MS 1000
#define CONNECT_DEADLINE_MS 60000

struct storage_job {
	char group[HA_NAME_SIZE];
	uint32_t me;
	struct config_ref *ref;
	bool provision;  /* make what is missing; otherwise only: */
	bool initialise; /* declare brand-new copies equal */
};

static int run_job(void *ctx, struct err *err)
{
	struct storage_job *job = ctx;
	const struct config_group *group = config_group_by_name(job->ref->config, job->group);

	if (job->provision)
		return backend_provision(job->ref->config, group, job->me, err);
	return backend_initialise(job->ref->config, group, job->me, err);
}

static bool is_drbd(const struct config_group *group)
{
	return group->backend == CONFIG_BACKEND_DRBD;
}

static void job_done(void *owner, void *ctx, int result, const struct err *err)
{
	struct agroup *group = owner;
	struct storage_job *job = ctx;
	const char *what = job->provision ? "provisioning" : "initialising";

	group->provisioning = false;
	snprintf(group->storage_error, sizeof(group->storage_error), "%s", result < 0 ? err->text : "");
	if (result < 0) {
		log_err("group %s: %s: %s", group->name, what, err->text);
		group->provision_failed_version = job->ref->version;
		group->provision_retry_ms = clock_now_ms() + PROVISION_RETRY_MS;
	} else if (job->provision) {
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

static void start_job(struct agroup *group, bool provision)
{
	struct agent *agent = group->agent;
	struct storage_job *job = xcalloc(1, sizeof(*job));
	_cleanup_free_ char *what = xasprintf("group %s: %s", group->name, provision ? "provisioning" : "initialising");

	snprintf(job->group, sizeof(job->group), "%s", group->name);
	job->me = agent_me(agent);
	job->ref = config_ref_get(provision ? agent->config : group->live);
	job->provision = provision;
	job->initialise = !provision;
	group->provisioning = true;
	work_start(agent->loop, what, clock_now_ms() + agent->settings.provision_deadline_ms, run_job, job, job_done,
		   job_late, group);
}

/* Calls fn for each volume of the group until it returns false; returns whether all returned true. */
static bool each_volume(const struct agent *agent, const struct config *config, const struct config_group *group,
			bool (*fn)(const struct drbd_volume_state *state))
{
	for (size_t i = 0; i < config->n_volumes; i++) {
		const struct drbd_volume_state *state;

		if (config->volumes[i].group != group)
			continue;
		state = drbd_table_get(agent->drbd, config->volumes[i].drbd_minor);
		if (!state || !fn(state))
			return false;
	}
	return true;
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

bool storage_disks_usable(const struct agent *agent, const struct config *config, const struct config_group *group)
{
	if (!is_drbd(group))
		return true;
	return agent->drbd_fresh && each_volume(agent, config, group, disk_is_usable);
}

static uint32_t peer_of(const struct config_group *group, uint32_t me)
{
	return group->nodes[0] == me ? group->nodes[1] : group->nodes[0];
}

static void tell_core(struct agroup *group, const struct config_group *spec)
{
	struct agent *agent = group->agent;
	struct ha_event event = { .type = HA_EV_LOCAL, .local = HA_LOCAL_READY, .group = group->name,
				  .yes = groups_ready(group) };

	agent_step(agent, &event);
	if (!is_drbd(spec) || !agent->drbd_fresh)
		return;
	event.local = HA_LOCAL_CURRENT;
	event.nodeid = peer_of(spec, agent_me(agent));
	if (each_volume(agent, group->live->config, spec, both_up_to_date))
		event.yes = true;
	else if (!each_volume(agent, group->live->config, spec, peer_is_not_behind))
		event.yes = false;
	else
		return; /* not connected: nothing is known; a primary that goes on alone asks through its handler */
	agent_step(agent, &event);
}

/* True if the document in force wants nothing else of this group's storage than `live` did. */
static bool same_storage(const struct agroup *group)
{
	const struct config *a = group->live->config, *b = group->agent->config->config;
	const struct config_group *ga = config_group_by_name(a, group->name), *gb = config_group_by_name(b, group->name);
	size_t n_a = 0, n_b = 0;

	if (!ga || !gb || ga->port != gb->port || memcmp(ga->nodes, gb->nodes, sizeof(ga->nodes)) != 0)
		return false;
	for (size_t i = 0; i < a->n_volumes; i++)
		n_a += a->volumes[i].group == ga;
	for (size_t i = 0; i < b->n_volumes; i++) {
		const struct config_volume *old;

		if (b->volumes[i].group != gb)
			continue;
		n_b++;
		old = config_volume_by_name(a, b->volumes[i].name);
		if (!old || old->group != ga || old->size_bytes != b->volumes[i].size_bytes)
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
			start_job(group, true);
		}
	}
	if (!group->live)
		return;
	spec = config_group_by_name(group->live->config, group->name);
	if (!spec)
		return;
	if (is_drbd(spec) && !group->provisioning && agent->drbd_fresh && spec->nodes[0] == agent_me(agent) &&
	    !each_volume(agent, group->live->config, spec, is_not_brand_new)) {
		if (now_ms >= group->initialise_retry_ms) {
			group->initialise_retry_ms = now_ms + INITIALISE_RETRY_MS;
			start_job(group, false);
		}
		agent_turn_by(agent, group->initialise_retry_ms);
	}
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
		kill(agent->drbd_pid, SIGKILL);
		/* A reader of a netlink socket; SIGKILL ends it at once. */
		while (waitpid(agent->drbd_pid, NULL, 0) < 0 && errno == EINTR)
			;
		agent->drbd_pid = -1;
	}
	agent->drbd_fresh = false;
	agent->drbd_line_len = 0;
}

static void handle_line(struct agent *agent, const char *line)
{
	if (strncmp(line, "exists -", 8) == 0) { /* the end of the first dump */
		agent->drbd_fresh = true;
		info_touch(agent);
	} else if (drbd_table_line(agent->drbd, line) > 0) {
		info_touch(agent);
	}
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
}

json_t *storage_copies_json(const struct agent *agent, const struct agroup *group)
{
	const struct config *config = group->live ? group->live->config : NULL;
	const struct config_group *spec = config ? config_group_by_name(config, group->name) : NULL;
	const struct drbd_volume_state *worst = NULL;

	if (!spec || !is_drbd(spec))
		return json_null();
	/* One line per copy: that of the volume that is furthest from healthy. */
	for (size_t i = 0; i < config->n_volumes; i++) {
		const struct drbd_volume_state *state;

		if (config->volumes[i].group != spec)
			continue;
		state = drbd_table_get(agent->drbd, config->volumes[i].drbd_minor);
		if (state && (!worst || (both_up_to_date(worst) && !both_up_to_date(state)) ||
			      state->done_percent < worst->done_percent))
			worst = state;
	}
	if (!worst)
		return json_null();
	return json_pack("{s:s, s:s, s:s, s:f}", "role", worst->role, "disk", worst->disk, "connection",
			 worst->connection, "resync_percent", worst->done_percent);
}
