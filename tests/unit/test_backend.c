// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Provisioning, growing and roles against LVM and DRBD in miniature (tests/unit/tools/storage), with the node dying after every
 * command. What must hold wherever it dies: what a host wrote stays, what a pool held before is never
 * seen, metadata is made once.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/run_cmd.h"
#include "base/xalloc.h"
#include "target-config/backend/backend.h"
#include "target-config/backend/lvm.h"

#define MIB (1024ull * 1024)
#define EXTENT (4 * MIB)
#define POOL_EXTENTS 24
#define DATA "what the host wrote"

/* What is in the volume group at first, and the document's pool. */
struct ground {
	const char *lvs, *pool;
};

#define THIN_POOL(zero)                                                                                                                    \
	"\"tp0\": {\"extents\": [], \"tags\": [], \"active\": true, \"thin\": {\"zero\": " zero ", \"data\": \"81.25\","                        \
	" \"metadata\": \"3.50\", \"health\": \"\"}}"
#define IN_THIN_POOL "{\"vg\": \"vg0\", \"thin_pool\": \"tp0\"}"

static const struct ground thick = { "", "{\"vg\": \"vg0\"}" }, thin = { THIN_POOL("true"), IN_THIN_POOL },
			   unzeroed = { THIN_POOL("false"), IN_THIN_POOL };
static const struct ground *ground;

struct bench {
	char root[40];
	char *old_path;
	struct config *config;
	const struct config_group *group;
};

static void serial_bytes(void *p, size_t size)
{
	static unsigned char next;

	memset(p, ++next, size);
}

static struct config *document(const char *backend, unsigned int v1_mib, unsigned int v2_mib)
{
	_cleanup_free_ char *v2 = v2_mib ? xasprintf(", \"v2\": {\"group\": \"g1\", \"pool\": \"p\", \"size\": \"%uMiB\"}", v2_mib) :
					   xstrdup("");
	_cleanup_free_ char *text = xasprintf(
		"{\"lunward\": 1, \"cluster\": \"demo\", \"nodes\": {"
		"\"n1\": {\"id\": 1, \"role\": \"storage\", \"replication_address\": \"127.0.0.1\"},"
		"\"n2\": {\"id\": 2, \"role\": \"storage\", \"replication_address\": \"192.0.2.2\"}},"
		"\"pools\": {\"p\": %s},"
		"\"groups\": {\"g1\": {\"backend\": \"%s\", \"nodes\": [%s]}},"
		"\"volumes\": {\"v1\": {\"group\": \"g1\", \"pool\": \"p\", \"size\": \"%uMiB\"}%s}}",
		ground->pool, backend, strcmp(backend, "drbd") == 0 ? "\"n1\", \"n2\"" : "\"n1\"", v1_mib, v2);
	struct config *config = NULL;
	struct err err = ERR_INIT;

	if (config_parse(text, strlen(text), NULL, serial_bytes, &config, &err) < 0)
		fail_msg("document: %s", err.text);
	return config;
}

static void set_document(struct bench *b, struct config *config)
{
	config_free(b->config);
	b->config = config;
	b->group = config_group_by_name(config, "g1");
}

static char *in_root(const struct bench *b, const char *name)
{
	return xasprintf("%s/%s", b->root, name);
}

static void put(const struct bench *b, const char *name, const char *text)
{
	_cleanup_free_ char *path = in_root(b, name);

	assert_int_equal(file_replace(path, text, strlen(text), 0600), 0);
}

static char *get(const struct bench *b, const char *name)
{
	_cleanup_free_ char *path = in_root(b, name);
	char *data = NULL;

	return file_read(path, 1 << 20, &data, NULL) == 0 ? data : NULL;
}

/* The node as if it had just been installed, its pool full of somebody's old data. */
static void reset(struct bench *b)
{
	_cleanup_free_ char *pool = in_root(b, "pool-vg0"), *dev = in_root(b, "dev"), *log = in_root(b, "log");
	_cleanup_close_ int fd = -1;
	unsigned char old[4096];
	_cleanup_free_ char *state = xasprintf(
		"{\"vgs\": {\"vg0\": {\"extent\": 4194304, \"n\": 24, \"lvs\": {%s}}}, \"minors\": {}, \"metadata\": {}, \"remembered\": {},"
		" \"connection\": {}, \"open\": [], \"peer_alive\": true, \"peer_role\": \"Secondary\", \"peer_disk\": \"Inconsistent\","
		" \"replication\": \"Established\", \"suspended\": \"no\", \"handler_agrees\": false}", ground->lvs);
	struct err err = ERR_INIT;

	assert_int_equal(run_cmdl(&err, 10000, "rm", "-rf", dev, log, NULL), 0);
	put(b, "state.json", state);
	(void)unlink(pool);
	fd = open(pool, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, (off_t)(POOL_EXTENTS * EXTENT)), 0);
	memset(old, 0xAA, sizeof(old));
	for (size_t i = 0; i < POOL_EXTENTS; i++)
		assert_int_equal(pwrite(fd, old, sizeof(old), (off_t)(i * EXTENT)), sizeof(old));
}

