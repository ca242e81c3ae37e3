// SPDX-License-Identifier: GPL-2.0-or-later
/* What a drill is judged by, the distribution of many, and the pause that a probe's log shows. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/cli/drill.h"
#include "base/cleanup.h"
#include "base/xalloc.h"
#include "probe/acklog.h"

static json_t *steps_of(const char *text)
{
	json_t *steps = json_loads(text, 0, NULL);

	assert_non_null(steps);
	return steps;
}

#define STEP(name, at) "{\"node\": \"n2\", \"took_ms\": 0, \"step\": \"" name "\", \"at_ms\": " #at "}"

static void test_agent_part(void **state)
{
	json_auto_t *move = steps_of("[" STEP("release", 1000) "," STEP("gate", 1200) "," STEP("ALUA", 1900) "]");
	json_auto_t *crash = steps_of("[" STEP("membership lost", 1000) "," STEP("fencing", 3000) "," STEP("fence evidence", 9000) ","
				      STEP("promote", 9200) "," STEP("ALUA", 9800) "," STEP("portal", 9950) "]");
	json_auto_t *half = steps_of("[" STEP("membership lost", 1000) "," STEP("ALUA", 9800) "]");
	json_auto_t *none = json_array();

	(void)state;
	assert_int_equal(drill_agent_ms(move, false), 900);
	assert_int_equal(drill_agent_ms(crash, true), 800);
	assert_int_equal(drill_agent_ms(half, true), -1);
	assert_int_equal(drill_agent_ms(none, false), -1);
	assert_int_equal(drill_agent_ms(NULL, false), -1);
}

static bool is_promised(struct drill d)
{
	_cleanup_free_ char *complaint = drill_complaint(&d);

	return !complaint;
}

static void test_promises(void **state)
{
	struct drill move = { .agent_ms = 100, .pause_ms = -1 }, crash = { .crash = true, .agent_ms = 100, .pause_ms = 60000 }, d;

	(void)state;
	assert_true(is_promised(move));
	/* The probe knows better than the agents. */
	d = move, d.pause_ms = DRILL_MOVE_LIMIT_MS;
	assert_true(is_promised(d));
	d.pause_ms++;
	assert_false(is_promised(d));
	d = move, d.agent_ms = DRILL_MOVE_LIMIT_MS + 1;
	assert_false(is_promised(d));
	d.pause_ms = 5;
	assert_true(is_promised(d));
	d.failed = 1;
	assert_false(is_promised(d));
	d = move, d.agent_ms = -1;
	assert_false(is_promised(d));
	d = move, d.error = "n2 could not";
	assert_false(is_promised(d));
	/* Of a crash the agent's part counts, however long the site's token and fencing are. */
	assert_true(is_promised(crash));
	d = crash, d.agent_ms = DRILL_CRASH_LIMIT_MS + 1;
	assert_false(is_promised(d));
}

static void add_drill(struct strbuf *history, const char *group, bool crash, int64_t ms, const char *error)
{
	struct drill d = { .group = group, .from = "n1", .to = "n2", .crash = crash, .at_ms = 1000, .agent_ms = ms, .pause_ms = -1, .error = error };
	json_auto_t *json = drill_json(&d);
	_cleanup_free_ char *text = json_dumps(json, JSON_COMPACT);

	strbuf_addf(history, "%s\n", text);
}

static json_int_t number(const json_t *summary, const char *kind, const char *key)
{
	return json_integer_value(json_object_get(json_object_get(summary, kind), key));
}

