// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The lease under which this node keeps its watchdog from firing (docs/decisions/0009-watchdog-lease.md). It sends stamps, the others of
 * its round send them back; with those of a majority it may pet until the stamp's time is lease_max_ms ago:
 *
 *   A, B promise a newer round, C is not in it  |  neither sends a stamp of C's round back any more
 *   their round is committed, FENCE for C       |  all that C will ever have back was sent before: its lease ends lease_max_ms later
 *
 * A stamp is this node's own clock: nobody else reads it, and who comes back with an older term is not heard.
 */
#include <string.h>

#include "ha/core/internal.h"

/* Drivers count in seconds; clocks of two nodes run at different rates. */
#define GRANULARITY_MS 1000
#define CLOCK_RATES_DIFFER_BY 500 /* one part of so many */

int64_t ha_watchdog_bound_ms(int64_t lease_max_ms, int64_t timeout_ms)
{
	/* Twice: a process that was stopped between its look at the clock and the petting does that at most one timeout late. */
	int64_t by_its_clock_ms = lease_max_ms + 2 * timeout_ms + GRANULARITY_MS;

	return by_its_clock_ms + by_its_clock_ms / CLOCK_RATES_DIFFER_BY;
}

static const struct ha_state_node *me(const struct ha_core *core)
{
	return state_node(&core->replica.state, core_me(core));
}

bool lease_guards(const struct ha_core *core)
{
	const struct ha_state_node *node = me(core);

	return core->lease.armed || (node && !node->watchdog_ms && core_is_settled(core, node->changed));
}

bool lease_is_missing(const struct ha_core *core)
{
	const struct ha_state_node *node = me(core);

	return node && node->watchdog_ms && !core->lease.armed;
}

void lease_on_watchdog(struct ha_core *core, const struct ha_event *event)
{
	core->lease.said = true;
	core->lease.bound_ms = event->version ? (uint32_t)ha_watchdog_bound_ms(core->settings.lease_max_ms, (int64_t)event->version) : 0;
	core->lease.armed = event->yes && event->version;
}

/* --- stamps -----------------------------------------------------------------------------------------------------------------*/

static struct lease_peer *find_peer(struct round *round, uint32_t nodeid)
{
	for (size_t i = 0; i < round->n_peers; i++) {
		if (round->peers[i].nodeid == nodeid)
			return &round->peers[i];
	}
	if (round->n_peers == HA_NODES_MAX)
		return NULL;
	round->peers[round->n_peers].nodeid = nodeid;
	return &round->peers[round->n_peers++];
}

void lease_on_lease(struct ha_core *core, uint32_t sender, const struct ha_msg *msg)
{
	struct round *round = &core->round;
	struct lease_peer *peer;

	if (!round->installed || msg->term != round->id.term || sender == core_me(core))
		return;
	peer = find_peer(round, sender);
	if (!peer)
		return;
	if (msg->lease.stamp_ms) {
		peer->heard_ms = msg->lease.stamp_ms;
		round->must_echo = true;
	}
	for (size_t i = 0; i < msg->lease.n_echoes; i++) {
		if (msg->lease.echoes[i].nodeid == core_me(core))
			peer->echoed_ms = MAX(peer->echoed_ms, msg->lease.echoes[i].stamp_ms);
	}
}

/* A node that wants nothing has no stamp of its own, and speaks only when it has something to send back: without watchdogs all is quiet. */
static void pump_stamp(struct ha_core *core, bool wants)
{
	struct round *round = &core->round;
	struct ha_msg msg = { .type = HA_MSG_LEASE, .term = round->id.term };

	if ((!wants && !round->must_echo) || !core_is_due(core, &round->stamp_ms, core->settings.lease_interval_ms))
		return;
	round->must_echo = false;
	msg.lease.stamp_ms = wants ? round->stamp_ms : 0;
	for (size_t i = 0; i < round->n_peers; i++) {
		if (round->peers[i].heard_ms)
			msg.lease.echoes[msg.lease.n_echoes++] =
				(struct ha_echo){ .nodeid = round->peers[i].nodeid, .stamp_ms = round->peers[i].heard_ms };
	}
	core_send(core, &msg);
}

