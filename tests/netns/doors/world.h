/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way from the fake doors of a test build of lunwardd (device-mapper, configfs, DRBD, LVM, the watchdog) to what stands for the kernel: a socket,
 * a JSON object a line each way. What the "kernel" has is not in the agent: it survives the agent's death, and a call that has begun
 * is carried out also if the agent is stopped meanwhile.
 */
#ifndef TESTS_NETNS_WORLD_H
#define TESTS_NETNS_WORLD_H

#include <jansson.h>

#include "base/compiler.h"

/* Sends the request (whose reference it takes) to the socket named by the environment variable. The answer's "rc" is returned: 0 or
 * a negative errno; -EIO if nobody answers. ret_reply may be NULL; set whenever there was an answer. */
int world_call(const char *socket_variable, json_t *request, json_t **ret_reply) must_check;

#define WORLD "LUNWARD_NETNS_WORLD"       /* tests/netns/world.py */
#define CONFIGFS "LUNWARD_NETNS_CONFIGFS" /* tests/netns/doors/configfs-server.c */

json_t *world_request(const char *op); /* {"op": op, "node": this one} */

#endif
