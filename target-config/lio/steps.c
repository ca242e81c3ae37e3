// SPDX-License-Identifier: GPL-2.0-or-later
/* The single steps of a run, reading back, and small sets: what both halves of the reconciler use. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "target-config/lio/reconcile.h"

/* --- sets --------------------------------------------------------------------------------------------------------------*/

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void name_set_add(struct name_set *set, const char *name)
{
	*array_push(set->names, set->n, set->cap) = xstrdup(name);
}

void name_set_sort(struct name_set *set)
{
	if (set->n > 1)
		qsort(set->names, set->n, sizeof(*set->names), by_name);
}

bool name_set_has(const struct name_set *set, const char *name)
{
	return set->n > 0 && bsearch(&name, set->names, set->n, sizeof(*set->names), by_name);
}

void name_set_done(struct name_set *set)
{
	for (size_t i = 0; i < set->n; i++)
		free(set->names[i]);
	free(set->names);
	*set = (struct name_set){ 0 };
}

static int path_vs_object(const void *path, const void *object)
{
	return strcmp(path, (*(const struct lio_object *const *)object)->path);
}

const struct lio_object *lio_wanted(const struct lio_run *run, const char *path)
{
	const struct lio_object **found = NULL;

	if (run->tree->n > 0)
		found = bsearch(path, run->by_path, run->tree->n, sizeof(*run->by_path), path_vs_object);
	return found ? *found : NULL;
}

/* --- reading -----------------------------------------------------------------------------------------------------------*/

struct cfs *lio_cfs(const struct lio_roots *roots)
{
	return roots->cfs ? roots->cfs : cfs_kernel();
}

char *lio_path(const char *root, const char *path)
{
	return xasprintf("%s/%s", root, path);
}

/* "<label>: value\n..." -> "value"; NULL if the text is not of that shape. */
static char *after_label(const char *text, const char *label)
{
	const char *start = strstr(text, label);

	if (!start)
		return NULL;
	start += strlen(label);
	return xasprintf("%.*s", (int)strcspn(start, "\n"), start);
}

static char *parse_attr(const char *text, enum lio_form form)
{
	char *value = NULL;

	if (form == LIO_FORM_SERIAL) {
		value = after_label(text, "T10 VPD Unit Serial Number: ");
	} else if (form == LIO_FORM_GROUP_ALIAS) {
		value = after_label(text, "TG Port Alias: ");
		if (!value)
			value = after_label(text, "LU Group Alias: ");
	} else if (form == LIO_FORM_ACCESS_TYPE) {
		/* core_alua_show_access_type() */
		static const char *const names[] = { "None\n", "Implicit\n", "Explicit\n", "Implicit and Explicit\n" };

		for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
			if (strcmp(text, names[i]) == 0)
				value = xasprintf("%zu", i);
		}
	} else {
		value = xasprintf("%.*s", (int)strcspn(text, "\n"), text);
	}
	return value ? value : xstrdup("");
}

int lio_read_attr(struct cfs *cfs, const char *root, const char *path, enum lio_form form, char **ret_value)
{
	_cleanup_free_ char *full = lio_path(root, path);
	_cleanup_free_ char *text = NULL;
	int rc = cfs->ops->read(cfs, full, &text);

	if (rc < 0)
		return rc;
	*ret_value = parse_attr(text, form);
	return 0;
}

bool lio_is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

bool lio_is_gone(const struct lio_run *run, const char *path)
{
	for (size_t i = 0; i < run->gone.n; i++) {
		if (lio_is_below(path, run->gone.names[i]))
			return true;
	}
	return false;
}

bool lio_exists(const struct lio_run *run, const char *path)
{
	_cleanup_free_ char *full = lio_path(run->tree->root, path);

	return !lio_is_gone(run, path) && run->tree->cfs->ops->exists(run->tree->cfs, full);
}

int lio_link_leads_to(const struct lio_run *run, const char *path, const char *to)
{
	_cleanup_free_ char *full = lio_path(run->tree->root, path);
	_cleanup_free_ char *target = NULL;
	int rc = run->tree->cfs->ops->readlink(run->tree->cfs, full, &target);
	size_t len, to_len = strlen(to);

	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	len = strlen(target); /* configfs gives "../../../../target/<to>" */
	return len > to_len && target[len - to_len - 1] == '/' && strcmp(target + len - to_len, to) == 0;
}

