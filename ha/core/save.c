// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What this node has promised and holds, on its disk before it speaks of it. The disk has a whole state and behind it the messages that
 * have changed promise or state since, so that a write costs what has changed and not what there is: those that are applied again give the
 * same state again (ha/core/replica.h).
 */
#include <errno.h>
#include <string.h>

#include "ha/core/internal.h"

#define UNSAVED_MAX (1u << 20) /* a disk that hangs: then the state is as good */

bool save_is_done(const struct ha_core *core)
{
	const struct ha_state *state = &core->replica.state;

	return core->durable.promised == core->promised && core->durable.term == state->term &&
	       core->durable.version == state->version;
}

void save_anew(struct ha_core *core)
{
	bytes_out_done(&core->unsaved);
	core->save_anew = true;
}

void save_change(struct ha_core *core, const struct ha_msg *change)
{
	if (core->save_anew)
		return;
	ha_saved_add(change, &core->unsaved);
	if (core->unsaved.size > UNSAVED_MAX)
		save_anew(core);
}

void save_pump(struct ha_core *core)
{
	const struct ha_state *state = &core->replica.state;
	struct action *action;

	if (core->write_runs || save_is_done(core))
		return;
	if (core->now_ms < core->write_retry_ms) {
		core_wake(core, core->write_retry_ms);
		return;
	}
	core->write_runs = true;
	core->writing.promised = core->promised;
	core->writing.term = state->term;
	core->writing.version = state->version;
	action = action_add(core, HA_ACT_PERSIST);
	action->a.version = ++core->write_seq;
	action->a.yes = core->write_appends = !core->save_anew;
	if (core->save_anew)
		ha_saved_encode(core->promised, state, &action->data);
	else
		action->data = core->unsaved;
	core->unsaved = (struct bytes_out){ .data = NULL };
	core->save_anew = false;
}

void save_on_persisted(struct ha_core *core, uint64_t write_seq, int result)
{
	if (!core->write_runs || write_seq != core->write_seq)
		return;
	core->write_runs = false;
	if (result < 0) {
		save_anew(core); /* what was to be appended may be there or not */
		if (result == -EFBIG && core->write_appends)
			return;
		if (!core->write_failed)
			action_note(core, true, "this node's state cannot be written (%s): it counts as silent until it can",
				    strerror(-result));
		core->write_failed = true;
		core->write_retry_ms = core->now_ms + RETRY_MS;
		return;
	}
	core->write_failed = false;
	core->durable = core->writing;
}

/* -EBADMSG: it does not follow from the state before. */
static int change_again(struct ha_core *core, const struct ha_msg *change)
{
	const struct ha_state *state = &core->replica.state;

	switch (change->type) {
	case HA_MSG_BEGIN:
		core->promised = MAX(core->promised, change->round.term);
		return 0;
	case HA_MSG_INSTALL:
		if (change->install.source_term != state->term || change->install.source_version != state->version)
			return -EBADMSG;
		replica_install(&core->replica, change->round.term, &change->install);
		return 0;
	case HA_MSG_ORDER:
		if (change->term != state->term || change->version != state->version + 1)
			return -EBADMSG;
		ignore_result(replica_apply(&core->replica, change->origin, &change->command, NULL)); /* refused then as now */
		return 0;
	default:
		return -EBADMSG;
	}
}

int save_restore(struct ha_core *core, const void *data, size_t size)
{
	struct ha_saved saved;
	struct ha_msg change;
	int rc = ha_saved_decode(data, size, &saved);

	if (rc < 0)
		return rc;
	core->promised = saved.promised;
	replica_adopt(&core->replica, &saved.state);
	while ((rc = ha_saved_next(&saved, &change)) > 0) {
		rc = change_again(core, &change);
		ha_msg_done(&change);
		if (rc < 0)
			break;
	}
	core->replica.notes.n = 0; /* told in the life before */
	if (rc < 0) {
		ha_state_done(&core->replica.state);
		replica_count(&core->replica);
		core->promised = 0;
		return rc;
	}
	core->durable.promised = core->promised;
	core->durable.term = core->replica.state.term;
	core->durable.version = core->replica.state.version;
	core->save_anew = false;
	return 0;
}
