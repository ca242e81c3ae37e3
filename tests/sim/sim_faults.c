// SPDX-License-Identifier: GPL-2.0-or-later
/* What goes wrong, and what operators ask for meanwhile; then everything is put right and left alone. */
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "tests/sim/sim.h"

static event_fn ev_fault, ev_record, ev_trouble, ev_first_config, ev_thaw, ev_continue, ev_agent_back, ev_glitch_over, ev_heal;

const char *const fault_names[FAULT_KINDS] = {
#define X(id, name) [FAULT_##id] = name,
	FAULTS(X)
#undef X
};

static int any_node(struct sim *sim)
{
	return (int)sim_random(sim, (uint32_t)sim->n);
}

/* --- networks ---*/

static void cluster_network_changed(struct sim *sim)
{
	for (int side = 0; side < sim->n; side++) {
		uint32_t mask = 0;

		for (int i = 0; i < sim->n; i++)
			mask |= sim->side[i] == side ? BIT(i) : 0;
		cpg_break(sim, mask);
	}
	cpg_reform_in(sim, sim_between(sim, 100, 4000));
}

static void split(struct sim *sim)
{
	int parts = sim_chance(sim, 80) ? 2 : 3;
	bool data_too = sim_chance(sim, 60);

	int alone = any_node(sim);

	for (int i = 0; i < sim->n; i++) {
		sim->side[i] = sim->single ? i == alone : (int)sim_random(sim, (uint32_t)parts);
		if (data_too)
			sim->data_side[i] = sim->side[i];
	}
	sim_log(sim, "cluster network splits: %d %d %d %d %d", sim->side[0], sim->side[1], sim->side[2], sim->side[3],
		sim->side[4]);
	cluster_network_changed(sim);
	storage_network(sim);
}

static void join(struct sim *sim)
{
	sim_log(sim, "networks heal");
	memset(sim->side, 0, sizeof(sim->side));
	if (sim_chance(sim, 70))
		memset(sim->data_side, 0, sizeof(sim->data_side));
	cpg_reform_in(sim, sim_between(sim, 10, 2000));
}

static void split_data(struct sim *sim)
{
	sim_log(sim, "replication network splits");
	for (int i = 0; i < sim->n; i++)
		sim->data_side[i] = sim_chance(sim, 50) ? 0 : (int)sim_random(sim, 2);
	storage_network(sim);
}

/* --- machines and agents ---*/

static void freeze(struct sim *sim, int node)
{
	struct machine *m = &sim->machines[node];

	if (!m->power || m->frozen)
		return;
	sim_log(sim, "n%d freezes", node);
	cpg_break(sim, BIT(node));
	m->frozen = true;
	storage_network(sim);
	cpg_reform_in(sim, sim_between(sim, 200, 4000));
	if (!sim->single)
		sim_at(sim, sim_between(sim, 10, sim_chance(sim, 50) ? 3000 : 20000), ev_thaw, node, m->life, 0, NULL);
}

static void ev_thaw(struct sim *sim, int node, uint64_t life, uint64_t b, void *p)
{
	struct machine *m = &sim->machines[node];

	(void)b;
	(void)p;
	if (m->life != life || !m->frozen)
		return;
	sim_log(sim, "n%d thaws", node);
	m->frozen = false;
	agent_wake(sim, node); /* with what it believed when it froze */
	cpg_reform_in(sim, sim_between(sim, 10, 2000));
}

static void stop_agent(struct sim *sim, int node)
{
	struct machine *m = &sim->machines[node];

	if (!m->agent || m->stopped)
		return;
	sim_log(sim, "n%d: agent is stopped", node);
	m->stopped = true;
	if (!sim->single)
		sim_at(sim, sim_between(sim, 10, sim_chance(sim, 60) ? 5000 : 60000), ev_continue, node, m->incarnation, 0, NULL);
}

static void ev_continue(struct sim *sim, int node, uint64_t incarnation, uint64_t b, void *p)
{
	struct machine *m = &sim->machines[node];

	(void)b;
	(void)p;
	if (m->incarnation != incarnation || !m->stopped)
		return;
	sim_log(sim, "n%d: agent continues", node);
	m->stopped = false;
	watchdog_continue(sim, node);
	agent_wake(sim, node);
}

