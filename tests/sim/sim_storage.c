// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Gates, DRBD 8.4 and hosts that write. A primary that loses its peer freezes (fencing resource-and-stonith) until the handler
 * has been answered; data generations decide who resynchronises whom; a write is acknowledged when the owner's copy and the
 * peer it counts on have it. DRBD here knows nothing of the cluster: a copy that misses writes promotes happily.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

static event_fn ev_tell, ev_noticed, ev_synced, ev_write, ev_connect;
static void ask_tie(struct sim *sim, int i, int node);

int storage_side(const struct group *group, int node)
{
	return group->nodes[0] == node ? 0 : group->nodes[1] == node ? 1 : -1;
}

struct copy *storage_copy(struct sim *sim, int group, int node)
{
	int side = storage_side(&sim->groups[group], node);

	return side < 0 ? NULL : &sim->groups[group].copies[side];
}

static struct copy *peer_of(struct sim *sim, int group, int node)
{
	return &sim->groups[group].copies[1 - storage_side(&sim->groups[group], node)];
}

static bool copy_is_good(const struct copy *copy)
{
	return copy->disk == DISK_UPTODATE && !copy->failed;
}

static void put_write(struct copy *copy, int write)
{
	copy->latest = write;
	copy->writes[write / 8] |= (uint8_t)BIT(write % 8);
}

static void ack(struct sim *sim, struct group *group, int write)
{
	sim->coverage[COVER_WRITE]++;
	group->acked[group->n_acked++] = write;
	group->latest_acked = MAX(group->latest_acked, write);
}

static void new_generation(struct sim *sim, struct copy *copy)
{
	if (copy->n_history < MAX_UUIDS)
		copy->history[copy->n_history++] = copy->uuid;
	copy->uuid = sim->next_uuid++;
}

static bool knows(const struct copy *copy, uint32_t uuid)
{
	for (size_t i = 0; i < copy->n_history; i++) {
		if (copy->history[i] == uuid)
			return true;
	}
	return false;
}

/* --- connection ---*/

static bool node_up(const struct sim *sim, int node)
{
	return sim->machines[node].power && !sim->machines[node].frozen;
}

static bool link_ok(const struct sim *sim, const struct group *group)
{
	int a = group->nodes[0], b = group->nodes[1];

	return node_up(sim, a) && node_up(sim, b) && sim->data_side[a] == sim->data_side[b];
}

static void ev_tell(struct sim *sim, int node, uint64_t i, uint64_t b, void *p)
{
	struct group *group = &sim->groups[i];
	int side = storage_side(group, node);

	(void)b;
	(void)p;
	if (group->copies[side].failed)
		return;
	agent_event(sim, node, &(struct ha_event){ .type = HA_EV_LOCAL, .local = HA_LOCAL_CURRENT, .group = group->name,
						   .nodeid = sim->machines[group->nodes[1 - side]].id,
						   .yes = storage_peer_is_current(sim, (int)i, node) });
}

/* The agent hears of it, after a while: the handler may ask before. */
static void tell_agent(struct sim *sim, int i, int node)
{
	sim_at(sim, sim_between(sim, 0, sim_chance(sim, 80) ? 5 : 500), ev_tell, node, (uint64_t)i, 0, NULL);
}

static void disconnect(struct sim *sim, int i)
{
	struct group *group = &sim->groups[i];

	if (!group->connected)
		return;
	sim_log(sim, "%s: DRBD connection is lost", group->name);
	group->connected = group->syncing = false;
	for (int side = 0; side < 2; side++) {
		struct copy *copy = &group->copies[side];

		if (!sim->machines[group->nodes[side]].power)
			continue;
		copy->seen_down = false;
		/* A write was under way: here for sure, at the peer perhaps. */
		if (copy->primary && copy->gate && !copy->inflight && copy_is_good(copy) && sim_chance(sim, 50) && sim->next_write < MAX_WRITES) {
			copy->inflight = sim->next_write++;
			put_write(copy, copy->inflight);
			if (sim_chance(sim, 50) && !group->copies[1 - side].failed)
				put_write(&group->copies[1 - side], copy->inflight);
		}
		sim_at(sim, sim_between(sim, 1, 600), ev_noticed, group->nodes[side], (uint64_t)i,
		       sim->machines[group->nodes[side]].life, NULL);
	}
}

void storage_disconnect(struct sim *sim, int group)
{
	disconnect(sim, group);
}

