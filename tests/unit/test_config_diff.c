// SPDX-License-Identifier: GPL-2.0-or-later
/* The lines an operator reads before a change: each kind of change has one, and there is none without a change. */
#include "tests/unit/test_config.h"

#define SHARED CASES "/good/03-shared.json"
#define FC CASES "/good/15-fc.json"
#define SRP CASES "/good/12-srp.json"
#define THIN CASES "/good/14-thin-pools.json"
#define DISCOVERY CASES "/good/10-discovery.json"
#define PARAMETERS CASES "/good/09-parameters.json"
#define FOUR CASES "/good/04-four-groups.json"

static void assert_diff(const struct config *old, const struct config *config, const char *expected)
{
	struct strbuf lines = { 0 };
	size_t n = config_diff(old, config, &lines), n_expected = 0;

	for (const char *p = expected; *p; p++)
		n_expected += *p == '\n';
	assert_string_equal(strbuf_str(&lines), expected);
	assert_int_equal(n, n_expected);
	strbuf_done(&lines);
}

static void first_document_is_all_new(void **unused)
{
	_cleanup_config_ struct config *config = parse_file(BRIEF);

	(void)unused;
	assert_diff(NULL, config,
		    "+ cluster demo\n"
		    "+ fencing (fence_lab, timeout 60 s)\n"
		    "+ node n1 (id 1, storage, replication 10.78.0.1)\n"
		    "+ node n2 (id 2, storage, replication 10.78.0.2)\n"
		    "+ node n3 (id 3, witness)\n"
		    "+ pool data (volume group lunward)\n"
		    "+ group g1 (drbd on n1, n2, prefer n1)\n"
		    "+ volume v1 (1 GiB, group g1)\n"
		    "+ volume v2 (8 MiB, group g1)\n"
		    "+ target iqn.2026-11.org.example:t1 (10.77.0.1:3260 on n1, 10.77.0.2:3260 on n2)\n"
		    "+ host h1 (linux, iqn.2026-11.org.example:h1, mutual CHAP)\n"
		    "+ mapping of volume v1 to host h1 (LUN 0, target iqn.2026-11.org.example:t1)\n"
		    "+ mapping of volume v2 to host h1 (LUN 1, target iqn.2026-11.org.example:t1)\n");
}

static void another_cluster_replaces_everything(void **unused)
{
	_cleanup_config_ struct config *brief = parse_file(BRIEF), *least = parse_file(CASES "/good/02-least.json");

	(void)unused;
	assert_diff(brief, least,
		    "~ cluster: name demo -> c\n"
		    "- fencing (fence_lab, timeout 60 s)\n"
		    "- node n1 (id 1, storage, replication 10.78.0.1)\n"
		    "- node n2 (id 2, storage, replication 10.78.0.2)\n"
		    "- node n3 (id 3, witness)\n"
		    "+ node n (id 255, storage)\n"
		    "- pool data (volume group lunward)\n"
		    "- group g1 (drbd on n1, n2, prefer n1)\n"
		    "- volume v1 (1 GiB, group g1)\n"
		    "- volume v2 (8 MiB, group g1)\n"
		    "- target iqn.2026-11.org.example:t1 (10.77.0.1:3260 on n1, 10.77.0.2:3260 on n2)\n"
		    "- host h1 (linux, iqn.2026-11.org.example:h1, mutual CHAP)\n"
		    "- mapping of volume v1 to host h1 (LUN 0, target iqn.2026-11.org.example:t1)\n"
		    "- mapping of volume v2 to host h1 (LUN 1, target iqn.2026-11.org.example:t1)\n");
}

struct diff_case {
	const char *file, *from, *to, *lines;
};

#define T1 "iqn.2026-11.org.example:t1"
#define LEVELS CASES "/good/07-fence-levels.json"
#define HOST_GROUPS CASES "/good/06-host-groups.json"
#define DISKS "iqn.2026-11.org.example:disks"

