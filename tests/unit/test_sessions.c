// SPDX-License-Identifier: GPL-2.0-or-later
/* Who is logged in, from texts as lio_target_nacl_info_show() prints them (6.1 and 6.12 alike), and from a configfs in memory. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "target-config/lio/sessions.h"
#include "target-config/lio/tree.h"
#include "tests/unit/fake_configfs.h"
#include "tests/unit/lio_fixture.h"

#define T1 "iscsi/" FIXTURE_IQN
#define H1 "iqn.1993-08.org.debian:h1"
#define ACL1 T1 "/tpgt_1/acls/" H1

#define HEAD(alias, sid, state)                                                                                                        \
	"InitiatorName: " H1 "\nInitiatorAlias: " alias "\nLIO Session ID: " sid "   ISID: 0x00 02 3d 00 00 0a  TSIH: 3  SessionType: Normal\n" \
	"Session State: " state "\n"                                                                                                   \
	"---------------------[iSCSI Session Values]-----------------------\n"                                                         \
	"  CmdSN/WR  :  CmdSN/WC  :  ExpCmdSN  :  MaxCmdSN  :     ITT    :     TTT\n"                                                  \
	" 0x00000000   0x00000080   0x0000a1b2   0x0000a231   0x00000021   0x000004d2\n"                                               \
	"----------------------[iSCSI Connections]-------------------------\n"
#define CONNECTION(cid, state, address, transport) "CID: " cid "  Connection State: " state "\n   Address " address " " transport "  StatSN: 0x6f3c21a0\n"
#define LOGGED_IN HEAD("web1", "7", "TARG_SESS_STATE_LOGGED_IN") CONNECTION("0", "TARG_CONN_STATE_LOGGED_IN", "10.77.0.9", "TCP")

static struct lio_session parsed(const char *info)
{
	struct lio_session session = { 0 };

	assert_int_equal(lio_session_parse(info, &session), 0);
	return session;
}

static void a_session_as_the_kernel_prints_it(void **state)
{
	struct lio_session session = parsed(LOGGED_IN "");

	(void)state;
	assert_string_equal(session.initiator, H1);
	assert_string_equal(session.alias, "web1");
	assert_int_equal(session.sid, 7);
	assert_string_equal(session.isid, "00023d00000a");
	assert_int_equal(session.tsih, 3);
	assert_string_equal(session.state, "LOGGED_IN");
	assert_int_equal(session.n_connections, 1);
	assert_int_equal(session.connections[0].cid, 0);
	assert_string_equal(session.connections[0].state, "LOGGED_IN");
	assert_string_equal(session.connections[0].address, "10.77.0.9");
	assert_true(session.connections[0].is_tcp);
	lio_session_done(&session);
}

static void nobody_is_no_session(void **state)
{
	struct lio_session session;

	(void)state;
	assert_int_equal(lio_session_parse("No active iSCSI Session for Initiator Endpoint: " H1 "\n", &session), -ENOENT);
	assert_int_equal(lio_session_parse("", &session), -EBADMSG);
	assert_int_equal(lio_session_parse("InitiatorName: " H1 "\n", &session), -EBADMSG);
	assert_int_equal(lio_session_parse(HEAD("", "99999999999", "TARG_SESS_STATE_LOGGED_IN"), &session), -EBADMSG);
}

static void states_and_transports(void **state)
{
	struct lio_session session = parsed(HEAD("", "1", "TARG_SESS_STATE_FAILED"));

	(void)state;
	assert_string_equal(session.alias, "");
	assert_string_equal(session.state, "FAILED");
	assert_int_equal(session.n_connections, 0);
	lio_session_done(&session);
	session = parsed(HEAD("", "1", "TARG_SESS_FREE") CONNECTION("0", "TARG_CONN_STATE_IN_LOGOUT", "fd00::9", "SCTP")
			 CONNECTION("12", "ERROR: Unknown Connection State!", "10.77.0.9", "TCP"));
	assert_string_equal(session.state, "FREE");
	assert_int_equal(session.n_connections, 2);
	assert_string_equal(session.connections[0].state, "IN_LOGOUT");
	assert_string_equal(session.connections[0].address, "fd00::9");
	assert_false(session.connections[0].is_tcp); /* how it says iSER */
	assert_int_equal(session.connections[1].cid, 12);
	assert_string_equal(session.connections[1].state, "UNKNOWN");
	lio_session_done(&session);
	session = parsed(HEAD("", "1", "ERROR: Unknown Session State!"));
	assert_string_equal(session.state, "UNKNOWN");
	lio_session_done(&session);
}

