// SPDX-License-Identifier: GPL-2.0-or-later
/* Findings from facts: each check is a function that says one thing, and a row of the table at the end. */
#include "agent/cli/doctor.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "target-config/model/config.h"

#define DAY_S 86400
#define DRILL_DAYS_MAX 180
#define TOKEN_MS_MIN 1000
#define TOKEN_MS_VIRTUAL 3000
#define TOKEN_MS_BUSY 5000
#define BUSY_PERCENT 20
#define STATE_BYTES_MIN (64.0 * 1048576)
#define POOL_FREE_PERCENT_MIN 5
#define THIN_WARN_PERCENT 80 /* where the document does not say */
#define THIN_ERROR_PERCENT 95
#define WATCHDOG_MORE_S 3 /* what is agreed on is more than two timeouts by so much: the lease, and what drivers round */
#define ROUND_S 4         /* two stamps, and what the agents do until a view is active */

enum verdict { OK, WARNING, ERROR, UNKNOWN };

struct finding {
	enum verdict verdict;
	char detail[512], remedy[512];
};

/* A finding may be made up of several objects' troubles: the worst verdict counts, the texts are joined. */
static void say(struct finding *f, enum verdict verdict, const char *remedy, const char *fmt, ...) printf_like(4, 5);

static void say(struct finding *f, enum verdict verdict, const char *remedy, const char *fmt, ...)
{
	size_t len = strlen(f->detail);
	va_list ap;

	if (verdict < f->verdict && f->verdict != UNKNOWN)
		return;
	if (verdict != f->verdict)
		len = 0;
	if (len && len + 3 < sizeof(f->detail))
		len += (size_t)snprintf(f->detail + len, sizeof(f->detail) - len, "; ");
	va_start(ap, fmt);
	vsnprintf(f->detail + len, sizeof(f->detail) - len, fmt, ap);
	va_end(ap);
	f->verdict = verdict;
	snprintf(f->remedy, sizeof(f->remedy), "%s", remedy);
}

static json_t *at(json_t *object, const char *a, const char *b)
{
	json_t *value = json_object_get(object, a);

	return b ? json_object_get(value, b) : value;
}

static const char *text_at(json_t *object, const char *a, const char *b)
{
	const char *s = json_string_value(at(object, a, b));

	return s ? s : "";
}

static double number_at(json_t *object, const char *a, const char *b)
{
	json_t *value = at(object, a, b);

	return json_is_string(value) ? strtod(json_string_value(value), NULL) : json_number_value(value);
}

static bool is_known(json_t *facts, const char *key, struct finding *f, const char *why)
{
	if (at(facts, key, NULL) && !json_is_null(at(facts, key, NULL)))
		return true;
	say(f, UNKNOWN, "", "%s", why);
	return false;
}

#define NO_COROSYNC "Corosync does not answer here"
#define NO_DOCUMENT "nothing is configured yet, or lunwardd does not answer here"

/* --- cluster ----------------------------------------------------------------------------------------------------------*/

static void check_daemon(json_t *facts, struct finding *f)
{
	json_t *status = at(facts, "status", NULL);

	if (!json_is_object(status))
		say(f, ERROR, "systemctl enable --now lunwardd; see its journal", "lunwardd does not answer here");
	else if (!json_is_true(at(status, "quorate", NULL)))
		say(f, ERROR, "start the other nodes, mend the cluster network; see corosync-quorumtool", "no quorum");
	else if (!json_is_true(at(status, "active", NULL)))
		say(f, ERROR, "start lunwardd on a majority of the nodes", "too few agents run");
	else
		say(f, OK, "", "lunwardd runs, with quorum");
}

