/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's watchdog device (Documentation/watchdog/watchdog-api.rst): once open it resets this machine when it was not petted for
 * its timeout. Closing it leaves it ticking, unless it is disarmed; a driver that cannot do that (WDIOF_MAGICCLOSE) is refused, since it would
 * stop with the process that pets.
 */
#ifndef HA_WATCHDOG_WATCHDOG_H
#define HA_WATCHDOG_WATCHDOG_H

#include <stdbool.h>

#include "base/compiler.h"
#include "base/err.h"

struct watchdog;

/* Opening starts it, and pets it. -EBUSY: another has it. -ENOTSUP: the driver cannot do what is needed. -ERANGE: it grants another timeout
 * than this one. On an error it is disarmed again if `may_disarm`; else what ticked before ticks on. */
int watchdog_open(const char *path, int timeout_s, bool may_disarm, struct watchdog **ret, struct err *err) must_check;
int watchdog_pet(struct watchdog *watchdog) must_check;
/* NULL is fine. */
void watchdog_close(struct watchdog *watchdog, bool disarm);

#endif
