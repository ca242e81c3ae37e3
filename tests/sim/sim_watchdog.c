// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Watchdogs: a machine that has one loses its power when it is not petted in time, whatever else is wrong with it. The agent does what
 * core.h asks of it: it looks at the clock right before it pets, and may be stopped between the two.
 */
#include "tests/sim/sim.h"

#define GRANULARITY_MS 1000 /* drivers count in seconds */
#define CALM_MS 20000       /* longer than it takes to agree on who is left: one reset does not lead to the next */

static event_fn ev_fires, ev_late;

static bool serves_nothing(struct sim *sim, int node)
{
	const struct machine *m = &sim->machines[node];

	for (int i = 0; i < sim->n_groups; i++) {
		const struct copy *copy = storage_copy(sim, i, node);

		if (m->jobs[i].type || (copy && (copy->gate || copy->primary)))
			return false;
	}
	return !m->portals;
}

static void disarm(struct sim *sim, int node)
{
	sim_log(sim, "n%d: watchdog is disarmed", node);
	sim->machines[node].dog_pets++;
	sim->machines[node].dog_ticks = false;
}

/* The first time it begins to tick. */
static void pet(struct sim *sim, int node, int64_t timeout_ms)
{
	struct machine *m = &sim->machines[node];

	m->dog_ticks = true;
	sim_at(sim, timeout_ms + sim_between(sim, 0, GRANULARITY_MS - 1), ev_fires, node, ++m->dog_pets, m->life, NULL);
}

static void ev_fires(struct sim *sim, int node, uint64_t pets, uint64_t life, void *p)
{
	struct machine *m = &sim->machines[node];

	(void)p;
	if (m->life != life || m->dog_pets != pets || !m->power)
		return;
	sim->coverage[COVER_WATCHDOG]++;
	sim_log(sim, "n%d: watchdog fires", node);
	machine_off(sim, node);
}

static void say(struct sim *sim, int node)
{
	const struct machine *m = &sim->machines[node];

	agent_event(sim, node, &(struct ha_event){ .type = HA_EV_WATCHDOG, .version = (uint64_t)m->dog_ms, .yes = m->dog_open });
}

/* Opened too late, it counts for nothing: who was to wait for it may have waited. */
static void pet_or_open(struct sim *sim, int node, int64_t deadline_ms)
{
	struct machine *m = &sim->machines[node];

	if (!m->dog_open && sim->now_ms < m->dog_busy_ms)
		return;
	pet(sim, node, m->dog_ms);
	if (m->dog_open)
		return;
	if (sim->now_ms <= deadline_ms) {
		sim_log(sim, "n%d: watchdog is armed, %lld ms", node, (long long)m->dog_ms);
		m->dog_open = true;
		say(sim, node);
	} else if (serves_nothing(sim, node)) {
		disarm(sim, node);
	}
}

static void ev_late(struct sim *sim, int node, uint64_t incarnation, uint64_t b, void *p)
{
	struct machine *m = &sim->machines[node];

	if (m->incarnation != incarnation || !m->pet_is_late)
		return;
	if (m->frozen) {
		sim_at(sim, 50, ev_late, node, incarnation, b, p);
		return;
	}
	m->stopped = false;
	watchdog_continue(sim, node);
	agent_wake(sim, node);
}

void watchdog_lease(struct sim *sim, int node, int64_t deadline_ms)
{
	struct machine *m = &sim->machines[node];

	if (sim->now_ms > deadline_ms)
		sim_fail(sim, "n%d: is given a lease that is over", node);
	if (!m->dog_ms)
		sim_fail(sim, "n%d: is given a lease without a watchdog", node);
	if (!sim->healing && !sim->single && !m->stopped && sim_random(sim, m->dog_ms > 7000 ? 25 : 80) == 0) {
		sim->coverage[COVER_LATE_PET]++;
		sim_log(sim, "n%d: is stopped before it pets", node);
		m->stopped = m->pet_is_late = true;
		m->late_deadline_ms = deadline_ms;
		/* Worst is the last moment before it would fire, and that nobody hears of the node meanwhile. */
		sim_at(sim, sim_chance(sim, 60) ? m->dog_ms - sim_between(sim, 1, m->dog_ms / 3) : sim_between(sim, 10, 25000), ev_late, node,
		       m->incarnation, 0, NULL);
		if (sim_chance(sim, 60))
			cpg_hang(sim, node, sim_between(sim, 5000, 60000));
		return;
	}
	pet_or_open(sim, node, deadline_ms);
}

/* The agent goes on after it was stopped. */
void watchdog_continue(struct sim *sim, int node)
{
	struct machine *m = &sim->machines[node];

	if (!m->pet_is_late)
		return;
	m->pet_is_late = false;
	pet_or_open(sim, node, m->late_deadline_ms);
}

/* A life of the agent begins, with the settings that it finds. */
void watchdog_start(struct sim *sim, int node)
{
	struct machine *m = &sim->machines[node];

	if (!sim->watchdogs)
		return;
	m->dog_ms = sim->healing && m->dog_usual_ms ? MAX(m->dog_usual_ms, CALM_MS) : m->dog_usual_ms;
	m->dog_busy_ms = !sim->healing && !sim->single && sim_chance(sim, 25) ? sim->now_ms + sim_between(sim, 0, 30000) : 0;
	if (!sim->healing && !sim->single && sim_chance(sim, 10))
		m->dog_ms = sim_chance(sim, 30) ? 0 : sim_between(sim, 2, 20) * 1000;
	say(sim, node);
}

/* And ends: by itself, if it is asked to. */
void watchdog_stop(struct sim *sim, int node, bool clean)
{
	struct machine *m = &sim->machines[node];

	if (clean && m->dog_open && serves_nothing(sim, node))
		disarm(sim, node);
	m->dog_open = m->pet_is_late = false;
	m->dog_ms = 0;
}

/* What the node that fences has agreed on for the other; 0: that has none. */
int64_t watchdog_bound_ms(const struct sim *sim, int node, int target)
{
	struct ha_node_view view;

	if (!sim->watchdogs || ha_core_find_node(sim->machines[node].core, sim->machines[target].id, &view) < 0)
		return 0;
	return view.watchdog_ms;
}

/* In the end each is armed, and all know. */
bool watchdog_is_well(const struct sim *sim, int node)
{
	const struct machine *m = &sim->machines[node];
	int64_t bound_ms = m->dog_ms ? ha_watchdog_bound_ms(m->core->settings.lease_max_ms, m->dog_ms) : 0;

	return !sim->watchdogs || (m->dog_open == (m->dog_ms > 0) && (m->dog_ticks || !m->dog_open) &&
				   watchdog_bound_ms(sim, 0, node) == bound_ms);
}

/* From the seed alone, so that those without watchdogs stay what they are. */
void watchdogs_build(struct sim *sim)
{
	uint64_t rng = sim->seed * 3, least_ms = sim_next_random(&rng) % 2 ? 2000 : 8000;

	sim->watchdogs = !sim->liar && (sim_next_random(&rng) % 100 < 30 || sim->watchdogs);
	for (int i = 0; sim->watchdogs && i < sim->n; i++) {
		if (sim->single || sim_next_random(&rng) % 100 < 85)
			sim->machines[i].dog_usual_ms = sim->single ? CALM_MS + (int64_t)(sim_next_random(&rng) % 10000) :
									  (int64_t)(least_ms + sim_next_random(&rng) % least_ms);
	}
}
