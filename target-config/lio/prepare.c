// SPDX-License-Identifier: GPL-2.0-or-later
/* What the kernel target needs before the first backstore: modules, configfs, and its folder for reservations. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mounts.h"
#include "base/run_cmd.h"
#include "base/xalloc.h"
#include "target-config/lio/cfs.h"
#include "target-config/lio/tree.h"

#define MODPROBE_DEADLINE_MS 30000

static int load_modules(bool want_iser, unsigned int fabrics, struct err *err)
{
	int rc = run_cmdl(err, MODPROBE_DEADLINE_MS, "modprobe", "-a", "configfs", "target_core_mod", "target_core_iblock",
			  "iscsi_target_mod", NULL);

	if (rc == 0 && want_iser)
		rc = run_cmdl(err, MODPROBE_DEADLINE_MS, "modprobe", "ib_isert", NULL);
	if (rc < 0)
		err_prefix(err, "kernel modules of the target");
	for (enum config_fabric_id id = CONFIG_FABRIC_SRP; rc == 0 && id < CONFIG_FABRICS; id++) {
		if (fabrics & 1u << id)
			(void)!run_cmdl(NULL, MODPROBE_DEADLINE_MS, "modprobe", "-q", config_fabric(id)->module, NULL);
	}
	return rc;
}

static int make_dbroot(const char *dbroot, struct err *err)
{
	static const char *const subdirs[] = { "pr", "alua" }; /* LIO makes files, never folders */

	for (size_t i = 0; i < ARRAY_SIZE(subdirs); i++) {
		_cleanup_free_ char *dir = xasprintf("%s/%s", dbroot, subdirs[i]);
		int rc = file_make_dirs(dir, 0700);

		if (rc < 0)
			return err_errno(err, rc, "cannot make %s", dir);
	}
	return 0;
}

/* A target that another program has set up before us, and that is to be taken over, keeps its dbroot until the node is restarted: what the kernel
 * writes there has to be what it would write here (agent/pr-keeper). */
static int is_shown_at(const struct lio_roots *roots, const char *got, struct err *err)
{
	int len = (int)strcspn(got, "\n");
	_cleanup_free_ char *here = xasprintf("%s/pr", roots->dbroot), *there = xasprintf("%.*s/pr", len, got);

	if (mounts_same(here, there))
		return 0;
	return err_set(err, -EBUSY, "the kernel target keeps reservations in %.*s and has backstores already: to take over what another program has set up, "
		       "have lunward-pr.service started (or restarted, if it was there before); else stop that program (rtslib-fb-targetctl.service) "
		       "and clear the target", len, got);
}

static int set_dbroot(const struct lio_roots *roots, struct err *err)
{
	struct cfs *cfs = lio_cfs(roots);
	_cleanup_free_ char *path = lio_path(roots->configfs, "dbroot");
	_cleanup_free_ char *line = xasprintf("%s\n", roots->dbroot); /* the newline ends it: an older, longer path stays behind
								       * it else (target_core_item_dbroot_store, strncpy) */
	_cleanup_free_ char *got = NULL;
	int rc = cfs->ops->read(cfs, path, &got);

	if (rc == 0 && strcmp(got, line) == 0)
		return 0;
	if (rc == 0)
		rc = cfs->ops->write(cfs, path, line);
	if (rc == -EINVAL)
		return is_shown_at(roots, got, err);
	return rc < 0 ? err_errno(err, rc, "cannot set %s", path) : 0;
}

int lio_prepare(const struct lio_roots *roots, bool want_iser, unsigned int fabrics, struct err *err)
{
	int rc = 0;

	if (!roots->cfs) { /* else there is no kernel to prepare */
		rc = load_modules(want_iser, fabrics, err);
		if (rc == 0)
			rc = cfs_mount(err);
	}
	if (rc == 0)
		rc = make_dbroot(roots->dbroot, err);
	return rc < 0 ? rc : set_dbroot(roots, err);
}
