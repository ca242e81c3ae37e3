// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A document as rtslib's saveconfig.json, for one node without Lunward. Hosts find the same disks (serial, NAA id, product, LUN numbers)
 * at the same portals, and are let in as before. Attributes are those of the desired tree.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "target-config/exchange/foreign.h"
#include "target-config/exchange/settings.h"
#include "target-config/lio/lio.h"

#define RTSLIB_LUN_MAX 255 /* MappedLUN.MAX_LUN */

struct export {
	const struct config *config;
	const struct config_node *node;
	struct settings settings;
	struct exchange_notes *notes;
};

static bool is_here(const struct export *export, const struct config_volume *volume)
{
	return config_group_has_node(volume->group, export->node->nodeid);
}

/* What stands below the gate. */
static char *device_of(const struct config_volume *volume)
{
	if (volume->group->backend == CONFIG_BACKEND_DRBD)
		return xasprintf("/dev/drbd%u", volume->drbd_minor);
	if (volume->group->backend == CONFIG_BACKEND_LOCAL)
		return xasprintf("/dev/%s/lunward-%s", volume->pool->vg, volume->name);
	return xstrdup(volume->device);
}

/* As LIO has them, but for the mark of what is Lunward's. */
static json_t *parameters(const json_t *settings)
{
	json_t *out = json_deep_copy(settings);

	json_object_del(out, "TargetAlias");
	return out;
}

/* Numbers as rtslib writes them. */
static json_t *attributes(const json_t *settings)
{
	json_t *out = json_object();
	const json_t *value;
	const char *name;

	json_object_foreach((json_t *)(uintptr_t)settings, name, value) {
		if (json_is_string(value))
			json_object_set_new(out, name, json_integer(strtoll(json_string_value(value), NULL, 10)));
	}
	return out;
}

static json_t *storage_object(const struct export *export, const struct config_volume *volume)
{
	_cleanup_free_ char *device = device_of(volume);

	return json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:o}", "name", volume->name, "plugin", "block", "dev", device, "wwn",
			 volume->serial, "readonly", 0, "write_back", 0, "attributes",
			 attributes(json_object_get(export->settings.volumes, volume->name)));
}

/* --- one target ---*/

struct lun_list { /* the TPG's own numbers */
	const struct config_volume **list;
	size_t n, cap;
};

static size_t lun_of(struct lun_list *luns, const struct config_volume *volume)
{
	for (size_t i = 0; i < luns->n; i++) {
		if (luns->list[i] == volume)
			return i;
	}
	*array_push(luns->list, luns->n, luns->cap) = volume;
	return luns->n - 1;
}

static json_t *portals(const struct export *export, const struct config_target *target)
{
	json_t *out = json_array();
	bool others = false;

	for (size_t i = 0; i < target->n_portals; i++) {
		const struct config_portal *portal = &target->portals[i];
		bool ipv6 = strchr(portal->address, ':');
		_cleanup_free_ char *address = xasprintf("%s%s%s", ipv6 ? "[" : "", portal->address, ipv6 ? "]" : "");

		others = others || portal->nodeid != export->node->nodeid;
		if (portal->nodeid == export->node->nodeid)
			json_array_append_new(out, json_pack("{s:s, s:i, s:b, s:b}", "ip_address", address, "port", portal->port, "iser",
							     !!(portal->transports & CONFIG_TRANSPORT_ISER), "offload", 0));
	}
	if (others)
		note_changed(export->notes, target->name, "portals of other nodes are not in it");
	return out;
}

static json_t *mapped_luns(const struct export *export, const struct config_target *target, const struct config_host *host,
			   struct lun_list *luns)
{
	json_t *out = json_array();

	for (size_t i = 0; i < export->config->n_mappings; i++) {
		const struct config_mapping *mapping = &export->config->mappings[i];

		if (mapping->host != host || mapping->target != target || !is_here(export, mapping->volume))
			continue;
		if (mapping->lun > RTSLIB_LUN_MAX)
			note_left_out(export->notes, host->name, "LUN %u of %.223s: rtslib takes LUNs up to %d", mapping->lun, target->name,
				      RTSLIB_LUN_MAX);
		else
			json_array_append_new(out, json_pack("{s:i, s:i, s:b}", "index", (int)mapping->lun, "tpg_lun",
							     (int)lun_of(luns, mapping->volume), "write_protect", 0));
	}
	return out;
}

