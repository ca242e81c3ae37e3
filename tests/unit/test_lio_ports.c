// SPDX-License-Identifier: GPL-2.0-or-later
/* Ports of hardware in the kernel's target: own ones, stand-ins for others', and a machine that lacks what the document says. Each fabric. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

#define BY_GUID "srpt/5054:00ff:fe12:0001/lunward"

struct kind { /* the tests' state */
	unsigned int flags; /* of the document */
	enum config_fabric_id fabric;
	const char *port, *name;  /* as lio_ports_read() and as the kernel has it */
	const char *own, *other;  /* portal group, and a port that is another's */
	const char *standin;      /* without the node */
	const char *target, *address, *initiator;
};

static struct kind kinds[] = {
	{ FIXTURE_SRP, CONFIG_FABRIC_SRP, "srp." FIXTURE_GID, FIXTURE_SRP_WWN, "srpt/" FIXTURE_SRP_WWN "/lunward", "0xfe800000000000000000000000000099",
	  "iscsi/" LIO_PORT_STANDINS "srpt.fe80:0000:0000:0000:5054:00ff:fe12:000", "srp.t1", FIXTURE_GID, FIXTURE_PORT_ID },
	{ FIXTURE_FCOE, CONFIG_FABRIC_FCOE, "fcoe." FIXTURE_WWPN, FIXTURE_WWPN, "fc/" FIXTURE_WWPN "/tpgt_1", "20:00:00:00:00:00:00:99",
	  "iscsi/" LIO_PORT_STANDINS "fc.20:00:52:54:00:12:34:0", "fcoe.t1", FIXTURE_WWPN, FIXTURE_HOST_WWPN },
	{ FIXTURE_FC, CONFIG_FABRIC_FC, "fc." FIXTURE_WWPN, FIXTURE_WWPN, "qla2xxx/" FIXTURE_WWPN "/tpgt_1", "20:00:00:00:00:00:00:99",
	  "iscsi/" LIO_PORT_STANDINS "qla2xxx.20:00:52:54:00:12:34:0", "fc.t1", FIXTURE_WWPN, FIXTURE_HOST_WWPN },
};

static const uint32_t only_1[] = { 1 };
static const uint32_t both[] = { 1, 2 };
static const char *sysfs = "/nowhere";
static char scratch[4][256];

/* Paths below a portal group; four at a time. */
static const char *own(const struct kind *kind, const char *rest)
{
	static unsigned int i;
	char *text = scratch[i++ % ARRAY_SIZE(scratch)];

	snprintf(text, sizeof(scratch[0]), "%s%s", kind->own, rest);
	return text;
}

static const char *standin(const struct kind *kind, unsigned int node, const char *rest)
{
	static char text[4][256];
	static unsigned int i;
	char *at = text[i++ % ARRAY_SIZE(text)];

	snprintf(at, sizeof(text[0]), "%s%u/tpgt_%u%s", kind->standin, node, node, rest);
	return at;
}

static const struct lio_fabric *fabric(const struct kind *kind)
{
	return lio_fabric(kind->fabric);
}

static void add_port(struct fake *fake, const struct kind *kind, const char *name)
{
	fake_port(fake, fabric(kind)->dir, name);
}

static struct lio_roots roots_of(struct fake *fake)
{
	return (struct lio_roots){ .configfs = FAKE_ROOT, .dbroot = "/nowhere", .sysfs = sysfs, .cfs = fake_cfs(fake) };
}

static struct lio_report reconcile(struct fake *fake, const struct kind *kind, const struct config *config, uint32_t nodeid,
				   const uint32_t *portals_of, size_t n, bool has_port, struct strbuf *ret_plan)
{
	const char *const ports[] = { kind->port };
	struct lio_scope scope = { .nodeid = nodeid, .portals_of = portals_of, .n_portals_of = n, .ports = ports, .n_ports = has_port };
	struct lio_roots roots = roots_of(fake);
	struct lio_tree *tree = lio_tree_build(config, &scope, &roots);
	struct lio_report report = { 0 };
	struct err err = ERR_INIT;

	if (lio_reconcile(tree, false, 1, ret_plan, &report, &err) < 0)
		fail_msg("%s", err.text);
	lio_tree_free(tree);
	return report;
}

