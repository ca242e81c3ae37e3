// SPDX-License-Identifier: GPL-2.0-or-later
/* Frames of the control protocol. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/ctl/frame.h"
#include "base/cleanup.h"
#include "base/xalloc.h"

#define BODY_STEP 4096

void frame_reader_init(struct frame_reader *reader, size_t limit)
{
	*reader = (struct frame_reader){ .limit = limit };
}

void frame_reader_reset(struct frame_reader *reader)
{
	if (reader->body)
		explicit_bzero(reader->body, reader->cap);
	free(reader->body);
	frame_reader_init(reader, reader->limit);
}

/* realloc() would leave the old bytes, secrets among them, where they were. */
static void grow(struct frame_reader *reader)
{
	size_t cap = MIN(MAX(reader->cap * 2, (size_t)BODY_STEP), reader->size + 1);
	char *body = xcalloc(1, cap);

	if (reader->body) {
		memcpy(body, reader->body, reader->have);
		explicit_bzero(reader->body, reader->cap);
		free(reader->body);
	}
	reader->body = body;
	reader->cap = cap;
}

void *frame_reader_space(struct frame_reader *reader, size_t *ret_size)
{
	if (reader->n_header < FRAME_HEADER_SIZE) {
		*ret_size = FRAME_HEADER_SIZE - reader->n_header;
		return reader->header + reader->n_header;
	}
	if (reader->have + 1 >= reader->cap)
		grow(reader);
	*ret_size = MIN(reader->size - reader->have, reader->cap - 1 - reader->have);
	return reader->body + reader->have;
}

int frame_reader_advance(struct frame_reader *reader, size_t n)
{
	const unsigned char *h = reader->header;

	if (reader->n_header < FRAME_HEADER_SIZE) {
		reader->n_header += n;
		if (reader->n_header < FRAME_HEADER_SIZE)
			return 0;
		reader->size = (size_t)h[0] | (size_t)h[1] << 8 | (size_t)h[2] << 16 | (size_t)h[3] << 24;
		if (reader->size > reader->limit)
			return -EMSGSIZE;
		if (reader->size == 0)
			grow(reader); /* "" */
	} else {
		reader->have += n;
	}
	return reader->have == reader->size;
}

int frame_encode(const json_t *message, unsigned char **ret, size_t *ret_size)
{
	size_t size = json_dumpb(message, NULL, 0, JSON_COMPACT);
	unsigned char *frame;

	if (size == 0)
		return -EINVAL;
	if (size > FRAME_SIZE_MAX)
		return -EMSGSIZE;
	frame = xcalloc(1, FRAME_HEADER_SIZE + size);
	for (int i = 0; i < FRAME_HEADER_SIZE; i++)
		frame[i] = (unsigned char)(size >> (8 * i));
	json_dumpb(message, (char *)frame + FRAME_HEADER_SIZE, size, JSON_COMPACT);
	*ret = frame;
	*ret_size = FRAME_HEADER_SIZE + size;
	return 0;
}

void frame_free(unsigned char *frame, size_t size)
{
	if (!frame)
		return;
	explicit_bzero(frame, size);
	free(frame);
}

int frame_parse(const char *body, size_t size, json_t **ret, struct err *err)
{
	json_error_t where;
	json_t *root = json_loadb(body, size, JSON_REJECT_DUPLICATES, &where);

	if (!root)
		return err_set(err, -EINVAL, "not JSON: byte %d: %s", where.position, where.text);
	if (!json_is_object(root)) {
		json_decref(root);
		return err_set(err, -EINVAL, "a JSON object is expected");
	}
	*ret = root;
	return 0;
}
