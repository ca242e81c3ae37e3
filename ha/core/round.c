// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Installing a view (docs/PROTOCOL.md): BEGIN, DIGEST, INSTALL, SNAPSHOT. What makes a term belong to one round only is the
 * promise, made durable before the digest is sent:
 *
 *   A, B begin term 6; A alone persists its install, B has crashed |  without a promise B and C would begin term 6 as well:
 *   B, C (last term 5) begin                                       |  two states of the same name (6, v)
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ha/core/internal.h"

struct ha_ids settings_electorate(const struct ha_core *core)
{
	struct ha_ids ids = { .n = 0 };

	for (size_t i = 0; i < core->settings.n_electorate; i++)
		ids_add(&ids, core->settings.electorate[i].nodeid);
	return ids;
}

static bool is_same_round(const struct ha_round *a, const struct ha_round *b)
{
	return a->term == b->term && a->nodeid == b->nodeid && a->incarnation == b->incarnation;
}

static bool is_mine(const struct ha_core *core)
{
	return core->round.id.term && core->round.id.nodeid == core_me(core) &&
	       core->round.id.incarnation == core->settings.incarnation;
}

void round_reset(struct ha_core *core)
{
	struct round *round = &core->round;

	order_reset(core);
	bytes_out_done(&round->snapshot);
	bytes_out_done(&round->snapshot_mine);
	bytes_out_done(&round->install_bytes);
	memset(round, 0, sizeof(*round));
	core->gap_since_ms = core->unheard_since_ms = 0;
	core->tell_changed = true;
}

/* Members in order of their ids begin one after the other, as long as nobody else has: the first may be silent. */
static int64_t my_turn_ms(const struct ha_core *core)
{
	size_t before = 0;

	for (size_t i = 0; i < core->settings.n_electorate; i++) {
		uint32_t id = core->settings.electorate[i].nodeid;

		before += id < core_me(core) && ids_has(&core->members, id);
	}
	return (int64_t)before * core->settings.install_wait_ms;
}

void round_on_view(struct ha_core *core)
{
	round_reset(core);
	core->blocked[0] = '\0';
	core->join_wanted = false;
	core->begin_at_ms = core->now_ms + my_turn_ms(core);
}

/* --- every member -----------------------------------------------------------------------------------------------------*/

static void refuse_begin(struct ha_core *core, const struct ha_round *id)
{
	core_send(core, &(struct ha_msg){ .type = HA_MSG_DIGEST, .round = *id,
					  .digest = { .refused = true, .promised = core->promised } });
}

void round_on_begin(struct ha_core *core, uint32_t sender, const struct ha_msg *msg)
{
	struct ha_ids electorate = settings_electorate(core);

	if (msg->round.nodeid != sender || !ids_has(&electorate, sender))
		return;
	core->term_seen = MAX(core->term_seen, msg->round.term);
	if (msg->round.term <= core->promised) {
		if (!is_same_round(&msg->round, &core->round.id))
			refuse_begin(core, &msg->round);
		return;
	}
	round_reset(core);
	core->promised = msg->round.term;
	save_change(core, msg);
	core->round.id = msg->round;
	core->round.since_ms = core->now_ms;
	core->join_wanted = false;
	core->begin_at_ms = core->now_ms + my_turn_ms(core) + 2 * core->settings.install_wait_ms;
}

static uint32_t state_crc(const struct ha_state *state, struct bytes_out *ret_bytes)
{
	ha_state_encode(state, ret_bytes);
	return bytes_crc32(ret_bytes->data, ret_bytes->size);
}

static void send_digest(struct ha_core *core)
{
	const struct ha_state *state = &core->replica.state;
	struct bytes_out bytes = { .data = NULL };
	struct ha_msg msg = {
		.type = HA_MSG_DIGEST,
		.round = core->round.id,
		.digest = { .unreadable = core->unreadable, .promised = core->promised,
			    .term = state->term, .version = state->version, .electorate = state_electorate(state) },
	};

	msg.digest.crc = state_crc(state, &bytes);
	bytes_out_done(&bytes);
	core_send(core, &msg);
}

