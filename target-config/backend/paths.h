/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names that the backend's files agree on. */
#ifndef TARGET_CONFIG_BACKEND_PATHS_H
#define TARGET_CONFIG_BACKEND_PATHS_H

#include "target-config/backend/backend.h"

/* `path` below the root of backend_set_root(); caller frees. */
char *backend_path(const char *path) must_check;

char *backend_lv_name(const struct config_volume *volume) must_check;       /* "lunward-v1" */
char *backend_resource_name(const struct config_group *group) must_check; /* "lunward-g1" */

/* The volumes of a group, ascending DRBD volume number (then name). Caller frees the array. */
size_t backend_volumes(const struct config *config, const struct config_group *group, const struct config_volume ***ret) must_check;

#endif
