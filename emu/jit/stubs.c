/* SPDX-License-Identifier: MIT */
/* The code that all translations share: entering and leaving, calls of C, misses of a range. */
#include "internal.h"

#ifdef HOST_X86_64

#include "emu/core/tlb.h"

static const uint8_t pinned[] = { RAX, RCX, RDX, RBX, RBP, RSI, RDI, R12, R13, R14, R15 };

static void store_registers(struct code *c)
{
	for (unsigned n = 0; n < sizeof(pinned); n++)
		put_env(c, true, OP_STORE, pinned[n], GPR(pinned[n]));
	put_env(c, true, OP_STORE, HOST_RSP, GPR(RSP));
	put_env(c, false, OP_STORE, BUDGET, EMU(budget));
}

static void load_registers(struct code *c)
{
	for (unsigned n = 0; n < sizeof(pinned); n++)
		put_env(c, true, OP_LOAD, pinned[n], GPR(pinned[n]));
	put_env(c, true, OP_LOAD, HOST_RSP, GPR(RSP));
	put_env(c, false, OP_LOAD, BUDGET, EMU(budget));
}

/* int enter(struct emu *rdi, code rsi): by the C convention of the host (System V). */
static void put_enter(struct code *c)
{
	put(c, "\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57", 10); /* PUSH RBX, RBP, R12 to R15 */
	put(c, "\x48\x83\xec\x08", 4);				/* SUB RSP, 8: aligned for calls */
	put(c, "\x48\x89\xa7", 3);				/* MOV [RDI + host_rsp], RSP */
	put4(c, (uint32_t)ENV(host_rsp));
	put_regs(c, true, OP_STORE, RDI, RSP);
	put_regs(c, true, OP_STORE, RSI, S0);
	put(c, "\x0f\xae\x9c\x24", 4); /* STMXCSR */
	put4(c, (uint32_t)ENV(host_mxcsr));
	load_registers(c);
	put(c, "\x41\xff\xe1", 3); /* JMP S0 */
}

static void put_return(struct code *c)
{
	put_env(c, true, OP_LOAD, RSP, ENV(host_rsp));
	put(c, "\x48\x83\xc4\x08", 4);				    /* ADD RSP, 8 */
	put(c, "\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3", 11); /* POP R15 to R12, RBP, RBX; RET */
}

/* The guest's state into struct emu. EFLAGS are lost. */
static void put_all_back(struct code *c, const uint8_t *save)
{
	uint32_t none;

	store_registers(c);
	put_byte(c, true, ENV(vectors), VECTORS_NONE);
	none = put_jump(c, 4, NULL);
	put_jump(c, -2, save);
	jump_here(c, none);
	put_x87_save(c);
}

/* Jumped to with the site in S0; flags in the image. */
static void put_leave(struct code *c, const uint8_t *save)
{
	put_all_back(c, save);
	put_regs(c, false, OP_STORE, S0, RAX);
	put_return(c);
}

/* Jumped to with the site in S0; flags in the image. */
static void put_execute(struct code *c, const uint8_t *save)
{
	uint32_t out;

	put_all_back(c, save);
	put_regs(c, true, OP_STORE, RSP, RBX);
	put_regs(c, true, OP_STORE, RSP, RDI);
	put_regs(c, false, OP_STORE, S0, RSI);
	put_env(c, true, OP_LOAD, RSP, ENV(host_rsp));
	put_mov_imm(c, RAX, (uintptr_t)jit_execute);
	put(c, "\xff\xd0", 2); /* CALL RAX */
	put_regs(c, true, OP_STORE, RBX, RSP);
	put_regs(c, true, OP_TEST, RAX, RAX);
	out = put_jump(c, 4, NULL);
	put_env(c, true, OP_STORE, RAX, ENV(resume));
	load_registers(c);
	put(c, "\xff\xa4\x24", 3); /* JMP [RSP + resume] */
	put4(c, (uint32_t)ENV(resume));
	jump_here(c, out);
	put(c, "\xb8\xff\xff\xff\xff", 5); /* MOV EAX, -1 */
	put_return(c);
}

/* An operation of `reg` with [base + disp]. */
static void put_based(struct code *c, bool wide, uint8_t opcode, unsigned reg, unsigned base, int8_t disp)
{
	put1(c, (uint8_t)(0x40 | wide << 3 | (reg >> 3) << 2 | base >> 3));
	put1(c, opcode);
	put1(c, (uint8_t)(0x40 | (reg & 7) << 3 | (base & 7)));
	put1(c, (uint8_t)disp);
}