static void apply_install(struct ha_core *core)
{
	struct round *round = &core->round;

	round->old_electorate = state_electorate(&core->replica.state);
	save_change(core, &(struct ha_msg){ .type = HA_MSG_INSTALL, .round = round->id, .install = round->install });
	replica_install(&core->replica, round->id.term, &round->install);
	round->install_version = core->replica.state.version;
	core->join_wait_ms = 0;
	round->installed = true;
	round->installed_ms = core->now_ms;
	core->unreadable = false;
	core->blocked[0] = '\0';
	core->begin_at_ms = INT64_MAX;
	order_installed(core);
	request_on_install(core);
}

/* It asks for a new round instead of beginning one: it may be at fault itself. */
static void leave_out(struct ha_core *core)
{
	core->round.left_out = true;
	core->begin_at_ms = INT64_MAX;
}

static bool is_like_source(const struct ha_core *core, const struct ha_install *install)
{
	const struct ha_state *state = &core->replica.state;
	struct bytes_out bytes = { .data = NULL };
	bool same = state->term == install->source_term && state->version == install->source_version &&
		    state_crc(state, &bytes) == install->source_crc;

	bytes_out_done(&bytes);
	return same;
}

void round_on_install(struct ha_core *core, uint32_t sender, const struct ha_msg *msg)
{
	struct round *round = &core->round;

	if (!is_same_round(&msg->round, &round->id) || sender != round->id.nodeid || round->has_install || round->left_out)
		return;
	if (!ids_has(&msg->install.participants, core_me(core)) || !save_is_done(core)) {
		leave_out(core);
		return;
	}
	round->has_install = true;
	round->install = msg->install;
	if (msg->install.source == core_me(core) && msg->install.snapshot)
		ha_state_encode(&core->replica.state, &round->snapshot_mine);
	if (is_like_source(core, &msg->install))
		apply_install(core);
}

/* What happened while this node was away, as far as it can still be seen. */
static void note_untold(struct ha_core *core)
{
	for (size_t i = 0; i < core->replica.state.n_groups; i++) {
		const struct ha_state_group *group = &core->replica.state.groups[i];
		const struct local_group *local = local_group(core, group->spec.name);

		if (local->told.epoch != group->epoch || local->told.phase != group->phase ||
		    local->told.owner != group->owner)
			replica_note_phase(&core->replica, group);
	}
}

static void adopt_snapshot(struct ha_core *core)
{
	struct round *round = &core->round;
	struct ha_state state;

	if (bytes_crc32(round->snapshot.data, round->snapshot.size) != round->install.source_crc ||
	    ha_state_decode(round->snapshot.data, round->snapshot.size, &state) < 0) {
		action_note(core, true, "the state that node %u sent cannot be used here: is it of another version of lunward?",
			    round->install.source);
		leave_out(core);
		return;
	}
	bytes_out_done(&round->snapshot);
	replica_adopt(&core->replica, &state);
	save_anew(core);
	note_untold(core);
	apply_install(core);
}

void round_on_snapshot(struct ha_core *core, uint32_t sender, const struct ha_msg *msg)
{
	struct round *round = &core->round;

	if (!round->has_install || !is_same_round(&msg->round, &round->id) || sender != round->install.source ||
	    msg->offset != round->snapshot_at || !msg->size)
		return;
	round->snapshot_total = msg->total;
	round->snapshot_at += msg->size;
	round->snapshot_sent_ms = core->now_ms;
	if (round->installed)
		return;
	core->begin_at_ms = core->now_ms + my_turn_ms(core) + 2 * core->settings.install_wait_ms;
	bytes_put_raw(&round->snapshot, msg->data, msg->size);
	if (round->snapshot_at == round->snapshot_total)
		adopt_snapshot(core);
}

bool round_sees_snapshot(const struct ha_core *core)
{
	const struct round *round = &core->round;

	return round->has_install && round->install.snapshot &&
	       (!round->snapshot_total || round->snapshot_at < round->snapshot_total);
}

