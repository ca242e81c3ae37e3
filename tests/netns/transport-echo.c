// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Test program: ha/transport driven by lines on standard input, its events as JSON lines on standard output.
 *   send TEXT | flood COUNT SIZE | stats | quit
 * Reconnects by itself when Corosync goes away, as the daemon does.
 */
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/xalloc.h"
#include "ha/transport/electorate.h"
#include "ha/transport/quorum.h"
#include "ha/transport/transport.h"

#define REOPEN_MS 50

struct echo {
	struct transport *transport;
	struct quorum *quorum;
	char open_error[ERR_TEXT_SIZE];
	char line[65536];
	size_t line_len;
	unsigned long flood_left, flood_number, flood_size;
	bool quit;
};

static void emit(json_t *event)
{
	char *text = json_dumps(event, JSON_COMPACT);

	puts(text);
	(void)fflush(stdout);
	free(text);
	json_decref(event);
}

static json_t *numbers(const uint32_t *values, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(array, json_integer(values[i]));
	return array;
}

static void on_view(void *ctx, const uint32_t *nodes, size_t n_nodes, const uint32_t *ring, size_t n_ring)
{
	(void)ctx;
	emit(json_pack("{s:s, s:o, s:o}", "event", "view", "nodes", numbers(nodes, n_nodes), "ring", numbers(ring, n_ring)));
}

static void on_message(void *ctx, uint32_t nodeid, const void *data, size_t size)
{
	/* Large ones are named by their beginning: enough to tell them apart, and size tells a cut. */
	(void)ctx;
	emit(json_pack("{s:s, s:i, s:s%, s:i}", "event", "message", "from", (int)nodeid, "text", data, MIN(size, (size_t)40),
		       "size", (int)size));
}

static void on_quorum(void *ctx, bool quorate)
{
	(void)ctx;
	emit(json_pack("{s:s, s:b}", "event", "quorum", "quorate", quorate));
}

static const struct transport_callbacks callbacks = { .view = on_view, .message = on_message };

static void send_text(struct echo *echo, const char *text, size_t size)
{
	int rc = echo->transport ? transport_send(echo->transport, text, size, clock_now_ms()) : -ENOTCONN;

	if (rc < 0)
		emit(json_pack("{s:s, s:s}", "event", "refused", "errno", strerrorname_np(-rc)));
}

/* As many as the queue takes; the rest when something was delivered. */
static void flood(struct echo *echo)
{
	while (echo->flood_left && echo->transport) {
		struct transport_stats stats;
		char *text = xcalloc(1, echo->flood_size + 32);

		transport_stats(echo->transport, &stats);
		if (stats.n_queued > 4) {
			free(text);
			return;
		}
		memset(text, '.', echo->flood_size);
		memset(text, ' ', MIN(echo->flood_size, 32UL));
		snprintf(text, 32, "flood %lu", echo->flood_number++);
		text[strlen(text)] = ' ';
		echo->flood_left--;
		send_text(echo, text, echo->flood_size);
		free(text);
	}
}

static void start_flood(struct echo *echo, const char *numbers)
{
	char *end;

	echo->flood_left = strtoul(numbers, &end, 10);
	echo->flood_size = strtoul(end, NULL, 10);
	flood(echo);
}

static void stats(struct echo *echo)
{
	struct transport_stats s = { .n_queued = 0 };

	if (echo->transport)
		transport_stats(echo->transport, &s);
	emit(json_pack("{s:s, s:I, s:I, s:I}", "event", "stats", "queued", (json_int_t)s.n_queued, "in_flight",
		       (json_int_t)s.n_in_flight, "dropped", (json_int_t)s.n_dropped));
}

static void command(struct echo *echo, char *line)
{
	if (strncmp(line, "send ", 5) == 0)
		send_text(echo, line + 5, strlen(line + 5));
	else if (strncmp(line, "flood ", 6) == 0)
		start_flood(echo, line + 6);
	else if (strcmp(line, "stats") == 0)
		stats(echo);
	else if (strcmp(line, "quit") == 0)
		echo->quit = true;
}

