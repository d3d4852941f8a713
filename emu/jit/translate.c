/* SPDX-License-Identifier: MIT */
/*
 * From a block to host code.
 *
 * One pass over the decoded instructions. Where the flags are is followed along the way (enum flags_at): whatever clobbers
 * EFLAGS saves them first if they are nowhere else, so that every fault and every exit finds the guest's flags as they were.
 */
#include "translate.h"

#ifdef HOST_X86_64

#include "emu/core/ram.h"
#include "emu/decode/decode.h"
#include "emu/mmu/mmu.h"

#include <string.h>

/* ---- sites ---- */

uint32_t new_site(struct tr *t, enum site_kind kind, unsigned insn)
{
	struct jit *j = t->j;
	const uint32_t n = (uint32_t)j->sites.used++;

	if (kind == SITE_EXECUTE && t->rewritten[insn])
		t->c.failed = true;
	insn -= t->first; /* of the block */
	j->site[n] = (struct jit_site){
		.block = site_of_block(t->e, t->b), .kind = kind & 7, .insn = (uint8_t)insn, .charged = t->charged, .key = t->key
	};
	return n;
}

uint32_t new_range(struct tr *t, uint32_t site, unsigned last)
{
	const uint32_t n = (uint32_t)t->j->ranges.used++;

	jit_env(t->e)->range[n] = (struct range){ .room = (uint16_t)(PAGE_SIZE - last), .site = site };
	return n;
}

uint32_t code_place(const struct tr *t, uint32_t n)
{
	return jit_place(t->j, t->c.at + n);
}

struct cold *new_cold(struct tr *t, enum cold_kind kind, uint32_t from, uint32_t site)
{
	struct cold *cold = &t->cold[t->colds];

	if (t->colds + 1 < COLD_MAX)
		t->colds++;
	else
		t->c.failed = true;
	*cold = (struct cold){
		.kind = (uint8_t)kind, .from = from, .site = site, .recipe = t->flags == IN_RECIPE ? (uint8_t)(t->recipe + 1) : 0
	};
	return cold;
}

/* ---- flags ---- */

void clobbered(struct tr *t)
{
	if (t->flags != IN_RECIPE)
		t->flags = IN_IMAGE;
}

void may_clobber(struct tr *t, unsigned k)
{
	if (t->flags == IN_HOST && t->setter && !t->careful && recipe_lasts(t, t->setter - 1u, k)) {
		t->flags = IN_RECIPE;
		t->recipe = (uint8_t)(t->setter - 1);
	} else if (t->flags != IN_RECIPE) {
		need_image(t);
	}
}

void need_image(struct tr *t)
{
	if (t->flags == IN_RECIPE) {
		put_recipe(t, t->recipe);
		t->flags = IN_HOST;
	}
	if (t->flags == 0)
		t->c.failed = true; /* a block that begins with setting all flags was thought not to look at them before */
	if (t->flags == IN_HOST) {
		put_save_flags(&t->c);
		t->flags = IN_BOTH;
	}
}

void need_host(struct tr *t, bool keep_s0)
{
	if (t->flags == 0 || t->flags == IN_RECIPE)
		t->c.failed = true;
	if (t->flags != IN_IMAGE)
		return;
	if (keep_s0) {
		put_env(&t->c, true, OP_STORE, S0, ENV(saved[3]));
		put_restore_flags(&t->c);
		put_env(&t->c, true, OP_LOAD, S0, ENV(saved[3]));
	} else {
		put_restore_flags(&t->c);
	}
	t->flags = IN_BOTH;
}

/* ---- calls of C ---- */

/* The instruction by its semantic function. */
static void execute(struct tr *t, unsigned k)
{
	uint32_t site = new_site(t, SITE_EXECUTE, k);

	need_image(t);
	put_mov_imm(&t->c, S0, site);
	put_jump(&t->c, -1, t->j->execute);
	t->j->site[site].code = code_place(t, t->c.n);
	t->flags = IN_IMAGE;
	t->vectors = VECTORS_NONE;
	t->x87 = false;
}

/* ---- the budget ---- */

static void take_off(struct tr *t)
{
	put(&t->c, "\x45\x8d\x9b", 3); /* LEA R11D, [R11 - count] */
	put4(&t->c, (uint32_t) - (int32_t)t->b->count);
	t->charged = true;
}

