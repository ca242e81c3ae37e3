/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DRBD 8.4's own interface, the generic netlink family "drbd" (linux/drbd_genl.h): what a failover needs of it, without a process per
 * step. The door to libnl-genl. All calls block as long as the kernel works on them (a promotion: until the fence-peer handler
 * has answered), and cannot be interrupted meanwhile, as a drbdsetup could not be either.
 *
 * 0: the kernel has answered, see `answer`; -EOPNOTSUPP: there is no such family (module not loaded, or of another version: use
 * the programs); other negative errno: no answer.
 */
#ifndef TARGET_CONFIG_BACKEND_DRBD_NETLINK_H
#define TARGET_CONFIG_BACKEND_DRBD_NETLINK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/compiler.h"

struct drbd_answer {
	int code;       /* enum drbd_ret_code or enum drbd_state_rv (linux/drbd.h) */
	char info[256]; /* the kernel's words, "" if it has none */
};

/* Whether the code means done, or nothing to do. Pure. */
bool drbd_answer_ok(const struct drbd_answer *answer);

int drbd_netlink_set_role(uint32_t minor, bool primary, struct drbd_answer *ret) must_check;
int drbd_netlink_resume_io(uint32_t minor, struct drbd_answer *ret) must_check;
/* By force: a peer that cannot answer is not waited for. The addresses as drbdsetup gave them to the kernel, compared byte by byte. */
int drbd_netlink_disconnect(const struct sockaddr *local, socklen_t local_len, const struct sockaddr *remote, socklen_t remote_len,
			    struct drbd_answer *ret) must_check;

#endif