static void check_encryption(json_t *facts, struct finding *f)
{
	const char *cipher = text_at(facts, "cmap", "totem.crypto_cipher"), *hash = text_at(facts, "cmap", "totem.crypto_hash");
	bool secauth = strcmp(text_at(facts, "cmap", "totem.secauth"), "on") == 0;

	if (!is_known(facts, "cmap", f, NO_COROSYNC))
		return;
	/* What is not written is none, unless secauth is on: then aes256 and sha256 (corosync.conf(5)). */
	if ((cipher[0] ? strcmp(cipher, "none") == 0 : !secauth) || (hash[0] ? strcmp(hash, "none") == 0 : !secauth))
		say(f, ERROR, "corosync-keygen, copy /etc/corosync/authkey to all nodes, and set crypto_cipher: aes256 and "
		    "crypto_hash: sha256 in corosync.conf", "the cluster's traffic is not encrypted: CHAP secrets and the passwords "
		    "of fence agents travel over it in the clear, and anyone on that network can join");
	else
		say(f, OK, "", "%s with %s", cipher[0] ? cipher : "aes256", hash[0] ? hash : "sha256");
}

static void check_token(json_t *facts, struct finding *f)
{
	double token = number_at(facts, "cmap", "runtime.config.totem.token"), busy = number_at(facts, "cpu_pressure", NULL);
	bool virtual = text_at(facts, "virtual", NULL)[0] && strcmp(text_at(facts, "virtual", NULL), "none") != 0;

	if (!is_known(facts, "cmap", f, NO_COROSYNC))
		return;
	if (token < TOKEN_MS_MIN)
		say(f, ERROR, "set totem.token to 1000 or more", "token of %.0f ms: a short hiccup fences a node", token);
	else if (virtual && token < TOKEN_MS_VIRTUAL)
		say(f, WARNING, "set totem.token to 3000 or more, to 10000 under emulation", "token of %.0f ms in a virtual machine "
		    "(%s), which its hypervisor may stop for longer", token, text_at(facts, "virtual", NULL));
	else if (busy > BUSY_PERCENT && token < TOKEN_MS_BUSY)
		say(f, WARNING, "give the node more processors, or set totem.token to 5000", "token of %.0f ms while programs wait "
		    "for a processor %.0f %% of the time", token, busy);
	else
		say(f, OK, "", "token of %.0f ms", token);
}

static size_t count_nodes(json_t *cmap)
{
	const char *key;
	json_t *value;
	size_t n = 0;

	json_object_foreach (cmap, key, value)
		n += strncmp(key, "nodelist.node.", 14) == 0 && strlen(key) > 7 && strcmp(key + strlen(key) - 7, ".nodeid") == 0;
	return n;
}

static void check_quorum(json_t *facts, struct finding *f)
{
	json_t *cmap = at(facts, "cmap", NULL);
	bool qdevice = text_at(cmap, "quorum.device.model", NULL)[0];
	size_t n = count_nodes(cmap);

	if (!is_known(facts, "cmap", f, NO_COROSYNC))
		return;
	if (number_at(cmap, "quorum.two_node", NULL) > 0)
		say(f, ERROR, "add a witness node or a qdevice, and take two_node out of corosync.conf", "two_node: each half of a "
		    "partition believes to be the majority");
	if (number_at(cmap, "quorum.last_man_standing", NULL) > 0 || number_at(cmap, "quorum.auto_tie_breaker", NULL) > 0)
		say(f, ERROR, "take last_man_standing and auto_tie_breaker out of corosync.conf", "the majority changes by itself: a "
		    "cluster that was cut more than once can have two");
	if (n % 2 == 0 && !qdevice)
		say(f, WARNING, "add a witness node or a qdevice", "%zu votes: with an even number half of them is no majority, "
		    "so the last node adds a risk and no strength", n);
	if (f->verdict == OK)
		say(f, OK, "", "%zu nodes%s", n, qdevice ? " and a qdevice" : "");
}

static void check_links(json_t *facts, struct finding *f)
{
	json_t *cmap = at(facts, "cmap", NULL), *down = at(facts, "links_down", NULL), *link;
	size_t i;

	if (!is_known(facts, "cmap", f, NO_COROSYNC))
		return;
	json_array_foreach (down, i, link)
		say(f, ERROR, "mend that network; see corosync-cfgtool -s", "link down: %s", json_string_value(link));
	if (!at(cmap, "nodelist.node.0.ring1_addr", NULL))
		say(f, WARNING, "add a second network that shares no switch with the first: ring1_addr in corosync.conf",
		    "Corosync has one link: if that network fails, nodes are fenced");
	if (f->verdict == OK)
		say(f, OK, "", "two links or more");
}

