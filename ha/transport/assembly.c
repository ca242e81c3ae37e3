// SPDX-License-Identifier: GPL-2.0-or-later
#include "ha/transport/assembly.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

void assembly_drop(struct assembly *assembly)
{
	free(assembly->data);
	*assembly = (struct assembly){ .data = NULL };
}

/* The numbers tell pieces of two messages apart, of which the end of one and the beginning of the other were lost. */
static bool is_next(const struct assembly *assembly, const struct send_header *header, size_t size)
{
	return assembly->data && header->number == assembly->next_number && header->total == assembly->total &&
	       header->offset == assembly->size && size <= assembly->total - assembly->size;
}

bool assembly_take(struct assembly *assembly, const struct send_header *header, const void *data, size_t size, size_t limit)
{
	if (header->total && header->offset == 0 && header->total <= limit) {
		assembly_drop(assembly);
		assembly->total = header->total;
		assembly->data = xcalloc(1, header->total);
		assembly->next_number = header->number;
	}
	if (!is_next(assembly, header, size)) {
		assembly_drop(assembly);
		return false;
	}
	memcpy(assembly->data + assembly->size, data, size);
	assembly->size += size;
	assembly->next_number++;
	return assembly->size == assembly->total;
}
