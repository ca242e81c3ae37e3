// SPDX-License-Identifier: GPL-2.0-or-later
/* The sender's window: what goes when, and what a drop looks like. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ha/transport/assembly.h"
#include "ha/transport/send_queue.h"

#define LIMIT 1000000
#define STALL 100

static void add(struct send_queue *q, int n)
{
	while (n--)
		assert_int_equal(send_queue_add(q, "abc", 3, LIMIT), 0);
}

/* Sends what the window lets through; returns how many went. */
static int pump(struct send_queue *q, int64_t now_ms)
{
	size_t size;
	int n = 0;

	while (send_queue_front(q, now_ms, &size)) {
		send_queue_sent(q, now_ms);
		n++;
	}
	return n;
}

static void test_header(void **state)
{
	struct send_queue q;
	struct send_header header;
	size_t size;
	const char *data;

	(void)state;
	send_queue_init(&q, STALL);
	add(&q, 2);
	data = send_queue_front(&q, 0, &size);
	assert_true(send_header_parse(data, size, &header));
	assert_int_equal(size, header.size + 3);
	assert_memory_equal(data + header.size, "abc", 3);
	assert_int_equal(header.number, 1);
	assert_int_equal(header.total, 0);
	assert_false(send_header_parse(data, header.size - 1, &header));
	assert_false(send_header_parse("XWT1____", 8, &header));
	assert_false(send_header_parse("LWT2____________", 15, &header));
	send_queue_sent(&q, 0);
	data = send_queue_front(&q, 0, &size);
	assert_true(send_header_parse(data, size, &header));
	assert_int_equal(header.number, 2);
	send_queue_done(&q);
}

/* What the receiver makes of all that the sender's queue has, without the pieces whose bit in `lost` is set: messages, and the last one's
 * first byte. */
static int receive(struct send_queue *q, unsigned int lost, size_t limit, char *ret_first, size_t *ret_size)
{
	struct assembly assembly = { .data = NULL };
	struct send_header header;
	size_t size;
	const char *data;
	int n = 0;

	for (unsigned int i = 0; (data = send_queue_front(q, 0, &size)); i++) {
		assert_true(size < 1000 * 1024);
		assert_true(send_header_parse(data, size, &header));
		if (!(lost & 1u << i) && assembly_take(&assembly, &header, data + header.size, size - header.size, limit)) {
			*ret_first = (char)assembly.data[0];
			*ret_size = assembly.size;
			assert_int_equal(assembly.data[assembly.size - 1], *ret_first);
			n++;
		}
		send_queue_sent(q, 0);
		send_queue_delivered(q, header.number, 0);
	}
	assembly_drop(&assembly);
	return n;
}

static void test_large_messages_go_in_pieces(void **state)
{
	const size_t large = 3 * SEND_PIECE_SIZE + 1;
	char *text[2] = { malloc(large), malloc(large) }, first = 0;
	struct send_queue q;
	size_t size = 0;

	(void)state;
	send_queue_init(&q, STALL);
	for (unsigned int lost = 0; lost < 1u << 8; lost++) {
		bool a = !(lost & 0xf), b = !(lost & 0xf0);

		for (int i = 0; i < 2; i++) {
			memset(text[i], 'a' + i, large);
			assert_int_equal(send_queue_add(&q, text[i], large, 4 * large), 0);
		}
		assert_int_equal(q.queued_bytes, 2 * large);
		assert_int_equal(receive(&q, lost, large, &first, &size), a + b); /* never one made of both */
		if (a || b) {
			assert_int_equal(first, b ? 'b' : 'a');
			assert_int_equal(size, large);
		}
		assert_int_equal(q.queued_bytes, 0);
	}
	assert_int_equal(send_queue_add(&q, text[0], large, large), 0);
	assert_int_equal(receive(&q, 0, large - 1, &first, &size), 0);
	assert_int_equal(send_queue_add(&q, text[0], large, large - 1), -ENOBUFS);
	assert_int_equal(q.n_queued, 0);
	send_queue_done(&q);
	free(text[0]);
	free(text[1]);
}

