/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is logged in at this node's target, and what was read and written, as the kernel tells it:
 *
 *   acls/<initiator>/info              the session, its connections (lio_target_nacl_info_show)
 *   acls/<initiator>/param/            what was negotiated for it (iscsi_nacl_param_*_show)
 *   acls/<initiator>/fabric_statistics/iscsi_sess_stats/   its PDUs, bytes and errors (iscsi_stat_sess_*_show)
 *   acls/<initiator>/lun_<n>/statistics/scsi_auth_intr/    a host's commands to a volume by this path (target_stat_auth_*_show)
 *   acls/<initiator>/lun_<n>/statistics/scsi_att_intr_port/indx   not iSCSI: there is a session, which is all that is told of it
 *   core/<hba>/<volume>/statistics/scsi_lu/                all commands to a volume (target_stat_lu_*_show)
 *
 * The kernel shows one session for each initiator and portal group, the last that logged in (se_node_acl.nacl_sess); how many there
 * are it tells for the whole target only. It does not show when a session began, nor the digests of its connections.
 * Reading takes nacl_sess_lock, a spinlock that logins and logouts take too: on demand, never all the time; and in a worker.
 */
#ifndef TARGET_CONFIG_LIO_SESSIONS_H
#define TARGET_CONFIG_LIO_SESSIONS_H

#include "target-config/lio/lio.h"

struct lio_connection {
	uint16_t cid;
	char *state;   /* "LOGGED_IN": as the kernel says it, without TARG_CONN_STATE_ */
	char *address; /* the host's end, numeric; there is no port */
	bool is_tcp;   /* else iSER */
};

struct lio_value { /* "MaxBurstLength" */
	const char *name; /* static */
	uint64_t value;
};

struct lio_lun_io {
	char *volume;
	uint32_t lun;
	uint64_t commands, read_mib, written_mib;
};

struct lio_session {
	char *target;
	uint32_t tpgt; /* the node whose port it is */
	char *initiator;
	char *alias; /* "": none */
	uint32_t sid; /* grows with each login to the portal group */
	char *isid;   /* 12 hex digits; "": not by iSCSI, and there are no ids, connections or parameters */
	uint16_t tsih;
	char *state; /* "LOGGED_IN", "FAILED", ... without TARG_SESS_STATE_ */
	struct lio_connection *connections;
	size_t n_connections;
	/* with details */
	struct lio_value *parameters, *counters;
	size_t n_parameters, n_counters;
	struct lio_lun_io *luns;
	size_t n_luns;
	char *header_digest, *data_digest; /* what its portal group offers; "": not to be read */
	char **portals; /* of its portal group, one of which it came by: "10.77.0.1:3260", "[fd00::1]:3260", as configfs names them; else its GID or WWPN */
	size_t n_portals;
};

struct lio_target_sessions {
	char *target;
	size_t n_total; /* as the kernel counts, less the agent's own */
	size_t n_shown;
};

struct lio_sessions {
	struct lio_session *items;
	size_t n, cap;
	struct lio_target_sessions *targets;
	size_t n_targets, cap_targets;
};

/* What a kernel prints of one ACL. 0 and a session without target, tpgt and details; -ENOENT: nobody is logged in; -EBADMSG: no such text.
 * What is cut off at the end (the kernel stops after a page) is left out. Pure. */
int lio_session_parse(const char *info, struct lio_session *ret) must_check;
void lio_session_done(struct lio_session *session);

/* All sessions of hosts with the document's targets. `details` (may be NULL): for whom the rest is read too. */
typedef bool lio_wants_fn(void *ctx, const struct lio_session *session);
int lio_sessions_read(const struct lio_roots *roots, const struct config *config, lio_wants_fn *details, void *ctx,
		      struct lio_sessions *ret) must_check;
void lio_sessions_done(struct lio_sessions *sessions);
/* The one that `info` shows now, with portals, without other details; errors as lio_session_parse() has them. */
int lio_session_read(const struct lio_roots *roots, const char *target, uint32_t tpgt, const char *initiator,
		     struct lio_session *ret) must_check;

/* Whether the initiator is logged in at the target's port of that name, if that is this node's. */
bool lio_port_logged_in(const struct lio_roots *roots, const struct config_target *target, const char *name, const char *initiator);

struct lio_volume_io {
	uint64_t commands, read_mib, written_mib, resets;
};

/* Since the backstore was made on this node. -ENOENT: there is none. */
int lio_volume_io_read(const struct lio_roots *roots, const char *volume, struct lio_volume_io *ret) must_check;

#endif
