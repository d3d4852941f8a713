/* SPDX-License-Identifier: MIT */
/* The emulator's side: a processor at CPL 3 with Linux's selectors and the same pages at the same addresses. */
#include "silicon.h"
#include "tests/host/features.h"
#include "tests/host/processor.h"
#include "tests/unit/emu_harness.h"

#include <string.h>

enum { LDT_AT = 0x5000, PML5_AT = 0x6000, STEPS = 20000 };

static struct harness machines[TIERS];

uint8_t *emulated_memory(unsigned tier, uint64_t linear)
{
	return machines[tier].ram + linear;
}

bool emulated_has(unsigned feature)
{
	return emu_has_feature(machines[0].emu, feature);
}

static void set_pages(struct harness *h, uint64_t linear, unsigned pages, uint64_t clear, uint64_t set)
{
	for (unsigned n = 0; n < pages; n++) {
		uint64_t *pte = harness_pte(h, linear + (uint64_t)n * PAGE);

		*pte = (*pte & ~clear) | set;
	}
}

/* As in a process: what is not ours is not mapped. Descriptor tables are the kernel's; page tables are physical. */
static void map_pages(struct harness *h)
{
	const uint64_t present = 1, writable = 2, user = 4, no_execute = 1ull << 63;

	set_pages(h, 0, HARNESS_RAM / PAGE, present | user, 0);
	set_pages(h, HARNESS_GDT, 4, 0, present);
	set_pages(h, CODE, CODE_PAGES, writable, present | user);
	set_pages(h, DATA, DATA_PAGES, 0, present | user | no_execute);
	set_pages(h, DATA + DATA_READ_ONLY * PAGE, 1, writable, 0);
	set_pages(h, DATA + DATA_MISSING * PAGE, 1, present, 0);
	set_pages(h, STACK + PAGE, 2, 0, present | user | no_execute);
}

static void install_tables(struct harness *h)
{
	for (unsigned n = 0; n < 16; n++) {
		const uint64_t d = descriptor_of((uint16_t)(n << 3));

		memcpy(h->ram + HARNESS_GDT + 8 * n, &d, 8);
	}
	for (unsigned n = 0; n < LOCAL_COUNT; n++) {
		const uint64_t d = descriptor_of(LOCAL(n));

		memcpy(h->ram + LDT_AT + 8 * n, &d, 8);
	}
	h->cpu->gdtr.limit = 0x7f;
	h->cpu->ldtr = (struct segment){ .base = LDT_AT, .limit = 8 * LOCAL_COUNT - 1, .attr = 0x82, .selector = 0x50 };
}

/*
 * What is canonical depends on how many bits the processor has (WRFSBASE), and how many its system uses. Where the host
 * uses 57, what lies above 48 bits is an address here, too: one level more.
 */
static void make_addresses_alike(struct harness *h)
{
	const uint64_t entry = HARNESS_PML4 | 7;

	if (!host_has(FEAT_LA57))
		h->machine->isa_features[FEAT_LA57 / 64] &= ~(1ull << FEAT_LA57 % 64);
	if (!processor_differs(PT_WIDE_LINEAR, false))
		return;
	memcpy(h->ram + PML5_AT, &entry, sizeof(entry));
	h->cpu->cr3 = PML5_AT;
	h->cpu->cr4 |= CR4_LA57;
}

void emulated_init(void)
{
	for (unsigned n = 0; n < TIERS; n++) {
		struct harness *h = &machines[n];

		harness_init(h, HARNESS_LONG_USER, (enum harness_tier)n);
		map_pages(h);
		install_tables(h);
		memcpy(h->ram + HARNESS_TSS + 0x66, "\xff\xff", 2); /* no I/O bitmap */
		memset(h->ram + CODE, 0xf4, CODE_PAGES * PAGE);
		h->cpu->cr0 |= CR0_AM | CR0_MP | CR0_NE | CR0_WP;
		h->cpu->cr4 |= CR4_OSXSAVE | CR4_FSGSBASE | CR4_OSFXSR | CR4_OSXMMEXCPT;
		h->cpu->xcr0 = native_has_avx512() ? 0xe7 : 7;
		make_addresses_alike(h);
		harness_sync(h);
	}
}

void emulated_fini(void)
{
	for (unsigned n = 0; n < TIERS; n++)
		harness_fini(&machines[n]);
}

static struct segment segment_of(uint16_t selector)
{
	const uint64_t d = descriptor_of(selector);
	const uint32_t limit = (uint32_t)((d & 0xffff) | (d >> 32 & 0xf0000)), attr = (uint32_t)(d >> 40 & 0xf0ff);

