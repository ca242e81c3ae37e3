// SPDX-License-Identifier: GPL-2.0-or-later
/* Who gets at them, and how: targets, hosts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "target-config/model/config_read.h"

#define PORTALS_MAX 256
#define INITIATORS_MAX 64
#define HOSTS_MAX 65536

static const char *const profile_words[] = { "linux", "esxi", "windows", NULL };

const char *config_profile_name(enum config_profile profile)
{
	return profile_words[profile];
}

/* --- targets ---*/

static int read_portal_address(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	struct config_portal *portal = where; /* offset 0 */
	const char *text = reader_expect_text(r, value), *wrong;
	char address[INET6_ADDRSTRLEN];

	(void)key;
	if (!text)
		return -EINVAL;
	wrong = config_text_address(text, address, &portal->prefix_len);
	if (wrong)
		return reader_refuse(r, -EINVAL, "%s", wrong);
	portal->address = xstrdup(address);
	return 0;
}

static int read_transports(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	static const char *const words[] = { "tcp", "iser", NULL };
	const struct reader_key word_key = { .words = words };
	int rc = reader_expect_array(r, value, 2);
	unsigned int mask = 0, word;
	json_t *member;
	size_t i;

	(void)key;
	if (rc < 0)
		return rc;
	json_array_foreach(value, i, member) {
		size_t mark = reader_enter_index(r, i);

		rc = reader_word(r, &word_key, member, &word);
		if (rc < 0)
			return rc;
		if (mask & 1u << word)
			return reader_refuse(r, -EINVAL, "%s is named twice", words[word]);
		mask |= 1u << word;
		reader_leave(r, mark);
	}
	if (!mask)
		return reader_refuse(r, -EINVAL, "no transports; name tcp, iser or both, or leave the key out for tcp");
	/* LIO makes an iSER portal by a switch on the TCP one (iscsi_target_configfs.c, lio_target_np_iser_store). */
	if (mask & CONFIG_TRANSPORT_ISER)
		mask |= CONFIG_TRANSPORT_TCP;
	*(unsigned int *)where = mask;
	return 0;
}

static const struct reader_key portal_keys[] = {
	CONFIG_KEY("node", config_read_node_reference, struct config_portal, nodeid, .example = "\"n1\""),
	{ .name = "address", .read = read_portal_address, .example = "\"10.77.0.1/24\"" },
	CONFIG_KEY("interface", reader_text, struct config_portal, interface, .check = config_text_interface),
	CONFIG_KEY("port", reader_u16, struct config_portal, port, .min = 1, .max = 65535),
	CONFIG_KEY("transports", read_transports, struct config_portal, transports),
};

static int read_gid(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	const char *text = reader_expect_text(r, value), *wrong;
	char gid[CONFIG_GID_SIZE];

	(void)key;
	if (!text)
		return -EINVAL;
	wrong = config_text_gid(text, gid);
	if (wrong)
		return reader_refuse(r, -EINVAL, "%s", wrong);
	*(char **)where = xstrdup(gid);
	return 0;
}

static const struct reader_key srp_portal_keys[] = {
	CONFIG_KEY("node", config_read_node_reference, struct config_portal, nodeid, .example = "\"n1\""),
	CONFIG_KEY("gid", read_gid, struct config_portal, address, .example = "\"fe80:0000:0000:0000:5054:00ff:fe12:3456\""),
};

static const struct reader_key fc_portal_keys[] = {
	CONFIG_KEY("node", config_read_node_reference, struct config_portal, nodeid, .example = "\"n1\""),
	CONFIG_KEY("wwpn", reader_text, struct config_portal, address, .example = "\"20:00:52:54:00:12:34:56\"", .check = config_text_wwpn),
};

static int read_portal(struct reader *r, json_t *value, const struct config_target *target, struct config_portal *portal)
{
	int rc;

	if (config_target_fabric(target) == CONFIG_FABRIC_SRP)
		return reader_object(r, value, CONFIG_KEYS(srp_portal_keys), portal);
	if (!config_target_is_iscsi(target))
		return reader_object(r, value, CONFIG_KEYS(fc_portal_keys), portal);
	portal->port = 3260;
	portal->transports = CONFIG_TRANSPORT_TCP;
	rc = reader_object(r, value, CONFIG_KEYS(portal_keys), portal);
	if (rc < 0)
		return rc;
	if (portal->prefix_len && !portal->interface)
		return reader_refuse_key(
			r, "interface",
			"missing; it says where the address belongs, or leave out \"/%u\" of the address if Lunward shall not manage it",
			portal->prefix_len);
	return 0;
}

static int compare_portals(const void *a, const void *b)
{
	const struct config_portal *x = a, *y = b;
	int rc = x->nodeid < y->nodeid ? -1 : x->nodeid > y->nodeid;

	if (!rc)
		rc = strcmp(x->address, y->address);
	return rc ? rc : (int)x->port - (int)y->port;
}

