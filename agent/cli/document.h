/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cluster document in the command: files and standard input, the one in force; notes about what was lost on the way. */
#ifndef AGENT_CLI_DOCUMENT_H
#define AGENT_CLI_DOCUMENT_H

#include "agent/cli/cli.h"
#include "target-config/exchange/exchange.h"

#define DOCUMENT_SIZE_MAX (15u << 20) /* escaped as a JSON string it must still fit a frame of the control protocol */

/* A whole file, or standard input for "-". */
int document_read(const char *path, char **ret, size_t *ret_size, struct err *err) must_check;
/* --document FILE, or the document in force. Without secrets, passwords of hosts are something else, and fencing has no options. */
int document_load(const struct cli *cli, bool secrets, struct config **ret, struct err *err) must_check;

/* On standard error, a line each. */
void document_print_notes(const struct cli *cli, const struct exchange_notes *notes);
json_t *document_notes_json(const struct exchange_notes *notes) must_check;

void document_random(void *p, size_t size);

#endif
