// SPDX-License-Identifier: GPL-2.0-or-later
/* When a fault at the own portals counts as one, and when a group leaves for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/daemon/health_rules.h"

#define PORTAL "10.0.0.1:3260"
#define ROUND_MS 10000
#define HOUR_MS HEALTH_BRAKE_MS

struct told {
	char text[512];
};

static void tell(void *ctx, const struct health_view *fault)
{
	struct told *told = ctx;
	size_t n = strlen(told->text);

	snprintf(told->text + n, sizeof(told->text) - n, "%s%s/%s: %s", n ? ", " : "", fault->portal, fault->group, fault->result);
}

#define assert_faults(rules, want)                                                                                     \
	do {                                                                                                           \
		struct told told_ = { "" };                                                                            \
		health_rules_faults(rules, tell, &told_);                                                              \
		assert_string_equal(told_.text, want);                                                                 \
	} while (0)

static void saw(struct health_rules *rules, const char *group, const char *result, uint64_t epoch, int64_t now_ms)
{
	health_rules_saw(rules, &(struct health_view){ PORTAL, "iqn.t", group, epoch, result, "why" }, now_ms);
}

/* A round that sees one group; the portal is good. */
static void look(struct health_rules *rules, const char *result, uint64_t epoch, int64_t now_ms)
{
	health_rules_begin(rules);
	saw(rules, "", "good", 0, now_ms);
	saw(rules, "g1", result, epoch, now_ms);
	health_rules_end(rules);
}

static const struct health_peer peer = { .nodeid = 2, .able = true };

static uint32_t successor(struct health_rules *rules, int64_t now_ms)
{
	return health_rules_successor(rules, "g1", &peer, 1, now_ms);
}

/* In a row, and over time. */
static void a_fault_has_to_last(void **state)
{
	struct health_rules *rules = health_rules_new();
	int64_t now_ms = 5000;

	(void)state;
	for (int i = 0; i < 3; i++, now_ms += ROUND_MS) {
		look(rules, "silent", 1, now_ms);
		assert_faults(rules, "");
	}
	look(rules, "unknown", 1, now_ms); /* says nothing, either way */
	assert_faults(rules, "");
	look(rules, "silent", 1, now_ms);
	assert_faults(rules, PORTAL "/g1: silent");
	look(rules, "unready", 1, now_ms + ROUND_MS); /* another one: it is not well yet */
	assert_faults(rules, PORTAL "/g1: unready");
	look(rules, "good", 1, now_ms + 2 * ROUND_MS);
	assert_faults(rules, "");
	look(rules, "silent", 1, now_ms + 3 * ROUND_MS);
	assert_faults(rules, "");
	health_rules_free(rules);

	rules = health_rules_new(); /* rounds that are far apart: two looks are not enough */
	look(rules, "silent", 1, 0);
	look(rules, "silent", 1, 2 * HEALTH_LASTS_MS);
	assert_faults(rules, "");
	look(rules, "silent", 1, 2 * HEALTH_LASTS_MS + 1);
	assert_faults(rules, PORTAL "/g1: silent");
	health_rules_free(rules);
}

static int64_t fail_for_good(struct health_rules *rules, const char *result, uint64_t epoch, int64_t now_ms)
{
	for (int i = 0; i < 4; i++, now_ms += ROUND_MS)
		look(rules, result, epoch, now_ms);
	return now_ms;
}

/* On the move, or served elsewhere: what was seen before is not about what is there after. */
static void what_is_not_looked_at_begins_anew(void **state)
{
	struct health_rules *rules = health_rules_new();
	int64_t now_ms = fail_for_good(rules, "read", 1, 0);

	(void)state;
	assert_faults(rules, PORTAL "/g1: read");
	health_rules_begin(rules);
	saw(rules, "", "good", 0, now_ms);
	health_rules_end(rules);
	assert_faults(rules, "");
	now_ms = fail_for_good(rules, "read", 1, now_ms);
	look(rules, "read", 2, now_ms);
	assert_faults(rules, "");
	assert_int_equal(successor(rules, now_ms), 0);
	health_rules_free(rules);
}

