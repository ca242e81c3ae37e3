// SPDX-License-Identifier: GPL-2.0-or-later
/* SRP ports in the kernel's target: own ones, stand-ins for others', and a machine that lacks what the document says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/run_cmd.h"
#include "base/xalloc.h"
#include "target-config/lio/lio.h"
#include "target-config/lio/sessions.h"
#include "target-config/lio/tree.h"
#include "tests/unit/cfs_contract.h"
#include "tests/unit/fake_configfs.h"
#include "tests/unit/lio_fixture.h"

#define OWN "srpt/" FIXTURE_SRP_WWN "/lunward"
#define BY_GUID "srpt/5054:00ff:fe12:0001/lunward"
#define STANDIN(node) "iscsi/" LIO_SRP_STANDIN "fe80:0000:0000:0000:5054:00ff:fe12:000" node "/tpgt_" node

static const char *const gid[] = { FIXTURE_GID };
static const uint32_t only_1[] = { 1 };
static const uint32_t both[] = { 1, 2 };

static struct lio_report reconcile(struct fake *fake, const struct config *config, uint32_t nodeid, const uint32_t *portals_of, size_t n,
				   bool has_gid, struct strbuf *ret_plan)
{
	struct lio_scope scope = { .nodeid = nodeid, .portals_of = portals_of, .n_portals_of = n, .gids = gid, .n_gids = has_gid };
	struct lio_roots roots = { .configfs = FAKE_ROOT, .dbroot = "/nowhere", .cfs = fake_cfs(fake) };
	struct lio_tree *tree = lio_tree_build(config, &scope, &roots);
	struct lio_report report = { 0 };
	struct err err = ERR_INIT;

	if (lio_reconcile(tree, false, 1, ret_plan, &report, &err) < 0)
		fail_msg("%s", err.text);
	lio_tree_free(tree);
	return report;
}

static void assert_settled(struct fake *fake, const struct config *config, const uint32_t *portals_of, size_t n, bool has_gid)
{
	struct lio_report report = reconcile(fake, config, 1, portals_of, n, has_gid, NULL);

	assert_int_equal(report.n_writes + report.n_removals, 0);
	assert_int_equal(report.apart.code, 0);
}

static bool has(struct fake *fake, const char *path)
{
	_cleanup_free_ char *full = xasprintf("%s/%s", FAKE_ROOT, path);
	struct cfs *cfs = fake_cfs(fake);

	return cfs->ops->exists(cfs, full);
}

static void broken_promise(const char *text)
{
	print_message("%s\n", text);
}

static void the_fake_keeps_the_kernels_contract(void **state)
{
	struct fake *fake = fake_new(true);
	struct cfs *cfs = fake_cfs(fake);
	struct strbuf after = { 0 };

	(void)state;
	assert_int_equal(cfs->ops->mkdir(cfs, FAKE_ROOT "/iscsi"), 0);
	fake_srp_port(fake, FIXTURE_SRP_WWN);
	assert_int_equal(cfs_contract_srp(cfs, FAKE_ROOT, "/dev/a", FIXTURE_SRP_WWN, broken_promise), 0);
	assert_int_equal(cfs_contract_srp(cfs, FAKE_ROOT, "/dev/a", "5054:00ff:fe12:0001", broken_promise), 0);
	fake_dump(fake, &after);
	assert_string_equal(strbuf_str(&after), "target/iscsi\n");
	strbuf_done(&after);
	fake_free(fake);
}

/* What there is of the SRP target on node 1. Node 3 has no copy: its stand-in has hosts and no LUNs. */
static void makes_exactly_this(void **state)
{
	static const char *const expected[] = {
		"srpt/discovery_auth/rdma_cm_port", OWN "/lun/lun_1/v1", OWN "/acls/" FIXTURE_PORT_ID "/lun_0/v1",
		STANDIN("2") "/lun/lun_1/v1", STANDIN("2") "/acls/" FIXTURE_PORT_ID "/lun_0/v1", STANDIN("3") "/acls/" FIXTURE_PORT_ID,
	};
	static const char *const unexpected[] = {
		STANDIN("1"), STANDIN("3") "/lun/lun_1", OWN "/acls/iqn.1993-08.org.debian:h1", "iscsi/srp.t1",
		"iscsi/" FIXTURE_IQN "/tpgt_1/acls/" FIXTURE_PORT_ID,
	};
	struct config *config = fixture_config(FIXTURE_SRP);
	struct fake *fake = fake_new(true);

	(void)state;
	fake_srp_port(fake, FIXTURE_SRP_WWN);
	config->srp_rdma_cm_port = 5555;
	reconcile(fake, config, 1, only_1, 1, true, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		if (!has(fake, expected[i]))
			fail_msg("there is no %s", expected[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(unexpected); i++) {
		if (has(fake, unexpected[i]))
			fail_msg("there is %s", unexpected[i]);
	}
	assert_string_equal(fake_get(fake, "srpt/discovery_auth/rdma_cm_port"), "5555");
	assert_string_equal(fake_get(fake, OWN "/enable"), "1");
	assert_string_equal(fake_get(fake, STANDIN("2") "/enable"), "0");
	assert_string_equal(fake_get(fake, OWN "/lun/lun_1/alua_tg_pt_gp"), "TG Port Alias: node1");
	assert_string_equal(fake_get(fake, STANDIN("2") "/lun/lun_1/alua_tg_pt_gp"), "TG Port Alias: node2");
	assert_settled(fake, config, only_1, 1, true);
	fake_free(fake);
	fixture_free(config);
}

/* A node that takes over another's portals opens addresses; the other's RDMA port stays down, and its own is down where nothing is served. */
static void ports_are_not_adopted(void **state)
{
	struct config *config = fixture_config(FIXTURE_SRP);
	struct fake *fake = fake_new(false);

	(void)state;
	fake_srp_port(fake, FIXTURE_SRP_WWN);
	reconcile(fake, config, 1, both, 2, true, NULL);
	assert_string_equal(fake_get(fake, "iscsi/" FIXTURE_IQN "/tpgt_2/enable"), "1");
	assert_string_equal(fake_get(fake, STANDIN("2") "/enable"), "0");
	assert_settled(fake, config, both, 2, true);
	reconcile(fake, config, 1, NULL, 0, true, NULL);
	assert_string_equal(fake_get(fake, OWN "/enable"), "0");
	assert_settled(fake, config, NULL, 0, true);
	fake_free(fake);
	fixture_free(config);
}

/* ib_srpt knows addresses at the port's GUID only. A target that changes to it leaves nothing of the other behind: both have one switch. */
static void hosts_may_be_known_by_address(void **state)
{
	struct config *by_id = fixture_config(FIXTURE_SRP), *config = fixture_config(FIXTURE_SRP | FIXTURE_BY_ADDRESS);
	struct fake *fake = fake_new(true);
	struct lio_roots roots = { .configfs = FAKE_ROOT, .dbroot = "/nowhere", .cfs = fake_cfs(fake) };
	struct lio_sessions sessions = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	fake_srp_port(fake, FIXTURE_SRP_WWN);
	reconcile(fake, by_id, 1, only_1, 1, true, NULL);
	reconcile(fake, config, 1, only_1, 1, true, NULL);
	assert_false(has(fake, "srpt/" FIXTURE_SRP_WWN));
	assert_true(has(fake, BY_GUID "/acls/10.77.0.9/lun_0/v1"));
	assert_true(has(fake, STANDIN("2") "/acls/10.77.0.9/lun_0/v1"));
	assert_string_equal(fake_get(fake, BY_GUID "/enable"), "1");
	assert_settled(fake, config, only_1, 1, true);
	fake_set(fake, BY_GUID "/acls/10.77.0.9/lun_0/statistics/scsi_att_intr_port/indx", "1");
	assert_int_equal(lio_sessions_read(&roots, config, NULL, NULL, &sessions), 0);
	assert_int_equal(sessions.n, 1);
	lio_sessions_done(&sessions);
	assert_int_equal(lio_srp_disable(&roots, FIXTURE_GID, &err), 0);
	assert_string_equal(fake_get(fake, BY_GUID "/enable"), "0");
	fake_free(fake);
	fixture_free(by_id);
	fixture_free(config);
}

/* Also where the port is not: the rest forgets. */
static void forgetting_passes_over_a_port_that_is_missing(void **state)
{
	struct config *config = fixture_config(FIXTURE_SRP);
	struct lio_scope scope = { .nodeid = 1, .gids = gid, .n_gids = 1 };
	struct fake *fake = fake_new(true);
	struct lio_roots roots = { .configfs = FAKE_ROOT, .dbroot = "/nowhere", .cfs = fake_cfs(fake) };
	struct err err = ERR_INIT;

	(void)state;
	reconcile(fake, config, 1, only_1, 1, false, NULL);
	assert_int_equal(lio_forget_reservations(&roots, config, &scope, "v1", &err), 0);
	fake_free(fake);
	fixture_free(config);
}

/* As when a host must not hear GOOD. */
static void a_port_is_cut_and_comes_back(void **state)
{
	struct config *config = fixture_config(FIXTURE_SRP);
	struct fake *fake = fake_new(false);
	struct lio_roots roots = { .configfs = FAKE_ROOT, .dbroot = "/nowhere", .cfs = fake_cfs(fake) };
	struct err err = ERR_INIT;

	(void)state;
	fake_srp_port(fake, FIXTURE_SRP_WWN);
	assert_int_equal(lio_srp_disable(&roots, FIXTURE_GID, &err), 0); /* none there: nobody to cut */
	reconcile(fake, config, 1, only_1, 1, true, NULL);
	assert_int_equal(lio_srp_disable(&roots, FIXTURE_GID, &err), 0);
	assert_string_equal(fake_get(fake, OWN "/enable"), "0");
	reconcile(fake, config, 1, only_1, 1, true, NULL);
	assert_string_equal(fake_get(fake, OWN "/enable"), "1");
	fake_free(fake);
	fixture_free(config);
}

static void sessions_are_there_or_not(void **state)
{
	struct config *config = fixture_config(FIXTURE_SRP);
	struct fake *fake = fake_new(false);
	struct lio_roots roots = { .configfs = FAKE_ROOT, .dbroot = "/nowhere", .cfs = fake_cfs(fake) };
	struct lio_sessions sessions = { 0 };

	(void)state;
	fake_srp_port(fake, FIXTURE_SRP_WWN);
	reconcile(fake, config, 1, only_1, 1, true, NULL);
	assert_int_equal(lio_sessions_read(&roots, config, NULL, NULL, &sessions), 0);
	assert_int_equal(sessions.n, 0);
	lio_sessions_done(&sessions);
	fake_set(fake, OWN "/acls/" FIXTURE_PORT_ID "/lun_0/statistics/scsi_att_intr_port/indx", "1");
	fake_set(fake, OWN "/acls/" FIXTURE_PORT_ID "/lun_0/statistics/scsi_auth_intr/num_cmds", "7");
	assert_int_equal(lio_sessions_read(&roots, config, NULL, NULL, &sessions), 0);
	assert_int_equal(sessions.n, 1);
	assert_string_equal(sessions.items[0].target, "srp.t1");
	assert_string_equal(sessions.items[0].initiator, FIXTURE_PORT_ID);
	assert_string_equal(sessions.items[0].portals[0], FIXTURE_GID);
	assert_int_equal(sessions.items[0].tpgt, 1);
	assert_int_equal(sessions.items[0].n_luns, 1);
	assert_string_equal(sessions.items[0].luns[0].volume, "v1");
	assert_int_equal(sessions.items[0].luns[0].commands, 7);
	lio_sessions_done(&sessions);
	fake_free(fake);
	fixture_free(config);
}

/* In the plan: identifiers as they are written, and groups in the order in which a volume's LUNs are linked. */
static void collect(const char *plan, const char *text, struct strbuf *out)
{
	for (const char *p = strstr(plan, text); p; p = strstr(p + 1, text))
		strbuf_addf(out, "%.*s\n", (int)strcspn(p, "\n"), p);
}

/* REPORT TARGET PORT GROUPS says the same on all nodes, one without RDMA included: on 6.1 by the order of links, later by what is written. */
static void all_nodes_show_the_same_ports(void **state)
{
	struct config *config = fixture_config(FIXTURE_SRP | FIXTURE_T2);
	struct strbuf first = { 0 };

	(void)state;
	for (uint32_t nodeid = 1; nodeid <= 2; nodeid++) {
		struct strbuf plan = { 0 }, got = { 0 };
		struct fake *fake = fake_new(true);

		if (nodeid == 1)
			fake_srp_port(fake, FIXTURE_SRP_WWN);
		reconcile(fake, config, nodeid, only_1, 1, nodeid == 1, &plan);
		collect(strbuf_str(&plan), "/rtpi ", &got);
		collect(strbuf_str(&plan), "/lun/lun_1/alua_tg_pt_gp ", &got);
		assert_non_null(strstr(strbuf_str(&got), "node2"));
		if (nodeid == 1)
			strbuf_add(&first, strbuf_str(&got));
		else
			assert_string_equal(strbuf_str(&first), strbuf_str(&got));
		strbuf_done(&plan);
		strbuf_done(&got);
		fake_free(fake);
	}
	strbuf_done(&first);
	fixture_free(config);
}

/* The port is pulled, and put in again. */
static void a_port_that_is_missing_is_stood_in_for(void **state)
{
	struct config *config = fixture_config(FIXTURE_SRP);
	struct fake *fake = fake_new(false);

	(void)state;
	reconcile(fake, config, 1, only_1, 1, false, NULL);
	assert_true(has(fake, STANDIN("1") "/lun/lun_1/v1"));
	assert_false(has(fake, "srpt"));
	assert_string_equal(fake_get(fake, STANDIN("1") "/enable"), "0");
	assert_settled(fake, config, only_1, 1, false);
	fake_srp_port(fake, FIXTURE_SRP_WWN);
	reconcile(fake, config, 1, only_1, 1, true, NULL);
	assert_false(has(fake, STANDIN("1")));
	assert_string_equal(fake_get(fake, OWN "/enable"), "1");
	assert_settled(fake, config, only_1, 1, true);
	reconcile(fake, config, 1, only_1, 1, false, NULL);
	assert_false(has(fake, "srpt/" FIXTURE_SRP_WWN));
	assert_settled(fake, config, only_1, 1, false);
	fake_free(fake);
	fixture_free(config);
}

/* The GID is there, and ib_srpt will not have it: told apart, and hosts on iSCSI are served. */
static void a_port_that_is_refused_stops_nothing_else(void **state)
{
	struct config *config = fixture_config(FIXTURE_SRP | FIXTURE_T2);
	struct fake *fake = fake_new(true);
	struct lio_report report;

	(void)state;
	fake_srp_port(fake, "0xfe800000000000000000000000000099");
	report = reconcile(fake, config, 1, only_1, 1, true, NULL);
	assert_int_not_equal(report.apart.code, 0);
	assert_non_null(strstr(report.apart.text, FIXTURE_SRP_WWN));
	assert_true(report.is_built);
	assert_string_equal(fake_get(fake, "iscsi/" FIXTURE_IQN "/tpgt_1/enable"), "1");
	assert_true(has(fake, "iscsi/" FIXTURE_IQN2 "/tpgt_1/acls/iqn.1993-08.org.debian:h1/lun_0/v1"));
	assert_true(has(fake, STANDIN("2") "/acls/" FIXTURE_PORT_ID "/lun_0/v1"));
	fake_srp_port(fake, FIXTURE_SRP_WWN);
	reconcile(fake, config, 1, only_1, 1, true, NULL);
	assert_settled(fake, config, only_1, 1, true);
	fake_free(fake);
	fixture_free(config);
}

/* Also what left the document while the node was away; another's target at the same fabric stays. */
static void goes_with_its_document(void **state)
{
	struct config *config = fixture_config(FIXTURE_SRP), empty = { 0 };
	struct fake *fake = fake_new(false);
	struct cfs *cfs = fake_cfs(fake);
	struct strbuf after = { 0 };

	(void)state;
	fake_srp_port(fake, FIXTURE_SRP_WWN);
	reconcile(fake, config, 1, only_1, 1, true, NULL);
	fake_srp_port(fake, "0xfe800000000000000000000000000099");
	assert_int_equal(cfs->ops->mkdir(cfs, FAKE_ROOT "/srpt/0xfe800000000000000000000000000099"), 0);
	assert_int_equal(cfs->ops->mkdir(cfs, FAKE_ROOT "/srpt/0xfe800000000000000000000000000099/tpgt_1"), 0);
	reconcile(fake, &empty, 1, NULL, 0, true, NULL);
	fake_dump(fake, &after);
	assert_string_equal(strbuf_str(&after), "target/iscsi\ntarget/srpt\ntarget/srpt/0xfe800000000000000000000000000099\n"
						"target/srpt/0xfe800000000000000000000000000099/tpgt_1\n");
	strbuf_done(&after);
	fake_free(fake);
	fixture_free(config);
}

static void put(const char *root, const char *path, const char *text)
{
	_cleanup_free_ char *full = xasprintf("%s/%s", root, path);
	_cleanup_free_ char *dir = xasprintf("%.*s", (int)(strrchr(full, '/') - full), full);

	assert_int_equal(file_make_dirs(dir, 0700), 0);
	assert_int_equal(file_replace(full, text, strlen(text), 0600), 0);
}

/* Of ports that have one, and only if there is somebody to serve them. */
static void the_machine_says_which_ports_it_has(void **state)
{
	struct config *config = fixture_config(FIXTURE_SRP), *iscsi = fixture_config(0);
	struct lio_scope scope = { .nodeid = 1 };
	struct err err = ERR_INIT;
	char root[] = "/tmp/lunward-sysfs.XXXXXX", text[ERR_TEXT_SIZE];
	char **gids;
	size_t n;

	(void)state;
	assert_non_null(mkdtemp(root));
	put(root, "class/infiniband/rxe0/ports/1/gids/0", FIXTURE_GID "\n");
	put(root, "class/infiniband/rxe0/ports/1/gids/1", "0000:0000:0000:0000:0000:ffff:0a4d:0001\n");
	put(root, "class/infiniband/mlx0/ports/2/gids/0", "0000:0000:0000:0000:0000:0000:0000:0000\n");
	lio_gids_read(root, &gids, &n);
	assert_int_equal(n, 0);
	put(root, "module/ib_srpt/refcnt", "0\n");
	lio_gids_read(root, &gids, &n);
	assert_int_equal(n, 1);
	assert_string_equal(gids[0], FIXTURE_GID);
	assert_true(lio_srp_wanted(config, 1));
	assert_false(lio_srp_wanted(config, 4));
	assert_false(lio_srp_wanted(iscsi, 1));
	lio_srp_lacks(config, &scope, text);
	assert_non_null(strstr(text, FIXTURE_GID));
	scope.gids = (const char *const *)gids;
	scope.n_gids = n;
	lio_srp_lacks(config, &scope, text);
	assert_string_equal(text, "");
	cfs_names_free(gids, n);
	assert_int_equal(run_cmdl(&err, 5000, "rm", "-r", root, NULL), 0);
	fixture_free(config);
	fixture_free(iscsi);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_fake_keeps_the_kernels_contract),
		cmocka_unit_test(makes_exactly_this),
		cmocka_unit_test(ports_are_not_adopted),
		cmocka_unit_test(hosts_may_be_known_by_address),
		cmocka_unit_test(forgetting_passes_over_a_port_that_is_missing),
		cmocka_unit_test(a_port_is_cut_and_comes_back),
		cmocka_unit_test(sessions_are_there_or_not),
		cmocka_unit_test(all_nodes_show_the_same_ports),
		cmocka_unit_test(a_port_that_is_missing_is_stood_in_for),
		cmocka_unit_test(a_port_that_is_refused_stops_nothing_else),
		cmocka_unit_test(goes_with_its_document),
		cmocka_unit_test(the_machine_says_which_ports_it_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
