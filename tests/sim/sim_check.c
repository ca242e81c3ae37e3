// SPDX-License-Identifier: GPL-2.0-or-later
/* What must never happen, looked at after every event, and what must be so in the end. */
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "tests/sim/sim.h"

/* --- agreement: one (term, version), one content, whoever holds it and whether or not it was committed ---*/

static void grow_seen(struct sim *sim)
{
	size_t old_cap = sim->cap_seen;
	__typeof__(sim->seen) old = sim->seen;

	sim->cap_seen = old_cap ? 2 * old_cap : 1024;
	sim->seen = xcalloc(sim->cap_seen, sizeof(*sim->seen));
	for (size_t i = 0; i < old_cap; i++) {
		size_t at = (size_t)(old[i].version * 31 + old[i].term) % sim->cap_seen;

		if (!old[i].term)
			continue;
		while (sim->seen[at].term)
			at = (at + 1) % sim->cap_seen;
		sim->seen[at] = old[i];
	}
	free(old);
}

static void check_agreement(struct sim *sim, int node)
{
	const struct ha_state *state = &sim->machines[node].core->replica.state;
	struct bytes_out bytes = { .data = NULL };
	uint32_t crc;
	size_t at;

	if (!state->term)
		return;
	ha_state_encode(state, &bytes);
	crc = bytes_crc32(bytes.data, bytes.size);
	bytes_out_done(&bytes);
	if (sim->n_seen * 2 >= sim->cap_seen)
		grow_seen(sim);
	at = (size_t)(state->version * 31 + state->term) % sim->cap_seen;
	while (sim->seen[at].term && (sim->seen[at].term != state->term || sim->seen[at].version != state->version))
		at = (at + 1) % sim->cap_seen;
	if (!sim->seen[at].term) {
		sim->seen[at].term = state->term;
		sim->seen[at].version = state->version;
		sim->seen[at].crc = crc;
		sim->n_seen++;
	} else if (sim->seen[at].crc != crc) {
		sim_fail(sim, "n%d: another state is called (%llu, %llu) too", node, (unsigned long long)state->term,
			 (unsigned long long)state->version);
	}
}

static bool is_on_disk(const struct sim *sim, int node, uint64_t term, uint64_t version)
{
	const struct machine *m = &sim->machines[node];

	return m->disk_term > term || (m->disk_term == term && m->disk_version >= version);
}

/* Committed means: on the disks of a majority (one node is allowed to have been wiped since). */
static void check_commit(struct sim *sim, int node)
{
	const struct ha_core *core = sim->machines[node].core;
	int n = 0;

	for (int i = 0; i < sim->n; i++)
		n += is_on_disk(sim, i, core->replica.state.term, core->committed) || sim->machines[i].wiped_once;
	if (n <= sim->n / 2)
		sim_fail(sim, "n%d: takes version %llu for committed, which is on %d disks", node,
			 (unsigned long long)core->committed, n);
}

/* Groups as committed somewhere: epochs only grow, and an epoch has one owner. */
static void check_groups(struct sim *sim, int node)
{
	const struct ha_core *core = sim->machines[node].core;

	for (int i = 0; i < sim->n_groups; i++) {
		struct group *group = &sim->groups[i];
		const struct ha_state_group *g = state_group(&core->replica.state, group->name);

		if (!g || !core_is_settled(core, g->changed))
			continue;
		if (!set_count(g->current))
			sim_fail(sim, "n%d %s: no copy is current", node, group->name);
		if (g->owner && !ha_set_has(g->spec.nodes, g->owner))
			sim_fail(sim, "n%d %s: its owner has no copy", node, group->name);
	}
}

