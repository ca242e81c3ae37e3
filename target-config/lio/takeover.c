// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Volumes that another program, targetcli say, exports at a target of the document. Two must never serve one volume, so they stay with it
 * until this node acquires their group, and are taken then without a host losing its disk: sessions and what is mapped stay, the device
 * behind a LUN is exchanged. First for a stand-in (standin.c), which hosts wait for while what they had begun ends at the old device, and that goes;
 * then for ours. From one to the other a mapped LUN is missing for the time of two system calls, and for LUN 0 that is worse than an
 * error (standin.c): meanwhile nothing of the hosts may come in, which is what lio_scope.hold is for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "target-config/lio/reconcile.h"

static const char *below_root(const char *to)
{
	const char *core = strstr(to, "/core/");

	return core ? core + 1 : NULL;
}

static bool is_foreign(const char *device)
{
	return device && !lio_is_below(device, LIO_HBA) && !lio_is_below(device, LIO_STANDINS);
}

/* The document's volume with that serial that has a copy here. */
static const char *volume_of_serial(const struct lio_run *run, const char *serial)
{
	for (size_t i = 0; i < run->tree->n; i++) {
		const struct lio_object *object = &run->tree->objects[i];

		if (object->flags & LIO_IDENTITY && object->form == LIO_FORM_SERIAL && strcmp(object->value, serial) == 0)
			return object->volume;
	}
	return NULL;
}

static struct lio_foreign *group_of(const struct lio_run *run, const char *volume)
{
	_cleanup_free_ char *path = xasprintf("%s/%s/alua_lu_gp", LIO_HBA, volume);
	const struct lio_object *lu_gp = lio_wanted(run, path);

	for (size_t i = 0; lu_gp && i < run->tree->n_foreign; i++) {
		if (strcmp(run->tree->foreign[i].group, lu_gp->value + strlen(LIO_LU_GP_PREFIX)) == 0)
			return &run->tree->foreign[i];
	}
	return NULL;
}

/* --- finding them ------------------------------------------------------------------------------------------------------*/

static int note(struct lio_run *run, const struct lio_port *port, const char *lun, const char *volume, struct err *err)
{
	struct lio_foreign *group = group_of(run, volume);
	struct lio_foreign_lun *found;

	if (!group)
		return err_set(err, -EBUSY, "volume %s is exported by another program as %s/%s: what it has set up can be taken over while this is "
			       "the only node of the volume's group", volume, run->tree->root, lun);
	if (port->kind != LIO_PORT_ISCSI || lio_has_iser(run, port->tpg))
		return err_set(err, -EBUSY, "volume %s is exported by another program as %s/%s: only iSCSI over TCP can be taken over, since other hosts cannot "
			       "be made to wait; take that away first", volume, run->tree->root, lun);
	found = array_push(run->foreign.luns, run->foreign.n, run->foreign.cap);
	*found = (struct lio_foreign_lun){ .lun = xstrdup(lun), .volume = volume, .tpg = port->tpg, .stays = !group->take };
	run->foreign.n_taken += group->take;
	return 0;
}

/* Of the document, and here: the volume of another program's device; NULL: none, or it cannot be said and *ret_rc is why. */
static const char *volume_of_device(const struct lio_run *run, const char *device, int *ret_rc, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/wwn/vpd_unit_serial", device), *serial = NULL;
	int rc = lio_read_attr(run->tree->cfs, run->tree->root, path, LIO_FORM_SERIAL, &serial);

	*ret_rc = rc < 0 && rc != -ENOENT /* it has just gone */ ? err_errno(err, rc, "cannot read %s/%s", run->tree->root, path) : 0;
	return rc < 0 ? NULL : volume_of_serial(run, serial);
}

static int look_at_link(struct lio_run *run, const struct lio_port *port, const char *lun, const char *name, struct err *err)
{
	struct cfs *cfs = run->tree->cfs;
	_cleanup_free_ char *link = xasprintf("%s/%s/%s", run->tree->root, lun, name), *to = NULL;
	const char *device, *volume;
	int rc = cfs->ops->readlink(cfs, link, &to);

	if (rc < 0)
		return rc == -ENOENT ? 0 : err_errno(err, rc, "cannot read the link %s", link);
	device = below_root(to);
	if (!is_foreign(device))
		return 0;
	volume = volume_of_device(run, device, &rc, err);
	return volume ? note(run, port, lun, volume, err) : rc;
}

