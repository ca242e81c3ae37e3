// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/group_job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/parallel.h"
#include "base/xalloc.h"
#include "target-config/backend/backend.h"
#include "target-config/gate/gate.h"

struct volumes { /* of one group */
	struct group_job *job;
	const struct config_group *group;
	const struct config_volume **v;
	size_t n, cap;
};

const char *group_job_name(enum group_job_kind kind)
{
	switch (kind) {
	case GROUP_JOB_ACQUIRE:
		return "acquire";
	case GROUP_JOB_RELEASE:
		return "release";
	case GROUP_JOB_STAND_DOWN:
		return "stand down";
	case GROUP_JOB_LET_GO:
		return "let go";
	case GROUP_JOB_REFRESH:
		return "refresh";
	case GROUP_JOB_ALUA:
		return "set ALUA states";
	case GROUP_JOB_INSPECT:
		return "inspect";
	}
	return "?";
}

static void collect_volumes(struct group_job *job, struct volumes *ret)
{
	const struct config *config = job->live->config;

	ret->job = job;
	ret->group = config_group_by_name(config, job->group);
	for (const struct config_volume *volume = ret->group ? ret->group->volumes : NULL; volume; volume = volume->next)
		*array_push(ret->v, ret->n, ret->cap) = volume;
}

/* The size the kernel gives the device, in sectors: a volume that is to grow may not have grown yet. */
static uint64_t device_sectors(const char *device, uint64_t wanted)
{
	char path[128];
	_cleanup_free_ char *text = NULL;
	uint64_t sectors;

	snprintf(path, sizeof(path), "/sys/class/block/%s/size", strrchr(device, '/') + 1);
	if (file_read(path, 64, &text, NULL) < 0)
		return wanted;
	sectors = strtoull(text, NULL, 10);
	return sectors ? MIN(sectors, wanted) : wanted;
}

static int open_one(void *ctx, size_t i, struct err *err)
{
	struct volumes *volumes = ctx;
	const struct config_volume *volume = volumes->v[i];
	uint64_t wanted = volume->size_bytes / CONFIG_SECTOR_SIZE;
	char device[BACKEND_PATH_SIZE];

	backend_device(volume, device);
	return gate_open(volume->name, device_sectors(device, wanted), device, err);
}

static int close_one(void *ctx, size_t i, struct err *err)
{
	struct volumes *volumes = ctx;

	return gate_close(volumes->v[i]->name, volumes->v[i]->size_bytes / CONFIG_SECTOR_SIZE,
			  volumes->job->template_path, err);
}

static int hold_one(void *ctx, size_t i, struct err *err)
{
	struct volumes *volumes = ctx;

	return gate_hold(volumes->v[i]->name, volumes->v[i]->size_bytes / CONFIG_SECTOR_SIZE, volumes->job->template_path, err);
}

/* What a gate held and lets go of ends with NOT READY, LOGICAL UNIT COMMUNICATION FAILURE (iblock knows no better). dm-multipath
 * takes that to another path at once; what ESXi and Windows do with it has not been seen. */
static bool hosts_bear_holding(const struct volumes *volumes)
{
	const struct config *config = volumes->job->live->config;

	for (size_t i = 0; i < config->n_mappings; i++)
		if (config->mappings[i].volume->group == volumes->group && config->mappings[i].host->profile != CONFIG_PROFILE_LINUX)
			return false;
	return true;
}

