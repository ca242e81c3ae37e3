// SPDX-License-Identifier: GPL-2.0-or-later
/* What differs between the fabrics by which hosts come: how targets, their ports and initiators are named, and which keys are of one alone. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "target-config/model/config_text.h"

#define HEX "0123456789abcdef"

static const struct config_fabric fabrics[] = {
	[CONFIG_FABRIC_ISCSI] = { "iscsi", CONFIG_FABRIC_ISCSI, "address", config_text_target, config_text_initiator },
	[CONFIG_FABRIC_SRP] = { "srp", CONFIG_FABRIC_SRP, "gid", config_text_srp_target, config_text_srp_initiator },
};

static bool starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

const struct config_fabric *config_fabric_of_target(const char *name)
{
	return &fabrics[starts_with(name, CONFIG_SRP_PREFIX) ? CONFIG_FABRIC_SRP : CONFIG_FABRIC_ISCSI];
}

/* Names of iSCSI begin with a word and a dot. */
const struct config_fabric *config_fabric_of_initiator(const char *name)
{
	bool is_address = strchr(name, ':') && strspn(name, HEX ":") == strlen(name);

	return &fabrics[(*name >= '0' && *name <= '9') || is_address ? CONFIG_FABRIC_SRP : CONFIG_FABRIC_ISCSI];
}

static bool is_port_id(const char *initiator)
{
	return starts_with(initiator, "0x");
}

bool config_target_is_srp(const struct config_target *target)
{
	return config_fabric_of_target(target->name)->id == CONFIG_FABRIC_SRP;
}

bool config_target_takes(const struct config_target *target, const char *initiator)
{
	return config_fabric_of_target(target->name) == config_fabric_of_initiator(initiator) &&
	       (!config_target_is_srp(target) || is_port_id(initiator) == (target->login_by == CONFIG_LOGIN_BY_PORT_ID));
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
