/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What holds a group's bytes on this node: logical volumes and, on top, one DRBD resource per group (`lunward-<group>`, file
 * /etc/drbd.d/lunward-<group>.res, device /dev/drbd<minor>, logical volume <vg>/lunward-<volume>).
 *
 * All calls block and run in workers; calls for one group are made one at a time: DRBD serialises them anyway, and one that has
 * to wait for another inside the kernel blocks generic netlink for every process (drbd_adm_disconnect holds genl_lock).
 * drbd_table_* and drbd_events_start() may be used beside them. For backend `shared` and `local` what concerns DRBD does nothing.
 */
#ifndef TARGET_CONFIG_BACKEND_H
#define TARGET_CONFIG_BACKEND_H

#include "target-config/model/config.h"

/* Makes what is missing for all volumes of the group on this node: logical volume (zeroed, so that both copies are equal and old data
 * of the pool is never shown to a host; docs/decisions/0002), metadata, resource file, resource up, logical volume grown. Takes as
 * long as zeroing takes. Idempotent, also after being killed anywhere; keeps data; refuses with -EEXIST if a logical volume of that name
 * is there that Lunward did not make (LVM tag "lunward"). */
int backend_provision(const struct config *config, const struct config_group *group, uint32_t nodeid, struct err *err) must_check;

/* Lowest node of the group only (others: 0, nothing done): if both copies are connected and brand-new (Inconsistent/Inconsistent),
 * declares them equal without a resync (new-current-uuid --clear-bitmap). 0 also when there is nothing to do, or not yet: call again later.
 * Copies that only the peer took for declared are connected anew, which makes them equal; -EBUSY while the group is served. */
int backend_initialise(const struct config *config, const struct config_group *group, uint32_t nodeid, struct err *err) must_check;

/* On the owner, once all copies are provisioned for this document: makes DRBD use the grown logical volumes. -EAGAIN while the copies are
 * not connected or a resync runs; call again later. 0 when all devices have at least the document's size. */
int backend_grow(const struct config *config, const struct config_group *group, struct err *err) must_check;

/* All volumes to Primary / Secondary, in parallel. `peer_lost`: drop the connection first, the peer is proven dead. While it runs, DRBD
 * may call the fence-peer handler, which asks the agent: the agent must be able to answer meanwhile.
 * Idempotent. Promote: -ENODATA if a copy here is not UpToDate (or Consistent, then the handler decides), -ENODEV if one is not up,
 * -EBUSY if the peer is primary. Demote: -EBUSY while a volume is open. */
int backend_promote(const struct config *config, const struct config_group *group, bool peer_lost, struct err *err) must_check;
int backend_demote(const struct config *config, const struct config_group *group, struct err *err) must_check;
/* Connect again after peer_lost or a dropped connection; no-op when connected or connecting. Never resolves a split brain. */
int backend_connect(const struct config *config, const struct config_group *group, struct err *err) must_check;
/* Volumes whose disk stays "Negotiating" over a connection that is there: takes the disk off and puts it on again. No-op for all others. */
int backend_attach_anew(const struct config *config, const struct config_group *group, struct err *err) must_check;
/* The owner lost its peer, the handler could not get an answer in its time and DRBD holds all writes ("suspended:fencing") for good.
 * Call only after the cluster has agreed that the peer's copy is no longer current. No-op when nothing is held. */
int backend_resume(const struct config *config, const struct config_group *group, struct err *err) must_check;

/* Points the kernel's usermode_helper at drbd-fence-peer, which spares promote and connection loss the parsing of drbd.conf. */
int backend_install_helper(struct err *err) must_check;

#define BACKEND_PATH_SIZE 256 /* the document's device paths have 200 characters at most */
/* Device a gate of this volume opens, e.g. "/dev/drbd3". */
void backend_device(const struct config_volume *volume, char ret_path[BACKEND_PATH_SIZE]);

/* Tests: everything below /etc, /dev and /sys is looked for below `root` instead. Called before threads start. */
void backend_set_root(const char *root);

/* --- DRBD state as the kernel tells it ---*/

struct drbd_volume_state {
	uint32_t minor;
	uint16_t volume;
	char resource[72];
	char role[16], disk[16];                           /* "Primary", "UpToDate", ... as DRBD names them */
	char connection[20], peer_role[16], peer_disk[16]; /* connection: replication state once there is one that is not idle
							    * ("SyncTarget"), else "Connected", "Connecting", "StandAlone", ... */
	bool shakes_hands; /* the resource is "Connected", this volume is not yet */
	char suspended[32];        /* "no", "fencing", "no-data,fencing", ...: DRBD holds I/O of the whole resource */
	uint64_t size_kib;         /* of the device, 0: not known */
	uint64_t out_of_sync_kib;
	double done_percent;       /* resync progress, 100 when none runs */
};

/* One line of `drbdsetup events2 --statistics`, applied to a table of states. Pure. */
struct drbd_table;
struct drbd_table *drbd_table_new(void);
void drbd_table_free(struct drbd_table *table);
/* Returns 1 if something changed, 0 if not, -EINVAL for a line that cannot be DRBD's (ignored), -ESTALE if the kernel dropped events
 * ("- skipped 3"): start drbdsetup again, with a new table. */
int drbd_table_line(struct drbd_table *table, const char *line) must_check;
/* True after the line "exists -": the table is complete. */
bool drbd_table_is_complete(const struct drbd_table *table);
/* NULL if there is no such device. Borrowed until the next line. */
const struct drbd_volume_state *drbd_table_get(const struct drbd_table *table, uint32_t minor);

/* Starts `drbdsetup events2` as a child; *ret_fd is readable (non-blocking lines), *ret_pid is the caller's to kill and reap. */
int drbd_events_start(int *ret_fd, int *ret_pid, struct err *err) must_check;

#endif