static void kill_agent(struct sim *sim, int node)
{
	struct machine *m = &sim->machines[node];

	if (!m->agent || m->frozen)
		return;
	agent_crash(sim, node);
	if (!sim->single)
		sim_at(sim, sim_between(sim, 10, sim_chance(sim, 70) ? 3000 : 50000), ev_agent_back, node, m->life, 0, NULL);
}

static void ev_agent_back(struct sim *sim, int node, uint64_t life, uint64_t b, void *p)
{
	(void)b;
	(void)p;
	if (sim->machines[node].life == life)
		agent_start(sim, node);
}

static void glitch(struct sim *sim, int node)
{
	struct machine *m = &sim->machines[node];

	if (!m->power || m->glitch)
		return;
	sim_log(sim, "n%d: quorum comes and goes", node);
	m->glitch = 1;
	cpg_quorum_soon(sim, node);
	sim_at(sim, sim_between(sim, 50, 5000), ev_glitch_over, node, m->life, 0, NULL);
}

static void ev_glitch_over(struct sim *sim, int node, uint64_t life, uint64_t b, void *p)
{
	(void)b;
	(void)p;
	if (sim->machines[node].life != life)
		return;
	sim->machines[node].glitch = 0;
	cpg_quorum_soon(sim, node);
}

/* The state of a node is lost (not its data): it is installed anew. Of one node only: more is more than the protocol bears. */
static void wipe(struct sim *sim, int node)
{
	for (int i = 0; i < sim->n; i++) {
		if (sim->machines[i].wiped_once)
			return;
	}
	machine_off(sim, node);
	sim_log(sim, "n%d has forgotten everything", node);
	sim->machines[node].wiped_once = true;
	free(sim->machines[node].disk);
	sim->machines[node].disk = NULL;
	sim->machines[node].disk_size = 0;
	sim->machines[node].disk_term = sim->machines[node].disk_version = 0;
}

/* --- operators ---*/

static void ask(struct sim *sim, int node, struct ha_event *event, uint64_t detail)
{
	if (!agent_runs(sim, node))
		return;
	event->type = HA_EV_REQUEST;
	event->request_id = ++sim->next_id << 16 | detail << 8 | event->request;
	sim->n_asked++;
	agent_event(sim, node, event);
}

static void ask_move(struct sim *sim, bool may_release)
{
	struct group *group = &sim->groups[sim_random(sim, (uint32_t)sim->n_groups)];
	uint32_t to = sim->machines[group->nodes[sim_random(sim, 2)]].id;

	if (may_release && sim_chance(sim, 10))
		to = 0;
	sim_log(sim, "an operator moves %s to %u", group->name, to);
	ask(sim, any_node(sim), &(struct ha_event){ .request = HA_REQ_MOVE, .group = group->name, .nodeid = to }, 0);
}

static void ask_config(struct sim *sim)
{
	int node = any_node(sim);
	struct ha_group_spec specs[MAX_GROUPS] = { 0 };
	struct ha_core_view view;
	uint8_t document[64] = { 0 };

	if (!agent_runs(sim, node) || sim->next_config == 64)
		return;
	ha_core_view(sim->machines[node].core, &view);
	if (!view.config_settled)
		return; /* never shown to anybody: another document may get the same number */
	if (view.config_size == sizeof(document))
		memcpy(document, view.config, sizeof(document));
	document[sim->next_config] = 1;
	for (int i = 0; i < sim->n_groups; i++) {
		const struct group *group = &sim->groups[i];

		memcpy(specs[i].name, group->name, sizeof(group->name));
		specs[i].nodes[0] = sim->machines[group->nodes[0]].id;
		specs[i].nodes[1] = sim->machines[group->nodes[1]].id;
		specs[i].weight = (uint16_t)sim_random(sim, 6);
		specs[i].placement = !sim->single && sim_chance(sim, 15) ? HA_PLACEMENT_PACEMAKER : HA_PLACEMENT_AUTO;
		/* One fault is to be borne by itself: not the brake, which is there to wait for somebody. */
		specs[i].losses_max = sim_chance(sim, 50) ? 0 : sim->single ? 3 : (uint8_t)sim_between(sim, 1, 3);
		if (sim_chance(sim, 50))
			specs[i].prefer = specs[i].nodes[sim_random(sim, 2)];
		if (specs[i].prefer && sim_chance(sim, 50))
			specs[i].failback_s = 1 + sim_random(sim, FAILBACK_MAX_S);
	}
	ask(sim, node,
	    &(struct ha_event){ .request = HA_REQ_CONFIG, .data = document, .size = sizeof(document), .groups = specs,
				.n_groups = (size_t)sim->n_groups, .base_version = view.config_version },
	    (uint64_t)sim->next_config++);
}

