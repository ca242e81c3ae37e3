// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lunwardd, as far as the core can tell: an inbox that keeps the order of what Corosync and the kernel say, a disk that may lose
 * a write that was not confirmed, one job a group at a time, and the contracts of core.h kept to the letter.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "tests/sim/sim.h"

#define DISK_ROOM (4u << 10) /* then nothing can be appended any more */

static event_fn ev_run, ev_timer, ev_written, ev_job, ev_poll, ev_killed, ev_fenced, ev_waited, ev_boot, ev_doom;

bool agent_runs(const struct sim *sim, int node)
{
	const struct machine *m = &sim->machines[node];

	return m->power && !m->frozen && m->agent && !m->stopped;
}

/* --- inbox ---*/

static void run_soon(struct sim *sim, int node)
{
	struct machine *m = &sim->machines[node];

	if (m->run_queued || !agent_runs(sim, node))
		return;
	m->run_queued = true;
	sim_at(sim, sim_random(sim, 2), ev_run, node, m->incarnation, 0, NULL);
}

static struct item *add_item(struct sim *sim, int node)
{
	struct machine *m = &sim->machines[node];
	struct item *item = xcalloc(1, sizeof(*item));

	*m->inbox_tail = item;
	m->inbox_tail = &item->next;
	run_soon(sim, node);
	return item;
}

void agent_event(struct sim *sim, int node, const struct ha_event *event)
{
	struct item *item;

	if (!sim->machines[node].agent)
		return;
	item = add_item(sim, node);
	item->event = *event;
	if (event->group) {
		snprintf(item->group, sizeof(item->group), "%s", event->group);
		item->event.group = item->group;
	}
	if (event->data) {
		item->data = xmemdup(event->data, event->size);
		item->event.data = item->data;
	}
	if (event->groups) {
		item->groups = xmemdup(event->groups, event->n_groups * sizeof(*event->groups));
		item->event.groups = item->groups;
	}
}

void agent_view(struct sim *sim, int node, uint32_t members, uint32_t ring)
{
	struct item *item = add_item(sim, node);

	item->event.type = HA_EV_VIEW;
	item->members = members;
	item->ring = ring;
}

void agent_message(struct sim *sim, int node, int from, const void *data, size_t size)
{
	agent_event(sim, node, &(struct ha_event){ .type = HA_EV_MESSAGE, .nodeid = sim->machines[from].id, .data = data,
						   .size = size });
}

static size_t ids_of(const struct sim *sim, uint32_t mask, uint32_t ret[MAX_NODES])
{
	size_t n = 0;

	for (int i = 0; i < sim->n; i++) {
		if (mask & BIT(i))
			ret[n++] = sim->machines[i].id;
	}
	return n;
}

static int node_of(const struct sim *sim, uint32_t id)
{
	for (int i = 0; i < sim->n; i++) {
		if (sim->machines[i].id == id)
			return i;
	}
	return -1;
}

static int group_of(const struct sim *sim, const char *name)
{
	for (int i = 0; i < sim->n_groups; i++) {
		if (strcmp(sim->groups[i].name, name) == 0)
			return i;
	}
	return -1;
}

/* --- jobs ---*/

static void start_job(struct sim *sim, int node, int group, enum ha_action_type type, uint64_t epoch, bool lost)
{
	struct machine *m = &sim->machines[node];
	struct job *job = &m->jobs[group];

	*job = (struct job){ .type = type, .epoch = epoch, .id = ++sim->next_id, .lost = lost };
	sim_at(sim, sim_between(sim, 1, sim_chance(sim, 90) ? 50 : 3000), ev_job, node, (uint64_t)group, job->id, NULL);
}

/* A host's command that kills whoever serves it. */
static void ev_doom(struct sim *sim, int node, uint64_t life, uint64_t group, void *p)
{
	(void)p;
	if (sim->healing || sim->machines[node].life != life || !sim->machines[node].power)
		return;
	sim_log(sim, "n%d %s: kills its owner", node, sim->groups[group].name);
	machine_off(sim, node);
}

