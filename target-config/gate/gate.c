// SPDX-License-Identifier: GPL-2.0-or-later
/* Gates: which table a volume's device has, and how it is changed. */
#include "target-config/gate/gate.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "target-config/gate/dm.h"

#define PREFIX "lunward-"
#define UUID_PREFIX "LUNWARD-" /* multipath and LVM take devices by the prefix of their own */

/* --- one call at a time for a volume --------------------------------------------------------------------------------------
 * A prepared table belongs to the call that prepared it: another one would clear it, or put it in place half-way. */

struct busy { /* lives on the caller's stack */
	const char *volume;
	struct busy *next;
};

static pthread_mutex_t busy_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t busy_changed = PTHREAD_COND_INITIALIZER;
static struct busy *busy_list; /* guarded by busy_lock */

static bool is_busy(const char *volume)
{
	for (const struct busy *b = busy_list; b; b = b->next) {
		if (strcmp(b->volume, volume) == 0)
			return true;
	}
	return false;
}

/* false: it is busy and the caller does not wait. */
static bool busy_begin(struct busy *busy, const char *volume, bool wait)
{
	bool mine;

	pthread_mutex_lock(&busy_lock);
	while (wait && is_busy(volume))
		pthread_cond_wait(&busy_changed, &busy_lock);
	mine = !is_busy(volume);
	if (mine) {
		*busy = (struct busy){ .volume = volume, .next = busy_list };
		busy_list = busy;
	}
	pthread_mutex_unlock(&busy_lock);
	return mine;
}

static void busy_end(struct busy *busy)
{
	if (!busy->volume)
		return;
	pthread_mutex_lock(&busy_lock);
	for (struct busy **b = &busy_list; *b; b = &(*b)->next) {
		if (*b == busy) {
			*b = busy->next;
			break;
		}
	}
	pthread_cond_broadcast(&busy_changed);
	pthread_mutex_unlock(&busy_lock);
}

#define _cleanup_busy_ _cleanup_(busy_end)

/* --- tables ------------------------------------------------------------------------------------------------------------*/

static void gate_name(const char *volume, char ret_name[64])
{
	snprintf(ret_name, 64, PREFIX "%s", volume);
}

/* Closed, or holding: dm-delay lets go of all it holds when it is suspended (delay_presuspend), to where the template fails. */
static int load_shut(const char *name, uint64_t sectors, const char *template_path, enum gate_state state)
{
	struct dm_target_line closed[2] = {
		{ .start = 0, .length = GATE_TEMPLATE_SECTORS, .type = "linear" },
		{ .start = GATE_TEMPLATE_SECTORS, .length = sectors - GATE_TEMPLATE_SECTORS, .type = "error" },
	};
	struct dm_target_line holding = { .start = 0, .length = sectors, .type = "delay" };
	char number[32];
	int rc = dm_number(template_path, number);

	if (rc < 0)
		return rc;
	if (sectors <= GATE_TEMPLATE_SECTORS)
		return -EINVAL;
	snprintf(closed[0].params, sizeof(closed[0].params), "%s %d", number, GATE_TEMPLATE_SECTORS);
	snprintf(holding.params, sizeof(holding.params), "%s %d %d", number, GATE_TEMPLATE_SECTORS, GATE_HOLD_MS);
	return state == GATE_HOLDING ? dm_load(name, &holding, 1) : dm_load(name, closed, ARRAY_SIZE(closed));
}

static int load_open(const char *name, uint64_t sectors, const char *number)
{
	struct dm_target_line line = { .start = 0, .length = sectors, .type = "linear" };

	snprintf(line.params, sizeof(line.params), "%s 0", number);
	return dm_load(name, &line, 1);
}

static uint64_t sectors_of(const struct dm_info *info)
{
	uint64_t sectors = 0;

	for (size_t i = 0; i < MIN(info->n_lines, (size_t)DM_LINES_MAX); i++)
		sectors += info->lines[i].length;
	return sectors;
}

static bool is_open(const struct dm_info *info)
{
	return info->n_lines == 1 && strcmp(info->lines[0].type, "linear") == 0;
}

static bool is_holding(const struct dm_info *info)
{
	return info->n_lines == 1 && strcmp(info->lines[0].type, "delay") == 0;
}

static int inspect(const char *volume, struct dm_info *ret_info, struct err *err)
{
	char name[64];
	int rc;

	gate_name(volume, name);
	rc = dm_inspect(name, ret_info);
	if (rc < 0)
		return err_errno(err, rc, "volume %s: cannot inspect its gate", volume);
	/* LVM makes names of the same shape: logical volume "-v1" of a volume group "lunward". */
	if (ret_info->exists && strncmp(ret_info->uuid, UUID_PREFIX, strlen(UUID_PREFIX)) != 0)
		return err_set(err, -EEXIST, "volume %s: the device-mapper device %s is there and is not Lunward's", volume, name);
	return 0;
}

