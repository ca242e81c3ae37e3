// SPDX-License-Identifier: GPL-2.0-or-later
/* The half of the reconciler that builds: for each object of the tree, read, compare, write what differs. */
#include "target-config/lio/reconcile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parallel.h"
#include "base/xalloc.h"

#define RCU_EXPEDITED "/sys/kernel/rcu_expedited"
#define BULK_WAITS 8 /* more waits for a grace period than this are worth expediting them: 24 ms each otherwise */

static const char *shown_value(const struct lio_object *object)
{
	return object->flags & LIO_SECRET ? "********" : object->value;
}

static char *parent_of(const char *path)
{
	return xasprintf("%.*s", (int)(strrchr(path, '/') - path), path);
}

static int read_attr(const struct lio_run *run, const char *path, enum lio_form form, char **ret_value)
{
	if (lio_is_gone(run, path))
		return -ENOENT;
	return lio_read_attr(run->tree->cfs, run->tree->root, path, form, ret_value);
}

static void defer(struct lio_run *run, const struct lio_object *object, const char *got)
{
	pthread_mutex_lock(&run->lock);
	run->report.n_deferred++;
	if (run->plan)
		strbuf_addf(run->plan, "deferred %s %s: is %s, and cannot be changed in service\n", object->path,
			    shown_value(object), got);
	pthread_mutex_unlock(&run->lock);
}

/* 1: dir/name reads as value, 0: it does not or is not there; negative errno: cannot tell, and guessing would be writing. */
static int has_value(const struct lio_run *run, const char *dir, const char *name, enum lio_form form, const char *value)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
	_cleanup_free_ char *got = NULL;
	int rc = read_attr(run, path, form, &got);

	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	return strcmp(got, value) == 0;
}

static int cannot_read(const struct lio_run *run, int rc, const char *path, struct err *err)
{
	return err_errno(err, rc, "cannot read %s/%s", run->tree->root, path);
}

static int write_object(struct lio_run *run, const struct lio_object *object, struct err *err)
{
	int rc;

	if (!(object->flags & LIO_LOCKED))
		return lio_do_write(run, object->path, object->value, shown_value(object), err);
	lio_alua_lock();
	rc = lio_do_write(run, object->path, object->value, shown_value(object), err);
	lio_alua_unlock();
	return rc;
}

static bool is_equal(const struct lio_object *object, const char *got)
{
	if (object->form == LIO_FORM_CLEARED)
		return *got == '\0' || strcmp(got, "NULL") == 0;
	return strcmp(got, object->value) == 0;
}

static int ensure_before_enable(struct lio_run *run, const struct lio_object *object, struct err *err)
{
	_cleanup_free_ char *dir = xasprintf("%s/%s", LIO_HBA, object->volume);
	int rc = has_value(run, dir, "enable", LIO_FORM_PLAIN, "1");

	if (rc < 0)
		return cannot_read(run, rc, dir, err);
	return rc == 1 ? 0 : write_object(run, object, err);
}

/* 1: the kernel would refuse it now. */
static int is_frozen(const struct lio_run *run, const struct lio_object *object, const char *dir)
{
	if (object->flags & LIO_FROZEN)
		return name_set_has(&run->exported, object->volume);
	if (object->flags & LIO_WHILE_DISABLED)
		return has_value(run, dir, "enable", LIO_FORM_PLAIN, "1");
	return 0;
}

static int change_attr(struct lio_run *run, const struct lio_object *object, const char *dir, const char *got,
		       struct err *err)
{
	int rc;

	if (object->flags & LIO_ONCE && *got)
		return err_set(err, -EEXIST, "%s/%s is %s, not %s, and can be set only once: remove what was made there by hand",
			       run->tree->root, object->path, got, object->value);
	rc = is_frozen(run, object, dir);
	if (rc < 0)
		return cannot_read(run, rc, dir, err);
	if (rc == 0)
		return write_object(run, object, err);
	defer(run, object, got);
	return 0;
}

static int ensure_attr(struct lio_run *run, const struct lio_object *object, struct err *err)
{
	_cleanup_free_ char *dir = parent_of(object->path);
	_cleanup_free_ char *got = NULL;
	int rc;

	if (object->flags & LIO_BEFORE_ENABLE)
		return ensure_before_enable(run, object, err);
	rc = read_attr(run, object->path, object->form, &got);
	if (rc == -ENOENT && object->flags & LIO_OPTIONAL)
		return 0;
	if (rc == -ENOENT && run->plan_only) /* its folder would be there by now */
		return write_object(run, object, err);
	if (rc < 0)
		return cannot_read(run, rc, object->path, err);
	return is_equal(object, got) ? 0 : change_attr(run, object, dir, got, err);
}

