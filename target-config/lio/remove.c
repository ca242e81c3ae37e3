// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The half of the reconciler that takes away. It walks what is Lunward's below configfs, compares with the tree, and makes a
 * list of removals with stages: portal groups are silenced before anything under them goes, what points goes before what is
 * pointed at. Removals of one stage are independent of each other, but for mapped LUNs of one device: each frees its registrations, and
 * two at a time walk one list that both let go of in between (core_scsi3_free_pr_reg_from_nacl(): a general protection fault).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parallel.h"
#include "base/xalloc.h"
#include "target-config/lio/reconcile.h"

enum removal_stage {
	REMOVE_ENABLE, /* not a removal: enable=0 */
	REMOVE_PORTAL,
	REMOVE_MAPPED_LUN,
	REMOVE_ACL,
	REMOVE_LUN,
	REMOVE_TPG,
	REMOVE_TARGET,
	REMOVE_GROUP,
	REMOVE_BACKSTORE,
	REMOVE_LU_GP,
	REMOVE_HBA,
	REMOVE_STAGES,
};

struct removal_step {
	enum removal_stage stage;
	char *path;
	char *device; /* of a mapped LUN: done one after the other for each; NULL: independent */
};

struct lio_removal {
	struct removal_step *steps;
	size_t n, cap;
};

struct names {
	char **names;
	size_t n;
};

static void names_done(struct names *names)
{
	cfs_names_free(names->names, names->n);
}

#define _cleanup_names_ __attribute__((cleanup(names_done)))

/* Keeps the first reason why the picture is incomplete. What is not there is no such reason. */
static void observed(struct lio_run *run, int rc)
{
	if (rc < 0 && rc != -ENOENT && run->observe_rc == 0)
		run->observe_rc = rc;
}

static struct names list(struct lio_run *run, const char *path, enum cfs_type type)
{
	_cleanup_free_ char *full = lio_path(run->tree->root, path);
	struct names names = { 0 };
	int rc = run->tree->cfs->ops->list(run->tree->cfs, full, type, &names.names, &names.n);

	observed(run, rc);
	return rc < 0 ? (struct names){ 0 } : names;
}

static bool attr_is(struct lio_run *run, const char *dir, const char *name, const char *value)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
	_cleanup_free_ char *got = NULL;
	int rc = lio_read_attr(run->tree->cfs, run->tree->root, path, LIO_FORM_PLAIN, &got);

	observed(run, rc);
	return rc == 0 && strcmp(got, value) == 0;
}

static bool is_wanted(const struct lio_run *run, const char *path)
{
	return lio_wanted(run, path) != NULL;
}

static struct removal_step *step(struct lio_removal *removal, enum removal_stage stage, const char *path)
{
	struct removal_step *s = array_push(removal->steps, removal->n, removal->cap);

	s->stage = stage;
	s->path = xstrdup(path);
	return s;
}

static bool has_step(const struct lio_removal *removal, enum removal_stage stage, const char *path)
{
	for (size_t i = removal->n; i > 0; i--) { /* what is asked for was found a moment ago */
		if (removal->steps[i - 1].stage == stage && strcmp(removal->steps[i - 1].path, path) == 0)
			return true;
	}
	return false;
}

/* --- whose is it? ------------------------------------------------------------------------------------------------------*/

static bool is_srp(const char *target)
{
	return lio_is_below(target, "srpt");
}

static bool is_tpg(const char *target, const char *name) /* fabric_statistics is none */
{
	return is_srp(target) ? strcmp(name, LIO_SRP_TPG) == 0 : strncmp(name, "tpgt_", 5) == 0;
}

/* Where it leads to, NULL if it cannot be read. */
static char *read_link(struct lio_run *run, const char *link)
{
	_cleanup_free_ char *full = lio_path(run->tree->root, link);
	char *to = NULL;
	int rc = run->tree->cfs->ops->readlink(run->tree->cfs, full, &to);

	observed(run, rc);
	return rc < 0 ? NULL : to;
}

static bool has_our_device(struct lio_run *run, const char *lun)
{
	_cleanup_names_ struct names links = list(run, lun, CFS_LINK);
	bool found = false;

	for (size_t i = 0; i < links.n && !found; i++) {
		_cleanup_free_ char *link = xasprintf("%s/%s", lun, links.names[i]);
		_cleanup_free_ char *to = read_link(run, link);

		found = to && (strstr(to, "/" LIO_HBA "/") || strstr(to, "/" LIO_STANDINS "/"));
	}
	return found;
}