/*
 * Takes the block's instructions off the budget, if there is any left. At the start of a block it is left as if it had not been
 * entered; before instruction k, which sets all flags, they are nowhere, and the block tier finishes the block.
 */
static void charge(struct tr *t, unsigned k)
{
	uint32_t site = new_site(t, t->flags ? SITE_START : SITE_INTERPRET, k), from;

	put_regs(&t->c, false, OP_TEST, BUDGET, BUDGET);
	from = put_jump(&t->c, 8, NULL); /* JS */
	new_cold(t, COLD_LEAVE, from, site);
	take_off(t);
	if (t->flags)
		t->flags = IN_IMAGE;
}

/* ---- edges ---- */

static uint64_t wrapped(const struct tr *t, uint64_t pc)
{
	return t->word == 8 ? pc : (uint32_t)pc;
}

uint64_t insn_pc(const struct tr *t, const struct insn *i)
{
	return wrapped(t, t->pc + (uint64_t)(int64_t)(int16_t)i->off);
}

uint64_t insn_end(const struct tr *t, const struct insn *i)
{
	return wrapped(t, insn_pc(t, i) + i->len);
}

bool is_followed(const struct tr *t)
{
	return t->now + 1 < t->parts;
}

/* Where control leaves to side `side`; `cc` as in put_jump(). */
void put_edge(struct tr *t, int cc, unsigned side)
{
	const bool crosses = t->link->cross[side];
	const unsigned flags = crosses ? IN_IMAGE : t->flags;
	uint32_t site = new_site(t, SITE_LINK, t->first + t->b->count), from;
	struct cold *cold;

	t->j->site[site].side = side & 1;
	t->j->site[site].range = crosses ? new_range(t, site, 0) : 0;
	t->j->site[site].flags = flags & 7;
	from = put_jump(&t->c, cc, NULL);
	cold = new_cold(t, crosses ? COLD_CROSS : COLD_LINK, from, site);
	cold->save = !(t->flags & IN_IMAGE);
}

/* ---- one instruction ---- */

static bool is_jump(const struct isa_row *r)
{
	return r->sem == sem_int_jmp;
}

static enum event raw_event(const struct insn *i)
{
	const struct isa_row *r = &isa_rows[i->id];

	if (r->sem == sem_int_jcc)
		return EVENT_READS;
	if (is_jump(r))
		return EVENT_NONE;
	return copy_event(i);
}

/* What it changes of the flags is overwritten before anybody looks, and it does not look itself. */
static enum event event_of(const struct tr *t, unsigned k)
{
	const enum event event = raw_event(&t->insn[k]);

	return event == EVENT_READS && t->quiet[k] ? EVENT_NONE : event;
}

/*
 * Finds instructions that change some flags (rotates, INC, bit tests) and whose flags die: between them and one that sets all there
 * is nothing that could leave the block.
 */
static void find_quiet(struct tr *t)
{
	bool dead = false;

	for (unsigned k = t->count; k-- > 0;) {
		const enum event event = raw_event(&t->insn[k]);
		const bool reads = isa_rows[t->insn[k].id].flags_read & ISA_FL_ARITH;

		t->quiet[k] = dead && event == EVENT_READS && !reads && !t->careful;
		if (event == EVENT_SETS)
			dead = true;
		else if (event == EVENT_CLOBBERS || (event == EVENT_READS && !t->quiet[k]))
			dead = false;
	}
	for (unsigned k = 0; k < t->count; k++)
		t->event[k] = (uint8_t)event_of(t, k);
}

/* The first one's may have been replaced by what counts entries. */
static bool has_no_handler(const struct block *b, unsigned n)
{
	return (n ? b->insns[n].fn : b->first) == h_generic;
}

static void last_insn(struct tr *t, unsigned k, const struct insn *i)
{
	const struct isa_row *r = &isa_rows[i->id];

	if (has_no_handler(t->b, k - t->first)) {
		execute(t, k);
		put_edge(t, -1, 0);
	} else if (r->sem == sem_int_jcc) {
		need_host(t, false);
		if (!is_followed(t) || t->part[t->now].side == 0)
			put_edge(t, r->opcode & 15, 1);
		if (!is_followed(t))
			put_edge(t, -1, 0);
		else if (t->part[t->now].side == 1)
			put_edge(t, (r->opcode & 15) ^ 1, 0);
	} else if (is_jump(r)) {
		if (!is_followed(t))
			put_edge(t, -1, 1);
	} else if (!branch(t, k, i)) {
		execute(t, k);
		put_edge(t, -1, 0);
	}
}

