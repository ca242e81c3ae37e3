/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `lunward doctor`: facts of this node are collected (facts.c), then judged (doctor.c). Only the first part touches the system. */
#ifndef AGENT_CLI_DOCTOR_H
#define AGENT_CLI_DOCTOR_H

#include <stdint.h>

#include <jansson.h>

#include "base/compiler.h"

/* Pure. facts: as doctor_facts() gives them; what is absent or null is not known. Returns an array, the caller's:
 *   {"name": "corosync encryption", "result": "ok" | "warning" | "error" | "unknown", "detail": "...", "remedy": "..."}
 * of every check, in a fixed order, whatever the facts. */
json_t *doctor_judge(json_t *facts) must_check;

/* Looks at this node: Corosync's map, /sys, /proc, LVM's reports, one ping to each neighbour. Changes nothing, takes seconds. status
 * and document: of the daemon, borrowed, NULL if it does not answer. */
json_t *doctor_facts(json_t *status, json_t *document) must_check;

#endif