/* --- fencing ------------------------------------------------------------------------------------------------------------*/

static bool is_storage(json_t *node)
{
	return strcmp(text_at(node, "role", NULL), "witness") != 0;
}

static void check_fence_agent(json_t *facts, const char *agent, struct finding *f)
{
	if (!json_is_false(at(facts, "fence_agents", agent)))
		return;
	if (strcmp(agent, "pacemaker") == 0)
		say(f, ERROR, "start Pacemaker on this node, or remove that level", "Pacemaker's fencer does not answer on this node");
	else
		say(f, ERROR, "install it: it is in the package fence-agents", "%s is not on this node", agent);
}

static void check_fencing(json_t *facts, struct finding *f)
{
	json_t *fencing = at(at(facts, "document", NULL), "fencing", NULL), *level;
	const char *agent = text_at(fencing, "agent", NULL);
	size_t i;

	if (!is_known(facts, "document", f, NO_DOCUMENT))
		return;
	if (!fencing)
		say(f, ERROR, "add \"fencing\" to the document: lunward.json(5)", "no fence agent: nothing is taken over from a node "
		    "that vanished until an operator has confirmed that it is off");
	check_fence_agent(facts, agent, f);
	json_array_foreach (at(fencing, "levels", NULL), i, level)
		check_fence_agent(facts, text_at(level, "agent", NULL), f);
	if (f->verdict != OK)
		return;
	if (agent[0])
		say(f, OK, "", "%s", agent);
	json_array_foreach (at(fencing, "levels", NULL), i, level)
		say(f, OK, "", "level %zu: %s (%s)", i + 1, text_at(level, "name", NULL), text_at(level, "agent", NULL));
}

static void check_drill(json_t *facts, struct finding *f)
{
	json_t *nodes = at(at(facts, "document", NULL), "nodes", NULL), *ages = at(facts, "fenced_s_ago", NULL);
	const char *name;
	json_t *node;

	if (!is_known(facts, "document", f, NO_DOCUMENT) || !is_known(facts, "fenced_s_ago", f, "only root can see this"))
		return;
	json_object_foreach (nodes, name, node) {
		double age = number_at(ages, name, NULL);

		if (!is_storage(node) || strcmp(name, text_at(facts, "node", NULL)) == 0)
			continue;
		if (!at(ages, name, NULL))
			say(f, WARNING, "have a drill before there is data: cut the power or the cluster network of that node, see it "
			    "fenced and its groups taken over", "this node has never fenced %s", name);
		else if (age > DRILL_DAYS_MAX * (double)DAY_S)
			say(f, WARNING, "have a drill", "this node last fenced %s %.0f days ago", name, age / DAY_S);
	}
	if (f->verdict == OK)
		say(f, OK, "", "each other storage node has been fenced from here within %d days, or there is none", DRILL_DAYS_MAX);
}

/* The level that waits for the watchdogs of nodes; NULL: there is none. */
static const char *watchdog_level(json_t *facts)
{
	json_t *fencing = at(at(facts, "document", NULL), "fencing", NULL), *level;
	size_t i;

	if (strcmp(text_at(fencing, "agent", NULL), "watchdog") == 0)
		return "watchdog";
	json_array_foreach (at(fencing, "levels", NULL), i, level) {
		if (strcmp(text_at(level, "agent", NULL), "watchdog") == 0)
			return text_at(level, "name", NULL);
	}
	return NULL;
}

/* Of this node, as the nodes have agreed; 0: none that anybody could rely on. */
static double armed_ms(json_t *facts)
{
	json_t *node;
	size_t i;

	json_array_foreach (at(at(facts, "status", NULL), "nodes", NULL), i, node) {
		if (strcmp(text_at(node, "name", NULL), text_at(facts, "node", NULL)) == 0)
			return MAX(number_at(node, "watchdog_ms", NULL), 0.0);
	}
	return 0;
}

