/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is to be sent and what is under way. Pure: cpg.c does the sending. Private to this folder.
 *
 * Corosync takes messages into a ring in shared memory and answers nothing. Its flow control flag is advice that races
 * with the server, and libqb spins when the server does not read its socket (qb_ipcc_sendv). So the sender keeps a
 * window of its own: a message is in flight until this node has got it delivered, and few may be in flight at once.
 * Each message carries a number; a jump in the numbers that come back tells what was dropped. A drop at the end has no
 * later message to betray it: after `stall_ms` without a delivery one message more may go out as a probe.
 */
#ifndef HA_SEND_QUEUE_H
#define HA_SEND_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

#define SEND_WINDOW_MESSAGES 32
#define SEND_WINDOW_BYTES (512u << 10)
#define SEND_PIECE_SIZE (240u << 10) /* what is larger goes in pieces, two at a time; Corosync sends what is below 1 MiB as one
				      * (cpg_max_atomic_msgsize_get(3)) */

/* Little-endian: a magic, the number, and, before a piece, total and offset. */
struct send_header {
	uint32_t number;
	uint32_t total, offset; /* of the message this is a piece of; total 0: it is a whole one */
	size_t size;            /* of the header */
};

struct send_item;

struct send_queue {
	struct send_item *head, **tail; /* not sent yet */
	size_t n_queued, queued_bytes;
	struct {
		uint32_t number;
		size_t size;
		int64_t sent_ms;
	} flight[SEND_WINDOW_MESSAGES * 2]; /* the window, and room for probes */
	size_t n_flight, flight_bytes;
	uint32_t next_number;
	int64_t progress_ms; /* when something last moved: the stall is counted from here */
	int64_t stall_ms;
	uint64_t n_dropped;
};

void send_queue_init(struct send_queue *queue, int64_t stall_ms);
void send_queue_done(struct send_queue *queue);

/* Copies data behind a header, or in pieces behind one each. -ENOBUFS over limit_bytes of waiting messages. */
int send_queue_add(struct send_queue *queue, const void *data, size_t size, size_t limit_bytes) must_check;
/* The message to send now, header included; NULL: none, or the window is closed. Borrowed until send_queue_sent(). */
const void *send_queue_front(struct send_queue *queue, int64_t now_ms, size_t *ret_size);
void send_queue_sent(struct send_queue *queue, int64_t now_ms); /* the front is on its way */
/* An own message came back: it and all older ones are out of flight. */
void send_queue_delivered(struct send_queue *queue, uint32_t number, int64_t now_ms);
/* When a closed window opens for a probe; INT64_MAX: not closed, or nothing to send. */
int64_t send_queue_probe_ms(const struct send_queue *queue);

/* Reads a header; false: not one of ours. */
bool send_header_parse(const void *data, size_t size, struct send_header *ret);

#endif
