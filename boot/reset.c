/* SPDX-License-Identifier: MIT */
/*
 * cpu_reset() for programs without the emulator: the loader process, its tests and its fuzzer. Only what
 * EntryState (control.proto) carries counts there; the vCPU process lays it over the reset state of its own
 * engine.
 */
#include "../emu/core/cpu.h"

#include <string.h>

void cpu_reset(struct cpu *c)
{
	uint8_t vcpu = c->vcpu;

	memset(c, 0, sizeof(*c));
	c->vcpu = vcpu;
	c->rflags = RFLAGS_FIXED;
}
