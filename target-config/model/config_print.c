// SPDX-License-Identifier: GPL-2.0-or-later
/* The canonical text: a line an object, keys in the order of the man page, all values written out. */
#include <inttypes.h>
#include <string.h>

#include "target-config/model/config_internal.h"
#include "target-config/model/config_text.h"

/* Texts are allow-listed, but for passwords, CHAP users and option values: those may hold quotes and UTF-8. */
static void add_text(struct strbuf *sb, const char *s)
{
	strbuf_add(sb, "\"");
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			strbuf_addf(sb, "\\%c", *s);
		else
			strbuf_add_bytes(sb, s, 1);
	}
	strbuf_add(sb, "\"");
}

static void add_option_list(struct strbuf *sb, const char *key, const struct config_option *options, size_t n, bool secrets)
{
	strbuf_addf(sb, "\"%s\": {", key);
	for (size_t i = 0; i < n; i++) {
		strbuf_addf(sb, "%s\"%s\": ", i ? ", " : "", options[i].key);
		add_text(sb, !secrets && config_option_is_secret(options[i].key) ? CONFIG_HIDDEN : options[i].value);
	}
	strbuf_add(sb, "}");
}

static void add_options(struct strbuf *sb, const char *key, const struct config_option *options, size_t n, bool secrets)
{
	if (!n)
		return;
	strbuf_add(sb, ", ");
	add_option_list(sb, key, options, n, secrets);
}

static void add_fence_level(struct strbuf *sb, const struct config_fence_level *level, bool secrets)
{
	strbuf_add(sb, "{");
	if (level->name)
		strbuf_addf(sb, "\"name\": \"%s\", ", level->name);
	strbuf_addf(sb, "\"agent\": \"%s\", \"timeout_s\": %d", level->agent, level->timeout_s);
	add_options(sb, "options", level->options, level->n_options, secrets);
	strbuf_add(sb, "}");
}

static void add_fencing(struct strbuf *sb, const struct config_fencing *fencing, bool secrets)
{
	if (!fencing->n_levels)
		return;
	strbuf_add(sb, ",\n  \"fencing\": ");
	if (!fencing->levels[0].name) {
		add_fence_level(sb, &fencing->levels[0], secrets);
		return;
	}
	strbuf_add(sb, "{\"levels\": [");
	for (size_t i = 0; i < fencing->n_levels; i++) {
		strbuf_add(sb, i ? ",\n    " : "\n    ");
		add_fence_level(sb, &fencing->levels[i], secrets);
	}
	strbuf_add(sb, "]}");
}

static void add_node_fence(struct strbuf *sb, const struct config_node *node, bool secrets)
{
	if (node->n_fence && !node->fence[0].level) {
		add_options(sb, "fence", node->fence[0].options, node->fence[0].n_options, secrets);
		return;
	}
	for (size_t i = 0; i < node->n_fence; i++) {
		strbuf_add(sb, i ? ", " : ", \"fence\": {");
		add_option_list(sb, node->fence[i].level, node->fence[i].options, node->fence[i].n_options, secrets);
	}
	if (node->n_fence)
		strbuf_add(sb, "}");
}

static void add_node(struct strbuf *sb, const struct config_node *node, bool secrets)
{
	strbuf_addf(sb, "\"%s\": {\"id\": %u, \"role\": \"%s\"", node->name, node->nodeid,
		    config_role_name(node->role));
	if (node->replication_address)
		strbuf_addf(sb, ", \"replication_address\": \"%s\"", node->replication_address);
	add_node_fence(sb, node, secrets);
	strbuf_add(sb, "}");
}

static void add_pool(struct strbuf *sb, const struct config_pool *pool)
{
	strbuf_addf(sb, "\"%s\": {\"vg\": \"%s\"", pool->name, pool->vg);
	if (pool->thin_pool)
		strbuf_addf(sb, ", \"thin_pool\": \"%s\", \"warn_percent\": %u, \"error_percent\": %u", pool->thin_pool,
			    pool->warn_percent, pool->error_percent);
	strbuf_add(sb, "}");
}