/* Of Fibre Channel, where a TPG can have no mark: it has a LUN of ours. One that a removal which was broken off has left empty is nobody's. */
static bool has_our_lun(struct lio_run *run, const char *tpg)
{
	_cleanup_free_ char *dir = xasprintf("%s/lun", tpg);
	_cleanup_names_ struct names luns = list(run, dir, CFS_DIR);
	bool found = false;

	for (size_t i = 0; i < luns.n && !found; i++) {
		_cleanup_free_ char *lun = xasprintf("%s/%s", dir, luns.names[i]);

		found = has_our_device(run, lun);
	}
	return found;
}

static bool is_our_tpg(struct lio_run *run, const char *target, const char *name)
{
	_cleanup_free_ char *tpg = xasprintf("%s/%s", target, name);

	if (!is_tpg(target, name))
		return false;
	if (lio_is_below(target, "iscsi"))
		return attr_is(run, tpg, "param/TargetAlias", LIO_TARGET_ALIAS);
	return is_srp(target) || has_our_lun(run, tpg);
}

static bool is_ours(struct lio_run *run, const char *target)
{
	_cleanup_names_ struct names tpgs = { 0 };

	if (is_wanted(run, target))
		return true;
	tpgs = list(run, target, CFS_DIR);
	for (size_t i = 0; i < tpgs.n; i++) {
		if (is_our_tpg(run, target, tpgs.names[i]))
			return true;
	}
	return false;
}

typedef void tpg_fn(struct lio_run *run, void *ctx, const char *tpg);

static void for_each_our_tpg_of(struct lio_run *run, const char *fabric, void *ctx, tpg_fn *fn)
{
	_cleanup_names_ struct names targets = list(run, fabric, CFS_DIR);

	for (size_t i = 0; i < targets.n; i++) {
		_cleanup_free_ char *target = xasprintf("%s/%s", fabric, targets.names[i]);
		_cleanup_names_ struct names tpgs = { 0 };

		if (!is_ours(run, target))
			continue;
		tpgs = list(run, target, CFS_DIR);
		for (size_t j = 0; j < tpgs.n; j++) {
			_cleanup_free_ char *tpg = xasprintf("%s/%s", target, tpgs.names[j]);

			if (is_tpg(target, tpgs.names[j]))
				fn(run, ctx, tpg);
		}
	}
}

static void for_each_our_tpg(struct lio_run *run, void *ctx, tpg_fn *fn)
{
	for (enum config_fabric_id id = 0; id < CONFIG_FABRICS; id++)
		for_each_our_tpg_of(run, lio_fabric(id)->dir, ctx, fn);
}

/* The volume of ours the link leads to, NULL if none. */
static char *linked_volume(struct lio_run *run, const char *link)
{
	_cleanup_free_ char *to = read_link(run, link);
	const char *start = to ? strstr(to, "/" LIO_HBA "/") : NULL;

	return start ? xstrdup(start + strlen("/" LIO_HBA "/")) : NULL;
}

static void find_exported(struct lio_run *run, void *ctx, const char *tpg)
{
	_cleanup_free_ char *dir = xasprintf("%s/lun", tpg);
	_cleanup_names_ struct names luns = list(run, dir, CFS_DIR);

	(void)ctx;
	for (size_t i = 0; i < luns.n; i++) {
		_cleanup_free_ char *lun = xasprintf("%s/%s", dir, luns.names[i]);
		_cleanup_names_ struct names links = list(run, lun, CFS_LINK);

		for (size_t j = 0; j < links.n; j++) {
			_cleanup_free_ char *link = xasprintf("%s/%s", lun, links.names[j]);
			_cleanup_free_ char *volume = linked_volume(run, link);

			if (volume)
				name_set_add(&run->exported, volume);
		}
	}
}

static bool is_configured(struct lio_run *run, const char *volume)
{
	_cleanup_free_ char *dir = xasprintf("%s/%s", LIO_HBA, volume);

	return attr_is(run, dir, "enable", "1");
}

