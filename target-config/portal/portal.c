// SPDX-License-Identifier: GPL-2.0-or-later
/* Portal addresses on interfaces, by rtnetlink (libnl-route). */
#include "target-config/portal/portal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/socket.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"

/* libnl's codes as negative errno; those that do not occur here count as -EIO. */
static int from_nl(int code)
{
	static const struct {
		int nle, errnum;
	} map[] = {
		{ NLE_EXIST, EEXIST },	      { NLE_NOADDR, EADDRNOTAVAIL }, { NLE_PERM, EPERM },
		{ NLE_NODEV, ENODEV },	      { NLE_NOMEM, ENOMEM },	     { NLE_INVAL, EINVAL },
		{ NLE_OBJ_NOTFOUND, ENODEV }, { NLE_AGAIN, EAGAIN },	     { NLE_BUSY, EBUSY },
		{ NLE_AF_NOSUPPORT, EAFNOSUPPORT },
	};

	if (code >= 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(map); i++) {
		if (map[i].nle == -code)
			return -map[i].errnum;
	}
	return -EIO;
}

static int open_socket(struct nl_sock **ret_sock)
{
	struct nl_sock *sock = nl_socket_alloc();
	int rc;

	if (!sock)
		return -ENOMEM;
	rc = nl_connect(sock, NETLINK_ROUTE);
	if (rc < 0) {
		nl_socket_free(sock);
		return from_nl(rc);
	}
	*ret_sock = sock;
	return 0;
}

static int make_address(const char *interface, const char *address, uint8_t prefix_len, struct rtnl_addr **ret_addr)
{
	struct rtnl_addr *addr = NULL;
	struct nl_addr *local = NULL;
	unsigned int index = if_nametoindex(interface);
	int rc;

	if (index == 0)
		return -ENODEV;
	rc = nl_addr_parse(address, AF_UNSPEC, &local);
	if (rc < 0)
		return -EINVAL;
	nl_addr_set_prefixlen(local, prefix_len);
	addr = rtnl_addr_alloc();
	if (!addr) {
		nl_addr_put(local);
		return -ENOMEM;
	}
	rtnl_addr_set_ifindex(addr, (int)index);
	rc = rtnl_addr_set_local(addr, local);
	if (rc == 0 && nl_addr_get_family(local) == AF_INET6) /* it was ours a moment ago, or its node is dead: do not wait for DAD */
		rtnl_addr_set_flags(addr, IFA_F_NODAD);
	nl_addr_put(local);
	if (rc < 0) {
		rtnl_addr_put(addr);
		return from_nl(rc);
	}
	*ret_addr = addr;
	return 0;
}

static int bring_up(struct nl_sock *sock, const char *interface)
{
	struct rtnl_link *link = NULL, *change = NULL;
	int rc = rtnl_link_get_kernel(sock, 0, interface, &link);

	if (rc < 0)
		return from_nl(rc);
	if (!(rtnl_link_get_flags(link) & IFF_UP)) {
		change = rtnl_link_alloc();
		if (!change) {
			rtnl_link_put(link);
			return -ENOMEM;
		}
		rtnl_link_set_flags(change, IFF_UP);
		rc = rtnl_link_change(sock, link, change, 0);
		rtnl_link_put(change);
	}
	rtnl_link_put(link);
	return from_nl(rc);
}

/* Without it, removing an interface's first address of a subnet removes the others of that subnet too (__inet_del_ifa). */
static void keep_secondaries(const char *interface)
{
	char path[128];
	int rc;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/promote_secondaries", interface);
	rc = file_write_attr(path, "1");
	if (rc < 0)
		log_debug("%s: %s", path, strerror(-rc));
}

int portal_address_add(const char *interface, const char *address, uint8_t prefix_len, struct err *err)
{
	struct rtnl_addr *addr = NULL;
	struct nl_sock *sock = NULL;
	int rc = make_address(interface, address, prefix_len, &addr);

	if (rc == 0)
		rc = open_socket(&sock);
	if (rc == 0)
		rc = bring_up(sock, interface);
	if (rc == 0)
		keep_secondaries(interface);
	if (rc == 0) {
		rc = from_nl(rtnl_addr_add(sock, addr, NLM_F_CREATE | NLM_F_EXCL));
		if (rc == -EEXIST)
			rc = 0;
	}
	if (sock)
		nl_socket_free(sock);
	if (addr)
		rtnl_addr_put(addr);
	return rc < 0 ? err_errno(err, rc, "cannot add %s/%u to %s", address, prefix_len, interface) : 0;
}

int portal_address_del(const char *interface, const char *address, uint8_t prefix_len, struct err *err)
{
	struct rtnl_addr *addr = NULL;
	struct nl_sock *sock = NULL;
	int rc = make_address(interface, address, prefix_len, &addr);

	if (rc == 0)
		rc = open_socket(&sock);
	if (rc == 0) {
		rc = from_nl(rtnl_addr_delete(sock, addr, 0));
		if (rc == -EADDRNOTAVAIL)
			rc = 0;
	}
	if (sock)
		nl_socket_free(sock);
	if (addr)
		rtnl_addr_put(addr);
	return rc < 0 ? err_errno(err, rc, "cannot remove %s/%u from %s", address, prefix_len, interface) : 0;
}

struct search {
	int index;
	struct nl_addr *wanted;
	bool found;
};

static void match_address(struct nl_object *object, void *arg)
{
	struct rtnl_addr *addr = (struct rtnl_addr *)object;
	struct search *search = arg;
	struct nl_addr *local = rtnl_addr_get_local(addr);

	if (rtnl_addr_get_ifindex(addr) != search->index || !local ||
	    nl_addr_get_family(local) != nl_addr_get_family(search->wanted))
		return;
	if (nl_addr_get_len(local) == nl_addr_get_len(search->wanted) &&
	    memcmp(nl_addr_get_binary_addr(local), nl_addr_get_binary_addr(search->wanted), nl_addr_get_len(local)) == 0)
		search->found = true;
}

int portal_address_present(const char *interface, const char *address, bool *ret_present, struct err *err)
{
	struct search search = { .index = (int)if_nametoindex(interface) };
	struct nl_cache *cache = NULL;
	struct nl_sock *sock = NULL;
	int rc = search.index == 0 ? -ENODEV : 0;

	if (rc == 0 && nl_addr_parse(address, AF_UNSPEC, &search.wanted) < 0)
		rc = -EINVAL;
	if (rc == 0)
		rc = open_socket(&sock);
	if (rc == 0)
		rc = from_nl(rtnl_addr_alloc_cache(sock, &cache));
	if (rc == 0)
		nl_cache_foreach(cache, match_address, &search);
	if (cache)
		nl_cache_free(cache);
	if (sock)
		nl_socket_free(sock);
	if (search.wanted)
		nl_addr_put(search.wanted);
	if (rc < 0)
		return err_errno(err, rc, "cannot look for %s on %s", address, interface);
	*ret_present = search.found;
	return 0;
}
