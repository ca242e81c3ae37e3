// SPDX-License-Identifier: GPL-2.0-or-later
/* What must hold between the objects of one document: no two may claim the same name on the wire or the same number. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "target-config/model/config_internal.h"

/* --- claims: who wants to be the only one with a number or text ---*/

struct claim {
	uint64_t number;
	const char *text;  /* "" if the number says it all */
	const void *owner; /* ascending with the order of the document's lists */
};

struct claims {
	struct claim *list;
	size_t n, cap;
};

static void claims_done(struct claims *claims)
{
	free(claims->list);
}

#define _cleanup_claims_ _cleanup_(claims_done)

static void claim(struct claims *claims, uint64_t number, const char *text, const void *owner)
{
	*array_push(claims->list, claims->n, claims->cap) = (struct claim){ number, text, owner };
}

static bool is_same_claim(const struct claim *a, const struct claim *b)
{
	return a->number == b->number && strcmp(a->text, b->text) == 0;
}

static int compare_claims(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	int rc = x->number < y->number ? -1 : x->number > y->number;

	if (!rc)
		rc = strcmp(x->text, y->text);
	if (!rc)
		rc = x->owner < y->owner ? -1 : x->owner > y->owner;
	return rc;
}

static void sort_claims(struct claims *claims)
{
	if (claims->n)
		qsort(claims->list, claims->n, sizeof(*claims->list), compare_claims);
}

/* Sorts; true and the two owners, in the order of their list, if something is claimed twice. */
static bool find_conflict(struct claims *claims, const void **ret_first, const void **ret_second)
{
	sort_claims(claims);
	for (size_t i = 1; i < claims->n; i++) {
		if (!is_same_claim(&claims->list[i - 1], &claims->list[i]))
			continue;
		*ret_first = claims->list[i - 1].owner;
		*ret_second = claims->list[i].owner;
		return true;
	}
	return false;
}

/* --- addresses ---*/

static int check_replication_addresses(const struct config *config, struct err *err)
{
	_cleanup_claims_ struct claims claims = { 0 };
	const void *first, *second;

	for (size_t i = 0; i < config->n_nodes; i++)
		if (config->nodes[i].replication_address)
			claim(&claims, 0, config->nodes[i].replication_address, &config->nodes[i]);
	if (!find_conflict(&claims, &first, &second))
		return 0;
	return config_refuse(err, "nodes", ((const struct config_node *)second)->name, "replication_address",
			     "node %s has the same address; each node needs its own",
			     ((const struct config_node *)first)->name);
}

static bool is_ipv6(const char *address)
{
	return strchr(address, ':');
}

static int check_replication_families(const struct config *config, struct err *err)
{
	for (size_t i = 0; i < config->n_groups; i++) {
		const struct config_group *group = &config->groups[i];
		const struct config_node *a, *b;

		if (group->backend != CONFIG_BACKEND_DRBD)
			continue;
		a = config_node_by_id(config, group->nodes[0]);
		b = config_node_by_id(config, group->nodes[1]);
		if (is_ipv6(a->replication_address) != is_ipv6(b->replication_address))
			return config_refuse(
				err, "groups", group->name, "nodes",
				"the replication addresses of %s and %s are not both IPv4 or both IPv6; DRBD needs one family",
				a->name, b->name);
	}
	return 0;
}

/* All mentions of an address agree: targets may share a listener of LIO, but an address lives in one place. */
static int check_same_address(const struct config *config, const struct config_target *target,
			      const struct config_portal *first, const struct config_portal *portal, struct err *err)
{
	const char *word = config_fabric_of_target(target->name)->portal_word;

	if (!config_target_is_iscsi(target)) /* the kernel has one target for it */
		return config_refuse(err, "targets", target->name, "portals", "%s %s is another target's too; a %s is of one target", word,
				     portal->address, word);
	if (first->nodeid != portal->nodeid)
		return config_refuse(
			err, "targets", target->name, "portals",
			"address %s is on node %s here, but on node %s elsewhere; an address is on one node",
			portal->address, config_node_name(config, portal->nodeid),
			config_node_name(config, first->nodeid));
	if (first->prefix_len != portal->prefix_len)
		return config_refuse(
			err, "targets", target->name, "portals",
			"address %s is written with prefix length %u here, but %u elsewhere (0: none); write it the same everywhere",
			portal->address, portal->prefix_len, first->prefix_len);
	if (strcmp(first->interface ?: "", portal->interface ?: "") != 0)
		return config_refuse(
			err, "targets", target->name, "portals",
			"address %s is on interface %s here, but on %s elsewhere; write it the same everywhere",
			portal->address, portal->interface ?: "(none)", first->interface ?: "(none)");
	return 0;
}

struct placed_portal {
	const struct config_portal *portal;
	const struct config_target *target;
};

static int compare_placed(const void *a, const void *b)
{
	const struct placed_portal *x = a, *y = b;
	int rc = strcmp(x->portal->address, y->portal->address);

	if (!rc)
		rc = strcmp(x->target->name, y->target->name);
	return rc ? rc : (int)x->portal->port - (int)y->portal->port;
}

