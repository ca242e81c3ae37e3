// SPDX-License-Identifier: GPL-2.0-or-later
#include "target-config/backend/drbd.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/run_cmd.h"
#include "base/xalloc.h"
#include "target-config/backend/drbd_conf.h"
#include "target-config/backend/drbd_netlink.h"
#include "target-config/backend/paths.h"

#define SHORT_MS 10000
#define ADM_MS 120000 /* apply-al and attach read the whole bitmap */
/* While DRBD waits for the handler, drbdsetup cannot be killed; it answers within the handler's own limit or not at all. */
#define ROLE_MS 60000

/* The number in "10: State change failed: (-12) Device is held open by someone"; 0 if there is none. */
static int kernel_code(const struct err *err)
{
	const char *at = strstr(err->text, "failed: (");

	if (!at)
		at = strstr(err->text, "Failure: (");
	return at ? (int)strtol(strchr(at, '(') + 1, NULL, 10) : 0; /* 0 also for no number: no code we know */
}

/* enum drbd_state_rv and enum drbd_ret_code (linux/drbd.h) that a caller acts upon. */
static const struct {
	int kernel, code;
	const char *text;
} codes[] = {
	{ -1, -EBUSY, "the peer is primary" },				     /* SS_TWO_PRIMARIES */
	{ -2, -ENODATA, "no copy is up to date" },			     /* SS_NO_UP_TO_DATE_DISK */
	{ -7, -EPERM, "the cluster has not agreed that the peer's copy is outdated" }, /* SS_PRIMARY_NOP: the handler said no */
	{ -12, -EBUSY, "it is held open" },				     /* SS_DEVICE_IN_USE */
	{ -20, -EBUSY, "the peer's copy of another volume is primary" },     /* SS_O_VOL_PEER_PRI */
	{ 130, -EAGAIN, "a resync runs" },				     /* ERR_RESIZE_RESYNC */
	{ 131, -EAGAIN, "no node is primary" },				     /* ERR_NO_PRIMARY */
	{ 151, -EAGAIN, "it is connected" },				     /* ERR_CONNECTED */
};

static int code_of(int kernel, const char **ret_text)
{
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		if (kernel == codes[i].kernel) {
			*ret_text = codes[i].text;
			return codes[i].code;
		}
	}
	*ret_text = "refused";
	return -EREMOTEIO;
}

static int setup(struct err *err, int deadline_ms, const char *command, uint32_t minor, const char *option)
{
	_cleanup_free_ char *number = xasprintf("%u", minor);
	struct err own = ERR_INIT;
	int rc = run_cmdl(&own, deadline_ms, "drbdsetup", command, number, option, NULL);
	const char *ignored;

	if (rc == -EREMOTEIO)
		rc = code_of(kernel_code(&own), &ignored);
	return rc < 0 ? err_set(err, rc, "%s", own.text) : 0;
}

/* What the kernel said to a request over netlink (`rc`: whether it said anything). */
static int judge(int rc, const struct drbd_answer *answer, const char *request, const char *object, struct err *err)
{
	const char *text;
	int code;

	if (rc < 0)
		return err_errno(err, rc, "DRBD: %s %s", request, object);
	if (drbd_answer_ok(answer))
		return 0;
	code = code_of(answer->code, &text);
	return err_set(err, code, "DRBD: %s %s: %s (%d)", request, object, answer->info[0] ? answer->info : text, answer->code);
}

/* 8.4 is asked over netlink: a process costs as much as all the rest of a role change. */
static bool is_84(void)
{
	_cleanup_free_ char *path = backend_path("/sys/module/drbd/version");
	_cleanup_free_ char *version = NULL;

	return file_read(path, 64, &version, NULL) == 0 && strncmp(version, "8.4", 3) == 0;
}

int drbd_set_role(uint32_t minor, bool primary, struct err *err)
{
	const char *request = primary ? "primary" : "secondary";
	struct drbd_answer answer;
	char object[16];
	int rc = is_84() ? drbd_netlink_set_role(minor, primary, &answer) : -EOPNOTSUPP;

	if (rc == -EOPNOTSUPP)
		return setup(err, ROLE_MS, request, minor, NULL);
	snprintf(object, sizeof(object), "drbd%u", minor);
	return judge(rc, &answer, request, object, err);
}

/* " 3: cs:Connected ro:Secondary/Primary ds:UpToDate/UpToDate C r-----" (drbd_proc.c, drbd_seq_show) */
int drbd_proc_line(const char *text, uint32_t minor, struct drbd_proc_state *ret)
{
	_cleanup_free_ char *head = xasprintf("\n%2u: cs:", minor);
	const char *at = strstr(text, head);
	struct drbd_proc_state state;

	if (strncmp(text, "version: 8.", 11) != 0)
		return -EOPNOTSUPP; /* later ones show no devices there */
	if (!at)
		return -ENODEV;
	if (sscanf(at + strlen(head), "%19s ro:%*[A-Za-z]/%*[A-Za-z] ds:%15[A-Za-z]/", state.connection, state.disk) != 2)
		return -ENODEV; /* "cs:Unconfigured" stands alone */
	*ret = state;
	return 0;
}

