/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Little-endian bytes in and out, with bounds. A reader never reads past its end: after the first fault it is bad, yields
 * zeroes, and bytes_read_end() says so; callers check once.
 */
#ifndef HA_WIRE_BYTES_H
#define HA_WIRE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

struct bytes_out { /* zero-initialise; bytes_out_done() frees */
	uint8_t *data;
	size_t size, cap;
};

void bytes_out_done(struct bytes_out *out);
void bytes_put_u8(struct bytes_out *out, uint8_t v);
void bytes_put_u16(struct bytes_out *out, uint16_t v);
void bytes_put_u32(struct bytes_out *out, uint32_t v);
void bytes_put_u64(struct bytes_out *out, uint64_t v);
void bytes_put_str(struct bytes_out *out, const char *s);                /* u16 length; s may be NULL: "" */
void bytes_put_blob(struct bytes_out *out, const void *p, size_t size); /* u32 length */
void bytes_put_raw(struct bytes_out *out, const void *p, size_t size);
/* A record is its u32 length and what is put until the end: readers of an older minor version skip what they do not know. */
size_t bytes_put_record(struct bytes_out *out);
void bytes_put_record_end(struct bytes_out *out, size_t record);

struct bytes_in {
	const uint8_t *p;
	size_t left;
	bool bad;
};

uint8_t bytes_get_u8(struct bytes_in *in);
uint16_t bytes_get_u16(struct bytes_in *in);
uint32_t bytes_get_u32(struct bytes_in *in);
uint64_t bytes_get_u64(struct bytes_in *in);
bool bytes_get_bool(struct bytes_in *in);             /* bad unless 0 or 1 */
unsigned int bytes_get_enum(struct bytes_in *in, unsigned int count); /* u8; bad unless < count */
void bytes_get_str(struct bytes_in *in, char *ret, size_t size); /* bad if it does not fit or holds a NUL */
/* Borrowed from the reader's bytes; bad if longer than max. */
void bytes_get_blob(struct bytes_in *in, size_t max, const void **ret_data, size_t *ret_size);
/* A reader for the next record; the outer one goes on behind it. */
struct bytes_in bytes_get_record(struct bytes_in *in);
/* Bytes left over are a fault, unless the writer is newer. -EBADMSG if the reader is bad. */
int bytes_get_end(const struct bytes_in *in, bool writer_is_newer) must_check;
/* How many elements of at least `each` bytes are announced (u32); bad if they cannot be there or are more than max. */
size_t bytes_get_count(struct bytes_in *in, size_t max, size_t each);

uint32_t bytes_crc32(const void *data, size_t size); /* IEEE 802.3 */

#endif
