// SPDX-License-Identifier: GPL-2.0-or-later
/* Packets that wait, over the loopback of a network namespace of the test's own. Needs root, nft and nf_tables in the kernel. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "target-config/portal/hold.h"

#define HELD_MS 700      /* longer than the loopback takes, and than TCP waits before it sends again */
#define ARRIVES_MS 30000 /* TCP sends again later each time */

static bool in_namespace;

struct pair {
	int client, served;
};

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

static struct pair connect_pair(uint16_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	_cleanup_close_ int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pair pair = { .client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };

	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(connect(pair.client, (struct sockaddr *)&at, sizeof(at)), 0);
	pair.served = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(pair.served >= 0);
	return pair;
}

static void close_pair(const struct pair *pair)
{
	close(pair->client);
	close(pair->served);
}

static void say(const struct pair *pair, char c)
{
	assert_int_equal(send(pair->client, &c, 1, MSG_NOSIGNAL), 1);
}

static bool arrives(const struct pair *pair, int limit_ms, char c)
{
	struct pollfd in = { .fd = pair->served, .events = POLLIN };
	char got = 0;

	if (poll(&in, 1, limit_ms) != 1)
		return false;
	assert_int_equal(recv(pair->served, &got, 1, 0), 1);
	assert_int_equal(got, c);
	return true;
}

static void hold(const uint16_t *ports, size_t n, unsigned int limit_s)
{
	struct err err = ERR_INIT;
	int rc;

	if (!in_namespace) {
		print_message("skipped: needs root for a network namespace\n");
		skip();
	}
	rc = portal_hold(ports, n, limit_s, &err);
	if (rc == -ENOENT) {
		print_message("skipped: %s\n", err.text);
		skip();
	}
	if (rc < 0)
		fail_msg("%s", err.text);
}

static void what_is_sent_waits_and_arrives(void **state)
{
	static const uint16_t ports[] = { 3260, 3261 };
	struct pair a = connect_pair(3260), b = connect_pair(3261), other = connect_pair(3262);
	struct err err = ERR_INIT;

	(void)state;
	hold(ports, 2, 60);
	hold(ports, 2, 60); /* again: the same */
	say(&a, 'a');
	say(&b, 'b');
	say(&other, 'o');
	assert_true(arrives(&other, ARRIVES_MS, 'o'));
	assert_false(arrives(&a, HELD_MS, 'a'));
	assert_false(arrives(&b, 0, 'b'));
	assert_int_equal(portal_let_in(&err), 0);
	assert_true(arrives(&a, ARRIVES_MS, 'a'));
	assert_true(arrives(&b, ARRIVES_MS, 'b'));
	assert_int_equal(portal_let_in(&err), 0);
	close_pair(&a);
	close_pair(&b);
	close_pair(&other);
}

static void it_ends_by_itself(void **state)
{
	static const uint16_t port = 3263;
	struct pair pair = connect_pair(port);
	struct err err = ERR_INIT;

	(void)state;
	hold(&port, 1, 2);
	say(&pair, 'a');
	assert_false(arrives(&pair, HELD_MS, 'a'));
	assert_true(arrives(&pair, ARRIVES_MS, 'a'));
	assert_int_equal(portal_let_in(&err), 0);
	close_pair(&pair);
}

static void without_nft_the_remedy_is_said(void **state)
{
	static const uint16_t port = 3264;
	char *path = strdup(getenv("PATH"));
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(setenv("PATH", "/nowhere", 1), 0);
	assert_int_equal(portal_hold(&port, 1, 1, &err), -ENOENT);
	assert_int_equal(setenv("PATH", path, 1), 0);
	free(path);
	assert_string_equal(err.text, "there is no program nft: install the package nftables");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_sent_waits_and_arrives),
		cmocka_unit_test(it_ends_by_itself),
		cmocka_unit_test(without_nft_the_remedy_is_said),
	};

	return cmocka_run_group_tests(tests, enter_namespace, NULL);
}
