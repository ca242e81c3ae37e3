// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The target ports of the document as this node's kernel has them. Each node has all of them, in one order, so that hosts read the same of a
 * volume's ports everywhere: on 6.1 the order of LUNs on a device decides their relative port identifiers.
 *
 * iSCSI has a portal group for each node, whoever serves it. The other fabrics have a target for each port of a node's hardware, which no other
 * node can have: any that is not here, of another node or one that is missing, is stood in for by an iSCSI portal group that is never enabled. What REPORT TARGET
 * PORT GROUPS says of a port (group, identifier) names no fabric, and reservations made through it can be held there. See docs/decisions/0010.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "target-config/lio/cfs.h"
#include "target-config/lio/tree.h"

char *lio_tpg_dir(const char *iqn, uint32_t tpgt)
{
	return xasprintf("iscsi/%s/tpgt_%u", iqn, tpgt);
}

char *lio_acl_dir(const char *iqn, uint32_t tpgt, const char *initiator)
{
	return xasprintf("iscsi/%s/tpgt_%u/acls/%s", iqn, tpgt, initiator);
}

static const struct lio_fabric fabrics[CONFIG_FABRICS] = {
	[CONFIG_FABRIC_ISCSI] = { .dir = "iscsi" },
	[CONFIG_FABRIC_SRP] = { "srpt", LIO_SRP_TPG, true },
	[CONFIG_FABRIC_FCOE] = { "fc", "tpgt_1", false },
	[CONFIG_FABRIC_FC] = { "qla2xxx", "tpgt_1", true },
};

const struct lio_fabric *lio_fabric(enum config_fabric_id id)
{
	return &fabrics[id];
}

const struct lio_fabric *lio_fabric_of_target(const struct config_target *target)
{
	return lio_fabric(config_target_fabric(target));
}

bool lio_is_of_hardware(const char *path)
{
	for (size_t i = CONFIG_FABRIC_ISCSI + 1; i < CONFIG_FABRICS; i++) {
		if (lio_is_below(path, fabrics[i].dir))
			return true;
	}
	return false;
}

/* "fe80:0000:...": "0xfe800000..." (srpt_refresh_port()). Reservations name a port so, also one that was made by its GUID (srpt_make_tport()). */
char *lio_srp_wwn(const char *gid)
{
	char *wwn = xasprintf("0x%s", gid), *to = wwn;

	for (const char *from = wwn; *from; from++)
		if (*from != ':')
			*to++ = *from;
	*to = '\0';
	return wwn;
}

char *lio_port_wwn(const struct config_target *target, const char *name)
{
	return config_target_fabric(target) == CONFIG_FABRIC_SRP ? lio_srp_wwn(name) : xstrdup(name);
}

char *lio_port_standin(const struct config_target *target, const char *name)
{
	return xasprintf("%s%s.%s", LIO_PORT_STANDINS, lio_fabric_of_target(target)->dir, name);
}

/* By its GUID, the last half of its GID, ib_srpt knows hosts by their addresses; by its GID, by their port ids. */
static char *tpg_dir(enum config_fabric_id id, const char *name, enum config_login_by login_by)
{
	_cleanup_free_ char *wwn = id != CONFIG_FABRIC_SRP ? xstrdup(name) :
				   login_by == CONFIG_LOGIN_BY_ADDRESS ? xstrdup(name + CONFIG_GID_SIZE / 2) : lio_srp_wwn(name);

	return xasprintf("%s/%s/%s", fabrics[id].dir, wwn, fabrics[id].tpg);
}

char *lio_port_tpg_dir(const struct config_target *target, const char *name)
{
	return tpg_dir(config_target_fabric(target), name, target->login_by);
}

const char *lio_sysfs(const struct lio_roots *roots)
{
	return roots->sysfs ? roots->sysfs : "/sys";
}

int lio_port_cut(const struct lio_roots *roots, enum config_fabric_id id, const char *name, struct err *err)
{
	enum config_login_by last = id == CONFIG_FABRIC_SRP ? CONFIG_LOGIN_BY_ADDRESS : CONFIG_LOGIN_BY_PORT_ID;
	struct cfs *cfs = lio_cfs(roots);
	int rc = 0;

	if (!fabrics[id].has_enable)
		return lio_fc_relogin(cfs, roots->configfs, lio_sysfs(roots), name, err);
	for (enum config_login_by by = CONFIG_LOGIN_BY_PORT_ID; rc == 0 && by <= last; by++) { /* one of them */
		_cleanup_free_ char *tpg = tpg_dir(id, name, by), *path = xasprintf("%s/%s/enable", roots->configfs, tpg);

		rc = cfs->ops->write(cfs, path, "0");
		rc = rc < 0 && rc != -ENOENT ? err_errno(err, rc, "cannot write 0 to %s", path) : 0;
	}
	return rc;
}