static int setup_on(const struct ground *on, void **state)
{
	static const char *const tools[] = { "vgs", "lvs", "lvcreate", "lvremove", "lvextend", "lvchange", "drbdsetup", "drbdadm",
					     "drbdmeta" };
	struct bench *b = xcalloc(1, sizeof(*b));
	_cleanup_free_ char *tool = realpath("tests/unit/tools/storage", NULL), *bin = NULL, *search = NULL;

	strcpy(b->root, "/tmp/test_backend.XXXXXX");
	ground = on;
	if (!tool || !mkdtemp(b->root))
		return -1;
	bin = in_root(b, "bin");
	for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
		_cleanup_free_ char *link = xasprintf("%s/%s", bin, tools[i]);

		if (file_make_dirs(bin, 0700) < 0 || symlink(tool, link) < 0)
			return -1;
	}
	b->old_path = xstrdup(getenv("PATH"));
	search = xasprintf("%s:%s", bin, b->old_path);
	setenv("PATH", search, 1);
	setenv("FAKE_ROOT", b->root, 1);
	backend_set_root(b->root);
	for (size_t i = 0; i < 2; i++) {
		_cleanup_free_ char *dir = in_root(b, i ? "etc/drbd.d" : "sys/module/drbd/parameters");

		if (file_make_dirs(dir, 0700) < 0)
			return -1;
	}
	reset(b);
	set_document(b, document("drbd", 8, 0));
	*state = b;
	return 0;
}

static int setup(void **state)
{
	return setup_on(&thick, state);
}

static int setup_thin(void **state)
{
	return setup_on(&thin, state);
}

static int setup_unzeroed(void **state)
{
	return setup_on(&unzeroed, state);
}

static int teardown(void **state)
{
	struct bench *b = *state;
	int rc = run_cmdl(NULL, 10000, "rm", "-rf", b->root, NULL);

	setenv("PATH", b->old_path, 1);
	backend_set_root("");
	config_free(b->config);
	free(b->old_path);
	free(b);
	return rc;
}

/* Edits the node's state by hand: the first `from` becomes `to`. */
static void happens(const struct bench *b, const char *from, const char *to)
{
	_cleanup_free_ char *state = get(b, "state.json"), *changed = NULL;
	char *at = strstr(state, from);

	if (!at)
		fail_msg("no %s in %s", from, state);
	changed = xasprintf("%.*s%s%s", (int)(at - state), state, to, at + strlen(from));
	put(b, "state.json", changed);
}

static bool state_has(const struct bench *b, const char *text)
{
	_cleanup_free_ char *state = get(b, "state.json");

	return strstr(state, text) != NULL;
}

static bool was_run(const struct bench *b, const char *text)
{
	_cleanup_free_ char *log = get(b, "log");

	return log && strstr(log, text) != NULL;
}

static int volume_open(const struct bench *b, const char *lv)
{
	_cleanup_free_ char *path = xasprintf("%s/dev/vg0/%s", b->root, lv);

	return open(path, O_RDWR | O_CLOEXEC);
}

static void write_data(const struct bench *b, const char *lv)
{
	_cleanup_close_ int fd = volume_open(b, lv);

	assert_int_equal(pwrite(fd, DATA, sizeof(DATA), 12345), sizeof(DATA));
}

static bool has_data(const struct bench *b, const char *lv)
{
	_cleanup_close_ int fd = volume_open(b, lv);
	char data[sizeof(DATA)] = "";

	return pread(fd, data, sizeof(data), 12345) == sizeof(data) && memcmp(data, DATA, sizeof(data)) == 0;
}

/* Somebody's old data anywhere in the volume. */
static bool shows_old_data(const struct bench *b, const char *lv)
{
	_cleanup_close_ int fd = volume_open(b, lv);
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	for (off_t at = 0; at < st.st_size; at += (off_t)EXTENT) {
		unsigned char byte;

		assert_int_equal(pread(fd, &byte, 1, at), 1);
		if (byte == 0xAA)
			return true;
	}
	return false;
}