static void job_ends(struct sim *sim, int node, int group, int result)
{
	struct machine *m = &sim->machines[node];
	struct job job = m->jobs[group];

	m->jobs[group].type = 0;
	m->job_end_ms[group] = sim->now_ms;
	sim_log(sim, "n%d %s: %s epoch %llu ends with %d", node, sim->groups[group].name,
		job.type == HA_ACT_ACQUIRE ? "acquire" : job.type == HA_ACT_RELEASE ? "release" : "stand down",
		(unsigned long long)job.epoch, result);
	agent_event(sim, node, &(struct ha_event){ .type = HA_EV_DONE, .action = job.type, .group = sim->groups[group].name,
						   .epoch = job.epoch, .result = result, .text = result ? "failed" : "" });
	if (job.type == HA_ACT_ACQUIRE && result == 0 && sim->groups[group].doom > 0) {
		sim->groups[group].doom--;
		sim_at(sim, sim_between(sim, 1, 800), ev_doom, node, m->life, (uint64_t)group, NULL);
	}
	if (m->stand_down[group]) {
		m->stand_down[group] = false;
		start_job(sim, node, group, HA_ACT_STAND_DOWN, m->stand_down_epoch[group], false);
		m->jobs[group].step = JOB_CLOSE;
	}
}

static void step_job(struct sim *sim, int node, int group)
{
	struct job *job = &sim->machines[node].jobs[group];
	int rc;

	if (!sim->healing && !sim->single && sim_chance(sim, 4)) {
		if (sim_chance(sim, 4)) { /* until the machine is off, or the agent dies */
			sim->coverage[COVER_HANG]++;
			sim_log(sim, "n%d %s: a job hangs", node, sim->groups[group].name);
			job->hangs = true;
			return;
		}
		job_ends(sim, node, group, -EIO);
		return;
	}
	switch (job->step) {
	case JOB_START:
		if (job->type == HA_ACT_ACQUIRE && sim->machines[node].behind[group] && !storage_copy(sim, group, node)->gate) {
			job_ends(sim, node, group, -ESTALE);
			return;
		}
		job->step = job->type == HA_ACT_ACQUIRE ? JOB_PROMOTE : JOB_CLOSE;
		break;
	case JOB_PROMOTE:
		rc = storage_promote(sim, group, node, job->lost);
		if (rc < 0) {
			job_ends(sim, node, group, -EIO);
			return;
		}
		if (rc == 2) {
			job->step = JOB_ASK; /* handler_answered() goes on */
			storage_ask(sim, group, node);
			return;
		}
		job->step = rc ? JOB_OPEN : JOB_PROMOTE;
		break;
	case JOB_ASK:
		return;
	case JOB_OPEN:
		storage_open(sim, group, node);
		job->step = JOB_END;
		break;
	case JOB_CLOSE:
		job->step = storage_close(sim, group, node) ? JOB_DEMOTE : JOB_CLOSE;
		break;
	case JOB_DEMOTE:
		storage_demote(sim, group, node);
		job->step = JOB_END;
		break;
	case JOB_END:
		job_ends(sim, node, group, 0);
		return;
	}
	sim_at(sim, job->step == JOB_CLOSE ? 100 : sim_between(sim, 1, 40), ev_job, node, (uint64_t)group, job->id, NULL);
}

static void ev_job(struct sim *sim, int node, uint64_t group, uint64_t id, void *p)
{
	struct machine *m = &sim->machines[node];

	if (m->jobs[group].id != id || !m->jobs[group].type || !m->power)
		return;
	if (m->frozen || m->stopped) {
		sim_at(sim, 50, ev_job, node, group, id, p);
		return;
	}
	step_job(sim, node, (int)group);
}

/* DRBD's handler has been answered, for a job or for a frozen primary. */
static void handler_answered(struct sim *sim, int node, int group, int result, bool still_valid)
{
	struct job *job = &sim->machines[node].jobs[group];

	if (result == 0 && still_valid)
		storage_may_go_on(sim, group, node);
	if (job->type != HA_ACT_ACQUIRE || job->step != JOB_ASK || job->hangs)
		return;
	if (result < 0) {
		job_ends(sim, node, group, result);
		return;
	}
	job->step = JOB_PROMOTE;
	sim_at(sim, 1, ev_job, node, (uint64_t)group, job->id, NULL);
}

