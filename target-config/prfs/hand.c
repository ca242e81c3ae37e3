// SPDX-License-Identifier: GPL-2.0-or-later
#include "target-config/prfs/hand.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

#define FETCH_MS 2000

static int make_address(const char *path, struct sockaddr_un *ret, struct err *err)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(ret->sun_path))
		return err_set(err, -ENAMETOOLONG, "%s: too long for a socket", path);
	memcpy(ret->sun_path, path, strlen(path) + 1);
	return 0;
}

int prfs_offer(const char *path, int *ret_listener, struct err *err)
{
	_cleanup_close_ int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;
	int rc = make_address(path, &address, err);

	if (rc < 0)
		return rc;
	if (listener < 0 || (unlink(path) < 0 && errno != ENOENT))
		return err_errno(err, -errno, "cannot make %s", path);
	/* Nobody can connect between bind() and listen(), so nobody gets in before the mode is right. */
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || chmod(path, 0600) < 0 || listen(listener, 8) < 0)
		return err_errno(err, -errno, "cannot make %s", path);
	*ret_listener = steal_fd(&listener);
	return 0;
}

int prfs_give(int listener, int fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	_cleanup_close_ int peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (peer < 0)
		return -errno;
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return sendmsg(peer, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int prfs_fetch(const char *path, int *ret_fd, struct err *err)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	struct timeval limit = { .tv_sec = FETCH_MS / 1000 };
	_cleanup_close_ int peer = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	const struct cmsghdr *cmsg;
	struct sockaddr_un address;
	int rc = make_address(path, &address, err);

	if (rc < 0)
		return rc;
	if (peer < 0 || setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
	    setsockopt(peer, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
	    connect(peer, (struct sockaddr *)&address, sizeof(address)) < 0)
		return err_errno(err, -errno, "cannot connect to %s (is lunward-pr.service running?)", path);
	if (recvmsg(peer, &msg, MSG_CMSG_CLOEXEC) < 0)
		return err_errno(err, -errno, "nothing came from %s", path);
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg || cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS || cmsg->cmsg_len != CMSG_LEN(sizeof(int)))
		return err_set(err, -EPROTO, "%s gave no descriptor", path);
	memcpy(ret_fd, CMSG_DATA(cmsg), sizeof(*ret_fd));
	return 0;
}
