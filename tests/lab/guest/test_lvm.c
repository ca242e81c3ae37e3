// SPDX-License-Identifier: GPL-2.0-or-later
/* Thin pools of real LVM, on a disk that is given: what reports say of them, and that volumes in them are made, fill and grow (docs/decisions/0002). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/run_cmd.h"
#include "target-config/backend/lvm.h"
#include "tests/lab/guest/check.h"

#define VG "guest"
#define MIB (1024ull * 1024)
#define DEADLINE_MS 60000
#define DO(...) check_that(run_cmdl(&err, DEADLINE_MS, __VA_ARGS__, NULL) == 0, #__VA_ARGS__, err.text)

static struct err err = ERR_INIT;

static void make_group(const char *device)
{
	DO("vgcreate", VG, device);
	DO("lvcreate", "--type", "thin-pool", "-L", "64m", "--poolmetadatasize", "4m", "-n", "zeroing", VG);
	DO("lvcreate", "--type", "thin-pool", "-Zn", "-L", "64m", "--poolmetadatasize", "4m", "-n", "careless", VG);
	DO("lvcreate", "-y", "-Wn", "-L", "8m", "-n", "lunward-thick", VG);
}

static const struct lvm_lv *load(const char *name, struct lvm_vg **vg)
{
	if (!CHECK_CALL(lvm_vg_load(VG, vg, &err)))
		exit(1);
	return lvm_vg_find(*vg, name);
}

static void test_pool_that_zeroes(void)
{
	_cleanup_free_ char *zeros = calloc(1, MIB), *found = malloc(MIB);
	struct lvm_thin_pool before = { 0 }, after = { 0 };
	struct lvm_vg *vg = NULL;
	const struct lvm_lv *lv;
	ssize_t written = 0;
	int fd;

	CHECK_CALL(lvm_thin_pool_load(VG, "zeroing", &before, &err));
	CHECK(before.zeroes && !before.health[0] && before.data_percent < 1);
	CHECK_CALL(lvm_create_blank(VG, "lunward-t1", "zeroing", 256 * MIB, &err)); /* more than there is */
	lv = load("lunward-t1", &vg);
	CHECK(lv && lv->thin_pool && strcmp(lv->thin_pool, "zeroing") == 0);
	CHECK(lv && lv->ours && lv->blank && lv->active && lv->size_bytes == 256 * MIB);
	lvm_vg_free(vg);
	CHECK_CALL(lvm_clear_blank(VG, "lunward-t1", &err));

	fd = open("/dev/" VG "/lunward-t1", O_RDWR | O_CLOEXEC);
	CHECK(pread(fd, found, MIB, 16 * MIB) == (ssize_t)MIB && memcmp(found, zeros, MIB) == 0);
	memset(found, 'x', MIB);
	for (unsigned int i = 0; i < 16; i++) /* a quarter of the pool */
		written += pwrite(fd, found, MIB, (off_t)(i * MIB));
	CHECK(written == (ssize_t)(16 * MIB) && fsync(fd) == 0);
	CHECK_CALL(lvm_thin_pool_load(VG, "zeroing", &after, &err));
	CHECK(after.data_percent > 24 && after.data_percent < 27 && after.metadata_percent > 0);

	/* While it is open, as under DRBD. */
	CHECK_CALL(lvm_grow_thin(VG, "lunward-t1", 320 * MIB, &err));
	lv = load("lunward-t1", &vg);
	CHECK(lv && lv->size_bytes == 320 * MIB && !lv->blank);
	lvm_vg_free(vg);
	CHECK(pread(fd, found, MIB, 319 * MIB) == (ssize_t)MIB && memcmp(found, zeros, MIB) == 0);
	CHECK(pread(fd, found, MIB, 0) == (ssize_t)MIB && found[0] == 'x');
	close(fd);
}

static void test_pool_that_does_not(void)
{
	struct lvm_thin_pool pool = { 0 };

	CHECK_CALL(lvm_thin_pool_load(VG, "careless", &pool, &err));
	CHECK(!pool.zeroes);
	DO("lvchange", "-Zy", VG "/careless"); /* the remedy that refused growth names */
	CHECK_CALL(lvm_thin_pool_load(VG, "careless", &pool, &err));
	CHECK(pool.zeroes);
}

static void test_what_is_none(void)
{
	struct lvm_thin_pool pool;
	struct lvm_vg *vg = NULL;
	const struct lvm_lv *lv = load("lunward-thick", &vg);

	CHECK(lv && !lv->thin_pool && !lv->ours);
	lvm_vg_free(vg);
	CHECK(lvm_thin_pool_load(VG, "nowhere", &pool, &err) == -ENOENT);
	CHECK(lvm_thin_pool_load(VG, "lunward-thick", &pool, &err) == -ENOENT);
	DO("lvchange", "-an", VG "/careless");
	CHECK(lvm_thin_pool_load(VG, "careless", &pool, &err) == -EAGAIN);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	make_group(argv[1]);
	test_pool_that_zeroes();
	test_pool_that_does_not();
	test_what_is_none();
	DO("vgremove", "-f", "-y", VG);
	DO("pvremove", argv[1]);
	return checks_failed ? 1 : 0;
}
