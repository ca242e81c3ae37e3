// SPDX-License-Identifier: GPL-2.0-or-later
/* The probe's judgement of blocks, its pauses by a clock of the test, what it reads of a log and of the system. */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strbuf.h"
#include "base/xalloc.h"
#include "probe/acklog.h"
#include "probe/area.h"
#include "probe/block.h"
#include "probe/report.h"
#include "probe/stats.h"

#define RUN 1000
#define ADDRESS 8192

static struct block written(uint64_t run, uint64_t address, uint64_t seq)
{
	struct block_id id = { .run = run, .address = address, .seq = seq, .time_us = 5, .stream = 3 };
	struct block b;

	block_fill(&b, &id);
	return b;
}

/* Sectors from `from` on are those of another block. */
static struct block mixed(struct block a, struct block b, size_t from)
{
	memcpy(a.bytes + from * PROBE_SECTOR_SIZE, b.bytes + from * PROBE_SECTOR_SIZE, PROBE_BLOCK_SIZE - from * PROBE_SECTOR_SIZE);
	return a;
}

static enum finding judge(struct block b, uint64_t acked, uint64_t issued)
{
	struct block_known known = { .acked = acked, .issued = issued };
	uint64_t newest, oldest;

	return block_judge(&b, RUN, ADDRESS, &known, &newest, &oldest);
}

static void test_judge(void **state)
{
	struct block zero = { .bytes = { 0 } }, foreign = zero, flipped = written(RUN, ADDRESS, 5);
	struct block w4 = written(RUN, ADDRESS, 4), w5 = written(RUN, ADDRESS, 5), w6 = written(RUN, ADDRESS, 6);

	(void)state;
	foreign.bytes[600] = 1;
	flipped.bytes[4000] ^= 1;
	assert_int_equal(judge(zero, 0, 0), FINDING_FINE);
	assert_int_equal(judge(zero, 0, 1), FINDING_FINE);
	assert_int_equal(judge(zero, 1, 1), FINDING_LOST);
	assert_int_equal(judge(w5, 5, 5), FINDING_FINE);
	assert_int_equal(judge(w5, 4, 6), FINDING_FINE);
	assert_int_equal(judge(w5, 6, 6), FINDING_LOST);
	assert_int_equal(judge(w5, 4, 4), FINDING_UNKNOWN);
	assert_int_equal(judge(w5, 0, 0), FINDING_UNKNOWN);
	assert_int_equal(judge(flipped, 5, 5), FINDING_CORRUPT);
	assert_int_equal(judge(foreign, 5, 5), FINDING_FOREIGN);
	assert_int_equal(judge(foreign, 0, 1), FINDING_FOREIGN);
	assert_int_equal(judge(foreign, 0, 0), FINDING_FINE);
	assert_int_equal(judge(written(RUN, ADDRESS + 4096, 5), 5, 5), FINDING_MISPLACED);
	assert_int_equal(judge(written(RUN, ADDRESS + 4096, 5), 0, 0), FINDING_MISPLACED);
	assert_int_equal(judge(written(RUN - 1, ADDRESS, 5), 5, 5), FINDING_LOST);
	assert_int_equal(judge(written(RUN - 1, ADDRESS, 5), 0, 1), FINDING_FINE);
	assert_int_equal(judge(written(RUN + 1, ADDRESS, 5), 5, 5), FINDING_SUPERSEDED);
	for (size_t from = 1; from < PROBE_SECTORS; from++) {
		assert_int_equal(judge(mixed(w6, w5, from), 6, 6), FINDING_TORN);
		assert_int_equal(judge(mixed(w6, w5, from), 5, 6), FINDING_UNFINISHED);
		assert_int_equal(judge(mixed(w5, w4, from), 6, 6), FINDING_LOST);
		assert_int_equal(judge(mixed(w6, w4, from), 5, 6), FINDING_TORN);
		assert_int_equal(judge(mixed(w5, zero, from), 5, 5), FINDING_TORN);
		assert_int_equal(judge(mixed(w5, zero, from), 0, 5), FINDING_UNFINISHED);
	}
}

