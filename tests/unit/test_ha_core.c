// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The ownership state machine told as stories: a few machines, a bus that delivers to all members in one order, disks that
 * write at once unless a test holds them. What a test does not answer stays unanswered: actions wait in `tasks`.
 * The interleavings nobody thought of are tests/sim's business.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/xalloc.h"
#include "ha/core/internal.h"
#include "ha/transport/transport.h"

#define MAX_NODES 5
#define MAX_TASKS 64
#define MAX_NOTES 400

struct task {
	enum ha_action_type type;
	char group[HA_NAME_SIZE];
	uint32_t nodeid;
	uint64_t epoch;
	bool yes;
};

struct node {
	struct ha_core *core;
	struct task tasks[MAX_TASKS];
	size_t n_tasks;
	uint8_t *disk;
	size_t disk_size;
	bool disk_fails;
	size_t disk_room; /* no change is appended to a disk of more than this; 0: always */
	int disk_wholes, disk_appends;
	bool mute; /* what it sends is refused by CPG */
	bool old;  /* it knows nothing of leases */
	size_t n_lease_sends;
	int64_t leased_until_ms; /* 0: none was given */
	int replies;
	int reply_result;
	char reply_text[512];
	uint64_t reply_id;
	int64_t timer_ms;
	char notes[MAX_NOTES][64];
	size_t n_notes;
	bool persist_held;
	uint64_t persist_version;
	uint8_t *persist_data;
	size_t persist_size;
	bool persist_appends;
};

struct cluster {
	struct node nodes[MAX_NODES + 1]; /* by id */
	uint32_t n;
	int64_t start_wait_ms;
	int64_t now_ms;
	uint64_t lives;
	struct {
		uint32_t from;
		uint8_t *data;
		size_t size;
	} bus[4096];
	size_t head, tail;
	uint32_t members[MAX_NODES];
	size_t n_members;
};

static struct cluster c;

static void drain(uint32_t id);

static void step(uint32_t id, const struct ha_event *event)
{
	ha_core_step(c.nodes[id].core, event, c.now_ms);
	drain(id);
}

/* 0, or what the disk says. */
static int keep(struct node *node)
{
	if (node->disk_fails)
		return -EIO;
	if (!node->persist_appends)
		node->disk_size = 0;
	else if (node->disk_room && node->disk_size > node->disk_room)
		return -EFBIG;
	node->disk_wholes += !node->persist_appends;
	node->disk_appends += node->persist_appends;
	node->disk = xreallocarray(node->disk, 1, node->disk_size + node->persist_size);
	memcpy(node->disk + node->disk_size, node->persist_data, node->persist_size);
	node->disk_size += node->persist_size;
	return 0;
}

static void persist(uint32_t id, const struct ha_action *action)
{
	struct node *node = &c.nodes[id];

	node->persist_version = action->version;
	node->persist_appends = action->yes;
	free(node->persist_data);
	node->persist_data = xmemdup(action->data, action->size);
	node->persist_size = action->size;
}

static void send_all(uint32_t id, const struct ha_action *action)
{
	bool is_lease = ((const uint8_t *)action->data)[4] == HA_MSG_LEASE;

	c.nodes[id].n_lease_sends += is_lease;
	if (c.nodes[id].mute || (is_lease && c.nodes[id].old))
		return;
	assert_true(action->size <= TRANSPORT_MESSAGE_MAX);
	assert_true(c.tail - c.head < 4096);
	c.bus[c.tail % 4096].from = id;
	c.bus[c.tail % 4096].data = xmemdup(action->data, action->size);
	c.bus[c.tail++ % 4096].size = action->size;
}

static void drain(uint32_t id)
{
	struct node *node = &c.nodes[id];
	struct ha_action action;

	while (ha_core_next_action(node->core, &action)) {
		switch (action.type) {
		case HA_ACT_SEND:
			send_all(id, &action);
			break;
		case HA_ACT_PERSIST:
			persist(id, &action);
			break;
		case HA_ACT_ACQUIRE:
		case HA_ACT_RELEASE:
		case HA_ACT_STAND_DOWN:
		case HA_ACT_FENCE: {
			struct task *task = &node->tasks[node->n_tasks++];

			assert_true(node->n_tasks < MAX_TASKS);
			*task = (struct task){ .type = action.type, .nodeid = action.nodeid, .epoch = action.epoch,
					       .yes = action.yes };
			snprintf(task->group, sizeof(task->group), "%s", action.group ? action.group : "");
			break;
		}
		case HA_ACT_REPLY:
			node->replies++;
			node->reply_id = action.request_id;
			node->reply_result = action.result;
			snprintf(node->reply_text, sizeof(node->reply_text), "%s", action.text);
			break;
		case HA_ACT_TIMER:
			node->timer_ms = action.deadline_ms;
			break;
		case HA_ACT_NOTE:
			if (action.group && node->n_notes < MAX_NOTES)
				snprintf(node->notes[node->n_notes++], 64, "%s@%llu %.40s", action.group,
					 (unsigned long long)action.epoch, action.text);
			break;
		case HA_ACT_LEASE:
			node->leased_until_ms = action.deadline_ms;
			break;
		case HA_ACT_CHANGED:
		case HA_ACT_INFO:
			break;
		}
	}
}

static bool is_member(uint32_t id)
{
	for (size_t i = 0; i < c.n_members; i++) {
		if (c.members[i] == id)
			return true;
	}
	return false;
}

static bool write_disks(void)
{
	bool any = false;

	for (uint32_t id = 1; id <= c.n; id++) {
		struct node *node = &c.nodes[id];

		if (!node->core || !node->persist_version || node->persist_held)
			continue;
		struct ha_event done = { .type = HA_EV_PERSISTED, .version = node->persist_version, .result = keep(node) };

		node->persist_version = 0;
		step(id, &done);
		any = true;
	}
	return any;
}

static void deliver_one(void)
{
	size_t at = c.head++ % 4096;
	uint8_t *data = c.bus[at].data;

	for (uint32_t id = 1; id <= c.n; id++) {
		if (is_member(id) && c.nodes[id].core)
			step(id, &(struct ha_event){ .type = HA_EV_MESSAGE, .nodeid = c.bus[at].from, .data = data,
						     .size = c.bus[at].size });
	}
	free(data);
}

static void settle(void)
{
	for (int i = 0; i < 100000; i++) {
		if (c.head != c.tail)
			deliver_one();
		else if (!write_disks())
			return;
	}
	fail_msg("the machines never come to rest");
}

/* Lets time pass in the machines' own steps. */
static void pass(int64_t ms)
{
	int64_t until = c.now_ms + ms;

	settle();
	for (;;) {
		int64_t next = INT64_MAX;

		for (uint32_t id = 1; id <= c.n; id++) {
			if (c.nodes[id].core && c.nodes[id].timer_ms < next)
				next = c.nodes[id].timer_ms;
		}
		if (next > until)
			break;
		c.now_ms = next > c.now_ms ? next : c.now_ms;
		for (uint32_t id = 1; id <= c.n; id++) {
			if (c.nodes[id].core && c.nodes[id].timer_ms <= c.now_ms) {
				c.nodes[id].timer_ms = INT64_MAX;
				step(id, &(struct ha_event){ .type = HA_EV_TIMER });
			}
		}
		settle();
	}
	c.now_ms = until;
}

static void boot(uint32_t id)
{
	struct ha_settings settings = { .nodeid = id, .n_electorate = c.n, .incarnation = ++c.lives, .start_wait_ms = c.start_wait_ms };
	struct node *node = &c.nodes[id];

	for (uint32_t i = 1; i <= c.n; i++) {
		settings.electorate[i - 1].nodeid = i;
		snprintf(settings.electorate[i - 1].name, HA_NAME_SIZE, "n%u", i);
	}
	node->core = ha_core_new(&settings);
	node->timer_ms = INT64_MAX;
	node->n_tasks = 0;
	node->persist_version = 0;
	step(id, &(struct ha_event){ .type = HA_EV_START, .data = node->disk, .size = node->disk_size });
}

/* The agent dies: what was not on the disk is gone. */
static void die(uint32_t id)
{
	ha_core_free(c.nodes[id].core);
	c.nodes[id].core = NULL;
}

/* Membership of the one partition that matters; the ring is the members and `also`. */
static void view(const uint32_t *members, size_t n, uint32_t also)
{
	uint32_t ring[MAX_NODES + 1];
	size_t n_ring = n;

	memcpy(c.members, members, n * sizeof(*members));
	memcpy(ring, members, n * sizeof(*members));
	c.n_members = n;
	if (also)
		ring[n_ring++] = also;
	for (size_t i = 0; i < n; i++)
		step(members[i], &(struct ha_event){ .type = HA_EV_VIEW, .nodes = members, .n_nodes = n, .ring = ring,
						     .n_ring = n_ring });
	for (size_t i = 0; i < n; i++)
		step(members[i], &(struct ha_event){ .type = HA_EV_QUORUM, .yes = n > c.n / 2 });
}

#define VIEW(...)                                                                                                      \
	view((const uint32_t[]){ __VA_ARGS__ }, sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t), 0)

static void alone(uint32_t id, bool quorate)
{
	step(id, &(struct ha_event){ .type = HA_EV_VIEW, .nodes = &id, .n_nodes = 1, .ring = &id, .n_ring = 1 });
	step(id, &(struct ha_event){ .type = HA_EV_QUORUM, .yes = quorate });
}

static struct ha_core_view look(uint32_t id)
{
	struct ha_core_view v;

	ha_core_view(c.nodes[id].core, &v);
	return v;
}

static struct ha_group_view group_at(uint32_t id, const char *name)
{
	struct ha_group_view v;

	assert_int_equal(ha_core_find_group(c.nodes[id].core, name, &v), 0);
	return v;
}

static struct ha_node_view node_at(uint32_t id, uint32_t which)
{
	struct ha_node_view v;

	for (size_t i = 0; i < look(id).n_nodes; i++) {
		ha_core_node(c.nodes[id].core, i, &v);
		if (v.nodeid == which)
			return v;
	}
	fail_msg("node %u unknown", which);
	return v;
}

static bool has(const uint32_t set[HA_COPIES_MAX], uint32_t id)
{
	for (size_t i = 0; i < HA_COPIES_MAX; i++) {
		if (set[i] == id)
			return true;
	}
	return false;
}

static void expect(const char *name, enum ha_phase phase, uint32_t owner)
{
	for (size_t i = 0; i < c.n_members; i++) {
		struct ha_group_view g = group_at(c.members[i], name);

		assert_string_equal(ha_phase_name(g.phase), ha_phase_name(phase));
		assert_int_equal(g.owner, owner);
		assert_true(g.settled);
	}
}

static void local(uint32_t id, enum ha_local what, const char *group, uint32_t nodeid, bool yes)
{
	step(id, &(struct ha_event){ .type = HA_EV_LOCAL, .local = what, .group = group, .nodeid = nodeid, .yes = yes });
	settle();
}