/* --- doing -------------------------------------------------------------------------------------------------------------*/

static void note(struct lio_run *run, bool removal, const char *verb, const char *path, const char *rest)
{
	pthread_mutex_lock(&run->lock);
	if (removal)
		run->report.n_removals++;
	else
		run->report.n_writes++;
	if (run->plan)
		strbuf_addf(run->plan, "%s %s%s%s\n", verb, path, rest ? " " : "", rest ? rest : "");
	pthread_mutex_unlock(&run->lock);
}

/* Noted, or refused because it would hang. */
static int begin(struct lio_run *run, bool removal, const char *verb, const char *path, const char *rest, struct err *err)
{
	if (!run->plan_only && lio_is_closing(run, path))
		return err_set(err, -EBUSY, "%s/%s cannot be changed: a connection by iSER hangs in the kernel; restart this node", run->tree->root,
			       path);
	note(run, removal, verb, path, rest);
	return 0;
}

void lio_note_write(struct lio_run *run, const char *path, const char *shown)
{
	note(run, false, "write", path, shown);
}

int lio_do_write(struct lio_run *run, const char *path, const char *value, const char *shown, struct err *err)
{
	_cleanup_free_ char *full = lio_path(run->tree->root, path);
	struct cfs *cfs = run->tree->cfs;
	int rc = begin(run, false, "write", path, shown, err);

	if (rc < 0)
		return rc;
	rc = run->plan_only ? 0 : cfs->ops->write(cfs, full, value);
	return rc < 0 ? err_errno(err, rc, "cannot write %s to %s", shown, full) : 0;
}

int lio_do_mkdir(struct lio_run *run, const char *path, struct err *err)
{
	_cleanup_free_ char *full = lio_path(run->tree->root, path);
	struct cfs *cfs = run->tree->cfs;
	int rc = begin(run, false, "mkdir", path, NULL, err);

	if (rc < 0)
		return rc;
	rc = run->plan_only ? 0 : cfs->ops->mkdir(cfs, full);
	return rc < 0 && rc != -EEXIST ? err_errno(err, rc, "cannot make %s", full) : 0;
}

int lio_ensure_dir(struct lio_run *run, const char *path, struct err *err)
{
	return lio_exists(run, path) ? 0 : lio_do_mkdir(run, path, err);
}

int lio_do_rmdir(struct lio_run *run, const char *path, struct err *err)
{
	_cleanup_free_ char *full = lio_path(run->tree->root, path);
	struct cfs *cfs = run->tree->cfs;
	int rc = begin(run, true, "rmdir", path, NULL, err);

	if (rc < 0)
		return rc;
	rc = run->plan_only ? 0 : cfs->ops->rmdir(cfs, full);
	return rc < 0 && rc != -ENOENT ? err_errno(err, rc, "cannot remove %s", full) : 0;
}

int lio_do_link(struct lio_run *run, const char *path, const char *to, struct err *err)
{
	_cleanup_free_ char *full = lio_path(run->tree->root, path);
	_cleanup_free_ char *target = lio_path(run->tree->root, to);
	struct cfs *cfs = run->tree->cfs;
	int rc = begin(run, false, "link", path, to, err);

	if (rc < 0)
		return rc;
	rc = run->plan_only ? 0 : cfs->ops->symlink(cfs, target, full);
	return rc < 0 ? err_errno(err, rc, "cannot link %s to %s", full, to) : 0;
}

int lio_do_unlink(struct lio_run *run, const char *path, struct err *err)
{
	_cleanup_free_ char *full = lio_path(run->tree->root, path);
	struct cfs *cfs = run->tree->cfs;
	int rc = begin(run, true, "unlink", path, NULL, err);

	if (rc < 0)
		return rc;
	rc = run->plan_only ? 0 : cfs->ops->unlink(cfs, full);
	return rc < 0 && rc != -ENOENT ? err_errno(err, rc, "cannot remove the link %s", full) : 0;
}