/* A node adds one number to what it knows of a group's record. Number i is of group i modulo their count. */
static void ask_record(struct sim *sim)
{
	int number = sim->next_record, i = number % sim->n_groups, node = sim->groups[i].nodes[sim_random(sim, 2)];
	uint8_t numbers[ARRAY_SIZE(sim->record_acked)] = { 0 };
	struct ha_record_view record;
	struct ha_core_view view;

	if (number == (int)ARRAY_SIZE(sim->record_acked) || !agent_runs(sim, node))
		return;
	ha_core_view(sim->machines[node].core, &view);
	if (ha_core_record(sim->machines[node].core, sim->groups[i].name, "key", &record) == 0) {
		if (!record.settled)
			return;
		memcpy(numbers, record.data, sizeof(numbers));
	}
	numbers[number] = 1;
	sim->next_record++;
	ask(sim, node,
	    &(struct ha_event){ .request = HA_REQ_RECORD, .group = sim->groups[i].name, .text = "key", .data = numbers,
				.size = sizeof(numbers), .base_version = view.committed },
	    (uint64_t)number);
}

/* Of one node, or of all; now and then twice, and whatever else goes on. */
static void ask_maintenance(struct sim *sim)
{
	bool all = sim_chance(sim, 10);
	int node = any_node(sim);
	enum ha_maintenance kind = (enum ha_maintenance)sim_random(sim, HA_MAINTENANCE_COUNT);

	for (int i = 0; i < sim->n; i++) {
		if (!all && i != node)
			continue;
		sim_log(sim, "an operator sets maintenance of n%d to %s", i, ha_maintenance_name(kind));
		for (int n = sim_chance(sim, 20) ? 2 : 1; n > 0; n--)
			ask(sim, any_node(sim), &(struct ha_event){ .request = HA_REQ_MAINTENANCE, .nodeid = sim->machines[i].id, .maintenance = kind }, 0);
	}
}

/* An honest operator: the machine is off and stays off for a moment. */
static void ask_confirm(struct sim *sim)
{
	int target = any_node(sim);

	if (!sim->machines[target].power)
		ask(sim, any_node(sim),
		    &(struct ha_event){ .request = HA_REQ_CONFIRM_DOWN, .nodeid = sim->machines[target].id }, 0);
}

static void do_fault(struct sim *sim, enum fault_kind kind)
{
	int node = any_node(sim);

	switch (kind) {
	case FAULT_SPLIT:
		split(sim);
		break;
	case FAULT_JOIN:
		join(sim);
		break;
	case FAULT_OFF:
		machine_off(sim, node);
		break;
	case FAULT_FREEZE:
		freeze(sim, node);
		break;
	case FAULT_STOP:
		stop_agent(sim, node);
		break;
	case FAULT_KILL:
		kill_agent(sim, node);
		break;
	case FAULT_GLITCH:
		glitch(sim, node);
		break;
	case FAULT_DATA:
		split_data(sim);
		break;
	case FAULT_DISK:
		sim->machines[node].disk_trouble = !sim->machines[node].disk_trouble && sim_chance(sim, sim->single ? 100 : 40);
		break;
	case FAULT_WIPE:
		wipe(sim, node);
		break;
	case FAULT_COROSYNC:
		cpg_die(sim, node, sim_between(sim, 300, sim_chance(sim, 70) ? 3000 : 30000));
		break;
	case FAULT_CONFIG:
		ask_config(sim);
		break;
	case FAULT_CONFIRM:
		ask_confirm(sim);
		break;
	case FAULT_MOVE:
		ask_move(sim, !sim->single);
		break;
	case FAULT_MAINTENANCE:
		ask_maintenance(sim);
		break;
	case FAULT_DOOM:
		sim->groups[sim_random(sim, (uint32_t)sim->n_groups)].doom = (int)sim_between(sim, 1, 4);
		ask_move(sim, false);
		break;
	case FAULT_HANG: /* of Corosync, or of all that runs there */
		if (sim_chance(sim, 40))
			stop_agent(sim, node);
		cpg_hang(sim, node, sim_between(sim, 5000, 45000));
		break;
	case FAULT_DATA_DISK:
		storage_fail_disk(sim, node);
		break;
	case FAULT_KINDS:
		break;
	}
}

