// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A group's storage, step by step. What happens if the node dies between two steps (docs/decisions/0002):
 *
 *   lvcreate {lunward, lunward.blank}   | volume is blank: the next three are done again, from the first
 *   zero it, unless its thin pool does  |
 *   drbdmeta create-md                  |
 *   lvchange --deltag lunward.blank     | from here on Lunward never zeroes it and never makes metadata again
 *   write the resource file             | replaced whole; drbdadm adjust is repeated
 *   drbdadm adjust                      |
 *   grow: temporary volume, zero it, lvremove, lvextend onto its extents  | see lvm_grow_zeroed(); in a thin pool lvextend alone
 */
#include "target-config/backend/backend.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/parallel.h"
#include "base/xalloc.h"
#include "target-config/backend/drbd.h"
#include "target-config/backend/drbd_conf.h"
#include "target-config/backend/lvm.h"
#include "target-config/backend/paths.h"

#define PROC_SIZE_MAX (1u << 20)
#define ROLE_THREADS 8
#define RES_FILE_SIZE_MAX (4u << 20)

DEFINE_CLEANUP(struct lvm_vg *, lvm_vg_free);
DEFINE_CLEANUP(struct drbd_table *, drbd_table_free);

static bool is_drbd(const struct config_group *group)
{
	return group->backend == CONFIG_BACKEND_DRBD;
}

/* --- provision --------------------------------------------------------------------------------------------------------*/

/* The size the logical volume needs; DRBD's metadata lives at its end. */
static uint64_t lv_bytes(const struct config_volume *volume, uint64_t extent_bytes)
{
	if (is_drbd(volume->group))
		return drbd_conf_device_bytes(volume->size_bytes, extent_bytes);
	return (volume->size_bytes + extent_bytes - 1) / extent_bytes * extent_bytes;
}

static char *lv_device(const struct config_volume *volume)
{
	_cleanup_free_ char *path = xasprintf("/dev/%s/lunward-%s", volume->pool->vg, volume->name);

	return backend_path(path);
}

/* Whether what the volume gets is zeros by itself. */
static int pool_zeroes(const struct config_pool *pool, bool *ret_zeroes, struct err *err)
{
	struct lvm_thin_pool thin = { 0 };
	int rc = pool->thin_pool ? lvm_thin_pool_load(pool->vg, pool->thin_pool, &thin, err) : 0;

	if (rc == 0)
		*ret_zeroes = thin.zeroes;
	return rc;
}

/* Gives a blank volume its zeros and metadata; afterwards its content is somebody's data. */
static int fill_blank(const struct config_volume *volume, const char *lv, struct err *err)
{
	_cleanup_free_ char *device = lv_device(volume);
	bool zeroes = false;
	int rc = pool_zeroes(volume->pool, &zeroes, err);

	if (rc == 0 && !zeroes)
		rc = lvm_zero_device(device, err);
	if (rc == 0 && is_drbd(volume->group))
		rc = drbd_create_metadata(volume->drbd_minor, device, err);
	if (rc == 0)
		rc = lvm_clear_blank(volume->pool->vg, lv, err);
	return rc;
}

static char *kind_name(const char *thin_pool)
{
	return thin_pool ? xasprintf("in thin pool %s", thin_pool) : xstrdup("in no thin pool");
}

static int check_kind(const struct lvm_lv *found, const struct config_volume *volume, struct err *err)
{
	const struct config_pool *pool = volume->pool;
	_cleanup_free_ char *is = kind_name(found->thin_pool), *wanted = kind_name(pool->thin_pool);

	if (strcmp(is, wanted) == 0)
		return 0;
	return err_set(err, -EEXIST,
		       "volume %s: logical volume %s/%s exists %s, and pool %s is to have it %s; it is not converted: rename it, or put "
		       "the volume in a pool that fits",
		       volume->name, pool->vg, found->name, is, pool->name, wanted);
}

static int ensure_volume(const struct lvm_vg *vg, const struct config_volume *volume, struct err *err)
{
	_cleanup_free_ char *lv = backend_lv_name(volume);
	const struct lvm_lv *found = lvm_vg_find(vg, lv);
	int rc = 0;

	if (found && !found->ours)
		return err_set(err, -EEXIST,
			       "volume %s: logical volume %s/%s exists and was not made by Lunward (no LVM tag " LVM_TAG_OURS
			       "); rename it or the volume",
			       volume->name, vg->name, lv);
	if (found && check_kind(found, volume, err) < 0)
		return -EEXIST;
	if (!found)
		rc = lvm_create_blank(vg->name, lv, volume->pool->thin_pool, lv_bytes(volume, vg->extent_bytes), err);
	else if (!found->active)
		rc = lvm_activate(vg->name, lv, err);
	if (rc == 0 && (!found || found->blank))
		rc = fill_blank(volume, lv, err);
	if (rc < 0)
		err_prefix(err, "volume %s", volume->name);
	return rc;
}