static const struct task *task_at(uint32_t id, enum ha_action_type type, const char *group)
{
	struct node *node = &c.nodes[id];

	for (size_t i = 0; i < node->n_tasks; i++) {
		if (node->tasks[i].type == type && strcmp(node->tasks[i].group, group) == 0)
			return &node->tasks[i];
	}
	return NULL;
}

static void finish_only(uint32_t id, enum ha_action_type type, const char *group, int result)
{
	const struct task *found = task_at(id, type, group);
	struct node *node = &c.nodes[id];
	struct task task;

	if (!found)
		fail_msg("node %u was not told to do that (%d) to %s", id, type, group);
	task = *found;
	memmove(&node->tasks[found - node->tasks], found + 1,
		(size_t)(node->tasks + node->n_tasks - found - 1) * sizeof(task));
	node->n_tasks--;
	step(id, &(struct ha_event){ .type = HA_EV_DONE, .action = type, .group = type == HA_ACT_FENCE ? NULL : task.group,
				     .nodeid = task.nodeid, .epoch = task.epoch, .result = result,
				     .text = result ? "it went wrong" : "" });
}

static void finish(uint32_t id, enum ha_action_type type, const char *group, int result)
{
	finish_only(id, type, group, result);
	settle();
}

static void request(uint32_t id, enum ha_request what, const char *group, uint32_t nodeid)
{
	step(id, &(struct ha_event){ .type = HA_EV_REQUEST, .request = what, .group = group, .nodeid = nodeid,
				     .request_id = 100 });
	settle();
}

static int asked(uint32_t id, enum ha_request what, const char *group, uint32_t nodeid)
{
	int before = c.nodes[id].replies;

	request(id, what, group, nodeid);
	assert_int_equal(c.nodes[id].replies, before + 1);
	return c.nodes[id].reply_result;
}

static int set_config(uint32_t id, uint64_t base, const struct ha_group_spec *groups, size_t n)
{
	int before = c.nodes[id].replies;

	step(id, &(struct ha_event){ .type = HA_EV_REQUEST, .request = HA_REQ_CONFIG, .data = "{}", .size = 2,
				     .groups = groups, .n_groups = n, .base_version = base, .request_id = 7 });
	settle();
	assert_int_equal(c.nodes[id].replies, before + 1);
	return c.nodes[id].reply_result;
}

static const struct ha_group_spec g1 = { .name = "g1", .nodes = { 1, 2 }, .prefer = 1 };

/* Three nodes, g1 on n1 and n2, n1 owns it. */
static int with_owned_group(void **state)
{
	(void)state;
	memset(&c, 0, sizeof(c));
	c.now_ms = 1000;
	c.n = 3;
	for (uint32_t id = 1; id <= 3; id++)
		boot(id);
	VIEW(1, 2, 3);
	settle();
	assert_int_equal(set_config(1, 0, &g1, 1), 0);
	for (uint32_t id = 1; id <= 3; id++)
		local(id, HA_LOCAL_SERVING, "g1", 0, false);
	for (uint32_t id = 1; id <= 2; id++)
		local(id, HA_LOCAL_READY, "g1", 0, true);
	finish(1, HA_ACT_ACQUIRE, "g1", 0);
	expect("g1", HA_PHASE_OWNED, 1);
	return 0;
}

static int cleanup(void **state)
{
	(void)state;
	for (uint32_t id = 1; id <= c.n; id++) {
		ha_core_free(c.nodes[id].core);
		free(c.nodes[id].disk);
		free(c.nodes[id].persist_data);
	}
	while (c.head != c.tail)
		free(c.bus[c.head++ % 4096].data);
	return 0;
}

/* --- views --------------------------------------------------------------------------------------------------------------------*/

static void first_view_becomes_active(void **state)
{
	(void)state;
	memset(&c, 0, sizeof(c));
	c.n = 3;
	for (uint32_t id = 1; id <= 3; id++)
		boot(id);
	VIEW(1, 2, 3);
	assert_false(look(1).active);
	settle();
	for (uint32_t id = 1; id <= 3; id++) {
		assert_true(look(id).active);
		assert_int_equal(look(id).term, 1);
		assert_string_equal(look(id).passive_reason, "");
		assert_int_equal(node_at(id, 3).state, HA_NODE_UP);
	}
}

static void minority_stays_passive(void **state)
{
	(void)state;
	memset(&c, 0, sizeof(c));
	c.n = 3;
	boot(1);
	VIEW(1);
	pass(20000);
	assert_false(look(1).active);
	assert_int_equal(asked(1, HA_REQ_MOVE, "g1", 1), -ENOTCONN);
	assert_non_null(strstr(c.nodes[1].reply_text, "no quorum: "));
}

static void silent_member_is_left_out(void **state)
{
	(void)state;
	die(2);
	boot(2);
	c.nodes[2].persist_held = true; /* it never answers: its promise does not reach the disk */
	VIEW(1, 2, 3);
	settle();
	assert_false(look(1).active);
	pass(2100);
	assert_true(look(1).active);
	assert_int_equal(node_at(1, 2).state, HA_NODE_AWAY);
	c.nodes[2].persist_held = false;
	pass(6000);
	assert_true(look(2).active);
	assert_int_equal(node_at(1, 2).state, HA_NODE_UP);
	expect("g1", HA_PHASE_OWNED, 1);
}

static void next_begins_if_the_lowest_is_silent(void **state)
{
	(void)state;
	c.nodes[1].mute = true;
	VIEW(1, 2, 3);
	pass(10000);
	assert_true(look(2).active);
	assert_int_equal(node_at(2, 1).state, HA_NODE_AWAY);
	c.nodes[1].mute = false;
	pass(10000);
	assert_int_equal(node_at(2, 1).state, HA_NODE_UP);
	assert_true(look(1).active);
}

static void joiner_takes_the_state(void **state)
{
	(void)state;
	die(3);
	VIEW(1, 2);
	settle();
	local(2, HA_LOCAL_READY, "g1", 0, false);
	boot(3);
	assert_true(look(3).version < look(1).version);
	VIEW(1, 2, 3);
	settle();
	assert_int_equal(look(3).version, look(1).version);
	assert_false(has(group_at(3, "g1").ready, 2));
}

static void node_that_forgot_counts_for_nothing(void **state)
{
	(void)state;
	die(1);
	VIEW(2, 3);
	settle();
	local(2, HA_LOCAL_READY, "g1", 0, false);
	die(2); /* n3 and n2 had agreed; n2 comes back with an empty disk */
	free(c.nodes[2].disk);
	c.nodes[2].disk = NULL;
	c.nodes[2].disk_size = 0;
	boot(2);
	boot(1);
	VIEW(1, 2);
	pass(20000);
	assert_false(look(1).active);
	assert_non_null(strstr(look(1).passive_reason, "remember"));
	assert_int_equal(asked(1, HA_REQ_MOVE, "g1", 2), -ENOTCONN);
	VIEW(1, 2, 3);
	pass(1000);
	assert_true(look(2).active);
	assert_false(has(group_at(1, "g1").ready, 2));
	assert_int_equal(look(2).config_version, 1);
}

static void damaged_disk_counts_for_nothing(void **state)
{
	(void)state;
	for (uint32_t id = 1; id <= 3; id++)
		die(id);
	c.nodes[2].disk[20] ^= 1;
	c.nodes[3].disk[20] ^= 1;
	boot(1);
	boot(2);
	boot(3);
	VIEW(2, 3);
	pass(20000);
	assert_false(look(2).active);
	VIEW(1, 2, 3);
	pass(20000);
	assert_false(look(2).active);
}

/* A node that is cut off with an order nobody else has must not bring it back, though its version is as high. */
static void leftover_of_the_minority_is_dropped(void **state)
{
	uint64_t version = look(1).version;

	(void)state;
	/* n1 leads; it orders and delivers alone. */
	step(1, &(struct ha_event){ .type = HA_EV_LOCAL, .local = HA_LOCAL_READY, .group = "g1", .yes = false });
	c.n_members = 0;
	for (size_t i = c.head; i < c.tail; i++)
		step(1, &(struct ha_event){ .type = HA_EV_MESSAGE, .nodeid = 1, .data = c.bus[i % 4096].data,
					    .size = c.bus[i % 4096].size });
	while (c.head != c.tail)
		free(c.bus[c.head++ % 4096].data);
	write_disks();
	assert_int_equal(look(1).version, version + 1);
	assert_int_equal(look(1).committed, version);
	alone(1, false);
	VIEW(2, 3);
	settle();
	assert_int_equal(look(2).version, version + 1);
	VIEW(1, 2, 3);
	settle();
	assert_int_equal(look(1).term, look(2).term);
	assert_int_equal(look(1).version, look(2).version);
}

static void nothing_is_acknowledged_before_it_is_durable(void **state)
{
	(void)state;
	for (uint32_t id = 1; id <= 3; id++)
		c.nodes[id].persist_held = true;
	request(1, HA_REQ_MOVE, "g1", 2);
	assert_int_equal(group_at(1, "g1").phase, HA_PHASE_RELEASING);
	assert_false(group_at(1, "g1").settled);
	assert_null(task_at(1, HA_ACT_RELEASE, "g1"));
	assert_int_equal(c.nodes[1].replies, 1);
	c.nodes[1].persist_held = false;
	settle();
	assert_null(task_at(1, HA_ACT_RELEASE, "g1"));
	c.nodes[3].persist_held = false;
	settle();
	assert_non_null(task_at(1, HA_ACT_RELEASE, "g1"));
	assert_int_equal(c.nodes[1].replies, 2);
	assert_int_equal(c.nodes[1].reply_result, 0);
}

static void failing_disk_is_tried_again(void **state)
{
	(void)state;
	c.nodes[2].disk_fails = true;
	assert_int_equal(asked(1, HA_REQ_MOVE, "g1", 2), 0);
	pass(3000);
	c.nodes[2].disk_fails = false;
	pass(3000);
	finish(1, HA_ACT_RELEASE, "g1", 0);
	finish(2, HA_ACT_ACQUIRE, "g1", 0);
	expect("g1", HA_PHASE_OWNED, 2);
}

/* What a new life of the node finds on the disk is what the one before held. */
static void assert_disk_has_it_all(uint32_t id)
{
	struct node *node = &c.nodes[id];
	struct ha_settings settings = { .nodeid = id, .n_electorate = c.n, .incarnation = ++c.lives };
	struct bytes_out had = { .data = NULL }, has = { .data = NULL };
	struct ha_core *again = ha_core_new(&settings);

	ha_core_step(again, &(struct ha_event){ .type = HA_EV_START, .data = node->disk, .size = node->disk_size }, c.now_ms);
	assert_int_equal(again->promised, node->core->promised);
	ha_state_encode(&node->core->replica.state, &had);
	ha_state_encode(&again->replica.state, &has);
	assert_int_equal(has.size, had.size);
	assert_memory_equal(has.data, had.data, had.size);
	assert_true(save_is_done(again));
	bytes_out_done(&had);
	bytes_out_done(&has);
	ha_core_free(again);
}

