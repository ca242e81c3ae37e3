// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Corosync as it is. In a ring all messages have one order; a node delivers one when it has it and all before it. When the
 * ring breaks, nodes that go on together exchange what they have, deliver it in order up to the first gap, and behind the gap
 * only what was sent by one of themselves (totemsrp.c, memb_state_operational_enter: messages_deliver_to_app with skip; CPG does
 * not show where the transitional configuration begins). Messages not yet sequenced go out in the new ring. Joins and leaves
 * of agents have their place in the order; a new ring first tells who has left, then, by its first entry, who is there.
 * In some seeds messages are lost or come again besides: the protocol claims that it would only be slow then.
 */
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "tests/sim/sim.h"

static event_fn ev_receive, ev_token, ev_reform, ev_quorum, ev_corosync_back, ev_goes_on;

static bool node_acts(const struct sim *sim, int node)
{
	const struct machine *m = &sim->machines[node];

	return m->power && !m->frozen && m->corosync && !m->corosync_stopped;
}

static void free_entry(struct entry *entry)
{
	if (!entry)
		return;
	free(entry->data);
	free(entry);
}

void cpg_free(struct sim *sim)
{
	while (sim->rings) {
		struct ring *ring = sim->rings;

		sim->rings = ring->older;
		for (size_t i = 0; i < ring->n; i++)
			free_entry(ring->entries[i]);
		free(ring->entries);
		free(ring);
	}
	for (int i = 0; i < sim->n; i++) {
		while (sim->machines[i].sendq) {
			struct entry *entry = sim->machines[i].sendq;

			sim->machines[i].sendq = entry->next;
			free_entry(entry);
		}
	}
}

/* --- delivery ---*/

/* Not Corosync any more: safety must not depend on it. */
static void deliver_late(struct sim *sim, int node, uint64_t entry, uint64_t from, void *p)
{
	const struct machine *m = &sim->machines[node];
	const struct entry *late = p;

	(void)entry;
	if (m->agent && m->joined)
		agent_message(sim, node, (int)from, late->data, late->size);
}

static void tell_view(struct sim *sim, int node)
{
	struct machine *m = &sim->machines[node];

	if (m->agent && m->joined)
		agent_view(sim, node, m->cpg, m->ring->members);
}

static void deliver(struct sim *sim, int node, struct entry *entry)
{
	struct machine *m = &sim->machines[node];
	uint32_t before = m->cpg;

	switch (entry->type) {
	case ENTRY_MSG:
		if (sim->lossy && !sim->healing && sim_chance(sim, 4))
			return;
		if (m->agent && m->joined)
			agent_message(sim, node, entry->from, entry->data, entry->size);
		if (sim->lossy && !sim->healing && sim_chance(sim, sim->rough ? 25 : 4))
			sim_at(sim, sim_between(sim, 0, sim->rough ? 15000 : 5000), deliver_late, node, 0, (uint64_t)entry->from, entry);
		return;
	case ENTRY_LEAVE:
		m->cpg &= ~BIT(entry->from);
		break;
	case ENTRY_JOIN:
		m->cpg |= BIT(entry->from);
		if (entry->from == node && m->agent) {
			m->joined = true;
			before = 0;
		}
		break;
	case ENTRY_SYNC:
		m->cpg = entry->agents & m->ring->members;
		break;
	}
	if (m->cpg != before)
		tell_view(sim, node);
}

static void deliver_ready(struct sim *sim, int node)
{
	struct machine *m = &sim->machines[node];

	while (m->delivered < m->ring->n && (m->ring->entries[m->delivered]->received & BIT(node)))
		deliver(sim, node, m->ring->entries[m->delivered++]);
}

