// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What tests/bench/target measures of Lunward, without a cluster: run as root on a machine that may lose its kernel target, and has
 * configfs and LIO's modules.
 *
 *   target-build gates DOCUMENT                 makes a closed gate for each volume
 *   target-build build DOCUMENT                 makes the kernel's target what the document says of node 1, over these gates
 *   target-build remove                         takes all of that out of it
 *   target-build open VOLUME SECTORS DEVICE     makes an open gate
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "target-config/gate/gate.h"
#include "target-config/lio/lio.h"

#define DOCUMENT_MAX (16u << 20)
#define SECTOR_SIZE 512
#define THREADS 16 /* as lunwardd has */

static const struct lio_roots roots = { .configfs = "/sys/kernel/config/target", .dbroot = "/run/lunward/lio" };

static int load(const char *path, struct config **ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	int rc = file_read(path, DOCUMENT_MAX, &text, &size);

	if (rc < 0)
		return err_errno(err, rc, "%s", path);
	return config_parse(text, size, NULL, NULL, ret, err);
}

static int make_gates(const struct config *config, struct err *err)
{
	char template_path[64];
	int rc = gate_template_ensure(template_path, err);

	for (size_t i = 0; rc == 0 && i < config->n_volumes; i++)
		rc = gate_ensure(config->volumes[i].name, config->volumes[i].size_bytes / SECTOR_SIZE, template_path, err);
	return rc;
}

static int open_gate(const char *volume, const char *sectors_text, const char *device, struct err *err)
{
	uint64_t sectors = strtoull(sectors_text, NULL, 10);
	char template_path[64];
	int rc = gate_template_ensure(template_path, err);

	rc = rc ? rc : gate_ensure(volume, sectors, template_path, err);
	return rc ? rc : gate_open(volume, sectors, device, err);
}

static int reconcile(const struct config *config, struct err *err)
{
	static const uint32_t own[] = { 1 };
	struct lio_scope scope = { .nodeid = 1, .portals_of = own, .n_portals_of = config->n_targets ? 1 : 0 };
	struct lio_tree *tree = lio_tree_build(config, &scope, &roots);
	struct lio_report report = { 0 };
	int rc = lio_reconcile(tree, false, THREADS, NULL, &report, err);

	lio_tree_free(tree);
	if (rc == 0)
		printf("%zu objects, %zu writes, %zu removals\n", report.n_objects, report.n_writes, report.n_removals);
	return rc;
}

static int run(int argc, char **argv, struct err *err)
{
	const char *verb = argc > 1 ? argv[1] : "";
	struct config none = { 0 }, *config = NULL;
	int rc;

	if (argc == 2 && strcmp(verb, "remove") == 0)
		return reconcile(&none, err);
	if (argc == 5 && strcmp(verb, "open") == 0)
		return open_gate(argv[2], argv[3], argv[4], err);
	if (argc != 3 || (strcmp(verb, "gates") != 0 && strcmp(verb, "build") != 0))
		return err_set(err, -EINVAL, "usage: gates DOCUMENT | build DOCUMENT | remove | open VOLUME SECTORS DEVICE");
	rc = load(argv[2], &config, err);
	if (rc == 0)
		rc = strcmp(verb, "gates") == 0 ? make_gates(config, err) : reconcile(config, err);
	config_free(config);
	return rc;
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;

	if (run(argc, argv, &err) == 0)
		return 0;
	fprintf(stderr, "target-build: %s\n", err.text);
	return 1;
}