/* Rounds and moves: written down as changes, and written whole where there is no room for them. */
static void what_was_appended_comes_back(void **state)
{
	int wholes = c.nodes[1].disk_wholes, appends = c.nodes[3].disk_appends;

	(void)state;
	c.nodes[3].disk_room = 1;
	for (uint32_t to = 2; to >= 1; to--) {
		assert_int_equal(asked(1, HA_REQ_MOVE, "g1", to), 0);
		finish(3 - to, HA_ACT_RELEASE, "g1", 0);
		finish(to, HA_ACT_ACQUIRE, "g1", 0);
		for (uint32_t id = 1; id <= 3; id++)
			assert_disk_has_it_all(id);
	}
	VIEW(1, 3);
	settle();
	assert_disk_has_it_all(1);
	assert_disk_has_it_all(3);
	VIEW(1, 2, 3);
	settle();
	for (uint32_t id = 1; id <= 3; id++)
		assert_disk_has_it_all(id);
	assert_int_equal(c.nodes[1].disk_wholes, wholes);
	assert_true(c.nodes[1].disk_appends > 10);
	assert_true(c.nodes[3].disk_wholes > 10);
	assert_int_equal(c.nodes[3].disk_appends, appends);
}

/* A write that failed may be there or not: what comes next does not build on it. */
static void what_follows_a_failed_write_is_written_whole(void **state)
{
	int wholes = c.nodes[2].disk_wholes;

	(void)state;
	c.nodes[2].disk_fails = true;
	request(1, HA_REQ_MOVE, "g1", 2);
	settle();
	c.nodes[2].disk_fails = false;
	pass(3000);
	assert_int_equal(c.nodes[2].disk_wholes, wholes + 1);
	assert_disk_has_it_all(2);
}

/* What does not follow from the state before it is no state: the node counts for nothing until it has got one. */
static void changes_with_a_gap_are_refused(void **state)
{
	struct node *node = &c.nodes[3];
	size_t before, moved;

	(void)state;
	settle();
	before = node->disk_size;
	assert_int_equal(asked(1, HA_REQ_MOVE, "g1", 2), 0);
	moved = node->disk_size;
	finish(1, HA_ACT_RELEASE, "g1", 0);
	assert_true(moved > before && node->disk_size > moved);
	die(3);
	memmove(node->disk + before, node->disk + moved, node->disk_size - moved); /* the order of the move is gone */
	node->disk_size -= moved - before;
	boot(3);
	assert_true(node->core->unreadable);
	assert_int_equal(look(3).version, 0);
}

static void refused_sends_are_repeated(void **state)
{
	(void)state;
	for (uint32_t id = 1; id <= 3; id++)
		c.nodes[id].mute = true;
	request(2, HA_REQ_MOVE, "g1", 2);
	VIEW(1, 2, 3);
	pass(1000);
	for (uint32_t id = 1; id <= 3; id++)
		c.nodes[id].mute = false;
	pass(15000);
	assert_int_equal(c.nodes[2].replies, 1);
	assert_int_equal(c.nodes[2].reply_result, 0);
	assert_non_null(task_at(1, HA_ACT_RELEASE, "g1"));
}

/* --- moves --------------------------------------------------------------------------------------------------------------------*/

static void planned_move(void **state)
{
	uint64_t epoch = group_at(1, "g1").epoch;

	(void)state;
	assert_int_equal(asked(3, HA_REQ_MOVE, "g1", 2), 0);
	expect("g1", HA_PHASE_RELEASING, 1);
	assert_null(task_at(2, HA_ACT_ACQUIRE, "g1"));
	assert_int_equal(task_at(1, HA_ACT_RELEASE, "g1")->epoch, epoch);
	finish(1, HA_ACT_RELEASE, "g1", 0);
	expect("g1", HA_PHASE_ACQUIRING, 2);
	assert_int_equal(task_at(2, HA_ACT_ACQUIRE, "g1")->epoch, epoch + 1);
	assert_false(task_at(2, HA_ACT_ACQUIRE, "g1")->yes);
	finish(2, HA_ACT_ACQUIRE, "g1", 0);
	expect("g1", HA_PHASE_OWNED, 2);
	assert_true(has(group_at(1, "g1").current, 1));
	pass(60000);
	assert_int_equal(c.nodes[1].n_tasks, 0);
	assert_int_equal(c.nodes[2].n_tasks, 0);
}

static void failed_acquire_goes_back(void **state)
{
	(void)state;
	assert_int_equal(asked(1, HA_REQ_MOVE, "g1", 2), 0);
	finish(1, HA_ACT_RELEASE, "g1", 0);
	finish(2, HA_ACT_ACQUIRE, "g1", -EIO);
	expect("g1", HA_PHASE_ACQUIRING, 2); /* not before it is closed there */
	finish(2, HA_ACT_STAND_DOWN, "g1", 0);
	expect("g1", HA_PHASE_ACQUIRING, 1);
	assert_true(has(group_at(1, "g1").failed, 2));
	assert_string_equal(group_at(1, "g1").reason, "it went wrong");
	finish(1, HA_ACT_ACQUIRE, "g1", 0);
	expect("g1", HA_PHASE_OWNED, 1);
	assert_false(has(group_at(1, "g1").failed, 2));
}

static void failed_release_goes_back(void **state)
{
	uint64_t epoch = group_at(1, "g1").epoch;

	(void)state;
	assert_int_equal(asked(1, HA_REQ_MOVE, "g1", 2), 0);
	finish(1, HA_ACT_RELEASE, "g1", -EBUSY);
	expect("g1", HA_PHASE_ACQUIRING, 1);
	pass(2000);
	assert_int_equal(task_at(1, HA_ACT_ACQUIRE, "g1")->epoch, epoch + 1);
	finish(1, HA_ACT_ACQUIRE, "g1", 0);
	expect("g1", HA_PHASE_OWNED, 1);
}

static void target_that_got_unfit_is_not_taken(void **state)
{
	(void)state;
	assert_int_equal(asked(1, HA_REQ_MOVE, "g1", 2), 0);
	local(2, HA_LOCAL_READY, "g1", 0, false);
	finish(1, HA_ACT_RELEASE, "g1", 0);
	expect("g1", HA_PHASE_ACQUIRING, 1);
}

static void moves_are_refused_with_a_reason(void **state)
{
	(void)state;
	assert_int_equal(asked(1, HA_REQ_MOVE, "nix", 2), -ENOENT);
	assert_int_equal(asked(1, HA_REQ_MOVE, "g1", 3), -EINVAL);
	assert_int_equal(asked(1, HA_REQ_MOVE, "g1", 1), 0);
	local(2, HA_LOCAL_READY, "g1", 0, false);
	assert_int_equal(asked(1, HA_REQ_MOVE, "g1", 2), -ENOTCONN);
	assert_non_null(strstr(c.nodes[1].reply_text, "group g1: cannot move to n2: "));
	local(2, HA_LOCAL_READY, "g1", 0, true);
	local(1, HA_LOCAL_CURRENT, "g1", 2, false);
	assert_int_equal(asked(1, HA_REQ_MOVE, "g1", 2), -ESTALE);
	assert_non_null(strstr(c.nodes[1].reply_text, "not current"));
	local(1, HA_LOCAL_CURRENT, "g1", 2, true);
	assert_int_equal(asked(2, HA_REQ_MOVE, "g1", 2), 0);
	assert_int_equal(asked(2, HA_REQ_MOVE, "g1", 2), -EBUSY);
	assert_int_equal(asked(3, HA_REQ_MOVE, "g1", 1), -EBUSY);
}

/* Agents say what they know whenever they look. */
static void what_is_known_costs_nothing(void **state)
{
	uint64_t version = look(1).version, n_pumped = c.nodes[1].core->n_pumped;

	(void)state;
	for (int i = 0; i < 3; i++) {
		local(1, HA_LOCAL_SERVING, "g1", 0, true);
		local(1, HA_LOCAL_READY, "g1", 0, true);
		local(1, HA_LOCAL_CURRENT, "g1", 2, true);
	}
	assert_int_equal(c.nodes[1].core->n_pumped, n_pumped + 1); /* of the copy nothing was known */
	assert_int_equal(look(1).version, version);
	local(1, HA_LOCAL_CURRENT, "g1", 2, false);
	assert_false(has(group_at(1, "g1").current, 2));
	local(1, HA_LOCAL_CURRENT, "g1", 2, true);
	assert_true(has(group_at(1, "g1").current, 2));
}

static int maintenance(uint32_t id, uint32_t nodeid, enum ha_maintenance what)
{
	int before = c.nodes[id].replies;

	step(id, &(struct ha_event){ .type = HA_EV_REQUEST, .request = HA_REQ_MAINTENANCE, .nodeid = nodeid, .maintenance = what, .request_id = 9 });
	settle();
	assert_int_equal(c.nodes[id].replies, before + 1);
	return c.nodes[id].reply_result;
}

/* g1 at n1 already; adds g2 and g3 there. */
static void add_groups(uint32_t failback_s, uint8_t losses_max)
{
	struct ha_group_spec groups[] = { g1, g1, g1 };

	strcpy(groups[1].name, "g2");
	strcpy(groups[2].name, "g3");
	for (size_t i = 0; i < 3; i++) {
		groups[i].failback_s = failback_s;
		groups[i].losses_max = losses_max;
	}
	assert_int_equal(set_config(1, 1, groups, 3), 0);
	for (size_t i = 1; i < 3; i++) {
		for (uint32_t id = 1; id <= 3; id++)
			local(id, HA_LOCAL_SERVING, groups[i].name, 0, false);
		for (uint32_t id = 1; id <= 2; id++)
			local(id, HA_LOCAL_READY, groups[i].name, 0, true);
		finish(1, HA_ACT_ACQUIRE, groups[i].name, 0);
		expect(groups[i].name, HA_PHASE_OWNED, 1);
	}
}

static void node_in_maintenance_gives_away_one_group_after_the_other(void **state)
{
	const char *const names[] = { "g1", "g2", "g3" };

	(void)state;
	add_groups(0, 0);
	assert_int_equal(maintenance(3, 1, HA_MAINTENANCE_ON), 0);
	assert_true(node_at(2, 1).maintenance);
	for (size_t i = 0; i < 3; i++) {
		expect(names[i], HA_PHASE_RELEASING, 1);
		for (size_t k = i + 1; k < 3; k++)
			expect(names[k], HA_PHASE_OWNED, 1);
		finish(1, HA_ACT_RELEASE, names[i], 0);
		if (i == 0)
			expect(names[1], HA_PHASE_OWNED, 1); /* not before the other serves */
		finish(2, HA_ACT_ACQUIRE, names[i], 0);
		expect(names[i], HA_PHASE_OWNED, 2);
	}
	/* And then its portals, so that nobody has to prove that it is off when it leaves. */
	assert_int_equal(node_at(3, 1).portal_next, 2);
	local(1, HA_LOCAL_PORTALS_DOWN, NULL, 1, true);
	assert_int_equal(node_at(3, 1).portal_holder, 2);
	assert_int_equal(asked(3, HA_REQ_MOVE, "g2", 1), -EBUSY);
	assert_non_null(strstr(c.nodes[3].reply_text, "lunward node maintenance n1 off"));
	assert_int_equal(maintenance(3, 1, HA_MAINTENANCE_OFF), 0);
	expect("g1", HA_PHASE_OWNED, 2); /* nothing comes back by itself */
	assert_int_equal(asked(3, HA_REQ_MOVE, "g2", 1), 0);
}

