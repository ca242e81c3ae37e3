// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The node's target tree: gates, LIO objects, portals. Built only in an active view, from the committed document and the committed
 * portal holders, so that a node that has just booted shows nothing before it knows who owns what, and an agent that
 * has just been restarted disturbs nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/daemon/agent.h"
#include "agent/daemon/connections.h"
#include "agent/daemon/health.h"
#include "agent/daemon/reservations.h"
#include "agent/daemon/work.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/cpus.h"
#include "base/log.h"
#include "base/parallel.h"
#include "base/xalloc.h"
#include "target-config/gate/gate.h"
#include "target-config/lio/cfs.h"
#include "target-config/lio/lio.h"
#include "target-config/portal/cut.h"
#include "target-config/portal/hold.h"
#include "target-config/portal/portal.h"

#define RETRY_MS 5000
#define DEADLINE_MS 60000
#define CLOSE_LIMIT_MS 10000 /* connections end in milliseconds, or never */
#define LOOK_MS 10000    /* at the hardware's ports: they come and go by themselves */
#define REFUSED_MS 60000 /* one that the kernel has refused */
#define ANNOUNCEMENTS 3
#define HOLD_LIMIT_S 5 /* of what takes milliseconds; less than open-iscsi waits for an answer (node.conn[0].timeo.noop_out_timeout) */

struct tree_job {
	struct config_ref *ref;
	struct lio_roots roots;
	char dbroot[256];
	char template_path[64];
	const char *health_password; /* the agent's */
	uint32_t me;
	uint32_t scope[HA_NODES_MAX];
	size_t n_scope;
	unsigned int threads;
	bool check_only;
	bool in_place; /* the job before has left all as this document wants it, but for portals and reservations */
	bool is_served; /* result: the portals in scope are served as far as they can be had, and no others */
	bool adopts;   /* in_place, and portals of other nodes are to be opened: that alone, since their hosts wait for it */
	int64_t took_ms;
	bool looks;    /* only which ports there are */
	char **ports; /* lio_ports_read() */
	size_t n_ports;
	char lacks[ERR_TEXT_SIZE];
	struct lio_foreign *foreign; /* groups of this node alone */
	size_t n_foreign;
	struct reservation_load *loads;
	size_t n_loads;
	struct lio_reservations *reservations;
	size_t n_reservations;
	struct strbuf plan;
	struct lio_report report;
	void (*check_done)(void *ctx, int result, const char *steps, size_t n_writes, size_t n_objects, const struct err *err);
	void *check_ctx;
};

static bool in_scope(const uint32_t *scope, size_t n, uint32_t nodeid)
{
	for (size_t i = 0; i < n; i++) {
		if (scope[i] == nodeid)
			return true;
	}
	return false;
}

static bool has_copy_here(const struct tree_job *job, const struct config_volume *volume)
{
	return config_group_has_node(volume->group, job->me);
}

static int ensure_gate(void *ctx, size_t i, struct err *err)
{
	struct tree_job *job = ctx;
	const struct config_volume *volume = &job->ref->config->volumes[i];

	if (!has_copy_here(job, volume))
		return 0;
	return gate_ensure(volume->name, volume->size_bytes / CONFIG_SECTOR_SIZE, job->template_path, err);
}

struct stale_gates {
	const struct tree_job *job;
	char **names;
	size_t n, cap;
};

static void note_stale_gate(void *ctx, const char *name)
{
	struct stale_gates *stale = ctx;
	const struct config_volume *volume = config_volume_by_name(stale->job->ref->config, name);

	if (!volume || !has_copy_here(stale->job, volume))
		*array_push(stale->names, stale->n, stale->cap) = xstrdup(name);
}

/* After the tree no longer uses them. A gate that is still open would lose its DRBD device: that is what removal means. */
static int remove_stale_gates(struct tree_job *job, struct err *err)
{
	struct stale_gates stale = { .job = job };
	int rc = gate_list(note_stale_gate, &stale, err);

	for (size_t i = 0; i < stale.n; i++) {
		if (rc == 0)
			rc = gate_remove(stale.names[i], err);
		free(stale.names[i]);
	}
	free(stale.names);
	return rc;
}

