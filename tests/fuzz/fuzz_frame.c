// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Any bytes on the control socket, in pieces as the first byte says: no crash, no byte of one frame in another, and an object that is taken
 * comes back the same from a frame of its own.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "agent/ctl/frame.h"
#include "tests/fuzz/fuzz.h"

#define LIMIT 4096

static void check_object(const json_t *object)
{
	struct frame_reader reader;
	unsigned char *frame;
	json_t *again = NULL;
	struct err err = ERR_INIT;
	size_t size, at = 0;
	int rc = 0;

	require(frame_encode(object, &frame, &size) == 0);
	frame_reader_init(&reader, FRAME_SIZE_MAX);
	while (at < size) {
		size_t space;
		void *to = frame_reader_space(&reader, &space);
		size_t n = space < size - at ? space : size - at;

		memcpy(to, frame + at, n);
		at += n;
		rc = frame_reader_advance(&reader, n);
	}
	require(rc == 1 && frame_parse(reader.body, reader.size, &again, &err) == 0 && json_equal(object, again));
	json_decref(again);
	frame_reader_reset(&reader);
	frame_free(frame, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t piece = size ? (size_t)data[0] + 1 : 1, at = 1;
	struct frame_reader reader;

	frame_reader_init(&reader, LIMIT);
	while (at < size) {
		size_t space;
		void *to = frame_reader_space(&reader, &space);
		size_t n = space;
		int rc;

		require(to && space > 0 && space <= LIMIT);
		n = n > piece ? piece : n;
		n = n > size - at ? size - at : n;
		memcpy(to, data + at, n);
		at += n;
		rc = frame_reader_advance(&reader, n);
		if (rc < 0) {
			require(rc == -EMSGSIZE);
			break;
		}
		if (rc == 1) {
			json_t *object = NULL;
			struct err err = ERR_INIT;

			require(reader.body[reader.size] == '\0');
			if (frame_parse(reader.body, reader.size, &object, &err) == 0)
				check_object(object);
			json_decref(object);
			frame_reader_reset(&reader);
		}
	}
	frame_reader_reset(&reader);
	return 0;
}
