/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TCP connections of this machine's portals, the kernel target's own sockets too (sock_diag): which there are, and cutting them (SOCK_DESTROY):
 * the peer gets a reset, and nothing that is sent afterwards, a SCSI status for instance, can reach it any more. The listener stays.
 * Waits for nothing but netlink; any thread. RDMA connections are none of TCP's.
 */
#ifndef TARGET_CONFIG_PORTAL_CUT_H
#define TARGET_CONFIG_PORTAL_CUT_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

struct portal_connection { /* addresses as numbers */
	char address[INET6_ADDRSTRLEN], peer[INET6_ADDRSTRLEN];
	uint16_t port, peer_port;
};

/* Adds those whose local end is address:port to *list, which grows and is the caller's to free. */
int portal_connections(const char *address, uint16_t port, struct portal_connection **list, size_t *n, size_t *cap, struct err *err) must_check;

/* All connections whose local end is address:port (numeric IP). 0 only if none is left that was there: -EOPNOTSUPP if the kernel is
 * built without CONFIG_INET_DIAG_DESTROY. *ret_cut (may be NULL): how many. */
int portal_cut(const char *address, uint16_t port, size_t *ret_cut, struct err *err) must_check;

/* The same, but only those whose other end has that address (NULL: any). */
int portal_cut_from(const char *address, uint16_t port, const char *from, size_t *ret_cut, struct err *err) must_check;

#endif
