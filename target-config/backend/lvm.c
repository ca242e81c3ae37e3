// SPDX-License-Identifier: GPL-2.0-or-later
#include "target-config/backend/lvm.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <linux/fs.h>

#include "base/cleanup.h"
#include "base/run_cmd.h"
#include "base/xalloc.h"
#include "target-config/backend/paths.h"

#define LVM_DEADLINE_MS 60000
#define ZERO_STEP_BYTES (64ull << 20)

/*
 * Guests' data must not be scanned: a host may well have put LVM on its LUN. Only `filter` is replaced, so that an administrator's
 * global_filter stays in force. A device is rejected if any of its names is and none is accepted, hence no closing "a|.*|".
 * issue_discards would undo the zeros of extents on their way to a volume.
 */
#define LVM_CONFIG \
	"devices { filter = [ \"r|^/dev/drbd|\", \"r|^/dev/mapper/lunward-|\" ] scan_lvs = 0 issue_discards = 0 }"

DEFINE_CLEANUP(struct lvm_vg *, lvm_vg_free);

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

/* Runs a reporting command; *ret_rows is the array of rows of kind "vg", "lv" or "seg". Borrowed from *ret_report. */
static int report(const char *const *argv, const char *kind, json_t **ret_report, json_t **ret_rows, struct err *err)
{
	struct run_cmd cmd = { .argv = argv, .deadline_ms = LVM_DEADLINE_MS };
	_cleanup_free_ char *output = NULL;
	json_error_t where;
	json_t *rows;
	int status = 0, rc;

	rc = run_cmd(&cmd, &output, &status, err);
	if (rc < 0)
		return rc;
	*ret_report = json_loads(output, JSON_REJECT_DUPLICATES, &where);
	rows = json_object_get(json_array_get(json_object_get(*ret_report, "report"), 0), kind);
	if (!json_is_array(rows))
		return err_set(err, -EBADMSG, "%s: unexpected output, line %d: %s", argv[0], where.line, where.text);
	*ret_rows = rows;
	return 0;
}

static const char *text_of(json_t *row, const char *key)
{
	const char *text = json_string_value(json_object_get(row, key));

	return text ? text : "";
}

static int number_of(json_t *row, const char *key, uint64_t *ret)
{
	const char *text = text_of(row, key);
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	return errno || end == text || *end ? -EBADMSG : 0;
}

/* In a list of LVM's. */
static bool has_tag(const char *tags, const char *tag)
{
	size_t len = strlen(tag);

	for (const char *s = tags; *s; s += strcspn(s, ","), s += *s == ',')
		if (strcspn(s, ",") == len && strncmp(s, tag, len) == 0)
			return true;
	return false;
}

static int load_lvs(struct lvm_vg *vg, struct err *err)
{
	const char *argv[] = { "lvs", "--config", LVM_CONFIG, "--reportformat", "json", "--units", "b", "--nosuffix", "-o",
			       "lv_name,lv_size,lv_tags,lv_active,lv_layout,pool_lv", vg->name, NULL };
	json_auto_t *root = NULL;
	json_t *rows, *row;
	size_t i;
	int rc = report(argv, "lv", &root, &rows, err);

	if (rc < 0)
		return rc;
	json_array_foreach(rows, i, row) {
		const char *name = text_of(row, "lv_name"), *tags = text_of(row, "lv_tags");
		struct lvm_lv *lv;
		uint64_t size_bytes;

		if (strncmp(name, "lunward", 7) != 0)
			continue;
		if (number_of(row, "lv_size", &size_bytes) < 0)
			return err_set(err, -EBADMSG, "lvs: no size for %s/%s", vg->name, name);
		lv = array_push(vg->lvs, vg->n_lvs, vg->cap_lvs);
		lv->name = xstrdup(name);
		if (has_tag(text_of(row, "lv_layout"), "thin")) /* a cache has a pool_lv as well */
			lv->thin_pool = xstrdup(text_of(row, "pool_lv"));
		lv->size_bytes = size_bytes;
		lv->ours = has_tag(tags, LVM_TAG_OURS);
		lv->blank = has_tag(tags, LVM_TAG_BLANK);
		lv->tmp = has_tag(tags, LVM_TAG_TMP);
		lv->active = strcmp(text_of(row, "lv_active"), "active") == 0;
	}
	return 0;
}