static void ev_fault(struct sim *sim, int node, uint64_t what, uint64_t b, void *p)
{
	struct fault fault = { .at_ms = sim->now_ms, .kind = (enum fault_kind)(what >> 32), .param = (uint32_t)what };
	uint64_t rng = sim->rng;

	(void)node;
	(void)b;
	(void)p;
	if (sim->healing)
		return;
	*array_push(sim->told, sim->n_told, sim->cap_told) = fault;
	sim->rng = fault.param;
	do_fault(sim, fault.kind);
	sim->rng = rng;
}

/* --- when ---*/

static uint32_t trouble_random(struct sim *sim, uint32_t below)
{
	return (uint32_t)(sim_next_random(&sim->trouble_rng) % below);
}

static void fault_in(struct sim *sim, int64_t delay_ms, enum fault_kind kind)
{
	sim_first_at(sim, delay_ms, ev_fault, (uint64_t)kind << 32 | (uint32_t)sim_next_random(&sim->trouble_rng), NULL);
}

static enum fault_kind any_kind(struct sim *sim)
{
	static const enum fault_kind kinds[] = {
		FAULT_SPLIT, FAULT_SPLIT, FAULT_SPLIT, FAULT_JOIN, FAULT_JOIN, FAULT_JOIN, FAULT_OFF, FAULT_OFF, FAULT_FREEZE,
		FAULT_STOP, FAULT_KILL, FAULT_GLITCH, FAULT_DATA, FAULT_DISK, FAULT_COROSYNC, FAULT_CONFIG, FAULT_CONFIRM,
		FAULT_MOVE, FAULT_MOVE, FAULT_WIPE, FAULT_MAINTENANCE, FAULT_MAINTENANCE, FAULT_DOOM,
		FAULT_DATA_DISK,
	};
	enum fault_kind kind;

	if (sim->watchdogs && trouble_random(sim, 10) == 0)
		return FAULT_HANG;
	kind = kinds[trouble_random(sim, ARRAY_SIZE(kinds))];
	return kind == FAULT_WIPE && trouble_random(sim, 10) ? FAULT_MOVE : kind;
}

/* Things break when much is going on: that is where the interleavings are. */
void faults_tempt(struct sim *sim)
{
	if (sim->healing || sim->scripted || sim->now_ms < 3000 || sim->now_ms < sim->tempted_ms ||
	    trouble_random(sim, 1000) >= (uint32_t)sim->temper)
		return;
	sim->tempted_ms = sim->now_ms + 1 + trouble_random(sim, 6);
	fault_in(sim, sim->tempted_ms - sim->now_ms, any_kind(sim));
}

static void ev_trouble(struct sim *sim, int node, uint64_t a, uint64_t b, void *p)
{
	(void)node;
	(void)a;
	(void)b;
	(void)p;
	if (sim->healing)
		return;
	fault_in(sim, 1, any_kind(sim));
	while (sim->busy && trouble_random(sim, 100) < 88)
		fault_in(sim, 1 + trouble_random(sim, 4000), FAULT_MOVE);
	/* Troubles come in bursts. */
	sim_first_at(sim, trouble_random(sim, 2) ? 1 + trouble_random(sim, 400) : 500 + trouble_random(sim, 7500), ev_trouble, 0,
		     NULL);
}

/* The one thing that goes wrong, perhaps while a group is moving. */
static void one_trouble(struct sim *sim)
{
	static const enum fault_kind kinds[] = { FAULT_SPLIT, FAULT_OFF, FAULT_FREEZE, FAULT_STOP, FAULT_KILL, FAULT_DATA,
						 FAULT_DISK, FAULT_COROSYNC, FAULT_DATA_DISK };
	int64_t at_ms = 15000 + trouble_random(sim, 10000);

	sim->coverage[COVER_SINGLE]++;
	fault_in(sim, at_ms, sim->watchdogs && trouble_random(sim, 3) == 0 ? FAULT_HANG : kinds[trouble_random(sim, ARRAY_SIZE(kinds))]);
	if (trouble_random(sim, 2))
		fault_in(sim, at_ms - 300 + trouble_random(sim, 350), FAULT_MOVE);
}

