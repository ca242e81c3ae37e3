// SPDX-License-Identifier: GPL-2.0-or-later
/* lio on a real kernel: the contract the fake is held to, building, settling, ALUA flips, changes of the document, bulk. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "target-config/gate/gate.h"
#include "target-config/lio/cfs.h"
#include "target-config/lio/lio.h"
#include "target-config/lio/tree.h"
#include "tests/lab/guest/check.h"
#include "tests/unit/cfs_contract.h"
#include "tests/unit/lio_fixture.h"

#define SECTORS (1u << 21)
#define BULK 256

static const struct lio_roots roots = { .configfs = "/sys/kernel/config/target", .dbroot = "/run/lunward/lio" };
static char **gids; /* of this machine's RDMA ports */
static size_t n_gids;
static const uint32_t only_1[] = { 1 };
static const uint32_t both[] = { 1, 2 };

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void broken(const char *text)
{
	check_that(false, "contract", text);
}

static void make_gates(const struct config *config)
{
	struct err err = ERR_INIT;
	char template_path[64];

	CHECK_CALL(gate_template_ensure(template_path, &err));
	for (size_t i = 0; i < config->n_volumes; i++) {
		if (gate_ensure(config->volumes[i].name, SECTORS, template_path, &err) < 0)
			check_that(false, "gate_ensure", err.text);
	}
}

static void remove_gate(void *ctx, const char *volume)
{
	char ***names = ctx;

	**names = xstrdup(volume);
	(*names)++;
}

static void remove_gates(void)
{
	char **names = xcalloc(BULK + 8, sizeof(*names));
	char **end = names;
	struct err err = ERR_INIT;

	CHECK_CALL(gate_list(remove_gate, &end, &err));
	for (char **name = names; name < end; name++) {
		if (gate_remove(*name, &err) < 0)
			check_that(false, "gate_remove", err.text);
		free(*name);
	}
	free(names);
}

static struct lio_report reconcile(const struct config *config, const uint32_t *portals_of, size_t n, unsigned int threads)
{
	struct lio_scope scope = { .nodeid = 1, .portals_of = portals_of, .n_portals_of = n, .gids = (const char *const *)gids, .n_gids = n_gids };
	struct lio_tree *tree = lio_tree_build(config, &scope, &roots);
	struct lio_report report = { 0 };
	struct err err = ERR_INIT;
	struct strbuf plan = { 0 };

	if (lio_reconcile(tree, false, threads, &plan, &report, &err) < 0)
		check_that(false, "lio_reconcile", err.text);
	check_that(!report.apart.code, "SRP ports", report.apart.text);
	if (getenv("SHOW_PLAN"))
		fputs(strbuf_str(&plan), stdout);
	strbuf_done(&plan);
	lio_tree_free(tree);
	return report;
}

static void settle(const char *what, const struct config *config, const uint32_t *portals_of, size_t n)
{
	struct lio_report report = reconcile(config, portals_of, n, 2);
	struct lio_scope scope = { .nodeid = 1, .portals_of = portals_of, .n_portals_of = n, .gids = (const char *const *)gids, .n_gids = n_gids };
	struct lio_tree *tree;
	struct strbuf plan = { 0 };
	struct err err = ERR_INIT;

	printf("# %s: %zu objects, %zu writes, %zu removals, %zu deferred\n", what, report.n_objects, report.n_writes,
	       report.n_removals, report.n_deferred);
	tree = lio_tree_build(config, &scope, &roots);
	check_that(lio_reconcile(tree, true, 1, &plan, &report, &err) == 0 && report.n_writes + report.n_removals == 0, what,
		   strbuf_str(&plan));
	check_that(report.n_deferred == 0, "nothing is left for later", strbuf_str(&plan));
	report = reconcile(config, portals_of, n, 2);
	check_that(report.n_writes + report.n_removals == 0, "the second run writes nothing", what);
	strbuf_done(&plan);
	lio_tree_free(tree);
}

static void flips(const struct config *config)
{
	enum lio_alua_state state;
	struct err err = ERR_INIT;

	CHECK_CALL(lio_alua_get(&roots, config, "g1", 1, &state, &err));
	CHECK(state == LIO_ALUA_STANDBY);
	CHECK_CALL(lio_alua_set(&roots, config, "g1", 1, LIO_ALUA_TRANSITIONING, &err));
	CHECK_CALL(lio_alua_set(&roots, config, "g1", 1, LIO_ALUA_ACTIVE_OPTIMIZED, &err));
	CHECK_CALL(lio_alua_set(&roots, config, "g1", 1, LIO_ALUA_ACTIVE_OPTIMIZED, &err));
	CHECK_CALL(lio_alua_get(&roots, config, "g1", 1, &state, &err));
	CHECK(state == LIO_ALUA_ACTIVE_OPTIMIZED);
	CHECK_CALL(lio_alua_get(&roots, config, "g1", 2, &state, &err));
	CHECK(state == LIO_ALUA_STANDBY);
	CHECK_CALL(lio_alua_get(&roots, config, "g2", 1, &state, &err));
	CHECK(state == LIO_ALUA_STANDBY);
}

