// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel target's configfs of one node, for agents that come and go: tests/unit/fake_configfs.c behind a socket.
 *
 *   configfs-server SOCKET     (says "ready" and serves until it is killed, as a kernel does)
 *
 * A request is {"op", "path", "arg"}, an answer {"rc", "text" or "names"}, a line each.
 */
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "tests/unit/fake_configfs.h"

static struct cfs *tree;

static json_t *names_reply(const char *path, enum cfs_type type)
{
	char **names = NULL;
	size_t n = 0;
	int rc = tree->ops->list(tree, path, type, &names, &n);
	json_t *array = json_array();

	for (size_t i = 0; rc == 0 && i < n; i++)
		json_array_append_new(array, json_string(names[i]));
	for (size_t i = 0; rc == 0 && i < n; i++)
		free(names[i]);
	free(names);
	return json_pack("{s:i, s:o}", "rc", rc, "names", array);
}

static json_t *text_reply(int (*fn)(struct cfs *fs, const char *path, char **ret), const char *path)
{
	char *text = NULL;
	int rc = fn(tree, path, &text);
	json_t *reply = json_pack("{s:i, s:s}", "rc", rc, "text", rc == 0 ? text : "");

	free(text);
	return reply;
}

static json_t *answer(const json_t *request)
{
	const struct cfs_ops *ops = tree->ops;
	const char *op = json_string_value(json_object_get(request, "op")), *path = json_string_value(json_object_get(request, "path")),
		   *arg = json_string_value(json_object_get(request, "arg"));
	int rc = -EINVAL;

	if (!op || !path || !arg)
		return json_pack("{s:i}", "rc", rc);
	if (strcmp(op, "read") == 0)
		return text_reply(ops->read, path);
	if (strcmp(op, "readlink") == 0)
		return text_reply(ops->readlink, path);
	if (strcmp(op, "dirs") == 0 || strcmp(op, "links") == 0)
		return names_reply(path, op[0] == 'd' ? CFS_DIR : CFS_LINK);
	if (strcmp(op, "exists") == 0)
		rc = ops->exists(tree, path) ? 0 : -ENOENT;
	else if (strcmp(op, "mkdir") == 0)
		rc = ops->mkdir(tree, path);
	else if (strcmp(op, "rmdir") == 0)
		rc = ops->rmdir(tree, path);
	else if (strcmp(op, "write") == 0)
		rc = ops->write(tree, path, arg);
	else if (strcmp(op, "symlink") == 0)
		rc = ops->symlink(tree, arg, path);
	else if (strcmp(op, "unlink") == 0)
		rc = ops->unlink(tree, path);
	return json_pack("{s:i}", "rc", rc);
}

static void *serve(void *ctx)
{
	FILE *in = ctx, *out = fdopen(dup(fileno(in)), "w");
	char *line = NULL;
	size_t cap = 0;

	while (out && getline(&line, &cap, in) > 0) {
		json_t *request = json_loads(line, 0, NULL), *reply = answer(request);

		json_dumpf(reply, out, JSON_COMPACT);
		putc('\n', out);
		if (fflush(out) != 0)
			break;
		json_decref(request);
		json_decref(reply);
	}
	free(line);
	fclose(in);
	if (out)
		fclose(out);
	return NULL;
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (argc != 2)
		return 2;
	signal(SIGPIPE, SIG_IGN); /* a kernel outlives an agent that is killed while it waits for an answer */
	tree = fake_cfs(fake_new(false));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", argv[1]);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, 64) < 0) {
		perror(argv[1]);
		return 1;
	}
	puts("ready");
	(void)fflush(stdout);
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		pthread_t thread;

		if (fd >= 0 && pthread_create(&thread, NULL, serve, fdopen(fd, "r")) == 0)
			pthread_detach(thread);
	}
}
