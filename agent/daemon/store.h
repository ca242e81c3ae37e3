/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The replicated state on this node's disk: <state_dir>/state (agent/daemon/slot_file.h). */
#ifndef AGENT_DAEMON_STORE_H
#define AGENT_DAEMON_STORE_H

#include "agent/daemon/agent.h"

/* At start, once. *ret_data NULL and size 0 if nothing was stored yet. -EIO and the like are fatal: a node that cannot read what it
 * promised must not take part. */
int store_load(struct agent *agent, char **ret_data, size_t *ret_size, struct err *err) must_check;
/* Copies data, writes it in a worker, in the place of what was stored or after it, and feeds HA_EV_PERSISTED. The core asks for one at a
 * time. */
void store_persist(struct agent *agent, uint64_t version, bool append, const void *data, size_t size);

#endif
