/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cluster document: what the operator wants, one JSON object replicated to all nodes (lunward.json(5)).
 *
 * Parsing gives a checked, immutable model or an error that names the offending key by its path, e.g.
 * `groups.g1.nodes[1]: no node "n9" in nodes`. Nothing half-checked leaves this module. Pure: no I/O.
 */
#ifndef TARGET_CONFIG_MODEL_CONFIG_H
#define TARGET_CONFIG_MODEL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/strbuf.h"

#define CONFIG_NAME_MAX 32    /* names of nodes, pools, groups, volumes, hosts: [a-z0-9][a-z0-9._-]*, no ".." */
#define CONFIG_COPIES_MAX 4
#define CONFIG_SECTOR_SIZE 512
#define CONFIG_SIZE_MAX (16u << 20) /* bytes of a document, as written and as printed */
#define CONFIG_NODES_MAX 32
#define CONFIG_FENCE_LEVELS_MAX 8
#define CONFIG_FENCE_PACEMAKER "pacemaker" /* as agent of a level: Pacemaker's fencer does it */
#define CONFIG_FENCE_WATCHDOG "watchdog"   /* the node's own watchdog does it: its time is waited for */
#define CONFIG_NODEID_MAX 255       /* leaves room in the 16 bits of tg_pt_gp id, tpgt and RTPI */
#define CONFIG_GROUPS_MAX 4096
#define CONFIG_VOLUMES_MAX 65536
#define CONFIG_MAPPINGS_MAX 262144 /* with those of host groups counted for each host */
#define CONFIG_LUN_MAX 16383        /* 14 bits: flat space addressing, SAM-5 4.7.7.4 */
#define CONFIG_WEIGHT_DEFAULT 1
#define CONFIG_FAILBACK_DELAY_DEFAULT_S 300
#define CONFIG_TAKEOVER_LIMIT_DEFAULT 3
#define CONFIG_POOL_WARN_DEFAULT_PERCENT 80
#define CONFIG_POOL_ERROR_DEFAULT_PERCENT 95
#define CONFIG_PORT_FIRST 7788      /* DRBD ports and minors are assigned from here upwards */
#define CONFIG_MINOR_FIRST 100      /* below: an administrator's own DRBD resources */

enum config_role { CONFIG_ROLE_STORAGE, CONFIG_ROLE_WITNESS };
enum config_backend { CONFIG_BACKEND_DRBD, CONFIG_BACKEND_SHARED, CONFIG_BACKEND_LOCAL };
enum config_failback { CONFIG_FAILBACK_MANUAL, CONFIG_FAILBACK_AUTO };
enum config_placement { CONFIG_PLACEMENT_AUTO, CONFIG_PLACEMENT_PACEMAKER };
enum config_profile { CONFIG_PROFILE_LINUX, CONFIG_PROFILE_ESXI, CONFIG_PROFILE_WINDOWS };

struct config_option { /* key=value line for a fence agent's standard input */
	char *key, *value;
};

struct config_node_fence { /* what one level is told about this node */
	char *level; /* its name; NULL: of the only one, which has none */
	struct config_option *options; /* e.g. plug=n1; added to those of the level */
	size_t n_options;
};

struct config_node {
	char *name;
	uint32_t nodeid;             /* Corosync's, 1..CONFIG_NODEID_MAX; also tg_pt_gp id, tpgt and RTPI base of the node */
	enum config_role role;
	char *replication_address;   /* numeric IP for DRBD; NULL for a witness */
	struct config_node_fence *fence; /* of levels that have options of this node, in their order */
	size_t n_fence;
};

struct config_pool {
	char *name;
	char *vg; /* LVM volume group of that name on each node */
	char *thin_pool; /* in it; NULL: volumes have all their extents from the start */
	uint16_t warn_percent, error_percent; /* of the thin pool in use; 0 without one */
};

struct config_volume; /* below */

