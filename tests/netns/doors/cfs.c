// SPDX-License-Identifier: GPL-2.0-or-later
/* target-config/lio/cfs.h on a configfs that another process of this node keeps (configfs-server.c). */
#include "target-config/lio/cfs.h"

#include <errno.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "tests/netns/doors/world.h"

static int call(const char *op, const char *path, const char *arg, json_t **ret_reply)
{
	return world_call(CONFIGFS, json_pack("{s:s, s:s, s:s}", "op", op, "path", path, "arg", arg ? arg : ""), ret_reply);
}

static int call_for_text(const char *op, const char *path, char **ret_text)
{
	json_t *reply = NULL;
	int rc = call(op, path, NULL, &reply);

	if (rc == 0)
		*ret_text = xstrdup(json_string_value(json_object_get(reply, "text")));
	json_decref(reply);
	return rc;
}

static bool fake_exists(struct cfs *fs, const char *path)
{
	(void)fs;
	return call("exists", path, NULL, NULL) == 0;
}

static int fake_mkdir(struct cfs *fs, const char *path)
{
	(void)fs;
	return call("mkdir", path, NULL, NULL);
}

static int fake_rmdir(struct cfs *fs, const char *path)
{
	(void)fs;
	return call("rmdir", path, NULL, NULL);
}

static int fake_read(struct cfs *fs, const char *path, char **ret_text)
{
	(void)fs;
	return call_for_text("read", path, ret_text);
}

static int fake_write(struct cfs *fs, const char *path, const char *text)
{
	(void)fs;
	return call("write", path, text, NULL);
}

static int fake_symlink(struct cfs *fs, const char *target, const char *path)
{
	(void)fs;
	return call("symlink", path, target, NULL);
}

static int fake_unlink(struct cfs *fs, const char *path)
{
	(void)fs;
	return call("unlink", path, NULL, NULL);
}

static int fake_readlink(struct cfs *fs, const char *path, char **ret_target)
{
	(void)fs;
	return call_for_text("readlink", path, ret_target);
}

static int fake_list(struct cfs *fs, const char *path, enum cfs_type type, char ***ret_names, size_t *ret_n)
{
	json_t *reply = NULL, *name;
	int rc = call(type == CFS_DIR ? "dirs" : "links", path, NULL, &reply);
	char **names = NULL;
	size_t n = 0, cap = 0, i;

	(void)fs;
	if (rc == 0) {
		json_array_foreach (json_object_get(reply, "names"), i, name)
			*array_push(names, n, cap) = xstrdup(json_string_value(name));
		*ret_names = names;
		*ret_n = n;
	}
	json_decref(reply);
	return rc;
}

static const struct cfs_ops fake_ops = {
	.exists = fake_exists,
	.mkdir = fake_mkdir,
	.rmdir = fake_rmdir,
	.read = fake_read,
	.write = fake_write,
	.symlink = fake_symlink,
	.unlink = fake_unlink,
	.readlink = fake_readlink,
	.list = fake_list,
};

int cfs_mount(struct err *err)
{
	(void)err;
	return 0;
}

struct cfs *cfs_kernel(void)
{
	static struct cfs fake = { .ops = &fake_ops };

	return &fake;
}

void cfs_names_free(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}
