// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Status as text. The first line is the verdict, the second what to do about it; then groups, nodes, problems.
 * OK: everything is served and nothing is amiss. DEGRADED: everything is served. DOWN: something is not.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/cli/json.h"
#include "agent/cli/page.h"
#include "agent/cli/render.h"
#include "base/cleanup.h"
#include "base/xalloc.h"

static bool is_phase(const json_t *group, const char *a, const char *b)
{
	return strcmp(json_text(group, "phase"), a) == 0 || strcmp(json_text(group, "phase"), b) == 0;
}

/* --- verdict ----------------------------------------------------------------------------------------------------------*/

static const json_t *first_problem(const json_t *status, const char *severity)
{
	const json_t *problem;
	size_t i;

	json_array_foreach (json_object_get(status, "problems"), i, problem) {
		if (strcmp(json_text(problem, "severity"), severity) == 0)
			return problem;
	}
	return NULL;
}

/* "group a is", "groups a, b are": those in one of two phases; returns how many. */
static size_t name_groups(const json_t *status, const char *phase_a, const char *phase_b, struct strbuf *sb)
{
	const json_t *group;
	size_t i, n = 0;

	json_array_foreach (json_object_get(status, "groups"), i, group) {
		if (is_phase(group, phase_a, phase_b))
			strbuf_addf(sb, "%s%s", n++ ? ", " : "", json_text(group, "name"));
	}
	return n;
}

static void add_verdict(struct page *page, enum page_colour colour, const char *word, const char *reason,
			const json_t *problem)
{
	int indent = (int)strlen(word) + 1;

	if (problem)
		page_add(page, indent, colour, word, "%s%s%s: %s", reason, reason[0] ? "; " : "", json_text(problem, "object"),
			 json_text(problem, "text"));
	else
		page_add(page, indent, colour, word, "%s", reason);
	if (problem && json_text(problem, "remedy")[0])
		page_add(page, 6, PAGE_BOLD, "  do:", "%s", json_text(problem, "remedy"));
}

/* Returns the problem that was told, NULL if none. */
static const json_t *verdict(struct page *page, const json_t *status)
{
	_cleanup_strbuf_ struct strbuf unserved = { 0 }, moving = { 0 };
	_cleanup_free_ char *reason = NULL;
	size_t n_groups = json_array_size(json_object_get(status, "groups"));
	size_t n_nodes = json_array_size(json_object_get(status, "nodes"));
	size_t n_unserved = name_groups(status, "free", "orphaned", &unserved);
	size_t n_moving = name_groups(status, "acquiring", "releasing", &moving);
	const json_t *problem = first_problem(status, "error");

	if (!problem)
		problem = first_problem(status, "warning");
	if (!json_is_true(json_object_get(status, "quorate"))) {
		add_verdict(page, PAGE_BAD, "DOWN:", problem ? "" : "this node has no quorum and serves nothing", problem);
	} else if (n_unserved) {
		reason = n_groups == 1 ? xasprintf("group %s is not served", strbuf_str(&unserved)) :
					 xasprintf("%zu of %zu groups not served: %s", n_unserved, n_groups, strbuf_str(&unserved));
		add_verdict(page, PAGE_BAD, "DOWN:", reason, problem);
	} else if (n_moving) {
		reason = xasprintf("on the move: %s", strbuf_str(&moving));
		/* That ownership moves is said by the daemon as a warning, too: only what is worse is worth a line. */
		problem = first_problem(status, "error");
		add_verdict(page, PAGE_WARN, "DEGRADED:", reason, problem);
	} else if (problem) {
		reason = n_groups > 1 ? xasprintf("all %zu groups are served", n_groups) :
					xstrdup(n_groups ? "the group is served" : "no groups");
		add_verdict(page, PAGE_WARN, "DEGRADED:", reason, problem);
	} else if (!json_is_true(json_object_get(status, "active"))) {
		add_verdict(page, PAGE_WARN, "DEGRADED:", "the agents have not agreed on a membership; nothing can be changed", NULL);
	} else {
		reason = xasprintf("%zu nodes, %zu group%s, all served, no problems", n_nodes, n_groups, n_groups == 1 ? "" : "s");
		add_verdict(page, PAGE_GOOD, "OK:", reason, NULL);
	}
	return problem;
}

/* --- groups -----------------------------------------------------------------------------------------------------------*/

