// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/health/initiator.h"

#include <errno.h>
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/xalloc.h"

#define POLL_MS 100 /* libiscsi has work of its own now and then */

struct initiator {
	struct iscsi_context *iscsi;
	struct scsi_task *task; /* the last one: its answer is borrowed */
	bool broken;
};

struct wait {
	bool done;
	int status;
};

static void on_answer(struct iscsi_context *iscsi, int status, void *command_data, void *private_data)
{
	struct wait *wait = private_data;

	(void)iscsi;
	(void)command_data;
	wait->done = true;
	wait->status = status;
}

/* Runs the connection until the answer is there; false: the time is up, or it broke. */
static bool await(struct initiator *initiator, const struct wait *wait, int64_t deadline_ms)
{
	while (!wait->done) {
		struct pollfd fd = { .fd = iscsi_get_fd(initiator->iscsi), .events = (short)iscsi_which_events(initiator->iscsi) };
		int64_t left_ms = deadline_ms - clock_now_ms();

		if (left_ms <= 0 || (poll(&fd, 1, (int)MIN(left_ms, (int64_t)POLL_MS)) < 0 && errno != EINTR) ||
		    iscsi_service(initiator->iscsi, fd.revents) < 0)
			initiator->broken = true;
		if (initiator->broken)
			return wait->done;
	}
	return true;
}

/* Callbacks of what is under way come now at the latest: before what they write to is gone. */
static void drop(struct initiator *initiator)
{
	if (initiator->task)
		scsi_free_scsi_task(initiator->task);
	if (initiator->iscsi)
		iscsi_destroy_context(initiator->iscsi);
	initiator->task = NULL;
	initiator->iscsi = NULL;
}

/* libiscsi says last that it will not connect again, which is not why. */
static const char *reason(const struct initiator *initiator, bool is_late)
{
	const char *text = iscsi_get_error(initiator->iscsi);

	return is_late ? "no answer in time" : strstr(text, "reconnect") ? "refused, or closed by the target" : text;
}

static int fail(struct initiator *initiator, const char *step, bool is_late, struct err *err)
{
	const char *why = reason(initiator, is_late);

	err_set(err, -ECONNABORTED, "%s: %.*s", step, (int)strcspn(why, "\n"), why);
	drop(initiator);
	free(initiator);
	return -ECONNABORTED;
}

int initiator_login(const struct initiator_login *login, int64_t deadline_ms, struct initiator **ret, struct err *err)
{
	struct initiator *initiator = xcalloc(1, sizeof(*initiator));
	struct wait connecting = { 0 }, logging_in = { 0 };
	struct iscsi_context *iscsi = iscsi_create_context(login->name);

	if (!iscsi)
		abort(); /* no memory */
	initiator->iscsi = iscsi;
	iscsi_set_noautoreconnect(iscsi, 1);
	iscsi_set_session_type(iscsi, ISCSI_SESSION_NORMAL);
	iscsi_set_header_digest(iscsi, ISCSI_HEADER_DIGEST_NONE_CRC32C);
	iscsi_set_targetname(iscsi, login->target);
	iscsi_set_initiator_username_pwd(iscsi, login->user, login->password);
	if (iscsi_connect_async(iscsi, login->portal, on_answer, &connecting) != 0 || !await(initiator, &connecting, deadline_ms) ||
	    connecting.status != SCSI_STATUS_GOOD)
		return fail(initiator, "no connection", clock_now_ms() >= deadline_ms, err);
	if (iscsi_login_async(iscsi, on_answer, &logging_in) != 0 || !await(initiator, &logging_in, deadline_ms) ||
	    logging_in.status != SCSI_STATUS_GOOD)
		return fail(initiator, "no login", clock_now_ms() >= deadline_ms, err);
	*ret = initiator;
	return 0;
}

void initiator_ask(struct initiator *initiator, int lun, struct health_command *command, int64_t deadline_ms,
		   struct health_answer *ret_answer)
{
	struct wait wait = { 0 };
	struct scsi_task *task;

	*ret_answer = (struct health_answer){ .arrived = false };
	if (!initiator->iscsi)
		return;
	if (initiator->task)
		scsi_free_scsi_task(initiator->task);
	initiator->task = task = scsi_create_task(command->cdb_size, command->cdb, command->in_size ? SCSI_XFER_READ : SCSI_XFER_NONE,
						  command->in_size);
	if (!task)
		abort(); /* no memory */
	if (iscsi_scsi_command_async(initiator->iscsi, lun, task, on_answer, NULL, &wait) != 0 || !await(initiator, &wait, deadline_ms) ||
	    wait.status > UINT8_MAX) { /* libiscsi's own: cancelled, timed out */
		drop(initiator);
		return;
	}
	*ret_answer = (struct health_answer){ .arrived = true, .status = wait.status, .key = (uint8_t)task->sense.key,
					      .ascq = (uint16_t)task->sense.ascq, .data = task->datain.data,
					      .size = (size_t)task->datain.size };
}

void initiator_end(struct initiator *initiator, int64_t deadline_ms)
{
	struct wait wait = { 0 };

	if (!initiator)
		return;
	if (initiator->iscsi && iscsi_logout_async(initiator->iscsi, on_answer, &wait) == 0)
		await(initiator, &wait, deadline_ms);
	drop(initiator);
	free(initiator);
}
