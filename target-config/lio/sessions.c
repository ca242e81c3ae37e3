// SPDX-License-Identifier: GPL-2.0-or-later
/* Who is logged in: acls/<initiator>/info (lio_target_nacl_info_show). Explicit ACLs only: Lunward makes no others. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "target-config/lio/cfs.h"
#include "target-config/lio/tree.h"

/* "<label>" up to white space, "" if it is not there. */
static char *field(const char *info, const char *label)
{
	const char *start = strstr(info, label);

	if (!start)
		return xstrdup("");
	start += strlen(label);
	start += strspn(start, " ");
	return xasprintf("%.*s", (int)strcspn(start, " \n"), start);
}

static void report_session(const char *info, const char *iqn, uint32_t tpgt, const char *initiator, lio_session_fn *fn,
			   void *ctx)
{
	_cleanup_free_ char *isid = field(info, "ISID:");
	_cleanup_free_ char *state = field(info, "Session State: TARG_SESS_STATE_");
	_cleanup_free_ char *address = field(info, "   Address ");
	_cleanup_free_ char *text = NULL;

	if (strncmp(info, "InitiatorName:", strlen("InitiatorName:")) != 0) /* "No active iSCSI Session ..." */
		return;
	text = xasprintf("isid %s from %s %s", isid, *address ? address : "-", *state ? state : "FREE");
	fn(ctx, iqn, tpgt, initiator, text);
}

static int list_tpg(const struct lio_roots *roots, const char *iqn, uint32_t tpgt, lio_session_fn *fn, void *ctx)
{
	_cleanup_free_ char *acls = xasprintf("%s/iscsi/%s/tpgt_%u/acls", roots->configfs, iqn, tpgt);
	struct cfs *cfs = lio_cfs(roots);
	char **names;
	size_t n;
	int rc = cfs->ops->list(cfs, acls, CFS_DIR, &names, &n);

	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s/info", acls, names[i]);
		_cleanup_free_ char *info = NULL;

		if (cfs->ops->read(cfs, path, &info) == 0) /* else the ACL has just gone */
			report_session(info, iqn, tpgt, names[i], fn, ctx);
	}
	cfs_names_free(names, n);
	return 0;
}

int lio_sessions(const struct lio_roots *roots, const struct config *config, lio_session_fn *fn, void *ctx)
{
	for (size_t t = 0; t < config->n_targets; t++) {
		for (size_t i = 0; i < config->n_nodes; i++) {
			int rc = list_tpg(roots, config->targets[t].iqn, config->nodes[i].nodeid, fn, ctx);

			if (rc < 0)
				return rc;
		}
	}
	return 0;
}
