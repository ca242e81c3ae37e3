// SPDX-License-Identifier: GPL-2.0-or-later
/* The cluster document: what is read, what is printed, what is looked up, what is refused by size or form. */
#include <errno.h>

#include "tests/unit/test_config.h"
#include "target-config/model/config_text.h"

#define LEVELS CASES "/good/07-fence-levels.json"

/* --- reading ---*/

static void every_field_is_read(void **unused)
{
	_cleanup_config_ struct config *config = parse_file(BRIEF);
	const struct config_node *n1 = config_node_by_name(config, "n1"), *n3 = config_node_by_id(config, 3);
	const struct config_group *g1 = config_group_by_name(config, "g1");
	const struct config_volume *v1 = config_volume_by_name(config, "v1");
	const struct config_target *target = config_target_by_name(config, "iqn.2026-11.org.example:t1");
	const struct config_host *host = config_host_by_name(config, "h1");

	(void)unused;
	assert_string_equal(config->cluster, "demo");
	assert_int_equal(config->fencing.n_levels, 1);
	assert_null(config->fencing.levels[0].name);
	assert_string_equal(config->fencing.levels[0].agent, "fence_lab");
	assert_int_equal(config->fencing.levels[0].timeout_s, 60);
	assert_int_equal(config->fencing.levels[0].n_options, 1);
	assert_string_equal(config->fencing.levels[0].options[0].key, "k");
	assert_string_equal(config->fencing.levels[0].options[0].value, "v");
	assert_int_equal(config->n_nodes, 3);
	assert_int_equal(n1->nodeid, 1);
	assert_int_equal(n1->role, CONFIG_ROLE_STORAGE);
	assert_string_equal(n1->replication_address, "10.78.0.1");
	assert_string_equal(config_node_fence(n1, &config->fencing.levels[0])->options[0].value, "n1");
	assert_int_equal(n3->role, CONFIG_ROLE_WITNESS);
	assert_null(n3->replication_address);
	assert_string_equal(config_pool_by_name(config, "data")->vg, "lunward");
	assert_int_equal(g1->backend, CONFIG_BACKEND_DRBD);
	assert_int_equal(g1->placement, CONFIG_PLACEMENT_AUTO);
	assert_int_equal(g1->nodes[0], 1);
	assert_int_equal(g1->nodes[1], 2);
	assert_int_equal(g1->nodes[2], 0);
	assert_int_equal(g1->prefer, 1);
	assert_int_equal(g1->port, 7789);
	assert_ptr_equal(v1->group, g1);
	assert_ptr_equal(v1->pool, config_pool_by_name(config, "data"));
	assert_int_equal(v1->size_bytes, 1 << 30);
	assert_int_equal(v1->block_size, 512);
	assert_string_equal(v1->serial, "6b1f0c1e-52f4-4a6e-9d0e-3c5a7d9b1f01");
	assert_null(v1->device);
	assert_int_equal(target->n_portals, 2);
	assert_int_equal(target->portals[0].nodeid, 1);
	assert_string_equal(target->portals[0].address, "10.77.0.1");
	assert_int_equal(target->portals[0].prefix_len, 24);
	assert_string_equal(target->portals[0].interface, "san0");
	assert_int_equal(target->portals[0].port, 3260);
	assert_int_equal(target->portals[0].transports, CONFIG_TRANSPORT_TCP | CONFIG_TRANSPORT_ISER);
	assert_int_equal(host->profile, CONFIG_PROFILE_LINUX);
	assert_string_equal(host->initiators[0], "iqn.2026-11.org.example:h1");
	assert_string_equal(host->chap.user, "h1");
	assert_string_equal(host->chap.password, "correct-horse-battery");
	assert_string_equal(host->mutual_chap.password, "staple-of-the-target");
	assert_int_equal(config->n_mappings, 2);
	assert_ptr_equal(config->mappings[1].host, host);
	assert_ptr_equal(config->mappings[1].volume, config_volume_by_name(config, "v2"));
	assert_ptr_equal(config->mappings[1].target, target);
	assert_int_equal(config->mappings[1].lun, 1);
}

