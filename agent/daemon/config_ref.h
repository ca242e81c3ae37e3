/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A document in force, shared by the loop and by workers that may outlive the next change. Immutable; counted. */
#ifndef AGENT_DAEMON_CONFIG_REF_H
#define AGENT_DAEMON_CONFIG_REF_H

#include "target-config/model/config.h"

struct config_ref {
	int refs; /* atomic */
	uint64_t version;
	struct config *config;
};

/* Takes ownership of config; the caller holds one reference. */
struct config_ref *config_ref_new(struct config *config, uint64_t version) must_check;
struct config_ref *config_ref_get(struct config_ref *ref); /* NULL stays NULL */
void config_ref_put(struct config_ref *ref);               /* NULL is fine; from any thread */

#endif
