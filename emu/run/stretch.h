/* SPDX-License-Identifier: MIT */
/*
 * Some instructions for another engine, which cannot run one of them: it lends the state of its processor and gets it back.
 *
 * The other engine keeps what is beside struct cpu: the local APIC, the time-stamp counter, CPUID, its own caches of
 * translations. So a stretch ends before an instruction that would ask one of these, and before any access to the local APIC's
 * page; nothing of that instruction has happened then. No interrupt comes during a stretch.
 *
 * An engine that runs stretches is created with engine_config.lent, and nothing but emu_stretch() is called of it.
 */
#ifndef BULKHEAD_EMU_STRETCH_H
#define BULKHEAD_EMU_STRETCH_H

#include "emu/core/engine.h"

/* What the processor was about to take before its next instruction. */
enum stretch_event { STRETCH_NO_EVENT, STRETCH_EXCEPTION, STRETCH_INTERRUPT, STRETCH_NMI };

struct stretch {
	struct cpu *cpu; /* before, and after it; activity CPU_SHUTDOWN: it has shut down */
	enum stretch_event event;
	uint8_t vector;	 /* of it; RIP is what it pushes, CR2 is there */
	bool has_error;	 /* an exception with an error code */
	uint32_t error;
	unsigned limit;	 /* instructions; it may end earlier, so that an interrupt that can come now does, or some later, so that no
			  * trap is owed at its end */
	unsigned done;	 /* out; the event counts as one. 0: nothing has happened, for the first instruction is not for us */
};

/* On the thread that runs this processor of the other engine. */
void emu_stretch(struct engine *engine, unsigned vcpu, struct stretch *s);

#endif
