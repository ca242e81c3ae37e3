// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/fence_job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/daemon/work.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "ha/fence/fence.h"
#include "ha/fence/loop.h"

#define DRILL "drill: "

struct fence_job {
	struct config_ref *ref;
	const char *dir, *state_dir;
	bool drill;
	uint32_t nodeid;
	uint64_t down_seq;
	int64_t started_ms;
	int64_t watchdog_ms; /* of the node, as agreed when it was to be fenced; 0: none, and in a drill, which cuts nobody off */
	enum fence_by by; /* by whom, once it is done; as the label of the level */
	char level[80];
};

static size_t count_options(const struct config_fencing *fencing, const struct config_node *node)
{
	size_t n = 0;

	for (size_t i = 0; i < fencing->n_levels; i++)
		n += fencing->levels[i].n_options;
	for (size_t i = 0; i < node->n_fence; i++)
		n += node->fence[i].n_options;
	return n;
}

static const struct fence_option *add_options(struct fence_option **next, const struct config_option *options, size_t n)
{
	const struct fence_option *first = *next;

	for (size_t i = 0; i < n; i++)
		*(*next)++ = (struct fence_option){ options[i].key, options[i].value };
	return first;
}

static enum fence_by by_of(const struct config_fence_level *level)
{
	if (config_fence_level_is_pacemaker(level))
		return FENCE_BY_PACEMAKER;
	return config_fence_level_is_watchdog(level) ? FENCE_BY_WATCHDOG : FENCE_BY_AGENT;
}

static enum ha_evidence evidence_of(enum fence_by by)
{
	switch (by) {
	case FENCE_BY_PACEMAKER:
		return HA_EVIDENCE_PACEMAKER;
	case FENCE_BY_WATCHDOG:
		return HA_EVIDENCE_WATCHDOG;
	case FENCE_BY_AGENT:
		break;
	}
	return HA_EVIDENCE_FENCE_AGENT;
}

/* `options` has room for all. */
static struct fence_level *levels_of(const struct fence_job *job, const struct config_fencing *fencing, const struct config_node *node,
				     struct fence_option *options)
{
	struct fence_level *ret = xcalloc(fencing->n_levels, sizeof(*ret));

	for (size_t i = 0; i < fencing->n_levels; i++) {
		const struct config_fence_level *level = &fencing->levels[i];
		const struct config_node_fence *of_node = config_node_fence(node, level);
		struct fence_request *request = &ret[i].request;

		ret[i] = (struct fence_level){ .label = config_fence_level_label(level), .node = node->name,
					       .by = by_of(level), .since_ms = job->started_ms, .watchdog_ms = job->watchdog_ms };
		*request = (struct fence_request){ .dir = job->dir, .agent = level->agent, .action = "off",
						   .n_options = level->n_options, .deadline_ms = level->timeout_s * 1000 };
		request->options = add_options(&options, level->options, level->n_options);
		if (of_node) {
			request->n_node_options = of_node->n_options;
			request->node_options = add_options(&options, of_node->options, of_node->n_options);
		}
	}
	return ret;
}

static void report(void *ctx, const struct fence_level *level, int64_t took_ms, int rc, const char *text)
{
	const struct fence_job *job = ctx;

	if (rc < 0)
		log_err("%sfencing of %s: level %s (%s) failed after %lld ms: %s", job->drill ? DRILL : "", level->node, level->label,
			level->request.agent, (long long)took_ms, text);
	else
		log_notice("%sfencing of %s: level %s (%s): off after %lld ms", job->drill ? DRILL : "", level->node, level->label, level->request.agent,
			   (long long)took_ms);
}

/* When and by which level it worked: for the brake, and for `lunward doctor`. */
static void remember(const struct fence_job *job, const char *path)
{
	if (fence_loop_note(path, clock_wall_s(), job->level) < 0)
		log_info("%s: cannot be written: fencing counts as never tested", path);
}

/* How many owners the most patient group may lose one after the other; nobody else may be lost more often either. */
static size_t loop_limit(const struct config *config)
{
	size_t limit = config->n_groups ? 1 : CONFIG_TAKEOVER_LIMIT_DEFAULT;

	for (size_t i = 0; i < config->n_groups; i++) {
		if (config->groups[i].takeover_limit == 0)
			return 0;
		limit = MAX(limit, (size_t)config->groups[i].takeover_limit);
	}
	return limit;
}

/* Of a node that comes back by itself and is lost each time, the core counts only what it served as owner: the brake of its groups. One
 * that is no owner any more and takes its portals back would be fenced for ever. */