static void add_group(struct strbuf *sb, const struct config *config, const struct config_group *group)
{
	strbuf_addf(sb, "\"%s\": {\"backend\": \"%s\", \"nodes\": [", group->name, config_backend_name(group->backend));
	for (size_t i = 0; i < CONFIG_COPIES_MAX && group->nodes[i]; i++)
		strbuf_addf(sb, "%s\"%s\"", i ? ", " : "", config_node_name(config, group->nodes[i]));
	strbuf_add(sb, "]");
	if (group->prefer)
		strbuf_addf(sb, ", \"prefer\": \"%s\"", config_node_name(config, group->prefer));
	strbuf_addf(sb, ", \"placement\": \"%s\"", config_placement_name(group->placement));
	if (group->weight != CONFIG_WEIGHT_DEFAULT)
		strbuf_addf(sb, ", \"weight\": %u", group->weight);
	if (group->failback != CONFIG_FAILBACK_MANUAL)
		strbuf_addf(sb, ", \"failback\": \"%s\"", config_failback_name(group->failback));
	if (group->failback_delay_s != CONFIG_FAILBACK_DELAY_DEFAULT_S)
		strbuf_addf(sb, ", \"failback_delay_s\": %u", group->failback_delay_s);
	if (group->takeover_limit != CONFIG_TAKEOVER_LIMIT_DEFAULT)
		strbuf_addf(sb, ", \"takeover_limit\": %u", group->takeover_limit);
	if (group->port)
		strbuf_addf(sb, ", \"port\": %u", group->port);
	strbuf_addf(sb, ", \"lu_gp_id\": %u}", group->lu_gp_id);
}

static void add_size(struct strbuf *sb, uint64_t bytes)
{
	char text[32];

	config_size_print(bytes, "", text);
	strbuf_addf(sb, strspn(text, "0123456789") == strlen(text) ? "%s" : "\"%s\"", text);
}

static void add_volume(struct strbuf *sb, const struct config_volume *volume)
{
	strbuf_addf(sb, "\"%s\": {\"group\": \"%s\"", volume->name, volume->group->name);
	if (volume->pool)
		strbuf_addf(sb, ", \"pool\": \"%s\"", volume->pool->name);
	if (volume->device)
		strbuf_addf(sb, ", \"device\": \"%s\"", volume->device);
	strbuf_add(sb, ", \"size\": ");
	add_size(sb, volume->size_bytes);
	strbuf_addf(sb, ", \"serial\": \"%s\", \"block_size\": %u", volume->serial, volume->block_size);
	if (volume->group->backend == CONFIG_BACKEND_DRBD)
		strbuf_addf(sb, ", \"drbd_minor\": %u, \"drbd_volume\": %u", volume->drbd_minor, volume->drbd_volume);
	else
		strbuf_addf(sb, ", \"target_lun\": %u", volume->target_lun);
	strbuf_add(sb, "}");
}

static void add_portal(struct strbuf *sb, const struct config *config, const struct config_target *target,
		       const struct config_portal *portal)
{
	if (!config_target_is_iscsi(target)) {
		strbuf_addf(sb, "{\"node\": \"%s\", \"%s\": \"%s\"}", config_node_name(config, portal->nodeid),
			    config_fabric_of_target(target->name)->portal_key, portal->address);
		return;
	}
	strbuf_addf(sb, "{\"node\": \"%s\", \"address\": \"%s", config_node_name(config, portal->nodeid),
		    portal->address);
	if (portal->prefix_len)
		strbuf_addf(sb, "/%u", portal->prefix_len);
	strbuf_add(sb, "\"");
	if (portal->interface)
		strbuf_addf(sb, ", \"interface\": \"%s\"", portal->interface);
	strbuf_addf(sb, ", \"port\": %u, \"transports\": [\"tcp\"%s]}", portal->port,
		    portal->transports & CONFIG_TRANSPORT_ISER ? ", \"iser\"" : "");
}

static void add_target(struct strbuf *sb, const struct config *config, const struct config_target *target)
{
	strbuf_addf(sb, "\"%s\": {\"portals\": [", target->name);
	for (size_t i = 0; i < target->n_portals; i++) {
		strbuf_add(sb, i ? ",\n      " : "\n      ");
		add_portal(sb, config, target, &target->portals[i]);
	}
	strbuf_add(sb, "]");
	if (target->login_by != CONFIG_LOGIN_BY_PORT_ID)
		strbuf_addf(sb, ", \"login_by\": \"%s\"", config_login_by_name(target->login_by));
	config_print_parameters(sb, target);
	strbuf_add(sb, "}");
}

static void add_chap(struct strbuf *sb, const char *separator, const char *key, const struct config_chap *chap, bool secrets)
{
	if (!chap->user)
		return;
	strbuf_addf(sb, "%s\"%s\": {\"user\": ", separator, key);
	add_text(sb, chap->user);
	strbuf_add(sb, ", \"password\": ");
	add_text(sb, secrets ? chap->password : CONFIG_HIDDEN);
	strbuf_add(sb, "}");
}

