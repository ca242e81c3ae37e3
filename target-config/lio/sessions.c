// SPDX-License-Identifier: GPL-2.0-or-later
#include "target-config/lio/sessions.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "target-config/lio/cfs.h"
#include "target-config/lio/tree.h"

#define ISID_DIGITS 12

/* --- one text ----------------------------------------------------------------------------------------------------------*/

static const char *line_after(const char *line)
{
	const char *end = strchr(line, '\n');

	return end ? end + 1 : NULL;
}

static const char *line_with(const char *text, const char *label)
{
	size_t len = strlen(label);

	for (const char *line = text; line; line = line_after(line)) {
		if (strncmp(line, label, len) == 0 && strchr(line, '\n'))
			return line;
	}
	return NULL;
}

static const char *last_line_with(const char *text, const char *label)
{
	const char *last = NULL;

	for (const char *line = line_with(text, label); line; line = line_with(line_after(line), label))
		last = line;
	return last;
}

/* What stands after `label` in the line, up to one of `ends`; NULL: no such label in it. */
static char *between(const char *line, const char *label, const char *ends)
{
	size_t len = strcspn(line, "\n");
	const char *at = memmem(line, len, label, strlen(label));

	if (!at)
		return NULL;
	at += strlen(label);
	return xasprintf("%.*s", (int)strcspn(at, ends), at);
}

static bool number_after(const char *line, const char *label, uint64_t max, uint64_t *ret)
{
	_cleanup_free_ char *text = between(line, label, " \n");
	char *end;

	if (!text || text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return !errno && !*end && *ret <= max;
}

/* "0x00 02 3d 00 00 01": %6ph puts blanks between the bytes. */
static char *isid_of(const char *line)
{
	char isid[ISID_DIGITS + 1] = "";
	_cleanup_free_ char *bytes = between(line, "ISID: 0x", "\n");
	const char *at = bytes;
	size_t n = 0;

	for (; at && n < ISID_DIGITS; at++) {
		if (*at == ' ')
			continue;
		if (!*at || !strchr("0123456789abcdef", *at))
			return NULL;
		isid[n++] = *at;
	}
	return at ? xstrdup(isid) : NULL;
}

/* "TARG_SESS_STATE_LOGGED_IN", "TARG_SESS_FREE", "ERROR: Unknown Session State!" */
static char *state_after(const char *line, const char *label, const char *prefix, const char *short_prefix)
{
	_cleanup_free_ char *state = between(line, label, "\n");
	const char *s = state ? state : "";

	if (strncmp(s, prefix, strlen(prefix)) == 0)
		s += strlen(prefix);
	else if (strncmp(s, short_prefix, strlen(short_prefix)) == 0)
		s += strlen(short_prefix);
	else
		s = "";
	return xstrdup(*s ? s : "UNKNOWN");
}

/* Two lines each: "CID: 0  Connection State: TARG_CONN_STATE_LOGGED_IN\n   Address 10.0.0.9 TCP  StatSN: 0x...". Whatever is not TCP is
 * called SCTP there, which no kernel has a listener for: it is iSER. */
static void parse_connections(const char *text, struct lio_session *session)
{
	size_t cap = 0;

	for (const char *line = line_with(text, "CID: "); line; line = line_with(line_after(line), "CID: ")) {
		const char *second = line_after(line);
		_cleanup_free_ char *address = second && strchr(second, '\n') ? between(second, "   Address ", " \n") : NULL;
		_cleanup_free_ char *transport = NULL;
		struct lio_connection *connection;
		uint64_t cid;

		if (!address || !number_after(line, "CID: ", UINT16_MAX, &cid))
			continue;
		transport = between(second + strlen("   Address ") + strlen(address), " ", " \n");
		connection = array_push(session->connections, session->n_connections, cap);
		*connection = (struct lio_connection){ .cid = (uint16_t)cid, .is_tcp = transport && strcmp(transport, "TCP") == 0,
						       .address = steal_ptr(address),
						       .state = state_after(line, "Connection State: ", "TARG_CONN_STATE_", "TARG_CONN_") };
	}
}

int lio_session_parse(const char *info, struct lio_session *ret)
{
	struct lio_session session = { 0 };
	/* The alias is the host's own text and may have lines; what comes after it is the kernel's. */
	const char *name = line_with(info, "InitiatorName: "), *alias = line_with(info, "InitiatorAlias: "),
		   *ids = last_line_with(info, "LIO Session ID: "), *state = ids ? line_with(ids, "Session State: ") : NULL;
	uint64_t sid = 0, tsih = 0;

	if (strncmp(info, "No active", strlen("No active")) == 0)
		return -ENOENT;
	if (name != info || !state || !number_after(ids, "LIO Session ID: ", UINT32_MAX, &sid) ||
	    !number_after(ids, "TSIH: ", UINT16_MAX, &tsih))
		return -EBADMSG;
	session.isid = isid_of(ids);
	if (!session.isid)
		return -EBADMSG;
	session.sid = (uint32_t)sid;
	session.tsih = (uint16_t)tsih;
	session.initiator = between(name, "InitiatorName: ", "\n");
	session.alias = alias ? between(alias, "InitiatorAlias: ", "\n") : xstrdup("");
	session.state = state_after(state, "Session State: ", "TARG_SESS_STATE_", "TARG_SESS_");
	parse_connections(state, &session);
	*ret = session;
	return 0;
}

void lio_session_done(struct lio_session *session)
{
	for (size_t i = 0; i < session->n_connections; i++) {
		free(session->connections[i].state);
		free(session->connections[i].address);
	}
	for (size_t i = 0; i < session->n_luns; i++)
		free(session->luns[i].volume);
	cfs_names_free(session->portals, session->n_portals);
	free(session->connections);
	free(session->parameters);
	free(session->counters);
	free(session->luns);
	free(session->target);
	free(session->initiator);
	free(session->alias);
	free(session->isid);
	free(session->state);
	free(session->header_digest);
	free(session->data_digest);
	*session = (struct lio_session){ 0 };
}

void lio_sessions_done(struct lio_sessions *sessions)
{
	for (size_t i = 0; i < sessions->n; i++)
		lio_session_done(&sessions->items[i]);
	for (size_t i = 0; i < sessions->n_targets; i++)
		free(sessions->targets[i].target);
	free(sessions->items);
	free(sessions->targets);
	*sessions = (struct lio_sessions){ 0 };
}

/* --- reading ------------------------------------------------------------------------------------------------------------*/

/* A statistic or parameter: a decimal number. Others ("No Active iSCSI Session", or -ENODEV where a LUN is not mapped) are none. */
static int read_number(const struct lio_roots *roots, const char *dir, const char *name, uint64_t *ret)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
	_cleanup_free_ char *text = NULL;
	char *end;
	int rc = lio_read_attr(lio_cfs(roots), roots->configfs, path, LIO_FORM_PLAIN, &text);

	if (rc < 0)
		return rc;
	errno = 0;
	*ret = text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, 10) : 0;
	return errno || text[0] < '0' || text[0] > '9' || *end ? -ENODATA : 0;
}

