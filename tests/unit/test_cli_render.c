// SPDX-License-Identifier: GPL-2.0-or-later
/* The pure parts of the command: wrapping, word distance, and a status renderer that survives any JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/cli/page.h"
#include "agent/cli/render.h"
#include "agent/cli/suggest.h"

static void test_wrapping(void **state)
{
	struct page page = { .width = 20 };

	(void)state;
	page_add(&page, 4, PAGE_BAD, "DOWN:", "one two three four verylongwordthatfitsnowhere x");
	page_add(&page, 2, PAGE_PLAIN, "", "%s", "ünï ünï ünï ünï ünï");
	page_add(&page, 2, PAGE_PLAIN, "  a", "  b   c");
	assert_string_equal(strbuf_str(&page.text), "DOWN: one two three\n    four\n    verylongwordthatfitsnowhere\n    x\n"
						    "ünï ünï ünï ünï ünï\n  a  b   c\n");
	strbuf_done(&page.text);
}

static void test_colour_takes_no_columns(void **state)
{
	struct page page = { .width = 12, .colour = true };

	(void)state;
	page_add(&page, 0, PAGE_GOOD, " OK:", "abc def");
	assert_string_equal(strbuf_str(&page.text), " \033[32;1mOK:\033[0m abc def\n");
	strbuf_done(&page.text);
}

static void test_control_characters_reach_no_terminal(void **state)
{
	struct page page = { .width = 80 };

	(void)state;
	page_add(&page, 0, PAGE_PLAIN, "a\033[2J", "%s", "b\007c\177 d\302\233e \302\244");
	assert_string_equal(strbuf_str(&page.text), "a?[2J b?c? d?e \302\244\n");
	strbuf_done(&page.text);
}

static void test_distance(void **state)
{
	(void)state;
	assert_int_equal(suggest_distance("", ""), 0);
	assert_int_equal(suggest_distance("", "abc"), 3);
	assert_int_equal(suggest_distance("status", "stauts"), 1);
	assert_int_equal(suggest_distance("status", "statu"), 1);
	assert_int_equal(suggest_distance("status", "statuss"), 1);
	assert_int_equal(suggest_distance("move", "love"), 1);
	assert_int_equal(suggest_distance("kitten", "sitting"), 3);
	assert_int_equal(suggest_distance("x", "0123456789012345678901234567890123456789012345678901234567890123"), 99);
}

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	return *state ^= *state << 5;
}

static json_t *random_json(uint32_t *random, int depth)
{
	static const char *const keys[] = { "groups", "nodes", "problems", "name", "phase", "owner", "to", "copies", "node", "role",
					    "disk", "resync_percent", "volumes", "size_bytes", "last_change", "total_ms", "started",
					    "quorate", "active", "severity", "text", "remedy", "alua", "current", "state" };
	static const char *const words[] = { "owned", "free", "orphaned", "releasing", "acquiring", "n1", "error", "warning",
					     "up", "down", "storage", "", "\033[2J", "ü" };
	uint32_t kind = next_random(random) % (depth > 4 ? 5 : 9);
	json_t *value;

	if (kind == 0)
		return json_null();
	if (kind == 1)
		return json_boolean(next_random(random) & 1);
	if (kind == 2)
		return json_integer((json_int_t)next_random(random) << 20);
	if (kind == 3)
		return json_real(1e300);
	if (kind == 4)
		return json_string(words[next_random(random) % ARRAY_SIZE(words)]);
	if (kind <= 6) {
		value = json_array();
		for (uint32_t n = next_random(random) % 4; n; n--)
			json_array_append_new(value, random_json(random, depth + 1));
		return value;
	}
	value = json_object();
	for (uint32_t n = next_random(random) % 12; n; n--)
		json_object_set_new(value, keys[next_random(random) % ARRAY_SIZE(keys)], random_json(random, depth + 1));
	return value;
}

static void test_any_json_is_survived(void **state)
{
	uint32_t random = 20261121;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		json_t *status = random_json(&random, 0);
		char *text = render_status(status, i & 1);

		assert_true(strlen(text) > 0);
		free(text);
		json_decref(status);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wrapping),
		cmocka_unit_test(test_colour_takes_no_columns),
		cmocka_unit_test(test_control_characters_reach_no_terminal),
		cmocka_unit_test(test_distance),
		cmocka_unit_test(test_any_json_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
