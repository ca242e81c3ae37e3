/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket of the daemon (docs/CONTROL.md). Never blocks: everything happens in calls from the caller's loop, and
 * a client that does not read costs bounded memory and nobody's time. Single-threaded.
 *
 * Who may do what is asked of the kernel for each request: uid 0 everything, members of `group` the read-only commands,
 * nobody else anything.
 */
#ifndef AGENT_CTL_SERVER_H
#define AGENT_CTL_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/compiler.h"
#include "base/err.h"

#define CTL_SOCKET_PATH "/run/lunward/control"
#define CTL_GROUP "lunward"
#define CTL_CLIENTS_MAX 64

struct ctl_server;
struct ctl_request;

/* The caller's loop. Events and revents are poll(2) bits; POLLHUP and POLLERR are expected without asking, also with
 * events == 0. */
typedef void ctl_fd_fn(void *ctx, int fd, int revents);
struct ctl_loop_ops {
	int (*add_fd)(void *loop, int fd, int events, ctl_fd_fn *fn, void *ctx);
	int (*mod_fd)(void *loop, int fd, int events);
	void (*del_fd)(void *loop, int fd);
};

/* The handler answers by ctl_request_ok() or ctl_request_fail(), at once or at any time later. args: an object, borrowed
 * during the call. */
typedef void ctl_handler_fn(void *ctx, struct ctl_request *request, const json_t *args);
struct ctl_command {
	const char *name;
	bool read_only;
	ctl_handler_fn *handler;
};

struct ctl_server_settings {
	const char *path;  /* its directory exists */
	const char *group; /* NULL, or a group that does not exist: only root */
	size_t clients_max; /* 0: CTL_CLIENTS_MAX */
	const struct ctl_command *commands; /* borrowed for the life of the server */
	size_t n_commands;
	void *ctx; /* for handlers and gone() */
	/* The client of an unanswered request has closed. True: nobody will touch the request any more, it is freed now.
	 * False: it will be answered (into the void) later. NULL: always later. Called from the server's fd functions only,
	 * never from inside ctl_request_*(). */
	bool (*gone)(void *ctx, struct ctl_request *request);
	const struct ctl_loop_ops *ops;
	void *loop;
};

/* -EADDRINUSE: another daemon has it (a lock beside the socket, held until close; also against two agents on one node). */
int ctl_server_open(struct ctl_server **ret, const struct ctl_server_settings *settings, struct err *err) must_check;
/* Closes all connections, removes the socket. Unanswered requests are freed: do not touch them afterwards. */
void ctl_server_close(struct ctl_server *server);
size_t ctl_server_n_clients(const struct ctl_server *server);

/* uid 0 is at the other end. */
bool ctl_request_is_admin(const struct ctl_request *request);
/* Progress for people. When the client is slow the text may be dropped. */
void ctl_request_progress(struct ctl_request *request, const char *text);
/* Takes the reference. If the client is slow only the newest of several updates arrives. */
void ctl_request_update(struct ctl_request *request, json_t *update);

/* Final answers: the request is gone after them. */
void ctl_request_ok(struct ctl_request *request, json_t *result); /* takes the reference; NULL is reported as -ENOMEM */
void ctl_request_fail(struct ctl_request *request, int code, const char *text);

#endif
