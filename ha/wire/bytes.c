// SPDX-License-Identifier: GPL-2.0-or-later
#include "ha/wire/bytes.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

void bytes_out_done(struct bytes_out *out)
{
	free(out->data);
	*out = (struct bytes_out){ .data = NULL };
}

static void put(struct bytes_out *out, const void *p, size_t size)
{
	if (out->cap - out->size < size) {
		out->cap = MAX(out->cap * 2, out->size + size + 64);
		out->data = xreallocarray(out->data, out->cap, 1);
	}
	if (size)
		memcpy(out->data + out->size, p, size);
	out->size += size;
}

static void put_le(struct bytes_out *out, uint64_t v, size_t size)
{
	uint64_t raw = htole64(v);

	put(out, &raw, size);
}

void bytes_put_u8(struct bytes_out *out, uint8_t v)
{
	put_le(out, v, 1);
}

void bytes_put_u16(struct bytes_out *out, uint16_t v)
{
	put_le(out, v, 2);
}

void bytes_put_u32(struct bytes_out *out, uint32_t v)
{
	put_le(out, v, 4);
}

void bytes_put_u64(struct bytes_out *out, uint64_t v)
{
	put_le(out, v, 8);
}

void bytes_put_str(struct bytes_out *out, const char *s)
{
	size_t len = s ? MIN(strlen(s), (size_t)UINT16_MAX) : 0;

	bytes_put_u16(out, (uint16_t)len);
	put(out, s, len);
}

void bytes_put_blob(struct bytes_out *out, const void *p, size_t size)
{
	bytes_put_u32(out, (uint32_t)size);
	put(out, p, size);
}

void bytes_put_raw(struct bytes_out *out, const void *p, size_t size)
{
	put(out, p, size);
}

size_t bytes_put_record(struct bytes_out *out)
{
	bytes_put_u32(out, 0);
	return out->size;
}

void bytes_put_record_end(struct bytes_out *out, size_t record)
{
	uint32_t size = (uint32_t)(out->size - record);

	for (size_t i = 0; i < 4; i++)
		out->data[record - 4 + i] = (uint8_t)(size >> (8 * i));
}

static const uint8_t *take(struct bytes_in *in, size_t size)
{
	const uint8_t *p = in->p;

	if (in->bad || size > in->left) {
		in->bad = true;
		return NULL;
	}
	in->p += size;
	in->left -= size;
	return p;
}

static uint64_t get_le(struct bytes_in *in, size_t size)
{
	const uint8_t *p = take(in, size);
	uint64_t v = 0;

	if (p)
		memcpy(&v, p, size);
	return le64toh(v);
}

uint8_t bytes_get_u8(struct bytes_in *in)
{
	return (uint8_t)get_le(in, 1);
}

uint16_t bytes_get_u16(struct bytes_in *in)
{
	return (uint16_t)get_le(in, 2);
}

uint32_t bytes_get_u32(struct bytes_in *in)
{
	return (uint32_t)get_le(in, 4);
}

uint64_t bytes_get_u64(struct bytes_in *in)
{
	return get_le(in, 8);
}

bool bytes_get_bool(struct bytes_in *in)
{
	return bytes_get_enum(in, 2) == 1;
}

unsigned int bytes_get_enum(struct bytes_in *in, unsigned int count)
{
	unsigned int v = bytes_get_u8(in);

	if (v < count)
		return v;
	in->bad = true;
	return 0;
}

void bytes_get_str(struct bytes_in *in, char *ret, size_t size)
{
	size_t len = bytes_get_u16(in);
	const uint8_t *p = take(in, len);

	ret[0] = '\0';
	if (!p)
		return;
	if (len >= size || memchr(p, '\0', len)) {
		in->bad = true;
		return;
	}
	memcpy(ret, p, len);
	ret[len] = '\0';
}

void bytes_get_blob(struct bytes_in *in, size_t max, const void **ret_data, size_t *ret_size)
{
	size_t size = bytes_get_u32(in);
	const uint8_t *p = size <= max ? take(in, size) : NULL;

	if (!p)
		in->bad = true;
	*ret_data = p;
	*ret_size = p ? size : 0;
}

struct bytes_in bytes_get_record(struct bytes_in *in)
{
	size_t size = bytes_get_u32(in);
	const uint8_t *p = take(in, size);

	return (struct bytes_in){ .p = p, .left = p ? size : 0, .bad = !p };
}

int bytes_get_end(const struct bytes_in *in, bool writer_is_newer)
{
	return in->bad || (in->left && !writer_is_newer) ? -EBADMSG : 0;
}

size_t bytes_get_count(struct bytes_in *in, size_t max, size_t each)
{
	size_t n = bytes_get_u32(in);

	if (!in->bad && n <= max && n <= in->left / each)
		return n;
	in->bad = true;
	return 0;
}

/* The remainders of all bytes, and of all bytes with up to seven zero bytes behind them: eight bytes are taken at once. */
static uint32_t crc_table[8][256];

__attribute__((constructor)) static void fill_crc_table(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = c & 1 ? (c >> 1) ^ 0xedb88320u : c >> 1;
		crc_table[0][i] = c;
	}
	for (int k = 1; k < 8; k++) {
		for (uint32_t i = 0; i < 256; i++)
			crc_table[k][i] = (crc_table[k - 1][i] >> 8) ^ crc_table[0][crc_table[k - 1][i] & 0xff];
	}
}

uint32_t bytes_crc32(const void *data, size_t size)
{
	const uint8_t *p = data;
	uint32_t crc = ~0u;

	for (; size >= 8; size -= 8, p += 8) {
		crc ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
		crc = crc_table[7][crc & 0xff] ^ crc_table[6][(crc >> 8) & 0xff] ^ crc_table[5][(crc >> 16) & 0xff] ^
		      crc_table[4][crc >> 24] ^ crc_table[3][p[4]] ^ crc_table[2][p[5]] ^ crc_table[1][p[6]] ^
		      crc_table[0][p[7]];
	}
	for (; size; size--, p++)
		crc = crc_table[0][(crc ^ *p) & 0xff] ^ (crc >> 8);
	return ~crc;
}
