/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames of the control protocol (docs/CONTROL.md): 4 bytes little-endian length, then that many bytes of JSON. Pure. */
#ifndef AGENT_CTL_FRAME_H
#define AGENT_CTL_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/compiler.h"
#include "base/err.h"

#define FRAME_HEADER_SIZE 4
#define FRAME_SIZE_MAX (16u << 20)

/* Collects one frame, never a byte of the next. Memory grows with what has arrived, not with what was announced. */
struct frame_reader {
	unsigned char header[FRAME_HEADER_SIZE];
	size_t n_header;
	char *body; /* NUL-terminated once complete */
	size_t size, have, cap;
	size_t limit; /* larger frames are refused; may be changed until the header is complete */
};

void frame_reader_init(struct frame_reader *reader, size_t limit);
/* Wipes (documents contain secrets), frees, and is ready for the next frame. */
void frame_reader_reset(struct frame_reader *reader);
/* Where to read to, and how much at most (never 0 while incomplete). */
void *frame_reader_space(struct frame_reader *reader, size_t *ret_size);
/* n bytes were put there: 1: the frame is complete, 0: not yet, -EMSGSIZE: the announced length is over the limit. */
int frame_reader_advance(struct frame_reader *reader, size_t n) must_check;

/* A whole frame of `message`, caller frees with frame_free(); -EMSGSIZE if it is too large, -EINVAL if it is no JSON. */
int frame_encode(const json_t *message, unsigned char **ret, size_t *ret_size) must_check;
void frame_free(unsigned char *frame, size_t size); /* wipes first; accepts NULL */

/* A JSON object out of a body: duplicate keys and trailing bytes are errors. */
int frame_parse(const char *body, size_t size, json_t **ret, struct err *err) must_check;

#endif