static void test_history(void **state)
{
	_cleanup_strbuf_ struct strbuf history = { 0 }, text = { 0 };
	json_auto_t *list = NULL, *summary = NULL, *other = NULL;
	const json_t *rows;
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 20; i >= 1; i--)
		add_drill(&history, "g1", false, i * 100, NULL);
	add_drill(&history, "g1", false, 9000, NULL);
	add_drill(&history, "g1", false, -1, "it could not");
	add_drill(&history, "g2", true, 700, NULL);
	strbuf_add(&history, "{\"group\": \"g1\", \"ki");
	assert_int_equal(drill_parse_history(strbuf_str(&history), "", &list, &err), 0);
	assert_int_equal(json_array_size(list), 23);
	summary = drill_summary(list);
	assert_int_equal(number(summary, "move", "drills"), 22);
	assert_int_equal(number(summary, "move", "bad"), 2);
	assert_int_equal(number(summary, "move", "min_ms"), 100);
	assert_int_equal(number(summary, "move", "median_ms"), 1100);
	assert_int_equal(number(summary, "move", "p95_ms"), 2000);
	assert_int_equal(number(summary, "move", "max_ms"), 9000);
	assert_int_equal(number(summary, "crash", "drills"), 1);
	assert_int_equal(number(summary, "crash", "bad"), 0);
	rows = json_object_get(json_object_get(summary, "move"), "histogram");
	assert_int_equal(json_integer_value(json_object_get(json_array_get(rows, 1), "drills")), 1); /* up to 100 ms */
	assert_int_equal(json_integer_value(json_object_get(json_array_get(rows, 4), "drills")), 5); /* up to 1000 ms */
	assert_int_equal(json_integer_value(json_object_get(json_array_get(rows, 8), "drills")), 1); /* up to 10000 ms */
	drill_render_history(list, &text);
	assert_non_null(strstr(strbuf_str(&text), "planned moves: 22 drills, 2 not as promised; min 100, median 1100, 95% 2000, max 9000 ms\n"));
	assert_non_null(strstr(strbuf_str(&text), "NOT AS PROMISED: it could not\n"));
	assert_int_equal(drill_parse_history(strbuf_str(&history), "g2", &other, &err), 0);
	assert_int_equal(json_array_size(other), 1);
}

static void test_strange_history(void **state)
{
	json_t *list = NULL;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(drill_parse_history("{}\nnonsense\n", "", &list, &err), -EINVAL);
	assert_non_null(strstr(err.text, "line 2"));
	assert_int_equal(drill_parse_history("[]\n", "", &list, &err), -EINVAL);
	assert_null(list);
}

/* --- the pause in a probe's log ----------------------------------------------------------------------------------------------------------*/

/* The probe's clock is at 5 s when the wall clock is at 1000 s. Each pair: a write begun and acknowledged at that many ms of wall clock. */
static struct acklog_pause pause_of(const int64_t *acks, size_t n, int64_t from_ms, int64_t until_ms, const char *rest)
{
	_cleanup_strbuf_ struct strbuf log = { 0 };
	_cleanup_fclose_ FILE *in = NULL;
	struct acklog_pause ret = { 0 };
	struct err err = ERR_INIT;

	strbuf_add(&log, "H lunward-probe/1 7 0 16 1000000 5000000 /dev/x\n");
	for (size_t i = 0; i < n; i++) {
		long long us = (acks[i] - 1000000 + 5000) * 1000;

		strbuf_addf(&log, "I 0 1 %zu %lld\nA 0 1 %zu %lld\n", i + 1, us - 400, i + 1, us);
	}
	strbuf_add(&log, rest);
	in = fmemopen(log.s, log.len, "r");
	assert_non_null(in);
	assert_int_equal(acklog_pause(in, "log", from_ms, until_ms, &ret, &err), 0);
	return ret;
}

static void test_pause_in_a_log(void **state)
{
	static const int64_t acks[] = { 1000100, 1005100, 1005200, 1005900, 1006000, 1009000 };
	struct acklog_pause p = pause_of(acks, ARRAY_SIZE(acks), 1005150, 1006500, "E 0 1 6 10700000\nE 0 1 6 19000000\n");

	(void)state;
	/* The 5 s before are over; the 3 s behind have begun in time. */
	assert_int_equal(p.longest_ms, 3000);
	assert_int_equal(p.last_ack_ms, 1009000);
	assert_int_equal(p.failed, 1);
	assert_int_equal(pause_of(acks, ARRAY_SIZE(acks), 1005150, 1005950, "").longest_ms, 700);
	assert_int_equal(pause_of(acks, ARRAY_SIZE(acks), 1003000, 1005950, "").longest_ms, 5000);
	/* One that has not ended. */
	assert_int_equal(pause_of(acks, 5, 1005150, 1016000, "").longest_ms, 10000);
	assert_int_equal(pause_of(acks, 5, 1005150, 1016000, "").last_ack_ms, 1006000);
	assert_int_equal(pause_of(acks, 0, 1005150, 1016000, "").last_ack_ms, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_agent_part),  cmocka_unit_test(test_promises),       cmocka_unit_test(test_history),
		cmocka_unit_test(test_strange_history), cmocka_unit_test(test_pause_in_a_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
