/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * That this node's copy of a group lacks writes, when neither DRBD nor the cluster may know it. DRBD lets go of a disk that fails under a
 * primary and goes on over the peer's; the state says so once CURRENT is committed, which a node that is cut off at that moment does not
 * live to see. Should the old disk be readable again, nothing on it tells that it is old, as long as the peer is not there.
 *
 * Hence <state_dir>/behind-<group>, from the moment that the agent notices until DRBD has made both copies equal.
 */
#ifndef AGENT_DAEMON_OWN_COPY_H
#define AGENT_DAEMON_OWN_COPY_H

#include <stdbool.h>

struct agroup;

/* Sets group->behind to what an earlier life has left. Reads a directory entry; once, when the group is made. */
void own_copy_load(struct agroup *group);

/* Sets group->behind, which counts at once; in the file it is a moment later (a worker writes, again each second after an error). To be
 * called in each turn. */
void own_copy_is_behind(struct agroup *group, bool behind);

#endif
