// SPDX-License-Identifier: GPL-2.0-or-later
/* Any text as what `drbdsetup events2` and /proc/drbd say: no crash, what is shown of a device is whole, and a table that was complete stays so. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "target-config/backend/backend.h"
#include "target-config/backend/drbd.h"
#include "tests/fuzz/fuzz.h"

#define MINORS 300

static bool is_word(const char *s, size_t size)
{
	return memchr(s, '\0', size) && !strpbrk(s, " \n");
}

static void check(const struct drbd_table *table)
{
	for (uint32_t minor = 0; minor < MINORS; minor++) {
		const struct drbd_volume_state *v = drbd_table_get(table, minor);

		if (!v)
			continue;
		require(v->minor == minor && is_word(v->resource, sizeof(v->resource)) && is_word(v->role, sizeof(v->role)) &&
			is_word(v->disk, sizeof(v->disk)) && is_word(v->connection, sizeof(v->connection)) &&
			is_word(v->peer_role, sizeof(v->peer_role)) && is_word(v->peer_disk, sizeof(v->peer_disk)) &&
			is_word(v->suspended, sizeof(v->suspended)));
		require(v->done_percent >= 0 && v->done_percent <= 100);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = xcalloc(size + 1, 1);
	struct drbd_table *table = drbd_table_new();
	struct drbd_proc_state state;
	bool complete = false;
	char *rest = text, *line;

	memcpy(text, data, size);
	for (uint32_t minor = 0; minor < MINORS; minor += 50) {
		int rc = drbd_proc_line(text, minor, &state);

		require(rc == 0 || rc == -EOPNOTSUPP || rc == -ENODEV);
		require(rc < 0 || (is_word(state.connection, sizeof(state.connection)) && is_word(state.disk, sizeof(state.disk))));
	}
	while ((line = strsep(&rest, "\n"))) {
		int rc = drbd_table_line(table, line);

		require(rc == 0 || rc == 1 || rc == -EINVAL || rc == -ESTALE);
		require(drbd_table_is_complete(table) || !complete);
		complete = drbd_table_is_complete(table);
	}
	check(table);
	drbd_table_free(table);
	return 0;
}
