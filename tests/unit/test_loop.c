// SPDX-License-Identifier: GPL-2.0-or-later
/* The main loop: a turn follows each event, and at once. */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/daemon/loop.h"
#include "base/clock.h"

enum { ROUNDS = 40 };

struct story {
	struct loop *loop;
	struct loop_timer timer;
	int n_posted, n_turns;
	_Atomic int n_timers;
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

/* --- signals --- */

enum { SIGNALS = 40, EVERY_MS = 50 };

struct noise {
	struct story story;
	void (*make)(void);
	_Atomic int n_made;
	int n_made_at_timer;
};

static void end_a_child(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	(void)waitpid(pid, NULL, 0);
}

static void stop_us_and_go_on(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		kill(getppid(), SIGSTOP);
		(void)poll(NULL, 0, EVERY_MS / 10);
		kill(getppid(), SIGCONT);
		_exit(0);
	}
	(void)waitpid(pid, NULL, 0);
}

/* As a worker does it: all signals blocked. */
static void *make_noise(void *ctx)
{
	struct noise *noise = ctx;

	while (noise->n_made < SIGNALS && !noise->story.n_timers) {
		noise->make();
		noise->n_made++;
		(void)poll(NULL, 0, EVERY_MS);
	}
	return NULL;
}

static void fired_in_noise(void *ctx)
{
	struct noise *noise = ctx;

	noise->story.n_timers++;
	noise->n_made_at_timer = noise->n_made;
	loop_stop(noise->story.loop);
}

static void timer_fires_in_spite_of(void (*make)(void))
{
	struct noise noise = { .story.loop = loop_new(), .make = make };
	sigset_t all, old;
	pthread_t tid;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	assert_int_equal(pthread_create(&tid, NULL, make_noise, &noise), 0);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	loop_timer_set(noise.story.loop, &noise.story.timer, clock_now_ms() + EVERY_MS * 4, fired_in_noise, &noise);
	loop_run(noise.story.loop, NULL, NULL);
	pthread_join(tid, NULL);
	loop_free(noise.story.loop);
	assert_in_range(noise.n_made_at_timer, 0, SIGNALS - 1); /* not only after the last of them; on a busy machine perhaps before the first */
}

static void timers_fire_while_children_end(void **unused)
{
	(void)unused;
	timer_fires_in_spite_of(end_a_child);
}

static void timers_fire_though_it_is_stopped_again_and_again(void **unused)
{
	(void)unused;
	timer_fires_in_spite_of(stop_us_and_go_on);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(turns_do_not_wait),
		cmocka_unit_test(a_turn_follows_a_timer_and_none_comes_by_itself),
		cmocka_unit_test(timers_fire_while_children_end),
		cmocka_unit_test(timers_fire_though_it_is_stopped_again_and_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