static void stand_down(struct sim *sim, int node, int group, uint64_t epoch)
{
	struct machine *m = &sim->machines[node];

	if (!m->jobs[group].type) {
		start_job(sim, node, group, HA_ACT_STAND_DOWN, epoch, false);
		return;
	}
	(void)storage_close(sim, group, node);
	if (m->jobs[group].step == JOB_START) { /* not begun: dropped */
		start_job(sim, node, group, HA_ACT_STAND_DOWN, epoch, false);
		return;
	}
	m->stand_down[group] = true;
	m->stand_down_epoch[group] = epoch;
}

/* --- actions ---*/

static void note_disk(struct machine *m, const struct ha_msg *change)
{
	if (change->type == HA_MSG_INSTALL) {
		m->disk_term = change->round.term;
		m->disk_version = change->install.source_version + 1;
	} else if (change->type == HA_MSG_ORDER) {
		m->disk_version = change->version;
	}
}

static bool has_no_room(const struct machine *m)
{
	return m->writing_appends && m->disk_size > DISK_ROOM;
}

static void reach_disk(struct machine *m)
{
	struct ha_saved saved;
	struct ha_msg change;

	if (m->writing_appends) {
		m->disk = xreallocarray(m->disk, 1, m->disk_size + m->writing_size);
		memcpy(m->disk + m->disk_size, m->writing, m->writing_size);
		m->disk_size += m->writing_size;
		saved.changes = (struct bytes_in){ .p = m->writing, .left = m->writing_size };
	} else {
		free(m->disk);
		m->disk = steal_ptr(m->writing);
		m->disk_size = m->writing_size;
		m->disk_term = m->disk_version = 0;
		if (ha_saved_decode(m->disk, m->disk_size, &saved) < 0)
			return;
		m->disk_term = saved.state.term;
		m->disk_version = saved.state.version;
		ha_state_done(&saved.state);
	}
	while (ha_saved_next(&saved, &change) > 0) {
		note_disk(m, &change);
		ha_msg_done(&change);
	}
}

static void ev_written(struct sim *sim, int node, uint64_t seq, uint64_t incarnation, void *p)
{
	struct machine *m = &sim->machines[node];
	bool ok = !m->disk_trouble || sim->healing;
	bool no_room = has_no_room(m);

	(void)p;
	if (!m->power || m->write_seq != seq || !m->writing || m->incarnation != incarnation)
		return;
	if (m->frozen) {
		sim_at(sim, 50, ev_written, node, seq, incarnation, NULL);
		return;
	}
	if (!no_room && (ok || sim_chance(sim, 50))) /* an error says nothing about what is there now */
		reach_disk(m);
	free(m->writing);
	m->writing = NULL;
	agent_event(sim, node, &(struct ha_event){ .type = HA_EV_PERSISTED, .version = seq,
						   .result = no_room ? -EFBIG : ok ? 0 : -EIO });
}

static void start_write(struct sim *sim, int node, const struct ha_action *action)
{
	struct machine *m = &sim->machines[node];

	if (m->writing)
		sim_fail(sim, "n%d: asked to persist while a write runs", node);
	m->writing = xmemdup(action->data, action->size);
	m->writing_size = action->size;
	m->writing_appends = action->yes;
	m->write_seq = action->version;
	sim_at(sim, sim_between(sim, 1, sim_chance(sim, 95) ? sim->disk_ms : 4000), ev_written, node, action->version, m->incarnation, NULL);
}

/* Power off by a fence agent: does the work, tells the truth, but may be late or fail. */
static void ev_killed(struct sim *sim, int node, uint64_t target, uint64_t b, void *p)
{
	(void)node;
	(void)b;
	(void)p;
	sim->coverage[COVER_FENCE]++;
	sim_log(sim, "n%d is fenced", (int)target);
	machine_off(sim, (int)target);
}

static void ev_fenced(struct sim *sim, int node, uint64_t target, uint64_t epoch, void *result)
{
	struct machine *m = &sim->machines[node];
	const struct ha_state_node *now;

	if (!m->agent || m->incarnation != (uint64_t)(uintptr_t)result >> 1)
		return;
	now = state_node(&m->core->replica.state, sim->machines[target].id);
	if (now && now->down_seq != epoch && !((uintptr_t)result & 1))
		sim->coverage[COVER_LATE_EVIDENCE]++;
	agent_event(sim, node, &(struct ha_event){ .type = HA_EV_DONE, .action = HA_ACT_FENCE,
						   .nodeid = sim->machines[target].id, .epoch = epoch,
						   .result = (uintptr_t)result & 1 ? -EIO : 0, .text = "no answer" });
}

