// SPDX-License-Identifier: GPL-2.0-or-later
/* Queue and window of a sender whose receiver never says no. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "ha/transport/send_queue.h"

#define HEADER_MAGIC 0x3154574cu /* "LWT1" */

struct send_item {
	struct send_item *next;
	size_t size; /* with header */
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

bool send_header_parse(const void *data, size_t size, uint32_t *ret_number)
{
	const unsigned char *p = data;

	if (size < SEND_HEADER_SIZE || get_le32(p) != HEADER_MAGIC)
		return false;
	*ret_number = get_le32(p + 4);
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

int send_queue_add(struct send_queue *queue, const void *data, size_t size, size_t limit_bytes)
{
	struct send_item *item;

	if (size > limit_bytes || queue->queued_bytes > limit_bytes - size)
		return -ENOBUFS;
	item = xcalloc(1, sizeof(*item) + SEND_HEADER_SIZE + size);
	item->size = SEND_HEADER_SIZE + size;
	put_le32(item->bytes, HEADER_MAGIC);
	if (size)
		memcpy(item->bytes + SEND_HEADER_SIZE, data, size);
	*queue->tail = item;
	queue->tail = &item->next;
	queue->n_queued++;
	queue->queued_bytes += size;
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
	queue->queued_bytes -= item->size - SEND_HEADER_SIZE;
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