/* What cannot leave goes on being served where it is, is not tried for ever, and does not hold up the others. */
static void group_that_cannot_leave_a_node_in_maintenance_stays(void **state)
{
	(void)state;
	add_groups(0, 0);
	assert_int_equal(maintenance(1, 1, HA_MAINTENANCE_ON), 0);
	finish(1, HA_ACT_RELEASE, "g1", 0);
	finish(2, HA_ACT_ACQUIRE, "g1", -EIO);
	finish(2, HA_ACT_STAND_DOWN, "g1", 0);
	expect("g1", HA_PHASE_ACQUIRING, 1);
	finish(1, HA_ACT_ACQUIRE, "g1", 0);
	expect("g1", HA_PHASE_OWNED, 1);
	assert_true(group_at(1, "g1").stays);
	finish(1, HA_ACT_RELEASE, "g2", -EBUSY);
	pass(2000);
	finish(1, HA_ACT_ACQUIRE, "g2", 0);
	expect("g2", HA_PHASE_OWNED, 1);
	finish(1, HA_ACT_RELEASE, "g3", 0);
	finish(2, HA_ACT_ACQUIRE, "g3", 0);
	expect("g3", HA_PHASE_OWNED, 2);
	pass(60000);
	expect("g1", HA_PHASE_OWNED, 1);
	expect("g2", HA_PHASE_OWNED, 1);
	/* Asked for again, it is tried again. */
	assert_int_equal(maintenance(1, 1, HA_MAINTENANCE_OFF), 0);
	assert_int_equal(maintenance(1, 1, HA_MAINTENANCE_ON), 0);
	expect("g1", HA_PHASE_RELEASING, 1);
}

static void node_that_has_given_everything_away_leaves_unfenced(void **state)
{
	(void)state;
	assert_int_equal(maintenance(1, 1, HA_MAINTENANCE_UNTIL_RESTART), 0);
	finish(1, HA_ACT_RELEASE, "g1", 0);
	finish(2, HA_ACT_ACQUIRE, "g1", 0);
	local(1, HA_LOCAL_PORTALS_DOWN, NULL, 1, true);
	die(1);
	VIEW(2, 3);
	pass(60000);
	assert_null(task_at(2, HA_ACT_FENCE, ""));
	expect("g1", HA_PHASE_OWNED, 2);
	boot(1);
	VIEW(1, 2, 3);
	settle();
	local(1, HA_LOCAL_SERVING, "g1", 0, false);
	local(1, HA_LOCAL_READY, "g1", 0, true);
	assert_int_equal(node_at(2, 1).maintenance, HA_MAINTENANCE_OFF);
	assert_int_equal(node_at(2, 1).portal_next, 1);
}

static void node_in_maintenance_takes_nothing_over(void **state)
{
	(void)state;
	assert_int_equal(maintenance(1, 2, HA_MAINTENANCE_ON), 0);
	die(1);
	VIEW(2, 3);
	settle();
	finish(2, HA_ACT_FENCE, "", 0);
	expect("g1", HA_PHASE_ORPHANED, 1);
	assert_int_equal(maintenance(3, 2, HA_MAINTENANCE_OFF), 0);
	expect("g1", HA_PHASE_ACQUIRING, 2);
}

static void goes_back_after_the_delay_if_it_is_to(void **state)
{
	struct ha_group_spec spec = g1;

	(void)state;
	spec.failback_s = 60;
	assert_int_equal(set_config(1, 1, &spec, 1), 0);
	assert_int_equal(asked(1, HA_REQ_MOVE, "g1", 2), 0);
	finish(1, HA_ACT_RELEASE, "g1", 0);
	finish(2, HA_ACT_ACQUIRE, "g1", 0);
	pass(40000);
	local(1, HA_LOCAL_READY, "g1", 0, false); /* the delay begins anew */
	pass(40000);
	local(1, HA_LOCAL_READY, "g1", 0, true);
	pass(59000);
	expect("g1", HA_PHASE_OWNED, 2);
	pass(2000);
	expect("g1", HA_PHASE_RELEASING, 2);
	finish(2, HA_ACT_RELEASE, "g1", 0);
	finish(1, HA_ACT_ACQUIRE, "g1", 0);
	pass(600000);
	expect("g1", HA_PHASE_OWNED, 1);
}

/* n1 and n2 lose the group in turns; what kills them must not go on for ever. */
static void lose_owner(uint32_t owner, uint32_t other)
{
	die(owner);
	VIEW(other, 3);
	settle();
	finish(other, HA_ACT_FENCE, "", 0);
}

static void come_back(uint32_t id, uint32_t other)
{
	boot(id);
	VIEW(1, 2, 3);
	settle();
	local(id, HA_LOCAL_SERVING, "g1", 0, false);
	local(id, HA_LOCAL_READY, "g1", 0, true);
	local(other, HA_LOCAL_CURRENT, "g1", id, false);
	local(other, HA_LOCAL_CURRENT, "g1", id, true);
}

static void group_that_kills_its_owners_stops_moving(void **state)
{
	struct ha_group_spec spec = g1;

	(void)state;
	spec.losses_max = 3;
	assert_int_equal(set_config(1, 1, &spec, 1), 0);
	lose_owner(1, 2);
	finish(2, HA_ACT_ACQUIRE, "g1", 0);
	come_back(1, 2);
	lose_owner(2, 1);
	finish(1, HA_ACT_ACQUIRE, "g1", 0);
	come_back(2, 1);
	lose_owner(1, 2);
	expect("g1", HA_PHASE_FREE, 0);
	assert_true(group_at(2, "g1").held);
	assert_non_null(strstr(group_at(2, "g1").reason, "last 3 owners"));
	assert_int_equal(asked(3, HA_REQ_MOVE, "g1", 2), 0);
	finish(2, HA_ACT_ACQUIRE, "g1", 0);
	expect("g1", HA_PHASE_OWNED, 2);
}

static void losses_are_forgiven_in_time(void **state)
{
	struct ha_group_spec spec = g1;

	(void)state;
	spec.losses_max = 2;
	assert_int_equal(set_config(1, 1, &spec, 1), 0);
	lose_owner(1, 2);
	finish(2, HA_ACT_ACQUIRE, "g1", 0);
	come_back(1, 2);
	pass(601000);
	lose_owner(2, 1);
	expect("g1", HA_PHASE_ACQUIRING, 1);
}

static void released_group_stays_free(void **state)
{
	(void)state;
	assert_int_equal(asked(1, HA_REQ_MOVE, "g1", 0), 0);
	finish(1, HA_ACT_RELEASE, "g1", 0);
	expect("g1", HA_PHASE_FREE, 0);
	pass(60000);
	expect("g1", HA_PHASE_FREE, 0);
	assert_true(group_at(2, "g1").held);
	assert_int_equal(asked(1, HA_REQ_MOVE, "g1", 2), 0);
	finish(2, HA_ACT_ACQUIRE, "g1", 0);
	expect("g1", HA_PHASE_OWNED, 2);
}

/* CPG has delivered a request although it said that it would not: the second one is not obeyed. */
static void request_sent_twice_is_obeyed_once(void **state)
{
	uint8_t *data;
	size_t size;

	(void)state;
	step(3, &(struct ha_event){ .type = HA_EV_REQUEST, .request = HA_REQ_MOVE, .group = "g1", .nodeid = 2 });
	assert_int_equal(c.tail - c.head, 1);
	size = c.bus[c.head % 4096].size;
	data = xmemdup(c.bus[c.head % 4096].data, size);
	settle();
	finish(1, HA_ACT_RELEASE, "g1", 0);
	finish(2, HA_ACT_ACQUIRE, "g1", 0);
	assert_int_equal(asked(1, HA_REQ_MOVE, "g1", 1), 0);
	finish(2, HA_ACT_RELEASE, "g1", 0);
	finish(1, HA_ACT_ACQUIRE, "g1", 0);
	for (uint32_t id = 1; id <= 3; id++)
		step(id, &(struct ha_event){ .type = HA_EV_MESSAGE, .nodeid = 3, .data = data, .size = size });
	settle();
	expect("g1", HA_PHASE_OWNED, 1);
	free(data);
}

/* The same, with the second on its way to be ordered when the first is. */
static void request_ordered_twice_is_obeyed_once(void **state)
{
	(void)state;
	step(3, &(struct ha_event){ .type = HA_EV_REQUEST, .request = HA_REQ_MOVE, .group = "g1", .nodeid = 2 });
	for (int i = 0; i < 2; i++)
		step(1, &(struct ha_event){ .type = HA_EV_MESSAGE, .nodeid = 3, .data = c.bus[c.head % 4096].data,
					    .size = c.bus[c.head % 4096].size });
	settle();
	assert_int_equal(c.nodes[3].replies, 1);
	assert_int_equal(c.nodes[3].reply_result, 0);
}

/* --- loss ---------------------------------------------------------------------------------------------------------------------*/

static void crash_fence_takeover(void **state)
{
	uint64_t epoch = group_at(2, "g1").epoch;

	(void)state;
	die(1);
	VIEW(2, 3);
	settle();
	expect("g1", HA_PHASE_ORPHANED, 1);
	assert_null(task_at(2, HA_ACT_ACQUIRE, "g1"));
	assert_int_equal(task_at(2, HA_ACT_FENCE, "")->nodeid, 1);
	assert_null(task_at(3, HA_ACT_FENCE, ""));
	assert_int_equal(asked(2, HA_REQ_MOVE, "g1", 2), -EHOSTUNREACH);
	finish(2, HA_ACT_FENCE, "", 0);
	expect("g1", HA_PHASE_ACQUIRING, 2);
	assert_int_equal(group_at(2, "g1").epoch, epoch + 1);
	assert_true(task_at(2, HA_ACT_ACQUIRE, "g1")->yes);
	assert_false(has(group_at(2, "g1").current, 1));
	assert_int_equal(node_at(2, 1).portal_holder, 2);
	finish(2, HA_ACT_ACQUIRE, "g1", 0);
	expect("g1", HA_PHASE_OWNED, 2);

	/* n1 is back: it has nothing to serve, is resynchronised and gets its portals back. */
	boot(1);
	VIEW(1, 2, 3);
	settle();
	local(1, HA_LOCAL_SERVING, "g1", 0, false);
	local(1, HA_LOCAL_READY, "g1", 0, true);
	assert_int_equal(node_at(2, 1).portal_next, 1);
	local(1, HA_LOCAL_PORTALS_DOWN, NULL, 1, true); /* not the holder: unheard */
	assert_int_equal(node_at(2, 1).portal_holder, 2);
	local(2, HA_LOCAL_PORTALS_DOWN, NULL, 1, true);
	assert_int_equal(node_at(1, 1).portal_holder, 1);
	assert_int_equal(node_at(1, 1).portal_next, 0);
	local(2, HA_LOCAL_CURRENT, "g1", 1, false);
	local(2, HA_LOCAL_CURRENT, "g1", 1, true);
	assert_true(has(group_at(3, "g1").current, 1));
	expect("g1", HA_PHASE_OWNED, 2);
	assert_int_equal(c.nodes[1].n_tasks, 0);
}