/* Nobody has touched it: by now its watchdog has, if it was cut off. */
static void ev_waited(struct sim *sim, int node, uint64_t target, uint64_t epoch, void *incarnation)
{
	struct machine *m = &sim->machines[node];

	if (!m->agent || m->incarnation != (uint64_t)(uintptr_t)incarnation)
		return;
	sim->coverage[COVER_WAITED]++;
	agent_event(sim, node, &(struct ha_event){ .type = HA_EV_DONE, .action = HA_ACT_FENCE, .evidence = HA_EVIDENCE_WATCHDOG,
						   .nodeid = sim->machines[target].id, .epoch = epoch });
}

static bool wait_for_watchdog(struct sim *sim, int node, int target, uint64_t epoch)
{
	int64_t bound_ms = watchdog_bound_ms(sim, node, target);

	if (!bound_ms)
		return false;
	sim_log(sim, "n%d waits for the watchdog of n%d (down %llu), %lld ms", node, target, (unsigned long long)epoch, (long long)bound_ms);
	sim_at(sim, bound_ms, ev_waited, node, (uint64_t)target, epoch, (void *)(uintptr_t)sim->machines[node].incarnation);
	return true;
}

static void start_fence(struct sim *sim, int node, const struct ha_action *action)
{
	int target = node_of(sim, action->nodeid);
	bool works = sim->healing || sim->single || sim_chance(sim, (uint32_t)sim->fence_luck), kills = works || sim_chance(sim, 20);
	int64_t kill_ms = sim_between(sim, 10, sim_chance(sim, 80) ? 2000 : 15000);
	int64_t tell_ms = kill_ms + sim_between(sim, 1, sim_chance(sim, 70) ? 500 : 20000);
	uintptr_t tag = (uintptr_t)(sim->machines[node].incarnation << 1) | !works;

	if (target < 0 || target == node)
		sim_fail(sim, "n%d: fences %u", node, action->nodeid);
	if (wait_for_watchdog(sim, node, target, action->epoch))
		return;
	if (sim->liar && !sim->healing) {
		works = sim_chance(sim, 50);
		kills = false;
		tag = (uintptr_t)(sim->machines[node].incarnation << 1) | !works;
		sim->coverage[COVER_LIE] += works;
	}
	sim_log(sim, "n%d fences n%d (down %llu): %s", node, target, (unsigned long long)action->epoch,
		!works ? "will fail" : kills ? "will work" : "will lie");
	if (kills)
		sim_at(sim, kill_ms, ev_killed, node, (uint64_t)target, 0, NULL);
	sim_at(sim, tell_ms, ev_fenced, node, (uint64_t)target, action->epoch, (void *)tag);
}

static void set_timer(struct sim *sim, int node, int64_t at_ms)
{
	struct machine *m = &sim->machines[node];

	m->timer_seq++;
	m->timer_ms = at_ms;
	if (at_ms < INT64_MAX)
		sim_at(sim, MAX(at_ms - sim->now_ms, 0), ev_timer, node, m->timer_seq, m->incarnation, NULL);
}

static void ev_timer(struct sim *sim, int node, uint64_t seq, uint64_t incarnation, void *p)
{
	struct machine *m = &sim->machines[node];

	(void)p;
	if (!m->agent || m->incarnation != incarnation || m->timer_seq != seq)
		return;
	m->timer_due = true;
	run_soon(sim, node);
}

