// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/flow.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/xalloc.h"

#define READ_SIZE 4096 /* the largest block size: past caches only whole blocks go */

/* In the child: its answer is one errno. */
static void read_one(const char *path, int answer_fd)
{
	static char buffer[READ_SIZE] __attribute__((aligned(READ_SIZE)));
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC), code = 0;
	ssize_t n = fd < 0 ? -1 : pread(fd, buffer, sizeof(buffer), 0);

	if (n < 0)
		code = errno;
	else if (n < (ssize_t)sizeof(buffer))
		code = EIO;
	n = write(answer_fd, &code, sizeof(code));
	_exit(n == (ssize_t)sizeof(code) ? 0 : 1);
}

/* A read that never comes back cannot be killed, and a process that waits for it cannot end: so it is a child's, and nobody
 * waits for the child. */
static int start(const char *path, int *ret_fd, struct err *err)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_errno(err, -errno, "pipe");
	pid = fork();
	if (pid < 0) {
		int code = -errno;

		close(fds[0]);
		close(fds[1]);
		return err_errno(err, code, "fork");
	}
	if (pid == 0) {
		/* A resource agent's caller reads to the end of these: the child must not keep them open. */
		(void)close(STDIN_FILENO);
		(void)close(STDOUT_FILENO);
		(void)close(STDERR_FILENO);
		read_one(path, fds[1]);
	}
	close(fds[1]);
	*ret_fd = fds[0];
	return 0;
}

static int finish(const char *path, int fd, int64_t deadline_ms, struct err *err)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t left_ms = MAX(deadline_ms - clock_now_ms(), 0);
	int code = EIO, rc = poll(&p, 1, (int)MIN(left_ms, 3600000));

	if (rc == 0)
		return err_set(err, -ETIMEDOUT, "%s: a read does not come back", path);
	if (rc < 0 || read(fd, &code, sizeof(code)) != (ssize_t)sizeof(code))
		return err_set(err, -EIO, "%s: it could not be tried", path);
	return code ? err_errno(err, -code, "%s: a read failed", path) : 0;
}

int flow_check(const char *const *paths, size_t n, int64_t deadline_ms, struct err *err)
{
	_cleanup_free_ int *fds = xcalloc(n, sizeof(*fds));
	size_t n_started = 0;
	int rc = 0, one;

	while (rc == 0 && n_started < n) {
		rc = start(paths[n_started], &fds[n_started], err);
		n_started += rc == 0;
	}
	for (size_t i = 0; i < n_started; i++) {
		one = rc == 0 ? finish(paths[i], fds[i], deadline_ms, err) : rc;
		close(fds[i]);
		rc = rc ? rc : one;
	}
	while (waitpid(-1, NULL, WNOHANG) > 0)
		continue;
	return rc;
}