static int list(const struct lio_run *run, const char *path, enum cfs_type type, char ***ret_names, size_t *ret_n, struct err *err)
{
	_cleanup_free_ char *full = lio_path(run->tree->root, path);
	int rc = run->tree->cfs->ops->list(run->tree->cfs, full, type, ret_names, ret_n);

	if (rc == -ENOENT) {
		*ret_names = NULL;
		*ret_n = 0;
		return 0;
	}
	return rc < 0 ? err_errno(err, rc, "cannot look at %s", full) : 0;
}

static int look_at_lun(struct lio_run *run, const struct lio_port *port, const char *lun, struct err *err)
{
	char **links;
	size_t n;
	int rc = list(run, lun, CFS_LINK, &links, &n, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = look_at_link(run, port, lun, links[i], err);
	cfs_names_free(links, n);
	return rc;
}

static int look_at_port(struct lio_run *run, const struct lio_port *port, struct err *err)
{
	_cleanup_free_ char *dir = xasprintf("%s/lun", port->tpg);
	char **luns;
	size_t n;
	int rc = list(run, dir, CFS_DIR, &luns, &n, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < n && rc == 0; i++) {
		_cleanup_free_ char *lun = xasprintf("%s/%s", dir, luns[i]);

		rc = look_at_lun(run, port, lun, err);
	}
	cfs_names_free(luns, n);
	return rc;
}

static int look_at_device(struct lio_run *run, const char *device, struct err *err)
{
	int rc;
	const char *volume = volume_of_device(run, device, &rc, err);
	struct lio_foreign *group = volume ? group_of(run, volume) : NULL;

	if (!group)
		return rc;
	group->found = true;
	if (group->take)
		name_set_add(&run->foreign.devices, device);
	return 0;
}

/* Also those that no LUN leads to, or no longer: they keep the volume's bytes from everybody else. */
static int look_at_hba(struct lio_run *run, const char *hba, bool *any, struct err *err)
{
	char **devices;
	size_t n;
	int rc = list(run, hba, CFS_DIR, &devices, &n, err);

	if (rc < 0)
		return rc;
	*any |= n > 0;
	for (size_t i = 0; i < n && rc == 0; i++) {
		_cleanup_free_ char *device = xasprintf("%s/%s", hba, devices[i]);

		rc = look_at_device(run, device, err);
	}
	cfs_names_free(devices, n);
	return rc;
}

/* any: other programs have devices at all. */
static int look_at_core(struct lio_run *run, bool *any, struct err *err)
{
	char **hbas;
	size_t n;
	int rc = list(run, "core", CFS_DIR, &hbas, &n, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < n && rc == 0; i++) {
		_cleanup_free_ char *hba = xasprintf("core/%s", hbas[i]);

		if (strcmp(hbas[i], "alua") != 0 && is_foreign(hba))
			rc = look_at_hba(run, hba, any, err);
	}
	cfs_names_free(hbas, n);
	return rc;
}

int lio_foreign_find(struct lio_run *run, struct err *err)
{
	bool any = false;
	int rc;

	for (size_t i = 0; i < run->tree->n_foreign; i++)
		run->tree->foreign[i].found = false;
	rc = look_at_core(run, &any, err);
	for (size_t i = 0; any && i < run->tree->ports.n && rc == 0; i++)
		rc = look_at_port(run, &run->tree->ports.list[i], err);
	return rc;
}

void lio_foreign_done(struct lio_run *run)
{
	for (size_t i = 0; i < run->foreign.n; i++)
		free(run->foreign.luns[i].lun);
	free(run->foreign.luns);
	name_set_done(&run->foreign.devices);
}

bool lio_foreign_is_at(const struct lio_run *run, const char *tpg)
{
	for (size_t i = 0; i < run->foreign.n; i++) {
		if (strcmp(run->foreign.luns[i].tpg, tpg) == 0)
			return true;
	}
	return false;
}

/* --- what stays --------------------------------------------------------------------------------------------------------*/

static bool leads_to(const char *to, const char *path) /* "../../../../target/<path>" */
{
	size_t len = strlen(to), path_len = strlen(path);

	return len > path_len && to[len - path_len - 1] == '/' && strcmp(to + len - path_len, path) == 0;
}

static const struct lio_foreign_lun *by_link(const struct lio_run *run, const char *to)
{
	for (size_t i = 0; i < run->foreign.n; i++) {
		if (leads_to(to, run->foreign.luns[i].lun))
			return &run->foreign.luns[i];
	}
	return NULL;
}

static const struct lio_foreign_lun *by_lun(const struct lio_run *run, const char *lun)
{
	for (size_t i = 0; i < run->foreign.n; i++) {
		if (strcmp(run->foreign.luns[i].lun, lun) == 0)
			return &run->foreign.luns[i];
	}
	return NULL;
}

bool lio_foreign_stays(const struct lio_run *run, const char *lun)
{
	const struct lio_foreign_lun *foreign = by_lun(run, lun);

	return foreign && foreign->stays;
}

/* The link of a mapped LUN, whatever its name, to a LUN of another program that has the volume which the document maps there. */
struct foreign_link {
	char *path; /* NULL: there is none */
	const struct lio_foreign_lun *foreign;
};

static int look_at_mapped_link(const struct lio_run *run, const char *mapped, const char *name, struct foreign_link *ret)
{
	_cleanup_free_ char *link = xasprintf("%s/%s", mapped, name), *full = lio_path(run->tree->root, link), *to = NULL, *ours = NULL;
	const struct lio_foreign_lun *foreign;
	int rc = run->tree->cfs->ops->readlink(run->tree->cfs, full, &to);

	if (rc < 0)
		return rc;
	foreign = by_link(run, to);
	ours = foreign ? xasprintf("%s/%s", mapped, foreign->volume) : NULL;
	if (ours && lio_wanted(run, ours))
		*ret = (struct foreign_link){ steal_ptr(link), foreign };
	return 0;
}

static int link_to_foreign(const struct lio_run *run, const char *mapped, struct foreign_link *ret)
{
	_cleanup_free_ char *full = lio_path(run->tree->root, mapped);
	char **links;
	size_t n;
	int rc = 0;

	*ret = (struct foreign_link){ 0 };
	if (run->foreign.n > 0)
		rc = run->tree->cfs->ops->list(run->tree->cfs, full, CFS_LINK, &links, &n);
	if (run->foreign.n == 0 || rc < 0)
		return rc == -ENOENT ? 0 : rc;
	for (size_t i = 0; i < n && rc == 0 && !ret->path; i++)
		rc = look_at_mapped_link(run, mapped, links[i], ret);
	cfs_names_free(links, n);
	return rc;
}

bool lio_foreign_stays_mapped(const struct lio_run *run, const char *mapped)
{
	struct foreign_link link;
	int rc = link_to_foreign(run, mapped, &link);

	free(link.path);
	return rc < 0 || (link.path && link.foreign->stays);
}

bool lio_foreign_is_left(const struct lio_run *run, const struct lio_object *object)
{
	if (object->stage != LIO_STAGE_LUN && object->stage != LIO_STAGE_MAPPED_LUN)
		return false;
	for (size_t i = 0; i < run->foreign.n; i++) {
		const struct lio_foreign_lun *foreign = &run->foreign.luns[i];

		/* The second: its number is ours for another volume, which then waits too. */
		if (foreign->stays && ((object->volume && strcmp(object->volume, foreign->volume) == 0) || lio_is_below(object->path, foreign->lun) ||
				       (object->kind == LIO_LINK && strcmp(object->value, foreign->lun) == 0)))
			return true;
	}
	return false;
}

/* --- taking ------------------------------------------------------------------------------------------------------------*/

/* What the kernel knows of reservations goes with the device. */
static int check_reservations(const struct lio_run *run, const char *device, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/%s/pr/res_pr_registered_i_pts", run->tree->root, device), *text = NULL;
	int rc = run->tree->cfs->ops->read(run->tree->cfs, path, &text);

	if (rc < 0)
		return err_errno(err, rc, "cannot read %s", path);
	if (strstr(text, "Key:"))
		return err_set(err, -EBUSY, "hosts have registered for reservations with %s/%s, which would be lost: stop what uses them on the hosts "
			       "(sg_persist --out --clear) and start it again when the volume is taken over", run->tree->root, device);
	return 0;
}

static int check_number(const struct lio_run *run, const struct lio_object *object, struct err *err)
{
	if (!lio_foreign_stays(run, object->value))
		return 0;
	return err_set(err, -EBUSY, "volume %s cannot be taken over before the volume that another program exports as %s/%s, whose number it needs",
		       object->volume, run->tree->root, object->value);
}

static bool is_taken(const struct lio_run *run, const char *volume)
{
	for (size_t i = 0; i < run->foreign.n; i++) {
		if (!run->foreign.luns[i].stays && strcmp(run->foreign.luns[i].volume, volume) == 0)
			return true;
	}
	return false;
}

static int check_all(const struct lio_run *run, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < run->foreign.devices.n && rc == 0; i++)
		rc = check_reservations(run, run->foreign.devices.names[i], err);
	for (size_t i = 0; i < run->tree->n && rc == 0; i++) {
		const struct lio_object *object = &run->tree->objects[i];

		if (object->kind == LIO_LINK && object->stage == LIO_STAGE_MAPPED_LUN && is_taken(run, object->volume))
			rc = check_number(run, object, err);
	}
	return rc;
}

