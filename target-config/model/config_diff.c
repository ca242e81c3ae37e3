// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two models to lines for people. Both lists of a kind are sorted by the same key, so that one pass over both finds what
 * came, went and changed. Secrets are compared, never shown.
 */
#include <inttypes.h>
#include <string.h>

#include "target-config/model/config_internal.h"
#include "target-config/model/config_text.h"

struct diff {
	const struct config *old, *new_config;
	struct strbuf *lines;
	size_t n_lines;
};

/* --- a line of changes: "~ volume v1: size 1 GiB -> 2 GiB; block_size 512 -> 4096" ---*/

/* The line is begun by the first change. */
struct changes {
	struct diff *diff;
	const char *kind, *name;
	size_t n;
};

static struct strbuf *next_change(struct changes *changes)
{
	struct diff *diff = changes->diff;

	if (changes->n++ == 0) {
		strbuf_addf(diff->lines, "~ %s%s%s: ", changes->kind, *changes->name ? " " : "", changes->name);
		diff->n_lines++;
	} else {
		strbuf_add(diff->lines, "; ");
	}
	return diff->lines;
}

static void end_changes(struct changes *changes)
{
	if (changes->n)
		strbuf_add(changes->diff->lines, "\n");
}

static void change_text(struct changes *changes, const char *what, const char *old, const char *new_text)
{
	old = old ?: "none";
	new_text = new_text ?: "none";
	if (strcmp(old, new_text) != 0)
		strbuf_addf(next_change(changes), "%s %s -> %s", what, old, new_text);
}

static void change_number(struct changes *changes, const char *what, uint64_t old, uint64_t new_number)
{
	if (old != new_number)
		strbuf_addf(next_change(changes), "%s %" PRIu64 " -> %" PRIu64, what, old, new_number);
}

static bool are_options_equal(const struct config_option *a, size_t n_a, const struct config_option *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++)
		if (strcmp(a[i].key, b[i].key) != 0 || strcmp(a[i].value, b[i].value) != 0)
			return false;
	return true;
}