static void add_discovery(struct strbuf *sb, const struct config_discovery *discovery, bool secrets)
{
	if (!discovery->is_said)
		return;
	strbuf_add(sb, ",\n  \"discovery\": {");
	add_chap(sb, "", "chap", &discovery->chap, secrets);
	add_chap(sb, ", ", "mutual_chap", &discovery->mutual_chap, secrets);
	strbuf_add(sb, "}");
}

static void add_host(struct strbuf *sb, const struct config_host *host, bool secrets)
{
	strbuf_addf(sb, "\"%s\": {\"profile\": \"%s\", \"initiators\": [", host->name,
		    config_profile_name(host->profile));
	for (size_t i = 0; i < host->n_initiators; i++)
		strbuf_addf(sb, "%s\"%s\"", i ? ", " : "", host->initiators[i]);
	strbuf_add(sb, "]");
	add_chap(sb, ", ", "chap", &host->chap, secrets);
	add_chap(sb, ", ", "mutual_chap", &host->mutual_chap, secrets);
	strbuf_add(sb, "}");
}

static void add_host_group(struct strbuf *sb, const struct config_host_group *group)
{
	strbuf_addf(sb, "\"%s\": {\"hosts\": [", group->name);
	for (size_t i = 0; i < group->n_hosts; i++)
		strbuf_addf(sb, "%s\"%s\"", i ? ", " : "", group->hosts[i]->name);
	strbuf_add(sb, "]}");
}

/* What is mapped to a group is there once for each of its hosts: the first stands for all. */
static bool is_printed(const struct config_mapping *mapping)
{
	return !mapping->host_group || mapping->host == mapping->host_group->hosts[0];
}

static void add_mapping(struct strbuf *sb, const struct config_mapping *mapping)
{
	if (mapping->host_group)
		strbuf_addf(sb, "{\"host_group\": \"%s\"", mapping->host_group->name);
	else
		strbuf_addf(sb, "{\"host\": \"%s\"", mapping->host->name);
	strbuf_addf(sb, ", \"volume\": \"%s\", \"target\": \"%s\", \"lun\": %u}", mapping->volume->name, mapping->target->name,
		    mapping->lun);
}

static void add_mappings(struct strbuf *sb, const struct config *config)
{
	size_t n = 0;

	strbuf_add(sb, ",\n  \"mappings\": [");
	for (size_t i = 0; i < config->n_mappings; i++) {
		if (!is_printed(&config->mappings[i]))
			continue;
		strbuf_add(sb, n++ ? ",\n    " : "\n    ");
		add_mapping(sb, &config->mappings[i]);
	}
	strbuf_add(sb, n ? "\n  ]" : "]");
}

/* `call` prints the member with index i. */
#define ADD_SECTION(sb, key, brackets, n, call)                                                                        \
	do {                                                                                                           \
		strbuf_addf(sb, ",\n  \"" key "\": %c", (brackets)[0]);                                                \
		for (size_t i = 0; i < (n); i++) {                                                                     \
			strbuf_add(sb, i ? ",\n    " : "\n    ");                                                      \
			call;                                                                                          \
		}                                                                                                      \
		strbuf_addf(sb, "%s%c", (n) ? "\n  " : "", (brackets)[1]);                                             \
	} while (0)

char *config_print(const struct config *config, bool secrets)
{
	struct strbuf sb = { 0 };

	strbuf_addf(&sb, "{\n  \"lunward\": 1,\n  \"cluster\": \"%s\"", config->cluster);
	add_fencing(&sb, &config->fencing, secrets);
	add_discovery(&sb, &config->discovery, secrets);
	if (config->srp_rdma_cm_port)
		strbuf_addf(&sb, ",\n  \"srp\": {\"rdma_cm_port\": %u}", config->srp_rdma_cm_port);
	ADD_SECTION(&sb, "nodes", "{}", config->n_nodes, add_node(&sb, &config->nodes[i], secrets));
	ADD_SECTION(&sb, "pools", "{}", config->n_pools, add_pool(&sb, &config->pools[i]));
	ADD_SECTION(&sb, "groups", "{}", config->n_groups, add_group(&sb, config, &config->groups[i]));
	ADD_SECTION(&sb, "volumes", "{}", config->n_volumes, add_volume(&sb, &config->volumes[i]));
	ADD_SECTION(&sb, "targets", "{}", config->n_targets, add_target(&sb, config, &config->targets[i]));
	ADD_SECTION(&sb, "hosts", "{}", config->n_hosts, add_host(&sb, &config->hosts[i], secrets));
	if (config->n_host_groups)
		ADD_SECTION(&sb, "host_groups", "{}", config->n_host_groups, add_host_group(&sb, &config->host_groups[i]));
	add_mappings(&sb, config);
	strbuf_add(&sb, "\n}\n");
	return strbuf_steal(&sb);
}
