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
#include "base/file.h"
#include "base/xalloc.h"
#include "ha/fence/fence.h"

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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
