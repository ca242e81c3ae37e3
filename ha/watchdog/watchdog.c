// SPDX-License-Identifier: GPL-2.0-or-later
#include "ha/watchdog/watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/watchdog.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/xalloc.h"

#define NEEDED (WDIOF_MAGICCLOSE | WDIOF_KEEPALIVEPING | WDIOF_SETTIMEOUT)

struct watchdog {
	int fd;
};

static int set_up(struct watchdog *watchdog, const char *path, int timeout_s, struct err *err)
{
	struct watchdog_info info = { .options = 0 };
	int granted_s = timeout_s;

	if (ioctl(watchdog->fd, WDIOC_GETSUPPORT, &info) < 0)
		return err_errno(err, -errno, "%s: not a watchdog", path);
	if ((info.options & NEEDED) != NEEDED)
		return err_set(err, -ENOTSUP, "%s (%.32s): the driver cannot be petted, set or closed while it ticks on: use another", path,
			       (const char *)info.identity);
	if (ioctl(watchdog->fd, WDIOC_SETTIMEOUT, &granted_s) < 0)
		return err_errno(err, -errno, "%s: a timeout of %d s", path, timeout_s);
	if (ioctl(watchdog->fd, WDIOC_GETTIMEOUT, &granted_s) < 0)
		return err_errno(err, -errno, "%s: its timeout", path);
	if (granted_s != timeout_s)
		return err_set(err, -ERANGE, "%s: the driver makes %d s of a timeout of %d s: choose one that it takes", path, granted_s,
			       timeout_s);
	if (watchdog_pet(watchdog) < 0)
		return err_errno(err, -EIO, "%s: cannot be petted", path);
	return 0;
}

int watchdog_open(const char *path, int timeout_s, bool may_disarm, struct watchdog **ret, struct err *err)
{
	struct watchdog *watchdog;
	int fd = open(path, O_WRONLY | O_CLOEXEC), rc;

	if (fd < 0)
		return err_errno(err, -errno, "%s", path);
	watchdog = xcalloc(1, sizeof(*watchdog));
	watchdog->fd = fd;
	rc = set_up(watchdog, path, timeout_s, err);
	if (rc < 0) {
		watchdog_close(watchdog, may_disarm);
		return rc;
	}
	*ret = watchdog;
	return 0;
}

int watchdog_pet(struct watchdog *watchdog)
{
	return ioctl(watchdog->fd, WDIOC_KEEPALIVE, NULL) < 0 ? -errno : 0;
}

void watchdog_close(struct watchdog *watchdog, bool disarm)
{
	if (!watchdog)
		return;
	/* Any other byte, or none, leaves it ticking. If the write fails it ticks on: the safe side. */
	if (disarm)
		ignore_result(write(watchdog->fd, "V", 1));
	close(watchdog->fd);
	free(watchdog);
}
