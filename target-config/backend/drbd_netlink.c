// SPDX-License-Identifier: GPL-2.0-or-later
#include "target-config/backend/drbd_netlink.h"

#include <errno.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

/* linux/drbd_genl.h and linux/drbd_genl_api.h, which no package for programs carries. */
#define FAMILY "drbd"
#define FAMILY_VERSION 1 /* DRBD 9 has 2 */
#define MANDATORY (1 << 14)
#define NO_MINOR UINT32_MAX
#define NO_ERROR 101
#define CODE_BASE 100

struct drbd_genlmsghdr {
	uint32_t minor;
	union {
		uint32_t flags;
		int32_t ret_code;
	};
};

enum { ADM_DISCONNECT = 11, ADM_PRIMARY = 14, ADM_SECONDARY = 15, ADM_RESUME_IO = 24 };
enum { NLA_CFG_REPLY = 1, NLA_CFG_CONTEXT = 2, NLA_DISCONNECT_PARMS = 12 };
enum { CFG_REPLY_INFO_TEXT = 1 };
enum { CFG_CONTEXT_MY_ADDR = 3, CFG_CONTEXT_PEER_ADDR = 4 };
enum { DISCONNECT_FORCE = 1 };

DEFINE_CLEANUP(struct nl_sock *, nl_socket_free);
DEFINE_CLEANUP(struct nl_msg *, nlmsg_free);

bool drbd_answer_ok(const struct drbd_answer *answer)
{
	return answer->code == NO_ERROR || (answer->code > 0 && answer->code < CODE_BASE);
}

static int open_family(struct nl_sock **ret_sock, int *ret_family)
{
	_cleanup_(nl_socket_freep) struct nl_sock *sock = nl_socket_alloc();
	int family;

	if (!sock)
		return -ENOMEM;
	if (genl_connect(sock) < 0)
		return -EOPNOTSUPP;
	family = genl_ctrl_resolve(sock, FAMILY);
	if (family < 0)
		return -EOPNOTSUPP;
	/* The answer is all there is: an acknowledgement after it would be left in the queue. */
	nl_socket_disable_auto_ack(sock);
	*ret_sock = steal_ptr(sock);
	*ret_family = family;
	return 0;
}

static int new_request(int family, uint8_t command, uint32_t minor, struct nl_msg **ret_msg)
{
	struct nl_msg *msg = nlmsg_alloc();
	struct drbd_genlmsghdr *header;

	if (!msg)
		return -ENOMEM;
	header = genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, sizeof(*header), NLM_F_REQUEST, command, FAMILY_VERSION);
	if (!header) {
		nlmsg_free(msg);
		return -ENOMEM;
	}
	header->minor = minor;
	header->flags = 0;
	*ret_msg = msg;
	return 0;
}

struct reception {
	struct drbd_answer *answer;
	bool valid;
};

static void take_info(struct nlattr *attrs, int len, char *ret, size_t size)
{
	struct nlattr *reply = nla_find(attrs, len, NLA_CFG_REPLY);
	struct nlattr *text = reply ? nla_find(nla_data(reply), nla_len(reply), CFG_REPLY_INFO_TEXT) : NULL;

	if (text)
		snprintf(ret, size, "%.*s", nla_len(text), (const char *)nla_data(text));
}

static int take_answer(struct nl_msg *msg, void *ctx)
{
	struct reception *reception = ctx;
	struct nlmsghdr *nlh = nlmsg_hdr(msg);
	const struct drbd_genlmsghdr *header;
	struct genlmsghdr *genl;

	if (!genlmsg_valid_hdr(nlh, sizeof(*header)))
		return NL_SKIP;
	genl = genlmsg_hdr(nlh);
	header = genlmsg_user_hdr(genl);
	reception->answer->code = header->ret_code;
	take_info(genlmsg_attrdata(genl, sizeof(*header)), genlmsg_attrlen(genl, sizeof(*header)), reception->answer->info,
		  sizeof(reception->answer->info));
	reception->valid = true;
	return NL_STOP;
}

/* The kernel works on the request inside of the send; when that returns, its answer is in the socket's queue. */
static int ask(struct nl_sock *sock, struct nl_msg *msg, struct drbd_answer *ret)
{
	struct reception reception = { .answer = ret };
	int rc;

	*ret = (struct drbd_answer){ 0 };
	rc = nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, take_answer, &reception);
	if (rc == 0)
		rc = nl_socket_set_nonblocking(sock);
	if (rc == 0)
		rc = nl_send_auto(sock, msg);
	if (rc >= 0)
		rc = nl_recvmsgs_default(sock);
	if (rc == -NLE_PERM)
		return -EPERM;
	return rc >= 0 && reception.valid ? 0 : -EIO;
}

static int ask_minor(uint8_t command, uint32_t minor, struct drbd_answer *ret)
{
	_cleanup_(nl_socket_freep) struct nl_sock *sock = NULL;
	_cleanup_(nlmsg_freep) struct nl_msg *msg = NULL;
	int family;
	int rc = open_family(&sock, &family);

	if (rc == 0)
		rc = new_request(family, command, minor, &msg);
	return rc < 0 ? rc : ask(sock, msg, ret);
}

int drbd_netlink_set_role(uint32_t minor, bool primary, struct drbd_answer *ret)
{
	return ask_minor(primary ? ADM_PRIMARY : ADM_SECONDARY, minor, ret);
}

int drbd_netlink_resume_io(uint32_t minor, struct drbd_answer *ret)
{
	return ask_minor(ADM_RESUME_IO, minor, ret);
}

static int put_connection(struct nl_msg *msg, const struct sockaddr *local, socklen_t local_len, const struct sockaddr *remote,
			  socklen_t remote_len)
{
	struct nlattr *nest = nla_nest_start(msg, NLA_CFG_CONTEXT);

	if (!nest || nla_put(msg, CFG_CONTEXT_MY_ADDR | MANDATORY, (int)local_len, local) < 0 ||
	    nla_put(msg, CFG_CONTEXT_PEER_ADDR | MANDATORY, (int)remote_len, remote) < 0)
		return -ENOMEM;
	nla_nest_end(msg, nest);
	nest = nla_nest_start(msg, NLA_DISCONNECT_PARMS);
	if (!nest || nla_put_u8(msg, DISCONNECT_FORCE | MANDATORY, 1) < 0)
		return -ENOMEM;
	nla_nest_end(msg, nest);
	return 0;
}

int drbd_netlink_disconnect(const struct sockaddr *local, socklen_t local_len, const struct sockaddr *remote, socklen_t remote_len,
			    struct drbd_answer *ret)
{
	_cleanup_(nl_socket_freep) struct nl_sock *sock = NULL;
	_cleanup_(nlmsg_freep) struct nl_msg *msg = NULL;
	int family;
	int rc = open_family(&sock, &family);

	if (rc == 0)
		rc = new_request(family, ADM_DISCONNECT, NO_MINOR, &msg);
	if (rc == 0)
		rc = put_connection(msg, local, local_len, remote, remote_len);
	return rc < 0 ? rc : ask(sock, msg, ret);
}
