// SPDX-License-Identifier: GPL-2.0-or-later
/* What differs between the fabrics by which hosts come: how targets, their ports and initiators are named, and which keys are of one alone. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "target-config/model/config_text.h"

#define HEX "0123456789abcdef"

static const struct config_fabric fabrics[CONFIG_FABRICS] = {
	[CONFIG_FABRIC_ISCSI] = { CONFIG_FABRIC_ISCSI, "iSCSI", "", "address", "address", NULL, NULL, config_text_target, config_text_initiator },
	[CONFIG_FABRIC_SRP] = { CONFIG_FABRIC_SRP, "SRP", CONFIG_SRP_PREFIX, "gid", "GID", "RDMA port", "ib_srpt", config_text_srp_target,
				 config_text_srp_initiator },
	[CONFIG_FABRIC_FCOE] = { CONFIG_FABRIC_FCOE, "FCoE", CONFIG_FCOE_PREFIX, "wwpn", "WWPN", "FCoE port", "tcm_fc", config_text_fcoe_target,
				 config_text_wwpn },
	[CONFIG_FABRIC_FC] = { CONFIG_FABRIC_FC, "Fibre Channel", CONFIG_FC_PREFIX, "wwpn", "WWPN", "QLogic port", "tcm_qla2xxx",
				config_text_fc_target, config_text_wwpn },
};

static bool starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

const struct config_fabric *config_fabric_of_target(const char *name)
{
	for (size_t i = CONFIG_FABRICS - 1; i > 0; i--)
		if (starts_with(name, fabrics[i].prefix))
			return &fabrics[i];
	return &fabrics[CONFIG_FABRIC_ISCSI];
}

const struct config_fabric *config_fabric(enum config_fabric_id id)
{
	return &fabrics[id];
}

/* Two digits and a colon: no address that the kernel writes begins so, nor a name of iSCSI, which begins with a word and a dot. */
const struct config_fabric *config_fabric_of_initiator(const char *name)
{
	bool is_address = strchr(name, ':') && strspn(name, HEX ":") == strlen(name);

	if (strspn(name, HEX "ABCDEF") == 2 && name[2] == ':')
		return &fabrics[CONFIG_FABRIC_FC];
	return &fabrics[(*name >= '0' && *name <= '9') || is_address ? CONFIG_FABRIC_SRP : CONFIG_FABRIC_ISCSI];
}

static bool is_port_id(const char *initiator)
{
	return starts_with(initiator, "0x");
}

enum config_fabric_id config_target_fabric(const struct config_target *target)
{
	return config_fabric_of_target(target->name)->id;
}

bool config_target_is_iscsi(const struct config_target *target)
{
	return config_target_fabric(target) == CONFIG_FABRIC_ISCSI;
}

bool config_target_takes(const struct config_target *target, const char *initiator)
{
	return config_fabric_of_target(target->name)->check_initiator == config_fabric_of_initiator(initiator)->check_initiator &&
	       (config_target_fabric(target) != CONFIG_FABRIC_SRP || is_port_id(initiator) == (target->login_by == CONFIG_LOGIN_BY_PORT_ID));
}

bool config_host_fits(const struct config_host *host, const struct config_target *target)
{
	for (size_t i = 0; i < host->n_initiators; i++)
		if (config_target_takes(target, host->initiators[i]))
			return true;
	return false;
}

const char *config_text_srp_target(const char *s)
{
	return config_text_name(s + strlen(CONFIG_SRP_PREFIX));
}

const char *config_text_fcoe_target(const char *s)
{
	return config_text_name(s + strlen(CONFIG_FCOE_PREFIX));
}

const char *config_text_fc_target(const char *s)
{
	return config_text_name(s + strlen(CONFIG_FC_PREFIX));
}

const char *config_text_wwpn(const char *s)
{
	static const char form[] = "00:00:00:00:00:00:00:00";
	bool is_form = strlen(s) == strlen(form);

	for (size_t i = 0; is_form && form[i]; i++)
		is_form = form[i] == ':' ? s[i] == ':' : s[i] && strchr(HEX, s[i]);
	if (!is_form)
		return "a WWPN is eight pairs of hex digits in lower case with colons between them, e.g. 20:00:52:54:00:12:34:56";
	return strcmp(s, form) == 0 ? "not the WWPN of a port" : NULL;
}

/* As "%pIS" has it, or srpt_format_guid(): the ACL's name is compared as text. */
static bool is_kernels_address(const char *s)
{
	char again[INET_ADDRSTRLEN], gid[CONFIG_GID_SIZE];
	struct in_addr v4;

	if (inet_pton(AF_INET, s, &v4) == 1)
		return inet_ntop(AF_INET, &v4, again, sizeof(again)) && strcmp(again, s) == 0 && v4.s_addr;
	if (strlen(s) == strlen("5054:00ff:fe12:0303"))
		return strspn(s, HEX ":") == strlen(s) && s[4] == ':' && s[9] == ':' && s[14] == ':' && strspn(s, HEX) == 4 &&
		       strspn(s + 5, HEX) == 4 && strspn(s + 10, HEX) == 4 && strspn(s + 15, HEX) == 4;
	return !config_text_gid(s, gid) && strcmp(gid, s) == 0;
}

const char *config_text_srp_initiator(const char *s)
{
	size_t n = is_port_id(s) ? strspn(s + 2, HEX) : 0;

	if (!is_port_id(s))
		return is_kernels_address(s) ? NULL : "an SRP initiator's address is an IPv4 address, an IPv6 address with all its digits in "
						      "lower case, or a GUID like 5054:00ff:fe12:0303";
	return n == 32 && s[2 + n] == '\0' ?
		       NULL :
		       "after \"0x\" come the 32 hex digits of the SRP initiator's port id (initiator_ext and its port's GUID) in lower case";
}

const char *config_text_any_target(const char *s)
{
	return config_fabric_of_target(s)->check_target(s);
}

const char *config_text_any_initiator(const char *s)
{
	return config_fabric_of_initiator(s)->check_initiator(s);
}

const char *config_text_gid(const char *s, char ret_gid[CONFIG_GID_SIZE])
{
	struct in6_addr gid;

	if (inet_pton(AF_INET6, s, &gid) != 1)
		return "must be the GID of an RDMA port as /sys/class/infiniband/*/ports/*/gids/0 has it, e.g. "
		       "fe80:0000:0000:0000:5054:00ff:fe12:3456";
	if (IN6_IS_ADDR_UNSPECIFIED(&gid) || IN6_IS_ADDR_MULTICAST(&gid))
		return "not the GID of one port";
	for (size_t i = 0; i < 8; i++)
		snprintf(ret_gid + 5 * i, CONFIG_GID_SIZE - 5 * i, "%02x%02x%s", gid.s6_addr[2 * i], gid.s6_addr[2 * i + 1], i < 7 ? ":" : "");
	return NULL;
}