void storage_network(struct sim *sim)
{
	for (int i = 0; i < sim->n_groups; i++) {
		if (!link_ok(sim, &sim->groups[i]))
			disconnect(sim, i);
	}
}

static void ev_noticed(struct sim *sim, int node, uint64_t i, uint64_t life, void *p)
{
	struct group *group = &sim->groups[i];
	struct copy *copy = storage_copy(sim, (int)i, node);

	if (sim->machines[node].life != life || group->connected || copy->seen_down)
		return;
	if (sim->machines[node].frozen) {
		sim_at(sim, 100, ev_noticed, node, i, life, p);
		return;
	}
	copy->seen_down = true;
	tell_agent(sim, (int)i, node);
	if (!copy->primary || !copy_is_good(copy)) /* without data there is nothing to ask for: I/O errors (highest_fencing_policy()) */
		return;
	copy->suspended = true;
	if (group->quorum)
		ask_tie(sim, (int)i, node);
	else
		storage_ask(sim, (int)i, node);
}

/* The handler's question. */
void storage_ask(struct sim *sim, int i, int node)
{
	struct group *group = &sim->groups[i];
	struct copy *copy = storage_copy(sim, i, node);

	if (!sim->machines[node].agent)
		return; /* nobody answers: it stays frozen until it is asked again */
	copy->asking = true;
	copy->ask_id = ++sim->next_id;
	sim->n_asked++;
	agent_event(sim, node, &(struct ha_event){
				       .type = HA_EV_REQUEST, .request = HA_REQ_OUTDATE, .group = group->name,
				       .nodeid = sim->machines[group->nodes[1 - storage_side(group, node)]].id,
				       .request_id = copy->ask_id << 16 | (uint64_t)i << 8 | HA_REQ_OUTDATE });
}

static void go_on_alone(struct sim *sim, struct group *group, int node, struct copy *copy)
{
	copy->suspended = false;
	if (!copy->alone)
		new_generation(sim, copy);
	copy->alone = true;
	sim_log(sim, "%s: n%d goes on alone", group->name, node);
	if (copy->inflight)
		ack(sim, group, copy->inflight);
	copy->inflight = 0;
}

/* The handler has said: the peer is out. */
void storage_may_go_on(struct sim *sim, int i, int node)
{
	struct group *group = &sim->groups[i];
	struct copy *copy = storage_copy(sim, i, node);

	if (group->connected || group->shared || group->quorum)
		return;
	copy->peer_outdated = true;
	if (copy->primary)
		go_on_alone(sim, group, node, copy);
}

/* --- DRBD with quorum: two of three, and the third knows which data it has seen acknowledged ---*/

/* The third gives a copy the majority if it has been there since both copies were the same, and knows of no newer data. */
static bool tie_agrees(const struct sim *sim, const struct group *group, int node)
{
	const struct copy *copy = &group->copies[storage_side(group, node)];

	return node_up(sim, group->tie) && sim->data_side[node] == sim->data_side[group->tie] && group->tie_uuid &&
	       (copy->uuid == group->tie_uuid || knows(copy, group->tie_uuid));
}

static void ask_tie(struct sim *sim, int i, int node)
{
	struct group *group = &sim->groups[i];
	struct copy *copy = storage_copy(sim, i, node);

	if (!copy->primary || !copy->suspended || group->connected || !copy->seen_down || !tie_agrees(sim, group, node))
		return;
	sim->coverage[COVER_TIE]++;
	go_on_alone(sim, group, node, copy);
	group->tie_uuid = copy->uuid;
}

static void meet_tie(struct sim *sim, struct group *group)
{
	int a = group->nodes[0];

	if (group->quorum && group->connected && !group->syncing && node_up(sim, group->tie) && node_up(sim, a) &&
	    sim->data_side[a] == sim->data_side[group->tie])
		group->tie_uuid = group->copies[0].uuid;
}

static void finish_connect(struct sim *sim, int i)
{
	struct group *group = &sim->groups[i];

	for (int side = 0; side < 2; side++) {
		struct copy *copy = &group->copies[side];

		copy->peer_outdated = copy->alone = copy->suspended = copy->seen_down = copy->was_primary = false;
		if (copy->inflight) {
			for (int k = 0; k < 2; k++) {
				if (!group->copies[k].failed)
					put_write(&group->copies[k], copy->inflight);
			}
			ack(sim, group, copy->inflight);
			copy->inflight = 0;
		}
	}
	meet_tie(sim, group);
	for (int side = 0; side < 2; side++)
		tell_agent(sim, i, group->nodes[side]);
}

