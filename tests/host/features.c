/* SPDX-License-Identifier: MIT */
#include "features.h"
#include "emu/isa/isa.h"

#include <stddef.h>

static bool has(const void *ctx, unsigned feature)
{
	return host_has(feature);
}

bool host_has_row(unsigned row)
{
	/* Forms of all lengths are drawn. */
	if (isa_rows[row].map >= ISA_E0F && !host_has(FEAT_AVX512VL))
		return false;
	return isa_row_exists(&isa_rows[row], has, NULL);
}