static void fence_levels_are_read_in_their_order(void **unused)
{
	_cleanup_config_ struct config *config = parse_file(LEVELS);
	const struct config_fence_level *levels = config->fencing.levels;
	const struct config_node *n1 = config_node_by_name(config, "n1"), *n2 = config_node_by_name(config, "n2");

	(void)unused;
	assert_int_equal(config->fencing.n_levels, 3);
	assert_string_equal(levels[0].name, "power");
	assert_string_equal(levels[0].agent, "fence_ipmilan");
	assert_int_equal(levels[0].timeout_s, 20);
	assert_int_equal(levels[0].n_options, 2);
	assert_string_equal(levels[1].name, "cluster");
	assert_true(config_fence_level_is_pacemaker(&levels[1]));
	assert_false(config_fence_level_is_pacemaker(&levels[0]));
	assert_int_equal(levels[1].timeout_s, 60);
	assert_string_equal(levels[2].name, "bar");
	assert_string_equal(config_fence_level_label(&levels[2]), "bar");
	/* Each level of a node finds its own options, in whatever order the node has them, or none. */
	assert_string_equal(config_node_fence(n1, &levels[0])->options[0].value, "10.79.0.1");
	assert_null(config_node_fence(n1, &levels[1]));
	assert_string_equal(config_node_fence(n1, &levels[2])->options[0].value, "7");
	assert_null(config_node_fence(n2, &levels[2]));
	assert_string_equal(config_node_fence(n2, &levels[0])->options[1].value, "another-secret");
}

static void watchdog_is_a_level(void **unused)
{
	_cleanup_config_ struct config *config = parse_file(CASES "/good/08-fence-watchdog.json");
	const struct config_fence_level *levels = config->fencing.levels;

	(void)unused;
	assert_true(config_fence_level_is_watchdog(&levels[1]));
	assert_false(config_fence_level_is_pacemaker(&levels[1]));
	assert_false(config_fence_level_is_watchdog(&levels[0]));
}

static void secrets_of_fence_levels_are_hidden(void **unused)
{
	_cleanup_config_ struct config *config = parse_file(LEVELS);
	_cleanup_free_ char *hidden = config_print(config, false);

	(void)unused;
	assert_null(strstr(hidden, "a-secret"));
	assert_null(strstr(hidden, "another-secret"));
	assert_non_null(strstr(hidden, "\"username\": \"fencer\""));
	assert_refused(hidden, config,
		       "fencing.levels[0].options.password: this stands for a hidden secret; write the secret itself, or start from "
		       "`lunward config show --secrets`");
}

static void defaults_are_filled_in(void **unused)
{
	_cleanup_config_ struct config *config = parse_file(CASES "/good/03-shared.json");
	const struct config_target *target = config_target_by_name(config, "iqn.2026-11.org.example:disks");

	(void)unused;
	assert_int_equal(config->fencing.n_levels, 0);
	assert_int_equal(config_node_by_name(config, "b.example")->role, CONFIG_ROLE_STORAGE);
	assert_int_equal(config_group_by_name(config, "sas")->placement, CONFIG_PLACEMENT_AUTO);
	assert_int_equal(config_group_by_name(config, "sas")->port, 0);
	assert_int_equal(config_volume_by_name(config, "sql")->block_size, 512);
	assert_int_equal(config_volume_by_name(config, "sql")->drbd_minor, 0);
	assert_int_equal(config_host_by_name(config, "plain")->profile, CONFIG_PROFILE_LINUX);
	assert_null(config_host_by_name(config, "plain")->chap.user);
	/* An address without prefix length is not managed; iser comes with tcp. */
	assert_int_equal(target->portals[0].prefix_len, 0);
	assert_null(target->portals[0].interface);
	assert_int_equal(target->portals[0].transports, CONFIG_TRANSPORT_TCP | CONFIG_TRANSPORT_ISER);
	assert_int_equal(target->portals[1].transports, CONFIG_TRANSPORT_TCP);
}

static void lists_are_sorted(void **unused)
{
	_cleanup_config_ struct config *config = parse_file(CASES "/good/03-shared.json");

	(void)unused;
	for (size_t i = 1; i < config->n_nodes; i++)
		assert_true(config->nodes[i - 1].nodeid < config->nodes[i].nodeid);
	for (size_t i = 1; i < config->n_volumes; i++)
		assert_true(strcmp(config->volumes[i - 1].name, config->volumes[i].name) < 0);
	/* esx at the shorter IQN first, then by LUN; host names before everything. */
	assert_string_equal(config->mappings[0].target->name, "iqn.2026-11.org.example");
	assert_int_equal(config->mappings[1].lun, 0);
	assert_int_equal(config->mappings[2].lun, 16383);
	assert_string_equal(config->mappings[4].host->name, "win");
	/* A group's nodes stay as written. */
	assert_int_equal(config_group_by_name(config, "ssd")->nodes[0], 7);
	assert_int_equal(config_group_by_name(config, "ssd")->nodes[1], 10);
}

