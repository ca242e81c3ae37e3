// SPDX-License-Identifier: GPL-2.0-or-later
/* The desired tree: which objects this node's kernel target shall have, in building order. Pure. */
#include "target-config/lio/tree.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "target-config/lio/cfs.h"

#define OPTIMAL_BYTES (1u << 20)     /* below what every backing takes in one request; a limit all nodes can report alike */
#define WRITE_SAME_BYTES (32u << 20) /* 65535 blocks of 512: WRITE SAME(10) has no more */
/*
 * How long a host shall believe that a group in transition comes back (RTPG extended header, SPC-4 6.33): Linux takes it
 * as the limit after which it fails the path, 60 s if it is 0. Longer than fencing takes by default, with room for a retry.
 */
#define IMPLICIT_TRANS_SECS "120"

const char *lio_stage_name(enum lio_stage stage)
{
	static const char *const names[] = {
#define X(id, name) name,
		LIO_STAGES(X)
#undef X
	};

	return names[stage];
}

/* --- adding objects ----------------------------------------------------------------------------------------------------*/

static struct lio_object *add(struct lio_tree *tree, enum lio_kind kind, const char *volume, char *path)
{
	struct lio_object *object = array_push(tree->objects, tree->n, tree->cap);

	object->kind = kind;
	object->stage = tree->stage;
	object->chain = tree->chain;
	object->volume = xstrdup(volume);
	object->path = path;
	object->flags = lio_is_of_hardware(path) ? LIO_APART : 0;
	return object;
}

static struct lio_object *add_attr(struct lio_tree *tree, const char *volume, const char *dir, const char *name,
				   const char *value, unsigned int flags)
{
	struct lio_object *object = add(tree, LIO_ATTR, volume, xasprintf("%s/%s", dir, name));

	object->value = xstrdup(value);
	object->flags |= flags;
	return object;
}

static void add_attr_u32(struct lio_tree *tree, const char *volume, const char *dir, const char *name, uint32_t value,
			 unsigned int flags)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", value);
	add_attr(tree, volume, dir, name, text, flags);
}

static void add_link(struct lio_tree *tree, const char *volume, char *path, char *to)
{
	add(tree, LIO_LINK, volume, path)->value = to;
}

static void next_chain(struct lio_tree *tree)
{
	tree->chain++;
}

/* --- what there is for whom --------------------------------------------------------------------------------------------*/

static bool has_copy(const struct config_volume *volume, uint32_t nodeid)
{
	return config_group_has_node(volume->group, nodeid);
}

static bool volume_on_target(const struct config *config, const struct config_volume *volume,
			     const struct config_target *target)
{
	for (size_t i = 0; i < config->n_mappings; i++) {
		if (config->mappings[i].volume == volume && config->mappings[i].target == target)
			return true;
	}
	return false;
}

static bool host_on_target(const struct config *config, const struct config_host *host, const struct config_target *target)
{
	for (size_t i = 0; i < config->n_mappings; i++) {
		if (config->mappings[i].host == host && config->mappings[i].target == target)
			return true;
	}
	return false;
}

static bool chap_on_target(const struct config *config, const struct config_target *target)
{
	for (size_t i = 0; i < config->n_hosts; i++) {
		if (config->hosts[i].chap.user && host_on_target(config, &config->hosts[i], target))
			return true;
	}
	return false;
}

static bool serves_portals_of(const struct lio_scope *scope, uint32_t nodeid)
{
	for (size_t i = 0; i < scope->n_portals_of; i++) {
		if (scope->portals_of[i] == nodeid)
			return true;
	}
	return false;
}

static char *backstore_dir(const struct config_volume *volume)
{
	return xasprintf("%s/%s", LIO_HBA, volume->name);
}

/* The TPG's own LUN number; hosts see mapping.lun. A volume keeps its minor for life. */
static char *lun_dir(const struct lio_port *port, const struct config_volume *volume)
{
	return xasprintf("%s/lun/lun_%u", port->tpg, config_volume_lun(volume));
}

static char *acl_dir(const struct lio_port *port, const char *initiator)
{
	return xasprintf("%s/acls/%s", port->tpg, initiator);
}

