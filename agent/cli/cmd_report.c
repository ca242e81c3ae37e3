// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * report: what somebody who helps from afar needs, in one archive, without secrets. Everything goes through redact(); what is known to
 * be made of secrets (the cluster's key, the agent's state, the target's auth folders) is not read at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "agent/cli/doctor.h"
#include "agent/cli/redact.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/run_cmd.h"
#include "base/strbuf.h"
#include "base/xalloc.h"

#define TOOL_DEADLINE_MS 20000
#define ARCHIVE_DEADLINE_MS 120000
#define FILE_MAX (1u << 20)
#define ATTRIBUTE_MAX 65536
#define TREE_BYTES_MAX (32u << 20)
#define TARGET_DIR "/sys/kernel/config/target"

struct report {
	char *dir;
	json_t *secrets;
	struct strbuf missing; /* what could not be had, and why */
};

static const struct {
	const char *file;
	const char *argv[9];
} tools[] = {
	{ "journal", { "journalctl", "--no-pager", "-o", "short-iso-precise", "-n", "20000", "-ulunwardd", "-ucorosync", NULL } },
	{ "journal-pacemaker", { "journalctl", "--no-pager", "-o", "short-iso-precise", "-n", "10000", "-upacemaker", NULL } },
	{ "journal-kernel", { "journalctl", "--no-pager", "-o", "short-iso-precise", "-n", "10000", "-k", NULL } },
	{ "corosync-quorumtool", { "corosync-quorumtool", "-s", NULL } },
	{ "corosync-cfgtool", { "corosync-cfgtool", "-s", NULL } },
	{ "corosync-blackbox-stats", { "corosync-cmapctl", "-m", "stats", NULL } },
	{ "crm_mon", { "crm_mon", "-1", "-r", "-A", "-f", NULL } },
	{ "cib", { "cibadmin", "--query", NULL } },
	{ "stonith-history", { "stonith_admin", "--history", "*", "--verbose", NULL } },
	{ "drbdsetup-status", { "drbdsetup", "status", "--verbose", "--statistics", NULL } },
	{ "drbd-resources", { "drbdadm", "dump", "all", NULL } },
	{ "dmsetup-table", { "dmsetup", "table", NULL } },
	{ "dmsetup-info", { "dmsetup", "info", NULL } },
	{ "vgs", { "vgs", "-a", NULL } },
	{ "lvs", { "lvs", "-a", "-o", "+devices,lv_uuid", NULL } },
	{ "lsblk", { "lsblk", "-o", "NAME,SIZE,TYPE,RO,MOUNTPOINTS", NULL } },
	{ "ip-address", { "ip", "-statistics", "address", NULL } },
	{ "ip-route", { "ip", "route", "show", "table", "all", NULL } },
	{ "sockets", { "ss", "-tinp", NULL } },
	{ "rdma", { "rdma", "link", "show", NULL } },
	{ "modules", { "lsmod", NULL } },
	{ "packages", { "dpkg-query", "-W", "lunward*", "corosync", "pacemaker", "drbd-utils", "lvm2", "linux-image-*", NULL } },
	{ "uname", { "uname", "-a", NULL } },
	{ "units", { "systemctl", "--no-pager", "status", "lunwardd", "corosync", "pacemaker", NULL } },
	{ "processes", { "ps", "-eo", "pid,ppid,stat,wchan:32,lstart,comm", NULL } },
};

static const char *const files[] = { "/etc/corosync/corosync.conf", "/proc/drbd", "/proc/cmdline", "/proc/meminfo", "/proc/mounts",
				     "/etc/os-release" };

static int put_clean(const struct report *report, const char *name, const char *clean, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", report->dir, name);
	int rc = file_replace(path, clean, strlen(clean), 0600);

	return rc < 0 ? err_errno(err, rc, "%s", path) : 0;
}

static int put(const struct report *report, const char *name, const char *text, struct err *err)
{
	_cleanup_free_ char *clean = redact(text, report->secrets);

	return put_clean(report, name, clean, err);
}

static int put_json(const struct report *report, const char *name, const json_t *value, struct err *err)
{
	_cleanup_free_ char *text = json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY);
	_cleanup_free_ char *clean = redact_known(text ? text : "null", report->secrets);

	return put_clean(report, name, clean, err);
}

static int put_tools(struct report *report, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(tools); i++) {
		struct run_cmd cmd = { .argv = tools[i].argv, .deadline_ms = TOOL_DEADLINE_MS };
		_cleanup_free_ char *output = NULL;
		struct err why = ERR_INIT;
		int status = 0, ran = run_cmd(&cmd, &output, &status, &why);

		if (ran < 0)
			strbuf_addf(&report->missing, "%s: %s\n", tools[i].file, why.text);
		if (output)
			rc = put(report, tools[i].file, output, err);
	}
	return rc;
}

static int put_file(struct report *report, const char *path, struct err *err)
{
	_cleanup_free_ char *text = NULL, *name = xstrdup(path + 1);
	size_t size = 0;
	int rc = file_read(path, FILE_MAX, &text, &size);

	if (rc < 0) {
		strbuf_addf(&report->missing, "%s: %s\n", path, strerror(-rc));
		return 0;
	}
	for (char *c = name; *c; c++)
		*c = *c == '/' ? '-' : *c;
	return put(report, name, text, err);
}

