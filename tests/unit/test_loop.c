// SPDX-License-Identifier: GPL-2.0-or-later
/* The main loop: a turn follows each event, and at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/daemon/loop.h"
#include "base/clock.h"

enum { ROUNDS = 40 };

struct story {
	struct loop *loop;
	struct loop_timer timer;
	int n_posted, n_turns, n_timers;
};

static void posted(void *ctx)
{
	struct story *story = ctx;

	story->n_posted++;
}

static void fired(void *ctx)
{
	struct story *story = ctx;

	story->n_timers++;
}

/* Something to do comes of each turn, as work that is asked for, done by a thread, and followed by more. */
static void turn_and_post(void *ctx)
{
	struct story *story = ctx;

	assert_int_equal(story->n_posted, story->n_turns); /* what was posted before it is done */
	if (++story->n_turns > ROUNDS)
		loop_stop(story->loop);
	else
		loop_post(story->loop, posted, story);
}

static void turns_do_not_wait(void **unused)
{
	struct story story = { .loop = loop_new() };
	int64_t begun_ms = clock_now_ms();

	(void)unused;
	loop_run(story.loop, turn_and_post, &story);
	assert_int_equal(story.n_posted, ROUNDS);
	/* Nothing here takes time; libqb's 50 ms for a job that has company nowhere would make 2000. */
	assert_in_range(clock_now_ms() - begun_ms, 0, ROUNDS * 50 / 2);
	loop_free(story.loop);
}

static void turn_and_wait(void *ctx)
{
	struct story *story = ctx;

	if (story->n_turns++ == 0)
		loop_timer_set(story->loop, &story->timer, clock_now_ms() + 20, fired, story);
	if (story->n_timers)
		loop_stop(story->loop);
}

static void a_turn_follows_a_timer_and_none_comes_by_itself(void **unused)
{
	struct story story = { .loop = loop_new() };

	(void)unused;
	loop_run(story.loop, turn_and_wait, &story);
	assert_int_equal(story.n_timers, 1);
	assert_int_equal(story.n_turns, 2);
	loop_free(story.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(turns_do_not_wait),
		cmocka_unit_test(a_turn_follows_a_timer_and_none_comes_by_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
