// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/store.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/daemon/slot_file.h"
#include "agent/daemon/work.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"

#define STATE_SIZE_MAX (64u << 20)
#define DEADLINE_MS 20000 /* beyond it the disk is reported, not given up */

struct persist_job {
	struct slot_file *file;
	const char *dir; /* of the settings */
	uint64_t version;
	bool append;
	void *data;
	size_t size;
};

int store_load(struct agent *agent, char **ret_data, size_t *ret_size, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/state", agent->settings.state_dir);
	int rc;

	rc = file_make_dirs(agent->settings.state_dir, 0700);
	if (rc < 0)
		return err_errno(err, rc, "%s", agent->settings.state_dir);
	rc = slot_file_open(path, STATE_SIZE_MAX, &agent->state_file, ret_data, ret_size);
	if (rc == -EPROTONOSUPPORT)
		return err_set(err, rc, "%s was written by a later release of lunward, and this one (" LUNWARD_VERSION ") would lose what it says: "
			       "install that release again; or, if the other nodes run, move the file away, and this node takes the state from them", path);
	return rc < 0 ? err_errno(err, rc, "%s", path) : 0;
}

static int write_state(void *ctx, struct err *err)
{
	struct persist_job *job = ctx;
	int rc = job->append ? slot_file_append(job->file, job->data, job->size) : slot_file_write(job->file, job->data, job->size);

	return rc < 0 ? err_errno(err, rc, "%s/state", job->dir) : 0;
}

static void written(void *owner, void *ctx, int result, const struct err *err)
{
	struct persist_job *job = ctx;

	if (result < 0 && !(result == -EFBIG && job->append)) /* it comes again, whole */
		log_err("cannot store the cluster's state: %s", err->text);
	agent_step(owner, &(struct ha_event){ .type = HA_EV_PERSISTED, .version = job->version, .result = result });
	free(job->data);
	free(job);
}

static void late(void *owner, const char *what)
{
	(void)owner;
	log_err("%s: the disk of the state directory does not answer", what);
}

void store_persist(struct agent *agent, uint64_t version, bool append, const void *data, size_t size)
{
	struct persist_job *job = xcalloc(1, sizeof(*job));

	job->file = agent->state_file;
	job->dir = agent->settings.state_dir;
	job->version = version;
	job->append = append;
	job->data = xmemdup(data, size);
	job->size = size;
	work_start(agent->loop, "storing the state", clock_now_ms() + DEADLINE_MS, write_state, job, written, late, agent);
}
