// SPDX-License-Identifier: GPL-2.0-or-later
/* drbd-fence-peer: see handler.h. */
#include "agent/drbd-handler/handler.h"

#include <stddef.h>

int main(int argc, char **argv)
{
	const struct handler_settings settings = {
		.drbdadm = "/sbin/drbdadm", .patience_ms = 120000, .retry_ms = 200,
	};

	return handler_run(&settings, argc, argv);
}
