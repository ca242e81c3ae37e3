// SPDX-License-Identifier: GPL-2.0-or-later
/* /proc/self/mountinfo. */
#include "base/mounts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"

#define MOUNTINFO_SIZE_MAX (4u << 20)

int mounts_find(const char *text, const char *path, char ret[MOUNTS_DEVICE_SIZE])
{
	size_t len = strlen(path);
	bool found = false;

	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		char device[MOUNTS_DEVICE_SIZE];
		int at = 0;

		/* 36 35 98:0 /root /mount/point rw,noatime ... */
		if (sscanf(line, "%*u %*u %23[0-9:] %*s %n", device, &at) != 1 || at == 0 || strncmp(line + at, path, len) != 0 || line[at + len] != ' ')
			continue;
		memcpy(ret, device, sizeof(device));
		found = true;
	}
	return found ? 0 : -ENOENT;
}

int mounts_device(const char *path, char ret[MOUNTS_DEVICE_SIZE])
{
	_cleanup_free_ char *text = NULL;
	int rc = file_read("/proc/self/mountinfo", MOUNTINFO_SIZE_MAX, &text, NULL);

	return rc < 0 ? rc : mounts_find(text, path, ret);
}

bool mounts_same(const char *a, const char *b)
{
	char of_a[MOUNTS_DEVICE_SIZE], of_b[MOUNTS_DEVICE_SIZE];

	return mounts_device(a, of_a) == 0 && mounts_device(b, of_b) == 0 && strcmp(of_a, of_b) == 0;
}