static void read_values(const struct lio_roots *roots, const char *dir, const char *const *names, size_t n, struct lio_value **ret,
			size_t *ret_n)
{
	size_t cap = 0;
	uint64_t value;

	for (size_t i = 0; i < n; i++) {
		if (read_number(roots, dir, names[i], &value) == 0)
			*array_push(*ret, *ret_n, cap) = (struct lio_value){ names[i], value };
	}
}

/* The link to the portal group's LUN has the volume's name (target-config/lio/tree.c); another's link is none of ours. */
static void read_lun(const struct lio_roots *roots, const char *acl, const char *dir, struct lio_session *session, size_t *cap)
{
	_cleanup_free_ char *path = xasprintf("%s/%s/%s", roots->configfs, acl, dir);
	_cleanup_free_ char *statistics = xasprintf("%s/%s/statistics/scsi_auth_intr", acl, dir);
	struct lio_lun_io io = { .lun = (uint32_t)strtoul(dir + strlen("lun_"), NULL, 10) };
	struct cfs *cfs = lio_cfs(roots);
	char **links;
	size_t n;

	if (cfs->ops->list(cfs, path, CFS_LINK, &links, &n) < 0)
		return;
	if (n == 1 && read_number(roots, statistics, "num_cmds", &io.commands) == 0 &&
	    read_number(roots, statistics, "read_mbytes", &io.read_mib) == 0 &&
	    read_number(roots, statistics, "write_mbytes", &io.written_mib) == 0) {
		io.volume = xstrdup(links[0]);
		*array_push(session->luns, session->n_luns, *cap) = io;
	}
	cfs_names_free(links, n);
}

static void read_luns(const struct lio_roots *roots, const char *acl, struct lio_session *session)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", roots->configfs, acl);
	struct cfs *cfs = lio_cfs(roots);
	size_t n, cap = 0;
	char **dirs;

	if (cfs->ops->list(cfs, path, CFS_DIR, &dirs, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		if (strncmp(dirs[i], "lun_", strlen("lun_")) == 0)
			read_lun(roots, acl, dirs[i], session, &cap);
	}
	cfs_names_free(dirs, n);
}

static char *read_text(const struct lio_roots *roots, const char *tpg, const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", tpg, name);
	char *text = NULL;

	return lio_read_attr(lio_cfs(roots), roots->configfs, path, LIO_FORM_PLAIN, &text) < 0 ? xstrdup("") : text;
}

