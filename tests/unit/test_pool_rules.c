// SPDX-License-Identifier: GPL-2.0-or-later
/* Thresholds of thin pools: crossed once, however the figures tremble. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/daemon/pool_rules.h"
#include "base/compiler.h"

static void states_begin_at_their_threshold(void **unused)
{
	(void)unused;
	assert_int_equal(pool_rules_state(POOL_GOOD, 0, 80, 95), POOL_GOOD);
	assert_int_equal(pool_rules_state(POOL_GOOD, 79.99, 80, 95), POOL_GOOD);
	assert_int_equal(pool_rules_state(POOL_GOOD, 80, 80, 95), POOL_WARNING);
	assert_int_equal(pool_rules_state(POOL_GOOD, 94.99, 80, 95), POOL_WARNING);
	assert_int_equal(pool_rules_state(POOL_GOOD, 95, 80, 95), POOL_ERROR);
	assert_int_equal(pool_rules_state(POOL_WARNING, 94.99, 80, 95), POOL_WARNING);
	assert_int_equal(pool_rules_state(POOL_WARNING, 100, 80, 95), POOL_ERROR);
	assert_int_equal(pool_rules_state(POOL_GOOD, 99.99, 99, 100), POOL_WARNING);
	assert_int_equal(pool_rules_state(POOL_GOOD, 100, 99, 100), POOL_ERROR);
}

static void states_end_below_it(void **unused)
{
	(void)unused;
	assert_int_equal(pool_rules_state(POOL_WARNING, 78, 80, 95), POOL_WARNING);
	assert_int_equal(pool_rules_state(POOL_WARNING, 77.99, 80, 95), POOL_GOOD);
	assert_int_equal(pool_rules_state(POOL_ERROR, 93, 80, 95), POOL_ERROR);
	assert_int_equal(pool_rules_state(POOL_ERROR, 92.99, 80, 95), POOL_WARNING);
	assert_int_equal(pool_rules_state(POOL_ERROR, 78, 80, 95), POOL_WARNING);
	assert_int_equal(pool_rules_state(POOL_ERROR, 77.99, 80, 95), POOL_GOOD);
	assert_int_equal(pool_rules_state(POOL_WARNING, 0, 1, 2), POOL_WARNING); /* thresholds that nothing is below */
}

static void trembling_figures_are_one_change(void **unused)
{
	static const double percents[] = { 79.9, 80.0, 79.9, 80.0, 79.9, 78.5, 80.1, 79.9 };
	enum pool_state state = POOL_GOOD;
	int changes = 0;

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(percents); i++) {
		enum pool_state now = pool_rules_state(state, percents[i], 80, 95);

		changes += now != state;
		state = now;
	}
	assert_int_equal(changes, 1);
}

static void states_have_names(void **unused)
{
	(void)unused;
	assert_string_equal(pool_state_name(POOL_GOOD), "good");
	assert_string_equal(pool_state_name(POOL_WARNING), "warning");
	assert_string_equal(pool_state_name(POOL_ERROR), "error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(states_begin_at_their_threshold),
		cmocka_unit_test(states_end_below_it),
		cmocka_unit_test(trembling_figures_are_one_change),
		cmocka_unit_test(states_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