static const struct diff_case cases[] = {
	{ BRIEF, "\"cluster\": \"demo\"", "\"cluster\": \"prod\"", "~ cluster: name demo -> prod\n" },
	{ BRIEF, "fence_lab", "fence_xvm", "~ fencing: agent fence_lab -> fence_xvm\n" },
	{ BRIEF, "\"timeout_s\": 60", "\"timeout_s\": 90", "~ fencing: timeout_s 60 -> 90\n" },
	{ BRIEF, "{\"k\": \"v\"}", "{\"k\": \"w\"}", "~ fencing: options changed\n" },
	{ BRIEF, "{\"k\": \"v\"}", "{\"l\": \"v\"}", "~ fencing: options changed\n" },
	{ BRIEF, "{\"k\": \"v\"}", "{\"k\": \"v\", \"l\": \"v\"}", "~ fencing: options changed\n" },
	{ BRIEF, "{\"plug\": \"n2\"}", "{\"plug\": \"two\"}", "~ node n2: fence options changed\n" },
	{ LEVELS, "\"timeout_s\": 20", "\"timeout_s\": 21", "~ fencing level power: timeout_s 20 -> 21\n" },
	{ LEVELS, "\"a-secret\"", "\"b-secret\"", "~ fencing level power: options changed\n" },
	{ LEVELS, "{\"name\": \"cluster\", \"agent\": \"pacemaker\"},", "", "- fencing level cluster (pacemaker, timeout 60 s)\n" },
	{ LEVELS, "\"levels\": [", "\"levels\": [{\"name\": \"new\", \"agent\": \"fence_x\"}, ", "+ fencing level new (fence_x, timeout 60 s)\n" },
	{ LEVELS, "{\"name\": \"cluster\", \"agent\": \"pacemaker\"},\n    {\"name\": \"bar\", \"agent\": \"fence_apc_snmp\"}",
	  "{\"name\": \"bar\", \"agent\": \"fence_apc_snmp\"},\n    {\"name\": \"cluster\", \"agent\": \"pacemaker\"}",
	  "~ fencing: order power, cluster, bar -> power, bar, cluster\n" },
	{ LEVELS, "{\"plug\": \"7\"}", "{\"plug\": \"8\"}", "~ node n1: fence options changed\n" },
	{ LEVELS, "\"bar\": {\"plug\": \"7\"}, ", "", "~ node n1: fence options changed\n" },
	{ BRIEF, "10.78.0.2", "10.78.0.22", "~ node n2: replication_address 10.78.0.2 -> 10.78.0.22\n" },
	{ BRIEF, "\"role\": \"witness\"", "\"role\": \"storage\", \"replication_address\": \"10.78.0.3\"",
	  "~ node n3: role witness -> storage; replication_address none -> 10.78.0.3\n" },
	{ BRIEF, "\"n3\"", "\"w\"", "- node n3 (id 3, witness)\n+ node w (id 3, witness)\n" },
	{ BRIEF, "\"vg\": \"lunward\"", "\"vg\": \"ssd\"", "~ pool data: vg lunward -> ssd\n" },
	{ BRIEF, "\"vg\": \"lunward\"", "\"vg\": \"lunward\", \"thin_pool\": \"tp0\"", "~ pool data: thin_pool none -> tp0\n" },
	{ THIN, "\"warn_percent\": 70, \"error_percent\": 90", "\"warn_percent\": 75",
	  "~ pool data: warn_percent 70 -> 75; error_percent 90 -> 95\n" },
	{ THIN, "{\"vg\": \"lunward\", \"thin_pool\": \"tp1\"}", "{\"vg\": \"lunward\", \"thin_pool\": \"tp2\"}",
	  "~ pool rest: thin_pool tp1 -> tp2\n" },
	{ THIN, "\"pools\": {", "\"pools\": {\"new\": {\"vg\": \"lunward\", \"thin_pool\": \"tp3\"}, ",
	  "+ pool new (volume group lunward, thin pool tp3)\n" },
	{ BRIEF, "[\"n1\", \"n2\"], \"prefer\": \"n1\"", "[\"n2\", \"n1\"]", "~ group g1: nodes n1, n2 -> n2, n1; prefer n1 -> none\n" },
	{ BRIEF, "\"prefer\": \"n1\"", "\"prefer\": \"n2\"", "~ group g1: prefer n1 -> n2\n" },
	{ BRIEF, "\"auto\", \"port\": 7789", "\"pacemaker\", \"port\": 7790", "~ group g1: placement auto -> pacemaker; port 7789 -> 7790\n" },
	{ BRIEF, "\"port\": 7789", "\"port\": 7789, \"lu_gp_id\": 12", "~ group g1: lu_gp_id 1 -> 12\n" },
	{ CASES "/good/05-four-copies.json", "\"n4\", \"n3\", \"n2\", \"n1\"", "\"n3\", \"n4\", \"n1\", \"n2\"",
	  "~ group g: nodes n4, n3, n2, n1 -> n3, n4, n1, n2\n" },
	{ BRIEF, "\"1GiB\"", "\"1028MiB\"", "~ volume v1: size 1 GiB -> 1028 MiB\n" },
	{ BRIEF, "\"block_size\": 512", "\"block_size\": 4096, \"drbd_minor\": 9, \"drbd_volume\": 5",
	  "~ volume v1: block_size 512 -> 4096; drbd_minor 100 -> 9; drbd_volume 0 -> 5\n"
	  "~ volume v2: drbd_minor 101 -> 100; drbd_volume 1 -> 6\n" },
	{ BRIEF, "\"serial\": \"6b1f0c1e-52f4-4a6e-9d0e-3c5a7d9b1f01\"", "\"serial\": \"0123456789\"",
	  "~ volume v1: serial 6b1f0c1e-52f4-4a6e-9d0e-3c5a7d9b1f01 -> 0123456789\n" },
	{ SHARED, "/dev/mapper/mpatha", "/dev/mapper/mpathb", "~ volume sql: device /dev/mapper/mpatha -> /dev/mapper/mpathb\n" },
	{ FOUR, "\"a3\": {\"group\": \"a\"", "\"a3\": {\"group\": \"b\"", "~ volume a3: group a -> b; drbd_volume 9 -> 0\n~ volume b1: drbd_volume 0 -> 1\n" },
	{ FOUR, "\"a3\": {\"group\": \"a\", \"pool\": \"ssd\"", "\"a3\": {\"group\": \"a\", \"pool\": \"hdd\"", "~ volume a3: pool ssd -> hdd\n" },
	{ SHARED, "{\"fast\": {\"vg\": \"VG_fast\"}}", "{\"fast\": {\"vg\": \"VG_fast\"}, \"slow\": {\"vg\": \"slow\"}}",
	  "+ pool slow (volume group slow)\n" },
	{ BRIEF, "\"nodes\": {", "\"discovery\": {},\n  \"nodes\": {", "~ discovery: asks for what the kernel has -> nothing\n" },
	{ DISCOVERY, "\"discovery\": {\"chap\": {\"user\": \"disc\", \"password\": \"only-to-see-targets\"}, \"mutual_chap\": {\"user\": "
	  "\"lunward\", \"password\": \"we-are-who-we-say\"}},", "", "~ discovery: asks for mutual CHAP -> what the kernel has\n" },
	{ DISCOVERY, "\"disc\"", "\"other\"", "~ discovery: chap changed\n" },
	{ DISCOVERY, "we-are-who-we-say", "we-are-somebody-else", "~ discovery: mutual chap changed\n" },
	{ FC, "21:00:00:24:ff:4a:01:01", "21:00:00:24:ff:4a:01:09",
	  "~ target fc.fast: portal 21:00:00:24:ff:4a:01:01 on n1 removed; portal 21:00:00:24:ff:4a:01:09 on n1 added\n" },
	{ SRP, "5555", "5556", "~ srp: rdma_cm_port 5555 -> 5556\n" },
	{ SRP, "FE80::5054:ff:fe12:202", "fe80::9",
	  "~ target srp.fast: portal fe80:0000:0000:0000:5054:00ff:fe12:0202 on n2 removed; portal fe80:0000:0000:0000:0000:0000:0000:0009 on n2 added\n" },
	{ PARAMETERS, "\"MaxConnections\": 4, ", "", "~ target " T1 ": MaxConnections 4 -> 1 (default)\n" },
	{ PARAMETERS, "\"InitialR2T\": false", "\"InitialR2T\": true", "~ target " T1 ": InitialR2T No -> Yes\n" },
	{ PARAMETERS, "\"DataDigest\": \"CRC32C,None\", ", "",
	  "~ target " T1 ": DataDigest CRC32C,None -> CRC32C,None (default)\n" },
	{ BRIEF, "[\"tcp\", \"iser\"]", "[\"tcp\"]", "~ target " T1 ": portal 10.77.0.1:3260 on n1 changed\n" },
	{ BRIEF, "10.77.0.2/24", "10.77.0.2/25", "~ target " T1 ": portal 10.77.0.2:3260 on n2 changed\n" },
	{ BRIEF, "\"10.77.0.2/24\", \"interface\": \"san0\"", "\"10.77.0.2/24\", \"interface\": \"san1\"",
	  "~ target " T1 ": portal 10.77.0.2:3260 on n2 changed\n" },
	{ BRIEF, "\"10.77.0.2/24\", \"interface\": \"san0\"", "\"10.77.0.2/24\", \"interface\": \"san0\", \"port\": 3261",
	  "~ target " T1 ": portal 10.77.0.2:3260 on n2 removed; portal 10.77.0.2:3261 on n2 added\n" },
	{ SHARED, "\"iqn.2026-11.org.example:unused\": {\"portals\": []}", "\"iqn.2026-11.org.example:none\": {\"portals\": []}",
	  "+ target iqn.2026-11.org.example:none (no portals)\n- target iqn.2026-11.org.example:unused (no portals)\n" },
	{ BRIEF, "\"profile\": \"linux\"", "\"profile\": \"esxi\"", "~ host h1: profile linux -> esxi\n" },
	{ BRIEF, "[\"iqn.2026-11.org.example:h1\"]", "[\"iqn.2026-11.org.example:h2\"]",
	  "~ host h1: initiator iqn.2026-11.org.example:h1 removed; initiator iqn.2026-11.org.example:h2 added\n" },
	{ BRIEF, "correct-horse", "correct-mouse", "~ host h1: chap changed\n" },
	{ BRIEF, "\"user\": \"h1\"", "\"user\": \"h2\"", "~ host h1: chap changed\n" },
	{ BRIEF, "staple-of", "nail-of", "~ host h1: mutual chap changed\n" },
	{ BRIEF, ",\n      \"mutual_chap\": {\"user\": \"t1\", \"password\": \"staple-of-the-target\"}", "", "~ host h1: mutual chap removed\n" },
	{ SHARED, "{\"profile\": \"esxi\"", "{\"profile\": \"esxi\", \"chap\": {\"user\": \"e\", \"password\": \"0123456789ab\"}",
	  "~ host esx: chap added\n" },
	{ BRIEF, "\"lun\": 1}", "\"lun\": 2}",
	  "- mapping of volume v2 to host h1 (LUN 1, target " T1 ")\n+ mapping of volume v2 to host h1 (LUN 2, target " T1 ")\n" },
	{ SHARED, "\"volume\": \"sql\", \"target\": \"" DISKS "\", \"lun\": 0", "\"volume\": \"tmp\", \"target\": \"" DISKS "\", \"lun\": 0",
	  "- mapping of volume sql to host esx (LUN 0, target " DISKS ")\n+ mapping of volume tmp to host esx (LUN 0, target " DISKS ")\n" },	{ HOST_GROUPS, "{\"hosts\": [\"c\", \"b\"]}", "{\"hosts\": [\"c\", \"a\"]}",
	  "~ host group pair: hosts b, c -> a, c\n"
	  "+ mapping of volume cluster to host a (LUN 1, target " T1 ")\n- mapping of volume cluster to host b (LUN 1, target " T1 ")\n" },
	{ HOST_GROUPS, "\"idle\": {\"hosts\": [\"a\"]}", "\"lazy\": {\"hosts\": [\"a\"]}", "- host group idle (a)\n+ host group lazy (a)\n" },
	{ HOST_GROUPS, "{\"host\": \"b\", \"volume\": \"boot\"", "{\"host_group\": \"idle\", \"volume\": \"boot\"",
	  "+ mapping of volume boot to host a (LUN 0, target " T1 ")\n- mapping of volume boot to host b (LUN 0, target " T1 ")\n" },
	{ HOST_GROUPS, "\"host_group\": \"pair\", \"volume\": \"cluster\", \"target\": \"" T1 "\", \"lun\": 1}",
	  "\"host\": \"b\", \"volume\": \"cluster\", \"target\": \"" T1 "\", \"lun\": 1},\n"
	  "{\"host\": \"c\", \"volume\": \"cluster\", \"target\": \"" T1 "\", \"lun\": 1}",
	  "~ mapping of volume cluster: for host b by host group pair -> none\n~ mapping of volume cluster: for host c by host group pair -> none\n" },
};

