/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the agent answers, read with forgiveness: another version's answer may lack a key, and is shown as far as it goes. */
#ifndef AGENT_CLI_JSON_H
#define AGENT_CLI_JSON_H

#include <jansson.h>
#include <stdbool.h>

/* Borrowed from `object`; "" if it has no such text. */
const char *json_text(const json_t *object, const char *key);
/* The first object of a list whose text `key` is `value`, borrowed from it; NULL: there is none. */
const json_t *json_find(const json_t *list, const char *key, const char *value);
/* The group of that name in an agent's status, the same way. */
const json_t *json_group(const json_t *status, const char *name);
/* Whether `name` is one of the texts of a list. */
bool json_names(const json_t *list, const char *name);

#endif
