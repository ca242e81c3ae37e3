/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Takes secrets out of text that leaves the machine. Pure. */
#ifndef AGENT_CLI_REDACT_H
#define AGENT_CLI_REDACT_H

#include <stdbool.h>

#include <jansson.h>

#include "base/compiler.h"

#define REDACT_STARS "********"

/* Adds the secret values of a cluster document (shown with its secrets) to an array of strings: CHAP passwords, and values of fence
 * options with names as redact_is_secret_name() has them. */
void redact_collect(json_t *document, json_t *secrets);

/* A name of an option or attribute whose value is nobody's business: it has "pass", "secret", "_key", "community" in it, or ends in
 * "token" or "psk". Upper and lower case are the same. */
bool redact_is_secret_name(const char *name);

/* The text, with stars instead of each of `secrets`, wherever it stands, and instead of the rest of each line that looks like a secret
 * name with a value: "password: x", "<nvpair name="passwd" value="x"/>", "shared-secret "x";". The caller frees. */
char *redact(const char *text, json_t *secrets) must_check;

/* Only the first part, for JSON, which stays JSON: what may look like a secret there is the daemon's own, and hidden by it. */
char *redact_known(const char *text, json_t *secrets) must_check;

#endif