static void add_size(struct strbuf *sb, double bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	size_t unit = 0;

	while (bytes >= 1024 && unit + 1 < ARRAY_SIZE(units)) {
		bytes /= 1024;
		unit++;
	}
	strbuf_addf(sb, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

static void add_volumes(struct strbuf *sb, const json_t *group)
{
	const json_t *volumes = json_object_get(group, "volumes"), *volume;
	double bytes = 0;
	size_t i;

	json_array_foreach (volumes, i, volume)
		bytes += json_number_value(json_object_get(volume, "size_bytes"));
	strbuf_addf(sb, "%zu volume%s, ", json_array_size(volumes), json_array_size(volumes) == 1 ? "" : "s");
	add_size(sb, bytes);
}

static void group_line(struct page *page, const json_t *status, const json_t *group)
{
	_cleanup_strbuf_ struct strbuf sb = { 0 };
	_cleanup_free_ char *lead = xasprintf("  %s", json_text(group, "name"));
	const char *owner = json_text(group, "owner"), *to = json_text(group, "to");
	const char *since = json_text(json_object_get(group, "last_change"), "started");
	enum page_colour colour = PAGE_WARN;

	if (!json_is_true(json_object_get(status, "quorate"))) {
		strbuf_addf(&sb, owner[0] ? "when there was quorum: %s by %s" : "when there was quorum: %s",
			    json_text(group, "phase"), owner);
	} else if (is_phase(group, "owned", "owned")) {
		strbuf_addf(&sb, "served by %s", owner);
		if (since[0])
			strbuf_addf(&sb, " since %.10s %.8s UTC", since, strlen(since) > 11 ? since + 11 : "");
		colour = PAGE_GOOD;
	} else if (is_phase(group, "acquiring", "acquiring")) {
		strbuf_addf(&sb, "MOVING: %s is taking it; hosts wait", owner);
	} else if (is_phase(group, "releasing", "releasing")) {
		strbuf_addf(&sb, to[0] ? "MOVING: %s is releasing it to %s; hosts wait" : "being released by %s", owner, to);
	} else {
		colour = PAGE_BAD;
		strbuf_addf(&sb, owner[0] ? "NOT SERVED: %s, last owner %s" : "NOT SERVED: %s", json_text(group, "phase"), owner);
	}
	strbuf_add(&sb, " (");
	add_volumes(&sb, group);
	strbuf_add(&sb, ")");
	page_add(page, 6, colour, lead, "%s", strbuf_str(&sb));
	if (json_text(group, "reason")[0])
		page_add(page, 6, PAGE_PLAIN, "     ", "%s", json_text(group, "reason"));
}

static const json_t *copy_of(const json_t *group, const char *node)
{
	return json_find(json_object_get(group, "copies"), "node", node);
}

static const char *node_state(const json_t *status, const char *name)
{
	return json_text(json_find(json_object_get(status, "nodes"), "name", name), "state");
}

/* Can it take over, and if not, why not. */
static const char *copy_verdict(const json_t *status, const json_t *group, const char *node)
{
	bool current = json_names(json_object_get(group, "current"), node), ready = json_names(json_object_get(group, "ready"), node);
	bool owner = strcmp(json_text(group, "owner"), node) == 0;
	const char *state = node_state(status, node);

	if (strcmp(state, "down") == 0)
		return current ? "node is down" : "node is down, LACKS WRITES";
	if (owner && json_is_true(json_object_get(status, "quorate")) && is_phase(group, "owned", "releasing"))
		return is_phase(group, "owned", "owned") ? "serves" : "is releasing it";
	if (owner && is_phase(group, "acquiring", "acquiring"))
		return "is taking it";
	if (!current)
		return "LACKS WRITES";
	if (strcmp(state, "away") == 0)
		return "agent is away";
	return ready ? "spare" : "current, not ready";
}

static void copy_line(struct page *page, const json_t *status, const json_t *group, const char *node, int name_width)
{
	_cleanup_strbuf_ struct strbuf sb = { 0 };
	_cleanup_free_ char *lead = xasprintf("      %-*s", name_width, node);
	const json_t *copy = copy_of(group, node), *percent = json_object_get(copy, "resync_percent");
	static const char *const keys[] = { "role", "disk", "connection" };
	bool good = json_names(json_object_get(group, "current"), node) && json_names(json_object_get(group, "ready"), node);

	strbuf_add(&sb, copy_verdict(status, group, node));
	if (json_is_number(percent) && json_number_value(percent) < 100)
		strbuf_addf(&sb, ", resync %.1f %%", json_number_value(percent));
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (json_text(copy, keys[i])[0])
			strbuf_addf(&sb, ", %s", json_text(copy, keys[i]));
	}
	if (json_text(json_object_get(group, "alua"), node)[0])
		strbuf_addf(&sb, ", hosts see %s", json_text(json_object_get(group, "alua"), node));
	page_add(page, 8, good ? PAGE_PLAIN : PAGE_WARN, lead, " %s", strbuf_str(&sb));
}

static int longest(const json_t *strings)
{
	const json_t *item;
	size_t i, n = 0;

	json_array_foreach (strings, i, item)
		n = MAX(n, json_string_length(item));
	return (int)MIN(n, (size_t)40);
}

static void change_line(struct page *page, const json_t *group)
{
	const json_t *change = json_object_get(group, "last_change"), *total = json_object_get(change, "total_ms");
	const char *from = json_text(change, "from"), *kind = json_text(change, "kind");

	if (!json_is_integer(total))
		return;
	page_add(page, 8, PAGE_PLAIN, "     ", "last %s: %s%s%s, %" JSON_INTEGER_FORMAT " ms", kind[0] ? kind : "change", from,
		 from[0] ? " -> " : "", json_text(change, "to"), json_integer_value(total));
}

static void groups(struct page *page, const json_t *status)
{
	const json_t *group, *node;
	size_t i, k;

	if (json_array_size(json_object_get(status, "groups")) == 0)
		return;
	page_blank(page);
	page_add(page, 0, PAGE_BOLD, "Groups", "%s", "");
	json_array_foreach (json_object_get(status, "groups"), i, group) {
		const json_t *nodes = json_object_get(group, "nodes");

		group_line(page, status, group);
		json_array_foreach (nodes, k, node) {
			if (json_is_string(node))
				copy_line(page, status, group, json_string_value(node), longest(nodes));
		}
		change_line(page, group);
	}
}

/* --- nodes and problems -----------------------------------------------------------------------------------------------*/

static void node_line(struct page *page, const json_t *status, const json_t *node, int name_width)
{
	_cleanup_free_ char *lead = xasprintf("  %-*s", name_width, json_text(node, "name"));
	_cleanup_strbuf_ struct strbuf sb = { 0 };
	const char *state = json_text(node, "state"), *evidence = json_text(node, "evidence");
	const char *portals_at = json_text(node, "portals_at");
	json_int_t applied = json_integer_value(json_object_get(node, "config_applied"));
	json_int_t watchdog_ms = json_integer_value(json_object_get(node, "watchdog_ms"));
	bool up = strcmp(state, "up") == 0;

	strbuf_addf(&sb, "%-4s  %s", state, json_text(node, "role"));
	if (!up && evidence[0] && strcmp(evidence, "none") != 0)
		strbuf_addf(&sb, ", proven off (%s)", evidence);
	else if (strcmp(state, "down") == 0 && json_is_true(json_object_get(status, "quorate")))
		strbuf_add(&sb, ", NOT PROVEN OFF");
	if (strcmp(json_text(node, "role"), "storage") == 0 && portals_at[0] &&
	    strcmp(portals_at, json_text(node, "name")) != 0)
		strbuf_addf(&sb, ", its portals are at %s", portals_at);
	if (up && strcmp(json_text(node, "role"), "storage") == 0 &&
	    applied < json_integer_value(json_object_get(status, "config_version")))
		strbuf_addf(&sb, ", still at configuration %" JSON_INTEGER_FORMAT, applied);
	if (watchdog_ms)
		strbuf_addf(&sb, ", watchdog %" JSON_INTEGER_FORMAT " s", (watchdog_ms + 999) / 1000);
	if (strcmp(json_text(status, "node"), json_text(node, "name")) == 0)
		strbuf_add(&sb, " (here)");
	page_add(page, name_width + 10, up ? PAGE_PLAIN : strcmp(state, "down") == 0 ? PAGE_BAD : PAGE_WARN, lead, " %s",
		 strbuf_str(&sb));
}

static void nodes(struct page *page, const json_t *status)
{
	const json_t *list = json_object_get(status, "nodes"), *node;
	size_t i, width = 0;

	if (json_array_size(list) == 0)
		return;
	page_blank(page);
	page_add(page, 0, PAGE_BOLD, "Nodes", "%s", "");
	json_array_foreach (list, i, node)
		width = MAX(width, strlen(json_text(node, "name")));
	json_array_foreach (list, i, node)
		node_line(page, status, node, (int)MIN(width, (size_t)40));
}

static void problems(struct page *page, const json_t *status, const json_t *told)
{
	const json_t *list = json_object_get(status, "problems"), *problem;
	size_t i;

	/* One that the verdict told is not told again, unless it is among others. */
	if (json_array_size(list) == 0 || (told && json_array_size(list) == 1))
		return;
	page_blank(page);
	page_add(page, 0, PAGE_BOLD, "Problems", "%s", "");
	json_array_foreach (list, i, problem) {
		bool error = strcmp(json_text(problem, "severity"), "error") == 0;

		page_add(page, 4, error ? PAGE_BAD : PAGE_WARN, error ? "  error:" : "  warning:", "%s: %s",
			 json_text(problem, "object"), json_text(problem, "text"));
		if (json_text(problem, "remedy")[0])
			page_add(page, 8, PAGE_BOLD, "    do:", "%s", json_text(problem, "remedy"));
	}
}

static void footer(struct page *page, const json_t *status)
{
	const char *cluster = json_text(status, "cluster");

	page_blank(page);
	page_add(page, 2, PAGE_PLAIN, cluster[0] ? "Cluster" : "", "%s%sseen from %s: %s, configuration %" JSON_INTEGER_FORMAT
		 ", lunwardd %s", cluster, cluster[0] ? ", " : "", json_text(status, "node"),
		 json_is_true(json_object_get(status, "quorate")) ? "quorate" : "NOT QUORATE",
		 json_integer_value(json_object_get(status, "config_version")), json_text(status, "version"));
}

char *render_status(const json_t *status, bool colour)
{
	struct page page = { .width = PAGE_WIDTH, .colour = colour };
	const json_t *told;

	told = verdict(&page, status);
	groups(&page, status);
	nodes(&page, status);
	problems(&page, status, told);
	footer(&page, status);
	return strbuf_steal(&page.text);
}
