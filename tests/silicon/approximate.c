/* SPDX-License-Identifier: MIT */
/* Results whose last bits are the implementation's own: the portable provider cannot have this processor's. */
#include "elsewhere.h"

#include "emu/isa/isa.h"

#include <string.h>

bool is_approximate(unsigned row)
{
	static const char *const names[] = { "fsin",	 "fcos",     "fsincos",	   "fptan",	 "fpatan",     "f2xm1",
					     "fyl2x",	 "fyl2xp1",  "rcpps",	   "rcpss",	 "rsqrtps",    "rsqrtss",
					     "vrcpps",	 "vrcpss",   "vrsqrtps",   "vrsqrtss",	 "vrcp14ps",   "vrcp14pd",
					     "vrcp14ss", "vrcp14sd", "vrsqrt14ps", "vrsqrt14pd", "vrsqrt14ss", "vrsqrt14sd" };

	for (unsigned n = 0; n < sizeof(names) / sizeof(names[0]); n++)
		if (strcmp(isa_rows[row].mnemonic, names[n]) == 0)
			return true;
	return false;
}
