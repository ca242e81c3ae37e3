// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/lio_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

static struct config_node *add_node(struct config *config, const char *name, uint32_t nodeid)
{
	struct config_node *node = &config->nodes[config->n_nodes++];

	node->name = xstrdup(name);
	node->nodeid = nodeid;
	return node;
}

static struct config_group *add_group(struct config *config, const char *name, uint32_t a, uint32_t b)
{
	struct config_group *group = &config->groups[config->n_groups++];

	group->name = xstrdup(name);
	group->nodes[0] = a;
	group->nodes[1] = b;
	group->lu_gp_id = (uint16_t)config->n_groups;
	return group;
}

static struct config_volume *add_volume(struct config *config, const char *name, size_t group, uint32_t minor)
{
	struct config_volume *volume = &config->volumes[config->n_volumes++];

	volume->name = xstrdup(name);
	volume->group = &config->groups[group];
	volume->size_bytes = 1u << 30;
	volume->serial = xasprintf("9d8c1e2f-0000-4000-8000-%012u", minor);
	volume->drbd_minor = minor;
	volume->block_size = minor == 2 ? 4096 : 512;
	return volume;
}

static void add_portal(struct config_target *target, uint32_t nodeid, unsigned int port, unsigned int transports)
{
	struct config_portal *portal = &target->portals[target->n_portals++];

	portal->nodeid = nodeid;
	portal->address = xasprintf("10.77.0.%u", nodeid);
	portal->prefix_len = 24;
	portal->port = (uint16_t)port;
	portal->transports = transports;
}

static struct config_target *add_target(struct config *config, const char *iqn, unsigned int port, unsigned int transports)
{
	struct config_target *target = &config->targets[config->n_targets++];

	target->name = xstrdup(iqn);
	target->portals = xcalloc(3, sizeof(*target->portals));
	for (uint32_t nodeid = 1; nodeid <= 3; nodeid++)
		add_portal(target, nodeid, port, transports);
	return target;
}

static struct config_target *add_target_of_ports(struct config *config, const char *name, const char *first)
{
	struct config_target *target = &config->targets[config->n_targets++];

	target->name = xstrdup(name);
	target->portals = xcalloc(3, sizeof(*target->portals));
	for (uint32_t nodeid = 1; nodeid <= 3; nodeid++)
		target->portals[target->n_portals++] = (struct config_portal){
			.nodeid = nodeid, .address = xasprintf("%.*s%u", (int)strlen(first) - 1, first, nodeid) };
	return target;
}

void fixture_port(struct config *config, const char *name)
{
	for (size_t i = 0; i < config->n_targets; i++) {
		if (config_target_is_iscsi(&config->targets[i]))
			continue;
		free(config->targets[i].portals[0].address);
		config->targets[i].portals[0].address = xstrdup(name);
	}
}

static struct config_host *add_host(struct config *config, const char *name, bool chap, const char *initiator)
{
	struct config_host *host = &config->hosts[config->n_hosts++];

	host->name = xstrdup(name);
	host->initiators = xcalloc(2, sizeof(*host->initiators));
	if (initiator)
		host->initiators[host->n_initiators++] = xstrdup(initiator);
	host->initiators[host->n_initiators++] = xasprintf("iqn.1993-08.org.debian:%s", name);
	if (chap) {
		host->chap.user = xstrdup("alice");
		host->chap.password = xstrdup("verysecret-12");
	}
	return host;
}

static void map(struct config *config, size_t host, size_t volume, size_t target, uint32_t lun)
{
	struct config_mapping *mapping = &config->mappings[config->n_mappings++];

	mapping->host = &config->hosts[host];
	mapping->volume = &config->volumes[volume];
	mapping->target = &config->targets[target];
	mapping->lun = lun;
}

static struct config *new_config(size_t n_volumes)
{
	struct config *config = xcalloc(1, sizeof(*config));

	config->nodes = xcalloc(3, sizeof(*config->nodes));
	config->groups = xcalloc(2, sizeof(*config->groups));
	config->volumes = xcalloc(n_volumes, sizeof(*config->volumes));
	config->targets = xcalloc(3, sizeof(*config->targets));
	config->hosts = xcalloc(2, sizeof(*config->hosts));
	config->mappings = xcalloc(n_volumes + 4, sizeof(*config->mappings));
	add_node(config, "n1", 1);
	add_node(config, "n2", 2);
	add_node(config, "n3", 3);
	add_group(config, "g1", 1, 2);
	add_group(config, "g2", 2, 1);
	return config;
}

