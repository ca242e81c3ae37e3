// SPDX-License-Identifier: GPL-2.0-or-later
/* lio on a real kernel: the contract the fake is held to, building, settling, ALUA flips, changes of the document, bulk. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/run_cmd.h"
#include "base/xalloc.h"
#include "target-config/gate/gate.h"
#include "target-config/lio/cfs.h"
#include "target-config/lio/lio.h"
#include "target-config/lio/sessions.h"
#include "target-config/lio/tree.h"
#include "tests/lab/guest/check.h"
#include "tests/unit/cfs_contract.h"
#include "tests/unit/lio_fixture.h"

#define SECTORS (1u << 21)
#define BULK 256

static const struct lio_roots roots = { .configfs = "/sys/kernel/config/target", .dbroot = "/run/lunward/lio" };
static char **ports; /* of this machine: lio_ports_read() */
static size_t n_ports;
static const uint32_t only_1[] = { 1 };
static const uint32_t both[] = { 1, 2 };

/* The i-th with that prefix; NULL: there is none. */
static const char *port(const char *prefix, size_t i)
{
	for (size_t k = 0; k < n_ports; k++) {
		if (strncmp(ports[k], prefix, strlen(prefix)) == 0 && i-- == 0)
			return ports[k] + strlen(prefix);
	}
	return NULL;
}

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
	struct lio_scope scope = { .nodeid = 1, .portals_of = portals_of, .n_portals_of = n, .ports = (const char *const *)ports, .n_ports = n_ports };
	struct lio_tree *tree = lio_tree_build(config, &scope, &roots);
	struct lio_report report = { 0 };
	struct err err = ERR_INIT;
	struct strbuf plan = { 0 };

	if (lio_reconcile(tree, false, threads, &plan, &report, &err) < 0)
		check_that(false, "lio_reconcile", err.text);
	check_that(!report.apart.code, "ports", report.apart.text);
	if (getenv("SHOW_PLAN"))
		fputs(strbuf_str(&plan), stdout);
	strbuf_done(&plan);
	lio_tree_free(tree);
	return report;
}

static void settle(const char *what, const struct config *config, const uint32_t *portals_of, size_t n)
{
	struct lio_report report = reconcile(config, portals_of, n, 2);
	struct lio_scope scope = { .nodeid = 1, .portals_of = portals_of, .n_portals_of = n, .ports = (const char *const *)ports, .n_ports = n_ports };
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

		if (port("srp.", 0))
			fixture_port(config, port("srp.", 0));
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
	size_t n = n_ports;

	if (!port("srp.", 0)) {
		printf("# skipped: no RDMA port, or no ib_srpt: SRP ports of its own\n");
		fixture_free(config);
		return;
	}
	fixture_port(config, port("srp.", 0));
	make_gates(config);
	settle("an SRP port", config, only_1, 1);
	n_ports = 0;
	settle("its stand-in", config, only_1, 1);
	n_ports = n;
	settle("the port again", config, only_1, 1);
	settle("a port that is down", config, NULL, 0);
	fixture_free(config);
	config = fixture_config(FIXTURE_SRP | FIXTURE_BY_ADDRESS);
	fixture_port(config, port("srp.", 0));
	settle("hosts known by their addresses", config, only_1, 1);
	fixture_free(config);
}

static void ports_contract(void)
{
	const char *gid = port("srp.", 0);
	_cleanup_free_ char *wwn = gid ? lio_srp_wwn(gid) : NULL;

	if (wwn) {
		CHECK(cfs_contract_srp(cfs_kernel(), roots.configfs, "/dev/mapper/lunward-contract", wwn, broken) == 0);
		CHECK(cfs_contract_srp(cfs_kernel(), roots.configfs, "/dev/mapper/lunward-contract", gid + CONFIG_GID_SIZE / 2, broken) == 0);
	} else {
		printf("# skipped: no RDMA port, or no ib_srpt: the contract of SRP\n");
	}
	if (port("fcoe.", 0))
		CHECK(cfs_contract_fc(cfs_kernel(), roots.configfs, "/dev/mapper/lunward-contract", "fc", port("fcoe.", 0), broken) == 0);
	else
		printf("# skipped: no port of FCoE, or no tcm_fc: its contract\n");
}

/* --- a host by FCoE: veth-b, the other end of the target port's link -------------------------------------------------------*/

/*
 * Made when the target is there: libfc's hosts never take a port that they have once seen without one for a target (fc_remote_port_add()). Made while
 * its interface is down: see host.py.
 */
#define HOST_WWPN "20:00:52:54:00:fc:00:02"
static const char makes_host_port[] = "ip link set veth-b down; echo veth-b > /sys/module/libfcoe/parameters/create_vn2vn && ip link set veth-b up";
static const char remakes_host_port[] = "echo veth-b > /sys/module/libfcoe/parameters/destroy; n=0;"
					" while grep -qs 0x2000525400fc0002 /sys/class/fc_host/*/port_name && [ $n -lt 300 ]; do sleep 0.1; n=$((n+1)); done;"
					" ip link set veth-b down;"
					"echo veth-b > /sys/module/libfcoe/parameters/create_vn2vn && ip link set veth-b up";

