// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Threads: LIO's questions come in the thread of prfs and are decided in the loop. In the former, and in the workers started here, nothing
 * may wait for LIO, which may be waiting for the answer; cutting connections must work also while the loop does not.
 */
#include "agent/daemon/reservations.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/daemon/work.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "target-config/portal/cut.h"
#include "target-config/pr/pr.h"
#include "target-config/prfs/hand.h"
#include "target-config/prfs/prfs.h"

#define LIMIT_MS 1500      /* LIO may be spinning while it waits (facts of core_scsi3_pro_preempt()) */
#define LONG_LIMIT_MS 4000 /* where the group has to move first, or this agent has to look at the kernel; a PREEMPT of the sender spins as long */
#define STAYS_MS 3000      /* a group that has changed hands is left there for so long: hosts that pick different ports would play ball */
#define AGAIN_MS 20        /* a decision was overtaken: on what is agreed by then */
#define DEBOUNCE_MS 300    /* changes come in bursts; each load sends the hosts of the standby paths to sleep for a moment */
#define CONNECT_MS 5000
#define WORK_DEADLINE_MS 10000

/* --- what is kept --------------------------------------------------------------------------------------------------------------*/

struct end {
	char *address;
	uint16_t port;
};

struct way { /* on which the hosts of a volume come */
	char *serial, *volume;
	struct end *ends;
	size_t n_ends, cap_ends;
};

struct question {
	struct question *next;
	struct reservations *r;
	uint64_t ticket;
	char *serial;
	struct pr_table table; /* what the kernel has now */
	struct err unreadable; /* code 0: it could be parsed */
	char *listing;         /* the kernel's registrations when the question came; NULL: not known */
	int64_t asked_ms, again_ms;
	uint64_t request_id;   /* the core has not answered yet */
	struct pr_table before, want; /* of the request */
	bool refusing;         /* a worker cuts the host off */
	bool answered;         /* the host was cut off; the table is still to follow the kernel */
	bool came_to_other;    /* through the port of a node that did not own the group */
	bool moving;           /* the group was asked for, so that this node may decide it */
	uint64_t move_id;      /* of that request, until it is answered */
};

struct rvolume {
	char *serial;
	char name[CONFIG_NAME_MAX + 1], group[HA_NAME_SIZE]; /* "": gone from the document */
	struct pr_table cluster; /* the record */
	uint64_t changed;        /* its version, 0: there is none */
	int64_t changed_ms;
	bool checked;            /* a tree job has looked at the kernel in this life */
	bool knows;              /* `known` is what this node's kernel has, as far as the cluster agreed to it */
	struct pr_table known;
	bool differs;            /* the kernel has what the cluster did not agree to */
	bool load_failed;
	bool said_missing;
	bool forgetting;
	uint64_t tidy_id;
};

struct reservations {
	struct agent *agent;
	struct prfs *prfs; /* NULL: off */
	int64_t connect_ms;
	char said[ERR_TEXT_SIZE];
	struct rvolume **volumes;
	size_t n, cap;
	struct question *questions; /* in the order they came */
	uint64_t published;  /* version of the document that `ways` and the names are of */
	bool any;            /* some volume has a table, or needs care: else nobody has to look */
	pthread_mutex_t lock; /* guards ways */
	struct way *ways;
	size_t n_ways, cap_ways;
};

static char *known_path(const struct reservations *r, const char *serial)
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

static struct rvolume *find(const struct reservations *r, const char *serial)
{
	size_t at = place_in(r, serial);

	return at < r->n && strcmp(r->volumes[at]->serial, serial) == 0 ? r->volumes[at] : NULL;
}

static struct agroup *group_of(const struct reservations *r, const struct rvolume *v)
{
	return v->name[0] ? agent_group(r->agent, v->group) : NULL;
}

static void set_table(struct pr_table *table, const struct pr_table *to)
{
	struct pr_table copy;

	pr_table_copy(to, &copy);
	pr_table_done(table);
	*table = copy;
}