/* A host names itself: what it says must not pass for the kernel's words. */
static void an_alias_cannot_lie(void **state)
{
	struct lio_session session = parsed(HEAD("x\nLIO Session ID: 99   ISID: 0xff ff ff ff ff ff  TSIH: 9  SessionType: Normal\n"
						 "Session State: TARG_SESS_STATE_FAILED\nCID: 5  Connection State: TARG_CONN_STATE_FREE\n"
						 "   Address 1.2.3.4 TCP  StatSN: 0x0", "7", "TARG_SESS_STATE_LOGGED_IN")
					    CONNECTION("0", "TARG_CONN_STATE_LOGGED_IN", "10.77.0.9", "TCP"));

	(void)state;
	assert_string_equal(session.alias, "x");
	assert_int_equal(session.sid, 7);
	assert_string_equal(session.isid, "00023d00000a");
	assert_string_equal(session.state, "LOGGED_IN");
	assert_int_equal(session.n_connections, 1);
	assert_string_equal(session.connections[0].address, "10.77.0.9");
	lio_session_done(&session);
}

/* The kernel stops after a page. */
static void what_is_cut_off_is_left_out(void **state)
{
	_cleanup_free_ char *text = xstrdup(LOGGED_IN CONNECTION("1", "TARG_CONN_STATE_LOGGED_IN", "10.77.0.10", "TCP"));

	(void)state;
	for (size_t len = strlen(text); len > 0; len--) {
		struct lio_session session = { 0 };
		int rc;

		text[len] = '\0';
		rc = lio_session_parse(text, &session);
		if (len >= strlen(LOGGED_IN))
			assert_true(rc == 0 && session.n_connections >= 1);
		for (size_t i = 0; rc == 0 && i < session.n_connections; i++)
			assert_string_equal(session.connections[i].address, i ? "10.77.0.10" : "10.77.0.9");
		if (rc == 0) {
			assert_string_equal(session.state, "LOGGED_IN");
			lio_session_done(&session);
		} else {
			assert_int_equal(rc, -EBADMSG);
		}
	}
}

/* --- a node ------------------------------------------------------------------------------------------------------------*/

struct world {
	struct fake *fake;
	struct lio_roots roots;
	struct config *config;
};

static int set_up(void **state)
{
	static const uint32_t mine[] = { 1 };
	struct world *world = xcalloc(1, sizeof(*world));
	struct lio_scope scope = { .nodeid = 1, .portals_of = mine, .n_portals_of = 1, .health_password = "sesame" };
	struct lio_report report;
	struct lio_tree *tree;

	world->fake = fake_new(false);
	world->roots = (struct lio_roots){ .configfs = FAKE_ROOT, .dbroot = "/nowhere", .cfs = fake_cfs(world->fake) };
	world->config = fixture_config(FIXTURE_H2 | FIXTURE_T2);
	tree = lio_tree_build(world->config, &scope, &world->roots);
	assert_int_equal(lio_reconcile(tree, false, 1, NULL, &report, NULL), 0);
	lio_tree_free(tree);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;

	fixture_free(world->config);
	fake_free(world->fake);
	free(world);
	return 0;
}

static bool all(void *ctx, const struct lio_session *session)
{
	(void)ctx;
	(void)session;
	return true;
}

static struct lio_sessions sessions(struct world *world, lio_wants_fn *details)
{
	struct lio_sessions found = { 0 };

	assert_int_equal(lio_sessions_read(&world->roots, world->config, details, NULL, &found), 0);
	return found;
}