static void groups_know_their_volumes(void **unused)
{
	_cleanup_config_ struct config *config = parse_file(CASES "/good/04-four-groups.json");
	size_t n = 0;

	(void)unused;
	for (size_t g = 0; g < config->n_groups; g++) {
		const struct config_volume *volume = config->groups[g].volumes;

		for (size_t i = 0; i < config->n_volumes; i++) {
			if (config->volumes[i].group != &config->groups[g])
				continue;
			assert_ptr_equal(volume, &config->volumes[i]);
			volume = volume->next;
			n++;
		}
		assert_null(volume);
	}
	assert_int_equal(n, config->n_volumes);
	assert_true(n > config->n_groups);
}

static void what_is_not_there_is_not_found(void **unused)
{
	_cleanup_config_ struct config *config = parse_file(BRIEF);
	_cleanup_config_ struct config *least = parse_file(CASES "/good/02-least.json");

	(void)unused;
	assert_null(config_node_by_id(config, 4));
	assert_null(config_node_by_name(config, "n"));
	assert_null(config_group_by_name(config, "g"));
	assert_null(config_volume_by_name(config, "v11"));
	assert_null(config_volume_by_name(least, "v1"));
	assert_false(config_group_has_node(config_group_by_name(config, "g1"), 3));
	assert_false(config_group_has_node(config_group_by_name(config, "g1"), 0));
	assert_true(config_group_has_node(config_group_by_name(config, "g1"), 2));
	config_free(NULL);
}

/* --- printing ---*/

static void secrets_are_hidden(void **unused)
{
	static const char *const secrets[] = { "correct-horse", "staple-of", "pa ss", "another" };
	static const char *const files[] = { BRIEF, CASES "/good/04-four-groups.json" };

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_config_ struct config *config = parse_file(files[i]);
		_cleanup_free_ char *shown = config_print(config, false), *full = config_print(config, true);
		size_t n_in_full = 0;

		for (size_t j = 0; j < ARRAY_SIZE(secrets); j++) {
			assert_null(strstr(shown, secrets[j]));
			n_in_full += strstr(full, secrets[j]) != NULL;
		}
		assert_int_equal(n_in_full, 2);
		assert_non_null(strstr(shown, "\"password\": \"" CONFIG_HIDDEN "\""));
	}
}

/* Else `config show` > file, edit, apply would make the stars the password. */
static void hidden_form_cannot_be_applied(void **unused)
{
	_cleanup_config_ struct config *chap = parse_file(BRIEF), *fence = parse_file(CASES "/good/04-four-groups.json");
	_cleanup_free_ char *hidden_chap = config_print(chap, false), *hidden_fence = config_print(fence, false);

	(void)unused;
	assert_refused(hidden_chap, chap,
		       "hosts.h1.chap.password: this stands for a hidden secret; write the secret itself, or start from "
		       "`lunward config show --secrets`");
	assert_refused(hidden_fence, fence,
		       "fencing.options.password: this stands for a hidden secret; write the secret itself, or start from "
		       "`lunward config show --secrets`");
}

/* --- refusing ---*/

static void broken_json_has_line_and_column_but_no_excerpt(void **unused)
{
	char *text = load(BRIEF);
	struct config *config = NULL;
	struct err err = ERR_INIT;

	(void)unused;
	text = change(text, "\"correct-horse-battery\"", "correct-horse-battery");
	assert_int_equal(config_parse(text, strlen(text), NULL, test_random, &config, &err), -EINVAL);
	assert_memory_equal(err.text, "line ", 5);
	assert_null(strstr(err.text, "correct"));
	free(text);
}

static void error_text_is_optional(void **unused)
{
	struct config *config = NULL;

	(void)unused;
	assert_int_equal(config_parse("{", 1, NULL, NULL, &config, NULL), -EINVAL);
	assert_int_equal(config_parse("{}", 2, NULL, NULL, &config, NULL), -EINVAL);
	assert_int_equal(config_parse("", 0, NULL, NULL, &config, NULL), -EINVAL);
	assert_null(config);
}

static void document_size_is_bounded(void **unused)
{
	_cleanup_free_ char *text = xcalloc(CONFIG_SIZE_MAX + 2, 1);
	struct config *config = NULL;
	struct err err = ERR_INIT;

	(void)unused;
	memset(text, ' ', CONFIG_SIZE_MAX + 1);
	assert_int_equal(config_parse(text, CONFIG_SIZE_MAX + 1, NULL, NULL, &config, &err), -E2BIG);
	assert_string_equal(err.text, "document: 16777217 bytes, at most 16777216 are supported");
}