static int read_portals(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	struct config_target *target = where; /* offset 0 */
	int rc = reader_expect_array(r, value, PORTALS_MAX);
	json_t *member;
	size_t i;

	(void)key;
	if (rc < 0)
		return rc;
	target->portals = xcalloc(json_array_size(value) + 1, sizeof(*target->portals));
	json_array_foreach(value, i, member) {
		struct config_portal *portal = &target->portals[target->n_portals++];
		size_t mark = reader_enter_index(r, i);

		rc = read_portal(r, member, target, portal);
		if (rc < 0)
			return rc;
		for (size_t j = 0; j < i; j++)
			if (portal->port == target->portals[j].port &&
			    strcmp(portal->address, target->portals[j].address) == 0)
				return !config_target_is_iscsi(target) ?
					       reader_refuse(r, -EINVAL, "%s %s is portals[%zu] already; remove one of them",
							     config_fabric_of_target(target->name)->portal_word, portal->address, j) :
					       reader_refuse(r, -EINVAL, "address %s port %u is portals[%zu] already; remove one of them",
							     portal->address, portal->port, j);
		reader_leave(r, mark);
	}
	qsort(target->portals, target->n_portals, sizeof(*target->portals), compare_portals);
	return 0;
}

static const char *const login_words[] = { "port_id", "address", NULL };

const char *config_login_by_name(enum config_login_by login_by)
{
	return login_words[login_by];
}

static const struct reader_key target_keys[] = {
	{ .name = "portals", .read = read_portals, .example = "[{\"node\": \"n1\", \"address\": \"10.77.0.1\"}]" },
	CONFIG_KEY("login_by", reader_word, struct config_target, login_by, .words = login_words),
	CONFIG_KEY("parameters", config_read_parameters, struct config_target, parameters),
};

static int finish_target(struct reader *r, void *item)
{
	const struct config_target *target = item;
	const struct config_fabric *fabric = config_fabric_of_target(target->name);

	for (size_t i = 0; !config_target_is_iscsi(target) && i < CONFIG_PARAMETERS; i++)
		if (target->parameters[i])
			return reader_refuse_key(r, "parameters", "are of iSCSI, and this is not an iSCSI target; remove them");
	if (target->login_by != CONFIG_LOGIN_BY_PORT_ID && fabric->id != CONFIG_FABRIC_SRP)
		return reader_refuse_key(r, "login_by", "is of SRP, and this is not an SRP target; remove it");
	return config_check_parameters(r, target);
}

static const struct reader_key srp_keys[] = {
	CONFIG_KEY("rdma_cm_port", reader_u16, struct config, srp_rdma_cm_port, .example = "5555", .min = 1, .max = 65535),
};

int config_read_srp(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	(void)key;
	return reader_object(r, value, CONFIG_KEYS(srp_keys), where);
}

int config_read_targets(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	static const struct config_section section = {
		CONFIG_SECTION_OF(targets),        .max = 4096, .check_name = config_text_any_target, .keys = target_keys,
		.n_keys = ARRAY_SIZE(target_keys), .finish = finish_target,
	};

	(void)key, (void)where;
	return config_read_section(r, &section, value);
}

/* --- hosts ---*/

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_initiators(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	const struct reader_key text = { .check = config_text_any_initiator };
	struct config_host *host = where; /* offset 0 */
	int rc = reader_expect_array(r, value, INITIATORS_MAX);
	json_t *member;
	size_t i;

	(void)key;
	if (rc < 0)
		return rc;
	if (json_array_size(value) == 0)
		return reader_refuse(r, -EINVAL, "no initiators; name the host's IQN");
	host->initiators = xcalloc(json_array_size(value) + 1, sizeof(*host->initiators));
	json_array_foreach(value, i, member) {
		size_t mark = reader_enter_index(r, i);

		rc = reader_text(r, &text, member, &host->initiators[host->n_initiators++]);
		if (rc < 0)
			return rc;
		for (size_t j = 0; j < i; j++)
			if (strcmp(host->initiators[i], host->initiators[j]) == 0)
				return reader_refuse(r, -EINVAL, "this initiator is named twice");
		reader_leave(r, mark);
	}
	qsort(host->initiators, host->n_initiators, sizeof(*host->initiators), compare_texts);
	return 0;
}

static const struct reader_key chap_keys[] = {
	CONFIG_KEY("user", reader_text, struct config_chap, user, .example = "\"h1\"", .check = config_text_chap_user),
	CONFIG_KEY("password", reader_text, struct config_chap, password, .example = "\"12 to 64 characters\"",
		   .check = config_text_chap_password),
};

static int read_chap(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	(void)key;
	return reader_object(r, value, CONFIG_KEYS(chap_keys), where);
}