int drbd_resume_io(uint32_t minor, struct err *err)
{
	struct drbd_answer answer;
	char object[16];
	int rc = is_84() ? drbd_netlink_resume_io(minor, &answer) : -EOPNOTSUPP;

	if (rc == -EOPNOTSUPP)
		return setup(err, SHORT_MS, "resume-io", minor, NULL);
	snprintf(object, sizeof(object), "drbd%u", minor);
	return judge(rc, &answer, "resume-io", object, err);
}

int drbd_declare_equal(uint32_t minor, struct err *err)
{
	return setup(err, SHORT_MS, "new-current-uuid", minor, "--clear-bitmap");
}

int drbd_resize(uint32_t minor, struct err *err)
{
	return setup(err, ADM_MS, "resize", minor, NULL);
}

int drbd_remember_size(uint32_t minor, struct err *err)
{
	return setup(err, SHORT_MS, "check-resize", minor, NULL);
}

/* As drbdsetup makes it, byte by byte: the kernel compares so (conn_get_by_addrs()). */
static int endpoint_sockaddr(const struct drbd_endpoint *endpoint, struct sockaddr_storage *ret, socklen_t *ret_len)
{
	const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM };
	struct addrinfo *info;
	char port[8];

	snprintf(port, sizeof(port), "%u", endpoint->port);
	if (getaddrinfo(endpoint->address, port, &hints, &info) != 0)
		return -EINVAL;
	memset(ret, 0, sizeof(*ret));
	memcpy(ret, info->ai_addr, info->ai_addrlen);
	*ret_len = info->ai_addrlen;
	freeaddrinfo(info);
	return 0;
}

int drbd_disconnect(const struct drbd_endpoint *local, const struct drbd_endpoint *remote, struct err *err)
{
	_cleanup_free_ char *from = drbd_conf_endpoint(local->address, local->port);
	_cleanup_free_ char *to = drbd_conf_endpoint(remote->address, remote->port);
	struct sockaddr_storage from_addr, to_addr;
	socklen_t from_len, to_len;
	struct drbd_answer answer;
	int rc = -EOPNOTSUPP;

	if (is_84() && endpoint_sockaddr(local, &from_addr, &from_len) == 0 && endpoint_sockaddr(remote, &to_addr, &to_len) == 0)
		rc = drbd_netlink_disconnect((struct sockaddr *)&from_addr, from_len, (struct sockaddr *)&to_addr, to_len, &answer);
	if (rc == -EOPNOTSUPP)
		return run_cmdl(err, SHORT_MS, "drbdsetup", "disconnect", from, to, "--force", NULL);
	return judge(rc, &answer, "disconnect", to, err);
}

int drbd_load_module(struct err *err)
{
	_cleanup_free_ char *path = backend_path("/sys/module/drbd");

	return access(path, F_OK) == 0 ? 0 : run_cmdl(err, SHORT_MS, "modprobe", "drbd", NULL);
}

int drbd_create_metadata(uint32_t minor, const char *device, struct err *err)
{
	_cleanup_free_ char *number = xasprintf("%u", minor);

	return run_cmdl(err, ADM_MS, "drbdmeta", "--force", number, "v08", device, "internal", "create-md", NULL);
}

int drbd_adjust(const char *resource, struct err *err)
{
	return run_cmdl(err, ADM_MS, "drbdadm", "adjust", resource, NULL);
}

int drbd_detach(uint32_t minor, struct err *err)
{
	_cleanup_free_ char *number = xasprintf("%u", minor);

	return run_cmdl(err, SHORT_MS, "drbdsetup", "detach", number, NULL);
}

int drbd_snapshot(const char *resource, struct drbd_table **ret_table, struct err *err)
{
	const char *argv[] = { "drbdsetup", "events2", "--now", "--statistics", resource, NULL };
	struct run_cmd cmd = { .argv = argv, .deadline_ms = SHORT_MS };
	struct drbd_table *table = drbd_table_new();
	_cleanup_free_ char *output = NULL;
	int rc;

	rc = run_cmd(&cmd, &output, NULL, err);
	for (char *save = NULL, *line = rc < 0 ? NULL : strtok_r(output, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (drbd_table_line(table, line) == -EINVAL)
			rc = err_set(err, -EBADMSG, "drbdsetup events2: cannot read \"%.100s\"", line);
	if (rc == 0 && !drbd_table_is_complete(table))
		rc = err_set(err, -EBADMSG, "drbdsetup events2: ended too early");
	if (rc < 0)
		drbd_table_free(table);
	else
		*ret_table = table;
	return rc;
}
