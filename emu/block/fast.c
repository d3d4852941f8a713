/* SPDX-License-Identifier: MIT */
/* Which handler of the block tier an instruction gets. */
#include "fast.h"

insn_handler *fast_handler(const struct emu *e, struct insn *i)
{
	insn_handler *fn = fast_move(e, i);

	if (!fn)
		fn = fast_alu(e, i);
	if (!fn)
		fn = fast_misc(e, i);
	if (!fn)
		fn = fast_vector_move(e, i);
	if (!fn)
		fn = fast_native(e, i);
	if (!fn)
		fn = fast_x87(e, i);
	return fn;
}