/* The last session hangs in the kernel with the command that hangs. */
static void a_look_that_has_not_ended_goes_on(void **state)
{
	struct health_rules *rules = health_rules_new();

	(void)state;
	look(rules, "silent", 1, 0);
	for (int64_t now_ms = ROUND_MS; now_ms <= 3 * ROUND_MS; now_ms += ROUND_MS) {
		assert_faults(rules, "");
		health_rules_begin(rules);
		health_rules_still(rules, PORTAL, "iqn.t", now_ms);
		health_rules_still(rules, PORTAL, "iqn.another", now_ms);
		health_rules_end(rules);
	}
	assert_faults(rules, PORTAL "/g1: silent");
	health_rules_free(rules);
}

static void portals_and_the_looking_itself(void **state)
{
	struct health_rules *rules = health_rules_new();

	(void)state;
	for (int i = 0; i < 4; i++) {
		health_rules_begin(rules);
		saw(rules, "", "login", 0, i * ROUND_MS);
		health_rules_saw(rules, &(struct health_view){ "", "", "", 0, "look", "no such program" }, i * ROUND_MS);
		health_rules_end(rules);
	}
	assert_faults(rules, PORTAL "/: login, /: look");
	assert_int_equal(successor(rules, 4 * ROUND_MS), 0);
	health_rules_free(rules);
}

static void a_group_leaves_when_reads_fail(void **state)
{
	static const char *const others[] = { "silent", "unready", "state", "identity" };
	struct health_rules *rules = health_rules_new();
	int64_t now_ms;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		now_ms = fail_for_good(rules, others[i], 1, 0);
		assert_int_equal(successor(rules, now_ms), 0);
		health_rules_free(rules);
		rules = health_rules_new();
	}
	for (now_ms = 0; now_ms < HEALTH_LASTS_MS; now_ms += ROUND_MS) {
		look(rules, "read", 1, now_ms);
		assert_int_equal(successor(rules, now_ms), 0);
	}
	look(rules, "silent", 1, now_ms); /* a fault still, but reads are to fail in a row */
	assert_faults(rules, PORTAL "/g1: silent");
	assert_int_equal(successor(rules, now_ms), 0);
	now_ms = fail_for_good(rules, "read", 1, now_ms + ROUND_MS);
	assert_int_equal(successor(rules, now_ms), 2);
	assert_int_equal(health_rules_successor(rules, "g2", &peer, 1, now_ms), 0);
	health_rules_free(rules);
}

static void to_who_can_have_it(void **state)
{
	const struct health_peer none[] = { { .nodeid = 2 }, { .nodeid = 3, .able = true, .gave = true } },
				 some[] = { { .nodeid = 2 }, { .nodeid = 3, .able = true }, { .nodeid = 4, .able = true } };
	struct health_rules *rules = health_rules_new();
	int64_t now_ms = fail_for_good(rules, "read", 1, 0);

	(void)state;
	assert_int_equal(health_rules_successor(rules, "g1", none, 2, now_ms), 0);
	assert_int_equal(health_rules_successor(rules, "g1", some, 3, now_ms), 3);
	assert_int_equal(health_rules_successor(rules, "g1", NULL, 0, now_ms), 0);
	health_rules_free(rules);
}

/* Once in an hour, whatever happens to the epoch meanwhile. */
static void there_is_a_brake(void **state)
{
	struct health_rules *rules = health_rules_new();
	int64_t now_ms = fail_for_good(rules, "read", 1, 0), gave_ms = now_ms;

	(void)state;
	assert_false(health_rules_gave(rules, "g1", now_ms));
	health_rules_give(rules, "g1", now_ms);
	assert_true(health_rules_gave(rules, "g1", now_ms));
	assert_false(health_rules_gave(rules, "g2", now_ms));
	now_ms = fail_for_good(rules, "read", 3, now_ms);
	assert_int_equal(successor(rules, now_ms), 0);
	assert_int_equal(successor(rules, gave_ms + HOUR_MS - 1), 0);
	assert_int_equal(successor(rules, gave_ms + HOUR_MS), 2);
	health_rules_give(rules, "g1", gave_ms + HOUR_MS);
	assert_int_equal(successor(rules, gave_ms + HOUR_MS + 1), 0);
	health_rules_free(rules);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fault_has_to_last),
		cmocka_unit_test(what_is_not_looked_at_begins_anew),
		cmocka_unit_test(a_look_that_has_not_ended_goes_on),
		cmocka_unit_test(portals_and_the_looking_itself),
		cmocka_unit_test(a_group_leaves_when_reads_fail),
		cmocka_unit_test(to_who_can_have_it),
		cmocka_unit_test(there_is_a_brake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