/* Two sectors of one block that have changed places. */
static void test_sectors_know_their_place(void **state)
{
	struct block b = written(RUN, ADDRESS, 5), swapped = b;

	(void)state;
	memcpy(swapped.bytes, b.bytes + PROBE_SECTOR_SIZE, PROBE_SECTOR_SIZE);
	memcpy(swapped.bytes + PROBE_SECTOR_SIZE, b.bytes, PROBE_SECTOR_SIZE);
	assert_int_equal(judge(swapped, 5, 5), FINDING_MISPLACED);
}

static void test_every_bit_counts(void **state)
{
	(void)state;
	for (size_t i = 0; i < PROBE_BLOCK_SIZE; i++) {
		struct block b = written(RUN, ADDRESS, 5);

		b.bytes[i] ^= (uint8_t)(1u << i % 8);
		assert_true(finding_is_fault(judge(b, 5, 5)));
	}
}

static void test_scratch(void **state)
{
	struct block zero = { .bytes = { 0 } }, own = written(7, 0, 9), foreign = own;

	(void)state;
	assert_true(block_is_scratch(&zero));
	assert_true(block_is_scratch(&own));
	own = mixed(own, zero, 3);
	assert_true(block_is_scratch(&own));
	memset(foreign.bytes + 512, 'x', 512);
	assert_false(block_is_scratch(&foreign));
}

/* --- pauses ---------------------------------------------------------------------------------------------------------------------------*/

#define MS 1000

static void operation(struct stats *s, unsigned int stream, int64_t from, int64_t to, bool well)
{
	stats_begin(s, stream, from * MS);
	if (well)
		stats_success(s, stream, OP_WRITE, to * MS);
	else
		stats_failure(s, stream, OP_WRITE, to * MS);
}

static struct stats fresh(void)
{
	return (struct stats){ .min_pause_us = 100 * MS, .last_success_us = 1 * MS };
}

static void test_a_slow_operation_is_a_pause(void **state)
{
	struct stats s = fresh();

	(void)state;
	operation(&s, 0, 1000, 1001, true);
	operation(&s, 0, 2000, 2700, true);
	operation(&s, 0, 2800, 2801, true);
	assert_int_equal(s.n_pauses, 1);
	assert_int_equal(s.pauses[0].from_us, 2000 * MS);
	assert_int_equal(s.pauses[0].took_us, 700 * MS);
	assert_int_equal(s.longest_op_us, 700 * MS);
	assert_int_equal(s.histogram[9].operations, 1); /* up to 1000 ms */
	assert_int_equal(s.histogram[9].pauses, 1);
	assert_int_equal(s.histogram[0].operations, 2);
	assert_int_equal(stats_bucket_ms(9), 1000);
}

/* Time in which the probe has nothing under way is no pause. */
static void test_idle_is_no_pause(void **state)
{
	struct stats s = fresh();

	(void)state;
	operation(&s, 0, 1000, 1001, true);
	operation(&s, 0, 9000, 9001, true);
	assert_int_equal(s.n_pauses, 0);
	assert_int_equal(stats_end(&s, 20000 * MS), 0);
	assert_int_equal(s.longest_pause.took_us, 1 * MS);
}

/* One stream hangs and others go on: no pause of all, but a long operation. */
static void test_one_stream_hangs(void **state)
{
	struct stats s = fresh();

	(void)state;
	stats_begin(&s, 1, 1000 * MS);
	for (int64_t t = 1000; t < 1900; t += 50)
		operation(&s, 0, t, t + 1, true);
	stats_success(&s, 1, OP_READ, 1900 * MS);
	assert_int_equal(s.n_pauses, 0);
	assert_int_equal(s.longest_op_us, 900 * MS);
}

static void test_all_streams_hang(void **state)
{
	struct stats s = fresh();

	(void)state;
	operation(&s, 0, 1000, 1001, true);
	stats_begin(&s, 0, 1010 * MS);
	stats_begin(&s, 1, 1015 * MS);
	stats_success(&s, 1, OP_WRITE, 2015 * MS);
	stats_success(&s, 0, OP_WRITE, 2016 * MS);
	assert_int_equal(s.n_pauses, 1);
	assert_int_equal(s.pauses[0].from_us, 1010 * MS);
	assert_int_equal(s.pauses[0].took_us, 1005 * MS);
}

