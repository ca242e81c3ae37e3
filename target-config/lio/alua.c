// SPDX-License-Identifier: GPL-2.0-or-later
/* ALUA states of a group's volumes: one write through the lu_gp. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "target-config/lio/cfs.h"
#include "target-config/lio/tree.h"

static pthread_mutex_t alua_lock = PTHREAD_MUTEX_INITIALIZER;

void lio_alua_lock(void)
{
	pthread_mutex_lock(&alua_lock);
}

void lio_alua_unlock(void)
{
	pthread_mutex_unlock(&alua_lock);
}

/* Built as far as the lu_gp: before that a write would reach this volume alone, and no LUN of it is linked. */
static bool is_member(const struct lio_roots *roots, const struct config_volume *volume)
{
	_cleanup_free_ char *path = xasprintf("%s/%s/alua_lu_gp", LIO_HBA, volume->name);
	_cleanup_free_ char *want = xasprintf("%s%s", LIO_LU_GP_PREFIX, volume->group->name);
	_cleanup_free_ char *got = NULL;

	return lio_read_attr(lio_cfs(roots), roots->configfs, path, LIO_FORM_GROUP_ALIAS, &got) == 0 &&
	       strcmp(got, want) == 0;
}

bool lio_is_alone(const struct config_group *group)
{
	return !group->nodes[1];
}

static int write_state(const struct lio_roots *roots, const struct config_volume *volume, const char *gp, const char *state)
{
	struct cfs *cfs = lio_cfs(roots);
	_cleanup_free_ char *path = xasprintf("%s/" LIO_HBA "/%s/alua/%s/alua_access_state", roots->configfs, volume->name, gp);

	return cfs->ops->write(cfs, path, state);
}

int lio_alua_set(const struct lio_roots *roots, const struct config *config, const char *group, uint32_t of_nodeid,
		 enum lio_alua_state state, struct err *err)
{
	int rc = -ENOENT;
	char text[8], gp[16];

	snprintf(gp, sizeof(gp), "node%u", of_nodeid);
	snprintf(text, sizeof(text), "%d", (int)state);
	lio_alua_lock();
	for (size_t i = 0; i < config->n_volumes && rc == -ENOENT; i++) {
		const struct config_volume *volume = &config->volumes[i];

		if (strcmp(volume->group->name, group) != 0 || !is_member(roots, volume))
			continue;
		rc = write_state(roots, volume, gp, text);
		if (rc == 0 && lio_is_alone(volume->group))
			rc = write_state(roots, volume, "default_tg_pt_gp", text);
	}
	lio_alua_unlock();
	if (rc == -ENOENT)
		return err_set(err, rc, "group %s has no volume built on this node for the ports of node %u", group, of_nodeid);
	return rc < 0 ? err_errno(err, rc, "group %s: cannot set ALUA state %s of node %u", group, text, of_nodeid) : 0;
}

/* How much a host can do in a state, most first. */
static int rank(enum lio_alua_state state)
{
	switch (state) {
	case LIO_ALUA_ACTIVE_OPTIMIZED:
		return 0;
	case LIO_ALUA_ACTIVE_NONOPTIMIZED:
		return 1;
	case LIO_ALUA_STANDBY:
		return 2;
	case LIO_ALUA_TRANSITIONING:
		return 3;
	case LIO_ALUA_UNAVAILABLE:
		return 4;
	}
	return 5;
}

int lio_alua_get(const struct lio_roots *roots, const struct config *config, const char *group, uint32_t of_nodeid,
		 enum lio_alua_state *ret_state, struct err *err)
{
	enum lio_alua_state worst = LIO_ALUA_ACTIVE_OPTIMIZED;
	bool any = false;

	for (size_t i = 0; i < config->n_volumes; i++) {
		const struct config_volume *volume = &config->volumes[i];
		_cleanup_free_ char *path = xasprintf("%s/%s/alua/node%u/alua_access_state", LIO_HBA, volume->name, of_nodeid);
		_cleanup_free_ char *text = NULL;
		enum lio_alua_state state;

		if (strcmp(volume->group->name, group) != 0 || !is_member(roots, volume) ||
		    lio_read_attr(lio_cfs(roots), roots->configfs, path, LIO_FORM_PLAIN, &text) < 0)
			continue;
		state = (enum lio_alua_state)strtol(text, NULL, 10);
		if (rank(state) > rank(worst))
			worst = state;
		any = true;
	}
	if (!any)
		return err_set(err, -ENOENT, "group %s has no volume built on this node for the ports of node %u", group,
			       of_nodeid);
	*ret_state = worst;
	return 0;
}