/* The own ports last when they become optimized, first when they cease to be: never two groups optimized. */
static int set_states(struct group_job *job, const enum lio_alua_state *states, struct err *err)
{
	for (int own = 0; own <= 1; own++) {
		for (size_t i = 0; i < job->n_nodes; i++) {
			bool last = job->nodes[i] == job->me && states[i] == LIO_ALUA_ACTIVE_OPTIMIZED;
			int rc;

			if (last != (own == 1))
				continue;
			rc = lio_alua_set(&job->roots, job->live->config, job->group, job->nodes[i], states[i], err);
			if (rc == -ENOENT) /* no volume of the group is in the target yet */
				continue;
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

struct stopwatch {
	struct group_job *job;
	int64_t from_ms;
};

static void lap(struct stopwatch *watch, const char *step)
{
	int64_t now_ms = clock_now_ms();

	timeline_add(&watch->job->timeline, step, watch->job->epoch, clock_wall_ms(), now_ms - watch->from_ms);
	watch->from_ms = now_ms;
}

static bool is_cancelled(const struct group_job *job, struct err *err)
{
	if (!__atomic_load_n(&job->cancelled, __ATOMIC_ACQUIRE))
		return false;
	err_set(err, -ECANCELED, "no longer wanted");
	return true;
}

static int acquire(struct volumes *volumes, struct err *err)
{
	struct group_job *job = volumes->job;
	struct stopwatch watch = { job, clock_now_ms() };
	struct err ignored = ERR_INIT;
	int rc;

	rc = backend_promote(job->live->config, volumes->group, job->peer_lost, err);
	if (rc < 0)
		goto demote;
	lap(&watch, "promote");
	if (is_cancelled(job, err)) {
		rc = -ECANCELED;
		goto demote;
	}
	rc = parallel_for(volumes->n, job->threads, open_one, volumes, err);
	if (rc < 0)
		goto close;
	lap(&watch, "open gates");
	rc = is_cancelled(job, err) ? -ECANCELED : set_states(job, job->after, err);
	if (rc < 0)
		goto close;
	lap(&watch, "ALUA");
	return 0;
close:
	ignore_result(set_states(job, job->before, &ignored));
	ignore_result(parallel_for(volumes->n, job->threads, close_one, volumes, &ignored));
demote:
	ignore_result(backend_demote(job->live->config, volumes->group, &ignored));
	return rc;
}

/* Nothing is taken back when a step fails: what was served before stays served, and the next try goes on. */
static int refresh(struct volumes *volumes, struct err *err)
{
	struct group_job *job = volumes->job;
	int rc = backend_promote(job->live->config, volumes->group, false, err);
	int grown;

	if (rc < 0)
		return rc;
	grown = backend_grow(job->live->config, volumes->group, err);
	if (grown < 0 && grown != -EAGAIN)
		return grown;
	rc = parallel_for(volumes->n, job->threads, open_one, volumes, err);
	if (rc == 0)
		rc = set_states(job, job->after, err);
	return rc < 0 ? rc : grown;
}

/* No new commands, none in flight, no opener. Each step relies on the one before; when the node must stop whatever happens
 * (`all`), a failed one does not spare the next. */
static int shut(struct volumes *volumes, bool all, struct stopwatch *watch, struct err *err)
{
	struct group_job *job = volumes->job;
	int rc, result = set_states(job, job->before, err);

	if (result < 0 && !all)
		return result;
	lap(watch, "ALUA");
	rc = parallel_for(volumes->n, job->threads, close_one, volumes, result < 0 ? NULL : err);
	lap(watch, "close gates");
	return result < 0 ? result : rc;
}

/* The same without a word to the hosts: what they have sent and still send waits in the gates. Not to be had: -EOPNOTSUPP. */
static int hold(struct volumes *volumes, struct stopwatch *watch, struct err *err)
{
	struct group_job *job = volumes->job;
	int rc = hosts_bear_holding(volumes) ? parallel_for(volumes->n, job->threads, hold_one, volumes, err) : -EOPNOTSUPP;

	if (rc < 0)
		return rc;
	lap(watch, "hold gates");
	for (size_t i = 0; i < job->n_nodes; i++)
		job->after[i] = job->nodes[i] == job->me ? LIO_ALUA_ACTIVE_NONOPTIMIZED : LIO_ALUA_STANDBY;
	rc = set_states(job, job->after, err);
	if (rc < 0)
		return rc;
	lap(watch, "ALUA");
	job->holding = true;
	return 0;
}

static int release(struct volumes *volumes, bool all, struct err *err)
{
	struct group_job *job = volumes->job;
	struct stopwatch watch = { job, clock_now_ms() };
	struct err first = ERR_INIT;
	int rc, result;

	if (!job->template_path[0]) { /* an agent that has just started */
		rc = gate_template_ensure(job->template_path, err);
		if (rc < 0)
			return rc;
	}
	result = all ? -EOPNOTSUPP : hold(volumes, &watch, &first);
	if (result < 0) {
		bool held_badly = result != -EOPNOTSUPP;

		rc = shut(volumes, all || held_badly, &watch, held_badly ? NULL : &first);
		result = held_badly ? result : rc;
		if (result < 0 && !all)
			goto out;
	}
	rc = backend_demote(job->live->config, volumes->group, result < 0 ? NULL : &first);
	result = result < 0 ? result : rc;
	lap(&watch, "demote");
	if (rc < 0 && job->holding) { /* nobody is going to take over soon: hosts are to know */
		job->holding = false;
		ignore_result(shut(volumes, true, &watch, NULL));
	}
out:
	if (result < 0 && err)
		*err = first;
	return result;
}

static int let_go(struct volumes *volumes, struct err *err)
{
	struct group_job *job = volumes->job;
	struct stopwatch watch = { job, clock_now_ms() };
	int rc = set_states(job, job->after, err);

	if (rc == 0)
		rc = parallel_for(volumes->n, job->threads, close_one, volumes, err);
	lap(&watch, "let go");
	return rc;
}

static int inspect(struct volumes *volumes, struct err *err)
{
	size_t n_open = 0;

	volumes->job->holding = false;
	for (size_t i = 0; i < volumes->n; i++) {
		enum gate_state state;
		int rc = gate_inspect(volumes->v[i]->name, &state, NULL, NULL, err);

		if (rc < 0)
			return rc;
		n_open += state == GATE_OPEN;
		volumes->job->holding |= state == GATE_HOLDING;
	}
	volumes->job->found_any = n_open > 0;
	volumes->job->found_open = n_open > 0 && n_open == volumes->n;
	return 0;
}

int group_job_run(void *ctx, struct err *err)
{
	struct group_job *job = ctx;
	struct volumes volumes = { 0 };
	int rc = -EINVAL;

	collect_volumes(job, &volumes);
	if (!volumes.group) {
		rc = err_set(err, -ENOENT, "group %s is not in the document in force here", job->group);
		goto out;
	}
	switch (job->kind) {
	case GROUP_JOB_ACQUIRE:
		rc = acquire(&volumes, err);
		break;
	case GROUP_JOB_RELEASE:
		rc = release(&volumes, false, err);
		break;
	case GROUP_JOB_STAND_DOWN:
		rc = release(&volumes, true, err);
		break;
	case GROUP_JOB_LET_GO:
		rc = let_go(&volumes, err);
		break;
	case GROUP_JOB_REFRESH:
		rc = refresh(&volumes, err);
		break;
	case GROUP_JOB_ALUA:
		rc = set_states(job, job->after, err);
		break;
	case GROUP_JOB_INSPECT:
		rc = inspect(&volumes, err);
		break;
	}
out:
	free(volumes.v);
	return rc;
}