static int grow_thin(const struct config_pool *pool, const char *lv, uint64_t new_size_bytes, struct err *err)
{
	bool zeroes = false;
	int rc = pool_zeroes(pool, &zeroes, err);

	if (rc == 0 && !zeroes)
		return err_set(err, -EOPNOTSUPP, "cannot grow in thin pool %s/%s, which does not zero what it gives; `lvchange -Zy %s/%s`",
			       pool->vg, pool->thin_pool, pool->vg, pool->thin_pool);
	return rc < 0 ? rc : lvm_grow_thin(pool->vg, lv, new_size_bytes, err);
}

static int grow_volume(const struct lvm_vg *vg, const struct config_volume *volume, const struct drbd_table *table,
		       struct err *err)
{
	_cleanup_free_ char *lv = backend_lv_name(volume);
	const struct lvm_lv *found = lvm_vg_find(vg, lv);
	uint64_t want_bytes = lv_bytes(volume, vg->extent_bytes);
	int rc = 0;

	if (!found || found->blank || found->size_bytes >= want_bytes)
		return 0; /* just made, with its size */
	if (table) {
		const struct drbd_volume_state *state = drbd_table_get(table, volume->drbd_minor);

		/* Attached, DRBD moves its metadata to the new end; otherwise drbdmeta could only search for it. */
		if (!state || strcmp(state->disk, "Diskless") == 0)
			return err_set(err, -ENODEV, "volume %s: cannot grow while DRBD has not attached it", volume->name);
		rc = drbd_remember_size(volume->drbd_minor, err);
	}
	if (rc == 0)
		rc = found->thin_pool ? grow_thin(volume->pool, lv, want_bytes, err) :
					lvm_grow_zeroed(vg, volume->name, want_bytes, err);
	if (rc < 0)
		err_prefix(err, "volume %s", volume->name);
	return rc;
}

/* Calls fn for each volume, with the volume group it lives in; each volume group is read once per run. */
static int each_volume(const struct config_volume *const *volumes, size_t n,
		       int (*fn)(const struct lvm_vg *vg, const struct config_volume *volume, const struct drbd_table *table,
				 struct err *err),
		       const struct drbd_table *table, struct err *err)
{
	_cleanup_(lvm_vg_freep) struct lvm_vg *vg = NULL;
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		if (!vg || strcmp(vg->name, volumes[i]->pool->vg) != 0) {
			lvm_vg_free(vg);
			vg = NULL;
			rc = lvm_vg_load(volumes[i]->pool->vg, &vg, err);
		}
		if (rc == 0)
			rc = fn(vg, volumes[i], table, err);
	}
	return rc;
}

static int ensure_one(const struct lvm_vg *vg, const struct config_volume *volume, const struct drbd_table *table,
		      struct err *err)
{
	(void)table;
	return ensure_volume(vg, volume, err);
}

static int write_resource_file(const struct config *config, const struct config_group *group, uint32_t nodeid, struct err *err)
{
	_cleanup_free_ char *name = xasprintf("/etc/drbd.d/lunward-%s.res", group->name), *path = backend_path(name), *text = NULL,
			    *old = NULL;
	char hostname[256] = "";
	int rc;

	if (gethostname(hostname, sizeof(hostname) - 1) < 0)
		return err_errno(err, -errno, "gethostname");
	text = drbd_conf_print(config, group, nodeid, hostname);
	if (file_read(path, RES_FILE_SIZE_MAX, &old, NULL) == 0 && strcmp(old, text) == 0)
		return 0;
	rc = file_replace(path, text, strlen(text), 0644);
	return rc < 0 ? err_errno(err, rc, "%s", path) : 0;
}

static int provision_drbd(const struct config *config, const struct config_group *group, uint32_t nodeid,
			  const struct config_volume *const *volumes, size_t n, struct err *err)
{
	_cleanup_(drbd_table_freep) struct drbd_table *table = NULL;
	_cleanup_free_ char *resource = backend_resource_name(group);
	int rc;

	rc = drbd_load_module(err);
	if (rc == 0)
		rc = write_resource_file(config, group, nodeid, err);
	if (rc == 0)
		rc = drbd_adjust(resource, err);
	if (rc == 0)
		rc = drbd_snapshot(resource, &table, err);
	if (rc == 0)
		rc = each_volume(volumes, n, grow_volume, table, err);
	return rc;
}

