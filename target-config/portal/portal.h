/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Portal addresses: present on an interface or not, and announced. rtnetlink and packet sockets; brief, but workers only. */
#ifndef TARGET_CONFIG_PORTAL_H
#define TARGET_CONFIG_PORTAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

/* Adds address/prefix_len to the interface if it is not there; brings the link up. */
int portal_address_add(const char *interface, const char *address, uint8_t prefix_len, struct err *err) must_check;
/* 0 also if it was not there. */
int portal_address_del(const char *interface, const char *address, uint8_t prefix_len, struct err *err) must_check;
int portal_address_present(const char *interface, const char *address, bool *ret_present, struct err *err) must_check;
/* Gratuitous ARP (IPv4: request and reply, RFC 5227) or unsolicited neighbour advertisement (IPv6), `count` times. */
int portal_announce(const char *interface, const char *address, int count, struct err *err) must_check;

#endif