static int check_portal_addresses(const struct config *config, struct err *err)
{
	_cleanup_free_ struct placed_portal *list = NULL;
	size_t n = 0, cap = 0;

	for (size_t i = 0; i < config->n_targets; i++)
		for (size_t j = 0; j < config->targets[i].n_portals; j++)
			*array_push(list, n, cap) =
				(struct placed_portal){ &config->targets[i].portals[j], &config->targets[i] };
	if (n)
		qsort(list, n, sizeof(*list), compare_placed);
	for (size_t i = 1; i < n; i++) {
		int rc;

		if (strcmp(list[i - 1].portal->address, list[i].portal->address) != 0)
			continue;
		rc = check_same_address(config, list[i].target, list[i - 1].portal, list[i].portal, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* --- portals against replication ---*/

static const struct config_node *replication_node(const struct config *config, const char *address)
{
	for (size_t i = 0; i < config->n_nodes; i++)
		if (config->nodes[i].replication_address && strcmp(config->nodes[i].replication_address, address) == 0)
			return &config->nodes[i];
	return NULL;
}

/* A managed address moves to another node when its own dies; DRBD would then talk to itself. */
static int check_replication_stays(const struct config *config, struct err *err)
{
	for (size_t i = 0; i < config->n_targets; i++) {
		for (size_t j = 0; j < config->targets[i].n_portals; j++) {
			const struct config_portal *portal = &config->targets[i].portals[j];
			const struct config_node *node = replication_node(config, portal->address);

			if (node && portal->prefix_len)
				return config_refuse(
					err, "nodes", node->name, "replication_address",
					"is also a portal of target %s that moves to another node in a takeover; use another address",
					config->targets[i].name);
			if (node && portal->nodeid != node->nodeid)
				return config_refuse(err, "nodes", node->name, "replication_address",
						     "is also a portal on node %s; an address is on one node",
						     config_node_name(config, portal->nodeid));
		}
	}
	return 0;
}

static int check_ports_against_portals(const struct config *config, struct err *err)
{
	_cleanup_free_ const struct config_group **by_port = xcalloc(UINT16_MAX + 1, sizeof(struct config_group *));

	for (size_t i = 0; i < config->n_groups; i++)
		if (config->groups[i].port)
			by_port[config->groups[i].port] = &config->groups[i];
	for (size_t i = 0; i < config->n_targets; i++) {
		for (size_t j = 0; j < config->targets[i].n_portals; j++) {
			const struct config_portal *portal = &config->targets[i].portals[j];
			const struct config_group *group = by_port[portal->port];
			const struct config_node *node = group ? replication_node(config, portal->address) : NULL;

			if (node && config_group_has_node(group, node->nodeid))
				return config_refuse(
					err, "groups", group->name, "port",
					"%u is also the port of a portal at the replication address of node %s; choose another",
					group->port, node->name);
		}
	}
	return 0;
}

/* iSER and SRP listen for connections of one kind, and SRP at all addresses of the node. */
static int check_rdma_cm_port(const struct config *config, struct err *err)
{
	for (size_t i = 0; i < config->n_targets; i++)
		for (size_t j = 0; j < config->targets[i].n_portals; j++)
			if (config->targets[i].portals[j].transports & CONFIG_TRANSPORT_ISER &&
			    config->targets[i].portals[j].port == config->srp_rdma_cm_port)
				return err_set(err, -EINVAL, "srp.rdma_cm_port: %u is also an iser portal's port, of target %.223s; choose another",
					       config->srp_rdma_cm_port, config->targets[i].name);
	return 0;
}

/* --- initiators, devices ---*/

static int check_initiators(const struct config *config, struct err *err)
{
	_cleanup_claims_ struct claims claims = { 0 };
	const void *first, *second;

	for (size_t i = 0; i < config->n_hosts; i++)
		for (size_t j = 0; j < config->hosts[i].n_initiators; j++)
			claim(&claims, 0, config->hosts[i].initiators[j], &config->hosts[i]);
	if (!find_conflict(&claims, &first, &second))
		return 0;
	return config_refuse(err, "hosts", ((const struct config_host *)second)->name, "initiators",
			     "an initiator of this host is one of host %s too; each belongs to one host",
			     ((const struct config_host *)first)->name);
}

static int check_devices(const struct config *config, struct err *err)
{
	_cleanup_claims_ struct claims claims = { 0 };
	const void *first, *second;

	for (size_t i = 0; i < config->n_volumes; i++)
		if (config->volumes[i].device)
			claim(&claims, 0, config->volumes[i].device, &config->volumes[i]);
	if (!find_conflict(&claims, &first, &second))
		return 0;
	return config_refuse(err, "volumes", ((const struct config_volume *)second)->name, "device",
			     "is the device of volume %s too; each volume needs its own",
			     ((const struct config_volume *)first)->name);
}

int config_check_rules(const struct config *config, struct err *err)
{
	int rc = check_replication_addresses(config, err);

	if (rc == 0)
		rc = check_replication_families(config, err);
	if (rc == 0)
		rc = check_portal_addresses(config, err);
	if (rc == 0)
		rc = check_replication_stays(config, err);
	if (rc == 0)
		rc = check_rdma_cm_port(config, err);
	if (rc == 0)
		rc = check_initiators(config, err);
	if (rc == 0)
		rc = check_devices(config, err);
	return rc;
}

/* --- assigned values ---*/

static int check_group_numbers(const struct config *config, struct err *err)
{
	_cleanup_claims_ struct claims ids = { 0 }, ports = { 0 };
	const void *first, *second;

	for (size_t i = 0; i < config->n_groups; i++) {
		claim(&ids, config->groups[i].lu_gp_id, "", &config->groups[i]);
		if (config->groups[i].port)
			claim(&ports, config->groups[i].port, "", &config->groups[i]);
	}
	if (find_conflict(&ids, &first, &second))
		return config_refuse(err, "groups", ((const struct config_group *)second)->name, "lu_gp_id",
				     "is the id of group %s too; leave it out to get one assigned",
				     ((const struct config_group *)first)->name);
	if (find_conflict(&ports, &first, &second))
		return config_refuse(err, "groups", ((const struct config_group *)second)->name, "port",
				     "is the port of group %s too; choose another, or leave it out to get one assigned",
				     ((const struct config_group *)first)->name);
	return 0;
}

static int check_volume_numbers(const struct config *config, struct err *err)
{
	_cleanup_claims_ struct claims minors = { 0 }, numbers = { 0 };
	const void *first, *second;

	for (size_t i = 0; i < config->n_volumes; i++) {
		const struct config_volume *volume = &config->volumes[i];

		claim(&minors, config_volume_lun(volume), "", volume);
		if (volume->group->backend != CONFIG_BACKEND_DRBD)
			continue;
		claim(&numbers, volume->drbd_volume, volume->group->name, volume);
	}
	if (find_conflict(&minors, &first, &second))
		return config_refuse(err, "volumes", ((const struct config_volume *)second)->name,
				     ((const struct config_volume *)second)->group->backend == CONFIG_BACKEND_DRBD ? "drbd_minor" : "target_lun",
				     "is the number of volume %s too; leave it out to get one assigned",
				     ((const struct config_volume *)first)->name);
	if (find_conflict(&numbers, &first, &second))
		return config_refuse(
			err, "volumes", ((const struct config_volume *)second)->name, "drbd_volume",
			"is the number of volume %s of the same group too; leave it out to get one assigned",
			((const struct config_volume *)first)->name);
	return 0;
}

static int check_serials(const struct config *config, struct err *err)
{
	_cleanup_free_ char(*naa)[33] = xcalloc(config->n_volumes + 1, sizeof(*naa));
	_cleanup_claims_ struct claims claims = { 0 };
	const void *first, *second;

	for (size_t i = 0; i < config->n_volumes; i++) {
		config_naa(config->volumes[i].serial, naa[i]);
		claim(&claims, 0, naa[i], &config->volumes[i]);
	}
	if (!find_conflict(&claims, &first, &second))
		return 0;
	return config_refuse(
		err, "volumes", ((const struct config_volume *)second)->name, "serial",
		"its first 25 hex digits are those of volume %s, hosts would take both for one disk; leave it out to get one assigned",
		((const struct config_volume *)first)->name);
}

int config_check_assigned(const struct config *config, struct err *err)
{
	int rc = check_group_numbers(config, err);

	if (rc == 0)
		rc = check_ports_against_portals(config, err);
	if (rc == 0)
		rc = check_volume_numbers(config, err);
	if (rc == 0)
		rc = check_serials(config, err);
	return rc;
}

/* --- Corosync's nodelist ---*/

int config_check_electorate(const struct config *config, const uint32_t *nodeids, const char *const *names, size_t n,
			    struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		const struct config_node *node = config_node_by_id(config, nodeids[i]);

		if (!node)
			return err_set(
				err, -EINVAL,
				"nodes: node id %u (%s) of Corosync's nodelist is missing; add it, with role witness if it stores nothing",
				nodeids[i], names[i] ?: "no name");
		if (!names[i])
			return config_refuse(
				err, "nodes", node->name, NULL,
				"node id %u has no name in Corosync's nodelist; add `name: %s` in corosync.conf",
				nodeids[i], node->name);
		if (strcmp(names[i], node->name) != 0)
			return config_refuse(err, "nodes", node->name, NULL,
					     "Corosync's nodelist calls node id %u %s; use the same name in both",
					     nodeids[i], names[i]);
	}
	for (size_t i = 0; i < config->n_nodes; i++) {
		bool found = false;

		for (size_t j = 0; j < n && !found; j++)
			found = nodeids[j] == config->nodes[i].nodeid;
		if (!found)
			return config_refuse(
				err, "nodes", config->nodes[i].name, "id",
				"%u is not in Corosync's nodelist; add the node to corosync.conf or remove it here",
				config->nodes[i].nodeid);
	}
	return 0;
}
