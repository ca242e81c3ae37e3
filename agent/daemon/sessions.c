// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/sessions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/daemon/work.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "target-config/lio/sessions.h"
#include "target-config/portal/cut.h"

#define READ_LIMIT_MS 10000
#define DROP_LIMIT_MS 10000 /* until the kernel has ended what was cut */
#define DROP_LATE_MS (3 * DROP_LIMIT_MS)
#define LOOK_MS 20

/* What the kernel does not tell: since when. */
struct seen {
	char *key;
	int64_t since_ms; /* wall clock */
};

/* One look at the kernel, for one request. */
struct reading {
	struct reading *next; /* waits */
	struct agent *agent;
	struct ctl_request *request; /* NULL: was told that it takes too long */
	struct config_ref *ref;
	struct lio_roots roots;
	const struct config_host *host; /* of ref; NULL: all */
	const char *initiator;          /* of ref; NULL: all of host */
	const struct config_volume *volume;
	bool only_counters;
	struct lio_sessions sessions;
	json_t *answer;
};

/* One at a time: a kernel that hangs shall not collect threads. */
struct sessions {
	struct reading *running, *first, **last;
	bool late;
	bool dropping;
	struct seen *seen;
	size_t n_seen;
};

static struct sessions *sessions_of(struct agent *agent)
{
	if (!agent->sessions) {
		agent->sessions = xcalloc(1, sizeof(*agent->sessions));
		agent->sessions->last = &agent->sessions->first;
	}
	return agent->sessions;
}

/* --- whom it is about --------------------------------------------------------------------------------------------------*/

static const char *own_initiator(const struct config_host *host, const char *name)
{
	for (size_t i = 0; i < host->n_initiators; i++) {
		if (strcmp(host->initiators[i], name) == 0)
			return host->initiators[i];
	}
	return NULL;
}

static const struct config_host *host_of_initiator(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->n_hosts; i++) {
		if (own_initiator(&config->hosts[i], name))
			return &config->hosts[i];
	}
	return NULL;
}

/* *ret_initiator: NULL if all of the host's are meant. */
static int find_host(const struct config *config, const char *name, const struct config_host **ret_host, const char **ret_initiator,
		     struct err *err)
{
	*ret_host = config_host_by_name(config, name);
	*ret_initiator = NULL;
	if (*ret_host)
		return 0;
	*ret_host = host_of_initiator(config, name);
	if (!*ret_host)
		return err_set(err, -ENOENT, "no host and no initiator \"%.64s\" in the document", name);
	*ret_initiator = own_initiator(*ret_host, name);
	return 0;
}

/* --- reading, in a worker ----------------------------------------------------------------------------------------------*/

static json_t *text(const char *s)
{
	json_t *string = json_string(s);

	return string ? string : json_string("?"); /* a host's alias need not be UTF-8 */
}

static json_t *connections_json(const struct lio_session *session)
{
	json_t *array = json_array();

	for (size_t i = 0; i < session->n_connections; i++) {
		const struct lio_connection *c = &session->connections[i];

		json_array_append_new(array, json_pack("{s:i, s:o, s:o, s:s}", "cid", c->cid, "state", text(c->state), "address",
						       text(c->address), "transport", c->is_tcp ? "tcp" : "iser"));
	}
	return array;
}

static json_t *values_json(const struct lio_value *values, size_t n)
{
	json_t *object = json_object();

	for (size_t i = 0; i < n; i++)
		json_object_set_new(object, values[i].name, json_integer((json_int_t)values[i].value));
	return object;
}

static json_t *luns_json(const struct lio_session *session, const char *volume)
{
	json_t *array = json_array();

	for (size_t i = 0; i < session->n_luns; i++) {
		const struct lio_lun_io *io = &session->luns[i];

		if (volume && strcmp(io->volume, volume) != 0)
			continue;
		json_array_append_new(array, json_pack("{s:s, s:I, s:I, s:I, s:I}", "volume", io->volume, "lun", (json_int_t)io->lun,
						       "commands", (json_int_t)io->commands, "read_mib", (json_int_t)io->read_mib,
						       "written_mib", (json_int_t)io->written_mib));
	}
	return array;
}