/* Calls fn for each port of the target, those of nodes in ascending order of their ids. */
#define for_each_port(tree, config, target, port)                                                                      \
	for (const struct lio_port *port = (tree)->ports.list + (tree)->ports.starts[(target) - (config)->targets],     \
				   *const end_ = (tree)->ports.list + (tree)->ports.starts[(target) - (config)->targets + 1]; \
	     port < end_; port++)

/* --- stages ------------------------------------------------------------------------------------------------------------*/

/* A fabric, and SRP's listener, where there is a port for it. */
static void build_fabric(struct lio_tree *tree, const struct config *config, enum config_fabric_id id)
{
	bool any = false;

	for (size_t i = 0; i < tree->ports.n && !any; i++)
		any = tree->ports.list[i].kind == LIO_PORT_OWN && config_target_fabric(tree->ports.list[i].target) == id;
	if (!any)
		return;
	next_chain(tree);
	add(tree, LIO_DIR, NULL, xstrdup(lio_fabric(id)->dir));
	if (id == CONFIG_FABRIC_SRP)
		add_attr_u32(tree, NULL, "srpt/discovery_auth", "rdma_cm_port", config->srp_rdma_cm_port, LIO_OPTIONAL);
}

static void build_groups(struct lio_tree *tree, const struct config *config, const struct lio_scope *scope)
{
	uint32_t nodeid = scope->nodeid;
	bool any = false;

	for (size_t i = 0; i < config->n_volumes && !any; i++)
		any = has_copy(&config->volumes[i], nodeid);
	if (any)
		add(tree, LIO_DIR, NULL, xstrdup(LIO_HBA));
	if (config->n_targets > 0) {
		add(tree, LIO_DIR, NULL, xstrdup("iscsi")); /* the fabric itself; stays when we go, it may be others' too */
		if (scope->cpus)
			add_attr(tree, NULL, "iscsi", "cpus_allowed_list", scope->cpus, LIO_OPTIONAL);
	}
	for (enum config_fabric_id id = CONFIG_FABRIC_SRP; id < CONFIG_FABRICS; id++)
		build_fabric(tree, config, id);
	for (size_t i = 0; i < config->n_groups; i++) {
		const struct config_group *group = &config->groups[i];
		char *dir;

		if (!config_group_has_node(group, nodeid))
			continue;
		next_chain(tree);
		dir = xasprintf("%s/%s%s", LIO_LU_GPS, LIO_LU_GP_PREFIX, group->name);
		add(tree, LIO_DIR, NULL, xstrdup(dir));
		add_attr_u32(tree, NULL, dir, "lu_gp_id", group->lu_gp_id, LIO_ONCE); /* also in VPD 83: equal everywhere */
		free(dir);
	}
}

/*
 * Everything iblock copies from the device when it is enabled or that is taken from defaults, so that a host sees the same
 * logical unit on every node (facts of target_core_spc.c, target_core_sbc.c). Thick volumes: no UNMAP. emulate_3pc off:
 * EXTENDED COPY finds its other device among this node's only.
 */
static void add_reservations(struct lio_tree *tree, const char *volume, const char *dir, const struct lio_reservations *reservations)
{
	for (size_t i = 0; reservations && i < reservations->n_lines; i++)
		add_attr(tree, volume, dir, "pr/res_aptpl_metadata", reservations->lines[i], LIO_BEFORE_ENABLE | LIO_LOAD);
}

