// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The states of a group and what leads from one to the other: printed from the code and compared with docs/states/group.txt.
 * After a change that is meant: ACCEPT=1 build/gcc/tests/unit/test_ha_states, and read the difference.
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

#include "base/file.h"
#include "base/strbuf.h"
#include "base/xalloc.h"
#include "ha/core/replica.h"

#define TABLE "docs/states/group.txt"

static const struct ha_settings settings = {
	.nodeid = 1,
	.electorate = { { 1, "n1" }, { 2, "n2" }, { 3, "n3" } },
	.n_electorate = 3,
};

enum start { FREE, HELD, ACQUIRING, ACQUIRING_FROM_N2, OWNED, RELEASING, RELEASING_HELD, ORPHANED, ORPHANED_PROVEN, STARTS };

static const char *const start_names[STARTS] = {
	[FREE] = "free, nobody ready",
	[HELD] = "free, held",
	[ACQUIRING] = "acquiring n1",
	[ACQUIRING_FROM_N2] = "acquiring n1, moved from n2",
	[OWNED] = "owned n1",
	[RELEASING] = "releasing n1 to n2",
	[RELEASING_HELD] = "releasing n1, to be held",
	[ORPHANED] = "orphaned n1",
	[ORPHANED_PROVEN] = "orphaned n1, proven, n2 not ready",
};

static void install(struct replica *replica, const struct ha_ids *participants, const struct ha_ids *ring)
{
	struct ha_install message = { .participants = *participants, .ring = *ring, .electorate = { { 1, 2, 3 }, 3 } };

	replica_install(replica, replica->state.term + 1, &message);
}

static void begin(struct replica *replica, enum start start)
{
	static const struct ha_group_spec spec = { .name = "g1", .nodes = { 1, 2 } };
	struct ha_ids all = { { 1, 2, 3 }, 3 };
	struct ha_state_group *group;

	memset(replica, 0, sizeof(*replica));
	replica->settings = &settings;
	install(replica, &all, &all);
	replica->state.groups = xcalloc(1, sizeof(*replica->state.groups));
	replica->state.n_groups = 1;
	group = &replica->state.groups[0];
	group->spec = spec;
	group->epoch = 5;
	group->current[0] = 1;
	group->current[1] = 2;
	if (start != FREE && start != ORPHANED_PROVEN) {
		group->ready[0] = 1;
		group->ready[1] = 2;
	}
	group->held = start == HELD || start == RELEASING_HELD;
	group->owner = start == FREE || start == HELD ? 0 : 1;
	group->to = start == RELEASING ? 2 : 0;
	group->from = start == ACQUIRING_FROM_N2 ? 2 : 0;
	group->phase = start == FREE || start == HELD                      ? HA_PHASE_FREE :
		       start == ACQUIRING || start == ACQUIRING_FROM_N2    ? HA_PHASE_ACQUIRING :
		       start == RELEASING || start == RELEASING_HELD       ? HA_PHASE_RELEASING :
		       start == OWNED                                      ? HA_PHASE_OWNED :
									     HA_PHASE_ORPHANED;
	if (start == ORPHANED || start == ORPHANED_PROVEN) {
		struct ha_state_node *node = state_node(&replica->state, 1);

		set_del(group->ready, 1);
		node->state = HA_NODE_DOWN;
		node->down_seq = 1;
		node->evidence = start == ORPHANED ? HA_EVIDENCE_NONE : HA_EVIDENCE_FENCE_AGENT;
	}
	replica_count(replica);
}

#define OF_OLD_EPOCH 77

static int command(struct replica *replica, uint32_t origin, enum ha_command_type type, uint32_t nodeid, int result)
{
	struct ha_command c = { .type = type, .group = "g1", .nodeid = nodeid, .result = result,
				.number = type == HA_CMD_EVIDENCE ? 1 : nodeid == OF_OLD_EPOCH ? 3 : 5, .evidence = HA_EVIDENCE_FENCE_AGENT,
				.yes = type == HA_CMD_READY };

	return replica_apply(replica, origin, &c, NULL);
}

static int owner_goes(struct replica *replica)
{
	install(replica, &(struct ha_ids){ { 2, 3 }, 2 }, &(struct ha_ids){ { 2, 3 }, 2 });
	return 0;
}

static int owner_falls_silent(struct replica *replica)
{
	install(replica, &(struct ha_ids){ { 2, 3 }, 2 }, &(struct ha_ids){ { 1, 2, 3 }, 3 });
	return 0;
}

static int owner_is_back(struct replica *replica)
{
	install(replica, &(struct ha_ids){ { 1, 2, 3 }, 3 }, &(struct ha_ids){ { 1, 2, 3 }, 3 });
	return 0;
}

static int owner_is_back_with_an_old_copy(struct replica *replica)
{
	set_del(replica->state.groups[0].current, 1);
	replica_count(replica);
	return owner_is_back(replica);
}