/* An exported volume keeps its serial and block size (export_count, target_core_configfs.c); if they are not what the
 * document says, the volume was deleted and another of that name made while this node did not look. */
static void find_stale(struct lio_run *run)
{
	for (size_t i = 0; i < run->tree->n; i++) {
		const struct lio_object *object = &run->tree->objects[i];
		_cleanup_free_ char *got = NULL;
		int rc;

		if (object->flags & LIO_ANEW || (object->kind == LIO_ATTR && object->flags & LIO_LOAD && !is_configured(run, object->volume)))
			name_set_add(&run->stale, object->volume);
		if (!(object->flags & LIO_IDENTITY) || !name_set_has(&run->exported, object->volume))
			continue;
		rc = lio_read_attr(run->tree->cfs, run->tree->root, object->path, object->form, &got);
		observed(run, rc);
		if (rc == 0 && strcmp(got, object->value) != 0)
			name_set_add(&run->stale, object->volume);
	}
	name_set_sort(&run->stale);
}

/* --- what has to go ----------------------------------------------------------------------------------------------------*/

static bool leads_to_standin(struct lio_run *run, const char *link)
{
	int rc = lio_link_leads_to_standin(run, link);

	observed(run, rc);
	return rc == 1;
}

/* Are the links of a LUN or mapped LUN what the tree wants? A mapped LUN may have none yet. A LUN may not: what is mapped to one
 * that lost its link is dead (core_dev_del_lun) and does not come back with the next link. */
static bool links_are_wanted(struct lio_run *run, const char *dir, bool may_be_empty)
{
	_cleanup_names_ struct names links = list(run, dir, CFS_LINK);

	if (links.n == 0)
		return may_be_empty;

	for (size_t i = 0; i < links.n; i++) {
		_cleanup_free_ char *link = xasprintf("%s/%s", dir, links.names[i]);
		const struct lio_object *object = lio_wanted(run, link);
		int rc = object ? lio_link_leads_to(run, link, object->value) : 0;

		observed(run, rc);
		if (rc == 0 && object && leads_to_standin(run, link))
			continue;
		if (rc != 1 || name_set_has(&run->stale, object->volume))
			return false;
	}
	return true;
}

static void find_luns(struct lio_run *run, struct lio_removal *removal, const char *tpg)
{
	_cleanup_free_ char *dir = xasprintf("%s/lun", tpg);
	_cleanup_names_ struct names luns = list(run, dir, CFS_DIR);

	for (size_t i = 0; i < luns.n; i++) {
		_cleanup_free_ char *lun = xasprintf("%s/%s", dir, luns.names[i]);

		if (lio_is_standin_lun(lun) && is_wanted(run, tpg))
			continue; /* hosts may be at it: it goes last */
		if (lio_foreign_stays(run, lun))
			continue;
		if (!is_wanted(run, lun) || !links_are_wanted(run, lun, false))
			step(removal, REMOVE_LUN, lun);
	}
}

/* The name of its LUN, which is the same wherever a device is exported (target_lun). NULL: it leads nowhere. */
static char *mapped_device(struct lio_run *run, const char *dir)
{
	_cleanup_names_ struct names links = list(run, dir, CFS_LINK);

	for (size_t i = 0; i < links.n; i++) {
		_cleanup_free_ char *link = xasprintf("%s/%s", dir, links.names[i]);
		_cleanup_free_ char *to = read_link(run, link);

		if (to && strrchr(to, '/'))
			return xstrdup(strrchr(to, '/') + 1);
	}
	return NULL;
}

/* Does a link of this mapped LUN lead to a LUN that goes? */
static bool mapped_lun_dangles(struct lio_run *run, const struct lio_removal *removal, const char *dir)
{
	_cleanup_names_ struct names links = list(run, dir, CFS_LINK);

	for (size_t i = 0; i < links.n; i++) {
		_cleanup_free_ char *link = xasprintf("%s/%s", dir, links.names[i]);
		const struct lio_object *object = lio_wanted(run, link);

		if (object && has_step(removal, REMOVE_LUN, object->value) && !leads_to_standin(run, link))
			return true;
	}
	return false;
}