static void log_in(struct world *world)
{
	fake_set(world->fake, ACL1 "/info", "InitiatorName: " H1 "\nInitiatorAlias: web1\nLIO Session ID: 7   ISID: 0x00 02 3d 00 00 0a  TSIH: 3  "
		 "SessionType: Normal\nSession State: TARG_SESS_STATE_LOGGED_IN\n" CONNECTION("0", "TARG_CONN_STATE_LOGGED_IN", "10.77.0.9", "TCP"));
	fake_set(world->fake, ACL1 "/param/MaxBurstLength", "262144");
	fake_set(world->fake, ACL1 "/param/InitialR2T", "0");
	fake_set(world->fake, ACL1 "/fabric_statistics/iscsi_sess_stats/conn_digest_errors", "2");
	fake_set(world->fake, ACL1 "/lun_0/statistics/scsi_auth_intr/num_cmds", "1200");
	fake_set(world->fake, ACL1 "/lun_0/statistics/scsi_auth_intr/read_mbytes", "34");
	fake_set(world->fake, ACL1 "/lun_0/statistics/scsi_auth_intr/write_mbytes", "56");
	fake_set(world->fake, T1 "/fabric_statistics/iscsi_instance/sessions", "1");
}

static void nobody_is_logged_in(void **state)
{
	struct lio_sessions found = sessions(*state, all);

	assert_int_equal(found.n, 0);
	assert_int_equal(found.n_targets, 2);
	assert_int_equal(found.targets[0].n_total, 0);
	lio_sessions_done(&found);
}

static const struct lio_value *value_named(const struct lio_value *values, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(values[i].name, name) == 0)
			return &values[i];
	}
	return NULL;
}

static void a_session_with_all_its_numbers(void **state)
{
	struct world *world = *state;
	const struct lio_session *session;
	struct lio_sessions found;

	log_in(world);
	found = sessions(world, all);
	assert_int_equal(found.n, 1);
	session = &found.items[0];
	assert_string_equal(session->target, FIXTURE_IQN);
	assert_int_equal(session->tpgt, 1);
	assert_string_equal(session->initiator, H1);
	assert_int_equal(session->n_parameters, 2); /* those that are numbers */
	assert_int_equal(value_named(session->parameters, 2, "MaxBurstLength")->value, 262144);
	assert_int_equal(value_named(session->parameters, 2, "InitialR2T")->value, 0);
	assert_int_equal(session->n_counters, 1);
	assert_int_equal(value_named(session->counters, 1, "conn_digest_errors")->value, 2);
	assert_string_equal(session->header_digest, "CRC32C,None");
	assert_int_equal(session->n_portals, 1);
	assert_string_equal(session->portals[0], "10.77.0.1:3260");
	assert_int_equal(session->n_luns, 2);
	assert_string_equal(session->luns[0].volume, "v1");
	assert_int_equal(session->luns[0].lun, 0);
	assert_int_equal(session->luns[0].commands, 1200);
	assert_int_equal(session->luns[0].read_mib, 34);
	assert_int_equal(session->luns[0].written_mib, 56);
	assert_string_equal(session->luns[1].volume, "v2");
	assert_int_equal(session->luns[1].commands, 0);
	lio_sessions_done(&found);
	found = sessions(world, NULL); /* without details */
	assert_int_equal(found.n, 1);
	assert_int_equal(found.items[0].n_luns + found.items[0].n_parameters + found.items[0].n_portals, 0);
	lio_sessions_done(&found);
}

/* Two of one initiator with one portal group: `info` has the last. */
static void what_the_kernel_does_not_show_is_counted(void **state)
{
	struct world *world = *state;
	struct lio_sessions found;

	log_in(world);
	fake_set(world->fake, T1 "/fabric_statistics/iscsi_instance/sessions", "2");
	found = sessions(world, NULL);
	assert_string_equal(found.targets[0].target, FIXTURE_IQN);
	assert_int_equal(found.targets[0].n_total, 2);
	assert_int_equal(found.targets[0].n_shown, 1);
	lio_sessions_done(&found);
}