static off_t volume_size(const struct bench *b, const char *lv)
{
	_cleanup_close_ int fd = volume_open(b, lv);
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_size : -1;
}

static int provision(const struct bench *b)
{
	struct err err = ERR_INIT;

	return backend_provision(b->config, b->group, 1, &err);
}

static void provision_makes_everything(void **state)
{
	struct bench *b = *state;
	_cleanup_free_ char *res = NULL;

	set_document(b, document("drbd", 8, 4));
	assert_int_equal(provision(b), 0);
	res = get(b, "etc/drbd.d/lunward-g1.res");
	assert_non_null(strstr(res, "resource lunward-g1 {"));
	assert_int_equal(volume_size(b, "lunward-v1"), 12 * MIB);
	assert_int_equal(volume_size(b, "lunward-v2"), 8 * MIB);
	assert_false(shows_old_data(b, "lunward-v1"));
	assert_false(shows_old_data(b, "lunward-v2"));
	assert_false(state_has(b, "lunward.blank"));
	assert_true(state_has(b, "\"Connected\""));
}

static void provision_twice_changes_nothing(void **state)
{
	struct bench *b = *state;
	_cleanup_free_ char *before = NULL, *after = NULL;

	assert_int_equal(provision(b), 0);
	write_data(b, "lunward-v1");
	before = get(b, "state.json");
	assert_int_equal(provision(b), 0);
	after = get(b, "state.json");
	assert_string_equal(before, after);
	assert_true(has_data(b, "lunward-v1"));
}

static void somebody_elses_volume_is_left_alone(void **state)
{
	struct bench *b = *state;
	struct err err = ERR_INIT;

	assert_int_equal(provision(b), 0);
	write_data(b, "lunward-v1");
	happens(b, "\"lunward\"\n", "\"theirs\"\n");
	assert_int_equal(backend_provision(b->config, b->group, 1, &err), -EEXIST);
	assert_non_null(strstr(err.text, "volume v1: logical volume vg0/lunward-v1 exists"));
	assert_true(has_data(b, "lunward-v1"));
}

static void full_or_missing_pool(void **state)
{
	struct bench *b = *state;
	struct err err = ERR_INIT;

	set_document(b, document("drbd", 200, 0));
	assert_int_equal(backend_provision(b->config, b->group, 1, &err), -EREMOTEIO);
	assert_non_null(strstr(err.text, "volume v1: lvcreate"));
	assert_non_null(strstr(err.text, "insufficient free space (24 extents)"));
	happens(b, "\"vg0\"", "\"vg1\"");
	assert_int_equal(backend_provision(b->config, b->group, 1, &err), -ENOENT);
	assert_non_null(strstr(err.text, "volume group vg0"));
}

static void reboot_activates_and_attaches(void **state)
{
	struct bench *b = *state;

	assert_int_equal(provision(b), 0);
	write_data(b, "lunward-v1");
	happens(b, "\"active\": true", "\"active\": false");
	happens(b, "\"minors\": {", "\"gone\": {"); /* the kernel forgets */
	happens(b, "\"metadata\": {", "\"minors\": {}, \"metadata\": {");
	happens(b, "\"gone\": {", "\"old\": {");
	happens(b, "\"Connected\"", "\"StandAlone\"");
	assert_int_equal(provision(b), 0);
	assert_true(has_data(b, "lunward-v1"));
	assert_true(state_has(b, "\"made\": 1"));
	assert_true(state_has(b, "\"Connected\""));
}

/* Lost metadata is for a person to look at: fresh metadata would make DRBD believe that the copy is new. */
static void lost_metadata_is_not_replaced(void **state)
{
	struct bench *b = *state;

	assert_int_equal(provision(b), 0);
	write_data(b, "lunward-v1");
	happens(b, "\"disk\": \"Inconsistent\"", "\"disk\": \"Diskless\"");
	happens(b, "\"metadata\": {", "\"metadata\": {}, \"lost\": {");
	assert_int_equal(provision(b), -EREMOTEIO);
	assert_true(has_data(b, "lunward-v1"));
	assert_false(state_has(b, "\"made\": 2"));
}

/*
 * Runs provision with the n-th command taking effect and failing, as if the node died then; to die before a command is to die after
 * the one before it. Returns false once there were fewer commands.
 */