/* The TLB's entry for accesses or fetches in the page of `from` into RAX; the page into RCX. */
static void put_tlb_entry(struct code *c, unsigned from, bool fetches, int32_t back)
{
	put_regs(c, true, OP_STORE, from, RAX);
	put(c, "\x48\xc1\xe8\x0c", 4); /* SHR RAX, 12 */
	put_imm(c, false, 4, RAX, (fetches ? TLB_FETCHES : TLB_ENTRIES) - 1);
	if (fetches)
		put_imm(c, false, 0, RAX, TLB_ENTRIES);
	put(c, "\x48\xc1\xe0\x05", 4); /* SHL RAX, 5 */
	_Static_assert(sizeof(struct tlb_entry) == 32, "the shift");
	put_env(c, true, OP_ADD, RAX, EMU(tlb) + back);
	put_regs(c, true, OP_STORE, from, RCX);
	put_imm(c, true, 4, RCX, (uint32_t)PAGE_MASK);
}

/* The range whose number is in S1. */
static void put_range_pointer(struct code *c, int32_t back)
{
	put(c, "\x49\xc1\xe2\x05", 4); /* SHL S1, 5 */
	put(c, "\x4e\x8d\x94\x14", 4); /* LEA S1, [RSP + S1 + ranges] */
	put4(c, (uint32_t)(ENV(range) + back));
	_Static_assert(sizeof(struct range) == 1 << 5, "the factor");
}

/* Notes what S1 points to in the log whose end is at `next`; RCX is lost. */
static void put_log(struct code *c, int32_t next)
{
	put_env(c, true, OP_LOAD, RCX, next);
	put(c, "\x4c\x89\x11", 3); /* MOV [RCX], S1 */
	put(c, "\x48\x83\xc1\x08", 4);
	put_env(c, true, OP_STORE, RCX, next);
}

/* What S1 points to goes into the log. A range may be there already, which it says. */
static void put_note_lasting(struct code *c, enum lasting lasting, bool range, int32_t back)
{
	const int32_t at = (int32_t)(lasting * sizeof(void *)) + back;
	uint32_t known = 0;

	if (range) {
		put(c, "\x41\xf6\x42", 3); /* TEST BYTE [S1 + logged], 1 << lasting */
		put1(c, offsetof(struct range, logged));
		put1(c, (uint8_t)(1 << lasting));
		known = put_jump(c, 5, NULL);
		put(c, "\x41\x80\x4a", 3); /* OR BYTE [S1 + logged], 1 << lasting */
		put1(c, offsetof(struct range, logged));
		put1(c, (uint8_t)(1 << lasting));
	}
	put_log(c, (range ? ENV(log_next) : ENV(jump_log_next)) + at);
	if (range)
		jump_here(c, known);
	put_regs(c, true, OP_STORE, S0, RCX);
	put(c, "\x48\xc1\xe9\x0c", 4); /* SHR RCX, 12 */
	put_imm(c, false, 4, RCX, JIT_PAGES - 1);
	put(c, "\xc7\x84\x0c", 3); /* MOV DWORD [RSP + RCX + seen], 01010101h: as many pages as a range may have */
	put4(c, (uint32_t)(ENV(seen) + (int32_t)(lasting * sizeof(uint8_t[JIT_SEEN])) + back));
	put4(c, 0x01010101);
	_Static_assert(RANGE_PAGES == 4, "above");
}

/* Of the address in S0 and the TLB's entry at RAX; RCX is lost. */
static void put_note(struct code *c, bool range, int32_t back)
{
	uint32_t global, done;

	put(c, "\xf6\x40", 2); /* TEST BYTE [RAX + r], TAG_GLOBAL */
	put1(c, offsetof(struct tlb_entry, r));
	put1(c, (uint8_t)TAG_GLOBAL);
	global = put_jump(c, 5, NULL);
	put_note_lasting(c, LASTS_SPACE, range, back);
	done = put_jump(c, -1, NULL);
	jump_here(c, global);
	put_note_lasting(c, LASTS_GLOBAL, range, back);
	jump_here(c, done);
}

static void put_spill(struct code *c, uint8_t opcode, int32_t back)
{
	put_env(c, true, opcode, RAX, ENV(saved[0]) + back);
	put_env(c, true, opcode, RCX, ENV(saved[1]) + back);
}

