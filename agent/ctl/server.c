// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The control socket. One connection serves one request at a time: while one is under way nothing is read, so what a client
 * can make us hold is one request, one unfinished output frame, and the bounded output queue.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/ctl/frame.h"
#include "agent/ctl/listen.h"
#include "agent/ctl/outbox.h"
#include "agent/ctl/peer.h"
#include "agent/ctl/request.h"
#include "agent/ctl/server.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/xalloc.h"

#define PROGRESS_QUEUE_MAX 64
#define READER_REQUEST_MAX 65536 /* those who may only read have nothing large to say */

struct client {
	struct ctl_server *server;
	struct client *prev, *next; /* oldest first */
	int fd;
	int events; /* what the loop was told */
	struct frame_reader reader;
	struct ctl_request *request; /* under way */
	struct outbox out;
	bool ending; /* close once the output is written */
	bool broken; /* close as soon as the loop calls */
};

struct ctl_request {
	struct ctl_server *server;
	struct ctl_request *prev, *next; /* all of the server's */
	struct client *client; /* NULL: has gone */
	bool admin;
};

struct ctl_server {
	struct ctl_server_settings settings;
	char *path;
	gid_t gid;
	int fd, lock_fd;
	int spare_fd; /* given up for a moment to turn away a client when the process is out of descriptors */
	struct client *clients, *newest;
	size_t n_clients;
	struct ctl_request *requests;
};

/* --- output -----------------------------------------------------------------------------------------------------------*/

static void flush(struct client *client)
{
	if (!client->broken && outbox_flush(&client->out, client->fd) < 0)
		client->broken = true;
}

/* Tells the loop what to wait for. A broken or finished client waits for POLLOUT, which comes at once: closing happens in
 * the loop's call, never under the feet of a caller of ctl_request_*(). */
static void update_events(struct client *client)
{
	int events = 0;

	if (!outbox_is_empty(&client->out) || client->broken || client->ending)
		events |= POLLOUT;
	if (!client->request && !client->ending && !client->broken)
		events |= POLLIN;
	if (events == client->events)
		return;
	client->events = events;
	if (client->server->settings.ops->mod_fd(client->server->settings.loop, client->fd, events) < 0)
		log_warning("control: cannot change what is waited for on a client");
}

/* Takes the reference. */
static int queue_message(struct client *client, enum outbox_kind kind, json_t *message)
{
	int rc = outbox_add(&client->out, kind, message);

	if (rc < 0)
		return rc;
	flush(client);
	update_events(client);
	return 0;
}

static json_t *error_message(int code, const char *text)
{
	const char *name = strerrorname_np(-code);
	json_t *message = json_pack("{s:b, s:{s:i, s:s, s:s}}", "ok", 0, "error", "errno", -code, "name", name ? name : "EIO",
				    "text", text);

	/* A text that is not UTF-8 (a file name, a program's output) must not cost the answer. */
	if (!message)
		message = json_pack("{s:b, s:{s:i, s:s, s:s}}", "ok", 0, "error", "errno", -code, "name", name ? name : "EIO",
				    "text", "(the reason is not valid UTF-8; see the journal of lunwardd)");
	return message;
}

/* --- requests ---------------------------------------------------------------------------------------------------------*/

static struct ctl_request *request_new(struct client *client, bool admin)
{
	struct ctl_request *request = xcalloc(1, sizeof(*request));

	request->server = client->server;
	request->client = client;
	request->admin = admin;
	request->next = client->server->requests;
	if (request->next)
		request->next->prev = request;
	client->server->requests = request;
	client->request = request;
	return request;
}

static void request_free(struct ctl_request *request)
{
	if (request->prev)
		request->prev->next = request->next;
	else
		request->server->requests = request->next;
	if (request->next)
		request->next->prev = request->prev;
	if (request->client)
		request->client->request = NULL;
	free(request);
}

/* Takes the reference. */
static void finish(struct ctl_request *request, json_t *message)
{
	struct client *client = request->client;

	request_free(request);
	if (!client) {
		json_decref(message);
		return;
	}
	if (queue_message(client, OUTBOX_FINAL, message) < 0 &&
	    queue_message(client, OUTBOX_FINAL, error_message(-EMSGSIZE, "the answer cannot be sent: too large for one frame, or not UTF-8")) < 0)
		client->broken = true;
	update_events(client);
}

bool ctl_request_is_admin(const struct ctl_request *request)
{
	return request->admin;
}

void ctl_request_progress(struct ctl_request *request, const char *text)
{
	json_t *message;

	if (!request->client || request->client->out.n >= PROGRESS_QUEUE_MAX)
		return;
	message = json_pack("{s:s}", "progress", text);
	if (message && queue_message(request->client, OUTBOX_PROGRESS, message) < 0)
		log_debug("control: a progress line was dropped");
}

