/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is to be written to a client that may be slow. Private to this folder. */
#ifndef AGENT_CTL_OUTBOX_H
#define AGENT_CTL_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/compiler.h"

enum outbox_kind { OUTBOX_FINAL, OUTBOX_PROGRESS, OUTBOX_UPDATE };

struct outbox_frame;
struct outbox {
	struct outbox_frame *head, **tail;
	size_t n;
};

void outbox_init(struct outbox *outbox);
void outbox_done(struct outbox *outbox);
/* Queues `message` (reference taken). An update replaces one that has not begun to go out. -EMSGSIZE, -EINVAL: it cannot be
 * encoded; nothing was queued. */
int outbox_add(struct outbox *outbox, enum outbox_kind kind, json_t *message) must_check;
/* Writes what fd takes without waiting. 0, or negative: the connection is broken. */
int outbox_flush(struct outbox *outbox, int fd) must_check;

static inline bool outbox_is_empty(const struct outbox *outbox)
{
	return outbox->head == NULL;
}

#endif