int backend_provision(const struct config *config, const struct config_group *group, uint32_t nodeid, struct err *err)
{
	_cleanup_free_ const struct config_volume **volumes = NULL;
	size_t n = backend_volumes(config, group, &volumes);
	int rc;

	if (group->backend == CONFIG_BACKEND_SHARED || n == 0)
		return 0;
	rc = each_volume(volumes, n, ensure_one, NULL, err);
	if (rc < 0)
		return rc;
	if (!is_drbd(group))
		return each_volume(volumes, n, grow_volume, NULL, err);
	return provision_drbd(config, group, nodeid, volumes, n, err);
}

/* --- what needs the peer ----------------------------------------------------------------------------------------------*/

static int snapshot_of(const struct config_group *group, struct drbd_table **ret_table, struct err *err)
{
	_cleanup_free_ char *resource = backend_resource_name(group);

	return drbd_snapshot(resource, ret_table, err);
}

static bool is_local_address(const char *address)
{
	const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM };
	_cleanup_close_ int fd = -1;
	struct addrinfo *info;
	bool local;

	if (getaddrinfo(address, NULL, &hints, &info) != 0)
		return false;
	fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	local = fd >= 0 && bind(fd, info->ai_addr, info->ai_addrlen) == 0;
	freeaddrinfo(info);
	return local;
}

static int drop_connection(const struct config *config, const struct config_group *group, struct err *err)
{
	const char *a = config_node_by_id(config, group->nodes[0])->replication_address;
	const char *b = config_node_by_id(config, group->nodes[1])->replication_address;
	bool swapped = !is_local_address(a);
	const struct drbd_endpoint local = { swapped ? b : a, group->port }, remote = { swapped ? a : b, group->port };

	return drbd_disconnect(&local, &remote, err);
}

/* Inconsistent on both sides and nothing to sync: DRBD says so only of copies that have just been created on both sides, or whose
 * resync has no source. The kernel itself refuses any but the former (drbd_adm_new_c_uuid(): UUID_JUST_CREATED). */
static bool is_brand_new(const struct drbd_volume_state *state)
{
	return strcmp(state->connection, "Connected") == 0 && strcmp(state->disk, "Inconsistent") == 0 &&
	       strcmp(state->peer_disk, "Inconsistent") == 0;
}

/*
 * While a volume of the connection still shakes hands, the kernel gives the peer the new state and drops it on this side without a word
 * (_drbd_set_state() in drbd_adm_new_c_uuid(): SS_IN_TRANSIENT_STATE, by STATE_SENT, which is the connection's): Inconsistent for good here, UpToDate there.
 */
static bool is_past_handshake(const struct drbd_volume_state *state)
{
	return !state->shakes_hands && (strcmp(state->connection, "Connected") == 0 || strstr(state->connection, "Sync"));
}

/* What comes of it: no longer "just created", which has all of its bitmap set, so the kernel refuses to declare it again. */
static bool is_half_declared(const struct drbd_volume_state *state)
{
	return state->size_kib > 0 && state->out_of_sync_kib == 0;
}

static bool is_served(const struct drbd_volume_state *state)
{
	return strcmp(state->role, "Primary") == 0 || strcmp(state->peer_role, "Primary") == 0;
}

/* Shaking hands again, the one that is Inconsistent becomes the target of a resync of nothing (drbd_sync_handshake(), "due to disk states"). */
static int connect_anew(const struct config *config, const struct config_group *group, const struct drbd_volume_state *state, struct err *err)
{
	_cleanup_free_ char *resource = backend_resource_name(group);
	int rc;

	if (is_served(state)) /* to be cut off from its peer is a fault to an owner */
		return err_set(err, -EBUSY, "the copies are equal, but DRBD noted that on one side only; that is put right when group %s is released and "
			       "acquired again", group->name);
	rc = drop_connection(config, group, err);
	return rc < 0 ? rc : drbd_adjust(resource, err);
}

/* Returns 1 if the volumes shake hands again. */
static int initialise_volume(const struct config *config, const struct config_group *group, uint32_t minor, const struct drbd_volume_state *state,
			     struct err *err)
{
	int rc = drbd_declare_equal(minor, err);

	if (rc == 0 || !is_half_declared(state))
		return rc;
	rc = connect_anew(config, group, state, err);
	return rc < 0 ? rc : 1;
}

