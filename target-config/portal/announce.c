// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tells the neighbours where an address is now: gratuitous ARP (RFC 5227, 3) in both forms, since some stacks update their
 * table on requests only and some on replies only; or an unsolicited neighbour advertisement (RFC 4861, 7.2.6).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "target-config/portal/portal.h"

struct arp_packet {
	struct arphdr header;
	uint8_t sender_mac[ETH_ALEN];
	uint8_t sender_ip[4];
	uint8_t target_mac[ETH_ALEN];
	uint8_t target_ip[4];
} __attribute__((packed));

static int hardware_address(int fd, const char *interface, uint8_t ret_mac[ETH_ALEN])
{
	struct ifreq ifr = { 0 };

	strncpy(ifr.ifr_name, interface, sizeof(ifr.ifr_name) - 1);
	if (ioctl(fd, SIOCGIFHWADDR, &ifr) < 0)
		return -errno;
	if (ifr.ifr_hwaddr.sa_family != ARPHRD_ETHER && ifr.ifr_hwaddr.sa_family != ARPHRD_LOOPBACK)
		return -EAFNOSUPPORT;
	memcpy(ret_mac, ifr.ifr_hwaddr.sa_data, ETH_ALEN);
	return 0;
}

static int send_arp(int fd, int index, const uint8_t mac[ETH_ALEN], const struct in_addr *ip, uint16_t op)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP), .sll_ifindex = index,
				  .sll_halen = ETH_ALEN };
	struct arp_packet packet = {
		.header = { .ar_hrd = htons(ARPHRD_ETHER), .ar_pro = htons(ETH_P_IP), .ar_hln = ETH_ALEN, .ar_pln = 4,
			    .ar_op = htons(op) },
	};

	memset(to.sll_addr, 0xff, ETH_ALEN);
	memcpy(packet.sender_mac, mac, ETH_ALEN);
	memcpy(packet.sender_ip, ip, 4);
	if (op == ARPOP_REPLY)
		memset(packet.target_mac, 0xff, ETH_ALEN);
	memcpy(packet.target_ip, ip, 4);
	return sendto(fd, &packet, sizeof(packet), 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}

static int announce_ipv4(const char *interface, int index, const struct in_addr *ip, int count)
{
	_cleanup_close_ int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ARP));
	uint8_t mac[ETH_ALEN];
	int rc;

	if (fd < 0)
		return -errno;
	rc = hardware_address(fd, interface, mac);
	for (int i = 0; i < count && rc == 0; i++) {
		rc = send_arp(fd, index, mac, ip, ARPOP_REQUEST);
		if (rc == 0)
			rc = send_arp(fd, index, mac, ip, ARPOP_REPLY);
	}
	return rc;
}

static int announce_ipv6(const char *interface, int index, const struct in6_addr *ip, int count)
{
	_cleanup_close_ int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);
	struct sockaddr_in6 from = { .sin6_family = AF_INET6, .sin6_addr = *ip, .sin6_scope_id = (uint32_t)index };
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_scope_id = (uint32_t)index };
	struct {
		struct nd_neighbor_advert advert;
		struct nd_opt_hdr option;
		uint8_t mac[ETH_ALEN];
	} __attribute__((packed)) packet = { 0 };
	int hops = 255; /* required of neighbour discovery, RFC 4861, 7.1.2 */
	int rc;

	if (fd < 0)
		return -errno;
	rc = hardware_address(fd, interface, packet.mac);
	if (rc < 0)
		return rc;
	inet_pton(AF_INET6, "ff02::1", &to.sin6_addr);
	packet.advert.nd_na_type = ND_NEIGHBOR_ADVERT;
	packet.advert.nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE;
	packet.advert.nd_na_target = *ip;
	packet.option.nd_opt_type = ND_OPT_TARGET_LINKADDR;
	packet.option.nd_opt_len = 1;
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof(index)) < 0 ||
	    bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0)
		return -errno;
	for (int i = 0; i < count; i++) { /* the kernel fills in the checksum of ICMPv6 */
		if (sendto(fd, &packet, sizeof(packet), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
			return -errno;
	}
	return 0;
}

int portal_announce(const char *interface, const char *address, int count, struct err *err)
{
	int index = (int)if_nametoindex(interface);
	struct in6_addr ip6;
	struct in_addr ip;
	int rc;

	if (index == 0)
		rc = -ENODEV;
	else if (inet_pton(AF_INET, address, &ip) == 1)
		rc = announce_ipv4(interface, index, &ip, count);
	else if (inet_pton(AF_INET6, address, &ip6) == 1)
		rc = announce_ipv6(interface, index, &ip6, count);
	else
		rc = -EINVAL;
	return rc < 0 ? err_errno(err, rc, "cannot announce %s on %s", address, interface) : 0;
}