void round_on_join(struct ha_core *core, uint32_t sender)
{
	(void)sender;
	if (core->round.installed || core->round.left_out)
		core->begin_at_ms = MIN(core->begin_at_ms, core->now_ms + my_turn_ms(core));
}

/* --- the node that began ------------------------------------------------------------------------------------------------*/

void round_on_digest(struct ha_core *core, uint32_t sender, const struct ha_msg *msg)
{
	struct round *round = &core->round;
	struct ha_ids electorate = settings_electorate(core);

	if (!ids_has(&electorate, sender))
		return;
	core->term_seen = MAX(core->term_seen, msg->digest.promised);
	if (sender == core_me(core) && is_same_round(&msg->round, &round->id))
		round->digest_delivered = true;
	if (msg->round.nodeid != core_me(core) || msg->round.incarnation != core->settings.incarnation)
		return;
	if (msg->digest.refused) {
		/* Ours was too low: again, above what we have just heard. */
		if (!round->id.term || is_same_round(&msg->round, &round->id))
			core->begin_at_ms = MIN(core->begin_at_ms, core->now_ms);
		return;
	}
	if (!is_same_round(&msg->round, &round->id) || ids_has(&round->answered, sender))
		return;
	ids_add(&round->answered, sender);
	round->digests[round->answered.n - 1] = msg->digest;
}

/* The digest with the highest (term, version); lowest id on ties. */
static size_t best_digest(const struct round *round)
{
	size_t best = SIZE_MAX;

	for (size_t i = 0; i < round->answered.n; i++) {
		const struct ha_digest *d = &round->digests[i], *b;

		if (d->unreadable)
			continue;
		if (best == SIZE_MAX) {
			best = i;
			continue;
		}
		b = &round->digests[best];
		if (d->term > b->term || (d->term == b->term && d->version > b->version) ||
		    (d->term == b->term && d->version == b->version &&
		     round->answered.ids[i] < round->answered.ids[best]))
			best = i;
	}
	return best;
}

static bool has_all(const struct ha_ids *ids, const struct ha_ids *wanted)
{
	for (size_t i = 0; i < wanted->n; i++) {
		if (!ids_has(ids, wanted->ids[i]))
			return false;
	}
	return true;
}

/*
 * Of the electorate the best state was made for, a majority of those that remember must have answered, so that nothing that
 * was ever committed can be missing. A node without a state is a new one or one that has forgotten what it had promised and
 * persisted: it counts only when all are here, since then nobody is left who could know better. So a cluster begins.
 */
static bool is_enough(const struct ha_core *core, size_t best)
{
	const struct round *round = &core->round;
	const struct ha_digest *source = &round->digests[best];
	struct ha_ids electorate = settings_electorate(core), remembering = { .n = 0 };
	bool all = has_all(&round->answered, &electorate) && has_all(&round->answered, &source->electorate);

	for (size_t i = 0; i < round->answered.n; i++) {
		if (round->digests[i].unreadable)
			all = false;
		else if (round->digests[i].term)
			ids_add(&remembering, round->answered.ids[i]);
	}
	if (all)
		return true;
	return source->term && core_is_majority(&electorate, &round->answered) &&
	       core_is_majority(&source->electorate, &remembering);
}

static bool everybody_answered(const struct ha_core *core)
{
	for (size_t i = 0; i < core->settings.n_electorate; i++) {
		uint32_t id = core->settings.electorate[i].nodeid;

		if (ids_has(&core->members, id) && !ids_has(&core->round.answered, id))
			return false;
	}
	return true;
}

static void make_install(struct ha_core *core, size_t best)
{
	struct round *round = &core->round;
	const struct ha_digest *source = &round->digests[best];
	struct ha_msg msg = {
		.type = HA_MSG_INSTALL,
		.round = round->id,
		.install = { .participants = round->answered, .ring = core->ring, .electorate = settings_electorate(core),
			     .source = round->answered.ids[best], .source_term = source->term,
			     .source_version = source->version, .source_crc = source->crc },
	};

	for (size_t i = 0; i < round->answered.n; i++) {
		const struct ha_digest *d = &round->digests[i];

		if (d->term != source->term || d->version != source->version || d->crc != source->crc)
			msg.install.snapshot = true;
	}
	ha_msg_encode(&msg, &round->install_bytes);
}