static void find_mapped_luns(struct lio_run *run, struct lio_removal *removal, const char *acl)
{
	_cleanup_names_ struct names names = list(run, acl, CFS_DIR);

	for (size_t i = 0; i < names.n; i++) {
		_cleanup_free_ char *lun = xasprintf("%s/%s", acl, names.names[i]);

		if (strncmp(names.names[i], "lun_", 4) != 0) /* attrib, auth, param, fabric_statistics */
			continue;
		if (lio_foreign_stays_mapped(run, lun))
			continue;
		if (!is_wanted(run, lun) || !links_are_wanted(run, lun, true) || mapped_lun_dangles(run, removal, lun))
			step(removal, REMOVE_MAPPED_LUN, lun)->device = mapped_device(run, lun);
	}
}

static void find_acls(struct lio_run *run, struct lio_removal *removal, const char *tpg)
{
	_cleanup_free_ char *dir = xasprintf("%s/acls", tpg);
	_cleanup_names_ struct names acls = list(run, dir, CFS_DIR);

	for (size_t i = 0; i < acls.n; i++) {
		_cleanup_free_ char *acl = xasprintf("%s/%s", dir, acls.names[i]);

		find_mapped_luns(run, removal, acl);
		if (!is_wanted(run, acl))
			step(removal, REMOVE_ACL, acl);
	}
}

static void find_portals(struct lio_run *run, struct lio_removal *removal, const char *tpg)
{
	_cleanup_free_ char *dir = xasprintf("%s/np", tpg);
	_cleanup_names_ struct names nps = list(run, dir, CFS_DIR);

	for (size_t i = 0; i < nps.n; i++) {
		_cleanup_free_ char *np = xasprintf("%s/%s", dir, nps.names[i]);

		if (!is_wanted(run, np))
			step(removal, REMOVE_PORTAL, np);
	}
}

static void find_in_tpg(struct lio_run *run, void *ctx, const char *tpg)
{
	_cleanup_free_ char *enable = xasprintf("%s/enable", tpg);
	struct lio_removal *removal = ctx;

	if (!lio_foreign_is_at(run, tpg)) { /* else hosts are there that have no other way */
		if (!is_wanted(run, enable) && attr_is(run, tpg, "enable", "1"))
			step(removal, REMOVE_ENABLE, tpg);
		find_portals(run, removal, tpg);
	}
	find_luns(run, removal, tpg);
	find_acls(run, removal, tpg);
	if (!is_wanted(run, tpg))
		step(removal, REMOVE_TPG, tpg);
}

static void find_targets(struct lio_run *run, struct lio_removal *removal, const char *fabric)
{
	_cleanup_names_ struct names names = list(run, fabric, CFS_DIR);

	for (size_t i = 0; i < names.n; i++) {
		_cleanup_free_ char *target = xasprintf("%s/%s", fabric, names.names[i]);

		if (!is_wanted(run, target) && is_ours(run, target))
			step(removal, REMOVE_TARGET, target);
	}
}

static void find_groups(struct lio_run *run, struct lio_removal *removal, const char *backstore)
{
	_cleanup_free_ char *dir = xasprintf("%s/alua", backstore);
	_cleanup_names_ struct names groups = list(run, dir, CFS_DIR);

	for (size_t i = 0; i < groups.n; i++) {
		_cleanup_free_ char *group = xasprintf("%s/%s", dir, groups.names[i]);

		if (strcmp(groups.names[i], "default_tg_pt_gp") != 0 &&
		    (!is_wanted(run, group) || has_step(removal, REMOVE_BACKSTORE, backstore)))
			step(removal, REMOVE_GROUP, group);
	}
}

static void find_backstores(struct lio_run *run, struct lio_removal *removal)
{
	_cleanup_names_ struct names volumes = list(run, LIO_HBA, CFS_DIR);

	for (size_t i = 0; i < volumes.n; i++) {
		_cleanup_free_ char *backstore = xasprintf("%s/%s", LIO_HBA, volumes.names[i]);

		if (!is_wanted(run, backstore) || name_set_has(&run->stale, volumes.names[i]))
			step(removal, REMOVE_BACKSTORE, backstore);
		find_groups(run, removal, backstore);
	}
	if (!is_wanted(run, LIO_HBA) && lio_exists(run, LIO_HBA))
		step(removal, REMOVE_HBA, LIO_HBA);
}

