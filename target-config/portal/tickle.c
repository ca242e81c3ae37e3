// SPDX-License-Identifier: GPL-2.0-or-later
#include "target-config/portal/tickle.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"

#define TTL 64
#define WINDOW 1024 /* what it says does not matter */

struct packet4 {
	struct iphdr ip;
	struct tcphdr tcp;
};

struct packet6 {
	struct ip6_hdr ip;
	struct tcphdr tcp;
};

static_assert(sizeof(struct packet4) == 40 && sizeof(struct packet6) == 60, "no bytes between the headers");

/* RFC 1071, of bytes; an even number of them. */
static uint32_t add_bytes(uint32_t sum, const void *data, size_t size)
{
	const uint8_t *p = data;

	for (size_t i = 0; i + 1 < size; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	return sum;
}

/* With the pseudo header of RFC 9293, 3.1, or of RFC 8200, 8.1: for so few bytes they are the same. */
static void finish_tcp(struct tcphdr *tcp, const struct portal_connection *c, const void *from, const void *to, size_t address_size)
{
	uint32_t sum = IPPROTO_TCP + sizeof(*tcp);

	*tcp = (struct tcphdr){ .source = htons(c->port), .dest = htons(c->peer_port), .doff = sizeof(*tcp) / 4, .ack = 1,
				.window = htons(WINDOW) };
	sum = add_bytes(sum, from, address_size);
	sum = add_bytes(sum, to, address_size);
	sum = add_bytes(sum, tcp, sizeof(*tcp));
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	tcp->check = htons((uint16_t)~sum);
}

static int send_packet(int family, const void *packet, size_t size, const void *to, socklen_t to_size)
{
	_cleanup_close_ int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW); /* the packet brings its own IP header */

	if (fd < 0)
		return -errno;
	return sendto(fd, packet, size, MSG_DONTWAIT, to, to_size) < 0 ? -errno : 0;
}

static int tickle4(const struct portal_connection *c)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	struct packet4 packet = { .ip = { .version = 4, .ihl = sizeof(packet.ip) / 4, .ttl = TTL, .protocol = IPPROTO_TCP } };

	if (inet_pton(AF_INET, c->address, &packet.ip.saddr) != 1 || inet_pton(AF_INET, c->peer, &packet.ip.daddr) != 1)
		return -EINVAL;
	to.sin_addr.s_addr = packet.ip.daddr;
	finish_tcp(&packet.tcp, c, &packet.ip.saddr, &packet.ip.daddr, sizeof(packet.ip.saddr));
	return send_packet(AF_INET, &packet, sizeof(packet), &to, sizeof(to));
}

static int tickle6(const struct portal_connection *c)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6 };
	struct packet6 packet = { .ip = { .ip6_plen = htons(sizeof(packet.tcp)), .ip6_nxt = IPPROTO_TCP, .ip6_hlim = TTL } };

	packet.ip.ip6_vfc = 6 << 4;
	if (inet_pton(AF_INET6, c->address, &packet.ip.ip6_src) != 1 || inet_pton(AF_INET6, c->peer, &packet.ip.ip6_dst) != 1)
		return -EINVAL;
	to.sin6_addr = packet.ip.ip6_dst;
	finish_tcp(&packet.tcp, c, &packet.ip.ip6_src, &packet.ip.ip6_dst, sizeof(packet.ip.ip6_src));
	return send_packet(AF_INET6, &packet, sizeof(packet), &to, sizeof(to));
}

int portal_tickle(const struct portal_connection *c, struct err *err)
{
	int rc = strchr(c->address, ':') ? tickle6(c) : tickle4(c);

	return rc < 0 ? err_errno(err, rc, "cannot tell %s port %u that its connection to %s is gone", c->peer, c->peer_port, c->address) : 0;
}
