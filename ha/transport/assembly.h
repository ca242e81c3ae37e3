/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A sender's message that comes in pieces (send_queue.h). Corosync may drop any of them when the membership changes: then the message
 * is none. Pure. Private to this folder.
 */
#ifndef HA_ASSEMBLY_H
#define HA_ASSEMBLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ha/transport/send_queue.h"

struct assembly { /* zero-initialise; assembly_drop() frees */
	unsigned char *data;
	size_t size, total;
	uint32_t next_number;
};

/* Takes the next thing of the sender, behind its header. Whether that ended a message: all of it is in data and size then, until the next
 * call. One of more than `limit` bytes is left out. */
bool assembly_take(struct assembly *assembly, const struct send_header *header, const void *data, size_t size, size_t limit);
void assembly_drop(struct assembly *assembly);

#endif
