// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The target ports of the document as this node's kernel has them. Each node has all of them, in one order, so that hosts read the same of a
 * volume's ports everywhere: on 6.1 the order of LUNs on a device decides their relative port identifiers.
 *
 * iSCSI has a portal group for each node, whoever serves it. SRP has a target for each RDMA port, and ib_srpt makes one only for a port that it
 * has: any other, of another node or one that is missing here, is stood in for by an iSCSI portal group that is never enabled. What REPORT TARGET
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

char *lio_srp_standin(const char *gid)
{
	return xasprintf("%s%s", LIO_SRP_STANDIN, gid);
}

/* By its GUID, the last half of its GID, ib_srpt knows hosts by their addresses; by its GID, by their port ids. */
char *lio_srp_tpg_dir(const char *gid, enum config_login_by login_by)
{
	_cleanup_free_ char *wwn = login_by == CONFIG_LOGIN_BY_ADDRESS ? xstrdup(gid + CONFIG_GID_SIZE / 2) : lio_srp_wwn(gid);

	return xasprintf("srpt/%s/%s", wwn, LIO_SRP_TPG);
}

int lio_srp_disable(const struct lio_roots *roots, const char *gid, struct err *err)
{
	struct cfs *cfs = lio_cfs(roots);
	int rc = 0;

	for (enum config_login_by by = CONFIG_LOGIN_BY_PORT_ID; rc == 0 && by <= CONFIG_LOGIN_BY_ADDRESS; by++) { /* one of them */
		_cleanup_free_ char *tpg = lio_srp_tpg_dir(gid, by), *path = xasprintf("%s/%s/enable", roots->configfs, tpg);

		rc = cfs->ops->write(cfs, path, "0");
		rc = rc < 0 && rc != -ENOENT ? err_errno(err, rc, "cannot write 0 to %s", path) : 0;
	}
	return rc;
}

bool lio_has_gid(const struct lio_scope *scope, const char *gid)
{
	for (size_t i = 0; i < scope->n_gids; i++) {
		if (strcmp(scope->gids[i], gid) == 0)
			return true;
	}
	return false;
}

bool lio_srp_wanted(const struct config *config, uint32_t nodeid)
{
	struct lio_scope scope = { .nodeid = nodeid };
	char text[ERR_TEXT_SIZE];

	lio_srp_lacks(config, &scope, text);
	return text[0];
}

void lio_srp_lacks(const struct config *config, const struct lio_scope *scope, char ret_text[ERR_TEXT_SIZE])
{
	ret_text[0] = '\0';
	for (size_t t = 0; t < config->n_targets; t++) {
		const struct config_target *target = &config->targets[t];

		for (size_t i = 0; config_target_is_srp(target) && i < target->n_portals && !ret_text[0]; i++) {
			if (target->portals[i].nodeid == scope->nodeid && !lio_has_gid(scope, target->portals[i].address))
				snprintf(ret_text, ERR_TEXT_SIZE, "target %s: this node has no RDMA port with GID %s, or not the module ib_srpt",
					 target->name, target->portals[i].address);
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

static void add_srp(struct lio_ports *ports, const struct lio_scope *scope, const struct config_target *target,
		    const struct config_portal *portal)
{
	bool here = portal->nodeid == scope->nodeid && lio_has_gid(scope, portal->address);
	struct lio_port *port = add_port(ports, target, portal, here ? LIO_PORT_SRP : LIO_PORT_STANDIN);

	port->name = portal->address;
	if (here) {
		port->tpg = lio_srp_tpg_dir(portal->address, target->login_by);
		port->wwn = xasprintf("%.*s", (int)(strrchr(port->tpg, '/') - port->tpg), port->tpg);
	} else {
		port->wwn = xasprintf("iscsi/%s%s", LIO_SRP_STANDIN, portal->address);
		port->tpg = xasprintf("%s/tpgt_%u", port->wwn, portal->nodeid);
	}
}

void lio_ports_init(struct lio_ports *ports, const struct config *config, const struct lio_scope *scope)
{
	*ports = (struct lio_ports){ .targets = config->targets, .starts = xcalloc(config->n_targets + 1, sizeof(*ports->starts)) };
	for (size_t t = 0; t < config->n_targets; t++) {
		const struct config_target *target = &config->targets[t];

		if (!config_target_is_srp(target))
			add_iscsi(ports, config, target);
		for (size_t i = 0; config_target_is_srp(target) && i < target->n_portals; i++)
			add_srp(ports, scope, target, &target->portals[i]);
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