static void one_insn(struct tr *t, unsigned k)
{
	const struct insn *i = &t->insn[k];

	settle_fip(t, k);
	if (k + 1u == t->part[t->now].end && (isa_rows[i->id].attr & ISA_BRANCH)) {
		last_insn(t, k, i);
		return;
	}
	if (!copy(t, k, i))
		execute(t, k);
	if (k + 1u == t->count) {
		settle_fip(t, k + 1);
		put_edge(t, -1, 0);
	}
}

/* ---- the cold part ---- */

static void put_site_jump(struct tr *t, uint32_t site, const uint8_t *to)
{
	put_mov_imm(&t->c, S0, site);
	put_jump(&t->c, -1, to);
}

/* Not zero: a way that this range stands for has been found open. */
static void put_is_filled(struct code *c, uint32_t range)
{
	put(c, "\x48\x83\xbc\x24", 4); /* CMP QWORD [RSP + len], 0 */
	put4(c, (uint32_t)RANGE(range, len));
	put1(c, 0);
}

static void put_cross(struct tr *t, const struct cold *cold)
{
	const uint32_t range = t->j->site[cold->site].range;
	struct code *c = &t->c;
	uint32_t known;

	put_is_filled(c, range);
	known = put_jump(c, 5, NULL);
	put_mov_imm(c, S0, cold->site);
	put_mov_imm(c, S1, range);
	put_jump(c, -2, t->j->cross);
	jump_here(c, known);
	t->j->site[cold->site].code = code_place(t, put_jump(c, -1, t->j->leave));
	t->j->site[cold->site].unlinked = jit_place(t->j, t->j->leave);
}

/* Back from C, which had all of the guest's state in struct cpu. */
static void put_resume(struct tr *t, const struct cold *cold)
{
	struct code *c = &t->c;
	uint32_t from, after;

	if (cold->x87) {
		put_mov_imm(c, S0, cold->to_leave);
		put_jump(c, -2, t->j->load_x87);
	}
	if (cold->level) {
		put_vectors_check(c, cold->level, &from);
		after = put_jump(c, -1, NULL);
		jump_here(c, from);
		put_mov_imm(c, S0, cold->to_leave);
		put_jump(c, -2, t->j->load[cold->level]);
		jump_here(c, after);
	}
	if (cold->restores)
		put_restore_flags(c);
}

/* Of the instruction whose flags have not been saved. S0 stays. */
static void put_flags_again(struct tr *t, unsigned insn)
{
	put_env(&t->c, true, OP_STORE, S0, ENV(saved[3]));
	put_recipe(t, insn);
	put_save_flags(&t->c);
	put_env(&t->c, true, OP_LOAD, S0, ENV(saved[3]));
}

static void put_site_of_range(struct code *c, const struct cold *cold)
{
	put(c, "\xc7\x84\x24", 3); /* MOV DWORD [RSP + range.site], site */
	put4(c, (uint32_t)RANGE(cold->range, site));
	put4(c, cold->site);
}