static bool shell(const char *what, const char *script)
{
	struct err err = ERR_INIT;

	return check_that(run_cmdl(&err, 180000, "sh", "-c", script, NULL) == 0, what, err.text);
}

/* The disk, once it is there and can be read, and nobody else reads it: tcm_fc does not survive to be cut off from a command (closing.c). */
#define DISK                                                                                                           \
	"n=0; d=; while [ $n -lt 120 ]; do for s in /sys/class/scsi_device/*; do h=${s##*/};"                            \
	" [ \"$(cat /sys/class/scsi_host/host${h%%:*}/proc_name 2>/dev/null)\" = fcoe ] && d=$(ls $s/device/block 2>/dev/null) && [ \"$d\" ]" \
	" && timeout 20 dd if=/dev/$d of=/dev/null bs=4k count=1 iflag=direct 2>/dev/null && break 2; d=; done; sleep 0.5; n=$((n+1)); done;" \
	" [ \"$d\" ] || { echo no disk by FCoE >&2; cat /sys/class/fc_host/*/port_state >&2; exit 1; }; "

static const char writes_and_reads[] =
	DISK "set -e; dd if=/dev/urandom of=/run/fc.data bs=1M count=4 2>/dev/null;"
	     " dd if=/run/fc.data of=/dev/$d bs=256k oflag=direct 2>/dev/null; dd if=/dev/$d of=/run/fc.back bs=64k count=64 iflag=direct 2>/dev/null;"
	     " cmp /run/fc.data /run/fc.back; dd if=/run/fc.back of=/run/fc.disk bs=4M 2>/dev/null; dd if=/run/fc.loop of=/run/fc.disk bs=1M count=4 2>/dev/null;"
	     " cmp /run/fc.data /run/fc.disk; udevadm settle --timeout=120";
static const char states_are_told[] =
	DISK "sg_rtpg -d /dev/$d > /run/fc.rtpg && grep -q 'active/optimized' /run/fc.rtpg && grep -q 'standby' /run/fc.rtpg || { cat /run/fc.rtpg >&2; exit 1; }";

static void serve_v1(const struct config *config)
{
	struct err err = ERR_INIT;

	CHECK_CALL(lio_alua_set(&roots, config, "g1", 1, LIO_ALUA_ACTIVE_OPTIMIZED, &err));
	CHECK_CALL(gate_open("v1", SECTORS, "/dev/loop7", &err));
}

static size_t count_sessions(const struct config *config)
{
	struct lio_sessions sessions = { 0 };
	size_t n;

	CHECK(lio_sessions_read(&roots, config, NULL, NULL, &sessions) == 0);
	n = sessions.n;
	lio_sessions_done(&sessions);
	return n;
}

static void fcoe_ports(void)
{
	struct config *config = fixture_config(FIXTURE_FCOE);
	struct err err = ERR_INIT;
	size_t n = n_ports;

	if (!port("fcoe.", 0)) {
		printf("# skipped: no port of FCoE, or no tcm_fc\n");
		fixture_free(config);
		return;
	}
	fixture_port(config, port("fcoe.", 0));
	free(config->hosts[0].initiators[0]);
	config->hosts[0].initiators[0] = xstrdup(HOST_WWPN);
	shell("a device", "modprobe loop && truncate -s 1G /run/fc.loop && losetup /dev/loop7 /run/fc.loop");
	make_gates(config);
	settle("a port of FCoE", config, only_1, 1);
	serve_v1(config);
	shell("the host's port", makes_host_port);
	shell("a host writes and reads", writes_and_reads);
	shell("states are told", states_are_told);
	CHECK(count_sessions(config) == 1);
	shell("nobody reads", "udevadm settle --timeout=120");
	CHECK_CALL(lio_port_cut(&roots, CONFIG_FABRIC_FCOE, port("fcoe.", 0), &err));
	shell("the host is back", writes_and_reads);
	settle("nothing is served", config, NULL, 0);
	n_ports = 0;
	settle("its stand-in, with a host logged in", config, only_1, 1);
	CHECK(count_sessions(config) == 0);
	n_ports = n;
	settle("the port again", config, only_1, 1);
	shell("the host's port, anew", remakes_host_port);
	shell("the host is back at the port", writes_and_reads);
	shell("the host lets go", DISK "echo 1 > /sys/block/$d/device/delete");
	CHECK_CALL(gate_close("v1", SECTORS, "/dev/mapper/lunward.template", &err));
	fixture_free(config);
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

	CHECK_CALL(lio_prepare(&roots, false, ~0u, &err));
	CHECK_CALL(lio_prepare(&roots, false, ~0u, &err));
	CHECK_CALL(gate_template_ensure(template_path, &err));
	CHECK_CALL(gate_ensure("contract", SECTORS, template_path, &err));
	CHECK_CALL(gate_ensure("contract2", SECTORS, template_path, &err));
	CHECK(cfs_contract(cfs_kernel(), roots.configfs, "/dev/mapper/lunward-contract", "/dev/mapper/lunward-contract2",
			   broken) == 0);
	lio_ports_read("/sys", true, &ports, &n_ports);
	ports_contract();
	documents();
	portals();
	srp_ports();
	fcoe_ports();
	nothing_left();
	bulk();
	nothing_left();
	remove_gates();
	cfs_names_free(ports, n_ports);
	return checks_failed > 0;
}