/* The folder above, if all in it goes: targetcli makes one for each device. */
static void find_emptied_hba(struct lio_run *run, struct lio_removal *removal, const char *device)
{
	_cleanup_free_ char *hba = xasprintf("%.*s", (int)(strrchr(device, '/') - device), device);
	_cleanup_names_ struct names devices = list(run, hba, CFS_DIR);

	for (size_t i = 0; i < devices.n; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", hba, devices.names[i]);

		if (!has_step(removal, REMOVE_BACKSTORE, path))
			return;
	}
	step(removal, REMOVE_HBA, hba);
}

static void find_taken_devices(struct lio_run *run, struct lio_removal *removal)
{
	for (size_t i = 0; i < run->foreign.devices.n; i++) {
		const char *device = run->foreign.devices.names[i];

		step(removal, REMOVE_BACKSTORE, device);
		find_groups(run, removal, device);
		find_emptied_hba(run, removal, device);
	}
}

static void find_lu_gps(struct lio_run *run, struct lio_removal *removal)
{
	_cleanup_names_ struct names names = list(run, LIO_LU_GPS, CFS_DIR);

	for (size_t i = 0; i < names.n; i++) {
		_cleanup_free_ char *lu_gp = xasprintf("%s/%s", LIO_LU_GPS, names.names[i]);

		if (strncmp(names.names[i], LIO_LU_GP_PREFIX, strlen(LIO_LU_GP_PREFIX)) == 0 && !is_wanted(run, lu_gp))
			step(removal, REMOVE_LU_GP, lu_gp);
	}
}

/* exported becomes what is still linked when the removals are done, as far as it matters: without the stale ones. */
static void drop_stale_from_exported(struct lio_run *run)
{
	struct name_set left = { 0 };

	for (size_t i = 0; i < run->exported.n; i++) {
		if (!name_set_has(&run->stale, run->exported.names[i]))
			name_set_add(&left, run->exported.names[i]);
	}
	name_set_done(&run->exported);
	run->exported = left;
}

/* Frees it unless all could be looked at. */
static int check_observed(const struct lio_run *run, struct lio_removal *removal, struct err *err)
{
	if (run->observe_rc == 0)
		return 0;
	lio_removal_free(removal);
	return err_errno(err, run->observe_rc, "cannot look at all of %s", run->tree->root);
}

int lio_removal_plan(struct lio_run *run, struct lio_removal **ret_removal, size_t *ret_waits, struct err *err)
{
	struct lio_removal *removal = xcalloc(1, sizeof(*removal));
	size_t n_waits = 0;
	int rc;

	for_each_our_tpg(run, NULL, find_exported);
	name_set_sort(&run->exported);
	find_stale(run);
	for_each_our_tpg(run, removal, find_in_tpg);
	for (enum config_fabric_id id = 0; id < CONFIG_FABRICS; id++)
		find_targets(run, removal, lio_fabric(id)->dir);
	find_backstores(run, removal);
	find_taken_devices(run, removal);
	find_lu_gps(run, removal);
	rc = check_observed(run, removal, err);
	if (rc < 0)
		return rc;
	drop_stale_from_exported(run);
	for (size_t i = 0; i < removal->n; i++) {
		n_waits += removal->steps[i].stage == REMOVE_LUN || removal->steps[i].stage == REMOVE_GROUP;
		if (run->plan_only && removal->steps[i].stage != REMOVE_ENABLE)
			name_set_add(&run->gone, removal->steps[i].path);
	}
	*ret_removal = removal;
	*ret_waits = n_waits;
	return 0;
}

static void find_standin_luns(struct lio_run *run, void *ctx, const char *tpg)
{
	_cleanup_free_ char *dir = xasprintf("%s/lun", tpg);
	_cleanup_names_ struct names luns = list(run, dir, CFS_DIR);

	for (size_t i = 0; i < luns.n; i++) {
		_cleanup_free_ char *lun = xasprintf("%s/%s", dir, luns.names[i]);

		if (lio_is_standin_lun(lun))
			step(ctx, REMOVE_LUN, lun);
	}
}