static void ev_receive(struct sim *sim, int node, uint64_t at, uint64_t unused, void *ring)
{
	struct machine *m = &sim->machines[node];

	(void)unused;
	if (!m->power || m->ring != ring)
		return;
	if (m->frozen || m->corosync_stopped) { /* it will be sent again, as long as somebody holds it */
		if (!((struct ring *)ring)->broken)
			sim_at(sim, sim_between(sim, 20, 60), ev_receive, node, at, 0, ring);
		return;
	}
	if (m->ring->broken && sim_chance(sim, 50))
		return; /* lost on the way, and who sent it is out of reach */
	m->ring->entries[at]->received |= BIT(node);
	deliver_ready(sim, node);
}

static size_t sequence(struct ring *ring, struct entry *entry, int node)
{
	*array_push(ring->entries, ring->n, ring->cap) = entry;
	entry->received = node >= 0 ? BIT(node) : 0;
	return ring->n - 1;
}

static void spread(struct sim *sim, struct ring *ring, size_t at, int from)
{
	for (int i = 0; i < sim->n; i++) {
		if (i != from && (ring->members & BIT(i)))
			sim_at(sim, sim_chance(sim, 90) ? sim_between(sim, 0, 3) : sim_between(sim, 3, 60), ev_receive, i, at, 0,
			       ring);
	}
}

static struct entry *take_from_queue(struct machine *m)
{
	struct entry *entry = m->sendq;

	if (!entry)
		return NULL;
	m->sendq = entry->next;
	if (!m->sendq)
		m->sendq_tail = &m->sendq;
	entry->next = NULL;
	return entry;
}

static void ev_token(struct sim *sim, int node, uint64_t a, uint64_t b, void *p)
{
	struct machine *m = &sim->machines[node];
	struct entry *entry;

	(void)a;
	(void)b;
	(void)p;
	if (!node_acts(sim, node) || !m->ring || m->ring->broken)
		return;
	while ((entry = take_from_queue(m))) {
		size_t at = sequence(m->ring, entry, node);

		spread(sim, m->ring, at, node);
	}
	deliver_ready(sim, node);
}

void cpg_send(struct sim *sim, int node, enum entry_type type, const void *data, size_t size)
{
	struct machine *m = &sim->machines[node];
	struct entry *entry;

	if (!m->corosync)
		return;
	entry = xcalloc(1, sizeof(*entry));
	entry->type = type;
	entry->from = node;
	entry->data = xmemdup(data ? data : "", size);
	entry->size = size;
	*m->sendq_tail = entry;
	m->sendq_tail = &entry->next;
	sim_at(sim, sim_between(sim, 0, sim->healing ? 2 : sim->token_ms), ev_token, node, 0, 0, NULL);
	faults_tempt(sim);
}

/* --- rings ---*/

static struct ring *new_ring(struct sim *sim, uint32_t members)
{
	struct ring *ring = xcalloc(1, sizeof(*ring));

	ring->members = members;
	ring->older = sim->rings;
	sim->rings = ring;
	return ring;
}

void cpg_start(struct sim *sim, int node)
{
	struct machine *m = &sim->machines[node];

	m->corosync = true;
	m->corosync_stopped = false;
	m->ring = new_ring(sim, BIT(node));
	m->delivered = 0;
	m->cpg = 0;
	m->joined = false;
	cpg_quorum_soon(sim, node);
	cpg_reform_in(sim, sim_between(sim, 50, 1000));
}

void cpg_stop(struct sim *sim, int node)
{
	struct machine *m = &sim->machines[node];
	struct entry *entry;

	while ((entry = take_from_queue(m)))
		free_entry(entry);
	m->ring = NULL;
	m->cpg = 0;
	m->corosync = m->joined = m->quorate = false;
}

