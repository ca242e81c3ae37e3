// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/fake_configfs.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"

enum role {
	R_ROOT,
	R_PLAIN, /* a default directory without rules of its own */
	R_CORE,
	R_HBA,
	R_DEV,
	R_ALUA,
	R_GROUP, /* tg_pt_gp */
	R_LU_GPS,
	R_LU_GP,
	R_ISCSI,
	R_FABRIC, /* of hardware */
	R_WWN,
	R_TPG,
	R_LUNS,
	R_LUN,
	R_NPS,
	R_NP,
	R_ACLS,
	R_ACL,
	R_MAPPED,
	R_SESSION, /* statistics of a session: nothing at all while there is none */
};

enum attr_flag {
	A_READ_ONLY = 1,
	A_FROZEN = 2, /* refused while the device is exported */
	A_SERIAL = 4,
	A_WHOLE = 16, /* may have lines; what tests say the kernel has */
	A_LOADS = 8, /* each write adds a line; reads back all of them, as no kernel does */
};

struct attr {
	char *name, *value;
	unsigned int flags;
};

struct node {
	char *name;
	enum role role;
	bool is_default; /* came with its parent, cannot be removed alone */
	struct node *parent;
	struct node *link; /* symbolic link to */
	struct node **children;
	size_t n, cap;
	struct attr *attrs;
	size_t n_attrs, cap_attrs;

	int id;             /* R_GROUP, R_LU_GP: -1 until set */
	struct node *group; /* R_LUN: its tg_pt_gp. R_DEV: its lu_gp */
	bool enabled;       /* R_DEV, R_TPG */
	char *udev_path;    /* R_DEV: from control */
	int rtpi;           /* R_DEV: last given. R_LUN: its own */
	bool live;          /* R_MAPPED: the LUN was not cut since */
	bool matching;      /* R_DEV: with the registrations that were loaded */
};

struct fake {
	struct cfs cfs;
	struct node *root;
	bool has_rtpi;
	struct {
		const char *fabric, *name;
	} ports[3];
	char *rcu;
	pthread_mutex_t lock;
	long fail_in;
	bool failed;
	size_t changes;
	void (*on_change)(struct fake *fake, void *ctx, const char *what);
	void *ctx;
	unsigned int commands_to_come, commands;
	const char *hangs_at; /* NULL: nowhere */
	unsigned int n_hanging;
	pthread_cond_t hanging; /* one of the two has changed */
	char scratch[256];
};

/* --- the tree ----------------------------------------------------------------------------------------------------------*/

static struct node *child_named(struct node *dir, const char *name, size_t len)
{
	for (size_t i = 0; i < dir->n; i++) {
		if (strlen(dir->children[i]->name) == len && strncmp(dir->children[i]->name, name, len) == 0)
			return dir->children[i];
	}
	return NULL;
}

static struct node *new_node(struct node *parent, const char *name, enum role role, bool is_default)
{
	struct node *node = xcalloc(1, sizeof(*node));

	node->name = xstrdup(name);
	node->role = role;
	node->is_default = is_default;
	node->parent = parent;
	node->id = -1;
	if (parent)
		*array_push(parent->children, parent->n, parent->cap) = node;
	return node;
}

static void free_node(struct node *node)
{
	for (size_t i = 0; i < node->n; i++)
		free_node(node->children[i]);
	for (size_t i = 0; i < node->n_attrs; i++) {
		free(node->attrs[i].name);
		free(node->attrs[i].value);
	}
	free(node->children);
	free(node->attrs);
	free(node->udev_path);
	free(node->name);
	free(node);
}

static void detach(struct node *node)
{
	struct node *parent = node->parent;

	for (size_t i = 0; i < parent->n; i++) {
		if (parent->children[i] == node) {
			memmove(&parent->children[i], &parent->children[i + 1], (parent->n - i - 1) * sizeof(node));
			parent->n--;
			break;
		}
	}
	free_node(node);
}

static void attr(struct node *node, const char *name, const char *value, unsigned int flags)
{
	struct attr *a = array_push(node->attrs, node->n_attrs, node->cap_attrs);

	a->name = xstrdup(name);
	a->value = xstrdup(value);
	a->flags = flags;
}

static struct attr *attr_named(struct node *node, const char *name)
{
	for (size_t i = 0; i < node->n_attrs; i++) {
		if (strcmp(node->attrs[i].name, name) == 0)
			return &node->attrs[i];
	}
	return NULL;
}

static void set_value(struct attr *a, const char *value)
{
	free(a->value);
	a->value = xstrdup(value);
}

/* Finds the directory or link; with ret_attr the last part may be an attribute instead. NULL if there is none. */
static struct node *lookup(struct fake *fake, const char *path, struct attr **ret_attr)
{
	struct node *node = fake->root;

	if (strncmp(path, FAKE_ROOT, strlen(FAKE_ROOT)) != 0)
		return NULL;
	path += strlen(FAKE_ROOT);
	while (*path == '/') {
		size_t len = strcspn(++path, "/");
		struct node *next = child_named(node, path, len);

		if (!next && ret_attr && path[len] == '\0') {
			*ret_attr = attr_named(node, path);
			return *ret_attr ? node : NULL;
		}
		if (!next)
			return NULL;
		node = next;
		path += len;
	}
	return node;
}

static struct node *lookup_parent(struct fake *fake, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = xasprintf("%.*s", (int)(slash - path), path);

	*ret_name = slash + 1;
	return lookup(fake, dir, NULL);
}

static struct node *ancestor(struct node *node, enum role role)
{
	while (node && node->role != role)
		node = node->parent;
	return node;
}

static void each(struct node *node, enum role role, void (*fn)(struct node *node, void *ctx), void *ctx)
{
	if (node->role == role && !node->link)
		fn(node, ctx);
	for (size_t i = 0; i < node->n; i++)
		each(node->children[i], role, fn, ctx);
}

/* --- what a directory comes with ---------------------------------------------------------------------------------------*/