/* What is agreed on is a little more than twice the timeout: docs/decisions/0009-watchdog-lease.md. */
static void check_armed(json_t *facts, double bound_ms, struct finding *f)
{
	json_t *cmap = at(facts, "cmap", NULL);
	double within_s = bound_ms / 1000, timeout_s = (within_s - WATCHDOG_MORE_S) / 2;
	double view_s = (MAX(number_at(cmap, "runtime.config.totem.token", NULL), 0.0) +
			 MAX(number_at(cmap, "runtime.config.totem.consensus", NULL), 0.0)) / 1000;

	if (timeout_s < view_s + ROUND_S)
		say(f, WARNING, "start lunwardd with a longer --watchdog-timeout", "armed, with a timeout of about %.0f s; Corosync takes %.1f s to "
		    "notice that a node was lost, and the agents some more to agree: the others may be reset with it", timeout_s, view_s);
	else
		say(f, OK, "", "armed: once cut off this node is reset within %.1f s", within_s);
}

static void check_watchdog(json_t *facts, struct finding *f)
{
	json_t *dogs = at(facts, "watchdogs", NULL);
	const char *level = watchdog_level(facts);
	double bound_ms = armed_ms(facts);

	if (level && bound_ms <= 0 && strcmp(text_at(facts, "role", NULL), "storage") == 0) {
		say(f, ERROR, "start lunwardd with --watchdog-device, and see its journal: lunwardd(8)", "level %s waits for the watchdog of a "
		    "node that was lost, and this node has none armed: what it serves is not taken over by that", level);
		return;
	}
	if (bound_ms > 0) {
		check_armed(facts, bound_ms, f);
		return;
	}
	if (!is_known(facts, "watchdogs", f, "/sys/class/watchdog cannot be read"))
		return;
	if (json_array_size(dogs) == 0)
		say(f, WARNING, "load the driver of the board's watchdog, or softdog", "no watchdog: a node that hangs stays hung until it "
		    "is fenced from outside");
	else
		say(f, OK, "", "%s", json_string_value(json_array_get(dogs, 0)));
}

/* --- node ----------------------------------------------------------------------------------------------------------------*/

static void check_clock(json_t *facts, struct finding *f)
{
	if (!is_known(facts, "clock_synchronised", f, "timedatectl does not tell"))
		return;
	if (json_is_true(at(facts, "clock_synchronised", NULL)))
		say(f, OK, "", "synchronised");
	else
		say(f, WARNING, "install chrony or systemd-timesyncd", "not synchronised: nothing is decided by it, but the logs of "
		    "the nodes cannot be read together");
}

static bool has_backend(json_t *facts, const char *backend)
{
	const char *name;
	json_t *group;

	json_object_foreach (at(at(facts, "document", NULL), "groups", NULL), name, group) {
		if (strcmp(text_at(group, "backend", NULL), backend) == 0)
			return true;
	}
	return false;
}

static bool is_before(const int *v, int major, int minor, int patch)
{
	if (v[0] != major)
		return v[0] < major;
	return v[1] != minor ? v[1] < minor : v[2] < patch;
}

static void check_drbd(json_t *facts, struct finding *f)
{
	const char *text = text_at(facts, "drbd", NULL);
	int v[3] = { 0 };
	char *end = NULL;

	if (!text[0] || text[0] < '0' || text[0] > '9') {
		if (has_backend(facts, "drbd"))
			say(f, ERROR, "modprobe drbd", "the module is not loaded, and the document has groups that need it");
		else
			say(f, OK, "", "not used");
		return;
	}
	for (int i = 0; i < 3; i++) {
		v[i] = (int)strtol(i ? end + 1 : text, &end, 10);
		if (*end != '.')
			break;
	}
	/* Copies that differed without a word: mended in 9.2.19 and 9.3.3. 8.4 knows no diskless primaries with other UUIDs. */
	if (v[0] >= 9 && (is_before(v, 9, 2, 19) || (!is_before(v, 9, 3, 0) && is_before(v, 9, 3, 3))))
		say(f, ERROR, "upgrade to 9.2.19, 9.3.3 or later", "DRBD %s can let copies differ silently", text);
	else
		say(f, OK, "", "DRBD %s", text);
}