/* In /run: it has to live exactly as long as what the kernel knows. */
static void set_known(struct reservations *r, struct rvolume *v, const struct pr_table *table)
{
	_cleanup_free_ char *path = known_path(r, v->serial);
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

static int parse(const void *data, size_t size, struct pr_table *ret, struct err *err)
{
	_cleanup_free_ char *text = xcalloc(1, size + 1);

	memcpy(text, data, size);
	return pr_table_parse(text, size + 1, ret, err);
}

/* --- cutting hosts off -----------------------------------------------------------------------------------------------------------*/

static void free_ways(struct reservations *r)
{
	for (size_t i = 0; i < r->n_ways; i++) {
		struct way *way = &r->ways[i];

		for (size_t k = 0; k < way->n_ends; k++)
			free(way->ends[k].address);
		free(way->ends);
		free(way->serial);
		free(way->volume);
	}
	r->n_ways = 0;
}

static void add_ends(struct way *way, const struct config_target *target)
{
	for (size_t i = 0; i < target->n_portals; i++) {
		struct end *end = array_push(way->ends, way->n_ends, way->cap_ends);

		end->address = xstrdup(target->portals[i].address);
		end->port = target->portals[i].port;
	}
}

/* All portals of a volume's targets: those that are not here now have no connections here. */
static void publish(struct reservations *r)
{
	const struct config *config = r->agent->config->config;

	pthread_mutex_lock(&r->lock);
	free_ways(r);
	for (size_t i = 0; i < config->n_volumes; i++) {
		struct way *way = array_push(r->ways, r->n_ways, r->cap_ways);

		way->serial = xstrdup(config->volumes[i].serial);
		way->volume = xstrdup(config->volumes[i].name);
		for (size_t k = 0; k < config->n_mappings; k++) {
			if (config->mappings[k].volume == &config->volumes[i])
				add_ends(way, config->mappings[k].target);
		}
	}
	pthread_mutex_unlock(&r->lock);
}

/* Any thread. No serial: prfs could not tell whose it is, so everybody; a host that hears GOOD is worse than many that connect again. A
 * serial that is in no document is another's, who keeps his reservations in the same folder: none of our hosts. */
static int cut(struct reservations *r, const char *serial, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; rc == 0 && i < r->n_ways; i++) {
		const struct way *way = &r->ways[i];

		for (size_t k = 0; rc == 0 && k < way->n_ends && (!*serial || strcmp(way->serial, serial) == 0); k++)
			rc = portal_cut(way->ends[k].address, way->ends[k].port, NULL, err);
	}
	pthread_mutex_unlock(&r->lock);
	return rc;
}

static void note_late(void *ctx);

struct late_note {
	struct reservations *r;
	uint64_t ticket;
};

/* In prfs' thread; the loop may be hanging. What cannot be cut is not answered either: it would be GOOD. */
static void on_late(void *ctx, uint64_t ticket, const char *serial)
{
	struct reservations *r = ctx;
	struct prfs *prfs = __atomic_load_n(&r->prfs, __ATOMIC_ACQUIRE);
	_cleanup_free_ char *path = known_path(r, serial);
	struct late_note *note = xcalloc(1, sizeof(*note));
	const struct timespec pause = { .tv_nsec = 100000000 };
	struct err err = ERR_INIT;

	ignore_result(unlink(path)); /* a successor must not believe it */
	for (unsigned int i = 0; cut(r, serial, &err) < 0; i++) {
		if (i % 50 == 0)
			log_err("reservations of %s: a change is not agreed in time, and its host cannot be cut off: %s", serial, err.text);
		nanosleep(&pause, NULL);
	}
	/* Not a failure: after one LIO no longer tells (pr_aptpl_active). Nobody hears it. */
	if (prfs)
		ignore_result(prfs_answer(prfs, ticket, 0));
	*note = (struct late_note){ r, ticket };
	loop_post(r->agent->loop, note_late, note);
}

struct refusal {
	struct reservations *r;
	uint64_t ticket;
	char *serial;
	struct config_ref *config;
	struct lio_roots roots;
	char group[HA_NAME_SIZE];
	uint32_t ports[2 * HA_NODES_MAX];
	size_t n_ports; /* to be put in transition first */
};

/* ALUA states can be written while a command waits: they wait for none. First that, so that who comes back finds the door shut. */
static int run_refusal(void *ctx, struct err *err)
{
	struct refusal *refusal = ctx;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < refusal->n_ports; i++) {
		rc = lio_alua_set(&refusal->roots, refusal->config->config, refusal->group, refusal->ports[i], LIO_ALUA_TRANSITIONING, err);
		rc = rc == -ENOENT ? 0 : rc;
	}
	return rc < 0 ? rc : cut(refusal->r, refusal->serial, err);
}

static struct question **question_at(struct reservations *r, uint64_t ticket)
{
	struct question **at = &r->questions;

	while (*at && (*at)->ticket != ticket)
		at = &(*at)->next;
	return at;
}

