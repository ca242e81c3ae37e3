// SPDX-License-Identifier: GPL-2.0-or-later
/* Queue and window of a sender whose receiver never says no. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "ha/transport/send_queue.h"

#define MAGIC_WHOLE 0x3154574cu /* "LWT1" */
#define MAGIC_PIECE 0x3254574cu /* "LWT2" */
#define HEADER_SIZE_WHOLE 8
#define HEADER_SIZE_PIECE 16

struct send_item {
	struct send_item *next;
	size_t size, header_size; /* size: with header */
	unsigned char bytes[];
};

static void put_le32(unsigned char *p, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		p[i] = (unsigned char)(value >> (8 * i));
}

static uint32_t get_le32(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

bool send_header_parse(const void *data, size_t size, struct send_header *ret)
{
	const unsigned char *p = data;

	if (size >= HEADER_SIZE_WHOLE && get_le32(p) == MAGIC_WHOLE) {
		*ret = (struct send_header){ .number = get_le32(p + 4), .size = HEADER_SIZE_WHOLE };
		return true;
	}
	if (size < HEADER_SIZE_PIECE || get_le32(p) != MAGIC_PIECE)
		return false;
	*ret = (struct send_header){ .number = get_le32(p + 4), .total = get_le32(p + 8), .offset = get_le32(p + 12), .size = HEADER_SIZE_PIECE };
	return true;
}

void send_queue_init(struct send_queue *queue, int64_t stall_ms)
{
	*queue = (struct send_queue){ .stall_ms = stall_ms, .next_number = 1 };
	queue->tail = &queue->head;
}

void send_queue_done(struct send_queue *queue)
{
	while (queue->head) {
		struct send_item *item = queue->head;

		queue->head = item->next;
		free(item);
	}
	queue->tail = &queue->head;
	queue->n_queued = queue->queued_bytes = 0;
}

/* total 0: not a piece, but a whole message. */
static void add_item(struct send_queue *queue, const void *data, size_t size, size_t total, size_t offset)
{
	size_t header_size = total ? HEADER_SIZE_PIECE : HEADER_SIZE_WHOLE;
	struct send_item *item = xcalloc(1, sizeof(*item) + header_size + size);

	item->header_size = header_size;
	item->size = header_size + size;
	put_le32(item->bytes, total ? MAGIC_PIECE : MAGIC_WHOLE);
	if (total) {
		put_le32(item->bytes + 8, (uint32_t)total);
		put_le32(item->bytes + 12, (uint32_t)offset);
	}
	if (size)
		memcpy(item->bytes + header_size, data, size);
	*queue->tail = item;
	queue->tail = &item->next;
	queue->n_queued++;
	queue->queued_bytes += size;
}

int send_queue_add(struct send_queue *queue, const void *data, size_t size, size_t limit_bytes)
{
	if (size > limit_bytes || queue->queued_bytes > limit_bytes - size)
		return -ENOBUFS;
	if (size <= SEND_PIECE_SIZE)
		add_item(queue, data, size, 0, 0);
	for (size_t at = 0; size > SEND_PIECE_SIZE && at < size; at += SEND_PIECE_SIZE)
		add_item(queue, (const char *)data + at, MIN(size - at, SEND_PIECE_SIZE), size, at);
	return 0;
}

static bool window_is_open(const struct send_queue *queue)
{
	if (!queue->n_flight)
		return true;
	return queue->n_flight < SEND_WINDOW_MESSAGES && queue->flight_bytes + queue->head->size <= SEND_WINDOW_BYTES;
}

int64_t send_queue_probe_ms(const struct send_queue *queue)
{
	if (!queue->head || window_is_open(queue) || queue->n_flight == SEND_WINDOW_MESSAGES * 2)
		return INT64_MAX;
	return queue->progress_ms + queue->stall_ms;
}

const void *send_queue_front(struct send_queue *queue, int64_t now_ms, size_t *ret_size)
{
	if (!queue->head)
		return NULL;
	if (!window_is_open(queue) && now_ms < send_queue_probe_ms(queue))
		return NULL;
	/* Numbered when it goes, not when it was queued: what is never sent leaves no gap. */
	put_le32(queue->head->bytes + 4, queue->next_number);
	*ret_size = queue->head->size;
	return queue->head->bytes;
}

void send_queue_sent(struct send_queue *queue, int64_t now_ms)
{
	struct send_item *item = queue->head;

	queue->flight[queue->n_flight].number = queue->next_number++;
	queue->flight[queue->n_flight].size = item->size;
	queue->flight[queue->n_flight++].sent_ms = now_ms;
	queue->flight_bytes += item->size;
	queue->progress_ms = now_ms;
	queue->head = item->next;
	if (!queue->head)
		queue->tail = &queue->head;
	queue->n_queued--;
	queue->queued_bytes -= item->size - item->header_size;
	free(item);
}

void send_queue_delivered(struct send_queue *queue, uint32_t number, int64_t now_ms)
{
	size_t n = 0;

	/* Agreed order keeps a sender's own order: all that went before this one has been delivered or never will. */
	while (n < queue->n_flight && (int32_t)(queue->flight[n].number - number) <= 0) {
		queue->flight_bytes -= queue->flight[n].size;
		if (queue->flight[n].number != number)
			queue->n_dropped++;
		n++;
	}
	memmove(queue->flight, queue->flight + n, (queue->n_flight - n) * sizeof(queue->flight[0]));
	queue->n_flight -= n;
	queue->progress_ms = now_ms;
}
