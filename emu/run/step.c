/* SPDX-License-Identifier: MIT */
/* The single-step tier. */
#include "run.h"
#include "emu/core/machine.h"
#include "emu/core/ram.h"
#include "emu/decode/decode.h"
#include "emu/isa/isa.h"
#include "emu/mmu/mmu.h"
#include "emu/sem/sem.h"
#include "emu/sem/sys/sys.h"

#include <string.h>

/* Adds what the page (or the code segment) still holds behind the `*got` bytes fetched so far. */
static int fetch(struct emu *e, uint8_t *bytes, unsigned *got)
{
	uint64_t pc = e->cpu.rip + *got, linear = pc + e->seg_base[SEG_CS], gpa, room;
	bool limited = e->code_size != 8;
	uint8_t *host;

	if (limited && pc > e->cpu.seg[SEG_CS].limit)
		return emu_gp0(e);
	if (limited)
		linear = (uint32_t)linear;
	if (mmu_fetch_page(e, linear, &host, &gpa))
		return EMU_STOP;
	room = PAGE_SIZE - (linear & (PAGE_SIZE - 1));
	if (limited && e->cpu.seg[SEG_CS].limit - pc < room)
		room = e->cpu.seg[SEG_CS].limit - pc + 1;
	if (room > INSN_MAX_BYTES - *got)
		room = INSN_MAX_BYTES - *got;
	if (host)
		ram_read_pieces(bytes + *got, host, (unsigned)room);
	else
		memset(bytes + *got, 0xff, room); /* what is not RAM reads as ones */
	*got += (unsigned)room;
	return 0;
}

static int fetch_and_decode(struct emu *e, struct insn *i)
{
	uint8_t bytes[INSN_MAX_BYTES];
	unsigned got = 0;
	enum decode_result r;

	do {
		if (fetch(e, bytes, &got))
			return EMU_STOP;
		r = decode(bytes, got, e->code_size, i);
	} while (r == DECODE_MORE);
	if (r == DECODE_UD)
		return emu_ud(e);
	return r == DECODE_TOO_LONG ? emu_gp0(e) : 0;
}

/* One instruction in the single-step tier. Traps after it are recorded as a fault with RIP behind it. */
void step_one(struct emu *e)
{
	bool tf = e->cpu.rflags & RFLAGS_TF, debug = sys_debug_active(e), resumed = e->in_rep;
	uint8_t shadow = e->cpu.shadow;
	struct insn i;
	int r;

	e->block = NULL;
	e->in_rep = false;
	if (debug && sys_debug_before(e, resumed))
		return;
	e->pc = e->cpu.rip;
	e->cpu.shadow = 0;
	if (fetch_and_decode(e, &i))
		return;
	if (e->machine->config.lent && stretch_is_foreign(&i)) {
		emu_fault(e, VEC_FOREIGN);
		return;
	}
	r = insn_execute(e, &i);
	e->stop = false;
	if (e->fault.pending) {
		e->cpu.rip = emu_rip(e, &i);
		sys_debug_fault(e);
		return;
	}
	if (r == 0)
		e->cpu.rip = emu_next_rip(e, &i);
	e->budget--;
	counter_add(&e->counters->of[COUNTER_STEPPED], 1);
	/* A second MOV SS in a row does not shield again (SDM vol. 3, 6.8.3). */
	e->cpu.shadow &= (uint8_t) ~(shadow & SHADOW_MOV_SS);
	if (e->cpu.activity == CPU_SHUTDOWN)
		return;
	if (debug || sys_debug_active(e))
		sys_debug_after(e, tf, r != 0 && (isa_rows[i.id].attr & ISA_BRANCH));
}
