// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/cfs_contract.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"

#define HBA "core/iblock_7799"
#define RD "core/rd_mcp_7799"
#define DEV HBA "/contract"
#define DEV2 HBA "/contract2"
#define IQN "iscsi/iqn.2026-01.org.example:contract"
#define ACL IQN "/tpgt_1/acls/iqn.2026-01.org.example:host"
#define LU_GP "core/alua/lu_gps/contract"

struct contract {
	struct cfs *cfs;
	const char *root;
	void (*fail)(const char *text);
	int broken;
};

static char *full(const struct contract *c, const char *path)
{
	return xasprintf("%s/%s", c->root, path);
}

static void expect(struct contract *c, const char *verb, const char *path, int got, int want)
{
	_cleanup_free_ char *text = NULL;

	if (got == want)
		return;
	c->broken++;
	text = xasprintf("%s %s: %s instead of %s", verb, path, got ? strerror(-got) : "success",
			 want ? strerror(-want) : "success");
	c->fail(text);
}

static void make(struct contract *c, const char *path, int want)
{
	_cleanup_free_ char *p = full(c, path);

	expect(c, "mkdir", path, c->cfs->ops->mkdir(c->cfs, p), want);
}

static void drop(struct contract *c, const char *path, int want)
{
	_cleanup_free_ char *p = full(c, path);

	expect(c, "rmdir", path, c->cfs->ops->rmdir(c->cfs, p), want);
}

static void put(struct contract *c, const char *path, const char *value, int want)
{
	_cleanup_free_ char *verb = xasprintf("write %s to", value);
	_cleanup_free_ char *p = full(c, path);

	expect(c, verb, path, c->cfs->ops->write(c->cfs, p, value), want);
}

static void join(struct contract *c, const char *to, const char *path, int want)
{
	_cleanup_free_ char *p = full(c, path);
	_cleanup_free_ char *t = full(c, to);

	expect(c, "link", path, c->cfs->ops->symlink(c->cfs, t, p), want);
}

static void cut(struct contract *c, const char *path, int want)
{
	_cleanup_free_ char *p = full(c, path);

	expect(c, "unlink", path, c->cfs->ops->unlink(c->cfs, p), want);
}

static void reads(struct contract *c, const char *path, const char *want)
{
	_cleanup_free_ char *p = full(c, path);
	_cleanup_free_ char *got = NULL;
	int rc = c->cfs->ops->read(c->cfs, p, &got);

	if (rc == 0 && strncmp(got, want, strlen(want)) == 0 && (*want || !*got))
		return;
	expect(c, "read", path, rc, 0);
	if (rc == 0) {
		_cleanup_free_ char *text = xasprintf("read %s: \"%s\" instead of \"%s\"", path, got, want);

		c->broken++;
		c->fail(text);
	}
}

static void read_fails(struct contract *c, const char *path, int want)
{
	_cleanup_free_ char *p = full(c, path);
	_cleanup_free_ char *got = NULL;

	expect(c, "read", path, c->cfs->ops->read(c->cfs, p, &got), want);
}

static void leads_to(struct contract *c, const char *path, const char *want)
{
	_cleanup_free_ char *p = full(c, path);
	_cleanup_free_ char *suffix = xasprintf("../target/%s", want);
	_cleanup_free_ char *got = NULL;
	int rc = c->cfs->ops->readlink(c->cfs, p, &got);

	if (rc < 0 || strlen(got) < strlen(suffix) || strcmp(got + strlen(got) - strlen(suffix), suffix) != 0) {
		c->broken++;
		c->fail(rc < 0 ? "readlink fails" : got);
	}
}

static void lists(struct contract *c, const char *path, enum cfs_type type, const char *want)
{
	_cleanup_free_ char *p = full(c, path);
	_cleanup_free_ char *got = xstrdup("");
	char **names = NULL;
	size_t n = 0;

	expect(c, "list", path, c->cfs->ops->list(c->cfs, p, type, &names, &n), 0);
	for (size_t i = 0; i < n; i++) {
		char *more = xasprintf("%s%s ", got, names[i]);

		free(got);
		got = more;
	}
	cfs_names_free(names, n);
	if (strcmp(got, want) != 0) {
		c->broken++;
		c->fail(got);
	}
}

/* --- the promises ------------------------------------------------------------------------------------------------------*/

