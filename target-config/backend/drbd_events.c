// SPDX-License-Identifier: GPL-2.0-or-later
/* `drbdsetup events2` as a child whose lines are read beside other descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include "target-config/backend/backend.h"

extern char **environ;

static int spawn(int out, pid_t *ret_pid)
{
	static char prog[] = "drbdsetup", command[] = "events2", statistics[] = "--statistics";
	char *const argv[] = { prog, command, statistics, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int rc;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	rc = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	rc = rc ? rc : posix_spawn_file_actions_adddup2(&actions, out, 1);
	/* Standard error stays: the journal. */
	rc = rc ? rc : posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	rc = rc ? rc : posix_spawnattr_setsigmask(&attr, &none);
	rc = rc ? rc : posix_spawnattr_setsigdefault(&attr, &all);
	rc = rc ? rc : posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	rc = rc ? rc : posix_spawnp(ret_pid, argv[0], &actions, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return -rc;
}

int drbd_events_start(int *ret_fd, int *ret_pid, struct err *err)
{
	int fds[2], rc;
	pid_t pid = -1;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_errno(err, -errno, "drbdsetup events2");
	rc = fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : spawn(fds[1], &pid);
	close(fds[1]);
	if (rc < 0) {
		close(fds[0]);
		return err_errno(err, rc, "drbdsetup events2");
	}
	*ret_fd = fds[0];
	*ret_pid = pid;
	return 0;
}