/* .../<volume>/alua/<group> -> .../<volume> */
static char *backstore_of(const char *group)
{
	_cleanup_free_ char *alua = parent_of(group);

	return parent_of(alua);
}

/* 1: this group of another volume is in the lu_gp and has its state; then *ret_state is that. */
static int sibling_state(const struct lio_run *run, const struct lio_object *other, char **ret_state)
{
	_cleanup_free_ char *backstore = backstore_of(other->path);
	_cleanup_free_ char *path = xasprintf("%s/alua_access_state", other->path);
	int rc = has_value(run, backstore, "alua_lu_gp", LIO_FORM_GROUP_ALIAS, other->value);

	if (rc == 1)
		rc = has_value(run, other->path, "alua_access_type", LIO_FORM_ACCESS_TYPE, "1");
	if (rc != 1)
		return rc;
	rc = read_attr(run, path, LIO_FORM_PLAIN, ret_state);
	return rc < 0 ? rc : 1;
}

/*
 * Standby, with reservations in transition; but if the volume is in its lu_gp already (a group was added to a volume in service, or made again), writing a state
 * moves all volumes of the lu_gp, so it has to be the state they have.
 */
static int initial_state(const struct lio_run *run, const struct lio_object *object, char **ret_state)
{
	_cleanup_free_ char *own = backstore_of(object->path);
	const char *name = strrchr(object->path, '/');
	int rc = has_value(run, own, "alua_lu_gp", LIO_FORM_GROUP_ALIAS, object->value);

	for (size_t i = 0; rc == 1 && i < run->tree->n; i++) {
		const struct lio_object *other = &run->tree->objects[i];
		int found;

		if (other->kind != LIO_GROUP_STATE || other == object || strcmp(other->value, object->value) != 0 ||
		    strcmp(strrchr(other->path, '/'), name) != 0)
			continue;
		found = sibling_state(run, other, ret_state);
		if (found != 0)
			return found < 0 ? found : 0;
	}
	if (rc < 0)
		return rc;
	*ret_state = xstrdup(object->flags & LIO_LOAD ? "15" : "2");
	return 0;
}

static int write_initial_state(struct lio_run *run, const struct lio_object *object, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/alua_access_state", object->path);
	_cleanup_free_ char *state = NULL;
	int rc;

	lio_alua_lock();
	rc = initial_state(run, object, &state);
	if (rc < 0)
		rc = cannot_read(run, rc, object->path, err);
	else
		rc = lio_do_write(run, path, state, state, err);
	lio_alua_unlock();
	return rc;
}

/* A new group is active/optimized and implicit and explicit (core_alua_allocate_tg_pt_gp). It gets its first state, and then
 * alua_access_type as the mark that it has it: what comes later is lio_alua_set()'s alone. */
static int ensure_group_state(struct lio_run *run, const struct lio_object *object, struct err *err)
{
	_cleanup_free_ char *type_path = xasprintf("%s/alua_access_type", object->path);
	int rc = has_value(run, object->path, "alua_access_type", LIO_FORM_ACCESS_TYPE, "1");

	if (rc < 0)
		return cannot_read(run, rc, type_path, err);
	if (rc == 1)
		return 0;
	rc = write_initial_state(run, object, err);
	return rc < 0 ? rc : lio_do_write(run, type_path, "1", "1", err);
}

static int ensure_link(struct lio_run *run, const struct lio_object *object, struct err *err)
{
	bool gone = lio_is_gone(run, object->path);
	int rc = gone ? 0 : lio_link_leads_to(run, object->path, object->value), standin = 0;

	if (rc == 1)
		return 0;
	if (rc == 0 && !gone)
		standin = lio_link_leads_to_standin(run, object->path);
	if (rc < 0 || standin < 0)
		return err_errno(err, rc < 0 ? rc : standin, "cannot read the link %s/%s", run->tree->root, object->path);
	if (standin)
		rc = lio_do_unlink(run, object->path, err);
	if (rc == 0)
		rc = lio_do_link(run, object->path, object->value, err);
	if (rc < 0 && standin) { /* better than nothing */
		_cleanup_free_ char *lun = lio_standin_lun(object->value);

		ignore_result(lio_do_link(run, object->path, lun, NULL));
	}
	return rc;
}

/* "srpt/<port>/..." -> "srpt/<port>" */
static char *port_of(const char *path)
{
	size_t fabric = strcspn(path, "/"), len = path[fabric] ? fabric + 1 + strcspn(path + fabric + 1, "/") : fabric;

	return xasprintf("%.*s", (int)len, path);
}

