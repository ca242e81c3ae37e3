/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Total order and membership: messages and views of the agents, from Corosync's closed process groups (cpg.c).
 *
 * Promises
 * - All members of a partition get the same messages and views in the same order, their own messages included (agreed
 *   order, extended virtual synchrony). Both sides of a partition go on: quorum is another question (quorum.h).
 * - A view is a consistent pair: every node with an agent is also in the ring. When nodes come or go with a change of
 *   the ring, group and ring are reported in one view, before any message of the new configuration. A view is reported
 *   for each change, also if the lists came out the same: somebody may have been away in between.
 * - A message that transport_send() took is delivered once or, rarely, never: Corosync drops what it was handed in the
 *   moment a membership change begins (exec/ipc_glue.c, cs_ipcs_msg_process), and everything queued goes with the
 *   connection. It is never delivered twice and never overtaken by a later message of the same sender.
 * - Only one agent a node is heard: the first process of a node that joined. A second one on this node is refused.
 *
 * Threads: transport_open() blocks as long as Corosync takes to answer (a stopped corosync: until it is continued or
 * dies, there is no way to bound it), so call it from a worker. The object it returns then belongs to one thread, and
 * no other function blocks, except transport_close(), which see. Callbacks run inside transport_dispatch() only; they
 * may call transport_send() and transport_retry(), nothing else.
 */
#ifndef HA_TRANSPORT_H
#define HA_TRANSPORT_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

#define TRANSPORT_MESSAGE_MAX (20u << 20) /* a document of CONFIG_SIZE_MAX, and the groups of it */
#define TRANSPORT_QUEUE_MAX (64u << 20)   /* bytes waiting for Corosync; beyond, sends are refused */

struct transport;

struct transport_callbacks {
	/* nodes: those with an agent; ring: Corosync's members; both ascending. This node is in both. */
	void (*view)(void *ctx, const uint32_t *nodes, size_t n_nodes, const uint32_t *ring, size_t n_ring);
	/* data is borrowed and may be unaligned. Comes only from nodes of the last view. */
	void (*message)(void *ctx, uint32_t nodeid, const void *data, size_t size);
};

/* Connects and asks to join; the first view comes by dispatch. May be called from any thread.
 * -ENOTCONN: no Corosync here. -EAGAIN: Corosync is not ready, or has not noticed yet that an earlier connection of
 * this process ended. -EACCES: not allowed. In all cases: try again later. */
int transport_open(struct transport **ret, const char *group, const struct transport_callbacks *callbacks, void *ctx,
		   struct err *err) must_check;

/* Leaves the group, frees. Accepts NULL. After a lost connection it may sleep for 40 ms (libqb looks whether the server
 * is really gone); on a living connection to a *stopped* corosync it blocks: a process that ends need not close. */
void transport_close(struct transport *transport);

uint32_t transport_nodeid(const struct transport *transport); /* this node's id */

/* Becomes readable (or hung up) when there is something to dispatch. Constant until close. */
int transport_fd(const struct transport *transport);

/* Takes what is there, at most a few dozen events a call (level-triggered: the fd stays readable).
 * 0, or the connection is lost and only transport_close() is left to do: -ENOTCONN: Corosync died; -EEXIST: another agent
 * runs on this node. */
int transport_dispatch(struct transport *transport, int64_t now_ms) must_check;

/* Queues a copy of data and sends what Corosync takes now. -EMSGSIZE: over TRANSPORT_MESSAGE_MAX; -ENOBUFS: the queue is
 * full; -ENOTCONN: lost, or no view yet. */
int transport_send(struct transport *transport, const void *data, size_t size, int64_t now_ms) must_check;

/* When to call transport_retry() if nothing was dispatched before; INT64_MAX: not needed. Ask after each dispatch, send
 * and retry. */
int64_t transport_next_retry_ms(const struct transport *transport);
void transport_retry(struct transport *transport, int64_t now_ms);

struct transport_stats {
	size_t n_queued, n_in_flight; /* messages not yet taken by Corosync; taken but not yet delivered to us */
	int64_t oldest_in_flight_ms;  /* since when (monotonic) the oldest of them waits; INT64_MAX: none in flight. One that
				       * waits for long means that Corosync stands still here, whatever it said last */
	uint64_t n_dropped;           /* own messages that Corosync took and never delivered */
};
void transport_stats(const struct transport *transport, struct transport_stats *ret);

#endif