/* The agent looks at its portals now and then: no host has come for that. */
static void the_agent_is_no_host(void **state)
{
	struct world *world = *state;
	struct lio_sessions found;

	log_in(world);
	fake_set(world->fake, T1 "/tpgt_1/acls/" CONFIG_HEALTH_INITIATOR "/info", HEAD("", "9", "TARG_SESS_STATE_LOGGED_IN"));
	fake_set(world->fake, T1 "/fabric_statistics/iscsi_instance/sessions", "2");
	found = sessions(world, all);
	assert_int_equal(found.n, 1);
	assert_int_equal(found.items[0].sid, 7);
	assert_int_equal(found.targets[0].n_total, 1);
	assert_int_equal(found.targets[0].n_shown, 1);
	lio_sessions_done(&found);
	fake_set(world->fake, T1 "/fabric_statistics/iscsi_instance/sessions", "0"); /* both have gone meanwhile */
	found = sessions(world, NULL);
	assert_int_equal(found.targets[0].n_total, 0);
	lio_sessions_done(&found);
}

/* The n-th operation fails: no crash, no leak, and either an error or what was seen. */
static void faults_while_reading(void **state)
{
	struct world *world = *state;
	bool failed = true;

	log_in(world);
	for (long n = 1; failed; n++) {
		struct lio_sessions found = { 0 };
		int rc;

		fake_fail_nth(world->fake, n);
		rc = lio_sessions_read(&world->roots, world->config, all, NULL, &found);
		failed = fake_failed(world->fake);
		if (rc == 0)
			lio_sessions_done(&found);
		else
			assert_true(failed && rc == -EIO && found.n == 0);
	}
	fake_fail_nth(world->fake, 0);
}

static void one_session_alone(void **state)
{
	struct world *world = *state;
	struct lio_session session = { 0 };

	assert_int_equal(lio_session_read(&world->roots, FIXTURE_IQN, 1, H1, &session), -ENOENT);
	log_in(world);
	assert_int_equal(lio_session_read(&world->roots, FIXTURE_IQN, 2, H1, &session), -ENOENT);
	assert_int_equal(lio_session_read(&world->roots, FIXTURE_IQN, 1, H1, &session), 0);
	assert_int_equal(session.sid, 7);
	assert_string_equal(session.portals[0], "10.77.0.1:3260");
	lio_session_done(&session);
}

static void a_volumes_numbers(void **state)
{
	struct world *world = *state;
	struct lio_volume_io io = { 0 };

	fake_set(world->fake, LIO_HBA "/v1/statistics/scsi_lu/num_cmds", "18446744073709551615");
	fake_set(world->fake, LIO_HBA "/v1/statistics/scsi_lu/read_mbytes", "5");
	fake_set(world->fake, LIO_HBA "/v1/statistics/scsi_lu/write_mbytes", "6");
	fake_set(world->fake, LIO_HBA "/v1/statistics/scsi_lu/resets", "7");
	assert_int_equal(lio_volume_io_read(&world->roots, "v1", &io), 0);
	assert_true(io.commands == UINT64_MAX && io.read_mib == 5 && io.written_mib == 6 && io.resets == 7);
	assert_int_equal(lio_volume_io_read(&world->roots, "none", &io), -ENOENT);
	fake_set(world->fake, LIO_HBA "/v1/statistics/scsi_lu/resets", "many");
	assert_int_equal(lio_volume_io_read(&world->roots, "v1", &io), -ENODATA);
	fake_set(world->fake, LIO_HBA "/v1/statistics/scsi_lu/resets", "7 of 9");
	assert_int_equal(lio_volume_io_read(&world->roots, "v1", &io), -ENODATA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_as_the_kernel_prints_it),
		cmocka_unit_test(nobody_is_no_session),
		cmocka_unit_test(states_and_transports),
		cmocka_unit_test(an_alias_cannot_lie),
		cmocka_unit_test(what_is_cut_off_is_left_out),
		cmocka_unit_test_setup_teardown(nobody_is_logged_in, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_session_with_all_its_numbers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_the_kernel_does_not_show_is_counted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_agent_is_no_host, set_up, tear_down),
		cmocka_unit_test_setup_teardown(faults_while_reading, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_session_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_volumes_numbers, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
