// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From a command to a commit. The node that began the round leads: it alone gives commands their version, so that (term,
 * version) names one content whatever CPG delivers to whom. Without a leader:
 *
 *   A is cut off, misses m2, delivers its own m1  |  B, C deliver m2 and both acknowledgements: committed, B acts
 *   A persists (5, v+1) with m1                   |  C dies; A and B meet: both hold (5, v+1), and A's would do as well
 *
 * (A node that is cut off delivers what it has of the old membership, with gaps: extended virtual synchrony.)
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "ha/core/internal.h"

struct ha_ids state_electorate(const struct ha_state *state)
{
	struct ha_ids ids = { .n = 0 };

	for (size_t i = 0; i < state->n_nodes; i++) {
		if (state->nodes[i].elects)
			ids_add(&ids, state->nodes[i].nodeid);
	}
	return ids;
}

void order_reset(struct ha_core *core)
{
	while (core->orders) {
		struct order *order = core->orders;

		core->orders = order->next;
		bytes_out_done(&order->bytes);
		free(order);
	}
	core->orders_tail = &core->orders;
	core->n_orders = 0;
	core->orders_sent_ms = 0;
}

void order_installed(struct ha_core *core)
{
	core->ack_sent_ms = 0;
	core->ack_sent_version = 0;
	core->tell_changed = true;
}

/* --- leader ---------------------------------------------------------------------------------------------------------------*/

static bool is_leader(const struct ha_core *core)
{
	return core->round.installed && core->round.id.nodeid == core_me(core);
}

static bool may_order(const struct ha_core *core)
{
	return is_leader(core) && core_is_active(core) && !round_sees_snapshot(core);
}

static void order_command(struct ha_core *core, uint32_t origin, const struct ha_command *command)
{
	const struct ha_state *state = &core->replica.state;
	struct order *order = xcalloc(1, sizeof(*order));

	core->n_orders++;
	ha_msg_encode(&(struct ha_msg){ .type = HA_MSG_ORDER, .term = state->term, .version = state->version + core->n_orders,
					.origin = origin, .command = *command },
		      &order->bytes);
	*core->orders_tail = order;
	core->orders_tail = &order->next;
	core_send_bytes(core, &order->bytes);
	if (!core->orders_sent_ms)
		core->orders_sent_ms = core->now_ms;
}

/* A sender repeats itself until it sees the effect: what has none any more is not ordered again. A request is ordered even
 * if it will be refused, since the answer is what its sender waits for. With orders on their way only the order tells. */
static bool is_worth_ordering(const struct ha_core *core, uint32_t origin, const struct ha_command *command)
{
	const struct ha_state_node *node = state_node(&core->replica.state, origin);

	if (!node)
		return false;
	if (command->seq)
		return node->request_incarnation != command->incarnation || command->seq > node->request_seq;
	return core->n_orders || replica_check(&core->replica, origin, command, NULL) == 0;
}

void order_on_command(struct ha_core *core, uint32_t sender, const struct ha_msg *msg)
{
	if (may_order(core) && msg->term == core->replica.state.term && is_worth_ordering(core, sender, &msg->command))
		order_command(core, sender, &msg->command);
}

/* How long so much may take to be delivered. */
static int64_t travel_ms(size_t bytes)
{
	return (int64_t)(bytes / BYTES_PER_MS);
}

/* The wait begins anew with each that is delivered: it is for the first. */
static void pump_orders(struct ha_core *core)
{
	if (!core->orders || !core_is_due(core, &core->orders_sent_ms, RESEND_MS + travel_ms(core->orders->bytes.size)))
		return;
	for (struct order *order = core->orders; order; order = order->next)
		core_send_bytes(core, &order->bytes);
}

static void drop_delivered_order(struct ha_core *core)
{
	struct order *order = core->orders;

	if (!order)
		return;
	core->orders = order->next;
	if (!core->orders)
		core->orders_tail = &core->orders;
	bytes_out_done(&order->bytes);
	free(order);
	core->n_orders--;
	core->orders_sent_ms = core->orders ? core->now_ms : 0;
}

static void see_gap(struct ha_core *core)
{
	if (!core->gap_since_ms)
		core->gap_since_ms = core->now_ms;
}

/* --- everybody ---------------------------------------------------------------------------------------------------------------*/

void order_on_order(struct ha_core *core, uint32_t sender, const struct ha_msg *msg)
{
	struct ha_state *state = &core->replica.state;
	struct err err = ERR_INIT;
	int rc;

	if (!core->round.installed || sender != core->round.id.nodeid || msg->term != state->term ||
	    msg->version <= state->version)
		return;
	if (msg->version != state->version + 1) { /* one before it was refused by CPG and will come again */
		see_gap(core);
		return;
	}
	core->gap_since_ms = core->unheard_since_ms = 0;
	save_change(core, msg);
	rc = replica_apply(&core->replica, msg->origin, &msg->command, &err);
	if (is_leader(core))
		drop_delivered_order(core);
	if (rc != -EILSEQ && msg->origin == core_me(core) && msg->command.seq && msg->command.incarnation == core->settings.incarnation)
		request_on_ordered(core, msg->command.seq, rc, err.text);
}

static uint64_t acked_by(const struct ha_core *core, uint32_t id)
{
	const struct round *round = &core->round;

	for (size_t i = 0; i < round->ackers.n; i++) {
		if (round->ackers.ids[i] == id)
			return round->acked[i];
	}
	return 0;
}

