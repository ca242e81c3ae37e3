// SPDX-License-Identifier: GPL-2.0-or-later
/* Connections over the loopback of a network namespace of the test's own. Needs root and a kernel with CONFIG_INET_DIAG_DESTROY. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "target-config/portal/cut.h"
#include "target-config/portal/tickle.h"

#define WAIT_MS 5000

struct pair {
	int listener, client, served;
	uint16_t port;
};

static bool in_namespace;

static int enter_namespace(void **state)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	_cleanup_close_ int fd = -1;

	(void)state;
	if (unshare(CLONE_NEWNET) < 0)
		return 0;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	in_namespace = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0;
	return 0;
}

static socklen_t fill(struct sockaddr_storage *at, const char *address, uint16_t port)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)at;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)at;

	memset(at, 0, sizeof(*at));
	if (strchr(address, ':')) {
		*v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(port) };
		assert_int_equal(inet_pton(AF_INET6, address, &v6->sin6_addr), 1);
		return sizeof(*v6);
	}
	*v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port) };
	assert_int_equal(inet_pton(AF_INET, address, &v4->sin_addr), 1);
	return sizeof(*v4);
}

static struct pair connect_pair(const char *listen_at, const char *address, uint16_t port)
{
	struct sockaddr_storage at;
	socklen_t size = fill(&at, listen_at, port);
	struct pair pair = { .port = port };

	pair.listener = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(pair.listener, (struct sockaddr *)&at, size), 0);
	assert_int_equal(listen(pair.listener, 4), 0);
	size = fill(&at, address, port);
	pair.client = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(pair.client, (struct sockaddr *)&at, size), 0);
	pair.served = accept4(pair.listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(pair.served >= 0);
	return pair;
}

static void close_pair(struct pair *pair)
{
	close(pair->client);
	close(pair->served);
	close(pair->listener);
}

/* What the client finds: 'x', if the served end can still send it, or -errno. */
static int hear(const struct pair *pair)
{
	struct pollfd in = { .fd = pair->client, .events = POLLIN };
	char c = 0;

	ssize_t sent = send(pair->served, "x", 1, MSG_NOSIGNAL);

	if (poll(&in, 1, WAIT_MS) != 1)
		return -ETIMEDOUT;
	if (recv(pair->client, &c, 1, 0) < 0)
		return sent < 0 ? -errno : -EPROTO;
	return c;
}

static size_t cut(const char *address, uint16_t port)
{
	struct err err = ERR_INIT;
	size_t n = 99;
	int rc = portal_cut(address, port, &n, &err);

	if (rc == -EOPNOTSUPP) {
		print_message("skipped: the kernel has no CONFIG_INET_DIAG_DESTROY\n");
		skip();
	}
	if (rc < 0)
		fail_msg("%s", err.text);
	return n;
}

#define NEEDS_NAMESPACE()                                                                                              \
	do {                                                                                                           \
		if (!in_namespace) {                                                                                   \
			print_message("skipped: needs root for a network namespace\n");                                \
			skip();                                                                                        \
		}                                                                                                      \
	} while (0)

static void a_cut_connection_says_nothing_more(void **unused)
{
	struct pair portal, other_port, other_address;

	(void)unused;
	NEEDS_NAMESPACE();
	portal = connect_pair("127.0.0.1", "127.0.0.1", 3260);
	other_port = connect_pair("127.0.0.1", "127.0.0.1", 3261);
	other_address = connect_pair("127.0.0.2", "127.0.0.2", 3260);
	assert_int_equal(hear(&portal), 'x');
	assert_int_equal(cut("127.0.0.1", 3260), 1);
	assert_int_equal(hear(&portal), -ECONNRESET);
	assert_int_equal(hear(&other_port), 'x');
	assert_int_equal(hear(&other_address), 'x');
	close_pair(&portal);
	assert_int_equal(cut("127.0.0.1", 3260), 0);
	close_pair(&other_port);
	close_pair(&other_address);
}

/* Its node has died: no end of the connection is told to anybody. */
static void die(struct pair *pair)
{
	int on = 1;

	assert_int_equal(setsockopt(pair->served, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)), 0);
	close(pair->served);
	pair->served = -1;
}

static void tickle(const char *address, uint16_t port, size_t n_expected)
{
	_cleanup_free_ struct portal_connection *list = NULL;
	struct err err = ERR_INIT;
	size_t n = 0, cap = 0;

	assert_int_equal(portal_connections(address, port, &list, &n, &cap, &err), 0);
	assert_int_equal(n, n_expected);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(portal_tickle(&list[i], &err), 0);
}