static bool provision_dying_at(const struct bench *b, int n)
{
	_cleanup_free_ char *plan = xasprintf("%d after", n), *left = NULL, *path = in_root(b, "fail");
	bool failed;

	put(b, "fail", plan);
	failed = backend_provision(b->config, b->group, 1, NULL) < 0;
	left = get(b, "fail");
	(void)unlink(path);
	assert_int_equal(failed, strtol(left, NULL, 10) <= 0);
	return failed;
}

static void killed_at_any_step_while_making(void **state)
{
	struct bench *b = *state;
	int n = 1;

	for (bool failed = true; failed; n++) {
		reset(b);
		failed = provision_dying_at(b, n);
		assert_int_equal(provision(b), 0);
		assert_false(shows_old_data(b, "lunward-v1"));
		assert_false(state_has(b, "lunward.blank"));
		assert_true(state_has(b, "\"Connected\""));
	}
	assert_true(n > 7); /* that many commands it takes */
}

static void killed_at_any_step_while_growing(void **state)
{
	struct bench *b = *state;
	int n = 1;

	for (bool failed = true; failed; n++) {
		reset(b);
		set_document(b, document("drbd", 8, 0));
		assert_int_equal(provision(b), 0);
		write_data(b, "lunward-v1");
		set_document(b, document("drbd", 16, 0));
		failed = provision_dying_at(b, n);
		if (volume_size(b, "lunward-v1") > (off_t)(12 * MIB)) /* DRBD may take it into use any moment */
			assert_false(shows_old_data(b, "lunward-v1"));
		assert_int_equal(provision(b), 0);
		assert_int_equal(volume_size(b, "lunward-v1"), 20 * MIB);
		assert_false(shows_old_data(b, "lunward-v1"));
		assert_true(has_data(b, "lunward-v1"));
		assert_true(state_has(b, "\"made\": 1"));
		assert_false(state_has(b, "lunwardtmp"));
	}
	assert_true(n > (ground == &thick ? 11 : 9));
}

static void growing_by_pieces(void **state)
{
	struct bench *b = *state;

	set_document(b, document("drbd", 8, 8));
	assert_int_equal(provision(b), 0);
	write_data(b, "lunward-v1");
	set_document(b, document("drbd", 24, 16));
	assert_int_equal(provision(b), 0);
	assert_int_equal(volume_size(b, "lunward-v1"), 28 * MIB);
	assert_int_equal(volume_size(b, "lunward-v2"), 20 * MIB);
	assert_false(shows_old_data(b, "lunward-v1"));
	assert_false(shows_old_data(b, "lunward-v2"));
	assert_true(has_data(b, "lunward-v1"));
	assert_true(was_run(b, "lvextend --config --yes -L 29360128b vg0/lunward-v1 /dev/fake-vg0:6-9"));
}

/* The size DRBD's metadata was last found at is noted before the disk changes, or it could not be found after a crash. */
static void grown_disk_is_found_after_a_crash(void **state)
{
	struct bench *b = *state;

	assert_int_equal(provision(b), 0);
	set_document(b, document("drbd", 16, 0));
	assert_int_equal(provision(b), 0);
	happens(b, "\"disk\": \"Inconsistent\"", "\"disk\": \"Diskless\"");
	assert_int_equal(provision(b), 0);
	assert_false(state_has(b, "\"Diskless\""));
}

static void grow_needs_equal_copies_and_an_owner(void **state)
{
	struct bench *b = *state;
	struct err err = ERR_INIT;

	assert_int_equal(provision(b), 0);
	assert_int_equal(backend_initialise(b->config, b->group, 1, &err), 0);
	assert_int_equal(backend_grow(b->config, b->group, &err), 0);
	assert_false(was_run(b, "drbdsetup resize"));
	set_document(b, document("drbd", 16, 0));
	assert_int_equal(provision(b), 0);
	assert_int_equal(backend_grow(b->config, b->group, &err), -EAGAIN); /* both secondary */
	happens(b, "\"Established\"", "\"SyncSource\"");
	assert_int_equal(backend_grow(b->config, b->group, &err), -EAGAIN);
	assert_non_null(strstr(err.text, "volume v1: cannot grow while the copies are not connected and equal (SyncSource)"));
	happens(b, "\"SyncSource\"", "\"Established\"");
	assert_int_equal(backend_promote(b->config, b->group, false, &err), 0);
	assert_int_equal(backend_grow(b->config, b->group, &err), 0);
	assert_true(was_run(b, "drbdsetup resize 100\n"));
}

