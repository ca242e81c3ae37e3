// SPDX-License-Identifier: GPL-2.0-or-later
#include "target-config/portal/cut.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/xalloc.h"

#define ANSWER_MS 1000

struct request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 body;
};

struct connection {
	uint8_t family;
	struct inet_diag_sockid id;
};

struct connections {
	struct connection *items;
	size_t n, cap;
};

struct ends { /* NULL: any */
	int family;
	const void *local, *remote;
};

static int open_diag(void)
{
	struct timeval limit = { .tv_usec = ANSWER_MS % 1000 * 1000, .tv_sec = ANSWER_MS / 1000 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -errno;
}

static int ask(int fd, struct request *request, uint16_t type, uint16_t flags)
{
	request->header = (struct nlmsghdr){ .nlmsg_len = sizeof(*request), .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags };
	return send(fd, request, sizeof(*request), 0) < 0 ? -errno : 0;
}

/* A socket for both families shows IPv4 ends as ::ffff:a.b.c.d. */
static bool is_address(const struct inet_diag_msg *msg, const void *end, int family, const void *address)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	const uint8_t *bytes = end;

	if (!address)
		return true;
	if (msg->idiag_family == family)
		return memcmp(bytes, address, family == AF_INET ? 4 : 16) == 0;
	return family == AF_INET && msg->idiag_family == AF_INET6 && memcmp(bytes, mapped, 12) == 0 && memcmp(bytes + 12, address, 4) == 0;
}

/* 1: the dump has ended. */
static int take_messages(void *buffer, size_t size, const struct ends *ends, struct connections *found)
{
	unsigned int left = (unsigned int)size;

	for (struct nlmsghdr *h = buffer; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
		const struct inet_diag_msg *msg = NLMSG_DATA(h);

		if (h->nlmsg_type == NLMSG_DONE)
			return 1;
		if (h->nlmsg_type == NLMSG_ERROR)
			return ((const struct nlmsgerr *)NLMSG_DATA(h))->error ?: 1;
		if (h->nlmsg_len >= NLMSG_LENGTH(sizeof(*msg)) && is_address(msg, msg->id.idiag_src, ends->family, ends->local) &&
		    is_address(msg, msg->id.idiag_dst, ends->family, ends->remote))
			*array_push(found->items, found->n, found->cap) = (struct connection){ msg->idiag_family, msg->id };
	}
	return 0;
}

static int list(int fd, uint8_t sockets_of, const struct ends *ends, uint16_t port, struct connections *found)
{
	_Alignas(struct nlmsghdr) char buffer[16384];
	struct request request = { .body = { .sdiag_family = sockets_of, .sdiag_protocol = IPPROTO_TCP,
					     .idiag_states = ~(1u << TCP_LISTEN | 1u << TCP_TIME_WAIT | 1u << TCP_CLOSE),
					     .id.idiag_sport = htons(port) } };
	int rc = ask(fd, &request, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP);

	while (rc == 0) {
		ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

		if (n < 0)
			rc = errno == EINTR ? 0 : errno == EAGAIN ? -ETIMEDOUT : -errno;
		else
			rc = take_messages(buffer, (size_t)n, ends, found);
	}
	return rc < 0 ? rc : 0;
}

static int cut_one(int fd, const struct connection *connection)
{
	struct request request = { .body = { .sdiag_family = connection->family, .sdiag_protocol = IPPROTO_TCP, .id = connection->id } };
	struct {
		struct nlmsghdr header;
		struct nlmsgerr body;
		char rest[256];
	} answer;
	int rc = ask(fd, &request, SOCK_DESTROY, NLM_F_ACK);
	ssize_t n;

	if (rc < 0)
		return rc;
	do {
		n = recv(fd, &answer, sizeof(answer), 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	if ((size_t)n < sizeof(answer.header) + sizeof(answer.body) || answer.header.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return answer.body.error == -ENOENT ? 0 : answer.body.error; /* gone by itself */
}

static int list_all(int fd, const struct ends *ends, uint16_t port, struct connections *found)
{
	int rc = list(fd, AF_INET6, ends, port, found);

	return rc == 0 && ends->family == AF_INET ? list(fd, AF_INET, ends, port, found) : rc;
}

static void print_peer(const struct connection *c, int family, char ret[INET6_ADDRSTRLEN])
{
	const uint8_t *bytes = (const uint8_t *)c->id.idiag_dst;

	if (family == AF_INET && c->family == AF_INET6)
		bytes += 12; /* ::ffff:a.b.c.d */
	inet_ntop(family, bytes, ret, INET6_ADDRSTRLEN);
}

int portal_connections(const char *address, uint16_t port, struct portal_connection **out, size_t *n, size_t *cap, struct err *err)
{
	_cleanup_close_ int fd = open_diag();
	struct connections found = { 0 };
	uint8_t local[16];
	struct ends ends = { .family = strchr(address, ':') ? AF_INET6 : AF_INET, .local = local };
	int rc;

	if (inet_pton(ends.family, address, local) != 1)
		return err_set(err, -EINVAL, "%s is no IP address", address);
	rc = fd < 0 ? fd : list_all(fd, &ends, port, &found);
	for (size_t i = 0; rc == 0 && i < found.n; i++) {
		struct portal_connection *c = array_push(*out, *n, *cap);

		snprintf(c->address, sizeof(c->address), "%s", address);
		c->port = port;
		print_peer(&found.items[i], ends.family, c->peer);
		c->peer_port = ntohs(found.items[i].id.idiag_dport);
	}
	free(found.items);
	return rc < 0 ? err_errno(err, rc, "cannot ask for TCP connections") : 0;
}

int portal_cut(const char *address, uint16_t port, size_t *ret_cut, struct err *err)
{
	return portal_cut_from(address, port, NULL, ret_cut, err);
}

int portal_cut_from(const char *address, uint16_t port, const char *from, size_t *ret_cut, struct err *err)
{
	_cleanup_close_ int fd = open_diag();
	struct connections found = { 0 };
	uint8_t local[16], remote[16];
	struct ends ends = { .family = strchr(address, ':') ? AF_INET6 : AF_INET, .local = local, .remote = from ? remote : NULL };
	int rc;

	if (inet_pton(ends.family, address, local) != 1)
		return err_set(err, -EINVAL, "%s is no IP address", address);
	if (from && inet_pton(ends.family, from, remote) != 1)
		return err_set(err, -EINVAL, "%s is no address of the family of %s", from, address);
	if (fd < 0)
		return err_errno(err, fd, "cannot ask for TCP connections");
	rc = list_all(fd, &ends, port, &found);
	for (size_t i = 0; i < found.n; i++) { /* one that cannot be cut does not spare the others */
		int cut = cut_one(fd, &found.items[i]);

		rc = rc < 0 ? rc : cut;
	}
	if (rc < 0)
		err_errno(err, rc, "cannot cut the connections to %s port %u", address, port);
	else if (ret_cut)
		*ret_cut = found.n;
	free(found.items);
	return rc;
}
