// SPDX-License-Identifier: GPL-2.0-or-later
/* Portal addresses on one end of a veth pair in a network namespace of the test's own; the other end listens. Needs root. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/ip6.h>
#include <netlink/route/link/veth.h>
#include <netlink/socket.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "target-config/portal/portal.h"

#define NEAR "lwnear"
#define FAR "lwfar"
#define ANSWER_MS 5000

static bool in_namespace;

static int enter_namespace(void **state)
{
	struct nl_sock *sock = nl_socket_alloc();
	struct err err = ERR_INIT;

	(void)state;
	if (unshare(CLONE_NEWNET) == 0 && nl_connect(sock, NETLINK_ROUTE) == 0 &&
	    rtnl_link_veth_add(sock, NEAR, FAR, getpid()) == 0)
		in_namespace = portal_address_add(FAR, "192.0.2.200", 24, &err) == 0 && /* brings the pair up */
			       portal_address_add(NEAR, "192.0.2.100", 24, &err) == 0;
	nl_socket_free(sock);
	return 0;
}

#define NEEDS_NAMESPACE()                                                                                              \
	do {                                                                                                           \
		if (!in_namespace)                                                                                     \
			skip();                                                                                        \
	} while (0)

static bool present(const char *address)
{
	struct err err = ERR_INIT;
	bool found = false;

	assert_int_equal(portal_address_present(NEAR, address, &found, &err), 0);
	return found;
}

static void comes_and_goes(void **state)
{
	static const char *const addresses[] = { "192.0.2.1", "2001:db8::1" };
	static const uint8_t prefix_lens[] = { 24, 64 };
	struct err err = ERR_INIT;

	(void)state;
	NEEDS_NAMESPACE();
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		assert_false(present(addresses[i]));
		assert_int_equal(portal_address_add(NEAR, addresses[i], prefix_lens[i], &err), 0);
		assert_int_equal(portal_address_add(NEAR, addresses[i], prefix_lens[i], &err), 0);
		assert_true(present(addresses[i]));
		assert_int_equal(portal_address_del(NEAR, addresses[i], prefix_lens[i], &err), 0);
		assert_int_equal(portal_address_del(NEAR, addresses[i], prefix_lens[i], &err), 0);
		assert_false(present(addresses[i]));
	}
}

/* An interface's first address of a subnet may go without taking the others along. */
static void others_of_the_subnet_stay(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	NEEDS_NAMESPACE();
	assert_int_equal(portal_address_add(NEAR, "198.51.100.1", 24, &err), 0);
	assert_int_equal(portal_address_add(NEAR, "198.51.100.2", 24, &err), 0);
	assert_int_equal(portal_address_del(NEAR, "198.51.100.1", 24, &err), 0);
	assert_true(present("198.51.100.2"));
	assert_int_equal(portal_address_del(NEAR, "198.51.100.2", 24, &err), 0);
}

static void errors_name_what_is_wrong(void **state)
{
	struct err err = ERR_INIT;
	bool found;

	(void)state;
	NEEDS_NAMESPACE();
	assert_int_equal(portal_address_add("nonesuch", "192.0.2.1", 24, &err), -ENODEV);
	assert_non_null(strstr(err.text, "192.0.2.1/24 to nonesuch"));
	assert_int_equal(portal_address_add(NEAR, "192.0.2.x", 24, &err), -EINVAL);
	assert_int_equal(portal_address_present("nonesuch", "192.0.2.1", &found, &err), -ENODEV);
	assert_int_equal(portal_announce("nonesuch", "192.0.2.1", 1, &err), -ENODEV);
	assert_int_equal(portal_announce(NEAR, "here", 1, &err), -EINVAL);
}

static int listen_on_far(uint16_t protocol)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(protocol),
				       .sll_ifindex = (int)if_nametoindex(FAR) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(protocol));

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* The next packet, 0 when none has come for long. */
static size_t next_packet(int fd, uint8_t *buf, size_t size)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	ssize_t got;

	if (poll(&pollfd, 1, ANSWER_MS) <= 0)
		return 0;
	got = recv(fd, buf, size, 0);
	return got < 0 ? 0 : (size_t)got;
}

static void announces_ipv4_in_both_forms(void **state)
{
	static const uint16_t ops[] = { ARPOP_REQUEST, ARPOP_REPLY, ARPOP_REQUEST, ARPOP_REPLY };
	static const uint8_t ip[] = { 192, 0, 2, 77 };
	_cleanup_close_ int fd = -1;
	struct err err = ERR_INIT;
	uint8_t buf[256];

	(void)state;
	NEEDS_NAMESPACE();
	fd = listen_on_far(ETH_P_ARP);
	assert_int_equal(portal_announce(NEAR, "192.0.2.77", 2, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(ops);) {
		size_t len = next_packet(fd, buf, sizeof(buf));

		assert_true(len >= 42);
		if (memcmp(buf + 28, ip, 4) != 0) /* the kernel's own, of the set-up */
			continue;
		assert_memory_equal(buf, "\xff\xff\xff\xff\xff\xff", 6);
		assert_int_equal(buf[20] << 8 | buf[21], ops[i]);
		assert_memory_equal(buf + 22, buf + 6, 6); /* sender hardware address: where the frame came from */
		assert_memory_equal(buf + 38, ip, 4);	   /* target address: the same, hence gratuitous */
		i++;
	}
}

static void announces_ipv6(void **state)
{
	_cleanup_close_ int fd = -1;
	struct err err = ERR_INIT;
	struct in6_addr ip;
	uint8_t buf[512];
	bool seen = false;

	(void)state;
	NEEDS_NAMESPACE();
	inet_pton(AF_INET6, "2001:db8::77", &ip);
	assert_int_equal(portal_address_add(NEAR, "2001:db8::77", 64, &err), 0);
	fd = listen_on_far(ETH_P_IPV6);
	assert_int_equal(portal_announce(NEAR, "2001:db8::77", 1, &err), 0);
	while (!seen) {
		size_t len = next_packet(fd, buf, sizeof(buf));
		const uint8_t *ip6 = buf + ETH_HLEN, *na = ip6 + sizeof(struct ip6_hdr);

		assert_true(len > 0);
		if (len < 86 || na[0] != ND_NEIGHBOR_ADVERT)
			continue;
		assert_int_equal(ip6[7], 255); /* hop limit */
		assert_memory_equal(na + 8, &ip, sizeof(ip));
		assert_int_equal(na[24], ND_OPT_TARGET_LINKADDR);
		assert_memory_equal(na + 26, buf + 6, 6);
		seen = true;
	}
	assert_int_equal(portal_address_del(NEAR, "2001:db8::77", 64, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_and_goes),
		cmocka_unit_test(others_of_the_subnet_stay),
		cmocka_unit_test(errors_name_what_is_wrong),
		cmocka_unit_test(announces_ipv4_in_both_forms),
		cmocka_unit_test(announces_ipv6),
	};

	return cmocka_run_group_tests(tests, enter_namespace, NULL);
}
