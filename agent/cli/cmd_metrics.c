// SPDX-License-Identifier: GPL-2.0-or-later
/* metrics: as a text file, or as the answer to one HTTP request, started by systemd for each connection. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "agent/cli/metrics.h"
#include "base/cleanup.h"
#include "base/clock.h"

#define REQUEST_MAX 8192
#define REQUEST_LIMIT_MS 5000
#define COUNTERS_TIMEOUT_S 3

/* The head of a request, to its empty line; false: there was none in time, or it is too long. */
static bool read_head(char *head, size_t size)
{
	int64_t deadline_ms = clock_now_ms() + REQUEST_LIMIT_MS;
	size_t len = 0;

	while (len + 1 < size) {
		struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
		int64_t left_ms = deadline_ms - clock_now_ms();
		ssize_t n = left_ms > 0 && poll(&p, 1, (int)left_ms) > 0 ? read(STDIN_FILENO, head + len, size - 1 - len) : -1;

		if (n <= 0)
			return false;
		len += (size_t)n;
		head[len] = '\0';
		if (strstr(head, "\r\n\r\n") || strstr(head, "\n\n"))
			return true;
	}
	return false;
}

static bool asks_for(const char *head, const char *start)
{
	size_t len = strlen(start);

	return strncmp(head, start, len) == 0 && strchr(" ?", head[len]);
}

static enum cli_exit say_http(const char *status, const char *body)
{
	printf("HTTP/1.1 %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: %zu\r\n"
	       "Connection: close\r\n\r\n%s", status, strlen(body), body);
	return CLI_EXIT_OK;
}

enum cli_exit cmd_metrics(struct cli *cli)
{
	json_auto_t *status = NULL;
	json_auto_t *counters = NULL;
	_cleanup_free_ char *text = NULL;
	char head[REQUEST_MAX];
	struct err err = ERR_INIT;
	struct cli quick = *cli;

	if (cli_has(cli, CLI_OPTION_HTTP)) {
		if (!read_head(head, sizeof(head)))
			return say_http("400 Bad Request", "not a request\n");
		if (!asks_for(head, "GET /metrics"))
			return say_http("404 Not Found", "GET /metrics\n");
	}
	/* A daemon that does not answer is a sample too, and no failure of this command. */
	if (cli_call(cli, "status", NULL, &status, &err) < 0)
		fprintf(stderr, "lunward: metrics: %s\n", err.text);
	/* A worker reads the kernel for it, which may hang: what is known without that is told all the same, and in time. */
	quick.timeout_s = MIN(cli->timeout_s, COUNTERS_TIMEOUT_S);
	if (status && cli_call(&quick, "counters", NULL, &counters, &err) < 0)
		fprintf(stderr, "lunward: metrics: %s\n", err.text);
	text = metrics_render(status, counters);
	if (cli_has(cli, CLI_OPTION_HTTP))
		return say_http("200 OK", text);
	fputs(text, stdout);
	return CLI_EXIT_OK;
}
