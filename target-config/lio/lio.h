/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel target as Lunward wants it on one node: desired tree, observed tree, difference, application.
 *
 * The desired tree is a list of objects below configfs (directories, attributes, links) in building order; each object has
 * a stage, and objects of one stage are independent of each other across volumes, so that a stage runs in parallel.
 * Reconciling reads what is there, writes only what differs and removes what is Lunward's but not wanted, in reverse order.
 * Lunward owns the backstores of its own hbas (LIO_HBA, LIO_STANDINS in tree.h), the lu_gps named "lunward.*", the targets of its document,
 * and those with a TPG whose TargetAlias is "lunward" (how a target that left the document is known); nothing else is touched.
 *
 * ALUA states are not part of the tree: they change in milliseconds and only by lio_alua_set(). Building puts a new
 * group into `initial` before any LUN can reach it, and default_tg_pt_gp into standby.
 */
#ifndef TARGET_CONFIG_LIO_H
#define TARGET_CONFIG_LIO_H

#include "target-config/model/config.h"

enum lio_alua_state { /* SPC-4 6.33, and the values configfs takes */
	LIO_ALUA_ACTIVE_OPTIMIZED = 0,
	LIO_ALUA_ACTIVE_NONOPTIMIZED = 1,
	LIO_ALUA_STANDBY = 2,
	LIO_ALUA_UNAVAILABLE = 3,
	LIO_ALUA_TRANSITIONING = 15,
};

struct cfs; /* target-config/lio/cfs.h */

struct lio_roots { /* where things are is a parameter */
	const char *configfs; /* "/sys/kernel/config/target" */
	const char *dbroot;   /* "/run/lunward/lio" */
	const char *sysfs;    /* NULL: "/sys" */
	struct cfs *cfs;      /* NULL: the kernel's; tests give a tree in memory */
};

/* Reservations a volume's backstore is to begin with. The kernel takes them only into a device that is not exported, so one that is
 * there keeps its own, unless it is to be made anew. */
struct lio_reservations {
	const char *volume;
	bool anew;               /* the volume is taken out of the target and built again: its hosts see a stand-in meanwhile, in transition */
	const char *const *lines; /* one registration each, as pr_registration_load() prints them */
	size_t n_lines;
};

/* As the kernel names it: "10.77.0.1:3260", "[fd00::1]:3260". The caller's to free. */
char *lio_portal_name(const struct config_portal *portal);

/* Takes a portal out of the reach of its hosts, if it can. Any thread. */
typedef void lio_leave_fn(const void *ctx, const char *portal);

/*
 * A group of this node alone, whose volumes another program (targetcli, before Lunward was here) exports at targets of the document: they stay
 * with it, or are taken from it, without a session that ends. A volume of any other group that is exported so is an error.
 */
struct lio_foreign {
	const char *group;
	bool take;  /* else they stay */
	bool found; /* set by lio_reconcile(): there is such a volume, or was before it was taken */
};

/* Makes what hosts send to this node's portals wait (true), for less than a moment, or come in again. Any thread. */
typedef int lio_hold_fn(const void *ctx, bool hold, struct err *err);

struct lio_scope {
	uint32_t nodeid;           /* this node */
	const uint32_t *portals_of; /* node ids whose portals this node serves now: its own, adopted ones; may be empty */
	size_t n_portals_of;
	const struct lio_reservations *reservations; /* may be NULL */
	size_t n_reservations;
	const char *cpus;          /* where connections of hosts may be worked on, as the kernel writes it ("0-2"); NULL: as it is. See prfs.h */
	const char *health_password; /* of the agent itself, which looks at what hosts see (lio_health_volume()); NULL: it does not */
	lio_leave_fn *leave;       /* for the portals of a portal group with iSER, before it is disabled (quiet.c); may be NULL */
	const void *leave_ctx;
	int64_t close_limit_ms;    /* how long to wait for a portal group to be disabled; 0: as long as it takes. See lio_closing() */
	const char *const *ports;  /* of other fabrics than iSCSI that this node's hardware has: lio_ports_read() */
	size_t n_ports;
	struct lio_foreign *foreign; /* the caller's, as long as the tree is there */
	size_t n_foreign;
	lio_hold_fn *hold; /* for volumes that are taken; may be NULL */
	const void *hold_ctx;
};

/*
 * The agent logs in as CONFIG_HEALTH_INITIATOR with CHAP, in each portal group; of each group of volumes it has one volume, read only, as
 * the LUN that is the group's lu_gp_id. NULL: the group has none at that target.
 */
#define LIO_HEALTH_USER "health"
const struct config_volume *lio_health_volume(const struct config *config, const struct config_target *target,
					      const struct config_group *group);

struct lio_tree;

/* Pure. The gate of volume v is /dev/mapper/lunward-<v>. Groups without a copy here are left out. */
struct lio_tree *lio_tree_build(const struct config *config, const struct lio_scope *scope, const struct lio_roots *roots);
void lio_tree_free(struct lio_tree *tree);

/* The attributes and parameters that the tree sets, by their path below configfs; secrets excepted. is_optional: a kernel may have none
 * of that name. volume: NULL unless it is one's. */
typedef void lio_attr_fn(void *ctx, const char *volume, const char *path, const char *value, bool is_optional);
void lio_tree_each_attr(const struct lio_tree *tree, lio_attr_fn *fn, void *ctx);

struct lio_report {
	size_t n_objects;  /* wanted */
	size_t n_writes;   /* directories made, attributes written, links made */
	size_t n_removals;
	bool is_built;     /* all of the tree, portals perhaps excepted */
	size_t n_deferred; /* attributes that differ but are refused while exported; they wait for the next build */
	struct err apart;  /* code 0, or why a port of this node's hardware is not there; nothing else waits for it */
};

