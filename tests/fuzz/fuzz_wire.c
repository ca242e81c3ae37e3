// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Any bytes as what another node sends (m), as the state it sends (s) or as what this node's own disk gives back (f): no crash, and what is
 * taken says the same when it is sent on. The first byte tells which.
 */
#include <errno.h>
#include <string.h>

#include "ha/wire/msg.h"
#include "ha/wire/state.h"
#include "tests/fuzz/fuzz.h"

static void require_refusal(int rc)
{
	require(rc == -EBADMSG || rc == -EPROTONOSUPPORT);
}

static bool encode_msg(const void *data, size_t size, struct bytes_out *out)
{
	struct ha_msg msg;
	int rc = ha_msg_decode(data, size, &msg);

	if (rc < 0) {
		require_refusal(rc);
		return false;
	}
	ha_msg_encode(&msg, out);
	ha_msg_done(&msg);
	return true;
}

static bool encode_state(const void *data, size_t size, struct bytes_out *out)
{
	struct ha_state state;
	int rc = ha_state_decode(data, size, &state);

	if (rc < 0) {
		require_refusal(rc);
		return false;
	}
	ha_state_encode(&state, out);
	ha_state_done(&state);
	return true;
}

static bool encode_saved(const void *data, size_t size, struct bytes_out *out)
{
	struct ha_saved saved = { 0 };
	struct ha_msg change;
	int rc = ha_saved_decode(data, size, &saved);

	if (rc < 0) {
		require_refusal(rc);
		return false;
	}
	ha_saved_encode(saved.promised, &saved.state, out);
	while ((rc = ha_saved_next(&saved, &change)) == 1) {
		ha_saved_add(&change, out);
		ha_msg_done(&change);
	}
	if (rc < 0)
		require_refusal(rc);
	ha_state_done(&saved.state);
	return rc == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool (*encode)(const void *data, size_t size, struct bytes_out *out);
	struct bytes_out once = { 0 }, twice = { 0 };

	if (size == 0)
		return 0;
	encode = data[0] == 'm' ? encode_msg : data[0] == 's' ? encode_state : encode_saved;
	if (encode(data + 1, size - 1, &once)) {
		require(encode(once.data, once.size, &twice));
		require(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
	}
	bytes_out_done(&once);
	bytes_out_done(&twice);
	return 0;
}
