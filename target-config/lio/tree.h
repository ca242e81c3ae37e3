/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside of lio: the desired tree as the builder (tree.c) hands it to the reconciler. */
#ifndef TARGET_CONFIG_LIO_TREE_H
#define TARGET_CONFIG_LIO_TREE_H

#include "target-config/lio/lio.h"

#define LIO_HBA "core/iblock_7731" /* one hba carries all devices: it is a name and a counter, no queue */
#define LIO_STANDINS "core/rd_mcp_7731" /* there only while there are stand-ins: standin.c */
#define LIO_STANDIN_LUN (1ul << 20)      /* a stand-in's LUN in its TPG is the volume's and this: minors have 20 bits */
#define LIO_SRP_TPG "lunward" /* marks a TPG as ours: srpt takes any name, and has no alias */
#define LIO_PORT_STANDINS "iqn.2026-11.org.lunward.port:" /* and the fabric's folder, a dot, the port's name */
#define LIO_WWPN_SIZE 24 /* "20:00:52:54:00:12:34:56" and a NUL */
#define LIO_LU_GPS "core/alua/lu_gps"
#define LIO_LU_GP_PREFIX "lunward."
#define LIO_TARGET_ALIAS "lunward" /* marks a TPG as ours; hosts see it as TargetAlias */

#define LIO_STAGES(X)                                                                                                  \
	X(HBA, "hba and lu_gps")                                                                                       \
	X(BACKSTORE, "backstores")                                                                                     \
	X(ALUA, "target port groups")                                                                                  \
	X(TARGET, "targets")                                                                                           \
	X(LUN, "luns")                                                                                                 \
	X(ACL, "node acls")                                                                                            \
	X(MAPPED_LUN, "mapped luns")                                                                                   \
	X(PORTAL, "portals")                                                                                           \
	X(ENABLE, "enable")
enum lio_stage {
#define X(id, name) LIO_STAGE_##id,
	LIO_STAGES(X)
#undef X
};

enum lio_kind {
	LIO_DIR,
	LIO_ATTR,
	LIO_LINK,
	LIO_GROUP_STATE, /* path = a tg_pt_gp: first state, then alua_access_type=1 as the mark that it is set */
};

enum lio_form { /* how reading an attribute gives back what was written */
	LIO_FORM_PLAIN,       /* the value and a newline */
	LIO_FORM_CLEARED,     /* nothing or "NULL" */
	LIO_FORM_SERIAL,      /* "T10 VPD Unit Serial Number: <value>" */
	LIO_FORM_GROUP_ALIAS, /* first line "TG Port Alias: <value>" or "LU Group Alias: <value>" */
	LIO_FORM_ACCESS_TYPE, /* 1 reads "Implicit" */
};

enum lio_flag {
	LIO_OPTIONAL = 1 << 0,      /* a kernel without it is fine */
	LIO_SECRET = 1 << 1,        /* the value stays out of plans and errors */
	LIO_FROZEN = 1 << 2,        /* refused while the volume is exported: then left as it is, with a line in the plan */
	LIO_IDENTITY = 1 << 3,      /* differs while exported: another disk under the same name, is torn down and built anew */
	LIO_ONCE = 1 << 4,          /* can be written once only */
	LIO_BEFORE_ENABLE = 1 << 5, /* written only while the backstore is not configured; cannot be read */
	LIO_WHILE_DISABLED = 1 << 6, /* refused while the TPG is enabled: then left as it is */
	LIO_SOFT = 1 << 7,          /* its failure is reported, but does not keep the others from being served */
	LIO_ANEW = 1 << 9,          /* with LIO_DIR: a backstore that is torn down and built anew */
	LIO_LOAD = 1 << 10,         /* with LIO_BEFORE_ENABLE: adds up; what a build that was broken off has added must not stay */
	LIO_APART = 1 << 11,        /* of a port of hardware, which the node may lack: its failure is reported, all else is built and served */
	LIO_IF_THERE = 1 << 12,     /* nothing is made, changed or taken away */
	LIO_ANNOUNCE = 1 << 13,     /* hosts do not try again by themselves: once it is made, its port logs in anew */
	LIO_LOCKED = 1 << 8,        /* moves a volume between lu_gps: under lio_alua_lock() */
};

