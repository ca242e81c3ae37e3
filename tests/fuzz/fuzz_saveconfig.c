// SPDX-License-Identifier: GPL-2.0-or-later
/* Any bytes as targetcli's saveconfig.json: see import.h. */
#include "tests/fuzz/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_import((const char *)data, size);
	return 0;
}