static void backstore(struct contract *c, const char *device)
{
	_cleanup_free_ char *control = xasprintf("udev_path=%s,readonly=0", device);

	make(c, HBA, 0);
	make(c, HBA, -EEXIST);
	make(c, DEV, 0);
	reads(c, DEV "/enable", "0\n");
	reads(c, DEV "/udev_path", "");
	reads(c, DEV "/alua_lu_gp", ""); /* not configured: no lu_gp */
	reads(c, DEV "/wwn/vpd_unit_serial", "T10 VPD Unit Serial Number: \n");
	reads(c, DEV "/attrib/emulate_3pc", "1\n");
	reads(c, DEV "/statistics/scsi_lu/num_cmds", "0\n");
	reads(c, DEV "/statistics/scsi_lu/read_mbytes", "0\n");
	reads(c, DEV "/statistics/scsi_lu/write_mbytes", "0\n");
	reads(c, DEV "/statistics/scsi_lu/resets", "0\n");
	read_fails(c, DEV "/control", -EACCES);
	read_fails(c, DEV "/attrib/no_such_attribute", -ENOENT);
	put(c, DEV "/enable", "1", -EINVAL); /* no device yet */
	put(c, DEV "/control", control, 0);
	put(c, DEV "/control", control, 0); /* again is fine until it is enabled */
	put(c, DEV "/enable", "1", 0);
	put(c, DEV "/enable", "1", -EEXIST);
	reads(c, DEV "/enable", "1\n");
	reads(c, DEV "/alua_lu_gp", "LU Group Alias: default_lu_gp\n");
	put(c, DEV "/wwn/vpd_unit_serial", "11111111-0000-4000-8000-000000000001", 0);
	reads(c, DEV "/wwn/vpd_unit_serial", "T10 VPD Unit Serial Number: 11111111-0000-4000-8000-000000000001\n");
	put(c, DEV "/attrib/block_size", "4096", 0);
	reads(c, DEV "/attrib/block_size", "4096\n");
}

static void groups(struct contract *c)
{
	reads(c, DEV "/alua/default_tg_pt_gp/tg_pt_gp_id", "0\n");
	drop(c, DEV "/alua/default_tg_pt_gp", -EPERM);
	make(c, DEV "/alua/node1", 0);
	make(c, DEV "/alua/node2", 0);
	reads(c, DEV "/alua/node1/tg_pt_gp_id", "");
	reads(c, DEV "/alua/node1/alua_access_state", "0\n"); /* the trap: active/optimized */
	reads(c, DEV "/alua/node1/alua_access_type", "Implicit and Explicit\n");
	put(c, DEV "/alua/node1/alua_access_state", "2", -EINVAL); /* no id */
	put(c, DEV "/alua/node1/tg_pt_gp_id", "1", 0);
	put(c, DEV "/alua/node1/tg_pt_gp_id", "1", -EINVAL);
	put(c, DEV "/alua/node2/tg_pt_gp_id", "1", -EINVAL); /* taken */
	put(c, DEV "/alua/node2/tg_pt_gp_id", "2", 0);
	put(c, DEV "/alua/node1/alua_access_state", "2", 0);
	reads(c, DEV "/alua/node1/alua_access_state", "2\n");
	put(c, DEV "/alua/node1/alua_access_state", "15", 0);
	reads(c, DEV "/alua/node1/alua_access_state", "15\n");
	put(c, DEV "/alua/node1/alua_access_type", "1", 0);
	reads(c, DEV "/alua/node1/alua_access_type", "Implicit\n");
	put(c, DEV "/alua/node1/implicit_trans_secs", "120", 0);
	lists(c, DEV "/alua", CFS_DIR, "default_tg_pt_gp node1 node2 ");
}

static void lu_group(struct contract *c, const char *device)
{
	_cleanup_free_ char *control = xasprintf("udev_path=%s,readonly=0", device);

	make(c, LU_GP, 0);
	reads(c, LU_GP "/lu_gp_id", "");
	put(c, DEV "/alua_lu_gp", "contract", -ENODEV); /* no id */
	put(c, LU_GP "/lu_gp_id", "7799", 0);
	put(c, LU_GP "/lu_gp_id", "7799", -EINVAL);
	put(c, DEV "/alua_lu_gp", "contract", 0);
	reads(c, DEV "/alua_lu_gp", "LU Group Alias: contract\n");
	make(c, DEV2, 0);
	make(c, DEV2 "/alua/node1", 0);
	put(c, DEV2 "/alua/node1/tg_pt_gp_id", "1", 0);
	put(c, DEV2 "/alua/node1/alua_access_state", "2", -ENODEV); /* not configured */
	put(c, DEV2 "/alua_lu_gp", "contract", 0);		     /* silently nothing */
	reads(c, DEV2 "/alua_lu_gp", "");
	put(c, DEV2 "/control", control, 0);
}