int lio_removal_plan_standins(struct lio_run *run, struct lio_removal **ret_removal, struct err *err)
{
	struct lio_removal *removal = xcalloc(1, sizeof(*removal));
	_cleanup_names_ struct names volumes = { 0 };
	int rc;

	if (lio_exists(run, LIO_STANDINS)) {
		for_each_our_tpg(run, removal, find_standin_luns);
		volumes = list(run, LIO_STANDINS, CFS_DIR);
		for (size_t i = 0; i < volumes.n; i++) {
			_cleanup_free_ char *device = xasprintf("%s/%s", LIO_STANDINS, volumes.names[i]);

			step(removal, REMOVE_BACKSTORE, device);
		}
		step(removal, REMOVE_HBA, LIO_STANDINS);
	}
	rc = check_observed(run, removal, err);
	if (rc == 0)
		*ret_removal = removal;
	return rc;
}

void lio_removal_free(struct lio_removal *removal)
{
	if (!removal)
		return;
	for (size_t i = 0; i < removal->n; i++) {
		free(removal->steps[i].path);
		free(removal->steps[i].device);
	}
	free(removal->steps);
	free(removal);
}

/* --- doing it ----------------------------------------------------------------------------------------------------------*/

struct stage_items {
	struct lio_run *run;
	const struct removal_step **steps; /* of one device next to each other */
	size_t n, cap;
};

static int remove_linked(struct lio_run *run, const char *dir, struct err *err)
{
	_cleanup_names_ struct names links = list(run, dir, CFS_LINK);
	int rc;

	for (size_t i = 0; i < links.n; i++) {
		_cleanup_free_ char *link = xasprintf("%s/%s", dir, links.names[i]);

		rc = lio_do_unlink(run, link, err);
		if (rc < 0)
			return rc;
	}
	return lio_do_rmdir(run, dir, err);
}

/* Addresses go when it is quiet, since an answer that cannot be sent ends the connection too; then what was under way ends. */
static void part_from_hosts(struct lio_run *run, const char *tpg)
{
	_cleanup_free_ char *dir = xasprintf("%s/np", tpg);
	_cleanup_names_ struct names nps = { 0 };

	ignore_result(lio_wait_quiet(run, tpg));
	if (!run->tree->leave)
		return;
	nps = list(run, dir, CFS_DIR);
	for (size_t i = 0; i < nps.n; i++)
		run->tree->leave(run->tree->leave_ctx, nps.names[i]);
	ignore_result(lio_wait_quiet(run, tpg));
}

static int remove_one(struct lio_run *run, const struct removal_step *s, struct err *err)
{
	if (s->stage == REMOVE_ENABLE) {
		if (!run->plan_only && lio_has_iser(run, s->path))
			part_from_hosts(run, s->path);
		return lio_disable(run, s->path, err);
	}
	if (s->stage == REMOVE_LUN || s->stage == REMOVE_MAPPED_LUN)
		return remove_linked(run, s->path, err);
	return lio_do_rmdir(run, s->path, err);
}

static int remove_in_order(void *ctx, size_t start, size_t end, struct err *err)
{
	struct stage_items *items = ctx;
	int rc = 0;

	for (size_t i = start; rc == 0 && i < end; i++)
		rc = remove_one(items->run, items->steps[i], err);
	return rc;
}

static int compare_devices(const void *a, const void *b)
{
	const struct removal_step *const *x = a, *const *y = b;

	return strcmp((*x)->device ?: "", (*y)->device ?: "");
}

static bool is_of_device(const void *ctx, size_t index)
{
	const struct stage_items *items = ctx;

	return items->steps[index]->device && compare_devices(&items->steps[index], &items->steps[index - 1]) == 0;
}

int lio_removal_run(struct lio_run *run, struct lio_removal *removal, struct err *err)
{
	for (enum removal_stage stage = 0; stage < REMOVE_STAGES; stage++) {
		struct stage_items items = { .run = run };
		int rc;

		for (size_t i = 0; i < removal->n; i++) {
			if (removal->steps[i].stage == stage)
				*array_push(items.steps, items.n, items.cap) = &removal->steps[i];
		}
		if (stage == REMOVE_MAPPED_LUN && items.n)
			qsort(items.steps, items.n, sizeof(*items.steps), compare_devices);
		rc = parallel_runs(items.n, run->threads, is_of_device, remove_in_order, &items, err);
		free(items.steps);
		if (rc < 0)
			return rc;
	}
	return 0;
}
