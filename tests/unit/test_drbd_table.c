// SPDX-License-Identifier: GPL-2.0-or-later
/* drbd_table on what drbdsetup 9.22 printed beside DRBD 8.4.11 (tests/unit/drbd/), and on what it never should. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "target-config/backend/backend.h"

DEFINE_CLEANUP(struct drbd_table *, drbd_table_free);
#define _cleanup_table_ _cleanup_(drbd_table_freep)

/* Feeds the file's lines until one contains `until` (inclusive; NULL: all). Fails if that does not come. */
static void feed(struct drbd_table *table, const char *name, const char *until)
{
	_cleanup_free_ char *path = xasprintf("tests/unit/drbd/%s", name), *text = NULL;
	bool found = until == NULL;

	assert_int_equal(file_read(path, 1 << 20, &text, NULL), 0);
	for (char *save = NULL, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (drbd_table_line(table, line) < 0)
			fail_msg("refused: %s", line);
		if (until && strstr(line, until)) {
			found = true;
			break;
		}
	}
	assert_true(found);
}

static void assert_state(const struct drbd_table *table, uint32_t minor, const char *expected)
{
	const struct drbd_volume_state *s = drbd_table_get(table, minor);
	_cleanup_free_ char *got = NULL;

	assert_non_null(s);
	got = xasprintf("%s/%u %s %s %s %s %s susp:%s %lluK oos:%llu %.0f%%", s->resource, s->volume, s->role, s->disk,
			s->connection, s->peer_role, s->peer_disk, s->suspended, (unsigned long long)s->size_kib,
			(unsigned long long)s->out_of_sync_kib, s->done_percent);
	assert_string_equal(got, expected);
}

static void created_and_declared_equal(void **state)
{
	_cleanup_table_ struct drbd_table *t = drbd_table_new();

	(void)state;
	feed(t, "events-peer-lost.txt", "connection:Connected");
	assert_true(drbd_table_is_complete(t));
	assert_state(t, 10, "lunward-g1/0 Secondary Inconsistent Connected Unknown DUnknown susp:no 69592K oos:69592 100%");
	feed(t, "events-peer-lost.txt", "minor:11 disk:UpToDate");
	assert_state(t, 10, "lunward-g1/0 Secondary UpToDate Connected Secondary UpToDate susp:no 69592K oos:0 100%");
	assert_state(t, 11, "lunward-g1/1 Secondary UpToDate Connected Secondary Inconsistent susp:no 69592K oos:69592 100%");
}

static void owner_loses_its_peer(void **state)
{
	_cleanup_table_ struct drbd_table *t = drbd_table_new();

	(void)state;
	feed(t, "events-peer-lost.txt", "role:Primary");
	assert_state(t, 11, "lunward-g1/1 Primary UpToDate Connected Secondary UpToDate susp:no 69592K oos:0 100%");
	feed(t, "events-peer-lost.txt", "call helper");
	assert_state(t, 11, "lunward-g1/1 Primary UpToDate Connecting Unknown DUnknown susp:fencing 69592K oos:0 100%");
}

static void takeover(void **state)
{
	_cleanup_table_ struct drbd_table *t = drbd_table_new();

	(void)state;
	feed(t, "events-takeover.txt", "destroy connection");
	assert_state(t, 100, "lunward-g1/0 Secondary UpToDate StandAlone Unknown DUnknown susp:no 69592K oos:0 100%");
	feed(t, "events-takeover.txt", NULL);
	assert_state(t, 100, "lunward-g1/0 Primary UpToDate Connecting Unknown Outdated susp:no 69592K oos:0 100%");
	assert_state(t, 101, "lunward-g1/1 Primary UpToDate Connecting Unknown Outdated susp:no 69592K oos:40960 100%");
}

static void resync_target(void **state)
{
	_cleanup_table_ struct drbd_table *t = drbd_table_new();

	(void)state;
	feed(t, "events-resync-target.txt", "volume:1 replication:SyncTarget");
	assert_state(t, 101, "lunward-g1/1 Secondary Inconsistent SyncTarget Primary UpToDate susp:no 69592K oos:40960 0%");
	/* What a later dump says. */
	assert_int_equal(drbd_table_line(t, "exists peer-device name:lunward-g1 peer-node-id:0 conn-name:peer volume:1 "
					    "replication:SyncTarget peer-disk:UpToDate resync-suspended:no received:30720 sent:0 "
					    "out-of-sync:10240 pending:0 unacked:0"),
			 1);
	assert_state(t, 101, "lunward-g1/1 Secondary Inconsistent SyncTarget Primary UpToDate susp:no 69592K oos:10240 75%");
	feed(t, "events-resync-target.txt", NULL);
	assert_state(t, 101, "lunward-g1/1 Secondary UpToDate Connected Primary UpToDate susp:no 69592K oos:0 100%");
}

