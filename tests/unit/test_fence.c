// SPDX-License-Identifier: GPL-2.0-or-later
/* A real program as fence agent (tests/unit/tools/fence_fake); the tests run from the root of the tree. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/run_cmd.h"
#include "base/xalloc.h"
#include "ha/fence/fence.h"
#include "ha/fence/loop.h"

struct bench {
	char dir[32];
	struct fence_option common[3];
	struct fence_option node[2];
	struct fence_request request;
};

static int setup(void **state)
{
	struct bench *b = xcalloc(1, sizeof(*b));
	_cleanup_free_ char *plug = NULL;

	strcpy(b->dir, "/tmp/test_fence.XXXXXX");
	if (!mkdtemp(b->dir))
		return -1;
	plug = xasprintf("%s/n2", b->dir);
	b->common[0] = (struct fence_option){ "statedir", b->dir };
	b->common[1] = (struct fence_option){ "password", "s3cret-Word" };
	b->node[0] = (struct fence_option){ "plug", "n2" };
	b->request = (struct fence_request){ .dir = "tests/unit/tools", .agent = "fence_fake", .options = b->common,
					     .n_options = 2, .node_options = b->node, .n_node_options = 1,
					     .deadline_ms = 20000 };
	*state = b;
	return file_replace(plug, "on", 2, 0600);
}

static int teardown(void **state)
{
	struct bench *b = *state;
	const char *const names[] = { "n2", "log" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", b->dir, names[i]);

		(void)unlink(path);
	}
	rmdir(b->dir);
	free(b);
	return 0;
}

static char *content(const struct bench *b, const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", b->dir, name);
	char *data = NULL;

	return file_read(path, 4096, &data, NULL) == 0 ? data : NULL;
}

static void off_is_the_default(void **state)
{
	struct bench *b = *state;
	_cleanup_free_ char *power = NULL, *log = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(fence_run(&b->request, &err), 0);
	power = content(b, "n2");
	log = content(b, "log");
	assert_string_equal(power, "off");
	assert_string_equal(log, "off n2 argv=1\n"); /* nothing on the command line, where ps shows it */
}

static void other_actions(void **state)
{
	struct bench *b = *state;
	struct err err = ERR_INIT;

	b->request.action = "status";
	assert_int_equal(fence_run(&b->request, &err), 0);
	b->request.action = "reset";
	assert_int_equal(fence_run(&b->request, &err), -EREMOTEIO);
	assert_non_null(strstr(err.text, "action reset"));
	assert_non_null(strstr(err.text, "Unrecognised action 'reset'"));
}

static void node_option_wins(void **state)
{
	struct bench *b = *state;
	_cleanup_free_ char *log = NULL;
	struct err err = ERR_INIT;

	b->common[2] = (struct fence_option){ "plug", "n1" };
	b->request.n_options = 3;
	assert_int_equal(fence_run(&b->request, &err), 0);
	log = content(b, "log");
	assert_string_equal(log, "off n2 argv=1\n");
}

static void secrets_stay_out_of_errors(void **state)
{
	struct bench *b = *state;
	struct err err = ERR_INIT;

	b->common[1].value = "0therSecret";
	assert_int_equal(fence_run(&b->request, &err), -EREMOTEIO);
	assert_null(strstr(err.text, "0therSecret"));
	assert_non_null(strstr(err.text, "login to fencing device with password ********"));
}

/* However much an agent says before it: no piece of the secret is left where its words are cut. */
static void secrets_stay_out_where_words_are_cut(void **state)
{
	struct bench *b = *state;
	static char secret[300], part[300];
	struct err err = ERR_INIT;

	/* Longer than what is kept of an agent's words. */
	memset(secret, 'x', sizeof(secret) - 1);
	secret[sizeof(secret) - 1] = '\0';
	memcpy(secret, "0ther", 5);
	for (size_t size = 6; size < sizeof(secret); size++) {
		if (size % 32 != 6 && size != sizeof(secret) - 1)
			continue;
		snprintf(part, size, "%s", secret);
		b->common[1].value = part;
		assert_int_equal(fence_run(&b->request, &err), -EREMOTEIO);
		assert_null(strstr(err.text, "0th"));
	}
}

static void failure_is_no_success(void **state)
{
	struct bench *b = *state;
	_cleanup_free_ char *power = NULL;
	struct err err = ERR_INIT;

	b->node[0].value = "n3";
	assert_int_equal(fence_run(&b->request, &err), -EREMOTEIO);
	assert_non_null(strstr(err.text, "plug is not available"));
	b->request.agent = "fence_none";
	assert_int_equal(fence_run(&b->request, &err), -ENOENT);
	power = content(b, "n2");
	assert_string_equal(power, "on");
}