/* The range at S1 becomes longer where the pages behind it follow in the host, too, with the same rights. RAX and RCX are lost. */
static void put_extend(struct code *c, uint8_t tag)
{
	enum { NEXT = sizeof(struct tlb_entry) };
	uint32_t out[3 * RANGE_PAGES];
	unsigned outs = 0;

	for (unsigned n = 1; n < RANGE_PAGES; n++) {
		put_based(c, true, OP_LOAD, RCX, RAX, (int8_t)tag);
		put_imm(c, true, 0, RCX, PAGE_SIZE);
		put(c, "\xf7\xc1", 2); /* TEST ECX, the page's number: operands of 32-bit code end at 4 GiB */
		put4(c, (uint32_t)PAGE_MASK);
		out[outs++] = put_jump(c, 4, NULL);
		put_based(c, true, OP_CMP, RCX, RAX, (int8_t)(NEXT + tag));
		out[outs++] = put_jump(c, 5, NULL);
		put_based(c, true, OP_LOAD, RCX, RAX, offsetof(struct tlb_entry, addend));
		put_based(c, true, OP_CMP, RCX, RAX, (int8_t)(NEXT + offsetof(struct tlb_entry, addend)));
		out[outs++] = put_jump(c, 5, NULL);
		put(c, "\x49\x81\x42\x08", 4); /* ADD QWORD [S1 + len], PAGE_SIZE */
		_Static_assert(offsetof(struct range, len) == 8, "above");
		put4(c, PAGE_SIZE);
		put_imm(c, true, 0, RAX, NEXT);
	}
	while (outs)
		jump_here(c, out[--outs]);
}

/*
 * Called with the range's number in S1 and in S0 the address - range.base; flags are in the image. On a hit of the TLB the range is
 * filled and the caller goes on with S0 anew; otherwise the site in the range goes to `otherwise`.
 */
static void put_miss(struct code *c, const uint8_t *otherwise, uint8_t tag)
{
	enum { RETURN = 8 /* on the stack */ };
	uint32_t slow[2];

	put_spill(c, OP_STORE, RETURN);
	put_range_pointer(c, RETURN);
	put_based(c, true, OP_ADD, S0, S1, offsetof(struct range, base));
	put_tlb_entry(c, S0, false, RETURN);
	put_based(c, true, OP_XOR, RCX, RAX, (int8_t)tag);
	put(c, "\x48\x85\x8c\x24", 4); /* TEST [RSP + tlb_mask], RCX */
	put4(c, (uint32_t)EMU(tlb_mask) + RETURN);
	slow[0] = put_jump(c, 5, NULL);
	put_note(c, true, RETURN);
	put_regs(c, true, OP_STORE, S0, RCX);
	put_imm(c, true, 4, RCX, (uint32_t)PAGE_MASK);
	put_based(c, true, OP_STORE, RCX, S1, offsetof(struct range, base));
	put_based(c, true, OP_LOAD, RCX, RAX, offsetof(struct tlb_entry, addend));
	put_based(c, true, OP_STORE, RCX, S1, offsetof(struct range, delta));
	put(c, "\x41\x0f\xb7\x4a", 4); /* MOVZX ECX, WORD [S1 + room] */
	put1(c, offsetof(struct range, room));
	put_based(c, true, OP_STORE, RCX, S1, offsetof(struct range, len));
	put_extend(c, tag);
	put_based(c, true, OP_SUB, S0, S1, offsetof(struct range, base));
	/* its last byte may lie in another page */
	put_based(c, true, OP_CMP, S0, S1, offsetof(struct range, len));
	slow[1] = put_jump(c, 3, NULL); /* JAE */
	put_spill(c, OP_LOAD, RETURN);
	put1(c, 0xc3);
	jump_here(c, slow[0]);
	jump_here(c, slow[1]);
	put_spill(c, OP_LOAD, RETURN);
	put_based(c, false, OP_LOAD, S0, S1, offsetof(struct range, site));
	put(c, "\x48\x8d\x64\x24\x08", 5); /* LEA RSP, [RSP + 8]: the caller is not returned to */
	put_jump(c, -1, otherwise);
}

/*
 * Called on the way to a block in another page, with the site in S0 and its range in S1, whose `base` is the target and `host`
 * where it was (NULL: not linked yet). Comes back if it still is there.
 */