/* peer_device_to_info() says "Off" of a volume until the peer's parameters are there; the connection is "Connected" since the first one had them. */
static void a_volume_shakes_hands(void **state)
{
	_cleanup_table_ struct drbd_table *t = drbd_table_new();

	(void)state;
	feed(t, "events-resync-target.txt", NULL);
	assert_false(drbd_table_get(t, 101)->shakes_hands);
	assert_int_equal(drbd_table_line(t, "change peer-device name:lunward-g1 peer-node-id:0 conn-name:peer volume:1 replication:Off"), 1);
	assert_true(drbd_table_get(t, 101)->shakes_hands);
	assert_false(drbd_table_get(t, 100)->shakes_hands);
	assert_string_equal(drbd_table_get(t, 101)->connection, "Connected");
	assert_int_equal(drbd_table_line(t, "change connection name:lunward-g1 peer-node-id:0 conn-name:peer connection:Connecting role:Unknown"), 1);
	assert_false(drbd_table_get(t, 101)->shakes_hands);
}

static void statistics_may_leave_out_zero(void **state)
{
	_cleanup_table_ struct drbd_table *t = drbd_table_new();

	(void)state;
	feed(t, "events-takeover.txt", NULL);
	assert_int_equal(drbd_table_line(t, "change peer-device name:lunward-g1 peer-node-id:0 conn-name:peer volume:1 "
					    "peer-disk:UpToDate received:0 sent:40960 pending:0 unacked:0"),
			 1);
	assert_int_equal(drbd_table_get(t, 101)->out_of_sync_kib, 0);
}

static void objects_go(void **state)
{
	_cleanup_table_ struct drbd_table *t = drbd_table_new();

	(void)state;
	feed(t, "events-takeover.txt", NULL);
	assert_int_equal(drbd_table_line(t, "destroy device name:lunward-g1 volume:0 minor:100"), 1);
	assert_null(drbd_table_get(t, 100));
	assert_int_equal(drbd_table_line(t, "destroy device name:lunward-g1 volume:0 minor:100"), 0);
	assert_non_null(drbd_table_get(t, 101));
	assert_int_equal(drbd_table_line(t, "destroy resource name:lunward-g1"), 1);
	assert_null(drbd_table_get(t, 101));
	assert_int_equal(drbd_table_line(t, "create device name:lunward-g1 volume:1 minor:101 disk:Diskless size:0"), 1);
	assert_state(t, 101, "lunward-g1/1 Unknown Diskless StandAlone Unknown DUnknown susp:no 0K oos:0 100%");
}

/* Against a plain set of minors, in any order. */
static void volumes_come_and_go_in_any_order(void **state)
{
	enum { MINORS = 64, STEPS = 4000 };
	_cleanup_table_ struct drbd_table *t = drbd_table_new();
	bool there[MINORS] = { false };
	unsigned int seed = 1;

	(void)state;
	for (int step = 0; step < STEPS; step++) {
		unsigned int minor = (unsigned int)rand_r(&seed) % MINORS;
		_cleanup_free_ char *line = xasprintf("%s device name:r%u volume:%u minor:%u", there[minor] ? "destroy" : "create",
						      minor % 3, minor, minor);

		assert_int_equal(drbd_table_line(t, line), 1);
		there[minor] = !there[minor];
		for (uint32_t i = 0; i < MINORS; i++) {
			const struct drbd_volume_state *volume = drbd_table_get(t, i);

			assert_int_equal(volume != NULL, there[i]);
			if (volume)
				assert_int_equal(volume->minor, volume->volume);
		}
	}
	assert_null(drbd_table_get(t, MINORS));
}

static void repetition_is_no_change(void **state)
{
	_cleanup_table_ struct drbd_table *t = drbd_table_new();
	static const char line[] = "change device name:r volume:0 minor:7 disk:UpToDate size:1024 read:5";

	(void)state;
	assert_int_equal(drbd_table_line(t, line), 1);
	assert_int_equal(drbd_table_line(t, line), 0);
	assert_int_equal(drbd_table_line(t, "change resource name:r"), 0);
	assert_int_equal(drbd_table_line(t, "change resource name:r suspended:fencing"), 1);
	assert_int_equal(drbd_table_line(t, "change resource name:r suspended:fencing"), 0);
}