static bool is_text_equal(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* --- one kind of object ---*/

struct kind {
	size_t item_size;
	int (*compare)(const void *a, const void *b);
	void (*describe)(struct strbuf *line, const struct config *config, const void *item);
	void (*change)(struct diff *diff, const void *old, const void *new_item);
};

static void add_line(struct diff *diff, char sign, const struct kind *kind, const struct config *config,
		     const void *item)
{
	strbuf_addf(diff->lines, "%c ", sign);
	kind->describe(diff->lines, config, item);
	strbuf_add(diff->lines, "\n");
	diff->n_lines++;
}

static void diff_lists(struct diff *diff, const struct kind *kind, const void *old, size_t n_old, const void *new_list,
		       size_t n_new)
{
	const char *a = old, *b = new_list;
	size_t i = 0, j = 0;

	while (i < n_old && j < n_new) {
		const void *x = a + i * kind->item_size, *y = b + j * kind->item_size;
		int rc = kind->compare(x, y);

		if (rc < 0)
			add_line(diff, '-', kind, diff->old, x);
		else if (rc > 0)
			add_line(diff, '+', kind, diff->new_config, y);
		else
			kind->change(diff, x, y);
		i += rc <= 0;
		j += rc >= 0;
	}
	for (; i < n_old; i++)
		add_line(diff, '-', kind, diff->old, a + i * kind->item_size);
	for (; j < n_new; j++)
		add_line(diff, '+', kind, diff->new_config, b + j * kind->item_size);
}

#define DIFF_LISTS(diff, kind, list)                                                                                   \
	diff_lists(diff, kind, (diff)->old ? (diff)->old->list : NULL, (diff)->old ? (diff)->old->n_##list : 0,        \
		   (diff)->new_config->list, (diff)->new_config->n_##list)

/* --- cluster and fencing ---*/

static void diff_cluster(struct diff *diff)
{
	struct changes changes = { .diff = diff, .kind = "cluster", .name = "" };

	if (!diff->old) {
		strbuf_addf(diff->lines, "+ cluster %s\n", diff->new_config->cluster);
		diff->n_lines++;
		return;
	}
	change_text(&changes, "name", diff->old->cluster, diff->new_config->cluster);
	end_changes(&changes);
}

static void describe_fence_level(struct strbuf *line, const struct config *config, const void *item)
{
	const struct config_fence_level *level = item;

	(void)config;
	if (level->name)
		strbuf_addf(line, "fencing level %s (%s, timeout %d s)", level->name, level->agent, level->timeout_s);
	else
		strbuf_addf(line, "fencing (%s, timeout %d s)", level->agent, level->timeout_s);
}

static void change_fence_level(struct diff *diff, const void *x, const void *y)
{
	const struct config_fence_level *old = x, *level = y;
	struct changes changes = { .diff = diff, .kind = level->name ? "fencing level" : "fencing", .name = level->name ?: "" };

	change_text(&changes, "agent", old->agent, level->agent);
	change_number(&changes, "timeout_s", (uint64_t)old->timeout_s, (uint64_t)level->timeout_s);
	if (!are_options_equal(old->options, old->n_options, level->options, level->n_options))
		strbuf_add(next_change(&changes), "options changed");
	end_changes(&changes);
}

static const struct config_fence_level *find_level(const struct config_fencing *fencing, const char *name)
{
	for (size_t i = 0; i < fencing->n_levels; i++)
		if (is_text_equal(fencing->levels[i].name, name))
			return &fencing->levels[i];
	return NULL;
}

static void add_order(struct strbuf *sb, const struct config_fencing *fencing)
{
	for (size_t i = 0; i < fencing->n_levels; i++)
		strbuf_addf(sb, "%s%s", i ? ", " : "", fencing->levels[i].name);
}

/* Levels that both have, tried in another order than before. */
static bool is_reordered(const struct config_fencing *old, const struct config_fencing *fencing)
{
	const struct config_fence_level *last = NULL, *level;

	for (size_t i = 0; i < fencing->n_levels; i++) {
		level = find_level(old, fencing->levels[i].name);
		if (level && level < last)
			return true;
		if (level)
			last = level;
	}
	return false;
}

/* Levels are in the order in which they are tried, not sorted. */
static void diff_fencing(struct diff *diff)
{
	static const struct config_fencing none;
	static const struct kind kind = { .describe = describe_fence_level };
	const struct config_fencing *old = diff->old ? &diff->old->fencing : &none;
	const struct config_fencing *fencing = &diff->new_config->fencing;

	for (size_t i = 0; i < old->n_levels; i++)
		if (!find_level(fencing, old->levels[i].name))
			add_line(diff, '-', &kind, diff->old, &old->levels[i]);
	for (size_t i = 0; i < fencing->n_levels; i++) {
		const struct config_fence_level *before = find_level(old, fencing->levels[i].name);

		if (before)
			change_fence_level(diff, before, &fencing->levels[i]);
		else
			add_line(diff, '+', &kind, diff->new_config, &fencing->levels[i]);
	}
	if (is_reordered(old, fencing)) {
		strbuf_add(diff->lines, "~ fencing: order ");
		add_order(diff->lines, old);
		strbuf_add(diff->lines, " -> ");
		add_order(diff->lines, fencing);
		strbuf_add(diff->lines, "\n");
		diff->n_lines++;
	}
}

/* --- nodes and pools ---*/

/* In the order of the list; a node with another name is another node. */
static int compare_nodes(const void *a, const void *b)
{
	const struct config_node *x = a, *y = b;

	if (x->nodeid != y->nodeid)
		return x->nodeid < y->nodeid ? -1 : 1;
	return strcmp(x->name, y->name);
}

static void describe_node(struct strbuf *line, const struct config *config, const void *item)
{
	const struct config_node *node = item;

	(void)config;
	strbuf_addf(line, "node %s (id %u, %s", node->name, node->nodeid, config_role_name(node->role));
	if (node->replication_address)
		strbuf_addf(line, ", replication %s", node->replication_address);
	strbuf_add(line, ")");
}

static bool is_node_fence_equal(const struct config_node *a, const struct config_node *b)
{
	if (a->n_fence != b->n_fence)
		return false;
	for (size_t i = 0; i < a->n_fence; i++) {
		const struct config_node_fence *x = &a->fence[i], *y = NULL;

		for (size_t j = 0; j < b->n_fence && !y; j++)
			if (is_text_equal(x->level, b->fence[j].level))
				y = &b->fence[j];
		if (!y || !are_options_equal(x->options, x->n_options, y->options, y->n_options))
			return false;
	}
	return true;
}

static void change_node(struct diff *diff, const void *x, const void *y)
{
	const struct config_node *old = x, *node = y;
	struct changes changes = { .diff = diff, .kind = "node", .name = node->name };

	change_text(&changes, "role", config_role_name(old->role), config_role_name(node->role));
	change_text(&changes, "replication_address", old->replication_address, node->replication_address);
	if (!is_node_fence_equal(old, node))
		strbuf_add(next_change(&changes), "fence options changed");
	end_changes(&changes);
}

static void describe_pool(struct strbuf *line, const struct config *config, const void *item)
{
	const struct config_pool *pool = item;

	(void)config;
	strbuf_addf(line, "pool %s (volume group %s%s%s)", pool->name, pool->vg, pool->thin_pool ? ", thin pool " : "",
		    pool->thin_pool ?: "");
}

static void change_pool(struct diff *diff, const void *x, const void *y)
{
	const struct config_pool *old = x, *pool = y;
	struct changes changes = { .diff = diff, .kind = "pool", .name = pool->name };

	change_text(&changes, "vg", old->vg, pool->vg);
	change_text(&changes, "thin_pool", old->thin_pool, pool->thin_pool);
	if (old->thin_pool && pool->thin_pool) {
		change_number(&changes, "warn_percent", old->warn_percent, pool->warn_percent);
		change_number(&changes, "error_percent", old->error_percent, pool->error_percent);
	}
	end_changes(&changes);
}

/* --- groups ---*/

static void add_group_nodes(struct strbuf *sb, const struct config *config, const struct config_group *group)
{
	for (size_t i = 0; i < CONFIG_COPIES_MAX && group->nodes[i]; i++)
		strbuf_addf(sb, "%s%s", i ? ", " : "", config_node_name(config, group->nodes[i]));
}

static void describe_group(struct strbuf *line, const struct config *config, const void *item)
{
	const struct config_group *group = item;

	strbuf_addf(line, "group %s (%s on ", group->name, config_backend_name(group->backend));
	add_group_nodes(line, config, group);
	if (group->prefer)
		strbuf_addf(line, ", prefer %s", config_node_name(config, group->prefer));
	if (group->placement != CONFIG_PLACEMENT_AUTO)
		strbuf_addf(line, ", placement %s", config_placement_name(group->placement));
	strbuf_add(line, ")");
}

static void change_group(struct diff *diff, const void *x, const void *y)
{
	const struct config_group *old = x, *group = y;
	struct changes changes = { .diff = diff, .kind = "group", .name = group->name };
	_cleanup_strbuf_ struct strbuf before = { 0 }, after = { 0 };

	change_text(&changes, "backend", config_backend_name(old->backend), config_backend_name(group->backend));
	add_group_nodes(&before, diff->old, old);
	add_group_nodes(&after, diff->new_config, group);
	change_text(&changes, "nodes", strbuf_str(&before), strbuf_str(&after));
	change_text(&changes, "prefer", old->prefer ? config_node_name(diff->old, old->prefer) : NULL,
		    group->prefer ? config_node_name(diff->new_config, group->prefer) : NULL);
	change_text(&changes, "placement", config_placement_name(old->placement),
		    config_placement_name(group->placement));
	change_number(&changes, "weight", old->weight, group->weight);
	change_text(&changes, "failback", config_failback_name(old->failback), config_failback_name(group->failback));
	change_number(&changes, "failback_delay_s", old->failback_delay_s, group->failback_delay_s);
	change_number(&changes, "takeover_limit", old->takeover_limit, group->takeover_limit);
	change_number(&changes, "port", old->port, group->port);
	change_number(&changes, "lu_gp_id", old->lu_gp_id, group->lu_gp_id);
	end_changes(&changes);
}

/* --- volumes ---*/

static void describe_volume(struct strbuf *line, const struct config *config, const void *item)
{
	const struct config_volume *volume = item;
	char size[32];

	(void)config;
	config_size_print(volume->size_bytes, " ", size);
	strbuf_addf(line, "volume %s (%s, group %s)", volume->name, size, volume->group->name);
}

static void change_volume(struct diff *diff, const void *x, const void *y)
{
	const struct config_volume *old = x, *volume = y;
	struct changes changes = { .diff = diff, .kind = "volume", .name = volume->name };
	char before[32], after[32];

	config_size_print(old->size_bytes, " ", before);
	config_size_print(volume->size_bytes, " ", after);
	change_text(&changes, "group", old->group->name, volume->group->name);
	change_text(&changes, "pool", old->pool ? old->pool->name : NULL, volume->pool ? volume->pool->name : NULL);
	change_text(&changes, "device", old->device, volume->device);
	change_text(&changes, "size", before, after);
	change_text(&changes, "serial", old->serial, volume->serial);
	change_number(&changes, "block_size", old->block_size, volume->block_size);
	change_number(&changes, "drbd_minor", old->drbd_minor, volume->drbd_minor);
	change_number(&changes, "target_lun", old->target_lun, volume->target_lun);
	change_number(&changes, "drbd_volume", old->drbd_volume, volume->drbd_volume);
	end_changes(&changes);
}

/* --- targets ---*/

static void add_portal(struct strbuf *line, const struct config *config, const struct config_portal *portal)
{
	strbuf_add(line, portal->address);
	if (portal->port) /* else a GID or WWPN */
		strbuf_addf(line, ":%u", portal->port);
	strbuf_addf(line, " on %s", config_node_name(config, portal->nodeid));
}

static void describe_target(struct strbuf *line, const struct config *config, const void *item)
{
	const struct config_target *target = item;

	strbuf_addf(line, "target %s (", target->name);
	for (size_t i = 0; i < target->n_portals; i++) {
		strbuf_add(line, i ? ", " : "");
		add_portal(line, config, &target->portals[i]);
	}
	strbuf_add(line, target->n_portals ? "" : "no portals");
	if (target->login_by != CONFIG_LOGIN_BY_PORT_ID)
		strbuf_addf(line, ", by %s", config_login_by_name(target->login_by));
	for (size_t i = 0; i < CONFIG_PARAMETERS; i++)
		if (target->parameters[i])
			strbuf_addf(line, ", %s %s", config_parameter(i)->name, target->parameters[i]);
	strbuf_add(line, ")");
}

static bool are_portals_equal(const struct config_portal *a, const struct config_portal *b)
{
	return a->nodeid == b->nodeid && a->prefix_len == b->prefix_len && a->transports == b->transports &&
	       is_text_equal(a->interface, b->interface);
}

static const struct config_portal *find_portal(const struct config_target *target, const struct config_portal *like)
{
	for (size_t i = 0; i < target->n_portals; i++)
		if (target->portals[i].port == like->port && strcmp(target->portals[i].address, like->address) == 0)
			return &target->portals[i];
	return NULL;
}

static void change_portal(struct changes *changes, const char *what, const struct config *config,
			  const struct config_portal *portal)
{
	struct strbuf *line = next_change(changes);

	strbuf_add(line, "portal ");
	add_portal(line, config, portal);
	strbuf_addf(line, " %s", what);
}

/* Said and not said differ, though it is the same today. */
static void change_parameter(struct changes *changes, const struct config_parameter *parameter, const char *old, const char *new_text)
{
	if (!is_text_equal(old, new_text))
		strbuf_addf(next_change(changes), "%s %s%s -> %s%s", parameter->name, old ?: parameter->fallback, old ? "" : " (default)",
			    new_text ?: parameter->fallback, new_text ? "" : " (default)");
}

static void change_target(struct diff *diff, const void *x, const void *y)
{
	const struct config_target *old = x, *target = y;
	struct changes changes = { .diff = diff, .kind = "target", .name = target->name };

	for (size_t i = 0; i < old->n_portals; i++)
		if (!find_portal(target, &old->portals[i]))
			change_portal(&changes, "removed", diff->old, &old->portals[i]);
	for (size_t i = 0; i < target->n_portals; i++) {
		const struct config_portal *portal = &target->portals[i];
		const struct config_portal *before = find_portal(old, portal);

		if (!before)
			change_portal(&changes, "added", diff->new_config, portal);
		else if (!are_portals_equal(before, portal))
			change_portal(&changes, "changed", diff->new_config, portal);
	}
	change_text(&changes, "login_by", config_login_by_name(old->login_by), config_login_by_name(target->login_by));
	for (size_t i = 0; i < CONFIG_PARAMETERS; i++)
		change_parameter(&changes, config_parameter(i), old->parameters[i], target->parameters[i]);
	end_changes(&changes);
}

/* --- hosts ---*/

static void describe_host(struct strbuf *line, const struct config *config, const void *item)
{
	const struct config_host *host = item;

	(void)config;
	strbuf_addf(line, "host %s (%s", host->name, config_profile_name(host->profile));
	for (size_t i = 0; i < host->n_initiators; i++)
		strbuf_addf(line, ", %s", host->initiators[i]);
	strbuf_addf(line, "%s)", host->mutual_chap.user ? ", mutual CHAP" : host->chap.user ? ", CHAP" : "");
}

static bool has_initiator(const struct config_host *host, const char *initiator)
{
	for (size_t i = 0; i < host->n_initiators; i++)
		if (strcmp(host->initiators[i], initiator) == 0)
			return true;
	return false;
}

static void change_chap(struct changes *changes, const char *what, const struct config_chap *old,
			const struct config_chap *chap)
{
	if (is_text_equal(old->user, chap->user) && is_text_equal(old->password, chap->password))
		return;
	strbuf_addf(next_change(changes), "%s %s", what, !old->user ? "added" : !chap->user ? "removed" : "changed");
}

static const char *discovery_asks_for(const struct config_discovery *discovery)
{
	if (!discovery->is_said)
		return "what the kernel has";
	return discovery->mutual_chap.user ? "mutual CHAP" : discovery->chap.user ? "CHAP" : "nothing";
}

static void diff_discovery(struct diff *diff)
{
	static const struct config_discovery unsaid;
	const struct config_discovery *old = diff->old ? &diff->old->discovery : &unsaid, *discovery = &diff->new_config->discovery;
	struct changes changes = { .diff = diff, .kind = "discovery", .name = "" };

	change_text(&changes, "asks for", discovery_asks_for(old), discovery_asks_for(discovery));
	if (old->chap.user && discovery->chap.user)
		change_chap(&changes, "chap", &old->chap, &discovery->chap);
	if (old->mutual_chap.user && discovery->mutual_chap.user)
		change_chap(&changes, "mutual chap", &old->mutual_chap, &discovery->mutual_chap);
	end_changes(&changes);
}

static void change_host(struct diff *diff, const void *x, const void *y)
{
	const struct config_host *old = x, *host = y;
	struct changes changes = { .diff = diff, .kind = "host", .name = host->name };

	change_text(&changes, "profile", config_profile_name(old->profile), config_profile_name(host->profile));
	for (size_t i = 0; i < old->n_initiators; i++)
		if (!has_initiator(host, old->initiators[i]))
			strbuf_addf(next_change(&changes), "initiator %s removed", old->initiators[i]);
	for (size_t i = 0; i < host->n_initiators; i++)
		if (!has_initiator(old, host->initiators[i]))
			strbuf_addf(next_change(&changes), "initiator %s added", host->initiators[i]);
	change_chap(&changes, "chap", &old->chap, &host->chap);
	change_chap(&changes, "mutual chap", &old->mutual_chap, &host->mutual_chap);
	end_changes(&changes);
}

/* --- host groups ---*/

static void add_group_hosts(struct strbuf *sb, const struct config_host_group *group)
{
	for (size_t i = 0; i < group->n_hosts; i++)
		strbuf_addf(sb, "%s%s", i ? ", " : "", group->hosts[i]->name);
}

static void describe_host_group(struct strbuf *line, const struct config *config, const void *item)
{
	const struct config_host_group *group = item;

	(void)config;
	strbuf_addf(line, "host group %s (", group->name);
	add_group_hosts(line, group);
	strbuf_add(line, ")");
}

static void change_host_group(struct diff *diff, const void *x, const void *y)
{
	const struct config_host_group *old = x, *group = y;
	struct changes changes = { .diff = diff, .kind = "host group", .name = group->name };
	_cleanup_strbuf_ struct strbuf before = { 0 }, after = { 0 };

	add_group_hosts(&before, old);
	add_group_hosts(&after, group);
	change_text(&changes, "hosts", strbuf_str(&before), strbuf_str(&after));
	end_changes(&changes);
}

/* --- mappings: by host, target and LUN ---*/

static int compare_mappings(const void *a, const void *b)
{
	const struct config_mapping *x = a, *y = b;
	int rc = strcmp(x->host->name, y->host->name);

	if (!rc)
		rc = strcmp(x->target->name, y->target->name);
	if (!rc)
		rc = x->lun < y->lun ? -1 : x->lun > y->lun;
	return rc;
}

static void describe_mapping(struct strbuf *line, const struct config *config, const void *item)
{
	const struct config_mapping *mapping = item;

	(void)config;
	strbuf_addf(line, "mapping of volume %s to host %s (LUN %u, target %s)", mapping->volume->name,
		    mapping->host->name, mapping->lun, mapping->target->name);
}

static const char *group_name(const struct config_mapping *mapping)
{
	return mapping->host_group ? mapping->host_group->name : NULL;
}

/* Another volume behind a LUN is another mapping: the host must let go of the first. */
static void change_mapping(struct diff *diff, const void *x, const void *y)
{
	static const struct kind kind = { .describe = describe_mapping };
	const struct config_mapping *old = x, *mapping = y;
	struct changes changes = { .diff = diff, .kind = "mapping of volume", .name = mapping->volume->name };

	if (strcmp(old->volume->name, mapping->volume->name) == 0) {
		if (is_text_equal(group_name(old), group_name(mapping)))
			return;
		strbuf_addf(next_change(&changes), "for host %s by host group %s -> %s", mapping->host->name, group_name(old) ?: "none",
			    group_name(mapping) ?: "none");
		end_changes(&changes);
		return;
	}
	add_line(diff, '-', &kind, diff->old, old);
	add_line(diff, '+', &kind, diff->new_config, mapping);
}

static void diff_srp(struct diff *diff)
{
	struct changes changes = { .diff = diff, .kind = "srp", .name = "" };

	change_number(&changes, "rdma_cm_port", diff->old ? diff->old->srp_rdma_cm_port : 0, diff->new_config->srp_rdma_cm_port);
	end_changes(&changes);
}

size_t config_diff(const struct config *old, const struct config *new_config, struct strbuf *ret_lines)
{
	static const struct kind node = { sizeof(struct config_node), compare_nodes, describe_node, change_node };
	static const struct kind pool = { sizeof(struct config_pool), config_compare_names, describe_pool,
					  change_pool };
	static const struct kind group = { sizeof(struct config_group), config_compare_names, describe_group,
					   change_group };
	static const struct kind volume = { sizeof(struct config_volume), config_compare_names, describe_volume,
					    change_volume };
	static const struct kind target = { sizeof(struct config_target), config_compare_names, describe_target,
					    change_target };
	static const struct kind host = { sizeof(struct config_host), config_compare_names, describe_host,
					  change_host };
	static const struct kind host_group = { sizeof(struct config_host_group), config_compare_names, describe_host_group,
						change_host_group };
	static const struct kind mapping = { sizeof(struct config_mapping), compare_mappings, describe_mapping,
					     change_mapping };
	struct diff diff = { .old = old, .new_config = new_config, .lines = ret_lines };

	diff_cluster(&diff);
	diff_fencing(&diff);
	diff_discovery(&diff);
	diff_srp(&diff);
	DIFF_LISTS(&diff, &node, nodes);
	DIFF_LISTS(&diff, &pool, pools);
	DIFF_LISTS(&diff, &group, groups);
	DIFF_LISTS(&diff, &volume, volumes);
	DIFF_LISTS(&diff, &target, targets);
	DIFF_LISTS(&diff, &host, hosts);
	DIFF_LISTS(&diff, &host_group, host_groups);
	DIFF_LISTS(&diff, &mapping, mappings);
	return diff.n_lines;
}