static int ensure_dir(struct lio_run *run, const struct lio_object *object, struct err *err)
{
	bool announced = object->flags & LIO_ANNOUNCE && !run->plan_only && !lio_exists(run, object->path);
	int rc = lio_ensure_dir(run, object->path, err);

	if (rc == 0 && announced) {
		_cleanup_free_ char *port = port_of(object->path);

		pthread_mutex_lock(&run->lock);
		name_set_add(&run->announce, port);
		pthread_mutex_unlock(&run->lock);
	}
	return rc;
}

static int ensure(struct lio_run *run, const struct lio_object *object, struct err *err)
{
	if (object->flags & LIO_IF_THERE || lio_foreign_is_left(run, object))
		return 0;
	switch (object->kind) {
	case LIO_DIR:
		return ensure_dir(run, object, err);
	case LIO_ATTR:
		return ensure_attr(run, object, err);
	case LIO_LINK:
		return ensure_link(run, object, err);
	case LIO_GROUP_STATE:
		return ensure_group_state(run, object, err);
	}
	return -EINVAL;
}

/* --- stages ------------------------------------------------------------------------------------------------------------*/

struct stage {
	struct lio_run *run;
	const struct lio_object *objects;
};

static bool is_of_chain(const void *ctx, size_t index)
{
	const struct stage *stage = ctx;

	return stage->objects[index].chain == stage->objects[index - 1].chain;
}

static void lose_port(struct lio_run *run, const char *path, const struct err *err)
{
	_cleanup_free_ char *port = port_of(path);

	pthread_mutex_lock(&run->lock);
	if (!run->report.apart.code)
		run->report.apart = *err;
	name_set_add(&run->lost, port);
	pthread_mutex_unlock(&run->lock);
}

static bool has_sessions(const struct lio_run *run, const char *port)
{
	_cleanup_free_ char *dir = xasprintf("%s/tpgt_1/acls", port), *acls = lio_path(run->tree->root, dir);
	struct cfs *cfs = run->tree->cfs;
	bool found = false;
	char **names;
	size_t n;

	if (cfs->ops->list(cfs, acls, CFS_DIR, &names, &n) < 0)
		return true; /* cannot tell */
	for (size_t i = 0; i < n && !found; i++) {
		_cleanup_free_ char *acl = xasprintf("%s/%s", dir, names[i]);

		found = lio_acl_has_session(cfs, run->tree->root, acl);
	}
	cfs_names_free(names, n);
	return found;
}

/* Whatever became of the rest: who is let in shall know. Not while others are logged in: a command of theirs may then never end (closing.c). */
static void announce(struct lio_run *run)
{
	struct err err = ERR_INIT;

	name_set_sort(&run->announce);
	for (size_t i = 0; i < run->announce.n; i++) {
		const char *port = run->announce.names[i];

		if ((i > 0 && strcmp(port, run->announce.names[i - 1]) == 0) || has_sessions(run, port))
			continue;
		if (lio_fc_relogin(run->tree->cfs, run->tree->root, run->tree->sysfs, strchr(port, '/') + 1, &err) < 0 && !run->report.apart.code)
			run->report.apart = err;
	}
}

static bool is_lost(struct lio_run *run, const struct lio_object *object)
{
	bool lost = false;

	if (!(object->flags & LIO_APART))
		return false;
	pthread_mutex_lock(&run->lock);
	for (size_t i = 0; i < run->lost.n && !lost; i++)
		lost = lio_is_below(object->path, run->lost.names[i]);
	pthread_mutex_unlock(&run->lock);
	return lost;
}

static int run_chain(void *ctx, size_t start, size_t end, struct err *err)
{
	struct stage *stage = ctx;
	struct lio_run *run = stage->run;

	for (size_t i = start; i < end; i++) {
		const struct lio_object *object = &stage->objects[i];
		struct err own = ERR_INIT;
		int rc = is_lost(run, object) ? 0 : ensure(run, object, &own);

		if (rc == 0)
			continue;
		if (object->flags & LIO_APART) { /* others of the chain are no part of that port */
			lose_port(run, object->path, &own);
			continue;
		}
		if (!(object->flags & LIO_SOFT)) {
			if (err)
				*err = own;
			return rc;
		}
		pthread_mutex_lock(&run->lock);
		if (!run->soft_err.code)
			run->soft_err = own;
		pthread_mutex_unlock(&run->lock);
		return 0;
	}
	return 0;
}

static int run_stage(struct lio_run *run, size_t start, size_t end, struct err *err)
{
	struct stage stage = { run, run->tree->objects + start };
	bool holds = stage.objects->stage == LIO_STAGE_MAPPED_LUN && lio_foreign_stood_in(run);
	int rc = holds ? lio_hold(run, true, err) : 0;

	if (rc == 0)
		rc = parallel_runs(end - start, run->threads, is_of_chain, run_chain, &stage, err);
	if (holds)
		ignore_result(lio_hold(run, false, NULL));
	return rc;
}