static void failed_fencing_promotes_nobody(void **state)
{
	(void)state;
	die(1);
	VIEW(2, 3);
	settle();
	for (int i = 0; i < 3; i++) {
		finish(2, HA_ACT_FENCE, "", -EIO);
		expect("g1", HA_PHASE_ORPHANED, 1);
		assert_string_equal(node_at(3, 1).reason, "it went wrong");
		pass(9000);
		assert_null(task_at(2, HA_ACT_FENCE, ""));
		pass(1500);
		assert_non_null(task_at(2, HA_ACT_FENCE, ""));
	}
	assert_int_equal(asked(3, HA_REQ_CONFIRM_DOWN, NULL, 1), 0);
	assert_int_equal(node_at(2, 1).evidence, HA_EVIDENCE_OPERATOR);
	expect("g1", HA_PHASE_ACQUIRING, 2);
}

/* After a power cut of all they come back one after the other. */
static void boot_without_the_owner(void)
{
	c.start_wait_ms = 60000;
	for (uint32_t id = 1; id <= 3; id++)
		die(id);
	boot(2);
	boot(3);
	VIEW(2, 3);
}

static void nodes_that_may_be_booting_are_not_fenced(void **state)
{
	(void)state;
	boot_without_the_owner();
	pass(59000);
	assert_true(look(2).active);
	assert_int_equal(node_at(2, 1).state, HA_NODE_DOWN);
	assert_null(task_at(2, HA_ACT_FENCE, ""));
	pass(2000);
	assert_int_equal(task_at(2, HA_ACT_FENCE, "")->nodeid, 1);
}

static void who_was_seen_and_is_lost_is_fenced_at_once(void **state)
{
	(void)state;
	boot_without_the_owner();
	pass(5000);
	boot(1);
	VIEW(1, 2, 3);
	pass(1000);
	assert_null(task_at(1, HA_ACT_FENCE, ""));
	assert_null(task_at(2, HA_ACT_FENCE, ""));
	local(1, HA_LOCAL_SERVING, "g1", 0, true);
	die(1);
	VIEW(2, 3);
	settle();
	assert_int_equal(task_at(2, HA_ACT_FENCE, "")->nodeid, 1);
}

static void running_node_cannot_be_confirmed_down(void **state)
{
	(void)state;
	assert_int_equal(asked(2, HA_REQ_CONFIRM_DOWN, NULL, 1), -EBUSY);
	assert_int_equal(asked(2, HA_REQ_CONFIRM_DOWN, NULL, 77), -ENOENT);
}

static void late_evidence_for_an_earlier_death(void **state)
{
	uint64_t epoch = group_at(2, "g1").epoch;

	(void)state;
	alone(1, false);
	VIEW(2, 3);
	settle();
	assert_non_null(task_at(2, HA_ACT_FENCE, ""));
	finish(1, HA_ACT_STAND_DOWN, "g1", 0);
	VIEW(1, 2, 3); /* n1 is back before the fence agent has answered */
	settle();
	expect("g1", HA_PHASE_ACQUIRING, 1);
	assert_true(group_at(2, "g1").epoch > epoch);
	finish(1, HA_ACT_ACQUIRE, "g1", 0);
	alone(1, false);
	VIEW(2, 3);
	settle();
	expect("g1", HA_PHASE_ORPHANED, 1);
	finish(2, HA_ACT_FENCE, "", 0); /* the first one */
	expect("g1", HA_PHASE_ORPHANED, 1);
	assert_int_equal(node_at(2, 1).evidence, HA_EVIDENCE_NONE);
	pass(100);
	finish(2, HA_ACT_FENCE, "", 0);
	expect("g1", HA_PHASE_ACQUIRING, 2);
}

static void stands_down_without_quorum_and_acquires_again(void **state)
{
	uint64_t epoch = group_at(1, "g1").epoch;

	(void)state;
	step(1, &(struct ha_event){ .type = HA_EV_QUORUM, .yes = false });
	assert_non_null(task_at(1, HA_ACT_STAND_DOWN, "g1"));
	step(1, &(struct ha_event){ .type = HA_EV_QUORUM, .yes = true });
	pass(5000);
	expect("g1", HA_PHASE_OWNED, 1); /* not before it has stopped for sure */
	finish(1, HA_ACT_STAND_DOWN, "g1", -EIO);
	pass(1500);
	finish(1, HA_ACT_STAND_DOWN, "g1", 0);
	expect("g1", HA_PHASE_ACQUIRING, 1);
	assert_int_equal(group_at(1, "g1").epoch, epoch + 1);
	finish(1, HA_ACT_ACQUIRE, "g1", 0);
	expect("g1", HA_PHASE_OWNED, 1);
}

static void does_not_acquire_again_what_another_has(void **state)
{
	(void)state;
	alone(1, false);
	VIEW(2, 3);
	settle();
	finish(2, HA_ACT_FENCE, "", 0); /* by an operator who errs, say */
	finish(2, HA_ACT_ACQUIRE, "g1", 0);
	finish(1, HA_ACT_STAND_DOWN, "g1", 0);
	VIEW(1, 2, 3);
	settle();
	pass(10000);
	expect("g1", HA_PHASE_OWNED, 2);
	assert_null(task_at(1, HA_ACT_ACQUIRE, "g1"));
}

static void acquire_overtaken_by_loss_of_quorum(void **state)
{
	(void)state;
	assert_int_equal(asked(1, HA_REQ_MOVE, "g1", 2), 0);
	finish(1, HA_ACT_RELEASE, "g1", 0);
	step(2, &(struct ha_event){ .type = HA_EV_QUORUM, .yes = false });
	assert_non_null(task_at(2, HA_ACT_STAND_DOWN, "g1"));
	finish(2, HA_ACT_ACQUIRE, "g1", 0);
	step(2, &(struct ha_event){ .type = HA_EV_QUORUM, .yes = true });
	pass(3000);
	expect("g1", HA_PHASE_ACQUIRING, 2); /* the success was none: it is being closed */
	finish(2, HA_ACT_STAND_DOWN, "g1", 0);
	expect("g1", HA_PHASE_ACQUIRING, 2);
	finish(2, HA_ACT_ACQUIRE, "g1", 0);
	expect("g1", HA_PHASE_OWNED, 2);
}

static void restarted_agent_disturbs_nothing(void **state)
{
	uint64_t epoch = group_at(1, "g1").epoch;

	(void)state;
	die(1);
	boot(1);
	local(1, HA_LOCAL_SERVING, "g1", 0, true);
	view((const uint32_t[]){ 2, 3 }, 2, 1);
	settle();
	expect("g1", HA_PHASE_OWNED, 1);
	assert_int_equal(node_at(2, 1).state, HA_NODE_AWAY);
	VIEW(1, 2, 3);
	pass(60000);
	expect("g1", HA_PHASE_OWNED, 1);
	assert_int_equal(group_at(1, "g1").epoch, epoch);
	assert_int_equal(c.nodes[1].n_tasks, 0);
	assert_int_equal(c.nodes[2].n_tasks, 0);
}

static void restarted_owner_that_serves_nothing_begins_anew(void **state)
{
	uint64_t epoch = group_at(1, "g1").epoch;

	(void)state;
	die(1);
	boot(1);
	VIEW(1, 2, 3);
	settle();
	expect("g1", HA_PHASE_OWNED, 1); /* nothing is assumed until it is said */
	local(1, HA_LOCAL_SERVING, "g1", 0, false);
	expect("g1", HA_PHASE_ACQUIRING, 1);
	assert_int_equal(group_at(1, "g1").epoch, epoch + 1);
	finish(1, HA_ACT_ACQUIRE, "g1", -EIO);
	finish(1, HA_ACT_STAND_DOWN, "g1", 0);
	expect("g1", HA_PHASE_ACQUIRING, 2);
}

static void stray_server_is_stopped(void **state)
{
	(void)state;
	local(2, HA_LOCAL_SERVING, "g1", 0, true);
	assert_non_null(task_at(2, HA_ACT_STAND_DOWN, "g1"));
	finish(2, HA_ACT_STAND_DOWN, "g1", 0);
	expect("g1", HA_PHASE_OWNED, 1);
	local(3, HA_LOCAL_SERVING, "gone", 0, true);
	assert_non_null(task_at(3, HA_ACT_STAND_DOWN, "gone"));
}

static void silent_owner_that_owes_is_given_up(void **state)
{
	(void)state;
	assert_int_equal(asked(3, HA_REQ_MOVE, "g1", 2), 0);
	die(1); /* its agent; Corosync runs on */
	view((const uint32_t[]){ 2, 3 }, 2, 1);
	settle();
	expect("g1", HA_PHASE_RELEASING, 1);
	pass(29000);
	assert_int_equal(node_at(2, 1).state, HA_NODE_AWAY);
	pass(2000);
	assert_int_equal(node_at(2, 1).state, HA_NODE_DOWN);
	expect("g1", HA_PHASE_ORPHANED, 1);
	finish(2, HA_ACT_FENCE, "", 0);
	expect("g1", HA_PHASE_ACQUIRING, 2);
}

/* Its agent is stopped (SIGSTOP): CPG keeps it in the group. It must be fenced all the same. */
static void stopped_owner_is_fenced(void **state)
{
	(void)state;
	assert_int_equal(asked(3, HA_REQ_MOVE, "g1", 2), 0);
	c.nodes[1].mute = true;
	pass(50000);
	assert_int_equal(node_at(2, 1).state, HA_NODE_AWAY);
	assert_int_equal(group_at(2, "g1").phase, HA_PHASE_RELEASING);
	pass(30000);
	assert_int_equal(node_at(2, 1).state, HA_NODE_DOWN);
	assert_int_equal(group_at(2, "g1").phase, HA_PHASE_ORPHANED);
	finish(2, HA_ACT_FENCE, "", 0);
	die(1);
	VIEW(2, 3);
	settle();
	expect("g1", HA_PHASE_ACQUIRING, 2);
}