static bool is_acked_by_majority(const struct ha_core *core, const struct ha_ids *electorate, uint64_t version)
{
	struct ha_ids acked = { .n = 0 };

	for (size_t i = 0; i < electorate->n; i++) {
		if (acked_by(core, electorate->ids[i]) >= version)
			ids_add(&acked, electorate->ids[i]);
	}
	return core_is_majority(electorate, &acked);
}

static bool is_committed(const struct ha_core *core, uint64_t version)
{
	struct ha_ids electorate = state_electorate(&core->replica.state);

	return is_acked_by_majority(core, &electorate, version) &&
	       (!core->round.old_electorate.n || core->committed >= core->round.install_version ||
		is_acked_by_majority(core, &core->round.old_electorate, version));
}

void order_on_ack(struct ha_core *core, uint32_t sender, const struct ha_msg *msg)
{
	struct round *round = &core->round;

	if (msg->term > core->promised) /* of a round whose BEGIN has not come here */
		see_gap(core);
	if (!round->id.term || msg->term != round->id.term)
		return;
	/* Somebody has made durable what has not come here: if it was the last for a while, no later order would tell. */
	if (round->installed && msg->version > core->replica.state.version)
		see_gap(core);
	ids_add(&round->ackers, sender);
	for (size_t i = 0; i < round->ackers.n; i++) {
		if (round->ackers.ids[i] == sender)
			round->acked[i] = MAX(round->acked[i], msg->version);
	}
}

/* The largest version that a majority has made durable; there are few nodes. */
void order_commit(struct ha_core *core)
{
	const struct ha_state *state = &core->replica.state;

	for (size_t i = 0; core->round.installed && i < core->round.ackers.n; i++) {
		uint64_t version = MIN(core->round.acked[i], state->version);

		if (version > core->committed && version >= core->round.install_version && is_committed(core, version)) {
			core->committed = version;
			core->tell_changed = true;
		}
	}
}

static void pump_ack(struct ha_core *core)
{
	uint64_t version = core->durable.version;

	if (!core->round.installed || core->durable.term != core->replica.state.term ||
	    acked_by(core, core_me(core)) >= version)
		return;
	if (core->ack_sent_version != version)
		core->ack_sent_ms = 0;
	if (!core_is_due(core, &core->ack_sent_ms, RESEND_MS))
		return;
	core->ack_sent_version = version;
	core_send(core, &(struct ha_msg){ .type = HA_MSG_ACK, .term = core->durable.term, .version = version });
}

/* A gap that stays means that this node has lost the thread: it needs the state. */
static void pump_gap(struct ha_core *core)
{
	int64_t limit_ms = core->gap_since_ms + core->settings.install_wait_ms;

	if (!core->gap_since_ms)
		return;
	if (core->now_ms >= limit_ms)
		core->join_wanted = true;
	else
		core_wake(core, limit_ms);
}

/* What is agreed and stays uncommitted: acknowledgements were lost, or a majority cannot write. A round collects them anew. */
static void pump_uncommitted(struct ha_core *core)
{
	int64_t limit_ms;

	if (!core->round.installed || core->replica.state.version == core->committed) {
		core->uncommitted_since_ms = 0;
		return;
	}
	if (!core->uncommitted_since_ms || core->uncommitted_above != core->committed) {
		core->uncommitted_since_ms = MAX(core->now_ms, 1);
		core->uncommitted_above = core->committed;
	}
	limit_ms = core->uncommitted_since_ms + core->settings.away_limit_ms;
	if (core->now_ms >= limit_ms)
		core->join_wanted = true;
	else
		core_wake(core, limit_ms);
}

/* The leader is silent while this node has something to say: a new round finds another. */
static void pump_silence(struct ha_core *core)
{
	int64_t limit_ms;

	if (!core->unheard_since_ms && core->n_wants)
		core->unheard_since_ms = core->now_ms;
	if (!core->unheard_since_ms)
		return;
	limit_ms = core->unheard_since_ms + 2 * core->settings.install_wait_ms;
	for (const struct request *request = core->requests; request; request = request->next)
		limit_ms += travel_ms(2 * request->command.document_size); /* as a command and as an order */
	if (core->now_ms < limit_ms) {
		core_wake(core, limit_ms);
		return;
	}
	core->join_wanted = core->join_wanted || core->n_wants;
	core->unheard_since_ms = 0;
}

void order_pump(struct ha_core *core)
{
	pump_silence(core);
	pump_orders(core);
	pump_gap(core);
	pump_uncommitted(core);
	save_pump(core);
	pump_ack(core);
}

/* --- wishes ------------------------------------------------------------------------------------------------------------------*/

void want_drop(struct ha_core *core, struct want *want)
{
	core->n_wants -= want->active;
	memset(want, 0, sizeof(*want));
}

void core_want(struct ha_core *core, struct want *want, uint64_t tag, const struct ha_command *command)
{
	uint64_t term = core->replica.state.term;

	if (!core_is_active(core)) {
		want_drop(core, want);
		return;
	}
	if (want->term != term || want->tag != tag) {
		want_drop(core, want);
		*want = (struct want){ .active = true, .term = term, .tag = tag };
		core->n_wants++;
	}
	if (!core_is_due(core, &want->sent_ms, COMMAND_RESEND_MS + travel_ms(2 * command->document_size)))
		return;
	if (!is_leader(core)) {
		core_send(core, &(struct ha_msg){ .type = HA_MSG_COMMAND, .term = term, .command = *command });
	} else if (!may_order(core)) {
		want->sent_ms = 0;
		core_wake(core, core->now_ms + RESEND_MS);
	} else if (is_worth_ordering(core, core_me(core), command)) {
		order_command(core, core_me(core), command);
	}
}
