/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What hosts send by TCP waits outside for a moment, as if the network had lost it: TCP sends it again (RFC 6298), and neither a session nor a
 * command ends. A table of nftables of its own, whose only set empties itself in the kernel when the time is up, also if nobody is left to
 * see to it. RDMA does not pass through it. Workers only.
 */
#ifndef TARGET_CONFIG_PORTAL_HOLD_H
#define TARGET_CONFIG_PORTAL_HOLD_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

/* Of all addresses of this machine. For limit_s at most. -ENOENT: nft is not installed. */
int portal_hold(const uint16_t *ports, size_t n, unsigned int limit_s, struct err *err) must_check;
/* 0 also if nothing is held. */
int portal_let_in(struct err *err) must_check;

#endif