static void replied(struct sim *sim, int node, const struct ha_action *action)
{
	uint64_t id = action->request_id;
	int group = (int)((id >> 8) & 0xff), kind = (int)(id & 0xff);

	sim_log(sim, "n%d: reply %d to %llx %s", node, action->result, (unsigned long long)id, action->text);
	if (action->result < 0 && !action->text[0])
		sim_fail(sim, "n%d: a refusal (%d) without a reason", node, action->result);
	switch ((enum ha_request)kind) {
	case HA_REQ_CONFIG:
		if (action->result == 0)
			sim->config_acked[group] = 1;
		break;
	case HA_REQ_RECORD: /* the detail is its number */
		if (action->result == 0)
			sim->record_acked[group] = sim->machines[node].core->committed;
		sim->coverage[action->result == 0 ? COVER_RECORD : COVER_STALE_RECORD] += action->result == 0 || action->result == -ESTALE;
		break;
	case HA_REQ_OUTDATE: {
		struct copy *copy = storage_copy(sim, group, node);

		bool still_valid;

		if (!copy || copy->ask_id != id >> 16)
			break;
		still_valid = copy->asking;
		copy->asking = false;
		if (action->result == 0)
			sim->coverage[COVER_OUTDATE]++;
		handler_answered(sim, node, group, action->result, still_valid);
		break;
	}
	case HA_REQ_MOVE:
	case HA_REQ_MAINTENANCE:
	case HA_REQ_CONFIRM_DOWN:
		break;
	}
	sim->n_answered++;
}

static void do_action(struct sim *sim, int node, const struct ha_action *action)
{
	int group = action->group ? group_of(sim, action->group) : -1;

	switch (action->type) {
	case HA_ACT_SEND:
		if (action->size >= 1u << 20)
			sim_fail(sim, "n%d: a message of %zu bytes", node, action->size);
		if (((const uint8_t *)action->data)[4] == HA_MSG_SNAPSHOT)
			sim->coverage[COVER_SNAPSHOT]++;
		if (sim->healing || !sim_chance(sim, (uint32_t)sim->refused))
			cpg_send(sim, node, ENTRY_MSG, action->data, action->size);
		break;
	case HA_ACT_PERSIST:
		start_write(sim, node, action);
		break;
	case HA_ACT_ACQUIRE:
	case HA_ACT_RELEASE:
		sim_log(sim, "n%d %s: told to %s at epoch %llu%s", node, action->group,
			action->type == HA_ACT_ACQUIRE ? "acquire" : "release", (unsigned long long)action->epoch,
			action->yes ? " (takeover)" : "");
		if (sim->machines[node].jobs[group].type)
			sim_fail(sim, "n%d %s: told to act while it acts", node, action->group);
		if (action->type == HA_ACT_ACQUIRE)
			check_acquire(sim, group, node, action->epoch);
		start_job(sim, node, group, action->type, action->epoch, action->yes);
		break;
	case HA_ACT_STAND_DOWN:
		sim_log(sim, "n%d %s: told to stand down", node, action->group);
		if (sim->machines[node].stand_down[group])
			sim_fail(sim, "n%d %s: told twice to stand down", node, action->group);
		stand_down(sim, node, group, action->epoch);
		break;
	case HA_ACT_FENCE:
		start_fence(sim, node, action);
		break;
	case HA_ACT_REPLY:
		replied(sim, node, action);
		break;
	case HA_ACT_TIMER:
		set_timer(sim, node, action->deadline_ms);
		break;
	case HA_ACT_NOTE:
		if (group >= 0 && strstr(action->text, " serves it")) {
			if (action->epoch <= sim->machines[node].told_epoch[group])
				sim_fail(sim, "n%d %s: told twice of epoch %llu", node, action->group,
					 (unsigned long long)action->epoch);
			sim->machines[node].told_epoch[group] = action->epoch;
		}
		sim_log(sim, "n%d: note %s@%llu %s", node, action->group ? action->group : "", (unsigned long long)action->epoch,
			action->text);
		break;
	case HA_ACT_LEASE:
		watchdog_lease(sim, node, action->deadline_ms);
		break;
	case HA_ACT_CHANGED:
	case HA_ACT_INFO:
		break;
	}
}

static void step(struct sim *sim, int node, const struct ha_event *event)
{
	struct ha_core *core = sim->machines[node].core;
	struct ha_action action;

	sim->steps++;
	ha_core_step(core, event, sim->now_ms);
	while (ha_core_next_action(core, &action))
		do_action(sim, node, &action);
	check_core(sim, node);
}

static struct item *take_item(struct machine *m)
{
	struct item *item = m->inbox;

	if (!item)
		return NULL;
	m->inbox = item->next;
	if (!m->inbox)
		m->inbox_tail = &m->inbox;
	return item;
}

