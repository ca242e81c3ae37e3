/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is at the other end of a Unix socket, as the kernel knows it. */
#ifndef AGENT_CTL_PEER_H
#define AGENT_CTL_PEER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/compiler.h"

struct peer {
	uid_t uid;
	pid_t pid;
	bool in_group; /* has `gid`, as primary or supplementary group */
};

/* Credentials as of connect(2). gid (gid_t)-1 is nobody's group. */
int peer_of(int fd, gid_t gid, struct peer *ret) must_check;

#endif
