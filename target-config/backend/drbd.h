/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is asked of DRBD, one function each. In 8.4 a role belongs to a minor, a connection to a pair of endpoints (drbdsetup-8.4(8)).
 * What a failover needs goes to 8.4 by netlink (drbd_netlink.h), everything else, and every other version, by DRBD's programs.
 */
#ifndef TARGET_CONFIG_BACKEND_DRBD_H
#define TARGET_CONFIG_BACKEND_DRBD_H

#include "target-config/backend/backend.h"

/* What the kernel says now about one resource (NULL: all). The table is complete. Caller frees with drbd_table_free(). */
int drbd_snapshot(const char *resource, struct drbd_table **ret_table, struct err *err) must_check;

/* The same for one device of DRBD 8 out of the text of /proc/drbd, which costs no process: the way for a failover. Pure.
 * -EOPNOTSUPP: not DRBD 8; -ENODEV: no such device is up. */
struct drbd_proc_state {
	char connection[20], disk[16];
};
int drbd_proc_line(const char *text, uint32_t minor, struct drbd_proc_state *ret) must_check;

int drbd_load_module(struct err *err) must_check;
/* Writes fresh metadata at the end of `device`; what was there is lost. */
int drbd_create_metadata(uint32_t minor, const char *device, struct err *err) must_check;
/* Makes the kernel match /etc/drbd.d: creates, attaches, connects, changes options; touches no data. */
int drbd_adjust(const char *resource, struct err *err) must_check;

/* -EBUSY open, or the peer is primary; -ENODATA no good data; -EPERM the handler did not agree; -EREMOTEIO else. */
int drbd_set_role(uint32_t minor, bool primary, struct err *err) must_check;
/* 0 also if there is no connection. */
struct drbd_endpoint {
	const char *address;
	uint16_t port;
};
int drbd_disconnect(const struct drbd_endpoint *local, const struct drbd_endpoint *remote, struct err *err) must_check;
/* Takes the disk from a device; drbd_adjust() gives it back. -EBUSY while it is Primary without a peer. */
int drbd_detach(uint32_t minor, struct err *err) must_check;
int drbd_resume_io(uint32_t minor, struct err *err) must_check;
int drbd_declare_equal(uint32_t minor, struct err *err) must_check;
int drbd_resize(uint32_t minor, struct err *err) must_check;
/* Notes the size of the disk in /var/lib/drbd, by which drbdmeta finds the metadata of a disk that grew while DRBD was away. */
int drbd_remember_size(uint32_t minor, struct err *err) must_check;

#endif
