// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ACLs to hosts and mappings. An ACL is one initiator at one portal group, a host is one machine: initiators with the same name in the
 * file, the same secrets and the same mappings are one host, all others are hosts of their own. A host that the document has already
 * gets what is new.
 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "target-config/exchange/foreign.h"
#include "target-config/model/config_text.h"

#define INITIATORS_MAX 64

struct hosts {
	const struct foreign *foreign;
	json_t *document;
	json_t *initiators; /* initiator -> {"name", "chap", "mutual_chap", "maps", "n_before", "object"}; in the order of the file */
	json_t *by_name;    /* name in the file -> [names of hosts made of it] */
	json_t *taken;      /* initiator -> host, of the document before */
};

static json_t *chap_json(const struct config_chap *chap)
{
	return chap->user ? json_pack("{s:s, s:s}", "user", chap->user, "password", chap->password) : json_null();
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* --- mappings ---*/

/* A host that logs in to a target needs a portal on each node that may own the volume; NULL, or the first node without one. */
static const char *node_without_portal(const json_t *document, const char *iqn, const char *volume)
{
	const json_t *group = json_object_get(json_object_get(document, "groups"),
					      text_of(json_object_get(json_object_get(document, "volumes"), volume), "group"));
	const json_t *portals = json_object_get(json_object_get(json_object_get(document, "targets"), iqn), "portals");
	const json_t *node, *portal;
	size_t i, k;

	json_array_foreach (json_object_get(group, "nodes"), i, node) {
		bool found = false;

		json_array_foreach (portals, k, portal)
			found = found || strcmp(text_of(portal, "node"), json_string_value(node)) == 0;
		if (!found)
			return json_string_value(node);
	}
	return NULL;
}

static const json_t *find_use(const json_t *maps, const char *iqn, const char *key, const json_t *value)
{
	const json_t *map;
	size_t i;

	json_array_foreach (maps, i, map) {
		if (strcmp(text_of(map, "target"), iqn) == 0 && json_equal(json_object_get(map, key), value))
			return map;
	}
	return NULL;
}

static void add_map(struct hosts *hosts, json_t *maps, const char *iqn, const struct foreign_lun *lun)
{
	struct exchange_notes *notes = hosts->foreign->notes;
	const char *volume = hosts->foreign->disks[lun->disk].volume, *node;
	json_auto_t *name = NULL, *number = NULL;
	const json_t *same_lun, *same_volume;

	if (!volume) {
		note_left_out(notes, lun->object, "its disk, %s, is left out", hosts->foreign->disks[lun->disk].object);
		return;
	}
	if (lun->lun > CONFIG_LUN_MAX) {
		note_left_out(notes, lun->object, "LUNs go to %d", CONFIG_LUN_MAX);
		return;
	}
	node = node_without_portal(hosts->document, iqn, volume);
	if (node) {
		note_left_out(notes, lun->object, "target %.223s has no portal on node %s, where its volume %s may be: add one", iqn, node, volume);
		return;
	}
	name = json_string(volume);
	number = json_integer(lun->lun);
	same_lun = find_use(maps, iqn, "lun", number);
	same_volume = find_use(maps, iqn, "volume", name);
	if (same_lun && same_lun == same_volume)
		return; /* by another portal group of the target */
	if (same_lun || same_volume)
		note_left_out(notes, lun->object, same_lun ? "the host has volume %s as this LUN of the target"
							    : "the host has volume %s of this target by another LUN",
			      same_lun ? text_of(same_lun, "volume") : volume);
	else
		json_array_append_new(maps, json_pack("{s:s, s:s, s:i}", "target", iqn, "volume", volume, "lun", (int)lun->lun));
}

/* --- initiators ---*/

/* To the host itself or to a host group that it is in. */
static bool is_for_host(const json_t *document, const json_t *mapping, const char *host)
{
	const json_t *group = json_object_get(json_object_get(document, "host_groups"), text_of(mapping, "host_group"));
	const json_t *member;
	size_t i;

	json_array_foreach (json_object_get(group, "hosts"), i, member) {
		if (strcmp(json_string_value(member), host) == 0)
			return true;
	}
	return strcmp(text_of(mapping, "host"), host) == 0;
}

/* What the host has in the document before, so that nothing is added twice. */
static json_t *known_maps(const struct hosts *hosts, const char *initiator)
{
	const char *host = text_of(hosts->taken, initiator);
	json_t *maps = json_array(), *mapping;
	size_t i;

	json_array_foreach (json_object_get(hosts->document, "mappings"), i, mapping) {
		if (*host && is_for_host(hosts->document, mapping, host))
			json_array_append(maps, mapping);
	}
	return maps;
}

static void add_acl(struct hosts *hosts, const struct foreign_acl *acl)
{
	json_t *entry = json_object_get(hosts->initiators, acl->initiator), *maps;
	json_auto_t *chap = chap_json(&acl->chap), *mutual = chap_json(&acl->mutual_chap);
	const char *iqn = hosts->foreign->tpgs[acl->tpg].iqn;

	if (entry && (!json_equal(json_object_get(entry, "chap"), chap) || !json_equal(json_object_get(entry, "mutual_chap"), mutual))) {
		note_left_out(hosts->foreign->notes, acl->object,
			      "the initiator has other CHAP secrets at another target, and a host has one set with Lunward");
		return;
	}
	if (!entry) {
		maps = known_maps(hosts, acl->initiator);
		entry = json_pack("{s:s, s:O, s:O, s:i, s:o, s:s}", "name", acl->name ? acl->name : "", "chap", chap, "mutual_chap", mutual,
				  "n_before", (int)json_array_size(maps), "maps", maps, "object", acl->object);
		json_object_set_new(hosts->initiators, acl->initiator, entry);
	}
	for (size_t i = 0; i < acl->n_luns; i++)
		add_map(hosts, json_object_get(entry, "maps"), iqn, &acl->luns[i]);
}

/* --- hosts ---*/

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool has_long_password(const json_t *entry, const char *key)
{
	return strlen(text_of(json_object_get(entry, key), "password")) > 16;
}

static const char *profile_of(const char *initiator, const json_t *entry)
{
	if (starts_with(initiator, "iqn.1998-01.com.vmware"))
		return "esxi";
	/* The model holds Windows to the passwords that Windows can have. */
	if (starts_with(initiator, "iqn.1991-05.com.microsoft") && !has_long_password(entry, "chap") && !has_long_password(entry, "mutual_chap"))
		return "windows";
	return "linux";
}

static void choose_name(const struct hosts *hosts, const char *wanted, const char *initiator, char ret_name[CONFIG_NAME_MAX + 1])
{
	const char *colon = strrchr(initiator, ':');
	char base[CONFIG_NAME_MAX + 1];

	import_make_name(*wanted ? wanted : colon && colon[1] ? colon + 1 : initiator, base);
	if (!*base)
		snprintf(base, sizeof(base), "host");
	memcpy(ret_name, base, sizeof(base));
	for (unsigned int i = 2; json_object_get(json_object_get(hosts->document, "hosts"), ret_name); i++)
		snprintf(ret_name, CONFIG_NAME_MAX + 1, "%.24s-%u", base, i);
}

/* The host that has the same name in the file, the same secrets and the same mappings; NULL: none. */
static json_t *find_twin(const struct hosts *hosts, const json_t *entry, const char *profile, const char **ret_name)
{
	const json_t *name;
	size_t i;

	if (!*text_of(entry, "name"))
		return NULL;
	json_array_foreach (json_object_get(hosts->by_name, text_of(entry, "name")), i, name) {
		json_t *host = json_object_get(json_object_get(hosts->document, "hosts"), json_string_value(name));

		if (json_array_size(json_object_get(host, "initiators")) < INITIATORS_MAX &&
		    strcmp(text_of(host, "profile"), profile) == 0 &&
		    json_equal(json_object_get(host, "maps"), json_object_get(entry, "maps")) &&
		    json_equal(json_object_get(host, "chap"), json_object_get(entry, "chap")) &&
		    json_equal(json_object_get(host, "mutual_chap"), json_object_get(entry, "mutual_chap"))) {
			*ret_name = json_string_value(name);
			return host;
		}
	}
	return NULL;
}

static bool has_same_chap(const json_t *host, const json_t *entry, const char *key)
{
	const json_t *a = json_object_get(host, key), *b = json_object_get(entry, key);

	return a ? json_equal(a, b) : json_is_null(b);
}

/* A host of the document before gets what is new, if that is for nobody else. */
static void extend_host(struct hosts *hosts, const char *name, const json_t *entry)
{
	const json_t *host = json_object_get(json_object_get(hosts->document, "hosts"), name), *maps = json_object_get(entry, "maps");

	if (!has_same_chap(host, entry, "chap") || !has_same_chap(host, entry, "mutual_chap")) {
		note_left_out(hosts->foreign->notes, text_of(entry, "object"),
			      "the initiator is one of host %s of the document, which has other CHAP secrets", name);
		return;
	}
	if (json_array_size(json_object_get(host, "initiators")) > 1) {
		note_left_out(hosts->foreign->notes, text_of(entry, "object"),
			      "the initiator is one of several of host %s of the document: add its mappings there", name);
		return;
	}
	for (size_t i = (size_t)json_integer_value(json_object_get(entry, "n_before")); i < json_array_size(maps); i++) {
		json_t *mapping = json_deep_copy(json_array_get(maps, i));

		json_object_set_new(mapping, "host", json_string(name));
		json_array_append_new(json_object_get(hosts->document, "mappings"), mapping);
	}
}

static void add_host(struct hosts *hosts, const char *initiator, const json_t *entry)
{
	const char *profile = profile_of(initiator, entry), *wanted = text_of(entry, "name"), *twin_name = NULL;
	json_t *twin = find_twin(hosts, entry, profile, &twin_name), *made_of;
	char name[CONFIG_NAME_MAX + 1];

	if (*text_of(hosts->taken, initiator)) {
		extend_host(hosts, text_of(hosts->taken, initiator), entry);
		return;
	}
	if (twin) {
		json_array_append_new(json_object_get(twin, "initiators"), json_string(initiator));
		return;
	}
	choose_name(hosts, wanted, initiator, name);
	json_object_set_new(json_object_get(hosts->document, "hosts"), name,
			    json_pack("{s:s, s:[s], s:O, s:O, s:O}", "profile", profile, "initiators", initiator, "chap",
				      json_object_get(entry, "chap"), "mutual_chap", json_object_get(entry, "mutual_chap"), "maps",
				      json_object_get(entry, "maps")));
	if (!*wanted)
		return;
	if (strcmp(name, wanted) != 0)
		note_changed(hosts->foreign->notes, text_of(entry, "object"), "\"%.64s\" is called %s here", wanted, name);
	made_of = json_object_get(hosts->by_name, wanted);
	if (!made_of) {
		made_of = json_array();
		json_object_set_new(hosts->by_name, wanted, made_of);
	}
	json_array_append_new(made_of, json_string(name));
}

/* "maps" of the hosts become mappings; what is null goes. */
static void finish_hosts(struct hosts *hosts)
{
	json_t *mappings = json_object_get(hosts->document, "mappings"), *host;
	const json_t *map;
	const char *name;
	size_t i;

	json_object_foreach(json_object_get(hosts->document, "hosts"), name, host) {
		json_array_foreach (json_object_get(host, "maps"), i, map) {
			json_t *mapping = json_deep_copy(map);

			json_object_set_new(mapping, "host", json_string(name));
			json_array_append_new(mappings, mapping);
		}
		json_object_del(host, "maps");
		if (json_is_null(json_object_get(host, "chap")))
			json_object_del(host, "chap");
		if (json_is_null(json_object_get(host, "mutual_chap")))
			json_object_del(host, "mutual_chap");
	}
}

static void learn_hosts(struct hosts *hosts)
{
	const json_t *host, *initiator;
	const char *name;
	size_t i;

	json_object_foreach(json_object_get(hosts->document, "hosts"), name, host) {
		json_array_foreach (json_object_get(host, "initiators"), i, initiator)
			json_object_set_new(hosts->taken, json_string_value(initiator), json_string(name));
	}
}

void import_hosts(const struct foreign *foreign, json_t *document)
{
	json_auto_t *initiators = json_object(), *by_name = json_object(), *taken = json_object();
	struct hosts hosts = { .foreign = foreign, .document = document, .initiators = initiators, .by_name = by_name, .taken = taken };
	const json_t *entry;
	const char *initiator;

	learn_hosts(&hosts);
	for (size_t i = 0; i < foreign->n_acls; i++) {
		if (foreign->acls[i].initiator)
			add_acl(&hosts, &foreign->acls[i]);
	}
	json_object_foreach(initiators, initiator, entry)
		add_host(&hosts, initiator, entry);
	finish_hosts(&hosts);
}
