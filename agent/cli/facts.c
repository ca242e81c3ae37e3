// SPDX-License-Identifier: GPL-2.0-or-later
/* What `lunward doctor` knows of a node. Each fact stands alone: what cannot be found out is null, and the judge says so. */
#include <arpa/inet.h>
#include <errno.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/cli/doctor.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/run_cmd.h"
#include "base/xalloc.h"
#include "target-config/model/config.h"

#define TOOL_DEADLINE_MS 5000
#define FILE_MAX 65536
#define STATE_DIR "/var/lib/lunward"
#define FENCE_DIR "/usr/sbin"
#define TARGET_DIR "/sys/kernel/config/target"
#define IP_OVERHEAD 28   /* IPv4 and ICMP headers */
#define IP6_OVERHEAD 48

/* --- tools and files ----------------------------------------------------------------------------------------------------*/

/* Standard output of a tool, whatever its exit status; NULL if it cannot be run. The caller frees. */
static char *tool(const char *const *argv)
{
	struct run_cmd cmd = { .argv = argv, .deadline_ms = TOOL_DEADLINE_MS };
	char *output = NULL;
	int status = 0, rc = run_cmd(&cmd, &output, &status, NULL);

	return rc == 0 || rc == -EREMOTEIO ? output : NULL;
}

#define TOOL(...) tool((const char *const[]){ __VA_ARGS__, NULL })

static bool succeeds(const char *const *argv)
{
	struct run_cmd cmd = { .argv = argv, .deadline_ms = TOOL_DEADLINE_MS };
	int status = 0;

	return run_cmd(&cmd, NULL, &status, NULL) == 0;
}