static void build_backstore(struct lio_tree *tree, const struct config_volume *volume, const struct lio_reservations *reservations)
{
	static const struct {
		const char *name, *value;
		unsigned int flags;
	} attribs[] = {
		{ "max_unmap_lba_count", "0", 0 },
		{ "max_unmap_block_desc_count", "0", 0 },
		{ "unmap_granularity", "0", 0 },
		{ "unmap_granularity_alignment", "0", 0 },
		{ "unmap_zeroes_data", "0", LIO_FROZEN },
		{ "emulate_tpu", "0", 0 },
		{ "emulate_tpws", "0", 0 },
		{ "emulate_3pc", "0", 0 },
		{ "emulate_caw", "1", 0 },
		{ "emulate_pr", "1", 0 },
		{ "emulate_fua_write", "1", 0 },
		{ "emulate_rest_reord", "0", 0 },
		{ "emulate_tas", "1", LIO_FROZEN },
		{ "emulate_ua_intlck_ctrl", "0", LIO_FROZEN },
		{ "emulate_model_alias", "1", LIO_FROZEN }, /* INQUIRY product = volume name */
		{ "enforce_pr_isids", "1", 0 },
		{ "force_pr_aptpl", "1", LIO_FROZEN }, /* reservations are written out before the host gets its status */
		{ "is_nonrot", "1", 0 },
		{ "emulate_rsoc", "0", LIO_OPTIONAL }, /* 6.12: off, 6.1 has none */
	};
	char *dir = backstore_dir(volume);
	char *attrib = xasprintf("%s/attrib", dir);
	char *path = xasprintf("/dev/mapper/lunward-%s", volume->name);
	char *control = xasprintf("udev_path=%s,readonly=0", path);
	struct lio_object *object;

	object = add(tree, LIO_DIR, volume->name, xstrdup(dir));
	object->value = xasprintf("%" PRIu64, volume->size_bytes);
	if (reservations && reservations->anew)
		object->flags = LIO_ANEW;
	add_attr(tree, volume->name, dir, "control", control, LIO_BEFORE_ENABLE);
	add_reservations(tree, volume->name, dir, reservations);
	add_attr(tree, volume->name, dir, "udev_path", path, 0); /* for people: iblock uses the one in control */
	add_attr(tree, volume->name, dir, "enable", "1", 0);
	add_attr(tree, volume->name, dir, "wwn/vpd_unit_serial", volume->serial, LIO_FROZEN | LIO_IDENTITY)->form =
		LIO_FORM_SERIAL;
	add_attr_u32(tree, volume->name, attrib, "block_size", volume->block_size, LIO_FROZEN | LIO_IDENTITY);
	add_attr_u32(tree, volume->name, attrib, "optimal_sectors", OPTIMAL_BYTES / volume->block_size, LIO_FROZEN);
	add_attr_u32(tree, volume->name, attrib, "max_write_same_len",
		     MIN(WRITE_SAME_BYTES / volume->block_size, 65535u), 0);
	for (size_t i = 0; i < ARRAY_SIZE(attribs); i++)
		add_attr(tree, volume->name, attrib, attribs[i].name, attribs[i].value, attribs[i].flags);
	free(control);
	free(path);
	free(attrib);
	free(dir);
}

static struct lio_object *add_group_state(struct lio_tree *tree, const char *volume, const char *gp, const char *lu_gp)
{
	struct lio_object *object = add(tree, LIO_GROUP_STATE, volume, xstrdup(gp));

	object->value = xstrdup(lu_gp);
	return object;
}

/*
 * A LUN is in the default group from its link until its own is set. Hosts that knew the volume before Lunward did take that group for theirs until they
 * look again (alua_check_vpd()), so while a group has one node it has the state of that node's ports: lio_alua_set().
 */
static void build_default_group(struct lio_tree *tree, const struct config_volume *volume, const char *default_gp, const char *lu_gp)
{
	if (lio_is_alone(volume->group)) {
		add_group_state(tree, volume->name, default_gp, lu_gp);
		return;
	}
	add_attr(tree, volume->name, default_gp, "alua_access_state", "2", 0);
	add_attr(tree, volume->name, default_gp, "alua_access_type", "1", 0)->form = LIO_FORM_ACCESS_TYPE;
}

