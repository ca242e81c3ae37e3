// SPDX-License-Identifier: GPL-2.0-or-later
/* The reconciler of the kernel target against a configfs in memory that obeys the kernel's rules. */
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
#include "target-config/lio/lio.h"
#include "target-config/lio/tree.h"
#include "tests/unit/cfs_contract.h"
#include "tests/unit/fake_configfs.h"
#include "tests/unit/lio_fixture.h"

#define T1 "iscsi/" FIXTURE_IQN
#define DEV(volume) LIO_HBA "/" volume

/* --- a node ------------------------------------------------------------------------------------------------------------*/

struct world {
	struct fake *fake;
	struct lio_roots roots;
	bool may_serve[3][4]; /* [group g1 = 1, g2 = 2][node]: lio_alua_set() was told active/optimized */
	char violation[512];  /* first one */
	size_t live, missing, longest; /* mapped LUNs that hosts are to see; for how many changes in a row one was not there, at most */
	const char *what;
	const char *stop_at; /* the step after which nothing works any more */
	bool log;
};

static void violate(struct world *world, const struct fake_lun_view *view, const char *why)
{
	if (!world->violation[0])
		snprintf(world->violation, sizeof(world->violation), "after %s: %s %s %s (%s in %s): %s", world->what, view->target,
			 view->tpg, view->lun, view->volume, view->group, why);
}

static void check_lun(void *ctx, const struct fake_lun_view *view)
{
	struct world *world = ctx;
	int group = strcmp(view->lu_gp, "lunward.g1") == 0 ? 1 : strcmp(view->lu_gp, "lunward.g2") == 0 ? 2 : 0;

	if (view->mapped && view->state == LIO_ALUA_TRANSITIONING && strcmp(view->lu_gp, "default_lu_gp") == 0)
		return; /* a stand-in */
	if (view->mapped && strcmp(view->group, "default_tg_pt_gp") == 0)
		violate(world, view, "a host sees it in the default group");
	if (view->state == 0 && (group == 0 || view->group_id > 3 || !world->may_serve[group][view->group_id]))
		violate(world, view, "active/optimized, and nobody said so");
	if (view->mapped && group == 0)
		violate(world, view, "a host sees it outside of its lu_gp");
}

/* The promise of the building order, checked after every single change. */
static void check(struct fake *fake, void *ctx, const char *what)
{
	struct world *world = ctx;

	world->what = what;
	if (world->log)
		printf("# %s\n", what);
	if (world->stop_at && strcmp(what, world->stop_at) == 0)
		fake_fail_nth(fake, 1);
	fake_enabled_luns(fake, check_lun, world);
	world->missing = fake_live_luns(fake) < world->live ? world->missing + 1 : 0;
	if (world->missing > world->longest)
		world->longest = world->missing;
}

static struct world *new_world(bool has_rtpi)
{
	struct world *world = xcalloc(1, sizeof(*world));

	world->fake = fake_new(has_rtpi);
	world->roots.configfs = FAKE_ROOT;
	world->roots.dbroot = "/nowhere";
	world->roots.sysfs = "/nowhere";
	world->roots.cfs = fake_cfs(world->fake);
	fake_on_change(world->fake, check, world);
	fake_port(world->fake, "srpt", FIXTURE_SRP_WWN);
	fake_port(world->fake, "fc", FIXTURE_WWPN);
	fake_port(world->fake, "qla2xxx", FIXTURE_WWPN);
	return world;
}

static void free_world(struct world *world)
{
	if (world->violation[0])
		print_message("%s\n", world->violation);
	assert_string_equal(world->violation, "");
	fake_free(world->fake);
	free(world);
}

static const uint32_t only_1[] = { 1 };
static const uint32_t both[] = { 1, 2 };

static int reconcile_as(struct world *world, const struct config *config, const uint32_t *portals_of, size_t n_portals_of,
			struct lio_report *ret_report, struct strbuf *ret_plan, struct err *err)
{
	static const char *const ports[] = { "srp." FIXTURE_GID, "fcoe." FIXTURE_WWPN, "fc." FIXTURE_WWPN };
	struct lio_scope scope = { .nodeid = 1, .portals_of = portals_of, .n_portals_of = n_portals_of, .ports = ports, .n_ports = 3 };
	struct lio_tree *tree = lio_tree_build(config, &scope, &world->roots);
	int rc = lio_reconcile(tree, false, 1, ret_plan, ret_report, err);

	lio_tree_free(tree);
	return rc;
}

static struct lio_report reconcile(struct world *world, const struct config *config, const uint32_t *portals_of,
				   size_t n_portals_of)
{
	struct err err = ERR_INIT;
	struct lio_report report = { 0 };
	int rc = reconcile_as(world, config, portals_of, n_portals_of, &report, NULL, &err);

	if (rc < 0)
		print_message("%s\n", err.text);
	assert_int_equal(rc, 0);
	return report;
}

/* What is there now is what is wanted: nothing is left to do, and nothing was done to find out. */
static void assert_settled(struct world *world, const struct config *config, const uint32_t *portals_of, size_t n_portals_of)
{
	size_t before = fake_changes(world->fake);
	struct lio_report report = reconcile(world, config, portals_of, n_portals_of);

	assert_int_equal(report.n_writes, 0);
	assert_int_equal(report.n_removals, 0);
	assert_int_equal(fake_changes(world->fake), before);
}

static char *dump(struct world *world)
{
	struct strbuf sb = { 0 };

	fake_dump(world->fake, &sb);
	return strbuf_steal(&sb);
}

static void serve(struct world *world, const struct config *config, const char *group, uint32_t nodeid,
		  enum lio_alua_state state)
{
	struct err err = ERR_INIT;

	world->may_serve[strcmp(group, "g1") == 0 ? 1 : 2][nodeid] = state == LIO_ALUA_ACTIVE_OPTIMIZED;
	assert_int_equal(lio_alua_set(&world->roots, config, group, nodeid, state, &err), 0);
}

/* --- the fake itself ---------------------------------------------------------------------------------------------------*/

static void broken_promise(const char *text)
{
	print_message("%s\n", text);
}

static void keep_contract(bool has_rtpi)
{
	struct fake *fake = fake_new(has_rtpi);
	struct strbuf before = { 0 }, after = { 0 };

	fake_dump(fake, &before);
	assert_int_equal(cfs_contract(fake_cfs(fake), FAKE_ROOT, "/dev/a", "/dev/b", broken_promise), 0);
	fake_dump(fake, &after);
	assert_string_equal(strbuf_str(&before), "");
	assert_string_equal(strbuf_str(&after), "target/iscsi\n");
	strbuf_done(&before);
	strbuf_done(&after);
	fake_free(fake);
}

static void the_fake_keeps_the_kernels_contract(void **state)
{
	(void)state;
	keep_contract(false);
	keep_contract(true);
}

/* --- building ----------------------------------------------------------------------------------------------------------*/

static void builds_and_settles(void **state)
{
	struct config *config = fixture_config(FIXTURE_H2 | FIXTURE_T2);
	struct world *world = new_world(false);

	(void)state;
	reconcile(world, config, only_1, 1);
	assert_string_equal(fake_get(world->fake, DEV("v1") "/wwn/vpd_unit_serial"),
			    "T10 VPD Unit Serial Number: 9d8c1e2f-0000-4000-8000-000000000001");
	assert_string_equal(fake_get(world->fake, DEV("v2") "/attrib/block_size"), "4096");
	assert_string_equal(fake_get(world->fake, DEV("v1") "/attrib/emulate_3pc"), "0");
	assert_string_equal(fake_get(world->fake, DEV("v1") "/alua/node2/tg_pt_gp_id"), "2");
	assert_string_equal(fake_get(world->fake, DEV("v1") "/alua/node2/alua_access_state"), "2");
	assert_string_equal(fake_get(world->fake, DEV("v1") "/alua/node2/alua_access_type"), "Implicit");
	assert_string_equal(fake_get(world->fake, DEV("v1") "/alua/default_tg_pt_gp/alua_access_state"), "2");
	assert_string_equal(fake_get(world->fake, T1 "/tpgt_1/enable"), "1");
	assert_string_equal(fake_get(world->fake, T1 "/tpgt_2/enable"), "0");
	assert_string_equal(fake_get(world->fake, T1 "/tpgt_1/lun/lun_1/alua_tg_pt_gp"), "TG Port Alias: node1");
	assert_string_equal(fake_get(world->fake, T1 "/tpgt_2/lun/lun_1/alua_tg_pt_gp"), "TG Port Alias: node2");
	assert_settled(world, config, only_1, 1);
	free_world(world);
	fixture_free(config);
}