/* `n` objects of one kind in an otherwise sound document. */
static char *document_with_many(const char *key, const char *format, size_t n)
{
	struct strbuf sb = { 0 };

	strbuf_add(&sb, "{\"lunward\":1,\"cluster\":\"c\",\"nodes\":{\"n1\":{\"id\":1}");
	if (strcmp(key, "nodes") != 0)
		strbuf_addf(&sb, "},\"groups\":{\"g\":{\"backend\":\"local\",\"nodes\":[\"n1\"]}");
	if (strcmp(key, "volumes") == 0)
		strbuf_add(&sb, "},\"pools\":{\"p\":{\"vg\":\"p\"}},\"volumes\":{\"v0\":{\"group\":\"g\",\"pool\":\"p\",\"size\":\"4MiB\"}");
	for (size_t i = 2; i <= n; i++) {
		strbuf_addf(&sb, ",\"x%zu\":", i);
		strbuf_add(&sb, format);
		if (strcmp(key, "nodes") == 0)
			strbuf_addf(&sb, "%zu}", i);
	}
	strbuf_add(&sb, "}}");
	return strbuf_steal(&sb);
}

static void numbers_of_objects_are_bounded(void **unused)
{
	static const struct {
		const char *key, *format;
		size_t max;
	} cases[] = {
		{ "nodes", "{\"id\":", 32 },
		{ "groups", "{\"backend\":\"local\",\"nodes\":[\"n1\"]}", 4096 },
		{ "volumes", "{\"group\":\"g\",\"pool\":\"p\",\"size\":\"4MiB\"}", 65536 },
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *most = document_with_many(cases[i].key, cases[i].format, cases[i].max);
		_cleanup_free_ char *more = document_with_many(cases[i].key, cases[i].format, cases[i].max + 1);
		_cleanup_free_ char *expected = xasprintf("%s: %zu members, at most %zu are supported", cases[i].key,
							  cases[i].max + 1, cases[i].max);
		struct config *config = NULL;
		struct err err = ERR_INIT;

		/* 65536 random serials: test_random() repeats too soon, so only the bound itself is of interest there. */
		if (cases[i].max <= 4096)
			config_free(parse(most, NULL));
		assert_int_equal(config_parse(more, strlen(more), NULL, test_random, &config, &err), -E2BIG);
		assert_string_equal(err.text, expected);
	}
}

static uint64_t counter;

static void counting_random(void *p, size_t size)
{
	memset(p, 0, size);
	counter++;
	memcpy(p, &counter, sizeof(counter));
}

/* What one node accepts, the others must be able to read after all values were assigned. */
static void printed_form_is_bounded_too(void **unused)
{
	struct strbuf sb = { 0 };
	_cleanup_free_ char *text = document_with_many("volumes", "{\"group\":\"g\",\"pool\":\"p\",\"size\":\"4MiB\"}", 65536);
	struct config *config = NULL;
	struct err err = ERR_INIT;

	(void)unused;
	counter = 0;
	assert_int_equal(config_parse(text, strlen(text), NULL, counting_random, &config, &err), 0);
	config_free(config);
	config = NULL;

	/* The same with long portals and mappings: under the bound as written, above it as printed. */
	text[strlen(text) - 1] = '\0';
	strbuf_add(&sb, text);
	strbuf_add(&sb, ",\"targets\":{");
	for (unsigned int t = 0; t < 1200; t++) {
		strbuf_addf(&sb, "%s\"iqn.2026-11.a:%u\":{\"portals\":[", t ? "," : "", t);
		for (unsigned int p = 0; p < 120; p++)
			strbuf_addf(&sb, "%s{\"node\":\"n1\",\"address\":\"10.0.0.1\",\"port\":%u}", p ? "," : "", p + 1);
		strbuf_add(&sb, "]}");
	}
	strbuf_add(&sb, "}}");
	assert_true(sb.len < CONFIG_SIZE_MAX);
	assert_int_equal(config_parse(sb.s, sb.len, NULL, counting_random, &config, &err), -E2BIG);
	assert_non_null(strstr(err.text, "with all defaults and assigned values"));
	assert_null(config);
	strbuf_done(&sb);
}

/* --- the manual ---*/

#define MANUAL "docs/man/lunward.json.5.scd"

/* The keys that the refusal of an unknown key lists. */
static void check_keys_in_manual(char *text, const char *manual)
{
	struct config *config = NULL;
	struct err err = ERR_INIT;
	char *keys, *state = NULL;

	assert_int_equal(config_parse(text, strlen(text), NULL, test_random, &config, &err), -EINVAL);
	keys = strstr(err.text, "known here: ");
	assert_non_null(keys);
	for (char *key = strtok_r(keys + strlen("known here: "), ", ", &state); key; key = strtok_r(NULL, ", ", &state)) {
		_cleanup_free_ char *bold = xasprintf("*%s*", key);

		if (!strstr(manual, bold))
			fail_msg("the manual does not have %s", bold);
	}
	free(text);
}