static void check_modules(json_t *facts, struct finding *f)
{
	const char *name;
	json_t *there;

	if (!is_known(facts, "modules", f, "/sys/module cannot be read"))
		return;
	json_object_foreach (at(facts, "modules", NULL), name, there) {
		if (!json_is_true(there))
			say(f, ERROR, "install the kernel package that has it (Debian: linux-image-amd64, not the cloud kernel), and modprobe it",
			    "module %s is neither loaded nor built in, nor can it be loaded", name);
	}
	if (f->verdict == OK)
		say(f, OK, "", "all there");
}

static void check_ports(json_t *facts, struct finding *f)
{
	json_t *wanted = at(facts, "iser_interfaces", NULL), *item;
	const char *port;
	size_t i;

	if (json_array_size(wanted) + json_object_size(at(facts, "fabric_ports", NULL)) == 0) {
		say(f, OK, "", "no iSER portal on this node, and no port of another fabric");
		return;
	}
	json_object_foreach (at(facts, "fabric_ports", NULL), port, item) {
		const struct config_fabric *fabric = config_fabric_of_target(port);

		if (!json_is_true(item))
			say(f, ERROR, fabric->id == CONFIG_FABRIC_SRP ? "cat /sys/class/infiniband/*/ports/*/gids/0, and put the right one into the document" :
			    "grep . /sys/class/fc_host/*/port_name /sys/class/scsi_host/*/proc_name, and put the right one into the document",
			    "no %s of this node has %s %s, by which hosts would come over %s", fabric->port, fabric->portal_word,
			    port + strlen(fabric->prefix), fabric->title);
	}
	json_array_foreach (wanted, i, item) {
		if (!json_is_true(at(at(facts, "rdma_gids", NULL), json_string_value(item), NULL)))
			say(f, ERROR, "see rdma link show, and that the interface has its address", "no RDMA device has a GID on %s",
			    json_string_value(item));
	}
	if (f->verdict == OK)
		say(f, OK, "", "each interface with an iSER portal has a GID, each port of another fabric is here");
}

static void check_mtu(json_t *facts, struct finding *f)
{
	json_t *probes = at(facts, "mtu", NULL), *probe;
	size_t i;

	if (!is_known(facts, "mtu", f, NO_DOCUMENT))
		return;
	json_array_foreach (probes, i, probe) {
		const char *name = text_at(probe, "node", NULL);

		if (!json_is_true(at(probe, "reachable", NULL)))
			say(f, ERROR, "mend the replication network, or let ICMP through", "%s does not answer at %s", name,
			    text_at(probe, "address", NULL));
		else if (!json_is_true(at(probe, "full_size", NULL)))
			say(f, ERROR, "set the same MTU on both nodes and on the switch between them", "packets of the full size (MTU %.0f) "
			    "do not arrive at %s", number_at(probe, "mtu", NULL), name);
	}
	if (f->verdict == OK)
		say(f, OK, "", "packets of full size arrive at %zu neighbours", json_array_size(probes));
}

static void check_space(json_t *facts, struct finding *f)
{
	json_t *pool;
	size_t i;

	if (!is_known(facts, "state_free_bytes", f, "the state folder cannot be read"))
		return;
	if (number_at(facts, "state_free_bytes", NULL) < STATE_BYTES_MIN)
		say(f, ERROR, "make room below /var/lib/lunward", "%.0f MiB left for the state: a node that cannot write it counts as "
		    "silent", number_at(facts, "state_free_bytes", NULL) / 1048576);
	json_array_foreach (at(facts, "pools", NULL), i, pool) {
		double size = number_at(pool, "size_bytes", NULL), left = number_at(pool, "free_bytes", NULL);

		if (size > 0 && left * 100 < size * POOL_FREE_PERCENT_MIN)
			say(f, WARNING, "extend the volume group before the next volume", "volume group %s: %.1f %% free",
			    text_at(pool, "vg", NULL), left * 100 / size);
	}
	if (f->verdict == OK)
		say(f, OK, "", "%zu volume groups, and the state folder", json_array_size(at(facts, "pools", NULL)));
}

