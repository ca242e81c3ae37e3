// SPDX-License-Identifier: GPL-2.0-or-later
/* Reading the kernel's table of mounts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mounts.h"

static const char table[] = "22 28 0:20 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n"
			    "91 26 0:52 / /run/lunward/lio/pr ro,nosuid shared:50 - tmpfs lunward-pr-guard ro\n"
			    "95 91 0:53 / /run/lunward/lio/pr rw,nosuid shared:51 - fuse lunward-pr rw\n"
			    "96 28 0:53 / /etc/target/pr rw,nosuid shared:51 - fuse lunward-pr rw\n"
			    "97 28 8:1 /srv /etc/target/prior rw - ext4 /dev/sda1 rw\n"
			    "98 28 8:1";

static void the_last_mount_at_a_path_counts(void **state)
{
	char device[MOUNTS_DEVICE_SIZE];

	(void)state;
	assert_int_equal(mounts_find(table, "/run/lunward/lio/pr", device), 0);
	assert_string_equal(device, "0:53");
	assert_int_equal(mounts_find(table, "/etc/target/pr", device), 0);
	assert_string_equal(device, "0:53");
	assert_int_equal(mounts_find(table, "/sys", device), 0);
	assert_string_equal(device, "0:20");
	assert_int_equal(mounts_find(table, "/etc/target", device), -ENOENT);
	assert_int_equal(mounts_find(table, "/", device), -ENOENT);
	assert_int_equal(mounts_find("", "/sys", device), -ENOENT);
}

static void this_machine_has_some(void **state)
{
	char device[MOUNTS_DEVICE_SIZE];

	(void)state;
	assert_int_equal(mounts_device("/proc", device), 0);
	assert_true(mounts_same("/proc", "/proc"));
	assert_false(mounts_same("/proc", "/nowhere"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_mount_at_a_path_counts),
		cmocka_unit_test(this_machine_has_some),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