static void deadline(void **state)
{
	struct bench *b = *state;
	struct err err = ERR_INIT;

	b->node[1] = (struct fence_option){ "hang", "1" };
	b->request.n_node_options = 2;
	b->request.deadline_ms = 300;
	assert_int_equal(fence_run(&b->request, &err), -ETIMEDOUT);
}

static void nothing_strange_is_run(void **state)
{
	struct bench *b = *state;
	static const char *const agents[] = { "", "../tools/fence_fake", ".fence", "-x", "a/b" };
	static const struct fence_option options[] = { { "", "x" },	       { "a b", "x" },	     { "a=b", "x" },
						       { "x", "1\naction=on" }, { "action", "on" }, { "option", "on" } };
	_cleanup_free_ char *log = NULL;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		b->node[1] = options[i];
		b->request.n_node_options = 2;
		assert_int_equal(fence_run(&b->request, &err), -EINVAL);
	}
	b->request.n_node_options = 1;
	for (size_t i = 0; i < ARRAY_SIZE(agents); i++) {
		b->request.agent = agents[i];
		assert_int_equal(fence_run(&b->request, &err), -EINVAL);
	}
	log = content(b, "log");
	assert_null(log);
}

/* --- Pacemaker's fencer ---*/

static void use_fake_stonith_admin(const struct bench *b)
{
	_cleanup_free_ char *log = xasprintf("%s/log", b->dir);

	assert_int_equal(setenv("FAKE_STONITH_LOG", log, 1), 0);
}

static void pacemaker_is_asked_for_off(void **state)
{
	struct bench *b = *state;
	_cleanup_free_ char *log = NULL;
	struct err err = ERR_INIT;

	use_fake_stonith_admin(b);
	assert_int_equal(fence_pacemaker(b->request.dir, "n2", 60, &err), 0);
	assert_int_equal(fence_pacemaker(b->request.dir, "n2", 1, &err), 0);
	log = content(b, "log");
	/* No tolerance, no history; a fifth of the time is left to the fencer. */
	assert_string_equal(log, "--fence n2 --timeout 48 --tag lunward\n--fence n2 --timeout 1 --tag lunward\n");
}

static void pacemaker_that_does_not_succeed_is_no_evidence(void **state)
{
	static const char *const cases[][2] = {
		{ "nobodys", "stonith_admin --list NODE" }, { "broken", "No data available" },
		{ "slow", "Timer expired" },		    { "alone", "Pacemaker does not run on this node" },
	};
	struct bench *b = *state;

	use_fake_stonith_admin(b);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = ERR_INIT;

		assert_int_equal(fence_pacemaker(b->request.dir, cases[i][0], 60, &err), -EREMOTEIO);
		assert_non_null(strstr(err.text, "Pacemaker's fencer: "));
		assert_non_null(strstr(err.text, cases[i][1]));
	}
}

static void pacemaker_has_a_deadline(void **state)
{
	struct bench *b = *state;
	struct err err = ERR_INIT;

	use_fake_stonith_admin(b);
	assert_int_equal(fence_pacemaker(b->request.dir, "hangs", 1, &err), -ETIMEDOUT);
}

static void pacemaker_is_not_there(void **state)
{
	struct bench *b = *state;
	_cleanup_free_ char *log = NULL;
	struct err err = ERR_INIT;

	use_fake_stonith_admin(b);
	assert_int_equal(fence_pacemaker(b->dir, "n2", 60, &err), -ENOENT);
	assert_int_equal(fence_pacemaker(b->request.dir, "-n2", 60, &err), -EINVAL);
	log = content(b, "log");
	assert_null(log);
}

/* The options that are used, with --version so that nothing is done: the real one refuses others before it looks at that. */
static void the_real_stonith_admin_knows_these_options(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	if (access("/usr/sbin/stonith_admin", X_OK) < 0)
		skip();
	assert_int_equal(run_cmdl(&err, 20000, "/usr/sbin/stonith_admin", "--fence", "n2", "--timeout", "48", "--tag", "lunward",
				  "--version", NULL), 0);
	assert_int_equal(run_cmdl(&err, 20000, "/usr/sbin/stonith_admin", "--fence", "n2", "--none-such", "--version", NULL), -EREMOTEIO);
}

/* --- levels ---*/

struct reports {
	char text[1024];
};

static void note(void *ctx, const struct fence_level *level, int64_t took_ms, int rc, const char *text)
{
	struct reports *reports = ctx;
	size_t len = strlen(reports->text);

	assert_true(took_ms >= 0 && (rc == 0) == (*text == '\0'));
	snprintf(reports->text + len, sizeof(reports->text) - len, "%s %s\n", level->label, rc ? "failed" : "done");
}