/* --- the lease --------------------------------------------------------------------------------------------------------------*/

static bool is_echoed_by_majority(const struct ha_core *core, const struct ha_ids *electorate, int64_t stamp_ms)
{
	const struct round *round = &core->round;
	struct ha_ids ids = { .ids = { core_me(core) }, .n = 1 };

	for (size_t i = 0; i < round->n_peers; i++) {
		if (round->peers[i].echoed_ms >= stamp_ms)
			ids_add(&ids, round->peers[i].nodeid);
	}
	return core_is_majority(electorate, &ids);
}

/* The latest stamp that a majority has sent back; 0: none. Alone in its electorate a node needs nobody. */
static int64_t latest_stamp(const struct ha_core *core)
{
	const struct round *round = &core->round;
	struct ha_ids electorate = state_electorate(&core->replica.state);
	int64_t latest_ms = 0;

	if (is_echoed_by_majority(core, &electorate, INT64_MAX))
		return round->stamp_ms;
	for (size_t i = 0; i < round->n_peers; i++) {
		if (round->peers[i].echoed_ms > latest_ms && is_echoed_by_majority(core, &electorate, round->peers[i].echoed_ms))
			latest_ms = round->peers[i].echoed_ms;
	}
	return latest_ms;
}

/* What the others wait for must cover what this node does: the longer one is agreed on before it is used, the shorter one after it is. */
static bool is_covered(const struct ha_core *core, const struct ha_state_node *node)
{
	return core_is_settled(core, node->changed) && (!node->watchdog_ms || node->watchdog_ms >= core->lease.bound_ms);
}

static void pump_lease(struct ha_core *core, const struct ha_state_node *node)
{
	int64_t stamp_ms;

	if (!core->lease.bound_ms || !core_is_active(core) || !is_covered(core, node))
		return;
	stamp_ms = latest_stamp(core);
	if (stamp_ms <= core->round.leased_ms || core->now_ms > stamp_ms + core->settings.lease_max_ms)
		return;
	core->round.leased_ms = stamp_ms;
	action_add(core, HA_ACT_LEASE)->a.deadline_ms = stamp_ms + core->settings.lease_max_ms;
}

/* An older lunwardd cannot read the order, and would lose the thread: each of the round has shown that it knows of leases. */
static bool all_understand(const struct ha_core *core)
{
	const struct round *round = &core->round;
	struct ha_ids ids = { .ids = { core_me(core) }, .n = 1 };

	for (size_t i = 0; i < round->n_peers; i++)
		ids_add(&ids, round->peers[i].nodeid);
	for (size_t i = 0; i < round->install.participants.n; i++) {
		if (!ids_has(&ids, round->install.participants.ids[i]))
			return false;
	}
	return true;
}

/* None can be said at any time: nobody waits for a watchdog that is not there. */
static bool may_say(const struct ha_core *core, const struct ha_state_node *node)
{
	return !core->lease.bound_ms || core->lease.armed || (node->watchdog_ms && core->lease.bound_ms > node->watchdog_ms);
}

static void pump_bound(struct ha_core *core, const struct ha_state_node *node)
{
	struct ha_command command = { .type = HA_CMD_WATCHDOG, .nodeid = core_me(core), .number = core->lease.bound_ms };

	if (core->lease.said && node->watchdog_ms != command.number && may_say(core, node) && all_understand(core))
		core_want(core, &core->lease.want, command.number, &command);
	else
		want_drop(core, &core->lease.want);
}

void lease_pump(struct ha_core *core)
{
	const struct ha_state_node *node = me(core);

	if (!core->round.installed || !node) {
		want_drop(core, &core->lease.want);
		return;
	}
	pump_stamp(core, core->lease.said && (core->lease.bound_ms || node->watchdog_ms));
	pump_lease(core, node);
	pump_bound(core, node);
}