void ctl_request_update(struct ctl_request *request, json_t *update)
{
	json_t *message = update ? json_pack("{s:o}", "update", update) : NULL;

	if (!request->client || !message) {
		json_decref(message);
		return;
	}
	if (queue_message(request->client, OUTBOX_UPDATE, message) < 0)
		log_warning("control: an update is too large for one frame");
}

void ctl_request_ok(struct ctl_request *request, json_t *result)
{
	if (!result) {
		ctl_request_fail(request, -ENOMEM, "the answer could not be put together; see the journal of lunwardd");
		return;
	}
	finish(request, json_pack("{s:b, s:o}", "ok", 1, "result", result));
}

void ctl_request_fail(struct ctl_request *request, int code, const char *text)
{
	finish(request, error_message(code, text));
}

static const struct ctl_command *find_command(const struct ctl_server *server, const char *name)
{
	for (size_t i = 0; i < server->settings.n_commands; i++) {
		if (strcmp(server->settings.commands[i].name, name) == 0)
			return &server->settings.commands[i];
	}
	return NULL;
}

/* NULL: not allowed, or there is no such command; err says which. */
static const struct ctl_command *authorise(struct client *client, const char *name, bool *ret_admin, struct err *err)
{
	const struct ctl_command *command = find_command(client->server, name);
	struct peer peer;
	int rc = peer_of(client->fd, client->server->gid, &peer);

	if (rc < 0) {
		err_errno(err, rc, "asking the kernel who you are");
		return NULL;
	}
	/* First who, then what: strangers do not learn which commands there are. */
	if (peer.uid != 0 && !peer.in_group) {
		err_set(err, -EACCES, "only root and members of group %s may use this socket",
			client->server->settings.group ? client->server->settings.group : "root");
		return NULL;
	}
	if (!command) {
		err_set(err, -EOPNOTSUPP, "no command \"%.40s\" in lunwardd %s", name, LUNWARD_VERSION);
		return NULL;
	}
	if (peer.uid != 0 && !command->read_only) {
		err_set(err, -EACCES, "%s: only root may do this", name);
		return NULL;
	}
	*ret_admin = peer.uid == 0;
	return command;
}

static void handle_frame(struct client *client)
{
	const struct ctl_command *command = NULL;
	struct err err = ERR_INIT;
	json_t *root = NULL, *args = NULL;
	const char *name = NULL;
	bool admin = false;
	int rc = request_parse(client->reader.body, client->reader.size, &root, &name, &args, &err);

	frame_reader_reset(&client->reader);
	if (rc == 0)
		command = authorise(client, name, &admin, &err);
	if (command)
		command->handler(client->server->settings.ctx, request_new(client, admin), args);
	else if (queue_message(client, OUTBOX_FINAL, error_message(err.code, err.text)) < 0)
		client->broken = true;
	json_decref(root);
}

/* --- clients ----------------------------------------------------------------------------------------------------------*/

static void unlink_client(struct client *client)
{
	struct ctl_server *server = client->server;

	if (client->prev)
		client->prev->next = client->next;
	else
		server->clients = client->next;
	if (client->next)
		client->next->prev = client->prev;
	else
		server->newest = client->prev;
	server->n_clients--;
}

static void client_close(struct client *client)
{
	struct ctl_server *server = client->server;
	struct ctl_request *request = client->request;

	server->settings.ops->del_fd(server->settings.loop, client->fd);
	close(client->fd);
	frame_reader_reset(&client->reader);
	outbox_done(&client->out);
	unlink_client(client);
	free(client);
	if (request) {
		request->client = NULL;
		if (server->settings.gone && server->settings.gone(server->settings.ctx, request))
			request_free(request);
	}
}

/* Refuses what was announced and hangs up: the rest of the frame cannot be skipped at our expense. */
static void refuse_frame(struct client *client)
{
	client->ending = true;
	if (queue_message(client, OUTBOX_FINAL, error_message(-EMSGSIZE, "the request is too large")) < 0)
		client->broken = true;
}

static void read_some(struct client *client)
{
	while (!client->request && !client->ending && !client->broken) {
		size_t size;
		void *space = frame_reader_space(&client->reader, &size);
		ssize_t n = recv(client->fd, space, size, MSG_DONTWAIT);
		int rc;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			client->broken = true;
			return;
		}
		rc = frame_reader_advance(&client->reader, (size_t)n);
		if (rc < 0)
			refuse_frame(client);
		else if (rc > 0)
			handle_frame(client);
	}
}

static void on_client(void *ctx, int fd, int revents)
{
	struct client *client = ctx;

	(void)fd;
	if (revents & POLLOUT)
		flush(client);
	if ((revents & POLLIN) && !client->broken)
		read_some(client);
	/* POLLHUP: closed at the other end, not only shut down for writing; an answer would reach nobody. */
	if ((revents & (POLLERR | POLLNVAL)) || ((revents & POLLHUP) && !(revents & POLLIN)))
		client->broken = true;
	if (client->broken || (client->ending && outbox_is_empty(&client->out)))
		client_close(client);
	else
		update_events(client);
}

