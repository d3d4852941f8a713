/* SPDX-License-Identifier: MIT */
/*
 * The vcpu process as it is, with an engine that gets lost when its guest has run for a moment: it works, and does not come
 * back. Linked with --wrap=emu_run.
 */
#include "emu/run/run.h"

enum engine_stop __real_emu_run(struct emu *e);
enum engine_stop __wrap_emu_run(struct emu *e);

/* It is called once a second, and comes back; once. */
enum engine_stop __wrap_emu_run(struct emu *e)
{
	static bool came;

	if (!came) {
		came = true;
		return __real_emu_run(e);
	}
	for (volatile uint64_t n = 0;; n++)
		;
}