static void put_cold(struct tr *t, const struct cold *cold)
{
	struct code *c = &t->c;

	if (cold->kind == COLD_RESUME)
		t->j->site[cold->site].code = code_place(t, c->n);
	else
		jump_to(&t->hot, cold->from, c->at + c->n);
	t->stub = c->at + c->n;
	if (cold->save)
		put_save_flags(c);
	if (cold->recipe && cold->kind != COLD_RESUME)
		put_flags_again(t, cold->recipe - 1u);
	switch ((enum cold_kind)cold->kind) {
	case COLD_MISS:
		if (cold->site)
			put_site_of_range(c, cold);
		put_mov_imm(c, S1, cold->range);
		put_jump(c, -2, t->j->miss[cold->write][cold->grouped]);
		put_jump(c, -1, t->hot.at + cold->back);
		break;
	case COLD_EXECUTE:
		put_site_jump(t, cold->site, t->j->execute);
		break;
	case COLD_LINK:
		t->j->site[cold->site].code = jit_place(t->j, t->hot.at + cold->from);
		t->j->site[cold->site].unlinked = jit_place(t->j, t->stub);
		put_site_jump(t, cold->site, t->j->leave);
		break;
	case COLD_CROSS:
		put_cross(t, cold);
		break;
	case COLD_VECTORS:
		put_mov_imm(c, S0, cold->site);
		put_jump(c, -2, t->j->load[cold->level]);
		put_jump(c, -1, t->hot.at + cold->back);
		break;
	case COLD_X87:
		put_mov_imm(c, S0, cold->site);
		put_jump(c, -2, t->j->load_x87);
		put_jump(c, -1, t->hot.at + cold->back);
		break;
	case COLD_SECOND:
		put_mov_imm(c, S0, cold->site);
		put_mov_imm(c, S1, cold->range);
		put_jump(c, -2, t->j->cross);
		put_jump(c, -1, t->hot.at + cold->back);
		break;
	case COLD_RESUME:
		put_resume(t, cold);
		put_jump(c, -1, t->hot.at + cold->back);
		break;
	case COLD_LEAVE:
		put_site_jump(t, cold->site, t->j->leave);
		break;
	}
}

/* ---- the block ---- */

/* What the block does first with flags, and in which instruction. */
static enum event first_event(const struct tr *t, unsigned *at)
{
	enum event event = EVENT_NONE;

	for (*at = 0; *at < t->count; ++*at) {
		event = event_of(t, *at);
		if (event != EVENT_NONE)
			break;
	}
	return event;
}

/* Does this way out of a part lead to an address above the first block's? */
static bool leads_forward(const struct tr *t, const struct part *p, unsigned side)
{
	const struct insn *i = &t->insn[p->end - 1];

	return wrapped(t, insn_end(t, i) + (side ? i->imm : 0)) > t->pc;
}

static bool part_goes_forward(const struct tr *t, unsigned n)
{
	const struct part *p = &t->part[n];
	const struct isa_row *r = &isa_rows[t->insn[p->end - 1].id];
	const bool followed = n + 1 < t->parts;

	if (r->sem == sem_int_jcc)
		return followed ? leads_forward(t, p, !p->side) : leads_forward(t, p, 0) && leads_forward(t, p, 1);
	if (followed)
		return true;
	return is_jump(r) ? leads_forward(t, p, 1) : !(r->attr & ISA_BRANCH) && leads_forward(t, p, 0);
}

/* Does every way out lead on to a higher address? Then no loop consists of such translations alone. */
static bool goes_forward(const struct tr *t)
{
	for (unsigned n = 0; n < t->parts; n++)
		if (!part_goes_forward(t, n))
			return false;
	return true;
}

static void put_entries(struct tr *t, enum event event)
{
	struct code *c = &t->c;

	t->entry[0] = t->entry[1] = c->n;
	if (event == EVENT_SETS) {	       /* apart from each other, because each has its own way when the block is dead */
		put(c, "\x0f\x1f\x44\0\0", 5); /* NOP: room for a jump */
		t->entry[0] = c->n;
	} else if (event == EVENT_CLOBBERS) {
		put_save_flags(c);
		t->entry[1] = c->n;
		t->flags = IN_IMAGE;
	} else {
		put_restore_flags(c);
		t->entry[0] = c->n;
		t->flags = IN_HOST;
	}
}

static void enter_part(struct tr *t, unsigned n)
{
	t->now = n;
	t->b = t->part[n].b;
	t->first = t->part[n].first;
	t->link = block_link(t->b);
}

/* The block that is gone on with: when it dies, so does this translation. */
static void next_part(struct tr *t)
{
	struct jit *j = t->j;
	uint32_t site;

	enter_part(t, t->now + 1);
	take_off(t);
	site = new_site(t, SITE_INLINED, t->first);
	j->site[site].block = site_of_block(t->e, t->part[0].b);
	j->site[site].next = t->b->inlined;
	t->b->inlined = site;
}