static void manual_has_every_key(void **unused)
{
	static const char *const places[] = { "\"cluster\":", "\"timeout_s\":", "\"role\": \"witness\"", "\"vg\":", "\"backend\":",
					      "\"block_size\":", "\"portals\":", "\"port\": 3260", "\"profile\":",
					      "\"user\": \"h1\"", "\"lun\": 1" };
	static const char *const srp[] = { "\"rdma_cm_port\":", "\"gid\": \"FE80" };
	_cleanup_free_ char *manual = load(MANUAL);

	(void)unused;
	check_keys_in_manual(change(load(CASES "/good/15-fc.json"), "\"wwpn\": \"21:00:00:24:ff:4a:01", "\"no such key\": 1, \"wwpn\": \"21:00:00:24:ff:4a:01"), manual);
	for (size_t i = 0; i < ARRAY_SIZE(srp); i++) {
		_cleanup_free_ char *with = xasprintf("\"no such key\": 1, %s", srp[i]);

		check_keys_in_manual(change(load(CASES "/good/12-srp.json"), srp[i], with), manual);
	}
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		_cleanup_free_ char *with = xasprintf("\"no such key\": 1, %s", places[i]);

		check_keys_in_manual(change(load(BRIEF), places[i], with), manual);
	}
}

/* What readers will copy: the first object of the manual, with passwords. */
static void example_of_the_manual_is_taken(void **unused)
{
	_cleanup_free_ char *manual = load(MANUAL), *example = NULL;
	_cleanup_config_ struct config *config = NULL;
	char *begin = strstr(manual, "```\n{\n"), *end, *dots;

	(void)unused;
	assert_non_null(begin);
	end = strstr(begin + 3, "\n```");
	assert_non_null(end);
	example = xasprintf("%.*s", (int)(end - begin - 4), begin + 4);
	while ((dots = strstr(example, "\"...\""))) {
		char *filled = xasprintf("%.*s\"a-long-password\"%s", (int)(dots - example), example, dots + 5);

		free(example);
		example = filled;
	}
	config = parse(example, NULL);
	assert_int_equal(config->n_mappings, 2);
}

/* --- texts ---*/

struct text_case {
	const char *text;
	bool good;
};

static void check_texts(config_text_fn *check, const struct text_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!check(cases[i].text) != cases[i].good)
			fail_msg("\"%s\" is %s", cases[i].text, cases[i].good ? "refused" : "taken");
}

#define CHECK_TEXTS(check, ...)                                                                                        \
	do {                                                                                                           \
		const struct text_case cases_[] = { __VA_ARGS__ };                                                     \
		check_texts(check, cases_, ARRAY_SIZE(cases_));                                                        \
	} while (0)

static void names_cannot_leave_their_folder(void **unused)
{
	(void)unused;
	CHECK_TEXTS(config_text_name, { "a", true }, { "0", true }, { "a.b-c_d", true },
		    { "abcdefghijklmnopqrstuvwxyz012345", true }, { "abcdefghijklmnopqrstuvwxyz0123456", false },
		    { "", false }, { ".", false }, { "..", false }, { "a..b", false }, { "-a", false }, { "_a", false },
		    { "A", false }, { "a/b", false }, { "a b", false }, { "a\n", false }, { "\xc3\xa4", false });
	CHECK_TEXTS(config_text_volume, { "v1", true }, { "data_tdat", true }, { "my_tdata", false }, { "a_rimage_0", false },
		    { "lunward-v1", false }, { "lunward", true }, { "../x", false });
	CHECK_TEXTS(config_text_vg, { "VG_0+a", true }, { "_x", true }, { "-x", false }, { ".", false }, { "a..b", false },
		    { "a/b", false }, { "", false });
	CHECK_TEXTS(config_text_interface, { "eth0", true }, { "bond0.77", true }, { "abcdefghijklmno", true },
		    { "abcdefghijklmnop", false }, { "eth0:1", false }, { "../x", false }, { "", false });
	CHECK_TEXTS(config_text_device, { "/dev/sdb", true }, { "/dev/disk/by-id/wwn-0x5", true }, { "/dev/", false },
		    { "/dev", false }, { "/etc/passwd", false }, { "/dev/../etc/passwd", false }, { "/dev/./sda", false },
		    { "/dev//sda", false }, { "/dev/a b", false }, { "/dev/mapper/lunward-v1", false }, { "sda", false }, { "", false });
	CHECK_TEXTS(config_text_serial, { "01234567", true }, { "0123-4567-zz", true }, { "0123456", false }, { "", false },
		    { "../01234567", false }, { "01234567/", false }, { "zzzzzzzzzzzz", false }, { "01234567..", false });
	CHECK_TEXTS(config_text_fence_agent, { "fence_ipmilan", true }, { "fence_", false }, { "fence_a/b", false },
		    { "pacemaker", true }, { "pacemakerd", false }, { "/usr/sbin/fence_lab", false }, { "sh", false }, { "fence_..", false }, { "", false });
	CHECK_TEXTS(config_text_option_key, { "ip", true }, { "snmp-auth", true }, { "action", false }, { "option", false }, { "a=b", false },
		    { "a\nb", false }, { "", false }, { "#a", false });
	CHECK_TEXTS(config_text_option_value, { "", true }, { "a=b c", true }, { "w\xc3\xb6rd", true }, { "a\nb", false },
		    { "a\rb", false }, { "a\x7f", false }, { CONFIG_HIDDEN, false });
}