/* The lu_gp comes last: from then on a flip of the group reaches the volume, and a state written here would reach the group. */
static void build_alua(struct lio_tree *tree, const struct config_volume *volume, const struct lio_reservations *reservations)
{
	char *dir = backstore_dir(volume);
	char *lu_gp = xasprintf("%s%s", LIO_LU_GP_PREFIX, volume->group->name);
	char *default_gp = xasprintf("%s/alua/default_tg_pt_gp", dir);

	build_default_group(tree, volume, default_gp, lu_gp);
	for (size_t i = 0; i < CONFIG_COPIES_MAX && volume->group->nodes[i]; i++) {
		uint32_t nodeid = volume->group->nodes[i];
		char *gp = xasprintf("%s/alua/node%u", dir, nodeid);
		struct lio_object *object;

		add(tree, LIO_DIR, volume->name, xstrdup(gp));
		add_attr_u32(tree, volume->name, gp, "tg_pt_gp_id", nodeid, LIO_ONCE);
		object = add_group_state(tree, volume->name, gp, lu_gp);
		object->flags = reservations && (reservations->n_lines || reservations->anew) ? LIO_LOAD : 0;
		add_attr(tree, volume->name, gp, "implicit_trans_secs", IMPLICIT_TRANS_SECS, 0);
		free(gp);
	}
	add_attr(tree, volume->name, dir, "alua_lu_gp", lu_gp, LIO_LOCKED)->form = LIO_FORM_GROUP_ALIAS;
	free(default_gp);
	free(lu_gp);
	free(dir);
}

static uint32_t hash_port(const char *name, uint32_t nodeid) /* FNV-1a */
{
	uint32_t h = 2166136261u;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 16777619u;
	for (int i = 0; i < 4; i++)
		h = (h ^ (nodeid >> (8 * i) & 0xff)) * 16777619u;
	return h;
}

/*
 * Relative target port identifier of a TPG for kernels that let us choose (6.4 and later): it has to differ from every other
 * TPG's on this host, enabled or not, and be the same on all nodes, whatever else is configured. So it is a hash of its name,
 * and the next free one if that is taken. Ports in their order (lio_ports).
 */
struct rtpi_map {
	bool taken[65536];
};

static uint16_t take_rtpi(struct rtpi_map *map, const struct lio_port *port)
{
	uint32_t rtpi = hash_port(port->name, port->nodeid) % 65535 + 1; /* 1..65535: 0 is no port */

	while (map->taken[rtpi])
		rtpi = rtpi % 65535 + 1;
	map->taken[rtpi] = true;
	return (uint16_t)rtpi;
}

/* All of them, so that all nodes have the same, and what leaves the document is the default again. They are of the next login. */
static void add_parameters(struct lio_tree *tree, const struct config_target *target, enum config_parameter_place place, const char *of)
{
	char *dir = xasprintf("%s/%s", of, place == CONFIG_PARAMETER_PARAM ? "param" : "attrib");

	for (size_t i = 0; i < CONFIG_PARAMETERS; i++) {
		if (config_parameter(i)->place == place)
			add_attr(tree, NULL, dir, config_parameter(i)->name, config_target_parameter(target, i), 0);
	}
	free(dir);
}

static void add_rtpi(struct lio_tree *tree, const char *tpg, uint16_t rtpi)
{
	char text[16];

	snprintf(text, sizeof(text), "0x%x", rtpi); /* as it is read back */
	add_attr(tree, NULL, tpg, "rtpi", text, LIO_OPTIONAL | LIO_WHILE_DISABLED);
}

static void build_iscsi_tpg(struct lio_tree *tree, const struct config *config, const struct config_target *target, const char *dir)
{
	static const struct {
		const char *name, *value;
	} attribs[] = {
		{ "generate_node_acls", "0" },      { "cache_dynamic_acls", "0" }, { "demo_mode_write_protect", "1" },
		{ "prod_mode_write_protect", "0" }, { "demo_mode_discovery", "0" }, /* a target is shown to its hosts only */
		{ "default_cmdsn_depth", "128" },   /* new ACLs take it: open-iscsi's node.session.cmds_max */
		{ "tpg_enabled_sendtargets", "1" }, /* shadow TPGs are not advertised */
	};
	char *attrib = xasprintf("%s/attrib", dir);

	add_parameters(tree, target, CONFIG_PARAMETER_PARAM, dir);
	add_parameters(tree, target, CONFIG_PARAMETER_TPG_ATTRIB, dir);
	/* Not per host: unknown initiators must meet the strict default. Hosts without CHAP are let in by their ACL. */
	add_attr(tree, NULL, attrib, "authentication", chap_on_target(config, target) ? "1" : "0", 0);
	for (size_t i = 0; i < ARRAY_SIZE(attribs); i++)
		add_attr(tree, NULL, attrib, attribs[i].name, attribs[i].value, 0);
	free(attrib);
}