typedef int portal_fn(const struct config_portal *portal, struct err *err);

/* Every managed portal of the nodes that are (not) in scope. */
static int each_portal(const struct tree_job *job, bool served, portal_fn *fn, struct err *err)
{
	const struct config *config = job->ref->config;

	for (size_t t = 0; t < config->n_targets; t++) {
		for (size_t p = 0; p < config->targets[t].n_portals; p++) {
			const struct config_portal *portal = &config->targets[t].portals[p];
			int rc;

			if (!portal->prefix_len || in_scope(job->scope, job->n_scope, portal->nodeid) != served)
				continue;
			rc = fn(portal, err);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

static int address_add(const struct config_portal *portal, struct err *err)
{
	bool present;
	int rc = portal_address_present(portal->interface, portal->address, &present, err);

	if (rc < 0 || present)
		return rc;
	return portal_address_add(portal->interface, portal->address, portal->prefix_len, err);
}

static int address_announce(const struct config_portal *portal, struct err *err)
{
	return portal_announce(portal->interface, portal->address, ANNOUNCEMENTS, err);
}

static int address_del(const struct config_portal *portal, struct err *err)
{
	return portal_address_del(portal->interface, portal->address, portal->prefix_len, err);
}

/* A lio_leave_fn. Hosts learn by a reset: what is closed without its address closes in silence. */
static void leave(const void *ctx, const char *np)
{
	const struct tree_job *job = ctx;
	const struct config *config = job->ref->config;

	for (size_t t = 0; t < config->n_targets; t++) {
		for (size_t p = 0; p < config->targets[t].n_portals; p++) {
			const struct config_portal *portal = &config->targets[t].portals[p];
			_cleanup_free_ char *name = lio_portal_name(portal);

			if (!portal->prefix_len || in_scope(job->scope, job->n_scope, portal->nodeid) || strcmp(name, np) != 0)
				continue;
			ignore_result(portal_cut(portal->address, portal->port, NULL, NULL));
			ignore_result(address_del(portal, NULL)); /* it is tried again when all else is done */
		}
	}
}

/* A lio_hold_fn: all portals of this node. */
static int hold_hosts(const void *ctx, bool hold, struct err *err)
{
	const struct tree_job *job = ctx;
	const struct config *config = job->ref->config;
	_cleanup_free_ uint16_t *ports = NULL;
	size_t n = 0, cap = 0;

	if (!hold)
		return portal_let_in(err);
	for (size_t t = 0; t < config->n_targets; t++) {
		for (size_t p = 0; p < config->targets[t].n_portals; p++) {
			const struct config_portal *portal = &config->targets[t].portals[p];

			if (portal->nodeid == job->me && config_target_is_iscsi(&config->targets[t]))
				*array_push(ports, n, cap) = portal->port;
		}
	}
	return portal_hold(ports, n, HOLD_LIMIT_S, err);
}

static bool any_iser(const struct config *config)
{
	for (size_t t = 0; t < config->n_targets; t++) {
		for (size_t p = 0; p < config->targets[t].n_portals; p++) {
			if (config->targets[t].portals[p].transports & CONFIG_TRANSPORT_ISER)
				return true;
		}
	}
	return false;
}

static int reconcile(struct tree_job *job, struct err *err)
{
	char cpus[CPUS_LIST_SIZE];
	struct lio_scope scope = { job->me, job->scope, job->n_scope, job->reservations, job->n_reservations,
				   cpus_spare(cpus) >= 0 ? cpus : NULL, job->health_password, leave, job, CLOSE_LIMIT_MS,
				   (const char *const *)job->ports, job->n_ports, job->foreign, job->n_foreign, hold_hosts, job };
	struct lio_tree *tree;
	int rc;

	reservations_word(job->loads, job->n_loads, job->ref->config, &scope);
	tree = lio_tree_build(job->ref->config, &scope, &job->roots);
	reservations_observe(job->loads, job->n_loads, &job->roots, false);
	rc = lio_reconcile(tree, job->check_only, job->threads, &job->plan, &job->report, err);
	reservations_observe(job->loads, job->n_loads, &job->roots, true);
	lio_tree_free(tree);
	return rc;
}

static void look(struct tree_job *job)
{
	struct lio_scope scope = { .nodeid = job->me };

	if (!lio_ports_wanted(job->ref->config, job->me))
		return;
	lio_ports_read("/sys", true, &job->ports, &job->n_ports);
	scope.ports = (const char *const *)job->ports;
	scope.n_ports = job->n_ports;
	lio_ports_lack(job->ref->config, &scope, job->lacks);
}

static int adopt(struct tree_job *job, struct err *err)
{
	struct lio_scope scope = { .nodeid = job->me, .portals_of = job->scope, .n_portals_of = job->n_scope };
	int rc = each_portal(job, true, address_add, err);

	if (rc == 0)
		rc = lio_open_portals(job->ref->config, &scope, &job->roots, NULL, err);
	if (rc == 0)
		rc = each_portal(job, true, address_announce, err);
	job->is_served = rc == 0;
	return rc;
}

/* What the tree stands on. It takes processes, so only where something may be missing. */
static int prepare(struct tree_job *job, struct err *err)
{
	int rc = lio_prepare(&job->roots, any_iser(job->ref->config), lio_ports_wanted(job->ref->config, job->me), err);

	if (rc == 0)
		rc = gate_template_ensure(job->template_path, err);
	if (rc == 0)
		rc = parallel_for(job->ref->config->n_volumes, job->threads, ensure_gate, job, err);
	return rc;
}

/* What the kernel's target as it is now asks for beside it. */
static int settle(struct tree_job *job, struct err *err)
{
	int rc = each_portal(job, true, address_announce, err);

	if (rc == 0)
		rc = each_portal(job, false, address_del, err);
	if (rc == 0)
		rc = remove_stale_gates(job, err);
	job->is_served = rc == 0;
	return rc;
}

static int apply(struct tree_job *job, struct err *err)
{
	int rc = job->in_place ? 0 : prepare(job, err), settled;

	look(job);
	if (rc == 0)
		rc = each_portal(job, true, address_add, err); /* before the listener: iSER cannot bind without it */
	if (rc == 0)
		rc = reconcile(job, err);
	if (rc < 0 && !job->report.is_built)
		return rc;
	settled = settle(job, rc < 0 ? NULL : err); /* a portal that cannot be had keeps nobody from having another node's back */
	return rc ?: settled;
}

static int run_job(void *ctx, struct err *err)
{
	struct tree_job *job = ctx;
	int64_t from_ms = clock_now_ms();
	int rc = 0;

	if (job->looks || job->check_only)
		look(job);
	if (!job->looks)
		rc = job->check_only ? reconcile(job, err) : job->adopts ? adopt(job, err) : apply(job, err);
	job->took_ms = clock_now_ms() - from_ms;
	return rc;
}

static void free_job(struct tree_job *job)
{
	free(job->foreign);
	strbuf_done(&job->plan);
	cfs_names_free(job->ports, job->n_ports);
	config_ref_put(job->ref);
	free(job);
}

static void note_adoptions(struct agent *agent, const struct tree_job *job)
{
	uint32_t adopted[HA_NODES_MAX];
	size_t n = 0;

	for (size_t i = 0; i < job->n_scope; i++) {
		if (job->scope[i] == job->me || in_scope(agent->tree.scope, agent->tree.n_scope, job->scope[i]))
			continue;
		log_notice("portals of %s: served here now", agent_node_name(agent, job->scope[i]));
		adopted[n++] = job->scope[i];
		for (size_t g = 0; g < agent->n_groups; g++)
			timeline_add(&agent->groups[g]->timeline, "portal", agent->groups[g]->timeline.epoch,
				     clock_wall_ms(), job->took_ms);
	}
	connections_adopted(agent, adopted, n);
}

static void note_closing(struct tree *tree)
{
	_cleanup_free_ char *tpg = lio_closing();

	if (tpg && !tree->closing[0])
		log_err("target: %s is not closed after %d s: a connection by iSER hangs in the kernel; its portals cannot be served here until this "
			"node is restarted", tpg, CLOSE_LIMIT_MS / 1000);
	snprintf(tree->closing, sizeof(tree->closing), "%s", tpg ?: "");
}

static void note_lacks(struct tree *tree, const struct tree_job *job)
{
	const char *lacks = job->lacks[0] ? job->lacks : job->report.apart.text;

	tree->refused = !job->lacks[0] && *lacks;
	tree->stale = false;
	tree->look_ms = clock_now_ms() + (tree->refused ? REFUSED_MS : LOOK_MS);
	if (strcmp(tree->lacks, lacks) == 0)
		return;
	if (*lacks)
		log_warning("target: %s", lacks);
	else
		log_notice("target: all ports of this node's hardware are here");
	snprintf(tree->lacks, sizeof(tree->lacks), "%s", lacks);
}

static void looked(void *owner, void *ctx, int result, const struct err *err)
{
	struct agent *agent = owner;
	struct tree_job *job = ctx;
	struct tree *tree = &agent->tree;

	(void)result, (void)err;
	tree->running = false;
	tree->look_ms = clock_now_ms() + LOOK_MS;
	tree->stale = tree->refused || strcmp(job->lacks, tree->lacks) != 0;
	free_job(job);
}

static void note_foreign(struct agent *agent, const struct tree_job *job)
{
	for (size_t i = 0; i < agent->n_groups; i++)
		agent->groups[i]->foreign = false;
	for (size_t i = 0; i < job->n_foreign; i++) {
		const struct lio_foreign *foreign = &job->foreign[i];
		struct agroup *group = agent_group(agent, foreign->group);

		if (!group || !foreign->found)
			continue;
		group->foreign = !foreign->take || !job->report.is_built;
		if (!group->foreign)
			log_notice("group %s: taken over from the program that had set it up in the kernel target", group->name);
	}
}

static void job_done(void *owner, void *ctx, int result, const struct err *err)
{
	struct agent *agent = owner;
	struct tree_job *job = ctx;
	struct tree *tree = &agent->tree;

	tree->running = false;
	/* New volumes start in standby: the states must be written once more. */
	for (size_t i = 0; job->report.n_writes && i < agent->n_groups; i++)
		agent->groups[i]->alua_valid = false;
	note_closing(tree);
	if (!job->adopts)
		note_foreign(agent, job);
	if (result < 0 && strcmp(tree->error, err->text) != 0) /* said once, tried again and again */
		log_err("target: %s", err->text);
	snprintf(tree->error, sizeof(tree->error), "%s", result < 0 ? err->text : "");
	if (!job->adopts)
		note_lacks(tree, job);
	if (result < 0) {
		tree->retry_ms = clock_now_ms() + RETRY_MS;
	} else {
		if (!job->adopts)
			log_info("target: document version %llu in place, %zu writes, %zu removals",
				 (unsigned long long)job->ref->version, job->report.n_writes, job->report.n_removals);
		tree->applied_version = job->ref->version;
		snprintf(tree->template_path, sizeof(tree->template_path), "%s", job->template_path);
	}
	if (job->is_served) {
		note_adoptions(agent, job);
		memcpy(tree->scope, job->scope, sizeof(tree->scope));
		tree->n_scope = job->n_scope;
		tree->is_torn = false;
	}
	reservations_planned(agent, job->loads, job->reservations, job->n_loads, job->report.is_built);
	info_touch(agent);
	free_job(job);
}

static void job_late(void *owner, const char *what)
{
	struct agent *agent = owner;

	snprintf(agent->tree.error, sizeof(agent->tree.error), "%s: still running after %d s", what, DEADLINE_MS / 1000);
	log_err("%s", agent->tree.error);
	info_touch(agent);
}

/* A node's portals are served here while it is their committed holder and they are not due to go elsewhere. */
static void want_scope(struct agent *agent, const struct ha_core_view *view)
{
	struct tree *tree = &agent->tree;

	tree->n_want = 0;
	for (size_t i = 0; i < view->n_nodes; i++) {
		struct ha_node_view node;

		ha_core_node(agent->core, i, &node);
		if (!node.settled) {
			if (in_scope(tree->scope, tree->n_scope, node.nodeid))
				tree->want[tree->n_want++] = node.nodeid;
			continue;
		}
		if (!view->guarded && !in_scope(tree->scope, tree->n_scope, node.nodeid))
			continue; /* who relies on the watchdog must find it armed */
		if (node.portal_holder == agent_me(agent) && (!node.portal_next || node.portal_next == agent_me(agent)))
			tree->want[tree->n_want++] = node.nodeid;
	}
}

/* Portals go after what the gates of a move hold has been let go of: a host whose command is under way cannot be put off
 * cleanly (target-config/lio/quiet.c). A job that does not end does not count. */
static bool withdraws_too_early(const struct agent *agent)
{
	const struct tree *tree = &agent->tree;
	bool withdraws = false, busy = false;

	for (size_t i = 0; i < tree->n_scope; i++)
		withdraws |= !in_scope(tree->want, tree->n_want, tree->scope[i]);
	for (size_t i = 0; i < agent->n_groups; i++)
		busy |= agent->groups[i]->holding || (agent->groups[i]->job && !agent->groups[i]->late[0]);
	return withdraws && busy;
}

static void tell_portals_down(struct agent *agent, const struct ha_core_view *view)
{
	for (size_t i = 0; i < view->n_nodes; i++) {
		struct ha_node_view node;

		ha_core_node(agent->core, i, &node);
		if (node.portal_holder == agent_me(agent) && node.portal_next && node.portal_next != agent_me(agent) &&
		    !in_scope(agent->tree.scope, agent->tree.n_scope, node.nodeid))
			agent_step(agent, &(struct ha_event){ .type = HA_EV_LOCAL, .local = HA_LOCAL_PORTALS_DOWN,
							      .nodeid = node.nodeid, .yes = true });
	}
}

/* Its hosts have been told to wait (groups.c), and nothing else is done about it now. */
static bool is_to_be_taken(const struct agroup *group)
{
	return group && group->foreign && group->duty == DUTY_ACQUIRE && !group->job && group->alua_valid && group->alua[0] == LIO_ALUA_TRANSITIONING;
}

static bool takes_any(const struct agent *agent)
{
	for (size_t i = 0; i < agent->n_groups; i++)
		if (is_to_be_taken(agent->groups[i]))
			return true;
	return false;
}

static void list_foreign(struct agent *agent, struct tree_job *job)
{
	size_t cap = 0;

	for (size_t i = 0; i < job->ref->config->n_groups; i++) {
		const struct config_group *group = &job->ref->config->groups[i];

		if (group->nodes[0] == job->me && !group->nodes[1])
			*array_push(job->foreign, job->n_foreign, cap) =
				(struct lio_foreign){ .group = group->name, .take = is_to_be_taken(agent_group(agent, group->name)) };
	}
}

static struct tree_job *new_job(struct agent *agent)
{
	struct tree_job *job = xcalloc(1, sizeof(*job));

	job->ref = config_ref_get(agent->config);
	job->me = agent_me(agent);
	job->threads = agent->settings.threads;
	job->health_password = health_password(agent);
	snprintf(job->dbroot, sizeof(job->dbroot), "%s/lio", agent->settings.run_dir);
	job->roots = (struct lio_roots){ .configfs = agent->settings.configfs, .dbroot = job->dbroot };
	snprintf(job->template_path, sizeof(job->template_path), "%s", agent->tree.template_path);
	list_foreign(agent, job);
	return job;
}

static bool only_adopts(const struct tree *tree)
{
	for (size_t i = 0; i < tree->n_scope; i++)
		if (!in_scope(tree->want, tree->n_want, tree->scope[i]))
			return false;
	return tree->n_want > tree->n_scope;
}

static bool is_scope_wanted(const struct tree *tree)
{
	return tree->n_want == tree->n_scope && memcmp(tree->want, tree->scope, tree->n_want * sizeof(tree->want[0])) == 0;
}

/* A port that was not there, or no longer is, changes the tree. */
static void look_again(struct agent *agent)
{
	struct tree *tree = &agent->tree;
	struct tree_job *job;

	if (!lio_ports_wanted(agent->config->config, agent_me(agent)))
		return;
	if (clock_now_ms() < tree->look_ms) {
		agent_turn_by(agent, tree->look_ms);
		return;
	}
	job = new_job(agent);
	job->looks = true;
	tree->running = true;
	work_start(agent->loop, "ports", clock_now_ms() + DEADLINE_MS, run_job, job, looked, NULL, agent);
}

void tree_ports_cut(struct agent *agent)
{
	if (agent->config && lio_ports_wanted(agent->config->config, agent_me(agent)))
		agent->tree.stale = true;
}

bool tree_rests(const struct agent *agent)
{
	const struct tree *tree = &agent->tree;

	return tree->applied_version == agent->config->version && !tree->running && !tree->is_torn && is_scope_wanted(tree);
}

bool tree_serves_portals_of(const struct agent *agent, uint32_t nodeid)
{
	return in_scope(agent->tree.scope, agent->tree.n_scope, nodeid);
}

void tree_kick(struct agent *agent)
{
	struct tree *tree = &agent->tree;
	struct ha_core_view view;
	struct tree_job *job;
	const struct config_node *self;
	bool is_served, takes;

	ha_core_view(agent->core, &view);
	if (tree->running || !view.active || !agent->config)
		return;
	/* Nor is what the kernel has taken away: it is served under the watchdog that a life before has left ticking. */
	if (!view.guarded && !tree->applied_version)
		return;
	self = config_node_by_id(agent->config->config, agent_me(agent));
	if (!self || self->role != CONFIG_ROLE_STORAGE) {
		tree->applied_version = agent->config->version; /* a witness has no tree */
		return;
	}
	want_scope(agent, &view);
	is_served = !tree->is_torn && is_scope_wanted(tree);
	if (is_served)
		tell_portals_down(agent, &view);
	takes = takes_any(agent);
	if (is_served && tree->applied_version == agent->config->version && !tree->error[0] && !tree->stale && !takes && !reservations_due(agent)) {
		look_again(agent);
		return;
	}
	if (withdraws_too_early(agent)) /* the end of a job is a turn */
		return;
	if (clock_now_ms() < tree->retry_ms) {
		agent_turn_by(agent, tree->retry_ms);
		return;
	}
	job = new_job(agent);
	memcpy(job->scope, tree->want, sizeof(job->scope));
	job->n_scope = tree->n_want;
	job->in_place = tree->applied_version == agent->config->version && !tree->error[0] && !tree->stale;
	job->adopts = job->in_place && only_adopts(tree) && !takes;
	if (!job->adopts)
		job->loads = reservations_plan(agent, &job->n_loads, &job->reservations, &job->n_reservations);
	tree->is_torn |= !is_scope_wanted(tree);
	tree->running = true;
	work_start(agent->loop, "target", clock_now_ms() + DEADLINE_MS, run_job, job, job_done, job_late, agent);
}

static void check_finished(void *owner, void *ctx, int result, const struct err *err)
{
	struct tree_job *job = ctx;

	(void)owner;
	job->check_done(job->check_ctx, result, strbuf_str(&job->plan), job->report.n_writes + job->report.n_removals,
			job->report.n_objects, err);
	free_job(job);
}

void tree_check(struct agent *agent, void (*done)(void *ctx, int result, const char *steps, size_t n_writes, size_t n_objects,
						  const struct err *err),
		void *ctx)
{
	struct tree_job *job = new_job(agent);

	job->check_only = true;
	job->check_done = done;
	job->check_ctx = ctx;
	memcpy(job->scope, agent->tree.scope, sizeof(job->scope));
	job->n_scope = agent->tree.n_scope;
	work_start(agent->loop, "check", clock_now_ms() + DEADLINE_MS, run_job, job, check_finished, NULL, agent);
}