static void drop(struct reservations *r, struct question *q)
{
	struct question **at = question_at(r, q->ticket);

	*at = q->next;
	pr_table_done(&q->table);
	pr_table_done(&q->before);
	pr_table_done(&q->want);
	free(q->serial);
	free(q->listing);
	free(q);
}

static void refused(void *owner, void *ctx, int result, const struct err *err)
{
	struct reservations *r = owner;
	struct refusal *refusal = ctx;
	struct question *q = *question_at(r, refusal->ticket);

	if (result < 0) /* the limit comes, and tries until it succeeds */
		log_err("reservations of %s: cannot cut off the host: %s", refusal->serial, err->text);
	else
		ignore_result(prfs_answer(r->prfs, refusal->ticket, 0)); /* as above: no failure */
	if (q && (result == 0 || q->answered)) {
		drop(r, q);
	} else if (q) {
		q->refusing = false;
		q->again_ms = clock_now_ms() + AGAIN_MS * 10;
	}
	config_ref_put(refusal->config);
	free(refusal->serial);
	free(refusal);
}

static size_t own_ports(const struct agent *agent, uint32_t *ret)
{
	size_t n = 0;

	ret[n++] = agent_me(agent);
	for (size_t i = 0; i < agent->tree.n_scope; i++) {
		if (agent->tree.scope[i] != agent_me(agent))
			ret[n++] = agent->tree.scope[i];
	}
	return n;
}

static void cut_off(struct reservations *r, struct question *q, const struct rvolume *v, bool is_owner)
{
	struct refusal *refusal = xcalloc(1, sizeof(*refusal));

	*refusal = (struct refusal){ .r = r, .ticket = q->ticket, .serial = xstrdup(q->serial), .config = config_ref_get(r->agent->config),
				     .roots.configfs = r->agent->settings.configfs };
	if (v && v->name[0] && !is_owner) {
		struct agroup *group = group_of(r, v);

		snprintf(refusal->group, sizeof(refusal->group), "%s", v->group);
		refusal->n_ports = own_ports(r->agent, refusal->ports);
		if (group)
			group->alua_valid = false; /* whatever is under way may undo it */
	}
	q->refusing = true;
	work_start(r->agent->loop, "cutting off a host", clock_now_ms() + WORK_DEADLINE_MS, run_refusal, refusal, refused, NULL, r);
}

/* --- decisions ---------------------------------------------------------------------------------------------------------------------*/

enum place { PLACE_OWNER, PLACE_OTHER, PLACE_CHANGING, PLACE_HEIR };

/* What this node is for a volume. Until the gates are open, and after they are closed, the owner's kernel decides nothing. The heir is to
 * take over and has not begun, and nobody serves: a command that it can judge is decided then, all others are refused. */
static enum place place_of(const struct reservations *r, const struct rvolume *v)
{
	const struct agroup *group = group_of(r, v);
	struct ha_group_view view;

	if (!group || ha_core_find_group(r->agent->core, v->group, &view) < 0 || view.owner != agent_me(r->agent) ||
	    view.phase == HA_PHASE_FREE)
		return PLACE_OTHER;
	if (group->duty == DUTY_ACQUIRE && !group->job && !group->serving)
		return PLACE_HEIR;
	return group->serving ? PLACE_OWNER : PLACE_CHANGING;
}

/* A REGISTER or a changed key and nothing else: LIO tells the host that it has failed, and goes on telling us what follows. */
static bool fails_openly(const struct rvolume *v, const struct question *q)
{
	struct pr_change change;

	if (!v || !v->knows || v->known.n == 0 || q->unreadable.code)
		return false;
	change = pr_table_compare(&v->known, &q->table);
	return (change.n_added || change.n_rekeyed) && !change.n_removed && !change.reservation;
}

static void refuse(struct reservations *r, struct question *q, struct rvolume *v, const char *why)
{
	bool is_owner = v && place_of(r, v) == PLACE_OWNER;

	log_warning("volume %s: a change of reservations is refused: %s", v && v->name[0] ? v->name : q->serial, why);
	r->any = true;
	if (v)
		v->differs |= !v->knows || q->unreadable.code || !pr_table_equal(&v->known, &q->table);
	if (q->answered) {
		drop(r, q);
	} else if (fails_openly(v, q)) {
		ignore_result(prfs_answer(r->prfs, q->ticket, -EIO));
		drop(r, q);
	} else {
		cut_off(r, q, v, is_owner);
	}
}

