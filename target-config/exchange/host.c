// SPDX-License-Identifier: GPL-2.0-or-later
#include "target-config/exchange/host.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "base/xalloc.h"
#include "target-config/lio/lio.h"

/*
 * What hosts have to outlast. Fencing that takes longer adds to the second; Linux hosts are told to wait 120 s for it (implicit_trans_secs).
 */
#define BOUNDS                                                                                                         \
	"A planned move stops I/O for up to 5 s, the crash of a node for up to 20 s, longer if fencing is slow.\n"

static const char bounds_linux[] = BOUNDS
	"A path that is gone is noticed in 4 s (noop 2 s + 2 s) and given up after 5 s more (replacement_timeout), so that multipath takes\n"
	"the other one. While no path serves, I/O waits without limit (no_path_retry queue) and no command is an error before 60 s (timeout).\n";

static const char multipath_conf[] =
	"devices {\n"
	"	device {\n"
	"		vendor \"LIO-ORG\"\n"
	"		product \".*\"\n"
	"		path_grouping_policy group_by_prio\n"
	"		prio alua\n"
	"		hardware_handler \"1 alua\"\n"
	"		path_checker tur\n"
	"		detect_checker yes\n"
	"		failback immediate\n"
	"		no_path_retry queue\n"
	"		fast_io_fail_tmo 5\n"
	"		dev_loss_tmo 600\n"
	"	}\n"
	"}\n"
	"defaults {\n"
	"	find_multipaths no\n"
	"	polling_interval 1\n"
	"	max_polling_interval 1\n"
	"}\n";

static const char iscsid_conf[] =
	"iscsid.startup = /bin/systemctl start iscsid.socket\n"
	"node.startup = automatic\n"
	"node.leading_login = No\n"
	"# dm-multipath has the other path at once; a command is given back to it after this.\n"
	"node.session.timeo.replacement_timeout = 5\n"
	"node.conn[0].timeo.login_timeout = 5\n"
	"node.conn[0].timeo.logout_timeout = 15\n"
	"node.conn[0].timeo.noop_out_interval = 2\n"
	"node.conn[0].timeo.noop_out_timeout = 2\n"
	"node.session.err_timeo.abort_timeout = 15\n"
	"node.session.err_timeo.lu_reset_timeout = 30\n"
	"node.session.err_timeo.tgt_reset_timeout = 30\n"
	"node.session.initial_login_retry_max = 8\n"
	"node.session.cmds_max = 128\n"
	"node.session.queue_depth = 32\n"
	"node.session.xmit_thread_priority = -20\n"
	"node.session.iscsi.InitialR2T = No\n"
	"node.session.iscsi.ImmediateData = Yes\n"
	"node.session.iscsi.FirstBurstLength = 262144\n"
	"node.session.iscsi.MaxBurstLength = 16776192\n"
	"node.conn[0].iscsi.MaxRecvDataSegmentLength = 262144\n"
	"node.session.nr_sessions = 1\n"
	"node.session.scan = auto\n";

static const char udev_rules[] =
	"# Longer than a takeover: a command that waits is not an error yet.\n"
	"ACTION==\"add|change\", SUBSYSTEM==\"scsi\", ENV{DEVTYPE}==\"scsi_device\", ATTR{vendor}==\"LIO-ORG*\", ATTR{timeout}=\"60\"\n";

static const char bounds_esxi[] = BOUNDS
	"ESXi takes 30 s to 60 s without I/O for a path failover and calls all paths down after 140 s (APDTimeout). A path that is gone is\n"
	"noticed in 15 s (noop 5 s + 10 s, the least ESXi takes) and given up after 5 s more (RecoveryTimeout).\n"
	"Guests have to wait as long: Windows guests need a disk timeout of 60 s or more (VMware Tools set it).\n";

static const char esxi_commands[] =
	"# Paths by ALUA, round robin over the active ones. Before the disks are found, or reboot after it.\n"
	"esxcli storage nmp satp rule add --satp VMW_SATP_ALUA --vendor LIO-ORG --psp VMW_PSP_RR --psp-option iops=1 "
	"--claim-option tpgs_on --description \"Lunward\"\n"
	"# vmhbaN: the adapter's own name, `esxcli iscsi adapter list`.\n"
	"esxcli iscsi adapter param set --adapter vmhbaN --key NoopOutInterval --value 5\n"
	"esxcli iscsi adapter param set --adapter vmhbaN --key NoopOutTimeout --value 10\n"
	"esxcli iscsi adapter param set --adapter vmhbaN --key RecoveryTimeout --value 5\n"
	"esxcli system settings advanced set --option /Misc/APDTimeout --int-value 140\n";