struct lio_object {
	enum lio_kind kind;
	enum lio_stage stage;
	unsigned int chain; /* objects of one chain are done in order; chains of a stage are independent */
	unsigned int flags;
	enum lio_form form;
	char *path;  /* below the configfs root */
	char *value; /* attribute: what to write. link: where to, below the root. backstore: its size in bytes */
	char *volume; /* NULL unless it hangs on one */
};

enum lio_port_kind {
	LIO_PORT_ISCSI,   /* the portal group of a node */
	LIO_PORT_OWN,     /* a port of this machine's hardware */
	LIO_PORT_STANDIN, /* one that is not here: a portal group of iSCSI, never enabled */
};
struct lio_port {
	enum lio_port_kind kind;
	const struct config_target *target;
	uint32_t nodeid;
	const char *name; /* with the node: the same on all nodes, of this port alone */
	char *wwn, *tpg;  /* directories below the root */
};
struct lio_ports { /* in the order of the document's targets, then nodes, then portals */
	struct lio_port *list;
	size_t n, cap;
	const struct config_target *targets;
	size_t *starts; /* of the ports of targets[i], and where the last ones end */
};
void lio_ports_init(struct lio_ports *ports, const struct config *config, const struct lio_scope *scope);
void lio_ports_done(struct lio_ports *ports);

struct lio_tree {
	struct lio_object *objects; /* in building order */
	size_t n, cap;
	struct cfs *cfs;
	char *root, *sysfs;
	struct lio_ports ports;
	enum lio_stage stage; /* while building */
	unsigned int chain;
	lio_leave_fn *leave; /* may be NULL */
	const void *leave_ctx;
	int64_t close_limit_ms;
	struct lio_foreign *foreign;
	size_t n_foreign;
	lio_hold_fn *hold; /* may be NULL */
	const void *hold_ctx;
};

/* The last stages of lio_tree_build() alone: not for lio_reconcile(), which would take all the rest away. */
struct lio_tree *lio_tree_build_portals(const struct config *config, const struct lio_scope *scope, const struct lio_roots *roots);

const char *lio_stage_name(enum lio_stage stage);

/* Serialises whoever reads ALUA states to write them elsewhere or moves volumes between lu_gps against lio_alua_set():
 * core_alua_do_port_transition() walks the lu_gp's members without a lock of its own held across a transition. */
void lio_alua_lock(void);
void lio_alua_unlock(void);

bool lio_is_alone(const struct config_group *group); /* has one node */
struct cfs *lio_cfs(const struct lio_roots *roots);
const char *lio_sysfs(const struct lio_roots *roots);
bool lio_is_below(const char *path, const char *dir); /* or is it */
bool lio_acl_has_session(struct cfs *cfs, const char *root, const char *acl); /* not of iSCSI */
/* The folder of a port of Fibre Channel, allocated; NULL: it is not here. */
char *lio_fc_host(const char *sysfs, const char *wwpn) must_check;
/*
 * A port of tcm_fc leaves its link and comes back: 0 when nothing is sent any more for what was under way, or there is no such port. All hosts log in
 * again, unless the kernel hangs on a command that was under way: then nobody does, until the node is restarted, and it is lio_closing(). -ETIMEDOUT: it
 * would not leave. Blocks for seconds at most.
 */
int lio_fc_relogin(struct cfs *cfs, const char *root, const char *sysfs, const char *wwpn, struct err *err) must_check;

/* Directories below the root, allocated. */
char *lio_tpg_dir(const char *iqn, uint32_t tpgt) must_check;
char *lio_acl_dir(const char *iqn, uint32_t tpgt, const char *initiator) must_check;
char *lio_port_tpg_dir(const struct config_target *target, const char *name) must_check;
bool lio_is_of_hardware(const char *path); /* below the folder of a fabric that is not iSCSI */
/* "<root>/<path>", allocated. */
char *lio_path(const char *root, const char *path) must_check;
/* Reads an attribute, cuts trailing newlines and, for a form, what stands around the value. */
int lio_read_attr(struct cfs *cfs, const char *root, const char *path, enum lio_form form, char **ret_value) must_check;

#endif