static void log_change(const struct rvolume *v, const struct question *q)
{
	_cleanup_strbuf_ struct strbuf lines = { 0 };

	pr_table_describe(&q->before, &q->want, &lines);
	for (const char *s = strbuf_str(&lines); *s;) {
		int len = (int)strcspn(s, "\n");

		log_notice("volume %s: %.*s (version %llu, the host waited %lld ms%s)", v->name, len, s, (unsigned long long)v->changed,
			   (long long)(clock_now_ms() - q->asked_ms), q->answered ? ", and was cut off" : "");
		s += len + (s[len] == '\n');
	}
}

static void tell_good(struct reservations *r, const struct question *q)
{
	if (!q->answered)
		ignore_result(prfs_answer(r->prfs, q->ticket, 0)); /* too late: its host is cut off, and the table is right all the same */
}

static void answer_good(struct reservations *r, struct question *q)
{
	tell_good(r, q);
	drop(r, q);
}

/* The kernel's snapshots are written in no certain order. What had come before one that is the kernel's own state is in it. */
static void answer_overtaken(struct reservations *r, const struct question *last)
{
	for (struct question *q = r->questions, *next; q && q != last; q = next) {
		next = q->next;
		if (strcmp(q->serial, last->serial) == 0 && !q->refusing)
			answer_good(r, q);
	}
}

static void agreed(struct reservations *r, struct question *q, struct rvolume *v)
{
	set_known(r, v, &q->table);
	tell_good(r, q);
	answer_overtaken(r, q);
	log_change(v, q);
	drop(r, q);
}

static bool is_overtaken(const struct question *q)
{
	return !q->unreadable.code && q->listing && !pr_table_is_listed(&q->table, q->listing);
}

static uint64_t request_record(struct reservations *r, const struct rvolume *v, const struct pr_table *table, uint64_t request_id)
{
	_cleanup_strbuf_ struct strbuf text = { 0 };
	struct ha_core_view view;

	ha_core_view(r->agent->core, &view);
	pr_table_print(table, &text);
	agent_step(r->agent, &(struct ha_event){ .type = HA_EV_REQUEST, .request = HA_REQ_RECORD, .group = v->group, .text = v->serial,
						 .data = strbuf_str(&text), .size = text.len, .base_version = view.committed,
						 .request_id = request_id });
	return request_id;
}

static int merge(const struct reservations *r, const struct rvolume *v, const struct question *q, enum place place, struct pr_table *ret,
		 struct err *err)
{
	_cleanup_pr_table_ struct pr_table cluster = { 0 };

	if (q->unreadable.code) {
		*err = q->unreadable;
		return err->code;
	}
	if (place == PLACE_OWNER) {
		pr_table_copy(&v->cluster, &cluster);
		if (v->knows)
			pr_table_note_loaded(&cluster, &v->known);
		return pr_merge_owner(&cluster, &q->table, ret, err);
	}
	if (!v->knows || v->differs)
		return err_set(err, -EPERM, "this node's kernel has not got the whole table");
	if (place == PLACE_HEIR)
		return pr_merge_heir(&v->cluster, &v->known, &q->table, ret, err);
	return pr_merge_other(&v->cluster, &v->known, &q->table, agent_me(r->agent), ret, err);
}

static bool read_record(struct reservations *r, struct rvolume *v);

/* Neither others' wishes nor a group that has just come are overruled. */
static bool may_ask_for_group(const struct reservations *r, const struct rvolume *v, const struct ha_group_view *view, int64_t now_ms)
{
	const struct agroup *group = group_of(r, v);

	return group && view->phase == HA_PHASE_OWNED && view->owner && !agent_pacemaker_places(r->agent, v->group) &&
	       now_ms >= group->epoch_since_ms + STAYS_MS;
}

/* The answer may come at once, and refuse the question. */
static void ask_for_group(struct reservations *r, struct question *q, const struct rvolume *v)
{
	log_notice("volume %s: a host changes reservations through a path of this node: group %s is to move here", v->name, v->group);
	q->move_id = ++r->agent->next_request_id;
	agent_step(r->agent, &(struct ha_event){ .type = HA_EV_REQUEST, .request = HA_REQ_MOVE, .group = v->group,
						 .nodeid = agent_me(r->agent), .request_id = q->move_id });
}

/*
 * A change that only the owner may make, and this node would make the same: it becomes the owner, and then decides. So hosts are served
 * whose multipath software sends such commands through any path (mpathpersist of multipath-tools 0.9). Whether the question waits for that.
 */