static int initialise_volumes(const struct config *config, const struct config_group *group, const struct config_volume *const *volumes, size_t n,
			      const struct drbd_table *table, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		const struct drbd_volume_state *state = drbd_table_get(table, volumes[i]->drbd_minor);

		if (state && is_brand_new(state))
			rc = initialise_volume(config, group, volumes[i]->drbd_minor, state, err);
		if (rc < 0)
			err_prefix(err, "volume %s", volumes[i]->name);
	}
	return MIN(rc, 0);
}

int backend_initialise(const struct config *config, const struct config_group *group, uint32_t nodeid, struct err *err)
{
	_cleanup_free_ const struct config_volume **volumes = NULL;
	_cleanup_(drbd_table_freep) struct drbd_table *table = NULL;
	size_t n = backend_volumes(config, group, &volumes);
	int rc;

	if (!is_drbd(group))
		return 0;
	for (size_t i = 0; i < CONFIG_COPIES_MAX && group->nodes[i]; i++)
		if (group->nodes[i] < nodeid)
			return 0; /* one side is enough, and two at once could each make a UUID */
	rc = snapshot_of(group, &table, err);
	for (size_t i = 0; i < n && rc == 0; i++) {
		const struct drbd_volume_state *state = drbd_table_get(table, volumes[i]->drbd_minor);

		if (state && !is_past_handshake(state))
			return 0;
	}
	return rc < 0 ? rc : initialise_volumes(config, group, volumes, n, table, err);
}

int backend_grow(const struct config *config, const struct config_group *group, struct err *err)
{
	_cleanup_free_ const struct config_volume **volumes = NULL;
	_cleanup_(drbd_table_freep) struct drbd_table *table = NULL;
	size_t n = backend_volumes(config, group, &volumes);
	int rc;

	if (!is_drbd(group))
		return 0;
	rc = snapshot_of(group, &table, err);
	for (size_t i = 0; i < n && rc == 0; i++) {
		const struct drbd_volume_state *state = drbd_table_get(table, volumes[i]->drbd_minor);

		if (state && state->size_kib * 1024 >= volumes[i]->size_bytes)
			continue;
		if (!state || strcmp(state->connection, "Connected") != 0)
			return err_set(err, -EAGAIN, "volume %s: cannot grow while the copies are not connected and equal (%s)",
				       volumes[i]->name, state ? state->connection : "not up");
		rc = drbd_resize(volumes[i]->drbd_minor, err);
		if (rc == 0)
			rc = drbd_remember_size(volumes[i]->drbd_minor, err);
		if (rc < 0)
			err_prefix(err, "volume %s", volumes[i]->name);
	}
	return rc;
}

/* --- roles --------------------------------------------------------------------------------------------------------------*/

struct role_change {
	const struct config_volume *const *volumes;
	bool primary;
};

static int change_role(void *ctx, size_t i, struct err *err)
{
	const struct role_change *change = ctx;
	int rc = drbd_set_role(change->volumes[i]->drbd_minor, change->primary, err);

	if (rc < 0)
		err_prefix(err, "volume %s", change->volumes[i]->name);
	return rc;
}

/* From /proc/drbd where it has it, else by asking a program. */
static int state_of(const struct config_group *group, const struct config_volume *volume, const char *proc,
		    struct drbd_table **table, struct drbd_proc_state *ret, struct err *err)
{
	const struct drbd_volume_state *state;
	int rc = proc ? drbd_proc_line(proc, volume->drbd_minor, ret) : -EOPNOTSUPP;

	if (rc == -EOPNOTSUPP) {
		rc = *table ? 0 : snapshot_of(group, table, err);
		if (rc < 0)
			return rc;
		state = drbd_table_get(*table, volume->drbd_minor);
		rc = state ? 0 : -ENODEV;
		if (state) {
			snprintf(ret->connection, sizeof(ret->connection), "%s", state->connection);
			snprintf(ret->disk, sizeof(ret->disk), "%s", state->disk);
		}
	}
	return rc < 0 ? err_set(err, rc, "volume %s: DRBD device %u is not up", volume->name, volume->drbd_minor) : 0;
}

/* DRBD would promote a copy without data as long as its peer has some, and then serve over the network. */
static int check_copies(const struct config_group *group, const struct config_volume *const *volumes, size_t n,
			bool *ret_standalone, struct err *err)
{
	_cleanup_(drbd_table_freep) struct drbd_table *table = NULL;
	_cleanup_free_ char *path = backend_path("/proc/drbd");
	_cleanup_free_ char *proc = NULL;

	if (file_read(path, PROC_SIZE_MAX, &proc, NULL) < 0)
		proc = NULL;
	for (size_t i = 0; i < n; i++) {
		struct drbd_proc_state state;
		int rc = state_of(group, volumes[i], proc, &table, &state, err);

		if (rc < 0)
			return rc;
		if (strcmp(state.disk, "UpToDate") != 0 && strcmp(state.disk, "Consistent") != 0)
			return err_set(err, -ENODATA, "volume %s: the copy on this node is %s", volumes[i]->name, state.disk);
		*ret_standalone = strcmp(state.connection, "StandAlone") == 0; /* of the resource, the same for all */
	}
	return 0;
}