static const char bounds_windows[] = BOUNDS
	"A path is verified every 5 s and taken back after 20 s. Without a path I/O waits 60 s (60 retries, 1 s apart; PDORemovePeriod 120 s\n"
	"keeps the disk longer), and a command is no error before 60 s (DiskTimeout).\n";

static const char windows_commands[] =
	"# In PowerShell as administrator; restart Windows after it.\n"
	"Install-WindowsFeature -Name Multipath-IO\n"
	"Enable-MSDSMAutomaticClaim -BusType iSCSI\n"
	"Set-MSDSMGlobalDefaultLoadBalancePolicy -Policy RR\n"
	"Set-MPIOSetting -NewPathVerificationState Enabled -NewPathVerificationPeriod 5 -NewRetryCount 60 -NewRetryInterval 1 "
	"-NewPDORemovePeriod 120 -CustomPathRecovery Enabled -NewPathRecoveryInterval 20 -NewDiskTimeout 60\n";

static bool has_target(const struct config *config, const struct config_host *host, const struct config_target *target)
{
	for (size_t i = 0; i < config->n_mappings; i++) {
		if (config->mappings[i].host == host && config->mappings[i].target == target)
			return true;
	}
	return false;
}

typedef void portal_fn(struct strbuf *sb, const struct config_host *host, const char *iqn, const struct config_portal *portal);

/* Calls fn for each portal that the host has to log in to. */
static void each_portal(struct strbuf *sb, const struct config *config, const struct config_host *host, portal_fn *fn)
{
	for (size_t t = 0; t < config->n_targets; t++) {
		const struct config_target *target = &config->targets[t];

		for (size_t p = 0; p < target->n_portals && config_target_is_iscsi(target) && has_target(config, host, target); p++)
			fn(sb, host, target->name, &target->portals[p]);
	}
}

static void add_address(struct strbuf *sb, const struct config_portal *portal)
{
	strbuf_addf(sb, strchr(portal->address, ':') ? "[%s]:%u" : "%s:%u", portal->address, portal->port);
}

/* CHAP of a new record is iscsid.conf's: no password on a command line. */
static void add_linux_login(struct strbuf *sb, const struct config_host *host, const char *iqn, const struct config_portal *portal)
{
	static const char *const ops[] = { "-o new", "--login" };

	(void)host;
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		strbuf_addf(sb, "iscsiadm -m node -T %s -p ", iqn);
		add_address(sb, portal);
		strbuf_addf(sb, " -I %s %s\n", portal->transports & CONFIG_TRANSPORT_ISER ? "iser" : "default", ops[i]);
	}
}

static void add_esxi_login(struct strbuf *sb, const struct config_host *host, const char *iqn, const struct config_portal *portal)
{
	(void)host;
	strbuf_add(sb, "esxcli iscsi adapter discovery statictarget add --adapter vmhbaN --address ");
	add_address(sb, portal);
	strbuf_addf(sb, " --name %s\n", iqn);
}

static void add_windows_login(struct strbuf *sb, const struct config_host *host, const char *iqn, const struct config_portal *portal)
{
	strbuf_addf(sb, "New-IscsiTargetPortal -TargetPortalAddress %s -TargetPortalPortNumber %u", portal->address, portal->port);
	strbuf_addf(sb, "\nConnect-IscsiTarget -NodeAddress %s -TargetPortalAddress %s -TargetPortalPortNumber %u "
			"-IsPersistent $true -IsMultipathEnabled $true", iqn, portal->address, portal->port);
	if (host->chap.user)
		strbuf_addf(sb, " -AuthenticationType %s -ChapUsername '", host->mutual_chap.user ? "MUTUALCHAP" : "ONEWAYCHAP");
	for (const char *c = host->chap.user ? host->chap.user : ""; *c; c++)
		strbuf_add_bytes(sb, *c == '\'' ? "''" : c, *c == '\'' ? 2 : 1);
	if (host->chap.user)
		strbuf_add(sb, "' -ChapSecret (Read-Host 'CHAP secret')");
	strbuf_add(sb, "\n");
}