/* Parsed each for itself: what config_parse() would refuse as a change must still be told apart. */
static void each_change_has_its_line_and_its_reverse(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_config_ struct config *config = parse_file(cases[i].file), *changed = NULL;
		_cleanup_free_ char *text = load(cases[i].file), *before = NULL, *after = NULL;
		struct strbuf back = { 0 };

		random_calls = 0;
		text = change(text, cases[i].from, cases[i].to);
		changed = parse(text, NULL);
		assert_diff(config, changed, cases[i].lines);
		assert_int_not_equal(config_diff(changed, config, &back), 0);
		strbuf_done(&back);
		before = config_print(config, true);
		after = config_print(changed, true);
		assert_string_not_equal(before, after);
	}
}

/* Nothing says that the level with a name is the one without. */
static void agent_becomes_a_level(void **unused)
{
	_cleanup_config_ struct config *config = parse_file(BRIEF), *changed = NULL;
	_cleanup_free_ char *text = load(BRIEF);

	(void)unused;
	random_calls = 0;
	text = change(text, "{\"agent\": \"fence_lab\", \"timeout_s\": 60, \"options\": {\"k\": \"v\"}}",
		      "{\"levels\": [{\"name\": \"lab\", \"agent\": \"fence_lab\", \"options\": {\"k\": \"v\"}}]}");
	text = change(text, "{\"plug\": \"n1\"}", "{\"lab\": {\"plug\": \"n1\"}}");
	text = change(text, "{\"plug\": \"n2\"}", "{\"lab\": {\"plug\": \"n2\"}}");
	changed = parse(text, NULL);
	assert_diff(config, changed, "- fencing (fence_lab, timeout 60 s)\n+ fencing level lab (fence_lab, timeout 60 s)\n"
		    "~ node n1: fence options changed\n~ node n2: fence options changed\n");
}

