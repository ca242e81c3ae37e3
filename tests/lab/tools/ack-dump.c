// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tells what ack-writer's blocks are on a device: on the host's multipath map, on a node's DRBD device or on the volume below it.
 *
 *	ack-dump DEVICE BLOCKS [FIRST]
 *
 * One line per block that was ever written:
 *
 *	LBA ok SEQ WRITER
 *	LBA torn SEQ...			of each sector, - where it is not ours
 *	LBA foreign
 *	LBA unreadable ERRNO
 */
#include "block.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void print_block(const struct block *b, uint64_t lba)
{
	switch (block_judge(b, lba)) {
	case BLOCK_ZERO:
		break;
	case BLOCK_OK:
		printf("%" PRIu64 " ok %" PRIu64 " %" PRIu32 "\n", lba, b->sectors[0].seq, b->sectors[0].writer);
		break;
	case BLOCK_TORN:
		printf("%" PRIu64 " torn", lba);
		for (int i = 0; i < BLOCK_SECTORS; i++) {
			const struct sector *s = &b->sectors[i];

			if (s->magic == BLOCK_MAGIC && s->lba == lba)
				printf(" %" PRIu64, s->seq);
			else
				printf(" -");
		}
		putchar('\n');
		break;
	case BLOCK_FOREIGN:
		printf("%" PRIu64 " foreign\n", lba);
		break;
	}
}

int main(int argc, char **argv)
{
	struct block *b = aligned_alloc(BLOCK_SIZE, sizeof(*b));
	uint64_t first, count;
	int fd;

	if (argc < 3 || argc > 4 || !b) {
		fprintf(stderr, "usage: ack-dump DEVICE BLOCKS [FIRST]\n");
		return 2;
	}
	count = strtoull(argv[2], NULL, 10);
	first = argc == 4 ? strtoull(argv[3], NULL, 10) : 0;
	fd = open(argv[1], O_RDONLY | O_DIRECT);
	if (fd < 0) {
		perror(argv[1]);
		return 1;
	}
	for (uint64_t lba = first; lba < first + count; lba++) {
		ssize_t n = pread(fd, b, sizeof(*b), (off_t)(lba * BLOCK_SIZE));

		if (n != (ssize_t)sizeof(*b))
			printf("%" PRIu64 " unreadable %d\n", lba, n < 0 ? errno : 0);
		else
			print_block(b, lba);
	}
	return 0;
}