static void copy_all(struct copy *to, const struct copy *from)
{
	memcpy(to->writes, from->writes, sizeof(to->writes));
	memcpy(to->history, from->history, sizeof(to->history));
	to->n_history = from->n_history;
	to->latest = from->latest;
	to->uuid = from->uuid;
	to->disk = from->disk;
}

/* -1: equal; -2: split brain; else the side that has the newer data. */
static int find_source(const struct group *group)
{
	const struct copy *a = &group->copies[0], *b = &group->copies[1];

	if (a->disk == DISK_INCONSISTENT)
		return 1;
	if (b->disk == DISK_INCONSISTENT)
		return 0;
	if (a->uuid == b->uuid)
		return a->primary || (a->was_primary && !b->primary) ? 0 : b->primary || b->was_primary ? 1 : -1;
	if (knows(a, b->uuid))
		return 0;
	return knows(b, a->uuid) ? 1 : -2;
}

static void ev_synced(struct sim *sim, int node, uint64_t i, uint64_t id, void *p)
{
	struct group *group = &sim->groups[i];

	(void)node;
	(void)p;
	if (!group->syncing || group->sync_id != id)
		return;
	sim->coverage[COVER_RESYNC]++;
	group->syncing = false;
	copy_all(&group->copies[1 - group->source], &group->copies[group->source]);
	finish_connect(sim, (int)i);
	sim_log(sim, "%s: resynchronised from n%d", group->name, group->nodes[group->source]);
}

/* Nothing to compare: one is served by what the other has. */
static bool connect_without_disk(struct sim *sim, int i)
{
	struct group *group = &sim->groups[i];

	if (!group->copies[0].failed && !group->copies[1].failed)
		return false;
	sim_log(sim, "%s: DRBD connects, one without its disk", group->name);
	group->connected = true;
	group->copies[0].asking = group->copies[1].asking = false;
	for (int side = 0; side < 2; side++) {
		if (group->copies[side].primary)
			new_generation(sim, &group->copies[group->copies[0].failed]);
	}
	finish_connect(sim, i);
	return true;
}

/* `attached`: the side whose disk comes back under a connection, and whose primary reads what the other has; -1: none. */
static void connect(struct sim *sim, int i, int attached)
{
	struct group *group = &sim->groups[i];
	int source = find_source(group);
	bool same = group->copies[0].uuid == group->copies[1].uuid && group->copies[0].disk == group->copies[1].disk;

	if (connect_without_disk(sim, i))
		return;
	if (source == -2)
		sim_fail(sim, "%s: split brain: both copies have writes the other lacks", group->name);
	if (source >= 0 && group->copies[1 - source].primary && !group->copies[source].primary && group->copies[1 - source].disk == DISK_UPTODATE &&
	    1 - source != attached)
		sim_fail(sim, "%s: n%d is primary with an old copy", group->name, group->nodes[1 - source]);
	sim_log(sim, "%s: DRBD connects, source %d", group->name, source >= 0 ? group->nodes[source] : -1);
	group->connected = true;
	/* A handler that answers now answers a question of the last connection: its word is void. */
	group->copies[0].asking = group->copies[1].asking = false;
	if (source >= 0 && same) /* the activity log: in no time */
		copy_all(&group->copies[1 - source], &group->copies[source]);
	if (source < 0 || same) {
		finish_connect(sim, i);
		return;
	}
	group->syncing = true;
	group->source = source;
	group->sync_id = ++sim->next_id;
	group->copies[1 - source].disk = DISK_INCONSISTENT;
	/* The source has its peer again: what waits is written to both. */
	group->copies[source].suspended = group->copies[source].seen_down = false;
	group->copies[1 - source].seen_down = false;
	if (group->copies[source].inflight)
		ack(sim, group, group->copies[source].inflight);
	group->copies[source].inflight = 0;
	tell_agent(sim, i, group->nodes[0]);
	tell_agent(sim, i, group->nodes[1]);
	sim_at(sim, sim_between(sim, 10, 8000), ev_synced, 0, (uint64_t)i, group->sync_id, NULL);
}

