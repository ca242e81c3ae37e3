/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Allow-lists for every text of the cluster document: nothing reaches a configfs path, a device name, a generated file or
 * the input of a fence agent that did not pass here. The checks return NULL, or what is wrong with the text and how to put
 * it right.
 */
#ifndef TARGET_CONFIG_CONFIG_TEXT_H
#define TARGET_CONFIG_CONFIG_TEXT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "target-config/model/config.h"

#define CONFIG_HIDDEN "********" /* what config_print() writes in place of a secret */

typedef const char *config_text_fn(const char *s);

config_text_fn config_text_name;         /* nodes, pools, groups, hosts, the cluster */
config_text_fn config_text_volume;       /* a name that is also good for LVM and device-mapper */
config_text_fn config_text_vg, config_text_thin_pool;
config_text_fn config_text_target;       /* IQN */
config_text_fn config_text_initiator;    /* IQN, eui. or naa. */
config_text_fn config_text_srp_target;    /* srp.<name> */
config_text_fn config_text_srp_initiator; /* 0x and 32 hex digits; or an address as the kernel writes it: IPv4, IPv6 in full, a GUID */
config_text_fn config_text_fcoe_target;   /* fcoe.<name> */
config_text_fn config_text_fc_target;     /* fc.<name> */
config_text_fn config_text_wwpn;          /* of a port of Fibre Channel, as tcm_fc and tcm_qla2xxx take it: 20:00:52:54:00:12:34:56 */
config_text_fn config_text_any_target, config_text_any_initiator; /* of any fabric */
config_text_fn config_text_interface;
config_text_fn config_text_device;
config_text_fn config_text_serial;
config_text_fn config_text_fence_agent;
config_text_fn config_text_option_key;
config_text_fn config_text_option_value;
config_text_fn config_text_chap_user;
config_text_fn config_text_chap_password;

/* Numeric IPv4 or IPv6; ret_address is the canonical form (RFC 5952). `ret_prefix_len` NULL: "/len" is refused. */
const char *config_text_address(const char *s, char ret_address[INET6_ADDRSTRLEN], uint8_t *ret_prefix_len);

/* The GID of an RDMA port, in any notation of an IPv6 address; ret_gid is how sysfs writes it. */
const char *config_text_gid(const char *s, char ret_gid[CONFIG_GID_SIZE]);

/* "10GiB" to bytes. */
const char *config_text_size(const char *s, uint64_t *ret_bytes);
/* The largest unit that divides: "10<gap>GiB"; plain bytes get the unit "B" if there is a gap, none otherwise. */
void config_size_print(uint64_t bytes, const char *gap, char ret_text[32]);

/* A fence option whose value must not be shown. */
bool config_option_is_secret(const char *key);

#define CONFIG_QUOTE_SIZE 80
/* A text of unknown origin for an error message: in double quotes, what is not printable ASCII as \xNN, cut if long. */
const char *config_quote(const char *s, char ret_text[CONFIG_QUOTE_SIZE]);

#endif