static void iscsi_names_follow_the_rfc(void **unused)
{
	char longest[225];

	(void)unused;
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, "iqn.2026-11.a:", 14);
	longest[224] = '\0';
	assert_non_null(config_text_target(longest));
	longest[223] = '\0';
	assert_null(config_text_target(longest));
	CHECK_TEXTS(config_text_target, { "iqn.2026-11.org.example", true }, { "iqn.2026-11.org.example:a.b-c:d", true },
		    { "iqn.2026-01.x", true }, { "iqn.2026-12.x", true }, { "iqn.2026-00.x", false }, { "iqn.2026-13.x", false },
		    { "iqn.2026-20.x", false }, { "iqn.226-11.x", false }, { "iqn.20260-1.x", false },
		    { "iqn.2026x11.x", false }, { "iqn.2026-1.x", false }, { "iqn.2026-111.x", false }, { "iqn.2026-11", false }, { "iqn.2026-11.", false },
		    { "iqn.2026-11x", false }, { "iqn.2026-11..a", false }, { "iqn.2026-11.a.", false },
		    { "iqn.2026-11.-a", false }, { "iqn.2026-11.a-.b", false }, { "iqn.2026-11.a-", false },
		    { "iqn.2026-11.a:", false }, { "iqn.2026-11.a:b_c", false }, { "iqn.2026-11.a:b/c", false },
		    { "iqn.2026-11.a:b,t,0x1", false }, { "iqn.2026-11.A", false }, { "IQN.2026-11.a", false }, { "iqn.", false },
		    { "", false }, { "eui.0123456789abcdef", false });
	CHECK_TEXTS(config_text_initiator, { "iqn.1993-08.org.debian:01:abc", true }, { "eui.0123456789abcdef", true },
		    { "eui.0123456789abcde", false }, { "eui.0123456789ABCDEF", false }, { "eui.0123456789abcdefa", false },
		    { "naa.0123456789abcdef", true }, { "naa.0123456789abcdef0123456789abcdef", true },
		    { "naa.0123456789abcdef0", false }, { "naa.", false }, { "h1", false });
}

static void secrets_are_what_lio_takes_for_secrets(void **unused)
{
	(void)unused;
	CHECK_TEXTS(config_text_chap_password, { "123456789012", true }, { "12345678901", false },
		    { "1234567890123456789012345678901234567890123456789012345678901234", true },
		    { "12345678901234567890123456789012345678901234567890123456789012345", false }, { "NULL56789012", false },
		    { "with a blank", false }, { "w\xc3\xb6rd56789012", false }, { "new\nline89012", false });
	CHECK_TEXTS(config_text_chap_user, { "iqn.2026-11.a:h", true }, { "", false }, { "NULL", false }, { "NULLA", false },
		    { "0xab", false }, { "0b01", false }, { "0a", true }, { "a b", false });
	assert_true(config_option_is_secret("passwd"));
	assert_true(config_option_is_secret("Password_script"));
	assert_true(config_option_is_secret("secret_key"));
	assert_false(config_option_is_secret("plug"));
}

static void check_address(const char *text, bool prefix_allowed, const char *address, unsigned int prefix_len)
{
	char got[INET6_ADDRSTRLEN] = "untouched";
	uint8_t got_prefix = 0;
	const char *wrong = config_text_address(text, got, prefix_allowed ? &got_prefix : NULL);

	if (!wrong != !!address)
		fail_msg("\"%s\": %s", text, wrong ?: "taken");
	assert_string_equal(got, address ?: "untouched");
	assert_int_equal(got_prefix, prefix_len);
}