static void only_new_copies_are_declared_equal(void **state)
{
	struct bench *b = *state;
	struct err err = ERR_INIT;

	assert_int_equal(provision(b), 0);
	assert_int_equal(backend_initialise(b->config, b->group, 2, &err), 0); /* the other node does it */
	happens(b, "\"Connected\"", "\"Connecting\"");
	assert_int_equal(backend_initialise(b->config, b->group, 1, &err), 0);
	happens(b, "\"Connecting\"", "\"Connected\"");
	happens(b, "\"peer_disk\": \"Inconsistent\"", "\"peer_disk\": \"UpToDate\"");
	assert_int_equal(backend_initialise(b->config, b->group, 1, &err), 0);
	assert_false(was_run(b, "new-current-uuid"));
	happens(b, "\"peer_disk\": \"UpToDate\"", "\"peer_disk\": \"Inconsistent\"");
	assert_int_equal(backend_initialise(b->config, b->group, 1, &err), 0);
	assert_true(was_run(b, "drbdsetup new-current-uuid 100 --clear-bitmap\n"));
	assert_int_equal(backend_initialise(b->config, b->group, 1, &err), 0);
	assert_true(state_has(b, "\"disk\": \"UpToDate\""));
}

/* What DRBD would do to the one that is Connected already is in backend.c. */
static void nothing_is_declared_while_another_volume_shakes_hands(void **state)
{
	struct bench *b = *state;
	struct err err = ERR_INIT;

	set_document(b, document("drbd", 8, 4));
	assert_int_equal(provision(b), 0);
	happens(b, "\"Established\"", "\"Off\"");
	assert_int_equal(backend_initialise(b->config, b->group, 1, &err), 0);
	assert_false(was_run(b, "new-current-uuid"));
	happens(b, "\"Off\"", "\"Established\"");
	assert_int_equal(backend_initialise(b->config, b->group, 1, &err), 0);
	assert_true(was_run(b, "drbdsetup new-current-uuid 100 --clear-bitmap\n"));
}

static void what_was_declared_on_one_side_only_is_connected_anew(void **state)
{
	struct bench *b = *state;
	struct err err = ERR_INIT;

	set_document(b, document("drbd", 8, 4));
	assert_int_equal(provision(b), 0);
	happens(b, "\"Established\"", "\"Off\"");
	assert_int_equal(run_cmdl(&err, 10000, "drbdsetup", "new-current-uuid", "100", "--clear-bitmap", NULL), 0);
	happens(b, "\"Off\"", "\"Established\"");
	happens(b, "\"peer_role\": \"Secondary\"", "\"peer_role\": \"Primary\"");
	assert_int_equal(backend_initialise(b->config, b->group, 1, &err), -EBUSY);
	assert_non_null(strstr(err.text, "volume v1: the copies are equal"));
	assert_false(was_run(b, "disconnect"));
	happens(b, "\"peer_role\": \"Primary\"", "\"peer_role\": \"Secondary\"");
	assert_int_equal(backend_initialise(b->config, b->group, 1, &err), 0);
	assert_true(was_run(b, "disconnect"));
	assert_true(state_has(b, "\"disk\": \"UpToDate\""));
	assert_false(was_run(b, "drbdsetup new-current-uuid 101"));
	assert_int_equal(backend_initialise(b->config, b->group, 1, &err), 0);
	assert_true(was_run(b, "drbdsetup new-current-uuid 101 --clear-bitmap\n"));
}

static void roles(void **state)
{
	struct bench *b = *state;
	struct err err = ERR_INIT;

	set_document(b, document("drbd", 8, 4));
	assert_int_equal(backend_promote(b->config, b->group, false, &err), -ENODEV);
	assert_int_equal(provision(b), 0);
	assert_int_equal(backend_promote(b->config, b->group, false, &err), -ENODATA);
	assert_non_null(strstr(err.text, "volume v1: the copy on this node is Inconsistent"));
	assert_int_equal(backend_initialise(b->config, b->group, 1, &err), 0);
	happens(b, "\"peer_role\": \"Secondary\"", "\"peer_role\": \"Primary\"");
	assert_int_equal(backend_promote(b->config, b->group, false, &err), -EBUSY);
	happens(b, "\"peer_role\": \"Primary\"", "\"peer_role\": \"Secondary\"");
	for (int i = 0; i < 2; i++)
		assert_int_equal(backend_promote(b->config, b->group, false, &err), 0);
	happens(b, "\"open\": []", "\"open\": [\"101\"]");
	assert_int_equal(backend_demote(b->config, b->group, &err), -EBUSY);
	assert_non_null(strstr(err.text, "volume v2: "));
	assert_non_null(strstr(err.text, "held open"));
	happens(b, "\"101\"\n", "\n");
	for (int i = 0; i < 2; i++)
		assert_int_equal(backend_demote(b->config, b->group, &err), 0);
	assert_false(was_run(b, "--force\n")); /* no promotion is ever forced, no connection dropped */
}

