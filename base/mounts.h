/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is mounted where. Asks the kernel's table, never the file systems: one that nobody serves would not answer. */
#ifndef BASE_MOUNTS_H
#define BASE_MOUNTS_H

#include <stdbool.h>

#include "base/compiler.h"

#define MOUNTS_DEVICE_SIZE 24

/* "<major>:<minor>" of the file system that is mounted last at exactly that path, in this mount namespace. -ENOENT: none is. */
int mounts_device(const char *path, char ret[MOUNTS_DEVICE_SIZE]) must_check;
/* Pure: the same out of the text of /proc/self/mountinfo (proc(5)). */
int mounts_find(const char *text, const char *path, char ret[MOUNTS_DEVICE_SIZE]) must_check;
/* One and the same file system is mounted at both. */
bool mounts_same(const char *a, const char *b);

#endif