static void documents(void)
{
	static const struct {
		const char *name;
		unsigned int flags;
	} steps[] = {
		{ "build", 0 },
		{ "a volume more", FIXTURE_V3 },
		{ "a host more", FIXTURE_V3 | FIXTURE_H2 },
		{ "a target more", FIXTURE_V3 | FIXTURE_H2 | FIXTURE_T2 },
		{ "an SRP target", FIXTURE_V3 | FIXTURE_SRP },
		{ "v1 born again at SRP", FIXTURE_V3 | FIXTURE_SRP | FIXTURE_REBORN },
		{ "LUN numbers swapped", FIXTURE_V3 | FIXTURE_SWAP },
		{ "v1 born again", FIXTURE_V3 | FIXTURE_REBORN },
		{ "v2 gone", FIXTURE_V3 | FIXTURE_REBORN | FIXTURE_NO_V2 },
		{ "no CHAP", FIXTURE_NO_CHAP },
	};

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct config *config = fixture_config(steps[i].flags);

		if (n_gids)
			fixture_gid(config, gids[0]);
		make_gates(config);
		settle(steps[i].name, config, only_1, 1);
		if (i == 0)
			flips(config);
		fixture_free(config);
	}
}

static void portals(void)
{
	struct config *config = fixture_config(0);
	struct lio_report report;

	settle("own portals", config, only_1, 1);
	report = reconcile(config, both, 2, 2);
	CHECK(report.n_writes == 2 && report.n_removals == 0);
	settle("adopted portals", config, both, 2);
	settle("portals given back", config, only_1, 1);
	settle("no portals", config, NULL, 0);
	fixture_free(config);
}

/* As on a node whose RDMA port is pulled while nobody uses it, and put in again. */
static void srp_ports(void)
{
	struct config *config = fixture_config(FIXTURE_SRP);
	size_t n = n_gids;

	if (!n) {
		printf("# skipped: no RDMA port, or no ib_srpt: SRP ports of its own\n");
		fixture_free(config);
		return;
	}
	fixture_gid(config, gids[0]);
	make_gates(config);
	settle("an SRP port", config, only_1, 1);
	n_gids = 0;
	settle("its stand-in", config, only_1, 1);
	n_gids = n;
	settle("the port again", config, only_1, 1);
	settle("a port that is down", config, NULL, 0);
	fixture_free(config);
	config = fixture_config(FIXTURE_SRP | FIXTURE_BY_ADDRESS);
	fixture_gid(config, gids[0]);
	settle("hosts known by their addresses", config, only_1, 1);
	fixture_free(config);
}

static void srp_contract(void)
{
	_cleanup_free_ char *wwn = n_gids ? lio_srp_wwn(gids[0]) : NULL;

	if (wwn) {
		CHECK(cfs_contract_srp(cfs_kernel(), roots.configfs, "/dev/mapper/lunward-contract", wwn, broken) == 0);
		CHECK(cfs_contract_srp(cfs_kernel(), roots.configfs, "/dev/mapper/lunward-contract", gids[0] + CONFIG_GID_SIZE / 2, broken) == 0);
	} else {
		printf("# skipped: no RDMA port, or no ib_srpt: the contract of SRP\n");
	}
}

static void bulk(void)
{
	struct config *config = fixture_many(BULK);
	struct err err = ERR_INIT;
	struct lio_report report;
	double start = now_ms();

	make_gates(config);
	printf("# %d gates: %.0f ms\n", BULK, now_ms() - start);
	start = now_ms();
	report = reconcile(config, only_1, 1, 8);
	printf("# %d volumes built: %.0f ms, %zu writes\n", BULK, now_ms() - start, report.n_writes);
	start = now_ms();
	report = reconcile(config, only_1, 1, 8);
	printf("# second run: %.0f ms\n", now_ms() - start);
	CHECK(report.n_writes == 0 && report.n_removals == 0);
	start = now_ms();
	CHECK_CALL(lio_alua_set(&roots, config, "g1", 1, LIO_ALUA_ACTIVE_OPTIMIZED, &err));
	printf("# flip: %.2f ms\n", now_ms() - start);
	fixture_free(config);
}

static void nothing_left(void)
{
	struct config empty = { 0 };
	double start = now_ms();
	struct cfs *cfs = cfs_kernel();

	settle("empty document", &empty, NULL, 0);
	printf("# removed: %.0f ms\n", now_ms() - start);
	CHECK(!cfs->ops->exists(cfs, "/sys/kernel/config/target/core/iblock_7731"));
	CHECK(!cfs->ops->exists(cfs, "/sys/kernel/config/target/iscsi/" FIXTURE_IQN));
}

int main(void)
{
	struct err err = ERR_INIT;
	char template_path[64];

	CHECK_CALL(lio_prepare(&roots, false, true, &err));
	CHECK_CALL(lio_prepare(&roots, false, true, &err));
	CHECK_CALL(gate_template_ensure(template_path, &err));
	CHECK_CALL(gate_ensure("contract", SECTORS, template_path, &err));
	CHECK_CALL(gate_ensure("contract2", SECTORS, template_path, &err));
	CHECK(cfs_contract(cfs_kernel(), roots.configfs, "/dev/mapper/lunward-contract", "/dev/mapper/lunward-contract2",
			   broken) == 0);
	lio_gids_read("/sys", &gids, &n_gids);
	srp_contract();
	documents();
	portals();
	srp_ports();
	nothing_left();
	bulk();
	nothing_left();
	remove_gates();
	cfs_names_free(gids, n_gids);
	return checks_failed > 0;
}