static bool waits_for_group(struct reservations *r, struct question *q, struct rvolume *v, int64_t now_ms)
{
	_cleanup_pr_table_ struct pr_table result = { 0 };
	struct ha_group_view view;
	struct err err = ERR_INIT;
	bool comes;

	if (!q->came_to_other || q->answered || q->unreadable.code || ha_core_find_group(r->agent->core, v->group, &view) < 0)
		return false;
	if (q->moving && (q->move_id || (view.phase == HA_PHASE_RELEASING && view.to == agent_me(r->agent))))
		return true;
	if (q->moving || merge(r, v, q, PLACE_HEIR, &result, &err) < 0)
		return false;
	comes = view.phase == HA_PHASE_RELEASING && view.to == agent_me(r->agent); /* for another volume */
	if ((!comes && !may_ask_for_group(r, v, &view, now_ms)) || prfs_prolong(r->prfs, q->ticket, LONG_LIMIT_MS) < 0)
		return false;
	q->moving = true;
	if (!comes)
		ask_for_group(r, q, v);
	return true;
}

static void decide(struct reservations *r, struct question *q, struct rvolume *v, int64_t now_ms)
{
	enum place place = v ? place_of(r, v) : PLACE_OTHER;
	struct err err = ERR_INIT;
	int rc;

	if (!v && *q->serial) {
		log_info("reservations of %s: not one of our volumes", q->serial);
		ignore_result(prfs_answer(r->prfs, q->ticket, -EIO));
		drop(r, q);
		return;
	}
	if (!v || !v->name[0]) {
		refuse(r, q, v, "the volume is not in the document in force here");
		return;
	}
	if (place == PLACE_OTHER && q->answered) { /* who owns it now decides */
		v->differs = true;
		drop(r, q);
		return;
	}
	if (place == PLACE_CHANGING || v->forgetting || !v->checked || now_ms < q->again_ms) /* the limit ends that */
		return;
	ignore_result(read_record(r, v));
	pr_table_done(&q->want);
	rc = merge(r, v, q, place, &q->want, &err);
	if (rc == -EPERM && place == PLACE_OTHER && waits_for_group(r, q, v, now_ms))
		return;
	if (rc < 0) {
		refuse(r, q, v, err.text);
		return;
	}
	set_table(&q->before, &v->cluster);
	q->again_ms = now_ms + AGAIN_MS;
	q->request_id = ++r->agent->next_request_id;
	request_record(r, v, &q->want, q->request_id);
}

/* One at a time for a volume: what comes next is decided on what came of it. */
static void decide_next(struct reservations *r, const char *serial, int64_t now_ms)
{
	struct rvolume *v = find(r, serial);
	struct question *next = NULL;

	for (struct question *q = r->questions; q; q = q->next) {
		if (strcmp(q->serial, serial) != 0)
			continue;
		if (q->request_id || q->refusing)
			return;
		if (is_overtaken(q)) {
			if (v && v->knows && pr_table_is_listed(&v->known, q->listing) && !v->differs) {
				answer_good(r, q);
				return;
			}
			continue; /* the one that overtook it comes, or the limit */
		}
		if (!next || next->answered) /* a newer one says what the kernel has better than one whose host is gone */
			next = q;
	}
	if (next)
		decide(r, next, v, now_ms);
}

static void decide_all(struct reservations *r)
{
	int64_t now_ms = clock_now_ms();
	_cleanup_free_ struct question **all = NULL;
	size_t n = 0, cap = 0;

	for (struct question *q = r->questions; q; q = q->next)
		*array_push(all, n, cap) = q;
	for (size_t i = 0; i < n; i++) {
		bool still_there = false;

		for (struct question *q = r->questions; q && !still_there; q = q->next)
			still_there = q == all[i];
		if (still_there)
			decide_next(r, all[i]->serial, now_ms);
	}
	if (r->questions)
		agent_turn_by(r->agent, now_ms + AGAIN_MS);
}

static bool may_try_again(int result)
{
	return result == -ESTALE || result == -ENOTCONN || result == -EAGAIN || result == -ETIMEDOUT;
}

