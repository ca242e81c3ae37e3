/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A status document (docs/CONTROL.md) as text for a tired person. Pure. */
#ifndef AGENT_CLI_RENDER_H
#define AGENT_CLI_RENDER_H

#include <jansson.h>
#include <stdbool.h>

#include "base/compiler.h"

/* Any JSON is survived: what is missing or of the wrong type is left out. Caller frees. */
char *render_status(const json_t *status, bool colour) must_check;

#endif
