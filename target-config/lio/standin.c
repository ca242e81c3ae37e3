// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What hosts talk to while their device is made anew. A LUN that is just missing is worse than one that refuses: for LUN 0 the kernel then
 * answers with its own (tpg_virt_lun0: what is read are zeros, what is written is WRITE PROTECTED), for any other with LOGICAL UNIT
 * NOT SUPPORTED, and hosts hand both to the application. So the mapped LUNs lead to a stand-in meanwhile: a device of the same name
 * and serial that has no data and is always in transition, which hosts wait for (02/04/0A).
 * From one to the other a mapped LUN is missing for the time of two system calls: configfs cannot exchange a link.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parallel.h"
#include "base/xalloc.h"
#include "target-config/lio/reconcile.h"

#define RD_PAGE_SIZE 4096 /* or more */
#define RD_PAGES_MAX INT_MAX /* match_int() in rd_set_configfs_dev_params(): 8 TiB */

struct standins {
	struct lio_run *run;
	const struct lio_object **links; /* of mapped LUNs, those of a volume next to each other */
	size_t n, cap;
};

bool lio_is_standin_lun(const char *path)
{
	const char *name = strrchr(path, '/');

	return name && strncmp(name, "/lun_", 5) == 0 && strtoul(name + 5, NULL, 10) >= LIO_STANDIN_LUN;
}

int lio_link_leads_to_standin(const struct lio_run *run, const char *path)
{
	_cleanup_free_ char *full = lio_path(run->tree->root, path);
	_cleanup_free_ char *to = NULL;
	int rc = run->tree->cfs->ops->readlink(run->tree->cfs, full, &to);

	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	return lio_is_standin_lun(to);
}

static int ensure_value(struct lio_run *run, const char *dir, const char *name, enum lio_form form, const char *value, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
	_cleanup_free_ char *got = NULL;
	int rc = lio_read_attr(run->tree->cfs, run->tree->root, path, form, &got);

	if (rc < 0)
		return err_errno(err, rc, "cannot read %s/%s", run->tree->root, path);
	return strcmp(got, value) == 0 ? 0 : lio_do_write(run, path, value, value, err);
}

/*
 * As large as the volume, and with its block size: the kernel looks at a command's range and length before it looks at the state
 * (target_cmd_parse_cdb(), then __target_execute_cmd()), and LOGICAL BLOCK ADDRESS OUT OF RANGE is an error that no host tries again.
 * rd_nullio: without memory.
 */
static char *control_text(const struct lio_run *run, const char *volume)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", LIO_HBA, volume);
	const struct lio_object *backstore = lio_wanted(run, path);
	uint64_t pages = backstore && backstore->value ? strtoull(backstore->value, NULL, 10) / RD_PAGE_SIZE : 1;

	return xasprintf("rd_pages=%" PRIu64 ",rd_nullio=1", MAX(MIN(pages, (uint64_t)RD_PAGES_MAX), (uint64_t)1));
}

/* In transition before the first LUN can be linked to it. A serial that cannot be changed any more is that of a stand-in which a
 * run that was broken off has left: it will do. */
static int ensure_device(struct lio_run *run, const char *volume, struct err *err)
{
	_cleanup_free_ char *serial_path = xasprintf("%s/%s/wwn/vpd_unit_serial", LIO_HBA, volume);
	_cleanup_free_ char *dir = xasprintf("%s/%s", LIO_STANDINS, volume);
	_cleanup_free_ char *group = xasprintf("%s/alua/default_tg_pt_gp", dir);
	_cleanup_free_ char *enable = xasprintf("%s/enable", dir);
	_cleanup_free_ char *block_size_path = xasprintf("%s/%s/attrib/block_size", LIO_HBA, volume);
	_cleanup_free_ char *control = xasprintf("%s/control", dir);
	_cleanup_free_ char *size = control_text(run, volume);
	const struct lio_object *serial = lio_wanted(run, serial_path), *block_size = lio_wanted(run, block_size_path);
	_cleanup_free_ char *enabled = NULL;
	int rc = lio_ensure_dir(run, dir, err);

	if (rc < 0)
		return rc;
	rc = lio_read_attr(run->tree->cfs, run->tree->root, enable, LIO_FORM_PLAIN, &enabled);
	if (rc < 0)
		return err_errno(err, rc, "cannot read %s/%s", run->tree->root, enable);
	if (strcmp(enabled, "1") != 0) {
		rc = lio_do_write(run, control, size, size, err);
		if (rc == 0)
			rc = lio_do_write(run, enable, "1", "1", err);
		if (rc == 0 && block_size)
			rc = ensure_value(run, dir, "attrib/block_size", LIO_FORM_PLAIN, block_size->value, err);
		if (rc == 0 && serial)
			rc = ensure_value(run, dir, "wwn/vpd_unit_serial", LIO_FORM_SERIAL, serial->value, err);
		if (rc == 0)
			rc = ensure_value(run, dir, "attrib/emulate_model_alias", LIO_FORM_PLAIN, "1", err);
	}
	if (rc == 0)
		rc = ensure_value(run, group, "alua_access_state", LIO_FORM_PLAIN, "15", err);
	if (rc == 0)
		rc = ensure_value(run, group, "alua_access_type", LIO_FORM_ACCESS_TYPE, "1", err);
	return rc;
}

