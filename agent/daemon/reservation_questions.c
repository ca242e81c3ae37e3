// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What LIO asks: each change of a volume's reservations comes with the whole new state, and its host waits for the answer. It becomes a
 * change of the cluster's table, or the host is cut off before it can hear GOOD.
 *
 * Questions come in the thread of prfs and are decided in the loop. In the former, and in the workers started here, nothing may wait for
 * LIO, which may be waiting for the answer.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/daemon/reservations_internal.h"
#include "agent/daemon/work.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/cpus.h"
#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "target-config/portal/cut.h"
#include "target-config/prfs/hand.h"

#define LIMIT_MS 1500      /* LIO may be spinning while it waits (facts of core_scsi3_pro_preempt()) */
#define LONG_LIMIT_MS 4000 /* where the group has to move first, or this agent has to look at the kernel; a PREEMPT of the sender spins as long */
#define STAYS_MS 3000      /* a group that has changed hands is left there for so long: hosts that pick different ports would play ball */
#define AGAIN_MS 20        /* a decision was overtaken: on what is agreed by then */
#define CONNECT_MS 5000
#define WORK_DEADLINE_MS 10000

/* --- cutting hosts off ---------------------------------------------------------------------------------------------------------------*/

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
	_cleanup_free_ char *path = rvolume_known_path(r, serial);
	struct late_note *note = xcalloc(1, sizeof(*note));
	const struct timespec pause = { .tv_nsec = 100000000 };
	struct err err = ERR_INIT;

	ignore_result(unlink(path)); /* a successor must not believe it */
	for (unsigned int i = 0; hosts_cut(r, serial, &err) < 0; i++) {
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
	return rc < 0 ? rc : hosts_cut(refusal->r, refusal->serial, err);
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
	tree_ports_cut(r->agent);
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
		struct agroup *group = rvolume_group(r, v);

		snprintf(refusal->group, sizeof(refusal->group), "%s", v->group);
		refusal->n_ports = own_ports(r->agent, refusal->ports);
		if (group)
			group->alua_valid = false; /* whatever is under way may undo it */
	}
	q->refusing = true;
	work_start(r->agent->loop, "cutting off a host", clock_now_ms() + WORK_DEADLINE_MS, run_refusal, refusal, refused, NULL, r);
}

/* --- decisions ---------------------------------------------------------------------------------------------------------------------*/

/* A REGISTER or a changed key and nothing else: LIO tells the host that it has failed, and goes on telling us what follows. */
static bool fails_openly(const struct rvolume *v, const struct question *q)
{
	struct pr_change change;

	if (!v || !v->knows || v->known.n == 0 || q->unreadable.code)
		return false;
	change = pr_table_compare(&v->known, &q->table);
	return (change.n_added || change.n_rekeyed) && !change.n_removed && !change.reservation;
}

