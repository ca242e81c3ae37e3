/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Included before everything else of ha/wire, for a lunwardd that is one minor version of the protocol ahead: each record has four bytes
 * more, which a reader of today's version must skip. */
#ifndef TESTS_NETNS_NEXT_MINOR_H
#define TESTS_NETNS_NEXT_MINOR_H

#define HA_WIRE_MINOR 1
#include "ha/wire/bytes.h"

#define NEXT_MARK 0x7478656eu

static inline void next_put_record_end(struct bytes_out *out, size_t record)
{
	bytes_put_u32(out, NEXT_MARK);
	bytes_put_record_end(out, record);
}

/* Records of today's writers end without it. */
static inline int next_get_end(const struct bytes_in *in, bool writer_is_newer)
{
	struct bytes_in rest = *in;

	if (!rest.bad && rest.left == sizeof(uint32_t) && bytes_get_u32(&rest) == NEXT_MARK)
		return 0;
	return bytes_get_end(in, writer_is_newer);
}

#define bytes_put_record_end next_put_record_end
#define bytes_get_end next_get_end

#endif
