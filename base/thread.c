// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/thread.h"

#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/xalloc.h"

#define STAT_SIZE 4096
#define FUNCTION_SIZE 256

int thread_start(pthread_t *ret, void *(*fn)(void *ctx), void *ctx)
{
	sigset_t all, old;
	pthread_t tid;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = -pthread_create(&tid, NULL, fn, ctx);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc == 0 && ret)
		*ret = tid;
	else if (rc == 0)
		pthread_detach(tid);
	return rc;
}

/* proc(5): the state comes after the name, which may hold anything, in parentheses. */
static bool is_in_state(const char *tasks, const char *tid, char state)
{
	_cleanup_free_ char *path = xasprintf("%s/%s/stat", tasks, tid), *text = NULL;
	const char *end;
	size_t size;

	if (file_read(path, STAT_SIZE, &text, &size) < 0)
		return false;
	end = strrchr(text, ')');
	return end && end[1] == ' ' && end[2] == state;
}

static void add_once(const char *name, char *ret, size_t size)
{
	const char *separator = *ret ? ", " : "";
	size_t used = strlen(ret);

	if (!strstr(ret, name) && used + strlen(separator) + strlen(name) < size)
		snprintf(ret + used, size - used, "%s%s", separator, name);
}

void threads_in_kernel(const char *tasks, char *ret, size_t size)
{
	DIR *dir = opendir(tasks);
	struct dirent *entry;

	ret[0] = '\0';
	while (dir && (entry = readdir(dir))) {
		_cleanup_free_ char *path = xasprintf("%s/%s/wchan", tasks, entry->d_name), *function = NULL;
		size_t length;

		if (is_in_state(tasks, entry->d_name, 'D') && file_read(path, FUNCTION_SIZE, &function, &length) == 0 && length > 0 &&
		    strcmp(function, "0") != 0)
			add_once(function, ret, size);
	}
	if (dir)
		closedir(dir);
}