struct config_group {
	char *name;
	enum config_backend backend;
	enum config_placement placement;
	uint32_t nodes[CONFIG_COPIES_MAX]; /* node ids as written, 0-terminated if shorter; drbd: exactly 2 */
	uint32_t prefer;                   /* 0: none */
	uint16_t weight;                   /* default 1 */
	enum config_failback failback;
	uint32_t failback_delay_s;         /* default 300 */
	uint32_t takeover_limit;           /* default 3; 0: none */
	uint16_t lu_gp_id;                 /* assigned, 1.., unique */
	uint16_t port;                     /* assigned unless written: DRBD's TCP port, unique; 0 unless backend drbd */
	const struct config_volume *volumes; /* the first of its volumes, in the order of config->volumes; NULL: it has none */
};

struct config_volume {
	char *name;
	const struct config_group *group;
	const struct config_volume *next; /* of the same group */
	const struct config_pool *pool; /* NULL for backend shared */
	char *device;                   /* backend shared: path of the block device on all nodes */
	uint64_t size_bytes;            /* multiple of 4 MiB for pools (an LVM extent), > 0 */
	char *serial;                   /* assigned (random UUID) unless written: NAA id of the LUN for life */
	uint32_t drbd_minor;            /* assigned, unique in the cluster; 0 unless backend drbd */
	uint32_t target_lun;            /* assigned, unique in the cluster, of no minor either; 0 for backend drbd: there the minor is */
	uint16_t drbd_volume;           /* assigned, volume number within the group's resource; 0 unless backend drbd */
	uint32_t block_size;            /* 512 or 4096 */
};

enum config_login_by { CONFIG_LOGIN_BY_PORT_ID, CONFIG_LOGIN_BY_ADDRESS }; /* SRP: what hosts are known by */

enum config_transport { CONFIG_TRANSPORT_TCP = 1, CONFIG_TRANSPORT_ISER = 2 }; /* bit mask */

#define CONFIG_GID_SIZE 40 /* "fe80:0000:0000:0000:5054:00ff:fe12:3456", as sysfs writes it, and a NUL */
#define CONFIG_SRP_PREFIX "srp."
#define CONFIG_FCOE_PREFIX "fcoe."
#define CONFIG_FC_PREFIX "fc."

/* iSCSI: an address and port of a node. The other fabrics: a port of its hardware, which nobody else can serve. */
struct config_portal {
	uint32_t nodeid;
	char *address;      /* numeric IP without prefix length; others: GID or WWPN, and nothing of what follows */
	uint8_t prefix_len; /* from "10.77.0.1/24"; 0: the address is not managed by Lunward */
	char *interface;    /* where the address belongs; NULL only if not managed */
	uint16_t port;      /* default 3260 */
	unsigned int transports; /* default tcp; iser is never without tcp: its listener is a switch on the tcp one */
};

#define CONFIG_HEALTH_INITIATOR "iqn.2026-11.org.lunward:health" /* the agent itself, which no host can be: target-config/lio */

#define CONFIG_PARAMETERS 18 /* of iSCSI: config_parameter() */

struct config_target {
	char *name; /* IQN, or "srp.<name>" and the like: config_fabric_of_target() */
	struct config_portal *portals; /* ascending nodeid, address, port */
	size_t n_portals;
	enum config_login_by login_by;
	char *parameters[CONFIG_PARAMETERS]; /* in LIO's words; NULL: not said, config_target_parameter() */
};

struct config_chap {
	char *user, *password; /* both or neither; password 12..64 visible ASCII characters, host != mutual */
};

struct config_host {
	char *name;
	enum config_profile profile;
	char **initiators; /* IQN, eui. or naa. names, SRP port ids ("0x...") and addresses, WWPNs; ascending */
	size_t n_initiators;
	struct config_chap chap;        /* the host proves itself; user NULL: no CHAP */
	struct config_chap mutual_chap; /* the target proves itself; needs chap */
};

struct config_host_group { /* hosts that share mappings, like the nodes of a cluster of theirs */
	char *name;
	const struct config_host **hosts; /* ascending name, one at least */
	size_t n_hosts;
};

