// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Mounts the file system through which the kernel target tells reservations, keeps its descriptor and gives it to lunwardd. A process
 * of its own, since the mount has to be seen by the kernel's threads, so no part of lunwardd's sandbox fits; and since the descriptor
 * must stay open while lunwardd is stopped or restarted. Its own restarts are bridged by systemd's store.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "target-config/prfs/hand.h"
#include "target-config/prfs/prfs.h"

#define RUN_DIR "/run/lunward"
#define CONFIGFS_TARGET "/sys/kernel/config/target"
#define DBROOT_SIZE_MAX 4096

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

/* Fabrics are there: then dbroot cannot be changed any more (target_core_item_dbroot_store()). */
static bool target_is_set_up(void)
{
	DIR *dir = opendir(CONFIGFS_TARGET);
	bool found = false;

	for (struct dirent *entry; dir && !found && (entry = readdir(dir));)
		found = entry->d_type == DT_DIR && entry->d_name[0] != '.' && strcmp(entry->d_name, "core") != 0;
	if (dir)
		closedir(dir);
	return found;
}

/* Another program has set up the target before Lunward was here: it goes on writing to where it was told to. */
static void show_where_the_kernel_writes(const char *run_dir, const char *dir)
{
	_cleanup_free_ char *dbroot = NULL, *ours = xasprintf("%s/lio", run_dir), *other = NULL;
	struct err err = ERR_INIT;

	if (!target_is_set_up() || file_read(CONFIGFS_TARGET "/dbroot", DBROOT_SIZE_MAX, &dbroot, NULL) < 0)
		return;
	dbroot[strcspn(dbroot, "\n")] = '\0';
	if (strcmp(dbroot, ours) == 0)
		return;
	other = xasprintf("%s/pr", dbroot);
	if (prfs_show_at(dir, other, &err) < 0)
		log_warning("reservations: %s", err.text);
	else
		log_notice("reservations: shown at %s too, where the kernel target writes until this node is restarted", other);
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
	show_where_the_kernel_writes(run_dir, dir);
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