/* An instruction in two pages: who enters it has looked at the first; here it is seen that the second is still behind it. */
static void put_second_check(struct tr *t)
{
	const uint32_t site = new_site(t, SITE_START, 0), range = new_range(t, site, 0);
	struct range *r = &jit_env(t->e)->range[range];
	struct code *c = &t->c;
	struct cold *cold;

	r->base = (t->pc & PAGE_MASK) + PAGE_SIZE;
	r->host = (uintptr_t)t->b->host2;
	put_is_filled(c, range);
	cold = new_cold(t, COLD_SECOND, put_jump(c, 4, NULL), site);
	cold->range = range;
	cold->back = c->n;
}

static void put_body(struct tr *t, enum event event)
{
	unsigned at = 0;
	enum event first = first_event(t, &at);

	if (event != EVENT_SETS || first != EVENT_SETS)
		at = 0;
	put_entries(t, event);
	if (t->b->host2)
		put_second_check(t);
	if (event == EVENT_READS || event == EVENT_NONE) {
		if (goes_forward(t)) {
			take_off(t); /* something else on every way round looks at it */
		} else {
			need_image(t);
			charge(t, 0);
		}
	}
	for (unsigned k = 0; k < t->count; k++) {
		if (k == t->part[t->now].end)
			next_part(t);
		if (!t->charged && k == at)
			charge(t, k);
		one_insn(t, k);
	}
}

static void put_dead_ends(struct tr *t)
{
	uint32_t site;

	enter_part(t, 0);
	t->charged = false;
	site = new_site(t, SITE_START, 0);
	t->dead[0] = t->c.n;
	put_save_flags(&t->c);
	t->dead[1] = t->c.n;
	put_site_jump(t, site, t->j->leave);
}

static bool is_same(const struct insn *a, const struct insn *b)
{
	return a->id == b->id && a->imm == b->imm && a->disp == b->disp && a->len == b->len && a->seg == b->seg &&
	       a->base == b->base && a->index == b->index && a->scale == b->scale && a->reg == b->reg && a->rm == b->rm &&
	       a->vvvv == b->vvvv && a->prefixes == b->prefixes && a->size == b->size && a->asize == b->asize &&
	       a->is_mem == b->is_mem && a->imm2 == b->imm2;
}

/* The bytes of a block, whose only instruction may lie in two pages. */
static void read_bytes(const struct block *b, uint8_t *bytes)
{
	const unsigned room = PAGE_SIZE - (unsigned)((uintptr_t)b->host & (PAGE_SIZE - 1));
	const unsigned first = b->host2 && b->bytes > room ? room : b->bytes;

	ram_read_pieces(bytes, b->host, first);
	if (first < b->bytes)
		ram_read_pieces(bytes + first, b->host2, b->bytes - first);
}

/* Addresses count from the first block. False: one does not fit. */
static bool rebase(struct insn *i, unsigned off, int32_t from_first)
{
	i->off = (uint16_t)((int32_t)off + from_first);
	return !i->is_mem || i->base != ADDR_PC || i->scale == INSN_DISP_FROM_END ||
	       !__builtin_add_overflow(i->disp, from_first, &i->disp);
}

/*
 * An instruction that 64-bit code has not, as one that it has: 32-bit code's short INC and DEC. And a move from or to an address that
 * is part of the instruction, whose form there has eight bytes for it.
 */
static void modernise(struct insn *i)
{
	const struct isa_row *r = &isa_rows[i->id];
	static const struct {
		uint16_t from, to;
		bool moves;
	} forms[] = { { ISA_INC_Zv, ISA_INC_Ev, false },      { ISA_DEC_Zv, ISA_DEC_Ev, false },
		      { ISA_MOV_AL_Ob, ISA_MOV_Gb_Eb, true }, { ISA_MOV_rAX_Ov, ISA_MOV_Gv_Ev, true },
		      { ISA_MOV_Ob_AL, ISA_MOV_Eb_Gb, true }, { ISA_MOV_Ov_rAX, ISA_MOV_Ev_Gv, true } };

	for (unsigned n = 0; n < sizeof(forms) / sizeof(forms[0]); n++) {
		if (i->id != forms[n].from)
			continue;
		i->id = forms[n].to;
		i->rm = forms[n].moves ? 0 : i->reg;
		i->reg = 0; /* RAX, or no operand */
		if (!forms[n].moves)
			return;
		i->is_mem = 1;
		i->base = i->index = ADDR_NONE;
		i->scale = 0;
		i->disp = (int32_t)i->imm;
		return;
	}
	/* Decoded without W, which selected the row, and with a register of three bits in the immediate (SDM vol. 2, 2.3.5 to 2.3.7). */
	if (r->map >= ISA_V0F && r->w == ISA_W1)
		i->prefixes |= PFX_REX_W;
	for (unsigned n = 0; n < 4; n++)
		if (r->op[n].kind == OPK_L)
			i->imm &= 0x7f;
}