/* first: an agent that cannot log in; second: one that knows no such plug; third: works. */
static void make_levels(struct bench *b, struct fence_level levels[3])
{
	static const struct fence_option wrong = { "password", "0therSecret" }, stray = { "plug", "n3" };

	for (size_t i = 0; i < 3; i++)
		levels[i] = (struct fence_level){ .node = "n2", .request = b->request };
	levels[0].label = "first";
	levels[0].request.node_options = &wrong;
	levels[1].label = "second";
	levels[1].request.node_options = &stray;
	levels[2].label = "third";
}

static void levels_are_tried_in_order_until_one_succeeds(void **state)
{
	struct bench *b = *state;
	struct reports reports = { "" };
	struct fence_level levels[3];
	_cleanup_free_ char *log = NULL;
	struct err err = ERR_INIT;
	size_t by = 9;

	make_levels(b, levels);
	b->common[2] = b->node[0];
	levels[0].request.n_options = 3;
	assert_int_equal(fence_levels(levels, 3, note, &reports, &by, &err), 0);
	assert_int_equal(by, 2);
	assert_string_equal(reports.text, "first failed\nsecond failed\nthird done\n");
	log = content(b, "log");
	assert_string_equal(log, "off n2 argv=1\n"); /* once */
}

static void first_level_that_succeeds_is_the_last_that_runs(void **state)
{
	struct bench *b = *state;
	struct reports reports = { "" };
	struct fence_level levels[3];
	_cleanup_free_ char *log = NULL;
	struct err err = ERR_INIT;
	size_t by = 9;

	use_fake_stonith_admin(b);
	make_levels(b, levels);
	levels[0].by = FENCE_BY_PACEMAKER;
	assert_int_equal(fence_levels(levels, 3, note, &reports, &by, &err), 0);
	assert_int_equal(by, 0);
	assert_string_equal(reports.text, "first done\n");
	log = content(b, "log");
	assert_string_equal(log, "--fence n2 --timeout 16 --tag lunward\n");
}

/* --- the node's own watchdog ---*/

static void watchdog_is_waited_for_from_when_the_node_was_cut_off(void **state)
{
	int64_t began_ms = clock_now_ms(), since_ms = began_ms - 60000;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(fence_watchdog("n2", since_ms, 60200, 70000, &err), 0);
	assert_in_range(clock_now_ms(), since_ms + 60200, since_ms + 65000);
	/* Other levels have taken longer already. */
	assert_int_equal(fence_watchdog("n2", since_ms, 50000, 70000, &err), 0);
	assert_true(clock_now_ms() < began_ms + 10000);
}

static void watchdog_that_cannot_be_waited_for_fails_at_once(void **state)
{
	int64_t began_ms = clock_now_ms();
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(fence_watchdog("n2", began_ms, 0, 60000, &err), -ENODEV);
	assert_string_equal(err.text, "n2 has no armed watchdog");
	assert_int_equal(fence_watchdog("n2", began_ms, 60001, 60000, &err), -ETIME);
	assert_non_null(strstr(err.text, "timeout_s"));
	assert_true(clock_now_ms() < began_ms + 10000);
}

/* Its time runs while the levels before it are tried. */
static void watchdog_is_a_level_among_others(void **state)
{
	struct bench *b = *state;
	struct reports reports = { "" };
	struct fence_level levels[3];
	struct err err = ERR_INIT;
	int64_t since_ms = clock_now_ms();
	size_t by = 9;

	make_levels(b, levels);
	levels[1].by = levels[2].by = FENCE_BY_WATCHDOG;
	levels[2].since_ms = since_ms;
	levels[2].watchdog_ms = 300;
	assert_int_equal(fence_levels(levels, 3, note, &reports, &by, &err), 0);
	assert_int_equal(by, 2);
	assert_string_equal(reports.text, "first failed\nsecond failed\nthird done\n");
	assert_true(clock_now_ms() >= since_ms + 300);
}

static void all_levels_fail_with_all_reasons(void **state)
{
	struct bench *b = *state;
	struct reports reports = { "" };
	struct fence_level levels[3];
	_cleanup_free_ char *power = NULL;
	struct err err = ERR_INIT;
	size_t by = 9;

	make_levels(b, levels);
	b->common[2] = b->node[0];
	levels[0].request.n_options = 3;
	levels[2].request.agent = "fence_none";
	assert_int_equal(fence_levels(levels, 3, note, &reports, &by, &err), -ENOENT);
	assert_int_equal(by, 9);
	assert_string_equal(reports.text, "first failed\nsecond failed\nthird failed\n");
	for (size_t i = 0; i < 3; i++)
		assert_non_null(strstr(err.text, levels[i].label));
	assert_true(strlen(err.text) <= FENCE_TEXT_MAX); /* nothing is cut off where nodes agree on it */
	assert_null(strstr(err.text, "0therSecret"));
	power = content(b, "n2");
	assert_string_equal(power, "on");
}