void question_refuse(struct reservations *r, struct question *q, struct rvolume *v, const char *why)
{
	bool is_owner = v && rvolume_place(r, v) == PLACE_OWNER;

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

static bool is_overtaken(const struct question *q)
{
	return !q->unreadable.code && q->listing && !pr_table_is_listed(&q->table, q->listing);
}

static void agreed(struct reservations *r, struct question *q, struct rvolume *v)
{
	rvolume_set_known(r, v, &q->table);
	tell_good(r, q);
	if (!is_overtaken(q))
		answer_overtaken(r, q);
	log_change(v, q);
	drop(r, q);
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

struct look_job {
	struct reservations *r;
	uint64_t ticket;
	struct lio_roots roots;
	char volume[CONFIG_NAME_MAX + 1];
	struct pr_table table, known;
	bool has_table, has_known;
};

static int run_look(void *ctx, struct err *err)
{
	struct look_job *job = ctx;
	_cleanup_free_ char *holder = NULL, *type = NULL;
	char rest[CPUS_LIST_SIZE];
	int rc;

	cpus_keep_off(cpus_spare(rest));
	rc = lio_reservation(&job->roots, job->volume, &holder, &type);
	if (rc < 0)
		return err_errno(err, rc, "cannot read the reservation of %s", job->volume);
	job->has_table = pr_table_is_held(&job->table, holder, type);
	job->has_known = pr_table_is_held(&job->known, holder, type);
	return 0;
}

static void looked(void *owner, void *ctx, int result, const struct err *err)
{
	struct reservations *r = owner;
	struct look_job *job = ctx;
	struct question *q = *question_at(r, job->ticket);

	if (result < 0)
		log_warning("%s", err->text);
	if (q) {
		q->looking = false;
		q->looked = true;
		q->is_stale = !job->has_table;
		q->is_past = job->has_known;
	}
	pr_table_done(&job->table);
	pr_table_done(&job->known);
	free(job);
}

/*
 * The listing does not tell about the reservation, and of two commands at a time the kernel may write the older state last: a REGISTER
 * would undo a RESERVE that was answered. So a state with another reservation than the agreed one is compared with the kernel's own. In
 * a worker: a PREEMPT that spins for this very command makes the reader spin too, until the limit ends both; on a processor that the rest of the
 * agent does not need for that (prfs.h).
 */
static void look(struct reservations *r, struct question *q, const struct rvolume *v)
{
	struct look_job *job = xcalloc(1, sizeof(*job));

	*job = (struct look_job){ .r = r, .ticket = q->ticket, .roots.configfs = r->agent->settings.configfs };
	snprintf(job->volume, sizeof(job->volume), "%s", v->name);
	pr_table_copy(&q->table, &job->table);
	pr_table_copy(v->knows ? &v->known : &v->cluster, &job->known);
	q->looking = true;
	work_start(r->agent->loop, "looking at a reservation", clock_now_ms() + WORK_DEADLINE_MS, run_look, job, looked, NULL, r);
}

static bool needs_look(const struct rvolume *v, const struct question *q)
{
	return !q->looked && !q->unreadable.code && pr_table_compare(v->knows ? &v->known : &v->cluster, &q->table).reservation;
}

/* Neither others' wishes nor a group that has just come are overruled. */
static bool may_ask_for_group(const struct reservations *r, const struct rvolume *v, const struct ha_group_view *view, int64_t now_ms)
{
	const struct agroup *group = rvolume_group(r, v);

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
	enum place place = v ? rvolume_place(r, v) : PLACE_OTHER;
	struct err err = ERR_INIT;
	int rc;

	if (!v && *q->serial) {
		log_info("reservations of %s: not one of our volumes", q->serial);
		ignore_result(prfs_answer(r->prfs, q->ticket, -EIO));
		drop(r, q);
		return;
	}
	if (!v || !v->name[0]) {
		question_refuse(r, q, v, "the volume is not in the document in force here");
		return;
	}
	if (place == PLACE_OTHER && q->answered) { /* who owns it now decides */
		v->differs = true;
		drop(r, q);
		return;
	}
	if (place == PLACE_CHANGING || v->forgetting || !v->checked || now_ms < q->again_ms) /* the limit ends that */
		return;
	ignore_result(rvolume_read_record(r, v));
	if (needs_look(v, q)) {
		look(r, q, v);
		return;
	}
	pr_table_done(&q->want);
	rc = merge(r, v, q, place, &q->want, &err);
	if (rc == -EPERM && place == PLACE_OTHER && waits_for_group(r, q, v, now_ms))
		return;
	if (rc < 0) {
		question_refuse(r, q, v, err.text);
		return;
	}
	set_table(&q->before, &v->cluster);
	q->again_ms = now_ms + AGAIN_MS;
	q->request_id = ++r->agent->next_request_id;
	rvolume_request(r, v, &q->want, q->request_id);
}

/* What the cluster has agreed to is at least as new. The listing does not tell about the reservation. */
static bool is_included(const struct rvolume *v, const struct question *q)
{
	return v && v->knows && !v->differs && (q->is_stale ? q->is_past : !pr_table_compare(&v->known, &q->table).reservation) &&
	       (pr_table_equal(&v->known, &q->table) || (q->listing && pr_table_is_listed(&v->known, q->listing)));
}

/* One at a time for a volume: what comes next is decided on what came of it. */
static void decide_next(struct reservations *r, const char *serial, int64_t now_ms)
{
	struct rvolume *v = rvolume_find(r, serial);
	struct question *next = NULL;

	for (struct question *q = r->questions; q; q = q->next) {
		if (strcmp(q->serial, serial) != 0)
			continue;
		if (q->request_id || q->refusing || q->looking)
			return;
		if (is_overtaken(q) || q->is_stale) {
			if (is_included(v, q)) {
				answer_good(r, q);
				return;
			}
			/* The one that overtook it cannot come before this one is answered: fuse_file_write_iter() holds the inode's lock. */
			if (q->is_stale || !v || !v->knows || v->differs || !pr_table_is_on_the_way(&v->known, &q->table, q->listing))
				continue; /* the limit */
		}
		if (!next || next->answered) /* a newer one says what the kernel has better than one whose host is gone */
			next = q;
	}
	if (next)
		decide(r, next, v, now_ms);
}

void questions_decide(struct reservations *r)
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
		struct rvolume *v = rvolume_find(r, q->serial);

		if (q->move_id == request_id) {
			q->move_id = 0;
			if (result < 0 && result != -EALREADY)
				question_refuse(r, q, v, text ? text : "");
			return true;
		}
		if (q->request_id != request_id)
			continue;
		q->request_id = 0;
		ignore_result(v && rvolume_read_record(r, v));
		if (result == 0 && v)
			agreed(r, q, v);
		else if (!may_try_again(result))
			question_refuse(r, q, v, text ? text : "");
		return true;
	}
	return false;
}

