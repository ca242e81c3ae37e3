// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The door to Corosync's closed process groups.
 *
 * What the server sends when the ring changes (exec/cpg.c, cpg_sync_activate): for our group a confchg with those who
 * left (reason NODEDOWN), one with those who joined (NODEUP), then the totem confchg with the ring, in one go and before
 * any message of the new configuration. A join or leave of a process alone is one confchg and no totem confchg. So a view
 * is held back after the former until its ring has come.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <corosync/cpg.h>

#include "base/xalloc.h"
#include "ha/transport/assembly.h"
#include "ha/transport/cs_errno.h"
#include "ha/transport/send_queue.h"
#include "ha/transport/transport.h"

#define EVENTS_PER_DISPATCH 64
#define BUSY_RETRY_MS 5 /* corosync looks at its own queue again every millisecond */
#define STALL_MS 2000

struct process {
	uint32_t nodeid, pid;
	struct assembly assembly; /* of a large message, from one that is heard */
};

struct transport {
	cpg_handle_t handle;
	int fd;
	uint32_t nodeid, pid;
	const struct transport_callbacks *callbacks;
	void *ctx;
	int lost; /* 0, or why the connection is of no use any more */
	size_t n_events; /* counts callbacks: tells an idle dispatch */

	struct process heard[CPG_MEMBERS_MAX]; /* the one process of each node that counts */
	size_t n_heard;
	uint32_t ring[CPG_MEMBERS_MAX];
	size_t n_ring;
	bool have_ring, joined;
	bool held; /* a view waits for its totem confchg */
	bool in_view; /* the first view was reported */

	struct send_queue queue;
	int64_t now_ms; /* of the dispatch under way */
	int64_t busy_until_ms; /* Corosync said try again; INT64_MAX: it did not */
};

static struct transport *transport_of(cpg_handle_t handle)
{
	void *context = NULL;

	if (cpg_context_get(handle, &context) != CS_OK)
		abort(); /* called back with a handle that does not exist */
	return context;
}

/* --- views ----------------------------------------------------------------------------------------------------------*/

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static bool contains(const uint32_t *numbers, size_t n, uint32_t number)
{
	for (size_t i = 0; i < n; i++) {
		if (numbers[i] == number)
			return true;
	}
	return false;
}

static void report_view(struct transport *t)
{
	uint32_t nodes[CPG_MEMBERS_MAX];

	for (size_t i = 0; i < t->n_heard; i++) {
		nodes[i] = t->heard[i].nodeid;
		/* Not needed after a totem confchg; keeps the promise if a message should ever come between. */
		if (!contains(t->ring, t->n_ring, nodes[i]) && t->n_ring < CPG_MEMBERS_MAX)
			t->ring[t->n_ring++] = nodes[i];
	}
	qsort(nodes, t->n_heard, sizeof(nodes[0]), by_number);
	qsort(t->ring, t->n_ring, sizeof(t->ring[0]), by_number);
	t->held = false;
	t->in_view = true;
	t->callbacks->view(t->ctx, nodes, t->n_heard, t->ring, t->n_ring);
}

static void report_view_if_complete(struct transport *t)
{
	if (t->joined && t->have_ring && !t->held)
		report_view(t);
}

static struct process *find_process(struct process *list, size_t n, uint32_t nodeid)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i].nodeid == nodeid)
			return &list[i];
	}
	return NULL;
}

static bool is_member(const struct cpg_address *members, size_t n, const struct process *process)
{
	for (size_t i = 0; process && i < n; i++) {
		if (members[i].nodeid == process->nodeid && members[i].pid == process->pid)
			return true;
	}
	return false;
}

/* Who was heard goes on being heard; a node's next process counts once that one has left. */
static void choose_heard(struct transport *t, const struct cpg_address *members, size_t n)
{
	struct process heard[CPG_MEMBERS_MAX] = { 0 };
	size_t n_heard = 0;

	for (size_t i = 0; i < n && n_heard < CPG_MEMBERS_MAX; i++) {
		struct process *old = find_process(t->heard, t->n_heard, members[i].nodeid);
		bool goes_on = is_member(members, n, old);

		if (goes_on && old->pid == members[i].pid) {
			heard[n_heard++] = *old;
			old->assembly = (struct assembly){ .data = NULL };
		} else if (!goes_on && !find_process(heard, n_heard, members[i].nodeid)) {
			heard[n_heard++] = (struct process){ .nodeid = members[i].nodeid, .pid = members[i].pid };
		}
	}
	for (size_t i = 0; i < t->n_heard; i++)
		assembly_drop(&t->heard[i].assembly);
	memcpy(t->heard, heard, n_heard * sizeof(heard[0]));
	t->n_heard = n_heard;
}