bool lio_has_port(const struct lio_scope *scope, const struct config_target *target, const char *name)
{
	const char *prefix = config_fabric_of_target(target->name)->prefix;

	for (size_t i = 0; i < scope->n_ports; i++) {
		if (strncmp(scope->ports[i], prefix, strlen(prefix)) == 0 && strcmp(scope->ports[i] + strlen(prefix), name) == 0)
			return true;
	}
	return false;
}

unsigned int lio_ports_wanted(const struct config *config, uint32_t nodeid)
{
	unsigned int fabrics_wanted = 0;

	for (size_t t = 0; t < config->n_targets; t++) {
		const struct config_target *target = &config->targets[t];

		for (size_t i = 0; !config_target_is_iscsi(target) && i < target->n_portals; i++) {
			if (target->portals[i].nodeid == nodeid)
				fabrics_wanted |= 1u << config_target_fabric(target);
		}
	}
	return fabrics_wanted;
}

void lio_ports_lack(const struct config *config, const struct lio_scope *scope, char ret_text[ERR_TEXT_SIZE])
{
	ret_text[0] = '\0';
	for (size_t t = 0; t < config->n_targets; t++) {
		const struct config_target *target = &config->targets[t];
		const struct config_fabric *fabric = config_fabric_of_target(target->name);

		for (size_t i = 0; !config_target_is_iscsi(target) && i < target->n_portals && !ret_text[0]; i++) {
			if (target->portals[i].nodeid == scope->nodeid && !lio_has_port(scope, target, target->portals[i].address))
				snprintf(ret_text, ERR_TEXT_SIZE, "target %s: this node has no %s with %s %s, or not the module %s", target->name,
					 fabric->port, fabric->portal_word, target->portals[i].address, fabric->module);
		}
	}
}

static struct lio_port *add_port(struct lio_ports *ports, const struct config_target *target, const struct config_portal *portal,
				 enum lio_port_kind kind)
{
	struct lio_port *port = array_push(ports->list, ports->n, ports->cap);

	*port = (struct lio_port){ .kind = kind, .target = target, .nodeid = portal->nodeid, .name = target->name };
	return port;
}

static void add_iscsi(struct lio_ports *ports, const struct config *config, const struct config_target *target)
{
	for (size_t n = 0; n < config->n_nodes; n++) {
		for (size_t i = 0; i < target->n_portals; i++) {
			struct lio_port *port;

			if (target->portals[i].nodeid != config->nodes[n].nodeid)
				continue;
			port = add_port(ports, target, &target->portals[i], LIO_PORT_ISCSI);
			port->wwn = xasprintf("iscsi/%s", target->name);
			port->tpg = lio_tpg_dir(target->name, port->nodeid);
			break;
		}
	}
}

static void add_of_hardware(struct lio_ports *ports, const struct lio_scope *scope, const struct config_target *target,
			    const struct config_portal *portal)
{
	bool here = portal->nodeid == scope->nodeid && lio_has_port(scope, target, portal->address);
	struct lio_port *port = add_port(ports, target, portal, here ? LIO_PORT_OWN : LIO_PORT_STANDIN);
	_cleanup_free_ char *standin = lio_port_standin(target, portal->address);

	port->name = portal->address;
	if (here) {
		port->tpg = lio_port_tpg_dir(target, portal->address);
		port->wwn = xasprintf("%.*s", (int)(strrchr(port->tpg, '/') - port->tpg), port->tpg);
	} else {
		port->wwn = xasprintf("iscsi/%s", standin);
		port->tpg = xasprintf("%s/tpgt_%u", port->wwn, portal->nodeid);
	}
}

void lio_ports_init(struct lio_ports *ports, const struct config *config, const struct lio_scope *scope)
{
	*ports = (struct lio_ports){ .targets = config->targets, .starts = xcalloc(config->n_targets + 1, sizeof(*ports->starts)) };
	for (size_t t = 0; t < config->n_targets; t++) {
		const struct config_target *target = &config->targets[t];

		if (config_target_is_iscsi(target))
			add_iscsi(ports, config, target);
		for (size_t i = 0; !config_target_is_iscsi(target) && i < target->n_portals; i++)
			add_of_hardware(ports, scope, target, &target->portals[i]);
		ports->starts[t + 1] = ports->n;
	}
}

void lio_ports_done(struct lio_ports *ports)
{
	for (size_t i = 0; i < ports->n; i++) {
		free(ports->list[i].wwn);
		free(ports->list[i].tpg);
	}
	free(ports->list);
	free(ports->starts);
}