/* A default directory of numbers. */
static void make_counters(struct node *dir, const char *name, const char *const *names, size_t n)
{
	struct node *counters = new_node(dir, name, R_PLAIN, true);

	for (size_t i = 0; i < n; i++)
		attr(counters, names[i], "0", 0);
}

static void make_group(struct node *group)
{
	attr(group, "alua_access_state", "0", 0);
	attr(group, "alua_access_type", "Implicit and Explicit", 0);
	attr(group, "implicit_trans_secs", "0", 0);
	attr(group, "tg_pt_gp_id", "", 0);
	attr(group, "members", "", A_READ_ONLY);
}

static void make_dev(struct node *dev)
{
	static const struct {
		const char *name, *value;
		unsigned int flags;
	} attribs[] = { /* as target_alloc_device() leaves them on 6.1 */
		{ "max_unmap_lba_count", "0", 0 },   { "max_unmap_block_desc_count", "0", 0 },
		{ "unmap_granularity", "0", 0 },     { "unmap_granularity_alignment", "0", 0 },
		{ "unmap_zeroes_data", "0", 2 },     { "emulate_tpu", "0", 0 },
		{ "emulate_tpws", "0", 0 },	     { "emulate_3pc", "1", 0 },
		{ "emulate_caw", "1", 0 },	     { "emulate_pr", "1", 0 },
		{ "emulate_fua_write", "1", 0 },     { "emulate_rest_reord", "0", 0 },
		{ "emulate_tas", "1", 2 },	     { "emulate_ua_intlck_ctrl", "0", 2 },
		{ "emulate_model_alias", "0", 2 },   { "enforce_pr_isids", "1", 0 },
		{ "force_pr_aptpl", "0", 2 },	     { "is_nonrot", "0", 0 },
		{ "block_size", "512", 2 },	     { "optimal_sectors", "2560", 2 },
		{ "max_write_same_len", "65535", 0 }, { "hw_max_sectors", "2560", 1 },
	};
	static const char *const lu_counters[] = { "num_cmds", "read_mbytes", "write_mbytes", "resets" }; /* target_stat_lu_*_show() */
	struct node *attrib = new_node(dev, "attrib", R_PLAIN, true);
	struct node *wwn = new_node(dev, "wwn", R_PLAIN, true);
	struct node *alua = new_node(dev, "alua", R_ALUA, true);
	struct node *pr = new_node(dev, "pr", R_PLAIN, true);
	struct node *group = new_node(alua, "default_tg_pt_gp", R_GROUP, true);

	for (size_t i = 0; i < ARRAY_SIZE(attribs); i++)
		attr(attrib, attribs[i].name, attribs[i].value, attribs[i].flags);
	attr(wwn, "vpd_unit_serial", "", A_FROZEN | A_SERIAL);
	attr(dev, "control", "", 0);
	attr(dev, "udev_path", "", 0);
	attr(dev, "enable", "0", 0);
	attr(dev, "alua_lu_gp", "", 0);
	attr(dev, "info", "Status: DEACTIVATED", A_READ_ONLY);
	attr(pr, "res_aptpl_metadata", "", A_FROZEN | A_LOADS);
	attr(pr, "res_pr_registered_i_pts", "SPC-3 PR Registrations:\nNone", A_WHOLE);
	attr(pr, "res_holder", "No SPC-3 Reservation holder", A_WHOLE);
	attr(pr, "res_pr_type", "No SPC-3 Reservation holder", A_WHOLE);
	make_counters(new_node(dev, "statistics", R_PLAIN, true), "scsi_lu", lu_counters, ARRAY_SIZE(lu_counters));
	make_group(group);
	group->id = 0;
	set_value(attr_named(group, "tg_pt_gp_id"), "0");
}

static void make_tpg_folders(struct node *tpg, bool has_enable, bool has_rtpi)
{
	new_node(tpg, "auth", R_PLAIN, true);
	new_node(tpg, "lun", R_LUNS, true);
	new_node(tpg, "np", R_NPS, true);
	new_node(tpg, "acls", R_ACLS, true);
	if (has_enable)
		attr(tpg, "enable", "0", 0);
	if (has_rtpi)
		attr(tpg, "rtpi", "0", 0);
}

/* tcm_fc has no enable: a TPG is in service from the start. tcm_qla2xxx_make_tpg() lets everybody in. */
static void make_hardware_tpg(struct node *tpg, const char *fabric, bool has_rtpi)
{
	static const char *const open_to_all[] = { "generate_node_acls", "demo_mode_write_protect", "cache_dynamic_acls", "demo_mode_login_only" };
	struct node *attrib = new_node(tpg, "attrib", R_PLAIN, true);

	new_node(tpg, "param", R_PLAIN, true);
	make_tpg_folders(tpg, strcmp(fabric, "fc") != 0, has_rtpi);
	tpg->enabled = strcmp(fabric, "fc") == 0;
	for (size_t i = 0; strcmp(fabric, "qla2xxx") == 0 && i < ARRAY_SIZE(open_to_all); i++)
		attr(attrib, open_to_all[i], "1", 0);
	if (strcmp(fabric, "qla2xxx") == 0)
		attr(attrib, "prod_mode_write_protect", "0", 0);
}

static void make_tpg(struct node *tpg, bool has_rtpi)
{
	static const char *const attribs[][2] = {
		{ "authentication", "1" },	    { "generate_node_acls", "0" },	{ "cache_dynamic_acls", "0" },
		{ "demo_mode_write_protect", "1" }, { "prod_mode_write_protect", "0" }, { "demo_mode_discovery", "1" },
		{ "default_cmdsn_depth", "64" },    { "tpg_enabled_sendtargets", "1" }, { "login_timeout", "15" },
	};
	static const char *const params[][2] = {
		{ "TargetAlias", "LIO Target" },   { "HeaderDigest", "CRC32C,None" },	      { "DataDigest", "CRC32C,None" },
		{ "InitialR2T", "Yes" },	   { "ImmediateData", "Yes" },		      { "FirstBurstLength", "65536" },
		{ "MaxBurstLength", "262144" },	   { "MaxRecvDataSegmentLength", "8192" },    { "MaxXmitDataSegmentLength", "262144" },
		{ "MaxOutstandingR2T", "1" },	   { "MaxConnections", "1" },		      { "ErrorRecoveryLevel", "0" },
		{ "DefaultTime2Wait", "2" },	   { "DefaultTime2Retain", "20" },
	};
	struct node *attrib = new_node(tpg, "attrib", R_PLAIN, true), *param = new_node(tpg, "param", R_PLAIN, true);

	for (size_t i = 0; i < ARRAY_SIZE(attribs); i++)
		attr(attrib, attribs[i][0], attribs[i][1], 0);
	for (size_t i = 0; i < ARRAY_SIZE(params); i++)
		attr(param, params[i][0], params[i][1], 0);
	make_tpg_folders(tpg, true, has_rtpi);
}