static void add_chap(json_t *acl, const char *user_key, const char *password_key, const struct config_chap *chap)
{
	if (!chap->user)
		return;
	json_object_set_new(acl, user_key, json_string(chap->user));
	json_object_set_new(acl, password_key, json_string(chap->password));
}

static json_t *fabric_module(const struct config_discovery *discovery)
{
	json_t *module = json_pack("{s:s, s:b}", "name", "iscsi", "discovery_enable_auth", discovery->chap.user != NULL);

	add_chap(module, "discovery_userid", "discovery_password", &discovery->chap);
	add_chap(module, "discovery_mutual_userid", "discovery_mutual_password", &discovery->mutual_chap);
	return module;
}

/* "0x5054...", "fe80:0000:..." -> "ib.5054..."; "20:00:..." -> "naa.2000...": as rtslib's fabric modules have them. */
static char *rtslib_wwn(const struct config_target *target, const char *name)
{
	_cleanup_free_ char *wwn = strncmp(name, "0x", 2) == 0 ? xstrdup(name) : lio_srp_wwn(name);

	return xasprintf("%s.%s", config_target_fabric(target) == CONFIG_FABRIC_SRP ? "ib" : "naa", wwn + strlen("0x"));
}

static json_t *port_acl(const struct config_target *target, const struct config_host *host, const char *initiator, const json_t *mapped)
{
	_cleanup_free_ char *wwn = rtslib_wwn(target, initiator);

	return json_pack("{s:s, s:s, s:o, s:{}}", "node_wwn", wwn, "tag", host->name, "mapped_luns", json_deep_copy(mapped), "attributes");
}

static json_t *node_acl(const struct export *export, const struct config_target *target, const struct config_host *host,
			const char *initiator, const json_t *mapped)
{
	_cleanup_free_ char *dir = xasprintf("iscsi/%s/tpgt_%u/acls/%s/attrib", target->name, export->node->nodeid, initiator);
	json_t *acl = json_pack("{s:s, s:s, s:o, s:o}", "node_wwn", initiator, "tag", host->name, "mapped_luns", json_deep_copy(mapped),
				"attributes", attributes(json_object_get(export->settings.others, dir)));

	add_chap(acl, "chap_userid", "chap_password", &host->chap);
	add_chap(acl, "chap_mutual_userid", "chap_mutual_password", &host->mutual_chap);
	return acl;
}

static json_t *node_acls(const struct export *export, const struct config_target *target, struct lun_list *luns)
{
	json_t *out = json_array();

	for (size_t h = 0; h < export->config->n_hosts; h++) {
		const struct config_host *host = &export->config->hosts[h];
		json_auto_t *mapped = mapped_luns(export, target, host, luns);

		for (size_t i = 0; i < host->n_initiators && json_array_size(mapped); i++) {
			if (!config_target_takes(target, host->initiators[i]))
				continue;
			json_array_append_new(out, !config_target_is_iscsi(target) ? port_acl(target, host, host->initiators[i], mapped) :
								  node_acl(export, target, host, host->initiators[i], mapped));
		}
	}
	return out;
}

static json_t *lun_array_of(const struct lun_list *luns)
{
	json_t *array = json_array();

	for (size_t i = 0; i < luns->n; i++) {
		_cleanup_free_ char *path = xasprintf("/backstores/block/%s", luns->list[i]->name);

		json_array_append_new(array, json_pack("{s:i, s:s}", "index", (int)i, "storage_object", path));
	}
	return array;
}

/* rtslib has a target for each port. */
static void add_targets_of_ports(const struct export *export, const struct config_target *target, json_t *targets)
{
	const char *fabric = foreign_fabric(config_target_fabric(target));

	for (size_t i = 0; i < target->n_portals; i++) {
		_cleanup_free_ char *wwn = rtslib_wwn(target, target->portals[i].address);
		struct lun_list luns = { 0 };
		json_t *acls;

		if (target->portals[i].nodeid != export->node->nodeid)
			continue;
		acls = node_acls(export, target, &luns);
		json_array_append_new(targets, json_pack("{s:s, s:s, s:[{s:i, s:b, s:o, s:[], s:o, s:{}, s:{}}]}", "wwn", wwn, "fabric", fabric,
							 "tpgs", "tag", 1, "enable", 1, "luns", lun_array_of(&luns), "portals", "node_acls",
							 acls, "attributes", "parameters"));
		free(luns.list);
	}
	note_changed(export->notes, target->name, "ports of other nodes are not in it%s", config_target_fabric(target) == CONFIG_FABRIC_SRP ?
		     ", nor where ib_srpt listens for RDMA/CM (its parameter rdma_cm_port)" : "");
}