/* Operations that fail at once do not shorten the time without service. */
static void test_failures_are_a_pause(void **state)
{
	struct stats s = fresh();

	(void)state;
	operation(&s, 0, 1000, 1001, true);
	for (int64_t t = 1100; t < 3000; t += 100)
		operation(&s, 0, t, t + 1, false);
	operation(&s, 0, 3000, 3001, true);
	operation(&s, 0, 3100, 3101, true);
	assert_int_equal(s.failed[OP_WRITE], 19);
	assert_int_equal(s.n_pauses, 1);
	assert_int_equal(s.pauses[0].from_us, 1100 * MS);
	assert_int_equal(s.pauses[0].took_us, 1901 * MS);
}

static void test_a_pause_that_does_not_end(void **state)
{
	struct stats s = fresh();

	(void)state;
	operation(&s, 0, 1000, 1001, true);
	stats_begin(&s, 0, 1100 * MS);
	stats_begin(&s, 5, 1200 * MS);
	assert_int_equal(stats_end(&s, 5100 * MS), 2);
	assert_int_equal(s.n_pauses, 1);
	assert_int_equal(s.longest_pause.took_us, 4000 * MS);
	assert_int_equal(s.longest_op_us, 4000 * MS);
}

static void test_more_pauses_than_there_is_room_for(void **state)
{
	struct stats s = fresh();

	(void)state;
	for (int64_t i = 1; i <= STATS_PAUSES_MAX + 3; i++)
		operation(&s, 0, i * 1000, i * 1000 + 500, true);
	assert_int_equal(s.n_pauses, STATS_PAUSES_MAX);
	assert_int_equal(s.pauses_left_out, 3);
}

/* --- verdict --------------------------------------------------------------------------------------------------------------------------*/

static enum verdict verdict_on(const struct report *r)
{
	_cleanup_strbuf_ struct strbuf reasons = { 0 };

	return report_verdict(r, &reasons);
}

static void test_verdict(void **state)
{
	struct stats s = fresh();
	struct report clean = { .path = "x", .writes = 1, .check.complete = true, .stats = &s }, r = clean;

	(void)state;
	assert_int_equal(verdict_on(&r), VERDICT_CLEAN);
	for (enum finding f = 0; f < N_FINDINGS; f++) {
		r = clean;
		r.check.count[f] = 1;
		assert_int_equal(verdict_on(&r), finding_is_fault(f)       ? VERDICT_FAULTY :
						 f == FINDING_SUPERSEDED ? VERDICT_UNDECIDED :
									    VERDICT_CLEAN);
	}
	r = clean;
	r.writes = 0;
	assert_int_equal(verdict_on(&r), VERDICT_UNDECIDED);
	r = clean;
	r.check.complete = false;
	assert_int_equal(verdict_on(&r), VERDICT_UNDECIDED);
	r = clean;
	r.log_problem = "full";
	assert_int_equal(verdict_on(&r), VERDICT_UNDECIDED);
	r = clean;
	r.stuck = 1;
	assert_int_equal(verdict_on(&r), VERDICT_FAULTY);
	r = clean;
	s.longest_op_us = 600 * MS;
	assert_int_equal(verdict_on(&r), VERDICT_CLEAN);
	r.max_pause_ms = 600;
	assert_int_equal(verdict_on(&r), VERDICT_CLEAN);
	r.max_pause_ms = 599;
	assert_int_equal(verdict_on(&r), VERDICT_FAULTY);
	s.longest_op_us = 0;
	s.longest_pause.took_us = 600 * MS;
	assert_int_equal(verdict_on(&r), VERDICT_FAULTY);
	r = clean;
	s.failed[OP_READ] = 1;
	assert_int_equal(verdict_on(&r), VERDICT_FAULTY);
}

/* --- log ------------------------------------------------------------------------------------------------------------------------------*/

#define HEAD "H lunward-probe/1 77 4096 16 1000 2000 /dev/some disk\n"

static int read_text(const char *text, struct acklog *ret, struct err *err)
{
	_cleanup_free_ char *copy = xstrdup(text);
	_cleanup_fclose_ FILE *in = fmemopen(copy, strlen(text), "r");

	return acklog_read(in, "log", ret, err);
}

