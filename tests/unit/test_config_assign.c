// SPDX-License-Identifier: GPL-2.0-or-later
/* What is assigned, kept and never given twice. What may not change is in tests/config-cases/bad/NNN-change-*. */
#include <errno.h>

#include "tests/unit/test_config.h"

#define FOUR CASES "/good/04-four-groups.json"
#define SHARED CASES "/good/03-shared.json"

static const struct config_volume *volume(const struct config *config, const char *name)
{
	return config_volume_by_name(config, name);
}

static const struct config_group *group(const struct config *config, const char *name)
{
	return config_group_by_name(config, name);
}

static void lowest_free_numbers_in_order_of_names(void **unused)
{
	_cleanup_config_ struct config *config = parse_file(FOUR);

	(void)unused;
	/* lu_gp_id 1 and port 7788, minor 100 and volume number 7 are written for others. */
	assert_int_equal(group(config, "a")->lu_gp_id, 2);
	assert_int_equal(group(config, "b")->lu_gp_id, 3);
	assert_int_equal(group(config, "c")->lu_gp_id, 1);
	assert_int_equal(group(config, "d")->lu_gp_id, 4);
	assert_int_equal(group(config, "a")->port, 7789);
	assert_int_equal(group(config, "b")->port, 7788);
	assert_int_equal(group(config, "c")->port, 7790);
	assert_int_equal(group(config, "d")->port, 7791);
	assert_int_equal(volume(config, "a1")->drbd_minor, 101);
	assert_int_equal(volume(config, "a2")->drbd_minor, 102);
	assert_int_equal(volume(config, "b1")->drbd_minor, 100);
	assert_int_equal(volume(config, "c1")->drbd_minor, 104);
	assert_int_equal(volume(config, "a1")->drbd_volume, 8);
	assert_int_equal(volume(config, "a2")->drbd_volume, 7);
	assert_int_equal(volume(config, "a3")->drbd_volume, 9);
	assert_int_equal(volume(config, "b1")->drbd_volume, 0);
}

static void serials_are_uuids_of_16_random_bytes_each(void **unused)
{
	_cleanup_config_ struct config *config = parse_file(FOUR);
	const char *serial = volume(config, "a1")->serial;

	(void)unused;
	assert_int_equal(random_calls, 4); /* five volumes, one serial is written */
	assert_string_equal(volume(config, "c1")->serial, "0123456789abcdef0123456789abcdef");
	assert_int_equal(strlen(serial), 36);
	assert_true(serial[8] == '-' && serial[13] == '-' && serial[18] == '-' && serial[23] == '-');
	assert_int_equal(serial[14], '4');
	assert_non_null(strchr("89ab", serial[19]));
}

static void without_random_bytes_a_serial_must_be_there(void **unused)
{
	_cleanup_free_ char *text = load(BRIEF);
	struct config *config = NULL;
	struct err err = ERR_INIT;

	(void)unused;
	assert_int_equal(config_parse(text, strlen(text), NULL, NULL, &config, &err), -EINVAL);
	assert_string_equal(err.text, "volumes.v2.serial: missing in a finished document");
}

static void same_random_bytes(void *p, size_t size)
{
	memset(p, 0x5a, size);
}

/* A broken random source must not give two disks one id. */
static void repeated_random_bytes_are_noticed(void **unused)
{
	_cleanup_free_ char *text = load(FOUR);
	struct config *config = NULL;
	struct err err = ERR_INIT;

	(void)unused;
	assert_int_equal(config_parse(text, strlen(text), NULL, same_random_bytes, &config, &err), -EINVAL);
	assert_memory_equal(err.text, "volumes.a2.serial: its first 25 hex digits", 42);
}

/* The operator's file, applied again and again: same bytes, no random bytes asked for. */
static void same_file_twice_is_the_same_document(void **unused)
{
	static const char *const files[] = { BRIEF, CASES "/good/02-least.json", CASES "/good/03-shared.json", FOUR };

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_free_ char *text = load(files[i]), *first = NULL, *second = NULL;
		_cleanup_config_ struct config *config = parse_file(files[i]), *again = NULL;
		unsigned int calls = random_calls;

		again = parse(text, config);
		first = config_print(config, true);
		second = config_print(again, true);
		assert_string_equal(first, second);
		assert_int_equal(random_calls, calls);
	}
}