static void free_item(struct item *item)
{
	free(item->data);
	free(item->groups);
	free(item);
}

static void log_message(struct sim *sim, int node, const struct ha_event *event)
{
	static const char *const names[] = { "?", "BEGIN", "DIGEST", "INSTALL", "SNAPSHOT", "ACK", "JOIN", "COMMAND", "ORDER",
					     "INFO", "LEASE" };
	struct ha_msg msg;

	if (ha_msg_decode(event->data, event->size, &msg) < 0)
		return;
	sim_log(sim, "n%d: %s from n%d round %llu/%u term %llu version %llu %s%s group %s nodeid %u number %llu yes %d", node,
		names[msg.type], node_of(sim, event->nodeid), (unsigned long long)msg.round.term, msg.round.nodeid,
		(unsigned long long)(msg.type == HA_MSG_DIGEST ? msg.digest.term : msg.term),
		(unsigned long long)(msg.type == HA_MSG_DIGEST ? msg.digest.version : msg.version),
		msg.digest.refused ? "refused " : "", msg.command.type ? ha_command_name(msg.command.type) : "",
		msg.command.group, msg.command.nodeid, (unsigned long long)msg.command.number, msg.command.yes);
	ha_msg_done(&msg);
}

static void run_item(struct sim *sim, int node, struct item *item)
{
	uint32_t members[MAX_NODES], ring[MAX_NODES];

	if (item->event.type == HA_EV_VIEW) {
		item->event.nodes = members;
		item->event.n_nodes = ids_of(sim, item->members, members);
		item->event.ring = ring;
		item->event.n_ring = ids_of(sim, item->ring, ring);
		sim_log(sim, "n%d: view %x of ring %x", node, item->members, item->ring);
	}
	if (item->event.type == HA_EV_MESSAGE && sim->verbose)
		log_message(sim, node, &item->event);
	transitions_before(sim, node, &item->event);
	step(sim, node, &item->event);
	transitions_after(sim, node);
}

static void ev_run(struct sim *sim, int node, uint64_t incarnation, uint64_t b, void *p)
{
	struct machine *m = &sim->machines[node];
	struct item *item;

	(void)b;
	(void)p;
	if (m->incarnation != incarnation)
		return;
	m->run_queued = false;
	if (!agent_runs(sim, node))
		return;
	if (m->timer_due) {
		m->timer_due = false;
		step(sim, node, &(struct ha_event){ .type = HA_EV_TIMER });
	} else if ((item = take_item(m))) {
		run_item(sim, node, item);
		free_item(item);
	}
	if (m->inbox || m->timer_due)
		run_soon(sim, node);
}

void agent_wake(struct sim *sim, int node)
{
	sim->machines[node].unquorate_ms = 0; /* what is to be closed without quorum it has time for from now on */
	run_soon(sim, node);
}

/* --- what it says again and again ---*/

static void say(struct sim *sim, int node, enum ha_local what, const char *group, uint32_t nodeid, bool yes)
{
	agent_event(sim, node, &(struct ha_event){ .type = HA_EV_LOCAL, .local = what, .group = group, .nodeid = nodeid,
						   .yes = yes });
}

/* Looked at afresh: first no, so that an older yes is not taken for this one. */
static void say_current(struct sim *sim, int node, const char *group, uint32_t nodeid, bool is_current, bool equal, bool behind)
{
	if (behind || (equal && !is_current))
		say(sim, node, HA_LOCAL_CURRENT, group, nodeid, false);
	if (equal)
		say(sim, node, HA_LOCAL_CURRENT, group, nodeid, true);
}

static void ev_noted(struct sim *sim, int node, uint64_t i, uint64_t incarnation, void *p)
{
	struct machine *m = &sim->machines[node];

	(void)p;
	if (m->incarnation != incarnation || !m->power)
		return;
	if (m->frozen) {
		sim_at(sim, 50, ev_noted, node, i, incarnation, NULL);
		return;
	}
	m->noting[i] = false;
	if (!m->disk_trouble || sim->healing)
		m->noted_behind[i] = m->behind[i];
}

