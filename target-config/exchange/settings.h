/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What Lunward sets in the kernel target of one node, for whoever compares with it or writes it elsewhere. From the desired tree: one source. */
#ifndef TARGET_CONFIG_EXCHANGE_SETTINGS_H
#define TARGET_CONFIG_EXCHANGE_SETTINGS_H

#include <jansson.h>

#include "target-config/model/config.h"

struct settings {
	json_t *volumes; /* volume -> {attribute: value}; values are strings, and null where a kernel may not have it */
	json_t *others;  /* "iscsi/<iqn>/tpgt_<n>/attrib", ".../acls/<initiator>/attrib", ".../param" -> {name: value} */
};

void settings_collect(const struct config *config, uint32_t nodeid, struct settings *ret);
void settings_done(struct settings *settings);

#endif