static void assert_settled(struct fake *fake, const struct kind *kind, const struct config *config, const uint32_t *portals_of, size_t n, bool has_port)
{
	struct lio_report report = reconcile(fake, kind, config, 1, portals_of, n, has_port, NULL);

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
	fake_port(fake, "srpt", FIXTURE_SRP_WWN);
	fake_port(fake, "fc", FIXTURE_WWPN);
	fake_port(fake, "qla2xxx", FIXTURE_WWPN);
	assert_int_equal(cfs_contract_srp(cfs, FAKE_ROOT, "/dev/a", FIXTURE_SRP_WWN, broken_promise), 0);
	assert_int_equal(cfs_contract_srp(cfs, FAKE_ROOT, "/dev/a", "5054:00ff:fe12:0001", broken_promise), 0);
	assert_int_equal(cfs_contract_fc(cfs, FAKE_ROOT, "/dev/a", "fc", FIXTURE_WWPN, broken_promise), 0);
	assert_int_equal(cfs_contract_fc(cfs, FAKE_ROOT, "/dev/a", "qla2xxx", FIXTURE_WWPN, broken_promise), 0);
	fake_dump(fake, &after);
	assert_string_equal(strbuf_str(&after), "target/iscsi\n");
	strbuf_done(&after);
	fake_free(fake);
}

