// SPDX-License-Identifier: GPL-2.0-or-later
/* What is known of each volume's reservations, and what follows from it for the node. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/daemon/reservations_internal.h"
#include "agent/daemon/work.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "target-config/lio/cfs.h"

#define WORK_DEADLINE_MS 10000

char *rvolume_known_path(const struct reservations *r, const char *serial)
{
	return xasprintf("%s/pr-known/%s", r->agent->settings.run_dir, serial);
}

/* Where it is, or would be. */
static size_t place_in(const struct reservations *r, const char *serial)
{
	size_t low = 0, high = r->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(r->volumes[middle]->serial, serial) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct rvolume *rvolume_find(const struct reservations *r, const char *serial)
{
	size_t at = place_in(r, serial);

	return at < r->n && strcmp(r->volumes[at]->serial, serial) == 0 ? r->volumes[at] : NULL;
}

struct agroup *rvolume_group(const struct reservations *r, const struct rvolume *v)
{
	return v->name[0] ? agent_group(r->agent, v->group) : NULL;
}

/* In /run: it has to live exactly as long as what the kernel knows. */
void rvolume_set_known(struct reservations *r, struct rvolume *v, const struct pr_table *table)
{
	_cleanup_free_ char *path = rvolume_known_path(r, v->serial);
	_cleanup_strbuf_ struct strbuf text = { 0 };
	int rc;

	pr_table_print(table, &text);
	set_table(&v->known, table);
	v->knows = true;
	v->differs = false;
	rc = file_replace(path, strbuf_str(&text), text.len, 0600);
	if (rc < 0)
		log_warning("volume %s: cannot write %s: %s", v->name, path, strerror(-rc));
}

/* What this node is for a volume. Until the gates are open, and after they are closed, the owner's kernel decides nothing. The heir is to
 * take over and has not begun, and nobody serves: a command that it can judge is decided then, all others are refused. */
enum place rvolume_place(const struct reservations *r, const struct rvolume *v)
{
	const struct agroup *group = rvolume_group(r, v);
	struct ha_group_view view;

	if (!group || ha_core_find_group(r->agent->core, v->group, &view) < 0 || view.owner != agent_me(r->agent) ||
	    view.phase == HA_PHASE_FREE)
		return PLACE_OTHER;
	if (group->duty == DUTY_ACQUIRE && !group->job && !group->serving)
		return PLACE_HEIR;
	return group->serving ? PLACE_OWNER : PLACE_CHANGING;
}

int rvolume_parse(const void *data, size_t size, struct pr_table *ret, struct err *err)
{
	_cleanup_free_ char *text = xcalloc(1, size + 1);

	memcpy(text, data, size);
	return pr_table_parse(text, size + 1, ret, err);
}

/* --- the records -------------------------------------------------------------------------------------------------------------------*/

void rvolume_request(struct reservations *r, const struct rvolume *v, const struct pr_table *table, uint64_t request_id)
{
	_cleanup_pr_table_ struct pr_table written = { 0 };
	_cleanup_strbuf_ struct strbuf text = { 0 };
	struct ha_core_view view;

	ha_core_view(r->agent->core, &view);
	pr_table_copy(table, &written);
	pr_table_seen_by_all(&written);
	pr_table_print(&written, &text);
	agent_step(r->agent, &(struct ha_event){ .type = HA_EV_REQUEST, .request = HA_REQ_RECORD, .group = v->group, .text = v->serial,
						 .data = strbuf_str(&text), .size = text.len, .base_version = view.committed,
						 .request_id = request_id });
}

/* Whether there is one that can be read. */
bool rvolume_read_record(struct reservations *r, struct rvolume *v)
{
	struct pr_table table = { 0 };
	struct ha_record_view record;
	struct err err = ERR_INIT;

	if (ha_core_record(r->agent->core, v->group, v->serial, &record) < 0 || !record.settled || record.changed == v->changed)
		return v->changed != 0;
	if (rvolume_parse(record.data, record.size, &table, &err) < 0) {
		log_err("volume %s: the cluster's table of reservations cannot be read here: %s", v->name, err.text);
		return false;
	}
	pr_table_seen_from(&table, agent_me(r->agent));
	pr_table_done(&v->cluster);
	v->cluster = table;
	v->changed = record.changed;
	v->changed_ms = clock_now_ms();
	return true;
}

static struct rvolume *track(struct reservations *r, const char *serial)
{
	size_t at = place_in(r, serial);
	struct rvolume *v;

	if (at < r->n && strcmp(r->volumes[at]->serial, serial) == 0)
		return r->volumes[at];
	v = xcalloc(1, sizeof(*v));
	v->serial = xstrdup(serial);
	*array_push(r->volumes, r->n, r->cap) = v;
	memmove(&r->volumes[at + 1], &r->volumes[at], (r->n - 1 - at) * sizeof(*r->volumes));
	r->volumes[at] = v;
	return v;
}

static void look_at_document(struct reservations *r)
{
	const struct config *config = r->agent->config->config;

	for (size_t i = 0; i < r->n; i++)
		r->volumes[i]->name[0] = '\0';
	for (size_t i = 0; i < config->n_volumes; i++) {
		const struct config_volume *volume = &config->volumes[i];
		struct rvolume *v;

		if (!config_group_has_node(volume->group, agent_me(r->agent)))
			continue;
		v = track(r, volume->serial);
		snprintf(v->name, sizeof(v->name), "%s", volume->name);
		snprintf(v->group, sizeof(v->group), "%s", volume->group->name);
	}
	hosts_publish(r);
	r->published = r->agent->config->version;
}

static void look_at_records(struct reservations *r)
{
	r->any = r->questions != NULL;
	for (size_t i = 0; i < r->n; i++) {
		struct rvolume *v = r->volumes[i];

		if (v->name[0])
			ignore_result(rvolume_read_record(r, v));
		r->any |= v->changed || v->differs;
	}
}

bool rvolume_is_behind(const struct rvolume *v)
{
	if (!v->name[0] || !v->checked)
		return false;
	return v->differs || (v->changed && (!v->knows || !pr_table_equal(&v->known, &v->cluster)));
}

/* --- the owner's own affairs -------------------------------------------------------------------------------------------------------*/

struct forget_job {
	struct config_ref *config;
	struct lio_roots roots;
	uint32_t me;
	char name[CONFIG_NAME_MAX + 1];
	char *serial;
};

static int run_forget(void *ctx, struct err *err)
{
	struct forget_job *job = ctx;
	struct lio_scope scope = { .nodeid = job->me };
	char **ports = NULL;
	int rc;

	if (lio_ports_wanted(job->config->config, job->me))
		lio_ports_read("/sys", true, &ports, &scope.n_ports);
	scope.ports = (const char *const *)ports;
	rc = lio_forget_reservations(&job->roots, job->config->config, &scope, job->name, err);
	cfs_names_free(ports, scope.n_ports);
	return rc;
}

static void forgotten(void *owner, void *ctx, int result, const struct err *err)
{
	static const struct pr_table nobody;
	struct reservations *r = owner;
	struct forget_job *job = ctx;
	struct rvolume *v = rvolume_find(r, job->serial);

	if (result < 0)
		log_err("volume %s: the kernel has not forgotten its reservations: %s", job->name, err->text);
	v->forgetting = false;
	for (struct question *q = r->questions, *next; q; q = next) { /* they speak of what is gone */
		next = q->next;
		if (strcmp(q->serial, v->serial) == 0 && !q->refusing && !q->request_id)
			question_refuse(r, q, v, "an operator removed all reservations");
	}
	if (result == 0) {
		rvolume_set_known(r, v, &nobody);
		log_notice("volume %s: all reservations removed", job->name);
	} else {
		v->knows = false; /* not tried again and again: hosts are unmapped each time */
	}
	config_ref_put(job->config);
	free(job->serial);
	free(job);
}

static void start_forgetting(struct reservations *r, struct rvolume *v)
{
	struct forget_job *job = xcalloc(1, sizeof(*job));

	*job = (struct forget_job){ .config = config_ref_get(r->agent->config), .roots.configfs = r->agent->settings.configfs,
				    .me = agent_me(r->agent), .serial = xstrdup(v->serial) };
	snprintf(job->name, sizeof(job->name), "%s", v->name);
	v->forgetting = true;
	work_start(r->agent->loop, "removing reservations", clock_now_ms() + WORK_DEADLINE_MS, run_forget, job, forgotten, NULL, r);
}

/* The new owner says what its kernel has got of what was registered through its ports: others must not change that any more. */
static void tidy(struct reservations *r, struct rvolume *v)
{
	_cleanup_pr_table_ struct pr_table table = { 0 };

	pr_table_copy(&v->cluster, &table);
	if (pr_table_note_loaded(&table, &v->known)) {
		v->tidy_id = ++r->agent->next_request_id;
		rvolume_request(r, v, &table, v->tidy_id);
	}
}

static void look_after_own(struct reservations *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct rvolume *v = r->volumes[i];

		if (!v->name[0] || !v->changed || !v->knows || v->tidy_id || v->forgetting || questions_any(r, v) ||
		    rvolume_place(r, v) != PLACE_OWNER)
			continue;
		if (v->cluster.n == 0 && v->known.n > 0)
			start_forgetting(r, v);
		else
			tidy(r, v);
	}
}