/* What was agreed the kernel does not show; where nothing but None is offered it can only be that. */
static json_t *digest(const char *offered)
{
	return strcmp(offered, "None") == 0 ? json_string(offered) : json_null();
}

static json_t *session_json(const struct reading *reading, const struct lio_session *session, json_t *luns)
{
	const struct config *config = reading->ref->config;
	const struct config_host *host = host_of_initiator(config, session->initiator);
	json_t *portals = json_array();

	for (size_t i = 0; i < session->n_portals; i++)
		json_array_append_new(portals, text(session->portals[i]));
	return json_pack("{s:s?, s:s, s:o, s:s, s:I, s:s, s:o, s:I, s:s, s:i, s:o, s:o, s:o, s:o, s:{s:o, s:o}, s:{s:s, s:s}, s:o}",
			 "host",
			 host ? host->name : NULL, "initiator", session->initiator, "alias", text(session->alias), "target", session->target,
			 "portal_group", (json_int_t)session->tpgt, "port_of", config_node_name(config, session->tpgt), "portals", portals,
			 "session_id", (json_int_t)session->sid, "isid", session->isid, "tsih", (int)session->tsih, "state",
			 text(session->state), "connections", connections_json(session), "parameters",
			 values_json(session->parameters, session->n_parameters), "counters",
			 values_json(session->counters, session->n_counters), "digests", "header", digest(session->header_digest),
			 "data", digest(session->data_digest), "digests_offered", "header", session->header_digest, "data",
			 session->data_digest, "luns", luns);
}

static bool is_wanted(void *ctx, const struct lio_session *session)
{
	const struct reading *reading = ctx;

	if (reading->initiator)
		return strcmp(reading->initiator, session->initiator) == 0;
	return !reading->host || own_initiator(reading->host, session->initiator);
}

static json_t *sessions_json(struct reading *reading)
{
	const char *volume = reading->volume ? reading->volume->name : NULL;
	json_t *array = json_array();

	for (size_t i = 0; i < reading->sessions.n; i++) {
		const struct lio_session *session = &reading->sessions.items[i];
		json_t *luns = luns_json(session, volume);

		if (is_wanted(reading, session) && (!volume || json_array_size(luns) > 0))
			json_array_append_new(array, session_json(reading, session, luns));
		else
			json_decref(luns);
	}
	return array;
}

static bool is_mapped(const struct reading *reading, const struct config_volume *volume)
{
	const struct config *config = reading->ref->config;

	for (size_t i = 0; i < config->n_mappings; i++) {
		if (config->mappings[i].host == reading->host && config->mappings[i].volume == volume)
			return true;
	}
	return false;
}

static json_t *volumes_json(const struct reading *reading)
{
	const struct config *config = reading->ref->config;
	json_t *array = json_array();

	for (size_t i = 0; i < config->n_volumes; i++) {
		const struct config_volume *volume = &config->volumes[i];
		struct lio_volume_io io;

		if ((reading->volume && volume != reading->volume) || (reading->host && !is_mapped(reading, volume)) ||
		    lio_volume_io_read(&reading->roots, volume->name, &io) < 0)
			continue;
		json_array_append_new(array, json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "volume", volume->name, "group", volume->group->name,
						       "commands", (json_int_t)io.commands, "read_mib", (json_int_t)io.read_mib,
						       "written_mib", (json_int_t)io.written_mib, "resets", (json_int_t)io.resets));
	}
	return array;
}

static json_t *targets_json(const struct lio_sessions *sessions)
{
	json_t *array = json_array();

	for (size_t i = 0; i < sessions->n_targets; i++)
		json_array_append_new(array, json_pack("{s:s, s:I, s:I}", "target", sessions->targets[i].target, "sessions",
						       (json_int_t)sessions->targets[i].n_total, "shown",
						       (json_int_t)sessions->targets[i].n_shown));
	return array;
}

static int read_kernel(void *ctx, struct err *err)
{
	struct reading *reading = ctx;
	const struct config *config = reading->ref->config;
	int rc = lio_sessions_read(&reading->roots, config, reading->only_counters ? NULL : is_wanted, reading, &reading->sessions);

	if (rc < 0)
		return err_errno(err, rc, "cannot read the kernel target's sessions");
	reading->answer = json_pack("{s:s, s:o, s:o}", "node", config_node_name(config, agent_me(reading->agent)), "targets",
				    targets_json(&reading->sessions), "volumes", volumes_json(reading));
	if (!reading->only_counters)
		json_object_set_new(reading->answer, "sessions", sessions_json(reading));
	return 0;
}