static int build(struct lio_run *run, struct err *err)
{
	size_t start = 0;

	while (start < run->tree->n) {
		size_t end = start;
		int rc;

		while (end < run->tree->n && run->tree->objects[end].stage == run->tree->objects[start].stage)
			end++;
		rc = run_stage(run, start, end, err);
		if (rc < 0)
			return rc;
		start = end;
	}
	return 0;
}

static size_t count_missing_links(const struct lio_run *run)
{
	size_t n = 0;

	for (size_t i = 0; i < run->tree->n; i++) {
		const struct lio_object *object = &run->tree->objects[i];

		n += object->kind == LIO_LINK && object->stage == LIO_STAGE_LUN && !lio_exists(run, object->path);
	}
	return n;
}

/* Returns what to write back afterwards, NULL if nothing was changed. Only speed depends on it. */
static char *expedite_rcu(const struct lio_run *run, size_t n_waits)
{
	struct cfs *cfs = run->tree->cfs;
	_cleanup_free_ char *before = NULL;

	if (run->plan_only || n_waits <= BULK_WAITS || cfs->ops->read(cfs, RCU_EXPEDITED, &before) < 0 ||
	    strcmp(before, "0\n") != 0)
		return NULL;
	return cfs->ops->write(cfs, RCU_EXPEDITED, "1") < 0 ? NULL : steal_ptr(before);
}

static int object_by_path(const void *a, const void *b)
{
	return strcmp((*(const struct lio_object *const *)a)->path, (*(const struct lio_object *const *)b)->path);
}

static void index_tree(struct lio_run *run)
{
	run->by_path = xcalloc(run->tree->n + 1, sizeof(*run->by_path));
	for (size_t i = 0; i < run->tree->n; i++)
		run->by_path[i] = &run->tree->objects[i];
	if (run->tree->n > 1)
		qsort(run->by_path, run->tree->n, sizeof(*run->by_path), object_by_path);
}

/* The error that the run goes on after, once there is no other. */
static int finish(const struct lio_run *run, int rc, struct lio_report *ret_report, struct err *err)
{
	if (ret_report)
		*ret_report = run->report;
	if (rc < 0 || !run->soft_err.code)
		return rc;
	if (err)
		*err = run->soft_err;
	return run->soft_err.code;
}

int lio_open_portals(const struct config *config, const struct lio_scope *scope, const struct lio_roots *roots,
		     struct lio_report *ret_report, struct err *err)
{
	struct lio_tree *tree = lio_tree_build_portals(config, scope, roots);
	struct lio_run run = {
		.tree = tree, .threads = 1, .lock = PTHREAD_MUTEX_INITIALIZER, .report = { .n_objects = tree->n },
	};
	int rc = build(&run, err);

	lio_tree_free(tree);
	return finish(&run, rc, ret_report, err);
}

int lio_reconcile(const struct lio_tree *tree, bool plan_only, unsigned int threads, struct strbuf *ret_plan,
		  struct lio_report *ret_report, struct err *err)
{
	struct lio_run run = {
		.tree = tree,
		.plan_only = plan_only,
		.threads = plan_only ? 1 : threads, /* a plan has an order */
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.plan = ret_plan,
		.report = { .n_objects = tree->n },
	};
	struct lio_removal *removal = NULL;
	char *rcu_before = NULL;
	size_t n_waits;
	int rc;

	index_tree(&run);
	rc = lio_foreign_find(&run, err);
	if (rc == 0 && !plan_only)
		rc = lio_standins_raise(&run, err);
	if (rc == 0 && !plan_only)
		rc = lio_foreign_stand_in(&run, err);
	if (rc == 0)
		rc = lio_removal_plan(&run, &removal, &n_waits, err);
	if (rc == 0) {
		rcu_before = expedite_rcu(&run, n_waits + count_missing_links(&run));
		rc = lio_removal_run(&run, removal, err);
	}
	if (rc == 0)
		rc = build(&run, err);
	if (rc == 0)
		rc = lio_standins_drop(&run, err);
	run.report.is_built = rc == 0;
	announce(&run);
	if (rcu_before)
		(void)tree->cfs->ops->write(tree->cfs, RCU_EXPEDITED, rcu_before);
	rc = finish(&run, rc, ret_report, err);
	free(rcu_before);
	lio_removal_free(removal);
	name_set_done(&run.exported);
	name_set_done(&run.stale);
	name_set_done(&run.gone);
	name_set_done(&run.lost);
	name_set_done(&run.announce);
	lio_foreign_done(&run);
	free(run.by_path);
	return rc;
}