/* nftw() has no argument for its caller. */
static struct strbuf *tree;

static int add_attribute(const char *path, const struct stat *st, int type, struct FTW *where)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;

	(void)where;
	if (type == FTW_SL || type == FTW_D || type == FTW_DNR)
		strbuf_addf(tree, "%s%s\n", path, type == FTW_SL ? " ->" : "/");
	/* auth: names and passwords of CHAP. */
	if (type != FTW_F || !(st->st_mode & 0444) || strstr(path, "/auth/") || strstr(path, "/discovery_auth/"))
		return 0;
	if (tree->len < TREE_BYTES_MAX && file_read(path, ATTRIBUTE_MAX, &text, &size) == 0)
		strbuf_addf(tree, "%s: %s%s", path, text, size && text[size - 1] == '\n' ? "" : "\n");
	return 0;
}

static int put_tree(struct report *report, struct err *err)
{
	_cleanup_strbuf_ struct strbuf sb = { 0 };

	tree = &sb;
	if (nftw(TARGET_DIR, add_attribute, 32, FTW_PHYS) < 0)
		strbuf_addf(&report->missing, TARGET_DIR ": %s\n", strerror(errno));
	tree = NULL;
	return put(report, "configfs", strbuf_str(&sb), err);
}

/* What the daemon says; with its secrets, which are only kept to be looked for. */
static int put_daemon(const struct cli *cli, struct report *report, struct err *err)
{
	json_auto_t *status = NULL, *secret = NULL, *shown = NULL, *check = NULL, *facts = NULL, *findings = NULL;
	struct err why = ERR_INIT;
	int rc = cli_call(cli, "status", NULL, &status, &why);

	if (rc == 0 && json_integer_value(json_object_get(status, "config_version")) > 0) {
		if (cli_call(cli, "config-show", json_pack("{s:b}", "secrets", 1), &secret, err) < 0)
			return err->code; /* without them nothing can be searched for them */
		redact_collect(json_object_get(secret, "document"), report->secrets);
		rc = cli_call(cli, "config-show", json_pack("{s:b}", "secrets", 0), &shown, &why);
	}
	if (rc < 0)
		strbuf_addf(&report->missing, "lunwardd: %s\n", why.text);
	if (cli_call(cli, "check", NULL, &check, &why) < 0)
		strbuf_addf(&report->missing, "check: %s\n", why.text);
	facts = doctor_facts(status, json_object_get(shown, "document"));
	findings = doctor_judge(facts);
	rc = put_json(report, "status.json", status, err);
	rc = rc ? rc : put_json(report, "document.json", json_object_get(shown, "document"), err);
	rc = rc ? rc : put_json(report, "check.json", check, err);
	rc = rc ? rc : put_json(report, "doctor-facts.json", facts, err);
	return rc ? rc : put_json(report, "doctor.json", findings, err);
}

static int fill(const struct cli *cli, struct report *report, struct err *err)
{
	int rc = put_daemon(cli, report, err);

	rc = rc ? rc : put_tools(report, err);
	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(files); i++)
		rc = put_file(report, files[i], err);
	rc = rc ? rc : put_tree(report, err);
	return rc ? rc : put(report, "missing", strbuf_str(&report->missing), err);
}

static int pack(const struct report *report, const char *path, struct err *err)
{
	/* Made before tar writes into it: for its owner alone from the first byte, and never over something that is there. */
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int rc;

	if (fd < 0)
		return err_errno(err, -errno, "%s", path);
	rc = run_cmdl(err, ARCHIVE_DEADLINE_MS, "tar", "--create", "--gzip", "--file", path, "--directory", report->dir,
		      "--transform", "s|^\\.|lunward-report|", ".", NULL);
	if (rc < 0)
		ignore_result(unlink(path));
	return rc;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

enum cli_exit cmd_report(struct cli *cli)
{
	const char *tmp = getenv("TMPDIR");
	struct report report = { .dir = xasprintf("%s/lunward-report-XXXXXX", tmp && *tmp ? tmp : "/tmp"), .secrets = json_array() };
	struct err err = ERR_INIT;
	int rc = 0;

	if (geteuid() != 0)
		rc = err_set(&err, -EACCES, "only root can collect this, and knows the secrets that must not be in it");
	if (rc == 0 && !mkdtemp(report.dir))
		rc = err_errno(&err, -errno, "%s", report.dir);
	if (rc == 0) {
		rc = fill(cli, &report, &err);
		rc = rc ? rc : pack(&report, cli->args[0], &err);
		ignore_result(nftw(report.dir, remove_one, 8, FTW_DEPTH | FTW_PHYS));
	}
	json_decref(report.secrets);
	strbuf_done(&report.missing);
	free(report.dir);
	if (rc < 0)
		return cli_fail(cli, &err);
	if (!cli->json)
		printf("%s: look through it before you send it away: host names and addresses are in it\n", cli->args[0]);
	return CLI_EXIT_OK;
}
