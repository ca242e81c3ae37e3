// SPDX-License-Identifier: GPL-2.0-or-later
/* What the kernel target knows of a volume's reservations, and how it forgets. What it begins with is part of the tree. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "target-config/lio/cfs.h"
#include "target-config/lio/tree.h"

bool lio_has_backstore(const struct lio_roots *roots, const char *volume)
{
	_cleanup_free_ char *path = xasprintf("%s/%s/enable", LIO_HBA, volume);
	_cleanup_free_ char *got = NULL;

	return lio_read_attr(lio_cfs(roots), roots->configfs, path, LIO_FORM_PLAIN, &got) == 0 && strcmp(got, "1") == 0;
}

static int read_pr(const struct lio_roots *roots, const char *volume, const char *attr, char **ret)
{
	_cleanup_free_ char *path = xasprintf("%s/%s/%s/pr/%s", roots->configfs, LIO_HBA, volume, attr);
	struct cfs *cfs = lio_cfs(roots);

	return cfs->ops->read(cfs, path, ret);
}

int lio_registrations(const struct lio_roots *roots, const char *volume, char **ret_listing)
{
	return read_pr(roots, volume, "res_pr_registered_i_pts", ret_listing);
}

int lio_reservation(const struct lio_roots *roots, const char *volume, char **ret_holder, char **ret_type)
{
	_cleanup_free_ char *holder = NULL;
	int rc = read_pr(roots, volume, "res_holder", &holder);

	if (rc == 0)
		rc = read_pr(roots, volume, "res_pr_type", ret_type);
	if (rc == 0) {
		*ret_holder = holder;
		holder = NULL;
	}
	return rc;
}

int lio_forget_reservations(const struct lio_roots *roots, const struct config *config, const struct lio_scope *scope, const char *volume,
			    struct err *err)
{
	struct lio_tree *tree = lio_tree_build(config, scope, roots);
	struct cfs *cfs = lio_cfs(roots);
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < tree->n; i++) {
		const struct lio_object *object = &tree->objects[i];
		_cleanup_free_ char *path = NULL, *to = NULL;

		if (object->kind != LIO_LINK || object->stage != LIO_STAGE_MAPPED_LUN || strcmp(object->volume, volume) != 0)
			continue;
		path = lio_path(roots->configfs, object->path);
		to = lio_path(roots->configfs, object->value);
		rc = cfs->ops->unlink(cfs, path);
		if (rc == 0 || rc == -ENOENT)
			rc = cfs->ops->symlink(cfs, to, path);
		if (object->flags & LIO_APART) /* a port that is not there has no reservations */
			rc = rc == -ENOENT ? 0 : rc;
		if (rc < 0)
			err_errno(err, rc, "cannot map %s again", path);
	}
	lio_tree_free(tree);
	return rc;
}
