// SPDX-License-Identifier: GPL-2.0-or-later
/* /proc/drbd of DRBD 8.4, captured. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "target-config/backend/drbd.h"

static const char captured[] = "version: 8.4.11 (api:1/proto:86-101)\n"
			       "srcversion: F73C670A7EC572DB9CF3E5B \n"
			       "\n"
			       " 3: cs:Unconfigured\n"
			       " 4: cs:StandAlone ro:Secondary/Unknown ds:Outdated/DUnknown   r-----\n"
			       "    ns:0 nr:0 dw:0 dr:0 al:8 bm:0 lo:0 pe:0 ua:0 ap:0 ep:1 wo:f oos:0\n"
			       "100: cs:Connected ro:Secondary/Primary ds:UpToDate/UpToDate C r-----\n"
			       "    ns:0 nr:339 dw:339 dr:0 al:8 bm:0 lo:0 pe:0 ua:0 ap:0 ep:1 wo:f oos:0\n"
			       "1100: cs:SyncTarget ro:Secondary/Primary ds:Inconsistent/UpToDate C r-----\n";

static void devices_are_told_apart(void **unused)
{
	struct drbd_proc_state state;

	(void)unused;
	assert_int_equal(drbd_proc_line(captured, 100, &state), 0);
	assert_string_equal(state.connection, "Connected");
	assert_string_equal(state.disk, "UpToDate");
	assert_int_equal(drbd_proc_line(captured, 4, &state), 0);
	assert_string_equal(state.connection, "StandAlone");
	assert_string_equal(state.disk, "Outdated");
	assert_int_equal(drbd_proc_line(captured, 1100, &state), 0);
	assert_string_equal(state.disk, "Inconsistent");
}

static void what_is_not_up_has_no_state(void **unused)
{
	struct drbd_proc_state state;

	(void)unused;
	assert_int_equal(drbd_proc_line(captured, 3, &state), -ENODEV);
	assert_int_equal(drbd_proc_line(captured, 0, &state), -ENODEV);
	assert_int_equal(drbd_proc_line(captured, 10, &state), -ENODEV);
}

static void later_versions_are_asked_otherwise(void **unused)
{
	struct drbd_proc_state state;

	(void)unused;
	assert_int_equal(drbd_proc_line("version: 9.2.8 (api:2/proto:86-122)\n", 100, &state), -EOPNOTSUPP);
	assert_int_equal(drbd_proc_line("", 100, &state), -EOPNOTSUPP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(devices_are_told_apart),
		cmocka_unit_test(what_is_not_up_has_no_state),
		cmocka_unit_test(later_versions_are_asked_otherwise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