/* As own_copy.c: counts at once, and is on the disk a moment later. */
static void note_behind(struct sim *sim, int node, int i, bool behind)
{
	struct machine *m = &sim->machines[node];

	if (m->behind[i] != behind)
		sim_log(sim, "n%d %s: its copy %s", node, sim->groups[i].name, behind ? "lacks writes" : "is equal again");
	m->behind[i] = behind;
	if (m->noting[i] || m->noted_behind[i] == behind)
		return;
	m->noting[i] = true;
	sim_at(sim, sim_between(sim, 1, sim->disk_ms), ev_noted, node, (uint64_t)i, m->incarnation, NULL);
}

static void say_group(struct sim *sim, int node, int i)
{
	struct group *group = &sim->groups[i];
	struct copy *copy = storage_copy(sim, i, node);
	struct ha_group_view view;
	uint32_t me = sim->machines[node].id, peer;
	bool equal, was_behind = sim->machines[node].behind[i];

	if (!copy)
		return;
	equal = storage_peer_is_current(sim, i, node);
	note_behind(sim, node, i, !equal && (was_behind || (copy->failed && copy->primary)));
	if (ha_core_find_group(sim->machines[node].core, group->name, &view) < 0)
		return;
	peer = sim->machines[group->nodes[1 - storage_side(group, node)]].id;
	say(sim, node, HA_LOCAL_READY, group->name, 0, storage_ready(sim, i, node) && !sim->machines[node].behind[i]);
	if (!copy->failed) /* else it cannot tell */
		say_current(sim, node, group->name, peer, ha_set_has(view.current, peer), equal, !equal);
	if (view.owner == me || was_behind || sim->machines[node].behind[i])
		say_current(sim, node, group->name, me, ha_set_has(view.current, me), equal, sim->machines[node].behind[i]);
	if (copy->primary && copy->suspended && !copy->asking && copy->seen_down)
		storage_ask(sim, i, node);
}

static void serve_portals(struct sim *sim, int node)
{
	struct machine *m = &sim->machines[node];
	struct ha_core_view core;

	ha_core_view(m->core, &core);
	for (size_t i = 0; core.active && i < core.n_nodes; i++) {
		struct ha_node_view view;
		int of;

		ha_core_node(m->core, i, &view);
		of = node_of(sim, view.nodeid);
		if (!view.settled)
			continue;
		if (view.portal_holder == m->id && !view.portal_next) {
			if (core.guarded)
				m->portals |= BIT(of);
			continue;
		}
		m->portals &= ~BIT(of);
		if (view.portal_holder == m->id)
			say(sim, node, HA_LOCAL_PORTALS_DOWN, NULL, view.nodeid, true);
	}
}

static void ev_poll(struct sim *sim, int node, uint64_t incarnation, uint64_t b, void *p)
{
	struct machine *m = &sim->machines[node];

	(void)b;
	(void)p;
	if (m->incarnation != incarnation || !m->agent)
		return;
	if (agent_runs(sim, node)) {
		for (int i = 0; i < sim->n_groups; i++)
			say_group(sim, node, i);
		serve_portals(sim, node);
	}
	sim_at(sim, sim_between(sim, 500, 1500), ev_poll, node, incarnation, 0, NULL);
}

/* --- life ---*/

static struct ha_settings settings_for(struct sim *sim, int node)
{
	struct ha_settings settings = { .nodeid = sim->machines[node].id, .n_electorate = (size_t)sim->n,
					.incarnation = sim->machines[node].incarnation, .calm_ms = sim->calm_ms,
					.start_wait_ms = sim->start_wait_ms };

	for (int i = 0; i < sim->n; i++) {
		settings.electorate[i].nodeid = sim->machines[i].id;
		snprintf(settings.electorate[i].name, HA_NAME_SIZE, "n%d", i);
	}
	return settings;
}