static void read_portals(const struct lio_roots *roots, const char *tpg, struct lio_session *session)
{
	_cleanup_free_ char *path = xasprintf("%s/%s/np", roots->configfs, tpg);
	struct cfs *cfs = lio_cfs(roots);

	if (cfs->ops->list(cfs, path, CFS_DIR, &session->portals, &session->n_portals) < 0)
		session->n_portals = 0;
}

static void read_details(const struct lio_roots *roots, struct lio_session *session)
{
	static const char *const parameters[] = { "MaxConnections", "InitialR2T", "ImmediateData", "MaxBurstLength", "FirstBurstLength",
						  "DefaultTime2Wait", "DefaultTime2Retain", "MaxOutstandingR2T", "DataPDUInOrder",
						  "DataSequenceInOrder", "ErrorRecoveryLevel" };
	static const char *const counters[] = { "cmd_pdus", "rsp_pdus", "txdata_octs", "rxdata_octs", "conn_digest_errors",
						"conn_timeout_errors" };
	_cleanup_free_ char *tpg = lio_tpg_dir(session->target, session->tpgt);
	_cleanup_free_ char *acl = lio_acl_dir(session->target, session->tpgt, session->initiator);
	_cleanup_free_ char *param = xasprintf("%s/param", acl);
	_cleanup_free_ char *statistics = xasprintf("%s/fabric_statistics/iscsi_sess_stats", acl);

	read_values(roots, param, parameters, ARRAY_SIZE(parameters), &session->parameters, &session->n_parameters);
	read_values(roots, statistics, counters, ARRAY_SIZE(counters), &session->counters, &session->n_counters);
	read_luns(roots, acl, session);
	read_portals(roots, tpg, session);
	session->header_digest = read_text(roots, tpg, "param/HeaderDigest");
	session->data_digest = read_text(roots, tpg, "param/DataDigest");
}

static int read_session(const struct lio_roots *roots, const char *target, uint32_t tpgt, const char *initiator, struct lio_session *ret)
{
	_cleanup_free_ char *acl = lio_acl_dir(target, tpgt, initiator);
	_cleanup_free_ char *path = xasprintf("%s/%s/info", roots->configfs, acl);
	_cleanup_free_ char *info = NULL;
	struct cfs *cfs = lio_cfs(roots);
	struct lio_session session = { 0 };
	int rc = cfs->ops->read(cfs, path, &info);

	rc = rc ? rc : lio_session_parse(info, &session);
	if (rc < 0)
		return rc;
	*ret = session;
	ret->target = xstrdup(target);
	ret->tpgt = tpgt;
	/* The ACL's own name: that is where the rest is to be found. */
	free(ret->initiator);
	ret->initiator = xstrdup(initiator);
	return 0;
}

int lio_session_read(const struct lio_roots *roots, const char *target, uint32_t tpgt, const char *initiator, struct lio_session *ret)
{
	_cleanup_free_ char *tpg = lio_tpg_dir(target, tpgt);
	int rc = read_session(roots, target, tpgt, initiator, ret);

	if (rc == 0)
		read_portals(roots, tpg, ret);
	return rc;
}

/* *n_own: sessions of the agent itself, which is no host. */
static int read_tpg(const struct lio_roots *roots, const char *iqn, uint32_t tpgt, struct lio_sessions *sessions, size_t *n_own)
{
	_cleanup_free_ char *tpg = lio_tpg_dir(iqn, tpgt);
	_cleanup_free_ char *acls = xasprintf("%s/%s/acls", roots->configfs, tpg);
	struct cfs *cfs = lio_cfs(roots);
	char **names;
	size_t n;
	int rc = cfs->ops->list(cfs, acls, CFS_DIR, &names, &n);

	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	for (size_t i = 0; i < n; i++) {
		struct lio_session session;

		if (read_session(roots, iqn, tpgt, names[i], &session) < 0) /* nobody, or the ACL has just gone */
			continue;
		if (strcmp(names[i], CONFIG_HEALTH_INITIATOR) == 0) {
			(*n_own)++;
			lio_session_done(&session);
		} else {
			*array_push(sessions->items, sessions->n, sessions->cap) = session;
		}
	}
	cfs_names_free(names, n);
	return 0;
}

static char *port_acl_dir(const struct config_target *target, const char *port, const char *initiator)
{
	_cleanup_free_ char *tpg = lio_port_tpg_dir(target, port);

	return xasprintf("%s/acls/%s", tpg, initiator);
}

/* target_stat_iport_indx_show(): ENODEV if there is none. Any mapped LUN tells. */
bool lio_acl_has_session(struct cfs *cfs, const char *root, const char *acl)
{
	_cleanup_free_ char *path = lio_path(root, acl);
	bool found = false;
	char **dirs;
	size_t n;

	if (cfs->ops->list(cfs, path, CFS_DIR, &dirs, &n) < 0)
		return false;
	for (size_t i = 0; i < n && !found; i++) {
		_cleanup_free_ char *index = xasprintf("%s/%s/statistics/scsi_att_intr_port/indx", path, dirs[i]), *text = NULL;

		found = strncmp(dirs[i], "lun_", strlen("lun_")) == 0 && cfs->ops->read(cfs, index, &text) == 0;
	}
	cfs_names_free(dirs, n);
	return found;
}