/* tcm_qla2xxx lets everybody in by default. */
static void build_qla2xxx_tpg(struct lio_tree *tree, const char *dir)
{
	static const char *const attribs[][2] = {
		{ "generate_node_acls", "0" }, { "cache_dynamic_acls", "0" }, { "demo_mode_write_protect", "1" }, { "prod_mode_write_protect", "0" },
	};
	char *attrib = xasprintf("%s/attrib", dir);

	for (size_t i = 0; i < ARRAY_SIZE(attribs); i++)
		add_attr(tree, NULL, attrib, attribs[i][0], attribs[i][1], 0);
	free(attrib);
}

static void build_tpg(struct lio_tree *tree, const struct config *config, const struct lio_port *port, uint16_t rtpi)
{
	add(tree, LIO_DIR, NULL, xstrdup(port->tpg));
	if (port->kind != LIO_PORT_OWN)
		add_attr(tree, NULL, port->tpg, "param/TargetAlias", LIO_TARGET_ALIAS, 0);
	if (port->kind == LIO_PORT_ISCSI)
		build_iscsi_tpg(tree, config, port->target, port->tpg);
	if (port->kind == LIO_PORT_OWN && config_target_fabric(port->target) == CONFIG_FABRIC_FC)
		build_qla2xxx_tpg(tree, port->tpg);
	add_rtpi(tree, port->tpg, rtpi);
}

/*
 * On 6.1 a LUN gets its RTPI by the order of links on its device (core_alloc_rtpi). A volume's links are one chain, in an order that
 * all nodes share: that of the ports.
 */
static void build_luns(struct lio_tree *tree, const struct config *config, const struct config_volume *volume)
{
	for (size_t t = 0; t < config->n_targets; t++) {
		const struct config_target *target = &config->targets[t];

		if (!volume_on_target(config, volume, target))
			continue;
		for_each_port(tree, config, target, port) {
			char *dir, group[24];

			if (!has_copy(volume, port->nodeid))
				continue;
			dir = lun_dir(port, volume);
			snprintf(group, sizeof(group), "node%u", port->nodeid);
			add(tree, LIO_DIR, volume->name, xstrdup(dir));
			add_link(tree, volume->name, xasprintf("%s/%s", dir, volume->name), backstore_dir(volume));
			add_attr(tree, volume->name, dir, "alua_tg_pt_gp", group, 0)->form = LIO_FORM_GROUP_ALIAS;
			free(dir);
		}
	}
}

static void add_credential(struct lio_tree *tree, const char *auth, const char *name, const char *value)
{
	struct lio_object *object = add_attr(tree, NULL, auth, name, value ? value : "NULL", LIO_SECRET);

	if (!value)
		object->form = LIO_FORM_CLEARED;
}

static void add_credentials(struct lio_tree *tree, const char *auth, const struct config_chap *chap, const struct config_chap *mutual)
{
	add_credential(tree, auth, "userid", chap->user);
	add_credential(tree, auth, "password", chap->password);
	add_credential(tree, auth, "userid_mutual", mutual->user);
	add_credential(tree, auth, "password_mutual", mutual->password);
}

/* Names and secrets come before attrib/authentication; until that is written the ACL inherits the TPG's, which is strict. */
static void build_iscsi_acl(struct lio_tree *tree, const struct config_target *target, const struct config_host *host, const char *acl)
{
	char *auth = xasprintf("%s/auth", acl);

	add_credentials(tree, auth, &host->chap, &host->mutual_chap);
	add_attr(tree, NULL, acl, "attrib/authentication", host->chap.user ? "1" : "0", 0);
	add_parameters(tree, target, CONFIG_PARAMETER_ACL_ATTRIB, acl);
	free(auth);
}

/* Secrets before the switch where it goes on, after it where it goes off. */
static void build_discovery(struct lio_tree *tree, const struct config *config)
{
	const struct config_discovery *discovery = &config->discovery;
	static const char dir[] = "iscsi/discovery_auth", enforce[] = "enforce_discovery_auth";

	if (!discovery->is_said || !config->n_targets) /* without targets there is no such folder */
		return;
	next_chain(tree);
	if (!discovery->chap.user)
		add_attr(tree, NULL, dir, enforce, "0", 0);
	add_credentials(tree, dir, &discovery->chap, &discovery->mutual_chap);
	if (discovery->chap.user)
		add_attr(tree, NULL, dir, enforce, "1", 0);
}