void agent_start(struct sim *sim, int node)
{
	struct machine *m = &sim->machines[node];
	struct ha_settings settings;

	if (!m->power || m->agent)
		return;
	sim_log(sim, "n%d: agent starts", node);
	m->agent = true;
	m->stopped = false;
	m->joined = false;
	m->run_queued = false;
	m->timer_due = false;
	m->incarnation = ++sim->next_id;
	m->unquorate_ms = 0;
	memcpy(m->behind, m->noted_behind, sizeof(m->behind));
	memset(m->noting, 0, sizeof(m->noting));
	memset(m->told_epoch, 0, sizeof(m->told_epoch));
	memset(m->before, 0, sizeof(m->before));
	memset(m->failback, 0, sizeof(m->failback));
	m->n_nodes_before = 0;
	settings = settings_for(sim, node);
	m->core = ha_core_new(&settings);
	step(sim, node, &(struct ha_event){ .type = HA_EV_START, .data = m->disk, .size = m->disk ? m->disk_size : 0 });
	cpg_send(sim, node, ENTRY_JOIN, NULL, 0);
	cpg_quorum_soon(sim, node);
	watchdog_start(sim, node);
	for (int i = 0; i < sim->n_groups; i++) {
		const struct copy *copy = storage_copy(sim, i, node);

		bool some = copy && (copy->gate || copy->primary);
		bool all = copy && copy->gate && (copy->primary || sim->groups[i].shared);

		agent_event(sim, node, &(struct ha_event){ .type = HA_EV_LOCAL, .local = HA_LOCAL_SERVING,
							   .group = sim->groups[i].name, .yes = some,
							   .result = some && !all ? -EIO : 0 });
	}
	sim_at(sim, sim_between(sim, 1, 500), ev_poll, node, m->incarnation, 0, NULL);
}

static void forget_agent(struct sim *sim, int node)
{
	struct machine *m = &sim->machines[node];
	struct item *item;

	while ((item = take_item(m)))
		free_item(item);
	ha_core_free(m->core);
	m->core = NULL;
	m->agent = m->joined = m->stopped = false;
	m->incarnation = 0;
	watchdog_stop(sim, node, false);
	if (m->writing && !has_no_room(m) && sim_chance(sim, 50))
		reach_disk(m);
	free(m->writing);
	m->writing = NULL;
	for (int i = 0; i < sim->n_groups; i++) {
		struct copy *copy = storage_copy(sim, i, node);

		m->jobs[i].type = 0;
		m->stand_down[i] = false;
		if (copy)
			copy->asking = false;
	}
}

void agent_crash(struct sim *sim, int node)
{
	struct machine *m = &sim->machines[node];

	if (!m->agent)
		return;
	sim_log(sim, "n%d: agent crashes", node);
	if (sim->watchdogs && !m->stopped && sim_chance(sim, 30))
		watchdog_stop(sim, node, true);
	cpg_send(sim, node, ENTRY_LEAVE, NULL, 0);
	forget_agent(sim, node);
}

static void ev_boot(struct sim *sim, int node, uint64_t life, uint64_t b, void *p)
{
	(void)b;
	(void)p;
	if (sim->machines[node].life == life)
		machine_boot(sim, node);
}

static void ev_agent_start(struct sim *sim, int node, uint64_t life, uint64_t b, void *p)
{
	(void)b;
	(void)p;
	if (sim->machines[node].life == life)
		agent_start(sim, node);
}

void machine_boot(struct sim *sim, int node)
{
	struct machine *m = &sim->machines[node];

	if (m->power)
		return;
	sim_log(sim, "n%d boots", node);
	m->power = true;
	m->frozen = false;
	m->life++;
	m->boot_ms = sim->now_ms;
	m->dog_ticks = false;
	m->glitch = 0;
	m->disk_trouble = 0;
	cpg_start(sim, node);
	storage_boot(sim, node);
	sim_at(sim, sim_between(sim, 0, sim_chance(sim, 80) || !sim->now_ms ? 500 : 20000), ev_agent_start, node, m->life, 0, NULL);
}

void machine_off(struct sim *sim, int node)
{
	struct machine *m = &sim->machines[node];

	if (!m->power)
		return;
	sim_log(sim, "n%d is off", node);
	cpg_break(sim, BIT(node));
	if (m->agent)
		forget_agent(sim, node);
	storage_off(sim, node);
	cpg_stop(sim, node);
	m->power = m->frozen = false;
	m->portals = 0;
	m->life++;
	cpg_reform_in(sim, sim_between(sim, 100, 4000));
	if (!sim->single)
		sim_at(sim, sim_between(sim, 500, sim_chance(sim, 70) ? 8000 : 40000), ev_boot, node, m->life, 0, NULL);
}
