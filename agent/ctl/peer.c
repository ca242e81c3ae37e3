// SPDX-License-Identifier: GPL-2.0-or-later
/* SO_PEERCRED and SO_PEERGROUPS (unix(7); the latter since Linux 4.13). */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "agent/ctl/peer.h"
#include "base/cleanup.h"
#include "base/xalloc.h"

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

static int has_supplementary_group(int fd, gid_t gid, bool *ret)
{
	_cleanup_free_ gid_t *gids = NULL;
	socklen_t size = 0;

	/* Asked with no room, the kernel says how much it needs, and fails only if that is more than none. */
	*ret = false;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) == 0)
		return 0;
	if (errno != ERANGE)
		return -errno;
	gids = xcalloc(1, size);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, gids, &size) < 0)
		return -errno;
	for (size_t i = 0; i < size / sizeof(gids[0]); i++)
		*ret = *ret || gids[i] == gid;
	return 0;
}

int peer_of(int fd, gid_t gid, struct peer *ret)
{
	struct ucred cred;
	socklen_t size = sizeof(cred);
	bool in_group = false;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
		return -errno;
	if (gid != (gid_t)-1) {
		int rc = has_supplementary_group(fd, gid, &in_group);

		if (rc < 0)
			return rc;
		in_group = in_group || cred.gid == gid;
	}
	*ret = (struct peer){ .uid = cred.uid, .pid = cred.pid, .in_group = in_group };
	return 0;
}