static void test_log(void **state)
{
	struct acklog log;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(read_text(HEAD "I 0 5 1 10\nA 0 5 1 11\nI 1 6 1 12\nE 1 6 1 13\nI 0 5 2 14\nZ 15\nA 0 5 2", &log, &err), 0);
	assert_int_equal(log.head.run, 77);
	assert_int_equal(log.head.offset, 4096);
	assert_string_equal(log.head.path, "/dev/some disk");
	assert_int_equal(log.known[5].acked, 1);
	assert_int_equal(log.known[5].issued, 2);
	assert_int_equal(log.known[6].acked, 0);
	assert_int_equal(log.known[6].issued, 1);
	assert_int_equal(log.writes, 1);
	assert_int_equal(log.failed, 1);
	assert_true(log.ended);
	acklog_done(&log);
}

static void test_log_of_several_runs(void **state)
{
	struct acklog log;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(read_text(HEAD "I 0 5 9 10\nA 0 5 9 11\nZ 12\n" HEAD "I 0 6 1 10\n", &log, &err), 0);
	assert_int_equal(log.runs, 2);
	assert_int_equal(log.known[5].issued, 0);
	assert_int_equal(log.known[6].issued, 1);
	assert_false(log.ended);
	acklog_done(&log);
}

static void test_strange_logs(void **state)
{
	static const char *const strange[] = {
		"x",
		"\n",
		"I 0 5 1 10\n",
		"Z 5\n",
		"H lunward-probe/2 77 4096 16 1000 2000 /dev/x\n",
		"H lunward-probe/1 77 4096 0 1000 2000 /dev/x\n",
		"H lunward-probe/1 77 4096 999999999999 1000 2000 /dev/x\n",
		"H lunward-probe/1 77 4096 16 1000 2000\n",
		HEAD "I 0 16 1 10\n",
		HEAD "I 0 5 1\n",
		HEAD "I 0 5 1 10 9\n",
		HEAD "I 0 5 -1 10\n",
		HEAD "I 0 5 99999999999999999999 10\n",
		HEAD "A 0 5 1 10\n",
		HEAD "Q 0 5 1 10\n",
		HEAD "Z\n",
		HEAD "\n",
	};
	struct acklog log;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(strange); i++) {
		struct err err = ERR_INIT;

		if (read_text(strange[i], &log, &err) != -EINVAL)
			fail_msg("taken: %s", strange[i]);
		assert_string_not_equal(err.text, "");
	}
}

/* --- what the system says of a device --------------------------------------------------------------------------------------------------*/

static void put(const char *root, const char *path, const char *text)
{
	_cleanup_free_ char *whole = xasprintf("%s/%s", root, path), *folder = xstrdup(whole);

	*strrchr(folder, '/') = '\0';
	assert_int_equal(file_make_dirs(folder, 0755), 0);
	assert_int_equal(file_replace(whole, text, strlen(text), 0644), 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

static void test_users_and_content(void **state)
{
	char root[] = "/tmp/probe-system-XXXXXX";
	char *text;

	(void)state;
	assert_non_null(mkdtemp(root));
	put(root, "proc/self/mountinfo", "21 1 254:1 / / rw - ext4 /dev/x rw\n22 1 8:16 / /srv/data rw - xfs /dev/sdb rw\n");
	put(root, "sys/dev/block/8:16/holders/dm-3", "");
	put(root, "run/udev/data/b8:32", "S:disk/by-id/x\nE:ID_FS_TYPE=LVM2_member\nE:ID_PART_TABLE_TYPE=gpt\n");
	text = area_users(root, makedev(8, 16));
	assert_string_equal(text, "part of dm-3, mounted at /srv/data");
	free(text);
	assert_null(area_users(root, makedev(8, 1)));
	text = area_content(root, makedev(8, 32));
	assert_string_equal(text, "LVM2_member, gpt");
	free(text);
	assert_null(area_content(root, makedev(8, 16)));
	assert_int_equal(nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_sectors_know_their_place),
		cmocka_unit_test(test_every_bit_counts),
		cmocka_unit_test(test_scratch),
		cmocka_unit_test(test_a_slow_operation_is_a_pause),
		cmocka_unit_test(test_idle_is_no_pause),
		cmocka_unit_test(test_one_stream_hangs),
		cmocka_unit_test(test_all_streams_hang),
		cmocka_unit_test(test_failures_are_a_pause),
		cmocka_unit_test(test_a_pause_that_does_not_end),
		cmocka_unit_test(test_more_pauses_than_there_is_room_for),
		cmocka_unit_test(test_verdict),
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_log_of_several_runs),
		cmocka_unit_test(test_strange_logs),
		cmocka_unit_test(test_users_and_content),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
