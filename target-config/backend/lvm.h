/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Logical volumes by the LVM commands. A volume's life is written on it in LVM tags, the only memory that is committed
 * together with the volume itself:
 *   lunward          Lunward made it
 *   lunward.blank    made, but zeros and metadata are not complete: nothing on it is anybody's data yet
 *   lunward.tmp      extents on their way to a volume that grows
 */
#ifndef TARGET_CONFIG_BACKEND_LVM_H
#define TARGET_CONFIG_BACKEND_LVM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define LVM_TAG_OURS "lunward"
#define LVM_TAG_BLANK "lunward.blank"
#define LVM_TAG_TMP "lunward.tmp"

struct lvm_lv {
	char *name;
	char *thin_pool; /* that it is in; NULL: all its extents are its own */
	uint64_t size_bytes;
	bool ours, blank, tmp, active;
};

struct lvm_vg {
	char *name;
	uint64_t extent_bytes;
	struct lvm_lv *lvs; /* only those whose names begin with "lunward" */
	size_t n_lvs, cap_lvs;
};

/* Reads a volume group as it is now. -ENOENT if there is none of that name. */
int lvm_vg_load(const char *name, struct lvm_vg **ret_vg, struct err *err) must_check;
void lvm_vg_free(struct lvm_vg *vg);
const struct lvm_lv *lvm_vg_find(const struct lvm_vg *vg, const char *lv);

#define LVM_HEALTH_SIZE 32
struct lvm_thin_pool {
	bool zeroes; /* each chunk before a volume gets it: without, what one wrote another could read */
	double data_percent, metadata_percent; /* in use */
	char health[LVM_HEALTH_SIZE]; /* "failed", "out_of_data", "metadata_read_only"; "": well */
};
/* As it is now. -ENOENT if there is none of that name, -EAGAIN if it is not active. */
int lvm_thin_pool_load(const char *vg, const char *name, struct lvm_thin_pool *ret_pool, struct err *err) must_check;

/* Makes `lv` with tags lunward and lunward.blank and activates it; its content is whatever the pool held. In a thin pool unless NULL. */
int lvm_create_blank(const char *vg, const char *lv, const char *thin_pool, uint64_t size_bytes, struct err *err) must_check;
int lvm_clear_blank(const char *vg, const char *lv, struct err *err) must_check;
int lvm_activate(const char *vg, const char *lv, struct err *err) must_check;

/* Adds zeroed extents: nobody who has the volume open ever sees what the pool held there before. Can be killed anywhere and repeated. */
int lvm_grow_zeroed(const struct lvm_vg *vg, const char *volume, uint64_t new_size_bytes, struct err *err) must_check;

/* One in a thin pool: its new space has what the pool gives, see `zeroes`. */
int lvm_grow_thin(const char *vg, const char *lv, uint64_t new_size_bytes, struct err *err) must_check;

/* Zeroes [0, size of device) durably. -EBUSY if somebody has it open. */
int lvm_zero_device(const char *path, struct err *err) must_check;

#endif