static void ev_connect(struct sim *sim, int node, uint64_t i, uint64_t b, void *p)
{
	struct group *group = &sim->groups[i];

	(void)node;
	(void)b;
	(void)p;
	if (!group->connected && link_ok(sim, group) && group->copies[0].seen_down && group->copies[1].seen_down &&
	    !(group->copies[0].primary && group->copies[1].primary))
		connect(sim, (int)i, -1);
	for (int side = 0; group->quorum && side < 2; side++)
		ask_tie(sim, (int)i, group->nodes[side]);
	meet_tie(sim, group);
	sim_at(sim, sim_between(sim, 200, 2000), ev_connect, 0, i, 0, NULL);
}

/* --- what the agent does with it ---*/

bool storage_ready(struct sim *sim, int i, int node)
{
	return sim->groups[i].shared || copy_is_good(storage_copy(sim, i, node));
}

bool storage_peer_is_current(struct sim *sim, int i, int node)
{
	const struct group *group = &sim->groups[i];

	if (group->shared)
		return true;
	return group->connected && !group->syncing && copy_is_good(peer_of(sim, i, node)) && copy_is_good(storage_copy(sim, i, node));
}

/* --- disks that fail ---*/

/* Only while the other is good: two that fail are more than two copies bear. */
void storage_fail_disk(struct sim *sim, int node)
{
	for (int i = 0; i < sim->n_groups; i++) {
		struct group *group = &sim->groups[i];
		struct copy *copy = storage_copy(sim, i, node), *peer;

		if (!copy || group->shared || group->quorum || !storage_peer_is_current(sim, i, node))
			continue;
		peer = peer_of(sim, i, node);
		sim->coverage[COVER_DATA_DISK]++;
		sim_log(sim, "%s: the disk of n%d fails", group->name, node);
		copy->failed = true;
		if (copy->primary || peer->primary)
			new_generation(sim, peer); /* after_state_ch(): lost contact to the peer's copy of the data */
		tell_agent(sim, i, group->nodes[0]);
		tell_agent(sim, i, group->nodes[1]);
		return;
	}
}

/* By its own node's disk, or by the committed state. Between the failed write and either nobody knows: docs/PROTOCOL.md has what that takes
 * to do harm. */
static bool is_known_to_be_old(const struct sim *sim, int group, int side)
{
	const struct group *g = &sim->groups[group];

	if (sim->machines[g->nodes[side]].noted_behind[group])
		return true;
	for (int i = 0; i < sim->n; i++) {
		const struct ha_core *core = sim->machines[i].core;
		struct ha_group_view view;

		if (core && ha_core_find_group(core, g->name, &view) == 0 && core->committed >= core->replica.state.version &&
		    !ha_set_has(view.current, sim->machines[g->nodes[side]].id))
			return true;
	}
	return false;
}

static void mend_disk(struct sim *sim, int i, int side)
{
	struct group *group = &sim->groups[i];
	struct copy *copy = &group->copies[side];

	if (copy->primary && !group->connected)
		return; /* "can only attach to data with current UUID" (drbd_adm_attach()) */
	copy->failed = false;
	if (!is_known_to_be_old(sim, i, side) || sim_chance(sim, 30))
		copy->disk = DISK_INCONSISTENT; /* a new one */
	else
		sim->coverage[COVER_OLD_DISK]++;
	sim_log(sim, "%s: the disk of n%d is mended, %s", group->name, group->nodes[side], copy->disk == DISK_UPTODATE ? "as it was" : "empty");
	if (group->connected) {
		group->connected = false;
		connect(sim, i, side);
	}
}

void storage_mend_disks(struct sim *sim)
{
	for (int i = 0; i < sim->n_groups; i++) {
		for (int side = 0; side < 2; side++) {
			if (sim->groups[i].copies[side].failed && node_up(sim, sim->groups[i].nodes[side]))
				mend_disk(sim, i, side);
		}
	}
}