static int check_loop(const struct fence_job *job, const struct config_node *node, const char *path, struct err *err)
{
	size_t limit = job->drill ? 0 : loop_limit(job->ref->config);

	if (!fence_loop_is_on(path, clock_wall_s(), limit))
		return 0;
	/* The same words each time: the nodes agree on every new reason. */
	return err_set(err, -EBUSY, "fence loop: fenced from here %zu times within %d minutes, it comes back and is lost again; keep %s off "
		       "and look why; not fenced again before these minutes are over", limit, FENCE_LOOP_WINDOW_S / 60, node->name);
}

static int run(void *ctx, struct err *err)
{
	struct fence_job *job = ctx;
	const struct config_fencing *fencing = job->ref ? &job->ref->config->fencing : NULL;
	const struct config_node *node = job->ref ? config_node_by_id(job->ref->config, job->nodeid) : NULL;
	_cleanup_free_ struct fence_option *options = NULL;
	_cleanup_free_ struct fence_level *levels = NULL;
	_cleanup_free_ char *path = NULL;
	size_t done_by = 0;
	int rc;

	if (!fencing || !fencing->n_levels || !node)
		return err_set(err, -ENOSYS, "no fence agent is configured");
	path = xasprintf("%s/fenced-%s", job->state_dir, node->name);
	rc = check_loop(job, node, path, err);
	if (rc < 0)
		return rc;
	options = xcalloc(count_options(fencing, node) + 1, sizeof(*options));
	levels = levels_of(job, fencing, node, options);
	rc = fence_levels(levels, fencing->n_levels, report, job, &done_by, err);
	if (rc == 0) {
		job->by = levels[done_by].by;
		snprintf(job->level, sizeof(job->level), "%s", levels[done_by].label);
		if (!job->drill) /* after a drill it is fenced once more, and that counts */
			remember(job, path);
	}
	return rc;
}

static void mark_groups(struct agent *agent, uint32_t nodeid, const char *step, int64_t took_ms)
{
	for (size_t i = 0; i < agent->n_groups; i++) {
		struct ha_group_view group;

		if (ha_core_find_group(agent->core, agent->groups[i]->name, &group) == 0 && group.owner == nodeid)
			timeline_add(&agent->groups[i]->timeline, step, group.epoch, clock_wall_ms(), took_ms);
	}
}

static void done(void *owner, void *ctx, int result, const struct err *err)
{
	struct agent *agent = owner;
	struct fence_job *job = ctx;
	int64_t took_ms = clock_now_ms() - job->started_ms;
	const char *name = agent_node_name(agent, job->nodeid);

	if (result < 0)
		log_err("fencing of %s failed: %s", name, err->text);
	else
		log_notice("fencing of %s confirmed after %lld ms by %s", name, (long long)took_ms, job->level);
	mark_groups(agent, job->nodeid, result < 0 ? "fencing failed" : "fence evidence", took_ms);
	agent_step(agent, &(struct ha_event){ .type = HA_EV_DONE, .action = HA_ACT_FENCE, .nodeid = job->nodeid, .epoch = job->down_seq,
					      .result = result, .evidence = evidence_of(job->by),
					      .text = result < 0 ? err->text : "" });
	config_ref_put(job->ref);
	free(job);
	info_touch(agent);
}

static void drill_done(void *owner, void *ctx, int result, const struct err *err)
{
	struct fence_job *job = ctx;
	const char *name = agent_node_name(owner, job->nodeid);

	if (result < 0)
		log_err("drill: fencing of %s failed: %s", name, err->text);
	else
		log_notice("drill: %s is off", name);
	config_ref_put(job->ref);
	free(job);
}

static void start(struct agent *agent, uint32_t nodeid, uint64_t down_seq, bool drill, work_done_fn *on_end)
{
	struct fence_job *job = xcalloc(1, sizeof(*job));
	struct ha_node_view node;
	_cleanup_free_ char *what = xasprintf("%sfencing %s", drill ? DRILL : "", agent_node_name(agent, nodeid));

	*job = (struct fence_job){ .ref = config_ref_get(agent->config), .dir = agent->settings.fence_dir,
				   .state_dir = agent->settings.state_dir, .drill = drill, .nodeid = nodeid, .down_seq = down_seq,
				   .started_ms = clock_now_ms() };
	if (!drill && ha_core_find_node(agent->core, nodeid, &node) == 0)
		job->watchdog_ms = node.watchdog_ms;
	log_notice("%s", what);
	/* Each level has a deadline of its own, from the document. */
	work_start(agent->loop, what, INT64_MAX / 2, run, job, on_end, NULL, agent);
}

void fence_job_start(struct agent *agent, uint32_t nodeid, uint64_t down_seq)
{
	mark_groups(agent, nodeid, "fencing", 0);
	start(agent, nodeid, down_seq, false, done);
}

void fence_job_drill(struct agent *agent, uint32_t nodeid)
{
	start(agent, nodeid, 0, true, drill_done);
}