/* One write through the lu_gp reaches every member's group of that id, and no other. DEV2 is enabled by the caller. */
static void flips(struct contract *c)
{
	put(c, DEV2 "/alua/node1/alua_access_state", "2", 0);
	put(c, DEV "/alua/node1/alua_access_state", "3", 0);
	reads(c, DEV2 "/alua/node1/alua_access_state", "2\n"); /* not in the lu_gp yet */
	put(c, DEV2 "/alua_lu_gp", "contract", 0);
	put(c, DEV "/alua/node1/alua_access_state", "15", 0);
	reads(c, DEV2 "/alua/node1/alua_access_state", "15\n");
	reads(c, DEV "/alua/node2/alua_access_state", "0\n");
	put(c, DEV "/alua/node1/alua_access_state", "2", 0);
	reads(c, DEV2 "/alua/node1/alua_access_state", "2\n");
}

static void target(struct contract *c)
{
	make(c, IQN, 0);
	make(c, IQN "/tpgt_1", 0);
	make(c, IQN "/tpgt_2", 0);
	reads(c, IQN "/tpgt_1/enable", "0\n");
	reads(c, IQN "/tpgt_1/param/TargetAlias", "LIO Target\n");
	reads(c, IQN "/tpgt_1/param/HeaderDigest", "CRC32C,None\n");
	put(c, IQN "/tpgt_1/param/TargetAlias", "lunward", 0);
	reads(c, IQN "/tpgt_1/param/TargetAlias", "lunward\n");
	put(c, IQN "/tpgt_1/attrib/authentication", "0", 0);
	make(c, IQN "/tpgt_1/lun/lun_4", 0);
	read_fails(c, IQN "/tpgt_1/lun/lun_4/alua_tg_pt_gp", -ENODEV); /* no device linked */
	join(c, DEV, IQN "/tpgt_1/lun/lun_4/contract", 0);
	join(c, DEV, IQN "/tpgt_1/lun/lun_4/again", -EEXIST);
	leads_to(c, IQN "/tpgt_1/lun/lun_4/contract", DEV);
	lists(c, IQN "/tpgt_1/lun/lun_4", CFS_LINK, "contract ");
	lists(c, IQN "/tpgt_1/lun/lun_4", CFS_DIR, "statistics ");
	reads(c, IQN "/tpgt_1/lun/lun_4/alua_tg_pt_gp", "TG Port Alias: default_tg_pt_gp\n"); /* the trap */
	put(c, IQN "/tpgt_1/lun/lun_4/alua_tg_pt_gp", "none", -ENODEV);
	put(c, IQN "/tpgt_1/lun/lun_4/alua_tg_pt_gp", "node1", 0);
	reads(c, IQN "/tpgt_1/lun/lun_4/alua_tg_pt_gp", "TG Port Alias: node1\n");
	put(c, DEV "/wwn/vpd_unit_serial", "2", -EINVAL); /* exported */
	put(c, DEV "/attrib/block_size", "512", -EINVAL);
	put(c, DEV "/attrib/force_pr_aptpl", "1", -EINVAL);
	put(c, DEV "/attrib/emulate_3pc", "0", 0); /* not frozen */
	drop(c, DEV, -EBUSY);
}