/* It dies under its agent and is started again. */
void cpg_die(struct sim *sim, int node, int64_t back_ms)
{
	struct machine *m = &sim->machines[node];

	if (!node_acts(sim, node))
		return;
	sim->coverage[COVER_COROSYNC]++;
	sim_log(sim, "n%d: Corosync dies", node);
	cpg_break(sim, BIT(node));
	cpg_stop(sim, node);
	agent_event(sim, node, &(struct ha_event){ .type = HA_EV_LEFT });
	cpg_reform_in(sim, sim_between(sim, 100, 4000));
	if (!sim->single)
		sim_at(sim, back_ms, ev_corosync_back, node, m->life, 0, NULL);
}

void cpg_back(struct sim *sim, int node)
{
	struct machine *m = &sim->machines[node];

	if (!m->power || m->corosync)
		return;
	sim_log(sim, "n%d: Corosync is back", node);
	cpg_start(sim, node);
	if (m->agent)
		cpg_send(sim, node, ENTRY_JOIN, NULL, 0);
}

static void ev_corosync_back(struct sim *sim, int node, uint64_t life, uint64_t b, void *p)
{
	(void)b;
	(void)p;
	if (sim->machines[node].life == life)
		cpg_back(sim, node);
}

/* It stops under its agent, which goes on with what it believes. */
void cpg_hang(struct sim *sim, int node, int64_t for_ms)
{
	struct machine *m = &sim->machines[node];

	if (!node_acts(sim, node))
		return;
	sim->coverage[COVER_CUT_UNAWARE]++;
	sim_log(sim, "n%d: Corosync is stopped", node);
	cpg_break(sim, BIT(node));
	m->corosync_stopped = true;
	cpg_reform_in(sim, sim_between(sim, 200, 4000));
	if (!sim->single)
		sim_at(sim, for_ms, ev_goes_on, node, m->life, 0, NULL);
}

void cpg_go_on(struct sim *sim, int node)
{
	if (!sim->machines[node].corosync_stopped)
		return;
	sim_log(sim, "n%d: Corosync continues", node);
	sim->machines[node].corosync_stopped = false;
	cpg_reform_in(sim, sim_between(sim, 10, 2000));
}

static void ev_goes_on(struct sim *sim, int node, uint64_t life, uint64_t b, void *p)
{
	(void)b;
	(void)p;
	if (sim->machines[node].life == life)
		cpg_go_on(sim, node);
}

/* Before the token is lost it may have been round: last messages reach all, some or nobody. */
static void last_messages(struct sim *sim, struct ring *ring)
{
	int start = (int)sim_random(sim, (uint32_t)sim->n);

	for (int k = 0; k < sim->n; k++) {
		int i = (start + k) % sim->n;
		struct machine *m = &sim->machines[i];
		struct entry *entry;

		while (m->ring == ring && m->power && sim_chance(sim, 60) && (entry = take_from_queue(m))) {
			sequence(ring, entry, i);
			entry->received |= sim_chance(sim, 30) ? ring->members : sim_random(sim, BIT(sim->n));
			entry->received &= ring->members;
		}
	}
	for (int i = 0; i < sim->n; i++) {
		if (sim->machines[i].ring == ring && node_acts(sim, i))
			deliver_ready(sim, i);
	}
}

void cpg_break(struct sim *sim, uint32_t nodes)
{
	for (struct ring *ring = sim->rings; ring; ring = ring->older) {
		bool used = false;

		for (int i = 0; i < sim->n; i++)
			used = used || sim->machines[i].ring == ring;
		if (!used || ring->broken || !(ring->members & nodes) || !(ring->members & ~nodes))
			continue;
		last_messages(sim, ring);
		ring->broken = true;
	}
}

/* The nodes of `together` leave `old`: what one of them has all get; then each delivers. */
static void recover(struct sim *sim, struct ring *old, uint32_t together)
{
	for (size_t at = 0; at < old->n; at++) {
		if (old->entries[at]->received & together)
			old->entries[at]->received |= together;
	}
	for (int i = 0; i < sim->n; i++) {
		struct machine *m = &sim->machines[i];
		bool gap = false;

		if (!(together & BIT(i)))
			continue;
		for (; m->delivered < old->n; m->delivered++) {
			struct entry *entry = old->entries[m->delivered];

			if (!(entry->received & BIT(i))) {
				gap = true;
				continue;
			}
			if (gap && entry->from >= 0 && !(together & BIT(entry->from)))
				continue;
			if (gap)
				sim->coverage[COVER_TRANSITIONAL]++;
			deliver(sim, i, entry);
		}
	}
}

