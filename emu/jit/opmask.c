/* SPDX-License-Identifier: MIT */
/* Opmask instructions between registers on a host without AVX-512, where the guest's opmasks are always in struct cpu. */
#include "translate.h"

#ifdef HOST_X86_64

#include "emu/core/flags.h"
#include "emu/native/host.h"

/* Opcodes of the map of one byte, and of that of 3A. */
enum {
	KAND = 0x41, KANDN, KNOT = 0x44, KOR, KXNOR, KXOR, KADD = 0x4a, KUNPCK, KMOV = 0x90, KMOV_FROM = 0x92, KMOV_TO, KORTEST = 0x98,
	KSHIFTRB = 0x30, KSHIFTRD, KSHIFTLB, KSHIFTLD,
};

static unsigned bytes_of(const struct isa_operand *op)
{
	return op->size == OPS_b ? 1 : op->size == OPS_w ? 2 : op->size == OPS_d ? 4 : 8;
}

/* KTEST and what accesses memory are left to C. */
bool is_of_opmasks(const struct insn *i)
{
	const struct isa_row *r = &isa_rows[i->id];

	if (!(r->attr & ISA_AVX512X) || i->is_mem || native_has(FEAT_AVX512F))
		return false;
	return (r->map == ISA_V0F && r->opcode != KORTEST + 1) || r->map == ISA_V0F3A;
}

/* A mask, or the low bytes of one, into a register: the rest of it is cleared. */
static void load_mask(struct code *c, unsigned reg, unsigned k, unsigned bytes)
{
	put1(c, (uint8_t)(0x40 | (bytes == 8) << 3 | (reg >> 3) << 2));
	if (bytes < 4)
		put1(c, 0x0f); /* MOVZX */
	put1(c, bytes == 1 ? 0xb6 : bytes == 2 ? 0xb7 : 0x8b);
	put1(c, (uint8_t)(0x84 | (reg & 7) << 3));
	put1(c, 0x24);
	put4(c, (uint32_t)(EMU(cpu.k) + (int32_t)((k & 7) * sizeof(uint64_t))));
}

/* S0, of which `bytes` count. */
static void store_mask(struct code *c, unsigned k, unsigned bytes)
{
	if (bytes < 4)
		put(c, bytes == 1 ? "\x45\x0f\xb6\xc9" : "\x45\x0f\xb7\xc9", 4); /* MOVZX S0, S0 */
	else if (bytes == 4)
		put(c, "\x45\x89\xc9", 3);
	put_env(c, true, OP_STORE, S0, EMU(cpu.k) + (int32_t)((k & 7) * sizeof(uint64_t)));
}

static void put_logic(struct code *c, unsigned opcode)
{
	if (opcode == KANDN || opcode == KNOT)
		put(c, "\x49\xf7\xd1", 3); /* NOT S0 */
	switch (opcode) {
	case KAND:
	case KANDN:
		put(c, "\x4d\x21\xd1", 3); /* AND S0, S1 */
		break;
	case KOR:
	case KUNPCK:
		put(c, "\x4d\x09\xd1", 3);
		break;
	case KXOR:
	case KXNOR:
		put(c, "\x4d\x31\xd1", 3);
		break;
	case KADD:
		put(c, "\x4d\x01\xd1", 3);
		break;
	}
	if (opcode == KXNOR)
		put(c, "\x49\xf7\xd1", 3);
}

static void put_shift(struct code *c, bool left, unsigned count, unsigned bytes)
{
	if (count >= 8 * bytes) {
		put(c, "\x45\x31\xc9", 3); /* XOR S0, S0 */
		return;
	}
	put(c, left ? "\x49\xc1\xe1" : "\x49\xc1\xe9", 3);
	put1(c, (uint8_t)count);
}

/* ZF: no bit of either; CF: all of them; the others are clear (SDM vol. 2, KORTEST). Into the image, S0 being the two together. */
static void put_test(struct code *c, unsigned bytes)
{
	_Static_assert(IMG_CF == 1 << 8 && IMG_ZF == 1 << 14, "shifts below");
	put(c, "\x4d\x85\xc9\x41\x0f\x94\xc2\x41\xc0\xe2\x06", 11); /* TEST S0, S0; SETZ S1; SHL S1, 6 */
	if (bytes == 2)
		put1(c, 0x66);
	put1(c, bytes == 8 ? 0x49 : 0x41); /* CMP S0, -1 */
	put1(c, bytes == 1 ? 0x80 : 0x83);
	put(c, "\xf9\xff", 2);
	put(c, "\x41\x0f\x94\xc1\x45\x08\xca", 7);     /* SETZ S0; OR S1, S0 */
	put(c, "\x45\x0f\xb6\xd2\x41\xc1\xe2\x08", 8); /* MOVZX S1, S1; SHL S1, 8 */
	put(c, "\x66\x44\x89\x94\x24", 5);	       /* MOV [image], S1 */
	put4(c, (uint32_t)EMU(flags_image));
}

static void put_to_register(struct tr *t, const struct insn *i, unsigned bytes)
{
	const bool stays = is_in_memory(i->reg);

	load_mask(&t->c, i->reg == RSP ? HOST_RSP : stays ? S0 : i->reg, i->rm, bytes);
	if (stays)
		put_env(&t->c, true, OP_STORE, S0, GPR(i->reg));
}

static void put_from_register(struct tr *t, const struct insn *i, unsigned bytes)
{
	const unsigned from = host_register(t, i->rm, S0);

	if (from != S0)
		put_regs(&t->c, true, OP_STORE, from, S0);
	store_mask(&t->c, i->reg, bytes);
}

/* What leaves EFLAGS alone. */
static bool moves(struct tr *t, const struct insn *i, const struct isa_row *r)
{
	if (r->map != ISA_V0F || r->opcode < KMOV || r->opcode > KMOV_TO)
		return false;
	if (r->opcode == KMOV_TO) {
		put_to_register(t, i, bytes_of(&r->op[1]));
	} else if (r->opcode == KMOV_FROM) {
		put_from_register(t, i, bytes_of(&r->op[0]));
	} else {
		load_mask(&t->c, S0, i->rm, bytes_of(&r->op[1]));
		store_mask(&t->c, i->reg, 8);
	}
	return true;
}

bool opmask_insn(struct tr *t, unsigned k, const struct insn *i)
{
	const struct isa_row *r = &isa_rows[i->id];
	const unsigned bytes = bytes_of(&r->op[0]), part = bytes_of(&r->op[1]);
	struct code *c = &t->c;

	if (!(t->e->units & UNIT_AVX512))
		return false;
	if (moves(t, i, r))
		return true;
	may_clobber(t, k);
	if (r->map == ISA_V0F3A) {
		load_mask(c, S0, i->rm, part);
		put_shift(c, r->opcode >= KSHIFTLB, (unsigned)i->imm & 0xff, bytes);
	} else if (r->opcode == KNOT) {
		load_mask(c, S0, i->rm, part);
		put_logic(c, KNOT);
	} else {
		load_mask(c, S0, r->opcode == KORTEST ? i->reg : i->vvvv, part);
		load_mask(c, S1, i->rm, part);
		if (r->opcode == KUNPCK)
			put_shift(c, true, 8 * part, bytes);
		put_logic(c, r->opcode == KORTEST ? KOR : r->opcode);
	}
	clobbered(t);
	if (r->opcode == KORTEST && r->map == ISA_V0F) {
		put_test(c, bytes);
		t->flags = IN_IMAGE;
		t->setter = 0;
	} else {
		store_mask(c, i->reg, bytes);
	}
	return true;
}

#endif
