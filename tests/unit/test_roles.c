// SPDX-License-Identifier: GPL-2.0-or-later
/* Port states over the whole space of inputs: the rules that keep two nodes from being active/optimized at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/daemon/roles.h"
#include "base/compiler.h"

enum { N1 = 1, N2 = 2 };

static enum lio_alua_state state_of(const struct roles_input *in, uint32_t node)
{
	return roles_port_state(in, node);
}

static void owner_that_serves_is_optimized_and_nobody_else(void **unused)
{
	const uint32_t own[] = { N1 }, both[] = { N1, N2 };
	struct roles_input in = { .me = N1, .quorate = true, .phase = HA_PHASE_OWNED, .owner = N1, .serving = true,
				  .served = own, .n_served = 1 };

	(void)unused;
	assert_int_equal(state_of(&in, N1), LIO_ALUA_ACTIVE_OPTIMIZED);
	assert_int_equal(state_of(&in, N2), LIO_ALUA_STANDBY);
	in.served = both; /* the ports of the dead node are answered here as well */
	in.n_served = 2;
	assert_int_equal(state_of(&in, N1), LIO_ALUA_ACTIVE_OPTIMIZED);
	assert_int_equal(state_of(&in, N2), LIO_ALUA_ACTIVE_NONOPTIMIZED);
}

static void non_owner_is_standby_and_shows_the_owner(void **unused)
{
	struct roles_input in = { .me = N2, .quorate = true, .phase = HA_PHASE_OWNED, .owner = N1 };

	(void)unused;
	assert_int_equal(state_of(&in, N2), LIO_ALUA_STANDBY);
	assert_int_equal(state_of(&in, N1), LIO_ALUA_ACTIVE_OPTIMIZED);
	in.owner_lost = true;
	assert_int_equal(state_of(&in, N2), LIO_ALUA_TRANSITIONING);
	assert_int_equal(state_of(&in, N1), LIO_ALUA_TRANSITIONING);
}

/* Ports that answer on this node must never claim more than this node can do. */
static void adopted_ports_never_show_a_foreign_owner_as_optimized(void **unused)
{
	const uint32_t both[] = { N1, N2 };
	struct roles_input in = { .me = N2, .quorate = true, .phase = HA_PHASE_OWNED, .owner = N1, .served = both,
				  .n_served = 2 };

	(void)unused;
	assert_int_equal(state_of(&in, N1), LIO_ALUA_STANDBY);
}

/* A move must not send hosts to sleep: what they send goes to gates that hold it, and the next owner's ports stay as they are. */
static void planned_move_never_says_transitioning_while_gates_hold(void **unused)
{
	const uint32_t own[] = { N1 };
	struct roles_input from = { .me = N1, .quorate = true, .phase = HA_PHASE_RELEASING, .owner = N1, .holding = true, .served = own,
				    .n_served = 1 };
	struct roles_input to = { .me = N2, .quorate = true, .phase = HA_PHASE_RELEASING, .owner = N1 };

	(void)unused;
	assert_int_equal(state_of(&to, N2), LIO_ALUA_STANDBY);
	from.serving = true;
	assert_int_equal(state_of(&from, N1), LIO_ALUA_ACTIVE_OPTIMIZED); /* its release has not begun */
	from.serving = false;
	assert_int_equal(state_of(&from, N1), LIO_ALUA_ACTIVE_NONOPTIMIZED);
	assert_int_equal(state_of(&from, N2), LIO_ALUA_STANDBY);
	from.phase = HA_PHASE_ACQUIRING;
	from.owner = N2;
	assert_int_equal(state_of(&from, N1), LIO_ALUA_ACTIVE_NONOPTIMIZED);
	assert_true(roles_may_hold(&from));
	from.phase = HA_PHASE_OWNED;
	assert_int_equal(state_of(&from, N1), LIO_ALUA_STANDBY);
	assert_false(roles_may_hold(&from));
	from.phase = HA_PHASE_ACQUIRING; /* and now the next owner dies */
	from.owner_lost = true;
	assert_int_equal(state_of(&from, N1), LIO_ALUA_TRANSITIONING);
	assert_false(roles_may_hold(&from));
}

/* Hosts wait for the end of a transition, and who is gone cannot tell them. */
static void who_leaves_does_not_say_transitioning_while_another_acquires(void **unused)
{
	struct roles_input in = { .me = N2, .quorate = true, .phase = HA_PHASE_ACQUIRING, .owner = N1 };

	(void)unused;
	assert_int_equal(state_of(&in, N2), LIO_ALUA_TRANSITIONING);
	in.leaving = true;
	assert_int_equal(state_of(&in, N2), LIO_ALUA_UNAVAILABLE);
	in.owner = N2; /* its own: the next agent goes on with it */
	assert_int_equal(state_of(&in, N2), LIO_ALUA_TRANSITIONING);
	in.owner = N1;
	in.owner_lost = true; /* nobody serves, and this node may have to */
	assert_int_equal(state_of(&in, N2), LIO_ALUA_TRANSITIONING);
	in.owner_lost = false;
	in.phase = HA_PHASE_OWNED;
	assert_int_equal(state_of(&in, N2), LIO_ALUA_STANDBY);
}

static void every_input_keeps_the_rules(void **unused)
{
	static const enum ha_phase phases[] = { HA_PHASE_FREE, HA_PHASE_ACQUIRING, HA_PHASE_OWNED, HA_PHASE_RELEASING,
						HA_PHASE_ORPHANED };
	const uint32_t served[] = { N1, N2 };

	(void)unused;
	for (unsigned int bits = 0; bits < 1u << 8; bits++) {
		for (size_t p = 0; p < ARRAY_SIZE(phases); p++) {
			struct roles_input in = { .me = N1, .quorate = bits & 1, .owner_lost = bits & 2,
						  .serving = bits & 4, .owner = bits & 8 ? N1 : N2, .phase = phases[p],
						  .holding = bits & 64, .leaving = bits & 128, .served = served, .n_served = (bits >> 4 & 3) % 3 };
			enum lio_alua_state own = state_of(&in, N1), other = state_of(&in, N2);

			bool serves = in.serving && in.owner == N1 &&
				      (in.phase == HA_PHASE_OWNED || in.phase == HA_PHASE_ACQUIRING ||
				       in.phase == HA_PHASE_RELEASING);

			/* Own ports are active only while this node serves as the owner, with quorum, or while its gates hold. */
			if (own == LIO_ALUA_ACTIVE_OPTIMIZED || own == LIO_ALUA_ACTIVE_NONOPTIMIZED)
				assert_true(in.quorate && (serves || (own == LIO_ALUA_ACTIVE_NONOPTIMIZED && roles_may_hold(&in))));
			assert_false(own == LIO_ALUA_ACTIVE_OPTIMIZED && other == LIO_ALUA_ACTIVE_OPTIMIZED);
			if (!in.quorate || (in.phase == HA_PHASE_ORPHANED && !in.leaving))
				assert_true(own == LIO_ALUA_TRANSITIONING && other == LIO_ALUA_TRANSITIONING);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(owner_that_serves_is_optimized_and_nobody_else),
		cmocka_unit_test(non_owner_is_standby_and_shows_the_owner),
		cmocka_unit_test(adopted_ports_never_show_a_foreign_owner_as_optimized),
		cmocka_unit_test(planned_move_never_says_transitioning_while_gates_hold),
		cmocka_unit_test(who_leaves_does_not_say_transitioning_while_another_acquires),
		cmocka_unit_test(every_input_keeps_the_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