/* In spite of one fault each group is served, and nobody was needed for it. */
bool check_served(struct sim *sim, bool loud)
{
	for (int i = 0; i < sim->n_groups; i++) {
		const struct group *group = &sim->groups[i];

		if (!storage_can_acknowledge(sim, group, 0) && !storage_can_acknowledge(sim, group, 1)) {
			if (loud)
				sim_fail(sim, "%s: is not served, after a single fault", group->name);
			return false;
		}
		for (int side = 0; side < 2; side++) {
			const struct ha_core *core = sim->machines[group->nodes[side]].core;
			const struct ha_state_group *g = core ? state_group(&core->replica.state, group->name) : NULL;

			if (!g || g->spec.placement != HA_PLACEMENT_AUTO || g->stays || !group->copies[side].failed || !group->copies[side].gate)
				continue;
			if (loud)
				sim_fail(sim, "%s: stays on n%d, whose disk has failed", group->name, group->nodes[side]);
			return false;
		}
	}
	return true;
}

/* Without quorum all is closed in a while, unless closing itself fails or hangs. */
static void check_quorum(struct sim *sim, int node)
{
	struct machine *m = &sim->machines[node];

	if (m->core->quorum != NO || !m->unquorate_ms)
		m->unquorate_ms = m->core->quorum == NO ? sim->now_ms : 0;
	if (!m->unquorate_ms || sim->now_ms < m->unquorate_ms + 1500)
		return;
	for (int i = 0; i < sim->n_groups; i++) {
		const struct copy *copy = storage_copy(sim, i, node);

		if (copy && copy->gate && !m->jobs[i].type && sim->now_ms > m->job_end_ms[i] + 1500)
			sim_fail(sim, "n%d %s: is still served, without quorum", node, sim->groups[i].name);
	}
}

/* Requests are obeyed in the order of their numbers. */
static void check_requests(struct sim *sim, int node)
{
	struct machine *m = &sim->machines[node];
	const struct ha_state *state = &m->core->replica.state;

	for (size_t i = 0; i < state->n_nodes && i < MAX_NODES; i++) {
		const struct ha_state_node *now = &state->nodes[i];

		if (m->checked_term == state->term && m->checked_version < state->version &&
		    m->request_incarnation[i] == now->request_incarnation && m->request_seq[i] > now->request_seq)
			sim_fail(sim, "n%d: request %llu of node %u is obeyed after request %llu", node,
				 (unsigned long long)now->request_seq, now->nodeid, (unsigned long long)m->request_seq[i]);
		m->request_incarnation[i] = now->request_incarnation;
		m->request_seq[i] = now->request_seq;
	}
}

void check_core(struct sim *sim, int node)
{
	struct machine *m = &sim->machines[node];
	const struct ha_state *state = &m->core->replica.state;

	check_quorum(sim, node);

	if (m->core->committed > state->version)
		sim_fail(sim, "n%d: version %llu is behind committed %llu", node, (unsigned long long)state->version,
			 (unsigned long long)m->core->committed);
	if (m->checked_term != state->term || m->checked_version != state->version) {
		check_agreement(sim, node);
		check_groups(sim, node);
		check_requests(sim, node);
		m->checked_term = state->term;
		m->checked_version = state->version;
	}
	if (m->core->committed != m->checked_committed && m->core->committed)
		check_commit(sim, node);
	m->checked_committed = m->core->committed;
}

/* --- owners and data ---*/

static bool has_write(const struct copy *copy, int write)
{
	return copy->writes[write / 8] & BIT(write % 8);
}

/* Who has lost its disk, or is just getting a new one filled, reads what the other has (drbd_may_do_local_read()), if it can. */
static void check_data(struct sim *sim, const struct group *group, int side)
{
	const struct copy *copy = &group->copies[side];
	int read = copy->failed || (copy->disk == DISK_INCONSISTENT && group->connected) ? 1 - side : side;

	for (int i = 0; i < group->n_acked; i++) {
		if (!has_write(&group->copies[read], group->acked[i]))
			sim_fail(sim, "%s: n%d opens a copy that lacks write %d, which was acknowledged", group->name,
				 group->nodes[side], group->acked[i]);
	}
}

