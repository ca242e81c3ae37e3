// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The cluster's table into this node's kernel. A kernel takes it only into a device that is not exported, so the tree job builds the device
 * anew; what it had before is known from what this process, or its predecessor, has seen.
 */
#include <stdlib.h>

#include "agent/daemon/reservations_internal.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"

#define DEBOUNCE_MS 5000 /* a host registers path after path, for each of which fence_scsi takes its time and does not look what came of it */

struct reservation_load {
	char *serial, *volume;
	struct pr_table table;
	char **lines;
	bool anew, was_there, is_there;
	char *listing;
};

/* A device that serves, or that holds what hosts have sent, is not taken out; nor is one that a job of the group is at. */
static bool may_rebuild(const struct reservations *r, const struct rvolume *v)
{
	const struct agroup *group = rvolume_group(r, v);

	return group && !group->serving && !group->holding && !group->job && group->inspected;
}

static bool is_urgent(const struct reservations *r, const struct rvolume *v)
{
	const struct agroup *group = rvolume_group(r, v);

	return rvolume_may_mislead(r, v) || (group && group->duty == DUTY_ACQUIRE);
}

static bool is_due(const struct reservations *r, const struct rvolume *v, int64_t now_ms)
{
	return rvolume_is_behind(v) && may_rebuild(r, v) && !questions_moving(r, v) && (is_urgent(r, v) || now_ms >= v->changed_ms + DEBOUNCE_MS);
}

bool reservations_due(struct agent *agent)
{
	struct reservations *r = agent->reservations;
	int64_t now_ms = clock_now_ms();
	bool due = false;

	for (size_t i = 0; reservations_on(agent) && i < r->n; i++) {
		const struct rvolume *v = r->volumes[i];

		due |= v->name[0] && (!v->checked || is_due(r, v, now_ms));
		if (rvolume_is_behind(v) && !is_due(r, v, now_ms) && may_rebuild(r, v))
			agent_turn_by(agent, v->changed_ms + DEBOUNCE_MS);
	}
	return due;
}

static void add_load(const struct reservations *r, const struct rvolume *v, struct reservation_load *load)
{
	*load = (struct reservation_load){ .serial = xstrdup(v->serial), .volume = xstrdup(v->name),
					   .anew = v->checked && is_due(r, v, clock_now_ms()) };
	pr_table_copy(&v->cluster, &load->table);
	load->lines = xcalloc(load->table.n + 1, sizeof(*load->lines));
}

void reservations_word(struct reservation_load *loads, size_t n, const struct config *config, const struct lio_scope *scope)
{
	size_t n_ports;
	struct pr_port *ports = node_ports(config, scope, &n_ports);

	for (size_t k = 0; k < n; k++) {
		_cleanup_pr_table_ struct pr_table table = { 0 };

		pr_table_copy(&loads[k].table, &table);
		pr_table_to_kernel(&table, ports, n_ports);
		for (size_t i = 0; i < table.n; i++) {
			_cleanup_strbuf_ struct strbuf line = { 0 };

			pr_registration_load(&table, &table.registrations[i], &line);
			loads[k].lines[i] = strbuf_steal(&line);
		}
	}
	node_ports_free(ports, n_ports);
}

struct reservation_load *reservations_plan(struct agent *agent, size_t *ret_n, struct lio_reservations **ret_specs, size_t *ret_n_specs)
{
	struct reservations *r = agent->reservations;
	struct reservation_load *loads = NULL;
	size_t n = 0;

	*ret_specs = NULL;
	*ret_n_specs = 0;
	if (reservations_on(agent) && r->n) {
		loads = xcalloc(r->n, sizeof(*loads));
		*ret_specs = xcalloc(r->n, sizeof(**ret_specs));
		for (size_t i = 0; i < r->n; i++) {
			const struct rvolume *v = r->volumes[i];

			if (v->name[0] && (!v->checked || v->cluster.n || rvolume_is_behind(v)))
				add_load(r, v, &loads[n++]);
		}
	}
	for (size_t i = 0; i < n; i++) {
		if (loads[i].table.n || loads[i].anew)
			(*ret_specs)[(*ret_n_specs)++] =
				(struct lio_reservations){ .volume = loads[i].volume, .anew = loads[i].anew,
							   .lines = (const char *const *)loads[i].lines, .n_lines = loads[i].table.n };
	}
	*ret_n = n;
	return loads;
}

void reservations_observe(struct reservation_load *loads, size_t n, const struct lio_roots *roots, bool after)
{
	for (size_t i = 0; i < n; i++) {
		bool there = lio_has_backstore(roots, loads[i].volume);

		if (after)
			loads[i].is_there = there;
		else
			loads[i].was_there = there;
		if (!after && there && lio_registrations(roots, loads[i].volume, &loads[i].listing) < 0)
			loads[i].listing = NULL;
	}
}

/* The kernel's state is older than this process: what a predecessor wrote down, if the kernel does not say otherwise. */
static void believe_predecessor(struct reservations *r, struct rvolume *v, const struct reservation_load *load)
{
	_cleanup_free_ char *path = rvolume_known_path(r, v->serial);
	_cleanup_free_ char *text = NULL;
	struct pr_table table = { 0 };
	struct err err = ERR_INIT;
	size_t size = 0;

	if (load->listing && pr_table_is_listed(&table, load->listing)) /* nobody */
		rvolume_set_known(r, v, &table);
	else if (file_read(path, PR_TEXT_MAX, &text, &size) == 0 && rvolume_parse(text, size, &table, &err) == 0 &&
		 (!load->listing || pr_table_is_listed(&table, load->listing)))
		rvolume_set_known(r, v, &table);
	else
		log_warning("volume %s: it is not known which reservations this node's kernel has", v->name);
	pr_table_done(&table);
}

static void take_load(struct reservations *r, struct rvolume *v, const struct reservation_load *load, bool built)
{
	if (load->is_there && (!load->was_there || (load->anew && built))) {
		rvolume_set_known(r, v, &load->table);
		v->load_failed = false;
		if (load->table.n || load->anew)
			log_notice("volume %s: %zu registrations loaded into this node's kernel", v->name, load->table.n);
		v->checked = true;
	} else if (load->anew) {
		v->load_failed = true;
	} else if (!v->checked && load->was_there) {
		believe_predecessor(r, v, load);
		v->checked = true;
	} else if (built) {
		v->checked = true;
	}
}

void reservations_planned(struct agent *agent, struct reservation_load *loads, struct lio_reservations *specs, size_t n, bool built)
{
	struct reservations *r = agent->reservations;

	for (size_t i = 0; i < n; i++) {
		struct rvolume *v = rvolume_find(r, loads[i].serial);

		if (v)
			take_load(r, v, &loads[i], built);
		for (size_t k = 0; k < loads[i].table.n; k++)
			free(loads[i].lines[k]);
		free(loads[i].lines);
		pr_table_done(&loads[i].table);
		free(loads[i].serial);
		free(loads[i].volume);
		free(loads[i].listing);
	}
	free(loads);
	free(specs);
}