/* --- since when, in the loop -------------------------------------------------------------------------------------------*/

static char *key_of(const char *target, long long tpgt, const char *initiator, long long sid)
{
	return xasprintf("%lld %lld %s %s", tpgt, sid, target, initiator);
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct seen *)a)->key, ((const struct seen *)b)->key);
}

static const struct seen *find_seen(const struct sessions *sessions, char *key)
{
	const struct seen wanted = { .key = key };

	return sessions->n_seen ? bsearch(&wanted, sessions->seen, sessions->n_seen, sizeof(wanted), by_key) : NULL;
}

/* Each reading sees all sessions, whatever was asked: those that are gone are forgotten. */
static void remember(struct sessions *sessions, const struct lio_sessions *now)
{
	struct seen *seen = xcalloc(now->n, sizeof(*seen));
	int64_t now_ms = clock_wall_ms();

	for (size_t i = 0; i < now->n; i++) {
		const struct lio_session *s = &now->items[i];
		const struct seen *known;

		seen[i].key = key_of(s->target, s->tpgt, s->initiator, s->sid);
		known = find_seen(sessions, seen[i].key);
		seen[i].since_ms = known ? known->since_ms : now_ms;
	}
	if (now->n > 1)
		qsort(seen, now->n, sizeof(*seen), by_key);
	for (size_t i = 0; i < sessions->n_seen; i++)
		free(sessions->seen[i].key);
	free(sessions->seen);
	sessions->seen = seen;
	sessions->n_seen = now->n;
}

static void add_since(const struct sessions *sessions, const json_t *array)
{
	json_t *item;
	size_t i;

	json_array_foreach (array, i, item) {
		_cleanup_free_ char *key = key_of(json_string_value(json_object_get(item, "target")),
						  json_integer_value(json_object_get(item, "portal_group")),
						  json_string_value(json_object_get(item, "initiator")),
						  json_integer_value(json_object_get(item, "session_id")));
		const struct seen *seen = find_seen(sessions, key);

		if (seen)
			json_object_set_new(item, "seen_since_ms", json_integer((json_int_t)seen->since_ms));
	}
}

/* --- one after the other -----------------------------------------------------------------------------------------------*/

static void free_reading(struct reading *reading)
{
	lio_sessions_done(&reading->sessions);
	json_decref(reading->answer);
	config_ref_put(reading->ref);
	free(reading);
}

static void start_next(struct agent *agent);

static void read_done(void *owner, void *ctx, int result, const struct err *err)
{
	struct agent *agent = owner;
	struct sessions *sessions = agent->sessions;
	struct reading *reading = ctx;

	sessions->running = NULL;
	sessions->late = false;
	if (result == 0) {
		remember(sessions, &reading->sessions);
		add_since(sessions, json_object_get(reading->answer, "sessions"));
	}
	if (reading->request && result < 0)
		ctl_request_fail(reading->request, result, err->text);
	else if (reading->request)
		ctl_request_ok(reading->request, steal_ptr(reading->answer));
	free_reading(reading);
	start_next(agent);
}

static void fail_late(struct ctl_request *request)
{
	ctl_request_fail(request, -EIO, "the kernel target does not answer: reading its configfs hangs; see the kernel's log");
}

static void read_late(void *owner, const char *what)
{
	struct sessions *sessions = ((struct agent *)owner)->sessions;
	struct reading *reading;

	log_err("%s: hangs in the kernel", what);
	sessions->late = true;
	fail_late(steal_ptr(sessions->running->request));
	while ((reading = sessions->first)) {
		sessions->first = reading->next;
		fail_late(reading->request);
		free_reading(reading);
	}
	sessions->last = &sessions->first;
}

static void start_next(struct agent *agent)
{
	struct sessions *sessions = agent->sessions;
	struct reading *reading = sessions->first;

	if (!reading || sessions->running)
		return;
	sessions->first = reading->next;
	if (!sessions->first)
		sessions->last = &sessions->first;
	sessions->running = reading;
	work_start(agent->loop, "sessions", clock_now_ms() + READ_LIMIT_MS, read_kernel, reading, read_done, read_late, agent);
}