struct exchange { /* of a mapped LUN */
	struct foreign_link old;
	const struct lio_object *wanted; /* ours */
};

struct exchanges {
	struct exchange *list;
	size_t n, cap;
};

static int find_exchanges(const struct lio_run *run, struct exchanges *ret, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < run->tree->n; i++) {
		const struct lio_object *object = &run->tree->objects[i];
		_cleanup_free_ char *mapped = NULL;
		struct foreign_link old;

		if (object->kind != LIO_LINK || object->stage != LIO_STAGE_MAPPED_LUN || !is_taken(run, object->volume))
			continue;
		mapped = xasprintf("%.*s", (int)(strrchr(object->path, '/') - object->path), object->path);
		rc = link_to_foreign(run, mapped, &old);
		if (rc < 0)
			return err_errno(err, rc, "cannot look at %s/%s", run->tree->root, mapped);
		if (old.path)
			*array_push(ret->list, ret->n, ret->cap) = (struct exchange){ old, object };
	}
	return rc;
}

static int exchange_one(struct lio_run *run, const struct exchange *exchange, struct err *err)
{
	_cleanup_free_ char *lun = lio_standin_lun(exchange->wanted->value);
	int rc = lio_do_unlink(run, exchange->old.path, err);

	if (rc < 0)
		return rc;
	rc = lio_do_link(run, exchange->wanted->path, lun, err);
	if (rc < 0)
		ignore_result(lio_do_link(run, exchange->old.path, exchange->old.foreign->lun, NULL));
	return rc;
}

