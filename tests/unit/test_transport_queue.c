// SPDX-License-Identifier: GPL-2.0-or-later
/* The sender's window: what goes when, and what a drop looks like. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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
	size_t size;
	uint32_t number = 0;
	const char *data;

	(void)state;
	send_queue_init(&q, STALL);
	add(&q, 2);
	data = send_queue_front(&q, 0, &size);
	assert_int_equal(size, SEND_HEADER_SIZE + 3);
	assert_memory_equal(data + SEND_HEADER_SIZE, "abc", 3);
	assert_true(send_header_parse(data, size, &number));
	assert_int_equal(number, 1);
	assert_false(send_header_parse(data, SEND_HEADER_SIZE - 1, &number));
	assert_false(send_header_parse("XWT1____", 8, &number));
	send_queue_sent(&q, 0);
	data = send_queue_front(&q, 0, &size);
	assert_true(send_header_parse(data, size, &number));
	assert_int_equal(number, 2);
	send_queue_done(&q);
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

static void test_large_messages_go_one_at_a_time(void **state)
{
	static char big[SEND_WINDOW_BYTES];
	struct send_queue q;

	(void)state;
	send_queue_init(&q, STALL);
	for (int i = 0; i < 3; i++)
		assert_int_equal(send_queue_add(&q, big, sizeof(big), 4 * sizeof(big)), 0);
	assert_int_equal(pump(&q, 0), 1);
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
		cmocka_unit_test(test_window_closes_and_opens),
		cmocka_unit_test(test_large_messages_go_one_at_a_time),
		cmocka_unit_test(test_stalled_window_is_probed),
		cmocka_unit_test(test_numbers_wrap),
		cmocka_unit_test(test_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
