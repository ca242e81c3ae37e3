// SPDX-License-Identifier: GPL-2.0-or-later
/* target-config/backend/lvm.h on disks of the test's world. */
#include "target-config/backend/lvm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "tests/netns/doors/world.h"

static int on_lv(const char *op, const char *vg, const char *lv, const char *thin_pool, uint64_t size_bytes, struct err *err)
{
	json_t *request = world_request(op);
	int rc;

	if (thin_pool)
		json_object_set_new(request, "thin_pool", json_string(thin_pool));
	json_object_set_new(request, "vg", json_string(vg));
	json_object_set_new(request, "lv", json_string(lv));
	json_object_set_new(request, "size", json_integer((json_int_t)size_bytes));
	rc = world_call(WORLD, request, NULL);
	return rc < 0 ? err_errno(err, rc, "%s %s/%s", op, vg, lv) : 0;
}

int lvm_vg_load(const char *name, struct lvm_vg **ret_vg, struct err *err)
{
	json_t *request = world_request("lvm_load"), *reply = NULL, *row;
	struct lvm_vg *vg;
	const char *lv;
	int rc;

	json_object_set_new(request, "vg", json_string(name));
	rc = world_call(WORLD, request, &reply);
	if (rc < 0) {
		json_decref(reply);
		return err_errno(err, rc, "volume group %s", name);
	}
	vg = xcalloc(1, sizeof(*vg));
	vg->name = xstrdup(name);
	vg->extent_bytes = 4u << 20;
	json_object_foreach (json_object_get(reply, "lvs"), lv, row) {
		struct lvm_lv *entry = array_push(vg->lvs, vg->n_lvs, vg->cap_lvs);

		*entry = (struct lvm_lv){ .name = xstrdup(lv), .ours = true, .active = json_is_true(json_object_get(row, "active")),
					  .blank = json_is_true(json_object_get(row, "blank")),
					  .thin_pool = json_object_get(row, "thin_pool") ?
						  xstrdup(json_string_value(json_object_get(row, "thin_pool"))) : NULL,
					  .size_bytes = (uint64_t)json_integer_value(json_object_get(row, "size")) };
	}
	json_decref(reply);
	*ret_vg = vg;
	return 0;
}

void lvm_vg_free(struct lvm_vg *vg)
{
	if (!vg)
		return;
	for (size_t i = 0; i < vg->n_lvs; i++) {
		free(vg->lvs[i].thin_pool);
		free(vg->lvs[i].name);
	}
	free(vg->lvs);
	free(vg->name);
	free(vg);
}

const struct lvm_lv *lvm_vg_find(const struct lvm_vg *vg, const char *lv)
{
	for (size_t i = 0; i < vg->n_lvs; i++)
		if (strcmp(vg->lvs[i].name, lv) == 0)
			return &vg->lvs[i];
	return NULL;
}

int lvm_thin_pool_load(const char *vg, const char *name, struct lvm_thin_pool *ret_pool, struct err *err)
{
	json_t *request = world_request("lvm_thin_pool"), *reply = NULL;
	int rc;

	json_object_set_new(request, "lv", json_sprintf("%s/%s", vg, name));
	rc = world_call(WORLD, request, &reply);
	if (rc < 0)
		err_errno(err, rc, "thin pool %s/%s", vg, name);
	else
		*ret_pool = (struct lvm_thin_pool){ .zeroes = true,
						    .data_percent = json_number_value(json_object_get(reply, "data")),
						    .metadata_percent = json_number_value(json_object_get(reply, "metadata")) };
	json_decref(reply);
	return rc;
}

int lvm_create_blank(const char *vg, const char *lv, const char *thin_pool, uint64_t size_bytes, struct err *err)
{
	return on_lv("lvm_create", vg, lv, thin_pool, size_bytes, err);
}

int lvm_clear_blank(const char *vg, const char *lv, struct err *err)
{
	return on_lv("lvm_clear_blank", vg, lv, NULL, 0, err);
}

int lvm_activate(const char *vg, const char *lv, struct err *err)
{
	return on_lv("lvm_activate", vg, lv, NULL, 0, err);
}

/* Growing is test_backend's and the lab's matter. */
int lvm_grow_zeroed(const struct lvm_vg *vg, const char *volume, uint64_t new_size_bytes, struct err *err)
{
	(void)new_size_bytes;
	return err_set(err, -ENOTSUP, "%s/lunward-%s: the test's disks do not grow", vg->name, volume);
}

int lvm_grow_thin(const char *vg, const char *lv, uint64_t new_size_bytes, struct err *err)
{
	(void)new_size_bytes;
	return err_set(err, -ENOTSUP, "%s/%s: the test's disks do not grow", vg, lv);
}

int lvm_zero_device(const char *path, struct err *err)
{
	(void)path;
	(void)err;
	return 0;
}