/* A write is acknowledged that only this copy has: the state must not say that the other one is as good. */
void check_alone(struct sim *sim, const struct group *group, int side)
{
	const struct machine *m = &sim->machines[group->nodes[side]];
	const struct ha_state_group *g;

	if (group->quorum || !m->core || !core_is_active(m->core))
		return; /* it need not ask; it may be behind */
	g = state_group(&m->core->replica.state, group->name);
	if (g && ha_set_has(g->current, sim->machines[group->nodes[1 - side]].id))
		sim_fail(sim, "%s: n%d acknowledges writes alone while n%d counts as current", group->name, group->nodes[side],
			 group->nodes[1 - side]);
}

/* Before a node promotes or opens its gate: the other has let go, or is off. */
void check_opening(struct sim *sim, int i, int node)
{
	struct group *group = &sim->groups[i];
	int side = storage_side(group, node);
	const struct copy *other = &group->copies[1 - side];

	if (sim->machines[group->nodes[1 - side]].power && (other->gate || other->primary))
		sim_fail(sim, "%s: n%d opens it while n%d still has it", group->name, node, group->nodes[1 - side]);
	check_data(sim, group, side);
}

void check_acquire(struct sim *sim, int i, int node, uint64_t epoch)
{
	struct group *group = &sim->groups[i];

	check_records(sim, i, node, state_group(&sim->machines[node].core->replica.state, group->name)->changed);
	if (epoch < group->top_epoch || (epoch == group->top_epoch && group->top_owner != node))
		sim_fail(sim, "%s: n%d is told to acquire at epoch %llu, n%d was at %llu", group->name, node,
			 (unsigned long long)epoch, group->top_owner, (unsigned long long)group->top_epoch);
	if (group->top_owner >= 0 && group->top_owner != node)
		sim->coverage[state_node_is(&sim->machines[node].core->replica.state, sim->machines[group->top_owner].id,
					    HA_NODE_UP)
				      ? COVER_MOVE
				      : COVER_TAKEOVER]++;
	else if (group->top_owner == node && epoch > group->top_epoch)
		sim->coverage[COVER_LOST]++;
	group->n_restless += sim->healing && epoch > group->top_epoch;
	group->top_epoch = epoch;
	group->top_owner = node;
}

void check_storage(struct sim *sim)
{
	uint32_t portals = 0;

	for (int i = 0; i < sim->n_groups; i++) {
		const struct group *group = &sim->groups[i];

		if (storage_can_acknowledge(sim, group, 0) && storage_can_acknowledge(sim, group, 1))
			sim_fail(sim, "%s: both n%d and n%d can acknowledge writes", group->name, group->nodes[0],
				 group->nodes[1]);
	}
	for (int i = 0; i < sim->n; i++) {
		if (!sim->machines[i].power)
			continue;
		if (portals & sim->machines[i].portals)
			sim_fail(sim, "n%d serves portals that another serves", i);
		portals |= sim->machines[i].portals;
	}
}

/* --- the end ---*/

#define EXPECT(what, ...)                                                                                              \
	do {                                                                                                           \
		if (!(what) && loud)                                                                                   \
			sim_fail(sim, "in the end: " __VA_ARGS__);                                                     \
		if (!(what))                                                                                           \
			return false;                                                                                  \
	} while (0)

