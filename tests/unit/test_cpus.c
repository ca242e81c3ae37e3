// SPDX-License-Identifier: GPL-2.0-or-later
/* A processor that is kept free, and who is let run on it, with processes and the masks of this machine. */
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cpus.h"

static void the_last_is_taken_off(void **state)
{
	static const struct {
		const char *list, *rest;
		int last;
	} cases[] = {
		{ "0-3\n", "0-2", 3 },   { "0-1", "0", 1 },           { "0,2\n", "0", 2 },   { "0-3,8", "0-3", 8 },
		{ "0-3,8-9\n", "0-3,8", 9 }, { "0,4-7", "0,4-6", 7 }, { "0-127\n", "0-126", 127 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char rest[CPUS_LIST_SIZE];

		assert_int_equal(cpus_take_last(cases[i].list, rest), cases[i].last);
		assert_string_equal(rest, cases[i].rest);
	}
}

static void one_cannot_be_spared(void **state)
{
	static const char *const lists[] = { "0\n", "0", "", "\n", "x", "0-", "0,", ",1", "3-3", "0-1x", "-1", "0-99999999999", "0 1" };
	char rest[CPUS_LIST_SIZE], list[2 * CPUS_LIST_SIZE] = "0";

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		if (cpus_take_last(lists[i], rest) != -1)
			fail_msg("%s: %s", lists[i], rest);
	}
	for (int i = 2; i < 200; i += 2)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), ",%d", i);
	assert_int_equal(cpus_take_last(list, rest), -1);
}

static int count(pid_t pid)
{
	cpu_set_t set;

	assert_int_equal(sched_getaffinity(pid, sizeof(set), &set), 0);
	return CPU_COUNT(&set);
}

static void a_sleeping_thread_is_let_run_anywhere(void **state)
{
	int n = count(0);
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	assert_int_equal(sched_setaffinity(pid, sizeof(cpu_set_t), &(cpu_set_t){ .__bits = { 1 } }), 0);
	assert_int_equal(count(pid), 1);
	cpus_let_run_anywhere(pid);
	assert_int_equal(count(pid), n);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cpus_let_run_anywhere(pid); /* it is gone */
}

static void a_thread_keeps_off_one(void **state)
{
	char rest[CPUS_LIST_SIZE];
	cpu_set_t before, after;
	int spare = cpus_spare(rest);

	(void)state;
	if (spare < 0) {
		print_message("skipped: this machine has one processor\n");
		skip();
	}
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	cpus_keep_off(spare);
	assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
	assert_false(CPU_ISSET((size_t)spare, &after));
	assert_int_equal(sched_setaffinity(0, sizeof(before), &(cpu_set_t){ .__bits = { 1 } }), 0);
	cpus_keep_off(0); /* the only one it has */
	assert_int_equal(count(0), 1);
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_is_taken_off),
		cmocka_unit_test(one_cannot_be_spared),
		cmocka_unit_test(a_sleeping_thread_is_let_run_anywhere),
		cmocka_unit_test(a_thread_keeps_off_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
