// SPDX-License-Identifier: GPL-2.0-or-later
/* Gates on a real kernel: what a closed one advertises and refuses, and that nothing acknowledged is lost in a swap. */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/run_cmd.h"
#include "base/xalloc.h"
#include "target-config/gate/dm.h"
#include "target-config/gate/gate.h"
#include "tests/lab/guest/check.h"

#define SECTORS 65536u
#define BLOCK 4096u
#define BLOCKS (SECTORS * 512 / BLOCK)
#define GATE "/dev/mapper/lunward-t"
#define SWAPS 100
#define IDLE_SWAPS 20
#define WRITERS 4

static char template_path[64];
static char backing[64];

/* A loop device with a write cache of its own on memory: counts flushes in its stat. */
static void make_backing(void)
{
	int memfd = memfd_create("backing", MFD_CLOEXEC);
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	struct loop_config config = { .fd = (uint32_t)memfd };
	int number = ioctl(control, LOOP_CTL_GET_FREE);
	int fd;

	CHECK(ftruncate(memfd, (off_t)SECTORS * 512 * 2) == 0);
	snprintf(backing, sizeof(backing), "/dev/loop%d", number);
	fd = open(backing, O_RDWR | O_CLOEXEC);
	CHECK(ioctl(fd, LOOP_CONFIGURE, &config) == 0);
	close(fd);
	close(control);
	close(memfd);
}

static void *aligned_block(void)
{
	void *p = NULL;

	if (posix_memalign(&p, BLOCK, BLOCK) != 0)
		abort();
	memset(p, 0, BLOCK);
	return p;
}

/* errno of a direct read or write of one block, 0 if it was done. */
static int io(const char *device, bool write_it, off_t offset)
{
	int fd = open(device, (write_it ? O_RDWR : O_RDONLY) | O_DIRECT | O_CLOEXEC);
	void *buf = aligned_block();
	ssize_t done = write_it ? pwrite(fd, buf, BLOCK, offset) : pread(fd, buf, BLOCK, offset);
	int rc = done == (ssize_t)BLOCK ? 0 : fd < 0 || done < 0 ? errno : EIO;

	free(buf);
	if (fd >= 0)
		close(fd);
	return rc;
}