int lvm_vg_load(const char *name, struct lvm_vg **ret_vg, struct err *err)
{
	const char *argv[] = { "vgs", "--config", LVM_CONFIG, "--reportformat", "json", "--units", "b", "--nosuffix", "-o",
			       "vg_name,vg_extent_size", "-S", NULL, NULL };
	_cleanup_free_ char *select = xasprintf("vg_name=\"%s\"", name);
	_cleanup_(lvm_vg_freep) struct lvm_vg *vg = xcalloc(1, sizeof(*vg));
	json_auto_t *root = NULL;
	json_t *rows;
	int rc;

	argv[ARRAY_SIZE(argv) - 2] = select;
	rc = report(argv, "vg", &root, &rows, err);
	if (rc < 0)
		return rc;
	if (json_array_size(rows) == 0)
		return err_set(err, -ENOENT, "volume group %s: there is none on this node; make it with vgcreate", name);
	vg->name = xstrdup(name);
	if (number_of(json_array_get(rows, 0), "vg_extent_size", &vg->extent_bytes) < 0 || vg->extent_bytes == 0)
		return err_set(err, -EBADMSG, "vgs: no extent size for %s", name);
	rc = load_lvs(vg, err);
	if (rc == 0)
		*ret_vg = steal_ptr(vg);
	return rc;
}

static int percent_of(json_t *row, const char *key, double *ret)
{
	const char *text = text_of(row, key);
	char *end;

	*ret = strtod(text, &end);
	return end == text || *end ? -EBADMSG : 0;
}

int lvm_thin_pool_load(const char *vg, const char *name, struct lvm_thin_pool *ret_pool, struct err *err)
{
	_cleanup_free_ char *select = xasprintf("lv_name=\"%s\"", name);
	const char *argv[] = { "lvs", "--config", LVM_CONFIG, "--reportformat", "json", "-o",
			       "lv_layout,lv_attr,lv_health_status,data_percent,metadata_percent", "-S", select, vg, NULL };
	struct lvm_thin_pool pool = { 0 };
	json_auto_t *root = NULL;
	json_t *rows, *row;
	const char *attr;
	int rc = report(argv, "lv", &root, &rows, err);

	if (rc < 0)
		return rc;
	row = json_array_get(rows, 0);
	if (!row)
		return err_set(err, -ENOENT, "thin pool %s/%s: there is none on this node; make it with lvcreate --type thin-pool", vg, name);
	attr = text_of(row, "lv_attr");
	if (attr[0] != 't')
		return err_set(err, -ENOENT, "%s/%s is no thin pool (its layout: %s); name one, or make it", vg, name,
			       text_of(row, "lv_layout"));
	pool.zeroes = strlen(attr) > 7 && attr[7] == 'z'; /* lvs(8), lv_attr bits */
	snprintf(pool.health, sizeof(pool.health), "%s", text_of(row, "lv_health_status"));
	if (percent_of(row, "data_percent", &pool.data_percent) < 0 || percent_of(row, "metadata_percent", &pool.metadata_percent) < 0)
		return err_set(err, -EAGAIN, "thin pool %s/%s: it is not active, or LVM does not know how full it is", vg, name);
	*ret_pool = pool;
	return 0;
}

/* The tags are there from the first moment on; twice the same is once. */
static int create(const char *vg, const char *lv, const char *tag, const char *second_tag, uint64_t size_bytes,
		  struct err *err)
{
	_cleanup_free_ char *size = xasprintf("%llub", (unsigned long long)size_bytes);

	/* No wiping by LVM: it would stop and ask, and whoever calls zeroes everything. */
	return run_cmdl(err, LVM_DEADLINE_MS, "lvcreate", "--config", LVM_CONFIG, "--yes", "-Wn", "-Zn", "--addtag", tag,
			"--addtag", second_tag, "-L", size, "-n", lv, vg, NULL);
}

int lvm_create_blank(const char *vg, const char *lv, const char *thin_pool, uint64_t size_bytes, struct err *err)
{
	_cleanup_free_ char *size = NULL;

	if (!thin_pool)
		return create(vg, lv, LVM_TAG_OURS, LVM_TAG_BLANK, size_bytes, err);
	size = xasprintf("%llub", (unsigned long long)size_bytes);
	/* -Z is the pool's here, and refused. */
	return run_cmdl(err, LVM_DEADLINE_MS, "lvcreate", "--config", LVM_CONFIG, "--yes", "-Wn", "--addtag", LVM_TAG_OURS, "--addtag",
			LVM_TAG_BLANK, "--thin", "-V", size, "--thinpool", thin_pool, "-n", lv, vg, NULL);
}

int lvm_clear_blank(const char *vg, const char *lv, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", vg, lv);

	return run_cmdl(err, LVM_DEADLINE_MS, "lvchange", "--config", LVM_CONFIG, "--deltag", LVM_TAG_BLANK, path, NULL);
}

int lvm_activate(const char *vg, const char *lv, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", vg, lv);

	return run_cmdl(err, LVM_DEADLINE_MS, "lvchange", "--config", LVM_CONFIG, "-ay", path, NULL);
}

static int device_size(int fd, uint64_t *ret_bytes)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISBLK(st.st_mode)) {
		*ret_bytes = (uint64_t)st.st_size;
		return 0;
	}
	return ioctl(fd, BLKGETSIZE64, ret_bytes) < 0 ? -errno : 0;
}