/* --- questions come ----------------------------------------------------------------------------------------------------------------*/

static void arrived(void *ctx)
{
	struct question *q = ctx, **at = &q->r->questions;
	const struct lio_scope scope = { .nodeid = agent_me(q->r->agent) };
	struct pr_port *ports;
	size_t n;
	const struct rvolume *v = rvolume_find(q->r, q->serial);

	ports = node_ports(q->r->agent->config->config, &scope, &n);
	pr_table_from_kernel(&q->table, ports, n);
	node_ports_free(ports, n);
	q->came_to_other = v && rvolume_place(q->r, v) == PLACE_OTHER;
	if (v && !v->checked)
		ignore_result(prfs_prolong(q->r->prfs, q->ticket, LONG_LIMIT_MS));
	while (*at)
		at = &(*at)->next;
	*at = q; /* a turn follows */
}

static void on_question(void *ctx, uint64_t ticket, const char *serial, const void *data, size_t size)
{
	struct reservations *r = ctx;
	const struct lio_roots roots = { .configfs = r->agent->settings.configfs };
	struct question *q = xcalloc(1, sizeof(*q));
	_cleanup_free_ char *volume = hosts_volume(r, serial);

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
	struct rvolume *v = q ? rvolume_find(r, q->serial) : NULL;

	tree_ports_cut(r->agent);
	if (q) {
		log_err("volume %s: a change of reservations was not agreed in time: its hosts were cut off", v ? v->name : q->serial);
		q->answered = true;
		if (!v || rvolume_place(r, v) == PLACE_OTHER || is_overtaken(q)) {
			if (v)
				v->differs = true;
			if (!q->refusing)
				drop(r, q);
		}
	}
	free(note);
}

void questions_connect(struct reservations *r)
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

static bool some_question(const struct reservations *r, const struct rvolume *v, bool (*is)(const struct question *q))
{
	for (const struct question *q = r->questions; q; q = q->next) {
		if (strcmp(q->serial, v->serial) == 0 && is(q))
			return true;
	}
	return false;
}

static bool is_there(const struct question *q)
{
	(void)q;
	return true;
}

static bool is_answered(const struct question *q)
{
	return q->answered;
}

static bool is_moving(const struct question *q)
{
	return q->moving;
}

bool questions_any(const struct reservations *r, const struct rvolume *v)
{
	return some_question(r, v, is_there);
}

bool questions_debt(const struct reservations *r, const struct rvolume *v)
{
	return some_question(r, v, is_answered);
}

bool questions_moving(const struct reservations *r, const struct rvolume *v)
{
	return some_question(r, v, is_moving);
}