#define COMMAND(name, ...)                                                                                             \
	static int name(struct replica *replica)                                                                       \
	{                                                                                                              \
		return command(replica, __VA_ARGS__);                                                                  \
	}
COMMAND(move_n1, 3, HA_CMD_MOVE, 1, 0)
COMMAND(move_n2, 3, HA_CMD_MOVE, 2, 0)
COMMAND(release, 3, HA_CMD_MOVE, 0, 0)
COMMAND(acquired, 1, HA_CMD_ACQUIRED, 0, 0)
COMMAND(not_acquired, 1, HA_CMD_ACQUIRED, 0, -EIO)
COMMAND(released, 1, HA_CMD_RELEASED, 0, 0)
COMMAND(not_released, 1, HA_CMD_RELEASED, 0, -EIO)
COMMAND(lost, 1, HA_CMD_LOST, 0, 0)
COMMAND(old_acquired, 1, HA_CMD_ACQUIRED, OF_OLD_EPOCH, 0)
COMMAND(old_released, 1, HA_CMD_RELEASED, OF_OLD_EPOCH, 0)
COMMAND(old_lost, 1, HA_CMD_LOST, OF_OLD_EPOCH, 0)
COMMAND(foreign_released, 2, HA_CMD_RELEASED, 0, 0)
COMMAND(evidence, 2, HA_CMD_EVIDENCE, 1, 0)
COMMAND(ready_n2, 2, HA_CMD_READY, 0, 0)

static const struct {
	const char *name;
	int (*apply)(struct replica *replica);
} events[] = {
	{ "MOVE to n1", move_n1 },
	{ "MOVE to n2", move_n2 },
	{ "MOVE to nobody", release },
	{ "ACQUIRED by n1", acquired },
	{ "ACQUIRED by n1, failed", not_acquired },
	{ "RELEASED by n1", released },
	{ "RELEASED by n1, failed", not_released },
	{ "LOST by n1", lost },
	{ "ACQUIRED by n1, of an old epoch", old_acquired },
	{ "RELEASED by n1, of an old epoch", old_released },
	{ "LOST by n1, of an old epoch", old_lost },
	{ "RELEASED by n2", foreign_released },
	{ "READY by n2", ready_n2 },
	{ "EVIDENCE for n1", evidence },
	{ "n1 leaves the ring", owner_goes },
	{ "n1 falls silent", owner_falls_silent },
	{ "n1 is there", owner_is_back },
	{ "n1 is there, its copy not current", owner_is_back_with_an_old_copy },
};

static void print_group(struct strbuf *out, const struct ha_state_group *group)
{
	strbuf_add(out, ha_phase_name(group->phase));
	if (group->owner)
		strbuf_addf(out, " n%u", group->owner);
	if (group->to)
		strbuf_addf(out, " to n%u", group->to);
	if (group->held)
		strbuf_add(out, group->phase == HA_PHASE_FREE ? ", held" : ", to be held");
	if (group->lost)
		strbuf_add(out, ", takeover");
	if (group->epoch != 5)
		strbuf_addf(out, ", epoch +%llu", (unsigned long long)group->epoch - 5);
}

static void print_row(struct strbuf *out, enum start start, size_t event)
{
	struct strbuf before = { .s = NULL }, after = { .s = NULL };
	struct replica replica;
	int rc;

	begin(&replica, start);
	print_group(&before, &replica.state.groups[0]);
	rc = events[event].apply(&replica);
	print_group(&after, &replica.state.groups[0]);
	strbuf_addf(out, "    %-34s ", events[event].name);
	if (rc < 0)
		strbuf_addf(out, "refused (%s)\n", strerrorname_np(-rc));
	else if (strcmp(strbuf_str(&before), strbuf_str(&after)) == 0)
		strbuf_add(out, "-\n");
	else
		strbuf_addf(out, "%s\n", strbuf_str(&after));
	strbuf_done(&before);
	strbuf_done(&after);
	replica_done(&replica);
}

static void table_is_as_written(void **state)
{
	struct strbuf out = { .s = NULL };
	char *written;
	size_t size;

	(void)state;
	strbuf_add(&out, "States of a group and what becomes of them; g1 has copies on n1 and n2, both current and ready unless said.\n"
			 "Printed by tests/unit/test_ha_states.c, which fails when the code says something else. -: nothing changes.\n");
	for (int start = 0; start < STARTS; start++) {
		strbuf_addf(&out, "\n%s\n", start_names[start]);
		for (size_t event = 0; event < ARRAY_SIZE(events); event++)
			print_row(&out, (enum start)start, event);
	}
	if (getenv("ACCEPT"))
		assert_int_equal(file_replace(TABLE, strbuf_str(&out), out.len, 0644), 0);
	assert_int_equal(file_read(TABLE, 1 << 20, &written, &size), 0);
	assert_string_equal(written, strbuf_str(&out));
	free(written);
	strbuf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(table_is_as_written) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