static void addresses_are_numeric_and_of_one_node(void **unused)
{
	static const char *const bad[] = { "", "host", "10.0.0", "10.0.0.256", "010.0.0.1", "10.0.0.1 ", "10.0.0.1/",
					   "10.0.0.1/0", "10.0.0.1/33", "10.0.0.1/2x", "10.0.0.1/-1", "0.0.0.0", "0.1.2.3", "224.0.0.1",
					   "255.255.255.255", "10.0.0.0/24", "10.0.0.255/24", "::", "::1.2.3.4", "::ffff:10.0.0.1",
					   "ff02::1", "fe80::1", "fe80::1%eth0", "fd00::1/129", "fd00::1/0", "fd00::g",
					   "fd00:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001" };

	(void)unused;
	check_address("10.0.0.1", false, "10.0.0.1", 0);
	check_address("10.0.0.1/24", true, "10.0.0.1", 24);
	check_address("10.0.0.1/24", false, NULL, 0);
	check_address("10.0.0.0/31", true, "10.0.0.0", 31);
	check_address("10.0.0.255/32", true, "10.0.0.255", 32);
	check_address("FD00:0:0::0:1/64", true, "fd00::1", 64);
	check_address("fd00::1/128", true, "fd00::1", 128);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		check_address(bad[i], true, NULL, 0);
}

static void check_size(const char *text, uint64_t bytes)
{
	uint64_t got = 7;

	if (!config_text_size(text, &got) != (bytes != 7))
		fail_msg("\"%s\"", text);
	assert_int_equal(got, bytes);
}

