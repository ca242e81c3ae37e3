// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/netns/doors/world.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/strbuf.h"

#define IDLE_MAX 32

/* Connections that nobody uses now; a call that hangs keeps only its own. */
static struct {
	const char *variable;
	int fd;
} idle[IDLE_MAX];
static size_t n_idle;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int take_idle(const char *variable)
{
	int fd = -1;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < n_idle && fd < 0; i++) {
		if (strcmp(idle[i].variable, variable) == 0) {
			fd = idle[i].fd;
			idle[i] = idle[--n_idle];
		}
	}
	pthread_mutex_unlock(&lock);
	return fd;
}

static void give_back(const char *variable, int fd)
{
	pthread_mutex_lock(&lock);
	if (n_idle < IDLE_MAX) {
		idle[n_idle].variable = variable;
		idle[n_idle++].fd = fd;
		fd = -1;
	}
	pthread_mutex_unlock(&lock);
	if (fd >= 0)
		close(fd);
}

static int connect_to(const char *variable)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = getenv(variable);
	int fd = path ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;

	if (fd < 0)
		return -1;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int exchange(int fd, const char *line, size_t size, json_t **ret_reply)
{
	_cleanup_strbuf_ struct strbuf in = { 0 };
	char bytes[65536];

	while (size) {
		ssize_t put = send(fd, line, size, MSG_NOSIGNAL);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return -EIO;
		line += put;
		size -= (size_t)put;
	}
	do {
		ssize_t got = recv(fd, bytes, sizeof(bytes), 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -EIO;
		strbuf_add_bytes(&in, bytes, (size_t)got);
	} while (in.s[in.len - 1] != '\n');
	*ret_reply = json_loadb(in.s, in.len, 0, NULL);
	return *ret_reply ? 0 : -EIO;
}

int world_call(const char *socket_variable, json_t *request, json_t **ret_reply)
{
	_cleanup_free_ char *line = json_dumps(request, JSON_COMPACT);
	json_t *reply = NULL;
	int fd = take_idle(socket_variable), rc = -EIO;
	size_t size = strlen(line);

	json_decref(request);
	if (fd < 0)
		fd = connect_to(socket_variable);
	line[size] = '\n'; /* instead of the end: the length is known */
	if (fd >= 0)
		rc = exchange(fd, line, size + 1, &reply);
	if (rc < 0) {
		if (fd >= 0)
			close(fd);
		return rc;
	}
	give_back(socket_variable, fd);
	rc = (int)json_integer_value(json_object_get(reply, "rc"));
	if (ret_reply)
		*ret_reply = reply;
	else
		json_decref(reply);
	return rc;
}

json_t *world_request(const char *op)
{
	const char *node = getenv("LUNWARD_NETNS_NODE");

	return json_pack("{s:s, s:s}", "op", op, "node", node ? node : "");
}
