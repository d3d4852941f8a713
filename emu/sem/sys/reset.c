/* SPDX-License-Identifier: MIT */
/* INIT and SIPI (SDM vol. 3, 8.4), and the life of struct sys. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

void sys_init_signal(struct emu *e)
{
	cpu_init(&e->cpu);
	emu_flags_set(e, ~0ull, RFLAGS_FIXED);
	e->fault.pending = false;
	e->sys->pending_dr6 = 0;
	e->sys->task_trap = false;
	e->sys->held_dr6 = 0;
	lapic_init_signal(e->lapic);
	mmu_mode_changed(e);
	mmu_flush_all(e);
}

void sys_sipi(struct emu *e, uint8_t vector)
{
	if (e->cpu.activity != CPU_WAIT_SIPI)
		return;
	e->cpu.seg[SEG_CS].selector = (uint16_t)(vector << 8);
	e->cpu.seg[SEG_CS].base = (uint64_t)vector << 12;
	e->cpu.rip = 0;
	e->cpu.activity = CPU_RUNNING;
	mmu_mode_changed(e);
}

int sys_init(struct emu *e)
{
	int r;

	e->sys = calloc(1, sizeof(*e->sys));
	if (!e->sys)
		return -ENOMEM;
	r = rng_init(&e->sys->rng);
	if (r)
		sys_fini(e);
	return r;
}

void sys_fini(struct emu *e)
{
	free(e->sys);
	e->sys = NULL;
}