static void sizes_are_binary_and_printed_short(void **unused)
{
	static const char *const bad[] = { "", "1", "1B", "1GB", "1gib", "1 GiB", "1.5GiB", "-1GiB", "+1GiB", "GiB", "1GiB ",
					   "0x1GiB", "18446744073709551617GiB", "99999999999TiB" };
	char text[32];

	(void)unused;
	check_size("1KiB", 1024);
	check_size("512MiB", 512u << 20);
	check_size("10GiB", UINT64_C(10) << 30);
	check_size("1024TiB", UINT64_C(1) << 50);
	check_size("0GiB", 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		check_size(bad[i], 7);
	config_size_print(UINT64_C(10) << 30, " ", text);
	assert_string_equal(text, "10 GiB");
	config_size_print(1536u << 20, "", text);
	assert_string_equal(text, "1536MiB");
	config_size_print(1000, "", text);
	assert_string_equal(text, "1000");
	config_size_print(1000, " ", text);
	assert_string_equal(text, "1000 B");
}

static void quoted_text_is_plain_and_bounded(void **unused)
{
	char longest[300], text[CONFIG_QUOTE_SIZE];

	(void)unused;
	assert_string_equal(config_quote("a\"b\n\xff", text), "\"a\\x22b\\x0a\\xff\"");
	memset(longest, '\n', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_true(strlen(config_quote(longest, text)) < CONFIG_QUOTE_SIZE);
	memset(longest, 'a', sizeof(longest) - 1);
	assert_true(strlen(config_quote(longest, text)) < CONFIG_QUOTE_SIZE);
	assert_string_equal(text + strlen(text) - 5, "a...\"");
}

/* --- the NAA id ---*/

/* The kernel's loop as spc_gen_naa_6h_vendor_specific() writes bytes, to hold ours against: company id 001405h, then
 * hex digits of the serial from the low nibble of byte 3 on, until 16 bytes are full. */
static void naa_of_the_kernel(const char *serial, char ret_naa[33])
{
	uint8_t bytes[16] = { 0x60, 0x01, 0x40, 0x50 };
	size_t n = 3;
	bool low = true;

	for (const char *p = serial; *p && n < 16; p++) {
		char digit[2] = { *p, '\0' }, *end;
		uint8_t value = (uint8_t)strtoul(digit, &end, 16);

		if (end == digit)
			continue;
		if (low)
			bytes[n++] |= value;
		else
			bytes[n] = (uint8_t)(value << 4);
		low = !low;
	}
	for (size_t i = 0; i < 16; i++)
		snprintf(ret_naa + 2 * i, 3, "%02x", bytes[i]);
}

static void naa_is_the_kernels(void **unused)
{
	static const char *const serials[] = { "6b1f0c1e-52f4-4a6e-9d0e-3c5a7d9b1f01", "6B1F0C1E-52F4-4A6E-9D0E-3C5A7D9B1F01",
					       "01234567", "zz0gg1-", "", "0123456789abcdef0123456789abcdef0123456789abcdef",
					       "0123456789abcdef012345678" };
	char naa[33], expected[33];

	(void)unused;
	config_naa(serials[0], naa);
	assert_string_equal(naa, "60014056b1f0c1e52f44a6e9d0e3c5a7");
	config_naa("01234567", naa);
	assert_string_equal(naa, "60014050123456700000000000000000");
	for (size_t i = 0; i < ARRAY_SIZE(serials); i++) {
		config_naa(serials[i], naa);
		naa_of_the_kernel(serials[i], expected);
		assert_string_equal(naa, expected);
	}
}

/* --- Corosync's nodelist ---*/

static void assert_electorate(const struct config *config, const uint32_t *ids, const char *const *names, size_t n,
			      const char *expected)
{
	struct err err = ERR_INIT;
	int rc = config_check_electorate(config, ids, names, n, &err);

	assert_int_equal(rc, *expected ? -EINVAL : 0);
	assert_string_equal(err.text, expected);
}

static void electorate_must_be_the_nodes(void **unused)
{
	_cleanup_config_ struct config *config = parse_file(BRIEF);
	const uint32_t ids[] = { 3, 1, 2, 4 }, others[] = { 1, 2, 4 };
	const char *const names[] = { "n3", "n1", "n2", "n4" }, *const swapped[] = { "n3", "n2", "n1" };
	const char *const nameless[] = { "n3", NULL, "n2" };

	(void)unused;
	assert_electorate(config, ids, names, 3, "");
	assert_electorate(config, ids, names, 2,
			  "nodes.n2.id: 2 is not in Corosync's nodelist; add the node to corosync.conf or remove it here");
	assert_electorate(config, ids, names, 4,
			  "nodes: node id 4 (n4) of Corosync's nodelist is missing; add it, with role witness if it stores nothing");
	assert_electorate(config, others, (const char *const[]){ "n1", "n2", "n3" }, 3,
			  "nodes: node id 4 (n3) of Corosync's nodelist is missing; add it, with role witness if it stores nothing");
	assert_electorate(config, ids, swapped, 3, "nodes.n1: Corosync's nodelist calls node id 1 n2; use the same name in both");
	assert_electorate(config, ids, nameless, 3,
			  "nodes.n1: node id 1 has no name in Corosync's nodelist; add `name: n1` in corosync.conf");
}

/* For whoever serves them, mappings of a group are mappings of its hosts. */
static void host_groups_are_mappings_of_their_hosts(void **unused)
{
	_cleanup_config_ struct config *config = parse_file(CASES "/good/06-host-groups.json");
	static const struct {
		const char *host, *volume;
		uint32_t lun;
	} expected[] = { { "a", "spare", 9 }, { "b", "boot", 0 }, { "b", "cluster", 1 }, { "b", "spare", 9 }, { "c", "cluster", 1 }, { "c", "spare", 9 } };

	(void)unused;
	assert_int_equal(config->n_mappings, ARRAY_SIZE(expected));
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		assert_string_equal(config->mappings[i].host->name, expected[i].host);
		assert_string_equal(config->mappings[i].volume->name, expected[i].volume);
		assert_int_equal(config->mappings[i].lun, expected[i].lun);
	}
	assert_int_equal(config->n_host_groups, 3);
	assert_ptr_equal(config->mappings[5].host_group, &config->host_groups[0]);
	assert_null(config->mappings[1].host_group);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_is_read),
		cmocka_unit_test(fence_levels_are_read_in_their_order),
		cmocka_unit_test(watchdog_is_a_level),
		cmocka_unit_test(secrets_of_fence_levels_are_hidden),
		cmocka_unit_test(defaults_are_filled_in),
		cmocka_unit_test(lists_are_sorted),
		cmocka_unit_test(groups_know_their_volumes),
		cmocka_unit_test(what_is_not_there_is_not_found),
		cmocka_unit_test(secrets_are_hidden),
		cmocka_unit_test(hidden_form_cannot_be_applied),
		cmocka_unit_test(broken_json_has_line_and_column_but_no_excerpt),
		cmocka_unit_test(error_text_is_optional),
		cmocka_unit_test(document_size_is_bounded),
		cmocka_unit_test(numbers_of_objects_are_bounded),
		cmocka_unit_test(printed_form_is_bounded_too),
		cmocka_unit_test(manual_has_every_key),
		cmocka_unit_test(example_of_the_manual_is_taken),
		cmocka_unit_test(names_cannot_leave_their_folder),
		cmocka_unit_test(iscsi_names_follow_the_rfc),
		cmocka_unit_test(secrets_are_what_lio_takes_for_secrets),
		cmocka_unit_test(addresses_are_numeric_and_of_one_node),
		cmocka_unit_test(sizes_are_binary_and_printed_short),
		cmocka_unit_test(quoted_text_is_plain_and_bounded),
		cmocka_unit_test(naa_is_the_kernels),
		cmocka_unit_test(electorate_must_be_the_nodes),
		cmocka_unit_test(host_groups_are_mappings_of_their_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