int storage_promote(struct sim *sim, int i, int node, bool lost)
{
	struct group *group = &sim->groups[i];
	struct copy *copy = storage_copy(sim, i, node), *peer = peer_of(sim, i, node);

	if (group->shared)
		return 1;
	if (!copy_is_good(copy)) /* DRBD would, with its peer's data: backend_promote() does not let it */
		return -1;
	if (copy->primary)
		return 1;
	if (group->connected) {
		if (lost && !link_ok(sim, group))
			disconnect(sim, i);
		if (peer->primary || (group->syncing && group->nodes[group->source] != node))
			return -1;
		check_opening(sim, i, node);
		copy->primary = true;
		if (peer->failed)
			new_generation(sim, copy);
		return 1;
	}
	if (!copy->seen_down)
		return 0;
	if (group->quorum && !tie_agrees(sim, group, node))
		return -1;
	if (!group->quorum && !copy->peer_outdated)
		return 2;
	check_opening(sim, i, node);
	copy->primary = true;
	copy->alone = true;
	new_generation(sim, copy);
	if (group->quorum)
		group->tie_uuid = copy->uuid;
	return 1;
}

void storage_open(struct sim *sim, int i, int node)
{
	check_opening(sim, i, node);
	storage_copy(sim, i, node)->gate = true;
}

/* 0: a frozen write holds it up (the suspend of the gate waits for what was mapped). */
int storage_close(struct sim *sim, int i, int node)
{
	struct copy *copy = storage_copy(sim, i, node);

	copy->gate = false;
	return !copy->inflight;
}

void storage_demote(struct sim *sim, int i, int node)
{
	struct copy *copy = storage_copy(sim, i, node);

	(void)sim;
	copy->primary = copy->suspended = copy->alone = false;
}

void storage_boot(struct sim *sim, int node)
{
	for (int i = 0; i < sim->n_groups; i++) {
		struct copy *copy = storage_copy(sim, i, node);

		if (copy)
			copy->seen_down = true;
	}
}

void storage_off(struct sim *sim, int node)
{
	for (int i = 0; i < sim->n_groups; i++) {
		struct copy *copy = storage_copy(sim, i, node);

		if (sim->groups[i].tie == node)
			sim->groups[i].tie_uuid = 0;
		if (!copy)
			continue;
		disconnect(sim, i);
		copy->was_primary = copy->was_primary || copy->primary;
		copy->primary = copy->gate = copy->suspended = copy->alone = copy->asking = false;
		copy->inflight = 0;
	}
}

/* --- hosts ---*/

bool storage_can_acknowledge(const struct sim *sim, const struct group *group, int side)
{
	const struct copy *copy = &group->copies[side];

	if (!sim->machines[group->nodes[side]].power || !copy->gate)
		return false;
	if (group->shared)
		return true;
	if (!copy_is_good(copy))
		return copy->primary && group->connected && copy_is_good(&group->copies[1 - side]);
	return copy->primary && !copy->suspended && (group->connected || copy->alone);
}

static void write_once(struct sim *sim, struct group *group, int side)
{
	struct copy *copy = &group->copies[side], *peer = &group->copies[1 - side];
	const struct copy *read = group->shared || copy_is_good(copy) ? copy : peer;
	int write;

	if (!storage_can_acknowledge(sim, group, side) || sim->machines[group->nodes[side]].frozen || sim->next_write >= MAX_WRITES)
		return;
	/* Compare and write: the host knows what was acknowledged to it, and that nothing older is there. */
	if (read->latest < group->latest_acked)
		sim_fail(sim, "%s: compare-and-write at n%d finds write %d, after %d was acknowledged", group->name,
			 group->nodes[side], read->latest, group->latest_acked);
	write = sim->next_write++;
	if (!copy->failed)
		put_write(copy, write);
	if ((group->shared || group->connected) && !peer->failed)
		put_write(peer, write);
	if (!group->shared && !group->connected)
		check_alone(sim, group, side);
	ack(sim, group, write);
}

static void ev_write(struct sim *sim, int node, uint64_t a, uint64_t b, void *p)
{
	(void)node;
	(void)a;
	(void)b;
	(void)p;
	for (int i = 0; i < sim->n_groups; i++) {
		for (int side = 0; side < 2; side++)
			write_once(sim, &sim->groups[i], side);
	}
	if (!sim->healing)
		sim_at(sim, sim_between(sim, 20, 300), ev_write, 0, 0, 0, NULL);
}

void storage_start(struct sim *sim)
{
	for (int i = 0; i < sim->n_groups; i++) {
		sim->groups[i].copies[0].seen_down = sim->groups[i].copies[1].seen_down = true;
		if (sim->groups[i].shared)
			sim->groups[i].connected = false;
		else
			sim_at(sim, 1, ev_connect, 0, (uint64_t)i, 0, NULL);
	}
	sim_at(sim, 1, ev_write, 0, 0, 0, NULL);
}
