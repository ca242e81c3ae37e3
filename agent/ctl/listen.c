// SPDX-License-Identifier: GPL-2.0-or-later
/* Binding a Unix socket: lock, leftovers, mode, group. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/ctl/listen.h"
#include "base/cleanup.h"
#include "base/xalloc.h"

#define BACKLOG 32

static int take_lock(const char *path, int *ret_fd, struct err *err)
{
	_cleanup_free_ char *lock_path = xasprintf("%s.lock", path);
	_cleanup_close_ int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_errno(err, -errno, "%s", lock_path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? err_set(err, -EADDRINUSE, "%s: another lunwardd is running", lock_path) :
					      err_errno(err, -errno, "%s", lock_path);
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* The mode is right from the first moment on: 0660 of root's own group, then of the readers' (umask is the process's, but
 * only one thread makes files while the daemon starts). */
static int bind_socket(int fd, const char *path, gid_t gid, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	mode_t old_mask;
	int rc;

	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(err, -ENAMETOOLONG, "%s: longer than %zu bytes", path, sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_errno(err, -errno, "%s: cannot remove what is left of an earlier run", path);
	old_mask = umask(0117);
	rc = bind(fd, (struct sockaddr *)&address, sizeof(address));
	umask(old_mask);
	if (rc < 0)
		return err_errno(err, -errno, "%s", path);
	if (gid != (gid_t)-1 && lchown(path, (uid_t)-1, gid) < 0)
		return err_errno(err, -errno, "%s: giving it to the readers' group", path);
	if (listen(fd, BACKLOG) < 0)
		return err_errno(err, -errno, "%s", path);
	return 0;
}

int listen_open(const char *path, gid_t gid, int *ret_fd, int *ret_lock_fd, struct err *err)
{
	_cleanup_close_ int lock_fd = -1;
	_cleanup_close_ int fd = -1;
	int rc = take_lock(path, &lock_fd, err);

	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(err, -errno, "%s", path);
	rc = bind_socket(fd, path, gid, err);
	if (rc < 0)
		return rc;
	*ret_fd = steal_fd(&fd);
	*ret_lock_fd = steal_fd(&lock_fd);
	return 0;
}
