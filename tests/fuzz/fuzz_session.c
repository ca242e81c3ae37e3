// SPDX-License-Identifier: GPL-2.0-or-later
/* Any text as what the kernel shows of an ACL: no crash, what is refused leaves nothing behind, what is taken can be shown. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "target-config/lio/sessions.h"
#include "tests/fuzz/fuzz.h"

static bool is_line(const char *s)
{
	return s && !strchr(s, '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = xcalloc(size + 1, 1);
	struct lio_session session = { 0 };
	int rc;

	memcpy(text, data, size);
	rc = lio_session_parse(text, &session);
	if (rc < 0) {
		require((rc == -ENOENT || rc == -EBADMSG) && !session.initiator && !session.connections);
		return 0;
	}
	require(strlen(session.isid) == 12 && strspn(session.isid, "0123456789abcdef") == 12);
	require(is_line(session.initiator) && is_line(session.alias) && is_line(session.state) && session.state[0]);
	for (size_t i = 0; i < session.n_connections; i++) {
		const struct lio_connection *c = &session.connections[i];

		require(is_line(c->state) && c->state[0] && is_line(c->address) && !strchr(c->address, ' '));
	}
	lio_session_done(&session);
	return 0;
}
