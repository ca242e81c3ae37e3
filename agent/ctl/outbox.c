// SPDX-License-Identifier: GPL-2.0-or-later
/* Frames on their way out. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "agent/ctl/frame.h"
#include "agent/ctl/outbox.h"
#include "base/xalloc.h"

struct outbox_frame {
	struct outbox_frame *next;
	enum outbox_kind kind;
	unsigned char *bytes;
	size_t size, sent;
};

void outbox_init(struct outbox *outbox)
{
	*outbox = (struct outbox){ .head = NULL };
	outbox->tail = &outbox->head;
}

static void drop(struct outbox *outbox, struct outbox_frame **link)
{
	struct outbox_frame *frame = *link;

	*link = frame->next;
	if (outbox->tail == &frame->next)
		outbox->tail = link;
	outbox->n--;
	frame_free(frame->bytes, frame->size);
	free(frame);
}

void outbox_done(struct outbox *outbox)
{
	while (outbox->head)
		drop(outbox, &outbox->head);
}

static void drop_stale_update(struct outbox *outbox)
{
	for (struct outbox_frame **link = &outbox->head; *link; link = &(*link)->next) {
		if ((*link)->kind == OUTBOX_UPDATE && (*link)->sent == 0) {
			drop(outbox, link);
			return;
		}
	}
}

int outbox_add(struct outbox *outbox, enum outbox_kind kind, json_t *message)
{
	struct outbox_frame *frame;
	unsigned char *bytes = NULL;
	size_t size = 0;
	int rc = frame_encode(message, &bytes, &size);

	json_decref(message);
	if (rc < 0)
		return rc;
	if (kind == OUTBOX_UPDATE)
		drop_stale_update(outbox);
	frame = xcalloc(1, sizeof(*frame));
	frame->kind = kind;
	frame->bytes = bytes;
	frame->size = size;
	*outbox->tail = frame;
	outbox->tail = &frame->next;
	outbox->n++;
	return 0;
}

int outbox_flush(struct outbox *outbox, int fd)
{
	while (outbox->head) {
		struct outbox_frame *frame = outbox->head;
		ssize_t n = send(fd, frame->bytes + frame->sent, frame->size - frame->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		frame->sent += (size_t)n;
		if (frame->sent == frame->size)
			drop(outbox, &outbox->head);
	}
	return 0;
}