int backend_promote(const struct config *config, const struct config_group *group, bool peer_lost, struct err *err)
{
	_cleanup_free_ const struct config_volume **volumes = NULL;
	size_t n = backend_volumes(config, group, &volumes);
	struct role_change change = { .volumes = volumes, .primary = true };
	bool standalone = false;
	int rc;

	if (!is_drbd(group) || n == 0)
		return 0;
	rc = check_copies(group, volumes, n, &standalone, err);
	/* A peer that died a moment ago still counts as connected, and as primary: promotion would be refused. */
	if (rc == 0 && peer_lost && !standalone)
		rc = drop_connection(config, group, err);
	if (rc == 0)
		rc = parallel_for(n, ROLE_THREADS, change_role, &change, err);
	return rc;
}

int backend_demote(const struct config *config, const struct config_group *group, struct err *err)
{
	_cleanup_free_ const struct config_volume **volumes = NULL;
	size_t n = backend_volumes(config, group, &volumes);
	struct role_change change = { .volumes = volumes, .primary = false };

	return is_drbd(group) ? parallel_for(n, ROLE_THREADS, change_role, &change, err) : 0;
}

int backend_connect(const struct config *config, const struct config_group *group, struct err *err)
{
	_cleanup_free_ const struct config_volume **volumes = NULL;
	_cleanup_(drbd_table_freep) struct drbd_table *table = NULL;
	_cleanup_free_ char *resource = backend_resource_name(group);
	size_t n = backend_volumes(config, group, &volumes);
	const struct drbd_volume_state *state;
	int rc;

	if (!is_drbd(group) || n == 0)
		return 0;
	rc = drbd_snapshot(resource, &table, err);
	if (rc < 0)
		return rc;
	state = drbd_table_get(table, volumes[0]->drbd_minor);
	if (state && strcmp(state->connection, "StandAlone") != 0)
		return 0;
	return drbd_adjust(resource, err);
}

/* fn for each volume that is in the state; the first error ends it. Returns for how many. */
static int on_volumes(const struct config *config, const struct config_group *group, bool (*is_wanted)(const struct drbd_volume_state *state),
		      int (*fn)(uint32_t minor, struct err *err), struct err *err)
{
	_cleanup_free_ const struct config_volume **volumes = NULL;
	_cleanup_(drbd_table_freep) struct drbd_table *table = NULL;
	size_t n = backend_volumes(config, group, &volumes);
	int rc, done = 0;

	if (!is_drbd(group) || n == 0)
		return 0;
	rc = snapshot_of(group, &table, err);
	for (size_t i = 0; i < n && rc == 0; i++) {
		const struct drbd_volume_state *state = drbd_table_get(table, volumes[i]->drbd_minor);

		if (!state || !is_wanted(state))
			continue;
		rc = fn(volumes[i]->drbd_minor, err);
		done++;
	}
	return rc < 0 ? rc : done;
}

static bool is_negotiating(const struct drbd_volume_state *state)
{
	return strcmp(state->disk, "Negotiating") == 0;
}

int backend_attach_anew(const struct config *config, const struct config_group *group, struct err *err)
{
	_cleanup_free_ char *resource = backend_resource_name(group);
	int rc = on_volumes(config, group, is_negotiating, drbd_detach, err);

	return rc < 0 ? rc : drbd_adjust(resource, err);
}

static bool is_held(const struct drbd_volume_state *state)
{
	return strstr(state->suspended, "fencing") != NULL;
}

/* Per device although it is the resource that is suspended: each gets its new generation here. */
int backend_resume(const struct config *config, const struct config_group *group, struct err *err)
{
	int rc = on_volumes(config, group, is_held, drbd_resume_io, err);

	return rc < 0 ? rc : 0;
}

/* --- the handler ---------------------------------------------------------------------------------------------------------*/

int backend_install_helper(struct err *err)
{
	_cleanup_free_ char *path = backend_path("/sys/module/drbd/parameters/usermode_helper");
	/* No newline: the parameter is taken as it is, and a program "...\n" does not exist. */
	int rc = file_write_attr(path, LUNWARD_LIBEXECDIR "/drbd-fence-peer");

	return rc < 0 ? err_errno(err, rc, "%s", path) : 0;
}
