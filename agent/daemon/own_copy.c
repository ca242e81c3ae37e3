// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/own_copy.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/daemon/agent.h"
#include "agent/daemon/work.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"

#define RETRY_MS 1000
#define NOTE_DEADLINE_MS 10000

struct note {
	char *path;
	bool behind;
};

static char *path_of(const struct agroup *group)
{
	return xasprintf("%s/behind-%s", group->agent->settings.state_dir, group->name);
}

/* A note that outlives its reason is taken back at the next look: it need not be gone for good. */
static int write_note(void *ctx, struct err *err)
{
	const struct note *note = ctx;
	int rc = note->behind ? file_replace(note->path, "", 0, 0600) : unlink(note->path) < 0 && errno != ENOENT ? -errno : 0;

	return rc < 0 ? err_errno(err, rc, "%s", note->path) : 0;
}

static void note_written(void *owner, void *ctx, int result, const struct err *err)
{
	struct agroup *group = owner;
	struct note *note = ctx;

	group->noting = false;
	if (result < 0)
		log_err("group %s: what is known of this node's copy cannot be written down: %s", group->name, err->text);
	else
		group->noted_behind = note->behind;
	group->note_retry_ms = clock_now_ms() + (result < 0 ? RETRY_MS : 0);
	agent_turn_by(group->agent, group->note_retry_ms); /* it may have changed meanwhile */
	free(note->path);
	free(note);
}

void own_copy_load(struct agroup *group)
{
	_cleanup_free_ char *path = path_of(group);

	group->behind = group->noted_behind = access(path, F_OK) == 0;
}

void own_copy_is_behind(struct agroup *group, bool behind)
{
	struct agent *agent = group->agent;
	_cleanup_free_ char *what = NULL;
	struct note *note;

	if (group->behind != behind)
		log_info("group %s: this node's copy %s", group->name, behind ?
			 "lacks writes from now on: its disk has failed" : "is equal to the other again");
	group->behind = behind;
	if (group->noting || group->noted_behind == behind || clock_now_ms() < group->note_retry_ms)
		return;
	note = xcalloc(1, sizeof(*note));
	note->path = path_of(group);
	note->behind = behind;
	group->noting = true;
	what = xasprintf("group %s: note on its copy", group->name);
	work_start(agent->loop, what, clock_now_ms() + NOTE_DEADLINE_MS, write_note, note, note_written, NULL, group);
}