/* Whatever comes and goes, what stays keeps its values. */
static void what_stays_keeps_its_values(void **unused)
{
	_cleanup_config_ struct config *config = parse_file(FOUR), *changed = NULL;
	_cleanup_free_ char *text = load(FOUR);

	(void)unused;
	text = change(text, "\"a2\": {\"group\": \"a\", \"pool\": \"ssd\", \"size\": \"100GiB\", \"drbd_volume\": 7}",
		      "\"a0\": {\"group\": \"a\", \"pool\": \"ssd\", \"size\": \"4MiB\"}");
	text = change(text, "\"c\": {\"backend\": \"drbd\", \"nodes\": [\"n3\", \"n1\"], \"lu_gp_id\": 1}",
		      "\"0\": {\"backend\": \"drbd\", \"nodes\": [\"n3\", \"n1\"]}");
	text = change(text, "\"c1\": {\"group\": \"c\"", "\"c0\": {\"group\": \"0\"");
	text = change(text, "0123456789abcdef0123456789abcdef", "1123456789abcdef0123456789abcdef");
	text = change(text, "\"size\": \"1TiB\"", "\"size\": \"2TiB\"");
	changed = parse(text, config);
	assert_string_equal(volume(changed, "a1")->serial, volume(config, "a1")->serial);
	assert_int_equal(volume(changed, "a1")->drbd_minor, 101);
	assert_int_equal(volume(changed, "a1")->drbd_volume, 8);
	assert_int_equal(volume(changed, "a1")->size_bytes, UINT64_C(2) << 40);
	assert_int_equal(volume(changed, "a3")->drbd_minor, 103);
	assert_int_equal(group(changed, "d")->lu_gp_id, 4);
	assert_int_equal(group(changed, "d")->port, 7791);
	/* The new ones get nothing that the document in force uses: what goes and what comes do not meet. */
	assert_int_equal(group(changed, "0")->lu_gp_id, 5);
	assert_int_equal(group(changed, "0")->port, 7792);
	assert_int_equal(volume(changed, "a0")->drbd_minor, 105);
	assert_int_equal(volume(changed, "a0")->drbd_volume, 10);
	assert_int_equal(volume(changed, "c0")->drbd_minor, 106);
}

static void a_freed_number_is_used_again_later(void **unused)
{
	_cleanup_config_ struct config *config = parse_file(BRIEF), *without = NULL, *with = NULL;
	_cleanup_free_ char *text = load(BRIEF), *more = load(BRIEF);

	(void)unused;
	text = change(text, ",\n    \"v2\": {\"group\": \"g1\", \"pool\": \"data\", \"size\": 8388608}", "");
	text = change(text, ",\n    {\"host\": \"h1\", \"volume\": \"v2\", \"target\": \"iqn.2026-11.org.example:t1\", \"lun\": 1}", "");
	without = parse(text, config);
	with = parse(more, without);
	assert_int_equal(volume(with, "v2")->drbd_minor, volume(config, "v2")->drbd_minor);
	assert_string_not_equal(volume(with, "v2")->serial, volume(config, "v2")->serial);
}

/* Without DRBD there is no minor that could tell the LUNs of a portal group apart. */
static void luns_inside_the_target_differ_and_stay(void **unused)
{
	_cleanup_config_ struct config *config = parse_file(SHARED), *changed = NULL;
	_cleanup_free_ char *text = load(SHARED);

	(void)unused;
	assert_int_equal(config_volume_lun(volume(config, "sql")), 100);
	assert_int_equal(config_volume_lun(volume(config, "tmp")), 101);
	assert_int_equal(config_volume_lun(volume(config, "vmfs")), 102);
	text = change(text, "\"sql\": {\"group\"", "\"new\": {\"group\": \"ssd\", \"device\": \"/dev/mapper/other\", \"size\": \"1GiB\"},\n    \"sql\": {\"group\"");
	changed = parse(text, config);
	assert_int_equal(config_volume_lun(volume(changed, "new")), 103);
	assert_int_equal(config_volume_lun(volume(changed, "sql")), 100);
	assert_int_equal(config_volume_lun(volume(changed, "tmp")), 101);
	assert_int_equal(config_volume_lun(volume(changed, "vmfs")), 102);
}

static void written_and_kept_values_clash_loudly(void **unused)
{
	_cleanup_config_ struct config *config = parse_file(FOUR);
	_cleanup_free_ char *text = load(FOUR);

	(void)unused;
	/* d has 7791 in force and does not say so in the file; b now writes it. */
	text = change(text, "\"port\": 7788", "\"port\": 7791");
	assert_refused(text, config,
		       "groups.d.port: is the port of group b too; choose another, or leave it out to get one assigned");
}