/* A document of before: its text is the agent's alone. */
static void only_level_has_its_own_text(void **state)
{
	struct bench *b = *state;
	struct reports reports = { "" };
	struct fence_level levels[3];
	struct err err = ERR_INIT, alone = ERR_INIT;
	size_t by;

	make_levels(b, levels);
	assert_int_equal(fence_run(&levels[1].request, &alone), -EREMOTEIO);
	assert_int_equal(fence_levels(&levels[1], 1, note, &reports, &by, &err), -EREMOTEIO);
	assert_string_equal(err.text, alone.text);
}

static void no_level_is_no_evidence(void **state)
{
	struct reports reports = { "" };
	struct err err = ERR_INIT;
	size_t by;

	(void)state;
	assert_int_equal(fence_levels(NULL, 0, note, &reports, &by, &err), -ENOSYS);
	assert_string_equal(reports.text, "");
}

/* --- fence loops ---*/

static void loop_is_seen_within_its_window(void **state)
{
	struct bench *b = *state;
	_cleanup_free_ char *path = xasprintf("%s/log", b->dir), *text = NULL;

	assert_false(fence_loop_is_on(path, 1000, 1)); /* there is no file */
	for (int i = 0; i < 3; i++) {
		assert_false(fence_loop_is_on(path, 1000 + i * 100, 3));
		assert_int_equal(fence_loop_note(path, 1000 + i * 100, "bmc"), 0);
	}
	assert_true(fence_loop_is_on(path, 1200, 3));
	assert_true(fence_loop_is_on(path, 1000 + FENCE_LOOP_WINDOW_S - 1, 3));
	assert_false(fence_loop_is_on(path, 1000 + FENCE_LOOP_WINDOW_S, 3)); /* the first is that old now */
	assert_false(fence_loop_is_on(path, 1200, 4));
	assert_false(fence_loop_is_on(path, 1200, 0)); /* no limit */
	/* A clock that was set back: what is still to come does not count. */
	assert_false(fence_loop_is_on(path, 1150, 3));
	/* What has left the window leaves the file. */
	assert_int_equal(fence_loop_note(path, 1000 + FENCE_LOOP_WINDOW_S, "bar"), 0);
	text = content(b, "log");
	assert_string_equal(text, "1100 bmc\n1200 bmc\n1600 bar\n");
}

static void broken_file_does_not_brake(void **state)
{
	static const char *const texts[] = { "", "\n\n\n", "x bmc\ny\n\xff", "1000", "1000 bmc\n9", "99999999999999999999999 bmc\n1000 a\n" };
	struct bench *b = *state;
	_cleanup_free_ char *path = xasprintf("%s/log", b->dir);

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_int_equal(file_replace(path, texts[i], strlen(texts[i]), 0600), 0);
		assert_false(fence_loop_is_on(path, 1000, 2));
		assert_int_equal(fence_loop_note(path, 1001, "bmc"), 0);
		assert_true(fence_loop_is_on(path, 1001, 1));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(off_is_the_default, setup, teardown),
		cmocka_unit_test_setup_teardown(other_actions, setup, teardown),
		cmocka_unit_test_setup_teardown(node_option_wins, setup, teardown),
		cmocka_unit_test_setup_teardown(secrets_stay_out_of_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(secrets_stay_out_where_words_are_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(failure_is_no_success, setup, teardown),
		cmocka_unit_test_setup_teardown(deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_strange_is_run, setup, teardown),
		cmocka_unit_test_setup_teardown(pacemaker_is_asked_for_off, setup, teardown),
		cmocka_unit_test_setup_teardown(pacemaker_that_does_not_succeed_is_no_evidence, setup, teardown),
		cmocka_unit_test_setup_teardown(pacemaker_has_a_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(pacemaker_is_not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(the_real_stonith_admin_knows_these_options, setup, teardown),
		cmocka_unit_test_setup_teardown(levels_are_tried_in_order_until_one_succeeds, setup, teardown),
		cmocka_unit_test_setup_teardown(first_level_that_succeeds_is_the_last_that_runs, setup, teardown),
		cmocka_unit_test_setup_teardown(watchdog_is_waited_for_from_when_the_node_was_cut_off, setup, teardown),
		cmocka_unit_test_setup_teardown(watchdog_that_cannot_be_waited_for_fails_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(watchdog_is_a_level_among_others, setup, teardown),
		cmocka_unit_test_setup_teardown(all_levels_fail_with_all_reasons, setup, teardown),
		cmocka_unit_test_setup_teardown(only_level_has_its_own_text, setup, teardown),
		cmocka_unit_test_setup_teardown(no_level_is_no_evidence, setup, teardown),
		cmocka_unit_test_setup_teardown(loop_is_seen_within_its_window, setup, teardown),
		cmocka_unit_test_setup_teardown(broken_file_does_not_brake, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
