/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Quorum, from Corosync's votequorum (quorum.c). Threads and blocking: as in transport.h.
 * votequorum and CPG are separate streams of notifications: neither waits for the other.
 */
#ifndef HA_QUORUM_H
#define HA_QUORUM_H

#include <stdbool.h>

#include "base/compiler.h"
#include "base/err.h"

struct quorum;

/* May block: from a worker. The first answer comes by dispatch. -ENOTCONN, -EAGAIN, -EACCES as in transport_open();
 * -EOPNOTSUPP: corosync.conf has no `quorum { provider: corosync_votequorum }`. */
int quorum_open(struct quorum **ret, void (*notify)(void *ctx, bool quorate), void *ctx, struct err *err) must_check;
void quorum_close(struct quorum *quorum);
int quorum_fd(const struct quorum *quorum);
/* Calls notify with each answer there is, also if it is the same as before. Negative: lost, close. */
int quorum_dispatch(struct quorum *quorum) must_check;

#endif
