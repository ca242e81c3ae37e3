/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A listening Unix socket in the file system that is safe from its first moment on. Private to this folder. */
#ifndef AGENT_CTL_LISTEN_H
#define AGENT_CTL_LISTEN_H

#include <sys/types.h>

#include "base/compiler.h"
#include "base/err.h"

/* Takes the lock `path`.lock, removes what a dead owner left at path, binds with mode 0660 and group gid ((gid_t)-1: as the
 * process). Both descriptors are the caller's; the lock is held as long as its is open. -EADDRINUSE: somebody has it. */
int listen_open(const char *path, gid_t gid, int *ret_fd, int *ret_lock_fd, struct err *err) must_check;

#endif