static void a_dead_connection_ends_when_it_is_tickled(void **unused)
{
	static const char *const at[][2] = { { "127.0.0.9", "127.0.0.9" }, { "::1", "::1" }, { "::", "127.0.0.9" } };

	(void)unused;
	NEEDS_NAMESPACE();
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		struct pair dead = connect_pair(at[i][0], at[i][1], (uint16_t)(3270 + i)), other = connect_pair(at[i][0], at[i][1], 3280);
		struct pollfd in = { .fd = dead.client, .events = POLLIN };
		_cleanup_free_ struct portal_connection *known = NULL;
		struct err err = ERR_INIT;
		size_t n = 0, cap = 0;

		tickle(at[i][1], dead.port, 1); /* while it is alive: nothing happens */
		assert_int_equal(hear(&dead), 'x');
		assert_int_equal(portal_connections(at[i][1], dead.port, &known, &n, &cap, &err), 0);
		die(&dead);
		assert_int_equal(poll(&in, 1, 0), 0); /* it does not know, and would not */
		tickle(at[i][1], dead.port, 0);
		/* The client repeats itself once in half a second (tcp_invalid_ratelimit), and was asked just now. */
		for (int tries = 0; tries < 50 && poll(&in, 1, 100) == 0; tries++)
			assert_int_equal(portal_tickle(&known[0], &err), 0);
		assert_int_equal(recv(dead.client, &(char){ 0 }, 1, MSG_DONTWAIT), -1);
		assert_int_equal(errno, ECONNRESET);
		assert_int_equal(hear(&other), 'x');
		close_pair(&dead);
		close_pair(&other);
	}
}

static void the_listener_stays(void **unused)
{
	struct pair portal;
	struct sockaddr_storage at;
	socklen_t size;

	(void)unused;
	NEEDS_NAMESPACE();
	portal = connect_pair("127.0.0.4", "127.0.0.4", 3260);
	assert_int_equal(cut("127.0.0.4", 3260), 1);
	close(portal.client);
	close(portal.served);
	size = fill(&at, "127.0.0.4", 3260);
	portal.client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(portal.client, (struct sockaddr *)&at, size), 0);
	portal.served = accept4(portal.listener, NULL, NULL, SOCK_CLOEXEC);
	assert_int_equal(hear(&portal), 'x');
	close_pair(&portal);
}

static void both_families_are_cut(void **unused)
{
	struct pair six, mapped;

	(void)unused;
	NEEDS_NAMESPACE();
	six = connect_pair("::1", "::1", 3260);
	mapped = connect_pair("::", "127.0.0.5", 3265); /* a listener for both */
	assert_int_equal(cut("::1", 3260), 1);
	assert_int_equal(hear(&six), -ECONNRESET);
	assert_int_equal(cut("127.0.0.5", 3265), 1);
	assert_int_equal(hear(&mapped), -ECONNRESET);
	close_pair(&six);
	close_pair(&mapped);
}

/* Another client of the pair's listener, which comes from that address. */
static struct pair join_from(const struct pair *other, const char *from, const char *address)
{
	struct sockaddr_storage at;
	socklen_t size = fill(&at, from, 0);
	struct pair pair = { .listener = -1, .port = other->port };

	pair.client = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(pair.client, (struct sockaddr *)&at, size), 0);
	size = fill(&at, address, other->port);
	assert_int_equal(connect(pair.client, (struct sockaddr *)&at, size), 0);
	pair.served = accept4(other->listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(pair.served >= 0);
	return pair;
}

static void only_one_host_is_cut(const char *listen_at)
{
	struct pair portal = connect_pair(listen_at, "127.0.0.6", 3266);
	struct pair one = join_from(&portal, "127.0.0.7", "127.0.0.6"), other = join_from(&portal, "127.0.0.8", "127.0.0.6");
	struct err err = ERR_INIT;
	size_t n = 99;
	int rc = portal_cut_from("127.0.0.6", 3266, "127.0.0.7", &n, &err);

	if (rc == -EOPNOTSUPP)
		skip();
	assert_int_equal(rc, 0);
	assert_int_equal(n, 1);
	assert_int_equal(hear(&one), -ECONNRESET);
	assert_int_equal(hear(&other), 'x');
	assert_int_equal(hear(&portal), 'x');
	close(one.client);
	close(one.served);
	close(other.client);
	close(other.served);
	close_pair(&portal);
}

static void other_hosts_stay(void **unused)
{
	(void)unused;
	NEEDS_NAMESPACE();
	only_one_host_is_cut("127.0.0.6");
	only_one_host_is_cut("::"); /* shows both ends as ::ffff:a.b.c.d */
}

static void a_name_is_no_address(void **unused)
{
	struct err err = ERR_INIT;

	(void)unused;
	assert_int_equal(portal_cut("localhost", 3260, NULL, &err), -EINVAL);
	assert_string_equal(err.text, "localhost is no IP address");
	assert_int_equal(portal_cut_from("127.0.0.1", 3260, "::1", NULL, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cut_connection_says_nothing_more),
		cmocka_unit_test(a_dead_connection_ends_when_it_is_tickled),
		cmocka_unit_test(the_listener_stays),
		cmocka_unit_test(both_families_are_cut),
		cmocka_unit_test(other_hosts_stay),
		cmocka_unit_test(a_name_is_no_address),
	};

	return cmocka_run_group_tests(tests, enter_namespace, NULL);
}