static int ensure_lun(struct lio_run *run, const char *dir, const char *volume, struct err *err)
{
	_cleanup_free_ char *device = xasprintf("%s/%s", LIO_STANDINS, volume);
	_cleanup_free_ char *link = xasprintf("%s/%s", dir, volume);
	int rc = lio_ensure_dir(run, dir, err);

	if (rc < 0)
		return rc;
	rc = lio_link_leads_to(run, link, device);
	if (rc < 0)
		return err_errno(err, rc, "cannot read the link %s/%s", run->tree->root, link);
	return rc == 1 ? 0 : lio_do_link(run, link, device, err);
}

/* .../lun/lun_<n> -> .../lun/lun_<LIO_STANDIN_LUN + n> */
char *lio_standin_lun(const char *lun)
{
	const char *number = strrchr(lun, '_') + 1;

	return xasprintf("%.*s%lu", (int)(number - lun), lun, LIO_STANDIN_LUN + strtoul(number, NULL, 10));
}

int lio_standin_ensure(struct lio_run *run, const struct lio_object *link, struct err *err)
{
	_cleanup_free_ char *lun = lio_standin_lun(link->value);
	int rc = lio_ensure_dir(run, LIO_STANDINS, err);

	if (rc == 0)
		rc = ensure_device(run, link->volume, err);
	return rc < 0 ? rc : ensure_lun(run, lun, link->volume, err);
}

static int is_mapped(const struct lio_run *run, const struct lio_object *link, struct err *err)
{
	int rc = lio_link_leads_to(run, link->path, link->value);

	return rc < 0 ? err_errno(err, rc, "cannot read the link %s/%s", run->tree->root, link->path) : rc;
}

static int stand_in_for(void *ctx, size_t start, size_t end, struct err *err)
{
	struct standins *standins = ctx;
	struct lio_run *run = standins->run;
	bool ready = false;
	int rc = 0;

	for (size_t i = start; rc >= 0 && i < end; i++) {
		const struct lio_object *link = standins->links[i];
		_cleanup_free_ char *lun = lio_standin_lun(link->value);

		rc = is_mapped(run, link, err);
		if (rc <= 0)
			continue;
		rc = ready ? 0 : ensure_device(run, link->volume, err);
		ready = true;
		if (rc == 0)
			rc = ensure_lun(run, lun, link->volume, err);
		if (rc == 0)
			rc = lio_do_unlink(run, link->path, err);
		if (rc == 0)
			rc = lio_do_link(run, link->path, lun, err);
	}
	return rc < 0 ? rc : 0;
}

static bool is_of_volume(const void *ctx, size_t index)
{
	const struct standins *standins = ctx;

	return strcmp(standins->links[index]->volume, standins->links[index - 1]->volume) == 0;
}

static void find_volumes_anew(const struct lio_tree *tree, struct name_set *ret)
{
	for (size_t i = 0; i < tree->n; i++) {
		if (tree->objects[i].flags & LIO_ANEW)
			name_set_add(ret, tree->objects[i].volume);
	}
	name_set_sort(ret);
}

int lio_standins_raise(struct lio_run *run, struct err *err)
{
	struct standins standins = { .run = run };
	struct name_set anew = { 0 };
	int rc = 0;

	find_volumes_anew(run->tree, &anew);
	for (size_t i = 0; anew.n && i < run->tree->n; i++) {
		const struct lio_object *object = &run->tree->objects[i];

		if (object->kind == LIO_LINK && object->stage == LIO_STAGE_MAPPED_LUN && name_set_has(&anew, object->volume))
			*array_push(standins.links, standins.n, standins.cap) = object;
	}
	if (standins.n)
		rc = lio_ensure_dir(run, LIO_STANDINS, err);
	if (rc == 0)
		rc = parallel_runs(standins.n, run->threads, is_of_volume, stand_in_for, &standins, err);
	free(standins.links);
	name_set_done(&anew);
	return rc;
}

int lio_standins_drop(struct lio_run *run, struct err *err)
{
	struct lio_removal *removal = NULL;
	int rc = lio_removal_plan_standins(run, &removal, err);

	if (rc == 0)
		rc = lio_removal_run(run, removal, err);
	lio_removal_free(removal);
	return rc;
}
