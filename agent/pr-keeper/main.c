// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Mounts the file system through which the kernel target tells reservations, keeps its descriptor and gives it to lunwardd. A process
 * of its own, since the mount has to be seen by the kernel's threads, so no part of lunwardd's sandbox fits; and since the descriptor
 * must stay open while lunwardd is stopped or restarted. Its own restarts are bridged by systemd's store.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "target-config/prfs/hand.h"
#include "target-config/prfs/prfs.h"

#define RUN_DIR "/run/lunward"

/* A mount that was taken away shows as POLLERR (fuse_dev_poll()). */
static int kept_fd(void)
{
	struct pollfd fd = { .fd = SD_LISTEN_FDS_START };

	if (sd_listen_fds(1) < 1)
		return -1;
	if (poll(&fd, 1, 0) < 0 || fd.revents & (POLLERR | POLLNVAL)) {
		close(fd.fd);
		sd_notify(0, "FDSTOREREMOVE=1\nFDNAME=pr");
		return -1;
	}
	return fd.fd;
}

static int run(const char *run_dir, struct err *err)
{
	char dir[256], socket[256];
	int fd = kept_fd(), listener, rc;

	snprintf(dir, sizeof(dir), "%s/lio/pr", run_dir);
	snprintf(socket, sizeof(socket), "%s/pr.socket", run_dir);
	rc = file_make_dirs(run_dir, 0755);
	if (rc < 0)
		return err_errno(err, rc, "cannot make %s", run_dir);
	if (fd < 0) {
		rc = prfs_mount(dir, &fd, err);
		if (rc < 0)
			return rc;
		log_notice("reservations: mounted %s", dir);
		if (sd_pid_notify_with_fds(0, 0, "FDSTORE=1\nFDNAME=pr", &fd, 1) < 0)
			log_warning("reservations: the descriptor is not in systemd's store");
	}
	rc = prfs_offer(socket, &listener, err);
	if (rc < 0)
		return rc;
	sd_notify(0, "READY=1");
	for (;;) {
		rc = prfs_give(listener, fd);
		if (rc < 0)
			log_warning("reservations: the descriptor could not be given: %s", strerror(-rc));
	}
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;

	if (argc > 2 || (argc == 2 && argv[1][0] != '/')) {
		fprintf(stderr, "Usage: pr-keeper [RUN-DIR]\n");
		return 2;
	}
	if (run(argc == 2 ? argv[1] : RUN_DIR, &err) < 0)
		log_err("%s", err.text);
	return EXIT_FAILURE;
}
