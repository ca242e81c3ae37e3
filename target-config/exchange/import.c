// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A document out of what a reader found: groups and volumes, targets; hosts.c adds hosts and mappings. The document that is added to is
 * parsed and printed first, and the result is parsed last, so that what comes out is what `lunward apply` takes.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "target-config/exchange/foreign.h"
#include "target-config/model/config_json.h"
#include "target-config/model/config_text.h"

DEFINE_CLEANUP(struct config *, config_free);

struct import {
	const struct import_options *options;
	struct foreign *foreign;
	json_t *document;
	json_t *naa;     /* NAA id -> volume, of all volumes of the document */
	json_t *devices; /* device -> volume */
	const char *node;
	uint32_t nodeid;
};

static json_t *section(const struct import *import, const char *name)
{
	return json_object_get(import->document, name);
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

void import_make_name(const char *text, char ret_name[CONFIG_NAME_MAX + 1])
{
	size_t n = 0;

	for (; *text && n < CONFIG_NAME_MAX; text++) {
		char c = (char)tolower((unsigned char)*text);
		bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		if (plain || (n && (c == '-' || c == '_' || (c == '.' && ret_name[n - 1] != '.'))))
			ret_name[n++] = c;
		else if (n && ret_name[n - 1] != '-')
			ret_name[n++] = '-';
	}
	while (n && !isalnum((unsigned char)ret_name[n - 1]))
		n--;
	ret_name[n] = '\0';
}

/* --- groups ---*/

/* "/dev/VG/LV" and "/dev/mapper/VG-LV" are logical volumes by their form; false: not one. */
static bool find_vg(const char *device, char ret_vg[CONFIG_NAME_MAX + 1])
{
	static const char mapper[] = "/dev/mapper/";
	static const char *const others[] = { "disk", "mapper", "md", "block", "zvol", "drbd", "loop", "input", NULL };
	const char *name = device + strlen("/dev/"), *slash = strchr(name, '/');
	size_t n = 0;

	if (strncmp(device, mapper, strlen(mapper)) == 0) {
		/* device-mapper writes a '-' of a name twice: one alone stands between the two names. */
		for (name = device + strlen(mapper); *name && !(name[0] == '-' && name[1] != '-') && n < CONFIG_NAME_MAX; name++) {
			ret_vg[n++] = *name;
			name += name[0] == '-';
		}
		if (*name != '-')
			return false;
	} else {
		if (!slash || strchr(slash + 1, '/') || (size_t)(slash - name) > CONFIG_NAME_MAX)
			return false;
		n = (size_t)(slash - name);
		memcpy(ret_vg, name, n);
	}
	ret_vg[n] = '\0';
	for (size_t i = 0; others[i]; i++) {
		if (strcmp(ret_vg, others[i]) == 0)
			return false;
	}
	return !config_text_vg(ret_vg);
}

/* The group of a volume, made if it is not there: on this node, with the device as it is. NULL: it cannot be, a note says why. */
static const json_t *find_group(struct import *import, const struct foreign_disk *disk, const struct import_map *map, const char *volume,
				char ret_name[CONFIG_NAME_MAX + 1])
{
	char vg[CONFIG_NAME_MAX + 1];
	json_t *group;

	if (map)
		snprintf(ret_name, CONFIG_NAME_MAX + 1, "%s", map->group);
	else
		import_make_name(find_vg(disk->device, vg) ? vg : volume, ret_name);
	group = json_object_get(section(import, "groups"), ret_name);
	if (group)
		return group;
	if ((map && strlen(map->group) > CONFIG_NAME_MAX) || config_text_name(ret_name)) {
		note_left_out(import->foreign->notes, disk->object, "\"%.64s\" cannot be its group: %s", map ? map->group : ret_name,
			      map && strlen(map->group) > CONFIG_NAME_MAX ? "the name is too long" : config_text_name(ret_name));
		return NULL;
	}
	group = json_pack("{s:s, s:[s]}", "backend", "shared", "nodes", import->node);
	json_object_set_new(section(import, "groups"), ret_name, group);
	return group;
}

/* --- volumes ---*/

/* A pool for what is not served from its device as it is; NULL: a note says why not. */
static const char *find_pool(struct import *import, const struct foreign_disk *disk, const struct import_map *map)
{
	char vg[CONFIG_NAME_MAX + 1] = "", name[CONFIG_NAME_MAX + 1];
	bool is_lv = find_vg(disk->device, vg);
	json_t *pools = section(import, "pools"), *pool;
	const char *key;

	json_object_foreach(pools, key, pool) {
		if (map && map->pool ? strcmp(key, map->pool) == 0 :
				       is_lv ? strcmp(text_of(pool, "vg"), vg) == 0 : json_object_size(pools) == 1)
			return key;
	}
	if (map && map->pool) {
		note_left_out(import->foreign->notes, disk->object, "the document to add to has no pool \"%.64s\"", map->pool);
		return NULL;
	}
	import_make_name(vg, name);
	if (!is_lv || config_text_name(name) || json_object_get(pools, name)) {
		note_left_out(import->foreign->notes, disk->object,
			      "its group keeps volumes in pools, and it is not clear in which: say --map %s=GROUP/VOLUME@POOL", disk->name);
		return NULL;
	}
	json_object_set_new(pools, name, json_pack("{s:s}", "vg", vg));
	return json_object_iter_key(json_object_iter_at(pools, name));
}

/* What has to be done before the document is applied, where Lunward would otherwise make an empty volume. */
static void note_data(struct import *import, const struct foreign_disk *disk, const char *volume, const char *backend)
{
	char vg[CONFIG_NAME_MAX + 1] = "";
	const char *lv = strrchr(disk->device, '/') + 1;
	bool is_lv = find_vg(disk->device, vg);

	if (strcmp(backend, "local") == 0 && is_lv && strncmp(lv, "lunward-", strlen("lunward-")) == 0 &&
	    strcmp(lv + strlen("lunward-"), volume) == 0)
		return; /* it is Lunward's own */
	if (strcmp(backend, "local") == 0 && is_lv)
		note_changed(import->foreign->notes, disk->object,
			     "before the document is applied: lvrename %s to lunward-%s in its volume group, and lvchange --addtag lunward; "
			     "else an empty volume is made beside it", disk->device, volume);
	else
		note_changed(import->foreign->notes, disk->object,
			     "backend %s makes an empty volume %s: copy the data of %s to it before its hosts are let in", backend, volume,
			     disk->device);
}

static bool has_good_size(struct import *import, const struct foreign_disk *disk, uint64_t size, bool in_pool)
{
	uint64_t unit = in_pool ? 4u << 20 : disk->block_size;

	if (size == 0)
		note_left_out(import->foreign->notes, disk->object,
			      "how large is %s? It is not here to be asked: say --map %s=GROUP/VOLUME,SIZE", disk->device, disk->name);
	else if (size % unit)
		note_left_out(import->foreign->notes, disk->object, "its size, %llu bytes, is not a multiple of %llu bytes",
			      (unsigned long long)size, (unsigned long long)unit);
	else if (size > UINT64_C(1) << 50)
		note_left_out(import->foreign->notes, disk->object, "at most 1024TiB are supported");
	else
		return true;
	return false;
}

static uint64_t size_of(const struct import *import, const struct foreign_disk *disk, const struct import_map *map)
{
	uint64_t bytes = map ? map->size_bytes : 0;

	if (!bytes && import->options->size_of && import->options->size_of(disk->device, &bytes) < 0)
		bytes = 0;
	return bytes;
}

/* DRBD's minor of an exported volume of Lunward's, so that it comes back as it was. */
static void keep_minor(json_t *volume, const char *device)
{
	const char *digits = device + strlen("/dev/drbd");

	if (strncmp(device, "/dev/drbd", strlen("/dev/drbd")) == 0 && *digits && strlen(digits) < 7 &&
	    digits[strspn(digits, "0123456789")] == '\0')
		json_object_set_new(volume, "drbd_minor", json_integer(strtol(digits, NULL, 10)));
}

static bool place_volume(struct import *import, const struct foreign_disk *disk, const struct import_map *map, const char *name,
			 json_t *volume)
{
	char group_name[CONFIG_NAME_MAX + 1];
	const json_t *group = find_group(import, disk, map, name, group_name);
	const char *backend = text_of(group, "backend"), *pool, *taken;
	bool in_pool = strcmp(backend, "shared") != 0;
	uint64_t size = size_of(import, disk, map);

	if (!group || !has_good_size(import, disk, size, in_pool))
		return false;
	json_object_set_new(volume, "group", json_string(group_name));
	json_object_set_new(volume, "size", json_integer((json_int_t)size));
	json_object_set_new(volume, "block_size", json_integer(disk->block_size));
	if (in_pool) {
		pool = find_pool(import, disk, map);
		if (!pool)
			return false;
		json_object_set_new(volume, "pool", json_string(pool));
		if (strcmp(backend, "drbd") == 0)
			keep_minor(volume, disk->device);
		note_data(import, disk, name, backend);
		return true;
	}
	taken = text_of(import->devices, disk->device);
	if (*taken) {
		note_left_out(import->foreign->notes, disk->object, "its device %s is volume %s already", disk->device, taken);
		return false;
	}
	json_object_set_new(import->devices, disk->device, json_string(name));
	json_object_set_new(volume, "device", json_string(disk->device));
	return true;
}

/* Two disks with one identity would be one disk to a host. */
static bool is_new_identity(struct import *import, const struct foreign_disk *disk, char ret_naa[33])
{
	const char *taken;

	if (!disk->serial)
		return true;
	config_naa(disk->serial, ret_naa);
	taken = text_of(import->naa, ret_naa);
	if (*taken)
		note_left_out(import->foreign->notes, disk->object, "hosts could not tell it from volume %s, which has the same NAA id", taken);
	return !*taken;
}

static bool choose_name(struct import *import, const struct foreign_disk *disk, const struct import_map *map, char ret[CONFIG_NAME_MAX + 1])
{
	const char *want = map && map->volume ? map->volume : disk->name, *wrong;

	if (map && map->volume)
		snprintf(ret, CONFIG_NAME_MAX + 1, "%s", want);
	else
		import_make_name(want, ret);
	wrong = map && map->volume && strlen(want) > CONFIG_NAME_MAX ? "the name is too long" : config_text_volume(ret);
	if (wrong)
		note_left_out(import->foreign->notes, disk->object, "it cannot be called \"%.64s\": %s; say --map %s=GROUP/VOLUME", want,
			      wrong, disk->name);
	else if (json_object_get(section(import, "volumes"), ret))
		note_left_out(import->foreign->notes, disk->object, "there is a volume %s already; say --map %s=GROUP/VOLUME", ret, disk->name);
	else
		return true;
	return false;
}

static void add_volume(struct import *import, struct foreign_disk *disk)
{
	const struct import_map *map = NULL;
	char name[CONFIG_NAME_MAX + 1], naa[33];
	json_t *volume;

	for (size_t i = 0; i < import->options->n_maps; i++) {
		if (strcmp(import->options->maps[i].backstore, disk->name) == 0)
			map = &import->options->maps[i];
	}
	if (disk->is_left_out || !choose_name(import, disk, map, name) || !is_new_identity(import, disk, naa))
		return;
	volume = json_object();
	if (!place_volume(import, disk, map, name, volume)) {
		json_decref(volume);
		return;
	}
	if (disk->serial) {
		json_object_set_new(import->naa, naa, json_string(name));
		json_object_set_new(volume, "serial", json_string(disk->serial));
	}
	json_object_set_new(section(import, "volumes"), name, volume);
	disk->volume = xstrdup(name);
	if (disk->product_is_name && strncmp(name, disk->name, 16) != 0)
		note_changed(import->foreign->notes, disk->object, "is called %s here: hosts that look at the product of INQUIRY see that", name);
	if (disk->attributes && !disk->product_is_name)
		note_changed(import->foreign->notes, disk->object, "hosts see its name as product of INQUIRY, which was the kind of backstore");
}

/* --- targets ---*/

static bool is_everywhere(const char *address)
{
	return strcmp(address, "0.0.0.0") == 0 || strspn(address, ":0") == strlen(address);
}

static bool has_portal(const json_t *portals, const char *address, uint16_t port)
{
	const json_t *portal;
	size_t i;

	json_array_foreach (portals, i, portal) {
		const char *there = text_of(portal, "address");

		if (strcspn(there, "/") == strlen(address) && strncmp(there, address, strlen(address)) == 0 &&
		    json_integer_value(json_object_get(portal, "port")) == port)
			return true;
	}
	return false;
}

static void add_portal(struct import *import, json_t *portals, const char *address, const struct import_portal *as,
		       const struct foreign_portal *portal)
{
	json_t *item;

	if (has_portal(portals, address, portal->port))
		return;
	item = json_pack("{s:s, s:s, s:i, s:[s]}", "node", import->node, "address", as ? as->address : address, "port", portal->port,
			 "transports", portal->iser ? "iser" : "tcp");
	if (as && as->interface)
		json_object_set_new(item, "interface", json_string(as->interface));
	json_array_append_new(portals, item);
}

/* The address alone, in its canonical form; false: a note says what is wrong. */
static bool read_address(struct import *import, const char *object, const char *text, char ret_address[INET6_ADDRSTRLEN])
{
	uint8_t prefix_len;
	const char *wrong = config_text_address(text, ret_address, &prefix_len);

	if (wrong)
		note_left_out(import->foreign->notes, object, "portal %.64s: %s", text, wrong);
	return !wrong;
}

static void add_portals(struct import *import, const struct foreign_tpg *tpg, const struct foreign_portal *portal, json_t *portals)
{
	const struct import_options *options = import->options;
	bool everywhere = is_everywhere(portal->address), found = false;
	char address[INET6_ADDRSTRLEN], own[INET6_ADDRSTRLEN] = "";

	if (portal->port == 0 || (!everywhere && !read_address(import, tpg->object, portal->address, own)))
		return;
	for (size_t i = 0; i < options->n_portals; i++) {
		if (!read_address(import, "--portal", options->portals[i].address, address))
			return;
		if (everywhere || strcmp(address, own) == 0) {
			add_portal(import, portals, address, &options->portals[i], portal);
			found = true;
		}
	}
	if (!found && !everywhere)
		add_portal(import, portals, own, NULL, portal);
	/* A document that has the node's portals already says where it listens. */
	for (size_t i = 0; i < json_array_size(portals) && !found; i++)
		found = strcmp(text_of(json_array_get(portals, i), "node"), import->node) == 0;
	if (!found)
		note_left_out(import->foreign->notes, tpg->object,
			      "it listens at all addresses, and the document names them: say --portal ADDRESS for each");
}

static json_int_t number_of(const json_t *parameters, const char *name)
{
	const json_t *value = json_object_get(parameters, name);

	return value ? json_integer_value(value) : strtoll(config_parameter_by_name(name)->fallback, NULL, 10);
}

/* What all ACLs of the portal group agree on; NULL: nothing. */
static const json_t *of_all_acls(const struct import *import, const struct foreign_tpg *tpg, const char *name)
{
	const struct foreign *foreign = import->foreign;
	const json_t *common = NULL;

	for (size_t i = 0; i < foreign->n_acls; i++) {
		const json_t *value = json_object_get(foreign->acls[i].attributes, name);

		if (&foreign->tpgs[foreign->acls[i].tpg] != tpg || !foreign->acls[i].initiator)
			continue;
		if (!value || (common && !json_equal(common, value)))
			return NULL;
		common = value;
	}
	return common;
}

static const json_t *parameter_of(const struct import *import, const struct foreign_tpg *tpg, const struct config_parameter *parameter)
{
	switch (parameter->place) {
	case CONFIG_PARAMETER_PARAM:
		return json_object_get(tpg->parameters, parameter->name);
	case CONFIG_PARAMETER_TPG_ATTRIB:
		return json_object_get(tpg->attributes, parameter->name);
	case CONFIG_PARAMETER_ACL_ATTRIB:
		return of_all_acls(import, tpg, parameter->name);
	}
	return NULL;
}

/* What somebody chose. What the document has no word or no such value for is noted later, when all is compared. */
static json_t *chosen_parameters(struct import *import, const struct foreign_tpg *tpg)
{
	json_t *chosen = json_object();

	for (size_t i = 0; i < CONFIG_PARAMETERS; i++) {
		const struct config_parameter *parameter = config_parameter(i);
		const json_t *value = parameter_of(import, tpg, parameter);
		char number[24];
		const char *text = value ? foreign_value_text(value, number) : parameter->fallback;
		json_t *json = strcmp(text, parameter->fallback) != 0 ? config_parameter_json(i, text) : NULL;

		if (json)
			json_object_set_new(chosen, parameter->name, json);
	}
	if (number_of(chosen, "FirstBurstLength") > number_of(chosen, "MaxBurstLength")) /* no host may have that: RFC 7143, 13.14 */
		json_object_set_new(chosen, "FirstBurstLength", json_integer(number_of(chosen, "MaxBurstLength")));
	return chosen;
}

static void add_port(json_t *portals, const char *key, const char *node, const char *name)
{
	const json_t *portal;
	size_t i;

	json_array_foreach(portals, i, portal) {
		if (strcmp(text_of(portal, key), name) == 0)
			return;
	}
	json_array_append_new(portals, json_pack("{s:s, s:s}", "node", node, key, name));
}

static void add_target_of_ports(struct import *import, const struct foreign_tpg *tpg)
{
	const struct config_fabric *fabric = config_fabric_of_target(tpg->iqn);
	json_t *target = json_object_get(section(import, "targets"), tpg->iqn);

	if (!target) {
		target = json_pack("{s:[]}", "portals");
		json_object_set_new(section(import, "targets"), tpg->iqn, target);
		if (fabric->id == CONFIG_FABRIC_SRP && !json_object_get(import->document, "srp"))
			note_changed(import->foreign->notes, tpg->object,
				     "where ib_srpt listens for RDMA/CM is not in the file: add \"srp\" if it does");
	}
	for (size_t i = 0; i < tpg->n_portals; i++)
		add_port(json_object_get(target, "portals"), fabric->portal_key, import->node, tpg->portals[i].address);
}

static void add_target(struct import *import, const struct foreign_tpg *tpg)
{
	json_t *target = json_object_get(section(import, "targets"), tpg->iqn);

	if (!target) {
		target = json_pack("{s:[], s:o}", "portals", "parameters", chosen_parameters(import, tpg));
		json_object_set_new(section(import, "targets"), tpg->iqn, target);
	}
	for (size_t i = 0; i < tpg->n_portals; i++)
		add_portals(import, tpg, &tpg->portals[i], json_object_get(target, "portals"));
	if (tpg->tag && tpg->tag != import->nodeid)
		note_changed(import->foreign->notes, tpg->object,
			     "hosts know the portal group by its tag %u, and it gets the node's id, %u: a host with persistent reservations "
			     "has to register again", tpg->tag, import->nodeid);
}

static json_t *chap_json(const struct config_chap *chap)
{
	return json_pack("{s:s, s:s}", "user", chap->user, "password", chap->password);
}

static void add_discovery(struct import *import)
{
	const struct config_discovery *from = &import->foreign->discovery;
	const json_t *there = json_object_get(import->document, "discovery");
	json_auto_t *discovery = NULL;

	if (!from->is_said)
		return;
	discovery = json_pack("{s:o}", "chap", chap_json(&from->chap));
	if (from->mutual_chap.user)
		json_object_set_new(discovery, "mutual_chap", chap_json(&from->mutual_chap));
	if (!there)
		json_object_set(import->document, "discovery", discovery);
	else if (!json_equal(there, discovery))
		note_changed(import->foreign->notes, "/iscsi", "what discovery asks for is not taken over: the document to add to says otherwise");
}

/* --- the whole ---*/

/* The document to add to, as it would be in force, or an empty one. */
static int begin_document(struct import *import, struct err *err)
{
	static const char *const sections[] = { "nodes", "pools", "groups", "volumes", "targets", "hosts" };
	const struct import_options *options = import->options;
	_cleanup_(config_freep) struct config *config = NULL;
	_cleanup_free_ char *text = NULL;
	int rc;

	if (options->document) {
		rc = config_parse(options->document, options->document_size, NULL, options->random_bytes, &config, err);
		if (rc < 0) {
			err_prefix(err, "the document to add to");
			return rc;
		}
		text = config_print(config, true);
		import->document = json_loads(text, 0, NULL);
		explicit_bzero(text, strlen(text));
	} else {
		import->document = json_pack("{s:i, s:s}", "lunward", 1, "cluster", "imported");
	}
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		if (!section(import, sections[i]))
			json_object_set_new(import->document, sections[i], json_object());
	}
	if (!section(import, "mappings"))
		json_object_set_new(import->document, "mappings", json_array());
	return 0;
}