static void lost_events_are_told(void **state)
{
	_cleanup_table_ struct drbd_table *t = drbd_table_new();

	(void)state;
	assert_int_equal(drbd_table_line(t, "- skipped 3"), -ESTALE);
	assert_false(drbd_table_is_complete(t));
}

static void garbage_changes_nothing(void **state)
{
	_cleanup_table_ struct drbd_table *t = drbd_table_new();
	static const char *const lines[] = {
		"", " ", "exists", "change", "exists resource", "exists resource role:Primary", "exists resource name:",
		"burn resource name:lunward-g1 role:Primary", "change - ", "change device name:lunward-g1 volume:0 minor:100 disk",
		"change device name:lunward-g1 volume:0 minor:100 disk:", "change device name:lunward-g1 volume:0 minor:x disk:Failed",
		"change device name:lunward-g1 volume:0 minor:-1 disk:Failed", "change device name:lunward-g1 minor:100 disk:Failed",
		"change device name:lunward-g1 volume:65536 minor:100 disk:Failed",
		"change device name:lunward-g1 volume:0 minor:1048576 disk:Failed",
		"change device name:lunward-g1 volume:0 minor:100 disk:AStateThatNoDRBDHasEverKnown",
		"change resource name:lunward-g1 role:Secondary suspended:AStateThatNoDRBDHasEverKnownAtAll!",
		"change connection name:lunward-g1 peer-node-id:0 role:Primary connection:",
		"change peer-device name:lunward-g1 replication:Off", "call device name:lunward-g1 volume:0 minor:100",
		"change device :lunward-g1 volume:0 minor:100 disk:Failed",
	};
	_cleanup_free_ char *endless = xcalloc(100001, 1);

	(void)state;
	feed(t, "events-takeover.txt", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		if (drbd_table_line(t, lines[i]) != -EINVAL)
			fail_msg("accepted: %s", lines[i]);
	}
	memset(endless, 'x', 100000);
	assert_int_equal(drbd_table_line(t, endless), -EINVAL);
	assert_state(t, 100, "lunward-g1/0 Primary UpToDate Connecting Unknown Outdated susp:no 69592K oos:0 100%");
}

/* Each line of a capture cut after each byte: accepted or refused, never a crash (the sanitizers look on). */
static void truncated_lines_are_survived(void **state)
{
	_cleanup_free_ char *text = NULL;

	(void)state;
	assert_int_equal(file_read("tests/unit/drbd/events-resync-target.txt", 1 << 20, &text, NULL), 0);
	for (char *save = NULL, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		_cleanup_table_ struct drbd_table *t = drbd_table_new();

		for (size_t len = strlen(line); len > 0; len--) {
			line[len] = '\0';
			(void)!drbd_table_line(t, line);
		}
	}
}

static void what_is_not_ours_is_harmless(void **state)
{
	_cleanup_table_ struct drbd_table *t = drbd_table_new();

	(void)state;
	assert_int_equal(drbd_table_line(t, "exists path name:r0 peer-node-id:1 local:ipv4:1.2.3.4:7788 established:yes"), 0);
	assert_int_equal(drbd_table_line(t, "call helper name:r0 peer-node-id:0 volume:0 minor:0 helper:split-brain"), 0);
	assert_int_equal(drbd_table_line(t, "exists resource name:a-name-of-more-than-seventy-two-characters-such-as-an-administrator-"
					    "could-give role:Primary"),
			 0);
	drbd_table_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(created_and_declared_equal),
		cmocka_unit_test(owner_loses_its_peer),
		cmocka_unit_test(takeover),
		cmocka_unit_test(resync_target),
		cmocka_unit_test(a_volume_shakes_hands),
		cmocka_unit_test(statistics_may_leave_out_zero),
		cmocka_unit_test(objects_go),
		cmocka_unit_test(volumes_come_and_go_in_any_order),
		cmocka_unit_test(repetition_is_no_change),
		cmocka_unit_test(lost_events_are_told),
		cmocka_unit_test(garbage_changes_nothing),
		cmocka_unit_test(truncated_lines_are_survived),
		cmocka_unit_test(what_is_not_ours_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