void reservations_start(struct agent *agent)
{
	struct reservations *r = xcalloc(1, sizeof(*r));

	r->agent = agent;
	pthread_mutex_init(&r->lock, NULL);
	agent->reservations = r;
}

void reservations_turn(struct agent *agent, bool changed)
{
	struct reservations *r = agent->reservations;

	if (!r || !agent->config)
		return;
	if (r->published != agent->config->version) {
		look_at_document(r);
		changed = true;
	}
	if (!r->prfs && clock_now_ms() >= r->connect_ms) {
		questions_connect(r);
		changed |= r->prfs != NULL;
	}
	if (changed)
		look_at_records(r);
	if (!r->prfs) {
		agent_turn_by(agent, r->connect_ms);
		return;
	}
	if (!r->any && !r->questions)
		return;
	r->any = true;
	questions_decide(r);
	look_after_own(r);
}

/* --- what the others want to know ----------------------------------------------------------------------------------------------------*/

static bool is_needed(const struct agent *agent)
{
	return reservations_on(agent) && agent->reservations->any;
}

static bool is_of(const struct rvolume *v, const struct agroup *group)
{
	return v->name[0] && strcmp(v->group, group->name) == 0;
}

bool reservations_missing(const struct agroup *group)
{
	struct reservations *r = group->agent->reservations;

	for (size_t i = 0; r && !r->prfs && r->any && i < r->n; i++) {
		struct rvolume *v = r->volumes[i];

		if (!is_of(v, group) || v->cluster.n == 0)
			continue;
		if (!v->said_missing)
			log_err("volume %s: hosts have reservations, which this node cannot keep: it does not take group %s over until "
				"lunward-pr.service runs here", v->name, group->name);
		v->said_missing = true;
		return true;
	}
	return false;
}