/* ft_parse_wwn(), tcm_qla2xxx_parse_wwn(): strict. */
static bool is_wwpn(const char *name)
{
	for (size_t i = 0; i < 23; i++) {
		if (i % 3 == 2 ? name[i] != ':' : !name[i] || !strchr("0123456789abcdef", name[i]))
			return false;
	}
	return !name[23];
}

/* srpt_init_nodeacl(): hex digits, two for a byte, or an address. Not in the contract: target_fabric_make_nodeacl() of a kernel that refuses a name
 * may free what is listed already. config_text_srp_initiator() has to know. Likewise ft_init_nodeacl(), tcm_qla2xxx_init_nodeacl(). */
static int make_hardware_acl(struct node *acls, const char *fabric, const char *name)
{
	static const char *const folders[] = { "attrib", "auth", "param", "fabric_statistics" };
	struct node *acl;

	if (strcmp(fabric, "srpt") == 0 ? strlen(name) % 2 && !strchr(name, '.') : !is_wwpn(name))
		return -EINVAL;
	acl = new_node(acls, name, R_ACL, false);
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		new_node(acl, folders[i], R_PLAIN, true);
	return 0;
}

static void make_acl(struct node *acl)
{
	static const char *const names[] = { "userid", "password", "userid_mutual", "password_mutual" };
	static const char *const attribs[][2] = {
		{ "authentication", "-1" }, { "nopin_timeout", "15" },		{ "nopin_response_timeout", "30" },
		{ "dataout_timeout", "3" }, { "dataout_timeout_retries", "5" },
	};
	static const char *const params[] = { "MaxConnections", "InitialR2T", "ImmediateData", "MaxBurstLength", "FirstBurstLength",
					      "DefaultTime2Wait", "DefaultTime2Retain", "MaxOutstandingR2T", "DataPDUInOrder",
					      "DataSequenceInOrder", "ErrorRecoveryLevel" };
	static const char *const counters[] = { "inst", "node", "indx", "cmd_pdus", "rsp_pdus", "txdata_octs", "rxdata_octs",
						"conn_digest_errors", "conn_timeout_errors" };
	_cleanup_free_ char *info = xasprintf("No active iSCSI Session for Initiator Endpoint: %s", acl->name);
	struct node *auth = new_node(acl, "auth", R_PLAIN, true), *attrib, *param, *statistics;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		attr(auth, names[i], "", 0);
	attrib = new_node(acl, "attrib", R_PLAIN, true);
	for (size_t i = 0; i < ARRAY_SIZE(attribs); i++)
		attr(attrib, attribs[i][0], attribs[i][1], 0);
	param = new_node(acl, "param", R_PLAIN, true);
	for (size_t i = 0; i < ARRAY_SIZE(params); i++)
		attr(param, params[i], "No Active iSCSI Session", 0); /* iscsi_nacl_param_*_show() */
	statistics = new_node(new_node(acl, "fabric_statistics", R_PLAIN, true), "iscsi_sess_stats", R_SESSION, true);
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
		attr(statistics, counters[i], "", 0);
	attr(acl, "info", info, A_WHOLE); /* lio_target_nacl_info_show() */
}

struct np_search {
	const char *name;
	bool found;
};

static void match_np(struct node *np, void *ctx)
{
	struct np_search *search = ctx;

	search->found |= strcmp(np->name, search->name) == 0;
}

/* iscsit_tpg_check_network_portal(): no address in two TPGs of one target. */
static bool np_taken(struct node *nps, const char *name)
{
	struct np_search search = { .name = name };

	each(ancestor(nps, R_WWN), R_NP, match_np, &search);
	return search.found;
}