static void acl(struct contract *c)
{
	make(c, ACL, 0);
	reads(c, ACL "/auth/userid", "\n");
	reads(c, ACL "/attrib/authentication", "-1\n"); /* the TPG's */
	reads(c, ACL "/info", "No active iSCSI Session for Initiator Endpoint: iqn.2026-01.org.example:host\n");
	reads(c, ACL "/param/MaxBurstLength", "No Active iSCSI Session\n");
	reads(c, ACL "/fabric_statistics/iscsi_sess_stats/conn_digest_errors", "");
	reads(c, IQN "/fabric_statistics/iscsi_instance/sessions", "0\n");
	put(c, "iscsi/cpus_allowed_list", "0", 0);
	reads(c, "iscsi/cpus_allowed_list", "0\n");
	put(c, ACL "/auth/userid", "alice", 0);
	reads(c, ACL "/auth/userid", "alice\n");
	put(c, ACL "/auth/userid", "NULL", 0);
	put(c, ACL "/attrib/authentication", "0", 0);
	make(c, ACL "/lun_0", 0);
	read_fails(c, ACL "/lun_0/statistics/scsi_auth_intr/num_cmds", -ENODEV); /* not mapped */
	make(c, IQN "/tpgt_2/lun/lun_4", 0);
	join(c, IQN "/tpgt_2/lun/lun_4", ACL "/lun_0/contract", -EINVAL); /* another TPG's, and empty */
	join(c, IQN "/tpgt_1/lun/lun_4", ACL "/lun_0/contract", 0);
	leads_to(c, ACL "/lun_0/contract", IQN "/tpgt_1/lun/lun_4");
	reads(c, ACL "/lun_0/statistics/scsi_auth_intr/num_cmds", "0\n");
	reads(c, ACL "/lun_0/statistics/scsi_auth_intr/read_mbytes", "0\n");
	reads(c, ACL "/lun_0/statistics/scsi_auth_intr/write_mbytes", "0\n");
	lists(c, ACL "/lun_0", CFS_LINK, "contract ");
	drop(c, ACL "/lun_0", -ENOTEMPTY);
	drop(c, ACL, -ENOTEMPTY);
	drop(c, IQN "/tpgt_1/lun/lun_4", -EBUSY); /* pointed at */
	lists(c, ACL, CFS_DIR, "attrib auth fabric_statistics lun_0 param ");
}

/* Since 6.4, one for the whole TPG; 6.1 has none. */
static void rtpi(struct contract *c, int want)
{
	_cleanup_free_ char *p = full(c, IQN "/tpgt_1/rtpi");

	if (!c->cfs->ops->exists(c->cfs, p))
		return;
	put(c, IQN "/tpgt_1/rtpi", "0xa6fc", want);
	if (want == 0)
		reads(c, IQN "/tpgt_1/rtpi", "0xa6fc\n");
}

static void portals(struct contract *c)
{
	rtpi(c, 0);
	make(c, IQN "/tpgt_1/np/127.0.0.1:7799", 0);
	make(c, IQN "/tpgt_2/np/127.0.0.1:7799", -EINVAL); /* in one TPG of a target only */
	make(c, IQN "/tpgt_2/np/no-address", -EINVAL);
	reads(c, IQN "/tpgt_1/np/127.0.0.1:7799/iser", "0\n");
	put(c, IQN "/tpgt_1/enable", "1", 0);
	put(c, IQN "/tpgt_1/enable", "1", 0); /* again is fine */
	reads(c, IQN "/tpgt_1/enable", "1\n");
	rtpi(c, -EINVAL);
	put(c, IQN "/tpgt_1/enable", "0", 0);
	drop(c, IQN, -ENOTEMPTY);
}

/* A device without data, to be in transition for its hosts while theirs is made anew: its LUN has a number of seven digits, and a mapped LUN is
 * led from one to the other and back while the TPG is in service. */
static void standin(struct contract *c)
{
	make(c, RD, 0);
	make(c, RD "/contract", 0);
	put(c, RD "/contract/enable", "1", -EINVAL);
	put(c, RD "/contract/control", "rd_pages=268435456,rd_nullio=1", 0); /* 1 TiB of nothing */
	put(c, RD "/contract/enable", "1", 0);
	put(c, RD "/contract/attrib/block_size", "4096", 0);
	reads(c, RD "/contract/attrib/block_size", "4096\n");
	put(c, RD "/contract/wwn/vpd_unit_serial", "11111111-0000-4000-8000-000000000001", 0); /* as that of another device */
	put(c, RD "/contract/attrib/emulate_model_alias", "1", 0);
	put(c, RD "/contract/alua/default_tg_pt_gp/alua_access_state", "15", 0);
	reads(c, RD "/contract/alua/default_tg_pt_gp/alua_access_state", "15\n");
	put(c, RD "/contract/alua/default_tg_pt_gp/alua_access_type", "1", 0);
	make(c, IQN "/tpgt_1/lun/lun_1048580", 0);
	join(c, RD "/contract", IQN "/tpgt_1/lun/lun_1048580/contract", 0);
	reads(c, IQN "/tpgt_1/lun/lun_1048580/alua_tg_pt_gp", "TG Port Alias: default_tg_pt_gp\n");
	put(c, IQN "/tpgt_1/enable", "1", 0);
	cut(c, ACL "/lun_0/contract", 0);
	join(c, IQN "/tpgt_1/lun/lun_1048580", ACL "/lun_0/contract", 0);
	leads_to(c, ACL "/lun_0/contract", IQN "/tpgt_1/lun/lun_1048580");
	drop(c, IQN "/tpgt_1/lun/lun_1048580", -EBUSY);
	cut(c, ACL "/lun_0/contract", 0);
	join(c, IQN "/tpgt_1/lun/lun_4", ACL "/lun_0/contract", 0);
	cut(c, IQN "/tpgt_1/lun/lun_1048580/contract", 0);
	drop(c, IQN "/tpgt_1/lun/lun_1048580", 0);
	drop(c, RD "/contract", 0);
	drop(c, RD, 0);
	put(c, IQN "/tpgt_1/enable", "0", 0);
}

