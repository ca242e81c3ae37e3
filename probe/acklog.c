// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe/acklog.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "probe/area.h"

#define MARK "lunward-probe/1"

/* --- writing -------------------------------------------------------------------------------------------------------------------------*/

static int open_unix(const char *path, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(err, -EINVAL, "--log unix:%s: the path is too long", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return err_errno(err, -errno, "--log unix:%s", path);
	return steal_fd(&fd);
}

static int open_tcp(const char *where, struct err *err)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	_cleanup_free_ char *host = xstrdup(where);
	char *port = strrchr(host, ':');
	struct addrinfo *found = NULL;
	int rc, fd = -1;

	if (!port || port == host || !port[1])
		return err_set(err, -EINVAL, "--log tcp:%s: write tcp:HOST:PORT", where);
	*port++ = '\0';
	rc = getaddrinfo(host, port, &hints, &found);
	if (rc != 0)
		return err_set(err, -EINVAL, "--log tcp:%s: %s", where, gai_strerror(rc));
	rc = -ECONNREFUSED;
	for (const struct addrinfo *a = found; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
			rc = -errno;
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(found);
	return fd < 0 ? err_errno(err, rc, "--log tcp:%s", where) : fd;
}

static int open_file(const char *path, dev_t *ret_file_system, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, -errno, "--log %s", path);
	if (S_ISBLK(st.st_mode))
		return err_set(err, -EINVAL, "--log %s is a block device", path);
	if (S_ISREG(st.st_mode) && st.st_size > 0)
		return err_set(err, -EEXIST, "--log %s is not empty: a log is evidence, name another file", path);
	*ret_file_system = S_ISREG(st.st_mode) ? st.st_dev : 0;
	return steal_fd(&fd);
}