static struct lio_roots roots_of(const struct agent *agent)
{
	return (struct lio_roots){ .configfs = agent->settings.configfs };
}

static void start_reading(struct agent *agent, struct ctl_request *request, const char *host, const char *volume, bool only_counters)
{
	struct sessions *sessions = sessions_of(agent);
	struct reading *reading;
	struct err err = ERR_INIT;

	if (!agent->config) {
		ctl_request_fail(request, -EAGAIN, "nothing is configured yet: `lunward apply FILE`");
		return;
	}
	if (sessions->late) {
		fail_late(request);
		return;
	}
	reading = xcalloc(1, sizeof(*reading));
	reading->agent = agent;
	reading->request = request;
	reading->ref = config_ref_get(agent->config);
	reading->roots = roots_of(agent);
	reading->only_counters = only_counters;
	reading->volume = volume ? config_volume_by_name(reading->ref->config, volume) : NULL;
	if (volume && !reading->volume)
		err_set(&err, -ENOENT, "no volume \"%.64s\" in the document", volume);
	else if (host)
		(void)find_host(reading->ref->config, host, &reading->host, &reading->initiator, &err);
	if (err.code) {
		ctl_request_fail(request, err.code, err.text);
		free_reading(reading);
		return;
	}
	*sessions->last = reading;
	sessions->last = &reading->next;
	start_next(agent);
}

void sessions_list(struct agent *agent, struct ctl_request *request, const char *host, const char *volume)
{
	start_reading(agent, request, host, volume, false);
}

void sessions_counters(struct agent *agent, struct ctl_request *request)
{
	start_reading(agent, request, NULL, NULL, true);
}

/* --- sending a host away -----------------------------------------------------------------------------------------------*/

struct drop {
	struct ctl_request *request;
	struct config_ref *ref;
	struct lio_roots roots;
	const struct config_host *host; /* of ref */
	const char *initiator;          /* of ref; NULL: all of host */
	const struct config_target *target; /* of ref; NULL: all */
	int64_t deadline_ms;
	size_t n_dropped;
};

/* "10.77.0.1:3260" or "[fd00::1]:3260" */
static int cut_at(const char *portal, const char *from, struct err *err)
{
	const char *colon = strrchr(portal, ':');
	_cleanup_free_ char *address = NULL;
	size_t brackets = portal[0] == '[';

	if (!colon || colon - portal < 2)
		return 0;
	address = xasprintf("%.*s", (int)((size_t)(colon - portal) - 2 * brackets), portal + brackets);
	if (!strchr(address, ':') != !strchr(from, ':'))
		return 0;
	return portal_cut_from(address, (uint16_t)strtoul(colon + 1, NULL, 10), from, NULL, err);
}