static void fenced_owner_without_taker_lets_go_first(void **state)
{
	(void)state;
	local(2, HA_LOCAL_READY, "g1", 0, false);
	die(1);
	VIEW(2, 3);
	settle();
	finish(2, HA_ACT_FENCE, "", 0);
	expect("g1", HA_PHASE_ORPHANED, 1);
	boot(1);
	VIEW(1, 2, 3);
	settle();
	expect("g1", HA_PHASE_RELEASING, 1);
	local(1, HA_LOCAL_SERVING, "g1", 0, false);
	finish(1, HA_ACT_RELEASE, "g1", 0);
	expect("g1", HA_PHASE_FREE, 0);
	local(1, HA_LOCAL_READY, "g1", 0, true);
	finish(1, HA_ACT_ACQUIRE, "g1", 0);
	expect("g1", HA_PHASE_OWNED, 1);
}

/* --- copies -----------------------------------------------------------------------------------------------------------------*/

static void drbd_question(void **state)
{
	(void)state;
	assert_int_equal(asked(1, HA_REQ_OUTDATE, "g1", 2), 0);
	assert_false(has(group_at(3, "g1").current, 2));
	assert_int_equal(asked(1, HA_REQ_OUTDATE, "g1", 2), 0);
	assert_int_equal(asked(2, HA_REQ_OUTDATE, "g1", 1), -EPERM);

	/* The owner dies: the other copy misses writes and never serves. */
	die(1);
	VIEW(2, 3);
	settle();
	finish(2, HA_ACT_FENCE, "", 0);
	pass(60000);
	expect("g1", HA_PHASE_ORPHANED, 1);
	assert_int_equal(asked(2, HA_REQ_MOVE, "g1", 2), -ESTALE);
}

static void old_yes_does_not_count_after_the_question(void **state)
{
	(void)state;
	local(1, HA_LOCAL_CURRENT, "g1", 2, true);
	assert_int_equal(asked(1, HA_REQ_OUTDATE, "g1", 2), 0);
	local(1, HA_LOCAL_CURRENT, "g1", 2, true);
	assert_false(has(group_at(3, "g1").current, 2));
	local(1, HA_LOCAL_CURRENT, "g1", 2, false);
	local(1, HA_LOCAL_CURRENT, "g1", 2, true);
	assert_true(has(group_at(3, "g1").current, 2));
}

/* The yes is on its way when DRBD asks: the answer must come after it. */
static void question_behind_a_yes_on_its_way(void **state)
{
	(void)state;
	local(1, HA_LOCAL_CURRENT, "g1", 2, false);
	assert_false(has(group_at(1, "g1").current, 2));
	step(1, &(struct ha_event){ .type = HA_EV_LOCAL, .local = HA_LOCAL_CURRENT, .group = "g1", .nodeid = 2, .yes = true });
	step(1, &(struct ha_event){ .type = HA_EV_REQUEST, .request = HA_REQ_OUTDATE, .group = "g1", .nodeid = 2 });
	assert_int_equal(c.nodes[1].replies, 1);
	settle();
	assert_int_equal(c.nodes[1].replies, 2);
	assert_int_equal(c.nodes[1].reply_result, 0);
	assert_false(has(group_at(3, "g1").current, 2));
}

static void question_waits_through_a_view_change(void **state)
{
	(void)state;
	c.nodes[1].mute = true;
	request(1, HA_REQ_OUTDATE, "g1", 2);
	die(2);
	c.nodes[1].mute = false;
	VIEW(1, 3);
	settle();
	assert_int_equal(c.nodes[1].replies, 2);
	assert_int_equal(c.nodes[1].reply_result, 0);
}

static void question_without_quorum_is_refused(void **state)
{
	(void)state;
	c.nodes[1].mute = true;
	request(1, HA_REQ_OUTDATE, "g1", 2);
	assert_int_equal(c.nodes[1].replies, 1);
	alone(1, false);
	assert_int_equal(c.nodes[1].replies, 2);
	assert_int_equal(c.nodes[1].reply_result, -ENOTCONN);
}

static void last_current_copy_stays(void **state)
{
	(void)state;
	assert_int_equal(asked(1, HA_REQ_OUTDATE, "g1", 2), 0);
	local(1, HA_LOCAL_CURRENT, "g1", 1, false);
	assert_true(has(group_at(2, "g1").current, 1));
}

/* The owner's own disk fails, the peer's does not: what is written now the owner's copy lacks. */
static void owner_without_a_disk_lets_go_when_it_is_back(void **state)
{
	(void)state;
	local(1, HA_LOCAL_CURRENT, "g1", 1, false);
	assert_false(has(group_at(2, "g1").current, 1));
	alone(1, false);
	VIEW(2, 3);
	settle();
	finish(1, HA_ACT_STAND_DOWN, "g1", 0);
	VIEW(1, 2, 3);
	settle();
	expect("g1", HA_PHASE_RELEASING, 1);
	finish(1, HA_ACT_RELEASE, "g1", -EIO);
	expect("g1", HA_PHASE_RELEASING, 1);
	pass(3000);
	finish(1, HA_ACT_RELEASE, "g1", 0);
	local(2, HA_LOCAL_READY, "g1", 0, true);
	expect("g1", HA_PHASE_ACQUIRING, 2);
}

/* The other has what is written now. */
static void owner_whose_disk_has_failed_gives_the_group_away(void **state)
{
	(void)state;
	local(1, HA_LOCAL_READY, "g1", 0, false);
	expect("g1", HA_PHASE_OWNED, 1); /* it may not be ready for other reasons */
	local(1, HA_LOCAL_CURRENT, "g1", 1, false);
	expect("g1", HA_PHASE_RELEASING, 1);
	assert_int_equal(group_at(1, "g1").to, 2);
	finish(1, HA_ACT_RELEASE, "g1", 0);
	finish(2, HA_ACT_ACQUIRE, "g1", 0);
	expect("g1", HA_PHASE_OWNED, 2);
	assert_int_equal(asked(3, HA_REQ_MOVE, "g1", 1), -ESTALE);
	local(2, HA_LOCAL_CURRENT, "g1", 1, false);
	local(2, HA_LOCAL_CURRENT, "g1", 1, true); /* resynchronised */
	local(1, HA_LOCAL_READY, "g1", 0, true);
	expect("g1", HA_PHASE_OWNED, 2);
	assert_int_equal(asked(3, HA_REQ_MOVE, "g1", 1), 0);
}

/* Who could take it is not there: it is served as long as it goes, and the copy counts again once it has been resynchronised. */
static void owner_whose_disk_has_failed_may_have_nowhere_to_go(void **state)
{
	(void)state;
	local(2, HA_LOCAL_READY, "g1", 0, false);
	local(1, HA_LOCAL_CURRENT, "g1", 1, true);
	local(1, HA_LOCAL_CURRENT, "g1", 1, false);
	assert_false(has(group_at(3, "g1").current, 1));
	pass(60000);
	expect("g1", HA_PHASE_OWNED, 1);
	assert_int_equal(asked(1, HA_REQ_OUTDATE, "g1", 2), -EPERM); /* it must not go on without the only copy */
	local(2, HA_LOCAL_CURRENT, "g1", 1, true);
	assert_false(has(group_at(3, "g1").current, 1)); /* not for another to say while it writes */
	local(1, HA_LOCAL_CURRENT, "g1", 1, true);
	assert_true(has(group_at(3, "g1").current, 1));
	local(2, HA_LOCAL_READY, "g1", 0, true);
	expect("g1", HA_PHASE_OWNED, 1);
}

/* --- documents --------------------------------------------------------------------------------------------------------------*/

static void document_replaces_document(void **state)
{
	struct ha_group_spec specs[2] = { { .name = "g2", .nodes = { 2, 3 } }, g1 };

	(void)state;
	assert_int_equal(set_config(2, 0, specs, 2), -ESTALE);
	assert_int_equal(set_config(2, 1, specs, 2), 0);
	assert_int_equal(look(3).n_groups, 2);
	assert_int_equal(look(3).config_version, 2);
	assert_true(look(3).config_settled);
	assert_int_equal(group_at(1, "g2").phase, HA_PHASE_FREE);
	local(3, HA_LOCAL_SERVING, "g2", 0, false);
	local(3, HA_LOCAL_READY, "g2", 0, true);
	finish(3, HA_ACT_ACQUIRE, "g2", 0);
	expect("g2", HA_PHASE_OWNED, 3);
	expect("g1", HA_PHASE_OWNED, 1);
}

static void document_must_not_pull_the_ground_away(void **state)
{
	struct ha_group_spec spec = { .name = "g1", .nodes = { 2, 3 } };

	(void)state;
	assert_int_equal(set_config(1, 1, NULL, 0), -EBUSY);
	assert_int_equal(set_config(1, 1, &spec, 1), -EBUSY);
	spec.nodes[0] = 1;
	spec.nodes[1] = 9;
	assert_int_equal(set_config(1, 1, &spec, 1), -EINVAL);
	spec.nodes[1] = 3;
	assert_int_equal(set_config(1, 1, &spec, 1), 0);
	assert_false(has(group_at(1, "g1").current, 2));
	assert_false(has(group_at(1, "g1").current, 3));
	expect("g1", HA_PHASE_OWNED, 1);
}

static void name_that_comes_back_has_new_epochs(void **state)
{
	uint64_t epoch = group_at(1, "g1").epoch;

	(void)state;
	assert_int_equal(asked(1, HA_REQ_MOVE, "g1", 0), 0);
	finish(1, HA_ACT_RELEASE, "g1", 0);
	assert_int_equal(set_config(1, 1, NULL, 0), 0);
	assert_int_equal(set_config(1, 2, &g1, 1), 0);
	assert_int_equal(group_at(1, "g1").epoch, epoch);
	assert_int_equal(group_at(1, "g1").phase, HA_PHASE_FREE); /* nobody has said READY again */
	local(1, HA_LOCAL_READY, "g1", 0, true);
	assert_int_equal(group_at(1, "g1").epoch, epoch + 1);
}

static void too_large_document_is_refused(void **state)
{
	char *big = xcalloc(1, HA_CONFIG_SIZE_MAX + 1);

	(void)state;
	step(1, &(struct ha_event){ .type = HA_EV_REQUEST, .request = HA_REQ_CONFIG, .data = big,
				    .size = HA_CONFIG_SIZE_MAX + 1, .base_version = 1 });
	assert_int_equal(c.nodes[1].reply_result, -E2BIG);
	step(1, &(struct ha_event){ .type = HA_EV_REQUEST, .request = HA_REQ_CONFIG, .data = big,
				    .size = HA_CONFIG_SIZE_MAX, .groups = &g1, .n_groups = 1, .base_version = 1 });
	settle();
	assert_int_equal(c.nodes[1].reply_result, 0);
	/* It also travels as a snapshot. */
	die(3);
	free(c.nodes[3].disk);
	c.nodes[3].disk = NULL;
	c.nodes[3].disk_size = 0;
	boot(3);
	VIEW(1, 2, 3);
	pass(5000);
	assert_int_equal(look(3).config_size, HA_CONFIG_SIZE_MAX);
	assert_true(look(3).active);
	free(big);
}