/* --- closing -----------------------------------------------------------------------------------------------------------*/

/*
 * Order: load first, it may fail and changes nothing; drain, so that no acknowledged write is behind the flush; flush; swap; and
 * look whether it is closed. The device never stays suspended: if the swap fails it goes on with the table it has.
 */
static int swap_shut(const char *volume, const struct dm_info *info, uint64_t sectors, const char *template_path,
		     enum gate_state state, struct err *err)
{
	struct dm_info after;
	int rc, flushed = 0;
	char name[64];

	gate_name(volume, name);
	rc = load_shut(name, sectors, template_path, state); /* replaces a prepared table, if there is one */
	if (rc == -EINVAL && state == GATE_HOLDING)
		return err_set(err, -EOPNOTSUPP, "volume %s: its gate cannot hold", volume);
	if (rc < 0)
		return err_errno(err, rc, "volume %s: cannot close its gate", volume);
	if (is_open(info)) {
		rc = info->suspended ? 0 : dm_suspend(name);
		if (rc < 0)
			return err_errno(err, rc, "volume %s: cannot drain its gate", volume);
		/* From here on SYNCHRONIZE CACHE meets the closed table, where a flush has nothing to do and succeeds. */
		flushed = dm_flush(info->lines[0].params);
	}
	rc = dm_resume(name);
	if (rc < 0) {
		int resumed;

		dm_clear(name);
		resumed = dm_resume(name);
		return err_errno(err, rc, "volume %s: cannot close its gate%s", volume,
				 resumed < 0 ? ", and it stays suspended" : "");
	}
	rc = dm_inspect(name, &after);
	if (rc == 0 && (is_open(&after) || is_holding(&after) != (state == GATE_HOLDING)))
		rc = -EIO;
	if (rc < 0)
		return err_errno(err, rc, "volume %s: its gate is not closed after closing it", volume);
	return flushed < 0 ? err_errno(err, flushed, "volume %s: its gate is closed, but the last writes may not be on disk",
				       volume) : 0;
}

/* --- making and removing -----------------------------------------------------------------------------------------------*/

/* Loads the closed table and puts it in place. */
static int put_closed(const char *name, uint64_t sectors, const char *template_path)
{
	int rc = load_shut(name, sectors, template_path, GATE_CLOSED);

	return rc < 0 ? rc : dm_resume(name);
}

static int create(const char *volume, const char *name)
{
	char uuid[96];
	int rc;

	snprintf(uuid, sizeof(uuid), UUID_PREFIX "%s", volume);
	rc = dm_create(name, uuid);
	return rc == -EBUSY ? 0 : rc; /* somebody made it just now */
}

int gate_ensure(const char *volume, uint64_t sectors, const char *template_path, struct err *err)
{
	_cleanup_busy_ struct busy busy = { 0 };
	struct dm_info info;
	char name[64];
	int rc;

	if (!busy_begin(&busy, volume, false)) {
		rc = inspect(volume, &info, err);
		if (rc < 0 || info.exists) /* its swap may wait long for a slow disk */
			return rc;
		busy_begin(&busy, volume, true); /* by one that finds nothing to close: does not take long */
	}
	rc = inspect(volume, &info, err);
	if (rc < 0)
		return rc;
	if (info.suspended && is_open(&info)) /* an agent died while closing it */
		return swap_shut(volume, &info, sectors, template_path, GATE_CLOSED, err);
	gate_name(volume, name);
	if (!info.exists)
		rc = create(volume, name);
	if (rc == 0 && info.has_inactive_table) /* a swap that was prepared and not done: it holds the backing */
		rc = dm_clear(name);
	if (rc == 0 && (!info.has_live_table || info.suspended || (!is_open(&info) && !is_holding(&info) && sectors_of(&info) != sectors)))
		rc = put_closed(name, sectors, template_path);
	if (rc == 0)
		rc = dm_inspect(name, &info);
	if (rc == 0)
		rc = dm_make_node(name, &info);
	return rc < 0 ? err_errno(err, rc, "volume %s: cannot make its gate", volume) : 0;
}

int gate_remove(const char *volume, struct err *err)
{
	struct dm_info info;
	char name[64];
	int rc = inspect(volume, &info, err);

	if (rc < 0)
		return rc;
	gate_name(volume, name);
	rc = dm_remove(name);
	return rc < 0 ? err_errno(err, rc, "volume %s: cannot remove its gate", volume) : 0;
}

