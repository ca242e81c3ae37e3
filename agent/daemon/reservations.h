/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Persistent reservations: what this node's kernel target changes becomes a change of the cluster's table (docs/decisions/0006), or is not
 * told to the host; what the table has is in this node's kernel before it may decide anything.
 *
 * Works only while there is a keeper (agent/pr-keeper) to get the mount's descriptor from; without it there is only a look at the records
 * after each change, for what this node must not take over.
 */
#ifndef AGENT_DAEMON_RESERVATIONS_H
#define AGENT_DAEMON_RESERVATIONS_H

#include <jansson.h>

#include "agent/daemon/agent.h"

/* After the control socket is ours: so nobody else serves the mount. */
void reservations_start(struct agent *agent);
/* In each turn, before groups_kick(); `changed`: the core's state or the document may be another. */
void reservations_turn(struct agent *agent, bool changed);
/* HA_ACT_REPLY: whether the request was one of these. */
bool reservations_reply(struct agent *agent, uint64_t request_id, int result, const char *text);

/* Hosts have reservations in this group, and there is no keeper here: the node is no spare for it. */
bool reservations_missing(const struct agroup *group);
/* The group must not be acquired yet: this node's kernel has not got the whole table, or a host waits for an answer about it. */
bool reservations_hold_acquire(const struct agroup *group);
/* This node serves with a kernel that may have what the cluster never agreed to, which hosts would believe: it has to begin anew. */
bool reservations_unsure(const struct agroup *group);
/* Nor will it be: loading has failed since the last success. */
bool reservations_load_failed(const struct agroup *group);
/* Reservation commands must be refused here: the ports this node answers for are to be in transition. */
bool reservations_refuse(const struct agroup *group);

/* For the tree job: which volumes begin with which reservations, and which must be built anew for it. */
struct reservation_load;
bool reservations_due(struct agent *agent);
struct reservation_load *reservations_plan(struct agent *agent, size_t *ret_n, struct lio_reservations **ret_specs, size_t *ret_n_specs);
/* In the worker, before the tree is built: the loads in the words of this kernel, which has the ports of the scope. */
void reservations_word(struct reservation_load *loads, size_t n, const struct config *config, const struct lio_scope *scope);
/* In the worker, before and after the reconciliation. */
void reservations_observe(struct reservation_load *loads, size_t n, const struct lio_roots *roots, bool after);
/* In the loop. `built`: the tree is as wanted, portals excepted. Frees both. */
void reservations_planned(struct agent *agent, struct reservation_load *loads, struct lio_reservations *specs, size_t n, bool built);

/* NULL: no such volume with a copy here. */
json_t *reservations_json(const struct agent *agent, const char *volume);
/* The operator's removal of everything, as a request; -EALREADY: there is nothing. */
int reservations_clear(struct agent *agent, const char *volume, uint64_t request_id, struct err *err) must_check;

#endif