struct config_mapping {
	const struct config_host *host;
	const struct config_host_group *host_group; /* that the document maps to, there is one of these for each host of it; NULL: to the host */
	const struct config_volume *volume;
	const struct config_target *target;
	uint32_t lun; /* 0..16383, unique per host and target */
};

struct config_fence_level {
	char *name;     /* NULL: the only level of a document that names none */
	char *agent;    /* file name of a program in the fence agents' folder, e.g. "fence_ipmilan", or CONFIG_FENCE_PACEMAKER */
	struct config_option *options;
	size_t n_options;
	int timeout_s; /* default 60 */
};

struct config_fencing { /* for all nodes, tried in this order until one gives evidence; none: operator evidence only */
	struct config_fence_level *levels;
	size_t n_levels;
};

/* What hosts have to prove before they are shown targets (SendTargets): one for all targets of a node, that is how LIO has it. */
struct config_discovery {
	bool is_said; /* else whatever is in the kernel stays there */
	struct config_chap chap, mutual_chap; /* user NULL: nothing is asked for */
};

struct config {
	char *cluster;
	struct config_fencing fencing;
	struct config_discovery discovery;
	uint16_t srp_rdma_cm_port; /* where each node with SRP targets listens for RDMA/CM; 0: by native InfiniBand only */
	struct config_node *nodes;       size_t n_nodes;    /* ascending nodeid */
	struct config_pool *pools;       size_t n_pools;    /* this and the following: ascending name */
	struct config_group *groups;     size_t n_groups;
	struct config_volume *volumes;   size_t n_volumes;
	struct config_target *targets;   size_t n_targets;
	struct config_host *hosts;       size_t n_hosts;
	struct config_host_group *host_groups; size_t n_host_groups;
	struct config_mapping *mappings; size_t n_mappings; /* by host, target, lun */
};

/* Parses and checks a whole document. On error *ret_config is untouched; err->text starts with the path of the key (or
 * line and column for broken JSON). -EINVAL broken or wrong, -E2BIG too large.
 *
 * `old` (may be NULL) is the document in force. What the operator left out and was assigned before (serials, minors,
 * ports, lu_gp ids) is taken over from it by name, so that applying the same file twice changes nothing. What is
 * assigned anew is never a number that `old` uses: what is being taken down does not meet its successor. Missing serials
 * of new volumes are made from `random_bytes`, which is called for each 16 bytes needed (NULL: that is an error).
 *
 * Refused against `old`: shrinking a volume; changing serial, block size, backend, pool (or its vg or thin pool), group, minor or DRBD
 * volume number of a volume; giving the serial of one volume to another; replacing all nodes of a group with data;
 * changing the id of a node or of an LU group.
 */
int config_parse(const char *text, size_t size, const struct config *old, void (*random_bytes)(void *, size_t),
		 struct config **ret_config, struct err *err) must_check;

/* Checks against Corosync's nodelist: every node of the document must be in it with the same name and id and the
 * reverse. A name may be NULL (corosync.conf need not have one): refused, with the remedy. */
int config_check_electorate(const struct config *config, const uint32_t *nodeids, const char *const *names, size_t n,
			    struct err *err) must_check;

/* The whole document as canonical JSON (sorted, assigned values included): equal models give equal bytes, and parsing it
 * gives an equal model. secrets = false: CHAP passwords and fence options whose names sound like a secret (pass, secret,
 * token, _key, community) become "********", which config_parse() refuses: for people. */
char *config_print(const struct config *config, bool secrets) must_check;

/* What would change, a line each, "+ volume v3 (10 GiB, group g1)", "~ host h1: chap changed", "- mapping ...", in a
 * fixed order. old may be NULL. Returns the number of lines, 0 if and only if the models are equal. Never shows secrets. */
size_t config_diff(const struct config *old, const struct config *new_config, struct strbuf *ret_lines);

