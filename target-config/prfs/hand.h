/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The descriptor of the mount from hand to hand. One process keeps it all the time, whether an agent runs or not, and gives it to who
 * connects to its socket: as long as it is open somewhere the kernel's requests wait for an answer; once it is not, they fail, and LIO
 * takes no notice of that where it matters.
 */
#ifndef TARGET_CONFIG_PRFS_HAND_H
#define TARGET_CONFIG_PRFS_HAND_H

#include "base/compiler.h"
#include "base/err.h"

/* A listener at `path`, for root only. An older one of that name is replaced. */
int prfs_offer(const char *path, int *ret_listener, struct err *err) must_check;
/* Waits for the next that connects, gives it `fd`. */
int prfs_give(int listener, int fd) must_check;
/* -ENOENT or -ECONNREFUSED: nobody offers one. */
int prfs_fetch(const char *path, int *ret_fd, struct err *err) must_check;

#endif