static void put_cross_stub(struct code *c, const uint8_t *leave)
{
	enum { RETURN = 8 };
	uint32_t out[3];

	put_spill(c, OP_STORE, RETURN);
	put_range_pointer(c, RETURN);
	put(c, "\x49\x83\x7a\x10\x00", 5); /* CMP QWORD [S1 + host], 0 */
	_Static_assert(offsetof(struct range, host) == 16, "above");
	out[0] = put_jump(c, 4, NULL);
	put_env(c, false, OP_STORE, S0, ENV(saved[2]) + RETURN);
	put_based(c, true, OP_LOAD, S0, S1, offsetof(struct range, base));
	put_tlb_entry(c, S0, true, RETURN);
	put_based(c, true, OP_CMP, RCX, RAX, offsetof(struct tlb_entry, x));
	out[1] = put_jump(c, 5, NULL);
	put_based(c, true, OP_ADD, S0, RAX, offsetof(struct tlb_entry, addend));
	put_based(c, true, OP_CMP, S0, S1, offsetof(struct range, host));
	out[2] = put_jump(c, 5, NULL);
	put(c, "\x49\xc7\x42\x08\x01\0\0\0", 8); /* MOV QWORD [S1 + len], 1 */
	_Static_assert(offsetof(struct range, len) == 8, "above");
	put_based(c, true, OP_LOAD, S0, S1, offsetof(struct range, base));
	put_note(c, true, RETURN);
	put_spill(c, OP_LOAD, RETURN);
	put1(c, 0xc3);
	jump_here(c, out[1]);
	jump_here(c, out[2]);
	put_env(c, false, OP_LOAD, S0, ENV(saved[2]) + RETURN);
	jump_here(c, out[0]);
	put_spill(c, OP_LOAD, RETURN);
	put(c, "\x48\x8d\x64\x24\x08", 5); /* LEA RSP, [RSP + 8] */
	put_jump(c, -1, leave);
}

/* Jumped to by a computed jump to S0, whose entry in the table is at S1: is its block still there? */
static void put_revalidate(struct code *c, const uint8_t *leave)
{
	uint32_t out[2];

	put_spill(c, OP_STORE, 0);
	put_tlb_entry(c, S0, true, 0);
	put_based(c, true, OP_CMP, RCX, RAX, offsetof(struct tlb_entry, x));
	out[0] = put_jump(c, 5, NULL);
	put_regs(c, true, OP_STORE, S0, RCX);
	put_based(c, true, OP_ADD, RCX, RAX, offsetof(struct tlb_entry, addend));
	put_based(c, true, OP_CMP, RCX, S1, offsetof(struct jit_jump, host));
	out[1] = put_jump(c, 5, NULL);
	put_note(c, false, 0);
	put_based(c, true, OP_LOAD, RCX, S1, offsetof(struct jit_jump, real));
	put_based(c, true, OP_STORE, RCX, S1, offsetof(struct jit_jump, code));
	put_spill(c, OP_LOAD, 0);
	put(c, "\x41\xff\x62\x10", 4); /* JMP [S1 + real] */
	_Static_assert(offsetof(struct jit_jump, real) == 16, "above");
	jump_here(c, out[0]);
	jump_here(c, out[1]);
	put_spill(c, OP_LOAD, 0);
	put_env(c, true, OP_STORE, S0, EMU(cpu.rip));
	put_mov_imm(c, S0, 0); /* SITE_RIP */
	put_jump(c, -1, leave);
}

/* The vector registers as they are, with MXCSR: XSAVE64 or XRSTOR64 of all that has a place in xsave[]. EAX and EDX are lost. */
static void put_xsave(struct code *c, bool restore)
{
	const bool simple = vectors_most() == VECTORS_SSE;

	put(c, "\xb8\xe7\0\0\0\x31\xd2", 7); /* MOV EAX, e7h; XOR EDX, EDX */
	put(c, "\x48\x0f\xae", 3);
	put1(c, (uint8_t)(0x84 | (simple ? restore : 4 + restore) << 3)); /* FXSAVE64, FXRSTOR64, XSAVE64, XRSTOR64 */
	put1(c, 0x24);
	put4(c, (uint32_t)ENV(xsave));
}