/* --- records --------------------------------------------------------------------------------------------------------------------*/

static int set_record(uint32_t id, const char *text, uint64_t base)
{
	int before = c.nodes[id].replies;

	step(id, &(struct ha_event){ .type = HA_EV_REQUEST, .request = HA_REQ_RECORD, .group = "g1", .text = "key", .data = text,
				     .size = strlen(text), .base_version = base, .request_id = 8 });
	settle();
	assert_int_equal(c.nodes[id].replies, before + 1);
	return c.nodes[id].reply_result;
}

static void require_record(uint32_t id, const char *text)
{
	struct ha_record_view record;

	assert_int_equal(ha_core_record(c.nodes[id].core, "g1", "key", &record), 0);
	assert_true(record.settled);
	assert_int_equal(record.size, strlen(text));
	assert_memory_equal(record.data, text, record.size);
}

static void a_record_is_changed_by_who_knows_it(void **state)
{
	struct ha_record_view record;
	uint64_t base = look(1).committed;

	(void)state;
	assert_int_equal(ha_core_record(c.nodes[1].core, "g1", "key", &record), -ENOENT);
	assert_int_equal(set_record(1, "one", base), 0);
	require_record(2, "one");
	require_record(3, "one");
	assert_int_equal(set_record(2, "lost", base), -ESTALE); /* decided before the first */
	require_record(2, "one");
	assert_int_equal(set_record(2, "two", look(2).committed), 0); /* another copy may */
	require_record(1, "two");
	assert_int_equal(set_record(2, "two", look(2).committed), 0); /* again: nothing to do */
	assert_int_equal(set_record(3, "three", look(3).committed), -EPERM);
	assert_int_equal(set_record(1, "later", look(1).committed + 1), -ESTALE);
	require_record(3, "two");
	assert_int_equal(set_record(1, "", look(1).committed), 0);
	assert_int_equal(ha_core_record(c.nodes[2].core, "g1", "key", &record), -ENOENT);
}

/* What was decided as the owner counts only while the sender is. */
static void a_record_is_not_changed_across_a_move(void **state)
{
	uint64_t base = look(1).committed;

	(void)state;
	assert_int_equal(set_record(1, "mine", base), 0);
	base = look(1).committed;
	assert_int_equal(asked(3, HA_REQ_MOVE, "g1", 2), 0);
	finish(1, HA_ACT_RELEASE, "g1", 0);
	finish(2, HA_ACT_ACQUIRE, "g1", 0);
	assert_int_equal(set_record(1, "still mine", base), -ESTALE);
	require_record(2, "mine");
}

static void a_record_survives_all_nodes(void **state)
{
	(void)state;
	assert_int_equal(set_record(1, "kept", look(1).committed), 0);
	for (uint32_t id = 1; id <= 3; id++)
		die(id);
	for (uint32_t id = 1; id <= 3; id++)
		boot(id);
	VIEW(1, 2, 3);
	pass(5000);
	for (uint32_t id = 1; id <= 3; id++)
		require_record(id, "kept");
}

static void records_have_bounds(void **state)
{
	static const char *const keys[] = { "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k" };
	char *big = xcalloc(1, HA_RECORD_SIZE_MAX + 1);
	int result = 0;
	size_t n = 0;

	(void)state;
	step(1, &(struct ha_event){ .type = HA_EV_REQUEST, .request = HA_REQ_RECORD, .group = "g1", .text = "key", .data = big,
				    .size = HA_RECORD_SIZE_MAX + 1 });
	assert_int_equal(c.nodes[1].reply_result, -E2BIG);
	while (result == 0) {
		assert_true(n < ARRAY_SIZE(keys));
		step(1, &(struct ha_event){ .type = HA_EV_REQUEST, .request = HA_REQ_RECORD, .group = "g1", .text = keys[n++], .data = big,
					    .size = HA_RECORD_SIZE_MAX, .base_version = look(1).committed });
		settle();
		result = c.nodes[1].reply_result;
	}
	assert_int_equal(result, -ENOSPC);
	assert_int_equal(n - 1, HA_RECORDS_SIZE_MAX / HA_RECORD_SIZE_MAX);
	assert_true(look(2).active);
	free(big);
}

static void records_go_with_their_group(void **state)
{
	static const struct ha_group_spec other = { .name = "g2", .nodes = { 1, 2 } };
	struct ha_record_view record;

	(void)state;
	assert_int_equal(set_record(1, "gone", look(1).committed), 0);
	assert_int_equal(asked(1, HA_REQ_MOVE, "g1", 0), 0);
	finish(1, HA_ACT_RELEASE, "g1", 0);
	require_record(2, "gone");
	assert_int_equal(set_config(1, look(1).config_version, &other, 1), 0);
	assert_int_equal(ha_core_record(c.nodes[2].core, "g1", "key", &record), -ENOENT);
}

/* --- notes ----------------------------------------------------------------------------------------------------------------------*/

static void each_transition_is_told_once(void **state)
{
	static const char *const told[] = { "g1@1 n1 is to release it for n2", "g1@1 is free", "g1@2 n2 is to acquire it",
					    "g1@2 n2 serves it" };

	(void)state;
	for (uint32_t id = 1; id <= 3; id++)
		c.nodes[id].n_notes = 0;
	assert_int_equal(asked(1, HA_REQ_MOVE, "g1", 2), 0);
	finish(1, HA_ACT_RELEASE, "g1", 0);
	finish(2, HA_ACT_ACQUIRE, "g1", 0);
	VIEW(1, 2, 3);
	pass(5000);
	for (uint32_t id = 1; id <= 3; id++) {
		assert_int_equal(c.nodes[id].n_notes, 4);
		for (size_t i = 0; i < 4; i++)
			assert_string_equal(c.nodes[id].notes[i], told[i]);
	}
}

/* --- the watchdog's lease ------------------------------------------------------------------------------------------------------*/

#define DOG_MS 10000
#define LEASE_MS 2000

static void say_watchdog(uint32_t id, int64_t timeout_ms, bool armed)
{
	step(id, &(struct ha_event){ .type = HA_EV_WATCHDOG, .version = (uint64_t)timeout_ms, .yes = armed });
	settle();
}

/* n1 has a watchdog, has a lease, has armed it. */
static int with_watchdog(void **state)
{
	(void)with_owned_group(state);
	say_watchdog(1, DOG_MS, false);
	pass(100);
	assert_true(c.nodes[1].leased_until_ms > c.now_ms);
	assert_int_equal(node_at(2, 1).watchdog_ms, 0);
	say_watchdog(1, DOG_MS, true);
	pass(100);
	for (uint32_t id = 1; id <= 3; id++)
		assert_int_equal(node_at(id, 1).watchdog_ms, ha_watchdog_bound_ms(LEASE_MS, DOG_MS));
	assert_true(look(1).guarded);
	return 0;
}

static void bound_is_the_lease_and_two_timeouts(void **state)
{
	(void)state;
	assert_int_equal(ha_watchdog_bound_ms(2000, 10000), 23000 + 46);
	assert_int_equal(ha_watchdog_bound_ms(0, 1000), 3000 + 6);
}

static void without_watchdogs_nobody_speaks_of_leases(void **state)
{
	(void)state;
	pass(20000);
	for (uint32_t id = 1; id <= 3; id++)
		assert_int_equal(c.nodes[id].n_lease_sends, 0);
	assert_true(look(1).guarded);
	assert_int_equal(c.nodes[1].leased_until_ms, 0);
}

static void lease_goes_on_and_then_all_is_quiet(void **state)
{
	size_t sent;

	(void)state;
	for (int i = 0; i < 20; i++) {
		pass(1000);
		assert_true(c.nodes[1].leased_until_ms > c.now_ms);
		assert_true(c.nodes[1].leased_until_ms <= c.now_ms + LEASE_MS);
	}
	assert_in_range(c.nodes[1].n_lease_sends, 18, 25);
	assert_in_range(c.nodes[2].n_lease_sends, 18, 25);
	say_watchdog(1, 0, false);
	pass(1000);
	assert_int_equal(node_at(2, 1).watchdog_ms, 0);
	sent = c.nodes[1].n_lease_sends + c.nodes[2].n_lease_sends;
	pass(10000);
	assert_in_range(c.nodes[1].n_lease_sends + c.nodes[2].n_lease_sends, sent, sent + 2);
}

static void node_that_is_cut_off_has_no_lease(void **state)
{
	int64_t cut_ms;

	(void)state;
	pass(700);
	cut_ms = c.now_ms;
	VIEW(2, 3); /* n1 hears of nothing: Corosync there is stopped */
	pass(5000);
	assert_non_null(task_at(2, HA_ACT_FENCE, ""));
	assert_true(c.nodes[1].leased_until_ms <= cut_ms + LEASE_MS);
}

static void no_lease_without_quorum(void **state)
{
	int64_t until_ms;

	(void)state;
	step(1, &(struct ha_event){ .type = HA_EV_QUORUM, .yes = false });
	until_ms = c.nodes[1].leased_until_ms;
	pass(3000);
	assert_int_equal(c.nodes[1].leased_until_ms, until_ms);
	step(1, &(struct ha_event){ .type = HA_EV_QUORUM, .yes = true });
	pass(1500);
	assert_true(c.nodes[1].leased_until_ms > c.now_ms);
}

static void stamp_that_comes_back_late_gives_no_lease(void **state)
{
	struct ha_msg msg = { .type = HA_MSG_LEASE, .term = look(2).term };
	struct bytes_out bytes = { .data = NULL };
	int64_t until_ms;

	(void)state;
	c.nodes[2].mute = c.nodes[3].mute = true;
	pass(5000);
	until_ms = c.nodes[1].leased_until_ms;
	msg.lease = (struct ha_lease){ .echoes = { { 1, c.now_ms - LEASE_MS - 1 } }, .n_echoes = 1 };
	ha_msg_encode(&msg, &bytes);
	step(1, &(struct ha_event){ .type = HA_EV_MESSAGE, .nodeid = 2, .data = bytes.data, .size = bytes.size });
	assert_int_equal(c.nodes[1].leased_until_ms, until_ms);
	bytes_out_done(&bytes);
	msg.lease.echoes[0].stamp_ms++;
	ha_msg_encode(&msg, &bytes);
	step(1, &(struct ha_event){ .type = HA_EV_MESSAGE, .nodeid = 2, .data = bytes.data, .size = bytes.size });
	assert_int_equal(c.nodes[1].leased_until_ms, c.now_ms);
	bytes_out_done(&bytes);
}

