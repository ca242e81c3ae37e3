/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Status and counters (docs/CONTROL.md) as Prometheus text. Pure. */
#ifndef AGENT_CLI_METRICS_H
#define AGENT_CLI_METRICS_H

#include <jansson.h>

#include "base/compiler.h"

/* status: NULL if the daemon does not answer: then only lunward_up 0. counters: NULL if there are none to be had. The caller frees.
 * Labels are names out of the document, the fixed words of docs/CONTROL.md and nothing else: the number of series is bounded by the
 * configuration, not by what happens. */
char *metrics_render(const json_t *status, const json_t *counters) must_check;

#endif
