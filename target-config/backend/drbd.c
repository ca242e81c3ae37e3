// SPDX-License-Identifier: GPL-2.0-or-later
#include "target-config/backend/drbd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/run_cmd.h"
#include "base/xalloc.h"
#include "target-config/backend/paths.h"

#define SHORT_MS 10000
#define ADM_MS 120000 /* apply-al and attach read the whole bitmap */
/* While DRBD waits for the handler, drbdsetup cannot be killed; it answers within the handler's own limit or not at all. */
#define ROLE_MS 60000

/* The number in "10: State change failed: (-12) Device is held open by someone"; 0 if there is none. */
static int kernel_code(const struct err *err)
{
	const char *at = strstr(err->text, "failed: (");

	if (!at)
		at = strstr(err->text, "Failure: (");
	return at ? (int)strtol(strchr(at, '(') + 1, NULL, 10) : 0; /* 0 also for no number: no code we know */
}

/* enum drbd_state_rv and enum drbd_ret_code (linux/drbd.h) that a caller acts upon. */
static int translate(struct err *err)
{
	static const struct {
		int kernel, code;
	} codes[] = {
		{ -1, -EBUSY },	   /* SS_TWO_PRIMARIES */
		{ -2, -ENODATA },  /* SS_NO_UP_TO_DATE_DISK */
		{ -7, -EPERM },	   /* SS_PRIMARY_NOP: peer not outdated, the handler did not agree */
		{ -12, -EBUSY },   /* SS_DEVICE_IN_USE */
		{ -20, -EBUSY },   /* SS_O_VOL_PEER_PRI */
		{ 130, -EAGAIN },  /* ERR_RESIZE_RESYNC */
		{ 131, -EAGAIN },  /* ERR_NO_PRIMARY */
		{ 151, -EAGAIN },  /* ERR_CONNECTED */
	};
	int kernel = err->code == -EREMOTEIO ? kernel_code(err) : 0;

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (kernel == codes[i].kernel)
			err->code = codes[i].code;
	return err->code;
}

/* drbdsetup of drbd-utils 9 looks for the version of the module and then becomes its own predecessor: in the failover path the
 * predecessor is run at once, which halves what a role costs. */
static char *setup_program(void)
{
	_cleanup_free_ char *version_path = backend_path("/sys/module/drbd/version");
	_cleanup_free_ char *program = backend_path("/lib/drbd/drbdsetup-84");
	_cleanup_free_ char *version = NULL;

	if (access(program, X_OK) == 0 && file_read(version_path, 64, &version, NULL) == 0 && strncmp(version, "8.4", 3) == 0)
		return steal_ptr(program);
	return xstrdup("drbdsetup");
}

static int setup(struct err *err, int deadline_ms, const char *command, uint32_t minor, const char *option)
{
	_cleanup_free_ char *number = xasprintf("%u", minor);
	_cleanup_free_ char *program = setup_program();
	struct err own = ERR_INIT;
	int rc = run_cmdl(&own, deadline_ms, program, command, number, option, NULL);

	if (rc < 0)
		rc = translate(&own);
	return rc < 0 ? err_set(err, rc, "%s", own.text) : 0;
}

int drbd_set_role(uint32_t minor, bool primary, struct err *err)
{
	return setup(err, ROLE_MS, primary ? "primary" : "secondary", minor, NULL);
}

/* " 3: cs:Connected ro:Secondary/Primary ds:UpToDate/UpToDate C r-----" (drbd_proc.c, drbd_seq_show) */
int drbd_proc_line(const char *text, uint32_t minor, struct drbd_proc_state *ret)
{
	_cleanup_free_ char *head = xasprintf("\n%2u: cs:", minor);
	const char *at = strstr(text, head);
	struct drbd_proc_state state;

	if (strncmp(text, "version: 8.", 11) != 0)
		return -EOPNOTSUPP; /* later ones show no devices there */
	if (!at)
		return -ENODEV;
	if (sscanf(at + strlen(head), "%19s ro:%*[A-Za-z]/%*[A-Za-z] ds:%15[A-Za-z]/", state.connection, state.disk) != 2)
		return -ENODEV; /* "cs:Unconfigured" stands alone */
	*ret = state;
	return 0;
}

int drbd_resume_io(uint32_t minor, struct err *err)
{
	return setup(err, SHORT_MS, "resume-io", minor, NULL);
}

int drbd_declare_equal(uint32_t minor, struct err *err)
{
	return setup(err, SHORT_MS, "new-current-uuid", minor, "--clear-bitmap");
}

int drbd_resize(uint32_t minor, struct err *err)
{
	return setup(err, ADM_MS, "resize", minor, NULL);
}

int drbd_remember_size(uint32_t minor, struct err *err)
{
	return setup(err, SHORT_MS, "check-resize", minor, NULL);
}

int drbd_disconnect(const char *local, const char *remote, struct err *err)
{
	_cleanup_free_ char *program = setup_program();

	return run_cmdl(err, SHORT_MS, program, "disconnect", local, remote, "--force", NULL);
}

int drbd_load_module(struct err *err)
{
	_cleanup_free_ char *path = backend_path("/sys/module/drbd");

	return access(path, F_OK) == 0 ? 0 : run_cmdl(err, SHORT_MS, "modprobe", "drbd", NULL);
}

int drbd_create_metadata(uint32_t minor, const char *device, struct err *err)
{
	_cleanup_free_ char *number = xasprintf("%u", minor);

	return run_cmdl(err, ADM_MS, "drbdmeta", "--force", number, "v08", device, "internal", "create-md", NULL);
}

int drbd_adjust(const char *resource, struct err *err)
{
	return run_cmdl(err, ADM_MS, "drbdadm", "adjust", resource, NULL);
}

int drbd_snapshot(const char *resource, struct drbd_table **ret_table, struct err *err)
{
	const char *argv[] = { "drbdsetup", "events2", "--now", "--statistics", resource, NULL };
	struct run_cmd cmd = { .argv = argv, .deadline_ms = SHORT_MS };
	struct drbd_table *table = drbd_table_new();
	_cleanup_free_ char *output = NULL;
	int rc;

	rc = run_cmd(&cmd, &output, NULL, err);
	for (char *save = NULL, *line = rc < 0 ? NULL : strtok_r(output, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (drbd_table_line(table, line) == -EINVAL)
			rc = err_set(err, -EBADMSG, "drbdsetup events2: cannot read \"%.100s\"", line);
	if (rc == 0 && !drbd_table_is_complete(table))
		rc = err_set(err, -EBADMSG, "drbdsetup events2: ended too early");
	if (rc < 0)
		drbd_table_free(table);
	else
		*ret_table = table;
	return rc;
}