static bool is_group_well(struct sim *sim, int i, bool loud)
{
	struct group *group = &sim->groups[i];
	const struct ha_state_group *g;
	struct ha_group_view view;

	EXPECT(ha_core_find_group(sim->machines[0].core, group->name, &view) == 0, "%s is gone", group->name);
	EXPECT(view.phase == HA_PHASE_OWNED && view.settled, "%s is %s (owner %u)", group->name, ha_phase_name(view.phase),
	       view.owner);
	EXPECT(set_count(view.current) == 2, "%s: only %zu copies are current", group->name, set_count(view.current));
	EXPECT(set_count(view.ready) == 2, "%s: only %zu copies are ready", group->name, set_count(view.ready));
	g = state_group(&sim->machines[0].core->replica.state, group->name);
	EXPECT(!g->spec.failback_s || g->stays || g->spec.placement != HA_PLACEMENT_AUTO || view.owner == g->spec.prefer, "%s: has not gone back to %u but is on %u", group->name,
	       g->spec.prefer, view.owner);
	for (int side = 0; side < 2; side++) {
		bool is_owner = sim->machines[group->nodes[side]].id == view.owner;
		const struct copy *copy = &group->copies[side];

		EXPECT(copy->gate == is_owner, "%s: n%d %s its gate", group->name, group->nodes[side],
		       is_owner ? "has closed" : "has left open");
		EXPECT(group->shared || copy->primary == is_owner, "%s: n%d is in the wrong role", group->name,
		       group->nodes[side]);
		EXPECT(!copy->suspended && !copy->inflight, "%s: n%d is frozen", group->name, group->nodes[side]);
		if (is_owner)
			check_data(sim, group, side);
	}
	return true;
}

static bool is_machine_well(struct sim *sim, int i, bool loud)
{
	const struct machine *m = &sim->machines[i], *first = &sim->machines[0];
	uint32_t portals = 0;

	EXPECT(agent_runs(sim, i), "n%d does not run", i);
	EXPECT(core_is_active(m->core), "n%d is not active", i);
	EXPECT(m->core->committed == m->core->replica.state.version, "n%d: something is not committed", i);
	EXPECT(m->core->replica.state.version == first->core->replica.state.version, "n%d has another version than n0", i);
	EXPECT(!m->core->requests, "n%d: a request is not answered", i);
	EXPECT(!m->core->n_wants, "n%d: wants something ordered that never is", i);
	EXPECT(watchdog_is_well(sim, i), "n%d: its watchdog is not what it should be, or not known to all", i);
	EXPECT(!state_node(&first->core->replica.state, m->id)->maintenance, "n%d is in maintenance", i);
	for (int k = 0; k < sim->n_groups; k++) {
		EXPECT(!m->jobs[k].type && !m->stand_down[k], "n%d: a job runs", i);
		if (storage_side(&sim->groups[k], i) >= 0)
			portals = BIT(i);
	}
	EXPECT(m->portals == portals, "n%d serves portals %x", i, m->portals);
	return true;
}

uint64_t check_epochs(const struct sim *sim)
{
	const struct ha_state *state = &sim->machines[0].core->replica.state;
	uint64_t sum = 0;

	for (size_t i = 0; i < state->n_groups; i++)
		sum += state->groups[i].epoch;
	return sum;
}

bool check_well(struct sim *sim, bool loud)
{
	for (int i = 0; i < sim->n; i++) {
		if (!is_machine_well(sim, i, loud))
			return false;
	}
	for (int i = 0; i < sim->n_groups; i++) {
		if (!is_group_well(sim, i, loud))
			return false;
	}
	return true;
}

/* A number whose request was answered with success before `version` is in what the node knows. */
void check_records(struct sim *sim, int i, int node, uint64_t version)
{
	struct ha_record_view record = { .size = 0 };
	int rc = ha_core_record(sim->machines[node].core, sim->groups[i].name, "key", &record);

	for (int number = 0; number < sim->next_record; number++) {
		if (number % sim->n_groups == i && sim->record_acked[number] && sim->record_acked[number] <= version && (rc < 0 || !((const uint8_t *)record.data)[number]))
			sim_fail(sim, "%s: n%d does not know number %d of the record, which was answered", sim->groups[i].name, node, number);
	}
}

/* A document whose request was answered with success is in all that came after it. */
void check_configs(struct sim *sim)
{
	struct ha_core_view view;

	ha_core_view(sim->machines[0].core, &view);
	for (int i = 0; i < sim->next_config; i++) {
		if (sim->config_acked[i] && !((const uint8_t *)view.config)[i])
			sim_fail(sim, "document %d was accepted and is lost", i);
	}
}