static int find_node(struct import *import, struct err *err)
{
	const json_t *node;
	const char *name;
	size_t n = 0;

	import->node = import->options->node;
	if (!import->options->document) {
		if (!import->node || config_text_name(import->node))
			return err_set(err, -EINVAL, "which node is the file of? say --node NAME%s%s", import->node ? ": " : "",
				       import->node ? config_text_name(import->node) : "");
		json_object_set_new(section(import, "nodes"), import->node, json_pack("{s:i}", "id", 1));
	}
	json_object_foreach(section(import, "nodes"), name, node) {
		if (strcmp(text_of(node, "role"), "witness") == 0)
			continue;
		if (!import->options->node)
			import->node = name;
		n++;
	}
	if (!import->options->node && n != 1)
		return err_set(err, -EINVAL, "which node is the file of? the document has %zu storage nodes, say --node NAME", n);
	node = json_object_get(section(import, "nodes"), import->node);
	if (!node || strcmp(text_of(node, "role"), "witness") == 0)
		return err_set(err, -EINVAL, "the document to add to has no storage node \"%.64s\"", import->node);
	import->nodeid = (uint32_t)json_integer_value(json_object_get(node, "id"));
	return 0;
}

static void learn_volumes(struct import *import)
{
	const json_t *volume;
	const char *name;
	char naa[33];

	json_object_foreach(section(import, "volumes"), name, volume) {
		config_naa(text_of(volume, "serial"), naa);
		json_object_set_new(import->naa, naa, json_string(name));
		if (*text_of(volume, "device"))
			json_object_set_new(import->devices, text_of(volume, "device"), json_string(name));
	}
}