/* Makes the kernel equal to the tree. plan_only: changes nothing, *ret_plan (may be NULL) gets one line per step either way,
 * never a secret. Stops at the first error of a stage; what was done stays and the next call goes on from there. Only a
 * portal that cannot be had does not stop the rest: its error is returned at the end. Blocks; worker only; one at a time.
 * `threads` >= 1: parallelism inside a stage.
 * A new volume starts in standby, with reservations in transition (its table is whole only when all its hosts are mapped): afterwards
 * the caller says lio_alua_set() again for its groups. */
int lio_reconcile(const struct lio_tree *tree, bool plan_only, unsigned int threads, struct strbuf *ret_plan,
		  struct lio_report *ret_report, struct err *err) must_check;

/* A portal group, as an absolute path, that the kernel was told to disable and has not in the time that was given, for which an iSER connection that
 * hangs in the kernel is the reason known, or a port of FCoE that waits for a command for good; NULL: there is none. Until it has, which may be never, nothing below it can be changed (-EBUSY) and this node
 * cannot serve its portals; all else goes on. Of any run of this process; the caller's to free. Any thread. */
char *lio_closing(void);

/* Opens the portals in scope that are not open yet, and does or looks at nothing else: a node that takes over another's portals in a tree
 * that is in place answers after as many reads as there are portals, however many volumes there are. Else, and after an error:
 * lio_reconcile(). A portal that cannot be had does not stop the others. Blocks; worker only; not beside lio_reconcile(). */
int lio_open_portals(const struct config *config, const struct lio_scope *scope, const struct lio_roots *roots,
		     struct lio_report *ret_report, struct err *err) must_check;

/* One write that flips every volume of the group (its lu_gp) on this node, two for a group of one node: the state of the ports of `of_nodeid` as this node
 * reports and enforces it. Saying it again does nothing in the kernel (no unit attention). -ENOENT if the group has no
 * volume here yet. Get: if volumes differ (one was just built), the state that serves least. */
int lio_alua_set(const struct lio_roots *roots, const struct config *config, const char *group, uint32_t of_nodeid,
		 enum lio_alua_state state, struct err *err) must_check;
int lio_alua_get(const struct lio_roots *roots, const struct config *config, const char *group, uint32_t of_nodeid,
		 enum lio_alua_state *ret_state, struct err *err) must_check;

/* Whether the volume's backstore is there and configured: what its kernel knows of reservations outlives an agent. */
bool lio_has_backstore(const struct lio_roots *roots, const char *volume);
/* pr/res_pr_registered_i_pts, which may be read at any time, also while a command waits for the answer of <dbroot>/pr. */
int lio_registrations(const struct lio_roots *roots, const char *volume, char **ret_listing) must_check;
/* pr/res_holder and pr/res_pr_type, one after the other. May block, and spin, for as long as a PREEMPT spins for a command that waits for its
 * answer (dev_reservation_lock): not for a thread that is needed for that answer. */
int lio_reservation(const struct lio_roots *roots, const char *volume, char **ret_holder, char **ret_type) must_check;
/* Makes the kernel forget all registrations and the reservation of a volume in service: its hosts are unmapped and mapped again, which
 * takes about a millisecond each. What they send in that moment fails. Waits for reservation commands under way. */
int lio_forget_reservations(const struct lio_roots *roots, const struct config *config, const struct lio_scope *scope, const char *volume,
			    struct err *err) must_check;

/* Modules, configfs mount and dbroot (which must be set before the first backstore). Idempotent. fabrics: lio_ports_wanted();
 * that there is no module for one of them is no error, lio_ports_lack() tells. */
int lio_prepare(const struct lio_roots *roots, bool want_iser, unsigned int fabrics, struct err *err) must_check;

/* A fabric whose ports are those of a node's hardware: of iSCSI nothing but its folder is of use. */
struct lio_fabric {
	const char *dir;    /* below the root; reservations call the fabric so too */
	const char *tpg;    /* of each port, the only one */
	bool has_enable;    /* else hosts that have an ACL are let in from then on */
};
const struct lio_fabric *lio_fabric(enum config_fabric_id id);
const struct lio_fabric *lio_fabric_of_target(const struct config_target *target);

/* Ports of this machine, each the prefix of its fabric's targets and its name as the document writes it: "srp.fe80:0000:...", "fcoe.20:00:...".
 * loaded_only: if the module that makes targets of them is loaded. sysfs: "/sys". To be freed with cfs_names_free(). */
void lio_ports_read(const char *sysfs, bool loaded_only, char ***ret_names, size_t *ret_n);
bool lio_has_port(const struct lio_scope *scope, const struct config_target *target, const char *name);
/* How kernels call the port, and the target that stands in for it where it is not; allocated. */
char *lio_port_wwn(const struct config_target *target, const char *name) must_check;
char *lio_port_standin(const struct config_target *target, const char *name) must_check;
char *lio_srp_wwn(const char *gid) must_check;
/*
 * Cuts off the hosts of a port, so that none of them hears of a command that is under way. Nothing is done about one that is not here. A port with
 * `enable` is out of service until the next lio_reconcile(); hosts of another log in again by themselves, or never: lio_fc_relogin().
 */
int lio_port_cut(const struct lio_roots *roots, enum config_fabric_id id, const char *name, struct err *err) must_check;
/* Of which fabrics the document has ports of the node at all: 1 << config_fabric_id. */
unsigned int lio_ports_wanted(const struct config *config, uint32_t nodeid);
/* Which port of the scope's node is not there, for people; "": all are. */
void lio_ports_lack(const struct config *config, const struct lio_scope *scope, char ret_text[ERR_TEXT_SIZE]);

#endif
