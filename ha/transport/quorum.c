// SPDX-License-Identifier: GPL-2.0-or-later
/* The door to votequorum. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include <corosync/votequorum.h>

#include "base/xalloc.h"
#include "ha/transport/cs_errno.h"
#include "ha/transport/quorum.h"

#define EVENTS_PER_DISPATCH 16

struct quorum {
	votequorum_handle_t handle;
	int fd;
	void (*notify)(void *ctx, bool quorate);
	void *ctx;
	size_t n_events;
};

static void on_quorum(votequorum_handle_t handle, uint64_t context, uint32_t quorate, uint32_t n, votequorum_node_t nodes[])
{
	void *found = NULL;
	struct quorum *quorum;

	(void)context;
	(void)n;
	(void)nodes;
	if (votequorum_context_get(handle, &found) != CS_OK)
		abort(); /* called back with a handle that does not exist */
	quorum = found;
	quorum->n_events++;
	quorum->notify(quorum->ctx, quorate != 0);
}

static cs_error_t connect_and_track(struct quorum *quorum)
{
	votequorum_callbacks_t callbacks = { .votequorum_quorum_notify_fn = on_quorum };
	cs_error_t result = votequorum_initialize(&quorum->handle, &callbacks);

	if (result != CS_OK)
		return result;
	result = votequorum_context_set(quorum->handle, quorum);
	if (result == CS_OK)
		result = votequorum_fd_get(quorum->handle, &quorum->fd);
	if (result == CS_OK)
		result = votequorum_trackstart(quorum->handle, 0, CS_TRACK_CURRENT | CS_TRACK_CHANGES);
	if (result != CS_OK)
		votequorum_finalize(quorum->handle);
	return result;
}

int quorum_open(struct quorum **ret, void (*notify)(void *ctx, bool quorate), void *ctx, struct err *err)
{
	struct quorum *quorum = xcalloc(1, sizeof(*quorum));
	cs_error_t result;

	quorum->notify = notify;
	quorum->ctx = ctx;
	result = connect_and_track(quorum);
	if (result != CS_OK) {
		free(quorum);
		return cs_err(err, result, "asking for quorum (corosync.conf needs `provider: corosync_votequorum`)");
	}
	*ret = quorum;
	return 0;
}

void quorum_close(struct quorum *quorum)
{
	if (!quorum)
		return;
	votequorum_finalize(quorum->handle);
	free(quorum);
}

int quorum_fd(const struct quorum *quorum)
{
	return quorum->fd;
}

int quorum_dispatch(struct quorum *quorum)
{
	for (int i = 0; i < EVENTS_PER_DISPATCH; i++) {
		struct pollfd p = { .fd = quorum->fd, .events = POLLIN };
		cs_error_t result = CS_OK;

		if (poll(&p, 1, 0) <= 0)
			return 0;
		if (p.revents & POLLIN)
			result = votequorum_dispatch(quorum->handle, CS_DISPATCH_ONE_NONBLOCKING);
		/* An end of file reads as POLLIN too: with POLLHUP what was left to say has been dispatched last time. */
		if ((result != CS_OK && result != CS_ERR_TRY_AGAIN) || (p.revents & (POLLHUP | POLLERR | POLLNVAL)))
			return -ENOTCONN;
	}
	return 0;
}