/* What there is of the target on node 1. Node 3 has no copy: its stand-in has hosts and no LUNs. */
static void makes_exactly_this(void **state)
{
	const struct kind *kind = *state;
	_cleanup_free_ char *acl = xasprintf("/acls/%s", kind->initiator), *mapped = xasprintf("%s/lun_0/v1", acl);
	_cleanup_free_ char *no_target = xasprintf("iscsi/%s", kind->target), *no_acl = xasprintf("iscsi/" FIXTURE_IQN "/tpgt_1%s", acl);
	const char *const expected[] = {
		own(kind, "/lun/lun_1/v1"), own(kind, mapped), standin(kind, 2, "/lun/lun_1/v1"), standin(kind, 2, mapped), standin(kind, 3, acl),
	};
	const char *const unexpected[] = { standin(kind, 1, ""), own(kind, "/acls/iqn.1993-08.org.debian:h1"), no_target, no_acl };
	struct config *config = fixture_config(kind->flags);
	struct fake *fake = fake_new(true);

	add_port(fake, kind, kind->name);
	config->srp_rdma_cm_port = 5555;
	reconcile(fake, kind, config, 1, only_1, 1, true, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		if (!has(fake, expected[i]))
			fail_msg("there is no %s", expected[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(unexpected); i++) {
		if (has(fake, unexpected[i]))
			fail_msg("there is %s", unexpected[i]);
	}
	assert_false(has(fake, standin(kind, 3, "/lun/lun_1")));
	if (kind->fabric == CONFIG_FABRIC_SRP)
		assert_string_equal(fake_get(fake, "srpt/discovery_auth/rdma_cm_port"), "5555");
	if (kind->fabric == CONFIG_FABRIC_FC)
		assert_string_equal(fake_get(fake, own(kind, "/attrib/generate_node_acls")), "0");
	assert_string_equal(fake_get(fake, own(kind, "/enable")), fabric(kind)->has_enable ? "1" : "");
	assert_string_not_equal(fake_get(fake, own(kind, "/rtpi")), "0");
	assert_string_equal(fake_get(fake, standin(kind, 2, "/enable")), "0");
	assert_string_equal(fake_get(fake, own(kind, "/lun/lun_1/alua_tg_pt_gp")), "TG Port Alias: node1");
	assert_string_equal(fake_get(fake, standin(kind, 2, "/lun/lun_1/alua_tg_pt_gp")), "TG Port Alias: node2");
	assert_settled(fake, kind, config, only_1, 1, true);
	fake_free(fake);
	fixture_free(config);
}

/* A node that takes over another's portals opens addresses; the other's port stays down, and its own is down where nothing is served, if it can be. */
static void ports_are_not_adopted(void **state)
{
	const struct kind *kind = *state;
	struct config *config = fixture_config(kind->flags);
	struct fake *fake = fake_new(false);

	add_port(fake, kind, kind->name);
	reconcile(fake, kind, config, 1, both, 2, true, NULL);
	assert_string_equal(fake_get(fake, "iscsi/" FIXTURE_IQN "/tpgt_2/enable"), "1");
	assert_string_equal(fake_get(fake, standin(kind, 2, "/enable")), "0");
	assert_settled(fake, kind, config, both, 2, true);
	reconcile(fake, kind, config, 1, NULL, 0, true, NULL);
	assert_string_equal(fake_get(fake, own(kind, "/enable")), fabric(kind)->has_enable ? "0" : "");
	assert_true(has(fake, own(kind, "/lun/lun_1/v1")));
	assert_settled(fake, kind, config, NULL, 0, true);
	fake_free(fake);
	fixture_free(config);
}

/* ib_srpt knows addresses at the port's GUID only. A target that changes to it leaves nothing of the other behind: both have one switch. */
static void hosts_may_be_known_by_address(void **state)
{
	struct config *by_id = fixture_config(FIXTURE_SRP), *config = fixture_config(FIXTURE_SRP | FIXTURE_BY_ADDRESS);
	struct fake *fake = fake_new(true);
	struct lio_roots roots = roots_of(fake);
	struct lio_sessions sessions = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	fake_port(fake, "srpt", FIXTURE_SRP_WWN);
	reconcile(fake, &kinds[0], by_id, 1, only_1, 1, true, NULL);
	reconcile(fake, &kinds[0], config, 1, only_1, 1, true, NULL);
	assert_false(has(fake, "srpt/" FIXTURE_SRP_WWN));
	assert_true(has(fake, BY_GUID "/acls/10.77.0.9/lun_0/v1"));
	assert_true(has(fake, standin(&kinds[0], 2, "/acls/10.77.0.9/lun_0/v1")));
	assert_string_equal(fake_get(fake, BY_GUID "/enable"), "1");
	assert_settled(fake, &kinds[0], config, only_1, 1, true);
	fake_set(fake, BY_GUID "/acls/10.77.0.9/lun_0/statistics/scsi_att_intr_port/indx", "1");
	assert_int_equal(lio_sessions_read(&roots, config, NULL, NULL, &sessions), 0);
	assert_int_equal(sessions.n, 1);
	lio_sessions_done(&sessions);
	assert_int_equal(lio_port_cut(&roots, CONFIG_FABRIC_SRP, FIXTURE_GID, &err), 0);
	assert_string_equal(fake_get(fake, BY_GUID "/enable"), "0");
	fake_free(fake);
	fixture_free(by_id);
	fixture_free(config);
}

/* Also where the port is not: the rest forgets. */
static void forgetting_passes_over_a_port_that_is_missing(void **state)
{
	const struct kind *kind = *state;
	struct config *config = fixture_config(kind->flags);
	const char *const ports[] = { kind->port };
	struct lio_scope scope = { .nodeid = 1, .ports = ports, .n_ports = 1 };
	struct fake *fake = fake_new(true);
	struct lio_roots roots = roots_of(fake);
	struct err err = ERR_INIT;

	reconcile(fake, kind, config, 1, only_1, 1, false, NULL);
	assert_int_equal(lio_forget_reservations(&roots, config, &scope, "v1", &err), 0);
	fake_free(fake);
	fixture_free(config);
}

/* As when a host must not hear GOOD. */
static void a_port_is_cut_and_comes_back(void **state)
{
	const struct kind *kind = *state;
	struct config *config = fixture_config(kind->flags);
	struct fake *fake = fake_new(false);
	struct lio_roots roots = roots_of(fake);
	struct err err = ERR_INIT;

	add_port(fake, kind, kind->name);
	assert_int_equal(lio_port_cut(&roots, kind->fabric, kind->address, &err), 0); /* none there: nobody to cut */
	reconcile(fake, kind, config, 1, only_1, 1, true, NULL);
	assert_int_equal(lio_port_cut(&roots, kind->fabric, kind->address, &err), 0);
	if (fabric(kind)->has_enable)
		assert_string_equal(fake_get(fake, own(kind, "/enable")), "0");
	reconcile(fake, kind, config, 1, only_1, 1, true, NULL);
	if (fabric(kind)->has_enable)
		assert_string_equal(fake_get(fake, own(kind, "/enable")), "1");
	fake_free(fake);
	fixture_free(config);
}

static void sessions_are_there_or_not(void **state)
{
	_cleanup_free_ char *index = xasprintf("/acls/%s/lun_0/statistics/scsi_att_intr_port/indx", ((const struct kind *)*state)->initiator);
	_cleanup_free_ char *num_cmds = xasprintf("/acls/%s/lun_0/statistics/scsi_auth_intr/num_cmds", ((const struct kind *)*state)->initiator);
	const struct kind *kind = *state;
	struct config *config = fixture_config(kind->flags);
	struct fake *fake = fake_new(false);
	struct lio_roots roots = roots_of(fake);
	struct lio_sessions sessions = { 0 };

	add_port(fake, kind, kind->name);
	reconcile(fake, kind, config, 1, only_1, 1, true, NULL);
	assert_int_equal(lio_sessions_read(&roots, config, NULL, NULL, &sessions), 0);
	assert_int_equal(sessions.n, 0);
	lio_sessions_done(&sessions);
	fake_set(fake, own(kind, index), "1");
	fake_set(fake, own(kind, num_cmds), "7");
	assert_int_equal(lio_sessions_read(&roots, config, NULL, NULL, &sessions), 0);
	assert_int_equal(sessions.n, 1);
	assert_string_equal(sessions.items[0].target, kind->target);
	assert_string_equal(sessions.items[0].initiator, kind->initiator);
	assert_string_equal(sessions.items[0].portals[0], kind->address);
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
	const struct kind *kind = *state;
	struct config *config = fixture_config(kind->flags | FIXTURE_T2);
	struct strbuf first = { 0 };

	for (uint32_t nodeid = 1; nodeid <= 2; nodeid++) {
		struct strbuf plan = { 0 }, got = { 0 };
		struct fake *fake = fake_new(true);

		if (nodeid == 1)
			add_port(fake, kind, kind->name);
		reconcile(fake, kind, config, nodeid, only_1, 1, nodeid == 1, &plan);
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
	const struct kind *kind = *state;
	struct config *config = fixture_config(kind->flags);
	struct fake *fake = fake_new(false);

	reconcile(fake, kind, config, 1, only_1, 1, false, NULL);
	assert_true(has(fake, standin(kind, 1, "/lun/lun_1/v1")));
	assert_false(has(fake, fabric(kind)->dir));
	assert_string_equal(fake_get(fake, standin(kind, 1, "/enable")), "0");
	assert_settled(fake, kind, config, only_1, 1, false);
	add_port(fake, kind, kind->name);
	reconcile(fake, kind, config, 1, only_1, 1, true, NULL);
	assert_false(has(fake, standin(kind, 1, "")));
	assert_string_equal(fake_get(fake, own(kind, "/enable")), fabric(kind)->has_enable ? "1" : "");
	assert_settled(fake, kind, config, only_1, 1, true);
	reconcile(fake, kind, config, 1, only_1, 1, false, NULL);
	assert_false(has(fake, own(kind, "")));
	assert_settled(fake, kind, config, only_1, 1, false);
	fake_free(fake);
	fixture_free(config);
}

/* The port is there, and its driver will not have it: told apart, and hosts on iSCSI are served. tcm_fc takes any name, if it is there. */
static void a_port_that_is_refused_stops_nothing_else(void **state)
{
	_cleanup_free_ char *mapped = xasprintf("/acls/%s/lun_0/v1", ((const struct kind *)*state)->initiator);
	const struct kind *kind = *state;
	struct config *config = fixture_config(kind->flags | FIXTURE_T2);
	struct fake *fake = fake_new(true);
	struct lio_report report;

	add_port(fake, kind, kind->fabric == CONFIG_FABRIC_FCOE ? NULL : kind->other);
	report = reconcile(fake, kind, config, 1, only_1, 1, true, NULL);
	assert_int_not_equal(report.apart.code, 0);
	assert_non_null(strstr(report.apart.text, kind->fabric == CONFIG_FABRIC_FCOE ? "fc" : kind->name));
	assert_true(report.is_built);
	assert_string_equal(fake_get(fake, "iscsi/" FIXTURE_IQN "/tpgt_1/enable"), "1");
	assert_true(has(fake, "iscsi/" FIXTURE_IQN2 "/tpgt_1/acls/iqn.1993-08.org.debian:h1/lun_0/v1"));
	assert_true(has(fake, standin(kind, 2, mapped)));
	add_port(fake, kind, kind->name);
	reconcile(fake, kind, config, 1, only_1, 1, true, NULL);
	assert_settled(fake, kind, config, only_1, 1, true);
	fake_free(fake);
	fixture_free(config);
}

/* Also what left the document while the node was away; another's target at the same fabric stays. */
static void goes_with_its_document(void **state)
{
	const struct kind *kind = *state;
	_cleanup_free_ char *other = xasprintf("%s/%s/%s", FAKE_ROOT, fabric(kind)->dir, kind->other), *tpg = xasprintf("%s/tpgt_1", other);
	_cleanup_free_ char *left = xasprintf("target/%s\ntarget/%s/%s\ntarget/%s/%s/tpgt_1\n", fabric(kind)->dir, fabric(kind)->dir, kind->other,
					      fabric(kind)->dir, kind->other);
	struct config *config = fixture_config(kind->flags), empty = { 0 };
	struct fake *fake = fake_new(false);
	struct cfs *cfs = fake_cfs(fake);
	struct strbuf after = { 0 };

	add_port(fake, kind, kind->name);
	reconcile(fake, kind, config, 1, only_1, 1, true, NULL);
	add_port(fake, kind, kind->other);
	assert_int_equal(cfs->ops->mkdir(cfs, other), 0);
	assert_int_equal(cfs->ops->mkdir(cfs, tpg), 0);
	reconcile(fake, kind, &empty, 1, NULL, 0, true, NULL);
	fake_dump(fake, &after);
	assert_string_equal(strbuf_str(&after) + strlen("target/iscsi\n"), left);
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

static void expect_ports(const char *root, bool loaded_only, const char *expected)
{
	struct strbuf got = { 0 };
	char **names;
	size_t n;

	lio_ports_read(root, loaded_only, &names, &n);
	for (size_t i = 0; i < n; i++)
		strbuf_addf(&got, "%s ", names[i]);
	assert_string_equal(strbuf_str(&got), expected);
	strbuf_done(&got);
	cfs_names_free(names, n);
}

/* By its SCSI host's driver, and only if there is somebody to serve them. */
static void the_machine_says_which_ports_it_has(void **state)
{
	struct err err = ERR_INIT;
	char root[] = "/tmp/lunward-sysfs.XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(root));
	put(root, "class/infiniband/rxe0/ports/1/gids/0", FIXTURE_GID "\n");
	put(root, "class/infiniband/rxe0/ports/1/gids/1", "0000:0000:0000:0000:0000:ffff:0a4d:0001\n");
	put(root, "class/infiniband/mlx0/ports/2/gids/0", "0000:0000:0000:0000:0000:0000:0000:0000\n");
	put(root, "class/fc_host/host3/port_name", "0x2000525400123401\n");
	put(root, "class/scsi_host/host3/proc_name", "fcoe\n");
	put(root, "class/fc_host/host4/port_name", "0x21000024ff000001\n");
	put(root, "class/scsi_host/host4/proc_name", "qla2xxx\n");
	put(root, "class/fc_host/host5/port_name", "0x1000000000000005\n");
	put(root, "class/scsi_host/host5/proc_name", "lpfc\n");
	put(root, "class/fc_host/host6/port_name", "0x0\n");
	put(root, "class/scsi_host/host6/proc_name", "fcoe\n");
	expect_ports(root, true, "");
	expect_ports(root, false, "srp." FIXTURE_GID " fcoe." FIXTURE_WWPN " fc.21:00:00:24:ff:00:00:01 ");
	put(root, "module/tcm_fc/refcnt", "0\n");
	expect_ports(root, true, "fcoe." FIXTURE_WWPN " ");
	put(root, "module/ib_srpt/refcnt", "0\n");
	put(root, "module/tcm_qla2xxx/refcnt", "0\n");
	expect_ports(root, true, "srp." FIXTURE_GID " fcoe." FIXTURE_WWPN " fc.21:00:00:24:ff:00:00:01 ");
	assert_int_equal(run_cmdl(&err, 5000, "rm", "-r", root, NULL), 0);
}

static void what_is_missing_is_told(void **state)
{
	const struct kind *kind = *state;
	const char *const ports[] = { "fcoe.20:00:00:00:00:00:00:99", kind->port };
	struct config *config = fixture_config(kind->flags), *iscsi = fixture_config(0);
	struct lio_scope scope = { .nodeid = 1, .ports = ports, .n_ports = 1 };
	char text[ERR_TEXT_SIZE];

	assert_int_equal(lio_ports_wanted(config, 1), 1u << kind->fabric);
	assert_int_equal(lio_ports_wanted(config, 4), 0);
	assert_int_equal(lio_ports_wanted(iscsi, 1), 0);
	lio_ports_lack(config, &scope, text);
	assert_non_null(strstr(text, kind->address));
	assert_non_null(strstr(text, config_fabric(kind->fabric)->module));
	scope.n_ports = 2;
	lio_ports_lack(config, &scope, text);
	assert_string_equal(text, "");
	fixture_free(config);
	fixture_free(iscsi);
}

static char *lips(const char *root)
{
	_cleanup_free_ char *path = xasprintf("%s/class/fc_host/host3/issue_lip", root);
	char *text;
	size_t size;

	assert_int_equal(file_read(path, 64, &text, &size), 0);
	put(root, "class/fc_host/host3/issue_lip", "none");
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static void expect_lip(const char *root, bool expected)
{
	_cleanup_free_ char *text = lips(root);

	assert_int_equal(text[0] == '1', expected);
}

/* tcm_fc: whoever has come too early does not come again by himself. He is asked to, if nobody else is there; and to be cut off. */
static void hosts_of_fcoe_are_made_to_log_in_again(void **state)
{
	const struct kind *kind = &kinds[1];
	struct config *config = fixture_config(kind->flags), *more = fixture_config(kind->flags | FIXTURE_V3), *iscsi = fixture_config(0);
	struct fake *fake = fake_new(true);
	char root[] = "/tmp/lunward-sysfs.XXXXXX";
	struct lio_roots roots;
	struct err err = ERR_INIT;

	(void)state;
	assert_non_null(mkdtemp(root));
	put(root, "class/fc_host/host3/port_name", "0x2000525400123401\n");
	put(root, "class/fc_host/host3/issue_lip", "none");
	sysfs = root;
	roots = roots_of(fake);
	add_port(fake, kind, kind->name);
	reconcile(fake, kind, config, 1, only_1, 1, true, NULL);
	expect_lip(root, true);
	reconcile(fake, kind, more, 1, only_1, 1, true, NULL);
	reconcile(fake, kind, config, 1, NULL, 0, true, NULL);
	expect_lip(root, false);
	assert_int_equal(lio_port_cut(&roots, kind->fabric, kind->address, &err), 0);
	expect_lip(root, true);
	assert_int_equal(lio_port_cut(&roots, kind->fabric, "20:00:00:00:00:00:00:99", &err), 0);
	expect_lip(root, false);
	free(config->hosts[0].initiators[0]);
	config->hosts[0].initiators[0] = xstrdup("20:00:00:00:00:00:00:77");
	more->hosts[0].initiators[1] = (free(more->hosts[0].initiators[1]), xstrdup("20:00:00:00:00:00:00:77"));
	fake_set(fake, own(kind, "/acls/" FIXTURE_HOST_WWPN "/lun_0/statistics/scsi_att_intr_port/indx"), "1");
	reconcile(fake, kind, more, 1, only_1, 1, true, NULL);
	assert_true(has(fake, own(kind, "/acls/20:00:00:00:00:00:00:77/lun_0/v1")));
	expect_lip(root, false);
	reconcile(fake, kind, iscsi, 1, only_1, 1, true, NULL);
	reconcile(fake, kind, config, 1, only_1, 1, true, NULL);
	expect_lip(root, true);
	sysfs = "/nowhere";
	assert_int_equal(run_cmdl(&err, 5000, "rm", "-r", root, NULL), 0);
	fake_free(fake);
	fixture_free(config);
	fixture_free(more);
	fixture_free(iscsi);
}

/* As libfc does where tcm_fc does not end a command: whoever writes does not come back. That nothing is sent any more is enough, and needed. */
static void a_port_that_hangs_is_cut_once_its_link_is_down(void **state)
{
	struct fake *fake = fake_new(true);
	char root[] = "/tmp/lunward-sysfs.XXXXXX";
	_cleanup_free_ char *lip = NULL, *closing = NULL;
	struct lio_roots roots = roots_of(fake);
	struct err err = ERR_INIT;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(root));
	put(root, "class/fc_host/host3/port_name", "0x2000525400123401\n");
	put(root, "class/fc_host/host3/port_state", "Online\n");
	lip = xasprintf("%s/class/fc_host/host3/issue_lip", root);
	assert_int_equal(mkfifo(lip, 0600), 0);
	roots.sysfs = root;
	assert_int_equal(lio_port_cut(&roots, CONFIG_FABRIC_FCOE, FIXTURE_WWPN, &err), -ETIMEDOUT);
	put(root, "class/fc_host/host3/port_state", "Linkdown\n");
	assert_int_equal(lio_port_cut(&roots, CONFIG_FABRIC_FCOE, FIXTURE_WWPN, &err), 0);
	closing = lio_closing();
	assert_string_equal(closing, FAKE_ROOT "/fc/" FIXTURE_WWPN);
	fd = open(lip, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* the kernel lets go */
	assert_true(fd >= 0);
	while (closing) {
		(void)poll(NULL, 0, 10);
		free(closing);
		closing = lio_closing();
	}
	close(fd);
	assert_int_equal(run_cmdl(&err, 5000, "rm", "-r", root, NULL), 0);
	fake_free(fake);
}

/* For each fabric. */
#define OF_EACH(test)                                                                                                  \
	{ #test " srp", test, NULL, NULL, &kinds[0] }, { #test " fcoe", test, NULL, NULL, &kinds[1] }, { #test " fc", test, NULL, NULL, &kinds[2] }

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_fake_keeps_the_kernels_contract),
		OF_EACH(makes_exactly_this),
		OF_EACH(ports_are_not_adopted),
		cmocka_unit_test(hosts_may_be_known_by_address),
		OF_EACH(forgetting_passes_over_a_port_that_is_missing),
		OF_EACH(a_port_is_cut_and_comes_back),
		OF_EACH(sessions_are_there_or_not),
		OF_EACH(all_nodes_show_the_same_ports),
		OF_EACH(a_port_that_is_missing_is_stood_in_for),
		OF_EACH(a_port_that_is_refused_stops_nothing_else),
		OF_EACH(goes_with_its_document),
		cmocka_unit_test(the_machine_says_which_ports_it_has),
		OF_EACH(what_is_missing_is_told),
		cmocka_unit_test(hosts_of_fcoe_are_made_to_log_in_again), cmocka_unit_test(a_port_that_hangs_is_cut_once_its_link_is_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