/* Order and notation are no changes. */
static void notation_makes_no_difference(void **unused)
{
	static const char *const changes[][3] = {
		{ BRIEF, "\"1GiB\"", "1073741824" },
		{ BRIEF, "[\"tcp\", \"iser\"]", "[\"iser\"]" },
		{ BRIEF, "\"timeout_s\": 60, ", "" },
		{ BRIEF, "\"size\": 8388608", "\"block_size\": 512, \"size\": \"8192KiB\"" },
		{ SHARED, "fd00:77:0::3/64", "FD00:0077::3/64" },
		{ SHARED, "[\"iqn.1998-01.com.vmware:esx-5f3c\", \"eui.0123456789abcdef\"]",
		  "[\"eui.0123456789abcdef\", \"iqn.1998-01.com.vmware:esx-5f3c\"]" },
		{ SHARED, "\"b.example\": {\"id\": 7},\n    \"c.example\": {\"id\": 8}",
		  "\"c.example\": {\"id\": 8, \"role\": \"storage\", \"fence\": {}},\n    \"b.example\": {\"id\": 7}" },
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		_cleanup_config_ struct config *config = parse_file(changes[i][0]), *changed = NULL;
		_cleanup_free_ char *text = load(changes[i][0]), *before = NULL, *after = NULL;

		random_calls = 0;
		text = change(text, changes[i][1], changes[i][2]);
		changed = parse(text, NULL);
		assert_diff(config, changed, "");
		before = config_print(config, true);
		after = config_print(changed, true);
		assert_string_equal(before, after);
	}
}

static void secrets_are_not_in_the_lines(void **unused)
{
	static const char *const secrets[] = { "horse", "staple", "pa ss", "another", "nail" };
	_cleanup_config_ struct config *brief = parse_file(BRIEF), *four = parse_file(FOUR);
	struct strbuf lines = { 0 };

	(void)unused;
	config_diff(NULL, brief, &lines);
	config_diff(brief, four, &lines);
	config_diff(four, brief, &lines);
	for (size_t i = 0; i < ARRAY_SIZE(secrets); i++)
		assert_null(strstr(strbuf_str(&lines), secrets[i]));
	strbuf_done(&lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_document_is_all_new),
		cmocka_unit_test(another_cluster_replaces_everything),
		cmocka_unit_test(each_change_has_its_line_and_its_reverse),
		cmocka_unit_test(agent_becomes_a_level),
		cmocka_unit_test(notation_makes_no_difference),
		cmocka_unit_test(secrets_are_not_in_the_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