/* The whole of what is made, so that nothing comes or goes unseen. Node 3 has no copy: its shadow TPG has ACLs and no LUNs. */
static void makes_exactly_this(void **state)
{
	static const char expected[] =
		"target/core/alua/lu_gps/lunward.g1\n"
		"target/core/iblock_7731\n"
		"target/core/iblock_7731/v1\n"
		"target/core/iblock_7731/v1/alua/node1\n"
		"target/core/iblock_7731/v1/alua/node2\n"
		"target/iscsi\n"
		"target/iscsi/" FIXTURE_IQN "\n"
		"target/" T1 "/tpgt_1\n"
		"target/" T1 "/tpgt_1/lun/lun_1\n"
		"target/" T1 "/tpgt_1/lun/lun_1/v1 -> target/core/iblock_7731/v1\n"
		"target/" T1 "/tpgt_1/np/10.77.0.1:3260\n"
		"target/" T1 "/tpgt_1/acls/iqn.1993-08.org.debian:h1\n"
		"target/" T1 "/tpgt_1/acls/iqn.1993-08.org.debian:h1/lun_0\n"
		"target/" T1 "/tpgt_1/acls/iqn.1993-08.org.debian:h1/lun_0/v1 -> target/" T1 "/tpgt_1/lun/lun_1\n"
		"target/" T1 "/tpgt_2\n"
		"target/" T1 "/tpgt_2/lun/lun_1\n"
		"target/" T1 "/tpgt_2/lun/lun_1/v1 -> target/core/iblock_7731/v1\n"
		"target/" T1 "/tpgt_2/acls/iqn.1993-08.org.debian:h1\n"
		"target/" T1 "/tpgt_2/acls/iqn.1993-08.org.debian:h1/lun_0\n"
		"target/" T1 "/tpgt_2/acls/iqn.1993-08.org.debian:h1/lun_0/v1 -> target/" T1 "/tpgt_2/lun/lun_1\n"
		"target/" T1 "/tpgt_3\n"
		"target/" T1 "/tpgt_3/acls/iqn.1993-08.org.debian:h1\n";
	struct config *config = fixture_config(FIXTURE_NO_V2);
	struct world *world = new_world(false);
	_cleanup_free_ char *got = NULL;

	(void)state;
	config->n_groups = 1;
	reconcile(world, config, only_1, 1);
	got = dump(world);
	config->n_groups = 2;
	assert_string_equal(got, expected);
	free_world(world);
	fixture_free(config);
}

/* Where in the plan the first and last line with this text stand. */
static void span(const char *plan, const char *text, size_t *ret_first, size_t *ret_last)
{
	const char *p = strstr(plan, text);

	assert_non_null(p);
	*ret_first = (size_t)(p - plan);
	for (; p; p = strstr(p + 1, text))
		*ret_last = (size_t)(p - plan);
}