/* --- opening and closing -----------------------------------------------------------------------------------------------*/

static bool leads_to(const struct dm_info *info, uint64_t sectors, const char *params)
{
	return is_open(info) && !info->suspended && sectors_of(info) == sectors && strcmp(info->lines[0].params, params) == 0;
}

/* Puts the open table in place and looks whether it is there: a foreign hand may have cleared what was loaded. */
static int swap_open(const char *name, uint64_t sectors, const char *number, const char *params)
{
	struct dm_info info;
	int rc = load_open(name, sectors, number);

	if (rc < 0)
		return rc;
	rc = dm_resume(name);
	if (rc < 0) {
		dm_clear(name); /* the table holds the backing open */
		return rc;
	}
	rc = dm_inspect(name, &info);
	return rc < 0 ? rc : leads_to(&info, sectors, params) ? 0 : -EIO;
}

int gate_open(const char *volume, uint64_t sectors, const char *backing, struct err *err)
{
	_cleanup_busy_ struct busy busy = { 0 };
	struct dm_info info;
	char name[64], number[32], params[64];
	int rc;

	busy_begin(&busy, volume, true);
	rc = inspect(volume, &info, err);
	if (rc < 0)
		return rc;
	if (!info.exists)
		return err_set(err, -ENODEV, "volume %s has no gate on this node", volume);
	rc = dm_number(backing, number);
	if (rc < 0)
		return err_errno(err, rc, "volume %s: cannot use %s", volume, backing);
	snprintf(params, sizeof(params), "%s 0", number);
	if (leads_to(&info, sectors, params))
		return 0;
	gate_name(volume, name);
	rc = swap_open(name, sectors, number, params);
	return rc < 0 ? err_errno(err, rc, "volume %s: cannot open its gate to %s", volume, backing) : 0;
}

int gate_close(const char *volume, uint64_t sectors, const char *template_path, struct err *err)
{
	_cleanup_busy_ struct busy busy = { 0 };
	struct dm_info info;
	int rc;

	busy_begin(&busy, volume, true);
	rc = inspect(volume, &info, err);
	if (rc < 0)
		return rc;
	if (!info.exists || (info.has_live_table && !is_open(&info) && !is_holding(&info) && !info.suspended && !info.has_inactive_table))
		return 0;
	return swap_shut(volume, &info, sectors, template_path, GATE_CLOSED, err);
}

int gate_hold(const char *volume, uint64_t sectors, const char *template_path, struct err *err)
{
	_cleanup_busy_ struct busy busy = { 0 };
	struct dm_info info;
	int rc;

	busy_begin(&busy, volume, true);
	rc = inspect(volume, &info, err);
	if (rc < 0)
		return rc;
	if (!info.exists || !is_open(&info))
		return 0;
	return swap_shut(volume, &info, sectors, template_path, GATE_HOLDING, err);
}

/* --- looking -----------------------------------------------------------------------------------------------------------*/

int gate_inspect(const char *volume, enum gate_state *ret_state, uint64_t *ret_sectors, char ret_backing[64], struct err *err)
{
	struct dm_info info;
	int rc = inspect(volume, &info, err);

	if (rc < 0)
		return rc;
	if (ret_backing)
		ret_backing[0] = '\0';
	if (!info.exists)
		*ret_state = GATE_ABSENT;
	else
		*ret_state = is_open(&info) ? GATE_OPEN : is_holding(&info) ? GATE_HOLDING : GATE_CLOSED;
	if (ret_backing && is_open(&info) && dm_path(info.lines[0].params, ret_backing) < 0)
		snprintf(ret_backing, 64, "%s", info.lines[0].params); /* the device is going away */
	if (ret_sectors)
		*ret_sectors = sectors_of(&info);
	return 0;
}

struct list_ctx {
	void (*fn)(void *ctx, const char *volume);
	void *ctx;
};

static void list_gate(void *ctx, const char *name)
{
	struct list_ctx *list = ctx;
	struct dm_info info;

	if (strncmp(name, PREFIX, strlen(PREFIX)) == 0 && dm_inspect(name, &info) == 0 &&
	    strncmp(info.uuid, UUID_PREFIX, strlen(UUID_PREFIX)) == 0)
		list->fn(list->ctx, name + strlen(PREFIX));
}

int gate_list(void (*fn)(void *ctx, const char *volume), void *ctx, struct err *err)
{
	struct list_ctx list = { .fn = fn, .ctx = ctx };
	int rc = dm_list(list_gate, &list);

	return rc < 0 ? err_errno(err, rc, "cannot list device-mapper devices") : 0;
}
