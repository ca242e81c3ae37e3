// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/cpus.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"

#define ONLINE "/sys/devices/system/cpu/online"
#define CPU_MAX 65535

static bool take_number(const char **at, int *ret)
{
	char *end;
	long n = strtol(*at, &end, 10);

	if (end == *at || n < 0 || n > CPU_MAX)
		return false;
	*at = end;
	*ret = (int)n;
	return true;
}

int cpus_take_last(const char *list, char ret_rest[CPUS_LIST_SIZE])
{
	size_t len = strcspn(list, "\n");
	const char *comma = memrchr(list, ',', len), *at = comma ? comma + 1 : list;
	int before = (int)(at - list), first, last, written;

	if (!take_number(&at, &first))
		return -1;
	last = first;
	if (*at == '-') {
		at++;
		if (!take_number(&at, &last) || last <= first)
			return -1;
	}
	if (at != list + len || comma == list || (!comma && last == first))
		return -1;
	if (last == first)
		written = snprintf(ret_rest, CPUS_LIST_SIZE, "%.*s", before - 1, list);
	else if (last == first + 1)
		written = snprintf(ret_rest, CPUS_LIST_SIZE, "%.*s%d", before, list, first);
	else
		written = snprintf(ret_rest, CPUS_LIST_SIZE, "%.*s%d-%d", before, list, first, last - 1);
	return written < CPUS_LIST_SIZE ? last : -1;
}

int cpus_spare(char ret_rest[CPUS_LIST_SIZE])
{
	_cleanup_free_ char *online = NULL;
	size_t size;

	return file_read(ONLINE, CPUS_LIST_SIZE, &online, &size) == 0 ? cpus_take_last(online, ret_rest) : -1;
}

void cpus_keep_off(int cpu)
{
	cpu_set_t set;

	if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof(set), &set) < 0)
		return;
	CPU_CLR((size_t)cpu, &set);
	if (CPU_COUNT(&set))
		ignore_result(sched_setaffinity(0, sizeof(set), &set));
}

void cpus_let_run_anywhere(pid_t tid)
{
	cpu_set_t set;

	memset(&set, 0xff, sizeof(set));
	ignore_result(sched_setaffinity(tid, sizeof(set), &set));
}
