// SPDX-License-Identifier: GPL-2.0-or-later
/* One command to the daemon. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/ctl/client.h"
#include "agent/ctl/frame.h"
#include "agent/ctl/peer.h"
#include "agent/ctl/server.h"
#include "base/cleanup.h"
#include "base/clock.h"

static int connect_to(const char *path, int *ret_fd, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct peer peer;
	int rc;

	if (fd < 0)
		return err_errno(err, -errno, "socket");
	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(err, -ENAMETOOLONG, "%s: longer than %zu bytes", path, sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno == ENOENT || errno == ECONNREFUSED)
			return err_set(err, -ECONNREFUSED, "lunwardd does not run here (nobody listens at %s): "
				       "`systemctl start lunwardd`", path);
		if (errno == EAGAIN)
			return err_set(err, -EBUSY, "%s: lunwardd does not accept connections: it hangs or is flooded", path);
		if (errno == EACCES)
			return err_set(err, -EACCES, "%s: you may not talk to lunwardd: be root, or join group %s to look",
				       path, CTL_GROUP);
		return err_errno(err, -errno, "%s", path);
	}
	rc = peer_of(fd, (gid_t)-1, &peer);
	if (rc < 0)
		return err_errno(err, rc, "%s", path);
	if (peer.uid != 0 && peer.uid != geteuid())
		return err_set(err, -EPERM, "%s: served by uid %u, not by root: not trusted", path, (unsigned int)peer.uid);
	*ret_fd = steal_fd(&fd);
	return 0;
}

static int wait_for(int fd, short events, int64_t deadline_ms, struct err *err)
{
	struct pollfd p = { .fd = fd, .events = events };

	for (;;) {
		int64_t left_ms = deadline_ms == INT64_MAX ? -1 : deadline_ms - clock_now_ms();

		if (deadline_ms != INT64_MAX && left_ms <= 0)
			return err_set(err, -ETIMEDOUT, "lunwardd has not answered in time; it may still be at work: "
				       "see `lunward status`");
		if (poll(&p, 1, (int)MIN(left_ms, (int64_t)INT_MAX)) > 0)
			return 0;
	}
}

static int send_all(int fd, const unsigned char *bytes, size_t size, int64_t deadline_ms, struct err *err)
{
	while (size > 0) {
		ssize_t n = send(fd, bytes, size, MSG_NOSIGNAL);
		int rc;

		if (n >= 0) {
			bytes += n;
			size -= (size_t)n;
			continue;
		}
		if (errno == EPIPE || errno == ECONNRESET)
			return 0; /* it may have said why before it hung up */
		if (errno != EAGAIN && errno != EINTR)
			return err_errno(err, -errno, "sending to lunwardd");
		rc = wait_for(fd, POLLOUT, deadline_ms, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int receive(int fd, struct frame_reader *reader, int64_t deadline_ms, json_t **ret, struct err *err)
{
	int rc = 0;

	while (rc == 0) {
		size_t size;
		void *space = frame_reader_space(reader, &size);
		ssize_t n = recv(fd, space, size, 0);

		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return err_set(err, -ECONNRESET, "lunwardd hung up before it answered: whether it was done is open; "
				       "see `lunward status` and `journalctl -u lunwardd`");
		if (n > 0)
			rc = frame_reader_advance(reader, (size_t)n);
		else if (errno == EAGAIN || errno == EINTR)
			rc = wait_for(fd, POLLIN, deadline_ms, err);
		else
			rc = err_errno(err, -errno, "receiving from lunwardd");
		if (rc == -EMSGSIZE)
			err_set(err, rc, "lunwardd's answer is too large");
	}
	if (rc > 0) {
		rc = frame_parse(reader->body, reader->size, ret, err);
		if (rc < 0)
			err_prefix(err, "lunwardd's answer");
	}
	frame_reader_reset(reader);
	return rc < 0 ? rc : 0;
}

static int take_error(const json_t *message, struct err *err)
{
	const json_t *error = json_object_get(message, "error");
	const char *text = json_string_value(json_object_get(error, "text"));
	json_int_t code = json_integer_value(json_object_get(error, "errno"));

	if (code <= 0 || code > 4095)
		code = EPROTO;
	return err_set(err, -(int)code, "%s", text && text[0] ? text : strerror((int)code));
}

/* 1: final, 0: more to come. */
static int take_message(const struct ctl_call *call, json_t *message, json_t **ret_result, struct err *err)
{
	const char *progress = json_string_value(json_object_get(message, "progress"));
	const json_t *update = json_object_get(message, "update");
	json_t *ok = json_object_get(message, "ok");

	if (progress) {
		if (call->progress)
			call->progress(call->ctx, progress);
		return 0;
	}
	if (update)
		return call->update && !call->update(call->ctx, update);
	if (json_is_false(ok))
		return take_error(message, err);
	if (!json_is_true(ok))
		return err_set(err, -EPROTO, "lunwardd's answer has neither progress, update nor ok");
	if (ret_result)
		*ret_result = json_incref(json_object_get(message, "result"));
	return 1;
}

int ctl_call(const struct ctl_call *call, json_t **ret_result, struct err *err)
{
	const char *path = call->path ? call->path : CTL_SOCKET_PATH;
	_cleanup_close_ int fd = -1;
	json_auto_t *request = json_pack("{s:s, s:O*}", "command", call->command, "args", call->args);
	struct frame_reader reader;
	unsigned char *bytes = NULL;
	size_t size = 0;
	int rc;

	rc = frame_encode(request, &bytes, &size);
	if (rc < 0)
		return err_errno(err, rc, "%s: the request", call->command);
	rc = connect_to(path, &fd, err);
	if (rc == 0)
		rc = send_all(fd, bytes, size, call->deadline_ms, err);
	frame_free(bytes, size);
	frame_reader_init(&reader, FRAME_SIZE_MAX);
	while (rc == 0) {
		json_t *message = NULL;

		rc = receive(fd, &reader, call->deadline_ms, &message, err);
		if (rc == 0)
			rc = take_message(call, message, ret_result, err);
		json_decref(message);
	}
	frame_reader_reset(&reader);
	return rc < 0 ? rc : 0;
}