/* Operands in segments that may add something, or in 64 KiB, are C's. */
static bool is_beyond_flat(const struct insn *i)
{
	return i->is_mem && (i->asize != 4 || i->seg == SEG_FS || i->seg == SEG_GS || i->seg == SEG_CS);
}

static enum insn_class class_here(const struct tr *t, const struct insn *i)
{
	return t->word == 4 && is_beyond_flat(i) ? CLASS_OTHER : classify(i);
}

/* The block's own instructions have been rewritten for its handlers: they are decoded once more, behind those that are there. */
static bool decode_again(struct tr *t, const struct block *b)
{
	const int32_t from_first = (int32_t)(b->pc - t->pc);
	uint8_t bytes[BLOCK_MAX_INSNS * INSN_MAX_BYTES];
	unsigned off = 0;

	read_bytes(b, bytes);
	for (unsigned k = 0; k < b->count; k++) {
		struct insn *i = &t->insn[t->count + k];

		if (decode(bytes + off, b->bytes - off, t->word, i) != DECODE_OK)
			return false;
		if (i->is_mem && i->base == ADDR_PC && i->scale != INSN_DISP_FROM_END)
			i->disp += (int32_t)off;
		t->rewritten[t->count + k] = !is_same(i, &b->insns[k]);
		if (!rebase(i, off, from_first))
			return false;
		if (t->word == 4)
			modernise(i);
		i->native = class_here(t, i) & 15;
		off += i->len;
	}
	return true;
}

/* ---- what goes into one translation ---- */

static bool add_part(struct tr *t, struct block *b)
{
	struct part *p = &t->part[t->parts];

	if (!decode_again(t, b))
		return false;
	*p = (struct part){ .b = b, .first = (uint8_t)t->count, .end = (uint8_t)(t->count + b->count), .inlined = b->inlined };
	t->count = p->end;
	t->parts++;
	return true;
}

static bool is_part(const struct tr *t, const struct block *b)
{
	for (unsigned n = 0; n < t->parts; n++)
		if (t->part[n].b == b)
			return true;
	return false;
}

/* How often a block has been entered, as far as that is known. */
static uint32_t warmth(const struct tr *t, const struct block *b)
{
	return t->j->threshold - (b->heat < t->j->threshold ? b->heat : t->j->threshold);
}

/*
 * The block that the last part leads to by this side, if it may follow in the same translation: not if its code is there already, or
 * in another translation. Code that is there twice costs more than a jump.
 */
static struct block *follower(const struct tr *t, unsigned side)
{
	const struct block *last = t->part[t->parts - 1].b;
	const struct link *l = block_link(last);
	struct block *b = l->to[side];

	if (!b || l->cross[side] || block_is_dead(b) || b->host2 || b->key != last->key || is_part(t, b) ||
	    t->count + b->count > BLOCK_MAX_INSNS || b->native[0] || b->inlined)
		return NULL;
	return warmth(t, b) * 2 > t->j->threshold ? b : NULL;
}

/* One more part, where the last one mostly goes. */
static bool follow(struct tr *t)
{
	struct part *p = &t->part[t->parts - 1];
	const struct isa_row *r = &isa_rows[t->insn[p->end - 1].id];
	struct block *to[2] = { NULL, NULL };

	if (t->parts == PARTS_MAX || has_no_handler(p->b, p->b->count - 1u))
		return false;
	if (r->sem == sem_int_jcc)
		to[0] = follower(t, 0);
	if (r->sem == sem_int_jcc || is_jump(r) || r->sem == sem_int_call)
		to[1] = follower(t, 1);
	p->side = !to[0] || (to[1] && warmth(t, to[1]) > warmth(t, to[0]));
	return to[p->side] && add_part(t, to[p->side]);
}

