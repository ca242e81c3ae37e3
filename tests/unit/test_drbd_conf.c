// SPDX-License-Identifier: GPL-2.0-or-later
/* The resource file against golden text, and DRBD's arithmetic against what drbdmeta and the kernel of Debian 12 said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "target-config/backend/drbd_conf.h"

#define MIB (1024ull * 1024)

static struct config_pool pool;
static struct config_node nodes[2];
static struct config_group group = { .backend = CONFIG_BACKEND_DRBD, .nodes = { 2, 1 }, .port = 7790 };
static struct config_volume volumes[2];
static struct config config = { .nodes = nodes, .n_nodes = 2, .volumes = volumes, .n_volumes = 2 };

static int setup(void **state)
{
	static char name[] = "g1", v1[] = "v1", v2[] = "data.v2", vg[] = "vg0", n1[] = "n1", n2[] = "n2", a1[] = "10.78.0.1",
		    a2[] = "fd00::2";

	(void)state;
	group.name = name;
	group.volumes = volumes;
	/* The document's order is by name; DRBD's numbers may be in another. */
	volumes[0] = (struct config_volume){ .name = v2, .group = &group, .next = &volumes[1], .pool = &pool, .drbd_minor = 107, .drbd_volume = 1 };
	volumes[1] = (struct config_volume){ .name = v1, .group = &group, .pool = &pool, .drbd_minor = 120, .drbd_volume = 0 };
	nodes[0] = (struct config_node){ .name = n1, .nodeid = 1, .replication_address = a1 };
	nodes[1] = (struct config_node){ .name = n2, .nodeid = 2, .replication_address = a2 };
	pool.vg = vg;
	return 0;
}

static void golden(void **state)
{
	_cleanup_free_ char *text = drbd_conf_print(&config, &group, 1, "storage-a.example"), *expected = NULL;

	(void)state;
	assert_int_equal(file_read("tests/unit/drbd/lunward-g1.res", 65536, &expected, NULL), 0);
	assert_string_equal(text, expected);
}

/* What must be in it whatever else changes. */
static void never_at_the_cost_of_data(void **state)
{
	_cleanup_free_ char *text = drbd_conf_print(&config, &group, 2, "n2");
	static const char *const lines[] = { "protocol C;", "fencing resource-and-stonith;", "allow-two-primaries no;",
					     "after-sb-0pri disconnect;", "after-sb-1pri disconnect;", "after-sb-2pri disconnect;",
					     "rr-conflict disconnect;", "disk-flushes yes;", "md-flushes yes;" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		assert_non_null(strstr(text, lines[i]));
}

static void endpoints(void **state)
{
	_cleanup_free_ char *v4 = drbd_conf_endpoint("10.0.0.1", 7788), *v6 = drbd_conf_endpoint("fd00::2", 7788);

	(void)state;
	assert_string_equal(v4, "ipv4:10.0.0.1:7788");
	assert_string_equal(v6, "ipv6:[fd00::2]:7788");
}

static void metadata_size(void **state)
{
	(void)state;
	/* drbdmeta: md_size_sect 80 for 68 MiB; the kernel: "size = 68 MB (69592 KB)", after growth to 84 MiB "85976 KB". */
	assert_int_equal(drbd_conf_usable_bytes(68 * MIB), 69592 * 1024);
	assert_int_equal(drbd_conf_usable_bytes(84 * MIB), 85976 * 1024);
	assert_int_equal(drbd_conf_usable_bytes(36 * 1024), 0);
}

static void device_size_has_room(void **state)
{
	static const uint64_t extents[] = { 1 * MIB, 4 * MIB, 32 * MIB };

	(void)state;
	assert_int_equal(drbd_conf_device_bytes(64 * MIB, 4 * MIB), 68 * MIB);
	for (size_t e = 0; e < ARRAY_SIZE(extents); e++) {
		for (uint64_t size = 4 * MIB; size < (16ull << 40); size += size / 3 + 4 * MIB) {
			uint64_t device = drbd_conf_device_bytes(size, extents[e]);

			assert_int_equal(device % extents[e], 0);
			assert_true(drbd_conf_usable_bytes(device) >= size);
			assert_true(drbd_conf_usable_bytes(device - extents[e]) < size);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden),
		cmocka_unit_test(never_at_the_cost_of_data),
		cmocka_unit_test(endpoints),
		cmocka_unit_test(metadata_size),
		cmocka_unit_test(device_size_has_room),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
