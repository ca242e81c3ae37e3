// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The least that it takes until something is on the disks of two machines: a datagram there, a block written and flushed on both sides
 * at the same time, a datagram back. No protocol that answers only then can be quicker on these machines.
 *
 *	two-disks serve PORT FILE			says "ready"
 *	two-disks ask ADDRESS PORT FILE COUNT		COUNT lines: "NS-OF-THE-NETWORK-ALONE NS-OF-ALL"
 *
 * FILE is overwritten with two blocks in turn, as lunwardd's state file is (agent/daemon/slot_file.h).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096
#define ANSWER_LIMIT_S 10
#define PAUSE_NS 20000000 /* commands of one host do not come back to back either */

struct ask {
	uint32_t number;
	uint32_t flush;
};

__attribute__((noreturn)) static void die(const char *what)
{
	fprintf(stderr, "two-disks: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void write_block(int fd, uint32_t number)
{
	static char block[BLOCK];

	memset(block, (int)number, sizeof(block));
	if (pwrite(fd, block, sizeof(block), (off_t)(number % 2 * BLOCK)) != BLOCK || fdatasync(fd) < 0)
		die("writing");
}

/* Its blocks are allocated before the first flush is timed. */
static int open_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		die(path);
	write_block(fd, 0);
	write_block(fd, 1);
	return fd;
}

static int serve(uint16_t port, const char *path)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), fd = open_file(path);

	if (s < 0 || bind(s, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("listening");
	(void)puts("ready");
	(void)fflush(stdout);
	while (true) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		struct ask ask;

		if (recvfrom(s, &ask, sizeof(ask), 0, (struct sockaddr *)&from, &len) != sizeof(ask))
			continue;
		if (ask.flush)
			write_block(fd, ask.number);
		if (sendto(s, &ask, sizeof(ask), 0, (struct sockaddr *)&from, len) < 0)
			die("answering");
	}
}

static int64_t round_trip(int s, int fd, uint32_t number, bool flush)
{
	struct ask ask = { number, flush }, answer = { .number = 0 };
	int64_t began = now_ns();

	if (send(s, &ask, sizeof(ask), 0) < 0)
		die("asking");
	if (flush)
		write_block(fd, number);
	do {
		if (recv(s, &answer, sizeof(answer), 0) < 0)
			die("no answer");
	} while (answer.number != number);
	return now_ns() - began;
}

static int ask(const char *peer, uint16_t port, const char *path, unsigned int count)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct timeval limit = { .tv_sec = ANSWER_LIMIT_S };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), fd = open_file(path);

	if (inet_pton(AF_INET, peer, &address.sin_addr) != 1 || s < 0 || connect(s, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
		die(peer);
	for (uint32_t i = 1; i <= count; i++) {
		int64_t alone = round_trip(s, fd, 2 * i, false);

		printf("%" PRId64 " %" PRId64 "\n", alone, round_trip(s, fd, 2 * i + 1, true));
		nanosleep(&(struct timespec){ .tv_nsec = PAUSE_NS }, NULL);
	}
	return 0;
}

static unsigned int number(const char *text)
{
	return (unsigned int)strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "serve") == 0)
		return serve((uint16_t)number(argv[2]), argv[3]);
	if (argc == 6 && strcmp(argv[1], "ask") == 0)
		return ask(argv[2], (uint16_t)number(argv[3]), argv[4], number(argv[5]));
	fprintf(stderr, "usage: two-disks serve PORT FILE | two-disks ask ADDRESS PORT FILE COUNT\n");
	return 2;
}