static const struct reader_key host_keys[] = {
	CONFIG_KEY("profile", reader_word, struct config_host, profile, .words = profile_words),
	{ .name = "initiators", .read = read_initiators, .example = "[\"iqn.1993-08.org.debian:01:abc\"]" },
	CONFIG_KEY("chap", read_chap, struct config_host, chap),
	CONFIG_KEY("mutual_chap", read_chap, struct config_host, mutual_chap),
};

static int check_mutual(struct reader *r, const struct config_chap *chap, const struct config_chap *mutual)
{
	if (mutual->user && !chap->user)
		return reader_refuse_key(r, "mutual_chap",
					 "the target proves itself only to a host that proves itself; add chap");
	/* RFC 7143 9.2.1: a reused secret lets an attacker have the other side answer for it. */
	if (mutual->user && strcmp(chap->password, mutual->password) == 0)
		return reader_refuse_key(r, "mutual_chap", "has the same password as chap; choose another");
	return 0;
}

static const struct reader_key discovery_keys[] = {
	CONFIG_KEY("chap", read_chap, struct config_discovery, chap),
	CONFIG_KEY("mutual_chap", read_chap, struct config_discovery, mutual_chap),
};

int config_read_discovery(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	struct config_discovery *discovery = where;
	int rc = reader_object(r, value, CONFIG_KEYS(discovery_keys), where);

	(void)key;
	discovery->is_said = true;
	return rc < 0 ? rc : check_mutual(r, &discovery->chap, &discovery->mutual_chap);
}

static bool has_iscsi_name(const struct config_host *host)
{
	for (size_t i = 0; i < host->n_initiators; i++)
		if (config_fabric_of_initiator(host->initiators[i])->id == CONFIG_FABRIC_ISCSI)
			return true;
	return false;
}

static int finish_host(struct reader *r, void *item)
{
	const struct config_host *host = item;
	int rc = check_mutual(r, &host->chap, &host->mutual_chap);

	if (rc < 0)
		return rc;
	if (host->chap.user && !has_iscsi_name(host))
		return reader_refuse_key(r, "chap", "is of iSCSI, and this host has no iSCSI initiator; remove it");
	/* Microsoft's initiator takes secrets of 12 to 16 bytes. */
	if (host->profile == CONFIG_PROFILE_WINDOWS && host->chap.user &&
	    (strlen(host->chap.password) > 16 || (host->mutual_chap.user && strlen(host->mutual_chap.password) > 16)))
		return reader_refuse_key(r, strlen(host->chap.password) > 16 ? "chap" : "mutual_chap",
					 "Windows takes passwords of 12 to 16 characters; choose a shorter one");
	return 0;
}

int config_read_hosts(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	static const struct config_section section = {
		CONFIG_SECTION_OF(hosts),        .max = HOSTS_MAX,
		.check_name = config_text_name,  .keys = host_keys,
		.n_keys = ARRAY_SIZE(host_keys), .finish = finish_host,
	};

	(void)key, (void)where;
	return config_read_section(r, &section, value);
}

/* --- host groups ---*/

static int compare_host_names(const void *a, const void *b)
{
	return strcmp((*(const struct config_host *const *)a)->name, (*(const struct config_host *const *)b)->name);
}

static int read_group_hosts(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	struct config_host_group *group = where; /* offset 0 */
	int rc = reader_expect_array(r, value, HOSTS_MAX);
	json_t *member;
	size_t i;

	(void)key;
	if (rc < 0)
		return rc;
	if (json_array_size(value) == 0)
		return reader_refuse(r, -EINVAL, "no hosts; name one, or remove the group");
	group->hosts = xcalloc(json_array_size(value), sizeof(*group->hosts));
	json_array_foreach(value, i, member) {
		size_t mark = reader_enter_index(r, i);

		rc = config_read_host_reference(r, key, member, &group->hosts[i]);
		if (rc < 0)
			return rc;
		reader_leave(r, mark);
	}
	group->n_hosts = json_array_size(value);
	qsort(group->hosts, group->n_hosts, sizeof(*group->hosts), compare_host_names);
	for (i = 1; i < group->n_hosts; i++)
		if (group->hosts[i] == group->hosts[i - 1])
			return reader_refuse(r, -EINVAL, "host %s is named twice", group->hosts[i]->name);
	return 0;
}

static const struct reader_key host_group_keys[] = {
	{ .name = "hosts", .read = read_group_hosts, .example = "[\"h1\", \"h2\"]" },
};

int config_read_host_groups(struct reader *r, const struct reader_key *key, json_t *value, void *where)
{
	static const struct config_section section = {
		CONFIG_SECTION_OF(host_groups), .max = HOSTS_MAX, .check_name = config_text_name, .keys = host_group_keys,
		.n_keys = ARRAY_SIZE(host_group_keys),
	};

	(void)key, (void)where;
	return config_read_section(r, &section, value);
}
