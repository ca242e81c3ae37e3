// SPDX-License-Identifier: GPL-2.0-or-later
/* The daemon's command line. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <getopt.h>

#include "agent/daemon/settings.h"

static int parse(struct settings *ret, struct err *err, const char *a, const char *b, const char *c)
{
	char words[4][64];
	char *argv[5] = { words[0], words[1], words[2], words[3], NULL };
	const char *given[3] = { a, b, c };
	int argc = 1;

	strcpy(words[0], "lunwardd");
	for (; argc < 4 && given[argc - 1]; argc++)
		snprintf(words[argc], sizeof(words[argc]), "%s", given[argc - 1]);
	optind = 0; /* begins anew: getopt(3) */
	argv[argc] = NULL;
	return settings_parse(ret, argc, argv, err);
}

static void without_a_device_there_is_no_watchdog(void **state)
{
	struct settings settings;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(parse(&settings, &err, NULL, NULL, NULL), 0);
	assert_null(settings.watchdog_device);
	assert_int_equal(settings.watchdog_timeout_s, 15);
}

static void watchdog_is_read(void **state)
{
	struct settings settings;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(parse(&settings, &err, "--watchdog-device=/dev/watchdog1", "--watchdog-timeout=5", NULL), 0);
	assert_non_null(settings.watchdog_device);
	assert_int_equal(settings.watchdog_timeout_s, 5);
	assert_int_equal(parse(&settings, &err, "--watchdog-timeout", "600", NULL), 0);
	assert_int_equal(settings.watchdog_timeout_s, 600);
}

static void timeouts_have_bounds(void **state)
{
	static const char *const bad[] = { "4", "601", "", "x", "10s", "-10", "99999999999999999999" };
	struct settings settings;

	(void)state;
	for (size_t i = 0; i < 7; i++) {
		struct err err = ERR_INIT;

		assert_int_equal(parse(&settings, &err, "--watchdog-timeout", bad[i], NULL), -EINVAL);
		assert_non_null(strstr(err.text, "--watchdog-timeout"));
	}
}

static void who_looks_at_portals(void **state)
{
	struct settings settings;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(parse(&settings, &err, NULL, NULL, NULL), 0);
	assert_string_equal(settings.health, LUNWARD_LIBEXECDIR "/lunward-health");
	assert_int_equal(parse(&settings, &err, "--health", "off", NULL), 0);
	assert_null(settings.health);
	assert_int_equal(parse(&settings, &err, "--health", "/opt/look", NULL), 0);
	assert_string_equal(settings.health, "/opt/look");
	assert_int_equal(parse(&settings, &err, "--health", "on", NULL), -EINVAL);
	assert_non_null(strstr(err.text, "--health"));
}

static void strangers_are_refused(void **state)
{
	struct settings settings;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(parse(&settings, &err, "--none-such", NULL, NULL), -EINVAL);
	assert_int_equal(parse(&settings, &err, "word", NULL, NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_device_there_is_no_watchdog),
		cmocka_unit_test(watchdog_is_read),
		cmocka_unit_test(timeouts_have_bounds),
		cmocka_unit_test(who_looks_at_portals),
		cmocka_unit_test(strangers_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