/* DRBD would promote a node without data as long as its peer has some. */
static void no_diskless_owner(void **state)
{
	struct bench *b = *state;
	struct err err = ERR_INIT;

	assert_int_equal(provision(b), 0);
	happens(b, "\"disk\": \"Inconsistent\"", "\"disk\": \"Diskless\"");
	assert_int_equal(backend_promote(b->config, b->group, false, &err), -ENODATA);
	happens(b, "\"disk\": \"Diskless\"", "\"disk\": \"Outdated\"");
	assert_int_equal(backend_promote(b->config, b->group, true, &err), -ENODATA);
	assert_false(was_run(b, "drbdsetup primary"));
}

static void takeover_and_return(void **state)
{
	struct bench *b = *state;
	struct err err = ERR_INIT;

	assert_int_equal(provision(b), 0);
	assert_int_equal(backend_initialise(b->config, b->group, 1, &err), 0);
	happens(b, "\"peer_role\": \"Secondary\"", "\"peer_role\": \"Primary\"");
	assert_int_equal(backend_promote(b->config, b->group, true, &err), -EPERM);
	assert_true(was_run(b, "drbdsetup disconnect ipv4:127.0.0.1:7788 ipv4:192.0.2.2:7788 --force\n"));
	happens(b, "\"handler_agrees\": false", "\"handler_agrees\": true");
	assert_int_equal(backend_promote(b->config, b->group, true, &err), 0);
	assert_true(state_has(b, "\"role\": \"Primary\""));
	assert_int_equal(backend_connect(b->config, b->group, &err), 0);
	assert_true(state_has(b, "\"lunward-g1\": \"Connected\""));
	put(b, "log", "");
	assert_int_equal(backend_connect(b->config, b->group, &err), 0);
	assert_false(was_run(b, "drbdadm"));
}

static void a_disk_that_negotiates_for_good_is_attached_anew(void **state)
{
	struct bench *b = *state;
	struct err err = ERR_INIT;

	assert_int_equal(provision(b), 0);
	put(b, "log", "");
	assert_int_equal(backend_attach_anew(b->config, b->group, &err), 0);
	assert_false(was_run(b, "detach"));
	happens(b, "\"disk\": \"Inconsistent\"", "\"disk\": \"Negotiating\"");
	assert_int_equal(backend_attach_anew(b->config, b->group, &err), 0);
	assert_true(was_run(b, "drbdsetup detach 100\n"));
	assert_true(state_has(b, "\"disk\": \"Inconsistent\""));
	assert_false(state_has(b, "Negotiating"));
}

static void held_writes_are_released_on_demand(void **state)
{
	struct bench *b = *state;
	struct err err = ERR_INIT;

	assert_int_equal(provision(b), 0);
	assert_int_equal(backend_resume(b->config, b->group, &err), 0);
	assert_false(was_run(b, "resume-io"));
	happens(b, "\"suspended\": \"no\"", "\"suspended\": \"fencing\"");
	assert_int_equal(backend_resume(b->config, b->group, &err), 0);
	assert_true(was_run(b, "drbdsetup resume-io 100\n"));
}

static void local_needs_no_drbd(void **state)
{
	struct bench *b = *state;
	struct err err = ERR_INIT;
	char device[BACKEND_PATH_SIZE];

	set_document(b, document("local", 8, 0));
	assert_int_equal(provision(b), 0);
	assert_int_equal(volume_size(b, "lunward-v1"), 8 * MIB);
	assert_false(shows_old_data(b, "lunward-v1"));
	write_data(b, "lunward-v1");
	set_document(b, document("local", 16, 0));
	assert_int_equal(provision(b), 0);
	assert_int_equal(volume_size(b, "lunward-v1"), 16 * MIB);
	assert_false(shows_old_data(b, "lunward-v1"));
	assert_true(has_data(b, "lunward-v1"));
	assert_int_equal(backend_promote(b->config, b->group, true, &err), 0);
	assert_int_equal(backend_demote(b->config, b->group, &err), 0);
	assert_int_equal(backend_initialise(b->config, b->group, 1, &err), 0);
	assert_int_equal(backend_connect(b->config, b->group, &err), 0);
	assert_false(was_run(b, "drbd"));
	backend_device(&b->config->volumes[0], device);
	assert_string_equal(device, "/dev/vg0/lunward-v1");
}

