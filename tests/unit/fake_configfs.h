/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * configfs of the kernel target in memory, with the rules that matter to whoever builds there: default children of a new
 * directory, what is refused and with which errno, what a write does elsewhere. Held to the kernel by the same contract
 * (tests/lab/guest/test_lio.c). Counts operations, and can fail the n-th.
 */
#ifndef TESTS_UNIT_FAKE_CONFIGFS_H
#define TESTS_UNIT_FAKE_CONFIGFS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/strbuf.h"
#include "target-config/lio/cfs.h"

#define FAKE_ROOT "/sys/kernel/config/target"

struct fake;

struct fake_lun_view { /* a LUN of an enabled TPG, for the checks of a test */
	const char *target, *tpg, *lun, *volume, *group; /* group "": none */
	int group_id;
	const char *lu_gp; /* "" before the volume is enabled */
	int state;
	int rtpi;
	bool mapped; /* some ACL shows it to a host */
};

struct fake *fake_new(bool has_rtpi);
void fake_free(struct fake *fake);
struct cfs *fake_cfs(struct fake *fake);

/* The machine has the module of that fabric ("srpt", "fc", "qla2xxx") and one port for it, as the kernel names it; NULL: neither, as at first.
 * Borrowed. */
void fake_port(struct fake *fake, const char *fabric, const char *name);

/* Called after each operation that changed something. */
void fake_on_change(struct fake *fake, void (*fn)(struct fake *fake, void *ctx, const char *what), void *ctx);
/* The n-th operation from now on (reads as well) fails with -EIO; 0: none. */
void fake_fail_nth(struct fake *fake, long n);
bool fake_failed(const struct fake *fake);

/* Writes to `path` take effect, but do not come back; NULL: those that wait do now, and fake_hang() returns when they have. `path` must stay. */
void fake_hang(struct fake *fake, const char *path);
void fake_wait_hanging(struct fake *fake); /* for one of them */

/* A host that talks: the next n looks at a LUN's commands see one more each. */
void fake_commands(struct fake *fake, unsigned int n);
unsigned int fake_commands_to_come(struct fake *fake);
size_t fake_changes(const struct fake *fake); /* operations that changed something, so far */
void fake_enabled_luns(struct fake *fake, void (*fn)(void *ctx, const struct fake_lun_view *view), void *ctx);
/* Mapped LUNs that show their host something; may be called from fake_on_change()'s function. */
size_t fake_live_luns(struct fake *fake);
/* Mapped LUNs whose LUN was cut and linked again under them: they show hosts nothing. */
size_t fake_dead_luns(struct fake *fake);
/* A foreign hand: writes without counting, checking or calling back. */
void fake_set(struct fake *fake, const char *path, const char *value);
/* The reading of an attribute without its newline; "" if there is none. Valid until the next call. */
const char *fake_get(struct fake *fake, const char *path);
/* All directories and links, a line each, sorted as they stand. */
void fake_dump(struct fake *fake, struct strbuf *ret);

#endif