bool reservations_reply(struct agent *agent, uint64_t request_id, int result, const char *text)
{
	struct reservations *r = agent->reservations;

	for (size_t i = 0; r && i < r->n; i++) {
		if (r->volumes[i]->tidy_id != request_id)
			continue;
		r->volumes[i]->tidy_id = 0; /* refused: the next turn sees */
		return true;
	}
	for (struct question *q = r ? r->questions : NULL; q; q = q->next) {
		struct rvolume *v = find(r, q->serial);

		if (q->move_id == request_id) {
			q->move_id = 0;
			if (result < 0 && result != -EALREADY)
				refuse(r, q, v, text ? text : "");
			return true;
		}
		if (q->request_id != request_id)
			continue;
		q->request_id = 0;
		ignore_result(v && read_record(r, v));
		if (result == 0 && v)
			agreed(r, q, v);
		else if (!may_try_again(result))
			refuse(r, q, v, text ? text : "");
		return true;
	}
	return false;
}

/* --- questions come ----------------------------------------------------------------------------------------------------------------*/

static void arrived(void *ctx)
{
	struct question *q = ctx, **at = &q->r->questions;
	const struct rvolume *v = find(q->r, q->serial);

	q->came_to_other = v && place_of(q->r, v) == PLACE_OTHER;
	if (v && !v->checked)
		ignore_result(prfs_prolong(q->r->prfs, q->ticket, LONG_LIMIT_MS));
	while (*at)
		at = &(*at)->next;
	*at = q; /* a turn follows */
}

static char *volume_named(struct reservations *r, const char *serial)
{
	char *name = NULL;

	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < r->n_ways && !name; i++)
		name = strcmp(r->ways[i].serial, serial) == 0 ? xstrdup(r->ways[i].volume) : NULL;
	pthread_mutex_unlock(&r->lock);
	return name;
}

static void on_question(void *ctx, uint64_t ticket, const char *serial, const void *data, size_t size)
{
	struct reservations *r = ctx;
	const struct lio_roots roots = { .configfs = r->agent->settings.configfs };
	struct question *q = xcalloc(1, sizeof(*q));
	_cleanup_free_ char *volume = volume_named(r, serial);

	*q = (struct question){ .r = r, .ticket = ticket, .serial = xstrdup(serial), .asked_ms = clock_now_ms() };
	ignore_result(pr_table_parse(data, size, &q->table, &q->unreadable));
	/* The one thing that may be read now: LIO does not hold registration_lock while it waits for us, or for itself. */
	if (volume && lio_registrations(&roots, volume, &q->listing) < 0)
		q->listing = NULL;
	loop_post(r->agent->loop, arrived, q);
}

static void note_late(void *ctx)
{
	struct late_note *note = ctx;
	struct reservations *r = note->r;
	struct question *q = *question_at(r, note->ticket);
	struct rvolume *v = q ? find(r, q->serial) : NULL;

	if (q) {
		log_err("volume %s: a change of reservations was not agreed within %d ms: its hosts were cut off", v ? v->name : q->serial, LIMIT_MS);
		q->answered = true;
		if (!v || place_of(r, v) == PLACE_OTHER || is_overtaken(q)) {
			if (v)
				v->differs = true;
			if (!q->refusing)
				drop(r, q);
		}
	}
	free(note);
}

static void connect_keeper(struct reservations *r)
{
	static const struct prfs_handlers handlers = { on_question, on_late };
	const struct settings *settings = &r->agent->settings;
	_cleanup_free_ char *socket = xasprintf("%s/pr.socket", settings->run_dir);
	_cleanup_free_ char *keep = xasprintf("%s/pr-requests", settings->run_dir);
	_cleanup_free_ char *known = xasprintf("%s/pr-known", settings->run_dir);
	struct prfs *prfs = NULL;
	struct err err = ERR_INIT;
	int fd = -1, rc;

	r->connect_ms = clock_now_ms() + CONNECT_MS;
	rc = prfs_fetch(socket, &fd, &err);
	if (rc == 0) {
		rc = file_make_dirs(known, 0700);
		if (rc < 0)
			err_errno(&err, rc, "cannot make %s", known);
	}
	/* Before anybody relies on it: whether this kernel can cut connections at all. */
	if (rc == 0)
		rc = portal_cut("127.0.0.1", 1, NULL, &err);
	if (rc == 0)
		rc = prfs_start(fd, keep, LIMIT_MS, &handlers, r, &prfs, &err);
	else if (fd >= 0)
		close(fd);
	if (rc == 0) {
		__atomic_store_n(&r->prfs, prfs, __ATOMIC_RELEASE);
		log_notice("reservations: one table for the whole cluster");
	} else if (rc != -ENOENT && rc != -ECONNREFUSED && strcmp(r->said, err.text) != 0) {
		snprintf(r->said, sizeof(r->said), "%s", err.text);
		log_err("reservations: %s", err.text);
	}
}