/* What it says does not come of something else that goes on with the group. */
static void copy_is_ready_when_the_watchdog_is_armed(void **state)
{
	(void)state;
	say_watchdog(2, DOG_MS, true);
	pass(1000);
	assert_true(node_at(1, 2).watchdog_ms > 0);
	die(2);
	VIEW(1, 3);
	settle();
	boot(2);
	VIEW(1, 2, 3);
	settle();
	say_watchdog(2, DOG_MS, false);
	local(2, HA_LOCAL_SERVING, "g1", 0, false);
	local(2, HA_LOCAL_READY, "g1", 0, true);
	pass(3000);
	assert_false(has(group_at(1, "g1").ready, 2));
	say_watchdog(2, DOG_MS, true);
	pass(3000);
	assert_true(has(group_at(1, "g1").ready, 2));
}

/* Its heartbeats come through, as those of a node that hears all and is heard by nobody whose round it is in. */
static void node_that_was_left_out_has_no_lease(void **state)
{
	struct bytes_out bytes = { .data = NULL };
	struct ha_msg msg = { .type = HA_MSG_LEASE };
	int64_t until_ms = c.nodes[1].leased_until_ms;

	(void)state;
	pass(700);
	until_ms = c.nodes[1].leased_until_ms;
	msg.term = look(1).term;
	VIEW(2, 3);
	settle();
	msg.lease = (struct ha_lease){ .stamp_ms = 0, .echoes = { { 1, c.now_ms } }, .n_echoes = 1 };
	msg.term = look(2).term;
	ha_msg_encode(&msg, &bytes);
	step(1, &(struct ha_event){ .type = HA_EV_MESSAGE, .nodeid = 2, .data = bytes.data, .size = bytes.size });
	assert_int_equal(c.nodes[1].leased_until_ms, until_ms);
	bytes_out_done(&bytes);
	/* And a stamp of the round before is not sent back. */
	msg.lease = (struct ha_lease){ .stamp_ms = c.now_ms };
	msg.term = look(2).term - 1;
	ha_msg_encode(&msg, &bytes);
	step(2, &(struct ha_event){ .type = HA_EV_MESSAGE, .nodeid = 3, .data = bytes.data, .size = bytes.size });
	assert_int_equal(c.nodes[2].core->round.n_peers, 0);
	bytes_out_done(&bytes);
}

static void longer_bound_is_agreed_on_first(void **state)
{
	(void)state;
	c.nodes[2].persist_held = c.nodes[3].persist_held = true; /* nothing is agreed on */
	say_watchdog(1, 2 * DOG_MS, false);
	c.nodes[1].leased_until_ms = 0;
	pass(3000);
	assert_int_equal(node_at(1, 1).watchdog_ms, ha_watchdog_bound_ms(LEASE_MS, 2 * DOG_MS));
	assert_false(node_at(1, 1).settled);
	assert_int_equal(c.nodes[1].leased_until_ms, 0);
	c.nodes[2].persist_held = c.nodes[3].persist_held = false;
	pass(5000);
	assert_int_equal(node_at(2, 1).watchdog_ms, ha_watchdog_bound_ms(LEASE_MS, 2 * DOG_MS));
	assert_true(c.nodes[1].leased_until_ms > c.now_ms);
}

static void shorter_bound_is_agreed_on_last(void **state)
{
	(void)state;
	say_watchdog(1, DOG_MS / 2, false);
	pass(3000);
	assert_int_equal(node_at(2, 1).watchdog_ms, ha_watchdog_bound_ms(LEASE_MS, DOG_MS));
	assert_true(c.nodes[1].leased_until_ms > c.now_ms);
	say_watchdog(1, DOG_MS / 2, true);
	pass(3000);
	assert_int_equal(node_at(2, 1).watchdog_ms, ha_watchdog_bound_ms(LEASE_MS, DOG_MS / 2));
}

static void nothing_is_agreed_on_that_a_member_cannot_read(void **state)
{
	(void)state;
	c.nodes[3].old = true;
	say_watchdog(1, DOG_MS, true);
	pass(5000);
	assert_true(c.nodes[1].leased_until_ms > c.now_ms); /* n2 suffices for that */
	assert_int_equal(node_at(2, 1).watchdog_ms, 0);
	c.nodes[3].old = false;
	pass(3000);
	assert_true(node_at(2, 1).watchdog_ms > 0);
}

/* n1's agent is back, serves nothing, and the others still count on its watchdog. */
static void restart_unarmed(void)
{
	die(1);
	boot(1);
	VIEW(1, 2, 3);
	settle();
	say_watchdog(1, DOG_MS, false);
	local(1, HA_LOCAL_READY, "g1", 0, true);
	local(1, HA_LOCAL_SERVING, "g1", 0, false);
	expect("g1", HA_PHASE_ACQUIRING, 1);
	assert_false(look(1).guarded);
}

static void nothing_is_acquired_before_the_watchdog_is_armed(void **state)
{
	(void)state;
	restart_unarmed();
	pass(5000);
	assert_null(task_at(1, HA_ACT_ACQUIRE, "g1"));
	assert_false(has(group_at(2, "g1").ready, 1));
	say_watchdog(1, DOG_MS, true);
	pass(1000);
	assert_true(has(group_at(2, "g1").ready, 1));
	finish(1, HA_ACT_ACQUIRE, "g1", 0);
	expect("g1", HA_PHASE_OWNED, 1);
}

static void what_cannot_be_acquired_without_a_watchdog_goes_elsewhere(void **state)
{
	(void)state;
	restart_unarmed();
	pass(16000);
	expect("g1", HA_PHASE_ACQUIRING, 2);
	assert_non_null(strstr(group_at(3, "g1").reason, "watchdog"));
	assert_null(task_at(1, HA_ACT_ACQUIRE, "g1"));
}

static void watchdog_that_is_gone_holds_nothing_up(void **state)
{
	(void)state;
	restart_unarmed();
	say_watchdog(1, 0, false);
	pass(3000);
	assert_int_equal(node_at(2, 1).watchdog_ms, 0);
	finish(1, HA_ACT_ACQUIRE, "g1", 0);
	expect("g1", HA_PHASE_OWNED, 1);
}

static void nobody_speaks_for_another_nodes_watchdog(void **state)
{
	struct ha_command command = { .type = HA_CMD_WATCHDOG, .nodeid = 1, .number = 5 };

	(void)state;
	assert_int_equal(replica_check(&c.nodes[2].core->replica, 2, &command, NULL), -EPERM);
	assert_int_equal(replica_check(&c.nodes[2].core->replica, 1, &command, NULL), 0);
	command.number = 1ull << 32;
	assert_int_equal(replica_check(&c.nodes[2].core->replica, 1, &command, NULL), -EPERM);
}

#define T(name) cmocka_unit_test_setup_teardown(name, with_owned_group, cleanup)
#define TW(name) cmocka_unit_test_setup_teardown(name, with_watchdog, cleanup)
#define T0(name) cmocka_unit_test_setup_teardown(name, NULL, cleanup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T0(first_view_becomes_active),
		T0(minority_stays_passive),
		T(silent_member_is_left_out),
		T(next_begins_if_the_lowest_is_silent),
		T(joiner_takes_the_state),
		T(node_that_forgot_counts_for_nothing),
		T(damaged_disk_counts_for_nothing),
		T(leftover_of_the_minority_is_dropped),
		T(nothing_is_acknowledged_before_it_is_durable),
		T(failing_disk_is_tried_again),
		T(what_was_appended_comes_back),
		T(what_follows_a_failed_write_is_written_whole),
		T(changes_with_a_gap_are_refused),
		T(refused_sends_are_repeated),
		T(planned_move),
		T(failed_acquire_goes_back),
		T(failed_release_goes_back),
		T(target_that_got_unfit_is_not_taken),
		T(what_is_known_costs_nothing),
		T(moves_are_refused_with_a_reason),
		T(node_in_maintenance_gives_away_one_group_after_the_other),
		T(group_that_cannot_leave_a_node_in_maintenance_stays),
		T(node_that_has_given_everything_away_leaves_unfenced),
		T(node_in_maintenance_takes_nothing_over),
		T(goes_back_after_the_delay_if_it_is_to),
		T(group_that_kills_its_owners_stops_moving),
		T(losses_are_forgiven_in_time),
		T(released_group_stays_free),
		T(request_sent_twice_is_obeyed_once),
		T(request_ordered_twice_is_obeyed_once),
		T(crash_fence_takeover),
		T(failed_fencing_promotes_nobody),
		T(nodes_that_may_be_booting_are_not_fenced),
		T(who_was_seen_and_is_lost_is_fenced_at_once),
		T(running_node_cannot_be_confirmed_down),
		T(late_evidence_for_an_earlier_death),
		T(stands_down_without_quorum_and_acquires_again),
		T(does_not_acquire_again_what_another_has),
		T(acquire_overtaken_by_loss_of_quorum),
		T(restarted_agent_disturbs_nothing),
		T(restarted_owner_that_serves_nothing_begins_anew),
		T(stray_server_is_stopped),
		T(silent_owner_that_owes_is_given_up),
		T(stopped_owner_is_fenced),
		T(fenced_owner_without_taker_lets_go_first),
		T(drbd_question),
		T(old_yes_does_not_count_after_the_question),
		T(question_behind_a_yes_on_its_way),
		T(question_waits_through_a_view_change),
		T(question_without_quorum_is_refused),
		T(last_current_copy_stays),
		T(owner_without_a_disk_lets_go_when_it_is_back),
		T(owner_whose_disk_has_failed_gives_the_group_away),
		T(owner_whose_disk_has_failed_may_have_nowhere_to_go),
		T(document_replaces_document),
		T(document_must_not_pull_the_ground_away),
		T(name_that_comes_back_has_new_epochs),
		T(too_large_document_is_refused),
		T(a_record_is_changed_by_who_knows_it),
		T(a_record_is_not_changed_across_a_move),
		T(a_record_survives_all_nodes),
		T(records_have_bounds),
		T(records_go_with_their_group),
		T(each_transition_is_told_once),
		cmocka_unit_test(bound_is_the_lease_and_two_timeouts),
		T(without_watchdogs_nobody_speaks_of_leases),
		TW(lease_goes_on_and_then_all_is_quiet),
		TW(node_that_is_cut_off_has_no_lease),
		TW(no_lease_without_quorum),
		TW(stamp_that_comes_back_late_gives_no_lease),
		T(copy_is_ready_when_the_watchdog_is_armed),
		TW(node_that_was_left_out_has_no_lease),
		TW(longer_bound_is_agreed_on_first),
		TW(shorter_bound_is_agreed_on_last),
		T(nothing_is_agreed_on_that_a_member_cannot_read),
		TW(nothing_is_acquired_before_the_watchdog_is_armed),
		TW(what_cannot_be_acquired_without_a_watchdog_goes_elsewhere),
		TW(watchdog_that_is_gone_holds_nothing_up),
		T(nobody_speaks_for_another_nodes_watchdog),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