/* Called with jit_check()'s argument in S1 and an address in S0, which it keeps, like all of the guest's registers and EFLAGS. */
static void put_check_stub(struct code *c)
{
	put(c, "\x8f\x84\x24", 3); /* POP [RSP + resume], the address being counted from RSP after it */
	put4(c, (uint32_t)ENV(resume));
	put(c, "\x9c\x8f\x84\x24", 4); /* PUSHFQ; POP [RSP + eflags] */
	put4(c, (uint32_t)ENV(eflags));
	put_env(c, true, OP_STORE, S0, ENV(saved[2]));
	store_registers(c);
	put_xsave(c, false);
	put(c, "\x0f\xae\x94\x24", 4); /* LDMXCSR */
	put4(c, (uint32_t)ENV(host_mxcsr));
	put_regs(c, true, OP_STORE, RSP, RBX);
	put_regs(c, true, OP_STORE, RSP, RDI);
	put_regs(c, false, OP_STORE, S1, RSI);
	put_env(c, true, OP_LOAD, RDX, ENV(saved[2]));
	put_env(c, true, OP_LOAD, RSP, ENV(host_rsp));
	put_mov_imm(c, RAX, (uintptr_t)jit_check);
	put(c, "\xff\xd0", 2);
	put_regs(c, true, OP_STORE, RBX, RSP);
	put_xsave(c, true);
	load_registers(c);
	put_env(c, true, OP_LOAD, S0, ENV(saved[2]));
	put(c, "\xff\xb4\x24", 3); /* PUSH [RSP + eflags]; POPFQ */
	put4(c, (uint32_t)ENV(eflags));
	put1(c, 0x9d);
	put(c, "\xff\xa4\x24", 3); /* JMP [RSP + resume] */
	put4(c, (uint32_t)ENV(resume));
}

/* Called with a site in S0 by which to leave if it cannot be; the guest's vector registers stay, EFLAGS and S1 are lost. */
static void put_x87_load(struct code *c, const uint8_t *leave)
{
	uint32_t out;

	put(c, "\x8f\x84\x24", 3); /* POP [RSP + resume] */
	put4(c, (uint32_t)ENV(resume));
	put_env(c, false, OP_STORE, S0, ENV(saved[2]));
	store_registers(c);
	put_regs(c, true, OP_STORE, RSP, RBX);
	put_regs(c, true, OP_STORE, RSP, RDI);
	put_env(c, true, OP_LOAD, RSP, ENV(host_rsp));
	put_mov_imm(c, RAX, (uintptr_t)jit_x87_give);
	put(c, "\xff\xd0", 2); /* CALL RAX */
	put_regs(c, true, OP_STORE, RBX, RSP);
	put_regs(c, false, OP_STORE, RAX, S0);
	load_registers(c);
	put(c, "\x45\x84\xc9", 3); /* TEST R9B, R9B */
	out = put_jump(c, 4, NULL);
	put_x87_restore(c);
	put(c, "\xff\xa4\x24", 3); /* JMP [RSP + resume] */
	put4(c, (uint32_t)ENV(resume));
	jump_here(c, out);
	put_env(c, false, OP_LOAD, S0, ENV(saved[2]));
	put_jump(c, -1, leave);
}

enum { STUBS_BYTES = 16384 };

static const uint8_t *here(const struct code *c)
{
	return c->at + c->n;
}

bool stubs_make(struct jit *j)
{
	struct native_memory *m = j->memory;
	struct code c = { .p = m->writable + m->at.used, .at = m->runnable + m->at.used, .room = STUBS_BYTES };

	if (native_memory_room(m) < STUBS_BYTES)
		return false;
	j->enter = (int (*)(struct emu *, const uint8_t *))(uintptr_t)here(&c);
	put_enter(&c);
	j->save = here(&c);
	put_vectors_save(&c);
	j->leave = here(&c);
	put_leave(&c, j->save);
	j->execute = here(&c);
	put_execute(&c, j->save);
	for (unsigned grouped = 0; grouped < 2; grouped++) {
		j->miss[0][grouped] = here(&c);
		put_miss(&c, grouped ? j->leave : j->execute, offsetof(struct tlb_entry, r));
		j->miss[1][grouped] = here(&c);
		put_miss(&c, grouped ? j->leave : j->execute, offsetof(struct tlb_entry, w));
	}
	j->cross = here(&c);
	put_cross_stub(&c, j->leave);
	j->revalidate = here(&c);
	put_revalidate(&c, j->leave);
	j->check = here(&c);
	put_check_stub(&c);
	j->no_check = here(&c);
	put1(&c, 0xc3);
	j->load_x87 = here(&c);
	put_x87_load(&c, j->leave);
	j->load[VECTORS_MEMORY] = here(&c);
	put_vectors_to_memory(&c, j->leave);
	for (enum vectors level = VECTORS_SSE; level <= vectors_most(); level++) {
		j->load[level] = here(&c);
		put_vectors_load(&c, level, j->leave);
	}
	m->at.used += native_aligned(c.n);
	return !c.failed;
}

#endif
