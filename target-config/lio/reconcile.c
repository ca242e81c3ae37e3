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
#define BULK_LINKS 8 /* more LUN links than this are worth expedited grace periods: 24 ms each otherwise */

static const char *shown_value(const struct lio_object *object)
{
	return object->flags & LIO_SECRET ? "********" : object->value;
}

static char *parent_of(const char *path)
{
	return xasprintf("%.*s", (int)(strrchr(path, '/') - path), path);
}

/* plan_only: would the removals have taken it away by now? */
static bool is_gone(const struct lio_run *run, const char *path)
{
	for (size_t i = 0; i < run->gone.n; i++) {
		size_t len = strlen(run->gone.names[i]);

		if (strncmp(path, run->gone.names[i], len) == 0 && (path[len] == '/' || path[len] == '\0'))
			return true;
	}
	return false;
}

static int read_attr(const struct lio_run *run, const char *path, enum lio_form form, char **ret_value)
{
	if (is_gone(run, path))
		return -ENOENT;
	return lio_read_attr(run->tree->cfs, run->tree->root, path, form, ret_value);
}

static bool exists(const struct lio_run *run, const char *path)
{
	_cleanup_free_ char *full = lio_path(run->tree->root, path);

	return !is_gone(run, path) && run->tree->cfs->ops->exists(run->tree->cfs, full);
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

static bool is_enabled(const struct lio_run *run, const char *dir)
{
	_cleanup_free_ char *path = xasprintf("%s/enable", dir);
	_cleanup_free_ char *value = NULL;

	return read_attr(run, path, LIO_FORM_PLAIN, &value) == 0 && strcmp(value, "1") == 0;
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

static int ensure_attr(struct lio_run *run, const struct lio_object *object, struct err *err)
{
	_cleanup_free_ char *dir = parent_of(object->path);
	_cleanup_free_ char *got = NULL;
	int rc;

	if (object->flags & LIO_BEFORE_ENABLE)
		return is_enabled(run, dir) ? 0 : write_object(run, object, err);
	rc = read_attr(run, object->path, object->form, &got);
	if (rc == -ENOENT && object->flags & LIO_OPTIONAL)
		return 0;
	if (rc < 0 && !run->plan_only)
		return err_errno(err, rc, "cannot read %s/%s", run->tree->root, object->path);
	if (rc < 0) /* planned, but not there yet */
		return write_object(run, object, err);
	if (is_equal(object, got))
		return 0;
	if (object->flags & LIO_ONCE && *got)
		return err_set(err, -EEXIST, "%s/%s is %s, not %s, and can be set only once: remove what was made there by hand",
			       run->tree->root, object->path, got, object->value);
	if ((object->flags & LIO_FROZEN && name_set_has(&run->exported, object->volume)) ||
	    (object->flags & LIO_WHILE_DISABLED && is_enabled(run, dir))) {
		defer(run, object, got);
		return 0;
	}
	return write_object(run, object, err);
}

static bool has_value(const struct lio_run *run, const char *dir, const char *name, enum lio_form form, const char *value)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
	_cleanup_free_ char *got = NULL;

	return read_attr(run, path, form, &got) == 0 && strcmp(got, value) == 0;
}

/* .../<volume>/alua/<group> -> .../<volume> */
static char *backstore_of(const char *group)
{
	_cleanup_free_ char *alua = parent_of(group);

	return parent_of(alua);
}

/*
 * Standby; but if the volume is in its lu_gp already (a group was added to a volume in service, or made again), writing a state
 * moves all volumes of the lu_gp, so it has to be the state they have.
 */
static char *initial_state(const struct lio_run *run, const struct lio_object *object)
{
	_cleanup_free_ char *own = backstore_of(object->path);
	const char *name = strrchr(object->path, '/');

	if (!has_value(run, own, "alua_lu_gp", LIO_FORM_GROUP_ALIAS, object->value))
		return xstrdup("2");
	for (size_t i = 0; i < run->tree->n; i++) {
		const struct lio_object *other = &run->tree->objects[i];
		_cleanup_free_ char *backstore = NULL;
		_cleanup_free_ char *path = NULL;
		char *state = NULL;

		if (other->kind != LIO_GROUP_STATE || other == object || strcmp(other->value, object->value) != 0 ||
		    strcmp(strrchr(other->path, '/'), name) != 0)
			continue;
		backstore = backstore_of(other->path);
		path = xasprintf("%s/alua_access_state", other->path);
		if (has_value(run, backstore, "alua_lu_gp", LIO_FORM_GROUP_ALIAS, other->value) &&
		    has_value(run, other->path, "alua_access_type", LIO_FORM_ACCESS_TYPE, "1") &&
		    read_attr(run, path, LIO_FORM_PLAIN, &state) == 0)
			return state;
	}
	return xstrdup("2");
}

/* A new group is active/optimized and implicit and explicit (core_alua_allocate_tg_pt_gp). It gets its first state, and then
 * alua_access_type as the mark that it has it: what comes later is lio_alua_set()'s alone. */
static int ensure_group_state(struct lio_run *run, const struct lio_object *object, struct err *err)
{
	_cleanup_free_ char *state_path = xasprintf("%s/alua_access_state", object->path);
	_cleanup_free_ char *type_path = xasprintf("%s/alua_access_type", object->path);
	_cleanup_free_ char *state = NULL;
	int rc;

	if (has_value(run, object->path, "alua_access_type", LIO_FORM_ACCESS_TYPE, "1"))
		return 0;
	lio_alua_lock();
	state = initial_state(run, object);
	rc = lio_do_write(run, state_path, state, state, err);
	lio_alua_unlock();
	if (rc < 0)
		return rc;
	return lio_do_write(run, type_path, "1", "1", err);
}

static int ensure_link(struct lio_run *run, const struct lio_object *object, struct err *err)
{
	if (!is_gone(run, object->path) && lio_link_leads_to(run, object->path, object->value))
		return 0;
	return lio_do_link(run, object->path, object->value, err);
}

static int ensure(struct lio_run *run, const struct lio_object *object, struct err *err)
{
	switch (object->kind) {
	case LIO_DIR:
		return exists(run, object->path) ? 0 : lio_do_mkdir(run, object->path, err);
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

struct chains { /* chain i of the stage: objects[starts[i]] up to starts[i + 1] */
	struct lio_run *run;
	size_t *starts;
	size_t n, cap;
};

static int run_chain(void *ctx, size_t index, struct err *err)
{
	struct chains *chains = ctx;
	struct lio_run *run = chains->run;

	for (size_t i = chains->starts[index]; i < chains->starts[index + 1]; i++) {
		const struct lio_object *object = &run->tree->objects[i];
		struct err own = ERR_INIT;
		int rc = ensure(run, object, &own);

		if (rc == 0)
			continue;
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
	struct chains chains = { .run = run };
	int rc;

	for (size_t i = start; i < end; i++) {
		if (i == start || run->tree->objects[i].chain != run->tree->objects[i - 1].chain)
			*array_push(chains.starts, chains.n, chains.cap) = i;
	}
	*array_push(chains.starts, chains.n, chains.cap) = end;
	rc = parallel_for(chains.n - 1, run->threads, run_chain, &chains, err);
	free(chains.starts);
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

		n += object->kind == LIO_LINK && object->stage == LIO_STAGE_LUN && !exists(run, object->path);
	}
	return n;
}

/* Returns what to write back afterwards, NULL if nothing was changed. Only speed depends on it. */
static char *expedite_rcu(const struct lio_run *run, size_t n_links)
{
	struct cfs *cfs = run->tree->cfs;
	_cleanup_free_ char *before = NULL;

	if (run->plan_only || n_links <= BULK_LINKS || cfs->ops->read(cfs, RCU_EXPEDITED, &before) < 0 ||
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
	struct lio_removal *removal;
	char *rcu_before;
	size_t n_links;
	int rc;

	index_tree(&run);
	removal = lio_removal_plan(&run, &n_links);
	rcu_before = expedite_rcu(&run, n_links + count_missing_links(&run));
	rc = lio_removal_run(&run, removal, err);
	if (rc == 0)
		rc = build(&run, err);
	if (rcu_before)
		(void)tree->cfs->ops->write(tree->cfs, RCU_EXPEDITED, rcu_before);
	if (rc == 0 && run.soft_err.code) {
		if (err)
			*err = run.soft_err;
		rc = run.soft_err.code;
	}
	if (ret_report)
		*ret_report = run.report;
	free(rcu_before);
	lio_removal_free(removal);
	name_set_done(&run.exported);
	name_set_done(&run.stale);
	name_set_done(&run.gone);
	free(run.by_path);
	return rc;
}
