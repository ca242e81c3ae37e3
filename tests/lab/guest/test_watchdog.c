// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the daemon takes for granted of a watchdog. It runs against the kernel's in a guest (softdog), and against the one in the test's
 * world (tests/netns/test_doors.py): a fake that is kinder than the kernel proves nothing. The machine stays on.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ha/watchdog/watchdog.h"
#include "tests/lab/guest/check.h"

#define TIMEOUT_S 10
#define TOO_LONG_S 100000 /* softdog: 65535 */

static int open_for(const char *path, int timeout_s, bool may_disarm, struct watchdog **ret)
{
	struct err err = ERR_INIT;
	int rc = watchdog_open(path, timeout_s, may_disarm, ret, &err);

	CHECK((rc < 0) == (err.text[0] != '\0'));
	return rc;
}

/* argv[1]: the device. argv[2]: "ticking" leaves it ticking, for who wants to see that it bites. */
int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "/dev/watchdog";
	struct watchdog *watchdog, *another;

	CHECK(open_for("/dev/no-watchdog", TIMEOUT_S, true, &another) == -ENOENT);
	CHECK(open_for(path, TIMEOUT_S, true, &watchdog) == 0);
	CHECK(open_for(path, TIMEOUT_S, true, &another) == -EBUSY);
	CHECK(watchdog_pet(watchdog) == 0);
	watchdog_close(watchdog, false);

	CHECK(open_for(path, TIMEOUT_S, true, &watchdog) == 0); /* it ticks on meanwhile */
	watchdog_close(watchdog, true);
	CHECK(open_for(path, TOO_LONG_S, true, &another) < 0);
	sleep(TIMEOUT_S + 5); /* disarmed, both times */

	if (argc > 2 && strcmp(argv[2], "ticking") == 0) {
		CHECK(open_for(path, TIMEOUT_S, false, &watchdog) == 0);
		CHECK(open_for(path, TOO_LONG_S, false, &another) == -EBUSY);
		watchdog_close(watchdog, false);
	}
	return checks_failed != 0;
}