/* --- thin pools ---*/

static off_t room_taken(const struct bench *b, const char *lv)
{
	_cleanup_close_ int fd = volume_open(b, lv);
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_blocks * 512 : -1;
}

static void a_thin_volume_takes_no_room(void **state)
{
	struct bench *b = *state;

	assert_int_equal(provision(b), 0);
	assert_true(was_run(b, "lvcreate --config --yes -Wn --addtag lunward --addtag lunward.blank --thin -V 12582912b --thinpool tp0 -n lunward-v1 vg0\n"));
	assert_int_equal(room_taken(b, "lunward-v1"), 0);
	set_document(b, document("drbd", 16, 0));
	assert_int_equal(provision(b), 0);
	assert_true(was_run(b, "lvextend --config --yes -L 20971520b vg0/lunward-v1\n"));
	assert_int_equal(room_taken(b, "lunward-v1"), 0);
}

static void what_a_thin_pool_does_not_zero_is_zeroed(void **state)
{
	struct bench *b = *state;
	struct err err = ERR_INIT;

	assert_int_equal(provision(b), 0);
	assert_false(shows_old_data(b, "lunward-v1"));
	set_document(b, document("drbd", 16, 0));
	assert_int_equal(backend_provision(b->config, b->group, 1, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.text, "volume v1: cannot grow in thin pool vg0/tp0, which does not zero what it gives; `lvchange -Zy vg0/tp0`"));
	assert_int_equal(volume_size(b, "lunward-v1"), 12 * MIB);
	happens(b, "\"zero\": false", "\"zero\": true");
	assert_int_equal(provision(b), 0);
	assert_int_equal(volume_size(b, "lunward-v1"), 20 * MIB);
	assert_false(shows_old_data(b, "lunward-v1"));
}

static void expect_other_kind(const struct bench *b, const char *text)
{
	_cleanup_free_ char *before = get(b, "state.json"), *after = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(backend_provision(b->config, b->group, 1, &err), -EEXIST);
	if (!strstr(err.text, text))
		fail_msg("no %s in %s", text, err.text);
	assert_non_null(strstr(err.text, "rename it, or put the volume in a pool that fits"));
	after = get(b, "state.json");
	assert_string_equal(before, after);
	assert_true(has_data(b, "lunward-v1"));
}

static void a_volume_of_the_other_kind_is_left_alone(void **state)
{
	struct bench *b = *state;

	assert_int_equal(provision(b), 0);
	write_data(b, "lunward-v1");
	ground = &thick;
	set_document(b, document("drbd", 8, 0));
	expect_other_kind(b, "volume v1: logical volume vg0/lunward-v1 exists in thin pool tp0, and pool p is to have it in no thin pool");
	ground = &thin;
	set_document(b, document("drbd", 16, 0));
	happens(b, "\"pool\": \"tp0\"", "\"pool\": \"tp1\"");
	expect_other_kind(b, "exists in thin pool tp1, and pool p is to have it in thin pool tp0");
	happens(b, "\"pool\": \"tp1\"", "\"was\": \"tp1\"");
	expect_other_kind(b, "exists in no thin pool, and pool p is to have it in thin pool tp0");
}

/* An administrator may put a cache before a volume: LVM calls that a pool as well. */
static void a_cached_volume_is_no_thin_one(void **state)
{
	struct bench *b = *state;

	assert_int_equal(provision(b), 0);
	happens(b, "\"active\": true", "\"cache\": true, \"pool\": \"cpool\", \"active\": true");
	assert_int_equal(provision(b), 0);
}