bool reservations_hold_acquire(const struct agroup *group)
{
	const struct reservations *r = group->agent->reservations;

	for (size_t i = 0; is_needed(group->agent) && i < r->n; i++) {
		const struct rvolume *v = r->volumes[i];

		/* What is in the kernel that has not been looked at, nobody knows: the keeper may have come just now. */
		if (is_of(v, group) && (rvolume_is_behind(v) || questions_any(r, v) || (v->changed && !v->checked)))
			return true;
	}
	return false;
}

bool reservations_load_failed(const struct agroup *group)
{
	const struct reservations *r = group->agent->reservations;

	for (size_t i = 0; is_needed(group->agent) && i < r->n; i++) {
		if (is_of(r->volumes[i], group) && r->volumes[i]->load_failed && rvolume_is_behind(r->volumes[i]))
			return true;
	}
	return false;
}

bool reservations_unsure(const struct agroup *group)
{
	const struct reservations *r = group->agent->reservations;

	for (size_t i = 0; is_needed(group->agent) && i < r->n; i++) {
		const struct rvolume *v = r->volumes[i];

		if (is_of(v, group) && v->changed && v->checked && !v->knows && !v->forgetting && !questions_any(r, v))
			return true;
	}
	return false;
}

static bool is_held_through_here(const struct reservations *r, const struct rvolume *v)
{
	const struct tree *tree = &r->agent->tree;

	for (size_t i = 0; i < tree->n_scope; i++) {
		if (pr_table_holds_through(&v->cluster, tree->scope[i]))
			return true;
	}
	return false;
}