static int check_maps(const struct import *import, struct err *err)
{
	for (size_t i = 0; i < import->options->n_maps; i++) {
		const char *backstore = import->options->maps[i].backstore;
		bool found = false;

		for (size_t k = 0; k < import->foreign->n_disks && !found; k++)
			found = strcmp(import->foreign->disks[k].name, backstore) == 0;
		if (!found)
			return err_set(err, -EINVAL, "--map: the file has no backstore \"%.64s\"", backstore);
	}
	return 0;
}

static int make_document(struct import *import, char **ret_document, struct err *err)
{
	struct foreign *foreign = import->foreign;
	_cleanup_(config_freep) struct config *config = NULL;
	_cleanup_free_ char *text = NULL;
	int rc;

	learn_volumes(import);
	for (size_t i = 0; i < foreign->n_disks; i++)
		add_volume(import, &foreign->disks[i]);
	for (size_t i = 0; i < foreign->n_tpgs; i++) {
		const char *name = foreign->tpgs[i].iqn;

		if (name && config_fabric_of_target(name)->id != CONFIG_FABRIC_ISCSI)
			add_target_of_ports(import, &foreign->tpgs[i]);
		else if (name)
			add_target(import, &foreign->tpgs[i]);
	}
	add_discovery(import);
	import_hosts(foreign, import->document);
	text = json_dumps(import->document, 0);
	rc = config_parse(text, strlen(text), NULL, import->options->random_bytes, &config, err);
	explicit_bzero(text, strlen(text));
	if (rc < 0) {
		err_prefix(err, "what comes out is no good document");
		return rc;
	}
	foreign_compare(foreign, config, import->nodeid);
	*ret_document = config_print(config, true);
	return 0;
}