static void ev_first_config(struct sim *sim, int node, uint64_t a, uint64_t b, void *p)
{
	(void)node;
	(void)a;
	(void)b;
	(void)p;
	ask_config(sim);
	if (!sim->next_config) /* the nodes have not agreed yet */
		sim_at(sim, 500, ev_first_config, 0, 0, 0, NULL);
}

/* Now and then both nodes of a group at once, and while something else happens. */
static void ev_record(struct sim *sim, int node, uint64_t a, uint64_t b, void *p)
{
	(void)node;
	(void)a;
	(void)b;
	(void)p;
	if (sim->healing)
		return;
	for (uint32_t n = 1 + sim_random(sim, 3); n > 0; n--)
		ask_record(sim);
	sim_at(sim, sim_between(sim, 50, 1500), ev_record, 0, 0, 0, NULL);
}

static void ev_heal(struct sim *sim, int node, uint64_t a, uint64_t b, void *p)
{
	(void)node;
	(void)a;
	(void)b;
	(void)p;
	for (int i = 0; i < sim->n; i++) {
		struct machine *m = &sim->machines[i];

		m->glitch = 0;
		if (!m->power && sim->single)
			machine_boot(sim, i);
		if (!m->power)
			continue; /* it boots when it boots */
		for (int k = 0; k < sim->n_groups; k++) {
			if (m->jobs[k].type && m->jobs[k].hangs) { /* only this helps, and an operator does it */
				machine_off(sim, i);
				break;
			}
		}
		if (!m->power)
			continue;
		cpg_back(sim, i);
		cpg_go_on(sim, i);
		ev_thaw(sim, i, m->life, 0, NULL);
		ev_continue(sim, i, m->incarnation, 0, NULL);
		if (!m->agent && sim->now_ms > m->boot_ms + 20000)
			agent_start(sim, i);
		cpg_quorum_soon(sim, i);
	}
	storage_mend_disks(sim);
	if (sim->machines[0].core && !sim->machines[0].core->replica.state.n_groups)
		ask_config(sim);
	for (int i = 0; i < sim->n && sim->machines[0].core; i++) {
		const struct ha_state_node *state = state_node(&sim->machines[0].core->replica.state, sim->machines[i].id);

		if (state && state->maintenance)
			ask(sim, 0, &(struct ha_event){ .request = HA_REQ_MAINTENANCE, .nodeid = state->nodeid }, 0);
	}
	for (int i = 0; i < sim->n_groups; i++) { /* what an operator has released an operator takes back */
		struct ha_group_view view;

		if (sim->machines[0].core && ha_core_find_group(sim->machines[0].core, sim->groups[i].name, &view) == 0 &&
		    (view.held || (view.phase == HA_PHASE_FREE && sim_chance(sim, 20))))
			ask(sim, 0,
			    &(struct ha_event){ .request = HA_REQ_MOVE, .group = sim->groups[i].name,
						.nodeid = sim->machines[sim->groups[i].nodes[sim_random(sim, 2)]].id },
			    0);
	}
	sim_at(sim, 4000, ev_heal, 0, 0, 0, NULL);
}

void faults_start(struct sim *sim)
{
	if (sim->healing) {
		memset(sim->side, 0, sizeof(sim->side));
		memset(sim->data_side, 0, sizeof(sim->data_side));
		cpg_reform_in(sim, 500);
		sim_at(sim, 1, ev_heal, 0, 0, 0, NULL);
		return;
	}
	/* A calm start, so that there is something to lose. */
	sim_at(sim, 2500, ev_first_config, 0, 0, 0, NULL);
	sim_first_at(sim, 3500, ev_record, 0, NULL);
	for (size_t i = 0; i < sim->n_script; i++)
		sim_first_at(sim, sim->script[i].at_ms, ev_fault, (uint64_t)sim->script[i].kind << 32 | sim->script[i].param, NULL);
	if (sim->scripted)
		return;
	if (sim->single)
		one_trouble(sim);
	else
		sim_first_at(sim, 4000, ev_trouble, 0, NULL);
}