static void taking_down(struct contract *c)
{
	drop(c, IQN "/tpgt_1/np/127.0.0.1:7799", 0);
	drop(c, DEV "/alua/node1", 0); /* in use: its LUNs fall into the default group */
	reads(c, IQN "/tpgt_1/lun/lun_4/alua_tg_pt_gp", "TG Port Alias: default_tg_pt_gp\n");
	cut(c, ACL "/lun_0/contract", 0);
	cut(c, ACL "/lun_0/contract", -ENOENT);
	drop(c, ACL "/lun_0", 0);
	drop(c, ACL, 0);
	cut(c, IQN "/tpgt_1/lun/lun_4/contract", 0);
	drop(c, IQN "/tpgt_1/lun/lun_4", 0);
	drop(c, IQN "/tpgt_2/lun/lun_4", 0);
	drop(c, IQN "/tpgt_1", 0);
	drop(c, IQN "/tpgt_2", 0);
	drop(c, IQN, 0);
	drop(c, IQN, -ENOENT);
	drop(c, DEV, -ENOTEMPTY); /* node2 */
	drop(c, DEV "/alua/node2", 0);
	drop(c, LU_GP, 0); /* in use: its members fall into the default one */
	reads(c, DEV "/alua_lu_gp", "LU Group Alias: default_lu_gp\n");
	drop(c, DEV, 0);
	drop(c, DEV2 "/alua/node1", 0);
	drop(c, DEV2, 0);
	drop(c, HBA, 0);
}

int cfs_contract(struct cfs *cfs, const char *root, const char *device, const char *device2, void (*fail)(const char *text))
{
	struct contract c = { .cfs = cfs, .root = root, .fail = fail };

	make(&c, "iscsi/iqn.2026-01.org.example:early", -ENOENT); /* the fabric's folder is made first */
	make(&c, "iscsi", 0);
	make(&c, "iscsi", -EEXIST);
	backstore(&c, device);
	groups(&c);
	lu_group(&c, device2);
	make(&c, IQN, 0);
	make(&c, IQN "/tpgt_1", 0);
	make(&c, IQN "/tpgt_1/lun/lun_0", 0);
	join(&c, DEV2, IQN "/tpgt_1/lun/lun_0/contract2", -ENODEV); /* not configured */
	drop(&c, IQN "/tpgt_1/lun/lun_0", 0);
	drop(&c, IQN "/tpgt_1", 0);
	drop(&c, IQN, 0);
	put(&c, DEV2 "/enable", "1", 0);
	flips(&c);
	target(&c);
	acl(&c);
	portals(&c);
	standin(&c);
	taking_down(&c);
	return c.broken;
}

/* --- ports of hardware -------------------------------------------------------------------------------------------------*/

#define STANDIN "iscsi/iqn.2026-11.org.lunward.port:srpt.fe80:0000:0000:0000:0000:0000:0000:0009"
#define PORT_ID "0x505400fffe120303505400fffe120303"
#define WWPN "20:00:52:54:00:12:03:03"

static void put_enable(struct contract *c, const char *enable)
{
	put(c, enable, "1", 0);
	put(c, enable, "1", 0);
	reads(c, enable, "1\n");
	put(c, enable, "0", 0);
	reads(c, enable, "0\n");
}