static void add_chap(struct strbuf *sb, const struct config_chap *chap, const char *suffix, bool secrets)
{
	strbuf_addf(sb, "node.session.auth.username%s = %s\n", suffix, chap->user);
	if (secrets)
		strbuf_addf(sb, "node.session.auth.password%s = %s\n", suffix, chap->password);
	else
		strbuf_addf(sb, "# node.session.auth.password%s: with --secrets it is here\n", suffix);
}

/* What makes the port id with the GUID of its port; where the target knows it by its address there is no need. */
static void add_initiator_ext(struct strbuf *sb, const struct config_host *host, const struct config_target *target)
{
	for (size_t i = 0; i < host->n_initiators && target->login_by == CONFIG_LOGIN_BY_PORT_ID; i++) {
		if (config_target_takes(target, host->initiators[i])) {
			strbuf_addf(sb, ",initiator_ext=%.16s", host->initiators[i] + strlen("0x"));
			return;
		}
	}
}

/*
 * What a login needs beside the GID only the node knows: id_ext and ioc_guid are ib_srpt's srpt_service_guid. In a native fabric srp_daemon asks
 * each port for it.
 */
static void add_srp_login(struct strbuf *sb, const struct config *config, const struct config_host *host, const struct config_target *target,
			  const struct config_portal *portal)
{
	const char *node = config_node_name(config, portal->nodeid);
	_cleanup_free_ char *wwn = lio_srp_wwn(portal->address);

	strbuf_addf(sb, "# Port %s of %s", portal->address, node);
	if (config->srp_rdma_cm_port) {
		strbuf_add(sb, ". GUID: /sys/module/ib_srpt/parameters/srpt_service_guid there, ADDRESS: an address of its port\n"
			       "echo id_ext=GUID,ioc_guid=GUID");
		add_initiator_ext(sb, host, target);
		strbuf_addf(sb, ",dest=ADDRESS:%u > ", config->srp_rdma_cm_port);
	} else {
		strbuf_addf(sb, "\nsrp_daemon -oc | grep dgid=%s | sed 's/$/", wwn + strlen("0x"));
		add_initiator_ext(sb, host, target);
		strbuf_add(sb, "/' > ");
	}
	strbuf_add(sb, "/sys/class/infiniband_srp/srp-DEVICE-PORT/add_target\n");
}

static void add_srp(struct strbuf *sb, const struct config *config, const struct config_host *host)
{
	bool any = false;

	for (size_t t = 0; t < config->n_targets; t++) {
		const struct config_target *target = &config->targets[t];

		if (config_target_fabric(target) != CONFIG_FABRIC_SRP || !has_target(config, host, target))
			continue;
		if (!any)
			strbuf_add(sb, "# SRP. DEVICE-PORT: the port whose GUID is the last 16 digits of the host's port id.\nmodprobe ib_srp\n");
		any = true;
		for (size_t p = 0; p < target->n_portals; p++)
			add_srp_login(sb, config, host, target, &target->portals[p]);
	}
}

/* A host logs in by itself to the ports that its own sees. */
static void add_fc(struct strbuf *sb, const struct config *config, const struct config_host *host)
{
	for (size_t t = 0; t < config->n_targets; t++) {
		const struct config_target *target = &config->targets[t];
		bool is_fcoe = config_target_fabric(target) == CONFIG_FABRIC_FCOE;

		if ((!is_fcoe && config_target_fabric(target) != CONFIG_FABRIC_FC) || !has_target(config, host, target))
			continue;
		strbuf_addf(sb, "# %s: the host's port logs in by itself; if it was there before its mapping, write 1 to its /sys/class/fc_host/hostN/issue_lip%s\n",
			    config_fabric_of_target(target->name)->title,
			    is_fcoe ? "\n# Without a switch for FCoE: modprobe fcoe; echo INTERFACE > /sys/module/libfcoe/parameters/create_vn2vn" : "");
		for (size_t p = 0; p < target->n_portals; p++)
			strbuf_addf(sb, "# Port %s of %s\n", target->portals[p].address, config_node_name(config, target->portals[p].nodeid));
	}
}