static char *queue_attr(const char *device, const char *name)
{
	_cleanup_free_ char *path = NULL;
	char *text = NULL;
	struct stat st;

	if (stat(device, &st) < 0)
		return xstrdup("no device");
	path = xasprintf("/sys/dev/block/%u:%u/%s", major(st.st_rdev), minor(st.st_rdev), name);
	if (file_read(path, 4096, &text, NULL) < 0)
		return xstrdup("no attribute");
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static unsigned long flushes(void)
{
	_cleanup_free_ char *stat_line = queue_attr(backing, "stat");
	unsigned long value = 0;
	char *save = NULL;
	int i = 0;

	for (char *field = strtok_r(stat_line, " ", &save); field; field = strtok_r(NULL, " ", &save)) {
		if (++i == 16) /* Documentation/block/stat.rst: flush I/Os */
			value = strtoul(field, NULL, 10);
	}
	return value;
}

static enum gate_state state_of(uint64_t *ret_sectors, char ret_backing[64])
{
	enum gate_state state = GATE_ABSENT;
	struct err err = ERR_INIT;

	CHECK_CALL(gate_inspect("t", &state, ret_sectors, ret_backing, &err));
	return state;
}

static void closed_gate_refuses(const char *when)
{
	_cleanup_free_ char *cache = queue_attr(GATE, "queue/write_cache");

	printf("# %s\n", when);
	check_that(strcmp(cache, "write back") == 0, "a closed gate has a write cache", cache);
	CHECK(io(GATE, true, 0) == EIO);
	CHECK(io(GATE, true, BLOCK) == EIO);
	CHECK(io(GATE, true, (off_t)(BLOCKS - 1) * BLOCK) == EIO);
	CHECK(io(GATE, false, 0) == EIO);
	CHECK(io(GATE, false, BLOCK) == EIO);
}

/* No one can write to what is under the template either. */
static void template_is_sealed(void)
{
	struct dm_info info;
	char path[64];

	CHECK(dm_inspect("lunward.template", &info) == 0 && info.n_lines == 2);
	snprintf(path, sizeof(path), "/dev/loop%d", (int)strtol(strchr(info.lines[0].params, ':') + 1, NULL, 10));
	printf("# template on %s\n", path);
	CHECK(io(path, true, 0) == EIO);
	CHECK(io(path, false, 0) == 0);
}

static void make_open_close(void)
{
	char where[64], again[64];
	struct err err = ERR_INIT;
	uint64_t sectors = 0;
	unsigned long before;

	CHECK_CALL(gate_template_ensure(template_path, &err));
	CHECK_CALL(gate_template_ensure(again, &err));
	CHECK(strcmp(template_path, again) == 0);
	CHECK(state_of(NULL, NULL) == GATE_ABSENT);
	CHECK_CALL(gate_close("t", SECTORS, template_path, &err)); /* absent serves nobody */
	CHECK_CALL(gate_ensure("t", SECTORS, template_path, &err));
	CHECK_CALL(gate_ensure("t", SECTORS, template_path, &err));
	CHECK(state_of(&sectors, where) == GATE_CLOSED && sectors == SECTORS && where[0] == '\0');
	closed_gate_refuses("new");
	template_is_sealed();
	CHECK_CALL(gate_open("t", SECTORS, backing, &err));
	CHECK_CALL(gate_open("t", SECTORS, backing, &err));
	CHECK(state_of(&sectors, where) == GATE_OPEN && sectors == SECTORS && strcmp(where, backing) == 0);
	CHECK(io(GATE, true, 0) == 0);
	CHECK_CALL(gate_ensure("t", SECTORS, template_path, &err)); /* leaves it open */
	CHECK(state_of(NULL, NULL) == GATE_OPEN);
	before = flushes();
	CHECK_CALL(gate_close("t", SECTORS, template_path, &err));
	CHECK(flushes() > before);
	CHECK(state_of(NULL, NULL) == GATE_CLOSED);
	closed_gate_refuses("after close");
	before = flushes();
	CHECK_CALL(gate_close("t", SECTORS, template_path, &err));
	CHECK(flushes() == before);
	CHECK(gate_open("t", SECTORS, "/dev/nonesuch", &err) == -ENOENT);
	closed_gate_refuses("after an open that failed");
}

struct submitter {
	pthread_t thread;
	int result;
	int64_t took_ms;
};

static void *submit(void *arg)
{
	struct submitter *s = arg;
	int64_t from_ms = clock_now_ms();

	s->result = io(GATE, true, 0);
	s->took_ms = clock_now_ms() - from_ms;
	return NULL;
}

/* "0 65536 delay <reads> <writes> <flushes>": until the gate has got the write. */
static void wait_held(void)
{
	const char *const argv[] = { "dmsetup", "status", "lunward-t", NULL };
	struct run_cmd cmd = { .argv = argv, .deadline_ms = 10000 };
	unsigned int writes = 0;

	for (int i = 0; i < 200 && writes == 0; i++) {
		_cleanup_free_ char *out = NULL;
		struct err err = ERR_INIT;

		if (run_cmd(&cmd, &out, NULL, &err) < 0 || sscanf(out, "%*u %*u delay %*u %u", &writes) != 1)
			poll(NULL, 0, 5);
	}
	CHECK(writes == 1);
}

/* What a holding gate has got waits: closing lets it fail, opening too (dm-delay gives it back to nobody), and so does time. */
static void holds(void)
{
	struct submitter s = { 0 };
	struct err err = ERR_INIT;
	unsigned long before;

	CHECK_CALL(gate_hold("t", SECTORS, template_path, &err)); /* closed: nothing to hold for */
	CHECK(state_of(NULL, NULL) == GATE_CLOSED);
	CHECK_CALL(gate_open("t", SECTORS, backing, &err));
	before = flushes();
	CHECK_CALL(gate_hold("t", SECTORS, template_path, &err));
	CHECK(flushes() > before);
	CHECK(state_of(NULL, NULL) == GATE_HOLDING);
	CHECK_CALL(gate_hold("t", SECTORS, template_path, &err));
	CHECK_CALL(gate_ensure("t", SECTORS, template_path, &err));
	CHECK(state_of(NULL, NULL) == GATE_HOLDING);
	CHECK(pthread_create(&s.thread, NULL, submit, &s) == 0);
	wait_held();
	CHECK_CALL(gate_close("t", SECTORS, template_path, &err));
	pthread_join(s.thread, NULL);
	CHECK(s.result == EIO && s.took_ms < GATE_HOLD_MS);
	closed_gate_refuses("after holding");

	CHECK_CALL(gate_open("t", SECTORS, backing, &err));
	CHECK_CALL(gate_hold("t", SECTORS, template_path, &err));
	CHECK(io(GATE, true, BLOCK) == EIO); /* nobody comes: after GATE_HOLD_MS */
	CHECK_CALL(gate_open("t", SECTORS, backing, &err));
	CHECK(io(GATE, true, 0) == 0);
	CHECK_CALL(gate_close("t", SECTORS, template_path, &err));
}

static void grows(void)
{
	struct err err = ERR_INIT;
	uint64_t sectors;

	CHECK_CALL(gate_open("t", SECTORS, backing, &err));
	CHECK_CALL(gate_open("t", 2 * SECTORS, backing, &err));
	CHECK(state_of(&sectors, NULL) == GATE_OPEN && sectors == 2 * SECTORS);
	CHECK(io(GATE, true, (off_t)SECTORS * 512) == 0);
	CHECK_CALL(gate_close("t", 2 * SECTORS, template_path, &err));
	CHECK_CALL(gate_ensure("t", SECTORS, template_path, &err));
	CHECK(state_of(&sectors, NULL) == GATE_CLOSED && sectors == SECTORS);
}

/* What an agent leaves that dies between two steps of a swap. */
static void recovers(void)
{
	struct dm_target_line line = { .length = SECTORS, .type = "linear" };
	struct dm_info info;
	struct err err = ERR_INIT;
	unsigned long before;
	struct stat st;

	CHECK(stat(backing, &st) == 0);
	snprintf(line.params, sizeof(line.params), "%u:%u 0", major(st.st_rdev), minor(st.st_rdev));
	CHECK(dm_load("lunward-t", &line, 1) == 0); /* open prepared, not done */
	CHECK_CALL(gate_ensure("t", SECTORS, template_path, &err));
	CHECK(dm_inspect("lunward-t", &info) == 0 && !info.has_inactive_table);
	closed_gate_refuses("after an open that was only prepared");

	CHECK_CALL(gate_open("t", SECTORS, backing, &err));
	CHECK(dm_suspend("lunward-t") == 0); /* close drained, not swapped */
	before = flushes();
	CHECK_CALL(gate_ensure("t", SECTORS, template_path, &err));
	CHECK(flushes() > before);
	CHECK(dm_inspect("lunward-t", &info) == 0 && !info.suspended);
	closed_gate_refuses("after a close that was interrupted");

	CHECK_CALL(gate_open("t", SECTORS, backing, &err));
	CHECK(dm_suspend("lunward-t") == 0);
	CHECK_CALL(gate_open("t", SECTORS, backing, &err)); /* lets I/O go on */
	CHECK(io(GATE, true, 0) == 0);
	CHECK_CALL(gate_close("t", SECTORS, template_path, &err));
}

/* --- nothing acknowledged is lost --------------------------------------------------------------------------------------*/

static atomic_bool stop;
static atomic_ulong acknowledged, refused;
static uint64_t last_value[BLOCKS]; /* block -> number of its last acknowledged write; each belongs to one writer */

static void *write_on(void *arg)
{
	unsigned int writer = (unsigned int)(uintptr_t)arg;
	int fd = open(GATE, O_RDWR | O_DIRECT | O_CLOEXEC);
	uint64_t *buf = aligned_block();
	uint64_t number = 1;

	while (!atomic_load(&stop)) {
		/* every other write goes to the first block, where a closed gate leads to the template */
		uint64_t block = writer == 0 && number % 2 ? 0 : (number * 7919 % (BLOCKS / WRITERS)) * WRITERS + writer;

		buf[0] = number;
		if (pwrite(fd, buf, BLOCK, (off_t)(block * BLOCK)) == (ssize_t)BLOCK) {
			last_value[block] = number;
			atomic_fetch_add(&acknowledged, 1);
		} else {
			atomic_fetch_add(&refused, 1);
		}
		number++;
	}
	free(buf);
	close(fd);
	return NULL;
}

/* What another job of the agent does meanwhile: it must neither undo a swap half-way nor close what was opened. */
static void *ensure_on(void *arg)
{
	struct err err = ERR_INIT;
	int rc = 0;

	(void)arg;
	while (!atomic_load(&stop) && rc == 0)
		rc = gate_ensure("t", SECTORS, template_path, &err);
	check_that(rc == 0, "gate_ensure meanwhile", err.text);
	return NULL;
}

/* A block may hold a later number than was acknowledged (a failed write that got through), never an earlier one. */
static unsigned int count_lost(void)
{
	int fd = open(backing, O_RDONLY | O_DIRECT | O_CLOEXEC);
	uint64_t *buf = aligned_block();
	unsigned int lost = 0;

	for (uint64_t block = 0; block < BLOCKS; block++) {
		if (pread(fd, buf, BLOCK, (off_t)(block * BLOCK)) != (ssize_t)BLOCK || buf[0] < last_value[block])
			lost++;
	}
	free(buf);
	close(fd);
	return lost;
}

static void swaps_under_load(void)
{
	pthread_t threads[WRITERS], ensurer;
	struct err err = ERR_INIT;
	int failed = 0;

	for (uintptr_t i = 0; i < WRITERS; i++)
		pthread_create(&threads[i], NULL, write_on, (void *)i);
	pthread_create(&ensurer, NULL, ensure_on, NULL);
	for (int i = 0; i < SWAPS && !failed; i++) {
		unsigned long target = atomic_load(&acknowledged) + 20;

		failed |= gate_open("t", SECTORS, backing, &err) < 0;
		while (!failed && atomic_load(&acknowledged) < target)
			sched_yield();
		failed |= gate_close("t", SECTORS, template_path, &err) < 0;
	}
	atomic_store(&stop, true);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	pthread_join(ensurer, NULL);
	check_that(!failed, "swaps under load", err.text);
	printf("# %lu writes acknowledged, %lu refused\n", atomic_load(&acknowledged), atomic_load(&refused));
	CHECK(atomic_load(&acknowledged) > 0 && atomic_load(&refused) > 0);
	CHECK(count_lost() == 0);
}

static void swaps_idle(void)
{
	int64_t opening_us = 0, closing_us = 0;
	struct err err = ERR_INIT;
	int failed = 0;

	for (int i = 0; i < IDLE_SWAPS; i++) {
		int64_t start = clock_now_us(), between;

		failed |= gate_open("t", SECTORS, backing, &err) < 0;
		between = clock_now_us();
		failed |= gate_close("t", SECTORS, template_path, &err) < 0;
		opening_us += between - start;
		closing_us += clock_now_us() - between;
	}
	check_that(!failed, "swaps of an idle gate", err.text);
	printf("# open %.1f ms, close %.1f ms\n", (double)opening_us / IDLE_SWAPS / 1e3, (double)closing_us / IDLE_SWAPS / 1e3);
}

static void count_gate(void *ctx, const char *volume)
{
	int *n = ctx;

	*n += strcmp(volume, "t") == 0;
	check_that(strcmp(volume, "template") != 0, "the template is no gate", volume);
}

int main(void)
{
	struct err err = ERR_INIT;
	int n = 0;

	CHECK_CALL(gate_template_ensure(template_path, &err));
	make_backing();
	make_open_close();
	holds();
	grows();
	recovers();
	swaps_idle();
	swaps_under_load();
	CHECK_CALL(gate_list(count_gate, &n, &err));
	CHECK(n == 1);
	CHECK_CALL(gate_remove("t", &err));
	CHECK_CALL(gate_remove("t", &err));
	CHECK(state_of(NULL, NULL) == GATE_ABSENT);
	CHECK(access(GATE, F_OK) < 0);
	return checks_failed > 0;
}