static void make_discovery_auth(struct node *auth)
{
	static const char *const names[] = { "userid", "password", "userid_mutual", "password_mutual" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		attr(auth, names[i], "", 0);
	attr(auth, "enforce_discovery_auth", "0", 0);
}

/* "0xfe80000000000000505400fffe120001", "5054:00ff:fe12:0001" */
static bool is_guid_of(const char *port, const char *name)
{
	_cleanup_free_ char *guid = xasprintf("%.4s:%.4s:%.4s:%.4s", port + 18, port + 22, port + 26, port + 30);

	return strcmp(name, guid) == 0;
}

/* NULL: the machine has neither that fabric's module nor a port. */
static const char *port_of(const struct fake *fake, const char *fabric)
{
	for (size_t i = 0; i < ARRAY_SIZE(fake->ports); i++) {
		if (fake->ports[i].name && strcmp(fake->ports[i].fabric, fabric) == 0)
			return fake->ports[i].name;
	}
	return NULL;
}

/* srpt_make_tport(), qlt_lport_register(): of a port that is there. ft_add_wwn(): of any. */
static bool may_have_target(const struct fake *fake, const char *fabric, const char *name)
{
	const char *port = port_of(fake, fabric);

	if (strcmp(fabric, "fc") == 0)
		return is_wwpn(name);
	return port && (strcmp(name, port) == 0 || (strcmp(fabric, "srpt") == 0 && is_guid_of(port, name)));
}

static int make_child(struct fake *fake, struct node *parent, const char *name)
{
	static const char *const instance[] = { "sessions" };
	static const char *const att_intr_port[] = { "indx" }; /* target_stat_iport_indx_show(): of the session */
	static const char *const auth_intr[] = { "num_cmds", "read_mbytes", "write_mbytes" }; /* target_stat_auth_*_show() */
	struct node *node;

	switch (parent->role) {
	case R_ROOT:
		if (port_of(fake, name)) {
			node = new_node(new_node(parent, name, R_FABRIC, false), "discovery_auth", R_PLAIN, true);
			if (strcmp(name, "srpt") == 0)
				attr(node, "rdma_cm_port", "0", 0);
			return 0;
		}
		if (strcmp(name, "iscsi") != 0)
			return -EINVAL;
		node = new_node(parent, name, R_ISCSI, false);
		attr(node, "cpus_allowed_list", "0-1", 0);
		make_discovery_auth(new_node(node, "discovery_auth", R_PLAIN, true));
		return 0;
	case R_CORE:
		if (strncmp(name, "iblock_", 7) != 0 && strncmp(name, "rd_mcp_", 7) != 0)
			return -EINVAL;
		attr(new_node(parent, name, R_HBA, false), "hba_info", "", A_READ_ONLY);
		return 0;
	case R_HBA:
		make_dev(new_node(parent, name, R_DEV, false));
		return 0;
	case R_ALUA:
		make_group(new_node(parent, name, R_GROUP, false));
		return 0;
	case R_LU_GPS:
		attr(new_node(parent, name, R_LU_GP, false), "lu_gp_id", "", 0);
		return 0;
	case R_ISCSI:
		make_counters(new_node(new_node(parent, name, R_WWN, false), "fabric_statistics", R_PLAIN, true), "iscsi_instance", instance,
			      ARRAY_SIZE(instance));
		return 0;
	case R_FABRIC:
		if (!may_have_target(fake, parent->name, name))
			return -EINVAL;
		new_node(new_node(parent, name, R_WWN, false), "fabric_statistics", R_PLAIN, true);
		return 0;
	case R_WWN:
		if (parent->parent->role == R_FABRIC) { /* srpt_make_tpg() takes any name, the others only one */
			if (strcmp(parent->parent->name, "srpt") != 0 && strcmp(name, "tpgt_1") != 0)
				return -EINVAL;
			make_hardware_tpg(new_node(parent, name, R_TPG, false), parent->parent->name, fake->has_rtpi);
			return 0;
		}
		if (strncmp(name, "tpgt_", 5) != 0 || strtoul(name + 5, NULL, 10) > 65535)
			return -EINVAL;
		make_tpg(new_node(parent, name, R_TPG, false), fake->has_rtpi);
		return 0;
	case R_LUNS:
		node = new_node(parent, name, R_LUN, false);
		attr(node, "alua_tg_pt_gp", "", 0);
		attr(new_node(new_node(node, "statistics", R_PLAIN, true), "scsi_tgt_port", R_PLAIN, true), "in_cmds", "0", 0);
		return strncmp(name, "lun_", 4) == 0 ? 0 : -EINVAL;
	case R_NPS:
		if (!strchr(name, ':') || np_taken(parent, name))
			return -EINVAL; /* target_fabric_make_np() hides the reason */
		attr(new_node(parent, name, R_NP, false), "iser", "0", 0);
		return 0;
	case R_ACLS:
		if (ancestor(parent, R_FABRIC))
			return make_hardware_acl(parent, ancestor(parent, R_FABRIC)->name, name);
		make_acl(new_node(parent, name, R_ACL, false));
		return 0;
	case R_ACL:
		node = new_node(parent, name, R_MAPPED, false);
		attr(node, "write_protect", "0", 0);
		make_counters(new_node(node, "statistics", R_PLAIN, true), "scsi_auth_intr", auth_intr, ARRAY_SIZE(auth_intr));
		make_counters(child_named(node, "statistics", 10), "scsi_att_intr_port", att_intr_port, ARRAY_SIZE(att_intr_port));
		return strncmp(name, "lun_", 4) == 0 ? 0 : -EINVAL;
	default:
		return -EPERM;
	}
}

/* --- links -------------------------------------------------------------------------------------------------------------*/

static struct node *link_of(struct node *dir)
{
	for (size_t i = 0; i < dir->n; i++) {
		if (dir->children[i]->link)
			return dir->children[i];
	}
	return NULL;
}

struct count {
	struct node *to;
	size_t n;
};

static void count_links(struct node *dir, struct count *count)
{
	for (size_t i = 0; i < dir->n; i++) {
		count->n += dir->children[i]->link == count->to;
		count_links(dir->children[i], count);
	}
}

static size_t links_to(struct fake *fake, struct node *to)
{
	struct count count = { .to = to };

	count_links(fake->root, &count);
	return count.n;
}

static struct node *default_group(struct node *dev)
{
	return child_named(child_named(dev, "alua", 4), "default_tg_pt_gp", 16);
}

static int link_lun(struct node *lun, struct node *dev)
{
	if (dev->role != R_DEV)
		return -EFAULT;
	if (!dev->enabled)
		return -ENODEV;
	if (link_of(lun))
		return -EEXIST;
	lun->group = default_group(dev);
	lun->rtpi = ++dev->rtpi;
	return 0;
}

/*
 * __core_scsi3_check_aptpl_registration() for a link, core_scsi3_free_pr_reg_from_nacl() for an unlink: each walks the device's registrations,
 * and lets go of their lock in between. The kernel of two at a time dies, of a general protection fault.
 */
static void match_registrations(struct fake *fake, struct node *dev)
{
	struct node *pr = child_named(dev, "pr", 2);

	if (!pr || !attr_named(pr, "res_aptpl_metadata")->value[0])
		return;
	if (dev->matching) {
		fprintf(stderr, "two mapped LUNs of %s at a time, with registrations loaded: the kernel would be dead now\n", dev->name);
		abort();
	}
	dev->matching = true;
	pthread_mutex_unlock(&fake->lock);
	(void)poll(NULL, 0, 1);
	pthread_mutex_lock(&fake->lock);
	dev->matching = false;
}

static int link_mapped(struct fake *fake, struct node *mapped, struct node *lun)
{
	if (lun->role != R_LUN)
		return -EFAULT;
	if (!link_of(lun) || ancestor(lun, R_TPG) != ancestor(mapped, R_TPG) || link_of(mapped))
		return -EINVAL;
	match_registrations(fake, link_of(lun)->link);
	mapped->live = true;
	set_value(attr_named(mapped, "write_protect"), "0"); /* of the link, not of the folder; prod_mode_write_protect is 0 */
	return 0;
}

static void cut_mapped(struct node *mapped, void *ctx)
{
	struct node *link = link_of(mapped);

	if (link && link->link == ctx)
		mapped->live = false;
}

/* --- attributes --------------------------------------------------------------------------------------------------------*/

struct id_search {
	int id;
	const char *name;
	struct node *found;
};

static void match_id(struct node *node, void *ctx)
{
	struct id_search *search = ctx;

	if (search->name ? node->id >= 0 && strcmp(node->name, search->name) == 0 : node->id == search->id)
		search->found = node;
}

static struct node *find_id(struct node *top, enum role role, int id, const char *name)
{
	struct id_search search = { .id = id, .name = name };

	each(top, role, match_id, &search);
	return search.found;
}

static int set_id(struct node *scope, struct node *node, struct attr *a, const char *value)
{
	int id = (int)strtol(value, NULL, 10);

	if (node->id >= 0 || id < 0 || id > 65535 || find_id(scope, node->role, id, NULL))
		return -EINVAL;
	node->id = id;
	set_value(a, value);
	return 0;
}

struct flip {
	int id;
	const char *value;
};

static void flip_group(struct node *group, void *ctx)
{
	const struct flip *flip = ctx;

	if (group->id == flip->id)
		set_value(attr_named(group, "alua_access_state"), flip->value);
}

struct lu_gp_flip {
	struct node *lu_gp;
	struct flip flip;
};

static void flip_member(struct node *dev, void *ctx)
{
	struct lu_gp_flip *flip = ctx;

	if (dev->group == flip->lu_gp)
		each(dev, R_GROUP, flip_group, &flip->flip);
}

/* core_alua_do_port_transition(): by id through the whole lu_gp, unless it is default_lu_gp */
static int set_state(struct fake *fake, struct node *group, const char *value)
{
	struct node *dev = ancestor(group, R_DEV);
	struct lu_gp_flip flip = { .lu_gp = dev->group, .flip = { .id = group->id, .value = value } };

	if (group->id < 0)
		return -EINVAL;
	if (!dev->enabled)
		return -ENODEV;
	if (strcmp(attr_named(group, "alua_access_type")->value, "None") == 0)
		return -EINVAL;
	if (dev->group->id == 0)
		set_value(attr_named(group, "alua_access_state"), value);
	else
		each(fake->root, R_DEV, flip_member, &flip);
	return 0;
}

static int set_access_type(struct attr *a, const char *value)
{
	static const char *const names[] = { "None", "Implicit", "Explicit", "Implicit and Explicit" };
	int type = (int)strtol(value, NULL, 10);

	if (type < 0 || type > 3)
		return -EINVAL;
	set_value(a, names[type]);
	return 0;
}

static int enable_dev(struct fake *fake, struct node *dev, struct attr *a, const char *value)
{
	if (!strchr(value, '1'))
		return -EINVAL;
	if (dev->enabled)
		return -EEXIST;
	if (!dev->udev_path)
		return -EINVAL;
	dev->enabled = true;
	dev->group = find_id(fake->root, R_LU_GP, 0, NULL);
	set_value(a, "1");
	return 0;
}

static int set_lu_gp(struct fake *fake, struct node *dev, const char *value)
{
	struct node *lu_gp = find_id(fake->root, R_LU_GP, 0, value);

	if (!dev->enabled)
		return 0; /* a silent no-op in the kernel too */
	if (strcmp(value, "NULL") == 0)
		abort(); /* oops: the next alua_access_state write follows a NULL lu_gp */
	if (!lu_gp)
		return -ENODEV;
	dev->group = lu_gp;
	return 0;
}

static int set_lun_group(struct node *lun, const char *value)
{
	struct node *link = link_of(lun);
	struct node *group;

	if (!link)
		return -ENODEV;
	group = find_id(link->link, R_GROUP, 0, value);
	if (!group)
		return -ENODEV;
	lun->group = group;
	return 0;
}

static int set_control(struct node *dev, const char *value)
{
	const char *want;

	if (dev->enabled)
		return -EEXIST;
	want = strncmp(dev->parent->name, "rd_", 3) == 0 ? "rd_pages=" : "udev_path=";
	if (strncmp(value, want, strlen(want)) != 0)
		return -EINVAL;
	free(dev->udev_path);
	dev->udev_path = xstrdup(value);
	return 0;
}

static int set_dbroot(struct fake *fake, struct attr *a, const char *value)
{
	struct node *core = child_named(fake->root, "core", 4);

	for (size_t i = 0; i < core->n; i++) {
		if (core->children[i]->role == R_HBA && core->children[i]->n > 0)
			return -EINVAL;
	}
	set_value(a, value);
	return 0;
}

static int set_rtpi(struct node *tpg, struct attr *a, const char *value)
{
	_cleanup_free_ char *text = xasprintf("%#lx", strtoul(value, NULL, 0));

	if (tpg->enabled && attr_named(tpg, "enable"))
		return -EINVAL;
	set_value(a, text);
	return 0;
}

static int add_line(struct attr *a, const char *value)
{
	_cleanup_free_ char *text = xasprintf("%s%s%s", a->value, *a->value ? "|" : "", value);

	for (char *c = text + strlen(a->value) + (*a->value != '\0'); *c; c++)
		*c = *c == '\n' ? ',' : *c;
	set_value(a, text);
	return 0;
}

static int store(struct fake *fake, struct node *node, struct attr *a, const char *value)
{
	struct node *dev = ancestor(node, R_DEV);

	if (a->flags & A_READ_ONLY)
		return -EACCES;
	if (a->flags & A_FROZEN && links_to(fake, dev) > 0)
		return -EINVAL;
	if (a->flags & A_LOADS)
		return add_line(a, value);
	if (strcmp(a->name, "control") == 0)
		return set_control(node, value);
	if (strcmp(a->name, "dbroot") == 0)
		return set_dbroot(fake, a, value);
	if (strcmp(a->name, "alua_lu_gp") == 0)
		return set_lu_gp(fake, node, value);
	if (strcmp(a->name, "alua_tg_pt_gp") == 0)
		return set_lun_group(node, value);
	if (strcmp(a->name, "lu_gp_id") == 0)
		return set_id(fake->root, node, a, value);
	if (strcmp(a->name, "tg_pt_gp_id") == 0)
		return set_id(dev, node, a, value);
	if (strcmp(a->name, "alua_access_state") == 0)
		return set_state(fake, node, value);
	if (strcmp(a->name, "alua_access_type") == 0)
		return set_access_type(a, value);
	if (strcmp(a->name, "optimal_sectors") == 0 && (int)strtol(value, NULL, 10) > 2560)
		return -EINVAL;
	if (strcmp(a->name, "rtpi") == 0)
		return set_rtpi(node, a, value);
	if (strcmp(a->name, "enable") == 0 && node->role == R_DEV)
		return enable_dev(fake, node, a, value);
	if (strcmp(a->name, "enable") == 0)
		node->enabled = strcmp(value, "1") == 0;
	set_value(a, value);
	return 0;
}

static char *show(struct node *node, struct attr *a)
{
	if (strcmp(a->name, "alua_lu_gp") == 0)
		return node->group ? xasprintf("LU Group Alias: %s\nLU Group ID: %d\n", node->group->name, node->group->id) :
				     xstrdup("");
	if (strcmp(a->name, "alua_tg_pt_gp") == 0)
		return xasprintf("TG Port Alias: %s\nTG Port Group ID: %d\nTG Port Primary Access State: -\n",
				 node->group->name, node->group->id);
	if (a->flags & A_SERIAL)
		return xasprintf("T10 VPD Unit Serial Number: %s\n", a->value);
	if (*a->value == '\0' && node->role != R_PLAIN) /* unset ids, udev_path: nothing at all */
		return xstrdup("");
	return xasprintf("%s\n", a->value);
}

/* --- operations --------------------------------------------------------------------------------------------------------*/

static struct fake *from_cfs(struct cfs *fs)
{
	return container_of(fs, struct fake, cfs);
}

/* Begins an operation; -EIO if it is the one that shall fail. */
static int begin(struct fake *fake)
{
	pthread_mutex_lock(&fake->lock);
	if (fake->fail_in > 0 && --fake->fail_in == 0) {
		fake->failed = true;
		return -EIO;
	}
	return 0;
}

static int end(struct fake *fake, int rc, const char *verb, const char *path)
{
	_cleanup_free_ char *what = xasprintf("%s %s", verb, path);

	if (rc == 0)
		fake->changes++;
	if (rc == 0 && fake->on_change)
		fake->on_change(fake, fake->ctx, what);
	pthread_mutex_unlock(&fake->lock);
	return rc;
}

static bool do_exists(struct cfs *fs, const char *path)
{
	struct fake *fake = from_cfs(fs);
	struct attr *a = NULL;
	bool found;

	pthread_mutex_lock(&fake->lock);
	found = lookup(fake, path, &a) != NULL;
	pthread_mutex_unlock(&fake->lock);
	return found;
}

static int do_mkdir(struct cfs *fs, const char *path)
{
	struct fake *fake = from_cfs(fs);
	int rc = begin(fake);
	struct node *parent;
	const char *name;

	if (rc == 0) {
		parent = lookup_parent(fake, path, &name);
		if (!parent)
			rc = -ENOENT;
		else if (child_named(parent, name, strlen(name)))
			rc = -EEXIST;
		else
			rc = make_child(fake, parent, name);
	}
	return end(fake, rc, "mkdir", path);
}

static void leave_group(struct node *lun, void *ctx)
{
	if (lun->group == ctx)
		lun->group = default_group(link_of(lun)->link);
}

struct lu_gp_move {
	struct node *from, *to;
};

static void leave_lu_gp(struct node *dev, void *ctx)
{
	struct lu_gp_move *move = ctx;

	if (dev->group == move->from)
		dev->group = move->to;
}

static int do_rmdir(struct cfs *fs, const char *path)
{
	struct fake *fake = from_cfs(fs);
	struct node *node;
	int rc = begin(fake);

	if (rc == 0) {
		node = lookup(fake, path, NULL);
		if (!node)
			rc = -ENOENT;
		else if (node->is_default)
			rc = -EPERM;
		else if (links_to(fake, node) > 0)
			rc = -EBUSY;
		for (size_t i = 0; rc == 0 && i < node->n; i++) {
			if (!node->children[i]->is_default)
				rc = -ENOTEMPTY;
			for (size_t j = 0; rc == 0 && j < node->children[i]->n; j++) /* lun/, np/, acls/, alua/ */
				rc = node->children[i]->children[j]->is_default ? 0 : -ENOTEMPTY;
		}
		if (rc == 0) {
			struct lu_gp_move move = { .from = node, .to = find_id(fake->root, R_LU_GP, 0, NULL) };

			each(fake->root, R_LUN, leave_group, node);
			each(fake->root, R_DEV, leave_lu_gp, &move);
			detach(node);
		}
	}
	return end(fake, rc, "rmdir", path);
}

static int do_read(struct cfs *fs, const char *path, char **ret_text)
{
	struct fake *fake = from_cfs(fs);
	struct attr *a = NULL;
	struct node *node;
	int rc = begin(fake);

	if (rc == 0 && strcmp(path, "/sys/kernel/rcu_expedited") == 0) {
		*ret_text = xasprintf("%s\n", fake->rcu);
	} else if (rc == 0) {
		node = lookup(fake, path, &a);
		if (!node || !a)
			rc = -ENOENT;
		else if (strcmp(a->name, "control") == 0)
			rc = -EACCES;
		else if (strcmp(a->name, "alua_tg_pt_gp") == 0 && !node->group)
			rc = -ENODEV;
		else if (strcmp(node->name, "scsi_auth_intr") == 0 && !link_of(ancestor(node, R_MAPPED)))
			rc = -ENODEV;
		else if (strcmp(node->name, "scsi_att_intr_port") == 0 && strcmp(a->value, "0") == 0)
			rc = -ENODEV; /* nobody is logged in */
		else if (strcmp(a->name, "in_cmds") == 0) {
			fake->commands += fake->commands_to_come > 0;
			fake->commands_to_come -= fake->commands_to_come > 0;
			*ret_text = xasprintf("%u\n", fake->commands);
		} else
			*ret_text = show(node, a);
	}
	pthread_mutex_unlock(&fake->lock);
	return rc;
}

static int do_write(struct cfs *fs, const char *path, const char *text)
{
	_cleanup_free_ char *value = xasprintf("%.*s", (int)strcspn(text, "\n"), text);
	_cleanup_free_ char *verb = xasprintf("write %s to", value);
	struct fake *fake = from_cfs(fs);
	struct attr *a = NULL;
	struct node *node;
	int rc = begin(fake);

	if (rc == 0 && strcmp(path, "/sys/kernel/rcu_expedited") == 0) {
		free(fake->rcu);
		fake->rcu = xstrdup(value);
		pthread_mutex_unlock(&fake->lock);
		return 0; /* no part of the target */
	}
	if (rc == 0) {
		node = lookup(fake, path, &a);
		rc = node && a ? store(fake, node, a, a->flags & (A_LOADS | A_WHOLE) ? text : value) : -ENOENT;
	}
	if (fake->hangs_at && strcmp(path, fake->hangs_at) == 0) {
		fake->n_hanging++;
		pthread_cond_broadcast(&fake->hanging);
		while (fake->hangs_at)
			pthread_cond_wait(&fake->hanging, &fake->lock);
		fake->n_hanging--;
		pthread_cond_broadcast(&fake->hanging);
	}
	return end(fake, rc, verb, path);
}

static int do_symlink(struct cfs *fs, const char *target, const char *path)
{
	struct fake *fake = from_cfs(fs);
	struct node *parent, *to;
	const char *name;
	int rc = begin(fake);

	if (rc == 0) {
		parent = lookup_parent(fake, path, &name);
		to = lookup(fake, target, NULL);
		if (!parent || !to)
			rc = -ENOENT;
		else if (child_named(parent, name, strlen(name)))
			rc = -EEXIST;
		else if (parent->role == R_LUN)
			rc = link_lun(parent, to);
		else if (parent->role == R_MAPPED)
			rc = link_mapped(fake, parent, to);
		else
			rc = -EPERM;
		if (rc == 0)
			new_node(parent, name, R_PLAIN, false)->link = to;
	}
	return end(fake, rc, "link", path);
}

static int do_unlink(struct cfs *fs, const char *path)
{
	struct fake *fake = from_cfs(fs);
	struct node *node;
	int rc = begin(fake);

	if (rc == 0) {
		node = lookup(fake, path, NULL);
		if (!node || !node->link) {
			rc = -ENOENT;
		} else {
			if (node->parent->role == R_LUN) {
				node->parent->group = NULL;
				each(fake->root, R_MAPPED, cut_mapped, node->parent);
			}
			if (node->parent->role == R_MAPPED && link_of(node->link))
				match_registrations(fake, link_of(node->link)->link);
			node->parent->live = false;
			detach(node);
		}
	}
	return end(fake, rc, "unlink", path);
}

static char *path_of(struct node *node)
{
	_cleanup_free_ char *parent = NULL;

	if (!node->parent)
		return xstrdup("target");
	parent = path_of(node->parent);
	return xasprintf("%s/%s", parent, node->name);
}

static int do_readlink(struct cfs *fs, const char *path, char **ret_target)
{
	struct fake *fake = from_cfs(fs);
	struct node *node;
	int rc = begin(fake);

	if (rc == 0) {
		node = lookup(fake, path, NULL);
		if (!node || !node->link) {
			rc = node ? -EINVAL : -ENOENT;
		} else {
			_cleanup_free_ char *to = path_of(node->link);

			*ret_target = xasprintf("../../../../../../%s", to);
		}
	}
	pthread_mutex_unlock(&fake->lock);
	return rc;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int do_list(struct cfs *fs, const char *path, enum cfs_type type, char ***ret_names, size_t *ret_n)
{
	struct fake *fake = from_cfs(fs);
	char **names = NULL;
	size_t n = 0, cap = 0;
	struct node *node;
	int rc = begin(fake);

	if (rc == 0) {
		node = lookup(fake, path, NULL);
		if (!node)
			rc = -ENOENT;
		for (size_t i = 0; node && i < node->n; i++) {
			if ((node->children[i]->link != NULL) == (type == CFS_LINK))
				*array_push(names, n, cap) = xstrdup(node->children[i]->name);
		}
		if (n > 1)
			qsort(names, n, sizeof(*names), by_name);
	}
	if (rc == 0) {
		*ret_names = names;
		*ret_n = n;
	}
	pthread_mutex_unlock(&fake->lock);
	return rc;
}

static const struct cfs_ops fake_ops = {
	.exists = do_exists,
	.mkdir = do_mkdir,
	.rmdir = do_rmdir,
	.read = do_read,
	.write = do_write,
	.symlink = do_symlink,
	.unlink = do_unlink,
	.readlink = do_readlink,
	.list = do_list,
};

/* --- for tests ---------------------------------------------------------------------------------------------------------*/

struct fake *fake_new(bool has_rtpi)
{
	struct fake *fake = xcalloc(1, sizeof(*fake));
	struct node *core, *alua, *lu_gps, *default_lu_gp;

	fake->cfs.ops = &fake_ops;
	fake->has_rtpi = has_rtpi;
	fake->rcu = xstrdup("0");
	pthread_mutex_init(&fake->lock, NULL);
	pthread_cond_init(&fake->hanging, NULL);
	fake->root = new_node(NULL, "target", R_ROOT, true);
	attr(fake->root, "dbroot", "/var/target", 0);
	core = new_node(fake->root, "core", R_CORE, true);
	alua = new_node(core, "alua", R_PLAIN, true);
	lu_gps = new_node(alua, "lu_gps", R_LU_GPS, true);
	default_lu_gp = new_node(lu_gps, "default_lu_gp", R_LU_GP, true);
	default_lu_gp->id = 0;
	attr(default_lu_gp, "lu_gp_id", "0", 0);
	return fake;
}

void fake_free(struct fake *fake)
{
	free_node(fake->root);
	pthread_mutex_destroy(&fake->lock);
	free(fake->rcu);
	free(fake);
}

void fake_port(struct fake *fake, const char *fabric, const char *name)
{
	size_t i = 0;

	while (fake->ports[i].fabric && strcmp(fake->ports[i].fabric, fabric) != 0)
		i++;
	fake->ports[i].fabric = fabric;
	fake->ports[i].name = name;
}

struct cfs *fake_cfs(struct fake *fake)
{
	return &fake->cfs;
}

void fake_on_change(struct fake *fake, void (*fn)(struct fake *fake, void *ctx, const char *what), void *ctx)
{
	fake->on_change = fn;
	fake->ctx = ctx;
}

void fake_fail_nth(struct fake *fake, long n)
{
	fake->fail_in = n;
	fake->failed = false;
}

bool fake_failed(const struct fake *fake)
{
	return fake->failed;
}

void fake_hang(struct fake *fake, const char *path)
{
	pthread_mutex_lock(&fake->lock);
	fake->hangs_at = path;
	pthread_cond_broadcast(&fake->hanging);
	while (!path && fake->n_hanging)
		pthread_cond_wait(&fake->hanging, &fake->lock);
	pthread_mutex_unlock(&fake->lock);
}

void fake_wait_hanging(struct fake *fake)
{
	pthread_mutex_lock(&fake->lock);
	while (!fake->n_hanging)
		pthread_cond_wait(&fake->hanging, &fake->lock);
	pthread_mutex_unlock(&fake->lock);
}

void fake_commands(struct fake *fake, unsigned int n)
{
	pthread_mutex_lock(&fake->lock);
	fake->commands_to_come = n;
	pthread_mutex_unlock(&fake->lock);
}

unsigned int fake_commands_to_come(struct fake *fake)
{
	unsigned int n;

	pthread_mutex_lock(&fake->lock);
	n = fake->commands_to_come;
	pthread_mutex_unlock(&fake->lock);
	return n;
}

size_t fake_changes(const struct fake *fake)
{
	return fake->changes;
}

struct view_ctx {
	void (*fn)(void *ctx, const struct fake_lun_view *view);
	void *ctx;
};

struct mapped_search {
	struct node *lun;
	bool found;
};

static void match_mapped(struct node *mapped, void *ctx)
{
	struct mapped_search *search = ctx;
	struct node *link = link_of(mapped);

	search->found |= link && mapped->live && link->link == search->lun;
}

static void view_lun(struct node *lun, void *ctx)
{
	struct view_ctx *view_ctx = ctx;
	struct node *link = link_of(lun), *tpg = ancestor(lun, R_TPG);
	struct mapped_search search = { .lun = lun };
	struct fake_lun_view view = { .target = tpg->parent->name, .tpg = tpg->name, .lun = lun->name };

	if (!link || !tpg->enabled)
		return;
	each(tpg, R_MAPPED, match_mapped, &search);
	view.volume = link->link->name;
	view.group = lun->group->name;
	view.group_id = lun->group->id;
	view.lu_gp = link->link->group->name;
	view.state = (int)strtol(attr_named(lun->group, "alua_access_state")->value, NULL, 10);
	view.rtpi = lun->rtpi;
	view.mapped = search.found;
	view_ctx->fn(view_ctx->ctx, &view);
}

void fake_enabled_luns(struct fake *fake, void (*fn)(void *ctx, const struct fake_lun_view *view), void *ctx)
{
	struct view_ctx view_ctx = { .fn = fn, .ctx = ctx };

	each(fake->root, R_LUN, view_lun, &view_ctx);
}

struct lun_count {
	size_t live, dead;
};

static void count_mapped(struct node *mapped, void *ctx)
{
	struct lun_count *count = ctx;

	count->live += mapped->live;
	count->dead += link_of(mapped) && !mapped->live;
}

size_t fake_live_luns(struct fake *fake)
{
	struct lun_count count = { 0 };

	each(fake->root, R_MAPPED, count_mapped, &count);
	return count.live;
}

size_t fake_dead_luns(struct fake *fake)
{
	struct lun_count count = { 0 };

	each(fake->root, R_MAPPED, count_mapped, &count);
	return count.dead;
}

void fake_set(struct fake *fake, const char *path, const char *value)
{
	_cleanup_free_ char *full = xasprintf("%s/%s", FAKE_ROOT, path);
	struct attr *a = NULL;

	if (!lookup(fake, full, &a) || !a)
		abort(); /* a mistake in the test */
	set_value(a, value);
}

const char *fake_get(struct fake *fake, const char *path)
{
	_cleanup_free_ char *full = xasprintf("%s/%s", FAKE_ROOT, path);
	struct attr *a = NULL;
	struct node *node;

	if (strcmp(path, "rcu_expedited") == 0)
		return fake->rcu;
	node = lookup(fake, full, &a);
	fake->scratch[0] = '\0';
	if (node && a) {
		_cleanup_free_ char *text = show(node, a);

		snprintf(fake->scratch, sizeof(fake->scratch), "%.*s", (int)strcspn(text, "\n"), text);
	}
	return fake->scratch;
}

static void dump(struct node *node, struct strbuf *sb)
{
	_cleanup_free_ char *path = path_of(node);

	if (node->link) {
		_cleanup_free_ char *to = path_of(node->link);

		strbuf_addf(sb, "%s -> %s\n", path, to);
	} else if (!node->is_default) {
		strbuf_addf(sb, "%s\n", path);
	}
	for (size_t i = 0; i < node->n; i++)
		dump(node->children[i], sb);
}

void fake_dump(struct fake *fake, struct strbuf *ret)
{
	dump(fake->root, ret);
}