static json_t *target_object(const struct export *export, const struct config_target *target)
{
	_cleanup_free_ char *attrib = xasprintf("iscsi/%s/tpgt_%u/attrib", target->name, export->node->nodeid);
	_cleanup_free_ char *param = xasprintf("iscsi/%s/tpgt_%u/param", target->name, export->node->nodeid);
	struct lun_list luns = { 0 };
	json_t *acls = node_acls(export, target, &luns), *lun_array = lun_array_of(&luns);

	free(luns.list);
	return json_pack("{s:s, s:s, s:[{s:i, s:b, s:o, s:o, s:o, s:o, s:o}]}", "wwn", target->name, "fabric", "iscsi", "tpgs", "tag",
			 (int)export->node->nodeid, "enable", 1, "luns", lun_array, "portals", portals(export, target), "node_acls", acls,
			 "attributes", attributes(json_object_get(export->settings.others, attrib)), "parameters",
			 parameters(json_object_get(export->settings.others, param)));
}

/* --- what rtslib has no word for ---*/

static bool has_mapping(const struct config *config, const struct config_host *host)
{
	for (size_t i = 0; i < config->n_mappings; i++) {
		if (config->mappings[i].host == host)
			return true;
	}
	return false;
}

static void note_losses(const struct export *export)
{
	const struct config *config = export->config;

	for (size_t i = 0; i < config->n_groups; i++) {
		const struct config_group *group = &config->groups[i];

		if (!config_group_has_node(group, export->node->nodeid))
			note_left_out(export->notes, group->name, "the group has no copy on node %s", export->node->name);
		else if (group->backend == CONFIG_BACKEND_DRBD)
			note_changed(export->notes, group->name,
				     "before it is restored the group's resource has to be primary on %s and on no other node: drbdadm primary "
				     "lunward-%s", export->node->name, group->name);
		else if (group->nodes[1])
			note_changed(export->notes, group->name, "before it is restored no other node may serve the group's devices");
	}
	for (size_t i = 0; i < config->n_hosts; i++) {
		if (!has_mapping(config, &config->hosts[i]))
			note_left_out(export->notes, config->hosts[i].name, "the host has no volume");
	}
}

static bool has_own_portal(const struct export *export, const struct config_target *target)
{
	for (size_t i = 0; i < target->n_portals; i++) {
		if (target->portals[i].nodeid == export->node->nodeid)
			return true;
	}
	note_left_out(export->notes, target->name, "the target has no portal on node %s", export->node->name);
	return false;
}

int exchange_export_targetcli(const struct config *config, const char *node, char **ret_text, struct exchange_notes *notes, struct err *err)
{
	struct export export = { .config = config, .node = config_node_by_name(config, node), .notes = notes };
	json_auto_t *root = json_pack("{s:[], s:[], s:[]}", "fabric_modules", "storage_objects", "targets");
	_cleanup_free_ char *text = NULL;

	if (!export.node || export.node->role != CONFIG_ROLE_STORAGE)
		return err_set(err, -ENOENT, "nodes: there is no storage node \"%.64s\"", node);
	settings_collect(config, export.node->nodeid, &export.settings);
	if (config->discovery.is_said)
		json_array_append_new(json_object_get(root, "fabric_modules"), fabric_module(&config->discovery));
	for (size_t i = 0; i < config->n_volumes; i++) {
		if (is_here(&export, &config->volumes[i]))
			json_array_append_new(json_object_get(root, "storage_objects"), storage_object(&export, &config->volumes[i]));
	}
	for (size_t i = 0; i < config->n_targets; i++) {
		if (!has_own_portal(&export, &config->targets[i]))
			continue;
		if (config->targets[i].login_by == CONFIG_LOGIN_BY_ADDRESS)
			note_left_out(notes, config->targets[i].name, "rtslib knows hosts of SRP by their port ids only");
		else if (!config_target_is_iscsi(&config->targets[i]))
			add_targets_of_ports(&export, &config->targets[i], json_object_get(root, "targets"));
		else
			json_array_append_new(json_object_get(root, "targets"), target_object(&export, &config->targets[i]));
	}
	note_losses(&export);
	settings_done(&export.settings);
	text = json_dumps(root, JSON_INDENT(2));
	*ret_text = xasprintf("%s\n", text);
	explicit_bzero(text, strlen(text));
	return 0;
}