/* --- the agent's own looks ---------------------------------------------------------------------------------------------*/

const struct config_volume *lio_health_volume(const struct config *config, const struct config_target *target,
					      const struct config_group *group)
{
	const struct config_volume *first = NULL;

	for (size_t i = 0; i < config->n_mappings; i++) {
		const struct config_mapping *mapping = &config->mappings[i];

		if (mapping->target == target && mapping->volume->group == group && (!first || mapping->volume < first))
			first = mapping->volume;
	}
	return first;
}

static void build_health_acl(struct lio_tree *tree, const struct lio_scope *scope, const struct lio_port *port)
{
	char *acl = acl_dir(port, CONFIG_HEALTH_INITIATOR), *auth = xasprintf("%s/auth", acl);

	next_chain(tree);
	add(tree, LIO_DIR, NULL, xstrdup(acl));
	add_credential(tree, auth, "userid", LIO_HEALTH_USER);
	add_credential(tree, auth, "password", scope->health_password);
	add_attr(tree, NULL, acl, "attrib/authentication", "1", 0);
	free(auth);
	free(acl);
}

/* Read only: whatever the agent sends, it cannot change what hosts have. */
static void build_health_luns(struct lio_tree *tree, const struct config *config, const struct config_volume *volume)
{
	for (size_t t = 0; t < config->n_targets; t++) {
		const struct config_target *target = &config->targets[t];

		if (lio_health_volume(config, target, volume->group) != volume)
			continue;
		for_each_port(tree, config, target, port) {
			char *acl, *dir;

			if (port->kind != LIO_PORT_ISCSI || !has_copy(volume, port->nodeid))
				continue;
			acl = acl_dir(port, CONFIG_HEALTH_INITIATOR);
			dir = xasprintf("%s/lun_%u", acl, volume->group->lu_gp_id);
			add(tree, LIO_DIR, volume->name, xstrdup(dir));
			add_link(tree, volume->name, xasprintf("%s/%s", dir, volume->name), lun_dir(port, volume));
			add_attr(tree, volume->name, dir, "write_protect", "1", 0);
			free(dir);
			free(acl);
		}
	}
}

static void build_acls(struct lio_tree *tree, const struct config *config, const struct lio_port *port)
{
	bool lets_in = port->kind == LIO_PORT_OWN && !lio_fabric_of_target(port->target)->has_enable;

	for (size_t h = 0; h < config->n_hosts; h++) {
		const struct config_host *host = &config->hosts[h];

		if (!host_on_target(config, host, port->target))
			continue;
		for (size_t i = 0; i < host->n_initiators; i++) {
			char *acl;

			if (!config_target_takes(port->target, host->initiators[i]))
				continue;
			acl = acl_dir(port, host->initiators[i]);
			next_chain(tree);
			add(tree, LIO_DIR, NULL, xstrdup(acl))->flags |= lets_in ? LIO_ANNOUNCE : 0;
			if (port->kind == LIO_PORT_ISCSI)
				build_iscsi_acl(tree, port->target, host, acl);
			free(acl);
		}
	}
}

/*
 * A volume's mapped LUNs are one chain: each link looks for loaded registrations of its own, and two at a time on one device free
 * what the other one is at (__core_scsi3_check_aptpl_registration() drops aptpl_reg_lock inside of list_for_each_entry_safe()).
 */
static void build_mapped_luns(struct lio_tree *tree, const struct config *config, const struct lio_scope *scope,
			      const struct config_volume *volume)
{
	for (size_t m = 0; m < config->n_mappings; m++) {
		const struct config_mapping *mapping = &config->mappings[m];

		if (mapping->volume != volume)
			continue;
		for_each_port(tree, config, mapping->target, port) {
			if (!has_copy(volume, port->nodeid))
				continue;
			for (size_t i = 0; i < mapping->host->n_initiators; i++) {
				char *acl;

				if (!config_target_takes(mapping->target, mapping->host->initiators[i]))
					continue;
				acl = acl_dir(port, mapping->host->initiators[i]);
				add(tree, LIO_DIR, volume->name, xasprintf("%s/lun_%u", acl, mapping->lun));
				add_link(tree, volume->name, xasprintf("%s/lun_%u/%s", acl, mapping->lun, volume->name),
					 lun_dir(port, volume));
				free(acl);
			}
		}
	}
	if (scope->health_password)
		build_health_luns(tree, config, volume);
}

