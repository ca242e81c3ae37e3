/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The resource file of a group in the syntax of DRBD 8.4 (drbd.conf-8.4(5)), and DRBD's arithmetic. Pure. */
#ifndef TARGET_CONFIG_BACKEND_DRBD_CONF_H
#define TARGET_CONFIG_BACKEND_DRBD_CONF_H

#include "target-config/model/config.h"

/* drbdadm looks for the section `on <uname -n>`: this node is written under `hostname`, the peer under its name in the document. */
char *drbd_conf_print(const struct config *config, const struct config_group *group, uint32_t nodeid, const char *hostname) must_check;

/* "ipv4:10.0.0.1:7788", "ipv6:[fe80::1]:7788": how drbdsetup wants an endpoint. */
char *drbd_conf_endpoint(const char *address, uint16_t port) must_check;

/* Bytes of a device of `device_bytes` that internal metadata leaves for data (drbd_md_set_sector_offsets()). */
uint64_t drbd_conf_usable_bytes(uint64_t device_bytes);
/* Smallest multiple of extent_bytes that has at least volume_bytes usable. */
uint64_t drbd_conf_device_bytes(uint64_t volume_bytes, uint64_t extent_bytes);

#endif
