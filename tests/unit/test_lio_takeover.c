// SPDX-License-Identifier: GPL-2.0-or-later
/* Taking over what another program has set up in the kernel target, on a configfs in memory: hosts keep their disks at every single step. */
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
#include "tests/unit/fake_configfs.h"
#include "tests/unit/lio_fixture.h"

#define TPG FAKE_ROOT "/iscsi/" FIXTURE_IQN "/tpgt_1"
#define ACL TPG "/acls/iqn.1993-08.org.debian:h1"
#define OLD FAKE_ROOT "/core/iblock_0/disk0"
#define OURS "/" LIO_HBA "/v1"

struct world {
	struct fake *fake;
	struct cfs *cfs;
	struct lio_roots roots;
	struct config *config;
	struct lio_foreign foreign;
	bool held, hold_fails;
	unsigned int holds;
	char violation[256]; /* first one */
};

/* A disk that is not there is worse than one that does not answer. */
static void check(struct fake *fake, void *ctx, const char *what)
{
	struct world *world = ctx;

	if (!world->held && fake_live_luns(fake) == 0 && !world->violation[0])
		snprintf(world->violation, sizeof(world->violation), "after %s: the disk is gone, and the host was not made to wait", what);
	/* The kernel looks at a command's range before it looks at the state. */
	if (strstr(what, "rd_pages") && !strstr(what, "rd_pages=262144,") && !world->violation[0])
		snprintf(world->violation, sizeof(world->violation), "%s: the stand-in is not as large as the volume", what);
}

static int hold(const void *ctx, bool on, struct err *err)
{
	struct world *world = *(struct world *const *)ctx;

	if (on && world->hold_fails)
		return err_set(err, -ENOENT, "nft: no such program");
	world->held = on;
	world->holds += on;
	return 0;
}

static void make(struct world *world, const char *dir)
{
	assert_int_equal(world->cfs->ops->mkdir(world->cfs, dir), 0);
}

static void put(struct world *world, const char *path, const char *value)
{
	assert_int_equal(world->cfs->ops->write(world->cfs, path, value), 0);
}

static void point(struct world *world, const char *link, const char *to)
{
	assert_int_equal(world->cfs->ops->symlink(world->cfs, to, link), 0);
}

/* As targetcli leaves it. */
static void serve_by_targetcli(struct world *world)
{
	make(world, FAKE_ROOT "/core/iblock_0");
	make(world, OLD);
	put(world, OLD "/control", "udev_path=/dev/vg/disk0,readonly=0");
	put(world, OLD "/enable", "1");
	put(world, OLD "/wwn/vpd_unit_serial", world->config->volumes[0].serial);
	make(world, FAKE_ROOT "/iscsi");
	make(world, FAKE_ROOT "/iscsi/" FIXTURE_IQN);
	make(world, TPG);
	make(world, TPG "/lun/lun_0");
	point(world, TPG "/lun/lun_0/1a2b3c4d5e", OLD);
	make(world, TPG "/np/10.77.0.1:3260");
	make(world, ACL);
	make(world, ACL "/lun_0");
	point(world, ACL "/lun_0/5e4d3c2b1a", TPG "/lun/lun_0");
	put(world, TPG "/enable", "1");
	assert_int_equal(fake_live_luns(world->fake), 1);
}

static struct world *new_world(unsigned int flags)
{
	struct world *world = xcalloc(1, sizeof(*world));

	world->fake = fake_new(false);
	world->cfs = fake_cfs(world->fake);
	world->roots = (struct lio_roots){ .configfs = FAKE_ROOT, .dbroot = "/nowhere", .sysfs = "/nowhere", .cfs = world->cfs };
	world->config = fixture_config(flags | FIXTURE_NO_V2);
	world->foreign = (struct lio_foreign){ .group = "g1" };
	serve_by_targetcli(world);
	fake_on_change(world->fake, check, world);
	return world;
}

static void free_world(struct world *world)
{
	assert_string_equal(world->violation, "");
	assert_false(world->held);
	fake_free(world->fake);
	fixture_free(world->config);
	free(world);
}

static int reconcile(struct world *world, bool take, struct lio_report *ret_report, struct strbuf *ret_plan, struct err *err)
{
	static const uint32_t only_1[] = { 1 };
	struct lio_scope scope = { .nodeid = 1, .portals_of = only_1, .n_portals_of = 1, .health_password = "secret-of-agent", .foreign = &world->foreign,
				   .n_foreign = world->config->groups[0].nodes[1] ? 0 : 1, .hold = hold, .hold_ctx = &world };
	struct lio_tree *tree;
	int rc;

	world->foreign.take = take;
	tree = lio_tree_build(world->config, &scope, &world->roots);
	rc = lio_reconcile(tree, ret_plan, 1, ret_plan, ret_report, err);
	lio_tree_free(tree);
	return rc;
}

