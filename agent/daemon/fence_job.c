// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/fence_job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "agent/daemon/work.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "ha/fence/fence.h"

struct fence_job {
	struct config_ref *ref;
	const char *dir, *state_dir;
	uint32_t nodeid;
	uint64_t down_seq;
	int64_t started_ms;
};

static struct fence_option *options_of(const struct config_option *options, size_t n)
{
	struct fence_option *ret = xcalloc(n, sizeof(*ret));

	for (size_t i = 0; i < n; i++)
		ret[i] = (struct fence_option){ options[i].key, options[i].value };
	return ret;
}

/* When it last worked, for `lunward doctor`: the time of an empty file. Not worth waiting for the disk. */
static void remember(const struct fence_job *job, const char *node)
{
	_cleanup_free_ char *path = xasprintf("%s/fenced-%s", job->state_dir, node);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || futimens(fd, NULL) < 0)
		log_info("%s: cannot be written: fencing counts as never tested", path);
}

static int run(void *ctx, struct err *err)
{
	struct fence_job *job = ctx;
	const struct config_fencing *fencing = job->ref ? &job->ref->config->fencing : NULL;
	const struct config_node *node = job->ref ? config_node_by_id(job->ref->config, job->nodeid) : NULL;
	_cleanup_free_ struct fence_option *options = NULL, *node_options = NULL;
	struct fence_request request;
	int rc;

	if (!fencing || !fencing->agent || !node)
		return err_set(err, -ENOSYS, "no fence agent is configured");
	options = options_of(fencing->options, fencing->n_options);
	node_options = options_of(node->fence, node->n_fence);
	request = (struct fence_request){ .dir = job->dir, .agent = fencing->agent, .action = "off", .options = options,
					  .n_options = fencing->n_options, .node_options = node_options,
					  .n_node_options = node->n_fence, .deadline_ms = fencing->timeout_s * 1000 };
	rc = fence_run(&request, err);
	if (rc == 0)
		remember(job, node->name);
	return rc;
}

static void mark_groups(struct agent *agent, uint32_t nodeid, const char *step, int64_t took_ms)
{
	for (size_t i = 0; i < agent->n_groups; i++) {
		struct ha_group_view group;

		if (ha_core_find_group(agent->core, agent->groups[i]->name, &group) == 0 && group.owner == nodeid)
			timeline_add(&agent->groups[i]->timeline, step, group.epoch, timeline_now_ms(), took_ms);
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
		log_notice("fencing of %s confirmed after %lld ms", name, (long long)took_ms);
	mark_groups(agent, job->nodeid, result < 0 ? "fencing failed" : "fence evidence", took_ms);
	agent_step(agent, &(struct ha_event){ .type = HA_EV_DONE, .action = HA_ACT_FENCE, .nodeid = job->nodeid, .epoch = job->down_seq,
					      .result = result, .text = result < 0 ? err->text : "" });
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

static void start(struct agent *agent, uint32_t nodeid, uint64_t down_seq, const char *why, work_done_fn *on_end)
{
	struct fence_job *job = xcalloc(1, sizeof(*job));
	_cleanup_free_ char *what = xasprintf("%sfencing %s", why, agent_node_name(agent, nodeid));

	*job = (struct fence_job){ .ref = config_ref_get(agent->config), .dir = agent->settings.fence_dir,
				   .state_dir = agent->settings.state_dir, .nodeid = nodeid, .down_seq = down_seq, .started_ms = clock_now_ms() };
	log_notice("%s", what);
	/* fence_run() has a deadline of its own, from the document. */
	work_start(agent->loop, what, INT64_MAX / 2, run, job, on_end, NULL, agent);
}

void fence_job_start(struct agent *agent, uint32_t nodeid, uint64_t down_seq)
{
	mark_groups(agent, nodeid, "fencing", 0);
	start(agent, nodeid, down_seq, "", done);
}

void fence_job_drill(struct agent *agent, uint32_t nodeid)
{
	start(agent, nodeid, 0, "drill: ", drill_done);
}