static int exchange_all(struct lio_run *run, const struct exchanges *exchanges, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < exchanges->n && rc == 0; i++)
		rc = lio_standin_ensure(run, exchanges->list[i].wanted, err);
	if (rc < 0 || exchanges->n == 0)
		return rc;
	rc = lio_hold(run, true, err);
	for (size_t i = 0; i < exchanges->n && rc == 0; i++)
		rc = exchange_one(run, &exchanges->list[i], err);
	ignore_result(lio_hold(run, false, NULL));
	return rc;
}

int lio_foreign_stand_in(struct lio_run *run, struct err *err)
{
	struct exchanges exchanges = { 0 };
	int rc = check_all(run, err);

	if (rc == 0)
		rc = find_exchanges(run, &exchanges, err);
	if (rc == 0)
		rc = exchange_all(run, &exchanges, err);
	for (size_t i = 0; i < exchanges.n; i++)
		free(exchanges.list[i].old.path);
	free(exchanges.list);
	return rc;
}

bool lio_foreign_stood_in(const struct lio_run *run)
{
	bool takes = run->foreign.n_taken > 0;

	for (size_t i = 0; i < run->tree->n_foreign && !takes; i++)
		takes = run->tree->foreign[i].take;
	return takes && lio_exists(run, LIO_STANDINS);
}

/* Has one with LUNs that are taken, or, in a run that finishes what another has begun, might have. */
static bool is_concerned(const struct lio_run *run, const struct lio_port *port)
{
	return port->kind == LIO_PORT_ISCSI && (run->foreign.n_taken == 0 || lio_foreign_is_at(run, port->tpg));
}

int lio_hold(struct lio_run *run, bool hold, struct err *err)
{
	int rc;

	if (!run->tree->hold || run->plan_only)
		return 0;
	rc = run->tree->hold(run->tree->hold_ctx, hold, err);
	if (rc < 0) {
		err_prefix(err, "cannot make hosts wait");
		return rc;
	}
	for (size_t i = 0; hold && i < run->tree->ports.n; i++) { /* what had come in before */
		const struct lio_port *port = &run->tree->ports.list[i];

		if (is_concerned(run, port) && !lio_wait_quiet(run, port->tpg))
			return err_set(err, -EBUSY, "commands still come in at %s/%s although hosts were made to wait", run->tree->root, port->tpg);
	}
	return 0;
}