int acklog_open(const char *where, int *ret_fd, dev_t *ret_file_system, struct err *err)
{
	int fd;

	*ret_file_system = 0;
	if (strncmp(where, "tcp:", 4) == 0)
		fd = open_tcp(where + 4, err);
	else if (strncmp(where, "unix:", 5) == 0)
		fd = open_unix(where + 5, err);
	else
		fd = open_file(where, ret_file_system, err);
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

int acklog_head(int fd, const struct acklog_head *head)
{
	_cleanup_free_ char *line = xasprintf("H " MARK " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 " %s\n", head->run,
					      head->offset, head->blocks, head->wall_ms, head->clock_us, head->path);

	return file_write_all(fd, line, strlen(line));
}

int acklog_event(int fd, char what, unsigned int stream, uint64_t block, uint64_t seq, int64_t now_us)
{
	char line[112];
	int size = snprintf(line, sizeof(line), "%c %u %" PRIu64 " %" PRIu64 " %" PRId64 "\n", what, stream, block, seq, now_us);

	return file_write_all(fd, line, (size_t)size);
}

int acklog_end(int fd, int64_t now_us)
{
	char line[32];
	int size = snprintf(line, sizeof(line), "Z %" PRId64 "\n", now_us);
	int rc = file_write_all(fd, line, (size_t)size);

	/* Sockets and the like cannot be synced, and need not be. */
	if (rc == 0 && fsync(fd) < 0 && errno != EINVAL && errno != EROFS)
		rc = -errno;
	return rc;
}

/* --- reading -------------------------------------------------------------------------------------------------------------------------*/

/* The next number of a line; false if there is none or it is too great. */
static bool take_number(char **at, uint64_t *ret)
{
	char *end;

	if (**at != ' ' || (*at)[1] < '0' || (*at)[1] > '9')
		return false;
	errno = 0;
	*ret = strtoull(*at + 1, &end, 10);
	*at = end;
	return errno == 0;
}

static bool take_head(struct acklog *log, char *at)
{
	struct acklog_head head = { 0 };
	uint64_t wall, clock;

	if (strncmp(at, " " MARK, strlen(MARK) + 1) != 0)
		return false;
	at += strlen(MARK) + 1;
	if (!take_number(&at, &head.run) || !take_number(&at, &head.offset) || !take_number(&at, &head.blocks) || !take_number(&at, &wall) ||
	    !take_number(&at, &clock) || *at != ' ' || !at[1] || head.blocks == 0 || head.blocks > AREA_LENGTH_MAX / PROBE_BLOCK_SIZE ||
	    wall > INT64_MAX || clock > INT64_MAX)
		return false;
	head.wall_ms = (int64_t)wall;
	head.clock_us = (int64_t)clock;
	head.path = xstrdup(at + 1);
	free(log->head.path);
	free(log->known);
	*log = (struct acklog){ .head = head, .runs = log->runs + 1, .known = xcalloc(head.blocks, sizeof(*log->known)) };
	return true;
}

static bool take_event(struct acklog *log, char what, char *at, uint64_t *ret_clock)
{
	uint64_t stream, block, seq, clock;
	struct block_known *known;

	if (!log->known || !take_number(&at, &stream) || !take_number(&at, &block) || !take_number(&at, &seq) || !take_number(&at, &clock) ||
	    *at || block >= log->head.blocks)
		return false;
	known = &log->known[block];
	if (what == 'I')
		known->issued = MAX(known->issued, seq);
	else if (seq > known->issued)
		return false; /* the end of what never began */
	else if (what == 'A')
		known->acked = MAX(known->acked, seq);
	log->writes += what == 'A';
	log->failed += what == 'E';
	*ret_clock = clock;
	return true;
}

/* *ret_clock: of the line's event, if it is one. */
static bool take_line(struct acklog *log, char *line, uint64_t *ret_clock)
{
	uint64_t clock;
	char *at = line + 1;

	switch (line[0]) {
	case 'H':
		return take_head(log, at);
	case 'I':
	case 'A':
	case 'E':
		return take_event(log, line[0], at, ret_clock);
	case 'Z':
		log->ended = true;
		return log->known && take_number(&at, &clock) && !*at;
	default:
		return false;
	}
}

/* Whoever wants to see the events as they come. */
typedef void event_fn(void *ctx, const struct acklog *log, char what, int64_t wall_ms);

static int read_lines(FILE *in, const char *name, struct acklog *log, event_fn *seen, void *ctx, struct err *err)
{
	_cleanup_free_ char *line = NULL;
	size_t cap = 0, number = 0;
	uint64_t clock = 0;
	ssize_t len;

	while ((len = getline(&line, &cap, in)) > 0 && line[len - 1] == '\n') {
		number++;
		line[len - 1] = '\0';
		if (!take_line(log, line, &clock))
			return err_set(err, -EINVAL, "%s: line %zu is not of a probe's log: %.60s", name, number, line);
		if (seen && strchr("IAE", line[0]))
			seen(ctx, log, line[0], log->head.wall_ms + ((int64_t)clock - log->head.clock_us) / 1000);
	}
	if (ferror(in))
		return err_set(err, -EIO, "%s: cannot be read", name);
	return log->known ? 0 : err_set(err, -EINVAL, "%s: no run of a probe in it", name);
}

int acklog_read(FILE *in, const char *name, struct acklog *ret, struct err *err)
{
	struct acklog log = { 0 };
	int rc = read_lines(in, name, &log, NULL, NULL, err);

	if (rc == 0)
		*ret = log;
	else
		acklog_done(&log);
	return rc;
}

struct window {
	int64_t from_ms, until_ms;
	struct acklog_pause found;
};

static void note_gap(struct window *w, int64_t to_ms)
{
	int64_t from_ms = w->found.last_ack_ms;

	if (from_ms && to_ms >= w->from_ms && from_ms <= w->until_ms)
		w->found.longest_ms = MAX(w->found.longest_ms, to_ms - from_ms);
}

static void see(void *ctx, const struct acklog *log, char what, int64_t wall_ms)
{
	struct window *w = ctx;

	(void)log;
	if (what == 'A') {
		note_gap(w, wall_ms);
		w->found.last_ack_ms = wall_ms;
	} else if (what == 'E' && wall_ms >= w->from_ms && wall_ms <= w->until_ms) {
		w->found.failed++;
	}
}

int acklog_pause(FILE *in, const char *name, int64_t from_ms, int64_t until_ms, struct acklog_pause *ret, struct err *err)
{
	struct window w = { .from_ms = from_ms, .until_ms = until_ms };
	struct acklog log = { 0 };
	int rc = read_lines(in, name, &log, see, &w, err);

	if (rc == 0) {
		/* What has not ended yet. */
		note_gap(&w, MAX(until_ms, w.found.last_ack_ms));
		*ret = w.found;
	}
	acklog_done(&log);
	return rc;
}

void acklog_done(struct acklog *log)
{
	free(log->head.path);
	free(log->known);
	*log = (struct acklog){ 0 };
}