char *lio_portal_name(const struct config_portal *portal)
{
	bool ipv6 = strchr(portal->address, ':');

	return xasprintf("%s%s%s:%u", ipv6 ? "[" : "", portal->address, ipv6 ? "]" : "", portal->port);
}

/* Taking away what listens for iSER can wait for good for a login that hangs (iscsit_reset_np_thread()), with a mutex that all changes of targets need;
 * without its address and with its group disabled it is in nobody's way. */
static void build_resting_portal(struct lio_tree *tree, const struct config_portal *portal, const char *np)
{
	if (portal->transports & CONFIG_TRANSPORT_ISER)
		add(tree, LIO_DIR, NULL, xstrdup(np))->flags = LIO_IF_THERE;
}

static void build_portal(struct lio_tree *tree, const struct config_portal *portal, const char *np)
{
	add(tree, LIO_DIR, NULL, xstrdup(np))->flags = LIO_SOFT;
	add_attr(tree, NULL, np, "iser", portal->transports & CONFIG_TRANSPORT_ISER ? "1" : "0", LIO_SOFT | LIO_OPTIONAL);
}

/* An address that Lunward does not manage stays with its node: nobody else can listen at it. */
static void build_portals(struct lio_tree *tree, const struct lio_scope *scope, const struct lio_port *port, bool serves)
{
	uint32_t nodeid = port->nodeid;

	for (size_t i = 0; i < port->target->n_portals; i++) {
		const struct config_portal *portal = &port->target->portals[i];
		_cleanup_free_ char *name = lio_portal_name(portal);
		_cleanup_free_ char *np = xasprintf("%s/np/%s", port->tpg, name);

		if (portal->nodeid != nodeid || (nodeid != scope->nodeid && !portal->prefix_len))
			continue;
		next_chain(tree);
		if (serves)
			build_portal(tree, portal, np);
		else
			build_resting_portal(tree, portal, np);
	}
}

static const struct lio_reservations *reservations_of(const struct lio_scope *scope, const struct config_volume *volume)
{
	for (size_t i = 0; i < scope->n_reservations; i++) {
		if (strcmp(scope->reservations[i].volume, volume->name) == 0)
			return &scope->reservations[i];
	}
	return NULL;
}

static void build_volumes(struct lio_tree *tree, const struct config *config, const struct lio_scope *scope)
{
	for (size_t i = 0; i < config->n_volumes; i++) {
		const struct config_volume *volume = &config->volumes[i];

		if (!has_copy(volume, scope->nodeid))
			continue;
		next_chain(tree);
		if (tree->stage == LIO_STAGE_BACKSTORE)
			build_backstore(tree, volume, reservations_of(scope, volume));
		else if (tree->stage == LIO_STAGE_ALUA)
			build_alua(tree, volume, reservations_of(scope, volume));
		else if (tree->stage == LIO_STAGE_LUN)
			build_luns(tree, config, volume);
		else
			build_mapped_luns(tree, config, scope, volume);
	}
}

static void build_targets(struct lio_tree *tree, const struct config *config)
{
	struct rtpi_map *map = xcalloc(1, sizeof(*map));

	for (size_t t = 0; t < config->n_targets; t++) {
		const struct config_target *target = &config->targets[t];

		next_chain(tree);
		if (config_target_is_iscsi(target)) /* also if it has no portals */
			add(tree, LIO_DIR, NULL, xasprintf("iscsi/%s", target->name));
		for_each_port(tree, config, target, port) {
			if (port->kind != LIO_PORT_ISCSI)
				add(tree, LIO_DIR, NULL, xstrdup(port->wwn));
			build_tpg(tree, config, port, take_rtpi(map, port));
		}
	}
	free(map);
}

