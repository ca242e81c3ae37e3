// SPDX-License-Identifier: GPL-2.0-or-later
/* The program DRBD asks, against a control socket with prepared answers (tests/unit/tools/fake_agent). */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/drbd-handler/handler.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/xalloc.h"

struct bench {
	char dir[40];
	char *socket, *log, *drbdadm, *drbdadm_log;
	pid_t agent;
	struct handler_settings settings;
};

static int setup(void **state)
{
	struct bench *b = xcalloc(1, sizeof(*b));
	_cleanup_free_ char *script = NULL;

	strcpy(b->dir, "/tmp/test_drbd_handler.XXXXXX");
	if (!mkdtemp(b->dir))
		return -1;
	b->socket = xasprintf("%s/control", b->dir);
	b->log = xasprintf("%s/log", b->dir);
	b->drbdadm = xasprintf("%s/drbdadm", b->dir);
	b->drbdadm_log = xasprintf("%s/drbdadm.log", b->dir);
	script = xasprintf("#!/bin/sh\necho \"$@\" >%s\nexit 3\n", b->drbdadm_log);
	b->settings = (struct handler_settings){ .socket = b->socket, .drbdadm = b->drbdadm, .patience_ms = 20000, .retry_ms = 20 };
	*state = b;
	return file_replace(b->drbdadm, script, strlen(script), 0755);
}

static int teardown(void **state)
{
	struct bench *b = *state;
	char *const files[] = { b->socket, b->log, b->drbdadm, b->drbdadm_log };

	if (b->agent > 0) {
		kill(b->agent, SIGKILL);
		waitpid(b->agent, NULL, 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		(void)unlink(files[i]);
		free(files[i]);
	}
	rmdir(b->dir);
	free(b);
	return 0;
}

/* Returns when the socket is there. */
static void start_agent(struct bench *b, const char *first, const char *second, const char *third)
{
	int fds[2];
	char byte;

	assert_int_equal(pipe(fds), 0);
	b->agent = fork();
	if (b->agent == 0) {
		dup2(fds[1], 1);
		execl("tests/unit/tools/fake_agent", "fake_agent", b->socket, b->log, first, second, third, (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	close(fds[0]);
}

/* In a child, since it may become drbdadm. `resource_env`: as drbdadm's handler would see it. */
static int run(const struct bench *b, const char *event, const char *object, const char *resource_env)
{
	char *argv[] = { xstrdup("drbd-fence-peer"), xstrdup(event), xstrdup(object), NULL };
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (resource_env)
			setenv("DRBD_RESOURCE", resource_env, 1);
		_exit(handler_run(&b->settings, event ? object ? 3 : 2 : 1, argv));
	}
	for (size_t i = 0; i < 3; i++)
		free(argv[i]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static char *content(const char *path)
{
	char *data = NULL;

	return file_read(path, 65536, &data, NULL) == 0 ? data : NULL;
}

static void permission_means_outdated(void **state)
{
	struct bench *b = *state;
	_cleanup_free_ char *log = NULL;

	start_agent(b, "ok", NULL, NULL);
	assert_int_equal(run(b, "fence-peer", "lunward-g1", NULL), 4);
	log = content(b->log);
	assert_non_null(strstr(log, "\"fence-peer\""));
	assert_non_null(strstr(log, "\"lunward-g1\""));
}

static void as_a_handler_of_drbdadm(void **state)
{
	struct bench *b = *state;
	_cleanup_free_ char *log = NULL;

	start_agent(b, "ok", NULL, NULL);
	assert_int_equal(run(b, NULL, NULL, "lunward-g2"), 4);
	log = content(b->log);
	assert_non_null(strstr(log, "\"lunward-g2\""));
}

static void asks_again_while_the_agent_restarts(void **state)
{
	struct bench *b = *state;

	/* Dies before it answers, then has no quorum, then agrees. */
	start_agent(b, "drop", "-11", "ok");
	assert_int_equal(run(b, "fence-peer", "lunward-g1", NULL), 4);
}

static void a_group_not_yet_known_is_asked_again(void **state)
{
	struct bench *b = *state;

	start_agent(b, "-2", "ok", NULL);
	assert_int_equal(run(b, "fence-peer", "lunward-g1", NULL), 4);
}

/* 5 would let DRBD go on ("assumed to be dead"), 6 would outdate our own copy. */
static void no_answer_is_never_a_yes(void **state)
{
	struct bench *b = *state;

	b->settings.patience_ms = 200;
	assert_int_equal(run(b, "fence-peer", "lunward-g1", NULL), 1);
}

static void refusal_ends_it(void **state)
{
	struct bench *b = *state;
	int64_t before_ms = clock_now_ms();

	start_agent(b, "-116", "ok", NULL); /* ESTALE */
	assert_int_equal(run(b, "fence-peer", "lunward-g1", NULL), 1);
	assert_true(clock_now_ms() - before_ms < b->settings.patience_ms);
}

static void other_events_of_our_resources_do_nothing(void **state)
{
	struct bench *b = *state;
	static const char *const events[] = { "unfence-peer", "split-brain", "before-resync-target", "an-event-of-a-later-drbd" };
	_cleanup_free_ char *log = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		assert_int_equal(run(b, events[i], "lunward-g1", NULL), 0);
	log = content(b->drbdadm_log);
	assert_null(log);
}

static void what_is_not_ours_goes_to_drbdadm(void **state)
{
	struct bench *b = *state;
	static const char *const calls[][2] = { { "fence-peer", "r0" }, { "before-resync-target", "minor-100" } };

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		_cleanup_free_ char *expected = xasprintf("%s %s\n", calls[i][0], calls[i][1]), *log = NULL;

		assert_int_equal(run(b, calls[i][0], calls[i][1], NULL), 3);
		log = content(b->drbdadm_log);
		assert_string_equal(log, expected);
	}
}

static void without_drbdadm(void **state)
{
	struct bench *b = *state;

	b->settings.drbdadm = "/nonexistent";
	assert_int_equal(run(b, "fence-peer", "r0", NULL), 1);
	assert_int_equal(run(b, "after-resync-target", "minor-7", NULL), 0);
	assert_int_equal(run(b, NULL, NULL, NULL), 1);
	assert_int_equal(run(b, NULL, NULL, "r0"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(permission_means_outdated, setup, teardown),
		cmocka_unit_test_setup_teardown(as_a_handler_of_drbdadm, setup, teardown),
		cmocka_unit_test_setup_teardown(asks_again_while_the_agent_restarts, setup, teardown),
		cmocka_unit_test_setup_teardown(a_group_not_yet_known_is_asked_again, setup, teardown),
		cmocka_unit_test_setup_teardown(no_answer_is_never_a_yes, setup, teardown),
		cmocka_unit_test_setup_teardown(refusal_ends_it, setup, teardown),
		cmocka_unit_test_setup_teardown(other_events_of_our_resources_do_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_ours_goes_to_drbdadm, setup, teardown),
		cmocka_unit_test_setup_teardown(without_drbdadm, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
