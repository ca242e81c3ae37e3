/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tells a host at once that the connection to an address which has moved here is gone. Its TCP would find out with its next
 * retransmission, which comes later the longer nobody has answered (RFC 6298, 5.5): seconds, after a fence. A bare ACK with a sequence number
 * from nowhere makes it say where it stands (RFC 9293, 3.10.7.4), and that is answered by this machine's reset.
 * A connection that is alive on this machine is not harmed: it answers in its turn, and goes on.
 */
#ifndef TARGET_CONFIG_PORTAL_TICKLE_H
#define TARGET_CONFIG_PORTAL_TICKLE_H

#include "target-config/portal/cut.h"

/* Sends one such segment; whether it has arrived nobody tells. Needs CAP_NET_RAW. Does not wait; any thread. */
int portal_tickle(const struct portal_connection *connection, struct err *err) must_check;

#endif