static void build_tpg_stage(struct lio_tree *tree, const struct config *config, const struct lio_scope *scope,
			    const struct lio_port *port)
{
	bool serves = serves_portals_of(scope, port->nodeid) && port->kind != LIO_PORT_STANDIN;
	bool has_enable = port->kind != LIO_PORT_OWN || lio_fabric_of_target(port->target)->has_enable;

	switch (tree->stage) {
	case LIO_STAGE_ACL:
		build_acls(tree, config, port);
		if (scope->health_password && port->kind == LIO_PORT_ISCSI)
			build_health_acl(tree, scope, port);
		break;
	case LIO_STAGE_PORTAL:
		if (port->kind == LIO_PORT_ISCSI)
			build_portals(tree, scope, port, serves);
		break;
	case LIO_STAGE_ENABLE:
		next_chain(tree);
		if (serves && has_enable)
			add_attr(tree, NULL, port->tpg, "enable", "1", LIO_SOFT);
		break;
	default:
		break;
	}
}

static struct lio_tree *new_tree(const struct config *config, const struct lio_scope *scope, const struct lio_roots *roots)
{
	struct lio_tree *tree = xcalloc(1, sizeof(*tree));

	tree->root = xstrdup(roots->configfs);
	tree->sysfs = xstrdup(lio_sysfs(roots));
	tree->cfs = lio_cfs(roots);
	lio_ports_init(&tree->ports, config, scope);
	return tree;
}

static void build_tpgs(struct lio_tree *tree, const struct config *config, const struct lio_scope *scope)
{
	for (size_t i = 0; i < tree->ports.n; i++)
		build_tpg_stage(tree, config, scope, &tree->ports.list[i]);
}

struct lio_tree *lio_tree_build(const struct config *config, const struct lio_scope *scope, const struct lio_roots *roots)
{
	struct lio_tree *tree = new_tree(config, scope, roots);

	tree->leave = scope->leave;
	tree->leave_ctx = scope->leave_ctx;
	tree->close_limit_ms = scope->close_limit_ms;
	tree->foreign = scope->foreign;
	tree->n_foreign = scope->n_foreign;
	tree->hold = scope->hold;
	tree->hold_ctx = scope->hold_ctx;
	tree->stage = LIO_STAGE_HBA;
	build_groups(tree, config, scope);
	tree->stage = LIO_STAGE_BACKSTORE;
	build_volumes(tree, config, scope);
	tree->stage = LIO_STAGE_ALUA;
	build_volumes(tree, config, scope);
	tree->stage = LIO_STAGE_TARGET;
	build_targets(tree, config);
	tree->stage = LIO_STAGE_LUN;
	build_volumes(tree, config, scope);
	tree->stage = LIO_STAGE_ACL;
	build_discovery(tree, config);
	for (; tree->stage <= LIO_STAGE_ENABLE; tree->stage++) {
		if (tree->stage == LIO_STAGE_MAPPED_LUN)
			build_volumes(tree, config, scope);
		build_tpgs(tree, config, scope);
	}
	return tree;
}

struct lio_tree *lio_tree_build_portals(const struct config *config, const struct lio_scope *scope, const struct lio_roots *roots)
{
	struct lio_tree *tree = new_tree(config, scope, roots);

	for (tree->stage = LIO_STAGE_PORTAL; tree->stage <= LIO_STAGE_ENABLE; tree->stage++)
		build_tpgs(tree, config, scope);
	return tree;
}

void lio_tree_free(struct lio_tree *tree)
{
	if (!tree)
		return;
	for (size_t i = 0; i < tree->n; i++) {
		free(tree->objects[i].path);
		free(tree->objects[i].value);
		free(tree->objects[i].volume);
	}
	lio_ports_done(&tree->ports);
	free(tree->objects);
	free(tree->root);
	free(tree->sysfs);
	free(tree);
}

void lio_tree_each_attr(const struct lio_tree *tree, lio_attr_fn *fn, void *ctx)
{
	for (size_t i = 0; i < tree->n; i++) {
		const struct lio_object *object = &tree->objects[i];

		if (object->kind == LIO_ATTR && !(object->flags & LIO_SECRET))
			fn(ctx, object->volume, object->path, object->value, object->flags & LIO_OPTIONAL);
	}
}