/* The document's percent for that thin pool. */
static double thin_percent(json_t *facts, const char *name, const char *key, double otherwise)
{
	const char *pool_name;
	json_t *pool;

	json_object_foreach (at(facts, "document", "pools"), pool_name, pool) {
		const char *vg = text_at(pool, "vg", NULL);
		size_t len = strlen(vg);

		if (strncmp(name, vg, len) == 0 && name[len] == '/' && strcmp(name + len + 1, text_at(pool, "thin_pool", NULL)) == 0 &&
		    at(pool, key, NULL))
			return number_at(pool, key, NULL);
	}
	return otherwise;
}

static void check_thin(json_t *facts, struct finding *f)
{
	json_t *pool;
	size_t i;

	if (!is_known(facts, "thin_pools", f, "lvs does not tell"))
		return;
	json_array_foreach (at(facts, "thin_pools", NULL), i, pool) {
		const char *name = text_at(pool, "name", NULL);
		double worst = MAX(number_at(pool, "data_percent", NULL), number_at(pool, "metadata_percent", NULL));

		if (worst >= thin_percent(facts, name, "warn_percent", THIN_WARN_PERCENT))
			say(f, worst >= thin_percent(facts, name, "error_percent", THIN_ERROR_PERCENT) ? ERROR : WARNING,
			    "extend it, and let thin_pool_autoextend_threshold in lvm.conf be below 100",
			    "thin pool %s is %.0f %% full: when it is full, writes fail", name, worst);
	}
	if (f->verdict == OK)
		say(f, OK, "", "%zu thin pools", json_array_size(at(facts, "thin_pools", NULL)));
}

static void check_rivals(json_t *facts, struct finding *f)
{
	json_t *units = at(facts, "rival_units", NULL), *unit;
	size_t i;

	if (!is_known(facts, "rival_units", f, "systemd does not tell"))
		return;
	json_array_foreach (units, i, unit)
		say(f, ERROR, "systemctl disable --now that unit, and mask it", "%s is enabled: it takes apart or brings up what is "
		    "Lunward's", json_string_value(unit));
	if (f->verdict == OK)
		say(f, OK, "", "nothing else manages the target or DRBD");
}

/* A host's own settings are not to be seen from here; what is to be seen is whether it has a session with each node. */
static void check_hosts(json_t *facts, struct finding *f)
{
	json_t *hosts = at(at(facts, "document", NULL), "hosts", NULL), *seen = at(facts, "initiators", NULL);
	const char *name;
	json_t *host;

	if (!is_known(facts, "document", f, NO_DOCUMENT) || !is_known(facts, "initiators", f, "the target's tree cannot be read"))
		return;
	json_object_foreach (hosts, name, host) {
		json_t *own = at(host, "initiators", NULL), *one;
		bool logged_in = false;
		size_t i;

		json_array_foreach (own, i, one)
			logged_in = logged_in || json_is_true(json_object_get(seen, json_string_value(one)));
		if (!logged_in)
			say(f, WARNING, "on that host: iscsiadm -m session, multipath -ll; and its multipath, iscsid and udev settings",
			    "host %s has no session with this node: it would lose its disks if the other one failed", name);
	}
	if (f->verdict == OK)
		say(f, OK, "", "each host has a session with this node; how its multipath is set cannot be seen from here");
}

