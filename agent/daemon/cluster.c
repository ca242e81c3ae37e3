// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The connections to Corosync (CPG, votequorum), opened in a worker since that may block, opened again when Corosync comes
 * back. What they say goes to the core as events.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "agent/daemon/agent.h"
#include "agent/daemon/work.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "ha/transport/electorate.h"
#include "ha/transport/quorum.h"
#include "ha/transport/transport.h"

#define GROUP_NAME "lunward"
#define REOPEN_MS 500
#define OPEN_REPORT_MS 10000

struct cluster {
	struct agent *agent;
	struct transport *transport;
	struct quorum *quorum;
	bool opening;
	bool connected; /* said to the log */
	struct loop_timer reopen_timer, retry_timer;
};

struct open_job {
	struct cluster *cluster;
	struct transport *transport;
	struct quorum *quorum;
};

static void open_later(struct cluster *cluster);

static void on_view(void *ctx, const uint32_t *nodes, size_t n_nodes, const uint32_t *ring, size_t n_ring)
{
	struct cluster *cluster = ctx;

	agent_step(cluster->agent, &(struct ha_event){ .type = HA_EV_VIEW, .nodes = nodes, .n_nodes = n_nodes, .ring = ring,
						       .n_ring = n_ring });
}

static void on_message(void *ctx, uint32_t nodeid, const void *data, size_t size)
{
	struct cluster *cluster = ctx;

	agent_step(cluster->agent, &(struct ha_event){ .type = HA_EV_MESSAGE, .nodeid = nodeid, .data = data, .size = size });
}

static void on_quorum(void *ctx, bool quorate)
{
	struct cluster *cluster = ctx;

	agent_step(cluster->agent, &(struct ha_event){ .type = HA_EV_QUORUM, .yes = quorate });
}

static const struct transport_callbacks callbacks = { .view = on_view, .message = on_message };

static void disconnect(struct cluster *cluster)
{
	if (cluster->transport)
		loop_fd_del(cluster->agent->loop, transport_fd(cluster->transport));
	if (cluster->quorum)
		loop_fd_del(cluster->agent->loop, quorum_fd(cluster->quorum));
	transport_close(cluster->transport);
	quorum_close(cluster->quorum);
	cluster->transport = NULL;
	cluster->quorum = NULL;
	loop_timer_clear(&cluster->retry_timer);
}

static void lost(struct cluster *cluster, const char *what, int code)
{
	log_err("%s: connection to Corosync lost (%s)", what, strerror(-code));
	cluster->connected = false;
	/* First the core, so that gates begin to close; the library may take its time to clean up. */
	agent_step(cluster->agent, &(struct ha_event){ .type = HA_EV_LEFT });
	disconnect(cluster);
	open_later(cluster);
}

static void retry_sends(void *ctx);

static void arm_retry(struct cluster *cluster)
{
	int64_t at_ms;

	if (!cluster->transport)
		return;
	at_ms = transport_next_retry_ms(cluster->transport);
	if (at_ms != INT64_MAX)
		loop_timer_set(cluster->agent->loop, &cluster->retry_timer, at_ms, retry_sends, cluster);
}

static void retry_sends(void *ctx)
{
	struct cluster *cluster = ctx;

	if (cluster->transport)
		transport_retry(cluster->transport, clock_now_ms());
	arm_retry(cluster);
}

static void dispatch_transport(void *ctx, int fd, int revents)
{
	struct cluster *cluster = ctx;
	int rc = transport_dispatch(cluster->transport, clock_now_ms());

	(void)fd;
	(void)revents;
	if (rc < 0)
		lost(cluster, "cpg", rc);
	else
		arm_retry(cluster);
}

static void dispatch_quorum(void *ctx, int fd, int revents)
{
	struct cluster *cluster = ctx;
	int rc = quorum_dispatch(cluster->quorum);

	(void)fd;
	(void)revents;
	if (rc < 0)
		lost(cluster, "votequorum", rc);
}

static int open_both(void *ctx, struct err *err)
{
	struct open_job *job = ctx;
	int rc = quorum_open(&job->quorum, on_quorum, job->cluster, err);

	if (rc < 0)
		return rc;
	rc = transport_open(&job->transport, GROUP_NAME, &callbacks, job->cluster, err);
	if (rc < 0) {
		quorum_close(job->quorum);
		job->quorum = NULL;
	}
	return rc;
}

static void opened(void *owner, void *ctx, int result, const struct err *err)
{
	struct cluster *cluster = owner;
	struct open_job *job = ctx;
	struct loop *loop = cluster->agent->loop;

	cluster->opening = false;
	if (result < 0) {
		if (!cluster->connected)
			log_debug("Corosync: %s", err->text);
		open_later(cluster);
	} else {
		cluster->connected = true;
		cluster->transport = job->transport;
		cluster->quorum = job->quorum;
		log_notice("connected to Corosync");
		if (loop_fd_add(loop, quorum_fd(cluster->quorum), POLLIN, dispatch_quorum, cluster) < 0 ||
		    loop_fd_add(loop, transport_fd(cluster->transport), POLLIN, dispatch_transport, cluster) < 0)
			abort(); /* out of descriptors at start: systemd tries again */
	}
	free(job);
}

static void open_is_late(void *owner, const char *what)
{
	(void)owner;
	log_warning("%s: Corosync does not answer", what);
}

static void open_now(void *ctx)
{
	struct cluster *cluster = ctx;
	struct open_job *job;

	if (cluster->opening || cluster->transport)
		return;
	cluster->opening = true;
	job = xcalloc(1, sizeof(*job));
	job->cluster = cluster;
	work_start(cluster->agent->loop, "connecting to Corosync", clock_now_ms() + OPEN_REPORT_MS, open_both, job, opened,
		   open_is_late, cluster);
}

static void open_later(struct cluster *cluster)
{
	loop_timer_set(cluster->agent->loop, &cluster->reopen_timer, clock_now_ms() + REOPEN_MS, open_now, cluster);
}

void cluster_send(struct cluster *cluster, const void *data, size_t size)
{
	int rc;

	if (!cluster || !cluster->transport)
		return; /* the core repeats what matters once there is a view again */
	rc = transport_send(cluster->transport, data, size, clock_now_ms());
	if (rc < 0)
		log_debug("message of %zu bytes not sent: %s", size, strerror(-rc));
	arm_retry(cluster);
}

struct cluster *cluster_new(struct agent *agent)
{
	struct cluster *cluster = xcalloc(1, sizeof(*cluster));

	cluster->agent = agent;
	open_now(cluster);
	return cluster;
}

void cluster_free(struct cluster *cluster)
{
	if (!cluster)
		return;
	loop_timer_clear(&cluster->reopen_timer);
	disconnect(cluster);
	free(cluster);
}

int cluster_electorate(struct ha_settings *ret, struct err *err)
{
	struct electorate electorate;
	int rc = electorate_read(&electorate, err);

	if (rc < 0)
		return rc;
	ret->nodeid = electorate.nodeid;
	ret->n_electorate = MIN(electorate.n_nodes, (size_t)HA_NODES_MAX);
	for (size_t i = 0; i < ret->n_electorate; i++) {
		ret->electorate[i].nodeid = electorate.nodes[i].nodeid;
		snprintf(ret->electorate[i].name, sizeof(ret->electorate[i].name), "%s", electorate.nodes[i].name);
	}
	return 0;
}