void config_free(struct config *config);

/* Look-ups; NULL if there is none. Borrowed. */
const struct config_node *config_node_by_id(const struct config *config, uint32_t nodeid);
const char *config_node_name(const struct config *config, uint32_t nodeid); /* "?" if there is none */
const struct config_node *config_node_by_name(const struct config *config, const char *name);
const struct config_group *config_group_by_name(const struct config *config, const char *name);
const struct config_volume *config_volume_by_name(const struct config *config, const char *name);
const struct config_pool *config_pool_by_name(const struct config *config, const char *name);
const struct config_target *config_target_by_name(const struct config *config, const char *name);
const struct config_host *config_host_by_name(const struct config *config, const char *name);

enum config_fabric_id { CONFIG_FABRIC_ISCSI, CONFIG_FABRIC_SRP, CONFIG_FABRIC_FCOE, CONFIG_FABRIC_FC, CONFIG_FABRICS };
struct config_fabric {
	enum config_fabric_id id;
	const char *title;      /* for people */
	const char *prefix;     /* of names of its targets; "" for iSCSI */
	const char *portal_key; /* what a portal of it is named by */
	const char *portal_word;
	const char *port, *module; /* for people: a port of a node's hardware; what makes targets of them. NULL for iSCSI */
	const char *(*check_target)(const char *name); /* of config_text.h */
	const char *(*check_initiator)(const char *name); /* fabrics that have the same one have the same initiators */
};
const struct config_fabric *config_fabric_of_target(const char *name); /* by how the name begins; never NULL */
const struct config_fabric *config_fabric_of_initiator(const char *name);
const struct config_fabric *config_fabric(enum config_fabric_id id);
enum config_fabric_id config_target_fabric(const struct config_target *target);
bool config_target_is_iscsi(const struct config_target *target);
/* Whether that initiator can log in to it at all. A host may have initiators of several fabrics. */
bool config_target_takes(const struct config_target *target, const char *initiator);
bool config_host_fits(const struct config_host *host, const struct config_target *target); /* any of its initiators */

enum config_parameter_place { /* in the kernel's target */
	CONFIG_PARAMETER_PARAM,	     /* <portal group>/param */
	CONFIG_PARAMETER_TPG_ATTRIB, /* <portal group>/attrib */
	CONFIG_PARAMETER_ACL_ATTRIB, /* attrib of each of its ACLs */
};
struct config_parameter {
	const char *name, *fallback; /* LIO's own default */
	enum config_parameter_place place;
};
const struct config_parameter *config_parameter(size_t i); /* i < CONFIG_PARAMETERS */
const struct config_parameter *config_parameter_by_name(const char *name); /* NULL: none of that name */
/* The document's, or the default. */
const char *config_target_parameter(const struct config_target *target, size_t i);

/* The words of the document, "storage", "drbd" ... */
const char *config_role_name(enum config_role role);
const char *config_backend_name(enum config_backend backend);
const char *config_placement_name(enum config_placement placement);
const char *config_failback_name(enum config_failback failback);
const char *config_login_by_name(enum config_login_by login_by);
const char *config_profile_name(enum config_profile profile);
bool config_fence_level_is_pacemaker(const struct config_fence_level *level);
bool config_fence_level_is_watchdog(const struct config_fence_level *level);
/* For people: its name, or its agent. */
const char *config_fence_level_label(const struct config_fence_level *level);
/* What the level is told about this node beside its own options; NULL: nothing. */
const struct config_node_fence *config_node_fence(const struct config_node *node, const struct config_fence_level *level);
/* Of the volume in each portal group of the kernel's target. */
uint32_t config_volume_lun(const struct config_volume *volume);
bool config_group_has_node(const struct config_group *group, uint32_t nodeid);
/* The NAA-6 id LIO derives from a serial (target_core_spc.c, spc_parse_naa_6h_vendor_specific): 32 hex digits + NUL. */
void config_naa(const char *serial, char ret_naa[33]);

#endif