static struct lio_report succeed(struct world *world, bool take)
{
	struct lio_report report = { 0 };
	struct err err = ERR_INIT;

	if (reconcile(world, take, &report, NULL, &err) < 0)
		fail_msg("%s", err.text);
	return report;
}

static void assert_leads(struct world *world, const char *link, const char *to)
{
	_cleanup_free_ char *got = NULL;

	assert_int_equal(world->cfs->ops->readlink(world->cfs, link, &got), 0);
	assert_non_null(strstr(got, to));
}

static void assert_ours(struct world *world)
{
	assert_int_equal(fake_live_luns(world->fake), 2); /* and the agent's own */
	assert_int_equal(fake_dead_luns(world->fake), 0);
	assert_leads(world, TPG "/lun/lun_1/v1", OURS);
	assert_leads(world, ACL "/lun_0/v1", "/lun/lun_1");
	assert_false(world->cfs->ops->exists(world->cfs, OLD));
	assert_false(world->cfs->ops->exists(world->cfs, FAKE_ROOT "/" LIO_STANDINS));
	assert_false(world->cfs->ops->exists(world->cfs, TPG "/lun/lun_0"));
}

static void it_stays_until_the_group_is_acquired(void **state)
{
	struct world *world = new_world(FIXTURE_ALONE);

	(void)state;
	assert_true(succeed(world, false).is_built);
	assert_true(world->foreign.found);
	assert_leads(world, TPG "/lun/lun_0/1a2b3c4d5e", "/core/iblock_0/disk0");
	assert_leads(world, ACL "/lun_0/5e4d3c2b1a", "/lun/lun_0");
	assert_true(world->cfs->ops->exists(world->cfs, FAKE_ROOT OURS)); /* all but what hosts see is there */
	assert_string_equal(fake_get(world->fake, "iscsi/" FIXTURE_IQN "/tpgt_1/enable"), "1");
	assert_int_equal(succeed(world, false).n_writes, 0);
	assert_int_equal(world->holds, 0);
	free_world(world);
}

static void it_is_taken_without_a_host_losing_it(void **state)
{
	(void)state;
	for (int prepared = 0; prepared <= 1; prepared++) {
		struct world *world = new_world(FIXTURE_ALONE);
		struct lio_report report;

		if (prepared)
			succeed(world, false);
		succeed(world, true);
		assert_int_equal(world->holds, 2);
		assert_ours(world);
		assert_false(world->cfs->ops->exists(world->cfs, FAKE_ROOT "/core/iblock_0"));
		report = succeed(world, true);
		assert_false(world->foreign.found);
		assert_int_equal(report.n_writes + report.n_removals, 0);
		free_world(world);
	}
}

/* Wherever a step fails, the host is not left waiting, has its disk or a stand-in, and the next run gets there. */
static void each_fault_is_survived(void **state)
{
	bool failed = true;

	(void)state;
	for (long n = 1; failed; n++) {
		struct world *world = new_world(FIXTURE_ALONE);
		struct err err = ERR_INIT;

		succeed(world, false);
		fake_fail_nth(world->fake, n);
		if (reconcile(world, true, NULL, NULL, &err) < 0)
			if (!err.text[0])
				fail_msg("no text at %ld: %d", n, err.code);
		failed = fake_failed(world->fake);
		fake_fail_nth(world->fake, 0);
		assert_false(world->held);
		succeed(world, true);
		assert_ours(world);
		free_world(world);
	}
}

static void assert_refused(struct world *world, const char *why)
{
	struct strbuf before = { 0 }, after = { 0 };
	struct err err = ERR_INIT;

	fake_dump(world->fake, &before);
	if (reconcile(world, true, NULL, NULL, &err) != -EBUSY || !strstr(err.text, why))
		fail_msg("%s instead of %s", err.text, why);
	fake_dump(world->fake, &after);
	assert_string_equal(strbuf_str(&after), strbuf_str(&before));
	strbuf_done(&before);
	strbuf_done(&after);
	free_world(world);
}

static void what_would_lose_something_is_refused(void **state)
{
	struct world *world = new_world(FIXTURE_ALONE);

	(void)state;
	fake_set(world->fake, "core/iblock_0/disk0/pr/res_pr_registered_i_pts",
		 "SPC-3 PR Registrations:\niSCSI Node: iqn.1993-08.org.debian:h1,i,0x00023d000001 Key: 0x00000000000000ab PRgen: 0x00000001");
	assert_refused(world, "hosts have registered for reservations with /sys/kernel/config/target/core/iblock_0/disk0");
	world = new_world(FIXTURE_ALONE);
	put(world, TPG "/np/10.77.0.1:3260/iser", "1");
	assert_refused(world, "only iSCSI over TCP can be taken over");
	assert_refused(new_world(0), "while this is the only node of the volume's group");
}