int lvm_zero_device(const char *path, struct err *err)
{
	/* O_EXCL on a block device: fails while DRBD, dm or a file system holds it. */
	_cleanup_close_ int fd = open(path, O_RDWR | O_EXCL | O_CLOEXEC);
	uint64_t size_bytes = 0;
	int rc;

	if (fd < 0)
		return err_errno(err, -errno, "%s", path);
	rc = device_size(fd, &size_bytes);
	if (rc < 0)
		return err_errno(err, rc, "%s: size", path);
	for (uint64_t at = 0; at < size_bytes; at += ZERO_STEP_BYTES) {
		/* On a block device this is blkdev_issue_zeroout(): WRITE ZEROES where the disk can, else written zeros; never a
		 * discard, whose zeros need not be the same on both nodes. */
		if (fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, (off_t)at,
			      (off_t)MIN(ZERO_STEP_BYTES, size_bytes - at)) < 0)
			return err_errno(err, -errno, "%s: zeroing at byte %llu", path, (unsigned long long)at);
	}
	return fsync(fd) < 0 ? err_errno(err, -errno, "%s: flushing zeros", path) : 0;
}

/* "/dev/sda:10-19" of each segment, in order; the caller frees the strings and the array. */
static int extents_of(const char *vg, const char *lv, char ***ret_ranges, size_t *ret_n, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", vg, lv);
	const char *argv[] = { "lvs", "--config", LVM_CONFIG, "--reportformat", "json", "--segments", "-o", "seg_pe_ranges", path,
			       NULL };
	json_auto_t *root = NULL;
	size_t i, n = 0, cap = 0;
	char **ranges = NULL;
	json_t *rows, *row;
	int rc = report(argv, "seg", &root, &rows, err);

	if (rc < 0)
		return rc;
	json_array_foreach(rows, i, row)
		*array_push(ranges, n, cap) = xstrdup(text_of(row, "seg_pe_ranges"));
	*ret_ranges = ranges;
	*ret_n = n;
	return n > 0 ? 0 : err_set(err, -EBADMSG, "lvs: no extents for %s", path);
}

static int remove_tmp(const char *vg, const char *lv, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", vg, lv);

	return run_cmdl(err, LVM_DEADLINE_MS, "lvremove", "--config", LVM_CONFIG, "--yes", path, NULL);
}

static int extend_onto(const char *vg, const char *lv, uint64_t size_bytes, char *const *ranges, size_t n, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", vg, lv), *size = xasprintf("%llub", (unsigned long long)size_bytes);
	_cleanup_free_ const char **argv = xcalloc(n + 8, sizeof(const char *));
	struct run_cmd cmd = { .argv = argv, .deadline_ms = LVM_DEADLINE_MS };
	const char *const fixed[] = { "lvextend", "--config", LVM_CONFIG, "--yes", "-L", size, path };

	memcpy(argv, fixed, sizeof(fixed));
	for (size_t i = 0; i < n; i++)
		argv[ARRAY_SIZE(fixed) + i] = ranges[i];
	return run_cmd(&cmd, NULL, NULL, err);
}

/*
 * The new extents are zeroed before they belong to the volume: afterwards would be too late, since DRBD takes them into use by itself
 * when both nodes have them, at any reconnect (receive_sizes()), and moves its metadata there.
 */
int lvm_grow_zeroed(const struct lvm_vg *vg, const char *volume, uint64_t new_size_bytes, struct err *err)
{
	_cleanup_free_ char *lv = xasprintf("lunward-%s", volume), *tmp = xasprintf("lunwardtmp-%s", volume), *node_path = NULL,
			    *path = NULL;
	const struct lvm_lv *leftover = lvm_vg_find(vg, tmp), *now = lvm_vg_find(vg, lv);
	char **ranges = NULL;
	size_t n = 0;
	int rc = 0;

	if (leftover && !leftover->tmp)
		return err_set(err, -EEXIST, "logical volume %s/%s: not made by Lunward; rename it", vg->name, tmp);
	if (leftover)
		rc = remove_tmp(vg->name, tmp, err);
	if (rc == 0)
		rc = create(vg->name, tmp, LVM_TAG_TMP, LVM_TAG_TMP, new_size_bytes - now->size_bytes, err);
	if (rc < 0)
		return rc;
	node_path = xasprintf("/dev/%s/%s", vg->name, tmp);
	path = backend_path(node_path);
	rc = lvm_zero_device(path, err);
	if (rc == 0)
		rc = extents_of(vg->name, tmp, &ranges, &n, err);
	if (rc == 0)
		rc = remove_tmp(vg->name, tmp, err);
	/* Who takes these very extents in this moment makes lvextend fail; the next try zeroes others. */
	if (rc == 0)
		rc = extend_onto(vg->name, lv, new_size_bytes, ranges, n, err);
	for (size_t i = 0; i < n; i++)
		free(ranges[i]);
	free(ranges);
	return rc;
}

int lvm_grow_thin(const char *vg, const char *lv, uint64_t new_size_bytes, struct err *err)
{
	return extend_onto(vg, lv, new_size_bytes, NULL, 0, err);
}
