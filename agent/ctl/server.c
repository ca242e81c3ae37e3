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
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/ctl/frame.h"
#include "agent/ctl/peer.h"
#include "agent/ctl/request.h"
#include "agent/ctl/server.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/xalloc.h"

#define BACKLOG 32
#define PROGRESS_QUEUE_MAX 64
#define READER_REQUEST_MAX 65536 /* those who may only read have nothing large to say */

enum out_kind { OUT_FINAL, OUT_PROGRESS, OUT_UPDATE };

struct out_frame {
	struct out_frame *next;
	enum out_kind kind;
	unsigned char *bytes;
	size_t size, sent;
};

struct client {
	struct ctl_server *server;
	struct client *prev, *next; /* oldest first */
	int fd;
	int events; /* what the loop was told */
	struct frame_reader reader;
	struct ctl_request *request; /* under way */
	struct out_frame *out, **out_tail;
	size_t n_out;
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

static void drop_out(struct client *client, struct out_frame **link)
{
	struct out_frame *frame = *link;

	*link = frame->next;
	if (client->out_tail == &frame->next)
		client->out_tail = link;
	client->n_out--;
	frame_free(frame->bytes, frame->size);
	free(frame);
}

static void flush(struct client *client)
{
	while (client->out && !client->broken) {
		struct out_frame *frame = client->out;
		ssize_t n = send(client->fd, frame->bytes + frame->sent, frame->size - frame->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			client->broken = true;
			return;
		}
		frame->sent += (size_t)n;
		if (frame->sent == frame->size)
			drop_out(client, &client->out);
	}
}

/* Tells the loop what to wait for. A broken or finished client waits for POLLOUT, which comes at once: closing happens in
 * the loop's call, never under the feet of a caller of ctl_request_*(). */
static void update_events(struct client *client)
{
	int events = 0;

	if (client->out || client->broken || client->ending)
		events |= POLLOUT;
	if (!client->request && !client->ending && !client->broken)
		events |= POLLIN;
	if (events == client->events)
		return;
	client->events = events;
	if (client->server->settings.ops->mod_fd(client->server->settings.loop, client->fd, events) < 0)
		log_warning("control: cannot change what is waited for on a client");
}

static void forget_stale_update(struct client *client)
{
	for (struct out_frame **link = &client->out; *link; link = &(*link)->next) {
		if ((*link)->kind == OUT_UPDATE && (*link)->sent == 0) {
			drop_out(client, link);
			return;
		}
	}
}

/* Takes the reference. */
static int queue_message(struct client *client, enum out_kind kind, json_t *message)
{
	struct out_frame *frame;
	unsigned char *bytes = NULL;
	size_t size = 0;
	int rc = frame_encode(message, &bytes, &size);

	json_decref(message);
	if (rc < 0)
		return rc;
	if (kind == OUT_UPDATE)
		forget_stale_update(client);
	frame = xcalloc(1, sizeof(*frame));
	frame->kind = kind;
	frame->bytes = bytes;
	frame->size = size;
	*client->out_tail = frame;
	client->out_tail = &frame->next;
	client->n_out++;
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
	if (queue_message(client, OUT_FINAL, message) < 0 &&
	    queue_message(client, OUT_FINAL, error_message(-EMSGSIZE, "the answer cannot be sent: too large for one frame, or not UTF-8")) < 0)
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

	if (!request->client || request->client->n_out >= PROGRESS_QUEUE_MAX)
		return;
	message = json_pack("{s:s}", "progress", text);
	if (message && queue_message(request->client, OUT_PROGRESS, message) < 0)
		log_debug("control: a progress line was dropped");
}

void ctl_request_update(struct ctl_request *request, json_t *update)
{
	json_t *message = update ? json_pack("{s:o}", "update", update) : NULL;

	if (!request->client || !message) {
		json_decref(message);
		return;
	}
	if (queue_message(request->client, OUT_UPDATE, message) < 0)
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

static int authorise(struct client *client, const char *name, const struct ctl_command **ret_command, bool *ret_admin,
		     struct err *err)
{
	const struct ctl_command *command = find_command(client->server, name);
	struct peer peer;
	int rc = peer_of(client->fd, client->server->gid, &peer);

	if (rc < 0)
		return err_errno(err, rc, "asking the kernel who you are");
	/* First who, then what: strangers do not learn which commands there are. */
	if (peer.uid != 0 && !peer.in_group)
		return err_set(err, -EACCES, "only root and members of group %s may use this socket",
			       client->server->settings.group ? client->server->settings.group : "root");
	if (!command)
		return err_set(err, -EOPNOTSUPP, "no command \"%.40s\" in lunwardd %s", name, LUNWARD_VERSION);
	if (peer.uid != 0 && !command->read_only)
		return err_set(err, -EACCES, "%s: only root may do this", name);
	*ret_command = command;
	*ret_admin = peer.uid == 0;
	return 0;
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
		rc = authorise(client, name, &command, &admin, &err);
	if (rc < 0) {
		if (queue_message(client, OUT_FINAL, error_message(rc, err.text)) < 0)
			client->broken = true;
	} else {
		command->handler(client->server->settings.ctx, request_new(client, admin), args);
	}
	json_decref(root);
}

/* --- clients ----------------------------------------------------------------------------------------------------------*/

static void client_close(struct client *client)
{
	struct ctl_server *server = client->server;
	struct ctl_request *request = client->request;

	server->settings.ops->del_fd(server->settings.loop, client->fd);
	close(client->fd);
	frame_reader_reset(&client->reader);
	while (client->out)
		drop_out(client, &client->out);
	*(client->prev ? &client->prev->next : &server->clients) = client->next;
	*(client->next ? &client->next->prev : &server->newest) = client->prev;
	server->n_clients--;
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
	if (queue_message(client, OUT_FINAL, error_message(-EMSGSIZE, "the request is too large")) < 0)
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
	if (client->broken || (client->ending && !client->out))
		client_close(client);
	else
		update_events(client);
}

/* For somebody new: the oldest connection that asks for nothing; for root also one of somebody else that does. */
static bool make_room(struct ctl_server *server, bool for_admin)
{
	for (struct client *c = server->clients; c; c = c->next) {
		if (!c->request && !c->out) {
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
	client->out_tail = &client->out;
	frame_reader_init(&client->reader, peer.uid == 0 ? FRAME_SIZE_MAX : READER_REQUEST_MAX);
	rc = server->settings.ops->add_fd(server->settings.loop, fd, POLLIN, on_client, client);
	if (rc < 0) {
		log_warning("control: cannot watch a client: %s", strerror(-rc));
		close(fd);
		free(client);
		return;
	}
	client->prev = server->newest;
	*(client->prev ? &client->prev->next : &server->clients) = client;
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

static int take_lock(const char *path, int *ret_fd, struct err *err)
{
	_cleanup_free_ char *lock_path = xasprintf("%s.lock", path);
	_cleanup_close_ int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_errno(err, -errno, "%s", lock_path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? err_set(err, -EADDRINUSE, "%s: another lunwardd is running", lock_path) :
					      err_errno(err, -errno, "%s", lock_path);
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* The mode is right from the first moment on: 0660 of root's own group, then of the readers' (umask is the process's, but
 * only one thread makes files while the daemon starts). */
static int bind_socket(int fd, const char *path, gid_t gid, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	mode_t old_mask;
	int rc;

	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(err, -ENAMETOOLONG, "%s: longer than %zu bytes", path, sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_errno(err, -errno, "%s: cannot remove what is left of an earlier run", path);
	old_mask = umask(0117);
	rc = bind(fd, (struct sockaddr *)&address, sizeof(address));
	umask(old_mask);
	if (rc < 0)
		return err_errno(err, -errno, "%s", path);
	if (gid != (gid_t)-1 && lchown(path, (uid_t)-1, gid) < 0)
		return err_errno(err, -errno, "%s: giving it to the readers' group", path);
	if (listen(fd, BACKLOG) < 0)
		return err_errno(err, -errno, "%s", path);
	return 0;
}

static gid_t group_id(const char *name)
{
	const struct group *group = name ? getgrnam(name) : NULL;

	return group ? group->gr_gid : (gid_t)-1;
}

int ctl_server_open(struct ctl_server **ret, const struct ctl_server_settings *settings, struct err *err)
{
	_cleanup_close_ int lock_fd = -1;
	_cleanup_close_ int fd = -1;
	_cleanup_close_ int spare_fd = -1;
	gid_t gid = group_id(settings->group);
	struct ctl_server *server;
	int rc = take_lock(settings->path, &lock_fd, err);

	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || spare_fd < 0)
		return err_errno(err, -errno, "%s", settings->path);
	rc = bind_socket(fd, settings->path, gid, err);
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
	while (server->clients)
		client_close(server->clients);
	while (server->requests)
		request_free(server->requests);
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