static void hosts_that_cannot_be_made_to_wait_keep_their_disk(void **state)
{
	struct world *world = new_world(FIXTURE_ALONE);
	struct err err = ERR_INIT;

	(void)state;
	world->hold_fails = true;
	assert_int_equal(reconcile(world, true, NULL, NULL, &err), -ENOENT);
	assert_string_equal(err.text, "cannot make hosts wait: nft: no such program");
	assert_leads(world, ACL "/lun_0/5e4d3c2b1a", "/lun/lun_0");
	world->hold_fails = false;
	fake_commands(world->fake, 1000000); /* they talk all the same */
	assert_int_equal(reconcile(world, true, NULL, NULL, &err), -EBUSY);
	assert_leads(world, ACL "/lun_0/5e4d3c2b1a", "/lun/lun_0");
	fake_commands(world->fake, 0);
	succeed(world, true);
	assert_ours(world);
	free_world(world);
}

/* A number that another program has given to one volume is another's: the second waits for the first. */
static void a_number_is_waited_for(void **state)
{
	struct world *world = new_world(FIXTURE_ALONE | FIXTURE_V3);

	(void)state;
	make(world, TPG "/lun/lun_3");
	point(world, TPG "/lun/lun_3/0123456789", OLD); /* v3's own number */
	succeed(world, false);
	assert_leads(world, TPG "/lun/lun_3/0123456789", "/core/iblock_0/disk0");
	succeed(world, true);
	assert_leads(world, TPG "/lun/lun_3/v3", "/" LIO_HBA "/v3");
	assert_leads(world, ACL "/lun_5/v3", "/lun/lun_3");
	free_world(world);
}

/* Hosts that knew the volume before go by the default group until they look again. */
static void the_default_group_goes_with_the_only_node(void **state)
{
	struct world *world = new_world(FIXTURE_ALONE);
	struct err err = ERR_INIT;

	(void)state;
	succeed(world, false);
	assert_string_equal(fake_get(world->fake, LIO_HBA "/v1/alua/default_tg_pt_gp/alua_access_state"), "2");
	assert_int_equal(lio_alua_set(&world->roots, world->config, "g1", 1, LIO_ALUA_TRANSITIONING, &err), 0);
	assert_string_equal(fake_get(world->fake, LIO_HBA "/v1/alua/default_tg_pt_gp/alua_access_state"), "15");
	succeed(world, true);
	assert_int_equal(lio_alua_set(&world->roots, world->config, "g1", 1, LIO_ALUA_ACTIVE_OPTIMIZED, &err), 0);
	assert_string_equal(fake_get(world->fake, LIO_HBA "/v1/alua/default_tg_pt_gp/alua_access_state"), "0");
	assert_int_equal(succeed(world, true).n_writes, 0);
	world->config->groups[0].nodes[1] = 2;
	succeed(world, true);
	assert_string_equal(fake_get(world->fake, LIO_HBA "/v1/alua/default_tg_pt_gp/alua_access_state"), "2");
	assert_string_equal(fake_get(world->fake, LIO_HBA "/v1/alua/node1/alua_access_state"), "0");
	free_world(world);
}

static void a_plan_changes_nothing(void **state)
{
	struct world *world = new_world(FIXTURE_ALONE);
	struct strbuf before = { 0 }, after = { 0 }, plan = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	fake_dump(world->fake, &before);
	assert_int_equal(reconcile(world, true, NULL, &plan, &err), 0);
	fake_dump(world->fake, &after);
	assert_string_equal(strbuf_str(&after), strbuf_str(&before));
	assert_non_null(strstr(strbuf_str(&plan), "core/iblock_0/disk0"));
	assert_int_equal(world->holds, 0);
	strbuf_done(&before);
	strbuf_done(&after);
	strbuf_done(&plan);
	free_world(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_stays_until_the_group_is_acquired),
		cmocka_unit_test(it_is_taken_without_a_host_losing_it),
		cmocka_unit_test(each_fault_is_survived),
		cmocka_unit_test(what_would_lose_something_is_refused),
		cmocka_unit_test(hosts_that_cannot_be_made_to_wait_keep_their_disk),
		cmocka_unit_test(a_number_is_waited_for),
		cmocka_unit_test(the_default_group_goes_with_the_only_node),
		cmocka_unit_test(a_plan_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