static void what_a_thin_pool_tells(void **state)
{
	struct bench *b = *state;
	struct lvm_thin_pool pool = { 0 };
	struct err err = ERR_INIT;

	assert_int_equal(lvm_thin_pool_load("vg0", "tp0", &pool, &err), 0);
	assert_true(pool.zeroes && pool.data_percent == 81.25 && pool.metadata_percent == 3.5);
	assert_string_equal(pool.health, "");
	happens(b, "\"health\": \"\"", "\"health\": \"out_of_data\"");
	happens(b, "\"zero\": true", "\"zero\": false");
	assert_int_equal(lvm_thin_pool_load("vg0", "tp0", &pool, &err), 0);
	assert_false(pool.zeroes);
	assert_string_equal(pool.health, "out_of_data");
	happens(b, "\"active\": true", "\"active\": false");
	assert_int_equal(lvm_thin_pool_load("vg0", "tp0", &pool, &err), -EAGAIN);
	assert_int_equal(lvm_thin_pool_load("vg0", "tp1", &pool, &err), -ENOENT);
	assert_non_null(strstr(err.text, "thin pool vg0/tp1: there is none on this node; make it with lvcreate --type thin-pool"));
	happens(b, "\"thin\": {", "\"was\": {");
	assert_int_equal(lvm_thin_pool_load("vg0", "tp0", &pool, &err), -ENOENT);
	assert_non_null(strstr(err.text, "vg0/tp0 is no thin pool (its layout: linear)"));
	assert_int_equal(backend_provision(b->config, b->group, 1, &err), -EREMOTEIO);
	assert_non_null(strstr(err.text, "volume v1: lvcreate"));
}

static void helper_path_has_no_newline(void **state)
{
	struct bench *b = *state;
	_cleanup_free_ char *path = NULL;

	put(b, "sys/module/drbd/parameters/usermode_helper", "");
	assert_int_equal(backend_install_helper(NULL), 0);
	path = get(b, "sys/module/drbd/parameters/usermode_helper");
	assert_string_equal(path, LUNWARD_LIBEXECDIR "/drbd-fence-peer");
	assert_true(strlen(path) < 80); /* char drbd_usermode_helper[80] */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(provision_makes_everything, setup, teardown),
		cmocka_unit_test_setup_teardown(provision_twice_changes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(somebody_elses_volume_is_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(full_or_missing_pool, setup, teardown),
		cmocka_unit_test_setup_teardown(reboot_activates_and_attaches, setup, teardown),
		cmocka_unit_test_setup_teardown(lost_metadata_is_not_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(killed_at_any_step_while_making, setup, teardown),
		cmocka_unit_test_setup_teardown(killed_at_any_step_while_growing, setup, teardown),
		cmocka_unit_test_setup_teardown(growing_by_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(grown_disk_is_found_after_a_crash, setup, teardown),
		cmocka_unit_test_setup_teardown(grow_needs_equal_copies_and_an_owner, setup, teardown),
		cmocka_unit_test_setup_teardown(only_new_copies_are_declared_equal, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_declared_while_another_volume_shakes_hands, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_declared_on_one_side_only_is_connected_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(roles, setup, teardown),
		cmocka_unit_test_setup_teardown(no_diskless_owner, setup, teardown),
		cmocka_unit_test_setup_teardown(takeover_and_return, setup, teardown),
		cmocka_unit_test_setup_teardown(a_disk_that_negotiates_for_good_is_attached_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(held_writes_are_released_on_demand, setup, teardown),
		cmocka_unit_test_setup_teardown(local_needs_no_drbd, setup, teardown),
		cmocka_unit_test_setup_teardown(provision_makes_everything, setup_thin, teardown),
		cmocka_unit_test_setup_teardown(provision_twice_changes_nothing, setup_thin, teardown),
		cmocka_unit_test_setup_teardown(reboot_activates_and_attaches, setup_thin, teardown),
		cmocka_unit_test_setup_teardown(killed_at_any_step_while_making, setup_thin, teardown),
		cmocka_unit_test_setup_teardown(killed_at_any_step_while_making, setup_unzeroed, teardown),
		cmocka_unit_test_setup_teardown(killed_at_any_step_while_growing, setup_thin, teardown),
		cmocka_unit_test_setup_teardown(grown_disk_is_found_after_a_crash, setup_thin, teardown),
		cmocka_unit_test_setup_teardown(a_thin_volume_takes_no_room, setup_thin, teardown),
		cmocka_unit_test_setup_teardown(what_a_thin_pool_does_not_zero_is_zeroed, setup_unzeroed, teardown),
		cmocka_unit_test_setup_teardown(a_volume_of_the_other_kind_is_left_alone, setup_thin, teardown),
		cmocka_unit_test_setup_teardown(a_cached_volume_is_no_thin_one, setup, teardown),
		cmocka_unit_test_setup_teardown(what_a_thin_pool_tells, setup_thin, teardown),
		cmocka_unit_test_setup_teardown(helper_path_has_no_newline, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