/* --- the records -------------------------------------------------------------------------------------------------------------------*/

/* Whether there is one that can be read. */
static bool read_record(struct reservations *r, struct rvolume *v)
{
	struct pr_table table = { 0 };
	struct ha_record_view record;
	struct err err = ERR_INIT;

	if (ha_core_record(r->agent->core, v->group, v->serial, &record) < 0 || !record.settled || record.changed == v->changed)
		return v->changed != 0;
	if (parse(record.data, record.size, &table, &err) < 0) {
		log_err("volume %s: the cluster's table of reservations cannot be read here: %s", v->name, err.text);
		return false;
	}
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
	publish(r);
	r->published = r->agent->config->version;
}

static void look_at_records(struct reservations *r)
{
	r->any = r->questions != NULL;
	for (size_t i = 0; i < r->n; i++) {
		struct rvolume *v = r->volumes[i];

		if (v->name[0])
			ignore_result(read_record(r, v));
		r->any |= v->changed || v->differs;
	}
}

static bool has_question(const struct reservations *r, const struct rvolume *v)
{
	for (const struct question *q = r->questions; q; q = q->next) {
		if (strcmp(q->serial, v->serial) == 0)
			return true;
	}
	return false;
}

static bool is_behind(const struct rvolume *v)
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
	const struct lio_scope scope = { .nodeid = job->me };

	return lio_forget_reservations(&job->roots, job->config->config, &scope, job->name, err);
}

static void forgotten(void *owner, void *ctx, int result, const struct err *err)
{
	static const struct pr_table nobody;
	struct reservations *r = owner;
	struct forget_job *job = ctx;
	struct rvolume *v = find(r, job->serial);

	if (result < 0)
		log_err("volume %s: the kernel has not forgotten its reservations: %s", job->name, err->text);
	v->forgetting = false;
	for (struct question *q = r->questions, *next; q; q = next) { /* they speak of what is gone */
		next = q->next;
		if (strcmp(q->serial, v->serial) == 0 && !q->refusing && !q->request_id)
			refuse(r, q, v, "an operator removed all reservations");
	}
	if (result == 0) {
		set_known(r, v, &nobody);
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
		request_record(r, v, &table, v->tidy_id);
	}
}

static void look_after_own(struct reservations *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct rvolume *v = r->volumes[i];

		if (!v->name[0] || !v->changed || !v->knows || v->tidy_id || v->forgetting || has_question(r, v) ||
		    place_of(r, v) != PLACE_OWNER)
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
		connect_keeper(r);
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
	decide_all(r);
	look_after_own(r);
}

/* --- what the others want to know ----------------------------------------------------------------------------------------------------*/

static bool is_on(const struct agent *agent)
{
	return agent->reservations && agent->reservations->prfs;
}

static bool is_needed(const struct agent *agent)
{
	return is_on(agent) && agent->reservations->any;
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
		if (is_of(v, group) && (is_behind(v) || has_question(r, v) || (v->changed && !v->checked)))
			return true;
	}
	return false;
}

bool reservations_load_failed(const struct agroup *group)
{
	const struct reservations *r = group->agent->reservations;

	for (size_t i = 0; is_needed(group->agent) && i < r->n; i++) {
		if (is_of(r->volumes[i], group) && r->volumes[i]->load_failed && is_behind(r->volumes[i]))
			return true;
	}
	return false;
}

bool reservations_unsure(const struct agroup *group)
{
	const struct reservations *r = group->agent->reservations;

	for (size_t i = 0; is_needed(group->agent) && i < r->n; i++) {
		const struct rvolume *v = r->volumes[i];

		if (is_of(v, group) && v->changed && v->checked && !v->knows && !v->forgetting && !has_question(r, v))
			return true;
	}
	return false;
}

static bool has_debt(const struct reservations *r, const struct rvolume *v)
{
	for (const struct question *q = r->questions; q; q = q->next) {
		if (strcmp(q->serial, v->serial) == 0 && q->answered)
			return true;
	}
	return false;
}

/* The kernel of this port has what the cluster has not agreed to. */
static bool is_moving(const struct reservations *r, const struct rvolume *v)
{
	for (const struct question *q = r->questions; q; q = q->next) {
		if (strcmp(q->serial, v->serial) == 0 && q->moving)
			return true;
	}
	return false;
}

/*
 * A kernel that is behind may answer GOOD without a write: RESERVE to who it thinks has the reservation, RELEASE to who it thinks has
 * not. One that lacks only registrations may not, and hosts register through several ports at a time.
 */
