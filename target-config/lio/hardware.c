// SPDX-License-Identifier: GPL-2.0-or-later
/* Ports of this machine's hardware as sysfs has them. */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "target-config/lio/cfs.h"
#include "target-config/lio/tree.h"
#include "target-config/model/config_text.h"

struct found {
	char **names;
	size_t n, cap;
	const char *sysfs;
	bool loaded_only;
};

typedef void port_fn(struct found *found, const char *path, const char *text);

/* One line without its end; NULL: there is none. */
static char *read_line(const char *path)
{
	char *text = NULL;
	size_t size;

	if (file_read(path, 4096, &text, &size) < 0)
		return NULL;
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static void each_port(struct found *found, const char *pattern, port_fn *fn)
{
	_cleanup_free_ char *full = xasprintf("%s/%s", found->sysfs, pattern);
	glob_t paths = { 0 };

	if (glob(full, 0, NULL, &paths) != 0)
		paths.gl_pathc = 0;
	for (size_t i = 0; i < paths.gl_pathc; i++) {
		_cleanup_free_ char *text = read_line(paths.gl_pathv[i]);

		if (text)
			fn(found, paths.gl_pathv[i], text);
	}
	globfree(&paths);
}

static void add(struct found *found, enum config_fabric_id fabric, const char *name)
{
	_cleanup_free_ char *module = xasprintf("%s/module/%s", found->sysfs, config_fabric(fabric)->module);

	if (!found->loaded_only || access(module, F_OK) == 0)
		*array_push(found->names, found->n, found->cap) = xasprintf("%s%s", config_fabric(fabric)->prefix, name);
}

static void add_rdma_port(struct found *found, const char *path, const char *text)
{
	char gid[CONFIG_GID_SIZE];

	(void)path;
	if (!config_text_gid(text, gid))
		add(found, CONFIG_FABRIC_SRP, gid);
}

/* "0x2000525400123456" -> "20:00:52:54:00:12:34:56" */
static bool to_wwpn(const char *text, char ret_wwpn[LIO_WWPN_SIZE])
{
	if (strncmp(text, "0x", 2) != 0 || strlen(text) != 18)
		return false;
	for (size_t i = 0; i < 8; i++)
		snprintf(ret_wwpn + 3 * i, LIO_WWPN_SIZE - 3 * i, "%.2s%s", text + 2 + 2 * i, i < 7 ? ":" : "");
	return !config_text_wwpn(ret_wwpn);
}

/* Whose port it is, its SCSI host says. What other drivers have cannot be a target of ours. */
static void add_fc_port(struct found *found, const char *path, const char *text)
{
	static const struct {
		const char *driver;
		enum config_fabric_id fabric;
	} drivers[] = { { "fcoe", CONFIG_FABRIC_FCOE }, { "qla2xxx", CONFIG_FABRIC_FC } };
	_cleanup_free_ char *dir = xasprintf("%.*s", (int)(strrchr(path, '/') - path), path);
	_cleanup_free_ char *proc_name = xasprintf("%s/class/scsi_host%s/proc_name", found->sysfs, strrchr(dir, '/'));
	_cleanup_free_ char *driver = read_line(proc_name);
	char wwpn[LIO_WWPN_SIZE];

	for (size_t i = 0; driver && i < ARRAY_SIZE(drivers); i++)
		if (strcmp(driver, drivers[i].driver) == 0 && to_wwpn(text, wwpn))
			add(found, drivers[i].fabric, wwpn);
}

void lio_ports_read(const char *sysfs, bool loaded_only, char ***ret_names, size_t *ret_n)
{
	struct found found = { .sysfs = sysfs, .loaded_only = loaded_only };

	each_port(&found, "class/infiniband/*/ports/*/gids/0", add_rdma_port);
	each_port(&found, "class/fc_host/*/port_name", add_fc_port);
	*ret_names = found.names;
	*ret_n = found.n;
}

char *lio_fc_host(const char *sysfs, const char *wwpn)
{
	_cleanup_free_ char *pattern = xasprintf("%s/class/fc_host/*/port_name", sysfs);
	glob_t paths = { 0 };
	char *dir = NULL;

	if (glob(pattern, 0, NULL, &paths) != 0)
		paths.gl_pathc = 0;
	for (size_t i = 0; !dir && i < paths.gl_pathc; i++) {
		_cleanup_free_ char *text = read_line(paths.gl_pathv[i]);
		char got[LIO_WWPN_SIZE];

		if (text && to_wwpn(text, got) && strcmp(got, wwpn) == 0)
			dir = xasprintf("%.*s", (int)(strrchr(paths.gl_pathv[i], '/') - paths.gl_pathv[i]), paths.gl_pathv[i]);
	}
	globfree(&paths);
	return dir;
}
