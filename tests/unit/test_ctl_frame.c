// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Frames and requests of the control protocol, whole, in pieces, and broken. Built with -DLUNWARD_FUZZ the same oracle is a
 * libFuzzer target; otherwise it is fed mutations of good frames from a fixed seed.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/ctl/frame.h"
#include "agent/ctl/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Feeds bytes in pieces of `step`; returns what advance said last, *ret_used how much was taken. */
static int feed(struct frame_reader *reader, const void *data, size_t size, size_t step, size_t *ret_used)
{
	size_t used = 0;
	int rc = 0;

	while (rc == 0 && used < size) {
		size_t room;
		void *space = frame_reader_space(reader, &room);

		room = MIN(room, MIN(step, size - used));
		memcpy(space, (const char *)data + used, room);
		used += room;
		rc = frame_reader_advance(reader, room);
	}
	*ret_used = used;
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame_reader reader;
	struct err err = ERR_INIT;
	json_t *root = NULL, *args = NULL;
	const char *command = NULL;
	size_t used, total = 0;
	int rc;

	frame_reader_init(&reader, 65536);
	while (total < size) {
		rc = feed(&reader, data + total, size - total, total % 7 + 1, &used);
		total += used;
		if (rc <= 0)
			break;
		if (request_parse(reader.body, reader.size, &root, &command, &args, &err) == 0) {
			if (!command || !json_is_object(args))
				abort();
			json_decref(root);
		} else if (!err.text[0] || err.code >= 0) {
			abort();
		}
		frame_reader_reset(&reader);
	}
	frame_reader_reset(&reader);
	return 0;
}

#ifndef LUNWARD_FUZZ
static unsigned char *encode(const char *text, size_t *ret_size)
{
	json_t *message = json_loads(text, 0, NULL);
	unsigned char *frame = NULL;

	assert_non_null(message);
	assert_int_equal(frame_encode(message, &frame, ret_size), 0);
	json_decref(message);
	return frame;
}

static void test_round_trip_in_any_pieces(void **state)
{
	static const char text[] = "{\"command\":\"status\",\"args\":{}}";
	size_t size, used;
	unsigned char *frame = encode(text, &size);

	(void)state;
	assert_int_equal(size, FRAME_HEADER_SIZE + strlen(text));
	for (size_t step = 1; step <= size; step++) {
		struct frame_reader reader;

		frame_reader_init(&reader, size);
		assert_int_equal(feed(&reader, frame, size, step, &used), 1);
		assert_string_equal(reader.body, text);
		frame_reader_reset(&reader);
	}
	frame_free(frame, size);
}

static void test_next_frame_is_not_touched(void **state)
{
	struct frame_reader reader;
	size_t size, used;
	unsigned char *frame = encode("{}", &size), two[64];

	(void)state;
	memcpy(two, frame, size);
	memcpy(two + size, frame, size);
	frame_reader_init(&reader, 100);
	assert_int_equal(feed(&reader, two, 2 * size, 64, &used), 1);
	assert_int_equal(used, size);
	frame_reader_reset(&reader);
	frame_free(frame, size);
}

static void test_large_frame_grows_with_what_came(void **state)
{
	struct frame_reader reader;
	static const unsigned char header[] = { 0, 0, 0, 1 }; /* 16 MiB */
	size_t used, room;

	(void)state;
	frame_reader_init(&reader, FRAME_SIZE_MAX);
	assert_int_equal(feed(&reader, header, 4, 4, &used), 0);
	assert_non_null(frame_reader_space(&reader, &room));
	assert_true(reader.cap <= 4096);
	frame_reader_reset(&reader);
	reader.limit = FRAME_SIZE_MAX - 1;
	assert_int_equal(feed(&reader, header, 4, 1, &used), -EMSGSIZE);
	frame_reader_reset(&reader);
}

static void test_big_frame_arrives_whole(void **state)
{
	char *text = malloc(1000001);
	struct frame_reader reader;
	size_t size, used;
	unsigned char *frame;
	json_t *root = NULL;

	(void)state;
	memset(text, 'x', 1000000);
	text[1000000] = '\0';
	memcpy(text, "{\"a\":\"", 6);
	memcpy(text + 999998, "\"}", 2);
	frame = encode(text, &size);
	frame_reader_init(&reader, FRAME_SIZE_MAX);
	assert_int_equal(feed(&reader, frame, size, 70001, &used), 1);
	assert_int_equal(frame_parse(reader.body, reader.size, &root, NULL), 0);
	assert_int_equal(json_string_length(json_object_get(root, "a")), 1000000 - 8);
	json_decref(root);
	frame_reader_reset(&reader);
	frame_free(frame, size);
	free(text);
}

static void refused(const char *body, const char *in_text)
{
	json_t *root = NULL, *args = NULL;
	const char *command = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(request_parse(body, strlen(body), &root, &command, &args, &err), -EINVAL);
	assert_null(root);
	if (!strstr(err.text, in_text))
		fail_msg("\"%s\": expected \"%s\" in \"%s\"", body, in_text, err.text);
}

static void test_requests(void **state)
{
	static const char good[] = "{\"command\":\"move\",\"args\":{\"group\":\"g1\"}}", bare[] = "{\"command\":\"status\"}";
	json_t *root = NULL, *args = NULL;
	const char *command = NULL;

	(void)state;
	assert_int_equal(request_parse(good, strlen(good), &root, &command, &args, NULL), 0);
	assert_string_equal(command, "move");
	assert_string_equal(json_string_value(json_object_get(args, "group")), "g1");
	json_decref(root);
	assert_int_equal(request_parse(bare, strlen(bare), &root, &command, &args, NULL), 0);
	assert_true(json_is_object(args));
	json_decref(root);
	root = NULL;
	refused("", "not JSON");
	refused("[]", "object is expected");
	refused("{\"command\":\"a\"} ,", "not JSON");
	refused("{\"command\":\"a\",\"command\":\"b\"}", "duplicate");
	refused("{\"command\":1}", "must be a string");
	refused("{\"args\":{}}", "must be a string");
	refused("{\"command\":\"a\",\"args\":[]}", "must be an object");
	refused("{\"command\":\"a\",\"uid\":0}", "unknown member \"uid\"");
	refused("{\"command\":\"a\\u0000b\"}", "not JSON");
}

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	return *state ^= *state << 5;
}

static void test_mutations(void **state)
{
	static const char *const seeds[] = { "{\"command\":\"status\"}", "{\"command\":\"apply\",\"args\":{\"document\":\"{}\"}}",
					     "{\"a\":[1,2.5e3,null,true,{\"b\":\"\\u00fc\"}]}" };
	uint32_t random = 20261121;

	(void)state;
	for (int round = 0; round < 30000; round++) {
		unsigned char input[512];
		size_t size, n = 0;

		for (uint32_t k = 0; k < 1 + next_random(&random) % 3; k++) {
			unsigned char *frame = encode(seeds[next_random(&random) % ARRAY_SIZE(seeds)], &size);

			memcpy(input + n, frame, size);
			n += size;
			frame_free(frame, size);
		}
		for (uint32_t k = next_random(&random) % 4; k; k--)
			input[next_random(&random) % n] = (unsigned char)next_random(&random);
		LLVMFuzzerTestOneInput(input, next_random(&random) % 5 ? n : next_random(&random) % n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip_in_any_pieces),
		cmocka_unit_test(test_next_frame_is_not_touched),
		cmocka_unit_test(test_large_frame_grows_with_what_came),
		cmocka_unit_test(test_big_frame_arrives_whole),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