/* For somebody new: the oldest connection that asks for nothing; for root also one of somebody else that does. */
static bool make_room(struct ctl_server *server, bool for_admin)
{
	for (struct client *c = server->clients; c; c = c->next) {
		if (!c->request && outbox_is_empty(&c->out)) {
			client_close(c);
			return true;
		}
	}
	for (struct client *c = server->clients; for_admin && c; c = c->next) {
		struct peer peer;

		if (peer_of(c->fd, (gid_t)-1, &peer) < 0 || peer.uid != 0) {
			client_close(c);
			return true;
		}
	}
	return false;
}

static void turn_away(int fd)
{
	json_t *message = error_message(-EBUSY, "too many clients of lunwardd; try again");
	unsigned char *bytes = NULL;
	size_t size = 0;

	if (frame_encode(message, &bytes, &size) == 0 && send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("control: a client did not wait to hear that there are too many");
	frame_free(bytes, size);
	json_decref(message);
	close(fd);
}

static void add_client(struct ctl_server *server, int fd)
{
	struct client *client;
	struct peer peer;
	int rc = peer_of(fd, server->gid, &peer);

	if (rc < 0 || (server->n_clients >= server->settings.clients_max && !make_room(server, peer.uid == 0))) {
		turn_away(fd);
		return;
	}
	client = xcalloc(1, sizeof(*client));
	client->server = server;
	client->fd = fd;
	client->events = POLLIN;
	outbox_init(&client->out);
	frame_reader_init(&client->reader, peer.uid == 0 ? FRAME_SIZE_MAX : READER_REQUEST_MAX);
	rc = server->settings.ops->add_fd(server->settings.loop, fd, POLLIN, on_client, client);
	if (rc < 0) {
		log_warning("control: cannot watch a client: %s", strerror(-rc));
		close(fd);
		free(client);
		return;
	}
	client->prev = server->newest;
	if (client->prev)
		client->prev->next = client;
	else
		server->clients = client;
	server->newest = client;
	server->n_clients++;
}

static void on_listen(void *ctx, int fd, int revents)
{
	struct ctl_server *server = ctx;
	int client_fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)revents;
	if (client_fd >= 0) {
		add_client(server, client_fd);
	} else if (errno == EMFILE || errno == ENFILE) {
		/* Left in the queue it would wake the loop for ever. */
		close(server->spare_fd);
		client_fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		if (client_fd >= 0)
			turn_away(client_fd);
		server->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
}

/* --- server -----------------------------------------------------------------------------------------------------------*/

static gid_t group_id(const char *name)
{
	const struct group *group = name ? getgrnam(name) : NULL;

	return group ? group->gr_gid : (gid_t)-1;
}

int ctl_server_open(struct ctl_server **ret, const struct ctl_server_settings *settings, struct err *err)
{
	_cleanup_close_ int lock_fd = -1;
	_cleanup_close_ int fd = -1;
	_cleanup_close_ int spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	gid_t gid = group_id(settings->group);
	struct ctl_server *server;
	int rc;

	if (spare_fd < 0)
		return err_errno(err, -errno, "/dev/null");
	rc = listen_open(settings->path, gid, &fd, &lock_fd, err);
	if (rc < 0)
		return rc;
	server = xcalloc(1, sizeof(*server));
	server->settings = *settings;
	if (!server->settings.clients_max)
		server->settings.clients_max = CTL_CLIENTS_MAX;
	server->path = xstrdup(settings->path);
	server->gid = gid;
	rc = settings->ops->add_fd(settings->loop, fd, POLLIN, on_listen, server);
	if (rc < 0) {
		free(server->path);
		free(server);
		return err_errno(err, rc, "%s: watching", settings->path);
	}
	server->fd = steal_fd(&fd);
	server->lock_fd = steal_fd(&lock_fd);
	server->spare_fd = steal_fd(&spare_fd);
	*ret = server;
	return 0;
}

void ctl_server_close(struct ctl_server *server)
{
	if (!server)
		return;
	server->settings.gone = NULL;
	for (struct client *c = server->clients, *next; c; c = next) {
		next = c->next;
		client_close(c);
	}
	for (struct ctl_request *r = server->requests, *next; r; r = next) {
		next = r->next;
		request_free(r);
	}
	server->settings.ops->del_fd(server->settings.loop, server->fd);
	unlink(server->path);
	close(server->fd);
	close(server->spare_fd);
	close(server->lock_fd);
	free(server->path);
	free(server);
}

size_t ctl_server_n_clients(const struct ctl_server *server)
{
	return server->n_clients;
}
