// SPDX-License-Identifier: GPL-2.0-or-later
/* Corosync's results as negative errno. */
#include <errno.h>

#include "ha/transport/cs_errno.h"

int cs_errno(cs_error_t result)
{
	switch (result) {
	case CS_OK:
		return 0;
	case CS_ERR_TRY_AGAIN:
	case CS_ERR_BUSY:
	case CS_ERR_INIT:
	case CS_ERR_QUEUE_FULL:
		return -EAGAIN;
	case CS_ERR_ACCESS:
	case CS_ERR_SECURITY:
		return -EACCES;
	case CS_ERR_EXIST:
		return -EEXIST;
	case CS_ERR_NOT_EXIST:
	case CS_ERR_NAME_NOT_FOUND:
		return -ENOENT;
	case CS_ERR_NO_MEMORY:
	case CS_ERR_NO_RESOURCES:
	case CS_ERR_NO_SPACE:
		return -ENOMEM;
	case CS_ERR_TOO_BIG:
		return -EMSGSIZE;
	case CS_ERR_TIMEOUT:
		return -ETIMEDOUT;
	case CS_ERR_NOT_SUPPORTED:
		return -EOPNOTSUPP;
	case CS_ERR_INVALID_PARAM:
		return -EINVAL;
	default:
		return -ENOTCONN;
	}
}

int cs_err(struct err *err, cs_error_t result, const char *what)
{
	int code = cs_errno(result);

	if (code == -ENOTCONN)
		return err_set(err, code, "%s: no connection to corosync: is it running here?", what);
	if (code == -EAGAIN)
		return err_set(err, code, "%s: corosync is not ready yet", what);
	if (code == -EACCES)
		return err_set(err, code, "%s: corosync does not let this user in: run as root", what);
	return err_errno(err, code, "%s: corosync", what);
}