bool lio_port_logged_in(const struct lio_roots *roots, const struct config_target *target, const char *name, const char *initiator)
{
	_cleanup_free_ char *acl = port_acl_dir(target, name, initiator);

	return lio_acl_has_session(lio_cfs(roots), roots->configfs, acl);
}

static void add_port_session(const struct lio_roots *roots, const struct config_target *target, const struct config_portal *portal,
			    const char *initiator, struct lio_sessions *sessions)
{
	_cleanup_free_ char *acl = port_acl_dir(target, portal->address, initiator);
	struct lio_session *session = array_push(sessions->items, sessions->n, sessions->cap);

	*session = (struct lio_session){
		.target = xstrdup(target->name), .tpgt = portal->nodeid, .initiator = xstrdup(initiator), .alias = xstrdup(""),
		.isid = xstrdup(""), .state = xstrdup("LOGGED_IN"), .header_digest = xstrdup(""), .data_digest = xstrdup(""),
		.portals = xcalloc(1, sizeof(*session->portals)), .n_portals = 1 };
	session->portals[0] = xstrdup(portal->address);
	read_luns(roots, acl, session);
}

static void read_ports(const struct lio_roots *roots, const struct config_target *target, struct lio_sessions *sessions)
{
	struct cfs *cfs = lio_cfs(roots);

	for (size_t i = 0; i < target->n_portals; i++) {
		const struct config_portal *portal = &target->portals[i];
		_cleanup_free_ char *tpg = lio_port_tpg_dir(target, portal->address);
		_cleanup_free_ char *acls = xasprintf("%s/%s/acls", roots->configfs, tpg);
		char **names;
		size_t n;

		if (cfs->ops->list(cfs, acls, CFS_DIR, &names, &n) < 0) /* a port that is not here */
			continue;
		for (size_t k = 0; k < n; k++) {
			if (lio_port_logged_in(roots, target, portal->address, names[k]))
				add_port_session(roots, target, portal, names[k], sessions);
		}
		cfs_names_free(names, n);
	}
}

static int read_target(const struct lio_roots *roots, const struct config *config, const char *iqn, struct lio_sessions *sessions)
{
	_cleanup_free_ char *statistics = xasprintf("iscsi/%s/fabric_statistics/iscsi_instance", iqn);
	size_t before = sessions->n, n_own = 0;
	uint64_t total = 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < config->n_nodes; i++)
		rc = read_tpg(roots, iqn, config->nodes[i].nodeid, sessions, &n_own);
	if (rc < 0)
		return rc;
	if (read_number(roots, statistics, "sessions", &total) < 0)
		total = sessions->n - before + n_own;
	total -= MIN(total, n_own); /* read a moment later */
	*array_push(sessions->targets, sessions->n_targets, sessions->cap_targets) =
		(struct lio_target_sessions){ xstrdup(iqn), total, sessions->n - before };
	return 0;
}

int lio_sessions_read(const struct lio_roots *roots, const struct config *config, lio_wants_fn *details, void *ctx,
		      struct lio_sessions *ret)
{
	struct lio_sessions sessions = { 0 };
	int rc = 0;

	for (size_t t = 0; rc == 0 && t < config->n_targets; t++) {
		if (!config_target_is_iscsi(&config->targets[t]))
			read_ports(roots, &config->targets[t], &sessions);
		else
			rc = read_target(roots, config, config->targets[t].name, &sessions);
	}
	for (size_t i = 0; rc == 0 && details && i < sessions.n; i++) {
		if (sessions.items[i].isid[0] && details(ctx, &sessions.items[i]))
			read_details(roots, &sessions.items[i]);
	}
	if (rc < 0)
		lio_sessions_done(&sessions);
	else
		*ret = sessions;
	return rc;
}

int lio_volume_io_read(const struct lio_roots *roots, const char *volume, struct lio_volume_io *ret)
{
	_cleanup_free_ char *dir = xasprintf(LIO_HBA "/%s/statistics/scsi_lu", volume);
	struct lio_volume_io io;
	int rc = read_number(roots, dir, "num_cmds", &io.commands);

	rc = rc ? rc : read_number(roots, dir, "read_mbytes", &io.read_mib);
	rc = rc ? rc : read_number(roots, dir, "write_mbytes", &io.written_mib);
	rc = rc ? rc : read_number(roots, dir, "resets", &io.resets);
	if (rc == 0)
		*ret = io;
	return rc;
}