static bool may_mislead(const struct rvolume *v)
{
	return is_behind(v) && (v->differs || !v->knows || pr_table_compare(&v->known, &v->cluster).reservation);
}

bool reservations_refuse(const struct agroup *group)
{
	const struct reservations *r = group->agent->reservations;

	for (size_t i = 0; is_needed(group->agent) && i < r->n; i++) {
		const struct rvolume *v = r->volumes[i];

		if (is_of(v, group) && (place_of(r, v) == PLACE_OTHER ? may_mislead(v) || is_moving(r, v) : has_debt(r, v)))
			return true;
	}
	return false;
}

/* --- loading -----------------------------------------------------------------------------------------------------------------------*/

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
	const struct agroup *group = group_of(r, v);

	return group && !group->serving && !group->holding && !group->job && group->inspected;
}

static bool is_urgent(const struct reservations *r, const struct rvolume *v)
{
	const struct agroup *group = group_of(r, v);

	return v->differs || !v->knows || (group && group->duty == DUTY_ACQUIRE);
}

static bool is_due(const struct reservations *r, const struct rvolume *v, int64_t now_ms)
{
	return is_behind(v) && may_rebuild(r, v) && !is_moving(r, v) && (is_urgent(r, v) || now_ms >= v->changed_ms + DEBOUNCE_MS);
}

bool reservations_due(struct agent *agent)
{
	struct reservations *r = agent->reservations;
	int64_t now_ms = clock_now_ms();
	bool due = false;

	for (size_t i = 0; is_on(agent) && i < r->n; i++) {
		const struct rvolume *v = r->volumes[i];

		due |= v->name[0] && (!v->checked || is_due(r, v, now_ms));
		if (is_behind(v) && !is_due(r, v, now_ms) && may_rebuild(r, v))
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
	for (size_t i = 0; i < load->table.n; i++) {
		_cleanup_strbuf_ struct strbuf line = { 0 };

		pr_registration_load(&load->table, &load->table.registrations[i], &line);
		load->lines[i] = strbuf_steal(&line);
	}
}

struct reservation_load *reservations_plan(struct agent *agent, size_t *ret_n, struct lio_reservations **ret_specs, size_t *ret_n_specs)
{
	struct reservations *r = agent->reservations;
	struct reservation_load *loads = NULL;
	size_t n = 0;

	*ret_specs = NULL;
	*ret_n_specs = 0;
	if (is_on(agent) && r->n) {
		loads = xcalloc(r->n, sizeof(*loads));
		*ret_specs = xcalloc(r->n, sizeof(**ret_specs));
		for (size_t i = 0; i < r->n; i++) {
			const struct rvolume *v = r->volumes[i];

			if (v->name[0] && (!v->checked || v->cluster.n || is_behind(v)))
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
	_cleanup_free_ char *path = known_path(r, v->serial);
	_cleanup_free_ char *text = NULL;
	struct pr_table table = { 0 };
	struct err err = ERR_INIT;
	size_t size = 0;

	if (load->listing && pr_table_is_listed(&table, load->listing)) /* nobody */
		set_known(r, v, &table);
	else if (file_read(path, PR_TEXT_MAX, &text, &size) == 0 && parse(text, size, &table, &err) == 0 &&
		 (!load->listing || pr_table_is_listed(&table, load->listing)))
		set_known(r, v, &table);
	else
		log_warning("volume %s: it is not known which reservations this node's kernel has", v->name);
	pr_table_done(&table);
}

static void take_load(struct reservations *r, struct rvolume *v, const struct reservation_load *load, bool built)
{
	if (load->is_there && (!load->was_there || (load->anew && built))) {
		set_known(r, v, &load->table);
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
		struct rvolume *v = find(r, loads[i].serial);

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

/* --- operators -----------------------------------------------------------------------------------------------------------------------*/

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

	if (!v->checked || has_question(r, v))
		return false;
	if (!is_behind(v) || v->differs || !v->knows || place_of(r, v) != PLACE_OWNER)
		return !is_behind(v);
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
	const struct rvolume *v = is_on(agent) ? by_name(r, volume) : NULL;

	if (!v)
		return err_set(err, -ENOENT, "no volume \"%s\" whose reservations this node keeps", volume);
	if (!v->changed || v->cluster.n == 0)
		return -EALREADY;
	log_warning("volume %s: an operator removes all reservations", v->name);
	request_record(r, v, &nobody, request_id);
	return 0;
}
