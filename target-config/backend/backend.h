/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What holds a group's bytes on this node: logical volumes and, on top, one DRBD resource per group (`lunward-<group>`, file
 * /etc/drbd.d/lunward-<group>.res, device /dev/drbd<minor>, logical volume <vg>/lunward-<volume>).
 * All calls block and run in workers; calls for one group are made one at a time, except backend_drbd_watch_*.
 */
#ifndef TARGET_CONFIG_BACKEND_H
#define TARGET_CONFIG_BACKEND_H

#include "target-config/model/config.h"

/* Makes what is missing for all volumes of the group on this node: logical volume (zeroed, so that both copies are equal and old data
 * of the pool is never shown to a host), resource file, metadata, resource up, grown to size. Idempotent; keeps data; refuses
 * with -EEXIST if a logical volume of that name is there that Lunward did not make (LVM tag "lunward"). */
int backend_provision(const struct config *config, const struct config_group *group, uint32_t nodeid, struct err *err) must_check;

/* Lowest node of the group only: if both copies are connected and brand-new (Inconsistent/Inconsistent), declares them equal without a
 * resync (drbdadm -- --clear-bitmap new-current-uuid). 0 also when there is nothing to do. */
int backend_initialise(const struct config *config, const struct config_group *group, uint32_t nodeid, struct err *err) must_check;

/* All volumes to Primary / Secondary, in parallel. `peer_lost`: drop the connection first, the peer is proven dead.
 * Idempotent. Demote: -EBUSY while a volume is open. */
int backend_promote(const struct config *config, const struct config_group *group, bool peer_lost, struct err *err) must_check;
int backend_demote(const struct config *config, const struct config_group *group, struct err *err) must_check;
/* Connect again after peer_lost or a dropped connection; no-op when connected or connecting. Never resolves a split brain. */
int backend_connect(const struct config *config, const struct config_group *group, struct err *err) must_check;

/* Device a gate of this volume opens, e.g. "/dev/drbd3". */
void backend_device(const struct config_volume *volume, char ret_path[64]);

/* --- DRBD state as the kernel tells it ---*/

struct drbd_volume_state {
	uint32_t minor;
	char role[16], disk[16];                                  /* "Primary", "UpToDate", ... as DRBD names them */
	char connection[20], peer_role[16], peer_disk[16];        /* "Connected", "SyncTarget", ... */
	double done_percent;                                      /* resync progress, 100 when none runs */
};

/* One line of `drbdsetup events2`, applied to a table of states. Pure. */
struct drbd_table;
struct drbd_table *drbd_table_new(void);
void drbd_table_free(struct drbd_table *table);
/* Returns 1 if something changed, 0 if not, -EINVAL for a line that cannot be DRBD's (ignored), */
int drbd_table_line(struct drbd_table *table, const char *line) must_check;
const struct drbd_volume_state *drbd_table_get(const struct drbd_table *table, uint32_t minor);

/* Starts `drbdsetup events2` as a child; *ret_fd is readable (non-blocking lines), *ret_pid is the caller's to reap.
 * Closing the fd ends the child. */
int drbd_events_start(int *ret_fd, int *ret_pid, struct err *err) must_check;

#endif