	if (d == 0)
		return (struct segment){ .selector = selector, .attr = SEG_ATTR_UNUSABLE };
	return (struct segment){ .selector = selector,
				 .attr = attr,
				 .base = (d >> 16 & 0xffffff) | (d >> 32 & 0xff000000),
				 .limit = attr & SEG_ATTR_G ? limit << 12 | 0xfff : limit };
}

static void load_vectors(const struct state *s, struct cpu *c)
{
	const unsigned top = s->fx.sw >> 11 & 7;

	c->fpu = (struct x87){
		.cw = s->fx.cw, .sw = s->fx.sw, .tag = s->fx.tag, .fop = s->fx.fop, .fip = s->fx.fip, .fdp = s->fx.fdp
	};
	c->mxcsr = s->fx.mxcsr;
	for (unsigned n = 0; n < 8; n++)
		memcpy(&c->fpu.r[(top + n) & 7], s->fx.st[n], 10);
	for (unsigned n = 0; n < 16; n++) {
		memcpy(c->vec[n].u8, s->fx.xmm[n], 16);
		memcpy(c->vec[n].u8 + 16, s->ymm_high[n], 16);
		memcpy(c->vec[n].u8 + 32, s->zmm_high[n], 32);
		memcpy(c->vec[16 + n].u8, s->zmm16[n], 64);
	}
	memcpy(c->k, s->k, sizeof(c->k));
}

static void store_vectors(const struct cpu *c, struct state *s)
{
	const unsigned top = c->fpu.sw >> 11 & 7;

	memset(&s->fx, 0, sizeof(s->fx));
	s->fx.cw = c->fpu.cw;
	s->fx.sw = c->fpu.sw;
	s->fx.tag = c->fpu.tag;
	s->fx.fop = c->fpu.fop;
	s->fx.fip = c->fpu.fip;
	s->fx.fdp = c->fpu.fdp;
	s->fx.mxcsr = c->mxcsr;
	for (unsigned n = 0; n < 8; n++)
		memcpy(s->fx.st[n], &c->fpu.r[(top + n) & 7], 10);
	for (unsigned n = 0; n < 16; n++) {
		memcpy(s->fx.xmm[n], c->vec[n].u8, 16);
		memcpy(s->ymm_high[n], c->vec[n].u8 + 16, 16);
		memcpy(s->zmm_high[n], c->vec[n].u8 + 32, 32);
		memcpy(s->zmm16[n], c->vec[16 + n].u8, 64);
	}
	memcpy(s->k, c->k, sizeof(s->k));
}

static void load(struct harness *h, const struct state *s)
{
	struct cpu *c = h->cpu;

	memcpy(c->gpr, s->gpr, sizeof(s->gpr));
	c->rip = s->rip;
	for (unsigned n = 0; n < SEG_COUNT; n++)
		c->seg[n] = segment_of(s->seg[n]);
	if (s->seg[SEG_FS] == 0)
		c->seg[SEG_FS].base = s->fs_base;
	if (s->seg[SEG_GS] == 0)
		c->seg[SEG_GS].base = s->gs_base;
	load_vectors(s, c);
	harness_set_flags(h, s->rflags); /* and what depends on segments */
}

static void store(struct harness *h, struct state *s)
{
	const struct cpu *c = h->cpu;

	memcpy(s->gpr, c->gpr, sizeof(s->gpr));
	s->rip = c->rip;
	s->rflags = harness_flags(h);
	for (unsigned n = 0; n < SEG_COUNT; n++)
		s->seg[n] = c->seg[n].selector;
	s->fs_base = c->seg[SEG_FS].base;
	s->gs_base = c->seg[SEG_GS].base;
	store_vectors(c, s);
}

/* New code at a known place, and pads again afterwards. */
static void put_code(struct harness *h, const struct test_case *t, bool pads)
{
	const unsigned bytes = visible_bytes(t);

	if (pads)
		memset(h->ram + t->at, 0xf4, bytes);
	else
		memcpy(h->ram + t->at, t->code, bytes);
	mmu_ram_written(h->machine, t->at, bytes);
}

void emulated_run(unsigned tier, const struct test_case *t, struct outcome *out)
{
	struct harness *h = &machines[tier];
	int r = 0;

	put_code(h, t, false);
	load(h, &t->in);
	for (unsigned n = 0; n < STEPS && r == 0; n++)
		r = harness_run(h, 1);
	store(h, &out->s);
	out->vector = (uint8_t)r;
	out->error = h->fault.has_error ? h->fault.error : 0;
	out->cr2 = h->fault.cr2;
	if (r >> 8 != 1)
		out->vector = 0xff; /* no fault: halted, shut down, lost */
	if (out->vector == VEC_PF)
		out->error = h->fault.error;
	put_code(h, t, true);
}
