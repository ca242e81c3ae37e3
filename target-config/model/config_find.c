// SPDX-License-Identifier: GPL-2.0-or-later
/* Looking things up in a finished model, and its end. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target-config/model/config_internal.h"
#include "target-config/model/config_json.h"

int config_compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

const void *config_find_named(const void *array, size_t n, size_t item_size, const char *name)
{
	return n ? bsearch(&name, array, n, item_size, config_compare_names) : NULL;
}

#define FIND(config, list, name) config_find_named((config)->list, (config)->n_##list, sizeof(*(config)->list), name)

const struct config_node *config_node_by_id(const struct config *config, uint32_t nodeid)
{
	for (size_t i = 0; i < config->n_nodes; i++)
		if (config->nodes[i].nodeid == nodeid)
			return &config->nodes[i];
	return NULL;
}

const struct config_node *config_node_by_name(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->n_nodes; i++)
		if (strcmp(config->nodes[i].name, name) == 0)
			return &config->nodes[i];
	return NULL;
}

const char *config_node_name(const struct config *config, uint32_t nodeid)
{
	const struct config_node *node = config_node_by_id(config, nodeid);

	return node ? node->name : "?";
}

const struct config_pool *config_pool_by_name(const struct config *config, const char *name)
{
	return FIND(config, pools, name);
}

const struct config_group *config_group_by_name(const struct config *config, const char *name)
{
	return FIND(config, groups, name);
}

const struct config_volume *config_volume_by_name(const struct config *config, const char *name)
{
	return FIND(config, volumes, name);
}

const struct config_target *config_target_by_name(const struct config *config, const char *name)
{
	return FIND(config, targets, name);
}

const struct config_host *config_host_by_name(const struct config *config, const char *name)
{
	return FIND(config, hosts, name);
}

uint32_t config_volume_lun(const struct config_volume *volume)
{
	return volume->group->backend == CONFIG_BACKEND_DRBD ? volume->drbd_minor : volume->target_lun;
}

bool config_group_has_node(const struct config_group *group, uint32_t nodeid)
{
	for (size_t i = 0; i < CONFIG_COPIES_MAX && group->nodes[i]; i++)
		if (group->nodes[i] == nodeid)
			return true;
	return false;
}

/* NAA 6 (SPC-4 7.8.6.6.5): 6, 24 bits of company id (LIO's 001405h), 25 hex digits; what is no hex digit is skipped. */
void config_naa(const char *serial, char ret_naa[33])
{
	static const char prefix[] = "6001405";
	size_t n = sizeof(prefix) - 1;

	memcpy(ret_naa, prefix, n);
	for (; *serial && n < 32; serial++) {
		if (*serial >= 'A' && *serial <= 'F')
			ret_naa[n++] = (char)(*serial - 'A' + 'a');
		else if ((*serial >= '0' && *serial <= '9') || (*serial >= 'a' && *serial <= 'f'))
			ret_naa[n++] = *serial;
	}
	memset(ret_naa + n, '0', 32 - n);
	ret_naa[32] = '\0';
}

int config_refuse(struct err *err, const char *section, const char *name, const char *key, const char *fmt, ...)
{
	_cleanup_strbuf_ struct strbuf path = { 0 };
	char text[ERR_TEXT_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	strbuf_add(&path, section);
	path_add_key(&path, name);
	if (key)
		path_add_key(&path, key);
	return err_set(err, -EINVAL, "%s: %s", strbuf_str(&path), text);
}

/* --- the end ---*/

static void free_secret(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

static void free_options(struct config_option *options, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(options[i].key);
		free_secret(options[i].value);
	}
	free(options);
}

static void free_chap(struct config_chap *chap)
{
	free(chap->user);
	free_secret(chap->password);
}

static void free_target(struct config_target *target)
{
	for (size_t i = 0; i < target->n_portals; i++) {
		free(target->portals[i].address);
		free(target->portals[i].interface);
	}
	for (size_t i = 0; i < CONFIG_PARAMETERS; i++)
		free(target->parameters[i]);
	free(target->portals);
	free(target->name);
}

static void free_host(struct config_host *host)
{
	for (size_t i = 0; i < host->n_initiators; i++)
		free(host->initiators[i]);
	free(host->initiators);
	free_chap(&host->chap);
	free_chap(&host->mutual_chap);
	free(host->name);
}

static void free_fencing(struct config_fencing *fencing)
{
	for (size_t i = 0; i < fencing->n_levels; i++) {
		free_options(fencing->levels[i].options, fencing->levels[i].n_options);
		free(fencing->levels[i].agent);
		free(fencing->levels[i].name);
	}
	free(fencing->levels);
}

static void free_node(struct config_node *node)
{
	for (size_t i = 0; i < node->n_fence; i++) {
		free_options(node->fence[i].options, node->fence[i].n_options);
		free(node->fence[i].level);
	}
	free(node->fence);
	free(node->replication_address);
	free(node->name);
}

static void free_lists(struct config *config)
{
	for (size_t i = 0; i < config->n_nodes; i++)
		free_node(&config->nodes[i]);
	for (size_t i = 0; i < config->n_pools; i++) {
		free(config->pools[i].vg);
		free(config->pools[i].thin_pool);
		free(config->pools[i].name);
	}
	for (size_t i = 0; i < config->n_groups; i++)
		free(config->groups[i].name);
	for (size_t i = 0; i < config->n_volumes; i++) {
		free(config->volumes[i].device);
		free(config->volumes[i].serial);
		free(config->volumes[i].name);
	}
	for (size_t i = 0; i < config->n_targets; i++)
		free_target(&config->targets[i]);
	for (size_t i = 0; i < config->n_hosts; i++)
		free_host(&config->hosts[i]);
	for (size_t i = 0; i < config->n_host_groups; i++) {
		free(config->host_groups[i].hosts);
		free(config->host_groups[i].name);
	}
}

void config_free(struct config *config)
{
	if (!config)
		return;
	free_lists(config);
	free_fencing(&config->fencing);
	free_chap(&config->discovery.chap);
	free_chap(&config->discovery.mutual_chap);
	free(config->nodes);
	free(config->pools);
	free(config->groups);
	free(config->volumes);
	free(config->targets);
	free(config->hosts);
	free(config->host_groups);
	free(config->mappings);
	free(config->cluster);
	free(config);
}