/* A file's text without the newline at its end; NULL if there is none. The caller frees. */
static char *text_of(const char *path)
{
	char *text = NULL;
	size_t size = 0;

	if (file_read(path, FILE_MAX, &text, &size) < 0)
		return NULL;
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static json_t *string_or_null(const char *s)
{
	return s ? json_string(s) : json_null();
}

static const char *string_at(json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

/* --- cluster ------------------------------------------------------------------------------------------------------------*/

/* Not the whole map: it may have the cluster's key in it. */
static bool is_wanted(const char *key)
{
	static const char *const wanted[] = { "totem.crypto_cipher", "totem.crypto_hash", "totem.secauth", "totem.token",
					      "runtime.config.totem.token", "runtime.config.totem.consensus", "quorum.", "nodelist.node." };

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		if (strncmp(key, wanted[i], strlen(wanted[i])) == 0)
			return true;
	}
	return false;
}

/* Lines like "totem.token (u32) = 3000". */
static json_t *cmap_facts(void)
{
	_cleanup_free_ char *output = TOOL("corosync-cmapctl");
	json_t *cmap = json_object();

	for (char *rest = output, *line; rest && (line = strsep(&rest, "\n"));) {
		char *value = strstr(line, ") = "), *type = strstr(line, " (");

		if (!value || !type || type > value)
			continue;
		*type = '\0';
		if (is_wanted(line))
			json_object_set_new(cmap, line, json_string(value + 4));
	}
	if (json_object_size(cmap) > 0)
		return cmap;
	json_decref(cmap);
	return json_null();
}

static json_t *links_down(void)
{
	_cleanup_free_ char *output = TOOL("corosync-cfgtool", "-s");
	json_t *down = json_array();
	char link[32] = "?";

	for (char *rest = output, *line; rest && (line = strsep(&rest, "\n"));) {
		char *node = strstr(line, "nodeid:");

		if (strncmp(line, "LINK ID ", 8) == 0)
			snprintf(link, sizeof(link), "%.*s", (int)strcspn(line + 8, " "), line + 8);
		else if (node && strstr(line, "disconnected"))
			json_array_append_new(down, json_sprintf("link %s to node %ld", link, strtol(node + 7, NULL, 10)));
	}
	return down;
}

static json_t *fenced_ages(json_t *nodes)
{
	json_t *ages = json_object();
	const char *name;
	json_t *node;

	if (access(STATE_DIR, X_OK | R_OK) < 0) {
		json_decref(ages);
		return json_null();
	}
	json_object_foreach (nodes, name, node) {
		_cleanup_free_ char *path = xasprintf(STATE_DIR "/fenced-%s", name);
		struct stat st;

		if (stat(path, &st) == 0)
			json_object_set_new(ages, name, json_integer(MAX(clock_wall_s() - st.st_mtime, 0)));
	}
	return ages;
}

static bool fence_agent_works(const char *agent)
{
	_cleanup_free_ char *path = xasprintf(FENCE_DIR "/%s", agent);

	if (strcmp(agent, "watchdog") == 0)
		return true; /* nothing is run */
	if (strcmp(agent, "pacemaker") == 0)
		return succeeds((const char *const[]){ FENCE_DIR "/stonith_admin", "--list-registered", NULL });
	return access(path, X_OK) == 0;
}

static void add_fence_agent(json_t *agents, json_t *level)
{
	const char *agent = string_at(level, "agent");

	if (agent[0])
		json_object_set_new(agents, agent, json_boolean(fence_agent_works(agent)));
}

/* Whether they are there; of Pacemaker: whether its fencer answers. */
static json_t *fence_agents(json_t *fencing)
{
	json_t *agents = json_object(), *level;
	size_t i;

	add_fence_agent(agents, fencing);
	json_array_foreach (json_object_get(fencing, "levels"), i, level)
		add_fence_agent(agents, level);
	return agents;
}

/* --- node ----------------------------------------------------------------------------------------------------------------*/

static json_t *files_matching(const char *pattern)
{
	json_t *array = json_array();
	glob_t found = { 0 };

	if (glob(pattern, 0, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc; i++)
			json_array_append_new(array, json_string(found.gl_pathv[i]));
	}
	globfree(&found);
	return array;
}

static json_t *watchdogs(void)
{
	json_auto_t *paths = files_matching("/sys/class/watchdog/*/identity");
	json_t *array = json_array(), *path;
	size_t i;

	json_array_foreach (paths, i, path) {
		_cleanup_free_ char *identity = text_of(json_string_value(path));

		json_array_append_new(array, json_string(identity ? identity : "unnamed"));
	}
	return array;
}

static json_t *clock_synchronised(void)
{
	_cleanup_free_ char *output = TOOL("timedatectl", "show", "--property=NTPSynchronized", "--value");

	if (!output || (strncmp(output, "yes", 3) != 0 && strncmp(output, "no", 2) != 0))
		return json_null();
	return json_boolean(output[0] == 'y');
}

/* "some avg10=0.00 avg60=0.10 avg300=0.20 total=..." */
static json_t *cpu_pressure(void)
{
	_cleanup_free_ char *text = text_of("/proc/pressure/cpu");
	const char *value = text ? strstr(text, "avg300=") : NULL;

	return value ? json_real(strtod(value + 7, NULL)) : json_null();
}

static bool module_is_there(const char *name)
{
	_cleanup_free_ char *path = xasprintf("/sys/module/%s", name);

	return access(path, F_OK) == 0 || succeeds((const char *const[]){ "modprobe", "-n", "-q", name, NULL });
}

static bool document_has(json_t *groups, const char *backend)
{
	const char *name;
	json_t *group;

	json_object_foreach (groups, name, group) {
		if (strcmp(string_at(group, "backend"), backend) == 0)
			return true;
	}
	return false;
}

static json_t *modules(bool drbd, bool iser, json_t *ports)
{
	static const char *const always[] = { "target_core_mod", "target_core_iblock", "iscsi_target_mod", "dm_mod", "loop" };
	json_t *object = json_object(), *value;
	const char *port;

	for (size_t i = 0; i < ARRAY_SIZE(always); i++)
		json_object_set_new(object, always[i], json_boolean(module_is_there(always[i])));
	if (drbd)
		json_object_set_new(object, "drbd", json_boolean(module_is_there("drbd")));
	if (iser)
		json_object_set_new(object, "ib_isert", json_boolean(module_is_there("ib_isert")));
	json_object_foreach (ports, port, value) {
		const char *module = config_fabric_of_target(port)->module;

		json_object_set_new(object, module, json_boolean(module_is_there(module)));
	}
	return object;
}

/* Of units that would fight over the target or DRBD: those that are enabled. */
static json_t *rival_units(void)
{
	static const char *const units[] = { "rtslib-fb-targetctl.service", "target.service", "drbd.service" };
	_cleanup_free_ char *output = TOOL("systemctl", "--version");
	json_t *array;
	size_t n = 0;

	if (!output)
		return json_null();
	array = json_array();
	/* Asked for together, units that do not exist may have no line. */
	for (; n < ARRAY_SIZE(units); n++) {
		_cleanup_free_ char *one = TOOL("systemctl", "is-enabled", units[n]);

		if (one && strncmp(one, "enabled", 7) == 0)
			json_array_append_new(array, json_string(units[n]));
	}
	return array;
}

/* Whether reservations of hosts are kept for the whole cluster. */
static json_t *reservations_kept(void)
{
	_cleanup_free_ char *there = TOOL("systemctl", "--version");
	_cleanup_free_ char *state = there ? TOOL("systemctl", "is-active", "lunward-pr.service") : NULL;

	return there ? json_boolean(state && strncmp(state, "active", 6) == 0) : json_null();
}

/* --- network --------------------------------------------------------------------------------------------------------------*/

static json_t *iser_interfaces(json_t *targets, const char *me)
{
	json_t *array = json_array(), *target, *portal, *transport;
	const char *iqn;
	size_t i, k;

	json_object_foreach (targets, iqn, target) {
		json_array_foreach (json_object_get(target, "portals"), i, portal) {
			json_array_foreach (json_object_get(portal, "transports"), k, transport) {
				if (strcmp(string_at(portal, "node"), me) == 0 && string_at(portal, "interface")[0] &&
				    json_string_value(transport) && strcmp(json_string_value(transport), "iser") == 0)
					json_array_append_new(array, json_string(string_at(portal, "interface")));
			}
		}
	}
	return array;
}

static void note_rdma_ports(json_t *object)
{
	json_auto_t *paths = files_matching("/sys/class/infiniband/*/ports/*/gids/0");
	json_t *path;
	size_t i;

	json_array_foreach (paths, i, path) {
		_cleanup_free_ char *gid = text_of(json_string_value(path)), *port = xasprintf(CONFIG_SRP_PREFIX "%s", gid ? gid : "");

		if (json_object_get(object, port))
			json_object_set_new(object, port, json_true());
	}
}

/* Whose a port is, its SCSI host's driver says. */
static void note_fc_ports(json_t *object)
{
	json_auto_t *paths = files_matching("/sys/class/fc_host/*/port_name");
	json_t *path;
	size_t i;

	json_array_foreach (paths, i, path) {
		const char *host = json_string_value(path) + strlen("/sys/class/fc_host/");
		_cleanup_free_ char *proc_name = xasprintf("/sys/class/scsi_host/%.*s/proc_name", (int)strcspn(host, "/"), host);
		_cleanup_free_ char *driver = text_of(proc_name), *name = text_of(json_string_value(path)), *port = NULL;

		if (!driver || !name || strlen(name) != strlen("0x2000525400123456"))
			continue;
		port = xasprintf("%s.%.2s:%.2s:%.2s:%.2s:%.2s:%.2s:%.2s:%.2s", strcmp(driver, "qla2xxx") == 0 ? "fc" : driver, name + 2, name + 4, name + 6,
				 name + 8, name + 10, name + 12, name + 14, name + 16);
		if (json_object_get(object, port))
			json_object_set_new(object, port, json_true());
	}
}

/* {"srp.fe80:0000:...": true, "fcoe.20:00:...": false}: ports of this node's hardware, and whether they are here. */
static json_t *fabric_ports(json_t *targets, const char *me)
{
	json_t *object = json_object(), *target, *portal;
	const char *name;
	size_t i;

	json_object_foreach (targets, name, target) {
		const struct config_fabric *fabric = config_fabric_of_target(name);

		json_array_foreach (json_object_get(target, "portals"), i, portal) {
			_cleanup_free_ char *port = xasprintf("%s%s", fabric->prefix, string_at(portal, fabric->portal_key));

			if (fabric->id != CONFIG_FABRIC_ISCSI && strcmp(string_at(portal, "node"), me) == 0)
				json_object_set_new(object, port, json_false());
		}
	}
	note_rdma_ports(object);
	note_fc_ports(object);
	return object;
}

/* {"san0": true}: interfaces that a GID of an RDMA device belongs to. */
static json_t *rdma_gids(void)
{
	json_auto_t *paths = files_matching("/sys/class/infiniband/*/ports/*/gid_attrs/ndevs/*");
	json_t *object = json_object(), *path;
	size_t i;

	json_array_foreach (paths, i, path) {
		_cleanup_free_ char *ndev = text_of(json_string_value(path));

		if (ndev && ndev[0])
			json_object_set_new(object, ndev, json_true());
	}
	return object;
}

static long mtu_towards(const char *address)
{
	_cleanup_free_ char *output = TOOL("ip", "-json", "route", "get", address), *path = NULL, *text = NULL;
	json_auto_t *routes = output ? json_loads(output, 0, NULL) : NULL;
	const char *dev = string_at(json_array_get(routes, 0), "dev");

	if (!dev[0] || strchr(dev, '/'))
		return 0;
	path = xasprintf("/sys/class/net/%s/mtu", dev);
	text = text_of(path);
	return text ? strtol(text, NULL, 10) : 0;
}

static bool answers(const char *address, long size)
{
	char bytes[24];

	snprintf(bytes, sizeof(bytes), "%ld", size);
	return succeeds((const char *const[]){ "ping", "-n", "-q", "-c", "2", "-i", "0.2", "-W", "1", "-M", "do", "-s", bytes, address,
					       NULL });
}

static json_t *probe(const char *node, const char *address)
{
	long mtu = mtu_towards(address), overhead = strchr(address, ':') ? IP6_OVERHEAD : IP_OVERHEAD;
	bool reachable = answers(address, 56);

	return json_pack("{s:s, s:s, s:I, s:b, s:b}", "node", node, "address", address, "mtu", (json_int_t)mtu, "reachable",
			 reachable, "full_size", reachable && mtu > overhead && answers(address, mtu - overhead));
}

static json_t *mtu_probes(json_t *nodes, const char *me)
{
	json_t *array = json_array(), *node;
	const char *name;
	unsigned char address[sizeof(struct in6_addr)];

	json_object_foreach (nodes, name, node) {
		const char *text = string_at(node, "replication_address");

		if (strcmp(name, me) != 0 &&
		    (inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1))
			json_array_append_new(array, probe(name, text));
	}
	return array;
}

/* The kernel gives the index of the session, if there is one. */
static void add_initiators_of(json_t *object, const char *fabric)
{
	_cleanup_free_ char *pattern = xasprintf(TARGET_DIR "/%s/*/*/acls/*/lun_*/statistics/scsi_att_intr_port/indx", fabric);
	json_auto_t *paths = files_matching(pattern);
	json_t *path;
	size_t i;

	json_array_foreach (paths, i, path) {
		_cleanup_free_ char *index = text_of(json_string_value(path));
		_cleanup_free_ char *name = xstrdup(strstr(json_string_value(path), "/acls/") + strlen("/acls/"));

		name[strcspn(name, "/")] = '\0';
		if (index)
			json_object_set_new(object, name, json_true());
	}
}

/* {"iqn...": true}: who has a session with this node. */
static json_t *initiators(void)
{
	json_auto_t *paths = files_matching(TARGET_DIR "/iscsi/*/tpgt_*/acls/*/info");
	json_t *object, *path;
	size_t i;

	if (access(TARGET_DIR "/iscsi", R_OK | X_OK) < 0)
		return json_null();
	object = json_object();
	json_array_foreach (paths, i, path) {
		_cleanup_free_ char *name = xstrdup(json_string_value(path));
		_cleanup_free_ char *info = text_of(name);

		*strrchr(name, '/') = '\0';
		if (info && strncmp(info, "No active", 9) != 0)
			json_object_set_new(object, strrchr(name, '/') + 1, json_true());
	}
	add_initiators_of(object, "srpt");
	add_initiators_of(object, "fc");
	add_initiators_of(object, "qla2xxx");
	return object;
}

/* --- space ----------------------------------------------------------------------------------------------------------------*/

/* Rows of a report of LVM; NULL if there is none. *ret_root is the caller's. */
static json_t *lvm_rows(char *output, const char *kind, json_t **ret_root)
{
	*ret_root = output ? json_loads(output, 0, NULL) : NULL;
	return json_object_get(json_array_get(json_object_get(*ret_root, "report"), 0), kind);
}

static json_t *pools(json_t *wanted)
{
	_cleanup_free_ char *output =
		TOOL("vgs", "--reportformat", "json", "--units", "b", "--nosuffix", "-o", "vg_name,vg_size,vg_free");
	json_auto_t *root = NULL;
	json_t *rows = lvm_rows(output, "vg", &root), *row, *pool, *array = json_array();
	const char *name;
	size_t i;

	json_array_foreach (rows, i, row) {
		json_object_foreach (wanted, name, pool) {
			/* What is free beside a thin pool is for that. */
			if (strcmp(string_at(pool, "vg"), string_at(row, "vg_name")) != 0 || json_object_get(pool, "thin_pool"))
				continue;
			json_array_append_new(array, json_pack("{s:s, s:f, s:f}", "vg", string_at(row, "vg_name"), "size_bytes",
							       strtod(string_at(row, "vg_size"), NULL), "free_bytes",
							       strtod(string_at(row, "vg_free"), NULL)));
			break;
		}
	}
	return array;
}

static json_t *thin_pools(void)
{
	_cleanup_free_ char *output = TOOL("lvs", "--reportformat", "json", "--select", "segtype=thin-pool", "-o",
					   "vg_name,lv_name,data_percent,metadata_percent");
	json_auto_t *root = NULL;
	json_t *rows = lvm_rows(output, "lv", &root), *row, *array;
	size_t i;

	if (!json_is_array(rows))
		return json_null();
	array = json_array();
	json_array_foreach (rows, i, row)
		json_array_append_new(array, json_pack("{s:o, s:f, s:f}", "name",
						       json_sprintf("%s/%s", string_at(row, "vg_name"), string_at(row, "lv_name")),
						       "data_percent", strtod(string_at(row, "data_percent"), NULL),
						       "metadata_percent", strtod(string_at(row, "metadata_percent"), NULL)));
	return array;
}

static json_t *state_free_bytes(void)
{
	struct statvfs vfs;

	return statvfs(STATE_DIR, &vfs) == 0 ? json_real((double)vfs.f_bavail * (double)vfs.f_frsize) : json_null();
}

/* --- all ------------------------------------------------------------------------------------------------------------------*/

static json_t *drbd_version(void)
{
	_cleanup_free_ char *text = text_of("/sys/module/drbd/version");

	return string_or_null(text);
}

static json_t *virtualisation(void)
{
	_cleanup_free_ char *output = TOOL("systemd-detect-virt");

	if (output)
		output[strcspn(output, "\n")] = '\0';
	return string_or_null(output);
}

json_t *doctor_facts(json_t *status, json_t *document)
{
	const char *me = string_at(status, "node");
	json_t *nodes = json_object_get(document, "nodes");
	const char *role = string_at(json_object_get(nodes, me), "role");
	json_t *facts = json_object(), *iser = iser_interfaces(json_object_get(document, "targets"), me);
	json_t *ports = fabric_ports(json_object_get(document, "targets"), me);
	bool drbd = document_has(json_object_get(document, "groups"), "drbd");

#define FACT(key, value) json_object_set_new(facts, key, value)
	FACT("node", json_string(me));
	FACT("role", json_string(role[0] ? role : "storage"));
	FACT("status", status ? json_incref(status) : json_null());
	FACT("document", document ? json_incref(document) : json_null());
	FACT("cmap", cmap_facts());
	FACT("links_down", links_down());
	FACT("fence_agents", fence_agents(json_object_get(document, "fencing")));
	FACT("fenced_s_ago", fenced_ages(nodes));
	FACT("watchdogs", watchdogs());
	FACT("clock_synchronised", clock_synchronised());
	FACT("cpu_pressure", cpu_pressure());
	FACT("virtual", virtualisation());
	FACT("modules", modules(drbd, json_array_size(iser) > 0, ports));
	FACT("drbd", drbd_version());
	FACT("rival_units", rival_units());
	FACT("reservations_kept", reservations_kept());
	FACT("iser_interfaces", iser);
	FACT("rdma_gids", rdma_gids());
	FACT("fabric_ports", ports);
	FACT("mtu", document ? mtu_probes(nodes, me) : json_null());
	FACT("state_free_bytes", state_free_bytes());
	FACT("pools", pools(json_object_get(document, "pools")));
	FACT("thin_pools", thin_pools());
	FACT("initiators", initiators());
#undef FACT
	return facts;
}
