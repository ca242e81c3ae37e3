// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/config_ref.h"

#include <stdlib.h>

#include "base/xalloc.h"

struct config_ref *config_ref_new(struct config *config, uint64_t version)
{
	struct config_ref *ref = xcalloc(1, sizeof(*ref));

	*ref = (struct config_ref){ .refs = 1, .version = version, .config = config };
	return ref;
}

struct config_ref *config_ref_get(struct config_ref *ref)
{
	if (ref)
		__atomic_add_fetch(&ref->refs, 1, __ATOMIC_RELAXED);
	return ref;
}

void config_ref_put(struct config_ref *ref)
{
	if (!ref || __atomic_sub_fetch(&ref->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	config_free(ref->config);
	free(ref);
}