static void builds_in_order(void **state)
{
	static const char *const order[] = { /* each: all its lines before the first of the next */
		"/alua_lu_gp ", "/param/TargetAlias ", "/alua_tg_pt_gp ", "/auth/", "link " T1 "/tpgt_1/acls/",
		"mkdir " T1 "/tpgt_1/np/", "/tpgt_1/enable 1\n",
	};
	struct config *config = fixture_config(0);
	struct world *world = new_world(false);
	struct strbuf plan = { 0 };
	struct err err = ERR_INIT;
	struct lio_report report;
	size_t last = 0;

	(void)state;
	assert_int_equal(reconcile_as(world, config, only_1, 1, &report, &plan, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		size_t first = 0, end = 0;

		span(plan.s, order[i], &first, &end);
		assert_true(i == 0 || first > last);
		last = end;
	}
	/* within a volume: state before type, both before the lu_gp */
	assert_true(strstr(plan.s, DEV("v1") "/alua/node1/tg_pt_gp_id 1") <
		    strstr(plan.s, DEV("v1") "/alua/node1/alua_access_state 2"));
	assert_true(strstr(plan.s, DEV("v1") "/alua/node1/alua_access_state 2") <
		    strstr(plan.s, DEV("v1") "/alua/node1/alua_access_type 1"));
	assert_true(strstr(plan.s, DEV("v1") "/alua/node2/alua_access_type 1") < strstr(plan.s, DEV("v1") "/alua_lu_gp"));
	assert_true(strstr(plan.s, DEV("v1") "/control") < strstr(plan.s, DEV("v1") "/enable 1"));
	/* 6.1 numbers ports by the order of links */
	assert_true(strstr(plan.s, "link " T1 "/tpgt_1/lun/lun_1/v1") < strstr(plan.s, "link " T1 "/tpgt_2/lun/lun_1/v1"));
	strbuf_done(&plan);
	free_world(world);
	fixture_free(config);
}

/* Names of the stages in the order of the tree. */
static void stages_stand_in_order(void **state)
{
	struct config *config = fixture_config(FIXTURE_H2);
	struct lio_scope scope = { .nodeid = 1, .portals_of = only_1, .n_portals_of = 1 };
	struct lio_roots roots = { .configfs = FAKE_ROOT, .dbroot = "/nowhere" };
	struct lio_tree *tree = lio_tree_build(config, &scope, &roots);
	struct strbuf got = { 0 };

	(void)state;
	for (size_t i = 0; i < tree->n; i++) {
		if (i > 0)
			assert_true(tree->objects[i].stage >= tree->objects[i - 1].stage);
		if (i == 0 || tree->objects[i].stage != tree->objects[i - 1].stage)
			strbuf_addf(&got, "%s: %s\n", lio_stage_name(tree->objects[i].stage), tree->objects[i].path);
	}
	assert_string_equal(strbuf_str(&got),
			    "hba and lu_gps: core/iblock_7731\n"
			    "backstores: core/iblock_7731/v1\n"
			    "target port groups: core/iblock_7731/v1/alua/default_tg_pt_gp/alua_access_state\n"
			    "targets: " T1 "\n"
			    "luns: " T1 "/tpgt_1/lun/lun_1\n"
			    "node acls: " T1 "/tpgt_1/acls/iqn.1993-08.org.debian:h1\n"
			    "mapped luns: " T1 "/tpgt_1/acls/iqn.1993-08.org.debian:h1/lun_0\n"
			    "portals: " T1 "/tpgt_1/np/10.77.0.1:3260\n"
			    "enable: " T1 "/tpgt_1/enable\n");
	strbuf_done(&got);
	lio_tree_free(tree);
	fixture_free(config);
}

/* Each line of `part` is in `whole`, in the same order. */
static void assert_lines_in(const char *part, const char *whole)
{
	while (*part) {
		size_t len = strcspn(part, "\n") + 1;
		_cleanup_free_ char *line = xasprintf("%.*s", (int)len, part);
		const char *found = strstr(whole, line);

		if (!found)
			print_message("not planned in this place: %s", line);
		assert_non_null(found);
		whole = found + len;
		part += len;
	}
}

/* It may tell more: what defaults will turn out to be right already. */
static void a_plan_changes_nothing_and_tells_all(void **state)
{
	struct config *config = fixture_config(FIXTURE_H2);
	struct lio_scope scope = { .nodeid = 1, .portals_of = only_1, .n_portals_of = 1 };
	struct world *world = new_world(false);
	struct lio_tree *tree = lio_tree_build(config, &scope, &world->roots);
	struct strbuf planned = { 0 }, done = { 0 };
	struct lio_report report, real;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(lio_reconcile(tree, true, 4, &planned, &report, &err), 0);
	assert_int_equal(fake_changes(world->fake), 0);
	assert_int_equal(lio_reconcile(tree, false, 1, &done, &real, &err), 0);
	assert_lines_in(strbuf_str(&done), strbuf_str(&planned));
	assert_true(report.n_writes >= real.n_writes);
	assert_null(strstr(done.s, "verysecret"));
	assert_non_null(strstr(done.s, "********"));
	strbuf_done(&planned);
	strbuf_done(&done);
	lio_tree_free(tree);
	free_world(world);
	fixture_free(config);
}

static void chap_is_per_host(void **state)
{
	struct config *config = fixture_config(FIXTURE_H2);
	struct world *world = new_world(false);

	(void)state;
	reconcile(world, config, only_1, 1);
	assert_string_equal(fake_get(world->fake, T1 "/tpgt_1/attrib/authentication"), "1");
	assert_string_equal(fake_get(world->fake, T1 "/tpgt_1/acls/iqn.1993-08.org.debian:h1/attrib/authentication"), "1");
	assert_string_equal(fake_get(world->fake, T1 "/tpgt_1/acls/iqn.1993-08.org.debian:h1/auth/password"), "verysecret-12");
	assert_string_equal(fake_get(world->fake, T1 "/tpgt_1/acls/iqn.1993-08.org.debian:h2/attrib/authentication"), "0");
	fixture_free(config);

	config = fixture_config(FIXTURE_H2 | FIXTURE_NO_CHAP);
	reconcile(world, config, only_1, 1);
	assert_string_equal(fake_get(world->fake, T1 "/tpgt_1/attrib/authentication"), "0");
	assert_string_equal(fake_get(world->fake, T1 "/tpgt_1/acls/iqn.1993-08.org.debian:h1/auth/password"), "NULL");
	assert_settled(world, config, only_1, 1);
	free_world(world);
	fixture_free(config);
}

static struct lio_report reconcile_health(struct world *world, const struct config *config, const char *password)
{
	struct lio_scope scope = { .nodeid = 1, .portals_of = only_1, .n_portals_of = 1, .health_password = password };
	struct lio_tree *tree = lio_tree_build(config, &scope, &world->roots);
	struct lio_report report = { 0 };
	struct strbuf plan = { 0 };
	struct err err = ERR_INIT;

	assert_int_equal(lio_reconcile(tree, false, 1, &plan, &report, &err), 0);
	assert_null(strstr(strbuf_str(&plan), "sesame"));
	strbuf_done(&plan);
	lio_tree_free(tree);
	return report;
}

#define HEALTH(tpgt) T1 "/tpgt_" #tpgt "/acls/" CONFIG_HEALTH_INITIATOR

/* At each portal group, those of other nodes too: they are adopted in a hurry. Of each group one volume, and to read only. */
static void the_agent_has_an_acl_of_its_own(void **state)
{
	struct config *config = fixture_config(FIXTURE_V3);
	struct world *world = new_world(false);

	(void)state;
	reconcile_health(world, config, "sesame");
	for (int i = 0; i < 2; i++) {
		const char *acl = i ? HEALTH(2) : HEALTH(1);
		_cleanup_free_ char *password = xasprintf("%s/auth/password", acl), *asked = xasprintf("%s/attrib/authentication", acl);
		_cleanup_free_ char *lun = xasprintf("%s/lun_%u/write_protect", acl, config->groups[0].lu_gp_id);

		assert_string_equal(fake_get(world->fake, password), "sesame");
		assert_string_equal(fake_get(world->fake, asked), "1");
		assert_string_equal(fake_get(world->fake, lun), "1");
	}
	assert_ptr_equal(lio_health_volume(config, &config->targets[0], &config->groups[0]), config_volume_by_name(config, "v1"));
	assert_ptr_equal(lio_health_volume(config, &config->targets[0], &config->groups[1]), config_volume_by_name(config, "v2"));
	assert_int_equal(reconcile_health(world, config, "sesame").n_writes, 0);
	assert_int_equal(reconcile_health(world, config, "sesame2").n_writes, 3); /* an agent that was started again, at each portal group */
	assert_int_equal(reconcile_health(world, config, NULL).n_removals, 3 + 2 * 2 * 2); /* it shall look no more */
	assert_settled(world, config, only_1, 1);
	free_world(world);
	fixture_free(config);
}

/* Its LUN goes before the volume does, and leads to the next one of the group. */
static void the_agents_lun_follows_the_document(void **state)
{
	struct config *config = fixture_config(0), *less = fixture_config(FIXTURE_NO_V2), *reborn = fixture_config(FIXTURE_REBORN);
	struct world *world = new_world(false);

	(void)state;
	reconcile_health(world, config, "sesame");
	reconcile_health(world, reborn, "sesame");
	assert_int_equal(reconcile_health(world, reborn, "sesame").n_writes, 0);
	assert_string_equal(fake_get(world->fake, HEALTH(1) "/lun_1/write_protect"), "1");
	reconcile_health(world, less, "sesame");
	assert_null(lio_health_volume(less, &less->targets[0], &less->groups[1]));
	assert_int_equal(reconcile_health(world, less, "sesame").n_writes, 0);
	reconcile_health(world, config, "sesame");
	assert_int_equal(reconcile_health(world, config, "sesame").n_writes, 0);
	free_world(world);
	fixture_free(config);
	fixture_free(less);
	fixture_free(reborn);
}

/* --- ALUA --------------------------------------------------------------------------------------------------------------*/

static void one_write_flips_a_group(void **state)
{
	struct config *config = fixture_config(FIXTURE_V3);
	struct world *world = new_world(false);
	enum lio_alua_state got;
	struct err err = ERR_INIT;
	size_t before;

	(void)state;
	assert_int_equal(lio_alua_set(&world->roots, config, "g1", 1, LIO_ALUA_STANDBY, &err), -ENOENT);
	reconcile(world, config, only_1, 1);
	before = fake_changes(world->fake);
	serve(world, config, "g1", 1, LIO_ALUA_ACTIVE_OPTIMIZED);
	assert_int_equal(fake_changes(world->fake), before + 1);
	assert_string_equal(fake_get(world->fake, DEV("v1") "/alua/node1/alua_access_state"), "0");
	assert_string_equal(fake_get(world->fake, DEV("v3") "/alua/node1/alua_access_state"), "0");
	assert_string_equal(fake_get(world->fake, DEV("v2") "/alua/node1/alua_access_state"), "2");
	assert_int_equal(lio_alua_get(&world->roots, config, "g1", 1, &got, &err), 0);
	assert_int_equal(got, LIO_ALUA_ACTIVE_OPTIMIZED);
	assert_settled(world, config, only_1, 1); /* states are not the reconciler's */
	free_world(world);
	fixture_free(config);
}

static void a_new_volume_in_service_starts_in_standby(void **state)
{
	struct config *config = fixture_config(0);
	struct world *world = new_world(false);
	enum lio_alua_state got;
	struct err err = ERR_INIT;

	(void)state;
	reconcile(world, config, only_1, 1);
	serve(world, config, "g1", 1, LIO_ALUA_ACTIVE_OPTIMIZED);
	fixture_free(config);

	config = fixture_config(FIXTURE_V3);
	reconcile(world, config, only_1, 1);
	assert_string_equal(fake_get(world->fake, DEV("v1") "/alua/node1/alua_access_state"), "0"); /* undisturbed */
	assert_string_equal(fake_get(world->fake, DEV("v3") "/alua/node1/alua_access_state"), "2");
	assert_int_equal(lio_alua_get(&world->roots, config, "g1", 1, &got, &err), 0);
	assert_int_equal(got, LIO_ALUA_STANDBY); /* the one that serves least */
	serve(world, config, "g1", 1, LIO_ALUA_ACTIVE_OPTIMIZED);
	assert_string_equal(fake_get(world->fake, DEV("v3") "/alua/node1/alua_access_state"), "0");
	free_world(world);
	fixture_free(config);
}

/* A volume that is not built as far as its lu_gp neither carries nor gets the group's state. */
static void an_unfinished_volume_is_passed_over(void **state)
{
	struct config *config = fixture_config(FIXTURE_V3);
	struct world *world = new_world(false);
	struct cfs *cfs = world->roots.cfs;

	(void)state;
	reconcile(world, config, NULL, 0);
	assert_int_equal(cfs->ops->write(cfs, FAKE_ROOT "/" DEV("v1") "/alua_lu_gp", "default_lu_gp"), 0);
	serve(world, config, "g1", 1, LIO_ALUA_ACTIVE_OPTIMIZED);
	assert_string_equal(fake_get(world->fake, DEV("v1") "/alua/node1/alua_access_state"), "2");
	assert_string_equal(fake_get(world->fake, DEV("v3") "/alua/node1/alua_access_state"), "0");
	free_world(world);
	fixture_free(config);
}

/* A group taken away by hand under a volume in service comes back with the state of its siblings: a state written there
 * would move them all. */
static void a_lost_group_takes_its_siblings_state(void **state)
{
	struct config *config = fixture_config(FIXTURE_V3);
	struct world *world = new_world(false);
	struct cfs *cfs = world->roots.cfs;

	(void)state;
	reconcile(world, config, only_1, 1);
	serve(world, config, "g1", 1, LIO_ALUA_ACTIVE_OPTIMIZED);
	assert_int_equal(cfs->ops->rmdir(cfs, FAKE_ROOT "/" DEV("v3") "/alua/node1"), 0);
	world->violation[0] = '\0'; /* that hand showed hosts the default group */
	fake_on_change(world->fake, NULL, NULL);
	reconcile(world, config, only_1, 1);
	assert_string_equal(fake_get(world->fake, DEV("v1") "/alua/node1/alua_access_state"), "0");
	assert_string_equal(fake_get(world->fake, DEV("v3") "/alua/node1/alua_access_state"), "0");
	assert_string_equal(fake_get(world->fake, T1 "/tpgt_1/lun/lun_3/alua_tg_pt_gp"), "TG Port Alias: node1");
	assert_settled(world, config, only_1, 1);
	free_world(world);
	fixture_free(config);
}

/* --- change ------------------------------------------------------------------------------------------------------------*/

static void portals_are_adopted_and_given_back(void **state)
{
	struct config *config = fixture_config(0);
	struct world *world = new_world(false);
	struct lio_report report;

	(void)state;
	reconcile(world, config, only_1, 1);
	report = reconcile(world, config, both, 2);
	assert_int_equal(report.n_writes, 2); /* np and enable: all else is there */
	assert_int_equal(report.n_removals, 0);
	assert_string_equal(fake_get(world->fake, T1 "/tpgt_2/enable"), "1");
	report = reconcile(world, config, only_1, 1);
	assert_int_equal(report.n_writes, 1); /* enable */
	assert_int_equal(report.n_removals, 1);
	assert_string_equal(fake_get(world->fake, T1 "/tpgt_2/enable"), "0");
	assert_settled(world, config, only_1, 1);
	report = reconcile(world, config, NULL, 0);
	assert_string_equal(fake_get(world->fake, T1 "/tpgt_1/enable"), "0");
	free_world(world);
	fixture_free(config);
}

/* What leaves the document is the kernel's default again; a second target has its own. */
static void parameters_are_per_target(void **state)
{
	struct config *config = fixture_config(FIXTURE_T2);
	struct config_target *target = &config->targets[0];
	struct world *world = new_world(false);

	(void)state;
	reconcile(world, config, both, 2);
	for (size_t i = 0; i < CONFIG_PARAMETERS; i++) {
		free(target->parameters[i]);
		target->parameters[i] = xasprintf("%zu", i);
	}
	assert_int_equal(reconcile(world, config, both, 2).n_removals, 0);
	assert_settled(world, config, both, 2);
	for (size_t i = 0; i < CONFIG_PARAMETERS; i++) {
		static const char *const places[] = { "param", "attrib", "acls/iqn.1993-08.org.debian:h1/attrib" };
		const struct config_parameter *parameter = config_parameter(i);
		_cleanup_free_ char *own = xasprintf("iscsi/%s/tpgt_2/%s/%s", target->name, places[parameter->place], parameter->name);
		_cleanup_free_ char *others = xasprintf("iscsi/%s/tpgt_2/%s/%s", config->targets[1].name, places[parameter->place],
							parameter->name);

		assert_string_equal(fake_get(world->fake, own), target->parameters[i]);
		assert_string_equal(fake_get(world->fake, others), parameter->fallback);
		free(target->parameters[i]);
		target->parameters[i] = NULL;
	}
	reconcile(world, config, both, 2);
	for (size_t i = 0; i < CONFIG_PARAMETERS; i++) {
		if (config_parameter(i)->place == CONFIG_PARAMETER_PARAM) {
			_cleanup_free_ char *path = xasprintf("iscsi/%s/tpgt_1/param/%s", target->name, config_parameter(i)->name);

			assert_string_equal(fake_get(world->fake, path), config_parameter(i)->fallback);
		}
	}
	free_world(world);
	fixture_free(config);
}

static void connections_are_kept_off_a_processor(void **state)
{
	struct config *config = fixture_config(0);
	struct world *world = new_world(false);
	struct lio_scope scope = { .nodeid = 1, .portals_of = only_1, .n_portals_of = 1, .cpus = "0" };
	struct lio_tree *tree = lio_tree_build(config, &scope, &world->roots);

	(void)state;
	reconcile(world, config, only_1, 1);
	assert_string_equal(fake_get(world->fake, "iscsi/cpus_allowed_list"), "0-1");
	assert_int_equal(lio_reconcile(tree, false, 1, NULL, NULL, NULL), 0);
	assert_string_equal(fake_get(world->fake, "iscsi/cpus_allowed_list"), "0");
	assert_settled(world, config, only_1, 1); /* what nobody wants otherwise stays */
	lio_tree_free(tree);
	config_free(config);
	free_world(world);
}

/* Said, it is so on every node, also if it says that nothing is asked for; not said, what is there stays. */
static void discovery_asks_for_what_is_said(void **state)
{
	struct config *config = fixture_config(0);
	struct world *world = new_world(false);

	(void)state;
	reconcile(world, config, only_1, 1);
	fake_set(world->fake, "iscsi/discovery_auth/enforce_discovery_auth", "1"); /* another hand */
	fake_set(world->fake, "iscsi/discovery_auth/userid", "other");
	assert_settled(world, config, only_1, 1);
	config->discovery = (struct config_discovery){ .is_said = true,
						       .chap = { .user = xstrdup("disc"), .password = xstrdup("secret-of-disc") } };
	reconcile(world, config, only_1, 1);
	assert_settled(world, config, only_1, 1);
	assert_string_equal(fake_get(world->fake, "iscsi/discovery_auth/userid"), "disc");
	assert_string_equal(fake_get(world->fake, "iscsi/discovery_auth/password"), "secret-of-disc");
	assert_string_equal(fake_get(world->fake, "iscsi/discovery_auth/enforce_discovery_auth"), "1");
	free(config->discovery.chap.user);
	free(config->discovery.chap.password);
	config->discovery = (struct config_discovery){ .is_said = true };
	reconcile(world, config, only_1, 1);
	assert_settled(world, config, only_1, 1);
	assert_string_equal(fake_get(world->fake, "iscsi/discovery_auth/userid"), "NULL");
	assert_string_equal(fake_get(world->fake, "iscsi/discovery_auth/enforce_discovery_auth"), "0");
	free_world(world);
	fixture_free(config);
}

static int open_portals(struct world *world, const struct config *config, const uint32_t *portals_of, size_t n_portals_of,
			struct lio_report *ret_report)
{
	struct lio_scope scope = { .nodeid = 1, .portals_of = portals_of, .n_portals_of = n_portals_of };

	return lio_open_portals(config, &scope, &world->roots, ret_report, NULL);
}

/* The short way to adopted portals ends where the long one does, and costs the same with many volumes. */
static void opening_portals_looks_at_nothing_else(void **state)
{
	size_t looks[2];

	(void)state;
	for (int many = 0; many <= 1; many++) {
		struct config *config = fixture_many(many ? 100 : 1);
		struct world *world = new_world(false);
		struct lio_report report;
		size_t before;

		reconcile(world, config, only_1, 1);
		before = fake_changes(world->fake);
		assert_int_equal(open_portals(world, config, both, 2, &report), 0);
		assert_int_equal(report.n_writes, 2); /* np and enable */
		assert_int_equal(fake_changes(world->fake), before + 2);
		looks[many] = report.n_objects;
		assert_settled(world, config, both, 2);
		assert_int_equal(open_portals(world, config, both, 2, &report), 0);
		assert_int_equal(report.n_writes, 0);
		free_world(world);
		fixture_free(config);
	}
	assert_int_equal(looks[0], looks[1]);
}

/* Broken off at any step: the long way goes on from there. */
static void survives_faults_while_opening_portals(void **state)
{
	struct config *config = fixture_config(FIXTURE_ISER);
	bool failed = true;

	(void)state;
	for (long nth = 1; failed; nth++) {
		struct world *world = new_world(false);
		int rc;

		reconcile(world, config, only_1, 1);
		fake_fail_nth(world->fake, nth);
		rc = open_portals(world, config, both, 2, NULL);
		failed = fake_failed(world->fake);
		assert_int_equal(rc, failed ? -EIO : 0);
		fake_fail_nth(world->fake, 0);
		reconcile(world, config, both, 2);
		assert_settled(world, config, both, 2);
		free_world(world);
	}
	fixture_free(config);
}

static void no_portals_without_a_tree(void **state)
{
	struct config *config = fixture_config(0);
	struct world *world = new_world(false);

	(void)state;
	assert_int_equal(open_portals(world, config, both, 2, NULL), -ENOENT);
	assert_int_equal(fake_changes(world->fake), 0);
	free_world(world);
	fixture_free(config);
}

/* isert_wait_conn() would hang on a command that fails under it; TCP would not. */
static void iser_is_taken_down_when_hosts_are_quiet(void **state)
{
	(void)state;
	for (int iser = 0; iser <= 1; iser++) {
		struct config *config = fixture_config(iser ? FIXTURE_ISER : 0);
		struct world *world = new_world(false);

		reconcile(world, config, both, 2);
		fake_commands(world->fake, 20);
		reconcile(world, config, only_1, 1);
		assert_string_equal(fake_get(world->fake, T1 "/tpgt_2/enable"), "0");
		assert_int_equal(fake_commands_to_come(world->fake), iser ? 0 : 20);
		free_world(world);
		fixture_free(config);
	}
}

struct parting {
	struct world *world;
	int *times;
};

static void note_leaving(const void *ctx, const char *portal)
{
	const struct parting *parting = ctx;
	struct fake *fake = parting->world->fake;

	assert_string_equal(portal, "10.77.0.2:3260");
	assert_int_equal(fake_commands_to_come(fake), 0); /* quiet before */
	assert_string_equal(fake_get(fake, T1 "/tpgt_2/enable"), "1");
	fake_commands(fake, 5); /* and afterwards, what was still under way */
	++*parting->times;
}

static int part(struct world *world, const struct config *config, int64_t close_limit_ms, bool plan_only, int *times)
{
	struct parting parting = { world, times };
	struct lio_scope scope = { .nodeid = 1, .portals_of = only_1, .n_portals_of = 1, .leave = note_leaving, .leave_ctx = &parting,
				   .close_limit_ms = close_limit_ms };
	struct lio_tree *tree = lio_tree_build(config, &scope, &world->roots);
	int rc = lio_reconcile(tree, plan_only, 1, NULL, NULL, NULL);

	lio_tree_free(tree);
	return rc;
}

/* While its connections close nothing may come in that could fail: soft-RoCE's address goes first. */
static void hosts_of_iser_are_parted_from_first(void **state)
{
	(void)state;
	for (int iser = 0; iser <= 1; iser++) {
		struct config *config = fixture_config(iser ? FIXTURE_ISER : 0);
		struct world *world = new_world(false);
		int times = 0;

		reconcile(world, config, both, 2);
		fake_commands(world->fake, iser ? 20 : 0);
		assert_int_equal(part(world, config, 0, true, &times), 0);
		assert_int_equal(times, 0);
		assert_int_equal(part(world, config, iser ? 60000 : 0, false, &times), 0);
		assert_int_equal(times, iser);
		assert_int_equal(fake_commands_to_come(world->fake), 0);
		assert_string_equal(fake_get(world->fake, T1 "/tpgt_2/enable"), "0");
		assert_null(lio_closing());
		free_world(world);
		fixture_free(config);
	}
}

static void reconcile_but_one_portal(struct world *world, const struct config *config)
{
	struct lio_scope scope = { .nodeid = 1, .portals_of = both, .n_portals_of = 2 };
	struct lio_tree *tree = lio_tree_build(config, &scope, &world->roots);

	assert_int_equal(lio_reconcile(tree, false, 1, NULL, NULL, NULL), -EBUSY);
	lio_tree_free(tree);
}

/* Removing what listens may hang for good and let nobody else change anything; and it is opened again with one write. */
static void what_listens_for_iser_stays(void **state)
{
	(void)state;
	for (int iser = 0; iser <= 1; iser++) {
		struct config *config = fixture_config(iser ? FIXTURE_ISER : 0), *other = fixture_config(iser ? 0 : FIXTURE_ISER);
		struct world *world = new_world(false);
		struct lio_report report;

		reconcile(world, config, only_1, 1);
		assert_string_equal(fake_get(world->fake, T1 "/tpgt_2/np/10.77.0.2:3260/iser"), ""); /* nor is it made */
		reconcile(world, config, both, 2);
		reconcile(world, config, only_1, 1);
		assert_string_equal(fake_get(world->fake, T1 "/tpgt_2/enable"), "0");
		assert_string_equal(fake_get(world->fake, T1 "/tpgt_2/np/10.77.0.2:3260/iser"), iser ? "1" : "");
		assert_settled(world, config, only_1, 1);
		assert_int_equal(open_portals(world, config, both, 2, &report), 0);
		assert_int_equal(report.n_writes, iser ? 1 : 2);
		assert_settled(world, config, both, 2);
		reconcile(world, config, only_1, 1);
		reconcile(world, other, only_1, 1);
		assert_string_equal(fake_get(world->fake, T1 "/tpgt_2/np/10.77.0.2:3260/iser"), "");
		free_world(world);
		fixture_free(config);
		fixture_free(other);
	}
}

/* The portal can be had elsewhere, all else goes on, and only that portal group is left alone until the kernel is done with it. */
static void a_portal_group_that_never_closes_holds_up_nothing_else(void **state)
{
	struct config *config = fixture_config(FIXTURE_ISER), *more = fixture_config(FIXTURE_ISER | FIXTURE_V3);
	struct world *world = new_world(false);
	const char *enable = FAKE_ROOT "/" T1 "/tpgt_2/enable";
	char *tpg;
	int times = 0;

	(void)state;
	reconcile(world, config, both, 2);
	fake_hang(world->fake, enable);
	assert_int_equal(part(world, config, 1, false, &times), 0);
	fake_wait_hanging(world->fake);
	assert_int_equal(times, 1);
	assert_string_equal(fake_get(world->fake, T1 "/tpgt_2/np/10.77.0.2:3260/iser"), "1");
	tpg = lio_closing();
	assert_non_null(tpg);
	assert_memory_equal(enable, tpg, strlen(tpg));
	free(tpg);
	reconcile(world, config, only_1, 1);
	assert_int_equal(open_portals(world, config, both, 2, NULL), -EBUSY);
	reconcile_but_one_portal(world, config);
	assert_string_equal(fake_get(world->fake, T1 "/tpgt_1/enable"), "1");
	fake_hang(world->fake, NULL);
	while ((tpg = lio_closing()))
		free(tpg);
	reconcile(world, more, both, 2);
	assert_settled(world, more, both, 2);
	free_world(world);
	fixture_free(config);
	fixture_free(more);
}

static void unmanaged_address_is_not_adopted(void **state)
{
	struct config *config = fixture_config(0);
	struct world *world = new_world(false);

	(void)state;
	for (size_t i = 0; i < config->targets[0].n_portals; i++)
		config->targets[0].portals[i].prefix_len = 0;
	reconcile(world, config, both, 2);
	assert_string_equal(fake_get(world->fake, T1 "/tpgt_1/np/10.77.0.1:3260/iser"), "0");
	assert_string_equal(fake_get(world->fake, T1 "/tpgt_2/np/10.77.0.2:3260/iser"), "");
	free_world(world);
	fixture_free(config);
}

/* From any document to any other: ends where a fresh build ends, and touches nothing that is the same. */
static void documents_change(void **state)
{
	static const unsigned int variants[] = {
		0, FIXTURE_V3, FIXTURE_H2, FIXTURE_T2, FIXTURE_NO_V2, FIXTURE_SWAP, FIXTURE_REBORN, FIXTURE_V3 | FIXTURE_NO_V2,
		FIXTURE_H2 | FIXTURE_T2 | FIXTURE_SWAP, FIXTURE_ISER, FIXTURE_SRP, FIXTURE_SRP | FIXTURE_T2 | FIXTURE_V3 | FIXTURE_REBORN,
		FIXTURE_FCOE, FIXTURE_FC | FIXTURE_V3 | FIXTURE_REBORN,
	};

	(void)state;
	for (size_t from = 0; from < ARRAY_SIZE(variants); from++) {
		for (size_t to = 0; to < ARRAY_SIZE(variants); to++) {
			struct config *old = fixture_config(variants[from]), *new = fixture_config(variants[to]);
			struct world *changed = new_world(false);

			reconcile(changed, old, only_1, 1);
			serve(changed, old, "g1", 1, LIO_ALUA_ACTIVE_OPTIMIZED);
			reconcile(changed, new, only_1, 1);
			assert_settled(changed, new, only_1, 1);
			reconcile(changed, old, only_1, 1);
			assert_settled(changed, old, only_1, 1);
			free_world(changed);
			fixture_free(old);
			fixture_free(new);
		}
	}
}

static void one_more_volume_touches_no_other(void **state)
{
	struct config *config = fixture_config(0);
	struct world *world = new_world(false);
	struct strbuf plan = { 0 };
	struct err err = ERR_INIT;
	struct lio_report report;

	(void)state;
	reconcile(world, config, only_1, 1);
	fixture_free(config);
	config = fixture_config(FIXTURE_V3);
	assert_int_equal(reconcile_as(world, config, only_1, 1, &report, &plan, &err), 0);
	assert_null(strstr(plan.s, "/v1"));
	assert_null(strstr(plan.s, "/v2"));
	assert_null(strstr(plan.s, "lun_0"));
	assert_null(strstr(plan.s, "enable 0"));
	assert_int_equal(report.n_removals, 0);
	strbuf_done(&plan);
	free_world(world);
	fixture_free(config);
}

static void an_empty_document_leaves_nothing(void **state)
{
	struct config *config = fixture_config(FIXTURE_H2 | FIXTURE_T2 | FIXTURE_V3);
	struct config empty = { 0 };
	struct world *world = new_world(true);
	_cleanup_free_ char *after = NULL;

	(void)state;
	reconcile(world, config, both, 2);
	reconcile(world, &empty, NULL, 0);
	after = dump(world);
	assert_string_equal(after, "target/iscsi\n");
	free_world(world);
	fixture_free(config);
}

static void what_is_foreign_stays(void **state)
{
	struct config *config = fixture_config(0);
	struct config empty = { 0 };
	struct world *world = new_world(false);
	struct cfs *cfs = world->roots.cfs;
	_cleanup_free_ char *before = NULL;
	_cleanup_free_ char *after = NULL;

	(void)state;
	assert_int_equal(cfs->ops->mkdir(cfs, FAKE_ROOT "/core/iblock_0"), 0);
	assert_int_equal(cfs->ops->mkdir(cfs, FAKE_ROOT "/core/iblock_0/other"), 0);
	assert_int_equal(cfs->ops->mkdir(cfs, FAKE_ROOT "/core/alua/lu_gps/other"), 0);
	assert_int_equal(cfs->ops->mkdir(cfs, FAKE_ROOT "/iscsi"), 0);
	assert_int_equal(cfs->ops->mkdir(cfs, FAKE_ROOT "/iscsi/iqn.2003-01.org.linux-iscsi:other"), 0);
	assert_int_equal(cfs->ops->mkdir(cfs, FAKE_ROOT "/iscsi/iqn.2003-01.org.linux-iscsi:other/tpgt_1"), 0);
	before = dump(world);
	reconcile(world, config, only_1, 1);
	reconcile(world, &empty, NULL, 0);
	after = dump(world);
	assert_string_equal(after, before);
	free_world(world);
	fixture_free(config);
}

/* --- what a kernel refuses ---------------------------------------------------------------------------------------------*/

static void frozen_attributes_wait(void **state)
{
	struct config *config = fixture_config(0);
	struct world *world = new_world(false);
	struct lio_report report;
	size_t before;

	(void)state;
	reconcile(world, config, only_1, 1);
	fake_set(world->fake, DEV("v1") "/attrib/force_pr_aptpl", "0");
	before = fake_changes(world->fake);
	report = reconcile(world, config, only_1, 1);
	assert_int_equal(report.n_deferred, 1);
	assert_int_equal(fake_changes(world->fake), before);
	free_world(world);
	fixture_free(config);
}

static int reconcile_loaded(struct world *world, const struct config *config, const struct lio_reservations *reservations, struct strbuf *ret_plan,
			    struct err *err)
{
	struct lio_scope scope = { .nodeid = 1, .portals_of = only_1, .n_portals_of = 1, .reservations = reservations, .n_reservations = 1 };
	struct lio_tree *tree = lio_tree_build(config, &scope, &world->roots);
	int rc = lio_reconcile(tree, false, 8, ret_plan, NULL, err);

	lio_tree_free(tree);
	return rc;
}

static void reservations_are_loaded_once_and_before_any_lun(void **state)
{
	static const char *const lines[] = { "initiator_node=a", "initiator_node=b" };
	struct lio_reservations reservations = { .volume = "v1", .lines = lines, .n_lines = 2 };
	struct config *config = fixture_config(FIXTURE_H2);
	struct world *world = new_world(false);
	_cleanup_free_ char *before = NULL;
	_cleanup_free_ char *after = NULL;
	struct strbuf plan = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	assert_false(lio_has_backstore(&world->roots, "v1"));
	assert_int_equal(reconcile_loaded(world, config, &reservations, NULL, &err), 0);
	assert_true(lio_has_backstore(&world->roots, "v1"));
	assert_string_equal(fake_get(world->fake, DEV("v1") "/pr/res_aptpl_metadata"), "initiator_node=a|initiator_node=b");
	assert_string_equal(fake_get(world->fake, DEV("v2") "/pr/res_aptpl_metadata"), "");
	assert_string_equal(fake_get(world->fake, DEV("v1") "/alua/node1/alua_access_state"), "15"); /* no PERSISTENT RESERVE OUT yet */
	assert_string_equal(fake_get(world->fake, DEV("v2") "/alua/node1/alua_access_state"), "2");
	/* What is in service keeps what it has. */
	assert_int_equal(reconcile_loaded(world, config, &reservations, &plan, &err), 0);
	assert_string_equal(strbuf_str(&plan), "");
	/* Unless it is to be made anew: then its hosts see one that is in transition. */
	before = dump(world);
	world->live = fake_live_luns(world->fake);
	reservations = (struct lio_reservations){ .volume = "v1", .anew = true, .lines = lines, .n_lines = 1 };
	assert_int_equal(reconcile_loaded(world, config, &reservations, &plan, &err), 0);
	assert_string_equal(fake_get(world->fake, DEV("v1") "/pr/res_aptpl_metadata"), "initiator_node=a");
	assert_null(strstr(plan.s, DEV("v2") " "));
	assert_int_equal(world->live, 6);
	assert_int_equal(world->longest, 1); /* unlink, link: no step between */
	assert_settled(world, config, only_1, 1);
	after = dump(world);
	assert_int_equal(strlen(after), strlen(before));
	strbuf_done(&plan);
	free_world(world);
	fixture_free(config);
}

/* The kernel adds each line to those it has: a build that is broken off between them begins again with a fresh device. */
static void a_load_that_was_broken_off_starts_afresh(void **state)
{
	static const char *const lines[] = { "initiator_node=a", "initiator_node=b" };
	struct lio_reservations reservations = { .volume = "v1", .lines = lines, .n_lines = 2 };
	struct config *config = fixture_config(0);
	bool failed = true;

	(void)state;
	for (long at = 1; failed; at++) {
		struct world *world = new_world(false);
		struct err err = ERR_INIT;

		fake_fail_nth(world->fake, at);
		failed = reconcile_loaded(world, config, &reservations, NULL, &err) < 0;
		fake_fail_nth(world->fake, 0);
		if (failed)
			assert_int_equal(reconcile_loaded(world, config, &reservations, NULL, &err), 0);
		assert_string_equal(fake_get(world->fake, DEV("v1") "/pr/res_aptpl_metadata"), "initiator_node=a|initiator_node=b");
		free_world(world);
	}
	fixture_free(config);
}

/* Whatever fails: hosts see the volume or its stand-in, and the next run, which may not be to make it anew, leaves no stand-in. */
static void survives_faults_while_making_anew(void **state)
{
	static const char *const lines[] = { "initiator_node=a" };
	struct config *config = fixture_config(FIXTURE_NO_V2);
	bool failed = true;

	(void)state;
	for (long at = 1; failed; at++) {
		struct lio_reservations reservations = { .volume = "v1", .anew = true, .lines = lines, .n_lines = 1 };
		struct world *world = new_world(at % 2);
		_cleanup_free_ char *before = NULL;
		_cleanup_free_ char *after = NULL;
		struct err err = ERR_INIT;

		reconcile(world, config, only_1, 1);
		serve(world, config, "g1", 2, LIO_ALUA_ACTIVE_OPTIMIZED);
		before = dump(world);
		fake_fail_nth(world->fake, at);
		failed = reconcile_loaded(world, config, &reservations, NULL, &err) < 0;
		fake_fail_nth(world->fake, 0);
		reservations.anew = at % 3 == 0;
		assert_int_equal(reconcile_loaded(world, config, &reservations, NULL, &err), 0);
		assert_settled(world, config, only_1, 1);
		after = dump(world);
		assert_int_equal(strlen(after), strlen(before));
		free_world(world);
	}
	fixture_free(config);
}

/* A command is measured against the device before it is told to wait: READ of the last block, WRITE of one of 4 KiB. */
static void stand_ins_are_as_large_as_what_they_stand_for(void **state)
{
	static const char *const lines[] = { "initiator_node=a" };
	static const char *const volumes[] = { "v1", "v2" }, *const block_sizes[] = { "512", "4096" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(volumes); i++) {
		struct lio_reservations reservations = { .volume = volumes[i], .anew = true, .lines = lines, .n_lines = 1 };
		_cleanup_free_ char *before_rmdir = xasprintf("rmdir " FAKE_ROOT "/" LIO_HBA "/%s", volumes[i]);
		_cleanup_free_ char *block_size = xasprintf(LIO_STANDINS "/%s/attrib/block_size", volumes[i]);
		_cleanup_free_ char *size = xasprintf("write " LIO_STANDINS "/%s/control rd_pages=%u,rd_nullio=1\n", volumes[i],
						      i == 0 ? 268435456u : 2147483647u); /* 8 TiB at most */
		_cleanup_strbuf_ struct strbuf plan = { 0 };
		struct config *config = fixture_config(0);
		struct world *world = new_world(false);

		config->volumes[i].size_bytes = i == 0 ? UINT64_C(1) << 40 : UINT64_C(1) << 50;
		reconcile(world, config, only_1, 1);
		world->stop_at = before_rmdir;
		assert_true(reconcile_loaded(world, config, &reservations, &plan, NULL) < 0);
		assert_string_equal(fake_get(world->fake, block_size), block_sizes[i]);
		assert_non_null(strstr(strbuf_str(&plan), size));
		free_world(world);
		fixture_free(config);
	}
}

/* An agent dies with a stand-in in place, and the document it comes back to has less. */
static void stand_ins_go_with_what_they_stood_for(void **state)
{
	static const char *const lines[] = { "initiator_node=a" };
	static const unsigned int left[] = { FIXTURE_H2 | FIXTURE_NO_V2, FIXTURE_REBORN, FIXTURE_SWAP };
	struct lio_reservations reservations = { .volume = "v1", .anew = true, .lines = lines, .n_lines = 1 };

	(void)state;
	for (size_t i = 0; i <= ARRAY_SIZE(left); i++) {
		struct config *config = fixture_config(FIXTURE_H2 | FIXTURE_T2), empty = { 0 };
		struct config *next = i < ARRAY_SIZE(left) ? fixture_config(left[i]) : NULL;
		struct world *world = new_world(false);
		_cleanup_free_ char *after = NULL;
		struct err err = ERR_INIT;

		reconcile(world, config, only_1, 1);
		world->stop_at = "rmdir " FAKE_ROOT "/" DEV("v1");
		assert_true(reconcile_loaded(world, config, &reservations, NULL, &err) < 0);
		assert_string_equal(fake_get(world->fake, LIO_STANDINS "/v1/enable"), "1");
		fake_fail_nth(world->fake, 0);
		if (next) {
			reconcile(world, next, only_1, 1);
			assert_settled(world, next, only_1, 1);
			fixture_free(next);
		} else {
			reconcile(world, &empty, NULL, 0);
		}
		after = dump(world);
		assert_null(strstr(after, "rd_mcp"));
		assert_null(strstr(after, "lun_1048"));
		if (!next)
			assert_string_equal(after, "target/iscsi\n");
		free_world(world);
		fixture_free(config);
	}
}

static void forgetting_maps_the_volumes_hosts_again(void **state)
{
	struct lio_scope scope = { .nodeid = 1, .portals_of = only_1, .n_portals_of = 1 };
	struct config *config = fixture_config(FIXTURE_H2);
	struct world *world = new_world(false);
	struct err err = ERR_INIT;
	size_t before;

	(void)state;
	reconcile(world, config, only_1, 1);
	before = fake_changes(world->fake);
	assert_int_equal(lio_forget_reservations(&world->roots, config, &scope, "v1", &err), 0);
	assert_true(fake_changes(world->fake) > before);
	assert_settled(world, config, only_1, 1);
	free_world(world);
	fixture_free(config);
}

static void another_serial_is_another_disk(void **state)
{
	struct config *config = fixture_config(FIXTURE_H2);
	struct world *world = new_world(false);
	struct strbuf plan = { 0 };
	struct err err = ERR_INIT;
	struct lio_report report;

	(void)state;
	reconcile(world, config, only_1, 1);
	fixture_free(config);
	config = fixture_config(FIXTURE_H2 | FIXTURE_REBORN);
	assert_int_equal(reconcile_as(world, config, only_1, 1, &report, &plan, &err), 0);
	assert_non_null(strstr(plan.s, "rmdir " DEV("v1") "\n"));
	assert_null(strstr(plan.s, "rmdir " DEV("v2") "\n"));
	assert_string_equal(fake_get(world->fake, DEV("v1") "/wwn/vpd_unit_serial"),
			    "T10 VPD Unit Serial Number: ffffffff-0000-4000-8000-000000000001");
	assert_settled(world, config, only_1, 1);
	strbuf_done(&plan);
	free_world(world);
	fixture_free(config);
}

static void an_id_of_another_hand_is_an_error(void **state)
{
	struct config *config = fixture_config(0);
	struct world *world = new_world(false);
	struct cfs *cfs = world->roots.cfs;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(cfs->ops->mkdir(cfs, FAKE_ROOT "/core/alua/lu_gps/lunward.g1"), 0);
	assert_int_equal(cfs->ops->write(cfs, FAKE_ROOT "/core/alua/lu_gps/lunward.g1/lu_gp_id", "9"), 0);
	assert_int_equal(reconcile_as(world, config, only_1, 1, NULL, NULL, &err), -EEXIST);
	assert_non_null(strstr(err.text, "lunward.g1/lu_gp_id is 9, not 1"));
	free_world(world);
	fixture_free(config);
}

/* A portal that cannot be had is an error, but the others serve. */
static void a_lost_portal_does_not_stop_the_rest(void **state)
{
	struct config *config = fixture_config(0);
	struct world *world = new_world(false);
	struct err err = ERR_INIT;

	(void)state;
	free(config->targets[0].portals[0].address);
	config->targets[0].portals[0].address = xstrdup("10.77.0.2"); /* also node 2's, in the same target */
	assert_int_equal(reconcile_as(world, config, both, 2, NULL, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.text, "np/10.77.0.2:3260"));
	assert_string_equal(fake_get(world->fake, T1 "/tpgt_1/enable"), "1");
	free_world(world);
	fixture_free(config);
}

static void rtpis_are_unique_and_stay(void **state)
{
	struct config *config = fixture_config(FIXTURE_T2);
	struct world *world = new_world(true);
	char rtpi[2][3][16];

	(void)state;
	reconcile(world, config, only_1, 1);
	for (int t = 0; t < 2; t++) {
		for (int n = 0; n < 3; n++) {
			_cleanup_free_ char *path = xasprintf("iscsi/%s/tpgt_%d/rtpi", t ? FIXTURE_IQN2 : FIXTURE_IQN, n + 1);

			snprintf(rtpi[t][n], 16, "%s", fake_get(world->fake, path));
			assert_true(strtol(rtpi[t][n], NULL, 0) > 0);
			for (int i = 0; i < t * 3 + n; i++)
				assert_string_not_equal(rtpi[t][n], rtpi[i / 3][i % 3]);
		}
	}
	assert_settled(world, config, only_1, 1);
	fixture_free(config);
	config = fixture_config(0); /* the other target goes, this one's stay */
	reconcile(world, config, only_1, 1);
	assert_string_equal(fake_get(world->fake, T1 "/tpgt_2/rtpi"), rtpi[0][1]);
	free_world(world);
	fixture_free(config);
}

/* LUN 1 of the own TPG (volume v1) under another hand, then back. */
static void relink(const char *link, const char *to)
{
	struct config *config = fixture_config(0);
	struct world *world = new_world(false);
	struct cfs *cfs = world->roots.cfs;
	_cleanup_free_ char *before = NULL;
	_cleanup_free_ char *after = NULL;

	reconcile(world, config, only_1, 1);
	before = dump(world);
	fake_on_change(world->fake, NULL, NULL);
	assert_int_equal(cfs->ops->unlink(cfs, FAKE_ROOT "/" T1 "/tpgt_1/lun/lun_1/v1"), 0);
	if (link)
		assert_int_equal(cfs->ops->symlink(cfs, to, link), 0);
	fake_on_change(world->fake, check, world);
	reconcile(world, config, only_1, 1);
	after = dump(world);
	assert_int_equal(strlen(after), strlen(before)); /* the order of siblings may differ */
	assert_int_equal(fake_dead_luns(world->fake), 0);
	assert_settled(world, config, only_1, 1);
	free_world(world);
	fixture_free(config);
}

static void foreign_links_are_put_right(void **state)
{
	(void)state;
	relink(NULL, NULL); /* cut only: what was mapped to it is dead */
	relink(FAKE_ROOT "/" T1 "/tpgt_1/lun/lun_1/v1", FAKE_ROOT "/" DEV("v2"));    /* the right name, another disk */
	relink(FAKE_ROOT "/" T1 "/tpgt_1/lun/lun_1/other", FAKE_ROOT "/" DEV("v1")); /* the right disk, another name */
}

/* --- faults ------------------------------------------------------------------------------------------------------------*/

/* Fails each operation once, in a change from one document to another; then the next run gets there. */
static void survive_each_fault(unsigned int from, unsigned int to, const uint32_t *portals_of, size_t n_portals_of)
{
	for (long n = 1;; n++) {
		struct config *old = fixture_config(from), *new = fixture_config(to);
		struct world *world = new_world(n % 2);
		struct err err = ERR_INIT;
		bool failed;
		int rc;

		if (from != to) {
			reconcile(world, old, only_1, 1);
			serve(world, old, "g1", 1, LIO_ALUA_ACTIVE_OPTIMIZED);
		}
		fake_fail_nth(world->fake, n);
		rc = reconcile_as(world, new, portals_of, n_portals_of, NULL, NULL, &err);
		failed = fake_failed(world->fake);
		fake_fail_nth(world->fake, 0);
		if (rc < 0)
			assert_string_not_equal(err.text, "");
		reconcile(world, new, portals_of, n_portals_of);
		assert_settled(world, new, portals_of, n_portals_of);
		free_world(world);
		fixture_free(old);
		fixture_free(new);
		if (!failed)
			return;
	}
}

static void survives_faults_while_building(void **state)
{
	(void)state;
	survive_each_fault(FIXTURE_H2, FIXTURE_H2, only_1, 1);
}

static void survives_faults_while_changing(void **state)
{
	(void)state;
	survive_each_fault(0, FIXTURE_SWAP | FIXTURE_V3, both, 2);
	survive_each_fault(FIXTURE_V3 | FIXTURE_H2, FIXTURE_NO_V2 | FIXTURE_REBORN, only_1, 1);
	survive_each_fault(FIXTURE_T2, FIXTURE_V3, only_1, 1);
	survive_each_fault(FIXTURE_SRP, FIXTURE_SRP | FIXTURE_REBORN, only_1, 1);
	survive_each_fault(FIXTURE_SRP, FIXTURE_V3, both, 2);
	survive_each_fault(FIXTURE_FCOE, FIXTURE_FCOE | FIXTURE_REBORN, only_1, 1);
	survive_each_fault(FIXTURE_FCOE, FIXTURE_FC, both, 2);
}

/* Half a picture is none: an unreadable folder or link takes nothing out of service. */
static void removes_nothing_it_cannot_see(void **state)
{
	struct config *config = fixture_config(FIXTURE_H2);
	struct world *world = new_world(false);

	(void)state;
	reconcile(world, config, only_1, 1);
	for (long n = 1;; n++) {
		struct err err = ERR_INIT;
		size_t before = fake_changes(world->fake);

		fake_fail_nth(world->fake, n);
		if (reconcile_as(world, config, only_1, 1, NULL, NULL, &err) == 0 && !fake_failed(world->fake))
			break;
		assert_int_equal(fake_changes(world->fake), before);
	}
	free_world(world);
	fixture_free(config);
}

/* --- bulk --------------------------------------------------------------------------------------------------------------*/

static void builds_many_in_parallel(void **state)
{
	static const char *const line = "initiator_node=a";
	static const struct lio_reservations loaded[] = { { .volume = "v0", .lines = &line, .n_lines = 1 },
							  { .volume = "v9", .lines = &line, .n_lines = 1 } };
	struct config *config = fixture_many(64);
	struct lio_scope scope = { .nodeid = 1, .portals_of = only_1, .n_portals_of = 1, .reservations = loaded, .n_reservations = 2 };
	struct world *world = new_world(false);
	struct lio_tree *tree = lio_tree_build(config, &scope, &world->roots);
	struct lio_report report;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(lio_reconcile(tree, false, 8, NULL, &report, &err), 0);
	assert_string_equal(fake_get(world->fake, "rcu_expedited"), "0"); /* put back */
	assert_int_equal(lio_reconcile(tree, false, 8, NULL, &report, &err), 0);
	assert_int_equal(report.n_writes, 0);
	lio_tree_free(tree);
	free_world(world);
	fixture_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_fake_keeps_the_kernels_contract),
		cmocka_unit_test(builds_and_settles),
		cmocka_unit_test(makes_exactly_this),
		cmocka_unit_test(builds_in_order),
		cmocka_unit_test(stages_stand_in_order),
		cmocka_unit_test(a_plan_changes_nothing_and_tells_all),
		cmocka_unit_test(chap_is_per_host),
		cmocka_unit_test(the_agent_has_an_acl_of_its_own),
		cmocka_unit_test(the_agents_lun_follows_the_document),
		cmocka_unit_test(one_write_flips_a_group),
		cmocka_unit_test(a_new_volume_in_service_starts_in_standby),
		cmocka_unit_test(an_unfinished_volume_is_passed_over),
		cmocka_unit_test(a_lost_group_takes_its_siblings_state),
		cmocka_unit_test(portals_are_adopted_and_given_back),
		cmocka_unit_test(parameters_are_per_target),
		cmocka_unit_test(connections_are_kept_off_a_processor),
		cmocka_unit_test(discovery_asks_for_what_is_said),
		cmocka_unit_test(opening_portals_looks_at_nothing_else),
		cmocka_unit_test(survives_faults_while_opening_portals),
		cmocka_unit_test(no_portals_without_a_tree),
		cmocka_unit_test(iser_is_taken_down_when_hosts_are_quiet),
		cmocka_unit_test(hosts_of_iser_are_parted_from_first),
		cmocka_unit_test(what_listens_for_iser_stays),
		cmocka_unit_test(a_portal_group_that_never_closes_holds_up_nothing_else),
		cmocka_unit_test(unmanaged_address_is_not_adopted),
		cmocka_unit_test(documents_change),
		cmocka_unit_test(one_more_volume_touches_no_other),
		cmocka_unit_test(an_empty_document_leaves_nothing),
		cmocka_unit_test(what_is_foreign_stays),
		cmocka_unit_test(frozen_attributes_wait),
		cmocka_unit_test(reservations_are_loaded_once_and_before_any_lun),
		cmocka_unit_test(a_load_that_was_broken_off_starts_afresh),
		cmocka_unit_test(survives_faults_while_making_anew),
		cmocka_unit_test(stand_ins_are_as_large_as_what_they_stand_for),
		cmocka_unit_test(stand_ins_go_with_what_they_stood_for),
		cmocka_unit_test(forgetting_maps_the_volumes_hosts_again),
		cmocka_unit_test(another_serial_is_another_disk),
		cmocka_unit_test(an_id_of_another_hand_is_an_error),
		cmocka_unit_test(a_lost_portal_does_not_stop_the_rest),
		cmocka_unit_test(foreign_links_are_put_right),
		cmocka_unit_test(rtpis_are_unique_and_stay),
		cmocka_unit_test(survives_faults_while_building),
		cmocka_unit_test(survives_faults_while_changing),
		cmocka_unit_test(removes_nothing_it_cannot_see),
		cmocka_unit_test(builds_many_in_parallel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
