// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/metrics.h"

#include <stdbool.h>
#include <string.h>

#include "agent/cli/json.h"
#include "base/strbuf.h"

#define MIB 1048576.0

struct out {
	struct strbuf sb;
	const json_t *status;
};

static bool is(const json_t *object, const char *key, const char *value)
{
	return strcmp(json_text(object, key), value) == 0;
}

static void family(struct out *out, const char *name, const char *type, const char *help)
{
	strbuf_addf(&out->sb, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Backslash, quote and newline are written as the text format wants them. */
static void label(struct out *out, char before, const char *name, const char *value)
{
	strbuf_addf(&out->sb, "%c%s=\"", before, name);
	for (const char *c = value; *c; c++) {
		if (*c == '\n')
			strbuf_add(&out->sb, "\\n");
		else
			strbuf_addf(&out->sb, "%s%c", *c == '\\' || *c == '"' ? "\\" : "", *c);
	}
	strbuf_add(&out->sb, "\"");
}

/* A sample; labels a and b may be NULL. */
static void sample(struct out *out, const char *name, const char *a, const char *a_value, const char *b, const char *b_value,
		   double value)
{
	strbuf_add(&out->sb, name);
	if (a)
		label(out, '{', a, a_value);
	if (b)
		label(out, ',', b, b_value);
	strbuf_addf(&out->sb, "%s %.15g\n", a ? "}" : "", value);
}

static void plain(struct out *out, const char *name, const char *type, const char *help, double value)
{
	family(out, name, type, help);
	sample(out, name, NULL, NULL, NULL, NULL, value);
}

static double number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

static void add_cluster(struct out *out)
{
	const json_t *problem;
	size_t i, n_errors = 0, n_warnings = 0;

	json_array_foreach (json_object_get(out->status, "problems"), i, problem) {
		n_errors += is(problem, "severity", "error");
		n_warnings += is(problem, "severity", "warning");
	}
	family(out, "lunward_build_info", "gauge", "Version of the lunwardd that answered, as a label.");
	sample(out, "lunward_build_info", "version", json_text(out->status, "version"), NULL, NULL, 1);
	plain(out, "lunward_quorate", "gauge", "Whether this node has quorum.",
	      json_is_true(json_object_get(out->status, "quorate")));
	plain(out, "lunward_active", "gauge", "Whether a majority of agents takes part: changes are possible.",
	      json_is_true(json_object_get(out->status, "active")));
	plain(out, "lunward_config_version", "gauge", "Version of the document in force.", number(out->status, "config_version"));
	family(out, "lunward_problems", "gauge", "What lunward status complains about, by severity.");
	sample(out, "lunward_problems", "severity", "error", NULL, NULL, (double)n_errors);
	sample(out, "lunward_problems", "severity", "warning", NULL, NULL, (double)n_warnings);
}

typedef void add_fn(struct out *out, const char *name, const json_t *object);

static void for_each(struct out *out, const char *list, const char *metric, const char *type, const char *help, add_fn *add)
{
	const json_t *object;
	size_t i;

	family(out, metric, type, help);
	json_array_foreach (json_object_get(out->status, list), i, object)
		add(out, metric, object);
}

/* One of several states: a series each, one of them 1, so that a change of state is no change of series. */
static void states(struct out *out, const char *metric, const char *what, const json_t *object, const char *key,
		   const char *const *words)
{
	for (; *words; words++)
		sample(out, metric, what, json_text(object, "name"), key, *words, is(object, key, *words));
}

static void node_state(struct out *out, const char *metric, const json_t *node)
{
	static const char *const words[] = { "up", "away", "down", NULL };

	states(out, metric, "node", node, "state", words);
}

static void node_unproven(struct out *out, const char *metric, const json_t *node)
{
	sample(out, metric, "node", json_text(node, "name"), NULL, NULL,
	       is(node, "state", "down") && is(node, "evidence", "none"));
}

static void node_errors(struct out *out, const char *metric, const json_t *node)
{
	sample(out, metric, "node", json_text(node, "name"), NULL, NULL, (double)json_array_size(json_object_get(node, "errors")));
}

/* A node that does not look has no sample: absence is not health. */
static void node_health(struct out *out, const char *metric, const json_t *node)
{
	const json_t *faults = json_object_get(node, "health");

	if (json_is_array(faults))
		sample(out, metric, "node", json_text(node, "name"), NULL, NULL, (double)json_array_size(faults));
}

/* Of the node that answers: the others tell no figures. */
static void pools_used(struct out *out, const char *metric, const json_t *node, const char *key)
{
	const json_t *pool;
	size_t i;

	json_array_foreach (json_object_get(node, "pools"), i, pool) {
		if (json_object_get(pool, key))
			sample(out, metric, "node", json_text(node, "name"), "pool", json_text(pool, "pool"), number(pool, key) / 100);
	}
}

static void pools_data(struct out *out, const char *metric, const json_t *node)
{
	pools_used(out, metric, node, "data_percent");
}

static void pools_metadata(struct out *out, const char *metric, const json_t *node)
{
	pools_used(out, metric, node, "metadata_percent");
}

static bool pool_has_error(const json_t *pool)
{
	return is(pool, "data", "error") || is(pool, "metadata", "error") || *json_text(pool, "health");
}

static bool pool_has_warning(const json_t *pool)
{
	return is(pool, "data", "warning") || is(pool, "metadata", "warning") || pool_has_error(pool);
}

/* What is not known has no sample: absence is not health. */
static void pools_state(struct out *out, const char *metric, const json_t *node, bool (*has)(const json_t *pool))
{
	const json_t *pool;
	size_t i;

	json_array_foreach (json_object_get(node, "pools"), i, pool) {
		if (!is(pool, "data", "unknown"))
			sample(out, metric, "node", json_text(node, "name"), "pool", json_text(pool, "pool"), has(pool));
	}
}

static void pools_warning(struct out *out, const char *metric, const json_t *node)
{
	pools_state(out, metric, node, pool_has_warning);
}

static void pools_error(struct out *out, const char *metric, const json_t *node)
{
	pools_state(out, metric, node, pool_has_error);
}

static void node_portals_away(struct out *out, const char *metric, const json_t *node)
{
	if (is(node, "role", "storage"))
		sample(out, metric, "node", json_text(node, "name"), NULL, NULL, !is(node, "portals_at", json_text(node, "name")));
}

static void group_phase(struct out *out, const char *metric, const json_t *group)
{
	static const char *const words[] = { "free", "acquiring", "owned", "releasing", "orphaned", NULL };

	states(out, metric, "group", group, "phase", words);
}

static void group_owner(struct out *out, const char *metric, const json_t *group)
{
	const json_t *node;
	size_t i;

	json_array_foreach (json_object_get(group, "nodes"), i, node) {
		const char *name = json_is_string(node) ? json_string_value(node) : "";

		sample(out, metric, "group", json_text(group, "name"), "node", name, is(group, "owner", name));
	}
}

static void group_spares(struct out *out, const char *metric, const json_t *group)
{
	const json_t *node;
	size_t i, n = 0;

	json_array_foreach (json_object_get(group, "current"), i, node) {
		const char *name = json_is_string(node) ? json_string_value(node) : "";

		n += json_names(json_object_get(group, "ready"), name) && !is(group, "owner", name);
	}
	sample(out, metric, "group", json_text(group, "name"), NULL, NULL, (double)n);
}

/* Not "owner changed" by itself, which no sample shows: the epoch grows with each change. */
static void group_epoch(struct out *out, const char *metric, const json_t *group)
{
	sample(out, metric, "group", json_text(group, "name"), NULL, NULL, number(group, "epoch"));
}

static void group_resync(struct out *out, const char *metric, const json_t *group)
{
	const json_t *copy;
	size_t i;

	json_array_foreach (json_object_get(group, "copies"), i, copy) {
		if (json_is_number(json_object_get(copy, "resync_percent")))
			sample(out, metric, "group", json_text(group, "name"), "node", json_text(copy, "node"),
			       number(copy, "resync_percent") / 100);
	}
}

static void volume_size(struct out *out, const char *metric, const json_t *group)
{
	const json_t *volume;
	size_t i;

	json_array_foreach (json_object_get(group, "volumes"), i, volume)
		sample(out, metric, "group", json_text(group, "name"), "volume", json_text(volume, "name"),
		       number(volume, "size_bytes"));
}

/* --- what the kernel target of this node counts -----------------------------------------------------------------------*/

static void add_sessions(struct out *out, const json_t *counters)
{
	const json_t *target;
	double n = 0;
	size_t i;

	json_array_foreach (json_object_get(counters, "targets"), i, target)
		n += number(target, "sessions");
	family(out, "lunward_sessions", "gauge", "Sessions that hosts have with this node.");
	sample(out, "lunward_sessions", "node", json_text(counters, "node"), NULL, NULL, n);
}

static void add_volume_counter(struct out *out, const json_t *counters, const char *metric, const char *help, const char *key, double unit)
{
	const json_t *volume;
	size_t i;

	family(out, metric, "counter", help);
	json_array_foreach (json_object_get(counters, "volumes"), i, volume)
		sample(out, metric, "group", json_text(volume, "group"), "volume", json_text(volume, "volume"), number(volume, key) * unit);
}

static void add_counters(struct out *out, const json_t *counters)
{
	add_sessions(out, counters);
	add_volume_counter(out, counters, "lunward_volume_commands_total", "SCSI commands that came to a volume at this node.", "commands", 1);
	add_volume_counter(out, counters, "lunward_volume_read_bytes_total", "Read from a volume at this node, in whole MiB.", "read_mib", MIB);
	add_volume_counter(out, counters, "lunward_volume_written_bytes_total", "Written to a volume at this node, in whole MiB.",
			   "written_mib", MIB);
	add_volume_counter(out, counters, "lunward_volume_resets_total", "Resets of a volume that hosts asked of this node.", "resets", 1);
}

char *metrics_render(const json_t *status, const json_t *counters)
{
	struct out out = { .status = status };

	plain(&out, "lunward_up", "gauge", "Whether lunwardd of this node answers.", status != NULL);
	if (status) {
		add_cluster(&out);
		for_each(&out, "nodes", "lunward_node_state", "gauge", "State of a node: 1 for the one it is in.", node_state);
		for_each(&out, "nodes", "lunward_node_down_unproven", "gauge",
			 "Whether a node is down without proof that it is off: nothing it served is taken over.", node_unproven);
		for_each(&out, "nodes", "lunward_node_errors", "gauge", "Errors that a node reports about itself.", node_errors);
		for_each(&out, "nodes", "lunward_health_faults", "gauge",
			 "What lasts of what a node finds when it looks at its own portals as a host does.", node_health);
		for_each(&out, "nodes", "lunward_thin_pool_data_used_ratio", "gauge",
			 "Part of the data of a thin pool of this node that is in use.", pools_data);
		for_each(&out, "nodes", "lunward_thin_pool_metadata_used_ratio", "gauge",
			 "Part of the metadata of a thin pool of this node that is in use.", pools_metadata);
		for_each(&out, "nodes", "lunward_thin_pool_warning", "gauge",
			 "Whether the data or metadata of a thin pool are fuller than the warn_percent of the document.", pools_warning);
		for_each(&out, "nodes", "lunward_thin_pool_error", "gauge",
			 "Whether they are fuller than the error_percent of the document, or the pool does not work.", pools_error);
		for_each(&out, "nodes", "lunward_node_portals_away", "gauge",
			 "Whether the portals of a storage node are served by another one, or by nobody.", node_portals_away);
		for_each(&out, "groups", "lunward_group_phase", "gauge", "Phase of a group: 1 for the one it is in.", group_phase);
		for_each(&out, "groups", "lunward_group_owner", "gauge", "Whether a node has a group.", group_owner);
		for_each(&out, "groups", "lunward_group_spares", "gauge", "Nodes that could take the group over now.", group_spares);
		for_each(&out, "groups", "lunward_group_epoch_total", "counter", "Changes of ownership of a group.", group_epoch);
		for_each(&out, "groups", "lunward_group_copy_synced_ratio", "gauge",
			 "Part of a copy that is in sync, while DRBD tells.", group_resync);
		for_each(&out, "groups", "lunward_volume_size_bytes", "gauge", "Size of a volume.", volume_size);
	}
	if (counters)
		add_counters(&out, counters);
	return strbuf_steal(&out.sb);
}