static void read_commands(struct echo *echo)
{
	ssize_t n = read(STDIN_FILENO, echo->line + echo->line_len, sizeof(echo->line) - echo->line_len - 1);
	char *end;

	if (n <= 0) {
		echo->quit = true;
		return;
	}
	echo->line_len += (size_t)n;
	echo->line[echo->line_len] = '\0';
	while ((end = strchr(echo->line, '\n'))) {
		*end = '\0';
		command(echo, echo->line);
		echo->line_len -= (size_t)(end + 1 - echo->line);
		memmove(echo->line, end + 1, echo->line_len + 1);
	}
}

static void report_electorate(void)
{
	struct electorate e;
	struct err err = ERR_INIT;
	json_t *nodes = json_array();

	if (electorate_read(&e, &err) < 0) {
		emit(json_pack("{s:s, s:s, s:o}", "event", "electorate", "error", err.text, "nodes", nodes));
		return;
	}
	for (size_t i = 0; i < e.n_nodes; i++)
		json_array_append_new(nodes, json_pack("[i, s]", (int)e.nodes[i].nodeid, e.nodes[i].name));
	emit(json_pack("{s:s, s:i, s:s, s:i, s:o}", "event", "electorate", "me", (int)e.nodeid, "cluster", e.cluster,
		       "token_ms", (int)e.token_ms, "nodes", nodes));
}

static void open_what_is_closed(struct echo *echo)
{
	struct err err = ERR_INIT;
	int rc = 0;

	if (!echo->transport) {
		rc = transport_open(&echo->transport, "lunward", &callbacks, echo, &err);
		if (rc == 0)
			report_electorate();
	}
	if (rc == 0 && !echo->quorum)
		rc = quorum_open(&echo->quorum, on_quorum, echo, &err);
	if (rc < 0 && strcmp(err.text, echo->open_error) != 0)
		emit(json_pack("{s:s, s:s, s:s}", "event", "not-open", "errno", strerrorname_np(-rc), "text", err.text));
	memcpy(echo->open_error, err.text, sizeof(err.text));
}

static void emit_lost(const char *what, int rc)
{
	emit(json_pack("{s:s, s:s, s:s}", "event", "lost", "what", what, "errno", strerrorname_np(-rc)));
}

static void turn(struct echo *echo)
{
	int64_t now_ms = clock_now_ms(), wait_ms = 60000;
	struct pollfd fds[3] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = -1 }, { .fd = -1 } };
	int rc;

	open_what_is_closed(echo);
	if (!echo->transport || !echo->quorum)
		wait_ms = REOPEN_MS;
	if (echo->transport) {
		fds[1] = (struct pollfd){ .fd = transport_fd(echo->transport), .events = POLLIN };
		wait_ms = MIN(wait_ms, MAX(transport_next_retry_ms(echo->transport) - now_ms, 0));
	}
	if (echo->quorum)
		fds[2] = (struct pollfd){ .fd = quorum_fd(echo->quorum), .events = POLLIN };
	(void)poll(fds, 3, (int)wait_ms);
	now_ms = clock_now_ms();
	if (fds[0].revents)
		read_commands(echo);
	if (fds[1].revents) {
		rc = transport_dispatch(echo->transport, now_ms);
		if (rc < 0) {
			emit_lost("transport", rc);
			transport_close(echo->transport);
			echo->transport = NULL;
			echo->quit = echo->quit || rc == -EEXIST;
		}
	} else if (echo->transport && transport_next_retry_ms(echo->transport) <= now_ms) {
		transport_retry(echo->transport, now_ms);
	}
	flood(echo);
	if (fds[2].revents) {
		rc = quorum_dispatch(echo->quorum);
		if (rc < 0) {
			emit_lost("quorum", rc);
			quorum_close(echo->quorum);
			echo->quorum = NULL;
		}
	}
}

int main(void)
{
	static struct echo echo;

	while (!echo.quit)
		turn(&echo);
	transport_close(echo.transport);
	quorum_close(echo.quorum);
	return 0;
}