/* A volume's LUN in a port group, for a host; in service if the group may be. */
static void serve(struct contract *c, const char *tpg, const char *initiator, bool has_enable, bool enable)
{
	_cleanup_free_ char *lun = xasprintf("%s/lun/lun_4", tpg), *link = xasprintf("%s/contract", lun);
	_cleanup_free_ char *group = xasprintf("%s/alua_tg_pt_gp", lun), *acl = xasprintf("%s/acls/%s", tpg, initiator);
	_cleanup_free_ char *mapped = xasprintf("%s/lun_0", acl), *to = xasprintf("%s/contract", mapped);
	_cleanup_free_ char *index = xasprintf("%s/statistics/scsi_att_intr_port/indx", mapped), *state = xasprintf("%s/enable", tpg);

	if (has_enable)
		reads(c, state, "0\n");
	else
		read_fails(c, state, -ENOENT);
	make(c, lun, 0);
	join(c, DEV, link, 0);
	reads(c, group, "TG Port Alias: default_tg_pt_gp\n");
	put(c, group, "node1", 0);
	make(c, acl, 0);
	make(c, mapped, 0);
	join(c, lun, to, 0);
	leads_to(c, to, lun);
	read_fails(c, index, -ENODEV); /* nobody is logged in */
	if (enable)
		put_enable(c, state);
	drop(c, lun, -EBUSY); /* pointed at */
	drop(c, acl, -ENOTEMPTY);
	cut(c, to, 0);
	drop(c, mapped, 0);
	drop(c, acl, 0);
	cut(c, link, 0);
	drop(c, lun, 0);
}

static void begin(struct contract *c, const char *device)
{
	_cleanup_free_ char *control = xasprintf("udev_path=%s,readonly=0", device);

	make(c, HBA, 0);
	make(c, DEV, 0);
	put(c, DEV "/control", control, 0);
	put(c, DEV "/enable", "1", 0);
	make(c, DEV "/alua/node1", 0);
	put(c, DEV "/alua/node1/tg_pt_gp_id", "1", 0);
}

static void end(struct contract *c)
{
	drop(c, DEV "/alua/node1", 0);
	drop(c, DEV, 0);
	drop(c, HBA, 0);
}

int cfs_contract_srp(struct cfs *cfs, const char *root, const char *device, const char *wwn, void (*fail)(const char *text))
{
	struct contract c = { .cfs = cfs, .root = root, .fail = fail };
	_cleanup_free_ char *target = xasprintf("srpt/%s", wwn), *tpg = xasprintf("%s/lunward", target);

	begin(&c, device);
	make(&c, "srpt", 0);
	make(&c, "srpt", -EEXIST);
	put(&c, "srpt/discovery_auth/rdma_cm_port", "7799", 0);
	reads(&c, "srpt/discovery_auth/rdma_cm_port", "7799\n");
	put(&c, "srpt/discovery_auth/rdma_cm_port", "0", 0);
	make(&c, "srpt/0x00000000000000000000000000000009", -EINVAL); /* no port of this machine */
	make(&c, target, 0);
	make(&c, tpg, 0); /* by any name */
	serve(&c, tpg, PORT_ID, true, true);
	drop(&c, target, -ENOTEMPTY);
	drop(&c, tpg, 0);
	drop(&c, target, 0);
	make(&c, "iscsi", -EEXIST);
	make(&c, STANDIN, 0);
	make(&c, STANDIN "/tpgt_2", 0);
	serve(&c, STANDIN "/tpgt_2", PORT_ID, true, false); /* of which iSCSI takes any name of an initiator */
	serve(&c, STANDIN "/tpgt_2", WWPN, true, false);
	drop(&c, STANDIN "/tpgt_2", 0);
	drop(&c, STANDIN, 0);
	end(&c);
	drop(&c, "srpt", 0);
	return c.broken;
}

int cfs_contract_fc(struct cfs *cfs, const char *root, const char *device, const char *fabric, const char *wwpn, void (*fail)(const char *text))
{
	struct contract c = { .cfs = cfs, .root = root, .fail = fail };
	_cleanup_free_ char *target = xasprintf("%s/%s", fabric, wwpn), *tpg = xasprintf("%s/tpgt_1", target), *second = xasprintf("%s/tpgt_2", target);
	_cleanup_free_ char *odd = xasprintf("%s/0x2000525400123401", fabric), *other = xasprintf("%s/20:00:00:00:00:00:00:99", fabric);
	bool is_fcoe = strcmp(fabric, "fc") == 0;

	begin(&c, device);
	make(&c, fabric, 0);
	make(&c, fabric, -EEXIST);
	make(&c, odd, -EINVAL);
	make(&c, other, is_fcoe ? 0 : -EINVAL); /* no port of this machine */
	if (is_fcoe)
		drop(&c, other, 0);
	make(&c, target, 0);
	make(&c, second, -EINVAL);
	make(&c, tpg, 0);
	make(&c, tpg, -EEXIST);
	serve(&c, tpg, WWPN, !is_fcoe, !is_fcoe);
	drop(&c, target, -ENOTEMPTY);
	drop(&c, tpg, 0);
	drop(&c, target, 0);
	end(&c);
	drop(&c, fabric, 0);
	return c.broken;
}