static void enter(struct sim *sim, int node, struct ring *ring, uint32_t stayed)
{
	struct machine *m = &sim->machines[node];

	m->ring = ring;
	m->delivered = 0;
	m->cpg &= stayed;
	tell_view(sim, node);
	cpg_quorum_soon(sim, node);
	sim_at(sim, sim_between(sim, 0, 3), ev_token, node, 0, 0, NULL);
}

static void form(struct sim *sim, uint32_t members)
{
	struct ring *ring = new_ring(sim, members), *olds[MAX_NODES];
	struct entry *sync = xcalloc(1, sizeof(*sync));
	uint32_t stayed[MAX_NODES] = { 0 };

	sync->type = ENTRY_SYNC;
	sync->from = -1;
	for (int i = 0; i < sim->n; i++)
		olds[i] = sim->machines[i].ring;
	for (int i = 0; i < sim->n; i++) {
		if (!(members & BIT(i)))
			continue;
		for (int k = 0; k < sim->n; k++) {
			if ((members & BIT(k)) && olds[k] == olds[i])
				stayed[i] |= BIT(k);
		}
		if (__builtin_ctz(stayed[i]) == i) {
			olds[i]->broken = true;
			recover(sim, olds[i], stayed[i]);
		}
	}
	for (int i = 0; i < sim->n; i++) {
		if ((members & BIT(i)) && sim->machines[i].agent && sim->machines[i].joined)
			sync->agents |= BIT(i);
	}
	for (int i = 0; i < sim->n; i++) {
		if (members & BIT(i))
			enter(sim, i, ring, stayed[i]);
	}
	spread(sim, ring, sequence(ring, sync, -1), -1);
	sim_log(sim, "ring %x", members);
}

static void ev_reform(struct sim *sim, int node, uint64_t a, uint64_t b, void *p)
{
	uint32_t done = 0;

	(void)node;
	(void)a;
	(void)b;
	(void)p;
	for (int i = 0; i < sim->n; i++) {
		uint32_t members = 0;
		bool settled = true;

		if ((done & BIT(i)) || !node_acts(sim, i))
			continue;
		for (int k = 0; k < sim->n; k++) {
			if (node_acts(sim, k) && sim->side[k] == sim->side[i])
				members |= BIT(k);
		}
		done |= members;
		for (int k = 0; k < sim->n; k++) {
			if ((members & BIT(k)) && (sim->machines[k].ring->broken || sim->machines[k].ring->members != members))
				settled = false;
		}
		if (!settled)
			form(sim, members);
	}
}

void cpg_reform_in(struct sim *sim, int64_t delay_ms)
{
	sim_at(sim, delay_ms, ev_reform, 0, 0, 0, NULL);
}

static void ev_quorum(struct sim *sim, int node, uint64_t a, uint64_t b, void *p)
{
	struct machine *m = &sim->machines[node];
	bool quorate;

	(void)a;
	(void)b;
	(void)p;
	if (!node_acts(sim, node) || !m->ring)
		return;
	quorate = !m->glitch && __builtin_popcount(m->ring->members) > sim->n / 2;
	m->quorate = quorate;
	agent_event(sim, node, &(struct ha_event){ .type = HA_EV_QUORUM, .yes = quorate });
}

/* votequorum speaks over another connection: in no order with CPG. */
void cpg_quorum_soon(struct sim *sim, int node)
{
	sim_at(sim, sim_between(sim, 0, 100), ev_quorum, node, 0, 0, NULL);
}