static int cut_session(const struct lio_session *session, struct err *err)
{
	for (size_t i = 0; i < session->n_connections; i++) {
		const struct lio_connection *c = &session->connections[i];

		if (!c->is_tcp)
			return err_set(err, -EPROTONOSUPPORT, "%s is logged in at %s from %s over iSER, and only it can end that (on Linux: "
				       "iscsiadm -m node -T %s -u)", session->initiator, session->target, c->address, session->target);
		for (size_t k = 0; k < session->n_portals; k++) {
			int rc = cut_at(session->portals[k], c->address, err);

			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

/* The kernel shows the last session of an initiator; when that is gone, the one before. One with a higher id is a login since. */
static int drop_at(struct drop *drop, const char *target, uint32_t tpgt, const char *initiator, struct err *err)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };
	uint32_t first = 0, last = 0;
	struct lio_session session;
	int rc;

	for (;;) {
		rc = lio_session_read(&drop->roots, target, tpgt, initiator, &session);
		if (rc == -ENOENT || (rc == 0 && first && session.sid > first)) {
			if (rc == 0)
				lio_session_done(&session);
			return 0;
		}
		if (rc < 0)
			return err_errno(err, rc, "cannot read the session of %s with %s", initiator, target);
		if (session.sid != last) {
			rc = cut_session(&session, err);
			first = first ? first : session.sid;
			last = session.sid;
			drop->n_dropped += rc == 0;
		}
		lio_session_done(&session);
		if (rc < 0)
			return rc;
		if (clock_now_ms() >= drop->deadline_ms)
			return err_set(err, -ETIMEDOUT, "%s is cut off from %s, but the kernel has not ended its session yet: it waits for commands "
				       "under way; see `lunward status`", initiator, target);
		nanosleep(&pause, NULL);
	}
}

static int drop_at_port(const struct drop *drop, const struct config_target *target, const char *initiator, struct err *err)
{
	for (size_t i = 0; i < target->n_portals; i++) {
		if (lio_port_logged_in(&drop->roots, target, target->portals[i].address, initiator))
			return err_set(err, -EPROTONOSUPPORT, "%s is logged in at %s over %s, and only it can end that%s", initiator, target->name,
				       config_fabric_of_target(target->name)->title, config_target_fabric(target) == CONFIG_FABRIC_SRP ?
				       " (on Linux: write 1 to the delete file of its port in /sys/class/srp_remote_ports)" : "");
	}
	return 0;
}

static int drop_initiator(struct drop *drop, const char *initiator, struct err *err)
{
	const struct config *config = drop->ref->config;
	int result = 0;

	for (size_t t = 0; t < config->n_targets; t++) {
		if (drop->target && &config->targets[t] != drop->target)
			continue;
		if (!config_target_is_iscsi(&config->targets[t])) {
			int rc = drop_at_port(drop, &config->targets[t], initiator, result ? NULL : err);

			result = result ? result : rc;
			continue;
		}
		for (size_t i = 0; i < config->n_nodes; i++) {
			/* One that cannot be dropped does not spare the others. */
			int rc = drop_at(drop, config->targets[t].name, config->nodes[i].nodeid, initiator, result ? NULL : err);

			result = result ? result : rc;
		}
	}
	return result;
}

static int run_drop(void *ctx, struct err *err)
{
	struct drop *drop = ctx;
	int result = 0;

	if (drop->initiator)
		return drop_initiator(drop, drop->initiator, err);
	for (size_t i = 0; i < drop->host->n_initiators; i++) {
		int rc = drop_initiator(drop, drop->host->initiators[i], result ? NULL : err);

		result = result ? result : rc;
	}
	return result;
}

static void drop_done(void *owner, void *ctx, int result, const struct err *err)
{
	struct agent *agent = owner;
	struct drop *drop = ctx;

	agent->sessions->dropping = false;
	if (result < 0)
		ctl_request_fail(drop->request, result, err->text);
	else
		ctl_request_ok(drop->request, json_pack("{s:s, s:I}", "host", drop->host->name, "dropped", (json_int_t)drop->n_dropped));
	config_ref_put(drop->ref);
	free(drop);
}

void sessions_drop(struct agent *agent, struct ctl_request *request, const char *host, const char *target)
{
	struct sessions *sessions = sessions_of(agent);
	const struct config *config = agent->config ? agent->config->config : NULL;
	struct drop found = { .request = request, .roots = roots_of(agent), .deadline_ms = clock_now_ms() + DROP_LIMIT_MS }, *drop;
	struct err err = ERR_INIT;

	if (!config)
		err_set(&err, -EAGAIN, "nothing is configured yet: `lunward apply FILE`");
	else if (sessions->dropping)
		err_set(&err, -EBUSY, "sessions are being dropped already");
	else if (find_host(config, host ? host : "", &found.host, &found.initiator, &err) == 0 && target) {
		found.target = config_target_by_name(config, target);
		if (!found.target)
			err_set(&err, -ENOENT, "no target \"%.64s\" in the document", target);
	}
	if (err.code) {
		ctl_request_fail(request, err.code, err.text);
		return;
	}
	log_notice("an operator drops the sessions of %s with %s", host, target ? target : "all targets");
	drop = xmemdup(&found, sizeof(found));
	drop->ref = config_ref_get(agent->config);
	sessions->dropping = true;
	work_start(agent->loop, "dropping sessions", clock_now_ms() + DROP_LATE_MS, run_drop, drop, drop_done, NULL, agent);
}
