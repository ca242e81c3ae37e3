/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Corosync's results as negative errno. Private to this folder. */
#ifndef HA_TRANSPORT_CS_ERRNO_H
#define HA_TRANSPORT_CS_ERRNO_H

#include <corosync/corotypes.h>

#include "base/err.h"

/* CS_OK is 0. What only says that the connection is no good (LIBRARY, BAD_HANDLE) is -ENOTCONN. */
int cs_errno(cs_error_t result);

/* err_set() with a text that says what could not be done, why, and what to look at. */
int cs_err(struct err *err, cs_error_t result, const char *what);

#endif
