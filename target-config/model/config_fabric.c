// SPDX-License-Identifier: GPL-2.0-or-later
/* What differs between the fabrics by which hosts come: how targets, their ports and initiators are named, and which keys are of one alone. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "target-config/model/config_text.h"

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

const struct config_fabric *config_fabric_of_initiator(const char *name)
{
	return &fabrics[starts_with(name, "0x") ? CONFIG_FABRIC_SRP : CONFIG_FABRIC_ISCSI];
}

bool config_target_is_srp(const struct config_target *target)
{
	return config_fabric_of_target(target->name)->id == CONFIG_FABRIC_SRP;
}

bool config_target_takes(const struct config_target *target, const char *initiator)
{
	return config_fabric_of_target(target->name) == config_fabric_of_initiator(initiator);
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

/* ib_srpt also takes addresses (IB: the GUID; RDMA/CM: the IP address), but for its ports named by GUID only. */
const char *config_text_srp_initiator(const char *s)
{
	size_t n = starts_with(s, "0x") ? strspn(s + 2, "0123456789abcdef") : 0;

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