static bool has_reason(const struct cpg_address *list, size_t n, cpg_reason_t reason)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i].reason == (uint32_t)reason)
			return true;
	}
	return false;
}

static void on_confchg(cpg_handle_t handle, const struct cpg_name *group, const struct cpg_address *members, size_t n_members,
		       const struct cpg_address *left, size_t n_left, const struct cpg_address *joined, size_t n_joined)
{
	struct transport *t = transport_of(handle);
	const struct process self = { .nodeid = t->nodeid, .pid = t->pid };

	(void)group;
	t->n_events++;
	if (t->lost)
		return;
	if (!is_member(members, n_members, &self)) {
		t->lost = -ENOTCONN;
		return;
	}
	if (!t->joined) {
		/* Total order decides between two agents of a node: the later one finds the earlier one here. */
		for (size_t i = 0; i < n_members; i++) {
			if (members[i].nodeid == t->nodeid && members[i].pid != t->pid)
				t->lost = -EEXIST;
		}
		if (t->lost)
			return;
		t->joined = true;
	}
	choose_heard(t, members, n_members);
	if (has_reason(left, n_left, CPG_REASON_NODEDOWN) || has_reason(joined, n_joined, CPG_REASON_NODEUP))
		t->held = true;
	report_view_if_complete(t);
}

static void on_totem_confchg(cpg_handle_t handle, struct cpg_ring_id ring_id, uint32_t n, const uint32_t *nodeids)
{
	struct transport *t = transport_of(handle);

	(void)ring_id;
	t->n_events++;
	t->n_ring = MIN(n, CPG_MEMBERS_MAX);
	memcpy(t->ring, nodeids, t->n_ring * sizeof(t->ring[0]));
	t->have_ring = true;
	t->held = false;
	if (!t->lost)
		report_view_if_complete(t);
}

static void on_deliver(cpg_handle_t handle, const struct cpg_name *group, uint32_t nodeid, uint32_t pid, void *data,
		       size_t size)
{
	struct transport *t = transport_of(handle);
	struct process *sender = find_process(t->heard, t->n_heard, nodeid);
	const char *bytes = data;
	struct send_header header;

	(void)group;
	t->n_events++;
	/* Any root process may join the group and talk: only a node's agent, as the membership has it, is heard. */
	if (t->lost || !t->joined || !sender || sender->pid != pid || !send_header_parse(data, size, &header))
		return;
	if (nodeid == t->nodeid)
		send_queue_delivered(&t->queue, header.number, t->now_ms);
	bytes += header.size;
	size -= header.size;
	if (header.total) {
		if (!assembly_take(&sender->assembly, &header, bytes, size, TRANSPORT_MESSAGE_MAX))
			return;
		bytes = (const char *)sender->assembly.data;
		size = sender->assembly.size;
	}
	if (t->held || !t->in_view)
		report_view(t);
	t->callbacks->message(t->ctx, nodeid, bytes, size);
	if (header.total)
		assembly_drop(&sender->assembly);
}

/* --- connection -----------------------------------------------------------------------------------------------------*/

static cs_error_t connect_and_join(struct transport *t, const char *group)
{
	cpg_model_v1_data_t model = {
		.model = CPG_MODEL_V1,
		.cpg_deliver_fn = on_deliver,
		.cpg_confchg_fn = on_confchg,
		.cpg_totem_confchg_fn = on_totem_confchg,
		.flags = CPG_MODEL_V1_DELIVER_INITIAL_TOTEM_CONF,
	};
	struct cpg_name name = { .length = (uint32_t)strnlen(group, sizeof(name.value)) };
	cs_error_t result = cpg_model_initialize(&t->handle, CPG_MODEL_V1, (cpg_model_data_t *)&model, t);

	if (result != CS_OK)
		return result;
	memcpy(name.value, group, name.length);
	result = cpg_local_get(t->handle, &t->nodeid);
	if (result == CS_OK)
		result = cpg_fd_get(t->handle, &t->fd);
	if (result == CS_OK)
		result = cpg_join(t->handle, &name);
	if (result != CS_OK)
		cpg_finalize(t->handle);
	return result;
}