static int import_foreign(struct import *import, char **ret_document, struct err *err)
{
	int rc = begin_document(import, err);

	rc = rc ? rc : find_node(import, err);
	rc = rc ? rc : check_maps(import, err);
	return rc ? rc : make_document(import, ret_document, err);
}

static bool is_json(const char *text, size_t size)
{
	while (size && isspace((unsigned char)*text)) {
		text++;
		size--;
	}
	return size && *text == '{';
}

int exchange_import(const char *text, size_t size, const struct import_options *options, char **ret_document,
		    struct exchange_notes *notes, struct err *err)
{
	struct foreign foreign;
	struct import import = { .options = options, .foreign = &foreign, .naa = json_object(), .devices = json_object() };
	int rc;

	foreign_init(&foreign, notes);
	if (size > CONFIG_SIZE_MAX)
		rc = err_set(err, -E2BIG, "%zu bytes, at most %u are supported", size, CONFIG_SIZE_MAX);
	else if (is_json(text, size))
		rc = foreign_read_saveconfig(&foreign, text, size, err);
	else
		rc = foreign_read_scst(&foreign, text, size, err);
	if (rc == 0)
		rc = import_foreign(&import, ret_document, err);
	json_decref(import.document);
	json_decref(import.naa);
	json_decref(import.devices);
	foreign_done(&foreign);
	return rc;
}