bool rvolume_may_mislead(const struct reservations *r, const struct rvolume *v)
{
	if (!rvolume_is_behind(v))
		return false;
	if (v->differs || !v->knows)
		return true;
	return pr_table_compare(&v->known, &v->cluster).reservation && (v->known.type || is_held_through_here(r, v));
}

bool reservations_refuse(const struct agroup *group)
{
	const struct reservations *r = group->agent->reservations;

	for (size_t i = 0; is_needed(group->agent) && i < r->n; i++) {
		const struct rvolume *v = r->volumes[i];

		if (is_of(v, group) && (rvolume_place(r, v) == PLACE_OTHER ? rvolume_may_mislead(r, v) || questions_moving(r, v) : questions_debt(r, v)))
			return true;
	}
	return false;
}

/* --- operators -------------------------------------------------------------------------------------------------------------------*/

static json_t *registration_json(const struct pr_registration *reg)
{
	char key[24];

	snprintf(key, sizeof(key), "0x%llx", (unsigned long long)reg->key);
	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:b, s:b, s:b}", "initiator", reg->initiator, "isid", reg->isid, "key", key, "target",
			 reg->target, "node", reg->tpgt, "lun", (int)reg->mapped_lun, "holder", reg->holder, "all_target_ports", reg->all_tg_pt,
			 "waits_for_move", reg->unloaded);
}

/* A kernel that serves cannot be given what hosts have registered through other nodes' ports: each of those says that it waits. */
static bool is_in_step(const struct reservations *r, const struct rvolume *v)
{
	_cleanup_pr_table_ struct pr_table loaded = { 0 };

	if (!v->checked || questions_any(r, v))
		return false;
	if (!rvolume_is_behind(v) || v->differs || !v->knows || rvolume_place(r, v) != PLACE_OWNER)
		return !rvolume_is_behind(v);
	pr_table_loaded(&v->cluster, &loaded);
	return pr_table_equal(&v->known, &loaded);
}

static const struct rvolume *by_name(const struct reservations *r, const char *name)
{
	for (size_t i = 0; r && i < r->n; i++) {
		if (strcmp(r->volumes[i]->name, name) == 0)
			return r->volumes[i];
	}
	return NULL;
}

json_t *reservations_json(const struct agent *agent, const char *volume)
{
	const struct reservations *r = agent->reservations;
	const struct rvolume *v = by_name(r, volume);
	json_t *list;

	if (!v)
		return NULL;
	list = json_array();
	for (size_t i = 0; i < v->cluster.n; i++)
		json_array_append_new(list, registration_json(&v->cluster.registrations[i]));
	return json_pack("{s:s, s:s, s:s, s:I, s:s, s:b, s:o}", "volume", v->name, "group", v->group, "serial", v->serial, "version",
			 (json_int_t)v->changed, "type", pr_type_name(v->cluster.type), "in_step", is_in_step(r, v), "registrations", list);
}

int reservations_clear(struct agent *agent, const char *volume, uint64_t request_id, struct err *err)
{
	static const struct pr_table nobody;
	struct reservations *r = agent->reservations;
	const struct rvolume *v = reservations_on(agent) ? by_name(r, volume) : NULL;

	if (!v)
		return err_set(err, -ENOENT, "no volume \"%s\" whose reservations this node keeps", volume);
	if (!v->changed || v->cluster.n == 0)
		return -EALREADY;
	log_warning("volume %s: an operator removes all reservations", v->name);
	rvolume_request(r, v, &nobody, request_id);
	return 0;
}