static void add_comment(struct strbuf *sb, const char *lines)
{
	while (*lines) {
		size_t n = strcspn(lines, "\n") + 1;

		strbuf_addf(sb, "# %.*s", (int)n, lines);
		lines += n;
	}
}

/* Takes what is in the buffer. */
static void add_file(struct host_settings *settings, const char *path, mode_t mode, struct strbuf *sb)
{
	settings->files[settings->n_files++] = (struct host_file){ path, mode, strbuf_steal(sb) };
}

static void begin_file(struct strbuf *sb, const struct config_host *host, const char *bounds)
{
	strbuf_addf(sb, "# For host %s, profile %s, by `lunward host show`.\n", host->name, config_profile_name(host->profile));
	add_comment(sb, bounds);
}

static void make_linux(const struct config *config, const struct config_host *host, bool secrets, struct host_settings *ret)
{
	struct strbuf sb = { 0 };

	begin_file(&sb, host, bounds_linux);
	strbuf_add(&sb, multipath_conf);
	add_file(ret, "/etc/multipath/conf.d/lunward.conf", 0644, &sb);
	begin_file(&sb, host, bounds_linux);
	strbuf_add(&sb, iscsid_conf);
	if (host->chap.user) {
		strbuf_add(&sb, "node.session.auth.authmethod = CHAP\n");
		add_chap(&sb, &host->chap, "", secrets);
	}
	if (host->mutual_chap.user)
		add_chap(&sb, &host->mutual_chap, "_in", secrets);
	add_file(ret, "/etc/iscsi/iscsid.conf", 0600, &sb);
	begin_file(&sb, host, bounds_linux);
	strbuf_add(&sb, udev_rules);
	add_file(ret, "/etc/udev/rules.d/90-lunward-host.rules", 0644, &sb);
	begin_file(&sb, host, "Once the files are there:\n");
	strbuf_add(&sb, "systemctl restart iscsid && systemctl reload multipathd && udevadm control --reload\n");
	each_portal(&sb, config, host, add_linux_login);
	add_srp(&sb, config, host);
	add_fc(&sb, config, host);
	add_file(ret, "commands", 0644, &sb);
}

static void make_commands(const struct config *config, const struct config_host *host, const char *commands, portal_fn *login,
			  struct host_settings *ret)
{
	struct strbuf sb = { 0 };

	begin_file(&sb, host, ret->bounds);
	strbuf_add(&sb, commands);
	if (host->profile == CONFIG_PROFILE_ESXI && host->chap.user)
		strbuf_add(&sb, "# CHAP: set it in the vSphere Client, where it is not on a command line, before the next lines.\n");
	if (host->profile == CONFIG_PROFILE_WINDOWS && host->mutual_chap.user)
		strbuf_add(&sb, "Set-IscsiChapSecret -ChapSecret (Read-Host 'CHAP secret of the target')\n");
	each_portal(&sb, config, host, login);
	add_file(ret, "commands", 0644, &sb);
}

void host_settings_make(const struct config *config, const struct config_host *host, bool secrets, struct host_settings *ret)
{
	static const char *const bounds[] = {
		[CONFIG_PROFILE_LINUX] = bounds_linux, [CONFIG_PROFILE_ESXI] = bounds_esxi, [CONFIG_PROFILE_WINDOWS] = bounds_windows,
	};

	*ret = (struct host_settings){ .profile = config_profile_name(host->profile), .bounds = xstrdup(bounds[host->profile]) };
	if (host->profile == CONFIG_PROFILE_ESXI)
		make_commands(config, host, esxi_commands, add_esxi_login, ret);
	else if (host->profile == CONFIG_PROFILE_WINDOWS)
		make_commands(config, host, windows_commands, add_windows_login, ret);
	else
		make_linux(config, host, secrets, ret);
}

void host_settings_done(struct host_settings *settings)
{
	for (size_t i = 0; i < settings->n_files; i++) {
		explicit_bzero(settings->files[i].text, strlen(settings->files[i].text));
		free(settings->files[i].text);
	}
	free(settings->bounds);
}