int transport_open(struct transport **ret, const char *group, const struct transport_callbacks *callbacks, void *ctx,
		   struct err *err)
{
	struct transport *t = xcalloc(1, sizeof(*t));
	cs_error_t result;

	t->callbacks = callbacks;
	t->ctx = ctx;
	t->pid = (uint32_t)getpid();
	t->busy_until_ms = INT64_MAX;
	send_queue_init(&t->queue, STALL_MS);
	result = connect_and_join(t, group);
	if (result != CS_OK) {
		free(t);
		return cs_err(err, result, "joining the agents' process group");
	}
	*ret = t;
	return 0;
}

void transport_close(struct transport *t)
{
	if (!t)
		return;
	cpg_finalize(t->handle);
	send_queue_done(&t->queue);
	for (size_t i = 0; i < t->n_heard; i++)
		assembly_drop(&t->heard[i].assembly);
	free(t);
}

uint32_t transport_nodeid(const struct transport *t)
{
	return t->nodeid;
}

int transport_fd(const struct transport *t)
{
	return t->fd;
}

/* libcpg masks some errors of a dead connection as "nothing there" (cpg_dispatch and CS_ERR_BAD_HANDLE). */
static bool is_hung_up(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR | POLLNVAL));
}

int transport_dispatch(struct transport *t, int64_t now_ms)
{
	t->now_ms = now_ms;
	for (int i = 0; i < EVENTS_PER_DISPATCH && !t->lost; i++) {
		size_t before = t->n_events;
		cs_error_t result = cpg_dispatch(t->handle, CS_DISPATCH_ONE_NONBLOCKING);

		if (result != CS_OK && result != CS_ERR_TRY_AGAIN)
			t->lost = -ENOTCONN;
		else if (t->n_events == before && is_hung_up(t->fd))
			t->lost = -ENOTCONN;
		else if (t->n_events == before)
			break;
	}
	transport_retry(t, now_ms);
	return t->lost;
}

/* --- sending --------------------------------------------------------------------------------------------------------*/

void transport_retry(struct transport *t, int64_t now_ms)
{
	size_t size = 0;
	const void *data;

	t->busy_until_ms = INT64_MAX;
	while (!t->lost && (data = send_queue_front(&t->queue, now_ms, &size))) {
		char *bytes = NULL;
		struct iovec iov = { .iov_len = size };
		cs_error_t result;

		memcpy(&bytes, &data, sizeof(bytes)); /* libcpg only reads, but iovec has no const */
		iov.iov_base = bytes;
		result = cpg_mcast_joined(t->handle, CPG_TYPE_AGREED, &iov, 1);
		if (result == CS_ERR_TRY_AGAIN) {
			t->busy_until_ms = now_ms + BUSY_RETRY_MS;
			return;
		}
		if (result != CS_OK) {
			t->lost = -ENOTCONN; /* the fd is hung up: the next dispatch says it */
			return;
		}
		send_queue_sent(&t->queue, now_ms);
	}
}

int transport_send(struct transport *t, const void *data, size_t size, int64_t now_ms)
{
	int rc;

	if (t->lost || !t->in_view)
		return -ENOTCONN;
	if (size > TRANSPORT_MESSAGE_MAX)
		return -EMSGSIZE;
	rc = send_queue_add(&t->queue, data, size, TRANSPORT_QUEUE_MAX);
	if (rc < 0)
		return rc;
	if (t->busy_until_ms == INT64_MAX || now_ms >= t->busy_until_ms)
		transport_retry(t, now_ms);
	return 0;
}

int64_t transport_next_retry_ms(const struct transport *t)
{
	if (t->lost)
		return INT64_MAX;
	return MIN(t->busy_until_ms, send_queue_probe_ms(&t->queue));
}

void transport_stats(const struct transport *t, struct transport_stats *ret)
{
	*ret = (struct transport_stats){
		.n_queued = t->queue.n_queued,
		.n_in_flight = t->queue.n_flight,
		.oldest_in_flight_ms = t->queue.n_flight ? t->queue.flight[0].sent_ms : INT64_MAX,
		.n_dropped = t->queue.n_dropped,
	};
}
