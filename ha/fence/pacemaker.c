// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pacemaker's fencer, by its tool stonith_admin (2.1): `--fence NODE` asks for "off", waits, and exits with 0 if and only if the
 * fencer has said that such an action has succeeded. Everything else (102 no Pacemaker, 105 no device for that node, 124 not in
 * time, 1 the device failed, ...) is no evidence.
 *
 * Seen with Pacemaker 2.1.5: a second request for "off" ends together with one that is under way, whoever asked for that, and the device is
 * used once; one after the end of the first uses it again.
 *
 * Always a request of our own, never Pacemaker's history (`--history`, `--tolerance`): its entries have the wall clock's time, in
 * seconds. After a step of that clock an entry of an earlier life of the node would look fresh, and this node would take over from
 * an owner that runs. What Pacemaker is doing already is not done twice all the same: the fencer joins a request with one of the
 * same action that is under way, and stonith_admin takes the end of either for its answer.
 *
 * Therefore "off", never "reboot", whatever the cluster's stonith-action is: a reboot ends after the node has power again, so one
 * that is slow to report could answer for a node that has come back meanwhile, serves, and is lost anew. Who has seen a node off has seen the
 * end of all its lives before.
 */
#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/run_cmd.h"
#include "base/xalloc.h"
#include "ha/fence/fence.h"

#define DEFAULT_DIR "/usr/sbin"

/* The fencer grants an operation a fifth more than it is told (TIMEOUT_MULTIPLY_FACTOR): it should say what went wrong before it
 * is killed here. */
static int fencer_timeout_s(int timeout_s)
{
	int s = timeout_s * 4 / 5;

	return s ? s : 1;
}

/* Texts of its own are on the standard error, which run_cmd() shows. */
static const char *remedy(int status)
{
	switch (status) {
	case 102: /* CRM_EX_DISCONNECT */
		return "; Pacemaker does not run on this node";
	case 105: /* CRM_EX_NOSUCH */
		return "; Pacemaker has no fence device for that node: see `stonith_admin --list NODE`";
	default:
		return "";
	}
}

int fence_pacemaker(const char *dir, const char *node, int timeout_s, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/stonith_admin", dir ? dir : DEFAULT_DIR);
	char timeout[16];
	const char *argv[] = { path, "--fence", node, "--timeout", timeout, "--tag", "lunward", NULL };
	struct run_cmd cmd = { .argv = argv, .deadline_ms = timeout_s * 1000 };
	struct err own = ERR_INIT;
	int rc, status = 0;

	if (*node == '\0' || *node == '-')
		return err_set(err, -EINVAL, "fencing by Pacemaker: \"%s\" is not the name of a node", node);
	snprintf(timeout, sizeof(timeout), "%d", fencer_timeout_s(timeout_s));
	rc = run_cmd(&cmd, NULL, &status, &own);
	if (rc == 0)
		return 0;
	return err_set(err, rc, "Pacemaker's fencer: %s%s", own.text, rc == -EREMOTEIO ? remedy(status) : "");
}