struct config *fixture_config(unsigned int flags)
{
	struct config *config = new_config(3);
	unsigned int transports = CONFIG_TRANSPORT_TCP | (flags & FIXTURE_ISER ? CONFIG_TRANSPORT_ISER : 0);
	bool swap = flags & FIXTURE_SWAP;
	size_t v3;

	if (flags & FIXTURE_ALONE)
		config->groups[0].nodes[1] = 0;
	add_volume(config, "v1", 0, 1);
	if (!(flags & FIXTURE_NO_V2))
		add_volume(config, "v2", 1, 2);
	v3 = config->n_volumes;
	if (flags & FIXTURE_V3)
		add_volume(config, "v3", 0, 3);
	if (flags & FIXTURE_REBORN) {
		free(config->volumes[0].serial);
		config->volumes[0].serial = xstrdup("ffffffff-0000-4000-8000-000000000001");
	}
	add_target(config, FIXTURE_IQN, 3260, transports);
	if (flags & FIXTURE_T2)
		add_target(config, FIXTURE_IQN2, 3261, CONFIG_TRANSPORT_TCP);
	if (flags & FIXTURE_FCOE)
		add_target_of_ports(config, "fcoe.t1", FIXTURE_WWPN);
	if (flags & FIXTURE_FC)
		add_target_of_ports(config, "fc.t1", FIXTURE_WWPN);
	if (flags & FIXTURE_SRP)
		add_target_of_ports(config, "srp.t1", FIXTURE_GID)->login_by = flags & FIXTURE_BY_ADDRESS ? CONFIG_LOGIN_BY_ADDRESS : CONFIG_LOGIN_BY_PORT_ID;
	add_host(config, "h1", !(flags & FIXTURE_NO_CHAP),
		 flags & FIXTURE_SRP ? FIXTURE_PORT_ID : flags & (FIXTURE_FCOE | FIXTURE_FC) ? FIXTURE_HOST_WWPN : NULL);
	if (flags & FIXTURE_H2)
		add_host(config, "h2", false, NULL);
	map(config, 0, 0, 0, swap ? 1 : 0);
	if (!(flags & FIXTURE_NO_V2))
		map(config, 0, 1, 0, swap ? 0 : 1);
	if (flags & FIXTURE_V3)
		map(config, 0, v3, 0, 5);
	if (flags & FIXTURE_BY_ADDRESS) {
		free(config->hosts[0].initiators[0]);
		config->hosts[0].initiators[0] = xstrdup("10.77.0.9");
	}
	if (flags & FIXTURE_T2)
		map(config, 0, 0, 1, 0);
	if (flags & FIXTURE_H2)
		map(config, 1, 0, 0, 7);
	if (flags & (FIXTURE_SRP | FIXTURE_FCOE | FIXTURE_FC))
		map(config, 0, 0, config->n_targets - 1, 0);
	return config;
}

struct config *fixture_many(size_t n)
{
	struct config *config = new_config(n);

	add_target(config, FIXTURE_IQN, 3260, CONFIG_TRANSPORT_TCP);
	add_host(config, "h1", false, NULL);
	for (size_t i = 0; i < n; i++) {
		char *name = xasprintf("v%zu", i);

		add_volume(config, name, 0, (uint32_t)i + 10);
		free(name);
		map(config, 0, i, 0, (uint32_t)i);
	}
	return config;
}

static void free_targets(struct config *config)
{
	for (size_t i = 0; i < config->n_targets; i++) {
		for (size_t j = 0; j < config->targets[i].n_portals; j++)
			free(config->targets[i].portals[j].address);
		free(config->targets[i].portals);
		free(config->targets[i].name);
	}
	free(config->targets);
}

static void free_hosts(struct config *config)
{
	for (size_t i = 0; i < config->n_hosts; i++) {
		free(config->hosts[i].name);
		for (size_t j = 0; j < config->hosts[i].n_initiators; j++)
			free(config->hosts[i].initiators[j]);
		free(config->hosts[i].initiators);
		free(config->hosts[i].chap.user);
		free(config->hosts[i].chap.password);
	}
	free(config->hosts);
}

void fixture_free(struct config *config)
{
	free_targets(config);
	free_hosts(config);
	for (size_t i = 0; i < config->n_nodes; i++)
		free(config->nodes[i].name);
	for (size_t i = 0; i < config->n_groups; i++)
		free(config->groups[i].name);
	for (size_t i = 0; i < config->n_volumes; i++) {
		free(config->volumes[i].name);
		free(config->volumes[i].serial);
	}
	free(config->nodes);
	free(config->groups);
	free(config->volumes);
	free(config->mappings);
	free(config);
}