static bool gather(struct tr *t, struct block *b)
{
	t->pc = b->pc;
	t->word = mode_word(b->key);
	if (t->word == 4 && b->pc + b->bytes > UINT32_MAX)
		return false; /* the next page is the first one */
	if (!add_part(t, b))
		return false;
	while (follow(t))
		;
	return true;
}

/* Calls of C cost more than handlers: not worth it where many are needed. */
static bool is_worth_it(struct tr *t)
{
	unsigned calls = 0;

	for (unsigned k = 0; k < t->count; k++) {
		const bool translatable = is_translatable(&t->insn[k]);

		if (!translatable && t->rewritten[k])
			return false;
		calls += !translatable;
	}
	return calls * 3 <= t->count || calls <= 1;
}

static struct code code_behind(const struct native_memory *m)
{
	return (struct code){ .p = m->writable + m->at.used, .at = m->runnable + m->at.used, .room = CODE_MAX };
}

/* Ways to other pages are taken as often as others: they stay behind the block. All else is apart, so that what runs lies close together. */
static void put_colds(struct tr *t)
{
	t->hot = t->c;
	for (unsigned n = 0; n < t->colds; n++)
		if (t->cold[n].kind == COLD_CROSS)
			put_cold(t, &t->cold[n]);
	t->hot = t->c;
	t->c = code_behind(&t->j->cold);
	for (unsigned n = 0; n < t->colds; n++)
		if (t->cold[n].kind != COLD_CROSS)
			put_cold(t, &t->cold[n]);
}

static bool try(struct tr *t, enum event event)
{
	struct jit *j = t->j;
	const size_t sites = j->sites.used, ranges = j->ranges.used;

	t->first_site = (uint32_t)sites;
	enter_part(t, 0);
	t->c = code_behind(j->memory);
	t->colds = 0;
	t->stack_groups = 0;
	t->charged = false;
	t->flags = 0;
	t->setter = 0;
	t->vectors = VECTORS_NONE;
	t->x87 = false;
	t->fip_owed = 0;
	t->key = jit_key(t->e);
	find_narrow(t);
	find_groups(t);
	find_quiet(t);
	put_body(t, event);
	put_colds(t);
	put_dead_ends(t);
	if (t->c.failed || t->hot.failed) {
		j->sites.used = sites;
		j->ranges.used = ranges;
		for (unsigned n = 1; n < t->parts; n++)
			t->part[n].b->inlined = t->part[n].inlined;
	}
	return !t->c.failed && !t->hot.failed;
}

static void settle(struct tr *t, enum event event)
{
	struct block *b = t->part[0].b;
	struct jit *j = t->j;

	b->native[0] = t->hot.at + t->entry[0];
	b->native[1] = t->hot.at + t->entry[1];
	b->native_dead[0] = t->c.at + t->dead[0];
	b->native_dead[1] = t->c.at + t->dead[1];
	b->native_likes = event == EVENT_CLOBBERS;
	b->native_key = jit_key(t->e);
	j->memory->at.used += native_aligned(t->hot.n);
	j->cold.at.used += native_aligned(t->c.n);
	j->counts.blocks++;
	j->counts.bytes += t->hot.n + t->c.n;
}

bool translate(struct emu *e, struct block *b)
{
	struct jit *j = e->jit;
	struct tr t = { .e = e, .j = j };
	enum event event;
	unsigned at;

	if (native_memory_room(j->memory) < CODE_MAX || native_memory_room(&j->cold) < CODE_MAX ||
	    halves_room(&j->sites) < SITES_MAX || halves_room(&j->ranges) < SITES_MAX) {
		e->code->full = true;
		return false;
	}
	if (!gather(&t, b) || !is_worth_it(&t))
		return false;
	find_quiet(&t);
	event = first_event(&t, &at);
	if (event == EVENT_SETS && at >= t.part[0].end)
		event = EVENT_NONE; /* the first block is paid for before */
	if (b->host2 || !try(&t, event)) {
		t.careful = true;
		event = EVENT_CLOBBERS;
		if (!try(&t, event))
			return false;
	}
	settle(&t, event);
	return true;
}

#endif