static void try_install(struct ha_core *core)
{
	struct round *round = &core->round;
	int64_t wait_until_ms = round->since_ms + core->settings.install_wait_ms;
	size_t best;

	if (!everybody_answered(core) && core->now_ms < wait_until_ms) {
		core_wake(core, wait_until_ms);
		return;
	}
	if (!ids_has(&round->answered, core_me(core)))
		return; /* this node would lead: it must take part */
	best = best_digest(round);
	if (best != SIZE_MAX && is_enough(core, best)) {
		make_install(core, best);
		return;
	}
	if (everybody_answered(core))
		snprintf(core->blocked, sizeof(core->blocked), "%s",
			 best != SIZE_MAX && !round->digests[best].term ?
				 "a new cluster starts when all its nodes are there for the first time: start the others" :
				 "too few of the nodes that are here remember the last agreed state: start the others");
}

/* --- every step ----------------------------------------------------------------------------------------------------------*/

static void maybe_begin(struct ha_core *core)
{
	struct ha_ids electorate = settings_electorate(core);
	struct ha_msg msg = { .type = HA_MSG_BEGIN };

	if (!core->connected || core->quorum != YES || !save_is_done(core) || !core_is_majority(&electorate, &core->members))
		return;
	if (core->now_ms < core->begin_at_ms) {
		core_wake(core, core->begin_at_ms);
		return;
	}
	core->term_seen = MAX(core->term_seen, core->promised) + 1;
	msg.round = (struct ha_round){ .term = core->term_seen, .nodeid = core_me(core),
				       .incarnation = core->settings.incarnation };
	core_send(core, &msg);
	/* Until it is delivered: it may be refused by CPG. */
	core->begin_at_ms = core->now_ms + core->settings.install_wait_ms;
	core_wake(core, core->begin_at_ms);
}

static void pump_snapshot(struct ha_core *core)
{
	struct round *round = &core->round;

	if (!round->snapshot_mine.size || round->snapshot_at == round->snapshot_mine.size ||
	    !core_is_due(core, &round->snapshot_sent_ms, RESEND_MS))
		return;
	for (size_t at = round->snapshot_at; at < round->snapshot_mine.size; at += HA_SNAPSHOT_CHUNK)
		core_send(core, &(struct ha_msg){ .type = HA_MSG_SNAPSHOT, .round = round->id,
						  .total = (uint32_t)round->snapshot_mine.size, .offset = (uint32_t)at,
						  .data = round->snapshot_mine.data + at,
						  .size = MIN(round->snapshot_mine.size - at, HA_SNAPSHOT_CHUNK) });
}

/* A round stops the others for a moment: one who cannot keep up (a slow disk) asks for it less and less often, and one who
 * could not answer does not ask at all. */
void round_pump_join(struct ha_core *core)
{
	if (!core->connected || !save_is_done(core) || (!core->round.left_out && !core->join_wanted))
		return;
	if (!core_is_due(core, &core->join_sent_ms, core->join_wait_ms))
		return;
	core_send(core, &(struct ha_msg){ .type = HA_MSG_JOIN });
	core->join_wait_ms = MIN(MAX(2 * core->join_wait_ms, core->settings.install_wait_ms), JOIN_WAIT_MAX_MS);
	core_wake(core, core->now_ms + core->join_wait_ms);
}

void round_pump(struct ha_core *core)
{
	struct round *round = &core->round;

	if (round->id.term && !round->has_install && !round->left_out && !round->digest_delivered && save_is_done(core) &&
	    core_is_due(core, &round->digest_sent_ms, RESEND_MS))
		send_digest(core);
	if (is_mine(core) && !round->has_install && !round->left_out) {
		if (!round->install_bytes.size)
			try_install(core);
		if (round->install_bytes.size && core_is_due(core, &round->install_sent_ms, RESEND_MS))
			core_send_bytes(core, &round->install_bytes);
	}
	pump_snapshot(core);
	maybe_begin(core);
}
