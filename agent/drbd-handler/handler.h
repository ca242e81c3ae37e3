/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What DRBD asks user space. It calls with (event, resource) or (event, "minor-N") when it runs us as its usermode_helper, without
 * arguments and with DRBD_RESOURCE set when drbdadm runs us as the handler "fence-peer" of a resource file.
 *
 * Only one question is Lunward's: "fence-peer", may I go on without my peer? What the exit status means to DRBD 8.4 is decided in
 * conn_try_outdate_peer():
 *   4   the peer's copy is outdated: I/O goes on, or promotion succeeds
 *   1   (any but 3..7) no answer: I/O stays frozen, promotion is refused
 * Never 5, "unreachable": DRBD takes that for dead and goes on.
 */
#ifndef AGENT_DRBD_HANDLER_HANDLER_H
#define AGENT_DRBD_HANDLER_HANDLER_H

#include <stdint.h>

enum {
	HANDLER_EXIT_DONE = 0,     /* for all other events: nothing to do, go on */
	HANDLER_EXIT_NO_ANSWER = 1,
	HANDLER_EXIT_OUTDATED = 4,
};

struct handler_settings {
	const char *socket;  /* NULL: the daemon's */
	const char *drbdadm; /* what answers for resources that are not Lunward's */
	int64_t patience_ms; /* how long to wait for an agent that restarts or has no quorum */
	int64_t retry_ms;
};

/* The exit status; does not return if drbdadm takes over. */
int handler_run(const struct handler_settings *settings, int argc, char **argv);

#endif
