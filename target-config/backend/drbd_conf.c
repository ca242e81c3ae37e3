// SPDX-License-Identifier: GPL-2.0-or-later
#include "target-config/backend/drbd_conf.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "target-config/backend/paths.h"

#define SECTOR 512
#define BITMAP_SECTOR_COVERS (16ull << 20) /* one 512-byte sector of bitmap: 4096 bits of 4 KiB (BM_EXT_SIZE) */
#define FIXED_SECTORS (8 + 64)		   /* superblock 4 KiB, activity log 32 KiB */

uint64_t drbd_conf_usable_bytes(uint64_t device_bytes)
{
	uint64_t sectors = device_bytes / SECTOR / 8 * 8;
	uint64_t bitmap = (device_bytes + BITMAP_SECTOR_COVERS - 1) / BITMAP_SECTOR_COVERS;
	uint64_t metadata = (bitmap + 7) / 8 * 8 + FIXED_SECTORS;

	return sectors > metadata ? (sectors - metadata) * SECTOR : 0;
}

uint64_t drbd_conf_device_bytes(uint64_t volume_bytes, uint64_t extent_bytes)
{
	uint64_t size = (volume_bytes + extent_bytes - 1) / extent_bytes * extent_bytes;

	while (drbd_conf_usable_bytes(size) < volume_bytes)
		size += extent_bytes;
	return size;
}

char *drbd_conf_endpoint(const char *address, uint16_t port)
{
	if (strchr(address, ':'))
		return xasprintf("ipv6:[%s]:%u", address, port);
	return xasprintf("ipv4:%s:%u", address, port);
}

/*
 * Why these values:
 *  - A dead peer is noticed within ping-int + ping-timeout = 6 s, which is about what Corosync takes; less would cut a
 *    loaded node off and cost a resync. A peer whose disk hangs is expelled after timeout * ko-count = 12 s;
 *    hosts wait longer. `timeout` has to stay below ping-int and connect-int.
 *  - resource-and-stonith: an owner that loses its peer acknowledges nothing until the cluster has agreed that the peer's copy is
 *    no longer current.
 *  - on-io-error detach: the host sees no error, its I/O goes on over the peer's copy while the agent moves the group there. pass_on
 *    shows a write error to the host as soon as the peer is away, and goes on using a disk that lies.
 *  - on-no-data-accessible io-error: suspended I/O cannot be interrupted and would hang LIO's threads; an error makes the host try
 *    its other paths.
 *  - Flushes stay on: an acknowledged write is on both disks.
 *  - Nothing ever resolves a split brain, nothing ever allows two primaries.
 */
static const char options_text[] =
	"\toptions {\n"
	"\t\ton-no-data-accessible io-error;\n"
	"\t}\n"
	"\thandlers {\n"
	"\t\tfence-peer \"" LUNWARD_LIBEXECDIR "/drbd-fence-peer\";\n"
	"\t}\n"
	"\tnet {\n"
	"\t\tprotocol C;\n"
	"\t\ttimeout 30;\n"
	"\t\tping-int 4;\n"
	"\t\tping-timeout 20;\n"
	"\t\tconnect-int 4;\n"
	"\t\tko-count 4;\n"
	"\t\tmax-buffers 8000;\n"
	"\t\tmax-epoch-size 8000;\n"
	"\t\tallow-two-primaries no;\n"
	"\t\tafter-sb-0pri disconnect;\n"
	"\t\tafter-sb-1pri disconnect;\n"
	"\t\tafter-sb-2pri disconnect;\n"
	"\t\trr-conflict disconnect;\n"
	"\t}\n"
	"\tdisk {\n"
	"\t\ton-io-error detach;\n"
	"\t\tfencing resource-and-stonith;\n"
	"\t\tdisk-barrier no;\n"
	"\t\tdisk-flushes yes;\n"
	"\t\tmd-flushes yes;\n"
	"\t\tal-extents 1237;\n"
	"\t\tresync-rate 40M;\n"
	"\t\tc-plan-ahead 20;\n"
	"\t\tc-fill-target 1M;\n"
	"\t\tc-min-rate 20M;\n"
	"\t\tc-max-rate 2000M;\n"
	"\t}\n";

static void add_host(struct strbuf *sb, const struct config_node *node, const char *hostname, const struct config_group *group,
		     const struct config_volume *const *volumes, size_t n)
{
	bool v6 = strchr(node->replication_address, ':') != NULL;

	strbuf_addf(sb, "\ton \"%s\" {\n", hostname);
	strbuf_addf(sb, "\t\taddress %s %s%s%s:%u;\n", v6 ? "ipv6" : "ipv4", v6 ? "[" : "", node->replication_address, v6 ? "]" : "",
		    group->port);
	for (size_t i = 0; i < n; i++) {
		strbuf_addf(sb, "\t\tvolume %u {\n", volumes[i]->drbd_volume);
		strbuf_addf(sb, "\t\t\tdevice /dev/drbd%u minor %u;\n", volumes[i]->drbd_minor, volumes[i]->drbd_minor);
		strbuf_addf(sb, "\t\t\tdisk /dev/%s/lunward-%s;\n", volumes[i]->pool->vg, volumes[i]->name);
		strbuf_add(sb, "\t\t\tmeta-disk internal;\n\t\t}\n");
	}
	strbuf_add(sb, "\t}\n");
}

char *drbd_conf_print(const struct config *config, const struct config_group *group, uint32_t nodeid, const char *hostname)
{
	_cleanup_strbuf_ struct strbuf sb = { 0 };
	_cleanup_free_ const struct config_volume **volumes = NULL;
	size_t n = backend_volumes(config, group, &volumes);

	strbuf_addf(&sb, "# Written by lunwardd from the cluster document; changes are lost.\nresource lunward-%s {\n", group->name);
	strbuf_add(&sb, options_text);
	for (size_t i = 0; i < CONFIG_COPIES_MAX && group->nodes[i]; i++) {
		const struct config_node *node = config_node_by_id(config, group->nodes[i]);

		add_host(&sb, node, group->nodes[i] == nodeid ? hostname : node->name, group, volumes, n);
	}
	strbuf_add(&sb, "}\n");
	return strbuf_steal(&sb);
}