static void test_window_closes_and_opens(void **state)
{
	struct send_queue q;

	(void)state;
	send_queue_init(&q, STALL);
	add(&q, SEND_WINDOW_MESSAGES + 5);
	assert_int_equal(pump(&q, 10), SEND_WINDOW_MESSAGES);
	assert_int_equal(q.n_queued, 5);
	send_queue_delivered(&q, 1, 11);
	assert_int_equal(pump(&q, 11), 1);
	send_queue_delivered(&q, 4, 12); /* 2 and 3 never came: dropped */
	assert_int_equal(q.n_dropped, 2);
	assert_int_equal(pump(&q, 12), 3);
	send_queue_delivered(&q, SEND_WINDOW_MESSAGES + 4, 13);
	assert_int_equal(q.n_flight, 0);
	assert_int_equal(q.flight_bytes, 0);
	assert_int_equal(pump(&q, 13), 1);
	send_queue_done(&q);
}

static void test_window_counts_bytes(void **state)
{
	static char big[SEND_PIECE_SIZE];
	struct send_queue q;

	(void)state;
	send_queue_init(&q, STALL);
	for (int i = 0; i < 4; i++)
		assert_int_equal(send_queue_add(&q, big, sizeof(big), 4 * sizeof(big)), 0);
	assert_int_equal(pump(&q, 0), 2);
	send_queue_delivered(&q, 1, 0);
	assert_int_equal(pump(&q, 0), 1);
	send_queue_done(&q);
}

static void test_stalled_window_is_probed(void **state)
{
	struct send_queue q;

	(void)state;
	send_queue_init(&q, STALL);
	assert_int_equal(send_queue_probe_ms(&q), INT64_MAX);
	add(&q, SEND_WINDOW_MESSAGES * 4);
	assert_int_equal(pump(&q, 1000), SEND_WINDOW_MESSAGES);
	assert_int_equal(send_queue_probe_ms(&q), 1000 + STALL);
	assert_int_equal(pump(&q, 1000 + STALL - 1), 0);
	assert_int_equal(pump(&q, 1000 + STALL), 1); /* one, not a window full */
	assert_int_equal(send_queue_probe_ms(&q), 1000 + 2 * STALL);
	/* All of the window was dropped, the probe tells. */
	send_queue_delivered(&q, SEND_WINDOW_MESSAGES + 1, 1200);
	assert_int_equal(q.n_dropped, SEND_WINDOW_MESSAGES);
	assert_int_equal(pump(&q, 1200), SEND_WINDOW_MESSAGES);
	/* A server that never reads gets a bounded number of messages. */
	for (int64_t now = 2000; now < 2000 + 100 * STALL; now += STALL)
		pump(&q, now);
	assert_int_equal(q.n_flight, SEND_WINDOW_MESSAGES * 2);
	assert_int_equal(send_queue_probe_ms(&q), INT64_MAX);
	send_queue_done(&q);
}

static void test_numbers_wrap(void **state)
{
	struct send_queue q;

	(void)state;
	send_queue_init(&q, STALL);
	q.next_number = UINT32_MAX;
	add(&q, 3);
	assert_int_equal(pump(&q, 0), 3);
	send_queue_delivered(&q, UINT32_MAX, 0);
	assert_int_equal(q.n_flight, 2);
	send_queue_delivered(&q, 1, 0);
	assert_int_equal(q.n_flight, 0);
	assert_int_equal(q.n_dropped, 1); /* number 0 */
	send_queue_done(&q);
}

static void test_bound(void **state)
{
	struct send_queue q;

	(void)state;
	send_queue_init(&q, STALL);
	assert_int_equal(send_queue_add(&q, "abcdef", 6, 10), 0);
	assert_int_equal(send_queue_add(&q, "abcdef", 6, 10), -ENOBUFS);
	assert_int_equal(send_queue_add(&q, "abcd", 4, 10), 0);
	assert_int_equal(pump(&q, 0), 2);
	assert_int_equal(q.queued_bytes, 0);
	assert_int_equal(send_queue_add(&q, "", 0, 10), 0);
	assert_int_equal(pump(&q, 0), 1);
	send_queue_done(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_large_messages_go_in_pieces),
		cmocka_unit_test(test_window_closes_and_opens),
		cmocka_unit_test(test_window_counts_bytes),
		cmocka_unit_test(test_stalled_window_is_probed),
		cmocka_unit_test(test_numbers_wrap),
		cmocka_unit_test(test_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