static void check_portals(json_t *facts, struct finding *f)
{
	json_t *status = at(facts, "status", NULL), *node, *fault, *health = NULL;
	bool serves = false;
	size_t i;

	if (!json_is_object(status)) {
		say(f, UNKNOWN, "", NO_DOCUMENT);
		return;
	}
	json_array_foreach (at(status, "nodes", NULL), i, node) {
		if (strcmp(text_at(node, "name", NULL), text_at(facts, "node", NULL)) != 0)
			continue;
		health = at(node, "health", NULL);
		serves = strcmp(text_at(node, "portals_at", NULL), text_at(node, "name", NULL)) == 0;
	}
	if (!json_is_array(health) && serves)
		say(f, WARNING, "take --health off out of /etc/default/lunwardd and restart lunwardd",
		    "this node does not look at its own portals: that a login or a disk fails there its hosts notice first");
	json_array_foreach (health, i, fault)
		say(f, ERROR, "see the problems of lunward status", "%s %s: %s", text_at(fault, "portal", NULL),
		    text_at(fault, "group", NULL), text_at(fault, "text", NULL));
	if (f->verdict == OK)
		say(f, OK, "", json_is_array(health) ? "lunwardd logs in as a host does, and finds nothing that lasts" :
		    "none are served here");
}

/* At LUN 0 the kernel answers for what is not there, for the moment that a host is led to a stand-in: docs/RESERVATIONS.md. */
static const char *host_with_lun_0(json_t *facts)
{
	json_t *mapping;
	size_t i;

	json_array_foreach (at(facts, "document", "mappings"), i, mapping) {
		if (json_integer_value(at(mapping, "lun", NULL)) == 0)
			return *text_at(mapping, "host", NULL) ? text_at(mapping, "host", NULL) : text_at(mapping, "host_group", NULL);
	}
	return NULL;
}

static void check_reservations(json_t *facts, struct finding *f)
{
	const char *host = host_with_lun_0(facts);

	if (!is_known(facts, "reservations_kept", f, "systemd does not tell"))
		return;
	if (!json_is_true(at(facts, "reservations_kept", NULL)))
		say(f, WARNING, "if hosts use persistent reservations: systemctl enable --now lunward-pr on every storage node",
		    "lunward-pr does not run: persistent reservations stay behind when a group changes its node");
	else if (json_array_size(at(facts, "iser_interfaces", NULL)))
		say(f, WARNING, "let hosts that use persistent reservations connect by TCP",
		    "over iSER a host cannot be cut off when a change of its reservations is not agreed, and may take it for done");
	else if (host)
		say(f, WARNING, "map volumes whose hosts use persistent reservations from LUN 1 on",
		    "%s has a LUN 0: when a standby node takes over reservations of its volume, a read of its first blocks through that node may get zeros", host);
	else
		say(f, OK, "", "kept for the whole cluster");
}

static const struct {
	const char *name;
	void (*check)(json_t *facts, struct finding *f);
	bool storage; /* says nothing about a witness */
} checks[] = {
	{ "agent", check_daemon, false },
	{ "corosync encryption", check_encryption, false },
	{ "corosync token", check_token, false },
	{ "corosync quorum", check_quorum, false },
	{ "corosync links", check_links, false },
	{ "fence agent", check_fencing, false },
	{ "fence drill", check_drill, false },
	{ "watchdog", check_watchdog, false },
	{ "clock", check_clock, false },
	{ "kernel modules", check_modules, true },
	{ "DRBD version", check_drbd, true },
	{ "rival units", check_rivals, true },
	{ "fabric ports", check_ports, true },
	{ "MTU", check_mtu, true },
	{ "free space", check_space, true },
	{ "thin pools", check_thin, true },
	{ "hosts", check_hosts, true },
	{ "own portals", check_portals, true },
	{ "reservations", check_reservations, true },
};

json_t *doctor_judge(json_t *facts)
{
	static const char *const words[] = { "ok", "warning", "error", "unknown" };
	json_t *findings = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		struct finding f = { .verdict = OK };

		if (checks[i].storage && strcmp(text_at(facts, "role", NULL), "witness") == 0)
			say(&f, OK, "", "a witness has no storage");
		else
			checks[i].check(facts, &f);
		json_array_append_new(findings, json_pack("{s:s, s:s, s:s, s:s}", "name", checks[i].name, "result", words[f.verdict],
							  "detail", f.detail, "remedy", f.remedy));
	}
	return findings;
}