static void harmless_changes_are_taken(void **unused)
{
	static const char *const changes[][2] = {
		{ "\"size\": \"1TiB\"", "\"size\": \"2TiB\"" },
		{ "\"port\": 7788", "\"port\": 9000" },
		{ "\"prefer\": \"n2\"", "\"prefer\": \"n3\"" },
		{ "\"nodes\": [\"n3\", \"n2\"]", "\"nodes\": [\"n2\", \"n1\"]" }, /* one copy stays */
		{ "\"cluster\": \"four\"", "\"cluster\": \"five\"" },
		{ "fd00:78::2", "fd00:78::22" },
		{ "fence_ipmilan", "fence_redfish" },
		{ "\"vg\": \"ssd+1\"}", "\"vg\": \"ssd+1\"}, \"new\": {\"vg\": \"new\"}" },
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		_cleanup_config_ struct config *config = parse_file(FOUR), *changed = NULL;
		_cleanup_free_ char *text = load(FOUR);

		text = change(text, changes[i][0], changes[i][1]);
		changed = parse(text, config);
		assert_non_null(changed);
	}
}

/* An empty group holds no bytes: its backend may change. */
static void empty_group_may_change_its_backend(void **unused)
{
	_cleanup_config_ struct config *config = parse_file(FOUR), *local = NULL, *drbd = NULL;
	_cleanup_free_ char *text = load(FOUR), *back = load(FOUR);

	(void)unused;
	text = change(text, "\"d\": {\"backend\": \"drbd\", \"nodes\": [\"n1\", \"n3\"]}", "\"d\": {\"backend\": \"local\", \"nodes\": [\"n1\"]}");
	local = parse(text, config);
	assert_int_equal(group(local, "d")->port, 0);
	assert_int_equal(group(local, "d")->lu_gp_id, 4);
	drbd = parse(back, local);
	assert_int_equal(group(drbd, "d")->port, 7791);
}

static void assigned_ports_keep_clear_of_portals(void **unused)
{
	_cleanup_config_ struct config *config = NULL;
	_cleanup_free_ char *text = load(BRIEF);

	(void)unused;
	text = change(text, ", \"port\": 7789", "");
	text = change(text, "\"port\": 3260", "\"port\": 7788");
	config = parse(text, NULL);
	assert_int_equal(group(config, "g1")->port, 7789);
}

/* Portals on all ports that would be assigned. */
static void no_free_port_is_an_error(void **unused)
{
	char *text = load(BRIEF);
	struct strbuf targets = { 0 };

	(void)unused;
	for (unsigned int port = CONFIG_PORT_FIRST; port <= UINT16_MAX; port++) {
		if ((port - CONFIG_PORT_FIRST) % 256 == 0)
			strbuf_addf(&targets, "%s\"iqn.2026-11.a:%u\": {\"portals\": [", targets.len ? "]}, " : "", port);
		else
			strbuf_add(&targets, ", ");
		strbuf_addf(&targets, "{\"node\": \"n1\", \"address\": \"10.0.0.1\", \"port\": %u}", port);
	}
	strbuf_add(&targets, "]}, \"iqn.2026-11.org.example:t1\": {");
	text = change(text, ", \"port\": 7789", "");
	text = change(text, "\"iqn.2026-11.org.example:t1\": {", targets.s);
	assert_refused(text, NULL, "groups.g1.port: no free port from 7788 up to assign; write one");
	strbuf_done(&targets);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lowest_free_numbers_in_order_of_names),
		cmocka_unit_test(serials_are_uuids_of_16_random_bytes_each),
		cmocka_unit_test(without_random_bytes_a_serial_must_be_there),
		cmocka_unit_test(repeated_random_bytes_are_noticed),
		cmocka_unit_test(same_file_twice_is_the_same_document),
		cmocka_unit_test(what_stays_keeps_its_values),
		cmocka_unit_test(a_freed_number_is_used_again_later),
		cmocka_unit_test(luns_inside_the_target_differ_and_stay),
		cmocka_unit_test(written_and_kept_values_clash_loudly),
		cmocka_unit_test(harmless_changes_are_taken),
		cmocka_unit_test(empty_group_may_change_its_backend),
		cmocka_unit_test(assigned_ports_keep_clear_of_portals),
		cmocka_unit_test(no_free_port_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
